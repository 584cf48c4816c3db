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
        "https",
        Slot::Addresses(|s| &mut s.listen.https, |s| &mut s.listen.https_is_default),
        "the same for clients that speak TLS; certificates: section tls",
    ),
    key(
        "listen",
        "unix",
        Slot::Sockets(|s| &mut s.listen.unix),
        "sockets for clients in the file system, unix:PATH, with ?mode=OCTAL&user=NAME&group=NAME",
    ),
    key(
        "listen",
        "proxy_protocol",
        Slot::Proxied(|s| &mut s.listen.proxy_protocol),
        "those of http, https and unix whose connections begin with a PROXY protocol header (v1, v2)",
    ),
    key(
        "listen",
        "http2",
        Slot::Bool(|s| &mut s.listen.http2),
        "speak HTTP/2 with clients that do: over TLS they are offered it, without TLS they begin with it",
    ),
    key(
        "listen",
        "backlog",
        Slot::Small(|s| &mut s.listen.backlog, 1, 65_535),
        "connections the kernel queues before they are accepted",
    ),
];
