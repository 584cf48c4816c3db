//! Where a request's body ends, followed across any split of its bytes (RFC 9112 sections 6 and
//! 7.1). It tells which bytes belong to the request, and which of those are its data, and keeps none
//! of them: only the trailer line being read is stored, bounded by [`TRAILERS`].

use super::{
    Fault, Framing,
    field::{self, excerpt, is_control},
};

/// Follows the body of one request.
#[derive(Clone, Debug)]
pub struct BodyScan {
    state: State,
    /// Most bytes of data; 0: no limit.
    limit: u64,
    /// Bytes of data announced by chunks so far.
    total: u64,
    /// Bytes of chunk extensions so far.
    extensions: usize,
    /// The trailer line being read, with its CR.
    line: Vec<u8>,
    /// Bytes and lines of trailers so far, the line being read left out.
    trailer_bytes: usize,
    trailers: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    /// Of a body with a known length: bytes left.
    Length(u64),
    /// In the digits of a chunk's size.
    Size {
        size: u64,
        digits: u8,
    },
    Extension {
        size: u64,
    },
    SizeLf {
        size: u64,
    },
    /// In a chunk's data: bytes left.
    Data(u64),
    DataCr,
    DataLf,
    Trailer,
    Done,
    Broken(Fault),
}

impl BodyScan {
    /// A body framed as its head says, of at most `limit` bytes of data (0: no limit). Framing,
    /// chunk extensions and trailers do not count; they have limits of their own.
    pub fn new(framing: Framing, limit: u64) -> Self {
        let state = match framing {
            Framing::None | Framing::Length(0) => State::Done,
            Framing::Length(length) if limit != 0 && length > limit => {
                State::Broken(Fault::BodyLength { limit })
            }
            Framing::Length(length) => State::Length(length),
            Framing::Chunked => State::Size { size: 0, digits: 0 },
        };
        Self {
            state,
            limit,
            total: 0,
            extensions: 0,
            line: Vec::new(),
            trailer_bytes: 0,
            trailers: 0,
        }
    }

    /// Takes the next bytes and answers how many of them belong to this request. Fewer than all
    /// only when the body is done: the rest is the next request.
    ///
    /// # Errors
    /// The first fault; every later call repeats it.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<usize, Fault> {
        self.follow(bytes, |_| ())
    }

    /// As [`BodyScan::feed`], and appends the body's data to `data`: what is left without sizes,
    /// chunk extensions, line ends and trailers. Never more in all than the limit.
    ///
    /// # Errors
    /// As [`BodyScan::feed`]; data before the fault has been appended.
    pub fn read(&mut self, bytes: &[u8], data: &mut Vec<u8>) -> Result<usize, Fault> {
        self.follow(bytes, |piece| data.extend_from_slice(piece))
    }

    fn follow(&mut self, bytes: &[u8], mut data: impl FnMut(&[u8])) -> Result<usize, Fault> {
        let mut used = 0;
        loop {
            if let State::Broken(fault) = &self.state {
                return Err(fault.clone());
            }
            let rest = &bytes[used..];
            if rest.is_empty() || self.is_done() {
                return Ok(used);
            }
            let is_data = matches!(self.state, State::Length(_) | State::Data(_));
            match self.step(rest) {
                Ok(count) => {
                    if is_data {
                        data(&rest[..count]);
                    }
                    used += count;
                }
                Err(fault) => self.state = State::Broken(fault),
            }
        }
    }

    /// The body has been seen to its end; at once for a request without one.
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Bytes that are still to come, where that is known: always but within a chunked body.
    pub fn remaining_hint(&self) -> Option<u64> {
        match self.state {
            State::Length(left) => Some(left),
            State::Done => Some(0),
            _ => None,
        }
    }

    /// Takes at least one of `rest`, which is not empty.
    fn step(&mut self, rest: &[u8]) -> Result<usize, Fault> {
        match self.state {
            State::Length(left) => Ok(self.skip(left, rest.len(), State::Length, State::Done)),
            State::Data(left) => Ok(self.skip(left, rest.len(), State::Data, State::DataCr)),
            State::Trailer => self.trailer(rest),
            State::Done | State::Broken(_) => Ok(0),
            _ => {
                self.state = self.byte(rest[0])?;
                Ok(1)
            }
        }
    }

    fn skip(&mut self, left: u64, len: usize, more: fn(u64) -> State, end: State) -> usize {
        let taken = usize::try_from(left).map_or(len, |left| left.min(len));
        let left = left - taken as u64;
        self.state = if left == 0 { end } else { more(left) };
        taken
    }

    /// What follows `byte` where bytes are taken one at a time.
    fn byte(&mut self, byte: u8) -> Result<State, Fault> {
        match (&self.state, byte) {
            (State::Size { size, digits }, _) => self.size_byte(*size, *digits, byte),
            (State::Extension { size }, b'\r') => Ok(State::SizeLf { size: *size }),
            (State::Extension { size }, _) => {
                let state = State::Extension { size: *size };
                self.extension_byte(byte)?;
                Ok(state)
            }
            (State::SizeLf { size: 0 }, b'\n') => Ok(State::Trailer),
            (State::SizeLf { size }, b'\n') => self.data(*size),
            (State::SizeLf { .. }, _) => Err(Fault::ChunkSize { limit: DIGITS }),
            (State::DataCr, b'\r') => Ok(State::DataLf),
            (State::DataLf, b'\n') => Ok(State::Size { size: 0, digits: 0 }),
            _ => Err(Fault::ChunkEnd),
        }
    }

    /// White space around a size is refused (RFC 9112 section 7.1.1 lets it be read): recipients
    /// disagree about it, and nothing sound sends it.
    fn size_byte(&mut self, size: u64, digits: u8, byte: u8) -> Result<State, Fault> {
        let fault = Fault::ChunkSize { limit: DIGITS };
        match (byte, char::from(byte).to_digit(16)) {
            (_, Some(digit)) if digits < DIGITS => Ok(State::Size {
                size: size << 4 | u64::from(digit),
                digits: digits + 1,
            }),
            (b'\r', _) if digits > 0 => Ok(State::SizeLf { size }),
            (b';', _) if digits > 0 => {
                self.extension_byte(byte)?;
                Ok(State::Extension { size })
            }
            _ => Err(fault),
        }
    }

    fn extension_byte(&mut self, byte: u8) -> Result<(), Fault> {
        if is_control(byte) {
            return Err(Fault::ChunkExtension);
        }
        self.extensions += 1;
        if self.extensions > EXTENSIONS {
            return Err(Fault::ChunkExtensionLength { limit: EXTENSIONS });
        }
        Ok(())
    }

    fn data(&mut self, size: u64) -> Result<State, Fault> {
        self.total = self.total.saturating_add(size);
        if self.limit != 0 && self.total > self.limit {
            return Err(Fault::BodyLength { limit: self.limit });
        }
        Ok(State::Data(size))
    }

    /// Takes bytes of the trailers up to the next line end.
    fn trailer(&mut self, rest: &[u8]) -> Result<usize, Fault> {
        let line_end = memchr::memchr(b'\n', rest);
        let piece = &rest[..line_end.map_or(rest.len(), |at| at + 1)];
        if self.trailer_bytes + self.line.len() + piece.len() > TRAILERS {
            return Err(Fault::TrailerLength { limit: TRAILERS });
        }
        self.line.extend_from_slice(piece);
        if line_end.is_some() {
            let line = std::mem::take(&mut self.line);
            self.trailer_line(&line)?;
        }
        Ok(piece.len())
    }

    fn trailer_line(&mut self, line: &[u8]) -> Result<(), Fault> {
        let number = self.trailers + 1;
        let within = |fault| Fault::Trailer(Box::new(fault));
        let Some(text) = line.strip_suffix(b"\r\n") else {
            return Err(within(Fault::BareLf { line: number }));
        };
        if text.is_empty() {
            self.state = State::Done;
            return Ok(());
        }
        if self.trailers == TRAILER_COUNT {
            return Err(Fault::TrailerCount {
                limit: TRAILER_COUNT,
            });
        }
        let field = field::field(text, number, false).map_err(within)?;
        if NOT_TRAILERS.iter().any(|name| field.is(name)) {
            return Err(Fault::TrailerName(excerpt(field.name)));
        }
        self.trailers += 1;
        self.trailer_bytes += line.len();
        Ok(())
    }
}

/// Digits of a chunk's size: as many as 64 bits have.
const DIGITS: u8 = 16;

/// Bytes of chunk extensions in one body. Nobody uses them; each is work without a use.
const EXTENSIONS: usize = 4 << 10;

/// Bytes of all trailers of one body, with their line ends.
const TRAILERS: usize = 8 << 10;

/// Trailers of one body.
const TRAILER_COUNT: usize = 64;

/// Framing, routing and connection control may not be changed after the fact (RFC 9110 section
/// 6.5.1).
const NOT_TRAILERS: [&str; 11] = [
    "authorization",
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];
