//! What a shard's subscribers wait for: a long-poll's end, a stream's keep-alive, a next link's
//! time, and the end of patience with a client that takes nothing.
//!
//! Timers are re-armed lazily: a delivery only notes the time, and who is told looks whether it
//! is really due.

use std::rc::Rc;

use super::{Ask, Shard};
use crate::{
    grip::instruct::{self, KeepAliveMode, Mode},
    hub::{
        outlet::Wire,
        piece::{Framing, Piece},
        subscriber::{Alarm, Event, KeepAlive, Phase, Why},
        wheel::{Millis, millis},
    },
};

/// Who is told, and of what.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ring {
    slot: u32,
    serial: u32,
    of: Of,
}

/// What somebody is told of.
#[derive(Clone, Copy, Debug)]
enum Of {
    /// Its [`Alarm`].
    Alarm,
    /// The next link's time.
    Link,
    /// Bytes have waited since it had written so many.
    Stall(u64),
}

impl<W: Wire> Shard<W> {
    pub(super) fn alarm(&mut self, ask: &Ask<'_>) -> Alarm {
        match (ask.mode, ask.keep_alive) {
            (Mode::Response, _) => Alarm::Timeout(self.now + millis(ask.timeout)),
            (Mode::Stream | Mode::Message, Some(keep_alive)) => {
                Alarm::KeepAlive(self.share(keep_alive))
            }
            (Mode::Stream | Mode::Message, None) => Alarm::Off,
        }
    }

    fn share(&mut self, asked: &instruct::KeepAlive) -> Rc<KeepAlive> {
        if let Some((known, shared)) = &self.keep_alive
            && known == asked
        {
            return Rc::clone(shared);
        }
        let shared = Rc::new(KeepAlive {
            piece: Rc::new(Piece::content(&asked.data)),
            mode: asked.mode,
            interval: millis(asked.timeout),
        });
        self.keep_alive = Some((asked.clone(), Rc::clone(&shared)));
        shared
    }

    /// Arms all that a subscriber waits for, counted from now.
    pub(super) fn arm(&mut self, slot: u32) {
        self.arm_alarm(slot);
        self.arm_link(slot);
        self.watch(slot);
    }

    pub(super) fn arm_alarm(&mut self, slot: u32) {
        let less = self.random() % 1000;
        let Some(subscriber) = self.subscribers.get(slot as usize) else {
            return;
        };
        let due = match &subscriber.alarm {
            Alarm::Off => return,
            Alarm::KeepAlive(keep_alive) => {
                self.now + keep_alive.interval.saturating_sub(less).max(1)
            }
            Alarm::Timeout(due) | Alarm::Wake(due) => *due,
        };
        self.ring_at(due, slot, Of::Alarm);
    }

    fn arm_link(&mut self, slot: u32) {
        let subscriber = self.subscribers.get(slot as usize);
        let careful = subscriber.and_then(|one| one.careful.as_deref());
        if let Some(link) = careful.and_then(|careful| careful.link.as_ref()) {
            self.ring_at(self.now + link.timeout, slot, Of::Link);
        }
    }

    /// Watches a subscriber whose bytes wait, unless it is watched already.
    pub(super) fn watch(&mut self, slot: u32) {
        let due = self.now.saturating_add(millis(self.bounds.send));
        let subscriber = self.subscribers.get_mut(slot as usize);
        if let Some(written) = subscriber.and_then(|one| one.outlet.begin_watch()) {
            self.ring_at(due, slot, Of::Stall(written));
        }
    }

    fn ring_at(&mut self, due: Millis, slot: u32, of: Of) {
        if let Some(subscriber) = self.subscribers.get(slot as usize) {
            let serial = subscriber.serial;
            self.wheel.arm(due, Ring { slot, serial, of });
        }
    }

    /// Does what is due.
    pub(super) fn ring(&mut self) {
        for Ring { slot, serial, of } in self.wheel.due(self.now) {
            let Some(subscriber) = self.subscribers.get_mut(slot as usize) else {
                continue;
            };
            if subscriber.serial != serial {
                continue;
            }
            match of {
                // The end of the body waits like any other byte.
                Of::Stall(written) => self.stall(slot, written),
                _ if subscriber.is_over() => {}
                Of::Alarm => match subscriber.alarm.clone() {
                    Alarm::KeepAlive(keep_alive) => self.keep_alive(slot, &keep_alive),
                    Alarm::Timeout(_) if subscriber.phase == Phase::Open => {
                        subscriber.tell(Event::Timeout);
                    }
                    Alarm::Wake(due) if due <= self.now => subscriber.tell(Event::Tick),
                    Alarm::Off | Alarm::Timeout(_) | Alarm::Wake(_) => {}
                },
                Of::Link => self.link_due(slot),
            }
        }
    }

    /// A long-poll's time was over while it was paused.
    pub(super) fn overdue(&mut self, slot: u32) {
        if let Some(subscriber) = self.subscribers.get_mut(slot as usize)
            && let Alarm::Timeout(due) = subscriber.alarm
            && subscriber.phase == Phase::Open
            && due <= self.now
        {
            subscriber.tell(Event::Timeout);
        }
    }

    /// When something is due next.
    pub(in crate::hub) fn next_due(&self) -> Option<std::time::Duration> {
        self.wheel.next().map(std::time::Duration::from_millis)
    }

    /// Says something on a quiet stream. One with bytes waiting is not quiet.
    fn keep_alive(&mut self, slot: u32, keep_alive: &KeepAlive) {
        let less = self.random() % 1000;
        let Some(subscriber) = self.subscribers.get_mut(slot as usize) else {
            return;
        };
        let quiet_until = subscriber.sent + keep_alive.interval.saturating_sub(less);
        if keep_alive.mode == KeepAliveMode::Idle && quiet_until > self.now {
            self.ring_at(quiet_until, slot, Of::Alarm);
            return;
        }
        let muted = subscriber.careful.as_deref().is_some_and(|own| own.muted);
        if subscriber.outlet.is_clear()
            && !muted
            && !keep_alive.piece.bytes(Framing::Bare).is_empty()
        {
            let written = subscriber.outlet.send(&keep_alive.piece);
            self.written(slot, &written);
        }
        self.arm_alarm(slot);
    }

    /// A next link's time is over: it is followed, unless an item has just shown that all is well.
    fn link_due(&mut self, slot: u32) {
        let Some(subscriber) = self.subscribers.get_mut(slot as usize) else {
            return;
        };
        let (sent, channels) = (subscriber.sent, subscriber.subscriptions.len());
        let careful = subscriber.careful.as_deref_mut();
        if let Some(link) = careful.and_then(|careful| careful.link.as_mut())
            && channels == 1
            && sent + link.timeout > self.now
            && !std::mem::replace(&mut link.skipped, true)
        {
            self.arm_link(slot);
            return;
        }
        self.recover(slot, Why::Timer);
    }
}
