//! Why something was not published, for a person: what was at fault, then why, then what to do.

use std::{error::Error as StdError, fmt};

/// Why nothing, or not all, was published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Error {
    /// Is the command line itself wrong?
    pub(super) usage: bool,
    /// What was at fault: an option, a file, a line, an address.
    pub(super) place: String,
    /// Why, in the words of `pushpin-publish` where it has some. May be empty.
    pub(super) why: String,
    /// What is allowed, or what became of the rest. May be empty.
    pub(super) more: String,
}

impl Error {
    /// The command line is wrong.
    pub(super) fn usage(place: impl Into<String>, why: impl Into<String>) -> Self {
        Self {
            usage: true,
            ..Self::failed(place, why)
        }
    }

    /// Something went wrong on the way.
    pub(super) fn failed(place: impl Into<String>, why: impl Into<String>) -> Self {
        Self {
            usage: false,
            place: place.into(),
            why: why.into(),
            more: String::new(),
        }
    }

    /// The same with a word more.
    pub(super) fn with(self, more: impl Into<String>) -> Self {
        Self {
            more: more.into(),
            ..self
        }
    }

    /// The same at a place that tells more.
    pub(super) fn at(self, place: impl fmt::Display) -> Self {
        Self {
            place: format!("{place}: {}", self.place),
            ..self
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.place)?;
        for (before, part) in [(": ", &self.why), ("; ", &self.more)] {
            if !part.is_empty() {
                write!(f, "{before}{part}")?;
            }
        }
        Ok(())
    }
}

/// The innermost cause of an error: the one that says what happened.
pub(super) fn root(error: &dyn StdError) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}
