//! Text to typed values with their ranges. Every source ends here, so a duration or a size is
//! written the same way everywhere. Messages never repeat a secret.

use std::{
    fmt::Display,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::Path,
    str::FromStr,
    time::Duration,
};

use ipnet::IpNet;

use super::{
    ForwardedFor, LogFormat, MetricsPort, OnOverflow, Proxied, Secret, SetForwardedProtocol,
    Settings, UnixSocket, keys::Slot,
};

/// What a source says about one key.
#[derive(Clone, Debug)]
pub(super) enum Value {
    /// One text: a scalar of TOML, an environment variable, a value of Pushpin's file.
    One(String),
    /// A TOML array.
    Many(Vec<String>),
}

/// Puts a value into the tree. Relative paths start at `base`.
///
/// # Errors
/// What is allowed, as a sentence that does not name the key.
pub(super) fn store(
    settings: &mut Settings,
    slot: Slot,
    value: &Value,
    base: &Path,
) -> Result<(), String> {
    match slot {
        Slot::Addresses(at, is_default) => {
            let (addresses, bare_ports) = addresses(&value.words(), false)?;
            *at(settings) = addresses;
            *is_default(settings) = bare_ports;
        }
        Slot::Networks(at) => *at(settings) = networks(&value.words())?,
        Slot::Control(at) => {
            let (http, bare_ports, unix) = places(value, true, base)?;
            let control = at(settings);
            (control.unix, control.http, control.http_is_default) = (unix, http, bare_ports);
        }
        Slot::Sockets(at) => {
            // Pushpin has paths alone.
            let path = |word: String| match word.strip_prefix(UNIX) {
                Some(path) => path.to_owned(),
                None if word.contains('/') => word,
                None => String::new(),
            };
            *at(settings) = sockets(value.words().into_iter().map(path), base)?;
        }
        Slot::Proxied(at) => {
            let (addresses, only_ports, unix) = places(value, false, base)?;
            *at(settings) = Proxied {
                addresses,
                only_ports,
                unix: unix.into_iter().map(|socket| socket.path).collect(),
            };
        }
        Slot::Words(at) => *at(settings) = value.words(),
        Slot::Lines(at) => *at(settings) = value.lines(),
        Slot::Forwarded(at) => *at(settings) = forwarded_for(&value.words())?,
        _ => store_one(settings, slot, value.one()?, base)?,
    }
    Ok(())
}

fn store_one(settings: &mut Settings, slot: Slot, text: &str, base: &Path) -> Result<(), String> {
    match slot {
        Slot::Bool(at) => *at(settings) = boolean(text)?,
        Slot::Count(at, least, most) => *at(settings) = number(text, least, most)?,
        Slot::Small(at, least, most) => *at(settings) = number(text, least, most)?,
        Slot::Bytes(at, least, most) => {
            *at(settings) = size(text)
                .and_then(|bytes| usize::try_from(bytes).ok())
                .filter(|bytes| (least..=most).contains(bytes))
                .ok_or_else(|| size_range(least, most))?;
        }
        Slot::Body(at) => {
            *at(settings) = size(text).ok_or("must be a size such as 100MiB, or 0 for no limit")?;
        }
        Slot::Time(at, least, most) => {
            *at(settings) = duration(text)
                .filter(|time| (least..=most).contains(time))
                .ok_or_else(|| time_range(least, most))?;
        }
        Slot::Text(at) => {
            if text.chars().any(char::is_control) {
                return Err("must be text without control characters".into());
            }
            text.clone_into(at(settings));
        }
        Slot::Level(at) => *at(settings) = super::level::normal(text)?,
        Slot::Secret(at) => *at(settings) = Secret(text.to_owned()),
        Slot::File(at) => *at(settings) = (!text.is_empty()).then(|| base.join(text)),
        Slot::Folder(at) => *at(settings) = base.join(text),
        Slot::AnyFolder(at) => *at(settings) = (!text.is_empty()).then(|| base.join(text)),
        Slot::Metrics(at) => *at(settings) = metrics_port(text, base)?,
        Slot::Format(at) => *at(settings) = format(text)?,
        Slot::Overflow(at) => *at(settings) = overflow(text)?,
        Slot::Protocol(at) => *at(settings) = protocol(text)?,
        Slot::Addresses(..)
        | Slot::Networks(_)
        | Slot::Control(_)
        | Slot::Sockets(_)
        | Slot::Proxied(_)
        | Slot::Words(_)
        | Slot::Lines(_)
        | Slot::Forwarded(_) => {}
    }
    Ok(())
}

impl Value {
    fn one(&self) -> Result<&str, String> {
        match self {
            Self::One(text) => Ok(text.trim()),
            Self::Many(_) => Err("must be one value, not a list".into()),
        }
    }

    /// Separated by commas, blanks dropped.
    fn words(&self) -> Vec<String> {
        let split = |text: &str| -> Vec<String> {
            text.split(',')
                .map(str::trim)
                .filter(|word| !word.is_empty())
                .map(str::to_owned)
                .collect()
        };
        match self {
            Self::One(text) => split(text),
            Self::Many(words) => words.iter().flat_map(|word| split(word)).collect(),
        }
    }

    /// Separated by line ends: commas are part of a route.
    fn lines(&self) -> Vec<String> {
        let all = match self {
            Self::One(text) => std::slice::from_ref(text),
            Self::Many(lines) => lines,
        };
        all.iter()
            .flat_map(|text| text.lines())
            .filter(|line| !line.trim().is_empty())
            .map(str::to_owned)
            .collect()
    }
}

/// `10.0.0.0/8`, `fd00::/8`, or a single address.
fn networks(words: &[String]) -> Result<Vec<IpNet>, String> {
    let network = |word: &String| {
        let single = || word.parse().ok().map(|ip: IpAddr| IpNet::from(ip));
        word.parse().ok().or_else(single).ok_or_else(|| {
            format!("{word} is no range of addresses such as 10.0.0.0/8 or fd00::/8")
        })
    };
    words.iter().map(network).collect()
}

fn boolean(text: &str) -> Result<bool, String> {
    match text {
        "true" | "yes" | "on" | "1" => Ok(true),
        "false" | "no" | "off" | "0" => Ok(false),
        _ => Err("must be true or false".into()),
    }
}

fn number<T: Copy + FromStr + PartialOrd + Display>(
    text: &str,
    least: T,
    most: T,
) -> Result<T, String> {
    text.parse()
        .ok()
        .filter(|number| (least..=most).contains(number))
        .ok_or_else(|| format!("must be a whole number from {least} to {most}"))
}

/// Reads a time: `500ms`, `2s`, `5m`, `1h`, `1d`, or a number of seconds.
pub fn duration(text: &str) -> Option<Duration> {
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let unit = match text[end..].trim_start() {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        "d" => 86_400.0,
        _ => return None,
    };
    let number: f64 = text[..end].parse().ok()?;
    Duration::try_from_secs_f64(number * unit).ok()
}

/// Reads a size: `64KiB`, `1MiB`, `2GiB`, `10kB`, or a number of bytes.
pub fn size(text: &str) -> Option<u64> {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let unit = match text[end..].trim_start().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kib" | "k" => 1 << 10,
        "mib" | "m" => 1 << 20,
        "gib" | "g" => 1 << 30,
        "kb" => 1000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        _ => return None,
    };
    text[..end].parse::<u64>().ok()?.checked_mul(unit)
}

/// A time as [`duration`] reads it, in the largest unit that fits.
pub(super) fn duration_text(time: Duration) -> String {
    if time.subsec_nanos() > 0 {
        return match time.subsec_nanos() % 1_000_000 {
            0 => format!("{}ms", time.as_millis()),
            _ => format!("{}s", time.as_secs_f64()),
        };
    }
    match time.as_secs() {
        seconds if seconds < 120 || seconds % 60 > 0 => format!("{seconds}s"),
        seconds if seconds % 86_400 == 0 => format!("{}d", seconds / 86_400),
        seconds if seconds % 3600 == 0 => format!("{}h", seconds / 3600),
        seconds => format!("{}m", seconds / 60),
    }
}

/// A size as [`size`] reads it, in the largest unit that fits.
pub(super) fn size_text(bytes: u64) -> String {
    [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")]
        .into_iter()
        .find(|(unit, _)| bytes > 0 && bytes.is_multiple_of(*unit))
        .map_or_else(
            || bytes.to_string(),
            |(unit, name)| format!("{}{name}", bytes / unit),
        )
}

fn size_range(least: usize, most: usize) -> String {
    let [least, most] = [least, most].map(|bytes| size_text(bytes as u64));
    format!("must be a size such as 64KiB, or a number of bytes, from {least} to {most}")
}

fn time_range(least: Duration, most: Duration) -> String {
    let [least, most] = [least, most].map(duration_text);
    format!("must be a time such as 500ms, 2s, 5m or 1h, from {least} to {most}")
}

fn overflow(text: &str) -> Result<OnOverflow, String> {
    OnOverflow::parse(text)
        .ok_or_else(|| format!("must be one of {}", OnOverflow::NAMES.join(", ")))
}

fn format(text: &str) -> Result<LogFormat, String> {
    match text {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => Err("must be text or json".into()),
    }
}

fn metrics_port(text: &str, base: &Path) -> Result<Option<MetricsPort>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    if let Some(path) = text.strip_prefix(IPC).filter(|path| !path.is_empty()) {
        return Ok(Some(MetricsPort::Unix(base.join(path))));
    }
    let (host, port) = host_and_port(text);
    let host = match host {
        "" | "*" => Ok(Ipv4Addr::UNSPECIFIED.into()),
        "localhost" => Ok(Ipv4Addr::LOCALHOST.into()),
        host => host.parse::<IpAddr>(),
    };
    let address = host.ok().zip(port.parse().ok());
    let address = address.ok_or("must be PORT, ADDRESS:PORT, [IPV6]:PORT or ipc://PATH")?;
    Ok(Some(MetricsPort::Tcp(address.into())))
}

/// What Pushpin writes before the path of a unix socket.
pub(super) const IPC: &str = "ipc://";

fn protocol(text: &str) -> Result<SetForwardedProtocol, String> {
    match text {
        "" | "false" | "off" | "0" => Ok(SetForwardedProtocol::Off),
        "proto-only" => Ok(SetForwardedProtocol::ProtoOnly),
        "true" => Ok(SetForwardedProtocol::Both),
        _ => Err("must be off, proto-only or true".into()),
    }
}

fn forwarded_for(words: &[String]) -> Result<ForwardedFor, String> {
    let mut rule = ForwardedFor::default();
    for word in words {
        match word.split_once(':') {
            None if word == "append" => rule.append = true,
            Some(("truncate", count)) => {
                let count = count.trim().parse();
                rule.truncate = Some(count.map_err(|_| FORWARDED_FOR.to_owned())?);
            }
            _ => return Err(FORWARDED_FOR.into()),
        }
    }
    Ok(rule)
}

/// Addresses, whether only ports were named, and sockets in the file system.
type Places = (Vec<SocketAddr>, bool, Vec<UnixSocket>);

/// Reads a list of `[ADDR:]PORT` and `unix:PATH`.
fn places(value: &Value, loopback: bool, base: &Path) -> Result<Places, String> {
    let is_unix = |word: &String| word.starts_with(UNIX);
    let (unix, http): (Vec<_>, Vec<_>) = value.words().into_iter().partition(is_unix);
    let unix = sockets(unix.iter().map(|word| word[UNIX.len()..].to_owned()), base)?;
    let (http, only_ports) =
        addresses(&http, loopback).map_err(|allowed| allowed + ", or unix:PATH")?;
    Ok((http, only_ports, unix))
}

fn sockets(paths: impl Iterator<Item = String>, base: &Path) -> Result<Vec<UnixSocket>, String> {
    paths.map(|path| UnixSocket::parse(&path, base)).collect()
}

/// Reads a list of `[ADDR:]PORT`; also tells whether only ports were named.
fn addresses(words: &[String], loopback: bool) -> Result<(Vec<SocketAddr>, bool), String> {
    let mut found = Vec::new();
    let mut bare = !words.is_empty();
    for word in words {
        let (host, port) = host_and_port(word);
        let port: u16 = port.parse().map_err(|_| ADDRESS.to_owned())?;
        bare &= host.is_empty();
        let hosts: Vec<IpAddr> = match host {
            "" if loopback => vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()],
            "localhost" => vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()],
            "" | "*" => vec![Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()],
            host => vec![host.parse().map_err(|_| ADDRESS.to_owned())?],
        };
        for address in hosts.into_iter().map(|host| SocketAddr::new(host, port)) {
            if !found.contains(&address) {
                found.push(address);
            }
        }
    }
    Ok((found, bare))
}

fn host_and_port(word: &str) -> (&str, &str) {
    match word.rsplit_once(':') {
        Some((host, port)) => (
            host.strip_prefix('[')
                .and_then(|host| host.strip_suffix(']'))
                .unwrap_or(host),
            port,
        ),
        None => ("", word),
    }
}

/// What a socket in the file system begins with.
pub(super) const UNIX: &str = "unix:";
const FORWARDED_FOR: &str = "must be a list of truncate:N and append, or empty";
const ADDRESS: &str = "must be PORT, ADDRESS:PORT or [IPV6]:PORT, such as 7999 or \
                       127.0.0.1:7999 (no name of a host, PORT from 0 to 65535)";
