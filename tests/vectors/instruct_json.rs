//! Vectors 29 to 38: the instruct as JSON, and what filters make of a first body.

use serde_json::{Value, json};

use crate::{
    site::{Site, plain, poll},
    support::{Response, answer, instruct, json_instruct},
};

/// The answer of gripd to this JSON instruct.
fn seen(json: &str) -> Response {
    Site::one(json_instruct(json)).gripd.fetch("/")
}

/// A JSON instruct with these header lines.
fn json_with(headers: &str, json: &str) -> Vec<u8> {
    let headers = format!("Content-Type: application/grip-instruct\r\n{headers}");
    answer("200 OK", &headers, json)
}

/// What a patch makes of a poll's `{"a":1,"l":[1,2,3]}`.
fn patched(patch: &Value) -> Response {
    let page = answer(
        "200 OK",
        "Grip-Hold: response\r\nGrip-Channel: a\r\n",
        "{\"a\":1,\"l\":[1,2,3]}\n",
    );
    let site = Site::one(page);
    let mut client = site.poll("/");
    site.gripd
        .publish(&json!([{"channel": "a", "http-response": {"body-patch": patch}}]));
    client.response()
}

#[test]
fn v029_the_response_is_what_the_json_says() {
    let json = r#"{"response":{"code":201,"reason":"Yo","headers":[["X-A","1"],["X-A","2"]],"body-bin":"aGk="}}"#;
    let with_charset = answer(
        "200 OK",
        "Content-Type: application/grip-instruct; charset=utf-8\r\n",
        json,
    );
    for page in [json_instruct(json), with_charset] {
        let response = Site::one(page).gripd.fetch("/");
        assert_eq!((response.status(), response.head.reason()), (201, "Yo"));
        assert_eq!(response.head.all("X-A"), ["1", "2"]);
        assert_eq!(response.text(), "hi");
    }
}

/// `true` is the number 1 to Pushpin, which then answers with status 1. gripd takes codes from 200
/// to 999: below are those that end no exchange, or none at all.
#[test]
fn v030_codes_are_read_leniently_within_what_can_be_sent() {
    for (code, status) in [
        (r#""404""#, 404),
        ("404.6", 405),
        ("true", 502),
        ("null", 502),
        ("[]", 502),
        ("1000", 502),
    ] {
        let response = seen(&format!(r#"{{"response":{{"code":{code},"body":"x"}}}}"#));
        assert_eq!(response.status(), status, "{code}");
    }
}

#[test]
fn v031_json_that_is_no_instruct_is_refused() {
    let rows = [
        ("{", "JSON"),
        ("[]", "object"),
        (r#"{"hold":5}"#, "hold"),
        (r#"{"hold":{"mode":"stream"}}"#, "channels"),
        (r#"{"hold":{"channels":["a"]}}"#, "channels"),
        (
            r#"{"hold":{"channels":[{"name":"a"}],"meta":{"kay":1}}}"#,
            "kay",
        ),
    ];
    for (json, word) in rows {
        let text = Site::one(json_instruct(json)).refusal("/");
        assert!(
            text.contains(word),
            "{json}: {text:?} does not name {word:?}"
        );
    }
    let created = answer(
        "201 Created",
        "Content-Type: application/grip-instruct\r\n",
        "{}",
    );
    let text = Site::one(created).refusal("/");
    assert!(text.contains("200"), "{text:?}");
}

/// Pushpin refuses an instruct without a body; nothing is wrong with an empty one.
#[test]
fn v032_an_instruct_without_body_has_an_empty_one() {
    for (json, status) in [
        ("{}", 200),
        (r#"{"response":{"code":204}}"#, 204),
        (r#"{"response":{"code":204,"body":""}}"#, 204),
        (r#"{"response":{"body":""}}"#, 200),
    ] {
        let response = seen(json);
        assert_eq!(
            (response.status(), response.text()),
            (status, String::new()),
            "{json}"
        );
    }
}

/// `add` in the middle of a list inserts, as RFC 6902 says; Pushpin replaces there.
#[test]
fn v033_a_patch_changes_the_instructs_body() {
    let response = patched(&json!([
        {"op": "replace", "path": "/a", "value": "z"},
        {"op": "add", "path": "/l/1", "value": 9},
        {"op": "add", "path": "/l/-", "value": 7},
        {"op": "add", "path": "/n", "value": null},
    ]));
    assert_eq!(response.status(), 200);
    assert_eq!(
        response.text(),
        "{\"a\":\"z\",\"l\":[1,9,2,3,7],\"n\":null}\n"
    );
}

/// One version answers 200 with an empty body, as if that were the news.
#[test]
fn v034_a_patch_that_fails_is_a_502() {
    let response = patched(&json!([{"op": "remove", "path": "/zz"}]));
    assert_eq!(response.status(), 502);
}

#[test]
fn v035_json_lies_over_the_headers() {
    let site = Site::one(json_with(
        "Grip-Hold: response\r\nGrip-Channel: Hd\r\nGrip-Status: 404 X\r\n\
         Grip-Set-Meta: user=h\r\nGrip-Keep-Alive: no; mode=idle; timeout=30\r\n",
        r#"{"hold":{"mode":"stream","channels":[{"name":"J","filters":["var-subst"]}],
            "meta":{"u2":"j"},"keep-alive":{"content-bin":"Sw==","timeout":1}},
            "response":{"body":"hi\n"}}"#,
    ));
    let mut client = site.gripd.get("/");
    let head = client.head();
    assert_eq!((head.status(), head.reason()), (404, "X"));
    client.expect_stream("hi\n");
    // Keep-alives are written between: they are what the JSON says.
    let mut read = |text: &str| {
        for byte in text.bytes() {
            while let [got] = client.stream_bytes(1)[..]
                && got != byte
            {
                assert_eq!(got, b'K', "before {:?} of {text:?}", char::from(byte));
            }
        }
    };
    assert_eq!(site.gripd.push("Hd", "header\n"), 1);
    assert_eq!(site.gripd.push("J", "%(user)s %(u2)s\n"), 1);
    read("header\nh j\nKK");
}

#[test]
fn v036_a_json_instruct_may_have_a_next_link() {
    let site = Site::new([
        (
            "/",
            vec![json_with(
                "Grip-Link: </n>; rel=next\r\n",
                r#"{"response":{"body":"x\n"}}"#,
            )],
        ),
        ("/n", vec![plain("next\n")]),
    ]);
    let mut client = site.gripd.get("/");
    let head = client.head();
    assert!(head.status() == 200 && head.is_chunked(), "{:?}", head.raw);
    client.expect_stream("x\nnext\n");
    client.expect_last_chunk();
}

#[test]
fn v037_headers_of_the_json_are_sent_but_framing_is_gripds() {
    let response = seen(
        r#"{"response":{"headers":{"Grip-X":"1","Content-Length":"99","Connection":"keep-alive"},
            "body":"hi"}}"#,
    );
    assert_eq!(response.head.get("Grip-X"), Some("1"));
    assert_eq!(response.head.all("Content-Length"), ["2"]);
    assert!(!response.head.has("Connection"), "{:?}", response.head.raw);
    assert_eq!(response.text(), "hi");
}

#[test]
fn v038_a_filter_that_fails_on_the_first_body_refuses_it() {
    let page = |headers: &[&str]| instruct(headers, "id=%I");
    let site = Site::new([
        (
            "/",
            vec![page(&[
                "Grip-Channel: a; filter=build-id",
                "Grip-Set-Meta: id_format=x",
            ])],
        ),
        ("/poll", vec![poll(&["Grip-Channel: a"])]),
    ]);
    let text = site.refusal("/");
    assert!(text.contains("build-id"), "{text:?}");
}
