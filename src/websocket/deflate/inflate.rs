//! Decompression of a peer's messages, never beyond a limit.

use flate2::{Decompress, FlushDecompress, Status};

use super::compress::TAIL;
use crate::websocket::fault::Fault;

/// Inflates the messages of one direction of one connection; some 45 KiB while it lives.
#[derive(Debug)]
pub(in crate::websocket) struct Inflater {
    stream: Decompress,
    /// Nothing has been read since the stream began.
    fresh: bool,
}

impl Inflater {
    pub(in crate::websocket) fn new() -> Self {
        // The largest window, whatever was agreed: a smaller one only saves memory, and peers that
        // keep to 8 bits in truth use 9.
        Self {
            stream: Decompress::new(false),
            fresh: true,
        }
    }

    /// Appends what `bytes`, the next part of a message, inflate to. `out` never has more than
    /// `limit` bytes, however much there would be.
    ///
    /// # Errors
    /// The bytes are not deflate, or there would be more than the limit.
    pub(in crate::websocket) fn push(
        &mut self,
        mut bytes: &[u8],
        out: &mut Vec<u8>,
        limit: usize,
    ) -> Result<(), Fault> {
        while !bytes.is_empty() {
            bytes = self.step(bytes, out, limit)?;
        }
        Ok(())
    }

    /// Reads some of `bytes`, at least one, and all that they give; answers the rest.
    fn step<'a>(
        &mut self,
        mut bytes: &'a [u8],
        out: &mut Vec<u8>,
        limit: usize,
    ) -> Result<&'a [u8], Fault> {
        loop {
            // One byte above the limit tells a message that is too big from one that just fits.
            let most = limit.saturating_add(1) - out.len().min(limit);
            let room = (bytes.len() * 2).max(LEAST_ROOM).min(most);
            let start = out.len();
            out.resize(start + room, 0);
            let (before_in, before_out) = (self.stream.total_in(), self.stream.total_out());
            let flush = FlushDecompress::Sync;
            let status = self.stream.decompress(bytes, &mut out[start..], flush);
            // No more than the lengths of the two slices.
            let read = usize::try_from(self.stream.total_in() - before_in).unwrap_or_default();
            let written = usize::try_from(self.stream.total_out() - before_out).unwrap_or_default();
            out.truncate(start + written);
            if out.len() > limit {
                return Err(Fault::TooBig { limit });
            }
            bytes = &bytes[read..];
            self.fresh &= read == 0;
            match status.map_err(|_| Fault::Deflate)? {
                // A block marked as the last ends the stream, not the message: more may follow.
                Status::StreamEnd => {
                    self.stream.reset(false);
                    self.fresh = true;
                    return Ok(bytes);
                }
                // Full: there may be more, even when all input is taken.
                _ if written == room => {}
                _ if read > 0 => return Ok(bytes),
                // All that was taken is out, and what is left over is of no use to it.
                _ if bytes.is_empty() => return Ok(bytes),
                _ => return Err(Fault::Deflate),
            }
        }
    }

    /// The message ends here: what its compressor held back comes out.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub(in crate::websocket) fn end(
        &mut self,
        out: &mut Vec<u8>,
        limit: usize,
    ) -> Result<(), Fault> {
        // After a last block there is nothing to flush; the tail would begin a block.
        if self.fresh {
            return Ok(());
        }
        self.push(&TAIL, out, limit)
    }
}

/// Room for output that is worth a call.
const LEAST_ROOM: usize = 256;
