//! The gate: what a client sends is refused before anything of it reaches a backend, unless it is
//! HTTP/1 beyond doubt (RFC 9112 sections 2.2, 3, 5, 6.3, 7.1 and 11).
#![cfg(feature = "server")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::too_many_lines,
    reason = "helpers of tests fail by panicking; tables are long"
)]

mod support;

use std::fmt::Write as _;

use support::{Backend, Gripd, Wire};

/// A request that would reach the backend if the bytes before it were misread.
const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nHost: h.test\r\n\r\n";

/// Sends bytes, reads the refusal, and sees the connection end.
fn refused(gripd: &Gripd, what: &str, raw: &str, statuses: &[u16]) {
    let mut client = gripd.client();
    client.send(raw);
    client.send(SMUGGLED);
    let response = client.response();
    assert!(
        statuses.contains(&response.status()),
        "{what}: {} instead of {statuses:?}: {}",
        response.status(),
        response.text()
    );
    assert!(response.body.len() > 3, "{what}: a sentence says why");
    let rest = client.rest();
    assert!(
        rest.is_empty(),
        "{what}: then the connection is closed, but {:?} came",
        String::from_utf8_lossy(&rest)
    );
}

/// The backend was asked for the marker and for nothing else.
fn only_the_marker(gripd: &Gripd, backend: &Backend) {
    assert_eq!(gripd.fetch("/marker").status(), 200);
    assert_eq!(backend.asked(), ["GET /marker"]);
}

#[test]
fn malformed_heads_are_refused_and_never_forwarded() {
    let backend = Backend::saying("ok");
    let gripd = Gripd::before(&backend);
    let rows: &[(&str, &str, &[u16])] = &[
        (
            "bare LF after the request line",
            "GET / HTTP/1.1\nHost: h\r\n\r\n",
            &[400],
        ),
        (
            "bare LF after a header",
            "GET / HTTP/1.1\r\nHost: h\nX: 1\r\n\r\n",
            &[400],
        ),
        (
            "bare LF for the empty line",
            "GET / HTTP/1.1\r\nHost: h\r\n\n",
            &[400],
        ),
        (
            "CR in a value",
            "GET / HTTP/1.1\r\nHost: h\r\nX: a\rb\r\n\r\n",
            &[400],
        ),
        (
            "NUL in a value",
            "GET / HTTP/1.1\r\nHost: h\r\nX: a\0b\r\n\r\n",
            &[400],
        ),
        (
            "NUL in a name",
            "GET / HTTP/1.1\r\nHost: h\r\nX\0Y: a\r\n\r\n",
            &[400],
        ),
        (
            "a folded line",
            "GET / HTTP/1.1\r\nHost: h\r\nX: a\r\n b\r\n\r\n",
            &[400],
        ),
        (
            "a folded first line",
            "GET / HTTP/1.1\r\n Host: h\r\n\r\n",
            &[400],
        ),
        (
            "space before the colon",
            "GET / HTTP/1.1\r\nHost: h\r\nX : a\r\n\r\n",
            &[400],
        ),
        (
            "an empty name",
            "GET / HTTP/1.1\r\nHost: h\r\n: a\r\n\r\n",
            &[400],
        ),
        (
            "a line without colon",
            "GET / HTTP/1.1\r\nHost: h\r\nnonsense\r\n\r\n",
            &[400],
        ),
        (
            "a name that is no token",
            "GET / HTTP/1.1\r\nHost: h\r\nX(Y): a\r\n\r\n",
            &[400],
        ),
        ("no Host", "GET / HTTP/1.1\r\nX: a\r\n\r\n", &[400]),
        (
            "two Hosts",
            "GET / HTTP/1.1\r\nHost: h\r\nHost: g\r\n\r\n",
            &[400],
        ),
        ("a bad Host", "GET / HTTP/1.1\r\nHost: h g\r\n\r\n", &[400]),
        ("no version", "GET /\r\nHost: h\r\n\r\n", &[400]),
        ("one word", "BAD\r\n\r\n", &[400]),
        ("two spaces", "GET  / HTTP/1.1\r\nHost: h\r\n\r\n", &[400]),
        (
            "a target with a space",
            "GET /a b HTTP/1.1\r\nHost: h\r\n\r\n",
            &[400],
        ),
        (
            "a relative target",
            "GET foo HTTP/1.1\r\nHost: h\r\n\r\n",
            &[400],
        ),
        (
            "a version of its own",
            "GET / HTTP/9.7\r\nHost: h\r\n\r\n",
            &[400, 505],
        ),
        (
            "a lower-case version",
            "GET / http/1.1\r\nHost: h\r\n\r\n",
            &[400],
        ),
        (
            "a method that is no token",
            "G@T / HTTP/1.1\r\nHost: h\r\n\r\n",
            &[400],
        ),
        ("a TLS hello", "\x16\x03\x01\x02\r\n\r\n", &[400]),
    ];
    for (what, raw, statuses) in rows {
        refused(&gripd, what, raw, statuses);
    }
    only_the_marker(&gripd, &backend);
}

#[test]
fn doubtful_body_framing_is_refused_and_never_forwarded() {
    let backend = Backend::saying("ok");
    let gripd = Gripd::before(&backend);
    let rows: &[(&str, &[u16])] = &[
        ("Content-Length: 5\r\nContent-Length: 6", &[400]),
        ("Content-Length: 5, 6", &[400]),
        ("Content-Length: 5, 5", &[400]),
        ("Content-Length: +5", &[400]),
        ("Content-Length: -1", &[400]),
        ("Content-Length: 0x5", &[400]),
        ("Content-Length: 5x", &[400]),
        ("Content-Length: 5 5", &[400]),
        ("Content-Length: ", &[400]),
        ("Content-Length: 99999999999999999999999999", &[400, 413]),
        ("Content-Length: 5\r\nTransfer-Encoding: chunked", &[400]),
        ("Transfer-Encoding: chunked\r\nContent-Length: 0", &[400]),
        ("Transfer-Encoding: gzip, chunked", &[400, 501]),
        ("Transfer-Encoding: chunked, identity", &[400, 501]),
        ("Transfer-Encoding: identity", &[400, 501]),
        ("Transfer-Encoding: xchunked", &[400, 501]),
        ("Transfer-Encoding: chunked;q=1", &[400, 501]),
        ("Transfer-Encoding: \"chunked\"", &[400, 501]),
        ("Transfer-Encoding: ", &[400, 501]),
        ("Transfer-Encoding: \x0bchunked", &[400, 501]),
        ("Transfer-Encoding : chunked", &[400]),
        (
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
            &[400, 501],
        ),
        (
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: x",
            &[400, 501],
        ),
    ];
    for (headers, statuses) in rows {
        let raw = format!("POST / HTTP/1.1\r\nHost: h.test\r\n{headers}\r\n\r\n0\r\n\r\n");
        refused(&gripd, headers, &raw, statuses);
    }
    let old = "POST / HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    refused(&gripd, "chunked in HTTP/1.0", old, &[400, 501]);
    only_the_marker(&gripd, &backend);
}

/// The head is fine, so the backend may have been asked; what follows must not become a request.
#[test]
fn a_bad_chunk_ends_the_connection() {
    let backend = Backend::saying("ok");
    let gripd = Gripd::before(&backend);
    let bodies = [
        "zz\r\nhello\r\n0\r\n\r\n",
        "5\nhello\r\n0\r\n\r\n",
        "5\r\nhello0\r\n\r\n",
        "5\r\nhello\n0\r\n\r\n",
        "-5\r\nhello\r\n0\r\n\r\n",
        "+5\r\nhello\r\n0\r\n\r\n",
        "0x5\r\nhello\r\n0\r\n\r\n",
        "FFFFFFFFFFFFFFFFF\r\nhello\r\n0\r\n\r\n",
        "5\r\nhello\r\n0\r\nX : y\r\n z\r\n\r\n",
    ];
    for body in bodies {
        let mut client = gripd.client();
        client.send(format!(
            "POST /bad HTTP/1.1\r\nHost: h.test\r\nTransfer-Encoding: chunked\r\n\r\n{body}{SMUGGLED}"
        ));
        let rest = String::from_utf8_lossy(&client.rest()).into_owned();
        assert!(
            !rest.contains(" 200 "),
            "{body:?} was taken for a whole request: {rest}"
        );
    }
    assert_eq!(gripd.fetch("/marker").status(), 200);
    let asked = backend.asked();
    assert!(
        asked.iter().all(|a| a == "POST /bad" || a == "GET /marker"),
        "{asked:?}"
    );
    let whole: Vec<_> = backend
        .requests()
        .iter()
        .map(|r| r.head.target().to_owned())
        .collect();
    assert_eq!(
        whole,
        ["/marker"],
        "none of the bad bodies arrived as a whole one"
    );
}

/// What the gate says of a body reaches the client, whatever it came to further on.
#[test]
fn a_fault_in_a_body_is_told_in_its_own_words() {
    let backend = Backend::saying("ok");
    let gripd = Gripd::start(|c| {
        c.route(format!("* {}", backend.addr))
            .set("LIMITS_REQUEST_BODY", "1000")
    });
    for (body, status, words) in [
        ("zz\r\n", 400, "A chunk has a malformed size"),
        ("3\r\nabcde", 400, "A chunk does not end with CR LF"),
        (
            "0\r\nHost: b\r\n\r\n",
            400,
            "must not stand among the trailers",
        ),
        ("3e9\r\n", 413, "longer than 1000 bytes"),
    ] {
        let mut client = gripd.client();
        client.send(format!(
            "POST / HTTP/1.1\r\nHost: h.test\r\nTransfer-Encoding: chunked\r\n\r\n{body}"
        ));
        let response = client.response();
        assert_eq!(response.status(), status, "{body:?}");
        assert!(response.text().contains(words), "{}", response.text());
        client.expect_eof();
    }
}

/// Limits above those of the libraries behind the gate hold too.
#[test]
fn a_head_as_large_as_the_settings_allow_passes() {
    let backend = Backend::saying("ok");
    let gripd = Gripd::start(|c| {
        c.route(format!("* {}", backend.addr))
            .set("LIMITS_REQUEST_HEAD", "1MiB")
            .set("LIMITS_REQUEST_TARGET", "65534")
            .set("LIMITS_REQUEST_HEADERS", "700")
    });
    let mut head = String::from("GET / HTTP/1.1\r\nHost: h.test\r\n");
    for n in 0..600 {
        write!(head, "X-{n}: {}\r\n", "v".repeat(1000)).unwrap();
    }
    let mut client = gripd.client();
    client.send(head + "\r\n");
    assert_eq!(client.response().status(), 200);
    let mut client = gripd.client();
    client.get(&format!("/{}", "t".repeat(70_000)));
    let response = client.response();
    assert_eq!(response.status(), 414);
    assert!(response.text().contains("65534"), "{}", response.text());
}

#[test]
fn chunk_extensions_are_no_fault() {
    let backend = Backend::saying("ok");
    let gripd = Gripd::before(&backend);
    let mut client = gripd.client();
    client.send(
        "POST /ext HTTP/1.1\r\nHost: h.test\r\nTransfer-Encoding: chunked\r\n\r\n\
         5;a=b\r\nhello\r\n6\r\n world\r\n0\r\n\r\n",
    );
    assert_eq!(client.response().status(), 200);
    assert_eq!(backend.last().body, b"hello world");
}

#[test]
fn a_fault_behind_good_requests_is_refused_after_their_answers() {
    let backend = Backend::saying("ok");
    let gripd = Gripd::before(&backend);
    let mut client = gripd.client();
    client.send(
        "GET /one HTTP/1.1\r\nHost: h.test\r\n\r\n\
         GET /two HTTP/1.1\r\nHost: h.test\r\n\r\n\
         GET /three HTTP/1.1\r\nHost: h.test\r\nX : y\r\n\r\n",
    );
    assert_eq!(client.response().status(), 200);
    assert_eq!(client.response().status(), 200);
    assert_eq!(client.response().status(), 400);
    client.expect_eof();
    assert_eq!(backend.asked(), ["GET /one", "GET /two"]);
}

/// Closing a socket over unread bytes resets it, and the reset would destroy the answer.
#[test]
fn the_refusal_arrives_though_the_client_is_still_sending() {
    let backend = Backend::saying("ok");
    let gripd = Gripd::before(&backend);
    for _ in 0..20 {
        let mut client = gripd.client();
        client.send("POST / HTTP/1.1\r\nHost: h\r\nHost: g\r\nContent-Length: 40000\r\n\r\n");
        client.send("x".repeat(40_000));
        let response = client.response();
        assert_eq!(response.status(), 400);
        assert!(!response.body.is_empty());
    }
    assert_eq!(backend.asked(), [""; 0]);
}

#[test]
fn limits_have_statuses_of_their_own() {
    let backend = Backend::saying("ok");
    let gripd = Gripd::start(|c| {
        c.route(format!("* {}", backend.addr))
            .set("LIMITS_REQUEST_HEAD", "8KiB")
            .set("LIMITS_REQUEST_TARGET", "1KiB")
            .set("LIMITS_REQUEST_HEADERS", "50")
            .set("LIMITS_REQUEST_BODY", "1000")
    });
    let big = format!(
        "GET / HTTP/1.1\r\nHost: h\r\nX: {}\r\n\r\n",
        "x".repeat(9000)
    );
    refused(&gripd, "a big head", &big, &[431]);
    let endless = format!("GET / HTTP/1.1\r\nHost: h\r\nX: {}", "x".repeat(9000));
    refused(&gripd, "a big head without end", &endless, &[431]);
    let many = format!("GET / HTTP/1.1\r\nHost: h\r\n{}\r\n", "X: y\r\n".repeat(51));
    refused(&gripd, "many headers", &many, &[431]);
    let long = format!("GET /{} HTTP/1.1\r\nHost: h\r\n\r\n", "a".repeat(1100));
    refused(&gripd, "a long target", &long, &[414]);
    let body = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1001\r\n\r\n";
    refused(&gripd, "a big body", body, &[413]);
    only_the_marker(&gripd, &backend);

    let fits = format!(
        "GET /fits HTTP/1.1\r\nHost: h\r\nX: {}\r\n\r\n",
        "x".repeat(7000)
    );
    let mut client = gripd.client();
    client.send(fits);
    assert_eq!(client.response().status(), 200);
    client.request("POST", "/body", &[], "x".repeat(1000));
    assert_eq!(client.response().status(), 200);
}

#[test]
fn default_limits_take_a_browsers_worst_head() {
    let backend = Backend::saying("ok");
    let gripd = Gripd::before(&backend);
    let cookies = format!("Cookie: {}", "c".repeat(30_000));
    let mut client = gripd.client();
    client.request("GET", "/cookies", &[&cookies], "");
    assert_eq!(client.response().status(), 200);
    assert_eq!(backend.last().head.get("Cookie").unwrap().len(), 30_000);
    let big = format!(
        "GET / HTTP/1.1\r\nHost: h\r\nX: {}\r\n\r\n",
        "x".repeat(70_000)
    );
    refused(&gripd, "70 KB", &big, &[431]);
}

#[test]
fn connect_is_not_implemented() {
    let backend = Backend::saying("ok");
    let gripd = Gripd::before(&backend);
    let mut client = gripd.client();
    client.send("CONNECT h.test:443 HTTP/1.1\r\nHost: h.test:443\r\n\r\n");
    assert_eq!(client.head().status(), 501);
    only_the_marker(&gripd, &backend);
}

#[test]
fn half_a_head_times_out_with_408() {
    let backend = Backend::saying("ok");
    let gripd = Gripd::start(|c| {
        c.route(format!("* {}", backend.addr))
            .set("TIMEOUTS_REQUEST_HEAD", "300ms")
    });
    let mut client = gripd.client();
    client.send("GET / HTTP/1.1\r\nHost: h.te");
    assert_eq!(client.response().status(), 408);
    client.expect_eof();
    assert_eq!(backend.asked(), [""; 0]);
}

#[test]
fn an_idle_connection_is_closed_without_a_word() {
    let backend = Backend::saying("ok");
    let gripd = Gripd::start(|c| {
        c.route(format!("* {}", backend.addr))
            .set("TIMEOUTS_KEEP_ALIVE", "300ms")
    });
    let mut client = gripd.client();
    assert_eq!(client.fetch("/").status(), 200);
    client.expect_eof();
}

/// The time for a head begins with its first byte, not with the connection.
#[test]
fn waiting_for_a_request_is_not_a_slow_head() {
    let backend = Backend::saying("ok");
    let gripd = Gripd::start(|c| {
        c.route(format!("* {}", backend.addr))
            .set("TIMEOUTS_REQUEST_HEAD", "300ms")
    });
    let mut waiting = gripd.client();
    // Another connection sees the time pass: it gets its 408 when 300 ms are over.
    let mut half: Wire = gripd.client();
    half.send("GET / HT");
    assert_eq!(half.response().status(), 408);
    assert_eq!(waiting.fetch("/").status(), 200);
}

#[test]
fn an_old_client_needs_no_host() {
    let backend = Backend::saying("ok");
    let gripd = Gripd::before(&backend);
    let mut client = gripd.client();
    client.send("GET /old HTTP/1.0\r\n\r\n");
    let head = client.head();
    assert_eq!(head.status(), 200);
    assert_eq!(client.rest(), b"ok");
    assert_eq!(backend.last().head.get("Host"), Some("localhost"));
}

#[test]
fn empty_lines_before_a_request_are_skipped() {
    let backend = Backend::saying("ok");
    let gripd = Gripd::before(&backend);
    let mut client = gripd.client();
    client.send("\r\nGET /after HTTP/1.1\r\nHost: h.test\r\n\r\n");
    assert_eq!(client.response().status(), 200);
}

#[test]
fn the_reasons_are_told_apart() {
    let backend = Backend::saying("ok");
    let gripd = Gripd::before(&backend);
    let tell = |headers: &str| {
        let mut client = gripd.client();
        client.send(format!("POST / HTTP/1.1\r\n{headers}\r\n\r\n"));
        client.response().text().to_ascii_lowercase()
    };
    assert!(tell("X: y").contains("host"), "no Host");
    assert!(
        tell("Host: h\r\nContent-Length: x").contains("content-length"),
        "a bad length"
    );
    assert!(
        tell("Host: h\r\nTransfer-Encoding: gzip").contains("transfer-encoding"),
        "an unknown coding"
    );
}
