//! Vectors 9, 26 to 29 and 31: `Keep-Alive-Interval` and what is asked again by it, and meta.
//! gripd takes a second for the shortest interval here; 20 is what it takes by itself.

use crate::{
    site::{Site, events, hasty, opened_with},
    support::ws::{Message, WebSocket, ask, closing, text},
};

const EVERY_SECOND: &str = "Keep-Alive-Interval: 1\r\n";

#[test]
fn w009_close_is_told_until_it_is_answered() {
    let site = Site::quick(vec![
        opened_with(EVERY_SECOND, ""),
        events("", ""),
        events("", ""),
        events("", b"CLOSE 2\r\n\x0f\xa1\r\n"),
    ]);
    let mut client = site.open();
    client.send(&[closing(1000, "")]);
    assert_eq!(client.expect_close(), Some((4001, String::new())));
    for n in 1..=3 {
        assert_eq!(site.request(n).body, b"CLOSE 2\r\n\x03\xe8\r\n", "{n}");
    }
}

#[test]
fn w026_a_backend_may_put_the_decision_off() {
    let site = Site::quick(vec![
        events(&format!("{EVERY_SECOND}X-A: early\r\n"), ""),
        events("", ""),
        opened_with("X-A: late\r\n", "TEXT 7\r\nfinally\r\n"),
    ]);
    let mut client = WebSocket::opened(ask(&site.gripd, "/", &[]));
    assert_eq!(client.head.all("X-A"), ["late"]);
    assert!(!client.head.has("Keep-Alive-Interval"));
    client.hear("finally");
    let bodies: Vec<_> = site.requests("/").into_iter().map(|r| r.body).collect();
    assert_eq!(bodies, [b"OPEN\r\n", b"OPEN\r\n", b"OPEN\r\n"]);
}

#[test]
fn w027_an_interval_is_a_request_without_a_body() {
    let site = Site::quick(vec![
        opened_with(EVERY_SECOND, ""),
        events("", ""),
        events("", ""),
        events("", "TEXT 4\r\ntick\r\n"),
    ]);
    let mut client = site.open();
    client.say("hello");
    client.hear("tick");
    site.expect_bodies(&["TEXT 5\r\nhello\r\n", "", ""]);
    assert_eq!(site.request(2).head.all("Content-Length"), ["0"]);
}

#[test]
fn w028_an_interval_of_zero_ends_them() {
    let site = Site::set_up(
        [
            (
                "/stops",
                vec![
                    opened_with(EVERY_SECOND, ""),
                    events("Keep-Alive-Interval: 0\r\n", ""),
                ],
            ),
            ("/goes-on", vec![opened_with(EVERY_SECOND, "")]),
        ],
        hasty,
    );
    let _stops = site.open_at("/stops");
    site.request_at("/stops", 1);
    let _goes_on = site.open_at("/goes-on");
    site.request_at("/goes-on", 4);
    assert_eq!(site.requests("/stops").len(), 2);
}

#[test]
fn w029_meta_is_kept_and_told() {
    let site = Site::one(vec![
        opened_with("Set-Meta-A: 1\r\nSet-Meta-B: x\r\nSet-Meta-a-B: q\r\n", ""),
        events("Set-Meta-A: 2\r\nSet-Meta-B:\r\nset-meta-c: 3\r\n", ""),
    ]);
    let mut client = site.open();
    assert_eq!(client.head.names_from("Set-Meta-"), Vec::<&str>::new());
    client.say("one");
    let meta = |n: usize| {
        let head = site.request(n).head;
        let mut all: Vec<String> = (head.lines())
            .map(|(name, value)| format!("{}: {value}", name.to_ascii_lowercase()))
            .filter(|line| line.starts_with("meta-"))
            .collect();
        all.sort();
        all
    };
    assert_eq!(meta(0), Vec::<String>::new());
    assert_eq!(meta(1), ["meta-a-b: q", "meta-a: 1", "meta-b: x"]);
    client.say("two");
    assert_eq!(meta(2), ["meta-a-b: q", "meta-a: 2", "meta-c: 3"]);
}

#[test]
fn w031_what_was_kept_back_is_offered_by_interval() {
    let two = events("Content-Bytes-Accepted: 2\r\n", "");
    let site = Site::quick(vec![
        opened_with(EVERY_SECOND, ""),
        two.clone(),
        two.clone(),
        two,
    ]);
    let mut client = site.open();
    client.say("abcdef");
    site.expect_bodies(&[
        "TEXT 6\r\nabcdef\r\n",
        "TEXT 4\r\ncdef\r\n",
        "TEXT 2\r\nef\r\n",
        "",
    ]);
    let replayed = |n: usize| {
        let head = site.request(n).head;
        head.get("Content-Bytes-Replayed").map(str::to_owned)
    };
    assert_eq!(
        [1, 2, 3, 4].map(replayed),
        [None, Some("4".into()), Some("2".into()), None]
    );
}

/// A close behind messages that were not all taken is told with what is left of them.
#[test]
fn w009_close_waits_behind_what_was_kept_back() {
    let site = Site::quick(vec![
        opened_with(EVERY_SECOND, ""),
        events("Content-Bytes-Accepted: 2\r\n", ""),
    ]);
    let mut client = site.open();
    client.send(&[text("abcd"), Message::Close(None)]);
    client.expect_code(1000);
    let bodies: Vec<_> = (1..)
        .map_while(|n| site.requests("/").into_iter().nth(n))
        .map(|r| String::from_utf8_lossy(&r.body).into_owned())
        .collect();
    let all = bodies.concat();
    assert!(all.ends_with("TEXT 2\r\ncd\r\nCLOSE\r\n"), "{bodies:?}");
}

/// Intervals below the smallest one are raised to it, so that a backend is not flooded: nothing is
/// asked while another WebSocket, whose interval is allowed, is asked twice.
#[test]
fn w027_intervals_have_a_smallest_value() {
    let site = Site::set_up(
        [
            (
                "/often",
                vec![opened_with("Keep-Alive-Interval: 1\r\n", "")],
            ),
            (
                "/seldom",
                vec![opened_with("Keep-Alive-Interval: 3\r\n", "")],
            ),
        ],
        |c| c.set("WEBSOCKET_KEEP_ALIVE_MIN", "3s"),
    );
    let _seldom = site.open_at("/seldom");
    let _often = site.open_at("/often");
    site.request_at("/seldom", 2);
    // By a second each it would be six.
    assert!(site.requests("/often").len() < 5);
}
