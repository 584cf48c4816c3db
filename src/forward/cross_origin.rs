//! Requests of other sites' pages (setting `proxy.auto_cross_origin`, route options `aco` and
//! `jsonp_*`): what their answers need, and what a JSON-P request really asks for.

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Uri,
    header::{
        ACCEPT, ACCEPT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, EXPECT, HOST, TE, TRAILER,
        TRANSFER_ENCODING,
    },
    request,
};

use super::{Forwarder, Upload, headers::Upgrade};
use crate::{
    cross_origin::{
        call::{Call, Mode},
        cors::Cors,
        jsonp::{Asked, Fault, Names},
    },
    routes::grammar::Route,
};

/// What an answer needs so that the page that asked can read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CrossOrigin {
    /// It becomes a call of a function of the page.
    Call(Call),
    /// It gets headers.
    Cors(Cors),
}

/// What a query says as JSON-P, if it is one.
pub(super) type Said = Result<Option<Box<Stead>>, Fault>;

/// What is sent in the stead of a JSON-P request.
#[derive(Debug)]
pub(super) struct Stead {
    call: Call,
    method: Method,
    /// Of the target only the query is read.
    uri: Uri,
    /// The headers that the query asks for.
    headers: HeaderMap,
    body: Bytes,
}

impl CrossOrigin {
    /// The call that the answer becomes, if it is to become one.
    pub fn call(&self) -> Option<&Call> {
        match self {
            Self::Call(call) => Some(call),
            Self::Cors(_) => None,
        }
    }
}

impl Forwarder {
    /// May pages of other sites ask on this route?
    pub fn crosses_origins(&self, route: Option<&Route>) -> bool {
        let on_route = route.is_some_and(|route| route.auto_cross_origin);
        on_route || self.settings.proxy.auto_cross_origin
    }

    /// What the answer to a request needs. `route`: the route it took.
    pub fn dress(&self, head: &request::Parts, route: &Route) -> Option<Box<CrossOrigin>> {
        self.cross_origin(head, Some(route)).0
    }

    pub(super) fn cross_origin(
        &self,
        head: &request::Parts,
        route: Option<&Route>,
    ) -> (Option<Box<CrossOrigin>>, Said) {
        if !self.crosses_origins(route) {
            return (None, Ok(None));
        }
        let said = said(head, route, self.settings.limits.request_headers);
        let cross_origin = if let Ok(Some(stead)) = &said {
            CrossOrigin::Call(stead.call.clone())
        } else {
            let headers = head.headers.iter();
            let headers = headers.map(|(name, value)| (name.as_str(), value.as_bytes()));
            CrossOrigin::Cors(Cors::of(headers))
        };
        (Some(Box::new(cross_origin)), said)
    }
}

/// Is this a preflight, on a route that has gripd answer them?
pub(super) fn is_preflight(
    head: &request::Parts,
    route: Option<&Route>,
    cross_origin: Option<&CrossOrigin>,
) -> bool {
    let asked_for = route.is_some_and(|route| route.preflight);
    matches!(cross_origin, Some(CrossOrigin::Cors(cors))
        if asked_for && cors.is_preflight(head.method.as_str()))
}

/// `most`: headers that a request may have.
fn said(head: &request::Parts, route: Option<&Route>, most: usize) -> Said {
    let Some(query) = head.uri.query() else {
        return Ok(None);
    };
    if head.method != Method::GET || Upgrade::of(head).is_asked() {
        return Ok(None);
    }
    let own = route.map(|route| &route.jsonp);
    let names = Names {
        mode: own.map(|own| own.mode).unwrap_or_default(),
        callback: own
            .and_then(|own| own.callback.as_deref())
            .unwrap_or("callback"),
        body: own.and_then(|own| own.body.as_deref()),
        default_callback: own.and_then(|own| own.default_callback.as_deref()),
    };
    let Some(asked) = names.read(query)? else {
        return Ok(None);
    };
    let usual = own.and_then(|own| own.default_method.as_deref());
    let stead = Stead::new(asked, usual, most)?;
    Ok(Some(Box::new(stead)))
}

impl Stead {
    /// `usual`: the method where the query names none.
    fn new(asked: Asked, usual: Option<&str>, most: usize) -> Result<Self, Fault> {
        let method = match (asked.method.as_deref().or(usual), asked.call.mode()) {
            (Some(method), _) => method,
            (None, Mode::Basic) => "POST",
            (None, Mode::Extended) => "GET",
        };
        if asked.headers.len() > most {
            return Err(Fault::Headers);
        }
        Ok(Self {
            method: Method::from_bytes(method.as_bytes())
                .ok()
                .filter(may_be_asked)
                .ok_or(Fault::Method)?,
            uri: match &asked.query {
                // What is left of a sound target is one.
                Some(rest) => format!("/?{rest}").parse().map_err(|_| Fault::Callback)?,
                None => Uri::from_static("/"),
            },
            headers: own_headers(&asked)?,
            call: asked.call,
            body: asked.body.into(),
        })
    }

    /// Takes the place of the request.
    pub(super) fn stand_in(self, head: &mut request::Parts) -> Upload {
        head.method = self.method;
        head.uri = self.uri;
        let mut headers = self.headers.clone();
        if let Some(host) = head.headers.get(HOST) {
            headers.insert(HOST, host.clone());
        }
        headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
        for (name, value) in &head.headers {
            let is_replaced = self.headers.contains_key(name) || *name == HOST || *name == ACCEPT;
            if !is_replaced && !is_of_the_body(name) {
                headers.append(name.clone(), value.clone());
            }
        }
        head.headers = headers;
        Upload::of(&self.body)
    }
}

/// The headers that the query asks for.
fn own_headers(asked: &Asked) -> Result<HeaderMap, Fault> {
    let mut own = HeaderMap::new();
    for (name, value) in &asked.headers {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| Fault::Headers)?;
        let value = HeaderValue::from_str(value).map_err(|_| Fault::Headers)?;
        if !is_browsers(&name) {
            own.insert(name, value);
        }
    }
    if asked.json {
        own.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    Ok(own)
}

/// A page may not (Fetch standard, "forbidden method"): `TRACE` would tell it what only the browser
/// and gripd know, cookies and signatures.
fn may_be_asked(method: &Method) -> bool {
    let is = |name: &str| method.as_str().eq_ignore_ascii_case(name);
    !["CONNECT", "TRACE", "TRACK"].into_iter().any(is)
}

/// Is this about the body, or the answer's, which are both gripd's to frame? An encoded answer
/// could not be wrapped.
fn is_of_the_body(name: &HeaderName) -> bool {
    [
        ACCEPT_ENCODING,
        CONTENT_LENGTH,
        EXPECT,
        TE,
        TRAILER,
        TRANSFER_ENCODING,
    ]
    .contains(name)
}

/// Does only the browser say this, and never a page (Fetch standard, "forbidden request-header")?
/// A page that could would be taken for another one, or for the user. `Accept` is gripd's. Nor does
/// a page speak for the proxies on the way: of them and of GRIP the real headers tell.
fn is_browsers(name: &HeaderName) -> bool {
    // As applications read them that know names by CGI's rule.
    let name = name.as_str().replace('_', "-");
    matches!(
        &*name,
        "accept"
            | "accept-charset"
            | "accept-encoding"
            | "access-control-request-headers"
            | "access-control-request-method"
            | "access-control-request-private-network"
            | "connection"
            | "content-length"
            | "cookie"
            | "cookie2"
            | "cdn-loop"
            | "date"
            | "dnt"
            | "expect"
            | "forwarded"
            | "host"
            | "keep-alive"
            | "origin"
            | "pushpin-route"
            | "referer"
            | "set-cookie"
            | "te"
            | "trailer"
            | "transfer-encoding"
            | "upgrade"
            | "via"
            | "x-real-ip"
    ) || ["grip-", "proxy-", "sec-", "x-forwarded-"]
        .into_iter()
        .any(|prefix| name.starts_with(prefix))
}
