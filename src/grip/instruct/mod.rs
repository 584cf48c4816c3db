//! The instruct: what a backend's answer tells gripd to do with the client's request.
//!
//! It comes as `Grip-*` headers (`headers`), as a JSON body of type `application/grip-instruct`
//! (`json`), or as both, the JSON laid over the headers. What is parsed here can be sent: header
//! names are tokens, values and reasons have no control characters, the status is a final one.
//! Source: the GRIP protocol as Pushpin serves it. Not here: what happens to the request then.

mod error;
mod headers;
mod json;
pub(super) mod params;
mod response;
#[cfg(test)]
mod tests;

use std::time::Duration;

use bytes::Bytes;

pub use self::error::{InstructError, InstructWarning};
use super::{
    channel::{Channel, Meta},
    link::Links,
    text::{is_grip, same},
};

/// Is a backend's answer with these headers an instruct? Any header beginning with `Grip-` makes
/// it one, whatever the status; so does the content type `application/grip-instruct`.
pub fn is_instruct<'a>(headers: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> bool {
    let mut types = 0;
    headers.into_iter().any(|(name, value)| {
        let first_type = same(name, "Content-Type") && {
            types += 1;
            types == 1
        };
        is_grip(name) || (first_type && json::is_json_instruct(value))
    })
}

/// May the body of this instruct be bigger than [`BODY_LIMIT`](super::BODY_LIMIT)? Only when
/// nothing needs the whole of it before it is sent: a stream begins with it, no filter changes it,
/// and it is not itself the instruct.
pub fn allows_large_stream<'a>(headers: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> bool {
    let (mut hold, mut next, mut whole) = (None, false, false);
    for (name, value) in headers {
        if same(name, "Grip-Hold") {
            hold = hold.or_else(|| Some(value.trim_ascii()));
        } else if same(name, "Grip-Link") {
            next |= params::any(value, |part| part.get("rel") == Some(Some(b"next")));
        } else if same(name, "Grip-Channel") {
            whole |= params::any(value, |part| part.filters().any(|f| f == b"build-id"));
        } else if same(name, "Content-Type") {
            whole |= json::is_json_instruct(value);
        }
    }
    !whole && hold.map_or(next, |hold| hold == b"stream")
}

/// One header line, spelled as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Name; compared without regard to case.
    pub name: String,
    /// Value, free of CR, LF and NUL.
    pub value: Bytes,
}

/// A parsed instruct.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instruct {
    /// Hold the request? `None`: the response goes out at once.
    pub hold: Option<Mode>,
    /// Channels in the order the backend named them, each name once.
    pub channels: Vec<Channel>,
    /// A long-poll is answered after this long. At least 5 s; default 55 s.
    pub timeout: Duration,
    /// What a quiet stream says, if the backend asked for it.
    pub keep_alive: Option<KeepAlive>,
    /// Subscription meta.
    pub meta: Meta,
    /// Where to go on, and whom to tell at the end.
    pub links: Links,
    /// The response for the client: at once, at the start of a stream, or at a long-poll's timeout.
    pub response: Response,
    /// What the backend wrote that has no effect, though it was surely meant to have one. For the
    /// log: such an instruct is obeyed all the same.
    pub warnings: Vec<InstructWarning>,
}

impl Instruct {
    /// Reads the instruct out of a backend's whole answer: code, reason, all headers, and the
    /// body with any content encoding undone.
    ///
    /// The result's `response` is the client's: without `Grip-*`, hop-by-hop, framing and content
    /// encoding headers, reduced to `Grip-Expose-Headers` if that is given.
    ///
    /// # Errors
    /// Names the header or JSON field at fault, and what is allowed. Nothing has been sent to the
    /// client then; it gets a 502.
    pub fn parse(response: Response) -> Result<Self, InstructError> {
        response::check(&response)?;
        let mut draft = headers::read(&response.headers)?;
        let response = if json::is_json_answer(&response.headers) {
            json::overlay(&mut draft, &response)?
        } else {
            response::client(response, &draft)
        };
        if !super::status::SENDABLE.contains(&response.code) {
            return Err(InstructError::Unsendable {
                code: response.code,
            });
        }
        Ok(draft.finish(response))
    }
}

/// How a request is held. An instruct names one of the first two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Mode {
    /// Long-poll: nothing is sent until an item or the timeout answers.
    Response,
    /// Stream: the response begins at once and items are appended to it.
    Stream,
    /// WebSocket: items become messages.
    Message,
}

/// `Grip-Keep-Alive`, or `hold.keep-alive` of the JSON form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeepAlive {
    /// Bytes to send. Empty: the timer runs and sends nothing.
    pub data: Bytes,
    /// Restarted by traffic, or not.
    pub mode: KeepAliveMode,
    /// Interval, at least 1 s, default 55 s. Up to 999 ms are taken off at random.
    pub timeout: Duration,
}

/// When a keep-alive is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeepAliveMode {
    /// After this long without anything sent.
    Idle,
    /// Every so often, whatever else is sent.
    Interval,
}

/// The client's response, as the instruct leaves it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// Status code.
    pub code: u16,
    /// Reason phrase; may be empty.
    pub reason: String,
    /// Headers without hop-by-hop, framing and `Grip-*` ones, in order.
    pub headers: Vec<Header>,
    /// Body, decoded.
    pub body: Bytes,
}
