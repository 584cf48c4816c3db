//! The web application behind the proxies: answers every request with the instruction to hold it,
//! accepts WebSockets over HTTP, and echoes what is said on them.
//!
//! To requests that are only proxied it answers with a small page, with a large body, or with how
//! many bytes were handed in.
//!
//! A thread of the load generator with its own `epoll`. Connections are kept alive and pipelined
//! requests are answered. Bodies are counted, never chunked: no proxy measured here does that.

use std::{
    borrow::Cow,
    collections::HashMap,
    io::{self, Read, Write},
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::{Context, Result};
use mio::{
    Events, Interest, Poll, Token,
    net::{TcpListener, TcpStream},
};

use crate::{
    channel,
    plain::Want,
    wire::{self, CHANNEL, Hold},
};

mod large;

use large::Large;

const LISTENER: Token = Token(0);

/// Large bodies come in reads of this size.
const READ_LEN: usize = 64 * 1024;

/// A running backend; ends when dropped.
#[derive(Debug)]
pub struct Backend {
    /// Where it listens.
    pub addr: SocketAddr,
    /// Requests answered so far.
    pub answered: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Backend {
    /// Starts one on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// No socket, no thread.
    pub fn start() -> Result<Self> {
        let mut listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
        let addr = listener.local_addr()?;
        let poll = Poll::new()?;
        poll.registry()
            .register(&mut listener, LISTENER, Interest::READABLE)?;
        let stop = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&stop);
        let answered = Arc::new(AtomicUsize::new(0));
        let mut room = Room {
            poll,
            listener,
            open: HashMap::new(),
            answers: Answers::new(),
            buf: vec![0; READ_LEN],
            answered: Arc::clone(&answered),
        };
        let thread = thread::Builder::new()
            .name("backend".into())
            .spawn(move || {
                if let Err(error) = room.serve(&flag) {
                    eprintln!("the backend failed: {error}");
                }
            })
            .context("starting the backend's thread")?;
        Ok(Self {
            addr,
            answered,
            stop,
            thread: Some(thread),
        })
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

struct Room {
    poll: Poll,
    listener: TcpListener,
    open: HashMap<Token, Peer>,
    answers: Answers,
    /// For one read.
    buf: Vec<u8>,
    answered: Arc<AtomicUsize>,
}

/// The channels of a client without a number.
fn shared() -> [String; 1] {
    [CHANNEL.to_owned()]
}

/// What is answered, made once.
struct Answers {
    stream: Vec<u8>,
    long_poll: Vec<u8>,
    open: Vec<u8>,
    said: Vec<u8>,
    echo: Vec<u8>,
    silence: Vec<u8>,
    page: Vec<u8>,
    download: Vec<u8>,
}

impl Answers {
    fn new() -> Self {
        Self {
            stream: Hold::Stream.backend_answer(&shared()),
            long_poll: Hold::LongPoll.backend_answer(&shared()),
            open: Hold::WebSocket.backend_answer(&shared()),
            said: wire::said_event(),
            echo: wire::echo_answer(),
            silence: wire::silent_answer(),
            page: Want::Page.backend_answer(),
            download: Want::Download.backend_answer(),
        }
    }

    /// To a whole request. What a client says must have come as it was said; anything else on a
    /// WebSocket is its end.
    fn to(&self, head: &[u8], body: &[u8]) -> Cow<'_, [u8]> {
        let fixed: &[u8] = match Hold::of(head) {
            Some(Hold::Stream | Hold::Secure | Hold::Http2 | Hold::Http2Shared) => &self.stream,
            Some(Hold::LongPoll) => &self.long_poll,
            Some(hold) if hold.is_numbered() && is_opening(hold, body) => {
                return Cow::Owned(hold.backend_answer(&channel::of(head)));
            }
            Some(Hold::WebSocket | Hold::Compressed) if is_opening(Hold::WebSocket, body) => {
                &self.open
            }
            Some(hold) if hold.is_socket() && body == self.said => &self.echo,
            Some(Hold::WebSocket | Hold::Compressed | Hold::Rooms) => &self.silence,
            None if Want::of(head) == Some(Want::Page) => &self.page,
            None if Want::of(head) == Some(Want::Download) => &self.download,
            Some(Hold::Own) | None => b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
        };
        Cow::Borrowed(fixed)
    }
}

/// Is this the request that begins such a client's hold?
fn is_opening(hold: Hold, body: &[u8]) -> bool {
    !hold.is_socket() || body == b"OPEN\r\n"
}

#[derive(Debug)]
struct Peer {
    stream: TcpStream,
    /// What came of a request that is not whole.
    buf: Vec<u8>,
    /// The large body that is under way.
    large: Large,
    /// Is it told when there is room to write?
    watched: bool,
}

impl Room {
    fn serve(&mut self, stop: &AtomicBool) -> io::Result<()> {
        let mut events = Events::with_capacity(1024);
        let mut next = LISTENER.0 + 1;
        while !stop.load(Ordering::Relaxed) {
            match self.poll.poll(&mut events, Some(Duration::from_millis(50))) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                other => other?,
            }
            for event in &events {
                if event.token() == LISTENER {
                    self.accept(&mut next)?;
                } else {
                    self.answer(event.token());
                }
            }
        }
        Ok(())
    }

    fn answer(&mut self, token: Token) {
        let Some(peer) = self.open.get_mut(&token) else {
            return;
        };
        let mut going = peer.answer(&mut self.buf, &self.answers, &self.answered);
        if matches!(peer.large, Large::Owed(_)) && !peer.watched {
            // Most never have to wait until they can write.
            peer.watched = true;
            let both = Interest::READABLE | Interest::WRITABLE;
            let registry = self.poll.registry();
            going &= registry.reregister(&mut peer.stream, token, both).is_ok();
        }
        if !going {
            self.open.remove(&token);
        }
    }

    fn accept(&mut self, next: &mut usize) -> io::Result<()> {
        loop {
            match self.listener.accept() {
                Ok((mut stream, _)) => {
                    let token = Token(*next);
                    *next += 1;
                    stream.set_nodelay(true)?;
                    self.poll
                        .registry()
                        .register(&mut stream, token, Interest::READABLE)?;
                    self.open.insert(
                        token,
                        Peer {
                            stream,
                            buf: Vec::new(),
                            large: Large::default(),
                            watched: false,
                        },
                    );
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }
}

impl Peer {
    /// Answers every request that is whole, and goes on with large bodies; false when the
    /// connection is to be closed.
    fn answer(&mut self, buf: &mut [u8], answers: &Answers, answered: &AtomicUsize) -> bool {
        loop {
            if !self.respond(answers, answered) {
                return false;
            }
            let owed = matches!(self.large, Large::Owed(_));
            match self.large.send(&mut self.stream) {
                // Another request may stand behind that one.
                Ok(true) if owed => continue,
                Ok(true) => {}
                Ok(false) => return true,
                Err(_) => return false,
            }
            match self.stream.read(buf) {
                Ok(0) => return false,
                Ok(n) => {
                    let rest = self.large.swallow(&buf[..n]);
                    self.buf.extend_from_slice(rest);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return true,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return false,
            }
        }
    }

    /// Answers requests that are whole, until one is for a large body; false when that fails.
    fn respond(&mut self, answers: &Answers, answered: &AtomicUsize) -> bool {
        while !matches!(self.large, Large::Owed(_)) {
            if let Some(answer) = self.large.answer() {
                if !write(&mut self.stream, &answer) {
                    return false;
                }
                answered.fetch_add(1, Ordering::Relaxed);
            }
            let Some((head, len)) = request(&self.buf) else {
                break;
            };
            if self.large.take_over(&mut self.buf, head, len - head) {
                continue;
            }
            if self.buf.len() < len {
                break;
            }
            let answer = answers.to(&self.buf[..head], &self.buf[head..len]);
            if !write(&mut self.stream, &answer) {
                return false;
            }
            answered.fetch_add(1, Ordering::Relaxed);
            if Want::of(&self.buf) == Some(Want::Download) {
                self.large.owe();
            }
            self.buf.drain(..len);
        }
        true
    }
}

/// An answer of some hundred bytes that does not fit means that the peer stopped reading: no proxy
/// measured here does.
fn write(to: &mut TcpStream, answer: &[u8]) -> bool {
    to.write(answer).ok() == Some(answer.len())
}

/// Lengths of the first request of `bytes`: of its head, and with its body, which may not be whole;
/// none before the head is.
fn request(bytes: &[u8]) -> Option<(usize, usize)> {
    let head = memchr::memmem::find(bytes, b"\r\n\r\n")? + 4;
    let body = String::from_utf8_lossy(&bytes[..head])
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .and_then(|(_, value)| value.trim().parse().ok())
        .unwrap_or(0);
    Some((head, head + body))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The backend answers so to so many requests in these pieces, each sent by itself.
    fn answered(pieces: &[&[u8]], requests: usize, want: &[u8]) {
        let backend = Backend::start().unwrap();
        let mut stream = std::net::TcpStream::connect(backend.addr).unwrap();
        for piece in pieces {
            stream.write_all(piece).unwrap();
        }
        let mut got = vec![0; want.len()];
        stream.read_exact(&mut got).unwrap();
        assert_eq!(got, want);
        let count = Arc::clone(&backend.answered);
        // Its thread has ended when this returns.
        drop(backend);
        assert_eq!(count.load(Ordering::Relaxed), requests);
    }

    #[test]
    fn requests_are_found_however_they_are_cut() {
        let bytes = b"POST / HTTP/1.1\r\nContent-length: 7\r\n\r\nOPEN\r\n\0GET / HTTP/1.1\r\n\r\n";
        let first = bytes.len() - 18;
        for cut in 0..bytes.len() {
            let told = (cut >= first - 7).then_some((first - 7, first));
            assert_eq!(request(&bytes[..cut]), told, "cut at {cut}");
        }
        assert_eq!(request(&bytes[first..]), Some((18, 18)));
    }

    #[test]
    fn a_request_in_two_pieces_gets_one_answer() {
        let pieces = [&b"GET /events/ HTTP/1.1\r\n"[..], b"Host: a\r\n\r\n"];
        answered(&pieces, 1, &Hold::Stream.backend_answer(&shared()));
    }

    #[test]
    fn large_bodies_go_both_ways() {
        let [head, page] = [Want::Upload, Want::Page].map(Want::browser_head);
        let body = vec![b'$'; Want::Upload.sends()];
        // In one piece with the head, and cut inside: what follows is answered too.
        let pieces = [&[&head, &body[..5]].concat(), &body[5..], &page];
        let [received, page] = [Want::Upload, Want::Page].map(Want::backend_answer);
        answered(&pieces, 2, &[received, page.clone()].concat());
        let [download, after] = [Want::Download, Want::Page].map(Want::browser_head);
        let large = vec![b'x'; Want::Download.gets()];
        let want = [Want::Download.backend_answer(), large, page];
        answered(&[&download, &after], 2, &want.concat());
    }

    #[test]
    fn a_websocket_is_accepted_and_echoed() {
        let post = |body: &[u8]| {
            let head = format!(
                "POST /socket/ HTTP/1.1\r\nContent-Length: {}\r\n\r\n",
                body.len()
            );
            [head.as_bytes(), body].concat()
        };
        let all = [
            post(b"OPEN\r\n"),
            post(&wire::said_event()),
            post(b"DISCONNECT\r\n"),
        ];
        let want = [
            Hold::WebSocket.backend_answer(&shared()),
            wire::echo_answer(),
            wire::silent_answer(),
        ];
        answered(&[&all.concat()], 3, &want.concat());
    }
}
