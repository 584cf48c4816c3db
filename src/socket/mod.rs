//! A client's connection as bytes: TCP or a socket in the file system, plain or TLS, or one stream of
//! an HTTP/2 connection; and who is at its end. Everything above (`front`, `hold`, `hub`) is the same for all of them.
//!
//! A busy connection is used as [`AsyncRead`] and [`AsyncWrite`], a parked one without waiting:
//! [`ClientSocket::try_read`], [`ClientSocket::try_write`]. Both ways may be mixed.

mod listener;
mod stream;
mod tls;

use std::{
    fmt,
    io::{self, IoSlice},
    net::{IpAddr, SocketAddr},
    os::fd::{AsFd, BorrowedFd},
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpStream, UnixStream},
};

pub use listener::{Bound, Listener};
pub use stream::Stream;
pub use tls::Tls;

/// A client's connection. What few have is boxed, so that the others have not its size.
#[derive(Debug)]
pub enum ClientSocket {
    /// By an address.
    Tcp(TcpStream),
    /// By the file system.
    Unix(UnixStream),
    /// From a proxy that told whose it is (PROXY protocol).
    Proxied(Box<Proxied>),
    /// Encrypted.
    Tls(Box<Tls>),
    /// One request of an HTTP/2 connection: nothing is read by it, and its answer has a head of its
    /// own ([`Stream::begin`]).
    Stream(Box<Stream>),
}

/// A connection that a proxy has handed on.
#[derive(Debug)]
pub struct Proxied {
    /// The connection to the proxy.
    pub socket: ClientSocket,
    /// Whose it is.
    pub client: SocketAddr,
}

/// Who is at the other end, for backends and the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remote {
    /// An address.
    Tcp(SocketAddr),
    /// Somebody on this machine, without an address.
    Unix,
}

impl Remote {
    /// The address without its port.
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::Tcp(address) => Some(address.ip()),
            Self::Unix => None,
        }
    }
}

impl fmt::Display for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix => f.write_str("unix"),
        }
    }
}

impl ClientSocket {
    /// Writes what fits now.
    ///
    /// # Errors
    /// `WouldBlock` when nothing fits; anything else: the connection is broken.
    pub fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.try_write(bytes),
            Self::Unix(stream) => stream.try_write(bytes),
            Self::Proxied(proxied) => proxied.socket.try_write(bytes),
            Self::Tls(tls) => tls.try_write(&[IoSlice::new(bytes)]),
            Self::Stream(stream) => stream.try_write(&[IoSlice::new(bytes)]),
        }
    }

    /// Writes what fits now of several pieces.
    ///
    /// # Errors
    /// As [`ClientSocket::try_write`].
    pub fn try_write_vectored(&self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.try_write_vectored(pieces),
            Self::Unix(stream) => stream.try_write_vectored(pieces),
            Self::Proxied(proxied) => proxied.socket.try_write_vectored(pieces),
            Self::Tls(tls) => tls.try_write(pieces),
            Self::Stream(stream) => stream.try_write(pieces),
        }
    }

    /// Brings out what was written and is kept here: encrypted bytes for which there was no room.
    ///
    /// # Errors
    /// `WouldBlock` while some of it is left; anything else: the connection is broken.
    pub fn try_flush(&self) -> io::Result<()> {
        match self {
            Self::Tcp(_) | Self::Unix(_) | Self::Proxied(_) => Ok(()),
            Self::Tls(tls) => tls.try_flush(),
            Self::Stream(stream) => {
                stream.rest();
                Ok(())
            }
        }
    }

    /// Bytes that were brought out so far of those that were kept here.
    pub fn flushed(&self) -> u64 {
        match self {
            Self::Tcp(_) | Self::Unix(_) | Self::Proxied(_) | Self::Stream(_) => 0,
            Self::Tls(tls) => tls.flushed(),
        }
    }

    /// Reads what is there now; 0: the peer has ended its side.
    ///
    /// # Errors
    /// `WouldBlock` when nothing is there; anything else: the connection is broken.
    pub fn try_read(&self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.try_read(into),
            Self::Unix(stream) => stream.try_read(into),
            Self::Proxied(proxied) => proxied.socket.try_read(into),
            Self::Tls(tls) => tls.try_read(into),
            Self::Stream(stream) => stream.try_read(),
        }
    }

    /// Ready when a write may get somewhere.
    ///
    /// # Errors
    /// When the socket can no longer be watched.
    pub fn poll_write_ready(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => stream.poll_write_ready(context),
            Self::Unix(stream) => stream.poll_write_ready(context),
            Self::Proxied(proxied) => proxied.socket.poll_write_ready(context),
            Self::Tls(tls) => tls.poll_write_ready(context),
            Self::Stream(stream) => stream.poll_write_ready(context),
        }
    }

    /// Ready when a read may get somewhere.
    ///
    /// # Errors
    /// When the socket can no longer be watched.
    pub fn poll_read_ready(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => stream.poll_read_ready(context),
            Self::Unix(stream) => stream.poll_read_ready(context),
            Self::Proxied(proxied) => proxied.socket.poll_read_ready(context),
            Self::Tls(tls) => tls.poll_read_ready(context),
            Self::Stream(stream) => stream.poll_read_ready(context),
        }
    }

    /// Who is at the other end; `None` when nobody is there any more.
    pub fn remote(&self) -> Option<Remote> {
        match self {
            Self::Tcp(stream) => stream.peer_addr().ok().map(Remote::Tcp),
            Self::Unix(_) => Some(Remote::Unix),
            Self::Proxied(proxied) => Some(Remote::Tcp(proxied.client)),
            Self::Tls(tls) => tls.socket().remote(),
            Self::Stream(stream) => Some(stream.remote()),
        }
    }

    /// The kernel's socket, if it is alone on it.
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Self::Tcp(stream) => Some(stream.as_fd()),
            Self::Unix(stream) => Some(stream.as_fd()),
            Self::Proxied(proxied) => proxied.socket.fd(),
            Self::Tls(tls) => tls.socket().fd(),
            Self::Stream(_) => None,
        }
    }
}

impl AsyncRead for ClientSocket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Tcp(stream) => Pin::new(stream).poll_read(context, into),
            Self::Unix(stream) => Pin::new(stream).poll_read(context, into),
            Self::Proxied(proxied) => Pin::new(&mut proxied.socket).poll_read(context, into),
            Self::Tls(tls) => Pin::new(&mut **tls).poll_read(context, into),
            Self::Stream(stream) => stream.poll_read_ready(context),
        }
    }
}

impl AsyncWrite for ClientSocket {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(context, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut *self {
            Self::Tcp(stream) => match join(pieces, &mut [0; SMALL]) {
                Some(joined) => Pin::new(stream).poll_write(context, joined),
                None => Pin::new(stream).poll_write_vectored(context, pieces),
            },
            Self::Unix(stream) => Pin::new(stream).poll_write_vectored(context, pieces),
            Self::Proxied(proxied) => {
                Pin::new(&mut proxied.socket).poll_write_vectored(context, pieces)
            }
            Self::Tls(tls) => Pin::new(&mut **tls).poll_write_vectored(context, pieces),
            Self::Stream(stream) => loop {
                match stream.try_write(pieces) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    written => return Poll::Ready(written),
                }
                ready!(stream.poll_write_ready(context))?;
            },
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Tcp(_) | Self::Unix(_) | Self::Proxied(_) | Self::Stream(_) => {
                Poll::Ready(Ok(()))
            }
            Self::Tls(tls) => Pin::new(&mut **tls).poll_flush(context),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Proxied(proxied) => Pin::new(&mut proxied.socket).poll_shutdown(context),
            Self::Tls(tls) => Pin::new(&mut **tls).poll_shutdown(context),
            Self::Stream(stream) => Poll::Ready(stream.end()),
        }
    }
}

impl From<TcpStream> for ClientSocket {
    fn from(stream: TcpStream) -> Self {
        Self::Tcp(stream)
    }
}

impl From<UnixStream> for ClientSocket {
    fn from(stream: UnixStream) -> Self {
        Self::Unix(stream)
    }
}

/// Joins pieces that are small. To copy them costs less than to have the kernel gather them: a
/// twentieth of a proxied request's CPU time.
fn join<'r>(pieces: &[IoSlice<'_>], room: &'r mut [u8; SMALL]) -> Option<&'r [u8]> {
    let mut length = 0;
    for piece in pieces {
        let end = length + piece.len();
        room.get_mut(length..end)?.copy_from_slice(piece);
        length = end;
    }
    Some(&room[..length])
}

/// An answer's head and a short body.
const SMALL: usize = 2048;
