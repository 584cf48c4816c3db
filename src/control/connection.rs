//! One connection to the control port: read a request, answer it, and again. Strictly one after
//! the other, so what is pipelined waits in the buffer or the socket.
//!
//! Why not hyper, as in front: it answers faults by itself with empty bodies, takes heads up to
//! its own 8 KiB steps instead of `control.max_head`, and lets pass what a control port should
//! refuse (bare LF, two lengths, two hosts). Here a request is small and whole before it is looked
//! at, and so a loop over httparse is shorter than the guards around hyper would be.

use std::{
    io,
    net::SocketAddr,
    time::{Duration, SystemTime},
};

use bytes::{Bytes, BytesMut};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, timeout, timeout_at},
};

use super::{
    Context,
    answer::{Answer, Manner},
    api,
    chunked::Chunked,
    fault::Fault,
    guard,
    head::{self, Framing, Head},
};

/// Serves a connection to its end.
pub(super) async fn run(stream: TcpStream, peer: SocketAddr, context: &Context) {
    let mut connection = Connection {
        stream,
        peer,
        buf: BytesMut::new(),
        context,
    };
    let mut patience = context.settings.timeouts.request_head;
    loop {
        match connection.exchange(patience).await {
            Ok(true) => patience = context.settings.timeouts.keep_alive,
            Ok(false) => break,
            Err(End::Gone) => return,
            Err(End::Fault(fault)) => {
                let answer = Answer::from(fault);
                connection.log_refusal(&answer);
                if connection.write(&answer, LAST).await.is_err() {
                    return;
                }
                break;
            }
        }
    }
    connection.linger().await;
}

struct Connection<'a> {
    stream: TcpStream,
    peer: SocketAddr,
    /// What has been read and not used. At most a head, or a chunked body's next piece, and one
    /// reading more.
    buf: BytesMut,
    context: &'a Context,
}

/// Why a connection is over without an answer of the API.
enum End {
    /// The client is gone, or said nothing for too long between requests.
    Gone,
    /// What it sent cannot be served.
    Fault(Fault),
}

impl From<Fault> for End {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// How the answer to a fault is written.
const LAST: Manner = Manner {
    old: false,
    head_only: false,
    keep_alive: false,
};

/// Bytes read at once.
const READ: usize = 8 << 10;

impl Connection<'_> {
    /// One request and its answer. True: the connection may be used again. `patience` is how long
    /// the first byte may take.
    async fn exchange(&mut self, patience: Duration) -> Result<bool, End> {
        let bytes = self.read_head(patience).await?;
        let head = Head::parse(&bytes, self.context.settings.control.max_body)?;
        if let Err(foreign) = guard::check(&head, &self.context.settings.control.hosts) {
            let answer = Answer::from(&foreign);
            self.log_refusal(&answer);
            self.write(&answer, manner(&head, false)).await?;
            return Ok(false);
        }
        let body = self.read_body(&head).await?;
        let answer = api::answer(&head, body, self.context).await;
        if answer.status() >= 400 {
            self.log_refusal(&answer);
        }
        let keep_alive = head.keep_alive && self.context.has_room();
        self.write(&answer, manner(&head, keep_alive)).await?;
        Ok(keep_alive)
    }

    /// The bytes of the next head, its empty line included.
    async fn read_head(&mut self, patience: Duration) -> Result<Bytes, End> {
        self.wait(patience).await?;
        let time = self.context.settings.timeouts.request_head;
        match timeout(time, self.collect_head()).await {
            Ok(head) => head,
            Err(_) => Err(Fault::HeadSlow.into()),
        }
    }

    /// Waits for a request's first byte. Meanwhile there is no buffer. A connection that stays
    /// silent ends without a word: the client might take it for the answer to its next request.
    async fn wait(&mut self, patience: Duration) -> Result<(), End> {
        if !self.buf.is_empty() {
            return Ok(());
        }
        self.buf = BytesMut::new();
        let first = async {
            loop {
                self.stream.readable().await?;
                self.buf.reserve(READ);
                match self.stream.try_read_buf(&mut self.buf) {
                    // What was noted as readable may have been read already.
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        self.buf = BytesMut::new();
                    }
                    done => return done,
                }
            }
        };
        match timeout(patience, first).await {
            Ok(Ok(1..)) => Ok(()),
            _ => Err(End::Gone),
        }
    }

    async fn collect_head(&mut self) -> Result<Bytes, End> {
        let max = self.context.settings.control.max_head;
        let mut scanned = 0;
        loop {
            // RFC 9112 section 2.2: empty lines before a request are skipped.
            while scanned == 0 && self.buf.starts_with(b"\r\n") {
                let _ = self.buf.split_to(2);
            }
            let at_start = self.buf.len() < 2;
            let end = if at_start {
                None
            } else {
                head::find_end(&self.buf, &mut scanned)?
            };
            match end {
                Some(end) if end <= max => return Ok(self.buf.split_to(end).freeze()),
                None if self.buf.len() <= max => self.fill().await?,
                _ => return Err(Fault::HeadTooLarge(max).into()),
            }
        }
    }

    /// The whole body. Its length is within the limit, as [`Head::parse`] and [`Chunked`] see to.
    async fn read_body(&mut self, head: &Head<'_>) -> Result<Bytes, End> {
        let nothing = head.framing == Framing::Length(0);
        if head.expects_continue && self.buf.is_empty() && !nothing {
            self.send(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
        }
        match head.framing {
            Framing::Length(length) => {
                while self.buf.len() < length {
                    self.fill_body().await?;
                }
                Ok(self.buf.split_to(length).freeze())
            }
            Framing::Chunked => {
                let mut chunked = Chunked::new(self.context.settings.control.max_body);
                loop {
                    if let Some(body) = chunked.feed(&mut self.buf)? {
                        return Ok(body);
                    }
                    self.fill_body().await?;
                }
            }
        }
    }

    async fn fill_body(&mut self) -> Result<(), End> {
        match timeout(self.context.stall, self.fill()).await {
            Ok(filled) => filled,
            Err(_) => Err(Fault::BodySlow.into()),
        }
    }

    /// Reads at least one byte.
    async fn fill(&mut self) -> Result<(), End> {
        self.buf.reserve(READ);
        match self.stream.read_buf(&mut self.buf).await {
            Ok(1..) => Ok(()),
            Ok(0) | Err(_) => Err(End::Gone),
        }
    }

    async fn write(&mut self, answer: &Answer, manner: Manner) -> Result<(), End> {
        self.send(&answer.encode(manner, SystemTime::now())).await
    }

    async fn send(&mut self, bytes: &[u8]) -> Result<(), End> {
        match timeout(self.context.stall, self.stream.write_all(bytes)).await {
            Ok(Ok(())) => Ok(()),
            _ => Err(End::Gone),
        }
    }

    /// Ends the connection so that the answer arrives: closing a socket with unread bytes resets
    /// it, and a reset destroys what the client has not read yet.
    async fn linger(mut self) {
        let until = Instant::now() + LINGER;
        if timeout_at(until, self.stream.shutdown()).await.is_err() {
            return;
        }
        let mut discarded = 0;
        while discarded < LINGER_BYTES {
            self.buf.clear();
            self.buf.reserve(READ);
            match timeout_at(until, self.stream.read_buf(&mut self.buf)).await {
                Ok(Ok(read @ 1..)) => discarded += read,
                _ => return,
            }
        }
    }

    fn log_refusal(&self, answer: &Answer) {
        tracing::debug!(
            client.addr = %self.peer,
            status = answer.status(),
            reason = answer.sentence(),
            "control request refused"
        );
    }
}

/// How long a connection that ends waits for its client to close too.
const LINGER: Duration = Duration::from_secs(2);

/// How much of what a client still sends is thrown away then, in bytes. Publishers send a whole
/// body before they read, so this lies above what a body too large usually is.
const LINGER_BYTES: usize = 8 << 20;

fn manner(head: &Head<'_>, keep_alive: bool) -> Manner {
    Manner {
        old: head.old,
        head_only: head.method == "HEAD",
        keep_alive,
    }
}
