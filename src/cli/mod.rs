//! The command line, one file per command. Exit codes: 0 clean, 1 runtime, 2 usage,
//! 3 configuration.

mod check;
mod example;
mod health;
mod image;
mod print;
mod serve;

use std::{
    env,
    fmt::Display,
    io::{self, ErrorKind, Write},
    path::PathBuf,
    process::ExitCode,
};

use clap::{ArgAction, Args, Parser, Subcommand};

use crate::config::Flags;

/// Runs the command the process was called with.
pub fn run() -> ExitCode {
    let (arguments, in_image) = image::unwrap(env::args_os());
    let line = Line::parse_from(arguments);
    let mut flags = line.sources.flags();
    if in_image {
        if matches!(line.command, Some(Command::Health { .. })) {
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
    match line.command {
        None => serve::run(&flags),
        Some(Command::Check { print }) => check::run(&flags, print),
        Some(Command::Example { name }) => example::run(name),
        Some(Command::Health { ready }) => health::run(flags, ready),
    }
}

/// A push proxy: keeps HTTP streams, long-polls and WebSockets open in front of any web backend
/// (GRIP), so that anyone may push messages to them.
#[derive(Debug, Parser)]
#[command(name = "gripd", version, disable_version_flag = true, max_term_width = 100, after_long_help = GUIDE, after_help = GUIDE)]
struct Line {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    sources: Sources,

    /// Print the version.
    #[arg(long, short = 'V', visible_short_alias = 'v', action = ArgAction::Version)]
    version: Option<bool>,
}

#[derive(Clone, Copy, Debug, Subcommand)]
enum Command {
    /// Read settings and routes, print every fault with its line and column, serve nothing.
    #[command(after_help = CHECK_GUIDE)]
    Check {
        /// Print every setting in force as a gripd.toml that tells who said so; faults then go to
        /// standard error.
        #[arg(long)]
        print: bool,
    },
    /// Print a file to begin with; writes none.
    Example {
        /// What to print.
        #[arg(value_name = "routes|config|compose|settings")]
        name: example::Example,
    },

    /// Ask the control port that these settings name whether gripd is alive: exit code 0 or 1.
    Health {
        /// Ask whether it serves clients, too: not while it starts, and not while it drains.
        #[arg(long)]
        ready: bool,
    },
}

#[derive(Debug, Args)]
struct Sources {
    /// Settings file (gripd.toml or pushpin.conf), or a folder with one or with a `routes` file;
    /// /dev/null: none.
    #[arg(long, short = 'c', value_name = "FILE", global = true)]
    config: Option<PathBuf>,

    /// One route, as a line of the routes file; may be repeated. No routes file is read then.
    #[arg(long, value_name = "LINE", global = true)]
    route: Vec<String>,

    /// Where clients connect. A bare port means every address [default: 7999].
    #[arg(long, value_name = "[ADDR:]PORT", global = true)]
    port: Option<String>,

    /// Where publishers connect: [ADDR:]PORT, unix:PATH, or several with commas. A bare port means
    /// this machine only [default: 5561].
    #[arg(long, value_name = "ADDRESS", global = true)]
    control: Option<String>,

    /// Let other machines reach a control port that asks for no token, JWT or password.
    #[arg(long, global = true)]
    control_insecure: bool,

    /// error, warn, info, debug, trace, or 0 to 4 [default: info].
    #[arg(
        long,
        short = 'L',
        alias = "loglevel",
        value_name = "LEVEL",
        global = true
    )]
    log_level: Option<String>,

    /// The same as --log-level debug.
    #[arg(long, global = true)]
    verbose: bool,

    /// Log to this file instead of standard error.
    #[arg(
        long,
        short = 'l',
        alias = "log-file",
        value_name = "FILE",
        global = true
    )]
    logfile: Option<String>,

    /// Shift the control port by N times 10, for several gripd on one machine.
    #[arg(long, value_name = "N", global = true, value_parser = clap::value_parser!(u16).range(..=6553))]
    id: Option<u16>,

    /// No effect: gripd always writes one log. Accepted because Pushpin has it.
    #[arg(long, short = 'm', global = true, overrides_with = "merge_output")]
    merge_output: bool,
}

impl Sources {
    fn flags(self) -> Flags {
        Flags {
            config: self.config,
            routes: self.route,
            port: self.port,
            control: self.control,
            control_insecure: self.control_insecure,
            log_level: self.log_level,
            verbose: self.verbose,
            log_file: self.logfile,
            id: self.id,
            image: None,
        }
    }
}

/// One line on standard error, where there is no log.
fn complain(what: &dyn Display) {
    // Nobody left to tell when standard error is closed.
    let _ = writeln!(io::stderr(), "gripd: {what}");
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

/// Settings that cannot be used.
const CONFIGURATION: u8 = 3;

const GUIDE: &str = "\
Examples:
  gripd                                         try it: a live page at http://localhost:7999/
  gripd --route '* 127.0.0.1:8000'              everything to a backend on port 8000
  gripd --config /etc/gripd                     a folder with gripd.toml, routes, or both
  gripd --config /etc/pushpin/pushpin.conf      Pushpin's own files, as they are
  gripd check --config /etc/gripd               is everything written right?
  gripd health --ready                          does the gripd of these settings serve clients?
  gripd --control 0.0.0.0:5561                  publishers on other machines; needs a token:
                                                GRIPD_CONTROL_TOKEN=... in the environment
  gripd check --print                           every setting in force, and who said so
  gripd example routes > routes                 a routes file to begin with, explained
  gripd example config > gripd.toml             every setting at its default
  gripd example compose > docker-compose.yml    gripd in a container
  gripd image [pushpin] ...                     the same commands as the container image runs them:
                                                control port open to other containers, and
                                                target=HOST:PORT in the environment as the route

The first minute, with nothing but gripd running:
  curl http://localhost:7999/stream             waits for messages
  curl -d '{\"items\":[{\"channel\":\"test\",\"formats\":{\"http-stream\":{\"content\":\"hello\\n\"}}}]}' \\
      http://localhost:5561/publish             sends one to everyone who waits

Files: without --config and --route the first place that has any wins:
  ./gripd.toml ./routes, /etc/gripd/gripd.toml /etc/gripd/routes,
  /etc/pushpin/pushpin.conf /etc/pushpin/routes
A change of the routes file is seen within seconds; SIGHUP has it read at once.

Every setting [SECTION] KEY of gripd.toml can be given as GRIPD_SECTION_KEY in the environment
(GRIPD_LOG_LEVEL=debug, GRIPD_TIMEOUTS_CONNECT=2s). Flags win over the environment, that over files.

Exit codes: 0 clean, 1 failed while running, 2 wrong usage, 3 wrong configuration.";

const CHECK_GUIDE: &str = "\
Examples:
  gripd check                                   what gripd would read here
  gripd check --config /etc/gripd               a folder with gripd.toml, routes, or both
  gripd check --route '* 127.0.0.1:8000'        one line alone
  gripd check --print -c /etc/pushpin           pushpin.conf as a gripd.toml; keys are not shown
  gripd example routes                          how routes are written
  gripd example settings                        every setting: value, default, variable, flag

A fault is FILE:LINE:COLUMN: what is wrong; what is allowed. Warnings leave the exit code at 0.
Exit codes: 0 no error, 2 wrong usage, 3 wrong configuration.";
