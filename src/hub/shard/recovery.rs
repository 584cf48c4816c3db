//! Subscribers that are decided for one by one: those whose items must follow each other, or pass
//! a filter; and how they are paused while their session asks the backend, and go on after it.
//!
//! Nothing is lost meanwhile: what comes for a paused subscriber is kept, and decided when it
//! goes on, with the standing that it has then.

use std::{rc::Rc, sync::Arc, time::Duration};

use bytes::Bytes;

use super::{Ask, Local, Shard, Subscription};
use crate::{
    grip::{
        delivery::{self, Cause, Decision},
        filter::{self, Reply, Subscriptions},
        instruct::Mode,
    },
    hub::{
        careful::{Careful, Kept},
        directory::Channel,
        outlet::{Wire, Written},
        piece::Piece,
        prepared::Prepared,
        subscriber::{Event, Phase, Question, Why},
    },
};

/// All subscriptions of one subscriber, as its filters see them.
struct Seen<'a> {
    channels: &'a slab::Slab<Local>,
    subscriptions: &'a [Subscription],
    careful: &'a Careful,
}

impl Subscriptions for Seen<'_> {
    fn is_subscribed(&self, name: &str) -> bool {
        self.subscriptions.iter().any(|own| {
            let local = self.channels.get(own.channel as usize);
            local.is_some_and(|local| local.channel.name.get(self.careful.prefix..) == Some(name))
        })
    }

    fn prev_id(&self, name: &str) -> Option<&str> {
        let mut standings = self.careful.standings();
        let standing = standings.find(|standing| *standing.name == *name)?;
        standing.prev_id.as_deref()
    }
}

impl<W: Wire> Shard<W> {
    /// What an item does to one subscriber of its channel, which is not a plain one.
    pub(super) fn decide(&mut self, slot: u32, place: u32, kept: Kept) {
        let Some(subscriber) = self.subscribers.get_mut(slot as usize) else {
            return;
        };
        match subscriber.phase {
            Phase::Closing | Phase::Over => {}
            Phase::Paused => self.keep(slot, kept),
            Phase::Open => {
                let decision = self.standing(slot, place, |standing, mode, seen| {
                    standing.decide(kept.item.item(), mode, seen)
                });
                if let Some(decision) = decision {
                    self.carry_out(slot, place, kept, &decision);
                }
            }
        }
    }

    /// Decides with a subscription's standing.
    fn standing(
        &mut self,
        slot: u32,
        place: u32,
        decide: impl FnOnce(&mut delivery::Standing, Mode, &dyn Subscriptions) -> Decision,
    ) -> Option<Decision> {
        let subscriber = self.subscribers.get_mut(slot as usize)?;
        let careful = subscriber.careful.as_deref_mut()?;
        // Out of the list while it is changed; it is never asked about itself.
        let mut standing = careful.lie_down(place)?;
        let seen = Seen {
            channels: &self.channels,
            subscriptions: &subscriber.subscriptions,
            careful,
        };
        let decision = decide(&mut standing, subscriber.mode, &seen);
        careful.stand(place, standing);
        Some(decision)
    }

    pub(super) fn tell(&mut self, slot: u32, event: Event) {
        if let Some(subscriber) = self.subscribers.get_mut(slot as usize) {
            subscriber.tell(event);
        }
    }

    /// An item does not follow: it is kept for when the backend has told what lies between.
    pub(super) fn gap(&mut self, slot: u32, kept: Kept) {
        if let Some(id) = &kept.item.item().id {
            // The backend may not know of it yet. It must not be asked for ever.
            kept.channel.lock().order.forget_if(id);
        }
        self.recover(slot, Why::Gap);
        if let Some(subscriber) = self.subscribers.get_mut(slot as usize)
            && subscriber.phase == Phase::Paused
        {
            // Before those that came after it, if it had been kept with them.
            subscriber.careful().waiting.put_back(kept);
        }
    }

    pub(super) fn ask(&mut self, slot: u32, place: u32, kept: Kept, ask: filter::Ask) {
        let Some(subscriber) = self.subscribers.get_mut(slot as usize) else {
            return;
        };
        let careful = subscriber.careful();
        let Some(standing) = careful.standing(place) else {
            return;
        };
        let question = Question {
            ask,
            headers: standing.meta_headers(kept.item.item()),
        };
        careful.asking = Some(kept);
        subscriber.tell(Event::Ask(Box::new(question)));
    }

    /// Goes on with the item about which the backend was asked, and with what came since.
    pub(in crate::hub) fn answer(&mut self, slot: u32, ask: filter::Ask, reply: &Reply<'_>) {
        let Some(subscriber) = self.subscribers.get_mut(slot as usize) else {
            return;
        };
        if subscriber.is_over() {
            return;
        }
        subscriber.phase = Phase::Open;
        if let Some(kept) = subscriber.careful().asking.take()
            && let Some(place) = self.place(slot, &kept.channel)
        {
            let decision = self.standing(slot, place, |standing, mode, seen| {
                standing.resume(kept.item.item(), mode, seen, ask, reply)
            });
            if let Some(decision) = decision {
                self.carry_out(slot, place, kept, &decision);
            }
        }
        self.go_on(slot, false);
        self.overdue(slot);
    }

    /// Tells a subscriber's session to ask the backend, if it can. Items are kept from now on.
    pub(super) fn recover(&mut self, slot: u32, why: Why) {
        let Some(subscriber) = self.subscribers.get_mut(slot as usize) else {
            return;
        };
        match subscriber.phase {
            Phase::Open if subscriber.recovers => subscriber.tell(Event::Recover(why)),
            Phase::Paused if subscriber.recovers => subscriber.careful().again = true,
            Phase::Open | Phase::Paused | Phase::Closing | Phase::Over => {}
        }
    }

    /// Keeps items from a subscriber whose session is about to ask the backend by itself.
    pub(in crate::hub) fn pause(&mut self, slot: u32) {
        if let Some(subscriber) = self.subscribers.get_mut(slot as usize)
            && !subscriber.is_over()
        {
            subscriber.pause();
        }
    }

    /// Goes on with the subscriptions of another instruct, and with what was kept.
    pub(in crate::hub) fn resume(&mut self, slot: u32, ask: Ask<'_>, now: Duration) {
        self.pass_time(now);
        let serial = self.next_serial();
        let Some(subscriber) = self.subscribers.get_mut(slot as usize) else {
            return;
        };
        if subscriber.is_over() {
            return;
        }
        // What was to happen to the old subscriptions does not happen to the new ones.
        subscriber.serial = serial;
        subscriber.phase = Phase::Open;
        subscriber.outlet.end_watch();
        let old_mode = subscriber.mode;
        let old = std::mem::take(&mut subscriber.subscriptions);
        if let Some(careful) = subscriber.careful.as_deref_mut() {
            for subscription in &old {
                careful.lie_down(subscription.channel);
            }
        }
        self.settle(slot, &ask);
        for (name, standing) in ask.channels {
            let since = old.iter().find_map(|own| self.since(own, old_mode, &name));
            self.join(slot, ask.mode, &name, standing, since);
        }
        // After the new ones are there, so that no channel is forgotten in between.
        self.part_old(slot, old, old_mode);
        self.arm(slot);
        self.go_on(slot, true);
    }

    /// Up to which item a subscriber has seen the channel of that name.
    pub(super) fn since(&self, own: &Subscription, mode: Mode, name: &str) -> Option<u64> {
        let local = self.channels.get(own.channel as usize)?;
        if *local.channel.name != *name {
            return None;
        }
        let members = match mode {
            _ if own.careful => &local.careful,
            Mode::Response => &local.responses,
            Mode::Stream => &local.streams,
            Mode::Message => &local.messages,
        };
        Some(members.get(own.position as usize)?.since)
    }

    /// Parts from subscriptions that are no longer in the subscriber's list. As others part, their
    /// members move; so theirs are looked up again.
    pub(super) fn part_old(&mut self, slot: u32, old: Vec<Subscription>, mode: Mode) {
        for mut subscription in old {
            let Some(local) = self.channels.get_mut(subscription.channel as usize) else {
                continue;
            };
            let members = local.members(mode, subscription.careful);
            // The older of two comes first, unless it has just been moved; either is as good.
            let position = members.iter().position(|member| member.slot == slot);
            let Some(position) = position else { continue };
            subscription.position = super::narrow(position);
            self.part(subscription, mode);
        }
    }

    /// Where a subscriber's channel stands in the table.
    fn place(&self, slot: u32, channel: &Arc<Channel>) -> Option<u32> {
        let subscriber = self.subscribers.get(slot as usize)?;
        let own = subscriber.subscriptions.iter().find(|own| {
            let local = self.channels.get(own.channel as usize);
            local.is_some_and(|local| Arc::ptr_eq(&local.channel, channel))
        });
        own.map(|own| own.channel)
    }

    /// Decides what was kept, in order. `answered`: the backend has just told how things stand, so
    /// what does not follow is known to it already, unless it speaks of another place.
    pub(super) fn go_on(&mut self, slot: u32, answered: bool) {
        // Channels with items left out, and whether the newest of these is the instruct's own place.
        let mut left_out: Vec<(u32, bool)> = Vec::new();
        let mut again = false;
        while let Some(kept) = self.next_kept(slot) {
            let Some(place) = self.place(slot, &kept.channel) else {
                continue;
            };
            match self.decide_kept(slot, place, &kept) {
                None => {}
                Some(Decision::Recover(Cause::Gap)) if answered => {
                    // Of one without an id nothing can be known: the backend was asked after it.
                    let Some(id) = kept.item.item().id.as_deref() else {
                        continue;
                    };
                    let is_own = self.stands_at(slot, place, id);
                    match left_out.iter_mut().find(|(own, _)| *own == place) {
                        Some((_, known)) => *known = is_own,
                        None => left_out.push((place, is_own)),
                    }
                }
                // It came after the backend was asked, perhaps after it had answered.
                Some(Decision::Recover(Cause::Hint)) if answered => again = true,
                Some(decision) => self.carry_out(slot, place, kept, &decision),
            }
        }
        again |= left_out.iter().any(|(_, known)| !known);
        if again && let Some(subscriber) = self.subscribers.get_mut(slot as usize) {
            subscriber.careful().again = true;
        }
        self.recover_again(slot);
    }

    /// The next item that was kept, as long as the subscriber takes any.
    fn next_kept(&mut self, slot: u32) -> Option<Kept> {
        let subscriber = self.subscribers.get_mut(slot as usize)?;
        if subscriber.phase != Phase::Open {
            return None;
        }
        subscriber.careful.as_deref_mut()?.waiting.pop()
    }

    fn decide_kept(&mut self, slot: u32, place: u32, kept: &Kept) -> Option<Decision> {
        let subscriber = self.subscribers.get(slot as usize)?;
        let careful = subscriber.careful.as_deref();
        if careful.is_none_or(|careful| careful.standing(place).is_none()) {
            return Some(delivery::plain(kept.item.item(), subscriber.mode));
        }
        self.standing(slot, place, |standing, mode, seen| {
            standing.decide(kept.item.item(), mode, seen)
        })
    }

    /// Is this the id up to which the client has the channel?
    fn stands_at(&self, slot: u32, place: u32, id: &str) -> bool {
        let subscriber = self.subscribers.get(slot as usize);
        let careful = subscriber.and_then(|one| one.careful.as_deref());
        let standing = careful.and_then(|careful| careful.standing(place));
        standing.is_some_and(|standing| standing.prev_id.as_deref() == Some(id))
    }

    /// Recovers once more when that was asked for meanwhile, or when not all could be kept.
    fn recover_again(&mut self, slot: u32) {
        let Some(subscriber) = self.subscribers.get_mut(slot as usize) else {
            return;
        };
        if subscriber.phase != Phase::Open {
            return;
        }
        let recovers = subscriber.recovers;
        let Some(careful) = subscriber.careful.as_deref_mut() else {
            return;
        };
        let missed = careful.waiting.take_missed();
        let again = std::mem::take(&mut careful.again);
        if missed && !recovers {
            self.close_slow(slot);
        } else if missed || again {
            self.recover(slot, Why::Update);
        }
    }

    /// Keeps an item for a paused subscriber.
    pub(super) fn keep(&mut self, slot: u32, kept: Kept) {
        let limit = self.bounds.buffer;
        if let Some(subscriber) = self.subscribers.get_mut(slot as usize)
            && subscriber.phase == Phase::Paused
        {
            subscriber.careful().waiting.push(kept, limit);
        }
    }

    /// A newcomer's ids are compared, now that all is through that was published before it.
    pub(super) fn check(&mut self, channel: &Arc<Channel>, slot: u32, serial: u32, last_id: &str) {
        let Some(place) = self.place(slot, channel) else {
            return;
        };
        let Some(subscriber) = self.subscribers.get(slot as usize) else {
            return;
        };
        let careful = subscriber.careful.as_deref();
        let standing = careful.and_then(|careful| careful.standing(place));
        let prev_id = standing.and_then(|standing| standing.prev_id.as_deref());
        if subscriber.serial != serial || prev_id.is_none_or(|own| own == last_id) {
            return;
        }
        channel.lock().order.forget_if(last_id);
        self.recover(slot, Why::Gap);
    }

    /// Appends bytes of the session's own to a stream, behind what was delivered before.
    pub(in crate::hub) fn append_own(&mut self, slot: u32, content: &Bytes) {
        self.write(slot);
        if let Some(subscriber) = self.subscribers.get_mut(slot as usize)
            && !subscriber.is_over()
            && !content.is_empty()
        {
            let written = subscriber.outlet.send(&Rc::new(Piece::content(content)));
            subscriber.sent = self.now;
            self.written(slot, &written);
        }
    }

    /// Acts on what a write came to.
    pub(in crate::hub) fn written(&mut self, slot: u32, written: &Written) {
        if let Some(subscriber) = self.subscribers.get_mut(slot as usize) {
            subscriber.written(written);
            match written {
                Written::All => subscriber.cleared(),
                Written::Blocked => self.watch(slot),
                Written::Broken | Written::Last => {}
            }
        }
    }

    /// The ids up to which the client has its channels, by unprefixed name.
    pub(in crate::hub) fn last_ids(&self, slot: u32) -> Vec<(String, String)> {
        let subscriber = self.subscribers.get(slot as usize);
        let Some(careful) = subscriber.and_then(|one| one.careful.as_deref()) else {
            return Vec::new();
        };
        let ids = careful.standings().filter_map(|standing| {
            let id = standing.prev_id.as_ref()?;
            Some((standing.name.to_string(), id.clone()))
        });
        ids.collect()
    }

    /// An item cannot be delivered to one subscriber.
    pub(super) fn skip(&mut self, slot: u32, item: &Arc<Prepared>, why: &delivery::Unfit) {
        let Some(subscriber) = self.subscribers.get_mut(slot as usize) else {
            return;
        };
        let debug = subscriber
            .careful
            .as_deref()
            .is_some_and(|careful| careful.debug);
        super::slow::tell_skipped(&item.item().channels, why);
        if !debug {
            return;
        }
        match subscriber.mode {
            Mode::Response => subscriber.tell(Event::Failed(why.to_string())),
            Mode::Message => subscriber.tell(Event::Close {
                code: Some(INTERNAL_ERROR),
                reason: why.to_string(),
            }),
            Mode::Stream => {
                self.add(slot, Piece::content(&format!("\n\n{why}\n").into()));
                self.add(slot, Piece::end());
            }
        }
    }
}

/// Close code of a WebSocket when something goes wrong (RFC 6455 section 7.4.1).
const INTERNAL_ERROR: u32 = 1011;
