//! Requests through a [`Forwarder`] to a backend that is a bare socket, so that every byte it gets
//! and sends is known.

mod answers;
mod fetch;
mod requests;
mod share;
mod stale;
mod tls;

use std::{cell::RefCell, convert::Infallible, pin::Pin, rc::Rc, time::Duration};

use arc_swap::ArcSwap;
use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt, DuplexStream},
    net::{TcpListener, TcpStream},
    sync::oneshot,
    task::{LocalSet, spawn_local},
};

use super::*;
use crate::{
    grip,
    routes::{
        grammar::{Address, Target},
        table::Table,
    },
    upstream::Error,
};

/// A client's request as hyper's server hands it on, with the client's end of the connection.
struct Asked {
    raw: Bytes,
    head: request::Parts,
    upload: Upload,
    client: DuplexStream,
}

/// Parses a request the way the front does.
async fn ask(raw: impl AsRef<[u8]>) -> Asked {
    let (mut client, server) = tokio::io::duplex(1 << 20);
    client.write_all(raw.as_ref()).await.unwrap();
    let (tell, told) = oneshot::channel();
    let tell = RefCell::new(Some(tell));
    spawn_local(async move {
        let service = service_fn(|request: http::Request<Incoming>| {
            if let Some(tell) = tell.borrow_mut().take() {
                let _ = tell.send(request);
            }
            std::future::pending::<Result<http::Response<Empty<Bytes>>, Infallible>>()
        });
        let _ = hyper::server::conn::http1::Builder::new()
            .preserve_header_case(true)
            .max_headers(200)
            .serve_connection(TokioIo::new(server), service)
            .await;
    });
    let (head, body) = told.await.unwrap().into_parts();
    let text = raw.as_ref();
    let end = memchr::memmem::find(text, b"\r\n\r\n").unwrap() + 4;
    Asked {
        raw: Bytes::copy_from_slice(&text[..end]),
        head,
        upload: Upload::new(body, grip::BODY_LIMIT),
        client,
    }
}

impl Forwarder {
    async fn pass(&self, raw: impl AsRef<[u8]>) -> Result<Answer, Failure> {
        let asked = ask(raw).await;
        let client = Client {
            addr: Some([127, 0, 0, 1].into()),
            head: Some(&asked.raw),
            ..Client::default()
        };
        let answer = self.go(asked.head, asked.upload, &client).await;
        drop(asked.client);
        answer
    }

    /// Finds a request's way and goes it.
    async fn go(
        &self,
        head: request::Parts,
        upload: Upload,
        client: &Client<'_>,
    ) -> Result<Answer, Failure> {
        let way = self.way(&head, client);
        self.forward(head, upload, way, client).await
    }

    /// Passes a request and reads the answer's body to its end.
    async fn text(&self, raw: impl AsRef<[u8]>) -> (u16, String) {
        let answer = self.pass(raw).await.unwrap();
        (
            answer.head.status.as_u16(),
            read_all(answer.body).await.unwrap(),
        )
    }

    /// Waits until so many connections are idle.
    async fn until_idle(&self, count: usize) {
        while self.idle() != count {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

async fn read_all(body: Body) -> Result<String, Error> {
    Ok(String::from_utf8(body.collect().await?.to_bytes().to_vec()).unwrap())
}

fn forwarder(settings: Settings, route: Route) -> Forwarder {
    let common = Common::new(&settings);
    let routes = Arc::new(ArcSwap::from_pointee(Table::of([route])));
    Forwarder::new(Arc::new(settings), routes, common, welcome())
}

/// A welcome page that publishes to nobody.
fn welcome() -> Welcome {
    let nobody = Rc::new(|_| {
        Box::pin(std::future::ready(Ok(0_usize))) as crate::upstream::welcome::Publishing
    });
    Welcome::new("http://localhost:1", "none", "none", nobody)
}

/// A forwarder with one route, to these ports.
fn to(ports: &[u16]) -> Forwarder {
    forwarder(Settings::default(), route(ports))
}

fn route(ports: &[u16]) -> Route {
    Route {
        targets: ports.iter().map(|port| target(*port)).collect(),
        ..Route::default()
    }
}

fn target(port: u16) -> Target {
    Target {
        address: Address::Host("127.0.0.1".into(), port),
        ..Target::default()
    }
}

/// A port nobody listens on.
async fn dead_port() -> u16 {
    listen().await.1
}

async fn listen() -> (TcpListener, u16) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

/// The request without the signature, which differs from run to run.
fn unsigned(request: &str) -> String {
    let lines: Vec<_> = request
        .split("\r\n")
        .filter(|line| !line.to_ascii_lowercase().starts_with("grip-sig: "))
        .collect();
    lines.join("\r\n")
}

/// What a backend was asked, per connection.
type Seen = Rc<RefCell<Vec<Vec<String>>>>;

/// A backend whose connections answer their requests by a script, one text per request, and close
/// at its end; an empty text closes at once.
async fn backend(script: &'static [&'static [&'static str]]) -> (u16, Seen) {
    let (listener, port) = listen().await;
    let seen = Seen::default();
    let told = seen.clone();
    spawn_local(async move {
        for (index, answers) in script.iter().enumerate() {
            let (mut stream, _) = listener.accept().await.unwrap();
            told.borrow_mut().push(Vec::new());
            let told = told.clone();
            spawn_local(async move {
                for answer in *answers {
                    let Some(request) = read_request(&mut stream).await else {
                        return;
                    };
                    told.borrow_mut()[index].push(request);
                    stream.write_all(answer.as_bytes()).await.unwrap();
                }
            });
        }
    });
    (port, seen)
}

/// One request, head and body as they came; `None` at the connection's end.
async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> Option<String> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        let byte = stream.read_u8().await.ok()?;
        head.push(char::from(byte));
    }
    let lower = head.to_ascii_lowercase();
    if let Some((_, rest)) = lower.split_once("content-length: ") {
        let length: usize = rest.split_once("\r\n").unwrap().0.parse().unwrap();
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await.ok()?;
        head.push_str(&String::from_utf8(body).unwrap());
    } else if lower.contains("transfer-encoding: chunked") {
        let start = head.len();
        while !head.ends_with("\r\n\r\n")
            || !(head[start..].starts_with("0\r\n") || head[start..].contains("\r\n0\r\n"))
            || head.len() == start
        {
            head.push(char::from(stream.read_u8().await.ok()?));
        }
    }
    Some(head)
}

/// Waits for the peer's end of the connection; anything else that comes is passed over.
async fn until_closed(stream: &mut TcpStream) {
    let mut sink = [0; 1024];
    while !matches!(stream.read(&mut sink).await, Ok(0) | Err(_)) {}
}

/// Runs a test as a core of gripd runs: everything on one thread. One that waits in vain fails.
fn local<'a>(test: impl Future<Output = ()> + 'a) -> Pin<Box<dyn Future<Output = ()> + 'a>> {
    let test = Box::pin(test);
    let test = async move { LocalSet::new().run_until(test).await };
    Box::pin(async move {
        let ended = tokio::time::timeout(Duration::from_secs(20), test).await;
        ended.expect("the test came to its end");
    })
}

const GET: &str = "GET / HTTP/1.1\r\nHost: h.test\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
