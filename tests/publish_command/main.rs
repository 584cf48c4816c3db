//! `gripd publish`, and gripd under the names of Pushpin's programs: as a person, a script or a cron
//! job calls them. Beside Debian's own programs they stand in `tests/e2e/test_publish.py`.
#![cfg(feature = "server")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests fail by panicking"
)]

#[path = "../check/folder.rs"]
mod folder;
#[path = "../support/mod.rs"]
mod support;

mod credentials;
mod faults;
mod lines;
mod names;
mod sse;

use std::process::{Command, Stdio};

use folder::{Answer, Folder};
use serde_json::Value;
use support::{Backend, Gripd, answer};

/// What Pushpin's control port answers, and any other that tells nothing of items.
fn control_port() -> Backend {
    Backend::always(answer("200 OK", "", "Published\n"))
}

fn url(backend: &Backend) -> String {
    format!("http://{}", backend.addr)
}

/// `gripd publish` in a folder of its own, with this `GRIP_URL` and nothing to read.
fn command(folder: &Folder, url: &str, words: &[&str]) -> Command {
    let mut command = folder.gripd(&["publish"]);
    command
        .env("GRIP_URL", url)
        .args(words)
        .stdin(Stdio::null());
    command
}

fn publish(url: &str, words: &[&str]) -> Answer {
    Answer::of(command(&Folder::new(), url, words).output().unwrap())
}

/// The items that a control port was given, in order.
fn items(backend: &Backend) -> Vec<Value> {
    let bodies = backend.requests().into_iter().map(|request| {
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        body["items"].as_array().unwrap().clone()
    });
    bodies.flatten().collect()
}

/// gripd with a backend that has everybody wait for the channel `news`.
fn gripd() -> (Backend, Gripd) {
    let backend = Backend::serving([
        (
            "/stream",
            support::instruct(&["Grip-Hold: stream", "Grip-Channel: news"], "begin\n"),
        ),
        (
            "/poll",
            support::instruct(&["Grip-Hold: response", "Grip-Channel: news"], ""),
        ),
    ]);
    let gripd = Gripd::before(&backend);
    (backend, gripd)
}

fn control(gripd: &Gripd) -> String {
    format!("http://{}", gripd.control)
}

#[test]
fn who_waits_gets_it_and_who_publishes_is_told_how_many_waited() {
    let (_backend, gripd) = gripd();
    let told = |words: &[&str]| {
        let answer = publish(&control(&gripd), words);
        assert_eq!((answer.code, &*answer.err), (Some(0), ""));
        answer.out
    };
    assert_eq!(told(&["news", "a"]), "Published: nobody is subscribed\n");

    let mut stream = gripd.stream("/stream", "begin\n");
    let mut poll = gripd.get("/poll");
    gripd.wait_subscribers("news", "http-response", 1);
    let words = ["news", "hello", "--code=201", "-H", "X-News: yes"];
    assert_eq!(told(&words), "Published: 2 subscriptions\n");
    stream.expect_stream("hello\n");
    let polled = poll.response();
    assert_eq!((polled.status(), &*polled.text()), (201, "hello\n"));
    assert_eq!(polled.head.get("X-News"), Some("yes"));

    assert_eq!(
        told(&["--no-eol", "news", "bye"]),
        "Published: 1 subscription\n"
    );
    stream.expect_stream("bye");
    assert_eq!(told(&["news", "--close"]), "Published: 1 subscription\n");
    stream.expect_last_chunk();
}

#[test]
fn an_item_that_does_not_go_out_now_is_told_of() {
    let (_backend, gripd) = gripd();
    let told = |words: &[&str]| publish(&control(&gripd), words).out;
    let _stream = gripd.stream("/stream", "begin\n");
    assert_eq!(
        told(&["--id=1", "news", "a"]),
        "Published: 1 subscription\n"
    );
    assert_eq!(told(&["--id=1", "news", "a"]), "Published: duplicate\n");
    let words = ["--id=3", "--prev-id=2", "news", "c"];
    assert_eq!(told(&words), "Published: waiting\n");
}

#[test]
fn options_make_the_item_that_the_control_port_gets() {
    let folder = Folder::new().with("page", "a page\n");
    let port = control_port();
    let long = [
        "--id=2",
        "--prev-id=1",
        "--sender=me",
        "-M",
        "k=v",
        "--no-seq",
        "news",
        "@page",
    ];
    for words in [
        &long as &[&str],
        &["--hint", "news"],
        &["--patch", "news", "[]"],
    ] {
        let answer = Answer::of(command(&folder, &url(&port), words).output().unwrap());
        assert_eq!((answer.code, &*answer.out), (Some(0), "Published\n"));
    }
    let hint = serde_json::json!({"action": "hint"});
    let expected = serde_json::json!([
        {
            "channel": "news", "id": "2", "prev-id": "1", "no-seq": true,
            "meta": {"sender": "me", "k": "v"},
            "formats": {
                "http-response": {"code": 200, "body": "a page\n"},
                "http-stream": {"content": "a page\n"},
                "ws-message": {"content": "a page\n"},
            },
        },
        {
            "channel": "news",
            "formats": {"http-response": hint, "http-stream": hint, "ws-message": hint},
        },
        {"channel": "news", "formats": {"http-response": {"code": 200, "body-patch": []}}},
    ]);
    assert_eq!(Value::from(items(&port)), expected);
    let asked = port.asked();
    assert!(
        asked.iter().all(|asked| asked == "POST /publish/"),
        "{asked:?}"
    );
}

#[test]
fn whole_items_are_published_as_they_are() {
    let one = r#"{"channel":"a","http-stream":{"content":"x"},"other":1}"#;
    let two = format!(r#"{{"items":[{one},{{"channel":"b","close":true}}]}}"#);
    let folder = Folder::new().with("two", &two);
    let port = control_port();
    for (item, told, count) in [
        (one, "Published\n", 1),
        (&*two, "Published 2 items\n", 2),
        ("@two", "Published 2 items\n", 2),
    ] {
        let before = items(&port).len();
        let call = command(&folder, &url(&port), &["--json", item]).output();
        let answer = Answer::of(call.unwrap());
        assert_eq!((&*answer.out, &*answer.err), (told, ""));
        let items = &items(&port)[before..];
        assert_eq!(items.len(), count);
        assert_eq!(items[0].to_string(), one);
    }
}
