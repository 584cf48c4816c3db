//! `[metrics]`: ports of their own for metrics.

use super::{Key, Slot, key};

pub(super) const KEYS: &[Key] = &[
    key(
        "metrics",
        "proxy_port",
        Slot::Metrics(|s| &mut s.metrics.proxy_port),
        "a port that serves nothing but metrics; a bare port: every IPv4 address; empty: none",
    ),
    key(
        "metrics",
        "proxy_prefix",
        Slot::Text(|s| &mut s.metrics.proxy_prefix),
        "stands on that port before the five names that Pushpin has, too",
    ),
    key(
        "metrics",
        "handler_port",
        Slot::Metrics(|s| &mut s.metrics.handler_port),
        "one more such port, as Pushpin's handler has one",
    ),
    key(
        "metrics",
        "handler_prefix",
        Slot::Text(|s| &mut s.metrics.handler_prefix),
        "the same as metrics.proxy_prefix, on metrics.handler_port",
    ),
];
