//! A prepared request and the targets of its route: tried in order, until one takes the connection.

use std::{sync::Arc, time::Duration};

use super::{Answer, Asked, Cause, Forwarder, Upload, events::Events, prepare::Prepared, reply};
use crate::{
    routes::grammar::{Address, Route, Target},
    upstream::{self, Call, Error, Origin, Wait, Waits, show_address},
};

impl Forwarder {
    /// Tries the targets in order, until one takes the connection.
    pub(super) async fn targets(
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
        if let Some(feature) = not_there(target) {
            return Err(Cause::NotThere { feature });
        }
        let origin = Origin {
            route: route.clone(),
            target: index,
        };
        let events = events(target, prepared)?;
        let (head, upload) = match &events {
            Some(events) => (
                prepared.events_head(events, route, target)?,
                Upload::of(&events.body),
            ),
            None => (prepared.own_head(route, target, upload)?, upload.clone()),
        };
        let reply = match &target.address {
            Address::Host(host, port) => {
                let call = Call {
                    pool: &self.pool,
                    resolver: &self.resolver,
                    host,
                    port: *port,
                    untrusted: target.untrusted,
                    upload: &upload,
                    upgrade: events.is_none() && prepared.upgrade.is_asked(),
                    spelling: events.is_some() || prepared.told,
                    waits: self.waits(route),
                    origin,
                };
                upstream::send(&call, head).await?
            }
            _ => self.built_in(route, target, prepared, &head, &upload).await,
        };
        let mut head = reply.head;
        reply::clean(&mut head, prepared.trailers).map_err(Error::Garbage)?;
        let instruct =
            prepared.obeys && reply.upgrade.is_none() && upstream::is_instruct(&head.headers);
        let instruct = instruct && events.is_none();
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

/// A part of gripd that is still to come and that this request needs.
fn not_there(target: &Target) -> Option<&'static str> {
    match &target.address {
        Address::Zhttp(_) | Address::ZhttpReq(_) => Some("a zhttp target"),
        _ if target.ssl => Some("TLS to the backend"),
        Address::Test | Address::Welcome | Address::Host(..) => None,
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
        Error::Unreachable(_) | Error::Name(_) => true,
        Error::TimedOut(wait) => wait.what == "connecting to the backend",
        _ => false,
    }
}
