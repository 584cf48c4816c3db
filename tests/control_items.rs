//! What a publisher may hand in beyond items of one channel, and items that a filter asks the
//! backend about, through the real binary: each reaches whom it is meant for and nobody else.
#![cfg(feature = "server")]
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

#[path = "vectors/site.rs"]
#[allow(dead_code, reason = "the vectors use the rest of it")]
mod site;
mod support;

use std::sync::Arc;

use serde_json::{Value, json};
use site::{Site, calm, plain, poll, stream};
use support::{Backend, Door, Gripd, Wire, answer};

/// The ids of the clients' connections, in the order in which the backend was asked.
fn ids(site: &Site) -> Vec<String> {
    let requests = site.backend.requests();
    let ids = requests
        .iter()
        .map(|r| r.head.all("Grip-Connection").concat());
    ids.collect()
}

fn close(id: &str) -> Value {
    json!({"connection": id, "action": "close"})
}

fn text(channel: &str, content: &str) -> Value {
    json!({"channel": channel, "http-stream": {"content": content}})
}

fn check_streams(gripd: &Gripd, channel: &str, clients: &mut [Wire]) {
    gripd.push(channel, "still here\n");
    for client in clients {
        client.expect_stream("still here\n");
    }
}

#[test]
fn one_connection_is_closed_by_its_id_and_others_stay() {
    let site = Site::set_up([("/", vec![stream(&["Grip-Channel: a"])])], |c| {
        calm(c).threads(2)
    });
    let mut clients: Vec<Wire> = (0..4).map(|_| site.stream("/")).collect();
    let mut ids = ids(&site);
    for n in [1, 0] {
        let mut closed = clients.remove(n);
        let id = ids.remove(n);
        assert!(!id.is_empty() && !ids.contains(&id), "{id} {ids:?}");
        // What was published before goes out before.
        site.gripd.publish(&json!([
            text("a", "before\n"),
            close(&id),
            text("a", "after\n")
        ]));
        closed.expect_stream("before\n");
        closed.expect_last_chunk();
        for client in &mut clients {
            client.expect_stream("before\nafter\n");
        }
        // It is nobody's any more.
        site.gripd.publish(&json!([close(&id)]));
        check_streams(&site.gripd, "a", &mut clients);
    }
    for nobody in ["", "x", "0000000000000000", "zzzzzzzzzzzzzzzz", "a"] {
        site.gripd.publish(&json!([close(nobody)]));
    }
    check_streams(&site.gripd, "a", &mut clients);
}

/// The id is the connection's, whatever is asked on it and however often.
#[test]
fn a_poll_keeps_its_id_while_it_asks_again() {
    let held = || vec![poll(&["Grip-Channel: a"])];
    let site = Site::new([("/", held()), ("/2", held()), ("/plain", vec![plain("x")])]);
    let mut client = site.gripd.client();
    assert_eq!(client.fetch("/plain").text(), "x");
    client.get("/");
    site.gripd.wait_subscribers("a", "http-response", 1);
    let mut other = site.poll("/2");
    site.hint("a");
    site.backend.wait_requests(5);
    let requests = site.backend.requests();
    let id_of = |target: &str| {
        let of_target = requests.iter().filter(|r| r.head.target() == target);
        let mut ids: Vec<_> = of_target
            .map(|r| r.head.get("Grip-Connection").unwrap())
            .collect();
        ids.dedup();
        assert_eq!(ids.len(), 1, "{target} has one id: {ids:?}");
        ids[0].to_owned()
    };
    assert_eq!(id_of("/plain"), id_of("/"));
    assert_ne!(id_of("/2"), id_of("/"));
    site.gripd.publish(&json!([close(&id_of("/"))]));
    // What it was to be answered with at its timeout.
    assert_eq!(client.response().text(), "late\n");
    site.gripd.wait_subscribers("a", "http-response", 1);
    site.gripd.answer_polls("a", "news\n");
    assert_eq!(other.response().text(), "news\n");
}

/// One item for several channels: once for each subscription, in the order of the channel's ids.
#[test]
fn an_item_of_several_channels_reaches_each_subscription() {
    let site = Site::new([
        ("/both", vec![stream(&["Grip-Channel: a, b"])]),
        (
            "/link",
            vec![stream(&[
                "Grip-Channel: b; prev-id=0",
                "Grip-Link: </none>; rel=next; timeout=3600",
            ])],
        ),
        ("/poll", vec![poll(&["Grip-Channel: a, b"])]),
        ("/other", vec![stream(&["Grip-Channel: d"])]),
    ]);
    let mut both = site.stream("/both");
    let mut linked = site.stream("/link");
    let mut poll = site.poll("/poll");
    let mut other = site.stream("/other");
    let item = |id: u32| {
        json!({
            "channels": ["a", "b", "a", "nobody's"], "id": id.to_string(),
            "prev-id": (id - 1).to_string(),
            "http-stream": {"content": format!("{id},")}, "http-response": {"body": "news\n"}
        })
    };
    // A poll on two of them is answered once; its connection goes on.
    assert_eq!(site.gripd.publish(&json!([item(1)])), [5]);
    both.expect_stream("1,1,");
    linked.expect_stream("1,");
    assert_eq!(poll.response().text(), "news\n");
    poll.get("/poll");
    site.gripd.wait_subscribers("a", "http-response", 1);
    // The second one waits for its predecessor on both channels; the first one is known already.
    site.gripd.publish(&json!([item(3), item(1), item(2)]));
    let mut found = both.stream_bytes(8);
    found.sort_unstable();
    assert_eq!(String::from_utf8_lossy(&found), ",,,,2233");
    linked.expect_stream("2,3,");
    assert_eq!(poll.response().text(), "news\n");
    // Channels are apart from each other as ever.
    site.gripd
        .publish(&json!([text("a", "a\n"), text("d", "d\n")]));
    both.expect_stream("a\n");
    other.expect_stream("d\n");
    site.gripd.push("b", "b\n");
    both.expect_stream("b\n");
}

/// A session whose filter waits for its backend holds nobody up, not even on its own thread: no
/// plain one, and none that asks the same backend about something else.
#[test]
fn a_slow_check_holds_up_its_own_session_only() {
    let door = Door::shut();
    let behind = Arc::clone(&door);
    let backend = Backend::start(move |request, reply| {
        let checked = |url: &str| {
            let meta = format!("Grip-Set-Meta: url={url}");
            stream(&["Grip-Channel: a; filter=http-check, b", &meta])
        };
        match request.head.target() {
            "/ask" => {
                behind.pass();
                reply.ok("", "");
            }
            "/refuse" => {
                reply.send(answer("200 OK", "Action: drop\r\n", ""));
            }
            "/quick" => reply.ok("", ""),
            "/plain" => {
                reply.send(stream(&["Grip-Channel: a, b"]));
            }
            path => {
                reply.send(checked(path.trim_start_matches("/of")));
            }
        }
    });
    let site = Site::behind(backend, |c| calm(c).threads(1));
    let mut slow = site.stream("/of/ask");
    let leaving = site.stream("/of/ask");
    let mut refused = site.stream("/of/refuse");
    let mut others = [site.stream("/plain"), site.stream("/of/quick")];
    for n in 1..=5 {
        site.gripd.push("a", &format!("item {n}\n"));
        for other in &mut others {
            other.expect_stream(&format!("item {n}\n"));
        }
        // New ones come and go, too.
        assert_eq!(site.gripd.fetch("/quick").status(), 200);
    }
    door.wait_came(2);
    assert_eq!(door.came(), 2, "a session asks about one item at a time");
    // One that leaves while its filter asks is gone.
    drop(leaving);
    site.gripd.wait_subscribers("a", "http-stream", 4);
    door.open();
    slow.expect_stream("item 1\nitem 2\nitem 3\nitem 4\nitem 5\n");
    site.gripd.push("b", "end\n");
    for client in [&mut slow, &mut refused].into_iter().chain(&mut others) {
        client.expect_stream("end\n");
    }
}
