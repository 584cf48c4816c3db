//! One pass of a shard: what was taken from the inbox, who gets what of it, and how far the
//! writing has come.
//!
//! What a subscriber gets is a chain of records in one array of the pass, so that a fan-out
//! allocates nothing per subscriber. Items of one channel that follow each other are joined into
//! one piece, so that a burst costs one write per subscriber.

use std::{collections::VecDeque, rc::Rc, sync::Arc};

use super::{Event, Local, Shard, narrow};
use crate::{
    grip::delivery::bare::{self as delivery, Decision, Standing},
    hub::{
        inbox::{Delivery, Inbox},
        outlet::{Piece, Wire, Written},
        prepared::Prepared,
        subscriber::Subscriber,
    },
};

/// A pass under way.
#[derive(Debug, Default)]
pub(super) struct Pass {
    pieces: Vec<Rc<Piece>>,
    records: Vec<Record>,
    /// Slots with records, in order of their first one.
    touched: Vec<u32>,
    /// How many of them are done.
    done: usize,
    /// Deliveries taken from the inbox and not yet noted.
    taken: VecDeque<Delivery>,
}

/// One piece for one subscriber.
#[derive(Clone, Copy, Debug)]
struct Record {
    piece: u32,
    next: Option<u32>,
}

impl Pass {
    pub(super) fn is_over(&self) -> bool {
        self.done == self.touched.len()
    }

    fn clear(&mut self) {
        self.pieces.clear();
        self.records.clear();
        self.touched.clear();
        self.done = 0;
        // A burst's arrays need not be kept for ever.
        self.records.shrink_to(RECORDS);
    }

    fn add<W: Wire>(&mut self, slot: u32, subscriber: &mut Subscriber<W>) {
        let Some(piece) = self.pieces.len().checked_sub(1) else {
            return;
        };
        let record = narrow(self.records.len());
        self.records.push(Record {
            piece: narrow(piece),
            next: None,
        });
        subscriber.records = Some(match subscriber.records {
            None => {
                self.touched.push(slot);
                (record, record)
            }
            Some((first, last)) => {
                self.records[last as usize].next = Some(record);
                (first, record)
            }
        });
    }
}

impl<W: Wire> Shard<W> {
    /// Begins a pass with what waits in the inbox. A delivery gives its share of the publish
    /// buffer back when it has been noted; past [`RECORDS`] the rest is left to the next pass.
    pub(super) fn take(&mut self, inbox: &Inbox) {
        self.pass.clear();
        if self.pass.taken.is_empty() {
            self.pass.taken = inbox.take().into();
        }
        let mut taken = std::mem::take(&mut self.pass.taken);
        while self.pass.records.len() < RECORDS && !taken.is_empty() {
            let noted = self.note(taken.make_contiguous());
            taken.drain(..noted);
        }
        self.pass.taken = taken;
    }

    /// Deliveries were left to the next pass.
    pub(super) fn has_left_over(&self) -> bool {
        !self.pass.taken.is_empty()
    }

    /// Notes who gets what of the first delivery, and of those behind it that can be joined with
    /// it; returns how many that were.
    fn note(&mut self, deliveries: &[Delivery]) -> usize {
        let Some(first) = deliveries.first() else {
            return 0;
        };
        let Some(index) = self.find(first) else {
            return 1;
        };
        let joined = self.joinable(index, deliveries);
        if joined > 1 {
            let items: Vec<&Prepared> = deliveries[..joined]
                .iter()
                .map(|next| &*next.item)
                .collect();
            self.append(index, Piece::run(&items), first);
            return joined;
        }
        match stream_decision(first) {
            Decision::Append(_) => self.append(index, Piece::item(&first.item), first),
            Decision::End => self.append(index, Piece::end(), first),
            Decision::Answer(_) | Decision::Pass => {}
        }
        self.answer(index, first);
        1
    }

    /// The channel's place here, unless its last subscriber left after the publish.
    fn find(&self, delivery: &Delivery) -> Option<usize> {
        let index = delivery.index as usize;
        let local = self.channels.get(index)?;
        Arc::ptr_eq(&local.channel, &delivery.channel).then_some(index)
    }

    /// How many of these deliveries may go out as one piece: to one channel, plain content, no
    /// other form, and nobody who came in between.
    fn joinable(&self, index: usize, deliveries: &[Delivery]) -> usize {
        let Some(Local {
            channel, streams, ..
        }) = self.channels.get(index)
        else {
            return 0;
        };
        let mut bytes = 0;
        let mut joined = deliveries.iter().take_while(|next| {
            bytes += next.item.content().len();
            bytes <= JOIN
                && Arc::ptr_eq(&next.channel, channel)
                && next.item.item().formats.response.is_none()
                && matches!(stream_decision(next), Decision::Append(_))
        });
        let Some(first) = joined.next() else { return 0 };
        let more = joined.count();
        if more > 0 && streams.iter().any(|member| member.since >= first.number) {
            return 0;
        }
        1 + more
    }

    /// Notes a piece for every stream of the channel that was there before `delivery`.
    fn append(&mut self, index: usize, piece: Piece, delivery: &Delivery) {
        let Self {
            channels,
            subscribers,
            pass,
            ..
        } = self;
        let Some(Local { streams, .. }) = channels.get(index) else {
            return;
        };
        let last = piece.last;
        pass.pieces.push(Rc::new(piece));
        for member in streams {
            if member.since >= delivery.number || member.standing.withheld {
                continue;
            }
            let Some(subscriber) = subscribers.get_mut(member.slot as usize) else {
                continue;
            };
            if !subscriber.is_over() {
                pass.add(member.slot, subscriber);
                if last {
                    subscriber.end();
                }
            }
        }
    }

    /// Tells every long-poll of the channel that was there before `delivery`.
    fn answer(&mut self, index: usize, delivery: &Delivery) {
        let Self {
            channels,
            subscribers,
            ..
        } = self;
        let Some(Local { responses, .. }) = channels.get(index) else {
            return;
        };
        for member in responses
            .iter()
            .filter(|member| member.since < delivery.number)
        {
            let item = delivery.item.item();
            let Decision::Answer(_) = delivery::to_response(item, member.standing) else {
                continue;
            };
            let Some(subscriber) = subscribers.get_mut(member.slot as usize) else {
                continue;
            };
            if !subscriber.is_over() {
                subscriber.tell(Event::Answer(Arc::clone(&delivery.item)));
            }
        }
    }

    /// Writes to the subscribers of the pass, each once; false when time ran out.
    pub(super) fn flush(&mut self, until: impl Fn() -> bool) -> bool {
        let mut writes = 0;
        while let Some(&slot) = self.pass.touched.get(self.pass.done) {
            if writes == WRITES || (writes % GLANCE == GLANCE - 1 && until()) {
                return false;
            }
            writes += 1;
            self.pass.done += 1;
            self.write(slot);
        }
        true
    }

    fn write(&mut self, slot: u32) {
        let Self {
            subscribers,
            pass,
            now,
            buffer,
            ..
        } = self;
        let Some(subscriber) = subscribers.get_mut(slot as usize) else {
            return;
        };
        let Some((first, last)) = subscriber.records.take() else {
            return;
        };
        subscriber.sent = *now;
        let written = if first == last && subscriber.outlet.is_clear() {
            subscriber
                .outlet
                .send(&pass.pieces[pass.records[first as usize].piece as usize])
        } else {
            let mut next = Some(first);
            while let Some(record) = next.map(|record| pass.records[record as usize]) {
                subscriber.outlet.queue(&pass.pieces[record.piece as usize]);
                next = record.next;
            }
            subscriber.outlet.drain()
        };
        subscriber.written(&written);
        if written == Written::Blocked && subscriber.outlet.is_overfull(*buffer) {
            self.overflows += 1;
            subscriber.tell(Event::Overflow);
        }
    }
}

/// What an ordinary stream gets.
fn stream_decision(delivery: &Delivery) -> Decision<'_> {
    delivery::to_stream(delivery.item.item(), Standing::default())
}

/// Most writes before others have their turn.
const WRITES: usize = 256;

/// Writes between two looks at the clock. The simulation has few subscribers and is to see passes
/// under way all the same.
const GLANCE: usize = if cfg!(test) { 2 } else { 32 };

/// Most bytes joined into one piece: what a socket's buffer usually takes at once.
const JOIN: usize = 64 << 10;

/// Records after which a pass takes no further delivery, and that it keeps allocated.
const RECORDS: usize = 32 << 10;
