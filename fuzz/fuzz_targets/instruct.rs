//! Instructs: an answer's header lines, an empty line, and its body, as any backend might send
//! them. What is accepted must be fit to be written to a client.
//! Run: `cargo fuzz run instruct fuzz/corpus/instruct fuzz/seeds/instruct`.

#![no_main]

use bytes::Bytes;
use gripd::grip::instruct::{Header, Instruct, Response, allows_large_stream, is_instruct};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let answer = answer(data);
    let pairs = || {
        answer
            .headers
            .iter()
            .map(|h| (h.name.as_str(), &h.value[..]))
    };
    let _ = is_instruct(pairs());
    let _ = allows_large_stream(pairs());
    match Instruct::parse(answer.clone()) {
        Ok(instruct) => check(&instruct),
        Err(error) => assert!(!error.to_string().contains(['\r', '\n', '\0'])),
    }
});

/// Lines end with LF alone, so that CR can stand anywhere.
fn answer(data: &[u8]) -> Response {
    let mut rest = data;
    let mut headers = Vec::new();
    while let Some(end) = rest.iter().position(|&b| b == b'\n') {
        let line = &rest[..end];
        rest = &rest[end + 1..];
        let Some(colon) = line.iter().position(|&b| b == b':') else {
            break;
        };
        headers.push(Header {
            name: String::from_utf8_lossy(&line[..colon]).into_owned(),
            value: Bytes::copy_from_slice(line[colon + 1..].trim_ascii()),
        });
    }
    Response {
        code: 200,
        reason: "OK".to_owned(),
        headers,
        body: Bytes::copy_from_slice(rest),
    }
}

fn check(instruct: &Instruct) {
    let response = &instruct.response;
    assert!((200..=999).contains(&response.code));
    assert!(clean(response.reason.as_bytes()));
    for header in &response.headers {
        assert!(clean(header.name.as_bytes()) && clean(&header.value));
    }
    for channel in &instruct.channels {
        assert!(clean(channel.name.as_bytes()) && channel.filters.len() <= 5);
        assert!(channel.prev_id.iter().all(|id| clean(id.as_bytes())));
    }
}

fn clean(text: &[u8]) -> bool {
    !text.iter().any(|b| matches!(b, b'\r' | b'\n' | 0))
}
