//! The channels' clock: which channel waits for which time. One task tells them; what comes of it
//! goes through the same door as what is published.

use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::{
    directory::Channel,
    wheel::{Millis, Wheel},
};

/// Times that channels wait for.
#[derive(Debug, Default)]
pub(super) struct Clock {
    wheel: Mutex<Wheel<Weak<Channel>>>,
    /// Something is due sooner than was known.
    pub(super) news: Notify,
}

impl Clock {
    /// Tells `channel` at `due`, or a little later.
    pub(super) fn arm(&self, due: Millis, channel: &Arc<Channel>) {
        let mut wheel = self.wheel.lock();
        let sooner = wheel.next().is_none_or(|next| due < next);
        wheel.arm(due, Arc::downgrade(channel));
        drop(wheel);
        if sooner {
            self.news.notify_one();
        }
    }

    /// The channels whose time has come, of those that are still there.
    pub(super) fn due(&self, now: Millis) -> Vec<Arc<Channel>> {
        let due = self.wheel.lock().due(now);
        due.iter().filter_map(Weak::upgrade).collect()
    }

    /// When the next one's time comes.
    pub(super) fn next(&self) -> Option<Millis> {
        self.wheel.lock().next()
    }
}
