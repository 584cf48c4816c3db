//! Vectors of routes and targets, by their numbers in the list of what Pushpin does, as far as no
//! other file has them: `routing.rs` has 1, 2, 11 to 14, 17 to 29, 32 to 38 and 46, `proxy.rs` 3 to
//! 6, and the tests of `forward` 110.
#![cfg(feature = "server")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests fail by panicking"
)]

mod support;

use std::{
    path::{Path, PathBuf},
    time::SystemTime,
};

use gripd::grip::signature::Verifier;
use support::{Backend, DeadPort, Gripd, Response, instruct};

fn ask(gripd: &Gripd, path: &str, headers: &[&str]) -> Response {
    let mut all = vec!["Host: h.test"];
    all.extend_from_slice(headers);
    let mut client = gripd.client();
    client.request("GET", path, &all, "");
    client.response()
}

#[test]
fn v007_v008_an_untrusted_target_is_blocked_and_no_other_is_asked() {
    let (a, b) = (Backend::saying("A"), Backend::saying("B"));
    let gripd = Gripd::start(|c| {
        c.route(format!("*,path_beg=/untrf {},untrusted {}", a.addr, b.addr))
            .route(format!("*,path_beg=/untrd,debug {},untrusted", a.addr))
    });
    let quiet = ask(&gripd, "/untrf", &[]);
    assert_eq!(quiet.status(), 502);
    assert!(!quiet.text().contains("blocked"), "{}", quiet.text());
    let told = ask(&gripd, "/untrd", &[]);
    assert_eq!(told.status(), 502);
    assert!(
        told.text().contains("address is blocked"),
        "{}",
        told.text()
    );
    assert!(told.text().contains(&a.addr.to_string()), "{}", told.text());
    assert!(a.asked().is_empty() && b.asked().is_empty());
}

#[test]
fn v009_v010_what_was_tried_is_told_in_debug() {
    let dead = DeadPort::new();
    let gripd = Gripd::start(|c| {
        c.route(format!("*,path_beg=/dbgdead,debug {0} {0},ssl", dead.addr))
            .route("*,path_beg=/nodns,debug no-such-host.invalid:80")
    });
    let told = ask(&gripd, "/dbgdead", &[]);
    assert_eq!(told.status(), 502);
    let both = told.text().matches(&dead.addr.to_string()).count();
    assert_eq!(both, 2, "{}", told.text());
    let told = ask(&gripd, "/nodns", &[]);
    assert_eq!(told.status(), 502);
    assert!(
        told.text().contains("no-such-host.invalid"),
        "{}",
        told.text()
    );
}

#[test]
fn v015_v016_ssl_beats_a_longer_path_in_one_order_of_the_lines() {
    let (a, b) = (Backend::saying("A"), Backend::saying("B"));
    let gripd = Gripd::start(|c| {
        c.route(format!("s.test,path_beg=/long/path {}", a.addr))
            .route(format!("s.test,ssl=no {}", b.addr))
            .route(format!("r.test,ssl=no {}", b.addr))
            .route(format!("r.test,path_beg=/long/path {}", a.addr))
    });
    for (host, who) in [("s.test", "B"), ("r.test", "A")] {
        let mut client = gripd.client();
        client.request("GET", "/long/path", &[&format!("Host: {host}")], "");
        assert_eq!(client.response().text(), who, "{host}");
    }
}

#[test]
fn v039_headers_of_the_route_come_before_those_of_the_proxy() {
    let backend = Backend::saying("A");
    let gripd = Gripd::start(|c| {
        c.route(format!(
            "*,header=Host:evil,header=Grip-Sig:mine,header=X-Forwarded-For:9.9.9.9 {}",
            backend.addr
        ))
        .set("PROXY_X_FORWARDED_FOR", "truncate:2,append")
    });
    assert_eq!(
        ask(&gripd, "/", &["X-Forwarded-For: 8.8.8.8"]).status(),
        200
    );
    let head = backend.last().head;
    assert_eq!(head.all("Host"), ["h.test"]);
    assert_eq!(head.all("X-Forwarded-For"), ["9.9.9.9, 127.0.0.1"]);
    assert!(
        head.get("Grip-Sig").unwrap().starts_with("ey"),
        "{}",
        head.raw
    );
}

#[test]
fn v047_orig_headers_marks_what_the_client_sent() {
    let backend = Backend::saying("A");
    let gripd = Gripd::start(|c| {
        c.route(format!("*,path_beg=/orig,orig_headers {}", backend.addr))
            .route(format!("* {}", backend.addr))
            .set("PROXY_ORIG_HEADERS_NEED_MARK", "X-Mark")
    });
    let headers = [
        "X-Mark: m",
        "eb9bf0f5-X-Mark: pm",
        "X-Z: z",
        "Connection: close",
    ];
    assert_eq!(ask(&gripd, "/orig", &headers).status(), 200);
    let head = backend.last().head;
    for (name, value) in [
        ("X-Mark", "m"),
        ("X-Z", "z"),
        ("eb9bf0f5-Host", "h.test"),
        ("eb9bf0f5-X-Mark", "pm"),
        ("eb9bf0f5-X-Z", "z"),
        ("eb9bf0f5-Connection", "close"),
    ] {
        assert_eq!(head.all(name), [value], "{name}: {}", head.raw);
    }
    assert_eq!(ask(&gripd, "/", &headers).status(), 200);
    let marked = backend.last().head.names_from("eb9bf0f5-").len();
    assert_eq!(marked, 0, "a route without the option removes the marks");
    assert!(!gripd.log().contains("orig_headers"), "it needs no warning");
}

/// The folder of the keys for tests.
fn keys() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/grip/signature/keys")
}

#[test]
fn v048_v049_v050_a_route_signs_with_its_own_key() {
    let backend = Backend::saying("A");
    let folder = keys();
    let folder = folder.display();
    let gripd = Gripd::start(|c| {
        c.route(format!(
            "*,path_beg=/sig/,sig_iss=me,sig_key=\"k,1\" {}",
            backend.addr
        ))
        .route(format!(
            "*,path_beg=/sigb/,sig_key=base64:AAEC {}",
            backend.addr
        ))
        .route(format!(
            "*,path_beg=/ec,sig_key=file:{folder}/ec-pkcs8.pem {}",
            backend.addr
        ))
        .route(format!(
            "*,path_beg=/rsa,sig_key=file:{folder}/rsa-pkcs8.pem {}",
            backend.addr
        ))
        .route(format!(
            "*,path_beg=/none,sig_key=file:missing {}",
            backend.addr
        ))
        .route(format!("*,path_beg=/empty,sig_key= {}", backend.addr))
        .set("GRIP_SIG_KEY", "global")
    });
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let now = now.unwrap().as_secs();
    for (path, key) in [
        ("/sig/", "k,1"),
        ("/sigb/", "base64:AAEC"),
        ("/ec", "file:ec-public.pem"),
        ("/rsa", "file:rsa-public.pem"),
        ("/none", "global"),
        ("/empty", "global"),
    ] {
        assert_eq!(ask(&gripd, path, &[]).status(), 200);
        let head = backend.last().head;
        let signature = head.get("Grip-Sig").unwrap();
        let verifier = Verifier::new(key, &keys()).unwrap().unwrap();
        assert!(
            verifier.verify(signature.as_bytes(), now).is_ok(),
            "{path} with {key}"
        );
        let other = Verifier::new("another", &keys()).unwrap().unwrap();
        assert!(other.verify(signature.as_bytes(), now).is_err(), "{path}");
    }
    gripd.wait_log("sig_key cannot be used, so grip.sig_key signs");
}

/// Options of the handler's half, which have no number here.
#[test]
fn prefix_and_sub_act_on_holds() {
    let held = instruct(&["Grip-Hold: stream", "Grip-Channel: own"], "held\n");
    let backend = Backend::always(held);
    let gripd = Gripd::start(|c| c.route(format!("*,prefix=t- {},sub=more", backend.addr)));
    let mut stream = gripd.stream("/", "held\n");
    assert_eq!(gripd.push("own", "x"), 0);
    assert_eq!(gripd.push("t-own", "1"), 1);
    assert_eq!(gripd.push("t-more", "2"), 1);
    stream.expect_stream("12");
}

#[test]
fn what_comes_later_gives_one_warning_each() {
    let gripd = Gripd::start(|c| {
        c.route("*,sockjs=/echo test")
            .route("z.test,debug zhttp/tcp://127.0.0.1:5555")
    });
    gripd.wait_log("`sockjs` is not in gripd yet: it has no effect");
    gripd.wait_log("zhttp targets are not in gripd yet: this target answers 501");
    let mut client = gripd.client();
    client.request("GET", "/", &["Host: z.test"], "");
    let answer = client.response();
    assert_eq!(answer.status(), 501);
    assert!(answer.text().contains("zhttp"), "{}", answer.text());
    for text in ["`sockjs`", "zhttp targets are not"] {
        assert_eq!(gripd.log().matches(text).count(), 1);
    }
}
