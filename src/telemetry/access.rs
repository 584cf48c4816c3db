//! Which lines about requests and holds are written. Each names a route, and the level of that
//! route (`log_level`) decides, or else that of the whole log.
//!
//! The lines have the target [`LINES`], which no filter keeps back: whether one is wanted is asked
//! here, before anything is put together for it.

use tracing::Level;

/// Target of the lines.
pub const LINES: &str = "gripd::access::line";

/// Is a line of this level about a route wanted? `own`: the route's `log_level`, from 0 (errors)
/// to 4; none, or one below 0: as the whole log. `all`: what the log's level says.
pub fn is_wanted(own: Option<i32>, level: Level, all: bool) -> bool {
    match own {
        Some(own) if own >= 0 => number(level) <= own,
        _ => all,
    }
}

/// Does the log's level want the lines of requests and ends of holds?
pub fn by_level() -> bool {
    tracing::enabled!(target: "gripd::access", Level::INFO)
}

/// A level as Pushpin counts them.
fn number(level: Level) -> i32 {
    match level {
        Level::ERROR => 0,
        Level::WARN => 1,
        Level::INFO => 2,
        Level::DEBUG => 3,
        Level::TRACE => 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_routes_level_decides_where_it_has_one() {
        for (own, level, all, wanted) in [
            (None, Level::INFO, true, true),
            (None, Level::INFO, false, false),
            (Some(-1), Level::INFO, true, true),
            (Some(1), Level::INFO, true, false),
            (Some(2), Level::INFO, false, true),
            (Some(2), Level::DEBUG, true, false),
            (Some(0), Level::WARN, true, false),
        ] {
            let found = is_wanted(own, level, all);
            assert_eq!(found, wanted, "{own:?} {level} {all}");
        }
    }
}
