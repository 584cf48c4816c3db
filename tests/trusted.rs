//! Trusted clients: a proxy in front that proves by `Grip-Sig` (`grip.upstream_key`) that it speaks
//! GRIP itself is left to do so.
#![cfg(feature = "server")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests fail by panicking"
)]

mod support;

use std::{path::Path, time::SystemTime};

use gripd::grip::signature::{Signer, Verifier};
use support::{Backend, Gripd, Head, Response, Setup, answer, instruct, json_instruct};

const KEY: &str = "between-proxies";

fn now() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap().as_secs()
}

/// A `Grip-Sig` header, signed at some time; good for an hour.
fn signed(key: &str, at: u64) -> String {
    let keys = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/grip/signature/keys");
    let signer = Signer::new("in-front", key, &keys).unwrap().unwrap();
    format!("Grip-Sig: {}", signer.sign(at).unwrap())
}

fn ask(gripd: &Gripd, path: &str, headers: &[&str]) -> Response {
    let mut all = vec!["Host: h.test"];
    all.extend_from_slice(headers);
    let mut client = gripd.client();
    client.request("GET", path, &all, "");
    client.response()
}

/// Starts gripd before this backend, trusting [`KEY`].
fn trusting(backend: &Backend, options: &str, more: impl FnOnce(Setup) -> Setup) -> Gripd {
    Gripd::start(|setup| {
        let setup = setup.route(format!("*{options} {}", backend.addr));
        more(setup.set("GRIP_UPSTREAM_KEY", KEY))
    })
}

fn lines(head: &Head, prefix: &str) -> Vec<String> {
    head.lines()
        .filter(|(name, _)| name.to_ascii_lowercase().starts_with(prefix))
        .map(|(name, value)| format!("{name}: {value}"))
        .collect()
}

#[test]
fn the_proxy_in_front_holds_and_the_one_behind_passes_through() {
    let backend = Backend::always(instruct(
        &["Grip-Hold: stream", "Grip-Channel: news"],
        "hello ",
    ));
    let behind = trusting(&backend, "", |setup| setup);
    let front = Gripd::start(|setup| {
        let setup = setup.route(format!("* {}", behind.clients));
        setup.set("GRIP_SIG_KEY", KEY)
    });
    let mut client = front.stream("/", "hello ");
    assert_eq!(behind.push("news", "not here"), 0);
    assert_eq!(front.push("news", "world"), 1);
    client.expect_stream("world");
    let head = backend.last().head;
    let verifier = Verifier::new(KEY, Path::new("")).unwrap().unwrap();
    let all = head.all("Grip-Sig");
    assert_eq!(all.len(), 1);
    assert!(
        verifier.verify(all[0].as_bytes(), now()).is_ok(),
        "that in front signs"
    );
}

#[test]
fn what_concerns_grip_goes_both_ways_untouched() {
    let json = r#"{"hold":{"mode":"response","channels":[{"name":"a"}]}}"#;
    let backend = Backend::serving([
        (
            "/headers",
            instruct(&["Grip-Hold: stream", "Grip-Channel: a"], "first"),
        ),
        ("/json", json_instruct(json)),
        (
            "/broken",
            instruct(&["Grip-Hold: nonsense"], "all the same"),
        ),
    ]);
    let gripd = trusting(&backend, "", |setup| setup);
    let sig = signed(KEY, now());
    let sent = [
        &*sig,
        "Grip-Feature: ours",
        "Grip-Last: a; last-id=1",
        "gRip-x: y",
    ];

    let response = ask(&gripd, "/headers", &sent);
    assert_eq!((response.status(), &*response.text()), (200, "first"));
    assert_eq!(response.head.get("Grip-Hold"), Some("stream"));
    assert_eq!(response.head.get("Grip-Channel"), Some("a"));
    assert_eq!(lines(&backend.last().head, "grip"), sent);

    let response = ask(&gripd, "/json", &sent);
    assert_eq!(response.text(), json);
    let kind = response.head.get("Content-Type").unwrap();
    assert_eq!(kind, "application/grip-instruct");

    let response = ask(&gripd, "/broken", &sent);
    assert_eq!(
        (response.status(), &*response.text()),
        (200, "all the same")
    );
}

#[test]
fn each_kind_of_key_is_understood() {
    let backend = Backend::always(answer("200 OK", "Grip-Hold: kept\r\n", "x"));
    let keys = concat!(env!("CARGO_MANIFEST_DIR"), "/src/grip/signature/keys");
    for (private, public) in [
        ("file:ec-pkcs8.pem", format!("file:{keys}/ec-public.pem")),
        ("file:rsa-pkcs8.pem", format!("file:{keys}/rsa-public.pem")),
        ("base64:azE=", "k1".to_owned()),
    ] {
        let gripd = trusting(&backend, "", |setup| {
            setup.set("GRIP_UPSTREAM_KEY", &public)
        });
        let response = ask(&gripd, "/", &[&signed(private, now())]);
        assert_eq!(response.head.get("Grip-Hold"), Some("kept"), "{public}");
    }
}

#[test]
fn who_proves_nothing_is_treated_as_anybody() {
    let backend = Backend::always(instruct(&["Grip-Status: 299 Obeyed"], "x"));
    let no_exp = "Grip-Sig: eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJ4In0.AAAA".to_owned();
    let open = Gripd::before(&backend);
    let closed = trusting(&backend, "", |setup| setup);
    for (gripd, sent) in [
        (&closed, signed("another", now())),
        (&closed, signed(KEY, now() - 3600)),
        (&closed, no_exp),
        (&closed, "Grip-Sig:".to_owned()),
        (&open, signed(KEY, now())),
    ] {
        let response = ask(gripd, "/", &[&sent, "Grip-X: y"]);
        assert_eq!(response.head.first_line(), "HTTP/1.1 299 Obeyed", "{sent}");
        assert!(!response.head.has("Grip-Status"));
        let head = backend.last().head;
        let ours = ["Grip-Connection", "Grip-Feature", "Grip-Sig"];
        let mut names = head.names_from("Grip");
        names.sort_unstable();
        assert_eq!(names, ours, "{}", head.raw);
        assert_ne!(format!("Grip-Sig: {}", head.get("Grip-Sig").unwrap()), sent);
    }
}

#[test]
fn forwarded_addresses_and_marks_are_those_of_the_proxy_in_front() {
    let backend = Backend::saying("ok");
    let rules = |setup: Setup| {
        setup
            .set("PROXY_X_FORWARDED_FOR", "truncate:0")
            .set("PROXY_X_FORWARDED_FOR_TRUSTED", "append")
    };
    let marking = trusting(&backend, ",orig_headers", rules);
    let plain = trusting(&backend, "", rules);
    let sig = signed(KEY, now());
    let sent = ["X-Forwarded-For: 1.1.1.1", "X-A: 1", "eb9bf0f5-X-B: 2"];
    let seen = |gripd: &Gripd, trusted: bool| {
        let mut headers = sent.to_vec();
        headers.extend(trusted.then_some(&*sig));
        assert_eq!(ask(gripd, "/", &headers).status(), 200);
        let head = backend.last().head;
        let addresses = head.get("X-Forwarded-For").map(str::to_owned);
        (addresses, lines(&head, "eb9bf0f5-").len())
    };
    let both = Some("1.1.1.1, 127.0.0.1".to_owned());
    assert_eq!(
        seen(&marking, true),
        (both.clone(), 1),
        "the mark that came"
    );
    assert_eq!(seen(&plain, true), (both, 0));
    let (addresses, marks) = seen(&marking, false);
    assert!(addresses.is_none() && marks > 1);
    assert_eq!(seen(&plain, false), (None, 0));
}

#[test]
fn only_a_trusted_client_may_send_websocket_events() {
    let backend = Backend::saying("ok");
    let gripd = Gripd::start(|setup| {
        let setup = setup.route(format!("* {},over_http", backend.addr));
        setup.set("GRIP_UPSTREAM_KEY", KEY)
    });
    let events = "Content-Type: application/websocket-events";
    let sig = signed(KEY, now());
    assert_eq!(ask(&gripd, "/", &[events]).status(), 403);
    assert_eq!(
        ask(&gripd, "/", &[events, &signed("x", now())]).status(),
        403
    );
    assert_eq!(ask(&gripd, "/", &[events, &sig]).status(), 200);
}
