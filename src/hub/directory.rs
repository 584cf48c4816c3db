//! The directory: which channels exist, in which order their items come, and how many subscribers
//! each has in which shard.
//!
//! It is the only thing of the hub that all threads share. A channel's mutex covers its order: the
//! sequencer, the publish counter, the counts per shard, and the pushing of an item to the shards'
//! inboxes, so that all shards see one order. The map's own guard only fetches or inserts the
//! `Arc`; it is never held together with a channel's mutex.
//!
//! A channel is there while it has subscribers, and lingers for a while after its last long-poll:
//! its memory is what lets the next poll notice that it has missed something.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use dashmap::DashMap;
use parking_lot::{Mutex, MutexGuard};

use super::{
    Rules,
    clock::Clock,
    inbox::Ordered,
    wheel::{Millis, millis},
};
use crate::grip::{instruct::Mode, sequence::Sequencer};

/// All channels that have subscribers, or had some a short while ago.
#[derive(Debug)]
pub(super) struct Directory {
    channels: DashMap<Arc<str>, Arc<Channel>>,
    shards: usize,
    pub(super) rules: Rules,
    /// What channels wait for.
    pub(super) clock: Clock,
    /// Channels without subscribers.
    lingering: AtomicUsize,
}

/// One channel.
#[derive(Debug)]
pub(super) struct Channel {
    pub(super) name: Arc<str>,
    state: Mutex<State>,
}

/// What a channel's mutex covers.
#[derive(Debug)]
pub(super) struct State {
    /// The entry has been taken out of the map: whoever still holds it must look again.
    dead: bool,
    /// Items sent on so far. A subscriber ignores those not above the number it started at.
    pub(super) published: u64,
    /// By shard.
    pub(super) presence: Box<[Presence]>,
    /// The order of its items.
    pub(super) order: Sequencer<Ordered>,
    /// It had subscribers and is kept until then.
    linger: Option<Millis>,
    /// Its first subscribers ask their backends again then.
    update: Option<Millis>,
    /// The clock tells it at this time, or before.
    armed: Option<Millis>,
}

/// A channel's subscribers in one shard.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Presence {
    /// Held long-polls.
    pub(super) responses: u32,
    /// Held streams.
    pub(super) streams: u32,
    /// WebSockets.
    pub(super) messages: u32,
    /// Where the shard keeps this channel; valid while there are subscribers.
    pub(super) index: u32,
}

impl Directory {
    pub(super) fn new(shards: usize, rules: Rules) -> Self {
        Self {
            channels: DashMap::new(),
            shards,
            rules,
            clock: Clock::default(),
            lingering: AtomicUsize::new(0),
        }
    }

    /// The channel, if it is there.
    pub(super) fn find(&self, name: &str) -> Option<Arc<Channel>> {
        self.channels.get(name).map(|entry| Arc::clone(&entry))
    }

    /// Names of channels there are now, as many as `most`.
    pub(super) fn names(&self, most: usize) -> Vec<Arc<str>> {
        let entries = self.channels.iter().take(most);
        entries.map(|entry| Arc::clone(entry.key())).collect()
    }

    /// All channels there are now.
    pub(super) fn all(&self) -> Vec<Arc<Channel>> {
        let entries = self.channels.iter();
        entries.map(|entry| Arc::clone(entry.value())).collect()
    }

    /// The channel, made if need be, locked by `with`, which counts a subscriber in.
    pub(super) fn enter<T>(
        &self,
        name: &str,
        now: Millis,
        with: impl FnOnce(&Arc<Channel>, &mut State) -> T,
    ) -> T {
        loop {
            let (channel, fresh) = self.find_or_insert(name);
            let mut state = channel.lock();
            if state.dead {
                drop(state);
                self.remove(&channel);
                continue;
            }
            if state.linger.take().is_some() {
                self.lingering.fetch_sub(1, Ordering::Relaxed);
            }
            if fresh && let Some(after) = self.rules.first_update {
                state.update = Some(now + millis(after));
                self.arm(&channel, &mut state);
            }
            return with(&channel, &mut state);
        }
    }

    /// Counts a subscriber of `mode` out, by `with`. With the last one the channel goes, or
    /// lingers after a long-poll: that one's client is likely to be back.
    pub(super) fn leave(
        &self,
        channel: &Arc<Channel>,
        mode: Mode,
        now: Millis,
        with: impl FnOnce(&mut State),
    ) {
        let mut state = channel.lock();
        with(&mut state);
        if !state.is_deserted() {
            return;
        }
        let linger = self.rules.subscription_linger;
        let lingers = mode == Mode::Response && !linger.is_zero() && self.may_linger();
        if lingers {
            state.linger = Some(now + millis(linger));
            self.arm(channel, &mut state);
        } else {
            self.drop_dead(channel, state);
        }
    }

    /// One more channel without subscribers, if there may be.
    fn may_linger(&self) -> bool {
        let one_more = |count| (count < LINGERING).then_some(count + 1);
        let update = self
            .lingering
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more);
        update.is_ok()
    }

    /// Ends a channel's lingering when its time is over; gives the lock back if the channel goes
    /// on.
    pub(super) fn end_linger<'c>(
        &self,
        channel: &'c Arc<Channel>,
        mut state: MutexGuard<'c, State>,
        now: Millis,
    ) -> Option<MutexGuard<'c, State>> {
        if state.linger.is_none_or(|until| until > now) {
            return Some(state);
        }
        state.linger = None;
        self.lingering.fetch_sub(1, Ordering::Relaxed);
        self.drop_dead(channel, state);
        None
    }

    fn drop_dead(&self, channel: &Arc<Channel>, mut state: MutexGuard<'_, State>) {
        state.dead = true;
        drop(state);
        self.remove(channel);
    }

    /// Has the clock tell the channel of what it waits for next.
    pub(super) fn arm(&self, channel: &Arc<Channel>, state: &mut State) {
        let due = state.order.due().map(millis);
        let due = [due, state.linger, state.update]
            .into_iter()
            .flatten()
            .min();
        if let Some(due) = due
            && state.armed.is_none_or(|armed| due < armed)
        {
            state.armed = Some(due);
            self.clock.arm(due, channel);
        }
    }

    /// Also tells whether it was made now.
    fn find_or_insert(&self, name: &str) -> (Arc<Channel>, bool) {
        if let Some(channel) = self.find(name) {
            return (channel, false);
        }
        let name: Arc<str> = name.into();
        let fresh = Arc::new(Channel::new(Arc::clone(&name), self.shards));
        let entry = self
            .channels
            .entry(name)
            .or_insert_with(|| Arc::clone(&fresh));
        (Arc::clone(&entry), Arc::ptr_eq(&entry, &fresh))
    }

    fn remove(&self, channel: &Arc<Channel>) {
        self.channels
            .remove_if(&channel.name, |_, entry| Arc::ptr_eq(entry, channel));
    }

    /// Channels there are now.
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
                order: Sequencer::new(),
                linger: None,
                update: None,
                armed: None,
            }),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

impl State {
    pub(super) fn is_deserted(&self) -> bool {
        self.presence.iter().all(|shard| shard.is_empty())
    }

    /// It was taken out of the map.
    pub(super) fn is_dead(&self) -> bool {
        self.dead
    }

    /// The clock has told it. One that was told sooner than it asked for at last is still to be
    /// told then.
    pub(super) fn told(&mut self, now: Millis) {
        self.armed.take_if(|due| *due <= now);
    }

    /// Its first subscribers are to ask again by now; said once.
    pub(super) fn take_update(&mut self, now: Millis) -> bool {
        self.update.take_if(|due| *due <= now).is_some()
    }
}

impl Presence {
    /// The count of one mode.
    pub(super) fn count(&mut self, mode: Mode) -> &mut u32 {
        match mode {
            Mode::Response => &mut self.responses,
            Mode::Stream => &mut self.streams,
            Mode::Message => &mut self.messages,
        }
    }

    pub(super) fn is_empty(self) -> bool {
        self.responses == 0 && self.streams == 0 && self.messages == 0
    }
}

/// Most channels without subscribers: beyond it a channel goes with its last long-poll.
const LINGERING: usize = 100_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn directory(linger: u64) -> Directory {
        Directory::new(
            2,
            Rules {
                subscription_linger: std::time::Duration::from_millis(linger),
                ..Rules::default()
            },
        )
    }

    fn count(mode: Mode) -> impl Fn(&Arc<Channel>, &mut State) {
        move |_, state| *state.presence[1].count(mode) += 1
    }

    fn discount(mode: Mode) -> impl Fn(&mut State) {
        move |state| *state.presence[1].count(mode) -= 1
    }

    #[test]
    fn an_entry_goes_with_its_last_subscriber_and_a_late_comer_gets_a_new_one() {
        let directory = directory(1000);
        directory.enter("a", 0, count(Mode::Stream));
        directory.enter("a", 0, count(Mode::Stream));
        let channel = directory.find("a").unwrap();
        directory.leave(&channel, Mode::Stream, 0, discount(Mode::Stream));
        assert_eq!(directory.len(), 1);
        directory.leave(&channel, Mode::Stream, 0, discount(Mode::Stream));
        assert_eq!(directory.len(), 0);
        assert!(channel.lock().dead);
        directory.enter("a", 0, |fresh, _| assert!(!Arc::ptr_eq(fresh, &channel)));
    }

    #[test]
    fn a_long_polls_channel_lingers_unless_a_stream_is_the_last() {
        let directory = directory(1000);
        directory.enter("a", 0, count(Mode::Response));
        let channel = directory.find("a").unwrap();
        directory.leave(&channel, Mode::Response, 50, discount(Mode::Response));
        assert_eq!(directory.len(), 1);
        assert_eq!(directory.lingering.load(Ordering::Relaxed), 1);

        directory.enter("a", 60, |same, _| assert!(Arc::ptr_eq(same, &channel)));
        assert_eq!(directory.lingering.load(Ordering::Relaxed), 0);
        directory.enter("a", 60, count(Mode::Stream));
        directory.leave(&channel, Mode::Stream, 70, discount(Mode::Stream));
        assert_eq!(directory.len(), 0);

        directory.enter("b", 0, count(Mode::Response));
        let channel = directory.find("b").unwrap();
        directory.leave(&channel, Mode::Response, 50, discount(Mode::Response));
        assert!(
            directory
                .end_linger(&channel, channel.lock(), 1049)
                .is_some()
        );
        assert!(
            directory
                .end_linger(&channel, channel.lock(), 1050)
                .is_none()
        );
        assert_eq!(directory.len(), 0);
        assert_eq!(directory.lingering.load(Ordering::Relaxed), 0);
    }
}
