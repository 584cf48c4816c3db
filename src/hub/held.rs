//! The handle by which a session holds its request in its core's shard, and the loop that drives
//! the shard.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use bytes::Bytes;
use tokio::sync::Notify;

use super::{Ask, Bounds, Event, Hub, Inbox, Progress, Shard, Wire, subscriber::Subscriber};
use crate::grip::{
    delivery::Standing,
    filter::{self, Reply},
};

/// One core's shard, shared by the tasks of its thread.
#[derive(Debug)]
pub struct Holder<W> {
    shard: RefCell<Shard<W>>,
    inbox: Arc<Inbox>,
    began: Instant,
    /// The shard's loop sleeps until then (since the hub began).
    sleeps_until: RefCell<Option<Duration>>,
    /// Every hold is being ended; one that begins now ends at once.
    draining: Cell<bool>,
    drains: Notify,
}

/// A request held in a shard. Dropping it lets the request go.
#[derive(Debug)]
pub struct Held<W: Wire> {
    holder: Rc<Holder<W>>,
    slot: u32,
}

impl<W: Wire> Holder<W> {
    /// The shard number `index` of `hub`.
    ///
    /// # Panics
    /// When the hub has no such shard.
    pub fn new(hub: &Hub, index: usize, bounds: Bounds) -> Rc<Self> {
        let inbox = Arc::clone(&hub.inboxes[index]);
        let shard = Shard::new(
            index,
            Arc::clone(&hub.directory),
            Arc::clone(&inbox),
            bounds,
        );
        Rc::new(Self {
            shard: RefCell::new(shard),
            inbox,
            began: hub.began,
            sleeps_until: RefCell::new(None),
            draining: Cell::new(false),
            drains: Notify::new(),
        })
    }

    /// Holds a request: it is subscribed when this returns, and what is published from now on
    /// waits until [`Held::open`].
    pub fn hold(self: &Rc<Self>, ask: Ask<'_>) -> Held<W> {
        let now = self.began.elapsed();
        let slot = self.shard.borrow_mut().subscribe(ask, now);
        self.settled(slot);
        Held {
            holder: Rc::clone(self),
            slot,
        }
    }

    /// Ends a new hold when the server is stopping.
    fn settled(&self, slot: u32) {
        if self.draining.get() {
            self.shard.borrow_mut().end(slot);
        }
        self.rouse();
    }

    /// The time, since some beginning: the clock of holds.
    pub fn now(&self) -> Duration {
        self.began.elapsed()
    }

    /// Ends every hold properly: streams end, long-polls get their timeout's answer, WebSockets are
    /// closed. One that begins from now on ends at once. The others are spread over `time`, so that
    /// not all of their clients come back together; few need less. What is published meanwhile
    /// reaches those who are left.
    pub async fn drain(&self, time: Duration) {
        self.draining.set(true);
        self.drains.notify_waiters();
        let held = self.shard.borrow().held();
        let steps = usize::try_from(time.as_millis() / STEP.as_millis()).unwrap_or(usize::MAX);
        let each = held.len().div_ceil(steps.max(1)).max(LEAST);
        for (index, few) in held.chunks(each).enumerate() {
            if index > 0 && !time.is_zero() {
                tokio::time::sleep(STEP).await;
            }
            let mut shard = self.shard.borrow_mut();
            // What was published before their end goes out first.
            shard.catch_up(self.began.elapsed());
            for (slot, serial) in few {
                shard.dismiss(*slot, *serial);
            }
            drop(shard);
            self.rouse();
        }
    }

    /// Is the server stopping?
    pub fn is_draining(&self) -> bool {
        self.draining.get()
    }

    /// Waits until the server stops.
    pub async fn until_draining(&self) {
        let drains = self.drains.notified();
        if !self.is_draining() {
            drains.await;
        }
    }

    /// Wakes the loop when there is something to do, or something is due before it would look.
    fn rouse(&self) {
        let shard = self.shard.borrow();
        let is_sooner = |due| self.sleeps_until.borrow().is_none_or(|until| due < until);
        if !self.inbox.is_empty() || shard.has_work() || shard.next_due().is_some_and(is_sooner) {
            self.inbox.bell.notify_one();
        }
    }

    /// Drives the shard for ever. Between its passes the thread's other tasks have their turn.
    ///
    /// # Cancel safety
    /// Nothing is lost when it is dropped between two polls, but nothing is delivered any more.
    pub async fn run(self: Rc<Self>) {
        loop {
            match self.work() {
                Progress::More => tokio::task::yield_now().await,
                Progress::Idle(next) => self.sleep(next).await,
            }
        }
    }

    fn work(&self) -> Progress {
        let start = Instant::now();
        let mut shard = self.shard.borrow_mut();
        shard.work(start - self.began, || start.elapsed() > TURN)
    }

    async fn sleep(&self, next: Option<Duration>) {
        self.sleeps_until.replace(next);
        match next {
            None => self.inbox.bell.notified().await,
            Some(next) => {
                let until = tokio::time::Instant::from_std(self.began + next);
                let _ = tokio::time::timeout_at(until, self.inbox.bell.notified()).await;
            }
        }
        self.sleeps_until.replace(Some(Duration::ZERO));
    }
}

impl<W: Wire> Held<W> {
    /// Hands the socket over. `first` goes out before anything else.
    pub fn open(&self, wire: W, first: Option<Bytes>) {
        self.holder.shard.borrow_mut().open(self.slot, wire, first);
        self.holder.rouse();
    }

    /// What is asked of the request's session: after [`Event::Recover`] and [`Event::Ask`] the
    /// hold goes on, after all others it is over. Meanwhile goes on writing what waits when the
    /// socket was full.
    pub fn poll(&self, context: &mut Context<'_>) -> Poll<Event> {
        loop {
            let found = self.with(|subscriber| subscriber.take_event(context.waker()));
            match found {
                None => return Poll::Ready(Event::Broken),
                Some(Some(event)) => return Poll::Ready(event),
                Some(None) => {}
            }
            match self.poll_drain(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(()) => {}
            }
        }
    }

    /// Goes on writing what waits; ready whenever that came to something.
    fn poll_drain(&self, context: &mut Context<'_>) -> Poll<()> {
        let Some(drained) = self.with(|subscriber| subscriber.outlet.poll_drain(context)) else {
            return Poll::Ready(());
        };
        drained.map(|written| {
            let mut shard = self.holder.shard.borrow_mut();
            shard.written(self.slot, &written);
        })
    }

    /// Keeps items from now on: the session asks the backend of its own accord.
    pub fn pause(&self) {
        self.holder.shard.borrow_mut().pause(self.slot);
    }

    /// Goes on, with the subscriptions of another instruct.
    pub fn resume(&self, ask: Ask<'_>) {
        let now = self.holder.began.elapsed();
        self.holder.shard.borrow_mut().resume(self.slot, ask, now);
        self.holder.settled(self.slot);
    }

    /// Goes on with the backend's reply to a filter's question.
    pub fn answer(&self, ask: filter::Ask, reply: &Reply<'_>) {
        self.holder.shard.borrow_mut().answer(self.slot, ask, reply);
        self.holder.rouse();
    }

    /// Appends bytes of the session's own to a stream.
    pub fn append(&self, content: &Bytes) {
        self.holder
            .shard
            .borrow_mut()
            .append_own(self.slot, content);
        self.holder.rouse();
    }

    /// Keeps keep-alives back, or no longer: one would stand in the middle of a body that comes
    /// in pieces.
    pub fn mute(&self, muted: bool) {
        self.with(|subscriber| subscriber.careful().muted = muted);
    }

    /// Ends a stream properly; [`Event::Ended`] tells when its last byte is out.
    pub fn end(&self) {
        self.holder.shard.borrow_mut().end(self.slot);
        self.holder.rouse();
    }

    /// Ready when no more than `limit` bytes wait for the client, or the hold is over.
    pub fn poll_room(&self, limit: usize, context: &mut Context<'_>) -> Poll<()> {
        loop {
            let waits = self.with(|one| !one.is_over() && one.outlet.waiting() > limit);
            if waits != Some(true) {
                return Poll::Ready(());
            }
            if self.poll_drain(context).is_pending() {
                return Poll::Pending;
            }
        }
    }

    /// Subscribes a WebSocket to a channel, by its full name, or changes how it stands there.
    pub fn subscribe_to(&self, name: &str, standing: Option<Box<Standing>>) {
        let now = self.now();
        let mut shard = self.holder.shard.borrow_mut();
        shard.subscribe_to(self.slot, name, standing, now);
        drop(shard);
        self.holder.inbox.bell.notify_one();
    }

    /// Ends a WebSocket's subscription to a channel.
    pub fn unsubscribe_from(&self, name: &str) {
        let now = self.now();
        let mut shard = self.holder.shard.borrow_mut();
        shard.unsubscribe_from(self.slot, name, now);
    }

    /// Writes frames of the session's own to a WebSocket.
    pub fn write(&self, frames: Bytes) {
        self.holder.shard.borrow_mut().write_own(self.slot, frames);
    }

    /// Has nothing delivered any more; the session may still write.
    pub fn close_off(&self) {
        let now = self.now();
        self.holder.shard.borrow_mut().close_off(self.slot, now);
    }

    /// Goes on with what was kept, now that the backend was asked.
    pub fn go_on(&self) {
        self.holder.shard.borrow_mut().go_on_answered(self.slot);
        self.holder.inbox.bell.notify_one();
    }

    /// Has [`Event::Tick`] told at this time ([`Held::now`]); `None`: never.
    pub fn wake_at(&self, due: Option<Duration>) {
        self.holder.shard.borrow_mut().wake_at(self.slot, due);
        self.holder.rouse();
    }

    /// The time, on the clock of [`Holder::now`].
    pub fn now(&self) -> Duration {
        self.holder.now()
    }

    /// When something was sent last, on the same clock.
    pub fn last_sent(&self) -> Duration {
        self.holder.shard.borrow().last_sent(self.slot)
    }

    /// Bytes that went out so far, with all framing.
    pub fn sent(&self) -> u64 {
        self.with(|one| one.outlet.sent()).unwrap_or_default()
    }

    /// Bytes that wait for the client.
    pub fn waiting(&self) -> usize {
        self.with(|one| one.outlet.waiting()).unwrap_or_default()
    }

    /// The ids up to which the client has its channels, by unprefixed name: for `Grip-Last`.
    pub fn last_ids(&self) -> Vec<(String, String)> {
        self.holder.shard.borrow().last_ids(self.slot)
    }

    /// Takes the socket back, and stays subscribed.
    pub fn take_wire(&self) -> Option<W> {
        self.with(|subscriber| subscriber.outlet.close()).flatten()
    }

    /// Uses the socket, if it is here.
    pub fn wire<T>(&self, with: impl FnOnce(&W) -> T) -> Option<T> {
        self.with(|subscriber| subscriber.outlet.wire().map(with))
            .flatten()
    }

    /// Ends the hold and takes the socket back.
    pub fn release(self) -> Option<W> {
        self.holder.shard.borrow_mut().leave(self.slot)
    }

    fn with<T>(&self, with: impl FnOnce(&mut Subscriber<W>) -> T) -> Option<T> {
        self.holder
            .shard
            .borrow_mut()
            .subscriber(self.slot)
            .map(with)
    }
}

impl<W: Wire> Drop for Held<W> {
    fn drop(&mut self) {
        self.holder.shard.borrow_mut().leave(self.slot);
    }
}

/// Between two steps of a drain, and the least that are ended in one.
const STEP: Duration = Duration::from_millis(20);
const LEAST: usize = 10;

/// How long a shard works before others have their turn.
const TURN: Duration = Duration::from_millis(1);
