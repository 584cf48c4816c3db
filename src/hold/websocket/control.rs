//! What the backend wants of gripd by `c:` messages: subscriptions, meta, and messages that are sent
//! by time.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;

use super::Parked;
use crate::{
    grip::{
        FILTER_LIMIT,
        channel::{Channel, Meta},
        delivery::Standing,
        instruct::KeepAliveMode,
        ws_control::{self, Control, ControlError},
    },
    hold::start::Context,
    hub::Held,
    socket::ClientSocket,
};

/// What the backend has asked for.
#[derive(Debug, Default)]
pub(super) struct Wishes {
    /// Subscribed channels, as the backend named them.
    channels: Vec<Channel>,
    meta: Arc<Meta>,
    keep_alive: Option<Box<KeepAlive>>,
    delayed: Option<Box<Delayed>>,
}

#[derive(Debug)]
struct KeepAlive {
    frame: Bytes,
    mode: KeepAliveMode,
    timeout: Duration,
    /// When the timer was started last.
    since: Duration,
    /// Taken off at random, for this time.
    less: Duration,
}

#[derive(Debug)]
struct Delayed {
    frame: Bytes,
    due: Duration,
}

impl Parked {
    /// Acts on a control message.
    pub(super) fn control(&mut self, text: &[u8], context: &Context) {
        let control = match ws_control::parse(text) {
            Ok(control) => control,
            Err(error) => return self.bad_control(&error, context),
        };
        let Some(held) = &self.held else { return };
        let socket = &mut *self.socket;
        let now = context.holder.now();
        match control {
            Control::Subscribe(channel) => {
                let most = context.settings.grip.connection_subscription_max;
                socket
                    .wishes
                    .subscribe(channel, &socket.terms.route.prefix, most, held);
            }
            Control::Unsubscribe { channel } => {
                socket
                    .wishes
                    .unsubscribe(&channel, &socket.terms.route.prefix, held);
            }
            Control::Detach => socket.talk.detach(&mut socket.out),
            // Names a place in an external store, of which there is none.
            Control::Session { .. } => {}
            Control::SetMeta { name, value } => {
                socket
                    .wishes
                    .set_meta(name, value, &socket.terms.route.prefix, held);
            }
            Control::KeepAlive(asked) => {
                let keep_alive = asked.map(|asked| {
                    Box::new(KeepAlive {
                        frame: socket.frame(asked.message.kind, &asked.message.content),
                        mode: asked.mode,
                        timeout: asked.timeout,
                        since: now,
                        less: less(),
                    })
                });
                socket.wishes.keep_alive = keep_alive;
            }
            Control::SendDelayed(asked) => {
                socket.wishes.flush(held);
                socket.wishes.delayed = Some(Box::new(Delayed {
                    frame: socket.frame(asked.message.kind, &asked.message.content),
                    due: now + asked.after,
                }));
            }
            Control::FlushDelayed => socket.wishes.flush(held),
        }
    }

    /// A control message that cannot be followed.
    fn bad_control(&mut self, error: &ControlError, context: &Context) {
        let terms = &self.socket.terms;
        context
            .notices
            .bad_control(&terms.route, &error.to_string());
        let is_grave = matches!(error, ControlError::Filters { .. });
        if terms.debug || is_grave {
            let reason = if terms.debug {
                error.to_string()
            } else {
                String::new()
            };
            self.end_client(Some((INTERNAL_ERROR, reason)));
        }
    }
}

impl Wishes {
    fn subscribe(
        &mut self,
        channel: Channel,
        prefix: &str,
        most: usize,
        held: &Held<ClientSocket>,
    ) {
        let known = self
            .channels
            .iter()
            .position(|own| own.name == channel.name);
        if known.is_none() && self.channels.len() >= most {
            return;
        }
        debug_assert!(channel.filters.len() <= FILTER_LIMIT, "checked when parsed");
        let standing = Standing::of(&channel, &self.meta, &Bytes::new());
        held.subscribe_to(&format!("{prefix}{}", channel.name), standing);
        if let Some(own) = known.and_then(|at| self.channels.get_mut(at)) {
            *own = channel;
        } else {
            // Most have one or two, for hours.
            self.channels.reserve_exact(1);
            self.channels.push(channel);
        }
    }

    fn unsubscribe(&mut self, name: &str, prefix: &str, held: &Held<ClientSocket>) {
        if let Some(at) = self.channels.iter().position(|own| own.name == name) {
            self.channels.swap_remove(at);
            held.unsubscribe_from(&format!("{prefix}{name}"));
        }
    }

    /// The meta counts for subscriptions that are there, too.
    fn set_meta(
        &mut self,
        name: String,
        value: Option<String>,
        prefix: &str,
        held: &Held<ClientSocket>,
    ) {
        let meta = Arc::make_mut(&mut self.meta);
        match value {
            Some(value) => drop(meta.insert(name, Some(value))),
            None => drop(meta.remove(&name)),
        }
        let last = held.last_ids();
        for channel in self.channels.iter().filter(|own| !own.filters.is_empty()) {
            let prev_id = last.iter().find(|(name, _)| *name == channel.name);
            let channel = Channel {
                prev_id: prev_id.map(|(_, id)| id.clone()),
                ..channel.clone()
            };
            let standing = Standing::of(&channel, &self.meta, &Bytes::new());
            held.subscribe_to(&format!("{prefix}{}", channel.name), standing);
        }
    }

    /// Sends what was to be sent later.
    fn flush(&mut self, held: &Held<ClientSocket>) {
        if let Some(delayed) = self.delayed.take() {
            held.write(delayed.frame);
        }
    }

    /// When something is to be sent.
    pub(super) fn due(&self, held: &Held<ClientSocket>) -> Option<Duration> {
        let delayed = self.delayed.as_ref().map(|delayed| delayed.due);
        let keep_alive = self.keep_alive.as_ref().map(|one| one.due(held));
        [delayed, keep_alive].into_iter().flatten().min()
    }

    /// Sends what is due.
    pub(super) fn tick(&mut self, now: Duration, held: &Held<ClientSocket>) {
        if self
            .delayed
            .as_ref()
            .is_some_and(|delayed| delayed.due <= now)
        {
            self.flush(held);
        }
        if let Some(keep_alive) = &mut self.keep_alive
            && keep_alive.due(held) <= now
        {
            // Not behind what waits already: then the client is not in want of it.
            if held.waiting() == 0 {
                held.write(keep_alive.frame.clone());
            }
            keep_alive.since = now;
            keep_alive.less = less();
        }
    }
}

impl KeepAlive {
    fn due(&self, held: &Held<ClientSocket>) -> Duration {
        let since = match self.mode {
            KeepAliveMode::Idle => self.since.max(held.last_sent()),
            KeepAliveMode::Interval => self.since,
        };
        since + self.timeout.saturating_sub(self.less)
    }
}

/// Up to a second, so that not all are sent at once.
fn less() -> Duration {
    Duration::from_millis(999).mul_f64(crate::hold::random::fraction())
}

/// Close code when something goes wrong (RFC 6455 section 7.4.1).
const INTERNAL_ERROR: u16 = 1011;
