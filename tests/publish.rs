//! The control port: what `POST /publish` takes and refuses, its answers, and who may ask.
#![cfg(feature = "server")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::too_many_lines,
    reason = "helpers of tests fail by panicking; tables are long"
)]

mod support;

use serde_json::json;

use support::{Backend, Gripd, Wire, instruct};

/// gripd with a stream on channel `c` at `/s` and a long-poll on `c` at `/p`.
fn with_holds() -> (Gripd, Backend) {
    let backend = Backend::serving([
        (
            "/s",
            instruct(&["Grip-Hold: stream", "Grip-Channel: c"], "hi\n"),
        ),
        (
            "/p",
            instruct(&["Grip-Hold: response", "Grip-Channel: c"], "late\n"),
        ),
    ]);
    let gripd = Gripd::before(&backend);
    (gripd, backend)
}

/// gripd with nothing behind it.
fn alone() -> Gripd {
    Gripd::start(|c| c.route("* test"))
}

fn control(gripd: &Gripd) -> Wire {
    Wire::connect(gripd.control)
}

/// Posts one item that must be refused and returns the sentence.
fn refused(gripd: &Gripd, body: &str) -> String {
    let response = gripd.publish_raw(&[], body);
    assert_eq!(
        response.status(),
        400,
        "{body} was answered {:?}",
        response.text()
    );
    assert!(
        response
            .head
            .get("Content-Type")
            .unwrap_or("")
            .starts_with("text/plain"),
        "errors are text"
    );
    response.text()
}

#[test]
fn both_paths_publish_with_and_without_a_query() {
    let gripd = alone();
    for path in ["/publish", "/publish/", "/publish?x=1", "/publish/?x=1"] {
        let mut wire = control(&gripd);
        wire.request("POST", path, &["Host: localhost"], r#"{"items":[]}"#);
        let response = wire.response();
        assert_eq!(response.status(), 200, "{path}");
        assert_eq!(response.text(), "Published\n", "{path}");
    }
}

#[test]
fn other_paths_and_methods() {
    let gripd = alone();
    let ask = |method: &str, path: &str| {
        let mut wire = control(&gripd);
        wire.request(method, path, &["Host: localhost"], "");
        let head = wire.head();
        (head.status(), head.get("Allow").map(str::to_owned))
    };
    assert_eq!(ask("GET", "/").0, 200);
    assert_eq!(ask("GET", "/livez").0, 200);
    assert_eq!(ask("GET", "/readyz").0, 200);
    assert_eq!(ask("GET", "/publish"), (405, Some("POST".into())));
    assert_eq!(ask("DELETE", "/publish/"), (405, Some("POST".into())));
    assert_eq!(ask("GET", "/elsewhere").0, 404);
    assert_eq!(ask("GET", "/publish/more").0, 404);
    assert_eq!(ask("GET", "/publish//").0, 404);
}

#[test]
fn accept_decides_the_form_of_the_answer() {
    let gripd = alone();
    let rows: &[(Option<&str>, &str)] = &[
        (None, "text"),
        (Some("text/plain"), "text"),
        (Some("text/*"), "text"),
        (Some("*/*"), "text"),
        (Some("application/json"), "json"),
        (Some("application/*"), "json"),
        (Some("application/json;charset=utf-8"), "json"),
        (Some("application/json;q=0.5, text/html"), "json"),
        (Some("text/plain;q=0.5, application/json"), "json"),
        (Some("application/json;q=0.5, text/plain"), "text"),
        (Some("application/json, */*;q=0.1"), "json"),
        (Some("application/json;q=0, text/plain"), "text"),
        (Some("application/json;q=0"), "none"),
        (Some("text/html"), "none"),
    ];
    for (accept, form) in rows {
        let header = accept.map(|a| format!("Accept: {a}"));
        let headers: Vec<&str> = header.iter().map(String::as_str).collect();
        let response = gripd.publish_raw(&headers, r#"{"items":[]}"#);
        let kind = response.head.get("Content-Type").unwrap_or("").to_owned();
        let got = match (response.status(), kind) {
            (200, kind) if kind.starts_with("text/plain") => "text",
            (200, kind) if kind.starts_with("application/json") => "json",
            (406, _) => "none",
            other => panic!("{accept:?}: {other:?}"),
        };
        assert_eq!(got, *form, "{accept:?}");
    }
}

#[test]
fn the_json_answer_counts_who_was_subscribed() {
    let (gripd, _backend) = with_holds();
    let _one = gripd.stream("/s", "hi\n");
    let _two = gripd.stream("/s", "hi\n");
    let _poll = gripd.get("/p");
    gripd.wait_subscribers("c", "http-response", 1);
    let items = json!({"items": [
        {"channel": "c", "http-stream": {"content": "x"}},
        {"channel": "c", "formats": {"http-stream": {"content": "x"}, "http-response": {"body": "x"}}},
        {"channel": "nobody", "http-stream": {"content": "x"}},
    ]});
    let response = gripd.publish_raw(&["Accept: application/json"], items.to_string());
    let answer = response.json();
    assert_eq!(answer["message"], "Published");
    let items = answer["items"].as_array().expect("items");
    let counts: Vec<_> = items
        .iter()
        .map(|i| i["connections"].as_u64().unwrap())
        .collect();
    assert_eq!(counts, [2, 3, 0]);
    let channels: Vec<_> = items
        .iter()
        .map(|i| i["channel"].as_str().unwrap())
        .collect();
    assert_eq!(channels, ["c", "c", "nobody"]);
    assert!(items.iter().all(|i| i["status"].is_string()), "{answer}");
    assert_ne!(items[0]["status"], items[2]["status"], "nobody was there");
}

#[test]
fn connections_are_kept_alive() {
    let gripd = alone();
    let mut wire = control(&gripd);
    for _ in 0..3 {
        wire.request("POST", "/publish", &["Host: localhost"], r#"{"items":[]}"#);
        assert_eq!(wire.response().status(), 200);
    }
    wire.request("GET", "/livez", &["Host: localhost"], "");
    assert_eq!(wire.response().status(), 200);
}

#[test]
fn an_old_client_may_publish() {
    let gripd = alone();
    let mut wire = control(&gripd);
    wire.send(
        "POST /publish/ HTTP/1.0\r\nHost: localhost\r\nContent-Length: 12\r\n\r\n{\"items\":[]}",
    );
    assert_eq!(wire.response().status(), 200);
}

#[test]
fn expect_is_answered_before_the_body_comes() {
    let gripd = alone();
    let mut wire = control(&gripd);
    wire.send(
        "POST /publish HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 12\r\n\r\n",
    );
    assert_eq!(wire.head().status(), 100);
    wire.send(r#"{"items":[]}"#);
    assert_eq!(wire.response().status(), 200);
}

#[test]
fn sizes_and_lengths() {
    let gripd = alone();
    let ask = |raw: String| {
        let mut wire = control(&gripd);
        wire.send(raw);
        wire.head().status()
    };
    let head = "POST /publish HTTP/1.1\r\nHost: localhost\r\n";
    assert_eq!(ask(format!("{head}\r\n")), 411);
    let bad = ask(format!("{head}Content-Length: x\r\n\r\n"));
    assert_eq!(bad, 400);
    let large = ask(format!("{head}Content-Length: 1000001\r\n\r\n"));
    assert!([400, 413].contains(&large), "{large}");
    let big_head = ask(format!("{head}X: {}\r\n\r\n", "x".repeat(10_001)));
    assert!([400, 431].contains(&big_head), "{big_head}");
    assert_eq!(ask("BAD\r\n\r\n".into()), 400);

    let padding = " ".repeat(1_000_000 - 12);
    let response = gripd.publish_raw(&[], format!("{{\"items\":[]}}{padding}"));
    assert_eq!(response.status(), 200, "exactly the limit");
}

#[test]
fn bodies_that_are_no_list_of_items() {
    let gripd = alone();
    for body in [
        "{",
        "5",
        "[]",
        "{}",
        "null",
        r#"{"items":5}"#,
        r#"{"items":{}}"#,
        "\"x\"",
    ] {
        refused(&gripd, body);
    }
    let mut wire = control(&gripd);
    wire.send("POST /publish HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(wire.response().status(), 400, "an empty body");
}

/// Each row: an item, and the word of it that the refusal must name.
#[test]
fn bad_items_are_refused_by_field() {
    let gripd = alone();
    let stream = r#""http-stream":{"content":"x"}"#;
    let rows: Vec<(String, &str)> = vec![
        (format!("{{{stream}}}"), "channel"),
        (format!(r#"{{"channel":5,{stream}}}"#), "channel"),
        (format!(r#"{{"channel":null,{stream}}}"#), "channel"),
        (format!(r#"{{"channel":"c","id":5,{stream}}}"#), "id"),
        (format!(r#"{{"channel":"c","id":null,{stream}}}"#), "id"),
        (
            format!(r#"{{"channel":"c","prev-id":5,{stream}}}"#),
            "prev-id",
        ),
        (
            format!(r#"{{"channel":"c","no-seq":1,{stream}}}"#),
            "no-seq",
        ),
        (format!(r#"{{"channel":"c","size":-1,{stream}}}"#), "size"),
        (format!(r#"{{"channel":"c","size":[],{stream}}}"#), "size"),
        (format!(r#"{{"channel":"c","meta":5,{stream}}}"#), "meta"),
        (
            format!(r#"{{"channel":"c","meta":{{"kay":1}},{stream}}}"#),
            "kay",
        ),
        (r#"{"channel":"c"}"#.into(), "format"),
        (r#"{"channel":"c","formats":{}}"#.into(), "format"),
        (r#"{"channel":"c","formats":[]}"#.into(), "format"),
        (r#"{"channel":"c","formats":null}"#.into(), "format"),
        (
            r#"{"channel":"c","formats":{"http-stream":5}}"#.into(),
            "http-stream",
        ),
        (
            r#"{"channel":"c","formats":{"http-stream":null}}"#.into(),
            "http-stream",
        ),
        (r#"{"channel":"c","http-stream":{}}"#.into(), "content"),
        (
            r#"{"channel":"c","http-stream":{"content":5}}"#.into(),
            "content",
        ),
        (
            r#"{"channel":"c","http-stream":{"content-bin":5}}"#.into(),
            "content-bin",
        ),
        (
            r#"{"channel":"c","http-stream":{"action":"zzz"}}"#.into(),
            "action",
        ),
        (
            r#"{"channel":"c","http-stream":{"action":null}}"#.into(),
            "action",
        ),
        (
            r#"{"channel":"c","http-stream":{"action":5}}"#.into(),
            "action",
        ),
        (
            r#"{"channel":"c","http-stream":{"content":"x","content-filters":[5]}}"#.into(),
            "content-filters",
        ),
        (r#"{"channel":"c","http-response":{}}"#.into(), "body"),
        (
            r#"{"channel":"c","http-response":{"body":5}}"#.into(),
            "body",
        ),
        (
            r#"{"channel":"c","http-response":{"body":"x","code":[]}}"#.into(),
            "code",
        ),
        (
            r#"{"channel":"c","http-response":{"body":"x","reason":5}}"#.into(),
            "reason",
        ),
        (
            r#"{"channel":"c","http-response":{"body":"x","headers":["x"]}}"#.into(),
            "headers",
        ),
        (
            r#"{"channel":"c","http-response":{"body":"x","headers":[["x","y","z"]]}}"#.into(),
            "headers",
        ),
        (
            r#"{"channel":"c","http-response":{"body":"x","headers":{"x":5}}}"#.into(),
            "header",
        ),
        (
            r#"{"channel":"c","http-response":{"body-patch":5}}"#.into(),
            "body-patch",
        ),
        (r#"{"channel":"c","ws-message":{}}"#.into(), "content"),
        (
            r#"{"channel":"c","ws-message":{"type":"zzz","content":"x"}}"#.into(),
            "type",
        ),
        (
            r#"{"channel":"c","ws-message":{"action":"close","code":-1}}"#.into(),
            "code",
        ),
    ];
    for (item, field) in rows {
        let text = refused(&gripd, &format!("{{\"items\":[{item}]}}"));
        assert!(
            text.to_ascii_lowercase().contains(field),
            "{item}: {text:?} does not name {field:?}"
        );
    }
    refused(&gripd, r#"{"items":["x"]}"#);
}

#[test]
fn statuses_that_cannot_be_sent_are_refused() {
    let gripd = alone();
    let publish = |code: &str| {
        let item = format!(r#"{{"channel":"c","http-response":{{"code":{code},"body":"x"}}}}"#);
        gripd.publish_raw(&[], format!("{{\"items\":[{item}]}}"))
    };
    for code in [
        "0", "1", "99", "100", "101", "199", "1000", "-1", "true", "70000", "\"x\"",
    ] {
        let response = publish(code);
        assert_eq!(response.status(), 400, "{code}");
        assert!(
            response.text().contains("code"),
            "{code}: {}",
            response.text()
        );
    }
    for code in ["200", "404", "999", "\"404\"", "404.4"] {
        assert_eq!(publish(code).status(), 200, "{code}");
    }
}

#[test]
fn what_would_break_a_head_is_refused() {
    let gripd = alone();
    let rows = [
        (r#""reason":"Fine\r\nX: y""#, "reason"),
        (r#""reason":"Fine\u0000""#, "reason"),
        (r#""headers":{"X":"a\r\nY: b"}"#, "header"),
        (r#""headers":{"X":"a\nY: b"}"#, "header"),
        (r#""headers":{"X":"a\rY"}"#, "header"),
        (r#""headers":{"X":"a\u0000"}"#, "header"),
        (r#""headers":{"X\r\nY":"a"}"#, "header"),
        (r#""headers":[["X: y","a"]]"#, "header"),
        (r#""headers":[["X y","a"]]"#, "header"),
        (r#""headers":[["","a"]]"#, "header"),
    ];
    for (field, name) in rows {
        let item = format!(r#"{{"channel":"c","http-response":{{"body":"x",{field}}}}}"#);
        let text = refused(&gripd, &format!("{{\"items\":[{item}]}}"));
        assert!(
            text.contains(name),
            "{field}: {text:?} does not name {name:?}"
        );
    }
}

#[test]
fn lenient_fields_are_accepted() {
    let gripd = alone();
    let items = [
        r#"{"channel":"","http-stream":{"content":"x"}}"#,
        r#"{"channel":"c","id":"","http-stream":{"content":"x"}}"#,
        r#"{"channel":"c","size":"x","http-stream":{"content":"x"}}"#,
        r#"{"channel":"c","user-tags":5,"zzz":[],"http-stream":{"content":"x"}}"#,
        r#"{"channel":"c","formats":{"zzz":{}}}"#,
        r#"{"channel":"c","formats":{"http-stream":{"content":"x"}},"http-stream":5}"#,
        r#"{"channel":"c","http-stream":{"content":""}}"#,
        r#"{"channel":"c","http-stream":{"action":"refresh"}}"#,
        r#"{"channel":"c","http-stream":{"action":"hint"}}"#,
        r#"{"channel":"c","http-stream":{"action":"close","content":5}}"#,
        r#"{"channel":"c","http-stream":{"content":"x","content-bin":"eA=="}}"#,
        r#"{"channel":"c","http-response":{"body":"x","headers":[["A","1"],["A","2"]]}}"#,
        r#"{"channel":"c","http-response":{"body-patch":[]}}"#,
        r#"{"channel":"c","ws-message":{"type":"ping"}}"#,
        r#"{"channel":"c","ws-message":{"action":"close","code":99999}}"#,
        r#"{"channel":"c","ws-message":{"content":"x"}}"#,
    ];
    for item in items {
        let response = gripd.publish_raw(&[], format!("{{\"items\":[{item}]}}"));
        assert_eq!(response.status(), 200, "{item}: {}", response.text());
    }
}

#[test]
fn a_bad_item_spoils_its_whole_batch() {
    let (gripd, _backend) = with_holds();
    let mut client = gripd.stream("/s", "hi\n");
    let mut items: Vec<_> = (0..9)
        .map(|n| json!({"channel": "c", "http-stream": {"content": format!("no {n}\n")}}))
        .collect();
    items[7] = json!({"channel": "c", "prev-id": 5, "http-stream": {"content": "no\n"}});
    let text = refused(&gripd, &json!({ "items": items }).to_string());
    assert!(
        text.contains('7') || text.contains('8'),
        "{text:?} says which item"
    );
    assert!(text.contains("prev-id"), "{text:?} says which field");
    gripd.push("c", "yes\n");
    client.expect_stream("yes\n");
}

#[test]
fn base64_is_read_leniently() {
    let (gripd, _backend) = with_holds();
    let mut client = gripd.stream("/s", "hi\n");
    gripd.publish(&json!([{"channel": "c", "http-stream": {"content-bin": "!!AAE*CAw"}}]));
    assert_eq!(client.stream_bytes(4), [0, 1, 2, 3]);
    gripd.publish(&json!([
        {"channel": "c", "http-stream": {"content": "text", "content-bin": "Ymlu"}}
    ]));
    client.expect_stream("bin");
}

#[test]
fn bytes_of_a_poll_answer_may_be_base64() {
    let (gripd, _backend) = with_holds();
    let mut client = gripd.get("/p");
    gripd.wait_subscribers("c", "http-response", 1);
    gripd.publish(&json!([
        {"channel": "c", "http-response": {"body": "text", "body-bin": "AAEC"}}
    ]));
    assert_eq!(client.response().body, [0, 1, 2]);
}

#[test]
fn a_web_page_cannot_reach_it() {
    let gripd = alone();
    let port = gripd.control.port();
    let ask = |headers: &[&str]| {
        let mut wire = control(&gripd);
        wire.request("POST", "/publish", headers, r#"{"items":[]}"#);
        let response = wire.response();
        assert!(
            response.head.names_from("Access-Control-").is_empty(),
            "no CORS there, ever: {:?}",
            response.head.raw
        );
        response.status()
    };
    let host = |name: &str| format!("Host: {name}:{port}");
    for headers in [
        vec!["Host: localhost", "Origin: http://evil.example"],
        vec!["Host: localhost", "Origin: null"],
        vec!["Host: localhost", "Sec-Fetch-Site: cross-site"],
        vec!["Host: evil.example"],
        vec![host("evil.example").as_str()],
        vec!["Host: localhost.evil.example"],
        vec!["Host: 127.0.0.1.evil.example"],
    ] {
        assert_eq!(ask(&headers), 403, "{headers:?}");
    }
    for name in ["localhost", "127.0.0.1", "[::1]", "192.0.2.7"] {
        assert_eq!(ask(&[&host(name)]), 200, "{name}");
    }
    let mut wire = control(&gripd);
    wire.request(
        "OPTIONS",
        "/publish",
        &[
            "Host: localhost",
            "Origin: http://evil.example",
            "Access-Control-Request-Method: POST",
        ],
        "",
    );
    let head = wire.head();
    assert_eq!(head.status(), 403);
    assert!(head.names_from("Access-Control-").is_empty());
}

#[test]
fn reading_it_is_forbidden_to_web_pages_too() {
    let gripd = alone();
    for path in ["/", "/livez", "/readyz"] {
        let mut wire = control(&gripd);
        wire.request(
            "GET",
            path,
            &["Host: localhost", "Origin: http://evil.example"],
            "",
        );
        assert_eq!(wire.response().status(), 403, "{path}");
    }
}

#[test]
fn a_configured_name_is_its_own() {
    let gripd = Gripd::start(|c| c.route("* test").set("CONTROL_HOSTS", "push.internal"));
    for (host, status) in [
        ("push.internal", 200),
        ("PUSH.internal:5561", 200),
        ("other.internal", 403),
    ] {
        let mut wire = control(&gripd);
        wire.request(
            "POST",
            "/publish",
            &[&format!("Host: {host}")],
            r#"{"items":[]}"#,
        );
        assert_eq!(wire.response().status(), status, "{host}");
    }
}
