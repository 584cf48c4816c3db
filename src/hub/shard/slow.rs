//! Slow clients: what waits for one connection is bounded in bytes and in time. Nothing is left
//! out in silence: a connection over its bound is closed, or told to recover, or keeps the newest
//! item of each channel, as its route says; and the log and a counter tell of it.
//!
//! An item whose first byte is out is always finished.

use std::time::{Duration, Instant};

use super::Shard;
use crate::{
    grip::{delivery::Unfit, instruct::Mode},
    hub::{
        outlet::Wire,
        subscriber::{Event, Overflow, Phase},
    },
    socket::Remote,
    telemetry::{
        counters::{Count, Family},
        limit::Every,
    },
};

impl<W: Wire> Shard<W> {
    /// A connection has more waiting than it may.
    pub(super) fn overflow(&mut self, slot: u32) {
        let Some(subscriber) = self.subscribers.get_mut(slot as usize) else {
            return;
        };
        let peer = subscriber.outlet.wire().and_then(Wire::remote);
        match subscriber.overflow {
            Overflow::Latest => {
                subscriber.outlet.keep_latest();
                Count::SlowLatest.add(1);
                tell(&LATEST, peer, "kept only the newest item of each channel");
            }
            Overflow::Recover if subscriber.recovers && subscriber.phase == Phase::Open => {
                let dropped = subscriber.outlet.drop_waiting();
                subscriber.phase = Phase::Paused;
                let careful = subscriber.careful();
                for one in &dropped {
                    careful.stand_back(one);
                }
                careful.when_clear = true;
                Count::SlowRecovered.add(1);
                tell(
                    &RECOVERED,
                    peer,
                    "dropped what waited; the backend is asked again",
                );
            }
            // What it would recover it is getting already; the bound holds all the same.
            Overflow::Recover | Overflow::Close => self.close_slow(slot),
        }
    }

    /// Closes a connection of which more waits than may, at the client or at the backend that a
    /// filter asks.
    pub(super) fn close_slow(&mut self, slot: u32) {
        if let Some(subscriber) = self.subscribers.get_mut(slot as usize) {
            let peer = subscriber.outlet.wire().and_then(Wire::remote);
            if subscriber.mode == Mode::Message {
                // What it has begun to read is finished, then it is told why there is no more.
                subscriber.outlet.drop_waiting();
                subscriber.tell(Event::Close {
                    code: Some(TRY_AGAIN_LATER),
                    reason: "too slow".into(),
                });
            } else {
                subscriber.tell(Event::Overflow);
            }
            Count::SlowClosed.add(1);
            tell(&CLOSED, peer, "closed");
        }
    }

    /// The time is over for a connection to take something, unless it has.
    pub(super) fn stall(&mut self, slot: u32, written: u64) {
        let Some(subscriber) = self.subscribers.get_mut(slot as usize) else {
            return;
        };
        if !subscriber.outlet.is_stalled(written) {
            self.watch(slot);
            return;
        }
        let peer = subscriber.outlet.wire().and_then(Wire::remote);
        subscriber.tell(Event::Overflow);
        Count::SlowStalled.add(1);
        if let Some(left_out) = STALLED.hit(Instant::now()) {
            tracing::warn!(
                client.addr = peer.map(tracing::field::display),
                left_out = (left_out > 0).then_some(left_out),
                "closed: the client took nothing for timeouts.send while data waited for it"
            );
        }
    }
}

/// Tells of an overflow, at most once a second of each kind.
fn tell(kind: &Every, peer: Option<Remote>, what: &str) {
    if let Some(left_out) = kind.hit(Instant::now()) {
        tracing::warn!(
            client.addr = peer.map(tracing::field::display),
            left_out = (left_out > 0).then_some(left_out),
            "slow client: more than limits.connection_buffer waits for it; {what} (raise the \
             limit, send less, or choose another grip.overflow or route option overflow)"
        );
    }
}

/// Tells that an item was left out for one subscriber.
pub(super) fn tell_skipped(channels: &[String], why: &Unfit) {
    Family::Dropped.add("unfit");
    if let Some(left_out) = SKIPPED.hit(Instant::now()) {
        let left_out = (left_out > 0).then_some(left_out);
        let channels = channels.join(", ");
        tracing::warn!(
            channels,
            left_out,
            "item not delivered to a subscriber: {why}"
        );
    }
}

/// Close code of a WebSocket that has to come back later (registered with IANA).
const TRY_AGAIN_LATER: u32 = 1013;

static CLOSED: Every = Every::new(Duration::from_secs(1));
static LATEST: Every = Every::new(Duration::from_secs(1));
static RECOVERED: Every = Every::new(Duration::from_secs(1));
static SKIPPED: Every = Every::new(Duration::from_secs(1));
static STALLED: Every = Every::new(Duration::from_secs(1));
