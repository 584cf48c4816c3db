//! `gripd explain`: what it tells is what gripd does.
#![cfg(feature = "server")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests fail by panicking"
)]

#[path = "check/folder.rs"]
mod folder;
mod support;

use std::{
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

use folder::{Answer, Folder};
use gripd::grip::signature::Signer;
use support::{Backend, Gripd, answer};

const ROUTES: &str = "\
# first line
* BACKEND
*,path_beg=/api,sig_key=geheim BACKEND
broken
*,path_beg=/api/v2,path_rem=4,header=X-Add:v BACKEND
*,proto=ws BACKEND,over_http
a.test,path_beg=/only BACKEND,host=b.test
a.test,ssl=yes,path_beg=/tls BACKEND
a.test,id=named,path_beg=/named,no_grip BACKEND
several.test 127.0.0.1:1 BACKEND 127.0.0.1:2,host=c.test
z.test zhttp/tcp://127.0.0.1:1
";

const CONF: &str = "\
[proxy]
accept_pushpin_route = true
auto_cross_origin = true
x_forwarded_for = \"append\"
cdn_loop = \"here\"
";

fn folder(backend: &str) -> Folder {
    Folder::new()
        .with("routes", &ROUTES.replace("BACKEND", backend))
        .with("gripd.toml", CONF)
        .with("empty", "")
        .with("empty.toml", "[routes]\nfile = \"empty\"\n")
}

/// What it tells of a request, with the backend's address taken out.
fn explained(words: &[&str]) -> Answer {
    let backend = "127.0.0.1:9";
    let words = [&["explain"], words].concat();
    let told = folder(backend).run(&words);
    Answer {
        out: told.out.replace(backend, "BACKEND"),
        ..told
    }
}

/// It tells all these parts of a request that would be answered.
fn tells(words: &[&str], parts: &[&str]) {
    let told = explained(words);
    assert_eq!(told.code, Some(0), "{told:?}");
    for part in parts {
        assert!(told.out.contains(part), "{part:?} in\n{}", told.out);
    }
}

#[test]
fn the_whole_text() {
    let told = explained(&["http://h.test/api/x?q=1", "-H", "x-CUSTOM: 1"]);
    assert_eq!(told.code, Some(0));
    let file = "GET /api/x of host h.test, without TLS

Lines of routes that are looked at: those for *, since none is for host h.test.
     2: * BACKEND
          would do, but the one taken has the longer path_beg
     3: *,path_beg=/api,sig_key=*** BACKEND
          taken
     5: *,path_beg=/api/v2,path_rem=4,header=X-Add:v BACKEND
          not for it: its path_beg is /api/v2
     6: *,proto=ws BACKEND,over_http
          not for it: its proto is the other one

BACKEND (without TLS) would be sent:

GET /api/x?q=1 HTTP/1.1
Host: h.test
x-CUSTOM: 1
Cdn-Loop: here
Grip-Sig: (a token, made for each request)
";
    assert!(told.out.starts_with(file), "{}", told.out);
    assert!(!told.out.contains("geheim"));
    let fault = "gripd: routes:4:1: ";
    assert!(told.err.starts_with(fault), "{}", told.err);
}

#[test]
fn which_line_is_taken_and_why() {
    for (words, parts) in [
        (
            &["/"] as &[&str],
            &["host localhost", "     2: * BACKEND\n          taken\n"] as &[&str],
        ),
        (
            &["/api/v2/x"],
            &[
                "     3: *,path_beg=/api,sig_key=*** BACKEND\n          would do, but the one taken \
                 has the longer path_beg\n",
                "BACKEND\n          taken\n",
                "\nGET /v2/x HTTP/1.1\n",
                "\nX-Add: v\n",
            ],
        ),
        (
            &["ws://h.test/x"],
            &[
                "GET /x of host h.test as a WebSocket, without TLS",
                "would do, but the one taken says more: proto",
                "     6: *,proto=ws BACKEND,over_http\n          taken\n",
                "\nPOST /x HTTP/1.1\n",
                "\nContent-Type: application/websocket-events\n",
                "\n\nOPEN\n",
            ],
        ),
        (
            &["POST", "http://A.test:81/only/x", "-H", "Content-Length: 5"],
            &[
                "POST /only/x of host a.test",
                "those for host a.test alone, since there are such",
                "its ssl is the other one",
                "\nHost: b.test\n",
                "\nContent-Length: 5\n",
            ],
        ),
        (
            &["https://a.test/tls/x"],
            &["over TLS", "path_beg=/tls BACKEND\n          taken\n"],
        ),
        (
            &["/named/x", "-H", "Pushpin-Route: named"],
            &[
                "The request names its route (Pushpin-Route):\n     9: a.test,",
                "\nGET /named/x HTTP/1.1\n",
            ],
        ),
        (
            &["http://several.test/"],
            &[
                "127.0.0.1:1 (without TLS) would be sent:\n",
                "If it cannot be reached: BACKEND (without TLS) would be sent the same.\n",
                "If it cannot be reached: 127.0.0.1:2 (without TLS) would be sent:\n\nGET / HTTP/1.1\n\
                 Host: c.test\n",
            ],
        ),
        (
            &["/", "--from", "10.1.2.3", "-H", "X-Forwarded-For: 1.2.3.4"],
            &["\nX-Forwarded-For: 1.2.3.4, 10.1.2.3\n"],
        ),
    ] {
        tells(words, parts);
    }
}

#[test]
fn settings_are_those_of_a_gripd_started_here() {
    for (words, parts) in [
        (
            &["/", "--route", "* test"] as &[&str],
            &["Lines of --route", "test (gripd itself) would be sent"] as &[&str],
        ),
        (
            &["/", "--control", "0.0.0.0:5561"],
            &["BACKEND (without TLS) would be sent"],
        ),
        (
            &["/", "--config", "/dev/null"],
            &[
                "Nothing is configured",
                "welcome (gripd itself) would be sent",
            ],
        ),
    ] {
        tells(words, parts);
    }
}

#[test]
fn which_targets_are_asked_and_how() {
    let json_p = "/x?a=1&callback=f&_body=hi&_method=PUT";
    let preflight = [
        "OPTIONS",
        "/",
        "-H",
        "Origin: http://b.test",
        "-H",
        "Access-Control-Request-Method: PUT",
    ];
    for (line, words, parts) in [
        (
            "* 10.0.0.1:443,ssl",
            &["http://H.test:81/"] as &[&str],
            &[
                "10.0.0.1:443 (over TLS, SNI: h.test, certificate: h.test) would be sent:\n\nGET / \
               HTTP/1.1\nHost: h.test:81\n",
            ] as &[&str],
        ),
        (
            "* 10.0.0.1:443,ssl,trust_connect_host,insecure,host=b.test:443",
            &["/"],
            &[
                "10.0.0.1:443 (over TLS, SNI: none, certificate: any) would be sent:\n\n",
                "\nHost: b.test\n",
            ],
        ),
        (
            "* unix:/run/app a.test:80,untrusted",
            &["/"],
            &[
                "unix:/run/app (without TLS) would be sent:\n",
                "If it cannot be reached: a.test:80 (without TLS, untrusted: at a public address \
                 only) would be sent the same.\n",
            ],
        ),
        (
            "*,check=/up a.test:80 b.test:80",
            &["/"],
            &["If it rests or cannot be reached: b.test:80 "],
        ),
        (
            "*,balance=round-robin a.test:80 zhttp/tcp://c.test:80 b.test:80",
            &["/"],
            &[
                "Or, in its turn, or if that does not take it: zhttp/tcp://c.test:80 gets nothing, ",
                "Or, in its turn, or if that does not take it: b.test:80 ",
            ],
        ),
        (
            "*,balance=least-requests a.test:80 b.test:80",
            &["/"],
            &["Or, with fewer requests under way, or if that does not take it: b.test:80 "],
        ),
        (
            "*,aco a.test:80 b.test:80",
            &[json_p],
            &[
                "GET /x of host localhost, without TLS, by JSON-P\n",
                "\nPUT /x?a=1 HTTP/1.1\n",
                "\nContent-Length: 2\n",
                "\n\nhi\n\nIf it cannot be reached: ",
            ],
        ),
        (
            "*,aco,aco_preflight a.test:80",
            &preflight,
            &["gripd itself would answer this preflight, with 204 (aco_preflight).\n"],
        ),
    ] {
        tells(&[&["--route", line], words].concat(), parts);
    }
    let told = explained(&["/", "--route", "* zhttp/tcp://c.test:80 a.test:80"]);
    assert_eq!(told.code, Some(1), "{told:?}");
    assert!(!told.out.contains("a.test:80 ("), "{}", told.out);
}

#[test]
fn a_proxy_that_speaks_grip_itself_is_recognized() {
    let token = Signer::new("other", "upstream", Path::new("."))
        .unwrap()
        .unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let header = format!("Grip-Sig: {}", token.sign(now.as_secs()).unwrap());
    let conf = CONF.to_owned() + "[grip]\nupstream_key = \"upstream\"\n";
    let folder = folder("127.0.0.1:9").with("gripd.toml", &conf);
    let told = folder.run(&["explain", "/", "-H", &header]).out;
    let said = "without TLS, from a proxy that speaks GRIP itself (grip.upstream_key)\n";
    assert!(told.contains(said), "{told}");
    assert!(told.contains(&format!("\n{header}\n")), "{told}");
    assert!(!told.contains("Grip-Feature"), "{told}");
}

#[test]
fn a_request_that_no_backend_gets_is_exit_code_1() {
    for (words, said) in [
        (
            &["http://a.test/other"] as &[&str],
            "The client would get 502: no route for a.test: no line of this host fits the path (",
        ),
        (&["http://a.test/tls"], "its ssl is the other one\n"),
        (
            &["/x", "-H", "Pushpin-Route: named"],
            "\n\nThe client would get 502: no route for localhost: the line of its Pushpin-Route has \
             another path_beg.\n",
        ),
        (
            &["/x", "-H", "Pushpin-Route: none"],
            "localhost: no line has the id of its Pushpin-Route.\n",
        ),
        (
            &["/", "--route", "a.test test"],
            "localhost: no line names this host, and there is no `*` line.\n",
        ),
        (
            &["/", "-H", "Host: a b"],
            "The client would get 400: The header Host is malformed",
        ),
        (
            &["POST", "/", "-H", "Content-Length: x"],
            "The client would get 400: ",
        ),
        (
            &["/", "-H", "X: ", "-H", "Host: a", "-H", "Host: b"],
            "The client would get 400: ",
        ),
        (
            &[
                "POST",
                "/x",
                "--route=* test,over_http",
                "-H",
                "Content-Type: application/websocket-events",
            ],
            "The client would get 403: clients may not send WebSocket events directly.\n",
        ),
        (
            &["/", "-H", "Upgrade: websocket"],
            "The client would get 400: The request asks for a WebSocket, but its \
             Sec-WebSocket-Version is not 13.\n",
        ),
        (
            &["/?callback=a()", "--route", "*,aco test"],
            "The client would get 400: Invalid callback parameter.\n",
        ),
        (
            &["/", "--config", "empty.toml"],
            "localhost: no line names this host, and there is no `*` line.\n",
        ),
        (
            &["http://z.test/"],
            "zhttp/tcp://127.0.0.1:1 gets nothing, the client an error: a zhttp target is not supported yet.\n",
        ),
    ] {
        let told = explained(words);
        assert_eq!(told.code, Some(1), "{told:?}");
        assert!(told.out.contains(said), "{said:?} in\n{}", told.out);
    }
}

#[test]
fn wrong_usage_and_wrong_settings_are_named() {
    for (words, code, said) in [
        (
            &["h.test/x"] as &[&str],
            2,
            "gripd: \"h.test/x\" is no URL of a request; allowed: ",
        ),
        (
            &["ftp://h.test/x"],
            2,
            "gripd: \"ftp://h.test/x\" is no URL of a request; ",
        ),
        (&["/a b"], 2, "gripd: \"/a b\" is no URL of a request; "),
        (&["G T", "/"], 2, "gripd: \"G T\" is no method; "),
        (
            &["/", "-H", "none"],
            2,
            "gripd: --header \"none\"; allowed: NAME: VALUE\n",
        ),
        (&["/", "-H", "a b: c"], 2, "gripd: --header \"a b: c\"; "),
        (&["/", "--from", "here"], 2, "error: "),
        (&[], 2, "error: "),
        (&["GET", "/", "x"], 2, "error: "),
        (&["/", "--config=none.toml"], 3, "gripd: "),
        (&["/", "--config=only.toml"], 3, "gripd: "),
    ] {
        let folder = Folder::new().with("only.toml", "[routes]\nfile = \"none\"\n");
        let told = folder.run(&[&["explain"], words].concat());
        assert_eq!((told.code, &*told.out), (Some(code), ""), "{told:?}");
        assert!(told.err.starts_with(said), "{told:?}");
    }
}

/// A head as lines, without what is another for each request.
fn plain(head: &str) -> Vec<String> {
    let lines = head.lines().take_while(|line| !line.is_empty());
    let hidden = lines.map(|line| match line.split_once(": ") {
        Some((name @ ("Grip-Sig" | "Grip-Connection" | "Connection-Id"), _)) => name.to_owned(),
        _ => line.to_owned(),
    });
    hidden.collect()
}

#[test]
fn what_is_told_is_what_the_backend_gets() {
    let backend = Backend::always(answer("200 OK", "", "x"));
    let address = backend.addr.to_string();
    let folder = folder(&address);
    let gripd = Gripd::start(|c| {
        let routes = std::fs::read_to_string(folder.0.join("routes")).unwrap();
        c.file("routes", &routes).file("gripd.toml", CONF)
    });
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    for (url, headers) in [
        ("http://h.test/", ""),
        (
            "http://h.test/a/../b%2F?q=%20",
            "x-CUSTOM: 1\r\nAccept: */*\r\nx-two: a\r\n",
        ),
        ("http://h.test/api/v2/x", "X-Add: mine\r\nCookie: a=b\r\n"),
        (
            "http://h.test/",
            "Grip-Sig: mine\r\nGrip-Hold: x\r\nConnection: close, X-Hop\r\nX-Hop: 1\r\nTE: \
             trailers\r\n",
        ),
        (
            "http://h.test/",
            "X-Forwarded-For: 1.2.3.4\r\nForwarded: for=x\r\nCDN-Loop: a, b\r\n",
        ),
        ("http://a.test/only", ""),
        ("http://A.Test:80/only", ""),
        ("http://a.test/named", "Grip-Feature: x\r\n"),
        ("http://h.test/named", "Pushpin-Route: named\r\n"),
        ("http://several.test/", ""),
        (
            "http://h.test/page?x=1&callback=f&_headers=%7B%22X-Own%22:%221%22%7D&_body=hi",
            "Accept: text/html\r\nx-two: a\r\n",
        ),
        (
            "ws://h.test/socket",
            "Origin: http://h.test\r\nSec-WebSocket-Protocol: chat\r\n",
        ),
    ] {
        let (scheme, rest) = url.split_once("://").unwrap();
        let (host, path) = rest.split_once('/').unwrap();
        let socket = if scheme == "ws" { upgrade } else { "" };
        let before = backend.requests().len();
        // The order of a client that is not explain: its own headers, then Host, then the rest.
        let head = format!("GET /{path} HTTP/1.1\r\n{headers}Host: {host}\r\n{socket}\r\n");
        let mut client = gripd.client();
        client.send(head);
        client.head();
        backend.wait_requests(before + 1);
        let got = backend.last();

        let mut words = vec!["explain", url];
        for line in headers.lines() {
            words.extend(["-H", line]);
        }
        let whole = folder.run(&words).out;
        let mark = format!("{address} (without TLS) would be sent");
        let (_, told) = whole.split_once(&mark).unwrap();
        // A target that is down would be sent the same before.
        let sent = if told.starts_with(" the same") {
            &whole
        } else {
            told
        };
        let (_, sent) = sent.split_once(":\n\n").unwrap();
        assert_eq!(plain(sent), plain(&got.head.raw), "{url} {headers:?}");
    }
}
