//! WebSockets as bytes and values: frames and messages (RFC 6455), permessage-deflate (RFC 7692)
//! and the checks of the handshake. Pure: no I/O, no clock, no async, no logging; bytes go in,
//! values come out, and what is to be answered is returned, never written.
//!
//! Two ways to read the same bytes:
//!
//! - [`read::Reader`] gives frames in pieces, as they come: for connections whose frames are passed
//!   on as they are.
//! - [`message::Messages`] joins and inflates them into whole messages, up to a limit.
//!
//! What is written is a finished frame ([`frame::encode`], [`deflate::Deflater::encode`]). Frames
//! to clients carry no mask and no state of one connection, so one frame serves all who get it.

pub mod close;
pub mod deflate;
pub mod extension;
pub mod fault;
pub mod frame;
pub mod handshake;
pub mod mask;
pub mod message;
pub mod read;
mod utf8;
