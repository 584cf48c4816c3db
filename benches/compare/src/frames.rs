//! As much of WebSocket frames (RFC 6455 section 5, RFC 7692) as is needed here: texts in both
//! directions, and a counter of the messages that a server sends.

use std::io::Write as _;

use anyhow::{Result, bail};
use flate2::{Compression, write::DeflateEncoder};

/// The key that every client sends (that of RFC 6455 section 1.3).
pub const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

/// What a server makes of it.
pub const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

const FIN: u8 = 0x80;
const RSV1: u8 = 0x40;
const TEXT: u8 = 1;

/// A server's text.
pub fn text(content: &[u8]) -> Vec<u8> {
    frame(FIN | TEXT, 0, content)
}

/// A server's text, compressed without reference to others.
pub fn compressed(content: &[u8]) -> Vec<u8> {
    let mut out = DeflateEncoder::new(Vec::new(), Compression::default());
    // Nothing fails in memory.
    drop(out.write_all(content).and_then(|()| out.flush()));
    let mut payload = out.get_ref().clone();
    // The end of a flush is left out (RFC 7692 section 7.2.1).
    payload.truncate(payload.len().saturating_sub(4));
    frame(FIN | RSV1 | TEXT, 0, &payload)
}

/// A client's text.
pub fn masked(content: &[u8]) -> Vec<u8> {
    let mask = [0x12, 0x34, 0x56, 0x78];
    let pairs = content.iter().zip(mask.iter().cycle());
    let payload: Vec<u8> = pairs.map(|(byte, mask)| byte ^ mask).collect();
    let mut out = frame(FIN | TEXT, 0x80, &payload);
    let at = out.len() - payload.len();
    out.splice(at..at, mask);
    out
}

fn frame(first: u8, mask_bit: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![first];
    match u16::try_from(payload.len()) {
        Ok(short @ 0..=125) => out.push(mask_bit | short.to_be_bytes()[1]),
        Ok(middle) => {
            out.push(mask_bit | 0x7e);
            out.extend_from_slice(&middle.to_be_bytes());
        }
        Err(_) => {
            out.push(mask_bit | 0x7f);
            out.extend_from_slice(&(payload.len() as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(payload);
    out
}

/// Counts the messages that a server sends, however they are cut.
#[derive(Debug, Default)]
pub struct Counter {
    /// The first bytes of a frame, as far as they came.
    head: [u8; 10],
    have: usize,
    /// Bytes of its payload that are still to come; none before its head is whole.
    left: Option<u64>,
    /// Compressed messages so far.
    compressed: u32,
}

impl Counter {
    /// Compressed messages so far.
    pub fn compressed(&self) -> u32 {
        self.compressed
    }

    /// How many messages end in `bytes`.
    ///
    /// # Errors
    /// There is a frame of another kind: nobody here has asked for pings, or expects a close.
    pub fn count(&mut self, mut bytes: &[u8]) -> Result<u32> {
        let mut ended = 0;
        while let [first, rest @ ..] = bytes {
            if let Some(left) = &mut self.left {
                let step = bytes
                    .len()
                    .min(usize::try_from(*left).unwrap_or(usize::MAX));
                *left -= step as u64;
                bytes = &bytes[step..];
            } else {
                self.head[self.have] = *first;
                self.have += 1;
                bytes = rest;
                self.left = self.length()?;
            }
            if self.left == Some(0) {
                ended += u32::from(self.head[0] & FIN != 0);
                self.compressed += u32::from(self.head[0] & RSV1 != 0);
                (self.have, self.left) = (0, None);
            }
        }
        Ok(ended)
    }

    /// The payload's length, once the head is whole.
    fn length(&self) -> Result<Option<u64>> {
        let [first, second, long @ ..] = &self.head;
        if first & 0x3f > TEXT {
            bail!("a frame that is no text: {first:#04x}");
        }
        let size = |width| {
            let bytes = &long[..width];
            bytes
                .iter()
                .fold(0, |sum, byte| sum << 8 | u64::from(*byte))
        };
        Ok(match (self.have, second) {
            (4, 126) => Some(size(2)),
            (10, 127) => Some(size(8)),
            (2, short @ 0..=125) => Some(u64::from(*short)),
            (2, 128..) => bail!("a server masks nothing"),
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn messages_are_counted_however_they_are_cut() {
        let large = vec![b'$'; 70_000];
        let all = [
            text(b""),
            text(b"ok"),
            frame(TEXT, 0, b"frag"),
            frame(FIN, 0, b"ment"),
            text(&large[..126]),
            compressed(&large),
            text(&large),
        ]
        .concat();
        for cut in (0..300).chain(all.len() - 300..all.len()) {
            let mut counter = Counter::default();
            let first = counter.count(&all[..cut]).unwrap();
            let second = counter.count(&all[cut..]).unwrap();
            assert_eq!(first + second, 6, "cut at {cut}");
            assert_eq!(counter.compressed(), 1, "cut at {cut}");
        }
    }

    #[test]
    fn other_frames_are_faults() {
        for raw in [&[0x88, 0][..], &[0x89, 0], &[0xa1, 0], &masked(b"hi")] {
            assert!(Counter::default().count(raw).is_err(), "{raw:x?}");
        }
    }

    #[test]
    fn a_client_masks() {
        let raw = masked(b"Hello");
        assert_eq!(raw[..6], [0x81, 0x85, 0x12, 0x34, 0x56, 0x78]);
        assert_eq!(raw[6] ^ 0x12, b'H');
        assert_eq!(raw[10] ^ 0x12, b'o');
    }

    #[test]
    fn what_is_compressed_can_be_read_again() {
        let content = b"again and again and again and again and again";
        let raw = compressed(content);
        assert_eq!(raw[0], 0xc1);
        let payload = [&raw[2..], b"\0\0\xff\xff"].concat();
        let mut out = Vec::new();
        let mut reader = flate2::read::DeflateDecoder::new(&payload[..]);
        // The stream has no end: reading stops where the bytes do.
        drop(reader.read_to_end(&mut out));
        assert_eq!(out, content);
    }
}
