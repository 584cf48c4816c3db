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

use super::{Ask, Event, Hub, Inbox, Progress, Shard, Wire, subscriber::Subscriber};

/// One core's shard, shared by the tasks of its thread.
#[derive(Debug)]
pub struct Holder<W> {
    shard: RefCell<Shard<W>>,
    inbox: Arc<Inbox>,
    began: Instant,
    /// The shard's loop sleeps until then (since it began).
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
    /// The shard number `index` of `hub`. `buffer`: most bytes that wait for one connection.
    ///
    /// # Panics
    /// When the hub has no such shard.
    pub fn new(hub: &Hub, index: usize, buffer: usize) -> Rc<Self> {
        let shard = Shard::new(index, Arc::clone(&hub.directory), buffer);
        Rc::new(Self {
            shard: RefCell::new(shard),
            inbox: Arc::clone(&hub.inboxes[index]),
            began: Instant::now(),
            sleeps_until: RefCell::new(None),
            draining: Cell::new(false),
        })
    }

    /// Holds a request: it is subscribed when this returns, and what is published from now on
    /// waits until [`Held::open`].
    pub fn hold(self: &Rc<Self>, ask: &Ask<'_>) -> Held<W> {
        let now = self.began.elapsed();
        let slot = self.shard.borrow_mut().subscribe(ask, now);
        if self.draining.get() {
            self.shard.borrow_mut().end(slot);
        }
        self.rouse(
            now + ask
                .timeout
                .min(ask.keep_alive.map_or(ask.timeout, |alive| alive.timeout)),
        );
        Held {
            holder: Rc::clone(self),
            slot,
        }
    }

    /// Ends every hold properly, and each that begins later: streams end, long-polls get their
    /// timeout's answer. What was published before goes out first.
    pub fn drain(&self) {
        self.draining.set(true);
        let mut shard = self.shard.borrow_mut();
        shard.catch_up(&self.inbox, self.began.elapsed());
        shard.end_all();
    }

    /// Wakes the loop when it would sleep past `due`.
    fn rouse(&self, due: Duration) {
        if self.sleeps_until.borrow().is_none_or(|until| due < until) {
            self.inbox.news.notify_one();
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
        let progress = shard.work(&self.inbox, start - self.began, || start.elapsed() > TURN);
        let overflows = shard.take_overflows();
        if overflows > 0 {
            tracing::warn!(
                connections = overflows,
                "closing connections that left more unread than limits.connection_buffer allows: \
                 raise it, or send less"
            );
        }
        progress
    }

    async fn sleep(&self, next: Option<Duration>) {
        self.sleeps_until.replace(next);
        match next {
            None => self.inbox.news.notified().await,
            Some(next) => {
                let until = tokio::time::Instant::from_std(self.began + next);
                let _ = tokio::time::timeout_at(until, self.inbox.news.notified()).await;
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

    /// What became of the request, once it is over. Meanwhile goes on writing what waits when the
    /// socket was full.
    pub fn poll(&self, context: &mut Context<'_>) -> Poll<Event> {
        self.with(|subscriber| {
            loop {
                if let Some(event) = subscriber.take_event(context.waker()) {
                    return Poll::Ready(event);
                }
                match subscriber.outlet.poll_drain(context) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(written) => subscriber.written(&written),
                }
            }
        })
        .unwrap_or(Poll::Ready(Event::Broken))
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

/// How long a shard works before others have their turn.
const TURN: Duration = Duration::from_millis(1);
