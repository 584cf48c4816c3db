//! Settings: one typed tree that every source (built-in defaults, files, environment, flags) fills
//! and that everything else reads. Name, type, unit, default and meaning stand here and nowhere
//! else.

mod control;
mod draft;
mod fault;
mod find;
pub mod keys;
mod level;
mod listen;
mod load;
mod native;
mod pushpin_conf;
mod show;
mod value;

use std::{fmt, net::SocketAddr, path::PathBuf, time::Duration};

use ipnet::IpNet;

pub use self::{
    control::{Control, UnixSocket},
    fault::{Fault, Severity},
    listen::{Listen, Proxied, Tls},
    load::{ConfigError, Examined, Flags, Image, Loaded, examine, load},
    show::{Shown, quoted},
    value::{duration, size},
};

pub use crate::grip::overflow::OnOverflow;

/// Everything that can be set.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Worker threads, each with its own runtime and shard. 0: one per core the process may use.
    pub threads: usize,
    /// Where clients connect.
    pub listen: Listen,
    /// Certificates for clients.
    pub tls: Tls,
    /// The control port.
    pub control: Control,
    /// Where routes come from.
    pub routes: RouteSource,
    /// How requests are forwarded.
    pub proxy: Proxy,
    /// Signing and GRIP itself.
    pub grip: Grip,
    /// Most of everything: bytes, counts.
    pub limits: Limits,
    /// How long everything may take.
    pub timeouts: Timeouts,
    /// WebSockets.
    pub websocket: WebSocket,
    /// What is logged.
    pub log: Log,
    /// Ports of their own for metrics.
    pub metrics: Metrics,
}

/// Where routes come from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RouteSource {
    /// Lines given on the command line or in the settings; when there are any, no file is read.
    pub lines: Vec<String>,
    /// Who gave the lines: a flag, an environment variable or a key. Empty without lines.
    pub lines_from: String,
    /// The routes file.
    pub file: Option<PathBuf>,
    /// True when nobody configured anything: no settings file, no routes file, no lines. Then the
    /// welcome page is served.
    pub welcome: bool,
}

/// How requests are forwarded.
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent switches, each a key of its own"
)]
#[derive(Clone, Debug, Default)]
pub struct Proxy {
    /// Errors tell clients the cause.
    pub debug: bool,
    /// CORS and JSON-P on every route.
    pub auto_cross_origin: bool,
    /// Believe `X-Forwarded-Proto` of clients.
    pub accept_x_forwarded_protocol: bool,
    /// Tell backends the client's protocol when it is TLS.
    pub set_x_forwarded_protocol: SetForwardedProtocol,
    /// Where proxies in front of gripd are. When there are any, only what comes from them may say
    /// who the client is; the headers by which others say it are removed.
    pub trusted_proxies: Vec<IpNet>,
    /// Tell backends of the client in `Forwarded` (RFC 7239), too. Default false: it is passed on
    /// as it came.
    pub set_forwarded: bool,
    /// What becomes of `X-Forwarded-For`.
    pub x_forwarded_for: ForwardedFor,
    /// The same for trusted clients.
    pub x_forwarded_for_trusted: ForwardedFor,
    /// Headers that `orig_headers` does not mark.
    pub orig_headers_need_mark: Vec<String>,
    /// Obey `Pushpin-Route` of clients.
    pub accept_pushpin_route: bool,
    /// Added to `CDN-Loop`; empty: not added.
    pub cdn_loop: String,
    /// Certificates (PEM) of authorities that TLS backends may have beside the system's.
    pub ca_file: Option<PathBuf>,
}

/// `set_x_forwarded_protocol`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SetForwardedProtocol {
    /// Not set.
    #[default]
    Off,
    /// `X-Forwarded-Proto`.
    ProtoOnly,
    /// `X-Forwarded-Proto` and `X-Forwarded-Protocol`.
    Both,
}

/// An `X-Forwarded-For` rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ForwardedFor {
    /// Keep only this many of the last values; `None`: all.
    pub truncate: Option<usize>,
    /// Add the client's address.
    pub append: bool,
}

/// Signing and GRIP itself.
#[derive(Clone, Debug)]
pub struct Grip {
    /// Issuer of `Grip-Sig`. Default `pushpin`. Empty: nothing is signed.
    pub sig_iss: String,
    /// Key of `Grip-Sig`. Default `changeme` unless a file names one; empty: nothing is signed.
    pub sig_key: Secret,
    /// True while nobody named a key: gripd then says which one it uses.
    pub sig_key_is_default: bool,
    /// Folder that relative `file:` keys start from.
    pub key_dir: PathBuf,
    /// Key that marks requests of a proxy in front as trusted. Empty: nobody is trusted.
    pub upstream_key: Secret,
    /// Most channels of one request. Default 20. More are cut off.
    pub connection_subscription_max: usize,
    /// A long-poll's channels stay subscribed this long after it. Default 60 s.
    pub subscription_linger: Duration,
    /// How long an item waits for the one before it. Default 5 s.
    pub message_wait: Duration,
    /// How long an id is remembered, so that its second item is dropped. Default 60 s; 0: not.
    pub id_cache_ttl: Duration,
    /// Ask the backend again when a channel gets its first subscriber. Default true.
    pub update_on_first_subscription: bool,
    /// Items per second that may be published, one for each of an item's channels. Default 0: no
    /// limit. Faster publishers are held back, up to `timeouts.publish`, then refused.
    pub publish_rate: usize,
    /// Items that may come at once, while nothing else does. Default 1,000.
    pub publish_burst: usize,
    /// Recoveries that ask one backend at once. Default 64.
    pub recover_concurrency: usize,
    /// Recoveries that begin to ask one backend in a second. Default 1,000; 0: no limit.
    pub recover_rate: u32,
    /// Most random delay before a recovery that is not urgent. Default 200 ms.
    pub recover_jitter: Duration,
    /// The first pause after a link that failed; the next ones double. Default 1 s.
    pub link_backoff: Duration,
    /// How long after its first subscription a channel's subscribers ask again. Default 1 s.
    pub update_delay: Duration,
    /// What becomes of a client that leaves more unread than it may.
    pub overflow: OnOverflow,
}

/// Most of everything.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes of a client request's head. Default 64 KiB.
    pub request_head: usize,
    /// Bytes of a client request's target. Default 16 KiB, at most 65,534.
    pub request_target: usize,
    /// Headers of a client request. Default 128.
    pub request_headers: usize,
    /// Bytes of a backend response's head. Default 256 KiB.
    pub response_head: usize,
    /// Headers of a backend's response. Default 100: for more of them the HTTP library takes room
    /// from the heap, for each response.
    pub response_headers: usize,
    /// Bytes of a client's request body. Default: no limit (0).
    pub request_body: u64,
    /// Client connections at once. Default 0: what the open-file limit allows.
    pub connections: usize,
    /// Requests at once on one HTTP/2 connection, held ones with them. Default 128.
    pub streams: usize,
    /// Clients that wait for a backend at once (`timeouts.connect_wait`). Default 10,000. More get
    /// their 502 at once.
    pub connect_waiters: usize,
    /// Bytes waiting for one held connection. Default 1 MiB.
    pub connection_buffer: usize,
    /// Bytes published and not yet taken by every shard. Default 64 MiB.
    pub publish_buffer: usize,
    /// Bytes a client may send ahead while its request is held. Default 16 KiB.
    pub early_bytes: usize,
    /// Idle connections kept to one target, per thread. Default 64.
    pub idle_upstream: usize,
    /// Bytes of one WebSocket message of a client, and of those that wait for its backend. Default
    /// 200,000.
    pub websocket_message: usize,
    /// Bytes of a backend's answer to a WebSocket over HTTP, and of one message that a backend with
    /// GRIP sends itself. Default 1,000,000.
    pub websocket_answer: usize,
}

/// How long everything may take.
#[derive(Clone, Debug)]
pub struct Timeouts {
    /// Until a target accepts a connection. Default 10 s.
    pub connect: Duration,
    /// How long a client of event streams waits for a backend when none of its route's targets takes
    /// a connection: they are tried again and again. Default 10 s; 0: not at all.
    pub connect_wait: Duration,
    /// How long a request waits for a target that has its `max_connections`. Default 5 s.
    pub target_wait: Duration,
    /// How long a target that could not be connected to is asked last, on routes with `balance` or
    /// `check`. Default 10 s.
    pub target_rest: Duration,
    /// Between two active checks of a target (`check`), and the most that one may take. Default 5 s.
    pub target_check: Duration,
    /// Until a backend's response head is there. Default 1,800 s.
    pub response: Duration,
    /// Between two pieces of a backend's body, or of a client's. Default 1,800 s.
    pub idle: Duration,
    /// From a request's first byte to the end of its head. Default 30 s.
    pub request_head: Duration,
    /// Between two requests of a client's connection. Default 75 s.
    pub keep_alive: Duration,
    /// Idle connections to backends are closed after this. Default 55 s.
    pub idle_upstream: Duration,
    /// How long a held client may take nothing while data waits for it. Default 60 s.
    pub send: Duration,
    /// How long a publish waits for room, and for `grip.publish_rate`, before it is refused with
    /// 503. Default 5 s.
    pub publish: Duration,
    /// Until a peer that no longer answers counts as gone (`TCP_USER_TIMEOUT`). Default 60 s.
    pub peer_gone: Duration,
    /// How long running requests may take at shutdown, and over how long held ones are ended.
    /// Default 8 s.
    pub drain: Duration,
    /// About how long clients shall wait before they come back: those of event streams at shutdown
    /// (`retry:`), and whoever gets 502, 503 or 504 (`Retry-After`, in whole seconds). Each is told
    /// a time of its own, from half as long to half as long again. 0: none is told. Default 3 s.
    pub reconnect: Duration,
}

/// WebSockets.
#[derive(Clone, Debug)]
pub struct WebSocket {
    /// Compress messages for clients that offer it (permessage-deflate). Default true.
    pub compression: bool,
    /// Least seconds between two requests that only keep a connection over HTTP alive, whatever
    /// its backend asks for. Default 20 s.
    pub keep_alive_min: Duration,
}

/// What is logged.
#[derive(Clone, Debug)]
pub struct Log {
    /// Level, or a `tracing` filter. Default `info`.
    pub level: String,
    /// How a line is written.
    pub format: LogFormat,
    /// A line for each request and each end of a hold. Default true.
    pub access: bool,
    /// These lines name the client that `X-Forwarded-For` names.
    pub from: bool,
    /// These lines name the client's program.
    pub user_agent: bool,
    /// File; `None`: standard error.
    pub file: Option<PathBuf>,
    /// Folder in which `gripd.log` is written, where no file is named and this is possible.
    pub dir: Option<PathBuf>,
    /// Most lines that wait to be written; further ones are lost, and counted. Default 8,192.
    pub buffer: usize,
}

/// `log.format`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// A sentence with its fields.
    #[default]
    Text,
    /// An object.
    Json,
}

/// Ports of their own for metrics, as each of Pushpin's two programs has one.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    /// The first; `None`: there is none.
    pub proxy_port: Option<MetricsPort>,
    /// Stands on it before the names that Pushpin has, too.
    pub proxy_prefix: String,
    /// The second; `None`: there is none.
    pub handler_port: Option<MetricsPort>,
    /// As `proxy_prefix`.
    pub handler_prefix: String,
}

/// Where metrics are served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MetricsPort {
    /// An address.
    Tcp(SocketAddr),
    /// A unix socket.
    Unix(PathBuf),
}

/// Text that never shows in logs or `Debug`.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() {
            "Secret(empty)"
        } else {
            "Secret(***)"
        })
    }
}

impl Default for Grip {
    fn default() -> Self {
        Self {
            sig_iss: "pushpin".into(),
            sig_key: Secret("changeme".into()),
            sig_key_is_default: true,
            key_dir: PathBuf::from("."),
            upstream_key: Secret::default(),
            connection_subscription_max: 20,
            subscription_linger: Duration::from_mins(1),
            message_wait: Duration::from_secs(5),
            id_cache_ttl: Duration::from_mins(1),
            update_on_first_subscription: true,
            publish_rate: 0,
            publish_burst: 1000,
            recover_concurrency: 64,
            recover_rate: 1000,
            recover_jitter: Duration::from_millis(200),
            link_backoff: Duration::from_secs(1),
            update_delay: Duration::from_secs(1),
            overflow: OnOverflow::Auto,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            request_head: 64 << 10,
            request_target: 16 << 10,
            request_headers: 128,
            response_head: 256 << 10,
            response_headers: 100,
            request_body: 0,
            connections: 0,
            streams: 128,
            connect_waiters: 10_000,
            connection_buffer: 1 << 20,
            publish_buffer: 64 << 20,
            early_bytes: 16 << 10,
            idle_upstream: 64,
            websocket_message: 200_000,
            websocket_answer: 1_000_000,
        }
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            connect_wait: Duration::from_secs(10),
            target_wait: Duration::from_secs(5),
            target_rest: Duration::from_secs(10),
            target_check: Duration::from_secs(5),
            response: Duration::from_mins(30),
            idle: Duration::from_mins(30),
            request_head: Duration::from_secs(30),
            keep_alive: Duration::from_secs(75),
            idle_upstream: Duration::from_secs(55),
            send: Duration::from_mins(1),
            publish: Duration::from_secs(5),
            peer_gone: Duration::from_mins(1),
            drain: Duration::from_secs(8),
            reconnect: Duration::from_secs(3),
        }
    }
}

impl Default for WebSocket {
    fn default() -> Self {
        Self {
            compression: true,
            keep_alive_min: Duration::from_secs(20),
        }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self {
            level: "info".into(),
            format: LogFormat::Text,
            access: true,
            from: false,
            user_agent: false,
            file: None,
            dir: None,
            buffer: 8192,
        }
    }
}

fn both_families(loopback: bool, port: u16) -> Vec<SocketAddr> {
    use std::net::{Ipv4Addr, Ipv6Addr};
    if loopback {
        vec![
            (Ipv4Addr::LOCALHOST, port).into(),
            (Ipv6Addr::LOCALHOST, port).into(),
        ]
    } else {
        vec![
            (Ipv4Addr::UNSPECIFIED, port).into(),
            (Ipv6Addr::UNSPECIFIED, port).into(),
        ]
    }
}

#[cfg(test)]
mod tests;
