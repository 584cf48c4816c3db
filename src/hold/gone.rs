//! Gone links: a `POST` tells the backend that a held client's session is over, whatever ended
//! it. It is tried again until the backend takes it, for a while; also while the server stops,
//! within the time it has for that.

use std::{
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use tokio::task::spawn_local;

use super::link::Backoff;
use crate::{
    forward::{Fetch, Forwarder, Home, Location, Priority},
    telemetry::limit::Every,
};

/// Tells backends of clients that have gone. One per thread.
#[derive(Debug)]
pub struct Teller {
    forwarder: Rc<Forwarder>,
    /// Gone links of all threads that are not through.
    pending: Arc<AtomicUsize>,
    backoff: Duration,
}

/// A session whose end is told when this is dropped.
#[derive(Debug)]
pub(super) struct Gone {
    teller: Rc<Teller>,
    to: Option<(Home, Location)>,
}

/// Counts a gone link that is not through for as long as it lives.
struct Pending(Arc<AtomicUsize>);

impl Teller {
    /// `pending`: where those not yet told are counted; `backoff`: the first pause after one that
    /// failed.
    pub fn new(forwarder: Rc<Forwarder>, pending: Arc<AtomicUsize>, backoff: Duration) -> Rc<Self> {
        Rc::new(Self {
            forwarder,
            pending,
            backoff,
        })
    }

    /// What tells `url` when it is dropped.
    pub(super) fn gone(self: &Rc<Self>, home: &Home, url: Location) -> Gone {
        Gone {
            teller: Rc::clone(self),
            to: Some((home.clone(), url)),
        }
    }

    fn tell(&self, home: &Home, url: Location) {
        let before = self.pending.fetch_add(1, Ordering::AcqRel);
        let pending = Pending(Arc::clone(&self.pending));
        if before >= PENDING {
            if let Some(left_out) = CROWDED.hit(Instant::now()) {
                tracing::warn!(
                    left_out,
                    "gone link not told: {PENDING} others wait already"
                );
            }
            return;
        }
        let forwarder = Rc::clone(&self.forwarder);
        let fetch = Fetch::post(home, url, Bytes::new());
        let backoff = Backoff::new(self.backoff);
        spawn_local(async move {
            deliver(&forwarder, &fetch, backoff).await;
            drop(pending);
        });
    }
}

/// Asks until the backend takes it.
async fn deliver(forwarder: &Forwarder, fetch: &Fetch, mut backoff: Backoff) {
    loop {
        let permit = forwarder.budget().enter(&fetch.home, Priority::Low).await;
        let answer = forwarder.fetch(fetch).await;
        drop(permit);
        let failed = match answer {
            Ok(answer) if answer.head.status.is_success() => return,
            Ok(answer) => format!("status {}", answer.head.status.as_u16()),
            Err(failure) => failure.to_string(),
        };
        let Some(pause) = backoff.next() else {
            if let Some(left_out) = GIVEN_UP.hit(Instant::now()) {
                let left_out = (left_out > 0).then_some(left_out);
                tracing::warn!(
                    left_out,
                    "gone link given up after several attempts: {failed}"
                );
            }
            return;
        };
        tokio::time::sleep(pause).await;
    }
}

impl Drop for Gone {
    fn drop(&mut self) {
        if let Some((home, url)) = self.to.take() {
            self.teller.tell(&home, url);
        }
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Most gone links that wait to be told.
const PENDING: usize = 100_000;

static CROWDED: Every = Every::new(Duration::from_secs(1));
static GIVEN_UP: Every = Every::new(Duration::from_secs(1));
