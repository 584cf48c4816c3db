//! Channels: who is subscribed to what, and delivery to them.
//!
//! [`Hub`] is shared by all threads: the directory of channels, and an [`Inbox`] for each core's
//! shard. [`Hub::publish`] is the one door in. A [`Shard`] belongs to one thread; requests are held
//! in it through [`Held`]. The hub knows outlets and mailboxes; what a held request means to its
//! client is its session's affair.

mod directory;
mod held;
mod inbox;
mod outlet;
mod prepared;
mod shard;
mod subscriber;
mod tcp;
mod wheel;

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod stress;

use std::{sync::Arc, time::Duration};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use self::{
    directory::{Channel, Directory},
    inbox::Delivery,
};
pub use self::{
    held::{Held, Holder},
    inbox::Inbox,
    outlet::{Framing, Wire},
    prepared::Prepared,
    shard::{Ask, Progress, Shard},
    subscriber::Event,
};
use crate::grip::item::{Entry, Item};

/// The channels of the whole process. Shared by all threads.
#[derive(Debug)]
pub struct Hub {
    directory: Arc<Directory>,
    inboxes: Box<[Arc<Inbox>]>,
    /// Bytes that may still be published before a shard has to take some.
    room: Arc<Semaphore>,
    capacity: usize,
    patience: Duration,
}

/// What became of one published entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// How it went.
    pub status: Status,
    /// Subscriptions of the modes the item has a form for, over all its channels, counted when it
    /// was sequenced.
    pub connections: usize,
}

/// How a published item went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// On its way to its subscribers.
    Sent,
    /// Nobody is subscribed.
    NoSubscribers,
}

/// The publish buffer stayed full for the whole time a publish may wait.
#[derive(Debug, thiserror::Error)]
#[error("too much is waiting to be delivered (limits.publish_buffer)")]
pub struct Busy;

impl Hub {
    /// A hub for `shards` shards. `capacity`: most bytes published and not yet taken by every
    /// shard; `patience`: how long a publish waits for room.
    pub fn new(shards: usize, capacity: usize, patience: Duration) -> Self {
        let capacity = capacity.min(Semaphore::MAX_PERMITS).min(u32::MAX as usize);
        Self {
            directory: Arc::new(Directory::new(shards)),
            inboxes: (0..shards).map(|_| Arc::default()).collect(),
            room: Arc::new(Semaphore::new(capacity)),
            capacity,
            patience,
        }
    }

    /// Publishes entries in order, all or none. Returns when they are in every shard's inbox, not
    /// when they are written.
    ///
    /// # Errors
    /// [`Busy`] when there was no room in time; nothing was published.
    pub async fn publish(&self, entries: Vec<Entry>) -> Result<Vec<Receipt>, Busy> {
        let room = Arc::new(self.reserve(&entries).await?);
        Ok(self.sequence(entries, Some(&room)))
    }

    /// Everything may have missed something: forgets the last ids of all channels and has every
    /// held connection ask its backend again.
    pub fn recover(&self) {
        // No channel has a last id and no held connection a way to ask yet.
    }

    async fn reserve(&self, entries: &[Entry]) -> Result<OwnedSemaphorePermit, Busy> {
        let bytes = entries.iter().map(weight).sum::<usize>().min(self.capacity);
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        let permit = Arc::clone(&self.room).acquire_many_owned(bytes);
        match tokio::time::timeout(self.patience, permit).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) | Err(_) => Err(Busy),
        }
    }

    /// Gives each item its place in its channel and puts it into the inboxes; the shards are woken
    /// at the end, outside of every lock. Nothing here can fail.
    fn sequence(
        &self,
        entries: Vec<Entry>,
        room: Option<&Arc<OwnedSemaphorePermit>>,
    ) -> Vec<Receipt> {
        let mut woken = vec![false; self.inboxes.len()];
        let receipts = entries
            .into_iter()
            .map(|entry| match entry {
                Entry::Item(item) => self.enqueue(item, room, &mut woken),
                // Connections are not known by their ids yet.
                Entry::Close { .. } => Receipt::nobody(),
            })
            .collect();
        for (inbox, _) in self.inboxes.iter().zip(woken).filter(|(_, woken)| *woken) {
            inbox.news.notify_one();
        }
        receipts
    }

    /// The item is prepared once, whatever number of channels it goes to.
    fn enqueue(
        &self,
        item: Item,
        room: Option<&Arc<OwnedSemaphorePermit>>,
        woken: &mut [bool],
    ) -> Receipt {
        let names = item.channels.iter();
        let channels: Vec<_> = names.filter_map(|name| self.directory.find(name)).collect();
        let item = Arc::new(Prepared::new(item));
        let connections = channels
            .iter()
            .map(|channel| self.push(channel, &item, room, woken))
            .sum();
        if connections == 0 {
            return Receipt::nobody();
        }
        Receipt {
            status: Status::Sent,
            connections,
        }
    }

    /// Puts an item into one channel. Returns how many subscriptions it has a form for.
    fn push(
        &self,
        channel: &Arc<Channel>,
        item: &Arc<Prepared>,
        room: Option<&Arc<OwnedSemaphorePermit>>,
        woken: &mut [bool],
    ) -> usize {
        let formats = &item.item().formats;
        let (responses, streams) = (formats.response.is_some(), formats.stream.is_some());
        let mut connections = 0;
        let mut state = channel.lock();
        state.published += 1;
        for (shard, presence) in state.presence.iter().enumerate() {
            let here =
                u32::from(responses) * presence.responses + u32::from(streams) * presence.streams;
            if here > 0 {
                connections += here as usize;
                woken[shard] = true;
                self.inboxes[shard].push(Delivery {
                    channel: Arc::clone(channel),
                    index: presence.index,
                    number: state.published,
                    item: Arc::clone(item),
                    _room: room.cloned(),
                });
            }
        }
        connections
    }

    /// Channels with subscribers now.
    pub fn channels(&self) -> usize {
        self.directory.len()
    }
}

impl Receipt {
    fn nobody() -> Self {
        Self {
            status: Status::NoSubscribers,
            connections: 0,
        }
    }
}

/// What an entry counts against the publish buffer, in bytes: an item's contents, once, and what
/// keeping it costs besides.
fn weight(entry: &Entry) -> usize {
    use crate::grip::format::{ResponseBody, ResponseFormat, StreamFormat};
    let Entry::Item(item) = entry else { return 0 };
    let stream = match &item.formats.stream {
        Some(StreamFormat::Send { content, .. }) => content.len(),
        _ => 0,
    };
    let response = match &item.formats.response {
        Some(ResponseFormat::Send(content)) => {
            let body = match &content.body {
                ResponseBody::Bytes(bytes) => bytes.len(),
                ResponseBody::Patch(patch) => patch.0.len() * 128,
            };
            body + content
                .headers
                .iter()
                .map(|header| header.value.len() + 64)
                .sum::<usize>()
        }
        _ => 0,
    };
    let names: usize = item.channels.iter().map(|name| 256 + name.len()).sum();
    256 + names + stream + response
}
