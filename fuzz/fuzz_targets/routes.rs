//! The routes grammar: any text as a line of the file.
//! Run: `cargo fuzz run routes fuzz/corpus/routes fuzz/seeds/routes`.

#![no_main]

use gripd::routes::grammar::parse_line;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(line) = std::str::from_utf8(data) {
        let _ = parse_line(line);
    }
});
