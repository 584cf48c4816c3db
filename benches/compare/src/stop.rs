//! When to stop: a signal came, or the run's time is up.
//!
//! Every loop of the load generator asks [`Stop::check`] at least ten times a second, so that an
//! interrupted run unwinds through its `Drop`s, which end the servers it started.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

/// Shared by everything that loops or waits.
#[derive(Clone, Debug)]
pub struct Stop {
    signalled: Arc<AtomicBool>,
    deadline: Instant,
}

/// Why nothing more is measured. Told from a failure: what was measured so far is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// The time given with `--minutes` is up.
    Late,
    /// SIGHUP, SIGINT or SIGTERM.
    Signal,
}

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Late => "the time given to the run is up",
            Self::Signal => "interrupted",
        })
    }
}

impl std::error::Error for Stopped {}

impl Stop {
    /// Watches for signals; the run may last `limit` from now.
    ///
    /// # Errors
    /// The signal handlers cannot be set.
    pub fn watch(limit: Duration) -> Result<Self> {
        let signalled = Arc::new(AtomicBool::new(false));
        for signal in [SIGHUP, SIGINT, SIGTERM] {
            signal_hook::flag::register(signal, Arc::clone(&signalled))?;
        }
        Ok(Self {
            signalled,
            deadline: Instant::now() + limit,
        })
    }

    /// Goes on, or tells why not.
    ///
    /// # Errors
    /// [`Stopped`].
    pub fn check(&self) -> Result<()> {
        if self.signalled.load(Ordering::Relaxed) {
            bail!(Stopped::Signal);
        }
        if Instant::now() >= self.deadline {
            bail!(Stopped::Late);
        }
        Ok(())
    }

    /// Waits for `time`, in short steps.
    ///
    /// # Errors
    /// [`Stopped`].
    pub fn pause(&self, time: Duration) -> Result<()> {
        let end = Instant::now() + time;
        loop {
            self.check()?;
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            thread::sleep(left.min(Duration::from_millis(100)));
        }
    }
}
