//! Bodies: where they end, and what is refused in chunks and trailers.

use super::*;

/// Feeds a body piece by piece; the answer is how many bytes belonged to it, and whether it ended.
pub(super) fn follow(
    framing: Framing,
    limit: u64,
    pieces: &[&[u8]],
) -> Result<(usize, bool), Fault> {
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
