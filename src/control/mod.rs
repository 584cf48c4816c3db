//! The control port: what is published comes in here over HTTP/1, `/recover` has everybody look for
//! what was missed, and `/livez` and `/readyz` tell how gripd is. Every answer is a sentence, or JSON for who asked for it.
//!
//! The way of a request: `listener` accepts its connection, in TLS if the settings say so ·
//! `connection` reads it within limits and times · the gate (`http1`) checks it, or its `fault` is
//! told · `head` is what matters of it here · `guard` keeps web pages out, and `credentials` those
//! who are not known · `api` does what it asks, in the form that `accept` chose · `answer` is
//! written.
//!
//! Source: Pushpin's control port, which one `POST` shape and the answers `Published` come from.
//! Different here: connections are kept, chunked bodies and query strings are taken, weights in
//! `Accept` count, a JSON answer tells what became of each item, pages of other sites get 403, and
//! who lacks the credentials that are set gets 401.

use std::{
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use parking_lot::Mutex;
use rustls::ServerConfig;
use tokio::{
    sync::Semaphore,
    task::spawn_local,
    time::{Instant, sleep},
};

use self::{credentials::Credentials, listener::Stream};
use crate::{
    config::Settings,
    grip::{pace::Pace, signature::KeyError},
    http1::gate::Limits,
    hub::Hub,
    socket::Listener,
    tls::{self, Identity, TlsError},
};

pub use self::scrape::{Scrape, ScrapeError};

mod accept;
mod answer;
mod api;
mod connection;
mod credentials;
mod fault;
mod guard;
mod head;
mod listener;
mod scrape;
mod secure;
#[cfg(test)]
mod tests;

/// What all control connections of the process share: one for all cores, so that
/// `control.max_connections` counts them together.
#[derive(Debug)]
pub struct Context {
    hub: Arc<Hub>,
    settings: Arc<Settings>,
    ready: Arc<AtomicBool>,
    credentials: Credentials,
    /// How addresses speak TLS, if they do.
    tls: Option<Arc<ServerConfig>>,
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
    ///
    /// # Errors
    /// A file with a key, a secret or a certificate cannot be used.
    pub fn new(
        hub: Arc<Hub>,
        settings: Arc<Settings>,
        ready: Arc<AtomicBool>,
    ) -> Result<Self, SecretError> {
        let slots = settings.control.max_connections;
        let limits = Limits {
            head: settings.control.max_head,
            target: settings.control.max_head,
            headers: MAX_HEADERS,
            body: settings.control.max_body as u64,
        };
        let (rate, burst) = (settings.grip.publish_rate, settings.grip.publish_burst);
        Ok(Self {
            hub,
            limits,
            credentials: Credentials::new(&settings.control, &settings.grip.key_dir)?,
            tls: tls(&settings)?,
            settings,
            ready,
            slots: Arc::new(Semaphore::new(slots.clamp(1, Semaphore::MAX_PERMITS))),
            stall: STALL,
            pace: Mutex::new(Pace::new(rate as u64, burst as u64)),
            began: Instant::now(),
        })
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

fn tls(settings: &Settings) -> Result<Option<Arc<ServerConfig>>, SecretError> {
    let Some((cert, key)) = settings.control.tls() else {
        return Ok(None);
    };
    Ok(Some(Arc::new(tls::server(
        Identity::read(cert, key)?,
        false,
    )?)))
}

/// Why the control port cannot ask for credentials, or not speak TLS, as the settings want it.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// A key or a secret.
    #[error("control.token, control.jwt_key, control.password: {0}")]
    Credentials(#[from] KeyError),
    /// The certificate or its key.
    #[error("control.tls_cert, control.tls_key: {0}")]
    Identity(#[from] TlsError),
    /// TLS itself.
    #[error("TLS cannot be spoken: {0}")]
    Tls(#[from] rustls::Error),
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
pub async fn serve(listener: Listener, context: Arc<Context>) {
    loop {
        let (stream, peer) = listener::accept(&listener).await;
        let Ok(slot) = Arc::clone(&context.slots).acquire_owned().await else {
            return;
        };
        let context = Arc::clone(&context);
        spawn_local(async move {
            match (stream, &context.tls) {
                (Stream::Unix(stream), _) => connection::run(stream, peer, &context).await,
                (Stream::Tcp(stream), None) => connection::run(stream, peer, &context).await,
                // Boxed, or the tasks of all others would be as large.
                (Stream::Tcp(stream), Some(tls)) => {
                    Box::pin(secure::run(stream, tls, peer, &context)).await;
                }
            }
            drop(slot);
        });
    }
}
