//! What is held for pages of other sites: streams and long-polls, what is published to them, and
//! what ends them.

use serde_json::json;

use super::{OF_AN_ERROR, argument, cors, get, script, serving, site, usual};
use crate::support::{Gripd, Wire, answer, instruct};

/// A client whose hold has begun.
fn held(gripd: &Gripd, target: &str, headers: &[&str]) -> Wire {
    let from = gripd.log().len();
    let mut client = gripd.client();
    client.request("GET", target, headers, "");
    gripd.wait_log_from(from, "hold begins");
    client
}

fn poll(headers: &[&str]) -> Vec<u8> {
    let all = [&["Grip-Hold: response", "Grip-Channel: a"], headers].concat();
    instruct(&all, "late\n")
}

#[test]
fn an_item_answers_long_polls_of_all_kinds() {
    let (gripd, _backend) = serving(poll(&["X-A: 1", "X-A: 2", "Cache-Control: no-store"]));
    let mut plain = held(&gripd, "/plain", &[]);
    let mut cross = held(&gripd, "/aco", &["Origin: http://o"]);
    let mut extended = held(&gripd, "/aco?callback=f", &[]);
    let mut other = held(&gripd, "/aco?callback=other", &[]);
    let mut basic = held(&gripd, "/jpb?callback=f", &[]);
    gripd.publish(&json!([{"channel": "a", "http-response":
        {"code": 404, "headers": {"X-P": "p"}, "body": "he\"llo\n"}}]));

    let response = plain.response();
    assert_eq!((response.status(), &*response.text()), (404, "he\"llo\n"));
    assert_eq!(cors(&response.head), [""; 0]);
    let response = cross.response();
    assert_eq!((response.status(), &*response.text()), (404, "he\"llo\n"));
    assert_eq!(
        cors(&response.head)[1..4],
        [
            "Expose-Headers: X-A, X-P",
            "Allow-Credentials: true",
            "Allow-Origin: http://o"
        ]
    );
    let rest = "({\"body\":\"he\\\"llo\\n\",\"code\":404,\"headers\":{\"Cache-Control\":\
                \"no-store\",\"Content-Type\":\"text/plain\",\"X-A\":\"1, 2\",\"X-P\":\"p\"},\
                \"reason\":\"Not Found\"});\n";
    let response = extended.response();
    assert_eq!(script(&response), format!("/**/f{rest}"));
    assert_eq!(response.head.get("Cache-Control"), Some("no-store"));
    assert_eq!(response.head.all("Content-Type").len(), 1);
    assert_eq!(response.head.all("X-A"), ["1", "2"]);
    assert_eq!(script(&other.response()), format!("/**/other{rest}"));
    assert_eq!(script(&basic.response()), "/**/f(he\"llo);\n");
    // The connection goes on.
    extended.get("/aco?callback=f&x");
    gripd.wait_subscribers("a", "http-response", 1);
    gripd.answer_polls("a", "again");
    assert_eq!(argument(&script(&extended.response()))["body"], "again");
}

#[test]
fn what_an_items_patch_makes_is_wrapped() {
    let raw = instruct(&["Grip-Hold: response", "Grip-Channel: a"], "{\"n\":1}");
    let (gripd, _backend) = serving(raw);
    let mut client = held(&gripd, "/aco?callback=f", &[]);
    let patch = json!([{"op": "replace", "path": "/n", "value": 2}]);
    gripd.publish(&json!([{"channel": "a", "http-response": {"body-patch": patch}}]));
    assert_eq!(argument(&script(&client.response()))["body"], "{\"n\":2}");
}

#[test]
fn a_time_out_is_wrapped() {
    // JSON has times below the five seconds that the header has at least.
    let (gripd, _backend) = serving(poll(&["Grip-Timeout: 1", "Grip-Status: 202 Nothing"]));
    let mut cross = held(&gripd, "/aco", &[]);
    let mut extended = held(&gripd, "/aco?callback=f", &[]);
    let mut basic = held(&gripd, "/jpb?callback=f", &[]);
    let response = cross.response();
    assert_eq!((response.status(), cors(&response.head).len()), (202, 4));
    let told = argument(&script(&extended.response()));
    assert_eq!(
        (&told["code"], &told["reason"]),
        (&202.into(), &"Nothing".into())
    );
    assert_eq!(told["body"], "late\n");
    assert_eq!(script(&basic.response()), "/**/f(late);\n");
}

#[test]
fn a_poll_is_asked_again_as_it_was_and_its_answer_wrapped() {
    let (gripd, backend) = site(|request, reply| {
        let again = request.nth > 0 || request.head.has("X-Again");
        reply.send(if again { usual() } else { poll(&[]) });
    });
    let target = "/aco?callback=f&_method=PUT&_body=b&q=1";
    let mut client = held(&gripd, target, &["X-Own: 1"]);
    gripd.publish(&json!([{"channel": "a", "http-response": {"action": "hint"}}]));
    let told = argument(&script(&client.response()));
    assert_eq!(told["headers"]["X-Q"], "q");
    assert_eq!(backend.asked(), ["PUT /aco?q=1", "PUT /aco?q=1"]);
    for request in backend.requests() {
        assert_eq!(request.body, b"b");
        assert_eq!(request.head.get("X-Own"), Some("1"));
    }
}

/// Pushpin does not wrap a stream, which is no JavaScript then.
#[test]
fn a_stream_is_one_call_for_each_kind_of_client() {
    let raw = instruct(
        &["Grip-Hold: stream", "Grip-Channel: a", "X-A: 1"],
        "\"hi\"\n",
    );
    let (gripd, _backend) = serving(raw);
    let targets = [
        "/plain",
        "/aco",
        "/aco?callback=f",
        "/aco?callback=f2",
        "/jpb?callback=f",
    ];
    let mut clients: Vec<Wire> = targets.map(|target| held(&gripd, target, &[])).into();
    let mut old = gripd.client();
    let from = gripd.log().len();
    old.send("GET /aco?callback=f HTTP/1.0\r\nHost: h.test\r\n\r\n");
    gripd.wait_log_from(from, "hold begins");
    for text in ["o\"ne\n", "é", "\u{2028}"] {
        assert_eq!(gripd.push("a", text), 6);
    }
    // A batch is joined for each client.
    let batch: Vec<_> = ["t", "w\\", "o\n"]
        .iter()
        .map(|text| json!({"channel": "a", "http-stream": {"content": text}}))
        .collect();
    gripd.publish(&batch.into());
    gripd.close_streams("a");

    let all = "\"hi\"\no\"ne\né\u{2028}tw\\o\n";
    let told = |response: &str| argument(response)["body"].as_str().unwrap().to_owned();
    let plain = clients[0].response();
    assert_eq!((plain.text(), cors(&plain.head).len()), (all.to_owned(), 0));
    let cross = clients[1].response();
    assert_eq!((cross.text(), cors(&cross.head).len()), (all.to_owned(), 5));
    let extended = clients[2].response();
    let text = script(&extended);
    assert!(extended.head.is_chunked());
    assert_eq!(
        text,
        "/**/f({\"code\": 200, \"reason\": \"OK\", \"headers\": {\"Content-Type\":\"text/plain\",\
         \"X-A\":\"1\"}, \"body\": \"\\\"hi\\\"\\no\\\"ne\\né\\u2028tw\\\\o\\n\"});\n"
    );
    assert_eq!(told(&text), all);
    let other = script(&clients[3].response());
    assert_eq!(other, text.replacen("f(", "f2(", 1));
    assert_eq!(script(&clients[4].response()), format!("/**/f({all});\n"));
    let head = old.head();
    assert_eq!(head.get("Content-Type"), Some("application/javascript"));
    assert_eq!(old.rest(), text.as_bytes());
    // The end of a call is the end of an answer, not of its connection.
    clients[2].get("/aco?callback=f");
    clients[2].head();
    clients[2].expect_stream("/**/f(");
}

#[test]
fn keep_alives_and_next_links_stay_inside_the_call() {
    let (gripd, _backend) = site(|request, reply| {
        let raw = if request.head.target().contains("next") {
            instruct(&["Grip-Hold: stream", "Grip-Channel: a"], "li\"nk\n")
        } else {
            let link = "Grip-Link: </aco/next>; rel=next";
            let keep = "Grip-Keep-Alive: k\"\\n; format=cstring; timeout=1; mode=interval";
            instruct(&["Grip-Hold: stream", "Grip-Channel: a", link, keep], "")
        };
        reply.send(raw);
    });
    let mut client = held(&gripd, "/aco?callback=f", &[]);
    client.head();
    client.expect_stream(
        "/**/f({\"code\": 200, \"reason\": \"OK\", \"headers\": {\"Content-Type\":\"text/plain\"}, \
         \"body\": \"",
    );
    client.expect_stream("k\\\"\\n");
    gripd.publish(&json!([{"channel": "a", "http-stream": {"action": "hint"}}]));
    // Further keep-alives may come before the link's body.
    let mut seen = String::new();
    while !seen.ends_with("li\\\"nk\\n") {
        seen.push_str(std::str::from_utf8(&client.chunk()).unwrap());
    }
    assert!(
        !seen.replace("k\\\"\\n", "").contains('"') || seen.contains("li\\\"nk"),
        "{seen}"
    );
    gripd.close_streams("a");
    client.expect_stream("\"});\n");
    client.expect_last_chunk();
}

#[test]
fn a_stream_with_a_long_first_body_is_one_call() {
    let long = "x\"".repeat(75_000);
    let raw = instruct(&["Grip-Hold: stream", "Grip-Channel: a"], &long);
    let (gripd, _backend) = serving(raw);
    let mut clients =
        ["/aco?callback=f", "/jpb?callback=f"].map(|target| held(&gripd, target, &[]));
    gripd.wait_subscribers("a", "http-stream", 2);
    gripd.push("a", "y\"\n");
    gripd.close_streams("a");
    let told = argument(&script(&clients[0].response()));
    assert_eq!(told["body"], format!("{long}y\"\n"));
    assert_eq!(
        script(&clients[1].response()),
        format!("/**/f({long}y\"\n);\n")
    );
}

#[test]
fn an_instruct_without_a_hold_and_a_broken_one_are_wrapped() {
    let (gripd, _backend) = site(|request, reply| {
        let raw = if request.head.target().contains("broken") {
            instruct(&["Grip-Hold: nonsense"], "")
        } else {
            instruct(&["Grip-Channel: a", "X-A: 1"], "bo\"dy\n")
        };
        reply.send(raw);
    });
    assert_eq!(
        script(&gripd.fetch("/aco?callback=f")),
        "/**/f({\"code\": 200, \"reason\": \"OK\", \"headers\": {\"Content-Type\":\"text/plain\",\
         \"X-A\":\"1\"}, \"body\": \"bo\\\"dy\\n\"});\n"
    );
    assert_eq!(cors(&gripd.fetch("/aco").head)[1], "Expose-Headers: X-A");
    let told = argument(&script(&gripd.fetch("/aco/broken?callback=f")));
    assert_eq!(told["code"], 502);
    let broken = gripd.fetch("/aco/broken");
    assert_eq!(broken.status(), 502);
    assert_eq!(cors(&broken.head), OF_AN_ERROR);
}

#[test]
fn a_poll_that_cannot_go_on_is_wrapped() {
    let (gripd, mut backend) = site(|_, reply| {
        reply.send(poll(&[]));
    });
    let mut client = held(&gripd, "/aco?callback=f", &[]);
    let mut cross = held(&gripd, "/aco", &[]);
    backend.stop();
    gripd.publish(&json!([{"channel": "a", "http-response": {"action": "hint"}}]));
    assert_eq!(argument(&script(&client.response()))["code"], 502);
    let response = cross.response();
    assert_eq!(response.status(), 502);
    assert_eq!(cors(&response.head), OF_AN_ERROR);
}

#[test]
fn a_grip_of_a_backend_reaches_no_page() {
    let raw = answer("200 OK", "Grip-Foo: x\r\nContent-Type: text/plain\r\n", "b");
    let (gripd, _backend) = serving(raw);
    let response = get(&gripd, "/aco", &[]);
    assert!(!cors(&response.head).join("\n").contains("Grip"));
    let text = script(&gripd.fetch("/aco?callback=f"));
    assert!(!text.contains("Grip"), "{text}");
}
