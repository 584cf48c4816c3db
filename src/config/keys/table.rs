//! The settings, one by one: a file for each section.

mod control;
mod grip;
mod limits;
mod listen;
mod log;
mod metrics;
mod proxy;
mod routes;
mod timeouts;
mod tls;
mod websocket;

use std::time::Duration;

use super::{Key, Slot, key};

const MS: Duration = Duration::from_millis(1);
const ZERO: Duration = Duration::ZERO;
/// A week: far above any sensible timeout, far below what a timer can hold.
const WEEK: Duration = Duration::from_hours(7 * 24);
const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;
const GIB: usize = 1 << 30;
/// The longest target the HTTP library (`http::Uri`) can hold.
const LONGEST_TARGET: usize = (u16::MAX - 1) as usize;
const MANY: usize = 100_000_000;

/// Every key, section by section.
pub(super) const SECTIONS: &[&[Key]] = &[
    TOP,
    listen::KEYS,
    tls::KEYS,
    control::KEYS,
    routes::KEYS,
    proxy::KEYS,
    grip::KEYS,
    limits::KEYS,
    timeouts::KEYS,
    websocket::KEYS,
    log::KEYS,
    metrics::KEYS,
];

/// What belongs to no section.
const TOP: &[Key] = &[key(
    "",
    "threads",
    Slot::Count(|s| &mut s.threads, 0, 1024),
    "worker threads; 0: one for each core the process may use",
)];
