//! One request's head: where it ends, and what of it the control port needs. Pure: bytes go in,
//! a [`Head`] that borrows from them or a [`Fault`] comes out.
//!
//! Source: RFC 9112 sections 2 to 6. Stricter than it where a lax reading has been used to smuggle
//! requests: no bare LF, one `Host`, one `Content-Length` of digits only and never beside
//! `Transfer-Encoding`. Methods that usually have a body must say how long it is (411), as
//! Pushpin demands.

use httparse::Status;

use super::fault::{Fault, MAX_HEADERS};

/// What the control port looks at of a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Head<'a> {
    /// The method as sent.
    pub(super) method: &'a str,
    /// The path as sent, without query and without one trailing `/`; so the root is empty.
    pub(super) path: &'a str,
    /// The host and port asked for: that of an absolute target, else of `Host`.
    pub(super) authority: Option<&'a [u8]>,
    /// Values of `Accept`.
    pub(super) accept: Vec<&'a [u8]>,
    /// Values of `Origin`.
    pub(super) origins: Vec<&'a [u8]>,
    /// Values of `Sec-Fetch-Site`.
    pub(super) fetch_sites: Vec<&'a [u8]>,
    /// How the body ends.
    pub(super) framing: Framing,
    /// The client waits for `100 Continue` before it sends the body.
    pub(super) expects_continue: bool,
    /// An HTTP/1.0 request.
    pub(super) old: bool,
    /// The client wants to use the connection again.
    pub(super) keep_alive: bool,
}

/// How a request's body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// In chunks.
    Chunked,
    /// After this many bytes.
    Length(usize),
}

/// Finds the end of a head. `scanned` says how many bytes of `buf` were looked at by earlier calls
/// and is moved on, so that a head that trickles in is read once.
///
/// # Errors
/// [`Fault::BareLf`] as soon as a line ends without CR.
pub(super) fn find_end(buf: &[u8], scanned: &mut usize) -> Result<Option<usize>, Fault> {
    let from = *scanned;
    for at in memchr::memchr_iter(b'\n', &buf[from..]).map(|at| at + from) {
        *scanned = at + 1;
        let line = &buf[..at];
        if !line.ends_with(b"\r") {
            return Err(Fault::BareLf);
        }
        if line.ends_with(b"\r\n\r") {
            return Ok(Some(at + 1));
        }
    }
    *scanned = buf.len();
    Ok(None)
}

impl<'a> Head<'a> {
    /// Parses a complete head, as [`find_end`] cuts it. `max_body` in bytes.
    ///
    /// # Errors
    /// The first [`Fault`] found.
    pub(super) fn parse(head: &'a [u8], max_body: usize) -> Result<Self, Fault> {
        let mut lines = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut request = httparse::Request::new(&mut lines);
        match request.parse(head) {
            Ok(Status::Complete(_)) => {}
            Ok(Status::Partial) => return Err(Fault::Malformed(httparse::Error::NewLine)),
            Err(httparse::Error::TooManyHeaders) => return Err(Fault::TooManyHeaders),
            Err(error) => return Err(Fault::Malformed(error)),
        }
        let method = request.method.unwrap_or_default();
        let old = request.version == Some(0);
        let fields = Fields::collect(request.headers);
        let (target_host, path) = split_target(request.path.unwrap_or_default());
        let authority = match fields.hosts[..] {
            [] if !old => return Err(Fault::HostMissing),
            [] => target_host,
            [host] => Some(target_host.unwrap_or(host)),
            _ => return Err(Fault::HostTwice),
        };
        Ok(Self {
            method,
            path,
            authority,
            framing: fields.framing(method, old, max_body)?,
            expects_continue: fields.expectation(old)?,
            old,
            keep_alive: !fields.closes && (!old || fields.keeps),
            accept: fields.accept,
            origins: fields.origins,
            fetch_sites: fields.fetch_sites,
        })
    }
}

/// The header lines that matter, sorted by name.
#[derive(Default)]
struct Fields<'a> {
    accept: Vec<&'a [u8]>,
    hosts: Vec<&'a [u8]>,
    origins: Vec<&'a [u8]>,
    fetch_sites: Vec<&'a [u8]>,
    lengths: Vec<&'a [u8]>,
    codings: Vec<&'a [u8]>,
    expectations: Vec<&'a [u8]>,
    closes: bool,
    keeps: bool,
}

impl<'a> Fields<'a> {
    fn collect(lines: &[httparse::Header<'a>]) -> Self {
        let mut fields = Self::default();
        for line in lines {
            let value = line.value.trim_ascii();
            let name = line.name;
            let is = |known: &str| name.eq_ignore_ascii_case(known);
            if is("host") {
                fields.hosts.push(value);
            } else if is("content-length") {
                fields.lengths.push(value);
            } else if is("accept") {
                fields.accept.push(value);
            } else if is("connection") {
                fields.connection(value);
            } else if is("origin") {
                fields.origins.push(value);
            } else if is("sec-fetch-site") {
                fields.fetch_sites.push(value);
            } else if is("transfer-encoding") {
                fields.codings.push(value);
            } else if is("expect") {
                fields.expectations.push(value);
            }
        }
        fields
    }

    fn connection(&mut self, value: &[u8]) {
        for token in value.split(|b| *b == b',').map(<[u8]>::trim_ascii) {
            self.closes |= token.eq_ignore_ascii_case(b"close");
            self.keeps |= token.eq_ignore_ascii_case(b"keep-alive");
        }
    }

    fn framing(&self, method: &str, old: bool, max_body: usize) -> Result<Framing, Fault> {
        match (&self.lengths[..], &self.codings[..]) {
            ([], []) if matches!(method, "GET" | "HEAD" | "DELETE" | "OPTIONS") => {
                Ok(Framing::Length(0))
            }
            ([], []) => Err(Fault::LengthRequired),
            ([length], []) => content_length(length, max_body).map(Framing::Length),
            ([], _) if old => Err(Fault::TransferInOld),
            ([], [coding]) if coding.eq_ignore_ascii_case(b"chunked") => Ok(Framing::Chunked),
            ([], _) => Err(Fault::TransferCoding),
            (_, []) => Err(Fault::BadLength),
            _ => Err(Fault::LengthAndChunked),
        }
    }

    fn expectation(&self, old: bool) -> Result<bool, Fault> {
        let known = |value: &&[u8]| value.eq_ignore_ascii_case(b"100-continue");
        if old {
            // RFC 9110 section 10.1.1: ignored there.
            Ok(false)
        } else if self.expectations.iter().all(known) {
            Ok(!self.expectations.is_empty())
        } else {
            Err(Fault::Expectation)
        }
    }
}

fn content_length(value: &[u8], max_body: usize) -> Result<usize, Fault> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return Err(Fault::BadLength);
    }
    // All digits: what does not fit a number is too large.
    std::str::from_utf8(value)
        .ok()
        .and_then(|digits| digits.parse().ok())
        .filter(|length| *length <= max_body)
        .ok_or(Fault::BodyTooLarge(max_body))
}

/// The authority of an absolute target, and the path without query and one trailing `/`.
fn split_target(target: &str) -> (Option<&[u8]>, &str) {
    let (authority, rest) = match target.split_once("://") {
        Some((scheme, rest)) if !scheme.contains('/') && !scheme.contains('?') => {
            let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
            let (authority, rest) = rest.split_at(end);
            (Some(authority.as_bytes()), rest)
        }
        _ => (None, target),
    };
    let path = rest.split(['?', '#']).next().unwrap_or_default();
    (authority, path.strip_suffix('/').unwrap_or(path))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn framing(lines: &str) -> Result<Framing, Fault> {
        let head = format!("POST /publish HTTP/1.1\r\nHost: a\r\n{lines}\r\n");
        Head::parse(head.as_bytes(), 100).map(|head| head.framing)
    }

    #[test]
    fn bodies_are_framed_one_way_or_not_at_all() {
        let table: &[(&str, Result<Framing, Fault>)] = &[
            ("Content-Length: 0\r\n", Ok(Framing::Length(0))),
            ("content-length:  100 \r\n", Ok(Framing::Length(100))),
            ("Transfer-Encoding: Chunked\r\n", Ok(Framing::Chunked)),
            ("", Err(Fault::LengthRequired)),
            ("Content-Length: 101\r\n", Err(Fault::BodyTooLarge(100))),
            (
                "Content-Length: 99999999999999999999999\r\n",
                Err(Fault::BodyTooLarge(100)),
            ),
            ("Content-Length: +1\r\n", Err(Fault::BadLength)),
            ("Content-Length: 1x\r\n", Err(Fault::BadLength)),
            ("Content-Length:\r\n", Err(Fault::BadLength)),
            ("Content-Length: 1, 1\r\n", Err(Fault::BadLength)),
            (
                "Content-Length: 1\r\nContent-Length: 1\r\n",
                Err(Fault::BadLength),
            ),
            (
                "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n",
                Err(Fault::LengthAndChunked),
            ),
            (
                "Transfer-Encoding: gzip, chunked\r\n",
                Err(Fault::TransferCoding),
            ),
            (
                "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
                Err(Fault::TransferCoding),
            ),
            (
                "Content-Length : 1\r\n",
                Err(Fault::Malformed(httparse::Error::HeaderName)),
            ),
            (
                "A: b\r\n folded\r\n",
                Err(Fault::Malformed(httparse::Error::HeaderName)),
            ),
            (
                "A: b\0\r\n",
                Err(Fault::Malformed(httparse::Error::HeaderValue)),
            ),
            (
                "Expect: 200-ok\r\nContent-Length: 1\r\n",
                Err(Fault::Expectation),
            ),
            ("Host: b\r\nContent-Length: 1\r\n", Err(Fault::HostTwice)),
        ];
        for (lines, expected) in table {
            assert_eq!(framing(lines), *expected, "{lines:?}");
        }
        let many = "A: b\r\n".repeat(MAX_HEADERS);
        assert_eq!(framing(&many), Err(Fault::TooManyHeaders));
    }

    #[test]
    fn the_path_loses_query_and_one_slash() {
        let table = [
            ("/", "", None),
            ("/?x=1", "", None),
            ("/publish", "/publish", None),
            ("/publish/", "/publish", None),
            ("/publish/?x=/", "/publish", None),
            ("/publish//", "/publish/", None),
            ("/a?u=http://b/", "/a", None),
            ("http://b:1/publish?x", "/publish", Some("b:1")),
            ("HTTP://b", "", Some("b")),
            ("*", "*", None),
        ];
        for (target, path, authority) in table {
            assert_eq!(
                split_target(target),
                (authority.map(str::as_bytes), path),
                "{target}"
            );
        }
    }

    #[test]
    fn connections_are_kept_as_each_version_says() {
        let table = [
            ("1.1", "", true),
            ("1.1", "Connection: foo, Close\r\n", false),
            ("1.0", "", false),
            ("1.0", "Connection: Keep-Alive\r\n", true),
            (
                "1.0",
                "Connection: keep-alive\r\nConnection: close\r\n",
                false,
            ),
        ];
        for (version, lines, keep) in table {
            let head = format!("GET / HTTP/{version}\r\nHost: a\r\n{lines}\r\n");
            let head = Head::parse(head.as_bytes(), 0).unwrap();
            assert_eq!(head.keep_alive, keep, "{version} {lines:?}");
        }
    }

    #[test]
    fn an_absolute_target_names_the_host() {
        let head = Head::parse(b"GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n", 0).unwrap();
        assert_eq!(head.authority, Some(&b"b"[..]));
        assert_eq!(
            Head::parse(b"GET / HTTP/1.1\r\n\r\n", 0),
            Err(Fault::HostMissing)
        );
        let old = Head::parse(b"GET / HTTP/1.0\r\n\r\n", 0).unwrap();
        assert_eq!(old.authority, None);
    }

    #[test]
    fn versions_but_one_are_refused() {
        for version in ["HTTP/2.0", "HTTP/0.9", "HTTP/1.2"] {
            let head = format!("GET / {version}\r\nHost: a\r\n\r\n");
            let fault = Head::parse(head.as_bytes(), 0);
            assert_eq!(fault, Err(Fault::Malformed(httparse::Error::Version)));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(head in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Head::parse(&head, 100);
            let _ = find_end(&head, &mut 0);
        }

        #[test]
        fn any_lines_are_read(lines in "([A-Za-z-]{1,18}: ?[ -~]{0,20}\r\n){0,8}") {
            let _ = framing(&lines);
        }

        #[test]
        fn the_end_is_found_however_it_trickles_in(
            lines in "([a-z]{0,6}\r\n){0,6}",
            cuts in proptest::collection::vec(0_usize..60, 0..8),
        ) {
            let whole = format!("{lines}x\r\n\r\nrest");
            let at_once = find_end(whole.as_bytes(), &mut 0).unwrap();
            prop_assert!(at_once.is_some());
            let mut cuts: Vec<_> = cuts.into_iter().filter(|at| *at < whole.len()).collect();
            cuts.sort_unstable();
            cuts.push(whole.len());
            let mut scanned = 0;
            let found = cuts
                .iter()
                .find_map(|at| find_end(&whole.as_bytes()[..*at], &mut scanned).unwrap());
            prop_assert_eq!(found, at_once);
        }
    }
}
