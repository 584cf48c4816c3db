//! What is counted: every name, what it means, and how to count it. `GET /metrics` shows it
//! ([`metrics`](super::metrics)).
//!
//! Each thread counts for itself (`core`), so that counting is cheap and disturbs nobody; what the
//! threads have counted is added up when it is read.

use std::time::Duration;

use super::core;

/// Something with one number. The order is that of the page; those with one name stand together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// Items that publishers handed in.
    Items,
    /// Items of which nobody was told, since nobody was subscribed.
    Unheard,
    /// Publishes refused since too much waited.
    PublishesBusy,
    /// Deliveries to long-polls.
    ToResponses,
    /// Deliveries to streams.
    ToStreams,
    /// Deliveries to WebSockets.
    ToSockets,
    /// Long-polls that are held.
    Responses,
    /// Streams that are held.
    Streams,
    /// WebSockets that are held.
    Sockets,
    /// Subscriptions of long-polls.
    OfResponses,
    /// Subscriptions of streams.
    OfStreams,
    /// Subscriptions of WebSockets.
    OfSockets,
    /// Client connections that were accepted.
    Accepted,
    /// Requests of clients, each once, however often it is made again.
    Received,
    /// Requests that wait for a backend to come up.
    Waiting,
    /// Connections closed because too much waited for them.
    SlowClosed,
    /// Times that only the newest items of a connection were kept.
    SlowLatest,
    /// Times that a connection's backend was asked again because too much waited.
    SlowRecovered,
    /// Connections closed because they took nothing for too long.
    SlowStalled,
}

/// How a number moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Up only.
    Counter,
    /// Up and down.
    Gauge,
}

/// A line of the table.
#[derive(Debug)]
pub struct About {
    /// What it is about.
    pub count: Count,
    /// Its name in the Prometheus text format.
    pub name: &'static str,
    /// Its label there, with its value; empty: none.
    pub label: &'static str,
    /// How it moves.
    pub kind: Kind,
    /// What it counts.
    pub help: &'static str,
}

/// Numbers of one name, told apart by a label with few values, which are words of gripd's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    /// Requests by the class of their status.
    Requests,
    /// Holds by what ended them.
    HoldsEnded,
    /// Recoveries by what asked for them.
    Recoveries,
    /// Items that reached nobody although they might have, by the cause.
    Dropped,
}

impl Count {
    /// Counts `more`.
    pub fn add(self, more: u64) {
        core::with(|core| core.add(self, more));
    }

    /// Of a gauge: counts `less` down.
    pub fn sub(self, less: u64) {
        self.add(less.wrapping_neg());
    }

    /// How many so far, or now.
    pub fn get(self) -> u64 {
        core::sum(|core| core.get(self))
    }
}

impl Family {
    /// All of them, in the order of the page.
    pub const ALL: [Self; 4] = [
        Self::Requests,
        Self::HoldsEnded,
        Self::Recoveries,
        Self::Dropped,
    ];

    /// Counts one.
    pub fn add(self, value: &'static str) {
        core::with(|core| core.add_labelled(self, value));
    }

    /// Name, name of the label, what is counted.
    pub fn about(self) -> [&'static str; 3] {
        match self {
            Self::Requests => [
                "gripd_requests_total",
                "status",
                "Requests of clients by the class of their status; held: its answer came later; \
                 none: it ended before there was any",
            ],
            Self::HoldsEnded => [
                "gripd_holds_ended_total",
                "cause",
                "Holds that are over, by what ended them",
            ],
            Self::Recoveries => [
                "gripd_recoveries_total",
                "why",
                "Times that a backend was asked again for a held client",
            ],
            Self::Dropped => [
                "gripd_items_dropped_total",
                "cause",
                "Items that were left out for a channel or a subscriber",
            ],
        }
    }
}

/// Notes how long an item took from its publish to the last write of it.
pub fn delivered(after: Duration) {
    core::with(|core| core.delivery.note(after));
}

/// Notes how long a backend took from the request to the head of its answer.
pub fn answered(route: &str, after: Duration) {
    core::with(|core| core.upstream(route, |one| one.times.note(after)));
}

/// Notes that a backend gave no answer of use, and in a word why.
pub fn unanswered(route: &str, cause: &'static str) {
    core::with(|core| core.upstream(route, |one| *one.errors.entry(cause).or_default() += 1));
}

/// The histogram of [`delivered`]: name, what it tells.
pub const DELIVERY: [&str; 2] = [
    "gripd_delivery_seconds",
    "From the publish of an item to the last write of it, in seconds",
];
/// The histogram of [`answered`]: name, what it tells.
pub const UPSTREAM: [&str; 2] = [
    "gripd_upstream_seconds",
    "From a request to the head of its backend's answer, in seconds, by route",
];
/// The counter of [`unanswered`]: name, what it counts.
pub const UPSTREAM_ERRORS: [&str; 2] = [
    "gripd_upstream_errors_total",
    "Requests to which the backends of a route gave no answer of use, by the cause",
];
/// Open client connections: name, what it counts.
pub const CONNECTIONS: [&str; 2] = ["gripd_connections", "Client connections that are open"];
/// Lines of the log that were lost: name, what it counts.
pub const LINES_LOST: [&str; 2] = [
    "gripd_log_lines_lost_total",
    "Lines of the log that came faster than they could be written",
];
/// Channels: name, what it counts.
pub const CHANNELS: [&str; 2] = [
    "gripd_channels",
    "Channels with subscribers now, and those that linger",
];
/// Items in inboxes: name, what it counts.
pub const QUEUED_ITEMS: [&str; 2] = [
    "gripd_queue_items",
    "Items that wait to be delivered, one for each core with subscribers",
];
/// Bytes in inboxes: name, what it counts.
pub const QUEUED_BYTES: [&str; 2] = [
    "gripd_queue_bytes",
    "Bytes that are published and not yet taken by every core (limits.publish_buffer)",
];

/// Every [`Count`], in its order.
pub const TABLE: &[About] = &[
    counter(
        Count::Items,
        "gripd_items_published_total",
        "Items that publishers handed in, whatever became of them",
    ),
    counter(
        Count::Unheard,
        "gripd_items_unheard_total",
        "Items for a channel to which nobody was subscribed",
    ),
    counter(
        Count::PublishesBusy,
        "gripd_publishes_refused_total",
        "Publishes that were refused since too much waited (limits.publish_buffer)",
    ),
    counter(Count::ToResponses, DELIVERIES, DELIVERIES_HELP).of("kind=\"response\""),
    counter(Count::ToStreams, DELIVERIES, DELIVERIES_HELP).of("kind=\"stream\""),
    counter(Count::ToSockets, DELIVERIES, DELIVERIES_HELP).of("kind=\"websocket\""),
    gauge(Count::Responses, HOLDS, HOLDS_HELP).of("kind=\"response\""),
    gauge(Count::Streams, HOLDS, HOLDS_HELP).of("kind=\"stream\""),
    gauge(Count::Sockets, HOLDS, HOLDS_HELP).of("kind=\"websocket\""),
    gauge(Count::OfResponses, SUBSCRIPTIONS, SUBSCRIPTIONS_HELP).of("kind=\"response\""),
    gauge(Count::OfStreams, SUBSCRIPTIONS, SUBSCRIPTIONS_HELP).of("kind=\"stream\""),
    gauge(Count::OfSockets, SUBSCRIPTIONS, SUBSCRIPTIONS_HELP).of("kind=\"websocket\""),
    counter(
        Count::Accepted,
        "gripd_connections_accepted_total",
        "Client connections that were accepted",
    ),
    counter(
        Count::Received,
        "gripd_requests_received_total",
        "Requests of clients, each once, however often it is made again",
    ),
    gauge(
        Count::Waiting,
        "gripd_requests_waiting",
        "Requests for event streams that wait for a backend to come up (timeouts.connect_wait)",
    ),
    counter(
        Count::SlowClosed,
        "gripd_slow_closed_total",
        "Connections closed because more than limits.connection_buffer waited for them",
    ),
    counter(
        Count::SlowLatest,
        "gripd_slow_latest_total",
        "Times that only the newest item of each channel was kept for a slow connection",
    ),
    counter(
        Count::SlowRecovered,
        "gripd_slow_recovered_total",
        "Times that what waited for a slow connection was dropped and its backend asked again",
    ),
    counter(
        Count::SlowStalled,
        "gripd_slow_stalled_total",
        "Connections closed because they took nothing for timeouts.send while data waited",
    ),
];

const DELIVERIES: &str = "gripd_deliveries_total";
const DELIVERIES_HELP: &str = "Items that were handed to a held client, by its kind";
const HOLDS: &str = "gripd_holds";
const HOLDS_HELP: &str = "Held clients, by their kind";
const SUBSCRIPTIONS: &str = "gripd_subscriptions";
const SUBSCRIPTIONS_HELP: &str = "Subscriptions of held clients, by their kind";

const fn counter(count: Count, name: &'static str, help: &'static str) -> About {
    About {
        count,
        name,
        label: "",
        kind: Kind::Counter,
        help,
    }
}

const fn gauge(count: Count, name: &'static str, help: &'static str) -> About {
    About {
        kind: Kind::Gauge,
        ..counter(count, name, help)
    }
}

impl About {
    const fn of(self, label: &'static str) -> Self {
        Self { label, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_count_has_its_line() {
        for (index, about) in TABLE.iter().enumerate() {
            assert_eq!(about.count as usize, index, "{}", about.name);
        }
        assert_eq!(Count::SlowStalled as usize + 1, TABLE.len());
    }
}
