//! The hub under real threads: shards whose subscribers come and go while others publish. Each
//! subscriber sees every publisher's items without a gap and in order, and in the end nothing is
//! left in the directory.

use std::{
    cell::RefCell,
    io::{self, IoSlice},
    rc::Rc,
    sync::atomic::{AtomicUsize, Ordering},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;

use super::{Ask, Bounds, Framing, Hub, Rules, Shard, Wire};
use crate::grip::{
    format::StreamFormat,
    instruct::Mode,
    item::{Entry, Item},
};

const SHARDS: usize = 4;
const PUBLISHERS: usize = 2;
const ITEMS: usize = 3_000;
const CHANNELS: [&str; 2] = ["a", "b"];

#[test]
fn counts_and_order_hold_under_threads() {
    let hub = Hub::new(SHARDS, 1 << 20, Duration::ZERO, Rules::default());
    let publishing = AtomicUsize::new(PUBLISHERS);
    std::thread::scope(|scope| {
        for publisher in 0..PUBLISHERS {
            let (hub, publishing) = (&hub, &publishing);
            scope.spawn(move || {
                for number in 0..ITEMS {
                    let batch =
                        CHANNELS.map(|channel| Entry::Item(item(channel, publisher, number)));
                    hub.sequence(batch.into(), None, Duration::ZERO);
                }
                publishing.fetch_sub(1, Ordering::SeqCst);
            });
        }
        for index in 0..SHARDS {
            let (hub, publishing) = (&hub, &publishing);
            scope.spawn(move || come_and_go(hub, index, publishing));
        }
    });
    assert_eq!(hub.channels(), 0);
}

fn item(channel: &str, publisher: usize, number: usize) -> Item {
    let mut item = Item {
        channels: vec![channel.into()],
        ..Item::default()
    };
    item.formats.stream = Some(StreamFormat::Send {
        content: Bytes::from(format!("{channel} {publisher} {number}\n")),
        content_filters: None,
    });
    item
}

/// One shard: at every step somebody comes, and the one who was there longest goes.
fn come_and_go(hub: &Hub, index: usize, publishing: &AtomicUsize) {
    let bounds = Bounds {
        buffer: usize::MAX,
        ..Bounds::default()
    };
    let inbox = hub.inboxes[index].clone();
    let mut shard = Shard::new(index, hub.directory.clone(), inbox, bounds);
    let mut here = std::collections::VecDeque::new();
    let mut step = 0;
    while publishing.load(Ordering::SeqCst) > 0 || step < 100 {
        step += 1;
        let ask = Ask {
            framing: Framing::Bare,
            ..Ask::of(Mode::Stream, &[CHANNELS[step % 2]])
        };
        let slot = shard.subscribe(ask, Duration::ZERO);
        let sink = Sink::default();
        shard.open(slot, sink.clone(), None);
        here.push_back((slot, sink));
        shard.work(Duration::ZERO, || step % 2 == 0);
        // Now and then all leave, so that channels end and begin again.
        let stay = if step % 7 == 0 { 0 } else { 3 };
        while here.len() > stay {
            if let Some((slot, sink)) = here.pop_front() {
                shard.leave(slot);
                sink.judge();
            }
        }
    }
    for (slot, sink) in here {
        shard.leave(slot);
        sink.judge();
    }
    assert_eq!(shard.len(), 0);
}

/// A client that reads everything at once.
#[derive(Clone, Debug, Default)]
struct Sink(Rc<RefCell<Vec<u8>>>);

impl Sink {
    /// Of one channel only, and of each publisher without a gap.
    fn judge(&self) {
        let text = String::from_utf8(self.0.take()).unwrap();
        let mut next = [None; PUBLISHERS];
        let mut of = None;
        for line in text.lines() {
            let mut words = line.split(' ');
            let channel = words.next().unwrap();
            assert_eq!(*of.get_or_insert(channel), channel);
            let mut number = || words.next().unwrap().parse::<usize>().unwrap();
            let (publisher, number) = (number(), number());
            let due = next[publisher].replace(number + 1).unwrap_or(number);
            assert_eq!(number, due, "of publisher {publisher}");
        }
    }
}

impl Wire for Sink {
    fn try_write(&self, bytes: &Bytes) -> io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn try_write_vectored(&self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        let write = |piece: &IoSlice<'_>| self.try_write(&Bytes::copy_from_slice(piece));
        pieces.iter().map(write).sum()
    }

    fn try_read(&self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::ErrorKind::WouldBlock.into())
    }

    fn poll_write_ready(&self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_read_ready(&self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Pending
    }

    fn remote(&self) -> Option<crate::socket::Remote> {
        None
    }
}
