//! Requests gripd makes by itself for a held client: next links, gone links, filters that ask the
//! backend. They carry what gripd says of itself and nothing of the client's.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method};
use tokio::time::timeout;
use url::{Host, Url};

use super::{
    Answer, Asked, Cause, Failure, Forwarder, Location, Upload, failure,
    headers::Headers,
    link::same_origin,
    note,
    place::{self, Place},
    prepare::Prepared,
};
use crate::{
    routes::{
        grammar::{Address, Route, Target},
        table::Query,
    },
    upstream::{Error, Wait},
};

/// Where a held client's request went: what requests for it start from.
#[derive(Clone, Debug)]
pub struct Home {
    /// The route taken.
    pub route: Arc<Route>,
    /// Index of the target that answered.
    pub target: usize,
    /// The address the client asked for.
    pub url: Location,
}

/// A request gripd makes by itself.
#[derive(Clone, Debug)]
pub struct Fetch {
    /// Its method.
    pub method: Method,
    /// Where it goes.
    pub url: Location,
    /// For whom.
    pub home: Home,
    /// The newest id of each channel, told as `Grip-Last`. Names are without the route's prefix.
    pub last: Vec<(String, String)>,
    /// Headers beside gripd's own.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Its body.
    pub body: Bytes,
    /// Until the answer's head is there, connecting included. `None`: the times of the route.
    pub timeout: Option<Duration>,
}

impl Fetch {
    /// A `GET`, as next links want it.
    pub fn get(home: &Home, url: Location) -> Self {
        Self {
            method: Method::GET,
            url,
            home: home.clone(),
            last: Vec::new(),
            headers: Vec::new(),
            body: Bytes::new(),
            timeout: None,
        }
    }

    /// A `POST`, as gone links (with an empty body) and filters want it.
    pub fn post(home: &Home, url: Location, body: Bytes) -> Self {
        Self {
            method: Method::POST,
            body,
            ..Self::get(home, url)
        }
    }

    /// Is it for the host that the client asked, which is gripd itself?
    pub(super) fn is_at_home(&self) -> bool {
        match (self.url.url(), self.home.url.url()) {
            (Ok(url), Ok(home)) => same_origin(&url, &home),
            _ => false,
        }
    }

    /// May it reach public addresses only, when it leaves home?
    pub(super) fn is_untrusted(&self) -> bool {
        let target = self.home.route.targets.get(self.home.target);
        target.is_some_and(|target| target.untrusted)
    }

    /// A route made for a host elsewhere, with the times and the name of the client's.
    fn abroad(&self, url: &Url) -> Route {
        let host = match url.host() {
            Some(Host::Domain(name)) => name.to_owned(),
            Some(Host::Ipv4(ip)) => ip.to_string(),
            Some(Host::Ipv6(ip)) => ip.to_string(),
            None => String::new(),
        };
        let port = url.port_or_known_default().unwrap_or_default();
        let target = Target {
            address: Address::Host(host, port),
            ssl: url.scheme() == "https",
            untrusted: self.is_untrusted(),
            ..Target::default()
        };
        Route {
            as_host: None,
            path_rem: 0,
            replace_beg: None,
            balance: None,
            check: None,
            targets: vec![target],
            ..(*self.home.route).clone()
        }
    }
}

impl Forwarder {
    /// Makes a request of gripd's own and returns its answer as soon as its head is there. What
    /// the answer says of GRIP is for the caller to read: it is no instruct for the client.
    ///
    /// # Errors
    /// A [`Failure`], which was logged.
    ///
    /// # Cancel safety
    /// Dropping the future, or the answer's body before its end, closes the backend's connection.
    pub async fn fetch(&self, fetch: &Fetch) -> Result<Answer, Failure> {
        let home = &fetch.home;
        let Ok(url) = fetch.url.url() else {
            // Every `Location` was read once already.
            let asked = Asked::default();
            return Err(self.fail(asked, Some(Arc::clone(&home.route)), None, Cause::BadPath));
        };
        let place = Place::at(&url);
        let at_home = fetch.is_at_home();
        let route = if at_home {
            self.inner_way(home, &url, &place)
        } else {
            Ok(Arc::new(fetch.abroad(&url)))
        };
        let route = match route {
            Ok(route) => route,
            Err(why) => {
                let host = failure::cut(&place.host).to_owned();
                let asked = place.asked(fetch.method.clone());
                return Err(self.fail(asked, None, None, Cause::NoRoute { host, why }));
            }
        };
        let mut headers = Headers::default();
        let signs = if at_home { &route } else { &home.route };
        if !signs.no_grip {
            self.announce(&mut headers, signs, &fetch.last);
        }
        for (name, value) in &fetch.headers {
            headers.append(name.clone(), value.clone());
        }
        let prepared = Prepared {
            uri: place::at(&place.rewritten(&route), url.query()),
            method: fetch.method.clone(),
            place,
            headers,
            ..Prepared::default()
        };
        let upload = Upload::of(&fetch.body);
        let targets = self.targets(&route, &prepared, &upload);
        let began = Instant::now();
        let result = match fetch.timeout {
            None => targets.await,
            Some(after) => match timeout(after, targets).await {
                Ok(result) => result,
                Err(_) => Err((None, too_slow(after))),
            },
        };
        note(&route, &result, began);
        let asked = prepared.place.asked(prepared.method);
        match result {
            Ok(answer) => Ok(Answer { asked, ..answer }),
            Err((target, cause)) => Err(self.fail(asked, Some(route), target, cause)),
        }
    }

    /// The route of a fetch for the host that the client asked: the client's own if it accepts the
    /// path, else the one that does. That host is never connected to: the client may have written
    /// anything there.
    fn inner_way(&self, home: &Home, url: &Url, place: &Place) -> Result<Arc<Route>, String> {
        if place.path.starts_with(&home.route.path_beg) {
            return Ok(Arc::clone(&home.route));
        }
        let query = Query {
            host: &place.host,
            path: &place.path,
            websocket: false,
            tls: url.scheme() == "https",
        };
        let table = self.routes.load();
        table.find(&query).ok_or_else(|| table.why_none(&query))
    }
}

fn too_slow(after: Duration) -> Cause {
    let wait = Wait {
        what: "the backend's answer",
        after,
        setting: "the limit of a request that gripd makes by itself",
    };
    Cause::Upstream(Error::TimedOut(wait))
}
