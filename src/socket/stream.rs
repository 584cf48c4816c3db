//! One request of an HTTP/2 connection, used like a socket of its own: its answer goes out by it,
//! and it tells when its client no longer wants that. What it takes waits in the library's buffer
//! of this stream, which the connection's task empties; what does not fit there waits where it is
//! counted.

use std::{
    cell::{Cell, RefCell},
    io::{self, IoSlice},
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use h2::{Reason, SendStream, server::SendResponse};
use http::{
    HeaderMap, Response,
    header::{CONNECTION, HeaderName, TRANSFER_ENCODING, UPGRADE},
};

use super::Remote;

/// The way back of one request.
#[derive(Debug)]
pub struct Stream {
    half: RefCell<Half>,
    remote: Remote,
    /// Its client does not want it any more.
    gone: Cell<bool>,
}

#[derive(Debug)]
enum Half {
    /// Before the answer's head.
    Silent(SendResponse<Bytes>),
    /// Behind it.
    Begun(SendStream<Bytes>),
}

impl Stream {
    /// The way back of a request that has just come. `remote`: whose connection it is.
    pub fn new(respond: SendResponse<Bytes>, remote: Remote) -> Self {
        Self {
            half: RefCell::new(Half::Silent(respond)),
            remote,
            gone: Cell::new(false),
        }
    }

    /// Tells the client to go on with its request's body (100).
    pub fn go_on(&self) {
        if let Half::Silent(respond) = &mut *self.half.borrow_mut() {
            let mut head = Response::new(());
            *head.status_mut() = http::StatusCode::CONTINUE;
            // Who has gone meanwhile is met when the answer is sent.
            let _ = respond.send_informational(head);
        }
    }

    /// Sends the answer's head, without the headers that HTTP/2 has no place for (RFC 9113 section
    /// 8.2.2). `ends`: there is no body.
    ///
    /// # Errors
    /// The client has gone, or the answer has begun before.
    pub fn begin(&self, mut head: Response<()>, ends: bool) -> io::Result<()> {
        for name in OF_THE_CONNECTION {
            head.headers_mut().remove(name);
        }
        let mut half = self.half.borrow_mut();
        let Half::Silent(respond) = &mut *half else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let send = respond.send_response(head, ends).map_err(broken)?;
        *half = Half::Begun(send);
        Ok(())
    }

    /// Takes as much of a piece as there is room for, at least a byte; ready when something was
    /// taken. `ends`: nothing comes behind it.
    ///
    /// # Errors
    /// The client has gone.
    pub fn poll_send(
        &self,
        piece: &mut Bytes,
        ends: bool,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            match self.take(piece.len(), ends, |room| piece.split_to(room)) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                taken => return Poll::Ready(taken.map(drop)),
            }
            ready!(self.poll_write_ready(context))?;
        }
    }

    /// Ends the body.
    ///
    /// # Errors
    /// The client has gone, or the body has ended before.
    pub fn end(&self) -> io::Result<()> {
        self.begun(|send| send.send_data(Bytes::new(), true).map_err(broken))
    }

    /// Ends the body with trailers.
    ///
    /// # Errors
    /// The client has gone.
    pub fn end_with(&self, trailers: HeaderMap) -> io::Result<()> {
        self.begun(|send| send.send_trailers(trailers).map_err(broken))
    }

    /// Breaks the answer off.
    pub fn reset(&self, reason: Reason) {
        match &mut *self.half.borrow_mut() {
            Half::Silent(respond) => respond.send_reset(reason),
            Half::Begun(send) => send.send_reset(reason),
        }
    }

    /// Ready when the client has gone, or has broken the request off.
    pub fn poll_gone(&self, context: &mut Context<'_>) -> Poll<()> {
        let reset = match &mut *self.half.borrow_mut() {
            Half::Silent(respond) => respond.poll_reset(context),
            Half::Begun(send) => send.poll_reset(context),
        };
        reset.map(|_| self.gone.set(true))
    }

    /// Writes what fits now, without a copy.
    ///
    /// # Errors
    /// As [`ClientSocket::try_write`](super::ClientSocket::try_write).
    pub fn try_send(&self, piece: &Bytes) -> io::Result<usize> {
        self.take(piece.len(), false, |room| piece.slice(..room))
    }

    pub(super) fn try_write(&self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        let wanted = pieces.iter().map(|piece| piece.len()).sum();
        self.take(wanted, false, |room| {
            let mut joined = Vec::with_capacity(room);
            for piece in pieces {
                joined.extend_from_slice(&piece[..piece.len().min(room - joined.len())]);
            }
            joined.into()
        })
    }

    /// Says that nothing waits any more: room that was asked for and not used is for others.
    pub(super) fn rest(&self) {
        if let Half::Begun(send) = &mut *self.half.borrow_mut() {
            send.reserve_capacity(0);
        }
    }

    /// Sends as much of `wanted` bytes as there is room for; `cut` gives that many. `ends`: the body
    /// ends with the last of them.
    fn take(
        &self,
        wanted: usize,
        ends: bool,
        cut: impl FnOnce(usize) -> Bytes,
    ) -> io::Result<usize> {
        if wanted == 0 {
            return Ok(0);
        }
        self.begun(|send| {
            send.reserve_capacity(wanted.min(MOST));
            let room = send.capacity().min(wanted);
            if room == 0 {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            let last = ends && room == wanted;
            send.send_data(cut(room), last).map_err(broken)?;
            Ok(room)
        })
    }

    fn begun<T>(
        &self,
        with: impl FnOnce(&mut SendStream<Bytes>) -> io::Result<T>,
    ) -> io::Result<T> {
        match &mut *self.half.borrow_mut() {
            Half::Begun(send) => with(send),
            Half::Silent(_) => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    /// 0 once the client has gone: there is nothing else to read.
    pub(super) fn try_read(&self) -> io::Result<usize> {
        if self.gone.get() {
            Ok(0)
        } else {
            Err(io::ErrorKind::WouldBlock.into())
        }
    }

    pub(super) fn poll_read_ready(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_gone(context).map(Ok)
    }

    pub(super) fn poll_write_ready(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self.half.borrow_mut() {
            Half::Begun(send) => {
                // The library tells of room only to who has asked for it, and what was asked for
                // may be used up.
                send.reserve_capacity(MOST);
                if send.capacity() > 0 {
                    return Poll::Ready(Ok(()));
                }
                match ready!(send.poll_capacity(context)) {
                    Some(Ok(_)) => Poll::Ready(Ok(())),
                    Some(Err(error)) => Poll::Ready(Err(broken(error))),
                    None => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
                }
            }
            Half::Silent(_) => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }

    /// Whose connection it is.
    pub fn remote(&self) -> Remote {
        self.remote
    }
}

fn broken(error: h2::Error) -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, error)
}

/// Headers about a connection of HTTP/1.
const OF_THE_CONNECTION: [HeaderName; 5] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    TRANSFER_ENCODING,
    UPGRADE,
];

/// Most bytes for which room is asked at once: what is set aside for one stream is lost to the
/// others of its connection.
const MOST: usize = 16 << 10;
