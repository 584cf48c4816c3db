//! An upgraded connection (101): bytes both ways, unchanged, until both sides have ended or
//! both are silent for too long.

use std::{cell::Cell, io, time::Duration};

use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    sync::Notify,
    time::Instant,
};

/// Carries bytes until the end. `early`: what the client sent ahead.
pub(super) async fn run(mut client: TcpStream, early: &[u8], upgrade: OnUpgrade, idle: Duration) {
    let backend = match upgrade.await {
        Ok(upgraded) => TokioIo::new(upgraded),
        Err(error) => {
            tracing::warn!(%error, "the backend did not finish its upgrade");
            return;
        }
    };
    let (mut from_backend, mut to_backend) = tokio::io::split(backend);
    if to_backend.write_all(early).await.is_err() {
        return;
    }
    let (mut from_client, mut to_client) = client.split();
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
    let both = async { tokio::try_join!(up, down) };
    let quiet = async {
        tokio::select! {
            () = one_ended.notified() => silence(&spoke, idle.min(HALF_CLOSED)).await,
            () = silence(&spoke, idle) => {
                tracing::info!(
                    after = ?idle,
                    "upgraded connection silent for timeouts.idle: closed"
                );
            }
        }
    };
    tokio::select! {
        _ = both => {}
        () = quiet => {}
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
