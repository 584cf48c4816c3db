//! A fault of a file: where it is, what is wrong, what is allowed. Shared by settings and routes
//! so that `gripd check` prints both alike.

use std::fmt;

/// How bad a fault is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// What was written does not count.
    Error,
    /// It counts, but probably not as meant.
    Warning,
}

/// One fault. Displays as `file:line:column: message`, without the numbers that are 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// File as it was named, a flag (`--route`), or an environment variable.
    pub file: String,
    /// Line, from 1; 0: no line in particular. For `--route`: the how many-th.
    pub line: usize,
    /// Column in characters, from 1; 0: the whole line.
    pub column: usize,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong and what is allowed. Never holds a key or a secret.
    pub message: String,
}

impl Fault {
    /// An error without a line.
    pub fn error(file: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            file: file.into(),
            line: 0,
            column: 0,
            severity: Severity::Error,
            message: message.into(),
        }
    }

    /// A warning without a line.
    pub fn warning(file: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::error(file, message)
        }
    }

    /// The same fault at a place of its file.
    #[must_use]
    pub fn at(mut self, line: usize, column: usize) -> Self {
        (self.line, self.column) = (line, column);
        self
    }

    /// True for errors.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        for number in [self.line, self.column] {
            if number > 0 {
                write!(f, ":{number}")?;
            }
        }
        write!(f, ": {}", self.message)
    }
}
