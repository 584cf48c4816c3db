//! A seeded simulation of publishers on a lossy way to one channel: items overtake each other, are
//! sent twice, get lost, come late, and name predecessors that never were.
//!
//! `GRIPD_SEEDS=N` runs more seeds than a normal test run does.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use super::{IdCache, Ids, Sequencer, Verdict, WAITING_LIMIT};

#[test]
fn nothing_is_lost_or_doubled_and_chains_keep_their_order() {
    let seeds = std::env::var("GRIPD_SEEDS")
        .ok()
        .and_then(|seeds| seeds.parse().ok());
    for seed in 1..=seeds.unwrap_or(300) {
        let run = || {
            World::new(seed).in_time();
            World::new(seed).anything();
        };
        if let Err(panic) = std::panic::catch_unwind(run) {
            eprintln!("seed {seed}");
            std::panic::resume_unwind(panic);
        }
    }
}

/// How long an item waits, in milliseconds.
const WAIT: u64 = 1000;
const CHANNEL: &str = "c";

/// An item under way.
#[derive(Clone, Debug)]
struct Post {
    /// Its place among all that is published, and the only one that is the same twice.
    name: usize,
    id: Option<String>,
    prev_id: Option<String>,
    no_seq: bool,
}

struct World {
    random: u64,
    now: u64,
    sequencer: Sequencer<usize>,
    cache: IdCache,
    /// When each accepted item came.
    accepted: HashMap<usize, u64>,
    /// When each came out, in that order.
    out: Vec<(usize, u64)>,
}

impl World {
    fn new(seed: u64) -> Self {
        Self {
            random: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15),
            now: 0,
            sequencer: Sequencer::new(),
            cache: IdCache::new(10_000),
            accepted: HashMap::new(),
            out: Vec::new(),
        }
    }

    /// A chain of ids that all arrive, though not in order, less than the wait late, and some of
    /// them again: comes out in order, each once.
    fn in_time(mut self) {
        let count = 20 + self.index(180);
        // So that fewer wait than may.
        let step = 15 + self.below(200);
        let mut arrivals: BTreeMap<(u64, usize), Post> = BTreeMap::new();
        for name in 0..count {
            let sent = name as u64 * step;
            let post = Post {
                name,
                id: Some(name.to_string()),
                prev_id: name.checked_sub(1).map(|prev| prev.to_string()),
                no_seq: false,
            };
            // With nothing known of the channel, the first to come is the first of all.
            let late = if name == 0 { 0 } else { self.below(WAIT) };
            arrivals.insert((sent + late, name), post.clone());
            if self.below(4) == 0 {
                let again = sent + late + 1 + self.below(3 * WAIT);
                arrivals.insert((again, count + name), post);
            }
        }
        for ((at, _), post) in arrivals {
            self.pass_until(at);
            self.publish(&post);
        }
        let names: Vec<_> = self.out.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, (0..count).collect::<Vec<_>>());
        assert_eq!(self.sequencer.waiting(), 0);
    }

    /// Whatever is published: what was accepted comes out once, and no later than it may.
    fn anything(mut self) {
        let ids = 5 + self.below(60);
        let mut posts: Vec<Post> = Vec::new();
        for name in 0..400 {
            match self.below(12) {
                0 => self.pass_until(self.now + 2 * WAIT),
                1..=4 => {
                    let time = self.now + self.below(WAIT / 2);
                    self.pass_until(time);
                }
                5 if !posts.is_empty() => {
                    let index = self.index(posts.len());
                    self.publish(&posts[index].clone());
                }
                6 if self.below(8) == 0 => self.sequencer.forget(),
                7 if self.below(8) == 0 => {
                    let id = self.below(ids).to_string();
                    self.sequencer.forget_if(&id);
                    assert_ne!(self.sequencer.last_id(), Some(&*id));
                }
                _ => {
                    let post = self.post(name, ids);
                    self.publish(&post);
                    posts.push(post);
                }
            }
        }
        self.pass_until(self.now + WAIT);
        self.judge();
    }

    fn post(&mut self, name: usize, ids: u64) -> Post {
        let id = self.below(ids);
        let follows = self.below(3) == 0;
        let prev = match self.sequencer.last_id() {
            Some(last) if follows => last.to_owned(),
            _ => self.below(ids).to_string(),
        };
        Post {
            name,
            // Fresh ids besides those that come again and again.
            id: match self.below(8) {
                0 => None,
                1 | 2 => Some(id.to_string()),
                _ => Some(format!("{id}/{name}")),
            },
            prev_id: (self.below(8) > 0).then_some(prev),
            no_seq: self.below(20) == 0,
        }
    }

    fn publish(&mut self, post: &Post) {
        let ids = Ids {
            id: post.id.as_deref(),
            prev_id: post.prev_id.as_deref(),
            no_seq: post.no_seq,
        };
        let now = Duration::from_millis(self.now);
        let ttl = Duration::from_mins(1);
        if ids
            .id
            .is_some_and(|id| self.cache.seen(CHANNEL, id, now, ttl))
        {
            return;
        }
        if self.accepted.contains_key(&post.name) {
            // Sent again without an id: nobody can know. It is another item.
            return;
        }
        let mut out = Vec::new();
        let wait = Duration::from_millis(WAIT);
        let verdict = self.sequencer.offer(ids, post.name, now, wait, &mut out);
        assert_eq!(out.first() == Some(&post.name), verdict == Verdict::Sent);
        assert!(verdict == Verdict::Sent || out.is_empty());
        if !matches!(verdict, Verdict::Dropped(_)) {
            self.accepted.insert(post.name, self.now);
        }
        self.note(out);
    }

    /// Time passes, and each item goes when it is due.
    fn pass_until(&mut self, time: u64) {
        let end = Duration::from_millis(time);
        while let Some(due) = self.sequencer.due().filter(|due| *due <= end) {
            self.now = u64::try_from(due.as_millis()).unwrap();
            let mut out = Vec::new();
            self.sequencer.expire(due, &mut out);
            assert!(!out.is_empty(), "due, but did not come out");
            self.note(out);
        }
        self.now = time;
    }

    fn note(&mut self, out: Vec<usize>) {
        self.out
            .extend(out.into_iter().map(|name| (name, self.now)));
        assert!(self.sequencer.waiting() <= WAITING_LIMIT);
        let waiting = self.accepted.len() - self.out.len();
        assert_eq!(self.sequencer.waiting(), waiting);
        assert_eq!(self.sequencer.due().is_some(), waiting > 0);
    }

    fn judge(&mut self) {
        for (name, at) in &self.out {
            let came = self.accepted.remove(name);
            let came = came.expect("came out without being accepted, or twice");
            assert!(*at <= came + WAIT, "{name} came at {came}, went at {at}");
        }
        assert!(self.accepted.is_empty(), "lost: {:?}", self.accepted);
    }

    fn index(&mut self, limit: usize) -> usize {
        usize::try_from(self.below(limit as u64)).unwrap()
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % limit
    }
}
