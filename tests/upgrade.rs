//! Upgraded connections: bytes both ways, whoever ends first, and requests for one that are
//! declined.
#![cfg(feature = "server")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests fail by panicking"
)]

mod support;

use support::{Backend, Gripd, PATIENCE, Reply, Wire};

const UPGRADE: &[&str] = &["Connection: Upgrade", "Upgrade: echo"];

/// A backend that agrees to every upgrade and then does `talk`; without one it answers `plain`.
fn switching(talk: impl Fn(&mut Reply) + Send + Sync + 'static) -> Backend {
    Backend::start(move |request, reply| {
        if request.head.has("Upgrade") {
            reply.send(
                "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n",
            );
            talk(reply);
            reply.close();
        } else {
            reply.ok("", "plain\n");
        }
    })
}

fn upgraded(gripd: &Gripd) -> Wire {
    let mut client = gripd.client();
    client.request("GET", "/", UPGRADE, "");
    assert_eq!(client.head().status(), 101);
    client
}

#[test]
fn what_is_sent_ahead_of_the_upgrade_goes_into_it() {
    let backend = switching(|reply| {
        reply.wire.expect_bytes("early");
        reply.send("seen");
    });
    let gripd = Gripd::before(&backend);
    let mut client = gripd.client();
    client.send(
        "GET / HTTP/1.1\r\nHost: h.test\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nearly",
    );
    assert_eq!(client.head().status(), 101);
    client.expect_bytes("seen");
    client.expect_eof();
}

/// The client's end is not the tunnel's: what the backend says to it still arrives.
#[test]
fn a_client_that_has_said_everything_still_gets_everything() {
    const SIZE: usize = 4 << 20;
    let backend = switching(|reply| {
        assert_eq!(reply.wire.rest(), b"all\n", "the end is passed on");
        reply.send(vec![b'z'; SIZE]);
    });
    let gripd = Gripd::before(&backend);
    let mut client = upgraded(&gripd);
    client.patience(PATIENCE);
    client.send("all\n");
    client.finish_sending();
    assert_eq!(client.rest().len(), SIZE);
}

#[test]
fn the_backends_end_is_passed_on_behind_its_last_byte() {
    const SIZE: usize = 4 << 20;
    let backend = switching(|reply| {
        reply.send(vec![b'z'; SIZE]);
    });
    let gripd = Gripd::before(&backend);
    let mut client = upgraded(&gripd);
    assert_eq!(client.rest().len(), SIZE);
}

#[test]
fn a_silent_tunnel_is_cut_by_the_time_that_was_set() {
    let backend = switching(|reply| {
        assert!(reply.wait_closed());
    });
    for (line, time, setting) in [
        ("", "10ms", "timeouts.idle"),
        (",idle_timeout=0.01", "15m", "route option idle_timeout"),
    ] {
        let gripd = Gripd::start(|c| {
            c.route(format!("*{line} {}", backend.addr))
                .set("TIMEOUTS_IDLE", time)
        });
        upgraded(&gripd).expect_eof();
        gripd.wait_log(setting);
    }
}

#[test]
fn a_declined_upgrade_is_an_ordinary_answer() {
    let backend = Backend::saying("no\n");
    let gripd = Gripd::before(&backend);
    let mut client = gripd.client();
    client.request("GET", "/", UPGRADE, "");
    assert_eq!(client.response().text(), "no\n");
    assert_eq!(client.fetch("/").text(), "no\n", "the connection goes on");
}
