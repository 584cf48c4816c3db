//! Which ids were published lately, so that a publisher may send an item again when it does not
//! know whether it arrived.

use std::{
    collections::{HashSet, VecDeque},
    hash::{BuildHasher, RandomState},
    time::Duration,
};

/// The ids of all channels, each for a while. Keeps 16 bytes of keyed hash and the time of each
/// (about 80 bytes in all), not the texts, which a publisher could make as long as it likes.
#[derive(Debug)]
pub struct IdCache {
    /// Two keys, because one hash has 64 bits: too few to trust that no two of a million collide.
    keys: [RandomState; 2],
    known: HashSet<u128>,
    /// Oldest first, and when each was remembered.
    order: VecDeque<(Duration, u128)>,
    most: usize,
}

impl IdCache {
    /// Remembers at most `most` ids; the oldest is forgotten for a new one.
    pub fn new(most: usize) -> Self {
        Self {
            keys: [RandomState::new(), RandomState::new()],
            known: HashSet::new(),
            order: VecDeque::new(),
            most,
        }
    }

    /// True if `id` was seen in `channel` less than `ttl` ago; else it is remembered from `now`
    /// on. To be seen again does not make it younger. With a `ttl` of zero nothing is remembered.
    pub fn seen(&mut self, channel: &str, id: &str, now: Duration, ttl: Duration) -> bool {
        if ttl.is_zero() {
            return false;
        }
        self.forget(|since| now.saturating_sub(since) >= ttl);
        let hash = self.hash(channel, id);
        if !self.known.insert(hash) {
            return true;
        }
        self.order.push_back((now, hash));
        if self.order.len() > self.most {
            self.pop();
        }
        debug_assert_eq!(self.order.len(), self.known.len());
        false
    }

    /// Ids remembered; some of them may be too old to count.
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Nothing is remembered.
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    fn forget(&mut self, old: impl Fn(Duration) -> bool) {
        while self.order.front().is_some_and(|(since, _)| old(*since)) {
            self.pop();
        }
    }

    fn pop(&mut self) {
        if let Some((_, hash)) = self.order.pop_front() {
            self.known.remove(&hash);
        }
    }

    fn hash(&self, channel: &str, id: &str) -> u128 {
        let [high, low] = [0, 1].map(|key: usize| self.keys[key].hash_one((channel, id)));
        u128::from(high) << 64 | u128::from(low)
    }
}
