//! Several targets: who is asked first, who rests, and how much one target takes.
#![cfg(feature = "server")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests fail by panicking"
)]

mod support;

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use support::{Backend, DeadPort, Door, Gripd, eventually, ws::WebSocket};

/// Who answers `n` requests, each on its own connection, in the order of the letters.
fn answers(gripd: &Gripd, n: usize) -> String {
    let mut all: Vec<_> = (0..n).map(|_| gripd.fetch("/").text()).collect();
    all.sort();
    all.concat()
}

/// A backend that says its letter, but answers the path `/slow` only when the door lets it.
fn with_door(letter: &'static str) -> (Backend, Arc<Door>) {
    let door = Door::shut();
    let behind = Arc::clone(&door);
    let backend = Backend::start(move |request, reply| {
        if request.head.target() == "/slow" {
            behind.pass();
        }
        reply.ok("", letter);
    });
    (backend, door)
}

#[test]
fn turns_are_shared_by_all_threads() {
    let (a, b) = (Backend::saying("A"), Backend::saying("B"));
    let gripd = Gripd::start(|c| {
        c.threads(3)
            .route(format!("*,balance=round-robin {} {}", a.addr, b.addr))
    });
    assert_eq!(answers(&gripd, 12), "AAAAAABBBBBB");
}

#[test]
fn a_target_that_failed_rests_and_comes_back() {
    let (a, dead) = (Backend::saying("A"), DeadPort::new());
    let addr = dead.addr;
    let gripd = Gripd::start(|c| {
        c.route(format!("*,balance=round-robin {addr} {}", a.addr))
            .set("TIMEOUTS_TARGET_REST", "1h")
    });
    assert_eq!(answers(&gripd, 6), "AAAAAA");
    gripd.wait_log("a target rests");
    assert_eq!(
        gripd.log().matches("a target rests").count(),
        1,
        "asked once only"
    );

    let gripd = Gripd::start(|c| {
        c.route(format!("*,balance=in-order {addr} {}", a.addr))
            .set("TIMEOUTS_TARGET_REST", "10ms")
    });
    assert_eq!(answers(&gripd, 1), "A");
    drop(dead);
    let listener = std::net::TcpListener::bind(addr).unwrap();
    let _b = Backend::on(listener, false, |_, reply| reply.ok("", "B"));
    eventually("the first one is first again", || answers(&gripd, 1) == "B");
    gripd.wait_log("a target can be reached again");
}

#[test]
fn when_all_rest_all_are_asked() {
    let (dead, other) = (DeadPort::new(), DeadPort::new());
    let gripd = Gripd::start(|c| {
        c.debug()
            .route(format!(
                "*,balance=least-requests {} {}",
                dead.addr, other.addr
            ))
            .set("TIMEOUTS_TARGET_REST", "1h")
    });
    for _ in 0..2 {
        let text = gripd.fetch("/").text();
        for addr in [dead.addr, other.addr] {
            assert!(text.contains(&addr.to_string()), "{text}");
        }
    }
}

#[test]
fn an_active_check_takes_a_target_out_and_in() {
    let is_up = Arc::new(AtomicBool::new(false));
    let state = Arc::clone(&is_up);
    let a = Backend::start(move |request, reply| match request.head.target() {
        "/up" if !state.load(Ordering::SeqCst) => {
            reply.send("HTTP/1.1 503 Unready\r\nContent-Length: 0\r\n\r\n");
        }
        _ => reply.ok("", "A"),
    });
    let b = Backend::saying("B");
    let gripd = Gripd::start(|c| {
        c.route(format!(
            "*,check=/up,balance=round-robin {} {}",
            a.addr, b.addr
        ))
        .set("TIMEOUTS_TARGET_CHECK", "200ms")
    });
    gripd.wait_log("a target is down: its check got 503");
    assert_eq!(answers(&gripd, 4), "BBBB");
    assert!(
        b.asked().iter().any(|line| line.contains("/up")),
        "{:?}",
        b.asked()
    );
    is_up.store(true, Ordering::SeqCst);
    gripd.wait_log("a target is up");
    assert_eq!(answers(&gripd, 4), "AABB");
}

#[test]
fn the_least_used_target_is_asked_first() {
    let ((a, at_a), (b, at_b)) = (with_door("A"), with_door("B"));
    let gripd =
        Gripd::start(|c| c.route(format!("*,balance=least-requests {} {}", a.addr, b.addr)));
    let mut slow = gripd.get("/slow");
    eventually("somebody is busy", || at_a.came() + at_b.came() == 1);
    let expected = if at_a.came() == 1 { "BBBB" } else { "AAAA" };
    assert_eq!(answers(&gripd, 4), expected);
    at_a.open();
    at_b.open();
    assert_eq!(slow.response().status(), 200);
}

#[test]
fn a_target_takes_no_more_than_its_max_connections() {
    let ((a, door), b) = (with_door("A"), Backend::saying("B"));
    let gripd = Gripd::start(|c| {
        c.route(format!(
            "*,path_beg=/spill,balance=in-order {},max_connections=1 {}",
            a.addr, b.addr
        ))
        .route(format!("* {},max_connections=1 {}", a.addr, b.addr))
        .set("TIMEOUTS_TARGET_WAIT", "100ms")
    });
    let mut slow = gripd.get("/slow");
    door.wait_came(1);
    let full = gripd.fetch("/");
    assert_eq!(full.status(), 503);
    assert!(full.text().contains("try again"), "{}", full.text());
    gripd.wait_log("1 connections (max_connections), and none was free within 100ms");
    assert_eq!(gripd.fetch("/spill").text(), "B", "balance passes it over");
    door.open();
    assert_eq!(slow.response().text(), "A");
    eventually("there is room again", || gripd.fetch("/").text() == "A");
}

#[test]
fn a_request_waits_for_room() {
    let (a, door) = with_door("A");
    let gripd = Gripd::start(|c| c.route(format!("* {},max_connections=1", a.addr)));
    let mut first = gripd.get("/slow");
    door.wait_came(1);
    let mut second = gripd.get("/");
    door.open();
    assert_eq!(first.response().text(), "A");
    assert_eq!(second.response().text(), "A");
}

#[test]
fn an_upgraded_connection_counts_until_it_ends() {
    let backend = Backend::start(|request, reply| {
        if request.head.has("Upgrade") {
            WebSocket::accept(
                request,
                reply,
                "",
                |socket| while socket.try_frame().is_some() {},
            );
        } else {
            reply.ok("", "A");
        }
    });
    let gripd = Gripd::start(|c| {
        c.route(format!("* {},max_connections=1", backend.addr))
            .set("TIMEOUTS_TARGET_WAIT", "50ms")
    });
    let socket = WebSocket::open(&gripd, "/");
    assert_eq!(gripd.fetch("/").status(), 503);
    socket.vanish();
    eventually("its place is free", || gripd.fetch("/").status() == 200);
}
