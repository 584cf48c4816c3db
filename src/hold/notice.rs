//! What the log says of holds: once a route what is wrong with its instructs, and, at the level
//! `debug`, each hold's beginning and end.

use std::time::Instant;

use tracing::Level;

use crate::{
    grip::{
        delivery::Standing,
        filter::Filter,
        instruct::{Instruct, InstructWarning, Mode},
    },
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
    /// Something gripd does not do yet.
    Missing,
    NoChannels,
    /// A header with a quote that is never closed.
    Unclosed(&'static str),
}

impl Notices {
    /// Warns about `instruct`, of each kind of fault once a route.
    pub(super) fn tell(&self, instruct: &Instruct, route: &str) {
        for warning in &instruct.warnings {
            let kind = match warning {
                InstructWarning::NoChannels => Kind::NoChannels,
                InstructWarning::Unclosed { header, .. } => Kind::Unclosed(header),
            };
            if self.is_first(kind, route) {
                tracing::warn!(route, "{warning} (said once for this route)");
            }
        }
        let missing = missing(instruct);
        if !missing.is_empty() && self.is_first(Kind::Missing, route) {
            tracing::warn!(
                route,
                "this route's instructs use what gripd does not do yet ({}): links and filters act \
                 as if absent, and channels with require-sub deliver nothing",
                missing.join(", ")
            );
        }
    }

    /// Warns, once a route, that of `asked` channels only `most` are subscribed.
    pub(super) fn cut(&self, route: &str, asked: usize, most: usize) {
        if self.is_first(Kind::Cut, route) {
            tracing::warn!(
                route,
                "an instruct names {asked} channels, and only the first {most} are subscribed: \
                 raise grip.connection_subscription_max (said once for this route)"
            );
        }
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

fn missing(instruct: &Instruct) -> Vec<&str> {
    let links = [
        ("Grip-Link: next", instruct.links.next.is_some()),
        ("Grip-Link: gone", instruct.links.gone.is_some()),
    ];
    let links = links
        .into_iter()
        .filter_map(|(name, used)| used.then_some(name));
    let filters = instruct
        .channels
        .iter()
        .flat_map(|channel| &channel.filters);
    let known = filters
        .map(String::as_str)
        .filter(|name| Filter::parse(name).is_some());
    let mut missing: Vec<&str> = links.chain(known).collect();
    missing.sort_unstable();
    missing.dedup();
    missing
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
    pub(super) fn begin(
        mode: Mode,
        channels: &[(String, Standing)],
        route: &str,
    ) -> Option<Box<Self>> {
        if !tracing::enabled!(Level::DEBUG) {
            return None;
        }
        let mode = match mode {
            Mode::Response => "response",
            Mode::Stream => "stream",
        };
        let names: Vec<&str> = channels.iter().map(|(name, _)| &**name).collect();
        let told = Self {
            mode,
            channels: names.join(", ").chars().take(LONGEST).collect(),
            route: route.to_owned(),
            began: Instant::now(),
        };
        tracing::debug!(mode, channels = told.channels, route, "hold begins");
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
