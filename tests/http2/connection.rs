//! The connection: how it is told that it speaks HTTP/2, how many streams it may have, and how it
//! shares a port with HTTP/1.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::Arc,
};

use rustls::{AlertDescription, ClientConfig, ClientConnection, pki_types::ServerName};

use crate::{
    client::Client,
    raw::{
        self, END_STREAM, MAX_CONCURRENT_STREAMS, Outcome, PREFACE, REFUSED_STREAM, Raw, SETTINGS,
    },
    site::{Site, calm, plain, stream},
    support::{Backend, Gripd, PATIENCE, Setup, Wire},
    tls::Authority,
};

/// gripd with a port for TLS.
fn secure(more: impl FnOnce(Setup) -> Setup) -> (Authority, Site, SocketAddr) {
    let authority = Authority::new();
    let (cert, key) = authority.issue("a.test");
    let pages = [
        ("/", vec![plain("plain\n")]),
        ("/a", vec![stream(&["Grip-Channel: a"])]),
    ];
    let site = Site::set_up(pages, |c| {
        more(calm(c).file("a.crt", &cert).file("a.key", &key))
            .set("LISTEN_HTTPS", "127.0.0.1:0")
            .set("TLS_CERT", "a.crt")
            .set("TLS_KEY", "a.key")
            .set("PROXY_SET_X_FORWARDED_PROTOCOL", "true")
    });
    let log = site.gripd.log();
    let line = log.lines().find(|line| line.contains("clients: ")).unwrap();
    let (_, rest) = line.split_once("https://").unwrap();
    let addr = rest.split([',', ' ']).next().unwrap().parse().unwrap();
    (authority, site, addr)
}

fn offering(authority: &Authority, protocols: &[&str]) -> ClientConfig {
    let mut config = (*authority.client()).clone();
    let names = protocols.iter().map(|name| name.as_bytes().to_vec());
    config.alpn_protocols = names.collect();
    config
}

/// Speaks HTTP/1 over TLS; what was agreed on, and the answer, or the error.
fn over_http1(config: ClientConfig, addr: SocketAddr) -> Result<(Option<String>, String), String> {
    let name = ServerName::try_from("a.test").unwrap();
    let mut session = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut socket = TcpStream::connect(addr).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut stream = rustls::Stream::new(&mut session, &mut socket);
    let request = b"GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n";
    stream
        .write_all(request)
        .map_err(|error| error.to_string())?;
    let mut answer = String::new();
    stream
        .read_to_string(&mut answer)
        .map_err(|error| error.to_string())?;
    let agreed = session.alpn_protocol();
    let agreed = agreed.map(|name| String::from_utf8_lossy(name).into_owned());
    Ok((agreed, answer))
}

#[test]
fn tls_agrees_on_http2_with_those_who_offer_it() {
    let (authority, site, addr) = secure(|c| c);
    for protocols in [&["h2", "http/1.1"][..], &["http/1.1", "h2"], &["h2"]] {
        let config = offering(&authority, protocols);
        let mut client = Client::tls(addr, config, "a.test");
        assert_eq!(client.get("/").text(), "plain\n");
        let head = site.backend.last().head;
        assert_eq!(head.get("X-Forwarded-Protocol"), Some("https"));
        let mut stream = client.held("/a", "hi\n");
        let long = "z".repeat(300_000);
        for item in ["one\n", &long, "two\n"] {
            site.gripd.push("a", item);
        }
        for item in ["one\n", &long, "two\n"] {
            stream.expect(item);
        }
        site.gripd.close_streams("a");
        stream.expect_end();
    }
}

#[test]
fn tls_speaks_http1_with_all_others() {
    let (authority, site, addr) = secure(|c| c);
    for (protocols, agreed) in [
        (&["http/1.1"][..], Some("http/1.1".to_owned())),
        (&[][..], None),
    ] {
        let found = over_http1(offering(&authority, protocols), addr);
        let (alpn, answer) = found.unwrap();
        assert_eq!(alpn, agreed);
        assert!(answer.ends_with("\r\n\r\nplain\n"), "{answer}");
    }
    assert_eq!(site.backend.asked(), ["GET /", "GET /"]);
}

#[test]
fn http2_can_be_turned_off() {
    let (authority, site, addr) = secure(|c| c.set("LISTEN_HTTP2", "false"));
    let found = over_http1(offering(&authority, &["h2", "http/1.1"]), addr);
    assert_eq!(found.unwrap().0.as_deref(), Some("http/1.1"));
    let error = over_http1(offering(&authority, &["h2"]), addr).unwrap_err();
    let alert = format!("{:?}", AlertDescription::NoApplicationProtocol);
    assert!(error.contains(&alert), "{error}");
    // By prior knowledge, it is a request with a version that nobody speaks.
    let mut client = site.gripd.client();
    client.send(PREFACE);
    let refusal = client.response();
    assert_eq!(refusal.status(), 505, "{}", refusal.text());
    assert!(refusal.text().ends_with(".\n"), "{}", refusal.text());
    client.expect_eof();
    assert_eq!(site.gripd.fetch("/").text(), "plain\n");
}

/// In pieces that are read one by one: others are answered on the same thread in between.
#[test]
fn a_preface_may_come_in_pieces() {
    let backend = Backend::saying("ok");
    let gripd = Gripd::start(|c| c.threads(1).route(format!("* {}", backend.addr)));
    for end in 1..PREFACE.len() {
        let mut raw = Raw::silent(&gripd);
        raw.wire.send(&PREFACE[..end]);
        assert_eq!(gripd.fetch("/").text(), "ok");
        raw.wire.send(&PREFACE[end..]);
        raw.send(SETTINGS, 0, 0, "");
        raw.get(1, "/");
        assert_eq!(raw.outcome(1), Outcome::Answer(200, "ok".into()), "{end}");
    }
    let mut raw = Raw::silent(&gripd);
    let get = raw::frame(raw::HEADERS, 5, 1, raw::block(&raw::get("/")));
    let all = [PREFACE, &raw::frame(SETTINGS, 0, 0, ""), &get].concat();
    for byte in all {
        raw.wire.send([byte]);
    }
    assert_eq!(raw.outcome(1), Outcome::Answer(200, "ok".into()));
}

#[test]
fn a_preface_that_breaks_off_costs_nothing() {
    let backend = Backend::saying("ok");
    let gripd = Gripd::start(|c| {
        c.set("TIMEOUTS_REQUEST_HEAD", "300ms")
            .route(format!("* {}", backend.addr))
    });
    // Its end, or something else in its place.
    for end in [1, 10, 23] {
        let mut client = gripd.client();
        client.send(&PREFACE[..end]);
        client.finish_sending();
        client.expect_eof();
        let mut client = gripd.client();
        client.send(&PREFACE[..end]);
        client.send("XXXX\r\n\r\n");
        let status = client.response().status();
        assert!([400, 505].contains(&status), "{end}: {status}");
        client.expect_eof();
        // Or nothing for too long.
        let mut client = gripd.client();
        client.send(&PREFACE[..end]);
        assert_eq!(client.response().status(), 408, "{end}");
    }
    assert_eq!(backend.asked(), [""; 0]);
}

#[test]
fn requests_of_http1_that_begin_like_a_preface_are_served() {
    let backend = Backend::saying("ok");
    let gripd = Gripd::before(&backend);
    for method in ["P", "PR", "PRI", "PRIX", "PUT", "POST", "PATCH"] {
        let mut client = gripd.client();
        for target in ["/a", "/b"] {
            client.request(method, target, &[], "");
            assert_eq!(client.response().text(), "ok", "{method}");
            assert_eq!(
                backend.last().head.first_line(),
                format!("{method} {target} HTTP/1.1")
            );
        }
        // It is too late for another protocol.
        client.send(PREFACE);
        assert_eq!(client.response().status(), 505, "{method}");
    }
}

/// An upgrade is not offered, and asking for one changes nothing (RFC 9113 section 3.1).
#[test]
fn h2c_is_not_upgraded_to() {
    let backend = Backend::saying("ok");
    let gripd = Gripd::before(&backend);
    let mut client = gripd.client();
    let headers = [
        "Connection: Upgrade, HTTP2-Settings",
        "Upgrade: h2c",
        "HTTP2-Settings: AAMAAABkAAQAAP__",
    ];
    client.request("GET", "/", &headers, "");
    let answer = client.response();
    assert_eq!((answer.status(), &*answer.text()), (200, "ok"));
    assert_eq!(client.fetch("/").text(), "ok");
}

#[test]
fn streams_above_the_limit_are_refused_and_may_come_again() {
    let site = Site::set_up(
        [
            ("/a", vec![stream(&["Grip-Channel: a"])]),
            ("/", vec![plain("plain\n")]),
        ],
        |c| calm(c).set("LIMITS_STREAMS", "2"),
    );
    let mut raw = Raw::of(&site.gripd);
    raw.settle();
    assert!(
        raw.settings.contains(&(MAX_CONCURRENT_STREAMS, 2)),
        "{:?}",
        raw.settings
    );
    for stream in [1, 3] {
        raw.get(stream, "/a");
        assert_eq!(raw.head(stream), (200, false));
    }
    for stream in [5, 7, 9] {
        raw.get(stream, "/");
        assert_eq!(raw.outcome(stream), Outcome::Reset(REFUSED_STREAM));
    }
    // Of another connection they are not.
    assert_eq!(Client::of(&site.gripd).get("/").text(), "plain\n");
    site.gripd.push("a", "one\n");
    site.gripd.close_streams("a");
    let mut open = vec![1, 3];
    while !open.is_empty() {
        let ended = raw.until("the ends", |one| one.flags & END_STREAM != 0);
        open.retain(|stream| *stream != ended.stream);
    }
    for stream in [11, 13, 15] {
        raw.get(stream, "/");
        let outcome = raw.outcome(stream);
        assert_eq!(outcome, Outcome::Answer(200, "plain\n".into()));
    }
    // Those that were refused have not reached the backend.
    assert_eq!(site.asked("GET /"), 4);
    // A client that knows the limit waits.
    let mut client = Client::of(&site.gripd);
    assert_eq!(client.get("/").text(), "plain\n");
    let first = client.held("/a", "hi\n");
    let second = client.held("/a", "hi\n");
    first.reset();
    assert_eq!(client.get("/").text(), "plain\n");
    drop(second);
}

/// Frames of types that nobody knows, and what is only a hint, change nothing (RFC 9113 sections 4.1
/// and 5.3).
#[test]
fn what_is_unknown_is_passed_over() {
    let backend = Backend::saying("ok");
    let gripd = Gripd::before(&backend);
    let mut raw = Raw::with(&gripd, &[(0x99, 7), (6, 1000)]);
    raw.send(0x77, 0xff, 0, "whatever");
    raw.send(raw::PRIORITY, 0, 1, [0, 0, 0, 0, 16]);
    raw.get(1, "/");
    assert_eq!(raw.outcome(1), Outcome::Answer(200, "ok".into()));
    raw.send(0x77, 0xff, 1, "whatever");
    raw.send(raw::PRIORITY, 0, 3, [0, 0, 0, 1, 16]);
    // Padding and priority in a head, and padding in a body.
    let block = raw::block(&raw::post("/"));
    let head = [&[4][..], &[0, 0, 0, 0, 16], &block, &[0; 4]].concat();
    raw.send(raw::HEADERS, raw::PADDED | raw::END_HEADERS | 0x20, 3, head);
    raw.send(
        raw::DATA,
        raw::PADDED | END_STREAM,
        3,
        [&[3][..], b"body", &[0; 3]].concat(),
    );
    assert_eq!(raw.outcome(3), Outcome::Answer(200, "ok".into()));
    assert_eq!(backend.last().body, b"body");
    // A head in many pieces.
    let block = raw::block(&raw::get("/pieces"));
    raw.send(raw::HEADERS, END_STREAM, 5, &block[..1]);
    for piece in block[1..].chunks(20) {
        raw.send(raw::CONTINUATION, 0, 5, piece);
    }
    raw.send(raw::CONTINUATION, raw::END_HEADERS, 5, "");
    assert_eq!(raw.outcome(5), Outcome::Answer(200, "ok".into()));
}

#[test]
fn a_proxy_before_it_may_tell_whose_connection_it_is() {
    let backend = Backend::saying("ok");
    let gripd = Gripd::start(|c| {
        c.set("LISTEN_PROXY_PROTOCOL", "127.0.0.1:0")
            .set("LISTEN_HTTP", "127.0.0.1:0")
            .set("PROXY_X_FORWARDED_FOR", "append")
            .route(format!("* {}", backend.addr))
    });
    let mut raw = Raw::over(Wire::connect(gripd.clients));
    raw.wire.send("PROXY TCP4 192.0.2.7 192.0.2.8 1000 80\r\n");
    raw.wire.send(PREFACE);
    raw.send(SETTINGS, 0, 0, "");
    raw.get(1, "/");
    assert_eq!(raw.outcome(1), Outcome::Answer(200, "ok".into()));
    let seen = backend.last().head;
    assert_eq!(seen.all("X-Forwarded-For"), ["192.0.2.7"]);
}
