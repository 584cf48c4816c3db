//! One held request as its shard keeps it: where its bytes go, what it is subscribed to, when it
//! wants to be told, and the mailbox in which its session finds what became of it.

use std::{rc::Rc, sync::Arc, task::Waker};

use bytes::Bytes;

use super::{
    careful::Careful,
    outlet::{Outlet, Wire, Written},
    piece::{Framing, Piece},
    prepared::Prepared,
    wheel::Millis,
};
use crate::grip::{
    connection::ConnectionId,
    filter,
    instruct::{Header, KeepAliveMode, Mode},
};

/// What a session learns from its shard.
#[derive(Debug)]
pub enum Event {
    /// The long-poll is answered by this item. `body`: what filters made of the item's own.
    Answer {
        /// The item.
        item: Arc<Prepared>,
        /// The body, where filters changed it. Boxed: everybody who is held has room for an event.
        body: Option<Box<Bytes>>,
    },
    /// A filter asks the backend. Items are kept until [`Held::answer`](super::Held::answer).
    Ask(Box<Question>),
    /// The connection broke.
    Broken,
    /// An item closes the WebSocket, or the server stops: nothing is delivered any more, and the
    /// session says goodbye.
    Close {
        /// Close code, if one was given.
        code: Option<u32>,
        /// Close reason.
        reason: String,
    },
    /// The stream was ended properly; its last byte is out.
    Ended,
    /// An item could not be delivered, and the client may read why (route option `debug`).
    Failed(String),
    /// The client left more unread than one connection may, or took nothing for too long.
    Overflow,
    /// The backend is to be asked again. Items are kept until
    /// [`Held::resume`](super::Held::resume).
    Recover(Why),
    /// The backend of a WebSocket is asked, and the hold goes on meanwhile.
    Refresh,
    /// The time has come that the session asked for.
    Tick,
    /// The long-poll's time is over.
    Timeout,
}

/// What a filter asks the backend.
#[derive(Debug)]
pub struct Question {
    /// The request to make; comes back with the reply.
    pub ask: filter::Ask,
    /// What tells it of the item and of the subscription.
    pub headers: [Header; 2],
}

/// Why a backend is asked again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// An item does not follow the one before it, or the channel is further than the instruct.
    Gap,
    /// A publisher says that there is news.
    Hint,
    /// The client was too slow, and what waited for it was dropped.
    Slow,
    /// The next link's time is over.
    Timer,
    /// The channel has just got its first subscribers, or somebody asked for it.
    Update,
}

impl Why {
    /// In a word, for the log and its counter.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gap => "gap",
            Self::Hint => "hint",
            Self::Slow => "slow",
            Self::Timer => "timer",
            Self::Update => "update",
        }
    }
}

impl Event {
    /// What the subscriber does with items from then on; `None`: what it did before.
    fn phase(&self) -> Option<Phase> {
        match self {
            Self::Refresh | Self::Tick => None,
            Self::Ask(_) | Self::Recover(_) => Some(Phase::Paused),
            Self::Close { .. } => Some(Phase::Closing),
            Self::Answer { .. }
            | Self::Broken
            | Self::Ended
            | Self::Failed(_)
            | Self::Overflow
            | Self::Timeout => Some(Phase::Over),
        }
    }

    /// Of two events that nobody has taken yet the graver one stands, or else the first.
    fn gravity(&self) -> u8 {
        match (self, self.phase()) {
            (Self::Tick, _) => 0,
            (_, None) => 1,
            (_, Some(Phase::Open | Phase::Paused)) => 2,
            (_, Some(Phase::Closing)) => 3,
            (_, Some(Phase::Over)) => 4,
        }
    }
}

/// What becomes of a connection that leaves more unread than it may (route option `overflow`,
/// setting `grip.overflow`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Overflow {
    /// It is closed.
    #[default]
    Close,
    /// What waits is dropped, but for the newest item of each channel.
    Latest,
    /// What waits is dropped, and the backend is asked again.
    Recover,
}

/// A held request.
#[derive(Debug)]
pub(super) struct Subscriber<W> {
    /// Tells this one from another that had its slot before, and its present subscriptions from
    /// those before them.
    pub(super) serial: u32,
    /// The last of its records in the pass under way.
    pub(super) last_record: Option<u32>,
    pub(super) outlet: Outlet<W>,
    pub(super) mode: Mode,
    pub(super) phase: Phase,
    pub(super) overflow: Overflow,
    /// Its backend can be asked again: a long-poll's, or a stream's with a next link.
    pub(super) recovers: bool,
    /// Its body is a stream of events.
    pub(super) events: bool,
    pub(super) subscriptions: Vec<Subscription>,
    pub(super) alarm: Alarm,
    /// When an item was sent last.
    pub(super) sent: Millis,
    /// By which it can be closed.
    pub(super) connection: ConnectionId,
    /// What only some need.
    pub(super) careful: Option<Box<Careful>>,
    event: Option<Event>,
    waker: Option<Waker>,
}

/// What a held request does with items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// It takes them.
    Open,
    /// Its session asks the backend: they are kept.
    Paused,
    /// They are left out; its session still says something.
    Closing,
    /// Nothing more reaches it.
    Over,
}

/// Where the shard keeps one of a subscriber's channels.
#[derive(Clone, Copy, Debug)]
pub(super) struct Subscription {
    /// The channel's place in the shard's table.
    pub(super) channel: u32,
    /// This subscriber's place among the channel's members of its kind.
    pub(super) position: u32,
    /// What it gets is decided for it alone.
    pub(super) careful: bool,
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
    /// To wake a session.
    Wake(Millis),
}

/// A keep-alive, shared by all streams that ask for the same.
#[derive(Debug)]
pub(super) struct KeepAlive {
    pub(super) piece: Rc<Piece>,
    pub(super) mode: KeepAliveMode,
    pub(super) interval: Millis,
}

impl<W: Wire> Subscriber<W> {
    pub(super) fn new(serial: u32, mode: Mode, framing: Framing, now: Millis) -> Self {
        Self {
            serial,
            last_record: None,
            outlet: Outlet::new(framing),
            mode,
            phase: Phase::Open,
            overflow: Overflow::default(),
            recovers: false,
            events: false,
            subscriptions: Vec::new(),
            alarm: Alarm::Off,
            sent: now,
            connection: ConnectionId::default(),
            careful: None,
            event: None,
            waker: None,
        }
    }

    /// Nothing more reaches it.
    pub(super) fn is_over(&self) -> bool {
        self.phase == Phase::Over
    }

    /// Marks the end of the body as queued.
    pub(super) fn end(&mut self) {
        self.phase = Phase::Over;
    }

    /// It keeps items from now on, and its session asks the backend of its own accord: it need not
    /// be told to.
    pub(super) fn pause(&mut self) {
        self.phase = Phase::Paused;
        self.event
            .take_if(|event| event.phase() == Some(Phase::Paused));
    }

    /// The client has taken all that was under way to it.
    pub(super) fn cleared(&mut self) {
        let is_over = self.is_over();
        if let Some(careful) = self.careful.as_deref_mut()
            && std::mem::take(&mut careful.when_clear)
            && !is_over
        {
            // It was asked for meanwhile, too: this is it.
            careful.again = false;
            self.tell(Event::Recover(Why::Slow));
        }
    }

    /// What only some need, made if need be.
    pub(super) fn careful(&mut self) -> &mut Careful {
        self.careful.get_or_insert_default()
    }

    /// Tells the session. Of two events that it has not taken yet the graver one stands.
    pub(super) fn tell(&mut self, event: Event) {
        if let Some(phase) = event.phase() {
            self.phase = phase;
        }
        let waiting = self.event.as_ref().map(Event::gravity);
        if waiting.is_none_or(|waiting| waiting < event.gravity()) {
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
        if event.is_none() && !self.waker.as_ref().is_some_and(|old| old.will_wake(waker)) {
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
