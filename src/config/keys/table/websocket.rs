//! `[websocket]`: compression and keep-alives of WebSockets.

use super::{Key, MS, Slot, WEEK, key};

pub(super) const KEYS: &[Key] = &[
    key(
        "websocket",
        "compression",
        Slot::Bool(|s| &mut s.websocket.compression),
        "compress messages for clients that offer it (permessage-deflate)",
    ),
    key(
        "websocket",
        "keep_alive_min",
        Slot::Time(|s| &mut s.websocket.keep_alive_min, MS, WEEK),
        "least time between requests that only keep a WebSocket over HTTP alive",
    ),
];
