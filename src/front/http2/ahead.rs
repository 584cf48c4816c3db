//! A socket of which some bytes were read before the library got it, and which is closed gently.

use std::{
    future::Future,
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, BytesMut};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};

use super::super::refusal::{DISCARD, LINGER};
use crate::socket::ClientSocket;

/// The socket, and what was read of it.
#[derive(Debug)]
pub(super) struct Ahead {
    socket: ClientSocket,
    early: BytesMut,
    closing: Option<Box<Closing>>,
}

/// Nothing is written any more; what the client still sends is discarded.
#[derive(Debug)]
struct Closing {
    until: Pin<Box<Sleep>>,
    /// Most bytes that are read yet.
    left: usize,
}

impl Ahead {
    pub(super) fn new(socket: ClientSocket, early: BytesMut) -> Self {
        Self {
            socket,
            early,
            closing: None,
        }
    }
}

impl AsyncRead for Ahead {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.early.is_empty() {
            return Pin::new(&mut self.socket).poll_read(context, into);
        }
        let most = into.remaining().min(self.early.len());
        into.put_slice(&self.early[..most]);
        self.early.advance(most);
        if self.early.is_empty() {
            // Its room is not kept for as long as the connection lives.
            self.early = BytesMut::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Ahead {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write_vectored(context, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(context)
    }

    /// Ready when the client has ended its side, too: closing over what it still sends, be it that
    /// it has read something, would reset the connection and destroy what it has not read yet.
    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self {
            socket, closing, ..
        } = &mut *self;
        if closing.is_none() {
            ready!(Pin::new(&mut *socket).poll_shutdown(context))?;
        }
        let closing = closing.get_or_insert_with(|| {
            Box::new(Closing {
                until: Box::pin(sleep(LINGER)),
                left: DISCARD,
            })
        });
        while closing.left > 0 && closing.until.as_mut().poll(context).is_pending() {
            let mut buffer = [0; 1024];
            let mut read = ReadBuf::new(&mut buffer);
            ready!(Pin::new(&mut *socket).poll_read(context, &mut read))?;
            match read.filled().len() {
                0 => break,
                length => closing.left = closing.left.saturating_sub(length),
            }
        }
        Poll::Ready(Ok(()))
    }
}
