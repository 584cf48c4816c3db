//! A request's bytes as they are kept while nobody needs them: compressed, against a dictionary of
//! what browsers say in every request. A browser's head of 900 bytes takes some 350 so, which
//! counts when a hundred thousand of them are kept for hours. It never leaves the process.

use std::cell::RefCell;

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

/// Bytes that were packed. The first one tells how.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Packed(Box<[u8]>);

/// Too long to be worth the time, or no shorter when compressed.
const PLAIN: u8 = 0;
const DEFLATED: u8 = 1;

impl Packed {
    pub(super) fn new(bytes: &[u8]) -> Self {
        let deflated = (bytes.len() <= LONGEST).then(|| deflate(bytes)).flatten();
        Self(match deflated {
            Some(deflated) => [&[DEFLATED], &*deflated].concat().into(),
            None => [&[PLAIN], bytes].concat().into(),
        })
    }

    /// The bytes; `None` if they cannot be had again, which would be a fault of the library's.
    pub(super) fn unpack(&self) -> Option<Vec<u8>> {
        match &*self.0 {
            [DEFLATED, bytes @ ..] => inflate(bytes),
            [_, bytes @ ..] => Some(bytes.to_vec()),
            [] => None,
        }
    }
}

/// `None` unless it is shorter.
fn deflate(bytes: &[u8]) -> Option<Vec<u8>> {
    DEFLATER.with_borrow_mut(|deflater| {
        deflater.reset();
        deflater.set_dictionary(COMMON).ok()?;
        // Room for what cannot be compressed, so that every run comes to its end.
        let mut out = Vec::with_capacity(bytes.len() + 64);
        let status = deflater.compress_vec(bytes, &mut out, FlushCompress::Finish);
        (matches!(status, Ok(Status::StreamEnd)) && out.len() < bytes.len()).then_some(out)
    })
}

fn inflate(bytes: &[u8]) -> Option<Vec<u8>> {
    INFLATER.with_borrow_mut(|inflater| {
        inflater.reset(false);
        inflater.set_dictionary(COMMON).ok()?;
        let mut out = Vec::with_capacity(LONGEST);
        let status = inflater.decompress_vec(bytes, &mut out, FlushDecompress::Finish);
        matches!(status, Ok(Status::StreamEnd)).then_some(out)
    })
}

thread_local! {
    // Tables of some 100 KiB, and of 10.
    static DEFLATER: RefCell<Compress> =
        RefCell::new(Compress::new_with_window_bits(Compression::new(6), false, WINDOW));
    static INFLATER: RefCell<Decompress> =
        RefCell::new(Decompress::new_with_window_bits(false, WINDOW));
}

/// Most bytes that are compressed; nearly all heads are shorter.
const LONGEST: usize = 4096;

/// Two to the power of this is more than the dictionary and the longest head.
const WINDOW: u8 = 13;

/// What is in many requests; the commonest last, where it costs least to point to.
const COMMON: &[u8] = b"\
Sec-Fetch-User: ?1\r\nUpgrade-Insecure-Requests: 1\r\nDNT: 1\r\nContent-Type: application/json\r\n\
X-Requested-With: XMLHttpRequest\r\nAuthorization: Bearer eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.\r\n\
If-None-Match: \r\nLast-Event-ID: \r\nContent-Length: \r\nX-Forwarded-For: \r\nX-Forwarded-Proto: \
https\r\nX-Forwarded-Host: \r\nX-Real-IP: \r\nAccept: application/json, text/plain, */*\r\n\
Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,\
*/*;q=0.8\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:132.0) Gecko/20100101 Firefox/132.0\
\r\nUser-Agent: Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 \
(KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1\r\nUser-Agent: Mozilla/5.0 (Macintosh; \
Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36\r\n\
sec-ch-ua: \"Chromium\";v=\"130\", \"Google Chrome\";v=\"130\", \"Not?A_Brand\";v=\"99\"\r\n\
sec-ch-ua-mobile: ?0\r\nsec-ch-ua-platform: \"Windows\"\r\nPOST GET / HTTP/1.1\r\nHost: localhost\
\r\nConnection: keep-alive\r\nPragma: no-cache\r\nCache-Control: no-cache\r\nConnection: Upgrade\
\r\nUpgrade: websocket\r\nUser-Agent: Mozilla/5.0 (Windows NT 10.0; Win64; x64) \
AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36\r\nAccept: \
text/event-stream\r\nAccept: */*\r\nOrigin: https://www.\r\nSec-WebSocket-Version: 13\r\n\
Sec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: cors\r\nSec-Fetch-Dest: empty\r\nReferer: \
https://www.\r\nAccept-Encoding: gzip, deflate, br, zstd\r\nAccept-Language: en-US,en;q=0.9\r\n\
Cookie: csrftoken=; sessionid=; _ga=GA1.1.; session=\r\nSec-WebSocket-Key: \
==\r\nSec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_browsers_head_takes_less_than_half() {
        let head = b"GET /chat/rooms/42?token=8f14e45fceea167a5a36dedd4bea2543 HTTP/1.1\r\n\
            Host: chat.example.com\r\nConnection: Upgrade\r\nPragma: no-cache\r\n\
            Cache-Control: no-cache\r\nUser-Agent: Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) \
            AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36\r\n\
            Upgrade: websocket\r\nOrigin: https://chat.example.com\r\nSec-WebSocket-Version: 13\r\n\
            Accept-Encoding: gzip, deflate, br, zstd\r\nAccept-Language: de-DE,de;q=0.9\r\n\
            Cookie: csrftoken=tO4c1rVqkTzq3nKSvY8LxyVpKU3yyo0B; sessionid=\
            9xk2l0w5q1bzrj3m7v8d6f4h0t2y5n1c; theme=dark; _ga=GA1.1.1803845032.1718293847\r\n\
            Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
            Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n";
        let packed = Packed::new(head);
        assert_eq!(packed.unpack().unwrap(), head);
        let length = packed.0.len();
        assert!(length * 2 < head.len(), "{length} of {}", head.len());
    }

    #[test]
    fn what_is_long_or_random_is_kept_as_it_is() {
        let long = vec![b'x'; LONGEST + 1];
        let noise: Vec<u8> = (0_u32..64)
            .map(|n| n.wrapping_mul(0x9E37_79B9).to_be_bytes()[1])
            .collect();
        for bytes in [long, noise] {
            let packed = Packed::new(&bytes);
            assert_eq!(packed.0.len(), bytes.len() + 1);
            assert_eq!(packed.unpack().unwrap(), bytes);
        }
    }

    proptest! {
        #[test]
        fn whatever_is_packed_comes_back(bytes in proptest::collection::vec(any::<u8>(), 0..6000)) {
            prop_assert_eq!(Packed::new(&bytes).unpack().unwrap(), bytes);
        }

        #[test]
        fn texts_come_back(text in "[a-z :;=/\r\n]{0,4200}") {
            prop_assert_eq!(Packed::new(text.as_bytes()).unpack().unwrap(), text.as_bytes());
        }
    }
}
