//! One end of a raw HTTP/1 connection: bytes out, heads, chunks and bodies in. Used as client of
//! gripd and, by the backends, as the server's side. It does not repair and does not skip.

use std::{
    fmt::Write as _,
    io::{ErrorKind, Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    time::Duration,
};

use super::{HOST, PATIENCE};

/// A parsed request or response head.
#[derive(Clone, Debug, Default)]
pub(crate) struct Head {
    /// The bytes as they came, with the empty line. Lossy where they are not UTF-8.
    pub(crate) raw: String,
}

impl Head {
    /// Request line or status line.
    pub(crate) fn first_line(&self) -> &str {
        self.raw.split("\r\n").next().unwrap_or_default()
    }

    fn word(&self, n: usize) -> &str {
        self.first_line().split(' ').nth(n).unwrap_or_default()
    }

    /// Method of a request.
    pub(crate) fn method(&self) -> &str {
        self.word(0)
    }

    /// Target of a request.
    pub(crate) fn target(&self) -> &str {
        self.word(1)
    }

    /// Status of a response.
    pub(crate) fn status(&self) -> u16 {
        self.word(1)
            .parse()
            .unwrap_or_else(|_| panic!("no status line: {:?}", self.raw))
    }

    /// Reason phrase of a response.
    pub(crate) fn reason(&self) -> &str {
        self.first_line().splitn(3, ' ').nth(2).unwrap_or_default()
    }

    /// All header lines as name and value, in order.
    pub(crate) fn lines(&self) -> impl Iterator<Item = (&str, &str)> {
        self.raw
            .split("\r\n")
            .skip(1)
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name, value.trim()))
    }

    /// All values of a header, in order.
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        self.lines()
            .filter(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
            .collect()
    }

    /// The first value of a header.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.all(name).first().copied()
    }

    /// Is the header there?
    pub(crate) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Names that begin so, without regard to case.
    pub(crate) fn names_from(&self, prefix: &str) -> Vec<&str> {
        self.lines()
            .map(|(name, _)| name)
            .filter(|name| {
                name.len() >= prefix.len()
                    && name.as_bytes()[..prefix.len()].eq_ignore_ascii_case(prefix.as_bytes())
            })
            .collect()
    }

    /// Is the body chunked?
    pub(crate) fn is_chunked(&self) -> bool {
        self.all("Transfer-Encoding")
            .iter()
            .any(|v| v.eq_ignore_ascii_case("chunked"))
    }

    /// `Content-Length`, if it is a number.
    pub(crate) fn length(&self) -> Option<usize> {
        self.get("Content-Length")?.parse().ok()
    }
}

/// A whole response.
#[derive(Clone, Debug)]
pub(crate) struct Response {
    /// Its head.
    pub(crate) head: Head,
    /// Its body, without chunk framing.
    pub(crate) body: Vec<u8>,
}

impl Response {
    /// Status code.
    pub(crate) fn status(&self) -> u16 {
        self.head.status()
    }

    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {:?}", self.text()))
    }
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Wire {
    stream: TcpStream,
    /// Bytes read and not yet looked at.
    ahead: Vec<u8>,
    /// Decoded bytes of the chunked body that no expectation has taken yet.
    decoded: Vec<u8>,
    /// Header lines after the last chunk.
    trailers: Head,
}

impl Wire {
    /// Connects.
    pub(crate) fn connect(addr: SocketAddr) -> Self {
        let stream = TcpStream::connect_timeout(&addr, PATIENCE)
            .unwrap_or_else(|e| panic!("cannot connect to {addr}: {e}"));
        Self::over(stream)
    }

    /// Takes an accepted connection.
    pub(crate) fn over(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            stream,
            ahead: Vec::new(),
            decoded: Vec::new(),
            trailers: Head::default(),
        }
    }

    /// The socket, for what this type does not do.
    pub(crate) fn socket(&self) -> &TcpStream {
        &self.stream
    }

    /// Sends bytes.
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream
            .write_all(bytes.as_ref())
            .expect("the peer takes what is sent");
    }

    /// Sends bytes to a peer that may have gone; false when it has.
    pub(crate) fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.stream.write_all(bytes.as_ref()).is_ok()
    }

    /// Sends one chunk of a chunked body.
    pub(crate) fn send_chunk(&mut self, bytes: impl AsRef<[u8]>) {
        let bytes = bytes.as_ref();
        let mut raw = format!("{:x}\r\n", bytes.len()).into_bytes();
        raw.extend_from_slice(bytes);
        raw.extend_from_slice(b"\r\n");
        self.send(raw);
    }

    /// Sends a `GET` of [`HOST`].
    pub(crate) fn get(&mut self, target: &str) {
        self.request("GET", target, &[], "");
    }

    /// Sends a request of [`HOST`] with these header lines; a body is counted.
    pub(crate) fn request(
        &mut self,
        method: &str,
        target: &str,
        headers: &[&str],
        body: impl AsRef<[u8]>,
    ) {
        let body = body.as_ref();
        let mut raw = format!("{method} {target} HTTP/1.1\r\n");
        if !headers
            .iter()
            .any(|h| h.to_ascii_lowercase().starts_with("host:"))
        {
            write!(raw, "Host: {HOST}\r\n").unwrap();
        }
        for header in headers {
            write!(raw, "{header}\r\n").unwrap();
        }
        if !body.is_empty() {
            write!(raw, "Content-Length: {}\r\n", body.len()).unwrap();
        }
        raw.push_str("\r\n");
        let mut raw = raw.into_bytes();
        raw.extend_from_slice(body);
        self.send(raw);
    }

    /// Sends a `GET` and reads its whole answer.
    pub(crate) fn fetch(&mut self, target: &str) -> Response {
        self.get(target);
        self.response()
    }

    /// Reads more bytes; false at the end of the connection.
    ///
    /// # Panics
    /// When nothing comes within [`PATIENCE`].
    fn fill(&mut self) -> bool {
        let mut buf = vec![0; 64 << 10];
        loop {
            match self.stream.read(&mut buf) {
                Ok(0) => return false,
                Ok(n) => {
                    self.ahead.extend_from_slice(&buf[..n]);
                    return true;
                }
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    panic!("waited {PATIENCE:?} for bytes; so far: {}", self.shown());
                }
                Err(_) => return false,
            }
        }
    }

    fn shown(&self) -> String {
        let end = self.ahead.len().min(600);
        format!(
            "{} decoded, then {:?}",
            self.decoded.len(),
            String::from_utf8_lossy(&self.ahead[..end])
        )
    }

    /// Reads a head; `None` when the connection ended before it was complete.
    pub(crate) fn try_head(&mut self) -> Option<Head> {
        loop {
            if let Some(end) = find(&self.ahead, b"\r\n\r\n") {
                let raw: Vec<u8> = self.ahead.drain(..end + 4).collect();
                return Some(Head {
                    raw: String::from_utf8_lossy(&raw).into_owned(),
                });
            }
            if !self.fill() {
                return None;
            }
        }
    }

    /// Reads a head.
    pub(crate) fn head(&mut self) -> Head {
        self.try_head()
            .unwrap_or_else(|| panic!("the connection ended before a head: {}", self.shown()))
    }

    /// Reads exactly so many bytes; fewer when the connection ends.
    pub(crate) fn try_exact(&mut self, n: usize) -> Vec<u8> {
        while self.ahead.len() < n && self.fill() {}
        let n = n.min(self.ahead.len());
        self.ahead.drain(..n).collect()
    }

    /// Reads exactly so many bytes.
    pub(crate) fn exact(&mut self, n: usize) -> Vec<u8> {
        let bytes = self.try_exact(n);
        assert_eq!(bytes.len(), n, "the connection ended too early");
        bytes
    }

    /// Reads exactly this text, unframed.
    pub(crate) fn expect_bytes(&mut self, text: &str) {
        let bytes = self.exact(text.len());
        assert_eq!(String::from_utf8_lossy(&bytes), text);
    }

    fn line(&mut self) -> Option<String> {
        loop {
            if let Some(end) = find(&self.ahead, b"\r\n") {
                let line: Vec<u8> = self.ahead.drain(..end + 2).collect();
                return Some(String::from_utf8_lossy(&line[..end]).into_owned());
            }
            if !self.fill() {
                return None;
            }
        }
    }

    /// Reads a chunk. Empty: the last one. `None`: the connection ended before it was complete.
    pub(crate) fn try_chunk(&mut self) -> Option<Vec<u8>> {
        let line = self.line()?;
        let size = line.split(';').next().unwrap_or_default().trim();
        let size =
            usize::from_str_radix(size, 16).unwrap_or_else(|_| panic!("no chunk size: {line:?}"));
        if size == 0 {
            let mut raw = String::from("\r\n");
            loop {
                let line = self.line()?;
                if line.is_empty() {
                    self.trailers = Head { raw };
                    return Some(Vec::new());
                }
                raw.push_str(&line);
                raw.push_str("\r\n");
            }
        }
        let mut bytes = self.try_exact(size + 2);
        if bytes.len() < size + 2 {
            return None;
        }
        assert_eq!(&bytes[size..], b"\r\n", "a chunk ends with CR LF");
        bytes.truncate(size);
        Some(bytes)
    }

    /// Reads a chunk that is not the last.
    pub(crate) fn chunk(&mut self) -> Vec<u8> {
        match self.try_chunk() {
            Some(bytes) if !bytes.is_empty() => bytes,
            other => panic!("expected a chunk, got {other:?}"),
        }
    }

    /// Reads so many bytes of a chunked body, however they are cut into chunks.
    pub(crate) fn stream_bytes(&mut self, n: usize) -> Vec<u8> {
        while self.decoded.len() < n {
            match self.try_chunk() {
                Some(bytes) if !bytes.is_empty() => self.decoded.extend_from_slice(&bytes),
                end => panic!(
                    "the stream ended ({}) after {:?}, {n} bytes were expected",
                    if end.is_some() { "cleanly" } else { "cut" },
                    String::from_utf8_lossy(&self.decoded)
                ),
            }
        }
        self.decoded.drain(..n).collect()
    }

    /// Reads exactly this text of a chunked body.
    pub(crate) fn expect_stream(&mut self, text: &str) {
        let bytes = self.stream_bytes(text.len());
        assert_eq!(String::from_utf8_lossy(&bytes), text);
    }

    /// The chunked body ends here, properly.
    pub(crate) fn expect_last_chunk(&mut self) {
        let left = String::from_utf8_lossy(&self.decoded).into_owned();
        assert_eq!(left, "", "more came than was expected");
        match self.try_chunk() {
            Some(bytes) => assert_eq!(String::from_utf8_lossy(&bytes), "", "expected the end"),
            None => panic!("the connection ended without the last chunk"),
        }
    }

    /// Trailers of the last chunked body read.
    pub(crate) fn trailers(&self) -> &Head {
        &self.trailers
    }

    /// Reads a chunked body to where it ends; true when it ended properly.
    pub(crate) fn chunks_to_end(&mut self) -> (Vec<u8>, bool) {
        let mut body = std::mem::take(&mut self.decoded);
        loop {
            match self.try_chunk() {
                Some(bytes) if bytes.is_empty() => return (body, true),
                Some(bytes) => body.extend_from_slice(&bytes),
                None => return (body, false),
            }
        }
    }

    /// Reads the body that belongs to a head.
    pub(crate) fn body(&mut self, head: &Head) -> Vec<u8> {
        let is_response = head.first_line().starts_with("HTTP/");
        if is_response && matches!(head.status(), 100..=199 | 204 | 304) {
            Vec::new()
        } else if head.is_chunked() {
            let (body, whole) = self.chunks_to_end();
            assert!(whole, "the body was cut short: {:?}", head.raw);
            body
        } else if let Some(n) = head.length() {
            self.exact(n)
        } else if is_response {
            self.rest()
        } else {
            Vec::new()
        }
    }

    /// Reads the answer to a request with a body (not `HEAD`).
    pub(crate) fn response(&mut self) -> Response {
        let head = self.head();
        let body = self.body(&head);
        Response { head, body }
    }

    /// Reads everything to the end of the connection.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        while self.fill() {}
        std::mem::take(&mut self.ahead)
    }

    /// Nothing more comes; the connection ends.
    pub(crate) fn expect_eof(&mut self) {
        let rest = self.rest();
        assert_eq!(
            String::from_utf8_lossy(&rest),
            "",
            "expected the end of the connection"
        );
    }

    /// Waits until the peer closes, whatever it still sends; false when it does not.
    pub(crate) fn wait_closed(&mut self) -> bool {
        let mut buf = [0; 4096];
        loop {
            match self.stream.read(&mut buf) {
                Ok(0) => return true,
                Ok(_) => {}
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => {
                    return !matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut);
                }
            }
        }
    }

    /// Closes both directions.
    pub(crate) fn close(&self) {
        let _ = self.stream.shutdown(Shutdown::Both);
    }

    /// Says that nothing more will be sent.
    pub(crate) fn finish_sending(&self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }

    /// Waits at most so long for the next bytes instead of [`PATIENCE`].
    pub(crate) fn patience(&self, time: Duration) {
        self.stream.set_read_timeout(Some(time)).unwrap();
    }
}

fn find(hay: &[u8], needle: &[u8]) -> Option<usize> {
    hay.windows(needle.len()).position(|w| w == needle)
}
