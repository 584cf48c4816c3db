//! What the log says of holds: once a route what is wrong with its instructs, each hold's end
//! (`log.access`), and, at the level `debug`, each hold's beginning.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant},
};

use tracing::Level;

use super::start::{Client, Context};
use crate::{
    forward::{Route, show_backend, show_route},
    grip::instruct::{Instruct, InstructWarning, Mode},
    telemetry::{
        access::{LINES, by_level, is_wanted},
        limit::Each,
    },
};

/// What was said of which route. Shared by all threads.
#[derive(Debug)]
pub struct Notices(Each<(Kind, String)>);

/// What is said once a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    /// More channels than one request may have.
    Cut,
    NoChannels,
    /// A backend that does not speak WebSocket over HTTP.
    NoEvents,
    /// A control message that cannot be followed.
    Control,
    /// A header with a quote that is never closed.
    Unclosed(&'static str),
}

impl Notices {
    /// Warns about `instruct`, of each kind of fault once a route.
    pub(super) fn tell(&self, instruct: &Instruct, route: &Route) {
        for warning in &instruct.warnings {
            let kind = match warning {
                InstructWarning::NoChannels => Kind::NoChannels,
                InstructWarning::Unclosed { header, .. } => Kind::Unclosed(header),
            };
            if let Some(route) = self.first(kind, route) {
                tracing::warn!(route, "{warning} (said once for this route)");
            }
        }
    }

    /// Warns, once a route, that of `asked` channels only `most` are subscribed.
    pub(super) fn cut(&self, route: &Route, asked: usize, most: usize) {
        if let Some(route) = self.first(Kind::Cut, route) {
            tracing::warn!(
                route,
                "an instruct names {asked} channels, and only the first {most} are subscribed: \
                 raise grip.connection_subscription_max (said once for this route)"
            );
        }
    }

    /// Warns, once a route, that its backend does not speak WebSocket over HTTP.
    pub(super) fn no_events(&self, route: &Route, sentence: &str) {
        if let Some(route) = self.first(Kind::NoEvents, route) {
            tracing::warn!(route, "{sentence} (said once for this route)");
        }
    }

    /// Warns, once a route, of a control message that is ignored.
    pub(super) fn bad_control(&self, route: &Route, why: &str) {
        if let Some(route) = self.first(Kind::Control, route) {
            tracing::warn!(
                route,
                "a control message is ignored: {why} (said once for this route)"
            );
        }
    }

    /// The route's name, if this was not said of it yet.
    fn first(&self, kind: Kind, route: &Route) -> Option<String> {
        let name = show_route(route);
        self.is_first(kind, &name).then_some(name)
    }

    fn is_first(&self, kind: Kind, route: &str) -> bool {
        // A copy of the name is cheap here: there is something wrong with the instruct.
        self.0.hit((kind, route.to_owned()), Instant::now())
    }
}

impl Default for Notices {
    /// Nothing was said yet.
    fn default() -> Self {
        Self(Each::once())
    }
}

/// What is kept of a hold for the line at its end; nothing where nobody wants that line. A few
/// words: very many are held.
#[derive(Debug)]
pub(super) struct Told {
    route: Arc<Route>,
    /// The client that other proxies name.
    from: Option<Box<IpAddr>>,
    /// On the clock of holds.
    began: Duration,
    target: u16,
    mode: Mode,
    /// Of a stream's response.
    pub(super) status: Option<u16>,
}

impl Told {
    /// Tells of a hold's beginning, if that is wanted. `now`: on the clock of holds.
    pub(super) fn begin<'c>(
        mode: Mode,
        channels: impl Iterator<Item = &'c str>,
        client: &Client<'_>,
        context: &Context,
    ) -> Option<Self> {
        let route = client.route;
        let own = route.log_level;
        if is_wanted(own, Level::DEBUG, tracing::enabled!(Level::DEBUG)) {
            let names: Vec<&str> = channels.collect();
            let channels: String = names.join(", ").chars().take(LONGEST).collect();
            let route = show_route(route);
            tracing::debug!(target: LINES, mode = name(mode), channels, route, "hold begins");
        }
        if !context.settings.log.access || !is_wanted(own, Level::INFO, by_level()) {
            return None;
        }
        Some(Self {
            route: Arc::clone(route),
            from: client.from.map(Box::new),
            began: context.holder.now(),
            target: u16::try_from(client.target).unwrap_or(u16::MAX),
            mode,
            status: None,
        })
    }

    /// Tells of its end. `bytes`: what went out, with all framing; `now`: on the clock of holds.
    pub(super) fn end(&self, peer: &SocketAddr, cause: &str, bytes: u64, now: Duration) {
        let held = now.saturating_sub(self.began);
        tracing::info!(
            target: LINES,
            {
                client.addr = %peer,
                from = self.from.as_deref().map(tracing::field::display),
                mode = name(self.mode),
                route = show_route(&self.route),
                backend = show_backend(&self.route, self.target.into()),
                status = self.status,
                bytes,
                milliseconds = (held.as_secs_f64() * 1e6).round() / 1e3,
                cause
            },
            "hold ends"
        );
    }
}

fn name(mode: Mode) -> &'static str {
    match mode {
        Mode::Response => "response",
        Mode::Stream => "stream",
        Mode::Message => "message",
    }
}

/// Most characters of channel names in a line.
const LONGEST: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    /// Every held connection has one.
    #[test]
    fn what_is_kept_of_a_hold_is_a_few_words() {
        assert!(
            size_of::<Option<Told>>() <= 40,
            "{}",
            size_of::<Option<Told>>()
        );
    }

    #[test]
    fn each_kind_is_said_once_a_route() {
        let notices = Notices::default();
        let kinds = [
            Kind::Cut,
            Kind::NoChannels,
            Kind::Unclosed("Grip-Channel"),
            Kind::Unclosed("Grip-Link"),
        ];
        for kind in kinds {
            assert!(notices.is_first(kind, "a"), "{kind:?}");
            assert!(!notices.is_first(kind, "a"), "{kind:?}");
            assert!(notices.is_first(kind, "b"), "{kind:?}");
        }
    }
}
