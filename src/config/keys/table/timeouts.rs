//! `[timeouts]`: how long things may take.

use super::{Key, MS, Slot, WEEK, ZERO, key};

pub(super) const KEYS: &[Key] = &[
    key(
        "timeouts",
        "connect",
        Slot::Time(|s| &mut s.timeouts.connect, MS, WEEK),
        "until a target accepts a connection",
    ),
    key(
        "timeouts",
        "connect_wait",
        Slot::Time(|s| &mut s.timeouts.connect_wait, ZERO, WEEK),
        "how long clients of event streams wait for a backend to come up, before they get 502; 0: not",
    ),
    key(
        "timeouts",
        "target_wait",
        Slot::Time(|s| &mut s.timeouts.target_wait, ZERO, WEEK),
        "how long a request waits for a target that has its max_connections, before it gets 503",
    ),
    key(
        "timeouts",
        "target_rest",
        Slot::Time(|s| &mut s.timeouts.target_rest, ZERO, WEEK),
        "how long a target that failed is asked last, on routes with balance or check",
    ),
    key(
        "timeouts",
        "target_check",
        Slot::Time(|s| &mut s.timeouts.target_check, MS, WEEK),
        "between two checks of a target (route option check), and the most that one may take",
    ),
    key(
        "timeouts",
        "response",
        Slot::Time(|s| &mut s.timeouts.response, MS, WEEK),
        "until a backend's response head is there",
    ),
    key(
        "timeouts",
        "idle",
        Slot::Time(|s| &mut s.timeouts.idle, MS, WEEK),
        "between two pieces of a body",
    ),
    key(
        "timeouts",
        "request_head",
        Slot::Time(|s| &mut s.timeouts.request_head, MS, WEEK),
        "from a request's first byte to the end of its head",
    ),
    key(
        "timeouts",
        "keep_alive",
        Slot::Time(|s| &mut s.timeouts.keep_alive, MS, WEEK),
        "between two requests of a client's connection",
    ),
    key(
        "timeouts",
        "idle_upstream",
        Slot::Time(|s| &mut s.timeouts.idle_upstream, ZERO, WEEK),
        "idle connections to backends are closed after this",
    ),
    key(
        "timeouts",
        "send",
        Slot::Time(|s| &mut s.timeouts.send, MS, WEEK),
        "how long a held client may take nothing while data waits for it",
    ),
    key(
        "timeouts",
        "publish",
        Slot::Time(|s| &mut s.timeouts.publish, ZERO, WEEK),
        "how long a publish waits for room, and for publish_rate, before it is refused with 503",
    ),
    key(
        "timeouts",
        "peer_gone",
        Slot::Time(|s| &mut s.timeouts.peer_gone, MS, WEEK),
        "until a peer that no longer answers counts as gone",
    ),
    key(
        "timeouts",
        "drain",
        Slot::Time(|s| &mut s.timeouts.drain, ZERO, WEEK),
        "how long running requests may take at shutdown; held ones are ended one after the other",
    ),
    key(
        "timeouts",
        "reconnect",
        Slot::Time(|s| &mut s.timeouts.reconnect, ZERO, WEEK),
        "about when clients are told to come back: of event streams at shutdown (retry:), of 502, 503 and 504 (Retry-After); 0: no word",
    ),
];
