//! What the log says of holds: once a route what is wrong with its instructs, and, at the level
//! `debug`, each hold's beginning and end.

use std::time::Instant;

use tracing::Level;

use crate::{
    forward::{Route, show_route},
    grip::instruct::{Instruct, InstructWarning, Mode},
    telemetry::limit::Each,
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

/// What the log tells of one hold. There is none unless the log tells of each.
#[derive(Debug)]
pub(super) struct Told {
    mode: &'static str,
    /// Names, as many as fit.
    channels: String,
    route: String,
    began: Instant,
}

impl Told {
    /// Tells of a hold's beginning.
    pub(super) fn begin<'c>(
        mode: Mode,
        channels: impl Iterator<Item = &'c str>,
        route: &Route,
    ) -> Option<Box<Self>> {
        if !tracing::enabled!(Level::DEBUG) {
            return None;
        }
        let mode = match mode {
            Mode::Response => "response",
            Mode::Stream => "stream",
            Mode::Message => "message",
        };
        let names: Vec<&str> = channels.collect();
        let route = show_route(route);
        let told = Self {
            mode,
            channels: names.join(", ").chars().take(LONGEST).collect(),
            route,
            began: Instant::now(),
        };
        let Self {
            channels, route, ..
        } = &told;
        tracing::debug!(mode, channels, route, "hold begins");
        Some(Box::new(told))
    }

    /// Tells of its end.
    pub(super) fn end(&self, cause: &str) {
        tracing::debug!(
            mode = self.mode,
            channels = self.channels,
            route = self.route,
            milliseconds = self.began.elapsed().as_secs_f64() * 1000.0,
            cause,
            "hold ends"
        );
    }
}

/// Most characters of channel names in a line.
const LONGEST: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

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
