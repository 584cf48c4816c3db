//! A warning, or a few, at most every so often, with the number of those left out; or one for each
//! of many names. Pure: the time is passed in; the caller does the logging.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use parking_lot::Mutex;

/// Lets one event, or a few, through in each period and counts the others. May be shared by
/// threads.
#[derive(Debug)]
pub struct Every {
    /// How many.
    burst: u32,
    period: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// When the period began, with its first event.
    began: Option<Instant>,
    /// Events of this period that were let through.
    passed: u32,
    left_out: u64,
}

impl Every {
    /// One event in each `period`.
    pub const fn new(period: Duration) -> Self {
        Self::some(1, period)
    }

    /// The first `burst` events of each `period`.
    pub const fn some(burst: u32, period: Duration) -> Self {
        Self {
            burst,
            period,
            state: Mutex::new(State {
                began: None,
                passed: 0,
                left_out: 0,
            }),
        }
    }

    /// Counts an event. `Some(n)`: log it, `n` were left out since the last one; `None`: do not.
    pub fn hit(&self, now: Instant) -> Option<u64> {
        let mut state = self.state.lock();
        let is_new = state
            .began
            .is_none_or(|began| now.saturating_duration_since(began) >= self.period);
        if is_new {
            state.began = Some(now);
            state.passed = 0;
        }
        if state.passed < self.burst {
            state.passed += 1;
            Some(std::mem::take(&mut state.left_out))
        } else {
            state.left_out += 1;
            None
        }
    }
}

/// Lets one event of each key through in each period. May be shared by threads.
///
/// At most 10,000 keys are remembered: names may come from reloaded files for ever. Beyond that,
/// events of further keys are not let through until a period is over.
#[derive(Debug)]
pub struct Each<K> {
    period: Duration,
    passed: Mutex<BTreeMap<K, Instant>>,
}

impl<K: Ord> Each<K> {
    /// One event of each key in each `period`.
    pub const fn new(period: Duration) -> Self {
        Self {
            period,
            passed: Mutex::new(BTreeMap::new()),
        }
    }

    /// One event of each key, ever.
    pub const fn once() -> Self {
        Self::new(Duration::MAX)
    }

    /// Whether to log this one.
    pub fn hit(&self, key: K, now: Instant) -> bool {
        let is_recent = |at: &Instant| now.saturating_duration_since(*at) < self.period;
        let mut passed = self.passed.lock();
        if passed.get(&key).is_some_and(is_recent) {
            return false;
        }
        if passed.len() >= MOST {
            passed.retain(|_, at| is_recent(at));
        }
        let has_room = passed.len() < MOST;
        if has_room {
            passed.insert(key, now);
        }
        has_room
    }
}

/// Keys that one [`Each`] remembers.
const MOST: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_has_its_own_period_and_keys_are_bounded() {
        let (each, once) = (Each::new(Duration::from_mins(1)), Each::once());
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        for (key, seconds, passes) in [(1, 0, true), (1, 59, false), (2, 59, true), (1, 60, true)] {
            assert_eq!(each.hit(key, at(seconds)), passes, "{key} at {seconds}");
        }
        for key in 0..MOST {
            each.hit(key, at(60));
            assert!(once.hit(key, at(0)));
            assert!(!once.hit(key, at(1_000_000)), "{key}");
        }
        assert!(!each.hit(MOST, at(61)), "full");
        assert!(each.hit(MOST, at(120)), "the old ones are forgotten");
        assert!(!once.hit(MOST, at(1_000_000)), "full for ever");
    }

    #[test]
    fn one_in_each_period_and_the_others_are_counted() {
        let every = Every::new(Duration::from_secs(10));
        let start = Instant::now();
        let hit = |seconds| every.hit(start + Duration::from_secs(seconds));
        assert_eq!(hit(0), Some(0));
        assert_eq!(hit(1), None);
        assert_eq!(hit(9), None);
        assert_eq!(hit(10), Some(2));
        assert_eq!(hit(19), None);
        assert_eq!(hit(40), Some(1));
    }

    #[test]
    fn a_few_in_each_period() {
        let every = Every::some(2, Duration::from_secs(10));
        let start = Instant::now();
        let hit = |seconds| every.hit(start + Duration::from_secs(seconds));
        assert_eq!(
            [hit(0), hit(9), hit(9), hit(9)],
            [Some(0), Some(0), None, None]
        );
        assert_eq!([hit(10), hit(19), hit(19)], [Some(2), Some(0), None]);
    }

    #[test]
    fn threads_share_the_count() {
        let every = Every::new(Duration::from_hours(1));
        let now = Instant::now();
        let passed: usize = std::thread::scope(|scope| {
            let workers: Vec<_> = (0..4)
                .map(|_| scope.spawn(|| (0..100).filter(|_| every.hit(now).is_some()).count()))
                .collect();
            workers
                .into_iter()
                .map(|worker| worker.join().unwrap())
                .sum()
        });
        assert_eq!(passed, 1);
        assert_eq!(every.hit(now + Duration::from_hours(1)), Some(399));
    }
}
