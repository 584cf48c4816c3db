//! How targets are: how much each is used, which one failed and rests, how much room is left. One
//! for all cores, so the counters are atomics; nothing is kept for routes that do not ask for it.
//!
//! A target that could not be connected to *rests*: while it does, others are asked first. When
//! its time is over it takes its turn again. One that an active check found down rests until a
//! check finds it up, or nobody checks it any longer.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use dashmap::DashMap;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use super::show_address;
use crate::{
    config::Timeouts,
    routes::grammar::{Address, Balance, Route, Target},
    telemetry::limit::Every,
};

/// What targets differ in: they fail and are limited each for itself.
type Key = (Address, Option<u32>, bool, Option<String>);

/// What is known of targets. Shared by all cores.
#[derive(Debug)]
pub struct Health {
    known: DashMap<Key, Arc<Condition>>,
    /// How often each route was asked for an order, by its key.
    turns: DashMap<String, AtomicUsize>,
    rest: Duration,
    wait: Duration,
}

/// How one target is.
#[derive(Debug)]
pub struct Condition {
    /// Its address, for the log.
    name: String,
    began: Instant,
    /// Requests and upgraded connections.
    in_use: AtomicUsize,
    /// Milliseconds since `began`; 0: it does not rest.
    rests_until: AtomicU64,
    /// Until when an active check has found it down, in the same way.
    down_until: AtomicU64,
    /// How often the log tells that it fails, and that it is back.
    failures: Every,
    recoveries: Every,
    /// One permit for each connection it takes; `None`: there is no limit.
    room: Option<Arc<Semaphore>>,
}

/// Leave to use a target, for one request or upgraded connection.
#[derive(Debug)]
pub struct Claim {
    condition: Arc<Condition>,
    _room: Option<OwnedSemaphorePermit>,
}

impl Health {
    /// Nothing is known yet.
    pub fn new(timeouts: &Timeouts) -> Self {
        Self {
            known: DashMap::new(),
            turns: DashMap::new(),
            rest: timeouts.target_rest,
            wait: timeouts.target_wait,
        }
    }

    /// The targets of a route by index, in the order in which they are to be asked.
    pub fn order(&self, route: &Route) -> Vec<usize> {
        let count = route.targets.len();
        if !route.minds_targets() || count < 2 {
            return (0..count).collect();
        }
        let conditions: Vec<_> = route
            .targets
            .iter()
            .map(|one| self.condition(one))
            .collect();
        // One that has rested is tried by one request; the others go elsewhere until that is done.
        let trial = (0..count).find(|index| conditions[*index].is_tried_now(self.rest));
        let (rested, resting): (Vec<_>, Vec<_>) = (0..count)
            .filter(|index| Some(*index) != trial)
            .partition(|index| !conditions[*index].rests());
        let turn = || self.turn(route);
        let in_use = |index: &usize| conditions[*index].in_use.load(Relaxed);
        let mut order: Vec<_> = trial.into_iter().collect();
        order.extend(arranged(rested, route.balance, turn, in_use));
        order.extend(arranged(resting, route.balance, turn, in_use));
        order
    }

    /// Leave to use a target of a route; `None`: it has all that it can take. With `patient` it is
    /// waited for, up to `timeouts.target_wait`.
    pub async fn claim(&self, target: &Target, patient: bool) -> Option<Arc<Claim>> {
        let condition = self.condition(target);
        let room = match &condition.room {
            None => None,
            Some(room) => {
                let room = Arc::clone(room);
                // Never closed, so refused only when there is none.
                Some(match Arc::clone(&room).try_acquire_owned() {
                    Ok(permit) => permit,
                    Err(_) if !patient => return None,
                    Err(_) => timeout(self.wait, room.acquire_owned()).await.ok()?.ok()?,
                })
            }
        };
        condition.in_use.fetch_add(1, Relaxed);
        Some(Arc::new(Claim {
            condition,
            _room: room,
        }))
    }

    /// How long a claim may wait.
    pub fn wait(&self) -> Duration {
        self.wait
    }

    /// How long a target rests.
    pub fn rest(&self) -> Duration {
        self.rest
    }

    /// How a target is.
    pub fn condition(&self, target: &Target) -> Arc<Condition> {
        let key = (
            target.address.clone(),
            target.max_connections,
            target.ssl,
            target.host.clone(),
        );
        if let Some(known) = self.known.get(&key) {
            return Arc::clone(&known);
        }
        // Those of older tables are forgotten when there are many.
        if self.known.len() >= MOST_TARGETS {
            self.known
                .retain(|_, known| Arc::strong_count(known) > 1 || known.rests());
        }
        let made = || Arc::new(Condition::of(target));
        Arc::clone(&self.known.entry(key).or_insert_with(made))
    }

    /// How often the route took a turn before.
    fn turn(&self, route: &Route) -> usize {
        let key = route.key();
        if let Some(turns) = self.turns.get(&*key) {
            return turns.fetch_add(1, Relaxed);
        }
        if self.turns.len() >= MOST_ROUTES {
            self.turns.clear();
        }
        let turns = self.turns.entry(key.into_owned()).or_default();
        turns.fetch_add(1, Relaxed)
    }
}

impl Condition {
    fn of(target: &Target) -> Self {
        let room = target.max_connections;
        Self {
            name: show_address(&target.address),
            began: Instant::now(),
            in_use: AtomicUsize::new(0),
            rests_until: AtomicU64::new(0),
            down_until: AtomicU64::new(0),
            failures: Every::new(TOLD_EVERY),
            recoveries: Every::new(TOLD_EVERY),
            room: room.map(|most| Arc::new(Semaphore::new(most as usize))),
        }
    }

    /// Is it to be asked only when no other is left?
    fn rests(&self) -> bool {
        let now = self.now();
        self.rests_until.load(Relaxed) > now || self.down_until.load(Relaxed) > now
    }

    /// Has it rested, and is nobody trying it yet? Then whoever asks tries it, and for the others
    /// it rests on.
    fn is_tried_now(&self, rest: Duration) -> bool {
        let until = self.rests_until.load(Relaxed);
        let now = self.now();
        let has_rested = until > 0 && until <= now && self.down_until.load(Relaxed) <= now;
        has_rested
            && self
                .rests_until
                .compare_exchange(until, self.after(rest), Relaxed, Relaxed)
                .is_ok()
    }

    /// It could not be connected to.
    pub fn failed(&self, rest: Duration, why: &dyn std::fmt::Display) {
        let was_resting = self.rests();
        self.rests_until.store(self.after(rest), Relaxed);
        if !was_resting && self.failures.hit(Instant::now()).is_some() {
            tracing::warn!(backend = self.name, ?rest, "a target rests: {why}");
        }
    }

    /// It took a connection.
    pub fn reached(&self) {
        if self.rests_until.load(Relaxed) > 0
            && self.rests_until.swap(0, Relaxed) > 0
            && self.recoveries.hit(Instant::now()).is_some()
        {
            tracing::info!(backend = self.name, "a target can be reached again");
        }
    }

    /// What an active check found, which is good for a time: up, or why not.
    pub fn checked(&self, found: Result<(), String>, good_for: Duration) {
        match found {
            Ok(()) => {
                self.rests_until.store(0, Relaxed);
                if self.down_until.swap(0, Relaxed) > 0 {
                    tracing::info!(backend = self.name, "a target is up");
                }
            }
            Err(why) => {
                if self.down_until.swap(self.after(good_for), Relaxed) == 0 {
                    tracing::warn!(backend = self.name, "a target is down: {why}");
                }
            }
        }
    }

    fn after(&self, time: Duration) -> u64 {
        let time = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        self.now().saturating_add(time)
    }

    /// Milliseconds since the target became known, from 1.
    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis())
            .unwrap_or(u64::MAX)
            .saturating_add(1)
    }
}

impl Claim {
    /// The target's.
    pub fn condition(&self) -> &Condition {
        &self.condition
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.condition.in_use.fetch_sub(1, Relaxed);
    }
}

/// Targets of one kind in the order of their route.
fn arranged(
    mut targets: Vec<usize>,
    balance: Option<Balance>,
    turn: impl FnOnce() -> usize,
    in_use: impl FnMut(&usize) -> usize,
) -> Vec<usize> {
    if targets.len() < 2 {
        return targets;
    }
    match balance {
        None | Some(Balance::InOrder) => {}
        Some(Balance::RoundRobin) => {
            let first = turn() % targets.len();
            targets.rotate_left(first);
        }
        // Equals take turns, so that an idle route does not ask the first one only.
        Some(Balance::LeastRequests) => {
            let first = turn() % targets.len();
            targets.rotate_left(first);
            targets.sort_by_cached_key(in_use);
        }
    }
    targets
}

/// How often the log tells of one target.
const TOLD_EVERY: Duration = Duration::from_secs(1);

/// Targets that are known before old ones are forgotten.
const MOST_TARGETS: usize = 1000;

/// Routes whose turns are remembered.
const MOST_ROUTES: usize = 100_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn health() -> Health {
        Health::new(&Timeouts {
            target_rest: Duration::from_hours(1),
            target_wait: Duration::from_millis(20),
            ..Timeouts::default()
        })
    }

    fn route(balance: Option<Balance>, most: Option<u32>) -> Route {
        let target = |port| Target {
            address: Address::Host("a".into(), port),
            max_connections: most,
            ..Target::default()
        };
        Route {
            balance,
            targets: [1, 2, 3].map(target).into(),
            ..Route::default()
        }
    }

    #[test]
    fn without_balance_the_order_is_the_lines_whatever_happens() {
        let (health, route) = (health(), route(None, None));
        health
            .condition(&route.targets[0])
            .failed(health.rest(), &"x");
        assert_eq!(health.order(&route), [0, 1, 2]);
    }

    #[test]
    fn turns_go_round_among_those_that_do_not_rest() {
        let (health, route) = (health(), route(Some(Balance::RoundRobin), None));
        let firsts = |n: usize| -> Vec<usize> { (0..n).map(|_| health.order(&route)[0]).collect() };
        assert_eq!(firsts(4), [0, 1, 2, 0]);
        let second = health.condition(&route.targets[1]);
        second.failed(health.rest(), &"refused");
        let orders: Vec<_> = (0..4).map(|_| health.order(&route)).collect();
        assert!(orders.iter().all(|order| order[2] == 1), "last: {orders:?}");
        let of_first = orders.iter().filter(|order| order[0] == 0).count();
        assert_eq!(of_first, 2, "the others share its turns: {orders:?}");
        for index in [0, 2] {
            health
                .condition(&route.targets[index])
                .failed(health.rest(), &"refused");
        }
        assert_eq!(health.order(&route).len(), 3, "all rest: all are asked");
        second.reached();
        assert_eq!(firsts(2), [1, 1]);
        second.checked(Err("500".into()), health.rest());
        second.reached();
        assert_ne!(firsts(1), [1], "a check says more than a connection");
        second.checked(Ok(()), health.rest());
        assert_eq!(firsts(1), [1]);
    }

    #[test]
    fn a_rest_is_over_by_itself() {
        let (health, route) = (health(), route(Some(Balance::InOrder), None));
        let first = health.condition(&route.targets[0]);
        first.failed(Duration::ZERO, &"x");
        while first.rests() {
            std::thread::yield_now();
        }
        // One request tries it; the others wait for what comes of that.
        assert_eq!(health.order(&route), [0, 1, 2]);
        assert_eq!(health.order(&route), [1, 2, 0]);
        first.reached();
        assert_eq!(health.order(&route), [0, 1, 2]);
    }

    #[tokio::test]
    async fn the_least_used_is_first_and_room_is_bounded() {
        let (health, route) = (health(), route(Some(Balance::LeastRequests), Some(2)));
        let mut claims = Vec::new();
        for _ in 0..6 {
            let index = health.order(&route)[0];
            claims.push((
                index,
                health.claim(&route.targets[index], false).await.unwrap(),
            ));
        }
        let of = |n| claims.iter().filter(|(index, _)| *index == n).count();
        assert_eq!([of(0), of(1), of(2)], [2, 2, 2]);
        assert!(health.claim(&route.targets[1], false).await.is_none());
        assert!(health.claim(&route.targets[1], true).await.is_none());
        claims.retain(|(index, _)| *index != 1);
        assert_eq!(health.order(&route)[0], 1);
        assert!(health.claim(&route.targets[1], true).await.is_some());
    }

    #[tokio::test]
    async fn what_is_used_is_remembered_and_the_rest_forgotten() {
        let health = health();
        let target = |port| Target {
            address: Address::Host("a".into(), port),
            ..Target::default()
        };
        let _claim = health.claim(&target(1), false).await;
        for port in 2..=u16::MAX {
            health.condition(&target(port));
        }
        assert!(health.known.len() <= MOST_TARGETS);
        assert_eq!(health.condition(&target(1)).in_use.load(Relaxed), 1);
    }
}
