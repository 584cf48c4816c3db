//! Vectors 53, 54 and 56 to 65: a long-poll's request goes to the backend again, and says what it
//! knows.

use std::sync::{Mutex, mpsc};

use serde_json::{Value, json};

use crate::{
    site::{Site, calm, plain, poll, stream},
    support::{Backend, PATIENCE, eventually},
};

/// A poll that is held first and answered plainly when it is asked again.
fn once(headers: &[&str]) -> Vec<Vec<u8>> {
    vec![poll(headers), plain("fresh\n")]
}

fn answer_item(channel: &str, id: &str, prev: &str) -> Value {
    json!({"channel": channel, "id": id, "prev-id": prev,
           "http-response": {"body": format!("item {id}\n")}})
}

#[test]
fn v053_hint_repeats_the_request_with_grip_last() {
    let site = Site::new([("/", once(&["Grip-Channel: a; prev-id=5"]))]);
    let mut client = site.gripd.client();
    client.request("GET", "/?q=1", &["X-Mine: m"], "");
    site.gripd.wait_log("hold begins");
    site.gripd.publish(&json!([
        {"channel": "a", "id": "6", "prev-id": "5", "http-response": {"action": "hint"}}
    ]));
    assert_eq!(client.response().text(), "fresh\n");
    assert_eq!(site.backend.asked(), ["GET /?q=1", "GET /?q=1"]);
    assert_eq!(site.last_ids(), ["a; last-id=6"]);
    assert_eq!(site.backend.last().head.get("X-Mine"), Some("m"));
}

#[test]
fn v054_a_channel_without_prev_id_has_no_grip_last() {
    let site = Site::new([("/", once(&["Grip-Channel: a"]))]);
    let mut client = site.poll("/");
    site.hint("a");
    assert_eq!(client.response().text(), "fresh\n");
    assert_eq!(site.last_ids(), [""; 0]);
}

#[test]
fn v056_an_item_that_does_not_follow_asks_again() {
    let mut without = answer_item("a", "9", "");
    without.as_object_mut().unwrap().remove("prev-id");
    for item in [answer_item("a", "9", "8"), without] {
        let site = Site::new([("/", once(&["Grip-Channel: a; prev-id=1"]))]);
        let mut client = site.poll("/");
        site.gripd.publish(&json!([item]));
        assert_eq!(client.response().text(), "fresh\n", "{item}");
        assert_eq!(site.last_ids(), ["a; last-id=1"]);
    }
}

#[test]
fn v057_a_channel_that_is_further_on_asks_again() {
    let site = Site::new([
        ("/s", vec![stream(&["Grip-Channel: a"])]),
        ("/p", once(&["Grip-Channel: a; prev-id=1"])),
    ]);
    let mut other = site.stream("/s");
    site.gripd
        .publish(&json!([{"channel": "a", "id": "2", "http-stream": {"content": "x"}}]));
    other.expect_stream("x");
    assert_eq!(site.gripd.fetch("/p").text(), "fresh\n");
    assert_eq!(site.last_ids(), ["a; last-id=1"]);
}

/// The poll's channel is remembered while its client is away between two polls.
#[test]
fn v058_what_was_published_between_two_polls_is_noticed() {
    let site = Site::new([
        ("/1", vec![poll(&["Grip-Channel: a"])]),
        ("/2", once(&["Grip-Channel: a; prev-id=5"])),
    ]);
    let mut client = site.poll("/1");
    site.gripd.publish(&json!([answer_item("a", "5", "4")]));
    assert_eq!(client.response().text(), "item 5\n");
    drop(client);
    site.gripd.publish(&json!([answer_item("a", "6", "5")]));
    assert_eq!(site.gripd.fetch("/2").text(), "fresh\n");
    assert_eq!(site.last_ids(), ["a; last-id=5"]);
}

#[test]
fn v059_a_channel_is_forgotten_when_it_lingers_no_longer() {
    let site = Site::set_up(
        [
            ("/1", vec![poll(&["Grip-Channel: a"])]),
            ("/2", once(&["Grip-Channel: a; prev-id=5"])),
        ],
        |c| calm(c).set("GRIP_SUBSCRIPTION_LINGER", "0s"),
    );
    let mut client = site.poll("/1");
    site.gripd.publish(&json!([answer_item("a", "5", "4")]));
    assert_eq!(client.response().text(), "item 5\n");
    site.gripd.wait_subscribers("a", "http-response", 0);
    site.gripd.publish(&json!([answer_item("a", "6", "5")]));
    let mut client = site.poll("/2");
    // Held: only the item that follows answers it.
    site.gripd.publish(&json!([answer_item("a", "7", "5")]));
    assert_eq!(client.response().text(), "item 7\n");
    assert_eq!(site.asked("GET /2"), 1);
}

#[test]
fn v060_every_channel_with_a_prev_id_is_told() {
    let site = Site::new([(
        "/",
        once(&[
            r#"Grip-Channel: a; prev-id=1, b; prev-id="2;x""#,
            "Grip-Channel: c",
        ]),
    )]);
    let mut client = site.poll("/");
    site.hint("c");
    assert_eq!(client.response().text(), "fresh\n");
    assert_eq!(site.last_ids(), ["a; last-id=1", "b; last-id=2;x"]);
}

#[test]
fn v061_the_first_poll_of_a_channel_asks_again() {
    let site = Site::set_up(
        [
            ("/first", vec![poll(&["Grip-Channel: a"])]),
            ("/second", vec![poll(&["Grip-Channel: a"])]),
            ("/other", vec![poll(&["Grip-Channel: b"])]),
        ],
        |c| c.set("GRIP_UPDATE_DELAY", "200ms"),
    );
    let mut first = site.gripd.get("/first");
    eventually("the first poll asks again", || {
        site.asked("GET /first") == 2
    });
    site.gripd.wait_subscribers("a", "http-response", 1);
    let mut second = site.poll("/second");
    // By the time that a later channel was asked again, this one would have been.
    let _other = site.gripd.get("/other");
    eventually("the other poll asks again", || {
        site.asked("GET /other") == 2
    });
    assert_eq!(
        (site.asked("GET /first"), site.asked("GET /second")),
        (2, 1)
    );
    site.gripd.wait_subscribers("a", "http-response", 2);
    site.gripd.answer_polls("a", "news\n");
    assert_eq!(first.response().text(), "news\n");
    assert_eq!(second.response().text(), "news\n");
}

#[test]
fn v062_the_first_poll_asks_once_if_so_set() {
    let site = Site::one(poll(&["Grip-Channel: a", "Grip-Timeout: 5"]));
    assert_eq!(site.gripd.fetch("/").text(), "late\n");
    assert_eq!(site.asked("GET /"), 1);
}

#[test]
fn v063_a_posted_body_is_sent_again() {
    let site = Site::new([("/", once(&["Grip-Channel: a"]))]);
    let mut client = site.gripd.client();
    client.request("POST", "/", &[], "abc");
    site.gripd.wait_subscribers("a", "http-response", 1);
    site.hint("a");
    assert_eq!(client.response().text(), "fresh\n");
    assert_eq!(site.backend.asked(), ["POST /", "POST /"]);
    let bodies: Vec<_> = site
        .backend
        .requests()
        .into_iter()
        .map(|r| r.body)
        .collect();
    assert_eq!(bodies, [b"abc", b"abc"]);
}

#[test]
fn v064_a_backend_that_fails_the_second_time_is_a_502() {
    let asked = Mutex::new(0);
    let page = poll(&["Grip-Channel: a"]);
    let backend = Backend::start(move |_, reply| {
        let mut asked = asked.lock().unwrap();
        *asked += 1;
        if *asked == 1 {
            reply.send(&page);
        } else {
            reply.close();
        }
    });
    let site = Site::behind(backend, calm);
    let mut client = site.poll("/");
    site.hint("a");
    assert_eq!(client.response().status(), 502);
}

/// Pushpin loses it: its subscription is gone while it asks. gripd keeps what comes meanwhile.
#[test]
fn v065_what_comes_while_the_backend_is_asked_again_is_delivered() {
    let (begun, seen) = mpsc::channel();
    let (go_on, told) = mpsc::channel::<()>();
    let (begun, told) = (Mutex::new((0, begun)), Mutex::new(told));
    let page = poll(&["Grip-Channel: a"]);
    let backend = Backend::start(move |_, reply| {
        let second = {
            let mut begun = begun.lock().unwrap();
            begun.0 += 1;
            let _ = begun.1.send(());
            begun.0 == 2
        };
        if second {
            let _ = told.lock().unwrap().recv_timeout(PATIENCE);
        }
        reply.send(&page);
    });
    let site = Site::behind(backend, calm);
    let mut client = site.poll("/");
    site.hint("a");
    for _ in 0..2 {
        seen.recv_timeout(PATIENCE).expect("the backend is asked");
    }
    site.gripd.answer_polls("a", "meanwhile\n");
    go_on.send(()).unwrap();
    assert_eq!(client.response().text(), "meanwhile\n");
    assert_eq!(site.asked("GET /"), 2);
}
