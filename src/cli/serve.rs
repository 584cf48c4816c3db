//! `gripd`: loads settings, starts logging, serves.

use std::process::ExitCode;

use tracing::{error, info, warn};

use super::{CONFIGURATION, complain, environment, hangup::Hangup};
use crate::{
    config::{self, Fault, Flags, RouteSource},
    routes::table::Table,
    server,
    telemetry::logs::Logs,
};

/// Serves until told to stop.
pub(super) fn run(flags: &Flags) -> ExitCode {
    let loaded = match config::load(flags, environment()) {
        Ok(loaded) => loaded,
        Err(error) => {
            for fault in &error.faults {
                complain(fault);
            }
            return ExitCode::from(CONFIGURATION);
        }
    };
    if let Some(faults) = useless_lines(&loaded.settings.routes) {
        for fault in &faults {
            complain(fault);
        }
        complain(&"none of the route lines (--route, routes.lines) can be used");
        return ExitCode::from(CONFIGURATION);
    }
    // Whatever comes of serving, what was logged is written at the end.
    let logs = match Logs::start(&loaded.settings.log) {
        Ok(logs) => logs,
        Err(error) => {
            complain(&error);
            return ExitCode::from(CONFIGURATION);
        }
    };
    match logs.place() {
        // A folder is often named by a file that Pushpin was installed with.
        Some(Ok(file)) if loaded.settings.log.file.is_none() => {
            complain(&format_args!("the log goes to {}", file.display()));
        }
        Some(Ok(_)) | None => {}
        Some(Err(why)) => warn!("{why}"),
    }
    for line in loaded.start_lines() {
        info!("{line}");
    }
    for warning in &loaded.warnings {
        warn!("{warning}");
    }
    let hangup = Hangup::new(&logs, flags, &loaded.settings);
    match server::run(&loaded, &|| hangup.act()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            error!("{error}");
            ExitCode::from(error.exit_code())
        }
    }
}

/// The faults of route lines of which none can be used. Unlike a file they stay as they are, so
/// there is nothing to wait for.
fn useless_lines(source: &RouteSource) -> Option<Vec<Fault>> {
    if source.lines.is_empty() {
        return None;
    }
    let (table, mut faults) = Table::load(source).ok()?;
    faults.retain(|fault| fault.line > 0);
    table.routes().is_empty().then_some(faults)
}
