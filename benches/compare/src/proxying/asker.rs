//! One browser of the [askers](super::askers): its connection, and how far its request is.

use std::{
    io::{self, Read, Write},
    net::SocketAddr,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use mio::net::TcpStream;

use crate::{clients, plain::Want};

const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// More than the head of any answer.
const MAX_HEAD: usize = 16 * 1024;

/// Large bodies are sent in pieces of this size.
static PIECE: [u8; 64 * 1024] = [b'x'; 64 * 1024];

/// What is asked, and what must be answered.
#[derive(Debug)]
pub(super) struct Request {
    head: Vec<u8>,
    /// Bytes of its body.
    body: usize,
    /// Bytes of the answer's body.
    gets: usize,
    /// These, if they are few.
    said: Option<Vec<u8>>,
}

impl Request {
    /// For what is wanted.
    pub(super) fn new(want: Want) -> Self {
        Self {
            head: want.browser_head(),
            body: want.sends(),
            gets: want.gets(),
            said: Some(want.said()).filter(|said| !said.is_empty()),
        }
    }

    /// What is to be sent when so many bytes are; empty at the end.
    fn piece(&self, sent: usize) -> &[u8] {
        match sent.checked_sub(self.head.len()) {
            None => &self.head[sent..],
            Some(sent) => &PIECE[..PIECE.len().min(self.body - sent)],
        }
    }
}

/// A connection and what is under way on it.
#[derive(Debug)]
pub(super) struct Asker {
    socket: TcpStream,
    progress: Progress,
    /// Of the request under way.
    sent: usize,
    since: Instant,
}

#[derive(Debug)]
enum Progress {
    /// So many bytes of the answer's body are still to come.
    Body(usize),
    /// The server has ended the connection between two requests.
    Closed,
    /// So much of the answer has come, not yet its whole head.
    Head(Vec<u8>),
    /// Nothing is under way; true when the server will end the connection.
    Idle(bool),
}

/// What came of going on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Went {
    /// The answer is whole; it took so long.
    Answered(Duration),
    /// The server ended the connection before it answered.
    Lost,
    /// There is more to come.
    On,
}

impl Asker {
    /// A new connection for number `number`.
    ///
    /// # Errors
    /// There is none.
    pub(super) fn dial(server: SocketAddr, number: usize) -> Result<Self> {
        let socket = clients::socket(number)?;
        socket
            .connect_timeout(&server.into(), CONNECT_WITHIN)
            .context("connecting an asker")?;
        socket.set_nonblocking(true)?;
        Ok(Self {
            socket: TcpStream::from_std(socket.into()),
            progress: Progress::Idle(false),
            sent: 0,
            since: Instant::now(),
        })
    }

    /// For the registry.
    pub(super) fn socket(&mut self) -> &mut TcpStream {
        &mut self.socket
    }

    /// Has the server ended the connection, or said that it will?
    pub(super) fn is_closed(&self) -> bool {
        matches!(self.progress, Progress::Closed | Progress::Idle(true))
    }

    /// When the request under way was first sent.
    pub(super) fn since(&self) -> Instant {
        self.since
    }

    /// Sends a new request as far as the socket takes it; it counts as sent at `since`.
    ///
    /// # Errors
    /// The connection fails.
    pub(super) fn ask(&mut self, request: &Request, since: Instant) -> Result<()> {
        self.progress = Progress::Head(Vec::new());
        self.sent = 0;
        self.since = since;
        self.send(request)
    }

    /// Sends and reads what there is.
    ///
    /// # Errors
    /// The answer is not the one that must come, or does not come to its end.
    pub(super) fn go_on(&mut self, request: &Request, buf: &mut [u8]) -> Result<Went> {
        let under_way = matches!(self.progress, Progress::Head(_) | Progress::Body(_));
        if under_way {
            self.send(request)?;
        }
        loop {
            match self.socket.read(buf) {
                Ok(n) if n > 0 => self.take(&buf[..n], request)?,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if !gone(&error) => return Err(error).context("reading an answer"),
                _ => {
                    let began = match &self.progress {
                        Progress::Body(_) => true,
                        Progress::Head(answer) => !answer.is_empty(),
                        Progress::Closed | Progress::Idle(_) => false,
                    };
                    if began {
                        bail!("the server ended a connection within its answer");
                    }
                    let lost = matches!(self.progress, Progress::Head(_));
                    self.progress = Progress::Closed;
                    if lost {
                        return Ok(Went::Lost);
                    }
                    break;
                }
            }
        }
        let whole = matches!(self.progress, Progress::Idle(_) | Progress::Closed);
        if under_way && whole {
            return Ok(Went::Answered(self.since.elapsed()));
        }
        Ok(Went::On)
    }

    fn send(&mut self, request: &Request) -> Result<()> {
        loop {
            let piece = request.piece(self.sent);
            if piece.is_empty() {
                return Ok(());
            }
            match self.socket.write(piece) {
                Ok(n) => self.sent += n,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // What comes tells why, or that there is nothing more.
                Err(error) if gone(&error) => return Ok(()),
                Err(error) => return Err(error).context("asking"),
            }
        }
    }

    fn take(&mut self, bytes: &[u8], request: &Request) -> Result<()> {
        match &mut self.progress {
            Progress::Body(left) if bytes.len() < *left => *left -= bytes.len(),
            Progress::Body(left) if bytes.len() == *left => self.progress = Progress::Idle(false),
            Progress::Head(answer) => {
                answer.extend_from_slice(bytes);
                if let Some(next) = begun(answer, request)? {
                    self.progress = next;
                }
            }
            _ => bail!("{} bytes came that nobody asked for", bytes.len()),
        }
        Ok(())
    }
}

/// Has the server ended the connection?
fn gone(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset
    )
}

/// What comes next when so much of an answer has come; none when more must be looked at.
fn begun(answer: &[u8], request: &Request) -> Result<Option<Progress>> {
    let text = || String::from_utf8_lossy(&answer[..answer.len().min(1000)]).into_owned();
    let Some(end) = memchr::memmem::find(answer, b"\r\n\r\n") else {
        if answer.len() > MAX_HEAD {
            bail!("a head that does not end: {}", text());
        }
        return Ok(None);
    };
    let (head, body) = (&answer[..end + 2], &answer[end + 4..]);
    if !head.starts_with(b"HTTP/1.1 200") {
        bail!("answered: {}", text());
    }
    let length = field(head, b"content-length").and_then(|value| value.parse().ok());
    if length != Some(request.gets) || body.len() > request.gets {
        bail!(
            "answered with another length than {}: {}",
            request.gets,
            text()
        );
    }
    let ends = field(head, b"connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
    match &request.said {
        _ if body.len() == request.gets && request.said.as_deref().is_none_or(|it| it == body) => {
            Ok(Some(Progress::Idle(ends)))
        }
        Some(_) if body.len() == request.gets => bail!("answered with another body: {}", text()),
        // Looked at again when it is whole.
        Some(_) => Ok(None),
        None => Ok(Some(Progress::Body(request.gets - body.len()))),
    }
}

/// The value of the first field of this name in a head whose every line ends.
fn field<'a>(head: &'a [u8], name: &[u8]) -> Option<&'a str> {
    let mut rest = head;
    while let Some(end) = memchr::memchr(b'\n', rest) {
        let (line, after) = rest.split_at(end + 1);
        rest = after;
        if let Some((key, value)) = line.split_at_checked(name.len())
            && key.eq_ignore_ascii_case(name)
            && let Some(value) = value.strip_prefix(b":")
        {
            return std::str::from_utf8(value).ok().map(str::trim);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_right_answer_is_taken() {
        let small = Request::new(Want::Page);
        let good = Want::Page.backend_answer();
        for cut in 0..good.len() {
            assert!(
                begun(&good[..cut], &small).unwrap().is_none(),
                "cut at {cut}"
            );
        }
        let whole = begun(&good, &small).unwrap();
        assert!(matches!(whole, Some(Progress::Idle(false))));
        let text = String::from_utf8(good).unwrap();
        let ends = text.replacen("Content", "Connection: Close\r\nContent", 1);
        let whole = begun(ends.as_bytes(), &small).unwrap();
        assert!(matches!(whole, Some(Progress::Idle(true))));
        for bad in [
            text.replacen("200 OK", "502 Bad Gateway", 1),
            text.replacen("Length: 200", "Length: 201", 1),
            text.replacen("Content-Length", "Content-Size", 1),
            text.replacen("author", "editor", 1),
            text + "x",
        ] {
            assert!(begun(bad.as_bytes(), &small).is_err(), "{bad}");
        }
    }

    #[test]
    fn of_a_large_body_only_the_length_is_looked_at() {
        let large = Request::new(Want::Download);
        let answer = [&Want::Download.backend_answer()[..], b"xyz"].concat();
        let next = begun(&answer, &large).unwrap();
        let left = Want::Download.gets() - 3;
        assert!(matches!(next, Some(Progress::Body(n)) if n == left));
    }
}
