//! What only some held requests need: those whose subscriptions have a prev-id or a filter, and
//! those that have a next link. All others pay one empty pointer for it.

use std::{collections::VecDeque, sync::Arc};

use super::{directory::Channel, outlet::Dropped, prepared::Prepared, wheel::Millis};
use crate::grip::delivery::Standing;

/// What a careful subscriber keeps.
#[derive(Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "they are independent of each other"
)]
pub(super) struct Careful {
    /// The standings of its careful subscriptions, by the channel's place in the shard.
    standings: Vec<(u32, Standing)>,
    /// Bytes of the route's prefix in its channels' names.
    pub(super) prefix: usize,
    /// The client may read why an item cannot be delivered.
    pub(super) debug: bool,
    /// When the next link is followed.
    pub(super) link: Option<LinkTime>,
    /// Asked to recover while it was paused already.
    pub(super) again: bool,
    /// No keep-alive may go out.
    pub(super) muted: bool,
    /// The backend is asked when the client has taken what is under way to it.
    pub(super) when_clear: bool,
    /// The item about which the backend is asked.
    pub(super) asking: Option<Kept>,
    /// What came while it was paused.
    pub(super) waiting: Waiting,
}

/// The time of a next link. A timeout of 0 is none: the link is followed when something else calls
/// for it.
#[derive(Debug)]
pub(super) struct LinkTime {
    pub(super) timeout: Millis,
    /// It has passed once without the link being followed.
    pub(super) skipped: bool,
}

/// An item that is not decided yet.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) channel: Arc<Channel>,
    pub(super) item: Arc<Prepared>,
}

/// Items that came while a subscriber was paused, in order.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    items: VecDeque<Kept>,
    bytes: usize,
    /// There were too many: what is there now is not all.
    missed: bool,
}

impl Careful {
    /// Takes over what is not about channels. Standings are those of channels and stay.
    pub(super) fn settle(&mut self, prefix: usize, debug: bool, link: Option<Millis>) {
        self.prefix = prefix;
        self.debug = debug;
        self.muted = false;
        self.link = link.filter(|time| *time > 0).map(|timeout| LinkTime {
            timeout,
            skipped: false,
        });
    }

    /// Sets the standing at a channel.
    pub(super) fn stand(&mut self, channel: u32, standing: Standing) {
        self.lie_down(channel);
        self.standings.push((channel, standing));
    }

    /// Takes the standing at a channel away.
    pub(super) fn lie_down(&mut self, channel: u32) -> Option<Standing> {
        let position = self.standings.iter().position(|(own, _)| *own == channel)?;
        Some(self.standings.swap_remove(position).1)
    }

    /// Sets a channel's standing back to before an item that was decided and is not sent.
    pub(super) fn stand_back(&mut self, dropped: &Dropped) {
        let mut standings = self.standings.iter_mut();
        let standing = standings.find(|(own, _)| *own == dropped.channel);
        // It was decided because it followed: its prev-id is where the client stood.
        if let (Some((_, standing)), Some(id)) = (standing, &dropped.first.item().prev_id)
            && standing.prev_id.is_some()
        {
            standing.prev_id = Some(id.clone());
        }
    }

    /// The standing at a channel.
    pub(super) fn standing(&self, channel: u32) -> Option<&Standing> {
        let mut standings = self.standings.iter();
        standings.find_map(|(own, standing)| (*own == channel).then_some(standing))
    }

    /// All standings.
    pub(super) fn standings(&self) -> impl Iterator<Item = &Standing> {
        self.standings.iter().map(|(_, standing)| standing)
    }
}

impl Waiting {
    /// Keeps an item; beyond `ITEMS`, or `limit` bytes, all of them are dropped and it is noted
    /// that something is missing.
    pub(super) fn push(&mut self, kept: Kept, limit: usize) {
        if self.missed {
            return;
        }
        self.bytes += kept.item.weight();
        if self.items.len() == ITEMS || (self.bytes > limit && !self.items.is_empty()) {
            *self = Self {
                missed: true,
                ..Self::default()
            };
            return;
        }
        self.items.push_back(kept);
    }

    /// The oldest item.
    pub(super) fn pop(&mut self) -> Option<Kept> {
        let kept = self.items.pop_front()?;
        self.bytes -= kept.item.weight();
        Some(kept)
    }

    /// Keeps an item again that was the oldest, whatever there is besides.
    pub(super) fn put_back(&mut self, kept: Kept) {
        if !self.missed {
            self.bytes += kept.item.weight();
            self.items.push_front(kept);
        }
    }

    /// Was anything dropped since this was asked last?
    pub(super) fn take_missed(&mut self) -> bool {
        std::mem::take(&mut self.missed)
    }
}

/// Most items that wait for a paused subscriber.
const ITEMS: usize = 100;
