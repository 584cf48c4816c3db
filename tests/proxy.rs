//! The reverse proxy: requests and answers that have nothing to do with GRIP pass as they are,
//! streamed both ways, and failures of backends are told apart.
#![cfg(feature = "server")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests fail by panicking"
)]

mod support;

use std::{
    net::ToSocketAddrs as _,
    sync::{Mutex, mpsc},
    time::Duration,
};

use support::{Backend, DeadPort, Gripd, PATIENCE, Reply, answer, instruct, one_family_only};

fn serving(pages: Vec<(&'static str, Vec<u8>)>) -> (Gripd, Backend) {
    let backend = Backend::serving(pages);
    let gripd = Gripd::before(&backend);
    (gripd, backend)
}

/// A backend whose handler also gets what the test sends it.
fn steered<T: Send + 'static>(
    handler: impl Fn(&mpsc::Receiver<T>, &mut Reply) + Send + Sync + 'static,
) -> (Backend, mpsc::Sender<T>) {
    let (send, receive) = mpsc::channel();
    let receive = Mutex::new(receive);
    let backend = Backend::start(move |_, reply| handler(&receive.lock().unwrap(), reply));
    (backend, send)
}

// ---- requests -------------------------------------------------------------------------------

#[test]
fn a_request_passes_with_its_headers_as_spelled() {
    let backend = Backend::saying("ok");
    let gripd = Gripd::before(&backend);
    let mut client = gripd.client();
    client.request(
        "BREW",
        "/pot?a=b&c=%20",
        &[
            "X-CuStOm: Value",
            "Cookie: a=1",
            "Cookie: b=2",
            "X-Empty:",
            "Accept-Encoding: br",
        ],
        "coffee",
    );
    assert_eq!(client.response().status(), 200);
    let seen = backend.last();
    assert_eq!(seen.head.first_line(), "BREW /pot?a=b&c=%20 HTTP/1.1");
    assert_eq!(seen.body, b"coffee");
    assert_eq!(seen.head.all("Host"), ["h.test"]);
    assert!(
        seen.head.raw.contains("X-CuStOm: Value\r\n"),
        "{:?}",
        seen.head.raw
    );
    assert_eq!(seen.head.all("Cookie"), ["a=1", "b=2"]);
    assert_eq!(seen.head.get("X-Empty"), Some(""));
    assert_eq!(seen.head.get("Accept-Encoding"), Some("br"));
}

#[test]
fn clients_cannot_forge_grip_headers() {
    let backend = Backend::saying("ok");
    let gripd = Gripd::before(&backend);
    let mut client = gripd.client();
    client.request(
        "GET",
        "/",
        &[
            "Grip-Last: c; last-id=1",
            "grip-hold: stream",
            "GRIP-SIG: mine",
            "Grip-Feature: x",
        ],
        "",
    );
    assert_eq!(client.response().status(), 200);
    let head = backend.last().head;
    assert!(
        !head.has("Grip-Last") && !head.has("Grip-Hold"),
        "{:?}",
        head.raw
    );
    assert_eq!(head.all("Grip-Sig").len(), 1);
    assert_ne!(head.get("Grip-Sig"), Some("mine"));
    let features = head.all("Grip-Feature");
    assert_eq!(features.len(), 1);
    for feature in ["status", "session", "link:next", "filter:skip-self"] {
        assert!(
            features[0].split(", ").any(|f| f == feature),
            "{feature} is not in {features:?}"
        );
    }
}

#[test]
fn keep_alive_follows_the_client() {
    let (gripd, _backend) = serving(vec![("/", answer("200 OK", "", "ok"))]);
    let mut client = gripd.client();
    client.request("GET", "/", &["Connection: close"], "");
    let response = client.response();
    assert_eq!(
        response.head.get("Connection").map(str::to_ascii_lowercase),
        Some("close".into())
    );
    client.expect_eof();

    let mut old = gripd.client();
    old.send("GET / HTTP/1.0\r\nHost: h.test\r\nConnection: keep-alive\r\n\r\n");
    let response = old.response();
    assert_eq!(
        response.head.get("Connection").map(str::to_ascii_lowercase),
        Some("keep-alive".into())
    );
    old.send("GET / HTTP/1.0\r\nHost: h.test\r\n\r\n");
    assert_eq!(old.response().text(), "ok");
    old.expect_eof();
}

// ---- answers --------------------------------------------------------------------------------

#[test]
fn declared_trailers_reach_clients_that_take_them() {
    let raw = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n\
               5\r\nhello\r\n0\r\nX-Sum: 42\r\n\r\n";
    let (gripd, _backend) = serving(vec![("/", raw.into())]);
    let mut client = gripd.client();
    client.request("GET", "/", &["TE: trailers", "Connection: TE"], "");
    assert_eq!(client.response().text(), "hello");
    assert_eq!(client.trailers().get("X-Sum"), Some("42"));
    assert_eq!(client.fetch("/").text(), "hello");
    assert!(
        !client.trailers().has("X-Sum"),
        "this time nobody asked for them"
    );
}

// ---- streaming ------------------------------------------------------------------------------

/// The backend sends the second event only when the client has the first.
#[test]
fn an_event_stream_passes_event_by_event() {
    let (backend, go) = steered::<()>(|go, reply| {
        reply.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n");
        for n in 0..5 {
            reply.wire.send_chunk(format!("data: {n}\n\n"));
            let _ = go.recv_timeout(PATIENCE);
        }
        reply.send("0\r\n\r\n");
    });
    let gripd = Gripd::before(&backend);
    let mut client = gripd.get("/");
    assert_eq!(client.head().get("Content-Type"), Some("text/event-stream"));
    for n in 0..5 {
        client.expect_stream(&format!("data: {n}\n\n"));
        go.send(()).unwrap();
    }
    client.expect_last_chunk();
}

/// The head comes before any of the body, and a body without a length comes piece by piece.
#[test]
fn a_close_delimited_stream_passes_piece_by_piece() {
    let (backend, go) = steered::<()>(|go, reply| {
        reply.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n");
        let _ = go.recv_timeout(PATIENCE);
        reply.send("one\n");
        let _ = go.recv_timeout(PATIENCE);
        reply.send("two\n");
        reply.close();
    });
    let gripd = Gripd::before(&backend);
    let mut client = gripd.get("/");
    assert_eq!(client.head().status(), 200);
    go.send(()).unwrap();
    client.expect_stream("one\n");
    go.send(()).unwrap();
    client.expect_stream("two\n");
    client.expect_last_chunk();
}

#[test]
fn a_request_body_passes_piece_by_piece() {
    let (told, pieces) = mpsc::channel();
    let told = Mutex::new(told);
    let backend = Backend::early(move |_, reply| {
        let first = reply.wire.chunk();
        let _ = told.lock().unwrap().send(first);
    });
    let gripd = Gripd::before(&backend);
    let mut client = gripd.client();
    client.send("POST / HTTP/1.1\r\nHost: h.test\r\nTransfer-Encoding: chunked\r\n\r\n");
    // More than one read's worth, so that no proxy may wait for the end to count the body.
    client.send_chunk("x".repeat(100_000));
    let first = pieces
        .recv_timeout(PATIENCE)
        .expect("the backend has a piece");
    assert!(first.iter().all(|b| *b == b'x'));
}

#[test]
fn ten_megabytes_pass_both_ways() {
    let backend = Backend::start(|request, reply| reply.ok("", &request.body));
    let gripd = Gripd::before(&backend);
    let body: Vec<u8> = (0..10_000_000u32).map(|n| (n % 253) as u8).collect();
    let mut client = gripd.client();
    client.request("POST", "/", &[], &body);
    assert!(
        client.response().body == body,
        "what came back is not what was sent"
    );
    assert!(backend.last().body == body);

    client.send("POST / HTTP/1.1\r\nHost: h.test\r\nTransfer-Encoding: chunked\r\n\r\n");
    for piece in body.chunks(70_000) {
        client.send_chunk(piece);
    }
    client.send("0\r\n\r\n");
    assert!(client.response().body == body, "chunked");
}

/// A client that does not read stops the backend; gripd does not swallow the rest.
#[test]
fn a_slow_reader_slows_the_backend() {
    let (told, written) = mpsc::channel();
    let told = Mutex::new(told);
    let backend = Backend::start(move |_, reply| {
        let piece = vec![b'x'; 1 << 20];
        reply.send("HTTP/1.1 200 OK\r\nContent-Length: 67108864\r\n\r\n");
        let socket = reply.wire.socket();
        socket
            .set_write_timeout(Some(Duration::from_secs(1)))
            .unwrap();
        let mut sent = 0;
        while sent < 64 && reply.send(&piece) {
            sent += 1;
        }
        let _ = told.lock().unwrap().send(sent);
        reply.close();
    });
    let gripd = Gripd::before(&backend);
    let mut client = gripd.get("/");
    assert_eq!(client.head().status(), 200);
    let sent = written
        .recv_timeout(PATIENCE)
        .expect("the backend gave up or was done");
    assert!(sent < 64, "64 MB went somewhere though nobody reads");
}

#[test]
fn a_client_that_leaves_cancels_its_request() {
    let (told, gone) = mpsc::channel();
    let told = Mutex::new(told);
    let backend = Backend::start(move |request, reply| {
        if request.head.target() == "/stream" {
            reply.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n");
        }
        let closed = reply.wait_closed();
        let _ = told.lock().unwrap().send(closed);
    });
    let gripd = Gripd::before(&backend);
    let mut client = gripd.get("/stream");
    client.head();
    client.expect_stream("one");
    drop(client);
    assert_eq!(
        gone.recv_timeout(PATIENCE),
        Ok(true),
        "in the middle of a body"
    );
    let client = gripd.get("/silent");
    backend.wait_requests(2);
    drop(client);
    assert_eq!(gone.recv_timeout(PATIENCE), Ok(true), "before an answer");
}

// ---- backends at fault ----------------------------------------------------------------------

#[test]
fn two_framings_never_reach_the_client() {
    let raw = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n\
               5\r\nhello\r\n0\r\n\r\n";
    let backend = Backend::start(move |_, reply| {
        reply.send(raw);
        reply.close();
    });
    let gripd = Gripd::before(&backend);
    let head = gripd.get("/").head();
    assert!(
        !(head.has("Content-Length") && head.has("Transfer-Encoding")),
        "{:?}",
        head.raw
    );
    assert_ne!(head.length(), Some(3), "{:?}", head.raw);
}

#[test]
fn causes_are_told_apart_in_debug_and_hidden_otherwise() {
    let dead = DeadPort::new();
    let silent = Backend::start(|_, reply| {
        reply.wait_closed();
    });
    let closing = Backend::start(|_, reply| reply.close());
    let garbage = Backend::start(|_, reply| {
        reply.send("garbage\r\n\r\n");
        reply.close();
    });
    let start = |debug: bool| {
        Gripd::start(|c| {
            let c = c
                .route(format!("dead.test {}", dead.addr))
                .route(format!("silent.test {}", silent.addr))
                .route(format!("closing.test {}", closing.addr))
                .route(format!("garbage.test {}", garbage.addr))
                .set("TIMEOUTS_RESPONSE", "500ms");
            if debug { c.debug() } else { c }
        })
    };
    let ask = |gripd: &Gripd, host: &str| {
        let mut client = gripd.client();
        client.request("GET", "/", &[&format!("Host: {host}")], "");
        let response = client.response();
        (response.status(), response.text())
    };
    let (plain, debug) = (start(false), start(true));
    let mut texts = Vec::new();
    for (host, status) in [
        ("dead.test", 502),
        ("silent.test", 504),
        ("closing.test", 502),
        ("garbage.test", 502),
        ("unknown.test", 502),
    ] {
        let (plain_status, plain_text) = ask(&plain, host);
        let (debug_status, debug_text) = ask(&debug, host);
        assert_eq!((plain_status, debug_status), (status, status), "{host}");
        assert!(!plain_text.contains("127.0.0.1"), "{plain_text:?}");
        texts.push(debug_text);
    }
    assert!(texts[0].contains(&dead.addr.to_string()), "{texts:?}");
    assert!(
        texts[4].contains("unknown.test"),
        "no route names the host: {texts:?}"
    );
    for (n, text) in texts.iter().enumerate() {
        assert!(
            !texts[..n].contains(text),
            "two causes read the same: {text:?}"
        );
    }
}

#[test]
fn a_backend_that_stalls_within_a_body_is_cut() {
    let backend = Backend::start(|_, reply| {
        reply.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
        reply.wait_closed();
    });
    let gripd = Gripd::start(|c| {
        c.route(format!("* {}", backend.addr))
            .set("TIMEOUTS_IDLE", "500ms")
    });
    let mut client = gripd.get("/");
    client.head();
    let (body, ended) = client.chunks_to_end();
    assert_eq!((body.as_slice(), ended), (b"abc".as_slice(), false));
    gripd.wait_log("idle");
}

// ---- connections to backends ----------------------------------------------------------------

#[test]
fn connections_to_backends_are_reused() {
    let backend = Backend::saying("ok");
    let gripd = Gripd::before(&backend);
    let mut client = gripd.client();
    for _ in 0..5 {
        assert_eq!(client.fetch("/").status(), 200);
    }
    assert_eq!(backend.connections(), 1);
}

/// The backend ends each connection when a second request comes on it, before any byte of an
/// answer: the race every server with a keep-alive timeout has.
#[test]
fn a_stale_connection_costs_only_what_must_not_be_repeated() {
    let backend = Backend::start(|request, reply| {
        if request.nth == 0 {
            reply.ok("", "ok");
        } else {
            reply.close();
        }
    });
    let gripd = Gripd::before(&backend);
    let mut client = gripd.client();
    for n in 0..4 {
        assert_eq!(
            client.fetch(&format!("/{n}")).status(),
            200,
            "{n}: asked once more"
        );
    }
    assert!(
        backend.requests().iter().any(|r| r.nth == 1),
        "nothing was reused, so nothing was tested"
    );
    let before = backend.requests().len();
    client.request("POST", "/order", &[], "one beer");
    let status = client.response().status();
    let orders: Vec<_> = backend.requests().split_off(before);
    assert_eq!(orders.len(), 1, "a POST is never repeated");
    assert_eq!(status, if orders[0].nth == 0 { 200 } else { 502 });
}

#[test]
fn a_fresh_connection_that_fails_is_not_tried_again() {
    let backend = Backend::start(|_, reply| reply.close());
    let gripd = Gripd::before(&backend);
    assert_eq!(gripd.fetch("/").status(), 502);
    assert_eq!(backend.asked(), ["GET /"]);
}

#[test]
fn localhost_is_two_addresses() {
    for listen_on_v6 in [true, false] {
        let (listener, dead) = one_family_only(listen_on_v6);
        let backend = Backend::on(listener, false, |_, reply| reply.ok("", "found"));
        let port = dead.addr.port();
        let known = ("localhost", port)
            .to_socket_addrs()
            .expect("localhost is known");
        if !known.into_iter().any(|addr| addr == backend.addr) {
            eprintln!("localhost has no {} on this machine", backend.addr.ip());
            continue;
        }
        let gripd = Gripd::start(|c| c.route(format!("* localhost:{port}")));
        assert_eq!(
            gripd.fetch("/").text(),
            "found",
            "listening on IPv6: {listen_on_v6}"
        );
        drop(backend);
    }
}

// ---- what the log says ----------------------------------------------------------------------

/// The first line of the log that contains a text.
fn line(gripd: &Gripd, text: &str) -> String {
    gripd.wait_log(text);
    let log = gripd.log();
    let line = log.lines().find(|line| line.contains(text));
    line.expect("waited for").to_owned()
}

#[test]
fn a_failure_is_told_with_its_request_but_no_query() {
    let dead = DeadPort::new();
    let gripd = Gripd::start(|c| c.route(format!("known.test {}", dead.addr)));
    let long = "x".repeat(500);
    let mut client = gripd.client();
    let target = format!("/{long}?token=secret");
    client.request("GET", &target, &["Host: known.test"], "");
    assert_eq!(client.response().status(), 502);
    let told = line(&gripd, "no target could be reached");
    let cut = format!("path=\"/{}\"", &long[..199]);
    let fields = [
        "WARN",
        "method=\"GET\"",
        "host=\"known.test\"",
        "route=",
        "status=502",
    ];
    for part in fields.into_iter().chain([&*cut]) {
        assert!(told.contains(part), "{part} is not in {told}");
    }
    assert_eq!(gripd.fetch("/").status(), 502);
    let told = line(&gripd, "no route for");
    for empty in ["route=", "backend=", "left_out="] {
        assert!(!told.contains(empty), "{empty} in {told}");
    }
    assert!(!gripd.log().contains("secret"));
}

#[test]
fn a_flood_without_route_does_not_flood_the_log() {
    let backend = Backend::saying("ok");
    let gripd = Gripd::start(|c| c.route(format!("known.test {}", backend.addr)));
    let start = std::time::Instant::now();
    let mut client = gripd.client();
    for _ in 0..300 {
        assert_eq!(client.fetch("/").status(), 502);
    }
    gripd.wait_log("no route for");
    let told = gripd.log().matches("no route for").count();
    let seconds = start.elapsed().as_secs();
    assert!(
        told as u64 <= seconds + 1,
        "{told} lines in {seconds} seconds"
    );
}

#[test]
fn a_faulty_instruct_is_told_once_a_route() {
    let channels: Vec<String> = (0..30).map(|n| format!("c{n}")).collect();
    let channels = format!("Grip-Channel: {}", channels.join(", "));
    let hold = "Grip-Hold: stream";
    let backend = Backend::serving(vec![
        ("/many", instruct(&[hold, &channels], "hi\n")),
        ("/none", instruct(&[hold], "hi\n")),
    ]);
    let gripd = Gripd::before(&backend);
    let mut open = Vec::new();
    for page in ["/many", "/many", "/none", "/none"] {
        open.push(gripd.stream(page, "hi\n"));
    }
    for text in ["grip.connection_subscription_max", "without any channel"] {
        gripd.wait_log(text);
        assert_eq!(gripd.log().matches(text).count(), 1, "{}", gripd.log());
    }
}

#[test]
fn a_full_house_is_told() {
    let backend = Backend::saying("ok");
    let gripd = Gripd::start(|c| {
        c.route(format!("* {}", backend.addr))
            .set("LIMITS_CONNECTIONS", "1")
            .threads(1)
    });
    let mut first = gripd.client();
    assert_eq!(first.fetch("/").status(), 200);
    let told = line(&gripd, "limits.connections");
    assert!(
        told.contains("WARN") && told.contains("open files"),
        "{told}"
    );
    let mut second = gripd.get("/");
    drop(first);
    assert_eq!(second.response().status(), 200);
}
