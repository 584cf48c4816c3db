//! 'Published, but nobody got it': when the last items of a channel met no subscriber, the log says
//! so, and names the channel that may have been meant. Most often it is the same one with a prefix.
//!
//! To publish to nobody is nothing wrong, so this is told once for a channel, until it has had a
//! subscriber, and seldom for all channels together.

use std::{
    collections::HashMap,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use parking_lot::Mutex;

use super::directory::Directory;
use crate::telemetry::limit::Every;

/// Items in a row that met nobody, by channel.
#[derive(Debug)]
pub(super) struct Unheard {
    channels: Mutex<HashMap<String, u32>>,
    /// There are some: nobody needs the lock to learn that there are none.
    any: AtomicBool,
    every: Every,
}

/// What became of an item that met nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Miss {
    /// Nobody is subscribed to the channel.
    Nobody,
    /// Those who are want another form of items.
    OtherForms,
}

impl Unheard {
    pub(super) fn new() -> Self {
        Self {
            channels: Mutex::default(),
            any: AtomicBool::new(false),
            every: Every::new(PERIOD),
        }
    }

    /// An item of this channel met somebody.
    pub(super) fn heard(&self, channel: &str) {
        if self.any.load(Ordering::Relaxed) {
            let mut channels = self.channels.lock();
            channels.remove(channel);
            self.any.store(!channels.is_empty(), Ordering::Relaxed);
        }
    }

    /// An item of this channel met nobody. Tells of it when that goes on.
    pub(super) fn missed(&self, channel: &str, miss: Miss, directory: &Directory) {
        if let Some(count) = self.count(channel, Instant::now()) {
            let hint = hint(channel, miss, directory);
            tracing::info!(
                channel = shortened(channel),
                "nobody got it: the last {count} items for this channel met no subscriber; {hint}"
            );
        }
    }

    /// `Some(n)`: tell of it, the last n met nobody.
    fn count(&self, channel: &str, now: Instant) -> Option<u32> {
        let mut channels = self.channels.lock();
        if channels.len() >= MOST && !channels.contains_key(channel) {
            channels.clear();
        }
        let count = channels.entry(channel.to_owned()).or_default();
        if *count == TOLD {
            return None;
        }
        *count += 1;
        let found = *count;
        if found >= PATIENCE && self.every.hit(now).is_some() {
            *count = TOLD;
        }
        let is_told = *count == TOLD;
        self.any.store(true, Ordering::Relaxed);
        is_told.then_some(found)
    }
}

fn hint(channel: &str, miss: Miss, directory: &Directory) -> String {
    if miss == Miss::OtherForms {
        return "its subscribers want another form (http-stream, http-response or ws-message)"
            .into();
    }
    let names = directory.names(LOOKED_AT);
    if names.is_empty() {
        return "nobody is subscribed to any channel".into();
    }
    match nearest(channel, names.iter().map(|name| &**name)) {
        Some(name) => format!("did you mean {}?", shortened(name).escape_debug()),
        None => "no channel of a similar name has any".into(),
    }
}

/// The most similar of these names, if one is similar at all: it contains the other, or differs in
/// a letter or two.
fn nearest<'n>(name: &str, names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let rated = names.filter_map(|other| Some((distance(name, other)?, other)));
    rated.min().map(|(_, other)| other)
}

fn distance(name: &str, other: &str) -> Option<(bool, usize)> {
    let difference = name.len().abs_diff(other.len());
    let shorter = name.len().min(other.len());
    if shorter >= SHORTEST && (other.contains(name) || name.contains(other)) {
        return Some((false, difference));
    }
    let most = (shorter / SHORTEST).min(2);
    // Long names take long to compare, and this is on the way of every publish.
    if difference > most || name.len() > COMPARED {
        return None;
    }
    let edits = strsim::osa_distance(name, other);
    (edits <= most).then_some((true, edits))
}

/// A name, cut for the log.
fn shortened(name: &str) -> &str {
    name.char_indices()
        .nth(LONGEST)
        .map_or(name, |(end, _)| &name[..end])
}

/// Items in a row that must meet nobody.
const PATIENCE: u32 = 3;

/// This channel has been told of.
const TOLD: u32 = u32::MAX;

/// Once in this time for all channels together.
const PERIOD: Duration = Duration::from_mins(1);

/// Most channels of which is known that they met nobody, and most that are looked at.
const MOST: usize = 1000;
const LOOKED_AT: usize = 1000;

/// Fewest letters that a name must have in common with another.
const SHORTEST: usize = 3;

/// Most bytes of a name that is compared letter by letter.
const COMPARED: usize = 64;

/// In characters.
const LONGEST: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_contains_it_or_is_nearly_the_same() {
        let names = ["events-test", "my-events-test", "room-1", "rooms", "x"];
        for (name, expected) in [
            ("test", Some("events-test")),
            ("events-test-2", Some("events-test")),
            ("romo-1", Some("room-1")),
            ("room", Some("rooms")),
            ("te", None),
            ("other", None),
            ("y", None),
        ] {
            assert_eq!(nearest(name, names.into_iter()), expected, "{name}");
        }
        let (long, longer) = ("x".repeat(COMPARED), "x".repeat(COMPARED + 1));
        let other = |name: &str| format!("y{}", &name[1..]);
        assert!(nearest(&long, [&*other(&long)].into_iter()).is_some());
        assert_eq!(nearest(&longer, [&*other(&longer)].into_iter()), None);
    }

    #[test]
    fn it_is_told_once_for_a_channel_and_seldom_for_all() {
        let unheard = Unheard::new();
        let start = Instant::now();
        assert_eq!(unheard.count("a", start), None);
        assert_eq!(unheard.count("a", start), None);
        assert_eq!(unheard.count("a", start), Some(3));
        assert_eq!(unheard.count("a", start + PERIOD), None);
        unheard.heard("a");
        for _ in 0..5 {
            assert_eq!(unheard.count("b", start), None, "so soon after another");
        }
        assert_eq!(unheard.count("b", start + PERIOD), Some(6));
        for _ in 0..2 {
            assert_eq!(unheard.count("a", start + PERIOD * 2), None);
        }
        assert_eq!(unheard.count("a", start + PERIOD * 2), Some(3));
    }

    #[test]
    fn channels_are_bounded() {
        let unheard = Unheard::new();
        for number in 0..=MOST * 2 {
            unheard.count(&number.to_string(), Instant::now());
        }
        assert!(unheard.channels.lock().len() <= MOST);
    }
}
