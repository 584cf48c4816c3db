//! Waiting for a request: the bytes of its head, behind two separate times.

use std::{io, time::Duration};

use tokio::{
    io::AsyncReadExt,
    time::{Instant, timeout_at},
};

use super::{Front, Line};
use crate::http1::gate::{self, Fault};

/// What came on an idle connection.
pub(super) enum Arrival {
    /// The head of a request; its bytes stand at the beginning of [`Line::early`].
    Request(gate::Head),
    /// A request that is refused.
    Fault(Fault),
    /// Nothing more: the client has gone, was idle for too long, or the server is stopping.
    Gone,
}

impl Front {
    /// Waits for the next request's head.
    pub(super) async fn arrival(&self, line: &mut Line) -> Arrival {
        if line.early.is_empty() && !self.begins(line).await {
            return Arrival::Gone;
        }
        let deadline = Instant::now() + self.settings.timeouts.request_head;
        let mut seen = 0;
        loop {
            match gate::scan_head_from(&line.early, seen, &self.limits) {
                Err(fault) => return Arrival::Fault(fault),
                Ok(Some(head)) => return Arrival::Request(head),
                Ok(None) => seen = line.early.len(),
            }
            match timeout_at(deadline, read(line)).await {
                Err(_) => return Arrival::Fault(Fault::HeadTimeout),
                Ok(Ok(1..)) => {}
                Ok(Ok(0) | Err(_)) => return Arrival::Gone,
            }
        }
    }

    /// Waits for a request's first byte; false when none comes.
    async fn begins(&self, line: &mut Line) -> bool {
        let patience = self.patience(line.fresh);
        let stopping = self.drain.notify.notified();
        if self.is_draining() {
            return false;
        }
        tokio::select! {
            readable = line.socket.readable() => readable.is_ok(),
            () = stopping => false,
            () = tokio::time::sleep(patience) => false,
        }
    }

    /// A new connection is there for a request; an old one may rest.
    fn patience(&self, fresh: bool) -> Duration {
        let timeouts = &self.settings.timeouts;
        if fresh {
            timeouts.request_head
        } else {
            timeouts.keep_alive
        }
    }
}

async fn read(line: &mut Line) -> io::Result<usize> {
    line.early.reserve(READ);
    line.socket.read_buf(&mut line.early).await
}

/// A browser's head fits; a longer one takes several reads.
const READ: usize = 2048;
