//! A request written down: whatever the library has let pass, it is one whole head that says the
//! same, or it is refused. It is never the beginning of a head, nor one with more behind it.

use http::{
    Request,
    uri::{Authority, Parts as UriParts, PathAndQuery, Scheme},
};
use proptest::{collection::vec, option, prelude::*, sample::select};

use super::*;
use crate::http1::gate::{Framing, Version};

/// Bytes of which many mean something to somebody.
fn text(len: usize) -> impl Strategy<Value = Vec<u8>> {
    let known = select(&b"/?#:@[]%, \t\r\n\0\x7f\xff-_.*0aAZ\"<>"[..]);
    vec(prop_oneof![3 => known, 1 => any::<u8>()], 0..len)
}

fn method() -> impl Strategy<Value = Method> {
    let known = select(&["GET", "HEAD", "POST", "OPTIONS", "CONNECT", "PRI"][..]);
    prop_oneof![
        3 => known.prop_map(|name| name.as_bytes().to_vec()),
        1 => text(40),
    ]
    .prop_filter_map("no method", |name| Method::from_bytes(&name).ok())
}

fn authority() -> impl Strategy<Value = Authority> {
    let known = select(&["a.test", "a.test:80", "[::1]:8080", "user@a.test"][..]);
    prop_oneof![
        3 => known.prop_map(|name| name.as_bytes().to_vec()),
        1 => text(12),
    ]
    .prop_filter_map("no authority", |name| {
        Authority::from_maybe_shared(Bytes::from(name)).ok()
    })
}

fn path() -> impl Strategy<Value = PathAndQuery> {
    let with_slash = |mut text: Vec<u8>| {
        text.insert(0, b'/');
        text
    };
    prop_oneof![4 => text(20).prop_map(with_slash), 1 => text(8), 1 => Just(b"*".to_vec())]
        .prop_filter_map("no path", |path| {
            PathAndQuery::from_maybe_shared(Bytes::from(path)).ok()
        })
}

fn header() -> impl Strategy<Value = (HeaderName, HeaderValue)> {
    let names = [
        "host",
        "content-length",
        "transfer-encoding",
        "expect",
        "connection",
        "cookie",
        "x-own",
    ];
    let name = prop_oneof![
        2 => select(names.to_vec()).prop_map(|name| name.as_bytes().to_vec()),
        1 => text(8),
    ]
    .prop_filter_map("no name", |name| HeaderName::from_bytes(&name).ok());
    let values = ["a.test", "0", "5", "chunked", "100-continue", "close"];
    let value = prop_oneof![
        1 => select(values.to_vec()).prop_map(|value| value.as_bytes().to_vec()),
        1 => text(20),
    ]
    .prop_filter_map("no value", |value| HeaderValue::from_bytes(&value).ok());
    (name, value)
}

fn head() -> impl Strategy<Value = Parts> {
    let uri = (option::of(authority()), option::of(path()));
    (method(), uri, vec(header(), 0..6)).prop_filter_map("no request", |(method, uri, headers)| {
        let mut parts = UriParts::default();
        (parts.authority, parts.path_and_query) = uri;
        // As the library does it.
        parts.scheme = parts.authority.as_ref().and(Some(Scheme::HTTP));
        if method == Method::CONNECT {
            (parts.scheme, parts.path_and_query) = (None, None);
        }
        let mut request = Request::builder().method(method);
        request = request.uri(Uri::from_parts(parts).ok()?);
        request.headers_mut()?.extend(headers);
        Some(request.body(()).ok()?.into_parts().0)
    })
}

/// Names and values, as a reader of HTTP/1 finds them.
fn read(text: &[u8]) -> (String, String, Vec<(String, Vec<u8>)>) {
    let mut room = [httparse::EMPTY_HEADER; 16];
    let mut request = httparse::Request::new(&mut room);
    let parsed = request.parse(text);
    assert_eq!(parsed, Ok(httparse::Status::Complete(text.len())));
    let headers = request.headers.iter();
    let headers = headers.map(|header| (header.name.to_owned(), header.value.to_vec()));
    let (method, path) = (request.method.unwrap(), request.path.unwrap());
    (method.to_owned(), path.to_owned(), headers.collect())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn a_request_passes_as_one_whole_head_or_not_at_all(
        mut head in head(), has_body in any::<bool>()
    ) {
        join_cookies(&mut head.headers);
        let text = write(&head, has_body);
        let Ok(found) = scan_head(&text, &gate::Limits::default()) else {
            return Ok(());
        };
        let found = found.expect("never only a beginning");
        prop_assert_eq!(found.len, text.len());
        prop_assert_eq!(found.version, Version::Http11);
        let (method, target, headers) = read(&text);
        prop_assert_eq!(&method, head.method.as_str());
        let path = head.uri.path_and_query().map(PathAndQuery::as_str);
        prop_assert_eq!(Some(&*target), path);
        // One host, the one that was asked for; one line of cookies; nothing that nobody said.
        let all = |name: &HeaderName| {
            let of = headers.iter().filter(|(other, _)| *name == **other);
            of.map(|(_, value)| value.trim_ascii().to_vec()).collect::<Vec<_>>()
        };
        prop_assert_eq!(all(&HOST).len(), 1);
        if let Some(authority) = head.uri.authority() {
            prop_assert_eq!(&all(&HOST)[0], authority.as_str().as_bytes());
        }
        prop_assert!(all(&COOKIE).len() < 2);
        for name in head.headers.keys().filter(|name| **name != HOST) {
            let said = head.headers.get_all(name).iter();
            let said: Vec<_> = said.map(|value| value.as_bytes().trim_ascii().to_vec()).collect();
            prop_assert_eq!(all(name), said, "{}", name);
        }
        let added = head.headers.keys_len() + usize::from(!head.headers.contains_key(HOST));
        let chunked = has_body && !head.headers.contains_key(CONTENT_LENGTH);
        let names: std::collections::BTreeSet<_> = headers.iter().map(|(name, _)| name).collect();
        prop_assert!(names.len() <= added + usize::from(chunked));
        if has_body {
            prop_assert_ne!(found.framing, Framing::None);
        }
    }
}
