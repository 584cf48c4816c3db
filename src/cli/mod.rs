//! The command line, one file per command. Exit codes: 0 clean, 1 runtime, 2 usage,
//! 3 configuration.

mod check;
mod example;
mod explain;
mod hangup;
mod health;
mod image;
mod line;
mod manual;
mod print;
mod program;
mod publish;
mod serve;

use std::{
    env,
    fmt::Display,
    io::{self, ErrorKind, Write},
    process::ExitCode,
};

use line::{Command, Line};
use program::Program;

/// Runs the command the process was called with.
pub fn run() -> ExitCode {
    let (arguments, in_image) = image::unwrap(env::args_os());
    if Program::of(&arguments) == Program::PushpinPublish {
        return publish::run_as_pushpin(arguments);
    }
    let read = Line::read(arguments).and_then(|mut line| Ok((line.take_flags()?, line.command)));
    let (mut flags, command) = match read {
        Ok(read) => read,
        Err(error) => error.exit(),
    };
    if in_image {
        if matches!(command, Some(Command::Health { .. })) {
            image::adopt(&mut flags);
        }
        match image::from_environment(env::var_os("target")) {
            Ok(image) => flags.image = Some(image),
            Err(fault) => {
                complain(&fault);
                return ExitCode::from(CONFIGURATION);
            }
        }
    }
    match command {
        None => serve::run(&flags),
        Some(Command::Check { print, .. }) => check::run(&flags, print),
        Some(Command::Completions { shell }) => manual::completions(shell),
        Some(Command::Example { name }) => example::run(name),
        Some(Command::Explain(options)) => explain::run(&options, flags),
        Some(Command::Health { ready, .. }) => health::run(flags, ready),
        Some(Command::Man { command }) => manual::page(command.as_deref()),
        Some(Command::Publish(options)) => publish::run(&options, Program::Gripd),
    }
}

/// One line on standard error, where there is no log.
fn complain(what: &dyn Display) {
    complain_as("gripd", what);
}

/// The same in the name of another.
fn complain_as(who: &str, what: &dyn Display) {
    // Nobody left to tell when standard error is closed.
    let _ = writeln!(io::stderr(), "{who}: {what}");
}

/// The environment as text; what is not UTF-8 cannot be a setting.
fn environment() -> impl Iterator<Item = (String, String)> {
    env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

/// Writes to standard output.
///
/// # Errors
/// It cannot be written; told on standard error. A reader who left (`gripd check | head`) has seen
/// enough: that is no error.
fn write_out(text: &str) -> Result<(), ExitCode> {
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            complain(&format_args!("cannot write: {error}"));
            Err(ExitCode::FAILURE)
        }
        _ => Ok(()),
    }
}

/// A command line that cannot be used.
const USAGE: u8 = 2;
/// Settings that cannot be used.
const CONFIGURATION: u8 = 3;
