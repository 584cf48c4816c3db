//! An upgraded connection (101): bytes both ways, unchanged, until both sides have ended or
//! both are silent for too long.

use std::{cell::Cell, io, time::Duration};

use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    sync::Notify,
    time::Instant,
};

use crate::socket::ClientSocket;

/// A backend that has agreed to leave HTTP.
pub(super) struct Tunnel {
    pub(super) upgrade: OnUpgrade,
    /// How long both sides may be silent.
    pub(super) idle: Duration,
    /// The setting or route option that says so.
    pub(super) setting: &'static str,
}

impl Tunnel {
    /// Carries bytes until the end. `early`: what the client sent ahead.
    pub(super) async fn run(self, client: ClientSocket, early: &[u8]) {
        let Self {
            upgrade,
            idle,
            setting,
        } = self;
        match upgrade.await {
            Ok(upgraded) => {
                if connect(client, early, TokioIo::new(upgraded), idle).await == End::Silence {
                    tracing::info!(after = ?idle, "upgraded connection silent for {setting}: closed");
                }
            }
            Err(error) => tracing::warn!(%error, "the backend did not finish its upgrade"),
        }
    }
}

/// How a tunnel ended.
#[derive(Debug, PartialEq, Eq)]
enum End {
    /// By its two sides.
    Sides,
    /// Neither had ended, and neither said anything.
    Silence,
}

async fn connect(
    client: ClientSocket,
    early: &[u8],
    backend: impl AsyncRead + AsyncWrite,
    idle: Duration,
) -> End {
    let (mut from_backend, mut to_backend) = tokio::io::split(backend);
    if to_backend.write_all(early).await.is_err() {
        return End::Sides;
    }
    let (mut from_client, mut to_client) = tokio::io::split(client);
    // Silence counts when both directions are silent.
    let spoke = Cell::new(Instant::now());
    // One side may end before the other has said its last word (or before the last word is read),
    // so the other direction goes on, but not for long in silence.
    let one_ended = Notify::new();
    let up = async {
        carry(&mut from_client, &mut to_backend, &spoke).await?;
        one_ended.notify_one();
        Ok(())
    };
    let down = async {
        carry(&mut from_backend, &mut to_client, &spoke).await?;
        one_ended.notify_one();
        Ok::<_, io::Error>(())
    };
    let last_words = async {
        one_ended.notified().await;
        silence(&spoke, idle.min(HALF_CLOSED)).await;
    };
    tokio::select! {
        _ = async { tokio::try_join!(up, down) } => End::Sides,
        () = last_words => End::Sides,
        () = silence(&spoke, idle) => End::Silence,
    }
}

/// Copies until the source ends.
async fn carry(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    spoke: &Cell<Instant>,
) -> io::Result<()> {
    let mut buffer = vec![0; 8 << 10];
    loop {
        let read = from.read(&mut buffer).await?;
        if read == 0 {
            return to.shutdown().await;
        }
        to.write_all(&buffer[..read]).await?;
        to.flush().await?;
        spoke.set(Instant::now());
    }
}

/// Waits until nothing was said for `idle`.
async fn silence(spoke: &Cell<Instant>, idle: Duration) {
    while spoke.get().elapsed() < idle {
        tokio::time::sleep_until(spoke.get() + idle).await;
    }
}

/// How long a tunnel of which one side has ended may be silent.
const HALF_CLOSED: Duration = Duration::from_secs(5);
