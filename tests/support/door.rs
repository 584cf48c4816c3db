//! A door in a backend: requests wait behind it until the test lets them through.

use std::sync::{Arc, Condvar, Mutex};

use super::{PATIENCE, eventually};

/// Shut until it is opened.
#[derive(Debug, Default)]
pub(crate) struct Door {
    state: Mutex<State>,
    moved: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// How many came so far.
    came: usize,
    /// How many may have gone through.
    may: usize,
}

impl Door {
    /// A shut door, for the test and its backend.
    pub(crate) fn shut() -> Arc<Self> {
        Arc::default()
    }

    /// Waits until this one may go through. Whoever comes first goes first.
    pub(crate) fn pass(&self) {
        let mut state = self.state.lock().unwrap();
        state.came += 1;
        let own = state.came;
        let _ = self
            .moved
            .wait_timeout_while(state, PATIENCE, |state| state.may < own);
    }

    /// Waits until so many came, whether or not they are through.
    pub(crate) fn wait_came(&self, n: usize) {
        eventually(&format!("{n} requests at the door"), || self.came() >= n);
    }

    /// How many came so far.
    pub(crate) fn came(&self) -> usize {
        self.state.lock().unwrap().came
    }

    /// Lets one more through.
    pub(crate) fn let_one(&self) {
        self.state.lock().unwrap().may += 1;
        self.moved.notify_all();
    }

    /// Lets everybody through from now on.
    pub(crate) fn open(&self) {
        self.state.lock().unwrap().may = usize::MAX;
        self.moved.notify_all();
    }
}
