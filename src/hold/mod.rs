//! What a held connection is: a client's request whose answer is an instruct.
//!
//! [`start::begin`] turns an instruct into either a plain answer or a [`Start`]: the request is
//! subscribed from then on, and its connection may be parked. [`Session`] is the parked request:
//! it waits for its shard's word and for its client, and says what becomes of the connection.
//!
//! Standing rules:
//! - a hold begins only when the client's request has been read to its end: otherwise the rest of
//!   its body would be taken for the next request;
//! - nothing is written to the socket by anyone but the shard while the request is held;
//! - a held request keeps what its end needs and nothing else: a stream keeps nothing, unless it
//!   may ask its backend: for its next link, a filter or a gone link.

mod answer;
mod ask;
mod date;
mod dress;
mod early;
mod gone;
mod link;
mod long_poll;
mod notice;
mod packed;
mod random;
mod request;
mod session;
mod start;
mod terms;
mod websocket;

pub use self::{
    answer::{complete, head, retry_after},
    date::http_date,
    early::Early,
    gone::Teller,
    notice::Notices,
    request::parts,
    session::{Outcome, Paused, Retry, Session},
    start::{Begun, Client, Context, Start, begin},
    websocket::{Knocked, Parked, Start as SocketStart, join, knock},
};
