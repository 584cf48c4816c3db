//! Shapes of instructs: which backend answers are taken, what the client gets of them, and which
//! are a `502` whose debug text names the header or JSON field at fault.
#![cfg(feature = "server")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::too_many_lines,
    reason = "helpers of tests fail by panicking; tables are long"
)]

mod support;

use serde_json::json;

use support::{Backend, Gripd, answer, instruct, json_instruct};

/// One gripd over numbered pages: with debug below `/debug`, without it elsewhere.
fn over(pages: Vec<Vec<u8>>) -> (Gripd, Backend) {
    let pages: Vec<_> = pages
        .into_iter()
        .enumerate()
        .flat_map(|(n, raw)| [(format!("/{n}"), raw.clone()), (format!("/debug/{n}"), raw)])
        .collect();
    let backend = Backend::serving(pages);
    let gripd = Gripd::start(|c| {
        c.route(format!("*,path_beg=/debug,debug {}", backend.addr))
            .route(format!("* {}", backend.addr))
    });
    (gripd, backend)
}

/// Every page is a 502; with debug, and only then, its text names what is wrong.
fn all_refused(rows: Vec<(Vec<u8>, &str)>) {
    let (pages, names): (Vec<_>, Vec<_>) = rows.into_iter().unzip();
    let (gripd, _backend) = over(pages.clone());
    for (n, name) in names.iter().enumerate() {
        let shown = String::from_utf8_lossy(&pages[n]);
        let plain = gripd.fetch(&format!("/{n}"));
        assert_eq!(plain.status(), 502, "{shown}");
        assert!(
            plain
                .head
                .get("Content-Type")
                .unwrap_or("")
                .starts_with("text/plain"),
            "{shown}: errors are text"
        );
        let debug = gripd.fetch(&format!("/debug/{n}"));
        assert_eq!(debug.status(), 502, "{shown}");
        let text = debug.text().to_ascii_lowercase();
        assert!(
            text.contains(&name.to_ascii_lowercase()),
            "{shown}: {text:?} does not name {name:?}"
        );
        assert_ne!(
            plain.text(),
            debug.text(),
            "{shown}: causes are for debug only"
        );
    }
}

#[test]
fn bad_headers_are_named() {
    let rows: Vec<(Vec<&str>, &str)> = vec![
        (vec!["Grip-Hold: foo"], "Grip-Hold"),
        (vec!["Grip-Hold: Response"], "Grip-Hold"),
        (vec!["Grip-Hold: "], "Grip-Hold"),
        (vec!["Grip-Hold: stream, response"], "Grip-Hold"),
        (vec!["grip-hold: nonsense"], "Grip-Hold"),
        (vec!["Grip-Status: abc"], "Grip-Status"),
        (vec!["Grip-Status: 1000"], "Grip-Status"),
        (vec!["Grip-Status: 199"], "Grip-Status"),
        (vec!["Grip-Status: 100"], "Grip-Status"),
        (vec!["Grip-Status: 0"], "Grip-Status"),
        (vec!["Grip-Status: -1"], "Grip-Status"),
        (
            vec!["Grip-Hold: response", "Grip-Channel: a", "Grip-Timeout: x"],
            "Grip-Timeout",
        ),
        (
            vec![
                "Grip-Hold: response",
                "Grip-Channel: a",
                "Grip-Timeout: 5.5",
            ],
            "Grip-Timeout",
        ),
        (
            vec!["Grip-Hold: response", "Grip-Channel: a", "Grip-Timeout: "],
            "Grip-Timeout",
        ),
        (
            vec![
                "Grip-Hold: response",
                "Grip-Channel: a",
                "Grip-Timeout: 10, 20",
            ],
            "Grip-Timeout",
        ),
        (
            vec!["Grip-Hold: response", "Grip-Channel: a", "Grip-Timeout: -1"],
            "Grip-Timeout",
        ),
        (
            vec!["Grip-Hold: stream", "Grip-Keep-Alive: ; timeout=5"],
            "Grip-Keep-Alive",
        ),
        (
            vec!["Grip-Hold: stream", "Grip-Keep-Alive: a; mode=often"],
            "Grip-Keep-Alive",
        ),
        (
            vec!["Grip-Hold: stream", "Grip-Keep-Alive: a; timeout=x"],
            "Grip-Keep-Alive",
        ),
        (
            vec!["Grip-Hold: stream", "Grip-Keep-Alive: a; timeout=-1"],
            "Grip-Keep-Alive",
        ),
        (
            vec!["Grip-Hold: stream", "Grip-Keep-Alive: a; format=hex"],
            "Grip-Keep-Alive",
        ),
        (
            vec![
                "Grip-Hold: stream",
                r"Grip-Keep-Alive: x\xZZ; format=cstring",
            ],
            "Grip-Keep-Alive",
        ),
        (
            vec![
                "Grip-Hold: stream",
                r"Grip-Keep-Alive: x\x4; format=cstring",
            ],
            "Grip-Keep-Alive",
        ),
        (
            vec!["Grip-Hold: stream", r"Grip-Keep-Alive: x\; format=cstring"],
            "Grip-Keep-Alive",
        ),
        (
            vec!["Grip-Hold: stream", "Grip-Set-Meta: a=b, , c=d"],
            "Grip-Set-Meta",
        ),
        (
            vec![
                "Grip-Hold: stream",
                "Grip-Channel: a; filter=f1; filter=f2; filter=f3; filter=f4; filter=f5; filter=f6",
            ],
            "filter",
        ),
        (vec!["Grip-Link: /x; rel=next"], "Grip-Link"),
        (vec!["Grip-Link: <>; rel=next"], "Grip-Link"),
        (vec!["Grip-Link: </x>; rel=next; timeout=q"], "Grip-Link"),
        (vec!["Grip-Link: </x>; rel=next; timeout=-1"], "Grip-Link"),
        (vec!["Grip-Link: <http://[bad>; rel=foo"], "Grip-Link"),
    ];
    all_refused(
        rows.into_iter()
            .map(|(headers, name)| (instruct(&headers, "body\n"), name))
            .collect(),
    );
}

#[test]
fn bad_json_is_named() {
    let filters = r#"{"hold":{"channels":[{"name":"a","filters":["1","2","3","4","5","6"]}]}}"#;
    let rows = [
        ("{", "json"),
        ("", "json"),
        ("5", "json"),
        ("[]", "object"),
        (r#"{"hold":5}"#, "hold"),
        (r#"{"hold":null}"#, "hold"),
        (r#"{"hold":{"mode":"often","channels":[]}}"#, "mode"),
        (r#"{"hold":{"mode":5,"channels":[]}}"#, "mode"),
        (r#"{"hold":{}}"#, "channels"),
        (r#"{"hold":{"channels":5}}"#, "channels"),
        (r#"{"hold":{"channels":["a"]}}"#, "channel"),
        (r#"{"hold":{"channels":[{}]}}"#, "name"),
        (r#"{"hold":{"channels":[{"name":5}]}}"#, "name"),
        (
            r#"{"hold":{"channels":[{"name":"a","prev-id":null}]}}"#,
            "prev-id",
        ),
        (
            r#"{"hold":{"channels":[{"name":"a","filters":5}]}}"#,
            "filters",
        ),
        (
            r#"{"hold":{"channels":[{"name":"a","filters":[5]}]}}"#,
            "filters",
        ),
        (filters, "filter"),
        (r#"{"hold":{"channels":[],"timeout":[]}}"#, "timeout"),
        (r#"{"hold":{"channels":[],"timeout":-1}}"#, "timeout"),
        (r#"{"hold":{"channels":[],"keep-alive":5}}"#, "keep-alive"),
        (
            r#"{"hold":{"channels":[],"keep-alive":{"content":5}}}"#,
            "content",
        ),
        (
            r#"{"hold":{"channels":[],"keep-alive":{"content":"x","timeout":-1}}}"#,
            "timeout",
        ),
        (r#"{"hold":{"channels":[],"meta":5}}"#, "meta"),
        (r#"{"hold":{"channels":[],"meta":{"kay":1}}}"#, "kay"),
        (r#"{"response":{"code":null}}"#, "code"),
        (r#"{"response":{"code":[]}}"#, "code"),
        (r#"{"response":{"code":1000}}"#, "code"),
        (r#"{"response":{"code":true}}"#, "code"),
        (r#"{"response":{"code":100}}"#, "code"),
        (r#"{"response":{"code":"x"}}"#, "code"),
        (r#"{"response":{"reason":5}}"#, "reason"),
        (r#"{"response":{"reason":"Fine\r\nX: y"}}"#, "reason"),
        (r#"{"response":{"headers":5}}"#, "headers"),
        (r#"{"response":{"headers":["x"]}}"#, "headers"),
        (r#"{"response":{"headers":[["x","y","z"]]}}"#, "headers"),
        (r#"{"response":{"headers":{"kay":1}}}"#, "header"),
        (r#"{"response":{"headers":{"X":"a\r\nY: b"}}}"#, "header"),
        (r#"{"response":{"headers":{"X":"a\u0000b"}}}"#, "header"),
        (r#"{"response":{"headers":{"X\nY":"a"}}}"#, "header"),
        (r#"{"response":{"headers":[["X Y","a"]]}}"#, "header"),
        (r#"{"response":{"body":5}}"#, "body"),
        (r#"{"response":{"body-bin":5}}"#, "body-bin"),
    ];
    let mut pages: Vec<(Vec<u8>, &str)> = rows
        .into_iter()
        .map(|(body, name)| (json_instruct(body), name))
        .collect();
    pages.push((
        answer(
            "201 Created",
            "Content-Type: application/grip-instruct\r\n",
            "{}",
        ),
        "200",
    ));
    all_refused(pages);
}

/// Each row: the backend's answer, then status, reason (if it matters) and body at the client.
#[test]
fn answers_without_a_hold_go_out_at_once() {
    type Row = (Vec<u8>, u16, Option<&'static str>, &'static str);
    let rows: Vec<Row> = vec![
        (
            instruct(&["Grip-Channel: a"], "body\n"),
            200,
            Some("OK"),
            "body\n",
        ),
        (
            instruct(&["Grip-Foo: x"], "body\n"),
            200,
            Some("OK"),
            "body\n",
        ),
        (
            instruct(&["GRIP-FOO: x"], "body\n"),
            200,
            Some("OK"),
            "body\n",
        ),
        (
            instruct(&["Grip-Status: 404"], "body\n"),
            404,
            Some("Not Found"),
            "body\n",
        ),
        (
            instruct(&["Grip-Status: 404 Nothing Here"], "body\n"),
            404,
            Some("Nothing Here"),
            "body\n",
        ),
        (instruct(&["Grip-Status: "], "body\n"), 200, None, "body\n"),
        (
            instruct(&["Grip-Status: 299"], "body\n"),
            299,
            None,
            "body\n",
        ),
        (
            instruct(&["Grip-Link: garbage"], "body\n"),
            200,
            None,
            "body\n",
        ),
        (
            instruct(&["Grip-Link: </x>"], "body\n"),
            200,
            None,
            "body\n",
        ),
        (
            answer("404 Not Found", "Grip-Channel: a\r\n", "no\n"),
            404,
            Some("Not Found"),
            "no\n",
        ),
        (json_instruct("{}"), 200, None, ""),
        (
            json_instruct(r#"{"response":{"body":"x"}}"#),
            200,
            Some("OK"),
            "x",
        ),
        (
            json_instruct(r#"{"response":{"code":201,"reason":"Yo","body-bin":"aGk="}}"#),
            201,
            Some("Yo"),
            "hi",
        ),
        (
            json_instruct(r#"{"response":{"code":"404","body":"x"}}"#),
            404,
            None,
            "x",
        ),
        (
            json_instruct(r#"{"response":{"code":404.6,"body":"x"}}"#),
            405,
            None,
            "x",
        ),
        (
            json_instruct(r#"{"response":{"code":204,"body":""}}"#),
            204,
            None,
            "",
        ),
        (
            answer(
                "200 OK",
                "Content-Type: application/grip-instruct; charset=utf-8\r\n",
                r#"{"response":{"body":"x"}}"#,
            ),
            200,
            None,
            "x",
        ),
        (
            answer(
                "200 OK",
                "Content-Type: application/grip-instruct\r\nGrip-Status: 404 X\r\n",
                r#"{"response":{"body":"x"}}"#,
            ),
            404,
            Some("X"),
            "x",
        ),
        (
            answer("200 OK", "Content-Type: Application/Grip-Instruct\r\n", "{"),
            200,
            None,
            "{",
        ),
    ];
    let (gripd, _backend) = over(rows.iter().map(|r| r.0.clone()).collect());
    let mut client = gripd.client();
    for (n, (raw, status, reason, body)) in rows.iter().enumerate() {
        let shown = String::from_utf8_lossy(raw);
        let response = client.fetch(&format!("/{n}"));
        assert_eq!(response.status(), *status, "{shown}");
        if let Some(reason) = reason {
            assert_eq!(response.head.reason(), *reason, "{shown}");
        }
        assert_eq!(response.text(), *body, "{shown}");
        assert_eq!(response.head.names_from("Grip-"), [""; 0], "{shown}");
        if *status != 204 {
            assert_eq!(response.head.length(), Some(body.len()), "{shown}");
        }
    }
}

#[test]
fn other_headers_stay() {
    let (gripd, _backend) = over(vec![
        instruct(
            &["X-A: 1", "Grip-Foo: x", "Set-Cookie: a", "Set-Cookie: b"],
            "",
        ),
        instruct(&["Grip-Expose-Headers: x-a", "X-A: 1", "X-B: 2"], "body\n"),
        json_instruct(r#"{"response":{"headers":[["X-A","1"],["X-A","2"]],"body":""}}"#),
        json_instruct(
            r#"{"response":{"headers":{"Grip-X":"1","Content-Length":"99","Connection":"keep-alive"},"body":"hi"}}"#,
        ),
    ]);
    let first = gripd.fetch("/0").head;
    assert_eq!(first.get("X-A"), Some("1"));
    assert_eq!(first.all("Set-Cookie"), ["a", "b"]);
    let exposed = gripd.fetch("/1").head;
    assert_eq!(exposed.get("X-A"), Some("1"));
    assert!(
        !exposed.has("X-B") && !exposed.has("Content-Type"),
        "{:?}",
        exposed.raw
    );
    assert_eq!(gripd.fetch("/2").head.all("X-A"), ["1", "2"]);
    let json = gripd.fetch("/3");
    assert_eq!(json.head.get("Grip-X"), Some("1"));
    assert_eq!(json.head.all("Content-Length"), ["2"]);
    assert_eq!(json.body, b"hi");
}

#[test]
fn a_status_without_a_body_is_never_held() {
    let (gripd, _backend) = over(vec![
        "HTTP/1.1 204 No Content\r\nGrip-Channel: a\r\n\r\n".into(),
        "HTTP/1.1 304 Not Modified\r\nGrip-Hold: stream\r\nGrip-Channel: a\r\n\r\n".into(),
    ]);
    let mut client = gripd.client();
    for (path, status) in [("/0", 204), ("/1", 304)] {
        client.get(path);
        let head = client.head();
        assert_eq!(head.status(), status);
        assert!(
            !head.has("Content-Length") && !head.has("Transfer-Encoding"),
            "{:?}",
            head.raw
        );
    }
}

#[test]
fn the_size_of_an_instruct_is_limited() {
    let body = |n| "x".repeat(n);
    let (gripd, backend) = over(vec![
        instruct(&["Grip-Channel: a"], body(100_000)),
        instruct(&["Grip-Channel: a"], body(100_001)),
        instruct(&["Grip-Hold: response", "Grip-Channel: a"], body(150_000)),
        instruct(
            &["Grip-Hold: stream", "Grip-Channel: a; filter=build-id"],
            body(150_000),
        ),
        answer(
            "200 OK",
            "Content-Type: application/grip-instruct\r\n",
            json!({"response": {"body": body(100_001)}}).to_string(),
        ),
    ]);
    let fits = gripd.fetch("/0");
    assert_eq!((fits.status(), fits.body.len()), (200, 100_000));
    for n in 1..5 {
        assert_eq!(gripd.fetch(&format!("/{n}")).status(), 502, "{n}");
        let debug = gripd.fetch(&format!("/debug/{n}"));
        assert_eq!(debug.status(), 502, "{n}");
        assert!(
            debug.text().contains(&backend.addr.to_string()),
            "{:?} names the target",
            debug.text()
        );
    }
}

#[test]
fn a_request_that_could_not_be_repeated_is_not_held() {
    let (gripd, backend) = over(vec![instruct(&["Grip-Channel: a"], "body\n")]);
    let mut client = gripd.client();
    client.request("POST", "/0", &[], "x".repeat(100_001));
    assert_eq!(client.response().status(), 400);
    assert_eq!(
        backend.last().body.len(),
        100_001,
        "the backend had it all the same"
    );
    let mut client = gripd.client();
    client.request("POST", "/0", &[], "x".repeat(100_000));
    assert_eq!(client.response().status(), 200);
}

#[test]
fn no_grip_passes_everything_on() {
    let backend = Backend::serving([
        (
            "/s",
            instruct(&["Grip-Hold: stream", "Grip-Channel: a"], "body\n"),
        ),
        ("/j", json_instruct("{")),
    ]);
    let gripd = Gripd::start(|c| c.route(format!("*,no_grip {}", backend.addr)));
    let response = gripd.fetch("/s");
    assert_eq!(response.head.get("Grip-Hold"), Some("stream"));
    assert_eq!(response.text(), "body\n");
    let seen = backend.last().head;
    assert_eq!(seen.names_from("Grip-"), [""; 0]);
    assert_eq!(gripd.fetch("/j").text(), "{");
}

/// `prev-id` needs somewhere to ask when there is a gap.
#[test]
fn a_stream_with_prev_id_and_no_next_link_ends_at_once() {
    let (gripd, _backend) = over(vec![
        instruct(
            &["Grip-Hold: stream", "Grip-Channel: ay; prev-id=1"],
            "body\n",
        ),
        instruct(
            &["Grip-Hold: stream", "Grip-Channel: ay; prev-id="],
            "body\n",
        ),
    ]);
    for n in 0..2 {
        let mut client = gripd.client();
        assert_eq!(client.fetch(&format!("/{n}")).text(), "body\n");
        let debug = client.fetch(&format!("/debug/{n}"));
        assert_eq!(debug.status(), 200);
        let text = debug.text();
        assert!(text.starts_with("body\n"), "{text:?}");
        assert!(text.contains("ay") && text.contains("prev-id"), "{text:?}");
    }
}

#[test]
fn head_is_answered_and_not_held() {
    let backend = Backend::start(|_, reply| {
        reply.send(
            "HTTP/1.1 200 OK\r\nGrip-Hold: stream\r\nGrip-Channel: a\r\nContent-Length: 5\r\n\r\n",
        );
    });
    let gripd = Gripd::before(&backend);
    let mut client = gripd.client();
    for _ in 0..2 {
        client.request("HEAD", "/", &[], "");
        let head = client.head();
        assert_eq!(head.status(), 200);
        assert_eq!(head.names_from("Grip-"), [""; 0]);
    }
}
