//! The head of a frame (RFC 6455 section 5.2), read and written, and whole frames made at once.
//! Which frames may follow which is the reader's business.

use bytes::Bytes;

use super::{close, fault::Fault, mask};

/// Most bytes of a ping, pong or close.
pub const CONTROL_LIMIT: usize = 125;

/// Most bytes of a frame's head.
pub const HEAD_LIMIT: usize = 14;

/// The type of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opcode {
    /// Goes on with a message.
    Continuation,
    /// Begins a message of text.
    Text,
    /// Begins a message of bytes.
    Binary,
    /// Ends the connection.
    Close,
    /// Asks for a pong.
    Ping,
    /// Answers a ping.
    Pong,
}

impl Opcode {
    /// Close, ping and pong: short, never in fragments, allowed inside a message.
    pub fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }

    fn parse(bits: u8) -> Result<Self, Fault> {
        Ok(match bits {
            0 => Self::Continuation,
            1 => Self::Text,
            2 => Self::Binary,
            8 => Self::Close,
            9 => Self::Ping,
            10 => Self::Pong,
            _ => return Err(Fault::Opcode(bits)),
        })
    }

    fn bits(self) -> u8 {
        match self {
            Self::Continuation => 0,
            Self::Text => 1,
            Self::Binary => 2,
            Self::Close => 8,
            Self::Ping => 9,
            Self::Pong => 10,
        }
    }
}

/// The head of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The last frame of its message.
    pub fin: bool,
    /// RSV1: a compressed message begins (RFC 7692).
    pub compressed: bool,
    /// The type.
    pub opcode: Opcode,
    /// The masking key.
    pub mask: Option<[u8; 4]>,
    /// Bytes of the payload, at most 63 bits.
    pub len: u64,
}

impl Head {
    /// Reads a head from the beginning of `bytes`, with the number of its bytes; `None` asks for
    /// more. What is wrong is told at the byte that makes it so, however the bytes come. `masked`:
    /// the peer's frames must have a mask; otherwise they must have none.
    ///
    /// # Errors
    /// What this peer may not send whatever was negotiated: RSV2 and RSV3, unknown opcodes, long
    /// or fragmented control frames, lengths in the wrong form, masks.
    pub fn parse(bytes: &[u8], masked: bool) -> Result<Option<(Self, usize)>, Fault> {
        let Some((&first, bytes)) = bytes.split_first() else {
            return Ok(None);
        };
        if first & 0x30 != 0 {
            return Err(Fault::ReservedBits);
        }
        let opcode = Opcode::parse(first & 0x0f)?;
        let fin = first & 0x80 != 0;
        if opcode.is_control() && !fin {
            return Err(Fault::ControlFragment);
        }
        let Some((&second, bytes)) = bytes.split_first() else {
            return Ok(None);
        };
        match (masked, second & 0x80 != 0) {
            (true, false) => return Err(Fault::Unmasked),
            (false, true) => return Err(Fault::Masked),
            _ => {}
        }
        if opcode.is_control() && usize::from(second & 0x7f) > CONTROL_LIMIT {
            return Err(Fault::ControlLength);
        }
        let Some((len, bytes, size)) = length(second & 0x7f, bytes)? else {
            return Ok(None);
        };
        let mask = bytes.first_chunk().copied().filter(|_| masked);
        if masked && mask.is_none() {
            return Ok(None);
        }
        let head = Self {
            fin,
            compressed: first & 0x40 != 0,
            opcode,
            mask,
            len,
        };
        Ok(Some((head, 2 + size + if masked { 4 } else { 0 })))
    }

    /// Appends the head as it goes over the wire, at most [`HEAD_LIMIT`] bytes. The payload that
    /// follows must be masked with the same key ([`mask::apply`]).
    pub fn write(&self, out: &mut Vec<u8>) {
        let fin = if self.fin { 0x80 } else { 0 };
        let compressed = if self.compressed { 0x40 } else { 0 };
        let masked = if self.mask.is_some() { 0x80 } else { 0 };
        out.push(fin | compressed | self.opcode.bits());
        match (u8::try_from(self.len), u16::try_from(self.len)) {
            (Ok(len @ ..126), _) => out.push(masked | len),
            (_, Ok(len)) => {
                out.push(masked | 0x7E);
                out.extend_from_slice(&len.to_be_bytes());
            }
            _ => {
                out.push(masked | 0x7F);
                out.extend_from_slice(&self.len.to_be_bytes());
            }
        }
        out.extend_from_slice(self.mask.as_ref().map_or(&[], <[u8; 4]>::as_slice));
    }
}

/// A payload's length, what stands behind it, and how many bytes it took.
type Length<'a> = (u64, &'a [u8], usize);

/// The length that the seven bits announce, what follows it, and how many bytes it took.
fn length(bits: u8, bytes: &[u8]) -> Result<Option<Length<'_>>, Fault> {
    let (len, rest, least) = match bits {
        126 => {
            let Some((len, rest)) = bytes.split_first_chunk() else {
                return Ok(None);
            };
            (u64::from(u16::from_be_bytes(*len)), rest, 126)
        }
        127 => {
            let Some((len, rest)) = bytes.split_first_chunk() else {
                return Ok(None);
            };
            (u64::from_be_bytes(*len), rest, 1 << 16)
        }
        _ => (u64::from(bits), bytes, 0),
    };
    if len < least {
        return Err(Fault::LengthForm);
    }
    if len >> 63 != 0 {
        return Err(Fault::Length);
    }
    Ok(Some((len, rest, bytes.len() - rest.len())))
}

/// A whole unmasked message in one frame, in one buffer: made once, sent to every client that gets
/// it. A control frame cannot carry more than [`CONTROL_LIMIT`] bytes: what is longer is cut.
pub fn encode(opcode: Opcode, payload: &[u8]) -> Bytes {
    build(opcode, false, payload, None)
}

/// As [`encode`], of a payload that is compressed already. Not for control frames.
pub(super) fn encode_compressed(opcode: Opcode, payload: &[u8]) -> Bytes {
    build(opcode, true, payload, None)
}

/// As [`encode`], masked, for a backend. The key must be new for each frame and not to be guessed
/// (RFC 6455 section 10.3).
pub fn encode_masked(opcode: Opcode, payload: &[u8], key: [u8; 4]) -> Bytes {
    build(opcode, false, payload, Some(key))
}

/// A close frame to a client. See [`close::payload`] for codes and reasons that cannot be sent as
/// they are; a code of `None` gives an empty frame.
pub fn encode_close(code: Option<u16>, reason: &str) -> Bytes {
    let payload = code.map_or_else(Vec::new, |code| close::payload(code, reason));
    encode(Opcode::Close, &payload)
}

fn build(opcode: Opcode, compressed: bool, payload: &[u8], mask: Option<[u8; 4]>) -> Bytes {
    let payload = match payload.get(..CONTROL_LIMIT) {
        Some(cut) if opcode.is_control() => cut,
        _ => payload,
    };
    let head = Head {
        fin: true,
        compressed,
        opcode,
        mask,
        len: payload.len() as u64,
    };
    let mut frame = Vec::with_capacity(head_size(&head) + payload.len());
    head.write(&mut frame);
    let start = frame.len();
    frame.extend_from_slice(payload);
    if let Some(key) = mask {
        mask::apply(&mut frame[start..], key, 0);
    }
    frame.into()
}

/// Exact, so that a frame that is kept for many holds no room to spare.
fn head_size(head: &Head) -> usize {
    let length = match head.len {
        ..126 => 0,
        126..0x1_0000 => 2,
        _ => 8,
    };
    2 + length + if head.mask.is_some() { 4 } else { 0 }
}
