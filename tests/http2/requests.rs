//! The head of a request and that of its answer: what the backend is asked, and what the client
//! reads.

use http::{HeaderValue, Method, Request};

use crate::{
    client::{Answer, Client, ask, get, values},
    raw::{self, END_STREAM, INITIAL_WINDOW_SIZE, Outcome, Raw},
    support::{Backend, Gripd, HOST, Setup, answer},
};

fn site(setup: impl FnOnce(Setup) -> Setup) -> (Gripd, Backend) {
    let backend = Backend::saying("hello\n");
    let gripd = Gripd::start(|c| setup(c).route(format!("* {}", backend.addr)));
    (gripd, backend)
}

/// A refusal: its status, and a sentence that contains this.
fn expect_refusal(answer: &Answer, status: u16, part: &str) {
    let text = answer.text();
    assert_eq!(answer.status(), status, "{text}");
    assert!(text.contains(part) && text.ends_with(".\n"), "{text}");
    assert_eq!(answer.all("content-type"), ["text/plain"]);
    assert_eq!(answer.all("content-length"), [text.len().to_string()]);
    assert_eq!(answer.all("date").len(), 1);
}

#[test]
fn a_get_reaches_the_backend_as_one_of_http1() {
    let (gripd, backend) = site(|c| c.set("PROXY_X_FORWARDED_FOR", "append"));
    let mut client = Client::of(&gripd);
    let mut request = get("/a/b?c=d&e");
    let headers = request.headers_mut();
    headers.insert("user-agent", HeaderValue::from_static("test"));
    headers.append("x-own", HeaderValue::from_static("1"));
    headers.append("x-own", HeaderValue::from_static("2"));
    let answer = client.fetch(request);
    assert_eq!((answer.status(), &*answer.text()), (200, "hello\n"));
    assert_eq!(answer.all("content-type"), ["text/plain"]);
    assert_eq!(answer.all("content-length"), ["6"]);
    assert_eq!(answer.all("date").len(), 1);
    assert_eq!(answer.trailers, None);
    let head = backend.last().head;
    assert_eq!(head.first_line(), "GET /a/b?c=d&e HTTP/1.1");
    assert_eq!(head.all("Host"), [HOST]);
    assert_eq!(head.all("User-Agent"), ["test"]);
    assert_eq!(head.all("X-Own"), ["1", "2"]);
    assert_eq!(head.all("X-Forwarded-For"), ["127.0.0.1"]);
    for name in ["Content-Length", "Transfer-Encoding", "Connection", "TE"] {
        assert!(!head.has(name), "{name}: {}", head.raw);
    }
}

/// What speaks of the backend's connection has no place in an answer (RFC 9113 section 8.2.2); the
/// client's library would call such an answer malformed.
#[test]
fn an_answer_has_nothing_about_connections() {
    let lines = "Connection: keep-alive, X-Hop\r\nKeep-Alive: timeout=5\r\nX-Hop: 1\r\n\
                 Proxy-Connection: keep-alive\r\nUpgrade: h2c\r\nX-Own: yes\r\n\
                 Date: Sun, 06 Nov 1994 08:49:37 GMT\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n";
    let chunked = format!(
        "HTTP/1.1 200 OK\r\n{lines}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    );
    let backend = Backend::serving([
        ("/", answer("200 Fine", lines, "abc")),
        ("/chunked", chunked.into_bytes()),
    ]);
    let gripd = Gripd::before(&backend);
    let mut client = Client::of(&gripd);
    for (path, length) in [("/", vec!["3"]), ("/chunked", vec![])] {
        let answer = client.get(path);
        assert_eq!((answer.status(), &*answer.text()), (200, "abc"), "{path}");
        assert_eq!(answer.all("content-length"), length);
        assert_eq!(answer.all("date"), ["Sun, 06 Nov 1994 08:49:37 GMT"]);
        assert_eq!(answer.all("x-own"), ["yes"]);
        assert_eq!(answer.all("set-cookie"), ["a=1", "b=2"]);
        let names = [
            "connection",
            "keep-alive",
            "proxy-connection",
            "transfer-encoding",
            "upgrade",
        ];
        for name in names {
            assert_eq!(answer.all(name), [""; 0], "{path}: {name}");
        }
    }
}

#[test]
fn an_answer_to_head_has_a_length_and_no_body() {
    let backend = Backend::start(|_, reply| {
        reply.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\nX-Own: 1\r\n\r\n");
    });
    let gripd = Gripd::before(&backend);
    let mut client = Client::of(&gripd);
    for _ in 0..2 {
        let answer = client.fetch(ask(Method::HEAD, "/"));
        assert_eq!(answer.all("content-length"), ["10"]);
        assert_eq!(answer.all("x-own"), ["1"]);
        assert_eq!(answer.body, b"");
    }
    assert_eq!(backend.asked(), ["HEAD /", "HEAD /"]);
}

#[test]
fn a_status_without_a_body_ends_with_its_head() {
    let backend = Backend::serving([
        ("/204", "HTTP/1.1 204 No Content\r\nX-Own: 1\r\n\r\n"),
        (
            "/304",
            "HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\nContent-Length: 7\r\n\r\n",
        ),
    ]);
    let gripd = Gripd::before(&backend);
    let mut raw = Raw::of(&gripd);
    for (stream, status) in [(1, 204), (3, 304)] {
        raw.get(stream, &format!("/{status}"));
        assert_eq!(raw.head(stream), (status, true));
    }
    let mut client = Client::of(&gripd);
    let answer = client.get("/204");
    assert_eq!(answer.all("content-length"), [""; 0]);
    assert_eq!(answer.all("x-own"), ["1"]);
    let answer = client.get("/304");
    assert_eq!(answer.all("etag"), ["\"a\""]);
}

/// An empty body costs no frame of its own, and is told all the same.
#[test]
fn an_empty_answer_is_one() {
    let backend = Backend::always(answer("200 OK", "", ""));
    let gripd = Gripd::before(&backend);
    let answer = Client::of(&gripd).get("/");
    assert_eq!((answer.status(), &*answer.body), (200, &b""[..]));
    assert_eq!(answer.all("content-length"), ["0"]);
}

/// A client may send its cookies one by one (RFC 9113 section 8.2.3).
#[test]
fn cookies_reach_the_backend_in_one_line() {
    let (gripd, backend) = site(|c| c);
    let mut client = Client::of(&gripd);
    let mut request = get("/");
    for crumb in ["a=1", "b=2; c=3", "d=4"] {
        let crumb = HeaderValue::from_static(crumb);
        request.headers_mut().append("cookie", crumb);
    }
    assert_eq!(client.fetch(request).status(), 200);
    assert_eq!(backend.last().head.all("Cookie"), ["a=1; b=2; c=3; d=4"]);
    // They do not count one by one, either.
    let mut request = get("/");
    for _ in 0..300 {
        let crumb = HeaderValue::from_static("a=1");
        request.headers_mut().append("cookie", crumb);
    }
    assert_eq!(client.fetch(request).status(), 200);
    let cookie = vec!["a=1"; 300].join("; ");
    assert_eq!(backend.last().head.all("Cookie"), [&*cookie]);
}

#[test]
fn the_authority_is_the_host() {
    let (gripd, backend) = site(|c| c);
    let table: [(&[(&str, &str)], &str); 5] = [
        (&[(":authority", "a.test")], "a.test"),
        (&[(":authority", "a.test:8080")], "a.test:8080"),
        (&[(":authority", "a.test"), ("host", "a.test")], "a.test"),
        (&[(":authority", "a.test"), ("host", "A.Test")], "a.test"),
        (&[("host", "b.test:81")], "b.test:81"),
    ];
    for (index, (own, host)) in table.iter().enumerate() {
        let mut fields = vec![(":method", "GET"), (":scheme", "http"), (":path", "/")];
        fields.extend(own.iter().filter(|(name, _)| name.starts_with(':')));
        fields.extend(own.iter().filter(|(name, _)| !name.starts_with(':')));
        let mut raw = Raw::of(&gripd);
        raw.request(1, END_STREAM, &fields);
        let whole = Outcome::Answer(200, "hello\n".into());
        assert_eq!(raw.outcome(1), whole, "{own:?}");
        assert_eq!(backend.requests().len(), index + 1);
        assert_eq!(backend.last().head.all("Host"), [*host], "{own:?}");
    }
}

#[test]
fn a_request_has_one_host() {
    let (gripd, backend) = site(|c| c);
    let table: [(&[(&str, &str)], &str); 5] = [
        (&[], "Host is missing"),
        (
            &[(":authority", "a.test"), ("host", "b.test")],
            "Host stands more than once",
        ),
        (
            &[(":authority", "a.test"), ("host", "a.test:80")],
            "Host stands more than once",
        ),
        (
            &[("host", "a.test"), ("host", "a.test")],
            "Host stands more than once",
        ),
        (&[(":authority", "user@a.test")], "Host is malformed"),
    ];
    for (own, sentence) in table {
        let mut fields = vec![(":method", "GET"), (":scheme", "http"), (":path", "/")];
        fields.extend(own);
        let mut raw = Raw::of(&gripd);
        raw.request(1, END_STREAM, &fields);
        let outcome = raw.outcome(1);
        let Outcome::Answer(400, text) = &outcome else {
            panic!("{own:?}: {outcome:?}");
        };
        assert!(text.contains(sentence), "{own:?}: {text}");
        // The connection goes on.
        raw.get(3, "/next");
        assert_eq!(raw.outcome(3), Outcome::Answer(200, "hello\n".into()));
    }
    let asked = backend.asked();
    assert!(asked.iter().all(|one| one == "GET /next"), "{asked:?}");
}

#[test]
fn connect_is_refused_with_a_sentence() {
    let (gripd, backend) = site(|c| c);
    let mut client = Client::of(&gripd);
    let connect = Request::connect("a.test:443").body(()).unwrap();
    let asked = client.send(connect, false);
    let answer = asked.stream().rest();
    expect_refusal(&answer, 501, "CONNECT is not supported");
    // As WebSockets over HTTP/2 ask (RFC 8441), which was not offered.
    let mut raw = Raw::of(&gripd);
    let mut fields = raw::get("/socket").to_vec();
    fields[0].1 = "CONNECT";
    fields.push((":protocol", "websocket"));
    raw.request(1, 0, &fields);
    assert_eq!(raw.outcome(1), Outcome::Reset(raw::PROTOCOL_ERROR));
    assert!(raw.settings.iter().all(|(id, _)| *id != 8));
    assert_eq!(backend.asked(), [""; 0]);
}

#[test]
fn what_is_too_large_is_told_so() {
    let (gripd, backend) = site(|c| {
        c.set("LIMITS_REQUEST_HEAD", "8KiB")
            .set("LIMITS_REQUEST_TARGET", "1000")
            .set("LIMITS_REQUEST_HEADERS", "20")
            .set("LIMITS_REQUEST_BODY", "1000")
    });
    let mut client = Client::of(&gripd);
    let with = |count: usize, len: usize| {
        let mut request = get("/");
        for _ in 0..count {
            let value = HeaderValue::from_str(&"x".repeat(len)).unwrap();
            request.headers_mut().append("x-long", value);
        }
        request
    };
    let answer = client.fetch(with(1, 8192));
    expect_refusal(&answer, 431, "head is longer than 8192 bytes");
    let answer = client.fetch(with(20, 1));
    expect_refusal(&answer, 431, "more than 20 headers");
    let long = format!("/{}", "x".repeat(1000));
    let answer = client.get(&long);
    expect_refusal(&answer, 414, "target is longer than 1000 bytes");
    // Beyond what is read of it at all.
    let answer = client.fetch(with(1, 20 << 10));
    assert_eq!(answer.status(), 431);
    let mut request = ask(Method::POST, "/");
    let length = HeaderValue::from_static("1001");
    request.headers_mut().insert("content-length", length);
    let answer = client.send(request, false).stream().rest();
    expect_refusal(&answer, 413, "body is longer than 1000 bytes");
    assert_eq!(backend.asked(), [""; 0]);
    assert_eq!(client.fetch(with(1, 7000)).text(), "hello\n");
    assert_eq!(client.get(&long[..1000]).text(), "hello\n");
}

/// Its length tells nothing: it is counted as it comes.
#[test]
fn a_body_without_a_length_has_the_same_limit() {
    let (gripd, backend) = site(|c| c.set("LIMITS_REQUEST_BODY", "1000"));
    let mut client = Client::of(&gripd);
    let answer = client.upload(ask(Method::POST, "/"), vec![b'x'; 1000]);
    assert_eq!(answer.text(), "hello\n");
    assert_eq!(backend.last().body.len(), 1000);
    let answer = client.upload(ask(Method::POST, "/"), vec![b'x'; 1001]);
    assert_eq!(answer.status(), 413, "{}", answer.text());
    assert_eq!(backend.requests().len(), 1, "no whole body came through");
}

#[test]
fn a_client_that_waits_for_100_gets_it() {
    let (gripd, backend) = site(|c| c);
    let mut raw = Raw::of(&gripd);
    let mut fields = raw::post("/").to_vec();
    fields.extend([("expect", "100-continue"), ("content-length", "4")]);
    raw.request(1, 0, &fields);
    assert_eq!(raw.head(1), (100, false));
    raw.send(raw::DATA, END_STREAM, 1, "body");
    assert_eq!(raw.outcome(1), Outcome::Answer(200, "hello\n".into()));
    assert_eq!(backend.last().body, b"body");
    // Who has no body does not wait, and other expectations are not known.
    let mut fields = raw::get("/").to_vec();
    fields.push(("expect", "100-continue"));
    raw.request(3, END_STREAM, &fields);
    assert_eq!(raw.head(3), (200, false));
    fields[4].1 = "miracles";
    raw.request(5, END_STREAM, &fields);
    let outcome = raw.outcome(5);
    let is_told = matches!(&outcome, Outcome::Answer(417, text) if text.contains("miracles"));
    assert!(is_told, "{outcome:?}");
}

#[test]
fn a_hundred_are_answered_side_by_side() {
    let (gripd, backend) = site(|c| c);
    let mut client = Client::of(&gripd);
    let asked: Vec<_> = (0..100)
        .map(|n| client.send(get(&format!("/{n}")), true))
        .collect();
    for one in asked {
        assert_eq!(one.stream().rest().text(), "hello\n");
    }
    let mut seen = backend.asked();
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 100);
}

/// A window that never opens keeps no more than its own request, and not for ever.
#[test]
fn a_refusal_waits_for_nobody() {
    let (gripd, _backend) = site(|c| c);
    let mut raw = Raw::with(&gripd, &[(INITIAL_WINDOW_SIZE, 0)]);
    let bad = [
        (":method", "GET"),
        (":scheme", "http"),
        (":path", "/"),
        ("host", "a b"),
    ];
    raw.request(1, END_STREAM, &bad);
    assert_eq!(raw.head(1), (400, false));
    // Its body cannot be sent, so that it is broken off in the end.
    let frame = raw.expect(raw::RST_STREAM, 1);
    assert_ne!(raw::error(&frame, 0), raw::NO_ERROR);
    assert_eq!(Client::of(&gripd).get("/").text(), "hello\n");
}

#[test]
fn what_no_backend_answers_is_refused_like_over_http1() {
    let gripd = Gripd::start(|c| c.route("*,host=nothing.test 127.0.0.1:1"));
    let mut client = Client::of(&gripd);
    let found = client.get("/");
    let same = gripd.fetch("/");
    assert_eq!(found.status(), same.status());
    assert_eq!(found.text(), same.text());
    assert_eq!(
        values(&found.head.headers, "content-type"),
        same.head.all("Content-Type")
    );
}
