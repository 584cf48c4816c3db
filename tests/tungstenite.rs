//! The client library tokio-tungstenite before gripd: it judges the handshake and every frame by
//! itself. The same conversations with both kinds of backend: one over HTTP, and one that speaks
//! WebSocket (tungstenite as well) and grants `grip`.
#![cfg(feature = "server")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests fail by panicking"
)]

mod support;

use std::sync::mpsc;

use futures_util::{SinkExt, StreamExt};
use serde_json::json;
use support::{Backend, Gripd, PATIENCE, Reply, Request, answer, ws::WebSocket};
use tokio::{io::AsyncReadExt, net::TcpStream, time::timeout};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{
        self, Bytes, Error, Message,
        client::{ClientRequestBuilder, IntoClientRequest},
        handshake::client::Response,
        protocol::{CloseFrame, Role},
    },
};

const ACCEPTED: &str = "Sec-WebSocket-Extensions: grip\r\nSec-WebSocket-Protocol: chat\r\n";
const REFUSAL: &str = "no seats: come back later\n";

/// More than 256 kB, which Pushpin does not pass; above gripd's own default, too.
const LARGE: usize = 600_000;

/// gripd before a backend that echoes texts and binaries, and what that backend heard.
struct Site {
    name: &'static str,
    gripd: Gripd,
    heard: mpsc::Receiver<Message>,
    _backend: Backend,
}

impl Site {
    /// Both kinds of backend.
    fn both() -> [Self; 2] {
        [
            Self::new("over HTTP", ",over_http", over_http),
            Self::new("direct", "", direct),
        ]
    }

    fn new(
        name: &'static str,
        option: &str,
        serve: fn(&Request, &mut Reply, &mpsc::Sender<Message>),
    ) -> Self {
        let (noted, heard) = mpsc::channel();
        let backend = Backend::start(move |request, reply| {
            if request.head.target() == "/refused" {
                reply.send(answer("403 Forbidden", "X-Why: full\r\n", REFUSAL));
            } else {
                serve(request, reply, &noted);
            }
        });
        let gripd = Gripd::start(|c| {
            c.set("LIMITS_WEBSOCKET_MESSAGE", "1000000")
                .route(format!("* {}{option}", backend.addr))
        });
        Self {
            name,
            gripd,
            heard,
            _backend: backend,
        }
    }

    fn request(&self, path: &str) -> ClientRequestBuilder {
        let uri = format!("ws://{}{path}", self.gripd.clients);
        ClientRequestBuilder::new(uri.parse().unwrap())
            .with_sub_protocol("other")
            .with_sub_protocol("chat")
    }

    async fn open(&self) -> (Client, Response) {
        let stream = TcpStream::connect(self.gripd.clients).await.unwrap();
        let opened = timeout(PATIENCE, client_async(self.request("/chat"), stream)).await;
        let (socket, response) = opened.expect("an answer").expect(self.name);
        (Client { socket }, response)
    }

    /// The next thing that the backend heard is this.
    fn expect_heard(&self, want: &Message) {
        let heard = self.heard.recv_timeout(PATIENCE).expect(self.name);
        assert_eq!(&heard, want, "{}", self.name);
    }
}

/// An open WebSocket of the library.
struct Client {
    socket: WebSocketStream<TcpStream>,
}

impl Client {
    async fn send(&mut self, message: Message) {
        let sent = timeout(PATIENCE, self.socket.send(message)).await;
        sent.expect("gripd takes what is sent").unwrap();
    }

    /// What comes next; `None` behind the close frames of both sides.
    async fn next(&mut self) -> Option<Message> {
        let next = timeout(PATIENCE, self.socket.next()).await;
        next.expect("something comes").transpose().unwrap()
    }

    async fn expect(&mut self, want: Message) {
        let got = self.next().await;
        assert!(
            got.as_ref() == Some(&want),
            "got {}, not {}",
            shown(got.as_ref()),
            shown(Some(&want))
        );
    }
}

/// The beginning is enough to know a message by.
fn shown(message: Option<&Message>) -> String {
    let all = format!("{message:?}");
    format!("{:.100} ({} characters)", all, all.len())
}

/// What a backend says to a message, with the prefix of GRIP where it is for the client.
fn reply(message: &Message) -> Option<Message> {
    match message {
        Message::Text(text) if text.as_str() == "ping me" => Some(Message::Ping("down".into())),
        Message::Text(text) if text.as_str() == "close me" => Some(closing(4001, "enough")),
        Message::Text(text) => Some(Message::text(format!("m:{text}"))),
        Message::Binary(bytes) => Some(Message::binary([b"m:", &bytes[..]].concat())),
        _ => None,
    }
}

/// The control message that a backend begins with.
fn subscribe() -> Message {
    Message::text(r#"c:{"type":"subscribe","channel":"room"}"#)
}

fn closing(code: u16, reason: &str) -> Message {
    Message::Close(Some(CloseFrame {
        code: code.into(),
        reason: reason.into(),
    }))
}

/// A backend that speaks WebSocket; its library answers pings and close frames by itself.
fn direct(request: &Request, to_gripd: &mut Reply, noted: &mpsc::Sender<Message>) {
    WebSocket::accept(request, to_gripd, ACCEPTED, |socket| {
        let stream = socket.wire.socket();
        let mut socket = tungstenite::WebSocket::from_raw_socket(stream, Role::Server, None);
        socket.send(subscribe()).unwrap();
        while let Ok(message) = socket.read() {
            if let Some(said) = reply(&message) {
                socket.send(said).unwrap();
            }
            // The test may have ended.
            let _ = noted.send(message);
        }
    });
}

/// A backend that answers events.
fn over_http(request: &Request, to_gripd: &mut Reply, noted: &mpsc::Sender<Message>) {
    let mut answer = Vec::new();
    let mut rest = &request.body[..];
    while let Some((message, behind)) = event(rest) {
        rest = behind;
        let Some(message) = message else {
            answer.extend_from_slice(b"OPEN\r\n");
            answer.extend(encoded(&subscribe()));
            continue;
        };
        match &message {
            Message::Ping(bytes) => answer.extend(encoded(&Message::Pong(bytes.clone()))),
            Message::Close(_) => answer.extend(encoded(&message)),
            other => answer.extend(reply(other).as_ref().map(encoded).unwrap_or_default()),
        }
        let _ = noted.send(message);
    }
    let headers = format!("Content-Type: application/websocket-events\r\n{ACCEPTED}");
    to_gripd.ok(&headers, answer);
}

/// The first event of a body (no message: `OPEN`), and what stands behind it.
fn event(body: &[u8]) -> Option<(Option<Message>, &[u8])> {
    let end = body.windows(2).position(|pair| pair == b"\r\n")?;
    let (line, rest) = (std::str::from_utf8(&body[..end]).unwrap(), &body[end + 2..]);
    let (kind, content, rest) = match line.split_once(' ') {
        None => (line, &b""[..], rest),
        Some((kind, size)) => {
            let size = usize::from_str_radix(size, 16).unwrap();
            (kind, &rest[..size], &rest[size + 2..])
        }
    };
    let bytes = Bytes::copy_from_slice(content);
    let message = match kind {
        "OPEN" => None,
        "TEXT" => Some(Message::text(String::from_utf8(content.to_vec()).unwrap())),
        "BINARY" => Some(Message::Binary(bytes)),
        "PING" => Some(Message::Ping(bytes)),
        "PONG" => Some(Message::Pong(bytes)),
        "CLOSE" => {
            let (code, reason) = content.split_first_chunk().expect("a code");
            let reason = std::str::from_utf8(reason).unwrap();
            Some(closing(u16::from_be_bytes(*code), reason))
        }
        other => panic!("event {other}"),
    };
    Some((message, rest))
}

/// A message as an event.
fn encoded(message: &Message) -> Vec<u8> {
    let (kind, content) = match message {
        Message::Text(text) => ("TEXT", text.as_bytes().to_vec()),
        Message::Binary(bytes) => ("BINARY", bytes.to_vec()),
        Message::Ping(bytes) => ("PING", bytes.to_vec()),
        Message::Pong(bytes) => ("PONG", bytes.to_vec()),
        Message::Close(Some(frame)) => {
            let code = u16::from(frame.code).to_be_bytes();
            ("CLOSE", [&code, frame.reason.as_bytes()].concat())
        }
        other => panic!("not for a client: {other:?}"),
    };
    let line = format!("{kind} {:x}\r\n", content.len());
    [line.as_bytes(), &content, b"\r\n"].concat()
}

#[tokio::test]
async fn the_handshake_agrees_on_a_subprotocol() {
    for site in Site::both() {
        let (mut client, response) = site.open().await;
        assert_eq!(response.headers()["Sec-WebSocket-Protocol"], "chat");
        assert!(!response.headers().contains_key("Sec-WebSocket-Extensions"));
        client.send(Message::text("hello")).await;
        client.expect(Message::text("hello")).await;
    }
}

#[tokio::test]
async fn every_kind_of_message_goes_both_ways() {
    for site in Site::both() {
        let (mut client, _) = site.open().await;
        for said in [
            Message::text("ein Wort, 单词"),
            Message::text(""),
            Message::binary(vec![0, 0xff, 0]),
        ] {
            client.send(said.clone()).await;
            client.expect(said.clone()).await;
            site.expect_heard(&said);
        }
        client.send(Message::Ping("up".into())).await;
        client.expect(Message::Pong("up".into())).await;
        site.expect_heard(&Message::Ping("up".into()));
        client.send(Message::text("ping me")).await;
        client.expect(Message::Ping("down".into())).await;
        site.expect_heard(&Message::text("ping me"));
        // The library has its pong ready and sends it when it is next at work.
        client.socket.flush().await.unwrap();
        site.expect_heard(&Message::Pong("down".into()));
    }
}

#[tokio::test]
async fn large_messages_pass_whole() {
    for site in Site::both() {
        let (mut client, _) = site.open().await;
        // Of no period that a piece of a buffer could have.
        let text: String = (0..)
            .flat_map(|n: u32| n.to_string().into_bytes())
            .take(LARGE)
            .map(char::from)
            .collect();
        for said in [Message::text(text.clone()), Message::binary(text)] {
            client.send(said.clone()).await;
            client.expect(said).await;
        }
    }
}

#[tokio::test]
async fn what_is_published_arrives() {
    for site in Site::both() {
        let (mut client, _) = site.open().await;
        client.send(Message::text("subscribed by now")).await;
        client.expect(Message::text("subscribed by now")).await;
        for (content, want) in [
            (json!({"content": "news"}), Message::text("news")),
            (
                json!({"content-bin": "AP8="}),
                Message::binary(vec![0, 0xff]),
            ),
        ] {
            let met = site
                .gripd
                .publish(&json!([{"channel": "room", "formats": {"ws-message": content}}]));
            assert_eq!(met, [1], "{}", site.name);
            client.expect(want).await;
        }
    }
}

#[tokio::test]
async fn the_client_closes_with_a_code_and_a_reason() {
    for site in Site::both() {
        let (mut client, _) = site.open().await;
        client.send(closing(4000, "bye")).await;
        site.expect_heard(&closing(4000, "bye"));
        client.expect(closing(4000, "bye")).await;
        assert_eq!(client.next().await, None, "{}", site.name);
    }
}

#[tokio::test]
async fn the_backend_closes_with_a_code_and_a_reason() {
    for site in Site::both() {
        let (mut client, _) = site.open().await;
        client.send(Message::text("close me")).await;
        client.expect(closing(4001, "enough")).await;
        assert_eq!(client.next().await, None, "{}", site.name);
    }
}

#[tokio::test]
async fn a_refusal_is_relayed() {
    for site in Site::both() {
        let mut stream = TcpStream::connect(site.gripd.clients).await.unwrap();
        let request = site.request("/refused").into_client_request().unwrap();
        let asked = timeout(PATIENCE, client_async(request, &mut stream)).await;
        let Err(Error::Http(response)) = asked.expect("an answer") else {
            panic!("{}: not refused", site.name);
        };
        let (head, body) = response.into_parts();
        assert_eq!(head.status, 403, "{}", site.name);
        assert_eq!(head.headers["X-Why"], "full");
        assert_eq!(head.headers["Content-Length"], REFUSAL.len().to_string());
        // The library hands over what came with the head.
        let mut body = body.unwrap_or_default();
        let read = body.len();
        body.resize(REFUSAL.len(), 0);
        let rest = timeout(PATIENCE, stream.read_exact(&mut body[read..])).await;
        rest.expect("a body").unwrap();
        assert_eq!(String::from_utf8_lossy(&body), REFUSAL);
    }
}
