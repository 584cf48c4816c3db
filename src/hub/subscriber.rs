//! One held request as its shard keeps it: where its bytes go, what it is subscribed to, when it
//! wants to be told, and the mailbox in which its session finds what became of it.

use std::{rc::Rc, sync::Arc, task::Waker};

use super::{
    outlet::{Framing, Outlet, Piece, Wire, Written},
    prepared::Prepared,
    wheel::Millis,
};
use crate::grip::instruct::{KeepAliveMode, Mode};

/// What a session learns from its shard. It is the last thing it learns: nothing is delivered
/// after it.
#[derive(Debug)]
pub enum Event {
    /// The long-poll is answered by this item.
    Answer(Arc<Prepared>),
    /// The connection broke.
    Broken,
    /// The stream was ended properly; its last byte is out.
    Ended,
    /// The client left more unread than one connection may.
    Overflow,
    /// The long-poll's time is over.
    Timeout,
}

/// A held request.
#[derive(Debug)]
pub(super) struct Subscriber<W> {
    /// Tells this one from another that had its slot before.
    pub(super) serial: u32,
    /// First and last of its records in the pass under way.
    pub(super) records: Option<(u32, u32)>,
    pub(super) outlet: Outlet<W>,
    pub(super) mode: Mode,
    /// The end of the body is queued: nothing follows it.
    ending: bool,
    pub(super) subscriptions: Vec<Subscription>,
    pub(super) alarm: Alarm,
    /// When something was sent last.
    pub(super) sent: Millis,
    event: Option<Event>,
    waker: Option<Waker>,
}

/// Where the shard keeps one of a subscriber's channels.
#[derive(Clone, Copy, Debug)]
pub(super) struct Subscription {
    /// The channel's place in the shard's table.
    pub(super) channel: u32,
    /// This subscriber's place among the channel's members.
    pub(super) position: u32,
}

/// Why a subscriber wants to be told of the time.
#[derive(Clone, Debug)]
pub(super) enum Alarm {
    /// It does not.
    Off,
    /// To say something when the stream is quiet.
    KeepAlive(Rc<KeepAlive>),
    /// To end a long-poll.
    Timeout(Millis),
}

/// A keep-alive, shared by all streams that ask for the same.
#[derive(Debug)]
pub(super) struct KeepAlive {
    pub(super) piece: Rc<Piece>,
    pub(super) mode: KeepAliveMode,
    pub(super) interval: Millis,
}

impl<W: Wire> Subscriber<W> {
    pub(super) fn new(
        serial: u32,
        mode: Mode,
        framing: Framing,
        alarm: Alarm,
        now: Millis,
    ) -> Self {
        Self {
            serial,
            records: None,
            outlet: Outlet::new(framing),
            mode,
            ending: false,
            subscriptions: Vec::new(),
            alarm,
            sent: now,
            event: None,
            waker: None,
        }
    }

    /// Nothing more reaches it.
    pub(super) fn is_over(&self) -> bool {
        self.ending || self.event.is_some()
    }

    /// Marks the end of the body as queued.
    pub(super) fn end(&mut self) {
        self.ending = true;
    }

    /// Tells the session; the first event stands.
    pub(super) fn tell(&mut self, event: Event) {
        if self.event.is_none() {
            self.event = Some(event);
        }
        self.wake();
    }

    /// Acts on what a write came to.
    pub(super) fn written(&mut self, written: &Written) {
        match written {
            Written::All => {}
            Written::Blocked => self.wake(),
            Written::Last => self.tell(Event::Ended),
            Written::Broken => self.tell(Event::Broken),
        }
    }

    /// Takes what there is for the session, or leaves `waker` to be woken.
    pub(super) fn take_event(&mut self, waker: &Waker) -> Option<Event> {
        let event = self.event.take();
        if event.is_some() {
            // The session acts on it from here on; nothing may follow.
            self.ending = true;
        } else if !self.waker.as_ref().is_some_and(|old| old.will_wake(waker)) {
            self.waker = Some(waker.clone());
        }
        event
    }

    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}
