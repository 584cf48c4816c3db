//! The vectors of CORS and JSON-P, 82 to 93 of Pushpin's operations half, each test named by its
//! number; behind them what gripd does beside: holds, preflights, and what it refuses.
//!
//! Sentences that gripd makes itself are its own, and its JSON-P answers also say `nosniff`.
#![cfg(feature = "server")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::too_many_lines,
    reason = "helpers of tests fail by panicking; tables are long"
)]

mod support;

#[path = "vectors_cross_origin/holds.rs"]
mod holds;

use std::sync::LazyLock;

use serde_json::{Value, json};

use support::{Backend, DeadPort, Gripd, Head, Reply, Request, Response, answer};

const BODY: &str = "{\"a\":\"b\\\"c\"}\n";

/// Nobody listens there.
static DEAD: LazyLock<DeadPort> = LazyLock::new(DeadPort::new);

/// What the backend says everywhere, unless a test has it say something else.
fn usual() -> Vec<u8> {
    let headers = "Content-Type: application/json\r\nCache-Control: max-age=7\r\nX-Q: q\r\n";
    answer("200 OK", headers, BODY)
}

/// gripd before a backend, with the routes of the vectors.
fn site(handler: impl Fn(&Request, &mut Reply) + Send + Sync + 'static) -> (Gripd, Backend) {
    let backend = Backend::start(handler);
    let addr = backend.addr;
    let gripd = Gripd::start(|c| {
        c.set("GRIP_UPDATE_ON_FIRST_SUBSCRIPTION", "false")
            .set("LOG_LEVEL", "debug")
            .route(format!("*,path_beg=/aco,aco {addr}"))
            .route(format!("*,path_beg=/pre,aco_preflight {addr}"))
            .route(format!("*,path_beg=/jpb,aco,jsonp_mode=basic {addr}"))
            .route(format!(
                "*,path_beg=/jpe,aco,jsonp_cb=cb,jsonp_body=bd,jsonp_defcb=dcb {addr}"
            ))
            .route(format!("*,path_beg=/dead,aco,debug {}", DEAD.addr))
            .route(format!("* {addr}"))
    });
    (gripd, backend)
}

fn serving(raw: Vec<u8>) -> (Gripd, Backend) {
    site(move |_, reply| {
        reply.send(&raw);
    })
}

fn get(gripd: &Gripd, target: &str, headers: &[&str]) -> Response {
    let mut client = gripd.client();
    client.request("GET", target, headers, "");
    client.response()
}

/// The CORS headers of an answer, without what their names have in common.
fn cors(head: &Head) -> Vec<String> {
    let lines = head.lines().filter_map(|(name, value)| {
        let name = name.strip_prefix("Access-Control-")?;
        Some(format!("{name}: {value}"))
    });
    lines.collect()
}

/// The script's text, whose head is one of a script.
fn script(response: &Response) -> String {
    assert_eq!(response.status(), 200, "{:?}", response.text());
    let head = &response.head;
    assert_eq!(head.get("Content-Type"), Some("application/javascript"));
    assert_eq!(head.get("X-Content-Type-Options"), Some("nosniff"));
    assert_eq!(cors(head), [""; 0], "a script needs no CORS headers");
    response.text()
}

/// What the script calls the function `f` with.
fn argument(text: &str) -> Value {
    let inner = text.strip_prefix("/**/f(").expect("a call of f");
    let inner = inner.strip_suffix(");\n").expect("the call's end");
    serde_json::from_str(inner).expect("JSON inside the call")
}

const USUAL: [&str; 4] = [
    "Allow-Methods: OPTIONS, HEAD, GET, POST, PUT, DELETE",
    "Allow-Credentials: true",
    "Allow-Origin: *",
    "Max-Age: 3600",
];

/// The same of a 502, which says when to come back: a page may read it.
const OF_AN_ERROR: [&str; 5] = [
    USUAL[0],
    "Expose-Headers: Retry-After",
    USUAL[1],
    USUAL[2],
    USUAL[3],
];

// ---- the vectors ----------------------------------------------------------------------------

#[test]
fn v082_an_answer_may_be_read_by_every_page() {
    let (gripd, _backend) = serving(usual());
    let response = gripd.fetch("/aco");
    assert_eq!(response.text(), BODY);
    assert_eq!(
        cors(&response.head),
        [
            USUAL[0],
            "Expose-Headers: X-Q",
            USUAL[1],
            USUAL[2],
            USUAL[3],
        ]
    );
    assert_eq!(cors(&gripd.fetch("/elsewhere").head), [""; 0]);
}

#[test]
fn v083_a_preflight_is_the_backends_to_answer() {
    let (gripd, backend) = serving(usual());
    let mut client = gripd.client();
    let asked = [
        "Origin: http://o",
        "Access-Control-Request-Method: PATCH",
        "Access-Control-Request-Headers: X-A, X-B",
    ];
    client.request("OPTIONS", "/aco", &asked, "");
    let response = client.response();
    assert_eq!((response.status(), &*response.text()), (200, BODY));
    assert_eq!(
        cors(&response.head),
        [
            "Allow-Methods: PATCH",
            "Allow-Headers: X-A, X-B",
            "Expose-Headers: X-Q",
            "Allow-Credentials: true",
            "Allow-Origin: http://o",
            "Max-Age: 3600",
        ]
    );
    assert_eq!(backend.asked(), ["OPTIONS /aco"]);
}

#[test]
fn v084_json_p_tells_the_whole_answer() {
    let (gripd, backend) = serving(usual());
    let response = gripd.fetch("/aco?callback=f&x=1");
    assert_eq!(
        script(&response),
        "/**/f({\"code\": 200, \"reason\": \"OK\", \"headers\": {\"Cache-Control\":\"max-age=7\",\
         \"Content-Length\":\"13\",\"Content-Type\":\"application/json\",\"X-Q\":\"q\"}, \
         \"body\": \"{\\\"a\\\":\\\"b\\\\\\\"c\\\"}\\n\"});\n"
    );
    assert_eq!(response.head.get("Cache-Control"), Some("max-age=7"));
    assert!(!response.head.has("X-Q"));
    assert_eq!(backend.asked(), ["GET /aco?x=1"]);
}

#[test]
fn v085_a_query_says_what_is_asked() {
    let (gripd, backend) = serving(usual());
    let query = "callback=f&_method=POST&_headers=%7B%22X-A%22:%22b%22,%22Host%22:%22zz%22%7D\
                 &_body=a%2Bb";
    let response = get(
        &gripd,
        &format!("/aco?{query}"),
        &["X-Own: 1", "X-A: client"],
    );
    script(&response);
    let seen = backend.last();
    assert_eq!(seen.head.first_line(), "POST /aco HTTP/1.1");
    assert_eq!(seen.body, b"a+b");
    assert_eq!(seen.head.all("X-A"), ["b"]);
    assert_eq!(seen.head.all("Host"), ["h.test"]);
    assert_eq!(seen.head.all("Accept"), ["*/*"]);
    assert_eq!(seen.head.all("X-Own"), ["1"]);
    assert_eq!(seen.head.get("Content-Length"), Some("3"));
}

#[test]
fn v086_basic_mode_asks_by_post_and_tells_the_body() {
    let (gripd, backend) = serving(usual());
    let response = gripd.fetch("/jpb?callback=f");
    assert_eq!(script(&response), "/**/f({\"a\":\"b\\\"c\"});\n");
    assert_eq!(backend.asked(), ["POST /jpb"]);
    assert_eq!(backend.last().head.get("Content-Length"), Some("0"));
}

#[test]
fn v087_a_route_names_its_parameters() {
    let (gripd, backend) = serving(usual());
    let response = gripd.fetch("/jpe?cb=g&bd=%7B%7D&callback=n");
    assert!(script(&response).starts_with("/**/g({"));
    let seen = backend.last();
    assert_eq!(seen.head.first_line(), "GET /jpe?callback=n HTTP/1.1");
    assert_eq!(seen.head.get("Content-Type"), Some("application/json"));
    assert_eq!(seen.body, b"{}");
}

#[test]
fn v088_a_route_has_a_callback_of_its_own() {
    let (gripd, backend) = serving(usual());
    let response = gripd.fetch("/jpe?bd=1");
    assert!(script(&response).starts_with("/**/dcb({"));
    let seen = backend.last();
    assert_eq!(seen.head.first_line(), "GET /jpe HTTP/1.1");
    assert_eq!(seen.body, b"1");
}

/// Pushpin takes any text for a callback. gripd refuses what is no function's name, since it would
/// be a program.
#[test]
fn v089_a_fault_names_its_parameter() {
    let (gripd, backend) = serving(usual());
    for (query, name) in [
        ("callback=", "callback"),
        ("callback=f&_headers=zz", "_headers"),
        ("callback=f&_headers=%7B%22a%20b%22:%22%22%7D", "_headers"),
        ("callback=f&_headers=%7B%22a%22:%22%5Cn%22%7D", "_headers"),
        ("callback=f&_method=", "_method"),
        ("callback=f&_method=A%20B", "_method"),
        ("callback=f&_method=TRACE", "_method"),
        ("callback=f&_method=track", "_method"),
        ("callback=f&_method=A%0D%0AHost:x", "_method"),
        ("callback=alert(1)//", "callback"),
        ("callback=%zz", "callback"),
    ] {
        let response = gripd.fetch(&format!("/aco?{query}"));
        assert_eq!(response.status(), 400, "{query}");
        let sentence = format!("Invalid {name} parameter.\n");
        assert_eq!(response.text(), sentence, "{query}");
        assert_eq!(response.head.get("Content-Type"), Some("text/plain"));
        assert_eq!(cors(&response.head), USUAL, "{query}");
    }
    assert_eq!(backend.asked(), [""; 0]);
}

#[test]
fn v090_only_get_is_json_p() {
    let (gripd, backend) = serving(usual());
    let mut client = gripd.client();
    client.request("POST", "/aco?callback=f", &[], "");
    let response = client.response();
    assert_eq!(response.text(), BODY);
    assert_eq!(cors(&response.head).len(), 5);
    assert_eq!(backend.asked(), ["POST /aco?callback=f"]);
}

#[test]
fn v091_a_status_is_told_and_not_answered() {
    let (gripd, _backend) = serving(answer("404 Not Found", "", "no\n"));
    let told = argument(&script(&gripd.fetch("/aco?callback=f")));
    assert_eq!(told["code"], 404);
    assert_eq!(told["reason"], "Not Found");
    assert_eq!(told["body"], "no\n");
    assert_eq!(script(&gripd.fetch("/jpb?callback=f")), "/**/f(no);\n");
}

#[test]
fn v092_a_body_that_comes_in_pieces_is_wrapped_in_pieces() {
    let (gripd, _backend) = site(|_, reply| {
        reply.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\none\n\r\n");
        reply.send("4\r\nt\"o\n\r\n0\r\n\r\n");
    });
    for (target, whole) in [
        ("/jpb?callback=f", "/**/f(one\nt\"o);\n"),
        (
            "/aco?callback=f",
            "/**/f({\"code\": 200, \"reason\": \"OK\", \"headers\": {}, \
             \"body\": \"one\\nt\\\"o\\n\"});\n",
        ),
    ] {
        let response = gripd.fetch(target);
        assert!(response.head.is_chunked(), "{target}");
        assert_eq!(script(&response), whole);
    }
}

#[test]
fn v093_an_error_is_told_as_any_answer() {
    let (gripd, _backend) = serving(usual());
    let told = argument(&script(&gripd.fetch("/dead?callback=f")));
    assert_eq!(told["code"], 502);
    assert_eq!(told["headers"]["Content-Type"], "text/plain");
    let text = told["body"].as_str().unwrap();
    assert!(
        text.contains("127.0.0.1:"),
        "{text:?} does not tell the cause"
    );
    let plain = gripd.fetch("/dead");
    assert_eq!((plain.status(), &*plain.text()), (502, text));
    assert_eq!(cors(&plain.head), OF_AN_ERROR);
    assert!(told["headers"]["Retry-After"].is_string(), "{told}");
}

// ---- beside them ----------------------------------------------------------------------------

#[test]
fn every_route_is_meant_by_the_setting_even_none() {
    let backend = Backend::saying("ok");
    let gripd = Gripd::start(|c| {
        c.set("PROXY_AUTO_CROSS_ORIGIN", "true")
            .route(format!("*,path_beg=/in/ {}", backend.addr))
    });
    assert_eq!(cors(&gripd.fetch("/in/").head), USUAL);
    let lost = gripd.fetch("/lost");
    assert_eq!(
        (lost.status(), cors(&lost.head)),
        (502, OF_AN_ERROR.map(str::to_owned).into())
    );
    let told = argument(&script(&gripd.fetch("/lost?callback=f")));
    assert_eq!(told["code"], 502);
    let fault = gripd.fetch("/lost?callback=");
    assert_eq!(fault.text(), "Invalid callback parameter.\n");
}

#[test]
fn a_preflight_is_answered_where_the_route_asks_for_it() {
    let (gripd, backend) = serving(usual());
    let mut client = gripd.client();
    let asked = [
        "Origin: http://o",
        "Access-Control-Request-Method: PUT",
        "Access-Control-Request-Headers: x-token",
    ];
    for _ in 0..2 {
        client.request("OPTIONS", "/pre/x", &asked, "");
        let response = client.response();
        assert_eq!((response.status(), &*response.text()), (204, ""));
        assert_eq!(
            cors(&response.head),
            [
                "Allow-Methods: PUT",
                "Allow-Headers: x-token",
                "Allow-Credentials: true",
                "Allow-Origin: http://o",
                "Max-Age: 3600",
            ]
        );
    }
    assert_eq!(backend.asked(), [""; 0]);
    // Others are the backend's, and its answers may be read.
    client.request("OPTIONS", "/pre/x", &asked[..1], "");
    assert_eq!(client.response().text(), BODY);
    client.request("PUT", "/pre/x", &asked[..1], "");
    assert_eq!(cors(&client.response().head)[3], "Allow-Origin: http://o");
    assert_eq!(backend.asked(), ["OPTIONS /pre/x", "PUT /pre/x"]);
}

#[test]
fn what_only_a_browser_says_is_not_the_pages_to_say() {
    let (gripd, backend) = serving(usual());
    let wanted = json!({
        "Cookie": "forged", "Origin": "http://forged", "Sec-Fetch-Site": "none", "Accept": "x/y",
        "Content-Length": "99", "Transfer-Encoding": "chunked", "Connection": "X-Own",
        "Upgrade": "websocket", "Grip-Sig": "forged", "X-Fine": "1", "X_Real_IP": "forged",
        "X-Forwarded-For": "forged", "Forwarded": "for=forged"
    });
    let bytes = wanted.to_string().into_bytes();
    let headers: Vec<String> = bytes.iter().map(|byte| format!("%{byte:02x}")).collect();
    let headers = headers.concat();
    let target = format!("/aco?callback=f&_headers={headers}");
    let sent = [
        "Cookie: own",
        "Origin: http://o",
        "X-Own: 1",
        "Accept-Encoding: gzip",
    ];
    script(&get(&gripd, &target, &sent));
    let head = backend.last().head;
    assert_eq!(head.all("Cookie"), ["own"]);
    assert_eq!(head.all("Origin"), ["http://o"]);
    assert_eq!(head.all("Accept"), ["*/*"]);
    assert_eq!(head.all("X-Fine"), ["1"]);
    assert_eq!(head.all("X-Own"), ["1"]);
    for name in [
        "Sec-Fetch-Site",
        "Content-Length",
        "Transfer-Encoding",
        "Upgrade",
        "Accept-Encoding",
    ] {
        assert!(!head.has(name), "{name} in {:?}", head.raw);
    }
    assert!(!head.raw.contains("forged"), "{:?}", head.raw);
}

#[test]
fn names_are_told_as_the_backend_spells_them() {
    let (gripd, _backend) = serving(answer("200 OK", "ETag: e\r\nx-OWN: o\r\n", ""));
    let told = argument(&script(&gripd.fetch("/aco?callback=f")));
    let names = json!({"Content-Length": "0", "ETag": "e", "x-OWN": "o"});
    assert_eq!(told["headers"], names);
    assert!(cors(&gripd.fetch("/aco").head)[1].eq_ignore_ascii_case("Expose-Headers: ETag, x-OWN"));
}

#[test]
fn a_body_that_cannot_be_wrapped_is_not() {
    let (gripd, _backend) = serving(answer("200 OK", "Content-Encoding: gzip\r\n", "\u{1f}"));
    let response = gripd.fetch("/aco?callback=f");
    assert_eq!(response.status(), 500);
    assert_eq!(
        response.text(),
        "Upstream response could not be JSON-P encoded.\n"
    );
    assert_eq!(gripd.fetch("/aco").text(), "\u{1f}");
}

#[test]
fn a_body_cut_short_is_no_whole_call() {
    let (gripd, _backend) = site(|request, reply| {
        let length = if request.head.target().contains("long") {
            200_000
        } else {
            100
        };
        reply.send(format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\npart"
        ));
        reply.close();
    });
    for target in ["/aco/short?callback=f", "/aco/long?callback=f"] {
        let mut client = gripd.get(target);
        let (body, whole) = match client.try_head() {
            Some(head) if head.is_chunked() => client.chunks_to_end(),
            Some(head) => panic!("{target}: {:?}", head.raw),
            None => (Vec::new(), false),
        };
        assert!(!whole, "{target}");
        assert!(!body.ends_with(b");\n"), "{target}");
    }
}

#[test]
fn a_long_body_is_wrapped_as_it_comes() {
    let long = "x\"".repeat(150_000);
    let raw = answer("200 OK", "", &long);
    let (gripd, _backend) = serving(raw);
    let response = gripd.fetch("/aco?callback=f");
    assert!(response.head.is_chunked());
    assert_eq!(argument(&script(&response))["body"], long);
}

#[test]
fn a_refused_websocket_gets_the_headers_and_is_never_json_p() {
    let (gripd, _backend) = serving(answer("401 Unauthorized", "X-Why: none\r\n", "no\n"));
    let handshake = [
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Origin: http://o",
    ];
    for (target, status) in [("/aco?callback=f", 401), ("/dead?callback=f", 502)] {
        let response = get(&gripd, target, &handshake);
        assert_eq!(response.status(), status);
        let lines = cors(&response.head);
        assert!(
            lines.contains(&"Allow-Origin: http://o".into()),
            "{lines:?}"
        );
    }
}
