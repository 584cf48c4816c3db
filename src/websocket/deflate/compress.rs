//! Compression of messages to clients, each by itself.

use bytes::Bytes;
use flate2::{Compress, Compression, FlushCompress, Status};

use crate::websocket::frame::{self, Opcode};

/// What a flushed stream ends with, and a message on the wire does not (RFC 7692 section 7.2.1).
pub(super) const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];

/// A compressor for any number of messages: some 260 KiB of tables, so one per thread.
#[derive(Debug)]
pub struct Deflater {
    stream: Compress,
    /// Kept between messages up to [`KEPT`].
    out: Vec<u8>,
}

/// Most bytes of the buffer that are kept for the next message.
const KEPT: usize = 64 * 1024;

impl Deflater {
    /// `level` from 1, the fastest, to 9.
    pub fn new(level: u32) -> Self {
        Self {
            stream: Compress::new(Compression::new(level.clamp(1, 9)), false),
            out: Vec::new(),
        }
    }

    /// A text or binary message as one finished frame for all clients that agreed to compression
    /// and can take it ([`super::Agreed::takes`]). If compressing makes it no smaller, the frame is
    /// the plain one, which may be sent as well.
    pub fn encode(&mut self, opcode: Opcode, payload: &[u8]) -> Bytes {
        let smaller = self.compress(payload).is_some() && self.out.len() < payload.len();
        let frame = if smaller {
            frame::encode_compressed(opcode, &self.out)
        } else {
            frame::encode(opcode, payload)
        };
        self.out.clear();
        self.out.shrink_to(KEPT);
        frame
    }

    /// Leaves the compressed payload in `out`, without its tail.
    fn compress(&mut self, payload: &[u8]) -> Option<()> {
        self.stream.reset();
        loop {
            // Room that is always left over shows that the flush is complete.
            self.out.reserve(payload.len() / 4 + 64);
            let read = usize::try_from(self.stream.total_in()).ok()?;
            let rest = payload.get(read..)?;
            let flush = FlushCompress::Sync;
            let status = self.stream.compress_vec(rest, &mut self.out, flush);
            match status.ok()? {
                Status::Ok if self.out.len() == self.out.capacity() => {}
                // With room left a buffer error says that there was nothing more to flush.
                Status::Ok | Status::BufError => break,
                Status::StreamEnd => return None,
            }
        }
        let len = self.out.strip_suffix(&TAIL)?.len();
        self.out.truncate(len);
        Some(())
    }
}
