//! The one writer of HTTP/1 response heads: for held requests, whose HTTP library is gone, and for
//! refusals, where it never came. Answers that pass straight through are the library's.
//!
//! Source: RFC 9112 sections 4 to 6 and 9. Nothing here fails: what must not stand in a head was
//! refused at the door it came in by (instruct, publish, routes); what slipped through is left out
//! here, so that no value can ever end a line.

use super::gate::{Version, is_control, is_token};

/// A response head, ready to be written.
#[derive(Clone, Debug)]
pub struct Answer<'a, H> {
    /// Version of the status line: that of the request.
    pub version: Version,
    /// Status, 100 to 999; anything else is written as 500.
    pub code: u16,
    /// Reason, which may be empty. One that cannot be sent is left out.
    pub reason: &'a str,
    /// Header names and values, written in this order. Left out: those that this writer decides
    /// about (`Connection`, `Content-Length`, `Keep-Alive`, `Transfer-Encoding`), and those that
    /// cannot be sent. Names are written as they are spelled.
    pub headers: H,
    /// How the client learns where the body ends.
    pub framing: Framing,
    /// What becomes of the connection after this answer.
    pub connection: Connection,
    /// Value of `Date`, written unless `headers` has one; empty: none.
    pub date: &'a str,
}

/// How the client learns where the body of an answer ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// `Transfer-Encoding: chunked`. On HTTP/1.0, which has none, this is [`Framing::UntilClose`].
    Chunked,
    /// This many bytes. Also for the answer to `HEAD`, where they are not sent.
    Length(u64),
    /// There is no body and no header about one. So whatever is asked for 1xx, 204 and 304.
    NoBody,
    /// The end of the connection ends the body.
    UntilClose,
}

/// What becomes of the connection after an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connection {
    /// It is closed.
    Close,
    /// It takes the next request.
    KeepAlive,
    /// It leaves HTTP (status 101).
    Upgrade,
}

impl<'a, H> Answer<'a, H>
where
    H: IntoIterator<Item = (&'a str, &'a [u8])>,
{
    /// Appends the head with its empty line to `out`.
    pub fn write(self, out: &mut Vec<u8>) {
        let framing = self.framing();
        let connection = self.connection_line(framing);
        let code = if (100..=999).contains(&self.code) {
            self.code
        } else {
            500
        };
        let text = if self.reason.bytes().any(is_control) {
            ""
        } else {
            self.reason
        };
        out.extend_from_slice(self.version.as_str().as_bytes());
        out.extend_from_slice(format!(" {code} {text}\r\n").as_bytes());
        let mut dated = self.date.is_empty() || self.date.bytes().any(is_control);
        for (name, value) in self.headers {
            if is_ours(name) || !is_token(name.as_bytes()) || value.iter().copied().any(is_control)
            {
                continue;
            }
            dated |= name.eq_ignore_ascii_case("date");
            write_line(name, value, out);
        }
        if !dated {
            write_line("Date", self.date.as_bytes(), out);
        }
        match framing {
            Framing::Chunked => write_line("Transfer-Encoding", b"chunked", out),
            Framing::Length(length) => {
                write_line("Content-Length", length.to_string().as_bytes(), out);
            }
            Framing::NoBody | Framing::UntilClose => {}
        }
        if let Some(value) = connection {
            write_line("Connection", value, out);
        }
        out.extend_from_slice(b"\r\n");
    }

    fn framing(&self) -> Framing {
        match (self.code, self.framing) {
            (100..=199 | 204 | 304, _) => Framing::NoBody,
            (_, Framing::Chunked) if self.version == Version::Http10 => Framing::UntilClose,
            (_, framing) => framing,
        }
    }

    /// Only what differs from the version's default is written, but `close` always is.
    fn connection_line(&self, framing: Framing) -> Option<&'static [u8]> {
        match (self.connection, self.version) {
            (Connection::Close, _) => Some(b"close"),
            (Connection::Upgrade, _) => Some(b"Upgrade"),
            _ if framing == Framing::UntilClose => Some(b"close"),
            (Connection::KeepAlive, Version::Http10) => Some(b"keep-alive"),
            (Connection::KeepAlive, Version::Http11) => None,
        }
    }
}

fn write_line(name: &str, value: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

fn is_ours(name: &str) -> bool {
    OURS.iter().any(|ours| name.eq_ignore_ascii_case(ours))
}

const OURS: [&str; 4] = [
    "connection",
    "content-length",
    "keep-alive",
    "transfer-encoding",
];

#[cfg(test)]
mod tests;
