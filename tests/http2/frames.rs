//! Frames that nobody may send (RFC 9113 sections 4 to 7): the connection or the stream ends
//! with an error, and nothing of it reaches the backend.

use crate::{
    raw::{
        self, ACK, COMPRESSION_ERROR, CONTINUATION, DATA, END_HEADERS, END_STREAM,
        ENHANCE_YOUR_CALM, FLOW_CONTROL_ERROR, FRAME_SIZE_ERROR, GOAWAY, HEADERS,
        INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE, Outcome, PADDED, PING, PRIORITY, PROTOCOL_ERROR,
        PUSH_PROMISE, RST_STREAM, Raw, SETTINGS, STREAM_CLOSED, WINDOW_UPDATE, frame,
        settings_payload,
    },
    site::{Site, plain, stream},
};

fn site() -> Site {
    Site::new([
        ("/", vec![plain("plain\n")]),
        ("/a", vec![stream(&["Grip-Channel: a"])]),
    ])
}

/// A head that asks for `/bad`.
fn bad() -> Vec<u8> {
    raw::block(&raw::get("/bad"))
}

/// What is sent, and the errors that the connection may end with: the one that its section names,
/// and where the library says so, that rules were broken.
type Case = (&'static str, Vec<u8>, &'static [u32]);

fn settings(id: u16, value: u32) -> Vec<u8> {
    frame(SETTINGS, 0, 0, settings_payload(&[(id, value)]))
}

fn cases() -> Vec<Case> {
    let whole = END_HEADERS | END_STREAM;
    let all = |frames: &[Vec<u8>]| frames.concat();
    vec![
        (
            "DATA of no stream",
            frame(DATA, 0, 0, "x"),
            &[PROTOCOL_ERROR],
        ),
        (
            "DATA of a stream that nobody opened",
            frame(DATA, 0, 1, "x"),
            &[PROTOCOL_ERROR],
        ),
        (
            "padding longer than its frame",
            all(&[
                frame(HEADERS, END_HEADERS, 1, raw::block(&raw::post("/bad"))),
                frame(DATA, PADDED, 1, [9, 1, 2]),
            ]),
            &[PROTOCOL_ERROR],
        ),
        (
            "HEADERS of no stream",
            frame(HEADERS, whole, 0, bad()),
            &[PROTOCOL_ERROR],
        ),
        (
            "HEADERS of a stream of the server's",
            frame(HEADERS, whole, 2, bad()),
            &[PROTOCOL_ERROR],
        ),
        (
            "padding longer than the head",
            frame(HEADERS, whole | PADDED, 1, [&[255][..], &bad()].concat()),
            &[PROTOCOL_ERROR],
        ),
        (
            "a block that is no HPACK",
            frame(HEADERS, whole, 1, [0xff; 20]),
            &[COMPRESSION_ERROR, PROTOCOL_ERROR],
        ),
        (
            "a field that was never remembered",
            frame(HEADERS, whole, 1, [&bad()[..], &[0xbe]].concat()),
            &[COMPRESSION_ERROR, PROTOCOL_ERROR],
        ),
        (
            "a string longer than its block",
            frame(HEADERS, whole, 1, [&bad()[..], &[0, 5, b'x']].concat()),
            &[COMPRESSION_ERROR, PROTOCOL_ERROR],
        ),
        (
            "Huffman's code with a wrong end",
            frame(
                HEADERS,
                whole,
                1,
                [&bad()[..], &[0, 0x84, 0xff, 0xff, 0xff, 0xff, 0]].concat(),
            ),
            &[COMPRESSION_ERROR, PROTOCOL_ERROR],
        ),
        (
            "a larger table than is allowed",
            frame(
                HEADERS,
                whole,
                1,
                [&[0x3f, 0xff, 0xff, 0x7f][..], &bad()].concat(),
            ),
            &[COMPRESSION_ERROR, PROTOCOL_ERROR],
        ),
        (
            "another frame within a head",
            all(&[
                frame(HEADERS, END_STREAM, 1, &bad()[..5]),
                frame(PING, 0, 0, [0; 8]),
                frame(CONTINUATION, END_HEADERS, 1, &bad()[5..]),
            ]),
            &[PROTOCOL_ERROR],
        ),
        (
            "another stream within a head",
            all(&[
                frame(HEADERS, END_STREAM, 1, &bad()[..5]),
                frame(CONTINUATION, END_HEADERS, 3, &bad()[5..]),
            ]),
            &[PROTOCOL_ERROR],
        ),
        (
            "CONTINUATION of nothing",
            frame(CONTINUATION, END_HEADERS, 1, bad()),
            &[PROTOCOL_ERROR],
        ),
        (
            "PRIORITY of no stream",
            frame(PRIORITY, 0, 0, [0, 0, 0, 1, 16]),
            &[PROTOCOL_ERROR],
        ),
        (
            "RST_STREAM of no stream",
            frame(RST_STREAM, 0, 0, [0, 0, 0, 8]),
            &[PROTOCOL_ERROR],
        ),
        (
            "RST_STREAM of a stream that nobody opened",
            frame(RST_STREAM, 0, 1, [0, 0, 0, 8]),
            &[PROTOCOL_ERROR],
        ),
        (
            "a short RST_STREAM",
            all(&[
                frame(HEADERS, END_HEADERS, 1, raw::block(&raw::post("/bad"))),
                frame(RST_STREAM, 0, 1, [0, 0, 8]),
            ]),
            &[FRAME_SIZE_ERROR, PROTOCOL_ERROR],
        ),
        (
            "SETTINGS of a stream",
            frame(SETTINGS, 0, 1, ""),
            &[PROTOCOL_ERROR],
        ),
        (
            "SETTINGS of a broken length",
            frame(SETTINGS, 0, 0, [0; 5]),
            &[FRAME_SIZE_ERROR, PROTOCOL_ERROR],
        ),
        (
            "an answer to SETTINGS with some",
            frame(SETTINGS, ACK, 0, [0; 6]),
            &[FRAME_SIZE_ERROR, PROTOCOL_ERROR],
        ),
        (
            "a window beyond all",
            settings(INITIAL_WINDOW_SIZE, 1 << 31),
            &[FLOW_CONTROL_ERROR, PROTOCOL_ERROR],
        ),
        (
            "frames smaller than allowed",
            settings(MAX_FRAME_SIZE, 100),
            &[PROTOCOL_ERROR],
        ),
        (
            "pushes neither on nor off",
            settings(2, 2),
            &[PROTOCOL_ERROR],
        ),
        (
            "PUSH_PROMISE of a client",
            frame(PUSH_PROMISE, whole, 1, [&[0, 0, 0, 2][..], &bad()].concat()),
            &[PROTOCOL_ERROR],
        ),
        (
            "a short PING",
            frame(PING, 0, 0, [0; 7]),
            &[FRAME_SIZE_ERROR, PROTOCOL_ERROR],
        ),
        (
            "PING of a stream",
            frame(PING, 0, 1, [0; 8]),
            &[PROTOCOL_ERROR],
        ),
        (
            "GOAWAY of a stream",
            frame(GOAWAY, 0, 1, [0; 8]),
            &[PROTOCOL_ERROR],
        ),
        (
            "a window that does not grow",
            frame(WINDOW_UPDATE, 0, 0, [0; 4]),
            &[PROTOCOL_ERROR],
        ),
        (
            "a window that grows beyond all",
            frame(WINDOW_UPDATE, 0, 0, 0x7fff_ffff_u32.to_be_bytes()),
            &[FLOW_CONTROL_ERROR],
        ),
        (
            "a short WINDOW_UPDATE",
            frame(WINDOW_UPDATE, 0, 0, [0; 3]),
            &[FRAME_SIZE_ERROR, PROTOCOL_ERROR],
        ),
        (
            "WINDOW_UPDATE of a stream that nobody opened",
            frame(WINDOW_UPDATE, 0, 1, [0, 0, 0, 1]),
            &[PROTOCOL_ERROR],
        ),
        (
            "a frame larger than allowed",
            frame(0x77, 0, 0, vec![0; (16 << 10) + 1]),
            &[FRAME_SIZE_ERROR, PROTOCOL_ERROR],
        ),
        (
            "a stream that was passed over",
            all(&[
                frame(HEADERS, whole, 5, raw::block(&raw::get("/"))),
                frame(HEADERS, whole, 3, bad()),
            ]),
            &[PROTOCOL_ERROR, STREAM_CLOSED],
        ),
    ]
}

#[test]
fn a_connection_that_breaks_the_rules_ends() {
    let site = site();
    let mut neighbour = Raw::of(&site.gripd);
    neighbour.get(1, "/a");
    assert_eq!(neighbour.expect(DATA, 1).payload, b"hi\n");
    let mut wrong = Vec::new();
    for (name, bytes, errors) in cases() {
        let mut raw = Raw::of(&site.gripd);
        raw.wire.send(bytes);
        let found = raw.goaway();
        if !found.is_some_and(|found| errors.contains(&found)) {
            wrong.push((name, found, errors));
        }
    }
    assert_eq!(wrong, []);
    site.gripd.push("a", "one\n");
    assert_eq!(neighbour.expect(DATA, 1).payload, b"one\n");
    let asked = site.backend.asked();
    let whole: Vec<_> = site
        .backend
        .requests()
        .iter()
        .map(|one| one.head.target().to_owned())
        .collect();
    assert!(!asked.contains(&"GET /bad".into()), "{asked:?}");
    assert!(!whole.contains(&"/bad".into()), "{whole:?}");
}

/// What only one stream has done wrong, the others do not pay for.
#[test]
fn a_stream_that_breaks_the_rules_ends_alone() {
    let site = site();
    let mut raw = Raw::of(&site.gripd);
    raw.get(1, "/a");
    assert_eq!(raw.expect(DATA, 1).payload, b"hi\n");
    // A window of one stream that grows beyond all.
    raw.request(5, 0, &raw::post("/bad"));
    raw.send(WINDOW_UPDATE, 0, 5, 0x7fff_ffff_u32.to_be_bytes());
    assert_eq!(raw.outcome(5), Outcome::Reset(FLOW_CONTROL_ERROR));
    // A second head that does not end the stream.
    raw.request(7, 0, &raw::post("/bad"));
    raw.request(7, 0, &[("x-sum", "1")]);
    assert_eq!(raw.outcome(7), Outcome::Reset(PROTOCOL_ERROR));
    site.gripd.push("a", "one\n");
    assert_eq!(raw.expect(DATA, 1).payload, b"one\n");
    raw.get(9, "/");
    assert_eq!(raw.outcome(9), Outcome::Answer(200, "plain\n".into()));
    assert!(
        site.backend
            .requests()
            .iter()
            .all(|one| one.head.target() != "/bad")
    );
}

/// DATA behind the end of a request is no second body.
#[test]
fn nothing_comes_behind_the_end() {
    let site = site();
    let mut raw = Raw::of(&site.gripd);
    raw.get(1, "/a");
    assert_eq!(raw.expect(DATA, 1).payload, b"hi\n");
    raw.send(DATA, END_STREAM, 1, "GET /bad HTTP/1.1\r\nHost: a\r\n\r\n");
    match raw.outcome(1) {
        Outcome::Reset(error) | Outcome::GoAway(error) => {
            assert!([PROTOCOL_ERROR, STREAM_CLOSED].contains(&error), "{error}");
        }
        other => panic!("{other:?}"),
    }
    site.gripd.wait_subscribers("a", "http-stream", 0);
    assert_eq!(site.backend.asked(), ["GET /a"]);
}

/// More than the windows allow: what is too much is not kept.
#[test]
fn data_beyond_the_window_ends_the_connection() {
    let site = site();
    let mut raw = Raw::of(&site.gripd);
    raw.request(1, 0, &raw::post("/a"));
    let piece = frame(DATA, 0, 1, vec![b'x'; 16 << 10]);
    for _ in 0..1000 {
        if !raw.wire.try_send(&piece) {
            break;
        }
    }
    let found = raw.outcome(1);
    let is_known = matches!(
        found,
        Outcome::Reset(FLOW_CONTROL_ERROR)
            | Outcome::GoAway(FLOW_CONTROL_ERROR | ENHANCE_YOUR_CALM)
            | Outcome::Answer(400 | 413, _)
            | Outcome::Closed
    );
    assert!(is_known, "{found:?}");
    assert_eq!(site.gripd.fetch("/").text(), "plain\n");
}
