//! The active check of a route's targets (`check=/path`): each is asked for that path once in
//! `timeouts.target_check`, and rests while it does not answer with a status below 400.

use std::{rc::Rc, sync::Arc};

use http::{HeaderValue, Method, header};
use tokio::{
    task::spawn_local,
    time::{sleep, timeout},
};

use super::{
    Cause, Forwarder, Upload,
    headers::Headers,
    place::{self, Place},
    prepare::Prepared,
};
use crate::{
    routes::grammar::{Address, Domain, Route},
    upstream::show_address,
};

impl Forwarder {
    /// Checks the targets of all routes that want it, for ever. One core does it for all.
    pub async fn keep_checking(self: Rc<Self>) {
        loop {
            for route in self.routes.load().routes() {
                if let Some(path) = &route.check {
                    self.check_route(route, path);
                }
            }
            sleep(self.settings.timeouts.target_check).await;
        }
    }

    /// Asks all targets at once, so that a slow one holds up no other.
    fn check_route(self: &Rc<Self>, route: &Arc<Route>, path: &str) {
        for index in 0..route.targets.len() {
            let (this, route, path) = (Rc::clone(self), Arc::clone(route), path.to_owned());
            spawn_local(async move {
                let condition = this.common.health.condition(&route.targets[index]);
                let found = this.check(&route, index, path).await;
                condition.checked(found, this.settings.timeouts.target_check * 3);
            });
        }
    }

    async fn check(&self, route: &Arc<Route>, index: usize, path: String) -> Result<(), String> {
        let mut headers = Headers::default();
        headers.push(header::USER_AGENT, HeaderValue::from_static("gripd"));
        let prepared = Prepared {
            method: Method::GET,
            uri: place::at(&path, None),
            place: Place::named(host(route, index)),
            headers,
            ..Prepared::default()
        };
        let after = self.settings.timeouts.target_check;
        let upload = Upload::empty();
        let asking = self.target(route, index, &prepared, &upload, None);
        match timeout(after, Box::pin(asking)).await {
            Ok(Ok(answer)) if answer.head.status.as_u16() < 400 => Ok(()),
            Ok(Ok(answer)) => Err(format!("its check got {}", answer.head.status)),
            Ok(Err(Cause::Upstream(error))) => Err(error.to_string()),
            Ok(Err(cause)) => Err(cause.to_string()),
            Err(_) => Err(format!(
                "its check took longer than {after:?} (timeouts.target_check)"
            )),
        }
    }
}

/// The host a check asks for when neither route nor target names one.
fn host(route: &Route, index: usize) -> String {
    match (&route.domain, &route.targets[index].address) {
        (Domain::Host(host), _) => host.clone(),
        (_, address @ Address::Host(..)) => show_address(address),
        _ => "localhost".into(),
    }
}
