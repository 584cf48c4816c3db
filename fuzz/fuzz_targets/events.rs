//! Events: the body of a backend's answer over HTTP. What is read can be written, and reads the
//! same again; what cannot be read is told in one line.
//! Run: `cargo fuzz run events fuzz/corpus/events fuzz/seeds/events`.

#![no_main]

use bytes::Bytes;
use gripd::grip::ws_events::{decode, encode};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    match decode(&Bytes::copy_from_slice(data)) {
        Err(error) => assert!(!error.to_string().contains(['\r', '\n', '\0'])),
        Ok(events) => {
            let mut body = Vec::new();
            for event in &events {
                encode(event, &mut body);
            }
            assert_eq!(decode(&Bytes::from(body)), Ok(events));
        }
    }
});
