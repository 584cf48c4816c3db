//! Vectors 68 to 73: answers that concern GRIP, as far as the proxy has to do with them.

use crate::support::{Backend, Gripd, instruct, json_instruct};

/// gripd before a backend with these pages; under `/debug` they are had by a route with `debug`.
fn site(pages: Vec<(&'static str, Vec<u8>)>) -> (Gripd, Backend) {
    let backend = Backend::serving(pages);
    let gripd = Gripd::start(|c| {
        c.route(format!(
            "*,path_beg=/debug,path_rem=6,debug {}",
            backend.addr
        ))
        .route(format!(
            "*,path_beg=/nogrip,path_rem=7,no_grip {}",
            backend.addr
        ))
        .route(format!("* {}", backend.addr))
    });
    (gripd, backend)
}

#[test]
fn v068_a_faulty_instruct_is_named_in_debug() {
    let (gripd, _backend) = site(vec![("/", instruct(&["Grip-Hold: nonsense"], "x"))]);
    let plain = gripd.fetch("/");
    assert_eq!(plain.status(), 502);
    assert!(!plain.text().contains("Grip-Hold"), "{}", plain.text());
    let debug = gripd.fetch("/debug/");
    assert_eq!(debug.status(), 502);
    let text = debug.text();
    for part in ["instruct", "Grip-Hold", "nonsense", "response", "stream"] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn v069_a_poll_with_a_large_body_is_a_502() {
    let headers = ["Grip-Hold: response", "Grip-Channel: c"];
    let (gripd, backend) = site(vec![("/", instruct(&headers, "x".repeat(150_000)))]);
    let plain = gripd.fetch("/");
    assert_eq!(plain.status(), 502);
    let debug = gripd.fetch("/debug/");
    assert_eq!(debug.status(), 502);
    let sentence = format!("The instruct response from {} is longer than", backend.addr);
    assert!(debug.text().starts_with(&sentence), "{}", debug.text());
    assert!(!plain.text().contains("longer"), "{}", plain.text());
}

#[test]
fn v070_a_stream_with_a_large_body_is_held() {
    let body = "x".repeat(150_000);
    let headers = ["Grip-Hold: stream", "Grip-Channel: c"];
    let (gripd, _backend) = site(vec![("/", instruct(&headers, &body))]);
    let mut stream = gripd.stream("/", &body);
    gripd.wait_subscribers("c", "http-stream", 1);
    assert_eq!(gripd.push("c", "later\n"), 1);
    stream.expect_stream("later\n");
}

#[test]
fn v071_a_request_that_is_too_large_is_not_held() {
    let headers = ["Grip-Hold: response", "Grip-Channel: c"];
    let (gripd, backend) = site(vec![("/", instruct(&headers, "hi\n"))]);
    let mut client = gripd.client();
    client.request("POST", "/", &[], "x".repeat(150_000));
    let response = client.response();
    assert_eq!(response.status(), 400);
    let text = response.text();
    assert!(
        text.starts_with("The request's body is longer than"),
        "{text}"
    );
    assert_eq!(backend.last().body.len(), 150_000);
}

#[test]
fn v072_an_unknown_grip_header_is_left_out() {
    let (gripd, _backend) = site(vec![("/", instruct(&["Grip-Foo: 1", "X-A: 1"], "hi\n"))]);
    let response = gripd.fetch("/");
    assert_eq!((response.status(), response.text()), (200, "hi\n".into()));
    assert_eq!(response.head.names_from("Grip-"), [""; 0]);
    assert_eq!(response.head.get("X-A"), Some("1"));
}

/// What a trusted client gets is in `trusted.rs`.
#[test]
fn v073_without_grip_everything_is_relayed() {
    let json = r#"{"hold":{"mode":"stream","channels":[{"name":"c"}]}}"#;
    let headers = ["Grip-Hold: stream", "Grip-Channel: c"];
    let (gripd, _backend) = site(vec![
        ("/json", json_instruct(json)),
        ("/headers", instruct(&headers, "hi\n")),
    ]);
    let response = gripd.fetch("/nogrip/json");
    assert_eq!((response.status(), response.text()), (200, json.into()));
    let kind = response.head.get("Content-Type");
    assert_eq!(kind, Some("application/grip-instruct"));
    let response = gripd.fetch("/nogrip/headers");
    assert_eq!((response.status(), response.text()), (200, "hi\n".into()));
    assert_eq!(response.head.get("Grip-Hold"), Some("stream"));
    assert_eq!(response.head.get("Grip-Channel"), Some("c"));
}
