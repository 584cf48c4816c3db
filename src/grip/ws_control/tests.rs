//! Control messages, case by case (`vector N`: seen of Pushpin).

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn read(value: &Value) -> Result<Control, String> {
    parse(value.to_string().as_bytes()).map_err(|error| error.to_string())
}

fn message(kind: MessageKind, content: &'static [u8]) -> Message {
    let content = Bytes::from_static(content);
    Message { kind, content }
}

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn subscriptions() {
    let channel = |name: &str, prev_id: Option<&str>, filters: &[&str]| {
        Ok(Control::Subscribe(Channel {
            name: name.to_owned(),
            prev_id: prev_id.map(str::to_owned),
            filters: filters.iter().map(|&filter| filter.to_owned()).collect(),
        }))
    };
    for (case, value, want) in [
        (
            "plain",
            json!({"type": "subscribe", "channel": "c"}),
            channel("c", None, &[]),
        ),
        (
            "vector 56",
            json!({"type": "subscribe", "channel": "c", "filters": ["skip-self", "zz"]}),
            channel("c", None, &["skip-self", "zz"]),
        ),
        (
            "reliable",
            json!({"type": "subscribe", "channel": "c", "prev-id": ""}),
            channel("c", Some(""), &[]),
        ),
        (
            "unsubscribe",
            json!({"type": "unsubscribe", "channel": "c"}),
            Ok(Control::Unsubscribe {
                channel: "c".to_owned(),
            }),
        ),
    ] {
        assert_eq!(read(&value), want, "{case}");
    }
    assert_eq!(
        parse(b" \n {\"type\":\"detach\"}"),
        Ok(Control::Detach),
        "space before it"
    );
}

#[test]
fn too_many_filters_are_told_apart() {
    let many = json!({"type": "subscribe", "channel": "x", "filters": vec!["a"; 6]});
    let channel = "x".to_owned();
    let error = ControlError::Filters { channel };
    assert_eq!(
        error.to_string(),
        "too many filters for channel 'x'",
        "vector 55"
    );
    assert_eq!(parse(many.to_string().as_bytes()), Err(error), "vector 55");
    let five = json!({"type": "subscribe", "channel": "x", "filters": vec!["a"; 5]});
    assert!(read(&five).is_ok());
}

#[test]
fn meta_and_session() {
    let meta = |value: Option<&str>| {
        Ok(Control::SetMeta {
            name: "user".to_owned(),
            value: value.map(str::to_owned),
        })
    };
    let session = |id: Option<&str>| {
        let id = id.map(str::to_owned);
        Ok(Control::Session { id })
    };
    for (case, value, want) in [
        (
            "vector 56",
            json!({"type": "set-meta", "name": "user", "value": "bob"}),
            meta(Some("bob")),
        ),
        (
            "empty",
            json!({"type": "set-meta", "name": "user", "value": ""}),
            meta(Some("")),
        ),
        (
            "none",
            json!({"type": "set-meta", "name": "user"}),
            meta(None),
        ),
        (
            "null",
            json!({"type": "set-meta", "name": "user", "value": null}),
            meta(None),
        ),
        (
            "session",
            json!({"type": "session", "id": "s"}),
            session(Some("s")),
        ),
        (
            "no session",
            json!({"type": "session", "id": ""}),
            session(None),
        ),
        ("no session", json!({"type": "session"}), session(None)),
        (
            "flush",
            json!({"type": "flush-delayed"}),
            Ok(Control::FlushDelayed),
        ),
    ] {
        assert_eq!(read(&value), want, "{case}");
    }
}

#[test]
fn keep_alives() {
    use KeepAliveMode::{Idle, Interval};
    use MessageKind::{Ping, Text};
    for (case, mut value, want) in [
        (
            "vector 61",
            json!({"content": "KA", "timeout": 2}),
            Some((Text, &b"KA"[..], Idle, 2)),
        ),
        (
            "vector 62: empty pings",
            json!({"content": "", "message-type": "ping", "timeout": 1}),
            Some((Ping, b"", Idle, 1)),
        ),
        (
            "vector 63: a text all the same",
            json!({"content-bin": "AQ==", "content": "x"}),
            Some((Text, b"\x01", Idle, 55)),
        ),
        ("vector 64", json!({}), None),
        (
            "time without content is not looked at",
            json!({"timeout": -1}),
            None,
        ),
        (
            "a name it has not",
            json!({"content": "a", "format": "ping"}),
            Some((Text, b"a", Idle, 55)),
        ),
        (
            "vector 66",
            json!({"content": "K", "timeout": "1", "mode": "interval"}),
            Some((Text, b"K", Interval, 1)),
        ),
        (
            "loose numbers",
            json!({"content": "K", "timeout": 1.6, "mode": 7}),
            Some((Text, b"K", Idle, 2)),
        ),
        (
            "zero",
            json!({"content": "K", "timeout": 0}),
            Some((Text, b"K", Idle, 55)),
        ),
    ] {
        value["type"] = json!("keep-alive");
        let want = want.map(|(kind, content, mode, timeout)| KeepAlive {
            message: message(kind, content),
            mode,
            timeout: timeout * SECOND,
        });
        assert_eq!(read(&value), Ok(Control::KeepAlive(want)), "{case}");
    }
}

#[test]
fn delayed_messages() {
    use MessageKind::{Binary, Text};
    for (case, mut value, want) in [
        (
            "vector 67",
            json!({"content": "D1", "timeout": 3}),
            (Text, &b"D1"[..], 3),
        ),
        (
            "vector 67: default",
            json!({"content": "D2"}),
            (Text, b"D2", 1),
        ),
        ("no content", json!({"timeout": 9}), (Text, b"", 1)),
        (
            "binary",
            json!({"content-bin": "AP8=", "message-type": "binary"}),
            (Binary, b"\x00\xff", 1),
        ),
    ] {
        value["type"] = json!("send-delayed");
        let (kind, content, after) = want;
        let delayed = Delayed {
            message: message(kind, content),
            after: after * SECOND,
        };
        assert_eq!(read(&value), Ok(Control::SendDelayed(delayed)), "{case}");
    }
}

#[test]
fn bad_ones_are_refused_with_the_reason() {
    for (value, want) in [
        (
            json!([]),
            "the control message must be a JSON object with a type",
        ),
        (
            json!({"channel": "c"}),
            "type is missing; it must be 'subscribe', 'unsubscribe', 'detach', 'session', 'set-meta', 'keep-alive', 'send-delayed' or 'flush-delayed'",
        ),
        (json!({"type": 1}), "type is a number; it must be a string"),
        (
            json!({"type": "subscribe"}),
            "channel is missing; it must be a string, not empty",
        ),
        (
            json!({"type": "subscribe", "channel": ""}),
            "channel is ''; it must be a string, not empty",
        ),
        (
            json!({"type": "subscribe", "channel": 1}),
            "channel is a number; it must be a string",
        ),
        (
            json!({"type": "subscribe", "channel": "c", "filters": "f"}),
            "filters is a string; it must be a list",
        ),
        (
            json!({"type": "subscribe", "channel": "c", "filters": [1]}),
            "filters[0] is a number; it must be a string",
        ),
        (
            json!({"type": "subscribe", "channel": "c", "prev-id": 1}),
            "prev-id is a number; it must be a string",
        ),
        (
            json!({"type": "unsubscribe", "channel": ""}),
            "channel is ''; it must be a string, not empty",
        ),
        (
            json!({"type": "set-meta", "value": "v"}),
            "name is missing; it must be a string, not empty",
        ),
        (
            json!({"type": "set-meta", "name": "n", "value": 1}),
            "value is a number; it must be a string, or null to delete it",
        ),
        (
            json!({"type": "session", "id": 1}),
            "id is a number; it must be a string",
        ),
        (
            json!({"type": "keep-alive", "content": "K", "timeout": -1}),
            "timeout is '-1'; it must be a number of seconds, 0 or more",
        ),
        (
            json!({"type": "keep-alive", "message-type": "zz"}),
            "message-type is 'zz'; it must be 'text', 'binary', 'ping' or 'pong'",
        ),
    ] {
        assert_eq!(read(&value), Err(want.to_owned()), "{value}");
    }
    let unknown = read(&json!({"type": "zz"})).unwrap_err();
    assert!(
        unknown.starts_with("type is 'zz'; it must be 'subscribe'"),
        "{unknown}"
    );
    let error = parse(b"{\"type\":").unwrap_err();
    assert_eq!(
        error.to_string(),
        "the control message is not valid JSON (column 8)"
    );
}

proptest! {
    #[test]
    fn any_text_is_taken_or_refused(
        text in "\\{\"type\":\"(subscribe|keep-alive|set-meta)\",\"(channel|name|content|timeout)\":(\"a?\"|-?[0-9]{0,30}|null|\\[\\]),?\"?\\}?",
    ) {
        if let Err(error) = parse(text.as_bytes()) {
            prop_assert!(!error.to_string().contains(['\r', '\n', '\0']));
        }
    }
}
