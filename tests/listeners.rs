//! Where clients connect: TLS, sockets in the file system, and proxies that tell whose connection
//! it is. What is held there is held like everything else.
#![cfg(feature = "server")]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests fail by panicking"
)]

#[path = "support/mod.rs"]
mod support;
#[path = "support/tls.rs"]
mod tls;

use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    os::unix::{fs::PermissionsExt, net::UnixStream},
};

use rustls::{ClientConnection, HandshakeKind, pki_types::ServerName};
use serde_json::json;
use support::{
    Backend, Gripd, PATIENCE, Setup, Wire, answer, eventually, instruct,
    ws::{WebSocket, text},
};
use tls::{After, Authority};

/// gripd with a port for TLS, a certificate for `a.test`, and more.
fn start(authority: &Authority, more: impl FnOnce(Setup) -> Setup) -> (Gripd, SocketAddr) {
    let (cert, key) = authority.issue("a.test");
    let gripd = Gripd::start(|c| {
        more(c.file("a.crt", &cert).file("a.key", &key))
            .set("LISTEN_HTTPS", "127.0.0.1:0")
            .set("TLS_CERT", "a.crt")
            .set("TLS_KEY", "a.key")
    });
    let secure = after(&gripd, "https://");
    (gripd, secure)
}

/// The address behind a mark in the line that tells where clients connect.
fn after(gripd: &Gripd, mark: &str) -> SocketAddr {
    let log = gripd.log();
    let line = log.lines().find(|line| line.contains("clients: ")).unwrap();
    let (_, rest) = line.split_once(mark).unwrap();
    rest.split([',', ' ']).next().unwrap().parse().unwrap()
}

fn backend() -> Backend {
    Backend::serving([
        (
            "/stream",
            instruct(&["Grip-Hold: stream", "Grip-Channel: c"], "begin\n"),
        ),
        (
            "/poll",
            instruct(&["Grip-Hold: response", "Grip-Channel: p"], "nothing\n"),
        ),
        ("/large", answer("200 OK", "", vec![b'x'; LARGE])),
        ("/", answer("200 OK", "", "plain\n")),
    ])
}

/// Far more than sockets take at once.
const LARGE: usize = 20 << 20;

#[test]
fn tls_serves_all_that_plain_connections_get() {
    let (authority, backend) = (Authority::new(), backend());
    let (gripd, secure) = start(&authority, |c| {
        c.route(format!("* {}", backend.addr))
            .set("PROXY_SET_X_FORWARDED_PROTOCOL", "true")
    });
    let near = After::tls(&authority, "a.test", secure, b"");

    let mut client = Wire::connect(near.addr);
    assert_eq!(client.fetch("/").text(), "plain\n");
    let head = backend.last().head;
    assert_eq!(head.get("X-Forwarded-Protocol"), Some("https"));
    // The same connection again, a body longer than any buffer, and an upload.
    assert_eq!(client.fetch("/large").body.len(), LARGE);
    client.request("POST", "/", &["Host: a.test"], vec![b'y'; 1 << 20]);
    assert_eq!(client.response().text(), "plain\n");
    assert_eq!(backend.last().body.len(), 1 << 20);

    // A long-poll, and the next request behind it.
    client.get("/poll");
    gripd.wait_subscribers("p", "http-response", 1);
    gripd.answer_polls("p", "news\n");
    assert_eq!(client.response().text(), "news\n");
    assert_eq!(client.fetch("/").text(), "plain\n");

    // A stream: small items, and some that do not fit into the socket.
    let mut stream = Wire::connect(near.addr);
    stream.get("/stream");
    assert!(stream.head().is_chunked());
    stream.expect_stream("begin\n");
    let long = "z".repeat(300_000);
    for item in ["one\n", &long, "two\n", &long, "three\n"] {
        gripd.push("c", item);
    }
    for item in ["one\n", &long, "two\n", &long, "three\n"] {
        stream.expect_stream(item);
    }
    gripd.close_streams("c");
    stream.expect_last_chunk();
    assert_eq!(stream.fetch("/").text(), "plain\n");
}

/// A client of HTTP/1.0 has nothing but the connection's end to tell that all was sent.
#[test]
fn a_body_that_the_connection_ends_is_ended_by_tls() {
    let (authority, backend) = (Authority::new(), backend());
    let (gripd, secure) = start(&authority, |c| c.route(format!("* {}", backend.addr)));
    let name = ServerName::try_from("a.test").unwrap();
    let mut session = ClientConnection::new(authority.client(), name).unwrap();
    let mut socket = TcpStream::connect(secure).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut stream = rustls::Stream::new(&mut session, &mut socket);
    let request = b"GET /stream HTTP/1.0\r\nHost: a.test\r\n\r\n";
    stream.write_all(request).unwrap();
    gripd.wait_subscribers("c", "http-stream", 1);
    gripd.push("c", "one\n");
    gripd.close_streams("c");
    let mut all = String::new();
    // An end without a goodbye is an error here.
    stream.read_to_string(&mut all).unwrap();
    assert!(all.ends_with("begin\none\n"), "{all}");
}

#[test]
fn a_slow_reader_over_tls_gets_every_item_whole() {
    let (authority, backend) = (Authority::new(), backend());
    let (gripd, secure) = start(&authority, |c| {
        c.route(format!("* {}", backend.addr))
            .set("LIMITS_CONNECTION_BUFFER", "64MiB")
    });
    let near = After::tls(&authority, "a.test", secure, b"");
    let mut stream = Wire::connect(near.addr);
    stream.get("/stream");
    stream.head();
    stream.expect_stream("begin\n");
    // All of it is published before the first byte is read.
    let items: Vec<String> = (0..30_u8)
        .map(|n| char::from(b'a' + n % 26).to_string().repeat(500_000))
        .collect();
    for item in &items {
        gripd.push("c", item);
    }
    for item in &items {
        stream.expect_stream(item);
    }
}

/// What a full socket has not taken when the body ends goes out as well, and the connection goes on.
#[test]
fn the_end_reaches_a_slow_reader_over_tls() {
    let (authority, backend) = (Authority::new(), backend());
    let (gripd, secure) = start(&authority, |c| {
        c.route(format!("* {}", backend.addr))
            .set("LIMITS_CONNECTION_BUFFER", "64MiB")
            .set("CONTROL_MAX_BODY", "64MiB")
    });
    let name = ServerName::try_from("a.test").unwrap();
    let mut session = ClientConnection::new(authority.client(), name).unwrap();
    let mut socket = TcpStream::connect(secure).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut stream = rustls::Stream::new(&mut session, &mut socket);
    let mut until = |request: &str, ready: &dyn Fn(), end: &str| {
        let request = format!("GET {request} HTTP/1.1\r\nHost: a.test\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        ready();
        let mut all = Vec::new();
        let mut buffer = vec![0; 64 << 10];
        while !all.ends_with(end.as_bytes()) {
            let read = stream.read(&mut buffer).unwrap();
            all.extend_from_slice(&buffer[..read]);
        }
        all.len()
    };
    let long = "z".repeat(LARGE / 2);
    let streaming = || {
        gripd.wait_subscribers("c", "http-stream", 1);
        gripd.push("c", &long);
        gripd.close_streams("c");
    };
    assert!(until("/stream", &streaming, "zz\r\n0\r\n\r\n") > long.len());
    let polling = || {
        gripd.wait_subscribers("p", "http-response", 1);
        gripd.answer_polls("p", &format!("{long}end"));
    };
    assert!(until("/poll", &polling, "zzend") > long.len());
    until("/", &|| (), "plain\n");
}

#[test]
fn websockets_over_tls() {
    let authority = Authority::new();
    let (gripd, secure) = start(&authority, |c| c.route("* test"));
    let near = After::tls(&authority, "a.test", secure, b"");
    let mut wire = Wire::connect(near.addr);
    wire.request(
        "GET",
        "/ws",
        &[
            "Host: a.test",
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        ],
        "",
    );
    let mut socket = WebSocket::opened(wire);
    gripd.wait_subscribers("test", "ws-message", 1);
    gripd.publish(&json!([{"channel": "test", "ws-message": {"content": "hello"}}]));
    socket.expect(&[text("hello")]);
    socket.say("echo?");
    socket.hear("echo?");
}

#[test]
fn streams_over_tls_end_properly_when_gripd_stops() {
    let (authority, backend) = (Authority::new(), backend());
    let (mut gripd, secure) = start(&authority, |c| c.route(format!("* {}", backend.addr)));
    let near = After::tls(&authority, "a.test", secure, b"");
    let mut stream = Wire::connect(near.addr);
    stream.get("/stream");
    stream.head();
    stream.expect_stream("begin\n");
    gripd.signal("TERM");
    stream.expect_last_chunk();
    assert!(gripd.wait_exit().success());
}

#[test]
fn a_handshake_that_hangs_holds_up_no_stop() {
    let authority = Authority::new();
    let (mut gripd, secure) = start(&authority, |c| c.route("* test"));
    let mut silent = Wire::connect(secure);
    let near = After::tls(&authority, "a.test", secure, b"");
    // Behind the silent one in the queue: that has been taken as well.
    assert_eq!(Wire::connect(near.addr).fetch("/").status(), 200);
    gripd.signal("TERM");
    assert!(gripd.wait_exit().success());
    assert!(silent.wait_closed());
    assert!(gripd.log().contains("cut=0"), "{}", gripd.log());
}

#[test]
fn a_certificate_is_chosen_by_the_name_asked_for() {
    let authority = Authority::new();
    let folder = authority.folder().join("certs");
    fs::create_dir(&folder).unwrap();
    let put = |file: &str, name: &str| authority.put(&folder, file, name);
    put("b.test", "b.test");
    put("_.w.test", "*.w.test");
    let (gripd, secure) = start(&authority, |c| {
        c.route("* test")
            .set("TLS_CERTS", &folder.display().to_string())
    });
    let meets = |name: &'static str| {
        let near = After::tls(&authority, name, secure, b"");
        let mut client = Wire::connect(near.addr);
        client.get("/");
        client.try_head().is_some()
    };
    // Files by name, one level below a name, and the certificate of the settings for all others.
    for name in ["b.test", "B.TEST", "x.w.test", "a.test"] {
        assert!(meets(name), "{name}");
    }
    for name in ["w.test", "y.x.w.test", "c.test"] {
        assert!(!meets(name), "{name}");
    }
    // A new file is there at once.
    put("c.test", "c.test");
    assert!(meets("c.test"));
    put(&format!("default_{}", secure.port()), "other.test");
    assert!(meets("other.test") && !meets("a.test"));
    assert!(!gripd.log().contains("WARN"), "{}", gripd.log());
}

#[test]
fn sessions_are_resumed() {
    let authority = Authority::new();
    let (_gripd, secure) = start(&authority, |c| c.route("* test"));
    let config = authority.client();
    let kinds = [(); 2].map(|()| {
        let name = ServerName::try_from("a.test").unwrap();
        let mut session = ClientConnection::new(config.clone(), name).unwrap();
        let mut socket = TcpStream::connect(secure).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut stream = rustls::Stream::new(&mut session, &mut socket);
        let request = b"GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n";
        stream.write_all(request).unwrap();
        let mut body = String::new();
        stream.read_to_string(&mut body).unwrap();
        assert!(body.starts_with("HTTP/1.1 200 OK"), "{body}");
        session.handshake_kind()
    });
    let (full, again) = (HandshakeKind::Full, HandshakeKind::Resumed);
    assert_eq!(kinds, [Some(full), Some(again)]);
}

#[test]
fn plain_http_on_a_port_for_tls_is_told_so() {
    let authority = Authority::new();
    let (gripd, secure) = start(&authority, |c| c.route("* test"));
    let mut client = Wire::connect(secure);
    let response = client.fetch("/");
    assert_eq!(response.status(), 400);
    assert_eq!(
        response.text(),
        "This port speaks TLS: ask for it by https://\n"
    );
    client.expect_eof();
    // Nor does any other nonsense harm it.
    let mut client = Wire::connect(secure);
    client.send(b"\x16\x03\x01\x00\x05hello");
    assert!(client.wait_closed());
    assert_eq!(gripd.fetch("/").status(), 200);
}

#[test]
fn a_socket_in_the_file_system_serves_clients() {
    let backend = backend();
    let gripd = Gripd::start(|c| {
        c.route(format!("* {}", backend.addr))
            .set("LISTEN_UNIX", "unix:c.sock?mode=606")
            .set("PROXY_X_FORWARDED_FOR", "append")
    });
    let path = gripd.dir().join("c.sock");
    gripd.wait_log("unix:");
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o606
    );
    let mut client = UnixStream::connect(&path).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    let request = b"GET /stream HTTP/1.1\r\nHost: h.test\r\n\r\n";
    client.write_all(request).unwrap();
    let mut read = Vec::new();
    let mut until = |client: &mut UnixStream, end: &str| {
        while !read.ends_with(end.as_bytes()) {
            let mut byte = [0];
            client.read_exact(&mut byte).unwrap();
            read.push(byte[0]);
        }
    };
    until(&mut client, "begin\n\r\n");
    // Nobody's address is no address.
    assert_eq!(backend.last().head.get("X-Forwarded-For"), None);
    gripd.push("c", "one\n");
    until(&mut client, "one\n\r\n");
    drop(client);
    gripd.wait_subscribers("c", "http-stream", 0);
}

#[test]
fn a_proxy_tells_whose_connection_it_is() {
    let (authority, backend) = (Authority::new(), backend());
    let (gripd, secure) = start(&authority, |c| {
        c.route(format!("* {}", backend.addr))
            .arg("--port=127.0.0.1:0")
            .set("LISTEN_UNIX", "unix:c.sock")
            .set("LISTEN_PROXY_PROTOCOL", "127.0.0.1:0,unix:c.sock")
            .set("PROXY_X_FORWARDED_FOR", "append")
    });
    let header = b"PROXY TCP4 192.0.2.1 192.0.2.2 5000 80\r\n";
    let told = |backend: &Backend| {
        backend
            .last()
            .head
            .get("X-Forwarded-For")
            .map(str::to_owned)
    };

    let mut client = gripd.client();
    client.send(header);
    assert_eq!(client.fetch("/").text(), "plain\n");
    assert_eq!(told(&backend).as_deref(), Some("192.0.2.1"));
    gripd.wait_log("192.0.2.1:5000");

    let near = After::tls(&authority, "a.test", secure, header);
    let mut client = Wire::connect(near.addr);
    client.get("/stream");
    client.head();
    client.expect_stream("begin\n");
    assert_eq!(told(&backend).as_deref(), Some("192.0.2.1"));
    gripd.push("c", "one\n");
    client.expect_stream("one\n");

    let mut client = UnixStream::connect(gripd.dir().join("c.sock")).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    let request = b"GET / HTTP/1.1\r\nHost: h.test\r\nConnection: close\r\n\r\n";
    client.write_all(&[&header[..], request].concat()).unwrap();
    let mut all = String::new();
    client.read_to_string(&mut all).unwrap();
    assert!(all.ends_with("plain\n"), "{all}");
    assert_eq!(told(&backend).as_deref(), Some("192.0.2.1"));

    // Without the header nobody is served.
    let asked = backend.requests().len();
    let mut client = gripd.client();
    client.get("/");
    assert!(client.wait_closed());
    assert_eq!(backend.requests().len(), asked);
}

#[test]
fn a_handshake_that_hangs_is_ended_and_holds_up_nobody() {
    let authority = Authority::new();
    let (_gripd, secure) = start(&authority, |c| {
        c.route("* test").set("TIMEOUTS_REQUEST_HEAD", "300ms")
    });
    let mut silent = Wire::connect(secure);
    let near = After::tls(&authority, "a.test", secure, b"");
    assert_eq!(Wire::connect(near.addr).fetch("/").status(), 200);
    assert!(silent.wait_closed());
    eventually("nothing is left", || {
        Wire::connect(near.addr).fetch("/").status() == 200
    });
}
