//! A backend that speaks WebSocket itself, on a connection of its own: whole messages go to it
//! masked anew, and what it says comes back as the same outputs that a session over HTTP gives.
//!
//! Nothing waits here without bound: while much waits for the client the backend is not read, and
//! while much waits for the backend the client is not ([`Direct::wants_reading`]).

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Buf, BytesMut};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Sleep,
};

use super::talk::Said;
use crate::{
    grip::{
        over_http::{End, Output},
        ws_events::{Close, Message},
    },
    hold::random,
    hub::opcode,
    websocket::{
        close,
        deflate::Agreed,
        fault::Fault,
        frame::{self, Opcode},
        message::{self, Messages},
        read::Peer,
    },
};

/// The backend's side of a WebSocket that is passed on.
pub(super) struct Direct {
    /// `None`: it is over with the backend.
    io: Option<TokioIo<Upgraded>>,
    reader: Messages,
    /// Bytes that were read and not yet understood.
    incoming: BytesMut,
    /// Frames that wait for the backend.
    outgoing: BytesMut,
    phase: Phase,
    /// Much waits for the client.
    full: bool,
    ours: Ours,
    /// The backend may take until then for what it is to do.
    timer: Option<Pin<Box<Sleep>>>,
}

/// How far client and backend are with each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Open,
    /// The client has closed; the backend's answer is awaited.
    Asked,
    /// The client was sent a close frame; its answer is awaited.
    Told,
    /// The backend does not want to hear of the client any longer.
    Detached,
    /// Nothing more is said to the client.
    Over,
}

/// How far we are with the backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Ours {
    Open,
    /// It was sent a close frame.
    Closed,
    /// Our side ends behind what waits.
    Leaving,
    /// Our side has ended.
    Shut,
}

impl Direct {
    /// Speaks with a backend that has taken the handshake. `limit`: most bytes of one of its
    /// messages. `agreed`: the compression that was agreed on with it.
    pub(super) fn new(io: TokioIo<Upgraded>, limit: usize, agreed: Option<Agreed>) -> Self {
        Self {
            io: Some(io),
            reader: Messages::new(Peer::Backend, limit, agreed),
            incoming: BytesMut::new(),
            outgoing: BytesMut::new(),
            phase: Phase::Open,
            full: false,
            ours: Ours::Open,
            timer: None,
        }
    }

    /// The client has sent a message.
    pub(super) fn client_message(&mut self, message: &Message) {
        if self.phase == Phase::Open {
            self.send(opcode(message.kind), &message.content);
        }
    }

    /// The client has sent a close frame, of its own accord or as an answer.
    pub(super) fn client_close(&mut self, close: &Close, out: &mut Vec<Output>) {
        match self.phase {
            Phase::Open => {
                self.close(close.code, &close.reason);
                self.phase = Phase::Asked;
                self.wait(ECHO);
            }
            Phase::Told => {
                self.close(close.code, &close.reason);
                self.end(End::Closed, out);
            }
            Phase::Detached => {
                out.push(Output::Close(Close {
                    code: Some(1000),
                    reason: String::new(),
                }));
                self.end(End::Closed, out);
            }
            Phase::Asked | Phase::Over => {}
        }
    }

    /// The client's connection has ended.
    pub(super) fn client_gone(&mut self) {
        if self.phase == Phase::Told {
            self.close(None, "");
        }
        self.phase = Phase::Over;
        self.leave();
    }

    /// Much waits for the client, or no longer.
    pub(super) fn client_full(&mut self, full: bool) {
        self.full = full;
    }

    /// A publisher has the connection closed.
    pub(super) fn publish_close(&mut self, close: Close, out: &mut Vec<Output>) {
        if matches!(self.phase, Phase::Open | Phase::Detached) {
            self.close(None, "");
            out.push(Output::Close(close));
            self.phase = Phase::Told;
        }
    }

    /// The backend has done with the client, which stays.
    pub(super) fn detach(&mut self) {
        if self.phase == Phase::Open {
            self.close(None, "");
            self.phase = Phase::Detached;
            self.wait(ECHO);
        }
    }

    /// May the client be read? When not: the backend has to take first what waits for it.
    pub(super) fn wants_reading(&self) -> bool {
        self.phase != Phase::Open || self.outgoing.len() < ROOM
    }

    /// Is there a connection to the backend?
    pub(super) fn is_connected(&self) -> bool {
        self.io.is_some()
    }

    /// There is nothing more to do.
    pub(super) fn is_over(&self) -> bool {
        self.phase == Phase::Over && self.io.is_none()
    }

    /// Writes what waits, and reads one message; ready when something has come of it.
    pub(super) fn poll(&mut self, out: &mut Vec<Output>, cx: &mut Context<'_>) -> Poll<()> {
        if self.io.is_none() {
            return Poll::Pending;
        }
        if let Some(timer) = &mut self.timer
            && timer.as_mut().poll(cx).is_ready()
        {
            self.late(out);
            return Poll::Ready(());
        }
        let had_room = self.wants_reading();
        if let Poll::Ready(Err(_)) = self.poll_write(cx) {
            self.lost(out);
            return Poll::Ready(());
        }
        if !had_room && self.wants_reading() {
            return Poll::Ready(());
        }
        if self.full && self.phase != Phase::Over {
            return Poll::Pending;
        }
        match ready!(self.poll_read(cx)) {
            Ok(Some(message)) => self.said(message, out),
            Ok(None) => self.lost(out),
            Err(fault) => self.broken(fault, out),
        }
        Poll::Ready(())
    }

    /// Writes what waits, and ends our side behind it if nothing more will come.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        let Some(io) = &mut self.io else {
            return Poll::Pending;
        };
        let mut io = Pin::new(io);
        while !self.outgoing.is_empty() {
            let written = ready!(io.as_mut().poll_write(cx, &self.outgoing))?;
            if written == 0 {
                return Poll::Ready(Err(std::io::ErrorKind::WriteZero.into()));
            }
            self.outgoing.advance(written);
        }
        self.outgoing = BytesMut::new();
        ready!(io.as_mut().poll_flush(cx))?;
        if self.ours == Ours::Leaving {
            ready!(io.poll_shutdown(cx))?;
            self.ours = Ours::Shut;
        }
        Poll::Ready(Ok(()))
    }

    /// Reads a message; `None`: the backend's connection has ended.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<message::Message>, Fault>> {
        let Some(io) = &mut self.io else {
            return Poll::Ready(Ok(None));
        };
        loop {
            if let Some(message) = self.reader.next(&mut self.incoming)? {
                return Poll::Ready(Ok(Some(message)));
            }
            if self.incoming.is_empty() {
                // Nothing of a buffer is kept while nothing comes.
                self.incoming = BytesMut::new();
            }
            let mut space = [0; READ];
            let mut buffer = ReadBuf::new(&mut space);
            match ready!(Pin::new(&mut *io).poll_read(cx, &mut buffer)) {
                Ok(()) if !buffer.filled().is_empty() => {
                    self.incoming.extend_from_slice(buffer.filled());
                }
                Ok(()) | Err(_) => return Poll::Ready(Ok(None)),
            }
        }
    }

    /// The backend has said something.
    fn said(&mut self, message: message::Message, out: &mut Vec<Output>) {
        match Said::from(message) {
            Said::Close(close) => self.backend_closes(close, out),
            Said::Message(message) if !matches!(self.phase, Phase::Told | Phase::Over) => {
                out.push(Output::Message(message));
            }
            Said::Message(_) => {}
        }
    }

    /// The backend has sent a close frame, of its own accord or as an answer.
    fn backend_closes(&mut self, close: Close, out: &mut Vec<Output>) {
        match self.phase {
            Phase::Open => {
                out.push(Output::Close(close));
                self.phase = Phase::Told;
            }
            Phase::Asked => {
                out.push(Output::Close(close));
                self.end(End::Closed, out);
            }
            Phase::Told | Phase::Detached | Phase::Over => self.leave(),
        }
    }

    /// The backend's connection has ended.
    fn lost(&mut self, out: &mut Vec<Output>) {
        self.drop_backend();
        if matches!(self.phase, Phase::Open | Phase::Asked) {
            self.end(End::Disconnected, out);
        }
    }

    /// The backend has broken the protocol.
    fn broken(&mut self, fault: Fault, out: &mut Vec<Output>) {
        self.close(Some(fault.code()), &fault.to_string());
        self.leave();
        if matches!(self.phase, Phase::Open | Phase::Asked) {
            self.end(End::Protocol(fault.to_string()), out);
        }
    }

    /// The backend has not done in time what it was to do.
    fn late(&mut self, out: &mut Vec<Output>) {
        self.drop_backend();
        if self.phase == Phase::Asked {
            self.end(End::NoClose, out);
        }
    }

    /// The client's connection ends, and the backend's behind it.
    fn end(&mut self, end: End, out: &mut Vec<Output>) {
        out.push(Output::End(end));
        self.phase = Phase::Over;
        self.leave();
    }

    /// Lets the backend read what waits for it; then its connection ends.
    fn leave(&mut self) {
        if self.ours < Ours::Leaving && self.io.is_some() {
            self.ours = Ours::Leaving;
            self.wait(LAST_WORDS);
        }
    }

    fn drop_backend(&mut self) {
        self.io = None;
        self.timer = None;
        self.outgoing = BytesMut::new();
        self.incoming = BytesMut::new();
    }

    fn wait(&mut self, time: Duration) {
        self.timer = Some(Box::pin(tokio::time::sleep(time)));
    }

    /// Sends a close frame, if none was sent. A code that may not be sent makes it an empty one.
    fn close(&mut self, code: Option<u16>, reason: &str) {
        let payload = code.map_or_else(Vec::new, |code| close::payload(code, reason));
        self.send(Opcode::Close, &payload);
        self.ours = self.ours.max(Ours::Closed);
    }

    fn send(&mut self, opcode: Opcode, payload: &[u8]) {
        if self.io.is_some() && self.ours == Ours::Open {
            let frame = frame::encode_masked(opcode, payload, key());
            self.outgoing.extend_from_slice(&frame);
        }
    }
}

/// A masking key that nobody can guess (RFC 6455 section 10.3).
fn key() -> [u8; 4] {
    let mut key = [0; 4];
    match aws_lc_rs::rand::fill(&mut key) {
        Ok(()) => key,
        Err(_) => random::bits().to_ne_bytes(),
    }
}

/// Bytes that may wait for the backend before the client is not read any more.
const ROOM: usize = 64 << 10;

/// How long the backend may take to answer a close frame.
const ECHO: Duration = Duration::from_secs(10);

/// How long it may take to read the last words, and to end its side.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Bytes read at once.
const READ: usize = 8192;
