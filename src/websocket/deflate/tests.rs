//! What is agreed on, and compressed messages as RFC 7692 shows them, as zlib makes them, and as
//! attackers would.

use std::fmt::Write as _;

use bytes::{Bytes, BytesMut};
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};
use proptest::prelude::*;

use super::*;
use crate::websocket::{
    extension,
    fault::Fault,
    frame::{Head, Opcode},
    message::{Message, Messages},
};

fn answer(offers: &str, client_takeover: bool) -> Option<String> {
    let agreed = Agreed::negotiate(&extension::parse([offers]), client_takeover);
    agreed.map(|agreed| agreed.to_string())
}

#[test]
fn vectors_81_and_82_the_first_offer_that_is_understood_is_answered() {
    const BOTH: &str = "permessage-deflate; client_no_context_takeover; server_no_context_takeover";
    for (offers, answered) in [
        (
            "permessage-deflate; bogus, permessage-deflate; client_no_context_takeover",
            Some(BOTH.to_owned()),
        ),
        (
            "permessage-deflate; server_max_window_bits=10",
            Some(
                "permessage-deflate; server_no_context_takeover; server_max_window_bits=10".into(),
            ),
        ),
        (
            "foo, permessage-deflate; client_max_window_bits",
            Some("permessage-deflate; server_no_context_takeover".into()),
        ),
        (
            "permessage-deflate; client_max_window_bits=\"9\"; server_no_context_takeover",
            Some("permessage-deflate; server_no_context_takeover".into()),
        ),
        ("", None),
        ("foo", None),
        ("Permessage-Deflate", None),
        ("permessage-deflate; server_max_window_bits", None),
        ("permessage-deflate; server_max_window_bits=7", None),
        ("permessage-deflate; server_max_window_bits=16", None),
        ("permessage-deflate; server_max_window_bits=09", None),
        ("permessage-deflate; client_max_window_bits=0", None),
        ("permessage-deflate; client_no_context_takeover=1", None),
        (
            "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
            None,
        ),
    ] {
        assert_eq!(answer(offers, true), answered, "{offers}");
    }
    assert_eq!(answer("permessage-deflate", false).as_deref(), Some(BOTH));
}

#[test]
fn a_backends_answer_is_read() {
    let read = |text: &str| Agreed::from_answer(&extension::parse([text]), true);
    let all = "permessage-deflate; client_no_context_takeover; server_no_context_takeover; \
        client_max_window_bits=9; server_max_window_bits=15";
    assert_eq!(read(all).unwrap().unwrap().to_string(), all);
    assert_eq!(read("permessage-deflate"), Ok(Some(Agreed::default())));
    assert_eq!(read("grip"), Ok(None));
    for (text, error) in [
        ("permessage-deflate, permessage-deflate", AnswerError::Twice),
        (
            "permessage-deflate; client_max_window_bits",
            AnswerError::Parameter,
        ),
        ("permessage-deflate; bogus", AnswerError::Parameter),
    ] {
        assert_eq!(read(text), Err(error), "{text}");
    }
    let unasked = Agreed::from_answer(&extension::parse(["permessage-deflate"]), false);
    assert_eq!(unasked, Err(AnswerError::NotOffered));
}

/// Reads these frames of a backend, each first byte and payload, with a message limit of 1 MB.
fn inflate(agreed: Agreed, frames: &[(u8, &[u8])]) -> Result<Vec<Message>, Fault> {
    let mut buffer = BytesMut::new();
    for (first, payload) in frames {
        let mut head = Vec::new();
        let len = payload.len() as u64;
        Head {
            fin: true,
            compressed: false,
            opcode: Opcode::Text,
            mask: None,
            len,
        }
        .write(&mut head);
        head[0] = *first;
        buffer.extend_from_slice(&head);
        buffer.extend_from_slice(payload);
    }
    let mut messages = Messages::new(Peer::Backend, 1_000_000, Some(agreed));
    let mut read = Vec::new();
    while let Some(message) = messages.next(&mut buffer)? {
        read.push(message);
    }
    Ok(read)
}

fn text(text: &str) -> Message {
    Message::Text(Bytes::copy_from_slice(text.as_bytes()))
}

#[test]
fn the_examples_of_rfc_7692_are_read() {
    let hello = b"\xf2\x48\xcd\xc9\xc9\x07\x00";
    let shared = b"\xf2\x00\x11\x00\x00";
    let stored = b"\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00";
    let last = b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00";
    let two = b"\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00";
    let once = vec![text("Hello")];
    let twice = vec![text("Hello"), text("Hello")];
    let keeps = Agreed::default();
    for (frames, messages) in [
        (vec![(0xc1, &hello[..])], &once),
        (vec![(0x41, &hello[..3]), (0x80, &hello[3..])], &once),
        (vec![(0xc1, hello), (0xc1, shared)], &twice),
        (vec![(0xc1, hello), (0xc1, hello)], &twice),
        (vec![(0xc1, stored)], &once),
        (vec![(0xc1, last), (0xc1, hello)], &twice),
        // Without the empty block that the RFC wants after a last one.
        (vec![(0xc1, &last[..7]), (0xc1, hello)], &twice),
        (vec![(0xc1, two)], &once),
        (vec![(0x81, b"Hello"), (0xc1, hello)], &twice),
    ] {
        assert_eq!(
            inflate(keeps, &frames).as_ref(),
            Ok(messages),
            "{frames:x?}"
        );
    }
    assert_eq!(inflate(keeps, &[(0xc1, b"\0")]), Ok(vec![text("")]));
}

#[test]
fn without_context_takeover_no_message_refers_to_the_one_before() {
    let hello = b"\xf2\x48\xcd\xc9\xc9\x07\x00";
    let shared = b"\xf2\x00\x11\x00\x00";
    let alone = Agreed {
        server_no_context_takeover: true,
        ..Agreed::default()
    };
    let read = inflate(alone, &[(0xc1, hello), (0xc1, shared)]);
    assert_eq!(read, Err(Fault::Deflate));
    assert_eq!(Fault::Deflate.code(), 1007);
}

#[test]
fn what_is_no_deflate_or_no_text_is_1007_and_continuations_have_no_rsv1() {
    let hello = b"\xf2\x48\xcd\xc9\xc9\x07\x00";
    let agreed = Agreed::default();
    for (frames, fault) in [
        (vec![(0xc1, &b"\xff\xff\xff"[..])], Fault::Deflate),
        (vec![(0x41, b"\x07"), (0x80, b"")], Fault::Deflate),
        (vec![(0xc1, &deflate(b"a\xffb"))], Fault::Utf8),
        (vec![(0x41, &deflate(b"a\xff"))], Fault::Utf8),
        (
            vec![(0x41, &hello[..3]), (0xc0, &hello[3..])],
            Fault::ReservedBits,
        ),
        (vec![(0xc9, b"")], Fault::ReservedBits),
    ] {
        assert_eq!(inflate(agreed, &frames), Err(fault), "{frames:x?}");
    }
}

/// One message, as any zlib makes it.
fn deflate(payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(payload.len() + 1000);
    let mut stream = Compress::new(Compression::best(), false);
    stream
        .compress_vec(payload, &mut out, FlushCompress::Sync)
        .unwrap();
    assert!(out.len() < out.capacity());
    out.truncate(out.len() - 4);
    out
}

#[test]
fn a_bomb_is_cut_off_at_the_limit() {
    let bomb = deflate(&vec![b'a'; 30_000_000]);
    assert!(bomb.len() < 40_000);
    let agreed = Agreed::default();
    let limit = 1_000_000;
    assert_eq!(
        inflate(agreed, &[(0xc1, &bomb)]),
        Err(Fault::TooBig { limit })
    );
    let exact = deflate(&vec![b'a'; limit]);
    let whole = Message::Text(vec![b'a'; limit].into());
    assert_eq!(inflate(agreed, &[(0xc1, &exact)]), Ok(vec![whole]));
    let above = deflate(&vec![b'a'; limit + 1]);
    assert_eq!(
        inflate(agreed, &[(0xc1, &above)]),
        Err(Fault::TooBig { limit })
    );

    // Never more than the limit in memory, whatever one call gets.
    let mut out = Vec::new();
    assert_eq!(
        Inflater::new().push(&bomb, &mut out, 1000),
        Err(Fault::TooBig { limit: 1000 })
    );
    assert!(out.capacity() <= 4000, "{}", out.capacity());
}

#[test]
fn an_inflater_is_kept_only_for_takeover() {
    let mut hello = BytesMut::from(&b"\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00"[..]);
    for (alone, idle) in [(true, true), (false, false)] {
        let agreed = Agreed {
            server_no_context_takeover: alone,
            ..Agreed::default()
        };
        let mut messages = Messages::new(Peer::Backend, 10, Some(agreed));
        assert!(messages.next(&mut hello.clone()).unwrap().is_some());
        assert_eq!(messages.is_idle(), idle);
    }
    // A close sets it free as well.
    hello.extend_from_slice(b"\x88\x00");
    let mut messages = Messages::new(Peer::Backend, 10, Some(Agreed::default()));
    while messages.next(&mut hello).unwrap().is_some() {}
    assert!(messages.is_ended());
}

#[test]
fn a_frame_is_the_same_whatever_was_compressed_before() {
    let mut used = Deflater::new(6);
    let payload = b"{\"a\":1,\"b\":1,\"c\":1,\"d\":1}".repeat(3);
    used.encode(Opcode::Text, &payload.repeat(9));
    let frame = used.encode(Opcode::Text, &payload);
    assert_eq!(frame, Deflater::new(6).encode(Opcode::Text, &payload));
    let head = Head::parse(&frame, false).unwrap().unwrap().0;
    assert!(head.compressed && head.fin && head.opcode == Opcode::Text);
    assert!(frame.len() < payload.len());
}

#[test]
fn what_compression_makes_no_smaller_is_sent_as_it_is() {
    let mut deflater = Deflater::new(6);
    let mut state = 1_u32;
    let mut noise = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_be_bytes()[0]
    };
    let noise: Vec<u8> = (0..999).map(|_| noise()).collect();
    for payload in [&b""[..], b"hello", &noise] {
        let frame = deflater.encode(Opcode::Binary, payload);
        assert_eq!(
            frame,
            crate::websocket::frame::encode(Opcode::Binary, payload)
        );
    }
}

#[test]
fn a_small_window_is_kept_by_the_size_of_the_message() {
    let of = |bits| Agreed {
        server_max_window_bits: bits,
        ..Agreed::default()
    };
    for (bits, len, taken) in [
        (None, 10_000_000, true),
        (Some(15), 10_000_000, true),
        (Some(8), 256, true),
        (Some(8), 257, false),
        (Some(14), 16_384, true),
        (Some(14), 16_385, false),
    ] {
        assert_eq!(of(bits).takes(len), taken, "{bits:?} {len}");
    }
    // And a reader with no more than that window reads it.
    let mut payload = String::new();
    (0..100).for_each(|i| write!(payload, "item {} ", i % 37).unwrap());
    payload.truncate(512);
    let start = payload[..10].to_owned();
    payload.replace_range(502.., &start);
    let frame = Deflater::new(9).encode(Opcode::Text, payload.as_bytes());
    let (_, size) = Head::parse(&frame, false).unwrap().unwrap();
    let mut out = Vec::with_capacity(2000);
    let mut stream = Decompress::new_with_window_bits(false, 9);
    for byte in &frame[size..] {
        stream
            .decompress_vec(&[*byte], &mut out, FlushDecompress::Sync)
            .unwrap();
    }
    stream
        .decompress_vec(&compress::TAIL, &mut out, FlushDecompress::Sync)
        .unwrap();
    assert_eq!(out, payload.as_bytes());
}

proptest! {
    #[test]
    fn what_is_compressed_is_inflated_whatever_its_size(
        seed in prop::collection::vec(any::<u8>(), 1..300),
        size in 0_usize..200_000,
        level in 1_u32..10,
    ) {
        let payload: Vec<u8> = seed.iter().copied().cycle().take(size).collect();
        let frame = Deflater::new(level).encode(Opcode::Binary, &payload);
        let mut messages = Messages::new(Peer::Backend, size, Some(Agreed::default()));
        let message = messages.next(&mut BytesMut::from(&*frame));
        prop_assert_eq!(message, Ok(Some(Message::Binary(payload.into()))));
    }

    #[test]
    fn a_peer_that_keeps_its_context_is_understood(
        payloads in prop::collection::vec("[a-c ]{0,80}", 1..8),
        size in 1_usize..40,
    ) {
        let mut stream = Compress::new(Compression::default(), false);
        let (mut buffer, mut messages) = (BytesMut::new(), Vec::new());
        for payload in &payloads {
            let mut out = Vec::with_capacity(1000);
            stream.compress_vec(payload.as_bytes(), &mut out, FlushCompress::Sync).unwrap();
            let out = if payload.is_empty() { &[0][..] } else { out.strip_suffix(&compress::TAIL).unwrap() };
            buffer.extend_from_slice(&crate::websocket::frame::encode_compressed(Opcode::Text, out));
            messages.push(text(payload));
        }
        let mut reader = Messages::new(Peer::Backend, 1000, Some(Agreed::default()));
        let (mut read, mut part) = (Vec::new(), BytesMut::new());
        for bytes in buffer.chunks(size) {
            part.extend_from_slice(bytes);
            while let Some(message) = reader.next(&mut part).unwrap() {
                read.push(message);
            }
        }
        prop_assert_eq!(read, messages);
    }
}
