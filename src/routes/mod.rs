//! Routes: which backend a request goes to. The grammar is pure; the table picks the best match;
//! the watcher swaps in a new table when the file changes.

pub mod grammar;
#[cfg(feature = "server")]
pub mod table;
#[cfg(feature = "server")]
pub mod watch;
#[cfg(feature = "server")]
pub mod why;
