//! The end of gripd on SIGTERM: everybody who is held is let go properly, bit by bit, and what is
//! published meanwhile is not lost.
#![cfg(feature = "server")]
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

mod support;

use std::{
    collections::BTreeSet,
    net::TcpStream,
    sync::{Mutex, mpsc},
    thread,
};

use serde_json::json;
use support::{
    Backend, Gripd, PATIENCE, Wire, instruct,
    ws::{Message, WebSocket},
};

/// Enough for many steps of a drain on each thread.
const STREAMS: usize = 1000;

/// A stream of events.
fn events() -> Vec<u8> {
    instruct(
        &[
            "Grip-Hold: stream",
            "Grip-Channel: c",
            "Content-Type: text/event-stream",
        ],
        "",
    )
}

/// A body of events: the numbers in it, in order, and the time to come back after, which is last.
fn numbers(body: &[u8]) -> (Vec<usize>, Option<u64>) {
    let body = std::str::from_utf8(body).unwrap();
    let (events, retry) = match body.split_once("retry: ") {
        Some((events, retry)) => (events, Some(retry.trim_end().parse().unwrap())),
        None => (body, None),
    };
    let events = events.split_terminator("\n\n");
    let numbers = events.map(|event| event.strip_prefix("data: ").unwrap().parse().unwrap());
    (numbers.collect(), retry)
}

/// Publishes an event; false when nobody takes it any more.
fn publish(gripd: &Gripd, number: usize) -> bool {
    let content = format!("data: {number}\n\n");
    let body = json!({"items": [{"channel": "c", "http-stream": {"content": content}}]});
    let Ok(stream) = TcpStream::connect(gripd.control) else {
        return false;
    };
    let mut control = Wire::over(stream);
    let body = body.to_string();
    let head = format!(
        "POST /publish/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    control.try_send(head + &body) && control.try_head().is_some_and(|head| head.status() == 200)
}

#[test]
fn a_thousand_streams_end_cleanly_under_load() {
    let backend = Backend::always(events());
    let mut gripd = Gripd::start(|c| c.route(format!("* {}", backend.addr)).threads(2));
    let streams: Vec<Wire> = (0..STREAMS)
        .map(|_| {
            let mut stream = gripd.get("/");
            assert!(stream.head().is_chunked());
            stream
        })
        .collect();
    gripd.wait_subscribers("c", "http-stream", STREAMS as u64);
    let (tell, told) = mpsc::channel();
    let (mut lengths, mut waits) = (BTreeSet::new(), BTreeSet::new());
    let mut before = 0;
    thread::scope(|scope| {
        let gripd = &gripd;
        scope.spawn(move || {
            let mut numbers = 0..;
            while numbers.next().is_some_and(|number| publish(gripd, number)) {
                let _ = tell.send(());
            }
        });
        told.recv_timeout(PATIENCE).unwrap();
        before = 1 + told.try_iter().count();
        gripd.signal("TERM");
        for mut stream in streams {
            let (body, is_whole) = stream.chunks_to_end();
            assert!(is_whole, "the last chunk is missing");
            let (numbers, retry) = numbers(&body);
            assert!(numbers.iter().copied().eq(0..numbers.len()), "{numbers:?}");
            lengths.insert(numbers.len());
            waits.insert(retry.expect("a time to come back"));
        }
    });
    assert!(lengths.first().is_some_and(|least| *least >= before));
    assert!(
        lengths.len() > 10,
        "they end one after the other: {lengths:?}"
    );
    assert!(waits.len() > STREAMS / 10, "they come back at many times");
    assert!(
        waits.iter().all(|wait| (1500..4500).contains(wait)),
        "{waits:?}"
    );
    assert_eq!(gripd.wait_exit().code(), Some(0));
    gripd.wait_log("ended=1000 cut=0");
}

#[test]
fn long_polls_get_the_answer_of_their_timeout() {
    let held = ["Grip-Hold: response", "Grip-Channel: c"];
    let backend = Backend::always(instruct(&held, "nothing new\n"));
    let mut gripd = Gripd::before(&backend);
    let mut poll = gripd.get("/");
    gripd.wait_subscribers("c", "http-response", 1);
    gripd.signal("TERM");
    let answer = poll.response();
    assert_eq!(
        (answer.status(), answer.text()),
        (200, "nothing new\n".into())
    );
    assert_eq!(answer.head.get("Connection"), Some("close"));
    poll.expect_eof();
    assert_eq!(gripd.wait_exit().code(), Some(0));
}

#[test]
fn websockets_are_closed_and_may_answer() {
    let mut gripd = Gripd::start(|c| c.route("* test").set("TIMEOUTS_DRAIN", "15m"));
    let mut polite = WebSocket::open(&gripd, "/ws?channel=c");
    let mut silent = WebSocket::open(&gripd, "/ws?channel=c");
    gripd.signal("TERM");
    polite.expect_code(1001);
    // The other one says nothing for two seconds, and is let go.
    assert!(matches!(silent.message(), Message::Close(Some((1001, _)))));
    silent.expect_eof();
    assert_eq!(gripd.wait_exit().code(), Some(0));
    gripd.wait_log("ended=2 cut=0");
}

/// A backend that has gone for good is not waited for, though it is owed the news of a client's
/// going.
#[test]
fn a_dead_backend_does_not_keep_it() {
    let opening = b"HTTP/1.1 200 OK\r\nContent-Type: application/websocket-events\r\n\
        Content-Length: 6\r\n\r\nOPEN\r\n";
    let mut backend = Backend::always(&opening[..]);
    let mut gripd = Gripd::start(|c| {
        c.route(format!("* {},over_http", backend.addr))
            .set("TIMEOUTS_DRAIN", "15m")
    });
    let client = WebSocket::open(&gripd, "/");
    backend.stop();
    client.vanish();
    gripd.wait_log("no target could be reached");
    gripd.signal("TERM");
    assert_eq!(gripd.wait_exit().code(), Some(0));
}

/// Whoever waits in the kernel's queue has a connection, and gets an answer on it.
#[test]
fn the_queue_of_the_kernel_is_emptied_first() {
    let (asked, seen) = mpsc::channel();
    let asked = Mutex::new(asked);
    let (go_on, told) = mpsc::channel::<()>();
    let told = Mutex::new(told);
    let backend = Backend::start(move |_, reply| {
        let _ = asked.lock().unwrap().send(());
        let _ = told.lock().unwrap().recv_timeout(PATIENCE);
        reply.ok("", "hi");
    });
    let mut gripd = Gripd::start(|c| {
        c.route(format!("* {}", backend.addr))
            .threads(1)
            .set("TIMEOUTS_DRAIN", "15m")
    });
    let mut first = gripd.get("/");
    seen.recv_timeout(PATIENCE).unwrap();
    let mut idle = gripd.client();
    // Stopped, it cannot accept; what is signalled meanwhile is seen together with who came.
    gripd.signal("STOP");
    let mut waiting = Wire::over(TcpStream::connect(gripd.clients).unwrap());
    waiting.get("/");
    gripd.signal("TERM");
    gripd.signal("CONT");
    // From here on it drains.
    assert!(idle.wait_closed());
    go_on.send(()).unwrap();
    go_on.send(()).unwrap();
    for wire in [&mut first, &mut waiting] {
        let answer = wire.response();
        assert_eq!(answer.text(), "hi");
        assert_eq!(answer.head.get("Connection"), Some("close"));
    }
    assert_eq!(gripd.wait_exit().code(), Some(0));
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let backend = Backend::start(|_, reply| {
        reply.wait_closed();
    });
    let mut gripd = Gripd::start(|c| {
        c.route(format!("* {}", backend.addr))
            .set("TIMEOUTS_DRAIN", "15m")
    });
    let _running = gripd.get("/");
    backend.wait_requests(1);
    gripd.signal("TERM");
    gripd.wait_log("stopping");
    gripd.signal("INT");
    assert_eq!(gripd.wait_exit().code(), Some(0));
    gripd.wait_log("ended=0 cut=1");
}
