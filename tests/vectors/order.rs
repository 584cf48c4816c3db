//! Vectors 85 to 96: which items reach a stream, and in which order.

use serde_json::{Value, json};

use crate::{
    site::{Site, calm, item, poll, stream, unordered},
    support::{Backend, Gripd, Wire, eventually},
};

/// A stream on `a`, with these settings.
fn held(settings: &[(&str, &str)]) -> (Site, Wire) {
    let site = Site::set_up([("/", vec![stream(&["Grip-Channel: a, b"])])], |c| {
        settings
            .iter()
            .fold(calm(c), |c, (name, value)| c.set(name, value))
    });
    let client = site.stream("/");
    (site, client)
}

/// Long enough that a batch is never torn, short enough to wait for.
const WAIT: (&str, &str) = ("GRIP_MESSAGE_WAIT", "500ms");
const CACHE: (&str, &str) = ("GRIP_ID_CACHE_TTL", "60s");

/// An item without id that is delivered at once.
fn mark(text: &str) -> Value {
    json!({"channel": "a", "no-seq": true, "http-stream": {"content": text}})
}

#[test]
fn v085_an_id_is_delivered_once() {
    let (site, mut client) = held(&[CACHE]);
    site.gripd.publish(&json!([
        item("a", "1", ""),
        item("a", "1", ""),
        unordered("a", "1", ""),
        item("a", "2", ""),
    ]));
    client.expect_stream("1,2,");
}

#[test]
fn v086_an_id_counts_also_when_nobody_is_there() {
    let site = Site::set_up([("/", vec![stream(&["Grip-Channel: a"])])], |c| {
        calm(c).set(CACHE.0, CACHE.1)
    });
    site.gripd.publish(&json!([item("a", "x1", "")]));
    let mut client = site.stream("/");
    site.gripd
        .publish(&json!([item("a", "x1", ""), item("a", "x2", "")]));
    client.expect_stream("x2,");
}

#[test]
fn v087_ids_belong_to_their_channel() {
    let (site, mut client) = held(&[CACHE]);
    site.gripd
        .publish(&json!([item("a", "1", ""), item("b", "1", "")]));
    client.expect_stream("1,1,");
}

#[test]
fn v088_items_come_in_the_order_of_their_ids() {
    let (site, mut client) = held(&[]);
    site.gripd.publish(&json!([
        item("a", "1", ""),
        item("a", "3", "2"),
        item("a", "4", "3"),
        item("a", "2", "1"),
    ]));
    client.expect_stream("1,2,3,4,");
}

#[test]
fn v089_an_item_does_not_wait_for_ever() {
    let (site, mut client) = held(&[WAIT]);
    site.gripd.publish(&json!([
        item("a", "1", ""),
        item("a", "3", "2"),
        item("a", "4", "3"),
        mark("at once,"),
    ]));
    client.expect_stream("1,at once,3,4,");
    // One that comes too late waits just as long.
    site.gripd
        .publish(&json!([item("a", "2", "1"), mark("at once,")]));
    client.expect_stream("at once,2,");
}

#[test]
fn v090_items_that_wait_for_nobody_pass() {
    let (site, mut client) = held(&[WAIT]);
    site.gripd.publish(&json!([
        item("a", "1", ""),
        item("a", "3", "2"),
        item("a", "9", ""),
        {"channel": "a", "http-stream": {"content": "no id,"}},
        item("a", "20", "19"),
    ]));
    client.expect_stream("1,9,no id,20,3,");
}

#[test]
fn v091_no_seq_neither_waits_nor_counts() {
    let (site, mut client) = held(&[]);
    site.gripd.publish(&json!([
        item("a", "1", ""),
        unordered("a", "3", "2"),
        item("a", "2", "1"),
    ]));
    client.expect_stream("1,3,2,");
}

#[test]
fn v092_only_one_item_waits_for_another() {
    let (site, mut client) = held(&[]);
    site.gripd.publish(&json!([
        item("a", "1", ""),
        item("a", "3a", "2"),
        item("a", "3b", "2"),
        item("a", "2", "1"),
        mark("end"),
    ]));
    client.expect_stream("1,2,3a,end");
}

#[test]
fn v093_a_batch_keeps_its_order_over_channels() {
    let (site, mut client) = held(&[]);
    let items: Vec<Value> = (0..40)
        .map(|n| {
            let channel = if n % 3 == 0 { "a" } else { "b" };
            json!({"channel": channel, "http-stream": {"content": format!("{n},")}})
        })
        .collect();
    site.gripd.publish(&json!(items));
    for n in 0..40 {
        client.expect_stream(&format!("{n},"));
    }
}

/// Pushpin paces every receiver of an item, and drops those above `message_hwm`. gripd takes
/// neither key: what is published is delivered.
#[test]
fn v094_pushpins_message_rate_is_not_applied() {
    let backend = Backend::serving([
        ("/s", stream(&["Grip-Channel: a"])),
        ("/p", poll(&["Grip-Channel: p"])),
    ]);
    let gripd = Gripd::start(|c| {
        calm(c)
            .file("routes", &format!("* {}\n", backend.addr))
            .file(
                "pushpin.conf",
                "[proxy]\nroutesfile=routes\n[handler]\nmessage_rate=5\nmessage_hwm=3\n",
            )
            .arg("--config=pushpin.conf")
    });
    let mut client = gripd.stream("/s", "hi\n");
    let items: Vec<Value> = (0..10).map(|n| item("a", &n.to_string(), "")).collect();
    gripd.publish(&json!(items));
    client.expect_stream("0,1,2,3,4,5,6,7,8,9,");
    let mut polls: Vec<Wire> = (0..6).map(|_| gripd.get("/p")).collect();
    gripd.wait_subscribers("p", "http-response", 6);
    gripd.answer_polls("p", "news\n");
    for poll in &mut polls {
        assert_eq!(poll.response().text(), "news\n");
    }
    gripd.wait_log("message_rate");
}

/// What is dropped does not make its id live longer: it is published all the time.
#[test]
fn v095_an_id_is_forgotten_in_time() {
    let (site, mut client) = held(&[("GRIP_ID_CACHE_TTL", "500ms")]);
    let mut rounds = 0;
    let mut published = || {
        rounds += 1;
        site.gripd.publish(&json!([item("a", "1", ""), mark(".")]));
        let first = client.stream_bytes(1);
        if first == b"1" {
            client.expect_stream(",.");
        }
        first == b"1"
    };
    assert!(published(), "the first time");
    eventually("the id is forgotten", &mut published);
    assert!(rounds > 2, "one was dropped before");
}

#[test]
fn v096_base64_is_read_leniently() {
    let (site, mut client) = held(&[]);
    site.gripd
        .publish(&json!([{"channel": "a", "http-stream": {"content-bin": "!!AAE*CAw"}}]));
    assert_eq!(client.stream_bytes(4), [0, 1, 2, 3]);
}
