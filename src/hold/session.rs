//! A parked request: one small task that waits for its shard's word, for bytes of its client, and
//! for its client's going.

use std::{
    future::poll_fn,
    io,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use tokio::{io::AsyncWriteExt, net::TcpStream};

use super::{
    answer,
    notice::Told,
    start::{Client, Start},
};
use crate::{
    forward,
    grip::{
        delivery::bare::{self as delivery, Decision, Standing},
        instruct::Response,
    },
    http1::gate::Version,
    hub::{Event, Held, Prepared, Wire},
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
}

/// What the end of a hold needs.
#[derive(Debug)]
pub(super) enum Ending {
    /// A stream: whether the connection goes on.
    Stream {
        keep_alive: bool,
    },
    LongPoll(Box<LongPoll>),
}

/// A long-poll: what it is answered with when nothing else comes.
#[derive(Debug)]
pub(super) struct LongPoll {
    response: Response,
    version: Version,
    keep_alive: bool,
    debug: bool,
}

impl Ending {
    pub(super) fn stream(keep_alive: bool) -> Self {
        Self::Stream { keep_alive }
    }

    pub(super) fn long_poll(response: Response, client: &Client<'_>) -> Self {
        let Client {
            version,
            keep_alive,
            debug,
            ..
        } = *client;
        Self::LongPoll(Box::new(LongPoll {
            response,
            version,
            keep_alive,
            debug,
        }))
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

    /// Waits for the end of the hold.
    ///
    /// # Cancel safety
    /// Dropping it lets the request go and closes its connection.
    pub async fn run(mut self) -> Outcome {
        let event = poll_fn(|context| self.poll(context)).await;
        let Self {
            held,
            ending,
            early,
            told,
        } = self;
        if let Some(told) = told {
            told.end(cause(&event));
        }
        let (Ok(event), Some(socket)) = (event, held.release()) else {
            return Outcome::Over;
        };
        match (event, ending) {
            (Event::Ended, Ending::Stream { keep_alive: true }) => {
                Outcome::Next(socket, early.bytes)
            }
            (Event::Answer(item), Ending::LongPoll(poll)) => {
                let response = poll.answer(&item);
                Box::pin(poll.finish(&response, socket, early)).await
            }
            (Event::Timeout, Ending::LongPoll(poll)) => {
                Box::pin(poll.finish(&poll.response, socket, early)).await
            }
            _ => Outcome::Over,
        }
    }

    /// Ready with the shard's word, or when the client has gone or sends too much.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<Event, Left>> {
        if let Poll::Ready(event) = self.held.poll(context) {
            return Poll::Ready(Ok(event));
        }
        let early = &mut self.early;
        self.held
            .wire(|wire| early.poll_read(wire, context))
            .unwrap_or(Poll::Ready(Left::Gone))
            .map(Err)
    }
}

/// An end in the log's words.
fn cause(event: &Result<Event, Left>) -> &'static str {
    match event {
        Ok(Event::Answer(_)) => "answered",
        Ok(Event::Ended) => "ended by close",
        Ok(Event::Timeout) => "timeout",
        Ok(Event::Overflow) => "overflow: the client does not read",
        Ok(Event::Broken) | Err(Left::Gone) => "client gone",
        Err(Left::TooMuch) => "overflow: the client sent too much ahead",
    }
}

impl Early {
    /// Reads ahead; ready when the client has gone or has sent too much.
    fn poll_read(&mut self, wire: &impl Wire, context: &mut Context<'_>) -> Poll<Left> {
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

impl LongPoll {
    fn answer(&self, item: &Arc<Prepared>) -> Response {
        let Decision::Answer(content) = delivery::to_response(item.item(), Standing::default())
        else {
            return self.response.clone();
        };
        answer::merged(&self.response, content).unwrap_or_else(|error| {
            if let Some(left_out) = UNFIT.hit(Instant::now()) {
                let left_out = (left_out > 0).then_some(left_out);
                let channel = item.item().channels.first().map(String::as_str);
                tracing::warn!(channel, %error, left_out, "item cannot answer a long-poll");
            }
            answer::bad_gateway(&if self.debug {
                error.to_string()
            } else {
                forward::GENERIC.to_owned()
            })
        })
    }

    async fn finish(&self, response: &Response, mut socket: TcpStream, early: Early) -> Outcome {
        let bytes = answer::whole(response, self.version, self.keep_alive);
        match write_all(&mut socket, &bytes, STALLED).await {
            Ok(()) if self.keep_alive => Outcome::Next(socket, early.bytes),
            Ok(()) | Err(_) => Outcome::Over,
        }
    }
}

/// Writes everything; an error when the peer takes nothing for `stalled`.
async fn write_all(socket: &mut TcpStream, mut bytes: &[u8], stalled: Duration) -> io::Result<()> {
    while !bytes.is_empty() {
        let written = tokio::time::timeout(stalled, socket.write(bytes)).await??;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        bytes = &bytes[written..];
    }
    Ok(())
}

/// An item goes to every long-poll of its channel: one line says it for all of them.
static UNFIT: Every = Every::new(Duration::from_secs(1));

/// How long a write of an answer may make no progress.
const STALLED: Duration = Duration::from_mins(1);
