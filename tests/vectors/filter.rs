//! Vectors 97 to 104: filters of a subscription, and what an item asks of them.

use std::sync::{Mutex, mpsc};

use serde_json::{Value, json};

use crate::{
    site::{Site, calm, item, stream, with_meta},
    support::{Backend, PATIENCE, Request, Wire, answer},
};

/// A stream on `a` with these filters and this meta; and the same on the debug route.
fn held(filters: &[&str], meta: &str) -> (Site, Wire, Wire) {
    let site = Site::one(page(filters, meta));
    let (client, debug) = (site.stream("/"), site.stream("/debug/"));
    (site, client, debug)
}

fn page(filters: &[&str], meta: &str) -> Vec<u8> {
    let filters: Vec<String> = filters.iter().map(|f| format!("; filter={f}")).collect();
    let channel = format!("Grip-Channel: a{}", filters.concat());
    let meta = format!("Grip-Set-Meta: {meta}");
    stream(&[&channel, &meta])
}

/// The stream ended and its last words name `word`.
fn ended_with(client: &mut Wire, word: &str) {
    let (rest, ended) = client.chunks_to_end();
    assert!(ended, "{word}: the stream ends properly");
    let rest = String::from_utf8_lossy(&rest).into_owned();
    assert!(rest.contains(word), "{rest:?} does not name {word:?}");
}

fn content(text: &str) -> Value {
    json!({"channel": "a", "http-stream": {"content": text}})
}

/// What cannot be filled in is no news for this session: one version ends it, the other sends
/// nothing as if it were something. On a debug route the session ends and says so.
#[test]
fn v097_variables_are_filled_in() {
    let (site, mut client, mut debug) = held(&["var-subst"], "q=Q");
    site.gripd.publish(&json!([
        content("<%(q)s>"),
        content("100%%"),
        content("%(nope)s"),
        content("<on>"),
    ]));
    client.expect_stream("<Q>100%<on>");
    debug.expect_stream("<Q>100%");
    ended_with(&mut debug, "var-subst");
}

/// An item whose `content-filters` are not those of the subscription is not for it.
#[test]
fn v098_content_filters_must_be_the_subscriptions() {
    let asking = |filters: Value, text: &str| json!({"channel": "a", "http-stream": {"content": text, "content-filters": filters}});
    let items = json!([
        asking(json!([]), "none,"),
        asking(json!(["var-subst"]), "one,"),
        asking(json!(["skip-self", "var-subst"]), "both,"),
        content("end"),
    ]);
    let (site, mut client, mut debug) = held(&["skip-self", "var-subst"], "q=Q");
    site.gripd.publish(&items);
    client.expect_stream("one,end");
    ended_with(&mut debug, "filter");

    let (site, mut client, _debug) = held(&[], "q=Q");
    site.gripd.publish(&items);
    client.expect_stream("none,end");
}

#[test]
fn v099_an_unknown_filter_does_nothing() {
    let (site, mut client, mut debug) = held(&["no-such"], "q=Q");
    site.gripd.publish(&json!([content("x")]));
    client.expect_stream("x");
    debug.expect_stream("x");
}

/// The id is the item's own. One version puts that of the item before it there.
#[test]
fn v100_build_id_puts_the_items_id_in() {
    let site = Site::one(stream(&[
        "Grip-Channel: a; prev-id=5; filter=build-id",
        "Grip-Set-Meta: id_format=e%(a)s",
        "Grip-Link: </>; rel=next; timeout=60",
    ]));
    let mut client = site.stream("/");
    let numbered = |id: &str, prev: &str| {
        let mut item = item("a", id, prev);
        item["http-stream"]["content"] = "id: %I\n".into();
        item
    };
    site.gripd
        .publish(&json!([numbered("6", "5"), numbered("7", "6")]));
    client.expect_stream("id: e6\nid: e7\n");
}

/// A site whose `/ask` answers the first request with the first answer, and so on. Returns what
/// the stream got of `m0,` `m1,` … up to `end`.
fn asked(filter: &str, answers: Vec<Vec<u8>>) -> (Site, String) {
    let count = answers.len() - 1;
    let site = Site::new([
        ("/", vec![page(&[filter], "url=/ask, user=u")]),
        ("/ask", answers),
    ]);
    let mut client = site.stream("/");
    let mut items: Vec<Value> = (0..count)
        .map(|n| with_meta("a", &format!("m{n},"), &json!({"k": n.to_string()})))
        .collect();
    items.push(content("end"));
    site.gripd.publish(&json!(items));
    let mut got = String::new();
    while !got.ends_with("end") {
        got.push(char::from(client.stream_bytes(1)[0]));
    }
    (site, got)
}

/// The questions that filters asked.
fn questions(site: &Site) -> Vec<Request> {
    let mut all = site.backend.requests();
    all.retain(|r| r.head.target() == "/ask");
    all
}

fn drop_it() -> Vec<u8> {
    answer("200 OK", "Action: drop\r\n", "dropped,")
}

#[test]
fn v101_http_check_asks_whether_to_deliver() {
    let (site, got) = asked(
        "http-check",
        vec![
            answer("200 OK", "", "ignored"),
            drop_it(),
            answer("204 No Content", "", ""),
            answer("500 Internal Server Error", "", "no"),
            answer("200 OK", "", ""),
        ],
    );
    assert_eq!(got, "m0,m2,end");
    let first = questions(&site).swap_remove(0);
    assert_eq!((first.head.method(), first.body.len()), ("POST", 0));
    let meta = |name: &str| -> Value {
        serde_json::from_str(first.head.get(name).expect("meta is told")).unwrap()
    };
    assert_eq!(meta("Sub-Meta"), json!({"url": "/ask", "user": "u"}));
    assert_eq!(meta("Pub-Meta"), json!({"k": "0"}));
    assert!(first.head.has("Grip-Sig"), "{}", first.head.raw);
}

#[test]
fn v102_http_modify_asks_what_to_deliver() {
    let unchanged = answer("204 No Content", "", "");
    let (site, got) = asked(
        "http-modify",
        vec![
            answer("200 OK", "", "<m0\n>"),
            unchanged.clone(),
            drop_it(),
            answer("200 OK", "", "x".repeat(100_001)),
            unchanged,
        ],
    );
    assert_eq!(got, "<m0\n>m1,end");
    assert_eq!(questions(&site)[1].body, b"m1,");
}

#[test]
fn v103_an_item_waits_for_the_one_that_is_being_checked() {
    let (begun, seen) = mpsc::channel();
    let (go_on, told) = mpsc::channel::<()>();
    let state = Mutex::new((begun, told));
    let page = stream(&[
        "Grip-Channel: a; filter=http-check, b",
        "Grip-Set-Meta: url=/ask",
    ]);
    let backend = Backend::start(move |request, reply| {
        if request.head.target() == "/ask" {
            let state = state.lock().unwrap();
            let _ = state.0.send(());
            let _ = state.1.recv_timeout(PATIENCE);
            reply.ok("", "");
        } else {
            reply.send(&page);
        }
    });
    let site = Site::behind(backend, calm);
    let mut client = site.stream("/");
    site.gripd.push("a", "a,");
    seen.recv_timeout(PATIENCE).expect("the backend is asked");
    site.gripd.push("b", "b,");
    go_on.send(()).unwrap();
    client.expect_stream("a,b,");
}

#[test]
fn v104_require_sub_wants_another_channel() {
    let site = Site::one(stream(&["Grip-Channel: a; filter=require-sub, other"]));
    let mut client = site.stream("/");
    site.gripd.publish(&json!([
        with_meta("a", "subscribed,", &json!({"require_sub": "other"})),
        with_meta("a", "not subscribed,", &json!({"require_sub": "nope"})),
        with_meta("a", "not asked,", &json!({})),
    ]));
    client.expect_stream("subscribed,not asked,");
}
