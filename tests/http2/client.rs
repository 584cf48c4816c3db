//! A client of HTTP/2 as programs have it: the h2 library, whose calls wait here with a deadline.
//! What it cannot be made to send, [`crate::raw`] does.

use std::{future::Future, net::SocketAddr, sync::Arc};

use bytes::Bytes;
use h2::{
    Reason, RecvStream, SendStream,
    client::{Builder, Connection, ResponseFuture, SendRequest},
};
use http::{HeaderMap, Method, Request, response};
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    runtime::{self, Handle, Runtime},
    task::JoinHandle,
    time::timeout,
};
use tokio_rustls::TlsConnector;

use crate::support::{Gripd, HOST, PATIENCE};

/// A connection.
pub(crate) struct Client {
    send: SendRequest<Bytes>,
    ended: JoinHandle<Result<(), h2::Error>>,
    runtime: Runtime,
}

/// A request whose answer has not been read.
pub(crate) struct Asked {
    answer: ResponseFuture,
    upload: SendStream<Bytes>,
    handle: Handle,
}

/// An answer of which the head has been read.
pub(crate) struct Stream {
    pub(crate) head: response::Parts,
    body: RecvStream,
    /// What came and was not asked for yet.
    ahead: Vec<u8>,
    upload: SendStream<Bytes>,
    handle: Handle,
}

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) head: response::Parts,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Option<HeaderMap>,
}

/// How a body ends.
#[derive(Debug, PartialEq)]
pub(crate) enum End {
    /// Properly.
    Whole,
    /// The stream is reset.
    Reset(Reason),
    /// The connection ended, or the other side broke the rules.
    Broken(String),
}

/// `GET` of a path at [`HOST`].
pub(crate) fn get(path: &str) -> Request<()> {
    ask(Method::GET, path)
}

/// Any method.
pub(crate) fn ask(method: Method, path: &str) -> Request<()> {
    let uri = format!("http://{HOST}{path}");
    Request::builder()
        .method(method)
        .uri(uri)
        .body(())
        .expect("a sound request")
}

fn within<F: Future>(handle: &Handle, what: &str, work: F) -> F::Output {
    let found = handle.block_on(async { timeout(PATIENCE, work).await });
    found.unwrap_or_else(|_| panic!("waited {PATIENCE:?} in vain: {what}"))
}

impl Client {
    /// Connects by prior knowledge.
    pub(crate) fn of(gripd: &Gripd) -> Self {
        Self::with(gripd.clients, &roomy())
    }

    /// The same with settings of the client's own.
    pub(crate) fn with(addr: SocketAddr, builder: &Builder) -> Self {
        let runtime = runtime();
        let io = within(runtime.handle(), "a connection", TcpStream::connect(addr));
        Self::over(runtime, io.expect("gripd listens"), builder)
    }

    /// Connects by TLS, which has to agree on HTTP/2.
    pub(crate) fn tls(addr: SocketAddr, config: ClientConfig, name: &str) -> Self {
        let runtime = runtime();
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let shaking = async {
            let io = TcpStream::connect(addr).await.expect("gripd listens");
            TlsConnector::from(Arc::new(config)).connect(name, io).await
        };
        let io = within(runtime.handle(), "a TLS handshake", shaking).expect("it is trusted");
        assert_eq!(io.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        Self::over(runtime, io, &roomy())
    }

    fn over<T>(runtime: Runtime, io: T, builder: &Builder) -> Self
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let shaking = builder.handshake::<_, Bytes>(io);
        let shaken = within(runtime.handle(), "a handshake", shaking);
        let (send, connection): (_, Connection<T, Bytes>) = shaken.expect("a handshake");
        let ended = runtime.spawn(connection);
        Self {
            send,
            ended,
            runtime,
        }
    }

    /// Sends a request's head; `ends`: there is no body.
    pub(crate) fn send(&mut self, request: Request<()>, ends: bool) -> Asked {
        let handle = self.runtime.handle().clone();
        let ready = within(&handle, "room for a stream", self.send.clone().ready());
        self.send = ready.expect("the connection lives");
        let (answer, upload) = self.send.send_request(request, ends).expect("it is sent");
        Asked {
            answer,
            upload,
            handle,
        }
    }

    /// Sends a request and reads its whole answer.
    pub(crate) fn fetch(&mut self, request: Request<()>) -> Answer {
        self.send(request, true).stream().rest()
    }

    /// The same with a body.
    pub(crate) fn upload(&mut self, request: Request<()>, body: impl Into<Bytes>) -> Answer {
        let mut asked = self.send(request, false);
        asked.piece(body, true);
        asked.stream().rest()
    }

    /// The whole answer to a `GET`.
    pub(crate) fn get(&mut self, path: &str) -> Answer {
        self.fetch(get(path))
    }

    /// The answer to a `GET`, of which the head is read.
    pub(crate) fn open(&mut self, path: &str) -> Stream {
        self.send(get(path), true).stream()
    }

    /// A held stream behind this initial body.
    pub(crate) fn held(&mut self, path: &str, initial: &str) -> Stream {
        let mut stream = self.open(path);
        assert_eq!(stream.status(), 200);
        stream.expect(initial);
        stream
    }

    /// Ends the connection without a word.
    pub(crate) fn vanish(self) {
        self.ended.abort();
    }
}

impl Asked {
    /// Sends a piece of the request's body as there is room for it.
    pub(crate) fn piece(&mut self, piece: impl Into<Bytes>, ends: bool) {
        let mut piece = piece.into();
        while !piece.is_empty() {
            self.upload.reserve_capacity(piece.len());
            let room = std::future::poll_fn(|context| self.upload.poll_capacity(context));
            let room = within(&self.handle, "room for the body", room);
            let room = room.expect("the stream lives").expect("it lives");
            let part = piece.split_to(room.min(piece.len()));
            self.upload.send_data(part, false).expect("it lives");
        }
        if ends {
            let end = self.upload.send_data(Bytes::new(), true);
            end.expect("the stream lives");
        }
    }

    /// Ends the request's body with trailers.
    pub(crate) fn trailers(&mut self, trailers: HeaderMap) {
        self.upload.send_trailers(trailers).expect("it lives");
    }

    /// Breaks it off.
    pub(crate) fn reset(&mut self) {
        self.upload.send_reset(Reason::CANCEL);
    }

    /// Reads the answer's head; the reason when the request was reset.
    pub(crate) fn try_stream(self) -> Result<Stream, h2::Error> {
        let answer = within(&self.handle, "an answer's head", self.answer)?;
        let (head, body) = answer.into_parts();
        Ok(Stream {
            head,
            body,
            ahead: Vec::new(),
            upload: self.upload,
            handle: self.handle,
        })
    }

    /// Reads the answer's head.
    pub(crate) fn stream(self) -> Stream {
        self.try_stream().expect("an answer")
    }
}

impl Stream {
    pub(crate) fn status(&self) -> u16 {
        self.head.status.as_u16()
    }

    /// Reads more; false at the end.
    fn fill(&mut self) -> Result<bool, h2::Error> {
        let next = std::future::poll_fn(|context| self.body.poll_data(context));
        let last = &self.ahead[self.ahead.len().saturating_sub(80)..];
        let what = format!("more than {} bytes: {:?}", self.ahead.len(), shown(last));
        let Some(piece) = within(&self.handle, &what, next).transpose()? else {
            return Ok(false);
        };
        self.ahead.extend_from_slice(&piece);
        // Of a stream that has ended nobody needs to know.
        let _ = self.body.flow_control().release_capacity(piece.len());
        Ok(true)
    }

    /// Reads so many bytes of the body.
    pub(crate) fn bytes(&mut self, n: usize) -> Vec<u8> {
        while self.ahead.len() < n {
            let more = self.fill().expect("the stream goes on");
            assert!(more, "it ended after {:?}", shown(&self.ahead));
        }
        self.ahead.drain(..n).collect()
    }

    /// Reads exactly this text.
    pub(crate) fn expect(&mut self, text: &str) {
        let bytes = self.bytes(text.len());
        assert_eq!(shown(&bytes), text);
    }

    /// Reads the body to where it ends.
    pub(crate) fn read_to_end(&mut self) -> (Vec<u8>, End) {
        let end = loop {
            match self.fill() {
                Ok(true) => {}
                Ok(false) => break End::Whole,
                Err(error) if error.is_reset() => break End::Reset(error.reason().unwrap()),
                Err(error) => break End::Broken(error.to_string()),
            }
        };
        (std::mem::take(&mut self.ahead), end)
    }

    /// The body ends here, properly.
    pub(crate) fn expect_end(&mut self) {
        let (rest, end) = self.read_to_end();
        assert_eq!((shown(&rest), end), (String::new(), End::Whole));
    }

    /// The whole answer.
    pub(crate) fn rest(mut self) -> Answer {
        let (body, end) = self.read_to_end();
        assert_eq!(end, End::Whole, "after {:?}", shown(&body));
        let next = std::future::poll_fn(|context| self.body.poll_trailers(context));
        let trailers = within(&self.handle, "trailers", next).expect("sound trailers");
        Answer {
            head: self.head,
            body,
            trailers,
        }
    }

    /// Breaks it off.
    pub(crate) fn reset(mut self) {
        self.upload.send_reset(Reason::CANCEL);
    }
}

impl Answer {
    pub(crate) fn status(&self) -> u16 {
        self.head.status.as_u16()
    }

    pub(crate) fn text(&self) -> String {
        shown(&self.body)
    }

    /// All values of a header.
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        values(&self.head.headers, name)
    }
}

/// All values of a header.
pub(crate) fn values<'m>(map: &'m HeaderMap, name: &str) -> Vec<&'m str> {
    let values = map.get_all(name).iter();
    values.map(|value| value.to_str().expect("text")).collect()
}

fn shown(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn runtime() -> Runtime {
    let mut builder = runtime::Builder::new_multi_thread();
    builder.worker_threads(1).enable_all();
    builder.build().expect("a runtime for the test")
}

/// Streams that are not read take no room from the others.
pub(crate) fn roomy() -> Builder {
    let mut builder = Builder::new();
    builder.initial_connection_window_size(64 << 20);
    builder
}
