//! A prepared request and the targets of its route: tried in order, until one takes the connection.

use std::{sync::Arc, time::Duration};

use super::{Answer, Asked, Cause, Forwarder, Upload, headers::Upgrade, prepare::Prepared, reply};
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
            prepared.obeys && reply.upgrade.is_none() && upstream::is_instruct(&head.headers);
        Ok(Answer {
            head,
            body: reply.body,
            route: route.clone(),
            target: index,
            instruct,
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
