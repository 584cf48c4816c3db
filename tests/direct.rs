//! WebSockets whose backend speaks WebSocket itself: with the `grip` extension, by which gripd
//! speaks with both sides, and without it, when bytes pass as they are.
#![cfg(feature = "server")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests fail by panicking"
)]

mod support;

use std::{
    io::{ErrorKind, Write},
    net::TcpStream,
    sync::{Arc, Mutex, mpsc},
    time::Duration,
};

use serde_json::json;
use support::{
    Backend, DeadPort, Gripd,
    ws::{FIN, Message, WebSocket, closing, opcode, refused, text},
};

const GRIP: &str = "Sec-WebSocket-Extensions: grip\r\n";
const OFFER: &str = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits";
const RSV1: u8 = 0x40;

type Heard = Arc<Mutex<Vec<Message>>>;

/// A backend that accepts every WebSocket with these header lines, talks, and then listens until
/// the other side has closed. What it was told at the end is noted.
fn backend(
    headers: &'static str,
    talk: impl Fn(&mut WebSocket) + Send + Sync + 'static,
) -> (Backend, Heard) {
    let heard = Heard::default();
    let noted = Arc::clone(&heard);
    let backend = Backend::start(move |request, reply| {
        WebSocket::accept(request, reply, headers, |socket| {
            talk(socket);
            while let Some(message) = socket.try_message() {
                noted.lock().unwrap().push(message);
            }
        });
    });
    (backend, heard)
}

fn wait_heard(heard: &Heard, want: &[Message]) {
    support::eventually("what the backend is told", || {
        heard.lock().unwrap().len() >= want.len()
    });
    assert_eq!(*heard.lock().unwrap(), want);
}

fn subscribe(channel: &str) -> String {
    format!(r#"c:{{"type":"subscribe","channel":"{channel}"}}"#)
}

fn publish(gripd: &Gripd, channel: &str, message: &serde_json::Value) -> u64 {
    gripd.publish(&json!([{"channel": channel, "formats": {"ws-message": message}}]))[0]
}

/// Vectors 40 to 44: what the client sees of what the backend says.
#[test]
fn messages_are_sorted_by_their_prefix_if_grip_is_granted() {
    let said = [
        text("m:1"),
        text("I:2"),
        text("raw"),
        Message::Binary(b"m:\0\x01".to_vec()),
        Message::Ping(b"zz".to_vec()),
        Message::Pong(Vec::new()),
        text(r#"c:{"type":"nothing"}"#),
        text("m:end"),
        text("I:end"),
    ];
    let pings = [Message::Ping(b"zz".to_vec()), Message::Pong(Vec::new())];
    let with_m = [&[text("1"), Message::Binary(vec![0, 1])], &pings[..]].concat();
    let with_m = [&with_m[..], &[text("end")]].concat();
    let with_i = [&[text("2")], &pings[..], &[text("end")]].concat();
    let mut plain = said.to_vec();
    plain.remove(6);
    for (headers, want) in [
        (GRIP, with_m.clone()),
        ("Sec-WebSocket-Extensions: foo, grip\r\n", with_m),
        (
            "Sec-WebSocket-Extensions: grip; message-prefix=\"I:\"\r\n",
            with_i,
        ),
        (
            "Sec-WebSocket-Extensions: grip; message-prefix=\"\"\r\n",
            plain,
        ),
        ("Sec-WebSocket-Extensions: GRIP\r\n", said.to_vec()),
        ("", said.to_vec()),
    ] {
        let all = said.clone();
        let (backend, _) = backend(headers, move |socket| socket.send(&all));
        let gripd = Gripd::before(&backend);
        let mut client = WebSocket::open(&gripd, "/");
        assert!(!client.head.has("Sec-WebSocket-Extensions"), "{headers}");
        client.expect(&want);
    }
}

/// What the client offers goes on, with `grip` beside it; an answer without `grip` is the client's,
/// and what is compressed then is nobody's business between the two.
#[test]
fn without_grip_extensions_are_agreed_on_end_to_end() {
    let answer = "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover\r\n\
                  Sec-WebSocket-Protocol: chat\r\n";
    let (backend, _) = backend(answer, |socket| {
        let frame = socket.try_frame().unwrap();
        assert_eq!(frame.first, FIN | RSV1 | opcode::TEXT);
        socket.frame(RSV1 | opcode::TEXT, &frame.payload[..3]);
        socket.frame(FIN | opcode::CONTINUATION, &frame.payload[3..]);
    });
    let gripd = Gripd::before(&backend);
    let more = [
        "Sec-WebSocket-Extensions: foo",
        "Sec-WebSocket-Protocol: chat",
    ];
    let mut client = WebSocket::open_with(&gripd, "/", &[OFFER, more[0], more[1]]);
    assert_eq!(
        client.head.all("Sec-WebSocket-Extensions"),
        ["permessage-deflate; server_no_context_takeover"]
    );
    assert_eq!(client.head.get("Sec-WebSocket-Protocol"), Some("chat"));
    client.frame(FIN | RSV1 | opcode::TEXT, "abcdef");
    for (first, payload) in [
        (RSV1 | opcode::TEXT, "abc"),
        (FIN | opcode::CONTINUATION, "def"),
    ] {
        let frame = client.try_frame().unwrap();
        assert_eq!((frame.first, &*frame.payload), (first, payload.as_bytes()));
    }
    // One line: there are servers that refuse a second.
    let asked = backend.last().head;
    assert_eq!(
        asked.all("Sec-WebSocket-Extensions"),
        ["permessage-deflate; client_max_window_bits, foo, grip"]
    );
}

/// A backend that agrees on compression beside `grip` compresses for gripd; the client's own
/// compression is gripd's.
#[test]
fn with_grip_each_side_has_its_own_compression() {
    let answer = "Sec-WebSocket-Extensions: permessage-deflate, grip\r\n\
                  Sec-WebSocket-Protocol: chat\r\nX-A: 1\r\n";
    let (backend, heard) = backend(answer, |socket| {
        // "m:hi" as a stored block, without the end that is left out (RFC 7692 section 7.2.1).
        socket.frame(FIN | RSV1 | opcode::TEXT, b"\0\x04\0\xfb\xffm:hi\0");
    });
    let gripd = Gripd::before(&backend);
    let mut client = WebSocket::open_with(&gripd, "/", &[OFFER]);
    assert_eq!(
        client.head.all("Sec-WebSocket-Extensions"),
        ["permessage-deflate; client_no_context_takeover; server_no_context_takeover"]
    );
    assert_eq!(client.head.get("Sec-WebSocket-Protocol"), Some("chat"));
    assert_eq!(client.head.get("X-A"), Some("1"));
    client.hear("hi");
    client.frame(FIN | RSV1 | opcode::TEXT, b"\0\x02\0\xfd\xffho\0");
    wait_heard(&heard, &[text("ho")]);
}

#[test]
fn an_answer_that_fits_no_offer_is_a_502() {
    let (backend, _) = backend("Sec-WebSocket-Extensions: permessage-deflate\r\n", |_| {});
    let gripd = Gripd::before(&backend);
    assert_eq!(refused(&gripd, "/").status(), 502);
    gripd.wait_log("permessage-deflate, which was not offered");
}

/// Vectors 45, 46, 54 and 59, on a route with a prefix.
#[test]
fn control_messages_subscribe_and_every_kind_is_published() {
    let (backend, _) = backend(GRIP, |socket| {
        socket.say(&subscribe("a"));
        socket.say(&subscribe("a"));
        socket.say("m:ready");
    });
    let gripd = Gripd::start(|c| c.route(format!("*,prefix=p- {}", backend.addr)));
    let mut client = WebSocket::open(&gripd, "/");
    client.hear("ready");
    assert_eq!(publish(&gripd, "a", &json!({"content": "other"})), 0);
    for (message, want) in [
        (json!({"content": "hi"}), text("hi")),
        (
            json!({"content-bin": "AP8="}),
            Message::Binary(vec![0, 0xff]),
        ),
        (json!({"type": "ping"}), Message::Ping(Vec::new())),
        (
            json!({"type": "pong", "content": "x"}),
            Message::Pong(b"x".to_vec()),
        ),
        (json!({"content": ""}), text("")),
        (json!({"type": "text", "content-bin": "QQ=="}), text("A")),
        (
            json!({"type": "binary", "content": "B"}),
            Message::Binary(b"B".to_vec()),
        ),
    ] {
        assert_eq!(publish(&gripd, "p-a", &message), 1);
        client.expect(&[want]);
    }
}

/// Vectors 61, 67 and 68.
#[test]
fn messages_by_time() {
    let (backend, _) = backend(GRIP, |socket| {
        let delayed = |content: &str, time| {
            format!(r#"c:{{"type":"send-delayed","content":"{content}","timeout":{time}}}"#)
        };
        socket.say(&delayed("D1", 1000));
        socket.say(&delayed("D2", 1000));
        socket.say("m:between");
        socket.say(r#"c:{"type":"flush-delayed"}"#);
        socket.say(r#"c:{"type":"keep-alive","content":"KA","timeout":1}"#);
    });
    let gripd = Gripd::before(&backend);
    let mut client = WebSocket::open(&gripd, "/");
    client.expect(&[
        text("D1"),
        text("between"),
        text("D2"),
        text("KA"),
        text("KA"),
    ]);
}

/// Vector 60; Pushpin delivers so even when the backend knows nothing of GRIP.
#[test]
fn implicit_channels_need_no_grip() {
    for (headers, prefix) in [(GRIP, "m:"), ("", "")] {
        let (backend, heard) = backend(headers, move |socket| {
            socket.say(r#"c:{"type":"unsubscribe","channel":"imp"}"#);
            socket.say(&format!("{prefix}ready"));
        });
        let gripd = Gripd::start(|c| c.route(format!("* {},sub=imp", backend.addr)));
        let mut client = WebSocket::open(&gripd, "/");
        if headers.is_empty() {
            client.hear(r#"c:{"type":"unsubscribe","channel":"imp"}"#);
        }
        client.hear("ready");
        publish(&gripd, "imp", &json!({"content": "here"}));
        client.hear("here");
        client.say("up");
        wait_heard(&heard, &[text("up")]);
    }
}

/// Vector 69.
#[test]
fn a_detached_client_stays_with_its_channels() {
    let (backend, heard) = backend(GRIP, |socket| {
        socket.say(&subscribe("a"));
        socket.say(r#"c:{"type":"detach"}"#);
        socket.say("m:after");
    });
    let gripd = Gripd::before(&backend);
    let mut client = WebSocket::open(&gripd, "/");
    client.hear("after");
    wait_heard(&heard, &[Message::Close(None)]);
    client.send(&[text("ignored"), Message::Ping(b"ignored".to_vec())]);
    publish(&gripd, "a", &json!({"content": "still"}));
    client.hear("still");
    client.send(&[closing(4000, "")]);
    assert_eq!(client.expect_close(), Some((1000, String::new())));
    wait_heard(&heard, &[Message::Close(None)]);
}

#[test]
fn a_published_close_closes_both_sides() {
    let (backend, heard) = backend(GRIP, |socket| socket.say(&subscribe("a")));
    let gripd = Gripd::before(&backend);
    let mut client = WebSocket::open(&gripd, "/");
    gripd.wait_subscribers("a", "ws-message", 1);
    publish(
        &gripd,
        "a",
        &json!({"action": "close", "code": 4009, "reason": "kick"}),
    );
    assert_eq!(client.expect_close(), Some((4009, "kick".into())));
    wait_heard(&heard, &[Message::Close(None)]);
}

/// The client's close is the backend's, and the backend's answer is the client's.
#[test]
fn a_client_closes_through_gripd() {
    let (closed, close) = mpsc::channel();
    let closed = Mutex::new(closed);
    let (backend, _) = backend(GRIP, move |socket| {
        closed.lock().unwrap().send(socket.message()).unwrap();
        socket.send(&[text("m:last"), closing(4001, "yours")]);
    });
    let gripd = Gripd::before(&backend);
    let mut client = WebSocket::open(&gripd, "/");
    client.send(&[closing(1001, "bye")]);
    client.hear("last");
    assert_eq!(client.expect_close(), Some((4001, "yours".into())));
    assert_eq!(
        close.recv_timeout(support::PATIENCE).unwrap(),
        closing(1001, "bye")
    );
}

#[test]
fn either_side_may_vanish() {
    let (gone, ended) = mpsc::channel();
    let gone = Mutex::new(gone);
    let backend = Backend::start(move |request, reply| {
        WebSocket::accept(request, reply, GRIP, |socket| {
            socket.say("m:last");
            if request.head.target() == "/stay" {
                gone.lock().unwrap().send(socket.try_message()).unwrap();
            }
        });
    });
    let gripd = Gripd::before(&backend);
    let mut client = WebSocket::open(&gripd, "/go");
    client.hear("last");
    client.expect_eof();
    let mut client = WebSocket::open(&gripd, "/stay");
    client.hear("last");
    client.vanish();
    assert_eq!(ended.recv_timeout(support::PATIENCE).unwrap(), None);
}

/// What a backend must not send is told it, and the client is told that it is not its own fault.
#[test]
fn a_backend_that_breaks_the_protocol() {
    for (what, raw, code) in [
        ("an opcode of no meaning", vec![FIN | 3, 0], 1002),
        ("a mask", vec![FIN | opcode::TEXT, 0x80, 0, 0, 0, 0], 1002),
        ("compression", vec![FIN | RSV1 | opcode::TEXT, 0], 1002),
        ("no UTF-8", vec![FIN | opcode::TEXT, 1, 0xff], 1007),
        (
            "too much",
            vec![FIN | opcode::TEXT, 127, 0, 0, 0, 0, 1, 0, 0, 0],
            1009,
        ),
    ] {
        let (backend, heard) = backend(GRIP, move |socket| {
            socket.say("m:last");
            socket.wire.send(&raw);
        });
        let gripd = Gripd::before(&backend);
        let mut client = WebSocket::open(&gripd, "/");
        client.hear("last");
        client.expect_code(1011);
        support::eventually(what, || {
            let heard = heard.lock().unwrap();
            matches!(&heard[..], [Message::Close(Some((own, _)))] if *own == code)
        });
        gripd.wait_log("WebSocket ended: the backend sent ");
    }
}

#[test]
fn a_client_that_breaks_the_protocol_costs_only_itself() {
    let (gone, ended) = mpsc::channel();
    let gone = Mutex::new(gone);
    let (backend, _) = backend(GRIP, move |socket| {
        gone.lock().unwrap().send(socket.try_message()).unwrap();
    });
    let gripd = Gripd::before(&backend);
    let mut client = WebSocket::open(&gripd, "/");
    client.frame(FIN | 3, "");
    client.expect_code(1002);
    assert_eq!(ended.recv_timeout(support::PATIENCE).unwrap(), None);
}

/// Writes so many texts of a letter, and tells once that no more is taken for the moment.
fn flood(socket: &TcpStream, letter: &str, masked: bool, blocked: &mpsc::Sender<()>) {
    let prefix = if masked { "" } else { "m:" };
    let payload = format!("{prefix}{}", letter.repeat(SIZE));
    let raw = support::ws::encode(FIN | opcode::TEXT, payload.as_bytes(), masked).repeat(MESSAGES);
    socket.set_write_timeout(Some(STALL)).unwrap();
    let (mut rest, mut told) = (&raw[..], false);
    while !rest.is_empty() {
        match (&*socket).write(rest) {
            Ok(written) => rest = &rest[written..],
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                if !std::mem::replace(&mut told, true) {
                    blocked.send(()).unwrap();
                }
            }
            Err(error) => panic!("{error}"),
        }
    }
}

const MESSAGES: usize = 400;
const SIZE: usize = 100_000;
/// A write that takes longer is held up by the one who does not read.
const STALL: Duration = Duration::from_millis(200);

/// Far more than the kernel keeps: each direction waits for its reader, and nothing is lost.
#[test]
fn floods_wait_for_their_reader() {
    let (backend_blocked, backend_waits) = mpsc::channel();
    let (client_blocked, client_waits) = mpsc::channel();
    let (heard, told) = mpsc::channel();
    let ends = Mutex::new((backend_blocked, client_waits, heard));
    let (backend, _) = backend(GRIP, move |socket| {
        let (blocked, client_waits, heard) = &*ends.lock().unwrap();
        flood(socket.wire.socket(), "d", false, blocked);
        client_waits.recv_timeout(support::PATIENCE).unwrap();
        let up = Message::Text("u".repeat(SIZE));
        heard
            .send((0..MESSAGES).all(|_| socket.message() == up))
            .unwrap();
    });
    let gripd = Gripd::before(&backend);
    let mut client = WebSocket::open(&gripd, "/");
    backend_waits.recv_timeout(support::PATIENCE).unwrap();
    let down = Message::Text("d".repeat(SIZE));
    for n in 0..MESSAGES {
        assert_eq!(client.message(), down, "number {n}");
    }
    flood(client.wire.socket(), "u", true, &client_blocked);
    assert!(told.recv_timeout(support::PATIENCE).unwrap());
}

/// Both ways, in fragments, up to the limits.
#[test]
fn large_messages_pass_whole() {
    let (backend, heard) = backend(GRIP, |socket| {
        socket.frame(opcode::BINARY, [&b"m:"[..], &vec![7; 500_000]].concat());
        socket.send(&[Message::Ping(b"within".to_vec())]);
        socket.frame(FIN | opcode::CONTINUATION, vec![7; 400_000]);
    });
    let gripd = Gripd::before(&backend);
    let mut client = WebSocket::open(&gripd, "/");
    client.expect(&[
        Message::Ping(b"within".to_vec()),
        Message::Binary(vec![7; 900_000]),
    ]);
    client.frame(opcode::TEXT, "x".repeat(120_000));
    client.frame(FIN | opcode::CONTINUATION, "x".repeat(80_000));
    wait_heard(&heard, &[text(&"x".repeat(200_000))]);
    client.frame(FIN | opcode::TEXT, "x".repeat(200_001));
    client.expect_code(1009);
}

#[test]
fn a_route_without_grip_offers_none() {
    let (backend, _) = backend("", |socket| socket.say(&subscribe("a")));
    let gripd = Gripd::start(|c| c.route(format!("*,no_grip {}", backend.addr)));
    let mut client = WebSocket::open_with(&gripd, "/", &[OFFER]);
    client.hear(&subscribe("a"));
    assert_eq!(
        backend.last().head.all("Sec-WebSocket-Extensions"),
        ["permessage-deflate; client_max_window_bits"]
    );
}

/// Vector 37; and the failure of all targets, vector 95.
#[test]
fn the_next_target_is_asked_when_one_is_not_there() {
    let dead = DeadPort::new();
    let (backend, _) = backend(GRIP, |socket| socket.say("m:here"));
    let gripd = Gripd::start(|c| {
        c.route(format!("* {} {}", dead.addr, backend.addr))
            .route(format!("dead.test {}", dead.addr))
    });
    WebSocket::open(&gripd, "/").hear("here");
    let asked = support::ws::ask(&gripd, "/", &["Host: dead.test"]).response();
    assert_eq!(asked.status(), 502);
}
