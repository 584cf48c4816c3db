//! Vectors 75, 76 and 78 to 82: the next link of a stream.

use std::{
    net::TcpListener,
    sync::{Mutex, mpsc},
};

use serde_json::json;

use crate::{
    site::{Site, by_path, calm, plain, poll, stream, stream_with, unordered},
    support::{Backend, PATIENCE, answer, eventually, instruct, json_instruct},
};

const NEXT: &str = "Grip-Link: <next>; rel=next; timeout=60";

#[test]
fn v075_a_link_without_hold_is_followed_at_once() {
    let site = Site::new([
        ("/", vec![instruct(&["Grip-Link: </b>; rel=next"], "one\n")]),
        ("/b", vec![answer("202 Accepted", "", "two\n")]),
    ]);
    let mut client = site.gripd.get("/");
    let head = client.head();
    assert!(head.status() == 200 && head.is_chunked(), "{:?}", head.raw);
    client.expect_stream("one\ntwo\n");
    client.expect_last_chunk();
}

#[test]
fn v076_links_are_relative_to_where_they_stand() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let link =
        |url: &str, body: &str| vec![instruct(&[&format!("Grip-Link: <{url}>; rel=next")], body)];
    let pages = by_path([
        ("/x/a", link("y/b?q=1", "1")),
        ("/x/y/b", link("../c", "2")),
        ("/x/c", link(&format!("http://{addr}/absolute"), "3")),
        ("/absolute", vec![plain("4")]),
    ]);
    let site = Site::behind(Backend::on(listener, false, pages), calm);
    let mut client = site.gripd.get("/x/a");
    client.head();
    client.expect_stream("1234");
    client.expect_last_chunk();
    assert_eq!(
        site.backend.asked(),
        ["GET /x/a", "GET /x/y/b?q=1", "GET /x/c", "GET /absolute"]
    );
    let hosts: Vec<_> = site
        .backend
        .requests()
        .iter()
        .map(|r| r.head.get("Host").unwrap().to_owned())
        .collect();
    let own = addr.to_string();
    assert_eq!(hosts, ["h.test", "h.test", "h.test", own.as_str()]);
}

/// Six attempts, then the end. The second one waits until keep-alives came: they go on while a
/// link is failing, which one version of Pushpin forgets.
#[test]
fn v078_a_link_that_always_fails_ends_the_stream() {
    let (go_on, told) = mpsc::channel::<()>();
    let told = Mutex::new((0, told));
    let held = stream(&[
        "Grip-Channel: a",
        "Grip-Keep-Alive: K; timeout=1; mode=interval",
        NEXT,
    ]);
    let backend = Backend::start(move |request, reply| {
        if !request.head.target().ends_with("/next") {
            reply.send(&held);
            return;
        }
        let mut told = told.lock().unwrap();
        told.0 += 1;
        if told.0 == 2 {
            let _ = told.1.recv_timeout(PATIENCE);
        }
        reply.send(answer("500 Internal Server Error", "", "no\n"));
    });
    let site = Site::behind(backend, |c| calm(c).set("GRIP_LINK_BACKOFF", "20ms"));
    let mut client = site.stream("/debug/");
    site.hint("a");
    eventually("the second attempt", || site.backend.asked().len() == 3);
    client.expect_stream("KKKK");
    go_on.send(()).unwrap();
    let (rest, ended) = client.chunks_to_end();
    assert!(ended, "the stream ends properly");
    let rest = String::from_utf8_lossy(&rest).into_owned();
    let text = rest.trim_start_matches('K');
    assert!(text.contains("next link"), "debug tells why: {rest:?}");
    assert_eq!(site.backend.asked().len(), 1 + 6);
}

#[test]
fn v079_a_link_that_recovers_goes_on() {
    let (begun, seen) = mpsc::channel();
    let (go_on, told) = mpsc::channel::<()>();
    let state = Mutex::new((0, begun, told));
    let held = stream(&["Grip-Channel: a", NEXT]);
    let okay = stream_with(&["Grip-Channel: a", NEXT], "okay\n");
    let backend = Backend::start(move |request, reply| {
        if request.head.target() != "/next" {
            reply.send(&held);
            return;
        }
        let mut state = state.lock().unwrap();
        state.0 += 1;
        if state.0 < 3 {
            reply.send(answer("404 Not Found", "", "no\n"));
        } else {
            let _ = state.1.send(());
            let _ = state.2.recv_timeout(PATIENCE);
            reply.send(&okay);
        }
    });
    let site = Site::behind(backend, |c| calm(c).set("GRIP_LINK_BACKOFF", "20ms"));
    let mut client = site.stream("/");
    site.hint("a");
    seen.recv_timeout(PATIENCE).expect("a third attempt");
    site.gripd.push("a", "during\n");
    go_on.send(()).unwrap();
    client.expect_stream("okay\nduring\n");
    site.gripd.push("a", "after\n");
    client.expect_stream("after\n");
}

#[test]
fn v080_a_link_must_not_answer_something_else() {
    for (page, word) in [
        (poll(&["Grip-Channel: a"]), "hold"),
        (instruct(&["Grip-Hold: foo"], "late\n"), "Grip-Hold"),
        (
            json_instruct(r#"{"response":{"body":"x"}}"#),
            "grip-instruct",
        ),
    ] {
        let site = Site::new([
            ("/", vec![stream(&["Grip-Channel: a", NEXT])]),
            ("/next", vec![page]),
        ]);
        for (path, debug) in [("/", false), ("/debug/", true)] {
            let mut client = site.stream(path);
            site.hint("a");
            let (rest, ended) = client.chunks_to_end();
            assert!(ended, "{word}: the stream ends properly");
            let rest = String::from_utf8_lossy(&rest).into_owned();
            if debug {
                assert!(
                    rest.to_lowercase().contains(&word.to_lowercase()),
                    "{rest:?} does not name {word:?}"
                );
            } else {
                assert_eq!(rest, "", "{word}: nothing of it reaches the client");
            }
        }
    }
}

/// Pushpin asks once for all whose links differ only in the query, and so hands one client's
/// data to another. gripd shares only what is the same in every respect.
#[test]
fn v081_links_that_differ_are_not_shared() {
    let waiting = Mutex::new(0);
    let all = std::sync::Condvar::new();
    let backend = Backend::start(move |request, reply| {
        let (path, id) = request.head.target().split_once("?id=").unwrap();
        let link = format!("Grip-Link: </next?id={id}>; rel=next; timeout=60");
        let held = ["Grip-Channel: a", link.as_str()];
        if path == "/next" {
            // All four are held at once, or they could not be shared anyway.
            let mut waiting = waiting.lock().unwrap();
            *waiting += 1;
            all.notify_all();
            let _ = all.wait_timeout_while(waiting, PATIENCE, |n| *n < 4);
            reply.send(stream_with(&held, &format!("for {id}\n")));
        } else {
            reply.send(stream(&held));
        }
    });
    let site = Site::behind(backend, calm);
    let mut clients: Vec<_> = (0..4).map(|n| site.stream(&format!("/?id={n}"))).collect();
    site.hint("a");
    for (n, client) in clients.iter_mut().enumerate() {
        client.expect_stream(&format!("for {n}\n"));
    }
    assert_eq!(site.asked("GET /next"), 4);
}

#[test]
fn v082_an_item_that_does_not_follow_fetches_the_link() {
    let held = |id: &str| format!("Grip-Channel: a; prev-id={id}");
    let site = Site::new([
        ("/", vec![stream(&[&held("9"), NEXT])]),
        ("/next", vec![stream_with(&[&held("15"), NEXT], "fresh,")]),
    ]);
    let mut client = site.stream("/");
    let mut first = unordered("a", "10", "9");
    first["no-seq"] = false.into();
    site.gripd.publish(&json!([
        first,
        unordered("a", "12", "10"),
        unordered("a", "15", "14"),
    ]));
    client.expect_stream("10,12,fresh,");
    assert_eq!(site.last_ids(), ["a; last-id=12"]);
    site.gripd.publish(&json!([unordered("a", "16", "15")]));
    client.expect_stream("16,");
    assert_eq!(site.asked("GET /next"), 1);
}
