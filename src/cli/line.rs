//! What may stand on the command line of `gripd`, and its help.

use std::{ffi::OsString, mem, path::PathBuf};

use clap::{ArgAction, Args, CommandFactory, FromArgMatches, Parser, Subcommand, error::ErrorKind};
use clap_complete::Shell;

use super::{example, explain, program::Program, publish};
use crate::config::Flags;

/// A push proxy: keeps HTTP streams, long-polls and WebSockets open in front of any web backend
/// (GRIP), so that anyone may push messages to them.
#[derive(Debug, Parser)]
#[command(name = "gripd", version, disable_version_flag = true, max_term_width = 100, after_long_help = GUIDE, after_help = GUIDE)]
pub(super) struct Line {
    #[command(subcommand)]
    pub(super) command: Option<Command>,
    #[command(flatten)]
    pub(super) sources: Sources,

    /// Print the version.
    #[arg(long, short = 'V', visible_short_alias = 'v', action = ArgAction::Version)]
    version: Option<bool>,
}

impl Line {
    /// Reads a command line.
    ///
    /// # Errors
    /// What is wrong with it, or the help or version that was asked for.
    pub(super) fn read(arguments: Vec<OsString>) -> Result<Self, clap::Error> {
        let program = Program::of(&arguments);
        let command = Self::command()
            .name(program.name())
            .version(program.version());
        Self::from_arg_matches(&command.try_get_matches_from(arguments)?)
    }

    /// Takes what it says about settings, before a command's name and behind it.
    ///
    /// # Errors
    /// The command reads none.
    pub(super) fn take_flags(&mut self) -> Result<Flags, clap::Error> {
        let before = mem::take(&mut self.sources);
        let behind = match &mut self.command {
            Some(Command::Check { sources, .. } | Command::Health { sources, .. }) => {
                mem::take(sources)
            }
            Some(Command::Explain(options)) => mem::take(&mut options.sources),
            Some(_) if before != Sources::default() => {
                let why = "this command reads no settings: what stands before its name has no use";
                return Err(Self::command().error(ErrorKind::ArgumentConflict, why));
            }
            Some(_) | None => Sources::default(),
        };
        Ok(behind.or(before).flags())
    }
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Read settings and routes, print every fault with its line and column, serve nothing.
    #[command(after_help = CHECK_GUIDE)]
    Check {
        /// Print every setting in force as a gripd.toml that tells who said so; faults then go to
        /// standard error.
        #[arg(long)]
        print: bool,
        #[command(flatten)]
        sources: Sources,
    },
    /// Print a file to begin with; writes none.
    Example {
        /// What to print.
        #[arg(value_name = "routes|config|compose|unit|settings")]
        name: example::Example,
    },

    /// Tell which route and target a request would take and why, and what the backend would be sent.
    #[command(override_usage = EXPLAIN_USAGE, after_help = EXPLAIN_GUIDE)]
    Explain(Box<explain::Options>),

    /// Ask the control port that these settings name whether gripd is alive: exit code 0 or 1.
    Health {
        /// Ask whether it serves clients, too: not while it starts, and not while it drains.
        #[arg(long)]
        ready: bool,
        #[command(flatten)]
        sources: Sources,
    },

    /// Send an item to a channel, or the lines of standard input, each as an item.
    #[command(override_usage = PUBLISH_USAGE, after_help = PUBLISH_GUIDE)]
    Publish(Box<publish::Options>),

    /// Print what a shell needs to complete this command line.
    #[command(after_help = COMPLETIONS_GUIDE)]
    Completions {
        /// The shell.
        shell: Shell,
    },

    /// Print the manual page of gripd, or of one of its commands.
    #[command(after_help = MAN_GUIDE)]
    Man {
        /// The command's name.
        command: Option<String>,
    },
}

/// Where settings come from, beside files and environment. Given before a command's name they count
/// as if given behind it.
#[derive(Debug, Default, PartialEq, Eq, Args)]
pub(super) struct Sources {
    /// Settings file (gripd.toml or pushpin.conf), or a folder with one or with a `routes` file;
    /// /dev/null: none.
    #[arg(long, short = 'c', value_name = "FILE")]
    config: Option<PathBuf>,

    /// One route, as a line of the routes file; may be repeated. No routes file is read then.
    #[arg(long, value_name = "LINE")]
    route: Vec<String>,

    /// Where clients connect. A bare port means every address [default: 7999].
    #[arg(long, value_name = "[ADDR:]PORT")]
    port: Option<String>,

    /// Where publishers connect: [ADDR:]PORT, unix:PATH, or several with commas. A bare port means
    /// this machine only [default: 5561].
    #[arg(long, value_name = "ADDRESS")]
    control: Option<String>,

    /// Let other machines reach a control port that asks for no token, JWT or password.
    #[arg(long)]
    control_insecure: bool,

    /// error, warn, info, debug, trace, or 0 to 4 [default: info].
    #[arg(long, short = 'L', alias = "loglevel", value_name = "LEVEL")]
    log_level: Option<String>,

    /// The same as --log-level debug.
    #[arg(long)]
    verbose: bool,

    /// Log to this file instead of standard error.
    #[arg(long, short = 'l', alias = "log-file", value_name = "FILE")]
    logfile: Option<String>,

    /// Shift the control port by N times 10, for several gripd on one machine.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(..=6553))]
    id: Option<u16>,

    /// Log to standard error, not into the logdir of a pushpin.conf.
    #[arg(long, short = 'm', overrides_with = "merge_output")]
    merge_output: bool,
}

impl Sources {
    /// These, and the others where these say nothing.
    fn or(self, other: Self) -> Self {
        Self {
            config: self.config.or(other.config),
            route: if self.route.is_empty() {
                other.route
            } else {
                self.route
            },
            port: self.port.or(other.port),
            control: self.control.or(other.control),
            control_insecure: self.control_insecure || other.control_insecure,
            log_level: self.log_level.or(other.log_level),
            verbose: self.verbose || other.verbose,
            logfile: self.logfile.or(other.logfile),
            id: self.id.or(other.id),
            merge_output: self.merge_output || other.merge_output,
        }
    }

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
            merge_output: self.merge_output,
            image: None,
        }
    }
}

const GUIDE: &str = "\
Examples:
  gripd                                         try it: a live page at http://localhost:7999/
  gripd --route '* 127.0.0.1:8000'              everything to a backend on port 8000
  gripd --config /etc/gripd                     a folder with gripd.toml, routes, or both
  gripd --config /etc/pushpin/pushpin.conf      Pushpin's own files, as they are
  gripd check --config /etc/gripd               is everything written right?
  gripd health --ready                          does the gripd of these settings serve clients?
  gripd explain http://localhost/api/x          which route that takes, and what is sent there
  gripd publish test hello                      sends an item to everyone who waits on channel test
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
  gripd publish test hello                      sends one to everyone who waits

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

const PUBLISH_USAGE: &str = "gripd publish [OPTIONS] CHANNEL CONTENT
       gripd publish [OPTIONS] --json ITEM";

const PUBLISH_GUIDE: &str = "\
Examples:
  gripd publish test hello                       to everyone who holds on to channel test
  gripd publish test @page.html                  a file's bytes
  tail -f app.log | gripd publish log -          each line as it comes
  gripd publish --sse --event tick news '{\"n\": 1}'  an event, as a browser's EventSource reads it
  gripd publish --json '{\"channel\": \"test\", \"http-stream\": {\"content\": \"hello\\n\"}}'
  gripd publish --json - < items                 an item in each line
  GRIP_URL='https://grip.example/?iss=me&key=secret' gripd publish test hello

Called by the name pushpin-publish, gripd is that program: pushpin-publish test hello

Exit codes: 0 published, 1 not, 2 wrong usage.";

const EXPLAIN_USAGE: &str = "gripd explain [OPTIONS] [METHOD] URL";

const EXPLAIN_GUIDE: &str = "\
Examples:
  gripd explain http://localhost/api/x           by the files that gripd would read here
  gripd explain POST /api/x -H 'Host: a.test'    a path alone, and a host beside it
  gripd explain wss://a.test/socket              a WebSocket over TLS
  gripd explain /x --route '* 127.0.0.1:8000'    one line alone
  gripd explain /x --from 10.0.0.7 -H 'X-Forwarded-For: 1.2.3.4'

Exit codes: 0 it would be answered, 1 it would be refused, 2 wrong usage, 3 wrong configuration.";

const COMPLETIONS_GUIDE: &str = "\
Examples:
  gripd completions bash > /etc/bash_completion.d/gripd
  gripd completions zsh > /usr/local/share/zsh/site-functions/_gripd
  gripd completions fish > ~/.config/fish/completions/gripd.fish";

const MAN_GUIDE: &str = "\
Examples:
  gripd man | man -l -                           to read it
  gripd man > /usr/local/share/man/man1/gripd.1
  gripd man publish > /usr/local/share/man/man1/gripd-publish.1";
