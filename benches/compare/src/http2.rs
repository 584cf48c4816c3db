//! As much of HTTP/2 (RFC 9113) as a client of event streams needs, without TLS: what it sends
//! first, its requests, and frames. [`connection`] is what it makes of the server's.

use anyhow::{Context, Result, bail};

pub mod connection;

/// Streams that one connection carries, where they share one.
pub const SHARED: usize = 100;

/// Bytes that a server may send on a connection, and on a stream, before it is told to go on.
pub const CONNECTION_WINDOW: u32 = 15 << 20;
/// See [`CONNECTION_WINDOW`].
pub const STREAM_WINDOW: u32 = 6 << 20;

/// The connection's window before anything is said of it.
const FIRST_WINDOW: u32 = 65_535;

/// No setting here allows longer frames.
const MAX_PAYLOAD: usize = 16_384;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A browser's settings: the table for heads, no pushes, the window of a stream, the length of heads.
const BROWSER_SETTINGS: [(u16, u32); 4] = [(1, 65_536), (2, 0), (4, STREAM_WINDOW), (6, 262_144)];

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;

pub(crate) const ACK: u8 = 1;
pub(crate) const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const PADDED: u8 = 8;
const PRIORITY: u8 = 0x20;

/// What a client sends first.
pub fn preface() -> Vec<u8> {
    let settings: Vec<u8> = BROWSER_SETTINGS
        .iter()
        .flat_map(|(name, value)| [&name.to_be_bytes()[..], &value.to_be_bytes()].concat())
        .collect();
    [
        PREFACE,
        &frame(SETTINGS, 0, 0, &settings),
        &window_update(0, CONNECTION_WINDOW - FIRST_WINDOW),
    ]
    .concat()
}

/// Lets the server send so many bytes more on a stream, or, with 0, on the connection.
pub fn window_update(stream: u32, bytes: u32) -> Vec<u8> {
    frame(WINDOW_UPDATE, 0, stream, &bytes.to_be_bytes())
}

/// A frame with a payload that is not too long for one.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let [_, len @ ..] = u32::try_from(payload.len())
        .unwrap_or(u32::MAX)
        .to_be_bytes();
    let stream = stream.to_be_bytes();
    [&len[..], &[kind, flags], &stream, payload].concat()
}

/// A frame that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// What it is.
    pub kind: u8,
    /// What they mean depends on the kind.
    pub flags: u8,
    /// Of which stream; 0 of the connection.
    pub stream: u32,
    /// Its content.
    pub payload: &'a [u8],
}

impl<'a> Frame<'a> {
    /// Takes the first frame of `bytes`; none before it is whole.
    ///
    /// # Errors
    /// It is too long, or has what no server here sends: padding or a priority.
    pub fn take(bytes: &mut &'a [u8]) -> Result<Option<Self>> {
        let Some(([a, b, c, kind, flags, stream @ ..], rest)) = bytes.split_first_chunk::<9>()
        else {
            return Ok(None);
        };
        let len = u32::from_be_bytes([0, *a, *b, *c]) as usize;
        if len > MAX_PAYLOAD {
            bail!("a frame of {len} bytes");
        }
        if matches!(*kind, DATA | HEADERS) && flags & (PADDED | PRIORITY) != 0 {
            bail!("a frame with the flags {flags:#04x}");
        }
        let Some((payload, rest)) = rest.split_at_checked(len) else {
            return Ok(None);
        };
        *bytes = rest;
        Ok(Some(Self {
            kind: *kind,
            flags: *flags,
            stream: u32::from_be_bytes(*stream) & (u32::MAX >> 1),
            payload,
        }))
    }

    /// Is this the head of an answer with the status 200? Servers write that as the one byte that it
    /// has in the table of RFC 7541 (appendix A), at most behind a new size of their own table.
    pub fn is_ok(&self) -> bool {
        let size = |byte: &u8| byte & 0xe0 == 0x20;
        let size = self.payload.iter().take_while(|byte| size(byte)).count();
        self.kind == HEADERS && self.payload.get(size) == Some(&0x88)
    }
}

/// The request of all streams, as browsers write it: on a connection the first is in full, and the
/// server keeps its fields in the connection's table (RFC 7541 section 6.2.1); those behind it name
/// places there. Without Huffman's code.
#[derive(Debug)]
pub struct Head {
    first: Vec<u8>,
    again: Vec<u8>,
}

impl Head {
    /// That of a request of HTTP/1.
    ///
    /// # Errors
    /// It is none.
    pub fn of(request: &[u8]) -> Result<Self> {
        let fields = fields(std::str::from_utf8(request)?).context("not a request")?;
        let mut first = Vec::new();
        for (name, value) in &fields {
            first.push(ADDED);
            for text in [name.as_str(), value] {
                length(&mut first, text.len());
                first.extend_from_slice(text.as_bytes());
            }
        }
        // The last one added comes first.
        let mut again: Vec<u8> = (INDEXED | FIRST_PLACE..).take(fields.len()).collect();
        again.reverse();
        Ok(Self { first, again })
    }

    /// The request of a stream.
    pub fn request(&self, stream: u32) -> Vec<u8> {
        let block = if stream == 1 {
            &self.first
        } else {
            &self.again
        };
        frame(HEADERS, END_HEADERS | END_STREAM, stream, block)
    }
}

/// A literal field that is added to the table, with a name that is not from there.
const ADDED: u8 = 0x40;

/// A field of the table.
const INDEXED: u8 = 0x80;

/// Behind those that are always there.
const FIRST_PLACE: u8 = 62;

/// Writes a length of 7 bits or more (RFC 7541 section 5.1).
fn length(out: &mut Vec<u8>, len: usize) {
    let Some(mut left) = len.checked_sub(127) else {
        out.extend(len.to_le_bytes().first());
        return;
    };
    out.push(127);
    while left >= 128 {
        out.push(0x80 | left.to_le_bytes()[0]);
        left >>= 7;
    }
    out.extend(left.to_le_bytes().first());
}

/// What HTTP/2 makes of a request's lines (RFC 9113 section 8.3.1).
fn fields(request: &str) -> Option<Vec<(String, &str)>> {
    let mut lines = request.lines();
    let mut words = lines.next()?.split(' ');
    let lines: Vec<(&str, &str)> = lines.filter_map(|line| line.split_once(": ")).collect();
    let host = lines.iter().find(|(name, _)| *name == "Host")?;
    let pseudo = [
        (":method", words.next()?),
        (":authority", host.1),
        (":scheme", "http"),
        (":path", words.next()?),
    ];
    let others = lines.into_iter();
    let others = others.filter(|(name, _)| !matches!(*name, "Host" | "Connection"));
    let all = pseudo.into_iter().chain(others);
    Some(
        all.map(|(name, value)| (name.to_ascii_lowercase(), value))
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Hold;

    #[test]
    fn frames_are_read_as_they_were_written() {
        let written = [
            frame(DATA, END_STREAM, 7, b"data"),
            frame(PING, 0, 0, &[1; 8]),
        ]
        .concat();
        assert_eq!(written[..9], [0, 0, 4, 0, 1, 0, 0, 0, 7]);
        for cut in 0..13 {
            assert_eq!(Frame::take(&mut &written[..cut]).unwrap(), None);
        }
        let mut left = &written[..];
        let data = Frame::take(&mut left).unwrap().unwrap();
        assert_eq!((data.kind, data.flags, data.stream), (DATA, END_STREAM, 7));
        assert_eq!(data.payload, b"data");
        assert_eq!(Frame::take(&mut left).unwrap().unwrap().kind, PING);
        assert!(left.is_empty());
    }

    #[test]
    fn frames_that_nobody_sends_are_faults() {
        for raw in [[1, 0, 0, 0, 0, 0, 0, 0, 1], [0, 0, 0, 1, 0x20, 0, 0, 0, 1]] {
            assert!(Frame::take(&mut &raw[..]).is_err(), "{raw:x?}");
        }
    }

    #[test]
    fn only_200_is_good() {
        let cases: [(&[u8], bool); 5] = [
            (&[0x88], true),
            (&[0x20, 0x88, 0x61], true),
            (&[0x8e], false),
            (b"\x48\x03502", false),
            (&[], false),
        ];
        for (block, good) in cases {
            let raw = frame(HEADERS, END_HEADERS, 1, block);
            let head = Frame::take(&mut &raw[..]).unwrap().unwrap();
            assert_eq!(head.is_ok(), good, "{block:x?}");
        }
    }

    #[test]
    fn the_head_is_written_in_full_and_then_by_its_places() {
        let request = b"GET /a HTTP/1.1\r\nHost: b\r\nConnection: close\r\nX-C: d\r\n\r\n";
        let head = Head::of(request).unwrap();
        let full = b"\x40\x07:method\x03GET\x40\x0a:authority\x01b\x40\x07:scheme\x04http\
                     \x40\x05:path\x02/a\x40\x03x-c\x01d";
        assert_eq!(head.request(1), frame(HEADERS, 5, 1, full));
        let places = [0xc2, 0xc1, 0xc0, 0xbf, 0xbe];
        assert_eq!(head.request(3), frame(HEADERS, 5, 3, &places));
        assert!(Head::of(b"GET /a HTTP/1.1\r\n\r\n").is_err());
    }

    #[test]
    fn a_browsers_head_fits_into_the_table() {
        let request = Hold::Http2.browser_head(0);
        let fields = fields(std::str::from_utf8(&request).unwrap()).unwrap();
        let size = |(name, value): &(String, &str)| name.len() + value.len() + 32;
        let table: usize = fields.iter().map(size).sum();
        assert!((1000..4096).contains(&table), "{table}");
        assert!((800..950).contains(&Head::of(&request).unwrap().request(1).len()));
    }

    #[test]
    fn lengths_have_seven_bits_and_more() {
        let cases: [(usize, &[u8]); 4] = [
            (5, &[5]),
            (127, &[127, 0]),
            (254, &[127, 127]),
            (1337, &[127, 0xba, 0x09]),
        ];
        for (number, bytes) in cases {
            let mut out = Vec::new();
            length(&mut out, number);
            assert_eq!(out, bytes, "{number}");
        }
    }
}
