//! What a target can be: TLS, a unix socket, and what is said when it is not what was expected.
#![cfg(feature = "server")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests fail by panicking"
)]

mod support;
#[path = "support/tls.rs"]
mod tls;

use std::net::TcpListener;

use support::{
    Backend, Gripd, instruct,
    ws::{WebSocket, text},
};
use tls::{Authority, Before};

/// A backend that is held by requests for `/stream`, and echoes what WebSockets say.
fn backend() -> Backend {
    Backend::start(|request, reply| {
        if request.head.has("Upgrade") {
            return WebSocket::accept(request, reply, "", |socket| {
                while let Some(message) = socket.try_message() {
                    socket.send(&[message]);
                }
            });
        }
        if request.head.target() == "/stream" {
            let held = instruct(&["Grip-Hold: stream", "Grip-Channel: c"], "held\n");
            reply.send(held);
        } else {
            reply.ok("", "here");
        }
    })
}

/// Everything that uses a connection to a backend.
fn all_kinds_pass(gripd: &Gripd, host: &str) {
    let host = format!("Host: {host}");
    let mut client = gripd.client();
    client.request("POST", "/", &[&host], "x".repeat(300_000));
    assert_eq!(client.response().text(), "here");
    let mut client = gripd.client();
    client.request("GET", "/stream", &[&host], "");
    assert!(client.head().is_chunked());
    client.expect_stream("held\n");
    gripd.wait_subscribers("c", "http-stream", 1);
    let mut socket = WebSocket::open_with(gripd, "/ws", &[&host]);
    socket.say("over it");
    socket.expect(&[text("over it")]);
}

#[test]
fn backends_are_reached_over_tls() {
    let (authority, backend) = (Authority::new(), backend());
    let before = Before::tls(&authority, "app.test", backend.addr);
    let gripd = Gripd::start(|c| {
        c.route(format!("app.test {},ssl", before.addr))
            .route(format!("loose.test {},ssl,insecure", before.addr))
            .route(format!("wrong.test,debug {},ssl", before.addr))
            .set("PROXY_CA_FILE", &authority.file())
    });
    all_kinds_pass(&gripd, "app.test");
    assert_eq!(backend.last().head.get("Host"), Some("app.test"));
    let mut client = gripd.client();
    client.request("GET", "/", &["Host: loose.test"], "");
    assert_eq!(client.response().status(), 200);
    let mut client = gripd.client();
    client.request("GET", "/", &["Host: wrong.test"], "");
    let refused = client.response();
    assert_eq!(refused.status(), 502);
    let said = refused.text();
    assert!(said.contains("not good for wrong.test"), "{said}");
    assert!(!gripd.log().contains("panicked"));
}

#[test]
fn backends_are_reached_by_a_unix_socket() {
    let (authority, backend) = (Authority::new(), backend());
    let path = authority.folder().join("app.sock");
    let _before = Before::unix(&path, backend.addr);
    let gripd = Gripd::start(|c| c.route(format!("* unix:{}", path.display())));
    all_kinds_pass(&gripd, "h.test");
}

#[test]
fn a_target_that_speaks_the_other_language_is_named_with_its_fix() {
    let (authority, backend) = (Authority::new(), Backend::saying("plain"));
    let before = Before::tls(&authority, "app.test", backend.addr);
    let gripd = Gripd::start(|c| {
        c.debug()
            .route(format!("*,path_beg=/tls {}", before.addr))
            .route(format!("*,path_beg=/plain {},ssl", silent()))
    });
    for (path, fix) in [
        ("/tls", "`,ssl,insecure`"),
        ("/plain", "closed the connection instead"),
    ] {
        let answer = gripd.fetch(path);
        assert_eq!(answer.status(), 502);
        assert!(answer.text().contains(fix), "{}", answer.text());
        gripd.wait_log(fix);
    }
}

/// A listener that ends every connection after its first byte.
fn silent() -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut all = [0; 4096];
            let _ = std::io::Read::read(&mut &stream, &mut all);
        }
    });
    addr
}

#[test]
fn a_client_certificate_that_cannot_be_read_drops_its_line() {
    let authority = Authority::new();
    let (cert, _) = authority.issue("gripd.test");
    let (_, foreign_key) = authority.issue("other.test");
    let backend = Backend::saying("here");
    let gripd = Gripd::start(|c| {
        let line = |path: &str, key: &str| {
            format!(
                "*,path_beg={path} {},ssl,client_cert=c.pem,client_key={key}",
                backend.addr
            )
        };
        c.file("c.pem", &cert)
            .file("k.pem", &foreign_key)
            .route(line("/missing", "no.pem"))
            .route(line("/foreign", "k.pem"))
            .route(format!("* {}", backend.addr))
    });
    gripd.wait_log("client_cert and client_key cannot be used: no.pem");
    gripd.wait_log("client_cert and client_key cannot be used: k.pem");
    for path in ["/missing", "/foreign"] {
        assert_eq!(
            gripd.fetch(path).text(),
            "here",
            "the line of {path} is gone"
        );
    }
}

#[test]
fn a_file_of_authorities_that_cannot_be_used_is_told_at_the_start() {
    let output = support::run_to_end(|c| {
        c.file("ca.pem", "nothing")
            .set("PROXY_CA_FILE", "ca.pem")
            .route("* test")
    });
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success());
    assert!(
        said.contains("GRIPD_PROXY_CA_FILE: proxy.ca_file"),
        "{said}"
    );
    assert!(said.contains("holds no certificate"), "{said}");
}
