//! Vectors 40 to 45 and 51 to 57: what the backend sees of a request whose route changes nothing.

use std::{path::Path, time::SystemTime};

use gripd::grip::signature::Verifier;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};

use crate::{
    ask, jwt_part,
    support::{Backend, Gripd, Head, Setup},
};

/// The secret of the proxy in front.
const UPSTREAM: &str = "upstream";

/// gripd before a backend, with the settings of the vectors.
fn site() -> (Gripd, Backend) {
    let backend = Backend::saying("ok");
    let gripd = Gripd::start(|c| settings(c.route(format!("* {}", backend.addr))));
    (gripd, backend)
}

fn settings(setup: Setup) -> Setup {
    setup
        .set("GRIP_UPSTREAM_KEY", UPSTREAM)
        .set("PROXY_CDN_LOOP", "testcdn")
        .set("PROXY_X_FORWARDED_FOR", "truncate:2,append")
        .set("PROXY_X_FORWARDED_FOR_TRUSTED", "append")
        .set("PROXY_ACCEPT_X_FORWARDED_PROTOCOL", "true")
        .set("PROXY_SET_X_FORWARDED_PROTOCOL", "true")
}

/// What the backend sees of a `GET` with these header lines.
fn seen(site: &(Gripd, Backend), headers: &[&str]) -> Head {
    assert_eq!(ask(&site.0, "/", headers).status(), 200, "{headers:?}");
    site.1.last().head
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap().as_secs()
}

fn signed(claims: &Value, key: &str) -> String {
    let key = EncodingKey::from_secret(key.as_bytes());
    encode(&Header::new(Algorithm::HS256), claims, &key).unwrap()
}

#[test]
fn v040_what_is_added_to_a_plain_request() {
    let site = site();
    let before = now();
    let head = seen(&site, &["X-Own: 1"]);
    for (name, value) in [
        ("Host", "h.test"),
        ("X-Own", "1"),
        ("CDN-Loop", "testcdn"),
        ("X-Forwarded-For", "127.0.0.1"),
    ] {
        assert_eq!(head.all(name), [value], "{name}: {}", head.raw);
    }
    assert_eq!(head.all("Grip-Feature").len(), 1);
    for none in [
        "X-Forwarded-Proto",
        "X-Forwarded-Protocol",
        "Accept-Encoding",
    ] {
        assert!(!head.has(none), "{none}: {}", head.raw);
    }
    let token = head.get("Grip-Sig").unwrap();
    assert_eq!(jwt_part(token, 0), json!({"typ": "JWT", "alg": "HS256"}));
    let claims = jwt_part(token, 1);
    assert_eq!(claims["iss"], "pushpin");
    let exp = claims["exp"].as_u64().unwrap();
    let hour_from = |time: u64| time + 3600;
    assert!(
        (hour_from(before)..=hour_from(now())).contains(&exp),
        "{claims}"
    );
    let verifier = Verifier::new("changeme", Path::new("")).unwrap().unwrap();
    assert!(verifier.verify(token.as_bytes(), now()).is_ok());
}

/// Pushpin leaves what `Connection` names and `Upgrade`, and removes `Accept-Encoding` and
/// `Content-Encoding`, without which the backend cannot tell what the body is. gripd follows RFC
/// 9110, section 7.6.1.
#[test]
fn v041_headers_of_the_clients_hop_stay_there() {
    let site = site();
    let head = seen(
        &site,
        &[
            "Connection: close, X-Hop",
            "X-Hop: 1",
            "X-Stay: 1",
            "Keep-Alive: timeout=5",
            "Proxy-Connection: keep-alive",
            "TE: trailers",
            "Upgrade: foo",
            "Accept-Encoding: br",
            "Content-Encoding: gzip",
            "Via: 1.1 somebody",
            "CDN-Loop: a, b",
            "CDN-Loop: c",
        ],
    );
    for gone in ["X-Hop", "Keep-Alive", "Proxy-Connection", "Upgrade"] {
        assert!(!head.has(gone), "{gone}: {}", head.raw);
    }
    for (name, value) in [
        ("X-Stay", "1"),
        // gripd's own, as it takes trailers for whoever takes them.
        ("Connection", "TE"),
        ("TE", "trailers"),
        ("Accept-Encoding", "br"),
        ("Content-Encoding", "gzip"),
        ("Via", "1.1 somebody"),
        ("CDN-Loop", "a, b, c, testcdn"),
    ] {
        assert_eq!(head.all(name), [value], "{name}: {}", head.raw);
    }
}

#[test]
fn v042_v043_what_proxies_in_front_tell_is_passed_on() {
    let site = site();
    let head = seen(
        &site,
        &[
            "X-Forwarded-For: 1.1.1.1, 2.2.2.2",
            "X-Forwarded-For: 3.3.3.3",
            "X-Forwarded-Proto: https",
        ],
    );
    assert_eq!(head.all("X-Forwarded-For"), ["2.2.2.2, 3.3.3.3, 127.0.0.1"]);
    assert_eq!(head.all("X-Forwarded-Proto"), ["https"]);
    assert_eq!(head.all("X-Forwarded-Protocol"), ["https"]);
    let head = seen(&site, &["X-Forwarded-Proto: HTTPS"]);
    assert_eq!(head.names_from("X-Forwarded-Proto"), [""; 0]);
}

#[test]
fn v044_what_a_trusted_client_tells_stays() {
    let site = site();
    let good = signed(&json!({"iss": "x", "exp": now() + 60}), UPSTREAM);
    let sent = [
        &format!("Grip-Sig: {good}"),
        "Grip-Feature: foo",
        "Grip-X: y",
        "X-Forwarded-For: 1.1.1.1, 2.2.2.2",
        "X-Forwarded-For: 3.3.3.3",
        "eb9bf0f5-Q: q",
    ];
    let head = seen(&site, &sent);
    assert_eq!(head.names_from("Grip-").len(), 3, "{}", head.raw);
    for (name, value) in [
        ("Grip-Sig", &*good),
        ("Grip-Feature", "foo"),
        ("Grip-X", "y"),
        ("X-Forwarded-For", "1.1.1.1, 2.2.2.2, 3.3.3.3, 127.0.0.1"),
    ] {
        assert_eq!(head.all(name), [value], "{name}: {}", head.raw);
    }
    assert!(!head.has("eb9bf0f5-Q"), "{}", head.raw);
}

#[test]
fn v045_who_proves_nothing_has_no_grip_of_its_own() {
    let site = site();
    let good = signed(&json!({"iss": "x", "exp": now() + 60}), UPSTREAM);
    let head = seen(&site, &[&format!("Grip-Sig: {good}"), "Grip-X: y"]);
    assert_eq!(
        head.all("Grip-Sig"),
        [&*good],
        "the other tokens differ in one thing"
    );
    assert_eq!(head.all("Grip-X"), ["y"]);
    for bad in [
        signed(&json!({"iss": "x", "exp": now() - 60}), UPSTREAM),
        signed(&json!({"iss": "x", "exp": now() + 60}), "another"),
        signed(&json!({"iss": "x"}), UPSTREAM),
    ] {
        let head = seen(&site, &[&format!("Grip-Sig: {bad}"), "Grip-X: y"]);
        let sent = head.all("Grip-Sig");
        assert_eq!(sent.len(), 1, "{}", head.raw);
        assert_eq!(jwt_part(sent[0], 1)["iss"], "pushpin");
        assert!(!head.has("Grip-X"), "{}", head.raw);
    }
}

#[test]
fn v051_v052_bodies_are_framed_for_the_backend() {
    let backend = Backend::saying("ok");
    let gripd = Gripd::before(&backend);
    let mut client = gripd.client();
    client.send("POST /none HTTP/1.1\r\nHost: h.test\r\n\r\n");
    assert_eq!(client.response().status(), 200);
    assert_eq!(backend.last().head.get("Content-Length"), Some("0"));
    client.get("/get");
    assert_eq!(client.response().status(), 200);
    let head = backend.last().head;
    assert!(
        !head.has("Content-Length") && !head.has("Transfer-Encoding"),
        "{:?}",
        head.raw
    );
    let chunked = "POST /c HTTP/1.1\r\nHost: h.test\r\nTransfer-Encoding: chunked\r\n\r\n";
    client.send(format!("{chunked}5\r\nhello\r\n0\r\n\r\n"));
    assert_eq!(client.response().status(), 200);
    let request = backend.last();
    assert_eq!(request.body, b"hello");
    assert_eq!(request.head.get("Content-Length"), Some("5"));
    client.send(chunked);
    for _ in 0..3 {
        client.send_chunk("x".repeat(6000));
    }
    client.send("0\r\n\r\n");
    assert_eq!(client.response().status(), 200);
    let request = backend.last();
    assert_eq!(request.body, "x".repeat(18_000).as_bytes());
    assert!(!(request.head.is_chunked() && request.head.has("Content-Length")));
    client.request("POST", "/l", &[], "counted");
    assert_eq!(client.response().status(), 200);
    assert_eq!(backend.last().head.get("Content-Length"), Some("7"));
}

/// Pushpin takes `localhost` in both versions; RFC 9112, section 3.2, has a 400 for the newer one.
#[test]
fn v053_a_request_without_host() {
    let (gripd, backend) = site();
    let mut client = gripd.client();
    client.send("GET /old HTTP/1.0\r\n\r\n");
    assert_eq!(client.response().status(), 200);
    assert_eq!(backend.last().head.all("Host"), ["localhost"]);
    let mut client = gripd.client();
    client.send("GET / HTTP/1.1\r\n\r\n");
    assert_eq!(client.response().status(), 400);
    client.expect_eof();
    assert_eq!(backend.asked(), ["GET /old"]);
}

#[test]
fn v054_v055_targets_are_forwarded_as_they_stand_but_for_dots() {
    let backend = Backend::saying("ok");
    let gripd = Gripd::before(&backend);
    let rows = [
        ("GET /a/../b HTTP/1.1\r\nHost: h.test", "/b", "h.test"),
        ("GET /a/%2e%2e/b HTTP/1.1\r\nHost: h.test", "/b", "h.test"),
        (
            "GET /%7Equ%2Fo HTTP/1.1\r\nHost: h.test",
            "/%7Equ%2Fo",
            "h.test",
        ),
        (
            "GET /x?a=../b HTTP/1.1\r\nHost: h.test",
            "/x?a=../b",
            "h.test",
        ),
        ("GET / HTTP/1.1\r\nHost: H.Test:80", "/", "h.test"),
        ("GET / HTTP/1.1\r\nHost: P.TEST:88", "/", "p.test:88"),
        (
            "GET http://other.test/p?q HTTP/1.1\r\nHost: h.test",
            "/p?q",
            "other.test",
        ),
        (
            "GET http://other.test HTTP/1.1\r\nHost: h.test",
            "/",
            "other.test",
        ),
        ("OPTIONS * HTTP/1.1\r\nHost: h.test", "*", "h.test"),
    ];
    let mut client = gripd.client();
    for (raw, target, host) in rows {
        client.send(format!("{raw}\r\n\r\n"));
        assert_eq!(client.response().status(), 200, "{raw}");
        let head = backend.last().head;
        assert_eq!(head.target(), target, "{raw}");
        assert_eq!(head.all("Host"), [host], "{raw}");
    }
}

#[test]
fn v056_only_gripd_sends_websocket_events() {
    let backend = Backend::saying("ok");
    let gripd = Gripd::start(|c| {
        c.route(format!("*,path_beg=/woh {},over_http", backend.addr))
            .route(format!("* {}", backend.addr))
    });
    let kind = "Content-Type: application/websocket-events";
    let response = ask(&gripd, "/woh", &[kind]);
    assert_eq!(response.status(), 403);
    let sentence = "Clients may not send WebSocket events directly";
    assert!(response.text().starts_with(sentence), "{}", response.text());
    assert!(backend.asked().is_empty());
    assert_eq!(
        ask(&gripd, "/woh", &["Content-Type: text/plain"]).status(),
        200
    );
}

#[test]
fn v057_a_client_that_waits_for_100_gets_it() {
    let backend = Backend::saying("ok");
    let gripd = Gripd::before(&backend);
    let mut client = gripd.client();
    client.send(
        "POST / HTTP/1.1\r\nHost: h.test\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n",
    );
    assert_eq!(client.head().status(), 100);
    client.send("hello");
    assert_eq!(client.response().status(), 200);
    let seen = backend.last();
    assert_eq!(seen.body, b"hello");
    assert!(!seen.head.has("Expect"));
}
