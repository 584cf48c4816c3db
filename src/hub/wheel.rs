//! A coarse timer wheel: what is due by a given time, in steps of 64 ms.
//!
//! It is re-armed lazily: whoever is told looks whether it is really due, and if not, says when to
//! be told again. So traffic only notes the time and never moves a timer.

use std::{collections::BTreeMap, time::Duration};

/// Milliseconds since the hub began.
pub(super) type Millis = u64;

/// A time in whole milliseconds; one too long to count is the longest there is.
pub(super) fn millis(time: Duration) -> Millis {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Who is told when. `T` is small: a slot and its serial number.
#[derive(Debug)]
pub(super) struct Wheel<T> {
    steps: BTreeMap<u64, Vec<T>>,
}

impl<T> Default for Wheel<T> {
    fn default() -> Self {
        Self {
            steps: BTreeMap::new(),
        }
    }
}

impl<T> Wheel<T> {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// Tells `whom` at `due` or up to one step later, never before.
    pub(super) fn arm(&mut self, due: Millis, whom: T) {
        self.steps.entry(due.div_ceil(STEP)).or_default().push(whom);
    }

    /// Everything due by `now`, in order of time.
    pub(super) fn due(&mut self, now: Millis) -> Vec<T> {
        let mut due = Vec::new();
        while let Some(step) = self.steps.first_entry() {
            if *step.key() > now / STEP {
                break;
            }
            due.append(&mut step.remove());
        }
        due
    }

    /// When something is due next.
    pub(super) fn next(&self) -> Option<Millis> {
        self.steps.first_key_value().map(|(step, _)| step * STEP)
    }
}

const STEP: Millis = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_never_early_and_at_most_one_step_late() {
        let mut wheel = Wheel::new();
        wheel.arm(100, 'a');
        wheel.arm(64, 'b');
        wheel.arm(129, 'c');
        assert_eq!(wheel.next(), Some(64));
        assert_eq!(wheel.due(63), []);
        assert_eq!(wheel.due(127), ['b']);
        assert_eq!(wheel.due(128), ['a']);
        assert_eq!(wheel.next(), Some(192));
        assert_eq!(wheel.due(10_000), ['c']);
        assert_eq!(wheel.next(), None);
    }
}
