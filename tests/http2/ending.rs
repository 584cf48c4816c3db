//! The end of a connection: it was idle, or the server stops.

use serde_json::json;
use socket2::{Domain, Socket, Type};

use crate::{
    client::{Client, get},
    raw::{self, DATA, END_STREAM, GOAWAY, INITIAL_WINDOW_SIZE, NO_ERROR, Outcome, Raw},
    site::{Site, calm, plain, poll, stream},
    support::{Backend, Door, Wire, eventually},
};

const GONE: &str = "Grip-Link: </gone>; rel=gone";

/// Streams on `a`, long-polls on `p`, a plain page.
fn pages() -> [(&'static str, Vec<Vec<u8>>); 4] {
    [
        ("/a", vec![stream(&["Grip-Channel: a", GONE])]),
        ("/p", vec![poll(&["Grip-Channel: p"])]),
        ("/", vec![plain("plain\n")]),
        ("/gone", vec![plain("")]),
    ]
}

#[test]
fn an_idle_connection_is_told_goodbye() {
    let site = Site::set_up(pages(), |c| calm(c).set("TIMEOUTS_KEEP_ALIVE", "200ms"));
    // Nothing was ever asked.
    let mut raw = Raw::of(&site.gripd);
    assert_eq!(raw.goaway(), Some(NO_ERROR));
    // Something was.
    let mut raw = Raw::of(&site.gripd);
    raw.get(1, "/");
    assert_eq!(raw.outcome(1), Outcome::Answer(200, "plain\n".into()));
    let goaway = raw.until("a goodbye", |frame| {
        frame.kind == GOAWAY && frame.payload[..4] == [0, 0, 0, 1]
    });
    assert_eq!(raw::error(&goaway, 4), NO_ERROR);
    assert_eq!(raw.try_frame(), None);
    // A ping is no request.
    let mut raw = Raw::of(&site.gripd);
    let mut pings = 0;
    while raw.wire.try_send(raw::frame(raw::PING, 0, 0, [0; 8])) && pings < 1_000_000 {
        pings += 1;
        match raw.try_frame() {
            None => break,
            Some(frame) if frame.kind == GOAWAY => break,
            Some(_) => {}
        }
    }
    assert!(pings < 1_000_000, "it is kept by pings");
    assert_eq!(Client::of(&site.gripd).get("/").text(), "plain\n");
}

/// The client does not answer what it is told.
#[test]
fn an_idle_connection_ends_whatever_its_client_does() {
    let site = Site::set_up(pages(), |c| calm(c).set("TIMEOUTS_KEEP_ALIVE", "200ms"));
    let mut wire = site.gripd.client();
    wire.send(raw::PREFACE);
    wire.send(raw::frame(raw::SETTINGS, 0, 0, ""));
    assert!(wire.wait_closed());
    // Nor does it finish what it began.
    let mut wire = site.gripd.client();
    wire.send(raw::PREFACE);
    wire.send(raw::frame(raw::SETTINGS, 0, 0, ""));
    let block = raw::block(&raw::get("/"));
    wire.send(raw::frame(raw::HEADERS, END_STREAM, 1, &block[..10]));
    assert!(wire.wait_closed());
    assert_eq!(site.backend.asked(), [""; 0]);
}

#[test]
fn a_connection_with_a_held_stream_is_not_idle() {
    let site = Site::set_up(pages(), |c| calm(c).set("TIMEOUTS_KEEP_ALIVE", "300ms"));
    let mut held = Raw::of(&site.gripd);
    held.get(1, "/a");
    assert_eq!(held.expect(DATA, 1).payload, b"hi\n");
    held.get(3, "/p");
    site.gripd.wait_subscribers("p", "http-response", 1);
    // Others come later and are idle for long enough, twice.
    for _ in 0..2 {
        let mut idle = Raw::of(&site.gripd);
        assert_eq!(idle.goaway(), Some(NO_ERROR));
    }
    site.gripd.push("a", "one\n");
    let frame = held.until("an item", |frame| {
        assert_ne!(frame.kind, GOAWAY);
        frame.kind == DATA
    });
    assert_eq!(frame.payload, b"one\n");
    site.gripd.close_streams("a");
    site.gripd.answer_polls("p", "news\n");
    assert_eq!(held.outcome(3), Outcome::Answer(200, "news\n".into()));
    // Then it is.
    assert_eq!(held.goaway(), Some(NO_ERROR));
}

#[test]
fn at_the_servers_stop_everything_is_finished() {
    let door = Door::shut();
    let behind = std::sync::Arc::clone(&door);
    let held = stream(&["Grip-Channel: a", GONE]);
    let late = poll(&["Grip-Channel: p"]);
    let backend = Backend::start(move |request, reply| match request.head.target() {
        "/a" => drop(reply.send(&held)),
        "/p" => drop(reply.send(&late)),
        "/gone" => reply.ok("", ""),
        _ => {
            behind.pass();
            reply.ok("", "x".repeat(300_000));
        }
    });
    let mut site = Site::behind(backend, calm);
    let mut client = Client::of(&site.gripd);
    let mut first = client.held("/a", "hi\n");
    let poll = client.send(get("/p"), true);
    let running = client.send(get("/running"), true);
    site.gripd.wait_subscribers("p", "http-response", 1);
    door.wait_came(1);
    let mut idle = Raw::of(&site.gripd);
    idle.settle();
    site.gripd.publish(&json!([
        {"channel": "a", "http-stream": {"content": "last\n"}}
    ]));
    site.gripd.signal("TERM");
    assert_eq!(idle.goaway(), Some(NO_ERROR));
    first.expect("last\n");
    first.expect_end();
    assert_eq!(poll.stream().rest().text(), "late\n");
    door.open();
    let answer = running.stream().rest();
    assert_eq!((answer.status(), answer.body.len()), (200, 300_000));
    drop(client);
    assert!(site.gripd.wait_exit().success());
    assert_eq!(site.asked("POST /gone"), 1);
}

/// What is told first names no stream, so that none is lost that is on its way; what is told last
/// names the last one that was served (RFC 9113 section 6.8).
#[test]
fn the_goodbye_names_the_last_stream() {
    let door = Door::shut();
    let behind = std::sync::Arc::clone(&door);
    let backend = Backend::start(move |_, reply| {
        behind.pass();
        reply.ok("", "ok");
    });
    let mut site = Site::behind(backend, calm);
    let mut raw = Raw::of(&site.gripd);
    raw.get(1, "/");
    door.wait_came(1);
    site.gripd.signal("TERM");
    let first = raw.expect(GOAWAY, 0);
    assert_eq!(raw::error(&first, 4), NO_ERROR);
    assert_eq!(first.payload[..4], [0x7f, 0xff, 0xff, 0xff]);
    door.open();
    let mut named = Vec::new();
    let mut body = Vec::new();
    while let Some(frame) = raw.try_frame() {
        match frame.kind {
            GOAWAY => named.push(frame.payload[..4].to_vec()),
            DATA => body.extend(frame.payload),
            _ => {}
        }
    }
    assert_eq!(named.last(), Some(&vec![0, 0, 0, 1]));
    assert_eq!(body, b"ok");
    assert!(site.gripd.wait_exit().success());
}

/// A client that is still reading sends the windows that it opens, and what it has not read is not
/// destroyed by that.
#[test]
fn the_last_answer_reaches_a_slow_client() {
    let door = Door::shut();
    let behind = std::sync::Arc::clone(&door);
    let body = vec![b'x'; 1 << 20];
    let answer = crate::support::answer("200 OK", "", &body);
    let backend = Backend::start(move |_, reply| {
        behind.pass();
        reply.send(&answer);
    });
    let mut site = Site::behind(backend, calm);
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    socket.connect(&site.gripd.clients.into()).unwrap();
    let mut raw = Raw::over(Wire::over(socket.into()));
    raw.wire.send(raw::PREFACE);
    let window = [(raw::HEADER_TABLE_SIZE, 0), (INITIAL_WINDOW_SIZE, 16 << 20)];
    raw.send(raw::SETTINGS, 0, 0, raw::settings_payload(&window));
    raw.open_window(0, 16 << 20);
    raw.get(1, "/");
    door.wait_came(1);
    site.gripd.signal("TERM");
    // It answers the ping by which gripd knows that the goodbye was read.
    raw.until("a ping", |frame| frame.kind == raw::PING);
    door.open();
    // All that it has read, and a word for each piece.
    let mut all = Vec::new();
    loop {
        let piece = raw.wire.try_exact(1000);
        if piece.is_empty() {
            break;
        }
        all.extend(piece);
        raw.wire
            .try_send(raw::frame(raw::WINDOW_UPDATE, 0, 0, [0, 0, 0, 1]));
    }
    let (mut read, mut ended) = (0, false);
    while let [a, b, c, kind, flags, ..] = all[..] {
        let len = u32::from_be_bytes([0, a, b, c]) as usize;
        if all.len() < 9 + len {
            break;
        }
        if kind == DATA {
            read += len;
            ended |= flags & END_STREAM != 0;
        }
        all.drain(..9 + len);
    }
    assert_eq!((read, ended), (body.len(), true));
    assert!(site.gripd.wait_exit().success());
}

/// Clients that do nothing of what they should do not keep the server.
#[test]
fn clients_that_do_not_answer_do_not_keep_the_server() {
    let mut site = Site::set_up(pages(), |c| calm(c).set("TIMEOUTS_DRAIN", "2s"));
    let mut silent = site.gripd.client();
    silent.send(raw::PREFACE);
    silent.send(raw::frame(raw::SETTINGS, 0, 0, ""));
    let mut shut = Raw::with(&site.gripd, &[(INITIAL_WINDOW_SIZE, 0)]);
    shut.get(1, "/a");
    shut.get(3, "/");
    assert_eq!(shut.head(1), (200, false));
    let mut half = site.gripd.client();
    half.send(&raw::PREFACE[..20]);
    eventually("it is asked", || site.backend.asked().len() == 2);
    site.gripd.signal("TERM");
    site.gripd.wait_exit();
    assert!(silent.wait_closed());
    assert!(half.wait_closed());
}

/// The time to come back is told to event streams of this protocol as well.
#[test]
fn event_streams_are_told_when_to_come_back() {
    let held = crate::support::answer(
        "200 OK",
        "Content-Type: text/event-stream\r\nGrip-Hold: stream\r\nGrip-Channel: a\r\n",
        "data: 1\n\n",
    );
    let site = Site::one(held);
    let mut client = Client::of(&site.gripd);
    let mut stream = client.held("/", "data: 1\n\n");
    site.gripd.signal("TERM");
    let (rest, end) = stream.read_to_end();
    let rest = String::from_utf8_lossy(&rest).into_owned();
    assert!(
        rest.starts_with("retry: ") && rest.ends_with('\n'),
        "{rest:?}"
    );
    assert_eq!(end, crate::client::End::Whole);
}
