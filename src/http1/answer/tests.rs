//! What heads look like, byte by byte, and that a reader gets back what was written.

use proptest::prelude::*;

use super::*;

const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

fn sound<'a>(headers: &'a [(&'a str, &'a str)]) -> Answer<'a, Vec<(&'a str, &'a [u8])>> {
    Answer {
        version: Version::Http11,
        code: 200,
        reason: "OK",
        headers: headers.iter().map(|(n, v)| (*n, v.as_bytes())).collect(),
        framing: Framing::Length(3),
        connection: Connection::KeepAlive,
        date: "",
    }
}

fn written<'a, H: IntoIterator<Item = (&'a str, &'a [u8])>>(answer: Answer<'a, H>) -> String {
    let mut out = b"before ".to_vec();
    answer.write(&mut out);
    let text = String::from_utf8(out).unwrap();
    text.strip_prefix("before ").unwrap().to_owned()
}

#[test]
fn a_head_has_status_headers_date_and_framing_in_this_order() {
    let answer = Answer {
        date: DATE,
        ..sound(&[("X-b", "2"), ("Set-Cookie", "a"), ("Set-Cookie", "b")])
    };
    let want = "HTTP/1.1 200 OK\r\nX-b: 2\r\nSet-Cookie: a\r\nSet-Cookie: b\r\n\
        Date: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Length: 3\r\n\r\n";
    assert_eq!(written(answer), want);
}

#[test]
fn framing_and_connection_follow_version_and_status() {
    use Connection::{Close, KeepAlive};
    use Framing::{Chunked, Length, NoBody, UntilClose};
    use Version::{Http10, Http11};
    for (version, code, framing, connection, want) in [
        (Http11, 200, Length(3), KeepAlive, "Content-Length: 3\r\n"),
        (
            Http11,
            200,
            Length(0),
            Close,
            "Content-Length: 0\r\nConnection: close\r\n",
        ),
        (
            Http11,
            200,
            Chunked,
            KeepAlive,
            "Transfer-Encoding: chunked\r\n",
        ),
        (Http11, 200, UntilClose, KeepAlive, "Connection: close\r\n"),
        (Http11, 200, NoBody, KeepAlive, ""),
        (
            Http10,
            200,
            Length(3),
            KeepAlive,
            "Content-Length: 3\r\nConnection: keep-alive\r\n",
        ),
        (
            Http10,
            200,
            Length(3),
            Close,
            "Content-Length: 3\r\nConnection: close\r\n",
        ),
        (Http10, 200, Chunked, KeepAlive, "Connection: close\r\n"),
        (Http11, 204, Length(3), KeepAlive, ""),
        (Http11, 304, Chunked, Close, "Connection: close\r\n"),
        (Http11, 103, Chunked, KeepAlive, ""),
    ] {
        let answer = Answer {
            version,
            code,
            framing,
            connection,
            reason: "",
            ..sound(&[])
        };
        let want = format!("{} {code} \r\n{want}\r\n", version.as_str());
        assert_eq!(written(answer), want);
    }
}

#[test]
fn the_writer_alone_decides_framing_and_connection() {
    let headers = [
        ("Content-Length", "9"),
        ("transfer-encoding", "chunked"),
        ("CONNECTION", "x"),
        ("Keep-Alive", "timeout=5"),
    ];
    let want = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n";
    assert_eq!(written(sound(&headers)), want);
}

#[test]
fn a_date_among_the_headers_stays_the_only_one() {
    let answer = Answer {
        date: DATE,
        ..sound(&[("date", "then")])
    };
    let want = "HTTP/1.1 200 OK\r\ndate: then\r\nContent-Length: 3\r\n\r\n";
    assert_eq!(written(answer), want);
}

#[test]
fn nothing_can_end_a_line() {
    let headers = [
        ("A\r\nB", "1"),
        ("A: x", "1"),
        ("", "1"),
        ("A", "1\r\nB: 2"),
        ("A", "1\n"),
        ("A", "\0"),
        ("Good", "1\t2"),
    ];
    let answer = Answer {
        code: 404,
        reason: "No\r\nX: y",
        date: "now\r\n",
        ..sound(&headers)
    };
    let want = "HTTP/1.1 404 \r\nGood: 1\t2\r\nContent-Length: 3\r\n\r\n";
    assert_eq!(written(answer), want);
    let answer = Answer {
        code: 1000,
        reason: "\n",
        ..sound(&[])
    };
    assert!(written(answer).starts_with("HTTP/1.1 500 \r\n"));
}

proptest! {
    #[test]
    fn what_is_written_reads_back_the_same(
        code in 100_u16..1000,
        reason in "[ -~]{0,20}",
        headers in prop::collection::vec(
            ("[!-~]{0,12}|[A-Za-z-]{1,12}", prop::collection::vec(any::<u8>(), 0..12)), 0..20,
        ),
        length in any::<u64>(),
    ) {
        let answer = Answer {
            version: Version::Http11,
            code,
            reason: &reason,
            headers: headers.iter().map(|(name, value)| (name.as_str(), &value[..])),
            framing: Framing::Length(length),
            connection: Connection::Close,
            date: DATE,
        };
        let mut out = Vec::new();
        answer.write(&mut out);
        let mut room = [httparse::EMPTY_HEADER; 32];
        let mut parsed = httparse::Response::new(&mut room);
        prop_assert_eq!(parsed.parse(&out), Ok(httparse::Status::Complete(out.len())));
        prop_assert_eq!(parsed.code, Some(code));
        prop_assert_eq!(parsed.reason, Some(reason.as_str()));
        let sent = headers.iter().filter(|(name, value)| {
            is_token(name.as_bytes()) && !is_ours(name) && !value.iter().copied().any(is_control)
        });
        let mut want: Vec<(String, Vec<u8>)> = sent
            .map(|(name, value)| (name.to_ascii_lowercase(), trimmed(value)))
            .collect();
        if !want.iter().any(|(name, _)| name == "date") {
            want.push(("date".into(), DATE.into()));
        }
        if !matches!(code, 100..=199 | 204 | 304) {
            want.push(("content-length".into(), length.to_string().into()));
        }
        want.push(("connection".into(), b"close".to_vec()));
        let got: Vec<(String, Vec<u8>)> = parsed.headers.iter()
            .map(|header| (header.name.to_ascii_lowercase(), header.value.to_vec()))
            .collect();
        prop_assert_eq!(got, want);
    }
}

/// White space around a value is no part of it.
fn trimmed(value: &[u8]) -> Vec<u8> {
    value.trim_ascii().to_vec()
}
