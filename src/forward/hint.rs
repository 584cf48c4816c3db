//! Hints about event streams that do less than their author expects: each is a sound answer and is
//! passed on, the client waits, and nobody sees an error. One line a minute for each kind and
//! route.

use std::{
    pin::Pin,
    time::{Duration, Instant},
};

use http::{
    HeaderMap, StatusCode,
    header::{
        ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_ORIGIN, CONTENT_LENGTH,
        CONTENT_TYPE, COOKIE, HeaderName, ORIGIN,
    },
    response::Parts,
};

use super::{Answer, failure::cut, headers::Headers, show_route};
use crate::{routes::grammar::Route, telemetry::limit::Each};

/// What is odd about an event stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Hint {
    /// It has an end, and there is no hold.
    Ended,
    /// The backend goes on writing it; gripd does not hold it.
    NotHeld,
    /// A browser keeps it from the page that asked, for the page's origin is not allowed.
    OtherOrigin,
    /// A browser keeps it from a page that asked with credentials.
    WithoutCredentials,
    /// It is asked for, and the backend says nothing.
    Unanswered,
}

/// Waits for the answer to a request, and tells if an event stream takes long to begin. Backends
/// that answer only with a whole body never begin a stream that has no end.
///
/// # Cancel safety
/// That of `asking`.
pub(super) async fn watch<T>(
    request: &Headers,
    route: &Route,
    mut asking: Pin<&mut impl Future<Output = T>>,
) -> T {
    if route.no_grip || !request.accept_events() {
        return asking.await;
    }
    if let Ok(answer) = tokio::time::timeout(LONG, asking.as_mut()).await {
        return answer;
    }
    let route = show_route(route);
    if TOLD.hit((Hint::Unanswered, route.clone()), Instant::now()) {
        tracing::info!(waited = ?LONG, route, "{}", Hint::Unanswered.sentence());
    }
    asking.await
}

/// Tells what is odd about an answer, if anything is.
pub(super) fn tell(request: &Headers, answer: &Answer) {
    let is_meant = answer.instruct || answer.route.no_grip;
    let Some(hint) = Hint::of(request, &answer.head, is_meant) else {
        return;
    };
    let route = show_route(&answer.route);
    if !TOLD.hit((hint, route.clone()), Instant::now()) {
        return;
    }
    let (origin, allowed) = match hint {
        Hint::Ended | Hint::NotHeld | Hint::Unanswered => (None, None),
        Hint::OtherOrigin | Hint::WithoutCredentials => (
            request.list(&ORIGIN).pop(),
            text(&answer.head.headers, &ACCESS_CONTROL_ALLOW_ORIGIN),
        ),
    };
    let (origin, allowed) = (origin.as_deref().map(cut), allowed.map(cut));
    tracing::info!(origin, allowed, route, "{}", hint.sentence());
}

impl Hint {
    /// `is_meant`: the answer is an instruct, or its route wants none.
    fn of(request: &Headers, head: &Parts, is_meant: bool) -> Option<Self> {
        let kind = text(&head.headers, &CONTENT_TYPE)?;
        let kind = kind.split(';').next().unwrap_or_default().trim();
        if head.status != StatusCode::OK || !kind.eq_ignore_ascii_case("text/event-stream") {
            return None;
        }
        if !is_meant {
            let has_end = head.headers.contains_key(CONTENT_LENGTH);
            return Some(if has_end { Self::Ended } else { Self::NotHeld });
        }
        // Browsers send `Origin` with such a `GET` only when the page has another.
        let origin = request.list(&ORIGIN).pop()?;
        let allowed = text(&head.headers, &ACCESS_CONTROL_ALLOW_ORIGIN);
        if allowed != Some("*") && allowed != Some(&*origin) {
            return Some(Self::OtherOrigin);
        }
        let allows = text(&head.headers, &ACCESS_CONTROL_ALLOW_CREDENTIALS) == Some("true");
        let has = !request.list(&COOKIE).is_empty();
        let is_enough = allows && allowed != Some("*");
        ((allows || has) && !is_enough).then_some(Self::WithoutCredentials)
    }

    fn sentence(self) -> &'static str {
        match self {
            Self::Ended => {
                "an event stream ended at once and was not held; its text says why \
                 (Django: has it a channel, and may this user read it?)"
            }
            Self::NotHeld => {
                "an event stream is not held by gripd: the backend streams it itself, and nothing \
                 that is published joins it (Django: is GripMiddleware in MIDDLEWARE, is GRIP_URL \
                 set, and is its key gripd's sig_key? If it is meant so: route option no_grip)"
            }
            Self::OtherOrigin => {
                "a browser will not show this event stream to the page that asked: the answer's \
                 Access-Control-Allow-Origin is not its origin (Django: EVENTSTREAM_ALLOW_ORIGIN)"
            }
            Self::WithoutCredentials => {
                "a browser will not show this event stream to a page that asks with credentials: \
                 the answer must name the origin and allow credentials \
                 (Django: EVENTSTREAM_ALLOW_ORIGIN, EVENTSTREAM_ALLOW_CREDENTIALS)"
            }
            Self::Unanswered => {
                "an event stream was asked for, and the backend has not begun to answer \
                 (Django under WSGI: is GripMiddleware in MIDDLEWARE, is GRIP_URL set, and is its \
                 key gripd's sig_key?)"
            }
        }
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// A backend that knows of gripd answers in milliseconds.
const LONG: Duration = Duration::from_secs(3);

/// Said already. Shared by all threads.
static TOLD: Each<(Hint, String)> = Each::new(Duration::from_mins(1));

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    const SSE: (&str, &str) = ("content-type", "Text/Event-Stream; charset=utf-8");
    const ANY: (&str, &str) = ("access-control-allow-origin", "*");
    const ONE: (&str, &str) = ("access-control-allow-origin", "http://a.test");
    const CREDENTIALS: (&str, &str) = ("access-control-allow-credentials", "true");
    const PAGE: (&str, &str) = ("origin", "http://a.test");
    const OTHER_PAGE: (&str, &str) = ("origin", "http://b.test");
    const LOGGED_IN: (&str, &str) = ("cookie", "sessionid=1");

    fn map(list: &[(&'static str, &'static str)]) -> HeaderMap {
        list.iter()
            .map(|&(name, value)| {
                (
                    HeaderName::from_static(name),
                    HeaderValue::from_static(value),
                )
            })
            .collect()
    }

    fn hint(
        request: &[(&'static str, &'static str)],
        answer: &[(&'static str, &'static str)],
        status: u16,
        is_meant: bool,
    ) -> Option<Hint> {
        let (mut head, ()) = http::Response::new(()).into_parts();
        head.status = StatusCode::from_u16(status).unwrap();
        head.headers = map(answer);
        Hint::of(&Headers::of(map(request)), &head, is_meant)
    }

    #[test]
    fn a_stream_without_hold_is_told_by_its_length() {
        let length = ("content-length", "117");
        assert_eq!(hint(&[], &[SSE], 200, false), Some(Hint::NotHeld));
        assert_eq!(hint(&[], &[SSE, length], 200, false), Some(Hint::Ended));
        assert_eq!(hint(&[], &[SSE], 200, true), None, "it is held");
        assert_eq!(hint(&[], &[SSE], 503, false), None, "clients see that");
        let html = ("content-type", "text/html");
        assert_eq!(hint(&[PAGE], &[html], 200, false), None);
        assert_eq!(hint(&[PAGE], &[], 200, false), None);
    }

    #[test]
    fn a_page_of_another_origin_must_be_allowed() {
        let table: [(&[_], &[_], _); 8] = [
            (&[], &[SSE], None),
            (&[PAGE], &[SSE], Some(Hint::OtherOrigin)),
            (&[OTHER_PAGE], &[SSE, ONE], Some(Hint::OtherOrigin)),
            (&[PAGE], &[SSE, ONE, CREDENTIALS], None),
            (&[PAGE], &[SSE, ANY], None),
            (
                &[PAGE],
                &[SSE, ANY, CREDENTIALS],
                Some(Hint::WithoutCredentials),
            ),
            (
                &[PAGE, LOGGED_IN],
                &[SSE, ANY],
                Some(Hint::WithoutCredentials),
            ),
            (
                &[PAGE, LOGGED_IN],
                &[SSE, ONE],
                Some(Hint::WithoutCredentials),
            ),
        ];
        for (request, answer, expected) in table {
            assert_eq!(
                hint(request, answer, 200, true),
                expected,
                "{request:?} {answer:?}"
            );
        }
    }
}
