//! `gripd image` and `gripd health`, as the container image runs them: with the folder, the
//! environment and the command that people have for Pushpin's image.
#![cfg(feature = "server")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests fail by panicking"
)]

mod support;

use std::{
    fs::{self, Permissions},
    net::TcpListener,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::Output,
};

use support::{Backend, DeadPort, Gripd, Response, Setup, Wire, answer, run_to_end};

/// The lines of Pushpin's file that its image's entry script would edit, and one that it would not.
const CONF: &str = "[runner]\nhttp_port=8080\n[proxy]\nroutesfile=routes\nsig_key=\n\
                    [handler]\npush_in_http_addr=127.0.0.1\npush_in_http_port=5561\n";

/// `gripd image` and the container's command.
fn image(setup: Setup, command: &[&str]) -> Setup {
    command
        .iter()
        .fold(setup.arg("image"), |setup, word| setup.arg(*word))
}

/// The test's folder is the mounted one.
fn mounted(setup: Setup, files: &[(&str, &str)]) -> Setup {
    files
        .iter()
        .fold(setup.arg("--config=."), |setup, (name, text)| {
            setup.file(name, text)
        })
}

fn modes(folder: &Path, of_folder: u32, of_files: u32) {
    for file in fs::read_dir(folder).unwrap() {
        let file = file.unwrap().path();
        if file.file_name().unwrap() != "gripd" {
            fs::set_permissions(file, Permissions::from_mode(of_files)).unwrap();
        }
    }
    fs::set_permissions(folder, Permissions::from_mode(of_folder)).unwrap();
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_read_only_folder_of_somebody_else_is_served() {
    let backend = Backend::saying("from the app");
    let route = format!("* {},over_http\n", backend.addr);
    for files in [
        &[("routes", route.as_str())] as &[_],
        &[("pushpin.conf", CONF), ("routes", &route)],
    ] {
        let gripd = Gripd::start(|c| {
            let setup = mounted(image(c, &["pushpin", "--merge-output"]), files).user(4711);
            modes(setup.dir(), 0o555, 0o444);
            setup
        });
        let before = names(gripd.dir());
        assert_eq!(gripd.fetch("/").text(), "from the app");
        gripd.wait_log(&format!("files read: ./{}", files[0].0));
        assert_eq!(names(gripd.dir()), before, "something was written");
        // So that whoever runs the tests may remove it.
        modes(gripd.dir(), 0o755, 0o644);
    }
}

#[test]
fn a_folder_that_its_owner_closed_is_an_error_and_not_an_empty_one() {
    let output = run_to_end(|c| {
        let folder = c.dir().join("closed");
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("routes"), "* test\n").unwrap();
        fs::set_permissions(&folder, Permissions::from_mode(0o000)).unwrap();
        image(c, &["pushpin", "--config=closed"]).user(4711)
    });
    assert_eq!(output.status.code(), Some(3));
    let said = "gripd: closed: what it holds cannot be seen: Permission denied";
    assert!(said_by(&output).starts_with(said), "{}", said_by(&output));
}

#[test]
fn target_is_the_route_whatever_the_folder_says() {
    let (wanted, other) = (Backend::saying("target"), Backend::saying("folder"));
    let routes = format!("* {}\n", other.addr);
    let files = [("pushpin.conf", CONF), ("routes", &routes)];
    for options in ["", ",over_http"] {
        let target = format!("{}{options}", wanted.addr);
        let gripd = Gripd::start(|c| {
            let setup = image(c, &["pushpin", "--merge-output"]).var("target", &target);
            mounted(setup, &files)
        });
        assert_eq!(gripd.fetch("/").text(), "target");
        gripd.wait_log("files read: ./pushpin.conf; routes from target, not from a file");
        // The rest of the folder counts: with an empty sig_key nothing is signed.
        assert!(!wanted.last().head.has("Grip-Sig"));
    }
    let route = format!("--route=* {}", other.addr);
    let stronger = Gripd::start(|c| image(c, &["pushpin", &route]).var("target", "127.0.0.1:1"));
    assert_eq!(stronger.fetch("/").text(), "folder");
}

#[test]
fn target_means_nothing_outside_the_image() {
    let backend = Backend::saying("ok");
    let gripd = Gripd::start(|c| {
        c.var("target", "not a target")
            .route(format!("* {}", backend.addr))
    });
    assert_eq!(gripd.fetch("/").text(), "ok");
}

#[test]
fn a_wrong_target_ends_it() {
    for (target, why) in [
        ("http://app:8000", "target with a scheme"),
        ("app", "target without a port"),
        ("", "empty"),
    ] {
        let output = run_to_end(|c| image(c.var("target", target), &["pushpin"]));
        assert_eq!(output.status.code(), Some(3));
        let said =
            format!("gripd: target: the environment variable is {target:?}: {why}; allowed:");
        assert!(said_by(&output).starts_with(&said), "{}", said_by(&output));
    }
}

#[test]
fn the_control_port_is_there_for_other_containers_but_not_for_web_pages() {
    let gripd = Gripd::start(|c| image(c.var("target", "test"), &["--control=0"]));
    let port = gripd.control.port();
    gripd.wait_log(&format!("control: http://localhost:{port}"));
    let publish = |lines: &str| -> Response {
        let mut control = Wire::connect(([127, 0, 0, 1], port).into());
        let body = r#"{"items":[{"channel":"a","http-stream":{"content":"x"}}]}"#;
        let length = body.len();
        control.send(format!(
            "POST /publish/ HTTP/1.1\r\n{lines}Content-Length: {length}\r\n\r\n{body}"
        ));
        control.response()
    };
    for (lines, status) in [
        ("Host: gripd:5561\r\n", 200),
        ("Host: push_proxy:5561\r\n", 200),
        ("Host: 127.0.0.1:5561\r\n", 200),
        ("Host: evil.example:5561\r\n", 403),
        ("Host: gripd:5561\r\nOrigin: http://app:8000\r\n", 403),
        ("Host: gripd:5561\r\nSec-Fetch-Site: cross-site\r\n", 403),
    ] {
        assert_eq!(publish(lines).status(), status, "{lines}");
    }
}

#[test]
fn an_address_somebody_named_stays() {
    let gripd = Gripd::start(|c| image(c.var("target", "test"), &["--control=127.0.0.1:0"]));
    assert!(gripd.control.ip().is_loopback());
}

#[test]
fn health_finds_the_port_that_the_server_has() {
    let mut gripd = Gripd::start(|c| image(c.var("target", "test"), &["--control=0"]));
    let port = gripd.control.port().to_string();
    let conf = format!("[handler]\npush_in_http_addr=127.0.0.1\npush_in_http_port={port}\n");
    let ways: [&dyn Fn(Setup) -> Setup; 5] = [
        &|c| {
            c.arg("health")
                .arg("--ready")
                .arg(format!("--control={port}"))
        },
        &|c| image(c, &["health", "--ready"]).arg(format!("--control={port}")),
        &|c| {
            image(
                c.set("CONTROL_HTTP", &format!("0.0.0.0:{port}")),
                &["health", "--ready"],
            )
        },
        &|c| mounted(image(c, &["health", "--ready"]), &[("pushpin.conf", &conf)]),
        // A file that broke since the start is no fault of the server.
        &|c| {
            let broken = format!("nonsense = 1\n[control]\nhttp = {port}\n[routes]\nfile = \"no\"");
            c.file("gripd.toml", &broken).arg("health").arg("--ready")
        },
    ];
    for (index, way) in ways.iter().enumerate() {
        let output = run_to_end(way);
        assert_eq!(
            output.status.code(),
            Some(0),
            "{index}: {}",
            said_by(&output)
        );
        let said = String::from_utf8(output.stdout).unwrap();
        assert_eq!(said, format!("ready: http://127.0.0.1:{port}/readyz\n"));
    }
    gripd.signal("TERM");
    gripd.wait_exit();
    for way in ways {
        let output = run_to_end(way);
        assert_eq!(output.status.code(), Some(1), "{}", said_by(&output));
        let start = format!("gripd: not ready: http://127.0.0.1:{port}/readyz: ");
        assert!(said_by(&output).starts_with(&start), "{}", said_by(&output));
        assert_eq!(said_by(&output).lines().count(), 1);
    }
}

#[test]
fn health_tells_why_not() {
    let busy = Backend::always(answer("503 Service Unavailable", "", "no"));
    let foreign = Backend::always("SSH-2.0-something else\r\n");
    let (silent, dead) = (TcpListener::bind("127.0.0.1:0").unwrap(), DeadPort::new());
    let silent = silent.local_addr().unwrap();
    for (address, code, why) in [
        (busy.addr.to_string(), 1, "answers 503"),
        (foreign.addr.to_string(), 1, "does not speak HTTP"),
        (silent.to_string(), 1, "no answer within 2s"),
        (dead.addr.to_string(), 1, "refused"),
        (String::new(), 1, "no control port"),
        ("nonsense".into(), 3, "--control: control.http must be"),
    ] {
        let output = run_to_end(|c| {
            c.arg("health")
                .arg("--ready")
                .arg(format!("--control={address}"))
        });
        assert_eq!(output.status.code(), Some(code), "{}", said_by(&output));
        assert!(said_by(&output).contains(why), "{}", said_by(&output));
    }
}

/// Standard error.
fn said_by(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
