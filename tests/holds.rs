//! Held connections: streams and long-polls, what they get of what is published, and how a client
//! gets its connection back.
#![cfg(feature = "server")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests fail by panicking"
)]

mod support;

use std::{
    io::Write as _,
    sync::{Mutex, mpsc},
};

use serde_json::json;

use support::{Backend, Gripd, PATIENCE, Wire, answer, instruct, json_instruct};

/// A stream on channel `c`, a long-poll on `p`, and a plain page.
fn pages() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        (
            "/s",
            instruct(&["Grip-Hold: stream", "Grip-Channel: c"], "hi\n"),
        ),
        (
            "/p",
            instruct(&["Grip-Hold: response", "Grip-Channel: p"], "late\n"),
        ),
        ("/plain", answer("200 OK", "", "plain\n")),
    ]
}

fn with_pages(more: Vec<(&'static str, Vec<u8>)>) -> (Gripd, Backend) {
    let backend = Backend::serving(pages().into_iter().chain(more));
    let gripd = Gripd::before(&backend);
    (gripd, backend)
}

/// gripd before one page at `/s` with these headers and the body `hi\n`.
fn with_stream(headers: &[&str]) -> (Gripd, Backend) {
    let backend = Backend::serving([("/s", instruct(headers, "hi\n"))]);
    let gripd = Gripd::before(&backend);
    (gripd, backend)
}

// ---- streams --------------------------------------------------------------------------------

#[test]
fn a_stream_gets_its_items_and_its_end() {
    let (gripd, backend) = with_pages(vec![]);
    let mut client = gripd.get("/s");
    let head = client.head();
    assert_eq!(head.status(), 200);
    assert!(head.is_chunked());
    assert!(!head.has("Content-Length"));
    assert_eq!(head.get("Content-Type"), Some("text/plain"));
    assert_eq!(head.names_from("Grip-"), [""; 0]);
    client.expect_stream("hi\n");
    assert_eq!(gripd.push("c", "one\n"), 1);
    client.expect_stream("one\n");
    gripd.push("other", "not for it\n");
    gripd.push("c", "two\n");
    gripd.push("c", "three\n");
    client.expect_stream("two\nthree\n");
    assert_eq!(gripd.close_streams("c"), 1);
    client.expect_last_chunk();
    assert_eq!(
        client.fetch("/plain").text(),
        "plain\n",
        "the connection goes on"
    );
    assert_eq!(gripd.push("c", "late\n"), 0);
    assert_eq!(backend.asked(), ["GET /s", "GET /plain"]);
}

#[test]
fn one_connection_is_held_again_and_again() {
    let (gripd, _backend) = with_pages(vec![]);
    let mut client = gripd.client();
    for n in 0..5 {
        client.get("/s");
        assert!(client.head().is_chunked());
        client.expect_stream("hi\n");
        gripd.push("c", &format!("{n}\n"));
        client.expect_stream(&format!("{n}\n"));
        gripd.close_streams("c");
        client.expect_last_chunk();
        client.get("/p");
        gripd.wait_subscribers("p", "http-response", 1);
        gripd.answer_polls("p", "news\n");
        assert_eq!(client.response().text(), "news\n");
    }
}

#[test]
fn the_first_grip_hold_counts() {
    let (gripd, _backend) = with_stream(&[
        "Grip-Hold: stream",
        "Grip-Hold: response",
        "Grip-Channel: c",
    ]);
    let mut client = gripd.stream("/s", "hi\n");
    gripd.push("c", "x");
    client.expect_stream("x");
}

#[test]
fn an_old_client_gets_bare_bytes_and_the_end_of_the_connection() {
    let (gripd, _backend) = with_pages(vec![]);
    for keep in ["", "Connection: keep-alive\r\n"] {
        let mut client = gripd.client();
        client.send(format!("GET /s HTTP/1.0\r\nHost: h.test\r\n{keep}\r\n"));
        let head = client.head();
        assert_eq!(head.status(), 200);
        assert!(
            !head.has("Transfer-Encoding") && !head.has("Content-Length"),
            "{:?}",
            head.raw
        );
        client.expect_bytes("hi\n");
        gripd.push("c", "one\n");
        client.expect_bytes("one\n");
        gripd.close_streams("c");
        client.expect_eof();
    }
}

#[test]
fn what_was_pipelined_behind_a_stream_is_answered_after_it() {
    let (gripd, backend) = with_pages(vec![]);
    let mut client = gripd.client();
    client.send(
        "GET /s HTTP/1.1\r\nHost: h.test\r\n\r\n\
         GET /plain?1 HTTP/1.1\r\nHost: h.test\r\n\r\n\
         GET /plain?2 HTTP/1.1\r\nHost: h.test\r\n\r\n",
    );
    assert!(client.head().is_chunked());
    client.expect_stream("hi\n");
    gripd.push("c", "one\n");
    client.expect_stream("one\n");
    // Also what comes while the stream is held, in pieces.
    client.send("GET /plain?3 HTTP/1.1\r\nHo");
    gripd.push("c", "two\n");
    client.expect_stream("two\n");
    assert_eq!(
        backend.asked(),
        ["GET /s"],
        "nothing runs ahead of the stream"
    );
    gripd.close_streams("c");
    client.expect_last_chunk();
    assert_eq!(client.response().text(), "plain\n");
    assert_eq!(client.response().text(), "plain\n");
    client.send("st: h.test\r\n\r\n");
    assert_eq!(client.response().text(), "plain\n");
    assert_eq!(
        backend.asked(),
        ["GET /s", "GET /plain?1", "GET /plain?2", "GET /plain?3"]
    );
}

#[test]
fn too_much_sent_ahead_ends_the_hold() {
    let (gripd, backend) = with_pages(vec![]);
    let mut client = gripd.stream("/s", "hi\n");
    let flood = format!(
        "GET /plain HTTP/1.1\r\nHost: h\r\nX: {}\r\n\r\n",
        "x".repeat(40_000)
    );
    client.try_send(flood);
    gripd.wait_subscribers("c", "http-stream", 0);
    assert!(client.wait_closed());
    assert_eq!(backend.asked(), ["GET /s"]);
}

#[test]
fn connection_close_is_kept_after_the_stream() {
    let (gripd, _backend) = with_pages(vec![]);
    let mut client = gripd.client();
    client.request("GET", "/s", &["Connection: close"], "");
    client.head();
    client.expect_stream("hi\n");
    gripd.close_streams("c");
    client.expect_last_chunk();
    client.expect_eof();
}

/// The end of the head is the beginning of the hold only when the request's body is over. The
/// backend answers before it has read that body; the body looks like a request.
#[test]
fn the_rest_of_a_body_never_becomes_a_request() {
    for expect in ["Expect: 100-continue\r\n", ""] {
        let (answered, seen) = mpsc::channel();
        let answered = Mutex::new(answered);
        let stream = instruct(&["Grip-Hold: stream", "Grip-Channel: c"], "hi\n");
        let backend = Backend::early(move |request, reply| {
            if request.head.target() == "/s" {
                reply.send(&stream);
            } else {
                reply.ok("", "plain\n");
            }
            let _ = answered.lock().unwrap().send(());
        });
        let gripd = Gripd::before(&backend);
        let mut client = gripd.client();
        let body = "GET /smuggled HTTP/1.1\r\nHost: h.test\r\n\r\n";
        client.send(format!(
            "POST /s HTTP/1.1\r\nHost: h.test\r\n{expect}Content-Length: {}\r\n\r\n",
            body.len()
        ));
        let (first, rest) = body.split_at(20);
        seen.recv_timeout(PATIENCE)
            .expect("the backend was asked before the body came");
        client.send(first);
        client.send(rest);
        let mut head = client.head();
        if head.status() == 100 {
            head = client.head();
        }
        assert!(head.is_chunked(), "{:?}", head.raw);
        client.expect_stream("hi\n");
        gripd.push("c", "one\n");
        client.expect_stream("one\n");
        gripd.close_streams("c");
        client.expect_last_chunk();
        assert_eq!(client.fetch("/after").text(), "plain\n");
        assert_eq!(backend.asked(), ["POST /s", "GET /after"]);
    }
}

/// An instruct counts when all of it is there, even if its beginning came before the end of the
/// request it answers.
#[test]
fn an_instruct_that_began_before_the_requests_end_holds() {
    let (begun, seen) = mpsc::channel();
    let (go_on, told) = mpsc::channel::<()>();
    let (begun, told) = (Mutex::new(begun), Mutex::new(told));
    let backend = Backend::early(move |_, reply| {
        reply.send(
            "HTTP/1.1 200 OK\r\nGrip-Hold: stream\r\nGrip-Channel: c\r\n\
             Content-Length: 6\r\n\r\nhi\n",
        );
        let _ = begun.lock().unwrap().send(());
        let _ = told.lock().unwrap().recv_timeout(PATIENCE);
        reply.send("ho\n");
    });
    let gripd = Gripd::before(&backend);
    let mut client = gripd.client();
    client.send("POST /s HTTP/1.1\r\nHost: h.test\r\nContent-Length: 10\r\n\r\n12345");
    seen.recv_timeout(PATIENCE).expect("the backend was asked");
    client.send("67890GET /next HTTP/1.1\r\nHost: h.test\r\n\r\n");
    go_on.send(()).unwrap();
    assert!(client.head().is_chunked());
    client.expect_stream("hi\nho\n");
    assert_eq!(gripd.push("c", "one\n"), 1);
    client.expect_stream("one\n");
}

#[test]
fn a_posted_body_does_not_hinder_a_hold() {
    let (gripd, backend) = with_pages(vec![]);
    let mut client = gripd.client();
    client.request("POST", "/s", &[], "x".repeat(100_000));
    assert!(client.head().is_chunked());
    client.expect_stream("hi\n");
    gripd.push("c", "one\n");
    client.expect_stream("one\n");
    assert_eq!(backend.last().body.len(), 100_000);

    let mut client = gripd.client();
    client.send("POST /s HTTP/1.1\r\nHost: h.test\r\nTransfer-Encoding: chunked\r\n\r\n");
    client.send_chunk("hello ");
    client.send_chunk("world");
    client.send("0\r\n\r\n");
    assert!(client.head().is_chunked());
    client.expect_stream("hi\n");
    gripd.push("c", "two\n");
    client.expect_stream("two\n");
    assert_eq!(backend.last().body, b"hello world");
}

/// The stream is parked only when its initial body is out, all of it.
#[test]
fn six_megabytes_reach_a_late_reader_and_items_follow() {
    let body: Vec<u8> = (0..6_000_000u32).map(|n| (n % 251) as u8).collect();
    let held = instruct(&["Grip-Hold: stream", "Grip-Channel: c"], &body);
    let backend = Backend::start(move |request, reply| {
        if request.head.target() == "/s" {
            reply.send(&held);
        } else {
            reply.ok("", "plain\n");
        }
    });
    let gripd = Gripd::before(&backend);
    let mut late = gripd.get("/s");
    // Others are served meanwhile, while the late reader does not read.
    for _ in 0..50 {
        assert_eq!(gripd.fetch("/plain").text(), "plain\n");
    }
    assert!(late.head().is_chunked());
    assert!(
        late.stream_bytes(body.len()) == body,
        "the body is not what was sent"
    );
    gripd.wait_subscribers("c", "http-stream", 1);
    gripd.push("c", "one\n");
    late.expect_stream("one\n");
    gripd.close_streams("c");
    late.expect_last_chunk();
    assert_eq!(late.fetch("/plain").text(), "plain\n");
}

#[test]
fn a_large_stream_keeps_its_status_and_loses_its_instruct() {
    let body = "x".repeat(150_000);
    let (gripd, _backend) = with_pages(vec![(
        "/large",
        instruct(
            &[
                "Grip-Hold: stream",
                "Grip-Channel: c",
                "Grip-Status: 201",
                "X-Q: q",
            ],
            &body,
        ),
    )]);
    let mut client = gripd.get("/large");
    let head = client.head();
    assert_eq!(head.status(), 201);
    assert!(
        head.is_chunked() && !head.has("Content-Length"),
        "{:?}",
        head.raw
    );
    assert_eq!(head.get("X-Q"), Some("q"));
    assert_eq!(head.names_from("Grip-"), [""; 0]);
    client.expect_stream(&body);
    gripd.wait_subscribers("c", "http-stream", 1);
    gripd.push("c", "later\n");
    client.expect_stream("later\n");
}

/// The subscription begins with the instruct; what is published before the body is out waits.
#[test]
fn items_wait_behind_an_unread_initial_body() {
    let body = "b".repeat(100_000);
    let (gripd, _backend) = with_pages(vec![(
        "/big",
        instruct(&["Grip-Hold: stream", "Grip-Channel: c"], &body),
    )]);
    let mut client = gripd.get("/big");
    assert!(client.head().is_chunked());
    for n in 0..10 {
        assert_eq!(gripd.push("c", &format!("{n}\n")), 1);
    }
    client.expect_stream(&body);
    client.expect_stream("0\n1\n2\n3\n4\n5\n6\n7\n8\n9\n");
}

#[test]
fn a_batch_keeps_its_order_over_channels() {
    let (gripd, _backend) = with_stream(&["Grip-Hold: stream", "Grip-Channel: a, b"]);
    let mut client = gripd.stream("/s", "hi\n");
    let items: Vec<_> = (0..40)
        .map(|n| {
            let channel = if n % 3 == 0 { "a" } else { "b" };
            json!({"channel": channel, "http-stream": {"content": format!("{n},")}})
        })
        .collect();
    gripd.publish(&json!(items));
    for n in 0..40 {
        client.expect_stream(&format!("{n},"));
    }
}

#[test]
fn every_stream_gets_every_item_once_whatever_the_threads() {
    for threads in [1, 8] {
        let backend = Backend::serving(pages());
        let gripd = Gripd::start(|c| c.route(format!("* {}", backend.addr)).threads(threads));
        let mut clients: Vec<Wire> = (0..60).map(|_| gripd.stream("/s", "hi\n")).collect();
        let mut all = String::new();
        for n in 0..20 {
            let text = format!("item {n}\n");
            assert_eq!(gripd.push("c", &text), 60);
            all.push_str(&text);
        }
        gripd.close_streams("c");
        for client in &mut clients {
            client.expect_stream(&all);
            client.expect_last_chunk();
        }
    }
}

#[test]
fn a_client_that_leaves_is_unsubscribed() {
    let (gripd, _backend) = with_pages(vec![]);
    let stream = gripd.stream("/s", "hi\n");
    let poll = gripd.get("/p");
    gripd.wait_subscribers("c", "http-stream", 1);
    gripd.wait_subscribers("p", "http-response", 1);
    drop(stream);
    drop(poll);
    gripd.wait_subscribers("c", "http-stream", 0);
    gripd.wait_subscribers("p", "http-response", 0);
}

#[test]
fn one_slow_client_does_not_hinder_the_others() {
    let backend = Backend::serving(pages());
    let gripd = Gripd::start(|c| {
        c.route(format!("* {}", backend.addr))
            .set("LIMITS_CONNECTION_BUFFER", "256KiB")
    });
    let mut slow = gripd.stream("/s", "hi\n");
    let mut quick = gripd.stream("/s", "hi\n");
    let item = |n: usize| format!("{n:06}{}\n", "x".repeat(50_000));
    let mut control = Wire::connect(gripd.control);
    for n in 0..300 {
        let body = json!({"items": [{"channel": "c", "http-stream": {"content": item(n)}}]});
        control.request("POST", "/publish", &["Host: localhost"], body.to_string());
        assert_eq!(control.response().status(), 200);
        quick.expect_stream(&item(n));
    }
    gripd.wait_subscribers("c", "http-stream", 1);
    gripd.push("c", "still here\n");
    quick.expect_stream("still here\n");
    let (got, ended) = slow.chunks_to_end();
    assert!(!ended, "what is missing must be visible to the client");
    for (n, piece) in got.chunks(item(0).len()).enumerate() {
        assert!(
            item(n).as_bytes().starts_with(piece),
            "a gap before item {n}"
        );
    }
}

// ---- channels -------------------------------------------------------------------------------

#[test]
fn at_most_twenty_channels_count() {
    let names: Vec<String> = (0..25).map(|n| format!("ch{n}")).collect();
    let header = format!("Grip-Channel: {}", names.join(", "));
    let (gripd, _backend) = with_stream(&["Grip-Hold: stream", &header]);
    let mut client = gripd.stream("/s", "hi\n");
    for (channel, reached) in [("ch20", 0), ("ch24", 0), ("ch0", 1), ("ch19", 1)] {
        assert_eq!(gripd.push(channel, channel), reached, "{channel}");
    }
    client.expect_stream("ch0ch19");
}

#[test]
fn a_routes_prefix_stands_before_every_channel() {
    let backend = Backend::serving(pages());
    let gripd = Gripd::start(|c| c.route(format!("*,prefix=pre- {}", backend.addr)));
    let mut client = gripd.stream("/s", "hi\n");
    assert_eq!(gripd.push("c", "no"), 0);
    assert_eq!(gripd.push("pre-c", "yes"), 1);
    client.expect_stream("yes");
}

#[test]
fn a_targets_own_channel_is_subscribed_too() {
    let backend = Backend::serving(pages());
    let gripd = Gripd::start(|c| c.route(format!("* {},sub=extra", backend.addr)));
    let mut client = gripd.stream("/s", "hi\n");
    assert_eq!(gripd.push("extra", "yes"), 1);
    client.expect_stream("yes");
}

#[test]
fn channel_names_are_read_as_they_stand() {
    let (gripd, _backend) = with_stream(&[
        "Grip-Hold: stream",
        r#"Grip-Channel: "a,b"; filter="skip-self", z"#,
        "Grip-Channel: second ; x=y",
        r#"Grip-Channel: lost; prev-id="abc"#,
    ]);
    let mut client = gripd.stream("/s", "hi\n");
    for (channel, reached) in [
        ("a,b", 0),
        ("a", 0),
        ("lost", 0),
        ("\"a,b\"", 1),
        ("z", 1),
        ("second", 1),
    ] {
        assert_eq!(gripd.push(channel, "x"), reached, "{channel:?}");
    }
    client.expect_stream("xxx");
}

#[test]
fn an_unknown_filter_has_no_effect() {
    let (gripd, _backend) = with_stream(&[
        "Grip-Hold: stream",
        "Grip-Channel: c; filter=no-such; FILTER=skip-self",
        "Grip-Set-Meta: user=a",
    ]);
    let mut client = gripd.stream("/s", "hi\n");
    gripd.publish(&json!([
        {"channel": "c", "meta": {"sender": "a"}, "http-stream": {"content": "x"}}
    ]));
    client.expect_stream("x");
}

/// What django-eventstream really sends.
#[test]
fn the_headers_of_django_eventstream_hold() {
    let (gripd, backend) = with_pages(vec![(
        "/events/",
        answer(
            "200 OK",
            "Content-Type: text/event-stream\r\nGrip-Hold: stream\r\n\
             Grip-Channel: events-test; filter=skip-users, user-anonymous; filter=require-sub\r\n\
             Grip-Link: </events/?link=next>; rel=next; timeout=0\r\n\
             Grip-Keep-Alive: event: keep-alive\\ndata:\\n\\n; format=cstring; timeout=20\r\n\
             Grip-Set-Meta: user=\"\"\r\n",
            "event: stream-open\ndata:\n\n",
        ),
    )]);
    let mut client = gripd.stream("/events/", "event: stream-open\ndata:\n\n");
    for (wanted, content) in [
        ("events-other", "data: not this\n\n"),
        ("events-test", "data: a\n\n"),
    ] {
        gripd.publish(&json!([{
            "channel": "user-anonymous", "meta": {"require_sub": wanted},
            "http-stream": {"content": content},
        }]));
    }
    gripd.push("events-test", "data: b\n\n");
    client.expect_stream("data: a\n\ndata: b\n\n");
    // A link's timeout of 0 is no timer.
    assert_eq!(backend.asked(), ["GET /events/"]);
}

// ---- keep-alive -----------------------------------------------------------------------------

#[test]
fn a_quiet_stream_says_what_it_was_told_to() {
    let rows: &[(&str, &[u8])] = &[
        (
            r"a\x3bb\r\n\\ \q\t; format=cstring; timeout=1",
            b"a;b\r\n\\ ",
        ),
        (r"ka\n; timeout=1", br"ka\n"),
        (r#""q;x"; timeout=1"#, b"\"q"),
        ("a2FcCg==; format=base64; timeout=1", b"ka\\\n"),
        ("ka; timeout=0", b"ka"),
        ("ka; TIMEOUT=1; mode=interval", b"ka"),
        ("ka; timeout=1; mode=idle", b"ka"),
    ];
    let pages: Vec<(String, Vec<u8>)> = rows
        .iter()
        .enumerate()
        .map(|(n, (value, _))| {
            let header = format!("Grip-Keep-Alive: {value}");
            (
                format!("/{n}"),
                instruct(&["Grip-Hold: stream", &header], "hi\n"),
            )
        })
        .collect();
    let backend = Backend::serving(pages);
    let gripd = Gripd::before(&backend);
    let mut clients: Vec<Wire> = (0..rows.len())
        .map(|n| gripd.stream(&format!("/{n}"), "hi\n"))
        .collect();
    for (client, (value, bytes)) in clients.iter_mut().zip(rows) {
        for _ in 0..2 {
            let got = client.stream_bytes(bytes.len());
            assert_eq!(&got, bytes, "{value}");
        }
    }
}

#[test]
fn json_keep_alives_go_on_between_items() {
    let backend = Backend::serving([(
        "/s",
        json_instruct(
            r#"{"hold":{"mode":"stream","channels":[{"name":"c"}],
                "keep-alive":{"content":"K","timeout":1}},
                "response":{"body":"hi\n"}}"#,
        ),
    )]);
    let gripd = Gripd::before(&backend);
    let mut client = gripd.stream("/s", "hi\n");
    // One item at a time, far more often than the interval: keep-alives come all the same.
    let mut seen = 0;
    let start = std::time::Instant::now();
    while seen < 2 {
        assert!(start.elapsed() < PATIENCE, "no keep-alive among items");
        gripd.push("c", ".");
        loop {
            match client.stream_bytes(1)[0] {
                b'K' => seen += 1,
                b'.' => break,
                other => panic!("unexpected byte {other}"),
            }
        }
    }
}

// ---- what users will meet -------------------------------------------------------------------

#[test]
fn held_event_streams_tell_proxies_not_to_buffer() {
    let sse = |more: &str| {
        answer(
            "200 OK",
            &format!(
                "Content-Type: text/event-stream; charset=utf-8\r\nGrip-Hold: stream\r\n\
                 Grip-Channel: c\r\n{more}"
            ),
            "data: hi\n\n",
        )
    };
    let (gripd, _backend) = with_pages(vec![
        ("/sse", sse("")),
        ("/own", sse("Cache-Control: no-cache\r\n")),
    ]);
    let head = |path: &str| {
        let mut client = gripd.get(path);
        client.head()
    };
    let sse = head("/sse");
    assert_eq!(sse.all("X-Accel-Buffering"), ["no"]);
    assert_eq!(sse.all("Cache-Control"), ["no-store"]);
    let own = head("/own");
    assert_eq!(own.all("X-Accel-Buffering"), ["no"]);
    assert_eq!(
        own.all("Cache-Control"),
        ["no-cache"],
        "the backend's own stays"
    );
    assert!(!head("/s").has("X-Accel-Buffering"), "no event stream");
}

#[test]
fn an_encoded_instruct_is_decoded_before_it_is_held() {
    let plain = "data: hello\n\n".repeat(20);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(plain.as_bytes()).unwrap();
    let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    zlib.write_all(plain.as_bytes()).unwrap();
    let encoded = |coding: &str, body: Vec<u8>| {
        answer(
            "200 OK",
            &format!(
                "Content-Type: text/event-stream\r\nContent-Encoding: {coding}\r\n\
                 Vary: Accept-Encoding\r\nGrip-Hold: stream\r\nGrip-Channel: c\r\n"
            ),
            body,
        )
    };
    let (gripd, _backend) = with_pages(vec![
        ("/gzip", encoded("gzip", gzip.finish().unwrap())),
        ("/deflate", encoded("deflate", zlib.finish().unwrap())),
    ]);
    for path in ["/gzip", "/deflate"] {
        let mut client = gripd.client();
        client.request("GET", path, &["Accept-Encoding: gzip, deflate"], "");
        let head = client.head();
        assert_eq!(head.status(), 200);
        assert!(!head.has("Content-Encoding"), "{path}: {:?}", head.raw);
        client.expect_stream(&plain);
        gripd.push("c", "data: more\n\n");
        client.expect_stream("data: more\n\n");
    }
}

#[test]
fn a_bomb_of_an_instruct_is_a_502() {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    gzip.write_all(&vec![0; 50_000_000]).unwrap();
    let (gripd, _backend) = with_pages(vec![(
        "/bomb",
        answer(
            "200 OK",
            "Content-Encoding: gzip\r\nGrip-Hold: response\r\nGrip-Channel: c\r\n",
            gzip.finish().unwrap(),
        ),
    )]);
    assert_eq!(gripd.fetch("/bomb").status(), 502);
}

#[test]
fn streams_survive_their_backend() {
    let (gripd, mut backend) = with_pages(vec![]);
    let mut client = gripd.stream("/s", "hi\n");
    backend.stop();
    gripd.push("c", "one\n");
    client.expect_stream("one\n");
    assert_eq!(gripd.fetch("/plain").status(), 502);
    gripd.push("c", "two\n");
    client.expect_stream("two\n");
    backend.restart();
    assert_eq!(gripd.fetch("/plain").status(), 200);
    gripd.close_streams("c");
    client.expect_last_chunk();
    assert_eq!(client.fetch("/plain").text(), "plain\n");
}

/// While a client is held, nothing of its request occupies the backend.
#[test]
fn a_held_request_gives_the_backend_its_connection_back() {
    let backend = Backend::serving(pages());
    let gripd = Gripd::start(|c| c.route(format!("* {}", backend.addr)).threads(1));
    let _held: Vec<Wire> = (0..5).map(|_| gripd.stream("/s", "hi\n")).collect();
    assert_eq!(backend.connections(), 1);
}

// ---- long-polls -----------------------------------------------------------------------------

#[test]
fn an_item_answers_every_poll_of_its_channel() {
    let (gripd, _backend) = with_pages(vec![]);
    let mut polls: Vec<Wire> = (0..10).map(|_| gripd.get("/p")).collect();
    gripd.wait_subscribers("p", "http-response", 10);
    assert_eq!(gripd.answer_polls("p", "news\n"), 10);
    for poll in &mut polls {
        let response = poll.response();
        assert_eq!((response.status(), response.head.reason()), (200, "OK"));
        assert_eq!(response.text(), "news\n");
        assert_eq!(response.head.length(), Some(5));
        assert_eq!(response.head.get("Content-Type"), Some("text/plain"));
        assert_eq!(response.head.names_from("Grip-"), [""; 0]);
        assert_eq!(
            poll.fetch("/plain").text(),
            "plain\n",
            "the connection goes on"
        );
    }
    assert_eq!(gripd.answer_polls("p", "too late\n"), 0);
}

#[test]
fn the_items_headers_replace_those_of_the_instruct() {
    let (gripd, _backend) = with_pages(vec![(
        "/h",
        instruct(
            &[
                "X-Orig: 1",
                "X-Two: o",
                "Set-Cookie: a=1",
                "Set-Cookie: b=2",
                "Grip-Status: 404 Foo",
                "Grip-Hold: response",
                "Grip-Channel: h",
            ],
            "late\n",
        ),
    )]);
    let mut poll = gripd.get("/h");
    gripd.wait_subscribers("h", "http-response", 1);
    gripd.publish(&json!([{"channel": "h", "http-response": {
        "code": 201, "reason": "Yep", "body": "hello\n",
        "headers": [
            ["x-two", "pub"], ["X-Pub", "2"], ["set-cookie", "c=3"], ["Grip-Foo", "z"],
            ["Content-Length", "99"], ["Connection", "close"], ["Transfer-Encoding", "chunked"]
        ]
    }}]));
    let response = poll.response();
    assert_eq!((response.status(), response.head.reason()), (201, "Yep"));
    assert_eq!(response.text(), "hello\n");
    let head = &response.head;
    assert_eq!(head.all("X-Orig"), ["1"]);
    assert_eq!(head.all("X-Two"), ["pub"]);
    assert_eq!(head.all("X-Pub"), ["2"]);
    assert_eq!(head.all("Set-Cookie"), ["c=3"]);
    assert_eq!(head.all("Content-Length"), ["6"]);
    assert!(
        !head.has("Transfer-Encoding") && !head.has("Grip-Foo"),
        "{:?}",
        head.raw
    );
    assert_eq!(
        poll.fetch("/plain").text(),
        "plain\n",
        "Connection was not the item's to set"
    );
}

#[test]
fn an_item_does_not_inherit_the_instructs_status() {
    let (gripd, _backend) = with_pages(vec![(
        "/h",
        instruct(
            &[
                "Grip-Status: 404 Foo",
                "Grip-Hold: response",
                "Grip-Channel: h",
            ],
            "late\n",
        ),
    )]);
    let mut poll = gripd.get("/h");
    gripd.wait_subscribers("h", "http-response", 1);
    gripd.answer_polls("h", "hi\n");
    let response = poll.response();
    assert_eq!((response.status(), response.head.reason()), (200, "OK"));
}

#[test]
fn an_answer_without_body_has_none() {
    let (gripd, _backend) = with_pages(vec![]);
    for code in [204, 304] {
        let mut poll = gripd.get("/p");
        gripd.wait_subscribers("p", "http-response", 1);
        gripd.publish(&json!([
            {"channel": "p", "http-response": {"code": code, "body": "not this"}}
        ]));
        let head = poll.head();
        assert_eq!(head.status(), code);
        assert!(!head.has("Transfer-Encoding"));
        assert_eq!(poll.fetch("/plain").text(), "plain\n");
    }
}

#[test]
fn a_poll_whose_end_has_no_body_is_held() {
    let page = |status, channel| {
        let headers =
            format!("Grip-Hold: response\r\nGrip-Channel: {channel}\r\nGrip-Timeout: 5\r\n");
        answer(status, &headers, "")
    };
    let (gripd, _backend) = with_pages(vec![
        ("/empty", page("204 No Content", "e")),
        ("/known", page("304 Not Modified", "k")),
        ("/told", page("304 Not Modified", "t")),
    ]);
    let [mut empty, mut known, mut told] =
        ["/empty", "/known", "/told"].map(|path| gripd.get(path));
    gripd.wait_subscribers("t", "http-response", 1);
    gripd.answer_polls("t", "news\n");
    let response = told.response();
    assert_eq!((response.status(), &*response.text()), (200, "news\n"));
    // These wait in vain.
    assert_eq!(empty.head().status(), 204);
    assert_eq!(known.head().status(), 304);
}

#[test]
fn only_what_has_a_form_for_it_answers_a_poll() {
    let (gripd, _backend) = with_pages(vec![]);
    let mut poll = gripd.get("/p");
    gripd.wait_subscribers("p", "http-response", 1);
    assert_eq!(gripd.push("p", "for streams\n"), 0);
    gripd.publish(&json!([{"channel": "p", "http-response": {"action": "close"}}]));
    gripd.publish(&json!([{"channel": "p", "http-response": {"action": "refresh"}}]));
    assert_eq!(gripd.answer_polls("p", "news\n"), 1);
    assert_eq!(poll.response().text(), "news\n");
}

#[test]
fn only_what_has_a_form_for_it_reaches_a_stream() {
    let (gripd, _backend) = with_pages(vec![]);
    let mut client = gripd.stream("/s", "hi\n");
    assert_eq!(gripd.answer_polls("c", "for polls\n"), 0);
    for action in ["hint", "refresh"] {
        gripd.publish(&json!([{"channel": "c", "http-stream": {"action": action}}]));
    }
    gripd.push("c", "x");
    client.expect_stream("x");
}

#[test]
fn one_item_serves_both_modes_and_answers_a_poll_once() {
    let (gripd, _backend) = with_pages(vec![(
        "/both",
        instruct(&["Grip-Hold: response", "Grip-Channel: c, d"], "late\n"),
    )]);
    let mut stream = gripd.stream("/s", "hi\n");
    let mut poll = gripd.get("/both");
    gripd.wait_subscribers("d", "http-response", 1);
    gripd.publish(&json!([
        {"channel": "c", "formats": {
            "http-stream": {"content": "piece\n"}, "http-response": {"body": "whole\n"}}},
        {"channel": "d", "http-response": {"body": "not again\n"}},
    ]));
    stream.expect_stream("piece\n");
    assert_eq!(poll.response().text(), "whole\n");
    assert_eq!(poll.fetch("/plain").text(), "plain\n");
}

/// Five seconds are the least a poll may be held.
#[test]
fn a_poll_ends_with_the_instructs_own_answer() {
    let (gripd, _backend) = with_pages(vec![(
        "/t",
        instruct(
            &[
                "Grip-Hold: response",
                "Grip-Timeout: 1",
                "Grip-Status: 202 Nothing",
                "X-A: a",
            ],
            "nothing yet\n",
        ),
    )]);
    let start = std::time::Instant::now();
    let mut poll = gripd.get("/t");
    let response = poll.response();
    assert!(
        start.elapsed().as_millis() >= 4_900,
        "{:?}",
        start.elapsed()
    );
    assert_eq!(
        (response.status(), response.head.reason()),
        (202, "Nothing")
    );
    assert_eq!(response.head.get("X-A"), Some("a"));
    assert_eq!(response.text(), "nothing yet\n");
    assert_eq!(poll.fetch("/plain").text(), "plain\n");
}

#[test]
fn a_request_pipelined_behind_a_poll_is_answered_after_it() {
    let (gripd, backend) = with_pages(vec![]);
    let mut client = gripd.client();
    client
        .send("GET /p HTTP/1.1\r\nHost: h.test\r\n\r\nGET /plain HTTP/1.1\r\nHost: h.test\r\n\r\n");
    gripd.wait_subscribers("p", "http-response", 1);
    assert_eq!(backend.asked(), ["GET /p"]);
    gripd.answer_polls("p", "news\n");
    assert_eq!(client.response().text(), "news\n");
    assert_eq!(client.response().text(), "plain\n");
}

#[test]
fn an_old_client_may_poll() {
    let (gripd, _backend) = with_pages(vec![]);
    let mut client = gripd.client();
    client.send("GET /p HTTP/1.0\r\nHost: h.test\r\n\r\n");
    gripd.wait_subscribers("p", "http-response", 1);
    gripd.answer_polls("p", "news\n");
    let head = client.head();
    assert_eq!(head.status(), 200);
    assert!(!head.has("Transfer-Encoding"));
    assert_eq!(client.rest(), b"news\n");
}

#[test]
fn json_instructs_hold_too() {
    let (gripd, _backend) = with_pages(vec![
        (
            "/js",
            answer(
                "200 OK",
                "Content-Type: application/grip-instruct\r\nGrip-Channel: by-header\r\n\
                 Grip-Status: 404 X\r\nGrip-Hold: response\r\n",
                r#"{"hold":{"mode":"stream","channels":[{"name":"by-json"}]},
                    "response":{"headers":{"X-J":"1"},"body":"open\n"}}"#,
            ),
        ),
        (
            "/jp",
            json_instruct(r#"{"hold":{"channels":[{"name":"jp"}]}}"#),
        ),
    ]);
    let mut stream = gripd.get("/js");
    let head = stream.head();
    assert_eq!((head.status(), head.reason()), (404, "X"));
    assert_eq!(head.get("X-J"), Some("1"));
    stream.expect_stream("open\n");
    gripd.push("by-header", "one\n");
    gripd.push("by-json", "two\n");
    stream.expect_stream("one\ntwo\n");

    let mut poll = gripd.get("/jp");
    gripd.wait_subscribers("jp", "http-response", 1);
    gripd.answer_polls("jp", "news\n");
    assert_eq!(
        poll.response().text(),
        "news\n",
        "without a mode it is a long-poll"
    );
}

#[test]
fn a_patch_changes_the_instructs_body() {
    let (gripd, _backend) = with_pages(vec![(
        "/j",
        instruct(
            &["Grip-Hold: response", "Grip-Channel: j"],
            "{\"a\":1,\"l\":[1,2]}\n",
        ),
    )]);
    let patch = |patch: serde_json::Value| {
        let mut poll = gripd.get("/j");
        gripd.wait_subscribers("j", "http-response", 1);
        gripd.publish(&json!([{"channel": "j", "http-response": {"body-patch": patch}}]));
        poll.response()
    };
    let good = patch(json!([
        {"op": "replace", "path": "/a", "value": "z"},
        {"op": "add", "path": "/l/-", "value": 7},
        {"op": "add", "path": "/n", "value": null},
    ]));
    assert_eq!(good.status(), 200);
    assert_eq!(good.text(), "{\"a\":\"z\",\"l\":[1,2,7],\"n\":null}\n");
    let missing = patch(json!([{"op": "remove", "path": "/zz"}]));
    assert_eq!(missing.status(), 502);
    assert!(missing.head.has("Retry-After"));
}

#[test]
fn a_hold_without_channels_lives() {
    let (gripd, _backend) = with_stream(&["Grip-Hold: stream", "Grip-Keep-Alive: K; timeout=1"]);
    let mut client = gripd.stream("/s", "hi\n");
    client.expect_stream("K");
}

#[test]
fn a_held_answer_keeps_the_order_and_spelling_of_its_headers() {
    let backend = Backend::always(
        "HTTP/1.1 200 Held\r\nX-weIRd-oNe: 1\r\netag: \"e\"\r\nGrip-Hold: stream\r\n\
         Set-cookie: a=1\r\nX-Then: 2\r\nConnection: X-Hop\r\nX-Hop: 3\r\nSet-Cookie: b=2\r\n\
         Grip-Channel: c\r\nContent-Length: 3\r\n\r\nhi\n",
    );
    let gripd = Gripd::before(&backend);
    let mut client = gripd.get("/");
    let head = client.head();
    assert!(
        head.raw.starts_with(
            "HTTP/1.1 200 Held\r\nX-weIRd-oNe: 1\r\netag: \"e\"\r\nSet-cookie: a=1\r\nX-Then: 2\r\n\
             Set-Cookie: b=2\r\n"
        ),
        "{}",
        head.raw
    );
    assert!(!head.has("X-Hop"));
}
