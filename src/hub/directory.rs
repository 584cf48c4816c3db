//! The directory: which channels exist, and how many subscribers each has in which shard.
//!
//! It is the only thing of the hub that all threads share. A channel's mutex covers its order: the
//! publish counter, the counts per shard, and the pushing of an item to the shards' inboxes, so
//! that all shards see one order. The map's own guard only fetches or inserts the `Arc`; it is
//! never held together with a channel's mutex.

use std::sync::Arc;

use dashmap::DashMap;
use parking_lot::{Mutex, MutexGuard};

use crate::grip::instruct::Mode;

/// All channels that have subscribers.
#[derive(Debug)]
pub(super) struct Directory {
    channels: DashMap<Arc<str>, Arc<Channel>>,
    shards: usize,
}

/// One channel.
#[derive(Debug)]
pub(super) struct Channel {
    name: Arc<str>,
    state: Mutex<State>,
}

/// What a channel's mutex covers.
#[derive(Debug)]
pub(super) struct State {
    /// The entry has been taken out of the map: whoever still holds it must look again.
    dead: bool,
    /// Items published so far. A subscriber ignores those not above the number it started at.
    pub(super) published: u64,
    /// By shard.
    pub(super) presence: Box<[Presence]>,
}

/// A channel's subscribers in one shard.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Presence {
    /// Held long-polls.
    pub(super) responses: u32,
    /// Held streams.
    pub(super) streams: u32,
    /// Where the shard keeps this channel; valid while there are subscribers.
    pub(super) index: u32,
}

impl Directory {
    pub(super) fn new(shards: usize) -> Self {
        Self {
            channels: DashMap::new(),
            shards,
        }
    }

    /// The channel, if anyone is subscribed to it.
    pub(super) fn find(&self, name: &str) -> Option<Arc<Channel>> {
        self.channels.get(name).map(|entry| Arc::clone(&entry))
    }

    /// The channel, made if need be, locked by `with`, which may count a subscriber.
    pub(super) fn enter<T>(
        &self,
        name: &str,
        with: impl FnOnce(&Arc<Channel>, &mut State) -> T,
    ) -> T {
        loop {
            let channel = self.find(name).unwrap_or_else(|| self.insert(name));
            let mut state = channel.state.lock();
            if !state.dead {
                return with(&channel, &mut state);
            }
            drop(state);
            self.remove(&channel);
        }
    }

    /// Counts a subscriber out, by `with`; the entry goes with the last one.
    pub(super) fn leave(&self, channel: &Arc<Channel>, with: impl FnOnce(&mut State)) {
        let mut state = channel.state.lock();
        with(&mut state);
        if state.presence.iter().all(|shard| shard.is_empty()) {
            state.dead = true;
            drop(state);
            self.remove(channel);
        }
    }

    fn insert(&self, name: &str) -> Arc<Channel> {
        let name: Arc<str> = name.into();
        let fresh = || Arc::new(Channel::new(Arc::clone(&name), self.shards));
        Arc::clone(&self.channels.entry(Arc::clone(&name)).or_insert_with(fresh))
    }

    fn remove(&self, channel: &Arc<Channel>) {
        self.channels
            .remove_if(&channel.name, |_, entry| Arc::ptr_eq(entry, channel));
    }

    /// Channels with subscribers now.
    pub(super) fn len(&self) -> usize {
        self.channels.len()
    }
}

impl Channel {
    fn new(name: Arc<str>, shards: usize) -> Self {
        let presence = vec![Presence::default(); shards].into_boxed_slice();
        Self {
            name,
            state: Mutex::new(State {
                dead: false,
                published: 0,
                presence,
            }),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

impl Presence {
    /// The count of one mode.
    pub(super) fn count(&mut self, mode: Mode) -> &mut u32 {
        match mode {
            Mode::Response => &mut self.responses,
            Mode::Stream => &mut self.streams,
        }
    }

    pub(super) fn is_empty(self) -> bool {
        self.responses == 0 && self.streams == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_goes_with_its_last_subscriber_and_a_late_comer_gets_a_new_one() {
        let directory = Directory::new(2);
        let count = |_: &Arc<Channel>, state: &mut State| state.presence[1].streams += 1;
        directory.enter("a", count);
        directory.enter("a", count);
        let channel = directory.find("a").unwrap();
        directory.leave(&channel, |state| state.presence[1].streams -= 1);
        assert_eq!(directory.len(), 1);
        directory.leave(&channel, |state| state.presence[1].streams -= 1);
        assert_eq!(directory.len(), 0);
        assert!(channel.lock().dead);
        directory.enter("a", |fresh, _| assert!(!Arc::ptr_eq(fresh, &channel)));
    }
}
