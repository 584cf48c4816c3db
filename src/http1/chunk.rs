//! Chunked transfer coding (RFC 9112 section 7.1), as gripd writes it: without extensions and
//! without trailers. A chunk is made once per published item and shared by all who get it. Reading
//! chunks is the gate's work.

use bytes::Bytes;

/// The last chunk, which ends a body.
pub const LAST: &[u8] = b"0\r\n\r\n";

/// One chunk with this payload, in one buffer without room to spare. An empty payload gives no
/// bytes at all, because a chunk of size 0 would end the body.
pub fn encode(payload: &[u8]) -> Bytes {
    if payload.is_empty() {
        return Bytes::new();
    }
    let mut digits = [0; 16];
    let size = hex(payload.len(), &mut digits);
    let mut chunk = Vec::with_capacity(size.len() + payload.len() + 4);
    chunk.extend_from_slice(size);
    chunk.extend_from_slice(b"\r\n");
    chunk.extend_from_slice(payload);
    chunk.extend_from_slice(b"\r\n");
    chunk.into()
}

fn hex(mut number: usize, digits: &mut [u8; 16]) -> &[u8] {
    let mut start = digits.len();
    while number > 0 && start > 0 {
        start -= 1;
        digits[start] = b"0123456789abcdef"[number & 15];
        number >>= 4;
    }
    &digits[start..]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http1::gate::{BodyScan, Framing};

    #[test]
    fn chunks_have_size_and_line_ends() {
        for (payload, chunk) in [
            (&b"hello\n"[..], &b"6\r\nhello\n\r\n"[..]),
            (&[b'a'; 16], b"10\r\naaaaaaaaaaaaaaaa\r\n"),
            (b"\r\n", b"2\r\n\r\n\r\n"),
        ] {
            assert_eq!(encode(payload), chunk);
        }
    }

    #[test]
    fn an_empty_payload_does_not_end_the_body() {
        assert_eq!(encode(b""), Bytes::new());
    }

    #[test]
    fn the_gate_reads_what_is_written() {
        for size in [1, 9, 15, 16, 17, 255, 256, 4096, 70_000] {
            let mut body = encode(&vec![b'x'; size]).to_vec();
            body.extend_from_slice(LAST);
            let mut scan = BodyScan::new(Framing::Chunked, size as u64);
            assert_eq!(scan.feed(&body), Ok(body.len()));
            assert!(scan.is_done());
        }
    }
}
