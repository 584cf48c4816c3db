//! An answer of the control port: made by [`api`](super::api), written by the connection as one
//! buffer. Nothing a client sent becomes a header.

use std::{fmt::Write, time::SystemTime};

use super::{fault::Fault, guard::Foreign};

/// An answer, complete but for what depends on the connection.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    status: u16,
    kind: &'static str,
    /// One more header line, without line end.
    extra: Option<&'static str>,
    body: String,
}

/// How an answer is written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Manner {
    /// To an HTTP/1.0 client.
    pub(super) old: bool,
    /// Without the body.
    pub(super) head_only: bool,
    /// The connection is used again.
    pub(super) keep_alive: bool,
}

const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";

impl Answer {
    /// A sentence. A line end is added.
    pub(super) fn text(status: u16, sentence: impl Into<String>) -> Self {
        let mut body = sentence.into();
        body.push('\n');
        Self {
            status,
            kind: TEXT,
            extra: None,
            body,
        }
    }

    /// A JSON document. A line end is added.
    pub(super) fn json(status: u16, document: impl Into<String>) -> Self {
        Self {
            kind: JSON,
            ..Self::text(status, document)
        }
    }

    /// The same with one more header line, given without line end.
    pub(super) fn with(self, line: &'static str) -> Self {
        Self {
            extra: Some(line),
            ..self
        }
    }

    /// Its status code.
    pub(super) fn status(&self) -> u16 {
        self.status
    }

    /// Its body, for the log: the sentence without the line end, if it is one.
    pub(super) fn sentence(&self) -> &str {
        self.body.trim_end()
    }

    /// The bytes that go out. `now` becomes `Date`.
    pub(super) fn encode(&self, manner: Manner, now: SystemTime) -> Vec<u8> {
        let version = if manner.old { "1.0" } else { "1.1" };
        let mut out = String::with_capacity(256 + self.body.len());
        // Writing to a String cannot fail.
        let _ = write!(
            out,
            "HTTP/{version} {} {}\r\nDate: {}\r\nContent-Type: {}\r\nContent-Length: {}\r\n",
            self.status,
            reason(self.status),
            httpdate::HttpDate::from(now),
            self.kind,
            self.body.len(),
        );
        if let Some(extra) = self.extra {
            let _ = write!(out, "{extra}\r\n");
        }
        match (manner.keep_alive, manner.old) {
            (false, _) => out.push_str("Connection: close\r\n"),
            (true, true) => out.push_str("Connection: keep-alive\r\n"),
            (true, false) => {}
        }
        out.push_str("\r\n");
        if !manner.head_only {
            out.push_str(&self.body);
        }
        out.into_bytes()
    }
}

impl From<Fault> for Answer {
    fn from(fault: Fault) -> Self {
        Self::text(fault.status(), fault.to_string())
    }
}

impl From<&Foreign> for Answer {
    fn from(foreign: &Foreign) -> Self {
        Self::text(403, foreign.to_string())
    }
}

fn reason(status: u16) -> &'static str {
    http::StatusCode::from_u16(status)
        .ok()
        .and_then(|status| status.canonical_reason())
        .unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(answer: &Answer, old: bool, head_only: bool, keep_alive: bool) -> String {
        let manner = Manner {
            old,
            head_only,
            keep_alive,
        };
        String::from_utf8(answer.encode(manner, SystemTime::UNIX_EPOCH)).unwrap()
    }

    #[test]
    fn answers_are_written_as_the_connection_needs_them() {
        let rest = "Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n\
                    Content-Type: text/plain; charset=utf-8\r\nContent-Length: 3\r\n";
        let answer = Answer::text(405, "No").with("Allow: POST");
        let line = "405 Method Not Allowed\r\n";
        assert_eq!(
            encoded(&answer, false, false, true),
            format!("HTTP/1.1 {line}{rest}Allow: POST\r\n\r\nNo\n")
        );
        assert_eq!(
            encoded(&answer, false, true, false),
            format!("HTTP/1.1 {line}{rest}Allow: POST\r\nConnection: close\r\n\r\n")
        );
        assert_eq!(
            encoded(&answer, true, false, true),
            format!("HTTP/1.0 {line}{rest}Allow: POST\r\nConnection: keep-alive\r\n\r\nNo\n")
        );
        let json = encoded(&Answer::json(200, "{}"), false, false, true);
        assert!(json.contains("Content-Type: application/json\r\n"));
    }
}
