//! Logs: one line per event, to standard error or to a file, with RFC 3339 times in UTC. Started
//! once, by the command that serves; the file and the level may be changed while it runs.

use std::{
    io::{self, IsTerminal},
    path::{Path, PathBuf},
};

use parking_lot::Mutex;
use thiserror::Error;
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::{
    EnvFilter, Layer, Registry, filter::ParseError, fmt, layer::SubscriberExt, reload,
    util::SubscriberInitExt,
};

use super::{
    fields::Fields,
    sink::{self, Reopen, Sink},
};
use crate::config::{Log, LogFormat};

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

/// The log of the process. Dropping it writes what waits, for a second at most.
#[derive(Debug)]
pub struct Logs {
    filter: reload::Handle<EnvFilter, Registry>,
    /// The file it goes to, or would go to if it could be written.
    path: Option<PathBuf>,
    reopen: Reopen,
    /// Why it does not go to the file that it is meant for.
    trouble: Option<String>,
}

impl Logs {
    /// Starts logging for the whole process. Colours only on a terminal; a file is appended to.
    /// Nobody who logs ever waits: lines that come faster than they can be written are lost, and
    /// counted, when `log.buffer` of them wait.
    ///
    /// # Errors
    /// See [`LogError`]. A folder (`log.dir`) that cannot be written is none: then the lines go to
    /// standard error, and one of them says so.
    pub fn start(settings: &Log) -> Result<Self, LogError> {
        let filter = filter(&settings.level)?;
        let path = match (&settings.file, &settings.dir) {
            (Some(file), _) => Some(file.clone()),
            (None, dir) => dir.as_deref().map(|dir| dir.join(NAME)),
        };
        let file = path.as_deref().map(sink::open).transpose();
        let (file, trouble) = match (file, &settings.file) {
            (Ok(file), _) => (file, None),
            (Err(source), Some(path)) => {
                let path = path.display().to_string();
                return Err(LogError::File { path, source });
            }
            (Err(error), None) => (None, Some(error.to_string())),
        };
        let (sink, reopen) = Sink::new(file, settings.format);
        let (writer, guard) = NonBlockingBuilder::default()
            .buffered_lines_limit(settings.buffer)
            .thread_name("gripd-log")
            .finish(sink);
        sink::count(&writer);
        let (filter, handle) = reload::Layer::new(filter);
        let lines = fmt::layer()
            .with_writer(writer)
            .with_ansi(path.is_none() && io::stderr().is_terminal());
        let lines = match settings.format {
            LogFormat::Text => lines
                .fmt_fields(Fields::default())
                .with_target(false)
                .boxed(),
            LogFormat::Json => lines.json().flatten_event(true).boxed(),
        };
        let all = tracing_subscriber::registry().with(filter).with(lines);
        all.try_init().map_err(|_| LogError::Started)?;
        *GUARD.lock() = Some(guard);
        Ok(Self {
            filter: handle,
            path,
            reopen,
            trouble,
        })
    }

    /// The file it goes to, or why it goes to standard error although a folder is named.
    pub fn place(&self) -> Option<Result<&Path, String>> {
        let path = self.path.as_deref()?;
        Some(match &self.trouble {
            None => Ok(path),
            Some(why) => Err(format!(
                "log.dir: {}: {why}; the log goes to standard error",
                path.display()
            )),
        })
    }

    /// Opens the log's file anew, since somebody may have renamed it. One that cannot be opened
    /// leaves everything as it is.
    pub fn reopen(&self) {
        let Some(path) = self.path.as_deref() else {
            return;
        };
        match sink::open(path) {
            Ok(file) => self.reopen.give(file),
            Err(error) => tracing::warn!(
                "the log file {} cannot be opened again: {error}; the log goes on where it was",
                path.display()
            ),
        }
    }

    /// Another level (`log.level`) from now on.
    ///
    /// # Errors
    /// It is none.
    pub fn set_level(&self, level: &str) -> Result<(), LogError> {
        let filter = filter(level)?;
        // It fails only when nobody logs any more.
        let _ = self.filter.reload(filter);
        Ok(())
    }
}

impl Drop for Logs {
    fn drop(&mut self) {
        finish();
    }
}

/// Every frame of HTTP/2 is a line of its library at `debug`: a plain `debug` is without them, since
/// nothing else could be found among them.
fn filter(level: &str) -> Result<EnvFilter, ParseError> {
    EnvFilter::try_new(match level {
        "debug" => "debug,h2=info",
        level => level,
    })
}

/// Writes what waits, for a second at most. Nothing is logged after it.
pub fn finish() {
    let guard = GUARD.lock().take();
    drop(guard);
}

/// Lines that were lost since the start.
pub fn lost() -> u64 {
    sink::lost()
}

/// The file in the folder `log.dir`.
const NAME: &str = "gripd.log";

/// Ends the thread that writes. Apart from [`Logs`], so that a part of gripd that has to abort
/// the process can have its last words written.
static GUARD: Mutex<Option<WorkerGuard>> = Mutex::new(None);
