//! The bytes that go over the wires: what a browser sends, what the backend answers, what is
//! published.
//!
//! Every piece of content holds exactly one [`MARK`], and nothing else on a stream does. Counting
//! marks therefore counts items, however a server cuts its chunks.

use serde_json::json;

/// The byte that stands once in each piece of content.
pub const MARK: u8 = b'$';

/// The channel all streams subscribe to.
pub const CHANNEL: &str = "bench";

/// What the backend's answer holds, and so what each stream begins with.
pub const OPENING: &[u8] = b":$ok\n\n";

/// Bytes of one published item.
pub const ITEM_LEN: usize = 100;

/// A request as a browser's `EventSource` sends it, some 900 bytes with its cookies.
pub fn browser_head() -> Vec<u8> {
    let cookie = "0123456789abcdef".repeat(18);
    format!(
        "GET /events/ HTTP/1.1\r\n\
         Host: app.example.com\r\n\
         Connection: keep-alive\r\n\
         sec-ch-ua: \"Chromium\";v=\"140\", \"Not=A?Brand\";v=\"24\"\r\n\
         sec-ch-ua-mobile: ?0\r\n\
         sec-ch-ua-platform: \"Linux\"\r\n\
         User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) \
         Chrome/140.0.0.0 Safari/537.36\r\n\
         Accept: text/event-stream\r\n\
         Cache-Control: no-cache\r\n\
         Sec-Fetch-Site: same-origin\r\n\
         Sec-Fetch-Mode: cors\r\n\
         Sec-Fetch-Dest: empty\r\n\
         Referer: http://app.example.com/rooms/1\r\n\
         Accept-Encoding: gzip, deflate, br, zstd\r\n\
         Accept-Language: en-GB,en;q=0.9,de;q=0.8\r\n\
         Cookie: sessionid={cookie}; csrftoken=0123456789abcdef0123456789abcdef\r\n\r\n"
    )
    .into_bytes()
}

/// The backend's answer: hold this request as a stream.
pub fn hold_answer() -> Vec<u8> {
    let mut answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nGrip-Hold: stream\r\n\
         Grip-Channel: {CHANNEL}\r\nContent-Length: {}\r\n\r\n",
        OPENING.len()
    )
    .into_bytes();
    answer.extend_from_slice(OPENING);
    answer
}

/// What the floor answers by itself: the head of a chunked stream and the opening.
pub fn stream_answer() -> Vec<u8> {
    let mut answer = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
        Transfer-Encoding: chunked\r\nConnection: Transfer-Encoding\r\n\r\n"
        .to_vec();
    answer.extend_from_slice(&chunk(OPENING));
    answer
}

/// `content` as one HTTP/1.1 chunk.
pub fn chunk(content: &[u8]) -> Vec<u8> {
    let mut out = format!("{:x}\r\n", content.len()).into_bytes();
    out.extend_from_slice(content);
    out.extend_from_slice(b"\r\n");
    out
}

/// One item: an event of [`ITEM_LEN`] bytes.
pub fn item() -> String {
    let padding = "x".repeat(ITEM_LEN - "data: $\n\n".len());
    format!("data: {padding}$\n\n")
}

/// A `POST /publish/` of `count` items, on a connection that stays or ends.
pub fn publish_request(count: usize, keep_alive: bool) -> Vec<u8> {
    let item = json!({ "channel": CHANNEL, "formats": { "http-stream": { "content": item() } } });
    let body = json!({ "items": vec![item; count] }).to_string();
    let connection = if keep_alive { "keep-alive" } else { "close" };
    format!(
        "POST /publish/ HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Connection: {connection}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// Items in `bytes`.
pub fn marks(bytes: &[u8]) -> u32 {
    u32::try_from(memchr::memchr_iter(MARK, bytes).count()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_piece_of_content_holds_one_mark() {
        assert_eq!(item().len(), ITEM_LEN);
        assert_eq!(marks(item().as_bytes()), 1);
        assert_eq!(marks(&chunk(item().as_bytes())), 1);
        assert_eq!(marks(&hold_answer()), 1);
        assert_eq!(marks(&stream_answer()), 1);
        assert_eq!(marks(&publish_request(100, true)), 100);
    }

    #[test]
    fn the_browser_sends_some_nine_hundred_bytes() {
        let head = browser_head();
        assert!((850..950).contains(&head.len()), "{} bytes", head.len());
        assert!(head.ends_with(b"\r\n\r\n"));
    }
}
