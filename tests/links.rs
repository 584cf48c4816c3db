//! Next and gone links through the real binary: what the vectors do not say.
#![cfg(feature = "server")]
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

#[path = "vectors/site.rs"]
#[allow(dead_code, reason = "the vectors use the rest of it")]
mod site;
mod support;

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use site::{Site, calm, plain, poll, stream, stream_with};
use support::{Backend, Door, Gripd, Setup, answer, eventually, instruct};

const NEXT: &str = "Grip-Link: </next>; rel=next; timeout=3600";
const GONE: &str = "Grip-Link: </gone>; rel=gone";

/// Pauses between attempts are short.
fn brisk(setup: Setup) -> Setup {
    calm(setup).set("GRIP_LINK_BACKOFF", "20ms")
}

/// How often a text is in the log.
fn said(gripd: &Gripd, text: &str) -> usize {
    gripd.log().matches(text).count()
}

/// A link that cannot be followed is none: a stream that needs one ends and says so.
#[test]
fn a_stream_whose_link_leads_nowhere_is_not_held_with_a_prev_id() {
    let backend = Backend::always(stream(&[
        "Grip-Channel: a; prev-id=1",
        "Grip-Link: <mailto:a@b.test>; rel=next",
    ]));
    let gripd = Gripd::start(|c| c.route(format!("*,debug {}", backend.addr)));
    let found = gripd.fetch("/");
    assert!(found.text().contains("no next link found"), "{found:?}");
}

/// Empty answers whose links go round are paced, and let the client go.
#[test]
fn links_that_go_round_are_paced() {
    let round = || instruct(&["Grip-Link: </next>; rel=next"], "");
    let backend = Backend::always(round());
    let gripd = Gripd::start(|c| {
        c.set("GRIP_LINK_BACKOFF", "1d")
            .route(format!("* {}", backend.addr))
    });
    let mut client = gripd.get("/");
    client.head();
    eventually("two empty answers", || backend.asked().len() == 3);
    // Others are answered at once, and nobody has asked more than twice by then.
    for _ in 0..50 {
        gripd.get("/other").head();
    }
    let own = backend
        .asked()
        .iter()
        .filter(|one| *one == "GET /next")
        .count();
    assert!(own <= 2 * 51, "{own}");
    client.close();
}

/// Clients whose links differ in the query alone never get each other's body, though they are
/// fetched at the same time; those whose links are equal are served by one request.
#[test]
fn only_equal_links_share_a_request() {
    let door = Door::shut();
    let behind = Arc::clone(&door);
    let backend = Backend::start(move |request, reply| {
        let (path, id) = request.head.target().split_once("?id=").unwrap();
        let link = format!("Grip-Link: </next?id={id}>; rel=next; timeout=3600");
        let mut body = String::from("hi\n");
        if path == "/next" {
            behind.pass();
            body = format!("only for {id}\n");
        }
        reply.send(stream_with(&["Grip-Channel: a", &link], &body));
    });
    // On one thread a fetch is joined before the answer to it can be read.
    let site = Site::behind(backend, |c| calm(c).threads(1));
    let ids = ["A", "B", "A", "B", "A"];
    let mut clients = ids.map(|id| (id, site.stream(&format!("/?id={id}"))));
    site.hint("a");
    door.wait_came(2);
    eventually("all of them follow their link", || {
        said(&site.gripd, "the backend is asked again") == ids.len()
    });
    door.open();
    for (id, client) in &mut clients {
        client.expect_stream(&format!("only for {id}\n"));
    }
    site.gripd.push("a", "after\n");
    for (_, client) in &mut clients {
        client.expect_stream("after\n");
    }
    let mut asked = site.backend.asked().split_off(ids.len());
    asked.sort();
    assert_eq!(asked, ["GET /next?id=A", "GET /next?id=B"]);
}

#[test]
fn an_old_client_follows_links_too() {
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
    let mut client = site.gripd.client();
    client.send("GET / HTTP/1.0\r\nHost: h.test\r\n\r\n");
    let head = client.head();
    assert!(!head.is_chunked(), "{}", head.raw);
    client.expect_bytes("hi\n");
    site.hint("a");
    client.expect_bytes("next\n");
    site.gripd.wait_subscribers("b", "http-stream", 1);
    site.gripd.push("b", "item\n");
    client.expect_bytes("item\n");
    site.hint("b");
    client.expect_bytes("end\n");
    client.expect_eof();
}

#[test]
fn keep_alives_go_on_while_the_backend_is_down() {
    let keep_alive = "Grip-Keep-Alive: K; timeout=1; mode=interval";
    let next = stream_with(&["Grip-Channel: a", NEXT], "okay\n");
    let pages = [
        ("/", vec![stream(&["Grip-Channel: a", keep_alive, NEXT])]),
        ("/next", vec![next]),
    ];
    let mut site = Site::set_up(pages, |c| calm(c).set("GRIP_LINK_BACKOFF", "500ms"));
    let mut client = site.stream("/");
    site.backend.stop();
    site.hint("a");
    client.expect_stream("KK");
    site.gripd.push("a", "meanwhile\n");
    site.backend.restart();
    let mut text = String::new();
    while !text.ends_with("meanwhile\n") {
        text.push(char::from(client.stream_bytes(1)[0]));
    }
    assert_eq!(text.trim_start_matches('K'), "okay\nmeanwhile\n");
}

/// Longer than anything that is kept as a whole, and than what may wait for one connection.
#[test]
fn a_long_link_body_reaches_a_client_that_reads_slowly() {
    const PIECE: usize = 64 << 10;
    let piece = |n: u8| vec![b'a' + n; PIECE];
    let door = Door::shut();
    let behind = Arc::clone(&door);
    let held = stream(&["Grip-Channel: a", NEXT]);
    let backend = Backend::start(move |request, reply| {
        if request.head.target() != "/next" {
            reply.send(&held);
            return;
        }
        reply.send(format!(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nGrip-Hold: stream\r\n\
             Grip-Channel: a\r\n{NEXT}\r\n\r\n"
        ));
        (0..16).for_each(|n| reply.wire.send_chunk(piece(n)));
        behind.pass();
        (16..26).for_each(|n| reply.wire.send_chunk(piece(n)));
        reply.send("0\r\n\r\n");
    });
    let site = Site::behind(backend, |c| {
        calm(c).set("LIMITS_CONNECTION_BUFFER", "128KiB")
    });
    let mut client = site.stream("/");
    site.hint("a");
    let mut expect = |n| assert!(client.stream_bytes(PIECE) == piece(n), "piece {n}");
    (0..8).for_each(&mut expect);
    site.gripd.push("a", "meanwhile\n");
    (8..16).for_each(&mut expect);
    door.wait_came(1);
    door.open();
    (16..26).for_each(&mut expect);
    client.expect_stream("meanwhile\n");
    site.gripd.push("a", "after\n");
    client.expect_stream("after\n");
}

/// Repeated requests and links alike are held back by the budget of their backend.
#[test]
fn recoveries_of_one_backend_come_one_by_one() {
    let door = Door::shut();
    let (inside, most) = (AtomicUsize::new(0), Arc::new(AtomicUsize::new(0)));
    let (behind, seen) = (Arc::clone(&door), Arc::clone(&most));
    let known = Mutex::new(Vec::new());
    let backend = Backend::start(move |request, reply| {
        let target = request.head.target().to_owned();
        let is_new = !known.lock().unwrap().contains(&target);
        known.lock().unwrap().push(target.clone());
        match target.as_str() {
            "/other" => reply.ok("", "other"),
            first if is_new && first.starts_with("/poll") => {
                reply.send(poll(&["Grip-Channel: a"]));
            }
            first if first.starts_with("/stream") => {
                let link = format!("Grip-Link: </next{first}>; rel=next; timeout=3600");
                reply.send(stream(&["Grip-Channel: a", &link]));
            }
            _ => {
                let now = inside.fetch_add(1, Ordering::SeqCst) + 1;
                seen.fetch_max(now, Ordering::SeqCst);
                behind.pass();
                inside.fetch_sub(1, Ordering::SeqCst);
                reply.ok("", "fresh\n");
            }
        }
    });
    let site = Site::behind(backend, |c| calm(c).set("GRIP_RECOVER_CONCURRENCY", "1"));
    let mut polls = ["/poll1", "/poll2"].map(|path| site.poll(path));
    let mut streams = ["/stream1", "/stream2"].map(|path| site.stream(path));
    site.hint("a");
    for n in 1..=4 {
        door.wait_came(n);
        // Others are not held back, and a second one would have come by now.
        for _ in 0..10 {
            assert_eq!(site.gripd.fetch("/other").text(), "other");
        }
        assert_eq!(door.came(), n);
        door.let_one();
    }
    for client in &mut polls {
        assert_eq!(client.response().text(), "fresh\n");
    }
    for client in &mut streams {
        client.expect_stream("fresh\n");
        client.expect_last_chunk();
    }
    assert_eq!(most.load(Ordering::SeqCst), 1);
}

/// A backend that does not take a gone link is told again.
#[test]
fn a_gone_link_is_told_until_it_is_taken() {
    let refused = || answer("503 Service Unavailable", "", "not now\n");
    let site = Site::set_up(
        [
            ("/", vec![stream(&["Grip-Channel: a", GONE])]),
            (
                "/gone",
                vec![refused(), answer("404 Not Found", "", ""), plain("")],
            ),
        ],
        brisk,
    );
    for told in [3, 4] {
        drop(site.stream("/"));
        eventually("the backend takes it", || site.asked("POST /gone") == told);
    }
}

/// A link's answer takes the place of the instruct; the session stays the same.
#[test]
fn a_session_has_one_gone_link() {
    let next = |body| stream_with(&["Grip-Channel: a", NEXT, GONE], body);
    let site = Site::new([
        ("/", vec![next("hi\n")]),
        ("/next", vec![next("1\n"), next("2\n"), plain("end\n")]),
        ("/gone", vec![plain("")]),
    ]);
    let mut client = site.stream("/");
    for text in ["1\n", "2\n"] {
        site.hint("a");
        client.expect_stream(text);
    }
    assert_eq!(site.asked("POST /gone"), 0);
    site.hint("a");
    client.expect_stream("end\n");
    client.expect_last_chunk();
    drop(client);
    drop(site.stream("/"));
    eventually("both sessions are told of", || {
        site.asked("POST /gone") == 2
    });
}

#[test]
fn gone_links_are_told_at_the_end_of_the_server() {
    let refused = || answer("503 Service Unavailable", "", "not now\n");
    let mut site = Site::set_up(
        [
            ("/stream", vec![stream(&["Grip-Channel: a", GONE])]),
            ("/poll", vec![poll(&["Grip-Channel: a", GONE])]),
            ("/gone", vec![refused(), refused(), plain("")]),
        ],
        brisk,
    );
    let mut client = site.stream("/stream");
    let mut late = site.poll("/poll");
    site.gripd.signal("TERM");
    assert_eq!(late.response().text(), "late\n");
    client.expect_last_chunk();
    assert!(site.gripd.wait_exit().success());
    assert_eq!(site.asked("POST /gone"), 4);
}

/// The time for stopping is the limit of gone links as well.
#[test]
fn a_gone_link_that_is_never_taken_does_not_keep_the_server() {
    let door = Door::shut();
    let behind = Arc::clone(&door);
    let held = stream(&["Grip-Channel: a", GONE]);
    let backend = Backend::start(move |request, reply| {
        if request.head.target() == "/gone" {
            behind.pass();
        }
        reply.send(&held);
    });
    let mut site = Site::behind(backend, |c| brisk(c).set("TIMEOUTS_DRAIN", "1s"));
    let client = site.stream("/");
    site.gripd.signal("TERM");
    door.wait_came(1);
    site.gripd.wait_exit();
    drop(client);
    door.open();
}
