//! The bytes that go over the wires: what a browser sends, what the backend answers, what is
//! published.
//!
//! Each piece of content of a stream or a long-poll holds exactly one [`MARK`], and nothing else
//! there does: counting marks counts items, however a server cuts its chunks. On WebSockets
//! [`crate::frames`] counts.

use std::fmt::{self, Write as _};

use serde_json::{Value, json};

use crate::{channel, frames, http2};

/// The byte that stands once in each piece of content of a stream or a long-poll.
pub const MARK: u8 = b'$';

/// The channel all clients subscribe to.
pub const CHANNEL: &str = "bench";

/// What the backend's answer holds, and so what each stream begins with.
pub const OPENING: &[u8] = b":$ok\n\n";

/// Where a client asks for a WebSocket.
const SOCKET: &str = "/socket/";

/// Bytes of one published item, if it is not a large one.
pub const ITEM_LEN: usize = 100;

/// Bytes of a large one.
pub const LARGE_LEN: usize = 4096;

/// gripd compresses messages of so many bytes and more, so the floor does too.
const COMPRESSED_FROM: usize = 256;

/// What a client asks for and is held as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Hold {
    /// An event stream.
    Stream,
    /// A request that is answered by the next item, and then made again.
    LongPoll,
    /// A WebSocket over HTTP without extensions.
    WebSocket,
    /// The same that offers `permessage-deflate`, as every browser's does.
    Compressed,
    /// An event stream of a channel that nobody else subscribes to.
    Own,
    /// An event stream over TLS.
    Secure,
    /// An event stream over HTTP/2, the only one of its connection.
    Http2,
    /// The same, [many](http2::SHARED) of which share a connection.
    Http2Shared,
    /// A WebSocket over HTTP that is subscribed to many channels, one of them with all others.
    Rooms,
}

impl Hold {
    /// All, in their order.
    pub const ALL: [Self; 9] = [
        Self::Stream,
        Self::LongPoll,
        Self::WebSocket,
        Self::Compressed,
        Self::Own,
        Self::Secure,
        Self::Http2,
        Self::Http2Shared,
        Self::Rooms,
    ];

    /// The hold that the beginning of a request (of a client or a proxy) asks for.
    pub fn of(request: &[u8]) -> Option<Self> {
        let (_, target) = request.split_at_checked(memchr::memchr(b' ', request)? + 1)?;
        if target.starts_with(b"/events/") {
            Some(Self::Stream)
        } else if target.starts_with(b"/poll/") {
            Some(Self::LongPoll)
        } else if target.starts_with(b"/secure/") {
            Some(Self::Secure)
        } else if target.starts_with(b"/http2/") {
            Some(Self::Http2)
        } else if target.starts_with(b"/http2-shared/") {
            Some(Self::Http2Shared)
        } else if target.starts_with(channel::ROOMS.as_bytes()) {
            Some(Self::Rooms)
        } else if target.starts_with(channel::OWN.as_bytes()) {
            Some(Self::Own)
        } else if !target.starts_with(b"/socket/") {
            None
        } else if memchr::memmem::find(request, b"permessage-deflate").is_some() {
            Some(Self::Compressed)
        } else {
            Some(Self::WebSocket)
        }
    }

    /// True for all kinds of WebSockets.
    pub fn is_socket(self) -> bool {
        matches!(self, Self::WebSocket | Self::Compressed | Self::Rooms)
    }

    /// How many of its clients share a connection of HTTP/2; none without that.
    pub fn http2(self) -> Option<usize> {
        match self {
            Self::Http2 => Some(1),
            Self::Http2Shared => Some(http2::SHARED),
            _ => None,
        }
    }

    /// Do its clients differ, so that each has a number in its request?
    pub fn is_numbered(self) -> bool {
        matches!(self, Self::Own | Self::Rooms)
    }

    /// What a client is told before anything is published, counted like items.
    pub fn openings(self) -> u32 {
        u32::from(self != Self::LongPoll)
    }

    /// A request as a browser sends it, some 900 bytes with its cookies, of client `number`.
    pub fn browser_head(self, number: usize) -> Vec<u8> {
        let own = match self {
            Self::Stream => fetching("GET", "/events/", "text/event-stream"),
            Self::Secure => fetching("GET", "/secure/", "text/event-stream"),
            Self::Http2 => fetching("GET", "/http2/", "text/event-stream"),
            Self::Http2Shared => fetching("GET", "/http2-shared/", "text/event-stream"),
            Self::LongPoll => fetching("GET", "/poll/", "application/json, text/plain, */*"),
            Self::Own => {
                let target = channel::target(channel::OWN, number);
                fetching("GET", &target, "text/event-stream")
            }
            Self::WebSocket => handshake(SOCKET, ""),
            Self::Rooms => handshake(&channel::target(channel::ROOMS, number), ""),
            Self::Compressed => handshake(
                SOCKET,
                "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n",
            ),
        };
        browser(&own, if self.is_socket() { 23 } else { 18 })
    }

    /// Is this the head of the answer that holds such a client, or for a long-poll ends its wait?
    pub fn is_answered_by(self, head: &[u8]) -> bool {
        if self.is_socket() {
            head.starts_with(b"HTTP/1.1 101")
                && memchr::memmem::find(head, frames::ACCEPT.as_bytes()).is_some()
        } else {
            head.starts_with(b"HTTP/1.1 200")
        }
    }

    /// The backend's answer: hold this client, subscribed to these channels.
    pub fn backend_answer(self, channels: &[String]) -> Vec<u8> {
        let hold = |mode, body| {
            let channels = channels.join(", ");
            let lines = format!("Grip-Hold: {mode}\r\nGrip-Channel: {channels}\r\n");
            answer("text/event-stream", &lines, body)
        };
        match self {
            Self::Stream | Self::Own | Self::Secure | Self::Http2 | Self::Http2Shared => {
                hold("stream", OPENING)
            }
            Self::LongPoll => hold("response", b"nothing new"),
            Self::WebSocket | Self::Compressed | Self::Rooms => {
                let mut events = vec![b"OPEN\r\n".to_vec()];
                events.extend(channels.iter().map(|channel| {
                    let subscribe = json!({ "type": "subscribe", "channel": channel });
                    event(format!("c:{subscribe}").as_bytes())
                }));
                events.push(event(b"m:ok"));
                let grip = "Sec-WebSocket-Extensions: grip\r\n";
                answer(EVENTS, grip, &events.concat())
            }
        }
    }

    /// What the floor answers by itself: the beginning of what is held; nothing to a long-poll.
    pub fn floor_answer(self) -> Vec<u8> {
        let upgrade = format!(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Accept: {}\r\n",
            frames::ACCEPT
        );
        let (head, opening) = match self {
            Self::Stream | Self::Own | Self::Secure | Self::Http2 | Self::Http2Shared => (
                "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
                 Transfer-Encoding: chunked\r\nConnection: Transfer-Encoding\r\n\r\n"
                    .to_owned(),
                chunk(OPENING),
            ),
            Self::LongPoll => return Vec::new(),
            Self::WebSocket | Self::Rooms => (format!("{upgrade}\r\n"), frames::text(b"ok")),
            Self::Compressed => (
                format!(
                    "{upgrade}Sec-WebSocket-Extensions: permessage-deflate; \
                     server_no_context_takeover\r\n\r\n"
                ),
                frames::text(b"ok"),
            ),
        };
        [head.into_bytes(), opening].concat()
    }
}

impl fmt::Display for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stream => "streams",
            Self::LongPoll => "long-polls",
            Self::WebSocket => "WebSockets",
            Self::Compressed => "compressing WebSockets",
            Self::Own => "streams of their own channels",
            Self::Secure => "streams over TLS",
            Self::Http2 => "streams over HTTP/2",
            Self::Http2Shared => "streams over HTTP/2 that share connections",
            Self::Rooms => "WebSockets of many channels",
        })
    }
}

/// A request as a browser sends it: its `own` lines and those of every request, with a cookie of so
/// many times 16 bytes.
pub(crate) fn browser(own: &str, cookie: usize) -> Vec<u8> {
    let session = "0123456789abcdef".repeat(cookie);
    format!(
        "{own}Host: app.example.com\r\n\
         Cache-Control: no-cache\r\n\
         User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) \
         Chrome/140.0.0.0 Safari/537.36\r\n\
         Accept-Encoding: gzip, deflate, br, zstd\r\n\
         Accept-Language: en-GB,en;q=0.9,de;q=0.8\r\n\
         Cookie: sessionid={session}; csrftoken=0123456789abcdef0123456789abcdef\r\n\r\n"
    )
    .into_bytes()
}

/// Lines of a page's own requests.
pub(crate) fn fetching(method: &str, path: &str, accept: &str) -> String {
    format!(
        "{method} {path} HTTP/1.1\r\n\
         Connection: keep-alive\r\n\
         sec-ch-ua: \"Chromium\";v=\"140\", \"Not=A?Brand\";v=\"24\"\r\n\
         sec-ch-ua-mobile: ?0\r\n\
         sec-ch-ua-platform: \"Linux\"\r\n\
         Accept: {accept}\r\n\
         Sec-Fetch-Site: same-origin\r\n\
         Sec-Fetch-Mode: cors\r\n\
         Sec-Fetch-Dest: empty\r\n\
         Referer: http://app.example.com/rooms/1\r\n"
    )
}

/// Lines of a WebSocket's handshake.
fn handshake(path: &str, extensions: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\n\
         Connection: Upgrade\r\n\
         Pragma: no-cache\r\n\
         Upgrade: websocket\r\n\
         Origin: http://app.example.com\r\n\
         Sec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: {}\r\n\
         {extensions}",
        frames::KEY
    )
}

/// One thing that is published, or said by a client and echoed.
#[derive(Clone, Copy, Debug)]
pub struct Item {
    /// To whom.
    pub hold: Hold,
    /// Bytes of its content.
    pub len: usize,
}

impl Item {
    /// Its content. For WebSockets, where it may be compressed, something like JSON.
    pub fn content(self) -> String {
        let padding = |with: &str| "x".repeat(self.len.saturating_sub(with.len()));
        match self.hold {
            Hold::Stream | Hold::Own | Hold::Secure | Hold::Http2 | Hold::Http2Shared => {
                format!("data: {}$\n\n", padding("data: $\n\n"))
            }
            // At the end, so that nothing of the answer comes behind it.
            Hold::LongPoll => format!("{}$", padding("$")),
            Hold::WebSocket | Hold::Compressed | Hold::Rooms => records(self.len),
        }
    }

    /// As publishers write it.
    fn published(self, channel: &str) -> Value {
        let content = self.content();
        let formats = match self.hold {
            Hold::Stream | Hold::Own | Hold::Secure | Hold::Http2 | Hold::Http2Shared => {
                json!({ "http-stream": { "content": content } })
            }
            Hold::LongPoll => json!({ "http-response": { "body": content } }),
            Hold::WebSocket | Hold::Compressed | Hold::Rooms => {
                json!({ "ws-message": { "content": content } })
            }
        };
        json!({ "channel": channel, "formats": formats })
    }

    /// The bytes that one client gets, for the floor to write.
    pub fn written(self) -> Vec<u8> {
        let content = self.content().into_bytes();
        match self.hold {
            Hold::Stream | Hold::Own | Hold::Secure | Hold::Http2 | Hold::Http2Shared => {
                chunk(&content)
            }
            Hold::LongPoll => answer("text/plain", "", &content),
            Hold::Compressed if self.len >= COMPRESSED_FROM => frames::compressed(&content),
            Hold::WebSocket | Hold::Compressed | Hold::Rooms => frames::text(&content),
        }
    }

    /// A `POST /publish/` of it, `count` times, on a connection that stays or ends.
    pub fn publish_request(self, count: usize, keep_alive: bool) -> Vec<u8> {
        post(&vec![self.published(CHANNEL); count], keep_alive)
    }

    /// The same, once to each of these channels.
    pub fn publish_request_to(self, channels: &[String], keep_alive: bool) -> Vec<u8> {
        let items: Vec<_> = channels.iter().map(|name| self.published(name)).collect();
        post(&items, keep_alive)
    }
}

fn post(items: &[Value], keep_alive: bool) -> Vec<u8> {
    let body = json!({ "items": items }).to_string();
    let connection = if keep_alive { "keep-alive" } else { "close" };
    format!(
        "POST /publish/ HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Connection: {connection}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// What a client says in a round trip, and the backend or the floor says back.
pub const SAID: Item = Item {
    hold: Hold::WebSocket,
    len: ITEM_LEN,
};

/// The event of what a client said, as the backend gets it.
pub fn said_event() -> Vec<u8> {
    event(SAID.content().as_bytes())
}

/// The backend's answer to it.
pub fn echo_answer() -> Vec<u8> {
    let echo = event(format!("m:{}", SAID.content()).as_bytes());
    answer(EVENTS, "", &echo)
}

/// The backend's answer when nothing is to be said.
pub fn silent_answer() -> Vec<u8> {
    answer(EVENTS, "", b"")
}

const EVENTS: &str = "application/websocket-events";

fn event(content: &[u8]) -> Vec<u8> {
    let line = format!("TEXT {:x}\r\n", content.len());
    [line.as_bytes(), content, b"\r\n"].concat()
}

/// A whole answer, with further `lines` in its head.
pub(crate) fn answer(content_type: &str, lines: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\n{lines}Content-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

/// `content` as one HTTP/1.1 chunk.
fn chunk(content: &[u8]) -> Vec<u8> {
    let size = format!("{:x}\r\n", content.len());
    [size.as_bytes(), content, b"\r\n"].concat()
}

/// Records of words and numbers, always the same: they compress about as well as real ones do.
pub(crate) fn records(len: usize) -> String {
    const WORDS: [&str; 8] = [
        "author", "body", "created", "id", "likes", "room", "thread", "unread",
    ];
    let (mut out, mut state) = (String::new(), 1_u32);
    while out.len() < len {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let word = WORDS[(state >> 29) as usize];
        let _ = write!(out, "\"{word}\":{},", state >> 12);
    }
    out.truncate(len);
    out
}

/// Items in `bytes` of a stream or a long-poll's answer.
pub fn marks(bytes: &[u8]) -> u32 {
    u32::try_from(memchr::memchr_iter(MARK, bytes).count()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_piece_of_content_holds_one_mark() {
        let channels = [CHANNEL.to_owned()];
        for hold in Hold::ALL.into_iter().filter(|hold| !hold.is_socket()) {
            let item = Item {
                hold,
                len: ITEM_LEN,
            };
            assert_eq!(item.content().len(), ITEM_LEN);
            assert_eq!(marks(&item.written()), 1);
            assert_eq!(marks(&item.publish_request(100, true)), 100);
            assert_eq!(marks(&hold.backend_answer(&channels)), hold.openings());
            assert_eq!(marks(&hold.floor_answer()), hold.openings());
        }
    }

    #[test]
    fn the_browser_sends_some_nine_hundred_bytes() {
        for hold in Hold::ALL {
            let head = hold.browser_head(4711);
            assert!((850..950).contains(&head.len()), "{hold:?}: {}", head.len());
            assert!(head.ends_with(b"\r\n\r\n"));
            assert_eq!(Hold::of(&head), Some(hold));
        }
        assert_eq!(Hold::of(b"GET / HTTP/1.1\r\n"), None);
    }

    #[test]
    fn the_answers_are_those_that_clients_wait_for() {
        for hold in Hold::ALL {
            assert!(!hold.is_answered_by(b"HTTP/1.1 502 Bad Gateway\r\n"));
            let answer = match hold {
                Hold::LongPoll => Item { hold, len: 9 }.written(),
                _ => hold.floor_answer(),
            };
            assert!(hold.is_answered_by(&answer), "{hold:?}");
        }
        assert!(!Hold::WebSocket.is_answered_by(b"HTTP/1.1 101 Switching Protocols\r\n"));
    }

    #[test]
    fn a_large_message_compresses_like_json() {
        let item = |hold| Item {
            hold,
            len: LARGE_LEN,
        };
        let plain = item(Hold::WebSocket).written().len();
        let compressed = item(Hold::Compressed).written().len();
        assert_eq!(plain, LARGE_LEN + 4);
        assert!((plain / 4..plain / 2).contains(&compressed), "{compressed}");
    }
}
