//! Takes a chunked request body apart. Pure: bytes go in as they arrive, the body comes out when
//! it is complete. Source: RFC 9112 section 7.1. Chunk extensions and trailers are skipped.

use bytes::{Buf, Bytes, BytesMut};
use httparse::Status;

use super::fault::Fault;

/// A chunked body on its way in.
#[derive(Debug)]
pub(super) struct Chunked {
    body: BytesMut,
    step: Step,
    max_body: usize,
    /// Bytes that trailers may still take.
    trailer_room: usize,
}

/// What comes next.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// A line with a chunk's size.
    Size,
    /// This many bytes of a chunk.
    Data(usize),
    /// The line end behind a chunk.
    DataEnd,
    /// A trailer line, or the empty line that ends the body.
    Trailer,
}

/// Most bytes of a line that gives a chunk's size, extensions included.
const MAX_SIZE_LINE: usize = 256;

/// Most bytes of trailers.
const MAX_TRAILERS: usize = 4096;

impl Chunked {
    /// Nothing has arrived yet. `max_body` in bytes, framing not counted.
    pub(super) fn new(max_body: usize) -> Self {
        Self {
            body: BytesMut::new(),
            step: Step::Size,
            max_body,
            trailer_room: MAX_TRAILERS,
        }
    }

    /// Takes what it can from `input`. The body when it is complete; what then is left in `input`
    /// comes behind it. `None`: more is needed, and at most one line is left in `input`.
    ///
    /// # Errors
    /// [`Fault::BadChunk`], or [`Fault::BodyTooLarge`] as soon as a chunk's size says so.
    pub(super) fn feed(&mut self, input: &mut BytesMut) -> Result<Option<Bytes>, Fault> {
        loop {
            let next = match self.step {
                Step::Size => self.size(input)?,
                Step::Data(left) => self.data(input, left),
                Step::DataEnd => line(input, 2)?.map(|_| Step::Size),
                Step::Trailer => {
                    let Some(length) = line(input, self.trailer_room)? else {
                        return Ok(None);
                    };
                    if length == 2 {
                        return Ok(Some(self.body.split().freeze()));
                    }
                    self.trailer_room -= length;
                    Some(Step::Trailer)
                }
            };
            match next {
                Some(step) => self.step = step,
                None => return Ok(None),
            }
        }
    }

    fn size(&self, input: &mut BytesMut) -> Result<Option<Step>, Fault> {
        let (start, size) = match httparse::parse_chunk_size(input) {
            Ok(Status::Complete(found)) => found,
            Ok(Status::Partial) if input.len() <= MAX_SIZE_LINE => return Ok(None),
            _ => return Err(Fault::BadChunk),
        };
        // httparse takes a line without digits as 0, and a bare LF as a part of an extension.
        let starts_well = input[0].is_ascii_hexdigit();
        let one_line = memchr::memchr(b'\n', input) == Some(start - 1);
        if start > MAX_SIZE_LINE || !starts_well || !one_line {
            return Err(Fault::BadChunk);
        }
        input.advance(start);
        let room = self.max_body - self.body.len();
        match usize::try_from(size) {
            Ok(0) => Ok(Some(Step::Trailer)),
            Ok(size) if size <= room => Ok(Some(Step::Data(size))),
            _ => Err(Fault::BodyTooLarge(self.max_body)),
        }
    }

    fn data(&mut self, input: &mut BytesMut, left: usize) -> Option<Step> {
        let piece = input.split_to(left.min(input.len()));
        self.body.extend_from_slice(&piece);
        match left - piece.len() {
            0 => Some(Step::DataEnd),
            left => {
                self.step = Step::Data(left);
                None
            }
        }
    }
}

/// Takes one line of at most `max` bytes, its CR LF included, and tells its length.
fn line(input: &mut BytesMut, max: usize) -> Result<Option<usize>, Fault> {
    let end = memchr::memchr(b'\n', input);
    let length = end.map_or(input.len(), |at| at + 1);
    let ends_well = end.is_none() || input[..length].ends_with(b"\r\n");
    if length > max || !ends_well {
        return Err(Fault::BadChunk);
    }
    if end.is_some() {
        input.advance(length);
    }
    Ok(end.map(|_| length))
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use proptest::prelude::*;

    use super::*;

    fn whole(input: &str, max: usize) -> (Result<Option<Bytes>, Fault>, BytesMut) {
        let mut input = BytesMut::from(input);
        (Chunked::new(max).feed(&mut input), input)
    }

    #[test]
    fn bodies_are_put_together() {
        let table = [
            ("0\r\n\r\n", "", ""),
            ("3\r\nabc\r\n0\r\n\r\nrest", "abc", "rest"),
            (
                "1;x=y\r\na\r\n2\r\nbc\r\n0\r\nA: b\r\nC: d\r\n\r\n",
                "abc",
                "",
            ),
            ("A\r\n0123456789\r\n00\r\n\r\n", "0123456789", ""),
        ];
        for (input, body, rest) in table {
            let (found, left) = whole(input, 10);
            assert_eq!(found, Ok(Some(Bytes::from(body))), "{input:?}");
            assert_eq!(left, rest, "{input:?}");
        }
    }

    #[test]
    fn faults_are_found() {
        let long_line = format!("1;{}\r\na\r\n", "x".repeat(MAX_SIZE_LINE));
        let long_trailer = format!("0\r\n{}", "A: b\r\n".repeat(MAX_TRAILERS / 6 + 1));
        let table = [
            ("x\r\n", Fault::BadChunk),
            ("-1\r\n", Fault::BadChunk),
            ("\r\n", Fault::BadChunk),
            (" 1\r\na\r\n", Fault::BadChunk),
            ("1;a\nb\r\na\r\n", Fault::BadChunk),
            ("1\na\r\n", Fault::BadChunk),
            ("1\r\nab\r\n", Fault::BadChunk),
            ("1\r\na\n0\r\n\r\n", Fault::BadChunk),
            ("0\r\nA: b\n\r\n", Fault::BadChunk),
            ("11111111111111111\r\n", Fault::BadChunk),
            (long_line.as_str(), Fault::BadChunk),
            (long_trailer.as_str(), Fault::BadChunk),
            ("B\r\n", Fault::BodyTooLarge(10)),
            ("9\r\n123456789\r\n2\r\n", Fault::BodyTooLarge(10)),
            ("ffffffffffffffff\r\n", Fault::BodyTooLarge(10)),
        ];
        for (input, fault) in table {
            assert_eq!(whole(input, 10).0, Err(fault), "{input:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = Chunked::new(50).feed(&mut BytesMut::from(&bytes[..]));
        }

        #[test]
        fn however_it_is_cut_the_body_is_the_same(
            chunks in proptest::collection::vec("[a-z]{1,20}", 0..6),
            step in 1_usize..9,
        ) {
            let mut wire = String::new();
            for chunk in &chunks {
                let _ = write!(wire, "{:x};e\r\n{chunk}\r\n", chunk.len());
            }
            wire.push_str("0\r\nT: u\r\n\r\nrest");
            let mut chunked = Chunked::new(200);
            let mut input = BytesMut::new();
            let mut body = None;
            for piece in wire.as_bytes().chunks(step) {
                input.extend_from_slice(piece);
                if body.is_none() {
                    body = chunked.feed(&mut input).unwrap();
                }
            }
            prop_assert_eq!(body, Some(Bytes::from(chunks.concat())));
            prop_assert_eq!(&input[..], b"rest");
        }
    }
}
