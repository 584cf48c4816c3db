//! The settings, one by one.

use std::time::Duration;

use super::{Key, Slot, key};

const MS: Duration = Duration::from_millis(1);
/// A week: far above any sensible timeout, far below what a timer can hold.
const WEEK: Duration = Duration::from_hours(7 * 24);
const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;
const GIB: usize = 1 << 30;
/// The longest target the HTTP library (`http::Uri`) can hold.
const LONGEST_TARGET: usize = (u16::MAX - 1) as usize;
const MANY: usize = 100_000_000;

/// Every key, section by section.
pub const KEYS: &[Key] = &[
    key(
        "",
        "threads",
        Slot::Count(|s| &mut s.threads, 0, 1024),
        "worker threads; 0: one for each core the process may use",
    ),
    key(
        "listen",
        "http",
        Slot::Addresses(|s| &mut s.listen.http, |s| &mut s.listen.http_is_default),
        "addresses for clients, [ADDR:]PORT; a bare port: every address of this machine",
    )
    .flags(&["--port"]),
    key(
        "listen",
        "backlog",
        Slot::Small(|s| &mut s.listen.backlog, 1, 65_535),
        "connections the kernel queues before they are accepted",
    ),
    key(
        "control",
        "http",
        Slot::Control(|s| &mut s.control),
        "addresses of the control port, [ADDR:]PORT; a bare port: this machine only; or unix:PATH, \
         with ?mode=OCTAL&user=NAME&group=NAME; empty: none",
    )
    .flags(&["--control"]),
    key(
        "control",
        "token",
        Slot::Secret(|s| &mut s.control.token),
        "what publishers send as Authorization: Bearer; text or file:...; empty: not taken",
    ),
    key(
        "control",
        "jwt_iss",
        Slot::Text(|s| &mut s.control.jwt_iss),
        "issuer of the JWTs that publishers may send instead, as GRIP_URL with iss and key does",
    ),
    key(
        "control",
        "jwt_key",
        Slot::Secret(|s| &mut s.control.jwt_key),
        "key that verifies them: text, base64:... or file:... (hex, or a PEM public key)",
    ),
    key(
        "control",
        "user",
        Slot::Text(|s| &mut s.control.user),
        "name that publishers may send instead, with password (basic authentication)",
    ),
    key(
        "control",
        "password",
        Slot::Secret(|s| &mut s.control.password),
        "password of user; text or file:...",
    ),
    key(
        "control",
        "public_metrics",
        Slot::Bool(|s| &mut s.control.public_metrics),
        "GET /metrics needs no token or password; the health checks never do",
    ),
    key(
        "control",
        "insecure",
        Slot::Bool(|s| &mut s.control.insecure),
        "let other machines reach a control port without token, JWT or password",
    )
    .flags(&["--control-insecure"]),
    key(
        "control",
        "tls_cert",
        Slot::File(|s| &mut s.control.tls_cert),
        "certificates (PEM, the own first): every address of http speaks TLS; read again on change",
    ),
    key(
        "control",
        "tls_key",
        Slot::File(|s| &mut s.control.tls_key),
        "private key (PEM) of the first certificate",
    ),
    key(
        "control",
        "hosts",
        Slot::Words(|s| &mut s.control.hosts),
        "names, beside loopback and addresses, by which the control port may be asked",
    ),
    key(
        "control",
        "private_hosts",
        Slot::Bool(|s| &mut s.control.private_hosts),
        "also any name without a dot or below .internal, .local; in the container image: true",
    ),
    key(
        "control",
        "max_head",
        Slot::Bytes(|s| &mut s.control.max_head, KIB, MIB),
        "most bytes of a control request's head",
    ),
    key(
        "control",
        "max_body",
        Slot::Bytes(|s| &mut s.control.max_body, KIB, GIB),
        "most bytes of a control request's body",
    ),
    key(
        "control",
        "max_connections",
        Slot::Count(|s| &mut s.control.max_connections, 1, MANY),
        "most control connections at once",
    ),
    key(
        "routes",
        "file",
        Slot::File(|s| &mut s.routes.file),
        "the routes file",
    ),
    key(
        "routes",
        "lines",
        Slot::Lines(|s| &mut s.routes.lines),
        "route lines; with any, no file is read",
    )
    .flags(&["--route"]),
    key(
        "proxy",
        "debug",
        Slot::Bool(|s| &mut s.proxy.debug),
        "errors tell clients the cause",
    ),
    key(
        "proxy",
        "auto_cross_origin",
        Slot::Bool(|s| &mut s.proxy.auto_cross_origin),
        "CORS and JSON-P on every route",
    ),
    key(
        "proxy",
        "accept_x_forwarded_protocol",
        Slot::Bool(|s| &mut s.proxy.accept_x_forwarded_protocol),
        "believe X-Forwarded-Proto of clients",
    ),
    key(
        "proxy",
        "set_x_forwarded_protocol",
        Slot::Protocol(|s| &mut s.proxy.set_x_forwarded_protocol),
        "tell backends that the client came over TLS: off, proto-only or true",
    ),
    key(
        "proxy",
        "trusted_proxies",
        Slot::Networks(|s| &mut s.proxy.trusted_proxies),
        "ranges of the proxies in front, which alone may tell of clients (X-Forwarded-*, Forwarded)",
    ),
    key(
        "proxy",
        "set_forwarded",
        Slot::Bool(|s| &mut s.proxy.set_forwarded),
        "tell backends of the client in Forwarded, too (RFC 7239)",
    ),
    key(
        "proxy",
        "x_forwarded_for",
        Slot::Forwarded(|s| &mut s.proxy.x_forwarded_for),
        "what becomes of X-Forwarded-For: truncate:N, append",
    ),
    key(
        "proxy",
        "x_forwarded_for_trusted",
        Slot::Forwarded(|s| &mut s.proxy.x_forwarded_for_trusted),
        "the same for trusted clients",
    ),
    key(
        "proxy",
        "orig_headers_need_mark",
        Slot::Words(|s| &mut s.proxy.orig_headers_need_mark),
        "headers that orig_headers does not mark",
    ),
    key(
        "proxy",
        "accept_pushpin_route",
        Slot::Bool(|s| &mut s.proxy.accept_pushpin_route),
        "obey Pushpin-Route of clients",
    ),
    key(
        "proxy",
        "cdn_loop",
        Slot::Text(|s| &mut s.proxy.cdn_loop),
        "added to CDN-Loop; empty: not added",
    ),
    key(
        "proxy",
        "ca_file",
        Slot::File(|s| &mut s.proxy.ca_file),
        "certificates (PEM) of authorities that TLS backends may have, beside the system's",
    ),
    key(
        "grip",
        "sig_iss",
        Slot::Text(|s| &mut s.grip.sig_iss),
        "issuer of Grip-Sig; empty: nothing is signed",
    ),
    key(
        "grip",
        "sig_key",
        Slot::Secret(|s| &mut s.grip.sig_key),
        "key of Grip-Sig: text, base64:... or file:...; empty: nothing is signed",
    ),
    key(
        "grip",
        "key_dir",
        Slot::Folder(|s| &mut s.grip.key_dir),
        "folder that relative file: keys start from; default: that of the settings file",
    ),
    key(
        "grip",
        "upstream_key",
        Slot::Secret(|s| &mut s.grip.upstream_key),
        "key that marks requests of a proxy in front as trusted",
    ),
    key(
        "grip",
        "connection_subscription_max",
        Slot::Count(|s| &mut s.grip.connection_subscription_max, 1, 100_000),
        "most channels of one request",
    ),
    key(
        "grip",
        "subscription_linger",
        Slot::Time(|s| &mut s.grip.subscription_linger, Duration::ZERO, WEEK),
        "how long a long-poll's channels stay subscribed after it",
    ),
    key(
        "grip",
        "message_wait",
        Slot::Time(|s| &mut s.grip.message_wait, Duration::ZERO, WEEK),
        "how long an item waits for the one before it",
    ),
    key(
        "grip",
        "id_cache_ttl",
        Slot::Time(|s| &mut s.grip.id_cache_ttl, Duration::ZERO, WEEK),
        "how long an id is remembered; 0: not",
    ),
    key(
        "grip",
        "update_on_first_subscription",
        Slot::Bool(|s| &mut s.grip.update_on_first_subscription),
        "ask the backend again when a channel gets its first subscriber",
    ),
    key(
        "grip",
        "publish_rate",
        Slot::Count(|s| &mut s.grip.publish_rate, 0, MANY),
        "items per second that may be published, on average; 0: no limit",
    ),
    key(
        "grip",
        "publish_burst",
        Slot::Count(|s| &mut s.grip.publish_burst, 1, MANY),
        "items that may be published at once in spite of publish_rate",
    ),
    key(
        "grip",
        "recover_concurrency",
        Slot::Count(|s| &mut s.grip.recover_concurrency, 1, MANY),
        "most recoveries (repeated requests, next links) that ask one backend at once",
    ),
    key(
        "grip",
        "recover_rate",
        Slot::Small(|s| &mut s.grip.recover_rate, 0, 1_000_000),
        "most recoveries that begin to ask one backend in a second; 0: no limit",
    ),
    key(
        "grip",
        "recover_jitter",
        Slot::Time(|s| &mut s.grip.recover_jitter, Duration::ZERO, WEEK),
        "most random delay before a recovery that is not urgent",
    ),
    key(
        "grip",
        "link_backoff",
        Slot::Time(|s| &mut s.grip.link_backoff, MS, WEEK),
        "the first pause after a next or gone link that failed; the next ones double",
    ),
    key(
        "grip",
        "update_delay",
        Slot::Time(|s| &mut s.grip.update_delay, MS, WEEK),
        "how long after its first subscription a channel's subscribers ask again",
    ),
    key(
        "grip",
        "overflow",
        Slot::Overflow(|s| &mut s.grip.overflow),
        "slow clients: close, keep the latest item of each channel, recover; auto: as fits",
    ),
    key(
        "limits",
        "request_head",
        Slot::Bytes(|s| &mut s.limits.request_head, KIB, 16 * MIB),
        "most bytes of a client request's head",
    ),
    key(
        "limits",
        "request_target",
        Slot::Bytes(|s| &mut s.limits.request_target, 256, LONGEST_TARGET),
        "most bytes of a client request's target; at most 65534, the HTTP library's own limit",
    ),
    key(
        "limits",
        "request_headers",
        Slot::Count(|s| &mut s.limits.request_headers, 8, 4096),
        "most headers of a client request",
    ),
    key(
        "limits",
        "response_head",
        Slot::Bytes(|s| &mut s.limits.response_head, 8 * KIB, 16 * MIB),
        "most bytes of a backend response's head",
    ),
    key(
        "limits",
        "request_body",
        Slot::Body(|s| &mut s.limits.request_body),
        "most bytes of a client's request body; 0: no limit",
    ),
    key(
        "limits",
        "connections",
        Slot::Count(|s| &mut s.limits.connections, 0, MANY),
        "most client connections at once; 0: what the open-file limit allows",
    ),
    key(
        "limits",
        "connection_buffer",
        Slot::Bytes(|s| &mut s.limits.connection_buffer, KIB, GIB),
        "most bytes waiting for one held connection",
    ),
    key(
        "limits",
        "publish_buffer",
        Slot::Bytes(|s| &mut s.limits.publish_buffer, MIB, 64 * GIB),
        "most bytes published and not yet taken by every shard",
    ),
    key(
        "limits",
        "early_bytes",
        Slot::Bytes(|s| &mut s.limits.early_bytes, 0, MIB),
        "most bytes a client may send ahead while its request is held",
    ),
    key(
        "limits",
        "idle_upstream",
        Slot::Count(|s| &mut s.limits.idle_upstream, 0, 100_000),
        "idle connections kept to one target, per thread",
    ),
    key(
        "limits",
        "websocket_message",
        Slot::Bytes(|s| &mut s.limits.websocket_message, KIB, GIB),
        "most bytes of one WebSocket message of a client, and of those that wait for its backend",
    ),
    key(
        "limits",
        "websocket_answer",
        Slot::Bytes(|s| &mut s.limits.websocket_answer, KIB, GIB),
        "most bytes of a backend's answer to a WebSocket over HTTP, and of a message that it sends itself",
    ),
    key(
        "timeouts",
        "connect",
        Slot::Time(|s| &mut s.timeouts.connect, MS, WEEK),
        "until a target accepts a connection",
    ),
    key(
        "timeouts",
        "target_wait",
        Slot::Time(|s| &mut s.timeouts.target_wait, Duration::ZERO, WEEK),
        "how long a request waits for a target that has its max_connections, before it gets 503",
    ),
    key(
        "timeouts",
        "target_rest",
        Slot::Time(|s| &mut s.timeouts.target_rest, Duration::ZERO, WEEK),
        "how long a target that failed is asked last, on routes with balance or check",
    ),
    key(
        "timeouts",
        "target_check",
        Slot::Time(|s| &mut s.timeouts.target_check, MS, WEEK),
        "between two checks of a target (route option check), and the most that one may take",
    ),
    key(
        "timeouts",
        "response",
        Slot::Time(|s| &mut s.timeouts.response, MS, WEEK),
        "until a backend's response head is there",
    ),
    key(
        "timeouts",
        "idle",
        Slot::Time(|s| &mut s.timeouts.idle, MS, WEEK),
        "between two pieces of a body",
    ),
    key(
        "timeouts",
        "request_head",
        Slot::Time(|s| &mut s.timeouts.request_head, MS, WEEK),
        "from a request's first byte to the end of its head",
    ),
    key(
        "timeouts",
        "keep_alive",
        Slot::Time(|s| &mut s.timeouts.keep_alive, MS, WEEK),
        "between two requests of a client's connection",
    ),
    key(
        "timeouts",
        "idle_upstream",
        Slot::Time(|s| &mut s.timeouts.idle_upstream, Duration::ZERO, WEEK),
        "idle connections to backends are closed after this",
    ),
    key(
        "timeouts",
        "send",
        Slot::Time(|s| &mut s.timeouts.send, MS, WEEK),
        "how long a held client may take nothing while data waits for it",
    ),
    key(
        "timeouts",
        "publish",
        Slot::Time(|s| &mut s.timeouts.publish, Duration::ZERO, WEEK),
        "how long a publish waits for room, and for publish_rate, before it is refused with 503",
    ),
    key(
        "timeouts",
        "peer_gone",
        Slot::Time(|s| &mut s.timeouts.peer_gone, MS, WEEK),
        "until a peer that no longer answers counts as gone",
    ),
    key(
        "timeouts",
        "drain",
        Slot::Time(|s| &mut s.timeouts.drain, Duration::ZERO, WEEK),
        "how long running requests may take at shutdown; held ones are ended one after the other",
    ),
    key(
        "timeouts",
        "reconnect",
        Slot::Time(|s| &mut s.timeouts.reconnect, Duration::ZERO, WEEK),
        "at shutdown, about when clients of event streams are told to come back (retry:); 0: no word",
    ),
    key(
        "websocket",
        "compression",
        Slot::Bool(|s| &mut s.websocket.compression),
        "compress messages for clients that offer it (permessage-deflate)",
    ),
    key(
        "websocket",
        "keep_alive_min",
        Slot::Time(|s| &mut s.websocket.keep_alive_min, MS, WEEK),
        "least time between requests that only keep a WebSocket over HTTP alive",
    ),
    key(
        "log",
        "level",
        Slot::Level(|s| &mut s.log.level),
        "error, warn, info, debug, trace, 0 to 4, or a tracing filter",
    )
    .flags(&["--log-level", "--verbose"]),
    key(
        "log",
        "file",
        Slot::File(|s| &mut s.log.file),
        "log file; none: standard error",
    )
    .flags(&["--logfile"]),
];
