//! How a publisher shows who it is, as GRIP URLs say it.

use std::{
    io::{Read, Write},
    net::TcpListener,
    path::Path,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use gripd::grip::signature::Verifier;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::{ServerConfig, ServerConnection, StreamOwned, crypto::aws_lc_rs};

use super::*;

/// Target and `Authorization` of one post.
fn posted(query: &str, words: &[&str]) -> (String, Option<String>) {
    let port = control_port();
    let words = [&["news", "x"], words].concat();
    let answer = publish(&format!("{}{query}", url(&port)), &words);
    assert_eq!((answer.code, &*answer.err), (Some(0), ""), "{query}");
    let head = port.last().head;
    let auth = head.get("Authorization").map(str::to_owned);
    (head.target().to_owned(), auth)
}

/// Is it a token of this issuer, signed with this key, and good for now but not for ever?
fn is_signed(auth: Option<&str>, iss: &str, key: &str) -> bool {
    let token = auth.unwrap().strip_prefix("Bearer ").unwrap();
    let claims = URL_SAFE_NO_PAD
        .decode(token.split('.').nth(1).unwrap())
        .unwrap();
    let claims: Value = serde_json::from_slice(&claims).unwrap();
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let verifier = Verifier::new(key, Path::new(".")).unwrap().unwrap();
    claims["iss"] == iss
        && verifier.verify(token.as_bytes(), now).is_ok()
        && verifier.verify(token.as_bytes(), now + 3601).is_err()
}

#[test]
fn issuer_and_key_make_a_token() {
    for (query, target, key) in [
        ("?iss=me&key=secret", "/publish/", "secret"),
        ("/?iss=me&key=secret", "/publish/", "secret"),
        ("/base/?iss=me&key=secret", "/base/publish/", "secret"),
        (
            "/base?key=a%20b&iss=me&x=1&y=a%2Bb",
            "/base/publish/?x=1&y=a%2Bb",
            "a b",
        ),
        ("?iss=me&key=base64:+/+/", "/publish/", "base64:+/+/"),
        (
            "?iss=me&key=secret&verify-iss=other&verify-key=base64:AAEC",
            "/publish/",
            "secret",
        ),
    ] {
        let (asked, auth) = posted(query, &[]);
        assert_eq!(asked, target, "{query}");
        assert!(is_signed(auth.as_deref(), "me", key), "{query}");
        assert!(!is_signed(auth.as_deref(), "me", "wrong"), "{query}");
    }
}

#[test]
fn other_ways_to_show_it() {
    let none: &[&str] = &[];
    for (query, words, expected) in [
        ("", none, None),
        ("?verify-iss=a&verify-key=b", none, None),
        ("?key=a.token", none, Some("Bearer a.token")),
        ("", &["-B", "a.token"], Some("Bearer a.token")),
        ("", &["-u", "me:a:b"], Some("Basic bWU6YTpi")),
        ("?iss=me&key=k", &["-u", "me:a:b"], Some("Basic bWU6YTpi")),
        ("?key=k", &["--bearer", "other"], Some("Bearer other")),
    ] {
        let (target, auth) = posted(query, words);
        assert_eq!(
            (&*target, auth.as_deref()),
            ("/publish/", expected),
            "{query} {words:?}"
        );
    }
}

#[test]
fn a_name_and_password_before_the_host_count_when_nothing_else_does() {
    let port = control_port();
    for (query, expected) in [("", "Basic bWU6YSBi"), ("?key=t", "Bearer t")] {
        let url = format!("http://me:a%20b@{}{query}", port.addr);
        assert_eq!(publish(&url, &["news", "x"]).err, "");
        assert_eq!(port.last().head.all("Authorization"), [expected]);
    }
}

#[test]
fn a_key_that_cannot_be_used_is_told_of_and_not_shown() {
    for (query, said) in [
        ("?iss=me", "gripd: GRIP_URL: iss without key\n"),
        (
            "?iss=me&key=base64:",
            "gripd: GRIP_URL, key: the key after 'base64:' holds nothing: it must be base64\n",
        ),
        (
            "?iss=me&key=file:none",
            "gripd: GRIP_URL, key: key file ./none cannot be read: ",
        ),
    ] {
        let answer = publish(&format!("http://127.0.0.1:1{query}"), &["news", "x"]);
        assert_eq!(answer.code, Some(2), "{answer:?}");
        assert!(answer.err.starts_with(said), "{answer:?}");
        assert!(!answer.err.contains("secret"), "{answer:?}");
    }
}

#[test]
fn a_control_port_that_wants_to_know_is_told_of_with_what_to_do() {
    let headers = "WWW-Authenticate: Bearer realm=\"gripd\"\r\n";
    let port = Backend::always(answer("401 Unauthorized", headers, "Who are you?\n"));
    let query = "?key=secret&token=secret";
    let answer = publish(&format!("{}{query}", url(&port)), &["news", "x"]);
    let said = format!(
        "gripd: {}/publish/ answers 401: Who are you?; it asks for Bearer realm=\"gripd\": a GRIP \
         URL with ?iss=ISSUER&key=KEY or ?key=TOKEN, --user or --bearer\n",
        url(&port)
    );
    assert_eq!((answer.code, &*answer.err), (Some(1), &*said));
}

/// Answers one post over TLS; its certificate is its own authority.
fn tls_port() -> (u16, String) {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = signing_key.serialize_der().try_into().unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut stream = StreamOwned::new(connection, stream.unwrap());
            let mut asked = Vec::new();
            let mut piece = [0; 4096];
            // The body is the last that comes.
            while !asked.ends_with(b"]}") {
                match stream.read(&mut piece) {
                    Ok(read @ 1..) => asked.extend_from_slice(&piece[..read]),
                    _ => break,
                }
            }
            let _ = stream.write_all(&answer("200 OK", "Connection: close\r\n", "Published\n"));
            stream.conn.send_close_notify();
            let _ = stream.flush();
        }
    });
    (port, cert.pem())
}

#[test]
fn https_is_spoken_with_those_whose_certificate_is_trusted() {
    let (port, pem) = tls_port();
    let folder = Folder::new().with("ca.pem", &pem).with("none.pem", "");
    let url = format!("https://localhost:{port}");
    let call = |authorities: &str, words: &[&str]| {
        let mut command = command(&folder, &url, words);
        command
            .env("SSL_CERT_FILE", authorities)
            .env("SSL_CERT_DIR", "/nowhere");
        Answer::of(command.output().unwrap())
    };
    let trusted = call("ca.pem", &["news", "x"]);
    assert_eq!((&*trusted.out, &*trusted.err), ("Published\n", ""));
    let foreign = generate_simple_self_signed(["other".to_owned()]).unwrap();
    std::fs::write(folder.0.join("other.pem"), foreign.cert.pem()).unwrap();
    let refused = call("other.pem", &["news", "x"]);
    assert_eq!(refused.code, Some(1));
    let said = format!("gripd: {url}/publish/: invalid peer certificate: ");
    assert!(refused.err.starts_with(&said), "{refused:?}");
    // Without any authority there is no https, but there is http.
    let none = call("none.pem", &["news", "x"]);
    assert_eq!(none.code, Some(1), "{none:?}");
    let plain = control_port();
    let plain = call("none.pem", &["news", "x", "--spec", &super::url(&plain)]);
    assert_eq!(&*plain.out, "Published\n", "{plain:?}");
}
