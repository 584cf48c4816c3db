//! Whole messages out of a stream of bytes: fragments joined, compressed ones inflated, text
//! checked, all as the bytes come, so that what is wrong or too big is known as early as can be.

#[cfg(test)]
mod tests;

use bytes::{Bytes, BytesMut};

use super::{
    close::Close,
    deflate::{Agreed, Inflater},
    fault::Fault,
    frame::{Head, Opcode},
    read::{Peer, Piece, Reader},
    utf8::Utf8,
};

/// What a peer said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// Text; the bytes are UTF-8.
    Text(Bytes),
    /// Bytes.
    Binary(Bytes),
    /// Wants a pong with the same payload, at most 125 bytes.
    Ping(Bytes),
    /// Answers a ping; may come unasked.
    Pong(Bytes),
    /// The last message: what follows is thrown away. `None` is a close without a code.
    Close(Option<Close>),
}

/// Reads the messages of one direction of one connection.
///
/// Between two messages it holds nothing but a few words, unless the peer compresses with context
/// takeover: then, after its first compressed message, an inflater.
#[derive(Debug)]
pub struct Messages {
    reader: Reader,
    limit: usize,
    deflate: Option<Agreed>,
    takeover: bool,
    inflater: Option<Box<Inflater>>,
    open: Option<Box<Open>>,
}

/// A message of which only a part has come.
#[derive(Debug)]
struct Open {
    text: bool,
    compressed: bool,
    /// What the message is so far, inflated.
    data: Vec<u8>,
    utf8: Utf8,
}

impl Messages {
    /// A reader at the beginning of a connection. A message has at most `limit` bytes, as sent and
    /// when inflated. `deflate` is what was agreed with the peer.
    pub fn new(peer: Peer, limit: usize, deflate: Option<Agreed>) -> Self {
        Self {
            reader: Reader::new(peer, deflate.is_some()),
            limit,
            takeover: deflate.is_some_and(|agreed| agreed.takeover(peer)),
            deflate,
            inflater: None,
            open: None,
        }
    }

    /// Takes bytes off the front of `bytes` until a message is whole; `None` asks for more. A
    /// message that came at once is a slice of the buffer, not a copy: whoever keeps it for long
    /// keeps the buffer.
    ///
    /// # Errors
    /// What the peer must not send, with the code to close with ([`Fault::code`]). Everything
    /// after an error is thrown away.
    pub fn next(&mut self, bytes: &mut BytesMut) -> Result<Option<Message>, Fault> {
        let message = self.read(bytes);
        if message.is_err() {
            self.open = None;
            self.inflater = None;
            self.reader.end(bytes);
        }
        message
    }

    /// Nothing is kept of what was read: a new reader, made with the same arguments, would go on
    /// as well.
    pub fn is_idle(&self) -> bool {
        self.reader.is_idle() && self.inflater.is_none()
    }

    /// A close or something wrong was read: nothing more will come.
    pub fn is_ended(&self) -> bool {
        self.reader.is_ended()
    }

    /// What was agreed with the peer.
    pub fn deflate(&self) -> Option<Agreed> {
        self.deflate
    }

    fn read(&mut self, bytes: &mut BytesMut) -> Result<Option<Message>, Fault> {
        while let Some(piece) = self.reader.next(bytes)? {
            let control = piece.head.filter(|head| head.opcode.is_control());
            let message = match control {
                Some(head) => Some(self::control(head.opcode, piece.data.freeze())?),
                None => self.data(piece)?,
            };
            if self.reader.is_ended() {
                self.open = None;
                self.inflater = None;
            }
            if message.is_some() {
                return Ok(message);
            }
        }
        Ok(None)
    }

    fn data(&mut self, piece: Piece) -> Result<Option<Message>, Fault> {
        if let Some(head) = piece.head {
            self.check_size(&head)?;
            let whole = head.fin && piece.ends_frame && self.open.is_none();
            if whole && !head.compressed {
                return at_once(head.opcode, piece.data.freeze()).map(Some);
            }
            self.open.get_or_insert_with(|| Box::new(Open::new(&head)));
        }
        let Some(open) = &mut self.open else {
            return Ok(None);
        };
        if open.compressed {
            let inflater = self
                .inflater
                .get_or_insert_with(|| Box::new(Inflater::new()));
            open.inflate(&piece, inflater, self.limit)?;
        } else {
            open.push(&piece.data)?;
        }
        if !piece.ends_message {
            return Ok(None);
        }
        if !self.takeover {
            self.inflater = None;
        }
        self.open.take().map(|open| open.end()).transpose()
    }

    /// A frame that makes its message too big is refused by its head. A compressed one counts as
    /// it is on the wire: that it inflates to less is no reason to take so much.
    fn check_size(&self, head: &Head) -> Result<(), Fault> {
        let limit = self.limit;
        let most = if head.compressed || self.open.as_ref().is_some_and(|open| open.compressed) {
            // What cannot be compressed grows a little.
            limit.saturating_add(limit / 1024 + 64)
        } else {
            limit - self.open.as_ref().map_or(0, |open| open.data.len())
        };
        if usize::try_from(head.len).is_ok_and(|len| len <= most) {
            Ok(())
        } else {
            Err(Fault::TooBig { limit })
        }
    }
}

impl Open {
    fn new(head: &Head) -> Self {
        Self {
            text: head.opcode == Opcode::Text,
            compressed: head.compressed,
            data: Vec::new(),
            utf8: Utf8::default(),
        }
    }

    fn push(&mut self, data: &[u8]) -> Result<(), Fault> {
        self.data.extend_from_slice(data);
        self.check(self.data.len() - data.len())
    }

    fn inflate(
        &mut self,
        piece: &Piece,
        inflater: &mut Inflater,
        limit: usize,
    ) -> Result<(), Fault> {
        let checked = self.data.len();
        let mut plain = inflater.push(&piece.data, &mut self.data, limit);
        if piece.ends_message && plain.is_ok() {
            plain = inflater.end(&mut self.data, limit);
        }
        // What came out before a fault is looked at first, as if it had come by itself.
        self.check(checked)?;
        plain
    }

    fn check(&mut self, from: usize) -> Result<(), Fault> {
        if self.text {
            let pushed = self.utf8.push(&self.data[from..]);
            pushed.map_err(|_| Fault::Utf8)?;
        }
        Ok(())
    }

    fn end(self) -> Result<Message, Fault> {
        self.utf8.end().map_err(|_| Fault::Utf8)?;
        let data = Bytes::from(self.data);
        Ok(if self.text {
            Message::Text(data)
        } else {
            Message::Binary(data)
        })
    }
}

fn control(opcode: Opcode, payload: Bytes) -> Result<Message, Fault> {
    Ok(match opcode {
        Opcode::Ping => Message::Ping(payload),
        Opcode::Pong => Message::Pong(payload),
        _ => Message::Close(Close::parse(&payload)?),
    })
}

/// A message that came in one piece and needs no work but a look.
fn at_once(opcode: Opcode, data: Bytes) -> Result<Message, Fault> {
    if opcode != Opcode::Text {
        return Ok(Message::Binary(data));
    }
    match std::str::from_utf8(&data) {
        Ok(_) => Ok(Message::Text(data)),
        Err(_) => Err(Fault::Utf8),
    }
}
