//! Vectors 105 to 120: the control port's answers.

use serde_json::json;

use crate::{
    site::{Site, plain, poll, stream},
    support::{Gripd, Response, Wire, eventually},
};

/// gripd with nothing behind it.
fn alone() -> Gripd {
    Gripd::start(|c| c.route("* test"))
}

fn ask(gripd: &Gripd, method: &str, path: &str, headers: &[&str], body: &str) -> Response {
    let mut wire = Wire::connect(gripd.control);
    let headers = [&["Host: localhost"], headers].concat();
    wire.request(method, path, &headers, body);
    wire.response()
}

/// Each body, in `{"items":[…]}` or as it is, has this status; a refusal names the word.
fn statuses(rows: &[(&str, u16, &str)]) {
    let gripd = alone();
    for (item, status, word) in rows {
        let body = format!("{{\"items\":[{item}]}}");
        let response = gripd.publish_raw(&[], body);
        assert_eq!(response.status(), *status, "{item}: {}", response.text());
        assert!(
            response.text().to_lowercase().contains(word),
            "{item}: {:?} does not name {word:?}",
            response.text()
        );
    }
}

/// The connection goes on afterwards; Pushpin closes it.
#[test]
fn v105_both_paths_publish() {
    let gripd = alone();
    for path in ["/publish", "/publish/"] {
        let response = ask(&gripd, "POST", path, &[], r#"{"items":[]}"#);
        assert_eq!(
            (response.status(), response.text()),
            (200, "Published\n".into())
        );
    }
}

/// A query is none of the path's business: Pushpin answers it with 404.
#[test]
fn v106_other_paths_are_not_there() {
    let gripd = alone();
    let status = |path: &str| ask(&gripd, "POST", path, &[], r#"{"items":[]}"#).status();
    assert_eq!(status("/publish//"), 404);
    assert_eq!(status("/publish?x=1"), 200);
}

/// The last type wins for Pushpin; for gripd the one with the highest weight, or the first of
/// those.
#[test]
fn v107_accept_decides_the_form() {
    let gripd = alone();
    for (accept, status, kind) in [
        ("application/json", 200, "application/json"),
        ("application/json, text/plain", 200, "application/json"),
        ("application/json;q=0.5, text/html", 200, "application/json"),
        ("application/json;q=0.5, text/plain", 200, "text/plain"),
        ("text/html", 406, "text/plain"),
    ] {
        let header = format!("Accept: {accept}");
        let response = ask(&gripd, "POST", "/publish", &[&header], r#"{"items":[]}"#);
        let got = response.head.get("Content-Type").unwrap_or("");
        assert_eq!(response.status(), status, "{accept}");
        assert!(got.starts_with(kind), "{accept}: {got}");
    }
}

#[test]
fn v108_only_post_publishes() {
    let response = ask(&alone(), "GET", "/publish", &[], "");
    assert_eq!(response.status(), 405);
    assert_eq!(response.head.get("Allow"), Some("POST"));
    assert_eq!(response.text(), "Method not allowed: GET.\n");
}

#[test]
fn v109_what_is_no_batch_is_refused() {
    let gripd = alone();
    for body in ["{", "5", "[]", "{}"] {
        let response = gripd.publish_raw(&[], body);
        assert_eq!(response.status(), 400, "{body}: {}", response.text());
    }
    let mut wire = Wire::connect(gripd.control);
    wire.send("POST /publish HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(wire.response().status(), 400, "an empty body");
}

#[test]
fn v110_one_bad_item_refuses_the_batch() {
    let site = Site::one(stream(&["Grip-Channel: a"]));
    let mut client = site.stream("/");
    let items = json!({"items": [
        {"channel": "a", "http-stream": {"content": "no"}}, {"channel": "b"}
    ]});
    let response = site.gripd.publish_raw(&[], items.to_string());
    assert_eq!(response.status(), 400);
    assert!(response.text().contains("format"), "{:?}", response.text());
    site.gripd.push("a", "yes");
    client.expect_stream("yes");
}

#[test]
fn v111_fields_of_an_item() {
    let f = r#""http-stream":{"content":"x"}"#;
    statuses(&[
        (&format!(r#"{{"channel":"c","id":5,{f}}}"#), 400, "id"),
        (&format!(r#"{{"channel":"c","id":null,{f}}}"#), 400, "id"),
        (
            &format!(r#"{{"channel":"c","no-seq":1,{f}}}"#),
            400,
            "no-seq",
        ),
        (&format!(r#"{{"channel":"c","size":-1,{f}}}"#), 400, "size"),
        (&format!(r#"{{"channel":"c","size":"x",{f}}}"#), 200, ""),
        (&format!(r#"{{"channel":"c","user-tags":5,{f}}}"#), 200, ""),
    ]);
}

#[test]
fn v112_an_item_needs_a_format_even_an_unknown_one() {
    statuses(&[
        (r#"{"channel":"c","formats":{"zzz":{}}}"#, 200, ""),
        (r#"{"channel":"c","formats":{}}"#, 400, "format"),
        (r#"{"channel":"c","formats":[]}"#, 400, "formats"),
    ]);
}

#[test]
fn v113_shorthands_do_not_count_beside_formats() {
    statuses(&[(
        r#"{"channel":"c","formats":{"http-stream":{"content":"x"}},"http-stream":5}"#,
        200,
        "",
    )]);
}

#[test]
fn v114_an_unknown_action_is_refused() {
    statuses(&[
        (
            r#"{"channel":"c","http-stream":{"action":"zzz"}}"#,
            400,
            "action",
        ),
        (
            r#"{"channel":"c","http-stream":{"action":null}}"#,
            400,
            "action",
        ),
        (
            r#"{"channel":"c","http-stream":{"action":5}}"#,
            400,
            "action",
        ),
    ]);
}

/// Newer versions know it.
#[test]
fn v115_refresh_is_an_action() {
    statuses(&[(
        r#"{"channel":"c","http-stream":{"action":"refresh"}}"#,
        200,
        "",
    )]);
}

/// A code that is no number is 0 to Pushpin, and the client gets it. gripd takes what can be sent.
#[test]
fn v116_an_answer_must_be_one_that_can_be_sent() {
    let response = |fields: &str| format!(r#"{{"channel":"c","http-response":{{{fields}}}}}"#);
    statuses(&[
        (&response(""), 400, "body"),
        (&response(r#""body":"x","code":"x""#), 400, "code"),
        (&response(r#""body":"x","code":1000"#), 400, "code"),
        (&response(r#""body":"x","headers":["x"]"#), 400, "headers"),
        (
            &response(r#""body":"x","headers":[["x","y","z"]]"#),
            400,
            "headers",
        ),
    ]);
}

#[test]
fn v117_what_is_for_websockets_is_checked_too() {
    statuses(&[
        (r#"{"channel":"c","ws-message":{"type":"ping"}}"#, 200, ""),
        (
            r#"{"channel":"c","ws-message":{"action":"close","code":99999}}"#,
            200,
            "",
        ),
        (
            r#"{"channel":"c","ws-message":{"action":"close","code":-1}}"#,
            400,
            "code",
        ),
    ]);
}

/// Chunked bodies are taken: Pushpin wants a length. What comes behind a body is the beginning of
/// another request, since the connection is kept.
#[test]
fn v118_lengths_and_limits() {
    let gripd = alone();
    let head = "POST /publish HTTP/1.1\r\nHost: localhost\r\n";
    let items = r#"{"items":[]}"#;
    for (raw, status) in [
        (format!("{head}\r\n"), 411),
        (
            format!("{head}Transfer-Encoding: chunked\r\n\r\nc\r\n{items}\r\n0\r\n\r\n"),
            200,
        ),
        (format!("{head}Content-Length: 1000001\r\n\r\n"), 400),
        (format!("{head}X: {}\r\n\r\n", "x".repeat(10_001)), 400),
    ] {
        let mut wire = Wire::connect(gripd.control);
        wire.send(&raw);
        assert_eq!(wire.head().status(), status, "{raw:.80}");
    }
    let mut wire = Wire::connect(gripd.control);
    wire.send(format!(
        "{head}Content-Length: 12\r\n\r\n{items}extra\r\n\r\n"
    ));
    assert_eq!(wire.response().status(), 200);
    assert_eq!(wire.response().status(), 400);
}

#[test]
fn v119_a_body_is_asked_for() {
    let gripd = alone();
    let mut wire = Wire::connect(gripd.control);
    wire.send(
        "POST /publish HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n\
         Content-Length: 12\r\n\r\n",
    );
    assert_eq!(wire.head().status(), 100);
    wire.send(r#"{"items":[]}"#);
    assert_eq!(wire.response().text(), "Published\n");
}

#[test]
fn v120_recover_asks_for_all_polls_again() {
    let site = Site::new([
        ("/a", vec![poll(&["Grip-Channel: a"]), plain("fresh a\n")]),
        ("/b", vec![poll(&["Grip-Channel: b"]), plain("fresh b\n")]),
    ]);
    let mut a = site.poll("/a");
    let mut b = site.poll("/b");
    let response = ask(&site.gripd, "POST", "/recover", &["Content-Length: 0"], "");
    assert_eq!(
        (response.status(), response.text()),
        (200, "Updated\n".into())
    );
    assert_eq!(a.response().text(), "fresh a\n");
    assert_eq!(b.response().text(), "fresh b\n");
    eventually("each was asked twice", || {
        (site.asked("GET /a"), site.asked("GET /b")) == (2, 2)
    });
}
