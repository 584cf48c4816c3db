//! `gripd check`: reads what `gripd` would read and prints every fault; serves nothing. With
//! `--print` the settings in force go to standard output, the faults to standard error.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use super::{CONFIGURATION, environment, print, write_out};
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
        let routes = table.as_ref().map_or(0, |table| table.routes().len());
        format!(
            "OK: {}, {}; files read: {}",
            counted(routes, "route"),
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
    let report = report(&examined.faults, &summary);
    let written = if print {
        // Nobody left to tell when standard error is closed.
        let _ = io::stderr().write_all(report.as_bytes());
        write_out(&print::page(&examined, &files(&examined), table.as_ref()))
    } else {
        write_out(&report)
    };
    match written {
        Err(code) => code,
        Ok(()) if errors > 0 => ExitCode::from(CONFIGURATION),
        Ok(()) => ExitCode::SUCCESS,
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

fn report(faults: &[Fault], summary: &str) -> String {
    let line = |fault: &Fault| {
        let word = if fault.is_error() { "" } else { " (warning)" };
        format!("{fault}{word}\n")
    };
    faults.iter().map(line).collect::<String>() + summary + "\n"
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
