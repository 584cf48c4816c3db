//! WebSockets: their subscriptions come and go while they are held, and their sessions write too.

use std::{rc::Rc, time::Duration};

use bytes::Bytes;

use super::Shard;
use crate::{
    grip::{delivery::Standing, instruct::Mode},
    hub::{
        outlet::Wire,
        piece::Piece,
        subscriber::{Alarm, Phase},
        wheel::{Millis, millis},
    },
};

impl<W: Wire> Shard<W> {
    /// Is it a WebSocket?
    pub(super) fn is_socket(&self, slot: u32) -> bool {
        let subscriber = self.subscribers.get(slot as usize);
        subscriber.is_some_and(|one| one.mode == Mode::Message)
    }

    /// Subscribes it to a channel, by its full name, or changes how it stands there.
    pub(in crate::hub) fn subscribe_to(
        &mut self,
        slot: u32,
        name: &str,
        standing: Option<Box<Standing>>,
        now: Duration,
    ) {
        self.pass_time(now);
        let Some((old, mode)) = self.take_subscription(slot, name) else {
            self.join(slot, Mode::Message, name, standing, None);
            return;
        };
        let since = self.since(&old, mode, name);
        self.join(slot, mode, name, standing, since);
        self.part_old(slot, vec![old], mode);
    }

    /// Ends its subscription to a channel.
    pub(in crate::hub) fn unsubscribe_from(&mut self, slot: u32, name: &str, now: Duration) {
        self.pass_time(now);
        if let Some((old, mode)) = self.take_subscription(slot, name) {
            self.part(old, mode);
        }
    }

    /// Takes a subscription out of the subscriber's own list.
    fn take_subscription(&mut self, slot: u32, name: &str) -> Option<(super::Subscription, Mode)> {
        let subscriber = self.subscribers.get_mut(slot as usize)?;
        let channels = &self.channels;
        let index = subscriber.subscriptions.iter().position(|own| {
            let local = channels.get(own.channel as usize);
            local.is_some_and(|local| *local.channel.name == *name)
        })?;
        let old = subscriber.subscriptions.swap_remove(index);
        if let Some(careful) = subscriber.careful.as_deref_mut() {
            careful.lie_down(old.channel);
        }
        Some((old, subscriber.mode))
    }

    /// Writes frames of the session's own, behind what was delivered before.
    pub(in crate::hub) fn write_own(&mut self, slot: u32, frames: Bytes) {
        self.write(slot);
        if let Some(subscriber) = self.subscribers.get_mut(slot as usize)
            && subscriber.phase != Phase::Over
        {
            let written = subscriber.outlet.send(&Rc::new(Piece::framed(frames)));
            subscriber.sent = self.now;
            self.written(slot, &written);
        }
    }

    /// Nothing is delivered any more, and it has left its channels; the session still says
    /// something.
    pub(in crate::hub) fn close_off(&mut self, slot: u32, now: Duration) {
        self.pass_time(now);
        self.write(slot);
        let Some(subscriber) = self.subscribers.get_mut(slot as usize) else {
            return;
        };
        if subscriber.phase != Phase::Over {
            subscriber.phase = Phase::Closing;
        }
        let mode = subscriber.mode;
        for subscription in std::mem::take(&mut subscriber.subscriptions) {
            self.part(subscription, mode);
        }
    }

    /// The backend was asked: goes on with what was kept.
    pub(in crate::hub) fn go_on_answered(&mut self, slot: u32) {
        if let Some(subscriber) = self.subscribers.get_mut(slot as usize)
            && subscriber.phase == Phase::Paused
        {
            subscriber.phase = Phase::Open;
            self.go_on(slot, true);
        }
    }

    /// Tells its session at `due` (since the hub began); `None`: never.
    pub(in crate::hub) fn wake_at(&mut self, slot: u32, due: Option<Duration>) {
        let Some(subscriber) = self.subscribers.get_mut(slot as usize) else {
            return;
        };
        let armed = match subscriber.alarm {
            Alarm::Wake(armed) => Some(armed),
            _ => None,
        };
        let due = due.map(millis);
        subscriber.alarm = due.map_or(Alarm::Off, Alarm::Wake);
        if due.is_some() && armed != due {
            self.arm_alarm(slot);
        }
    }

    /// When something was sent to it last (since the hub began).
    pub(in crate::hub) fn last_sent(&self, slot: u32) -> Duration {
        let sent: Option<Millis> = self.subscribers.get(slot as usize).map(|one| one.sent);
        Duration::from_millis(sent.unwrap_or_default())
    }
}
