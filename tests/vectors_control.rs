//! The vectors of the control port, and of batches, each test named by its number. A row that
//! says `differs` is one where Pushpin does otherwise, and why gripd does not follow.
#![cfg(feature = "server")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests fail by panicking"
)]

mod support;

use serde_json::{Value, json};

use support::{Backend, Gripd, Wire, instruct};

/// gripd with nothing behind it.
fn alone() -> Gripd {
    Gripd::start(|c| c.route("* test"))
}

const EMPTY: &str = r#"{"items":[]}"#;

/// Status and body of the answer to a request with the body `{"items":[]}`.
fn ask(gripd: &Gripd, method: &str, path: &str) -> (u16, String) {
    let mut wire = Wire::connect(gripd.control);
    wire.request(method, path, &["Host: localhost"], EMPTY);
    let response = wire.response();
    (response.status(), response.text())
}

/// Each row: an item, the status it is answered with, and a part of the sentence.
fn table<const N: usize>(rows: [(Value, u16, &str); N]) {
    let gripd = alone();
    for (item, status, part) in rows {
        let response = gripd.publish_raw(&[], json!({"items": [item]}).to_string());
        let text = response.text();
        assert_eq!(response.status(), status, "{item}: {text}");
        assert!(text.contains(part), "{item}: {text:?} without {part:?}");
    }
}

/// An item for channel `c` with one more field.
fn with(field: &str, value: Value) -> Value {
    let mut item = json!({"channel": "c", "http-stream": {"content": "x"}});
    item[field] = value;
    item
}

/// An item for channel `c` with one form.
#[expect(clippy::needless_pass_by_value, reason = "called with literals")]
fn form(name: &str, value: Value) -> Value {
    json!({"channel": "c", "formats": {name: value}})
}

#[test]
fn v093_a_batch_over_two_channels_keeps_its_order() {
    let headers = ["Grip-Hold: stream", "Grip-Channel: a, b"];
    let backend = Backend::serving([("/s", instruct(&headers, "hi\n"))]);
    let gripd = Gripd::before(&backend);
    let mut client = gripd.stream("/s", "hi\n");
    let channel = |n: u32| if n.is_multiple_of(3) { "a" } else { "b" };
    let items: Vec<_> = (0..40)
        .map(|n| json!({"channel": channel(n), "http-stream": {"content": format!("{n}\n")}}))
        .collect();
    gripd.publish(&json!(items));
    let want: Vec<_> = (0..40).map(|n| format!("{n}\n")).collect();
    client.expect_stream(&want.concat());
}

#[test]
fn v096_base64_is_bytes() {
    let headers = ["Grip-Hold: stream", "Grip-Channel: c"];
    let backend = Backend::serving([("/s", instruct(&headers, "hi\n"))]);
    let gripd = Gripd::before(&backend);
    let mut client = gripd.stream("/s", "hi\n");
    gripd.publish(&json!([{"channel": "c", "http-stream": {"content-bin": "!!AAE*CAw"}}]));
    assert_eq!(client.stream_bytes(4), [0, 1, 2, 3]);
}

#[test]
fn v105_published_with_and_without_a_slash() {
    let gripd = alone();
    for path in ["/publish", "/publish/"] {
        assert_eq!(ask(&gripd, "POST", path), (200, "Published\n".into()));
    }
    // Differs: the connection is kept, which publishers of many small batches live on.
    let mut wire = Wire::connect(gripd.control);
    for _ in 0..2 {
        wire.request("POST", "/publish", &["Host: localhost"], EMPTY);
        assert!(!wire.response().head.has("Connection"));
    }
}

#[test]
fn v106_other_paths() {
    let gripd = alone();
    assert_eq!(ask(&gripd, "POST", "/publish//").0, 404);
    // Differs: a query is no part of the path.
    assert_eq!(ask(&gripd, "POST", "/publish?x=1").0, 200);
}

#[test]
fn v107_accept() {
    let gripd = alone();
    let kind = |accept: &str| {
        let response = gripd.publish_raw(&[&format!("Accept: {accept}")], EMPTY);
        let kind = response.head.get("Content-Type").unwrap().to_owned();
        (
            response.status(),
            kind.split(';').next().unwrap().to_owned(),
        )
    };
    let json = || (200, "application/json".into());
    assert_eq!(kind("application/json"), json());
    // Differs: of two that count the same the first is taken, not the last.
    assert_eq!(kind("application/json, text/plain"), json());
    assert_eq!(kind("application/json;q=0.5, text/html"), json());
    assert_eq!(kind("text/html"), (406, "text/plain".into()));
}

#[test]
fn v108_only_post_publishes() {
    let gripd = alone();
    for path in ["/publish", "/recover"] {
        let mut wire = Wire::connect(gripd.control);
        wire.request("GET", path, &["Host: localhost"], "");
        let response = wire.response();
        assert_eq!(response.status(), 405);
        assert_eq!(response.head.get("Allow"), Some("POST"));
        assert_eq!(response.text(), "Method not allowed: GET.\n");
    }
}

#[test]
fn v109_bodies_that_are_no_batch() {
    let gripd = alone();
    // An empty one.
    let mut wire = Wire::connect(gripd.control);
    let zero = ["Host: localhost", "Content-Length: 0"];
    wire.request("POST", "/publish", &zero, "");
    let response = wire.response();
    assert_eq!(response.status(), 400);
    assert!(response.text().contains("not valid JSON"));
    for (body, part) in [
        ("{", "not valid JSON"),
        ("5", "must be a JSON object with a list of items"),
        ("[]", "must be a JSON object with a list of items"),
        ("{}", "items is missing"),
    ] {
        let response = gripd.publish_raw(&["Content-Type: application/json"], body);
        assert_eq!(response.status(), 400, "{body:?}");
        assert!(
            response.text().contains(part),
            "{body:?}: {}",
            response.text()
        );
    }
}

#[test]
fn v110_one_wrong_item_refuses_them_all() {
    let headers = ["Grip-Hold: stream", "Grip-Channel: c"];
    let backend = Backend::serving([("/s", instruct(&headers, "hi\n"))]);
    let gripd = Gripd::before(&backend);
    let mut client = gripd.stream("/s", "hi\n");
    let batch = json!({"items": [form("http-stream", json!({"content": "no"})), {"channel": "b"}]});
    let response = gripd.publish_raw(&[], batch.to_string());
    assert_eq!(response.status(), 400);
    assert!(response.text().starts_with("items[1].formats is missing"));
    gripd.push("c", "yes");
    client.expect_stream("yes");
}

#[test]
fn v111_fields_of_an_item() {
    table([
        (with("id", json!(5)), 400, "items[0].id is a number"),
        (with("id", json!(null)), 400, "items[0].id is null"),
        (with("no-seq", json!(1)), 400, "items[0].no-seq is a number"),
        (with("size", json!(-1)), 400, "items[0].size is '-1'"),
        (with("size", json!("x")), 200, "Published"),
        (with("user-tags", json!(5)), 200, "Published"),
    ]);
}

#[test]
fn v112_v113_formats() {
    let item = |formats: Value| json!({"channel": "c", "formats": formats});
    let both =
        json!({"channel": "c", "formats": {"http-stream": {"content": ""}}, "http-stream": 5});
    table([
        (item(json!({"zzz": {}})), 200, "Published"),
        (item(json!({})), 400, "items[0].formats is '{}'"),
        (item(json!([])), 400, "items[0].formats is a list"),
        (both, 200, "Published"),
    ]);
}

#[test]
fn v114_v115_actions() {
    let action = |action: Value| form("http-stream", json!({ "action": action }));
    table([
        (
            action(json!("zzz")),
            400,
            "formats.http-stream.action is 'zzz'; it must be 'send'",
        ),
        (
            action(json!(null)),
            400,
            "formats.http-stream.action is null",
        ),
        (
            action(json!(5)),
            400,
            "formats.http-stream.action is a number",
        ),
        (action(json!("refresh")), 200, "Published"),
    ]);
}

#[test]
fn v116_answers_to_polls() {
    let response =
        |field: &str, value: Value| form("http-response", json!({"body": "", field: value}));
    table([
        (
            form("http-response", json!({})),
            400,
            "formats.http-response.body is missing",
        ),
        // Differs: what is no number is no status.
        (
            response("code", json!("x")),
            400,
            "formats.http-response.code is",
        ),
        (
            response("code", json!(1000)),
            400,
            "formats.http-response.code is '1000'",
        ),
        (
            response("headers", json!(["x"])),
            400,
            "http-response.headers[0] is a string",
        ),
        (
            response("headers", json!([["x", "y", "z"]])),
            400,
            "headers[0] is 'a list of 3'",
        ),
    ]);
}

#[test]
fn v117_messages() {
    let close = |code: i64| form("ws-message", json!({"action": "close", "code": code}));
    table([
        (
            form("ws-message", json!({"type": "ping"})),
            200,
            "Published",
        ),
        (close(99_999), 200, "Published"),
        (close(-1), 400, "formats.ws-message.code is '-1'"),
    ]);
}

#[test]
fn v118_lengths() {
    let gripd = alone();
    let head = "POST /publish HTTP/1.1\r\nHost: localhost\r\n";
    let answers = |raw: String| {
        let mut wire = Wire::connect(gripd.control);
        wire.send(raw);
        let first = wire.response();
        (wire, first.status(), first.text())
    };
    let (_, status, text) = answers(format!("{head}\r\n"));
    assert_eq!(
        (status, &*text),
        (411, "Request requires Content-Length.\n")
    );
    // Differs: chunked bodies are taken.
    let chunked = format!("{head}Transfer-Encoding: chunked\r\n\r\nc\r\n{EMPTY}\r\n0\r\n\r\n");
    assert_eq!(answers(chunked).1, 200);
    let (_, status, text) = answers(format!("{head}Content-Length: 1000001\r\n\r\n"));
    assert_eq!(status, 400);
    assert!(text.starts_with("Request body too large"), "{text}");
    let (_, status, text) = answers(format!("{head}X: {}\r\n\r\n", "x".repeat(10_001)));
    assert_eq!(status, 400);
    assert!(text.starts_with("Request header too large"), "{text}");
    // Differs: what comes behind the body is the next request.
    let extra = format!("{head}Content-Length: 12\r\n\r\n{EMPTY}extra\r\n\r\n");
    let (mut wire, status, _) = answers(extra);
    assert_eq!(status, 200);
    let second = wire.response();
    assert_eq!(second.status(), 400);
    assert!(second.text().starts_with("Failed to parse request header."));
    wire.expect_eof();
}

#[test]
fn v119_the_body_is_asked_for() {
    let gripd = alone();
    let mut wire = Wire::connect(gripd.control);
    wire.send(
        "POST /publish HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n\
         Content-Length: 12\r\n\r\n",
    );
    assert_eq!(wire.head().status(), 100);
    wire.send(EMPTY);
    assert_eq!(wire.response().text(), "Published\n");
}

#[test]
fn v120_recover_is_answered() {
    let gripd = alone();
    assert_eq!(ask(&gripd, "POST", "/recover"), (200, "Updated\n".into()));
    assert_eq!(ask(&gripd, "POST", "/recover/").0, 200);
}

// ---- beyond the vectors ---------------------------------------------------------------------

#[test]
fn one_item_reaches_all_its_channels() {
    let page = |path, channel| {
        let channel = format!("Grip-Channel: {channel}");
        (path, instruct(&["Grip-Hold: stream", &channel], "hi\n"))
    };
    let backend = Backend::serving([page("/a", "a"), page("/b", "b")]);
    let gripd = Gripd::before(&backend);
    let (mut a, mut b) = (gripd.stream("/a", "hi\n"), gripd.stream("/b", "hi\n"));
    let item =
        json!({"channel": "a", "channels": ["b", "a", "c"], "http-stream": {"content": "x"}});
    assert_eq!(gripd.publish(&json!([item])), [2]);
    gripd.push("a", "then\n");
    a.expect_stream("xthen\n");
    b.expect_stream("x");
}

#[test]
fn a_rate_holds_for_the_whole_process() {
    let gripd = Gripd::start(|c| {
        c.route("* test")
            .threads(2)
            .set("GRIP_PUBLISH_RATE", "1")
            .set("GRIP_PUBLISH_BURST", "1")
            .set("TIMEOUTS_PUBLISH", "0")
    });
    let items = vec![json!({"channel": "c", "http-stream": {"content": "x"}}); 5000];
    gripd.publish(&json!(items));
    for _ in 0..8 {
        let response = gripd.publish_raw(&[], json!({"items": items[..1]}).to_string());
        assert_eq!(response.status(), 503);
        assert!(
            response.text().contains("grip.publish_rate"),
            "{}",
            response.text()
        );
        assert!(response.head.has("Retry-After"));
    }
}
