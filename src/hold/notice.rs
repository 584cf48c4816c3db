//! What the log says of holds: once a route what is wrong with its instructs, each hold's end
//! (`log.access`), and, at the level `debug`, each hold's beginning.

use std::{
    net::IpAddr,
    num::NonZeroU64,
    time::{Duration, Instant},
};

use tracing::Level;

use super::start::{Client, Context};
use crate::{
    forward::{Route, show_backend, show_route},
    grip::instruct::{Instruct, InstructWarning, Mode},
    socket::Remote,
    telemetry::{
        access::{is_wanted, level, write_line},
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

/// What is kept of a hold for the line at its end; nothing where nobody wants that line. Two words:
/// very many are held.
#[derive(Debug)]
pub(super) struct Told {
    /// The client that other proxies name.
    from: Option<Box<IpAddr>>,
    /// On the clock of holds, in microseconds and one more.
    began: NonZeroU64,
}

/// What the line tells beside that.
#[derive(Debug)]
pub(super) struct End<'a> {
    pub(super) peer: &'a Remote,
    pub(super) mode: Mode,
    pub(super) route: &'a Route,
    /// Index of the target that answered.
    pub(super) target: usize,
    /// Of the response, if there was one.
    pub(super) status: Option<u16>,
    /// What went out, with all framing.
    pub(super) bytes: u64,
    pub(super) cause: &'static str,
}

impl Told {
    /// Tells of a hold's beginning, if that is wanted.
    pub(super) fn begin<'c>(
        mode: Mode,
        channels: impl Iterator<Item = &'c str>,
        client: &Client<'_>,
        context: &Context,
    ) -> Option<Self> {
        let route = client.route;
        if tracing::enabled!(Level::DEBUG) {
            let names: Vec<&str> = channels.collect();
            let channels: String = names.join(", ").chars().take(LONGEST).collect();
            let route = show_route(route);
            tracing::debug!(mode = name(mode), channels, route, "hold begins");
        }
        if !context.settings.log.access || !is_wanted(level(route.log_level)) {
            return None;
        }
        Some(Self {
            from: client.from.map(Box::new),
            began: NonZeroU64::MIN.saturating_add(micros(context.holder.now())),
        })
    }

    /// Tells of its end. `now`: on the clock of holds.
    pub(super) fn end(&self, end: &End<'_>, now: Duration) {
        let began = Duration::from_micros(self.began.get() - 1);
        let held = now.saturating_sub(began);
        write_line!(
            level(end.route.log_level),
            {
                client.addr = %end.peer,
                from = self.from.as_deref().map(tracing::field::display),
                mode = name(end.mode),
                route = show_route(end.route),
                backend = show_backend(end.route, end.target),
                status = end.status,
                bytes = end.bytes,
                milliseconds = (held.as_secs_f64() * 1e6).round() / 1e3,
                cause = end.cause
            },
            "hold ends"
        );
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
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
    fn what_is_kept_of_a_hold_is_two_words() {
        assert!(
            size_of::<Option<Told>>() <= 16,
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
