//! The lines about requests and ends of holds: at which level they are written, and whether anybody
//! wants them, which is asked before anything is put together for one.

use tracing::Level;

/// The module that these lines are said to be of, in the log and in its filter.
pub const LINES: &str = "gripd::access";

/// The level of the lines about a route. `log_level`: its own, from 0 (error) to 4 (trace).
pub fn level(log_level: Option<i32>) -> Level {
    match log_level {
        Some(0) => Level::ERROR,
        Some(1) => Level::WARN,
        None | Some(2) => Level::INFO,
        Some(3) => Level::DEBUG,
        Some(_) => Level::TRACE,
    }
}

/// Does the log take such lines of this level?
pub fn is_wanted(level: Level) -> bool {
    match level {
        Level::ERROR => tracing::enabled!(target: LINES, Level::ERROR),
        Level::WARN => tracing::enabled!(target: LINES, Level::WARN),
        Level::INFO => tracing::enabled!(target: LINES, Level::INFO),
        Level::DEBUG => tracing::enabled!(target: LINES, Level::DEBUG),
        Level::TRACE => tracing::enabled!(target: LINES, Level::TRACE),
    }
}

/// Writes a line of a level, with its fields in braces. The level of an event is a part of the
/// place that writes it, so there is one place for each.
macro_rules! write_line {
    ($level:expr, $($line:tt)+) => {{
        use tracing::Level;
        use $crate::telemetry::access::LINES;
        match $level {
            Level::ERROR => tracing::event!(target: LINES, Level::ERROR, $($line)+),
            Level::WARN => tracing::event!(target: LINES, Level::WARN, $($line)+),
            Level::INFO => tracing::event!(target: LINES, Level::INFO, $($line)+),
            Level::DEBUG => tracing::event!(target: LINES, Level::DEBUG, $($line)+),
            Level::TRACE => tracing::event!(target: LINES, Level::TRACE, $($line)+),
        }
    }};
}

pub(crate) use write_line;
