//! The web application behind the proxies: answers every request with the instruction to hold it.
//!
//! A thread of the load generator with its own `epoll`. Requests have no body, so a request is
//! everything up to an empty line; connections are kept alive and pipelined requests are answered.

use std::{
    collections::HashMap,
    io::{self, Read, Write},
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::{Context, Result};
use mio::{
    Events, Interest, Poll, Token,
    net::{TcpListener, TcpStream},
};

use crate::wire;

const LISTENER: Token = Token(0);

/// A running backend; ends when dropped.
#[derive(Debug)]
pub struct Backend {
    /// Where it listens.
    pub addr: SocketAddr,
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
        let mut room = Room {
            poll,
            listener,
            open: HashMap::new(),
            answer: wire::hold_answer(),
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
    answer: Vec<u8>,
}

struct Peer {
    stream: TcpStream,
    /// Bytes of the empty line that ends a head seen at the end of what was read so far.
    matched: usize,
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
                } else if let Some(peer) = self.open.get_mut(&event.token())
                    && !peer.answer(&self.answer)
                {
                    self.open.remove(&event.token());
                }
            }
        }
        Ok(())
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
                    self.open.insert(token, Peer { stream, matched: 0 });
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }
}

impl Peer {
    /// Answers every request that is complete; false when the connection is to be closed.
    fn answer(&mut self, answer: &[u8]) -> bool {
        let mut buf = [0; 16 * 1024];
        loop {
            match self.stream.read(&mut buf) {
                Ok(0) => return false,
                Ok(n) => {
                    for _ in 0..heads_ended(&buf[..n], &mut self.matched) {
                        // An answer of some 150 bytes that does not fit means that the peer
                        // stopped reading: no proxy measured here does.
                        if self.stream.write(answer).ok() != Some(answer.len()) {
                            return false;
                        }
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return true,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return false,
            }
        }
    }
}

/// How many heads end in `bytes`, given that `matched` bytes of an empty line stood before it.
pub fn heads_ended(bytes: &[u8], matched: &mut usize) -> usize {
    const END: &[u8] = b"\r\n\r\n";
    let mut ended = 0;
    for &byte in bytes {
        *matched = match byte {
            _ if byte == END[*matched] => *matched + 1,
            b'\r' => 1,
            _ => 0,
        };
        if *matched == END.len() {
            ended += 1;
            *matched = 0;
        }
    }
    ended
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_counted_however_they_are_cut() {
        let bytes = b"GET / HTTP/1.1\r\nA: b\r\n\r\nGET / HTTP/1.1\r\n\r\r\n\r\n";
        for cut in 0..bytes.len() {
            let mut matched = 0;
            let first = heads_ended(&bytes[..cut], &mut matched);
            assert_eq!(
                first + heads_ended(&bytes[cut..], &mut matched),
                2,
                "cut at {cut}"
            );
        }
    }

    #[test]
    fn a_request_in_two_pieces_gets_one_answer() {
        let backend = Backend::start().unwrap();
        let mut stream = std::net::TcpStream::connect(backend.addr).unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\n").unwrap();
        stream.write_all(b"Host: a\r\n\r\n").unwrap();
        let mut got = vec![0; wire::hold_answer().len()];
        stream.read_exact(&mut got).unwrap();
        assert_eq!(got, wire::hold_answer());
    }
}
