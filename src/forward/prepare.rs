//! A request made ready for its backend: everything that is the same for every target, and the head
//! for each.

use std::sync::Arc;

use http::{HeaderMap, HeaderValue, Method, Uri, Version, header, request};

use super::{
    Cause, Client, Events, Forwarder, Location, Upload, UploadError,
    forwarded::{addresses, element, protocol, rule, strip_claims},
    headers::{self, Framing, Headers, Upgrade},
    last,
    place::{self, Place},
    spelling::Spelling,
};
use crate::{
    config::Settings,
    grip,
    routes::grammar::{Route, Target},
};

/// How a client's request came.
pub(super) struct Manner {
    pub(super) upgrade: Upgrade,
    /// Does it count as TLS?
    pub(super) secure: bool,
    /// Is the client a proxy that speaks GRIP itself?
    pub(super) trusted: bool,
}

/// A request that a backend is to see.
pub(super) struct Admitted {
    pub(super) head: request::Parts,
    pub(super) upload: Upload,
    pub(super) place: Place,
    pub(super) manner: Manner,
    pub(super) route: Arc<Route>,
    /// As [`Prepared::told`].
    pub(super) told: bool,
}

/// A request as it will go out, but for the `Host` of each target.
#[derive(Clone, Default)]
pub(super) struct Prepared {
    pub(super) method: Method,
    pub(super) place: Place,
    /// Path and query for the backend. `None`: what the route makes of them cannot be sent.
    pub(super) uri: Option<Uri>,
    pub(super) headers: Headers,
    pub(super) spelling: Spelling,
    pub(super) upgrade: Upgrade,
    /// Did the client say that it reads trailers?
    pub(super) trailers: bool,
    /// Is the answer told by a script, names of headers and all?
    pub(super) told: bool,
    /// May the answer instruct gripd?
    pub(super) obeys: bool,
    /// The id of the client's connection.
    pub(super) connection: Option<HeaderValue>,
    /// What a WebSocket over HTTP has to say, once it is open.
    pub(super) events: Option<Events>,
}

impl Forwarder {
    /// Everything about the request that is the same for every target. The order of the steps is
    /// Pushpin's; what it changes shows in the order of the headers.
    pub(super) fn prepare(&self, admitted: Admitted, client: &Client<'_>) -> Prepared {
        let proxy = &self.settings.proxy;
        let Admitted {
            head,
            place,
            manner,
            route,
            told,
            ..
        } = admitted;
        let Manner {
            upgrade,
            secure,
            trusted,
        } = manner;
        let trailers = headers::accepts_trailers(&head.headers);
        let mut headers = Headers::of(head.headers);
        strip_claims(&mut headers, proxy, client.addr);
        headers.apply_route(&route.headers);
        // A trusted client has marked them already.
        if !(trusted && route.orig_headers) {
            headers.mark_originals(route.orig_headers, &proxy.orig_headers_need_mark);
        }
        headers.strip_hop_by_hop();
        if proxy.accept_pushpin_route {
            headers.remove(&PUSHPIN_ROUTE);
        }
        headers.add_to_cdn_loop(&proxy.cdn_loop);
        let obeys = !trusted && !route.no_grip;
        let id = client.connection.map(|id| id.to_string());
        let connection = id.and_then(|id| HeaderValue::try_from(id).ok());
        if !trusted {
            headers.strip_grip();
        }
        if obeys {
            self.announce(&mut headers, &route, client.last);
            if let Some(id) = &connection {
                headers.append(GRIP_CONNECTION, id.clone());
            }
        }
        protocol(&mut headers, proxy, secure, upgrade.is_websocket());
        addresses(&mut headers, rule(proxy, trusted), client.addr);
        if proxy.set_forwarded {
            element(&mut headers, &place.authority, secure, client.addr);
        }
        Prepared {
            uri: place.uri(&route, &head.uri),
            method: head.method,
            spelling: Spelling::new(head.extensions, client.head),
            place,
            headers,
            upgrade,
            trailers,
            told,
            obeys,
            connection,
            events: client.events.cloned(),
        }
    }

    /// Says that gripd asks: who signs, what it can do, and what the client has already. Nothing of
    /// these names is in the list: no `Grip-*` of a client's is left there.
    pub(super) fn announce(
        &self,
        headers: &mut Headers,
        route: &Arc<Route>,
        last: &[(String, String)],
    ) {
        if let Some(signature) = self.signatures.of(route, &self.settings) {
            headers.append(GRIP_SIG, signature);
        }
        headers.append(GRIP_FEATURE, FEATURES);
        for value in last::values(last) {
            headers.append(GRIP_LAST, value);
        }
    }
}

impl Prepared {
    /// The address the client asked for.
    pub(super) fn url(&self, secure: bool) -> Option<Location> {
        let place = &self.place;
        let query = self.uri.as_ref()?.query();
        Location::of(secure, &place.authority, &place.path, query)
    }

    /// The host, and its port if it has one, that a target is asked for.
    pub(super) fn host<'a>(&'a self, route: &'a Route, target: &'a Target) -> &'a str {
        let named = target.host.as_deref().or(route.as_host.as_deref());
        named.unwrap_or(&self.place.authority)
    }

    /// The head of the client's own request. A WebSocket's backend is offered the extension by which
    /// it may instruct gripd, beside what the client offers.
    ///
    /// # Errors
    /// As [`Prepared::head`].
    pub(super) fn own_head(
        &self,
        route: &Route,
        target: &Target,
        upload: &Upload,
    ) -> Result<request::Parts, Cause> {
        let mut head = self.head(route, target, upload)?;
        if self.obeys && self.upgrade.is_websocket() {
            offer_grip(&mut head.headers);
        }
        Ok(head)
    }

    /// The head for one target: `Host` first, the client's headers in their order, ours, framing.
    pub(super) fn head(
        &self,
        route: &Route,
        target: &Target,
        upload: &Upload,
    ) -> Result<request::Parts, Cause> {
        let named = self.host(route, target);
        let host = HeaderValue::try_from(place::host_header(named, target.ssl))
            .map_err(|_| Cause::BadHost)?;
        let uri = self.uri.clone().ok_or(Cause::BadPath)?;
        let (mut head, ()) = http::Request::new(()).into_parts();
        head.method = self.method.clone();
        head.uri = uri;
        head.version = Version::HTTP_11;
        let framing = Framing::of(&self.method, upload);
        head.headers = self
            .headers
            .build(host, framing, &self.upgrade, self.trailers);
        head.extensions = self.spelling.extensions();
        Ok(head)
    }
}

/// Offers `grip` behind what the client offers, all in one line: a request may have several
/// (RFC 6455 section 11.3.2), but there are servers, Daphne among them, that refuse the second.
fn offer_grip(headers: &mut HeaderMap) {
    let name = header::SEC_WEBSOCKET_EXTENSIONS;
    let lines = headers.get_all(&name).iter().map(HeaderValue::as_bytes);
    let lines = lines.filter(|line| !line.is_empty());
    let line = lines
        .chain([&b"grip"[..]])
        .collect::<Vec<_>>()
        .join(&b", "[..]);
    if let Ok(line) = HeaderValue::from_bytes(&line) {
        headers.insert(name, line);
    }
}

/// Lets a chunked body that has already come be sent with its length: many a backend cannot read
/// chunks.
pub(super) async fn upload_ready(head: &request::Parts, upload: &Upload) {
    if !upload.is_complete() && !head.headers.contains_key(header::CONTENT_LENGTH) {
        upload.prefetch().await;
    }
}

/// What is refused before any target is asked.
pub(super) fn refused(
    route: &Route,
    head: &request::Parts,
    upload: &Upload,
    settings: &Settings,
    trusted: bool,
) -> Option<Cause> {
    if head.method == Method::CONNECT {
        return Some(Cause::NotThere { feature: "CONNECT" });
    }
    let is_events = head
        .headers
        .get(header::CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .and_then(|kind| kind.split(';').next())
        .is_some_and(|kind| {
            kind.trim()
                .eq_ignore_ascii_case("application/websocket-events")
        });
    if is_events && !trusted && route.targets.iter().any(|target| target.over_http) {
        return Some(Cause::EventsNotAllowed);
    }
    let length = head
        .headers
        .get(header::CONTENT_LENGTH)?
        .to_str()
        .ok()?
        .parse::<u64>()
        .ok()?;
    let limit = settings.limits.request_body;
    (limit > 0 && length > limit && !upload.is_complete())
        .then(|| Cause::Upstream(UploadError::TooLarge { limit }.into()))
}

pub(super) const PUSHPIN_ROUTE: header::HeaderName =
    header::HeaderName::from_static("pushpin-route");
pub(super) const GRIP_SIG: header::HeaderName = header::HeaderName::from_static("grip-sig");
const GRIP_FEATURE: header::HeaderName = header::HeaderName::from_static("grip-feature");
const FEATURES: HeaderValue = HeaderValue::from_static(grip::FEATURES);
const GRIP_CONNECTION: header::HeaderName = header::HeaderName::from_static("grip-connection");
const GRIP_LAST: header::HeaderName = header::HeaderName::from_static("grip-last");
