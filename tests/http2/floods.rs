//! Clients that send much and take little: gripd lives on, answers others meanwhile, and has little
//! memory more than before.

use std::{io::Write, net::Shutdown, time::Duration};

use crate::{
    client::Client,
    raw::{
        self, ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADER_TABLE_SIZE, HEADERS,
        INITIAL_WINDOW_SIZE, Outcome, PING, PRIORITY, RST_STREAM, Raw, SETTINGS, WINDOW_UPDATE,
        frame,
    },
    site::{Site, calm, plain, poll, stream},
    support::{Backend, Gripd, Setup, answer},
};

/// Far more than a connection may cost, far less than what is sent.
const MOST: usize = 64 << 20;

/// What a flood sends at most, unless it is stopped before.
const FLOOD: usize = 128 << 20;

fn site() -> Site {
    Site::set_up(
        [
            ("/", vec![plain("plain\n")]),
            ("/a", vec![stream(&["Grip-Channel: a"])]),
            ("/p", vec![poll(&["Grip-Channel: p"])]),
        ],
        |c: Setup| calm(c).set("LOG_LEVEL", "info").threads(1),
    )
}

/// Sends the same bytes until so much is sent, the other side has gone, or takes no more.
fn flood(raw: &mut Raw, bytes: &[u8]) -> usize {
    let socket = raw.wire.socket();
    socket
        .set_write_timeout(Some(Duration::from_millis(200)))
        .unwrap();
    let many = bytes.repeat((64 << 10) / bytes.len() + 1);
    let (mut socket, mut sent) = (socket, 0);
    while sent < FLOOD {
        match socket.write(&many) {
            Ok(written @ 1..) => sent += written,
            _ => break,
        }
    }
    sent
}

/// Does something while others are served; says how much memory it took.
fn harmless(site: &Site, attack: impl FnOnce(&Site) -> Vec<Raw>) {
    // What the first requests need is there before.
    let mut neighbour = Client::of(&site.gripd);
    let mut held = neighbour.held("/a", "hi\n");
    assert_eq!(neighbour.get("/").text(), "plain\n");
    let before = site.gripd.resident();
    let attackers = attack(site);
    assert_eq!(neighbour.get("/").text(), "plain\n");
    assert_eq!(site.gripd.fetch("/").text(), "plain\n");
    site.gripd.push("a", "one\n");
    held.expect("one\n");
    let grown = site.gripd.resident().saturating_sub(before);
    assert!(grown < MOST, "{} MiB more", grown >> 20);
    drop(attackers);
    assert_eq!(site.gripd.fetch("/").text(), "plain\n");
}

#[test]
fn a_head_without_an_end() {
    let site = site();
    harmless(&site, |site| {
        let mut attackers = Vec::new();
        for piece in [
            &b""[..],
            b"x",
            &[0; 16 << 10],
            &raw::field(b"x-own", &[b'x'; 8000]),
        ] {
            let mut raw = Raw::of(&site.gripd);
            let block = raw::block(&raw::get("/bad"));
            raw.send(HEADERS, END_STREAM, 1, block);
            let sent = flood(&mut raw, &frame(CONTINUATION, 0, 1, piece));
            assert!(sent < FLOOD, "it was taken");
            assert_ne!(raw.goaway(), Some(raw::NO_ERROR));
            attackers.push(raw);
        }
        attackers
    });
    assert!(!site.backend.asked().contains(&"GET /bad".into()));
}

/// CVE-2023-44487: streams that are opened and reset at once.
#[test]
fn streams_that_are_reset_at_once() {
    let site = site();
    harmless(&site, |site| {
        let mut attackers = Vec::new();
        for path in ["/", "/a", "/p", "/missing"] {
            let mut raw = Raw::of(&site.gripd);
            let block = raw::block(&raw::get(path));
            let mut bytes = Vec::new();
            for n in 0..100_000 {
                bytes.extend(frame(HEADERS, END_HEADERS | END_STREAM, 2 * n + 1, &block));
                bytes.extend(frame(RST_STREAM, 0, 2 * n + 1, [0, 0, 0, 8]));
            }
            raw.wire.try_send(&bytes);
            attackers.push(raw);
        }
        for raw in &mut attackers {
            let found = raw.goaway();
            assert!(
                [Some(raw::ENHANCE_YOUR_CALM), None].contains(&found),
                "{found:?}"
            );
        }
        attackers
    });
    // Most of them never got further.
    assert!(
        site.backend.asked().len() < 10_000,
        "{}",
        site.backend.asked().len()
    );
    site.gripd.wait_subscribers("a", "http-stream", 0);
    site.gripd.wait_subscribers("p", "http-response", 0);
}

/// CVE-2025-8671: streams that the client has gripd reset.
#[test]
fn streams_that_are_made_to_be_reset() {
    let site = site();
    harmless(&site, |site| {
        let mut raw = Raw::of(&site.gripd);
        let block = raw::block(&raw::post("/a"));
        let mut bytes = Vec::new();
        for n in 0..100_000_u32 {
            let id = 2 * n + 1;
            bytes.extend(frame(HEADERS, END_HEADERS, id, &block));
            bytes.extend(frame(WINDOW_UPDATE, 0, id, 0x7fff_ffff_u32.to_be_bytes()));
        }
        raw.wire.try_send(&bytes);
        let found = raw.goaway();
        assert!(
            [Some(raw::ENHANCE_YOUR_CALM), None].contains(&found),
            "{found:?}"
        );
        vec![raw]
    });
    assert!(
        site.backend.asked().len() < 10_000,
        "{}",
        site.backend.asked().len()
    );
    site.gripd.wait_subscribers("a", "http-stream", 0);
}

/// Each of these wants an answer, which is never read.
#[test]
fn answers_that_are_never_read() {
    let site = site();
    harmless(&site, |site| {
        let frames = [
            frame(PING, 0, 0, [7; 8]),
            frame(SETTINGS, 0, 0, ""),
            frame(
                SETTINGS,
                0,
                0,
                raw::settings_payload(&[(HEADER_TABLE_SIZE, 100), (INITIAL_WINDOW_SIZE, 5)]),
            ),
        ];
        let attackers = frames.iter().map(|one| {
            let mut raw = Raw::of(&site.gripd);
            let sent = flood(&mut raw, one);
            assert!(sent < FLOOD, "it was all taken: {sent}");
            raw
        });
        attackers.collect()
    });
}

/// Those want none.
#[test]
fn frames_that_ask_for_nothing() {
    let site = site();
    harmless(&site, |site| {
        let frames = [
            frame(PRIORITY, 0, 1, [0, 0, 0, 0, 16]),
            frame(SETTINGS, ACK, 0, ""),
            frame(PING, ACK, 0, [7; 8]),
            frame(0x77, 0, 0, [0; 100]),
            frame(WINDOW_UPDATE, 0, 1, [0, 0, 0, 1]),
        ];
        let attackers = frames.iter().map(|one| {
            let mut raw = Raw::of(&site.gripd);
            raw.get(1, "/a");
            assert_eq!(raw.expect(DATA, 1).payload, b"hi\n");
            let many = one.repeat((4 << 20) / one.len());
            raw.wire.try_send(&many);
            raw
        });
        attackers.collect()
    });
}

/// A body in pieces of nothing, or of nothing but padding.
#[test]
fn bodies_of_nothing() {
    let site = site();
    harmless(&site, |site| {
        let padded = [&[255][..], &[0; 255]].concat();
        let frames = [
            frame(DATA, 0, 1, ""),
            frame(DATA, raw::PADDED, 1, padded),
            frame(DATA, 0, 1, "x"),
        ];
        let attackers = frames.iter().map(|one| {
            let mut raw = Raw::of(&site.gripd);
            raw.request(1, 0, &raw::post("/a"));
            let many = one.repeat((4 << 20) / one.len());
            raw.wire.try_send(&many);
            raw
        });
        attackers.collect()
    });
}

/// A few bytes that stand for many (RFC 7541 section 7.3).
#[test]
fn heads_that_grow_when_they_are_read() {
    let site = site();
    harmless(&site, |site| {
        let mut attackers = Vec::new();
        for nth in 0..8 {
            let mut raw = Raw::of(&site.gripd);
            let mut block = raw::block(&raw::get("/bad"));
            block.extend(raw::indexed_field(b"x-bomb", &[b'x'; 3900]));
            // Each of these bytes is that field again.
            block.extend(vec![0xbe; 12_000]);
            raw.send(HEADERS, END_HEADERS | END_STREAM, 1, block);
            match raw.outcome(1) {
                Outcome::Answer(431, _) | Outcome::Reset(_) | Outcome::GoAway(_) => {}
                other => panic!("{nth}: {other:?}"),
            }
            attackers.push(raw);
        }
        attackers
    });
    assert!(!site.backend.asked().contains(&"GET /bad".into()));
}

/// Crumbs of cookies are many headers that become one line.
#[test]
fn cookies_in_many_crumbs() {
    let site = site();
    harmless(&site, |site| {
        let mut raw = Raw::of(&site.gripd);
        let mut block = raw::block(&raw::get("/bad"));
        block.extend(raw::indexed_field(b"cookie", &[b'x'; 100]));
        block.extend(vec![0xbe; 15_000]);
        let (first, rest) = block.split_at(15_000);
        raw.send(HEADERS, END_STREAM, 1, first);
        raw.send(CONTINUATION, END_HEADERS, 1, rest);
        match raw.outcome(1) {
            Outcome::Answer(431, _) | Outcome::Reset(_) | Outcome::GoAway(_) => {}
            other => panic!("{other:?}"),
        }
        vec![raw]
    });
    assert!(!site.backend.asked().contains(&"GET /bad".into()));
}

/// What the client allows gripd to remember is not what gripd remembers.
#[test]
fn a_table_as_large_as_memory() {
    let backend = Backend::start(|request, reply| {
        let query = request
            .head
            .target()
            .split_once('?')
            .map_or("", |(_, query)| query);
        let value = query.repeat(8);
        reply.ok(&format!("X-Echo: {value}\r\n"), "ok");
    });
    let gripd = Gripd::before(&backend);
    let mut raw = Raw::with(&gripd, &[]);
    raw.send(
        SETTINGS,
        0,
        0,
        raw::settings_payload(&[(HEADER_TABLE_SIZE, u32::MAX)]),
    );
    let before = gripd.resident();
    for n in 0..3000_u32 {
        let id = 2 * n + 1;
        raw.get(id, &format!("/?{n}-{}", "y".repeat(4000)));
        raw.until("the end", |one| {
            one.stream == id && one.flags & END_STREAM != 0 && one.kind == DATA
        });
        raw.open_window(0, 2);
    }
    // 96 MiB of headers went out.
    let grown = gripd.resident().saturating_sub(before);
    assert!(grown < MOST, "{} MiB more", grown >> 20);
}

/// A window of nothing on every stream of several connections: each answer waits at its backend.
#[test]
fn windows_that_never_open() {
    let large = answer("200 OK", "", vec![b'x'; 4 << 20]);
    let backend = Backend::start(move |request, reply| match request.head.target() {
        "/large" => drop(reply.send(&large)),
        "/a" => drop(reply.send(stream(&["Grip-Channel: a"]))),
        _ => reply.ok("", "plain\n"),
    });
    let site = Site::behind(backend, |c| calm(c).set("LOG_LEVEL", "info"));
    harmless(&site, |site| {
        let mut attackers = Vec::new();
        for _ in 0..3 {
            let mut raw = Raw::with(&site.gripd, &[(INITIAL_WINDOW_SIZE, 0)]);
            for n in 0..50 {
                raw.get(2 * n + 1, "/large");
            }
            for _ in 0..50 {
                raw.until("an answer", |frame| frame.kind == HEADERS);
            }
            attackers.push(raw);
        }
        attackers
    });
}

/// The windows are open, and the socket is not read: nothing is lost of what fits nowhere.
#[test]
fn a_socket_that_is_never_read() {
    let large = answer("200 OK", "", vec![b'x'; 4 << 20]);
    let backend = Backend::start(move |request, reply| match request.head.target() {
        "/large" => drop(reply.send(&large)),
        "/a" => drop(reply.send(stream(&["Grip-Channel: a"]))),
        _ => reply.ok("", "plain\n"),
    });
    let site = Site::behind(backend, |c| calm(c).set("LOG_LEVEL", "info"));
    harmless(&site, |site| {
        let mut raw = Raw::with(&site.gripd, &[(INITIAL_WINDOW_SIZE, 0x7fff_ffff)]);
        raw.open_window(0, 0x7fff_0000);
        for n in 0..100 {
            raw.get(2 * n + 1, "/large");
        }
        crate::support::eventually("they are asked", || site.asked("GET /large") == 100);
        vec![raw]
    });
}

/// Thousands of requests that are refused, whose refusals nobody reads.
#[test]
fn refusals_that_are_never_read() {
    let site = site();
    harmless(&site, |site| {
        let mut raw = Raw::with(&site.gripd, &[(INITIAL_WINDOW_SIZE, 0)]);
        let block = raw::block(&[(":method", "GET"), (":scheme", "http"), (":path", "/bad")]);
        let mut sent = 0;
        raw.wire
            .socket()
            .set_write_timeout(Some(Duration::from_millis(200)))
            .unwrap();
        for n in 0..200_000 {
            let bytes = frame(HEADERS, END_HEADERS | END_STREAM, 2 * n + 1, &block);
            if !raw.wire.try_send(&bytes) {
                break;
            }
            sent += 1;
        }
        assert!(sent > 128, "{sent}");
        let _ = raw.wire.socket().shutdown(Shutdown::Write);
        vec![raw]
    });
}

/// Connections that say they speak HTTP/2 and nothing more.
#[test]
fn connections_that_say_nothing() {
    let site = site();
    harmless(&site, |site| {
        let attackers = (0..500).map(|_| {
            let mut raw = Raw::silent(&site.gripd);
            raw.wire.send(raw::PREFACE);
            raw
        });
        attackers.collect()
    });
}
