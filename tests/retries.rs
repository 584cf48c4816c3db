//! Long-polls that ask their backend again, through the real binary: the request stays what the
//! client sent, nothing that is published meanwhile is lost, and the connection goes on.
#![cfg(feature = "server")]
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

#[path = "vectors/site.rs"]
#[allow(dead_code, reason = "the vectors use the rest of it")]
mod site;
mod support;

use std::sync::Arc;

use serde_json::{Value, json};
use site::{Site, calm, plain, poll, stream};
use support::{Backend, Door, Head, Request};

/// A poll of `/` that is held whenever it asks; asking again waits for the door.
fn behind(door: &Arc<Door>, first: Vec<u8>, then: Vec<u8>) -> Site {
    let door = Arc::clone(door);
    let asked = std::sync::atomic::AtomicBool::new(false);
    let backend = Backend::start(move |request, reply| {
        if request.head.target() != "/" {
            reply.send(stream(&["Grip-Channel: a"]));
        } else if asked.swap(true, std::sync::atomic::Ordering::SeqCst) {
            door.pass();
            reply.send(&then);
        } else {
            reply.send(&first);
        }
    });
    Site::behind(backend, calm)
}

/// An answer for the polls of channel `a`.
fn news(id: &str, prev: &str) -> Value {
    json!({"channel": "a", "id": id, "prev-id": prev,
           "http-response": {"body": format!("news {id}\n")}})
}

/// What the client's own headers are: gripd's, which may differ from one request to the next, are
/// left out, and so is what frames the body.
fn own(head: &Head) -> Vec<(String, String)> {
    let theirs = |name: &str| {
        let name = name.to_ascii_lowercase();
        !name.starts_with("grip-")
            && !["content-length", "transfer-encoding", "expect"].contains(&name.as_str())
    };
    head.lines()
        .filter(|(name, _)| theirs(name))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// The two requests of the backend differ in nothing that the client sent.
fn expect_same(requests: &[Request]) -> &Request {
    let [first, again] = requests else {
        panic!("two requests, not {}", requests.len());
    };
    assert_eq!(first.head.first_line(), again.head.first_line());
    assert_eq!(own(&first.head), own(&again.head));
    assert_eq!(first.body, again.body);
    again
}

#[test]
fn a_request_is_repeated_as_it_was() {
    let lines = "x-one: 1\r\nCookie: a=b; c=\"d:e\"\r\nX-Two:  two words \r\nx-ONE: again\r\n\
                 X-Empty:\r\n";
    let table = [
        ("GET", "", "", ""),
        ("DELETE", "Content-Length: 0\r\n", "", ""),
        ("PUT", "Content-Length: 5\r\n", "a\r\nbc", "a\r\nbc"),
        ("OPTIONS", "Content-Length: 1\r\n", "x", "x"),
        (
            "POST",
            "Transfer-Encoding: chunked\r\n",
            "3\r\nabc\r\n2;ext=1\r\nde\r\n0\r\n\r\n",
            "abcde",
        ),
        ("REPORT", "Transfer-Encoding: chunked\r\n", "0\r\n\r\n", ""),
    ];
    for (method, framing, raw, body) in table {
        let site = Site::new([(
            "/p%20a",
            vec![poll(&["Grip-Channel: a; prev-id=1"]), plain("fresh\n")],
        )]);
        let mut client = site.gripd.client();
        client.send(format!(
            "{method} /p%20a?q=%2f HTTP/1.1\r\nHost: h.test\r\n{lines}{framing}\r\n{raw}"
        ));
        site.gripd.wait_subscribers("a", "http-response", 1);
        site.hint("a");
        assert_eq!(client.response().text(), "fresh\n", "{method}");
        let requests = site.backend.requests();
        let again = expect_same(&requests);
        assert_eq!(again.body, body.as_bytes(), "{method}");
        let (first, name) = (&requests[0].head, "x-one");
        assert_eq!(first.all(name), ["1", "again"], "{method}");
        let last = |head: &Head| head.all("Grip-Last").concat();
        assert_eq!(
            (last(first), last(&again.head)),
            (String::new(), "a; last-id=1".into())
        );
    }
}

/// The client is told to go on once: the second time its body is there already.
#[test]
fn a_body_that_waited_to_be_asked_for_is_repeated() {
    for framing in ["Content-Length: 3", "Transfer-Encoding: chunked"] {
        let site = Site::new([("/", vec![poll(&["Grip-Channel: a"]), plain("fresh\n")])]);
        let mut client = site.gripd.client();
        client.send(format!(
            "POST / HTTP/1.1\r\nHost: h.test\r\nExpect: 100-continue\r\n{framing}\r\n\r\n"
        ));
        assert_eq!(client.head().status(), 100);
        let chunked = framing.starts_with('T');
        client.send(if chunked {
            "3\r\nabc\r\n0\r\n\r\n"
        } else {
            "abc"
        });
        site.gripd.wait_subscribers("a", "http-response", 1);
        site.hint("a");
        let answer = client.response();
        assert_eq!((answer.status(), answer.text().as_str()), (200, "fresh\n"));
        assert_eq!(expect_same(&site.backend.requests()).body, b"abc");
        // The connection goes on.
        assert_eq!(client.fetch("/").text(), "fresh\n");
    }
}

#[test]
fn a_request_sent_ahead_is_answered_after_the_repeated_one() {
    let pages = [
        ("/", vec![poll(&["Grip-Channel: a"]), plain("fresh\n")]),
        ("/2", vec![plain("two\n")]),
        ("/3", vec![plain("three\n")]),
    ];
    let site = Site::new(pages);
    let mut client = site.gripd.client();
    client.send(
        "POST / HTTP/1.1\r\nHost: h.test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n\
         0\r\n\r\nPOST /2 HTTP/1.1\r\nHost: h.test\r\nContent-Length: 3\r\n\r\nde",
    );
    site.gripd.wait_subscribers("a", "http-response", 1);
    // Part of it comes while the poll is held.
    client.send("f");
    site.hint("a");
    assert_eq!(client.response().text(), "fresh\n");
    client.get("/3");
    assert_eq!(client.response().text(), "two\n");
    assert_eq!(client.response().text(), "three\n");
    let (asked, requests) = (site.backend.asked(), site.backend.requests());
    assert_eq!(asked, ["POST /", "POST /", "POST /2", "GET /3"]);
    let bodies: Vec<&[u8]> = requests.iter().map(|r| r.body.as_slice()).collect();
    assert_eq!(bodies, [b"abc".as_slice(), b"abc", b"def", b""]);
}

/// An item with an id that comes while the backend is asked: it is delivered if it follows what
/// the backend then says, and not twice if that has it already.
#[test]
fn an_item_with_an_id_that_comes_meanwhile_is_delivered_if_it_follows() {
    let held = |id: &str| poll(&[&format!("Grip-Channel: a; prev-id={id}")]);
    for (then, first_answer) in [("1", "news 2\n"), ("2", "news 3\n")] {
        let door = Door::shut();
        let site = behind(&door, held("1"), held(then));
        let mut client = site.poll("/");
        site.hint("a");
        door.wait_came(1);
        site.gripd.publish(&json!([news("2", "1")]));
        door.open();
        if then == "2" {
            site.gripd.wait_subscribers("a", "http-response", 1);
            site.gripd.publish(&json!([news("3", "2")]));
        }
        assert_eq!(client.response().text(), first_answer, "prev-id={then}");
    }
}

/// The backend was asked before the item was stored: it is asked once more, and no more.
#[test]
fn an_item_that_does_not_follow_after_a_retry_asks_again() {
    let door = Door::shut();
    let site = behind(
        &door,
        poll(&["Grip-Channel: a; prev-id=1"]),
        poll(&["Grip-Channel: a; prev-id=2"]),
    );
    let mut client = site.poll("/");
    site.hint("a");
    door.wait_came(1);
    site.gripd.publish(&json!([news("4", "3")]));
    door.open();
    door.wait_came(2);
    let mut missing = news("3", "2");
    missing["no-seq"] = true.into();
    site.gripd.publish(&json!([missing]));
    assert_eq!(client.response().text(), "news 3\n");
}

/// A client that leaves while its backend is asked again leaves nothing behind.
#[test]
fn a_client_may_leave_while_the_backend_is_asked_again() {
    let door = Door::shut();
    let held = poll(&["Grip-Channel: a"]);
    let site = behind(&door, held.clone(), held);
    let client = site.poll("/");
    site.hint("a");
    door.wait_came(1);
    site.gripd.wait_subscribers("a", "http-response", 1);
    drop(client);
    site.gripd.wait_subscribers("a", "http-response", 0);
    door.open();
    // Others go on.
    let mut other = site.stream("/stream");
    site.gripd.push("a", "item\n");
    other.expect_stream("item\n");
}
