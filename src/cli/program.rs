//! The names gripd goes by. Under those of Pushpin's two programs, links that the image ships, it
//! behaves as they do, so that scripts and cron jobs go on working.

use std::{
    ffi::{OsStr, OsString},
    path::Path,
};

/// What gripd was called as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Program {
    /// By its own name, or any other.
    Gripd,
    /// `pushpin`: the server.
    Pushpin,
    /// `pushpin-publish`: [`publish`](super::publish) alone.
    PushpinPublish,
}

impl Program {
    /// The program that a command line calls by its first word.
    pub(super) fn of(arguments: &[OsString]) -> Self {
        let first = arguments.first().and_then(|word| Self::named(word));
        first.unwrap_or(Self::Gripd)
    }

    /// The program of this name, which may have a folder before it.
    pub(super) fn named(word: &OsStr) -> Option<Self> {
        [Self::Gripd, Self::Pushpin, Self::PushpinPublish]
            .into_iter()
            .find(|program| Path::new(word).file_name() == Some(OsStr::new(program.name())))
    }

    /// Its name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Gripd => "gripd",
            Self::Pushpin => "pushpin",
            Self::PushpinPublish => "pushpin-publish",
        }
    }

    /// What `--version` says behind the name: whoever asks for Pushpin's shall know whose it is.
    pub(super) fn version(self) -> &'static str {
        match self {
            Self::Gripd => env!("CARGO_PKG_VERSION"),
            Self::Pushpin | Self::PushpinPublish => concat!(env!("CARGO_PKG_VERSION"), " (gripd)"),
        }
    }
}
