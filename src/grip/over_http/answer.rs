//! What the backend answers: its headers, and what follows for the session.

use std::time::Duration;

use bytes::Bytes;

use super::{
    Client, End, Fault, Opened, Output, Phase, Refusal, STALLS, Session, Wish,
    outgoing::{Messages, Offer},
};
use crate::grip::{
    HOP_BY_HOP, extension,
    format::MessageKind,
    instruct::Header,
    text::same,
    ws_events::{CONTENT_TYPE, Close, Event, decode},
};

/// The backend's whole answer to a request, with any content encoding undone.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    /// Status code.
    pub code: u16,
    /// All headers.
    pub headers: &'a [Header],
    /// The body.
    pub body: &'a Bytes,
}

impl Session {
    /// The request under way was answered at `now`.
    pub fn response(&mut self, answer: &Answer<'_>, now: Duration, out: &mut Vec<Output>) {
        let Some(sent) = self.sent.take() else {
            return;
        };
        let result = match sent.offer {
            Offer::Open => self.handshake(answer, now, out),
            Offer::Disconnect => {
                self.phase = Phase::Over;
                return;
            }
            Offer::Messages(offer) => self.answered(offer, answer, now, out),
        };
        if let Err(fault) = result {
            self.fault(fault, &sent, out);
        }
        self.pump(out);
    }

    /// An answer to OPEN.
    fn handshake(
        &mut self,
        answer: &Answer<'_>,
        now: Duration,
        out: &mut Vec<Output>,
    ) -> Result<(), Fault> {
        if !answer.is_events() {
            if self.client != Client::Gone {
                let headers = answer.relayed();
                out.push(Output::Reject(Refusal::Relay { headers }));
            }
            self.phase = Phase::Over;
            return Ok(());
        }
        let events = decode(answer.body)?;
        self.note(answer, now)?;
        match events.split_first() {
            None if self.keep_alive.is_some() => Ok(()),
            Some((Event::Open, _)) => {
                no_open(&events[1..])?;
                self.phase = Phase::Open;
                if self.client != Client::Gone {
                    out.push(Output::Open(answer.opened()));
                }
                self.apply(events.into_iter().skip(1), out);
                Ok(())
            }
            _ => Err(Fault::NoOpen),
        }
    }

    /// An answer to anything else.
    fn answered(
        &mut self,
        offer: Messages,
        answer: &Answer<'_>,
        now: Duration,
        out: &mut Vec<Output>,
    ) -> Result<(), Fault> {
        if !answer.is_events() {
            return Err(Fault::Foreign { code: answer.code });
        }
        let events = decode(answer.body)?;
        no_open(&events)?;
        self.note(answer, now)?;
        // Thrown away meanwhile, and only DISCONNECT is to be said.
        if self.farewell.is_disconnect() {
            return Ok(());
        }
        let accepted = self.outgoing.accept(offer, answer.accepted())?;
        if accepted.close {
            self.farewell.accepted();
        }
        let deaf = self.client == Client::Detached && offer.close.is_some();
        if !deaf {
            self.pong(&accepted.pings, &events, out);
            self.apply(events.into_iter(), out);
        }
        if self.phase == Phase::Over {
            return Ok(());
        }
        if self.client == Client::Closing && accepted.close && self.keep_alive.is_none() {
            self.end(End::NoClose, out);
        }
        self.push_on(accepted.progress, now)
    }

    /// Keep-alive interval and meta.
    fn note(&mut self, answer: &Answer<'_>, now: Duration) -> Result<(), Fault> {
        if let Some(value) = answer.get("Keep-Alive-Interval") {
            let seconds = number(value).filter(|seconds| *seconds > 0);
            self.keep_alive = seconds.map(|seconds| {
                // 31 bits are longer than any connection, and safe to add to a clock.
                Duration::from_secs(seconds.min(1 << 31)).max(self.rules.keep_alive_min)
            });
        }
        self.due = self.keep_alive.map(|interval| now.saturating_add(interval));
        self.metas.note(answer.headers)
    }

    /// Answers the pings that the backend has accepted and does not answer itself.
    fn pong(&self, pings: &[Bytes], events: &[Event], out: &mut Vec<Output>) {
        let is_pong =
            |event: &Event| matches!(event, Event::Message(m) if m.kind == MessageKind::Pong);
        if matches!(self.client, Client::Open | Client::Detached) && !events.iter().any(is_pong) {
            out.extend(pings.iter().cloned().map(Output::Pong));
        }
    }

    /// Hands the client what the backend says, as long as the client may be told anything.
    fn apply(&mut self, events: impl Iterator<Item = Event>, out: &mut Vec<Output>) {
        for event in events {
            if matches!(self.client, Client::Told | Client::Gone) {
                return;
            }
            match event {
                // Looked for before.
                Event::Open => {}
                Event::Message(message) => out.push(Output::Message(message)),
                Event::Close(close) => self.backend_close(close, out),
                Event::Disconnect => {
                    self.end(End::Disconnected, out);
                    self.phase = Phase::Over;
                }
            }
        }
    }

    fn backend_close(&mut self, close: Close, out: &mut Vec<Output>) {
        out.push(Output::Close(close.or_normal()));
        if self.client == Client::Closing {
            self.end(End::Closed, out);
        } else {
            self.client = Client::Told;
        }
    }

    /// Sees to it that what was not accepted does not lie there for ever.
    fn push_on(&mut self, progress: bool, now: Duration) -> Result<(), Fault> {
        if progress {
            self.stalls = 0;
        }
        if !self.outgoing.keeps_back() {
            if self.farewell.is_due() {
                self.wish = Wish::Now;
            }
            return Ok(());
        }
        let is_stuck = self.farewell.is_due() || !self.wants_reading();
        if !is_stuck || self.outgoing.has_new() {
            return Ok(());
        }
        if self.stalls == STALLS {
            return Err(Fault::Stuck);
        }
        let wait = Duration::from_secs(1 << self.stalls);
        self.due = self.due.or_else(|| Some(now.saturating_add(wait)));
        self.stalls += 1;
        Ok(())
    }
}

fn no_open(events: &[Event]) -> Result<(), Fault> {
    if events.contains(&Event::Open) {
        return Err(Fault::SecondOpen);
    }
    Ok(())
}

impl Answer<'_> {
    /// Is it one of this protocol? Its type is compared exactly: GRIP backends rely on it that all
    /// else is passed on.
    fn is_events(&self) -> bool {
        self.code == 200 && self.get("Content-Type") == Some(CONTENT_TYPE.as_bytes())
    }

    fn get(&self, name: &str) -> Option<&[u8]> {
        let header = self
            .headers
            .iter()
            .find(|header| same(&header.name, name))?;
        Some(header.value.trim_ascii())
    }

    /// `None`: all.
    fn accepted(&self) -> Option<u64> {
        number(self.get("Content-Bytes-Accepted")?)
    }

    fn opened(&self) -> Opened {
        let extensions = self.headers.iter();
        let extensions = extensions.filter(|header| same(&header.name, EXTENSIONS));
        Opened {
            headers: self.without(|name| {
                is_one(&EVENTS, name)
                    || is_one(&HOP_BY_HOP, name)
                    || after(SET_META, name).is_some()
            }),
            grip: extension::parse(extensions.map(|header| &*header.value)),
        }
    }

    fn relayed(&self) -> Vec<Header> {
        self.without(|_| false)
    }

    /// The headers for the client, without those of the upgrade and without `others`.
    fn without(&self, others: impl Fn(&str) -> bool) -> Vec<Header> {
        let headers = self.headers.iter();
        let headers = headers.filter(|one| !is_one(&UPGRADE, &one.name) && !others(&one.name));
        headers.cloned().collect()
    }
}

const EXTENSIONS: &str = "Sec-WebSocket-Extensions";
/// What an upgrade is made of: gripd's own business towards the client.
const UPGRADE: [&str; 4] = ["Connection", EXTENSIONS, "Sec-WebSocket-Accept", "Upgrade"];
/// What describes an answer of events, and nothing of the WebSocket.
const EVENTS: [&str; 4] = [
    "Content-Bytes-Accepted",
    "Content-Encoding",
    "Content-Type",
    "Keep-Alive-Interval",
];
const META: &str = "Meta-";
const SET_META: &str = "Set-Meta-";

/// Is this a header of the client's handshake that is not passed on in requests over HTTP? They
/// have their own of most of these.
pub fn is_replaced(name: &str) -> bool {
    const NAMES: [&str; 14] = [
        "Accept",
        "Accept-Encoding",
        "Connection",
        "Connection-Id",
        "Content-Bytes-Replayed",
        "Content-Encoding",
        "Content-Length",
        "Content-Type",
        "Expect",
        "Keep-Alive",
        "TE",
        EXTENSIONS,
        "Transfer-Encoding",
        "Upgrade",
    ];
    is_one(&NAMES, name) || after(META, name).is_some()
}

fn is_one(names: &[&str], name: &str) -> bool {
    names.iter().any(|other| same(other, name))
}

/// What stands after `prefix`, which is compared without regard to case.
fn after<'a>(prefix: &str, name: &'a str) -> Option<&'a str> {
    let (start, rest) = name.split_at_checked(prefix.len())?;
    same(start, prefix).then_some(rest)
}

/// A plain number. Too big a one is the biggest.
fn number(text: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(text).ok()?;
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().unwrap_or(u64::MAX))
}

/// What the backend wants to be told with each request.
#[derive(Debug, Default)]
pub(super) struct Metas(Vec<Header>);

/// Most bytes of all names and values.
const METAS: usize = 16_384;

impl Metas {
    pub(super) fn headers(&self) -> &[Header] {
        &self.0
    }

    /// Takes over the `Set-Meta-*` headers of an answer: the last spelling of a name counts, and an
    /// empty value deletes.
    fn note(&mut self, headers: &[Header]) -> Result<(), Fault> {
        for header in headers {
            let name = after(SET_META, &header.name).filter(|name| !name.is_empty());
            let Some(name) = name else { continue };
            let name = format!("{META}{name}");
            self.0.retain(|known| !same(&known.name, &name));
            let value = header.value.trim_ascii();
            if !value.is_empty() {
                let value = Bytes::copy_from_slice(value);
                self.0.push(Header { name, value });
            }
        }
        let sizes = self.0.iter().map(|meta| meta.name.len() + meta.value.len());
        if sizes.sum::<usize>() > METAS {
            return Err(Fault::Metas { limit: METAS });
        }
        Ok(())
    }
}
