//! The vectors of WebSockets: a numbered list of what a client and a backend see of each other
//! through a GRIP proxy, case by case. Each test bears the number of its vector, whatever other
//! tests show it too, so that the list can be held against the code line by line.
//!
//! Where Pushpin does what nobody can want, a comment says what gripd does and why. Sentences
//! that gripd makes itself are its own: what they must *name* is asserted.
#![cfg(feature = "server")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::too_many_lines,
    reason = "helpers of tests fail by panicking; tables are long"
)]

#[path = "../support/mod.rs"]
mod support;

mod site;

// WebSocket over HTTP: events, the answer to OPEN, later answers, what comes by time.
mod events;
mod intervals;
mod opening;
mod over_http;

// GRIP: prefixes and control messages.
mod control;
mod grip;

// What is published.
mod publish;

// To a backend that speaks WebSocket itself.
mod direct;

// Handshake and frames of clients.
mod framing;
