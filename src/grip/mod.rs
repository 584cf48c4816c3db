//! The GRIP protocol as data and decisions: what a backend instructs, what a publisher sends, and
//! what one subscriber gets of it. Everything here is pure: bytes and times go in, values come
//! out; no I/O, no clock, no logging.
//!
//! Source: the GRIP protocol, as Pushpin serves it.

pub mod channel;
pub mod connection;
pub mod delivery;
pub mod extension;
pub mod filter;
pub mod format;
pub mod instruct;
pub mod item;
pub mod json;
pub mod link;
pub mod over_http;
pub mod overflow;
pub mod pace;
mod patch;
pub mod sequence;
#[cfg(feature = "server")]
pub mod signature;
pub mod status;
mod text;
pub mod ws_control;
pub mod ws_events;

/// Value of the `Grip-Feature` request header: what gripd tells a backend it can do.
pub const FEATURES: &str = "status, session, link:next, link:gone, filter:skip-self, \
    filter:skip-users, filter:require-sub, filter:build-id, filter:var-subst, filter:http-check, \
    filter:http-modify";

/// Most bytes of a backend's answer that may carry an instruct, and of a client's request body
/// that is kept so that the request can be repeated. GRIP's limit.
pub const BODY_LIMIT: usize = 100_000;

/// Most filters on one channel of an instruct.
pub const FILTER_LIMIT: usize = 5;

/// Headers of the connection and of a body's framing: gripd's own business towards the client,
/// whatever an instruct or an item says (RFC 9110 section 7.6.1).
pub(crate) const HOP_BY_HOP: [&str; 8] = [
    "Connection",
    "Content-Length",
    "Keep-Alive",
    "Proxy-Connection",
    "TE",
    "Trailer",
    "Transfer-Encoding",
    "Upgrade",
];
