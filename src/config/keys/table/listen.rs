//! `[listen]`: where clients connect.

use super::{Key, Slot, key};

pub(super) const KEYS: &[Key] = &[
    key(
        "listen",
        "http",
        Slot::Addresses(|s| &mut s.listen.http, |s| &mut s.listen.http_is_default),
        "addresses for clients, [ADDR:]PORT; a bare port: every address of this machine",
    )
    .flags(&["--port"]),
    key(
        "listen",
        "backlog",
        Slot::Small(|s| &mut s.listen.backlog, 1, 65_535),
        "connections the kernel queues before they are accepted",
    ),
];
