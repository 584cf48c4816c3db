//! The floor: the least a server can do. It holds the same connections as a push proxy and, for
//! each published item, does one non-blocking write of the same bytes per subscriber.
//!
//! One thread, one `epoll`. It answers requests itself (there is no backend behind it) and parses
//! nothing of what is published: its control connection says how many items to write and the
//! answer says how many bytes could not be written. It ends when its standard input does, so that
//! it never outlives the program that started it.

use std::{
    collections::HashMap,
    io::{self, Read, Write},
    net::SocketAddr,
    thread,
};

use compare::{backend::heads_ended, wire};
use mio::{
    Events, Interest, Poll, Token,
    net::{TcpListener, TcpStream},
};

const CLIENTS: Token = Token(0);
const CONTROL: Token = Token(1);
/// Tokens of control connections lie above all those of subscribers.
const CONTROL_BASE: usize = 1 << 32;

fn main() -> io::Result<()> {
    thread::spawn(|| {
        drop(io::copy(&mut io::stdin(), &mut io::sink()));
        std::process::exit(0);
    });
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let clients = listen(any)?;
    let control = TcpListener::bind(any)?;
    eprintln!("clients: http://{}", clients.local_addr()?);
    eprintln!("control: http://{}", control.local_addr()?);
    Floor {
        poll: Poll::new()?,
        clients,
        control,
        slots: Vec::new(),
        free: Vec::new(),
        publishers: HashMap::new(),
        answer: wire::stream_answer(),
        chunk: wire::chunk(wire::item().as_bytes()),
    }
    .run()
}

/// A listener with the backlog that gripd has too.
fn listen(addr: SocketAddr) -> io::Result<TcpListener> {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    socket.listen(4096)?;
    Ok(TcpListener::from_std(socket.into()))
}

struct Floor {
    poll: Poll,
    clients: TcpListener,
    control: TcpListener,
    slots: Vec<Option<Subscriber>>,
    free: Vec<usize>,
    publishers: HashMap<Token, TcpStream>,
    answer: Vec<u8>,
    chunk: Vec<u8>,
}

struct Subscriber {
    stream: TcpStream,
    matched: usize,
    open: bool,
}

impl Floor {
    fn run(&mut self) -> io::Result<()> {
        let registry = self.poll.registry();
        registry.register(&mut self.clients, CLIENTS, Interest::READABLE)?;
        registry.register(&mut self.control, CONTROL, Interest::READABLE)?;
        let mut events = Events::with_capacity(1024);
        loop {
            match self.poll.poll(&mut events, None) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                other => other?,
            }
            for event in &events {
                match event.token() {
                    CLIENTS => self.accept_clients()?,
                    CONTROL => self.accept_control()?,
                    token if token.0 >= CONTROL_BASE => self.command(token)?,
                    token => self.readable(token.0 - 2),
                }
            }
        }
    }

    fn accept_clients(&mut self) -> io::Result<()> {
        while let Some(mut stream) = accepted(&self.clients)? {
            let slot = self.free.pop().unwrap_or_else(|| {
                self.slots.push(None);
                self.slots.len() - 1
            });
            self.poll
                .registry()
                .register(&mut stream, Token(slot + 2), Interest::READABLE)?;
            self.slots[slot] = Some(Subscriber {
                stream,
                matched: 0,
                open: false,
            });
        }
        Ok(())
    }

    fn accept_control(&mut self) -> io::Result<()> {
        while let Some(mut stream) = accepted(&self.control)? {
            let token = Token(CONTROL_BASE + self.publishers.len());
            self.poll
                .registry()
                .register(&mut stream, token, Interest::READABLE)?;
            self.publishers.insert(token, stream);
        }
        Ok(())
    }

    fn readable(&mut self, slot: usize) {
        let Some(Some(subscriber)) = self.slots.get_mut(slot) else {
            return;
        };
        if !subscriber.readable(&self.answer) {
            self.slots[slot] = None;
            self.free.push(slot);
        }
    }

    /// A command is 4 bytes, the number of items; the answer 4 bytes, the writes that failed.
    fn command(&mut self, token: Token) -> io::Result<()> {
        loop {
            let Some(publisher) = self.publishers.get_mut(&token) else {
                return Ok(());
            };
            let mut count = [0; 4];
            match publisher.read(&mut count) {
                Ok(4) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                // One connection stays for all of a run; when it ends, so does the run.
                Ok(_) | Err(_) => return Ok(()),
            }
            let failed = self.deliver(u32::from_be_bytes(count));
            if let Some(publisher) = self.publishers.get_mut(&token) {
                publisher.write_all(&failed.to_be_bytes())?;
            }
        }
    }

    fn deliver(&mut self, items: u32) -> u32 {
        let mut failed = 0;
        for _ in 0..items {
            for subscriber in self.slots.iter_mut().flatten().filter(|one| one.open) {
                if subscriber.stream.write(&self.chunk).ok() != Some(self.chunk.len()) {
                    failed += 1;
                }
            }
        }
        failed
    }
}

impl Subscriber {
    /// Answers the request once its head is complete; false when the client is gone.
    fn readable(&mut self, answer: &[u8]) -> bool {
        let mut buf = [0; 4096];
        loop {
            match self.stream.read(&mut buf) {
                Ok(0) => return false,
                Ok(n) if !self.open && heads_ended(&buf[..n], &mut self.matched) > 0 => {
                    self.open = true;
                    if self.stream.write(answer).ok() != Some(answer.len()) {
                        return false;
                    }
                }
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return true,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return false,
            }
        }
    }
}

fn accepted(listener: &TcpListener) -> io::Result<Option<TcpStream>> {
    match listener.accept() {
        Ok((stream, _)) => {
            stream.set_nodelay(true)?;
            Ok(Some(stream))
        }
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    }
}
