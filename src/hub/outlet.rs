//! The way bytes reach one held connection: pieces that were encoded once, written straight to the
//! socket, and kept in order where the socket is full.
//!
//! What differs between kinds of connections lives here and nowhere else: the framing of a body
//! ([`Framing`]) and the socket ([`Wire`]).

use std::{
    collections::VecDeque,
    io::{self, IoSlice},
    rc::Rc,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;

use super::{
    piece::{Framing, Piece},
    prepared::Prepared,
};
use crate::socket::Remote;

/// A held connection's socket, used without waiting.
pub trait Wire {
    /// Writes what fits now.
    ///
    /// # Errors
    /// `WouldBlock` when nothing fits; anything else: the connection is broken.
    fn try_write(&self, bytes: &Bytes) -> io::Result<usize>;

    /// Writes what fits now of several pieces.
    ///
    /// # Errors
    /// As [`Wire::try_write`].
    fn try_write_vectored(&self, pieces: &[IoSlice<'_>]) -> io::Result<usize>;

    /// Brings out what was written and waits inside it, where there is such a thing (TLS).
    ///
    /// # Errors
    /// `WouldBlock` while some of it is left; anything else: the connection is broken.
    fn try_flush(&self) -> io::Result<()> {
        Ok(())
    }

    /// Bytes that were brought out of it so far, for who wants to know whether that goes on.
    fn flushed(&self) -> u64 {
        0
    }

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

    /// Who is at the other end, for the log.
    fn remote(&self) -> Option<Remote>;
}

/// What was left out of a channel.
#[derive(Debug)]
pub(super) struct Dropped {
    /// The channel's place in the shard.
    pub(super) channel: u32,
    /// The first item that was left out.
    pub(super) first: Arc<Prepared>,
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
    /// Bytes that are out.
    sent: u64,
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
    /// Bytes that are out since something waits.
    written: u64,
    /// Somebody looks whether more gets out.
    watched: bool,
    /// The body's last piece has been written; the wire has still to be flushed.
    ended: bool,
}

impl<W: Wire> Outlet<W> {
    /// An outlet whose socket comes later; until then everything waits.
    pub(super) fn new(framing: Framing) -> Self {
        Self {
            wire: None,
            framing,
            blocked: false,
            sent: 0,
            backlog: None,
        }
    }

    /// Sets the framing of what is sent from now on.
    pub(super) fn frame(&mut self, framing: Framing) {
        self.framing = framing;
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

    /// Bytes that are out.
    pub(super) fn sent(&self) -> u64 {
        self.sent
    }

    /// Bytes that wait.
    pub(super) fn waiting(&self) -> usize {
        self.backlog.as_ref().map_or(0, |backlog| backlog.bytes)
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
        self.sent += written as u64;
        if written == bytes.len() {
            return match wire.try_flush() {
                Ok(()) if piece.last => Written::Last,
                Ok(()) => Written::All,
                Err(error) if is_full(&error) => {
                    self.backlog.get_or_insert_default().ended = piece.last;
                    self.blocked = true;
                    Written::Blocked
                }
                Err(_) => Written::Broken,
            };
        }
        self.queue(piece);
        if let Some(backlog) = &mut self.backlog {
            backlog.offset = written;
            backlog.bytes -= written;
            backlog.written += written as u64;
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
            let result = if backlog.pieces.is_empty() {
                let ended = backlog.ended;
                wire.try_flush().map(|()| {
                    self.backlog = None;
                    ended
                })
            } else {
                let mut slices = [IoSlice::new(&[]); GATHER];
                let slices = backlog.slices(self.framing, &mut slices);
                wire.try_write_vectored(slices).map(|written| {
                    self.sent += written as u64;
                    backlog.advance(written, self.framing);
                    false
                })
            };
            match result {
                Ok(true) => return Written::Last,
                Ok(false) => {}
                Err(error) if is_full(&error) => self.blocked = true,
                Err(_) => return Written::Broken,
            }
        }
        Written::All
    }

    /// Something waits, and nobody watches it yet: from now on somebody does. Returns how much is
    /// out by now.
    pub(super) fn begin_watch(&mut self) -> Option<u64> {
        // What waits for a socket that the front still has is no slow client's fault.
        let backlog = self.backlog.as_mut().filter(|_| self.wire.is_some())?;
        if std::mem::replace(&mut backlog.watched, true) {
            return None;
        }
        let written = backlog.written;
        Some(written + self.flushed())
    }

    fn flushed(&self) -> u64 {
        self.wire.as_ref().map_or(0, Wire::flushed)
    }

    /// Something still waits, and nothing got out since `written` bytes were.
    pub(super) fn is_stalled(&mut self, written: u64) -> bool {
        let flushed = self.flushed();
        let Some(backlog) = &mut self.backlog else {
            return false;
        };
        backlog.watched = false;
        backlog.written + flushed == written
    }

    /// Ends the watch: whoever looked does not any more.
    pub(super) fn end_watch(&mut self) {
        if let Some(backlog) = &mut self.backlog {
            backlog.watched = false;
        }
    }

    /// Leaves out all items that wait, but for one that is partly out. What is not an item stays.
    pub(super) fn drop_waiting(&mut self) -> Vec<Dropped> {
        let mut dropped: Vec<Dropped> = Vec::new();
        self.thin(|piece| {
            let Some(items) = &piece.items else {
                return Some(piece);
            };
            if !dropped.iter().any(|one| one.channel == items.channel) {
                dropped.push(Dropped {
                    channel: items.channel,
                    first: Arc::clone(&items.first),
                });
            }
            None
        });
        dropped
    }

    /// Leaves out all items that wait, but for the newest of each channel and one that is partly
    /// out. What is not an item stays.
    pub(super) fn keep_latest(&mut self) {
        let mut newest: Vec<(u32, usize)> = Vec::new();
        let pieces = self.backlog.iter().flat_map(|backlog| &backlog.pieces);
        for (index, piece) in pieces.enumerate() {
            let Some(items) = &piece.items else { continue };
            match newest
                .iter_mut()
                .find(|(channel, _)| *channel == items.channel)
            {
                Some(one) => one.1 = index,
                None => newest.push((items.channel, index)),
            }
        }
        let mut index = usize::from(self.is_partly_out());
        self.thin(|piece| {
            let here = index;
            index += 1;
            if piece.items.is_some() && !newest.iter().any(|(_, newest)| *newest == here) {
                return None;
            }
            Some(piece.newest().map_or(piece, Rc::new))
        });
    }

    fn is_partly_out(&self) -> bool {
        self.backlog
            .as_ref()
            .is_some_and(|backlog| backlog.offset > 0)
    }

    /// Changes what waits, piece by piece, but for one that is partly out.
    fn thin(&mut self, mut keep: impl FnMut(Rc<Piece>) -> Option<Rc<Piece>>) {
        let Some(backlog) = self.backlog.as_deref_mut() else {
            return;
        };
        let begun = usize::from(backlog.offset > 0);
        let rest = backlog.pieces.split_off(begun.min(backlog.pieces.len()));
        backlog
            .pieces
            .extend(rest.into_iter().filter_map(&mut keep));
        let waiting = backlog
            .pieces
            .iter()
            .map(|piece| piece.bytes(self.framing).len());
        backlog.bytes = waiting.sum::<usize>() - backlog.offset;
        // While the socket is full the client is slow, though nothing waits here any more.
        if backlog.pieces.is_empty() && !self.blocked && !backlog.ended {
            self.backlog = None;
        }
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

    /// Counts `written` bytes as out. Behind the body's last piece nothing is kept.
    fn advance(&mut self, written: usize, framing: Framing) {
        self.bytes -= written;
        self.offset += written;
        self.written += written as u64;
        while let Some(piece) = self.pieces.front() {
            let len = piece.bytes(framing).len();
            if self.offset < len {
                return;
            }
            self.offset -= len;
            if self.pieces.pop_front().is_some_and(|piece| piece.last) {
                self.ended = true;
                self.pieces.clear();
                (self.bytes, self.offset) = (0, 0);
            }
        }
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
