//! Every condition of an instruct, the answers Pushpin was seen to give, and properties.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::grip::{
    json::FieldError,
    link::NextLink,
    text::{is_clean, is_token},
};

/// An answer as backends give it; each line is `Name: value`.
fn answer(lines: &[&str]) -> Response {
    let headers = lines.iter().map(|line| {
        let (name, value) = line.split_once(':').unwrap();
        Header {
            name: name.to_owned(),
            value: Bytes::copy_from_slice(value.trim().as_bytes()),
        }
    });
    Response {
        code: 200,
        reason: "OK".to_owned(),
        headers: headers.collect(),
        body: Bytes::from("body\n"),
    }
}

fn parse(lines: &[&str]) -> Result<Instruct, InstructError> {
    Instruct::parse(answer(lines))
}

fn read(lines: &[&str]) -> Instruct {
    parse(lines).unwrap()
}

/// The JSON form, with further headers.
fn parse_json(lines: &[&str], body: &str) -> Result<Instruct, InstructError> {
    let mut answer = answer(
        &[
            &["Content-Type: application/grip-instruct; charset=utf-8"],
            lines,
        ]
        .concat(),
    );
    answer.body = Bytes::copy_from_slice(body.as_bytes());
    Instruct::parse(answer)
}

fn read_json(body: &Value) -> Instruct {
    parse_json(&[], &body.to_string()).unwrap()
}

fn names(response: &Response) -> Vec<&str> {
    response.headers.iter().map(|h| h.name.as_str()).collect()
}

fn pairs(response: &Response) -> Vec<(&str, &[u8])> {
    response
        .headers
        .iter()
        .map(|h| (h.name.as_str(), &h.value[..]))
        .collect()
}

fn channel(name: &str, prev_id: Option<&str>, filters: &[&str]) -> Channel {
    Channel {
        name: name.to_owned(),
        prev_id: prev_id.map(str::to_owned),
        filters: filters.iter().map(|&f| f.to_owned()).collect(),
    }
}

fn keep_alive(value: &str) -> KeepAlive {
    read(&[&format!("Grip-Keep-Alive: {value}")])
        .keep_alive
        .unwrap()
}

#[test]
fn what_is_an_instruct() {
    for (lines, want) in [
        (&["Content-Type: text/plain"][..], false),
        (&["grip-foo: 1"], true),
        (&["Content-Type: application/grip-instruct"], true),
        (&["content-type: application/grip-instruct;x"], true),
        (&["Content-Type: Application/grip-instruct"], false),
        (&["Content-Type: application/grip-instruct ; x"], false),
        (&["X-Grip-Hold: stream", "Grip: 1"], false),
    ] {
        assert_eq!(is_instruct(pairs(&answer(lines))), want, "{lines:?}");
    }
}

#[test]
fn which_bodies_may_be_large() {
    let next = "Grip-Link: </a>; rel=gone, </n>; rel=next";
    for (lines, want) in [
        (&["Grip-Hold: stream"][..], true),
        (&["Grip-Hold: response", next], false),
        (&["Grip-Hold: Stream"], false),
        (&["Grip-Hold: response", "Grip-Hold: stream"], false),
        (&["Grip-Channel: a"], false),
        (&[next], true),
        (&["Grip-Link: </n>; rel=gone"], false),
        (
            &["Grip-Hold: stream", "Grip-Channel: a, b; filter=build-id"],
            false,
        ),
        (
            &["Grip-Hold: stream", "Grip-Channel: a; filter=var-subst"],
            true,
        ),
        (
            &[
                "Grip-Hold: stream",
                "Content-Type: application/grip-instruct",
            ],
            false,
        ),
    ] {
        assert_eq!(
            allows_large_stream(pairs(&answer(lines))),
            want,
            "{lines:?}"
        );
    }
}

#[test]
fn without_hold_the_answer_goes_out_cleaned() {
    let instruct = read(&[
        "Content-Type: text/plain",
        "Grip-Foo: x",
        "X-A: 1",
        "Connection: x-b, close",
        "X-B: 2",
        "Keep-Alive: 5",
        "Transfer-Encoding: chunked",
        "Content-Length: 5",
        "Content-Encoding: gzip",
        "Set-Cookie: a",
        "set-cookie: b",
        "GRIP-CHANNEL: a",
        "Upgrade: h2c",
    ]);
    assert_eq!(instruct.hold, None);
    assert_eq!(
        names(&instruct.response),
        ["Content-Type", "X-A", "Set-Cookie", "set-cookie"]
    );
    assert_eq!(instruct.response.code, 200);
    assert_eq!(instruct.response.body, "body\n");
    assert_eq!(instruct.channels, [channel("a", None, &[])]);
    assert_eq!(instruct.warnings, []);
}

#[test]
fn the_status_is_what_grip_status_says() {
    for (value, code, reason) in [
        ("404", 404, "Not Found"),
        ("404 Nothing Here", 404, "Nothing Here"),
        ("299", 299, "Undefined Reason"),
        ("999", 999, "Undefined Reason"),
        ("", 200, "OK"),
    ] {
        let response = read(&[&format!("Grip-Status: {value}")]).response;
        assert_eq!((response.code, response.reason.as_str()), (code, reason));
    }
    for value in ["abc", "1000", "199", "0", "-200", "200x"] {
        let error = parse(&[&format!("Grip-Status: {value}")]).unwrap_err();
        assert_eq!(
            error,
            InstructError::Status {
                value: value.to_owned()
            }
        );
    }
}

#[test]
fn the_backends_own_status_must_be_sendable() {
    let mut response = answer(&["Grip-Foo: 1"]);
    response.code = 101;
    let error = Instruct::parse(response).unwrap_err();
    assert_eq!(error, InstructError::Unsendable { code: 101 });
    assert!(error.to_string().contains("status 101"));
}

#[test]
fn holds() {
    assert_eq!(read(&["Grip-Hold: response"]).hold, Some(Mode::Response));
    let first = read(&[
        "Grip-Hold: stream",
        "Grip-Hold: response",
        "Grip-Channel: a",
    ]);
    assert_eq!(first.hold, Some(Mode::Stream));
    for value in ["foo", "Response", "", "stream, response"] {
        let error = parse(&[&format!("Grip-Hold: {value}")]).unwrap_err();
        assert_eq!(
            error,
            InstructError::Hold {
                value: value.to_owned()
            }
        );
    }
}

#[test]
fn channels() {
    let lines = [
        "Grip-Channel: a; prev-id=1; filter=skip-self; FILTER=x, \"a,b\"; filter=\"var-subst\", z",
        "grip-channel: c; prev-id=; PREV-ID=2, d; prev-id, a; prev-id=3",
    ];
    let want = [
        channel("a", Some("3"), &[]),
        channel("\"a,b\"", None, &["var-subst"]),
        channel("z", None, &[]),
        channel("c", Some(""), &[]),
        channel("d", None, &[]),
    ];
    assert_eq!(
        read(&lines).channels,
        want,
        "the last of a name wins, at its first place"
    );
}

#[test]
fn filters_are_limited_in_both_forms() {
    let five = "; filter=a; filter=b; filter=c; filter=d; filter=e";
    assert_eq!(
        read(&[&format!("Grip-Channel: a{five}")]).channels[0]
            .filters
            .len(),
        5
    );
    let want = InstructError::Filters {
        channel: "a".to_owned(),
        count: 6,
    };
    assert_eq!(
        parse(&[&format!("Grip-Channel: a{five}; filter=f")]).unwrap_err(),
        want
    );
    let list = json!({"hold": {"channels": [{"name": "a", "filters": ["", "", "", "", "", ""]}]}});
    assert_eq!(parse_json(&[], &list.to_string()).unwrap_err(), want);
    let text = "too many filters for channel 'a': 6, and 5 are allowed";
    assert_eq!(want.to_string(), text, "vector 19");
}

#[test]
fn an_unclosed_quote_drops_the_channel_and_warns() {
    let instruct = read(&["Grip-Hold: stream", "Grip-Channel: a; prev-id=\"abc"]);
    assert_eq!(instruct.hold, Some(Mode::Stream));
    assert_eq!(instruct.channels, []);
    let value = "a; prev-id=\\\"abc".to_owned();
    let dropped = InstructWarning::Unclosed {
        header: "Grip-Channel",
        value,
    };
    assert_eq!(instruct.warnings, [dropped, InstructWarning::NoChannels]);
    for line in [
        "Grip-Set-Meta: a=\"b",
        "Grip-Link: <x>; rel=\"next",
        "Grip-Keep-Alive: x; mode=\"a",
    ] {
        assert_eq!(read(&[line]).warnings.len(), 1, "{line}");
    }
}

#[test]
fn timeouts() {
    let timeout = |value: &str| {
        let instruct = parse(&["Grip-Hold: response", &format!("Grip-Timeout: {value}")])?;
        Ok::<_, InstructError>(instruct.timeout.as_secs())
    };
    assert_eq!(
        read(&["Grip-Hold: response"]).timeout,
        Duration::from_secs(55)
    );
    for (value, want) in [
        ("0", 5),
        ("4", 5),
        ("5", 5),
        ("90", 90),
        ("2147483647", 2_147_483_647),
    ] {
        assert_eq!(timeout(value), Ok(want));
    }
    for value in ["x", "5.5", "", "10, 20", "-1", "2147483648"] {
        let value = value.to_owned();
        let want = InstructError::Seconds {
            field: "Grip-Timeout",
            value: value.clone(),
        };
        assert_eq!(timeout(&value), Err(want));
    }
}

#[test]
fn keep_alives() {
    let raw = keep_alive("ka\\n; TIMEOUT=1");
    assert_eq!(raw.data, "ka\\n");
    assert_eq!((raw.mode, raw.timeout.as_secs()), (KeepAliveMode::Idle, 1));
    for (value, want) in [
        (r"a\x3bb\r\n\\ \q\t; format=cstring", "a;b\r\n\\ "),
        ("\"q;x\"; timeout=1", "\"q"),
        ("a2FcCg==; format=base64", "ka\\\n"),
        ("a,b", "a,b"),
    ] {
        assert_eq!(keep_alive(value).data, want, "{value}");
    }
    assert_eq!(keep_alive("x").timeout.as_secs(), 55);
    assert_eq!(keep_alive("x; timeout=0").timeout.as_secs(), 1);
    assert_eq!(keep_alive("x; mode=interval").mode, KeepAliveMode::Interval);
    let bytes = Header {
        name: "Grip-Keep-Alive".to_owned(),
        value: Bytes::from_static(b"\xff"),
    };
    let mut response = answer(&[]);
    response.headers.push(bytes);
    assert_eq!(
        Instruct::parse(response).unwrap().keep_alive.unwrap().data,
        &b"\xff"[..]
    );
}

#[test]
fn keep_alives_that_are_none() {
    let error = |value: &str| parse(&[&format!("Grip-Keep-Alive: {value}")]).unwrap_err();
    assert_eq!(error("; timeout=5"), InstructError::KeepAliveEmpty);
    assert_eq!(error(""), InstructError::KeepAliveEmpty);
    let value = "Idle".to_owned();
    assert_eq!(
        error("x; mode=Idle"),
        InstructError::KeepAliveMode { value }
    );
    let value = "hex".to_owned();
    assert_eq!(
        error("x; format=hex"),
        InstructError::KeepAliveFormat { value }
    );
    for (value, at) in [("x\\xZZ", 1), ("x\\x1", 1), ("\\x", 0), ("xy\\", 2)] {
        let error = error(&format!("{value}; format=cstring"));
        assert_eq!(error, InstructError::KeepAliveEscape { at }, "{value}");
    }
    for value in ["q", "-1", "", "5.5"] {
        let field = "Grip-Keep-Alive timeout";
        let want = InstructError::Seconds {
            field,
            value: value.to_owned(),
        };
        assert_eq!(error(&format!("x; timeout={value}")), want);
    }
}

#[test]
fn meta() {
    let instruct = read(&["Grip-Set-Meta: user=a, Key=\"x, y\"; more=1, user=b, alone"]);
    let some = |text: &str| Some(text.to_owned());
    let meta: Vec<_> = instruct.meta.into_iter().collect();
    let want = [("Key", some("x, y")), ("alone", None), ("user", some("b"))];
    assert_eq!(meta, want.map(|(name, value)| (name.to_owned(), value)));
    for value in [",a=b", "=b", ";a=b", "a=b,,c=d"] {
        let error = parse(&[&format!("Grip-Set-Meta: {value}")]).unwrap_err();
        assert_eq!(error, InstructError::Meta, "{value}");
    }
}

#[test]
fn links() {
    let links = |value: &str| parse(&[&format!("Grip-Link: {value}")]).map(|i| i.links);
    let next = |uri: &str, seconds| Links {
        next: Some(NextLink {
            uri: uri.to_owned(),
            timeout: Duration::from_secs(seconds),
        }),
        gone: None,
    };
    assert_eq!(links("</a>; rel=next"), Ok(next("/a", 120)));
    assert_eq!(
        links("</a>; rel=next, <b?x=1>; Rel=\"next\"; timeout=0"),
        Ok(next("b?x=1", 0))
    );
    let gone = Links {
        next: None,
        gone: Some("http://u@h:80/x".to_owned()),
    };
    assert_eq!(links("<http://u@h:80/x>; rel=gone"), Ok(gone));
    for value in [
        "garbage",
        "</x>",
        "</x>; rel=Next",
        "<x>; foo=1",
        "<//[::1]:8/>; rel=x",
    ] {
        assert_eq!(links(value), Ok(Links::default()), "{value}");
    }
    for value in ["/x; rel=next", "<>; rel=next", "; rel=next", "<x; rel=next"] {
        let error = links(value).unwrap_err();
        assert!(matches!(error, InstructError::Link { .. }), "{value}");
    }
    for uri in [
        "http://[bad",
        "http://h:x/",
        "http:///x",
        "http://h:99999/",
        "/a b",
        "//[::1]x",
    ] {
        let want = InstructError::LinkUri {
            value: uri.to_owned(),
        };
        assert_eq!(links(&format!("<{uri}>; rel=foo")), Err(want));
    }
    for value in ["q", "-1", ""] {
        let error = links(&format!("</x>; rel=next; timeout={value}")).unwrap_err();
        let value = value.to_owned();
        assert_eq!(
            error,
            InstructError::Seconds {
                field: "Grip-Link timeout",
                value
            }
        );
    }
}

#[test]
fn exposed_headers_alone_survive() {
    let lines = [
        "Content-Type: text/plain",
        "X-A: 1",
        "X-B: 2",
        "Content-Length: 5",
    ];
    let exposed = |value: &str| {
        let expose = format!("Grip-Expose-Headers: {value}");
        let instruct = read(&[&lines[..], &[&expose]].concat());
        names(&instruct.response).join(" ")
    };
    assert_eq!(exposed("x-a, X-None"), "X-A");
    assert_eq!(
        exposed("content-length, X-B"),
        "X-B",
        "framing never survives"
    );
    assert_eq!(exposed(""), "Content-Type X-A X-B");
}

#[test]
fn text_that_is_not_utf8_is_refused_where_text_is_needed() {
    for header in ["Grip-Channel", "Grip-Expose-Headers", "Grip-Status"] {
        let mut response = answer(&[]);
        let value = Bytes::from_static(b"404 \xff");
        response.headers.push(Header {
            name: header.to_owned(),
            value,
        });
        assert_eq!(
            Instruct::parse(response),
            Err(InstructError::Utf8 { header })
        );
    }
}

#[test]
fn what_cannot_be_sent_is_refused() {
    for (name, value) in [
        ("X-A", "a\rb"),
        ("X-A", "\n"),
        ("X-A", "\0"),
        ("X A", ""),
        ("", "a"),
    ] {
        let mut response = answer(&["Grip-Foo: 1"]);
        response.headers.push(Header {
            name: name.to_owned(),
            value: Bytes::from(value),
        });
        let name = name.to_owned();
        assert_eq!(
            Instruct::parse(response),
            Err(InstructError::Header { name }),
            "{value:?}"
        );
    }
    let mut response = answer(&["Grip-Foo: 1"]);
    response.reason = "O\nK".to_owned();
    assert_eq!(Instruct::parse(response), Err(InstructError::Reason));
}

#[test]
fn a_json_response() {
    let response = read_json(
        &json!({"response": {"code": 201, "reason": "Yo", "body-bin": "aGk=",
        "body": "x", "headers": [["X-A", "1"], ["X-A", "2"]]}}),
    );
    assert_eq!(
        (response.response.code, response.response.reason.as_str()),
        (201, "Yo")
    );
    assert_eq!(
        pairs(&response.response),
        [("X-A", &b"1"[..]), ("X-A", b"2")]
    );
    assert_eq!(response.response.body, "hi");
    assert_eq!(response.hold, None);

    let headers = json!({"Grip-X": "1", "Content-Length": "99", "Connection": "keep-alive"});
    let instruct = read_json(&json!({"response": {"headers": headers}}));
    assert_eq!(names(&instruct.response), ["Grip-X"]);
}

#[test]
fn a_json_response_may_be_empty() {
    let instruct = read_json(&json!({}));
    assert_eq!(
        (instruct.response.code, instruct.response.reason.as_str()),
        (200, "OK")
    );
    assert!(instruct.response.headers.is_empty() && instruct.response.body.is_empty());
    let instruct = read_json(&json!({"response": {"code": 204}}));
    assert_eq!(
        (instruct.response.code, instruct.response.body.len()),
        (204, 0)
    );
}

#[test]
fn json_codes_are_read_loosely() {
    let code = |value: Value| {
        let body = json!({"response": {"code": value}}).to_string();
        parse_json(&["Grip-Status: 404 X"], &body).map(|i| (i.response.code, i.response.reason))
    };
    assert_eq!(code(json!("404")), Ok((404, "Not Found".to_owned())));
    assert_eq!(
        code(json!(404.6)),
        Ok((405, "Method Not Allowed".to_owned()))
    );
    for value in [
        json!(1000),
        json!(true),
        json!(199),
        json!("x"),
        json!(1e99),
    ] {
        let error = code(value).unwrap_err();
        assert!(matches!(
            error,
            InstructError::Field(FieldError::Value { .. })
        ));
    }
    for value in [json!(null), json!([]), json!({})] {
        let error = code(value).unwrap_err();
        assert!(matches!(
            error,
            InstructError::Field(FieldError::Type { .. })
        ));
    }
}

#[test]
fn a_json_hold_is_laid_over_the_headers() {
    let lines = [
        "Grip-Hold: response",
        "Grip-Channel: Hd",
        "Grip-Status: 404 X",
        "Grip-Set-Meta: user=h",
        "Grip-Keep-Alive: x; timeout=9",
        "Grip-Link: </n>; rel=next",
        "X-Lost: 1",
        "Grip-Expose-Headers: X-Q",
    ];
    let body = json!({
        "hold": {
            "mode": "stream", "timeout": "7", "meta": {"u2": "j"},
            "channels": [{"name": "J", "prev-id": "", "filters": ["var-subst"]}, {"name": "Hd"}],
            "keep-alive": {"content-bin": "a2E=", "content": "y"},
        },
        "response": {"headers": {"X-B": "2", "X-A": "1"}},
    });
    let instruct = parse_json(&lines, &body.to_string()).unwrap();
    assert_eq!(instruct.hold, Some(Mode::Stream));
    assert_eq!(
        instruct.channels,
        [
            channel("Hd", None, &[]),
            channel("J", Some(""), &["var-subst"])
        ]
    );
    assert_eq!(instruct.timeout.as_secs(), 7);
    assert_eq!(instruct.meta.len(), 2);
    let want = KeepAlive {
        data: Bytes::from("ka"),
        mode: KeepAliveMode::Idle,
        timeout: Duration::from_secs(9),
    };
    assert_eq!(instruct.keep_alive, Some(want));
    assert!(instruct.links.next.is_some());
    assert_eq!(
        (instruct.response.code, instruct.response.reason.as_str()),
        (404, "X")
    );
    assert_eq!(
        names(&instruct.response),
        ["X-A", "X-B"],
        "sorted, and not reduced"
    );
}

#[test]
fn json_defaults() {
    let instruct = read_json(&json!({"hold": {"channels": [], "timeout": 0, "keep-alive": {}}}));
    assert_eq!(instruct.hold, Some(Mode::Response));
    assert_eq!(instruct.timeout.as_secs(), 5);
    let keep_alive = instruct.keep_alive.unwrap();
    assert_eq!(
        (keep_alive.data.len(), keep_alive.mode),
        (0, KeepAliveMode::Interval)
    );
    assert_eq!(keep_alive.timeout.as_secs(), 55);
    assert_eq!(instruct.warnings, [InstructWarning::NoChannels]);
}

#[test]
fn json_bodies_that_are_none() {
    for body in ["{", "", "[] x", &"[".repeat(100_000)] {
        let error = parse_json(&[], body).unwrap_err();
        assert!(matches!(error, InstructError::Json { .. }), "{error}");
    }
    for body in ["[]", "5", "null"] {
        assert_eq!(
            parse_json(&[], body),
            Err(InstructError::JsonObject),
            "{body}"
        );
    }
    let mut other = answer(&["Content-Type: application/grip-instruct"]);
    other.code = 201;
    assert_eq!(
        Instruct::parse(other),
        Err(InstructError::JsonStatus { code: 201 })
    );
}

/// The body must be refused with a text that begins so.
fn refused(body: &Value, want: &str) {
    let error = parse_json(&[], &body.to_string()).unwrap_err().to_string();
    let want = format!("application/grip-instruct: {want}");
    assert!(error.starts_with(&want), "{error}\nwanted {want}");
}

/// A hold with one field more.
fn hold(field: &str, value: Value) -> Value {
    let mut hold = json!({"channels": []});
    hold[field] = value;
    json!({ "hold": hold })
}

#[test]
fn json_faults_name_the_field() {
    for (body, want) in [
        (json!({"hold": 5}), "hold is a number; it must be an object"),
        (
            json!({"hold": {}}),
            "hold.channels is missing; it must be a list of channels",
        ),
        (
            json!({"response": []}),
            "response is a list; it must be an object",
        ),
        (
            json!({"response": {"body": 1}}),
            "response.body is a number",
        ),
        (
            json!({"response": {"reason": "\n"}}),
            "response.reason is '\\n'; it must be text",
        ),
        (
            json!({"response": {"headers": {"A": "\r"}}}),
            "response.headers.A is '\\r'",
        ),
        (
            json!({"response": {"headers": [["A:", ""]]}}),
            "response.headers[0] is 'A:'; it must",
        ),
        (
            hold("mode", json!("x")),
            "hold.mode is 'x'; it must be 'response' or 'stream'",
        ),
        (hold("mode", json!(null)), "hold.mode is null"),
        (
            hold("channels", json!({})),
            "hold.channels is an object; it must be a list",
        ),
        (
            hold("timeout", json!(-1)),
            "hold.timeout is '-1'; it must be a whole number",
        ),
        (
            hold("timeout", json!(2_147_483_648_u64)),
            "hold.timeout is '2147483648'",
        ),
        (hold("timeout", json!(null)), "hold.timeout is null"),
        (hold("meta", json!([])), "hold.meta is a list"),
        (
            hold("meta", json!({"a": 1})),
            "hold.meta.a is a number; it must be a string",
        ),
        (hold("keep-alive", json!(1)), "hold.keep-alive is a number"),
        (
            hold("keep-alive", json!({"content": 1})),
            "hold.keep-alive.content is a number",
        ),
        (
            hold("keep-alive", json!({"timeout": -1})),
            "hold.keep-alive.timeout is '-1'",
        ),
    ] {
        refused(&body, want);
    }
}

#[test]
fn json_faults_of_a_channel_name_its_index() {
    let named = |value: Value| hold("channels", json!([{"name": "a"}, value]));
    for (body, want) in [
        (
            named(json!("a")),
            "hold.channels[1] is a string; it must be an object",
        ),
        (
            named(json!({})),
            "hold.channels[1].name is missing; it must be a string",
        ),
        (
            named(json!({"name": 1})),
            "hold.channels[1].name is a number",
        ),
        (
            named(json!({"name": "a\r\n"})),
            "hold.channels[1].name is 'a\\r\\n'; it must be text",
        ),
        (
            named(json!({"name": "a", "prev-id": null})),
            "hold.channels[1].prev-id is null",
        ),
        (
            named(json!({"name": "a", "prev-id": "\0"})),
            "hold.channels[1].prev-id is '\\0'",
        ),
        (
            named(json!({"name": "a", "filters": "a"})),
            "hold.channels[1].filters is a string",
        ),
        (
            named(json!({"name": "a", "filters": [1]})),
            "hold.channels[1].filters[0] is a number",
        ),
    ] {
        refused(&body, want);
    }
}

fn line() -> impl Strategy<Value = (String, Vec<u8>)> {
    const NAMES: [&str; 9] = [
        "Hold",
        "Channel",
        "Timeout",
        "Expose-Headers",
        "Keep-Alive",
        "Set-Meta",
        "Status",
        "Link",
        "Foo",
    ];
    let name = prop_oneof![
        8 => prop::sample::select(&NAMES[..]).prop_map(|name| format!("Grip-{name}")),
        1 => Just("Content-Type".to_owned()),
        1 => any::<String>(),
    ];
    let value = prop_oneof![
        "(stream|response|20[0-9]( [a-z]*)?|a=b|<x>; rel=next)",
        "[a-z<>;=,\"\\\\ ]{0,20}(; (prev-id|filter|mode|timeout|format|rel)=[a-z0-9\"]{0,8}){0,3}",
        Just("application/grip-instruct".to_owned()),
        any::<String>(),
    ];
    (
        name,
        prop_oneof![9 => value.prop_map(String::into_bytes), 1 => any::<Vec<u8>>()],
    )
}

proptest! {
    #[test]
    fn what_is_accepted_can_be_sent(
        lines in prop::collection::vec(line(), 0..5),
        reason in prop_oneof!["[a-zA-Z ]{0,9}", any::<String>()],
        body in prop_oneof![Just("{}".to_owned()), "[\\[\\]{}:,\"a1]{0,20}"],
        code in 100..1100_u16,
    ) {
        let headers = lines.into_iter().map(|(name, value)| Header { name, value: value.into() });
        let headers = headers.collect();
        let answer = Response { code, reason, headers, body: Bytes::from(body) };
        let _ = is_instruct(pairs(&answer));
        let _ = allows_large_stream(pairs(&answer));
        if let Ok(instruct) = Instruct::parse(answer) {
            let response = &instruct.response;
            prop_assert!((200..=999).contains(&response.code));
            prop_assert!(is_clean(response.reason.as_bytes()));
            for header in &response.headers {
                prop_assert!(is_token(&header.name) && is_clean(&header.value));
                prop_assert!(!is_grip(&header.name));
            }
            for channel in &instruct.channels {
                prop_assert!(is_clean(channel.name.as_bytes()) && channel.filters.len() <= 5);
            }
            prop_assert!(instruct.timeout.as_secs() >= 5);
        }
    }

    #[test]
    fn any_json_body_ends_in_an_instruct_or_an_error(body in any::<Vec<u8>>()) {
        let mut answer = answer(&["Content-Type: application/grip-instruct"]);
        answer.body = Bytes::from(body);
        let _ = Instruct::parse(answer);
    }
}
