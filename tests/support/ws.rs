//! One end of a WebSocket on a raw connection, client or backend (RFC 6455, sections 4 and 5):
//! frames as they are, also those that nobody may send. It checks what it is sent and repairs
//! nothing; extensions it knows none.

use base64::Engine as _;

use super::{Gripd, Head, Reply, Request, Response, Wire};

/// What a frame carries.
pub(crate) mod opcode {
    pub(crate) const CONTINUATION: u8 = 0;
    pub(crate) const TEXT: u8 = 1;
    pub(crate) const BINARY: u8 = 2;
    pub(crate) const CLOSE: u8 = 8;
    pub(crate) const PING: u8 = 9;
    pub(crate) const PONG: u8 = 10;
}

/// The bit that ends a message.
pub(crate) const FIN: u8 = 0x80;

/// The key that every client here sends.
pub(crate) const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

/// A frame as it came.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Frame {
    /// FIN, the three reserved bits and the opcode.
    pub(crate) first: u8,
    /// Was it masked?
    pub(crate) masked: bool,
    /// Its payload, unmasked.
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    /// What it carries.
    pub(crate) fn opcode(&self) -> u8 {
        self.first & 0x0f
    }

    /// Does it end a message?
    pub(crate) fn is_last(&self) -> bool {
        self.first & FIN != 0
    }
}

/// A whole message or a control frame.
#[derive(Clone, PartialEq)]
pub(crate) enum Message {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    /// Code and reason; `None`: the frame was empty.
    Close(Option<(u16, String)>),
}

impl std::fmt::Debug for Message {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (name, bytes) = match self {
            Self::Text(text) => ("text", text.as_bytes()),
            Self::Binary(bytes) => ("binary", &bytes[..]),
            Self::Ping(bytes) => ("ping", &bytes[..]),
            Self::Pong(bytes) => ("pong", &bytes[..]),
            Self::Close(close) => return write!(f, "close {close:?}"),
        };
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(80)]);
        write!(f, "{name} of {} bytes: {shown:?}", bytes.len())
    }
}

/// A text message.
pub(crate) fn text(text: &str) -> Message {
    Message::Text(text.into())
}

/// A close frame with a code and a reason.
pub(crate) fn closing(code: u16, reason: &str) -> Message {
    Message::Close(Some((code, reason.into())))
}

/// The payload of a close frame.
pub(crate) fn close_payload(code: u16, reason: &[u8]) -> Vec<u8> {
    [&code.to_be_bytes(), reason].concat()
}

/// A frame's bytes, masked or not.
pub(crate) fn encode(first: u8, payload: &[u8], masked: bool) -> Vec<u8> {
    let mut raw = frame_head(first, payload.len() as u64, masked);
    if masked {
        let mask = [0x12, 0x34, 0x56, 0x78];
        raw.extend_from_slice(&mask);
        raw.extend(payload.iter().zip(mask.iter().cycle()).map(|(b, m)| b ^ m));
    } else {
        raw.extend_from_slice(payload);
    }
    raw
}

/// A frame's first bytes, up to the mask.
pub(crate) fn frame_head(first: u8, length: u64, masked: bool) -> Vec<u8> {
    let bit = if masked { 0x80 } else { 0 };
    let mut raw = vec![first];
    match length {
        0..=125 => raw.push(bit | u8::try_from(length).unwrap()),
        126..=0xffff => {
            raw.push(bit | 0x7E);
            raw.extend_from_slice(&u16::try_from(length).unwrap().to_be_bytes());
        }
        _ => {
            raw.push(bit | 0x7F);
            raw.extend_from_slice(&length.to_be_bytes());
        }
    }
    raw
}

/// `Sec-WebSocket-Accept` of a key.
pub(crate) fn accept_of(key: &str) -> String {
    use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
    let both = format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    let hash = digest(&SHA1_FOR_LEGACY_USE_ONLY, both.as_bytes());
    base64::engine::general_purpose::STANDARD.encode(hash)
}

/// Asks for a WebSocket with these further header lines; the answer has not been read.
pub(crate) fn ask(gripd: &Gripd, target: &str, headers: &[&str]) -> Wire {
    let key = format!("Sec-WebSocket-Key: {KEY}");
    let usual = [
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        &key,
    ];
    let mut wire = gripd.client();
    wire.request("GET", target, &[&usual, headers].concat(), "");
    wire
}

/// The answer to a request for a WebSocket that is refused.
pub(crate) fn refused(gripd: &Gripd, target: &str) -> Response {
    let response = ask(gripd, target, &[]).response();
    assert_ne!(response.status(), 101, "{target}: not refused");
    response
}

/// An open WebSocket.
pub(crate) struct WebSocket {
    /// The connection.
    pub(crate) wire: Wire,
    /// The head of the other side's half of the handshake.
    pub(crate) head: Head,
    is_client: bool,
    has_closed: bool,
}

impl WebSocket {
    /// A client's.
    pub(crate) fn open(gripd: &Gripd, target: &str) -> Self {
        Self::open_with(gripd, target, &[])
    }

    /// A client's that sends these further header lines.
    pub(crate) fn open_with(gripd: &Gripd, target: &str, headers: &[&str]) -> Self {
        Self::opened(ask(gripd, target, headers))
    }

    /// A client's whose request has been sent: reads the answer, which must be right.
    pub(crate) fn opened(mut wire: Wire) -> Self {
        let head = wire.head();
        assert_eq!(head.status(), 101, "{}", head.raw);
        assert_eq!(head.get("Sec-WebSocket-Accept"), Some(&*accept_of(KEY)));
        assert_eq!(head.all("Upgrade"), ["websocket"]);
        assert!(!head.has("Content-Length"), "{}", head.raw);
        Self {
            wire,
            head,
            is_client: true,
            has_closed: false,
        }
    }

    /// A backend's: accepts the request with these further header lines (each with its line end),
    /// and lives until `talk` returns; then the connection is closed.
    pub(crate) fn accept(
        request: &Request,
        reply: &mut Reply,
        headers: &str,
        talk: impl FnOnce(&mut Self),
    ) {
        let accept = accept_of(request.head.get("Sec-WebSocket-Key").unwrap_or_default());
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Accept: {accept}\r\n{headers}\r\n"
        );
        reply.close();
        if !reply.send(answer) {
            return;
        }
        let socket = reply.wire.socket().try_clone().expect("a second handle");
        let mut backend = Self {
            wire: Wire::over(socket),
            head: request.head.clone(),
            is_client: false,
            has_closed: false,
        };
        talk(&mut backend);
    }

    /// Sends a frame, masked as this side has to.
    pub(crate) fn frame(&mut self, first: u8, payload: impl AsRef<[u8]>) {
        self.has_closed |= first & 0x0f == opcode::CLOSE;
        self.wire
            .send(encode(first, payload.as_ref(), self.is_client));
    }

    /// Sends whole messages and control frames at once, so that they arrive together.
    pub(crate) fn send(&mut self, messages: &[Message]) {
        self.has_closed |= messages.iter().any(|m| matches!(m, Message::Close(_)));
        let raw: Vec<u8> = messages
            .iter()
            .flat_map(|message| self.encoded(message))
            .collect();
        self.wire.send(raw);
    }

    fn encoded(&self, message: &Message) -> Vec<u8> {
        let (opcode, payload) = match message {
            Message::Text(text) => (opcode::TEXT, text.clone().into_bytes()),
            Message::Binary(bytes) => (opcode::BINARY, bytes.clone()),
            Message::Ping(bytes) => (opcode::PING, bytes.clone()),
            Message::Pong(bytes) => (opcode::PONG, bytes.clone()),
            Message::Close(None) => (opcode::CLOSE, Vec::new()),
            Message::Close(Some((code, why))) => {
                (opcode::CLOSE, close_payload(*code, why.as_bytes()))
            }
        };
        encode(FIN | opcode, &payload, self.is_client)
    }

    /// Sends a text.
    pub(crate) fn say(&mut self, words: &str) {
        self.send(&[text(words)]);
    }

    /// Reads a frame; `None` when the connection ended, even within one.
    pub(crate) fn try_frame(&mut self) -> Option<Frame> {
        let head = self.some(2)?;
        let (first, masked) = (head[0], head[1] & 0x80 != 0);
        let length = match head[1] & 0x7f {
            126 => u64::from(u16::from_be_bytes(self.some(2)?.try_into().unwrap())),
            127 => u64::from_be_bytes(self.some(8)?.try_into().unwrap()),
            short => u64::from(short),
        };
        let mask = if masked { self.some(4)? } else { vec![0; 4] };
        let mut payload = self.some(usize::try_from(length).unwrap())?;
        for (byte, mask) in payload.iter_mut().zip(mask.iter().cycle()) {
            *byte ^= mask;
        }
        assert_eq!(
            masked, !self.is_client,
            "clients mask, backends do not: {first:#x}"
        );
        Some(Frame {
            first,
            masked,
            payload,
        })
    }

    fn some(&mut self, n: usize) -> Option<Vec<u8>> {
        let bytes = self.wire.try_exact(n);
        (bytes.len() == n).then_some(bytes)
    }

    /// Reads a whole message or a control frame; `None` when the connection ended before it, or
    /// within it. Control frames between fragments are not expected here.
    pub(crate) fn try_message(&mut self) -> Option<Message> {
        let mut frame = self.try_frame()?;
        let opcode = frame.opcode();
        assert_eq!(frame.first & 0x70, 0, "nothing was negotiated: {frame:?}");
        assert_ne!(opcode, opcode::CONTINUATION, "of nothing: {frame:?}");
        let mut payload = std::mem::take(&mut frame.payload);
        if opcode >= opcode::CLOSE {
            assert!(frame.is_last() && payload.len() <= 125, "{frame:?}");
        }
        while !frame.is_last() {
            frame = self.try_frame()?;
            assert_eq!(frame.first & 0x7f, 0, "between fragments: {frame:?}");
            payload.append(&mut frame.payload);
        }
        Some(match opcode {
            opcode::TEXT => Message::Text(utf8(payload)),
            opcode::BINARY => Message::Binary(payload),
            opcode::PING => Message::Ping(payload),
            opcode::PONG => Message::Pong(payload),
            opcode::CLOSE => Message::Close(close_of(&payload)),
            other => panic!("opcode {other}"),
        })
    }

    /// Reads a whole message or a control frame.
    pub(crate) fn message(&mut self) -> Message {
        self.try_message()
            .expect("the connection ended instead of a message")
    }

    /// The next things that come are these.
    pub(crate) fn expect(&mut self, messages: &[Message]) {
        for (n, message) in messages.iter().enumerate() {
            assert_eq!(&self.message(), message, "number {n}");
        }
    }

    /// The next thing that comes is this text.
    pub(crate) fn hear(&mut self, words: &str) {
        self.expect(&[text(words)]);
    }

    /// The next thing that comes is a close frame. It is answered if it is not itself an answer,
    /// and the connection ends without another byte. Returns its code and reason.
    pub(crate) fn expect_close(&mut self) -> Option<(u16, String)> {
        let Message::Close(close) = self.message() else {
            panic!("expected a close frame");
        };
        if !self.has_closed {
            let payload =
                (close.as_ref()).map_or_else(Vec::new, |(code, _)| close_payload(*code, b""));
            self.frame(FIN | opcode::CLOSE, payload);
        }
        self.wire.expect_eof();
        close
    }

    /// The next thing that comes is a close frame with this code; see [`Self::expect_close`].
    pub(crate) fn expect_code(&mut self, code: u16) {
        let close = self.expect_close();
        assert_eq!(
            close.as_ref().map(|(code, _)| *code),
            Some(code),
            "{close:?}"
        );
    }

    /// The connection ends without another byte.
    pub(crate) fn expect_eof(&mut self) {
        self.wire.expect_eof();
    }

    /// Ends the connection without a close frame.
    pub(crate) fn vanish(self) {
        self.wire.close();
    }
}

fn close_of(payload: &[u8]) -> Option<(u16, String)> {
    let (code, reason) = payload.split_first_chunk::<2>()?;
    Some((u16::from_be_bytes(*code), utf8(reason.to_vec())))
}

fn utf8(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("text is UTF-8")
}
