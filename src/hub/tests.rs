//! Subscribers that are paused while their sessions ask the backend, and clients that are slow:
//! the corners, one by one. What holds in general is the simulations' affair.

use std::{
    future::poll_fn,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use serde_json::{Value, json};

use super::{
    Ask, Bounds, Event, Holder, Hub, Overflow, Progress, Question, Rules, Shard, Why,
    simulation::PipeEnd,
};
use crate::grip::{
    channel::Channel,
    delivery::Standing,
    filter::Reply,
    instruct::{KeepAlive, KeepAliveMode, Mode},
    item,
};

/// One shard, whose time stands still unless it is moved.
struct Bench {
    hub: Hub,
    shard: Shard<PipeEnd>,
    now: Duration,
}

impl Bench {
    fn new(bounds: Bounds) -> Self {
        let rules = Rules {
            message_wait: Duration::from_secs(5),
            ..Rules::default()
        };
        let hub = Hub::new(1, 1 << 20, Duration::ZERO, rules);
        let shard = Shard::new(0, hub.directory.clone(), hub.inboxes[0].clone(), bounds);
        let now = Duration::ZERO;
        Self { hub, shard, now }
    }

    fn subscribe(&mut self, ask: Ask<'_>) -> u32 {
        self.shard.subscribe(ask, self.now)
    }

    /// A stream that can ask its backend again, from `prev_id` on where there is one.
    fn follower(&mut self, prev_id: Option<&str>) -> (u32, PipeEnd) {
        let slot = self.subscribe(following(prev_id));
        let pipe = PipeEnd::default();
        self.shard.open(slot, pipe.clone(), None);
        (slot, pipe)
    }

    /// Publishes items of channel `a` and lets the shard do what there is to do.
    fn publish(&mut self, items: &Value) {
        let items = json!({ "items": items });
        let entries = item::parse_batch(items.to_string().as_bytes()).unwrap();
        self.hub.sequence(entries, None, self.now);
        self.work();
    }

    fn work(&mut self) {
        while self.shard.work(self.now, || false) == Progress::More {}
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.hub.tick(self.now);
        self.work();
    }

    /// What the session finds, as its connection takes what it may.
    fn event(&mut self, slot: u32) -> Option<Event> {
        let mut context = Context::from_waker(Waker::noop());
        let subscriber = self.shard.subscriber(slot).unwrap();
        if let Poll::Ready(written) = subscriber.outlet.poll_drain(&mut context) {
            self.shard.written(slot, &written);
        }
        let subscriber = self.shard.subscriber(slot).unwrap();
        subscriber.take_event(Waker::noop())
    }

    fn recovers(&mut self, slot: u32) -> Option<Why> {
        match self.event(slot) {
            Some(Event::Recover(why)) => Some(why),
            None => None,
            event => panic!("{event:?}"),
        }
    }

    fn question(&mut self, slot: u32) -> Question {
        match self.event(slot) {
            Some(Event::Ask(question)) => *question,
            event => panic!("{event:?}"),
        }
    }

    fn answer(&mut self, slot: u32, question: Question, code: u16) {
        let reply = Reply {
            code,
            action: Some(b"drop"),
            body: Bytes::new(),
        };
        self.shard.answer(slot, question.ask, &reply);
        self.work();
    }

    fn resume(&mut self, slot: u32, ask: Ask<'_>) {
        self.shard.resume(slot, ask, self.now);
        self.work();
    }
}

/// Channel `a` with a next link.
fn following(prev_id: Option<&str>) -> Ask<'static> {
    Ask {
        channels: vec![("a".into(), standing(prev_id, &[]))],
        framing: super::Framing::Bare,
        link: Some(Duration::ZERO),
        ..Ask::of(Mode::Stream, &[])
    }
}

fn standing(prev_id: Option<&str>, filters: &[&str]) -> Option<Box<Standing>> {
    let channel = Channel {
        name: "a".into(),
        prev_id: prev_id.map(str::to_owned),
        filters: filters.iter().map(|name| (*name).to_owned()).collect(),
    };
    let meta = [("url".to_owned(), Some("/check".to_owned()))].into();
    Standing::of(&channel, &Arc::new(meta), &Bytes::new())
}

fn text(text: &str) -> Value {
    json!({"channel": "a", "formats": {"http-stream": {"content": text}}})
}

fn numbered(id: &str, prev_id: &str) -> Value {
    json!({"channel": "a", "id": id, "prev-id": prev_id,
           "formats": {"http-stream": {"content": format!("[{id}]")}}})
}

fn hint() -> Value {
    json!({"channel": "a", "formats": {"http-stream": {"action": "hint"}}})
}

fn give(pipe: &PipeEnd, room: usize) {
    pipe.0.borrow_mut().room += room;
}

fn received(pipe: &PipeEnd) -> String {
    String::from_utf8(pipe.0.borrow().received.clone()).unwrap()
}

const ALL: usize = 1 << 30;

#[test]
fn a_long_poll_ends_though_its_time_was_over_while_a_filter_asked() {
    let mut bench = Bench::new(Bounds::default());
    let slot = bench.subscribe(Ask {
        channels: vec![("a".into(), standing(None, &["http-check"]))],
        ..Ask::of(Mode::Response, &[])
    });
    bench.publish(&json!([{"channel": "a", "formats": {"http-response": {"body": "x"}}}]));
    let question = bench.question(slot);
    bench.pass(Duration::from_mins(1));
    assert!(bench.event(slot).is_none(), "while it asks it is not over");
    bench.answer(slot, question, 200);
    assert!(matches!(bench.event(slot), Some(Event::Timeout)));
}

#[test]
fn a_hint_while_the_backend_is_asked_has_it_asked_again() {
    let mut bench = Bench::new(Bounds::default());
    let (slot, _pipe) = bench.follower(None);
    bench.publish(&json!([hint()]));
    assert_eq!(bench.recovers(slot), Some(Why::Hint));
    // The backend may have answered before it knew what the second hint is about.
    bench.publish(&json!([hint()]));
    bench.resume(slot, following(None));
    assert_eq!(bench.recovers(slot), Some(Why::Update));
    bench.resume(slot, following(None));
    assert_eq!(bench.recovers(slot), None);
}

#[test]
fn what_waits_before_the_socket_is_there_may_overflow_too() {
    let bounds = Bounds {
        buffer: 4,
        ..Bounds::default()
    };
    let mut bench = Bench::new(bounds);
    let slot = bench.subscribe(Ask {
        overflow: Overflow::Recover,
        ..following(None)
    });
    bench.publish(&json!([hint_free("1"), hint_free("2")]));
    bench.publish(&json!([text("three"), text("four")]));
    assert_eq!(bench.recovers(slot), None, "there is no client yet");
    let pipe = PipeEnd::default();
    give(&pipe, ALL);
    bench.shard.open(slot, pipe, None);
    assert_eq!(bench.recovers(slot), Some(Why::Slow));
}

/// Items that cannot be joined.
fn hint_free(content: &str) -> Value {
    let form = json!({"content": content});
    json!({"channel": "a", "formats": {"http-stream": form, "http-response": {"body": "x"}}})
}

#[test]
fn a_client_that_never_reads_is_given_up_though_all_that_waited_was_dropped() {
    let bounds = Bounds {
        buffer: 4,
        send: Duration::from_secs(10),
        ..Bounds::default()
    };
    let mut bench = Bench::new(bounds);
    let slot = bench.subscribe(Ask {
        overflow: Overflow::Recover,
        ..following(None)
    });
    let pipe = PipeEnd::default();
    bench.shard.open(slot, pipe.clone(), None);
    bench.publish(&json!([text("one")]));
    bench.publish(&json!([text("two")]));
    assert_eq!(bench.recovers(slot), None, "it has not read");
    bench.pass(Duration::from_secs(5));
    assert!(bench.event(slot).is_none());
    bench.pass(Duration::from_secs(6));
    assert!(matches!(bench.event(slot), Some(Event::Overflow)));
    assert_eq!(received(&pipe), "");
}

#[test]
fn an_item_that_does_not_follow_stays_before_those_that_do() {
    let mut bench = Bench::new(Bounds::default());
    let slot = bench.subscribe(Ask {
        channels: vec![
            ("a".into(), standing(Some("1"), &[])),
            ("b".into(), standing(None, &["http-check"])),
        ],
        ..following(None)
    });
    let pipe = PipeEnd::default();
    give(&pipe, ALL);
    bench.shard.open(slot, pipe.clone(), None);
    // While the filter asks, 3, 4 and 5 are kept; 2 is missing.
    bench.publish(&json!([{"channel": "b", "formats": {"http-stream": {"content": "x"}}}]));
    let question = bench.question(slot);
    bench.publish(&json!([
        numbered("3", "2"),
        numbered("4", "3"),
        numbered("5", "4")
    ]));
    bench.answer(slot, question, 200);
    assert_eq!(bench.recovers(slot), Some(Why::Gap));
    bench.resume(slot, following(Some("2")));
    assert_eq!(received(&pipe), "[3][4][5]");
    assert_eq!(bench.recovers(slot), None);
}

#[test]
fn what_is_kept_for_a_paused_long_poll_is_bounded_by_all_its_bytes() {
    let mut bench = Bench::new(Bounds {
        buffer: 10_000,
        ..Bounds::default()
    });
    let ask = || Ask {
        channels: vec![("a".into(), standing(Some("1"), &[]))],
        ..Ask::of(Mode::Response, &[])
    };
    let slot = bench.subscribe(ask());
    bench.publish(&json!([{"channel": "a", "formats": {"http-response": {"action": "hint"}}}]));
    // No item follows it here: the standing is at 1 and they do not say so.
    assert!(bench.recovers(slot).is_some());
    let large = "x".repeat(6000);
    for _ in 0..3 {
        bench.publish(&json!([{"channel": "a", "formats": {"http-response": {"body": large}}}]));
    }
    let careful = bench.shard.subscriber(slot).unwrap().careful();
    assert!(careful.waiting.pop().is_none(), "too much to be kept");
    bench.resume(slot, ask());
    assert_eq!(bench.recovers(slot), Some(Why::Update), "so it asks again");
}

#[test]
fn a_session_that_asks_by_itself_is_not_told_to() {
    let mut bench = Bench::new(Bounds::default());
    let (slot, _pipe) = bench.follower(None);
    bench.publish(&json!([hint()]));
    bench.shard.pause(slot);
    assert_eq!(bench.recovers(slot), None);
}

#[test]
fn no_keep_alive_stands_in_the_middle_of_a_body() {
    let mut bench = Bench::new(Bounds::default());
    let keep_alive = KeepAlive {
        data: Bytes::from_static(b"~"),
        mode: KeepAliveMode::Interval,
        timeout: Duration::from_secs(5),
    };
    let slot = bench.subscribe(Ask {
        keep_alive: Some(&keep_alive),
        ..following(None)
    });
    let pipe = PipeEnd::default();
    give(&pipe, ALL);
    bench.shard.open(slot, pipe.clone(), None);
    let muted = |bench: &mut Bench, muted| {
        bench.shard.subscriber(slot).unwrap().careful().muted = muted;
    };
    muted(&mut bench, true);
    bench.shard.append_own(slot, &Bytes::from_static(b"half"));
    bench.pass(Duration::from_secs(20));
    bench.shard.append_own(slot, &Bytes::from_static(b"whole"));
    assert_eq!(received(&pipe), "halfwhole");
    muted(&mut bench, false);
    bench.pass(Duration::from_secs(20));
    assert_eq!(received(&pipe), "halfwhole~");
}

#[test]
fn a_slow_client_is_asked_for_once() {
    let mut bench = Bench::new(Bounds {
        buffer: 4,
        ..Bounds::default()
    });
    let asks = || Ask {
        overflow: Overflow::Recover,
        ..following(Some("0"))
    };
    let slot = bench.subscribe(asks());
    let pipe = PipeEnd::default();
    give(&pipe, 1);
    bench.shard.open(slot, pipe.clone(), None);
    bench.publish(&json!([numbered("1", "0")]));
    bench.publish(&json!([numbered("2", "1")]));
    // Somebody else wants it to be asked too, before it can be.
    bench.hub.recover();
    bench.work();
    assert_eq!(bench.recovers(slot), None);
    give(&pipe, ALL);
    assert_eq!(bench.recovers(slot), Some(Why::Slow));
    assert_eq!(received(&pipe), "[1]", "what was begun is finished");
    assert_eq!(bench.shard.last_ids(slot), [("a".into(), "1".into())]);
    bench.resume(slot, asks());
    assert_eq!(bench.recovers(slot), None);
}

#[test]
fn a_channel_is_told_of_one_time_once() {
    let bench = Bench::new(Bounds::default());
    let hub = &bench.hub;
    hub.directory.enter("a", 0, |_, _| ());
    let channel = hub.directory.find("a").unwrap();
    let ms = Duration::from_millis;
    let mut told = 0;
    for round in 0..20_u64 {
        let mut state = channel.lock();
        // Something far away, and something near before it: the clock knows of both.
        state.order.forget();
        let offer = |state: &mut super::State, id: &str, prev: &str, wait| {
            let entry = item::parse_batch(
                json!({"items": [numbered(id, prev)]})
                    .to_string()
                    .as_bytes(),
            );
            let item::Entry::Item(item) = entry.unwrap().remove(0) else {
                panic!()
            };
            let ordered = super::Ordered {
                item: Arc::new(super::Prepared::new(item.clone())),
                _room: None,
                published: std::time::Instant::now(),
            };
            let now = ms(round * 1000);
            state
                .order
                .offer(item.ids(), ordered, now, wait, &mut Vec::new());
        };
        offer(&mut state, "1", "0", ms(1));
        offer(&mut state, "9", &format!("far {round}"), ms(1_000_000));
        hub.directory.arm(&channel, &mut state);
        offer(&mut state, "5", &format!("near {round}"), ms(100));
        hub.directory.arm(&channel, &mut state);
        drop(state);
        hub.tick(ms(round * 1000 + 500));
    }
    for later in 0..40 {
        told += hub.directory.clock.due(1_000_000 + later * 1000).len();
    }
    assert!(told <= 21, "told {told} times");
}

/// A stall begins outside of the shard's loop, which may sleep without an end.
#[test]
fn the_loop_wakes_for_a_client_that_stalls_at_once() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let local = tokio::task::LocalSet::new();
    let event = local.block_on(&runtime, async {
        let hub = Hub::new(1, 1 << 20, Duration::ZERO, Rules::default());
        let bounds = Bounds {
            send: Duration::from_millis(20),
            ..Bounds::default()
        };
        let holder = Holder::new(&hub, 0, bounds);
        tokio::task::spawn_local(std::rc::Rc::clone(&holder).run());
        let held = holder.hold(Ask::of(Mode::Stream, &["a"]));
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        held.open(PipeEnd::default(), Some(Bytes::from_static(b"head")));
        let word = poll_fn(|context| held.poll(context));
        tokio::time::timeout(Duration::from_secs(20), word).await
    });
    assert!(matches!(event, Ok(Event::Overflow)), "{event:?}");
}

/// A call around a stream's body is a matter of its framing, for which there is room anyway.
#[test]
fn a_subscriber_has_no_room_for_what_few_use() {
    let size = size_of::<super::subscriber::Subscriber<crate::socket::ClientSocket>>();
    assert!(size <= 208, "{size}");
}

/// However many streams have a call of their own: an item's form inside it is encoded once.
#[test]
fn an_items_form_inside_a_call_is_shared() {
    let items = json!({ "items": [text("a\"b")] });
    let mut entries = item::parse_batch(items.to_string().as_bytes()).unwrap();
    let item::Entry::Item(item) = entries.remove(0) else {
        panic!("no item");
    };
    let item = Arc::new(super::Prepared::new(item));
    let inside = super::Framing::Script {
        mode: crate::cross_origin::call::Mode::Extended,
        chunked: true,
    };
    let pieces = [0, 1].map(|channel| super::piece::Piece::item(&item, channel));
    let [one, other] = pieces.each_ref().map(|piece| piece.bytes(inside));
    assert_eq!(one, "4\r\na\\\"b\r\n");
    assert_eq!(one.as_ptr(), other.as_ptr());
}
