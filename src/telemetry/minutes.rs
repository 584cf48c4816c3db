//! For how many minutes clients have been connected, all together: a number of Pushpin's, in which
//! a minute that has begun counts as one. It is told without a timer and without a list of
//! connections.
//!
//! A connection that began at the second `60 q + r` has begun `Q - q + 1` minutes by the second
//! `60 Q + R`, or one less while `R < r`. So for all that are open together it is enough to know how
//! many there are, the sum of their `q`, and how many have which `r`.

use std::{sync::LazyLock, time::Instant};

use super::{core, counters::Count};

/// The connections of one thread.
#[derive(Debug)]
pub(super) struct Minutes {
    open: u64,
    /// The sum of the minutes in which the open ones began.
    began: u64,
    /// Open ones by the second of the minute in which they began.
    by_second: [u64; 60],
    /// Minutes of those that are closed.
    closed: u64,
}

impl Minutes {
    fn open(&mut self, now: u64) {
        self.open = self.open.wrapping_add(1);
        self.began = self.began.wrapping_add(now / 60);
        let second = &mut self.by_second[second(now)];
        *second = second.wrapping_add(1);
    }

    fn close(&mut self, began: u64, now: u64) {
        self.open = self.open.wrapping_sub(1);
        self.began = self.began.wrapping_sub(began / 60);
        let second = &mut self.by_second[second(began)];
        *second = second.wrapping_sub(1);
        self.closed += now.saturating_sub(began) / 60 + 1;
    }

    /// Adds those of another thread.
    pub(super) fn add(&mut self, other: &Self) {
        self.open = self.open.wrapping_add(other.open);
        self.began = self.began.wrapping_add(other.began);
        for (own, more) in self.by_second.iter_mut().zip(other.by_second) {
            *own = own.wrapping_add(more);
        }
        self.closed += other.closed;
    }

    fn at(&self, now: u64) -> u64 {
        let complete = self.open.wrapping_mul(now / 60).wrapping_sub(self.began);
        let begun = self.by_second[..=second(now)].iter();
        let begun = begun.fold(0u64, |sum, more| sum.wrapping_add(*more));
        self.closed.wrapping_add(complete).wrapping_add(begun)
    }
}

impl Default for Minutes {
    fn default() -> Self {
        Self {
            open: 0,
            began: 0,
            by_second: [0; 60],
            closed: 0,
        }
    }
}

/// A client's connection, counted for as long as this lives.
#[derive(Debug)]
pub struct Connection {
    /// In seconds since the first one.
    began: u32,
}

impl Connection {
    /// One more.
    pub fn open() -> Self {
        let began = seconds();
        Count::Accepted.add(1);
        core::with(|core| core.minutes.lock().open(began.into()));
        Self { began }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let (began, now) = (self.began.into(), seconds().into());
        core::with(|core| core.minutes.lock().close(began, now));
    }
}

/// Open connections, and the minutes of all connections so far.
pub(super) fn connections() -> (u64, u64) {
    let mut all = Minutes::default();
    core::each(|core| all.add(&core.minutes.lock()));
    (all.open, all.at(seconds().into()))
}

fn seconds() -> u32 {
    u32::try_from(START.elapsed().as_secs()).unwrap_or(u32::MAX)
}

fn second(seconds: u64) -> usize {
    usize::try_from(seconds % 60).unwrap_or_default()
}

static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// The five names of Pushpin's, to which a prefix may be set.
pub(super) fn of_pushpin() -> [(&'static str, &'static str, &'static str, u64); 5] {
    let (open, minutes) = connections();
    let sent = [Count::ToResponses, Count::ToStreams, Count::ToSockets];
    let sent = sent.into_iter().map(Count::get).sum();
    [
        (
            "request_received",
            "counter",
            "Number of requests received",
            Count::Received.get(),
        ),
        (
            "connection_connected",
            "gauge",
            "Number of concurrent connections",
            open,
        ),
        (
            "connection_minute",
            "counter",
            "Number of minutes clients have been connected",
            minutes,
        ),
        (
            "message_received",
            "counter",
            "Number of messages received by the publish API",
            Count::Items.get(),
        ),
        (
            "message_sent",
            "counter",
            "Number of messages sent to clients",
            sent,
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_that_has_begun_counts() {
        let mut minutes = Minutes::default();
        minutes.open(59);
        minutes.open(130);
        for (now, expected) in [(130, 3), (178, 3), (179, 4), (189, 4), (190, 5), (250, 7)] {
            assert_eq!(minutes.at(now), expected, "at {now}");
        }
        minutes.close(59, 250);
        assert_eq!(minutes.at(250), 7);
        minutes.close(130, 251);
        assert_eq!(minutes.at(10_000), 7);
        assert_eq!(minutes.open, 0);
    }

    #[test]
    fn a_connection_may_be_closed_by_another_thread() {
        let (mut one, mut other) = (Minutes::default(), Minutes::default());
        one.open(70);
        other.close(70, 200);
        let mut all = Minutes::default();
        all.add(&one);
        all.add(&other);
        assert_eq!((all.open, all.at(500)), (0, 3));
    }
}
