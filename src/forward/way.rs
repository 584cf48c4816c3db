//! The first step of a request: which route it takes, how it came, and whether it is meant for a
//! page of another site. Nothing is asked yet.

use std::{fmt, net::IpAddr, sync::Arc};

use http::{HeaderValue, Method, request};

use super::{
    Asked, Client, CrossOrigin, Forwarder,
    cross_origin::{self, Said},
    forwarded,
    headers::Upgrade,
    named,
    place::Place,
    prepare::{Manner, PUSHPIN_ROUTE},
};
use crate::routes::{
    grammar::Route,
    table::{IdMatch, Query},
    why::why_not_by_id,
};

/// The way of one request.
pub struct Way {
    pub(super) place: Place,
    pub(super) manner: Manner,
    /// The route, or why none fits.
    pub(super) route: Result<Arc<Route>, String>,
    /// What any answer to the request needs.
    pub cross_origin: Option<Box<CrossOrigin>>,
    /// What a JSON-P query says, or what is wrong with it.
    pub(super) said: Said,
    /// It is a preflight that gripd answers.
    pub preflight: bool,
}

impl Forwarder {
    /// Finds a request's way.
    pub fn way(&self, head: &request::Parts, client: &Client<'_>) -> Way {
        let place = Place::of(head);
        let manner = Manner {
            upgrade: Upgrade::of(head),
            secure: forwarded::is_secure(&self.settings.proxy, client, &head.headers),
            trusted: self.trust.covers(&head.headers),
        };
        let route = self.route(head, &place, &manner);
        let found = route.as_deref().ok();
        let (cross_origin, said) = self.cross_origin(head, found);
        Way {
            preflight: cross_origin::is_preflight(head, found, cross_origin.as_deref()),
            place,
            manner,
            route,
            cross_origin,
            said,
        }
    }

    /// The client that a request's `X-Forwarded-For` names, if that is believed: for the log.
    pub fn named_client(
        &self,
        head: &request::Parts,
        way: &Way,
        client: &Client<'_>,
    ) -> Option<IpAddr> {
        let proxy = &self.settings.proxy;
        let is_believed = forwarded::is_proxy(proxy, client.addr).unwrap_or(true);
        let rule = forwarded::rule(proxy, way.manner.trusted);
        named::client(&head.headers, rule).filter(|_| is_believed)
    }

    /// The route of a request: by id where clients may name one, else the best match; or why there
    /// is none.
    fn route(
        &self,
        head: &request::Parts,
        place: &Place,
        manner: &Manner,
    ) -> Result<Arc<Route>, String> {
        let table = self.routes.load();
        if let Some(id) = self.named(head) {
            let id = id.to_str().unwrap_or_default();
            return match table.by_id(id, &place.path) {
                IdMatch::Found(route) => Ok(route),
                none => Err(why_not_by_id(&none).to_owned()),
            };
        }
        let query = query(place, manner);
        table.find(&query).ok_or_else(|| table.why_none(&query))
    }

    /// The id of a route that the request names, where clients may.
    pub(super) fn named<'h>(&self, head: &'h request::Parts) -> Option<&'h HeaderValue> {
        let id = head.headers.get(PUSHPIN_ROUTE);
        id.filter(|id| self.settings.proxy.accept_pushpin_route && !id.is_empty())
    }
}

/// What a request looks like to the routes.
pub(super) fn query<'p>(place: &'p Place, manner: &Manner) -> Query<'p> {
    Query {
        host: &place.host,
        path: &place.path,
        websocket: manner.upgrade.is_websocket(),
        tls: manner.secure,
    }
}

impl Way {
    /// What was asked for, for the log.
    pub fn asked(&self, method: &Method) -> Asked {
        Asked {
            method: method.clone(),
            host: self.place.host.clone(),
            path: self.place.path.clone(),
        }
    }

    /// The route, if there is one.
    pub fn found(&self) -> Option<&Arc<Route>> {
        self.route.as_ref().ok()
    }
}

impl fmt::Debug for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Way")
            .field("place", &self.place)
            .field("cross_origin", &self.cross_origin)
            .finish_non_exhaustive()
    }
}
