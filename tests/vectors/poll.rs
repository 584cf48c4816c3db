//! Vectors 46 to 52, 55 and 66 to 68: what is published answers long-polls.

use serde_json::{Value, json};

use crate::{
    site::{Site, plain, poll},
    support::{Head, Response},
};

/// A poll on channel `a` with these headers, answered by this item.
fn answered(headers: &[&str], item: &Value) -> Response {
    let site = Site::one(poll(&[&["Grip-Channel: a"], headers].concat()));
    let mut client = site.poll("/");
    site.gripd
        .publish(&json!([{"channel": "a", "http-response": item}]));
    client.response()
}

/// The names of a head that are neither framing nor gripd's own, in order.
fn names(head: &Head) -> Vec<String> {
    head.lines()
        .map(|(name, _)| name.to_ascii_lowercase())
        .filter(|name| !["content-length", "connection", "date"].contains(&name.as_str()))
        .collect()
}

#[test]
fn v046_the_items_headers_come_behind_the_instructs() {
    let response = answered(
        &["X-Orig: 1", "X-Two: o"],
        &json!({"code": 201, "reason": "Yep", "body": "hello\n",
                "headers": {"X-Two": "pub", "X-Pub": "2", "Grip-Foo": "z"}}),
    );
    assert_eq!((response.status(), response.head.reason()), (201, "Yep"));
    assert_eq!(
        names(&response.head),
        ["content-type", "x-orig", "x-pub", "x-two"]
    );
    assert_eq!(response.head.get("X-Two"), Some("pub"));
    assert_eq!(response.text(), "hello\n");
}

#[test]
fn v047_the_instructs_status_is_not_the_items() {
    let response = answered(&["Grip-Status: 404 Foo"], &json!({"body": "hi\n"}));
    assert_eq!((response.status(), response.head.reason()), (200, "OK"));
}

/// Pushpin removes the headers that an item's `Grip-Expose-Headers` lists. They stay.
#[test]
fn v048_headers_an_item_exposes_are_not_removed() {
    let response = answered(
        &["X-Orig: 1", "X-Two: o"],
        &json!({"body": "x", "headers":
                {"Grip-Expose-Headers": "X-Orig, X-Pub", "X-Pub": "2"}}),
    );
    assert_eq!(response.head.get("X-Orig"), Some("1"));
    assert_eq!(response.head.get("X-Pub"), Some("2"));
    assert!(!response.head.has("Grip-Expose-Headers"));
}

#[test]
fn v049_a_name_the_item_sets_is_the_items_alone() {
    let response = answered(
        &["Set-Cookie: a=1", "Set-Cookie: b=2"],
        &json!({"body": "hello\n", "headers": {
            "content-type": "text/html", "set-cookie": "c=3", "Content-Length": "99",
            "Connection": "close", "Transfer-Encoding": "chunked"}}),
    );
    assert_eq!(response.head.all("Set-Cookie"), ["c=3"]);
    assert_eq!(response.head.all("Content-Type"), ["text/html"]);
    assert_eq!(response.head.all("Content-Length"), ["6"]);
    assert!(!response.head.has("Transfer-Encoding"));
    assert_eq!(response.text(), "hello\n");
}

#[test]
fn v050_an_answer_of_204_has_no_body() {
    let site = Site::one(poll(&["Grip-Channel: a"]));
    let mut client = site.poll("/");
    site.gripd
        .publish(&json!([{"channel": "a", "http-response": {"code": 204, "body": "x"}}]));
    assert_eq!(client.head().status(), 204);
    client.get("/");
    site.gripd.wait_subscribers("a", "http-response", 1);
    site.gripd.answer_polls("a", "next\n");
    assert_eq!(client.response().text(), "next\n");
}

#[test]
fn v051_what_is_for_streams_answers_no_poll() {
    let site = Site::one(poll(&["Grip-Channel: a"]));
    let mut client = site.poll("/");
    assert_eq!(site.gripd.push("a", "not this\n"), 0);
    assert_eq!(site.gripd.answer_polls("a", "this\n"), 1);
    assert_eq!(client.response().text(), "this\n");
}

#[test]
fn v052_close_does_nothing_to_a_poll() {
    let site = Site::one(poll(&["Grip-Channel: a", "Grip-Timeout: 5"]));
    let mut client = site.poll("/");
    site.gripd
        .publish(&json!([{"channel": "a", "http-response": {"action": "close"}}]));
    assert_eq!(client.response().text(), "late\n");
    assert_eq!(site.asked("GET /"), 1);
}

#[test]
fn v055_an_item_that_follows_answers() {
    let site = Site::one(poll(&["Grip-Channel: a; prev-id=1"]));
    let mut client = site.poll("/");
    site.gripd.publish(&json!([
        {"channel": "a", "id": "2", "prev-id": "1", "http-response": {"body": "two\n"}}
    ]));
    assert_eq!(client.response().text(), "two\n");
    assert_eq!(site.asked("GET /"), 1);
}

#[test]
fn v066_the_new_instruct_brings_its_own_meta() {
    let page = |user: &str| {
        poll(&[
            "Grip-Channel: a; filter=skip-self",
            &format!("Grip-Set-Meta: user={user}"),
        ])
    };
    let site = Site::new([("/", vec![page("a"), page("b")])]);
    let mut client = site.poll("/");
    site.hint("a");
    site.backend.wait_requests(2);
    site.gripd.wait_subscribers("a", "http-response", 1);
    let from = |sender: &str| {
        json!({"channel": "a", "meta": {"sender": sender},
               "http-response": {"body": format!("from {sender}\n")}})
    };
    site.gripd.publish(&json!([from("b"), from("a")]));
    assert_eq!(client.response().text(), "from a\n");
}

/// One version sends an empty 200, the other a 502. A client that is to know nothing of the cause
/// goes on waiting for the next item; on a debug route it is told.
#[test]
fn v067_an_item_that_cannot_be_filled_in_is_skipped() {
    let site = Site::one(poll(&["Grip-Channel: a; filter=var-subst"]));
    let item = |body: &str| json!({"channel": "a", "http-response": {"body": body}});
    let mut client = site.poll("/");
    site.gripd
        .publish(&json!([item("x %(q)s\n"), item("100%%\n")]));
    let response = client.response();
    assert_eq!((response.status(), response.text()), (200, "100%\n".into()));

    let mut client = site.poll("/debug/");
    site.gripd.publish(&json!([item("x %(q)s\n")]));
    let response = client.response();
    assert_eq!(response.status(), 502);
    assert!(
        response.text().contains("var-subst"),
        "{:?}",
        response.text()
    );
}

#[test]
fn v068_a_connection_serves_another_request_after_an_answer() {
    let site = Site::new([
        ("/", vec![poll(&["Grip-Channel: a"])]),
        ("/plain", vec![plain("plain\n")]),
    ]);
    let mut client = site.poll("/");
    site.gripd.answer_polls("a", "news\n");
    assert_eq!(client.response().text(), "news\n");
    assert_eq!(client.fetch("/plain").text(), "plain\n");
}
