//! One connection to the control port: read a request, answer it, and again. Strictly one after
//! the other, so what is pipelined waits in the buffer or the socket.
//!
//! Why not hyper behind the gate, as in front: a request is small and whole before it is looked at,
//! and every fault gets a sentence. So the gate and a loop are all that is needed.

use std::{
    future::poll_fn,
    pin::pin,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bytes::{Buf, BytesMut};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    time::{Instant, timeout, timeout_at},
};

use super::{
    Context,
    answer::{Answer, Manner},
    api,
    credentials::Pass,
    fault::Fault,
    guard,
    head::Head,
    listener::Peer,
};
use crate::{
    http1::gate::{self, BodyScan, Framing, Version, scan_head_from},
    telemetry::limit::Every,
};

/// Serves a connection to its end.
pub(super) async fn run<S>(stream: S, peer: Peer, context: &Context)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut connection = Connection::new(stream, peer, context);
    let mut patience = context.settings.timeouts.request_head;
    loop {
        match connection.exchange(patience).await {
            Ok(true) => patience = context.settings.timeouts.keep_alive,
            Ok(false) => break,
            Err(End::Gone) => return,
            Err(End::Fault(fault)) => return connection.refuse(fault).await,
        }
    }
    connection.linger().await;
}

/// Ends a connection before its first request.
pub(super) async fn refuse<S>(stream: S, peer: Peer, context: &Context, fault: Fault)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    Connection::new(stream, peer, context).refuse(fault).await;
}

struct Connection<'a, S> {
    stream: S,
    peer: Peer,
    /// What has been read and not used: at most a head and one reading more.
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

impl<F: Into<Fault>> From<F> for End {
    fn from(fault: F) -> Self {
        Self::Fault(fault.into())
    }
}

/// How the answer to a fault is written.
const LAST: Manner = Manner {
    version: Version::Http11,
    head_only: false,
    keep_alive: false,
};

/// Bytes read at once.
const READ: usize = 8 << 10;

impl<'a, S: AsyncRead + AsyncWrite + Unpin> Connection<'a, S> {
    fn new(stream: S, peer: Peer, context: &'a Context) -> Self {
        Self {
            stream,
            peer,
            buf: BytesMut::new(),
            context,
        }
    }

    /// One request and its answer. True: the connection may be used again. `patience` is how long
    /// the first byte may take.
    async fn exchange(&mut self, patience: Duration) -> Result<bool, End> {
        let (facts, bytes) = self.read_head(patience).await?;
        let head = Head::read(&bytes);
        if let Err(answer) = self.admit(&head) {
            self.log_kept_out(&answer);
            self.write(&answer, manner(&facts, false)).await?;
            return Ok(false);
        }
        if facts.framing == Framing::None && head.wants_length() {
            return Err(Fault::LengthRequired.into());
        }
        let body = self.read_body(&facts).await?;
        let answer = api::answer(&head, body, self.context).await;
        if answer.status() >= 400 {
            self.log_refusal(&answer);
        }
        let keep_alive = facts.keep_alive && self.context.has_room();
        self.write(&answer, manner(&facts, keep_alive)).await?;
        Ok(keep_alive)
    }

    /// Judges who asks, before a byte of the body is read.
    ///
    /// # Errors
    /// They may not: the answer that says why.
    fn admit(&self, head: &Head<'_>) -> Result<(), Answer> {
        guard::check_page(head)?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.unwrap_or_default().as_secs();
        let pass = self.context.credentials.judge(head, now)?;
        if let (Pass::Anybody, Peer::Tcp(_)) = (pass, self.peer) {
            guard::check_name(head, &self.context.settings.control)?;
        }
        Ok(())
    }

    /// The next head: what the gate tells about it, and its bytes.
    async fn read_head(&mut self, patience: Duration) -> Result<(gate::Head, BytesMut), End> {
        self.wait(patience).await?;
        let time = self.context.settings.timeouts.request_head;
        match timeout(time, self.collect_head()).await {
            Ok(head) => head,
            Err(_) => Err(gate::Fault::HeadTimeout.into()),
        }
    }

    /// Waits for a request's first byte. Meanwhile there is no buffer. A connection that stays
    /// silent ends without a word: the client might take it for the answer to its next request.
    async fn wait(&mut self, patience: Duration) -> Result<(), End> {
        if !self.buf.is_empty() {
            return Ok(());
        }
        let first = poll_fn(|context| {
            let mut buf = BytesMut::with_capacity(READ);
            let read = pin!(self.stream.read_buf(&mut buf)).poll(context);
            // Nothing has come: the buffer goes, and another is made for what wakes us.
            self.buf = if read.is_ready() {
                buf
            } else {
                BytesMut::new()
            };
            read
        });
        match timeout(patience, first).await {
            Ok(Ok(1..)) => Ok(()),
            _ => Err(End::Gone),
        }
    }

    async fn collect_head(&mut self) -> Result<(gate::Head, BytesMut), End> {
        let mut seen = 0;
        loop {
            if let Some(head) = scan_head_from(&self.buf, seen, &self.context.limits)? {
                return Ok((head, self.buf.split_to(head.len)));
            }
            seen = self.buf.len();
            self.fill().await?;
        }
    }

    /// The whole body; the gate sees to its limit.
    async fn read_body(&mut self, head: &gate::Head) -> Result<Vec<u8>, End> {
        if head.expects_continue && self.buf.is_empty() {
            self.send(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
        }
        let mut scan = BodyScan::new(head.framing, self.context.limits.body);
        let mut body = Vec::new();
        loop {
            let used = scan.read(&self.buf, &mut body)?;
            self.buf.advance(used);
            if scan.is_done() {
                return Ok(body);
            }
            match timeout(self.context.stall, self.fill()).await {
                Ok(filled) => filled?,
                Err(_) => return Err(gate::Fault::BodyTimeout.into()),
            }
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

    /// Tells what cannot be served, and ends.
    async fn refuse(mut self, fault: Fault) {
        let answer = Answer::from(fault);
        self.log_refusal(&answer);
        if self.write(&answer, LAST).await.is_ok() {
            self.linger().await;
        }
    }

    async fn write(&mut self, answer: &Answer, manner: Manner) -> Result<(), End> {
        self.send(&answer.encode(manner, SystemTime::now())).await
    }

    async fn send(&mut self, bytes: &[u8]) -> Result<(), End> {
        let written = async {
            self.stream.write_all(bytes).await?;
            // TLS may have taken it and not passed it on.
            self.stream.flush().await
        };
        match timeout(self.context.stall, written).await {
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

    /// A publisher that is kept out is a matter for the operator: many of them look at no answer.
    fn log_kept_out(&self, answer: &Answer) {
        if let Some(left_out) = KEPT_OUT.hit(Instant::now().into_std()) {
            tracing::warn!(
                client.addr = %self.peer,
                left_out = (left_out > 0).then_some(left_out),
                "control request refused: {}",
                answer.sentence()
            );
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

/// Who tries again and again must not fill a disk.
static KEPT_OUT: Every = Every::new(Duration::from_secs(10));

/// How long a connection that ends waits for its client to close too.
const LINGER: Duration = Duration::from_secs(2);

/// How much of what a client still sends is thrown away then, in bytes. Publishers send a whole
/// body before they read, so this lies above what a body too large usually is.
const LINGER_BYTES: usize = 8 << 20;

fn manner(head: &gate::Head, keep_alive: bool) -> Manner {
    Manner {
        version: head.version,
        head_only: head.head_method,
        keep_alive,
    }
}
