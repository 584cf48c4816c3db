//! `[log]`: what is logged, how, and where to.

use super::{Key, Slot, key};

pub(super) const KEYS: &[Key] = &[
    key(
        "log",
        "level",
        Slot::Level(|s| &mut s.log.level),
        "error, warn, info, debug, trace, 0 to 4, or a tracing filter",
    )
    .flags(&["--log-level", "--verbose"]),
    key(
        "log",
        "format",
        Slot::Format(|s| &mut s.log.format),
        "text, or json: one object a line",
    ),
    key(
        "log",
        "access",
        Slot::Bool(|s| &mut s.log.access),
        "a line at info for each request and each end of a hold",
    ),
    key(
        "log",
        "from",
        Slot::Bool(|s| &mut s.log.from),
        "these lines name the client that X-Forwarded-For names (from)",
    ),
    key(
        "log",
        "user_agent",
        Slot::Bool(|s| &mut s.log.user_agent),
        "these lines name the client's program (user_agent)",
    ),
    key(
        "log",
        "file",
        Slot::File(|s| &mut s.log.file),
        "log file; none: standard error",
    )
    .flags(&["--logfile"]),
    key(
        "log",
        "dir",
        Slot::AnyFolder(|s| &mut s.log.dir),
        "where no log.file is named: folder for gripd.log, if that can be written there",
    )
    .flags(&["--merge-output"]),
    key(
        "log",
        "buffer",
        Slot::Count(|s| &mut s.log.buffer, 16, 1_000_000),
        "lines that wait to be written; further ones are lost, and counted",
    ),
];
