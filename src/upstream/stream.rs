//! A connection to a backend, whatever it is made of: TCP or a unix socket, with TLS above it or
//! without.

use std::io;

use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream},
};
use tokio_rustls::client::TlsStream;

/// A connection to a backend.
pub(super) type Stream = Box<dyn Socket>;

/// What a connection to a backend can do.
pub(super) trait Socket: AsyncRead + AsyncWrite + Send + Unpin {
    /// The error that the kernel has noted of it, which is forgotten with that.
    fn take_error(&self) -> io::Result<Option<io::Error>>;
}

impl Socket for TcpStream {
    fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.take_error()
    }
}

impl Socket for UnixStream {
    fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.take_error()
    }
}

impl Socket for TlsStream<Stream> {
    fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.get_ref().0.take_error()
    }
}
