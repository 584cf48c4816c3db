//! Answers as calls. That the JavaScript is sound is shown by reading what stands in it as JSON.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const HEADERS: [(&str, &[u8]); 4] = [
    ("X-Q", b"q"),
    ("Content-Type", b"application/json"),
    ("Set-Cookie", b"a=1"),
    ("set-cookie", b"b=\"2\""),
];

fn head<'h>(
    headers: &'h [(&'h str, &'h [u8])],
) -> Head<'h, impl Iterator<Item = (&'h str, &'h [u8])>> {
    Head {
        code: 404,
        reason: "Not \"Found\"",
        headers: headers.iter().copied(),
    }
}

fn call(mode: Mode) -> Call {
    Call::new("f".into(), mode).unwrap()
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap()
}

/// What the function is called with.
fn argument(script: &str) -> Value {
    let argument = script.strip_prefix("/**/f(").unwrap();
    serde_json::from_str(argument.strip_suffix(");\n").unwrap()).unwrap()
}

#[test]
fn an_answer_is_an_object_with_all_that_a_page_may_want() {
    let script = text(call(Mode::Extended).whole(head(&HEADERS), b"{\"a\":\"b\"}\n"));
    assert_eq!(
        script,
        "/**/f({\"code\": 404, \"reason\": \"Not \\\"Found\\\"\", \"headers\": \
         {\"Content-Type\":\"application/json\",\"Set-Cookie\":\"a=1\",\"X-Q\":\"q\"}, \
         \"body\": \"{\\\"a\\\":\\\"b\\\"}\\n\"});\n"
    );
}

#[test]
fn a_long_polls_answer_is_spelled_otherwise_and_says_the_same() {
    let body = b"he\"llo\n";
    let script = text(call(Mode::Extended).held(head(&HEADERS), body, &literal(body)));
    assert_eq!(
        script,
        "/**/f({\"body\":\"he\\\"llo\\n\",\"code\":404,\"headers\":{\"Content-Type\":\
         \"application/json\",\"Set-Cookie\":\"a=1, b=\\\"2\\\"\",\"X-Q\":\"q\"},\
         \"reason\":\"Not \\\"Found\\\"\"});\n"
    );
    let whole = argument(&text(call(Mode::Extended).whole(head(&HEADERS[..3]), body)));
    let held = call(Mode::Extended).held(head(&HEADERS[..3]), body, &literal(body));
    assert_eq!(argument(&text(held)), whole);
}

#[test]
fn a_basic_call_has_the_body_alone_without_its_line_end() {
    for (body, inner) in [
        ("{\"a\":1}\n", "{\"a\":1}"),
        ("x\r\n", "x"),
        ("x\n\n", "x\n"),
        ("x", "x"),
        ("", ""),
    ] {
        let expected = format!("/**/f({inner});\n");
        let call = call(Mode::Basic);
        assert_eq!(text(call.whole(head(&[]), body.as_bytes())), expected);
        let held = call.held(head(&[]), body.as_bytes(), b"unused");
        assert_eq!(text(held), expected);
    }
}

#[test]
fn a_callback_is_a_functions_name_and_no_program() {
    for name in [
        "f",
        "$",
        "_1",
        "jQuery1_2.cb[0]",
        "a['b']",
        "a[\"b\"]",
        "größe",
    ] {
        assert!(Call::new(name.into(), Mode::Basic).is_some(), "{name}");
    }
    for name in [
        "",
        "f(1)",
        "a b",
        "a\n",
        "a;b",
        "</script>",
        "a=b",
        "a,b",
        "`a`",
        "%zz",
        "a/*",
    ] {
        assert!(Call::new(name.into(), Mode::Basic).is_none(), "{name}");
    }
}

#[test]
fn what_would_end_the_text_or_the_line_is_escaped() {
    let mut out = Vec::new();
    escape(
        "\"\\\n\r\t\u{8}\u{c}\0\u{1f}/é\u{2028}\u{2029}€".as_bytes(),
        &mut out,
    );
    assert_eq!(
        text(out),
        "\\\"\\\\\\n\\r\\t\\b\\f\\u0000\\u001f/é\\u2028\\u2029€"
    );
}

#[test]
fn a_cut_character_comes_together_again_and_what_is_none_is_replaced_in_a_whole() {
    let mut out = Vec::new();
    for piece in [
        "é€".as_bytes()[..1].to_vec(),
        "é€".as_bytes()[1..3].to_vec(),
    ] {
        escape(&piece, &mut out);
    }
    escape(&"é€".as_bytes()[3..], &mut out);
    assert_eq!(text(out), "é€");
    assert_eq!(text(literal(b"a\xffb")), "a\u{fffd}b");
}

proptest! {
    /// Whatever the body and however it is cut, the page gets it.
    #[test]
    fn a_page_gets_the_body(body in ".*", cuts in proptest::collection::vec(0_usize..40, 0..4)) {
        let bytes = body.as_bytes();
        let call = call(Mode::Extended);
        let whole = argument(&text(call.whole(head(&HEADERS), bytes)));
        prop_assert_eq!(&whole["body"], &json!(body));
        prop_assert_eq!(&whole["code"], 404);

        let mut streamed = call.opening(head(&HEADERS));
        let mut rest = bytes;
        for cut in cuts {
            let (piece, behind) = rest.split_at(cut.min(rest.len()));
            escape(piece, &mut streamed);
            rest = behind;
        }
        escape(rest, &mut streamed);
        streamed.extend_from_slice(Mode::Extended.closing());
        prop_assert_eq!(argument(&text(streamed)), whole);

        let held = text(call.held(head(&HEADERS[..1]), bytes, &literal(bytes)));
        prop_assert_eq!(&argument(&held)["body"], &json!(body));
        let one_line = !held[..held.len() - 1].contains(['\n', '\r', '\u{2028}', '\u{2029}']);
        prop_assert!(one_line);
    }
}
