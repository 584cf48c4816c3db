//! Clients that speak HTTP/2 (RFC 9113), through the real binary: what they ask reaches the backend
//! as the HTTP/1 request it amounts to, or not at all; what is held is held stream by stream; and a
//! client that breaks the rules harms nobody but itself.
#![cfg(feature = "server")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::too_many_lines,
    reason = "helpers of tests fail by panicking; tables are long"
)]

#[path = "vectors/site.rs"]
#[allow(dead_code, reason = "the vectors use the rest of it")]
mod site;
mod support;
#[path = "support/tls.rs"]
mod tls;

// Two clients.
#[path = "http2/client.rs"]
mod client;
#[path = "http2/raw.rs"]
mod raw;

// One request.
#[path = "http2/bodies.rs"]
mod bodies;
#[path = "http2/requests.rs"]
mod requests;

// Held ones.
#[path = "http2/holds.rs"]
mod holds;
#[path = "http2/polls.rs"]
mod polls;
#[path = "http2/slow.rs"]
mod slow;

// The connection.
#[path = "http2/connection.rs"]
mod connection;
#[path = "http2/ending.rs"]
mod ending;

// Those who mean no good.
#[path = "http2/floods.rs"]
mod floods;
#[path = "http2/frames.rs"]
mod frames;
#[path = "http2/malformed.rs"]
mod malformed;
