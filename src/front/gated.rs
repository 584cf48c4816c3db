//! The io adapter between a client's socket and hyper: it hands over exactly one request, head and
//! body, and watches the client while the answer is made. What the client sends beyond that
//! request is kept for the next one.
//!
//! It also knows what hyper does not tell: that an answer has been flushed.

use std::{
    cell::{Cell, RefCell},
    io::{self, IoSlice},
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::{
    http1::gate::{self, BodyScan, Fault},
    socket::ClientSocket,
};

/// What the adapter, the service and the driver of one exchange tell each other.
#[derive(Debug, Default)]
pub(super) struct Signals {
    /// hyper has taken the last of the answer's body, or as much as there is before a hold.
    pub(super) answered: Cell<bool>,
    /// ... and everything written since is flushed.
    pub(super) flushed: Cell<bool>,
    /// Bytes of the answer's body that hyper has taken.
    pub(super) sent: Cell<u64>,
    /// The client's request has been read to its end.
    pub(super) read: Cell<bool>,
    /// The client's body is malformed.
    pub(super) fault: RefCell<Option<Fault>>,
}

impl Signals {
    /// Nothing of this exchange is left in hyper.
    pub(super) fn is_over(&self) -> bool {
        self.answered.get() && self.flushed.get() && self.read.get()
    }
}

/// A client's socket behind the gate, for one request.
#[derive(Debug)]
pub(super) struct Gated {
    socket: ClientSocket,
    /// Bytes read from the client and not yet handed over.
    early: BytesMut,
    /// What of the head is still to be handed over.
    head: Bytes,
    body: BodyScan,
    /// Most bytes kept for the next request.
    limit: usize,
    signals: Rc<Signals>,
}

impl Gated {
    /// `bytes`: the request's head; `early`: what came behind it.
    pub(super) fn new(
        socket: ClientSocket,
        early: BytesMut,
        bytes: Bytes,
        head: &gate::Head,
        limits: &gate::Limits,
        limit: usize,
        signals: Rc<Signals>,
    ) -> Self {
        let body = BodyScan::new(head.framing, limits.body);
        signals.read.set(body.is_done());
        Self {
            socket,
            early,
            head: bytes,
            body,
            limit,
            signals,
        }
    }

    /// The socket, and what was read beyond the request.
    pub(super) fn into_parts(self) -> (ClientSocket, BytesMut) {
        (self.socket, self.early)
    }

    /// Hands over bytes that are there already; false when there are none for this request.
    fn hand_over(&mut self, into: &mut ReadBuf<'_>) -> io::Result<bool> {
        if !self.head.is_empty() {
            let most = into.remaining().min(self.head.len());
            into.put_slice(&self.head.split_to(most));
            return Ok(true);
        }
        let most = into.remaining().min(self.early.len());
        let belongs = self.body.feed(&self.early[..most]);
        let count = self.follow(belongs)?;
        into.put_slice(&self.early[..count]);
        self.early.advance(count);
        Ok(count > 0)
    }

    /// Notes what the body scan said.
    fn follow(&self, belongs: Result<usize, Fault>) -> io::Result<usize> {
        let belongs = belongs.map_err(|fault| {
            let error = io::Error::new(io::ErrorKind::InvalidData, fault.to_string());
            self.signals.fault.replace(Some(fault));
            error
        })?;
        self.signals.read.set(self.body.is_done());
        Ok(belongs)
    }

    /// Reads more of the request's body from the socket; what lies beyond it is kept.
    fn read_body(
        &mut self,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let count = {
            let mut direct = ReadBuf::new(into.initialize_unfilled());
            ready!(Pin::new(&mut self.socket).poll_read(context, &mut direct))?;
            let read = direct.filled();
            let belongs = self.body.feed(read);
            let belongs = self.follow(belongs)?;
            self.early.extend_from_slice(&read[belongs..]);
            belongs
        };
        into.advance(count);
        Poll::Ready(Ok(()))
    }

    /// The request is complete: whatever comes is kept for the next one. Ready only when the
    /// client has gone.
    fn watch(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.early.len() < self.limit {
            let room = (self.limit - self.early.len()).min(1024);
            let mut buffer = [0; 1024];
            let mut direct = ReadBuf::new(&mut buffer[..room]);
            ready!(Pin::new(&mut self.socket).poll_read(context, &mut direct))?;
            match direct.filled() {
                [] if self.early.is_empty() => return Poll::Ready(Ok(())),
                // It has asked for more before it went: it wants the answers.
                [] => return Poll::Pending,
                bytes => self.early.extend_from_slice(bytes),
            }
        }
        Poll::Pending
    }
}

impl AsyncRead for Gated {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if into.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        if !self.head.is_empty() || (!self.body.is_done() && !self.early.is_empty()) {
            self.hand_over(into)?;
            return Poll::Ready(Ok(()));
        }
        if self.body.is_done() {
            self.watch(context)
        } else {
            self.read_body(context, into)
        }
    }
}

impl AsyncWrite for Gated {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.signals.flushed.set(false);
        Pin::new(&mut self.socket).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.signals.flushed.set(false);
        Pin::new(&mut self.socket).poll_write_vectored(context, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// hyper writes all it has before it flushes, so a flush after the last of the body says that
    /// the answer is out (with `pipeline_flush` off).
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.socket).poll_flush(context))?;
        self.signals.flushed.set(self.signals.answered.get());
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context)
    }
}
