//! Channels that only one client subscribes to: what they are called, and how the backend (or the
//! floor) learns from a request which client asks.

/// Where a client asks for a stream of a channel of its own.
pub const OWN: &str = "/own/";

/// What a client of this number asks for below `path`.
pub fn target(path: &str, number: usize) -> String {
    format!("{path}?channel={number}")
}

/// The number in the first line of a request.
pub fn number(request: &[u8]) -> Option<usize> {
    let line = &request[..memchr::memchr(b'\r', request)?];
    let at = memchr::memmem::find(line, b"?channel=")? + b"?channel=".len();
    let digits = line[at..].iter().take_while(|byte| byte.is_ascii_digit());
    let text: String = digits.map(|byte| char::from(*byte)).collect();
    text.parse().ok()
}

/// The channel of client `number`.
pub fn own(number: usize) -> String {
    format!("own-{number}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_is_read_again() {
        let head = |target: &str| format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n");
        let read = |target: &str| number(head(target).as_bytes());
        assert_eq!(read(&target(OWN, 4711)), Some(4711));
        assert_eq!(read("/own/"), None);
        assert_eq!(read("/own/?channel="), None);
        assert_eq!(number(b"GET /own/?channel=47"), None);
    }
}
