//! Routes: which backend a request goes to, and what the route does to it on the way.
#![cfg(feature = "server")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests fail by panicking"
)]

mod support;

use support::{Backend, DeadPort, Gripd, Head, Setup};

/// gripd with these routes, where `A` and `B` stand for two backends that say their letter and
/// `D` for an address nobody listens on.
struct Lines {
    gripd: Gripd,
    a: Backend,
    b: Backend,
    _d: DeadPort,
}

impl Lines {
    fn new(lines: &[&str]) -> Self {
        Self::with(lines, |c| c)
    }

    fn with(lines: &[&str], more: impl FnOnce(Setup) -> Setup) -> Self {
        let (a, b, d) = (Backend::saying("A"), Backend::saying("B"), DeadPort::new());
        let gripd = Gripd::start(|mut c| {
            for line in lines {
                let line: Vec<String> = line
                    .split(' ')
                    .map(|word| {
                        let (name, options) = match word.split_once([',', '#']) {
                            Some((name, _)) => word.split_at(name.len()),
                            None => (word, ""),
                        };
                        match name {
                            "A" => format!("{}{options}", a.addr),
                            "B" => format!("{}{options}", b.addr),
                            "D" => format!("{}{options}", d.addr),
                            _ => word.to_owned(),
                        }
                    })
                    .collect();
                c = c.route(line.join(" "));
            }
            more(c)
        });
        Self { gripd, a, b, _d: d }
    }

    /// Status, who answered, and what it was asked.
    fn ask(&self, host: &str, path: &str, headers: &[&str]) -> (u16, String, Option<Head>) {
        let host = format!("Host: {host}");
        let mut all = vec![host.as_str()];
        all.extend_from_slice(headers);
        let mut client = self.gripd.client();
        client.request("GET", path, &all, "");
        let response = client.response();
        let seen = match response.text().as_str() {
            "A" => Some(self.a.last().head),
            "B" => Some(self.b.last().head),
            _ => None,
        };
        (response.status(), response.text(), seen)
    }

    /// What the backend sees of a `GET` of `h.test`.
    fn seen(&self, path: &str, headers: &[&str]) -> Head {
        let (status, text, seen) = self.ask("h.test", path, headers);
        assert_eq!(status, 200, "{path}: {text}");
        seen.expect("a backend answered")
    }
}

/// Vectors 1, 2, 11 to 14, 17 to 19, 24, 26, 28 and 29.
#[test]
fn the_best_rule_is_chosen() {
    let lines = Lines::new(&[
        "* A",
        "*,path_beg=/dead/ D",
        "*,path_beg=/fail/ D B",
        "exact.test,path_beg=/only B",
        "p.test A",
        "p.test,proto=http B",
        "o.test,path_beg=/a/,proto=ws A",
        "o.test B",
        "Mixed.Test B",
        "*,path_beg=/dup A",
        "*,path_beg=/dup B",
        "path_beg=/nodom B",
        "\"quoted.test\" B",
        "*,path_beg=/unk,foo=1 B,bar=2",
        "*,path_beg=/note,path_rem=x B#c",
        "*,path_beg=/long A",
        "*,path_beg=/long/er B",
        "*,path_beg=/last,path_beg=/wins B",
    ]);
    let rows = [
        ("h.test", "/x", "A"),
        ("h.test", "/fail/x", "B"),
        ("exact.test", "/only", "B"),
        ("exact.test", "/only/more", "B"),
        ("p.test", "/", "B"),
        ("P.TEST:88", "/", "B"),
        ("o.test", "/x", "B"),
        ("mixed.test", "/", "A"),
        ("Mixed.Test", "/", "A"),
        ("h.test", "/dup", "A"),
        ("h.test", "/nodom", "A"),
        ("quoted.test", "/", "B"),
        ("h.test", "/unk", "B"),
        ("h.test", "/note", "B"),
        ("h.test", "/long", "A"),
        ("h.test", "/longer", "A"),
        ("h.test", "/long/er", "B"),
        ("h.test", "/LONG/er", "A"),
        ("h.test", "/last", "A"),
        ("h.test", "/wins", "B"),
    ];
    for (host, path, who) in rows {
        let (status, text, seen) = lines.ask(host, path, &[]);
        assert_eq!((status, text.as_str()), (200, who), "{host} {path}");
        assert_eq!(seen.unwrap().target(), path);
    }
    assert_eq!(
        lines.ask("exact.test", "/other", &[]).0,
        502,
        "no fall-back to *"
    );
    assert_eq!(lines.ask("h.test", "/dead/x", &[]).0, 502);
    lines.gripd.wait_log("same condition");
}

/// Vectors 20 to 24.
#[test]
fn a_client_may_name_its_route_when_allowed() {
    let lines = Lines::with(
        &[
            "* A",
            ",id=onlyid B",
            "*,path_beg=/idr,id=myid B",
            "i.test,id=shared A",
            "j.test,id=shared B",
            "path_beg=/nodom B",
        ],
        |c| c.set("PROXY_ACCEPT_PUSHPIN_ROUTE", "true"),
    );
    let ask = |host: &str, path: &str, route: &str| {
        lines.ask(host, path, &[&format!("Pushpin-Route: {route}")])
    };
    let (status, text, seen) = ask("h.test", "/zz", "onlyid");
    assert_eq!((status, text.as_str()), (200, "B"));
    assert!(!seen.unwrap().has("Pushpin-Route"));
    assert_eq!(ask("h.test", "/zz", "nope").0, 502);
    assert_eq!(ask("h.test", "/zz", "myid").0, 502, "its path does not fit");
    assert_eq!(ask("h.test", "/idr", "myid").1, "B");
    assert_eq!(
        ask("j.test", "/", "shared").0,
        502,
        "two rules have that id"
    );
    assert_eq!(lines.ask("j.test", "/", &[]).1, "B", "by host both work");
    assert_eq!(ask("h.test", "/zz", "").1, "A");
    assert_eq!(
        ask("h.test", "/nodom", "*,*,*,/nodom").1,
        "B",
        "a made-up id"
    );

    let closed = Lines::new(&["* A", ",id=onlyid B"]);
    let (_, text, seen) = closed.ask("h.test", "/", &["Pushpin-Route: onlyid"]);
    assert_eq!(text, "A", "not allowed by default");
    assert!(seen.unwrap().has("Pushpin-Route"));
}

/// Vectors 32 to 35.
#[test]
fn paths_are_rewritten() {
    let lines = Lines::new(&[
        "* A",
        "*,path_beg=/rem,path_rem=4 A",
        "*,path_beg=/rep/,replace_beg=/new/x/ A",
        "*,path_beg=/emptyv,path_rem=,replace_beg=zz A",
        "*,path_beg=/pr2,path_rem=3,path_beg=/pr A",
        "*,path_beg=/neg,path_rem=-1 A",
    ]);
    for (path, seen) in [
        ("/rem/abc?q=1", "/abc?q=1"),
        ("/rem", "/"),
        ("/rem?q", "/?q"),
        ("/rep/abc?q=1", "/new/x/abc?q=1"),
        ("/emptyv/q", "/zz/q"),
        ("/pr2/abc", "/2/abc"),
        ("/neg/x", "/neg/x"),
    ] {
        assert_eq!(lines.seen(path, &[]).target(), seen, "{path}");
    }
}

/// Vectors 36 and 37.
#[test]
fn hosts_are_rewritten() {
    let lines = Lines::new(&[
        "* A",
        "*,path_beg=/ash,as_host=as.example:81 A",
        "*,path_beg=/both,as_host=as.example A,host=t.example:8080",
    ]);
    for (path, host) in [
        ("/", "h.test"),
        ("/ash", "as.example:81"),
        ("/both", "t.example:8080"),
    ] {
        assert_eq!(lines.seen(path, &[]).all("Host"), [host], "{path}");
    }
}

/// Vector 38, and a part of 39.
#[test]
fn headers_of_the_route_are_set() {
    let lines = Lines::new(&[
        "* A",
        "*,path_beg=/hdr,header=X-Add:v1,header=\"X-Two: a b\",header=X-Del:,header=X-Rep:r1,header=X-Rep:r2 A",
        "*,path_beg=/own,header=Host:evil,header=Grip-Sig:mine A",
    ]);
    let head = lines.seen("/hdr", &["X-Del: zz", "X-Rep: orig"]);
    assert_eq!(head.all("X-Rep"), ["r1"]);
    assert_eq!(head.all("X-Two"), ["a b"]);
    assert_eq!(head.all("X-Add"), ["v1"]);
    assert!(!head.has("X-Del"));
    let order: Vec<&str> = head
        .lines()
        .map(|(n, _)| n)
        .filter(|n| n.starts_with("X-"))
        .collect();
    assert_eq!(order, ["X-Rep", "X-Two", "X-Add"]);
    let head = lines.seen("/own", &[]);
    assert_eq!(head.all("Host"), ["h.test"]);
    assert_ne!(head.get("Grip-Sig"), Some("mine"));
}

/// Vector 46.
#[test]
fn a_route_without_grip_adds_and_trusts_none_of_it() {
    let lines = Lines::new(&["* A", "*,path_beg=/nogrip,no_grip A"]);
    let head = lines.seen("/nogrip", &["Grip-Sig: x", "Grip-Foo: y"]);
    assert_eq!(head.names_from("Grip-"), [""; 0]);
    assert!(lines.seen("/", &[]).has("Grip-Sig"));
}

/// Vector 25.
#[test]
fn an_ipv6_target_works() {
    let listener = std::net::TcpListener::bind("[::1]:0").expect("loopback has IPv6");
    let backend = Backend::on(listener, false, |_, reply| reply.ok("", "six"));
    let gripd = Gripd::before(&backend);
    assert_eq!(gripd.fetch("/").text(), "six");
}

#[test]
fn a_dead_target_is_named_in_debug_of_its_route() {
    let dead = DeadPort::new();
    let gripd = Gripd::start(|c| {
        c.route(format!("*,debug {}", dead.addr))
            .route(format!("*,path_beg=/quiet {}", dead.addr))
            .route("*,path_beg=/name,debug no-such-host.invalid:80")
    });
    let address = dead.addr.to_string();
    assert!(gripd.fetch("/").text().contains(&address));
    let quiet = gripd.fetch("/quiet");
    assert_eq!(quiet.status(), 502);
    assert!(!quiet.text().contains(&address));
    assert_eq!(gripd.fetch("/name").status(), 502);
}

/// Vector 27.
#[test]
fn bad_lines_are_left_out_one_by_one() {
    let backend = Backend::saying("ok");
    let text = format!(
        "bad line,=x {a}\n*,path_beg= {a}\n*,proto=ftp {a}\nsolo\n*,path_beg=/p h:99999\n\
         *,path_beg=/q h\n*,path_beg=/r,header=x {a}\n*,path_beg=/s \"{a}\n* {a}\n",
        a = backend.addr
    );
    let gripd = Gripd::start(|c| c.file("routes", &text));
    assert_eq!(gripd.fetch("/").text(), "ok");
    for line in 1..=8 {
        gripd.wait_log(&format!("routes:{line}:"));
    }
    assert!(!gripd.log().contains("routes:9:"));
}

#[test]
fn the_test_target_answers_by_itself() {
    let gripd = Gripd::start(|c| c.route("* test").route("*,path_beg=/below/ test"));
    assert_eq!(gripd.fetch("/").status(), 200);
    assert_eq!(gripd.fetch("/below/").status(), 200);
    assert_eq!(gripd.fetch("/nothing").status(), 404);
    let mut stream = gripd.get("/stream");
    assert!(stream.head().is_chunked());
    stream.chunk();
    gripd.push("test", "x");
    stream.expect_stream("x");
    let mut own = gripd.get("/below/stream?channel=mine&channel=other");
    assert!(own.head().is_chunked());
    own.chunk();
    assert_eq!(gripd.push("mine", "y"), 1);
    gripd.push("other", "z");
    own.expect_stream("yz");
    let mut poll = gripd.get("/response");
    gripd.wait_subscribers("test", "http-response", 1);
    gripd.answer_polls("test", "news");
    assert_eq!(poll.response().text(), "news");
}

#[test]
fn a_refusal_says_in_debug_what_was_tried() {
    let lines = Lines::with(
        &[
            "exact.test,path_beg=/only B",
            "other.test,proto=ws A",
            "here.test,id=here A,untrusted",
            ",id=onlyid,path_beg=/in B",
        ],
        |c| c.debug().set("PROXY_ACCEPT_PUSHPIN_ROUTE", "true"),
    );
    for (host, headers, said) in [
        ("exact.test", &[][..], "tried: exact.test,path_beg=/only"),
        (
            "other.test",
            &[],
            "(plain HTTP without TLS); tried: other.test,proto=ws",
        ),
        (
            "none.test",
            &[],
            "no line names this host, and there is no `*` line",
        ),
        ("h.test", &["Pushpin-Route: nope"], "no line has the id"),
        ("h.test", &["Pushpin-Route: onlyid"], "another path_beg"),
        ("here.test", &[], "(Route here, target 127.0.0.1:"),
    ] {
        let (status, text, _) = lines.ask(host, "/x", headers);
        assert_eq!(status, 502);
        assert!(text.contains(said), "{host}: {text}");
    }
}
