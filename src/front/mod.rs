//! A client's connection while it is busy.
//!
//! Between requests a connection keeps nothing but the socket. When a request's head has passed
//! the gate, a hyper connection is made for this one request and driven until its answer is
//! flushed; then the socket is taken out of it again. If the answer is an instruct, the socket is
//! parked in the thread's shard instead ([`crate::hold`]), and comes back when the hold is over and
//! the client may send its next request.
//!
//! hyper never sees a byte that the gate has not passed: `gated` hands it exactly one request.

mod body;
mod dress;
mod exchange;
mod gated;
mod http2;
mod refusal;
mod request;
mod script;
mod service;
mod story;
mod tunnel;

use std::{cell::Cell, fmt, future::Future, pin::Pin, rc::Rc, sync::Arc};

use bytes::BytesMut;
use tokio::{sync::Notify, task::spawn_local};

pub use self::service::socket_headers;
use self::{exchange::Exchange, request::Arrival};
use crate::{
    config::{Limits, Settings},
    grip::connection::{ConnectionId, ConnectionIds},
    hold::{self, Outcome, Paused, Session},
    http1::gate::{self, Fault},
    socket::{ClientSocket, Remote},
    telemetry::counters::Family,
};

/// What all connections of one thread share.
pub struct Front {
    settings: Arc<Settings>,
    limits: gate::Limits,
    context: hold::Context,
    ids: ConnectionIds,
    /// Tunes a socket that is going to be held.
    tune_held: fn(&ClientSocket),
    drain: Drain,
}

/// Tells idle connections that the server is stopping.
#[derive(Debug, Default)]
struct Drain {
    begun: Cell<bool>,
    notify: Notify,
}

/// A client connection between two requests.
#[derive(Debug)]
struct Line {
    socket: ClientSocket,
    /// Bytes read ahead: the beginning of the next request.
    early: BytesMut,
    /// No request has come on it yet.
    is_new: bool,
}

/// Who is at the other end.
#[derive(Clone, Copy, Debug)]
struct Peer {
    remote: Remote,
    /// It came over TLS.
    secure: bool,
    id: ConnectionId,
}

/// A connection that has just come.
#[derive(Debug)]
pub struct Arrived {
    /// The connection.
    pub socket: ClientSocket,
    /// What was read of it already.
    pub early: BytesMut,
    /// Who is at its end.
    pub remote: Remote,
    /// It came over TLS.
    pub secure: bool,
}

/// What becomes of a connection after a request.
enum Turn {
    /// It waits for the next request.
    Next(Line),
    /// It is parked.
    Held(Session),
    /// It is parked, and has left HTTP.
    Socket(hold::Parked),
    /// It speaks HTTP/2.
    Http2(Line),
    /// It is over.
    Over,
}

/// What the gate lets pass, by the settings.
pub fn gate_limits(limits: &Limits) -> gate::Limits {
    gate::Limits {
        head: limits.request_head,
        target: limits.request_target,
        headers: limits.request_headers,
        body: limits.request_body,
    }
}

impl Arrived {
    /// One of which nothing was read.
    pub fn plain(socket: ClientSocket, remote: Remote) -> Self {
        Self {
            socket,
            early: BytesMut::new(),
            remote,
            secure: false,
        }
    }
}

impl Front {
    /// The front of one thread.
    pub fn new(
        context: hold::Context,
        tune_held: fn(&ClientSocket),
        ids: ConnectionIds,
    ) -> Rc<Self> {
        let settings = Arc::clone(&context.settings);
        Rc::new(Self {
            limits: gate_limits(&settings.limits),
            settings,
            context,
            ids,
            tune_held,
            drain: Drain::default(),
        })
    }

    /// Serves a client's connection until it is over. `ticket` is dropped then.
    ///
    /// Busy and parked it has a task each, since a task keeps the size of the largest thing that was
    /// ever done in it. Ending the runtime's local set closes it and cancels what is under way.
    pub fn serve(self: Rc<Self>, arrived: Arrived, ticket: impl Sized + 'static) {
        let Arrived {
            socket,
            early,
            remote,
            secure,
        } = arrived;
        let id = self.ids.next();
        let line = Line {
            socket,
            early,
            is_new: true,
        };
        self.attend(line, Peer { remote, secure, id }, None, ticket);
    }

    /// Answers requests, in a task of its own.
    fn attend(
        self: Rc<Self>,
        line: Line,
        peer: Peer,
        paused: Option<Paused>,
        ticket: impl Sized + 'static,
    ) {
        let attending = async move {
            match self.answer(line, peer, paused).await {
                Turn::Next(_) | Turn::Over => {}
                Turn::Held(session) => drop(spawn_local(self.keep(session, peer, ticket))),
                Turn::Http2(line) => http2::attend(self, line, peer, ticket),
                Turn::Socket(parked) => {
                    spawn_local(async move {
                        parked.run(&self.context, &peer.remote).await;
                        drop(ticket);
                    });
                }
            }
        };
        // A type without a name: the two tasks begin each other.
        let attending: Pin<Box<dyn Future<Output = ()>>> = Box::pin(attending);
        spawn_local(attending);
    }

    /// Answers one request after the other, until the connection is parked or over.
    async fn answer(
        self: &Rc<Self>,
        mut line: Line,
        peer: Peer,
        mut paused: Option<Paused>,
    ) -> Turn {
        // Boxed, each for itself, so that an idle connection has not the size of a busy one.
        loop {
            let head = match Box::pin(self.arrival(&mut line)).await {
                Arrival::Gone => return Turn::Over,
                Arrival::Fault(fault) => {
                    self.refused(peer.remote, &fault);
                    Box::pin(refusal::write(&mut line.socket, &fault)).await;
                    return Turn::Over;
                }
                Arrival::Http2 => return Turn::Http2(line),
                Arrival::Request(head) => head,
            };
            let exchange = Exchange::new(self, line, &head, peer, paused.take());
            match Box::pin(exchange.run()).await {
                Turn::Next(next) => line = next,
                turn => return turn,
            }
        }
    }

    /// Keeps a parked connection, and goes on with it when its hold is over.
    async fn keep(self: Rc<Self>, session: Session, peer: Peer, ticket: impl Sized + 'static) {
        let (socket, early, paused) = match session.run(&self.context, &peer.remote).await {
            Outcome::Over => return,
            Outcome::Next(socket, early) => (socket, early, None),
            Outcome::Retry(retry) => (retry.socket, retry.bytes, Some(retry.paused)),
        };
        let line = Line {
            socket,
            early: early[..].into(),
            is_new: false,
        };
        self.attend(line, peer, paused, ticket);
    }

    /// Ends idle connections now, and the others after their request.
    pub fn drain(&self) {
        self.drain.begun.set(true);
        self.drain.notify.notify_waiters();
    }

    fn is_draining(&self) -> bool {
        self.drain.begun.get()
    }

    /// Counts and tells of a request that did not pass the gate.
    fn refused(&self, peer: Remote, fault: &Fault) {
        Family::Requests.add(exchange::class(Some(fault.status())));
        story::refused(self, peer, fault);
    }
}

impl fmt::Debug for Front {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Front")
            .field("drain", &self.drain)
            .finish_non_exhaustive()
    }
}
