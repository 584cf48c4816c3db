//! A shard: it owns the subscribers of one core and their channel table outright, and delivers to
//! them. No lock lies on its way to a socket.
//!
//! It works in passes. A pass takes what waits in the inbox, notes for each subscriber what it
//! gets, and then writes to each subscriber once. A pass stops after a number of writes or a
//! millisecond and goes on later from where it was, so that a large fan-out never starves the
//! requests of its core. While a pass is under way nothing new is taken, so slots are stable.
//!
//! It has no clock: whoever drives it passes the time in, so that a simulation can.

mod pass;

use std::{rc::Rc, sync::Arc, time::Duration};

use bytes::Bytes;
use slab::Slab;

use self::pass::Pass;
use super::{
    directory::{Channel, Directory},
    inbox::Inbox,
    outlet::{Framing, Piece, Wire},
    subscriber::{Alarm, Event, KeepAlive, Subscriber, Subscription},
    wheel::{Millis, Wheel},
};
use crate::grip::{
    delivery::bare::Standing,
    instruct::{self, KeepAliveMode, Mode},
};

/// What a request asks its shard for when it is held.
#[derive(Debug)]
pub struct Ask<'a> {
    /// Long-poll or stream.
    pub mode: Mode,
    /// Framing of a stream's body.
    pub framing: Framing,
    /// Full channel names, each once, with the subscription's standing.
    pub channels: &'a [(String, Standing)],
    /// A long-poll's time.
    pub timeout: Duration,
    /// A stream's keep-alive.
    pub keep_alive: Option<&'a instruct::KeepAlive>,
}

/// The subscribers of one core.
#[derive(Debug)]
pub struct Shard<W> {
    index: usize,
    directory: Arc<Directory>,
    /// Most bytes that wait for one subscriber.
    buffer: usize,
    subscribers: Slab<Subscriber<W>>,
    channels: Slab<Local>,
    pass: Pass,
    wheel: Wheel<(u32, u32)>,
    serial: u32,
    now: Millis,
    random: u64,
    /// The keep-alive asked for last: most streams ask for the same.
    keep_alive: Option<(instruct::KeepAlive, Rc<KeepAlive>)>,
    /// Overflows since [`Shard::take_overflows`] was asked last.
    overflows: usize,
}

/// A channel as this shard sees it.
#[derive(Debug)]
struct Local {
    channel: Arc<Channel>,
    responses: Vec<Member>,
    streams: Vec<Member>,
}

/// A subscriber of a channel.
#[derive(Clone, Copy, Debug)]
struct Member {
    slot: u32,
    standing: Standing,
    /// Items up to this number were published before it came.
    since: u64,
}

/// How far a call of the shard's work came.
#[derive(Debug, PartialEq, Eq)]
pub enum Progress {
    /// There is more to do at once.
    More,
    /// Nothing to do before this time (since the shard began), or before something is published.
    Idle(Option<Duration>),
}

impl<W: Wire> Shard<W> {
    /// An empty shard. `buffer`: most bytes that wait for one subscriber.
    pub(super) fn new(index: usize, directory: Arc<Directory>, buffer: usize) -> Self {
        Self {
            index,
            directory,
            buffer,
            subscribers: Slab::new(),
            channels: Slab::new(),
            pass: Pass::default(),
            wheel: Wheel::new(),
            serial: 0,
            now: 0,
            random: 0x9E37_79B9_7F4A_7C15 ^ (index as u64 + 1),
            keep_alive: None,
            overflows: 0,
        }
    }

    /// Takes a request in and subscribes it; its items wait until its outlet is opened.
    /// `now`: since the shard began. Returns its slot.
    pub(super) fn subscribe(&mut self, ask: &Ask<'_>, now: Duration) -> u32 {
        self.now = self.now.max(millis(now));
        self.serial = self.serial.wrapping_add(1);
        let alarm = self.alarm(ask);
        let subscriber = Subscriber::new(self.serial, ask.mode, ask.framing, alarm, self.now);
        let slot = narrow(self.subscribers.insert(subscriber));
        for (name, standing) in ask.channels {
            self.join(slot, ask.mode, name, *standing);
        }
        self.arm(slot);
        slot
    }

    /// One step under the channel's lock: count, read the publish counter, stand in the table.
    fn join(&mut self, slot: u32, mode: Mode, name: &str, standing: Standing) {
        let Self {
            directory,
            channels,
            subscribers,
            index,
            ..
        } = self;
        directory.enter(name, |channel, state| {
            let presence = &mut state.presence[*index];
            if presence.is_empty() {
                presence.index = narrow(channels.insert(Local::new(channel)));
            }
            *presence.count(mode) += 1;
            let members = channels[presence.index as usize].members(mode);
            let position = narrow(members.len());
            members.push(Member {
                slot,
                standing,
                since: state.published,
            });
            subscribers[slot as usize].subscriptions.push(Subscription {
                channel: presence.index,
                position,
            });
        });
    }

    /// Lets a request go; its socket comes back if it had one here.
    pub(super) fn leave(&mut self, slot: u32) -> Option<W> {
        let mut subscriber = self.subscribers.try_remove(slot as usize)?;
        for index in 0..subscriber.subscriptions.len() {
            self.part(subscriber.subscriptions[index], subscriber.mode);
        }
        subscriber.outlet.close()
    }

    fn part(&mut self, subscription: Subscription, mode: Mode) {
        let Self {
            directory,
            channels,
            subscribers,
            index,
            ..
        } = self;
        let Some(local) = channels.get(subscription.channel as usize) else {
            return;
        };
        let channel = Arc::clone(&local.channel);
        directory.leave(&channel, |state| {
            let members = channels[subscription.channel as usize].members(mode);
            members.swap_remove(subscription.position as usize);
            if let Some(moved) = members.get(subscription.position as usize) {
                let own = &mut subscribers[moved.slot as usize].subscriptions;
                for other in own
                    .iter_mut()
                    .filter(|own| own.channel == subscription.channel)
                {
                    other.position = subscription.position;
                }
            }
            let presence = &mut state.presence[*index];
            *presence.count(mode) -= 1;
            if presence.is_empty() {
                channels.remove(subscription.channel as usize);
            }
        });
    }

    /// Opens a request's outlet: `first` goes out, then what waits.
    pub(super) fn open(&mut self, slot: u32, wire: W, first: Option<Bytes>) {
        if let Some(subscriber) = self.subscribers.get_mut(slot as usize) {
            let written = subscriber.outlet.open(wire, first);
            subscriber.written(&written);
        }
    }

    /// Delivers at once all that was published before this call. A pass under way is finished too:
    /// what it has noted for a stream must not come behind the stream's end.
    pub(super) fn catch_up(&mut self, inbox: &Inbox, now: Duration) {
        // The first round finishes the pass under way and takes the inbox as it is now.
        for _ in 0..2 {
            self.work(inbox, now, || false);
            while !self.pass.is_over() || self.has_left_over() {
                self.work(inbox, now, || false);
            }
        }
    }

    /// Ends every hold properly.
    pub(super) fn end_all(&mut self) {
        let slots: Vec<usize> = self.subscribers.iter().map(|(slot, _)| slot).collect();
        for slot in slots {
            self.end(narrow(slot));
        }
    }

    /// Ends one hold properly: a stream with its end, a long-poll as if its time were over.
    pub(super) fn end(&mut self, slot: u32) {
        let Some(subscriber) = self.subscribers.get_mut(slot as usize) else {
            return;
        };
        if subscriber.is_over() {
            return;
        }
        match subscriber.mode {
            Mode::Response => subscriber.tell(Event::Timeout),
            Mode::Stream => {
                let written = subscriber.outlet.send(&Rc::new(Piece::end()));
                subscriber.written(&written);
                subscriber.end();
            }
        }
    }

    pub(super) fn subscriber(&mut self, slot: u32) -> Option<&mut Subscriber<W>> {
        self.subscribers.get_mut(slot as usize)
    }

    /// Delivers what waits, for a while, and does what is due. `now`: since the shard began;
    /// `until`: asked between writes whether the time for this call is over.
    pub(super) fn work(
        &mut self,
        inbox: &Inbox,
        now: Duration,
        until: impl Fn() -> bool,
    ) -> Progress {
        self.now = self.now.max(millis(now));
        if self.pass.is_over() {
            self.take(inbox);
        }
        if !self.flush(until) {
            return Progress::More;
        }
        self.ring();
        if inbox.is_empty() && !self.has_left_over() {
            Progress::Idle(self.wheel.next().map(Duration::from_millis))
        } else {
            Progress::More
        }
    }

    /// Requests held here.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.subscribers.len()
    }

    /// Subscribers lost by overflow since this was asked last.
    pub(super) fn take_overflows(&mut self) -> usize {
        std::mem::take(&mut self.overflows)
    }

    fn alarm(&mut self, ask: &Ask<'_>) -> Alarm {
        match (ask.mode, ask.keep_alive) {
            (Mode::Response, _) => Alarm::Timeout(self.now + millis(ask.timeout)),
            (Mode::Stream, Some(keep_alive)) => Alarm::KeepAlive(self.share(keep_alive)),
            (Mode::Stream, None) => Alarm::Off,
        }
    }

    fn share(&mut self, asked: &instruct::KeepAlive) -> Rc<KeepAlive> {
        if let Some((known, shared)) = &self.keep_alive
            && known == asked
        {
            return Rc::clone(shared);
        }
        let shared = Rc::new(KeepAlive {
            piece: Rc::new(Piece::content(&asked.data)),
            mode: asked.mode,
            interval: millis(asked.timeout),
        });
        self.keep_alive = Some((asked.clone(), Rc::clone(&shared)));
        shared
    }

    /// Arms a subscriber's alarm, counted from now.
    fn arm(&mut self, slot: u32) {
        let less = self.random() % 1000;
        let Some(subscriber) = self.subscribers.get(slot as usize) else {
            return;
        };
        let due = match &subscriber.alarm {
            Alarm::Off => return,
            Alarm::KeepAlive(keep_alive) => {
                self.now + keep_alive.interval.saturating_sub(less).max(1)
            }
            Alarm::Timeout(due) => *due,
        };
        self.wheel.arm(due, (slot, subscriber.serial));
    }

    /// Does what is due.
    fn ring(&mut self) {
        for (slot, serial) in self.wheel.due(self.now) {
            let Some(subscriber) = self.subscribers.get_mut(slot as usize) else {
                continue;
            };
            if subscriber.serial != serial || subscriber.is_over() {
                continue;
            }
            match subscriber.alarm.clone() {
                Alarm::Off => {}
                Alarm::KeepAlive(keep_alive) => self.keep_alive(slot, &keep_alive),
                Alarm::Timeout(_) => subscriber.tell(Event::Timeout),
            }
        }
    }

    /// Says something on a quiet stream. One with bytes waiting is not quiet.
    fn keep_alive(&mut self, slot: u32, keep_alive: &KeepAlive) {
        let less = self.random() % 1000;
        let Some(subscriber) = self.subscribers.get_mut(slot as usize) else {
            return;
        };
        let quiet_until = subscriber.sent + keep_alive.interval.saturating_sub(less);
        if keep_alive.mode == KeepAliveMode::Idle && quiet_until > self.now {
            self.wheel.arm(quiet_until, (slot, subscriber.serial));
            return;
        }
        if subscriber.outlet.is_clear() && !keep_alive.piece.bytes(Framing::Bare).is_empty() {
            let written = subscriber.outlet.send(&keep_alive.piece);
            subscriber.sent = self.now;
            subscriber.written(&written);
        }
        self.arm(slot);
    }

    /// xorshift64: spreads keep-alives, nothing more.
    fn random(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random
    }
}

impl Local {
    fn new(channel: &Arc<Channel>) -> Self {
        Self {
            channel: Arc::clone(channel),
            responses: Vec::new(),
            streams: Vec::new(),
        }
    }

    fn members(&mut self, mode: Mode) -> &mut Vec<Member> {
        match mode {
            Mode::Response => &mut self.responses,
            Mode::Stream => &mut self.streams,
        }
    }
}

/// Indices are kept small. Memory ends long before there are 2^32 of anything here.
fn narrow(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

fn millis(time: Duration) -> Millis {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
