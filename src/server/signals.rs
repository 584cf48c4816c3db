//! The signals gripd acts on: SIGTERM and SIGINT end it, SIGHUP has files read again.

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::routes::watch::Reloader;

/// Taken over from the process.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    /// Takes them over from now on. Needs a runtime.
    pub(super) fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for SIGTERM or SIGINT; SIGHUP reloads the routes, and does `hangup`.
    pub(super) async fn stop(&mut self, reloader: Option<&Reloader>, hangup: &dyn Fn()) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                _ = self.hangup.recv() => {
                    // First, so that what the reload has to say is in the new file.
                    hangup();
                    if let Some(reloader) = reloader {
                        reloader.reload_now();
                    } else {
                        tracing::info!("SIGHUP: the routes come from no file");
                    }
                }
            }
        }
    }
}
