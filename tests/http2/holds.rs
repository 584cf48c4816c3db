//! Held streams: each request of a connection is held for itself.

use http::Method;
use serde_json::json;

use crate::{
    client::{Client, End, ask},
    raw::{self, DATA, END_STREAM, Raw},
    site::{Site, calm, plain, stream, stream_with},
    support::{Backend, Gripd, answer, eventually, instruct},
};

const NEXT: &str = "Grip-Link: </next>; rel=next; timeout=3600";
const GONE: &str = "Grip-Link: </gone>; rel=gone";

/// Streams on `a` and `b`, and a plain page.
fn site() -> Site {
    Site::new([
        ("/a", vec![stream(&["Grip-Channel: a"])]),
        ("/b", vec![stream(&["Grip-Channel: b"])]),
        ("/plain", vec![plain("plain\n")]),
    ])
}

#[test]
fn a_stream_gets_its_items_in_order_and_its_end() {
    let site = site();
    let mut client = Client::of(&site.gripd);
    let mut stream = client.held("/a", "hi\n");
    let headers = &stream.head.headers;
    assert_eq!(headers["content-type"], "text/plain");
    assert_eq!(headers.get_all("date").iter().count(), 1);
    for name in headers.keys() {
        let name = name.as_str();
        let is_of_others = name.starts_with("grip-") || name == "content-length";
        assert!(!is_of_others, "{headers:?}");
    }
    assert_eq!(site.gripd.push("a", "one\n"), 1);
    stream.expect("one\n");
    site.gripd.push("other", "not for it\n");
    for n in 0..100 {
        site.gripd.push("a", &format!("{n}\n"));
    }
    let all: Vec<_> = (0..100).map(|n| format!("{n}\n")).collect();
    stream.expect(&all.concat());
    assert_eq!(site.gripd.close_streams("a"), 1);
    stream.expect_end();
    assert_eq!(site.gripd.push("a", "late\n"), 0);
    assert_eq!(client.get("/plain").text(), "plain\n");
    // Again and again on one connection.
    for _ in 0..5 {
        let mut stream = client.held("/a", "hi\n");
        site.gripd.push("a", "x");
        stream.expect("x");
        site.gripd.close_streams("a");
        stream.expect_end();
    }
}

/// As bytes: the end is a flag, and no reset follows it.
#[test]
fn the_end_of_a_stream_is_end_stream() {
    let site = site();
    let mut raw = Raw::of(&site.gripd);
    raw.get(1, "/a");
    assert_eq!(raw.head(1), (200, false));
    assert_eq!(raw.expect(DATA, 1).payload, b"hi\n");
    site.gripd.push("a", "one\n");
    assert_eq!(raw.expect(DATA, 1).payload, b"one\n");
    site.gripd.close_streams("a");
    let last = raw.expect(DATA, 1);
    assert_eq!(
        (last.flags & END_STREAM, &*last.payload),
        (END_STREAM, &b""[..])
    );
    raw.get(3, "/plain");
    raw.until("an answer", |frame| {
        assert_ne!(frame.kind, raw::RST_STREAM, "{frame:?}");
        frame.stream == 3 && frame.kind == DATA && frame.flags & END_STREAM != 0
    });
}

#[test]
fn an_event_stream_is_told_not_to_be_kept() {
    let held = answer(
        "200 OK",
        "Content-Type: text/event-stream\r\nGrip-Hold: stream\r\nGrip-Channel: a\r\n",
        "data: 1\n\n",
    );
    let backend = Backend::always(held);
    let gripd = Gripd::before(&backend);
    let mut client = Client::of(&gripd);
    let stream = client.held("/", "data: 1\n\n");
    assert_eq!(stream.head.headers["cache-control"], "no-store");
    assert_eq!(stream.head.headers["x-accel-buffering"], "no");
}

#[test]
fn a_streams_status_and_headers_are_its_instructs() {
    let headers = [
        "Grip-Channel: a",
        "Grip-Status: 418 Teapot",
        "Connection: X-Hop",
        "X-Hop: 1",
        "X-Own: 2",
    ];
    let site = Site::one(stream(&headers));
    let mut client = Client::of(&site.gripd);
    let mut stream = client.open("/");
    assert_eq!(stream.status(), 418);
    assert!(!stream.head.headers.contains_key("x-hop"));
    assert_eq!(stream.head.headers["x-own"], "2");
    stream.expect("hi\n");
    site.gripd.push("a", "one\n");
    stream.expect("one\n");
}

/// Whoever names them: HTTP/2 has no place for headers about the connection.
#[test]
fn an_instructs_own_headers_about_connections_are_left_out() {
    let headers = r#"{"Connection": "close", "Keep-Alive": "timeout=5", "Upgrade": "h2c",
        "Transfer-Encoding": "chunked", "Proxy-Connection": "close", "X-Own": "1"}"#;
    let page = |hold: &str| {
        let body = format!(r#"{{{hold} "response": {{"headers": {headers}, "body": "hi\n"}}}}"#);
        vec![crate::support::json_instruct(&body)]
    };
    let hold =
        |mode: &str| format!(r#""hold": {{"mode": "{mode}", "channels": [{{"name": "a"}}]}},"#);
    let site = Site::new([
        ("/plain", page("")),
        ("/stream", page(&hold("stream"))),
        ("/poll", page(&hold("response"))),
    ]);
    let mut client = Client::of(&site.gripd);
    for path in ["/plain", "/stream", "/poll"] {
        let asked = client.send(crate::client::get(path), true);
        if path == "/poll" {
            site.gripd.wait_subscribers("a", "http-response", 1);
            site.gripd.answer_polls("a", "hi\n");
        }
        let mut stream = asked.stream();
        let names = stream.head.headers.keys().map(http::HeaderName::as_str);
        let mut names: Vec<_> = names.filter(|name| *name != "content-length").collect();
        names.sort_unstable();
        assert_eq!(names, ["date", "x-own"], "{path}");
        stream.expect("hi\n");
    }
}

#[test]
fn keep_alives_come_in_their_time() {
    let keep_alive = "Grip-Keep-Alive: \\x00K\\n; format=cstring; timeout=1; mode=interval";
    let site = Site::one(stream(&["Grip-Channel: a", keep_alive]));
    let mut client = Client::of(&site.gripd);
    let mut stream = client.held("/", "hi\n");
    stream.expect("\0K\n\0K\n");
}

#[test]
fn streams_of_one_connection_have_channels_of_their_own() {
    let site = site();
    let mut client = Client::of(&site.gripd);
    let mut a = client.held("/a", "hi\n");
    let mut b = client.held("/b", "hi\n");
    let mut more: Vec<_> = (0..20).map(|_| client.held("/a", "hi\n")).collect();
    assert_eq!(site.gripd.push("a", "for a\n"), 21);
    assert_eq!(site.gripd.push("b", "for b\n"), 1);
    a.expect("for a\n");
    b.expect("for b\n");
    for stream in &mut more {
        stream.expect("for a\n");
    }
    site.gripd.close_streams("a");
    for mut stream in more.into_iter().chain([a]) {
        stream.expect_end();
    }
    site.gripd.push("b", "still\n");
    b.expect("still\n");
    assert_eq!(client.get("/plain").text(), "plain\n");
}

#[test]
fn a_stream_that_is_reset_unsubscribes_alone() {
    let site = Site::new([
        ("/a", vec![stream(&["Grip-Channel: a", GONE])]),
        ("/b", vec![stream(&["Grip-Channel: a"])]),
        ("/gone", vec![plain("")]),
    ]);
    let mut client = Client::of(&site.gripd);
    let first = client.held("/a", "hi\n");
    let mut second = client.held("/b", "hi\n");
    site.gripd.wait_subscribers("a", "http-stream", 2);
    first.reset();
    site.gripd.wait_subscribers("a", "http-stream", 1);
    eventually("the gone link is told", || site.asked("POST /gone") == 1);
    site.gripd.push("a", "one\n");
    second.expect("one\n");
}

#[test]
fn the_end_of_a_connection_ends_all_its_holds() {
    for is_polite in [true, false] {
        let site = Site::new([
            ("/a", vec![stream(&["Grip-Channel: a", GONE])]),
            ("/b", vec![stream(&["Grip-Channel: b"])]),
            ("/gone", vec![plain("")]),
        ]);
        let mut raw = Raw::of(&site.gripd);
        for n in 0..10 {
            raw.get(4 * n + 1, "/a");
            raw.get(4 * n + 3, "/b");
        }
        let mut other = site.stream("/a");
        site.gripd.wait_subscribers("a", "http-stream", 11);
        site.gripd.wait_subscribers("b", "http-stream", 10);
        if is_polite {
            raw.send(raw::GOAWAY, 0, 0, [0; 8]);
            raw.wire.finish_sending();
        } else {
            raw.wire.close();
        }
        site.gripd.wait_subscribers("a", "http-stream", 1);
        site.gripd.wait_subscribers("b", "http-stream", 0);
        eventually("the gone links are told", || site.asked("POST /gone") == 10);
        site.gripd.push("a", "one\n");
        other.expect_stream("one\n");
    }
}

/// A client that will ask for nothing more keeps what it has.
#[test]
fn a_client_that_says_goodbye_gets_the_rest_of_its_streams() {
    let site = site();
    let mut raw = Raw::of(&site.gripd);
    raw.get(1, "/a");
    assert_eq!(raw.head(1), (200, false));
    assert_eq!(raw.expect(DATA, 1).payload, b"hi\n");
    raw.send(raw::GOAWAY, 0, 0, [0; 8]);
    raw.settle();
    site.gripd.push("a", "one\n");
    assert_eq!(raw.expect(DATA, 1).payload, b"one\n");
    site.gripd.close_streams("a");
    assert_eq!(raw.expect(DATA, 1).flags & END_STREAM, END_STREAM);
    assert_eq!(raw.goaway().unwrap_or_default(), raw::NO_ERROR);
}

#[test]
fn head_is_never_held() {
    let site = site();
    let mut client = Client::of(&site.gripd);
    let answer = client.fetch(ask(Method::HEAD, "/a"));
    assert_eq!((answer.status(), &*answer.body), (200, &b""[..]));
    assert_eq!(answer.trailers, None);
    assert_eq!(site.gripd.push("a", "one\n"), 0);
}

#[test]
fn a_posted_body_does_not_hinder_a_hold() {
    let site = Site::one(stream(&["Grip-Channel: a"]));
    let mut client = Client::of(&site.gripd);
    let mut asked = client.send(ask(Method::POST, "/"), false);
    asked.piece(vec![b'x'; 90_000], false);
    asked.piece("end", true);
    let mut held = asked.stream();
    held.expect("hi\n");
    assert_eq!(site.backend.last().body.len(), 90_003);
    site.gripd.push("a", "one\n");
    held.expect("one\n");
}

/// The stream is parked only when its initial body is out, all of it.
#[test]
fn six_megabytes_reach_a_late_reader_and_items_follow() {
    let body: Vec<u8> = (0..=250).cycle().take(6_000_000).collect();
    let backend = Backend::serving([
        (
            "/a",
            instruct(&["Grip-Hold: stream", "Grip-Channel: a"], &body),
        ),
        ("/plain", answer("200 OK", "", "plain\n")),
    ]);
    let gripd = Gripd::before(&backend);
    let mut client = Client::of(&gripd);
    let mut late = client.open("/a");
    for _ in 0..20 {
        assert_eq!(client.get("/plain").text(), "plain\n");
    }
    assert!(late.bytes(body.len()) == body);
    gripd.wait_subscribers("a", "http-stream", 1);
    gripd.push("a", "one\n");
    late.expect("one\n");
    gripd.close_streams("a");
    late.expect_end();
}

/// Room is asked for piece by piece, and more of them are needed.
#[test]
fn an_item_larger_than_any_piece_comes_whole() {
    let site = site();
    let mut client = Client::of(&site.gripd);
    let mut stream = client.held("/a", "hi\n");
    for len in [16 << 10, (16 << 10) + 1, 64 << 10, 300_000] {
        let long = "x".repeat(len);
        site.gripd.push("a", &long);
        assert!(stream.bytes(len) == long.as_bytes(), "{len}");
    }
    site.gripd.push("a", "after\n");
    stream.expect("after\n");
}

/// A client that goes within the large body is held nowhere.
#[test]
fn who_resets_within_a_large_first_body_is_not_held() {
    let body = vec![b'x'; 6_000_000];
    let held = instruct(&["Grip-Hold: stream", "Grip-Channel: a"], &body);
    let backend = Backend::always(held);
    let gripd = Gripd::before(&backend);
    let mut client = Client::of(&gripd);
    let mut stream = client.open("/");
    stream.bytes(10);
    stream.reset();
    gripd.wait_subscribers("a", "http-stream", 0);
    client.open("/").bytes(10);
}

#[test]
fn a_next_link_goes_on_in_the_same_stream() {
    let site = Site::new([
        ("/", vec![stream(&["Grip-Channel: a", NEXT])]),
        (
            "/next",
            vec![
                stream_with(&["Grip-Channel: b", NEXT], "next\n"),
                plain("end\n"),
            ],
        ),
    ]);
    let mut client = Client::of(&site.gripd);
    let mut stream = client.held("/", "hi\n");
    site.hint("a");
    stream.expect("next\n");
    site.gripd.wait_subscribers("b", "http-stream", 1);
    site.gripd.push("b", "item\n");
    stream.expect("item\n");
    site.hint("b");
    stream.expect("end\n");
    stream.expect_end();
}

/// What a link has is fetched at once where nothing is held.
#[test]
fn a_link_without_a_hold_is_followed_to_its_end() {
    let link = instruct(&["Grip-Link: </next>; rel=next"], "one\n");
    let site = Site::new([("/", vec![link]), ("/next", vec![plain("two\n")])]);
    let mut client = Client::of(&site.gripd);
    assert_eq!(client.get("/").text(), "one\ntwo\n");
}

#[test]
fn a_gap_is_filled_by_the_link() {
    let lines = |request: &crate::support::Request| match request.head.get("Grip-Last") {
        Some(last) if last.ends_with("last-id=1") => (3, "2\n3\n"),
        _ => (1, "hi\n"),
    };
    let backend = Backend::start(move |request, reply| {
        let (id, body) = lines(request);
        let channel = format!("Grip-Channel: a; prev-id={id}");
        reply.send(stream_with(&[&channel, NEXT], body));
    });
    let site = Site::behind(backend, |c| calm(c).set("GRIP_RECOVER_JITTER", "0"));
    let mut client = Client::of(&site.gripd);
    let mut stream = client.held("/", "hi\n");
    let item = |id: u32| {
        json!([{"channel": "a", "id": id.to_string(), "prev-id": (id - 1).to_string(),
                "no-seq": true, "http-stream": {"content": format!("{id}\n")}}])
    };
    // The second one got lost.
    site.gripd.publish(&item(3));
    stream.expect("2\n3\n");
    site.gripd.publish(&item(4));
    stream.expect("4\n");
    assert_eq!(site.asked("GET /next"), 1);
    assert_eq!(site.last_ids(), ["a; last-id=1"]);
}

/// What a page of another site needs stands in each answer once.
#[test]
fn a_held_stream_is_fit_for_other_sites_once() {
    let site = Site::set_up([("/", vec![stream(&["Grip-Channel: a"])])], |c| {
        calm(c).set("PROXY_AUTO_CROSS_ORIGIN", "true")
    });
    let mut client = Client::of(&site.gripd);
    let mut request = crate::client::get("/");
    let origin = http::HeaderValue::from_static("http://other.test");
    request.headers_mut().insert("origin", origin);
    let stream = client.send(request, true).stream();
    let allowed = stream.head.headers.get_all("access-control-allow-origin");
    assert_eq!(allowed.iter().collect::<Vec<_>>(), ["http://other.test"]);
    // As JSON-P: a call that goes on, as over HTTP/1.
    let target = "/?callback=f&_=1";
    let mut same = site.gripd.get(target);
    same.head();
    let mut stream = client.open(target);
    let site = &site.gripd;
    site.wait_subscribers("a", "http-stream", 3);
    site.push("a", "one\n");
    site.close_streams("a");
    let (body, whole) = same.chunks_to_end();
    assert!(whole);
    let (found, end) = stream.read_to_end();
    assert_eq!(end, End::Whole);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert_eq!(text(&found), text(&body));
}
