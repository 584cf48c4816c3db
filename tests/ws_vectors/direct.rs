//! Vectors 70 to 75: a backend that speaks WebSocket itself, with GRIP and without.

use std::sync::{Arc, Mutex};

use serde_json::json;

use crate::{
    site::{Gate, publish, wait_subscribers},
    support::{
        Backend, Gripd, answer, eventually,
        ws::{FIN, Message, WebSocket, closing, opcode, refused, text},
    },
};

const GRIP: &str = "Sec-WebSocket-Extensions: grip\r\n";

/// gripd before a backend that accepts every WebSocket with these header lines and then talks.
fn before(
    headers: &'static str,
    talk: impl Fn(&mut WebSocket) + Send + Sync + 'static,
) -> (Gripd, Backend) {
    let backend = Backend::start(move |request, reply| {
        WebSocket::accept(request, reply, headers, &talk);
    });
    let gripd = Gripd::start(|c| {
        c.set("LOG_LEVEL", "debug")
            .route(format!("* {}", backend.addr))
    });
    (gripd, backend)
}

/// Relays nothing more; ends when gripd does.
fn listen(backend: &mut WebSocket) {
    while backend.try_frame().is_some() {}
}

#[test]
fn w070_fragments_of_a_message_have_one_prefix() {
    let (gripd, backend) = before(GRIP, |backend| {
        backend.frame(opcode::TEXT, "m:AB");
        backend.frame(opcode::CONTINUATION, "CD");
        backend.frame(FIN | opcode::CONTINUATION, "EF");
        backend.frame(opcode::TEXT, "dropped");
        backend.frame(FIN | opcode::CONTINUATION, "m:too");
        backend.say("m:end");
        listen(backend);
    });
    let mut client = WebSocket::open(&gripd, "/x?y=1");
    assert!(!client.head.has("Sec-WebSocket-Extensions"));
    client.expect(&[text("ABCDEF"), text("end")]);
    let head = backend.last().head;
    assert_eq!(head.target(), "/x?y=1");
    assert!(head.all("Sec-WebSocket-Extensions").contains(&"grip"));
    assert!(
        head.has("Grip-Sig") || head.has("Grip-Feature"),
        "{}",
        head.raw
    );
}

/// Pushpin drops what is published while a message of the backend is half done.
#[test]
fn w071_what_is_published_waits_for_the_end_of_a_message() {
    let gate = Arc::new(Gate::default());
    gate.shut();
    let passage = Arc::clone(&gate);
    let (gripd, _backend) = before(GRIP, move |backend| {
        backend.say(r#"c:{"type":"subscribe","channel":"a"}"#);
        backend.frame(opcode::TEXT, "m:AB");
        backend.send(&[Message::Ping(b"half".to_vec())]);
        passage.pass();
        backend.frame(FIN | opcode::CONTINUATION, "CD");
        listen(backend);
    });
    let mut client = WebSocket::open(&gripd, "/");
    wait_subscribers(&gripd, "a", 1);
    publish(&gripd, "a", &json!({"content": "published"}));
    gate.open();
    // Frame by frame: a ping may stand between fragments, and a message may come in one piece.
    let (mut message, mut whole) = (Vec::new(), Vec::new());
    while whole.len() < 2 {
        let frame = client.try_frame().expect("both come");
        if frame.opcode() >= opcode::CLOSE {
            assert_eq!(frame.opcode(), opcode::PING);
            continue;
        }
        assert_eq!(
            frame.opcode() == opcode::CONTINUATION,
            !message.is_empty(),
            "within another message: {frame:?}"
        );
        message.extend_from_slice(&frame.payload);
        if frame.is_last() {
            whole.push(String::from_utf8(std::mem::take(&mut message)).unwrap());
        }
    }
    whole.sort();
    assert_eq!(whole, ["ABCD", "published"]);
}

/// Pushpin ignores a control message that comes in two pieces.
#[test]
fn w072_a_control_message_may_come_in_pieces() {
    let (gripd, _backend) = before(GRIP, |backend| {
        backend.frame(opcode::TEXT, r#"c:{"type":"subscribe","#);
        backend.frame(FIN | opcode::CONTINUATION, r#""channel":"a"}"#);
        let raw = crate::support::ws::encode(
            FIN | opcode::TEXT,
            br#"c:{"type":"subscribe","channel":"b"}"#,
            false,
        );
        // Two writes without Nagle are two segments.
        let (first, second) = raw.split_at(9);
        backend.wire.send(first);
        backend.wire.send(second);
        listen(backend);
    });
    let mut client = WebSocket::open(&gripd, "/");
    for channel in ["a", "b"] {
        wait_subscribers(&gripd, channel, 1);
        publish(&gripd, channel, &json!({"content": channel}));
        client.hear(channel);
    }
}

#[test]
fn w073_a_rejection_is_the_clients_answer() {
    let backend = Backend::always(answer(
        "401 Unauthorized",
        "WWW-Authenticate: Basic\r\nX-A: 1\r\n",
        "who?\n",
    ));
    let gripd = Gripd::before(&backend);
    let response = refused(&gripd, "/");
    assert_eq!(response.status(), 401);
    assert_eq!(response.head.get("WWW-Authenticate"), Some("Basic"));
    assert_eq!(response.text(), "who?\n");
}

#[test]
fn w074_a_wrong_accept_is_a_502() {
    for accept in ["Sec-WebSocket-Accept: bm90IGl0\r\n", ""] {
        let backend = Backend::always(format!(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\
             Upgrade: websocket\r\n{accept}\r\n"
        ));
        let gripd = Gripd::before(&backend);
        assert_eq!(refused(&gripd, "/").status(), 502, "{accept:?}");
    }
}

#[test]
fn w075_closes_are_relayed_both_ways() {
    let seen: Arc<Mutex<Vec<Message>>> = Arc::default();
    for (headers, prefix) in [("", ""), (GRIP, "m:")] {
        let noted = Arc::clone(&seen);
        let (gripd, _backend) = before(headers, move |backend| {
            backend.send(&[text(&format!("{prefix}last")), closing(4010, "bb")]);
            noted.lock().unwrap().extend(backend.try_message());
        });
        let mut client = WebSocket::open(&gripd, "/");
        client.hear("last");
        assert_eq!(client.expect_close(), Some((4010, "bb".into())));
        let echo = closing(4010, "");
        eventually("the echo", || seen.lock().unwrap().contains(&echo));
        seen.lock().unwrap().clear();
    }

    let noted = Arc::clone(&seen);
    let (gripd, _backend) = before("", move |backend| {
        while let Some(message) = backend.try_message() {
            backend.send(std::slice::from_ref(&message));
            let is_close = matches!(message, Message::Close(_));
            noted.lock().unwrap().push(message);
            if is_close {
                // A server ends the connection (RFC 6455 section 7.1.1).
                return;
            }
        }
    });
    let mut client = WebSocket::open(&gripd, "/");
    let all = [
        text("t"),
        Message::Binary(vec![0, 0xff]),
        Message::Ping(b"pi".to_vec()),
        Message::Pong(b"po".to_vec()),
    ];
    client.send(&all);
    client.expect(&all);
    client.send(&[closing(4000, "cc")]);
    assert_eq!(client.expect_close(), Some((4000, "cc".into())));
    let told = [&all[..], &[closing(4000, "cc")]].concat();
    assert_eq!(*seen.lock().unwrap(), told);
}
