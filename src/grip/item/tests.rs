//! Every condition of the publish format, and properties of what is accepted.

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::grip::{
    format::{
        MessageFormat, MessageKind, ResponseBody, ResponseContent, ResponseFormat, StreamFormat,
    },
    instruct::Header,
    text::{is_clean, is_token},
};

#[expect(clippy::needless_pass_by_value, reason = "called with literals")]
fn parse(item: Value) -> Result<Item, String> {
    let body = json!({ "items": [item] }).to_string();
    match parse_batch(body.as_bytes()) {
        Ok(mut entries) => match entries.remove(0) {
            Entry::Item(item) => Ok(item),
            other @ Entry::Close { .. } => panic!("{other:?}"),
        },
        Err(error) => Err(error.to_string()),
    }
}

/// One item with this form.
#[expect(clippy::needless_pass_by_value, reason = "called with literals")]
fn with(form: &str, value: Value) -> Result<Item, String> {
    parse(json!({ "channel": "c", "formats": { form: value } }))
}

fn response(value: Value) -> ResponseContent {
    match with("http-response", value).unwrap().formats.response {
        Some(ResponseFormat::Send(content)) => content,
        other => panic!("{other:?}"),
    }
}

fn message(value: Value) -> MessageFormat {
    with("ws-message", value).unwrap().formats.message.unwrap()
}

#[test]
fn batches_that_are_none() {
    for body in ["{", "", "\u{feff}{}", "{\"items\":[]}x"] {
        let error = parse_batch(body.as_bytes()).unwrap_err();
        assert!(matches!(error, ItemError::Json { .. }), "{body:?}");
    }
    for body in ["5", "[]", "null", "\"a\""] {
        assert_eq!(
            parse_batch(body.as_bytes()),
            Err(ItemError::Shape),
            "{body:?}"
        );
    }
    let text = |body: &str| parse_batch(body.as_bytes()).unwrap_err().to_string();
    assert_eq!(text("{}"), "items is missing; it must be a list of items");
    assert_eq!(
        text("{\"items\":{}}"),
        "items is an object; it must be a list"
    );
    assert_eq!(parse_batch(b"{\"items\":[]}"), Ok(vec![]));
}

#[test]
fn deep_nesting_is_refused_without_recursing_into_it() {
    let body = format!("{{\"items\":{}", "[".repeat(1_000_000));
    assert!(matches!(
        parse_batch(body.as_bytes()),
        Err(ItemError::Json { .. })
    ));
}

#[test]
fn one_bad_item_refuses_the_batch_and_is_named() {
    let body = br#"{"items":[{"channel":"a","http-stream":{"content":"x"}},{"channel":"b"}]}"#;
    let error = parse_batch(body).unwrap_err().to_string();
    assert!(error.starts_with("items[1].formats is missing"), "{error}");
}

#[test]
fn an_item_with_all_its_fields() {
    let item = parse(json!({
        "channel": "", "id": "", "prev-id": "p", "no-seq": true, "size": "12",
        "meta": {"sender": "me"}, "user-tags": 5, "other": {},
        "formats": {"http-stream": {"content": "x"}, "zzz": 5},
        "http-response": 5,
    }));
    let item = item.unwrap();
    assert_eq!(item.channels, [""]);
    let ids = Ids {
        id: Some(""),
        prev_id: Some("p"),
        no_seq: true,
    };
    assert_eq!(item.ids(), ids);
    assert_eq!(item.id.as_deref(), Some(""));
    assert_eq!(item.prev_id.as_deref(), Some("p"));
    assert!(item.no_seq);
    assert_eq!(item.size, Some(12));
    assert_eq!(item.meta["sender"], "me");
    assert_eq!(item.formats.response, None, "formats hide the shorthand");
    let content_filters = None;
    let content = Bytes::from("x");
    assert_eq!(
        item.formats.stream,
        Some(StreamFormat::Send {
            content,
            content_filters
        })
    );
}

#[test]
fn faults_of_an_item_name_the_field() {
    let stream = json!({"content": "x"});
    for (field, value, want) in [
        (
            "channel",
            json!(5),
            "items[0].channel is a number; it must be a string",
        ),
        (
            "id",
            json!(5),
            "items[0].id is a number; it must be a string",
        ),
        (
            "id",
            json!(null),
            "items[0].id is null; it must be a string",
        ),
        (
            "id",
            json!("a\nb"),
            "items[0].id is 'a\\nb'; it must be text without control",
        ),
        (
            "prev-id",
            json!(null),
            "items[0].prev-id is null; it must be a string",
        ),
        (
            "meta",
            json!([]),
            "items[0].meta is a list; it must be an object",
        ),
        (
            "meta",
            json!({"K": 1}),
            "items[0].meta.K is a number; it must be a string",
        ),
        (
            "size",
            json!(-1),
            "items[0].size is '-1'; it must be a number of bytes, 0 or more",
        ),
        ("size", json!(null), "items[0].size is null; it must be"),
        (
            "no-seq",
            json!(1),
            "items[0].no-seq is a number; it must be true or false",
        ),
        (
            "formats",
            json!([]),
            "items[0].formats is a list; it must be an object",
        ),
        (
            "formats",
            json!(null),
            "items[0].formats is null; it must be an object",
        ),
        (
            "formats",
            json!({}),
            "items[0].formats is '{}'; it must be an object with http-response",
        ),
        (
            "http-stream",
            json!(null),
            "items[0].http-stream is null; it must be an object",
        ),
    ] {
        let mut item = json!({"channel": "c", "http-stream": stream});
        item[field] = value;
        let error = parse(item).unwrap_err();
        assert!(error.starts_with(want), "{error}\nwanted {want}");
    }
}

#[test]
fn an_item_is_an_object_with_a_channel() {
    let stream = json!({"content": "x"});
    let error = parse(json!("x")).unwrap_err();
    assert_eq!(error, "items[0] is a string; it must be an object");
    let error = parse(json!({"http-stream": stream})).unwrap_err();
    assert_eq!(
        error,
        "items[0].channel is missing; it must be a string, unless there is channels or connection"
    );
    let sized = json!({"channel": "c", "http-stream": stream, "size": "x"});
    assert_eq!(parse(sized).unwrap().size, Some(0));
}

#[test]
fn unknown_forms_are_forms_too() {
    assert_eq!(with("zzz", json!({})).unwrap().formats, Formats::default());
}

#[test]
fn an_item_may_have_many_channels_each_once() {
    let channels = |fields: Value| {
        let mut item = json!({"http-stream": {"content": "x"}});
        let fields = fields.as_object().unwrap().clone();
        item.as_object_mut().unwrap().extend(fields);
        parse(item).map(|item| item.channels)
    };
    for (fields, want) in [
        (json!({"channel": "a"}), vec!["a"]),
        (json!({"channels": ["a"]}), vec!["a"]),
        (
            json!({"channel": "b", "channels": ["a", "", "b", "a"]}),
            vec!["b", "a", ""],
        ),
        // What names a connection is looked at only where there is no channel.
        (
            json!({"channel": "a", "connection": 5, "action": 5}),
            vec!["a"],
        ),
    ] {
        assert_eq!(channels(fields).unwrap(), want);
    }
    let names = |count: usize| (0..count).map(|n| n.to_string()).collect::<Vec<_>>();
    assert_eq!(channels(json!({"channels": names(1000)})), Ok(names(1000)));
    for (value, want) in [
        (
            json!(names(1001)),
            " is 'a list of 1001'; it must be a list of 1 to 1000 channel",
        ),
        (
            json!([]),
            " is 'a list of 0'; it must be a list of 1 to 1000 channel names",
        ),
        (json!("a"), " is a string; it must be a list"),
        (json!(null), " is null; it must be a list"),
        (json!(["a", null]), "[1] is null; it must be a string"),
    ] {
        let error = channels(json!({"channel": "c", "channels": value})).unwrap_err();
        let want = format!("items[0].channels{want}");
        assert!(error.starts_with(&want), "{error}\nwanted {want}");
    }
}

#[test]
fn one_connection_may_be_closed() {
    let parse = |item: Value| parse_batch(json!({"items": [item]}).to_string().as_bytes());
    let connection = "x-1".to_owned();
    assert_eq!(
        parse(json!({"connection": "x-1", "action": "close", "other": 5})),
        Ok(vec![Entry::Close { connection }])
    );
    for (item, want) in [
        (
            json!({"connection": 5, "action": "close"}),
            "connection is a number; it must be a",
        ),
        (
            json!({"connection": "x"}),
            "action is missing; it must be 'close'",
        ),
        (
            json!({"connection": "x", "action": "hint"}),
            "action is 'hint'; it must be 'close'",
        ),
        (
            json!({"connection": "x", "action": null}),
            "action is null; it must be a string",
        ),
        (
            json!({"action": "close"}),
            "channel is missing; it must be a string, unless",
        ),
    ] {
        let error = parse(item).unwrap_err().to_string();
        let want = format!("items[0].{want}");
        assert!(error.starts_with(&want), "{error}\nwanted {want}");
    }
}

/// An item with this form must be refused with a text that begins so, after the form's path.
fn refused(form: &str, value: Value, want: &str) {
    let error = with(form, value).expect_err(want);
    let want = format!("items[0].formats.{form}{want}");
    assert!(error.starts_with(&want), "{error}\nwanted {want}");
}

#[test]
fn faults_of_a_stream_form_name_the_field() {
    for (form, value, want) in [
        ("http-stream", json!([]), " is a list; it must be an object"),
        (
            "http-stream",
            json!({}),
            ".content is missing; it must be a string",
        ),
        (
            "http-stream",
            json!({"content": 5}),
            ".content is a number; it must be a string",
        ),
        (
            "http-stream",
            json!({"content-bin": null}),
            ".content-bin is null",
        ),
        (
            "http-stream",
            json!({"action": "zzz"}),
            ".action is 'zzz'; it must be 'send', 'hint'",
        ),
        ("http-stream", json!({"action": null}), ".action is null"),
        ("http-stream", json!({"action": 5}), ".action is a number"),
        (
            "http-stream",
            json!({"content": "", "content-filters": [1]}),
            ".content-filters[0] is a",
        ),
        (
            "http-stream",
            json!({"content": "", "content-filters": "a"}),
            ".content-filters is a",
        ),
    ] {
        refused(form, value, want);
    }
}

#[test]
fn faults_of_a_response_form_name_the_field() {
    for (form, value, want) in [
        (
            "http-response",
            json!({}),
            ".body is missing; it must be a string, unless",
        ),
        ("http-response", json!({"body": 1}), ".body is a number"),
        (
            "http-response",
            json!({"body": "", "code": 1000}),
            ".code is '1000'; it must be",
        ),
        (
            "http-response",
            json!({"body": "", "code": 199}),
            ".code is '199'; it must be",
        ),
        (
            "http-response",
            json!({"body": "", "code": "x"}),
            ".code is '\\\"x\\\"'; it must be",
        ),
        (
            "http-response",
            json!({"body": "", "code": []}),
            ".code is a list; it must be",
        ),
        (
            "http-response",
            json!({"body": "", "reason": 1}),
            ".reason is a number",
        ),
        (
            "http-response",
            json!({"body": "", "reason": "a\r"}),
            ".reason is 'a\\r'; it must be",
        ),
    ] {
        refused(form, value, want);
    }
}

#[test]
fn faults_of_an_items_headers_name_the_field() {
    let pairs = |value: Value| json!({"body": "", "headers": value});
    for (form, value, want) in [
        (
            "http-response",
            pairs(json!("x")),
            ".headers is a string; it must be an object of",
        ),
        (
            "http-response",
            pairs(json!(["x"])),
            ".headers[0] is a string; it must be a list of",
        ),
        (
            "http-response",
            pairs(json!([["x", "y", "z"]])),
            ".headers[0] is 'a list of 3'",
        ),
        (
            "http-response",
            pairs(json!([[1, "y"]])),
            ".headers[0][0] is a number",
        ),
        (
            "http-response",
            pairs(json!([["x", 1]])),
            ".headers[0][1] is a number",
        ),
        (
            "http-response",
            pairs(json!({"K": 1})),
            ".headers.K is a number; it must be a string",
        ),
        (
            "http-response",
            pairs(json!({"K": "a\nb"})),
            ".headers.K is 'a\\nb'; it must be text",
        ),
        (
            "http-response",
            pairs(json!({"K": "a\0"})),
            ".headers.K is 'a\\0'; it must be text",
        ),
        (
            "http-response",
            pairs(json!({"K\r\nL": "a"})),
            ".headers.K\\r\\nL is 'K\\r\\nL'; it",
        ),
        (
            "http-response",
            pairs(json!([["a b", ""]])),
            ".headers[0] is 'a b'; it must be a header",
        ),
        (
            "http-response",
            pairs(json!({"Grip-X": "\r"})),
            ".headers.Grip-X is '\\r'",
        ),
    ] {
        refused(form, value, want);
    }
}

#[test]
fn faults_of_a_patch_name_the_operation() {
    let patch = |value: Value| json!({"body-patch": value});
    for (form, value, want) in [
        (
            "http-response",
            patch(json!({})),
            ".body-patch is an object; it must be a list",
        ),
        (
            "http-response",
            patch(json!([5])),
            ".body-patch[0] is a number; it must be an object",
        ),
        (
            "http-response",
            patch(json!([{"op": "x", "path": ""}])),
            ".body-patch[0] is 'unknown",
        ),
        (
            "http-response",
            patch(json!([{"op": "add", "path": "x"}])),
            ".body-patch[0] is '",
        ),
    ] {
        refused(form, value, want);
    }
}

#[test]
fn faults_of_a_message_form_name_the_field() {
    for (form, value, want) in [
        ("ws-message", json!({}), ".content is missing"),
        (
            "ws-message",
            json!({"type": "x", "content": ""}),
            ".type is 'x'; it must be 'text'",
        ),
        ("ws-message", json!({"type": 1}), ".type is a number"),
        (
            "ws-message",
            json!({"type": "binary"}),
            ".content is missing",
        ),
        (
            "ws-message",
            json!({"action": "close", "code": -1}),
            ".code is '-1'; it must be",
        ),
        (
            "ws-message",
            json!({"action": "close", "code": {}}),
            ".code is an object",
        ),
        (
            "ws-message",
            json!({"action": "close", "reason": 1}),
            ".reason is a number",
        ),
    ] {
        refused(form, value, want);
    }
}

#[test]
fn actions_other_than_send_need_nothing_else() {
    let of = |action: &str| {
        let form = json!({"action": action, "code": "ignored"});
        let forms = json!({"http-response": form, "http-stream": form, "ws-message": form});
        let formats = parse(json!({"channel": "c", "formats": forms}))
            .unwrap()
            .formats;
        (
            formats.response.unwrap(),
            formats.stream.unwrap(),
            formats.message.unwrap(),
        )
    };
    let hints = (
        ResponseFormat::Hint,
        StreamFormat::Hint,
        MessageFormat::Hint,
    );
    assert_eq!(of("hint"), hints);
    let refreshes = (
        ResponseFormat::Refresh,
        StreamFormat::Refresh,
        MessageFormat::Refresh,
    );
    assert_eq!(of("refresh"), refreshes);
    let (code, reason) = (Some(0), None);
    let close = MessageFormat::Close { code, reason };
    assert_eq!(
        of("close"),
        (ResponseFormat::Close, StreamFormat::Close, close)
    );
}

#[test]
fn a_response_form_is_read() {
    let content = response(json!({
        "action": "send", "code": 201.4, "reason": "Yep", "body": "hello\n", "body-patch": 5,
        "headers": {"X-Two": "pub", "X-Pub": "2", "Grip-Foo": "z", "content-length": "99",
                    "Connection": "x", "Transfer-Encoding": "y"},
        "content-filters": ["var-subst"],
    }));
    let header = |name: &str, value: &'static str| Header {
        name: name.to_owned(),
        value: Bytes::from(value),
    };
    let want = ResponseContent {
        code: 201,
        reason: Some("Yep".to_owned()),
        headers: vec![header("X-Pub", "2"), header("X-Two", "pub")],
        body: ResponseBody::Bytes(Bytes::from("hello\n")),
        content_filters: Some(vec!["var-subst".to_owned()]),
    };
    assert_eq!(content, want);

    let content = response(json!({"body": "", "headers": [["b", "1"], ["a", "2"], ["b", "3"]]}));
    let want = vec![header("b", "1"), header("a", "2"), header("b", "3")];
    assert_eq!(content.headers, want, "a list keeps order and repeats");
    assert_eq!((content.code, content.reason), (200, None));
}

#[test]
fn bodies_have_a_rank() {
    let body = |value: Value| response(value).body;
    let all = json!({"body-bin": "!!AAE*CAw", "body": "x", "body-patch": []});
    assert_eq!(
        body(all),
        ResponseBody::Bytes(Bytes::from_static(&[0, 1, 2, 3]))
    );
    let patch = json!({"body-patch": [{"op": "add", "path": "/l/-", "value": 7}]});
    let patched = body(patch).apply(b"{\"l\":[1]}\n").unwrap();
    assert_eq!(patched, "{\"l\":[1,7]}\n");
    let plain = ResponseBody::Bytes(Bytes::from("x"));
    assert_eq!(plain.apply(b"anything").unwrap(), "x");
}

#[test]
fn messages_have_a_kind() {
    use MessageKind::{Binary, Ping, Pong, Text};
    for (form, want, content) in [
        (json!({"content": "a"}), Text, "a"),
        (json!({"content-bin": "YQ==", "content": "b"}), Binary, "a"),
        (json!({"content-bin": "YQ==", "type": "text"}), Text, "a"),
        (json!({"content": "a", "type": "binary"}), Binary, "a"),
        (json!({"type": "ping"}), Ping, ""),
        (json!({"type": "pong", "content": "a"}), Pong, "a"),
    ] {
        let want = MessageFormat::Send {
            kind: want,
            content: Bytes::from(content),
            content_filters: None,
        };
        assert_eq!(message(form), want);
    }
    let close = message(json!({"action": "close", "code": 99999, "reason": "r"}));
    let (code, reason) = (Some(99999), Some("r".to_owned()));
    assert_eq!(close, MessageFormat::Close { code, reason });
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z-]{0,8}", "[a\r\n\0 :]{0,4}", any::<String>()]
}

proptest! {
    #[test]
    fn any_bytes_end_in_items_or_an_error(body: Vec<u8>) {
        let _ = parse_batch(&body);
    }

    #[test]
    fn what_is_accepted_can_be_sent(
        id in text(), reason in text(), headers in prop::collection::vec((text(), text()), 0..4),
        code in 0..1200_i64,
    ) {
        let form = json!({"body": "", "reason": reason, "headers": headers, "code": code});
        let item = parse(json!({"channel": "c", "id": id, "http-response": form}));
        let clean = is_clean(id.as_bytes()) && is_clean(reason.as_bytes())
            && headers.iter().all(|(n, v)| is_token(n) && is_clean(v.as_bytes()));
        prop_assert_eq!(item.is_ok(), clean && (200..=999).contains(&code));
    }

    #[test]
    fn content_arrives_byte_for_byte(content: String) {
        let item = with("http-stream", json!({"content": content})).unwrap();
        let content_filters = None;
        let want = StreamFormat::Send { content: Bytes::from(content), content_filters };
        prop_assert_eq!(item.formats.stream, Some(want));
    }
}
