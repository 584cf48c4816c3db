//! Chunked transfer coding (RFC 9112 section 7.1), as gripd writes it.
use bytes::Bytes;
/// The last chunk.
pub const LAST: &[u8] = b"0\r\n\r\n";
/// A chunk.
pub fn encode(payload: &[u8]) -> Bytes {
    Bytes::copy_from_slice(payload)
}
