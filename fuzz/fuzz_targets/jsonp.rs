//! JSON-P: a query of a client's choosing, and an answer that is wrapped for it. What the script
//! calls its function with is what the backend has answered, and no callback ends before it.
//! Run: `cargo fuzz run jsonp fuzz/corpus/jsonp fuzz/seeds/jsonp`.

#![no_main]

use gripd::cross_origin::{
    call::{Head, Mode, escape},
    jsonp::Names,
};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|data: &[u8]| {
    let (query, body) = match data.iter().position(|byte| *byte == b'\n') {
        Some(at) => (&data[..at], &data[at + 1..]),
        None => (data, &b""[..]),
    };
    let Ok(query) = std::str::from_utf8(query) else {
        return;
    };
    let usual = Names {
        mode: Mode::Extended,
        callback: "callback",
        body: None,
        default_callback: None,
    };
    let own = Names {
        callback: "cb",
        body: Some("bd"),
        default_callback: Some("f"),
        ..usual
    };
    for names in [usual, own] {
        let Ok(Some(asked)) = names.read(query) else {
            continue;
        };
        assert!(asked.query.is_none_or(|rest| rest.len() < query.len()));
        let head = Head {
            code: 200,
            reason: "OK",
            headers: [("X-Body", body)],
        };
        let whole = String::from_utf8(asked.call.whole(head, body)).expect("UTF-8");
        let (callback, argument) = whole.split_once("({").expect("a call");
        assert!(!callback[4..].contains(['(', ';', ' ', '/', '\n']), "{callback}");
        let argument = argument.strip_suffix(");\n").expect("the call's end");
        let told: Value = serde_json::from_str(&format!("{{{argument}")).expect("JSON");
        assert_eq!(told["body"], *String::from_utf8_lossy(body));
    }
    let mut out = Vec::new();
    escape(body, &mut out);
    assert!(!out.iter().any(|byte| *byte < b' '));
});
