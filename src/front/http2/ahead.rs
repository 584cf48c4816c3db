//! A socket of which some bytes were read before the library got it, and which is closed gently.

use std::{
    future::Future,
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll},
};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::super::refusal;
use crate::socket::ClientSocket;

/// The socket, and what was read of it.
pub(super) struct Ahead {
    /// `None` once it is being closed.
    socket: Option<ClientSocket>,
    early: BytesMut,
    closing: Option<Pin<Box<dyn Future<Output = ()>>>>,
}

impl Ahead {
    pub(super) fn new(socket: ClientSocket, early: BytesMut) -> Self {
        Self {
            socket: Some(socket),
            early,
            closing: None,
        }
    }

    fn socket(&mut self) -> io::Result<Pin<&mut ClientSocket>> {
        let socket = self.socket.as_mut().map(Pin::new);
        socket.ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}

impl AsyncRead for Ahead {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.early.is_empty() {
            return self.socket()?.poll_read(context, into);
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
        self.socket()?.poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.socket()?.poll_write_vectored(context, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket()?.poll_flush(context)
    }

    /// Ready when the client has ended its side, too, or has had its time for that.
    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(mut socket) = self.socket.take() {
            // It may still be sending, be it only that it has read something.
            let closing = async move { refusal::close(&mut socket, true).await };
            self.closing = Some(Box::pin(closing));
        }
        match &mut self.closing {
            Some(closing) => closing.as_mut().poll(context).map(Ok),
            None => Poll::Ready(Ok(())),
        }
    }
}
