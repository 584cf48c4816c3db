//! Settings from every source, and what is said about wrong ones.

use std::{
    fs,
    path::Path,
    sync::atomic::{AtomicUsize, Ordering},
};

use super::*;

/// A folder of its own, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("gripd-config-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn with(self, name: &str, text: &str) -> Self {
        fs::write(self.0.join(name), text).unwrap();
        self
    }

    fn flags(&self) -> Flags {
        Flags {
            config: Some(self.0.clone()),
            ..Flags::default()
        }
    }

    /// A fault without this folder's name.
    fn short(&self, text: impl ToString) -> String {
        text.to_string()
            .replace(&format!("{}/", self.0.display()), "")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Route lines keep the search for files out of it.
fn bare() -> Flags {
    Flags {
        routes: vec!["* test".into()],
        ..Flags::default()
    }
}

fn env(pairs: &[(&str, &str)]) -> impl Iterator<Item = (String, String)> {
    let pairs: Vec<_> = pairs
        .iter()
        .map(|(name, value)| (name.to_string(), value.to_string()))
        .collect();
    pairs.into_iter()
}

fn toml(text: &str) -> Result<Loaded, ConfigError> {
    load(&Folder::new().with("gripd.toml", text).flags(), env(&[]))
}

fn conf(text: &str) -> Result<Loaded, ConfigError> {
    load(&Folder::new().with("pushpin.conf", text).flags(), env(&[]))
}

#[test]
fn each_source_wins_over_the_one_before() {
    let folder = Folder::new().with(
        "gripd.toml",
        "threads = 2\n[timeouts]\nconnect = \"3s\"\nidle = 7\n[log]\nlevel = \"warn\"\n",
    );
    let environment = [
        ("GRIPD_THREADS", "3"),
        ("GRIPD_TIMEOUTS_CONNECT", "250ms"),
        ("HOME", "x"),
    ];
    let flags = Flags {
        log_level: Some("3".into()),
        verbose: true,
        ..folder.flags()
    };
    let settings = load(&flags, env(&environment)).unwrap().settings;
    assert_eq!(settings.threads, 3);
    assert_eq!(settings.timeouts.connect, Duration::from_millis(250));
    assert_eq!(settings.timeouts.idle, Duration::from_secs(7));
    assert_eq!(settings.timeouts.keep_alive, Duration::from_secs(75));
    assert_eq!(settings.log.level, "debug");
}

#[test]
fn every_key_can_be_set_from_the_environment() {
    for key in keys::KEYS {
        // Impossible for every kind but free text: the name was understood when it is refused.
        let pairs = [(key.variable(), "\u{1}".to_owned())];
        let result = load(&bare(), pairs.into_iter());
        let free = [
            "hosts",
            "lines",
            "orig_headers_need_mark",
            "sig_key",
            "upstream_key",
            "key_dir",
            "file",
        ];
        match result {
            Err(error) => assert!(error.to_string().starts_with(&key.variable()), "{error}"),
            Ok(loaded) => {
                assert!(free.contains(&key.name), "{} takes anything", key.path());
                assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
            }
        }
    }
}

#[test]
fn the_example_holds_every_key_at_its_default() {
    let example = include_str!("../../gripd.example.toml");
    let active: String = example
        .lines()
        .map(|line| match line.strip_prefix('#') {
            // These two have no default that could be written.
            Some(rest) if rest.starts_with("lines =") || rest.starts_with("file =") => "",
            Some(rest) if !rest.starts_with(' ') => rest,
            _ => line,
        })
        .flat_map(|line| [line, "\n"])
        .collect();
    let folder = Folder::new().with("gripd.toml", &active);
    let loaded = load(&folder.flags(), env(&[])).unwrap();
    assert_eq!(loaded.warnings, [""; 0]);
    let mut settings = loaded.settings;
    settings.listen.http_is_default = true;
    settings.control.http_is_default = true;
    settings.grip.sig_key_is_default = true;
    settings.grip.key_dir = ".".into();
    assert_eq!(
        format!("{settings:?}"),
        format!("{:?}", Settings::default())
    );
    for key in keys::KEYS {
        assert!(
            example.contains(&format!("\n#{} = ", key.name)),
            "{}",
            key.path()
        );
        assert!(example.contains(key.doc), "{}", key.path());
    }
}

#[test]
fn faults_name_key_place_and_range() {
    for (text, expected) in [
        (
            "threads = 5000",
            "gripd.toml:1:1: threads must be a whole number from 0 to 1024",
        ),
        (
            "\n[limits]\n  request_head = \"10\"",
            "gripd.toml:3:3: limits.request_head must be a size such as 64KiB, from 1024 to 16777216 \
          bytes",
        ),
        (
            "[timeouts]\nidle = \"soon\"",
            "gripd.toml:2:1: timeouts.idle must be a time such as 500ms, 2s, 5m or 1h, from 1ms to \
          604800s",
        ),
        (
            "[listen]\nhttp = \"example.com:80\"",
            "gripd.toml:2:1: listen.http must be PORT, ADDRESS:PORT or [IPV6]:PORT, with PORT from 0 \
          to 65535",
        ),
        (
            "[listen]\nhttp = []",
            "gripd.toml: listen.http must name at least one address, such as 7999",
        ),
        (
            "[proxy]\ndebug = \"perhaps\"",
            "gripd.toml:2:1: proxy.debug must be true or false",
        ),
        (
            "[proxy]\nx_forwarded_for = \"truncate:x\"",
            "gripd.toml:2:1: proxy.x_forwarded_for must be a list of truncate:N and append, or empty",
        ),
        (
            "[log]\nlevel = \"infoo\"",
            "gripd.toml:2:1: log.level must be error, warn, info, debug, trace, a number from 0 to 4, \
          or a filter such as info,gripd::hub=debug",
        ),
        (
            "[log]\nlevel = [\"info\"]",
            "gripd.toml:2:1: log.level must be one value, not a list",
        ),
        (
            "[log]\nlevel = {a = 1}",
            "gripd.toml:2:1: log.level must be a value or a list of values",
        ),
        (
            "[routes]\nfile = \"none\"",
            "gripd.toml: routes.file (routesfile in pushpin.conf) names none, which cannot be read: \
          No such file or directory (os error 2); allowed: a readable file",
        ),
        (
            "[grip]\nsig_key = \"file:k.pem\"",
            "gripd.toml: grip.sig_key names k.pem, which cannot be read: No such file or directory \
          (os error 2)",
        ),
    ] {
        let folder = Folder::new().with("gripd.toml", text);
        let error = load(&folder.flags(), env(&[])).unwrap_err();
        assert_eq!(folder.short(error), expected, "{text}");
    }
}

#[test]
fn an_unknown_key_is_a_warning_and_an_error_for_check() {
    let folder = Folder::new().with("gripd.toml", "thread = 1\n[log]\nlvl = 1\n[nope]\na = 1\n");
    let loaded = load(&folder.flags(), env(&[("GRIPD_NOPE", "1")])).unwrap();
    let lines: Vec<_> = loaded
        .warnings
        .iter()
        .map(|line| folder.short(line))
        .collect();
    assert_eq!(lines.len(), 4, "{lines:?}");
    assert_eq!(
        lines[1],
        "gripd.toml:3:1: unknown key log.lvl; allowed in [log]: level, file"
    );
    let faults = examine(&folder.flags(), env(&[])).faults;
    assert_eq!(faults.iter().filter(|fault| fault.is_error()).count(), 3);
}

#[test]
fn all_faults_of_a_broken_file_come_in_its_order() {
    let error = toml("threads = x\n[log\nlevel = 1\n[zzz]\n").unwrap_err();
    assert!(error.faults.len() >= 2, "{error}");
    assert!(
        error
            .faults
            .is_sorted_by_key(|fault| (fault.line, fault.column)),
        "{error}"
    );
}

#[test]
fn kubernetes_service_variables_are_not_settings() {
    let loaded = load(
        &bare(),
        env(&[
            ("GRIPD_SERVICE_HOST", "10.0.0.1"),
            ("GRIPD_PORT", "tcp://10.0.0.1:7999"),
            ("GRIPD_PORT_7999_TCP_ADDR", "10.0.0.1"),
            ("GRIPD_PORT_7999_TCP_PROTO", "tcp"),
        ]),
    );
    assert_eq!(loaded.unwrap().warnings, [""; 0]);
}

#[test]
fn ports_and_addresses() {
    let both = |port| {
        vec![
            SocketAddr::from(([0; 4], port)),
            SocketAddr::from(([0u16; 8], port)),
        ]
    };
    for (text, expected, ours) in [
        ("8000", both(8000), true),
        (":8000", both(8000), true),
        ("*:8000", both(8000), false),
        ("127.0.0.1:0", vec!["127.0.0.1:0".parse().unwrap()], false),
        ("[::1]:80", vec!["[::1]:80".parse().unwrap()], false),
    ] {
        let flags = Flags {
            port: Some(text.into()),
            ..bare()
        };
        let listen = load(&flags, env(&[])).unwrap().settings.listen;
        assert_eq!(
            (listen.http, listen.http_is_default),
            (expected, ours),
            "{text}"
        );
    }
    let flags = Flags {
        control: Some("99999".into()),
        ..bare()
    };
    let error = load(&flags, env(&[])).unwrap_err().to_string();
    assert!(
        error.starts_with("--control: control.http must be "),
        "{error}"
    );
}

#[test]
fn a_bare_control_port_stays_on_this_machine() {
    let flags = Flags {
        control: Some("6000".into()),
        ..bare()
    };
    let control = load(&flags, env(&[])).unwrap().settings.control;
    assert!(
        control
            .http
            .iter()
            .all(|address| address.ip().is_loopback())
    );
    assert_eq!(control.http.len(), 2);
}

#[test]
fn the_key_is_the_default_until_somebody_names_one() {
    let folder = Folder::new().with("routes", "* test\n");
    for (loaded, key, ours) in [
        (load(&bare(), env(&[])), "changeme", true),
        (load(&folder.flags(), env(&[])), "changeme", true),
        (toml(""), "changeme", true),
        (toml("[grip]\nsig_key = \"k\""), "k", false),
        (toml("[grip]\nsig_key = \"\""), "", false),
        (conf("[proxy]\ndebug=true\n"), "changeme", true),
        (conf("[proxy]\nsig_key=\n"), "", false),
        (load(&bare(), env(&[("GRIPD_GRIP_SIG_KEY", "")])), "", false),
    ] {
        let loaded = loaded.unwrap();
        let grip = &loaded.settings.grip;
        assert_eq!(
            (grip.sig_key.0.as_str(), grip.sig_key_is_default),
            (key, ours)
        );
        let said = loaded
            .start_lines()
            .iter()
            .any(|line| line.starts_with("Grip-Sig: signing"));
        assert_eq!(said, ours);
    }
}

#[test]
fn of_lines_and_file_the_stronger_source_counts() {
    let folder = Folder::new()
        .with("gripd.toml", "[routes]\nlines = ['* a:1']\n")
        .with("routes", "* b:1\n");
    let file = folder.0.join("routes").display().to_string();
    let lines = load(&folder.flags(), env(&[])).unwrap();
    assert_eq!(lines.settings.routes.lines, ["* a:1"]);
    assert_eq!(lines.files, [folder.0.join("gripd.toml")]);
    let read = load(&folder.flags(), env(&[("GRIPD_ROUTES_FILE", &file)])).unwrap();
    assert_eq!(read.settings.routes.lines, [""; 0]);
    assert_eq!(
        read.files,
        [folder.0.join("gripd.toml"), folder.0.join("routes")]
    );
    let flags = Flags {
        routes: vec!["* c:1,sub=a".into()],
        ..folder.flags()
    };
    let flagged = load(&flags, env(&[("GRIPD_ROUTES_FILE", &file)])).unwrap();
    assert_eq!(flagged.settings.routes.lines, ["* c:1,sub=a"]);
}

#[test]
fn route_lines_of_the_environment_are_separated_by_line_ends() {
    let folder = Folder::new().with("routes", "* b:1\n");
    let lines = "* a:1,sub=x\n\nz.test b:2\n";
    let loaded = load(&folder.flags(), env(&[("GRIPD_ROUTES_LINES", lines)])).unwrap();
    assert_eq!(loaded.settings.routes.lines, ["* a:1,sub=x", "z.test b:2"]);
}

/// The keys and values of Debian's package 1.36.
const DEBIAN: &str = "[global]\ninclude={libdir}/internal.conf\nrundir=/var/run/pushpin\n\
    ipc_prefix=pushpin-\nport_offset=0\nstats_connection_ttl=120\n[runner]\n\
    services=mongrel2,m2adapter,pushpin-proxy,pushpin-handler\nhttp_port=7999\n#https_ports=443\n\
    logdir=/var/log/pushpin\nlog_level=2\nclient_buffer_size=8192\nclient_maxconn=50000\n\
    condure_bin=condure\nmongrel2_bin=mongrel2\nm2sh_bin=m2sh\nzurl_bin=zurl\n[proxy]\n\
    routesfile=routes\ndebug=false\nauto_cross_origin=false\naccept_x_forwarded_protocol=false\n\
    set_x_forwarded_protocol=proto-only\nx_forwarded_for=\nx_forwarded_for_trusted=\n\
    orig_headers_need_mark=\naccept_pushpin_route=false\nlog_from=false\nlog_user_agent=false\n\
    sig_iss=pushpin\nsig_key=changeme\nupstream_key=\nsockjs_url=http://cdn.example/sockjs.js\n\
    updates_check=off\norganization_name=\n[handler]\npush_in_spec=tcp://127.0.0.1:5560\n\
    push_in_sub_specs=tcp://127.0.0.1:5562\npush_in_sub_connect=false\n\
    push_in_http_addr=127.0.0.1\npush_in_http_port=5561\npush_in_http_max_headers_size=10000\n\
    push_in_http_max_body_size=1000000\nstats_spec=ipc://{rundir}/{ipc_prefix}stats\n\
    command_spec=tcp://127.0.0.1:5563\nmessage_rate=2500\nmessage_hwm=25000\nmessage_wait=5000\n\
    id_cache_ttl=60\nconnection_subscription_max=20\nsubscription_linger=60\n\
    stats_subscription_ttl=60\nstats_report_interval=10\nstats_format=tnetstring\n";

#[test]
fn debians_files_load_with_one_warning() {
    let folder = Folder::new()
        .with("pushpin.conf", DEBIAN)
        .with("routes", "* test\n");
    let loaded = load(&folder.flags(), env(&[])).unwrap();
    let warnings: Vec<_> = loaded
        .warnings
        .iter()
        .map(|line| folder.short(line))
        .collect();
    assert_eq!(
        warnings,
        [
            "pushpin.conf:38:1: push_in_spec, push_in_sub_specs, command_spec: ZeroMQ is not served; \
          publish over HTTP to the control port"
        ]
    );
    assert_eq!(
        loaded.files,
        [folder.0.join("pushpin.conf"), folder.0.join("routes")]
    );
    let (settings, default) = (loaded.settings, Settings::default());
    assert_eq!(settings.listen.http, default.listen.http);
    assert_eq!(settings.control.http, default.control.http);
    assert_eq!(settings.limits.connections, 50_000);
    assert_eq!(settings.limits.request_head, default.limits.request_head);
    assert_eq!(
        settings.proxy.set_x_forwarded_protocol,
        SetForwardedProtocol::ProtoOnly
    );
    assert!(!settings.grip.sig_key_is_default);
}

#[test]
fn changed_keys_of_pushpins_file_are_taken_over() {
    let loaded = conf(
        "[global]\nport_offset=10\n[runner]\nhttp_port=80, 127.0.0.1:8080\n\
         log_level=proxy:4,3\nclient_buffer_size=1048576\n[proxy]\ndebug=yes\n\
         x_forwarded_for=truncate:2,append,zz\nsig_key=\"base64:AAEC\"\ncdn_loop=x\n\
         orig_headers_need_mark=A, B\n[handler]\npush_in_http_addr=0.0.0.0\n\
         push_in_http_port=6000\nmessage_wait=250\nid_cache_ttl=0\nsubscription_linger=5\n",
    )
    .unwrap();
    let settings = &loaded.settings;
    let http: Vec<_> = settings
        .listen
        .http
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(http, ["0.0.0.0:80", "[::]:80", "127.0.0.1:8080"]);
    assert_eq!(settings.control.http, ["0.0.0.0:6010".parse().unwrap()]);
    assert_eq!(settings.log.level, "debug");
    assert_eq!(settings.limits.request_head, 1 << 20);
    assert!(settings.proxy.debug);
    let rule = ForwardedFor {
        truncate: Some(2),
        append: true,
    };
    assert_eq!(settings.proxy.x_forwarded_for, rule);
    assert_eq!(settings.proxy.orig_headers_need_mark, ["A", "B"]);
    assert_eq!(settings.grip.sig_key.0, "base64:AAEC");
    assert_eq!(settings.grip.message_wait, Duration::from_millis(250));
    assert_eq!(settings.grip.id_cache_ttl, Duration::ZERO);
    assert_eq!(settings.grip.subscription_linger, Duration::from_secs(5));
    assert_eq!(loaded.warnings.len(), 1, "{:?}", loaded.warnings);
    assert!(loaded.warnings[0].contains("ignored: zz"));
}

#[test]
fn keys_without_meaning_warn_once_when_changed() {
    let text = "[global]\nrundir=/x\n[runner]\nhttps_ports=443\nlocal_ports=/s\n\
                allow_compression=true\n[proxy]\nworkers=4\nfoo=1\n[handler]\nmessage_rate=1\n\
                share_all=false\nprivate_spec=ipc://x\n";
    let folder = Folder::new().with("pushpin.conf", text);
    let loaded = load(&folder.flags(), env(&[])).unwrap();
    let lines: Vec<_> = loaded
        .warnings
        .iter()
        .map(|line| folder.short(line))
        .collect();
    assert_eq!(
        lines,
        [
            "pushpin.conf:6:1: allow_compression has no effect in gripd: WebSocket compression is \
             not in gripd yet",
            "pushpin.conf:8:1: workers has no effect in gripd: set threads; gripd uses every core \
             by default",
            "pushpin.conf:9:1: unknown key foo of [proxy], ignored",
            "pushpin.conf:4:1: https_ports, local_ports: only plain HTTP ports are served yet",
        ]
    );
}

#[test]
fn an_included_file_gives_what_the_main_one_lacks() {
    let folder = Folder::new()
        .with(
            "pushpin.conf",
            "[global]\ninclude=more.conf\n[proxy]\nsig_iss=main\n",
        )
        .with("more.conf", "[proxy]\nsig_iss=other\ncdn_loop={rundir}-x\n");
    let settings = load(&folder.flags(), env(&[])).unwrap().settings;
    assert_eq!(settings.grip.sig_iss, "main");
    assert_eq!(settings.proxy.cdn_loop, "run-x");
    let gone = Folder::new().with("pushpin.conf", "[global]\ninclude=gone.conf\n");
    assert!(load(&gone.flags(), env(&[])).is_err());
}

#[test]
fn an_id_shifts_the_control_port_in_the_place_of_the_files_offset() {
    let folder = Folder::new().with("pushpin.conf", "[global]\nport_offset=7\n");
    let ports = |flags: &Flags| -> Vec<u16> {
        let settings = load(flags, env(&[])).unwrap().settings;
        settings.control.http.iter().map(SocketAddr::port).collect()
    };
    assert_eq!(ports(&folder.flags()), [5568, 5568]);
    let flags = Flags {
        id: Some(2),
        ..folder.flags()
    };
    assert_eq!(ports(&flags), [5581, 5581]);
    let named = Flags {
        control: Some("127.0.0.1:6000".into()),
        ..flags
    };
    assert_eq!(ports(&named), [6000]);
}

#[test]
fn rows_of_pushpins_table_lead_to_keys() {
    assert_eq!(pushpin_conf::unknown_targets(), [""; 0]);
}

#[test]
fn the_format_is_told_by_name_and_by_contents() {
    for (name, text, pushpin) in [
        ("a.conf", "", true),
        ("a.toml", "[runner]", false),
        ("settings", "# x\n[runner]\nhttp_port=1", true),
        ("settings", "[listen]\nhttp = 1", false),
    ] {
        assert_eq!(
            pushpin_conf::is_one(Path::new(name), text),
            pushpin,
            "{name} {text}"
        );
    }
}

#[test]
fn secrets_are_not_shown() {
    let loaded = toml("[grip]\nsig_key = \"geheim\"\nupstream_key = \"geheim\"").unwrap();
    assert!(!format!("{loaded:?}").contains("geheim"));
    let error = toml("[grip]\nsig_key = [\"geheim\"]").unwrap_err();
    assert!(!format!("{error} {error:?}").contains("geheim"));
}

#[test]
fn durations_and_sizes() {
    let ms = |n| Some(Duration::from_millis(n));
    for (text, expected) in [
        ("500ms", ms(500)),
        ("2s", ms(2000)),
        ("5m", ms(300_000)),
        ("1h", ms(3_600_000)),
        ("1.5", ms(1500)),
        ("", None),
        ("-1", None),
        ("1y", None),
        ("s", None),
    ] {
        assert_eq!(value::duration(text), expected, "{text:?}");
    }
    for (text, expected) in [
        ("64KiB", Some(65_536)),
        ("1MiB", Some(1 << 20)),
        ("10kB", Some(10_000)),
        ("7", Some(7)),
        ("-1", None),
        ("1.5MiB", None),
        ("99999999999GiB", None),
    ] {
        assert_eq!(value::size(text), expected, "{text:?}");
    }
}
