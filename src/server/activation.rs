//! Listening sockets that systemd has opened and hands over (`LISTEN_FDS`, `sd_listen_fds(3)`): with
//! `FileDescriptorName=https` clients speak TLS there, with `control` publishers come there, all
//! others are for clients.

use std::{
    env, io,
    os::fd::{AsFd, BorrowedFd},
};

use listenfd::ListenFd;
use socket2::SockRef;

use crate::socket::Bound;

/// What was handed over.
#[derive(Debug, Default)]
pub(super) struct Handed {
    /// Sockets for clients, and whether they speak TLS there.
    pub(super) clients: Vec<(Bound, bool)>,
    /// Sockets of the control port.
    pub(super) control: Vec<Bound>,
}

/// Takes what was handed over; nothing, as a rule.
///
/// # Errors
/// It is no listening socket of a kind that gripd can serve.
pub(super) fn take() -> io::Result<Handed> {
    let names = env::var("LISTEN_FDNAMES").unwrap_or_default();
    let mut all = ListenFd::from_env();
    let mut handed = Handed::default();
    for index in 0..all.len() {
        let Some(socket) = socket(&mut all, index)? else {
            continue;
        };
        match names.split(':').nth(index) {
            Some("control") => handed.control.push(socket),
            name => handed.clients.push((socket, name == Some("https"))),
        }
    }
    Ok(handed)
}

fn socket(all: &mut ListenFd, index: usize) -> io::Result<Option<Bound>> {
    let socket = if let Ok(socket) = all.take_tcp_listener(index) {
        socket.map(Bound::Tcp)
    } else {
        all.take_unix_listener(index)?.map(Bound::Unix)
    };
    match &socket {
        Some(Bound::Tcp(socket)) => prepare(socket.as_fd())?,
        Some(Bound::Unix(socket)) => prepare(socket.as_fd())?,
        None => {}
    }
    Ok(socket)
}

/// As the runtime needs it.
fn prepare(socket: BorrowedFd<'_>) -> io::Result<()> {
    let socket = SockRef::from(&socket);
    if !socket.is_listener()? {
        let wrong = "systemd hands over a connection, not a socket to listen on: say Accept=no";
        return Err(io::Error::other(wrong));
    }
    socket.set_nonblocking(true)
}
