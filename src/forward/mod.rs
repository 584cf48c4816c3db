//! One request on its way to a backend, read as a list of steps in [`Forwarder::forward`]: route,
//! path, headers, signature, targets in order, and the answer made fit for the client. Used by
//! `front` for clients and by `hold` for what is asked again.
//!
//! Not here: TLS to backends, `zhttp`, WebSockets over HTTP, trusted clients.

mod built_in;
mod collect;
mod decode;
mod failure;
mod forwarded;
mod headers;
mod hint;
mod place;
mod reply;
mod sign;
#[cfg(test)]
mod tests;

use std::{net::IpAddr, sync::Arc, time::Duration};

use http::{HeaderValue, Method, Version, header, request, response};
use hyper::upgrade::OnUpgrade;

pub use crate::upstream::{Body, Error as BodyError, Upload, UploadError, show_route};
pub use collect::{Collected, collect};
pub use failure::{Asked, Cause, Failure, GENERIC};

use crate::{
    config::Settings,
    grip,
    routes::{
        grammar::{Address, Route, Target},
        table::{IdMatch, Query, Shared},
    },
    upstream::{
        self, Call, Error, Origin, Pool, Resolver, Wait, Waits, show_address, welcome::Welcome,
    },
};
use forwarded::forwarded;
use headers::{Framing, Headers, Upgrade};
use place::Place;
use sign::Signatures;

/// Brings requests to backends. One per thread, inside its `LocalSet`.
#[derive(Debug)]
pub struct Forwarder {
    settings: Arc<Settings>,
    routes: Shared,
    pool: Pool,
    resolver: Resolver,
    signatures: Signatures,
    welcome: Welcome,
}

/// Who asks.
#[derive(Clone, Copy, Debug, Default)]
pub struct Client {
    /// The client's address; `None` on a socket without one.
    pub addr: Option<IpAddr>,
    /// Did it come over TLS?
    pub secure: bool,
}

/// A backend's answer, fit for the client unless it is an instruct.
#[derive(Debug)]
pub struct Answer {
    /// Status, reason, headers without hop-by-hop ones; `Grip-*` are still there.
    pub head: response::Parts,
    /// The body.
    pub body: Body,
    /// The route taken.
    pub route: Arc<Route>,
    /// Index of the target that answered.
    pub target: usize,
    /// Must it be read as an instruct?
    pub instruct: bool,
    /// What the client asked for.
    pub asked: Asked,
    /// The connection, when client and backend leave HTTP (status 101).
    pub upgrade: Option<OnUpgrade>,
    /// May the client read why something goes wrong with this answer?
    pub debug: bool,
}

/// A request as it will go out, but for the `Host` of each target.
struct Prepared {
    method: Method,
    place: Place,
    /// Path and query for the backend.
    path: String,
    query: Option<String>,
    headers: Headers,
    extensions: http::Extensions,
    upgrade: Upgrade,
    /// Did the client say that it reads trailers?
    trailers: bool,
}

impl Forwarder {
    /// A forwarder with an empty pool. `welcome`: the built-in backend for when nothing is
    /// configured.
    pub fn new(settings: Arc<Settings>, routes: Shared, welcome: Welcome) -> Self {
        Self {
            pool: Pool::new(&settings),
            resolver: Resolver::default(),
            signatures: Signatures::default(),
            settings,
            routes,
            welcome,
        }
    }

    /// Brings one request to a backend and returns its answer as soon as its head is there.
    ///
    /// The request's body is read from `upload` while it is sent; it may still be going on when
    /// the answer is returned.
    ///
    /// # Errors
    /// A [`Failure`], which was logged. What the client may read is its sentence.
    ///
    /// # Cancel safety
    /// Dropping the future, or the answer's body before its end, closes the backend's connection.
    pub async fn forward(
        &self,
        head: request::Parts,
        upload: Upload,
        client: &Client,
    ) -> Result<Answer, Failure> {
        let place = Place::of(&head);
        let secure = forwarded::is_secure(&self.settings.proxy, client.secure, &head.headers);
        let upgrade = Upgrade::of(&head);
        let Some(route) = self.route(&head, &place, &upgrade, secure) else {
            let host = failure::cut(&place.host).to_owned();
            let asked = place.asked(head.method);
            return Err(self.fail(asked, None, None, Cause::NoRoute { host }));
        };
        self.bounds(&route, &upload);
        if let Some(cause) = refused(&route, &head, &upload, &self.settings) {
            return Err(self.fail(place.asked(head.method), Some(route), None, cause));
        }
        upload_ready(&head, &upload).await;
        let prepared = self.prepare(head, place, upgrade, &route, secure, client);
        let asking = self.targets(&route, &prepared, &upload);
        let result = hint::watch(&prepared.headers, &route, asking).await;
        let asked = prepared.place.asked(prepared.method);
        match result {
            Ok(answer) => {
                hint::tell(&prepared.headers, &answer);
                Ok(Answer { asked, ..answer })
            }
            Err((target, cause)) => Err(self.fail(asked, Some(route), target, cause)),
        }
    }

    /// The route of a request: by id where clients may name one, else the best match.
    fn route(
        &self,
        head: &request::Parts,
        place: &Place,
        upgrade: &Upgrade,
        tls: bool,
    ) -> Option<Arc<Route>> {
        let table = self.routes.load();
        let id = head
            .headers
            .get(PUSHPIN_ROUTE)
            .filter(|id| self.settings.proxy.accept_pushpin_route && !id.is_empty());
        if let Some(id) = id {
            return match table.by_id(id.to_str().ok()?, &place.path) {
                IdMatch::Found(route) => Some(route),
                IdMatch::OtherPath | IdMatch::Shared | IdMatch::Unknown => None,
            };
        }
        table.find(&Query {
            host: &place.host,
            path: &place.path,
            websocket: upgrade.is_websocket(),
            tls,
        })
    }

    fn bounds(&self, route: &Route, upload: &Upload) {
        let idle = route.timeouts.idle.unwrap_or(self.settings.timeouts.idle);
        upload.limit(idle, self.settings.limits.request_body);
    }

    /// Everything about the request that is the same for every target. The order of the steps is
    /// Pushpin's; what it changes shows in the order of the headers.
    fn prepare(
        &self,
        head: request::Parts,
        place: Place,
        upgrade: Upgrade,
        route: &Arc<Route>,
        secure: bool,
        client: &Client,
    ) -> Prepared {
        let proxy = &self.settings.proxy;
        let trailers = headers::accepts_trailers(&head.headers);
        let mut headers = Headers::of(&head.headers);
        headers.apply_route(&route.headers);
        headers.mark_originals(route.orig_headers, &proxy.orig_headers_need_mark);
        headers.strip_hop_by_hop();
        if proxy.accept_pushpin_route {
            headers.remove(PUSHPIN_ROUTE);
        }
        headers.add_to_cdn_loop(&proxy.cdn_loop);
        headers.strip_grip();
        if !route.no_grip {
            if let Some(signature) = self.signatures.of(route, &self.settings) {
                headers.push(GRIP_SIG, signature);
            }
            headers.push(GRIP_FEATURE, HeaderValue::from_static(grip::FEATURES));
        }
        forwarded(
            &mut headers,
            proxy,
            secure,
            upgrade.is_websocket(),
            client.addr,
        );
        Prepared {
            path: place.rewritten(route),
            query: head.uri.query().map(str::to_owned),
            method: head.method,
            extensions: head.extensions,
            place,
            headers,
            upgrade,
            trailers,
        }
    }

    /// Tries the targets in order, until one takes the connection.
    async fn targets(
        &self,
        route: &Arc<Route>,
        prepared: &Prepared,
        upload: &Upload,
    ) -> Result<Answer, (Option<usize>, Cause)> {
        let mut tried = Vec::new();
        let mut last = None;
        for (index, target) in route.targets.iter().enumerate() {
            let error = match self.target(route, index, target, prepared, upload).await {
                Ok(answer) => return Ok(answer),
                Err(Cause::Upstream(error)) if is_unreached(&error) => error,
                Err(cause) => return Err((Some(index), cause)),
            };
            tried.push(format!("{} ({error})", show_address(&target.address)));
            last = Some(error);
        }
        let cause = match (last, tried.len()) {
            (Some(error @ Error::Name(_)), 1) => Cause::Upstream(error),
            (last, _) => Cause::Connect {
                tried,
                slow: matches!(last, Some(Error::TimedOut(_))),
            },
        };
        Err((None, cause))
    }

    /// One target's answer; what was asked is put in by the caller.
    async fn target(
        &self,
        route: &Arc<Route>,
        index: usize,
        target: &Target,
        prepared: &Prepared,
        upload: &Upload,
    ) -> Result<Answer, Cause> {
        if let Some(feature) = not_there(target, &prepared.upgrade) {
            return Err(Cause::NotThere { feature });
        }
        let origin = Origin {
            route: route.clone(),
            target: index,
        };
        let reply = match &target.address {
            Address::Host(host, port) => {
                let call = Call {
                    pool: &self.pool,
                    resolver: &self.resolver,
                    host,
                    port: *port,
                    untrusted: target.untrusted,
                    upload,
                    upgrade: prepared.upgrade.is_asked(),
                    waits: self.waits(route),
                    origin,
                };
                let head = prepared.head(route, target, upload)?;
                upstream::send(&call, head).await?
            }
            _ => self.built_in(route, target, prepared, upload).await?,
        };
        let mut head = reply.head;
        reply::clean(&mut head, prepared.trailers).map_err(Error::Garbage)?;
        let instruct =
            !route.no_grip && reply.upgrade.is_none() && upstream::is_instruct(&head.headers);
        Ok(Answer {
            head,
            body: reply.body,
            route: route.clone(),
            target: index,
            instruct,
            asked: Asked::default(),
            upgrade: reply.upgrade,
            debug: self.settings.proxy.debug || route.debug,
        })
    }

    fn waits(&self, route: &Route) -> Waits {
        let (own, all) = (&route.timeouts, &self.settings.timeouts);
        let wait = |what, own: Option<Duration>, option, all, setting| match own {
            Some(after) => Wait {
                what,
                after,
                setting: option,
            },
            None => Wait {
                what,
                after: all,
                setting,
            },
        };
        Waits {
            connect: wait(
                "connecting to the backend",
                own.connect,
                "route option connect_timeout",
                all.connect,
                "timeouts.connect",
            ),
            response: wait(
                "the backend's answer",
                own.response,
                "route option response_timeout",
                all.response,
                "timeouts.response",
            ),
            idle: wait(
                "the next piece of the backend's answer",
                own.idle,
                "route option idle_timeout",
                all.idle,
                "timeouts.idle",
            ),
        }
    }

    /// A logged failure.
    fn fail(
        &self,
        asked: Asked,
        route: Option<Arc<Route>>,
        target: Option<usize>,
        cause: Cause,
    ) -> Failure {
        let debug = self.settings.proxy.debug || route.as_ref().is_some_and(|route| route.debug);
        let failure = Failure {
            cause,
            route,
            target,
            asked: Box::new(asked),
            debug,
        };
        failure.log();
        failure
    }

    /// How many connections to backends are idle and alive.
    #[cfg(test)]
    fn idle(&self) -> usize {
        self.pool.idle()
    }
}

impl Answer {
    /// The name of the target that answered.
    pub fn backend(&self) -> String {
        let origin = Origin {
            route: Arc::clone(&self.route),
            target: self.target,
        };
        origin.address()
    }
}

impl Prepared {
    /// The head for one target: `Host` first, the client's headers in their order, ours, framing.
    fn head(
        &self,
        route: &Route,
        target: &Target,
        upload: &Upload,
    ) -> Result<request::Parts, Cause> {
        let asked = [target.host.as_deref(), route.as_host.as_deref()];
        let named = asked
            .into_iter()
            .flatten()
            .next()
            .unwrap_or(&self.place.authority);
        let host = HeaderValue::from_str(&place::host_header(named, target.ssl))
            .map_err(|_| Cause::BadHost)?;
        let target = match &self.query {
            Some(query) => format!("{}?{query}", self.path),
            None => self.path.clone(),
        };
        let uri = target.parse().map_err(|_| Cause::BadPath)?;
        let (mut head, ()) = http::Request::new(()).into_parts();
        head.method = self.method.clone();
        head.uri = uri;
        head.version = Version::HTTP_11;
        let framing = Framing::of(&self.method, upload);
        head.headers = self
            .headers
            .build(host, framing, &self.upgrade, self.trailers);
        head.extensions = self.extensions.clone();
        Ok(head)
    }
}

/// Lets a chunked body that has already come be sent with its length: many a backend cannot read
/// chunks.
async fn upload_ready(head: &request::Parts, upload: &Upload) {
    if !upload.is_complete() && !head.headers.contains_key(header::CONTENT_LENGTH) {
        upload.prefetch().await;
    }
}

/// What is refused before any target is asked.
fn refused(
    route: &Route,
    head: &request::Parts,
    upload: &Upload,
    settings: &Settings,
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
    if is_events && route.targets.iter().any(|target| target.over_http) {
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

/// A part of gripd that is still to come and that this request needs.
fn not_there(target: &Target, upgrade: &Upgrade) -> Option<&'static str> {
    match &target.address {
        Address::Zhttp(_) | Address::ZhttpReq(_) => Some("a zhttp target"),
        _ if target.ssl => Some("TLS to the backend"),
        _ if target.over_http && upgrade.is_websocket() => Some("WebSocket over HTTP"),
        Address::Test | Address::Welcome if upgrade.is_websocket() => {
            Some("a WebSocket to the test target")
        }
        Address::Test | Address::Welcome | Address::Host(..) => None,
    }
}

/// Was nothing sent, so that the next target may be asked?
fn is_unreached(error: &Error) -> bool {
    match error {
        Error::Unreachable(_) | Error::Name(_) => true,
        Error::TimedOut(wait) => wait.what == "connecting to the backend",
        _ => false,
    }
}

const PUSHPIN_ROUTE: header::HeaderName = header::HeaderName::from_static("pushpin-route");
const GRIP_SIG: header::HeaderName = header::HeaderName::from_static("grip-sig");
const GRIP_FEATURE: header::HeaderName = header::HeaderName::from_static("grip-feature");
