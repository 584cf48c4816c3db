//! Sockets in: listening for clients, accepting them, and what the kernel is told about their
//! connections. What happens on a connection is `front`'s.
//!
//! In order: [`limits::raise_open_files`] once at start, [`tcp::bind`] once for all cores (before
//! anything is served, so that a taken port stops the start), then on each core one
//! [`accept::accept_loop`] per listener, which tunes nothing itself: [`options::tune_client`] when
//! a connection begins, [`options::tune_held`] when it is parked. What stands before the first
//! request (TLS, the PROXY protocol) is [`greet`]'s.

pub mod accept;
pub mod greet;
pub mod limits;
pub mod options;
pub mod tcp;
pub mod unix;
