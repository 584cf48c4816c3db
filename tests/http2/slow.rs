//! Streams that are not read: what waits for one is bounded in bytes and in time, each choice of
//! what to do then keeps its promise, and the other streams of its connection do not notice.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::{
    client::{Client, End, Stream},
    raw::{self, DATA, INITIAL_WINDOW_SIZE, RST_STREAM, Raw},
    site::{calm, stream, stream_with},
    support::{Backend, Gripd, Setup, Wire, eventually},
};

/// Large, so that a few fill a window.
const LINE: usize = 16 << 10;

const CLOSED: &str = "gripd_slow_closed_total";
const LATEST: &str = "gripd_slow_latest_total";
const RECOVERED: &str = "gripd_slow_recovered_total";
const STALLED: &str = "gripd_slow_stalled_total";

/// The content of an item: one line, which says whose it is.
fn line(channel: &str, number: usize) -> String {
    let name = format!("{channel} {number} ");
    format!("{name}{}\n", "x".repeat(LINE - name.len() - 1))
}

fn item(channel: &str, number: usize) -> Value {
    json!({"channel": channel, "http-stream": {"content": line(channel, number)}})
}

/// Lines, each whole, as their channels and numbers.
fn read_lines(body: &[u8]) -> Vec<(String, usize)> {
    let body = std::str::from_utf8(body).unwrap();
    let lines = body.split_inclusive('\n').map(|found| {
        let mut words = found.split(' ');
        let channel = words.next().unwrap_or_default().to_owned();
        let number = words.next().and_then(|word| word.parse().ok());
        let number = number.unwrap_or_else(|| panic!("not an item: {found:.40?}"));
        assert_eq!(found, line(&channel, number), "an item is whole");
        (channel, number)
    });
    lines.collect()
}

/// Little may wait.
fn narrow(setup: Setup) -> Setup {
    calm(setup).set("LIMITS_CONNECTION_BUFFER", "128KiB")
}

/// gripd before a backend that holds all of them on `a` and `b`.
fn start(setup: impl FnOnce(Setup) -> Setup, option: &str) -> (Gripd, Backend) {
    let backend = Backend::always(stream(&["Grip-Channel: a, b"]));
    let gripd = Gripd::start(|c| setup(narrow(c)).route(format!("*{option} {}", backend.addr)));
    (gripd, backend)
}

/// A number of `GET /metrics`.
fn metric(gripd: &Gripd, name: &str) -> usize {
    let mut control = Wire::connect(gripd.control);
    control.request("GET", "/metrics", &["Host: localhost"], "");
    let page = control.response().text();
    let mut values = page.lines().filter_map(|line| line.strip_prefix(name));
    let value = values.next().unwrap_or_else(|| panic!("no {name}: {page}"));
    value.trim().parse().unwrap()
}

/// Publishes 1, 2, 3 and so on until a counter is at `count`; the reader gets each. How many there
/// were.
fn fill(gripd: &Gripd, name: &str, count: usize, reader: &mut Stream) -> usize {
    let mut number = 0;
    eventually(&format!("{name} is {count}"), || {
        number += 1;
        gripd.publish(&json!([item("a", number)]));
        reader.expect(&line("a", number));
        metric(gripd, name) >= count
    });
    number
}

#[test]
fn a_stream_that_is_not_read_is_closed_and_its_neighbours_go_on() {
    let (gripd, _backend) = start(|c| c, "");
    let mut client = Client::of(&gripd);
    let mut reader = client.held("/", "hi\n");
    let mut slow = client.held("/", "hi\n");
    let published = fill(&gripd, CLOSED, 1, &mut reader);
    gripd.wait_subscribers("a", "http-stream", 1);
    // What was on its way may come; the end tells that this is not all.
    let (body, end) = slow.read_to_end();
    assert!(matches!(end, End::Reset(_)), "{end:?}");
    assert!(body.len() < published * LINE);
    gripd.push("a", "after\n");
    reader.expect("after\n");
    let mut again = client.held("/", "hi\n");
    gripd.push("a", "again\n");
    again.expect("again\n");
    gripd.wait_log("slow client");
    assert!(gripd.log().contains("limits.connection_buffer"));
    assert_eq!([LATEST, STALLED].map(|name| metric(&gripd, name)), [0, 0]);
}

/// From the first byte on.
#[test]
fn a_window_of_nothing_meets_the_same_rule() {
    let (gripd, _backend) = start(|c| c, "");
    let mut raw = Raw::with(&gripd, &[(INITIAL_WINDOW_SIZE, 0)]);
    raw.get(1, "/");
    assert_eq!(raw.head(1), (200, false));
    raw.get(3, "/");
    assert_eq!(raw.head(3), (200, false));
    raw.open_window(0, 100 << 20);
    raw.open_window(3, 100 << 20);
    assert_eq!(raw.expect(DATA, 3).payload, b"hi\n");
    gripd.wait_subscribers("a", "http-stream", 2);
    let mut number = 0;
    let mut got = 0;
    eventually("it is closed", || {
        number += 1;
        gripd.publish(&json!([item("a", number)]));
        while got < number * LINE {
            let frame = raw.until("more", |frame| {
                assert!(frame.stream != 1 || frame.kind == RST_STREAM, "{frame:?}");
                frame.stream == 3
            });
            got += frame.payload.len();
        }
        metric(&gripd, CLOSED) == 1
    });
    gripd.wait_subscribers("a", "http-stream", 1);
}

#[test]
fn latest_keeps_the_newest_item_of_each_channel() {
    let (gripd, _backend) = start(|c| c, ",overflow=latest");
    let mut client = Client::of(&gripd);
    let mut reader = client.held("/", "hi\n");
    let mut slow = client.held("/", "hi\n");
    gripd.publish(&json!([item("b", 1)]));
    reader.expect(&line("b", 1));
    let published = fill(&gripd, LATEST, 1, &mut reader);
    let last = published + 20;
    for n in published + 1..=last {
        gripd.publish(&json!([item("a", n), item("b", n)]));
        reader.expect(&line("a", n));
        reader.expect(&line("b", n));
    }
    let mut lines = Vec::new();
    while !lines.ends_with(&[("a".into(), last), ("b".into(), last)]) {
        lines.extend(read_lines(&slow.bytes(LINE)));
        assert!(lines.len() < published + 40, "{lines:?}");
    }
    assert_eq!(lines[0], ("b".to_owned(), 1));
    for channel in ["a", "b"] {
        let of = lines.iter().filter(|(name, _)| name == channel);
        let numbers: Vec<_> = of.map(|(_, number)| *number).collect();
        assert!(numbers.is_sorted_by(|x, y| x < y), "{channel}: {numbers:?}");
    }
    assert!(lines.len() < published + 40, "some were left out");
    gripd.push("b", "after\n");
    slow.expect("after\n");
    reader.expect("after\n");
    assert_eq!([CLOSED, STALLED].map(|name| metric(&gripd, name)), [0, 0]);
}

#[test]
fn a_stream_with_a_link_gets_every_item_once() {
    let newest = Arc::new(Mutex::new(0));
    let known = Arc::clone(&newest);
    let backend = Backend::start(move |request, reply| {
        let newest = *known.lock().unwrap();
        let channel = format!("Grip-Channel: a; prev-id={newest}");
        let link = "Grip-Link: </next>; rel=next; timeout=3600";
        let body: String = match request.head.get("Grip-Last") {
            None => "hi\n".into(),
            Some(last) => {
                let from: usize = last.rsplit('=').next().unwrap().parse().unwrap();
                (from + 1..=newest).map(|n| line("a", n)).collect()
            }
        };
        reply.send(stream_with(&[&channel, link], &body));
    });
    let gripd = Gripd::start(|c| narrow(c).route(format!("* {}", backend.addr)));
    let publish = |n: usize| {
        *newest.lock().unwrap() = n;
        let mut item = item("a", n);
        item["id"] = n.to_string().into();
        item["prev-id"] = (n - 1).to_string().into();
        gripd.publish(&json!([item]));
    };
    let mut client = Client::of(&gripd);
    let mut reader = client.held("/", "hi\n");
    let mut slow = client.held("/", "hi\n");
    let mut number = 0;
    eventually("it is to recover", || {
        number += 1;
        publish(number);
        reader.expect(&line("a", number));
        metric(&gripd, RECOVERED) == 1
    });
    for _ in 0..5 {
        number += 1;
        publish(number);
        reader.expect(&line("a", number));
    }
    for n in 1..=number {
        slow.expect(&line("a", n));
    }
    publish(number + 1);
    slow.expect(&line("a", number + 1));
    assert_eq!(metric(&gripd, CLOSED), 0);
}

#[test]
fn a_stream_that_takes_nothing_is_closed_in_time() {
    let more = |c: Setup| {
        c.set("LIMITS_CONNECTION_BUFFER", "1GiB")
            .set("TIMEOUTS_SEND", "300ms")
    };
    let (gripd, _backend) = start(more, "");
    let mut client = Client::of(&gripd);
    let mut reader = client.held("/", "hi\n");
    let mut slow = client.held("/", "hi\n");
    for n in 1..=16 {
        gripd.publish(&json!([item("a", n)]));
        reader.expect(&line("a", n));
    }
    eventually("it is closed", || metric(&gripd, STALLED) == 1);
    gripd.wait_subscribers("a", "http-stream", 1);
    let (_, end) = slow.read_to_end();
    assert!(matches!(end, End::Reset(_)), "{end:?}");
    gripd.push("a", "after\n");
    reader.expect("after\n");
    gripd.wait_log("timeouts.send");
    assert_eq!(metric(&gripd, CLOSED), 0);
}

/// An answer that is no hold has its time as well.
#[test]
fn an_answer_that_is_not_taken_is_broken_off_in_time() {
    let backend = Backend::saying("hello\n");
    let gripd = Gripd::start(|c| {
        c.set("TIMEOUTS_IDLE", "300ms")
            .route(format!("* {}", backend.addr))
    });
    let mut raw = Raw::with(&gripd, &[(INITIAL_WINDOW_SIZE, 0)]);
    raw.get(1, "/");
    assert_eq!(raw.head(1), (200, false));
    let frame = raw.expect(RST_STREAM, 1);
    assert_ne!(raw::error(&frame, 0), raw::NO_ERROR);
    // The connection goes on.
    raw.get(3, "/");
    assert_eq!(raw.head(3), (200, false));
    raw.open_window(3, 100);
    assert_eq!(raw.rest_of(3), "hello\n");
}

/// As many as a connection may have, and nobody reads: each has its own bound, in spite of the one
/// connection.
#[test]
fn many_streams_that_are_not_read_cost_little() {
    let (gripd, _backend) = start(|c| c, ",overflow=latest");
    let mut raw = Raw::with(&gripd, &[(INITIAL_WINDOW_SIZE, 0)]);
    for n in 0..100 {
        raw.get(2 * n + 1, "/");
    }
    let mut client = Client::of(&gripd);
    let mut reader = client.held("/", "hi\n");
    gripd.wait_subscribers("a", "http-stream", 101);
    let before = gripd.resident();
    for n in 1..=500 {
        gripd.publish(&json!([item("a", n)]));
        reader.expect(&line("a", n));
    }
    let grown = gripd.resident().saturating_sub(before);
    // 800 MiB were published to them all. What waits is shared, but for what the library has.
    assert!(grown < 64 << 20, "{grown}");
    assert!(metric(&gripd, LATEST) >= 100);
}

/// The same where nobody reads the connection itself: it is the socket that is full.
#[test]
fn a_socket_that_is_not_read_costs_little() {
    let (gripd, _backend) = start(|c| c.set("TIMEOUTS_SEND", "1h"), ",overflow=latest");
    let mut raw = Raw::with(&gripd, &[(INITIAL_WINDOW_SIZE, 0x7fff_ffff)]);
    raw.open_window(0, 0x7fff_0000);
    for n in 0..100 {
        raw.get(2 * n + 1, "/");
    }
    let mut client = Client::of(&gripd);
    let mut reader = client.held("/", "hi\n");
    gripd.wait_subscribers("a", "http-stream", 101);
    let before = gripd.resident();
    for n in 1..=500 {
        gripd.publish(&json!([item("a", n)]));
        reader.expect(&line("a", n));
    }
    let grown = gripd.resident().saturating_sub(before);
    assert!(grown < 64 << 20, "{grown}");
    assert!(metric(&gripd, LATEST) > 0);
    raw.wire.close();
    gripd.wait_subscribers("a", "http-stream", 1);
}

/// A stream that had too much to say and has nothing more sets no part of the connection's window
/// aside.
#[test]
fn a_stream_that_has_recovered_takes_no_room_from_others() {
    let link = "Grip-Link: </next>; rel=next; timeout=3600";
    let held =
        |channel: &str, body: &str| stream_with(&[&format!("Grip-Channel: {channel}"), link], body);
    let backend = Backend::start(move |request, reply| {
        let (channel, body) = match request.head.target() {
            "/slow" => ("a", "hi\n"),
            "/next" => ("a", ""),
            _ => ("b", "hi\n"),
        };
        reply.send(held(channel, body));
    });
    let gripd = Gripd::start(|c| narrow(c).route(format!("* {}", backend.addr)));
    let mut raw = Raw::with(&gripd, &[(INITIAL_WINDOW_SIZE, 3)]);
    let slow: Vec<u32> = (0..5).map(|n| 2 * n + 1).collect();
    for stream in &slow {
        raw.get(*stream, "/slow");
        assert_eq!(raw.expect(DATA, *stream).payload, b"hi\n");
    }
    gripd.wait_subscribers("a", "http-stream", 5);
    let mut number = 0;
    eventually("all of them are to recover", || {
        number += 1;
        gripd.publish(&json!([item("a", number)]));
        metric(&gripd, RECOVERED) >= 5
    });
    // They take what they missed, which is nothing.
    for stream in &slow {
        raw.open_window(*stream, 100_000);
    }
    eventually("they recover", || {
        backend.asked().contains(&"GET /next".to_owned())
    });
    raw.get(101, "/other");
    assert_eq!(taken(&mut raw, 101), 3);
    raw.open_window(101, 100_000);
    // The connection's window has 65,535 bytes, and the others get back what they use.
    let mut got = 0;
    gripd.push("b", &"x".repeat(60_000));
    while got < 60_000 {
        got += taken(&mut raw, 101);
    }
}

/// Bytes of the next piece on a stream; what comes on others is given back to the connection.
fn taken(raw: &mut Raw, stream: u32) -> usize {
    loop {
        let piece = raw.until("a piece", |one| one.kind == DATA);
        if piece.stream == stream {
            return piece.payload.len();
        }
        let length = u32::try_from(piece.payload.len()).unwrap();
        if length > 0 {
            raw.open_window(0, length);
        }
    }
}
