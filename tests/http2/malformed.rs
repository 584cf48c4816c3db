//! Requests that mean no good: each is answered with a refusal or ends its stream or its
//! connection, and the backend sees nothing of it.

use crate::{
    client::{Client, get},
    raw::{self, DATA, END_HEADERS, END_STREAM, HEADERS, Outcome, Raw},
    support::{Backend, Gripd, HOST},
};

/// A name and a value, of any bytes.
type Field = (&'static [u8], &'static [u8]);

const METHOD: Field = (b":method", b"GET");
const SCHEME: Field = (b":scheme", b"http");
const AUTHORITY: Field = (b":authority", HOST.as_bytes());
const PATH: Field = (b":path", b"/bad");

fn block(fields: &[Field]) -> Vec<u8> {
    let fields = fields.iter();
    fields
        .flat_map(|(name, value)| raw::field(name, value))
        .collect()
}

/// A sound request but for one field more.
fn with(field: Field) -> Vec<Field> {
    vec![METHOD, SCHEME, AUTHORITY, PATH, field]
}

/// A sound request but for one field that is something else.
fn but(field: Field) -> Vec<Field> {
    let sound = [METHOD, SCHEME, AUTHORITY, PATH];
    let fields = sound.map(|own| if own.0 == field.0 { field } else { own });
    assert!(fields.contains(&field));
    fields.to_vec()
}

/// A sound request but for one field that is missing.
fn without(name: &[u8]) -> Vec<Field> {
    let sound = [METHOD, SCHEME, AUTHORITY, PATH];
    sound.into_iter().filter(|own| own.0 != name).collect()
}

fn cases() -> Vec<Vec<Field>> {
    let mut cases = vec![
        // The pseudo-headers (RFC 9113 section 8.3).
        without(b":method"),
        without(b":scheme"),
        without(b":authority"),
        without(b":path"),
        vec![],
        vec![(b"x-own", b"1"), METHOD, SCHEME, AUTHORITY, PATH],
        vec![METHOD, SCHEME, AUTHORITY, (b"x-own", b"1"), PATH],
        with(METHOD),
        with(SCHEME),
        with(AUTHORITY),
        with(PATH),
        with((b":status", b"200")),
        with((b":protocol", b"websocket")),
        with((b":unknown", b"1")),
        with((b":", b"1")),
        // More than one host.
        with((b"host", b"other.test")),
        with((b"host", b"h.test, other.test")),
        with((b"host", b"")),
    ];
    let methods: [&[u8]; 10] = [
        b"",
        b"GET ",
        b" GET",
        b"GET /admin HTTP/1.1\r\nHost: a\r\n\r\nGET",
        b"GET\r\n",
        b"G\0T",
        b"G:T",
        b"GET\t",
        b"G\xc3\xa9T",
        b"GETGETGETGETGETGETGETGETGETGETGETGET",
    ];
    cases.extend(methods.map(|value| but((b":method", value))));
    let paths: [&[u8]; 16] = [
        b"",
        b"bad",
        b"*",
        b"http://other.test/bad",
        b"//\x7f",
        b"/bad HTTP/1.1\r\nX-Own: 1\r\n\r\nGET /bad2",
        b"/bad HTTP/1.1",
        b"/a b",
        b"/a\tb",
        b"/a\rb",
        b"/a\nb",
        b"/a\0b",
        b"/a\xc3\xa9",
        b"/a?b=c d",
        b"/<script>",
        b"?a=b",
    ];
    cases.extend(paths.map(|value| but((b":path", value))));
    let authorities: [&[u8]; 16] = [
        b"",
        b"user@h.test",
        b"user:password@h.test",
        b"h.test/bad",
        b"h.test?bad",
        b"h.test#bad",
        b"h.test, other.test",
        b"h.test other.test",
        b"h.test:port",
        b"h.test:99999",
        b"h.test:80:80",
        b"h.test\r\nX-Own: 1",
        b"h.test\0",
        b"http://h.test",
        b"[::1",
        b"h\xc3\xa9.test",
    ];
    cases.extend(authorities.map(|value| but((b":authority", value))));
    let schemes: [&[u8]; 2] = [b"ht tp", b"http\r\n"];
    cases.extend(schemes.map(|value| but((b":scheme", value))));
    // Names (section 8.2.1).
    let names: [&[u8]; 14] = [
        b"",
        b"X-Own",
        b"x own",
        b" x-own",
        b"x-own ",
        b"x-own:",
        b"x:own",
        b"x-own\r\nx-other",
        b"x\nown",
        b"x\0own",
        b"x\town",
        b"x\xc3\xa9",
        b"x\x7f",
        b"transfer-encoding\r\n",
    ];
    cases.extend(names.map(|name| with((name, b"1"))));
    let values: [&[u8]; 7] = [
        b"a\rb",
        b"a\nb",
        b"a\r\nX-Smuggled: 1",
        b"a\r\n\r\nGET /bad2 HTTP/1.1\r\nHost: a\r\n\r\n",
        b"a\0b",
        b"a\x7fb",
        b"a\x01b",
    ];
    cases.extend(values.map(|value| with((b"x-own", value))));
    // About the connection (section 8.2.2).
    let connection: [Field; 10] = [
        (b"connection", b"keep-alive"),
        (b"connection", b"upgrade"),
        (b"keep-alive", b"timeout=5"),
        (b"proxy-connection", b"keep-alive"),
        (b"transfer-encoding", b"chunked"),
        (b"transfer-encoding", b"identity"),
        (b"upgrade", b"websocket"),
        (b"te", b"gzip"),
        (b"te", b"trailers, gzip"),
        (b"te", b"chunked"),
    ];
    cases.extend(connection.map(with));
    // Lengths that are none, or not that of a body that is not there.
    let lengths: [&[u8]; 9] = [
        b"5",
        b"-1",
        b"+5",
        b"",
        b"5, 5",
        b"0x5",
        b"5 5",
        b"99999999999999999999",
        b"\xd9\xa5",
    ];
    cases.extend(lengths.map(|value| with((b"content-length", value))));
    let mut twice = with((b"content-length", b"0"));
    twice.push((b"content-length", b"5"));
    cases.push(twice);
    cases
}

fn site() -> (Gripd, Backend) {
    let backend = Backend::saying("ok");
    let gripd = Gripd::before(&backend);
    (gripd, backend)
}

/// Nothing of it came through.
fn is_harmless(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Answer(status, _) => (400..502).contains(status),
        Outcome::Reset(error) | Outcome::GoAway(error) => *error != raw::NO_ERROR,
        Outcome::Closed => false,
    }
}

#[test]
fn a_malformed_request_never_reaches_the_backend() {
    let (gripd, backend) = site();
    let mut wrong = Vec::new();
    for fields in cases() {
        let mut raw = Raw::of(&gripd);
        raw.send(HEADERS, END_HEADERS | END_STREAM, 1, block(&fields));
        let outcome = raw.outcome(1);
        assert_eq!(gripd.fetch("/fine").text(), "ok");
        if !is_harmless(&outcome) {
            wrong.push((shown(&fields), outcome));
        }
    }
    assert_eq!(wrong, []);
    assert!(backend.asked().iter().all(|one| one == "GET /fine"));
}

fn shown(fields: &[Field]) -> String {
    let lines = fields.iter();
    let lines =
        lines.map(|(name, value)| format!("{}: {}", name.escape_ascii(), value.escape_ascii()));
    lines.collect::<Vec<_>>().join("\n")
}

/// A sound request behind a malformed one of the same connection is answered, where the connection
/// is still there.
#[test]
fn a_malformed_request_harms_no_other_of_its_connection() {
    let (gripd, backend) = site();
    let mut held = 0;
    for fields in cases() {
        let mut raw = Raw::of(&gripd);
        raw.send(HEADERS, END_HEADERS | END_STREAM, 1, block(&fields));
        raw.get(3, "/fine");
        match raw.outcome(3) {
            Outcome::Answer(200, text) => {
                assert_eq!(text, "ok");
                held += 1;
            }
            Outcome::GoAway(_) | Outcome::Closed => {}
            other => panic!("{fields:?}: {other:?}"),
        }
    }
    assert!(held > 50, "{held}");
    assert!(backend.asked().iter().all(|one| one == "GET /fine"));
}

/// The body says another length than the head: one that is too short never looks whole to the
/// backend, and what is too much is no part of it and no second request.
#[test]
fn a_body_that_disagrees_with_its_length_is_never_whole() {
    let smuggled = "GET /smuggled HTTP/1.1\r\nHost: h.test\r\n\r\n";
    let long = format!("abc{smuggled}");
    for (length, pieces) in [
        ("3", &[&*long][..]),
        ("3", &["abc", smuggled]),
        ("5", &["abc"]),
        ("5", &[]),
        ("0", &[smuggled]),
        ("44", &["abc", ""]),
    ] {
        let (gripd, backend) = site();
        let mut raw = Raw::of(&gripd);
        let mut fields = raw::post("/bad").to_vec();
        fields.push(("content-length", length));
        raw.request(1, 0, &fields);
        for piece in pieces {
            raw.send(DATA, 0, 1, piece);
        }
        raw.send(DATA, END_STREAM, 1, "");
        let outcome = raw.outcome(1);
        assert!(is_harmless(&outcome), "{length}: {pieces:?}: {outcome:?}");
        assert_eq!(gripd.fetch("/fine").text(), "ok");
        let whole = backend.requests();
        // What the head has spoken of may have gone on before more than that came.
        let whole: Vec<_> = whole
            .iter()
            .filter(|one| !(length == "3" && one.body == b"abc"))
            .map(|one| one.head.target())
            .collect();
        assert_eq!(whole, ["/fine"], "{length}: {pieces:?}");
        let asked = backend.asked();
        assert!(!asked.contains(&"GET /smuggled".into()), "{asked:?}");
    }
}

/// The same by trailers: they come too early, or are not trailers at all.
#[test]
fn malformed_trailers_end_no_request() {
    let cases: [&[Field]; 4] = [
        &[(b"connection", b"close")],
        &[(b"transfer-encoding", b"chunked")],
        &[(b"X-Sum", b"1")],
        &[(b"x-sum", b"a\r\nb")],
    ];
    for fields in cases {
        let (gripd, backend) = site();
        let mut raw = Raw::of(&gripd);
        raw.request(1, 0, &raw::post("/bad"));
        raw.send(DATA, 0, 1, "body");
        raw.send(HEADERS, END_HEADERS | END_STREAM, 1, block(fields));
        let outcome = raw.outcome(1);
        assert_eq!(gripd.fetch("/fine").text(), "ok");
        let seen = backend.requests();
        let heads: Vec<_> = seen.iter().map(|one| one.head.first_line()).collect();
        assert!(is_harmless(&outcome), "{}: {outcome:?}", shown(fields));
        assert_eq!(heads, ["GET /fine HTTP/1.1"], "{}", shown(fields));
    }
}

/// Trailers that would change what the head has said (RFC 9110 section 6.5.1) do not reach the
/// backend. Those that speak of a target's parts do no harm: they are not trailers at all.
#[test]
fn trailers_change_no_head() {
    let names = [
        "authorization",
        "content-length",
        "expect",
        "host",
        "te",
        "trailer",
        ":path",
        ":authority",
    ];
    let backend = Backend::start(|_, reply| {
        let trailers = reply.wire.trailers().raw.clone();
        reply.ok("", trailers);
    });
    let gripd = Gripd::before(&backend);
    let mut came = Vec::new();
    for name in names {
        let mut raw = Raw::of(&gripd);
        let mut fields = raw::post("/").to_vec();
        fields.push((
            "trailer",
            "x-sum, authorization, content-length, expect, host, te, trailer",
        ));
        raw.request(1, 0, &fields);
        raw.send(DATA, 0, 1, "body");
        raw.request(1, END_STREAM, &[(name, "trailers"), ("x-sum", "1")]);
        match raw.outcome(1) {
            Outcome::Answer(200, text) if text.contains("trailers") => came.push((name, text)),
            Outcome::Answer(200 | 400, _) | Outcome::Reset(_) => {}
            other => panic!("{name}: {other:?}"),
        }
    }
    assert_eq!(came, []);
}

/// Whatever may stand in a target.
#[test]
fn what_passes_is_passed_on_as_over_http1() {
    let (gripd, backend) = site();
    let mut client = Client::of(&gripd);
    for path in [
        "/",
        "/?",
        "/a//b/../c/./d",
        "/%2e%2e/%00%0d%0a",
        "/a?b?c&d=%20+",
        "/;a=b,c!$'()*@:~",
        "/a|b{c}[d]^",
    ] {
        let mut raw = Raw::of(&gripd);
        raw.get(1, path);
        assert_eq!(raw.outcome(1), Outcome::Answer(200, "ok".into()), "{path}");
        let found = backend.last().head.target().to_owned();
        assert_eq!(gripd.fetch(path).text(), "ok", "{path}");
        assert_eq!(backend.last().head.target(), found, "as over HTTP/1");
    }
    // Values may hold anything but controls.
    let mut request = get("/value");
    let value = http::HeaderValue::from_bytes(b"a\tb \"\xff\x80\" c").unwrap();
    request.headers_mut().insert("x-own", value);
    assert_eq!(client.fetch(request).text(), "ok");
    let seen = backend.last().head.raw;
    assert!(seen.contains("a\tb \"\u{fffd}\u{fffd}\" c"), "{seen}");
}
