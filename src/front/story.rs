//! The line that the level `debug` (`--verbose`) writes about each request. When it is off,
//! nothing is kept or formatted for it.

use std::{net::SocketAddr, time::Instant};

use tracing::Level;

use crate::forward::{Answer, Asked, Failure, show_route};

/// What is told of a request when it is over.
pub(super) struct Story {
    began: Instant,
    asked: Asked,
    route: Option<String>,
    backend: Option<String>,
    /// Status of the answer; none while there is no answer, as in a hold.
    pub(super) status: Option<u16>,
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
}

impl Story {
    /// The story of a request that began at `began` and was forwarded; none when nobody reads it.
    pub(super) fn of(forwarded: Result<&Answer, &Failure>, began: Instant) -> Option<Box<Self>> {
        if !tracing::enabled!(Level::DEBUG) {
            return None;
        }
        let (asked, route, backend) = match forwarded {
            Ok(answer) => (&answer.asked, Some(&answer.route), Some(answer.backend())),
            Err(failure) => (&*failure.asked, failure.route.as_ref(), failure.backend()),
        };
        Some(Box::new(Self {
            began,
            asked: asked.clone(),
            route: route.map(|route| show_route(route)),
            backend,
            status: None,
        }))
    }

    /// Writes the line.
    pub(super) fn tell(&self, peer: SocketAddr, end: End) {
        let what = match end {
            End::Answered => "request finished",
            End::Broken => "request broken off",
            End::Held => "request held",
        };
        tracing::debug!(
            client.addr = %peer,
            method = self.asked.short_method(),
            host = self.asked.short_host(),
            path = self.asked.short_path(),
            route = self.route.as_deref(),
            backend = self.backend.as_deref(),
            status = self.status,
            milliseconds = self.began.elapsed().as_secs_f64() * 1000.0,
            "{what}"
        );
    }
}
