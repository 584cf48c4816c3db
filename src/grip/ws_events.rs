//! The body of a WebSocket-over-HTTP request or answer: events of a WebSocket, one after the other.
//!
//! Source: `application/websocket-events` of the GRIP protocol. An event is `TYPE CRLF`, or
//! `TYPE SP HEXSIZE CRLF CONTENT CRLF`. Backends write it by hand, so reading is as tolerant as
//! Pushpin is, where a tolerance can do no harm: unknown events are skipped, the size may have
//! blanks and `0x` before it, the last content may be short, and the two bytes behind a content are
//! not looked at. What Pushpin takes for "the rest of the body", a negative size, is an error here.
//! Not here: which events may follow which; that is [`over_http`](super::over_http)'s.

#[cfg(test)]
mod tests;

use bytes::Bytes;
use memchr::memchr;

use super::{format::MessageKind, text::shown_bytes};

/// The content type of such a body. Compared exactly.
pub const CONTENT_TYPE: &str = "application/websocket-events";

/// One whole message, or one ping or pong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// What it is.
    pub kind: MessageKind,
    /// Its payload. A text need not be UTF-8 when it comes from a backend.
    pub content: Bytes,
}

/// A close, with what was said to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Close {
    /// Close code, not checked for what may go on the wire.
    pub code: Option<u16>,
    /// Close reason, of any length; empty without a code.
    pub reason: String,
}

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The connection begins.
    Open,
    /// A message.
    Message(Message),
    /// A side closes.
    Close(Close),
    /// The connection has ended without a close.
    Disconnect,
}

/// Why a body is none of events. The writer's fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EventError {
    /// An event's first line does not end in CRLF.
    #[error("the event's line at byte {at} does not end in CRLF")]
    Line {
        /// Where the line begins, from 0.
        at: usize,
    },
    /// The size is not a hexadecimal number.
    #[error("the event at byte {at} has the size '{size}'; it must be a hexadecimal number")]
    Size {
        /// Where the event begins, from 0.
        at: usize,
        /// The size, cut short.
        size: String,
    },
}

/// Reads all events of a body. Contents are parts of `body`, not copies.
///
/// # Errors
/// The first fault, and where it is. Nothing of such a body counts.
pub fn decode(body: &Bytes) -> Result<Vec<Event>, EventError> {
    let mut events = Vec::new();
    let mut at = 0;
    while let Some(rest) = body.get(at..).filter(|rest| !rest.is_empty()) {
        let line = line(rest).ok_or(EventError::Line { at })?;
        let (name, size) = match memchr(b' ', line) {
            Some(end) => (&line[..end], Some(size(&line[end + 1..], at)?)),
            None => (line, None),
        };
        let begin = at + line.len() + 2;
        let end = begin.saturating_add(size.unwrap_or(0)).min(body.len());
        events.extend(event(name, body.slice(begin..end)));
        at = if size.is_some() { end + 2 } else { end };
    }
    Ok(events)
}

/// The first line, without its CRLF.
fn line(rest: &[u8]) -> Option<&[u8]> {
    rest.get(..memchr(b'\n', rest)?)?.strip_suffix(b"\r")
}

fn size(text: &[u8], at: usize) -> Result<usize, EventError> {
    let digits = text.trim_ascii();
    let digits = digits
        .strip_prefix(b"0x")
        .or_else(|| digits.strip_prefix(b"0X"))
        .unwrap_or(digits);
    let is_hex = digits.iter().all(u8::is_ascii_hexdigit);
    let digits = std::str::from_utf8(digits).ok().filter(|_| is_hex);
    let size = digits.and_then(|digits| usize::from_str_radix(digits, 16).ok());
    size.ok_or_else(|| EventError::Size {
        at,
        size: shown_bytes(text),
    })
}

/// `None`: gripd knows no such event.
fn event(name: &[u8], content: Bytes) -> Option<Event> {
    let kind = match name {
        b"OPEN" => return Some(Event::Open),
        b"TEXT" => MessageKind::Text,
        b"BINARY" => MessageKind::Binary,
        b"PING" => MessageKind::Ping,
        b"PONG" => MessageKind::Pong,
        b"CLOSE" => return Some(Event::Close(Close::read(&content))),
        b"DISCONNECT" => return Some(Event::Disconnect),
        _ => return None,
    };
    Some(Event::Message(Message { kind, content }))
}

impl Close {
    /// Reads the payload of a close: nothing, or two bytes of code and then the reason. Bytes of
    /// the reason that are not UTF-8 become U+FFFD.
    fn read(content: &[u8]) -> Self {
        let Some((code, reason)) = content.split_first_chunk() else {
            return Self::default();
        };
        Self {
            code: Some(u16::from_be_bytes(*code)),
            reason: String::from_utf8_lossy(reason).into_owned(),
        }
    }

    /// Bytes of its payload.
    pub fn size(&self) -> usize {
        self.code.map_or(0, |_| 2 + self.reason.len())
    }
}

/// Appends an event.
pub fn encode(event: &Event, out: &mut Vec<u8>) {
    match event {
        Event::Open => out.extend_from_slice(b"OPEN\r\n"),
        Event::Message(message) => encode_message(message.kind, &message.content, out),
        Event::Close(close) => encode_close(close, out),
        Event::Disconnect => out.extend_from_slice(b"DISCONNECT\r\n"),
    }
}

/// Appends the event of a message.
pub(super) fn encode_message(kind: MessageKind, content: &[u8], out: &mut Vec<u8>) {
    let name = match kind {
        MessageKind::Text => "TEXT",
        MessageKind::Binary => "BINARY",
        MessageKind::Ping => "PING",
        MessageKind::Pong => "PONG",
    };
    encode_content(name, &[content], out);
}

/// Appends the event of a close.
pub(super) fn encode_close(close: &Close, out: &mut Vec<u8>) {
    let code = close.code.map(u16::to_be_bytes);
    match &code {
        Some(code) => encode_content("CLOSE", &[code, close.reason.as_bytes()], out),
        None => encode_content("CLOSE", &[], out),
    }
}

/// No content goes without a size: backends know that from Pushpin.
fn encode_content(name: &str, content: &[&[u8]], out: &mut Vec<u8>) {
    out.extend_from_slice(name.as_bytes());
    let size: usize = content.iter().map(|part| part.len()).sum();
    if size > 0 {
        out.extend_from_slice(format!(" {size:x}\r\n").as_bytes());
        for part in content {
            out.extend_from_slice(part);
        }
    }
    out.extend_from_slice(b"\r\n");
}
