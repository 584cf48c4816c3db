//! Vectors 16, 17, 22 to 25, 37, 95 and 96: what a backend may answer to OPEN, and backends that
//! are not there.

use crate::{
    site::{EVENTS, Site, events, opened},
    support::{
        Backend, DeadPort, Gripd, Response, answer,
        ws::{WebSocket, refused},
    },
};

/// The client's answer when the backend answers OPEN so.
fn relayed(raw: Vec<u8>) -> Response {
    let site = Site::one(vec![raw]);
    refused(&site.gripd, "/")
}

/// Each answer to OPEN is a 502 that tells nothing; debug and the log tell what is wrong.
fn nonsense(rows: &[(Vec<u8>, &str)]) {
    for (raw, name) in rows {
        let shown = String::from_utf8_lossy(raw);
        let site = Site::new([("/", vec![raw.clone()]), ("/debug", vec![raw.clone()])]);
        let plain = refused(&site.gripd, "/");
        assert_eq!(plain.status(), 502, "{shown}");
        let debug = refused(&site.gripd, "/debug");
        assert_eq!(debug.status(), 502, "{shown}");
        assert_ne!(plain.text(), debug.text(), "{shown}: only debug tells why");
        let told = debug.text();
        assert!(
            told.contains(name),
            "{shown}: {told:?} does not name {name:?}"
        );
    }
}

#[test]
fn w016_a_size_that_is_no_number_is_refused() {
    nonsense(&[(opened("TEXT zz\r\nab\r\n"), "zz")]);
}

#[test]
fn w017_the_first_event_is_a_whole_open() {
    nonsense(&[
        (events("", "OPEN"), "CRLF"),
        (events("", "open\r\n"), "OPEN"),
        (events("", "TEXT 1\r\na\r\n"), "OPEN"),
        (events("", ""), "OPEN"),
        (events("", "OPEN\nTEXT 1\r\na\r\n"), "event"),
    ]);
}

#[test]
fn w022_a_rejection_is_the_clients_answer() {
    let response = relayed(answer(
        "403 Forbidden",
        "Content-Type: text/plain\r\nX-A: 1\r\nSet-Meta-Foo: z\r\n\
         Sec-WebSocket-Extensions: grip\r\n",
        "no way\n",
    ));
    let head = &response.head;
    assert_eq!((response.status(), head.reason()), (403, "Forbidden"));
    assert_eq!(head.get("Content-Type"), Some("text/plain"));
    assert_eq!(head.get("X-A"), Some("1"));
    assert_eq!(head.get("Set-Meta-Foo"), Some("z"));
    assert!(!head.has("Sec-WebSocket-Extensions"), "{}", head.raw);
    assert_eq!(response.text(), "no way\n");
}

#[test]
fn w023_any_other_content_type_is_a_rejection() {
    for kind in [
        "application/websocket-events; charset=utf-8",
        "Application/WebSocket-Events",
        "text/html",
    ] {
        let headers = format!("Content-Type: {kind}\r\n");
        let response = relayed(answer("200 OK", &headers, "OPEN\r\n"));
        assert_eq!(response.status(), 200, "{kind}");
        assert_eq!(response.head.get("Content-Type"), Some(kind));
        assert_eq!(response.text(), "OPEN\r\n", "{kind}");
    }
}

/// Pushpin has a 500 of its own for what is longer than 8,192 bytes.
#[test]
fn w024_long_rejections_are_whole() {
    let body = "x".repeat(9000);
    let response = relayed(answer("500 Internal Server Error", "X-A: 1\r\n", &body));
    assert_eq!(response.status(), 500);
    assert_eq!(response.head.get("X-A"), Some("1"));
    assert_eq!(response.text(), body);
}

#[test]
fn w025_redirects_are_the_clients() {
    let site = Site::one(vec![answer("302 Found", "Location: /there\r\n", "")]);
    let response = refused(&site.gripd, "/");
    assert_eq!(response.status(), 302);
    assert_eq!(response.head.get("Location"), Some("/there"));
    assert_eq!(site.backend.asked(), ["POST /"]);

    // Even where the body would be events.
    let site = Site::one(vec![answer("201 Created", EVENTS, "OPEN\r\n")]);
    assert_eq!(refused(&site.gripd, "/").status(), 201);
}

#[test]
fn w037_the_next_target_takes_its_place() {
    let dead = DeadPort::new();
    let backend = Backend::always(opened("TEXT 2\r\nhi\r\n"));
    let line = format!("* {},over_http {},over_http", dead.addr, backend.addr);
    let gripd = Gripd::start(|c| c.route(line));
    WebSocket::open(&gripd, "/").hear("hi");
}

#[test]
fn w095_a_backend_that_is_not_there_is_a_502() {
    let dead = DeadPort::new();
    for option in [",over_http", ""] {
        let gripd = Gripd::start(|c| c.route(format!("* {}{option}", dead.addr)));
        let from = gripd.log().len();
        assert_eq!(refused(&gripd, "/").status(), 502, "{option}");
        gripd.wait_log_from(from, &dead.addr.to_string());
    }
}

#[test]
fn w096_a_request_that_no_route_takes_is_a_502() {
    let dead = DeadPort::new();
    let gripd = Gripd::start(|c| c.route(format!("other.test {},over_http", dead.addr)));
    assert_eq!(refused(&gripd, "/").status(), 502);
}

/// A backend that does not speak the protocol: the log and, under debug, the client are told which
/// line is missing. What a backend refuses that may well speak it is left alone.
#[test]
fn a_backend_that_speaks_something_else_is_named() {
    let page = |status, kind, body| vec![answer(status, kind, body)];
    let site = Site::new([
        (
            "/debug/cable",
            page(
                "404 Not Found",
                "Content-Type: text/html\r\n",
                "<h1>no</h1>\n",
            ),
        ),
        ("/debug/empty", page("405 Method Not Allowed", "", "")),
        (
            "/debug/json",
            page("404 Not Found", "Content-Type: application/json\r\n", "{}"),
        ),
        (
            "/debug/login",
            page("401 Unauthorized", "Content-Type: text/plain\r\n", "who?\n"),
        ),
    ]);
    let line = "give that path a line of its own without over_http, such as \
        *,path_beg=/cable HOST:PORT\n";
    let body = |path| refused(&site.gripd, path).text();
    assert_eq!(body("/debug/login"), "who?\n");
    assert!(!site.gripd.log().contains("a line of its own"));
    let cable = body("/debug/cable");
    assert!(
        cable.starts_with("<h1>no</h1>\nthe backend answered 404 "),
        "{cable}"
    );
    assert!(cable.ends_with(line), "{cable}");
    assert!(body("/debug/empty").starts_with("the backend answered 405 "));
    assert_eq!(body("/debug/json"), "{}");
    site.gripd.wait_log("a line of its own without over_http");
}
