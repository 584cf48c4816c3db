//! Why a request got no answer from a backend: what the log says, which status it makes, and what
//! the client may read.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use http::Method;

use crate::{
    cross_origin::jsonp,
    grip::{filter::FilterError, instruct::InstructError},
    routes::grammar::Route,
    telemetry::{counters, limit::Every},
    upstream::{Error, UploadError, show_backend, show_route},
};

/// A request that got no answer.
#[derive(Debug, thiserror::Error)]
#[error("{cause}")]
pub struct Failure {
    /// What happened.
    pub cause: Cause,
    /// The route, when there is one.
    pub route: Option<Arc<Route>>,
    /// Index of the target at fault, when it is one.
    pub target: Option<usize>,
    /// What the client asked for.
    pub asked: Box<Asked>,
    /// May the client read the cause?
    pub debug: bool,
}

/// What a client asked for, as far as the log tells it: never its query, which may hold secrets.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// The method.
    pub method: Method,
    /// The host, without port.
    pub host: String,
    /// The path.
    pub path: String,
}

impl Asked {
    /// The method, cut for the log.
    pub fn short_method(&self) -> &str {
        cut(self.method.as_str())
    }

    /// The host, cut for the log.
    pub fn short_host(&self) -> &str {
        cut(&self.host)
    }

    /// The path, cut for the log.
    pub fn short_path(&self) -> &str {
        cut(&self.path)
    }
}

/// What happened, by who is at fault.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Cause {
    /// Operator: the `Host` that the route asks for cannot be sent.
    #[error("the route's host cannot be a Host header")]
    BadHost,
    /// Operator or client: what the route makes of the path cannot be sent.
    #[error("the rewritten path cannot be sent")]
    BadPath,
    /// Backend: no target took the connection.
    #[error("no target could be reached; tried: {}", .tried.join(", "))]
    Connect {
        /// Each target with its reason.
        tried: Vec<String>,
        /// Did the last one take too long, rather than refuse?
        slow: bool,
        /// Was nobody there, at one of them at least? The others are there, and no TLS came about.
        absent: bool,
    },
    /// Backend: the body's content coding is unknown or broken.
    #[error("the answer's Content-Encoding cannot be decoded: {reason}")]
    Encoding {
        /// What is wrong.
        reason: String,
    },
    /// Backend: its answer to a WebSocket over HTTP makes no sense.
    #[error("the backend's answer to a WebSocket over HTTP cannot be used: {0}")]
    Events(String),
    /// Backend: it has left HTTP, but not as a WebSocket does.
    #[error("the backend's answer to a WebSocket's handshake cannot be used: {0}")]
    Switched(String),
    /// Client: its JSON-P request has a parameter that cannot be used.
    #[error("{0}")]
    JsonP(jsonp::Fault),
    /// Client: its request asks for a WebSocket, and is none of a WebSocket's.
    #[error("{0}")]
    Handshake(String),
    /// Client: only gripd itself may send WebSocket events.
    #[error("clients may not send WebSocket events directly")]
    EventsNotAllowed,
    /// Backend: its target has as many connections as it may have.
    #[error(
        "the target has its {most} connections (max_connections), and none was free within \
         {after:?} (timeouts.target_wait)"
    )]
    Full {
        /// How many.
        most: u32,
        /// How long was waited.
        after: Duration,
    },
    /// Backend: a filter of the instruct cannot be applied to its own body.
    #[error("the backend's instruct cannot be followed: filter error: {0}")]
    Filter(FilterError),
    /// Backend: the instruct cannot be read.
    #[error("the backend's instruct cannot be followed: {0}")]
    Instruct(InstructError),
    /// Backend: an instruct has a longer body than may be.
    #[error("the instruct response from {target} is longer than {limit} bytes")]
    InstructTooLarge {
        /// Address of the target.
        target: String,
        /// Most bytes, after decoding.
        limit: usize,
    },
    /// Client: the request's body is too long to be kept for a repeated request.
    #[error("the request's body is longer than the {limit} bytes that a held request may have")]
    RequestTooLarge {
        /// Most bytes.
        limit: usize,
    },
    /// Operator: no route fits.
    #[error("no route for {host}: {why}")]
    NoRoute {
        /// The request's host, without port.
        host: String,
        /// What was tried.
        why: String,
    },
    /// Ours: a part of gripd that is still to come.
    #[error("{feature} is not supported yet")]
    NotThere {
        /// Which.
        feature: &'static str,
    },
    /// Ours: the client waited for a backend to come up, and gripd stops. It is not answered: a
    /// browser then comes back by itself.
    #[error("gripd stops, and no backend has come up")]
    Stopping,
    /// Backend, or the client's upload.
    #[error(transparent)]
    Upstream(#[from] Error),
}

impl Cause {
    /// The status of the answer to the client.
    pub fn status(&self) -> u16 {
        match self {
            Self::Handshake(_) | Self::JsonP(_) | Self::RequestTooLarge { .. } => 400,
            Self::EventsNotAllowed => 403,
            Self::NotThere { .. } => 501,
            Self::Full { .. } | Self::Stopping => 503,
            Self::Connect { slow: true, .. } | Self::Upstream(Error::TimedOut(_)) => 504,
            Self::Upstream(Error::Upload(error)) => match error {
                UploadError::Gone(_) | UploadError::Superseded => 400,
                UploadError::TooLarge { .. } => 413,
                UploadError::TimedOut { .. } => 408,
            },
            _ => 502,
        }
    }

    /// Was nobody there to take the connection, so that somebody may be in a moment?
    pub(super) fn is_absence(&self) -> bool {
        matches!(
            self,
            Self::Connect { absent: true, .. } | Self::Upstream(Error::Name(_))
        )
    }

    /// In a word what is wrong with the backend, for its counter; `None`: nothing is.
    fn word(&self) -> Option<&'static str> {
        Some(match self {
            Self::Connect { slow: true, .. } | Self::Upstream(Error::TimedOut(_)) => "timeout",
            Self::Connect { .. } | Self::Upstream(Error::Unreachable(_)) => "connect",
            Self::Encoding { .. } => "encoding",
            Self::Events(_) | Self::Switched(_) => "websocket",
            Self::Full { .. } => "full",
            Self::Filter(_) | Self::Instruct(_) | Self::InstructTooLarge { .. } => "instruct",
            Self::Upstream(Error::Blocked) => "blocked",
            Self::Upstream(Error::Closed(_) | Error::Cut(_) | Error::Unread(_)) => "closed",
            Self::Upstream(Error::Garbage(_)) => "garbage",
            Self::Upstream(Error::Name(_)) => "name",
            Self::Upstream(Error::SpeaksTls | Error::Tls(_)) => "tls",
            _ => return None,
        })
    }

    /// Is it the client's own doing, and so for the client to know?
    fn is_for_client(&self) -> bool {
        matches!(
            self,
            Self::EventsNotAllowed
                | Self::Handshake(_)
                | Self::JsonP(_)
                | Self::RequestTooLarge { .. }
                | Self::NotThere { .. }
                | Self::Upstream(Error::Upload(_))
        )
    }
}

impl Failure {
    /// An instruct's body is larger than may be and must not be streamed. Logs it.
    pub fn instruct_too_large(
        asked: Asked,
        route: Arc<Route>,
        target: usize,
        limit: usize,
        debug: bool,
    ) -> Self {
        let cause = Cause::InstructTooLarge {
            target: show_backend(&route, target),
            limit,
        };
        Self::logged(cause, asked, route, target, debug)
    }

    /// What went wrong with a target's answer, logged.
    pub fn logged(
        cause: Cause,
        asked: Asked,
        route: Arc<Route>,
        target: usize,
        debug: bool,
    ) -> Self {
        let failure = Self {
            cause,
            route: Some(route),
            target: Some(target),
            asked: Box::new(asked),
            debug,
        };
        failure.log();
        failure
    }

    /// What the client may read: one sentence, without line end.
    pub fn sentence(&self) -> String {
        match &self.cause {
            cause if self.debug => capitalized(&cause.to_string()) + &self.whereabouts(),
            cause if cause.is_for_client() => capitalized(&cause.to_string()),
            Cause::NoRoute { .. } => "No route for this request.".into(),
            Cause::Full { .. } => "The backend has all it can take; try again in a while.".into(),
            cause if cause.status() == 504 => "The backend took too long.".into(),
            _ => GENERIC.into(),
        }
    }

    /// Which line of the routes was taken, and which target is at fault, as a sentence more.
    fn whereabouts(&self) -> String {
        let route = self.route.as_deref().map(show_route).unwrap_or_default();
        match (&*route, self.backend()) {
            ("", None) => String::new(),
            ("", Some(target)) => format!(" (Target {target}.)"),
            (route, None) => format!(" (Route {route}.)"),
            (route, Some(target)) => format!(" (Route {route}, target {target}.)"),
        }
    }

    /// The status of the answer to the client.
    pub fn status(&self) -> u16 {
        self.cause.status()
    }

    /// The name of the target at fault, when it is one.
    fn backend(&self) -> Option<String> {
        Some(show_backend(self.route.as_ref()?, self.target?))
    }

    /// One line for the operator; what a client did is only of interest when one looks for it.
    /// Many failures at once are not all told.
    pub(super) fn log(&self) {
        let status = self.cause.status();
        if let (Some(route), Some(word)) = (&self.route, self.cause.word()) {
            counters::unanswered(&show_route(route), word);
        }
        if status < 500 {
            if tracing::enabled!(tracing::Level::DEBUG) {
                self.tell(status, 0);
            }
        } else if let Some(left_out) = LIMITS.pass(&self.cause, Instant::now()) {
            self.tell(status, left_out);
        }
    }

    /// Writes the line, without the fields that have no value.
    fn tell(&self, status: u16, left_out: u64) {
        let asked = &*self.asked;
        let method = asked.short_method();
        let (host, path) = (asked.short_host(), asked.short_path());
        let route = self.route.as_deref().map(show_route);
        let (route, backend) = (route.as_deref(), self.backend());
        let backend = backend.as_deref();
        let left_out = (left_out > 0).then_some(left_out);
        let cause = &self.cause;
        if status < 500 {
            tracing::debug!(method, host, path, route, backend, status, "{cause}");
        } else {
            tracing::warn!(
                method, host, path, route, backend, status, left_out, "{cause}"
            );
        }
    }
}

/// How many warnings there may be: clients alone must not be able to fill a disk, nor hide what
/// backends do.
struct Limits {
    clients: Every,
    backends: Every,
}

impl Limits {
    const fn new() -> Self {
        Self {
            clients: Every::new(SECOND),
            backends: Every::some(10, SECOND),
        }
    }

    /// `Some(n)`: warn, `n` of the kind were left out before; `None`: do not.
    fn pass(&self, cause: &Cause, now: Instant) -> Option<u64> {
        match cause {
            Cause::NoRoute { .. } | Cause::NotThere { .. } | Cause::BadPath => {
                self.clients.hit(now)
            }
            _ => self.backends.hit(now),
        }
    }
}

static LIMITS: Limits = Limits::new();
const SECOND: Duration = Duration::from_secs(1);

/// What clients read of a fault of a backend when they are not told the cause.
pub const GENERIC: &str = "The backend could not be asked or gave no valid answer.";

/// The beginning of what a client sent, for the log.
pub fn cut(text: &str) -> &str {
    text.char_indices()
        .nth(LONGEST)
        .map_or(text, |(end, _)| &text[..end])
}

/// In characters.
const LONGEST: usize = 200;

fn capitalized(text: &str) -> String {
    let mut chars = text.chars();
    let Some(first) = chars.next() else {
        return String::new();
    };
    let end = if text.ends_with('.') { "" } else { "." };
    format!("{}{}{end}", first.to_uppercase(), chars.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(cause: Cause, debug: bool) -> Failure {
        Failure {
            cause,
            route: None,
            target: None,
            asked: Box::default(),
            debug,
        }
    }

    #[test]
    fn clients_alone_warn_once_a_second_and_hide_no_backend() {
        let limits = Limits::new();
        let start = Instant::now();
        let (one, other) = (
            Cause::NoRoute {
                host: "a".into(),
                why: String::new(),
            },
            Cause::Upstream(Error::Blocked),
        );
        let passed = |cause, at| {
            (0..300)
                .filter(|_| limits.pass(cause, at).is_some())
                .count()
        };
        assert_eq!([passed(&one, start), passed(&other, start)], [1, 10]);
        assert_eq!(limits.pass(&one, start + SECOND), Some(299));
        assert_eq!(limits.pass(&other, start + SECOND), Some(290));
    }

    #[test]
    fn what_clients_send_is_cut_between_characters() {
        assert_eq!(cut("short"), "short");
        assert_eq!(cut(&"ü".repeat(300)), "ü".repeat(200));
    }

    #[test]
    fn the_cause_is_told_only_with_debug() {
        let secret = |debug| {
            failure(
                Cause::NoRoute {
                    host: "a.test".into(),
                    why: "nothing fits".into(),
                },
                debug,
            )
            .sentence()
        };
        assert_eq!(secret(false), "No route for this request.");
        assert_eq!(secret(true), "No route for a.test: nothing fits.");
        let tried = vec!["127.0.0.1:1 (refused)".to_owned()];
        let dead = |debug| {
            failure(
                Cause::Connect {
                    tried: tried.clone(),
                    slow: false,
                    absent: true,
                },
                debug,
            )
            .sentence()
        };
        assert!(!dead(false).contains("127"), "{}", dead(false));
        assert!(
            dead(true).contains("127.0.0.1:1 (refused)"),
            "{}",
            dead(true)
        );
    }

    #[test]
    fn fault_decides_the_status() {
        let table = [
            (Cause::EventsNotAllowed, 403),
            (Cause::NotThere { feature: "x" }, 501),
            (
                Cause::Connect {
                    tried: vec![],
                    slow: false,
                    absent: true,
                },
                502,
            ),
            (
                Cause::Connect {
                    tried: vec![],
                    slow: true,
                    absent: true,
                },
                504,
            ),
            (Cause::Upstream(Error::Blocked), 502),
            (Cause::Upstream(Error::Garbage(String::new())), 502),
            (
                Cause::Upstream(Error::Upload(UploadError::TooLarge { limit: 1 })),
                413,
            ),
        ];
        for (cause, status) in table {
            assert_eq!(cause.status(), status, "{cause}");
        }
    }
}
