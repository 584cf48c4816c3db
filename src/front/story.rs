//! The line that is written about each request, at the level `debug` (`--verbose`) or that of its
//! route (`log_level`). When that is off, nothing is kept or formatted for it.

use std::{net::SocketAddr, time::Instant};

use tracing::Level;

use crate::forward::{Answer, Asked, Failure, show_route};

/// What is told of a request when it is over.
pub(super) struct Story {
    level: Level,
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
        let route = match forwarded {
            Ok(answer) => Some(&answer.route),
            Err(failure) => failure.route.as_ref(),
        };
        let level = level(route.and_then(|route| route.log_level));
        if !is_on(level) {
            return None;
        }
        let (asked, backend) = match forwarded {
            Ok(answer) => (&answer.asked, Some(answer.backend())),
            Err(failure) => (&*failure.asked, failure.backend()),
        };
        Some(Box::new(Self {
            level,
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
        // The level of an event is a part of the place that writes it.
        macro_rules! write {
            ($level:ident) => {
                tracing::event!(
                    Level::$level,
                    client.addr = %peer,
                    method = self.asked.short_method(),
                    host = self.asked.short_host(),
                    path = self.asked.short_path(),
                    route = self.route.as_deref(),
                    backend = self.backend.as_deref(),
                    status = self.status,
                    milliseconds = self.began.elapsed().as_secs_f64() * 1000.0,
                    "{what}"
                )
            };
        }
        match self.level {
            Level::ERROR => write!(ERROR),
            Level::WARN => write!(WARN),
            Level::INFO => write!(INFO),
            Level::DEBUG => write!(DEBUG),
            Level::TRACE => write!(TRACE),
        }
    }
}

/// The level of a route's lines.
fn level(log_level: Option<i32>) -> Level {
    match log_level {
        Some(0) => Level::ERROR,
        Some(1) => Level::WARN,
        Some(2) => Level::INFO,
        None | Some(3) => Level::DEBUG,
        Some(_) => Level::TRACE,
    }
}

fn is_on(level: Level) -> bool {
    match level {
        Level::ERROR => tracing::enabled!(Level::ERROR),
        Level::WARN => tracing::enabled!(Level::WARN),
        Level::INFO => tracing::enabled!(Level::INFO),
        Level::DEBUG => tracing::enabled!(Level::DEBUG),
        Level::TRACE => tracing::enabled!(Level::TRACE),
    }
}
