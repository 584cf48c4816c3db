//! A prepared request and the targets of its route: tried in their order, until one takes the
//! connection.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use http::request;

use super::{Answer, Asked, Cause, Forwarder, Upload, events::Events, prepare::Prepared, reply};
use crate::{
    routes::grammar::{Address, Route, Target},
    upstream::{self, Call, Claim, Error, Origin, Wait, Waits, Way, show_address},
};

impl Forwarder {
    /// Tries the targets in order, until one takes the connection. Of a route with `balance` those
    /// that have all they can take are passed over while another is left.
    pub(super) async fn targets(
        &self,
        route: &Arc<Route>,
        prepared: &Prepared,
        upload: &Upload,
    ) -> Result<Answer, (Option<usize>, Cause)> {
        let mut tried = Vec::new();
        let mut last = None;
        let mut absent = false;
        let mut passed_over = false;
        let order = self.common.health.order(route).into_iter();
        let mut queue: VecDeque<_> = order
            .map(|index| (index, route.balance.is_none()))
            .collect();
        while let Some((index, patient)) = queue.pop_front() {
            let target = &route.targets[index];
            let claim = match self.claim(route, target, patient).await {
                Ok(claim) => claim,
                Err(full) if patient => return Err((Some(index), full)),
                Err(_) => {
                    // One of them is waited for.
                    if !std::mem::replace(&mut passed_over, true) {
                        queue.push_back((index, true));
                    }
                    continue;
                }
            };
            let asking = self.target(route, index, prepared, upload, claim);
            let error = match asking.await {
                Ok(answer) => return Ok(answer),
                Err(Cause::Upstream(error)) if is_unreached(&error) => error,
                Err(cause) => return Err((Some(index), cause)),
            };
            tried.push(format!("{} ({error})", show_address(&target.address)));
            absent |= !matches!(error, Error::Tls(_));
            last = Some(error);
        }
        let cause = match (last, tried.len()) {
            (Some(error @ Error::Name(_)), 1) => Cause::Upstream(error),
            (last, _) => Cause::Connect {
                tried,
                slow: matches!(last, Some(Error::TimedOut(_))),
                absent,
            },
        };
        Err((None, cause))
    }

    /// Leave to use a target, where uses of it are counted.
    async fn claim(
        &self,
        route: &Route,
        target: &Target,
        patient: bool,
    ) -> Result<Option<Arc<Claim>>, Cause> {
        if !route.minds_targets() && target.max_connections.is_none() {
            return Ok(None);
        }
        let health = &self.common.health;
        match health.claim(target, patient).await {
            Some(claim) => Ok(Some(claim)),
            None => Err(Cause::Full {
                most: target.max_connections.unwrap_or_default(),
                after: health.wait(),
            }),
        }
    }

    /// One target's answer; what was asked is put in by the caller.
    pub(super) async fn target(
        &self,
        route: &Arc<Route>,
        index: usize,
        prepared: &Prepared,
        upload: &Upload,
        claim: Option<Arc<Claim>>,
    ) -> Result<Answer, Cause> {
        let target = &route.targets[index];
        let origin = Origin {
            route: route.clone(),
            target: index,
        };
        let (head, events) = prepared.outgoing(route, target, upload)?;
        let upload = match &events {
            Some(events) => Upload::of(&events.body),
            None => upload.clone(),
        };
        let reply = match &target.address {
            Address::Host(..) | Address::Unix(_) => {
                let call = Call {
                    pool: &self.pool,
                    resolver: &self.resolver,
                    tls: &self.common.tls,
                    way: Way::to(target, prepared.host(route, target)),
                    claim: claim.clone(),
                    upload: &upload,
                    upgrade: events.is_none() && prepared.upgrade.is_asked(),
                    spelling: events.is_some() || prepared.told,
                    waits: self.waits(route),
                    origin,
                };
                let again = || Some(prepared.outgoing(route, target, &upload).ok()?.0);
                let result = upstream::send(&call, head, again).await;
                self.note(claim.filter(|_| route.minds_targets()), &result);
                result?
            }
            Address::Zhttp(_) | Address::ZhttpReq(_) => return Err(ZHTTP),
            Address::Test | Address::Welcome => {
                self.built_in(route, target, prepared, &head, &upload).await
            }
        };
        let mut head = reply.head;
        let instruct = reply.instruct && prepared.obeys && events.is_none();
        reply::clean(&mut head, prepared.trailers).map_err(Error::Garbage)?;
        Ok(Answer {
            head,
            body: reply.body,
            route: route.clone(),
            target: index,
            instruct,
            events: events.is_some(),
            obeys: prepared.obeys,
            asked: Asked::default(),
            upgrade: reply.upgrade,
            debug: self.settings.proxy.debug || route.debug,
            url: None,
        })
    }

    /// A target that cannot be connected to rests.
    fn note(&self, claim: Option<Arc<Claim>>, result: &Result<upstream::Reply, Error>) {
        let Some(claim) = claim else { return };
        match result {
            Err(error) if is_unreached(error) => {
                claim.condition().failed(self.common.health.rest(), error);
            }
            _ => claim.condition().reached(),
        }
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
}

impl Prepared {
    /// The head for one target, and what it carries when it is a WebSocket's over HTTP.
    ///
    /// # Errors
    /// The target cannot be asked with this head.
    pub(super) fn outgoing(
        &self,
        route: &Route,
        target: &Target,
        upload: &Upload,
    ) -> Result<(request::Parts, Option<Events>), Cause> {
        let events = events(target, self)?;
        let head = match &events {
            Some(events) => self.events_head(events, route, target)?,
            None => self.own_head(route, target, upload)?,
        };
        Ok((head, events))
    }
}

/// What goes to this target over HTTP, if it is a WebSocket's and is spoken to in that way.
fn events(target: &Target, prepared: &Prepared) -> Result<Option<Events>, Cause> {
    if !prepared.upgrade.is_websocket() {
        return Ok(None);
    }
    let is_built_in = matches!(target.address, Address::Test | Address::Welcome);
    match &prepared.events {
        Some(events) if target.over_http || is_built_in => Ok(Some(events.clone())),
        Some(_) => {
            let why = "it is no longer a target with over_http".to_owned();
            Err(Error::Unreachable(why).into())
        }
        None if target.over_http || is_built_in => Ok(Some(Events::open())),
        None => Ok(None),
    }
}

/// Was nothing sent, so that the next target may be asked?
fn is_unreached(error: &Error) -> bool {
    match error {
        Error::Unreachable(_) | Error::Name(_) | Error::Tls(_) => true,
        Error::TimedOut(wait) => wait.what == "connecting to the backend",
        _ => false,
    }
}

/// Why a `zhttp` target is not asked.
pub(super) const ZHTTP: Cause = Cause::NotThere {
    feature: "a zhttp target",
};
