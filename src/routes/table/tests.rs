//! Which line wins, and which lines are left out.

use super::*;

const TARGET: &str = "127.0.0.1:18290";

fn table(lines: &[&str]) -> (Table, Vec<String>) {
    let text = lines.join("\n").replace(" A", " a:1").replace(" B", " b:1");
    let (table, faults) = Table::parse("routes", &format!("{text}\n* any:1\n"), Path::new("."));
    (table, faults.iter().map(ToString::to_string).collect())
}

fn chosen(table: &Table, host: &str, path: &str) -> Option<String> {
    found(table, host, path, false, false)
}

fn found(table: &Table, host: &str, path: &str, websocket: bool, tls: bool) -> Option<String> {
    let query = Query {
        host,
        path,
        websocket,
        tls,
    };
    table
        .find(&query)
        .map(|route| format!("{:?}", route.targets[0].address))
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "compared with what may be missing"
)]
fn to(name: &str) -> Option<String> {
    Some(format!("Host(\"{name}\", 1)"))
}

#[test]
fn the_best_line_wins() {
    // Lines (before `* any:1`), host, path, the first target's name.
    let cases: &[(&[&str], &str, &str, Option<&str>)] = &[
        (
            &["exact.test,path_beg=/only B"],
            "exact.test",
            "/other",
            None,
        ),
        (
            &["exact.test,path_beg=/only B"],
            "exact.test",
            "/only",
            Some("b"),
        ),
        (
            &["p.test A", "p.test,proto=http B"],
            "p.test",
            "/",
            Some("b"),
        ),
        (
            &["p.test,proto=http B", "p.test A"],
            "p.test",
            "/",
            Some("b"),
        ),
        (
            &["o.test,path_beg=/a/,proto=ws A", "o.test B"],
            "o.test",
            "/x",
            Some("b"),
        ),
        (
            &["s.test,path_beg=/long/path A", "s.test,ssl=no B"],
            "s.test",
            "/long/path",
            Some("b"),
        ),
        (
            &["r.test,ssl=no B", "r.test,path_beg=/long/path A"],
            "r.test",
            "/long/path",
            Some("a"),
        ),
        (&["Mixed.Test B"], "mixed.test", "/", Some("any")),
        (
            &["*,path_beg=/dup A", "*,path_beg=/dup B"],
            "h",
            "/dup",
            Some("a"),
        ),
        (&["path_beg=/nodom B"], "h", "/nodom", Some("any")),
        (&["\"quoted.test\" B"], "quoted.test", "/", Some("b")),
        (&["*,path_beg=/unk,foo=1 A,bar=2"], "h", "/unk", Some("a")),
        (&["*,path_beg=/x,path_rem=x A#c"], "h", "/x", Some("a")),
        (&["*,path_beg=/rep/ B"], "h", "/rep", Some("any")),
        (&["*,path_beg=/rep/ B"], "h", "/REP/x", Some("any")),
        (
            &["*,path_beg=/a A", "*,path_beg=/a/b B"],
            "h",
            "/a/b/c",
            Some("b"),
        ),
        (
            &["*,path_beg=/a/b B", "*,path_beg=/a A"],
            "h",
            "/a/b/c",
            Some("b"),
        ),
        (&["\u{feff}bom.test B"], "bom.test", "/", Some("b")),
        (&["crlf.test B\r"], "crlf.test", "/", Some("b")),
    ];
    for (lines, host, path, expected) in cases {
        let (table, _) = table(lines);
        assert_eq!(
            chosen(&table, host, path),
            expected.and_then(to),
            "{lines:?} {host} {path}"
        );
    }
}

#[test]
fn proto_and_tls_are_conditions() {
    let (table, _) = table(&["c.test,proto=ws A", "c.test,ssl=yes B"]);
    assert_eq!(found(&table, "c.test", "/", true, false), to("a"));
    assert_eq!(found(&table, "c.test", "/", true, true), to("a"));
    assert_eq!(found(&table, "c.test", "/", false, true), to("b"));
    assert_eq!(found(&table, "c.test", "/", false, false), None);
}

#[test]
fn ids_lead_to_routes() {
    let (table, _) = table(&[
        ",id=onlyid B",
        "*,path_beg=/idr,id=myid A",
        "i.test,id=shared A",
        "j.test,id=shared B",
        "path_beg=/nodom B",
    ]);
    let name = |id: &str, path: &str| match table.by_id(id, path) {
        IdMatch::Found(route) => format!("{:?}", route.targets[0].address),
        other => format!("{other:?}"),
    };
    assert_eq!(Some(name("onlyid", "/zz")), to("b"));
    assert_eq!(name("nope", "/"), "Unknown");
    assert_eq!(name("myid", "/zz"), "OtherPath");
    assert_eq!(Some(name("myid", "/idr/1")), to("a"));
    assert_eq!(name("shared", "/"), "Shared");
    assert_eq!(
        chosen(&table, "j.test", "/"),
        to("b"),
        "a shared id keeps its host"
    );
    assert_eq!(Some(name("*,*,*,/nodom", "/nodom")), to("b"));
    assert_eq!(Some(name("*,*,*,*", "/")), to("any"));
}

#[test]
fn id_only_routes_with_different_ids_are_no_duplicates() {
    let (table, faults) = table(&[",id=a A", ",id=b B"]);
    assert_eq!(faults, [""; 0]);
    assert!(matches!(table.by_id("b", "/"), IdMatch::Found(_)));
}

#[test]
fn a_bad_line_alone_is_left_out() {
    let text = format!(
        "bad line,=x {TARGET}\n*,path_beg= {TARGET}\n*,proto=ftp {TARGET}\nsolo\n\
         *,path_beg=/p h:99999\n*,path_beg=/q h\n*,path_beg=/dup {TARGET}\n\
         *,path_beg=/dup {TARGET}\n* {TARGET}\n"
    );
    let (table, faults) = Table::parse("routes", &text, Path::new("."));
    let places: Vec<_> = faults.iter().map(|f| (f.line, f.column)).collect();
    assert_eq!(
        places,
        [(1, 10), (2, 3), (3, 3), (4, 1), (5, 15), (6, 15), (8, 1)]
    );
    assert!(faults.iter().all(Fault::is_error), "{faults:?}");
    assert_eq!(table.routes().len(), 2);
    assert!(chosen(&table, "h", "/p").is_some(), "the last line serves");
}

#[test]
fn a_key_that_cannot_sign_is_an_error_and_the_route_serves() {
    let text = "* a:1\nb.test,sig_key=ok,sig_key=base64:@@@ b:1\nc.test,sig_key=file:no.pem c:1\n\
                d.test,sig_key=base64:AAEC d:1\n";
    let (table, faults) = Table::parse("routes", text, Path::new("no/such/folder"));
    let places: Vec<_> = faults.iter().map(|f| (f.line, f.column)).collect();
    assert_eq!(places, [(2, 19), (3, 8)]);
    for (fault, part) in faults.iter().zip(["base64", "no/such/folder/no.pem"]) {
        assert!(fault.is_error());
        assert!(fault.message.contains(part), "{fault}");
        assert!(
            fault.message.contains("allowed: text, base64:..."),
            "{fault}"
        );
    }
    assert_eq!(chosen(&table, "b.test", "/"), to("b"));
    assert_eq!(chosen(&table, "c.test", "/"), to("c"));
}

#[test]
fn nothing_usable_is_an_empty_table_and_an_error() {
    for text in ["", "# only a comment\n\n"] {
        let (table, faults) = Table::parse("routes", text, Path::new("."));
        assert_eq!(chosen(&table, "h", "/"), None);
        assert_eq!(faults.len(), 1, "{text:?}");
        assert!(faults[0].is_error());
    }
}

#[test]
fn no_lines_and_no_file_is_the_test_target() {
    let (table, faults) = Table::load(&RouteSource::default()).unwrap();
    assert_eq!(faults, []);
    assert_eq!(chosen(&table, "h", "/").as_deref(), Some("Test"));
}

#[test]
fn nothing_at_all_is_the_welcome_page() {
    let source = RouteSource {
        welcome: true,
        ..RouteSource::default()
    };
    let (table, faults) = Table::load(&source).unwrap();
    assert_eq!(faults, []);
    for (host, path) in [("h", "/"), ("localhost", "/stream"), ("[::1]", "/any/path")] {
        assert_eq!(chosen(&table, host, path).as_deref(), Some("Welcome"));
    }
}

#[test]
fn lines_hide_the_file_and_are_counted() {
    let source = RouteSource {
        lines: vec!["* B:1".into(), "z.test,path_beg=/q".into()],
        lines_from: "--route".into(),
        file: Some("does-not-exist".into()),
        ..RouteSource::default()
    };
    let (table, faults) = Table::load(&source).unwrap();
    assert_eq!(table.routes().len(), 1);
    assert!(
        faults[0].to_string().starts_with("--route:2:1: "),
        "{}",
        faults[0]
    );
}

#[test]
fn a_missing_file_is_named() {
    let source = RouteSource {
        file: Some("does-not-exist".into()),
        ..RouteSource::default()
    };
    let error = Table::load(&source).unwrap_err().to_string();
    assert!(error.starts_with("does-not-exist: "), "{error}");
}
