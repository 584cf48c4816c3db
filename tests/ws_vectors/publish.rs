//! Vectors 45 to 52, 86 and 88: what is published to WebSockets.

use serde_json::{Value, json};

use crate::{
    site::{Site, controlled, event, events, publish, subscribe, wait_subscribers},
    support::{
        Gripd,
        ws::{Message, WebSocket, closing, text},
    },
};

/// A WebSocket that listens to `a`; its backend's later answers.
fn listening(later: Vec<Vec<u8>>) -> (Site, WebSocket) {
    let answers = [vec![controlled(&[subscribe("a")])], later].concat();
    let site = Site::one(answers);
    let client = site.open();
    site.wait_subscribers("a", 1);
    (site, client)
}

/// What a client gets of these items, in order.
fn sent(rows: &[(Value, Message)]) {
    let (site, mut client) = listening(Vec::new());
    let items: Vec<Value> = rows
        .iter()
        .map(|(item, _)| json!({"channel": "a", "ws-message": item}))
        .collect();
    site.gripd.publish(&json!(items));
    for (item, message) in rows {
        assert_eq!(&client.message(), message, "{item}");
    }
}

#[test]
fn w045_every_kind_of_message() {
    sent(&[
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
    ]);
}

#[test]
fn w046_the_type_is_free_of_the_field() {
    sent(&[
        (json!({"type": "text", "content-bin": "QQ=="}), text("A")),
        (
            json!({"type": "binary", "content": "B"}),
            Message::Binary(b"B".to_vec()),
        ),
    ]);
}

#[test]
fn w047_a_message_without_content_is_refused() {
    let gripd = Gripd::start(|c| c.route("* test"));
    let body = r#"{"items":[{"channel":"a","ws-message":{}}]}"#;
    let response = gripd.publish_raw(&[], body);
    assert_eq!(response.status(), 400);
    let told = response.text();
    assert!(
        told.contains("ws-message") && told.contains("content"),
        "{told:?}"
    );
}

#[test]
fn w048_refresh_asks_the_backend() {
    let (site, mut client) = listening(vec![events("", event("TEXT", "m:fresh"))]);
    site.publish("a", &json!({"action": "refresh"}));
    client.hear("fresh");
    site.expect_bodies(&[""]);
    assert_eq!(site.request(1).head.all("Content-Length"), ["0"]);
}

#[test]
fn w049_close_with_code_and_reason() {
    let (site, mut client) = listening(Vec::new());
    let close = json!({"action": "close", "code": 4009, "reason": "kick"});
    site.publish("a", &close);
    assert_eq!(client.expect_close(), Some((4009, "kick".into())));
    site.expect_only("/", &["CLOSE\r\n"]);
    site.wait_subscribers("a", 0);
}

#[test]
fn w050_nothing_is_published_behind_a_close() {
    let (site, mut client) = listening(Vec::new());
    site.gripd.publish(&json!([
        {"channel": "a", "ws-message": {"action": "close"}},
        {"channel": "a", "ws-message": {"content": "late"}},
    ]));
    assert_eq!(client.expect_close(), Some((1000, String::new())));
}

/// Pushpin writes what is left of the number in 16 bits. A code that may not be sent is left out.
#[test]
fn w051_codes_that_may_not_be_sent_are_left_out() {
    for code in [70_000, 999, 1005, 1006] {
        let (site, mut client) = listening(Vec::new());
        site.publish("a", &json!({"action": "close", "code": code}));
        assert_eq!(client.expect_close(), None, "{code}");
    }
}

/// Pushpin drops the connection. 123 bytes are what a close frame has room for.
#[test]
fn w052_long_reasons_are_cut_between_letters() {
    let (site, mut client) = listening(Vec::new());
    let close = json!({"action": "close", "code": 4009, "reason": "é".repeat(65)});
    site.publish("a", &close);
    assert_eq!(client.expect_close(), Some((4009, "é".repeat(61))));
}

#[test]
fn w086_the_built_in_target_echoes() {
    let gripd = Gripd::start(|c| c.route("* test"));
    let mut client = WebSocket::open(&gripd, "/ws?channel=tc1&channel=tc2");
    for channel in ["tc1", "tc2"] {
        wait_subscribers(&gripd, channel, 1);
        publish(&gripd, channel, &json!({"content": channel}));
        client.hear(channel);
    }
    let all = [
        text("echo"),
        Message::Binary(vec![0, 0xff]),
        Message::Ping(b"pi".to_vec()),
    ];
    client.send(&all);
    client.expect(&all[..2]);
    // An echo would be a ping; a pong is its answer. Pushpin's sends the ping back.
    let answer = client.message();
    assert!(
        [Message::Pong(b"pi".to_vec()), all[2].clone()].contains(&answer),
        "{answer:?}"
    );
    client.send(&[closing(4001, "done")]);
    assert_eq!(client.expect_close(), Some((4001, "done".into())));
    let other = crate::support::ws::refused(&gripd, "/elsewhere");
    assert_eq!(other.status(), 404);
}

/// Pushpin drops what does not fit and goes on, with a hole that nobody sees. A WebSocket of
/// gripd's gets all of it up to some message, and is then closed so that its client knows.
#[test]
fn w088_a_client_that_does_not_read_has_no_hole() {
    let page = || controlled(&[subscribe("a")]);
    let site = Site::set_up([("/", vec![page()]), ("/quick", vec![page()])], |c| {
        c.set("LIMITS_CONNECTION_BUFFER", "256KiB")
    });
    let mut slow = site.open();
    site.wait_subscribers("a", 1);
    let item = |n: usize| format!("{n:06}{}", "x".repeat(50_000));
    for n in 0..300 {
        site.publish("a", &json!({"content": item(n)}));
    }
    site.wait_subscribers("a", 0);
    let mut n = 0;
    let close = loop {
        match slow.message() {
            Message::Text(got) => assert_eq!(got, item(n), "a hole before {n}"),
            Message::Close(close) => break close,
            other => panic!("{other:?}"),
        }
        n += 1;
    };
    assert!(n < 300, "all of it came");
    assert_eq!(close.map(|(code, _)| code), Some(1013));
    // Others are served as ever.
    let mut quick = site.open_at("/quick");
    site.wait_subscribers("a", 1);
    site.publish("a", &json!({"content": "on"}));
    quick.hear("on");
}
