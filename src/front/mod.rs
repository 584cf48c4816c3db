//! A client's connection while it is busy.
//!
//! One task per connection. Between requests it keeps nothing but the socket. When a request's
//! head has passed the gate, a hyper connection is made for this one request and driven until its
//! answer is flushed; then the socket is taken out of it again. If the answer is an instruct, the
//! socket is parked in the thread's shard instead ([`crate::hold`]), and comes back when the hold
//! is over and the client may send its next request.
//!
//! hyper never sees a byte that the gate has not passed: `gated` hands it exactly one request.

mod body;
mod dress;
mod exchange;
mod gated;
mod refusal;
mod request;
mod script;
mod service;
mod story;
mod tunnel;

use std::{cell::Cell, fmt, net::SocketAddr, rc::Rc, sync::Arc};

use bytes::BytesMut;
use tokio::{net::TcpStream, sync::Notify};

use self::{exchange::Exchange, request::Arrival};
use crate::{
    config::Settings,
    grip::connection::{ConnectionId, ConnectionIds},
    hold::{self, Outcome},
    http1::gate,
};

/// What all connections of one thread share.
pub struct Front {
    settings: Arc<Settings>,
    limits: gate::Limits,
    context: hold::Context,
    ids: ConnectionIds,
    /// Tunes a socket that is going to be held.
    tune_held: fn(&TcpStream),
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
    socket: TcpStream,
    /// Bytes read ahead: the beginning of the next request.
    early: BytesMut,
}

/// Who is at the other end.
#[derive(Clone, Copy, Debug)]
struct Peer {
    addr: SocketAddr,
    id: ConnectionId,
}

/// What becomes of a connection after a request.
enum Turn {
    /// It waits for the next request.
    Next(Line),
    /// It is parked.
    Held(hold::Session),
    /// It is parked, and has left HTTP.
    Socket(hold::Parked),
    /// It is over.
    Over,
}

impl Front {
    /// The front of one thread.
    pub fn new(context: hold::Context, tune_held: fn(&TcpStream), ids: ConnectionIds) -> Rc<Self> {
        let settings = Arc::clone(&context.settings);
        let limits = gate::Limits {
            head: settings.limits.request_head,
            target: settings.limits.request_target,
            headers: settings.limits.request_headers,
            body: settings.limits.request_body,
        };
        Rc::new(Self {
            settings,
            limits,
            context,
            ids,
            tune_held,
            drain: Drain::default(),
        })
    }

    /// Serves a client's connection until it is over.
    ///
    /// # Cancel safety
    /// Dropping it closes the connection and cancels what is under way for it.
    pub async fn serve(self: Rc<Self>, socket: TcpStream, peer: SocketAddr) {
        let id = self.ids.next();
        let mut line = Line {
            socket,
            early: BytesMut::new(),
        };
        let mut paused = None;
        // Boxed, each for itself, so that an idle connection has not the size of a busy one, nor a
        // parked one that of either.
        while let Some(head) = Box::pin(self.admit(&mut line, peer)).await {
            let exchange =
                Exchange::new(&self, line, &head, Peer { addr: peer, id }, paused.take());
            let session = match Box::pin(exchange.run()).await {
                Turn::Next(next) => {
                    line = next;
                    continue;
                }
                Turn::Over => return,
                Turn::Held(session) => session,
                // Boxed: a held stream's task is not to have its size.
                Turn::Socket(parked) => return Box::pin(parked.run(&self.context)).await,
            };
            line = match session.run(&self.context).await {
                Outcome::Over => return,
                Outcome::Next(socket, early) => Line {
                    socket,
                    early: early[..].into(),
                },
                Outcome::Retry(retry) => {
                    paused = Some(retry.paused);
                    Line {
                        socket: retry.socket,
                        early: retry.bytes[..].into(),
                    }
                }
            };
        }
    }

    /// Ends idle connections now, and the others after their request.
    pub fn drain(&self) {
        self.drain.begun.set(true);
        self.drain.notify.notify_waiters();
    }

    fn is_draining(&self) -> bool {
        self.drain.begun.get()
    }

    /// Waits for a request; `None` when none comes, or one that is refused.
    async fn admit(&self, line: &mut Line, peer: SocketAddr) -> Option<gate::Head> {
        match self.arrival(line).await {
            Arrival::Gone => None,
            Arrival::Fault(fault) => {
                tracing::debug!(client.addr = %peer, %fault, "request refused");
                Box::pin(refusal::write(&mut line.socket, &fault)).await;
                None
            }
            Arrival::Request(head) => Some(head),
        }
    }
}

impl fmt::Debug for Front {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Front")
            .field("drain", &self.drain)
            .finish_non_exhaustive()
    }
}
