//! Pieces: bytes that were encoded once, in each framing, and go to one connection or to very many.

use std::sync::Arc;

use bytes::Bytes;

use super::prepared::Prepared;
use crate::http1::chunk;

/// How a body is framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// As it is; the connection's end ends the body (HTTP/1.0).
    Bare,
    /// In chunks (HTTP/1.1).
    Chunked,
}

/// Bytes that go to one or to many connections, in each framing.
#[derive(Debug)]
pub(super) struct Piece {
    bare: Bytes,
    chunked: Bytes,
    /// The body ends with this piece.
    pub(super) last: bool,
    /// The items it is made of, when it may be left out for a slow client.
    pub(super) items: Option<Items>,
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
            bare: item.content().clone(),
            chunked: item.chunk().clone(),
            last: false,
            items: Some(Items::one(item, channel)),
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
            bare: join(Prepared::content),
            chunked: join(Prepared::chunk),
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
            bare: content.clone(),
            chunked: chunk::encode(content),
            last: false,
            items: None,
        }
    }

    /// Bytes that are framed already, such as a head.
    pub(super) fn framed(bytes: Bytes) -> Self {
        Self {
            bare: bytes.clone(),
            chunked: bytes,
            last: false,
            items: None,
        }
    }

    /// The end of the body.
    pub(super) fn end() -> Self {
        Self {
            bare: Bytes::new(),
            chunked: Bytes::from_static(chunk::LAST),
            last: true,
            items: None,
        }
    }

    pub(super) fn bytes(&self, framing: Framing) -> &Bytes {
        match framing {
            Framing::Bare => &self.bare,
            Framing::Chunked => &self.chunked,
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
