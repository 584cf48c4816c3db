//! How a parked WebSocket comes to its end, and what is told of that.

use std::time::Duration;

use super::{Parked, Socket, client::farewell};
use crate::{
    grip::{instruct::Mode, over_http::End},
    hold::{notice, start::Context},
    hub::Wire,
    socket::Remote,
    telemetry::{counters::Family, limit::Every},
    websocket::{fault::Fault, frame},
};

/// What brought the end about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// The backend has sent a close frame.
    Backend,
    /// The client has sent one.
    Client,
    /// The backend has let go of it.
    Ended,
    /// The backend could not be spoken to.
    Failed,
    /// The client's connection is over.
    Gone,
    /// Too much waited for the client.
    Overflow,
    /// The client has broken the protocol.
    Protocol,
    /// A close frame was published, or the client was too slow.
    Publisher,
    /// The server stops.
    Stop,
}

impl Cause {
    /// In the log's words.
    fn name(self) -> &'static str {
        match self {
            Self::Backend => "closed by the backend",
            Self::Client => "closed by the client",
            Self::Ended => "ended by the backend",
            Self::Failed => "failed",
            Self::Gone => "client gone",
            Self::Overflow => "overflow: the client does not read",
            Self::Protocol => "the client broke the protocol",
            Self::Publisher => "closed by an item, or too slow",
            Self::Stop => "the server stops",
        }
    }
}

impl Socket {
    /// What brings the end about; the first cause stands.
    pub(super) fn because(&mut self, cause: Cause) {
        self.cause.get_or_insert(cause);
    }
}

impl Parked {
    /// The client has broken the protocol.
    pub(super) fn broken(&mut self, fault: Fault) {
        let held = self.held.as_ref();
        let remote: Option<Remote> = held.and_then(|held| held.wire(Wire::remote)?);
        let addr = remote.map(tracing::field::display);
        tracing::debug!(client.addr = addr, %fault, "WebSocket closed");
        self.socket.because(Cause::Protocol);
        self.end_client(Some((fault.code(), fault.to_string())));
    }

    /// Nothing more is said to the client but perhaps a close frame; the backend is told that it has
    /// gone.
    pub(super) fn end_client(&mut self, close: Option<(u16, String)>) {
        let socket = &mut *self.socket;
        socket.deaf = true;
        if let (Some(held), Some((code, reason))) = (&self.held, close) {
            held.close_off();
            held.write(frame::encode_close(Some(code), &reason));
        }
        let Socket { talk, out, .. } = socket;
        talk.client_gone(out);
        self.hang_up();
    }

    /// Lets the client's connection end by itself, while the backend is told.
    pub(super) fn hang_up(&mut self) {
        if let Some(held) = self.held.take() {
            self.socket.because(Cause::Ended);
            self.socket.sent = held.sent() + held.waiting() as u64;
            tokio::task::spawn_local(async move { farewell(held).await });
        }
    }

    /// The client's connection has ended.
    pub(super) fn gone(&mut self) {
        self.socket.because(Cause::Gone);
        if let Some(held) = self.held.take() {
            self.socket.sent = held.sent();
        }
        self.socket.deaf = true;
        let Socket { talk, out, .. } = &mut *self.socket;
        talk.client_gone(out);
    }

    pub(super) fn on_end(&mut self, end: &End) {
        if end.code().is_some()
            && let Some(left_out) = FAILED.hit(std::time::Instant::now())
        {
            let left_out = (left_out > 0).then_some(left_out);
            tracing::warn!(left_out, "WebSocket ended: {end}");
        }
        if end.code().is_some() {
            self.socket.because(Cause::Failed);
        }
        self.socket.deaf = true;
        if let (Some(held), Some(code)) = (&self.held, end.code()) {
            held.close_off();
            let reason = if self.socket.terms.debug {
                end.to_string()
            } else {
                String::new()
            };
            held.write(frame::encode_close(Some(code), &reason));
        }
        self.hang_up();
    }

    /// All is over, with the backend too.
    pub(super) fn over(&self, context: &Context, peer: &Remote) {
        let Socket {
            told,
            cause,
            sent,
            terms,
            ..
        } = &*self.socket;
        let cause = cause.map_or("", Cause::name);
        Family::HoldsEnded.add(cause);
        let Some(told) = told else { return };
        let end = notice::End {
            peer,
            mode: Mode::Message,
            route: &terms.route,
            target: terms.target,
            status: Some(SWITCHED),
            bytes: *sent,
            cause,
        };
        told.end(&end, context.holder.now());
    }
}

/// Status of the answer to the handshake.
const SWITCHED: u16 = 101;

static FAILED: Every = Every::some(10, Duration::from_secs(1));
