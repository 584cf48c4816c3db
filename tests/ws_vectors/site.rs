//! What the vectors share: gripd before a backend that answers the events of WebSocket-over-HTTP
//! by path, and short words for the answers that occur again and again.

use std::{
    collections::HashMap,
    sync::{Arc, Condvar, Mutex},
};

use serde_json::{Value, json};

use crate::support::{
    Backend, Gripd, PATIENCE, Reply, Request, Setup, answer, eventually, ws::WebSocket,
};

/// The type of bodies that are events.
pub(crate) const EVENTS: &str = "Content-Type: application/websocket-events\r\n";

/// gripd and what stands behind it: WebSockets over HTTP, with debug below `/debug`, with one
/// event a request below `/one`.
pub(crate) struct Site {
    pub(crate) gripd: Gripd,
    pub(crate) backend: Backend,
    /// Holds the backend's answers back while it is shut.
    pub(crate) gate: Arc<Gate>,
}

impl Site {
    /// Each path has its answers: the first request gets the first one, and so on. Requests
    /// behind the last one get what [`polite`] says.
    pub(crate) fn new<'a>(pages: impl IntoIterator<Item = (&'a str, Vec<Vec<u8>>)>) -> Self {
        Self::set_up(pages, |c| c)
    }

    /// The path `/` only.
    pub(crate) fn one(answers: Vec<Vec<u8>>) -> Self {
        Self::new([("/", answers)])
    }

    /// The path `/`, whose answers may tell to ask again every second: gripd takes no shorter
    /// interval than 20 seconds if it is not told so.
    pub(crate) fn quick(answers: Vec<Vec<u8>>) -> Self {
        Self::set_up([("/", answers)], hasty)
    }

    /// The same as [`Self::new`] with other settings.
    pub(crate) fn set_up<'a>(
        pages: impl IntoIterator<Item = (&'a str, Vec<Vec<u8>>)>,
        setup: impl FnOnce(Setup) -> Setup,
    ) -> Self {
        let gate = Arc::new(Gate::default());
        let backend = Backend::start(by_path(pages, Arc::clone(&gate)));
        let addr = backend.addr;
        let gripd = Gripd::start(|c| {
            setup(
                c.set("LOG_LEVEL", "debug")
                    .route(format!("*,path_beg=/debug,debug {addr},over_http"))
                    .route(format!("*,path_beg=/one {addr},over_http,one_event"))
                    .route(format!("* {addr},over_http")),
            )
        });
        Self {
            gripd,
            backend,
            gate,
        }
    }

    /// An open WebSocket on `/`.
    pub(crate) fn open(&self) -> WebSocket {
        self.open_at("/")
    }

    /// An open WebSocket on a path.
    pub(crate) fn open_at(&self, path: &str) -> WebSocket {
        WebSocket::open(&self.gripd, path)
    }

    /// Every request for a path so far.
    pub(crate) fn requests(&self, path: &str) -> Vec<Request> {
        let mut all = self.backend.requests();
        all.retain(|request| request.head.target() == path);
        all
    }

    /// Waits for the request with this number (from 0: the first OPEN) for `/`.
    pub(crate) fn request(&self, n: usize) -> Request {
        self.request_at("/", n)
    }

    /// Waits for the request with this number (from 0: the first OPEN) for a path.
    pub(crate) fn request_at(&self, path: &str, n: usize) -> Request {
        let mut found = None;
        eventually(&format!("request {n} for {path}"), || {
            found = self.requests(path).into_iter().nth(n);
            found.is_some()
        });
        found.unwrap()
    }

    /// The requests for `/` behind the OPEN have these bodies, in order; waits for them.
    pub(crate) fn expect_bodies(&self, bodies: &[&str]) {
        self.expect_bodies_at("/", bodies);
    }

    /// The same for any path.
    pub(crate) fn expect_bodies_at(&self, path: &str, bodies: &[&str]) {
        for (n, body) in bodies.iter().enumerate() {
            let got = self.request_at(path, n + 1).body;
            assert_eq!(String::from_utf8_lossy(&got), *body, "request {}", n + 1);
        }
    }

    /// Exactly these requests came behind the OPEN on a path: another WebSocket opened, spoke and
    /// was answered since, so that what was going to come has come.
    pub(crate) fn expect_only(&self, path: &str, bodies: &[&str]) {
        self.expect_bodies_at(path, bodies);
        let mut other = self.open_at("/other");
        let before = self.requests("/other").len();
        for n in 0..3 {
            other.say("x");
            self.request_at("/other", before + n);
        }
        assert_eq!(self.requests(path).len(), bodies.len() + 1, "{path}");
    }

    /// Publishes a `ws-message` to a channel.
    pub(crate) fn publish(&self, channel: &str, message: &Value) {
        publish(&self.gripd, channel, message);
    }

    /// Waits until a channel has so many WebSockets.
    pub(crate) fn wait_subscribers(&self, channel: &str, n: u64) {
        wait_subscribers(&self.gripd, channel, n);
    }
}

/// What holds answers back.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    shut: Mutex<bool>,
    moved: Condvar,
}

impl Gate {
    /// From now on requests are noted and not answered.
    pub(crate) fn shut(&self) {
        *self.shut.lock().unwrap() = true;
    }

    /// From now on they are, those that wait too.
    pub(crate) fn open(&self) {
        *self.shut.lock().unwrap() = false;
        self.moved.notify_all();
    }

    /// Waits until it is open.
    pub(crate) fn pass(&self) {
        let shut = self.shut.lock().unwrap();
        drop(self.moved.wait_timeout_while(shut, PATIENCE, |shut| *shut));
    }
}

/// The handler of a backend that answers by path, see [`Site::new`].
fn by_path<'a>(
    pages: impl IntoIterator<Item = (&'a str, Vec<Vec<u8>>)>,
    gate: Arc<Gate>,
) -> impl Fn(&Request, &mut Reply) + Send + Sync + 'static {
    let pages: HashMap<String, Vec<Vec<u8>>> = pages
        .into_iter()
        .map(|(path, answers)| (path.to_owned(), answers))
        .collect();
    let counts: Mutex<HashMap<String, usize>> = Mutex::default();
    move |request, reply| {
        gate.pass();
        let path = request.head.target();
        let n = {
            let mut counts = counts.lock().unwrap();
            let count = counts.entry(path.to_owned()).or_default();
            *count += 1;
            *count - 1
        };
        match pages.get(path).and_then(|answers| answers.get(n)) {
            // An answer of nothing: the connection ends instead.
            Some(raw) if raw.is_empty() => reply.close(),
            Some(raw) => {
                reply.send(raw);
            }
            None => {
                reply.send(polite(&request.body));
            }
        }
    }
}

/// The answer of a backend that has nothing to say: it accepts, and closes when it is asked to.
fn polite(body: &[u8]) -> Vec<u8> {
    match find(body, b"CLOSE") {
        _ if body == b"OPEN\r\n" => opened(""),
        Some(at) => events("", &body[at..]),
        None => events("", ""),
    }
}

fn find(hay: &[u8], needle: &[u8]) -> Option<usize> {
    hay.windows(needle.len()).position(|w| w == needle)
}

/// An answer of these events with these header lines (each with its line end).
pub(crate) fn events(headers: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    answer("200 OK", &format!("{EVENTS}{headers}"), body)
}

/// The answer to OPEN: accepted, and then these events.
pub(crate) fn opened(more: &str) -> Vec<u8> {
    opened_with("", more)
}

/// The same with these header lines (each with its line end).
pub(crate) fn opened_with(headers: &str, more: &str) -> Vec<u8> {
    events(headers, format!("OPEN\r\n{more}"))
}

/// The same with GRIP.
pub(crate) fn grip(more: &str) -> Vec<u8> {
    opened_with("Sec-WebSocket-Extensions: grip\r\n", more)
}

/// The same with GRIP and these control messages, in order.
pub(crate) fn controlled(messages: &[Value]) -> Vec<u8> {
    let all: String = messages.iter().map(control).collect();
    grip(&all)
}

/// A control message as an event.
pub(crate) fn control(message: &Value) -> String {
    event("TEXT", &format!("c:{message}"))
}

/// An event with content.
pub(crate) fn event(kind: &str, content: &str) -> String {
    format!("{kind} {:x}\r\n{content}\r\n", content.len())
}

/// The control message that subscribes.
pub(crate) fn subscribe(channel: &str) -> Value {
    json!({"type": "subscribe", "channel": channel})
}

/// The same with filters.
pub(crate) fn filtered(channel: &str, filters: &[&str]) -> Value {
    json!({"type": "subscribe", "channel": channel, "filters": filters})
}

/// Publishes a `ws-message` to a channel.
pub(crate) fn publish(gripd: &Gripd, channel: &str, message: &Value) {
    gripd.publish(&json!([{"channel": channel, "ws-message": message}]));
}

/// Waits until a channel has so many WebSockets. Asks with `hint`, which does nothing to them.
pub(crate) fn wait_subscribers(gripd: &Gripd, channel: &str, n: u64) {
    let probe = json!([{"channel": channel, "no-seq": true, "ws-message": {"action": "hint"}}]);
    let mut last = 0;
    eventually(&format!("{n} WebSockets on {channel:?}"), || {
        last = gripd.publish(&probe)[0];
        last == n
    });
}

/// Intervals and pauses are short.
pub(crate) fn hasty(setup: Setup) -> Setup {
    setup
        .set("WEBSOCKET_KEEP_ALIVE_MIN", "1s")
        .set("GRIP_LINK_BACKOFF", "50ms")
}
