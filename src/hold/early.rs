//! What the client of a held request sends ahead, and that it goes away.

use std::{
    io,
    task::{Context, Poll},
};

use crate::hub::Wire;

/// What a client sent ahead while its request was held: the bytes, in order.
#[derive(Debug)]
pub struct Early(pub Vec<u8>);

/// Why a hold ended without its shard's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Left {
    /// The client has gone.
    Gone,
    /// It sent more than may wait.
    TooMuch,
}

impl Early {
    /// Reads ahead; ready when the client has gone or has sent more than `limit`.
    pub(super) fn poll_read(
        &mut self,
        wire: &impl Wire,
        limit: usize,
        context: &mut Context<'_>,
    ) -> Poll<Left> {
        loop {
            match wire.poll_read_ready(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(_)) => return Poll::Ready(Left::Gone),
                Poll::Ready(Ok(())) => {}
            }
            let mut buffer = [0; 1024];
            match wire.try_read(&mut buffer) {
                Ok(0) => return Poll::Ready(Left::Gone),
                Ok(read) if self.0.len() + read > limit => {
                    return Poll::Ready(Left::TooMuch);
                }
                Ok(read) => self.0.extend_from_slice(&buffer[..read]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return Poll::Ready(Left::Gone),
            }
        }
    }
}
