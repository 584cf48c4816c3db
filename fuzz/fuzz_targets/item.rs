//! Items: the body of a publish request, then (after a NUL) a document for its patches. What is
//! accepted must be fit to be written to a client.
//! Run: `cargo fuzz run item fuzz/corpus/item fuzz/seeds/item`.

#![no_main]

use gripd::grip::{
    format::ResponseFormat,
    item::{CHANNELS_LIMIT, Entry, parse_batch},
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut halves = data.splitn(2, |&b| b == 0);
    let (batch, original) = (halves.next().unwrap_or_default(), halves.next());
    match parse_batch(batch) {
        Err(error) => assert!(!error.to_string().contains(['\r', '\n', '\0'])),
        Ok(entries) => {
            for entry in entries {
                let Entry::Item(item) = entry else { continue };
                assert!((1..=CHANNELS_LIMIT + 1).contains(&item.channels.len()));
                assert!(item.id.iter().all(|id| clean(id.as_bytes())));
                if let Some(ResponseFormat::Send(content)) = item.formats.response {
                    assert!((200..=999).contains(&content.code));
                    assert!(content.reason.iter().all(|reason| clean(reason.as_bytes())));
                    for header in &content.headers {
                        assert!(clean(header.name.as_bytes()) && clean(&header.value));
                    }
                    let _ = content.body.apply(original.unwrap_or(b"{\"a\":[1,{}]}\n"));
                }
            }
        }
    }
});

fn clean(text: &[u8]) -> bool {
    !text.iter().any(|b| matches!(b, b'\r' | b'\n' | 0))
}
