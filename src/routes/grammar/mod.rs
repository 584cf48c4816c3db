//! The grammar of a routes file's line, and the route it makes: Pushpin's, plus some options of
//! gripd's own.
//! Pure: a line goes in, a [`Route`] or a [`LineError`] comes out; files are `routes::table`'s.
//!
//! ```text
//! line    = *SP [ section *( 1*SP section ) ] *SP [ "#" anything ]
//! section = [ value ] *( "," name [ "=" text ] )    first: the condition; later ones: targets
//! ```
//!
//! A tab is an ordinary character. `"` quotes a run anywhere in a token; inside, only `\\` and
//! `\"` are escapes. When the first token of a section holds a `=`, the value is empty and the
//! token is an option. An option given twice: the last one counts.

mod condition;
mod line;
mod target;
mod token;

use std::{borrow::Cow, path::PathBuf, time::Duration};

use crate::{cross_origin::call::Mode, grip::overflow::OnOverflow};

pub use self::line::{LineError, Note, Parsed, masked, parse_line, quoted};

/// One line of the routes file: a condition, options, and the targets to try in order.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an option of its own"
)]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Route {
    /// Which hosts.
    pub domain: Domain,
    /// Only this kind of request; `None`: any.
    pub proto: Option<Proto>,
    /// Only requests with (or without) TLS; `None`: any.
    pub ssl: Option<bool>,
    /// Only paths that begin so (bytes of the encoded path); empty: any.
    pub path_beg: String,
    /// `id=`, if the line has one.
    pub id: Option<String>,
    /// `sig_iss=`.
    pub sig_iss: Option<String>,
    /// `sig_key=`, as written; read by whoever loads the table.
    pub sig_key: Option<String>,
    /// `prefix=`: put before every channel name.
    pub prefix: String,
    /// `orig_headers`.
    pub orig_headers: bool,
    /// `as_host=HOST[:PORT]`.
    pub as_host: Option<String>,
    /// `path_rem=N`: characters dropped from the front of the path.
    pub path_rem: usize,
    /// `replace_beg=TEXT`: put in the place of `path_beg`.
    pub replace_beg: Option<String>,
    /// `debug`: informative errors.
    pub debug: bool,
    /// `aco`: CORS and JSON-P.
    pub auto_cross_origin: bool,
    /// gripd's own: `aco_preflight`: preflights are answered here.
    pub preflight: bool,
    /// `jsonp_*`.
    pub jsonp: JsonP,
    /// `session`.
    pub session: bool,
    /// `sockjs=PREFIX`.
    pub sockjs: Option<String>,
    /// `sockjs_as_path=PATH`.
    pub sockjs_as_path: Option<String>,
    /// `header=Name:value`, in the order they are applied (the reverse of the line's).
    pub headers: Vec<(String, String)>,
    /// `no_grip`.
    pub no_grip: bool,
    /// `log_level=N`, 0 (error) to 4 (trace): at which level the lines about requests and holds
    /// are written.
    pub log_level: Option<i32>,
    /// gripd's own: `overflow=auto|close|latest|recover`; `None`: the setting's.
    pub overflow: Option<OnOverflow>,
    /// gripd's own: `balance=in-order|least-requests|round-robin`; `None`: in order, and a target that
    /// failed is asked first again.
    pub balance: Option<Balance>,
    /// gripd's own: `check=/path`, by which it is found out whether targets are up.
    pub check: Option<String>,
    /// gripd's own: `connect_timeout=SECONDS`, `response_timeout=SECONDS`, `idle_timeout=SECONDS`.
    pub timeouts: RouteTimeouts,
    /// Where requests go; the next is tried when one cannot be reached. At least one.
    pub targets: Vec<Target>,
}

/// Which hosts a route is for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Domain {
    /// `*`.
    #[default]
    Any,
    /// None: reachable by id only.
    IdOnly,
    /// Exactly this host, without port.
    Host(String),
}

/// Which of several targets is asked first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Balance {
    /// The first on the line.
    InOrder,
    /// The one with the fewest requests under way.
    LeastRequests,
    /// Each in its turn.
    RoundRobin,
}

/// Kind of client request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Proto {
    /// Plain HTTP.
    Http,
    /// WebSocket.
    WebSocket,
}

/// Timeouts of one route; `None`: the settings' own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RouteTimeouts {
    /// Until a target accepts the connection.
    pub connect: Option<Duration>,
    /// Until the backend's response head is there.
    pub response: Option<Duration>,
    /// Between two pieces of the backend's body.
    pub idle: Option<Duration>,
}

/// The JSON-P options.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JsonP {
    /// `jsonp_mode`.
    pub mode: Mode,
    /// `jsonp_cb`.
    pub callback: Option<String>,
    /// `jsonp_body`.
    pub body: Option<String>,
    /// `jsonp_defcb`.
    pub default_callback: Option<String>,
    /// `jsonp_defmethod`.
    pub default_method: Option<String>,
}

/// One address of a route with its options.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an option of its own"
)]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Target {
    /// Where it is.
    pub address: Address,
    /// `ssl`.
    pub ssl: bool,
    /// `untrusted`.
    pub untrusted: bool,
    /// `trust_connect_host`.
    pub trust_connect_host: bool,
    /// `insecure`.
    pub insecure: bool,
    /// `host=HOST[:PORT]`.
    pub host: Option<String>,
    /// `sub=CHANNEL`, in line order.
    pub subs: Vec<String>,
    /// `over_http`.
    pub over_http: bool,
    /// `one_event`.
    pub one_event: bool,
    /// `ipc_file_mode=OCTAL`.
    pub ipc_file_mode: Option<u32>,
    /// gripd's own: `max_connections=N`, requests and upgraded connections at once; `None`: no limit.
    pub max_connections: Option<u32>,
    /// `client_cert=FILE`.
    pub client_cert: Option<PathBuf>,
    /// `client_key=FILE`.
    pub client_key: Option<PathBuf>,
}

/// Where a target is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Address {
    /// `host:port`; the host is a name, an IPv4 address, or an IPv6 address without brackets.
    Host(String, u16),
    /// The built-in `test` backend.
    #[default]
    Test,
    /// `unix:/path`: a unix socket.
    Unix(PathBuf),
    /// The built-in welcome page. No line of a routes file can name it.
    Welcome,
    /// `zhttp/BASE`.
    Zhttp(String),
    /// `zhttpreq/BASE`.
    ZhttpReq(String),
}

impl Route {
    /// Does a target that fails rest?
    pub fn minds_targets(&self) -> bool {
        self.balance.is_some() || self.check.is_some()
    }

    /// The id under which `Pushpin-Route` and retries find this route: the line's own, or one
    /// made of its condition as Pushpin makes it (`DOMAIN,PROTO,TLS,PATH`, `*` where any).
    pub fn key(&self) -> Cow<'_, str> {
        if let Some(id) = &self.id {
            return Cow::Borrowed(id);
        }
        let domain = match &self.domain {
            Domain::Any | Domain::IdOnly => "*",
            Domain::Host(host) => host,
        };
        let proto = match self.proto {
            None => "*",
            Some(Proto::Http) => "http",
            Some(Proto::WebSocket) => "ws",
        };
        // Pushpin's two words are the wrong way round; whoever sends them learnt them so.
        let tls = match self.ssl {
            None => "*",
            Some(false) => "ssl",
            Some(true) => "no-ssl",
        };
        let path = if self.path_beg.is_empty() {
            "*"
        } else {
            &self.path_beg
        };
        Cow::Owned(format!("{domain},{proto},{tls},{path}"))
    }
}

#[cfg(test)]
mod tests;
