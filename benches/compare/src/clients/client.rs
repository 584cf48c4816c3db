//! One browser: its request, the head of the answer, and a count of what comes behind it.

use std::io::{self, Read, Write};

use anyhow::{Result, bail};

use super::socket::Socket;
use crate::{
    frames::Counter,
    http2::connection::Connection,
    wire::{self, Hold},
};

/// A connection of the [fleet](super::Fleet).
#[derive(Debug)]
pub(super) struct Client {
    socket: Socket,
    hold: Hold,
    /// Items so far, the opening included.
    got: u32,
    /// What is counted on a WebSocket.
    pub(super) frames: Counter,
    progress: Progress,
}

/// How far the request under way is.
#[derive(Debug)]
enum Progress {
    /// So many bytes of it are sent; none before the socket is connected.
    Asking(usize),
    /// It is sent; so much of the answer's head has come.
    Asked(Vec<u8>),
    /// The head has come: what follows is content.
    Held,
    /// A long-poll has been answered.
    Rests,
    /// It speaks HTTP/2, and has many requests under way.
    Shared(Box<Connection>),
}

impl Client {
    /// One that is being connected, and counts as having got so many items.
    pub(super) fn new(socket: Socket, hold: Hold, got: u32) -> Self {
        Self {
            socket,
            hold,
            got,
            frames: Counter::default(),
            progress: Progress::Asking(0),
        }
    }

    /// One that speaks HTTP/2.
    pub(super) fn sharing(socket: Socket, hold: Hold, connection: Connection) -> Self {
        Self {
            progress: Progress::Shared(Box::new(connection)),
            ..Self::new(socket, hold, 0)
        }
    }

    /// Clients on this connection.
    pub(super) fn streams(&self) -> usize {
        match &self.progress {
            Progress::Shared(connection) => connection.streams(),
            _ => 1,
        }
    }

    /// Is there something of its request to send?
    pub(super) fn is_asking(&self) -> bool {
        matches!(self.progress, Progress::Asking(_))
    }

    /// Has its request been sent?
    pub(super) fn has_asked(&self) -> bool {
        matches!(self.progress, Progress::Asked(_) | Progress::Held)
    }

    /// Has it been answered, and may it ask again?
    pub(super) fn rests(&self) -> bool {
        matches!(self.progress, Progress::Rests)
    }

    /// How many of its clients have got so many items, and wait for more?
    pub(super) fn complete(&self, items: u32) -> usize {
        match &self.progress {
            Progress::Shared(connection) => connection.complete(items),
            _ => usize::from(self.got == items && self.has_asked()),
        }
    }

    /// The most items that a client on it has got.
    pub(super) fn most(&self) -> u32 {
        match &self.progress {
            Progress::Shared(connection) => connection.most(),
            _ => self.got,
        }
    }

    /// Sends what TLS and HTTP/2 have left to say, as far as the socket takes it.
    pub(super) fn flush(&mut self) -> Result<()> {
        if let Progress::Shared(connection) = &mut self.progress {
            let out = connection.out();
            let sent = send(&mut self.socket, out)?;
            out.drain(..sent);
        }
        Ok(self.socket.flush()?)
    }

    /// Sends what is left of its request, or a new one, as far as the socket takes it.
    pub(super) fn ask(&mut self, head: &[u8]) -> Result<()> {
        let mut sent = match self.progress {
            Progress::Asking(sent) => sent,
            _ => 0,
        };
        if sent == 0
            && let Some(error) = self.socket.take_error()?
        {
            bail!("the connection was refused: {error}");
        }
        sent += send(&mut self.socket, &head[sent..])?;
        self.progress = if sent < head.len() {
            Progress::Asking(sent)
        } else {
            Progress::Asked(Vec::new())
        };
        Ok(())
    }

    /// Sends a frame, which always fits: nothing else is under way.
    pub(super) fn say(&mut self, frame: &[u8]) -> Result<()> {
        if self.socket.write(frame)? != frame.len() {
            bail!("a message of {} bytes did not fit", frame.len());
        }
        Ok(())
    }

    /// Reads all there is; false when the connection has ended. A read that did not fill the
    /// buffer emptied the socket, unless its end came with the same event (`closed`).
    pub(super) fn read(&mut self, buf: &mut [u8], closed: bool) -> Result<bool> {
        loop {
            match self.socket.read(buf) {
                Ok(0) => return Ok(false),
                Ok(n) => {
                    if !self.take(&buf[..n])? {
                        return Ok(false);
                    }
                    if n < buf.len() && !closed && self.socket.tells_its_end() {
                        return Ok(true);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(true),
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::NotConnected => return Ok(true),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// False when the server has answered with an error of its own: as good as ended.
    fn take(&mut self, bytes: &[u8]) -> Result<bool> {
        let Progress::Asked(head) = &mut self.progress else {
            return match self.progress {
                Progress::Held => self.count(bytes).map(|()| true),
                Progress::Shared(ref mut connection) => {
                    connection.take(bytes)?;
                    self.flush().map(|()| true)
                }
                _ => bail!("bytes that nobody asked for"),
            };
        };
        head.extend_from_slice(bytes);
        let Some(end) = memchr::memmem::find(head, b"\r\n\r\n") else {
            return Ok(true);
        };
        if head.starts_with(b"HTTP/1.1 5") {
            return Ok(false);
        }
        if !self.hold.is_answered_by(&head[..end]) {
            bail!("not held but answered: {}", String::from_utf8_lossy(head));
        }
        let body = head.split_off(end + 4);
        self.progress = Progress::Held;
        self.count(&body)?;
        Ok(true)
    }

    fn count(&mut self, bytes: &[u8]) -> Result<()> {
        let items = if self.hold.is_socket() {
            self.frames.count(bytes)?
        } else {
            wire::marks(bytes)
        };
        self.got += items;
        if self.hold == Hold::LongPoll && items > 0 {
            self.progress = Progress::Rests;
        }
        Ok(())
    }
}

/// How many of the bytes the socket takes.
fn send(socket: &mut Socket, bytes: &[u8]) -> io::Result<usize> {
    let mut sent = 0;
    while sent < bytes.len() {
        match socket.write(&bytes[sent..]) {
            Ok(n) => sent += n,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) if error.kind() == io::ErrorKind::NotConnected => break,
            Err(error) => return Err(error),
        }
    }
    Ok(sent)
}
