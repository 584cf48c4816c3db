//! The first step of a request: which route it takes, how it came, and whether it is meant for a
//! page of another site. Nothing is asked yet.

use std::{fmt, sync::Arc};

use http::{HeaderValue, request};

use super::{
    Client, CrossOrigin, Forwarder,
    cross_origin::{self, Said},
    forwarded,
    headers::Upgrade,
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

impl fmt::Debug for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Way")
            .field("place", &self.place)
            .field("cross_origin", &self.cross_origin)
            .finish_non_exhaustive()
    }
}
