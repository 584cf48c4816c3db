//! What one thread has counted. Only that thread writes it, so nothing is contended; whoever shows
//! the numbers reads those of all threads and adds them up.

use std::{
    array,
    collections::BTreeMap,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;

use super::{
    counters::{Count, Family, TABLE},
    minutes::Minutes,
};

/// The numbers of one thread.
#[derive(Debug)]
pub(super) struct Core {
    counts: [AtomicU64; TABLE.len()],
    pub(super) delivery: Times,
    pub(super) minutes: Mutex<Minutes>,
    labelled: Mutex<BTreeMap<(Family, &'static str), u64>>,
    routes: Mutex<BTreeMap<String, Upstream>>,
}

/// How long something took: a histogram.
#[derive(Debug)]
pub(super) struct Times {
    /// By the first of [`BOUNDS`] that is not exceeded; the last: more than all of them.
    counts: [AtomicU64; BOUNDS.len() + 1],
    micros: AtomicU64,
}

/// The backends of one route.
#[derive(Debug, Default)]
pub(super) struct Upstream {
    pub(super) times: Times,
    pub(super) errors: BTreeMap<&'static str, u64>,
}

/// The upper bounds of a histogram's buckets, in microseconds.
pub(super) const BOUNDS: [u64; 15] = [
    500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000,
    2_500_000, 5_000_000, 10_000_000, 30_000_000,
];

impl Core {
    fn new() -> Self {
        Self {
            counts: array::from_fn(|_| AtomicU64::new(0)),
            delivery: Times::default(),
            minutes: Mutex::default(),
            labelled: Mutex::default(),
            routes: Mutex::default(),
        }
    }

    pub(super) fn add(&self, count: Count, more: u64) {
        self.counts[count as usize].fetch_add(more, Ordering::Relaxed);
    }

    pub(super) fn get(&self, count: Count) -> u64 {
        self.counts[count as usize].load(Ordering::Relaxed)
    }

    pub(super) fn add_labelled(&self, family: Family, value: &'static str) {
        *self.labelled.lock().entry((family, value)).or_default() += 1;
    }

    /// Changes what is known of a route's backends. Names come from reloaded files for ever: beyond
    /// [`ROUTES`] of them all others count as one.
    pub(super) fn upstream(&self, route: &str, with: impl FnOnce(&mut Upstream)) {
        let mut routes = self.routes.lock();
        if let Some(known) = routes.get_mut(route) {
            return with(known);
        }
        let name = if routes.len() < ROUTES { route } else { OTHERS };
        with(routes.entry(name.to_owned()).or_default());
    }

    /// Adds what this one has counted to `all`.
    pub(super) fn add_labels(&self, all: &mut BTreeMap<(Family, &'static str), u64>) {
        for (label, count) in &*self.labelled.lock() {
            *all.entry(*label).or_default() += count;
        }
    }

    /// Adds what this one knows of backends to `all`.
    pub(super) fn add_routes(&self, all: &mut BTreeMap<String, Upstream>) {
        for (name, own) in &*self.routes.lock() {
            let sum = all.entry(name.clone()).or_default();
            sum.times.add(&own.times);
            for (cause, count) in &own.errors {
                *sum.errors.entry(cause).or_default() += count;
            }
        }
    }

    /// Takes over what a thread has counted that is no more.
    fn inherit(&self, other: &Self) {
        for (own, more) in self.counts.iter().zip(&other.counts) {
            own.fetch_add(more.load(Ordering::Relaxed), Ordering::Relaxed);
        }
        self.delivery.add(&other.delivery);
        self.minutes.lock().add(&other.minutes.lock());
        other.add_labels(&mut self.labelled.lock());
        other.add_routes(&mut self.routes.lock());
    }
}

impl Times {
    pub(super) fn note(&self, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let bucket = BOUNDS.iter().position(|bound| micros <= *bound);
        let bucket = bucket.unwrap_or(BOUNDS.len());
        self.counts[bucket].fetch_add(1, Ordering::Relaxed);
        self.micros.fetch_add(micros, Ordering::Relaxed);
    }

    pub(super) fn add(&self, other: &Self) {
        for (own, more) in self.counts.iter().zip(&other.counts) {
            own.fetch_add(more.load(Ordering::Relaxed), Ordering::Relaxed);
        }
        let micros = other.micros.load(Ordering::Relaxed);
        self.micros.fetch_add(micros, Ordering::Relaxed);
    }

    /// How many in each bucket, and all together in microseconds.
    pub(super) fn read(&self) -> ([u64; BOUNDS.len() + 1], u64) {
        let counts = array::from_fn(|index| self.counts[index].load(Ordering::Relaxed));
        (counts, self.micros.load(Ordering::Relaxed))
    }
}

impl Default for Times {
    fn default() -> Self {
        Self {
            counts: array::from_fn(|_| AtomicU64::new(0)),
            micros: AtomicU64::new(0),
        }
    }
}

/// A thread's own, which outlives the thread in [`GONE`].
struct Own(Arc<Core>);

impl Drop for Own {
    fn drop(&mut self) {
        let mut all = ALL.lock();
        all.retain(|core| !Arc::ptr_eq(core, &self.0));
        GONE.inherit(&self.0);
    }
}

/// Counts in this thread's own numbers.
pub(super) fn with(count: impl Fn(&Core)) {
    let own = OWN.try_with(|own| count(&own.0));
    if own.is_err() {
        // The thread is ending.
        count(&GONE);
    }
}

/// Visits the numbers of all threads.
pub(super) fn each(mut visit: impl FnMut(&Core)) {
    // Held all the while: what a thread leaves behind must not be seen twice.
    let all = ALL.lock();
    visit(&GONE);
    for core in &*all {
        visit(core);
    }
}

/// One number of all threads. Wraps, so that a gauge may be counted down by another thread than
/// the one that has counted it up.
pub(super) fn sum(read: impl Fn(&Core) -> u64) -> u64 {
    let mut sum = 0u64;
    each(|core| sum = sum.wrapping_add(read(core)));
    sum
}

thread_local! {
    static OWN: Own = {
        let core = Arc::new(Core::new());
        ALL.lock().push(Arc::clone(&core));
        Own(core)
    };
}

static ALL: Mutex<Vec<Arc<Core>>> = Mutex::new(Vec::new());

/// What threads have counted that are no more.
static GONE: LazyLock<Core> = LazyLock::new(Core::new);

/// Most routes that are told apart.
const ROUTES: usize = 1000;

/// All other routes.
const OTHERS: &str = "(others)";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ended_threads_have_counted_stays() {
        let before = Count::SlowLatest.get();
        let worker = |_| std::thread::spawn(|| Count::SlowLatest.add(2));
        let workers: Vec<_> = (0..4).map(worker).collect();
        for worker in workers {
            worker.join().unwrap();
        }
        Count::SlowLatest.sub(1);
        assert_eq!(Count::SlowLatest.get() - before, 7);
    }

    #[test]
    fn a_time_is_in_the_first_bucket_that_is_not_exceeded() {
        let times = Times::default();
        for micros in [0, 500, 501, 30_000_000, 30_000_001] {
            times.note(Duration::from_micros(micros));
        }
        let (counts, micros) = times.read();
        assert_eq!(counts[..2], [2, 1]);
        assert_eq!(counts[14..], [1, 1]);
        assert_eq!(micros, 60_001_002);
    }

    #[test]
    fn routes_are_bounded() {
        let core = Core::new();
        for number in 0..ROUTES + 5 {
            core.upstream(&number.to_string(), |one| {
                *one.errors.entry("x").or_default() += 1;
            });
        }
        let routes = core.routes.lock();
        assert_eq!(routes.len(), ROUTES + 1);
        assert_eq!(routes[OTHERS].errors["x"], 5);
    }
}
