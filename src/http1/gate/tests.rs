//! Heads: tables of what passes and what does not.

mod bodies;
mod properties;

use super::*;

fn scan(text: &str) -> Result<Option<Head>, Fault> {
    scan_head(text.as_bytes(), &Limits::default())
}

/// A head with these lines after a sound request line and Host.
fn with(lines: &str) -> String {
    format!("POST /p HTTP/1.1\r\nHost: a.test\r\n{lines}\r\n")
}

const SOUND: Head = Head {
    headers: 1,
    len: 0,
    version: Version::Http11,
    framing: Framing::None,
    expects_continue: false,
    keep_alive: true,
    upgrade: false,
    head_method: false,
};

/// What follows the head is the next request's and must not matter.
fn assert_passes(text: &str, want: Head) {
    let len = text.len();
    let next = format!("{text}GET / HTTP/1.1\r\n\nHost");
    // All lines but that of the request and the empty one.
    let headers = text.trim_start_matches("\r\n").matches("\r\n").count() - 2;
    let want = Head {
        len,
        headers,
        ..want
    };
    assert_eq!(scan(&next), Ok(Some(want)), "{text:?}");
}

#[test]
fn request_lines_tell_version_and_method() {
    let old = Head {
        version: Version::Http10,
        keep_alive: false,
        ..SOUND
    };
    for (text, want) in [
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", SOUND),
        (
            "HEAD / HTTP/1.1\r\nhost:a:80\r\n\r\n",
            Head {
                head_method: true,
                ..SOUND
            },
        ),
        ("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", SOUND),
        ("GET / HTTP/1.0\r\n\r\n", old),
        (
            "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n",
            Head {
                keep_alive: true,
                ..old
            },
        ),
        ("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", SOUND),
        (
            "GET HTTP://[::1]:80?q HTTP/1.1\r\nHost: [::1]:80\r\n\r\n",
            SOUND,
        ),
        (
            "GET https://a.test/p?x={1}|2 HTTP/1.1\r\nHost: b\r\n\r\n",
            SOUND,
        ),
    ] {
        assert_passes(text, want);
    }
}

#[test]
fn headers_tell_framing_and_connection() {
    use Framing::{Chunked, Length};
    for (text, want) in [
        (
            with("Content-Length:  12\t\r\n"),
            Head {
                framing: Length(12),
                ..SOUND
            },
        ),
        (
            with("content-length: 0\r\n"),
            Head {
                framing: Length(0),
                ..SOUND
            },
        ),
        (
            with("TRANSFER-ENCODING: Chunked\r\n"),
            Head {
                framing: Chunked,
                ..SOUND
            },
        ),
        (
            with("Connection: x, Close\r\n"),
            Head {
                keep_alive: false,
                ..SOUND
            },
        ),
        (
            with("Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n"),
            Head {
                upgrade: true,
                ..SOUND
            },
        ),
        (with("Upgrade: websocket\r\n"), SOUND),
        (
            with("Expect: 100-Continue\r\nContent-Length: 1\r\n"),
            Head {
                expects_continue: true,
                framing: Length(1),
                ..SOUND
            },
        ),
        (with("Expect: 100-continue\r\n"), SOUND),
        (with("under_score: \u{e9}\t1\r\nEmpty:\r\n"), SOUND),
    ] {
        assert_passes(&text, want);
    }
}

#[test]
fn malformed_request_lines_are_refused() {
    for (line, fault) in [
        ("GET / HTTP/1.1 ", Fault::RequestLine),
        ("GET  / HTTP/1.1", Fault::RequestLine),
        ("GET\t/\tHTTP/1.1", Fault::RequestLine),
        ("GET /", Fault::RequestLine),
        ("GET / http/1.1", Fault::RequestLine),
        ("GET / HTTP/1.1\0", Fault::RequestLine),
        ("GET /a b HTTP/1.1", Fault::RequestLine),
        ("G(T / HTTP/1.1", Fault::Method("G(T".into())),
        ("GET / HTTP/1.2", Fault::Version("1.2".into())),
        ("PRI * HTTP/2.0", Fault::Version("2.0".into())),
        ("CONNECT a:1 HTTP/1.1", Fault::Connect),
        ("GET * HTTP/1.1", Fault::Target(Target::Asterisk)),
        ("GET a/b HTTP/1.1", Fault::Target(Target::Form)),
        ("GET ftp://a/ HTTP/1.1", Fault::Target(Target::Form)),
        ("GET http:// HTTP/1.1", Fault::Target(Target::Host)),
        ("GET http://u@a/ HTTP/1.1", Fault::Target(Target::Host)),
        ("GET http://a:99999/ HTTP/1.1", Fault::Target(Target::Host)),
        ("GET /#f HTTP/1.1", Fault::Target(Target::Fragment)),
        ("GET /\u{e9} HTTP/1.1", Fault::Target(Target::Byte(0xc3))),
        ("GET /\x01 HTTP/1.1", Fault::Target(Target::Byte(1))),
        ("GET /<x> HTTP/1.1", Fault::Target(Target::Byte(b'<'))),
        ("GET /a\rb HTTP/1.1", Fault::BareCr { line: 1 }),
        (" GET / HTTP/1.1", Fault::NotHttp),
        ("\x16\x03\x01", Fault::NotHttp),
    ] {
        let text = format!("{line}\r\nHost: a\r\n\r\n");
        assert_eq!(scan(&text), Err(fault), "{line:?}");
    }
    let long = format!("{} / HTTP/1.1\r\nHost: a\r\n\r\n", "M".repeat(33));
    assert_eq!(scan(&long), Err(Fault::MethodLength { limit: 32 }));
}

#[test]
fn malformed_headers_are_refused() {
    let value = |name: &str| Fault::HeaderValue(name.into());
    for (lines, fault) in [
        ("A: 1\nB: 2\r\n", Fault::BareLf { line: 3 }),
        ("A: 1\rB: 2\r\n", Fault::BareCr { line: 3 }),
        ("A: 1\r\r\n", Fault::BareCr { line: 3 }),
        ("A: 1\r\n 2\r\n", Fault::Folded { line: 4 }),
        ("A : 1\r\n", Fault::SpaceBeforeColon("A".into())),
        ("A\t: 1\r\n", Fault::SpaceBeforeColon("A".into())),
        ("A\r\n", Fault::NoColon { line: 3 }),
        (": 1\r\n", Fault::HeaderName { line: 3 }),
        ("A B: 1\r\n", Fault::HeaderName { line: 3 }),
        ("A\0: 1\r\n", Fault::HeaderName { line: 3 }),
        ("\u{e9}: 1\r\n", Fault::HeaderName { line: 3 }),
        ("A: \0\r\n", value("A")),
        ("A: \x7f\r\n", value("A")),
        ("A: b\x0bc\r\n", value("A")),
        ("Expect: 200-ok\r\n", Fault::Expect("200-ok".into())),
        (
            "Expect: 100-continue, x\r\n",
            Fault::Expect("100-continue, x".into()),
        ),
    ] {
        assert_eq!(scan(&with(lines)), Err(fault), "{lines:?}");
    }
}

#[test]
fn smuggled_lengths_are_refused() {
    for (lines, fault) in [
        (
            "Content-Length: 1\r\nContent-Length: 2\r\n",
            Fault::LengthRepeated,
        ),
        (
            "Content-Length: 1\r\nContent-Length: 1\r\n",
            Fault::LengthRepeated,
        ),
        ("Content-Length: 1, 1\r\n", Fault::LengthValue),
        ("Content-Length: +1\r\n", Fault::LengthValue),
        ("Content-Length: -1\r\n", Fault::LengthValue),
        ("Content-Length: 0x1\r\n", Fault::LengthValue),
        ("Content-Length: 1 2\r\n", Fault::LengthValue),
        ("Content-Length:\r\n", Fault::LengthValue),
        (
            "Content-Length: 18446744073709551616\r\n",
            Fault::LengthValue,
        ),
        (
            "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n",
            Fault::TwoFramings,
        ),
        (
            "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n",
            Fault::TwoFramings,
        ),
        (
            "Transfer-Encoding: xchunked\r\nContent-Length: 0\r\n",
            Fault::TwoFramings,
        ),
    ] {
        assert_eq!(scan(&with(lines)), Err(fault), "{lines:?}");
    }
}

#[test]
fn smuggled_codings_are_refused() {
    let coding = Fault::Coding;
    for (lines, fault) in [
        ("Transfer-Encoding: xchunked\r\n", coding(Coding::Malformed)),
        (
            "Transfer-Encoding: chunked, chunked\r\n",
            coding(Coding::Malformed),
        ),
        (
            "Transfer-Encoding: chunked, identity\r\n",
            coding(Coding::Malformed),
        ),
        ("Transfer-Encoding: gzip\r\n", coding(Coding::Malformed)),
        (
            "Transfer-Encoding: \"chunked\"\r\n",
            coding(Coding::Malformed),
        ),
        (
            "Transfer-Encoding: chunked;q=1\r\n",
            coding(Coding::Malformed),
        ),
        ("Transfer-Encoding:\r\n", coding(Coding::Malformed)),
        (
            "Transfer-Encoding: , chunked\r\n",
            coding(Coding::Malformed),
        ),
        (
            "Transfer-Encoding: gzip, chunked\r\n",
            coding(Coding::Unsupported),
        ),
        (
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            coding(Coding::Repeated),
        ),
        (
            "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n",
            coding(Coding::Repeated),
        ),
        (
            "Transfer-Encoding: \x0bchunked\r\n",
            Fault::HeaderValue("Transfer-Encoding".into()),
        ),
        (
            "Transfer-Encoding : chunked\r\n",
            Fault::SpaceBeforeColon("Transfer-Encoding".into()),
        ),
        (
            "X: 1\r\n Transfer-Encoding: chunked\r\n",
            Fault::Folded { line: 4 },
        ),
    ] {
        assert_eq!(scan(&with(lines)), Err(fault), "{lines:?}");
    }
    let old = "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(scan(old), Err(Fault::Coding(Coding::Http10)));
}

#[test]
fn hosts_are_one_and_plausible() {
    let head = |version: &str, hosts: &str| format!("GET / HTTP/{version}\r\n{hosts}\r\n");
    assert_eq!(scan(&head("1.1", "")), Err(Fault::HostMissing));
    for version in ["1.0", "1.1"] {
        let two = head(version, "Host: a\r\nhost: a\r\n");
        assert_eq!(scan(&two), Err(Fault::HostRepeated));
        for host in [
            "", "a b", "a,b", "a@b", "a/b", "a:", "a:x", "a:1:2", "a:65536", "[::1", ":80", "[]",
            "[::1]x", "[g::1]", "a%00", "\u{e9}",
        ] {
            let text = head(version, &format!("Host: {host}\r\n"));
            assert_eq!(scan(&text), Err(Fault::HostValue), "{host:?}");
        }
        for host in [
            "a",
            "a.b-c_d",
            "127.0.0.1:65535",
            "[::1]",
            "[::ffff:1.2.3.4]:1",
        ] {
            let text = head(version, &format!("Host: {host}\r\n"));
            assert!(scan(&text).is_ok(), "{host:?}");
        }
    }
}

#[test]
fn sizes_and_counts_are_bounded() {
    let limits = Limits {
        head: 200,
        target: 20,
        headers: 3,
        body: 10,
    };
    let head = |target: usize, headers: usize, value: usize| {
        let header = format!("X: {}\r\n", "v".repeat(value));
        let target = "t".repeat(target - 1);
        format!(
            "GET /{target} HTTP/1.1\r\nHost: a\r\n{}\r\n",
            header.repeat(headers)
        )
    };
    for (text, status) in [
        (head(20, 2, 1), None),
        (head(21, 2, 1), Some(414)),
        (head(150, 0, 1), Some(414)),
        (head(1, 3, 1), Some(431)),
        (head(1, 1, 168), None),
        (head(1, 1, 169), Some(431)),
        (format!("GET /{}", "t".repeat(70)), Some(414)),
        (
            format!("GET / HTTP/1.1\r\nA: {}", "v".repeat(200)),
            Some(431),
        ),
        (with("Content-Length: 10\r\n"), None),
        (with("Content-Length: 11\r\n"), Some(413)),
        ("\r\n".repeat(4), None),
        ("\r\n".repeat(5), Some(400)),
    ] {
        let got = scan_head(text.as_bytes(), &limits);
        assert_eq!(got.err().map(|fault| fault.status()), status, "{text:?}");
    }
    let longest = head(1, 1, 168).len();
    assert_eq!(longest, limits.head, "the limit is met to the byte");
}

#[test]
fn a_bare_lf_is_told_before_the_head_is_complete() {
    assert_eq!(scan("GET / HTTP/1.1\n"), Err(Fault::BareLf { line: 1 }));
    assert_eq!(scan("\n"), Err(Fault::BareLf { line: 1 }));
    assert_eq!(scan("\rG"), Err(Fault::BareCr { line: 1 }));
}

#[test]
fn statuses_are_those_of_the_fault() {
    for (fault, status) in [
        (Fault::HeadTimeout, 408),
        (Fault::BodyTimeout, 408),
        (Fault::BodyLength { limit: 1 }, 413),
        (Fault::TargetLength { limit: 1 }, 414),
        (Fault::Expect(String::new()), 417),
        (Fault::HeadLength { limit: 1 }, 431),
        (Fault::HeaderCount { limit: 1 }, 431),
        (Fault::Connect, 501),
        (Fault::Coding(Coding::Unsupported), 501),
        (Fault::Coding(Coding::Malformed), 400),
        (Fault::Version("2.0".into()), 505),
        (Fault::HostMissing, 400),
    ] {
        assert_eq!(fault.status(), status, "{fault}");
    }
}

#[test]
fn sentences_name_what_is_at_fault_in_plain_ascii() {
    let fault = scan(&with("Bad\u{7}: 1\r\n")).unwrap_err();
    assert!(
        fault
            .to_string()
            .starts_with("Line 3 has a malformed header name")
    );
    let fault = scan(&with(&format!("{}\u{1}: 1\r\nExpect: {}\r\n", "a", "b"))).unwrap_err();
    assert!(fault.to_string().is_ascii());
    let fault = scan(&with(&format!("Expect: \u{e9}{}\r\n", "x".repeat(500)))).unwrap_err();
    let text = fault.to_string();
    assert!(text.is_ascii() && text.len() < 150, "{text}");
}
