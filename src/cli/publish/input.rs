//! Where contents come from: the command line, a file, or the lines of standard input. All are
//! bounded, so that no file and no line without end fills the memory.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read},
};

use super::error::Error;

/// The content of one item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Content {
    /// Its bytes.
    pub(super) bytes: Vec<u8>,
    /// Does it stand for a line, so that a stream gets it with a line end?
    pub(super) is_line: bool,
}

impl Content {
    /// What an argument says: text, or the bytes of a file behind an `@`, at most `limit`.
    ///
    /// # Errors
    /// The file cannot be read, or is larger.
    pub(super) fn of(argument: &str, limit: u64) -> Result<Self, Error> {
        let Some(name) = argument.strip_prefix('@') else {
            return Ok(Self {
                bytes: argument.into(),
                is_line: true,
            });
        };
        let unreadable = |error| {
            let why = format!("can't read file {name}: {error}");
            Error::failed("CONTENT", why)
        };
        let mut bytes = Vec::new();
        File::open(name)
            .and_then(|file| file.take(limit.saturating_add(1)).read_to_end(&mut bytes))
            .map_err(unreadable)?;
        if bytes.len() as u64 > limit {
            return Err(too_large(format!("file {name}"), limit));
        }
        Ok(Self {
            bytes,
            is_line: false,
        })
    }

    /// No content, for items that need none.
    pub(super) fn none() -> Self {
        Self {
            bytes: Vec::new(),
            is_line: false,
        }
    }
}

/// The lines of an input, as they come.
#[derive(Debug)]
pub(super) struct Lines<R> {
    input: BufReader<R>,
    limit: u64,
    read: u64,
}

impl<R: Read> Lines<R> {
    /// The lines of this input, each at most `limit` bytes.
    pub(super) fn of(input: R, limit: u64) -> Self {
        Self {
            input: BufReader::with_capacity(BUFFER, input),
            limit,
            read: 0,
        }
    }

    /// How many lines were read.
    pub(super) fn read(&self) -> u64 {
        self.read
    }

    /// The next line without its end; waits for it. `None`: there is none.
    ///
    /// # Errors
    /// The input cannot be read, or the line is longer than allowed.
    pub(super) fn next(&mut self) -> Result<Option<Content>, Error> {
        let mut bytes = Vec::new();
        // The line end, of one byte or two, does not count.
        let most = self.limit.saturating_add(2);
        let mut bounded = (&mut self.input).take(most);
        let failed = |error: io::Error| Error::failed(INPUT, error.to_string());
        if bounded.read_until(b'\n', &mut bytes).map_err(failed)? == 0 {
            return Ok(None);
        }
        self.read += 1;
        if bytes.pop_if(|last| *last == b'\n').is_some() {
            bytes.pop_if(|last| *last == b'\r');
        }
        if bytes.len() as u64 > self.limit {
            return Err(too_large(
                format!("{INPUT}, line {}", self.read),
                self.limit,
            ));
        }
        Ok(Some(Content {
            bytes,
            is_line: true,
        }))
    }

    /// Has the next line come already?
    pub(super) fn is_ready(&self) -> bool {
        memchr::memchr(b'\n', self.input.buffer()).is_some()
    }
}

fn too_large(place: String, limit: u64) -> Error {
    Error::failed(place, format!("larger than {limit} bytes (--max-size)"))
}

/// What errors call it.
pub(super) const INPUT: &str = "standard input";

/// Bytes read at once: what came together is published together.
const BUFFER: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str, limit: u64) -> Vec<Result<String, String>> {
        let mut lines = Lines::of(text.as_bytes(), limit);
        let mut all = Vec::new();
        loop {
            match lines.next() {
                Ok(None) => return all,
                Ok(Some(line)) => all.push(Ok(String::from_utf8(line.bytes).unwrap())),
                Err(error) => {
                    all.push(Err(error.to_string()));
                    return all;
                }
            }
        }
    }

    #[test]
    fn lines_come_without_their_ends() {
        let ok = |lines: &[&str]| lines.iter().map(|line| Ok((*line).to_owned())).collect();
        for (text, expected) in [
            ("", &[] as &[&str]),
            ("a", &["a"]),
            ("a\n", &["a"]),
            ("a\r\n\nb\rc\n", &["a", "", "b\rc"]),
        ] {
            let expected: Vec<Result<String, String>> = ok(expected);
            assert_eq!(lines(text, 9), expected, "{text:?}");
        }
    }

    #[test]
    fn a_line_of_any_end_has_the_same_limit() {
        for end in ["", "\n", "\r\n"] {
            assert_eq!(
                lines(&format!("abc{end}"), 3),
                [Ok("abc".into())],
                "{end:?}"
            );
            let error = "standard input, line 2: larger than 3 bytes (--max-size)";
            let two = lines(&format!("a\nabcd{end}"), 3);
            assert_eq!(two, [Ok("a".into()), Err(error.into())], "{end:?}");
        }
    }
}
