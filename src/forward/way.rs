//! The first step of a request: which route it takes, how it came, and whether it is meant for a
//! page of another site. Nothing is asked yet.

use std::{fmt, sync::Arc};

use http::request;

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
};

/// The way of one request.
pub struct Way {
    pub(super) place: Place,
    pub(super) manner: Manner,
    /// The route, if one fits.
    pub(super) route: Option<Arc<Route>>,
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
            secure: forwarded::is_secure(&self.settings.proxy, client.secure, &head.headers),
            trusted: self.trust.covers(&head.headers),
        };
        let route = self.route(head, &place, &manner);
        let (cross_origin, said) = self.cross_origin(head, route.as_deref());
        Way {
            preflight: cross_origin::is_preflight(head, route.as_deref(), cross_origin.as_deref()),
            place,
            manner,
            route,
            cross_origin,
            said,
        }
    }

    /// The route of a request: by id where clients may name one, else the best match.
    fn route(&self, head: &request::Parts, place: &Place, manner: &Manner) -> Option<Arc<Route>> {
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
            websocket: manner.upgrade.is_websocket(),
            tls: manner.secure,
        })
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
