//! Properties over random bytes: no split changes an answer, nothing panics, and independent
//! readers agree with what passed.

use proptest::prelude::*;

use super::{bodies::follow, *};
use crate::http1::chunk;

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
        let spaced = trailer.first().is_none_or(u8::is_ascii_whitespace);
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

    #[test]
    fn the_data_is_what_went_into_the_chunks(
        payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..6),
        extension in "(;[a-z=]{0,5})?",
        trailers in "(T: [a-z]{0,5}\r\n){0,2}",
        step in 1_usize..9,
    ) {
        let data = payloads.concat();
        let mut wire = Vec::new();
        for chunk in payloads.iter().map(|payload| chunk::encode(payload)) {
            let size = chunk.iter().position(|b| *b == b'\r').unwrap_or(0);
            let extension = if size > 0 { extension.as_bytes() } else { b"" };
            wire.extend([&chunk[..size], extension, &chunk[size..]].concat());
        }
        wire.extend([&b"0\r\n"[..], trailers.as_bytes(), b"\r\nGET"].concat());
        for (framing, wire, end) in [
            (Framing::Chunked, &wire, wire.len() - 3),
            (Framing::Length(data.len() as u64), &[&data[..], b"GET"].concat(), data.len()),
        ] {
            let mut scan = BodyScan::new(framing, data.len() as u64);
            let (mut used, mut found) = (0, Vec::new());
            for piece in wire.chunks(step) {
                used += scan.read(piece, &mut found).unwrap();
            }
            prop_assert_eq!((used, scan.is_done(), &found), (end, true, &data));
        }
    }
}
