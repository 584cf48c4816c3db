//! A parked request: one small task that waits for its shard's word, for bytes of its client, and
//! for its client's going; and that asks the backend when its shard wants it to.

use std::{
    future::{Future, poll_fn},
    io,
    pin::pin,
    task::{Context as TaskContext, Poll},
    time::{Duration, Instant},
};

use bytes::Bytes;
use tokio::net::TcpStream;

use super::{
    ask,
    gone::Gone,
    link::{Followed, Follower},
    long_poll::LongPoll,
    notice::Told,
    packed::Packed,
    start::{Client, Context, Start},
    terms::Terms,
};
use crate::{
    forward::{Permit, Priority},
    grip::instruct::Response,
    hub::{Event, Held, Why, Wire},
    telemetry::limit::Every,
};

/// A parked request.
#[derive(Debug)]
pub struct Session {
    held: Held<TcpStream>,
    ending: Ending,
    early: Early,
    told: Option<Box<Told>>,
}

/// Why a hold ended without its shard's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Left {
    /// The client has gone.
    Gone,
    /// It sent more than may wait.
    TooMuch,
}

/// What a client sent ahead while its request was held.
#[derive(Debug)]
pub struct Early {
    /// The bytes, in order.
    pub bytes: Vec<u8>,
    /// Most of them. One more, and the hold ends.
    pub limit: usize,
}

/// What becomes of the connection.
#[derive(Debug)]
pub enum Outcome {
    /// It is ready for the next request, of which these bytes are there already.
    Next(TcpStream, Vec<u8>),
    /// It is over.
    Over,
    /// Its request is to be made again.
    Retry(Box<Retry>),
}

/// A long-poll whose backend is to be asked again.
#[derive(Debug)]
pub struct Retry {
    /// The client's connection.
    pub socket: TcpStream,
    /// The bytes of the whole request, as if it had just come, and what the client sent ahead.
    pub bytes: Vec<u8>,
    /// The hold, which goes on with the answer's instruct.
    pub paused: Paused,
}

/// A hold that waits for what its backend says. Dropping it ends it.
#[derive(Debug)]
pub struct Paused {
    pub(super) held: Held<TcpStream>,
    pub(super) gone: Option<Gone>,
    /// The newest id of each channel, for `Grip-Last`.
    pub last: Vec<(String, String)>,
    /// Its place among those who ask that backend again.
    pub permit: Option<Permit>,
}

/// What the end of a hold needs, and what asking the backend needs.
#[derive(Debug)]
pub(super) enum Ending {
    /// A stream that never asks: whether the connection goes on.
    Stream {
        keep_alive: bool,
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
        keep_alive: bool,
        link: Option<Box<Follower>>,
        terms: Terms,
        gone: Option<Gone>,
        asks: bool,
    ) -> Self {
        if link.is_none() && gone.is_none() && !asks {
            return Self::Stream { keep_alive };
        }
        Self::Follower(Box::new(Follows {
            keep_alive,
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
}

impl Session {
    /// Parks a request: its socket goes to the shard, and the opening of a stream with it.
    pub fn park(mut start: Start, socket: TcpStream, early: Early) -> Self {
        let opening = start.opening();
        start.held.open(socket, opening);
        Self {
            held: start.held,
            ending: start.ending,
            early,
            told: start.told,
        }
    }

    /// Waits for the end of the hold, and asks the backend when that is due.
    ///
    /// # Cancel safety
    /// Dropping it lets the request go and closes its connection.
    pub async fn run(mut self, context: &Context) -> Outcome {
        // Boxed, each for itself: a parked request that asks nothing is not to have their size.
        if self.follows_at_once() {
            match Box::pin(self.recover(Why::Hint, context)).await {
                Turn::On => {}
                turn => return Box::pin(self.leave(turn, context)).await,
            }
        }
        loop {
            let event = poll_fn(|cx| poll(&self.held, &mut self.early, cx)).await;
            let turn = match event {
                Ok(Event::Recover(why)) => Box::pin(self.recover(why, context)).await,
                Ok(Event::Ask(question)) => Box::pin(self.ask(*question, context)).await,
                event => Turn::Over(event),
            };
            if !matches!(turn, Turn::On) {
                return Box::pin(self.leave(turn, context)).await;
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
        tracing::debug!(?why, "the backend is asked again");
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
                match during(held, early, budget.enter(home, priority)).await {
                    Ok(permit) => Turn::Retry(Some(permit)),
                    Err(end) => Turn::Over(end),
                }
            }
            Ending::Follower(follows) => {
                let Some(link) = &mut follows.link else {
                    return Turn::On;
                };
                let followed = during(held, early, link.follow(held, context, why)).await;
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
        match during(held, early, asked).await {
            Ok(reply) => {
                held.answer(question.ask, &reply.as_reply());
                Turn::On
            }
            Err(end) => Turn::Over(end),
        }
    }

    /// Makes of the connection what it becomes.
    async fn leave(self, turn: Turn, context: &Context) -> Outcome {
        let Self {
            held,
            ending,
            early,
            told,
        } = self;
        if let Some(told) = told {
            told.end(cause(&turn));
        }
        let event = match turn {
            Turn::On | Turn::Over(Err(_)) => return Outcome::Over,
            Turn::Retry(permit) => return retry(held, ending, &early, permit),
            Turn::Over(Ok(event)) => event,
        };
        let Some(socket) = held.release() else {
            return Outcome::Over;
        };
        match (event, ending) {
            (Event::Ended, Ending::Stream { keep_alive: true }) => {
                Outcome::Next(socket, early.bytes)
            }
            (Event::Ended, Ending::Follower(follows)) if follows.keep_alive => {
                Outcome::Next(socket, early.bytes)
            }
            (event, Ending::LongPoll(mut poll)) => match poll.last_word(event, context) {
                Some(response) => {
                    // While gripd stops, the next request is for somebody else.
                    poll.keep_alive &= !context.holder.is_draining();
                    poll.finish(&response, socket, early).await
                }
                None => Outcome::Over,
            },
            _ => Outcome::Over,
        }
    }
}

/// Ready with the shard's word, or when the client has gone or sends too much.
fn poll(
    held: &Held<TcpStream>,
    early: &mut Early,
    context: &mut TaskContext<'_>,
) -> Poll<Result<Event, Left>> {
    if let Poll::Ready(event) = held.poll(context) {
        return Poll::Ready(Ok(event));
    }
    held.wire(|wire| early.poll_read(wire, context))
        .unwrap_or(Poll::Ready(Left::Gone))
        .map(Err)
}

/// Does something for a paused hold, unless that is over first.
async fn during<T>(
    held: &Held<TcpStream>,
    early: &mut Early,
    work: impl Future<Output = T>,
) -> Result<T, Result<Event, Left>> {
    let mut work = pin!(work);
    poll_fn(|context| {
        if let Poll::Ready(end) = poll(held, early, context) {
            return Poll::Ready(Err(end));
        }
        work.as_mut().poll(context).map(Ok)
    })
    .await
}

/// Ends a stream that cannot go on.
fn fail(held: &Held<TcpStream>, text: &str, debug: bool) {
    if let Some(left_out) = FAILED.hit(Instant::now()) {
        let left_out = (left_out > 0).then_some(left_out);
        tracing::warn!(left_out, "stream ended: {text}");
    }
    if debug {
        held.append(&Bytes::from(format!("\n\n{text}\n")));
    }
    held.end();
}

fn retry(held: Held<TcpStream>, ending: Ending, early: &Early, permit: Option<Permit>) -> Outcome {
    let (Ending::LongPoll(poll), Some(socket)) = (ending, held.take_wire()) else {
        return Outcome::Over;
    };
    Outcome::Retry(Box::new(Retry {
        socket,
        bytes: [poll.request.unpack(), early.bytes.clone()].concat(),
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

impl Early {
    /// Reads ahead; ready when the client has gone or has sent too much.
    fn poll_read(&mut self, wire: &impl Wire, context: &mut TaskContext<'_>) -> Poll<Left> {
        loop {
            match wire.poll_read_ready(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(_)) => return Poll::Ready(Left::Gone),
                Poll::Ready(Ok(())) => {}
            }
            let mut buffer = [0; 1024];
            match wire.try_read(&mut buffer) {
                Ok(0) => return Poll::Ready(Left::Gone),
                Ok(read) if self.bytes.len() + read > self.limit => {
                    return Poll::Ready(Left::TooMuch);
                }
                Ok(read) => self.bytes.extend_from_slice(&buffer[..read]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return Poll::Ready(Left::Gone),
            }
        }
    }
}

static FAILED: Every = Every::new(Duration::from_secs(1));
