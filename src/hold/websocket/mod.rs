//! WebSockets, parked: what the client sends goes to the backend, what the backend says comes to the
//! client as frames, and what is published comes from the shard between its messages.
//!
//! The backend is spoken to over HTTP ([`Session`](crate::grip::over_http::Session)) or on a
//! connection of its own ([`direct`]); the client's side, here, is the same for both. While nothing
//! happens a WebSocket is its outlet in the shard, this, and a sleeping task: no buffer, no timer of
//! its own, and over HTTP no upstream connection.

mod client;
mod control;
mod direct;
mod end;
mod exchange;
mod join;
mod open;
mod talk;

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    task::{Context as TaskContext, Poll},
    time::Duration,
};

use bytes::{Bytes, BytesMut};

use self::{control::Wishes, end::Cause, exchange::Heard, talk::Talk};
pub use self::{
    join::join,
    open::{Knocked, Start, knock},
};
use super::{ask, notice::Told, start::Context, terms::Terms};
use crate::{
    grip::{
        extension::{Grip, Sorted},
        filter,
        over_http::Output,
        ws_events::{Close, Message},
    },
    hub::{Event, Held, Question},
    socket::{ClientSocket, Remote},
    telemetry::counters::Family,
    websocket::{
        deflate::Agreed,
        frame::{self, Opcode},
        message::Messages,
        read::Peer,
    },
};

/// What a WebSocket keeps beside its place in the shard.
pub(super) struct Socket {
    grip: Option<Grip>,
    talk: Talk,
    terms: Terms,
    agreed: Option<Agreed>,
    wishes: Wishes,
    /// Reads the client's frames; made anew after a pause.
    reader: Option<Box<Messages>>,
    /// Bytes that were read and not yet understood.
    bytes: BytesMut,
    /// Much waits for the client.
    full: bool,
    /// It has sent a close frame or has gone, or is not read any more.
    deaf: bool,
    /// The client is looked at before the backend.
    client_first: bool,
    recovery: Recovery,
    /// Most bytes of one message.
    message_limit: usize,
    /// The connection ends then, whatever the client does.
    deadline: Option<Duration>,
    /// What is to be done next.
    out: Vec<Output>,
    /// For the log's line at the end.
    told: Option<Told>,
    /// What brought the end about.
    cause: Option<Cause>,
    /// Bytes for the client, known when it has gone.
    sent: u64,
}

/// Whether the backend is asked because the client has missed something. What is published meanwhile
/// is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Recovery {
    None,
    Asked,
    /// What was kept may go out, behind what the backend has said.
    Answered,
}

/// A parked WebSocket.
#[derive(Debug)]
pub struct Parked {
    /// `None` once the client has gone: its backend may still have to be told.
    held: Option<Held<ClientSocket>>,
    socket: Box<Socket>,
}

/// A filter's question under way.
type Asking<'c> = Pin<Box<dyn Future<Output = Replied> + 'c>>;

/// A filter's question, and what the backend has said.
type Replied = (filter::Ask, ask::Reply);

/// What a parked WebSocket is woken by.
enum Happened {
    Event(Event),
    /// A filter's question has its answer.
    Replied(Box<Replied>),
    /// Bytes have come.
    Read,
    /// The client has gone.
    Gone,
    /// Something has come of the backend; perhaps a request has come to its end.
    Backend(Option<Heard>),
    /// Something is due, and nobody but the backend is left.
    Due,
    /// The client has taken most of what waited for it.
    Room,
}

impl Parked {
    fn new(held: Held<ClientSocket>, mut socket: Socket, early: &[u8]) -> Self {
        socket.bytes.extend_from_slice(early);
        Self {
            held: Some(held),
            socket: Box::new(socket),
        }
    }

    /// Carries messages both ways until the end. `peer`: the client, for the log.
    ///
    /// # Cancel safety
    /// Dropping it closes the connection; the backend is not told.
    pub async fn run(mut self, context: &Context, peer: &Remote) {
        self.act(context);
        self.understand();
        self.act(context);
        let mut asking = None;
        while !self.socket.talk.is_over() {
            self.arm();
            match self.next(&mut asking, context).await {
                Happened::Event(Event::Ask(question)) => {
                    asking = Some(self.ask(*question, context));
                }
                Happened::Event(event) => self.on_event(event, context),
                Happened::Replied(replied) => {
                    asking = None;
                    self.replied(*replied);
                }
                Happened::Read => self.understand(),
                // Nobody is left, and there is nothing to wait for.
                Happened::Gone if self.held.is_none() => break,
                Happened::Gone => self.gone(),
                Happened::Backend(Some(heard)) => self.heard(heard, context.holder.now()),
                Happened::Due => {
                    let Socket { talk, out, .. } = &mut *self.socket;
                    talk.tick(context.holder.now(), out);
                }
                Happened::Backend(None) | Happened::Room => {}
            }
            self.act(context);
        }
        self.hang_up();
        self.over(context, peer);
    }

    /// Waits for what comes next.
    async fn next(&mut self, asking: &mut Option<Asking<'_>>, context: &Context) -> Happened {
        if self.held.is_some() {
            return poll_fn(|cx| {
                if let Some(asking) = asking
                    && let Poll::Ready(replied) = asking.as_mut().poll(cx)
                {
                    return Poll::Ready(Happened::Replied(Box::new(replied)));
                }
                self.poll(cx)
            })
            .await;
        }
        // Boxed, so that a WebSocket whose client is there has not its size.
        Box::pin(self.next_of_backend(context)).await
    }

    /// The same when only the backend is left to be told, sooner or later.
    async fn next_of_backend(&mut self, context: &Context) -> Happened {
        let Socket { talk, out, .. } = &mut *self.socket;
        if talk.is_under_way() {
            return Happened::Backend(poll_fn(|cx| talk.poll(out, cx)).await);
        }
        let Some(due) = talk.due() else {
            return Happened::Gone;
        };
        let wait = due.saturating_sub(context.holder.now());
        tokio::select! {
            () = tokio::time::sleep(wait) => Happened::Due,
            // A backend that could not be reached need not be waited for.
            () = context.holder.until_draining() => Happened::Gone,
        }
    }

    fn poll(&mut self, cx: &mut TaskContext<'_>) -> Poll<Happened> {
        let Self { held, socket } = self;
        let Some(held) = held else {
            return Poll::Pending;
        };
        if let Poll::Ready(event) = held.poll(cx) {
            return Poll::Ready(Happened::Event(event));
        }
        if socket.full && held.poll_room(ROOM, cx).is_ready() {
            return Poll::Ready(Happened::Room);
        }
        // By turns: neither side can keep the other from being heard by talking without end.
        socket.client_first = !socket.client_first;
        if socket.client_first
            && let happened @ Poll::Ready(_) = socket.poll_client(held, cx)
        {
            return happened;
        }
        if let happened @ Poll::Ready(_) = socket.poll_backend(cx) {
            return happened;
        }
        if socket.client_first {
            return Poll::Pending;
        }
        socket.poll_client(held, cx)
    }

    /// Takes what the client has sent apart.
    fn understand(&mut self) {
        let socket = &mut *self.socket;
        let (limit, agreed) = (socket.limit(), socket.agreed);
        let fresh = || Box::new(Messages::new(Peer::Client, limit, agreed));
        let mut reader = socket.reader.take().unwrap_or_else(fresh);
        while !socket.deaf {
            match reader.next(&mut socket.bytes) {
                Ok(Some(message)) => socket.client_says(message),
                Ok(None) => break,
                Err(fault) => return self.broken(fault),
            }
        }
        if socket.deaf {
            socket.bytes.clear();
        }
        // Kept only while it is in the middle of something.
        if !reader.is_idle() {
            socket.reader = Some(reader);
        } else if socket.bytes.is_empty() {
            socket.bytes = BytesMut::new();
        }
    }

    /// A request has come to its end.
    fn heard(&mut self, heard: Heard, now: Duration) {
        let Socket {
            talk,
            out,
            recovery,
            ..
        } = &mut *self.socket;
        if talk.heard(heard, now, out) && *recovery == Recovery::Asked {
            *recovery = Recovery::Answered;
        }
    }

    /// Asks the backend what a filter wants to know. The client is served meanwhile.
    fn ask<'c>(&self, question: Question, context: &'c Context) -> Asking<'c> {
        let terms = self.socket.terms.clone();
        let last = self.held.as_ref().map(Held::last_ids).unwrap_or_default();
        Box::pin(async move {
            let reply = ask::ask(&question, &terms, last, context).await;
            (question.ask, reply)
        })
    }

    fn replied(&self, (ask, reply): Replied) {
        if let Some(held) = &self.held {
            held.answer(ask, &reply.as_reply());
        }
    }

    /// The shard has something to say.
    fn on_event(&mut self, event: Event, context: &Context) {
        let Self {
            held: Some(held),
            socket,
        } = self
        else {
            return;
        };
        let now = context.holder.now();
        let Socket {
            talk,
            out,
            recovery,
            ..
        } = &mut **socket;
        match event {
            Event::Tick => {
                talk.tick(now, out);
                socket.wishes.tick(now, held);
                if socket.deadline.is_some_and(|deadline| deadline <= now) {
                    self.gone();
                }
            }
            Event::Refresh => drop(talk.refresh(out)),
            Event::Recover(why) => {
                tracing::debug!(why = why.name(), "the backend is asked again");
                Family::Recoveries.add(why.name());
                // What cannot be asked for again is lost, and the rest may go out.
                *recovery = if talk.refresh(out) {
                    Recovery::Asked
                } else {
                    Recovery::Answered
                };
            }
            Event::Close { code, reason } => {
                // One that may not be sent makes an empty close frame.
                let code = code.map(|code| u16::try_from(code).unwrap_or_default());
                talk.publish_close(Close { code, reason }, out);
                socket.because(if context.holder.is_draining() {
                    Cause::Stop
                } else {
                    Cause::Publisher
                });
            }
            Event::Overflow => {
                socket.because(Cause::Overflow);
                self.end_client(None);
            }
            // Asked before it came here.
            Event::Ask(_) => {}
            Event::Answer { .. }
            | Event::Broken
            | Event::Ended
            | Event::Failed(_)
            | Event::Timeout => self.gone(),
        }
    }

    /// Does what is to be done, in order.
    fn act(&mut self, context: &Context) {
        // What one thing brings about comes behind the others.
        while !self.socket.out.is_empty() {
            for output in std::mem::take(&mut self.socket.out) {
                self.carry_out(output, context);
            }
        }
        let socket = &mut *self.socket;
        if let Some(held) = &self.held {
            if socket.recovery == Recovery::Answered {
                socket.recovery = Recovery::None;
                held.go_on();
            }
            let full = held.waiting() > ROOM;
            if full != socket.full {
                socket.full = full;
                let Socket { talk, out, .. } = socket;
                talk.client_full(full, out);
                self.act(context);
            }
        }
    }

    fn carry_out(&mut self, output: Output, context: &Context) {
        match output {
            Output::Request(request) => self.socket.talk.ask(request),
            Output::Message(message) => self.relay(message, context),
            Output::Pong(payload) => self.write(frame::encode(Opcode::Pong, &payload)),
            Output::Close(close) => {
                self.socket.because(Cause::Backend);
                if let Some(held) = &self.held {
                    held.close_off();
                }
                self.write(frame::encode_close(close.code, &close.reason));
                let wait = if context.holder.is_draining() {
                    LAST_ECHO
                } else {
                    ECHO
                };
                self.socket.deadline = Some(context.holder.now() + wait);
            }
            Output::End(end) => self.on_end(&end),
            // Before the handshake was granted only.
            Output::Open(_) | Output::Reject(_) => {}
        }
    }

    /// A message of the backend.
    fn relay(&mut self, message: Message, context: &Context) {
        let message = match &self.socket.grip {
            None => message,
            Some(grip) => match grip.sort(message) {
                Sorted::Relay(message) => message,
                Sorted::Control(text) => return self.control(&text, context),
                Sorted::Drop => {
                    tracing::debug!("a backend's message without the message prefix is dropped");
                    return;
                }
            },
        };
        let frame = self.socket.frame(message.kind, &message.content);
        self.write(frame);
    }

    fn write(&self, frame: Bytes) {
        if let Some(held) = &self.held {
            held.write(frame);
        }
    }

    /// Sees to being woken when something is due.
    fn arm(&self) {
        let Some(held) = &self.held else { return };
        let socket = &*self.socket;
        let times = [socket.talk.due(), socket.wishes.due(held), socket.deadline];
        held.wake_at(times.into_iter().flatten().min());
    }
}

/// Bytes that may wait for a client before its messages bring about no further request.
const ROOM: usize = 200_000;

/// How long the client may take to answer a close frame.
const ECHO: Duration = Duration::from_secs(10);

/// The same when the server stops.
const LAST_ECHO: Duration = Duration::from_secs(2);
