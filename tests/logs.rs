//! The log as an operator meets it: its format, its file and what SIGHUP does with them, and that
//! nobody waits for it.
#![cfg(feature = "server")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests fail by panicking"
)]

mod support;

use std::{
    fs::{self, File},
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
};

use serde_json::Value;
use support::{Gripd, Wire, eventually};

/// A gripd that says on standard error only what concerns its log; where it is stands in the log.
struct Silent {
    child: Child,
    clients: Option<SocketAddr>,
}

impl Silent {
    fn start(dir: &Path, args: &[&str]) -> Self {
        Self::start_with(dir, args, &[])
    }

    fn start_with(dir: &Path, args: &[&str], env: &[(&str, &str)]) -> Self {
        let child = Command::new(env!("CARGO_BIN_EXE_gripd"))
            .args(["--port=127.0.0.1:0", "--control=127.0.0.1:0"])
            .args(args)
            .envs(env.iter().copied())
            .current_dir(dir)
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("gripd can be started");
        Self {
            child,
            clients: None,
        }
    }

    fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        let status = Command::new("kill")
            .args([&format!("-{name}"), &id])
            .status();
        assert!(status.unwrap().success());
    }

    fn fetch(&self, target: &str) -> u16 {
        let mut client = Wire::connect(self.clients.expect("where it is was read"));
        client.fetch(target).status()
    }

    /// What it said on standard error, now that it is ended.
    fn end(mut self) -> String {
        self.signal("TERM");
        let mut stderr = self.child.stderr.take().unwrap();
        let mut text = String::new();
        std::io::Read::read_to_string(&mut stderr, &mut text).unwrap();
        assert!(self.child.wait().unwrap().success(), "{text}");
        text
    }
}

impl Drop for Silent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn clients(log: &str) -> Option<SocketAddr> {
    let (_, rest) = log.split_once("clients: http://")?;
    rest.split_once('\n')?.0.parse().ok()
}

fn wait_for(path: &Path, text: &str) {
    eventually(&format!("{text:?} in {}", path.display()), || {
        fs::read_to_string(path).is_ok_and(|log| log.contains(text))
    });
}

/// A folder that goes with the test.
fn folder(name: &str) -> std::path::PathBuf {
    let dir = std::env::temp_dir().join(format!("gripd-logs-{}-{name}", std::process::id()));
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir_all(&dir).unwrap();
    dir
}

#[test]
fn json_is_one_object_a_line() {
    let gripd = Gripd::start(|c| c.route("* test").set("LOG_FORMAT", "json"));
    assert_eq!(gripd.fetch("/nowhere").status(), 404);
    gripd.wait_log("/nowhere");
    for line in gripd.log().lines() {
        let value: Value = serde_json::from_str(line).expect(line);
        let time = value["timestamp"].as_str().expect("a time");
        assert!(time.contains('T') && time.ends_with('Z'), "{time}");
        assert!(value["level"].is_string(), "{line}");
        assert!(value["message"].is_string(), "{line}");
    }
}

#[test]
fn a_wrong_format_is_told_with_what_is_allowed() {
    let output = support::run_to_end(|c| c.route("* test").set("LOG_FORMAT", "xml"));
    assert_eq!(output.status.code(), Some(3));
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("log.format must be text or json"), "{told}");
}

/// As Debian's logrotate does: the file is renamed, then gripd is sent SIGHUP.
#[test]
fn hangup_opens_the_log_file_anew() {
    let dir = folder("rotate");
    let file = dir.join("g.log");
    let gripd = Silent::start(&dir, &["--route=* test", "--logfile=g.log"]);
    wait_for(&file, "try:");
    fs::rename(&file, dir.join("g.log.1")).unwrap();
    gripd.signal("HUP");
    wait_for(&file, "SIGHUP");
    assert_eq!(gripd.end(), "");
    assert!(fs::read_to_string(&file).unwrap().contains("stopped"));
    let old = fs::read_to_string(dir.join("g.log.1")).unwrap();
    assert!(!old.contains("stopped") && !old.contains("SIGHUP"), "{old}");
    fs::remove_dir_all(dir).unwrap();
}

#[test]
fn a_file_that_cannot_be_opened_again_leaves_the_log_where_it_is() {
    let dir = folder("stuck");
    let file = dir.join("g.log");
    let gripd = Silent::start(&dir, &["--route=* test", "--logfile=g.log"]);
    wait_for(&file, "try:");
    fs::rename(&file, dir.join("old")).unwrap();
    fs::create_dir(&file).unwrap();
    gripd.signal("HUP");
    wait_for(&dir.join("old"), "cannot be opened again");
    drop(gripd);
    fs::remove_dir_all(dir).unwrap();
}

#[test]
fn hangup_applies_a_changed_level_and_names_what_needs_a_restart() {
    let settings = |level: &str, most: u32| {
        format!("[log]\nlevel = \"{level}\"\n[limits]\nconnections = {most}\n")
    };
    let gripd = Gripd::start(|c| {
        c.route("* test")
            .file("gripd.toml", &settings("info", 100))
            .arg("--config=gripd.toml")
    });
    let write = |text: &str| fs::write(gripd.dir().join("gripd.toml"), text).unwrap();
    write(&settings("debug", 100));
    gripd.signal("HUP");
    gripd.wait_log("log.level is debug from now on");
    gripd.publish(&serde_json::json!([{"channel": "a", "http-stream": {"content": "x"}}]));
    gripd.wait_log("DEBUG");
    assert!(!gripd.log().contains("need a restart"));

    write(&settings("debug", 50));
    gripd.signal("HUP");
    gripd.wait_log("changed settings that need a restart: limits.connections");

    let start = gripd.log().len();
    write("[log]\nlevel = \"loud\"\n");
    gripd.signal("HUP");
    gripd.wait_log_from(start, "the settings stay as they were");
    assert!(gripd.log()[start..].contains("log.level must be"));
}

#[test]
fn the_logdir_of_a_pushpin_conf_is_honoured() {
    let dir = folder("logdir");
    fs::create_dir(dir.join("log")).unwrap();
    fs::write(dir.join("pushpin.conf"), "[runner]\nlogdir=log\n").unwrap();
    let args = ["--config=pushpin.conf", "--route=* test"];
    let gripd = Silent::start(&dir, &args);
    let file = dir.join("log/gripd.log");
    wait_for(&file, "try:");
    let said = gripd.end();
    assert!(said.contains("the log goes to log/gripd.log"), "{said}");

    let merged = Gripd::start(|c| {
        fs::create_dir(c.dir().join("log")).unwrap();
        c.route("* test")
            .file("pushpin.conf", "[runner]\nlogdir=log\n")
            .arg("--config=pushpin.conf")
            .arg("--merge-output")
    });
    merged.wait_log("try:");
    assert!(!merged.dir().join("log/gripd.log").exists());
    fs::remove_dir_all(dir).unwrap();
}

#[test]
fn a_logdir_that_cannot_be_written_is_one_warning() {
    let gripd = Gripd::start(|c| {
        c.route("* test")
            .file("pushpin.conf", "[runner]\nlogdir=not/there\n")
            .arg("--config=pushpin.conf")
    });
    gripd.wait_log("try:");
    let told = gripd
        .log()
        .matches("the log goes to standard error")
        .count();
    assert_eq!(told, 1, "{}", gripd.log());
}

#[test]
fn nobody_waits_for_a_log_that_is_not_read() {
    let dir = folder("slow");
    let pipe = dir.join("pipe");
    assert!(
        Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    let args = ["--route=* test", "--logfile=pipe", "--log-level=debug"];
    let mut gripd = Silent::start_with(&dir, &args, &[("GRIPD_LOG_BUFFER", "16")]);
    let mut log = BufReader::new(File::open(&pipe).unwrap());
    let mut read = String::new();
    while clients(&read).is_none() {
        log.read_line(&mut read).unwrap();
    }
    gripd.clients = clients(&read);
    // Far more than a pipe holds, and nobody reads it.
    let path = format!("/{}", "x".repeat(180));
    for _ in 0..600 {
        assert_eq!(gripd.fetch(&path), 404);
    }
    let told = "lines of the log were lost";
    while !read.contains(told) {
        assert!(log.read_line(&mut read).unwrap() > 0, "{read}");
    }
    drop(gripd);
    fs::remove_dir_all(dir).unwrap();
}
