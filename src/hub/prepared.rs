//! A prepared item: a published item with each wire form encoded once, on first use, and shared by
//! all subscribers of all shards.

use std::{cell::RefCell, sync::OnceLock};

use bytes::Bytes;

use super::piece::Script;
use crate::{
    cross_origin::call,
    grip::{
        format::{MessageFormat, MessageKind, ResponseBody, ResponseFormat, StreamFormat},
        item::Item,
    },
    http1::chunk,
    websocket::{
        deflate::Deflater,
        frame::{self, Opcode},
    },
};

/// An item and the forms it takes on the wire.
#[derive(Debug)]
pub struct Prepared {
    item: Item,
    chunk: OnceLock<Bytes>,
    script: OnceLock<Box<Script>>,
    literal: OnceLock<Bytes>,
    frame: OnceLock<Bytes>,
    deflated: OnceLock<Bytes>,
}

impl Prepared {
    /// Prepares `item`; encodes nothing yet.
    pub fn new(item: Item) -> Self {
        Self {
            item,
            chunk: OnceLock::new(),
            script: OnceLock::new(),
            literal: OnceLock::new(),
            frame: OnceLock::new(),
            deflated: OnceLock::new(),
        }
    }

    /// The item itself.
    pub fn item(&self) -> &Item {
        &self.item
    }

    /// What it counts against bounds, in bytes.
    pub(super) fn weight(&self) -> usize {
        weight(&self.item)
    }

    /// The stream form for HTTP/1.1: one chunk. Empty when the item has nothing for a stream.
    pub(super) fn chunk(&self) -> &Bytes {
        self.chunk.get_or_init(|| chunk::encode(self.content()))
    }

    /// The stream form inside the text of a JSON-P call, whatever the call.
    pub(super) fn script(&self) -> &Script {
        let encode = || Box::new(Script::of(self.content()));
        self.script.get_or_init(encode)
    }

    /// The body of the long-poll's form as it stands in a JSON-P call, whatever the call. `None`
    /// when it depends on the poll, as that of a patch does.
    pub fn literal(&self) -> Option<&Bytes> {
        let Some(ResponseFormat::Send(content)) = &self.item.formats.response else {
            return None;
        };
        let ResponseBody::Bytes(body) = &content.body else {
            return None;
        };
        let encode = || call::literal(body).into();
        Some(self.literal.get_or_init(encode))
    }

    /// The stream form without framing, for HTTP/1.0.
    pub(super) fn content(&self) -> &Bytes {
        match &self.item.formats.stream {
            Some(StreamFormat::Send { content, .. }) => content,
            _ => &NOTHING,
        }
    }

    /// The WebSocket form: one frame.
    pub(super) fn frame(&self) -> &Bytes {
        let encode = || frame::encode(self.opcode(), self.payload());
        self.frame.get_or_init(encode)
    }

    /// The WebSocket form for who has agreed to compression: one frame. Compressed without what
    /// was sent before it, so that it is the same for all.
    pub(super) fn deflated(&self) -> &Bytes {
        let opcode = self.opcode();
        if self.payload().len() < COMPRESSED_FROM || opcode.is_control() {
            return self.frame();
        }
        self.deflated
            .get_or_init(|| deflate(opcode, self.payload()))
    }

    /// The kind of its WebSocket message.
    pub(super) fn opcode(&self) -> Opcode {
        match &self.item.formats.message {
            Some(MessageFormat::Send { kind, .. }) => opcode(*kind),
            _ => Opcode::Text,
        }
    }

    fn payload(&self) -> &Bytes {
        match &self.item.formats.message {
            Some(MessageFormat::Send { content, .. }) => content,
            _ => &NOTHING,
        }
    }
}

/// What an item counts against bounds, in bytes: its contents, its channels, and what
/// keeping it costs besides.
pub(super) fn weight(item: &Item) -> usize {
    let stream = match &item.formats.stream {
        Some(StreamFormat::Send { content, .. }) => content.len(),
        _ => 0,
    };
    let response = match &item.formats.response {
        Some(ResponseFormat::Send(content)) => {
            let body = match &content.body {
                ResponseBody::Bytes(bytes) => bytes.len(),
                ResponseBody::Patch(patch) => patch.0.len() * 128,
            };
            body + content
                .headers
                .iter()
                .map(|header| header.value.len() + 64)
                .sum::<usize>()
        }
        _ => 0,
    };
    let message = match &item.formats.message {
        Some(MessageFormat::Send { content, .. }) => content.len(),
        _ => 0,
    };
    let names: usize = item.channels.iter().map(|name| 256 + name.len()).sum();
    256 + names + stream + response + message
}

/// A frame of this kind of message.
pub fn opcode(kind: MessageKind) -> Opcode {
    match kind {
        MessageKind::Text => Opcode::Text,
        MessageKind::Binary => Opcode::Binary,
        MessageKind::Ping => Opcode::Ping,
        MessageKind::Pong => Opcode::Pong,
    }
}

/// One compressed frame.
pub fn deflate(opcode: Opcode, payload: &[u8]) -> Bytes {
    thread_local! {
        /// Large, and used only where somebody has agreed to compression.
        static DEFLATER: RefCell<Option<Deflater>> = const { RefCell::new(None) };
    }
    DEFLATER.with_borrow_mut(|deflater| {
        let deflater = deflater.get_or_insert_with(|| Deflater::new(LEVEL));
        deflater.encode(opcode, payload)
    })
}

static NOTHING: Bytes = Bytes::new();

/// Messages of fewer bytes are not compressed: they hardly get smaller, and every client would
/// have to take them apart.
pub const COMPRESSED_FROM: usize = 256;

/// 1 to 9. Each message is compressed once for all its subscribers.
const LEVEL: u32 = 6;
