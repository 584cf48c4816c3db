//! A prepared item: a published item with each wire form encoded once, on first use, and shared by
//! all subscribers of all shards.

use std::sync::OnceLock;

use bytes::Bytes;

use crate::{
    grip::{format::StreamFormat, item::Item},
    http1::chunk,
};

/// An item and the forms it takes on the wire.
#[derive(Debug)]
pub struct Prepared {
    item: Item,
    chunk: OnceLock<Bytes>,
}

impl Prepared {
    /// Prepares `item`; encodes nothing yet.
    pub fn new(item: Item) -> Self {
        Self {
            item,
            chunk: OnceLock::new(),
        }
    }

    /// The item itself.
    pub fn item(&self) -> &Item {
        &self.item
    }

    /// The stream form for HTTP/1.1: one chunk. Empty when the item has nothing for a stream.
    pub(super) fn chunk(&self) -> &Bytes {
        self.chunk.get_or_init(|| chunk::encode(self.content()))
    }

    /// The stream form without framing, for HTTP/1.0.
    pub(super) fn content(&self) -> &Bytes {
        static NOTHING: Bytes = Bytes::new();
        match &self.item.formats.stream {
            Some(StreamFormat::Send { content, .. }) => content,
            _ => &NOTHING,
        }
    }
}
