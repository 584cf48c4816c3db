//! A backend's socket that notes what was heard on it since a request was handed in: whether
//! anything was (an answer that began is never asked for twice), and the head of the answer as the
//! backend wrote it, since the HTTP library keeps the spelling of header names to itself. Where the
//! end comes instead of an answer, it finds out whether the backend had read the request.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};

use super::{Claim, stream::Stream};

/// What was heard since the last [`Notes::clear`]. Shared by a socket and whoever uses it.
#[derive(Clone, Debug, Default)]
pub(super) struct Notes(Arc<Mutex<Heads>>);

/// The bytes of an answer's head, as they come.
#[derive(Debug, Default)]
struct Heads {
    /// From the first byte to the empty line, interim answers left out.
    head: Vec<u8>,
    anything: bool,
    complete: bool,
    /// What an upgraded connection holds of its target until it ends.
    claim: Option<Arc<Claim>>,
}

/// A head as the backend wrote it, for a response's extensions.
#[derive(Clone, Debug)]
pub struct RawHead(pub Bytes);

impl Notes {
    /// Forgets: another request is handed in.
    pub(super) fn clear(&self) {
        let mut heads = self.0.lock();
        heads.head.clear();
        heads.anything = false;
        heads.complete = false;
    }

    /// Holds on to a claim until the socket is closed.
    pub(super) fn keep(&self, claim: Option<Arc<Claim>>) {
        self.0.lock().claim = claim;
    }

    /// Did any byte come?
    pub(super) fn anything(&self) -> bool {
        self.0.lock().anything
    }

    /// Is what came the beginning of an alert or a handshake of TLS (RFC 8446 section 5.1)?
    pub(super) fn is_tls(&self) -> bool {
        matches!(self.0.lock().head[..], [0x15 | 0x16, 3, ..])
    }

    /// The final answer's head, if it was not too long to be noted.
    pub(super) fn head(&self) -> Option<RawHead> {
        let heads = self.0.lock();
        let noted = heads.complete && heads.head.len() <= MOST;
        noted.then(|| RawHead(Bytes::copy_from_slice(&heads.head)))
    }

    fn note(&self, bytes: &[u8]) {
        let mut heads = self.0.lock();
        heads.anything |= !bytes.is_empty();
        if heads.complete {
            return;
        }
        heads.head.extend_from_slice(bytes);
        while let Some(end) = memchr::memmem::find(&heads.head, b"\r\n\r\n") {
            let end = end + 4;
            let interim = heads
                .head
                .get(9..12)
                .is_some_and(|code| code[0] == b'1' && code != b"101");
            if !interim {
                heads.head.truncate(end);
                heads.complete = true;
                return;
            }
            heads.head.drain(..end);
        }
        // A longer one is read all the same; only its spelling is lost.
        heads.complete = heads.head.len() > MOST;
    }
}

/// A socket with notes.
pub(super) struct Heard {
    stream: Stream,
    notes: Notes,
    /// How long a reset may still follow the end.
    ending: Option<Pin<Box<Sleep>>>,
}

impl Heard {
    pub(super) fn new(stream: Stream, notes: Notes) -> Self {
        Self {
            stream,
            notes,
            ending: None,
        }
    }

    /// The backend has ended the connection. If it did so while a request was on its way, a reset
    /// follows, since nobody is left to read that: then the end is this error. It need not be waited
    /// for once an answer has begun.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            if let Some(error) = self.stream.take_error()? {
                return Poll::Ready(Err(error));
            }
            if self.notes.anything()
                || self
                    .ending
                    .as_ref()
                    .is_some_and(|ending| ending.is_elapsed())
            {
                return Poll::Ready(Ok(()));
            }
            let ending = self.ending.get_or_insert_with(|| Box::pin(sleep(RESET)));
            ready!(ending.as_mut().poll(cx));
        }
    }
}

impl AsyncRead for Heard {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        match ready!(Pin::new(&mut self.stream).poll_read(cx, buf)) {
            // An end without TLS's own goodbye: a reset may follow it all the same.
            Err(end) if end.kind() == io::ErrorKind::UnexpectedEof => {
                ready!(self.poll_end(cx))?;
                return Poll::Ready(Err(end));
            }
            result => result?,
        }
        let read = &buf.filled()[before..];
        if read.is_empty() && buf.remaining() > 0 {
            return self.poll_end(cx);
        }
        self.notes.note(read);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Heard {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match bufs {
            // Less for the kernel to do.
            [one] => Pin::new(&mut self.stream).poll_write(cx, one),
            _ => Pin::new(&mut self.stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// The way to a backend and back, for a reset that follows an end.
const RESET: Duration = Duration::from_millis(50);

/// Most bytes of a head that are noted.
const MOST: usize = 16 << 10;

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::{TcpListener, TcpStream},
    };

    use super::*;

    fn heard(pieces: &[&[u8]]) -> Option<Bytes> {
        let notes = Notes::default();
        for piece in pieces {
            notes.note(piece);
        }
        notes.head().map(|head| head.0)
    }

    #[test]
    fn the_final_head_is_noted_whatever_the_pieces() {
        let head = &b"HTTP/1.1 200 OK\r\neTag: x\r\n\r\n"[..];
        assert_eq!(heard(&[head]).unwrap(), head);
        let bytes: Vec<&[u8]> = head.chunks(1).collect();
        assert_eq!(heard(&bytes).unwrap(), head);
        let interim = b"HTTP/1.1 103 Early\r\nLink: y\r\n\r\n".as_slice();
        assert_eq!(
            heard(&[interim, interim, head, b"body\r\n\r\n"]).unwrap(),
            head
        );
        assert_eq!(heard(&[&[interim, head].concat()]).unwrap(), head);
        assert_eq!(heard(&[&head[..20]]), None);
        assert_eq!(heard(&[&vec![b'x'; MOST + 1], head]), None, "bounded");
    }

    /// A socket with notes, and its other end.
    async fn pair() -> (Heard, TcpStream) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (ours, theirs) = tokio::join!(TcpStream::connect(address), listener.accept());
        let ours = Heard::new(Box::new(ours.unwrap()), Notes::default());
        (ours, theirs.unwrap().0)
    }

    #[tokio::test]
    async fn a_request_that_crosses_the_end_is_seen_as_unread() {
        let (mut ours, theirs) = pair().await;
        drop(theirs);
        ours.write_all(b"GET").await.unwrap();
        let error = ours.read_u8().await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }

    #[tokio::test]
    async fn a_request_that_was_read_is_not() {
        let (mut ours, mut theirs) = pair().await;
        ours.write_all(b"GET").await.unwrap();
        theirs.read_exact(&mut [0; 3]).await.unwrap();
        drop(theirs);
        let error = ours.read_u8().await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn notes_are_of_one_request() {
        let notes = Notes::default();
        assert!(!notes.anything());
        notes.note(b"HTTP/1.1 200 OK\r\n\r\n");
        assert!(notes.anything() && notes.head().is_some());
        notes.clear();
        assert!(!notes.anything() && notes.head().is_none());
    }
}
