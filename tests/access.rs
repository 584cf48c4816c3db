//! The line that the log has of each request and of each end of a hold.
#![cfg(feature = "server")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests fail by panicking"
)]

mod support;

use serde_json::{Value, json};
use support::{
    Backend, DeadPort, Gripd, Setup, eventually, instruct,
    ws::{WebSocket, closing},
};

/// Lines of a gripd that writes them as JSON, with this message.
fn lines(gripd: &Gripd, message: &str) -> Vec<Value> {
    let log = gripd.log();
    let lines = log
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok());
    lines
        .filter(|line: &Value| line["message"] == message)
        .collect()
}

/// Waits for the line of this number, from 0, with this message.
fn line(gripd: &Gripd, message: &str, number: usize) -> Value {
    let mut found = None;
    eventually(&format!("line {number} of {message:?}"), || {
        found = lines(gripd, message).get(number).cloned();
        found.is_some()
    });
    found.unwrap()
}

/// Holds `fields` of a line against what is expected.
fn expect(line: &Value, fields: &Value) {
    for (name, value) in fields.as_object().unwrap() {
        assert_eq!(line[name], *value, "{name} of {line}");
    }
}

/// A backend whose pages are held.
fn holding() -> Backend {
    let held = |mode: &str| {
        let (hold, channel) = (
            format!("Grip-Hold: {mode}"),
            format!("Grip-Channel: of-{mode}"),
        );
        instruct(&[&hold, &channel], "hi\n")
    };
    Backend::serving(vec![
        ("/stream", held("stream")),
        ("/response", held("response")),
    ])
}

fn before(backend: &Backend, setup: impl FnOnce(Setup) -> Setup) -> Gripd {
    Gripd::start(|c| {
        setup(
            c.route(format!("*,id=main {}", backend.addr))
                .set("LOG_FORMAT", "json"),
        )
    })
}

#[test]
fn each_request_has_a_line_without_its_query() {
    let backend = Backend::saying("four");
    let gripd = before(&backend, |c| c);
    let mut client = gripd.client();
    let headers = [
        "Host: H.test:80",
        "X-Forwarded-For: 9.9.9.9",
        "User-Agent: curl",
    ];
    client.request("POST", "/page?token=secret", &headers, "");
    assert_eq!(client.response().status(), 200);
    let told = line(&gripd, "request finished", 0);
    let address = client.socket().local_addr().unwrap().to_string();
    expect(
        &told,
        &json!({
            "level": "INFO", "client.addr": address, "method": "POST", "host": "h.test",
            "path": "/page", "route": "main", "backend": backend.addr.to_string(),
            "status": 200, "bytes": 4, "from": null, "user_agent": null, "again": null,
        }),
    );
    assert!(told["milliseconds"].as_f64().unwrap() > 0.0, "{told}");
    assert!(!gripd.log().contains("secret"));
}

#[test]
fn failures_and_refusals_have_one_too() {
    let dead = DeadPort::new();
    let gripd = Gripd::start(|c| {
        c.route(format!("* {}", dead.addr))
            .set("LOG_FORMAT", "json")
    });
    assert_eq!(gripd.fetch("/gone").status(), 502);
    let told = line(&gripd, "request finished", 0);
    expect(
        &told,
        &json!({"path": "/gone", "status": 502, "route": "*"}),
    );
    let mut client = gripd.client();
    client.send("BAD\r\n\r\n");
    assert_eq!(client.response().status(), 400);
    expect(&line(&gripd, "request refused", 0), &json!({"status": 400}));
    let mut client = gripd.client();
    let socket = ["Host: h.test", "Upgrade: websocket", "Connection: Upgrade"];
    client.request("GET", "/socket", &socket, "");
    assert_eq!(client.response().status(), 400);
    let told = line(&gripd, "request finished", 1);
    expect(
        &told,
        &json!({"path": "/socket", "host": "h.test", "status": 400}),
    );
}

#[test]
fn the_client_that_others_name_and_its_program_are_told_on_demand() {
    let backend = holding();
    let gripd = before(&backend, |c| {
        c.set("LOG_FROM", "true").set("LOG_USER_AGENT", "true")
    });
    let mut client = gripd.client();
    let headers = [
        "Host: h.test",
        "X-Forwarded-For: 9.9.9.9, 8.8.8.8",
        "User-Agent: curl/8",
    ];
    client.request("GET", "/stream", &headers, "");
    client.head();
    let told = line(&gripd, "request held", 0);
    expect(
        &told,
        &json!({"from": "9.9.9.9", "user_agent": "curl/8", "status": 200}),
    );
    gripd.close_streams("of-stream");
    let told = line(&gripd, "hold ends", 0);
    expect(&told, &json!({"from": "9.9.9.9"}));
}

#[test]
fn each_hold_has_a_line_at_its_end() {
    let backend = holding();
    let gripd = before(&backend, |c| c.arg("--verbose"));
    let mut stream = gripd.stream("/stream", "hi\n");
    expect(
        &line(&gripd, "hold begins", 0),
        &json!({"level": "DEBUG", "mode": "stream", "channels": "of-stream"}),
    );
    let address = stream.socket().local_addr().unwrap().to_string();
    expect(
        &line(&gripd, "request held", 0),
        &json!({"client.addr": address, "path": "/stream"}),
    );
    gripd.push("of-stream", "four");
    stream.expect_stream("four");
    gripd.close_streams("of-stream");
    let told = line(&gripd, "hold ends", 0);
    expect(
        &told,
        &json!({
            "level": "INFO", "client.addr": address, "mode": "stream", "route": "main",
            "backend": backend.addr.to_string(), "status": 200, "cause": "ended",
        }),
    );
    // The head, and three chunks.
    let chunks = "3\r\nhi\n\r\n4\r\nfour\r\n0\r\n\r\n".len() as u64;
    let bytes = told["bytes"].as_u64().unwrap();
    assert!(bytes > chunks + 50 && bytes < chunks + 500, "{told}");

    let mut poll = gripd.get("/response");
    gripd.wait_subscribers("of-response", "http-response", 1);
    gripd.publish(&json!([
        {"channel": "of-response", "http-response": {"code": 404, "body": "now"}}
    ]));
    assert_eq!(poll.response().status(), 404);
    expect(
        &line(&gripd, "hold ends", 1),
        &json!({"mode": "response", "status": 404, "cause": "answered"}),
    );
    drop(gripd.stream("/stream", "hi\n"));
    let told = line(&gripd, "hold ends", 2);
    expect(&told, &json!({"cause": "client gone"}));
}

#[test]
fn a_websockets_end_is_told_with_who_closed_it() {
    let gripd = Gripd::start(|c| c.route("*,id=t test").set("LOG_FORMAT", "json"));
    let mut socket = WebSocket::open(&gripd, "/ws");
    expect(&line(&gripd, "request held", 0), &json!({"status": 101}));
    socket.send(&[closing(1000, "")]);
    socket.expect_close();
    let told = line(&gripd, "hold ends", 0);
    expect(
        &told,
        &json!({"mode": "message", "route": "t", "backend": "test", "status": 101,
            "cause": "closed by the client"}),
    );
    assert!(told["bytes"].as_u64().unwrap() > 100, "{told}");
}

#[test]
fn the_lines_can_be_switched_off() {
    let backend = Backend::saying("ok");
    let off = before(&backend, |c| c.set("LOG_ACCESS", "false").arg("--verbose"));
    let quiet = before(&backend, |c| c.arg("--log-level=warn,gripd::server=info"));
    let module = before(&backend, |c| c.arg("--log-level=info,gripd::access=warn"));
    for gripd in [&off, &quiet, &module] {
        // What comes last shows that nothing came before it.
        assert_eq!(gripd.fetch("/page").status(), 200);
        gripd.signal("TERM");
    }
    for gripd in [&off, &quiet, &module] {
        gripd.wait_log("stopped");
        assert!(!gripd.log().contains("/page"), "{}", gripd.log());
    }
}

#[test]
fn a_route_may_choose_the_level_of_its_lines() {
    let backend = holding();
    let start = |level: &str| {
        Gripd::start(|c| {
            c.route(format!("*,path_beg=/stream,log_level=1 {}", backend.addr))
                .route(format!("*,path_beg=/soft,log_level=3 {}", backend.addr))
                .route(format!("* {}", backend.addr))
                .set("LOG_FORMAT", "json")
                .arg("--log-level")
                .arg(level)
        })
    };
    let told = |gripd: &Gripd, levels: &[(&str, &str)]| {
        drop(gripd.stream("/stream", "hi\n"));
        expect(&line(gripd, "hold ends", 0), &json!({"level": "WARN"}));
        expect(&line(gripd, "request held", 0), &json!({"level": "WARN"}));
        for path in ["/soft", "/plain", "/plain"] {
            gripd.fetch(path);
        }
        // What comes last shows that nothing else came before it.
        gripd.signal("TERM");
        gripd.wait_log("stopped");
        let lines = lines(gripd, "request finished");
        let mut found: Vec<_> = lines
            .iter()
            .map(|line| {
                (
                    line["path"].as_str().unwrap(),
                    line["level"].as_str().unwrap(),
                )
            })
            .collect();
        found.sort_unstable(); // each connection's core writes its own, in any order
        assert_eq!(found, levels);
    };
    let plain = ("/plain", "INFO");
    told(&start("info"), &[plain, plain]);
    told(&start("debug"), &[plain, plain, ("/soft", "DEBUG")]);
    // gripd tells where it is at info: the harness reads it there.
    told(&start("info,gripd::access=warn"), &[]);
}
