//! What would become of a request: the steps of [`Forwarder::forward`] up to where a backend would
//! be asked, told instead of done. Nobody is asked and no name is resolved.

use std::sync::Arc;

use bytes::Bytes;
use http::request;

use super::{
    Asked, Cause, Client, CrossOrigin, Failure, Forwarder, Upload, Way,
    prepare::{Admitted, Prepared},
    targets::ZHTTP,
    way::query,
};
use crate::{
    routes::{
        grammar::{Address, Route, Target},
        why::Misfit,
    },
    upstream,
};

/// What would become of a request.
#[derive(Debug)]
pub struct Explanation {
    /// What it asks for.
    pub asked: Asked,
    /// It asks for a WebSocket.
    pub websocket: bool,
    /// It counts as TLS.
    pub secure: bool,
    /// It comes from a proxy that speaks GRIP itself.
    pub trusted: bool,
    /// What its answer needs for a page of another site.
    pub cross_origin: Option<Box<CrossOrigin>>,
    /// The lines that were looked at, each with why it is not for the request. Empty when the
    /// request names its route by id.
    pub tried: Vec<(Arc<Route>, Option<Misfit>)>,
    /// The route it takes.
    pub route: Option<Arc<Route>>,
    /// What comes of it.
    pub outcome: Outcome,
}

/// What comes of a request.
#[derive(Debug)]
pub enum Outcome {
    /// The targets of its route are asked: what each would get, in their order, or why one gets
    /// nothing.
    Asks(Vec<Result<Outgoing, Cause>>),
    /// gripd answers it: it is a preflight.
    Preflight,
    /// No backend gets to see it.
    Refused(Failure),
}

/// A request as a target would get it.
#[derive(Debug)]
pub struct Outgoing {
    /// Its head.
    pub head: request::Parts,
    /// Its body, but for one that the client has still to send.
    pub body: Bytes,
    /// With TLS: whose certificate is wanted, and the name that is asked for (SNI).
    pub tls_name: Option<String>,
}

impl Outcome {
    /// Is there anybody to answer?
    pub fn is_served(&self) -> bool {
        match self {
            Self::Asks(requests) => requests.iter().any(Result::is_ok),
            Self::Preflight => true,
            Self::Refused(_) => false,
        }
    }
}

impl Forwarder {
    /// Tells what [`Forwarder::forward`] would do with a request, by the same steps.
    pub fn explain(
        &self,
        head: request::Parts,
        upload: Upload,
        client: &Client<'_>,
    ) -> Explanation {
        let way = self.way(&head, client);
        Explanation {
            asked: way.place.clone().asked(head.method.clone()),
            websocket: way.manner.upgrade.is_websocket(),
            secure: way.manner.secure,
            trusted: way.manner.trusted,
            cross_origin: way.cross_origin.clone(),
            tried: self.tried(&head, &way),
            route: way.route.as_ref().ok().cloned(),
            outcome: if way.preflight {
                Outcome::Preflight
            } else {
                match self.admit(head, upload, way) {
                    Ok(admitted) => Outcome::Asks(self.asks(admitted, client)),
                    Err(failure) => Outcome::Refused(failure),
                }
            },
        }
    }

    fn tried(&self, head: &request::Parts, way: &Way) -> Vec<(Arc<Route>, Option<Misfit>)> {
        if self.named(head).is_some() {
            return Vec::new();
        }
        let (table, query) = (self.routes.load(), query(&way.place, &way.manner));
        let tried = table.tried(&query);
        let tried = tried.map(|(route, misfit)| (Arc::clone(route), misfit));
        tried.collect()
    }

    fn asks(&self, admitted: Admitted, client: &Client<'_>) -> Vec<Result<Outgoing, Cause>> {
        let (route, upload) = (Arc::clone(&admitted.route), admitted.upload.clone());
        let prepared = self.prepare(admitted, client);
        let mut asks = Vec::new();
        for target in &route.targets {
            let ask = ask(&prepared, &route, target, &upload);
            // Where the line's order counts, nobody is asked behind it.
            let is_last = ask.is_err() && !route.minds_targets();
            asks.push(ask);
            if is_last {
                break;
            }
        }
        asks
    }
}

fn ask(
    prepared: &Prepared,
    route: &Route,
    target: &Target,
    upload: &Upload,
) -> Result<Outgoing, Cause> {
    if let Address::Zhttp(_) | Address::ZhttpReq(_) = target.address {
        return Err(ZHTTP);
    }
    let (head, events) = prepared.outgoing(route, target, upload)?;
    let way = upstream::Way::to(target, prepared.host(route, target));
    Ok(Outgoing {
        head,
        body: match events {
            Some(events) => events.body,
            None => upload.kept().unwrap_or_default(),
        },
        tls_name: way.tls_name().map(str::to_owned),
    })
}
