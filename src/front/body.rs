//! The body of an answer as hyper takes it, and what its taking tells.

use std::{
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;

use super::{gated::Signals, script::Script};
use crate::{cross_origin::call::Mode, forward};

/// An answer's body. When hyper lets it go, the answer is complete.
#[derive(Debug)]
pub(super) struct Outgoing {
    content: Content,
    /// The JSON-P call that it stands in.
    script: Option<Box<Script>>,
    signals: Rc<Signals>,
}

#[derive(Debug)]
enum Content {
    /// Nothing, or one piece.
    Whole(Option<Bytes>),
    /// What a backend sends, as it comes.
    Stream(forward::Body),
    /// The same, after a piece that was read already.
    Prefixed {
        first: Option<Bytes>,
        rest: Option<forward::Body>,
        /// At its end the body goes on, with what is published: hyper gets no end, and the
        /// connection is parked.
        park: bool,
    },
}

impl Outgoing {
    pub(super) fn whole(bytes: Bytes, signals: &Rc<Signals>) -> Self {
        let bytes = Some(bytes).filter(|bytes| !bytes.is_empty());
        Self::new(Content::Whole(bytes), signals)
    }

    pub(super) fn stream(body: forward::Body, signals: &Rc<Signals>) -> Self {
        Self::new(Content::Stream(body), signals)
    }

    /// A body whose beginning was read already. With `park`, a hold begins where it ends.
    pub(super) fn prefixed(
        first: Bytes,
        rest: forward::Body,
        park: bool,
        signals: &Rc<Signals>,
    ) -> Self {
        let content = Content::Prefixed {
            first: Some(first),
            rest: Some(rest),
            park,
        };
        Self::new(content, signals)
    }

    fn new(content: Content, signals: &Rc<Signals>) -> Self {
        Self {
            content,
            script: None,
            signals: Rc::clone(signals),
        }
    }

    /// Another body in the place of this one.
    pub(super) fn with(mut self, bytes: Bytes) -> Self {
        self.content = Content::Whole(Some(bytes));
        self
    }

    /// The same inside a JSON-P call, of which this is the beginning.
    pub(super) fn inside(mut self, opening: Bytes, mode: Mode) -> Self {
        let goes_on = matches!(self.content, Content::Prefixed { park: true, .. });
        self.script = Some(Box::new(Script::new(opening, mode, goes_on)));
        self
    }

    /// The whole body, read to its end; `None` when it is longer than `limit`, or nobody knows how
    /// long. One that breaks off meanwhile breaks off when it is sent.
    pub(super) async fn gather(&mut self, limit: usize) -> Option<Bytes> {
        let body = match &mut self.content {
            Content::Whole(bytes) => return Some(bytes.take().unwrap_or_default()),
            Content::Stream(body) => body,
            Content::Prefixed { .. } => return None,
        };
        let length = body.size_hint().exact();
        if length.is_none_or(|length| length > limit as u64) {
            return None;
        }
        let mut whole = BytesMut::new();
        while let Some(frame) = body.frame().await {
            if let Ok(piece) = frame.ok()?.into_data() {
                whole.extend_from_slice(&piece);
            }
        }
        Some(whole.freeze())
    }

    /// What is to be sent: the content, or the call around it.
    fn poll_dressed(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, forward::BodyError>>> {
        loop {
            let opening = self.script.as_mut().and_then(|script| script.opening());
            if let Some(opening) = opening {
                return Poll::Ready(Some(Ok(Frame::data(opening))));
            }
            let frame = ready!(self.poll_content(context)).transpose()?;
            let Some(script) = &mut self.script else {
                return Poll::Ready(frame.map(Ok));
            };
            match frame.map(Frame::into_data) {
                None => return Poll::Ready(script.closing().map(|end| Ok(Frame::data(end)))),
                Some(Ok(piece)) => {
                    let piece = script.piece(&piece);
                    if !piece.is_empty() {
                        return Poll::Ready(Some(Ok(Frame::data(piece))));
                    }
                }
                // A call ends with itself, not with trailers.
                Some(Err(_)) => {}
            }
        }
    }

    fn poll_content(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, forward::BodyError>>> {
        match &mut self.content {
            Content::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Content::Stream(body) => Pin::new(body).poll_frame(context),
            Content::Prefixed { first, rest, park } => {
                if let Some(first) = first.take() {
                    return Poll::Ready(Some(Ok(Frame::data(first))));
                }
                if let Some(body) = rest {
                    match ready!(Pin::new(body).poll_frame(context)) {
                        // Trailers of an instruct are of no use: there is more to come.
                        Some(Ok(frame)) if frame.is_trailers() && *park => {}
                        Some(frame) => return Poll::Ready(Some(frame)),
                        None => {}
                    }
                    *rest = None;
                }
                if !*park {
                    return Poll::Ready(None);
                }
                self.signals.answered.set(true);
                Poll::Pending
            }
        }
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = forward::BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, forward::BodyError>>> {
        let frame = ready!(self.poll_dressed(context));
        if let Some(Ok(frame)) = &frame {
            let bytes = frame.data_ref().map_or(0, Bytes::len) as u64;
            let sent = &self.signals.sent;
            sent.set(sent.get() + bytes);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            _ if self.script.is_some() => false,
            Content::Whole(bytes) => bytes.is_none(),
            Content::Stream(body) => body.is_end_stream(),
            Content::Prefixed { .. } => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            _ if self.script.is_some() => SizeHint::default(),
            Content::Whole(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64)
            }
            Content::Stream(body) => body.size_hint(),
            Content::Prefixed { .. } => SizeHint::default(),
        }
    }
}

impl Drop for Outgoing {
    fn drop(&mut self) {
        self.signals.answered.set(true);
    }
}
