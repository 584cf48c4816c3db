//! Vectors 30, 32 to 36, 38, 39 and 89 to 93: one request after the other, what each brings and
//! what is kept, and backends that fail later than at OPEN. Where the backend is at fault Pushpin
//! drops the connection; gripd closes it with 1011, so that the client knows that it was not it.

use serde_json::json;

use crate::{
    site::{EVENTS, Site, controlled, event, events, hasty, opened, opened_with, subscribe},
    support::{
        answer, listen_again,
        ws::{FIN, Message, closing, frame_head, opcode, text},
    },
};

/// The value of `Content-Bytes-Replayed` in the request with this number.
fn replayed(site: &Site, path: &str, n: usize) -> Option<String> {
    let head = site.request_at(path, n).head;
    head.get("Content-Bytes-Replayed").map(str::to_owned)
}

#[test]
fn w030_content_bytes_accepted_keeps_the_rest() {
    let site = Site::one(vec![
        opened(""),
        events("Content-Bytes-Accepted: 5\r\n", event("TEXT", "more")),
    ]);
    let mut client = site.open();
    client.say("[foo][hello");
    client.hear("more");
    client.say(" world]");
    site.expect_bodies(&[
        "TEXT b\r\n[foo][hello\r\n",
        "TEXT 6\r\n[hello\r\nTEXT 7\r\n world]\r\n",
    ]);
    assert_eq!(replayed(&site, "/", 1), None);
    assert_eq!(replayed(&site, "/", 2), Some("6".into()));
}

#[test]
fn w032_more_accepted_than_offered_is_a_fault() {
    let site = Site::one(vec![
        opened(""),
        events("Content-Bytes-Accepted: 8\r\n", ""),
    ]);
    let mut client = site.open();
    client.say("7 bytes");
    client.expect_code(1011);
}

#[test]
fn w033_messages_are_told_together() {
    let site = Site::one(vec![]);
    let mut client = site.open();
    site.gate.shut();
    client.say("go");
    site.request(1);
    client.send(&["1", "2", "3", "4", "5"].map(text));
    site.gate.open();
    let batch: String = (1..=5).map(|n| event("TEXT", &n.to_string())).collect();
    site.expect_bodies(&["TEXT 2\r\ngo\r\n", &batch]);
}

#[test]
fn w034_one_event_is_one_event() {
    let site = Site::new([]);
    let mut client = site.open_at("/one");
    site.gate.shut();
    client.say("go");
    site.request_at("/one", 1);
    client.send(&[text("1"), text("2"), text("3"), Message::Close(None)]);
    site.gate.open();
    client.expect_code(1000);
    site.expect_bodies_at(
        "/one",
        &[
            "TEXT 2\r\ngo\r\n",
            "TEXT 1\r\n1\r\n",
            "TEXT 1\r\n2\r\n",
            "TEXT 1\r\n3\r\n",
            "CLOSE\r\n",
        ],
    );
}

#[test]
fn w035_a_backend_may_be_away_for_a_while() {
    let mut site = Site::set_up([], hasty);
    let mut client = site.open();
    site.backend.stop();
    let from = site.gripd.log().len();
    client.say("hey");
    // It has tried.
    let backend = site.backend.addr.to_string();
    site.gripd.wait_log_from(from, &backend);
    client.say("queued");
    site.backend.restart();
    site.expect_bodies(&["TEXT 3\r\nhey\r\n", "TEXT 6\r\nqueued\r\n"]);
    client.send(&[closing(1000, "")]);
    client.expect_code(1000);
}

/// The backend has read the message and may have done what it says: it is not told again.
#[test]
fn w036_what_was_read_is_not_told_again() {
    let site = Site::new([("/", vec![opened(""), Vec::new()])]);
    let mut client = site.open();
    client.say("hey");
    client.expect_code(1011);
    site.expect_only("/", &["TEXT 3\r\nhey\r\n"]);
}

/// A backend that is stopped resets whoever waits to be accepted: it has not read a byte.
#[test]
fn what_was_not_read_is_told_again() {
    let mut site = Site::new([]);
    let mut client = site.open();
    site.backend.stop();
    let dying = listen_again(site.backend.addr);
    let from = site.gripd.log().len();
    client.say("hey");
    let (stream, _) = dying.accept().unwrap();
    stream.peek(&mut [0]).unwrap();
    drop((stream, dying));
    site.gripd.wait_log_from(from, "before it read the request");
    site.backend.restart();
    site.expect_bodies(&["TEXT 3\r\nhey\r\n"]);
    client.send(&[closing(1000, "")]);
    client.expect_code(1000);
}

/// Above the limit Pushpin drops the connection.
#[test]
fn w038_messages_of_clients_have_a_limit() {
    let site = Site::one(vec![]);
    let mut client = site.open();
    let long = "x".repeat(200_000);
    client.say(&long);
    assert_eq!(site.request(1).body, event("TEXT", &long).into_bytes());

    let mut client = site.open();
    let head = frame_head(FIN | opcode::TEXT, 1 << 40, true);
    client.wire.send([&head[..], &[0; 4]].concat());
    client.expect_code(1009);
}

/// A longer body ends the connection, without a close frame from Pushpin.
#[test]
fn w039_messages_of_backends_have_a_limit() {
    let long = "x".repeat(900_000);
    let endless = format!(
        "HTTP/1.1 200 OK\r\n{EVENTS}Content-Length: {}\r\n\r\nTEXT ffffffffff\r\nabc",
        1_u64 << 40
    );
    let site = Site::one(vec![
        opened(""),
        events("", event("TEXT", &long)),
        endless.into_bytes(),
    ]);
    let mut client = site.open();
    client.say("1");
    client.hear(&long);
    client.say("2");
    let close = client.expect_close();
    assert!(matches!(close, Some((1009 | 1011, _))), "{close:?}");
}

#[test]
fn w089_later_answers_that_are_none_end_it() {
    let later = event("TEXT", "a");
    let rows = [
        answer("500 Internal Server Error", EVENTS, &later),
        b"HTTP/1.1 204 No Content\r\n\r\n".to_vec(),
        answer("200 OK", "Content-Type: text/plain\r\n", &later),
        events("", format!("{later}OPEN\r\n")),
        events("", format!("{later}TEXT")),
    ];
    let paths: Vec<String> = (0..rows.len()).map(|n| format!("/{n}")).collect();
    let site = Site::new(
        paths
            .iter()
            .zip(&rows)
            .map(|(path, raw)| (&**path, vec![opened(""), raw.clone()])),
    );
    for (path, raw) in paths.iter().zip(&rows) {
        eprintln!("{:?}", String::from_utf8_lossy(raw));
        let mut client = site.open_at(path);
        let from = site.gripd.log().len();
        client.say("go");
        // No event of such a body is delivered.
        client.expect_code(1011);
        site.gripd.wait_log_from(from, "WARN");
        site.expect_only(path, &["TEXT 2\r\ngo\r\n"]);
    }
}

#[test]
fn w090_one_event_that_is_never_accepted_is_a_fault() {
    let nothing = events("Content-Bytes-Accepted: 0\r\n", "");
    let site = Site::new([("/one", vec![opened(""), nothing.clone(), nothing])]);
    let mut client = site.open_at("/one");
    site.gate.shut();
    client.say("xx");
    site.request_at("/one", 1);
    client.say("xy");
    site.gate.open();
    client.expect_code(1011);
    site.expect_bodies_at("/one", &["TEXT 2\r\nxx\r\n", "TEXT 2\r\nxx\r\n"]);
    assert_eq!(replayed(&site, "/one", 1), None);
    assert_eq!(replayed(&site, "/one", 2), Some("2".into()));
}

#[test]
fn w091_refreshes_during_a_request_are_one() {
    let site = Site::new([("/", vec![controlled(&[subscribe("a")])])]);
    let mut client = site.open();
    site.wait_subscribers("a", 1);
    site.gate.shut();
    client.say("go");
    site.request(1);
    for _ in 0..2 {
        site.publish("a", &json!({"action": "refresh"}));
    }
    // What comes behind them has arrived, so they have.
    site.publish("a", &json!({"content": "behind"}));
    client.hear("behind");
    site.gate.open();
    site.expect_only("/", &["TEXT 2\r\ngo\r\n", ""]);
}

#[test]
fn w092_half_of_a_close_is_a_fault() {
    let site = Site::one(vec![
        opened_with("X-A: 1\r\n", ""),
        events("Content-Bytes-Accepted: 1\r\n", "CLOSE\r\n"),
    ]);
    let mut client = site.open();
    client.send(&[closing(1000, "")]);
    client.expect_code(1011);
}

/// Pushpin loses frames without content that stand behind what is being accepted.
#[test]
fn w093_frames_without_content_are_kept() {
    let site = Site::one(vec![]);
    let mut client = site.open();
    site.gate.shut();
    client.say("go");
    site.request(1);
    client.send(&[Message::Ping(Vec::new()), text("")]);
    site.gate.open();
    site.expect_bodies(&["TEXT 2\r\ngo\r\n", "PING\r\nTEXT\r\n"]);
}
