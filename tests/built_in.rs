//! WebSockets of the built-in backends, the `test` target and the welcome page, over real sockets.
#![cfg(feature = "server")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests fail by panicking"
)]

mod support;

use gripd::websocket::{
    close,
    frame::{self, Opcode},
};
use serde_json::json;

use support::{Gripd, Wire};

const KEY: [u8; 4] = [1, 2, 3, 4];

const UPGRADE: [&str; 4] = [
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
];

/// Asks for a WebSocket. `more`: further header lines.
fn knock(gripd: &Gripd, path: &str, more: &[&str]) -> Wire {
    let mut client = gripd.client();
    client.request("GET", path, &[&UPGRADE[..], more].concat(), "");
    client
}

fn opened(gripd: &Gripd, path: &str) -> Wire {
    let mut client = knock(gripd, path, &[]);
    let head = client.head();
    assert_eq!(head.status(), 101, "{path}");
    let accept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
    assert_eq!(head.get("Sec-WebSocket-Accept"), Some(accept));
    client
}

fn say(client: &mut Wire, opcode: Opcode, content: &[u8]) {
    client.send(frame::encode_masked(opcode, content, KEY));
}

fn hear(client: &mut Wire, opcode: Opcode, content: &[u8]) {
    let expected = frame::encode(opcode, content);
    let found = client.exact(expected.len());
    assert_eq!(found, expected, "{}", String::from_utf8_lossy(&found));
}

#[test]
fn the_test_target_says_back_what_it_hears() {
    let gripd = Gripd::start(|c| c.route("* test"));
    let mut client = opened(&gripd, "/ws");
    for (opcode, content) in [
        (Opcode::Text, &b"hello"[..]),
        (Opcode::Binary, b"\0\xff"),
        (Opcode::Text, b""),
    ] {
        say(&mut client, opcode, content);
        hear(&mut client, opcode, content);
    }
    say(&mut client, Opcode::Ping, b"p");
    hear(&mut client, Opcode::Pong, b"p");
    let goodbye = close::payload(4001, "bye");
    say(&mut client, Opcode::Close, &goodbye);
    hear(&mut client, Opcode::Close, &goodbye);
    client.expect_eof();
}

#[test]
fn the_test_target_subscribes_to_the_channels_it_is_asked_for() {
    let gripd = Gripd::start(|c| c.route("*,path_beg=/t,prefix=p- test"));
    for (query, channel) in [("", "test"), ("?channel=a&channel=b%22c", "b\"c")] {
        let mut client = opened(&gripd, &format!("/t/ws{query}"));
        say(&mut client, Opcode::Text, b"first");
        hear(&mut client, Opcode::Text, b"first");
        let format = json!({"ws-message": {"content": "news"}});
        let item = json!({"channel": format!("p-{channel}"), "formats": format});
        assert_eq!(gripd.publish(&json!([item])), [1], "{channel}");
        hear(&mut client, Opcode::Text, b"news");
    }
}

#[test]
fn other_paths_are_no_websockets() {
    let gripd = Gripd::start(|c| c.route("*,debug test"));
    for path in ["/", "/stream", "/other"] {
        let answer = knock(&gripd, path, &[]).response();
        assert_eq!(answer.status(), 404, "{path}");
        assert_eq!(answer.text(), "no such test resource\n", "{path}");
    }
    assert_eq!(gripd.fetch("/ws").status(), 404, "plain HTTP");
    assert!(!gripd.log().contains("over_http"), "{}", gripd.log());
}

#[test]
fn what_the_welcome_page_publishes_reaches_its_websocket() {
    let gripd = Gripd::start(|c| c.arg("--config=/dev/null"));
    let mut client = opened(&gripd, "/ws");
    say(&mut client, Opcode::Text, b"mine");
    hear(&mut client, Opcode::Text, b"mine");
    for (message, opcode) in [(&b"all"[..], Opcode::Text), (b"\xff", Opcode::Binary)] {
        let mut page = gripd.client();
        page.request("POST", "/publish", &[], message);
        assert_eq!(page.response().json()["connections"], 1);
        hear(&mut client, opcode, message);
    }
}

#[test]
fn pages_of_other_sites_get_no_websocket_of_the_welcome_page() {
    let gripd = Gripd::start(|c| c.arg("--config=/dev/null"));
    let answer = knock(&gripd, "/ws", &["Origin: http://evil.example"]).response();
    assert_eq!(answer.status(), 403);
    let own = format!("Origin: http://{}", support::HOST);
    assert_eq!(knock(&gripd, "/ws", &[&own]).head().status(), 101);
    assert_eq!(knock(&gripd, "/nope", &[]).response().status(), 404);
}
