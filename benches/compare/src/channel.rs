//! Channels that not all clients subscribe to: what they are called, and how the backend (or the
//! floor) learns from a request which client asks.

use crate::wire::CHANNEL;

/// Where a client asks for a stream of a channel of its own.
pub const OWN: &str = "/own/";

/// Where a client asks for a WebSocket of many channels.
pub const ROOMS: &str = "/rooms/";

/// So many, the most that Pushpin allows as shipped: one for all such clients, and some rooms.
pub const MANY: usize = 20;

/// All rooms. Neighbours share most of theirs.
const ALL_ROOMS: usize = 1000;

/// What a client of this number asks for below `path`.
pub fn target(path: &str, number: usize) -> String {
    format!("{path}?channel={number}")
}

fn first_line(request: &[u8]) -> Option<&[u8]> {
    Some(&request[..memchr::memchr(b'\r', request)?])
}

/// The number in the first line of a request.
pub fn number(request: &[u8]) -> Option<usize> {
    let line = first_line(request)?;
    let at = memchr::memmem::find(line, b"?channel=")? + b"?channel=".len();
    let digits = line[at..].iter().take_while(|byte| byte.is_ascii_digit());
    let text: String = digits.map(|byte| char::from(*byte)).collect();
    text.parse().ok()
}

/// What a client asks for that wants what all get besides.
pub fn target_and_all(path: &str, number: usize) -> String {
    format!("{}{AND_ALL}", target(path, number))
}

/// The channels that the backend subscribes a client to.
pub fn of(request: &[u8]) -> Vec<String> {
    let Some(number) = number(request) else {
        return vec![CHANNEL.into()];
    };
    // Not anywhere: browsers tell in other lines where they come from.
    let line = first_line(request).unwrap_or_default();
    let has = |what: &str| memchr::memmem::find(line, what.as_bytes()).is_some();
    if has(ROOMS) {
        let rooms = (1..MANY).map(|room| format!("room-{}", (number + room) % ALL_ROOMS));
        return std::iter::once(CHANNEL.into()).chain(rooms).collect();
    }
    let mut channels = vec![own(number)];
    if has(AND_ALL) {
        channels.push(CHANNEL.into());
    }
    channels
}

const AND_ALL: &str = "&and=all";

/// The channel of client `number`.
pub fn own(number: usize) -> String {
    format!("own-{number}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_is_read_again() {
        // Other lines name other places.
        let head = |target: &str| {
            let referer = format!("Referer: http://a{ROOMS}?channel=1{AND_ALL}\r\n");
            format!("GET {target} HTTP/1.1\r\n{referer}\r\n")
        };
        let read = |target: &str| number(head(target).as_bytes());
        assert_eq!(read(&target(OWN, 4711)), Some(4711));
        assert_eq!(read("/own/"), None);
        assert_eq!(read("/own/?channel="), None);
        assert_eq!(of(head(&target(OWN, 7)).as_bytes()), ["own-7"]);
        let both = of(head(&target_and_all(OWN, 7)).as_bytes());
        assert_eq!(both, ["own-7", CHANNEL]);
        let rooms = of(head(&target(ROOMS, 7)).as_bytes());
        assert_eq!((rooms.len(), &*rooms[0]), (MANY, CHANNEL));
        assert_eq!(of(b"GET /events/ HTTP/1.1\r\n"), [CHANNEL]);
        assert_eq!(number(b"GET /own/?channel=47"), None);
    }
}
