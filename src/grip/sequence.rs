//! The order of one channel's items: an item whose predecessor is missing waits for it.
//!
//! A publish is first asked about in [`IdCache`] (seen before?), then offered to its channel's
//! [`Sequencer`], which hands out what is due now: the item, what waited for it, or nothing yet.
//! Ids are names, not numbers: all that is known of an order is which id an item calls the one
//! before it. Source: GRIP's `id` and `prev-id`, as Pushpin sequences them; unlike Pushpin, which
//! looks once a second, an item is due exactly when it has waited long enough.
//!
//! Pure: times are passed in, counted from whatever beginning the caller chose. Who is subscribed,
//! and whether a subscription missed something, is not decided here.

mod seen;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;

use std::time::Duration;

pub use self::seen::IdCache;

/// Most items of one channel that wait at once.
pub const WAITING_LIMIT: usize = 100;

/// What an item says of its place in its channel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ids<'a> {
    /// Its own id. The empty string is an id.
    pub id: Option<&'a str>,
    /// The id of the item before it.
    pub prev_id: Option<&'a str>,
    /// It stands outside of the order: it neither waits nor becomes the last item.
    pub no_seq: bool,
}

/// What became of an item that was offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is out, perhaps with others that waited for it.
    Sent,
    /// It waits for the item before it.
    Waiting,
    /// It will never come out.
    Dropped(WhyDropped),
}

/// Why an item was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhyDropped {
    /// Another item already waits for the same one.
    SamePrevId,
    /// [`WAITING_LIMIT`] items wait already.
    Full,
}

/// The order of one channel. Three words while nothing waits.
#[derive(Debug)]
pub struct Sequencer<T> {
    last_id: Option<Box<str>>,
    /// In the order of arrival; `None` instead of an empty list.
    #[expect(clippy::box_collection, reason = "one word while nothing waits")]
    waiting: Option<Box<Vec<Waiting<T>>>>,
}

#[derive(Debug)]
struct Waiting<T> {
    due: Duration,
    prev_id: Box<str>,
    id: Option<Box<str>>,
    item: T,
}

impl<T> Sequencer<T> {
    /// A channel of which nothing is known: its next item is in order, whatever it says.
    pub fn new() -> Self {
        Self {
            last_id: None,
            waiting: None,
        }
    }

    /// Id of the newest item that is out, if it had one and it has not been forgotten.
    pub fn last_id(&self) -> Option<&str> {
        self.last_id.as_deref()
    }

    /// Forgets the last id, so that the next item is in order. What waits goes on waiting.
    pub fn forget(&mut self) {
        self.last_id = None;
    }

    /// Forgets the last id if it still is `id`: who found a gap after `id` may be late with it.
    pub fn forget_if(&mut self, id: &str) {
        if self.last_id() == Some(id) {
            self.forget();
        }
    }

    /// Offers an item at time `now`. What is to be delivered is appended to `out`, in order.
    ///
    /// An item that must wait is due after `wait`; with a `wait` of zero nothing waits. Items that
    /// are due already are left to [`Self::expire`]: if that comes late, a predecessor that comes
    /// even later is still in time.
    pub fn offer(
        &mut self,
        ids: Ids<'_>,
        item: T,
        now: Duration,
        wait: Duration,
        out: &mut Vec<T>,
    ) -> Verdict {
        if ids.no_seq {
            out.push(item);
            return Verdict::Sent;
        }
        let missing = match (self.last_id(), ids.prev_id) {
            (Some(last), Some(prev)) if last != prev && !wait.is_zero() => prev,
            _ => {
                self.send(ids.id.map(Box::from), item, out);
                return Verdict::Sent;
            }
        };
        let waiting = self.waiting.get_or_insert_default();
        if waiting.iter().any(|other| *other.prev_id == *missing) {
            return Verdict::Dropped(WhyDropped::SamePrevId);
        }
        if waiting.len() == WAITING_LIMIT {
            return Verdict::Dropped(WhyDropped::Full);
        }
        waiting.push(Waiting {
            due: now.saturating_add(wait),
            prev_id: missing.into(),
            id: ids.id.map(Box::from),
            item,
        });
        Verdict::Waiting
    }

    /// Gives up on the predecessors of all items that are due at `now`, the oldest first: each is
    /// appended to `out`, followed by what waited for it.
    pub fn expire(&mut self, now: Duration, out: &mut Vec<T>) {
        while let Some(overdue) = self.overdue(now) {
            self.send(overdue.id, overdue.item, out);
        }
    }

    /// When the first waiting item is due. `None`: nothing waits.
    pub fn due(&self) -> Option<Duration> {
        self.waiting.as_ref()?.iter().map(|one| one.due).min()
    }

    /// Items that wait.
    pub fn waiting(&self) -> usize {
        self.waiting.as_ref().map_or(0, |waiting| waiting.len())
    }

    /// Delivers an item, and the chain of those that wait for it.
    fn send(&mut self, id: Option<Box<str>>, item: T, out: &mut Vec<T>) {
        out.push(item);
        self.last_id = id;
        while let Some(next) = self.successor() {
            out.push(next.item);
            self.last_id = next.id;
        }
    }

    /// Takes the item that waits for the last one.
    fn successor(&mut self) -> Option<Waiting<T>> {
        let last = self.last_id.as_deref()?;
        let waiting = self.waiting.as_ref()?;
        let index = waiting.iter().position(|one| *one.prev_id == *last)?;
        self.take(index)
    }

    /// Takes the item that is due first, if it is due; of several, the one that came first.
    fn overdue(&mut self, now: Duration) -> Option<Waiting<T>> {
        let waiting = self.waiting.as_ref()?.iter().enumerate();
        let (index, first) = waiting.min_by_key(|(_, one)| one.due)?;
        if first.due > now {
            return None;
        }
        self.take(index)
    }

    fn take(&mut self, index: usize) -> Option<Waiting<T>> {
        let waiting = self.waiting.as_mut()?;
        let taken = waiting.remove(index);
        if waiting.is_empty() {
            self.waiting = None;
        }
        Some(taken)
    }
}

impl<T> Default for Sequencer<T> {
    fn default() -> Self {
        Self::new()
    }
}
