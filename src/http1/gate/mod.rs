//! The gate: the strict check of each request head, and where its body ends.
//!
//! It stands before the HTTP library: every byte of a client passes here first, so that what the
//! library (and the backend behind it) sees has exactly one reading. It decides nothing about
//! routes or meaning, changes no byte, and holds no socket and no clock.
//!
//! Source: RFC 9112 sections 2.2, 3, 5, 6, 7.1 and 11; stricter than them wherever they allow a
//! recipient to be lenient. Heads are read line by line rather than by httparse, so that a fault
//! can name its line; httparse is the judge in the tests: what passes here must pass there too.
//!
//! The life of one request: [`scan_head`] until it says `Some`, then [`BodyScan`] with the head's
//! [`Framing`] until [`BodyScan::is_done`], then the next head.

mod body;
mod fault;
mod field;
mod head;
mod target;
#[cfg(test)]
mod tests;

pub use body::BodyScan;
pub use fault::{Coding, Fault, Target};
pub(super) use field::{is_control, is_token};
pub use head::{scan_head, scan_head_from};

/// Most of everything in one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the head, from the method to the empty line. Default 64 KiB.
    pub head: usize,
    /// Bytes of the request target. Default 16 KiB.
    pub target: usize,
    /// Header lines. Default 128.
    pub headers: usize,
    /// Bytes of the body. Default 0: no limit.
    pub body: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head: 64 << 10,
            target: 16 << 10,
            headers: 128,
            body: 0,
        }
    }
}

/// What the gate tells about a head that passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts of one head, not the states of a machine"
)]
pub struct Head {
    /// Bytes up to and with the empty line, empty lines before the request line included.
    pub len: usize,
    /// The client's protocol version.
    pub version: Version,
    /// Header lines.
    pub headers: usize,
    /// How the body is delimited.
    pub framing: Framing,
    /// The client waits for `100 Continue` before it sends the body. False where there is no body
    /// to wait for, and on HTTP/1.0, which has no such answer.
    pub expects_continue: bool,
    /// What version and `Connection` say about the connection's life after the answer.
    pub keep_alive: bool,
    /// The client asks for another protocol (`Connection: upgrade` with an `Upgrade` header).
    pub upgrade: bool,
    /// The method is `HEAD`: the answer has no body.
    pub head_method: bool,
}

/// The HTTP/1 versions gripd speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// HTTP/1.0.
    Http10,
    /// HTTP/1.1.
    Http11,
}

impl Version {
    /// As it stands in a status line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http10 => "HTTP/1.0",
            Self::Http11 => "HTTP/1.1",
        }
    }
}

/// How a request's body is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// There is none.
    None,
    /// This many bytes (`Content-Length`).
    Length(u64),
    /// `Transfer-Encoding: chunked`.
    Chunked,
}
