//! A parked request: one small task that waits for its shard's word, for bytes of its client, and
//! for its client's going; and that asks the backend when its shard wants it to.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::Arc,
    task::{Context as TaskContext, Poll},
    time::{Duration, Instant},
};

use bytes::Bytes;

use tokio::io::AsyncWriteExt;

use super::{
    ask,
    early::{Early, Left},
    gone::Gone,
    link::{Followed, Follower},
    long_poll::LongPoll,
    notice::{End, Told},
    packed::Packed,
    start::{Client, Context, Start, asks},
    terms::Terms,
};
use crate::{
    forward::{Permit, Priority, Route},
    grip::instruct::{Instruct, Mode, Response},
    hub::{Event, Held, Why},
    socket::{ClientSocket, Remote},
    telemetry::{counters::Family, limit::Every},
};

/// A parked request.
#[derive(Debug)]
pub struct Session {
    held: Held<ClientSocket>,
    ending: Ending,
    early: Early,
    told: Option<Told>,
}

/// What becomes of the connection.
#[derive(Debug)]
pub enum Outcome {
    /// It is ready for the next request, of which these bytes are there already.
    Next(ClientSocket, Vec<u8>),
    /// It is over.
    Over,
    /// Its request is to be made again.
    Retry(Box<Retry>),
}

/// A long-poll whose backend is to be asked again.
#[derive(Debug)]
pub struct Retry {
    /// The client's connection.
    pub socket: ClientSocket,
    /// The bytes of the whole request, as if it had just come, and what the client sent ahead.
    pub bytes: Vec<u8>,
    /// The hold, which goes on with the answer's instruct.
    pub paused: Paused,
}

/// A hold that waits for what its backend says. Dropping it ends it.
#[derive(Debug)]
pub struct Paused {
    pub(super) held: Held<ClientSocket>,
    pub(super) gone: Option<Gone>,
    /// The newest id of each channel, for `Grip-Last`.
    pub last: Vec<(String, String)>,
    /// Its place among those who ask that backend again.
    pub permit: Option<Permit>,
}

/// What the end of a hold needs, and what asking the backend needs.
#[derive(Debug)]
pub(super) enum Ending {
    /// A stream that never asks.
    Stream {
        /// The connection goes on.
        keep_alive: bool,
        status: u16,
        /// Index of the target that answered.
        target: u16,
        route: Arc<Route>,
    },
    /// One that may.
    Follower(Box<Follows>),
    LongPoll(Box<LongPoll>),
}

/// A stream that asks its backend: for what its next link has, or what its filters want to know;
/// or whose end its backend wants to know of.
#[derive(Debug)]
pub(super) struct Follows {
    keep_alive: bool,
    status: u16,
    terms: Terms,
    link: Option<Box<Follower>>,
    _gone: Option<Gone>,
}

/// How a stream's or a long-poll's session goes on.
enum Turn {
    /// It waits on.
    On,
    /// It is over, for this reason.
    Over(Result<Event, Left>),
    /// The request is made again.
    Retry(Option<Permit>),
}

impl Ending {
    /// Keeps no more than a stream needs: most need nothing.
    pub(super) fn stream(
        instruct: &Instruct,
        keep_alive: bool,
        link: Option<Box<Follower>>,
        terms: Terms,
        gone: Option<Gone>,
    ) -> Self {
        let status = instruct.response.code;
        if link.is_none() && gone.is_none() && !asks(instruct) {
            return Self::Stream {
                keep_alive,
                status,
                target: u16::try_from(terms.target).unwrap_or(u16::MAX),
                route: terms.route,
            };
        }
        Self::Follower(Box::new(Follows {
            keep_alive,
            status,
            terms,
            link,
            _gone: gone,
        }))
    }

    pub(super) fn long_poll(
        response: Response,
        client: &Client<'_>,
        terms: Terms,
        request: Packed,
        gone: Option<Gone>,
    ) -> Self {
        Self::LongPoll(Box::new(LongPoll {
            response,
            version: client.version,
            keep_alive: client.keep_alive,
            debug: client.debug,
            terms,
            request,
            gone,
        }))
    }

    fn terms(&self) -> Option<&Terms> {
        match self {
            Self::Stream { .. } => None,
            Self::Follower(follows) => Some(&follows.terms),
            Self::LongPoll(poll) => Some(&poll.terms),
        }
    }

    fn mode(&self) -> Mode {
        match self {
            Self::Stream { .. } | Self::Follower(_) => Mode::Stream,
            Self::LongPoll(_) => Mode::Response,
        }
    }

    /// The status of a stream's response.
    fn status(&self) -> Option<u16> {
        match self {
            Self::Stream { status, .. } => Some(*status),
            Self::Follower(follows) => Some(follows.status),
            Self::LongPoll(_) => None,
        }
    }

    /// The route taken, and the target that answered.
    fn origin(&self) -> (Arc<Route>, usize) {
        match self {
            Self::Stream { route, target, .. } => (Arc::clone(route), (*target).into()),
            Self::Follower(follows) => follows.terms.origin(),
            Self::LongPoll(poll) => poll.terms.origin(),
        }
    }
}

impl Session {
    /// Parks a request: its socket goes to the shard, and with it what goes out before all else.
    pub fn park(start: Start, socket: ClientSocket, first: Option<Bytes>, early: Early) -> Self {
        start.held.open(socket, first);
        Self {
            held: start.held,
            ending: start.ending,
            early,
            told: start.told,
        }
    }

    /// Waits for the end of the hold, and asks the backend when that is due. `peer`: the client,
    /// for the log.
    ///
    /// # Cancel safety
    /// Dropping it lets the request go and closes its connection.
    pub async fn run(mut self, context: &Context, peer: &Remote) -> Outcome {
        let limit = context.settings.limits.early_bytes;
        // Boxed, each for itself: a parked request that asks nothing is not to have their size.
        if self.follows_at_once() {
            match Box::pin(self.recover(Why::Hint, context)).await {
                Turn::On => {}
                turn => return Box::pin(self.leave(turn, context, peer)).await,
            }
        }
        loop {
            let event = poll_fn(|cx| poll(&self.held, &mut self.early, limit, cx)).await;
            let turn = match event {
                Ok(Event::Recover(why)) => Box::pin(self.recover(why, context)).await,
                Ok(Event::Ask(question)) => Box::pin(self.ask(*question, context)).await,
                event => Turn::Over(event),
            };
            if !matches!(turn, Turn::On) {
                return Box::pin(self.leave(turn, context, peer)).await;
            }
        }
    }

    fn follows_at_once(&mut self) -> bool {
        match &mut self.ending {
            Ending::Follower(follows) => follows.link.as_ref().is_some_and(|link| link.at_once),
            Ending::Stream { .. } | Ending::LongPoll(_) => false,
        }
    }

    /// Asks the backend how things stand.
    async fn recover(&mut self, why: Why, context: &Context) -> Turn {
        tracing::debug!(why = why.name(), "the backend is asked again");
        Family::Recoveries.add(why.name());
        let limit = context.settings.limits.early_bytes;
        let Self {
            held,
            ending,
            early,
            ..
        } = self;
        match ending {
            Ending::Stream { .. } => Turn::On,
            Ending::LongPoll(poll) => {
                let Some(home) = &poll.terms.home else {
                    return Turn::Retry(None);
                };
                let priority = match why {
                    Why::Hint => Priority::High,
                    _ => Priority::Low,
                };
                let budget = context.forwarder.budget();
                match during(held, early, limit, budget.enter(home, priority)).await {
                    Ok(permit) => Turn::Retry(Some(permit)),
                    Err(end) => Turn::Over(end),
                }
            }
            Ending::Follower(follows) => {
                let Some(link) = &mut follows.link else {
                    return Turn::On;
                };
                let followed = during(held, early, limit, link.follow(held, context, why)).await;
                link.at_once = false;
                match followed {
                    Err(end) => return Turn::Over(end),
                    Ok(Followed::Held) => {}
                    Ok(Followed::Ended) => held.end(),
                    Ok(Followed::Failed(text)) => {
                        fail(held, &text, follows.terms.debug);
                    }
                }
                Turn::On
            }
        }
    }

    /// Asks the backend what a filter wants to know.
    async fn ask(&mut self, question: crate::hub::Question, context: &Context) -> Turn {
        let Self {
            held,
            ending,
            early,
            ..
        } = self;
        let Some(terms) = ending.terms() else {
            return Turn::On;
        };
        let asked = ask::ask(&question, terms, held.last_ids(), context);
        match during(held, early, context.settings.limits.early_bytes, asked).await {
            Ok(reply) => {
                held.answer(question.ask, &reply.as_reply());
                Turn::On
            }
            Err(end) => Turn::Over(end),
        }
    }

    /// Makes of the connection what it becomes, and tells of the end.
    async fn leave(self, turn: Turn, context: &Context, peer: &Remote) -> Outcome {
        let Self {
            held,
            ending,
            early,
            told,
        } = self;
        let cause = cause(&turn);
        let turn = match turn {
            Turn::Retry(permit) => return retry(held, ending, &early, permit),
            turn => turn,
        };
        Family::HoldsEnded.add(cause);
        let (route, target) = ending.origin();
        let mut end = End {
            peer,
            mode: ending.mode(),
            route: &route,
            target,
            status: ending.status(),
            bytes: held.sent(),
            cause,
        };
        let outcome = match turn {
            Turn::Over(Ok(event)) => last(held, ending, early, event, &mut end, context).await,
            _ => Outcome::Over,
        };
        if let Some(told) = told {
            told.end(&end, context.holder.now());
        }
        outcome
    }
}

/// Does what an event wants to be done last. `end`: completed by what a long-poll is answered.
async fn last(
    held: Held<ClientSocket>,
    ending: Ending,
    early: Early,
    event: Event,
    end: &mut End<'_>,
    context: &Context,
) -> Outcome {
    let Some(socket) = held.release() else {
        return Outcome::Over;
    };
    match (event, ending) {
        (Event::Ended, Ending::Stream { keep_alive, .. }) if keep_alive => {
            Outcome::Next(socket, early.0)
        }
        (Event::Ended, Ending::Follower(follows)) if follows.keep_alive => {
            Outcome::Next(socket, early.0)
        }
        (event, Ending::LongPoll(mut poll)) => match poll.last_word(event, context) {
            Some((status, response)) => {
                // While gripd stops, the next request is for somebody else.
                poll.keep_alive &= !context.holder.is_draining();
                end.status = Some(status);
                let (outcome, bytes) = poll.finish(&response, socket, early).await;
                end.bytes += bytes as u64;
                outcome
            }
            None => Outcome::Over,
        },
        (Event::Ended, _) => close(socket).await,
        _ => Outcome::Over,
    }
}

/// Closes a connection on which everything was said: over TLS with a goodbye, without which the
/// end of a body that only the connection ends could be anybody's work.
pub(super) async fn close(mut socket: ClientSocket) -> Outcome {
    let _ = tokio::time::timeout(GOODBYE, socket.shutdown()).await;
    Outcome::Over
}

/// Ready with the shard's word, or when the client has gone or sends too much.
fn poll(
    held: &Held<ClientSocket>,
    early: &mut Early,
    limit: usize,
    context: &mut TaskContext<'_>,
) -> Poll<Result<Event, Left>> {
    if let Poll::Ready(event) = held.poll(context) {
        return Poll::Ready(Ok(event));
    }
    held.wire(|wire| early.poll_read(wire, limit, context))
        .unwrap_or(Poll::Ready(Left::Gone))
        .map(Err)
}

/// Does something for a paused hold, unless that is over first.
async fn during<T>(
    held: &Held<ClientSocket>,
    early: &mut Early,
    limit: usize,
    work: impl Future<Output = T>,
) -> Result<T, Result<Event, Left>> {
    let mut work = pin!(work);
    poll_fn(|context| {
        if let Poll::Ready(end) = poll(held, early, limit, context) {
            return Poll::Ready(Err(end));
        }
        work.as_mut().poll(context).map(Ok)
    })
    .await
}

/// Ends a stream that cannot go on.
fn fail(held: &Held<ClientSocket>, text: &str, debug: bool) {
    if let Some(left_out) = FAILED.hit(Instant::now()) {
        let left_out = (left_out > 0).then_some(left_out);
        tracing::warn!(left_out, "stream ended: {text}");
    }
    if debug {
        held.append(&Bytes::from(format!("\n\n{text}\n")));
    }
    held.end();
}

fn retry(
    held: Held<ClientSocket>,
    ending: Ending,
    Early(early): &Early,
    permit: Option<Permit>,
) -> Outcome {
    let (Ending::LongPoll(poll), Some(socket)) = (ending, held.take_wire()) else {
        return Outcome::Over;
    };
    let Some(request) = poll.request.unpack() else {
        return Outcome::Over;
    };
    Outcome::Retry(Box::new(Retry {
        socket,
        bytes: [&request, &**early].concat(),
        paused: Paused {
            last: held.last_ids(),
            held,
            gone: poll.gone,
            permit,
        },
    }))
}

/// An end in the log's words.
fn cause(turn: &Turn) -> &'static str {
    match turn {
        Turn::On => "",
        Turn::Retry(_) => "asked again",
        Turn::Over(Err(Left::TooMuch)) => "overflow: the client sent too much ahead",
        Turn::Over(Err(Left::Gone) | Ok(Event::Broken)) => "client gone",
        Turn::Over(Ok(event)) => match event {
            Event::Answer { .. } => "answered",
            Event::Ended => "ended",
            Event::Failed(_) => "failed",
            Event::Timeout => "timeout",
            Event::Overflow => "overflow: the client does not read",
            Event::Ask(_)
            | Event::Broken
            | Event::Close { .. }
            | Event::Recover(_)
            | Event::Refresh
            | Event::Tick => "",
        },
    }
}

/// How long a client may take for the goodbye.
const GOODBYE: Duration = Duration::from_secs(2);

static FAILED: Every = Every::new(Duration::from_secs(1));
