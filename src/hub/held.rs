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

use super::{
    Ask, Bounds, Event, Hub, Inbox, Progress, Shard, Wire, outlet::Written, subscriber::Subscriber,
};
use crate::grip::filter::{self, Reply};

/// One core's shard, shared by the tasks of its thread.
#[derive(Debug)]
pub struct Holder<W> {
    shard: RefCell<Shard<W>>,
    inbox: Arc<Inbox>,
    began: Instant,
    /// The shard's loop sleeps until then (since the hub began).
    sleeps_until: RefCell<Option<Duration>>,
    /// Every hold has been ended; one that begins now ends at once.
    draining: Cell<bool>,
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
        })
    }

    /// Holds a request: it is subscribed when this returns, and what is published from now on
    /// waits until [`Held::open`].
    pub fn hold(self: &Rc<Self>, ask: Ask<'_>) -> Held<W> {
        let now = self.began.elapsed();
        let first = first_due(&ask, now);
        let slot = self.shard.borrow_mut().subscribe(ask, now);
        self.settled(slot, first);
        Held {
            holder: Rc::clone(self),
            slot,
        }
    }

    /// Sees to it that the loop looks after a new hold, or ends it when the server is stopping.
    fn settled(&self, slot: u32, first: Duration) {
        if self.draining.get() {
            self.shard.borrow_mut().end(slot);
        }
        if self.inbox.is_empty() && !self.shard.borrow().has_work() {
            self.rouse(first);
        } else {
            self.inbox.bell.notify_one();
        }
    }

    /// Ends every hold properly, and each that begins later: streams end, long-polls get their
    /// timeout's answer. What was published before goes out first.
    pub fn drain(&self) {
        self.draining.set(true);
        let mut shard = self.shard.borrow_mut();
        shard.catch_up(self.began.elapsed());
        shard.end_all();
    }

    /// Wakes the loop when it would sleep past `due`.
    fn rouse(&self, due: Duration) {
        if self.sleeps_until.borrow().is_none_or(|until| due < until) {
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
            if written == Written::All {
                shard.cleared(self.slot);
            }
        })
    }

    /// Keeps items from now on: the session asks the backend of its own accord.
    pub fn pause(&self) {
        self.holder.shard.borrow_mut().pause(self.slot);
    }

    /// Goes on, with the subscriptions of another instruct.
    pub fn resume(&self, ask: Ask<'_>) {
        let now = self.holder.began.elapsed();
        let first = first_due(&ask, now);
        self.holder.shard.borrow_mut().resume(self.slot, ask, now);
        self.holder.settled(self.slot, first);
    }

    /// Goes on with the backend's reply to a filter's question.
    pub fn answer(&self, ask: filter::Ask, reply: &Reply<'_>) {
        self.holder.shard.borrow_mut().answer(self.slot, ask, reply);
        self.holder.inbox.bell.notify_one();
    }

    /// Appends bytes of the session's own to a stream.
    pub fn append(&self, content: &Bytes) {
        self.holder
            .shard
            .borrow_mut()
            .append_own(self.slot, content);
    }

    /// Ends a stream properly; [`Event::Ended`] tells when its last byte is out.
    pub fn end(&self) {
        self.holder.shard.borrow_mut().end(self.slot);
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

/// When a hold has to be looked at first.
fn first_due(ask: &Ask<'_>, now: Duration) -> Duration {
    let keep_alive = ask.keep_alive.map(|keep_alive| keep_alive.timeout);
    let times = [Some(ask.timeout), keep_alive, ask.link];
    now + times.into_iter().flatten().min().unwrap_or_default()
}

/// How long a shard works before others have their turn.
const TURN: Duration = Duration::from_millis(1);
