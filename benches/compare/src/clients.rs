//! Many browsers: opens streams, reads what comes, counts the items of each.
//!
//! One `epoll`, edge-triggered; a read that did not fill the buffer emptied the socket, so an event
//! costs one `read`. Sources are 127.0.0.2 to 127.0.0.40, since one address has only some 28,000
//! ports. Sockets are closed with a reset: nothing stays behind in TIME-WAIT.

use std::{
    io::{self, Read, Write},
    net::{Ipv4Addr, SocketAddr},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use mio::{Events, Interest, Poll, Token, net::TcpStream};
use socket2::{Domain, Socket, Type};

use crate::{stop::Stop, wire};

/// Streams that are being opened at the same time.
///
/// Few: Pushpin loses up to as many at a time (see [`Fleet::grow`]), and no server here is quicker
/// with more.
const OPENING_AT_ONCE: usize = 16;

/// Longest wait for events before [`Stop`] is asked again.
const TURN: Duration = Duration::from_millis(100);

/// Nothing at all arrived for so long: the server has lost something.
const STALLED: Duration = Duration::from_secs(30);

/// All streams held through one server.
#[derive(Debug)]
pub struct Fleet {
    server: SocketAddr,
    poll: Poll,
    events: Events,
    head: Vec<u8>,
    buf: Vec<u8>,
    streams: Vec<Stream>,
    /// Items each stream must have got; more is an error.
    expected: u32,
    /// Streams that have got them.
    complete: usize,
    /// Streams that the server ended by itself and that were opened again.
    lost: usize,
    /// Streams found ended by the last turns.
    ended: Vec<usize>,
}

#[derive(Debug)]
struct Stream {
    socket: TcpStream,
    /// Bytes of the request sent; `None` until connected.
    sent: Option<usize>,
    /// Marks seen, that of the opening included.
    got: u32,
    answered: bool,
}

impl Fleet {
    /// No streams yet; those to come connect to `server`.
    ///
    /// # Errors
    /// No `epoll`.
    pub fn new(server: SocketAddr) -> Result<Self> {
        Ok(Self {
            server,
            poll: Poll::new()?,
            events: Events::with_capacity(1024),
            head: wire::browser_head(),
            buf: vec![0; 64 * 1024],
            streams: Vec::new(),
            expected: 1,
            complete: 0,
            lost: 0,
            ended: Vec::new(),
        })
    }

    /// Streams held.
    pub fn len(&self) -> usize {
        self.streams.len()
    }

    /// True before the first [`Self::grow`].
    pub fn is_empty(&self) -> bool {
        self.streams.is_empty()
    }

    /// Streams that the server ended by itself while streams were opened.
    pub fn lost(&self) -> usize {
        self.lost
    }

    /// Opens streams until there are `size`, and waits until each has got its opening.
    ///
    /// A stream that ended is opened again, as browsers do: Pushpin 1.36 now and then ends one
    /// or all of those just opened when many are set up. More than one in twenty is an error.
    ///
    /// # Errors
    /// The server refuses streams, loses too many, or nothing comes for 30 s; the run is to stop.
    pub fn grow(&mut self, size: usize, stop: &Stop) -> Result<()> {
        // Streams opened later begin with what the others have.
        let before = self.streams.len();
        let mut progress = Instant::now();
        // Some may have ended since they were last looked at.
        while self.turn(Duration::ZERO, stop)? > 0 {
            self.reopen(size)?;
        }
        while self.complete < size {
            while self.streams.len() < size && self.streams.len() - self.complete < OPENING_AT_ONCE
            {
                let stream = self.open(self.streams.len())?;
                self.streams.push(stream);
            }
            let complete = self.complete;
            self.turn(TURN, stop)?;
            self.reopen(size)?;
            if self.complete > complete {
                progress = Instant::now();
            } else if progress.elapsed() > STALLED {
                bail!(
                    "{} of {} streams opened, then nothing",
                    self.complete - before,
                    size - before
                );
            }
        }
        Ok(())
    }

    /// From now on each stream must get `items` more.
    pub fn expect(&mut self, items: u32) {
        self.expected += items;
        self.complete = 0;
    }

    /// Waits until each stream has got what is expected.
    ///
    /// # Errors
    /// The server ends a stream, delivers nothing for 30 s, or delivers too much; the run is to
    /// stop.
    pub fn wait(&mut self, stop: &Stop) -> Result<()> {
        let mut progress = Instant::now();
        while self.complete < self.streams.len() {
            if self.turn(TURN, stop)? > 0 {
                if let Some(number) = self.ended.first() {
                    bail!("the server ended stream {number}");
                }
                progress = Instant::now();
            } else if progress.elapsed() > STALLED {
                bail!(
                    "{} of {} streams got everything, then nothing came",
                    self.complete,
                    self.streams.len()
                );
            }
        }
        Ok(())
    }

    /// Opens ended streams again.
    fn reopen(&mut self, size: usize) -> Result<()> {
        for number in std::mem::take(&mut self.ended) {
            self.lost += 1;
            if self.lost > 64.max(size / 20) {
                bail!("the server ended {} streams", self.lost);
            }
            self.streams[number] = self.open(number)?;
        }
        Ok(())
    }

    fn open(&self, number: usize) -> Result<Stream> {
        let source = Ipv4Addr::new(127, 0, 0, u8::try_from(2 + number % 39)?);
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).context("a client's socket")?;
        socket.set_nonblocking(true)?;
        socket.set_linger(Some(Duration::ZERO))?;
        socket.set_tcp_nodelay(true)?;
        socket.bind(&SocketAddr::from((source, 0)).into())?;
        match socket.connect(&self.server.into()) {
            Err(error) if error.raw_os_error() != Some(IN_PROGRESS) => {
                return Err(error).context("connecting a client");
            }
            _ => {}
        }
        let mut socket = TcpStream::from_std(socket.into());
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.poll
            .registry()
            .register(&mut socket, Token(number), interest)?;
        // What the others have got before counts as got, so that one number is right for all.
        let got = self.expected - 1;
        Ok(Stream {
            socket,
            sent: None,
            got,
            answered: false,
        })
    }

    /// Handles what is ready, waiting for it up to `patience`; returns the number of events.
    fn turn(&mut self, patience: Duration, stop: &Stop) -> Result<usize> {
        stop.check()?;
        match self.poll.poll(&mut self.events, Some(patience)) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(0),
            other => other.context("waiting for clients' sockets")?,
        }
        let mut handled = 0;
        for event in &self.events {
            handled += 1;
            let number = event.token().0;
            let stream = &mut self.streams[number];
            if event.is_writable() && stream.sent != Some(self.head.len()) {
                stream
                    .ask(&self.head)
                    .with_context(|| format!("stream {number}: asking"))?;
            }
            if event.is_readable() {
                let before = stream.got;
                let open = stream
                    .read(&mut self.buf, event.is_read_closed())
                    .with_context(|| format!("stream {number}"))?;
                if stream.got > self.expected {
                    bail!(
                        "stream {number} got {} items too many",
                        stream.got - self.expected
                    );
                }
                if stream.got == self.expected && before < self.expected {
                    self.complete += 1;
                }
                if !open {
                    self.complete -= usize::from(stream.got == self.expected);
                    self.ended.push(number);
                }
            }
        }
        Ok(handled)
    }
}

/// `EINPROGRESS`.
const IN_PROGRESS: i32 = rustix::io::Errno::INPROGRESS.raw_os_error();

impl Stream {
    fn ask(&mut self, head: &[u8]) -> Result<()> {
        if self.sent.is_none()
            && let Some(error) = self.socket.take_error()?
        {
            bail!("the connection was refused: {error}");
        }
        let mut sent = self.sent.unwrap_or(0);
        while sent < head.len() {
            match self.socket.write(&head[sent..]) {
                Ok(n) => sent += n,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::NotConnected => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
        self.sent = Some(sent);
        Ok(())
    }

    /// Reads all there is; false when the stream has ended. A read that did not fill the buffer
    /// emptied the socket, unless its end came with the same event (`closed`).
    fn read(&mut self, buf: &mut [u8], closed: bool) -> Result<bool> {
        loop {
            match self.socket.read(buf) {
                Ok(0) => return Ok(false),
                Ok(n) => {
                    let text = &buf[..n];
                    if !self.answered {
                        if !text.starts_with(b"HTTP/1.1 200") {
                            let start = &text[..n.min(200)];
                            bail!("not held but answered: {}", String::from_utf8_lossy(start));
                        }
                        self.answered = true;
                    }
                    self.got += wire::marks(text);
                    if n < buf.len() && !closed {
                        return Ok(true);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(true),
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}
