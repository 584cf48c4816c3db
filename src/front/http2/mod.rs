//! A client's connection that speaks HTTP/2 (RFC 9113). The library has the connection for as long
//! as it lives; each of its requests is a task of its own, which answers it as any other request is
//! answered, or parks it ([`stream`]).

mod ahead;
mod request;
mod stream;

use std::{cell::Cell, future::Future, rc::Rc, time::Duration};

use bytes::Bytes;
use h2::server::{Builder, Connection};
use tokio::{
    sync::Notify,
    task::spawn_local,
    time::{Instant, sleep_until, timeout},
};

use self::{ahead::Ahead, request::Asked};
use super::{Front, Line, Peer};
use crate::{config::Limits, socket::Stream};

/// How every connection begins that speaks HTTP/2 (RFC 9113 section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What the first bytes of a connection say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Preface {
    /// It speaks HTTP/2.
    Whole,
    /// So far it might.
    Part,
    /// It does not.
    None,
}

impl Preface {
    pub(super) fn of(bytes: &[u8]) -> Self {
        if bytes.starts_with(PREFACE) {
            Self::Whole
        } else if PREFACE.starts_with(bytes) {
            Self::Part
        } else {
            Self::None
        }
    }
}

/// The requests of a connection that are under way or held.
#[derive(Debug, Default)]
struct Live {
    count: Cell<usize>,
    /// The last of them is over.
    none: Notify,
}

/// One of them.
struct Ticket(Rc<Live>);

impl Ticket {
    fn new(live: &Rc<Live>) -> Self {
        live.count.set(live.count.get() + 1);
        Self(Rc::clone(live))
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let left = self.0.count.get() - 1;
        self.0.count.set(left);
        if left == 0 {
            self.0.none.notify_one();
        }
    }
}

/// Serves a connection until it is over, and with it all its requests. `ticket` is dropped then.
pub(super) fn attend(front: Rc<Front>, line: Line, peer: Peer, ticket: impl Sized + 'static) {
    spawn_local(async move {
        if let Some(connection) = shake(&front, line, peer).await {
            // A task of its own, which has not the size of the handshake.
            spawn_local(serve(front, connection, peer, ticket));
        }
    });
}

/// Begins the connection: the client's first bytes, and what gripd wants it to know.
async fn shake(front: &Front, line: Line, peer: Peer) -> Option<Connection<Ahead, Bytes>> {
    (front.tune_held)(&line.socket);
    let io = Ahead::new(line.socket, line.early);
    let shaking = builder(&front.settings.limits).handshake(io);
    match timeout(front.settings.timeouts.request_head, shaking).await {
        Ok(Ok(connection)) => return Some(connection),
        Ok(Err(error)) => tell(peer, &error),
        Err(_) => tracing::debug!(client.addr = %peer.remote, "the handshake took too long"),
    }
    None
}

/// Takes requests until the client, an error, silence or the server's stop ends the connection.
///
/// Not an `async fn`: that would have room for each of its arguments twice.
#[expect(
    clippy::manual_async_fn,
    reason = "its size is what a connection takes"
)]
fn serve(
    front: Rc<Front>,
    mut connection: Connection<Ahead, Bytes>,
    peer: Peer,
    ticket: impl Sized + 'static,
) -> impl Future<Output = ()> {
    async move {
        let _ticket = &ticket;
        let live = Rc::new(Live::default());
        let keep_alive = front.settings.timeouts.keep_alive;
        let last_words = front.settings.timeouts.drain.max(GOODBYE);
        let mut deadline = Instant::now() + keep_alive;
        let mut ending = false;
        loop {
            let stopping = front.drain.notify.notified();
            if front.is_draining() && !ending {
                ending = true;
                connection.graceful_shutdown();
                deadline = Instant::now() + GOODBYE;
            }
            tokio::select! {
                accepted = connection.accept() => match accepted {
                    Some(Ok((request, respond))) => {
                        let peer = Peer { id: front.ids.next(), ..peer };
                        let stream = Stream::new(respond, peer.remote);
                        let asked = Asked::read(request, &stream, &front.limits);
                        stream::begin(&front, asked, stream, peer, Ticket::new(&live));
                    }
                    Some(Err(error)) => return tell(peer, &error),
                    None => return,
                },
                () = stopping => {}
                () = live.none.notified() => {
                    // Its last answers may still be on their way.
                    deadline = Instant::now() + if ending { last_words } else { keep_alive };
                }
                () = sleep_until(deadline), if live.count.get() == 0 => {
                    if ending {
                        return;
                    }
                    ending = true;
                    connection.graceful_shutdown();
                    deadline = Instant::now() + GOODBYE;
                }
            }
        }
    }
}

fn builder(limits: &Limits) -> Builder {
    let mut builder = Builder::new();
    builder
        .max_concurrent_streams(narrow(limits.streams))
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        // Counted with 32 bytes for each header. The gate counts again, and says what is too much.
        .max_header_list_size(narrow(
            2 * limits.request_head + 32 * limits.request_headers,
        ))
        .max_send_buffer_size(SEND_BUFFER);
    builder
}

fn narrow(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn tell(peer: Peer, error: &h2::Error) {
    tracing::debug!(client.addr = %peer.remote, %error, "connection ended");
}

/// How long a connection that has been told to end is waited for, when nothing is under way on it.
const GOODBYE: Duration = Duration::from_secs(1);

/// Most bytes of a request's body, and of all bodies of a connection, that wait for a backend.
const STREAM_WINDOW: u32 = 256 << 10;
const CONNECTION_WINDOW: u32 = 1 << 20;

/// Most bytes of an answer that the library keeps for a client.
const SEND_BUFFER: usize = 32 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_preface_is_known_by_its_first_bytes() {
        for end in 0..PREFACE.len() {
            assert_eq!(Preface::of(&PREFACE[..end]), Preface::Part, "{end}");
        }
        let more = [PREFACE, &[0; 9]].concat();
        assert_eq!(Preface::of(&more), Preface::Whole);
        for bytes in [
            &b"GET / HTTP/1.1\r\n"[..],
            b"PRI * HTTP/2.0\r\n\r\nX",
            b"PU",
        ] {
            assert_eq!(Preface::of(bytes), Preface::None);
        }
    }
}
