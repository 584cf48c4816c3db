//! One pass of a shard: what was taken from the inbox, who gets what of it, and how far the
//! writing has come.
//!
//! What a subscriber gets is a chain of records in one array of the pass, so that a fan-out
//! allocates nothing per subscriber. Items of one channel that follow each other are joined into
//! one piece, so that a burst costs one write per subscriber.

use std::{collections::VecDeque, rc::Rc, sync::Arc};

use super::{Event, Local, Member, Shard, narrow, tally::delivered};
use crate::{
    grip::{
        connection::ConnectionId,
        delivery::{self, Cause, Decision},
        format::MessageFormat,
        instruct::Mode,
    },
    hub::{
        careful::Kept,
        directory::Channel,
        inbox::{Delivery, Journey, News},
        outlet::{Wire, Written},
        piece::Piece,
        subscriber::{Phase, Subscriber, Why},
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
    /// Items that this pass writes: let go of when it is over.
    pub(super) carried: Vec<Arc<Journey>>,
    /// News taken from the inbox and not yet noted.
    taken: VecDeque<News>,
}

/// One piece for one subscriber.
#[derive(Clone, Copy, Debug)]
struct Record {
    piece: u32,
    /// The subscriber's next one; that of its last one is its first.
    next: u32,
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

    /// A piece that may now be added for subscribers.
    fn piece(&mut self, piece: Piece) -> u32 {
        self.pieces.push(Rc::new(piece));
        narrow(self.pieces.len() - 1)
    }

    fn add<W: Wire>(&mut self, piece: u32, slot: u32, subscriber: &mut Subscriber<W>) {
        let record = narrow(self.records.len());
        let first = match subscriber.last_record.replace(record) {
            None => {
                self.touched.push(slot);
                record
            }
            Some(last) => std::mem::replace(&mut self.records[last as usize].next, record),
        };
        self.records.push(Record { piece, next: first });
    }
}

impl<W: Wire> Shard<W> {
    /// Begins a pass with what waits in the inbox. A delivery gives its share of the publish
    /// buffer back when it has been noted; past [`RECORDS`] the rest is left to the next pass.
    pub(super) fn take(&mut self) {
        self.pass.clear();
        if self.pass.taken.is_empty() {
            self.pass.taken = self.inbox.take().into();
        }
        let mut taken = std::mem::take(&mut self.pass.taken);
        while self.pass.records.len() < RECORDS && !taken.is_empty() {
            let noted = self.note(taken.make_contiguous());
            taken.drain(..noted);
        }
        self.pass.taken = taken;
    }

    /// News were left to the next pass.
    pub(super) fn has_left_over(&self) -> bool {
        !self.pass.taken.is_empty()
    }

    /// Acts on the first of the news, and on those behind it that can be joined with it; returns
    /// how many that were.
    fn note(&mut self, news: &[News]) -> usize {
        match news.first() {
            None => return 0,
            Some(News::Item(first)) => {
                if let Some(place) = self.find(&first.channel, first.index) {
                    return self.note_items(place, news);
                }
            }
            Some(News::Update { channel, index }) => {
                if let Some(place) = self.find(channel, *index) {
                    self.update(place);
                }
            }
            Some(News::Check {
                channel,
                slot,
                serial,
                last_id,
            }) => self.check(channel, *slot, *serial, last_id),
            Some(News::Close(connection)) => self.close(*connection),
        }
        1
    }

    /// Notes who gets what of the first item, and of those behind it that can be joined with it.
    fn note_items(&mut self, place: u32, news: &[News]) -> usize {
        let run = self.joinable(place, news);
        let Some(first) = run.first() else { return 1 };
        if run.len() > 1 {
            let items: Vec<_> = run.iter().map(|next| next.item()).collect();
            self.append(place, Mode::Stream, Piece::run(&items, place), &run);
        } else {
            let item = first.item();
            match stream_decision(first) {
                Decision::Append { .. } => {
                    self.append(place, Mode::Stream, Piece::item(item, place), &run);
                }
                Decision::End => self.append(place, Mode::Stream, Piece::end(), &run),
                decision => self.note_others(place, Mode::Stream, first, &decision),
            }
            let decision = delivery::plain(item.item(), Mode::Response);
            self.note_others(place, Mode::Response, first, &decision);
            match delivery::plain(item.item(), Mode::Message) {
                Decision::Send { .. } => {
                    self.append(place, Mode::Message, Piece::message(item, place), &run);
                }
                decision => self.note_others(place, Mode::Message, first, &decision),
            }
        }
        for next in &run {
            self.note_careful(place, next);
            self.pass.carried.push(Arc::clone(&next.journey));
        }
        run.len()
    }

    /// The channel's place here, unless its last subscriber left after the news.
    fn find(&self, channel: &Arc<Channel>, index: u32) -> Option<u32> {
        let local = self.channels.get(index as usize)?;
        Arc::ptr_eq(&local.channel, channel).then_some(index)
    }

    /// The first item, and those behind it that may go out with it as one piece: to the same
    /// channel, plain content, no other form, and nobody who came in between.
    fn joinable<'n>(&self, place: u32, news: &'n [News]) -> Vec<&'n Delivery> {
        let Some(Local {
            channel, streams, ..
        }) = self.channels.get(place as usize)
        else {
            return Vec::new();
        };
        let items = news.iter().map_while(|news| match news {
            News::Item(delivery) => Some(delivery),
            _ => None,
        });
        let mut bytes = 0;
        let joins = |next: &&Delivery| {
            bytes += next.item().content().len();
            bytes <= JOIN
                && Arc::ptr_eq(&next.channel, channel)
                && next.item().item().formats.response.is_none()
                && next.item().item().formats.message.is_none()
                && matches!(stream_decision(next), Decision::Append { .. })
        };
        let run: Vec<_> = items.clone().take_while(joins).collect();
        let newcomers = |first: &Delivery| streams.iter().any(|one| one.since >= first.number);
        match run.first() {
            Some(first) if run.len() == 1 || !newcomers(first) => run,
            _ => items.take(1).collect(),
        }
    }

    /// Notes a piece for every plain subscriber of one mode that was there before these items.
    fn append(&mut self, place: u32, mode: Mode, piece: Piece, run: &[&Delivery]) {
        let Self {
            channels,
            subscribers,
            pass,
            bounds,
            ..
        } = self;
        let (Some(local), Some(first)) = (channels.get(place as usize), run.first()) else {
            return;
        };
        let last = piece.last;
        let piece = pass.piece(piece);
        let mut reached = 0;
        for member in local.plain(mode) {
            if member.since >= first.number {
                continue;
            }
            let Some(subscriber) = subscribers.get_mut(member.slot as usize) else {
                continue;
            };
            match subscriber.phase {
                Phase::Open => {
                    pass.add(piece, member.slot, subscriber);
                    reached += run.len() as u64;
                    if last {
                        subscriber.end();
                    }
                }
                Phase::Paused => {
                    for next in run {
                        let waiting = &mut subscriber.careful().waiting;
                        waiting.push(Kept::of(next), bounds.buffer);
                    }
                }
                Phase::Closing | Phase::Over => {}
            }
        }
        if !last {
            delivered(mode, reached);
        }
    }

    /// Carries out, for each plain subscriber of one mode, what is not appended to a stream.
    fn note_others(&mut self, place: u32, mode: Mode, delivery: &Delivery, decision: &Decision) {
        if *decision == Decision::Pass {
            return;
        }
        let members = |shard: &Self| {
            let local = shard.channels.get(place as usize);
            local.map_or(0, |local| local.plain(mode).len())
        };
        for index in 0..members(self) {
            let member = self.channels.get(place as usize).and_then(|local| {
                let member: Option<&Member> = local.plain(mode).get(index);
                member.copied()
            });
            let Some(Member { slot, since }) = member else {
                return;
            };
            let phase = self.subscribers.get(slot as usize).map(|one| one.phase);
            if since >= delivery.number {
                continue;
            }
            match phase {
                Some(Phase::Paused) => self.keep(slot, Kept::of(delivery)),
                Some(Phase::Open) => self.carry_out(slot, place, Kept::of(delivery), decision),
                Some(Phase::Closing | Phase::Over) | None => {}
            }
        }
    }

    /// Decides for each careful subscriber of the channel by itself.
    fn note_careful(&mut self, place: u32, delivery: &Delivery) {
        let mut index = 0;
        while let Some(member) = self
            .channels
            .get(place as usize)
            .and_then(|local| local.careful.get(index))
            .copied()
        {
            index += 1;
            if member.since < delivery.number {
                self.decide(member.slot, place, Kept::of(delivery));
            }
        }
    }

    /// Carries out what was decided for one subscriber.
    pub(super) fn carry_out(&mut self, slot: u32, place: u32, kept: Kept, decision: &Decision) {
        match decision {
            Decision::Answer { .. } => delivered(Mode::Response, 1),
            Decision::Append { .. } => delivered(Mode::Stream, 1),
            Decision::Send { .. } => delivered(Mode::Message, 1),
            Decision::Ask(_)
            | Decision::End
            | Decision::Pass
            | Decision::Recover(_)
            | Decision::Skip(_) => {}
        }
        match decision {
            Decision::Answer { body } => {
                let body = body.clone().map(Box::new);
                let item = kept.item;
                self.tell(slot, Event::Answer { item, body });
            }
            Decision::Append { content: None } => self.add(slot, Piece::item(&kept.item, place)),
            Decision::Append {
                content: Some(content),
            } => self.add(slot, Piece::changed(&kept.item, place, content)),
            Decision::Ask(ask) => self.ask(slot, place, kept, ask.clone()),
            Decision::Send { content: None } => self.add(slot, Piece::message(&kept.item, place)),
            Decision::Send {
                content: Some(content),
            } => self.add(slot, Piece::changed_message(&kept.item, place, content)),
            Decision::End => match &kept.item.item().formats.message {
                Some(MessageFormat::Close { code, reason }) if self.is_socket(slot) => {
                    let (code, reason) = (*code, reason.clone().unwrap_or_default());
                    self.tell(slot, Event::Close { code, reason });
                }
                _ => self.add(slot, Piece::end()),
            },
            Decision::Pass => {}
            Decision::Recover(Cause::Refresh) => self.tell(slot, Event::Refresh),
            Decision::Recover(Cause::Hint) if self.is_socket(slot) => {
                self.tell(slot, Event::Refresh);
            }
            Decision::Recover(Cause::Hint) => self.recover(slot, Why::Hint),
            Decision::Recover(Cause::Gap) => self.gap(slot, kept),
            Decision::Skip(unfit) => self.skip(slot, &kept.item, unfit),
        }
    }

    /// Notes a piece for one stream.
    pub(super) fn add(&mut self, slot: u32, piece: Piece) {
        if let Some(subscriber) = self.subscribers.get_mut(slot as usize)
            && !subscriber.is_over()
        {
            let last = piece.last;
            let piece = self.pass.piece(piece);
            self.pass.add(piece, slot, subscriber);
            if last {
                subscriber.end();
            }
        }
    }

    /// Everybody on a channel asks the backend again.
    fn update(&mut self, place: u32) {
        let Some(local) = self.channels.get(place as usize) else {
            return;
        };
        // A WebSocket's backend is asked by a refresh, not by what the others are told.
        let members = [&local.responses, &local.streams, &local.careful];
        let slots: Vec<u32> = members.into_iter().flatten().map(|one| one.slot).collect();
        for slot in slots {
            if !self.is_socket(slot) {
                self.recover(slot, Why::Update);
            }
        }
    }

    /// Closes the connection of this id. Few are closed so, and none pays for being found fast.
    fn close(&mut self, connection: ConnectionId) {
        let found = self
            .subscribers
            .iter()
            .find(|(_, one)| one.connection == connection);
        let Some(slot) = found.map(|(slot, _)| narrow(slot)) else {
            return;
        };
        if self.is_socket(slot) {
            let (code, reason) = (None, String::new());
            self.tell(slot, Event::Close { code, reason });
        } else {
            self.end(slot);
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

    /// Writes what the pass has noted for one subscriber.
    pub(super) fn write(&mut self, slot: u32) {
        let Self {
            subscribers,
            pass,
            now,
            bounds,
            ..
        } = self;
        let Some(subscriber) = subscribers.get_mut(slot as usize) else {
            return;
        };
        let Some(last) = subscriber.last_record.take() else {
            return;
        };
        subscriber.sent = *now;
        let first = pass.records[last as usize].next;
        let written = if first == last && subscriber.outlet.is_clear() {
            subscriber
                .outlet
                .send(&pass.pieces[pass.records[last as usize].piece as usize])
        } else {
            let mut at = first;
            loop {
                let record = pass.records[at as usize];
                subscriber.outlet.queue(&pass.pieces[record.piece as usize]);
                if at == last {
                    break subscriber.outlet.drain();
                }
                at = record.next;
            }
        };
        let overfull = written == Written::Blocked && subscriber.outlet.is_overfull(bounds.buffer);
        self.written(slot, &written);
        if overfull {
            self.overflow(slot);
        }
    }
}

/// What a plain stream gets.
fn stream_decision(delivery: &Delivery) -> Decision {
    delivery::plain(delivery.item().item(), Mode::Stream)
}

impl Local {
    fn plain(&self, mode: Mode) -> &[Member] {
        match mode {
            Mode::Response => &self.responses,
            Mode::Stream => &self.streams,
            Mode::Message => &self.messages,
        }
    }
}

impl Kept {
    fn of(delivery: &Delivery) -> Self {
        Self {
            channel: Arc::clone(&delivery.channel),
            item: Arc::clone(delivery.item()),
        }
    }
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
