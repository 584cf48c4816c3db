//! Pieces: bytes that were encoded once, in each framing, and go to one connection or to very many.

use std::{
    cell::OnceCell,
    sync::{Arc, LazyLock},
};

use bytes::Bytes;

use super::prepared::Prepared;
use crate::{
    cross_origin::call::{self, Mode},
    http1::chunk,
    websocket::frame,
};

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
    /// Inside a JSON-P call, which the end of the body closes.
    Script {
        /// What the call looks like.
        mode: Mode,
        /// In chunks, or as it is.
        chunked: bool,
    },
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
    /// An item's content. What few need is encoded when somebody does.
    Item { chunked: Bytes, item: Arc<Prepared> },
    /// Part of a body.
    Body {
        bare: Bytes,
        chunked: Bytes,
        /// Few need it, so it takes no room of its own.
        script: OnceCell<Box<Script>>,
    },
    /// The end of a body.
    End,
    /// An item's WebSocket message, encoded when somebody needs it.
    Message(Arc<Prepared>),
    /// The same for everybody who gets it.
    Raw(Bytes),
}

/// Part of a body inside the text of a JSON-P call.
#[derive(Debug)]
pub(super) struct Script {
    bare: Bytes,
    chunked: Bytes,
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
            forms: Forms::Item {
                chunked: item.chunk().clone(),
                item: Arc::clone(item),
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
                script: OnceCell::new(),
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
                script: OnceCell::new(),
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
            forms: Forms::End,
            last: true,
            items: None,
        }
    }

    pub(super) fn bytes(&self, framing: Framing) -> &Bytes {
        match (&self.forms, framing) {
            (Forms::Raw(bytes), _) => bytes,
            (Forms::Item { item, .. }, Framing::Script { .. }) if framing.is_escaped() => {
                item.script().bytes(framing)
            }
            (Forms::Body { bare, script, .. }, Framing::Script { .. }) if framing.is_escaped() => {
                script
                    .get_or_init(|| Box::new(Script::of(bare)))
                    .bytes(framing)
            }
            (Forms::Item { item, .. }, _) if framing.is_bare() => item.content(),
            (Forms::Body { bare, .. }, _) if framing.is_bare() => bare,
            (Forms::Item { chunked, .. } | Forms::Body { chunked, .. }, _) => chunked,
            (Forms::End, _) => end(framing),
            (Forms::Message(item), Framing::Deflated) => item.deflated(),
            (Forms::Message(item), _) => item.frame(),
        }
    }
}

impl Framing {
    /// Does only the connection's end end the body?
    pub fn is_bare(self) -> bool {
        matches!(self, Self::Bare | Self::Script { chunked: false, .. })
    }

    /// Does the body stand inside a text?
    fn is_escaped(self) -> bool {
        matches!(
            self,
            Self::Script {
                mode: Mode::Extended,
                ..
            }
        )
    }
}

impl Script {
    /// A part of a body, in each framing.
    pub(super) fn of(content: &[u8]) -> Self {
        let mut bare = Vec::with_capacity(content.len());
        call::escape(content, &mut bare);
        Self {
            chunked: chunk::encode(&bare),
            bare: bare.into(),
        }
    }

    fn bytes(&self, framing: Framing) -> &Bytes {
        if framing.is_bare() {
            &self.bare
        } else {
            &self.chunked
        }
    }
}

/// The end of a body.
fn end(framing: Framing) -> &'static Bytes {
    let Framing::Script { mode, chunked } = framing else {
        return if framing.is_bare() { &NOTHING } else { &LAST };
    };
    let ends = match mode {
        Mode::Basic => &BASIC,
        Mode::Extended => &EXTENDED,
    };
    let [bare, in_chunks] = &**ends;
    if chunked { in_chunks } else { bare }
}

/// How a call's body ends, as it is and in chunks.
fn ends(mode: Mode) -> [Bytes; 2] {
    let closing = mode.closing();
    let chunked = [&chunk::encode(closing), chunk::LAST].concat();
    [Bytes::from_static(closing), chunked.into()]
}

static NOTHING: Bytes = Bytes::new();
static LAST: Bytes = Bytes::from_static(chunk::LAST);
static BASIC: LazyLock<[Bytes; 2]> = LazyLock::new(|| ends(Mode::Basic));
static EXTENDED: LazyLock<[Bytes; 2]> = LazyLock::new(|| ends(Mode::Extended));

impl Items {
    fn one(item: &Arc<Prepared>, channel: u32) -> Self {
        Self {
            channel,
            first: Arc::clone(item),
            newest: Arc::clone(item),
        }
    }
}
