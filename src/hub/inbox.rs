//! A shard's inbox: what was published for its subscribers and not yet taken by it.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{Notify, OwnedSemaphorePermit};

use super::{directory::Channel, prepared::Prepared};

/// One item for one shard.
#[derive(Debug)]
pub(super) struct Delivery {
    pub(super) channel: Arc<Channel>,
    /// Where the shard kept the channel when the item was published.
    pub(super) index: u32,
    /// The item's number in its channel.
    pub(super) number: u64,
    pub(super) item: Arc<Prepared>,
    /// The item's share of the publish buffer; given back by the last shard that takes it.
    pub(super) _room: Option<Arc<OwnedSemaphorePermit>>,
}

/// Bounded by the publish buffer, of which every delivery holds its share.
#[derive(Debug, Default)]
pub struct Inbox {
    deliveries: Mutex<Vec<Delivery>>,
    pub(super) news: Notify,
}

impl Inbox {
    pub(super) fn push(&self, delivery: Delivery) {
        self.deliveries.lock().push(delivery);
    }

    pub(super) fn take(&self) -> Vec<Delivery> {
        std::mem::take(&mut self.deliveries.lock())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.deliveries.lock().is_empty()
    }
}
