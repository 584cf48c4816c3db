//! Long-polls: answered once, by an item, by their time, or by what the backend says when it is
//! asked again.

use http::{HeaderValue, Method};
use serde_json::json;

use crate::{
    client::{Asked, Client, ask, get},
    raw::Raw,
    site::{Site, calm, plain, poll, stream},
    support::eventually,
};

const GONE: &str = "Grip-Link: </gone>; rel=gone";

/// A long-poll on `p`.
fn site() -> Site {
    Site::new([
        ("/p", vec![poll(&["Grip-Channel: p", "X-Own: 1"])]),
        ("/plain", vec![plain("plain\n")]),
    ])
}

/// A long-poll that is held.
fn held(site: &Site, client: &mut Client, path: &str) -> Asked {
    let from = site.gripd.log().len();
    let asked = client.send(get(path), true);
    site.gripd.wait_log_from(from, "hold begins");
    asked
}

#[test]
fn a_poll_is_answered_by_an_item() {
    let site = site();
    let mut client = Client::of(&site.gripd);
    let first = held(&site, &mut client, "/p");
    let second = held(&site, &mut client, "/p");
    let item = json!({"code": 201, "reason": "Made", "body": "news\n", "headers": [
        ["X-Item", "a"], ["X-Item", "b"], ["Connection", "close"],
        ["Transfer-Encoding", "chunked"], ["Content-Length", "99"]
    ]});
    let met = site
        .gripd
        .publish(&json!([{"channel": "p", "http-response": item}]));
    assert_eq!(met, [2]);
    for asked in [first, second] {
        let answer = asked.stream().rest();
        assert_eq!((answer.status(), &*answer.text()), (201, "news\n"));
        assert_eq!(answer.all("x-own"), ["1"]);
        assert_eq!(answer.all("x-item"), ["a", "b"]);
        assert_eq!(answer.all("content-type"), ["text/plain"]);
        assert_eq!(answer.all("content-length"), ["5"]);
        assert_eq!(answer.all("date").len(), 1);
        for name in ["connection", "transfer-encoding", "grip-hold"] {
            assert_eq!(answer.all(name), [""; 0], "{name}");
        }
    }
    assert_eq!(client.get("/plain").text(), "plain\n");
}

/// Other clients of the connection are not kept.
#[test]
fn a_poll_says_nothing_until_it_is_answered() {
    let site = site();
    let mut raw = Raw::of(&site.gripd);
    raw.get(1, "/p");
    site.gripd.wait_log("hold begins");
    raw.get(3, "/plain");
    let first = raw.until("an answer", |frame| frame.stream != 0);
    assert_eq!(first.stream, 3);
    site.gripd.answer_polls("p", "");
    assert_eq!(raw.head(1), (200, true));
    for code in [204, 304] {
        let stream = code * 2 + 1;
        let from = site.gripd.log().len();
        raw.get(stream, "/p");
        site.gripd.wait_log_from(from, "hold begins");
        let item = json!({"code": code, "body": "never seen"});
        site.gripd
            .publish(&json!([{"channel": "p", "http-response": item}]));
        let status = u16::try_from(code).unwrap();
        assert_eq!(raw.head(stream), (status, true));
    }
}

#[test]
fn a_poll_is_answered_when_its_time_is_up() {
    let site = Site::one(poll(&[
        "Grip-Channel: p",
        "Grip-Timeout: 1",
        "Grip-Status: 203 Late",
        "X-Own: 1",
    ]));
    let mut client = Client::of(&site.gripd);
    let answer = client.get("/");
    assert_eq!((answer.status(), &*answer.text()), (203, "late\n"));
    assert_eq!(answer.all("content-length"), ["5"]);
    assert_eq!(answer.all("x-own"), ["1"]);
    assert_eq!(site.backend.asked(), ["GET /"]);
}

#[test]
fn a_large_answer_waits_for_its_window() {
    let site = site();
    let mut client = Client::of(&site.gripd);
    let asked = held(&site, &mut client, "/p");
    let long = "x".repeat(500_000);
    site.gripd.answer_polls("p", &long);
    assert_eq!(client.get("/plain").text(), "plain\n");
    assert_eq!(asked.stream().rest().text(), long);
}

#[test]
fn head_is_answered_at_once() {
    let site = site();
    let mut client = Client::of(&site.gripd);
    let answer = client.fetch(ask(Method::HEAD, "/p"));
    assert_eq!((answer.status(), &*answer.body), (200, &b""[..]));
    assert_eq!(site.gripd.answer_polls("p", "news"), 0);
}

/// The request is made again as it came, body and all, and says how far it is.
#[test]
fn a_gap_has_the_request_made_again() {
    let held = poll(&["Grip-Channel: p; prev-id=1"]);
    let site = Site::set_up([("/p", vec![held, plain("fresh\n")])], |c| {
        calm(c).set("GRIP_RECOVER_JITTER", "0")
    });
    let mut client = Client::of(&site.gripd);
    let mut request = ask(Method::POST, "/p?q=1");
    let headers = request.headers_mut();
    headers.append("x-own", HeaderValue::from_static("1"));
    headers.append("cookie", HeaderValue::from_static("a=1"));
    headers.append("cookie", HeaderValue::from_static("b=2"));
    headers.insert("expect", HeaderValue::from_static("100-continue"));
    let mut asked = client.send(request, false);
    asked.piece("the ", false);
    eventually("the backend is asked", || site.backend.asked().len() == 1);
    asked.piece("body", true);
    site.gripd.wait_log("hold begins");
    let item = json!({"channel": "p", "id": "3", "prev-id": "2", "no-seq": true,
                      "http-response": {"body": "too new"}});
    site.gripd.publish(&json!([item]));
    assert_eq!(asked.stream().rest().text(), "fresh\n");
    let seen = site.backend.requests();
    assert_eq!(seen.len(), 2);
    let [first, again] = [0, 1].map(|n: usize| &seen[n]);
    assert_eq!(again.head.first_line(), "POST /p?q=1 HTTP/1.1");
    for name in ["Host", "X-Own", "Cookie"] {
        assert_eq!(again.head.all(name), first.head.all(name), "{name}");
    }
    assert_eq!(again.head.all("Cookie"), ["a=1; b=2"]);
    assert_eq!(first.body, b"the body");
    assert_eq!(again.body, b"the body");
    assert_eq!(again.head.all("Grip-Last"), ["p; last-id=1"]);
    assert!(!first.head.has("Grip-Last"));
}

/// It may be held again, as it was or as a stream, and others of its connection never notice.
#[test]
fn a_poll_that_is_made_again_may_be_held_again() {
    let site = Site::new([
        (
            "/p",
            vec![
                poll(&["Grip-Channel: p"]),
                poll(&["Grip-Channel: p", "Grip-Channel: q"]),
                stream(&["Grip-Channel: r"]),
            ],
        ),
        ("/other", vec![poll(&["Grip-Channel: other"])]),
    ]);
    let mut client = Client::of(&site.gripd);
    let other = held(&site, &mut client, "/other");
    let asked = held(&site, &mut client, "/p");
    site.hint("p");
    site.gripd.wait_subscribers("q", "http-response", 1);
    site.hint("q");
    let mut stream = asked.stream();
    stream.expect("hi\n");
    site.gripd.push("r", "one\n");
    stream.expect("one\n");
    site.gripd.close_streams("r");
    stream.expect_end();
    site.gripd.answer_polls("other", "untouched\n");
    assert_eq!(other.stream().rest().text(), "untouched\n");
    assert_eq!(site.asked("GET /p"), 3);
}

#[test]
fn a_poll_that_is_reset_is_gone() {
    let site = Site::new([
        ("/p", vec![poll(&["Grip-Channel: p", GONE])]),
        ("/gone", vec![plain("")]),
    ]);
    let mut client = Client::of(&site.gripd);
    let mut first = held(&site, &mut client, "/p");
    let second = held(&site, &mut client, "/p");
    first.reset();
    site.gripd.wait_subscribers("p", "http-response", 1);
    eventually("the gone link is told", || site.asked("POST /gone") == 1);
    assert_eq!(site.gripd.answer_polls("p", "news"), 1);
    assert_eq!(second.stream().rest().text(), "news");
}

/// While its request is made again it can go, too.
#[test]
fn a_poll_that_is_reset_while_the_backend_is_asked_is_gone() {
    let door = crate::support::Door::shut();
    let behind = std::sync::Arc::clone(&door);
    let known = std::sync::atomic::AtomicUsize::new(0);
    let backend = crate::support::Backend::start(move |request, reply| {
        if request.head.target() == "/plain" {
            return reply.ok("", "plain\n");
        }
        if known.fetch_add(1, std::sync::atomic::Ordering::SeqCst) > 0 {
            behind.pass();
        }
        reply.send(poll(&["Grip-Channel: p"]));
    });
    let site = Site::behind(backend, calm);
    let mut client = Client::of(&site.gripd);
    let mut asked = held(&site, &mut client, "/p");
    site.hint("p");
    door.wait_came(1);
    asked.reset();
    assert_eq!(client.get("/plain").text(), "plain\n");
    door.open();
    site.gripd.wait_subscribers("p", "http-response", 0);
    assert_eq!(client.get("/plain").text(), "plain\n");
}

#[test]
fn a_polls_answer_is_fit_for_other_sites_once() {
    let site = Site::set_up([("/p", vec![poll(&["Grip-Channel: p"])])], |c| {
        calm(c).set("PROXY_AUTO_CROSS_ORIGIN", "true")
    });
    let mut client = Client::of(&site.gripd);
    let mut request = get("/p");
    let origin = HeaderValue::from_static("http://other.test");
    request.headers_mut().insert("origin", origin);
    let asked = client.send(request, true);
    site.gripd.wait_subscribers("p", "http-response", 1);
    site.gripd.answer_polls("p", "news");
    let answer = asked.stream().rest();
    let allowed = answer.all("access-control-allow-origin");
    assert_eq!(
        (allowed, &*answer.text()),
        (vec!["http://other.test"], "news")
    );
    let asked = client.send(get("/p?callback=f"), true);
    site.gripd.wait_subscribers("p", "http-response", 1);
    site.gripd.answer_polls("p", "news");
    let text = asked.stream().rest().text();
    assert_eq!(text.matches("f(").count(), 1, "{text}");
    assert!(text.contains("news"), "{text}");
}
