//! The vectors: a numbered list of what a client sees of GRIP over HTTP, case by case, as two
//! versions of Pushpin answer it. Each test bears the number of its vector, whatever other tests
//! show it too, so that the list can be held against the code line by line.
//!
//! Where Pushpin's versions differ, or do what nobody can want, a comment says what gripd does and
//! why. Sentences that gripd makes itself are its own: what they must *name* is asserted.
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

// Instruct -> client.
mod instruct_headers;
mod instruct_json;
mod instruct_limits;

// Publish to long-poll.
mod poll;
mod retry;

// Streams.
mod link;
mod stream;

// Delivery.
mod filter;
mod order;

// Control port.
mod control;
