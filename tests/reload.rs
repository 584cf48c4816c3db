//! The routes file is read again when it changes, in every way files are changed, and nothing
//! that is running notices.
#![cfg(feature = "server")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests fail by panicking"
)]

mod support;

use std::{fs, os::unix::fs::symlink};

use support::{Backend, Gripd, eventually, instruct};

/// gripd over a routes file that first leads to A, and a backend B for later.
struct Files {
    gripd: Gripd,
    a: Backend,
    b: Backend,
}

impl Files {
    fn new() -> Self {
        let (a, b) = (Backend::saying("A"), Backend::saying("B"));
        let gripd = Gripd::start(|c| c.file("routes", &line(&a)));
        let files = Self { gripd, a, b };
        assert_eq!(files.gripd.fetch("/").text(), "A");
        files
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.gripd.dir().join(name)
    }

    fn wait_for(&self, who: &str) {
        eventually(&format!("requests go to {who}"), || {
            self.gripd.fetch("/").text() == who
        });
    }
}

fn line(backend: &Backend) -> String {
    format!("* {}\n", backend.addr)
}

#[test]
fn an_edit_in_place_is_seen() {
    let files = Files::new();
    for _ in 0..2 {
        fs::write(files.path("routes"), line(&files.b)).unwrap();
        files.wait_for("B");
        fs::write(files.path("routes"), line(&files.a)).unwrap();
        files.wait_for("A");
    }
}

#[test]
fn a_file_renamed_over_it_is_seen() {
    let files = Files::new();
    for (backend, who) in [(&files.b, "B"), (&files.a, "A"), (&files.b, "B")] {
        fs::write(files.path("routes.new"), line(backend)).unwrap();
        fs::rename(files.path("routes.new"), files.path("routes")).unwrap();
        files.wait_for(who);
    }
}

#[test]
fn a_file_deleted_and_made_again_is_seen() {
    let files = Files::new();
    fs::remove_file(files.path("routes")).unwrap();
    assert_eq!(files.gripd.fetch("/").text(), "A");
    fs::write(files.path("routes"), line(&files.b)).unwrap();
    files.wait_for("B");
}

/// The way Kubernetes changes a `ConfigMap`: `routes` points into `..data`, which is swapped.
#[test]
fn a_swapped_symlink_is_seen() {
    let (a, b) = (Backend::saying("A"), Backend::saying("B"));
    let gripd = Gripd::start(|c| {
        for (folder, backend) in [("..first", &a), ("..second", &b)] {
            fs::create_dir(c.dir().join(folder)).unwrap();
            fs::write(c.dir().join(folder).join("routes"), line(backend)).unwrap();
        }
        symlink("..first", c.dir().join("..data")).unwrap();
        symlink("..data/routes", c.dir().join("routes")).unwrap();
        c
    });
    let files = Files { gripd, a, b };
    files.wait_for("A");
    for (folder, who) in [("..second", "B"), ("..first", "A")] {
        symlink(folder, files.path("..tmp")).unwrap();
        fs::rename(files.path("..tmp"), files.path("..data")).unwrap();
        files.wait_for(who);
    }
}

#[test]
fn hangup_reloads_and_does_not_end_it() {
    let mut files = Files::new();
    files.gripd.signal("HUP");
    fs::write(files.path("routes"), line(&files.b)).unwrap();
    files.gripd.signal("HUP");
    files.wait_for("B");
    assert!(files.gripd.is_running());
}

#[test]
fn a_failed_reload_keeps_the_old_table() {
    let files = Files::new();
    let start = files.gripd.log().len();
    fs::remove_file(files.path("routes")).unwrap();
    fs::create_dir(files.path("routes")).unwrap();
    files.gripd.signal("HUP");
    files.gripd.wait_log_from(start, "routes");
    assert_eq!(files.gripd.fetch("/").text(), "A");
    fs::remove_dir(files.path("routes")).unwrap();
    fs::write(files.path("routes"), line(&files.b)).unwrap();
    files.wait_for("B");
}

#[test]
fn holds_survive_a_reload() {
    let held = Backend::serving([
        (
            "/",
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nH".to_vec(),
        ),
        (
            "/s",
            instruct(&["Grip-Hold: stream", "Grip-Channel: c"], "hi\n"),
        ),
        (
            "/p",
            instruct(&["Grip-Hold: response", "Grip-Channel: c"], "late\n"),
        ),
    ]);
    let b = Backend::saying("B");
    let gripd = Gripd::start(|c| c.file("routes", &line(&held)));
    let mut stream = gripd.stream("/s", "hi\n");
    let mut poll = gripd.get("/p");
    gripd.wait_subscribers("c", "http-response", 1);
    let files = Files { gripd, a: held, b };
    fs::write(files.path("routes"), line(&files.b)).unwrap();
    files.wait_for("B");
    files.gripd.push("c", "one\n");
    stream.expect_stream("one\n");
    files.gripd.answer_polls("c", "news\n");
    assert_eq!(poll.response().text(), "news\n");
    files.gripd.close_streams("c");
    stream.expect_last_chunk();
    assert_eq!(
        stream.fetch("/").text(),
        "B",
        "the next request takes the new table"
    );
    let holds = files.a.asked().into_iter().filter(|asked| asked != "GET /");
    assert_eq!(
        holds.collect::<Vec<_>>(),
        ["GET /s", "GET /p"],
        "no hold was repeated"
    );
}

#[test]
fn a_reload_leaves_out_bad_lines_and_takes_the_rest() {
    let files = Files::new();
    let text = format!("*,proto=ftp {}\n{}", files.a.addr, line(&files.b));
    fs::write(files.path("routes"), text).unwrap();
    files.wait_for("B");
    files.gripd.wait_log("routes:1:");
}

#[test]
fn a_file_without_a_usable_route_keeps_the_old_table_and_says_so_once() {
    let files = Files::new();
    for text in ["", "nonsense\n"] {
        let start = files.gripd.log().len();
        fs::write(files.path("routes"), text).unwrap();
        files
            .gripd
            .wait_log_from(start, "no usable route; the old table of routes stays");
        assert_eq!(files.gripd.fetch("/").text(), "A", "{text:?}");
    }
    fs::write(files.path("routes"), line(&files.b)).unwrap();
    files.wait_for("B");
    files.gripd.wait_log("1 in use, 1 line added, 1 removed");
    let log = files.gripd.log();
    let told: Vec<_> = log
        .lines()
        .filter(|line| line.contains("no usable route"))
        .collect();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told.iter().all(|line| line.contains("ERROR")), "{told:?}");
    assert!(
        told[1].contains("routes:1:1: condition without a target"),
        "{told:?}"
    );
}

#[test]
fn a_start_without_a_usable_route_answers_502_until_there_is_one() {
    let b = Backend::saying("B");
    let gripd = Gripd::start(|c| c.file("routes", "nonsense\n"));
    gripd.wait_log("routes in force: none, so every request gets 502");
    assert_eq!(gripd.fetch("/").status(), 502);
    fs::write(gripd.dir().join("routes"), line(&b)).unwrap();
    eventually("requests go to B", || gripd.fetch("/").text() == "B");
}

/// Nobody who is held notices a reload, nor anything that is published meanwhile.
#[test]
fn a_thousand_streams_outlive_hangups_under_load() {
    let held = Backend::always(instruct(&["Grip-Hold: stream", "Grip-Channel: c"], "hi\n"));
    let b = Backend::saying("B");
    let gripd = Gripd::start(|c| c.file("routes", &line(&held)));
    let mut streams: Vec<_> = (0..1000).map(|_| gripd.stream("/s", "hi\n")).collect();
    let files = Files { gripd, a: held, b };
    for number in 0..40 {
        let target = if number % 2 == 0 { &files.b } else { &files.a };
        fs::write(files.path("routes"), line(target)).unwrap();
        files.gripd.signal("HUP");
        assert_eq!(files.gripd.push("c", &format!("{number}\n")), 1000);
    }
    files.gripd.close_streams("c");
    for stream in &mut streams {
        for number in 0..40 {
            stream.expect_stream(&format!("{number}\n"));
        }
        stream.expect_last_chunk();
    }
}
