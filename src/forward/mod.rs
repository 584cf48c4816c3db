//! One request on its way to a backend, read as a list of steps in [`Forwarder::forward`]: route,
//! path, headers, signature, targets in order, and the answer made fit for the client. Used by
//! `front` for clients and by `hold` for what is asked again, which is [`Forwarder::fetch`].
//!
//! Not here: `zhttp`, and what a WebSocket over HTTP has to say.

mod budget;
mod built_in;
mod check;
mod collect;
mod cross_origin;
mod decode;
mod events;
pub mod explain;
mod failure;
mod fetch;
mod forwarded;
mod headers;
mod hint;
mod last;
mod link;
mod named;
mod place;
mod prepare;
mod reply;
mod share;
mod sign;
mod spelling;
mod targets;
#[cfg(test)]
mod tests;
mod trust;
mod wait;
mod way;

use std::{net::IpAddr, pin::pin, sync::Arc, time::Instant};

use bytes::Bytes;
use http::{request, response};
use hyper::upgrade::OnUpgrade;

pub use crate::routes::grammar::Route;
pub use crate::upstream::{
    Body, Error as BodyError, Upload, UploadError, show_backend, show_route,
};
pub use budget::{Budget, Permit, Priority};
pub use collect::{Collected, collect, fields};
pub use cross_origin::CrossOrigin;
pub use events::Events;
pub use failure::{Asked, Cause, Failure, GENERIC, cut};
pub use fetch::{Fetch, Home};
pub use link::{BadUrl, Location};
pub use share::Fetched;
pub use way::Way;

use crate::{
    config::Settings,
    grip::connection::ConnectionId,
    routes::table::Shared,
    telemetry::counters,
    upstream::{Health, Pool, Resolver, TlsClient, welcome::Welcome},
};
use prepare::{Admitted, Prepared, refused, upload_ready};
use share::Shares;
use sign::Signatures;
use trust::Trust;
use wait::Waiters;

/// Brings requests to backends. One per thread, inside its `LocalSet`.
#[derive(Debug)]
pub struct Forwarder {
    settings: Arc<Settings>,
    routes: Shared,
    pool: Pool,
    resolver: Resolver,
    signatures: Signatures,
    trust: Trust,
    common: Arc<Common>,
    welcome: Welcome,
}

/// What the forwarders of all threads share.
#[derive(Debug)]
pub struct Common {
    shares: Shares,
    budget: Budget,
    tls: Arc<TlsClient>,
    health: Health,
    waiters: Waiters,
}

/// Who asks.
#[derive(Clone, Copy, Debug, Default)]
pub struct Client<'a> {
    /// The client's address; `None` on a socket without one.
    pub addr: Option<IpAddr>,
    /// Did it come over TLS?
    pub secure: bool,
    /// When the request is made again: the newest id of each channel, told as `Grip-Last`. Names
    /// are without the route's prefix.
    pub last: &'a [(String, String)],
    /// By which a publisher can have the connection closed: told as `Grip-Connection`.
    pub connection: Option<ConnectionId>,
    /// The request's head as it came, if it is there: for what the HTTP library does not tell of it.
    pub head: Option<&'a Bytes>,
    /// What a WebSocket over HTTP has to say; `None`: this is the client's own request.
    pub events: Option<&'a Events>,
}

/// A backend's answer, fit for the client unless it is an instruct.
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts of one answer"
)]
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
    /// Does it answer a WebSocket's request over HTTP?
    pub events: bool,
    /// May it instruct gripd at all?
    pub obeys: bool,
    /// What the client asked for.
    pub asked: Asked,
    /// The connection, when client and backend leave HTTP (status 101).
    pub upgrade: Option<OnUpgrade>,
    /// May the client read why something goes wrong with this answer?
    pub debug: bool,
    /// The address the client asked for, when this is an instruct.
    url: Option<Location>,
}

impl Common {
    /// Nothing is under way yet.
    pub fn new(settings: &Settings) -> Arc<Self> {
        Arc::new(Self {
            shares: Shares::default(),
            budget: Budget::new(&settings.grip),
            tls: TlsClient::new(settings.proxy.ca_file.clone()),
            health: Health::new(&settings.timeouts),
            waiters: Waiters::new(settings),
        })
    }

    /// Lets those go who wait for a backend to come up: gripd stops.
    pub fn stop_waiting(&self) {
        self.waiters.end();
    }
}

impl Forwarder {
    /// A forwarder with an empty pool. `welcome`: the built-in backend for when nothing is
    /// configured.
    pub fn new(
        settings: Arc<Settings>,
        routes: Shared,
        common: Arc<Common>,
        welcome: Welcome,
    ) -> Self {
        Self {
            pool: Pool::new(&settings),
            resolver: Resolver::default(),
            signatures: Signatures::default(),
            trust: Trust::new(&settings.grip),
            settings,
            routes,
            common,
            welcome,
        }
    }

    /// Brings one request on its way to a backend and returns its answer as soon as its head is
    /// there.
    ///
    /// The request's body is read from `upload` while it is sent; it may still be going on when
    /// the answer is returned. A JSON-P request has said in its query what is sent instead.
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
        way: Way,
        client: &Client<'_>,
    ) -> Result<Answer, Failure> {
        let admitted = self.admit(head, upload, way)?;
        upload_ready(&admitted.head, &admitted.upload).await;
        let secure = admitted.manner.secure;
        let (route, upload) = (Arc::clone(&admitted.route), admitted.upload.clone());
        let prepared = self.prepare(admitted, client);
        let result = self.patiently(&route, &prepared, &upload).await;
        let url = match &result {
            Ok(answer) if answer.instruct || answer.events || answer.upgrade.is_some() => {
                prepared.url(secure)
            }
            _ => None,
        };
        let asked = prepared.place.asked(prepared.method);
        match result {
            Ok(answer) => {
                hint::tell(&prepared.headers, &answer);
                Ok(Answer {
                    asked,
                    url,
                    ..answer
                })
            }
            Err((target, cause)) => Err(self.fail(asked, Some(route), target, cause)),
        }
    }

    /// Asks the targets of a route, once.
    async fn ask(
        &self,
        route: &Arc<Route>,
        prepared: &Prepared,
        upload: &Upload,
    ) -> Result<Answer, (Option<usize>, Cause)> {
        // By reference: by value the watch would have room for it three times.
        let asking = pin!(self.targets(route, prepared, upload));
        let began = Instant::now();
        let result = hint::watch(&prepared.headers, route, asking).await;
        note(route, &result, began);
        result
    }

    /// Refuses what no backend is to see. A JSON-P request becomes what its query says.
    fn admit(
        &self,
        mut head: request::Parts,
        mut upload: Upload,
        way: Way,
    ) -> Result<Admitted, Failure> {
        let Way {
            place,
            manner,
            route,
            cross_origin,
            said,
            ..
        } = way;
        match said {
            Err(fault) => {
                let asked = place.asked(head.method);
                return Err(self.fail(asked, route.ok(), None, Cause::JsonP(fault)));
            }
            Ok(Some(stead)) => upload = stead.stand_in(&mut head),
            Ok(None) => {}
        }
        let route = match route {
            Ok(route) => route,
            Err(why) => {
                let host = cut(&place.host).to_owned();
                let asked = place.asked(head.method);
                return Err(self.fail(asked, None, None, Cause::NoRoute { host, why }));
            }
        };
        self.bounds(&route, &upload);
        if let Some(cause) = refused(&route, &head, &upload, &self.settings, manner.trusted) {
            return Err(self.fail(place.asked(head.method), Some(route), None, cause));
        }
        Ok(Admitted {
            told: cross_origin.is_some_and(|cross_origin| cross_origin.call().is_some()),
            head,
            upload,
            place,
            manner,
            route,
        })
    }

    /// How much backends are asked again.
    pub fn budget(&self) -> &Budget {
        &self.common.budget
    }

    fn bounds(&self, route: &Route, upload: &Upload) {
        let idle = route.timeouts.idle.unwrap_or(self.settings.timeouts.idle);
        upload.limit(idle, self.settings.limits.request_body);
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

/// Notes how long the backends of a route took, if they gave an answer.
fn note<E>(route: &Route, result: &Result<Answer, E>, began: Instant) {
    if result.is_ok() {
        counters::answered(&show_route(route), began.elapsed());
    }
}

impl Answer {
    /// What requests for this client start from, once it is held. `None`: this is no instruct, or
    /// the client named a host that makes no URL, so that no link can be followed.
    pub fn home(&self) -> Option<Home> {
        Some(Home {
            route: Arc::clone(&self.route),
            target: self.target,
            url: self.url.clone()?,
        })
    }
}
