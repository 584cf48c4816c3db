//! `gripd check`: reads what `gripd` would read and prints every fault; serves nothing. With
//! `--print` the settings in force go to standard output, the faults to standard error.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use super::{CONFIGURATION, environment, print};
use crate::{
    config::{self, Examined, Fault, Flags},
    routes::table::Table,
};

/// Prints faults, then a summary; with `print` the settings in force first.
pub(super) fn run(flags: &Flags, print: bool) -> ExitCode {
    let mut examined = config::examine(flags, environment());
    let table = read_routes(&mut examined);
    let errors = examined
        .faults
        .iter()
        .filter(|fault| fault.is_error())
        .count();
    let warnings = examined.faults.len() - errors;
    let summary = if errors == 0 {
        format!(
            "OK: {}, {}; files read: {}",
            counted(
                table.as_ref().map_or(0, |table| table.routes().len()),
                "route"
            ),
            counted(warnings, "warning"),
            files(&examined)
        )
    } else {
        format!(
            "{}, {}",
            counted(errors, "error"),
            counted(warnings, "warning")
        )
    };
    // A closed pipe (`gripd check | head`) is no reason for another exit code.
    let _ = if print {
        let page = print::page(&examined, &files(&examined), table.as_ref());
        let printed = io::stdout().lock().write_all(page.as_bytes());
        printed.and_then(|()| report(io::stderr().lock(), &examined.faults, &summary))
    } else {
        report(io::stdout().lock(), &examined.faults, &summary)
    };
    if errors == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(CONFIGURATION)
    }
}

/// Adds the faults of the routes; returns those that are usable.
fn read_routes(examined: &mut Examined) -> Option<Table> {
    match Table::load(&examined.settings.routes) {
        Ok((table, faults)) => {
            examined.faults.extend(faults);
            Some(table)
        }
        Err(error) => {
            // Named in the settings' own faults already, when it was missing from the start.
            if !examined.faults.iter().any(Fault::is_error) {
                let message = error.source.to_string();
                let fault = Fault::error(error.path.display().to_string(), message);
                examined.faults.push(fault);
            }
            None
        }
    }
}

fn report(mut out: impl Write, faults: &[Fault], summary: &str) -> io::Result<()> {
    for fault in faults {
        let word = if fault.is_error() { "" } else { " (warning)" };
        writeln!(out, "{fault}{word}")?;
    }
    writeln!(out, "{summary}")
}

fn files(examined: &Examined) -> String {
    if examined.files.is_empty() {
        return "none: built-in defaults".into();
    }
    let names: Vec<_> = examined
        .files
        .iter()
        .map(|file| file.display().to_string())
        .collect();
    names.join(", ")
}

fn counted(count: usize, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}
