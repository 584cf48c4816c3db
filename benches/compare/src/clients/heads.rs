//! The requests of a fleet: the same for all, or with a number in each.

use std::borrow::Cow;

use crate::wire::Hold;

/// What the clients of a [fleet](super::Fleet) send.
#[derive(Debug)]
pub(super) struct Heads {
    hold: Hold,
    /// The number of the first client.
    first: usize,
    /// That of client 0, and of all if they have no numbers.
    same: Vec<u8>,
}

impl Heads {
    /// Those of clients that are to be held like `hold`.
    pub(super) fn new(hold: Hold) -> Self {
        let same = hold.browser_head(0);
        let first = 0;
        Self { hold, first, same }
    }

    /// The first client has this number.
    pub(super) fn from(self, first: usize) -> Self {
        Self { first, ..self }
    }

    /// That of the client in this place.
    pub(super) fn of(&self, place: usize) -> Cow<'_, [u8]> {
        if self.hold.is_numbered() {
            Cow::Owned(self.hold.browser_head(self.first + place))
        } else {
            Cow::Borrowed(&self.same)
        }
    }
}
