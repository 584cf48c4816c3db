//! SIGHUP, as far as it is about settings: the log's file is opened anew, and the settings are
//! loaded again with the same flags and environment. A new log level counts at once; other changes
//! are named, since they need a restart.

use std::cell::RefCell;

use tracing::{error, info, warn};

use super::environment;
use crate::{
    config::{self, Flags, Settings, keys},
    telemetry::logs::Logs,
};

/// What SIGHUP acts on.
pub(super) struct Hangup<'a> {
    logs: &'a Logs,
    flags: &'a Flags,
    /// The settings in force.
    settings: RefCell<Settings>,
}

impl<'a> Hangup<'a> {
    pub(super) fn new(logs: &'a Logs, flags: &'a Flags, settings: &Settings) -> Self {
        let settings = RefCell::new(settings.clone());
        Self {
            logs,
            flags,
            settings,
        }
    }

    /// Acts on one. Settings with an error leave everything as it is.
    pub(super) fn act(&self) {
        self.logs.reopen();
        let found = match config::load(self.flags, environment()) {
            Ok(loaded) => loaded.settings,
            Err(error) => {
                for fault in &error.faults {
                    error!("SIGHUP: {fault}");
                }
                error!("SIGHUP: the settings stay as they were");
                return;
            }
        };
        let mut settings = self.settings.borrow_mut();
        let mut changed = changed(&settings, &found);
        if let Some(at) = changed.iter().position(|path| path == LEVEL) {
            changed.remove(at);
            match self.logs.set_level(&found.log.level) {
                Ok(()) => {
                    info!("SIGHUP: log.level is {} from now on", found.log.level);
                    settings.log.level = found.log.level;
                }
                Err(error) => error!("SIGHUP: {error}"),
            }
        }
        if !changed.is_empty() {
            warn!(
                "SIGHUP: changed settings that need a restart: {}",
                changed.join(", ")
            );
        }
    }
}

/// Keys that have other values in `found`.
fn changed(settings: &Settings, found: &Settings) -> Vec<String> {
    let changed = keys::all().filter(|key| key.shown(settings) != key.shown(found));
    changed.map(keys::Key::path).collect()
}

const LEVEL: &str = "log.level";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changed_keys_are_named_and_no_others() {
        let settings = Settings::default();
        let mut found = settings.clone();
        assert!(changed(&settings, &found).is_empty());
        found.log.level = "debug".into();
        found.grip.sig_key = config::Secret("other".into());
        found.limits.connections = 7;
        assert_eq!(
            changed(&settings, &found),
            ["grip.sig_key", "limits.connections", "log.level"]
        );
    }
}
