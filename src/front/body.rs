//! The body of an answer as hyper takes it, and what its taking tells.

use std::{
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::gated::Signals;
use crate::forward;

/// An answer's body. When hyper lets it go, the answer is complete.
#[derive(Debug)]
pub(super) struct Outgoing {
    content: Content,
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
        Self {
            content: Content::Whole(bytes),
            signals: Rc::clone(signals),
        }
    }

    pub(super) fn stream(body: forward::Body, signals: &Rc<Signals>) -> Self {
        Self {
            content: Content::Stream(body),
            signals: Rc::clone(signals),
        }
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
        Self {
            content,
            signals: Rc::clone(signals),
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
        let frame = ready!(self.poll_content(context));
        if let Some(Ok(frame)) = &frame {
            let bytes = frame.data_ref().map_or(0, Bytes::len) as u64;
            let sent = &self.signals.sent;
            sent.set(sent.get() + bytes);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Whole(bytes) => bytes.is_none(),
            Content::Stream(body) => body.is_end_stream(),
            Content::Prefixed { .. } => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Whole(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64)
            }
            Content::Stream(body) => body.size_hint(),
            Content::Prefixed { .. } => SizeHint::default(),
        }
    }
}

impl Outgoing {
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

impl Drop for Outgoing {
    fn drop(&mut self) {
        self.signals.answered.set(true);
    }
}
