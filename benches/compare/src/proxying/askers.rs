//! Browsers that ask on connections that are kept, each again as soon as it is answered.
//!
//! One `epoll`, edge-triggered, as the [`Fleet`](crate::clients::Fleet) has it. Every answer is
//! checked: small bodies by their bytes, large ones by their length.

use std::{
    io,
    net::SocketAddr,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use mio::{Events, Interest, Poll, Token};

use super::asker::{Asker, Request, Went};
use crate::{plain::Want, stop::Stop};

/// Longest wait for events before [`Stop`] is asked again.
const TURN: Duration = Duration::from_millis(100);

/// Nothing at all arrived for so long: the server has lost something.
const STALLED: Duration = Duration::from_secs(30);

/// Some browsers that all want the same.
#[derive(Debug)]
pub(super) struct Askers {
    server: SocketAddr,
    request: Request,
    poll: Poll,
    events: Events,
    buf: Vec<u8>,
    all: Vec<Asker>,
    /// Connections that the server ended.
    lost: usize,
}

impl Askers {
    /// So many, connected to `server`.
    ///
    /// # Errors
    /// They cannot be connected.
    pub(super) fn connect(server: SocketAddr, want: Want, count: usize) -> Result<Self> {
        let mut askers = Self {
            server,
            request: Request::new(want),
            poll: Poll::new()?,
            events: Events::with_capacity(1024),
            buf: vec![0; 256 * 1024],
            all: Vec::new(),
            lost: 0,
        };
        for number in 0..count {
            let asker = askers.dial(number)?;
            askers.all.push(asker);
        }
        Ok(askers)
    }

    /// How many.
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    /// Connections that the server ended before it answered or between two requests. They were made
    /// again, and what was under way was asked again, as browsers do: Pushpin 1.36 now and then ends
    /// some when many ask at once. More than one to twenty answers is an error.
    pub(super) fn lost(&self) -> usize {
        self.lost
    }

    /// Asks for so long and at least `least` times, then waits until all is answered. Returns how
    /// long each answer took, in ms, rising.
    ///
    /// # Errors
    /// The server refuses, ends too many connections, answers something else, or nothing for 30 s;
    /// the run is to stop.
    pub(super) fn run(&mut self, time: Duration, least: usize, stop: &Stop) -> Result<Vec<f64>> {
        let start = Instant::now();
        let mut took = Vec::new();
        for number in 0..self.all.len() {
            self.ask(number)?;
        }
        let mut waiting = self.all.len();
        let mut progress = start;
        while waiting > 0 {
            let ready = self.turn(stop)?;
            for number in &ready {
                match self.all[*number].go_on(&self.request, &mut self.buf)? {
                    Went::On => continue,
                    Went::Lost => {
                        self.ask_again(*number, took.len())?;
                        continue;
                    }
                    Went::Answered(after) => took.push(after.as_secs_f64() * 1e3),
                }
                if took.len() + waiting <= least || start.elapsed() < time {
                    self.ask(*number)?;
                } else {
                    waiting -= 1;
                }
            }
            if !ready.is_empty() {
                progress = Instant::now();
            } else if progress.elapsed() > STALLED {
                bail!("{} were answered, then nothing came", took.len());
            }
        }
        took.sort_by(f64::total_cmp);
        Ok(took)
    }

    fn ask(&mut self, number: usize) -> Result<()> {
        if self.all[number].is_closed() {
            self.lost += 1;
            self.all[number] = self.dial(number)?;
        }
        self.all[number].ask(&self.request, Instant::now())
    }

    /// On a new connection; the answer takes as long as it would to somebody who waits for it.
    fn ask_again(&mut self, number: usize, answers: usize) -> Result<()> {
        self.lost += 1;
        if self.lost > 64.max(answers / 20) {
            bail!("the server ended {} connections", self.lost);
        }
        let since = self.all[number].since();
        self.all[number] = self.dial(number)?;
        self.all[number].ask(&self.request, since)
    }

    /// Numbers of those that can go on.
    fn turn(&mut self, stop: &Stop) -> Result<Vec<usize>> {
        stop.check()?;
        match self.poll.poll(&mut self.events, Some(TURN)) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(Vec::new()),
            other => other.context("waiting for askers' sockets")?,
        }
        Ok(self.events.iter().map(|event| event.token().0).collect())
    }

    fn dial(&self, number: usize) -> Result<Asker> {
        let mut asker = Asker::dial(self.server, number)?;
        let both = Interest::READABLE | Interest::WRITABLE;
        let registry = self.poll.registry();
        registry.register(asker.socket(), Token(number), both)?;
        Ok(asker)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read, Write},
        net::TcpListener,
        thread,
    };

    use super::*;
    use crate::backend::Backend;

    #[test]
    fn everything_asked_for_is_answered() {
        let stop = Stop::watch(Duration::from_mins(1)).unwrap();
        let backend = Backend::start().unwrap();
        for (want, least) in [(Want::Page, 100), (Want::Download, 4), (Want::Upload, 4)] {
            let mut askers = Askers::connect(backend.addr, want, 3).unwrap();
            let took = askers.run(Duration::ZERO, least, &stop).unwrap();
            assert_eq!(took.len(), least, "{want:?}");
            assert!(took.is_sorted() && took[0] > 0.0);
            // The connections are as they were.
            assert_eq!(askers.run(Duration::ZERO, 1, &stop).unwrap().len(), 3);
            assert_eq!((askers.lost(), askers.len()), (0, 3));
        }
    }
    #[test]
    fn what_a_server_drops_is_asked_again() {
        let stop = Stop::watch(Duration::from_mins(1)).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = listener.local_addr().unwrap();
        let answers = thread::spawn(move || {
            let mut buf = [0; 4096];
            // Ended before an answer, then after one.
            for answered in [false, true, true] {
                let mut stream = listener.accept().unwrap().0;
                assert!(stream.read(&mut buf).unwrap() > 0);
                if answered {
                    stream.write_all(&Want::Page.backend_answer()).unwrap();
                }
            }
        });
        let mut askers = Askers::connect(server, Want::Page, 1).unwrap();
        assert_eq!(askers.run(Duration::ZERO, 2, &stop).unwrap().len(), 2);
        assert_eq!(askers.lost(), 2);
        answers.join().unwrap();
    }
}
