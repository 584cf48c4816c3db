//! A seeded simulation of recovery: items have ids, and some are lost, late or published twice;
//! the backend learns of them before or after they are published; sessions ask it when they are
//! told to, which takes its time; clients read when they like, or not at all. In the end everybody
//! who was not cut off has every item once and in order, and nobody has a hole that nothing told
//! of, but for those whose route wants the newest items only.
//!
//! `GRIPD_SEEDS=N` runs more seeds than a normal test run does.

mod client;

use std::{sync::LazyLock, task::Poll};

use self::client::token;
use super::{
    super::{Overflow, Question, Why},
    Bounds, Bytes, Context, Duration, Entry, Event, Hub, Item, KeepAlive, KeepAliveMode, Mode,
    PipeEnd, Progress, ResponseBody, ResponseContent, ResponseFormat, Rules, Shard, StreamFormat,
    Waker,
};
use crate::grip::filter::Reply;

#[test]
fn everybody_ends_up_with_everything_or_is_told() {
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

/// Channels whose items have ids; one more has none.
const ORDERED: usize = 3;

/// What is true of a channel: its items have the numbers from 1 on.
#[derive(Default)]
struct Truth {
    made: u64,
    /// Items that the backend knows of.
    known: u64,
    /// Made, and to be published later.
    late: Vec<u64>,
}

struct Client {
    shard: usize,
    slot: u32,
    mode: Mode,
    overflow: Overflow,
    channels: Vec<usize>,
    pipe: PipeEnd,
    /// What it had of each of its channels when it came.
    start: Vec<u64>,
    /// What a long-poll's client has of each by now.
    has: Vec<u64>,
    /// Items without ids that were published for it.
    expected: Vec<u64>,
    checks: bool,
    busy: Option<Busy>,
    cut: bool,
}

/// What a session waits for.
enum Busy {
    /// The backend is to be asked, with these ids.
    Asks(Vec<u64>),
    /// It has said: up to here, from these on.
    Told {
        from: Vec<u64>,
        to: Vec<u64>,
    },
    Filter(Box<Question>),
}

struct World {
    random: u64,
    hub: Hub,
    shards: Vec<Shard<PipeEnd>>,
    truth: Vec<Truth>,
    clients: Vec<Client>,
    now: u64,
    /// Clients may be slow.
    rough: bool,
}

static KEEP_ALIVE: LazyLock<KeepAlive> = LazyLock::new(|| KeepAlive {
    data: Bytes::from_static(b"~"),
    mode: KeepAliveMode::Interval,
    timeout: Duration::from_secs(2),
});

impl World {
    fn new(seed: u64) -> Self {
        let count = 1 + usize::try_from(seed % 3).unwrap();
        let rules = Rules {
            message_wait: Duration::from_millis(if seed.is_multiple_of(5) { 0 } else { 500 }),
            id_cache_ttl: Duration::from_secs(if seed.is_multiple_of(2) { 10 } else { 0 }),
            subscription_linger: Duration::from_secs(3),
            first_update: (seed.is_multiple_of(7)).then_some(Duration::from_millis(300)),
        };
        let rough = seed.is_multiple_of(4);
        let bounds = Bounds {
            buffer: match seed % 8 {
                0 => 60,
                4 => 2000,
                _ => 1 << 20,
            },
            send: Duration::from_secs(if rough { 4 } else { 3600 }),
            ..Bounds::default()
        };
        let hub = Hub::new(count, 1 << 20, Duration::ZERO, rules);
        let shards = (0..count)
            .map(|index| {
                let (directory, inbox) = (hub.directory.clone(), hub.inboxes[index].clone());
                Shard::new(index, directory, inbox, bounds)
            })
            .collect();
        Self {
            random: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15),
            hub,
            shards,
            truth: (0..=ORDERED).map(|_| Truth::default()).collect(),
            clients: Vec::new(),
            now: 0,
            rough,
        }
    }

    fn run(mut self) {
        for _ in 0..500 {
            match self.below(14) {
                0 => self.come(),
                1..=3 => self.make(),
                4 => self.publish_late(),
                5 => self.learn(),
                6 | 7 => self.read(),
                8 => self.go_on(),
                9 if self.below(12) == 0 => self.leave(),
                10 => self.disturb(),
                11 => self.pass(300),
                _ => self.work(),
            }
        }
        self.settle();
        while !self.clients.is_empty() {
            self.leave();
        }
    }

    /// A client comes, with what the backend has for it.
    fn come(&mut self) {
        let first = self.index(ORDERED + 1);
        let mut channels = vec![first];
        if self.below(2) == 0 {
            channels.push((first + 1) % (ORDERED + 1));
        }
        let is_poll = self.below(4) == 0 && !channels.contains(&ORDERED);
        let overflow = match self.below(3) {
            0 => Overflow::Close,
            1 => Overflow::Latest,
            _ => Overflow::Recover,
        };
        let start: Vec<u64> = channels.iter().map(|one| self.truth[*one].known).collect();
        let pipe = PipeEnd::keeping(self.below(2) == 0);
        let mut client = Client {
            shard: self.index(self.shards.len()),
            slot: 0,
            mode: if is_poll {
                Mode::Response
            } else {
                Mode::Stream
            },
            overflow,
            channels,
            pipe,
            has: start.clone(),
            start,
            expected: Vec::new(),
            checks: !is_poll && self.below(4) == 0,
            busy: None,
            cut: false,
        };
        let now = Duration::from_millis(self.now);
        let shard = &mut self.shards[client.shard];
        client.slot = shard.subscribe(client.ask(&client.start), now);
        if client.mode == Mode::Stream {
            shard.open(client.slot, client.pipe.clone(), None);
        }
        self.clients.push(client);
    }

    /// An item is made. Mostly it is published at once.
    fn make(&mut self) {
        let channel = self.index(ORDERED + 1);
        self.truth[channel].made += 1;
        let number = self.truth[channel].made;
        if self.below(2) == 0 {
            self.truth[channel].known = number;
        }
        if channel == ORDERED {
            for client in &mut self.clients {
                if client.channels.contains(&channel) && !client.cut {
                    client.expected.push(number);
                }
            }
            return self.publish(channel, number);
        }
        match self.below(10) {
            0 => {}
            1 | 2 => self.truth[channel].late.push(number),
            3 => {
                self.publish(channel, number);
                self.publish(channel, number);
            }
            _ => self.publish(channel, number),
        }
    }

    fn publish_late(&mut self) {
        let channel = self.index(ORDERED);
        let count = self.truth[channel].late.len();
        if count > 0 {
            let index = self.index(count);
            let number = self.truth[channel].late.swap_remove(index);
            self.publish(channel, number);
        }
    }

    fn publish(&mut self, channel: usize, number: u64) {
        let content = Bytes::from(token(channel, number));
        let mut item = Item {
            channels: vec![format!("c{channel}")],
            ..Item::default()
        };
        if channel < ORDERED {
            item.id = Some(number.to_string());
            item.prev_id = Some((number - 1).to_string());
            item.formats.response = Some(ResponseFormat::Send(ResponseContent {
                code: 200,
                reason: None,
                headers: Vec::new(),
                body: ResponseBody::Bytes(content.clone()),
                content_filters: None,
            }));
        }
        item.formats.stream = Some(StreamFormat::Send {
            content,
            content_filters: None,
        });
        let now = Duration::from_millis(self.now);
        self.hub.sequence(vec![Entry::Item(item)], None, now);
    }

    /// The backend learns what is true.
    fn learn(&mut self) {
        let channel = self.index(ORDERED + 1);
        self.truth[channel].known = self.truth[channel].made;
    }

    /// A publisher hints, or everybody is told to ask.
    fn disturb(&mut self) {
        if self.below(4) == 0 {
            return self.hub.recover();
        }
        let mut item = Item {
            channels: vec![format!("c{}", self.below(ORDERED as u64 + 1))],
            no_seq: true,
            ..Item::default()
        };
        item.formats.stream = Some(StreamFormat::Hint);
        item.formats.response = Some(ResponseFormat::Hint);
        let now = Duration::from_millis(self.now);
        self.hub.sequence(vec![Entry::Item(item)], None, now);
    }

    fn read(&mut self) {
        let room = self.index(80);
        let Some(index) = self.any() else { return };
        self.clients[index].pipe.0.borrow_mut().room += room;
        self.tend(index);
    }

    /// What a session does when it is woken.
    fn tend(&mut self, index: usize) {
        let client = &mut self.clients[index];
        if client.cut {
            return;
        }
        let shard = &mut self.shards[client.shard];
        let mut context = Context::from_waker(Waker::noop());
        while let Some(Poll::Ready(written)) = shard
            .subscriber(client.slot)
            .map(|one| one.outlet.poll_drain(&mut context))
        {
            shard.written(client.slot, &written);
        }
        let event = shard
            .subscriber(client.slot)
            .and_then(|one| one.take_event(Waker::noop()));
        let Some(event) = event else { return };
        if !matches!(event, Event::Overflow) {
            assert!(client.busy.is_none(), "told while it is busy: {event:?}");
        }
        match event {
            Event::Recover(why) => {
                let last = client.last(shard);
                assert!(why != Why::Slow || client.overflow == Overflow::Recover);
                client.busy = Some(Busy::Asks(last));
            }
            Event::Ask(question) => client.busy = Some(Busy::Filter(question)),
            Event::Overflow => {
                assert!(self.rough, "nobody is slow here");
                client.cut = true;
                shard.leave(client.slot);
            }
            Event::Answer { item, .. } => {
                let item = item.item();
                let place = client
                    .channels
                    .iter()
                    .position(|one| item.channels[0] == format!("c{one}"));
                let place = place.expect("an item of another channel");
                let number: u64 = item.id.as_deref().unwrap().parse().unwrap();
                assert_eq!(number, client.has[place] + 1, "a hole or a double");
                client.has[place] = number;
                self.poll_again(index);
            }
            Event::Timeout => self.poll_again(index),
            event => panic!("{event:?}"),
        }
    }

    /// A long-poll's client comes back and gets what the backend has by now, or is held.
    fn poll_again(&mut self, index: usize) {
        let client = &mut self.clients[index];
        let shard = &mut self.shards[client.shard];
        shard.leave(client.slot);
        for (has, channel) in client.has.iter_mut().zip(&client.channels) {
            *has = (*has).max(self.truth[*channel].known);
        }
        let now = Duration::from_millis(self.now);
        client.slot = shard.subscribe(client.ask(&client.has), now);
    }

    /// A session's request gets a step further.
    fn go_on(&mut self) {
        if let Some(index) = self.any() {
            self.step(index);
        }
    }

    fn step(&mut self, index: usize) {
        let now = Duration::from_millis(self.now);
        let client = &mut self.clients[index];
        let shard = &mut self.shards[client.shard];
        match client.busy.take() {
            _ if client.cut => {}
            None => {}
            Some(Busy::Asks(from)) => {
                // A backend that lags knows from `Grip-Last` that it does.
                let pairs = from.iter().zip(&client.channels);
                let to = pairs.map(|(from, channel)| self.truth[*channel].known.max(*from));
                let to = to.collect();
                client.busy = Some(Busy::Told { from, to });
            }
            Some(Busy::Told { to, .. }) if client.mode == Mode::Response => {
                // With something to tell the backend answers, and the poll is over.
                if client.has == to {
                    shard.resume(client.slot, client.ask(&to), now);
                } else {
                    client.has = to;
                    self.poll_again(index);
                }
            }
            Some(Busy::Told { from, to }) => {
                let mut body = String::new();
                for ((from, to), channel) in from.iter().zip(&to).zip(&client.channels) {
                    if *channel < ORDERED {
                        body.extend((from + 1..=*to).map(|number| token(*channel, number)));
                    }
                }
                shard.append_own(client.slot, &Bytes::from(body));
                shard.resume(client.slot, client.ask(&to), now);
            }
            Some(Busy::Filter(question)) => {
                let reply = Reply {
                    code: 200,
                    action: None,
                    body: Bytes::new(),
                };
                shard.answer(client.slot, question.ask, &reply);
            }
        }
    }

    fn leave(&mut self) {
        let Some(index) = self.any() else { return };
        self.tend(index);
        let client = self.clients.swap_remove(index);
        if !client.cut {
            self.shards[client.shard].leave(client.slot);
        }
        client.judge(None, self.rough);
    }

    fn pass(&mut self, most: u64) {
        self.now += self.below(most);
        self.hub.tick(Duration::from_millis(self.now));
    }

    fn work(&mut self) {
        let index = self.index(self.shards.len());
        let stop = self.below(3) == 0;
        self.shards[index].work(Duration::from_millis(self.now), || stop);
    }

    /// Everything is published, known, read and asked for; then all is as it should be.
    fn settle(&mut self) {
        for channel in 0..=ORDERED {
            for number in std::mem::take(&mut self.truth[channel].late) {
                self.publish(channel, number);
            }
            self.truth[channel].known = self.truth[channel].made;
        }
        for round in 0..600 {
            // The sessions are quicker than the time.
            if round % 10 == 0 {
                self.pass(800);
            }
            let now = Duration::from_millis(self.now);
            for shard in &mut self.shards {
                while shard.work(now, || false) == Progress::More {}
            }
            for index in 0..self.clients.len() {
                self.clients[index].pipe.0.borrow_mut().room = 1 << 30;
                self.tend(index);
                self.step(index);
            }
        }
        let made: Vec<u64> = self.truth.iter().map(|one| one.made).collect();
        for client in &self.clients {
            client.judge(Some(&made), self.rough);
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
