//! Channels: who is subscribed to what, and delivery to them.
//!
//! [`Hub`] is shared by all threads: the directory of channels, and an [`Inbox`] for each core's
//! shard. [`Hub::publish`] is the one door in. A [`Shard`] belongs to one thread; requests are held
//! in it through [`Held`]. The hub knows outlets and mailboxes; what a held request means to its
//! client is its session's affair.

mod careful;
mod clock;
mod directory;
mod held;
mod inbox;
mod outlet;
mod piece;
mod prepared;
mod shard;
mod socket;
mod subscriber;
mod unheard;
mod wheel;

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod stress;
#[cfg(test)]
mod tests;

use std::{
    collections::hash_map::RandomState,
    hash::BuildHasher,
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use self::{
    directory::{Channel, Directory, State},
    inbox::{Delivery, Journey, News, Ordered},
    unheard::{Miss, Unheard},
};
pub use self::{
    held::{Held, Holder},
    inbox::Inbox,
    outlet::Wire,
    piece::Framing,
    prepared::{COMPRESSED_FROM, Prepared, deflate, opcode},
    shard::{Ask, Bounds, Progress, Shard},
    subscriber::{Event, Overflow, Question, Why},
};
use crate::{
    grip::{
        connection::ConnectionId,
        item::Entry,
        sequence::{IdCache, Verdict, WhyDropped},
    },
    telemetry::counters::{Count, Family},
};

/// The channels of the whole process. Shared by all threads.
#[derive(Debug)]
pub struct Hub {
    directory: Arc<Directory>,
    inboxes: Box<[Arc<Inbox>]>,
    /// Ids seen, in stripes by channel.
    ids: Box<[Mutex<IdCache>]>,
    stripes: RandomState,
    /// Bytes that may still be published before a shard has to take some.
    room: Arc<Semaphore>,
    capacity: usize,
    patience: Duration,
    began: Instant,
    unheard: Unheard,
}

/// What channels go by.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rules {
    /// How long an item waits for the one before it.
    pub message_wait: Duration,
    /// How long an id is remembered, so that its second item is dropped. Zero: not at all.
    pub id_cache_ttl: Duration,
    /// How long a channel is remembered after its last long-poll.
    pub subscription_linger: Duration,
    /// How long after its first subscription a channel's subscribers ask their backends again.
    pub first_update: Option<Duration>,
}

/// What became of one published item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// How it went.
    pub status: Status,
    /// Subscriptions of the modes the item has a form for, counted when it was sequenced.
    pub connections: usize,
}

/// How a published item went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// On its way to its subscribers.
    Sent,
    /// Nobody is subscribed.
    NoSubscribers,
    /// It waits for the item before it.
    Waiting,
    /// Its id was published on this channel a short while ago.
    Duplicate,
    /// Another item waits for the same one before it.
    SamePrevId,
    /// Too many items of this channel wait already.
    TooManyWaiting,
}

/// The publish buffer stayed full for the whole time a publish may wait.
#[derive(Debug, thiserror::Error)]
#[error("too much is waiting to be delivered (limits.publish_buffer)")]
pub struct Busy;

impl Hub {
    /// A hub for `shards` shards. `capacity`: most bytes published and not yet taken by every
    /// shard; `patience`: how long a publish waits for room.
    pub fn new(shards: usize, capacity: usize, patience: Duration, rules: Rules) -> Self {
        let capacity = capacity.min(Semaphore::MAX_PERMITS).min(u32::MAX as usize);
        Self {
            directory: Arc::new(Directory::new(shards, rules)),
            inboxes: (0..shards).map(|_| Arc::default()).collect(),
            ids: (0..STRIPES)
                .map(|_| Mutex::new(IdCache::new(IDS / STRIPES)))
                .collect(),
            stripes: RandomState::new(),
            room: Arc::new(Semaphore::new(capacity)),
            capacity,
            patience,
            began: Instant::now(),
            unheard: Unheard::new(),
        }
    }

    /// Publishes items in order, all or none. Returns when they are in every shard's inbox, not
    /// when they are written.
    ///
    /// # Errors
    /// [`Busy`] when there was no room in time; nothing was published.
    pub async fn publish(&self, entries: Vec<Entry>) -> Result<Vec<Receipt>, Busy> {
        let room = self.reserve(&entries).await?;
        Count::Items.add(entries.len() as u64);
        Ok(self.sequence(entries, Some(room), self.began.elapsed()))
    }

    /// Forgets every channel's last id, and has everybody ask their backends again.
    pub fn recover(&self) {
        let mut woken = vec![false; self.inboxes.len()];
        for channel in self.directory.all() {
            let mut state = channel.lock();
            state.order.forget();
            self.update(&channel, &state, &mut woken);
        }
        self.wake(&woken);
    }

    /// Acts on what channels wait for, for ever: one task of the process.
    pub async fn keep_time(&self) {
        loop {
            self.tick(self.began.elapsed());
            let news = self.directory.clock.news.notified();
            match self.directory.clock.next() {
                None => news.await,
                Some(next) => {
                    let until = self.began + Duration::from_millis(next);
                    let _ = tokio::time::timeout_at(until.into(), news).await;
                }
            }
        }
    }

    /// Acts on what is due by `now` (since the hub began).
    fn tick(&self, now: Duration) {
        let millis = wheel::millis(now);
        let mut woken = vec![false; self.inboxes.len()];
        let mut released = Vec::new();
        for channel in self.directory.clock.due(millis) {
            let mut state = channel.lock();
            state.told(millis);
            if state.is_dead() {
                continue;
            }
            state.order.expire(now, &mut released);
            for item in released.drain(..) {
                self.send(&channel, &mut state, &item, &mut woken);
            }
            if state.take_update(millis) {
                self.update(&channel, &state, &mut woken);
            }
            if let Some(mut state) = self.directory.end_linger(&channel, state, millis) {
                self.directory.arm(&channel, &mut state);
            }
        }
        self.wake(&woken);
    }

    async fn reserve(&self, entries: &[Entry]) -> Result<OwnedSemaphorePermit, Busy> {
        let items = entries.iter().filter_map(|entry| match entry {
            Entry::Item(item) => Some(item),
            Entry::Close { .. } => None,
        });
        let bytes = items
            .map(prepared::weight)
            .sum::<usize>()
            .min(self.capacity);
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        let permit = Arc::clone(&self.room).acquire_many_owned(bytes);
        if let Ok(Ok(permit)) = tokio::time::timeout(self.patience, permit).await {
            return Ok(permit);
        }
        Count::PublishesBusy.add(1);
        Err(Busy)
    }

    /// Gives each item its place in its channels and puts it into the inboxes; the shards are woken
    /// at the end, outside of every lock. Nothing here can fail. `now`: since the hub began.
    fn sequence(
        &self,
        entries: Vec<Entry>,
        mut room: Option<OwnedSemaphorePermit>,
        now: Duration,
    ) -> Vec<Receipt> {
        let mut woken = vec![false; self.inboxes.len()];
        let mut released = Vec::new();
        let receipts = entries
            .into_iter()
            .map(|entry| match entry {
                Entry::Close { connection } => self.close(&connection),
                Entry::Item(item) => {
                    // Each its own share: one that waits keeps no more than that.
                    let share = room
                        .as_mut()
                        .and_then(|room| room.split(prepared::weight(&item)));
                    let ordered = Ordered {
                        item: Arc::new(Prepared::new(item)),
                        _room: share.map(Arc::new),
                        published: Instant::now(),
                    };
                    let names = ordered.item.item().channels.iter();
                    let receipts = names
                        .map(|name| self.enqueue(name, &ordered, now, &mut released, &mut woken));
                    receipts
                        .reduce(Receipt::and)
                        .unwrap_or_else(|| Receipt::unsent(Status::NoSubscribers))
                }
            })
            .collect();
        self.wake(&woken);
        receipts
    }

    /// Puts an item into the order of one channel, and sends on what may go.
    fn enqueue(
        &self,
        name: &str,
        ordered: &Ordered,
        now: Duration,
        released: &mut Vec<Ordered>,
        woken: &mut [bool],
    ) -> Receipt {
        let item = ordered.item.item();
        if let Some(id) = &item.id
            && self.is_repeated(name, id, now)
        {
            Family::Dropped.add("duplicate");
            return Receipt::unsent(Status::Duplicate);
        }
        let Some(channel) = self.directory.find(name) else {
            Count::Unheard.add(1);
            self.unheard.missed(name, Miss::Nobody, &self.directory);
            return Receipt::unsent(Status::NoSubscribers);
        };
        let mut state = channel.lock();
        let wait = self.directory.rules.message_wait;
        let verdict = state
            .order
            .offer(item.ids(), ordered.clone(), now, wait, released);
        let mut connections = 0;
        for (index, next) in released.drain(..).enumerate() {
            let sent = self.send(&channel, &mut state, &next, woken);
            connections = if index == 0 { sent } else { connections };
        }
        self.directory.arm(&channel, &mut state);
        let is_deserted = state.is_deserted();
        drop(state);
        if connections > 0 {
            self.unheard.heard(name);
        }
        match verdict {
            Verdict::Sent if connections == 0 => {
                Count::Unheard.add(1);
                // A long-poll's client is likely to be back.
                if !is_deserted {
                    self.unheard.missed(name, Miss::OtherForms, &self.directory);
                }
                Receipt::unsent(Status::NoSubscribers)
            }
            Verdict::Sent => Receipt {
                status: Status::Sent,
                connections,
            },
            Verdict::Waiting => Receipt::unsent(Status::Waiting),
            Verdict::Dropped(WhyDropped::SamePrevId) => {
                Family::Dropped.add("same-prev-id");
                Receipt::unsent(Status::SamePrevId)
            }
            Verdict::Dropped(WhyDropped::Full) => {
                Family::Dropped.add("too-many-waiting");
                Receipt::unsent(Status::TooManyWaiting)
            }
        }
    }

    /// Was this id published on this channel a short while ago?
    fn is_repeated(&self, channel: &str, id: &str, now: Duration) -> bool {
        let ttl = self.directory.rules.id_cache_ttl;
        if ttl.is_zero() {
            return false;
        }
        let hash = usize::try_from(self.stripes.hash_one(channel) % STRIPES as u64).unwrap_or(0);
        self.ids[hash].lock().seen(channel, id, now, ttl)
    }

    /// Puts an item into the inboxes of the shards that have subscribers for it, under the
    /// channel's lock; returns how many subscriptions that are.
    fn send(
        &self,
        channel: &Arc<Channel>,
        state: &mut State,
        ordered: &Ordered,
        woken: &mut [bool],
    ) -> usize {
        let formats = &ordered.item.item().formats;
        let (responses, streams) = (formats.response.is_some(), formats.stream.is_some());
        let messages = formats.message.is_some();
        state.published += 1;
        let mut connections = 0;
        let mut journey = None;
        for (shard, presence) in state.presence.iter().enumerate() {
            let here = u32::from(responses) * presence.responses
                + u32::from(streams) * presence.streams
                + u32::from(messages) * presence.messages;
            if here > 0 {
                connections += here as usize;
                woken[shard] = true;
                self.inboxes[shard].push(News::Item(Delivery {
                    channel: Arc::clone(channel),
                    index: presence.index,
                    number: state.published,
                    ordered: ordered.clone(),
                    journey: Arc::clone(
                        journey.get_or_insert_with(|| Arc::new(Journey(ordered.published))),
                    ),
                }));
            }
        }
        connections
    }

    /// Has a channel's subscribers ask their backends again.
    fn update(&self, channel: &Arc<Channel>, state: &State, woken: &mut [bool]) {
        for (shard, presence) in state.presence.iter().enumerate() {
            if !presence.is_empty() {
                woken[shard] = true;
                self.inboxes[shard].push(News::Update {
                    channel: Arc::clone(channel),
                    index: presence.index,
                });
            }
        }
    }

    /// Has the connection of this id closed, if it is held by the shard that the id names.
    fn close(&self, connection: &str) -> Receipt {
        let connection = ConnectionId::parse(connection);
        let inbox = connection.and_then(|id| self.inboxes.get(id.shard()));
        let (Some(connection), Some(inbox)) = (connection, inbox) else {
            return Receipt::unsent(Status::NoSubscribers);
        };
        inbox.push(News::Close(connection));
        inbox.bell.notify_one();
        Receipt::unsent(Status::Sent)
    }

    fn wake(&self, woken: &[bool]) {
        for (inbox, _) in self.inboxes.iter().zip(woken).filter(|(_, woken)| **woken) {
            inbox.bell.notify_one();
        }
    }

    /// Items that wait in the shards' inboxes, one for each shard.
    pub fn queued_items(&self) -> usize {
        self.inboxes.iter().map(|inbox| inbox.len()).sum()
    }

    /// Bytes that are published and not yet taken by every shard.
    pub fn queued_bytes(&self) -> usize {
        self.capacity.saturating_sub(self.room.available_permits())
    }

    /// Channels with subscribers now, and those that linger.
    pub fn channels(&self) -> usize {
        self.directory.len()
    }
}

impl Receipt {
    /// What became of an item on two channels.
    fn and(self, other: Self) -> Self {
        let status = match (self.status, other.status) {
            (Status::Sent, _) | (_, Status::NoSubscribers) => self.status,
            (_, status) => status,
        };
        Self {
            status,
            connections: self.connections + other.connections,
        }
    }

    fn unsent(status: Status) -> Self {
        Self {
            status,
            connections: 0,
        }
    }
}

/// Most ids that are remembered, and in how many parts with a lock of their own.
const IDS: usize = 1_000_000;
const STRIPES: usize = 16;
