//! Vectors 1 to 8, 10 to 15, 18 to 21 and 94: what becomes an event, and what an event becomes.

use crate::{
    site::{Site, control, event, events, grip, opened, opened_with, subscribe},
    support::ws::{FIN, Message, WebSocket, closing, opcode, text},
};

#[test]
fn w001_a_handshake_becomes_open() {
    let site = Site::new([("/chat?room=1", vec![opened("")])]);
    let _client = WebSocket::open_with(
        &site.gripd,
        "/chat?room=1",
        &[
            "Accept: text/html",
            "Connection-Id: forged",
            "Content-Bytes-Replayed: 7",
            "Cookie: a=b",
            "Grip-Sig: forged",
            "Meta-User: forged",
            "Origin: http://h.test",
            "Sec-WebSocket-Extensions: permessage-deflate",
            "Sec-WebSocket-Protocol: chat, other",
        ],
    );
    let request = site.backend.last();
    let head = &request.head;
    assert_eq!(head.first_line(), "POST /chat?room=1 HTTP/1.1");
    assert_eq!(request.body, b"OPEN\r\n");
    for (name, values) in [
        ("Accept", vec!["application/websocket-events"]),
        ("Content-Bytes-Replayed", vec![]),
        ("Content-Length", vec!["6"]),
        ("Content-Type", vec!["application/websocket-events"]),
        ("Cookie", vec!["a=b"]),
        ("Host", vec!["h.test"]),
        ("Meta-User", vec![]),
        ("Origin", vec!["http://h.test"]),
        ("Sec-WebSocket-Extensions", vec!["grip"]),
        ("Sec-WebSocket-Protocol", vec!["chat, other"]),
        ("Sec-WebSocket-Version", vec!["13"]),
        ("Upgrade", vec![]),
    ] {
        assert_eq!(head.all(name), values, "{name}");
    }
    let id = head.get("Connection-Id").expect("an id");
    assert_ne!(id, "forged");
    assert!(head.get("Grip-Feature").unwrap_or("").contains("session"));
    assert_ne!(head.get("Grip-Sig"), Some("forged"));
}

#[test]
fn w002_a_text_is_one_event() {
    let site = Site::one(vec![]);
    let mut client = site.open();
    client.say("hello");
    site.expect_bodies(&["TEXT 5\r\nhello\r\n"]);
    let ids = [0, 1].map(|n| {
        let request = site.request(n);
        request.head.get("Connection-Id").map(str::to_owned)
    });
    assert!(ids[0].is_some());
    assert_eq!(ids[0], ids[1], "a WebSocket has one id");
}

#[test]
fn w003_what_comes_during_a_request_goes_into_the_next() {
    let site = Site::one(vec![]);
    let mut client = site.open();
    site.gate.shut();
    client.say("go");
    site.request(1);
    client.send(&[Message::Binary(vec![0, 1]), text("")]);
    site.gate.open();
    site.expect_bodies(&["TEXT 2\r\ngo\r\n", "BINARY 2\r\n\0\u{1}\r\nTEXT\r\n"]);
}

/// Pushpin answers no ping, and a client whose backend does not either takes the connection for
/// dead. gripd answers for such a backend, and only for such.
#[test]
fn w004_pings_and_pongs_go_to_the_backend() {
    let site = Site::one(vec![
        opened(""),
        events("", ""),
        events("", ""),
        events("", event("PONG", "mine")),
    ]);
    let mut client = site.open();
    client.send(&[Message::Ping(b"pi".to_vec())]);
    client.expect(&[Message::Pong(b"pi".to_vec())]);
    client.send(&[Message::Ping(Vec::new())]);
    client.expect(&[Message::Pong(Vec::new())]);
    client.send(&[Message::Ping(b"own".to_vec())]);
    client.expect(&[Message::Pong(b"mine".to_vec())]);
    client.send(&[Message::Pong(b"po".to_vec())]);
    site.expect_bodies(&[
        "PING 2\r\npi\r\n",
        "PING\r\n",
        "PING 3\r\nown\r\n",
        "PONG 2\r\npo\r\n",
    ]);
    client.send(&[Message::Close(Some((1000, String::new())))]);
    client.expect_code(1000);
}

#[test]
fn w005_fragments_are_joined() {
    let site = Site::one(vec![]);
    let mut client = site.open();
    client.frame(opcode::TEXT, "g");
    client.frame(opcode::CONTINUATION, "o");
    client.frame(FIN | opcode::CONTINUATION, "!");
    site.expect_bodies(&["TEXT 3\r\ngo!\r\n"]);
}

#[test]
fn w006_a_close_is_answered_by_the_backends() {
    let close = b"CLOSE 5\r\n\x03\xe9bye\r\n";
    let site = Site::one(vec![opened(""), events("", close)]);
    let mut client = site.open();
    client.send(&[closing(1001, "bye")]);
    assert_eq!(client.expect_close(), Some((1001, "bye".into())));
    assert_eq!(site.request(1).body, close);

    // The backend's code is the client's, whatever the client said.
    let site = Site::one(vec![opened(""), events("", b"CLOSE 2\r\n\x0f\xa1\r\n")]);
    let mut client = site.open();
    client.send(&[text("last"), closing(1000, "")]);
    assert_eq!(client.expect_close(), Some((4001, String::new())));
}

#[test]
fn w007_a_close_without_a_code_is_1000_on_the_way_back() {
    let site = Site::one(vec![opened(""), events("", "CLOSE\r\n")]);
    let mut client = site.open();
    client.send(&[Message::Close(None)]);
    client.expect_code(1000);
    site.expect_bodies(&["CLOSE\r\n"]);
}

#[test]
fn w008_a_close_that_the_backend_ignores_ends_the_connection() {
    let site = Site::one(vec![opened(""), events("", "")]);
    let mut client = site.open();
    client.send(&[closing(1000, "")]);
    client.expect_eof();
    assert_eq!(site.request(1).body, b"CLOSE 2\r\n\x03\xe8\r\n");
}

#[test]
fn w010_a_client_that_vanishes_is_a_disconnect() {
    let site = Site::one(vec![]);
    site.open().vanish();
    site.expect_bodies(&["DISCONNECT\r\n"]);
}

#[test]
fn w011_a_disconnect_waits_for_the_request_and_for_no_message() {
    let site = Site::one(vec![grip(&control(&subscribe("a")))]);
    let mut client = site.open();
    site.wait_subscribers("a", 1);
    site.gate.shut();
    client.say("one");
    site.request(1);
    client.say("two");
    client.vanish();
    site.wait_subscribers("a", 0);
    assert_eq!(site.requests("/").len(), 2, "one request at a time");
    site.gate.open();
    site.expect_only("/", &["TEXT 3\r\none\r\n", "DISCONNECT\r\n"]);
}

/// What the client gets of these events behind OPEN, up to a close frame with 1000.
fn heard(rows: &[(&str, &[Message])]) {
    let pages: Vec<_> = (rows.iter().enumerate())
        .map(|(n, (more, _))| (format!("/{n}"), vec![opened(&format!("{more}CLOSE\r\n"))]))
        .collect();
    let site = Site::new(pages.iter().map(|(path, all)| (&**path, all.clone())));
    for (n, (more, messages)) in rows.iter().enumerate() {
        eprintln!("{more:?}");
        let mut client = site.open_at(&format!("/{n}"));
        client.expect(messages);
        client.expect_code(1000);
    }
}

#[test]
fn w012_sizes_have_leading_zeros_and_capitals() {
    heard(&[("TEXT 0B\r\nhello world\r\n", &[text("hello world")])]);
}

#[test]
fn w013_unknown_events_are_skipped() {
    heard(&[
        ("FOO 3\r\nabc\r\nTEXT 1\r\nz\r\n", &[text("z")]),
        ("text 1\r\nq\r\nTEXT 1\r\nz\r\n", &[text("z")]),
    ]);
}

#[test]
fn w014_empty_messages_are_messages() {
    heard(&[(
        "TEXT\r\nBINARY 0\r\n\r\nPING\r\nPONG 1\r\nq\r\n",
        &[
            text(""),
            Message::Binary(Vec::new()),
            Message::Ping(Vec::new()),
            Message::Pong(b"q".to_vec()),
        ],
    )]);
}

/// Pushpin takes what there is. To refuse the whole is as good: nobody can have meant it.
#[test]
fn w015_content_that_is_cut_short_is_taken_or_refused() {
    let site = Site::one(vec![opened("TEXT ff\r\nabc")]);
    let mut asked = crate::support::ws::ask(&site.gripd, "/", &[]);
    let mut first = [0; 12];
    while asked.socket().peek(&mut first).is_ok_and(|n| n < 12) {}
    if &first == b"HTTP/1.1 502" {
        assert_eq!(asked.response().status(), 502);
    } else {
        WebSocket::opened(asked).hear("abc");
    }
}

#[test]
fn w018_nothing_follows_a_close() {
    let body = b"OPEN\r\nTEXT 3\r\nbye\r\nCLOSE 5\r\n\x0f\xa1why\r\nTEXT 5\r\nafter\r\n";
    let site = Site::one(vec![events("", body)]);
    let mut client = site.open();
    client.hear("bye");
    assert_eq!(client.expect_close(), Some((4001, "why".into())));
    // The client's echo is told, and that is all.
    assert_eq!(site.request(1).body, b"CLOSE 2\r\n\x0f\xa1\r\n");
}

/// Pushpin loses what stands before DISCONNECT.
#[test]
fn w019_what_stands_before_disconnect_is_delivered() {
    let site = Site::one(vec![opened("TEXT 3\r\nbye\r\nDISCONNECT\r\n")]);
    let mut client = site.open();
    client.hear("bye");
    client.expect_eof();
}

#[test]
fn w020_a_close_without_a_code_is_1000() {
    heard(&[("", &[]), ("CLOSE 1\r\nx\r\n", &[])]);
}

/// Pushpin writes any code. Where a code may not go on the wire the frame is empty.
#[test]
fn w021_codes_that_may_not_be_sent_are_left_out() {
    for code in [0_u16, 999, 1004, 1005, 1006, 1015, 5000] {
        let content = [&code.to_be_bytes()[..], b"\xff\xfe"].concat();
        let body = [b"OPEN\r\nCLOSE 4\r\n", &content[..], b"\r\n"].concat();
        let site = Site::one(vec![events("", body)]);
        assert_eq!(site.open().expect_close(), None, "{code}");
    }
    // A reason that is not UTF-8 is shown as far as it can be.
    let site = Site::one(vec![events("", b"OPEN\r\nCLOSE 4\r\n\x0f\xa1\xff\xfe\r\n")]);
    let close = site.open().expect_close();
    assert_eq!(close, Some((4001, "\u{fffd}\u{fffd}".into())));
}

/// A negative size takes the rest of the body for Pushpin; for gripd it is no size.
#[test]
fn w094_sizes_in_odd_spelling() {
    heard(&[
        ("TEXT 0x3\r\nabc\r\n", &[text("abc")]),
        ("TEXT  3\r\nabc\r\n", &[text("abc")]),
    ]);
    let site = Site::one(vec![opened_with("X-A: 1\r\n", "TEXT -1\r\nabc\r\n")]);
    assert_eq!(crate::support::ws::refused(&site.gripd, "/").status(), 502);
}
