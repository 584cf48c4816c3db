//! Assembles the server.

use std::fmt;

use crate::config::Loaded;

/// Why the server ended.
#[derive(Debug)]
pub struct Error(String);

impl Error {
    /// The process's exit code.
    pub fn exit_code(&self) -> u8 {
        1
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Runs the server until it is told to stop.
///
/// # Errors
/// It could not start or had to stop.
pub fn run(_loaded: Loaded) -> Result<(), Error> {
    Ok(())
}
