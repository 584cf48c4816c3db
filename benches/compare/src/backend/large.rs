//! The large body that is under way on a connection of the backend: what is still to be written of
//! one that was asked for, or still to come of one that is handed in.
//!
//! Nothing of it is kept: what is written is always the same piece, what comes is only counted.

use std::io::{self, Write};

use crate::plain::{BODY_LEN, Want, upload_answer};

/// What is left of it.
#[derive(Debug, Default)]
pub(super) enum Large {
    /// So many bytes are still to come, of so many.
    Due(usize, usize),
    #[default]
    None,
    /// So many bytes are still to be written.
    Owed(usize),
}

/// Large bodies are written in pieces of this size.
static PIECE: [u8; 64 * 1024] = [b'x'; 64 * 1024];

impl Large {
    /// Begins to write a body, with the next [`Self::send`].
    pub(super) fn owe(&mut self) {
        *self = Self::Owed(BODY_LEN);
    }

    /// Writes what is owed as far as it fits; true when nothing is left.
    ///
    /// # Errors
    /// The peer is gone.
    pub(super) fn send(&mut self, to: &mut impl Write) -> io::Result<bool> {
        while let Self::Owed(left) = self {
            match to.write(&PIECE[..PIECE.len().min(*left)]) {
                Ok(n) if n == *left => *self = Self::None,
                Ok(n) => *left -= n,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// Takes over the upload whose whole head `buf` begins with, if it does: the head is removed.
    pub(super) fn take_over(&mut self, buf: &mut Vec<u8>, head: usize, body: usize) -> bool {
        if Want::of(buf) != Some(Want::Upload) {
            return false;
        }
        *self = Self::Due(body, body);
        buf.drain(..head);
        let rest = self.swallow(buf).len();
        buf.drain(..buf.len() - rest);
        true
    }

    /// Counts what is due; returns what `bytes` hold behind it.
    pub(super) fn swallow<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let Self::Due(left, _) = self else {
            return bytes;
        };
        let (counted, rest) = bytes.split_at(bytes.len().min(*left));
        *left -= counted.len();
        rest
    }

    /// The answer to an upload that has just come as a whole.
    pub(super) fn answer(&mut self) -> Option<Vec<u8>> {
        let Self::Due(0, whole) = *self else {
            return None;
        };
        *self = Self::None;
        Some(upload_answer(whole))
    }
}
