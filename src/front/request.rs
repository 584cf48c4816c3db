//! Waiting for a request: the bytes of its head, behind two separate times.

use std::{
    future::poll_fn,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::BytesMut;
use tokio::{
    io::{AsyncRead, AsyncReadExt, ReadBuf},
    time::{Instant, sleep_until, timeout_at},
};

use super::{Front, Line, http2::Preface};
use crate::http1::gate::{self, Fault};

/// What came on an idle connection.
pub(super) enum Arrival {
    /// The head of a request; its bytes stand at the beginning of [`Line::early`].
    Request(gate::Head),
    /// A request that is refused.
    Fault(Fault),
    /// No request yet: it speaks HTTP/2.
    Http2,
    /// Nothing more: the client has gone, was idle for too long, or the server is stopping.
    Gone,
}

impl Front {
    /// Waits for the next request's head.
    pub(super) async fn arrival(&self, line: &mut Line) -> Arrival {
        if line.early.is_empty() && !self.begins(line).await {
            return Arrival::Gone;
        }
        // Most heads are there with their first bytes, and need no clock.
        let mut deadline = None;
        let mut seen = 0;
        loop {
            let preface = match Preface::of(&line.early) {
                preface if line.is_new && self.settings.listen.http2 => preface,
                _ => Preface::None,
            };
            match preface {
                Preface::Whole => return Arrival::Http2,
                Preface::Part => {}
                Preface::None => match gate::scan_head_from(&line.early, seen, &self.limits) {
                    Err(fault) => return Arrival::Fault(fault),
                    Ok(Some(head)) => return Arrival::Request(head),
                    Ok(None) => seen = line.early.len(),
                },
            }
            let deadline = *deadline
                .get_or_insert_with(|| Instant::now() + self.settings.timeouts.request_head);
            match timeout_at(deadline, read(line)).await {
                Err(_) => return Arrival::Fault(Fault::HeadTimeout),
                Ok(Ok(1..)) => {}
                Ok(Ok(0) | Err(_)) => return Arrival::Gone,
            }
        }
    }

    /// Waits for a request's first bytes; false when none come. No buffer is kept meanwhile.
    async fn begins(&self, line: &mut Line) -> bool {
        line.early = BytesMut::new();
        let mut deadline = Instant::now() + self.settings.timeouts.keep_alive;
        loop {
            let stopping = self.drain.notify.notified();
            if self.is_draining() {
                let wait = if line.is_new { NEWCOMER } else { CROSSING };
                deadline = deadline.min(Instant::now() + wait);
            }
            tokio::select! {
                read = poll_fn(|context| poll_first(line, context)) => {
                    return matches!(read, Ok(1..));
                }
                () = stopping => {}
                () = sleep_until(deadline) => return false,
            }
        }
    }
}

/// Reads once there is something. A socket may be called readable and be not: then there is no
/// buffer either. A read that leaves room tells the runtime that nothing more is there, so that the
/// next wait needs no system call.
fn poll_first(line: &mut Line, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
    ready!(line.socket.poll_read_ready(context))?;
    line.early.resize(READ, 0);
    let mut room = ReadBuf::new(&mut line.early);
    let read = Pin::new(&mut line.socket).poll_read(context, &mut room);
    let len = room.filled().len();
    if read.is_pending() {
        line.early = BytesMut::new();
    } else {
        line.early.truncate(len);
    }
    read.map_ok(|()| len)
}

async fn read(line: &mut Line) -> io::Result<usize> {
    line.early.reserve(READ);
    line.socket.read_buf(&mut line.early).await
}

/// While the server stops: how long a connection is waited for that has just been made, whose
/// request must be on its way.
const NEWCOMER: Duration = Duration::from_millis(500);

/// The same for one that was idle, whose request may be crossing its end.
const CROSSING: Duration = Duration::from_millis(20);

/// A browser's head fits; a longer one takes several reads.
const READ: usize = 2048;
