//! Who may use the control port: token, JWT, name and password; right, wrong, missing and expired,
//! each through the real gripd. What the credentials are compared with is tested case by case in
//! `control::credentials`.
#![cfg(feature = "server")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests fail by panicking"
)]

mod support;

use std::{fs, path::Path};

use base64::{Engine, engine::general_purpose::STANDARD};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode, get_current_timestamp};
use serde_json::{Value, json};

use support::{Gripd, Response, Setup, Wire};

const ITEM: &str = r#"{"items":[{"channel":"a","http-stream":{"content":"x"}}]}"#;

/// A publish with these header lines.
fn publish(gripd: &Gripd, lines: &[&str]) -> Response {
    gripd.publish_raw(lines, ITEM)
}

/// The same with one `Authorization`.
fn authorized(gripd: &Gripd, value: &str) -> Response {
    publish(gripd, &[&format!("Authorization: {value}")])
}

fn get(gripd: &Gripd, path: &str, lines: &[&str]) -> Response {
    let mut control = Wire::connect(gripd.control);
    control.request("GET", path, &[&["Host: localhost"], lines].concat(), "");
    control.response()
}

/// Asserts a 401 whose sentence holds `why`, and these challenges.
#[track_caller]
fn refused(response: &Response, why: &str, challenges: &[&str]) {
    assert_eq!(response.status(), 401, "{}", response.text());
    let text = response.text();
    assert!(
        text.starts_with("Unauthorized: ") && text.contains(why),
        "{text}"
    );
    assert_eq!(response.head.all("WWW-Authenticate"), challenges, "{text}");
    assert_eq!(response.head.get("Connection"), Some("close"));
}

const BEARER: &str = "Bearer realm=\"gripd control port\"";
const INVALID: &str = "Bearer realm=\"gripd control port\", error=\"invalid_token\"";
const BASIC: &str = "Basic realm=\"gripd control port\", charset=\"UTF-8\"";

fn bearer(claims: &Value, algorithm: Algorithm, key: &EncodingKey) -> String {
    let token = encode(&Header::new(algorithm), claims, key).unwrap();
    format!("Bearer {token}")
}

fn secret(claims: &Value, key: &[u8]) -> String {
    bearer(claims, Algorithm::HS256, &EncodingKey::from_secret(key))
}

/// Claims that are good for a while.
fn good(iss: &str) -> Value {
    json!({ "iss": iss, "exp": get_current_timestamp() + 3600 })
}

/// Claims whose time is over.
fn over(iss: &str) -> Value {
    json!({ "iss": iss, "exp": get_current_timestamp() - 1 })
}

fn with(settings: &[(&str, &str)]) -> Gripd {
    let set = |setup: Setup, (name, value): &(&str, &str)| setup.set(name, value);
    Gripd::start(|c| settings.iter().fold(c.route("* test"), set))
}

#[test]
fn a_token_opens_the_port() {
    let gripd = with(&[("CONTROL_TOKEN", "s3cret-word")]);
    assert_eq!(
        authorized(&gripd, "Bearer s3cret-word").text(),
        "Published\n"
    );
    refused(
        &authorized(&gripd, "Bearer s3cret"),
        "the token is wrong",
        &[INVALID],
    );
    refused(
        &publish(&gripd, &[]),
        "there is no Authorization header",
        &[BEARER],
    );
    refused(&authorized(&gripd, "s3cret-word"), "malformed", &[BEARER]);
    refused(
        &authorized(&gripd, "Basic YTpi"),
        "Basic is not taken here",
        &[BEARER],
    );
    // Who is kept out is told in the log, once in a while; what was sent is not.
    gripd.wait_log("WARN control request refused: Unauthorized: the token is wrong.");
    assert!(!gripd.log().contains("s3cret"), "{}", gripd.log());
}

#[test]
fn a_token_may_come_from_a_file() {
    let gripd = Gripd::start(|c| {
        c.file("token", "from-a-file\n")
            .file("routes", "* test\n")
            .file("gripd.toml", "[control]\ntoken = \"file:token\"\n")
    });
    assert_eq!(authorized(&gripd, "Bearer from-a-file").status(), 200);
    refused(
        &authorized(&gripd, "Bearer file:token"),
        "the token is wrong",
        &[INVALID],
    );
}

#[test]
fn a_jwt_opens_the_port() {
    let gripd = with(&[
        ("CONTROL_JWT_ISS", "app"),
        ("CONTROL_JWT_KEY", "base64:AAEC/w=="),
    ]);
    let key = &[0, 1, 2, 255];
    assert_eq!(
        authorized(&gripd, &secret(&good("app"), key)).text(),
        "Published\n"
    );
    for (claims, key, why) in [
        (over("app"), &key[..], "the JWT has expired"),
        (good("other"), key, "another iss than \"app\""),
        (json!({ "iss": "app" }), key, "it has no exp"),
        (
            good("app"),
            b"changeme",
            "its signature is not made with the key",
        ),
    ] {
        refused(&authorized(&gripd, &secret(&claims, key)), why, &[INVALID]);
    }
    refused(
        &authorized(&gripd, "Bearer base64:AAEC/w=="),
        "it is no JWT",
        &[INVALID],
    );
    refused(
        &publish(&gripd, &[]),
        "there is no Authorization header",
        &[BEARER],
    );
}

#[test]
fn a_jwt_may_be_signed_with_a_private_key() {
    let keys = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/grip/signature/keys");
    let pem = |name: &str| fs::read(keys.join(name)).unwrap();
    let ec = EncodingKey::from_ec_pem(&pem("ec-pkcs8.pem")).unwrap();
    let rsa = EncodingKey::from_rsa_pem(&pem("rsa-pkcs8.pem")).unwrap();
    for (file, algorithm, key) in [
        ("ec-public.pem", Algorithm::ES256, &ec),
        ("rsa-public.pem", Algorithm::RS256, &rsa),
    ] {
        let gripd = with(&[
            ("CONTROL_JWT_ISS", "app"),
            ("CONTROL_JWT_KEY", &format!("file:{file}")),
            ("GRIP_KEY_DIR", keys.to_str().unwrap()),
        ]);
        let right = bearer(&good("app"), algorithm, key);
        assert_eq!(authorized(&gripd, &right).text(), "Published\n", "{file}");
        let expired = bearer(&over("app"), algorithm, key);
        refused(
            &authorized(&gripd, &expired),
            "the JWT has expired",
            &[INVALID],
        );
        // The public key is no secret to sign with.
        let forged = secret(&good("app"), &pem(file));
        refused(
            &authorized(&gripd, &forged),
            "its algorithm is not",
            &[INVALID],
        );
    }
}

#[test]
fn a_name_and_a_password_open_the_port() {
    let gripd = with(&[("CONTROL_USER", "ann"), ("CONTROL_PASSWORD", "p:ä ")]);
    let basic = |pair: &str| format!("Basic {}", STANDARD.encode(pair));
    // Blanks around a setting are not part of it.
    assert_eq!(authorized(&gripd, &basic("ann:p:ä")).text(), "Published\n");
    for wrong in ["ann:p:a", "ann:", "bob:p:ä", ":"] {
        refused(
            &authorized(&gripd, &basic(wrong)),
            "user or password is wrong",
            &[BASIC],
        );
    }
    refused(
        &publish(&gripd, &[]),
        "there is no Authorization header",
        &[BASIC],
    );
    refused(
        &authorized(&gripd, "Basic ann:p"),
        "is not base64",
        &[BASIC],
    );
    refused(
        &authorized(&gripd, "Bearer x"),
        "Bearer is not taken here",
        &[BASIC],
    );
}

#[test]
fn any_one_of_all_is_enough() {
    let gripd = with(&[
        ("CONTROL_TOKEN", "t"),
        ("CONTROL_JWT_ISS", "app"),
        ("CONTROL_JWT_KEY", "k"),
        ("CONTROL_USER", "ann"),
        ("CONTROL_PASSWORD", "p"),
    ]);
    for right in ["Bearer t", &secret(&good("app"), b"k"), "Basic YW5uOnA="] {
        assert_eq!(authorized(&gripd, right).status(), 200, "{right}");
    }
    refused(
        &publish(&gripd, &[]),
        "there is no Authorization header",
        &[BEARER, BASIC],
    );
    let expired = secret(&over("app"), b"k");
    refused(
        &authorized(&gripd, &expired),
        "the JWT has expired",
        &[INVALID, BASIC],
    );
}

#[test]
fn only_health_checks_and_by_a_setting_metrics_need_nothing() {
    for (public, metrics) in [("false", 401), ("true", 200)] {
        let gripd = with(&[("CONTROL_TOKEN", "t"), ("CONTROL_PUBLIC_METRICS", public)]);
        for (path, status) in [
            ("/livez", 200),
            ("/readyz", 200),
            ("/metrics", metrics),
            ("/", 401),
            ("/nothing", 401),
            ("/publish", 401),
        ] {
            assert_eq!(get(&gripd, path, &[]).status(), status, "{path}");
        }
        let known = &["Authorization: Bearer t"];
        assert_eq!(get(&gripd, "/metrics", known).status(), 200);
        assert_eq!(get(&gripd, "/nothing", known).status(), 404);
        let mut control = Wire::connect(gripd.control);
        control.request("POST", "/recover", &["Host: localhost"], "");
        refused(
            &control.response(),
            "there is no Authorization header",
            &[BEARER],
        );
    }
}

#[test]
fn the_body_of_who_may_not_publish_is_not_waited_for() {
    let gripd = with(&[("CONTROL_TOKEN", "t")]);
    let mut control = Wire::connect(gripd.control);
    control.send(
        "POST /publish HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n\
         Content-Length: 900000\r\n\r\n",
    );
    refused(
        &control.response(),
        "there is no Authorization header",
        &[BEARER],
    );
}

#[test]
fn a_known_publisher_may_use_any_name_and_no_foreign_page_may() {
    let gripd = with(&[
        ("CONTROL_TOKEN", "t"),
        ("CONTROL_USER", "u"),
        ("CONTROL_PASSWORD", "p"),
    ]);
    let asked = |path: &str, lines: &str| {
        let mut control = Wire::connect(gripd.control);
        control.send(format!("GET {path} HTTP/1.1\r\n{lines}\r\n"));
        control.response().status()
    };
    let foreign = "Host: push.example.com:5561\r\n";
    assert_eq!(
        asked("/", &format!("{foreign}Authorization: Bearer t\r\n")),
        200
    );
    assert_eq!(asked("/", foreign), 401);
    assert_eq!(
        asked("/", &format!("{foreign}Authorization: Bearer x\r\n")),
        401
    );
    // Who shows nothing is anybody, also where anybody may ask.
    assert_eq!(asked("/readyz", foreign), 403);
    // A browser sends a password that it knows along with what a foreign page asks for.
    for page in [
        "Origin: http://evil.example\r\n",
        "Sec-Fetch-Site: cross-site\r\n",
    ] {
        let lines = format!("Host: localhost\r\nAuthorization: Basic dTpw\r\n{page}");
        assert_eq!(asked("/", &lines), 403, "{page}");
    }
    assert_eq!(
        asked("/", "Host: localhost\r\nAuthorization: Basic dTpw\r\n"),
        200
    );
}

#[test]
fn without_credentials_any_authorization_is_ignored() {
    let gripd = with(&[]);
    // As the libraries send it for GRIP_URL=...?key=changeme.
    assert_eq!(authorized(&gripd, "Bearer changeme").text(), "Published\n");
}
