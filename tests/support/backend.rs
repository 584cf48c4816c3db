//! A raw backend: a thread per connection, a handler per request that writes whatever bytes it
//! likes, and a record of everything that was asked.

use std::{
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc,
    },
    thread::JoinHandle,
};

use super::{
    eventually,
    wire::{Head, Wire},
};

/// What a backend was asked.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// Its head.
    pub(crate) head: Head,
    /// Its body, without chunk framing. Empty while the handler of [`Backend::early`] runs.
    pub(crate) body: Vec<u8>,
    /// Number of the connection it came on, from 0.
    pub(crate) connection: usize,
    /// Number of the request on its connection, from 0.
    pub(crate) nth: usize,
}

/// The way back to gripd.
#[derive(Debug)]
pub(crate) struct Reply {
    /// The connection itself.
    pub(crate) wire: Wire,
    closing: bool,
}

impl Reply {
    /// Writes bytes as they are; false when gripd has gone.
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.wire.try_send(bytes)
    }

    /// Writes a `200` with these header lines (each with its line end).
    pub(crate) fn ok(&mut self, headers: &str, body: impl AsRef<[u8]>) {
        self.send(super::answer("200 OK", headers, body));
    }

    /// Closes the connection when the handler is done.
    pub(crate) fn close(&mut self) {
        self.closing = true;
    }

    /// Waits until gripd closes the connection.
    pub(crate) fn wait_closed(&mut self) -> bool {
        self.closing = true;
        self.wire.wait_closed()
    }
}

type Handler = dyn Fn(&Request, &mut Reply) + Send + Sync;

/// Everything the threads share.
struct Shared {
    handler: Box<Handler>,
    early: bool,
    heads: Mutex<Vec<Head>>,
    requests: Mutex<Vec<Request>>,
    streams: Mutex<Vec<TcpStream>>,
    connections: AtomicUsize,
    stopped: AtomicBool,
}

/// A backend on a port of loopback.
pub(crate) struct Backend {
    /// Where it listens.
    pub(crate) addr: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Backend {
    /// Calls the handler with each whole request.
    pub(crate) fn start(handler: impl Fn(&Request, &mut Reply) + Send + Sync + 'static) -> Self {
        Self::on(bind(), false, handler)
    }

    /// Calls the handler as soon as a head is there; the body is read after it.
    pub(crate) fn early(handler: impl Fn(&Request, &mut Reply) + Send + Sync + 'static) -> Self {
        Self::on(bind(), true, handler)
    }

    /// Answers by path (query left out); 404 for any other.
    pub(crate) fn serving<P: Into<String>, R: Into<Vec<u8>>>(
        pages: impl IntoIterator<Item = (P, R)>,
    ) -> Self {
        let pages: Vec<(String, Vec<u8>)> = pages
            .into_iter()
            .map(|(p, r)| (p.into(), r.into()))
            .collect();
        Self::start(move |request, reply| {
            let path = request.head.target().split('?').next().unwrap_or_default();
            match pages.iter().find(|(p, _)| p == path) {
                Some((_, raw)) => {
                    reply.send(raw);
                }
                None => {
                    reply.send(super::answer("404 Not Found", "", "not here\n"));
                }
            }
        })
    }

    /// Answers every request with these bytes.
    pub(crate) fn always(raw: impl Into<Vec<u8>>) -> Self {
        let raw = raw.into();
        Self::start(move |_, reply| {
            reply.send(&raw);
        })
    }

    /// Answers every request with `200` and this text.
    pub(crate) fn saying(text: &'static str) -> Self {
        Self::always(super::answer(
            "200 OK",
            "Content-Type: text/plain\r\n",
            text,
        ))
    }

    /// Serves on a listener of the test's own.
    pub(crate) fn on(
        listener: TcpListener,
        early: bool,
        handler: impl Fn(&Request, &mut Reply) + Send + Sync + 'static,
    ) -> Self {
        let shared = Arc::new(Shared {
            handler: Box::new(handler),
            early,
            heads: Mutex::default(),
            requests: Mutex::default(),
            streams: Mutex::default(),
            connections: AtomicUsize::new(0),
            stopped: AtomicBool::new(false),
        });
        Self {
            addr: listener.local_addr().unwrap(),
            thread: Some(accept_loop(listener, Arc::clone(&shared))),
            shared,
        }
    }

    /// Every request so far, in the order their bodies ended.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.shared.requests.lock().unwrap().clone()
    }

    /// The last request.
    pub(crate) fn last(&self) -> Request {
        self.requests().pop().expect("the backend was asked")
    }

    /// Method and target of every head so far, whether or not its body came.
    pub(crate) fn asked(&self) -> Vec<String> {
        let heads = self.shared.heads.lock().unwrap();
        heads
            .iter()
            .map(|h| format!("{} {}", h.method(), h.target()))
            .collect()
    }

    /// Connections so far.
    pub(crate) fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// Waits until so many requests have come.
    pub(crate) fn wait_requests(&self, n: usize) {
        eventually(&format!("{n} requests at the backend"), || {
            self.requests().len() >= n
        });
    }

    /// Stops listening and cuts every connection.
    pub(crate) fn stop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        // The accept loop looks at the flag when somebody comes.
        let _ = TcpStream::connect(self.addr);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        for stream in self.shared.streams.lock().unwrap().drain(..) {
            let _ = stream.shutdown(std::net::Shutdown::Both);
        }
    }

    /// Listens again on the same port.
    pub(crate) fn restart(&mut self) {
        let listener = listen_again(self.addr);
        self.shared.stopped.store(false, Ordering::SeqCst);
        self.thread = Some(accept_loop(listener, Arc::clone(&self.shared)));
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        if self.thread.is_some() {
            self.stop();
        }
    }
}

/// Listens where somebody listened before. In between another connection of this machine may have got
/// the port; it is waited for.
pub(crate) fn listen_again(addr: SocketAddr) -> TcpListener {
    let mut listener = None;
    eventually(&format!("{addr} is free again"), || {
        listener = TcpListener::bind(addr).ok();
        listener.is_some()
    });
    listener.expect("it is there")
}

fn bind() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").expect("a free port")
}

fn accept_loop(listener: TcpListener, shared: Arc<Shared>) -> JoinHandle<()> {
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            if shared.stopped.load(Ordering::SeqCst) {
                return;
            }
            let Ok(stream) = stream else { continue };
            if let Ok(copy) = stream.try_clone() {
                shared.streams.lock().unwrap().push(copy);
            }
            let number = shared.connections.fetch_add(1, Ordering::SeqCst);
            let shared = Arc::clone(&shared);
            std::thread::spawn(move || serve(stream, number, &shared));
        }
    })
}

/// Serves one connection until either side ends it.
fn serve(stream: TcpStream, connection: usize, shared: &Shared) {
    let mut wire = Wire::over(stream);
    // gripd keeps idle connections; they end with the test, not with a deadline.
    let _ = wire.socket().set_read_timeout(None);
    let mut nth = 0;
    while let Some(head) = wire.try_head() {
        shared.heads.lock().unwrap().push(head.clone());
        if head.get("Expect").is_some() {
            wire.try_send("HTTP/1.1 100 Continue\r\n\r\n");
        }
        let mut request = Request {
            head,
            body: Vec::new(),
            connection,
            nth,
        };
        let mut reply;
        if shared.early {
            reply = Reply {
                wire,
                closing: false,
            };
            (shared.handler)(&request, &mut reply);
            let Some(body) = read_body(&mut reply.wire, &request.head) else {
                return;
            };
            request.body = body;
            shared.requests.lock().unwrap().push(request);
        } else {
            let Some(body) = read_body(&mut wire, &request.head) else {
                return;
            };
            request.body = body;
            shared.requests.lock().unwrap().push(request.clone());
            reply = Reply {
                wire,
                closing: false,
            };
            (shared.handler)(&request, &mut reply);
        }
        wire = reply.wire;
        if reply.closing {
            wire.close();
            return;
        }
        nth += 1;
    }
}

/// Reads a request's body; `None` when the connection ended within it.
fn read_body(wire: &mut Wire, head: &Head) -> Option<Vec<u8>> {
    if head.is_chunked() {
        let (body, whole) = wire.chunks_to_end();
        return whole.then_some(body);
    }
    let n = head.length().unwrap_or(0);
    let body = wire.try_exact(n);
    (body.len() == n).then_some(body)
}

/// A signal from the test to a handler, or back.
pub(crate) fn signal<T>() -> (mpsc::Sender<T>, Mutex<mpsc::Receiver<T>>) {
    let (send, receive) = mpsc::channel();
    (send, Mutex::new(receive))
}
