//! `gripd example NAME`: prints a file to begin with, or the page of all settings. Everything is
//! inside the binary; no file is read or written.

use std::{fmt::Write, process::ExitCode};

use clap::ValueEnum;

use super::write_out;
use crate::config::{
    Settings, Shown,
    keys::{self, Key},
    quoted,
};

/// What can be printed.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Example {
    /// A routes file: the commonest lines first, then every option.
    Routes,
    /// A gripd.toml with every key at its default.
    Config,
    /// A docker-compose.yml.
    Compose,
    /// A unit file of systemd.
    Unit,
    /// A page (Markdown) of every setting: type, default, environment variable, flag.
    Settings,
}

/// Prints it on standard output.
pub(super) fn run(example: Example) -> ExitCode {
    let text = match example {
        Example::Routes => include_str!("../../routes.example").to_owned(),
        Example::Config => include_str!("../../gripd.example.toml").to_owned(),
        Example::Compose => include_str!("../../docker-compose.yml").to_owned(),
        Example::Unit => include_str!("../../examples/systemd/gripd.service").to_owned(),
        Example::Settings => settings_page(),
    };
    write_out(&text).err().unwrap_or(ExitCode::SUCCESS)
}

/// `docs/settings.md`: a table for each section of the tree.
fn settings_page() -> String {
    let mut page = INTRODUCTION.to_owned();
    for section in [""].into_iter().chain(keys::sections()) {
        let title = match section {
            "" => "Above the first section".to_owned(),
            section => format!("[{section}]"),
        };
        // Writing into a String cannot fail.
        let _ = write!(page, "\n## {title}\n\n{HEAD}\n");
        for key in keys::all().filter(|key| key.section == section) {
            let _ = writeln!(page, "{}", row(key));
        }
    }
    page
}

fn row(key: &Key) -> String {
    let default = match key.shown(&Settings::default()) {
        Shown::Value(value) => value,
        Shown::Secret(secret) => quoted(&secret.0),
        Shown::Lines(_) => "[]".into(),
    };
    let code = |words: Vec<String>| {
        let words: Vec<_> = words.iter().map(|word| format!("`{word}`")).collect();
        words.join(", ")
    };
    let flags = key.flags.iter().map(ToString::to_string).collect();
    let cells = [
        code(vec![key.name.into()]),
        key.kind(),
        code(vec![default]),
        code(vec![key.variable()]),
        code(flags),
        code(key.in_pushpin_conf()),
        key.doc.into(),
    ];
    let cells = cells.map(|cell| cell.replace('|', "\\|"));
    format!("| {} |", cells.join(" | "))
}

const HEAD: &str = "| key | value | default | environment | flag | in pushpin.conf | meaning |\n\
                    | --- | --- | --- | --- | --- | --- | --- |";

const INTRODUCTION: &str = "\
# Settings

Every key of `gripd.toml`, as `gripd example settings` prints them. `gripd example config` prints
the same as a file to fill in, `gripd check` tells what is wrong in yours, and `gripd check --print`
shows what is in force and who said so.

- Flags win over the environment, the environment over the settings file, that over the default.
- A size is a number of bytes, or one such as `64KiB` or `1MiB`. A time is `500ms`, `2s`, `5m`,
  `1h`, `7d`, or a number of seconds.
- An address is `PORT`, `ADDRESS:PORT` or `[IPV6]:PORT`; for the control port also a socket in the
  file system: [control.md](control.md).
- In the environment words of a list are separated by commas, route lines by line ends.
- Relative paths start at the folder of the file that names them, else at the current folder.
- `--id N` moves the control port by ten times N.
- gripd reads a `pushpin.conf` as it is. Its other keys have no meaning here: at the value Pushpin
  ships they are silent, changed ones give one warning with what to do instead.
";
