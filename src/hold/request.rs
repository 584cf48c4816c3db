//! A client's request as a long-poll keeps it, so that it can be made again: one buffer with the
//! bytes of a whole request, which the front reads like any that has just come.

use http::request;

/// The lines of a head that has passed the gate, without their ends and without the empty one.
fn lines(head: &[u8]) -> impl Iterator<Item = &[u8]> {
    let lines = head.split(|byte| *byte == b'\n');
    lines
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
        .take_while(|line| !line.is_empty())
}

/// The request with this head, as it came, and this body: a head that says how long the body is,
/// whatever the first one said, and does not ask to be told to go on.
pub(super) fn kept(head: &[u8], body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(head.len() + body.len() + 32);
    let mut has_body = false;
    for (index, line) in lines(head).enumerate() {
        let name = line.split(|byte| *byte == b':').next().unwrap_or_default();
        let is = |other: &str| index > 0 && name.eq_ignore_ascii_case(other.as_bytes());
        let frames = is("Content-Length") || is("Transfer-Encoding");
        has_body |= frames;
        if !frames && !is("Expect") && !is("Trailer") {
            out.extend_from_slice(line);
            out.extend_from_slice(b"\r\n");
        }
    }
    if has_body {
        out.extend_from_slice(format!("Content-Length: {}\r\n", body.len()).as_bytes());
    }
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(body);
    out
}

/// A head that has passed the gate, parsed again.
pub fn parts(head: &[u8]) -> Option<request::Parts> {
    let mut lines = lines(head);
    let first = std::str::from_utf8(lines.next()?).ok()?;
    let mut words = first.split(' ');
    let mut builder = http::Request::builder()
        .method(words.next()?)
        .uri(words.next()?);
    for line in lines {
        let colon = line.iter().position(|byte| *byte == b':')?;
        builder = builder.header(&line[..colon], line[colon + 1..].trim_ascii());
    }
    Some(builder.body(()).ok()?.into_parts().0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_kept_with_its_length_and_without_what_was_for_the_first_time() {
        let table = [
            (
                "GET /a HTTP/1.1\r\nHost: h\r\n\r\n",
                "",
                "GET /a HTTP/1.1\r\nHost: h\r\n\r\n",
            ),
            (
                "POST / HTTP/1.1\r\nHOST: h\r\ntransfer-encoding: chunked\r\nExpect: 100-continue\
                 \r\nTrailer: X-A\r\nCookie: a=b:c\r\n\r\n",
                "abc",
                "POST / HTTP/1.1\r\nHOST: h\r\nCookie: a=b:c\r\nContent-Length: 3\r\n\r\nabc",
            ),
            (
                "POST / HTTP/1.0\r\nContent-Length: 0\r\n\r\n",
                "",
                "POST / HTTP/1.0\r\nContent-Length: 0\r\n\r\n",
            ),
        ];
        for (head, body, want) in table {
            let kept = kept(head.as_bytes(), body.as_bytes());
            assert_eq!(String::from_utf8_lossy(&kept), want);
        }
    }
}
