//! `gripd completions SHELL` and `gripd man [COMMAND]`: files for shells and for man(1), made of the
//! command line itself, so that they have all of it.

use std::process::ExitCode;

use clap::CommandFactory;
use clap_complete::Shell;
use clap_mangen::Man;

use super::{USAGE, complain, line::Line, write_out};

/// Prints the completions of a shell.
pub(super) fn completions(shell: Shell) -> ExitCode {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Line::command(), "gripd", &mut script);
    print(&script)
}

/// Prints the manual page of gripd, or of one of its commands.
pub(super) fn page(name: Option<&str>) -> ExitCode {
    let mut line = Line::command();
    line.build();
    let command = match name {
        Some(name) => line.find_subcommand(name),
        None => Some(&line),
    };
    let Some(command) = command else {
        let name = name.unwrap_or_default();
        complain(&format_args!(
            "there is no command {name:?}; `gripd --help` names all"
        ));
        return ExitCode::from(USAGE);
    };
    let mut page = Vec::new();
    let source = concat!("gripd ", env!("CARGO_PKG_VERSION"));
    match Man::new(command.clone()).source(source).render(&mut page) {
        Ok(()) => print(&page),
        Err(error) => {
            complain(&format_args!("the page cannot be made: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn print(text: &[u8]) -> ExitCode {
    let written = write_out(&String::from_utf8_lossy(text));
    written.err().unwrap_or(ExitCode::SUCCESS)
}
