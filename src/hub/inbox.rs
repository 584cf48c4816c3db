//! A shard's inbox: what was published for its subscribers and not yet taken by it, and what its
//! channels want done in the same order.

use std::{sync::Arc, time::Instant};

use parking_lot::Mutex;
use tokio::sync::{Notify, OwnedSemaphorePermit};

use super::{directory::Channel, prepared::Prepared};
use crate::{grip::connection::ConnectionId, telemetry::counters};

/// An item on its way, with its share of the publish buffer.
#[derive(Clone, Debug)]
pub(super) struct Ordered {
    pub(super) item: Arc<Prepared>,
    /// Given back by the last shard that takes the item.
    pub(super) _room: Option<Arc<OwnedSemaphorePermit>>,
    pub(super) published: Instant,
}

/// An item on its way to all subscribers of a channel: whoever lets go of it last has made the last
/// write, and the time that took is noted.
#[derive(Debug)]
pub(super) struct Journey(pub(super) Instant);

impl Drop for Journey {
    fn drop(&mut self) {
        counters::delivered(self.0.elapsed());
    }
}

/// One thing for one shard.
#[derive(Debug)]
pub(super) enum News {
    /// An item was published.
    Item(Delivery),
    /// The channel's subscribers ask their backends again.
    Update {
        channel: Arc<Channel>,
        /// Where the shard kept the channel when this was said.
        index: u32,
    },
    /// A subscriber came with another idea of the channel's last id than the channel has. Stands
    /// behind the items that were published before it came.
    Check {
        channel: Arc<Channel>,
        slot: u32,
        serial: u32,
        /// The channel's last id when it came.
        last_id: String,
    },
    /// A single connection is to be closed.
    Close(ConnectionId),
}

/// One item for one shard.
#[derive(Debug)]
pub(super) struct Delivery {
    pub(super) channel: Arc<Channel>,
    /// Where the shard kept the channel when the item was published.
    pub(super) index: u32,
    /// The item's number in its channel.
    pub(super) number: u64,
    pub(super) ordered: Ordered,
    pub(super) journey: Arc<Journey>,
}

/// Bounded by the publish buffer, of which every item holds its share; the rest is one small entry
/// per subscriber or channel at most.
#[derive(Debug, Default)]
pub struct Inbox {
    news: Mutex<Vec<News>>,
    pub(super) bell: Notify,
}

impl Delivery {
    pub(super) fn item(&self) -> &Arc<Prepared> {
        &self.ordered.item
    }
}

impl Inbox {
    pub(super) fn push(&self, news: News) {
        self.news.lock().push(news);
    }

    pub(super) fn take(&self) -> Vec<News> {
        std::mem::take(&mut self.news.lock())
    }

    pub(super) fn len(&self) -> usize {
        self.news.lock().len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.news.lock().is_empty()
    }
}
