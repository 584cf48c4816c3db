//! Clients of event streams wait for a backend that is not there, as while it is deployed: a
//! browser's `EventSource` never comes back after an error (HTML standard, server-sent events, "fail
//! the connection"). Only requests that no backend has seen are made again.

use std::{
    collections::BTreeMap,
    hash::{BuildHasher, RandomState},
    mem::take,
    sync::Arc,
    time::Duration,
};

use http::Method;
use parking_lot::Mutex;
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

use super::{Answer, Cause, Forwarder, Upload, budget::share, prepare::Prepared};
use crate::{
    config::Settings,
    routes::grammar::Route,
    telemetry::{counters::Count, limit::Each},
    upstream::{show_backend, show_route},
};

/// Everybody who waits. Shared by all cores.
#[derive(Debug)]
pub(super) struct Waiters {
    most: usize,
    patience: Duration,
    waiting: Mutex<Waiting>,
    /// Nobody is to wait any longer.
    over: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct Waiting {
    all: usize,
    /// By the name of the route; empty crowds are forgotten.
    crowds: BTreeMap<String, Crowd>,
}

/// Those who wait for one route's backends.
#[derive(Debug, Default)]
struct Crowd {
    size: usize,
    /// The log says that they wait.
    is_told: bool,
}

/// One who waits.
#[derive(Debug)]
struct Waiter<'w> {
    waiters: &'w Waiters,
    route: String,
    over: watch::Receiver<bool>,
    began: Instant,
    deadline: Instant,
    pause: Duration,
}

/// What the end of a pause says.
#[derive(Debug, PartialEq, Eq)]
enum Wake {
    /// Ask again.
    Again,
    /// The time is up.
    Late,
    /// gripd stops.
    Stop,
}

impl Forwarder {
    /// Asks the targets of a route. A client of an event stream for whom none is there waits for
    /// one, up to `timeouts.connect_wait`.
    pub(super) async fn patiently(
        &self,
        route: &Arc<Route>,
        prepared: &Prepared,
        upload: &Upload,
    ) -> Result<Answer, (Option<usize>, Cause)> {
        let began = Instant::now();
        let mut result = self.ask(route, prepared, upload).await;
        if !is_absence(&result) || !prepared.is_patient() {
            return result;
        }
        let Some(mut waiter) = self.common.waiters.enter(route, began) else {
            return result;
        };
        while let Err((_, cause)) = &result
            && cause.is_absence()
        {
            waiter.tell(cause);
            match waiter.pause().await {
                Wake::Again => {}
                Wake::Late => return result,
                Wake::Stop => return Err((None, Cause::Stopping)),
            }
            result = self.ask(route, prepared, upload).await;
        }
        waiter.arrived(result.as_ref().ok());
        result
    }
}

impl Prepared {
    /// Does its client wait for a backend?
    fn is_patient(&self) -> bool {
        let is_plain = !self.upgrade.is_asked() && self.events.is_none();
        is_plain && self.method == Method::GET && self.headers.accept_events()
    }
}

fn is_absence<T>(result: &Result<T, (Option<usize>, Cause)>) -> bool {
    matches!(result, Err((_, cause)) if cause.is_absence())
}

impl Waiters {
    /// Nobody waits yet.
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            most: settings.limits.connect_waiters,
            patience: settings.timeouts.connect_wait,
            waiting: Mutex::default(),
            over: watch::Sender::new(false),
        }
    }

    /// Lets everybody go, and whoever comes later.
    pub(super) fn end(&self) {
        self.over.send_replace(true);
    }

    /// A place for a request that began at `began`; `None`: there is none, or no time left.
    fn enter(&self, route: &Route, began: Instant) -> Option<Waiter<'_>> {
        let deadline = began + self.patience;
        let mut waiting = self.waiting.lock();
        if waiting.all >= self.most || deadline <= Instant::now() {
            return None;
        }
        let route = show_route(route);
        waiting.all += 1;
        waiting.crowds.entry(route.clone()).or_default().size += 1;
        Count::Waiting.add(1);
        Some(Waiter {
            waiters: self,
            route,
            over: self.over.subscribe(),
            began,
            deadline,
            pause: FIRST,
        })
    }
}

impl Waiter<'_> {
    /// Says in the log that the route's clients wait; not for each of them.
    fn tell(&self, cause: &Cause) {
        if !TOLD.hit(self.route.clone(), std::time::Instant::now()) {
            return;
        }
        let waiting = self.crowd(|crowd| {
            crowd.is_told = true;
            crowd.size
        });
        let route = &*self.route;
        tracing::warn!(route, waiting, "clients wait for a backend: {cause}");
    }

    /// A backend is there: says so, if the log says that clients wait for it.
    fn arrived(&self, answer: Option<&Answer>) {
        let (was_told, waiting) = self.crowd(|crowd| (take(&mut crowd.is_told), crowd.size));
        if was_told {
            let (route, waited) = (&*self.route, self.began.elapsed());
            let backend = answer.map(|answer| show_backend(&answer.route, answer.target));
            tracing::info!(route, backend, waiting, ?waited, "a backend is up");
        }
    }

    fn crowd<T>(&self, with: impl FnOnce(&mut Crowd) -> T) -> T {
        let mut waiting = self.waiters.waiting.lock();
        with(waiting.crowds.entry(self.route.clone()).or_default())
    }

    /// Waits for the moment to ask again. Pauses double up to [`LONGEST`], each a random half
    /// shorter or longer, so that those who came together do not ask together.
    async fn pause(&mut self) -> Wake {
        let now = Instant::now();
        if now >= self.deadline {
            return Wake::Late;
        }
        let random = share(self.pause, RandomState::new().hash_one(()));
        let until = (now + self.pause / 2 + random).min(self.deadline);
        self.pause = (self.pause * 2).min(LONGEST);
        tokio::select! {
            biased;
            _ = self.over.wait_for(|over| *over) => Wake::Stop,
            () = sleep_until(until) => Wake::Again,
        }
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        Count::Waiting.sub(1);
        let mut waiting = self.waiters.waiting.lock();
        waiting.all -= 1;
        if let Some(crowd) = waiting.crowds.get_mut(&self.route) {
            crowd.size -= 1;
            if crowd.size == 0 {
                waiting.crowds.remove(&self.route);
            }
        }
    }
}

/// Pauses between two tries.
const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(1);

/// Said lately, by route.
static TOLD: Each<String> = Each::new(Duration::from_secs(1));

#[cfg(test)]
mod tests {
    use super::*;

    fn waiters(most: usize) -> Waiters {
        let mut settings = Settings::default();
        settings.limits.connect_waiters = most;
        settings.timeouts.connect_wait = Duration::from_secs(10);
        Waiters::new(&settings)
    }

    #[tokio::test(start_paused = true)]
    async fn pauses_grow_and_end_with_the_time() {
        let (waiters, began) = (waiters(1), Instant::now());
        let mut waiter = waiters.enter(&Route::default(), began).unwrap();
        let mut pauses = Vec::new();
        loop {
            let before = Instant::now();
            match waiter.pause().await {
                Wake::Again => pauses.push(before.elapsed()),
                wake => break assert_eq!(wake, Wake::Late),
            }
        }
        let ms = Duration::from_millis;
        assert_eq!(pauses.iter().sum::<Duration>(), Duration::from_secs(10));
        assert!((ms(50)..=ms(151)).contains(&pauses[0]), "{pauses:?}");
        assert!(pauses.iter().all(|one| *one <= ms(1501)), "{pauses:?}");
        assert!((9..=22).contains(&pauses.len()), "{pauses:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn places_are_bounded_and_given_back() {
        let (waiters, began) = (waiters(2), Instant::now());
        let route = Route::default();
        let first = waiters.enter(&route, began);
        let second = waiters.enter(&route, began);
        assert!(first.is_some() && second.is_some());
        assert!(waiters.enter(&route, began).is_none());
        drop(first);
        assert!(waiters.enter(&route, began).is_some());
        drop(second);
        assert!(waiters.waiting.lock().crowds.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_once_it_is_over() {
        let (waiters, began) = (waiters(2), Instant::now());
        let mut early = waiters.enter(&Route::default(), began).unwrap();
        let (wake, ()) = tokio::join!(early.pause(), async { waiters.end() });
        assert_eq!(wake, Wake::Stop);
        let mut late = waiters.enter(&Route::default(), began).unwrap();
        assert_eq!(late.pause().await, Wake::Stop);
        assert_eq!(began.elapsed(), Duration::ZERO);
    }
}
