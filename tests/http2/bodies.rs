//! Bodies: how they are framed for the backend, flow control both ways, trailers, and what becomes
//! of them when one side goes.

use std::sync::Mutex;

use h2::Reason;
use http::{HeaderMap, HeaderValue, Method};

use crate::{
    client::{Client, End, ask, get, roomy, values},
    raw::{self, DATA, END_STREAM, INITIAL_WINDOW_SIZE, Outcome, Raw},
    support::{Backend, Gripd, PATIENCE, answer, eventually},
};

/// Far more than windows and sockets take at once.
const LARGE: usize = 10 << 20;

fn pattern(len: usize) -> Vec<u8> {
    (0..=250).cycle().take(len).collect()
}

#[test]
fn a_body_with_a_length_keeps_it() {
    let backend = Backend::saying("ok");
    let gripd = Gripd::before(&backend);
    let mut client = Client::of(&gripd);
    for len in [0, 1, 100_000] {
        let mut request = ask(Method::POST, "/");
        let length = HeaderValue::from(len);
        request.headers_mut().insert("content-length", length);
        let body = pattern(len);
        assert_eq!(client.upload(request, body.clone()).text(), "ok");
        let seen = backend.last();
        assert_eq!(seen.head.all("Content-Length"), [len.to_string()]);
        assert!(!seen.head.has("Transfer-Encoding"), "{}", seen.head.raw);
        assert!(seen.body == body, "{len}");
    }
}

/// A short body that is all there is sent with its length: many a backend cannot read chunks.
#[test]
fn a_body_without_a_length_is_counted_where_that_is_possible() {
    let backend = Backend::saying("ok");
    let gripd = Gripd::before(&backend);
    let mut raw = Raw::of(&gripd);
    let head = raw::frame(
        raw::HEADERS,
        raw::END_HEADERS,
        1,
        raw::block(&raw::post("/")),
    );
    let body = raw::frame(DATA, END_STREAM, 1, "short");
    raw.wire.send([head, body].concat());
    assert_eq!(raw.outcome(1), Outcome::Answer(200, "ok".into()));
    assert_eq!(backend.last().body, b"short");
    // No body at all.
    raw.request(3, END_STREAM, &raw::post("/none"));
    assert_eq!(raw.outcome(3), Outcome::Answer(200, "ok".into()));
    let seen = backend.last();
    assert_eq!((seen.head.target(), seen.body.len()), ("/none", 0));
    assert!(!seen.head.is_chunked(), "{}", seen.head.raw);
}

/// The backend has the head, and answers, before the body is over.
#[test]
fn a_body_of_unknown_length_comes_in_chunks_as_it_is_sent() {
    let backend = Backend::early(|_, reply| {
        let first = reply.wire.chunk();
        reply.ok("", first);
    });
    let gripd = Gripd::before(&backend);
    let mut client = Client::of(&gripd);
    let mut asked = client.send(ask(Method::PUT, "/"), false);
    eventually("the backend has the head", || backend.asked() == ["PUT /"]);
    asked.piece("one", false);
    let mut stream = asked.stream();
    assert_eq!(stream.status(), 200);
    stream.expect("one");
}

#[test]
fn ten_megabytes_go_both_ways() {
    let backend = Backend::start(|request, reply| reply.ok("", &request.body));
    let gripd = Gripd::before(&backend);
    let mut client = Client::of(&gripd);
    let body = pattern(LARGE);
    let answer = client.upload(ask(Method::POST, "/"), body.clone());
    assert!(backend.last().body == body, "what the backend got");
    assert!(answer.body == body, "what came back");
}

/// Its window is shut while others are answered.
#[test]
fn a_window_that_opens_late_gets_it_all() {
    let body = pattern(LARGE);
    let backend = Backend::serving([
        ("/large", answer("200 OK", "", &body)),
        ("/small", answer("200 OK", "", "small")),
    ]);
    let gripd = Gripd::before(&backend);
    let mut builder = roomy();
    builder.initial_window_size(10_000);
    let mut client = Client::with(gripd.clients, &builder);
    let mut late = client.open("/large");
    for _ in 0..20 {
        assert_eq!(client.get("/small").text(), "small");
    }
    late.bytes(5000);
    assert_eq!(client.get("/small").text(), "small");
    let rest = late.rest().body;
    assert!(rest == body[5000..]);
}

/// To the byte.
#[test]
fn no_byte_is_sent_beyond_the_window() {
    let backend = Backend::always(answer("200 OK", "", "0123456789"));
    let gripd = Gripd::before(&backend);
    let mut raw = Raw::with(&gripd, &[(INITIAL_WINDOW_SIZE, 3)]);
    raw.get(1, "/");
    assert_eq!(raw.head(1), (200, false));
    let mut got = raw.expect(DATA, 1).payload;
    assert_eq!(got, b"012");
    for by in [1, 2, 3] {
        // Whatever else it had to say would come before the answer to a ping.
        raw.settle_without(DATA);
        raw.open_window(1, by);
        got.extend(raw.expect(DATA, 1).payload);
    }
    raw.settle_without(DATA);
    assert_eq!(got, b"012345678");
    raw.open_window(1, 100);
    assert_eq!(raw.rest_of(1), "9");
}

/// What a backend does not read stays with the client.
#[test]
fn a_backend_that_does_not_read_stops_the_client() {
    let (told, go_on) = std::sync::mpsc::channel::<()>();
    let go_on = Mutex::new(go_on);
    let backend = Backend::early(move |request, reply| {
        if request.head.target() == "/slow" {
            let _ = go_on.lock().unwrap().recv_timeout(PATIENCE);
        }
        reply.ok("", "ok");
    });
    let gripd = Gripd::before(&backend);
    let mut raw = Raw::of(&gripd);
    raw.request(1, 0, &raw::post("/slow"));
    // As much as its windows allow, and not a byte more.
    raw.settle();
    let first = raw
        .settings
        .iter()
        .find(|(id, _)| *id == INITIAL_WINDOW_SIZE);
    let window = first.map_or(65_535, |(_, size)| *size) as usize;
    let before = gripd.resident();
    let mut sent = 0;
    while sent < window {
        let piece = (window - sent).min(16 << 10);
        raw.send(DATA, 0, 1, vec![b'x'; piece]);
        sent += piece;
    }
    raw.settle();
    raw.get(3, "/other");
    assert_eq!(raw.outcome(3), Outcome::Answer(200, "ok".into()));
    assert!(gripd.resident() < before + (16 << 20));
    told.send(()).unwrap();
    raw.send(DATA, END_STREAM, 1, "");
    assert_eq!(raw.outcome(1), Outcome::Answer(200, "ok".into()));
    eventually("the whole body is there", || {
        let seen = backend.requests();
        seen.iter().any(|one| one.body.len() == window)
    });
}

#[test]
fn trailers_reach_clients_that_take_them() {
    let raw = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n\
               5\r\nhello\r\n0\r\nX-Sum: 42\r\n\r\n";
    let backend = Backend::always(raw);
    let gripd = Gripd::before(&backend);
    let mut client = Client::of(&gripd);
    let mut request = get("/");
    let te = HeaderValue::from_static("trailers");
    request.headers_mut().insert("te", te);
    let answer = client.fetch(request);
    assert_eq!(answer.text(), "hello");
    let trailers = answer.trailers.expect("trailers");
    assert_eq!(values(&trailers, "x-sum"), ["42"]);
    let head = backend.last().head;
    let te = head.get("TE").map(str::to_ascii_lowercase);
    assert_eq!(te, Some("trailers".into()));
    // Who did not ask for them gets the body's end all the same.
    assert_eq!(client.get("/").text(), "hello");
}

#[test]
fn a_requests_trailers_end_its_body() {
    let backend = Backend::start(|request, reply| {
        let sum = reply.wire.trailers().get("X-Sum").map(str::to_owned);
        let body = String::from_utf8_lossy(&request.body).into_owned();
        reply.ok("", format!("{body} {sum:?}"));
    });
    let gripd = Gripd::before(&backend);
    let mut same = gripd.client();
    same.send(
        "POST / HTTP/1.1\r\nHost: h.test\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n\
         4\r\nbody\r\n0\r\nX-Sum: 42\r\n\r\n",
    );
    let same = same.response().text();
    assert_eq!(same, "body Some(\"42\")");
    let mut client = Client::of(&gripd);
    let mut request = ask(Method::POST, "/");
    let names = HeaderValue::from_static("x-sum");
    request.headers_mut().insert("trailer", names);
    let mut asked = client.send(request, false);
    asked.piece("body", false);
    let mut trailers = HeaderMap::new();
    trailers.insert("x-sum", HeaderValue::from_static("42"));
    asked.trailers(trailers);
    assert_eq!(asked.stream().rest().text(), same, "as over HTTP/1");
}

/// An answer that comes before the request's end is the answer, and no error (RFC 9113 section
/// 8.1); the connection goes on.
#[test]
fn an_early_answer_is_read_whole() {
    let backend = Backend::early(|request, reply| {
        if request.head.method() == "POST" {
            reply.send(answer("403 Forbidden", "Connection: close\r\n", "no\n"));
            reply.close();
        } else {
            reply.ok("", "fine\n");
        }
    });
    let gripd = Gripd::before(&backend);
    let mut raw = Raw::of(&gripd);
    raw.request(1, 0, &raw::post("/"));
    raw.send(DATA, 0, 1, "the beginning of ");
    assert_eq!(raw.outcome(1), Outcome::Answer(403, "no\n".into()));
    // It may be told that the rest is not wanted, but not as an error.
    raw.get(3, "/");
    raw.until("the next answer's end", |frame| {
        if frame.kind == raw::RST_STREAM {
            assert_eq!((frame.stream, raw::error(frame, 0)), (1, raw::NO_ERROR));
        }
        frame.stream == 3 && frame.kind == DATA && frame.flags & END_STREAM != 0
    });
}

/// A body that is cut must not look whole.
#[test]
fn a_backend_that_goes_within_its_answer_resets_the_stream() {
    let backend = Backend::start(|request, reply| match request.head.target() {
        "/length" => {
            reply.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart");
            reply.close();
        }
        "/chunked" => {
            reply.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n");
            reply.close();
        }
        _ => reply.ok("", "fine\n"),
    });
    let gripd = Gripd::before(&backend);
    let mut client = Client::of(&gripd);
    for path in ["/length", "/chunked"] {
        let mut stream = client.open(path);
        let (_, end) = stream.read_to_end();
        assert_eq!(end, End::Reset(Reason::INTERNAL_ERROR), "{path}");
        assert_eq!(client.get("/").text(), "fine\n", "{path}");
    }
}

/// Whatever it waits for: the answer, or more of the body.
#[test]
fn a_client_that_breaks_off_ends_the_request_to_the_backend() {
    let (send, seen) = std::sync::mpsc::channel();
    let send = Mutex::new(send);
    let backend = Backend::early(move |request, reply| {
        match request.head.target() {
            "/answer" => {}
            "/body" => {
                let endless = vec![b'x'; 100_000];
                reply.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
                while reply.wire.try_send(b"186a0\r\n")
                    && reply.wire.try_send(&endless)
                    && reply.wire.try_send(b"\r\n")
                {}
            }
            _ => return reply.ok("", "fine\n"),
        }
        let closed = reply.wait_closed();
        let _ = send.lock().unwrap().send(closed);
    });
    let gripd = Gripd::before(&backend);
    let mut client = Client::of(&gripd);
    let mut asked = client.send(get("/answer"), true);
    eventually("it is asked", || backend.asked().len() == 1);
    asked.reset();
    assert_eq!(seen.recv_timeout(PATIENCE), Ok(true));
    let mut stream = client.open("/body");
    stream.bytes(1000);
    stream.reset();
    assert_eq!(seen.recv_timeout(PATIENCE), Ok(true));
    let mut asked = client.send(ask(Method::POST, "/answer"), false);
    asked.piece("beginning", false);
    eventually("it is asked", || backend.asked().len() == 3);
    asked.reset();
    assert_eq!(seen.recv_timeout(PATIENCE), Ok(true));
    assert_eq!(client.get("/").text(), "fine\n", "the others go on");
    // The connection's end is the end of all that is under way.
    let _asked = client.send(get("/answer"), true);
    eventually("it is asked", || backend.asked().len() == 5);
    client.vanish();
    assert_eq!(seen.recv_timeout(PATIENCE), Ok(true));
}
