//! What the control port looks at of a request's head. Pure: borrows from the bytes of a head that
//! has passed the gate, where every line is sound and has one reading, so nothing can fail here.

use std::str::from_utf8;

/// What the control port looks at of a request.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Head<'a> {
    /// The method as sent.
    pub(super) method: &'a str,
    /// The path as sent, without query and without one trailing `/`; so the root is empty.
    pub(super) path: &'a str,
    /// The host and port asked for: that of an absolute target, else of `Host`.
    pub(super) authority: Option<&'a [u8]>,
    /// Values of `Authorization`.
    pub(super) authorization: Vec<&'a [u8]>,
    /// Values of `Accept`.
    pub(super) accept: Vec<&'a [u8]>,
    /// Values of `Origin`.
    pub(super) origins: Vec<&'a [u8]>,
    /// Values of `Sec-Fetch-Site`.
    pub(super) fetch_sites: Vec<&'a [u8]>,
}

impl<'a> Head<'a> {
    /// Reads a head that has passed the gate, whatever empty lines it begins and ends with.
    pub(super) fn read(head: &'a [u8]) -> Self {
        let mut lines = head.trim_ascii().split(|b| *b == b'\n');
        let mut words = lines.next().unwrap_or_default().split(|b| *b == b' ');
        let mut word = || from_utf8(words.next().unwrap_or_default()).unwrap_or_default();
        let method = word();
        let (target_host, path) = split_target(word());
        let mut head = Self {
            method,
            path,
            ..Self::default()
        };
        for line in lines {
            let (name, value) = line.split_at(memchr::memchr(b':', line).unwrap_or(line.len()));
            head.note(name, value.get(1..).unwrap_or_default().trim_ascii());
        }
        head.authority = target_host.or(head.authority);
        head
    }

    fn note(&mut self, name: &[u8], value: &'a [u8]) {
        let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        if is("host") {
            self.authority = Some(value);
        } else if is("authorization") {
            self.authorization.push(value);
        } else if is("accept") {
            self.accept.push(value);
        } else if is("origin") {
            self.origins.push(value);
        } else if is("sec-fetch-site") {
            self.fetch_sites.push(value);
        }
    }

    /// The method usually has a body; without a word on its length the request is refused, as
    /// Pushpin does it.
    pub(super) fn wants_length(&self) -> bool {
        !matches!(self.method, "GET" | "HEAD" | "DELETE" | "OPTIONS")
    }
}

/// The authority of an absolute target, and the path without query and one trailing `/`.
fn split_target(target: &str) -> (Option<&[u8]>, &str) {
    let (authority, rest) = match target.split_once("://") {
        Some((_, rest)) if !target.starts_with('/') => {
            let (authority, rest) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
            (Some(authority.as_bytes()), rest)
        }
        _ => (None, target),
    };
    let path = rest.split('?').next().unwrap_or_default();
    (authority, path.strip_suffix('/').unwrap_or(path))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::http1::gate::{Limits, scan_head};

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
    fn an_absolute_target_names_the_host() {
        let head = Head::read(b"GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(head.authority, Some(&b"b"[..]));
        let old = Head::read(b"\r\nGET / HTTP/1.0\r\n\r\n");
        assert_eq!((old.method, old.authority), ("GET", None));
    }

    proptest! {
        #[test]
        fn what_passes_the_gate_is_read_as_httparse_reads_it(
            target in "/[a-z]{0,4}",
            lines in "((Accept|authorization|ORIGIN|sec-fetch-site|x): {0,2}[ -~\t]{0,9}\r\n){0,6}",
        ) {
            let text = format!("\r\nPUT {target} HTTP/1.1\r\nHost: a:1\r\n{lines}\r\n");
            prop_assert!(scan_head(text.as_bytes(), &Limits::default()).unwrap().is_some());
            let mut headers = [httparse::EMPTY_HEADER; 8];
            let mut judge = httparse::Request::new(&mut headers);
            judge.parse(text.as_bytes()).unwrap();
            let values = |name: &str| {
                let of_name = judge.headers.iter().filter(|h| h.name.eq_ignore_ascii_case(name));
                of_name.map(|h| h.value.trim_ascii()).collect::<Vec<_>>()
            };
            let head = Head::read(text.as_bytes());
            prop_assert_eq!(Some(head.method), judge.method);
            prop_assert_eq!(head.authority, values("host").first().copied());
            prop_assert_eq!(&head.accept, &values("accept"));
            prop_assert_eq!(&head.authorization, &values("authorization"));
            prop_assert_eq!(&head.origins, &values("origin"));
            prop_assert_eq!(&head.fetch_sites, &values("sec-fetch-site"));
        }

        #[test]
        fn any_bytes_are_read(head in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Head::read(&head);
        }
    }
}
