//! The body of an answer: from a backend, piece by piece, or from memory. A body that was cut
//! short is an error, never a clean end; one dropped before its end closes its connection.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::Sleep;

use super::{Error, Origin, Upload, Wait, pool::Lease, show_route};

/// The body of an answer.
pub struct Body(Kind);

enum Kind {
    Full(Option<Bytes>),
    Live(Box<Live>),
}

struct Live {
    incoming: Incoming,
    /// Given back at the body's end.
    lease: Option<(Lease, Upload)>,
    wait: Wait,
    timer: Option<Pin<Box<Sleep>>>,
    origin: Origin,
    failed: Option<Error>,
}

impl Body {
    /// A body that is all there.
    pub fn full(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self(Kind::Full((!bytes.is_empty()).then_some(bytes)))
    }

    /// No body.
    pub fn empty() -> Self {
        Self(Kind::Full(None))
    }

    /// A body that comes over a backend's connection.
    pub(super) fn live(
        incoming: Incoming,
        lease: Lease,
        upload: Upload,
        wait: Wait,
        origin: Origin,
    ) -> Self {
        let mut live = Live {
            incoming,
            lease: Some((lease, upload)),
            wait,
            timer: None,
            origin,
            failed: None,
        };
        live.settle();
        Self(Kind::Live(Box::new(live)))
    }
}

impl Live {
    /// At the end, gives the connection back.
    fn settle(&mut self) {
        if self.incoming.is_end_stream() {
            self.give_back();
        }
    }

    fn give_back(&mut self) {
        if let Some((lease, upload)) = self.lease.take() {
            lease.give_back(&upload);
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if let Some(error) = &self.failed {
            return Poll::Ready(Some(Err(error.clone())));
        }
        let Poll::Ready(frame) = Pin::new(&mut self.incoming).poll_frame(cx) else {
            let after = self.wait.after;
            let timer = self
                .timer
                .get_or_insert_with(|| Box::pin(tokio::time::sleep(after)));
            ready!(timer.as_mut().poll(cx));
            return Poll::Ready(Some(Err(self.fail(Error::TimedOut(self.wait)))));
        };
        self.timer = None;
        match frame {
            None => {
                self.give_back();
                Poll::Ready(None)
            }
            Some(Ok(frame)) => {
                self.settle();
                Poll::Ready(Some(Ok(frame)))
            }
            Some(Err(error)) => {
                let upload = self.lease.as_ref().and_then(|(_, upload)| upload.failure());
                let error = upload.map_or_else(|| Error::Cut(why(&error)), Error::Upload);
                Poll::Ready(Some(Err(self.fail(error))))
            }
        }
    }

    /// Closes the connection and tells the operator.
    fn fail(&mut self, error: Error) -> Error {
        self.lease = None;
        tracing::warn!(
            route = show_route(&self.origin.route),
            backend = self.origin.address(),
            "{error}"
        );
        self.failed = Some(error.clone());
        error
    }
}

/// hyper's errors say what happened in their source.
pub(super) fn why(error: &hyper::Error) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        match &mut self.0 {
            Kind::Full(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Kind::Live(live) => live.poll(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Full(bytes) => bytes.is_none(),
            Kind::Live(live) => live.failed.is_none() && live.incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Full(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            Kind::Live(live) => live.incoming.size_hint(),
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Kind::Full(_) => "Body(full)",
            Kind::Live(_) => "Body(live)",
        })
    }
}
