//! The gate: any bytes as the start of a client's connection. It must decide without panic, and
//! the same bytes must get the same verdict when they are seen twice.
//! Run: `cargo fuzz run gate fuzz/corpus/gate fuzz/seeds/gate`.

#![no_main]

use gripd::http1::gate::{Limits, scan_head};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let limits = Limits::default();
    let first = format!("{:?}", scan_head(data, &limits));
    assert_eq!(first, format!("{:?}", scan_head(data, &limits)));
});
