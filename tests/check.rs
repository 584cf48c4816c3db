//! The command line as users meet it, through the real binary: what `gripd check` prints, exit
//! codes, help, which files are found, what the first log lines say.

#![cfg(feature = "server")]
#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
};

/// A folder of its own, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("gripd-check-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn with(self, name: &str, text: &str) -> Self {
        fs::write(self.0.join(name), text).unwrap();
        self
    }

    /// gripd, run in this folder with an environment without settings.
    fn gripd(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gripd"));
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("GRIPD_") {
                command.env_remove(name);
            }
        }
        command.args(arguments).current_dir(&self.0);
        command
    }

    fn run(&self, arguments: &[&str]) -> Answer {
        Answer::of(self.gripd(arguments).output().unwrap())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[derive(Debug)]
struct Answer {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Answer {
    fn of(output: Output) -> Self {
        Self {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

#[test]
fn every_fault_has_its_place() {
    let folder = Folder::new()
        .with(
            "gripd.toml",
            "threads = 9999\n\n[limits]\nrequest_heads = 5\n[log]\nlevel = \"loud\"\n",
        )
        .with(
            "routes",
            "# ours\n* http://127.0.0.1:8000\nsolo\n*,proto=ftp h:1\n*,over_http 127.0.0.1:8000\n",
        );
    let answer = folder.run(&["check"]);
    assert_eq!(
        answer.out,
        "gripd.toml:1:1: threads must be a whole number from 0 to 1024\n\
         gripd.toml:4:1: unknown key limits.request_heads; allowed in [limits]: request_head, \
         request_target, request_headers, response_head, request_body, connections, \
         connection_buffer, publish_buffer, early_bytes, idle_upstream\n\
         gripd.toml:6:1: log.level must be error, warn, info, debug, trace, a number from 0 to 4, \
         or a filter such as info,gripd::hub=debug\n\
         routes:2:3: target with a scheme; allowed: HOST:PORT (without http://), [IPV6]:PORT or \
         test\n\
         routes:3:1: condition without a target; allowed: CONDITION TARGET, such as \
         `* 127.0.0.1:8000`: every host goes there\n\
         routes:4:3: unknown proto; allowed: proto=http or proto=ws\n\
         routes:5:3: unknown option `over_http` of a condition: it belongs behind a target \
         (warning)\n\
         6 errors, 1 warning\n"
    );
    assert_eq!(answer.code, Some(3));
    assert_eq!(answer.err, "");
}

#[test]
fn sound_files_are_ok() {
    let folder = Folder::new()
        .with("gripd.toml", "threads = 1\n")
        .with("routes", "* 127.0.0.1:8000\n");
    let answer = folder.run(&["check"]);
    assert_eq!(
        (answer.out.as_str(), answer.code),
        (
            "OK: 1 route, 0 warnings; files read: gripd.toml, routes\n",
            Some(0)
        )
    );
}

#[test]
fn an_empty_routes_file_is_an_error() {
    let answer = Folder::new().with("routes", "# later\n").run(&["check"]);
    assert_eq!(answer.code, Some(3));
    let start = "routes: no usable route: ";
    assert!(answer.out.starts_with(start), "{}", answer.out);
}

#[test]
fn keys_that_cannot_sign_are_errors() {
    let folder = Folder::new()
        .with("gripd.toml", "[grip]\nsig_key = \"base64:@@@\"\n")
        .with("routes", "*,sig_key=file:no.pem 127.0.0.1:8000\n");
    let answer = folder.run(&["check"]);
    let allowed = "allowed: text, base64:... or file:... (a PEM private key, EC P-256 or RSA, or \
                   hex)";
    assert_eq!(
        answer.out,
        format!(
            "gripd.toml:2:1: grip.sig_key: the key after 'base64:' holds nothing: it must be \
             base64; {allowed}\n\
             routes:1:3: sig_key cannot be used, so grip.sig_key signs: key file no.pem cannot be \
             read: No such file or directory (os error 2); {allowed}\n\
             2 errors, 0 warnings\n"
        )
    );
    assert_eq!(answer.code, Some(3));
    let answer = folder.run(&[]);
    assert_eq!(answer.code, Some(3), "{answer:?}");
    assert!(
        answer
            .err
            .starts_with("gripd: gripd.toml:2:1: grip.sig_key: "),
        "{answer:?}"
    );
}

#[test]
fn a_route_whose_key_cannot_sign_is_told_at_the_start() {
    let folder = Folder::new().with("routes", "*,sig_key=base64:@@@ 127.0.0.1:8000\n");
    let log = first_lines(&folder, &[]);
    let told = log
        .iter()
        .any(|line| line.contains("routes:1:3: sig_key cannot be used"));
    assert!(told, "{log:?}");
}

#[test]
fn files_are_found_in_this_folder() {
    for (files, read) in [
        (&["routes"] as &[&str], "routes"),
        (&["gripd.toml"], "gripd.toml"),
        (&["gripd.toml", "routes"], "gripd.toml, routes"),
    ] {
        let mut folder = Folder::new();
        for name in files {
            let text = if *name == "routes" { "* test\n" } else { "" };
            folder = folder.with(name, text);
        }
        let answer = folder.run(&["check"]);
        let expected = format!("OK: 1 route, 0 warnings; files read: {read}\n");
        assert_eq!(answer.out, expected);
    }
}

#[test]
fn without_any_file_the_defaults_serve() {
    if Path::new("/etc/gripd").exists() || Path::new("/etc/pushpin").exists() {
        return;
    }
    let answer = Folder::new().run(&["check"]);
    let expected = "OK: 1 route, 0 warnings; files read: none: built-in defaults\n";
    assert_eq!(answer.out, expected);
}

#[test]
fn config_may_be_a_folder() {
    let folder = Folder::new().with("routes", "* test\n");
    let elsewhere = Folder::new();
    let path = folder.0.to_str().unwrap();
    for arguments in [["check", "--config", path], ["--config", path, "check"]] {
        let answer = elsewhere.run(&arguments);
        let expected = format!("OK: 1 route, 0 warnings; files read: {path}/routes\n");
        assert_eq!(answer.out, expected);
    }
    let path = elsewhere.0.to_str().unwrap();
    let answer = elsewhere.run(&["check", "--config", path]);
    assert_eq!(answer.code, Some(3));
    let part = "holds none of gripd.toml, pushpin.conf and routes";
    assert!(answer.out.contains(part), "{}", answer.out);
}

#[test]
fn route_lines_hide_every_file() {
    let folder = Folder::new()
        .with("routes", "broken\n")
        .with("gripd.toml", "broken\n");
    let lines = ["--route", "* test", "--route"];
    let run = |last| folder.run(&[&["check"], &lines[..], &[last]].concat());
    let answer = run("z.test,path_beg=/q h:1");
    let expected = "OK: 2 routes, 0 warnings; files read: none: built-in defaults\n";
    assert_eq!(answer.out, expected);
    let answer = run("z.test");
    let start = "--route:2:1: condition without a target; ";
    assert!(answer.out.starts_with(start), "{}", answer.out);
    assert_eq!(answer.code, Some(3));
}

#[test]
fn a_missing_routes_file_is_named() {
    let folder = Folder::new().with("pushpin.conf", "[proxy]\nroutesfile=none\n");
    for command in [
        &["check", "-c", "pushpin.conf"] as &[&str],
        &["-c", "pushpin.conf"],
    ] {
        let answer = folder.run(command);
        assert_eq!(answer.code, Some(3));
        let text = format!("{}{}", answer.out, answer.err);
        let part = "pushpin.conf:2:1: the routes file none cannot be read: ";
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn pushpins_file_is_read() {
    let folder = Folder::new()
        .with(
            "pushpin.conf",
            "[runner]\nhttp_port=7999\nhttps_ports=443\n[proxy]\nroutesfile=routes\n\
             [handler]\npush_in_spec=tcp://127.0.0.1:5560\n",
        )
        .with("routes", "* test\n");
    let answer = folder.run(&[
        "check",
        "--config=pushpin.conf",
        "--merge-output",
        "-m",
        "-m",
        "--id=1",
        "--loglevel=2",
    ]);
    assert_eq!(
        answer.out,
        "pushpin.conf:3:1: https_ports has no effect in gripd: gripd serves no TLS yet; let a TLS \
         proxy in front send to listen.http (warning)\n\
         pushpin.conf:7:1: push_in_spec: ZeroMQ is not served; publish over HTTP to the control \
         port (control.http) (warning)\n\
         OK: 1 route, 2 warnings; files read: pushpin.conf, routes\n"
    );
}

#[test]
fn the_example_is_sound() {
    let folder = Folder::new().with("routes", include_str!("../routes.example"));
    let answer = folder.run(&["check"]);
    assert_eq!(answer.code, Some(0), "{}", answer.out);
    assert!(answer.out.contains(", 0 warnings; "), "{}", answer.out);
}

#[test]
fn exit_codes_tell_usage_from_configuration() {
    let folder = Folder::new();
    for (arguments, code) in [
        (&["--version"] as &[&str], 0),
        (&["--help"], 0),
        (&["check", "--route", "* test"], 0),
        (&["--nonsense"], 2),
        (&["--port"], 2),
        (&["nonsense"], 2),
        (&["--id", "7000"], 2),
        (&["--port", "99999", "--route", "* test"], 3),
        (&["--config", "missing.toml"], 3),
        (&["--log-level", "loud", "--route", "* test"], 3),
        (&["--logfile", "no/such/folder/log", "--route", "* test"], 3),
    ] {
        let answer = folder.run(arguments);
        assert_eq!(answer.code, Some(code), "{arguments:?} {answer:?}");
        if code == 3 {
            assert_eq!(answer.err.lines().count(), 1, "{arguments:?} {answer:?}");
        }
    }
}

#[test]
fn route_lines_of_which_none_can_be_used_end_it() {
    let arguments = [
        "--route",
        "localhost:8000",
        "--route",
        "*,proto=ftp h:1",
        "--logfile",
        "log",
    ];
    let answer = Folder::new().run(&arguments);
    assert_eq!(answer.code, Some(3), "{answer:?}");
    assert_eq!(
        answer.err,
        "gripd: --route:1:1: condition without a target; allowed: CONDITION TARGET, such as \
         `* localhost:8000`: every host goes there\n\
         gripd: --route:2:3: unknown proto; allowed: proto=http or proto=ws\n\
         gripd: none of the route lines (--route, routes.lines) can be used\n"
    );
}

#[test]
fn faults_of_flags_name_the_flag() {
    let answer = Folder::new().run(&["--port", "99999", "--route", "* test"]);
    assert_eq!(
        answer.err,
        "gripd: --port: listen.http must be PORT, ADDRESS:PORT or [IPV6]:PORT, such as 7999 or \
         127.0.0.1:7999 (no name of a host, PORT from 0 to 65535)\n"
    );
}

#[test]
fn version_and_help() {
    let folder = Folder::new();
    let version = format!("gripd {}\n", env!("CARGO_PKG_VERSION"));
    for flag in ["--version", "-V", "-v"] {
        assert_eq!(folder.run(&[flag]).out, version, "{flag}");
    }
    let help = folder.run(&["--help"]).out;
    for part in [
        "--config",
        "--route",
        "--port",
        "--control",
        "--log-level",
        "--verbose",
        "check",
        "gripd check --print",
        "gripd example routes",
        "gripd --route '* 127.0.0.1:8000'",
        "curl",
        "0 clean",
        "3 wrong configuration",
        "/etc/pushpin/routes",
        "GRIPD_LOG_LEVEL",
    ] {
        assert!(help.contains(part), "{part}");
    }
    for arguments in [
        &["--help"] as &[&str],
        &["check", "--help"],
        &["example", "--help"],
    ] {
        let help = folder.run(arguments).out;
        let wide = help.lines().find(|line| line.chars().count() > 100);
        assert_eq!(wide, None);
    }
    let help = folder.run(&["check", "--help"]).out;
    for part in [
        "--print",
        "gripd check --print > gripd.toml",
        "gripd example settings",
    ] {
        assert!(help.contains(part), "{part}");
    }
}

/// Every kind of key, none at its default, from three sources.
fn unusual() -> Folder {
    Folder::new()
        .with(
            "gripd.toml",
            "threads = 3\n[listen]\nhttp = [\"*:81\", \"127.0.0.1:82\"]\nbacklog = 7\n\
             [control]\nhttp = 6000\nhosts = [\"a\", \"b\"]\nmax_head = \"2KiB\"\n\
             [proxy]\ndebug = true\nset_x_forwarded_protocol = true\n\
             x_forwarded_for = \"truncate:2,append\"\ncdn_loop = \"a \\\"b\\\" \\\\ c\"\n\
             [grip]\nsig_key = \"geheim\"\nid_cache_ttl = 0\n\
             [limits]\nrequest_body = \"3GiB\"\n[timeouts]\nconnect = 1.5\nresponse = \"2h\"\n\
             publish = 0\n[log]\nlevel = \"info,gripd=debug\"\nfile = \"x.log\"\n",
        )
        .with(
            "routes",
            "\u{feff}# all\n* a:1,sub=news # sig_key=geheim\nbroken\n\
             *,path_beg=/k,sig_key=\"geheim\",header=\"X-Api-Key: geheim\",header=X-A:b b:2\n\
             * again:1\nz.test c:3\n",
        )
}

#[test]
fn printed_settings_say_who_said_so_and_hide_secrets() {
    let folder = unusual();
    let mut command = folder.gripd(&["check", "--print", "--port", "9000", "--id", "1"]);
    let answer = Answer::of(
        command
            .env("GRIPD_TIMEOUTS_IDLE", "250ms")
            .env("GRIPD_GRIP_UPSTREAM_KEY", "geheim")
            .output()
            .unwrap(),
    );
    let here = folder.0.canonicalize().unwrap();
    let here = here.display();
    for line in [
        "# gripd ",
        "threads = 3  # gripd.toml:1",
        "http = [\"9000\"]  # --port",
        "http = [\"6010\"]  # gripd.toml:6, moved by 10 (--id or port_offset)",
        "hosts = [\"a\", \"b\"]  # gripd.toml:7",
        "max_head = \"2KiB\"  # gripd.toml:8",
        "#max_body = 1000000  # default",
        &format!("file = \"{here}/routes\"  # found, not named"),
        "x_forwarded_for = [\"truncate:2\", \"append\"]  # gripd.toml:12",
        "#sig_key = \"***\"  # gripd.toml:15",
        "#upstream_key = \"***\"  # GRIPD_GRIP_UPSTREAM_KEY",
        "connect = \"1500ms\"  # gripd.toml:20",
        "response = \"2h\"  # gripd.toml:21",
        "idle = \"250ms\"  # GRIPD_TIMEOUTS_IDLE",
        "# Routes in force: 3",
        "#     2: * a:1,sub=news",
        "#     4: *,path_beg=/k,sig_key=***,header=X-Api-Key:***,header=X-A:b b:2",
        "#     6: z.test c:3",
    ] {
        let found = answer.out.lines().any(|printed| match line {
            "# gripd " => printed.starts_with(line),
            _ => printed == line,
        });
        assert!(found, "{line}\n{}", answer.out);
    }
    assert!(!answer.out.contains("geheim"), "{}", answer.out);
    assert!(!answer.out.contains("again:1"), "{}", answer.out);
    // The faults of the routes, apart, so that what is printed can be kept.
    assert!(answer.err.starts_with("routes:3:1: "), "{}", answer.err);
    assert!(
        answer
            .err
            .contains("routes:5:1: line 2 has the same condition"),
        "{}",
        answer.err
    );
    assert_eq!(answer.code, Some(3));
}

#[test]
fn printed_settings_are_read_back() {
    let print = |folder: &Folder, more: &[&str]| {
        let answer = folder.run(&[&["check", "--print"], more].concat());
        // Where a value came from is all that may differ.
        let lines = answer.out.lines().skip(1);
        let values: Vec<_> = lines
            .map(|line| {
                line.split_once("  # ")
                    .map_or(line, |(value, _)| value)
                    .to_owned()
            })
            .collect();
        (answer.out, values)
    };
    let lines = ["--route", "* a:1,sub=\"x y\"", "--route", "z.test b:2"];
    let pushpin = Folder::new()
        .with(
            "pushpin.conf",
            "[global]\nport_offset=10\n[runner]\nhttp_port=80,1.2.3.4:81\nlog_level=3\n\
             [proxy]\nroutesfile=r\nsig_iss=\n[handler]\nmessage_wait=250\n",
        )
        .with("r", "* test\n");
    for (folder, more) in [
        (unusual(), &[] as &[&str]),
        (Folder::new(), &lines),
        (
            pushpin,
            &[
                "--config",
                "pushpin.conf",
                "--port",
                "127.0.0.1:0",
                "--verbose",
            ],
        ),
    ] {
        let (text, values) = print(&folder, more);
        let folder = folder.with("gripd.toml", &text);
        let (_, again) = print(&folder, &[]);
        assert!(values.len() > 60, "{text}");
        assert_eq!(values, again, "{text}");
    }
}

#[test]
fn route_lines_with_a_key_are_printed_but_not_to_be_pasted() {
    let lines = ["--route", "*,sig_key=geheim a:1", "--route", "z.test b:2"];
    let answer = Folder::new().run(&[&["check", "--print"], &lines[..]].concat());
    let expected = "lines = [  # --route\n  # \"*,sig_key=*** a:1\"\n  \"z.test b:2\",\n]\n";
    assert!(answer.out.contains(expected), "{}", answer.out);
    assert!(!answer.out.contains("geheim"), "{}", answer.out);
}

#[test]
fn the_first_log_lines_name_files_and_key() {
    let routes_only = Folder::new().with("routes", "* test\n");
    let named = Folder::new().with("gripd.toml", "[grip]\nsig_key = \"other\"\n");
    let signing = "Grip-Sig: signing as pushpin with key changeme (the default)";
    let none = "files read: none: built-in defaults";
    for (folder, arguments, files, default_key) in [
        (&routes_only, &[] as &[&str], "files read: routes", true),
        (&routes_only, &["--route", "* test"], none, true),
        (&named, &[], "files read: gripd.toml", false),
    ] {
        let log = first_lines(folder, arguments);
        assert!(log[0].contains(files), "{log:?}");
        let said = log.iter().any(|line| line.contains(signing));
        assert_eq!(said, default_key, "{log:?}");
        assert!(
            !log[0].contains('\u{1b}'),
            "no colours into a pipe: {log:?}"
        );
    }
}

/// Starts gripd on free ports and reads its log up to the first listening address, or to its end.
fn first_lines(folder: &Folder, arguments: &[&str]) -> Vec<String> {
    let mut child = folder
        .gripd(&["--port", "127.0.0.1:0", "--control", "127.0.0.1:0"])
        .args(arguments)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let log = BufReader::new(child.stderr.take().unwrap());
    let mut lines = Vec::new();
    for line in log.lines() {
        let line = line.unwrap();
        let listens = line.contains("clients: http://");
        lines.push(line);
        if listens {
            break;
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
    lines
}
