//! A client of HTTP/2 that writes its frames by hand (RFC 9113 sections 4 and 6), also those that
//! nobody may send. Header blocks are literals without Huffman's code (RFC 7541 section 6.2.2), so
//! that a name or a value can be anything.

use crate::support::{Gripd, HOST, Wire};

/// Types of frames.
pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const PRIORITY: u8 = 2;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PUSH_PROMISE: u8 = 5;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;

/// Flags.
pub(crate) const ACK: u8 = 1;
pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;
pub(crate) const PADDED: u8 = 8;

/// Settings.
pub(crate) const HEADER_TABLE_SIZE: u16 = 1;
pub(crate) const MAX_CONCURRENT_STREAMS: u16 = 3;
pub(crate) const INITIAL_WINDOW_SIZE: u16 = 4;
pub(crate) const MAX_FRAME_SIZE: u16 = 5;

/// Errors.
pub(crate) const NO_ERROR: u32 = 0;
pub(crate) const PROTOCOL_ERROR: u32 = 1;
pub(crate) const FLOW_CONTROL_ERROR: u32 = 3;
pub(crate) const STREAM_CLOSED: u32 = 5;
pub(crate) const FRAME_SIZE_ERROR: u32 = 6;
pub(crate) const REFUSED_STREAM: u32 = 7;
pub(crate) const COMPRESSION_ERROR: u32 = 9;
pub(crate) const ENHANCE_YOUR_CALM: u32 = 11;

/// How a connection begins.
pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A frame as it came.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

/// What came of a request.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Outcome {
    /// Status and body, which ended properly.
    Answer(u16, String),
    /// The stream was reset, with this error.
    Reset(u32),
    /// The connection was ended, with this error.
    GoAway(u32),
    /// It was closed without a word.
    Closed,
}

/// A connection.
pub(crate) struct Raw {
    pub(crate) wire: Wire,
    /// Settings of the other side.
    pub(crate) settings: Vec<(u16, u32)>,
}

impl Raw {
    /// Says the preface, and that header blocks are not to refer to earlier ones.
    pub(crate) fn of(gripd: &Gripd) -> Self {
        Self::with(gripd, &[])
    }

    /// The same with more settings.
    pub(crate) fn with(gripd: &Gripd, settings: &[(u16, u32)]) -> Self {
        let mut raw = Self::silent(gripd);
        raw.wire.send(PREFACE);
        let settings = [&[(HEADER_TABLE_SIZE, 0)], settings].concat();
        raw.send(SETTINGS, 0, 0, settings_payload(&settings));
        raw
    }

    /// Says nothing.
    pub(crate) fn silent(gripd: &Gripd) -> Self {
        Self::over(gripd.client())
    }

    /// Says nothing, on a connection of the test's own.
    pub(crate) fn over(wire: Wire) -> Self {
        Self {
            wire,
            settings: Vec::new(),
        }
    }

    /// Sends a frame.
    pub(crate) fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: impl AsRef<[u8]>) {
        self.wire.send(frame(kind, flags, stream, payload));
    }

    /// Sends a request's head.
    pub(crate) fn request(&mut self, stream: u32, flags: u8, fields: &[(&str, &str)]) {
        self.send(HEADERS, flags | END_HEADERS, stream, block(fields));
    }

    /// Sends a `GET`.
    pub(crate) fn get(&mut self, stream: u32, path: &str) {
        self.request(stream, END_STREAM, &get(path));
    }

    /// Lets the other side send so many bytes more; `stream` 0: of the connection.
    pub(crate) fn open_window(&mut self, stream: u32, by: u32) {
        self.send(WINDOW_UPDATE, 0, stream, by.to_be_bytes());
    }

    /// Reads a frame; `None` at the end of the connection. Settings and pings are answered, where
    /// that is still possible.
    pub(crate) fn try_frame(&mut self) -> Option<Frame> {
        let head = self.wire.try_exact(9);
        let head: [u8; 9] = head.try_into().ok()?;
        let len = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let payload = self.wire.try_exact(len as usize);
        if payload.len() < len as usize {
            return None;
        }
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        let frame = Frame {
            kind: head[3],
            flags: head[4],
            stream,
            payload,
        };
        self.react(&frame);
        Some(frame)
    }

    fn react(&mut self, got: &Frame) {
        let is_ack = got.flags & ACK != 0;
        if got.kind == SETTINGS && !is_ack {
            for pair in got.payload.chunks(6) {
                let id = u16::from_be_bytes([pair[0], pair[1]]);
                let value = u32::from_be_bytes([pair[2], pair[3], pair[4], pair[5]]);
                self.settings.push((id, value));
            }
            self.wire.try_send(frame(SETTINGS, ACK, 0, ""));
        }
        if got.kind == PING && !is_ack {
            self.wire.try_send(frame(PING, ACK, 0, &got.payload));
        }
    }

    /// Reads frames up to one that is wanted.
    pub(crate) fn until(&mut self, what: &str, wanted: impl Fn(&Frame) -> bool) -> Frame {
        let mut others = Vec::new();
        while let Some(frame) = self.try_frame() {
            if wanted(&frame) {
                return frame;
            }
            others.push((frame.kind, frame.flags, frame.stream));
        }
        panic!("the connection ended before {what}; what came: {others:?}");
    }

    /// Reads a frame of this type and stream.
    pub(crate) fn expect(&mut self, kind: u8, stream: u32) -> Frame {
        let what = format!("a frame of type {kind} on stream {stream}");
        self.until(&what, |one| one.kind == kind && one.stream == stream)
    }

    /// Reads the head of an answer: its status, and whether nothing follows.
    pub(crate) fn head(&mut self, stream: u32) -> (u16, bool) {
        let head = self.expect(HEADERS, stream);
        assert_ne!(head.flags & END_HEADERS, 0, "{head:?}");
        (status(&head.payload), head.flags & END_STREAM != 0)
    }

    /// Reads what came of a request. Windows are kept open.
    pub(crate) fn outcome(&mut self, stream: u32) -> Outcome {
        let (mut code, mut body) = (None, Vec::new());
        while let Some(frame) = self.try_frame() {
            match frame.kind {
                GOAWAY => return Outcome::GoAway(error(&frame, 4)),
                RST_STREAM if frame.stream == stream => return Outcome::Reset(error(&frame, 0)),
                HEADERS if frame.stream == stream && code.is_none_or(|code| code == 100) => {
                    code = Some(status(&frame.payload));
                }
                DATA if frame.stream == stream => {
                    body.extend_from_slice(&frame.payload);
                    let len = u32::try_from(frame.payload.len()).unwrap();
                    if len > 0 {
                        for whose in [0, stream] {
                            let update = self::frame(WINDOW_UPDATE, 0, whose, len.to_be_bytes());
                            self.wire.try_send(update);
                        }
                    }
                }
                _ => continue,
            }
            if frame.flags & END_STREAM != 0 {
                let text = String::from_utf8_lossy(&body).into_owned();
                return Outcome::Answer(code.expect("a head comes first"), text);
            }
        }
        Outcome::Closed
    }

    /// Reads to the end of the connection; the error that it ends with, if it is told.
    pub(crate) fn goaway(&mut self) -> Option<u32> {
        let mut found = None;
        while let Some(frame) = self.try_frame() {
            if frame.kind == GOAWAY {
                found = Some(error(&frame, 4));
            }
        }
        found
    }

    /// Reads a body to its end, of which something may have been read before.
    pub(crate) fn rest_of(&mut self, stream: u32) -> String {
        let mut body = Vec::new();
        loop {
            let frame = self.expect(DATA, stream);
            body.extend_from_slice(&frame.payload);
            if frame.flags & END_STREAM != 0 {
                return String::from_utf8_lossy(&body).into_owned();
            }
        }
    }

    /// Everything sent so far has been read by the other side.
    pub(crate) fn settle(&mut self) {
        self.settle_without(u8::MAX);
    }

    /// The same, and meanwhile no frame of this type has come.
    pub(crate) fn settle_without(&mut self, kind: u8) {
        self.send(PING, 0, 0, *b"settled?");
        self.until("the answer to a ping", |frame| {
            assert_ne!(frame.kind, kind, "{frame:?}");
            frame.kind == PING && frame.flags & ACK != 0 && frame.payload == b"settled?"
        });
    }
}

/// A frame's bytes.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: impl AsRef<[u8]>) -> Vec<u8> {
    let payload = payload.as_ref();
    let len = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut raw = vec![len[1], len[2], len[3], kind, flags];
    raw.extend_from_slice(&stream.to_be_bytes());
    raw.extend_from_slice(payload);
    raw
}

/// The payload of a SETTINGS frame.
pub(crate) fn settings_payload(settings: &[(u16, u32)]) -> Vec<u8> {
    let pairs = settings.iter();
    pairs
        .flat_map(|(id, value)| [&id.to_be_bytes()[..], &value.to_be_bytes()].concat())
        .collect()
}

/// The fields of a `GET` at [`HOST`].
pub(crate) fn get(path: &str) -> [(&str, &str); 4] {
    [
        (":method", "GET"),
        (":scheme", "http"),
        (":authority", HOST),
        (":path", path),
    ]
}

/// The fields of a `POST` at [`HOST`].
pub(crate) fn post(path: &str) -> [(&str, &str); 4] {
    let mut fields = get(path);
    fields[0].1 = "POST";
    fields
}

/// A header block, of text.
pub(crate) fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let fields = fields.iter();
    fields
        .flat_map(|(name, value)| field(name.as_bytes(), value.as_bytes()))
        .collect()
}

/// A field, of any bytes: a literal that is not to be remembered.
pub(crate) fn field(name: &[u8], value: &[u8]) -> Vec<u8> {
    [&[0][..], &string(name), &string(value)].concat()
}

/// A field that is to be remembered.
pub(crate) fn indexed_field(name: &[u8], value: &[u8]) -> Vec<u8> {
    [&[0x40][..], &string(name), &string(value)].concat()
}

fn string(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut left = text.len();
    if left < 127 {
        out.push(u8::try_from(left).unwrap());
    } else {
        out.push(127);
        left -= 127;
        while left >= 128 {
            out.push(u8::try_from(left % 128).unwrap() | 128);
            left /= 128;
        }
        out.push(u8::try_from(left).unwrap());
    }
    out.extend_from_slice(text);
    out
}

/// The error in a frame: `at` 0 where it resets a stream, 4 where it says goodbye.
pub(crate) fn error(frame: &Frame, at: usize) -> u32 {
    u32::from_be_bytes(frame.payload[at..at + 4].try_into().unwrap())
}

/// The status in a header block, which it begins (RFC 9113 section 8.3.2).
fn status(block: &[u8]) -> u16 {
    // A change of the table's size may stand before it.
    let start = block.iter().position(|byte| byte & 0xe0 != 0x20).unwrap();
    let block = &block[start..];
    let known = [200, 204, 206, 304, 400, 404, 500];
    match block[0] {
        byte @ 0x88..=0x8e => known[usize::from(byte - 0x88)],
        0x08 | 0x18 | 0x48 => {
            let len = usize::from(block[1] & 0x7f);
            let text = &block[2..2 + len];
            if block[1] & 0x80 == 0 {
                std::str::from_utf8(text).unwrap().parse().unwrap()
            } else {
                digits(text)
            }
        }
        byte => panic!("an answer does not begin with its status: {byte:#x}"),
    }
}

/// Three digits in Huffman's code (RFC 7541 appendix B).
fn digits(text: &[u8]) -> u16 {
    let bits = text
        .iter()
        .flat_map(|byte| (0..8).rev().map(move |n| byte >> n & 1));
    let bits: Vec<u16> = bits.map(u16::from).collect();
    let take = |from: usize, len: usize| bits[from..from + len].iter().fold(0, |n, b| n << 1 | b);
    let (mut at, mut number) = (0, 0);
    for _ in 0..3 {
        let (digit, len) = match take(at, 5) {
            short @ 0..=2 => (short, 5),
            _ => (take(at, 6) - 0b01_1001 + 3, 6),
        };
        number = number * 10 + digit;
        at += len;
    }
    number
}
