//! The instruct: what a backend's answer tells gripd to do with the client's request.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;

use super::{channel::Channel, link::Links};

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
    /// Subscription meta. `None` as a value: named without one.
    pub meta: BTreeMap<String, Option<String>>,
    /// Where to go on, and whom to tell at the end.
    pub links: Links,
    /// The response for the client: at once, at the start of a stream, or at a long-poll's timeout.
    pub response: Response,
}

/// How a request is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Mode {
    /// Long-poll: nothing is sent until an item or the timeout answers.
    Response,
    /// Stream: the response begins at once and items are appended to it.
    Stream,
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
