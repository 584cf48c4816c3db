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
    /// Read by a function of its own.
    Special,
    /// Nothing: one warning for all such keys together when they are not empty.
    Group(&'static str),
    /// Nothing: silent at these values, else one warning with this advice.
    Shipped(&'static [&'static str], &'static str),
    /// Nothing, whatever it says.
    Silent,
}

/// What a key means; `None`: Pushpin does not know it either.
pub(super) fn meaning(section: &str, key: &str) -> Option<Meaning> {
    ROWS.iter()
        .find(|row| row.0 == section && row.1 == key)
        .map(|row| row.2)
}

use Meaning::{Flag, Group, Millis, Same, Shipped, Silent, Special};

const OFF: &[&str] = &["", "false", "0"];
const ZEROMQ: &str = "ZeroMQ is not served; publish over HTTP to the control port";
const LISTENERS: &str = "only plain HTTP ports are served yet";
const SOCKETS: &str = "gripd has no IPC sockets";
pub(super) const STATS: &str = "gripd sends no statistics packets";
const METRICS: &str = "there is no metrics port yet";

const ROWS: &[(&str, &str, Meaning)] = &[
    // Read elsewhere: the included file, and the words that stand for folders.
    ("global", "include", Silent),
    ("global", "rundir", Silent),
    ("global", "libdir", Silent),
    ("global", "ipc_prefix", Silent),
    ("global", "port_offset", Special),
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
    // Pushpin's own processes and their folder: gripd is one process and starts none.
    ("runner", "rundir", Silent),
    ("runner", "services", Silent),
    ("runner", "http_port", Same("listen.http")),
    ("runner", "https_ports", Group(LISTENERS)),
    ("runner", "local_ports", Group(LISTENERS)),
    (
        "runner",
        "logdir",
        Shipped(
            &["", "log", "/var/log/pushpin"],
            "set log.file or --logfile; else standard error",
        ),
    ),
    ("runner", "log_level", Special),
    ("runner", "client_buffer_size", Special),
    ("runner", "client_maxconn", Same("limits.connections")),
    (
        "runner",
        "allow_compression",
        Shipped(OFF, "WebSocket compression is not in gripd yet"),
    ),
    ("runner", "mongrel2_bin", Silent),
    ("runner", "m2sh_bin", Silent),
    ("runner", "zurl_bin", Silent),
    ("runner", "condure_bin", Silent),
    ("runner", "connmgr_bin", Silent),
    ("runner", "proxy_bin", Silent),
    ("runner", "handler_bin", Silent),
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
    ("proxy", "x_forwarded_for", Special),
    ("proxy", "x_forwarded_for_trusted", Special),
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
    (
        "proxy",
        "log_from",
        Shipped(OFF, "request lines are not configurable yet"),
    ),
    (
        "proxy",
        "log_user_agent",
        Shipped(OFF, "request lines are not configurable yet"),
    ),
    ("proxy", "sig_iss", Same("grip.sig_iss")),
    ("proxy", "sig_key", Same("grip.sig_key")),
    ("proxy", "upstream_key", Same("grip.upstream_key")),
    (
        "proxy",
        "sockjs_url",
        Shipped(
            &["", "http://cdn.jsdelivr.net/sockjs/0.3.4/sockjs.min.js"],
            "SockJS is not in gripd yet",
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
    ("proxy", "prometheus_port", Group(METRICS)),
    ("proxy", "prometheus_prefix", Group(METRICS)),
    ("proxy", "ipc_file_mode", Group(SOCKETS)),
    // gripd never calls home, whatever they say.
    ("proxy", "updates_check", Silent),
    ("proxy", "organization_name", Silent),
    ("handler", "ipc_file_mode", Group(SOCKETS)),
    ("handler", "push_in_spec", Group(ZEROMQ)),
    ("handler", "push_in_sub_specs", Group(ZEROMQ)),
    ("handler", "push_in_sub_spec", Group(ZEROMQ)),
    ("handler", "push_in_sub_connect", Shipped(OFF, ZEROMQ)),
    // Read together with its port.
    ("handler", "push_in_http_addr", Silent),
    ("handler", "push_in_http_port", Special),
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
    ("handler", "stats_spec", Special),
    ("handler", "command_spec", Group(ZEROMQ)),
    (
        "handler",
        "state_spec",
        Shipped(&[""], "GRIP sessions are not in gripd yet"),
    ),
    // gripd holds publishers back by bytes, not by a rate.
    ("handler", "message_rate", Silent),
    ("handler", "message_hwm", Silent),
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
        Shipped(OFF, "requests are not shared"),
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
    ("handler", "prometheus_port", Group(METRICS)),
    ("handler", "prometheus_prefix", Group(METRICS)),
];

/// Keys that rows name although the tree has no such key: none.
#[cfg(test)]
pub(in crate::config) fn unknown_targets() -> Vec<&'static str> {
    ROWS.iter()
        .filter_map(|row| match row.2 {
            Same(path) | Flag(path) | Millis(path) => Some(path),
            _ => None,
        })
        .filter(|path| keys::find(path).is_none())
        .collect()
}
