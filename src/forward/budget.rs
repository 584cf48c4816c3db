//! Holds a herd back: when many held clients must ask the same backend again at once (a gap, a
//! hint, a restart), only so many do at a time, and only so many begin in a second.
//!
//! Each backend, as a route's target, has a lane of its own, which is forgotten when nobody is in
//! it and its pace allows the next. Lanes are shared by all threads. Who waits is let in in the
//! order of asking.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, sleep, sleep_until},
};

use super::Home;
use crate::config::Grip;

/// How much one backend is asked again.
#[derive(Debug)]
pub struct Budget {
    concurrency: usize,
    /// Between the beginnings of two; zero: no limit.
    interval: Duration,
    jitter: Duration,
    lanes: Arc<Lanes>,
}

/// How soon a recovery must happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Priority {
    /// At once, as room allows: a publisher gave a hint, or a client waits for it.
    High,
    /// Some time soon: a random delay (`grip.recover_jitter`) spreads many of them.
    Low,
}

/// Leave to ask a backend, until it is dropped.
#[derive(Debug)]
pub struct Permit {
    _room: Option<OwnedSemaphorePermit>,
    _visit: Visit,
}

/// A route, by its id or condition, and the index of its target.
type Key = (String, usize);

#[derive(Debug)]
struct Lanes {
    began: Instant,
    known: Mutex<HashMap<Key, Lane>>,
}

#[derive(Debug)]
struct Lane {
    room: Arc<Semaphore>,
    pacer: Pacer,
    /// Who waits in it or has leave.
    visits: usize,
}

/// One who waits or has leave; the last one out forgets the lane.
#[derive(Debug)]
struct Visit {
    key: Key,
    lanes: Arc<Lanes>,
}

impl Budget {
    /// A budget by the settings.
    pub(super) fn new(grip: &Grip) -> Self {
        let second = Duration::from_secs(1);
        Self {
            concurrency: grip.recover_concurrency,
            interval: second.checked_div(grip.recover_rate).unwrap_or_default(),
            jitter: grip.recover_jitter,
            lanes: Arc::new(Lanes {
                began: Instant::now(),
                known: Mutex::default(),
            }),
        }
    }

    /// Waits for leave to ask the backend of a held client.
    ///
    /// # Cancel safety
    /// Dropping the future gives up the place in the queue.
    pub async fn enter(&self, home: &Home, priority: Priority) -> Permit {
        let delay = share(self.jitter, RandomState::new().hash_one(()));
        if priority == Priority::Low && !delay.is_zero() {
            sleep(delay).await;
        }
        let (visit, room) = self.visit((home.route.key().into_owned(), home.target));
        // Never closed, so never refused.
        let room = room.acquire_owned().await.ok();
        let now = self.lanes.began.elapsed();
        let at = visit.book(now, self.interval);
        if at > now {
            sleep_until(self.lanes.began + at).await;
        }
        Permit {
            _room: room,
            _visit: visit,
        }
    }

    fn visit(&self, key: Key) -> (Visit, Arc<Semaphore>) {
        let mut known = self.lanes.known.lock();
        if !known.contains_key(&key) {
            // A new backend is rare, and the time to forget those that were left in a hurry.
            let now = self.lanes.began.elapsed();
            known.retain(|_, lane| !lane.is_idle(now));
        }
        let lane = known.entry(key.clone()).or_insert_with(|| Lane {
            room: Arc::new(Semaphore::new(self.concurrency)),
            pacer: Pacer::default(),
            visits: 0,
        });
        lane.visits += 1;
        let lanes = Arc::clone(&self.lanes);
        (Visit { key, lanes }, Arc::clone(&lane.room))
    }
}

impl Lane {
    fn is_idle(&self, now: Duration) -> bool {
        self.visits == 0 && self.pacer.next <= now
    }
}

impl Visit {
    fn book(&self, now: Duration, interval: Duration) -> Duration {
        let mut known = self.lanes.known.lock();
        let lane = known.get_mut(&self.key);
        lane.map_or(now, |lane| lane.pacer.book(now, interval))
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        let now = self.lanes.began.elapsed();
        let mut known = self.lanes.known.lock();
        let Some(lane) = known.get_mut(&self.key) else {
            return;
        };
        lane.visits -= 1;
        if lane.is_idle(now) {
            known.remove(&self.key);
        }
    }
}

/// Deals out beginnings, one interval apart. Times are since some moment before.
#[derive(Debug, Default)]
struct Pacer {
    next: Duration,
}

impl Pacer {
    /// When the one who asks now may begin.
    fn book(&mut self, now: Duration, interval: Duration) -> Duration {
        let at = self.next.max(now);
        self.next = at + interval;
        at
    }
}

/// A part of a time, as large as the random number is among its like.
pub(super) fn share(most: Duration, random: u64) -> Duration {
    let nanos = (most.as_nanos() * u128::from(random)) >> u64::BITS;
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use tokio::task::{LocalSet, spawn_local};

    use super::*;
    use crate::{forward::Location, routes::grammar::Route};

    fn home(id: &str) -> Home {
        Home {
            route: Arc::new(Route {
                id: Some(id.to_owned()),
                ..Route::default()
            }),
            target: 0,
            url: Location::of(false, "h.test", "/", None).unwrap(),
        }
    }

    fn budget(concurrency: usize, rate: u32, jitter: Duration) -> Budget {
        Budget::new(&Grip {
            recover_concurrency: concurrency,
            recover_rate: rate,
            recover_jitter: jitter,
            ..Grip::default()
        })
    }

    #[test]
    fn beginnings_are_an_interval_apart() {
        let ms = Duration::from_millis;
        let mut pacer = Pacer::default();
        let mut book = |now| pacer.book(ms(now), ms(10));
        assert_eq!([book(5), book(5), book(6)], [ms(5), ms(15), ms(25)]);
        assert_eq!(
            [book(34), book(100)],
            [ms(35), ms(100)],
            "no credit is saved up"
        );
        assert_eq!(book(101), ms(110));
        let mut free = Pacer::default();
        assert_eq!([(); 3].map(|()| free.book(ms(7), ms(0))), [ms(7); 3]);
    }

    #[test]
    fn a_share_is_never_the_whole() {
        let most = Duration::from_millis(200);
        assert_eq!(share(most, 0), Duration::ZERO);
        assert_eq!(share(most, 1 << 63), most / 2);
        assert!(share(most, u64::MAX) < most);
        assert_eq!(share(Duration::ZERO, u64::MAX), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn only_so_many_at_a_time_in_the_order_of_asking() {
        let test = async {
            let budget = Rc::new(budget(2, 0, Duration::ZERO));
            let (tell, mut told) = tokio::sync::mpsc::channel(10);
            for number in 0..5 {
                let (budget, tell) = (Rc::clone(&budget), tell.clone());
                spawn_local(async move {
                    let permit = budget.enter(&home("a"), Priority::High).await;
                    tell.send((number, permit)).await.unwrap();
                });
            }
            let (zero, first) = told.recv().await.unwrap();
            let (one, second) = told.recv().await.unwrap();
            assert_eq!((zero, one), (0, 1));
            // Another backend has room of its own.
            drop(budget.enter(&home("b"), Priority::High).await);
            assert!(told.try_recv().is_err(), "no more than two");
            drop(second);
            let (number, third) = told.recv().await.unwrap();
            assert_eq!(number, 2);
            drop((first, third));
            assert_eq!(told.recv().await.unwrap().0, 3);
            assert_eq!(told.recv().await.unwrap().0, 4);
        };
        LocalSet::new().run_until(test).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_rate_and_a_jitter_are_waited_for() {
        let start = Instant::now();
        let paced = budget(64, 100, Duration::ZERO);
        for _ in 0..11 {
            drop(paced.enter(&home("a"), Priority::Low).await);
        }
        assert_eq!(
            start.elapsed(),
            Duration::from_millis(100),
            "also one after the other"
        );

        let jittered = budget(64, 0, Duration::from_hours(1));
        let start = Instant::now();
        drop(jittered.enter(&home("a"), Priority::High).await);
        assert_eq!(start.elapsed(), Duration::ZERO);
        for _ in 0..3 {
            drop(jittered.enter(&home("a"), Priority::Low).await);
        }
        assert!(start.elapsed() > Duration::ZERO);
        assert!(start.elapsed() < Duration::from_hours(3));
    }

    #[tokio::test(start_paused = true)]
    async fn idle_lanes_are_forgotten_also_when_waiting_was_given_up() {
        let budget = budget(1, 0, Duration::ZERO);
        let home = home("a");
        let permit = budget.enter(&home, Priority::High).await;
        let waits =
            tokio::time::timeout(Duration::from_secs(1), budget.enter(&home, Priority::High));
        assert!(waits.await.is_err());
        assert_eq!(budget.lanes.known.lock().len(), 1);
        drop(permit);
        assert_eq!(budget.lanes.known.lock().len(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_lane_is_remembered_until_its_pace_is_over() {
        let budget = budget(1, 1, Duration::ZERO);
        drop(budget.enter(&home("a"), Priority::High).await);
        assert_eq!(budget.lanes.known.lock().len(), 1);
        tokio::time::advance(Duration::from_secs(1)).await;
        let _other = budget.enter(&home("b"), Priority::High).await;
        assert_eq!(budget.lanes.known.lock().len(), 1);
    }
}
