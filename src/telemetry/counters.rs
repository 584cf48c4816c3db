//! Counters of what happened since the start, for the control port's `GET /metrics` and for
//! tests. Each is one atomic, shared by all threads.

use std::sync::atomic::{AtomicU64, Ordering};

/// Something that is counted.
#[derive(Debug)]
pub struct Counter {
    /// Its name in the Prometheus text format.
    pub name: &'static str,
    /// What it counts.
    pub help: &'static str,
    value: AtomicU64,
}

impl Counter {
    const fn new(name: &'static str, help: &'static str) -> Self {
        Self {
            name,
            help,
            value: AtomicU64::new(0),
        }
    }

    /// Counts `more`.
    pub fn add(&self, more: u64) {
        self.value.fetch_add(more, Ordering::Relaxed);
    }

    /// How many so far.
    pub fn get(&self) -> u64 {
        self.value.load(Ordering::Relaxed)
    }
}

/// Connections closed because too much waited for them.
pub static SLOW_CLOSED: Counter = Counter::new(
    "gripd_slow_closed_total",
    "Connections closed because more than limits.connection_buffer waited for them",
);
/// Times that only the newest items of a connection were kept.
pub static SLOW_LATEST: Counter = Counter::new(
    "gripd_slow_latest_total",
    "Times that only the newest item of each channel was kept for a slow connection",
);
/// Times that a connection's backend was asked again because too much waited.
pub static SLOW_RECOVERED: Counter = Counter::new(
    "gripd_slow_recovered_total",
    "Times that what waited for a slow connection was dropped and its backend asked again",
);
/// Connections closed because they took nothing for too long.
pub static SLOW_STALLED: Counter = Counter::new(
    "gripd_slow_stalled_total",
    "Connections closed because they took nothing for timeouts.send while data waited",
);
/// Items that publishers handed in, whatever became of them.
pub static ITEMS: Counter = Counter::new(
    "gripd_items_published_total",
    "Items that publishers handed in, whatever became of them",
);

/// All of them, in the order in which they are shown.
pub static ALL: [&Counter; 5] = [
    &ITEMS,
    &SLOW_CLOSED,
    &SLOW_LATEST,
    &SLOW_RECOVERED,
    &SLOW_STALLED,
];
