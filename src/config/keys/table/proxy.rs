//! `[proxy]`: what becomes of a request on its way.

use super::{Key, Slot, key};

pub(super) const KEYS: &[Key] = &[
    key(
        "proxy",
        "debug",
        Slot::Bool(|s| &mut s.proxy.debug),
        "errors tell clients the cause",
    ),
    key(
        "proxy",
        "auto_cross_origin",
        Slot::Bool(|s| &mut s.proxy.auto_cross_origin),
        "CORS and JSON-P on every route",
    ),
    key(
        "proxy",
        "accept_x_forwarded_protocol",
        Slot::Bool(|s| &mut s.proxy.accept_x_forwarded_protocol),
        "believe X-Forwarded-Proto of clients",
    ),
    key(
        "proxy",
        "set_x_forwarded_protocol",
        Slot::Protocol(|s| &mut s.proxy.set_x_forwarded_protocol),
        "tell backends that the client came over TLS: off, proto-only or true",
    ),
    key(
        "proxy",
        "trusted_proxies",
        Slot::Networks(|s| &mut s.proxy.trusted_proxies),
        "ranges of the proxies in front, which alone may tell of clients (X-Forwarded-*, Forwarded)",
    ),
    key(
        "proxy",
        "set_forwarded",
        Slot::Bool(|s| &mut s.proxy.set_forwarded),
        "tell backends of the client in Forwarded, too (RFC 7239)",
    ),
    key(
        "proxy",
        "x_forwarded_for",
        Slot::Forwarded(|s| &mut s.proxy.x_forwarded_for),
        "what becomes of X-Forwarded-For: truncate:N, append",
    ),
    key(
        "proxy",
        "x_forwarded_for_trusted",
        Slot::Forwarded(|s| &mut s.proxy.x_forwarded_for_trusted),
        "the same for trusted clients",
    ),
    key(
        "proxy",
        "orig_headers_need_mark",
        Slot::Words(|s| &mut s.proxy.orig_headers_need_mark),
        "headers that orig_headers does not mark",
    ),
    key(
        "proxy",
        "accept_pushpin_route",
        Slot::Bool(|s| &mut s.proxy.accept_pushpin_route),
        "obey Pushpin-Route of clients",
    ),
    key(
        "proxy",
        "cdn_loop",
        Slot::Text(|s| &mut s.proxy.cdn_loop),
        "added to CDN-Loop; empty: not added",
    ),
    key(
        "proxy",
        "ca_file",
        Slot::File(|s| &mut s.proxy.ca_file),
        "certificates (PEM) of authorities that TLS backends may have, beside the system's",
    ),
];
