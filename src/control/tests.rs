//! The control port over real sockets, in this thread.

use std::{net::Ipv4Addr, rc::Rc, sync::atomic::Ordering};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::LocalSet,
    time::timeout,
};

use super::*;
use crate::{
    grip::instruct::Mode,
    hub::{Ask, Bounds, Framing, Held, Holder, Rules},
    socket::ClientSocket,
};

/// The port under test.
struct Port {
    address: std::net::SocketAddr,
    context: Arc<Context>,
}

impl Port {
    /// Serves with the default settings as `change` leaves them.
    async fn start(change: impl FnOnce(&mut Settings)) -> Self {
        Self::start_with(change, STALL).await
    }

    async fn start_with(change: impl FnOnce(&mut Settings), stall: Duration) -> Self {
        let mut settings = Settings::default();
        change(&mut settings);
        let (limits, times) = (&settings.limits, &settings.timeouts);
        let (hub, ready) = (
            Arc::new(Hub::new(
                1,
                limits.publish_buffer,
                times.publish,
                Rules::default(),
            )),
            Arc::new(AtomicBool::new(true)),
        );
        let mut context = Context::new(hub, Arc::new(settings), ready).unwrap();
        context.stall = stall;
        let context = Arc::new(context);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        spawn_local(serve(Listener::Tcp(listener), Arc::clone(&context)));
        Self { address, context }
    }

    async fn client(&self) -> Client {
        Client {
            stream: TcpStream::connect(self.address).await.unwrap(),
            read: Vec::new(),
        }
    }

    /// The answer to one request on a connection of its own.
    async fn ask(&self, request: &str) -> Answered {
        let mut client = self.client().await;
        client.send(request).await;
        client.answer().await
    }
}

struct Client {
    stream: TcpStream,
    read: Vec<u8>,
}

#[derive(Debug)]
struct Answered {
    status: u16,
    head: String,
    body: String,
}

impl Answered {
    #[track_caller]
    fn is(&self, status: u16, body: &str) {
        assert_eq!((self.status, self.body.as_str()), (status, body));
    }

    #[track_caller]
    fn says(&self, status: u16, part: &str) {
        assert_eq!(self.status, status, "{self:?}");
        assert!(self.body.contains(part), "{self:?} without {part:?}");
        assert!(self.body.ends_with('\n'), "{self:?}");
    }

    fn has(&self, line: &str) -> bool {
        self.head.lines().any(|found| found == line)
    }
}

impl Client {
    async fn send(&mut self, bytes: &str) {
        self.stream.write_all(bytes.as_bytes()).await.unwrap();
    }

    async fn until(&mut self, enough: impl Fn(&[u8]) -> bool) {
        while !enough(&self.read) {
            let read = self.stream.read_buf(&mut self.read).await.unwrap();
            assert!(read > 0, "closed after {:?}", self.text());
        }
    }

    /// Reads a head, its empty line included.
    async fn head(&mut self) -> String {
        let end = |read: &[u8]| memchr::memmem::find(read, b"\r\n\r\n").map(|at| at + 4);
        self.until(|read| end(read).is_some()).await;
        let head = self.read.drain(..end(&self.read).unwrap()).collect();
        String::from_utf8(head).unwrap()
    }

    async fn answer(&mut self) -> Answered {
        let head = self.head().await;
        let length = head
            .lines()
            .find_map(|l| l.strip_prefix("Content-Length: "));
        let length: usize = length.unwrap().parse().unwrap();
        self.until(|read| read.len() >= length).await;
        let body = self.read.drain(..length).collect();
        let status = head[9..12].parse().unwrap();
        assert!(head.contains("\r\nDate: "), "{head}");
        assert!(!head.to_lowercase().contains("access-control-"), "{head}");
        Answered {
            status,
            head,
            body: String::from_utf8(body).unwrap(),
        }
    }

    /// Reads to the end of the connection, which must bring nothing more.
    async fn is_closed(&mut self) {
        self.stream.read_to_end(&mut self.read).await.unwrap();
        assert_eq!(self.text(), "");
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.read).into_owned()
    }
}

fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let set = LocalSet::new();
    let limit = Duration::from_mins(1);
    set.block_on(&runtime, async {
        timeout(limit, test).await.expect("the test hangs");
    });
}

const ONE: &str = r#"{"items":[{"channel":"a","formats":{"http-stream":{"content":"x"}}}]}"#;
const PUBLISHED: &str = "Published\n";

fn post(lines: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "POST /publish HTTP/1.1\r\nHost: localhost\r\n{lines}Content-Length: {length}\r\n\r\n{body}"
    )
}

fn get(target: &str, lines: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n")
}

#[test]
fn paths_and_methods_are_answered() {
    run(async {
        let port = Port::start(|_| {}).await;
        let about = concat!("gripd ", env!("CARGO_PKG_VERSION"), ": control port");
        let table: &[(&str, &str, u16, &str)] = &[
            ("GET", "/", 200, about),
            ("DELETE", "/?x=1", 200, about),
            ("OPTIONS", "/", 200, about),
            ("GET", "/livez", 200, "alive\n"),
            ("GET", "/livez/", 200, "alive\n"),
            ("GET", "/readyz", 200, "ready\n"),
            ("GET", "/metrics", 200, "# HELP gripd_items_published_total"),
            ("DELETE", "/metrics", 405, "Method not allowed"),
            ("DELETE", "/livez", 405, "Method not allowed: DELETE.\n"),
            ("GET", "/publish", 405, "Method not allowed: GET.\n"),
            ("OPTIONS", "/publish", 405, "Method not allowed: OPTIONS.\n"),
            ("GET", "/recover", 405, "Method not allowed: GET.\n"),
            ("DELETE", "/recover/", 405, "Method not allowed: DELETE.\n"),
            ("GET", "/publish//", 404, "Not Found"),
            ("GET", "/nothing", 404, "Not Found"),
            ("OPTIONS", "*", 404, "Not Found"),
        ];
        for (method, target, status, part) in table {
            let request = format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\n\r\n");
            port.ask(&request).await.says(*status, part);
        }
        for target in ["/recover", "/publish"] {
            let found = port.ask(&get(target, "")).await;
            assert!(found.has("Allow: POST"), "{found:?}");
        }
        let found = port.ask(&get("/publish", "")).await;
        assert!(found.has("Content-Type: text/plain; charset=utf-8"));
        assert!(!found.has("Connection: close"), "{found:?}");

        for target in [
            "/publish",
            "/publish/",
            "/publish?x=1",
            "http://localhost/publish",
        ] {
            let request = post("", ONE).replace(" /publish ", &format!(" {target} "));
            port.ask(&request).await.is(200, PUBLISHED);
        }
    });
}

#[test]
fn ready_is_what_the_flag_says() {
    run(async {
        let port = Port::start(|_| {}).await;
        port.context.ready.store(false, Ordering::Release);
        port.ask(&get("/readyz", "")).await.says(503, "Not ready");
        port.ask(&get("/livez", "")).await.is(200, "alive\n");
    });
}

#[test]
fn a_publish_is_answered_in_the_form_asked_for() {
    run(async {
        let port = Port::start(|_| {}).await;
        let json = "{\"message\":\"Published\",\"items\":[{\"channel\":\"a\",\
                    \"status\":\"no-subscribers\",\"connections\":0}]}\n";
        let table = [
            ("", 200, PUBLISHED),
            ("Accept: application/json\r\n", 200, json),
            ("Accept: application/json, text/plain\r\n", 200, json),
            ("Accept: application/json, */*;q=0.1\r\n", 200, json),
            ("Accept: application/json;q=0.5, text/html\r\n", 200, json),
            (
                "Accept: text/html\r\nAccept: text/plain\r\n",
                200,
                PUBLISHED,
            ),
        ];
        for (accept, status, body) in table {
            port.ask(&post(accept, ONE)).await.is(status, body);
        }
        let refused = port.ask(&post("Accept: text/html\r\n", ONE)).await;
        refused.says(406, "text/plain and application/json");
        let empty = port
            .ask(&post("Accept: application/json\r\n", r#"{"items":[]}"#))
            .await;
        empty.is(200, "{\"message\":\"Published\",\"items\":[]}\n");
        assert!(empty.has("Content-Type: application/json"));
    });
}

#[test]
fn a_recover_is_answered_in_the_form_asked_for() {
    run(async {
        let port = Port::start(|_| {}).await;
        let recover = |accept| post(accept, "").replace("/publish", "/recover");
        port.ask(&recover("")).await.is(200, "Updated\n");
        let json = port.ask(&recover("Accept: application/json\r\n")).await;
        json.is(200, "{\"message\":\"Updated\"}\n");
        assert!(json.has("Content-Type: application/json"), "{json:?}");
        let refused = port.ask(&recover("Accept: text/html\r\n")).await;
        refused.says(406, "text/plain and application/json");
        port.ask("POST /recover HTTP/1.1\r\nHost: localhost\r\n\r\n")
            .await
            .says(411, "Content-Length");
    });
}

#[test]
fn a_bad_publish_is_refused_in_text_and_the_connection_kept() {
    run(async {
        let port = Port::start(|_| {}).await;
        let mut client = port.client().await;
        for body in ["{", "", "5", "[]", "{}", r#"{"items":[{}]}"#] {
            client
                .send(&post("Accept: application/json\r\n", body))
                .await;
            let found = client.answer().await;
            assert_eq!(found.status, 400, "{found:?}");
            assert!(found.has("Content-Type: text/plain; charset=utf-8"));
        }
        client.send(&post("", ONE)).await;
        client.answer().await.is(200, PUBLISHED);
    });
}

#[test]
fn a_big_batch_is_taken() {
    run(async {
        let port = Port::start(|_| {}).await;
        let item = r#"{"channel":"a","formats":{"http-stream":{"content":"x"}}}"#;
        let body = format!("{{\"items\":[{}]}}", vec![item; 3000].join(","));
        assert!(body.len() > 2 * (64 << 10));
        let found = port.ask(&post("Accept: application/json\r\n", &body)).await;
        assert_eq!(found.body.matches("\"channel\":\"a\"").count(), 3000);
        let broken = port.ask(&post("", &body[..body.len() - 1])).await;
        broken.says(400, "JSON");
    });
}

#[test]
fn pages_of_other_sites_are_kept_out() {
    run(async {
        let port = Port::start(|settings| settings.control.hosts = vec!["gripd".into()]).await;
        let table = [
            (
                "Host: localhost\r\nOrigin: http://evil.example\r\n",
                "Origin",
            ),
            ("Host: localhost\r\nOrigin: null\r\n", "Origin"),
            (
                "Host: localhost\r\nSec-Fetch-Site: cross-site\r\n",
                "Sec-Fetch-Site",
            ),
            (
                "Host: localhost\r\nSec-Fetch-Site: same-site\r\n",
                "Sec-Fetch-Site",
            ),
            ("Host: evil.example\r\n", "Host"),
        ];
        for (lines, header) in table {
            for method in ["POST", "OPTIONS", "GET"] {
                let request = post("", ONE)
                    .replace("Host: localhost\r\n", lines)
                    .replace("POST", method);
                let mut client = port.client().await;
                client.send(&request).await;
                let found = client.answer().await;
                found.says(403, header);
                found.says(403, "control.hosts");
                client.is_closed().await;
            }
        }
        let own = "Host: gripd:1\r\nOrigin: http://gripd:1\r\nSec-Fetch-Site: same-origin\r\n";
        let request = post("", ONE).replace("Host: localhost\r\n", own);
        port.ask(&request).await.is(200, PUBLISHED);
    });
}

#[test]
fn faults_are_answered_with_a_sentence_and_end_the_connection() {
    let publish = "POST /publish HTTP/1.1\r\nHost: localhost\r\n";
    let many = format!("{publish}{}\r\n", "A: b\r\n".repeat(100));
    let unread = "Failed to parse request header";
    let heads: &[(&str, u16, &str)] = &[
        ("nonsense\r\n\r\n", 400, unread),
        ("\x16\x03\x01\r\n\r\n", 400, unread),
        ("GET / HTTP/1.1\nHost: a\n\n", 400, "LF"),
        ("GET / HTTP/1.1\r\n\r\n", 400, "Host"),
        ("GET / HTTP/2.0\r\n\r\n", 400, "HTTP/2.0"),
        (&many, 400, "more than 100 lines"),
        (
            "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
            400,
            "HTTP/1.0",
        ),
    ];
    // What follows the head's first two lines.
    let framings = [
        ("\r\n", 411, "Request requires Content-Length."),
        ("Content-Length: x\r\n\r\n", 400, "Bad Content-Length"),
        (
            "Content-Length: 1\r\nContent-Length: 1\r\n\r\n",
            400,
            "Bad Content-Length",
        ),
        ("Content-Length: 101\r\n\r\n", 400, "control.max_body"),
        ("Transfer-Encoding: gzip\r\n\r\n", 400, "chunked"),
        ("Transfer-Encoding: gzip, chunked\r\n\r\n", 501, "chunked"),
        (
            "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n",
            400,
            "exclude each other",
        ),
        (
            "Transfer-Encoding: chunked\r\n\r\n65\r\n",
            400,
            "control.max_body",
        ),
        ("Transfer-Encoding: chunked\r\n\r\nx\r\n", 400, "chunked"),
        (
            "Transfer-Encoding: chunked\r\n\r\n0\r\nHost: b\r\n",
            400,
            "chunked",
        ),
        ("Expect: a\r\nContent-Length: 1\r\n\r\n", 417, "Expect"),
    ]
    .map(|(rest, status, part)| (format!("{publish}{rest}"), status, part));
    let framings = framings
        .iter()
        .map(|(all, status, part)| (&**all, *status, *part));
    run(async {
        let port = Port::start(|settings| settings.control.max_body = 100).await;
        for (request, status, part) in heads.iter().copied().chain(framings) {
            let mut client = port.client().await;
            client.send(request).await;
            let found = client.answer().await;
            found.says(status, part);
            assert!(found.has("Connection: close"), "{found:?}");
            client.is_closed().await;
        }
    });
}

#[test]
fn a_head_at_the_limit_passes_and_one_above_does_not() {
    run(async {
        let port = Port::start(|settings| settings.control.max_head = 1000).await;
        let fill = |length: usize| {
            let bare = get("/livez", "A: \r\n").len();
            get("/livez", &format!("A: {}\r\n", "x".repeat(length - bare)))
        };
        port.ask(&fill(1000)).await.is(200, "alive\n");
        let refused = "Request header too large: the limit is 1000 bytes (control.max_head).\n";
        port.ask(&fill(1001)).await.is(400, refused);
        // Refused before its end is seen, too.
        port.ask(&fill(9000)[..5000]).await.is(400, refused);
    });
}

#[test]
fn a_body_too_large_is_refused_before_it_is_read() {
    run(async {
        let port = Port::start(|_| {}).await;
        let mut client = port.client().await;
        client
            .send("POST /publish HTTP/1.1\r\nHost: a.localhost\r\nContent-Length: 1000001\r\n\r\n")
            .await;
        client.answer().await.says(400, "1000000 bytes");
        // The client may go on sending: its answer is not destroyed by a reset.
        client.send(&"x".repeat(1_000_001)).await;
        client.stream.shutdown().await.unwrap();
        client.is_closed().await;
    });
}

#[test]
fn a_connection_serves_many_requests_in_order() {
    run(async {
        let port = Port::start(|_| {}).await;
        let mut client = port.client().await;
        for _ in 0..3 {
            client.send(&post("", ONE)).await;
            client.answer().await.is(200, PUBLISHED);
        }
        // Pipelined, with an empty line between, and a last one that is a fault.
        let many = [
            &post("", ONE),
            "\r\n",
            &get("/livez", ""),
            "rubbish\r\n\r\n",
        ]
        .concat();
        client.send(&many).await;
        client.answer().await.is(200, PUBLISHED);
        client.answer().await.is(200, "alive\n");
        client.answer().await.says(400, "Failed to parse");
        client.is_closed().await;
    });
}

#[test]
fn a_request_may_arrive_byte_by_byte() {
    run(async {
        let port = Port::start(|_| {}).await;
        let mut client = port.client().await;
        client.stream.set_nodelay(true).unwrap();
        for byte in post("", ONE).chars() {
            client.send(&byte.to_string()).await;
            tokio::task::yield_now().await;
        }
        client.answer().await.is(200, PUBLISHED);
    });
}

#[test]
fn connection_close_and_http_1_0_are_honoured() {
    run(async {
        let port = Port::start(|_| {}).await;
        let closing = [
            (get("/livez", "Connection: close\r\n"), "HTTP/1.1 200 OK"),
            ("GET /livez HTTP/1.0\r\n\r\n".into(), "HTTP/1.0 200 OK"),
        ];
        for (request, line) in closing {
            let mut client = port.client().await;
            client.send(&request).await;
            let found = client.answer().await;
            assert!(
                found.has(line) && found.has("Connection: close"),
                "{found:?}"
            );
            client.is_closed().await;
        }
        let mut client = port.client().await;
        for _ in 0..2 {
            client
                .send("GET /livez HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
                .await;
            assert!(client.answer().await.has("Connection: keep-alive"));
        }
    });
}

#[test]
fn head_is_answered_without_a_body() {
    run(async {
        let port = Port::start(|_| {}).await;
        let mut client = port.client().await;
        let head = get("/livez", "").replace("GET", "HEAD");
        client.send(&head).await;
        assert!(client.head().await.contains("Content-Length: 6\r\n"));
        client.send(&get("/livez", "")).await;
        client.answer().await.is(200, "alive\n");
    });
}

#[test]
fn the_body_is_asked_for_when_it_is_wanted() {
    run(async {
        let port = Port::start(|_| {}).await;
        let whole = post("Expect: 100-continue\r\n", ONE);
        let (head, body) = whole.split_at(whole.len() - ONE.len());
        let mut client = port.client().await;
        for _ in 0..2 {
            client.send(head).await;
            assert_eq!(client.head().await, "HTTP/1.1 100 Continue\r\n\r\n");
            client.send(body).await;
            client.answer().await.is(200, PUBLISHED);
        }
        // Not when it is refused anyway.
        client
            .send(&head.replace("localhost", "evil.example"))
            .await;
        client.answer().await.says(403, "evil.example");
        client.is_closed().await;
    });
}

#[test]
fn chunked_bodies_are_taken() {
    run(async {
        let port = Port::start(|_| {}).await;
        let head =
            "POST /publish HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n";
        let (first, second) = ONE.split_at(20);
        let mut client = port.client().await;
        client.send(&format!("{head}14\r\n{first}\r\n")).await;
        let rest = format!("{:x}\r\n{second}\r\n0\r\n\r\n", second.len());
        client.send(&(rest + &get("/livez", ""))).await;
        client.answer().await.is(200, PUBLISHED);
        client.answer().await.is(200, "alive\n");
    });
}

const SHORT: Duration = Duration::from_millis(20);

#[test]
fn a_silent_connection_ends_without_a_word() {
    run(async {
        let port = Port::start(|settings| settings.timeouts.request_head = SHORT).await;
        port.client().await.is_closed().await;

        let port = Port::start(|settings| settings.timeouts.keep_alive = SHORT).await;
        let mut idle = port.client().await;
        idle.send(&get("/livez", "")).await;
        idle.answer().await.is(200, "alive\n");
        idle.is_closed().await;
    });
}

#[test]
fn a_request_that_stops_arriving_is_told_so() {
    run(async {
        let port = Port::start(|settings| settings.timeouts.request_head = SHORT).await;
        // The beginning is there before the port first looks.
        let mut early = std::net::TcpStream::connect(port.address).unwrap();
        std::io::Write::write_all(&mut early, b"GET / HT").unwrap();
        early.set_nonblocking(true).unwrap();
        let mut slow = Client {
            stream: TcpStream::from_std(early).unwrap(),
            read: Vec::new(),
        };
        slow.answer().await.says(408, "timeouts.request_head");
        slow.is_closed().await;

        let port = Port::start_with(|_| {}, SHORT).await;
        let mut stuck = port.client().await;
        let whole = post("", ONE);
        stuck.send(&whole[..whole.len() - 1]).await;
        stuck.answer().await.says(408, "body stopped");
        stuck.is_closed().await;
    });
}

#[test]
fn connections_above_the_limit_wait() {
    run(async {
        let port = Port::start(|settings| settings.control.max_connections = 1).await;
        let other = Port::start(|_| {}).await;
        let mut first = port.client().await;
        first.send("GET /livez HTTP/1.1\r\n").await;
        let mut second = port.client().await;
        second.send(&get("/livez", "")).await;
        // While another port answers, the second could have been answered too.
        for _ in 0..20 {
            other.ask(&get("/livez", "")).await.is(200, "alive\n");
        }
        assert!(second.stream.try_read(&mut [0; 1]).is_err());
        assert_eq!(port.context.slots.available_permits(), 0);

        // The first is not kept, because somebody may wait.
        first.send("Host: localhost\r\n\r\n").await;
        let found = first.answer().await;
        assert!(found.has("Connection: close"), "{found:?}");
        drop(first);
        second.answer().await.is(200, "alive\n");
    });
}

/// A stream on channel `a`, and its client. What is published waits until its shard runs.
struct Subscriber {
    shard: Rc<Holder<ClientSocket>>,
    _held: Held<ClientSocket>,
    client: Client,
}

impl Subscriber {
    async fn of(port: &Port) -> Self {
        let shard = Holder::new(&port.context.hub, 0, Bounds::default());
        let held = shard.hold(Ask {
            framing: Framing::Bare,
            ..Ask::of(Mode::Stream, &["a"])
        });
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await;
        let (wire, _) = listener.accept().await.unwrap();
        held.open(wire.into(), None);
        Self {
            shard,
            _held: held,
            client: Client {
                stream: stream.unwrap(),
                read: Vec::new(),
            },
        }
    }

    async fn gets(&mut self, text: &str) {
        self.client.until(|read| read.len() >= text.len()).await;
        assert_eq!(self.client.text(), text);
    }
}

fn batch(contents: &[&str]) -> String {
    let item = |content: &&str| {
        format!(r#"{{"channel":"a","formats":{{"http-stream":{{"content":"{content}"}}}}}}"#)
    };
    let items: Vec<_> = contents.iter().map(item).collect();
    format!("{{\"items\":[{}]}}", items.join(","))
}

#[test]
fn an_item_with_many_channels_is_one_line_of_the_answer() {
    run(async {
        let port = Port::start(|_| {}).await;
        let mut subscriber = Subscriber::of(&port).await;
        spawn_local(Rc::clone(&subscriber.shard).run());
        let item = r#"{"items":[{"channels":["b","a"],"http-stream":{"content":"x"}}]}"#;
        let json = "{\"message\":\"Published\",\"items\":[{\"channels\":[\"b\",\"a\"],\
                    \"status\":\"sent\",\"connections\":1}]}\n";
        let found = port.ask(&post("Accept: application/json\r\n", item)).await;
        found.is(200, json);
        subscriber.gets("x").await;
    });
}

#[test]
fn who_publishes_too_fast_is_refused_whole_and_may_come_again() {
    run(async {
        let port = Port::start(|settings| {
            (settings.grip.publish_rate, settings.grip.publish_burst) = (1, 1);
            settings.timeouts.publish = Duration::ZERO;
        })
        .await;
        let mut subscriber = Subscriber::of(&port).await;
        spawn_local(Rc::clone(&subscriber.shard).run());
        // More than a burst goes all the same, and is owed for: an hour, counting each channel.
        let names = (0..3599).map(|n| format!("\"c{n}\",")).collect::<Vec<_>>();
        let items = names.chunks(900).map(|names| {
            let names = names.concat();
            format!("{{\"channels\":[{names}\"a\"],\"http-stream\":{{\"content\":\"1\"}}}}")
        });
        let many = format!("{{\"items\":[{}]}}", items.collect::<Vec<_>>().join(","));
        port.ask(&post("", &many)).await.is(200, PUBLISHED);
        let mut publisher = port.client().await;
        publisher.send(&post("", &batch(&["no", "no"]))).await;
        let refused = publisher.answer().await;
        refused.says(503, "1 items a second may be published (grip.publish_rate)");
        refused.says(503, "nothing of this was");
        let line = refused
            .head
            .lines()
            .find_map(|line| line.strip_prefix("Retry-After: "));
        let later: u64 = line.unwrap().parse().unwrap();
        assert!((3000..=3603).contains(&later), "{later}");
        // An empty batch is none, and the connection goes on.
        publisher.send(&post("", r#"{"items":[]}"#)).await;
        publisher.answer().await.is(200, PUBLISHED);
        subscriber.gets("1111").await;
    });
}

#[test]
fn who_publishes_a_little_too_fast_is_held_back() {
    run(async {
        let port = Port::start(|settings| {
            (settings.grip.publish_rate, settings.grip.publish_burst) = (1000, 1);
        })
        .await;
        let begin = Instant::now();
        port.ask(&post("", &batch(&["x"; 101])))
            .await
            .is(200, PUBLISHED);
        port.ask(&post("", ONE)).await.is(200, PUBLISHED);
        // What the clock says can only be more.
        assert!(begin.elapsed() >= Duration::from_millis(100));
    });
}

#[test]
fn nothing_of_a_batch_with_a_wrong_item_is_delivered() {
    run(async {
        let port = Port::start(|_| {}).await;
        let mut subscriber = Subscriber::of(&port).await;
        spawn_local(Rc::clone(&subscriber.shard).run());
        let wrong = batch(&["no", "no", "no"]).replacen("\"content\":\"no\"}}}]", "}}}]", 1);
        port.ask(&post("", &wrong)).await.says(400, "content");
        port.ask(&post("", &batch(&["yes"])))
            .await
            .is(200, PUBLISHED);
        subscriber.gets("yes").await;
    });
}

#[test]
fn a_batch_without_room_is_refused_whole_and_may_come_again() {
    run(async {
        let port = Port::start(|settings| {
            settings.limits.publish_buffer = 2000;
            settings.timeouts.publish = Duration::ZERO;
        })
        .await;
        let mut subscriber = Subscriber::of(&port).await;
        let mut publisher = port.client().await;
        publisher.send(&post("", &batch(&["1", "2"]))).await;
        publisher.answer().await.is(200, PUBLISHED);
        // The shard has taken nothing so far, so two more do not fit.
        publisher
            .send(&post("Accept: application/json\r\n", &batch(&["3", "4"])))
            .await;
        let busy = publisher.answer().await;
        busy.says(503, "nothing was published");
        assert!(
            busy.has("Retry-After: 1") && !busy.has("Connection: close"),
            "{busy:?}"
        );
        assert!(busy.has("Content-Type: text/plain; charset=utf-8"));

        spawn_local(Rc::clone(&subscriber.shard).run());
        subscriber.gets("12").await;
        publisher.send(&post("", &batch(&["5", "6"]))).await;
        publisher.answer().await.is(200, PUBLISHED);
        subscriber.gets("1256").await;
    });
}
