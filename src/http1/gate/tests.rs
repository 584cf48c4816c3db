//! Tables of what passes and what does not, and properties over random bytes.

use proptest::prelude::*;

use super::*;

fn scan(text: &str) -> Result<Option<Head>, Fault> {
    scan_head(text.as_bytes(), &Limits::default())
}

fn passed(text: &str) -> Head {
    scan(text).unwrap().unwrap()
}

/// A head with these lines after a sound request line and Host.
fn with(lines: &str) -> String {
    format!("POST /p HTTP/1.1\r\nHost: a.test\r\n{lines}\r\n")
}

const SOUND: Head = Head {
    len: 0,
    version: Version::Http11,
    framing: Framing::None,
    expects_continue: false,
    keep_alive: true,
    upgrade: false,
    head_method: false,
};

#[test]
fn sound_heads_tell_their_facts() {
    use Framing::{Chunked, Length};
    let old = Head {
        version: Version::Http10,
        keep_alive: false,
        ..SOUND
    };
    for (text, want) in [
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), SOUND),
        (
            "HEAD / HTTP/1.1\r\nhost:a:80\r\n\r\n".into(),
            Head {
                head_method: true,
                ..SOUND
            },
        ),
        ("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n".into(), SOUND),
        ("GET / HTTP/1.0\r\n\r\n".into(), old),
        (
            "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n".into(),
            Head {
                keep_alive: true,
                ..old
            },
        ),
        ("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n".into(), SOUND),
        (
            "GET HTTP://[::1]:80?q HTTP/1.1\r\nHost: [::1]:80\r\n\r\n".into(),
            SOUND,
        ),
        (
            "GET https://a.test/p?x={1}|2 HTTP/1.1\r\nHost: b\r\n\r\n".into(),
            SOUND,
        ),
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
        let want = Head {
            len: text.len(),
            ..want
        };
        let next = format!("{text}GET / HTTP/1.1\r\n\nHost");
        assert_eq!(passed(&next), want, "{text:?}");
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
fn smuggled_framings_are_refused() {
    let coding = Fault::Coding;
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

/// Feeds a body piece by piece; the answer is how many bytes belonged to it, and whether it ended.
fn follow(framing: Framing, limit: u64, pieces: &[&[u8]]) -> Result<(usize, bool), Fault> {
    let mut body = BodyScan::new(framing, limit);
    let mut used = 0;
    for piece in pieces {
        let taken = body.feed(piece)?;
        used += taken;
        if taken < piece.len() {
            assert!(body.is_done());
            break;
        }
    }
    Ok((used, body.is_done()))
}

fn chunked(text: &str) -> Result<(usize, bool), Fault> {
    follow(Framing::Chunked, 100, &[text.as_bytes()])
}

#[test]
fn bodies_end_where_their_framing_says() {
    let whole = |body: &str| Ok((body.len(), true));
    assert_eq!(follow(Framing::None, 0, &[b"GET"]), Ok((0, true)));
    assert_eq!(follow(Framing::Length(0), 0, &[b"GET"]), Ok((0, true)));
    assert_eq!(follow(Framing::Length(3), 0, &[b"abcGET"]), Ok((3, true)));
    assert_eq!(follow(Framing::Length(9), 0, &[b"abc"]), Ok((3, false)));
    for body in [
        "0\r\n\r\n",
        "3\r\nabc\r\n0\r\n\r\n",
        "0000000000000003;x=\"y z\"\r\nabc\r\n000\r\n\r\n",
        "A\r\n\r\n0\r\n\r\n012\r\n0;e\r\n\r\n",
        "0\r\nX-Sum: 1\r\ny:\r\n\r\n",
    ] {
        assert_eq!(
            chunked(&format!("{body}GET / HTTP/1.1\r\n")),
            whole(body),
            "{body:?}"
        );
    }
    assert_eq!(chunked("3\r\nabc\r\n0\r\n"), Ok((11, false)));
}

#[test]
fn remaining_is_known_but_for_chunks() {
    let mut body = BodyScan::new(Framing::Length(5), 0);
    assert_eq!(body.remaining_hint(), Some(5));
    assert_eq!(body.feed(b"abc"), Ok(3));
    assert_eq!(body.remaining_hint(), Some(2));
    let mut body = BodyScan::new(Framing::Chunked, 0);
    assert_eq!(body.remaining_hint(), None);
    assert_eq!(body.feed(b"0\r\n\r\n"), Ok(5));
    assert_eq!(body.remaining_hint(), Some(0));
}

#[test]
fn malformed_chunks_are_refused() {
    let size = || Fault::ChunkSize { limit: 16 };
    let within = |fault| Fault::Trailer(Box::new(fault));
    let name = |name: &str| Fault::TrailerName(name.into());
    for (body, fault) in [
        ("\r\n", size()),
        (";x\r\n", size()),
        ("x\r\n", size()),
        ("-1\r\n", size()),
        ("+1\r\n", size()),
        ("0x1\r\n", size()),
        (" 1\r\n", size()),
        ("1 \r\n", size()),
        ("1 ;x\r\n", size()),
        ("1_0\r\n", size()),
        ("1\n", size()),
        ("1\rx", size()),
        ("10000000000000000\r\n", size()),
        ("1;\n", Fault::ChunkExtension),
        ("1;a\0\r\n", Fault::ChunkExtension),
        ("1\r\nabc", Fault::ChunkEnd),
        ("1\r\na\n", Fault::ChunkEnd),
        ("1\r\na\rx", Fault::ChunkEnd),
        ("65\r\n", Fault::BodyLength { limit: 100 }),
        ("ffffffffffffffff\r\n", Fault::BodyLength { limit: 100 }),
        ("0\r\n\n", within(Fault::BareLf { line: 1 })),
        ("0\r\nA: 1\r\n b\r\n", within(Fault::Folded { line: 2 })),
        (
            "0\r\nA : 1\r\n",
            within(Fault::SpaceBeforeColon("A".into())),
        ),
        (
            "0\r\nGET / HTTP/1.1\r\n",
            within(Fault::NoColon { line: 1 }),
        ),
        ("0\r\nA: \0\r\n", within(Fault::HeaderValue("A".into()))),
        ("0\r\ncontent-length: 5\r\n", name("content-length")),
        (
            "0\r\nTransfer-Encoding: chunked\r\n",
            name("Transfer-Encoding"),
        ),
        ("0\r\nHost: b\r\n", name("Host")),
    ] {
        assert_eq!(chunked(body), Err(fault), "{body:?}");
    }
    let two = "32\r\n".to_owned() + &"x".repeat(50) + "\r\n33\r\n";
    assert_eq!(chunked(&two), Err(Fault::BodyLength { limit: 100 }));
}

#[test]
fn extensions_and_trailers_are_bounded() {
    let extended = |count: usize| format!("1;{}\r\na\r\n0\r\n\r\n", "e".repeat(count - 1));
    assert!(chunked(&extended(4096)).is_ok());
    let fault = Fault::ChunkExtensionLength { limit: 4096 };
    assert_eq!(chunked(&extended(4097)), Err(fault.clone()));
    let many = "1;eeeee\r\na\r\n".repeat(700);
    let followed = follow(Framing::Chunked, 0, &[many.as_bytes()]);
    assert_eq!(followed, Err(fault), "all of a body's count together");

    let long = format!("0\r\nA: {}\r\n", "v".repeat(8192));
    let fault = Fault::TrailerLength { limit: 8192 };
    assert_eq!(chunked(&long), Err(fault.clone()));
    assert_eq!(
        chunked(long.trim_end()),
        Err(fault),
        "without waiting for the line's end"
    );
    let many = format!("0\r\n{}\r\n", "A: 1\r\n".repeat(65));
    assert_eq!(chunked(&many), Err(Fault::TrailerCount { limit: 64 }));
}

#[test]
fn a_fault_in_a_body_stays() {
    let mut body = BodyScan::new(Framing::Chunked, 0);
    let fault = body.feed(b"x").unwrap_err();
    assert_eq!(body.feed(b"0\r\n\r\n"), Err(fault));
    assert!(!body.is_done());
    let mut long = BodyScan::new(Framing::Length(11), 10);
    assert_eq!(long.feed(b""), Err(Fault::BodyLength { limit: 10 }));
}

/// Mostly sound pieces of heads, now and then bad ones, so that both sides of each check are met.
fn head_bytes() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        8 => prop::sample::select(vec![
            "GET / HTTP/1.1\r\n", "POST /a?b HTTP/1.0\r\n", "Host: a\r\n", "A: b\r\n", "\r\n",
            "Content-Length: 3\r\n", "Transfer-Encoding: chunked\r\n", "Connection: close\r\n",
            "HEAD http://a/ HTTP/1.1\r\nHost: a\r\n", "X-Long: vvvvvvvvvvvvvvvvvvvvvvvvvvvv\r\n",
        ]).prop_map(|text| text.as_bytes().to_vec()),
        1 => prop::sample::select(vec![
            "\n", "\r", "\0", " ", ":", "\u{e9}", "Host: b c\r\n", "A : 1\r\n", " fold\r\n", "A",
            "Expect: 100-continue\r\n", "Content-Length: 1,1\r\n", "GET / HTTP/2.0\r\n",
        ]).prop_map(|text| text.as_bytes().to_vec()),
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

/// As [`head_bytes`], for chunked bodies.
fn body_bytes() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        8 => prop::sample::select(vec![
            "3\r\nabc\r\n", "1;e=1\r\nx\r\n", "0A\r\n0123456789\r\n", "0\r\n", "\r\n",
            "T: 1\r\n", "0\r\n\r\n", "0;e\r\nT: 1\r\n\r\n",
        ]).prop_map(|text| text.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..4),
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

/// The plainest reading of a whole chunked body: its length, `None` for everything that is not
/// one. Knows nothing of the scanner's states.
fn chunked_length(mut text: &[u8]) -> Option<usize> {
    let whole = text.len();
    let line = |text: &mut &[u8]| {
        let end = text.windows(2).position(|pair| pair == b"\r\n")?;
        let line = text[..end].to_vec();
        *text = &text[end + 2..];
        let plain = |b: &u8| *b == b'\t' || (*b >= b' ' && *b != 0x7f);
        line.iter().all(plain).then_some(line)
    };
    loop {
        let size = line(&mut text)?;
        let digits = size.split(|b| *b == b';').next()?;
        if digits.is_empty() || digits.len() > 16 || !digits.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        let size = u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
        if size == 0 {
            break;
        }
        let size = usize::try_from(size).ok()?;
        text = text.get(size..)?.strip_prefix(b"\r\n")?;
    }
    loop {
        let trailer = line(&mut text)?;
        if trailer.is_empty() {
            return Some(whole - text.len());
        }
        let mut headers = [httparse::EMPTY_HEADER; 1];
        let block = [&trailer[..], b"\r\n\r\n"].concat();
        let spaced = trailer.first().is_none_or(|b| b.is_ascii_whitespace());
        if spaced || httparse::parse_headers(&block, &mut headers).is_err() {
            return None;
        }
    }
}

fn small() -> Limits {
    Limits {
        head: 120,
        target: 9,
        headers: 4,
        body: 0,
    }
}

proptest! {
    #[test]
    fn a_head_split_anywhere_reads_the_same(bytes in head_bytes(), tight in any::<bool>()) {
        let limits = if tight { small() } else { Limits::default() };
        let whole = scan_head(&bytes, &limits);
        let mut seen = 0;
        let mut trickled = Ok(None);
        for end in 0..=bytes.len() {
            trickled = scan_head_from(&bytes[..end], seen, &limits);
            prop_assert_eq!(&trickled, &scan_head(&bytes[..end], &limits));
            if !matches!(trickled, Ok(None)) {
                break;
            }
            seen = end;
        }
        prop_assert_eq!(trickled, whole);
    }

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = scan_head(&bytes, &Limits::default());
        let _ = scan_head(&bytes, &small());
        let text = [b"GET / HTTP/1.1\r\nHost: a\r\n", &bytes[..], b"\r\n\r\n"].concat();
        let _ = scan_head(&text, &Limits::default());
        let _ = BodyScan::new(Framing::Chunked, 7).feed(&bytes);
    }

    #[test]
    fn what_passes_is_read_the_same_by_httparse(
        bytes in head_bytes(),
        noise in prop::collection::vec(any::<u8>(), 0..6),
        at in any::<prop::sample::Index>(),
    ) {
        let mut bytes = [&b"GET /x HTTP/1.1\r\nHost: a\r\n"[..], &bytes, b"\r\n"].concat();
        let at = at.index(bytes.len());
        bytes.splice(at..at, noise);
        if let Ok(Some(head)) = scan_head(&bytes, &Limits::default()) {
            let mut headers = [httparse::EMPTY_HEADER; 64];
            let mut request = httparse::Request::new(&mut headers);
            let status = request.parse(&bytes);
            prop_assert_eq!(status, Ok(httparse::Status::Complete(head.len)));
            prop_assert_eq!(request.version, Some(u8::from(head.version == Version::Http11)));
            prop_assert_eq!(request.method == Some("HEAD"), head.head_method);
            let named = |name: &str| {
                let with_name = request.headers.iter().filter(|h| h.name.eq_ignore_ascii_case(name));
                with_name.map(|h| h.value.to_vec()).collect::<Vec<_>>()
            };
            let want = match head.framing {
                Framing::None => (vec![], vec![]),
                Framing::Length(length) => (vec![length.to_string().into_bytes()], vec![]),
                Framing::Chunked => (vec![], vec![b"chunked".to_vec()]),
            };
            prop_assert_eq!((named("content-length"), named("transfer-encoding")), want);
            prop_assert!(named("host").len() <= 1);
        }
    }

    #[test]
    fn a_body_split_anywhere_reads_the_same(
        bytes in body_bytes(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        limit in 0_u64..30,
    ) {
        let whole = follow(Framing::Chunked, limit, &[&bytes]);
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let pieces: Vec<&[u8]> = cuts.windows(2).map(|cut| &bytes[cut[0]..cut[1]]).collect();
        prop_assert_eq!(&follow(Framing::Chunked, limit, &pieces), &whole);
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        prop_assert_eq!(&follow(Framing::Chunked, limit, &single), &whole);
    }

    #[test]
    fn a_chunked_body_ends_where_a_plain_reading_ends(bytes in body_bytes()) {
        let got = match follow(Framing::Chunked, 0, &[&bytes]) {
            Ok((used, true)) => Some(used),
            _ => None,
        };
        prop_assert_eq!(got, chunked_length(&bytes));
    }
}
