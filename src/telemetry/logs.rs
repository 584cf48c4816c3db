//! Logs: one line per event, to standard error or to a file, with RFC 3339 times in UTC. Started
//! once, by the command that serves.

use std::{
    fs::OpenOptions,
    io::{self, IsTerminal},
    sync::Arc,
};

use thiserror::Error;
use tracing_subscriber::{EnvFilter, filter::ParseError, fmt};

use crate::config::Log;

/// Why logging cannot start. The operator's fault: a setting.
#[derive(Debug, Error)]
pub enum LogError {
    /// The filter is not one.
    #[error("log.level: {0}")]
    Level(#[from] ParseError),
    /// The file cannot be written.
    #[error(
        "log.file: {path}: {source}; allowed: a file that can be written (log.file, --logfile)"
    )]
    File {
        /// Its name.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// Logging was started before.
    #[error("logging is started already")]
    Started,
}

/// Starts logging for the whole process. Colours only on a terminal; a file is appended to.
///
/// # Errors
/// See [`LogError`].
pub fn start(settings: &Log) -> Result<(), LogError> {
    let filter = EnvFilter::try_new(&settings.level)?;
    let lines = fmt().with_env_filter(filter).with_target(false);
    let Some(path) = &settings.file else {
        return lines
            .with_ansi(io::stderr().is_terminal())
            .with_writer(io::stderr)
            .try_init()
            .map_err(|_| LogError::Started);
    };
    let file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .map_err(|source| LogError::File {
            path: path.display().to_string(),
            source,
        })?;
    lines
        .with_ansi(false)
        .with_writer(Arc::new(file))
        .try_init()
        .map_err(|_| LogError::Started)
}
