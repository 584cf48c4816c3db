//! The line that the log has of each request (`log.access`). When nobody wants it, nothing is kept
//! or formatted for it.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Instant,
};

use http::{HeaderMap, header};
use tracing::Level;

use super::Front;
use crate::{
    forward::{Answer, Asked, Failure, Route, cut, show_backend, show_route},
    http1::gate::Fault,
    telemetry::access::{LINES, by_level, is_wanted},
};

/// What is told of a request when it is over.
pub(super) struct Story {
    began: Instant,
    asked: Asked,
    route: Option<Arc<Route>>,
    target: Option<usize>,
    teller: Teller,
}

/// What a request says of its client beyond its address, as far as the log tells it.
#[derive(Debug, Default)]
pub(super) struct Teller {
    /// The client that other proxies name.
    pub(super) from: Option<IpAddr>,
    user_agent: Option<String>,
    /// The request was held before.
    pub(super) again: bool,
}

/// How a request came to its end in front.
#[derive(Clone, Copy)]
pub(super) enum End {
    /// The answer is out.
    Answered,
    /// The client left, or the answer could not be finished.
    Broken,
    /// It is held from here on.
    Held,
    /// It has left HTTP, and that is over, too.
    Tunnelled,
}

/// What went out.
#[derive(Clone, Copy)]
pub(super) struct Sent {
    /// Status of the answer; none while there is no answer, as in a long-poll.
    pub(super) status: Option<u16>,
    /// Bytes of its body; none where they are not counted.
    pub(super) bytes: Option<u64>,
}

impl Teller {
    /// Reads what is wanted.
    pub(super) fn of(front: &Front, headers: &HeaderMap, again: bool) -> Self {
        let log = &front.settings.log;
        let named = |headers| front.context.forwarder.named_client(headers);
        let agent = headers.get(header::USER_AGENT);
        Self {
            from: log.from.then(|| named(headers)).flatten(),
            user_agent: agent
                .filter(|_| log.access && log.user_agent)
                .map(|agent| cut(&String::from_utf8_lossy(agent.as_bytes())).to_owned()),
            again,
        }
    }
}

impl Story {
    /// The story of a request that began at `began` and was forwarded; none when nobody reads it.
    pub(super) fn of(
        forwarded: Result<&Answer, &Failure>,
        began: Instant,
        teller: Teller,
        front: &Front,
    ) -> Option<Box<Self>> {
        let (asked, route, target) = match forwarded {
            Ok(answer) => (&answer.asked, Some(&answer.route), Some(answer.target)),
            Err(failure) => (&*failure.asked, failure.route.as_ref(), failure.target),
        };
        let own = route.and_then(|route| route.log_level);
        if !front.settings.log.access || !is_wanted(own, Level::INFO, by_level()) {
            return None;
        }
        Some(Box::new(Self {
            began,
            asked: asked.clone(),
            route: route.cloned(),
            target,
            teller,
        }))
    }

    /// Writes the line.
    pub(super) fn tell(&self, peer: SocketAddr, end: End, sent: Sent) {
        let what = match end {
            End::Answered => "request finished",
            End::Broken => "request broken off",
            End::Held => "request held",
            End::Tunnelled => "upgraded connection ended",
        };
        let route = self.route.as_deref();
        let backend = route.zip(self.target);
        tracing::info!(
            target: LINES,
            {
                client.addr = %peer,
                from = self.teller.from.map(tracing::field::display),
                method = self.asked.short_method(),
                host = self.asked.short_host(),
                path = self.asked.short_path(),
                route = route.map(show_route),
                backend = backend.map(|(route, target)| show_backend(route, target)),
                status = sent.status,
                bytes = sent.bytes,
                milliseconds = milliseconds(self.began),
                again = self.teller.again.then_some(true),
                user_agent = self.teller.user_agent
            },
            "{what}"
        );
    }
}

/// Tells of a request that did not pass the gate.
pub(super) fn refused(front: &Front, peer: SocketAddr, fault: &Fault) {
    if front.settings.log.access && by_level() {
        tracing::info!(
            target: LINES,
            {
                client.addr = %peer,
                status = fault.status(),
                %fault
            },
            "request refused"
        );
    }
}

/// To the microsecond.
fn milliseconds(since: Instant) -> f64 {
    (since.elapsed().as_secs_f64() * 1e6).round() / 1e3
}
