//! The control port: what is published comes in here over HTTP/1, `/recover` has everybody look for
//! what was missed, and `/livez` and `/readyz` tell how gripd is. Every answer is a sentence, or JSON for who asked for it.
//!
//! The way of a request: `connection` reads it within limits and times · the gate (`http1`) checks
//! it, or its `fault` is told · `head` is what matters of it here · `guard` keeps web pages out ·
//! `api` does what it asks, in the form that `accept` chose · `answer` is written.
//!
//! Source: Pushpin's control port, which one `POST` shape and the answers `Published` come from.
//! Different here: connections are kept, chunked bodies and query strings are taken, weights in
//! `Accept` count, a JSON answer tells what became of each item, and pages of other sites get
//! 403. Not here: TLS, authentication.

use std::{
    io,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use parking_lot::Mutex;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::spawn_local,
    time::{Instant, sleep},
};

use crate::{config::Settings, grip::pace::Pace, http1::gate::Limits, hub::Hub};

pub use scrape::{Scrape, ScrapeError};

mod accept;
mod answer;
mod api;
mod connection;
mod fault;
mod guard;
mod head;
mod scrape;
#[cfg(test)]
mod tests;

/// What all control connections of the process share: one for all cores, so that
/// `control.max_connections` counts them together.
#[derive(Debug)]
pub struct Context {
    hub: Arc<Hub>,
    settings: Arc<Settings>,
    ready: Arc<AtomicBool>,
    slots: Arc<Semaphore>,
    limits: Limits,
    /// How long a request's body, or a client that reads its answer, may pause.
    stall: Duration,
    pace: Mutex<Pace>,
    /// From when on `pace` counts time.
    began: Instant,
}

impl Context {
    /// `ready` is what `/readyz` tells: true while clients are served.
    pub fn new(hub: Arc<Hub>, settings: Arc<Settings>, ready: Arc<AtomicBool>) -> Self {
        let slots = settings.control.max_connections;
        let limits = Limits {
            head: settings.control.max_head,
            target: settings.control.max_head,
            headers: MAX_HEADERS,
            body: settings.control.max_body as u64,
        };
        let (rate, burst) = (settings.grip.publish_rate, settings.grip.publish_burst);
        Self {
            hub,
            limits,
            settings,
            ready,
            slots: Arc::new(Semaphore::new(slots.clamp(1, Semaphore::MAX_PERMITS))),
            stall: STALL,
            pace: Mutex::new(Pace::new(rate as u64, burst as u64)),
            began: Instant::now(),
        }
    }

    /// Holds a publisher back until `count` more items keep to `grip.publish_rate`, for
    /// `timeouts.publish` at most.
    ///
    /// # Errors
    /// It would take longer: after how long they may come again.
    async fn pace(&self, count: usize) -> Result<(), Duration> {
        let patience = self.settings.timeouts.publish;
        let now = self.began.elapsed();
        let wait = self.pace.lock().take(now, count as u64, patience)?;
        if !wait.is_zero() {
            sleep(wait).await;
        }
        Ok(())
    }

    /// False while every connection that may be is there: then none is kept for a next request,
    /// so that idle ones do not keep others waiting.
    fn has_room(&self) -> bool {
        self.slots.available_permits() > 0
    }
}

const STALL: Duration = Duration::from_secs(30);

/// Most header lines of a request.
const MAX_HEADERS: usize = 100;

/// Serves the control port on one listener, one task per connection, until the future is dropped.
/// Connections begun by then go on. Above `control.max_connections` the listener waits: one
/// accepted connection at each listener, the others in the kernel's queue.
///
/// Runs on a current-thread runtime inside a [`tokio::task::LocalSet`]; a connection stays on the
/// core that accepted it.
pub async fn serve(listener: TcpListener, context: Arc<Context>) {
    loop {
        let (stream, peer) = accept(&listener).await;
        let Ok(slot) = Arc::clone(&context.slots).acquire_owned().await else {
            return;
        };
        let context = Arc::clone(&context);
        spawn_local(async move {
            connection::run(stream, peer, &context).await;
            drop(slot);
        });
    }
}

/// The next connection. What goes wrong here (no file descriptors left, most of all) passes: it
/// is logged, and tried again after 10 ms, doubled each time up to a second.
async fn accept(listener: &TcpListener) -> (TcpStream, std::net::SocketAddr) {
    let mut pause = Duration::from_millis(10);
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                // Without it answers wait for acknowledgements; a socket that refuses works too.
                let _ = stream.set_nodelay(true);
                return (stream, peer);
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "control port: accepting failed, trying again");
                sleep(pause).await;
                pause = (pause * 2).min(Duration::from_secs(1));
            }
        }
    }
}

/// Only the connection that was to be accepted is gone; the next one is as good as ever.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionReset
    )
}
