//! The client's request body on its way to a backend. What is read is kept up to a limit, so that
//! the request can be made again: at the next target, after a stale connection, for a hold.
//!
//! One reads at a time; the older reader of two gets nothing more.

use std::{
    cell::RefCell,
    error::Error as StdError,
    fmt,
    future::poll_fn,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep};

/// A handle to the client's request body; clones share it.
#[derive(Clone)]
pub struct Upload {
    state: Rc<RefCell<State>>,
}

/// Why a request body cannot be read to its end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UploadError {
    /// The client went away, or broke the framing.
    #[error("the client's request body ended early ({0})")]
    Gone(String),
    /// Somebody else reads it now.
    #[error("the request body is read elsewhere")]
    Superseded,
    /// Longer than may be.
    #[error("the request body is longer than {limit} bytes")]
    TooLarge {
        /// Most bytes.
        limit: u64,
    },
    /// Nothing came for too long.
    #[error("no piece of the request body came for {after:?} (timeouts.idle)")]
    TimedOut {
        /// How long.
        after: Duration,
    },
}

type Source = Pin<Box<dyn Body<Data = Bytes, Error = Box<dyn StdError + Send + Sync>>>>;

struct State {
    /// `None` once it was read to its end.
    source: Option<Source>,
    /// A piece that came and is not taken yet.
    ahead: Option<Bytes>,
    /// Copied, not shared: a few small pieces must not hold on to big read buffers.
    kept: Vec<u8>,
    keep: usize,
    overflowed: bool,
    trailers: Option<HeaderMap>,
    failure: Option<UploadError>,
    total: u64,
    most: u64,
    idle: Duration,
    timer: Option<Pin<Box<Sleep>>>,
    progress: Instant,
    /// Who reads, and how many kept bytes it was given.
    owner: u64,
    at: usize,
    trailers_given: bool,
}

impl Upload {
    /// The body of a client's request, of which up to `keep` bytes are kept.
    pub fn new<B>(body: B, keep: usize) -> Self
    where
        B: Body<Data = Bytes> + 'static,
        B::Error: Into<Box<dyn StdError + Send + Sync>>,
    {
        let source: Option<Source> = if body.is_end_stream() {
            None
        } else {
            Some(Box::pin(http_body_util::BodyExt::map_err(body, Into::into)))
        };
        Self::with(source, Vec::new(), keep)
    }

    /// A request without a body.
    pub fn empty() -> Self {
        Self::with(None, Vec::new(), 0)
    }

    /// A body that is all there, as a repeated request has it.
    pub fn of(body: &Bytes) -> Self {
        let keep = body.len();
        Self::with(None, body.to_vec(), keep)
    }

    fn with(source: Option<Source>, kept: Vec<u8>, keep: usize) -> Self {
        Self {
            state: Rc::new(RefCell::new(State {
                source,
                ahead: None,
                total: kept.len() as u64,
                kept,
                keep,
                overflowed: false,
                trailers: None,
                failure: None,
                most: u64::MAX,
                idle: Duration::from_mins(30),
                timer: None,
                progress: Instant::now(),
                owner: 0,
                at: 0,
                trailers_given: false,
            })),
        }
    }

    /// Sets how long a piece may take to come, and the most bytes of the whole (0: no limit).
    pub fn limit(&self, idle: Duration, most: u64) {
        let mut state = self.state.borrow_mut();
        state.idle = idle;
        state.most = if most == 0 { u64::MAX } else { most };
    }

    /// Was it read to its end?
    pub fn is_complete(&self) -> bool {
        let state = self.state.borrow();
        state.source.is_none() && state.failure.is_none()
    }

    /// Was more read than is kept? Then it cannot be replayed.
    pub fn overflowed(&self) -> bool {
        self.state.borrow().overflowed
    }

    /// The whole body, if it was read to its end and is within what is kept.
    pub fn kept(&self) -> Option<Bytes> {
        if !self.is_complete() || self.overflowed() {
            return None;
        }
        Some(Bytes::copy_from_slice(&self.state.borrow().kept))
    }

    /// Reads on to the end. A reader still at work is ended.
    ///
    /// # Errors
    /// The client is gone or too slow; or there is more than is kept, which is told as soon as it
    /// is known and without reading on.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped: what was read is kept.
    pub async fn finish(&self) -> Result<(), UploadError> {
        let id = self.take_over();
        loop {
            if self.overflowed() {
                let limit = self.state.borrow().keep as u64;
                return Err(UploadError::TooLarge { limit });
            }
            if poll_fn(|cx| self.poll_as(id, cx))
                .await
                .transpose()?
                .is_none()
            {
                return Ok(());
            }
        }
    }

    /// Takes what has already come, without waiting, so that a short body of unknown length can be
    /// sent with its length. Nothing is taken beyond what is kept.
    pub(crate) async fn prefetch(&self) {
        self.take_over();
        for _ in 0..PREFETCH_TURNS {
            let here = poll_fn(|cx| Poll::Ready(self.state.borrow_mut().poll_fitting(cx))).await;
            match here {
                Poll::Ready(true) => {}
                Poll::Ready(false) => return,
                // The connection's own task reads the next piece only once it was asked for.
                Poll::Pending => tokio::task::yield_now().await,
            }
        }
    }

    /// A body that starts from the beginning; `None` when the beginning is no longer kept.
    pub(crate) fn reader(&self) -> Option<Reader> {
        if self.overflowed() {
            return None;
        }
        let owner = self.take_over();
        let mut state = self.state.borrow_mut();
        state.at = 0;
        state.trailers_given = false;
        drop(state);
        Some(Reader {
            upload: self.clone(),
            owner,
        })
    }

    /// Was everything given to the present reader?
    pub(crate) fn is_delivered(&self) -> bool {
        let state = self.state.borrow();
        state.source.is_none() && state.failure.is_none() && state.all_given()
    }

    /// Length of the whole, once it is known and can be replayed, unless trailers follow.
    pub(crate) fn known_len(&self) -> Option<u64> {
        let state = self.state.borrow();
        let known = state.source.is_none() && state.trailers.is_none() && state.failure.is_none();
        known.then_some(state.total)
    }

    /// Why reading failed, if it did.
    pub(crate) fn failure(&self) -> Option<UploadError> {
        self.state.borrow().failure.clone()
    }

    /// When the last piece came.
    pub(crate) fn progress(&self) -> Instant {
        self.state.borrow().progress
    }

    fn take_over(&self) -> u64 {
        let mut state = self.state.borrow_mut();
        state.owner += 1;
        state.at = state.kept.len();
        state.trailers_given = true;
        state.owner
    }

    fn poll_as(
        &self,
        id: u64,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, UploadError>>> {
        let mut state = self.state.borrow_mut();
        if state.owner != id {
            return Poll::Ready(Some(Err(UploadError::Superseded)));
        }
        state.poll_next(cx)
    }
}

impl State {
    fn all_given(&self) -> bool {
        self.at >= self.kept.len() && (self.trailers.is_none() || self.trailers_given)
    }

    fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, UploadError>>> {
        if let Some(again) = self.kept.get(self.at..).filter(|again| !again.is_empty()) {
            let again = Bytes::copy_from_slice(again);
            self.at = self.kept.len();
            return Poll::Ready(Some(Ok(Frame::data(again))));
        }
        if let Some(failure) = &self.failure {
            return Poll::Ready(Some(Err(failure.clone())));
        }
        if self.source.is_none() {
            return Poll::Ready(self.give_trailers());
        }
        let piece = match ready!(self.poll_source(cx)) {
            Ok(None) => return Poll::Ready(self.give_trailers()),
            Ok(Some(piece)) => self.take(&piece).map(|()| piece),
            Err(failure) => Err(failure),
        };
        if let Err(failure) = &piece {
            self.fail(failure);
        }
        Poll::Ready(Some(piece.map(Frame::data)))
    }

    /// Takes the next piece if it can be kept; ready with false when there is none, or it cannot.
    fn poll_fitting(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        if self.failure.is_some() {
            return Poll::Ready(false);
        }
        let taken = match ready!(self.poll_source(cx)) {
            Ok(None) => return Poll::Ready(false),
            Ok(Some(piece)) if self.overflowed || self.kept.len() + piece.len() > self.keep => {
                self.ahead = Some(piece);
                return Poll::Ready(false);
            }
            Ok(Some(piece)) => self.take(&piece),
            Err(failure) => Err(failure),
        };
        if let Err(failure) = &taken {
            self.fail(failure);
        }
        Poll::Ready(taken.is_ok())
    }

    fn fail(&mut self, failure: &UploadError) {
        self.source = None;
        self.failure = Some(failure.clone());
    }

    fn give_trailers(&mut self) -> Option<Result<Frame<Bytes>, UploadError>> {
        if self.trailers_given {
            return None;
        }
        self.trailers_given = true;
        self.trailers
            .clone()
            .map(|trailers| Ok(Frame::trailers(trailers)))
    }

    /// The next piece of the source, to be taken; `None` at its end.
    fn poll_source(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, UploadError>> {
        if let Some(piece) = self.ahead.take() {
            return Poll::Ready(Ok(Some(piece)));
        }
        loop {
            let Some(source) = &mut self.source else {
                return Poll::Ready(Ok(None));
            };
            let Poll::Ready(frame) = source.as_mut().poll_frame(cx) else {
                ready!(self.poll_timer(cx));
                return Poll::Ready(Err(UploadError::TimedOut { after: self.idle }));
            };
            self.timer = None;
            self.progress = Instant::now();
            let Some(frame) = frame else {
                self.source = None;
                return Poll::Ready(Ok(None));
            };
            let frame = frame.map_err(|error| UploadError::Gone(error.to_string()))?;
            match frame.into_data() {
                Ok(piece) if piece.is_empty() => {}
                Ok(piece) => return Poll::Ready(Ok(Some(piece))),
                Err(other) => {
                    self.trailers = other.into_trailers().ok();
                    self.trailers_given = self.trailers.is_none();
                }
            }
        }
    }

    fn poll_timer(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let idle = self.idle;
        self.timer
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(idle)))
            .as_mut()
            .poll(cx)
    }

    fn take(&mut self, piece: &Bytes) -> Result<(), UploadError> {
        self.total += piece.len() as u64;
        if self.total > self.most {
            return Err(UploadError::TooLarge { limit: self.most });
        }
        if !self.overflowed && self.kept.len() + piece.len() <= self.keep {
            self.kept.extend_from_slice(piece);
        } else {
            self.overflowed = true;
            self.kept = Vec::new();
        }
        self.at = self.kept.len();
        // A body with a length tells its end here and is not asked again.
        if self.source.as_ref().is_some_and(Body::is_end_stream) {
            self.source = None;
        }
        Ok(())
    }
}

impl fmt::Debug for Upload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state.borrow();
        f.debug_struct("Upload")
            .field("read", &state.total)
            .field("complete", &state.source.is_none())
            .field("overflowed", &state.overflowed)
            .finish_non_exhaustive()
    }
}

/// The body of one request to a backend.
#[derive(Debug)]
pub(crate) struct Reader {
    upload: Upload,
    owner: u64,
}

impl Body for Reader {
    type Data = Bytes;
    type Error = UploadError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, UploadError>>> {
        match self.upload.poll_as(self.owner, cx) {
            // Not an error: it would end the connection, whose answer may still be on its way. The
            // connection goes with its lease.
            Poll::Ready(Some(Err(UploadError::Superseded))) => Poll::Pending,
            other => other,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.upload.is_delivered()
    }

    fn size_hint(&self) -> SizeHint {
        self.upload
            .known_len()
            .map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

/// How often a body is asked for more before its request is sent without a length.
const PREFETCH_TURNS: usize = 8;

#[cfg(test)]
mod tests;
