//! The header form of an instruct: each `Grip-*` header, in the order they are validated.

use std::{collections::HashMap, time::Duration};

use bytes::Bytes;

use super::{
    Header, Instruct, InstructError, InstructWarning, KeepAlive, KeepAliveMode, Mode, Response,
    params::{self, Part},
};
use crate::grip::{
    FILTER_LIMIT,
    channel::{Channel, Meta},
    link::{Links, NextLink},
    status,
    text::{base64, same, shown, shown_bytes},
};

/// What is known of an instruct while it is read.
#[derive(Debug, Default)]
pub(super) struct Draft {
    pub(super) hold: Option<Mode>,
    pub(super) channels: Channels,
    pub(super) timeout: Option<Duration>,
    pub(super) expose: Vec<String>,
    pub(super) keep_alive: Option<KeepAlive>,
    pub(super) meta: Meta,
    /// `Grip-Status`, with its reason or the standard one.
    pub(super) status: Option<(u16, String)>,
    links: Links,
    warnings: Vec<InstructWarning>,
}

/// A long-poll waits at least this long.
const TIMEOUT_MIN: Duration = Duration::from_secs(5);
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(55);
const KEEP_ALIVE_MIN: Duration = Duration::from_secs(1);
pub(super) const KEEP_ALIVE_DEFAULT: Duration = Duration::from_secs(55);
const NEXT_DEFAULT: Duration = Duration::from_mins(2);

impl Draft {
    /// Clamps the times and adds the response.
    pub(super) fn finish(mut self, response: Response) -> Instruct {
        if self.hold.is_some() && self.channels.list.is_empty() {
            self.warnings.push(InstructWarning::NoChannels);
        }
        if let Some(keep_alive) = &mut self.keep_alive {
            keep_alive.timeout = keep_alive.timeout.max(KEEP_ALIVE_MIN);
        }
        Instruct {
            hold: self.hold,
            channels: self.channels.list,
            timeout: self.timeout.unwrap_or(TIMEOUT_DEFAULT).max(TIMEOUT_MIN),
            keep_alive: self.keep_alive,
            meta: self.meta,
            links: self.links,
            response,
            warnings: self.warnings,
        }
    }
}

/// The channels so far, each name once.
#[derive(Debug, Default)]
pub(super) struct Channels {
    list: Vec<Channel>,
    places: HashMap<String, usize>,
}

impl Channels {
    /// Adds a channel. Named before: it keeps its place and takes the new prev-id and filters.
    pub(super) fn add(&mut self, channel: Channel) -> Result<(), InstructError> {
        if channel.filters.len() > FILTER_LIMIT {
            return Err(InstructError::Filters {
                channel: shown(&channel.name),
                count: channel.filters.len(),
            });
        }
        let place = self.places.get(&channel.name);
        if let Some(known) = place.and_then(|&place| self.list.get_mut(place)) {
            *known = channel;
        } else {
            self.places.insert(channel.name.clone(), self.list.len());
            self.list.push(channel);
        }
        Ok(())
    }
}

/// Reads all `Grip-*` headers.
pub(super) fn read(headers: &[Header]) -> Result<Draft, InstructError> {
    let mut draft = Draft {
        hold: first(headers, HOLD).map(hold).transpose()?,
        ..Draft::default()
    };
    for part in parts(headers, CHANNEL, &mut draft.warnings) {
        draft.channels.add(channel(&part)?)?;
    }
    draft.timeout = first(headers, TIMEOUT)
        .map(|value| seconds(TIMEOUT, value))
        .transpose()?;
    for name in texts(headers, EXPOSE, &mut draft.warnings) {
        draft.expose.push(utf8(EXPOSE, name)?);
    }
    if let Some(value) = first(headers, KEEP_ALIVE) {
        match Part::parse(value) {
            Some(part) => draft.keep_alive = Some(keep_alive(&part)?),
            None => draft.warnings.push(unclosed(KEEP_ALIVE, value)),
        }
    }
    for text in texts(headers, SET_META, &mut draft.warnings) {
        match params::params(text) {
            Some(params) => set_meta(text, params, &mut draft.meta)?,
            None => draft.warnings.push(unclosed(SET_META, text)),
        }
    }
    draft.status = first(headers, STATUS)
        .filter(|value| !value.is_empty())
        .map(status)
        .transpose()?;
    for part in parts(headers, LINK, &mut draft.warnings) {
        link(&part, &mut draft.links)?;
    }
    Ok(draft)
}

const CHANNEL: &str = "Grip-Channel";
const EXPOSE: &str = "Grip-Expose-Headers";
const HOLD: &str = "Grip-Hold";
const KEEP_ALIVE: &str = "Grip-Keep-Alive";
const LINK: &str = "Grip-Link";
const SET_META: &str = "Grip-Set-Meta";
const STATUS: &str = "Grip-Status";
const TIMEOUT: &str = "Grip-Timeout";

fn first<'a>(headers: &'a [Header], name: &str) -> Option<&'a [u8]> {
    let header = headers.iter().find(|h| same(&h.name, name))?;
    Some(header.value.trim_ascii())
}

/// The elements of all instances of a list header.
fn texts<'a>(
    headers: &'a [Header],
    name: &'static str,
    warnings: &mut Vec<InstructWarning>,
) -> Vec<&'a [u8]> {
    let mut texts = Vec::new();
    for header in headers.iter().filter(|h| same(&h.name, name)) {
        let list = params::split(&header.value);
        texts.extend(list.parts);
        warnings.extend(list.unclosed.map(|text| unclosed(name, text)));
    }
    texts
}

/// The elements of a list header, with their parameters.
fn parts<'a>(
    headers: &'a [Header],
    name: &'static str,
    warnings: &mut Vec<InstructWarning>,
) -> Vec<Part<'a>> {
    let mut parts = Vec::new();
    for text in texts(headers, name, warnings) {
        match Part::parse(text) {
            Some(part) => parts.push(part),
            None => warnings.push(unclosed(name, text)),
        }
    }
    parts
}

fn unclosed(header: &'static str, value: &[u8]) -> InstructWarning {
    InstructWarning::Unclosed {
        header,
        value: shown_bytes(value),
    }
}

fn utf8(header: &'static str, value: &[u8]) -> Result<String, InstructError> {
    match std::str::from_utf8(value) {
        Ok(text) => Ok(text.to_owned()),
        Err(_) => Err(InstructError::Utf8 { header }),
    }
}

/// A number of seconds that fits 31 bits: longer than any connection, and safe to add to a clock.
fn seconds(field: &'static str, value: &[u8]) -> Result<Duration, InstructError> {
    let text = std::str::from_utf8(value).ok();
    let number = text.and_then(|text| text.parse::<i32>().ok());
    match number.and_then(|number| u64::try_from(number).ok()) {
        Some(seconds) => Ok(Duration::from_secs(seconds)),
        None => Err(InstructError::Seconds {
            field,
            value: shown_bytes(value),
        }),
    }
}

fn hold(value: &[u8]) -> Result<Mode, InstructError> {
    match value {
        b"response" => Ok(Mode::Response),
        b"stream" => Ok(Mode::Stream),
        _ => Err(InstructError::Hold {
            value: shown_bytes(value),
        }),
    }
}

fn channel(part: &Part<'_>) -> Result<Channel, InstructError> {
    let prev_id = part.get("prev-id").flatten();
    let filters = part.filters().map(|filter| utf8(CHANNEL, filter));
    Ok(Channel {
        name: utf8(CHANNEL, part.first)?,
        prev_id: prev_id.map(|id| utf8(CHANNEL, id)).transpose()?,
        filters: filters.collect::<Result<_, _>>()?,
    })
}

fn keep_alive(part: &Part<'_>) -> Result<KeepAlive, InstructError> {
    if part.first.is_empty() {
        return Err(InstructError::KeepAliveEmpty);
    }
    let param = |name| part.get(name).map(Option::unwrap_or_default);
    let mode = match param("mode") {
        None | Some(b"idle") => KeepAliveMode::Idle,
        Some(b"interval") => KeepAliveMode::Interval,
        Some(other) => {
            return Err(InstructError::KeepAliveMode {
                value: shown_bytes(other),
            });
        }
    };
    let timeout = match param("timeout") {
        None => KEEP_ALIVE_DEFAULT,
        Some(value) => seconds("Grip-Keep-Alive timeout", value)?,
    };
    let data = match param("format") {
        None | Some(b"raw") => Bytes::copy_from_slice(part.first),
        Some(b"cstring") => unescape(part.first)?,
        Some(b"base64") => base64(part.first),
        Some(other) => {
            return Err(InstructError::KeepAliveFormat {
                value: shown_bytes(other),
            });
        }
    };
    Ok(KeepAlive {
        data,
        mode,
        timeout,
    })
}

/// The `cstring` format. Escapes other than `\\`, `\r`, `\n` and `\xHH` vanish: backends rely on
/// what GRIP proxies do.
fn unescape(text: &[u8]) -> Result<Bytes, InstructError> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.iter().copied().enumerate();
    while let Some((at, byte)) = bytes.next() {
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        let broken = || InstructError::KeepAliveEscape { at };
        match bytes.next().ok_or_else(broken)?.1 {
            b'\\' => out.push(b'\\'),
            b'r' => out.push(b'\r'),
            b'n' => out.push(b'\n'),
            b'x' => {
                let mut digit = || char::from(bytes.next()?.1).to_digit(16);
                let (high, low) = (digit(), digit());
                let (high, low) = high.zip(low).ok_or_else(broken)?;
                out.extend(u8::try_from(high * 16 + low));
            }
            _ => {}
        }
    }
    Ok(Bytes::from(out))
}

/// Only the first parameter of an element counts.
fn set_meta(
    text: &[u8],
    params: Vec<params::Param<'_>>,
    meta: &mut Meta,
) -> Result<(), InstructError> {
    let named = !text.starts_with(b";");
    let first = params.into_iter().next();
    let Some((name, value)) = first.filter(|(name, _)| named && !name.is_empty()) else {
        return Err(InstructError::Meta);
    };
    let value = value.map(|value| utf8(SET_META, &value)).transpose()?;
    meta.insert(utf8(SET_META, name)?, value);
    Ok(())
}

fn status(value: &[u8]) -> Result<(u16, String), InstructError> {
    let wrong = || InstructError::Status {
        value: shown_bytes(value),
    };
    let text = utf8(STATUS, value)?;
    let (code, reason) = text.split_once(' ').unwrap_or((&text, ""));
    let code = code.parse().map_err(|_| wrong())?;
    if !status::SENDABLE.contains(&code) {
        return Err(wrong());
    }
    let reason = match reason.trim() {
        "" => status::reason(code),
        reason => reason,
    };
    Ok((code, reason.to_owned()))
}

/// Elements without parameters and unknown relations are ignored; the last of each kind wins.
fn link(part: &Part<'_>, links: &mut Links) -> Result<(), InstructError> {
    if part.params.is_empty() {
        return Ok(());
    }
    let inner = part.first.strip_prefix(b"<");
    let inner = inner.and_then(|text| text.strip_suffix(b">"));
    let Some(uri) = inner.filter(|uri| !uri.is_empty()) else {
        return Err(InstructError::Link {
            value: shown_bytes(part.first),
        });
    };
    let uri = utf8(LINK, uri)?;
    if !is_uri(&uri) {
        return Err(InstructError::LinkUri { value: shown(&uri) });
    }
    match part.get("rel").flatten() {
        Some(b"next") => {
            let timeout = match part.get("timeout") {
                None => NEXT_DEFAULT,
                Some(value) => seconds("Grip-Link timeout", value.unwrap_or_default())?,
            };
            links.next = Some(NextLink { uri, timeout });
        }
        Some(b"gone") => links.gone = Some(uri),
        _ => {}
    }
    Ok(())
}

/// Could this be a URL, absolute or relative? A sieve for plain mistakes; whoever follows the
/// link resolves it in full.
fn is_uri(uri: &str) -> bool {
    let plain = |c: char| !c.is_control() && !" <>\"\\^`{|}".contains(c);
    if !uri.chars().all(plain) {
        return false;
    }
    let start = uri.split(['?', '#']).next().unwrap_or_default();
    let after_scheme = start.split_once("://").map(|(_, rest)| rest);
    let Some(rest) = after_scheme.or_else(|| start.strip_prefix("//")) else {
        return true;
    };
    let authority = rest.split('/').next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    let (name, port) = match host.strip_prefix('[') {
        Some(literal) => match literal.split_once(']') {
            Some((name, after)) if name.parse::<core::net::Ipv6Addr>().is_ok() => (name, after),
            _ => return false,
        },
        None => host.split_at(host.find(':').unwrap_or(host.len())),
    };
    let port_ok = match port.strip_prefix(':') {
        Some(digits) => digits.is_empty() || digits.parse::<u16>().is_ok(),
        None => port.is_empty(),
    };
    port_ok && !name.is_empty()
}
