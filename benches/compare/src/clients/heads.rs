//! The requests of a fleet: the same for all, or with a number in each.

use std::{borrow::Cow, rc::Rc};

use anyhow::Result;

use crate::{http2::Head, wire::Hold};

/// What the clients of a [fleet](super::Fleet) send.
#[derive(Debug)]
pub(super) struct Heads {
    hold: Hold,
    /// The number of the first client.
    first: usize,
    /// That of client 0, and of all if they have no numbers.
    same: Vec<u8>,
    /// That of all as HTTP/2 has it, if they speak that.
    http2: Option<Rc<Head>>,
}

impl Heads {
    /// Those of clients that are to be held like `hold`.
    ///
    /// # Errors
    /// HTTP/2 cannot say it.
    pub(super) fn new(hold: Hold) -> Result<Self> {
        let same = hold.browser_head(0);
        let http2 = hold.http2().map(|_| Head::of(&same)).transpose()?;
        Ok(Self {
            hold,
            first: 0,
            same,
            http2: http2.map(Rc::new),
        })
    }

    /// The first client has this number.
    pub(super) fn from(self, first: usize) -> Self {
        Self { first, ..self }
    }

    /// That of all clients, if they speak HTTP/2.
    pub(super) fn http2(&self) -> Option<Rc<Head>> {
        self.http2.clone()
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
