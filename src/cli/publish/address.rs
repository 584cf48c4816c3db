//! Where items go: a GRIP URL, read as the GRIP client libraries read it. `iss` and `key` in its
//! query say how to prove who publishes; `verify-iss` and `verify-key` are for whoever checks
//! `Grip-Sig`, and so for nobody here. All four stay out of the request.

use std::{
    env,
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use url::{Url, form_urlencoded};

use super::{Options, error::Error};
use crate::grip::signature::Signer;

/// Where items go.
#[derive(Clone, Debug)]
pub(super) struct Address {
    /// The address to post to. `USER:PASS@` in it counts when nothing else shows who publishes.
    pub(super) url: Url,
    /// What shows who publishes.
    pub(super) auth: Option<Auth>,
}

/// What shows who publishes.
#[derive(Clone, Debug)]
pub(super) enum Auth {
    /// `USER:PASS`.
    Basic(String),
    /// A token that somebody gave.
    Bearer(String),
    /// A token made anew for each request.
    Jwt(Box<Signer>),
}

impl Address {
    /// The address the options name, else `GRIP_URL` in the environment, else the port of a gripd
    /// on this machine.
    ///
    /// # Errors
    /// It cannot be used; the sentence names who said it.
    pub(super) fn of(options: &Options) -> Result<Self, Error> {
        let mut address = match (&options.spec, env::var("GRIP_URL")) {
            (Some(spec), _) => Self::parse("--spec", spec)?,
            (None, Ok(url)) if !url.is_empty() => Self::parse("GRIP_URL", &url)?,
            (None, Err(env::VarError::NotUnicode(_))) => {
                return Err(Error::usage("GRIP_URL", "not UTF-8"));
            }
            (None, _) => Self::parse("GRIP_URL", DEFAULT)?,
        };
        let basic = options.user.clone().map(Auth::Basic);
        let bearer = options.bearer.clone().map(Auth::Bearer);
        address.auth = basic.or(bearer).or(address.auth);
        if address.auth.is_some() {
            address.url = without_user(address.url);
        }
        Ok(address)
    }

    fn parse(place: &str, text: &str) -> Result<Self, Error> {
        if let Some(other) = zeromq(text) {
            // Not the caller's usage: it is right for Pushpin.
            let why = format!(
                "{text} is a ZeroMQ address, and items are published over HTTP here: {place} must \
                 be the control port, such as {other}"
            );
            return Err(Error::failed(place, why));
        }
        let invalid = |why: &str| {
            Error::usage(place, format!("invalid URL{why}")).with(format!("allowed: {ALLOWED}"))
        };
        let mut url = Url::parse(text).map_err(|error| invalid(&format!(" ({error})")))?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(invalid(""));
        }
        let auth = take_auth(&mut url, place)?;
        let path = format!("{}/publish/", url.path().trim_end_matches('/'));
        url.set_path(&path);
        url.set_fragment(None);
        Ok(Self { url, auth })
    }

    /// The address as errors show it, without what may be secret.
    pub(super) fn shown(&self) -> String {
        let mut url = without_user(self.url.clone());
        url.set_query(None);
        url.into()
    }
}

impl Auth {
    /// The value of the `Authorization` header now.
    ///
    /// # Errors
    /// No token can be made.
    pub(super) fn header(&self) -> Result<String, Error> {
        Ok(match self {
            Self::Basic(user) => format!("Basic {}", STANDARD.encode(user)),
            Self::Bearer(token) => format!("Bearer {token}"),
            Self::Jwt(signer) => {
                let now = SystemTime::now()
                    .duration_since(UNIX_EPOCH)
                    .unwrap_or_default();
                let token = signer.sign(now.as_secs());
                let token = token.map_err(|error| Error::failed("the token", error.to_string()))?;
                format!("Bearer {token}")
            }
        })
    }
}

/// Takes out of a URL what says who publishes. A key without an issuer is a token itself.
fn take_auth(url: &mut Url, place: &str) -> Result<Option<Auth>, Error> {
    // The libraries do not take a plus for a blank: keys in base64 have it.
    let query = url.query().unwrap_or_default().replace('+', "%2B");
    let (mut iss, mut key) = (None, None);
    let mut rest = Vec::new();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        match &*name {
            "iss" if iss.is_none() => iss = Some(value.into_owned()),
            "key" if key.is_none() => key = Some(value.into_owned()),
            "iss" | "key" | "verify-iss" | "verify-key" => {}
            _ => rest.push((name.into_owned(), value.into_owned())),
        }
    }
    if rest.is_empty() {
        url.set_query(None);
    } else {
        url.query_pairs_mut().clear().extend_pairs(rest);
    }
    match (
        iss.filter(|iss| !iss.is_empty()),
        key.filter(|key| !key.is_empty()),
    ) {
        (Some(iss), Some(key)) => Signer::new(&iss, &key, Path::new("."))
            .map(|signer| signer.map(|signer| Auth::Jwt(Box::new(signer))))
            .map_err(|error| Error::usage(format!("{place}, key"), error.to_string())),
        (Some(_), None) => Err(Error::usage(place, "iss without key")),
        (None, Some(token)) => Ok(Some(Auth::Bearer(token))),
        (None, None) => Ok(None),
    }
}

fn without_user(mut url: Url) -> Url {
    // Both can be set: there is a host.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url
}

/// The control port to use instead, if this is an address of `ZeroMQ`'s.
fn zeromq(text: &str) -> Option<String> {
    let (scheme, rest) = text.split_once("://")?;
    let host = match &*scheme.to_ascii_lowercase() {
        "tcp" => rest.rsplit_once(':').map_or(rest, |(host, _)| host),
        "epgm" | "inproc" | "ipc" | "norm" | "pgm" | "udp" | "vmci" => "",
        _ => return None,
    };
    let host = match host {
        "" | "*" | "0.0.0.0" | "[::]" => "localhost",
        host => host,
    };
    Some(format!("http://{host}:5561"))
}

const DEFAULT: &str = "http://localhost:5561";
const ALLOWED: &str = "http://HOST:PORT or https://HOST, with a path if there is one, and with \
                       ?iss=ISSUER&key=KEY or ?key=TOKEN if the control port asks for it";
