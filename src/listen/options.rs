//! What the kernel is told about a client's connection. Everything here is best set early and
//! never decides about serving: a caller may log an error and go on.

use std::{io, os::fd::AsFd, time::Duration};

use socket2::{SockRef, TcpKeepalive};

use crate::config::Timeouts;

/// For every client's connection, once it is accepted: small writes go out at once, and a peer that
/// no longer answers counts as gone after `timeouts.peer_gone` (0: never).
///
/// Two means, because each sees only half: `TCP_USER_TIMEOUT` ends a connection whose sent bytes
/// are not acknowledged, keep-alive probes (the first after half of that time, then three, a sixth
/// apart) one on which nothing is sent, such as a quiet hold.
///
/// # Errors
/// What the kernel refuses.
pub fn tune_client(socket: &impl AsFd, timeouts: &Timeouts) -> io::Result<()> {
    let socket = SockRef::from(socket);
    socket.set_tcp_nodelay(true)?;
    if timeouts.peer_gone.is_zero() {
        return Ok(());
    }
    let probes = TcpKeepalive::new()
        .with_time(whole_seconds(timeouts.peer_gone / 2))
        .with_interval(whole_seconds(timeouts.peer_gone / 6))
        .with_retries(PROBES);
    socket.set_tcp_keepalive(&probes)?;
    socket.set_tcp_user_timeout(Some(timeouts.peer_gone))
}

/// For a connection that is parked: the kernel says it is full once 16 KiB wait unsent in it, rather
/// than at its send buffer's end (megabytes). So what a slow client has not read waits with us,
/// where it counts against `limits.connection_buffer`, and kernel memory stays small.
///
/// # Errors
/// What the kernel refuses.
pub fn tune_held(socket: &impl AsFd) -> io::Result<()> {
    SockRef::from(socket).set_tcp_notsent_lowat(HELD_UNSENT)
}

/// The kernel counts these in seconds and refuses 0 and what does not fit.
fn whole_seconds(time: Duration) -> Duration {
    Duration::from_secs(time.as_secs().clamp(1, LONGEST_PROBE))
}

/// Probes without an answer after which a peer is gone.
const PROBES: u32 = 3;

/// Most seconds the kernel takes for keep-alive times.
const LONGEST_PROBE: u64 = 32_767;

const HELD_UNSENT: u32 = 16 << 10;

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    fn connected() -> (TcpListener, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (listener, client)
    }

    #[test]
    fn a_silent_peer_is_noticed() {
        let (_listener, client) = connected();
        tune_client(&client, &Timeouts::default()).unwrap();
        let socket = SockRef::from(&client);
        assert!(socket.tcp_nodelay().unwrap());
        assert!(socket.keepalive().unwrap());
        assert_eq!(socket.tcp_keepalive_time().unwrap().as_secs(), 30);
        assert_eq!(socket.tcp_keepalive_interval().unwrap().as_secs(), 10);
        assert_eq!(socket.tcp_keepalive_retries().unwrap(), 3);
        let gone = socket.tcp_user_timeout().unwrap();
        assert_eq!(gone, Some(Duration::from_mins(1)));
    }

    #[test]
    fn any_time_is_accepted() {
        for (peer_gone, probes) in [(0, false), (1, true), (1_000_000, true)] {
            let (_listener, client) = connected();
            let timeouts = Timeouts {
                peer_gone: Duration::from_secs(peer_gone),
                ..Timeouts::default()
            };
            tune_client(&client, &timeouts).unwrap();
            assert_eq!(SockRef::from(&client).keepalive().unwrap(), probes);
        }
    }

    #[test]
    fn a_held_connection_keeps_little_unsent() {
        let (_listener, client) = connected();
        tune_held(&client).unwrap();
        let unsent = SockRef::from(&client).tcp_notsent_lowat().unwrap();
        assert_eq!(unsent, 16 << 10);
    }
}
