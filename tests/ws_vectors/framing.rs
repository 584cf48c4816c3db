//! Vectors 76 to 82: handshakes and frames of clients, good and bad. Where Pushpin drops the
//! connection, or takes what no client may send, gripd closes with the code that RFC 6455 has for
//! it; the backend is told of a client that vanished.

use crate::{
    site::Site,
    support::ws::{
        FIN, KEY, Message, WebSocket, accept_of, close_payload, encode, frame_head, opcode,
    },
};

/// Frames that are wrong, as raw bytes.
type Rows<'a> = &'a [(&'a str, Vec<u8>)];

/// The client is closed with this code, and the backend learns that it has gone.
fn closed_with(code: u16, rows: Rows<'_>) {
    let paths: Vec<String> = (0..rows.len()).map(|n| format!("/{n}")).collect();
    let site = Site::new([]);
    let mut other = site.open_at("/bystander");
    for (path, (name, raw)) in paths.iter().zip(rows) {
        eprintln!("{name}");
        let mut client = site.open_at(path);
        client.wire.send(raw);
        client.expect_code(code);
        assert_eq!(site.request_at(path, 1).body, b"DISCONNECT\r\n", "{name}");
    }
    other.say("still there");
    site.expect_bodies_at("/bystander", &["TEXT b\r\nstill there\r\n"]);
}

fn masked(first: u8, payload: impl AsRef<[u8]>) -> Vec<u8> {
    encode(first, payload.as_ref(), true)
}

/// Pushpin drops a connection for it, which RFC 6455 (section 5.4) does not allow.
#[test]
fn w076_a_ping_may_stand_between_fragments() {
    let site = Site::new([]);
    let mut client = site.open();
    client.frame(opcode::TEXT, "a");
    client.send(&[Message::Ping(b"pi".to_vec())]);
    client.expect(&[Message::Pong(b"pi".to_vec())]);
    client.frame(FIN | opcode::CONTINUATION, "b");
    site.expect_bodies(&["PING 2\r\npi\r\n", "TEXT 2\r\nab\r\n"]);
}

/// Pushpin lets all of these pass.
#[test]
fn w077_what_no_client_may_send_is_refused() {
    closed_with(
        1002,
        &[
            ("unmasked", encode(FIN | opcode::TEXT, b"x", false)),
            ("RSV1", masked(FIN | 0x40 | opcode::TEXT, "x")),
            ("RSV2", masked(FIN | 0x20 | opcode::TEXT, "x")),
            ("RSV3", masked(FIN | 0x10 | opcode::TEXT, "x")),
        ],
    );
    closed_with(
        1007,
        &[
            ("text", masked(FIN | opcode::TEXT, b"\xff\xfe")),
            (
                "text across fragments",
                [
                    masked(opcode::TEXT, b"\xc3"),
                    masked(FIN | opcode::CONTINUATION, b"\x28"),
                ]
                .concat(),
            ),
            (
                "close reason",
                masked(FIN | opcode::CLOSE, close_payload(1000, b"\xff")),
            ),
        ],
    );
}

#[test]
fn w078_frames_against_the_protocol() {
    closed_with(
        1002,
        &[
            ("opcode 3", masked(FIN | 0x03, "x")),
            ("opcode 11", masked(FIN | 0x0B, "x")),
            ("long ping", masked(FIN | opcode::PING, [b'x'; 126])),
            ("unfinished ping", masked(opcode::PING, "x")),
            (
                "continuation of nothing",
                masked(FIN | opcode::CONTINUATION, "x"),
            ),
            (
                "text within a message",
                [masked(opcode::TEXT, "a"), masked(FIN | opcode::TEXT, "b")].concat(),
            ),
            ("close of one byte", masked(FIN | opcode::CLOSE, "x")),
            (
                "close code 1005",
                masked(FIN | opcode::CLOSE, close_payload(1005, b"")),
            ),
            (
                "length with its highest bit",
                [&frame_head(FIN | opcode::TEXT, 1 << 63, true)[..], &[0; 4]].concat(),
            ),
        ],
    );
}

/// A request of a client, of these lines, and its answer's status and text.
fn asked(site: &Site, lines: &[&str], body: &str) -> (u16, String) {
    let mut wire = site.gripd.client();
    wire.send([&lines.join("\r\n"), "\r\n\r\n", body].concat());
    let response = wire.response();
    (response.status(), response.text())
}

#[test]
fn w079_requests_for_a_websocket_that_are_none() {
    let site = Site::new([]);
    let key = format!("Sec-WebSocket-Key: {KEY}");
    let get = "GET / HTTP/1.1";
    let upgrade = ["Host: h.test", "Connection: Upgrade", "Upgrade: websocket"];
    let rows: [(&str, Vec<&str>, &str); 4] = [
        (
            "POST / HTTP/1.1",
            vec![&key, "Sec-WebSocket-Version: 13", "Content-Length: 0"],
            "",
        ),
        (get, vec![&key, "Sec-WebSocket-Version: 8"], ""),
        (get, vec!["Sec-WebSocket-Version: 13"], ""),
        (
            get,
            vec![&key, "Sec-WebSocket-Version: 13", "Content-Length: 4"],
            "body",
        ),
    ];
    for (first, more, body) in rows {
        let lines = [&[first], &upgrade[..], &more[..]].concat();
        let (status, told) = asked(&site, &lines, body);
        assert_eq!(status, 400, "{more:?}");
        assert!(told.to_lowercase().contains("websocket"), "{told:?}");
    }
    assert_eq!(site.backend.asked(), Vec::<String>::new());
}

#[test]
fn w080_what_a_handshake_need_not_have() {
    let site = Site::new([]);
    // Without `Connection`, and on HTTP/1.0, an `Upgrade` asks for nothing (RFC 9110 section 7.8):
    // such a request is an ordinary one.
    for (version, lines, status) in [
        ("1.1", "Connection: Upgrade\r\nUpgrade: WebSocket\r\n", 101),
        (
            "1.1",
            "connection: keep-alive, upgrade\r\nUpgrade: WEBSOCKET\r\n",
            101,
        ),
        ("1.1", "Upgrade: websocket\r\n", 200),
        ("1.0", "Connection: Upgrade\r\nUpgrade: websocket\r\n", 200),
    ] {
        let mut wire = site.gripd.client();
        wire.send(format!(
            "GET / HTTP/{version}\r\nHost: h.test\r\n{lines}Sec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: abc\r\nContent-Length: 0\r\n\r\n"
        ));
        let head = wire.head();
        assert_eq!(head.status(), status, "HTTP/{version}, {lines}");
        let accept = (status == 101).then(|| accept_of("abc"));
        assert_eq!(head.get("Sec-WebSocket-Accept"), accept.as_deref());
    }
}

/// What was agreed on when the client offers this.
fn agreed(offer: &str) -> Option<String> {
    let site = Site::new([]);
    let offer = format!("Sec-WebSocket-Extensions: {offer}");
    let client = WebSocket::open_with(&site.gripd, "/", &[&offer]);
    let all = client.head.all("Sec-WebSocket-Extensions");
    assert!(all.len() <= 1, "{all:?}");
    all.first().map(|&answer| answer.to_owned())
}

/// gripd compresses a message once for all clients, so that it always says that it keeps nothing
/// from one message to the next; clients that offered no such thing take it (RFC 7692, 7.1.1.1).
#[test]
fn w081_the_first_offer_that_can_be_kept_is_taken() {
    let offer = "permessage-deflate; bogus, permessage-deflate; client_no_context_takeover";
    let answer = agreed(offer).expect("an extension");
    let mut parts: Vec<&str> = answer.split(';').map(str::trim).collect();
    assert_eq!(parts.remove(0), "permessage-deflate");
    assert!(parts.contains(&"client_no_context_takeover"), "{answer}");
    parts.retain(|part| !part.ends_with("_no_context_takeover"));
    assert_eq!(parts, Vec::<&str>::new(), "nothing that was not offered");
}

/// A smaller window of the server's is one that gripd can keep to, unlike Pushpin.
#[test]
fn w082_an_offer_that_cannot_be_kept_is_left() {
    for offer in [
        "permessage-deflate; server_max_window_bits=99",
        "permessage-deflate; bogus",
        "permessage-deflate; client_max_window_bits=99",
        "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
        "foo",
    ] {
        assert_eq!(agreed(offer), None, "{offer}");
    }
    let small = agreed("permessage-deflate; server_max_window_bits=10").expect("an extension");
    assert!(small.contains("server_max_window_bits=10"), "{small}");
}
