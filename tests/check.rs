//! The command line as users meet it, through the real binary: what `gripd check` prints, exit
//! codes, help, which files are found, what the first log lines say.

#![cfg(feature = "server")]
#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]

#[path = "check/folder.rs"]
mod folder;

use std::{
    io::{BufRead, BufReader},
    process::Stdio,
};

use folder::Folder;

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
         request_target, request_headers, response_head, response_headers, request_body, \
         connections, streams, connect_waiters, connection_buffer, publish_buffer, early_bytes, idle_upstream, \
         websocket_message, websocket_answer\n\
         gripd.toml:6:1: log.level must be error, warn, info, debug, trace, a number from 0 to 4, \
         or a filter such as info,gripd::hub=debug\n\
         routes:2:3: target with a scheme; allowed: HOST:PORT (without http://), [IPV6]:PORT, \
         unix:/PATH or test\n\
         routes:3:1: condition without a target; allowed: CONDITION TARGET, such as \
         `* 127.0.0.1:8000`: every host goes there\n\
         routes:4:3: unknown proto; allowed: proto=http or proto=ws (with TLS: ssl=yes)\n\
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
    // In no folder of the machine either, which may have some.
    let answer = Folder::new().run(&["check", "--config", "/dev/null"]);
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
        "pushpin.conf:7:1: push_in_spec: ZeroMQ is not served; publish over HTTP to the control \
         port (control.http) (warning)\n\
         pushpin.conf:3:1: tls.certs: runner/certs cannot be read: No such file or directory (os \
         error 2) (warning)\n\
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
         gripd: --route:2:3: unknown proto; allowed: proto=http or proto=ws (with TLS: ssl=yes)\n\
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
        "gripd check --print -c /etc/pushpin",
        "gripd example settings",
    ] {
        assert!(help.contains(part), "{part}");
    }
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
