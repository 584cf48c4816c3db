//! A seeded simulation of the hub: several shards, clients that read when they like, random
//! subscribing, leaving, publishing, closing and passing of time. Whatever happens, each client
//! gets exactly what was published on its channels while it was subscribed, once and in order.
//!
//! `GRIPD_SEEDS=N` runs more seeds than a normal test run does.

mod recovery;

use std::{
    cell::RefCell,
    io::{self, IoSlice},
    rc::Rc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;

use super::{Ask, Bounds, Event, Framing, Hub, Progress, Rules, Shard, Wire};
use crate::grip::{
    format::{ResponseBody, ResponseContent, ResponseFormat, StreamFormat},
    instruct::{KeepAlive, KeepAliveMode, Mode},
    item::{Entry, Item},
};

#[test]
fn nothing_is_lost_doubled_or_reordered() {
    let seeds = std::env::var("GRIPD_SEEDS")
        .ok()
        .and_then(|seeds| seeds.parse().ok());
    for seed in 1..=seeds.unwrap_or(300) {
        if let Err(panic) = std::panic::catch_unwind(|| World::new(seed).run()) {
            eprintln!("seed {seed}");
            std::panic::resume_unwind(panic);
        }
    }
}

/// A client's side of a socket.
#[derive(Debug, Default)]
pub(super) struct Pipe {
    /// Bytes the client will still take.
    pub(super) room: usize,
    pub(super) received: Vec<u8>,
    /// It takes writes whole, and keeps inside what there is no room for, as TLS does.
    pub(super) keeps: bool,
    inside: Vec<u8>,
}

impl Pipe {
    fn flush(&mut self) -> io::Result<()> {
        let count = self.inside.len().min(self.room);
        self.room -= count;
        self.received.extend(self.inside.drain(..count));
        if self.inside.is_empty() {
            Ok(())
        } else {
            Err(io::ErrorKind::WouldBlock.into())
        }
    }
}

#[derive(Clone, Debug, Default)]
pub(super) struct PipeEnd(pub(super) Rc<RefCell<Pipe>>);

impl PipeEnd {
    /// `keeps`: as of [`Pipe`].
    fn keeping(keeps: bool) -> Self {
        let pipe = Self::default();
        pipe.0.borrow_mut().keeps = keeps;
        pipe
    }
}

struct Client {
    shard: usize,
    slot: u32,
    mode: Mode,
    framing: Framing,
    channels: Vec<String>,
    pipe: PipeEnd,
    opened: bool,
    /// What it must get, in order.
    expected: Vec<String>,
    closed: bool,
    deadline: u64,
    event: Option<Event>,
}

struct World {
    random: u64,
    hub: Hub,
    shards: Vec<Shard<PipeEnd>>,
    clients: Vec<Client>,
    now: u64,
    published: u64,
}

impl World {
    fn new(seed: u64) -> Self {
        let count = 1 + usize::try_from(seed % 4).unwrap();
        let hub = Hub::new(count, 1 << 20, Duration::ZERO, Rules::default());
        let shards = (0..count)
            .map(|index| {
                let (directory, inbox) = (hub.directory.clone(), hub.inboxes[index].clone());
                Shard::new(index, directory, inbox, Bounds::default())
            })
            .collect();
        let random = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        Self {
            random,
            hub,
            shards,
            clients: Vec::new(),
            now: 0,
            published: 0,
        }
    }

    fn run(mut self) {
        for _ in 0..400 {
            match self.below(12) {
                0 | 1 => self.subscribe(),
                2..=4 => self.publish(),
                5 => self.open(),
                6 | 7 => self.read(),
                8 if self.below(3) == 0 => self.leave(),
                9 => self.now += self.below(700),
                _ => self.work(),
            }
        }
        if self.below(2) == 0 {
            self.drain();
        }
        self.settle();
        for index in 0..self.clients.len() {
            self.judge(index);
        }
        while !self.clients.is_empty() {
            self.leave();
        }
        assert_eq!(self.hub.channels(), 0, "channels outlive their subscribers");
    }

    fn subscribe(&mut self) {
        let shard = self.index(self.shards.len());
        let mode = if self.below(4) == 0 {
            Mode::Response
        } else {
            Mode::Stream
        };
        let framing = if self.below(4) == 0 {
            Framing::Bare
        } else {
            Framing::Chunked
        };
        let first = self.below(5);
        let channels: Vec<String> = (0..=self.below(3))
            .map(|n| format!("c{}", (first + n) % 5))
            .collect();
        let keep_alive = KeepAlive {
            data: Bytes::from_static(b"~"),
            mode: if self.below(2) == 0 {
                KeepAliveMode::Idle
            } else {
                KeepAliveMode::Interval
            },
            timeout: Duration::from_secs(2),
        };
        let timeout = 5000 + self.below(5000);
        let names: Vec<&str> = channels.iter().map(|name| &**name).collect();
        let ask = Ask {
            framing,
            timeout: Duration::from_millis(timeout),
            keep_alive: Some(&keep_alive),
            ..Ask::of(mode, &names)
        };
        let slot = self.shards[shard].subscribe(ask, Duration::from_millis(self.now));
        let pipe = PipeEnd::keeping(self.below(2) == 0);
        self.clients.push(Client {
            shard,
            slot,
            mode,
            framing,
            channels,
            pipe,
            opened: false,
            expected: Vec::new(),
            closed: false,
            deadline: self.now + timeout,
            event: None,
        });
    }

    fn publish(&mut self) {
        let batch = (0..=self.below(4))
            .map(|_| Entry::Item(self.item()))
            .collect();
        self.hub
            .sequence(batch, None, Duration::from_millis(self.now));
    }

    fn item(&mut self) -> Item {
        let channel = format!("c{}", self.below(6));
        self.published += 1;
        let text = format!("[{}#{}]", channel, self.published);
        let close = self.below(40) == 0;
        for client in self
            .clients
            .iter_mut()
            .filter(|one| one.channels.contains(&channel) && !one.closed)
        {
            match (client.mode, close) {
                (Mode::Stream, true) => client.closed = true,
                (_, true) => {}
                (_, false) => client.expected.push(text.clone()),
            }
        }
        let content = Bytes::from(text);
        let mut item = Item {
            channels: vec![channel],
            ..Item::default()
        };
        item.formats.stream = Some(if close {
            StreamFormat::Close
        } else {
            StreamFormat::Send {
                content: content.clone(),
                content_filters: None,
            }
        });
        item.formats.response = (!close).then_some(ResponseFormat::Send(ResponseContent {
            code: 200,
            reason: None,
            headers: Vec::new(),
            body: ResponseBody::Bytes(content),
            content_filters: None,
        }));
        if self.below(2) == 0 && !self.clients.iter().any(|one| one.mode == Mode::Response) {
            // Without a second form, items of a burst may be joined.
            item.formats.response = None;
        }
        item
    }

    fn open(&mut self) {
        let Some(index) = self.any() else { return };
        let Self {
            clients, shards, ..
        } = self;
        let client = &mut clients[index];
        if !client.opened {
            client.opened = true;
            let first = (client.mode == Mode::Stream).then(|| Bytes::from_static(b"HEAD"));
            shards[client.shard].open(client.slot, client.pipe.clone(), first);
        }
    }

    fn read(&mut self) {
        let room = self.index(80);
        let Some(index) = self.any() else { return };
        self.clients[index].pipe.0.borrow_mut().room += room;
        self.tend(index);
    }

    /// What the client's session does when it is woken.
    fn tend(&mut self, index: usize) {
        let Self {
            clients, shards, ..
        } = self;
        let client = &mut clients[index];
        let Some(subscriber) = shards[client.shard].subscriber(client.slot) else {
            return;
        };
        let mut context = Context::from_waker(Waker::noop());
        while let Poll::Ready(written) = subscriber.outlet.poll_drain(&mut context) {
            subscriber.written(&written);
        }
        if let Some(event) = subscriber.take_event(Waker::noop()) {
            assert!(
                client.event.is_none(),
                "two events: {:?}, {event:?}",
                client.event
            );
            client.event = Some(event);
        }
    }

    fn leave(&mut self) {
        let Some(index) = self.any() else { return };
        self.tend(index);
        let client = self.clients.swap_remove(index);
        self.shards[client.shard].leave(client.slot);
        let text = client.text();
        let whole: String = client.expected.concat();
        if client.mode == Mode::Stream {
            assert!(whole.starts_with(&text), "got {text:?} of {whole:?}");
        }
    }

    fn work(&mut self) {
        let index = self.index(self.shards.len());
        let stop = self.below(3) == 0;
        self.shards[index].work(Duration::from_millis(self.now), || stop);
    }

    /// The server stops, at whatever point: what was published goes out, then every hold ends.
    fn drain(&mut self) {
        for shard in &mut self.shards {
            shard.catch_up(Duration::from_millis(self.now));
            for (slot, serial) in shard.held() {
                shard.dismiss(slot, serial);
            }
        }
        for client in &mut self.clients {
            client.closed |= client.mode == Mode::Stream;
            client.deadline = client.deadline.min(self.now);
        }
    }

    /// Everybody reads everything.
    fn settle(&mut self) {
        for index in 0..self.shards.len() {
            let now = Duration::from_millis(self.now);
            while self.shards[index].work(now, || false) == Progress::More {}
        }
        for index in 0..self.clients.len() {
            let Self {
                clients, shards, ..
            } = self;
            let client = &mut clients[index];
            client.pipe.0.borrow_mut().room = usize::MAX / 2;
            if !client.opened {
                client.opened = true;
                let first = (client.mode == Mode::Stream).then(|| Bytes::from_static(b"HEAD"));
                shards[client.shard].open(client.slot, client.pipe.clone(), first);
            }
            self.tend(index);
        }
    }

    fn judge(&self, index: usize) {
        let client = &self.clients[index];
        match (client.mode, &client.event) {
            (Mode::Stream, event) => {
                assert_eq!(client.text(), client.expected.concat());
                assert_eq!(
                    client.closed,
                    matches!(event, Some(Event::Ended)),
                    "{event:?}"
                );
            }
            (Mode::Response, Some(Event::Answer { item, .. })) => {
                let Some(ResponseFormat::Send(content)) = &item.item().formats.response else {
                    panic!("answered by an item without that form")
                };
                let ResponseBody::Bytes(bytes) = &content.body else {
                    panic!()
                };
                assert_eq!(String::from_utf8_lossy(bytes), client.expected[0]);
            }
            (Mode::Response, Some(Event::Timeout)) => assert!(self.now >= client.deadline),
            (Mode::Response, None) => {
                assert!(
                    client.expected.is_empty(),
                    "never answered: {:?}",
                    client.expected
                );
                assert!(self.now < client.deadline + 64, "never timed out");
            }
            (_, event) => panic!("{event:?}"),
        }
    }

    fn any(&mut self) -> Option<usize> {
        let count = self.clients.len();
        (count > 0).then(|| self.index(count))
    }

    fn index(&mut self, limit: usize) -> usize {
        usize::try_from(self.below(limit as u64)).unwrap()
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % limit
    }
}

impl Client {
    /// What it has read of items: without head, keep-alives and framing.
    fn text(&self) -> String {
        let received = self.pipe.0.borrow().received.clone();
        let body = received.strip_prefix(b"HEAD").unwrap_or(&received);
        let body = match self.framing {
            Framing::Bare => body.to_vec(),
            _ => dechunk(body, self.closed && self.event.is_some()),
        };
        let text = String::from_utf8(body).unwrap().replace('~', "");
        // The client of an unfinished stream may have part of an item; only whole ones count.
        let whole = text.rfind(']').map_or(0, |end| end + 1);
        text[..whole].to_owned()
    }
}

fn dechunk(mut bytes: &[u8], ended: bool) -> Vec<u8> {
    let mut body = Vec::new();
    let mut last = false;
    while let Some(line) = bytes.windows(2).position(|pair| pair == b"\r\n") {
        assert!(!last, "bytes behind the last chunk");
        let size = usize::from_str_radix(std::str::from_utf8(&bytes[..line]).unwrap(), 16).unwrap();
        let data = &bytes[line + 2..];
        if data.len() < size + 2 {
            break;
        }
        body.extend_from_slice(&data[..size]);
        assert_eq!(&data[size..size + 2], b"\r\n");
        last = size == 0;
        bytes = &data[size + 2..];
    }
    assert!(last || !ended, "ended without the last chunk");
    body
}

/// Bytes that such a socket takes at once.
const RECORD: usize = 40;

impl Wire for PipeEnd {
    fn try_write(&self, bytes: &Bytes) -> io::Result<usize> {
        let mut pipe = self.0.borrow_mut();
        if pipe.keeps {
            pipe.flush()?;
            let count = bytes.len().min(RECORD);
            pipe.inside.extend_from_slice(&bytes[..count]);
            let _ = pipe.flush();
            return Ok(count);
        }
        let count = bytes.len().min(pipe.room);
        if count == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        pipe.room -= count;
        pipe.received.extend_from_slice(&bytes[..count]);
        Ok(count)
    }

    fn try_write_vectored(&self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        let bytes: Vec<u8> = pieces
            .iter()
            .flat_map(|piece| piece.iter().copied())
            .collect();
        self.try_write(&bytes.into())
    }

    fn try_flush(&self) -> io::Result<()> {
        self.0.borrow_mut().flush()
    }

    fn try_read(&self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::ErrorKind::WouldBlock.into())
    }

    fn poll_write_ready(&self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.0.borrow().room > 0 {
            Poll::Ready(Ok(()))
        } else {
            Poll::Pending
        }
    }

    fn poll_read_ready(&self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Pending
    }

    fn remote(&self) -> Option<crate::socket::Remote> {
        None
    }
}
