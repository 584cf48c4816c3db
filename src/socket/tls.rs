//! A client's connection that is encrypted: rustls over its socket. The library's state is used
//! directly, not by an adapter of its own, since a parked connection is written to without waiting
//! and without being borrowed for it.

use std::{
    cell::{Cell, RefCell},
    future::poll_fn,
    io::{self, BufRead, IoSlice, Read, Write},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use rustls::{ServerConfig, ServerConnection};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::ClientSocket;

/// An encrypted connection.
#[derive(Debug)]
pub struct Tls {
    socket: ClientSocket,
    session: RefCell<ServerConnection>,
    /// Encrypted bytes that are out.
    out: Cell<u64>,
}

impl Tls {
    /// Shakes hands. `early`: what was read of the client already.
    ///
    /// # Errors
    /// The client goes away, or does not agree; it was told why, as TLS tells it.
    ///
    /// # Cancel safety
    /// Dropping it closes the connection.
    pub async fn accept(
        socket: ClientSocket,
        early: &[u8],
        config: Arc<ServerConfig>,
    ) -> io::Result<Self> {
        let session = ServerConnection::new(config).map_err(io::Error::other)?;
        let tls = Self {
            socket,
            session: RefCell::new(session),
            out: Cell::new(0),
        };
        let mut early = early;
        while !early.is_empty() {
            tls.session.borrow_mut().read_tls(&mut early)?;
            tls.process()?;
        }
        poll_fn(|context| tls.poll_handshake(context)).await?;
        Ok(tls)
    }

    /// What it goes over.
    pub(super) fn socket(&self) -> &ClientSocket {
        &self.socket
    }

    fn poll_handshake(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            ready!(self.poll_out(context))?;
            if !self.session.borrow().is_handshaking() {
                return Poll::Ready(Ok(()));
            }
            if ready!(self.poll_in(context))? == 0 {
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
        }
    }

    /// Reads encrypted bytes once; 0: the peer has ended its side.
    fn try_in(&self) -> io::Result<usize> {
        let mut session = self.session.borrow_mut();
        let read = session.read_tls(&mut Try(&self.socket))?;
        drop(session);
        self.process()?;
        Ok(read)
    }

    fn poll_in(&self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.socket.poll_read_ready(context))?;
            match self.try_in() {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read => return Poll::Ready(read),
            }
        }
    }

    /// Decrypts what was read.
    fn process(&self) -> io::Result<()> {
        let mut session = self.session.borrow_mut();
        if let Err(error) = session.process_new_packets() {
            // The peer is told why, if it still listens.
            let _ = session.write_tls(&mut Try(&self.socket));
            return Err(io::Error::new(io::ErrorKind::InvalidData, error));
        }
        Ok(())
    }

    fn poll_out(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            match self.try_flush() {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                flushed => return Poll::Ready(flushed),
            }
            ready!(self.socket.poll_write_ready(context))?;
        }
    }

    pub(super) fn try_flush(&self) -> io::Result<()> {
        let mut session = self.session.borrow_mut();
        while session.wants_write() {
            let written = session.write_tls(&mut Try(&self.socket))?;
            self.out.set(self.out.get() + written as u64);
        }
        Ok(())
    }

    pub(super) fn flushed(&self) -> u64 {
        self.out.get()
    }

    /// Takes one record's worth at most, and nothing while an earlier one is not out: what waits
    /// for a slow client waits where it is counted.
    pub(super) fn try_write(&self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        self.try_flush()?;
        let taken = if let [piece] = pieces {
            self.encrypt(&piece[..piece.len().min(RECORD)])?
        } else {
            let mut record = Vec::new();
            for piece in pieces {
                let room = RECORD - record.len();
                record.extend_from_slice(&piece[..piece.len().min(room)]);
            }
            self.encrypt(&record)?
        };
        match self.try_flush() {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
            _ => Ok(taken),
        }
    }

    fn encrypt(&self, bytes: &[u8]) -> io::Result<usize> {
        self.session.borrow_mut().writer().write(bytes)
    }

    /// Looks into the socket once: what comes may be long and yet hold nothing to read, and others
    /// wait for their turn.
    pub(super) fn try_read(&self, into: &mut [u8]) -> io::Result<usize> {
        match self.decrypted(into) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            read => return read,
        }
        self.try_in()?;
        // An answer of the protocol's own (a new key) need not be waited for.
        let _ = self.try_flush();
        self.decrypted(into)
    }

    fn decrypted(&self, into: &mut [u8]) -> io::Result<usize> {
        match self.session.borrow_mut().reader().read(into) {
            // Gone without a goodbye, as many clients go.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(0),
            read => read,
        }
    }

    pub(super) fn poll_read_ready(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let is_there = match self.session.borrow_mut().reader().fill_buf() {
            Ok(_) => true,
            Err(error) => error.kind() != io::ErrorKind::WouldBlock,
        };
        if is_there {
            return Poll::Ready(Ok(()));
        }
        self.socket.poll_read_ready(context)
    }

    pub(super) fn poll_write_ready(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket.poll_write_ready(context)
    }
}

impl AsyncRead for Tls {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            // Takes of the task's share of the thread, so that a fast client is not alone on it.
            ready!(self.poll_read_ready(context))?;
            match self.try_read(into.initialize_unfilled()) {
                Ok(read) => {
                    into.advance(read);
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl AsyncWrite for Tls {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(context, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_out(context))?;
        Poll::Ready(self.try_write(pieces))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_out(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Said once, however often this is asked.
        self.session.borrow_mut().send_close_notify();
        ready!(self.poll_out(context))?;
        Pin::new(&mut self.socket).poll_shutdown(context)
    }
}

/// A socket as the library reads and writes it: without waiting.
struct Try<'a>(&'a ClientSocket);

impl Read for Try<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.0.try_read(into)
    }
}

impl Write for Try<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_write(bytes)
    }

    fn write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.try_write_vectored(pieces)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Bytes in a record of TLS.
const RECORD: usize = 16 << 10;
