//! What is measured, and how much of it.

use std::time::Duration;

use crate::{proxying::Proxying, servers::Kind, wire::Hold};

/// Larger numbers of clients are measured of the common kinds only.
const OTHERS_UP_TO: usize = 5000;

/// How much is measured.
#[derive(Clone, Debug)]
pub struct Load {
    /// Numbers of clients, rising.
    pub sizes: Vec<usize>,
    /// Largest number of clients for bursts; of WebSockets, in which every server writes each item
    /// by itself, a fifth of that.
    pub burst_up_to: usize,
    /// Fewest publishes at each size.
    pub rounds: u32,
    /// Bursts of large items that a reader which does not read is to miss.
    pub slow_bursts: u32,
    /// Publishes go on for this long.
    pub time: Duration,
}

impl Load {
    /// Numbers of clients of a kind: all sizes of those that every server holds in the same way, of
    /// others those up to 5,000, at least the first.
    pub fn sizes(&self, hold: Hold) -> &[usize] {
        let few = self.sizes.partition_point(|size| *size <= OTHERS_UP_TO);
        match hold {
            Hold::Stream | Hold::LongPoll | Hold::WebSocket | Hold::Compressed => &self.sizes,
            Hold::Own | Hold::Secure | Hold::Http2 | Hold::Http2Shared | Hold::Rooms => {
                &self.sizes[..few.max(1).min(self.sizes.len())]
            }
        }
    }

    /// Are there bursts for so many clients of a kind?
    pub fn bursts(&self, hold: Hold, clients: usize) -> bool {
        let most = if hold.is_socket() {
            self.burst_up_to / 5
        } else {
            self.burst_up_to
        };
        clients <= most && !matches!(hold, Hold::Compressed | Hold::Rooms)
    }

    /// The number of clients for exchanges, whose cost hardly depends on it.
    pub fn smallest(&self) -> usize {
        self.sizes.first().copied().unwrap_or(0)
    }
}

/// What is measured in one run of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Part {
    /// Memory and set-up.
    Held(Hold),
    /// Deliveries.
    Delivery(Hold),
    /// Round trips of WebSockets, or cycles of long-polls.
    Exchange(Hold),
    /// Publishing to many channels that have one subscriber each, and to nobody.
    Channels,
    /// Deliveries beside a reader that does not read.
    Slow,
    /// Requests that are only passed on.
    Proxy(Proxying),
}

impl Part {
    /// All, in the order of a pass. Browsers always offer compression, so idle WebSockets do.
    pub const ALL: [Self; 23] = [
        Self::Held(Hold::Stream),
        Self::Held(Hold::LongPoll),
        Self::Held(Hold::Compressed),
        Self::Delivery(Hold::Stream),
        Self::Delivery(Hold::WebSocket),
        Self::Delivery(Hold::Compressed),
        Self::Held(Hold::Secure),
        Self::Delivery(Hold::Secure),
        // What a connection takes is told from both: the second looks for what the first found.
        Self::Held(Hold::Http2Shared),
        Self::Held(Hold::Http2),
        Self::Delivery(Hold::Http2Shared),
        Self::Delivery(Hold::Http2),
        Self::Held(Hold::Rooms),
        Self::Delivery(Hold::Rooms),
        Self::Exchange(Hold::LongPoll),
        Self::Exchange(Hold::WebSocket),
        Self::Channels,
        Self::Slow,
        Self::Proxy(Proxying::Page),
        Self::Proxy(Proxying::Logged),
        Self::Proxy(Proxying::Download),
        Self::Proxy(Proxying::Upload),
        Self::Proxy(Proxying::Beside),
    ];

    /// Of whom; none of requests that are only passed on.
    pub fn hold(self) -> Option<Hold> {
        match self {
            Self::Held(hold) | Self::Delivery(hold) | Self::Exchange(hold) => Some(hold),
            Self::Channels => Some(Hold::Own),
            Self::Slow => Some(Hold::Stream),
            Self::Proxy(_) => None,
        }
    }

    /// Does gripd write a line for each request? Other proxies do not where only that is compared.
    pub fn logs(self) -> bool {
        matches!(self, Self::Proxy(Proxying::Logged)) || self.hold().is_some()
    }

    /// Can it be measured of `kind`? The floor has no backend, so of requests to pass on it can only
    /// answer small ones by itself.
    pub fn suits(self, kind: Kind) -> bool {
        match self {
            Self::Delivery(Hold::Compressed) => kind.compresses(),
            // The floor has no TLS, and Pushpin's is another program's.
            Self::Held(Hold::Secure)
            | Self::Delivery(Hold::Secure)
            | Self::Proxy(Proxying::Beside | Proxying::Logged) => kind == Kind::Gripd,
            // Neither speaks HTTP/2.
            Self::Held(Hold::Http2 | Hold::Http2Shared)
            | Self::Delivery(Hold::Http2 | Hold::Http2Shared) => {
                matches!(kind, Kind::Gripd | Kind::Nchan)
            }
            // Nchan asks no backend, so it has no exchanges; it holds long-polls in its own way.
            Self::Held(Hold::Stream | Hold::Compressed)
            | Self::Delivery(Hold::Stream | Hold::WebSocket)
            | Self::Channels => kind.grips() || kind == Kind::Nchan,
            // It takes no bursts either.
            Self::Held(_) | Self::Delivery(_) | Self::Exchange(_) | Self::Slow => kind.grips(),
            Self::Proxy(Proxying::Page) => kind != Kind::Nchan,
            Self::Proxy(Proxying::Download | Proxying::Upload) => {
                !matches!(kind, Kind::Floor | Kind::Nchan)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_kinds_have_the_largest_sizes() {
        let sizes = |sizes: &[usize], hold| {
            let load = Load {
                sizes: sizes.to_vec(),
                burst_up_to: 0,
                rounds: 1,
                slow_bursts: 1,
                time: Duration::ZERO,
            };
            load.sizes(hold).to_vec()
        };
        let all = [1000, 5000, 15_000];
        assert_eq!(sizes(&all, Hold::Stream), all);
        assert_eq!(sizes(&all, Hold::LongPoll), all);
        assert_eq!(sizes(&all, Hold::Secure), all[..2]);
        assert_eq!(sizes(&all[2..], Hold::Own), all[2..]);
    }
}
