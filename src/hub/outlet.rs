//! The way bytes reach one held connection: pieces that were encoded once, written straight to the
//! socket, and kept in order where the socket is full.
//!
//! What differs between kinds of connections lives here and nowhere else: the framing of a body
//! ([`Framing`]) and the socket ([`Wire`]).

use std::{
    collections::VecDeque,
    io::{self, IoSlice},
    rc::Rc,
    task::{Context, Poll},
};

use bytes::Bytes;

use super::prepared::Prepared;
use crate::http1::chunk;

/// A held connection's socket, used without waiting.
pub trait Wire {
    /// Writes what fits now.
    ///
    /// # Errors
    /// `WouldBlock` when nothing fits; anything else: the connection is broken.
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize>;

    /// Writes what fits now of several pieces.
    ///
    /// # Errors
    /// As [`Wire::try_write`].
    fn try_write_vectored(&self, pieces: &[IoSlice<'_>]) -> io::Result<usize>;

    /// Reads what is there now; 0: the peer has ended its side.
    ///
    /// # Errors
    /// `WouldBlock` when nothing is there; anything else: the connection is broken.
    fn try_read(&self, into: &mut [u8]) -> io::Result<usize>;

    /// Ready when a write may get somewhere.
    ///
    /// # Errors
    /// When the socket can no longer be watched.
    fn poll_write_ready(&self, context: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Ready when a read may get somewhere.
    ///
    /// # Errors
    /// When the socket can no longer be watched.
    fn poll_read_ready(&self, context: &mut Context<'_>) -> Poll<io::Result<()>>;
}

/// How a body is framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// As it is; the connection's end ends the body (HTTP/1.0).
    Bare,
    /// In chunks (HTTP/1.1).
    Chunked,
}

/// Bytes that go to many connections, in each framing.
#[derive(Debug)]
pub(super) struct Piece {
    bare: Bytes,
    chunked: Bytes,
    /// The body ends with this piece.
    pub(super) last: bool,
}

impl Piece {
    /// An item's content.
    pub(super) fn item(item: &Prepared) -> Self {
        Self {
            bare: item.content().clone(),
            chunked: item.chunk().clone(),
            last: false,
        }
    }

    /// The contents of several items, in order, as one.
    pub(super) fn run(items: &[&Prepared]) -> Self {
        let join = |form: fn(&Prepared) -> &Bytes| -> Bytes {
            let parts: Vec<&[u8]> = items.iter().map(|item| form(item).as_ref()).collect();
            parts.concat().into()
        };
        Self {
            bare: join(Prepared::content),
            chunked: join(Prepared::chunk),
            last: false,
        }
    }

    /// Body bytes of one's own, such as a keep-alive.
    pub(super) fn content(content: &Bytes) -> Self {
        Self {
            bare: content.clone(),
            chunked: chunk::encode(content),
            last: false,
        }
    }

    /// Bytes that are framed already, such as a head.
    pub(super) fn framed(bytes: Bytes) -> Self {
        Self {
            bare: bytes.clone(),
            chunked: bytes,
            last: false,
        }
    }

    /// The end of the body.
    pub(super) fn end() -> Self {
        Self {
            bare: Bytes::new(),
            chunked: Bytes::from_static(chunk::LAST),
            last: true,
        }
    }

    pub(super) fn bytes(&self, framing: Framing) -> &Bytes {
        match framing {
            Framing::Bare => &self.bare,
            Framing::Chunked => &self.chunked,
        }
    }
}

/// What a write came to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Written {
    /// Everything is out.
    All,
    /// The socket is full; the rest waits.
    Blocked,
    /// The body's last piece is out.
    Last,
    /// The connection is broken.
    Broken,
}

/// The way to one held connection.
#[derive(Debug)]
pub(super) struct Outlet<W> {
    /// The socket; `None` while the front still has it.
    wire: Option<W>,
    framing: Framing,
    /// The socket said that it is full, and nobody has seen it writable since.
    blocked: bool,
    backlog: Option<Box<Backlog>>,
}

/// Pieces that wait, in order.
#[derive(Debug, Default)]
struct Backlog {
    pieces: VecDeque<Rc<Piece>>,
    /// Bytes of the first piece that are out already.
    offset: usize,
    /// Bytes that wait.
    bytes: usize,
}

impl<W: Wire> Outlet<W> {
    /// An outlet whose socket comes later; until then everything waits.
    pub(super) fn new(framing: Framing) -> Self {
        Self {
            wire: None,
            framing,
            blocked: false,
            backlog: None,
        }
    }

    /// Hands over the socket. `first` goes out before everything that waits.
    pub(super) fn open(&mut self, wire: W, first: Option<Bytes>) -> Written {
        self.wire = Some(wire);
        if let Some(first) = first.filter(|bytes| !bytes.is_empty()) {
            let backlog = self.backlog.get_or_insert_default();
            backlog.bytes += first.len();
            backlog.pieces.push_front(Rc::new(Piece::framed(first)));
        }
        self.drain()
    }

    /// Takes the socket back.
    pub(super) fn close(&mut self) -> Option<W> {
        self.wire.take()
    }

    pub(super) fn wire(&self) -> Option<&W> {
        self.wire.as_ref()
    }

    /// More than `limit` bytes wait. A single piece may wait whatever its size: otherwise it could
    /// never be delivered.
    pub(super) fn is_overfull(&self, limit: usize) -> bool {
        self.backlog
            .as_ref()
            .is_some_and(|backlog| backlog.bytes > limit && backlog.pieces.len() > 1)
    }

    /// Nothing waits and the socket takes more, as far as is known.
    pub(super) fn is_clear(&self) -> bool {
        self.backlog.is_none() && self.wire.is_some()
    }

    /// Writes one piece, behind what waits.
    pub(super) fn send(&mut self, piece: &Rc<Piece>) -> Written {
        let Some(wire) = self.wire.as_ref().filter(|_| self.backlog.is_none()) else {
            self.queue(piece);
            return self.drain();
        };
        let bytes = piece.bytes(self.framing);
        let written = match wire.try_write(bytes) {
            Ok(written) => written,
            Err(error) if is_full(&error) => 0,
            Err(_) => return Written::Broken,
        };
        if written == bytes.len() {
            return if piece.last {
                Written::Last
            } else {
                Written::All
            };
        }
        self.queue(piece);
        if let Some(backlog) = &mut self.backlog {
            backlog.offset = written;
            backlog.bytes -= written;
        }
        self.blocked = true;
        Written::Blocked
    }

    /// Puts a piece behind what waits.
    pub(super) fn queue(&mut self, piece: &Rc<Piece>) {
        let backlog = self.backlog.get_or_insert_default();
        backlog.bytes += piece.bytes(self.framing).len();
        backlog.pieces.push_back(Rc::clone(piece));
    }

    /// Writes what waits, as far as the socket takes it.
    pub(super) fn drain(&mut self) -> Written {
        let Some(wire) = &self.wire else {
            return Written::Blocked;
        };
        while let Some(backlog) = &mut self.backlog {
            if self.blocked {
                return Written::Blocked;
            }
            match wire
                .try_write_vectored(backlog.slices(self.framing, &mut [IoSlice::new(&[]); GATHER]))
            {
                Ok(written) => {
                    if backlog.advance(written, self.framing) {
                        self.backlog = None;
                        return Written::Last;
                    }
                    if backlog.pieces.is_empty() {
                        self.backlog = None;
                    }
                }
                Err(error) if is_full(&error) => self.blocked = true,
                Err(_) => return Written::Broken,
            }
        }
        Written::All
    }

    /// When the socket was full: waits until it is not, and goes on writing.
    pub(super) fn poll_drain(&mut self, context: &mut Context<'_>) -> Poll<Written> {
        while let Some(wire) = self.wire.as_ref().filter(|_| self.blocked) {
            match wire.poll_write_ready(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(_)) => return Poll::Ready(Written::Broken),
                Poll::Ready(Ok(())) => self.blocked = false,
            }
            match self.drain() {
                Written::Blocked => {}
                written => return Poll::Ready(written),
            }
        }
        Poll::Pending
    }
}

impl Backlog {
    fn slices<'s, 'b>(
        &'b self,
        framing: Framing,
        slices: &'s mut [IoSlice<'b>; GATHER],
    ) -> &'s [IoSlice<'b>] {
        let mut count = 0;
        for (slice, piece) in slices.iter_mut().zip(&self.pieces) {
            let from = if count == 0 { self.offset } else { 0 };
            *slice = IoSlice::new(&piece.bytes(framing)[from..]);
            count += 1;
        }
        &slices[..count]
    }

    /// Counts `written` bytes as out; true when the body's last piece is.
    fn advance(&mut self, written: usize, framing: Framing) -> bool {
        self.bytes -= written;
        self.offset += written;
        while let Some(piece) = self.pieces.front() {
            let len = piece.bytes(framing).len();
            if self.offset < len {
                return false;
            }
            self.offset -= len;
            if self.pieces.pop_front().is_some_and(|piece| piece.last) {
                return true;
            }
        }
        false
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
    )
}

/// Pieces of one vectored write. More gain nothing: the system call is paid for by then.
const GATHER: usize = 32;
