//! WebSockets of the built-in backends: `/ws` subscribes to the channels it is asked for and says
//! back what it hears. It is spoken to over HTTP as any other backend, with events in requests and
//! answers, and remembers nothing between two of them. Source: `application/websocket-events` of
//! the GRIP protocol.

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, StatusCode,
    header::{CONTENT_TYPE, SEC_WEBSOCKET_EXTENSIONS},
    response::Parts,
};
use serde_json::json;

use super::{
    Body, Upload,
    test_target::{channels, plain},
};
use crate::grip::{
    extension,
    format::MessageKind,
    ws_events::{self, CONTENT_TYPE as EVENTS, Event, Message},
};

/// Does a request carry events of a WebSocket?
pub(super) fn is_events(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|kind| kind == EVENTS)
}

/// Answers a request that carries events to `/ws`. Without the extension `grip` it only says back
/// what it hears.
pub(super) fn answer(query: Option<&str>, headers: &HeaderMap, upload: &Upload) -> (Parts, Body) {
    let offers = headers.get_all(SEC_WEBSOCKET_EXTENSIONS);
    let has_grip = extension::parse(offers.iter().map(HeaderValue::as_bytes)).is_some();
    let channels: Result<Vec<_>, _> = channels(query).into_iter().map(String::from_utf8).collect();
    let Ok(channels) = channels else {
        return plain(StatusCode::BAD_REQUEST, "channel name not possible here\n");
    };
    let body = upload.kept().unwrap_or_default();
    let events = match ws_events::decode(&body) {
        Ok(events) => events,
        Err(error) => return plain(StatusCode::BAD_REQUEST, format!("{error}\n")),
    };
    let mut said = Vec::new();
    for event in events {
        reply(event, &channels, has_grip, &mut said);
    }
    let (mut head, body) = plain(StatusCode::OK, said);
    let kind = HeaderValue::from_static(EVENTS);
    head.headers.insert(CONTENT_TYPE, kind);
    if has_grip {
        let grip = HeaderValue::from_static("grip");
        head.headers.insert(SEC_WEBSOCKET_EXTENSIONS, grip);
    }
    (head, body)
}

/// Appends what is said to one event.
fn reply(event: Event, channels: &[String], has_grip: bool, said: &mut Vec<u8>) {
    let mut say = |event: &Event| ws_events::encode(event, said);
    let message = |kind, content: Bytes| Event::Message(Message { kind, content });
    match event {
        Event::Open => {
            say(&event);
            for channel in channels.iter().filter(|_| has_grip) {
                let subscribe = json!({"type": "subscribe", "channel": channel});
                let control = format!("c:{subscribe}");
                say(&message(MessageKind::Text, control.into()));
            }
        }
        Event::Message(Message { kind, content }) => match kind {
            MessageKind::Text | MessageKind::Binary => {
                let prefix: &[u8] = if has_grip { b"m:" } else { b"" };
                say(&message(kind, [prefix, &content].concat().into()));
            }
            MessageKind::Ping => say(&message(MessageKind::Pong, content)),
            MessageKind::Pong => {}
        },
        Event::Close(_) => say(&event),
        Event::Disconnect => {}
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    /// Status and body of the answer to a request that carries `body`.
    async fn said(query: Option<&str>, extensions: &str, body: &[u8]) -> (u16, Vec<u8>, Parts) {
        let mut headers = HeaderMap::new();
        let extensions = HeaderValue::from_str(extensions).unwrap();
        headers.insert(SEC_WEBSOCKET_EXTENSIONS, extensions);
        let upload = Upload::of(&Bytes::copy_from_slice(body));
        let (head, body) = answer(query, &headers, &upload);
        let bytes = body.collect().await.unwrap().to_bytes();
        (head.status.as_u16(), bytes.to_vec(), head)
    }

    #[tokio::test]
    async fn each_event_has_its_answer() {
        let subscribed = b"OPEN\r\nTEXT 27\r\nc:{\"channel\":\"test\",\"type\":\"subscribe\"}\r\n";
        let table: [(&[u8], &[u8]); 8] = [
            (b"OPEN\r\n", subscribed),
            (b"TEXT 2\r\nhi\r\n", b"TEXT 4\r\nm:hi\r\n"),
            (b"TEXT\r\n", b"TEXT 2\r\nm:\r\n"),
            (b"BINARY 2\r\n\0\xff\r\n", b"BINARY 4\r\nm:\0\xff\r\n"),
            (b"PING 1\r\nx\r\nPONG\r\n", b"PONG 1\r\nx\r\n"),
            (b"CLOSE 5\r\n\x0f\xa1bye\r\n", b"CLOSE 5\r\n\x0f\xa1bye\r\n"),
            (b"TEXT 1\r\na\r\nCLOSE\r\n", b"TEXT 3\r\nm:a\r\nCLOSE\r\n"),
            (b"DISCONNECT\r\n", b""),
        ];
        for (body, expected) in table {
            let shown = String::from_utf8_lossy(body);
            let (status, found, head) = said(None, "grip", body).await;
            assert_eq!((status, &*found), (200, expected), "{shown}");
            assert_eq!(head.headers[SEC_WEBSOCKET_EXTENSIONS], "grip", "{shown}");
            assert_eq!(head.headers[CONTENT_TYPE], EVENTS, "{shown}");
        }
    }

    #[tokio::test]
    async fn channels_are_those_of_the_query() {
        let query = Some("channel=a%22,b&x=1&channel=%C3%A9");
        let (_, found, _) = said(query, "grip", b"OPEN\r\n").await;
        let found = String::from_utf8(found).unwrap();
        for channel in [r#""a\",b""#, "\"é\""] {
            assert!(found.contains(channel), "{found}");
        }
        assert_eq!(found.matches("subscribe").count(), 2, "{found}");
        let (status, ..) = said(Some("channel=%ff"), "grip", b"OPEN\r\n").await;
        assert_eq!(status, 400);
    }

    #[tokio::test]
    async fn without_grip_it_only_says_back() {
        let (_, found, head) = said(None, "permessage-deflate", b"OPEN\r\nTEXT 1\r\na\r\n").await;
        assert_eq!(found, b"OPEN\r\nTEXT 1\r\na\r\n");
        assert!(!head.headers.contains_key(SEC_WEBSOCKET_EXTENSIONS));
    }

    #[tokio::test]
    async fn what_is_no_event_is_refused() {
        let (status, found, _) = said(None, "grip", b"TEXT zz\r\n").await;
        let found = String::from_utf8(found).unwrap();
        assert_eq!(status, 400);
        assert!(found.contains("hexadecimal"), "{found}");
    }
}
