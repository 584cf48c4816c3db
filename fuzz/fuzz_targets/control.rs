//! Control messages of a WebSocket: what stands behind `c:`. What is accepted keeps to its limits;
//! what is not is told in one line.
//! Run: `cargo fuzz run control fuzz/corpus/control fuzz/seeds/control`.

#![no_main]

use std::time::Duration;

use gripd::grip::{
    FILTER_LIMIT,
    ws_control::{Control, parse},
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    match parse(data) {
        Err(error) => assert!(!error.to_string().contains(['\r', '\n', '\0'])),
        Ok(Control::Subscribe(channel)) => {
            assert!(!channel.name.is_empty() && channel.filters.len() <= FILTER_LIMIT);
        }
        Ok(Control::Unsubscribe { channel: name } | Control::SetMeta { name, .. }) => {
            assert!(!name.is_empty());
        }
        Ok(Control::KeepAlive(Some(keep_alive))) => {
            assert!(keep_alive.timeout >= Duration::from_secs(1));
        }
        Ok(Control::SendDelayed(delayed)) => assert!(delayed.after >= Duration::from_secs(1)),
        Ok(_) => {}
    }
});
