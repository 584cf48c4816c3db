//! Log levels: names, Pushpin's numbers, or a filter of the `tracing` crates.

use tracing_subscriber::EnvFilter;

/// The names, at the places of Pushpin's numbers.
const NAMES: [&str; 5] = ["error", "warn", "info", "debug", "trace"];

/// Reads a level. Of Pushpin's `2,proxy:3` only the first number counts: gripd is one process.
///
/// # Errors
/// What is allowed.
pub(super) fn normal(text: &str) -> Result<String, String> {
    let first = text.split(',').next().unwrap_or_default().trim();
    if let Ok(number) = first.parse::<usize>() {
        return NAMES
            .get(number)
            .map(ToString::to_string)
            .ok_or_else(allowed);
    }
    let lower = text.to_ascii_lowercase();
    if NAMES.contains(&lower.as_str()) || lower == "off" {
        return Ok(lower);
    }
    // A bare unknown word would be taken as the name of a module and hide everything else.
    if text.contains(['=', '[']) && EnvFilter::try_new(text).is_ok() {
        return Ok(text.to_owned());
    }
    Err(allowed())
}

fn allowed() -> String {
    "must be error, warn, info, debug, trace, a number from 0 to 4, or a filter such as \
     info,gripd::hub=debug"
        .into()
}
