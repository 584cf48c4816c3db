//! Accepting on the control port, which never ends, whatever happens.

use std::{fmt, io, net::SocketAddr, time::Duration};

use tokio::{
    net::{TcpStream, UnixStream},
    time::sleep,
};

use crate::socket::Listener;

/// A connection to it.
#[derive(Debug)]
pub(super) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// Who is at the other end, for the log and for what only some can do.
#[derive(Clone, Copy, Debug)]
pub(super) enum Peer {
    Tcp(SocketAddr),
    /// With the user's number, where the system tells it.
    Unix(Option<u32>),
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(Some(user)) => write!(f, "unix (user {user})"),
            Self::Unix(None) => f.write_str("unix"),
        }
    }
}

/// The next connection. What goes wrong here (no file descriptors left, most of all) passes:
/// it is logged, and tried again after 10 ms, doubled each time up to a second.
pub(super) async fn accept(listener: &Listener) -> (Stream, Peer) {
    let mut pause = Duration::from_millis(10);
    loop {
        match try_accept(listener).await {
            Ok(accepted) => return accepted,
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "control port: accepting failed, trying again");
                sleep(pause).await;
                pause = (pause * 2).min(Duration::from_secs(1));
            }
        }
    }
}

async fn try_accept(listener: &Listener) -> io::Result<(Stream, Peer)> {
    match listener {
        Listener::Tcp(listener) => {
            let (stream, peer) = listener.accept().await?;
            // Without it answers wait for acknowledgements; a socket that refuses works too.
            let _ = stream.set_nodelay(true);
            Ok((Stream::Tcp(stream), Peer::Tcp(peer)))
        }
        Listener::Unix(listener) => {
            let (stream, _) = listener.accept().await?;
            let user = stream.peer_cred().map(|peer| peer.uid()).ok();
            Ok((Stream::Unix(stream), Peer::Unix(user)))
        }
    }
}

/// Only the connection that was to be accepted is gone; the next one is as good as ever.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionReset
    )
}
