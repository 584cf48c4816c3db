//! A backend's answer made fit for the client: without what concerns the backend's connection, and
//! with one framing at most (RFC 9112 section 6.3).

use http::{
    HeaderMap, HeaderValue, StatusCode, Version,
    header::{CONNECTION, CONTENT_LENGTH, TRAILER, TRANSFER_ENCODING, UPGRADE},
    response::Parts,
};

use super::headers::{is_hop_by_hop, listed, tokens};

/// Cleans an answer's head. Order and spelling are kept.
///
/// # Errors
/// What is wrong, when its framing cannot be trusted.
pub(super) fn clean(head: &mut Parts, trailers: bool) -> Result<(), String> {
    head.version = Version::HTTP_11;
    let length = length(&head.headers)?;
    let chunked = is_chunked(&head.headers)?;
    let bodiless = head.status.is_informational()
        || matches!(
            head.status,
            StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED
        );
    if !bodiless && is_plain(&head.headers) {
        return Ok(());
    }
    let headers = std::mem::take(&mut head.headers);
    let options: Vec<HeaderValue> = headers.get_all(CONNECTION).iter().cloned().collect();
    let named: Vec<&[u8]> = options.iter().flat_map(tokens).collect();
    let upgrades = matches!(
        head.status,
        StatusCode::SWITCHING_PROTOCOLS | StatusCode::UPGRADE_REQUIRED
    );
    let mut clean = HeaderMap::with_capacity(headers.len());
    for (name, value) in listed(headers) {
        let is_named = named
            .iter()
            .any(|other| other.eq_ignore_ascii_case(name.as_str().as_bytes()));
        if name == CONTENT_LENGTH {
            if let (Some(length), false, false) = (length, chunked, bodiless) {
                clean.insert(CONTENT_LENGTH, length.into());
            }
        } else if (name == UPGRADE && upgrades)
            || !(is_named || is_hop_by_hop(&name) || (name == TRAILER && !trailers))
        {
            clean.append(name, value);
        }
    }
    if clean.contains_key(UPGRADE) {
        clean.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    }
    head.headers = clean;
    Ok(())
}

/// Is there nothing in these headers that concerns the connection, trailers or the framing but one
/// length?
fn is_plain(headers: &HeaderMap) -> bool {
    let mut lengths = 0;
    headers.iter().all(|(name, value)| {
        if *name == CONTENT_LENGTH {
            lengths += 1;
            let is_usual = match value.as_bytes() {
                [b'0', _, ..] => false,
                digits => digits.iter().all(u8::is_ascii_digit),
            };
            return lengths == 1 && is_usual;
        }
        *name != TRAILER && !is_hop_by_hop(name)
    })
}

/// The one length that all `Content-Length`s agree on.
fn length(headers: &HeaderMap) -> Result<Option<u64>, String> {
    let mut found = None;
    for value in headers.get_all(CONTENT_LENGTH) {
        for word in value.as_bytes().split(|byte| *byte == b',') {
            let length = std::str::from_utf8(word.trim_ascii())
                .ok()
                .filter(|word| word.bytes().all(|byte| byte.is_ascii_digit()))
                .and_then(|word| word.parse::<u64>().ok())
                .ok_or("Content-Length is not a number")?;
            if found.is_some_and(|other| other != length) {
                return Err("two Content-Lengths differ".into());
            }
            found = Some(length);
        }
    }
    Ok(found)
}

/// Anything but plain `chunked` would reach the client undecoded.
fn is_chunked(headers: &HeaderMap) -> Result<bool, String> {
    let codings: Vec<&[u8]> = headers
        .get_all(TRANSFER_ENCODING)
        .iter()
        .flat_map(tokens)
        .collect();
    match codings.as_slice() {
        [] if headers.contains_key(TRANSFER_ENCODING) => Err("Transfer-Encoding is empty".into()),
        [] => Ok(false),
        [one] if one.eq_ignore_ascii_case(b"chunked") => Ok(true),
        _ => Err("Transfer-Encoding is not chunked".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cleaned(status: u16, trailers: bool, headers: &[(&str, &str)]) -> Result<String, String> {
        let mut response = http::Response::builder().status(status);
        for (name, value) in headers {
            response = response.header(*name, *value);
        }
        let mut head = response.body(()).unwrap().into_parts().0;
        clean(&mut head, trailers)?;
        let lines: Vec<_> = head
            .headers
            .iter()
            .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
            .collect();
        Ok(lines.join("; "))
    }

    #[test]
    fn hop_by_hop_goes_and_the_rest_keeps_its_order() {
        let sent = [
            ("x-a", "1"),
            ("connection", "keep-alive, X-Hop"),
            ("x-hop", "1"),
            ("keep-alive", "timeout=5"),
            ("set-cookie", "a"),
            ("set-cookie", "b"),
            ("content-encoding", "gzip"),
            ("grip-hold", "stream"),
            ("upgrade", "h2c"),
        ];
        assert_eq!(
            cleaned(200, false, &sent).unwrap(),
            "x-a: 1; set-cookie: a; set-cookie: b; content-encoding: gzip; grip-hold: stream"
        );
    }

    #[test]
    fn one_framing_at_most() {
        let garbage = |headers: &[(&str, &str)]| cleaned(200, false, headers).unwrap_err();
        let ok = |status, headers: &[(&str, &str)]| cleaned(status, false, headers).unwrap();
        let (one, two) = (("content-length", "5"), ("content-length", "6"));
        assert_eq!(garbage(&[one, two]), "two Content-Lengths differ");
        assert_eq!(
            garbage(&[("content-length", "5, 6")]),
            "two Content-Lengths differ"
        );
        assert_eq!(
            garbage(&[("content-length", "+5")]),
            "Content-Length is not a number"
        );
        assert_eq!(
            garbage(&[("content-length", "")]),
            "Content-Length is not a number"
        );
        let gzip = ("transfer-encoding", "gzip, chunked");
        assert_eq!(garbage(&[gzip]), "Transfer-Encoding is not chunked");
        assert_eq!(ok(200, &[one, one]), "content-length: 5");
        assert_eq!(ok(200, &[("content-length", "5, 5")]), "content-length: 5");
        assert_eq!(ok(200, &[("content-length", "05")]), "content-length: 5");
        assert_eq!(ok(200, &[one, ("transfer-encoding", "chunked")]), "");
        assert_eq!(ok(204, &[one]), "");
        assert_eq!(ok(304, &[one, ("etag", "x")]), "etag: x");
    }

    #[test]
    fn trailer_and_upgrade_pass_when_asked_for() {
        let sent = [
            ("trailer", "x-sum"),
            ("upgrade", "websocket"),
            ("connection", "upgrade"),
        ];
        assert_eq!(cleaned(200, true, &sent).unwrap(), "trailer: x-sum");
        assert_eq!(cleaned(200, false, &sent).unwrap(), "");
        let switched = cleaned(101, false, &sent).unwrap();
        assert_eq!(switched, "upgrade: websocket; connection: Upgrade");
    }
}
