//! Idle connections to backends, of one thread. The last used is taken first, so that a quiet
//! pool shrinks; a connection that ended while idle is noticed and dropped.
//!
//! A connection that is given up in the middle of a request (the client went away, a timeout) is
//! closed at once: dropping its [`Lease`] does that.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    rc::{Rc, Weak},
    sync::Arc,
    time::Duration,
};

use hyper::client::conn::http1::{Builder, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::{
    task::{AbortHandle, spawn_local},
    time::{Instant, timeout},
};

use super::{
    Claim, Error, Way,
    heard::{Heard, Notes, RawHead},
    stream::Stream,
    upload::{Reader, Upload},
};
use crate::config::Settings;

/// Connections that wait for their next request.
#[derive(Debug)]
pub struct Pool {
    shelf: Rc<Shelf>,
    builder: Builder,
}

#[derive(Debug)]
struct Shelf {
    idle: RefCell<HashMap<Way, Rc<Stack>>>,
    /// Most idle connections of one way.
    most: usize,
    /// How long one may be idle.
    rest: Duration,
    sweeping: Cell<bool>,
}

/// The idle connections of one way; the last used is on top.
#[derive(Debug, Default)]
struct Stack(RefCell<Vec<Idle>>);

#[derive(Debug)]
struct Idle {
    wire: Wire,
    since: Instant,
}

/// A connection: its task is ended when this is dropped.
#[derive(Debug)]
struct Wire {
    sender: SendRequest<Reader>,
    task: TaskGuard,
    notes: Notes,
}

#[derive(Debug)]
struct TaskGuard(Option<AbortHandle>);

impl Drop for TaskGuard {
    fn drop(&mut self) {
        if let Some(task) = self.0.take() {
            task.abort();
        }
    }
}

/// A connection that serves one request. Dropped, it is closed.
#[derive(Debug)]
pub(super) struct Lease {
    wire: Wire,
    /// Where it goes back to.
    stack: Rc<Stack>,
    shelf: Weak<Shelf>,
    claim: Option<Arc<Claim>>,
    /// Did it serve a request before?
    pub(super) reused: bool,
}

impl Pool {
    /// An empty pool with the limits of the settings.
    pub fn new(settings: &Settings) -> Self {
        let mut builder = Builder::new();
        builder
            .preserve_header_case(true)
            .title_case_headers(true)
            .max_headers(settings.limits.response_headers)
            .max_header_size(settings.limits.response_head)
            .max_buf_size(settings.limits.response_head.max(LEAST_BUFFER));
        Self {
            shelf: Rc::new(Shelf {
                idle: RefCell::default(),
                most: settings.limits.idle_upstream,
                rest: settings.timeouts.idle_upstream,
                sweeping: Cell::new(false),
            }),
            builder,
        }
    }

    /// The idle connection used last, if one is alive.
    pub(super) fn take(&self, way: &Way) -> Option<Lease> {
        let stack = Rc::clone(self.shelf.idle.borrow().get(way)?);
        let wire = loop {
            let Idle { wire, since } = stack.0.borrow_mut().pop()?;
            if since.elapsed() < self.shelf.rest && wire.sender.is_ready() {
                break wire;
            }
        };
        wire.notes.clear();
        Some(self.lease(wire, stack, true))
    }

    /// Speaks HTTP/1 on a new socket.
    pub(super) async fn open(&self, stream: Stream, way: Way) -> Result<Lease, Error> {
        let notes = Notes::default();
        let io = TokioIo::new(Heard::new(stream, notes.clone()));
        let (sender, connection) = self
            .builder
            .handshake(io)
            .await
            .map_err(|e| Error::Closed(e.to_string()))?;
        // How a connection ends is told to whoever uses it; an idle one may end as it likes.
        let task = spawn_local(async move {
            let _ = connection.with_upgrades().await;
        });
        let task = TaskGuard(Some(task.abort_handle()));
        let wire = Wire {
            sender,
            task,
            notes,
        };
        let stack = self.shelf.stack(way);
        Ok(self.lease(wire, stack, false))
    }

    fn lease(&self, wire: Wire, stack: Rc<Stack>, reused: bool) -> Lease {
        Lease {
            wire,
            stack,
            shelf: Rc::downgrade(&self.shelf),
            claim: None,
            reused,
        }
    }

    /// How many connections are idle and alive.
    #[cfg(test)]
    pub(crate) fn idle(&self) -> usize {
        let idle = self.shelf.idle.borrow();
        let alive = |stack: &Rc<Stack>| {
            let stack = stack.0.borrow();
            let alive = stack.iter().filter(|one| !one.wire.sender.is_closed());
            alive.count()
        };
        idle.values().map(alive).sum()
    }
}

impl Lease {
    /// The same, counted as one of its target's for as long as it is used.
    pub(super) fn under(self, claim: Option<Arc<Claim>>) -> Self {
        Self { claim, ..self }
    }

    /// Where requests are handed in.
    pub(super) fn sender(&mut self) -> &mut SendRequest<Reader> {
        &mut self.wire.sender
    }

    /// Did any byte come since the request was handed in?
    pub(super) fn heard(&self) -> bool {
        self.wire.notes.anything()
    }

    /// Does what came look like TLS?
    pub(super) fn is_tls(&self) -> bool {
        self.wire.notes.is_tls()
    }

    /// The answer's head as the backend wrote it, if it was noted.
    pub(super) fn raw_head(&self) -> Option<RawHead> {
        self.wire.notes.head()
    }

    /// Lets the connection live on by itself: it was upgraded.
    pub(super) fn detach(mut self) {
        self.wire.notes.keep(self.claim.take());
        self.wire.task.0 = None;
    }

    /// Puts the connection back, if both the request and the answer were read to their ends;
    /// otherwise closes it.
    pub(super) fn give_back(self, upload: &Upload) {
        let Some(home) = self.shelf.upgrade() else {
            return;
        };
        let Self {
            mut wire, stack, ..
        } = self;
        if !upload.is_delivered() || wire.sender.is_closed() || home.most == 0 {
            return;
        }
        if wire.sender.is_ready() {
            return stack.put(wire, home.most);
        }
        // hyper's task has yet to see that the answer was taken.
        spawn_local(async move {
            if let Ok(Ok(())) = timeout(SETTLE, wire.sender.ready()).await {
                stack.put(wire, home.most);
            }
        });
    }
}

impl Shelf {
    /// The stack of a way; a new one, where there is none.
    fn stack(self: &Rc<Self>, way: Way) -> Rc<Stack> {
        if !self.sweeping.replace(true) {
            spawn_local(sweep(Rc::downgrade(self), self.rest));
        }
        Rc::clone(self.idle.borrow_mut().entry(way).or_default())
    }

    /// Drops what is dead or idle for too long; tells whether anything is left.
    fn prune(&self) -> bool {
        let mut idle = self.idle.borrow_mut();
        idle.retain(|_, stack| {
            let mut waiting = stack.0.borrow_mut();
            waiting.retain(|one| one.since.elapsed() < self.rest && !one.wire.sender.is_closed());
            // One that is in use comes back to it.
            !waiting.is_empty() || Rc::strong_count(stack) > 1
        });
        !idle.is_empty()
    }
}

impl Stack {
    /// Puts a connection on top, and lets the lowest go where there would be more than `most`.
    fn put(&self, wire: Wire, most: usize) {
        let mut waiting = self.0.borrow_mut();
        if waiting.len() >= most {
            waiting.remove(0);
        }
        waiting.push(Idle {
            wire,
            since: Instant::now(),
        });
    }
}

/// Runs as long as any way is known.
async fn sweep(shelf: Weak<Shelf>, rest: Duration) {
    loop {
        tokio::time::sleep((rest / 4).max(Duration::from_millis(10))).await;
        let Some(shelf) = shelf.upgrade() else { return };
        if !shelf.prune() {
            shelf.sweeping.set(false);
            return;
        }
    }
}

/// hyper refuses smaller buffers.
const LEAST_BUFFER: usize = 8192;

/// How long hyper may take to be ready after an answer's end, before its connection is closed.
const SETTLE: Duration = Duration::from_secs(1);
