//! What the black-box tests are made of: the real `gripd` as a child process, raw backends, raw
//! clients and the control port. Plain threads and sockets, so that a test reads as prose and
//! nothing between it and the wire repairs what gripd did wrong.
//!
//! Every wait has a deadline ([`PATIENCE`]) and fails with a sentence. Nothing sleeps to give
//! gripd time; that something does *not* arrive is shown by something later that does.
#![allow(
    dead_code,
    unused_imports,
    reason = "each test binary uses another part of this harness"
)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a harness fails by panicking"
)]

mod backend;
mod door;
mod gripd;
mod wire;
pub(crate) mod ws;

use std::{
    net::{SocketAddr, TcpListener},
    time::{Duration, Instant},
};

use socket2::{Domain, Socket, Type};

pub(crate) use backend::{Backend, Reply, Request, listen_again};
pub(crate) use door::Door;
pub(crate) use gripd::{Gripd, Setup, run_to_end};
pub(crate) use wire::{Head, Response, Wire};

/// How long anything may take before the test fails. Generous: test machines are busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A name that no client of the outside world uses; the `Host` of plain test requests.
pub(crate) const HOST: &str = "h.test";

/// Asks again and again until the answer is yes.
///
/// # Panics
/// When the answer is still no after [`PATIENCE`].
pub(crate) fn eventually(what: &str, mut check: impl FnMut() -> bool) {
    let start = Instant::now();
    while !check() {
        assert!(
            start.elapsed() < PATIENCE,
            "waited {PATIENCE:?} in vain: {what}"
        );
        std::thread::park_timeout(Duration::from_millis(10));
    }
}

/// A backend's answer with a counted body. `headers` are whole lines, each with its CR LF.
pub(crate) fn answer(status: &str, headers: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let mut raw = format!(
        "HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    raw.extend_from_slice(body);
    raw
}

/// A `200` of text with these header lines (without their line ends).
pub(crate) fn instruct(headers: &[&str], body: impl AsRef<[u8]>) -> Vec<u8> {
    let mut lines = String::from("Content-Type: text/plain\r\n");
    for header in headers {
        lines.push_str(header);
        lines.push_str("\r\n");
    }
    answer("200 OK", &lines, body)
}

/// A `200` that is nothing but a JSON instruct.
pub(crate) fn json_instruct(body: &str) -> Vec<u8> {
    answer(
        "200 OK",
        "Content-Type: application/grip-instruct\r\n",
        body,
    )
}

/// An address of loopback that is bound, so that nobody else gets it, and refuses connections.
#[derive(Debug)]
pub(crate) struct DeadPort {
    /// The address.
    pub(crate) addr: SocketAddr,
    socket: Socket,
}

impl DeadPort {
    /// Any free port of 127.0.0.1.
    pub(crate) fn new() -> Self {
        Self::at(([127, 0, 0, 1], 0).into()).expect("a free port")
    }

    /// This address, if it is free.
    pub(crate) fn at(addr: SocketAddr) -> std::io::Result<Self> {
        let socket = Socket::new(Domain::for_address(addr), Type::STREAM, None)?;
        if addr.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        socket.bind(&addr.into())?;
        let addr = socket.local_addr()?.as_socket().expect("an IP address");
        Ok(Self { addr, socket })
    }

    /// Refuses no longer.
    pub(crate) fn listen(self) -> TcpListener {
        self.socket.listen(128).expect("the address is ours");
        self.socket.into()
    }
}

/// A listener on one family of loopback whose port refuses connections on the other.
pub(crate) fn one_family_only(listen_on_v6: bool) -> (TcpListener, DeadPort) {
    for _ in 0..50 {
        let (live, dead): (&str, &str) = if listen_on_v6 {
            ("[::1]:0", "127.0.0.1")
        } else {
            ("127.0.0.1:0", "[::1]")
        };
        let listener = TcpListener::bind(live).expect("loopback has both families");
        let port = listener.local_addr().unwrap().port();
        if let Ok(dead) = DeadPort::at(format!("{dead}:{port}").parse().unwrap()) {
            return (listener, dead);
        }
    }
    panic!("no port that is free on both families");
}
