//! Vectors 69 to 74, 77, 83 and 84: held streams, their keep-alives, their channels, their end.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::{
    site::{Site, calm, item, plain, poll, stream, stream_with},
    support::{Backend, Gripd, PATIENCE, Wire, eventually, json_instruct},
};

#[test]
fn v069_close_ends_the_stream_and_not_the_connection() {
    let site = Site::new([
        ("/", vec![stream(&["Grip-Channel: a"])]),
        ("/plain", vec![plain("plain\n")]),
    ]);
    let mut client = site.stream("/");
    let mut old = site.gripd.client();
    old.send("GET / HTTP/1.0\r\nHost: h.test\r\n\r\n");
    old.head();
    old.expect_bytes("hi\n");
    assert_eq!(site.gripd.close_streams("a"), 2);
    client.expect_last_chunk();
    assert_eq!(client.fetch("/plain").text(), "plain\n");
    old.expect_eof();
}

/// Sends items one by one until `done`; keep-alives (`K`) that come between them are counted.
fn busy(site: &Site, client: &mut Wire, channel: &str, mut done: impl FnMut(usize) -> bool) {
    let start = Instant::now();
    let mut seen = 0;
    while !done(seen) {
        assert!(start.elapsed() < PATIENCE, "{seen} keep-alives among items");
        site.gripd.push(channel, ".");
        loop {
            match client.stream_bytes(1)[0] {
                b'K' => seen += 1,
                b'.' => break,
                other => panic!("unexpected byte {other}"),
            }
        }
    }
}

#[test]
fn v070_an_idle_keep_alive_waits_for_silence() {
    let site = Site::new([
        (
            "/idle",
            vec![stream(&[
                "Grip-Channel: a",
                "Grip-Keep-Alive: K; timeout=3",
            ])],
        ),
        (
            "/clock",
            vec![stream(&["Grip-Keep-Alive: K; timeout=3; mode=interval"])],
        ),
    ]);
    let mut idle = site.stream("/idle");
    let mut clock = site.stream("/clock");
    clock.patience(Duration::from_millis(1));
    // Two intervals pass, in which items come far more often than that.
    let mut ticks = 0;
    busy(&site, &mut idle, "a", |seen| {
        assert_eq!(seen, 0, "a keep-alive among items");
        if clock.socket().peek(&mut [0]).is_ok() {
            clock.expect_stream("K");
            ticks += 1;
        }
        ticks == 2
    });
    idle.expect_stream("K");
}

#[test]
fn v071_keep_alives_by_interval_go_on_between_items() {
    let site = Site::new([
        (
            "/interval",
            vec![stream(&[
                "Grip-Channel: a",
                "Grip-Keep-Alive: K; timeout=1; mode=interval",
            ])],
        ),
        (
            "/json",
            vec![json_instruct(
                r#"{"hold":{"mode":"stream","channels":[{"name":"b"}],
                    "keep-alive":{"content":"K","timeout":1}},"response":{"body":"hi\n"}}"#,
            )],
        ),
    ]);
    for (path, channel) in [("/interval", "a"), ("/json", "b")] {
        let mut client = site.stream(path);
        busy(&site, &mut client, channel, |seen| seen >= 2);
    }
}

#[test]
fn v072_a_stream_without_keep_alive_is_silent() {
    let site = Site::new([
        ("/silent", vec![stream(&["Grip-Channel: a"])]),
        ("/clock", vec![stream(&["Grip-Keep-Alive: K; timeout=1"])]),
    ]);
    let mut silent = site.stream("/silent");
    site.stream("/clock").expect_stream("KKK");
    site.gripd.push("a", "x");
    silent.expect_stream("x");
}

#[test]
fn v073_a_request_has_at_most_so_many_channels() {
    let names: Vec<String> = (0..25).map(|n| format!("c{n}")).collect();
    let header = format!("Grip-Channel: {}", names.join(", "));
    let rows: [(&str, &[(&str, u64)]); 2] = [
        ("20", &[("c0", 1), ("c19", 1), ("c20", 0), ("c24", 0)]),
        ("2", &[("c0", 1), ("c1", 1), ("c2", 0)]),
    ];
    for (max, channels) in rows {
        let site = Site::set_up([("/", vec![stream(&[&header])])], |c| {
            calm(c).set("GRIP_CONNECTION_SUBSCRIPTION_MAX", max)
        });
        let mut client = site.stream("/");
        for (channel, reached) in channels {
            assert_eq!(site.gripd.push(channel, channel), *reached, "{channel}");
            if *reached == 1 {
                client.expect_stream(channel);
            }
        }
    }
}

#[test]
fn v074_a_routes_prefix_stands_before_every_channel() {
    let backend = Backend::always(stream(&["Grip-Channel: x"]));
    let gripd = Gripd::start(|c| calm(c).route(format!("*,prefix=pre- {}", backend.addr)));
    let mut client = gripd.stream("/", "hi\n");
    assert_eq!(gripd.push("x", "no"), 0);
    assert_eq!(gripd.push("pre-x", "yes"), 1);
    client.expect_stream("yes");
}

#[test]
fn v077_a_next_link_is_fetched_again_and_again() {
    let held = ["Grip-Channel: a", "Grip-Link: </next>; rel=next; timeout=1"];
    let site = Site::new([
        ("/", vec![stream(&held)]),
        ("/next", vec![stream_with(&held, "tick\n")]),
    ]);
    let mut client = site.stream("/");
    client.expect_stream("tick\ntick\ntick\n");
    site.gripd.push("a", "item\n");
    client.expect_stream("item\n");
}

/// One POST for each session that ends. A retry ends none: Pushpin says `gone` before each.
#[test]
fn v083_a_gone_link_is_told_once() {
    let gone = "Grip-Link: </gone>; rel=gone";
    let site = Site::new([
        ("/stream", vec![stream(&["Grip-Channel: a", gone])]),
        ("/poll", vec![poll(&["Grip-Channel: b", gone])]),
        ("/gone", vec![plain("")]),
    ]);
    let told = |n| eventually("a POST of /gone", || site.asked("POST /gone") == n);

    let left = site.stream("/stream");
    drop(left);
    told(1);
    site.backend.wait_requests(2);
    let request = site.backend.last();
    assert_eq!(request.head.length(), Some(0));

    let mut closed = site.stream("/stream");
    site.gripd.close_streams("a");
    closed.expect_last_chunk();
    told(2);

    let mut poll = site.poll("/poll");
    site.hint("b");
    eventually("the poll asks again", || site.asked("GET /poll") == 2);
    site.gripd.wait_subscribers("b", "http-response", 1);
    assert_eq!(site.asked("POST /gone"), 2, "a retry ends nothing");
    site.gripd.answer_polls("b", "news\n");
    assert_eq!(poll.response().text(), "news\n");
    told(3);
}

/// Pushpin drops what does not fit and goes on, with a hole that nobody sees. A connection of
/// gripd's gets all of it up to some byte, and then ends.
#[test]
fn v084_a_client_that_does_not_read_has_no_hole() {
    let site = Site::set_up([("/", vec![stream(&["Grip-Channel: a"])])], |c| {
        calm(c).set("LIMITS_CONNECTION_BUFFER", "256KiB")
    });
    let mut slow = site.stream("/");
    let text = |n: usize| format!("{n:06}{}\n", "x".repeat(50_000));
    for n in 0..300 {
        site.gripd.push("a", &text(n));
    }
    site.gripd.wait_subscribers("a", "http-stream", 0);
    let (got, ended) = slow.chunks_to_end();
    assert!(!ended, "what is missing must be visible");
    for (n, piece) in got.chunks(text(0).len()).enumerate() {
        assert!(text(n).as_bytes().starts_with(piece), "a hole before {n}");
    }
    // Others are served as ever.
    let mut quick = site.stream("/");
    site.gripd.publish(&json!([item("a", "on", "")]));
    quick.expect_stream("on,");
}
