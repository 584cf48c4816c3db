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
mod recovery;
mod slow;
mod socket;
mod tally;
mod timers;

use std::{rc::Rc, sync::Arc, time::Duration};

use bytes::Bytes;
use slab::Slab;

use self::{
    pass::Pass,
    tally::{holds, subscriptions},
};
use super::{
    directory::{Channel, Directory, State},
    inbox::{Inbox, News},
    outlet::Wire,
    piece::{Framing, Piece},
    subscriber::{Event, KeepAlive, Overflow, Subscriber, Subscription},
    wheel::{Millis, Wheel, millis},
};
use crate::grip::{
    connection::ConnectionId,
    delivery::Standing,
    instruct::{self, Mode},
};

/// What a request asks its shard for when it is held.
#[derive(Debug)]
pub struct Ask<'a> {
    /// Long-poll or stream.
    pub mode: Mode,
    /// Framing of a stream's body.
    pub framing: Framing,
    /// Full channel names, each once, with the subscription's standing unless it is plain.
    pub channels: Vec<(String, Option<Box<Standing>>)>,
    /// Bytes of those names that are the route's prefix.
    pub prefix: usize,
    /// A long-poll's time.
    pub timeout: Duration,
    /// A stream's keep-alive.
    pub keep_alive: Option<&'a instruct::KeepAlive>,
    /// A stream's next link is followed after this long.
    pub link: Option<Duration>,
    /// The stream's body is a stream of events: its client can be told when to come back.
    pub events: bool,
    /// What becomes of it when the client is slow.
    pub overflow: Overflow,
    /// The client may read why an item cannot be delivered.
    pub debug: bool,
    /// By which it can be closed.
    pub connection: ConnectionId,
}

#[cfg(test)]
impl Ask<'_> {
    /// An ordinary hold of these channels.
    pub(crate) fn of(mode: Mode, channels: &[&str]) -> Self {
        Self {
            mode,
            framing: Framing::Chunked,
            channels: channels
                .iter()
                .map(|name| ((*name).to_owned(), None))
                .collect(),
            prefix: 0,
            timeout: Duration::from_secs(55),
            keep_alive: None,
            link: None,
            events: false,
            overflow: Overflow::Close,
            debug: false,
            connection: ConnectionId::default(),
        }
    }
}

/// What bounds the subscribers of a shard.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Most bytes that wait for one subscriber.
    pub buffer: usize,
    /// How long a subscriber may take nothing while bytes wait for it.
    pub send: Duration,
    /// About how long clients of event streams that are ended shall wait before they come back;
    /// 0: as they like.
    pub reconnect: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            buffer: 1 << 20,
            send: Duration::from_mins(1),
            reconnect: Duration::from_secs(3),
        }
    }
}

/// The subscribers of one core.
#[derive(Debug)]
pub struct Shard<W> {
    index: usize,
    directory: Arc<Directory>,
    inbox: Arc<Inbox>,
    bounds: Bounds,
    subscribers: Slab<Subscriber<W>>,
    channels: Slab<Local>,
    pass: Pass,
    wheel: Wheel<timers::Ring>,
    serial: u32,
    now: Millis,
    random: u64,
    /// The keep-alive asked for last: most streams ask for the same.
    keep_alive: Option<(instruct::KeepAlive, Rc<KeepAlive>)>,
}

/// A channel as this shard sees it.
#[derive(Debug)]
struct Local {
    channel: Arc<Channel>,
    responses: Vec<Member>,
    streams: Vec<Member>,
    messages: Vec<Member>,
    /// Those of both modes for whom each item is decided alone.
    careful: Vec<Member>,
}

/// A subscriber of a channel.
#[derive(Clone, Copy, Debug)]
struct Member {
    slot: u32,
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
    /// An empty shard, which takes from `inbox`.
    pub(super) fn new(
        index: usize,
        directory: Arc<Directory>,
        inbox: Arc<Inbox>,
        bounds: Bounds,
    ) -> Self {
        Self {
            index,
            directory,
            inbox,
            bounds,
            subscribers: Slab::new(),
            channels: Slab::new(),
            pass: Pass::default(),
            wheel: Wheel::new(),
            serial: 0,
            now: 0,
            random: 0x9E37_79B9_7F4A_7C15 ^ (index as u64 + 1),
            keep_alive: None,
        }
    }

    /// Takes a request in and subscribes it; its items wait until its outlet is opened.
    /// `now`: since the hub began. Returns its slot.
    pub(super) fn subscribe(&mut self, ask: Ask<'_>, now: Duration) -> u32 {
        self.pass_time(now);
        let serial = self.next_serial();
        let subscriber = Subscriber::new(serial, ask.mode, ask.framing, self.now);
        holds(ask.mode).add(1);
        let slot = narrow(self.subscribers.insert(subscriber));
        self.settle(slot, &ask);
        for (name, standing) in ask.channels {
            self.join(slot, ask.mode, &name, standing, None);
        }
        self.arm(slot);
        slot
    }

    /// Takes over from `ask` what is not about channels.
    fn settle(&mut self, slot: u32, ask: &Ask<'_>) {
        let alarm = self.alarm(ask);
        let Some(subscriber) = self.subscribers.get_mut(slot as usize) else {
            return;
        };
        if subscriber.mode != ask.mode {
            holds(subscriber.mode).sub(1);
            holds(ask.mode).add(1);
        }
        subscriber.mode = ask.mode;
        subscriber.outlet.frame(ask.framing);
        subscriber.alarm = alarm;
        // What follows on the same response says nothing of its type.
        subscriber.events |= ask.events;
        subscriber.overflow = ask.overflow;
        subscriber.connection = ask.connection;
        subscriber.recovers = ask.mode != Mode::Stream || ask.link.is_some();
        subscriber.subscriptions.reserve_exact(ask.channels.len());
        // Also what was there before must not stay as it was.
        let has_it = subscriber.careful.is_some() || ask.link.is_some() || ask.debug;
        if has_it || ask.channels.iter().any(|(_, own)| own.is_some()) {
            subscriber
                .careful()
                .settle(ask.prefix, ask.debug, ask.link.map(millis));
        }
    }

    /// One step under the channel's lock: count, read the publish counter, compare the ids, stand
    /// in the table. `since`: what it has seen of the channel already, if it was there before.
    fn join(
        &mut self,
        slot: u32,
        mode: Mode,
        name: &str,
        standing: Option<Box<Standing>>,
        since: Option<u64>,
    ) {
        let Self {
            directory,
            channels,
            subscribers,
            inbox,
            index,
            now,
            ..
        } = self;
        let Some(subscriber) = subscribers.get_mut(slot as usize) else {
            return;
        };
        directory.enter(name, *now, |channel, state| {
            // Who was there before has kept what came since.
            if since.is_none()
                && let Some(check) =
                    check(slot, subscriber.serial, standing.as_deref(), channel, state)
            {
                inbox.push(check);
            }
            let presence = &mut state.presence[*index];
            if presence.is_empty() {
                presence.index = narrow(channels.insert(Local::new(channel)));
            }
            *presence.count(mode) += 1;
            subscriptions(mode).add(1);
            let careful = standing.is_some();
            let members = channels[presence.index as usize].members(mode, careful);
            let position = narrow(members.len());
            members.push(Member {
                slot,
                since: since.unwrap_or(state.published),
            });
            subscriber.subscriptions.push(Subscription {
                channel: presence.index,
                position,
                careful,
            });
            if let Some(standing) = standing {
                subscriber.careful().stand(presence.index, *standing);
            }
        });
    }

    /// Lets a request go; its socket comes back if it had one here.
    pub(super) fn leave(&mut self, slot: u32) -> Option<W> {
        let mut subscriber = self.subscribers.try_remove(slot as usize)?;
        holds(subscriber.mode).sub(1);
        for subscription in std::mem::take(&mut subscriber.subscriptions) {
            self.part(subscription, subscriber.mode);
        }
        subscriber.outlet.close()
    }

    fn part(&mut self, subscription: Subscription, mode: Mode) {
        let Self {
            directory,
            channels,
            subscribers,
            index,
            now,
            ..
        } = self;
        let Some(local) = channels.get(subscription.channel as usize) else {
            return;
        };
        let channel = Arc::clone(&local.channel);
        directory.leave(&channel, mode, *now, |state| {
            let Subscription {
                channel: place,
                position,
                careful,
            } = subscription;
            let members = channels[place as usize].members(mode, careful);
            members.swap_remove(position as usize);
            if let Some(moved) = members.get(position as usize)
                && let Some(other) = subscribers.get_mut(moved.slot as usize)
            {
                let own = other.subscriptions.iter_mut();
                let old = narrow(members.len());
                for one in own.filter(|own| {
                    own.channel == place && own.careful == careful && own.position == old
                }) {
                    one.position = position;
                }
            }
            let presence = &mut state.presence[*index];
            *presence.count(mode) -= 1;
            subscriptions(mode).sub(1);
            if presence.is_empty() {
                channels.remove(place as usize);
            }
        });
    }

    /// Opens a request's outlet: `first` goes out, then what waits.
    pub(super) fn open(&mut self, slot: u32, wire: W, first: Option<Bytes>) {
        if let Some(subscriber) = self.subscribers.get_mut(slot as usize) {
            let written = subscriber.outlet.open(wire, first);
            self.written(slot, &written);
        }
    }

    /// Delivers at once all that was published before this call. A pass under way is finished too:
    /// what it has noted for a stream must not come behind the stream's end.
    pub(super) fn catch_up(&mut self, now: Duration) {
        // The first round finishes the pass under way and takes the inbox as it is now.
        for _ in 0..2 {
            self.work(now, || false);
            while self.has_work() {
                self.work(now, || false);
            }
        }
    }

    /// All that is held, for [`Shard::dismiss`].
    pub(super) fn held(&self) -> Vec<(u32, u32)> {
        let held = self.subscribers.iter();
        held.map(|(slot, subscriber)| (narrow(slot), subscriber.serial))
            .collect()
    }

    /// Ends the hold with this serial if it still has this slot, since the server stops. The client
    /// of a stream of events is told to come back, not at once and not with all the others.
    pub(super) fn dismiss(&mut self, slot: u32, serial: u32) {
        let reconnect = millis(self.bounds.reconnect);
        let random = self.random();
        let Some(subscriber) = self.subscribers.get_mut(slot as usize) else {
            return;
        };
        if subscriber.serial != serial || subscriber.is_over() {
            return;
        }
        if subscriber.events && subscriber.mode == Mode::Stream && reconnect > 0 {
            let after = reconnect / 2 + random % reconnect;
            // No empty line: it would complete an event that is not whole.
            let line = Bytes::from(format!("retry: {after}\n"));
            let written = subscriber.outlet.send(&Rc::new(Piece::content(&line)));
            self.written(slot, &written);
        }
        self.end(slot);
    }

    /// Ends one hold properly: a stream with its end, a long-poll as if its time were over.
    pub(super) fn end(&mut self, slot: u32) {
        self.write(slot);
        let Some(subscriber) = self.subscribers.get_mut(slot as usize) else {
            return;
        };
        if subscriber.is_over() {
            return;
        }
        match subscriber.mode {
            Mode::Response => subscriber.tell(Event::Timeout),
            Mode::Message => subscriber.tell(Event::Close {
                code: Some(GOING_AWAY),
                reason: String::new(),
            }),
            Mode::Stream => {
                subscriber.end();
                let written = subscriber.outlet.send(&Rc::new(Piece::end()));
                self.written(slot, &written);
            }
        }
    }

    pub(super) fn subscriber(&mut self, slot: u32) -> Option<&mut Subscriber<W>> {
        self.subscribers.get_mut(slot as usize)
    }

    /// Delivers what waits, for a while, and does what is due. `now`: since the hub began;
    /// `until`: asked between writes whether the time for this call is over.
    pub(super) fn work(&mut self, now: Duration, until: impl Fn() -> bool) -> Progress {
        self.pass_time(now);
        if self.pass.is_over() {
            self.take();
        }
        if !self.flush(until) {
            return Progress::More;
        }
        self.pass.carried.clear();
        self.ring();
        if self.inbox.is_empty() && !self.has_work() {
            Progress::Idle(self.next_due())
        } else {
            Progress::More
        }
    }

    /// A pass is under way, or something is left to the next one.
    pub(super) fn has_work(&self) -> bool {
        !self.pass.is_over() || self.has_left_over()
    }

    fn pass_time(&mut self, now: Duration) {
        self.now = self.now.max(millis(now));
    }

    fn next_serial(&mut self) -> u32 {
        self.serial = self.serial.wrapping_add(1);
        self.serial
    }

    /// Requests held here.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.subscribers.len()
    }

    /// xorshift64: spreads keep-alives, nothing more.
    fn random(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random
    }
}

/// What a newcomer has to be asked when the items that were published before it are through: is
/// it where the channel is?
fn check(
    slot: u32,
    serial: u32,
    standing: Option<&Standing>,
    channel: &Arc<Channel>,
    state: &State,
) -> Option<News> {
    let (own, last) = (standing?.prev_id.as_deref()?, state.order.last_id()?);
    (own != last).then(|| News::Check {
        channel: Arc::clone(channel),
        slot,
        serial,
        last_id: last.to_owned(),
    })
}

impl Local {
    fn new(channel: &Arc<Channel>) -> Self {
        Self {
            channel: Arc::clone(channel),
            responses: Vec::new(),
            streams: Vec::new(),
            messages: Vec::new(),
            careful: Vec::new(),
        }
    }

    fn members(&mut self, mode: Mode, careful: bool) -> &mut Vec<Member> {
        match mode {
            _ if careful => &mut self.careful,
            Mode::Response => &mut self.responses,
            Mode::Stream => &mut self.streams,
            Mode::Message => &mut self.messages,
        }
    }
}

/// Indices are kept small. Memory ends long before there are 2^32 of anything here.
fn narrow(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

/// Close code of a WebSocket whose server stops (RFC 6455 section 7.4.1).
const GOING_AWAY: u32 = 1001;
