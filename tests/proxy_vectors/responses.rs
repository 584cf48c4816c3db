//! Vectors 58 to 67 and 75 to 79 and 81: what the client sees of answers without GRIP, of backends
//! at fault, and of faults of its own.

use std::fmt::Write as _;

use crate::{
    ask,
    support::{Backend, DeadPort, Gripd, Wire, answer, instruct, ws::refused},
};

fn serving(pages: Vec<(&'static str, Vec<u8>)>) -> (Gripd, Backend) {
    let backend = Backend::serving(pages);
    let gripd = Gripd::before(&backend);
    (gripd, backend)
}

// ---- answers --------------------------------------------------------------------------------

/// Pushpin drops `Content-Encoding` and leaves the body as it is.
#[test]
fn v058_v059_an_answer_passes_with_its_headers() {
    let (gripd, _backend) = serving(vec![(
        "/",
        "HTTP/1.1 200 Fine\r\nX-A: 1\r\nX-A: 2\r\nSet-Cookie: a\r\nSet-Cookie: b\r\n\
         Server: mine\r\nVia: 1.1 x\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\nX-OdD: y\r\n\
         Keep-Alive: timeout=5\r\nConnection: X-Hop\r\nX-Hop: 1\r\nContent-Encoding: identity\r\n\
         Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"
            .into(),
    )]);
    let response = gripd.fetch("/");
    let head = &response.head;
    assert_eq!(head.first_line(), "HTTP/1.1 200 Fine");
    assert_eq!(head.all("X-A"), ["1", "2"]);
    assert_eq!(head.all("Set-Cookie"), ["a", "b"]);
    assert_eq!(head.all("Server"), ["mine"]);
    assert_eq!(head.all("Date"), ["Thu, 01 Jan 1970 00:00:00 GMT"]);
    assert_eq!(head.get("Content-Encoding"), Some("identity"));
    assert!(head.has("Via"));
    assert!(head.raw.contains("X-OdD: y\r\n"), "{:?}", head.raw);
    assert!(
        !head.has("Keep-Alive") && !head.has("X-Hop"),
        "{:?}",
        head.raw
    );
    assert_eq!(response.text(), "hello world");

    let mut old = gripd.client();
    old.send("GET / HTTP/1.0\r\nHost: h.test\r\n\r\n");
    let head = old.head();
    assert!(!head.has("Transfer-Encoding"), "{:?}", head.raw);
    assert_eq!(old.rest(), b"hello world");
}

/// Pushpin counts a body that came whole; gripd passes it on as it comes.
#[test]
fn v060_an_answer_until_the_end_of_the_connection_arrives_whole() {
    let backend = Backend::start(|_, reply| {
        reply.send("HTTP/1.1 200 OK\r\n\r\nnine byte");
        reply.close();
    });
    let gripd = Gripd::before(&backend);
    let mut client = gripd.client();
    for _ in 0..2 {
        let response = client.fetch("/");
        assert!(response.head.is_chunked(), "{}", response.head.raw);
        assert_eq!(response.text(), "nine byte", "and the connection goes on");
    }
}

/// Pushpin makes an interim answer the final one.
#[test]
fn v065_interim_answers_are_skipped() {
    let early = "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n";
    let mut raw = early.as_bytes().to_vec();
    raw.extend(answer("200 OK", "", "final"));
    let (gripd, _backend) = serving(vec![("/", raw)]);
    let mut client = gripd.client();
    for _ in 0..2 {
        let response = client.fetch("/");
        assert_eq!((response.status(), response.text()), (200, "final".into()));
        assert!(!response.head.has("Link"));
    }
}

/// Pushpin waits a minute for the body of an answer to `HEAD`.
#[test]
fn v066_v067_answers_without_body_have_none() {
    let backend = Backend::start(|request, reply| match request.head.target() {
        "/204" => {
            reply.send("HTTP/1.1 204 No Content\r\nX: 1\r\n\r\n");
        }
        "/304" => {
            reply.send("HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\n\r\n");
        }
        _ => {
            reply.send("HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n");
        }
    });
    let gripd = Gripd::before(&backend);
    let mut client = gripd.client();
    client.request("HEAD", "/", &[], "");
    let head = client.head();
    assert_eq!((head.status(), head.length()), (200, Some(1234)));
    client.get("/204");
    let head = client.head();
    assert_eq!(head.status(), 204);
    assert!(
        !head.has("Content-Length") && !head.has("Transfer-Encoding"),
        "{:?}",
        head.raw
    );
    client.get("/304");
    let head = client.head();
    assert_eq!((head.status(), head.get("ETag")), (304, Some("\"x\"")));
    assert!(!head.has("Transfer-Encoding"), "{:?}", head.raw);
    client.request("HEAD", "/", &[], "");
    assert_eq!(client.head().status(), 200, "no bytes were left between");
}

/// Pushpin has room for 64 headers and 8 KiB.
#[test]
fn v064_a_header_block_larger_than_usual_passes() {
    let many = (0..70).fold(String::new(), |all, n| format!("{all}X-{n}: y\r\n"));
    let big = format!("X-Big: {}\r\n", "x".repeat(9000));
    let huge = format!("X-Huge: {}\r\n", "x".repeat(300_000));
    let (gripd, _backend) = serving(vec![
        ("/many", answer("200 OK", &many, "ok")),
        ("/big", answer("200 OK", &big, "ok")),
        ("/huge", answer("200 OK", &huge, "ok")),
    ]);
    assert_eq!(gripd.fetch("/many").head.names_from("X-").len(), 70);
    assert_eq!(gripd.fetch("/big").head.get("X-Big").unwrap().len(), 9000);
    assert_eq!(gripd.fetch("/huge").status(), 502);
}

// ---- backends at fault ----------------------------------------------------------------------

/// Pushpin ends what was cut short with the last chunk, as if it were whole.
#[test]
fn v061_v062_a_body_cut_short_is_visible_to_the_client() {
    let backend = Backend::start(|request, reply| {
        if request.head.target() == "/counted" {
            reply.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc");
        } else {
            reply.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
        }
        reply.close();
    });
    let gripd = Gripd::before(&backend);
    let mut client = gripd.get("/counted");
    let head = client.head();
    let rest = client.rest();
    assert_eq!(head.length(), Some(100));
    assert!(b"abc".starts_with(&rest[..]), "{rest:?}");

    let mut client = gripd.get("/chunked");
    assert!(client.head().is_chunked());
    let (body, ended) = client.chunks_to_end();
    assert!(!ended, "the last chunk would say that the body is whole");
    assert!(b"abc".starts_with(&body[..]), "{body:?}");
}

#[test]
fn v063_answers_that_are_no_http_are_a_502() {
    let rows: &[(&str, &str)] = &[
        ("garbage", "garbage\r\n\r\n"),
        (
            "a bad length",
            "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\nabc",
        ),
        (
            "two lengths",
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        ),
        (
            "a name with a space",
            "HTTP/1.1 200 OK\r\nX Y: 1\r\nContent-Length: 0\r\n\r\n",
        ),
        ("nothing at all", ""),
        ("half a head", "HTTP/1.1 200 OK\r\nX: "),
    ];
    for (what, raw) in rows {
        let backend = Backend::start(move |_, reply| {
            reply.send(raw);
            reply.close();
        });
        let gripd = Gripd::before(&backend);
        let mut client = gripd.client();
        client.get("/");
        let response = client.response();
        assert_eq!(response.status(), 502, "{what}");
        assert!(response.head.length().is_some(), "{what}");
        client.get("/");
        assert_eq!(
            client.response().status(),
            502,
            "{what}: the connection goes on"
        );
    }
}

#[test]
fn v075_a_websocket_to_a_dead_target_is_a_502() {
    let dead = DeadPort::new();
    let gripd = Gripd::start(|c| c.route(format!("* {}", dead.addr)));
    let response = refused(&gripd, "/ws");
    assert_eq!(
        (response.status(), response.head.reason()),
        (502, "Bad Gateway")
    );
    assert_eq!(response.head.length(), Some(response.body.len()));
    assert!(!response.body.is_empty());
}

#[test]
fn v076_a_refused_websocket_gets_the_backends_answer() {
    let headers = "WWW-Authenticate: Basic\r\nX-A: 1\r\n";
    let backend = Backend::always(answer("401 Who Are You", headers, "who?\n"));
    let gripd = Gripd::start(|c| {
        c.route(format!("*,path_beg=/http {},over_http", backend.addr))
            .route(format!("* {}", backend.addr))
    });
    for path in ["/ws", "/http"] {
        let response = refused(&gripd, path);
        let head = &response.head;
        assert_eq!(head.first_line(), "HTTP/1.1 401 Who Are You", "{path}");
        assert_eq!(head.get("WWW-Authenticate"), Some("Basic"), "{path}");
        assert_eq!(head.get("X-A"), Some("1"), "{path}");
        assert_eq!(response.text(), "who?\n", "{path}");
    }
}

// ---- clients --------------------------------------------------------------------------------

/// The first two are requests like any other here: limits are larger, and settings.
#[test]
fn v077_heads_that_are_too_large_or_none() {
    let big = format!("X-Big: {}\r\n", "x".repeat(9000));
    let many = (0..70).fold(String::new(), |all, n| format!("{all}X-{n}: y\r\n"));
    let get = |more: &str| format!("GET / HTTP/1.1\r\nHost: h.test\r\n{more}\r\n");
    let refusal = |gripd: &Gripd, raw: &str| {
        let mut client = gripd.client();
        client.send(raw);
        let response = client.response();
        assert!(!response.body.is_empty(), "it says why");
        client.expect_eof();
        response
    };
    let backend = Backend::saying("ok");
    let gripd = Gripd::before(&backend);
    let mut client = gripd.client();
    for raw in [get(&big), get(&many)] {
        client.send(raw);
        assert_eq!(client.response().status(), 200);
    }
    assert_eq!(backend.last().head.names_from("X-").len(), 70);
    let response = refusal(&gripd, "BAD\r\n\r\n");
    assert_eq!(response.status(), 400);
    assert!(response.head.first_line().starts_with("HTTP/1."));

    let asked = backend.asked().len();
    let small = Gripd::start(|c| {
        c.route(format!("* {}", backend.addr))
            .set("LIMITS_REQUEST_HEAD", "8KiB")
            .set("LIMITS_REQUEST_HEADERS", "64")
    });
    for raw in [get(&big), get(&many)] {
        assert_eq!(refusal(&small, &raw).status(), 431);
    }
    assert_eq!(backend.asked().len(), asked);
}

#[test]
fn v078_pipelined_requests_are_answered_in_order() {
    let backend = Backend::start(|request, reply| reply.ok("", request.head.target()));
    let gripd = Gripd::before(&backend);
    let mut client = gripd.client();
    let mut all = String::new();
    for n in 0..20 {
        write!(all, "GET /{n} HTTP/1.1\r\nHost: h.test\r\n\r\n").unwrap();
        write!(
            all,
            "POST /p{n} HTTP/1.1\r\nHost: h.test\r\nContent-Length: 4\r\n\r\nbody"
        )
        .unwrap();
    }
    client.send(all);
    for n in 0..20 {
        assert_eq!(client.response().text(), format!("/{n}"));
        assert_eq!(client.response().text(), format!("/p{n}"));
    }
}

/// One thread: each has a queue of its own, and who came first is first in one queue only.
#[test]
fn v079_who_comes_when_the_house_is_full_waits() {
    let held = instruct(&["Grip-Hold: stream", "Grip-Channel: c"], "hi\n");
    let backend = Backend::always(held);
    let gripd = Gripd::start(|c| {
        c.route(format!("* {}", backend.addr))
            .set("LIMITS_CONNECTIONS", "20")
            .threads(1)
    });
    let mut streams: Vec<Wire> = (0..20).map(|_| gripd.stream("/", "hi\n")).collect();
    let mut waiting: Vec<Wire> = (0..4).map(|_| gripd.get("/")).collect();
    gripd.wait_log("limits.connections");
    assert_eq!(backend.asked().len(), 20);
    // One leaves, one comes in.
    for _ in 0..4 {
        streams.remove(0).close();
        let mut next = waiting.remove(0);
        assert!(next.head().is_chunked());
        next.expect_stream("hi\n");
        streams.push(next);
    }
    assert_eq!(backend.asked().len(), 24);
}

/// Pushpin answers with a notice of its licence; to gripd it is a header like any other.
#[test]
fn v081_pushpin_check_is_a_header_like_any_other() {
    let backend = Backend::saying("ok");
    let gripd = Gripd::before(&backend);
    assert_eq!(ask(&gripd, "/", &["Pushpin-Check: 1"]).text(), "ok");
    assert_eq!(backend.last().head.get("Pushpin-Check"), Some("1"));
}
