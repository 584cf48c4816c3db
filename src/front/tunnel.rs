//! An upgraded connection (101): bytes both ways, unchanged, until one side ends or both are
//! silent for too long.

use std::{cell::Cell, io, time::Duration};

use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
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
    // The end of either direction ends the tunnel: neither WebSocket nor any other upgrade in use
    // goes on half-closed.
    tokio::select! {
        _ = carry(&mut from_client, &mut to_backend, &spoke) => {}
        _ = carry(&mut from_backend, &mut to_client, &spoke) => {}
        () = silence(&spoke, idle) => {
            tracing::info!(after = ?idle, "upgraded connection silent for timeouts.idle: closed");
        }
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
