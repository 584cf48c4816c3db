//! Vectors 39 to 45: answers without a body, sizes, routes without GRIP, and what a client may not
//! say.

use crate::{
    site::{Site, stream},
    support::{Backend, Gripd, instruct},
};

/// An answer without any word on a body.
fn bare(status: &str, headers: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\n{headers}\r\n").into_bytes()
}

#[test]
fn v039_answers_that_cannot_have_a_body_have_none() {
    let site = Site::new([
        ("/204", vec![bare("204 No Content", "Grip-Channel: a\r\n")]),
        (
            "/304",
            vec![bare(
                "304 Not Modified",
                "Grip-Hold: stream\r\nGrip-Channel: a\r\n",
            )],
        ),
    ]);
    for (path, status) in [("/204", 204), ("/304", 304)] {
        let mut client = site.gripd.client();
        for _ in 0..2 {
            client.get(path);
            let head = client.head();
            assert_eq!(head.status(), status);
            assert!(!head.has("Transfer-Encoding"), "{:?}", head.raw);
            assert_eq!(head.names_from("Grip-"), [""; 0]);
        }
    }
}

#[test]
fn v040_an_instruct_has_at_most_100000_bytes() {
    let page = |n: usize| vec![instruct(&["Grip-Channel: a"], "x".repeat(n))];
    let site = Site::new([("/fits", page(100_000)), ("/large", page(100_001))]);
    let fits = site.gripd.fetch("/fits");
    assert_eq!((fits.status(), fits.body.len()), (200, 100_000));
    let text = site.refusal("/large");
    assert!(
        text.contains("100000") || text.contains("large"),
        "{text:?}"
    );
}

/// Pushpin forgets `Grip-Expose-Headers` here; it means the same whatever the size.
#[test]
fn v041_a_large_stream_passes_and_is_held_after_it() {
    let body = "x".repeat(150_000);
    let site = Site::one(instruct(
        &[
            "Grip-Hold: stream",
            "Grip-Channel: a",
            "Grip-Status: 201",
            "Grip-Expose-Headers: X-Q",
            "X-Q: q",
            "X-R: r",
        ],
        &body,
    ));
    let mut client = site.gripd.get("/");
    let head = client.head();
    assert_eq!((head.status(), head.reason()), (201, "Created"));
    assert_eq!(head.get("X-Q"), Some("q"));
    assert!(!head.has("X-R") && !head.has("Content-Type"));
    client.expect_stream(&body);
    site.gripd.wait_subscribers("a", "http-stream", 1);
    site.gripd.push("a", "later\n");
    client.expect_stream("later\n");
}

#[test]
fn v042_large_polls_and_large_bodies_with_ids_are_refused() {
    let body = "x".repeat(150_000);
    let site = Site::new([
        (
            "/poll",
            vec![instruct(&["Grip-Hold: response", "Grip-Channel: a"], &body)],
        ),
        (
            "/ids",
            vec![instruct(
                &["Grip-Hold: stream", "Grip-Channel: a; filter=build-id"],
                &body,
            )],
        ),
    ]);
    for path in ["/poll", "/ids"] {
        site.refusal(path);
    }
}

#[test]
fn v043_a_large_request_cannot_be_held() {
    let site = Site::one(stream(&["Grip-Channel: a"]));
    for path in ["/", "/debug/"] {
        let mut client = site.gripd.client();
        client.request("POST", path, &[], "x".repeat(100_001));
        let response = client.response();
        assert_eq!(response.status(), 400, "{path}");
        assert!(response.text().contains("100000"), "{:?}", response.text());
    }
}

#[test]
fn v044_a_route_without_grip_leaves_it_alone() {
    let backend = Backend::always(stream(&["Grip-Channel: a"]));
    let gripd = Gripd::start(|c| c.route(format!("*,no_grip {}", backend.addr)));
    let response = gripd.fetch("/");
    assert_eq!(response.head.get("Grip-Hold"), Some("stream"));
    assert_eq!(response.text(), "hi\n");
    assert_eq!(backend.last().head.names_from("Grip-"), [""; 0]);
}

#[test]
fn v045_a_client_cannot_speak_grip_to_the_backend() {
    let site = Site::one(instruct(&["X-A: 1"], "body\n"));
    let mut client = site.gripd.client();
    client.request(
        "GET",
        "/",
        &["Grip-Last: a; last-id=1", "grip-hold: stream"],
        "",
    );
    assert_eq!(client.response().text(), "body\n");
    let head = site.backend.last().head;
    assert!(
        !head.has("Grip-Last") && !head.has("Grip-Hold"),
        "{}",
        head.raw
    );
    assert!(head.has("Grip-Sig"), "gripd's own are there: {}", head.raw);
}
