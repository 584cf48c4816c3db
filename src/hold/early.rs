//! The socket of a held request beside its shard: what its client sends ahead, and the last answer.

use std::{
    io,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{io::AsyncWriteExt, net::TcpStream};

use crate::hub::Wire;

/// What a client sent ahead while its request was held.
#[derive(Debug)]
pub struct Early {
    /// The bytes, in order.
    pub bytes: Vec<u8>,
    /// Most of them. One more, and the hold ends.
    pub limit: usize,
}

/// Why a hold ended without its shard's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Left {
    /// The client has gone.
    Gone,
    /// It sent more than may wait.
    TooMuch,
}

impl Early {
    /// Reads ahead; ready when the client has gone or has sent too much.
    pub(super) fn poll_read(&mut self, wire: &impl Wire, context: &mut Context<'_>) -> Poll<Left> {
        loop {
            match wire.poll_read_ready(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(_)) => return Poll::Ready(Left::Gone),
                Poll::Ready(Ok(())) => {}
            }
            let mut buffer = [0; 1024];
            match wire.try_read(&mut buffer) {
                Ok(0) => return Poll::Ready(Left::Gone),
                Ok(read) if self.bytes.len() + read > self.limit => {
                    return Poll::Ready(Left::TooMuch);
                }
                Ok(read) => self.bytes.extend_from_slice(&buffer[..read]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return Poll::Ready(Left::Gone),
            }
        }
    }
}

/// Writes everything; an error when the peer takes nothing for too long.
pub(super) async fn write_all(socket: &mut TcpStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let written = tokio::time::timeout(STALLED, socket.write(bytes)).await??;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        bytes = &bytes[written..];
    }
    Ok(())
}

/// How long a write of an answer may make no progress.
const STALLED: Duration = Duration::from_mins(1);
