//! Bodies of events, case by case (`vector N`: seen of Pushpin), and whatever bytes there are.

use proptest::prelude::*;

use super::*;

fn text(content: &'static str) -> Event {
    message(MessageKind::Text, content)
}

fn message(kind: MessageKind, content: &'static str) -> Event {
    let content = Bytes::from_static(content.as_bytes());
    Event::Message(Message { kind, content })
}

fn close(code: u16, reason: &str) -> Event {
    Event::Close(Close {
        code: Some(code),
        reason: reason.to_owned(),
    })
}

fn read(body: &'static [u8]) -> Result<Vec<Event>, EventError> {
    decode(&Bytes::from_static(body))
}

#[test]
fn events_are_read_tolerantly() {
    use MessageKind::{Binary, Ping, Pong};
    let bare = Event::Close(Close::default());
    for (case, body, want) in [
        ("vector 17: empty", &b""[..], vec![]),
        (
            "vector 12",
            b"OPEN\r\nTEXT 0B\r\nhello world\r\n",
            vec![Event::Open, text("hello world")],
        ),
        (
            "vector 13: an unknown event",
            b"OPEN\r\nFOO 3\r\nabc\r\nTEXT 1\r\nz\r\n",
            vec![Event::Open, text("z")],
        ),
        (
            "vector 17: another case",
            b"open\r\nTEXT\r\n",
            vec![text("")],
        ),
        (
            "vector 14",
            b"TEXT\r\nBINARY 0\r\n\r\nPING\r\nPONG 1\r\nq\r\n",
            vec![
                text(""),
                message(Binary, ""),
                message(Ping, ""),
                message(Pong, "q"),
            ],
        ),
        ("vector 15: short", b"TEXT ff\r\nabc", vec![text("abc")]),
        ("short of its end", b"TEXT 3\r\nabc\r", vec![text("abc")]),
        (
            "the two bytes behind",
            b"TEXT 3\r\nabcXYPING\r\n",
            vec![text("abc"), message(Ping, "")],
        ),
        (
            "vector 18",
            b"CLOSE 5\r\n\x0f\xa1why\r\nTEXT 5\r\nafter\r\n",
            vec![close(4001, "why"), text("after")],
        ),
        ("vector 20", b"CLOSE\r\n", vec![bare.clone()]),
        ("vector 20: one byte", b"CLOSE 1\r\nx\r\n", vec![bare]),
        (
            "vector 21",
            b"CLOSE 4\r\n\x03\xe7\xff\xfe\r\n",
            vec![close(999, "\u{fffd}\u{fffd}")],
        ),
        (
            "content that means nothing",
            b"OPEN 2\r\nab\r\nDISCONNECT 1\r\nx\r\n",
            vec![Event::Open, Event::Disconnect],
        ),
        ("vector 94", b"TEXT 0x3\r\nabc\r\n", vec![text("abc")]),
        (
            "vector 94: blanks",
            b"TEXT  3\r\nabc\r\n",
            vec![text("abc")],
        ),
    ] {
        assert_eq!(read(body), Ok(want), "{case}");
    }
}

#[test]
fn what_cannot_be_read_is_told_with_its_place() {
    let line = |at| Err(EventError::Line { at });
    let size = |at, size: &str| {
        let size = size.to_owned();
        Err(EventError::Size { at, size })
    };
    for (case, body, want) in [
        (
            "vector 16",
            &b"OPEN\r\nTEXT zz\r\nab\r\n"[..],
            size(6, "zz"),
        ),
        ("vector 17: no CRLF", b"OPEN", line(0)),
        ("vector 89", b"TEXT 1\r\na\r\nTEXT", line(11)),
        ("a bare LF", b"OPEN\nTEXT 1\r\na\r\n", line(0)),
        ("vector 94: negative", b"TEXT -1\r\nabc\r\n", size(0, "-1")),
        ("a sign", b"TEXT +1\r\nabc\r\n", size(0, "+1")),
        ("no size", b"TEXT \r\nabc\r\n", size(0, "")),
        (
            "too big",
            b"TEXT 10000000000000000\r\n",
            size(0, "10000000000000000"),
        ),
    ] {
        assert_eq!(read(body), want, "{case}");
    }
    let error = EventError::Size {
        at: 6,
        size: "zz".to_owned(),
    };
    let want = "the event at byte 6 has the size 'zz'; it must be a hexadecimal number";
    assert_eq!(error.to_string(), want);
}

#[test]
fn the_biggest_size_is_only_a_short_content() {
    let body = format!("TEXT {:x}\r\nabc", usize::MAX);
    assert_eq!(decode(&Bytes::from(body)), Ok(vec![text("abc")]));
}

#[test]
fn contents_are_no_copies() {
    let body = Bytes::from_static(b"BINARY 3\r\nabc\r\n");
    let events = decode(&body).unwrap();
    let [Event::Message(message)] = &events[..] else {
        panic!("{events:?}")
    };
    assert_eq!(message.content.as_ptr(), body[10..].as_ptr());
}

#[test]
fn events_are_written_as_backends_know_them() {
    use MessageKind::{Binary, Ping, Pong};
    for (case, event, want) in [
        ("vector 1", Event::Open, &b"OPEN\r\n"[..]),
        ("vector 2", text("hello"), b"TEXT 5\r\nhello\r\n"),
        (
            "vector 3",
            message(Binary, "\0\x01"),
            b"BINARY 2\r\n\0\x01\r\n",
        ),
        ("vector 3: empty", text(""), b"TEXT\r\n"),
        ("vector 4", message(Ping, "pi"), b"PING 2\r\npi\r\n"),
        ("vector 4: empty", message(Ping, ""), b"PING\r\n"),
        ("vector 4: pong", message(Pong, "po"), b"PONG 2\r\npo\r\n"),
        (
            "hexadecimal",
            text("elevenbytes"),
            b"TEXT b\r\nelevenbytes\r\n",
        ),
        (
            "vector 6",
            close(1001, "bye"),
            b"CLOSE 5\r\n\x03\xe9bye\r\n",
        ),
        ("vector 7", Event::Close(Close::default()), b"CLOSE\r\n"),
        ("vector 10", Event::Disconnect, b"DISCONNECT\r\n"),
    ] {
        let mut out = Vec::new();
        encode(&event, &mut out);
        assert_eq!(out, want, "{case}");
    }
}

fn events() -> impl Strategy<Value = Event> {
    let kinds = prop::sample::select(vec![
        MessageKind::Text,
        MessageKind::Binary,
        MessageKind::Ping,
        MessageKind::Pong,
    ]);
    let content = prop::collection::vec(any::<u8>(), 0..300);
    prop_oneof![
        1 => Just(Event::Open),
        1 => Just(Event::Disconnect),
        1 => Just(Event::Close(Close::default())),
        2 => (any::<u16>(), ".{0,40}").prop_map(|(code, reason)| close(code, &reason)),
        8 => (kinds, content).prop_map(|(kind, content)| {
            Event::Message(Message { kind, content: Bytes::from(content) })
        }),
    ]
}

proptest! {
    #[test]
    fn what_is_written_is_read(events in prop::collection::vec(events(), 0..20)) {
        let mut body = Vec::new();
        for event in &events {
            encode(event, &mut body);
        }
        prop_assert_eq!(decode(&Bytes::from(body)), Ok(events));
    }

    #[test]
    fn any_bytes_are_read_or_refused(
        body in "(TEXT|PING|CLOSE|X| |-1|0x|[0-9a-f]|\r\n|\n|ä){0,40}",
    ) {
        let body = Bytes::from(body);
        if let Ok(events) = decode(&body) {
            prop_assert!(events.len() <= body.len() / 6 + 1);
        }
    }
}
