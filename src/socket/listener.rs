//! Listening sockets: addresses, and sockets in the file system.

use std::{
    io,
    net::SocketAddr,
    os::unix,
    task::{Context, Poll, ready},
};

use tokio::net::{TcpListener, UnixListener};

use super::{ClientSocket, Remote};

/// A bound socket on its way to the core that accepts on it.
#[derive(Debug)]
pub enum Bound {
    /// An address.
    Tcp(std::net::TcpListener),
    /// A socket in the file system.
    Unix(unix::net::UnixListener),
}

/// A listening socket on the runtime of a core.
#[derive(Debug)]
pub enum Listener {
    /// An address.
    Tcp(TcpListener),
    /// A socket in the file system.
    Unix(UnixListener),
}

impl Bound {
    /// Another handle of the same socket: whoever accepts first gets a connection.
    ///
    /// # Errors
    /// No file descriptor is left.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(match self {
            Self::Tcp(socket) => Self::Tcp(socket.try_clone()?),
            Self::Unix(socket) => Self::Unix(socket.try_clone()?),
        })
    }

    /// Where it is; `None` in the file system.
    pub fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(socket) => socket.local_addr().ok(),
            Self::Unix(_) => None,
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

    /// Takes a connection, when there is one.
    ///
    /// # Errors
    /// What the kernel answers.
    pub fn poll_accept(
        &self,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<(ClientSocket, Remote)>> {
        Poll::Ready(Ok(match self {
            Self::Tcp(listener) => {
                let (stream, address) = ready!(listener.poll_accept(context))?;
                (stream.into(), Remote::Tcp(address))
            }
            Self::Unix(listener) => {
                let (stream, _) = ready!(listener.poll_accept(context))?;
                (stream.into(), Remote::Unix)
            }
        }))
    }
}
