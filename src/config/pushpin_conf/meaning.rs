//! What each key of Pushpin's file means to gripd.

#[cfg(test)]
use super::super::keys;

/// What a key means here.
#[derive(Clone, Copy, Debug)]
pub(super) enum Meaning {
    /// The same as this key of the tree, in the same notation.
    Same(&'static str),
    /// The same, as Pushpin writes booleans (anything but empty, `0`, `false` is true).
    Flag(&'static str),
    /// The same, in milliseconds.
    Millis(&'static str),
    /// The same, read by a function of its own.
    Special(&'static str),
    /// Nothing: silent at these values; one warning for all other keys with this advice together.
    Group(&'static [&'static str], &'static str),
    /// Nothing: silent at these values, else one warning with this advice.
    Shipped(&'static [&'static str], &'static str),
    /// Nothing: silent at an IPC socket, the one Pushpin ships, wherever its folder is.
    Socket(&'static str),
    /// A word that other values may hold, or the included file: read elsewhere.
    Word,
}

/// What a key means; `None`: Pushpin does not know it either.
pub(super) fn meaning(section: &str, key: &str) -> Option<Meaning> {
    ROWS.iter()
        .find(|row| row.0 == section && row.1 == key)
        .map(|row| row.2)
}

/// The section in which Pushpin knows a key.
pub(super) fn section_of(key: &str) -> Option<&'static str> {
    ROWS.iter().find(|row| row.1 == key).map(|row| row.0)
}

/// The key of the tree that a key of Pushpin's file fills.
pub(in crate::config) fn path_of(key: &str) -> Option<&'static str> {
    ROWS.iter().find(|row| row.1 == key)?.2.path()
}

/// Keys of Pushpin's file that fill this key of the tree, as `[section] key`.
pub(in crate::config) fn names(path: &str) -> Vec<String> {
    ROWS.iter()
        .filter(|row| row.2.path() == Some(path))
        .map(|(section, key, _)| format!("[{section}] {key}"))
        .collect()
}

impl Meaning {
    fn path(self) -> Option<&'static str> {
        match self {
            Same(path) | Flag(path) | Millis(path) | Special(path) => Some(path),
            Group(..) | Shipped(..) | Socket(_) | Word => None,
        }
    }
}

use Meaning::{Flag, Group, Millis, Same, Shipped, Socket, Special, Word};

const OFF: &[&str] = &["", "false", "0"];
const NONE: &[&str] = &[""];
const ZEROMQ: &str = "ZeroMQ is not served; publish over HTTP to the control port (control.http)";
const STATS: &str = "gripd sends no statistics packets; remove it";
const SOCKETS: &str = "gripd has no IPC sockets; remove it";
const HOME: &str = "gripd never calls home; remove it";
const PROGRAMS: &str = "gripd is one process and starts no other; remove it";
/// gripd holds publishers back by bytes, not by a rate.
const RATE: &str = "not applied: gripd delivers as fast as clients read and has no rate; what may \
                    wait is bounded by limits.publish_buffer and limits.connection_buffer";

const ROWS: &[(&str, &str, Meaning)] = &[
    ("global", "include", Word),
    ("global", "rundir", Word),
    ("global", "libdir", Word),
    ("global", "ipc_prefix", Word),
    ("global", "port_offset", Special("control.http")),
    (
        "global",
        "stats_connection_ttl",
        Shipped(&["", "120"], STATS),
    ),
    (
        "global",
        "stats_connection_send",
        Shipped(&["", "true"], STATS),
    ),
    ("runner", "rundir", Word),
    (
        "runner",
        "services",
        Shipped(
            &[
                "",
                "condure,pushpin-proxy,pushpin-handler",
                "condure,zurl,pushpin-proxy,pushpin-handler",
                "connmgr,proxy,handler",
                "mongrel2,m2adapter,pushpin-proxy,pushpin-handler",
                "mongrel2,m2adapter,zurl,pushpin-proxy,pushpin-handler",
            ],
            PROGRAMS,
        ),
    ),
    ("runner", "http_port", Same("listen.http")),
    ("runner", "https_ports", Special("listen.https")),
    ("runner", "local_ports", Same("listen.unix")),
    ("runner", "logdir", Same("log.dir")),
    ("runner", "log_level", Special("log.level")),
    (
        "runner",
        "client_buffer_size",
        Special("limits.request_head"),
    ),
    ("runner", "client_maxconn", Same("limits.connections")),
    (
        "runner",
        "allow_compression",
        // On by default here, whatever the shipped file says: it costs once for each message.
        Shipped(
            &["", "false", "0", "true"],
            "WebSockets are compressed where clients offer it; set websocket.compression",
        ),
    ),
    (
        "runner",
        "mongrel2_bin",
        Shipped(&["", "mongrel2"], PROGRAMS),
    ),
    ("runner", "m2sh_bin", Shipped(&["", "m2sh"], PROGRAMS)),
    ("runner", "zurl_bin", Shipped(&["", "zurl"], PROGRAMS)),
    ("runner", "condure_bin", Shipped(&["", "condure"], PROGRAMS)),
    ("runner", "connmgr_bin", Shipped(NONE, PROGRAMS)),
    ("runner", "proxy_bin", Shipped(NONE, PROGRAMS)),
    ("runner", "handler_bin", Shipped(NONE, PROGRAMS)),
    (
        "proxy",
        "workers",
        Shipped(&["", "1"], "set threads; gripd uses every core by default"),
    ),
    (
        "proxy",
        "max_open_requests",
        Shipped(&["", "-1"], "set limits.connections"),
    ),
    ("proxy", "routesfile", Same("routes.file")),
    ("proxy", "debug", Flag("proxy.debug")),
    (
        "proxy",
        "auto_cross_origin",
        Flag("proxy.auto_cross_origin"),
    ),
    (
        "proxy",
        "accept_x_forwarded_protocol",
        Flag("proxy.accept_x_forwarded_protocol"),
    ),
    (
        "proxy",
        "set_x_forwarded_protocol",
        Same("proxy.set_x_forwarded_protocol"),
    ),
    ("proxy", "x_forwarded_for", Special("proxy.x_forwarded_for")),
    (
        "proxy",
        "x_forwarded_for_trusted",
        Special("proxy.x_forwarded_for_trusted"),
    ),
    (
        "proxy",
        "orig_headers_need_mark",
        Same("proxy.orig_headers_need_mark"),
    ),
    (
        "proxy",
        "accept_pushpin_route",
        Flag("proxy.accept_pushpin_route"),
    ),
    ("proxy", "cdn_loop", Same("proxy.cdn_loop")),
    ("proxy", "log_from", Flag("log.from")),
    ("proxy", "log_user_agent", Flag("log.user_agent")),
    ("proxy", "sig_iss", Same("grip.sig_iss")),
    ("proxy", "sig_key", Same("grip.sig_key")),
    ("proxy", "upstream_key", Same("grip.upstream_key")),
    (
        "proxy",
        "sockjs_url",
        Shipped(
            &["", "http://cdn.jsdelivr.net/sockjs/0.3.4/sockjs.min.js"],
            "SockJS is not in gripd yet; remove it",
        ),
    ),
    (
        "proxy",
        "stats_report_interval",
        Shipped(&["", "10"], STATS),
    ),
    (
        "proxy",
        "stats_connections_max_ttl",
        Shipped(&["", "60"], STATS),
    ),
    ("proxy", "prometheus_port", Same("metrics.proxy_port")),
    ("proxy", "prometheus_prefix", Same("metrics.proxy_prefix")),
    ("proxy", "ipc_file_mode", Group(NONE, SOCKETS)),
    (
        "proxy",
        "updates_check",
        Shipped(&["", "off", "report"], HOME),
    ),
    ("proxy", "organization_name", Shipped(NONE, HOME)),
    ("handler", "ipc_file_mode", Group(NONE, SOCKETS)),
    // Told even as shipped: who publishes over ZeroMQ would wait for nothing.
    ("handler", "push_in_spec", Group(NONE, ZEROMQ)),
    ("handler", "push_in_sub_specs", Group(NONE, ZEROMQ)),
    ("handler", "push_in_sub_spec", Group(NONE, ZEROMQ)),
    ("handler", "push_in_sub_connect", Group(OFF, ZEROMQ)),
    ("handler", "push_in_http_addr", Special("control.http")),
    ("handler", "push_in_http_port", Special("control.http")),
    (
        "handler",
        "push_in_http_max_headers_size",
        Same("control.max_head"),
    ),
    (
        "handler",
        "push_in_http_max_body_size",
        Same("control.max_body"),
    ),
    ("handler", "stats_spec", Socket(STATS)),
    ("handler", "command_spec", Group(NONE, ZEROMQ)),
    (
        "handler",
        "state_spec",
        Shipped(NONE, "GRIP sessions are not in gripd yet; remove it"),
    ),
    ("handler", "message_rate", Group(&["", "-1", "2500"], RATE)),
    ("handler", "message_hwm", Group(&["", "-1", "25000"], RATE)),
    ("handler", "message_block_size", Shipped(&["", "-1"], STATS)),
    ("handler", "message_wait", Millis("grip.message_wait")),
    ("handler", "id_cache_ttl", Same("grip.id_cache_ttl")),
    (
        "handler",
        "update_on_first_subscription",
        Flag("grip.update_on_first_subscription"),
    ),
    (
        "handler",
        "connection_subscription_max",
        Same("grip.connection_subscription_max"),
    ),
    (
        "handler",
        "subscription_linger",
        Same("grip.subscription_linger"),
    ),
    (
        "handler",
        "share_all",
        Shipped(
            OFF,
            "every client's request goes to the backend by itself; remove it",
        ),
    ),
    (
        "handler",
        "stats_subscription_ttl",
        Shipped(&["", "60"], STATS),
    ),
    (
        "handler",
        "stats_report_interval",
        Shipped(&["", "10"], STATS),
    ),
    (
        "handler",
        "stats_format",
        Shipped(&["", "tnetstring"], STATS),
    ),
    ("handler", "prometheus_port", Same("metrics.handler_port")),
    (
        "handler",
        "prometheus_prefix",
        Same("metrics.handler_prefix"),
    ),
];

/// Keys that have no meaning here, to be changed one by one.
#[cfg(test)]
pub(in crate::config) fn without_meaning() -> impl Iterator<Item = (&'static str, &'static str)> {
    ROWS.iter()
        .filter(|row| matches!(row.2, Group(..) | Shipped(..) | Socket(_)))
        .map(|row| (row.0, row.1))
}

/// Keys that rows name although the tree has no such key: none.
#[cfg(test)]
pub(in crate::config) fn unknown_targets() -> Vec<&'static str> {
    ROWS.iter()
        .filter_map(|row| row.2.path())
        .filter(|path| keys::find(path).is_none())
        .collect()
}
