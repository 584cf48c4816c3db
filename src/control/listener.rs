//! Sockets of the control port: addresses, and sockets in the file system. Accepting never ends,
//! whatever happens.

use std::{fmt, io, net::SocketAddr, os::unix, time::Duration};

use tokio::{
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
    time::sleep,
};

/// A bound socket of the control port, on its way to the core that accepts on it.
#[derive(Debug)]
pub enum Bound {
    /// An address.
    Tcp(std::net::TcpListener),
    /// A socket in the file system.
    Unix(unix::net::UnixListener),
}

/// A socket of the control port on the runtime of a core.
#[derive(Debug)]
pub enum Listener {
    /// An address.
    Tcp(TcpListener),
    /// A socket in the file system.
    Unix(UnixListener),
}

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

impl Listener {
    /// Gives a socket, which must not block, to the runtime this is called on.
    ///
    /// # Errors
    /// The runtime does not take it.
    pub fn new(socket: Bound) -> io::Result<Self> {
        Ok(match socket {
            Bound::Tcp(socket) => Self::Tcp(TcpListener::from_std(socket)?),
            Bound::Unix(socket) => Self::Unix(UnixListener::from_std(socket)?),
        })
    }

    /// The next connection. What goes wrong here (no file descriptors left, most of all) passes:
    /// it is logged, and tried again after 10 ms, doubled each time up to a second.
    pub(super) async fn accept(&self) -> (Stream, Peer) {
        let mut pause = Duration::from_millis(10);
        loop {
            match self.try_accept().await {
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

    async fn try_accept(&self) -> io::Result<(Stream, Peer)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                // Without it answers wait for acknowledgements; a socket that refuses works too.
                let _ = stream.set_nodelay(true);
                Ok((Stream::Tcp(stream), Peer::Tcp(peer)))
            }
            Self::Unix(listener) => {
                let (stream, _) = listener.accept().await?;
                let user = stream.peer_cred().map(|peer| peer.uid()).ok();
                Ok((Stream::Unix(stream), Peer::Unix(user)))
            }
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
