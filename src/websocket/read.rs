//! Reads frames from a stream of bytes, in pieces as they come. Payloads are unmasked in place and
//! split off the buffer, never copied. Knows which frames may follow which, and what was
//! negotiated; joins nothing, inflates nothing, looks into no text.

use bytes::{Buf, BytesMut};

use super::{
    fault::Fault,
    frame::{Head, Opcode},
    mask,
};

/// Who sends the frames that are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// A backend: its frames have no mask.
    Backend,
    /// A client: all its frames are masked.
    Client,
}

/// A part of a frame, or all of it.
#[derive(Debug, PartialEq, Eq)]
pub struct Piece {
    /// Set in a frame's first piece. `len` is the whole frame's, `mask` the key it came with
    /// (already taken off).
    pub head: Option<Head>,
    /// Payload, unmasked. May be empty only if the frame's payload is, or in a first piece.
    pub data: BytesMut,
    /// The frame ends with this piece.
    pub ends_frame: bool,
    /// The message ends with this piece; also set for control frames.
    pub ends_message: bool,
}

/// Reads the frames of one direction of one connection.
#[derive(Debug)]
pub struct Reader {
    peer: Peer,
    /// RSV1 may be set.
    deflate: bool,
    /// A message has begun and not ended.
    open: bool,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Between two frames, or inside a head.
    Head,
    /// Inside the payload of a data frame.
    Payload { head: Head, read: u64 },
    /// A close frame was read, or something wrong: what follows is not looked at.
    Ended,
}

impl Reader {
    /// A reader at the beginning of a connection. `deflate`: permessage-deflate was negotiated
    /// with the peer.
    pub fn new(peer: Peer, deflate: bool) -> Self {
        Self {
            peer,
            deflate,
            open: false,
            state: State::Head,
        }
    }

    /// Takes the next piece off the front of `bytes`; `None` asks for more bytes. Control frames
    /// come whole, in one piece; data frames as they are there. After a close frame and after an
    /// error everything is thrown away.
    ///
    /// # Errors
    /// What the peer must not send, with the code to close with ([`Fault::code`]).
    pub fn next(&mut self, bytes: &mut BytesMut) -> Result<Option<Piece>, Fault> {
        let piece = match self.state {
            State::Head => self.begin(bytes),
            State::Payload { head, read } => Ok(self.go_on(head, read, bytes)),
            State::Ended => {
                bytes.clear();
                Ok(None)
            }
        };
        if piece.is_err() {
            self.end(bytes);
        }
        piece
    }

    /// Something wrong was found in what was read: nothing more will come.
    pub(super) fn end(&mut self, bytes: &mut BytesMut) {
        self.state = State::Ended;
        bytes.clear();
    }

    /// Between two messages, and nothing of a frame has been taken: a new reader would do as well.
    /// Bytes of an unfinished head are still in the caller's buffer.
    pub fn is_idle(&self) -> bool {
        matches!(self.state, State::Head) && !self.open
    }

    /// A close frame or something wrong was read: nothing more will come.
    pub fn is_ended(&self) -> bool {
        matches!(self.state, State::Ended)
    }

    fn begin(&mut self, bytes: &mut BytesMut) -> Result<Option<Piece>, Fault> {
        self.check_first(bytes)?;
        let Some((head, size)) = Head::parse(bytes, self.peer == Peer::Client)? else {
            return Ok(None);
        };
        if head.opcode.is_control() {
            return Ok(self.control(head, size, bytes));
        }
        bytes.advance(size);
        self.open = !head.fin;
        let mut piece = self.piece(head, 0, bytes);
        piece.head = Some(head);
        Ok(Some(piece))
    }

    /// What depends on the connection in a head's first byte.
    fn check_first(&self, bytes: &[u8]) -> Result<(), Fault> {
        let Some(first) = bytes.first() else {
            return Ok(());
        };
        let (compressed, opcode) = (first & 0x40 != 0, first & 0x0f);
        let begins = matches!(opcode, 1 | 2);
        if compressed && !(self.deflate && begins) {
            return Err(Fault::ReservedBits);
        }
        match opcode {
            0 if !self.open => Err(Fault::Continuation),
            1 | 2 if self.open => Err(Fault::Unfinished),
            _ => Ok(()),
        }
    }

    fn control(&mut self, head: Head, size: usize, bytes: &mut BytesMut) -> Option<Piece> {
        let len = usize::try_from(head.len).ok()?;
        if bytes.len() < size + len {
            return None;
        }
        bytes.advance(size);
        let mut data = bytes.split_to(len);
        if let Some(key) = head.mask {
            mask::apply(&mut data, key, 0);
        }
        if head.opcode == Opcode::Close {
            self.state = State::Ended;
        }
        Some(Piece {
            head: Some(head),
            data,
            ends_frame: true,
            ends_message: true,
        })
    }

    fn go_on(&mut self, head: Head, read: u64, bytes: &mut BytesMut) -> Option<Piece> {
        if bytes.is_empty() {
            return None;
        }
        Some(self.piece(head, read, bytes))
    }

    /// What is there of a data frame of which `read` bytes were taken before.
    fn piece(&mut self, head: Head, read: u64, bytes: &mut BytesMut) -> Piece {
        let left = usize::try_from(head.len - read).unwrap_or(usize::MAX);
        let mut data = bytes.split_to(left.min(bytes.len()));
        if let Some(key) = head.mask {
            mask::apply(&mut data, key, read);
        }
        let read = read + data.len() as u64;
        let ends_frame = read == head.len;
        self.state = if ends_frame {
            State::Head
        } else {
            State::Payload { head, read }
        };
        Piece {
            head: None,
            data,
            ends_frame,
            ends_message: ends_frame && head.fin,
        }
    }
}
