//! The only assembler: it binds the sockets, makes the hub, starts one thread per core with a
//! runtime, a shard and a front of its own, and stops them again.

mod activation;
mod signals;
mod sockets;

use std::{
    num::NonZero,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use arc_swap::ArcSwap;
use sd_notify::NotifyState;
use tokio::{
    runtime,
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    task::LocalSet,
};

use crate::{
    config::{Grip, Loaded, Settings},
    control,
    forward::{Common, Forwarder},
    front::{Arrived, Front},
    grip::{connection::ConnectionIds, item::Entry},
    hold,
    hub::{Bounds, Holder, Hub, Rules},
    listen::{self, greet::Manner},
    routes::{
        table::{self, Table},
        watch::{self as routes_watch, Reloader},
    },
    socket::{Bound, ClientSocket, Listener, Remote},
    telemetry::{logs, minutes},
    tls,
    upstream::welcome::{Publishing, Welcome},
};
use signals::Signals;
use sockets::{Door, Shown, Sockets};

/// Why gripd did not start, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An address could not be bound.
    #[error(transparent)]
    Bind(#[from] listen::tcp::BindError),
    /// A port for metrics could not be bound.
    #[error(transparent)]
    Scrape(#[from] control::ScrapeError),
    /// A certificate for clients has become unusable since the settings were checked.
    #[error(transparent)]
    Certificate(#[from] tls::TlsError),
    /// TLS cannot be spoken at all.
    #[error("TLS: {0}")]
    Tls(#[from] rustls::Error),
    /// A file that the control port needs has become unusable since the settings were checked.
    #[error(transparent)]
    Secret(#[from] control::SecretError),
    /// The system refused a thread, a runtime or a signal handler.
    #[error("cannot start: {0}")]
    System(#[from] std::io::Error),
}

impl Error {
    /// 3: something to configure differently; 1: the system.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Bind(_) | Self::Certificate(_) | Self::Scrape(_) | Self::Secret(_) => 3,
            Self::System(_) | Self::Tls(_) => 1,
        }
    }
}

/// Serves until SIGTERM or SIGINT. `hangup`: done at SIGHUP, beside the reload of routes.
///
/// # Errors
/// Before anything is served: an address that cannot be bound, a file that cannot be used.
pub fn run(loaded: &Loaded, hangup: &dyn Fn()) -> Result<(), Error> {
    let settings = Arc::new(loaded.settings.clone());
    let (before, now) = listen::limits::raise_open_files();
    tracing::info!("open files: at most {now} (was {before})");
    let places = Arc::new(Semaphore::new(places(&settings, now)));
    let threads = threads(&settings);
    let mut sockets = Sockets::bind(&settings, threads)?;
    // Removed when all is over.
    let _files = sockets.take_files();
    let scrapes = control::Scrape::bind_all(&settings.metrics)?;
    let routes = load_routes(&settings);
    let reloader = watch_routes(&settings, &routes)?;
    let hub = Arc::new(Hub::new(
        threads,
        settings.limits.publish_buffer,
        settings.timeouts.publish,
        rules(&settings.grip),
    ));
    let ready = Arc::new(AtomicBool::new(false));
    let context =
        control::Context::new(Arc::clone(&hub), Arc::clone(&settings), Arc::clone(&ready));
    let context = Arc::new(context?);
    let (notices, open, untold) = (
        Arc::default(),
        Arc::<AtomicUsize>::default(),
        Arc::default(),
    );
    let cut = Arc::<AtomicUsize>::default();
    let common = Common::new(&settings);
    let (stop, stopped) = watch::channel(false);
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    // Before anybody is told that gripd is there: from then on a signal ends it cleanly.
    let mut signals = runtime.block_on(async { Signals::new() })?;
    let shown = Arc::new(sockets.shown(&settings, loaded.in_image));
    shown.announce(settings.routes.welcome);
    for scrape in scrapes {
        tracing::info!("metrics: {}", scrape.place());
        runtime.spawn(scrape.serve(Arc::clone(&context)));
    }
    let mut cores = Vec::with_capacity(threads);
    for (index, (clients, control)) in sockets.into_cores().enumerate() {
        let core = Core {
            index,
            settings: Arc::clone(&settings),
            routes: Arc::clone(&routes),
            hub: Arc::clone(&hub),
            shown: Arc::clone(&shown),
            control: Arc::clone(&context),
            notices: Arc::clone(&notices),
            common: Arc::clone(&common),
            open: Arc::clone(&open),
            untold: Arc::clone(&untold),
            cut: Arc::clone(&cut),
            places: Arc::clone(&places),
            stop: stopped.clone(),
        };
        let name = format!("gripd-{index}");
        let thread = std::thread::Builder::new().name(name);
        cores.push(thread.spawn(move || core.run(clients, control))?);
    }
    ready.store(true, Ordering::Release);
    tell_systemd(&[NotifyState::Ready]);
    runtime.block_on(signals.stop(reloader.as_ref(), hangup));
    ready.store(false, Ordering::Release);
    tell_systemd(&[NotifyState::Stopping]);
    let before = open.load(Ordering::Acquire);
    tracing::info!(connections = before, grace = ?settings.timeouts.drain, "stopping");
    let _ = stop.send(true);
    common.stop_waiting();
    let ended = runtime.block_on(join(cores, settings.timeouts.drain + SLACK, &mut signals));
    // Cores that have not ended are not waited for.
    runtime.shutdown_background();
    let cut = cut
        .load(Ordering::Acquire)
        .max(open.load(Ordering::Acquire));
    tracing::info!(ended = before.saturating_sub(cut), cut, "stopped");
    ended
}

/// One thread of the server.
struct Core {
    index: usize,
    settings: Arc<Settings>,
    routes: table::Shared,
    hub: Arc<Hub>,
    /// Where gripd is, for the welcome page.
    shown: Arc<Shown>,
    /// What the control connections of all cores share.
    control: Arc<control::Context>,
    notices: Arc<hold::Notices>,
    /// What the forwarders of all cores share.
    common: Arc<Common>,
    /// Client connections of all cores.
    open: Arc<AtomicUsize>,
    /// Gone links of all cores that are not told yet.
    untold: Arc<AtomicUsize>,
    /// Client connections that the end of the grace time has cut.
    cut: Arc<AtomicUsize>,
    /// One for each client connection there may be.
    places: Arc<Semaphore>,
    stop: watch::Receiver<bool>,
}

impl Core {
    fn run(self, clients: Vec<Door>, control: Vec<Bound>) -> Result<(), Error> {
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let local = LocalSet::new();
        runtime.block_on(local.run_until(self.serve(clients, control)))
    }

    async fn serve(mut self, clients: Vec<Door>, control: Vec<Bound>) -> Result<(), Error> {
        let holder = Holder::new(&self.hub, self.index, bounds(&self.settings));
        let shard = tokio::task::spawn_local(Rc::clone(&holder).run());
        if self.index == 0 {
            let hub = Arc::clone(&self.hub);
            tokio::task::spawn_local(async move { hub.keep_time().await });
        }
        let holds = self.holds(&holder);
        if self.index == 0 {
            tokio::task::spawn_local(Rc::clone(&holds.forwarder).keep_checking());
        }
        let front = Front::new(holds, tune_held, ConnectionIds::new(self.index));
        let mut accepting = Vec::new();
        for Door { socket, manner } in clients {
            let listener = Listener::new(socket)?;
            accepting.push(self.accept(listener, manner, &front));
        }
        for socket in control {
            let listener = Listener::new(socket)?;
            tokio::task::spawn_local(control::serve(listener, Arc::clone(&self.control)));
        }
        tokio::select! {
            // An error means that the sender is gone, which is as good as a stop.
            _ = self.stop.wait_for(|stop| *stop) => {}
            // A panic in one connection's task ends that connection. One in the shard would leave
            // everybody waiting in silence: better to be started anew.
            _ = shard => {
                tracing::error!("a shard has failed: this is a bug in gripd; ending");
                logs::finish();
                std::process::abort();
            }
        }
        // Whoever is in a queue of the kernel has been told that gripd is there.
        for task in accepting {
            let _ = task.await;
        }
        front.drain();
        let spread = self.settings.timeouts.drain.mul_f32(HOLDS_SHARE);
        tokio::join!(holder.drain(spread), self.wait_for_the_last());
        Ok(())
    }

    /// What holds of this core need.
    fn holds(&self, holder: &Rc<Holder<ClientSocket>>) -> hold::Context {
        let settings = Arc::clone(&self.settings);
        let (routes, common) = (Arc::clone(&self.routes), Arc::clone(&self.common));
        let forwarder = Rc::new(Forwarder::new(settings, routes, common, self.welcome()));
        let (untold, backoff) = (Arc::clone(&self.untold), self.settings.grip.link_backoff);
        hold::Context {
            holder: Rc::clone(holder),
            settings: Arc::clone(&self.settings),
            notices: Arc::clone(&self.notices),
            teller: hold::Teller::new(Rc::clone(&forwarder), untold, backoff),
            forwarder,
        }
    }

    /// The built-in page, with the one door of the hub for what its box publishes.
    fn welcome(&self) -> Welcome {
        let hub = Arc::clone(&self.hub);
        let publish = move |item| {
            let hub = Arc::clone(&hub);
            Box::pin(async move {
                let receipts = hub.publish(vec![Entry::Item(item)]).await;
                receipts
                    .map(|all| all.iter().map(|one| one.connections).sum())
                    .map_err(|busy| busy.to_string())
            }) as Publishing
        };
        let (shown, publish) = (&self.shown, Rc::new(publish));
        Welcome::new(shown.client(), shown.control(), shown.curl(), publish)
    }

    fn accept(
        &self,
        listener: Listener,
        manner: Manner,
        front: &Rc<Front>,
    ) -> tokio::task::JoinHandle<()> {
        let (front, open) = (Rc::clone(front), Arc::clone(&self.open));
        let settings = Arc::clone(&self.settings);
        let (manner, stop) = (Rc::new(manner), self.stop.clone());
        let on_client = move |socket: ClientSocket, remote: Remote, place: OwnedSemaphorePermit| {
            if remote != Remote::Unix
                && let Some(fd) = socket.fd()
                && let Err(error) = listen::options::tune_client(&fd, &settings.timeouts)
            {
                tracing::debug!(client.addr = %remote, %error, "cannot tune the socket");
            }
            let (front, ticket) = (Rc::clone(&front), (Open::new(&open), place));
            if manner.is_plain() {
                front.serve(Arrived::plain(socket, remote), ticket);
                return;
            }
            let (manner, limit) = (Rc::clone(&manner), settings.timeouts.request_head);
            let stopped = stopped(stop.clone());
            tokio::task::spawn_local(async move {
                let too_late = async {
                    stopped.await;
                    tokio::time::sleep(NEWCOMER).await;
                };
                tokio::select! {
                    arrived = manner.greet(socket, remote, limit) => {
                        if let Some(arrived) = arrived {
                            front.serve(arrived, ticket);
                        }
                    }
                    () = too_late => {}
                }
            });
        };
        let (places, stopped) = (Arc::clone(&self.places), stopped(self.stop.clone()));
        let accepting = listen::accept::accept_loop(listener, places, on_client, stopped);
        tokio::task::spawn_local(accepting)
    }

    /// Waits for the connections and gone links of all cores: until the last of them is done, every
    /// core answers on the control port.
    async fn wait_for_the_last(&self) {
        let deadline = tokio::time::Instant::now() + self.settings.timeouts.drain;
        let left = || self.open.load(Ordering::Acquire) + self.untold.load(Ordering::Acquire);
        while left() > 0 && tokio::time::Instant::now() < deadline {
            tokio::time::sleep(GLANCE).await;
        }
        if left() > 0 && self.index == 0 {
            self.cut
                .store(self.open.load(Ordering::Acquire), Ordering::Release);
            tracing::warn!(
                connections = left(),
                "cut: still open at the end of timeouts.drain"
            );
        }
    }
}

/// Waits until the server is to stop.
async fn stopped(mut stop: watch::Receiver<bool>) {
    // An error means that the sender is gone, which is as good as a stop.
    drop(stop.wait_for(|stop| *stop).await);
}

/// Counts an open connection for as long as it lives.
struct Open {
    count: Arc<AtomicUsize>,
    _told: minutes::Connection,
}

impl Open {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::AcqRel);
        Self {
            count: Arc::clone(count),
            _told: minutes::Connection::open(),
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Ordering::AcqRel);
    }
}

/// What bounds a held connection.
fn bounds(settings: &Settings) -> Bounds {
    Bounds {
        buffer: settings.limits.connection_buffer,
        send: settings.timeouts.send,
        reconnect: settings.timeouts.reconnect,
    }
}

/// What channels go by.
fn rules(grip: &Grip) -> Rules {
    Rules {
        message_wait: grip.message_wait,
        id_cache_ttl: grip.id_cache_ttl,
        subscription_linger: grip.subscription_linger,
        first_update: grip
            .update_on_first_subscription
            .then_some(grip.update_delay),
    }
}

/// A held socket keeps little in the kernel. One that cannot be told so works all the same.
fn tune_held(socket: &ClientSocket) {
    if let Some(fd) = socket.fd()
        && let Err(error) = listen::options::tune_held(&fd)
    {
        tracing::debug!(%error, "cannot tune a held socket");
    }
}

/// How many client connections there may be. `open_files`: the limit in force.
fn places(settings: &Settings, open_files: u64) -> usize {
    match settings.limits.connections {
        0 => usize::try_from(open_files).unwrap_or(Semaphore::MAX_PERMITS),
        connections => connections,
    }
    .min(Semaphore::MAX_PERMITS)
}

fn threads(settings: &Settings) -> usize {
    match settings.threads {
        0 => std::thread::available_parallelism().map_or(1, NonZero::get),
        threads => threads,
    }
}

/// Routes to begin with. A file that nobody may read yet is no reason not to start: it is watched.
fn load_routes(settings: &Settings) -> table::Shared {
    let (table, faults) = Table::load(&settings.routes).unwrap_or_else(|error| {
        tracing::error!("routes: {error}");
        Default::default()
    });
    for fault in &faults {
        tracing::warn!("{fault}");
    }
    if settings.routes.welcome {
        tracing::info!("routes in force: none is configured, so the welcome page");
    } else if table.routes().is_empty() {
        tracing::error!("routes in force: none, so every request gets 502");
    } else {
        tracing::info!("routes in force: {}", table.routes().len());
    }
    Arc::new(ArcSwap::from_pointee(table))
}

/// Watches the routes file, if the routes come from one.
fn watch_routes(settings: &Settings, routes: &table::Shared) -> Result<Option<Reloader>, Error> {
    let source = &settings.routes;
    if source.file.is_none() || !source.lines.is_empty() {
        return Ok(None);
    }
    Ok(Some(routes_watch::spawn(
        source.clone(),
        Arc::clone(routes),
    )?))
}

/// Tells systemd, where it has started gripd and asked to be told (`NOTIFY_SOCKET`).
fn tell_systemd(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!("systemd cannot be told (NOTIFY_SOCKET): {error}");
    }
}

/// Waits for the cores to end; a second signal, or the end of the grace time, ends the wait.
async fn join(
    cores: Vec<JoinHandle<Result<(), Error>>>,
    grace: Duration,
    signals: &mut Signals,
) -> Result<(), Error> {
    let all = tokio::task::spawn_blocking(move || {
        cores
            .into_iter()
            .try_for_each(|core| core.join().unwrap_or(Ok(())))
    });
    tokio::select! {
        ended = all => ended.unwrap_or(Ok(())),
        () = tokio::time::sleep(grace) => Ok(()),
        () = signals.stop(None, &|| ()) => {
            tracing::warn!("a second signal: ending at once");
            Ok(())
        }
    }
}

/// The part of the grace time over which holds are ended; the rest is for their last words.
const HOLDS_SHARE: f32 = 0.75;

/// How often the end looks whether the last connection has gone.
const GLANCE: Duration = Duration::from_millis(20);

/// While the server stops: how long a connection is waited for whose TLS handshake goes on.
const NEWCOMER: Duration = Duration::from_millis(500);

/// How long a core may take beyond the grace time of its connections.
const SLACK: Duration = Duration::from_secs(1);
