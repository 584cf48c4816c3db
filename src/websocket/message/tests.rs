//! Messages from bytes: the vectors and RFC 6455's examples as tables, and whatever the cuts of
//! the stream, the same answers.

use bytes::{BufMut, BytesMut};
use proptest::prelude::*;

use super::*;
use crate::websocket::{close, deflate::Deflater, frame, mask};

const LIMIT: usize = 1000;

/// A client's frame from its first byte and its payload, in the shortest form.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = frame::encode_masked(Opcode::Binary, payload, [1, 2, 3, 4]).to_vec();
    frame[0] = first;
    frame
}

fn stream(frames: &[(u8, &[u8])]) -> Vec<u8> {
    let frames = frames.iter().map(|(first, payload)| frame(*first, payload));
    frames.collect::<Vec<_>>().concat()
}

/// All messages of the bytes, given in pieces of this size, and the fault that ends them.
fn read_by(mut messages: Messages, bytes: &[u8], size: usize) -> (Vec<Message>, Option<Fault>) {
    let (mut read, mut buffer) = (Vec::new(), BytesMut::new());
    for piece in bytes.chunks(size) {
        buffer.extend_from_slice(piece);
        loop {
            match messages.next(&mut buffer) {
                Ok(Some(message)) => read.push(message),
                Ok(None) => break,
                Err(fault) => {
                    // From here on everything is thrown away.
                    buffer.extend_from_slice(&frame(0x81, b"after"));
                    assert_eq!(messages.next(&mut buffer), Ok(None));
                    assert!(buffer.is_empty() && messages.is_ended());
                    return (read, Some(fault));
                }
            }
        }
    }
    (read, None)
}

/// As [`read_by`] at once, and checks that smaller pieces make no difference.
fn read(new: impl Fn() -> Messages, bytes: &[u8]) -> (Vec<Message>, Option<Fault>) {
    let whole = read_by(new(), bytes, bytes.len().max(1));
    for size in [1, 2, 3, 7, 100] {
        assert_eq!(read_by(new(), bytes, size), whole, "in pieces of {size}");
    }
    whole
}

fn plain() -> Messages {
    Messages::new(Peer::Client, LIMIT, None)
}

fn deflating() -> Messages {
    Messages::new(Peer::Client, LIMIT, Some(Agreed::default()))
}

fn text(text: &str) -> Message {
    Message::Text(Bytes::copy_from_slice(text.as_bytes()))
}

fn closed(code: u16, reason: &str) -> Message {
    Message::Close(Some(Close {
        code,
        reason: reason.to_owned(),
    }))
}

#[test]
fn the_examples_of_rfc_6455_are_read() {
    let unmasked = || Messages::new(Peer::Backend, 1 << 17, None);
    let of = |len: usize, head: &[u8]| [head, &vec![7; len]].concat();
    let binary = |len: usize| Message::Binary(vec![7; len].into());
    for (bytes, message) in [
        (b"\x81\x05Hello".to_vec(), text("Hello")),
        (b"\x01\x03Hel\x80\x02lo".to_vec(), text("Hello")),
        (b"\x89\x05Hello".to_vec(), Message::Ping("Hello".into())),
        (of(256, b"\x82\x7e\x01\x00"), binary(256)),
        (of(65536, b"\x82\x7f\0\0\0\0\0\x01\0\0"), binary(65536)),
    ] {
        assert_eq!(read(unmasked, &bytes), (vec![message], None));
    }
    let masked = b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";
    assert_eq!(read(plain, masked), (vec![text("Hello")], None));
    let pong = b"\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";
    let read = read(plain, pong);
    assert_eq!(read, (vec![Message::Pong("Hello".into())], None));
}

#[test]
fn vectors_5_and_76_fragments_are_joined_and_control_frames_may_stand_between() {
    let bytes = stream(&[
        (0x01, b"g"),
        (0x89, b"pi"),
        (0x00, b""),
        (0x00, b"o"),
        (0x8a, b""),
        (0x80, b"!"),
        (0x81, b""),
        (0x82, b"\0\x01"),
    ]);
    let messages = vec![
        Message::Ping("pi".into()),
        Message::Pong(Bytes::new()),
        text("go!"),
        text(""),
        Message::Binary(b"\0\x01"[..].into()),
    ];
    assert_eq!(read(plain, &bytes), (messages, None));
}

#[test]
fn vectors_77_and_78_what_a_client_must_not_send_is_1002() {
    let head = |bytes: &[u8]| bytes.to_vec();
    for (bytes, fault) in [
        (head(b"\x81\x05Hello"), Fault::Unmasked),
        (frame(0xc1, b"a"), Fault::ReservedBits),
        (frame(0xa1, b"a"), Fault::ReservedBits),
        (frame(0x91, b"a"), Fault::ReservedBits),
        (frame(0xc9, b""), Fault::ReservedBits),
        (frame(0x83, b""), Fault::Opcode(3)),
        (frame(0x8b, b""), Fault::Opcode(11)),
        (frame(0x89, &[b'p'; 126]), Fault::ControlLength),
        (frame(0x09, b"p"), Fault::ControlFragment),
        (frame(0x80, b"a"), Fault::Continuation),
        (stream(&[(0x01, b"a"), (0x81, b"b")]), Fault::Unfinished),
        (head(b"\x82\xfe\x00\x7d"), Fault::LengthForm),
        (head(b"\x82\xff\0\0\0\0\0\0\xff\xff"), Fault::LengthForm),
        (head(b"\x82\xff\x80\0\0\0\0\x01\0\0"), Fault::Length),
        (frame(0x88, b"\x03"), Fault::CloseLength),
        (frame(0x88, b"\x03\xed"), Fault::CloseCode(1005)),
    ] {
        assert_eq!(read(plain, &bytes), (vec![], Some(fault)), "{bytes:x?}");
        assert_eq!(fault.code(), 1002);
    }
    let masked = read(
        || Messages::new(Peer::Backend, LIMIT, None),
        &frame(0x81, b"a"),
    );
    assert_eq!(masked, (vec![], Some(Fault::Masked)));
}

#[test]
fn the_first_fault_ends_everything_and_what_came_before_stands() {
    let bytes = stream(&[(0x81, b"a"), (0x83, b""), (0x81, b"b")]);
    let read = read(plain, &bytes);
    assert_eq!(read, (vec![text("a")], Some(Fault::Opcode(3))));
}

#[test]
fn text_that_is_not_utf_8_is_1007_as_soon_as_it_is_known() {
    assert_eq!(Fault::Utf8.code(), 1007);
    let cut = "κόσμε".as_bytes().split_at(3);
    let bytes = stream(&[(0x01, cut.0), (0x80, cut.1)]);
    assert_eq!(read(plain, &bytes), (vec![text("κόσμε")], None));
    for bytes in [
        frame(0x81, b"\xff"),
        frame(0x81, b"a\xc3"),
        frame(0x88, b"\x03\xe8\xff"),
        stream(&[(0x01, b"a\xc3"), (0x80, b"b")]),
        stream(&[(0x01, b"a\xc3"), (0x80, b"")]),
        // The message goes on, and the frame too.
        stream(&[(0x01, b"a\xed\xa0")]),
        frame(0x01, &[b"\xf4\x90".as_slice(), &[b'a'; 500]].concat())[..10].to_vec(),
    ] {
        assert_eq!(read(plain, &bytes), (vec![], Some(Fault::Utf8)));
    }
    let binary = read(plain, &frame(0x82, b"\xff"));
    assert_eq!(binary, (vec![Message::Binary(b"\xff"[..].into())], None));
}

#[test]
fn nothing_after_a_close_is_read() {
    for (payload, message) in [
        (close::payload(1001, "bye"), closed(1001, "bye")),
        (close::payload(4000, ""), closed(4000, "")),
        (Vec::new(), Message::Close(None)),
    ] {
        // Inside a message it is allowed, and the message is lost.
        let bytes = stream(&[(0x01, b"a"), (0x88, &payload), (0x80, b"b"), (0x83, b"")]);
        assert_eq!(read(plain, &bytes), (vec![message], None));
    }
}

#[test]
fn a_message_above_the_limit_is_1009_by_its_head_alone() {
    let fault = Fault::TooBig { limit: LIMIT };
    assert_eq!(fault.code(), 1009);
    let fits = stream(&[(0x82, &[1; LIMIT]), (0x02, &[1; 600]), (0x80, &[1; 400])]);
    let whole = Message::Binary(vec![1; LIMIT].into());
    assert_eq!(read(plain, &fits), (vec![whole.clone(), whole], None));
    let head = |first: u8, len: u64| {
        let mut bytes = vec![first, 0xff];
        bytes.put_u64(len);
        bytes.put_slice(&[1, 2, 3, 4]);
        bytes
    };
    let second = |len: usize| frame(0x80, &vec![1; len])[..8].to_vec();
    for bytes in [
        frame(0x82, &[1; LIMIT + 1])[..8].to_vec(),
        head(0x81, 1 << 16),
        head(0x81, (1 << 63) - 1),
        [frame(0x02, &[1; 600]), second(401)].concat(),
    ] {
        assert_eq!(read(plain, &bytes), (vec![], Some(fault)));
    }
    assert_eq!(
        read(deflating, &head(0xc1, 1 << 16)),
        (vec![], Some(fault)),
        "compressed"
    );
}

#[test]
fn between_two_messages_nothing_is_kept() {
    let (mut messages, mut buffer) = (plain(), BytesMut::new());
    let bytes = stream(&[(0x01, b"a"), (0x80, b"b")]);
    // Within a head the bytes are still in the buffer.
    for (upto, idle) in [
        (0, true),
        (4, true),
        (6, false),
        (7, false),
        (13, false),
        (14, true),
    ] {
        buffer.extend_from_slice(&bytes[..upto]);
        let _ = messages.next(&mut buffer).unwrap();
        assert_eq!(messages.is_idle(), idle, "after {upto}");
        (messages, buffer) = (plain(), BytesMut::new());
    }
}

#[test]
fn a_message_that_came_at_once_is_not_copied() {
    let mut buffer = BytesMut::from(&*frame(0x82, &[9; 500]));
    let payload = buffer[8..].as_ptr();
    let Ok(Some(Message::Binary(data))) = plain().next(&mut buffer) else {
        panic!("no message");
    };
    assert_eq!(data.as_ptr(), payload);
}

/// One thing a peer may send, sound or not.
#[derive(Clone, Debug)]
enum Sent {
    Data {
        text: bool,
        deflate: bool,
        payload: Vec<u8>,
        cuts: Vec<usize>,
    },
    Control(u8, Vec<u8>),
    Raw(Vec<u8>),
}

fn sent() -> impl Strategy<Value = Sent> {
    let payload = prop_oneof![
        "[a-e😀é]{0,200}".prop_map(String::into_bytes),
        prop::collection::vec(any::<u8>(), 0..200),
    ];
    prop_oneof![
        8 => (any::<bool>(), any::<bool>(), payload, prop::collection::vec(0_usize..100, 0..4))
            .prop_map(|(text, deflate, payload, cuts)| Sent::Data { text, deflate, payload, cuts }),
        3 => (0x89_u8..0x8b, prop::collection::vec(any::<u8>(), 0..126))
            .prop_map(|(first, payload)| Sent::Control(first, payload)),
        1 => prop::collection::vec(any::<u8>(), 0..20).prop_map(Sent::Raw),
    ]
}

impl Sent {
    /// The frames, for the peer's side of the connection, with a ping between each two.
    fn write(&self, peer: Peer, deflater: &mut Deflater, out: &mut Vec<u8>) {
        match self {
            Self::Raw(bytes) => out.extend_from_slice(bytes),
            Self::Control(first, payload) => write_frame(peer, *first, payload, out),
            Self::Data {
                text,
                deflate,
                payload,
                cuts,
            } => {
                let opcode = if *text { Opcode::Text } else { Opcode::Binary };
                let encoded = if *deflate {
                    deflater.encode(opcode, payload)
                } else {
                    frame::encode(opcode, payload)
                };
                let (head, size) = Head::parse(&encoded, false).unwrap().unwrap();
                let first = encoded[0] & 0x7f;
                let mut rest = &encoded[size..];
                assert_eq!(head.len, rest.len() as u64);
                for (at, cut) in cuts.iter().enumerate() {
                    let (piece, after) = rest.split_at((*cut).min(rest.len()));
                    write_frame(peer, if at == 0 { first } else { 0 }, piece, out);
                    write_frame(peer, 0x89, b"", out);
                    rest = after;
                }
                let last = if cuts.is_empty() { first | 0x80 } else { 0x80 };
                write_frame(peer, last, rest, out);
            }
        }
    }

    fn messages(&self) -> Vec<Message> {
        match self {
            Self::Raw(_) => Vec::new(),
            Self::Control(0x89, payload) => vec![Message::Ping(payload.clone().into())],
            Self::Control(_, payload) => vec![Message::Pong(payload.clone().into())],
            Self::Data {
                text,
                payload,
                cuts,
                ..
            } => {
                let mut messages = vec![Message::Ping(Bytes::new()); cuts.len()];
                let payload = Bytes::from(payload.clone());
                messages.push(if *text {
                    Message::Text(payload)
                } else {
                    Message::Binary(payload)
                });
                messages
            }
        }
    }

    /// Whether it may be sent at all.
    fn is_sound(&self) -> bool {
        match self {
            Self::Raw(bytes) => bytes.is_empty(),
            Self::Control(..) => true,
            Self::Data { text, payload, .. } => !text || std::str::from_utf8(payload).is_ok(),
        }
    }
}

fn write_frame(peer: Peer, first: u8, payload: &[u8], out: &mut Vec<u8>) {
    let key = (peer == Peer::Client).then_some([0xa5, 0x00, 0xff, 0x17]);
    let head = Head {
        fin: true,
        compressed: false,
        opcode: Opcode::Binary,
        mask: key,
        len: payload.len() as u64,
    };
    let start = out.len();
    head.write(out);
    out[start] = first;
    let start = out.len();
    out.extend_from_slice(payload);
    if let Some(key) = key {
        mask::apply(&mut out[start..], key, 0);
    }
}

fn peer() -> impl Strategy<Value = Peer> {
    prop::sample::select(vec![Peer::Client, Peer::Backend])
}

proptest! {
    #[test]
    fn what_is_sent_is_read_however_it_is_cut(
        sent in prop::collection::vec(sent().prop_filter("sound", Sent::is_sound), 0..6),
        peer in peer(),
        size in 1_usize..300,
    ) {
        let (mut bytes, mut deflater) = (Vec::new(), Deflater::new(6));
        for one in &sent {
            one.write(peer, &mut deflater, &mut bytes);
        }
        let messages: Vec<_> = sent.iter().flat_map(Sent::messages).collect();
        let new = Messages::new(peer, LIMIT, Some(Agreed::default()));
        prop_assert_eq!(read_by(new, &bytes, size), (messages, None));
    }

    #[test]
    fn faults_are_the_same_however_the_bytes_are_cut(
        sent in prop::collection::vec(sent(), 0..6),
        peer in peer(),
        size in 1_usize..50,
    ) {
        let (mut bytes, mut deflater) = (Vec::new(), Deflater::new(1));
        for one in &sent {
            one.write(peer, &mut deflater, &mut bytes);
        }
        let new = || Messages::new(peer, 150, Some(Agreed::default()));
        let whole = read_by(new(), &bytes, bytes.len().max(1));
        prop_assert_eq!(read_by(new(), &bytes, size), whole);
    }

    #[test]
    fn frames_that_pass_in_pieces_are_the_frames_that_came(
        sent in prop::collection::vec(sent(), 0..6),
        size in 1_usize..50,
    ) {
        // From a client to a client: what is written with the same keys is what was read.
        let (mut bytes, mut deflater) = (Vec::new(), Deflater::new(1));
        for one in &sent {
            one.write(Peer::Client, &mut deflater, &mut bytes);
        }
        let mut reader = Reader::new(Peer::Client, true);
        let (mut passed, mut buffer, mut at) = (Vec::new(), BytesMut::new(), (None, 0));
        'all: for piece in bytes.chunks(size) {
            buffer.extend_from_slice(piece);
            loop {
                let piece = match reader.next(&mut buffer) {
                    Ok(Some(piece)) => piece,
                    Ok(None) => break,
                    Err(_) => break 'all,
                };
                if let Some(head) = piece.head {
                    head.write(&mut passed);
                    at = (head.mask, 0);
                }
                let start = passed.len();
                passed.extend_from_slice(&piece.data);
                mask::apply(&mut passed[start..], at.0.unwrap(), at.1);
                at.1 += piece.data.len() as u64;
            }
        }
        prop_assert!(bytes.starts_with(&passed));
        let sound = sent.iter().all(|sent| !matches!(sent, Sent::Raw(raw) if !raw.is_empty()));
        prop_assert!(!sound || passed == bytes);
    }
}
