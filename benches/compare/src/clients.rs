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
const OPENING_AT_ONCE: usize = 64;

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

    /// Opens streams until there are `size`, and waits until each has got its opening.
    ///
    /// # Errors
    /// The server refuses, ends or loses a stream; the run is to stop.
    pub fn grow(&mut self, size: usize, stop: &Stop) -> Result<()> {
        // Streams opened later begin with what the others have.
        let before = self.streams.len();
        let mut progress = Instant::now();
        while self.complete < size {
            while self.streams.len() < size && self.streams.len() - self.complete < OPENING_AT_ONCE
            {
                self.open()?;
            }
            let complete = self.complete;
            self.turn(stop)?;
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
            if self.turn(stop)? > 0 {
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

    fn open(&mut self) -> Result<()> {
        let number = self.streams.len();
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
        self.streams.push(Stream {
            socket,
            sent: None,
            got,
            answered: false,
        });
        Ok(())
    }

    /// Handles what is ready; returns the number of events.
    fn turn(&mut self, stop: &Stop) -> Result<usize> {
        stop.check()?;
        match self
            .poll
            .poll(&mut self.events, Some(Duration::from_millis(100)))
        {
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
                stream
                    .read(&mut self.buf)
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

    fn read(&mut self, buf: &mut [u8]) -> Result<()> {
        loop {
            match self.socket.read(buf) {
                Ok(0) => bail!("the server ended the stream"),
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
                    if n < buf.len() {
                        return Ok(());
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}
