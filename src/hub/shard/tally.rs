//! What a shard counts of its subscribers, by their kind.

use crate::{grip::instruct::Mode, telemetry::counters::Count};

/// The gauge of holds of a kind.
pub(super) fn holds(mode: Mode) -> Count {
    match mode {
        Mode::Response => Count::Responses,
        Mode::Stream => Count::Streams,
        Mode::Message => Count::Sockets,
    }
}

/// The gauge of their subscriptions.
pub(super) fn subscriptions(mode: Mode) -> Count {
    match mode {
        Mode::Response => Count::OfResponses,
        Mode::Stream => Count::OfStreams,
        Mode::Message => Count::OfSockets,
    }
}

/// Counts deliveries.
pub(super) fn delivered(mode: Mode, count: u64) {
    let to = match mode {
        Mode::Response => Count::ToResponses,
        Mode::Stream => Count::ToStreams,
        Mode::Message => Count::ToSockets,
    };
    to.add(count);
}
