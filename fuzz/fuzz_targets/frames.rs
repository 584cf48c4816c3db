//! Raw bytes as a peer's frames. The first byte says who the peer is and how the rest is cut.
//! However it is cut, messages and fault are the same, nothing is above the limit, and the frames
//! that pass in pieces are the bytes that came.
//! Run: `cargo fuzz run frames fuzz/corpus/frames fuzz/seeds/frames`.

#![no_main]

use bytes::BytesMut;
use gripd::websocket::{
    deflate::Agreed,
    fault::Fault,
    mask,
    message::{Message, Messages},
    read::{Peer, Reader},
};
use libfuzzer_sys::fuzz_target;

const LIMIT: usize = 1000;

fuzz_target!(|data: &[u8]| {
    let Some((&how, data)) = data.split_first() else {
        return;
    };
    let peer = if how & 1 == 0 {
        Peer::Client
    } else {
        Peer::Backend
    };
    let deflate = (how & 2 != 0).then_some(Agreed::default());
    let cut = usize::from(how >> 2) + 1;
    let whole = read(Messages::new(peer, LIMIT, deflate), data, data.len().max(1));
    assert_eq!(read(Messages::new(peer, LIMIT, deflate), data, cut), whole);
    pass(Reader::new(peer, deflate.is_some()), data, cut);
});

fn read(mut messages: Messages, data: &[u8], cut: usize) -> (Vec<Message>, Option<Fault>) {
    let (mut read, mut buffer) = (Vec::new(), BytesMut::new());
    for piece in data.chunks(cut) {
        buffer.extend_from_slice(piece);
        loop {
            match messages.next(&mut buffer) {
                Ok(Some(message)) => read.push(checked(message)),
                Ok(None) => break,
                Err(fault) => return (read, Some(fault)),
            }
        }
        // At most the head of a frame, or a control frame, waits in the buffer.
        assert!(buffer.len() < 14 + 125);
    }
    (read, None)
}

fn checked(message: Message) -> Message {
    match &message {
        Message::Text(text) => assert!(std::str::from_utf8(text).is_ok() && text.len() <= LIMIT),
        Message::Binary(bytes) => assert!(bytes.len() <= LIMIT),
        Message::Ping(bytes) | Message::Pong(bytes) => assert!(bytes.len() <= 125),
        Message::Close(_) => {}
    }
    message
}

fn pass(mut reader: Reader, data: &[u8], cut: usize) {
    let (mut passed, mut buffer, mut key, mut offset) = (Vec::new(), BytesMut::new(), None, 0);
    for piece in data.chunks(cut) {
        buffer.extend_from_slice(piece);
        while let Ok(Some(piece)) = reader.next(&mut buffer) {
            if let Some(head) = piece.head {
                head.write(&mut passed);
                (key, offset) = (head.mask, 0);
            }
            let start = passed.len();
            passed.extend_from_slice(&piece.data);
            if let Some(key) = key {
                mask::apply(&mut passed[start..], key, offset);
            }
            offset += piece.data.len() as u64;
        }
    }
    assert!(data.starts_with(&passed));
}
