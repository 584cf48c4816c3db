//! Vectors 53 to 69: control messages, and what they change of what is published.

use std::time::Instant;

use serde_json::{Value, json};

use crate::{
    site::{
        Site, control, controlled, event, filtered, grip, publish, subscribe, wait_subscribers,
    },
    support::{
        Backend, Gripd, PATIENCE,
        ws::{Message, WebSocket, closing, text},
    },
};

/// A WebSocket whose backend said this with OPEN.
fn told(messages: &[Value]) -> (Site, WebSocket) {
    let site = Site::one(vec![controlled(messages)]);
    let client = site.open();
    (site, client)
}

#[test]
fn w053_a_connection_has_at_most_so_many_channels() {
    let all: Vec<Value> = (0..21).map(|n| subscribe(&format!("c{n}"))).collect();
    let (site, mut client) = told(&all);
    site.wait_subscribers("c19", 1);
    for n in [20, 0, 19] {
        site.publish(&format!("c{n}"), &json!({"content": format!("to {n}")}));
    }
    client.expect(&[text("to 0"), text("to 19")]);
}

#[test]
fn w054_a_channel_is_subscribed_once() {
    let (site, mut client) = told(&[subscribe("a"), subscribe("a")]);
    site.wait_subscribers("a", 1);
    for word in ["once", "end"] {
        site.publish("a", &json!({"content": word}));
    }
    client.expect(&[text("once"), text("end")]);
}

#[test]
fn w055_a_subscription_has_at_most_five_filters() {
    let six = ["skip-self"; 6];
    let page = || controlled(&[filtered("x", &six)]);
    let site = Site::new([("/", vec![page()]), ("/debug", vec![page()])]);
    let close = site.open().expect_close();
    assert_eq!(close, Some((1011, String::new())), "only debug tells why");
    let (code, reason) = site.open_at("/debug").expect_close().unwrap();
    assert_eq!(code, 1011);
    assert!(reason.contains("filters"), "{reason:?}");

    let (site, mut client) = told(&[filtered("a", &six[..5])]);
    site.wait_subscribers("a", 1);
    site.publish("a", &json!({"content": "five are fine"}));
    client.hear("five are fine");
}

/// Metadata of an item for the filters.
fn from(site: &Site, meta: &Value, content: &str) {
    site.gripd.publish(&json!([
        {"channel": "a", "meta": meta, "ws-message": {"content": content}}
    ]));
}

#[test]
fn w056_skip_self() {
    let (site, mut client) = told(&[
        json!({"type": "set-meta", "name": "user", "value": "bob"}),
        filtered("a", &["skip-self"]),
    ]);
    site.wait_subscribers("a", 1);
    from(&site, &json!({"sender": "bob"}), "own");
    from(&site, &json!({}), "other");
    client.hear("other");
}

#[test]
fn w057_var_subst() {
    let (site, mut client) = told(&[
        json!({"type": "set-meta", "name": "n", "value": "Zed"}),
        filtered("a", &["var-subst"]),
    ]);
    site.wait_subscribers("a", 1);
    site.publish("a", &json!({"content": "hi %(n)s"}));
    client.hear("hi Zed");
}

/// What a filter asks holds up the item alone: the client is heard, and its going noticed.
#[test]
fn a_filter_that_asks_does_not_hold_up_the_client() {
    let (site, mut client) = told(&[
        json!({"type": "set-meta", "name": "url", "value": "/check"}),
        filtered("a", &["http-check"]),
    ]);
    site.wait_subscribers("a", 1);
    site.gate.shut();
    site.publish("a", &json!({"content": "checked"}));
    site.request_at("/check", 0);
    client.say("hey");
    site.expect_bodies(&["TEXT 3\r\nhey\r\n"]);
    site.gate.open();
    client.hear("checked");

    site.gate.shut();
    site.publish("a", &json!({"content": "checked"}));
    site.request_at("/check", 1);
    client.vanish();
    site.expect_bodies(&["TEXT 3\r\nhey\r\n", "DISCONNECT\r\n"]);
    site.gate.open();
}

#[test]
fn w058_content_filters_must_be_the_subscriptions() {
    let page = || controlled(&[filtered("a", &["var-subst"])]);
    let site = Site::new([("/", vec![page()]), ("/debug", vec![page()])]);
    let mut client = site.open();
    let mut debug = site.open_at("/debug");
    site.wait_subscribers("a", 2);
    site.publish(
        "a",
        &json!({"content": "x", "content-filters": ["build-id"]}),
    );
    site.publish("a", &json!({"content": "end"}));
    client.hear("end");
    let (code, reason) = debug.expect_close().unwrap();
    assert_eq!(code, 1011);
    assert!(
        reason.contains("var-subst") && reason.contains("build-id"),
        "{reason:?}"
    );
}

/// A filter that cannot be followed drops the item; one version of Pushpin sends it empty.
#[test]
fn w057_a_variable_that_is_not_there() {
    let (site, mut client) = told(&[filtered("a", &["var-subst"])]);
    site.wait_subscribers("a", 1);
    site.publish("a", &json!({"content": "%(n)s"}));
    site.publish("a", &json!({"content": "end"}));
    client.hear("end");
}

#[test]
fn w059_a_routes_prefix_stands_before_every_channel() {
    let backend = Backend::always(controlled(&[subscribe("pc")]));
    let line = format!("*,prefix=p- {},over_http", backend.addr);
    let gripd = Gripd::start(|c| c.route(line));
    let mut client = WebSocket::open(&gripd, "/");
    wait_subscribers(&gripd, "p-pc", 1);
    publish(&gripd, "pc", &json!({"content": "no"}));
    publish(&gripd, "p-pc", &json!({"content": "yes"}));
    client.hear("yes");
}

#[test]
fn w060_a_targets_channels_stay() {
    let unsubscribe = json!({"type": "unsubscribe", "channel": "imp1"});
    let backend = Backend::always(controlled(&[unsubscribe, subscribe("other")]));
    let line = format!("* {},over_http,sub=imp1", backend.addr);
    let gripd = Gripd::start(|c| c.route(line));
    let mut client = WebSocket::open(&gripd, "/");
    wait_subscribers(&gripd, "other", 1);
    publish(&gripd, "imp1", &json!({"content": "still"}));
    client.hear("still");
}

/// A `keep-alive` message.
fn keep_alive(timeout: i64, more: &Value) -> Value {
    let mut all = json!({"type": "keep-alive", "timeout": timeout});
    for (name, value) in more.as_object().unwrap() {
        all[name] = value.clone();
    }
    all
}

#[test]
fn w061_a_keep_alive_comes_again_and_again() {
    let (_site, mut client) = told(&[keep_alive(2, &json!({"content": "KA"}))]);
    client.expect(&[text("KA"), text("KA")]);
}

#[test]
fn w062_a_keep_alive_may_be_a_ping() {
    let more = json!({"content": "", "message-type": "ping"});
    let (_site, mut client) = told(&[keep_alive(1, &more)]);
    client.expect(&[Message::Ping(Vec::new()), Message::Ping(Vec::new())]);
}

#[test]
fn w063_base64_is_text_if_nothing_else_is_said() {
    let (_site, mut client) = told(&[keep_alive(1, &json!({"content-bin": "AQ=="}))]);
    client.hear("\u{1}");
}

/// Nothing comes while a keep-alive on another connection comes twice.
fn silent(messages: &[Value]) {
    let (site, mut client) = told(&[messages, &[subscribe("a")]].concat());
    site.wait_subscribers("a", 1);
    let (_other, mut clock) = told(&[keep_alive(2, &json!({"content": "tick"}))]);
    clock.expect(&[text("tick"), text("tick")]);
    site.publish("a", &json!({"content": "end"}));
    client.hear("end");
}

#[test]
fn w064_a_keep_alive_without_content_ends_it() {
    silent(&[
        keep_alive(2, &json!({"content": "K"})),
        json!({"type": "keep-alive"}),
    ]);
}

#[test]
fn w065_keep_alives_with_faults_are_ignored() {
    silent(&[
        keep_alive(-1, &json!({"content": "K"})),
        keep_alive(1, &json!({"content": "K", "message-type": "zz"})),
    ]);
}

#[test]
fn w066_an_idle_keep_alive_waits_for_silence() {
    let (site, mut idle) = told(&[keep_alive(3, &json!({"content": "K"})), subscribe("a")]);
    let rhythm = keep_alive(3, &json!({"content": "K", "mode": "interval"}));
    let (other, mut clock) = told(&[rhythm, subscribe("a")]);
    site.wait_subscribers("a", 1);
    other.wait_subscribers("a", 1);
    // Two intervals pass on one connection, while both get items far more often than that.
    let start = Instant::now();
    let mut ticks = 0;
    while ticks < 2 {
        assert!(
            start.elapsed() < PATIENCE,
            "{ticks} keep-alives among items"
        );
        for site in [&site, &other] {
            site.publish("a", &json!({"content": "."}));
        }
        idle.hear(".");
        while clock.message() == text("K") {
            ticks += 1;
        }
    }
    idle.hear("K");
}

/// A `send-delayed` message.
fn delayed(content: &str, timeout: i64) -> Value {
    json!({"type": "send-delayed", "content": content, "timeout": timeout})
}

#[test]
fn w067_another_delayed_message_sends_the_first() {
    let (_site, mut client) = told(&[delayed("D1", 3600), delayed("D2", 1)]);
    client.expect(&[text("D1"), text("D2")]);
}

#[test]
fn w068_a_delayed_message_can_be_flushed() {
    let flush = json!({"type": "flush-delayed"});
    let (_site, mut client) = told(&[delayed("D", 3600), flush]);
    client.hear("D");
}

#[test]
fn w069_a_detached_client_listens_on() {
    let detach = json!({"type": "detach"});
    let events = control(&subscribe("a")) + &control(&detach) + &event("TEXT", "m:afterdetach");
    let site = Site::one(vec![grip(&events)]);
    let mut client = site.open();
    client.hear("afterdetach");
    site.expect_bodies(&["CLOSE\r\n"]);
    client.say("ignored");
    site.wait_subscribers("a", 1);
    site.publish("a", &json!({"content": "still"}));
    client.hear("still");
    client.send(&[closing(4000, "")]);
    assert_eq!(client.expect_close(), Some((1000, String::new())));
    site.expect_only("/", &["CLOSE\r\n"]);
}
