//! A WebSocket whose backend speaks HTTP: one session, from its OPEN to its end.
//!
//! [`Session`] is told what the client does, what the backend answers and what time it is, and says
//! what is to be done: send a request, send the client a message, end. At most one request is under
//! way; what the client says meanwhile waits and goes into the next. While nothing happens a
//! session is some words and no buffer.
//!
//! Source: WebSocket-over-HTTP of the GRIP protocol, with accepted and replayed content, as Pushpin
//! speaks it. Done otherwise on purpose: no frame is thrown away, however short; what waits for a
//! slow client to catch up goes out as soon as it has; a CLOSE, or a full buffer, that the backend
//! does not take is offered again some times and then the session ends; messages before a
//! DISCONNECT are delivered; nonsense of the backend closes with 1011; a ping that the backend does
//! not answer is answered here.
//!
//! Not here: sockets and headers (the caller's), frames, and what the backend's messages mean
//! ([`extension`](super::extension), [`ws_control`](super::ws_control)).

mod answer;
mod end;
mod outgoing;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;

use std::time::Duration;

use bytes::Bytes;

use self::{
    answer::Metas,
    outgoing::{Farewell, Offer, Outgoing, Sent},
};
pub use self::{
    answer::{Answer, is_replaced},
    end::{End, Fault},
};
use super::{
    extension::Grip,
    instruct::Header,
    ws_events::{Close, Message},
};

/// What a session keeps to.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// Most bytes of one message, and, about, of all that wait for the backend. Above it the client
    /// is no longer read.
    pub buffer: usize,
    /// One message in a request, for backends that can take no more.
    pub one_event: bool,
    /// Least time between two requests that only keep the session alive.
    pub keep_alive_min: Duration,
}

/// What is to be done, in this order.
#[derive(Debug, PartialEq, Eq)]
pub enum Output {
    /// Send this `POST` and tell what came of it: [`Session::response`] or [`Session::failed`].
    /// There is never another under way.
    Request(Request),
    /// The handshake is granted: answer it with 101.
    Open(Opened),
    /// The handshake is not granted. Nothing follows, the session is over.
    Reject(Refusal),
    /// A message of the backend for the client, whatever the `grip` extension makes of it.
    Message(Message),
    /// A pong for the client that is gripd's own: no prefix is looked for.
    Pong(Bytes),
    /// A close frame for the client. What it answers is told by [`Session::client_close`], unless
    /// [`Output::End`] follows.
    Close(Close),
    /// The client's connection is to be ended, with a close frame before it if the end has a
    /// [code](End::code). Only requests may follow.
    End(End),
}

/// A request to the backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Its body, of type [`CONTENT_TYPE`](super::ws_events::CONTENT_TYPE); may be empty.
    pub body: Bytes,
    /// Value of `Content-Bytes-Replayed`, which is sent only when it is not 0.
    pub replayed: u64,
}

/// What a granted handshake is answered with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// The backend's headers that go into the 101.
    pub headers: Vec<Header>,
    /// The backend speaks GRIP, as far as it is concerned.
    pub grip: Option<Grip>,
}

/// What a refused handshake is answered with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// With 502.
    BadGateway(Fault),
    /// With the backend's answer, which is none of this protocol: its code, its body, and these of
    /// its headers.
    Relay {
        /// The headers.
        headers: Vec<Header>,
    },
}

/// How a request has failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// No target was reached: refused, not in time, or no TLS.
    Unreached,
    /// The connection ended before the backend had read the whole request.
    Unread,
    /// The backend may have read the request.
    Other,
}

/// One WebSocket over HTTP. Times are counted from whatever beginning the caller chose; what is to
/// be done is appended to `out`.
#[derive(Debug)]
pub struct Session {
    rules: Rules,
    phase: Phase,
    client: Client,
    wish: Wish,
    /// Much of what the backend said waits for the client.
    full: bool,
    /// Requests one after the other that brought nothing forward though something is stuck.
    stalls: u8,
    /// As the backend asked for it; at least 20 s.
    keep_alive: Option<Duration>,
    /// When [`Session::tick`] has something to do.
    due: Option<Duration>,
    metas: Metas,
    outgoing: Outgoing,
    farewell: Farewell,
    /// The request under way, or the one that is to be sent again.
    sent: Option<Box<Sent>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The handshake waits for the backend's OPEN.
    Opening,
    Open,
    Over,
}

/// The client's side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Client {
    Open,
    /// Open, but the backend does not want to hear of it any longer.
    Detached,
    /// It has sent a close frame and waits for ours.
    Closing,
    /// It was sent a close frame; its own is awaited.
    Told,
    Gone,
}

/// How much a request is wished for that carries no new message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Wish {
    None,
    /// As soon as the client has taken what waits for it.
    Drained,
    /// As soon as none is under way.
    Now,
}

/// Delays before a request that did not reach its backend is sent again: 1, 2, 4, 8 and 16 s.
const RETRIES: u8 = 5;
/// Times that a CLOSE, or what fills the buffer, is offered again without a byte being taken.
const STALLS: u8 = 5;

impl Session {
    /// A session that has not begun: [`Session::start`] is to be called first.
    pub fn new(rules: Rules) -> Self {
        Self {
            rules,
            phase: Phase::Opening,
            client: Client::Open,
            wish: Wish::None,
            full: false,
            stalls: 0,
            keep_alive: None,
            due: None,
            metas: Metas::default(),
            outgoing: Outgoing::default(),
            farewell: Farewell::None,
            sent: None,
        }
    }

    /// Begins: asks the backend for the handshake.
    pub fn start(&mut self, out: &mut Vec<Output>) {
        self.send(Sent::open(), out);
    }

    /// The client has sent a whole message, a ping or a pong.
    pub fn client_message(&mut self, message: Message, out: &mut Vec<Output>) {
        if self.client != Client::Open || self.phase == Phase::Over {
            return;
        }
        let (size, limit) = (message.content.len(), self.rules.buffer);
        if size > limit {
            out.push(Output::End(End::TooBig { size, limit }));
            return self.client_gone(out);
        }
        self.outgoing.push(message);
        self.pump(out);
    }

    /// The client has sent a close frame: its own, or the answer to ours.
    pub fn client_close(&mut self, close: Close, out: &mut Vec<Output>) {
        if self.phase == Phase::Opening {
            return self.client_gone(out);
        }
        match self.client {
            Client::Open => {
                self.client = Client::Closing;
                self.say(Farewell::close(close));
            }
            Client::Detached => {
                out.push(Output::Close(Close::normal()));
                self.end(End::Closed, out);
            }
            Client::Told => {
                if matches!(self.farewell, Farewell::None) {
                    self.say(Farewell::close(close));
                }
                self.end(End::Closed, out);
            }
            Client::Closing | Client::Gone => {}
        }
        self.pump(out);
    }

    /// The client's connection has ended, or the caller has ended it. What waits for the backend is
    /// thrown away, unless the client had closed before: then it still goes out, with the CLOSE.
    pub fn client_gone(&mut self, out: &mut Vec<Output>) {
        if self.client == Client::Gone || self.phase == Phase::Over {
            return;
        }
        self.client = Client::Gone;
        if matches!(self.farewell, Farewell::None) {
            self.outgoing.clear();
            self.say(Farewell::Disconnect);
            if let Some(sent) = self.sent.as_deref_mut().filter(|sent| sent.waits) {
                sent.replace(Sent::disconnect());
            }
        }
        self.pump(out);
    }

    /// Much of what the backend said waits for the client (`full`), or the client has taken it.
    /// While it is full, the client's messages bring about no request, so that it does not get
    /// fuller.
    pub fn client_full(&mut self, full: bool, out: &mut Vec<Output>) {
        self.full = full;
        self.pump(out);
    }

    /// A publisher, or a gap in what the client has, wants the backend to be asked. While a request
    /// is under way, one follows it, however often this is called.
    pub fn refresh(&mut self, out: &mut Vec<Output>) {
        self.wish = Wish::Now;
        self.pump(out);
    }

    /// A publisher closes the connection. The backend is told, without its code. Without effect
    /// before the handshake is granted, and when a close frame was sent already.
    pub fn publish_close(&mut self, close: Close, out: &mut Vec<Output>) {
        if self.phase != Phase::Open {
            return;
        }
        match self.client {
            Client::Open => {
                self.client = Client::Told;
                self.say(Farewell::close(Close::default()));
                out.push(Output::Close(close.or_normal()));
            }
            Client::Detached => {
                self.client = Client::Told;
                out.push(Output::Close(close.or_normal()));
            }
            Client::Closing => {
                out.push(Output::Close(close.or_normal()));
                self.end(End::Closed, out);
            }
            Client::Told | Client::Gone => {}
        }
        self.pump(out);
    }

    /// The backend does not want to hear of the client any longer: it is told CLOSE, what the
    /// client says from now on is dropped, and the client stays.
    pub fn detach(&mut self, out: &mut Vec<Output>) {
        if self.client == Client::Open && self.phase == Phase::Open {
            self.client = Client::Detached;
            self.say(Farewell::close(Close::default()));
            self.pump(out);
        }
    }

    /// Time has passed. Without effect before [`Session::due`].
    pub fn tick(&mut self, now: Duration, out: &mut Vec<Output>) {
        if self.due().is_none_or(|due| due > now) {
            return;
        }
        self.due = None;
        match self.sent.take() {
            Some(sent) => self.send(*sent, out),
            None if self.phase == Phase::Opening && self.client != Client::Gone => {
                self.send(Sent::open(), out);
            }
            None => {
                let wish = if self.farewell.is_due() {
                    Wish::Now
                } else {
                    Wish::Drained
                };
                self.wish = self.wish.max(wish);
                self.pump(out);
            }
        }
    }

    /// The request under way was not answered. `jitter`: a random fraction of 2^32, by which it is
    /// sent up to a second later, if it is sent again.
    pub fn failed(&mut self, failure: Failure, jitter: u32, now: Duration, out: &mut Vec<Output>) {
        let Some(mut sent) = self.sent.take() else {
            return;
        };
        let may_repeat = failure != Failure::Other || sent.may_repeat();
        if !may_repeat || sent.failures == RETRIES || sent.offer == Offer::Open {
            self.fault(Fault::Failed(failure), &sent, out);
            return self.pump(out);
        }
        let random = Duration::from_millis((u64::from(jitter) * 1000) >> 32);
        self.due = Some(now.saturating_add(Duration::from_secs(1 << sent.failures) + random));
        sent.failures += 1;
        sent.waits = true;
        if matches!(self.farewell, Farewell::Disconnect) {
            sent.replace(Sent::disconnect());
        }
        self.sent = Some(sent);
    }

    /// When [`Session::tick`] is to be called, unless something else happens before.
    pub fn due(&self) -> Option<Duration> {
        self.due.filter(|_| self.phase != Phase::Over)
    }

    /// May the client be read? When not: its messages wait for the backend, and there is no room.
    pub fn wants_reading(&self) -> bool {
        self.client != Client::Open || self.outgoing.size() < self.rules.buffer
    }

    /// There is nothing more to do, and nothing that could be told would have an effect.
    pub fn is_over(&self) -> bool {
        self.phase == Phase::Over
    }

    /// The `Meta-*` headers for each request.
    pub fn metas(&self) -> &[Header] {
        self.metas.headers()
    }

    /// What the backend is told as the last thing.
    fn say(&mut self, farewell: Farewell) {
        self.farewell = farewell;
        self.wish = Wish::Now;
    }

    /// The client is done with. The backend may still have to be told.
    fn end(&mut self, end: End, out: &mut Vec<Output>) {
        self.client = Client::Gone;
        out.push(Output::End(end));
    }

    /// The backend cannot be talked to. Where the client has no need of it any longer, it is just
    /// not told what was to be told.
    fn fault(&mut self, fault: Fault, sent: &Sent, out: &mut Vec<Output>) {
        match self.client {
            Client::Open if self.phase == Phase::Opening => {
                out.push(Output::Reject(Refusal::BadGateway(fault)));
                self.phase = Phase::Over;
            }
            _ if sent.offer == Offer::Open => self.phase = Phase::Over,
            Client::Open | Client::Closing => {
                self.end(End::Fault(fault), out);
                self.phase = Phase::Over;
            }
            // The request was one of those before.
            Client::Gone if self.farewell.is_disconnect() && sent.offer != Offer::Disconnect => {}
            Client::Detached | Client::Told | Client::Gone => {
                self.outgoing.clear();
                self.farewell.give_up();
            }
        }
    }

    /// May the backend be asked anything?
    fn is_heard(&self) -> bool {
        match self.client {
            Client::Open | Client::Closing => true,
            Client::Detached | Client::Told | Client::Gone => self.farewell.is_due(),
        }
    }

    /// Sends what is to be sent, if nothing is under way.
    fn pump(&mut self, out: &mut Vec<Output>) {
        if self.sent.is_some() || self.phase == Phase::Over {
            return;
        }
        if !self.is_heard() {
            self.due = None;
            self.wish = Wish::None;
            if self.client == Client::Gone {
                self.phase = Phase::Over;
            }
            return;
        }
        if self.farewell.is_disconnect() {
            return self.send(Sent::disconnect(), out);
        }
        let wish = match self.wish {
            Wish::Now => true,
            Wish::Drained => !self.full,
            Wish::None => !self.full && self.outgoing.has_new(),
        };
        if wish && self.phase == Phase::Open {
            let again = self.client == Client::Closing;
            let close = self.farewell.to_send(again);
            let sent = self.outgoing.offer(self.rules.one_event, close);
            self.send(sent, out);
        }
    }

    fn send(&mut self, mut sent: Sent, out: &mut Vec<Output>) {
        if !sent.waits {
            self.wish = Wish::None;
        }
        sent.waits = false;
        self.due = None;
        out.push(Output::Request(sent.request.clone()));
        self.sent = Some(Box::new(sent));
    }
}

impl Close {
    fn normal() -> Self {
        Self {
            code: Some(1000),
            reason: String::new(),
        }
    }

    /// No code means that all is well.
    fn or_normal(self) -> Self {
        match self.code {
            None => Self {
                code: Some(1000),
                ..self
            },
            Some(_) => self,
        }
    }
}
