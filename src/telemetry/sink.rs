//! Where the lines of the log end: written by a thread of its own, so that a slow disk or terminal
//! keeps nobody waiting. Lines that are lost are counted, and the log tells how many.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    path::Path,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use tracing_appender::non_blocking::{ErrorCounter, NonBlocking};
use tracing_subscriber::fmt::{
    format::Writer,
    time::{FormatTime, SystemTime},
};

use crate::config::LogFormat;

/// Standard error or a file. Lines are written together; [`Write::flush`] tells that no more wait.
#[derive(Debug)]
pub(super) struct Sink {
    /// `None`: standard error.
    file: Option<File>,
    next: Reopen,
    lines: Vec<u8>,
    format: LogFormat,
    /// Of the lost lines so many were told.
    told: u64,
}

/// By which the lines get another file.
#[derive(Clone, Debug, Default)]
pub(super) struct Reopen(Arc<Mutex<Option<File>>>);

impl Reopen {
    /// The next lines go here.
    pub(super) fn give(&self, file: File) {
        *self.0.lock() = Some(file);
    }
}

impl Sink {
    pub(super) fn new(file: Option<File>, format: LogFormat) -> (Self, Reopen) {
        let next = Reopen::default();
        let sink = Self {
            file,
            next: next.clone(),
            lines: Vec::new(),
            format,
            told: 0,
        };
        (sink, next)
    }

    fn write_out(&mut self) -> io::Result<()> {
        if let Some(next) = self.next.0.lock().take() {
            self.file = Some(next);
        }
        let lines = std::mem::take(&mut self.lines);
        let written = match &mut self.file {
            Some(file) => file.write_all(&lines),
            None => io::stderr().write_all(&lines),
        };
        if written.is_err() {
            let count = memchr::memchr_iter(b'\n', &lines).count();
            UNWRITTEN.fetch_add(count as u64, Ordering::Relaxed);
        }
        written
    }

    /// Puts a line that tells of lost ones behind the others.
    fn tell_lost(&mut self) {
        let all = lost();
        let more = all - self.told;
        if more > 0 {
            self.told = all;
            let line = lost_line(more, self.format);
            self.lines.extend_from_slice(line.as_bytes());
        }
    }
}

impl Write for Sink {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.lines.extend_from_slice(line);
        if self.lines.len() >= TOGETHER {
            self.write_out()?;
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.tell_lost();
        if self.lines.is_empty() {
            return Ok(());
        }
        let written = self.write_out();
        gather();
        written
    }
}

/// Opens a log file to append to it.
///
/// # Errors
/// It cannot be written.
pub(super) fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

/// A busy server would wake the log's thread for line after line; so it takes many at once.
#[expect(clippy::disallowed_methods, reason = "the log's own thread, no core's")]
fn gather() {
    std::thread::sleep(GATHER);
}

/// Counts what this writer has no room for.
pub(super) fn count(writer: &NonBlocking) {
    // Logging is started once.
    let _ = CROWDED.set(writer.error_counter());
}

/// Lines lost since the start: those for which there was no room, and those that could not be
/// written.
pub(super) fn lost() -> u64 {
    let crowded = CROWDED.get().map_or(0, ErrorCounter::dropped_lines);
    crowded as u64 + UNWRITTEN.load(Ordering::Relaxed)
}

fn lost_line(lines: u64, format: LogFormat) -> String {
    let mut now = String::new();
    // Writing to a String does not fail.
    let _ = SystemTime.format_time(&mut Writer::new(&mut now));
    let message = "lines of the log were lost: they came faster than they could be written \
                   (log.buffer)";
    match format {
        LogFormat::Text => format!("{now}  WARN {message} lines={lines}\n"),
        LogFormat::Json => {
            let line = serde_json::json!({
                "timestamp": now, "level": "WARN", "message": message, "lines": lines,
                "target": module_path!(),
            });
            format!("{line}\n")
        }
    }
}

static CROWDED: OnceLock<ErrorCounter> = OnceLock::new();
static UNWRITTEN: AtomicU64 = AtomicU64::new(0);

/// How long the next lines wait for others, when some were just written.
const GATHER: Duration = Duration::from_millis(2);

/// Bytes that are written together at most.
const TOGETHER: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lost_lines_are_told_in_the_logs_own_format() {
        let text = lost_line(7, LogFormat::Text);
        assert!(
            text.contains("Z  WARN lines of the log were lost"),
            "{text}"
        );
        assert!(text.ends_with(" lines=7\n"), "{text}");
        let json = lost_line(7, LogFormat::Json);
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(value["level"], "WARN");
        assert_eq!(value["lines"], 7);
    }
}
