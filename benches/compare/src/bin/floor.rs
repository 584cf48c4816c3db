//! The floor: the least a server can do. It holds the same connections as a push proxy and, for
//! each published item, does one non-blocking write of the same bytes per subscriber.
//!
//! One thread, one `epoll`. It answers requests itself (there is no backend behind it): a request
//! is known by its path, and a WebSocket's every message is answered with the same one. It parses
//! nothing of what is published: its control connection says what to write, and how often, and the
//! answer says how many writes failed. It ends when its standard input does, so that it never
//! outlives the program that started it.

use std::{
    collections::HashMap,
    io::{self, Read, Write},
    net::SocketAddr,
    thread,
};

use compare::{
    channel, frames,
    plain::Want,
    publish::FloorCommand,
    wire::{self, Hold},
};
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
        numbered: Vec::new(),
        publishers: HashMap::new(),
        words: Words {
            openings: Hold::ALL.map(Hold::floor_answer),
            echo: frames::text(wire::SAID.content().as_bytes()),
            page: Want::Page.backend_answer(),
        },
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
    /// Slots of clients that have a number.
    numbered: Vec<Option<usize>>,
    publishers: HashMap<Token, Publisher>,
    words: Words,
}

/// What the floor says by itself, made once.
struct Words {
    /// In the order of [`Hold::ALL`].
    openings: [Vec<u8>; Hold::ALL.len()],
    echo: Vec<u8>,
    page: Vec<u8>,
}

struct Subscriber {
    stream: TcpStream,
    /// Bytes of the empty line that ends a head seen at the end of what was read so far.
    matched: u8,
    /// What the request under way asks for.
    hold: Option<Hold>,
    /// It has been read, and what is published goes to this one.
    open: bool,
}

struct Publisher {
    stream: TcpStream,
    /// What came of a command that is not whole.
    buf: Vec<u8>,
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
                hold: None,
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
            let buf = Vec::new();
            self.publishers.insert(token, Publisher { stream, buf });
        }
        Ok(())
    }

    fn readable(&mut self, slot: usize) {
        let Some(Some(subscriber)) = self.slots.get_mut(slot) else {
            return;
        };
        let mut number = None;
        if !subscriber.readable(&self.words, &mut number) {
            self.slots[slot] = None;
            self.free.push(slot);
        } else if let Some(number) = number {
            let len = self.numbered.len().max(number + 1);
            self.numbered.resize(len, None);
            self.numbered[number] = Some(slot);
        }
    }

    /// Carries out the commands that are whole; each answer is 4 bytes, the writes that failed.
    fn command(&mut self, token: Token) -> io::Result<()> {
        let Some(mut publisher) = self.publishers.remove(&token) else {
            return Ok(());
        };
        // One connection stays for all of a run; when it ends, so does the run.
        let mut more = true;
        while more {
            more = publisher.read();
            while let Some(command) = FloorCommand::read(&publisher.buf) {
                let failed = self.deliver(&command);
                publisher.stream.write_all(&failed.to_be_bytes())?;
                let len = command.len;
                publisher.buf.drain(..len);
            }
        }
        self.publishers.insert(token, publisher);
        Ok(())
    }

    fn deliver(&mut self, command: &FloorCommand<'_>) -> u32 {
        let mut failed = 0;
        for _ in 0..command.count {
            if let Some(numbers) = command.numbers() {
                for number in numbers {
                    failed += u32::from(!self.deliver_to(number, command.piece));
                }
            } else {
                for subscriber in self.slots.iter_mut().flatten().filter(|one| one.open) {
                    failed += u32::from(!subscriber.deliver(command.piece));
                }
            }
        }
        failed
    }

    /// To a number that no client has, nothing is to be written.
    fn deliver_to(&mut self, number: usize, piece: &[u8]) -> bool {
        let slot = self.numbered.get(number).copied().flatten();
        let subscriber = slot.and_then(|slot| self.slots.get_mut(slot)?.as_mut());
        subscriber.is_none_or(|subscriber| subscriber.deliver(piece))
    }
}

impl Publisher {
    /// Reads once; false when that was all there is now.
    fn read(&mut self) -> bool {
        let mut buf = [0; 8192];
        let read = self.stream.read(&mut buf).unwrap_or(0);
        self.buf.extend_from_slice(&buf[..read]);
        read == buf.len()
    }
}

impl Subscriber {
    /// Answers what has come, and tells the client's number if it has one; false when the client is
    /// gone.
    fn readable(&mut self, words: &Words, number: &mut Option<usize>) -> bool {
        let mut buf = [0; 4096];
        loop {
            match self.stream.read(&mut buf) {
                Ok(0) => return false,
                Ok(n) if !self.answer(&buf[..n], words) => return false,
                Ok(n) if self.hold.is_some_and(Hold::is_numbered) => {
                    *number = number.or_else(|| channel::number(&buf[..n]));
                }
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return true,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return false,
            }
        }
    }

    /// What a client says comes in one piece, and so do a request for a page and the beginning of
    /// every other.
    fn answer(&mut self, bytes: &[u8], words: &Words) -> bool {
        if self.open {
            return self.write(&words.echo);
        }
        if Want::of(bytes) == Some(Want::Page) {
            return bytes.ends_with(b"\r\n\r\n") && self.write(&words.page);
        }
        if self.matched == 0 {
            self.hold = self.hold.or_else(|| Hold::of(bytes));
        }
        match self.hold {
            None => false,
            Some(hold) if ends_head(bytes, &mut self.matched) => {
                self.open = true;
                self.write(&words.openings[hold as usize])
            }
            Some(_) => true,
        }
    }

    /// Writes an item. A long-poll that has got one asks again.
    fn deliver(&mut self, piece: &[u8]) -> bool {
        self.open = self.hold != Some(Hold::LongPoll);
        self.write(piece)
    }

    fn write(&mut self, bytes: &[u8]) -> bool {
        bytes.is_empty() || self.stream.write(bytes).ok() == Some(bytes.len())
    }
}

/// Does a head end in `bytes`, given that `matched` bytes of an empty line stood before it?
fn ends_head(bytes: &[u8], matched: &mut u8) -> bool {
    const END: &[u8] = b"\r\n\r\n";
    for &byte in bytes {
        *matched = match byte {
            _ if byte == END[usize::from(*matched)] => *matched + 1,
            b'\r' => 1,
            _ => 0,
        };
        if usize::from(*matched) == END.len() {
            *matched = 0;
            return true;
        }
    }
    false
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_ends_however_it_is_cut() {
        let bytes = b"GET / HTTP/1.1\r\nA: b\r\r\n\r\n";
        for cut in 0..bytes.len() {
            let mut matched = 0;
            assert!(!ends_head(&bytes[..cut], &mut matched), "cut at {cut}");
            assert!(ends_head(&bytes[cut..], &mut matched), "cut at {cut}");
        }
    }
}
