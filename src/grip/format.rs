//! The forms of an item: what it says to a long-poll, to a stream and to a WebSocket.

use bytes::Bytes;

use super::{instruct::Header, patch};

pub use super::patch::PatchError;

/// The forms one item has. At least one is set, unless the item named only forms gripd does not
/// know.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Formats {
    /// `http-response`: answers a long-poll.
    pub response: Option<ResponseFormat>,
    /// `http-stream`: goes to held streams.
    pub stream: Option<StreamFormat>,
    /// `ws-message`: goes to WebSockets.
    pub message: Option<MessageFormat>,
}

/// What an `http-response` form asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum ResponseFormat {
    /// Answer the request with this.
    Send(ResponseContent),
    /// There is news: ask the backend again.
    Hint,
    /// No meaning for a long-poll; accepted.
    Close,
    /// No meaning for a long-poll; accepted.
    Refresh,
}

/// The answer of an `http-response` form.
#[derive(Clone, Debug, PartialEq)]
pub struct ResponseContent {
    /// Status code, 200 when the item names none.
    pub code: u16,
    /// Reason phrase; `None`: the code's standard phrase.
    pub reason: Option<String>,
    /// Headers that replace those of the instruct by name, in the item's order.
    pub headers: Vec<Header>,
    /// The body.
    pub body: ResponseBody,
    /// Filters the subscription must have, if the item says so.
    pub content_filters: Option<Vec<String>>,
}

/// The body of an `http-response` form.
#[derive(Clone, Debug, PartialEq)]
pub enum ResponseBody {
    /// These bytes.
    Bytes(Bytes),
    /// A JSON Patch (RFC 6902) to the instruct's body.
    Patch(json_patch::Patch),
}

impl ResponseBody {
    /// The body to send to a long-poll whose instruct had the body `original`.
    ///
    /// A patched body is compact JSON with object keys sorted, and ends with the line end of the
    /// original, if that had one.
    ///
    /// # Errors
    /// Bytes never fail. A patch fails when the original is not a JSON object or list, when an
    /// operation does not fit it, or when the result would grow out of bounds.
    pub fn apply(&self, original: &[u8]) -> Result<Bytes, PatchError> {
        match self {
            Self::Bytes(body) => Ok(body.clone()),
            Self::Patch(patch) => patch::apply(patch, original),
        }
    }
}

/// What an `http-stream` form asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StreamFormat {
    /// Append these bytes to the stream.
    Send {
        /// The bytes, exactly as they go out.
        content: Bytes,
        /// Filters the subscription must have, if the item says so.
        content_filters: Option<Vec<String>>,
    },
    /// There is news: fetch the next link.
    Hint,
    /// End the stream.
    Close,
    /// No meaning for a stream; accepted.
    Refresh,
}

/// What a `ws-message` form asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MessageFormat {
    /// Send this message.
    Send {
        /// Text, binary, ping or pong.
        kind: MessageKind,
        /// The payload.
        content: Bytes,
        /// Filters the subscription must have, if the item says so.
        content_filters: Option<Vec<String>>,
    },
    /// There is news: ask the backend.
    Hint,
    /// Close the connection.
    Close {
        /// Close code, if the item names one; not checked for what may go on the wire.
        code: Option<u32>,
        /// Close reason.
        reason: Option<String>,
    },
    /// Ask the backend with an empty request.
    Refresh,
}

/// Kind of a WebSocket message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageKind {
    /// UTF-8 text.
    Text,
    /// Bytes.
    Binary,
    /// Ping control frame.
    Ping,
    /// Pong control frame.
    Pong,
}
