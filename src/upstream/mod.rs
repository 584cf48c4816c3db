//! Connections to backends: names to addresses, a pool of connections per thread, one request and
//! its answer. Which route and which headers is decided in `forward`; here a request is bytes that
//! go to one target.
//!
//! Everything but [`TlsClient`] lives on one thread, inside a `LocalSet`. `zhttp` is not here.

mod body;
mod connect;
pub mod health;
mod heard;
mod pool;
mod resolve;
mod send;
mod stream;
mod test_socket;
pub mod test_target;
mod tls;
mod upload;
pub mod welcome;

use std::{sync::Arc, time::Duration};

pub use body::Body;
pub use health::{Claim, Health};
pub use heard::RawHead;
pub use pool::Pool;
pub use resolve::Resolver;
pub use send::{Call, Reply, is_instruct, send};
pub use tls::{TlsClient, TlsOptions};
pub use upload::{Upload, UploadError};

use crate::routes::grammar::{Address, Domain, Route, Target};

/// How a target is reached. Connections of equal ways may serve each other's requests, others never:
/// one made for another `Host` shows another certificate, and an `untrusted` target must not get
/// around its deny list.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Way {
    /// Where it is.
    address: Address,
    /// Is the deny list applied?
    untrusted: bool,
    /// With TLS?
    tls: Option<TlsOptions>,
}

impl Way {
    /// The way to a target, for requests with this `Host`.
    pub fn to(target: &Target, host: &str) -> Self {
        Self {
            address: target.address.clone(),
            untrusted: target.untrusted,
            tls: TlsOptions::of(target, host),
        }
    }

    /// Whose certificate is wanted, and the name that is asked for (SNI); `None`: there is no TLS.
    pub fn tls_name(&self) -> Option<&str> {
        self.tls.as_ref().map(TlsOptions::name)
    }
}

/// Why a backend gave no answer, or only a part of one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The target's addresses are all on the deny list of `untrusted`.
    #[error("the target's address is blocked")]
    Blocked,
    /// The connection ended before an answer began, or in its head.
    #[error("the backend closed the connection before it answered ({0})")]
    Closed(String),
    /// The body ended before its end.
    #[error("the backend's answer was cut short ({0})")]
    Cut(String),
    /// What came is not HTTP/1.
    #[error("the backend's answer is not valid HTTP ({0})")]
    Garbage(String),
    /// The target's name has no address.
    #[error("the name cannot be resolved ({0})")]
    Name(String),
    /// The backend speaks TLS and was spoken to in plain text.
    #[error(
        "the backend speaks TLS, but its target has no `ssl`: add `,ssl` to the target (`,ssl,insecure` \
         if it made its certificate itself)"
    )]
    SpeaksTls,
    /// No TLS came about with the target.
    #[error("{0}")]
    Tls(String),
    /// It took too long.
    #[error("{0}")]
    TimedOut(Wait),
    /// No address of the target took the connection.
    #[error("{0}")]
    Unreachable(String),
    /// The backend ended the connection while bytes of the request waited to be read, so that it
    /// cannot have acted on it. TCP tells that by a reset (RFC 9293 section 3.10.4, RFC 2525
    /// section 2.17); a server that is stopped does so to whoever waits to be accepted.
    #[error("the backend closed the connection before it read the request ({0})")]
    Unread(String),
    /// The client's request body could not be read to its end.
    #[error("{0}")]
    Upload(#[from] UploadError),
}

/// A wait that ended without what was waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} took longer than {after:?} ({setting})")]
pub struct Wait {
    /// What was waited for, as the start of a sentence.
    pub what: &'static str,
    /// How long.
    pub after: Duration,
    /// The setting or route option that says so.
    pub setting: &'static str,
}

/// The times of one request.
#[derive(Clone, Copy, Debug)]
pub struct Waits {
    /// Until the target accepts.
    pub connect: Wait,
    /// Until the answer's head is there.
    pub response: Wait,
    /// Between two pieces of the answer's body.
    pub idle: Wait,
}

/// Where an answer comes from; names it in logs.
#[derive(Clone, Debug)]
pub struct Origin {
    /// The route.
    pub route: Arc<Route>,
    /// Index of the target in it.
    pub target: usize,
}

impl Origin {
    /// The target as text: `host:port`, `[v6]:port`, `unix:/path`, `test`, `zhttp/BASE`.
    pub fn address(&self) -> String {
        show_backend(&self.route, self.target)
    }
}

/// A target of a route as text: `host:port`, `[v6]:port`, `test`, `zhttp/BASE`.
pub fn show_backend(route: &Route, target: usize) -> String {
    let target = route.targets.get(target);
    target.map_or_else(String::new, |target| show_address(&target.address))
}

/// Names a route in logs: its id, or what it is for.
pub fn show_route(route: &Route) -> String {
    match (&route.id, &route.domain) {
        (Some(id), _) => id.clone(),
        (None, Domain::Any) => format!("*{}", route.path_beg),
        (None, Domain::IdOnly) => String::new(),
        (None, Domain::Host(host)) => format!("{host}{}", route.path_beg),
    }
}

/// A target's address as a routes file writes it.
pub fn show_address(address: &Address) -> String {
    match address {
        Address::Host(host, port) if host.contains(':') => format!("[{host}]:{port}"),
        Address::Host(host, port) => format!("{host}:{port}"),
        Address::Test => "test".into(),
        Address::Unix(path) => format!("unix:{}", path.display()),
        Address::Welcome => "welcome".into(),
        Address::Zhttp(base) => format!("zhttp/{base}"),
        Address::ZhttpReq(base) => format!("zhttpreq/{base}"),
    }
}
