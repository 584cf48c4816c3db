//! What the log says, at its default level, of streams and publishers that nobody would hear of.
#![cfg(feature = "server")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests fail by panicking"
)]

mod support;

use support::{Backend, Gripd, Wire, answer};

const SSE: &str = "Content-Type: text/event-stream\r\n";
const HOLD: &str = "Grip-Hold: stream\r\nGrip-Channel: c\r\n";

/// A backend that streams an event itself and ends the stream with the connection.
fn streaming(headers: &'static str) -> Backend {
    Backend::start(move |_, reply| {
        reply.send(format!(
            "HTTP/1.1 200 OK\r\n{headers}Connection: close\r\n\r\ndata: own\n\n"
        ));
        reply.close();
    })
}

/// The log after all of these requests, each with these headers, were answered. Once a gripd.
fn log_of(gripd: &Gripd, requests: &[&str]) -> String {
    for headers in requests {
        let mut client = gripd.client();
        client.send(format!("GET / HTTP/1.1\r\nHost: h.test\r\n{headers}\r\n"));
        assert_eq!(client.head().status(), 200);
    }
    // A line that is written behind all that they could have caused.
    assert_eq!(publish_as(gripd, "marker.test"), 403);
    gripd.wait_log("marker.test");
    gripd.log()
}

/// How often a log has this text.
fn count(log: &str, text: &str) -> usize {
    log.matches(text).count()
}

#[test]
fn a_stream_of_the_backends_own_is_told_once_a_route() {
    let text = " INFO an event stream is not held by gripd";
    let (backend, other) = (streaming(SSE), streaming("Content-Type: text/plain\r\n"));
    let log = log_of(&Gripd::before(&backend), &["", "", ""]);
    assert_eq!(count(&log, text), 1, "{log}");
    let meant = Gripd::start(|c| c.route(format!("*,no_grip {}", backend.addr)));
    assert_eq!(count(&log_of(&meant, &[""]), text), 0, "it is meant so");
    let log = log_of(&Gripd::before(&other), &[""]);
    assert_eq!(count(&log, text), 0, "no event stream");
}

#[test]
fn a_stream_that_ends_at_once_is_told() {
    let text = "an event stream ended at once and was not held";
    let refusal = answer("200 OK", SSE, "event: stream-error\ndata: {}\n\n");
    let backend = Backend::always(refusal);
    let log = log_of(&Gripd::before(&backend), &["", ""]);
    assert_eq!(count(&log, text), 1, "{log}");
}

#[test]
fn a_stream_that_does_not_begin_is_told() {
    let backend = Backend::start(|_, reply| {
        reply.wait_closed();
    });
    let to = backend.addr;
    let gripd = Gripd::start(|c| {
        c.route(format!("* {to}"))
            .route(format!("*,path_beg=/page {to}"))
    });
    let ask = |path, accept| {
        let mut client = gripd.client();
        client.send(format!(
            "GET {path} HTTP/1.1\r\nHost: h.test\r\nAccept: {accept}\r\n\r\n"
        ));
        client
    };
    // The page is asked first, so that its line would be there first.
    let _page = ask("/page", "text/html");
    backend.wait_requests(1);
    let _stream = ask("/", "text/event-stream");
    let text = "an event stream was asked for, and the backend has not begun to answer";
    gripd.wait_log(text);
    assert_eq!(count(&gripd.log(), text), 1, "{}", gripd.log());
    assert!(gripd.log().contains("waited=3s route=\"*\""));
}

#[test]
fn a_stream_that_a_browser_keeps_from_its_page_is_told() {
    let (page, cookie) = ("Origin: http://b.test\r\n", "Cookie: a=b\r\n");
    let both = format!("{page}{cookie}");
    let allow = |origin| format!("{SSE}{HOLD}Access-Control-Allow-Origin: {origin}\r\n");
    let table = [
        (allow("http://a.test"), page, [1, 0]),
        (allow("http://a.test"), "", [0, 0]),
        (allow("http://b.test"), page, [0, 0]),
        (allow("*"), page, [0, 0]),
        (allow("*"), &both, [0, 1]),
    ];
    for (headers, request, expected) in table {
        let backend = Backend::always(answer("200 OK", &headers, "data: 1\n\n"));
        let log = log_of(&Gripd::before(&backend), &[request, request]);
        let found = [
            "to the page that asked",
            "to a page that asks with credentials",
        ]
        .map(|text| count(&log, text));
        assert_eq!(found, expected, "{headers} {request}\n{log}");
        let fields = "origin=\"http://b.test\" allowed=\"http://a.test\" route=\"*\"";
        assert_eq!(log.contains(fields), expected == [1, 0], "{log}");
    }
}

#[test]
fn a_publisher_that_is_kept_out_is_told() {
    let gripd = Gripd::start(|c| c.route("* test"));
    assert_eq!(publish_as(&gripd, "gripd.internal:5561"), 403);
    gripd.wait_log("WARN control request refused: Forbidden: Host is \"gripd.internal:5561\"");
    gripd.wait_log("add it to control.hosts");
}

/// The status of a publish to the control port by this name.
fn publish_as(gripd: &Gripd, host: &str) -> u16 {
    let mut control = Wire::connect(gripd.control);
    let body = r#"{"items": [{"channel": "c", "http-stream": {"content": "x"}}]}"#;
    control.request("POST", "/publish/", &[&format!("Host: {host}")], body);
    control.response().status()
}
