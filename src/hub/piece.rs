//! Pieces: bytes that were encoded once, in each framing, and go to one connection or to very many.

use std::sync::Arc;

use bytes::Bytes;

use super::prepared::Prepared;
use crate::{http1::chunk, websocket::frame};

/// How what goes to a connection is framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// As it is; the connection's end ends the body (HTTP/1.0).
    Bare,
    /// In chunks (HTTP/1.1).
    Chunked,
    /// In WebSocket frames.
    Frames,
    /// In WebSocket frames, compressed where that is worth it.
    Deflated,
}

/// Bytes that go to one or to many connections, in each framing.
#[derive(Debug)]
pub(super) struct Piece {
    forms: Forms,
    /// The body ends with this piece.
    pub(super) last: bool,
    /// The items it is made of, when it may be left out for a slow client.
    pub(super) items: Option<Items>,
}

/// A piece on the wire.
#[derive(Debug)]
enum Forms {
    /// Part of a body.
    Body { bare: Bytes, chunked: Bytes },
    /// An item's WebSocket message, encoded when somebody needs it.
    Message(Arc<Prepared>),
    /// The same for everybody who gets it.
    Raw(Bytes),
}

/// The items of a piece.
#[derive(Clone, Debug)]
pub(super) struct Items {
    /// Their channel's place in the shard.
    pub(super) channel: u32,
    pub(super) first: Arc<Prepared>,
    newest: Arc<Prepared>,
}

impl Piece {
    /// An item's content.
    pub(super) fn item(item: &Arc<Prepared>, channel: u32) -> Self {
        Self {
            forms: Forms::Body {
                bare: item.content().clone(),
                chunked: item.chunk().clone(),
            },
            last: false,
            items: Some(Items::one(item, channel)),
        }
    }

    /// An item's WebSocket message.
    pub(super) fn message(item: &Arc<Prepared>, channel: u32) -> Self {
        Self {
            forms: Forms::Message(Arc::clone(item)),
            last: false,
            items: Some(Items::one(item, channel)),
        }
    }

    /// What filters made of an item's WebSocket message.
    pub(super) fn changed_message(item: &Arc<Prepared>, channel: u32, content: &[u8]) -> Self {
        Self {
            items: Some(Items::one(item, channel)),
            ..Self::framed(frame::encode(item.opcode(), content))
        }
    }

    /// What filters made of an item's content.
    pub(super) fn changed(item: &Arc<Prepared>, channel: u32, content: &Bytes) -> Self {
        Self {
            items: Some(Items::one(item, channel)),
            ..Self::content(content)
        }
    }

    /// The contents of several items of a channel, in order, as one.
    pub(super) fn run(items: &[&Arc<Prepared>], channel: u32) -> Self {
        let join = |form: fn(&Prepared) -> &Bytes| -> Bytes {
            let parts: Vec<&[u8]> = items.iter().map(|item| form(item).as_ref()).collect();
            parts.concat().into()
        };
        let ends = items.first().zip(items.last());
        Self {
            forms: Forms::Body {
                bare: join(Prepared::content),
                chunked: join(Prepared::chunk),
            },
            last: false,
            items: ends.map(|(first, newest)| Items {
                channel,
                first: Arc::clone(first),
                newest: Arc::clone(newest),
            }),
        }
    }

    /// Only the newest of its items.
    pub(super) fn newest(&self) -> Option<Self> {
        let Items {
            channel,
            first,
            newest,
        } = self.items.as_ref()?;
        (!Arc::ptr_eq(first, newest)).then(|| Self::item(newest, *channel))
    }

    /// Body bytes of one's own, such as a keep-alive.
    pub(super) fn content(content: &Bytes) -> Self {
        Self {
            forms: Forms::Body {
                bare: content.clone(),
                chunked: chunk::encode(content),
            },
            last: false,
            items: None,
        }
    }

    /// Bytes that are framed already, such as a head.
    pub(super) fn framed(bytes: Bytes) -> Self {
        Self {
            forms: Forms::Raw(bytes),
            last: false,
            items: None,
        }
    }

    /// The end of the body.
    pub(super) fn end() -> Self {
        Self {
            forms: Forms::Body {
                bare: Bytes::new(),
                chunked: Bytes::from_static(chunk::LAST),
            },
            last: true,
            items: None,
        }
    }

    pub(super) fn bytes(&self, framing: Framing) -> &Bytes {
        match (&self.forms, framing) {
            (Forms::Raw(bytes), _) => bytes,
            (Forms::Body { bare, .. }, Framing::Bare) => bare,
            (Forms::Body { chunked, .. }, _) => chunked,
            (Forms::Message(item), Framing::Deflated) => item.deflated(),
            (Forms::Message(item), _) => item.frame(),
        }
    }
}

impl Items {
    fn one(item: &Arc<Prepared>, channel: u32) -> Self {
        Self {
            channel,
            first: Arc::clone(item),
            newest: Arc::clone(item),
        }
    }
}
