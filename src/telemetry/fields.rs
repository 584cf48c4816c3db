//! The fields of a line of the log, as text. A line for each request is written with every request:
//! so this one goes around the formatting machinery where a field is a word.

use std::fmt;

use tracing::field::{Field, Visit};
use tracing_subscriber::{
    field::{RecordFields, VisitOutput},
    fmt::{
        FormatFields,
        format::{DefaultFields, DefaultVisitor, Writer},
    },
};

/// Writes `message key=value key="text"`. On a terminal the keys are set apart from the values, as
/// tracing-subscriber does it.
#[derive(Debug, Default)]
pub(super) struct Fields(DefaultFields);

impl<'w> FormatFields<'w> for Fields {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'w>, fields: R) -> fmt::Result {
        if writer.has_ansi_escapes() {
            return self.0.format_fields(writer, fields);
        }
        let mut line = Line {
            writer,
            is_empty: true,
            result: Ok(()),
        };
        fields.record(&mut line);
        line.result
    }
}

/// The fields written so far.
struct Line<'w> {
    writer: Writer<'w>,
    is_empty: bool,
    result: fmt::Result,
}

impl Line<'_> {
    fn put(&mut self, field: &Field, value: impl FnOnce(&mut Writer<'_>) -> fmt::Result) {
        if self.result.is_ok() {
            self.result = self
                .key(field.name())
                .and_then(|()| value(&mut self.writer));
        }
    }

    /// What stands before a value.
    fn key(&mut self, name: &str) -> fmt::Result {
        if !std::mem::take(&mut self.is_empty) {
            self.writer.write_char(' ')?;
        }
        self.writer
            .write_str(name.strip_prefix("r#").unwrap_or(name))?;
        self.writer.write_char('=')
    }

    /// A sentence, which the library frees of what would command a terminal.
    fn message(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if self.result.is_err() {
            return;
        }
        let is_empty = std::mem::take(&mut self.is_empty);
        let mut library = DefaultVisitor::new(self.writer.by_ref(), is_empty);
        library.record_debug(field, value);
        self.result = library.finish();
    }
}

impl Visit for Line<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == MESSAGE {
            return self.message(field, value);
        }
        self.put(field, |writer| write!(writer, "{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == MESSAGE {
            return self.message(field, &format_args!("{value}"));
        }
        self.put(field, |writer| {
            if value.bytes().any(needs_escape) {
                write!(writer, "{value:?}")
            } else {
                writer.write_char('"')?;
                writer.write_str(value)?;
                writer.write_char('"')
            }
        });
    }
}

/// Might a text be written in another way inside quotes?
fn needs_escape(byte: u8) -> bool {
    !matches!(byte, b' '..=b'~') || byte == b'"' || byte == b'\\'
}

/// The field that has no name in a line.
const MESSAGE: &str = "message";

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex, PoisonError};

    use tracing_subscriber::fmt::MakeWriter;

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            lines.extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl<'w> MakeWriter<'w> for Lines {
        type Writer = Self;

        fn make_writer(&'w self) -> Self {
            self.clone()
        }
    }

    /// What a subscriber with these fields writes of some events.
    fn written<F>(fields: F, ansi: bool) -> String
    where
        F: for<'w> FormatFields<'w> + Send + Sync + 'static,
    {
        let lines = Lines::default();
        let subscriber = tracing_subscriber::fmt()
            .with_writer(lines.clone())
            .with_ansi(ansi)
            .without_time()
            .fmt_fields(fields)
            .finish();
        tracing::subscriber::with_default(subscriber, || {
            let (least, most) = (i64::MIN, u64::MAX);
            let none = None::<u64>;
            tracing::info!(least, zero = 0, most, none, "a message");
            tracing::info!(
                plain = "a b=c",
                quoted = "\"\\",
                other = "ä\n\u{7f}",
                empty = ""
            );
            tracing::info!(yes = true, no = false, half = 0.5, r#type = 1, a.b = "c");
            tracing::info!(debug = ?Some("x"), shown = %"\"x\"", "at {}", 1);
            tracing::info!("\"{}\" \\ \u{e4}", "as it is");
            tracing::info!(x = "\u{1b}[1m", "\u{1b}[31m\u{9b}{}\u{7}", "\u{8}");
        });
        let bytes = lines.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&bytes).into_owned()
    }

    #[test]
    fn lines_are_those_of_tracing_subscriber() {
        for ansi in [false, true] {
            let [ours, theirs] = [
                written(Fields::default(), ansi),
                written(DefaultFields::new(), ansi),
            ];
            assert_eq!(ours, theirs);
            assert_eq!(ours.lines().count(), 6);
        }
    }
}
