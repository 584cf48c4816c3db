//! The line that the log has of each request (`log.access`), at the level of its route
//! (`log_level`). When nobody wants it, nothing is kept or formatted for it.

use std::{net::IpAddr, sync::Arc, time::Instant};

use http::{HeaderMap, header, request};
use tracing::Level;

use super::Front;
use crate::{
    forward::{self, Asked, Route, Way, cut, show_backend, show_route},
    http1::gate::Fault,
    socket::Remote,
    telemetry::access::{is_wanted, level, write_line},
};

/// What is told of a request when it is over.
pub(super) struct Story {
    began: Instant,
    asked: Asked,
    route: Option<Arc<Route>>,
    /// The route's target that answered, or is at fault.
    pub(super) target: Option<usize>,
    /// The client that other proxies name.
    from: Option<IpAddr>,
    user_agent: Option<String>,
    /// The request was held before.
    again: bool,
}

/// How a request came to its end in front.
#[derive(Clone, Copy)]
pub(super) enum End {
    /// Its answer is out.
    Answered,
    /// The client left or the answer could not be finished.
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

impl Story {
    /// The story of a request that begins; none when nobody reads it. `from`: the client that other
    /// proxies name, if that is told.
    pub(super) fn begin(
        front: &Front,
        head: &request::Parts,
        way: &Way,
        from: Option<IpAddr>,
        again: bool,
    ) -> Option<Box<Self>> {
        let (log, route) = (&front.settings.log, way.found());
        if !log.access || !is_wanted(level(route.and_then(|route| route.log_level))) {
            return None;
        }
        Some(Box::new(Self {
            began: Instant::now(),
            asked: way.asked(&head.method),
            route: route.cloned(),
            target: None,
            from,
            user_agent: log.user_agent.then(|| user_agent(&head.headers)).flatten(),
            again,
        }))
    }

    /// Writes the line.
    pub(super) fn tell(&self, peer: Remote, end: End, sent: Sent) {
        let what = match end {
            End::Answered => "request finished",
            End::Broken => "request broken off",
            End::Held => "request held",
            End::Tunnelled => "upgraded connection ended",
        };
        let route = self.route.as_deref();
        let backend = route.zip(self.target);
        write_line!(
            level(route.and_then(|route| route.log_level)),
            {
                client.addr = %peer,
                from = self.from.map(tracing::field::display),
                method = self.asked.short_method(),
                host = self.asked.short_host(),
                path = self.asked.short_path(),
                route = route.map(show_route),
                backend = backend.map(|(route, target)| show_backend(route, target)),
                status = sent.status,
                bytes = sent.bytes,
                milliseconds = milliseconds(self.began),
                again = self.again.then_some(true),
                user_agent = self.user_agent
            },
            "{what}"
        );
    }
}

/// The client that other proxies name, if the log tells of it.
pub(super) fn named(
    front: &Front,
    head: &request::Parts,
    way: &Way,
    client: &forward::Client<'_>,
) -> Option<IpAddr> {
    let named = || front.context.forwarder.named_client(head, way, client);
    front.settings.log.from.then(named).flatten()
}

fn user_agent(headers: &HeaderMap) -> Option<String> {
    let agent = headers.get(header::USER_AGENT)?;
    Some(cut(&String::from_utf8_lossy(agent.as_bytes())).to_owned())
}

/// Tells of a request that did not pass the gate.
pub(super) fn refused(front: &Front, peer: Remote, fault: &Fault) {
    if front.settings.log.access && is_wanted(Level::INFO) {
        write_line!(
            Level::INFO,
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
