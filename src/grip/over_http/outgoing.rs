//! What the client has said and the backend has not yet accepted.

use std::collections::VecDeque;

use bytes::Bytes;

use super::{Fault, Request};
use crate::grip::{
    format::MessageKind,
    ws_events::{Close, Event, Message, encode, encode_close, encode_message},
};

/// The messages that wait, in order. Without any it keeps no buffer.
#[derive(Debug, Default)]
pub(super) struct Outgoing {
    waiting: VecDeque<Message>,
    /// Bytes of the first message that the backend has taken already.
    taken: usize,
    /// How many of the first messages were offered before and kept back.
    kept: usize,
    /// Content and [`COST`] of all.
    size: usize,
}

/// What a message costs beside its content, so that empty ones are bounded too.
pub(super) const COST: usize = 16;

/// A request under way.
#[derive(Debug)]
pub(super) struct Sent {
    pub(super) request: Request,
    /// What it offers.
    pub(super) offer: Offer,
    /// How often in a row it did not reach the backend.
    pub(super) failures: u8,
    /// It is not under way, but to be sent again when its time has come.
    pub(super) waits: bool,
}

/// What a request offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Offer {
    Open,
    Disconnect,
    Messages(Messages),
}

/// An offer of messages, or of none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Messages {
    /// So many of the first that wait.
    count: usize,
    /// Bytes of their contents.
    bytes: usize,
    /// Bytes of the CLOSE's content, if there is a CLOSE.
    pub(super) close: Option<usize>,
    /// Messages that wait and are not in it.
    left_out: bool,
    /// It has no messages but pings and pongs.
    idle: bool,
}

/// What the backend accepted of an offer.
#[derive(Debug, Default)]
pub(super) struct Accepted {
    /// Payloads of the pings.
    pub(super) pings: Vec<Bytes>,
    /// The CLOSE too.
    pub(super) close: bool,
    /// Anything at all, or all of an empty offer.
    pub(super) progress: bool,
}

impl Outgoing {
    pub(super) fn push(&mut self, message: Message) {
        self.size += message.content.len() + COST;
        self.waiting.push_back(message);
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Bytes that wait; about what they take.
    pub(super) fn size(&self) -> usize {
        self.size
    }

    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.waiting.capacity()
    }

    /// Are there messages that were never offered?
    pub(super) fn has_new(&self) -> bool {
        self.waiting.len() > self.kept
    }

    /// Does a message wait that the backend has been offered?
    pub(super) fn keeps_back(&self) -> bool {
        self.kept > 0
    }

    /// The next request. With `one_event` it has one message, or the CLOSE.
    pub(super) fn offer(&self, one_event: bool, close: Option<&Close>) -> Sent {
        let count = self
            .waiting
            .len()
            .min(if one_event { 1 } else { usize::MAX });
        let close = close.filter(|_| !one_event || count == 0);
        let (mut body, mut bytes, mut replayed) = (Vec::new(), 0, 0);
        for (index, message) in self.waiting.iter().take(count).enumerate() {
            let content = self.rest(index, message);
            bytes += content.len();
            replayed += if index < self.kept { content.len() } else { 0 };
            encode_message(message.kind, content, &mut body);
        }
        if let Some(close) = close {
            encode_close(close, &mut body);
        }
        let messages = Messages {
            count,
            bytes,
            close: close.map(Close::size),
            left_out: count < self.waiting.len(),
            idle: self
                .waiting
                .iter()
                .take(count)
                .all(|message| is_control(message.kind)),
        };
        Sent::new(body, replayed as u64, Offer::Messages(messages))
    }

    /// What the backend has not yet taken of a message.
    fn rest<'a>(&self, index: usize, message: &'a Message) -> &'a [u8] {
        let taken = if index == 0 { self.taken } else { 0 };
        message.content.get(taken..).unwrap_or_default()
    }

    /// Takes out what the backend accepted of an offer. `accepted`: as the answer says; `None`:
    /// all.
    pub(super) fn accept(
        &mut self,
        offer: Messages,
        accepted: Option<u64>,
    ) -> Result<Accepted, Fault> {
        let offered = offer.bytes + offer.close.unwrap_or(0);
        let accepted = accepted.unwrap_or(offered as u64);
        let count = usize::try_from(accepted).unwrap_or(usize::MAX);
        if count > offered {
            return Err(Fault::Accepted { accepted, offered });
        }
        if count >= offer.bytes && count < offered {
            return Err(Fault::AcceptedClose { accepted, offered });
        }
        if count == 0 && offer.bytes > 0 && offer.left_out {
            return Err(Fault::Stuck);
        }
        let whole = count >= offer.bytes;
        let before = self.waiting.len();
        let pings = self.take(offer.count, count.min(offer.bytes));
        self.kept = if whole {
            0
        } else {
            offer.count - (before - self.waiting.len())
        };
        Ok(Accepted {
            pings,
            close: whole && offer.close.is_some(),
            progress: whole || count > 0,
        })
    }

    /// Takes `bytes` off the first `count` messages; returns the pings that are through. Those
    /// without content go with what stands before them.
    fn take(&mut self, count: usize, mut bytes: usize) -> Vec<Bytes> {
        let mut pings = Vec::new();
        for _ in 0..count {
            let Some(first) = self.waiting.front() else {
                break;
            };
            let rest = self.rest(0, first).len();
            if rest > bytes {
                self.taken += bytes;
                return pings;
            }
            bytes -= rest;
            self.taken = 0;
            if let Some(Message { kind, content }) = self.waiting.pop_front() {
                self.size -= content.len() + COST;
                if kind == MessageKind::Ping {
                    pings.push(content);
                }
            }
        }
        if self.waiting.is_empty() {
            self.clear();
        }
        pings
    }
}

impl Sent {
    fn new(body: Vec<u8>, replayed: u64, offer: Offer) -> Self {
        let body = Bytes::from(body);
        Self {
            request: Request { body, replayed },
            offer,
            failures: 0,
            waits: false,
        }
    }

    pub(super) fn open() -> Self {
        Self::event(&Event::Open, Offer::Open)
    }

    pub(super) fn disconnect() -> Self {
        Self::event(&Event::Disconnect, Offer::Disconnect)
    }

    fn event(event: &Event, offer: Offer) -> Self {
        let mut body = Vec::new();
        encode(event, &mut body);
        Self::new(body, 0, offer)
    }

    /// May the backend read it twice? Nothing that the client said is in it.
    pub(super) fn may_repeat(&self) -> bool {
        matches!(self.offer, Offer::Messages(messages) if messages.idle && messages.close.is_none())
    }

    /// Another request takes its place and its turn.
    pub(super) fn replace(&mut self, other: Self) {
        (self.request, self.offer) = (other.request, other.offer);
    }
}

/// Is it one by which the sides only keep in touch?
fn is_control(kind: MessageKind) -> bool {
    matches!(kind, MessageKind::Ping | MessageKind::Pong)
}

/// What the backend is told as the last thing.
#[derive(Debug)]
pub(super) enum Farewell {
    /// Nothing yet.
    None,
    /// After the messages that wait.
    Close {
        close: Box<Close>,
        /// The backend has it, or cannot be told.
        told: bool,
    },
    /// Instead of the messages that wait.
    Disconnect,
    /// The backend could not be told of the client's end.
    GivenUp,
}

impl Farewell {
    pub(super) fn close(close: Close) -> Self {
        Self::Close {
            close: Box::new(close),
            told: false,
        }
    }

    /// Has the backend still to be told?
    pub(super) fn is_due(&self) -> bool {
        matches!(self, Self::Close { told: false, .. } | Self::Disconnect)
    }

    pub(super) fn is_disconnect(&self) -> bool {
        matches!(self, Self::Disconnect)
    }

    /// The CLOSE for the next request. `again`: also if it has been accepted before.
    pub(super) fn to_send(&self, again: bool) -> Option<&Close> {
        match self {
            Self::Close { close, told } if again || !told => Some(close),
            _ => None,
        }
    }

    /// The CLOSE was accepted.
    pub(super) fn accepted(&mut self) {
        if let Self::Close { told, .. } = self {
            *told = true;
        }
    }

    pub(super) fn give_up(&mut self) {
        *self = Self::GivenUp;
    }
}
