//! An answer of the control port: made by [`api`](super::api), written by the connection as one
//! buffer. Nothing a client sent becomes a header.

use std::{borrow::Cow, time::SystemTime};

use super::{credentials::Denied, fault::Fault, guard::Foreign};
use crate::{
    grip::status::reason,
    http1::{
        answer::{self, Connection, Framing},
        gate::Version,
    },
};

/// An answer, complete but for what depends on the connection.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    status: u16,
    kind: &'static str,
    /// More headers.
    extra: Vec<(&'static str, Cow<'static, str>)>,
    body: String,
}

/// How an answer is written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Manner {
    /// Of the client.
    pub(super) version: Version,
    /// Without the body.
    pub(super) head_only: bool,
    /// The connection is used again.
    pub(super) keep_alive: bool,
}

const TEXT: &str = "text/plain; charset=utf-8";
const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";
const JSON: &str = "application/json";

impl Answer {
    /// A sentence. A line end is added.
    pub(super) fn text(status: u16, sentence: impl Into<String>) -> Self {
        let mut body = sentence.into();
        body.push('\n');
        Self {
            status,
            kind: TEXT,
            extra: Vec::new(),
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

    /// A page of numbers in the Prometheus text format.
    pub(super) fn metrics(page: String) -> Self {
        Self {
            status: 200,
            kind: METRICS,
            extra: Vec::new(),
            body: page,
        }
    }

    /// The same with one more header.
    pub(super) fn with(mut self, name: &'static str, value: impl Into<Cow<'static, str>>) -> Self {
        self.extra.push((name, value.into()));
        self
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
        let mut out = Vec::with_capacity(256 + self.body.len());
        let kind = [("Content-Type", self.kind)];
        let extra = self.extra.iter().map(|(name, value)| (*name, &**value));
        let lines = kind.into_iter().chain(extra);
        answer::Answer {
            version: manner.version,
            code: self.status,
            reason: reason(self.status),
            headers: lines.map(|(name, value)| (name, value.as_bytes())),
            framing: Framing::Length(self.body.len() as u64),
            connection: if manner.keep_alive {
                Connection::KeepAlive
            } else {
                Connection::Close
            },
            date: &httpdate::fmt_http_date(now),
        }
        .write(&mut out);
        if !manner.head_only {
            out.extend_from_slice(self.body.as_bytes());
        }
        out
    }
}

impl From<Fault> for Answer {
    fn from(fault: Fault) -> Self {
        Self::text(fault.status(), fault.to_string())
    }
}

impl From<Foreign> for Answer {
    fn from(foreign: Foreign) -> Self {
        Self::text(403, foreign.to_string())
    }
}

impl From<Denied> for Answer {
    fn from(denied: Denied) -> Self {
        let answer = Self::text(401, denied.to_string());
        let challenges = denied.challenges();
        challenges.fold(answer, |answer, how| answer.with("WWW-Authenticate", how))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(answer: &Answer, version: Version, head_only: bool, keep_alive: bool) -> String {
        let manner = Manner {
            version,
            head_only,
            keep_alive,
        };
        String::from_utf8(answer.encode(manner, SystemTime::UNIX_EPOCH)).unwrap()
    }

    #[test]
    fn answers_are_written_as_the_connection_needs_them() {
        let rest = "405 Method Not Allowed\r\nContent-Type: text/plain; charset=utf-8\r\n\
                    Allow: POST\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\nContent-Length: 3\r\n";
        let answer = Answer::text(405, "No").with("Allow", "POST");
        assert_eq!(
            encoded(&answer, Version::Http11, false, true),
            format!("HTTP/1.1 {rest}\r\nNo\n")
        );
        assert_eq!(
            encoded(&answer, Version::Http11, true, false),
            format!("HTTP/1.1 {rest}Connection: close\r\n\r\n")
        );
        assert_eq!(
            encoded(&answer, Version::Http10, false, true),
            format!("HTTP/1.0 {rest}Connection: keep-alive\r\n\r\nNo\n")
        );
        let json = encoded(&Answer::json(200, "{}"), Version::Http11, false, true);
        assert!(json.contains("Content-Type: application/json\r\n"));
    }
}
