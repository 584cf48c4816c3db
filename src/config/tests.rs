//! Settings from every source, and what is said about wrong ones.

use std::{
    fs,
    path::Path,
    sync::atomic::{AtomicUsize, Ordering},
};

use proptest::prelude::*;

use super::*;

mod control;
mod pushpin;

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
    fn short(&self, text: &impl ToString) -> String {
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
    for key in keys::all() {
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
            "dir",
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
    // Written down, the key everybody knows gives the one warning.
    assert_eq!(loaded.warnings.len(), 1, "{:?}", loaded.warnings);
    let mut settings = loaded.settings;
    settings.grip.sig_key_is_default = true;
    settings.grip.key_dir = ".".into();
    assert_eq!(
        format!("{settings:?}"),
        format!("{:?}", Settings::default())
    );
    for key in keys::all() {
        assert!(
            example.contains(&format!("\n#{} = ", key.name)),
            "{}",
            key.path()
        );
        assert!(example.contains(key.doc), "{}", key.path());
        let Shown::Value(default) = key.shown(&Settings::default()) else {
            continue;
        };
        let line = format!("#{} = {default}\n", key.name);
        assert!(key.name == "file" || example.contains(&line), "{line}");
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
            "gripd.toml:3:3: limits.request_head must be a size such as 64KiB, or a number of bytes, \
             from 1KiB to 16MiB",
        ),
        (
            "[timeouts]\nidle = \"soon\"",
            "gripd.toml:2:1: timeouts.idle must be a time such as 500ms, 2s, 5m or 1h, from 1ms to \
          7d",
        ),
        (
            "[listen]\nhttp = \"example.com:80\"",
            "gripd.toml:2:1: listen.http must be PORT, ADDRESS:PORT or [IPV6]:PORT, such as 7999 or \
             127.0.0.1:7999 (no name of a host, PORT from 0 to 65535)",
        ),
        (
            "[listen]\nhttp = []",
            "gripd.toml:2:1: listen.http must name at least one address, such as 7999",
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
            "[limits]\nrequest_target = 65535",
            "gripd.toml:2:1: limits.request_target must be a size such as 64KiB, or a number of \
             bytes, from 256 to 65534",
        ),
        (
            "[log]\nlevel = {a = 1}",
            "gripd.toml:2:1: log.level must be a value or a list of values",
        ),
        (
            "[routes]\nfile = \"none\"",
            "gripd.toml:2:1: the routes file none cannot be read: No such file or directory (os \
             error 2); `gripd example routes` prints one to begin with",
        ),
        (
            "[grip]\nsig_key = \"file:k.pem\"",
            "gripd.toml:2:1: grip.sig_key: key file k.pem cannot be read: No such file or directory \
             (os error 2); allowed: text, base64:... or file:... (a PEM private key, EC P-256 or \
             RSA, or hex)",
        ),
        (
            "[grip]\nupstream_key = \"file:k.pem\"",
            "gripd.toml:2:1: grip.upstream_key: key file k.pem cannot be read: No such file or \
             directory (os error 2); allowed: text, base64:... or file:... (a PEM public key, EC \
             P-256 or RSA, or hex)",
        ),
    ] {
        let folder = Folder::new().with("gripd.toml", text);
        let error = load(&folder.flags(), env(&[])).unwrap_err();
        assert_eq!(folder.short(&error), expected, "{text}");
    }
}

#[test]
fn a_key_that_cannot_sign_is_an_error_wherever_it_was_named() {
    let unusable = "base64:@@@";
    let pushpin = format!("# ours\n[proxy]\nsig_key={unusable}\n");
    let in_conf = Folder::new().with("pushpin.conf", &pushpin);
    let text = Folder::new().with("no.pem", "neither PEM nor hex");
    let file = format!("file:{}", text.0.join("no.pem").display());
    let folder = |path: &Path| Flags {
        config: Some(path.to_owned()),
        ..Flags::default()
    };
    for (flags, pairs, place) in [
        (folder(&in_conf.0), vec![], "pushpin.conf:3:1: "),
        (
            bare(),
            vec![("GRIPD_GRIP_SIG_KEY", unusable)],
            "GRIPD_GRIP_SIG_KEY: ",
        ),
        (
            bare(),
            vec![("GRIPD_GRIP_SIG_KEY", file.as_str())],
            "GRIPD_GRIP_SIG_KEY: ",
        ),
        (
            bare(),
            vec![("GRIPD_GRIP_SIG_ISS", ""), ("GRIPD_GRIP_SIG_KEY", unusable)],
            "GRIPD_GRIP_SIG_KEY: ",
        ),
    ] {
        let error = load(&flags, env(&pairs)).unwrap_err();
        assert_eq!(error.faults.len(), 1, "{error}");
        let said = in_conf.short(&error);
        let start = format!("{place}grip.sig_key: ");
        assert!(said.starts_with(&start), "{said}");
        assert!(
            said.contains("allowed: text, base64:... or file:..."),
            "{said}"
        );
        assert!(!said.contains("@@@"), "{said}");
    }
}

#[test]
fn an_unknown_key_is_a_warning_and_an_error_for_check() {
    let text = "thread = 1\nport = 1\n[log]\nlvl = 1\n[proxy]\nsig_key = 1\n\
                idle_upstream = 1\nhttp_port = 1\nworkers = 1\nthreads = 1\n[nope]\na = 1\n";
    let folder = Folder::new().with("gripd.toml", text);
    let loaded = load(&folder.flags(), env(&[("GRIPD_NOPE", "1")])).unwrap();
    let lines: Vec<_> = loaded
        .warnings
        .iter()
        .map(|line| folder.short(line))
        .collect();
    assert_eq!(
        lines,
        [
            "gripd.toml:1:1: unknown key thread; allowed: threads and the sections [listen], [tls], \
             [control], [routes], [proxy], [grip], [limits], [timeouts], [websocket], [log], \
             [metrics]",
            "gripd.toml:2:1: unknown key port; did you mean http in [listen]?",
            "gripd.toml:4:1: unknown key log.lvl; allowed in [log]: level, format, access, from, \
             user_agent, file, dir, buffer",
            "gripd.toml:6:1: unknown key proxy.sig_key; did you mean sig_key in [grip]?",
            "gripd.toml:7:1: unknown key proxy.idle_upstream; did you mean idle_upstream in \
             [limits] or idle_upstream in [timeouts]?",
            "gripd.toml:8:1: unknown key proxy.http_port; did you mean http in [listen]?",
            "gripd.toml:9:1: unknown key proxy.workers; allowed in [proxy]: debug, \
             auto_cross_origin, accept_x_forwarded_protocol, set_x_forwarded_protocol, \
             trusted_proxies, set_forwarded, \
             x_forwarded_for, x_forwarded_for_trusted, orig_headers_need_mark, \
             accept_pushpin_route, cdn_loop, ca_file",
            "gripd.toml:10:1: unknown key proxy.threads; did you mean threads, above the first \
             [section]?",
            "gripd.toml:11:2: unknown section [nope]; allowed: [listen], [tls], [control], [routes], \
             [proxy], [grip], [limits], [timeouts], [websocket], [log], [metrics]",
            "GRIPD_NOPE: no such setting; allowed: GRIPD_SECTION_KEY, as GRIPD_LOG_LEVEL for \
             log.level; `gripd example settings` lists all",
        ]
    );
    let faults = examine(&folder.flags(), env(&[])).faults;
    assert_eq!(faults.iter().filter(|fault| fault.is_error()).count(), 9);
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
        assert_eq!(duration(text), expected, "{text:?}");
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
        assert_eq!(size(text), expected, "{text:?}");
    }
}

proptest! {
    #[test]
    fn what_is_shown_is_read_back(nanos in 0..u64::from(u32::MAX) * 100_000, bytes: u64) {
        // The nanosecond is the unit of a Duration; a week holds fewer of them than a float's 2^53.
        for unit in [1, 1_000_000, 1_000_000_000] {
            let time = Duration::from_nanos(nanos / unit * unit);
            prop_assert_eq!(duration(&value::duration_text(time)), Some(time));
        }
        for bytes in [bytes, bytes >> 10 << 10, bytes >> 30 << 30] {
            prop_assert_eq!(size(&value::size_text(bytes)), Some(bytes));
        }
    }
}

#[test]
fn the_known_key_is_warned_of_wherever_it_was_written() {
    for (flags, pairs, warned) in [
        (bare(), vec![], None),
        (bare(), vec![("GRIPD_GRIP_SIG_KEY", "other")], None),
        (
            bare(),
            vec![
                ("GRIPD_GRIP_SIG_ISS", ""),
                ("GRIPD_GRIP_SIG_KEY", "changeme"),
            ],
            None,
        ),
        (
            bare(),
            vec![("GRIPD_GRIP_SIG_KEY", "changeme")],
            Some("GRIPD_GRIP_SIG_KEY: grip.sig_key is `changeme`"),
        ),
    ] {
        let warnings = load(&flags, env(&pairs)).unwrap().warnings;
        assert_eq!(warnings.len(), usize::from(warned.is_some()), "{pairs:?}");
        let start = warned.unwrap_or_default();
        assert!(
            warnings.iter().all(|line| line.starts_with(start)),
            "{warnings:?}"
        );
    }
}

#[test]
fn what_does_not_stand_at_its_default_has_an_origin() {
    let folder = Folder::new()
        .with(
            "pushpin.conf",
            "[global]\nport_offset=10\n[proxy]\nsig_key=k\n",
        )
        .with("routes", "* test\n");
    let flags = Flags {
        port: Some("80".into()),
        verbose: true,
        ..folder.flags()
    };
    let examined = examine(&flags, env(&[("GRIPD_THREADS", "2")]));
    let mut origins: Vec<_> = examined.origins.iter().collect();
    origins.sort();
    let origins: Vec<_> = origins
        .iter()
        .map(|(path, origin)| format!("{path}: {}", folder.short(origin)))
        .collect();
    assert_eq!(
        origins,
        [
            "control.http: default, moved by 10 (--id or port_offset)",
            "grip.sig_key: pushpin.conf:4, sig_key",
            "listen.http: --port",
            "log.level: --verbose",
            "routes.file: found, not named",
            "threads: GRIPD_THREADS",
        ]
    );
}
