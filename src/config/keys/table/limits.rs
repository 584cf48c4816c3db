//! `[limits]`: how much there may be of what.

use super::{GIB, KIB, Key, LONGEST_TARGET, MANY, MIB, Slot, key};

pub(super) const KEYS: &[Key] = &[
    key(
        "limits",
        "request_head",
        Slot::Bytes(|s| &mut s.limits.request_head, KIB, 16 * MIB),
        "most bytes of a client request's head",
    ),
    key(
        "limits",
        "request_target",
        Slot::Bytes(|s| &mut s.limits.request_target, 256, LONGEST_TARGET),
        "most bytes of a client request's target; at most 65534, the HTTP library's own limit",
    ),
    key(
        "limits",
        "request_headers",
        Slot::Count(|s| &mut s.limits.request_headers, 8, 4096),
        "most headers of a client request",
    ),
    key(
        "limits",
        "response_head",
        Slot::Bytes(|s| &mut s.limits.response_head, 8 * KIB, 16 * MIB),
        "most bytes of a backend response's head",
    ),
    key(
        "limits",
        "response_headers",
        Slot::Count(|s| &mut s.limits.response_headers, 8, 4096),
        "most headers of a backend response; more than 100 make each response a little dearer",
    ),
    key(
        "limits",
        "request_body",
        Slot::Body(|s| &mut s.limits.request_body),
        "most bytes of a client's request body; 0: no limit",
    ),
    key(
        "limits",
        "connections",
        Slot::Count(|s| &mut s.limits.connections, 0, MANY),
        "most client connections at once; 0: what the open-file limit allows",
    ),
    key(
        "limits",
        "streams",
        Slot::Count(|s| &mut s.limits.streams, 1, 100_000),
        "most requests at once on one HTTP/2 connection, held ones with them",
    ),
    key(
        "limits",
        "connect_waiters",
        Slot::Count(|s| &mut s.limits.connect_waiters, 0, MANY),
        "most clients that wait for a backend at once (timeouts.connect_wait); more get 502 at once",
    ),
    key(
        "limits",
        "connection_buffer",
        Slot::Bytes(|s| &mut s.limits.connection_buffer, KIB, GIB),
        "most bytes waiting for one held connection",
    ),
    key(
        "limits",
        "publish_buffer",
        Slot::Bytes(|s| &mut s.limits.publish_buffer, MIB, 64 * GIB),
        "most bytes published and not yet taken by every shard",
    ),
    key(
        "limits",
        "early_bytes",
        Slot::Bytes(|s| &mut s.limits.early_bytes, 0, MIB),
        "most bytes a client may send ahead while its request is held",
    ),
    key(
        "limits",
        "idle_upstream",
        Slot::Count(|s| &mut s.limits.idle_upstream, 0, 100_000),
        "idle connections kept to one target, per thread",
    ),
    key(
        "limits",
        "websocket_message",
        Slot::Bytes(|s| &mut s.limits.websocket_message, KIB, GIB),
        "most bytes of one WebSocket message of a client, and of those that wait for its backend",
    ),
    key(
        "limits",
        "websocket_answer",
        Slot::Bytes(|s| &mut s.limits.websocket_answer, KIB, GIB),
        "most bytes of a backend's answer to a WebSocket over HTTP, and of a message that it sends itself",
    ),
];
