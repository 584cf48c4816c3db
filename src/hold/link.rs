//! Next links: how a stream goes on with what its backend says when it is asked again.
//!
//! While the link is followed the stream is paused: what is published is kept. The answer's body
//! is appended first; then its instruct takes the place of the old one, and what was kept is
//! decided with the new subscriptions.

use std::{future::poll_fn, time::Duration};

use bytes::Bytes;
use http_body_util::BodyExt;

use super::{
    start::Context,
    terms::{Terms, filtered, no_link, unanswerable},
};
use crate::{
    forward::{Body, Fetch, Fetched, Home, Location, Priority},
    grip::instruct::{Instruct, Mode, Response},
    hub::{Held, Why},
    socket::ClientSocket,
};

/// What a stream with a next link keeps.
#[derive(Debug)]
pub(super) struct Follower {
    pub(super) terms: Terms,
    pub(super) home: Home,
    /// Where to go on.
    pub(super) next: Location,
    /// There was no hold: the link is followed at once.
    pub(super) at_once: bool,
}

/// Pauses after failures: each about twice as long as the one before it, then no more.
#[derive(Debug)]
pub(super) struct Backoff {
    first: Duration,
    failures: u32,
}

/// What following a link came to, unless the client left meanwhile.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Followed {
    /// The stream is held again.
    Held,
    /// Nothing follows: the stream ends properly.
    Ended,
    /// The stream ends properly, with this for a client that may read it.
    Failed(String),
}

/// What one answer came to.
enum Step {
    /// Over, one way or another.
    Over(Followed),
    /// The next link is followed at once.
    Next {
        /// There was nothing for the client in this one.
        empty: bool,
    },
    /// Nothing was sent of it: it is asked for again.
    Again,
}

impl Backoff {
    pub(super) fn new(first: Duration) -> Self {
        Self { first, failures: 0 }
    }

    /// The pause before the next attempt; `None` after the last one.
    pub(super) fn next(&mut self) -> Option<Duration> {
        let factor = 1_u32
            .checked_shl(self.failures)
            .filter(|_| self.failures < PAUSES)?;
        self.failures += 1;
        let jitter = self.first.mul_f64(super::random::fraction());
        Some(self.first * factor + jitter)
    }

    fn succeeded(&mut self) {
        self.failures = 0;
    }
}

/// Pauses of a [`Backoff`]: one attempt more than that.
const PAUSES: u32 = 5;

impl Follower {
    /// Follows the link, and those that its answers name, until the stream is held again or over.
    /// The stream is paused.
    ///
    /// # Cancel safety
    /// May be dropped when the client has left.
    pub(super) async fn follow(
        &mut self,
        held: &Held<ClientSocket>,
        context: &Context,
        why: Why,
    ) -> Followed {
        let mut priority = match why {
            Why::Hint => Priority::High,
            _ if self.at_once => Priority::High,
            Why::Gap | Why::Slow | Why::Timer | Why::Update => Priority::Low,
        };
        let pause = context.settings.grip.link_backoff;
        let mut backoff = Backoff::new(pause);
        let mut was_empty = false;
        loop {
            match self.step(held, context, priority).await {
                Step::Over(followed) => return followed,
                Step::Next { empty } => {
                    backoff.succeeded();
                    // Links that go round without saying anything would never let go.
                    if empty && was_empty {
                        tokio::time::sleep(pause).await;
                    }
                    was_empty = empty;
                }
                Step::Again => match backoff.next() {
                    Some(pause) => tokio::time::sleep(pause).await,
                    None => return Followed::Failed("Failed to retrieve next link.".into()),
                },
            }
            // Paced by the answers and the pauses from here on.
            priority = Priority::High;
        }
    }

    /// One request, and what its answer says.
    async fn step(
        &mut self,
        held: &Held<ClientSocket>,
        context: &Context,
        priority: Priority,
    ) -> Step {
        let fetch = Fetch {
            last: held.last_ids(),
            ..Fetch::get(&self.home, self.next.clone())
        };
        let fetched = context.forwarder.fetch_shared(fetch, Some(priority)).await;
        let (response, rest) = match fetched {
            Ok(Fetched::Whole(response)) => (Response::clone(&response), None),
            Ok(Fetched::Streaming { head, body }) => (head, Some(body)),
            Err(_) => return Step::Again,
        };
        if !(200..300).contains(&response.code) {
            return Step::Again;
        }
        let instruct = match read(response) {
            Ok(instruct) => instruct,
            Err(text) => return Step::Over(Followed::Failed(text)),
        };
        if instruct.hold == Some(Mode::Response) {
            return fail("Next link returned non-stream hold.".into());
        }
        let empty = match rest {
            None => match filtered(&instruct, &instruct.response.body) {
                Ok(body) => {
                    append(held, &body, context).await;
                    body.is_empty()
                }
                Err(error) => return fail(format!("filter error: {error}")),
            },
            Some(body) => match stream(held, body, context).await {
                Streamed::Whole { sent } => !sent,
                Streamed::Nothing => return Step::Again,
                Streamed::Broken => return Step::Over(Followed::Ended),
            },
        };
        self.obey(&instruct, empty, held, context)
    }

    /// Acts on the answer's instruct, which takes the place of the one before it.
    fn obey(
        &mut self,
        instruct: &Instruct,
        empty: bool,
        held: &Held<ClientSocket>,
        context: &Context,
    ) -> Step {
        let next = match &instruct.links.next {
            None => None,
            Some(link) => match self.next.join(&link.uri) {
                Ok(next) => Some((next, link.timeout)),
                Err(error) => return fail(format!("next link: {error}")),
            },
        };
        match (instruct.hold, next) {
            (None, None) => Step::Over(Followed::Ended),
            (None, Some((next, _))) => {
                self.next = next;
                Step::Next { empty }
            }
            (Some(_), next) => {
                if let Some(channel) = unanswerable(instruct) {
                    return fail(no_link(channel));
                }
                let timeout = next.as_ref().map(|(_, timeout)| *timeout);
                if let Some((next, _)) = next {
                    self.next = next;
                }
                let Context {
                    settings, notices, ..
                } = context;
                notices.tell(instruct, &self.terms.route);
                let ask = self
                    .terms
                    .ask(instruct, Mode::Stream, timeout, settings, notices);
                held.resume(ask);
                Step::Over(Followed::Held)
            }
        }
    }
}

fn fail(text: String) -> Step {
    Step::Over(Followed::Failed(text))
}

/// The answer's instruct, or what is wrong with it.
fn read(head: Response) -> Result<Instruct, String> {
    let is_json = head.headers.iter().any(|header| {
        header.name.eq_ignore_ascii_case("Content-Type")
            && header.value.split(|byte| *byte == b';').next() == Some(JSON_INSTRUCT)
    });
    if is_json {
        // The body of a link's answer is for the client: it cannot be the instruct as well.
        return Err("failed to parse application/grip-instruct content as JSON".into());
    }
    Instruct::parse(head).map_err(|error| error.to_string())
}

/// What came of a body that is not there as a whole.
enum Streamed {
    Whole {
        /// There was something in it.
        sent: bool,
    },
    /// It broke off before anything of it was sent.
    Nothing,
    Broken,
}

/// Appends a body as it comes, no faster than the client takes it.
async fn stream(held: &Held<ClientSocket>, mut body: Body, context: &Context) -> Streamed {
    let mut sent = false;
    while let Some(frame) = body.frame().await {
        match frame.map(http_body::Frame::into_data) {
            Ok(Ok(piece)) => {
                sent |= !piece.is_empty();
                held.mute(sent);
                append(held, &piece, context).await;
            }
            // Trailers have no place in a body that goes on.
            Ok(Err(_)) => {}
            Err(_) if sent => return Streamed::Broken,
            Err(_) => return Streamed::Nothing,
        }
    }
    held.mute(false);
    Streamed::Whole { sent }
}

/// Appends bytes, and waits until the client has taken most of what waits for it.
async fn append(held: &Held<ClientSocket>, bytes: &Bytes, context: &Context) {
    held.append(bytes);
    let limit = context.settings.limits.connection_buffer / 2;
    poll_fn(|cx| held.poll_room(limit, cx)).await;
}

const JSON_INSTRUCT: &[u8] = b"application/grip-instruct";
