//! The vectors of ordering and of repeated ids as tables, and the sequencer against a naive model.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const WAIT: Duration = Duration::from_secs(5);

const fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// A channel, and all that came out of it.
#[derive(Default)]
struct Bench {
    sequencer: Sequencer<String>,
    now: Duration,
    out: Vec<String>,
}

impl Bench {
    /// `id`, `id<prev` or `id!prev`, which is outside of the order; `-` instead of an id is none.
    fn offer(&mut self, text: &str) -> Verdict {
        let no_seq = text.contains('!');
        let (id, prev_id) = match text.split_once(['<', '!']) {
            Some((id, prev)) => (id, Some(prev)),
            None => (text, None),
        };
        let ids = Ids {
            id: Some(id).filter(|id| *id != "-"),
            prev_id,
            no_seq,
        };
        let Self { now, out, .. } = self;
        self.sequencer.offer(ids, text.to_owned(), *now, WAIT, out)
    }

    fn offer_all(&mut self, texts: &str) {
        for text in texts.split(' ') {
            self.offer(text);
        }
    }

    #[track_caller]
    fn is_out(&self, want: &str) {
        assert_eq!(self.out.join(" "), want);
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.sequencer.expire(self.now, &mut self.out);
    }
}

#[test]
fn v088_items_wait_for_the_one_before() {
    let mut bench = Bench::default();
    bench.offer_all("1 3<2 4<3");
    bench.is_out("1");
    assert_eq!(bench.sequencer.waiting(), 2);
    assert_eq!(bench.offer("2<1"), Verdict::Sent);
    bench.is_out("1 2<1 3<2 4<3");
    assert_eq!(bench.sequencer.last_id(), Some("4"));
    assert_eq!(bench.sequencer.due(), None);
}

#[test]
fn v089_who_waited_long_enough_goes_and_a_late_one_waits_too() {
    let mut bench = Bench::default();
    bench.offer_all("1 3<2 4<3");
    assert_eq!(bench.sequencer.due(), Some(WAIT));
    bench.pass(ms(4999));
    bench.is_out("1");
    bench.pass(ms(1));
    bench.is_out("1 3<2 4<3");
    assert_eq!(bench.offer("2<1"), Verdict::Waiting);
    bench.pass(ms(4999));
    bench.is_out("1 3<2 4<3");
    bench.pass(ms(1));
    bench.is_out("1 3<2 4<3 2<1");
    assert_eq!(bench.sequencer.last_id(), Some("2"), "moved backwards");
}

#[test]
fn v090_who_names_no_predecessor_goes_at_once() {
    let mut bench = Bench::default();
    bench.offer_all("1 3<2 9 - 20<19");
    bench.is_out("1 9 - 20<19");
    bench.pass(WAIT);
    bench.is_out("1 9 - 20<19 3<2");
}

#[test]
fn v091_no_seq_neither_waits_nor_counts() {
    let mut bench = Bench::default();
    bench.offer_all("1 3!2");
    assert_eq!(bench.sequencer.last_id(), Some("1"));
    bench.offer("2<1");
    bench.is_out("1 3!2 2<1");
}

#[test]
fn v092_a_second_that_waits_for_the_same_is_dropped() {
    let mut bench = Bench::default();
    bench.offer_all("1 3a<2");
    let dropped = Verdict::Dropped(WhyDropped::SamePrevId);
    assert_eq!(bench.offer("3b<2"), dropped);
    bench.offer("2<1");
    bench.pass(WAIT * 2);
    bench.is_out("1 2<1 3a<2");
}

#[test]
fn a_hundred_may_wait() {
    let mut bench = Bench::default();
    bench.offer("1");
    for n in 0..WAITING_LIMIT {
        assert_eq!(bench.offer(&format!("x<gap{n}")), Verdict::Waiting);
    }
    assert_eq!(bench.offer("y<other"), Verdict::Dropped(WhyDropped::Full));
    bench.pass(WAIT);
    assert_eq!(bench.out.len(), 1 + WAITING_LIMIT);
    assert_eq!(bench.out[1..3], ["x<gap0", "x<gap1"], "the oldest first");
}

#[test]
fn who_is_due_releases_its_chain_but_no_other() {
    let mut bench = Bench::default();
    bench.offer_all("1 3<2");
    bench.pass(ms(1000));
    bench.offer_all("7<6 4<3");
    bench.pass(ms(4000));
    bench.is_out("1 3<2 4<3");
    assert_eq!(bench.sequencer.due(), Some(ms(6000)));
}

#[test]
fn a_predecessor_that_comes_before_expire_is_in_time() {
    let mut bench = Bench::default();
    bench.offer_all("1 3<2");
    bench.now = WAIT * 2;
    bench.offer("2<1");
    bench.is_out("1 2<1 3<2");
}

#[test]
fn the_empty_string_is_an_id_and_an_item_may_name_itself() {
    let mut bench = Bench::default();
    bench.offer_all("a <a b< c<c");
    bench.is_out("a <a b<");
    bench.pass(WAIT);
    bench.is_out("a <a b< c<c");
}

#[test]
fn what_is_forgotten_holds_nobody_back() {
    let mut bench = Bench::default();
    bench.offer_all("1 3<2");
    bench.sequencer.forget_if("0");
    assert_eq!(bench.sequencer.last_id(), Some("1"));
    bench.sequencer.forget_if("1");
    assert_eq!(bench.sequencer.last_id(), None);
    bench.offer("9<8");
    bench.is_out("1 9<8");
    bench.sequencer.forget();
    bench.offer("2<1");
    bench.is_out("1 9<8 2<1 3<2");
}

#[test]
fn without_a_wait_nobody_waits() {
    let mut sequencer = Sequencer::new();
    let mut out = Vec::new();
    for (id, prev_id) in [("1", None), ("3", Some("2")), ("2", Some("1"))] {
        let ids = Ids {
            id: Some(id),
            prev_id,
            no_seq: false,
        };
        sequencer.offer(ids, id, Duration::ZERO, Duration::ZERO, &mut out);
    }
    assert_eq!(out, ["1", "3", "2"]);
}

#[test]
fn an_ordinary_channel_costs_little() {
    assert!(size_of::<Sequencer<[u8; 500]>>() <= 32);
    let mut bench = Bench::default();
    bench.offer_all("1 3<2 2<1");
    assert!(bench.sequencer.waiting.is_none(), "the list is given back");
}

#[test]
fn v085_v086_v087_an_id_counts_once_in_its_channel() {
    let mut cache = IdCache::new(10);
    let mut seen = |channel, id| cache.seen(channel, id, ms(0), ms(1000));
    assert!(!seen("a", "1"));
    assert!(seen("a", "1"));
    assert!(!seen("a", "2"));
    assert!(!seen("b", "1"), "on another channel");
    assert!(!seen("a1", ""), "the border between the two counts");
    assert!(!seen("", "a1"));
}

#[test]
fn v095_an_id_is_forgotten_after_its_time_however_often_it_came() {
    let mut cache = IdCache::new(10);
    for (now, want) in [
        (0, false),
        (300, true),
        (1999, true),
        (2000, false),
        (2500, true),
    ] {
        assert_eq!(cache.seen("a", "1", ms(now), ms(2000)), want, "at {now}");
    }
    assert_eq!(cache.len(), 1);
    cache.seen("a", "2", ms(9000), ms(2000));
    assert_eq!(cache.len(), 1, "old ones are given back");
}

#[test]
fn a_full_cache_forgets_the_oldest() {
    let mut cache = IdCache::new(2);
    for (id, want) in [
        ("1", false),
        ("2", false),
        ("3", false),
        ("2", true),
        ("1", false),
    ] {
        assert_eq!(cache.seen("a", id, ms(0), ms(1)), want, "{id}");
    }
    assert_eq!(cache.len(), 2);
}

#[test]
fn with_no_time_nothing_is_remembered() {
    let mut cache = IdCache::new(2);
    assert!(!cache.seen("a", "1", ms(0), ms(0)));
    assert!(!cache.seen("a", "1", ms(0), ms(0)));
    assert!(cache.is_empty());
}

/// The rules once more, as plainly as can be: everything waits in one map by arrival, and each
/// millisecond is looked at.
#[derive(Default)]
struct Model {
    last: Option<u8>,
    waiting: BTreeMap<usize, (u64, Option<u8>, u8)>,
    now: u64,
    out: Vec<usize>,
}

impl Model {
    fn offer(&mut self, name: usize, id: Option<u8>, prev: Option<u8>) {
        if self.last.is_none() || prev.is_none() || prev == self.last {
            self.send(name, id);
        } else if let Some(prev) = prev
            && self.waiting.len() < WAITING_LIMIT
            && self.waiting.values().all(|other| other.2 != prev)
        {
            self.waiting.insert(name, (self.now, id, prev));
        }
    }

    fn send(&mut self, name: usize, id: Option<u8>) {
        self.out.push(name);
        self.last = id;
        let next = self.waiting.iter().find(|(_, one)| Some(one.2) == id);
        if let Some((&next, &(_, id, _))) = next {
            self.waiting.remove(&next);
            self.send(next, id);
        }
    }

    fn tick(&mut self, wait: u64) {
        self.now += 1;
        let now = self.now;
        let due = |one: &(u64, Option<u8>, u8)| one.0 + wait <= now;
        while let Some((&name, &(_, id, _))) = self.waiting.iter().find(|(_, one)| due(one)) {
            self.waiting.remove(&name);
            self.send(name, id);
        }
    }
}

#[derive(Clone, Debug)]
enum Step {
    Forget,
    Offer(Option<u8>, Option<u8>, bool),
    Pass(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let id = || prop::option::weighted(0.9, 0..12_u8);
    prop_oneof![
        1 => Just(Step::Forget),
        20 => (id(), id(), prop::bool::weighted(0.05)).prop_map(|(a, b, c)| Step::Offer(a, b, c)),
        5 => (0..40_u64).prop_map(Step::Pass),
    ]
}

proptest! {
    #[test]
    fn it_does_what_the_model_does(steps in prop::collection::vec(step(), 0..80)) {
        const WAIT: u64 = 50;
        let (mut sequencer, mut out, mut model) = (Sequencer::new(), vec![], Model::default());
        for (name, step) in steps.into_iter().enumerate() {
            match step {
                Step::Forget => {
                    sequencer.forget();
                    model.last = None;
                }
                Step::Offer(id, prev, no_seq) => {
                    let [id_text, prev_text] = [id, prev].map(|id| id.map(|id| id.to_string()));
                    let ids = Ids {
                        id: id_text.as_deref(),
                        prev_id: prev_text.as_deref(),
                        no_seq,
                    };
                    sequencer.offer(ids, name, ms(model.now), ms(WAIT), &mut out);
                    if no_seq {
                        model.out.push(name);
                    } else {
                        model.offer(name, id, prev);
                    }
                }
                Step::Pass(time) => {
                    for _ in 0..time {
                        model.tick(WAIT);
                    }
                    sequencer.expire(ms(model.now), &mut out);
                }
            }
            prop_assert_eq!(&out, &model.out);
            prop_assert_eq!(sequencer.waiting(), model.waiting.len());
            let last = model.last.map(|last| last.to_string());
            prop_assert_eq!(sequencer.last_id(), last.as_deref());
            let due = model.waiting.values().map(|one| ms(one.0 + WAIT)).min();
            prop_assert_eq!(sequencer.due(), due);
        }
    }
}
