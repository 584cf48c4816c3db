//! Vectors 1, 2, 11 to 31: which line of the routes a request takes.

use std::fs;

use crate::{
    Lines,
    support::{Backend, Gripd, eventually},
};

/// A row without a number of its own has 0.
#[test]
fn v001_v002_v011_to_v014_v017_to_v019_v024_v026_v028_v029_the_best_rule_is_chosen() {
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
        (0, "h.test", "/x", "A", "h.test"),
        (2, "h.test", "/fail/x", "B", "h.test"),
        (12, "exact.test", "/only", "B", "exact.test"),
        (12, "exact.test", "/only/more", "B", "exact.test"),
        (13, "p.test", "/", "B", "p.test"),
        (18, "P.TEST:88", "/", "B", "p.test:88"),
        (14, "o.test", "/x", "B", "o.test"),
        (17, "mixed.test", "/", "A", "mixed.test"),
        (17, "Mixed.Test", "/", "A", "mixed.test"),
        (19, "h.test", "/dup", "A", "h.test"),
        (24, "h.test", "/nodom", "A", "h.test"),
        (26, "quoted.test", "/", "B", "quoted.test"),
        (28, "h.test", "/unk", "B", "h.test"),
        (29, "h.test", "/note", "B", "h.test"),
        (0, "h.test", "/long", "A", "h.test"),
        (0, "h.test", "/longer", "A", "h.test"),
        (0, "h.test", "/long/er", "B", "h.test"),
        (0, "h.test", "/LONG/er", "A", "h.test"),
        (0, "h.test", "/last", "A", "h.test"),
        (0, "h.test", "/wins", "B", "h.test"),
    ];
    for (number, host, path, who, sent) in rows {
        let (status, text, seen) = lines.ask(host, path, &[]);
        let seen = seen.expect("a backend answered");
        assert_eq!(
            (status, text.as_str()),
            (200, who),
            "{number}: {host} {path}"
        );
        assert_eq!(
            (seen.target(), seen.all("Host")),
            (path, vec![sent]),
            "{number}"
        );
    }
    // 11: no line of the host fits, and those of `*` are not asked.
    assert_eq!(lines.ask("exact.test", "/other", &[]).0, 502);
    assert!(lines.ask("exact.test", "/other", &[]).1.contains("route"));
    // 1.
    assert_eq!(lines.ask("h.test", "/dead/x", &[]).0, 502);
    // 19.
    lines.gripd.wait_log("same condition");
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
fn v020_to_v024_a_client_may_name_its_route_when_allowed() {
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

#[test]
fn v025_an_ipv6_target_works() {
    let listener = std::net::TcpListener::bind("[::1]:0").expect("loopback has IPv6");
    let backend = Backend::on(listener, false, |_, reply| reply.ok("", "six"));
    let gripd = Gripd::before(&backend);
    assert_eq!(gripd.fetch("/").text(), "six");
}

#[test]
fn v027_bad_lines_are_left_out_one_by_one() {
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
fn v030_a_line_added_is_in_use_and_a_file_deleted_changes_nothing() {
    let (a, b) = (Backend::saying("A"), Backend::saying("B"));
    let text = format!("* {}\n", a.addr);
    let gripd = Gripd::start(|c| c.file("routes", &text));
    assert_eq!(gripd.fetch("/new").text(), "A");
    let file = gripd.dir().join("routes");
    let more = format!("{text}*,path_beg=/new {}\n", b.addr);
    fs::write(&file, more).unwrap();
    eventually("the new line is in use", || {
        gripd.fetch("/new").text() == "B"
    });
    let start = gripd.log().len();
    fs::remove_file(&file).unwrap();
    gripd.wait_log_from(start, "the old table of routes stays");
    assert_eq!(gripd.fetch("/new").text(), "B");
    assert_eq!(gripd.fetch("/").text(), "A");
}

#[test]
fn v031_lines_of_the_command_hide_the_file() {
    let (a, b) = (Backend::saying("A"), Backend::saying("B"));
    let gripd = Gripd::start(|c| {
        c.route(format!("* {}", b.addr))
            .route(format!("z.test,path_beg=/q {}", a.addr))
            .file("routes", &format!("h.test {}\n", a.addr))
    });
    for (host, path, who) in [("h.test", "/", "B"), ("z.test", "/qq", "A")] {
        let mut client = gripd.client();
        client.request("GET", path, &[&format!("Host: {host}")], "");
        assert_eq!(client.response().text(), who, "{host}");
    }
}

// ---- beyond the vectors ---------------------------------------------------------------------

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
