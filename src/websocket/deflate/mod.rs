//! permessage-deflate (RFC 7692): what is agreed on, and compression in both directions.
//!
//! Towards clients gripd never keeps a compressor's context between messages
//! (`server_no_context_takeover` is always in its answer): then a compressed frame depends on
//! nothing but the message, and one serves all who get it.

mod compress;
mod inflate;
#[cfg(test)]
mod tests;

use std::fmt;

pub use compress::Deflater;
pub(super) use inflate::Inflater;

use super::{extension::Extension, read::Peer};

/// The extension's name.
pub const NAME: &str = "permessage-deflate";

/// What the two ends of a connection agreed on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Agreed {
    /// The client compresses each of its messages by itself.
    pub client_no_context_takeover: bool,
    /// The server does so.
    pub server_no_context_takeover: bool,
    /// The client refers back no further than 2 to the power of this; 15 if not said.
    pub client_max_window_bits: Option<u8>,
    /// The server does so.
    pub server_max_window_bits: Option<u8>,
}

/// What a backend answered is no answer to an offer of permessage-deflate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// It was not offered.
    #[error("the backend answered with permessage-deflate, which was not offered")]
    NotOffered,
    /// It is there twice.
    #[error("the backend answered with permessage-deflate twice")]
    Twice,
    /// A parameter that does not exist, stands twice, or has a wrong value.
    #[error("the backend answered with permessage-deflate and a wrong parameter")]
    Parameter,
}

impl Agreed {
    /// gripd's answer to a client's offers: to the first that it understands, `None` if there is
    /// none. `client_takeover` lets the client keep its context between messages, if it did not
    /// offer otherwise: better compression, for some 40 KiB of memory per connection.
    ///
    /// The answer for the client is [`Display`](fmt::Display).
    pub fn negotiate(offers: &[Extension], client_takeover: bool) -> Option<Self> {
        let mut offers = offers.iter().filter(|offer| offer.name == NAME);
        let offer = offers.find_map(|offer| read(offer, Side::Offer))?;
        Some(Self {
            client_no_context_takeover: offer.client_no_context_takeover || !client_takeover,
            server_no_context_takeover: true,
            // Not limited by us: an inflater takes what comes.
            client_max_window_bits: None,
            server_max_window_bits: offer.server_max_window_bits,
        })
    }

    /// A backend's answer to an offer that was passed on to it; `None` if it wants no compression.
    ///
    /// # Errors
    /// The answer is none: no connection can be made of it (502).
    pub fn from_answer(answer: &[Extension], offered: bool) -> Result<Option<Self>, AnswerError> {
        let mut answers = answer.iter().filter(|answer| answer.name == NAME);
        let Some(answer) = answers.next() else {
            return Ok(None);
        };
        if !offered {
            return Err(AnswerError::NotOffered);
        }
        if answers.next().is_some() {
            return Err(AnswerError::Twice);
        }
        let agreed = read(answer, Side::Answer).ok_or(AnswerError::Parameter)?;
        Ok(Some(agreed))
    }

    /// Whether a frame of [`Deflater::encode`] of a message of this many bytes may go to this
    /// client. Such a frame refers back at most to the message's own beginning, so a smaller
    /// window is kept by sending larger messages uncompressed.
    pub fn takes(self, len: usize) -> bool {
        let bits = u32::from(self.server_max_window_bits.unwrap_or(15));
        // 15 bits are all that deflate can refer back.
        bits >= 15 || len <= 1 << bits
    }

    /// Whether a peer's message may refer back to those before it.
    pub(super) fn takeover(self, peer: Peer) -> bool {
        match peer {
            Peer::Backend => !self.server_no_context_takeover,
            Peer::Client => !self.client_no_context_takeover,
        }
    }
}

impl fmt::Display for Agreed {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(NAME)?;
        if self.client_no_context_takeover {
            write!(out, "; {CLIENT_TAKEOVER}")?;
        }
        if self.server_no_context_takeover {
            write!(out, "; {SERVER_TAKEOVER}")?;
        }
        if let Some(bits) = self.client_max_window_bits {
            write!(out, "; {CLIENT_BITS}={bits}")?;
        }
        if let Some(bits) = self.server_max_window_bits {
            write!(out, "; {SERVER_BITS}={bits}")?;
        }
        Ok(())
    }
}

const CLIENT_TAKEOVER: &str = "client_no_context_takeover";
const SERVER_TAKEOVER: &str = "server_no_context_takeover";
const CLIENT_BITS: &str = "client_max_window_bits";
const SERVER_BITS: &str = "server_max_window_bits";

#[derive(Clone, Copy, PartialEq)]
enum Side {
    Offer,
    Answer,
}

/// The parameters of an offer or answer; `None` if one is unknown, stands twice or has a value that
/// it must not have (RFC 7692 section 7.1).
fn read(extension: &Extension, side: Side) -> Option<Agreed> {
    let mut read = Agreed::default();
    for (at, (name, value)) in extension.params.iter().enumerate() {
        if extension.params[..at]
            .iter()
            .any(|(other, _)| other == name)
        {
            return None;
        }
        match (name.as_str(), value.as_deref()) {
            (CLIENT_TAKEOVER, None) => read.client_no_context_takeover = true,
            (SERVER_TAKEOVER, None) => read.server_no_context_takeover = true,
            // In an offer: the client understands the parameter, and asks for nothing.
            (CLIENT_BITS, None) if side == Side::Offer => {}
            (CLIENT_BITS, Some(value)) => read.client_max_window_bits = Some(bits(value)?),
            (SERVER_BITS, Some(value)) => read.server_max_window_bits = Some(bits(value)?),
            _ => return None,
        }
    }
    Some(read)
}

/// 8 to 15, without leading zeros.
fn bits(value: &str) -> Option<u8> {
    (8..=15).find(|bits| bits.to_string() == value)
}
