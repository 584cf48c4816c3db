//! Compression in both directions. The first byte chooses level and cut; the rest is taken once as
//! a payload that must come back whole, once as what a peer claims to be compressed, and once as a
//! `Sec-WebSocket-Extensions` header.
//! Run: `cargo fuzz run deflate fuzz/corpus/deflate fuzz/seeds/deflate`.

#![no_main]

use bytes::{Bytes, BytesMut};
use gripd::websocket::{
    deflate::{Agreed, Deflater},
    extension,
    fault::Fault,
    frame::{Head, Opcode},
    message::{Message, Messages},
    read::Peer,
};
use libfuzzer_sys::fuzz_target;

const LIMIT: usize = 5000;

fuzz_target!(|data: &[u8]| {
    let Some((&how, data)) = data.split_first() else {
        return;
    };
    let cut = usize::from(how >> 3) + 1;
    round_trip(u32::from(how & 7) + 1, cut, data);
    hostile(cut, data);
    if let Ok(offers) = std::str::from_utf8(data) {
        negotiate(offers);
    }
});

fn round_trip(level: u32, cut: usize, payload: &[u8]) {
    let frame = Deflater::new(level).encode(Opcode::Binary, payload);
    let message = Message::Binary(Bytes::copy_from_slice(payload));
    let read = read(payload.len(), &frame, cut);
    assert_eq!(read, (vec![message], None));
}

/// Two messages of these bytes, the second after whatever the first left behind.
fn hostile(cut: usize, payload: &[u8]) {
    let head = Head {
        fin: true,
        compressed: true,
        opcode: Opcode::Binary,
        mask: None,
        len: payload.len() as u64,
    };
    let mut frame = Vec::new();
    head.write(&mut frame);
    frame.extend_from_slice(payload);
    let frames = frame.repeat(2);
    let (messages, fault) = read(LIMIT, &frames, cut);
    assert!(fault.is_some() || messages.len() == 2);
    for message in messages {
        assert!(matches!(message, Message::Binary(bytes) if bytes.len() <= LIMIT));
    }
}

fn read(limit: usize, frames: &[u8], cut: usize) -> (Vec<Message>, Option<Fault>) {
    let mut messages = Messages::new(Peer::Backend, limit, Some(Agreed::default()));
    let (mut read, mut buffer) = (Vec::new(), BytesMut::new());
    for piece in frames.chunks(cut) {
        buffer.extend_from_slice(piece);
        loop {
            match messages.next(&mut buffer) {
                Ok(Some(message)) => read.push(message),
                Ok(None) => break,
                Err(fault) => return (read, Some(fault)),
            }
        }
    }
    (read, None)
}

/// What is agreed on is an answer that the client, as one of our own, would take.
fn negotiate(offers: &str) {
    let offers = extension::parse([offers]);
    assert_eq!(extension::parse([&*extension::print(&offers)]), offers);
    if let Some(agreed) = Agreed::negotiate(&offers, true) {
        let answer = extension::parse([&*agreed.to_string()]);
        assert_eq!(Agreed::from_answer(&answer, true), Ok(Some(agreed)));
    }
}
