//! Many browsers: opens streams, long-polls or WebSockets, reads what comes, counts the items of
//! each.
//!
//! One `epoll`, edge-triggered; a read that did not fill the buffer emptied the socket, so an event
//! costs one `read`. Sources are 127.0.0.2 to 127.0.0.40, since one address has only some 28,000
//! ports. Sockets are closed with a reset: nothing stays behind in TIME-WAIT.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use mio::{Events, Interest, Poll, Token, net::TcpStream};
use rustls::ClientConfig;
use socket2::{Domain, Socket, Type};

use crate::{
    frames,
    http2::connection::Connection,
    servers::Server,
    stop::Stop,
    wire::{self, Hold},
};

mod client;
mod heads;
mod socket;

use client::Client;
use heads::Heads;

/// Clients that are being opened, ask again, or wait for an answer to what they said, at the same
/// time.
///
/// Few: Pushpin loses up to as many at a time (see [`Fleet::grow`]), answers 502 when 200 long-polls
/// ask again at once, and no server here is quicker with more.
const AT_ONCE: usize = 16;

/// Longest wait for events before [`Stop`] is asked again.
const TURN: Duration = Duration::from_millis(100);

/// The same while the backend has requests to answer, which no event tells of.
const SHORT_TURN: Duration = Duration::from_millis(1);

/// The first subscriber of a channel is over with what comes of that.
const ASKED_AGAIN_WITHIN: Duration = Duration::from_secs(3);

/// Nothing at all arrived for so long: the server has lost something.
const STALLED: Duration = Duration::from_secs(30);

/// All clients held through one server.
#[derive(Debug)]
pub struct Fleet {
    server: SocketAddr,
    hold: Hold,
    poll: Poll,
    events: Events,
    heads: Heads,
    /// How clients speak TLS, if they do.
    tls: Option<Arc<ClientConfig>>,
    buf: Vec<u8>,
    /// Connections: with HTTP/2 one may carry many clients.
    clients: Vec<Client>,
    /// Clients on all of them.
    len: usize,
    /// Items each client must have got; more is an error.
    expected: u32,
    /// Clients that have got them and, if they are long-polls, have asked again.
    complete: usize,
    /// Requests of long-polls, and those that the backend has answered: nothing comes that would
    /// tell a client that it is held.
    asked: usize,
    answered: Option<Arc<AtomicUsize>>,
    /// Clients that the server ended by itself and that were opened again.
    lost: usize,
    /// Clients found ended by the last turns.
    ended: Vec<usize>,
    /// Long-polls that have been answered and are to ask again.
    resting: Vec<usize>,
}

impl Fleet {
    /// No clients yet; those to come connect to `server` and are held like `hold`.
    ///
    /// # Errors
    /// No `epoll`.
    pub fn new(server: &Server, hold: Hold) -> Result<Self> {
        let answered = server.answered().filter(|_| hold == Hold::LongPoll);
        Ok(Self {
            server: server.clients,
            hold,
            poll: Poll::new()?,
            events: Events::with_capacity(1024),
            heads: Heads::new(hold)?,
            tls: server
                .certificate
                .as_ref()
                .map(socket::trusting)
                .transpose()?,
            buf: vec![0; 64 * 1024],
            clients: Vec::new(),
            len: 0,
            expected: hold.openings(),
            complete: 0,
            // Those of fleets before this one.
            asked: (answered.as_ref()).map_or(0, |count| count.load(Ordering::Relaxed)),
            answered,
            lost: 0,
            ended: Vec::new(),
            resting: Vec::new(),
        })
    }

    /// The same, but the first client's number is `first`: another fleet has those before.
    ///
    /// # Errors
    /// No `epoll`.
    pub fn numbered_from(first: usize, server: &Server, hold: Hold) -> Result<Self> {
        let mut fleet = Self::new(server, hold)?;
        fleet.heads = fleet.heads.from(first);
        Ok(fleet)
    }

    /// Clients held.
    pub fn len(&self) -> usize {
        self.len
    }

    /// True before the first [`Self::grow`].
    pub fn is_empty(&self) -> bool {
        self.clients.is_empty()
    }

    /// Clients that the server ended by itself while others were opened.
    pub fn lost(&self) -> usize {
        self.lost
    }

    /// Compressed messages that all clients together have got.
    pub fn compressed(&self) -> u64 {
        let each = self.clients.iter().map(|one| one.frames.compressed());
        each.map(u64::from).sum()
    }

    /// Opens clients until there are `size`, and waits until each has got its opening, or, if they
    /// are long-polls, until the backend has answered for each.
    ///
    /// A client that was ended, or answered with an error of the server's, is opened again, as
    /// browsers do: Pushpin 1.36 now and then does that to one or all of those just opened when many
    /// are set up. More than one in twenty is an error.
    ///
    /// # Errors
    /// The server refuses clients, loses too many, or nothing comes for 30 s; the run is to stop.
    pub fn grow(&mut self, size: usize, stop: &Stop) -> Result<()> {
        // Clients opened later begin with what the others have.
        let before = self.len;
        let mut progress = Instant::now();
        // Some may have ended since they were last looked at.
        while self.turn(Duration::ZERO, stop)? > 0 {
            self.reopen(size)?;
        }
        while self.held() < size {
            while self.len < size && self.len - self.held() < AT_ONCE {
                let streams = self.hold.http2().unwrap_or(1).min(size - self.len);
                let client = self.open(self.clients.len(), streams)?;
                self.clients.push(client);
                self.len += streams;
            }
            let held = self.held();
            self.turn(self.patience(), stop)?;
            self.reopen(size)?;
            if self.held() > held {
                progress = Instant::now();
            } else if progress.elapsed() > STALLED {
                bail!(
                    "{} of {} {} opened, then nothing",
                    self.held().saturating_sub(before),
                    size - before,
                    self.hold
                );
            }
        }
        Ok(())
    }

    /// Holds a first long-poll until its backend has been asked for it again, or 3 s have passed.
    /// Proxies do that once when a channel gets its first subscribers; with one alone it is over
    /// before anything is measured.
    ///
    /// # Errors
    /// As [`Self::grow`].
    pub fn begin(&mut self, stop: &Stop) -> Result<()> {
        let Some(answered) = self.answered.clone() else {
            return Ok(());
        };
        self.grow(1, stop)?;
        let end = Instant::now() + ASKED_AGAIN_WITHIN;
        while answered.load(Ordering::Relaxed) == self.asked && Instant::now() < end {
            self.turn(TURN, stop)?;
        }
        self.asked = answered.load(Ordering::Relaxed);
        Ok(())
    }

    /// From now on each client must get `items` more.
    pub fn expect(&mut self, items: u32) {
        self.expected += items;
        self.complete = 0;
    }

    /// Waits until each client has got what is expected and, if they are long-polls, until the
    /// backend has answered for each again.
    ///
    /// # Errors
    /// The server ends a client, delivers nothing for 30 s, or delivers too much; the run is to
    /// stop.
    pub fn wait(&mut self, stop: &Stop) -> Result<()> {
        self.work(stop, |_| Ok(()))
    }

    /// Has each WebSocket say [`wire::SAID`] once, and waits until each has got the answer.
    ///
    /// # Errors
    /// As [`Self::wait`].
    pub fn talk(&mut self, stop: &Stop) -> Result<()> {
        let said = frames::masked(wire::SAID.content().as_bytes());
        let mut next = 0;
        self.expect(1);
        self.work(stop, |fleet| {
            while next < fleet.len() && next - fleet.complete < AT_ONCE {
                fleet.clients[next].say(&said)?;
                next += 1;
            }
            Ok(())
        })
    }

    /// Takes turns until each client has got what is expected, with `more` before each of them.
    fn work(&mut self, stop: &Stop, mut more: impl FnMut(&mut Self) -> Result<()>) -> Result<()> {
        let mut progress = Instant::now();
        while self.held() < self.len {
            more(self)?;
            self.ask_again()?;
            if self.turn(self.patience(), stop)? > 0 {
                if let Some(number) = self.ended.first() {
                    bail!("the server ended number {number} of the {}", self.hold);
                }
                progress = Instant::now();
            } else if progress.elapsed() > STALLED {
                bail!(
                    "{} of {} {} got everything, then nothing came",
                    self.held(),
                    self.len,
                    self.hold
                );
            }
        }
        Ok(())
    }

    /// Has long-polls that were answered ask again, a few at a time.
    fn ask_again(&mut self) -> Result<()> {
        while self.unanswered() < AT_ONCE
            && let Some(number) = self.resting.pop()
        {
            let client = &mut self.clients[number];
            client.ask(&self.heads.of(number))?;
            if client.has_asked() {
                self.asked += 1;
                self.complete += client.complete(self.expected);
            }
        }
        Ok(())
    }

    /// Clients that have got what is expected, without those whose request is under way.
    fn held(&self) -> usize {
        self.complete.saturating_sub(self.unanswered())
    }

    fn unanswered(&self) -> usize {
        let answered = self.answered.as_ref();
        answered.map_or(0, |count| {
            self.asked.saturating_sub(count.load(Ordering::Relaxed))
        })
    }

    fn patience(&self) -> Duration {
        if self.unanswered() > 0 {
            SHORT_TURN
        } else {
            TURN
        }
    }

    /// Opens ended clients again.
    fn reopen(&mut self, size: usize) -> Result<()> {
        for number in std::mem::take(&mut self.ended) {
            let streams = self.clients[number].streams();
            self.lost += streams;
            if self.lost > 64.max(size / 20) {
                bail!("the server ended or refused {} {}", self.lost, self.hold);
            }
            // Its request may never have reached the backend.
            self.asked = self.asked.saturating_sub(1);
            self.clients[number] = self.open(number, streams)?;
        }
        Ok(())
    }

    /// Begins the connection of this number, which is to carry so many clients.
    fn open(&self, number: usize, streams: usize) -> Result<Client> {
        let socket = socket(number)?;
        socket.set_nonblocking(true)?;
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
        let got = self.expected - self.hold.openings();
        let socket = socket::Socket::new(socket, self.tls.as_ref())?;
        Ok(match self.heads.http2() {
            Some(head) => {
                let connection = Connection::new(head, streams, AT_ONCE, got);
                Client::sharing(socket, self.hold, connection)
            }
            None => Client::new(socket, self.hold, got),
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
            let client = &mut self.clients[number];
            let named = || format!("number {number} of the {}", self.hold);
            let (before, rested) = (client.complete(self.expected), client.rests());
            let mut open = true;
            if event.is_readable() {
                open = client
                    .read(&mut self.buf, event.is_read_closed())
                    .with_context(named)?;
            }
            if event.is_writable() && client.is_asking() {
                client.ask(&self.heads.of(number)).with_context(named)?;
                self.asked += usize::from(client.has_asked());
            } else if event.is_writable() {
                client.flush().with_context(named)?;
            }
            if !rested && client.rests() {
                self.resting.push(number);
            }
            if client.most() > self.expected {
                let many = client.most() - self.expected;
                return Err(anyhow::anyhow!("{many} items too many")).with_context(named);
            }
            if open {
                self.complete += client.complete(self.expected);
            } else {
                self.ended.push(number);
            }
            self.complete -= before;
        }
        Ok(handled)
    }
}

/// A socket of client `number`, not connected yet: it sends at once and closes with a reset.
pub(crate) fn socket(number: usize) -> Result<Socket> {
    let source = Ipv4Addr::new(127, 0, 0, u8::try_from(2 + number % 39)?);
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).context("a client's socket")?;
    socket.set_linger(Some(Duration::ZERO))?;
    socket.set_tcp_nodelay(true)?;
    socket.bind(&SocketAddr::from((source, 0)).into())?;
    Ok(socket)
}

/// `EINPROGRESS`.
const IN_PROGRESS: i32 = rustix::io::Errno::INPROGRESS.raw_os_error();
