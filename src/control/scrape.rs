//! Ports that serve nothing but metrics, as each of Pushpin's two programs has one: whatever is
//! asked, the page is the answer, and the connection ends.

use std::{
    fs, io,
    net::{SocketAddr, TcpListener as StdTcp},
    os::unix::{
        fs::FileTypeExt,
        net::{UnixListener as StdUnix, UnixStream as StdUnixStream},
    },
    path::Path,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, UnixListener},
    sync::{OwnedSemaphorePermit, Semaphore},
};

use super::{
    Context,
    answer::{Answer, Manner},
    api,
};
use crate::{
    config::{Metrics, MetricsPort},
    http1::gate::Version,
    telemetry::limit::Every,
};

/// A port that is bound and not served yet.
#[derive(Debug)]
pub struct Scrape {
    listener: Listener<StdTcp, StdUnix>,
    prefix: String,
}

/// A port could not be bound. The operator's fault: a setting, or another program there.
#[derive(Debug, thiserror::Error)]
#[error("{setting} {place}: {source}")]
pub struct ScrapeError {
    setting: &'static str,
    place: String,
    source: io::Error,
}

#[derive(Debug)]
enum Listener<T, U> {
    Tcp(T),
    Unix(U),
}

impl Scrape {
    /// Binds the ports that are wanted.
    ///
    /// # Errors
    /// See [`ScrapeError`].
    pub fn bind_all(metrics: &Metrics) -> Result<Vec<Self>, ScrapeError> {
        let proxy = (&metrics.proxy_port, &metrics.proxy_prefix);
        let handler = (&metrics.handler_port, &metrics.handler_prefix);
        let ports = [
            (proxy, "metrics.proxy_port"),
            (handler, "metrics.handler_port"),
        ];
        let wanted = ports
            .into_iter()
            .filter_map(|((port, prefix), setting)| Some((port.as_ref()?, prefix, setting)));
        wanted
            .map(|(port, prefix, setting)| Self::bind(port, prefix, setting))
            .collect()
    }

    /// Binds a port, which is to put `prefix` before Pushpin's names. `setting`: who wants it.
    ///
    /// # Errors
    /// See [`ScrapeError`].
    fn bind(port: &MetricsPort, prefix: &str, setting: &'static str) -> Result<Self, ScrapeError> {
        let (place, listener) = match port {
            MetricsPort::Tcp(address) => (address.to_string(), bind_tcp(*address)),
            MetricsPort::Unix(path) => (path.display().to_string(), bind_unix(path)),
        };
        match listener {
            Ok(listener) => Ok(Self {
                listener,
                prefix: prefix.to_owned(),
            }),
            Err(source) => Err(ScrapeError {
                setting,
                place,
                source,
            }),
        }
    }

    /// Where it is.
    pub fn place(&self) -> String {
        match &self.listener {
            Listener::Tcp(tcp) => tcp
                .local_addr()
                .map_or_else(|_| String::new(), |address| format!("http://{address}/")),
            Listener::Unix(unix) => unix
                .local_addr()
                .ok()
                .and_then(|address| Some(format!("unix:{}", address.as_pathname()?.display())))
                .unwrap_or_default(),
        }
    }

    /// Answers whoever comes, for ever, at most 16 at once. Needs a runtime.
    ///
    /// # Errors
    /// The runtime cannot watch the listener.
    pub async fn serve(self, context: Arc<Context>) -> io::Result<()> {
        let listener = match self.listener {
            Listener::Tcp(tcp) => Listener::Tcp(TcpListener::from_std(tcp)?),
            Listener::Unix(unix) => Listener::Unix(UnixListener::from_std(unix)?),
        };
        let (places, prefix) = (Arc::new(Semaphore::new(AT_ONCE)), Arc::new(self.prefix));
        loop {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else {
                return Ok(());
            };
            let client = Client {
                context: Arc::clone(&context),
                prefix: Arc::clone(&prefix),
                _place: place,
            };
            let accepted = match &listener {
                Listener::Tcp(tcp) => tcp.accept().await.map(|(socket, _)| {
                    tokio::spawn(client.answer(socket));
                }),
                Listener::Unix(unix) => unix.accept().await.map(|(socket, _)| {
                    tokio::spawn(client.answer(socket));
                }),
            };
            if let Err(error) = accepted {
                if let Some(left_out) = FAILED.hit(Instant::now()) {
                    tracing::warn!(%error, left_out, "cannot accept on a port for metrics");
                }
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// Who answers one client.
struct Client {
    context: Arc<Context>,
    prefix: Arc<String>,
    _place: OwnedSemaphorePermit,
}

impl Client {
    async fn answer(self, mut socket: impl AsyncRead + AsyncWrite + Unpin) {
        let answered = async {
            if !read_head(&mut socket).await? {
                return Ok(());
            }
            let page = api::page(&self.context, &self.prefix);
            let manner = Manner {
                version: Version::Http11,
                head_only: false,
                keep_alive: false,
            };
            let bytes = Answer::metrics(page).encode(manner, SystemTime::now());
            socket.write_all(&bytes).await?;
            socket.shutdown().await?;
            // A reset would destroy what the client has not read yet.
            let mut rest = [0; 512];
            while socket.read(&mut rest).await? > 0 {}
            io::Result::Ok(())
        };
        // Whoever leaves early wanted nothing.
        let _ = tokio::time::timeout(PATIENCE, answered).await;
    }
}

/// Reads to the end of a request's head; false when there is none.
async fn read_head(socket: &mut (impl AsyncRead + Unpin)) -> io::Result<bool> {
    let mut head = Vec::new();
    let mut buffer = [0; 1024];
    while head.len() < HEAD {
        let read = socket.read(&mut buffer).await?;
        if read == 0 {
            return Ok(false);
        }
        head.extend_from_slice(&buffer[..read]);
        if head.windows(4).any(|end| end == b"\r\n\r\n") {
            return Ok(true);
        }
    }
    Ok(false)
}

fn bind_tcp(address: SocketAddr) -> io::Result<Listener<StdTcp, StdUnix>> {
    let listener = StdTcp::bind(address)?;
    listener.set_nonblocking(true)?;
    Ok(Listener::Tcp(listener))
}

/// A socket that nobody serves any more is in nobody's way.
fn bind_unix(path: &Path) -> io::Result<Listener<StdTcp, StdUnix>> {
    let is_socket = fs::metadata(path).is_ok_and(|file| file.file_type().is_socket());
    if is_socket && StdUnixStream::connect(path).is_err() {
        fs::remove_file(path)?;
    }
    let listener = StdUnix::bind(path)?;
    listener.set_nonblocking(true)?;
    Ok(Listener::Unix(listener))
}

/// Clients at once, as Pushpin has it.
const AT_ONCE: usize = 16;

/// Most bytes of a request's head.
const HEAD: usize = 16 << 10;

/// How long a client may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Between two attempts to accept when one has failed.
const PAUSE: Duration = Duration::from_millis(100);

static FAILED: Every = Every::new(Duration::from_secs(10));
