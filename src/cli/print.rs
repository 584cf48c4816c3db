//! `gripd check --print`: what is in force, as a `gripd.toml` whose comments tell who said so.
//! Secrets stand behind `#` and are hidden, so that the text can be shown around and pasted.

use std::fmt::Write as _;

use crate::{
    config::{
        Examined, Settings, Shown,
        keys::{self, Key},
        quoted,
    },
    routes::{grammar::masked, table::Table},
};

/// The whole text. `files`: what was read. `table`: the routes, if they could be read.
pub(super) fn page(examined: &Examined, files: &str, table: Option<&Table>) -> String {
    let settings = examined.settings.clone().with_absolute_paths();
    let version = env!("CARGO_PKG_VERSION");
    let mut page = comment(&format!(
        "gripd {version}, settings in force; files read: {files}"
    ));
    page += "# Behind a #: what stands at its default, and secrets: those are hidden, write them in.\n\n";
    for section in [""].into_iter().chain(keys::sections()) {
        if !section.is_empty() {
            // Writing into a String cannot fail.
            let _ = writeln!(page, "\n[{section}]");
        }
        for key in keys::all().filter(|key| key.section == section) {
            page += &entry(key, &settings, examined.origins.get(&key.path()));
        }
    }
    if let Some(table) = table {
        page += &routes(table);
    }
    page
}

fn entry(key: &Key, settings: &Settings, origin: Option<&String>) -> String {
    let source = comment(origin.map_or("default", String::as_str));
    let hash = if origin.is_some() { "" } else { "#" };
    let name = key.name;
    match key.shown(settings) {
        Shown::Value(value) => format!("{hash}{name} = {value}  {source}"),
        Shown::Secret(secret) if secret.0.is_empty() => format!("{hash}{name} = \"\"  {source}"),
        Shown::Secret(_) => format!("#{name} = \"***\"  {source}"),
        Shown::Lines(lines) if lines.is_empty() => format!("{hash}{name} = []  {source}"),
        Shown::Lines(lines) => {
            let lines: String = lines.iter().map(|line| list_item(line)).collect();
            format!("{name} = [  {source}{lines}]\n")
        }
    }
}

/// A route line inside the list. One with a secret cannot be pasted: it would sign with `***`.
fn list_item(line: &str) -> String {
    match masked(line) {
        (shown, true) => format!("  {}", comment(&quoted(&shown))),
        (shown, false) => format!("  {},\n", quoted(&shown)),
    }
}

/// The lines in force, by their numbers in the file.
fn routes(table: &Table) -> String {
    let mut text = format!("\n# Routes in force: {}\n", table.routes().len());
    for (number, line, _) in table.lines() {
        text += &comment(&format!("{number:>5}: {}", masked(line).0));
    }
    text
}

/// One line of comment. A name of a file, or a line of one, may hold what TOML does not allow here.
fn comment(text: &str) -> String {
    let text = text.replace(char::is_control, "\u{fffd}");
    format!("# {}\n", text.trim_end())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::config::{self, Flags};

    /// Every key, none at its default.
    const UNUSUAL: &str = r#"
threads = 3
[listen]
http = ["*:81", "127.0.0.1:82"]
backlog = 7
http2 = false
unix = ["unix:c.sock?mode=666"]
proxy_protocol = ["127.0.0.1:82", "unix:c.sock"]
[control]
private_hosts = true
http = [6000, 6001, "unix:s.sock?mode=600&user=1&group=g"]
public_metrics = true
insecure = true
hosts = ["a", "b"]
max_head = "2KiB"
max_body = 3001
max_connections = 5
[routes]
file = "r"
lines = ['* a:1,sub="x y"', "z.test 'b':2"]
[proxy]
debug = true
auto_cross_origin = true
accept_x_forwarded_protocol = true
set_x_forwarded_protocol = true
trusted_proxies = "10.0.0.0/8, ::1"
set_forwarded = true
x_forwarded_for = "truncate:2,append"
x_forwarded_for_trusted = "append"
orig_headers_need_mark = "A, B"
accept_pushpin_route = true
cdn_loop = "a \"b\" \\ 'c' ü"
ca_file = "ca.pem"
[grip]
publish_rate = 7
publish_burst = 8
recover_concurrency = 9
recover_rate = 10
recover_jitter = "0.3s"
link_backoff = "0.4s"
update_delay = "0.5s"
overflow = "latest"
sig_iss = ""
sig_key = ""
key_dir = "keys"
upstream_key = ""
connection_subscription_max = 21
subscription_linger = "1.5ms"
message_wait = "90s"
id_cache_ttl = 0
update_on_first_subscription = false
[limits]
websocket_message = "3KiB"
websocket_answer = "4KiB"
request_head = "1MiB"
request_target = 300
request_headers = 9
response_head = 9001
response_headers = 9
request_body = "3GiB"
connections = 1
streams = 3
connect_waiters = 2
connection_buffer = "2KiB"
publish_buffer = "2GiB"
early_bytes = 0
idle_upstream = 0
[timeouts]
send = "61s"
connect = 1.5
connect_wait = "6s"
target_wait = "7s"
target_rest = "8s"
target_check = "9s"
response = "2h"
idle = "3d"
request_head = "119s"
keep_alive = "120s"
idle_upstream = 0
publish = "1ms"
peer_gone = "25h"
drain = "0.123456789s"
reconnect = "1500ms"
[websocket]
compression = false
keep_alive_min = "1s"
[log]
level = "info,gripd=debug"
format = "json"
access = false
from = true
user_agent = true
file = "x.log"
dir = "logs"
buffer = 99
[metrics]
proxy_port = 9100
proxy_prefix = "a_"
handler_port = "ipc://m.sock"
handler_prefix = "b_"
"#;

    #[test]
    fn what_is_printed_reads_back_as_the_same() {
        let name = format!("gripd-print-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder).unwrap();
        let authority = rcgen::generate_simple_self_signed(["a".to_owned()]).unwrap();
        fs::write(folder.join("ca.pem"), authority.cert.pem()).unwrap();
        let read = |text: &str| {
            fs::write(folder.join("gripd.toml"), text).unwrap();
            let flags = Flags {
                config: Some(folder.clone()),
                ..Flags::default()
            };
            config::examine(&flags, std::iter::empty())
        };
        let before = read(UNUSUAL);
        let after = read(&page(&before, "", None));
        fs::remove_dir_all(&folder).unwrap();
        assert!(before.faults.is_empty(), "{:?}", before.faults);
        assert!(after.faults.is_empty(), "{:?}", after.faults);
        let left: Vec<_> = keys::all()
            .filter(|key| key.shown(&before.settings) == key.shown(&Settings::default()))
            .map(Key::path)
            .collect();
        // Empty is their default; full, they or what they need beside them would be hidden.
        let hidden = ["token", "jwt_iss", "jwt_key", "user", "password"];
        // And these want files that are sound.
        let files = ["tls_cert", "tls_key"];
        let control = hidden.into_iter().chain(files);
        let mut expected = ["listen.https", "tls.cert", "tls.key", "tls.certs"]
            .map(str::to_owned)
            .to_vec();
        expected.extend(control.map(|name| format!("control.{name}")));
        expected.push("grip.upstream_key".into());
        assert_eq!(left, expected);
        let [before, after] = [before, after].map(|examined| format!("{:?}", examined.settings));
        assert_eq!(before, after);
    }
}
