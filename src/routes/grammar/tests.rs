//! Lines as users write them, lines as they get them wrong, and any line at all.

use proptest::prelude::*;

use super::*;
use crate::grip::overflow::OnOverflow;

fn parsed(line: &str) -> Parsed {
    match parse_line(line) {
        Ok(Some(parsed)) => parsed,
        other => panic!("{line}: {other:?}"),
    }
}

fn route(line: &str) -> Route {
    parsed(line).route
}

#[test]
fn addresses() {
    let host = |name: &str, port| Address::Host(name.into(), port);
    for (text, expected) in [
        ("127.0.0.1:80", host("127.0.0.1", 80)),
        ("app:8000", host("app", 8000)),
        ("[::1]:65535", host("::1", 65535)),
        ("test", Address::Test),
        ("unix:/run/app.sock", Address::Unix("/run/app.sock".into())),
        ("127.0.0.1:80#note", host("127.0.0.1", 80)),
        (
            "zhttp/tcp://127.0.0.1:5555",
            Address::Zhttp("tcp://127.0.0.1:5555".into()),
        ),
        ("zhttpreq/ipc://x", Address::ZhttpReq("ipc://x".into())),
    ] {
        assert_eq!(
            route(&format!("* {text}")).targets[0].address,
            expected,
            "{text}"
        );
    }
}

/// Each line has one fault, at this column, with this message.
fn assert_faults(cases: &[(&str, usize, &str)]) {
    for &(line, column, what) in cases {
        let error = parse_line(line).unwrap_err();
        let found = (error.column, error.what.as_str());
        assert_eq!(found, (column, what), "{line:?}");
        assert!(!error.allowed.is_empty(), "{line:?}");
    }
}

#[test]
fn faults_of_structure_and_targets() {
    assert_faults(&[
        ("solo", 1, "condition without a target"),
        ("  solo", 3, "condition without a target"),
        ("* h", 3, "target without a port"),
        ("* 8000", 3, "target without a host"),
        ("* *:80", 3, "target without a usable host"),
        (
            "* h:80/path",
            3,
            "target with a path (path_rem and replace_beg change it)",
        ),
        (
            "* h:80 over_http",
            8,
            "an option behind a space (it follows a comma)",
        ),
        ("* welcome", 3, "target without a port"),
        ("* h:0", 3, "target port is not a number from 1 to 65535"),
        (
            "* h:99999",
            3,
            "target port is not a number from 1 to 65535",
        ),
        ("* :80", 3, "target without a usable host"),
        ("* [zz]:80", 3, "target without a usable host"),
        ("* http://127.0.0.1:8000", 3, "target with a scheme"),
        (
            "* zhttp/x",
            3,
            "zhttp target without a transport such as tcp:// or ipc://",
        ),
        ("* ssl=1", 3, "target without an address"),
        (
            "* unix:app",
            3,
            "unix target without a path that begins with / and has at most 107 bytes",
        ),
        (
            "* h:1,ssl,client_key=k",
            11,
            "client_key without client_cert",
        ),
        ("*,, h:1", 3, "option without a name"),
        ("*, h:1", 3, "option without a name"),
        ("*,=x h:1", 3, "option without a name"),
    ]);
}

#[test]
fn faults_of_options() {
    assert_faults(&[
        ("*,path_beg= h:1", 3, "empty path_beg"),
        ("*,debug,proto=ftp h:1", 9, "unknown proto"),
        ("*,ssl h:1", 3, "unknown ssl"),
        ("*,balance=random h:1", 3, "unknown balance"),
        ("*,check=up h:1", 3, "check without a path"),
        (
            "* h:1,max_connections=0",
            7,
            "max_connections is not a count",
        ),
        ("*,jsonp_mode=x h:1", 3, "unknown jsonp_mode"),
        (
            "*,jsonp_defcb=f(1) h:1",
            3,
            "jsonp_defcb is no function's name",
        ),
        (
            "*,jsonp_defmethod=\"A B\" h:1",
            3,
            "jsonp_defmethod is no method",
        ),
        ("*,header=X h:1", 3, "header without a colon"),
        (
            "*,header=:v h:1",
            3,
            "header with a name that cannot be sent",
        ),
        (
            "*,header=\"X Y:v\" h:1",
            3,
            "header with a name that cannot be sent",
        ),
        (
            "*,header=\"X:a\u{1}b\" h:1",
            3,
            "header with a control character in its value",
        ),
        (
            "*,header=X:a\rB:c h:1",
            13,
            "a line end or NUL inside the line",
        ),
        (
            "*,header=X:a\nB:c h:1",
            13,
            "a line end or NUL inside the line",
        ),
        (
            "*,header=X:a\0 h:1",
            13,
            "a line end or NUL inside the line",
        ),
        (
            "*,replace_beg=\"/a b\" h:1",
            3,
            "replace_beg holds a character no path may have",
        ),
        ("*,as_host=http://x h:1", 3, "`as_host` is not a host"),
        ("* h:1,host=\"a b\"", 7, "`host` is not a host"),
        ("*,path_beg=\"/a h:1", 12, "quote never closed"),
        (
            "*,path_beg=\"/\\n\" h:1",
            14,
            "unknown escape inside quotes",
        ),
        (
            "*,connect_timeout=0 h:1",
            3,
            "`connect_timeout` is not a time",
        ),
        ("*,idle_timeout=nan h:1", 3, "`idle_timeout` is not a time"),
        (
            "*,path_beg=/tab\th:1",
            1,
            "condition without a target (only spaces separate; a tab is an ordinary character)",
        ),
    ]);
}

#[test]
fn every_option_of_a_condition_is_read() {
    let line = "h.test,id=i,proto=ws,ssl=yes,path_beg=/p,sig_iss=me,sig_key=\"k,1\",prefix=x-,\
                orig_headers,as_host=a:81,path_rem=4,replace_beg=/n,debug=,aco_preflight,jsonp_mode=basic,\
                jsonp_cb=cb,jsonp_body=bd,jsonp_defcb=d,jsonp_defmethod=PUT,session,sockjs=/s,\
                sockjs_as_path=/t,header=\"A: b c\",no_grip,log_level=2,overflow=latest,balance=round-robin,check=/up,connect_timeout=0.5,\
                response_timeout=30,idle_timeout=7 test";
    let text = |s: &str| Some(s.to_owned());
    assert_eq!(
        route(line),
        Route {
            domain: Domain::Host("h.test".into()),
            proto: Some(Proto::WebSocket),
            ssl: Some(true),
            path_beg: "/p".into(),
            id: text("i"),
            sig_iss: text("me"),
            sig_key: text("k,1"),
            prefix: "x-".into(),
            orig_headers: true,
            as_host: text("a:81"),
            path_rem: 4,
            replace_beg: text("/n"),
            debug: true,
            auto_cross_origin: true,
            preflight: true,
            jsonp: JsonP {
                mode: Mode::Basic,
                callback: text("cb"),
                body: text("bd"),
                default_callback: text("d"),
                default_method: text("PUT"),
            },
            session: true,
            sockjs: text("/s"),
            sockjs_as_path: text("/t"),
            headers: vec![("A".into(), "b c".into())],
            no_grip: true,
            log_level: Some(2),
            overflow: Some(OnOverflow::Latest),
            balance: Some(Balance::RoundRobin),
            check: text("/up"),
            timeouts: RouteTimeouts {
                connect: Some(Duration::from_millis(500)),
                response: Some(Duration::from_secs(30)),
                idle: Some(Duration::from_secs(7)),
            },
            targets: vec![Target::default()],
        }
    );
}

#[test]
fn every_option_of_a_target_is_read() {
    let line = "* test h:1,ssl,untrusted,trust_connect_host,insecure,host=x:8080,sub=a,sub=,sub=b,\
                over_http,one_event,ipc_file_mode=770,client_cert=c.pem,client_key=k.pem,max_connections=8";
    assert_eq!(
        route(line).targets[1],
        Target {
            address: Address::Host("h".into(), 1),
            ssl: true,
            untrusted: true,
            trust_connect_host: true,
            insecure: true,
            host: Some("x:8080".into()),
            subs: vec!["a".into(), "b".into()],
            over_http: true,
            one_event: true,
            ipc_file_mode: Some(0o770),
            max_connections: Some(8),
            client_cert: Some("c.pem".into()),
            client_key: Some("k.pem".into()),
        }
    );
}

#[test]
fn the_last_of_an_option_counts_and_headers_come_in_reverse() {
    let route = route("*,path_beg=/a,path_beg=/b,header=X:1,header=Y:,header=X:2 test");
    assert_eq!(route.path_beg, "/b");
    let headers: Vec<_> = route
        .headers
        .iter()
        .map(|(n, v)| (n.as_str(), v.as_str()))
        .collect();
    assert_eq!(headers, [("X", "2"), ("Y", ""), ("X", "1")]);
}

#[test]
fn a_first_option_needs_no_comma() {
    assert_eq!(route("id=x h:1"), route(",id=x h:1"));
    assert_eq!(route("\"id=x\" h:1"), route(",id=x h:1"));
    assert_eq!(route("id=x h:1").domain, Domain::IdOnly);
}

#[test]
fn blanks_and_comments_are_nothing() {
    for line in ["", "   ", "# * test", "  # x", "\r"] {
        assert_eq!(parse_line(line), Ok(None), "{line:?}");
    }
}

#[test]
fn notes_name_what_has_no_effect() {
    for (line, column, part) in [
        (
            "*,foo=1 test",
            3,
            "unknown option `foo` of a condition: ignored",
        ),
        ("*,over_http test", 3, "it belongs behind a target"),
        ("* test,debug", 8, "it belongs behind the condition"),
        (
            "* h:1,insecure",
            7,
            "`insecure` has no effect without `ssl`",
        ),
        ("*,session test", 3, "`session` is not in gripd yet"),
        ("*,log_level=9 test", 3, "log_level is not a number"),
        ("*,path_rem=x test", 3, "path_rem is not a number"),
        ("Mixed.Test test", 1, "lower case"),
        ("h.test:80 test", 1, "without their port"),
        ("*.test test", 1, "no wildcards"),
        ("/api test", 1, "`*,path_beg=/...`"),
        ("*,path_beg=nope test", 3, "never matches"),
        ("* zhttp/ipc://x", 3, "zhttp targets are not in gripd yet"),
    ] {
        let notes = parsed(line).notes;
        assert_eq!(notes.len(), 1, "{line}: {notes:?}");
        assert_eq!(notes[0].column, column, "{line}");
        assert!(notes[0].text.contains(part), "{line}: {}", notes[0].text);
    }
}

#[test]
fn what_works_makes_no_note() {
    let line = "h.test,id=i,path_beg=/p,proto=http,ssl=no,prefix=x,as_host=a,path_rem=1,\
                replace_beg=/q,header=A:b,debug,no_grip,sig_iss=i,sig_key=k,connect_timeout=1,\
                response_timeout=1,idle_timeout=1,orig_headers,log_level=-1 h:1,host=b,sub=c,untrusted,over_http,\
                one_event,ssl,insecure,trust_connect_host,client_cert=c,client_key=k unix:/x";
    assert_eq!(parsed(line).notes, []);
}

#[test]
fn made_up_ids_are_pushpins() {
    for (line, key) in [
        ("* test", "*,*,*,*"),
        ("path_beg=/nodom test", "*,*,*,/nodom"),
        (
            "h.test,proto=ws,ssl=no,path_beg=/p test",
            "h.test,ws,ssl,/p",
        ),
        ("h.test,proto=http,ssl=yes test", "h.test,http,no-ssl,*"),
        ("h.test,id=mine test", "mine"),
    ] {
        assert_eq!(route(line).key(), key);
    }
}

proptest! {
    #[test]
    fn no_line_panics(line in "\\PC*") {
        let _ = parse_line(&line);
    }

    #[test]
    fn no_line_of_grammar_like_pieces_panics(
        pieces in prop::collection::vec(
            prop::sample::select(vec![
                "*", " ", ",", "=", "\"", "\\", "#", "header=", "path_beg=/", "test", "h:1",
                "[::1]:2", "zhttp/", "ssl", "\t", "\r", "\0", "é", "host=", "path_rem=",
            ]),
            0..24,
        )
    ) {
        let line = pieces.concat();
        if let Ok(Some(parsed)) = parse_line(&line) {
            prop_assert!(!parsed.route.targets.is_empty());
        }
        // What is shown of a line without secrets says the same.
        let (shown, hidden) = masked(&line);
        if !hidden {
            prop_assert_eq!(parse_line(&shown).ok(), parse_line(&line).ok());
        }
    }

    #[test]
    fn a_quoted_value_comes_back(value in "[^\r\n\0]+") {
        let line = format!("*,prefix={},id={} test", quoted(&value), quoted(&value));
        let route = route(&line);
        prop_assert_eq!(&route.prefix, &value);
        prop_assert_eq!(route.id.as_deref(), Some(value.as_str()));
    }
}

#[test]
fn what_looks_secret_is_masked() {
    for (line, expected) in [
        ("* a:1", ("* a:1", false)),
        ("  * a:1,sub=x # sig_key=s", ("  * a:1,sub=x", false)),
        ("*,sig_key=s a:1", ("*,sig_key=*** a:1", true)),
        ("*,sig_key= a:1", ("*,sig_key= a:1", false)),
        (
            "*,sig_key=s,debug,sig_key=t a:1,host=h\r",
            ("*,sig_key=***,debug,sig_key=*** a:1,host=h", true),
        ),
        ("*,\"sig_key=s, t\" a:1", ("*,sig_key=*** a:1", true)),
        ("*,sig-key=s a:1", ("*,sig-key=*** a:1", true)),
        ("sig_key=ä,id=x a:1", ("sig_key=***,id=x a:1", true)),
        (
            "*,header=\"Authorization: Bearer s\",header=X-A:b,header=Cookie: a:1",
            (
                "*,header=Authorization:***,header=X-A:b,header=Cookie: a:1",
                true,
            ),
        ),
        ("*,sig_key=\"s a:1", ("***", true)),
    ] {
        assert_eq!(masked(line), (expected.0.to_owned(), expected.1), "{line}");
    }
}
