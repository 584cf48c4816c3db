//! The client's side of a parked WebSocket: how it is read, how it is written to, and how its
//! connection ends.

use std::{
    fmt,
    future::poll_fn,
    io,
    task::{Context, Poll},
    time::Duration,
};

use bytes::{Bytes, BytesMut};

use super::{
    Happened, Recovery, Socket,
    control::Wishes,
    end::Cause,
    talk::{Said, Talk},
};
use crate::{
    grip::{extension::Grip, format::MessageKind, over_http::Output, ws_events::Message},
    hold::{notice::Told, terms::Terms},
    hub::{COMPRESSED_FROM, Held, Wire, deflate, opcode},
    socket::ClientSocket,
    websocket::{deflate::Agreed, frame, message},
};

impl Socket {
    pub(super) fn new(
        grip: Option<Grip>,
        talk: Talk,
        terms: Terms,
        agreed: Option<Agreed>,
        message_limit: usize,
        out: Vec<Output>,
        told: Option<Told>,
    ) -> Self {
        Self {
            grip,
            talk,
            terms,
            agreed,
            wishes: Wishes::default(),
            reader: None,
            bytes: BytesMut::new(),
            full: false,
            deaf: false,
            client_first: false,
            recovery: Recovery::None,
            message_limit,
            deadline: None,
            out,
            told,
            cause: None,
            sent: 0,
        }
    }

    /// The frame of a message, for this client.
    pub(super) fn frame(&self, kind: MessageKind, content: &[u8]) -> Bytes {
        let opcode = opcode(kind);
        let compress = content.len() >= COMPRESSED_FROM && !opcode.is_control();
        match self.agreed {
            Some(agreed) if compress && agreed.takes(content.len()) => deflate(opcode, content),
            _ => frame::encode(opcode, content),
        }
    }

    /// Goes on with the backend.
    pub(super) fn poll_backend(&mut self, cx: &mut Context<'_>) -> Poll<Happened> {
        let Self { talk, out, .. } = self;
        talk.poll(out, cx).map(Happened::Backend)
    }

    /// Reads the client, if its backend has room for what it says.
    pub(super) fn poll_client(
        &mut self,
        held: &Held<ClientSocket>,
        cx: &mut Context<'_>,
    ) -> Poll<Happened> {
        if !self.talk.wants_reading() {
            return Poll::Pending;
        }
        let read = held.wire(|wire| read(wire, &mut self.bytes, cx));
        match read.unwrap_or(Poll::Ready(false)) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(true) => Poll::Ready(Happened::Read),
            Poll::Ready(false) => Poll::Ready(Happened::Gone),
        }
    }

    /// Most bytes of one message.
    pub(super) fn limit(&self) -> usize {
        self.message_limit
    }

    /// Tells the backend what the client has said.
    pub(super) fn client_says(&mut self, message: message::Message) {
        let Self {
            talk, out, deaf, ..
        } = self;
        match Said::from(message) {
            Said::Close(close) => {
                *deaf = true;
                talk.client_close(close, out);
                self.because(Cause::Client);
            }
            Said::Message(message) => {
                // A copy: what waits for the backend is not to hold on to a read buffer.
                let content = Bytes::copy_from_slice(&message.content);
                talk.client_message(Message { content, ..message }, out);
            }
        }
    }
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Socket")
            .field("is_under_way", &self.talk.is_under_way())
            .finish_non_exhaustive()
    }
}

/// Lets the client take what waits for it, then closes.
pub(super) async fn farewell(held: Held<ClientSocket>) {
    let drained = poll_fn(|cx| held.poll_room(0, cx));
    let _ = tokio::time::timeout(FAREWELL, drained).await;
    if let Some(mut socket) = held.release() {
        // A reset would destroy what the client has not read yet.
        let shut = tokio::io::AsyncWriteExt::shutdown(&mut socket);
        let _ = tokio::time::timeout(FAREWELL, shut).await;
        let mut rest = [0; 512];
        let read = async {
            while tokio::io::AsyncReadExt::read(&mut socket, &mut rest)
                .await
                .is_ok_and(|n| n > 0)
            {}
        };
        let _ = tokio::time::timeout(FAREWELL, read).await;
    }
}

/// Reads what is there; ready with false when the client has gone.
pub(super) fn read(wire: &impl Wire, bytes: &mut BytesMut, cx: &mut Context<'_>) -> Poll<bool> {
    loop {
        match wire.poll_read_ready(cx) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Err(_)) => return Poll::Ready(false),
            Poll::Ready(Ok(())) => {}
        }
        let mut buffer = [0; READ];
        match wire.try_read(&mut buffer) {
            Ok(0) => return Poll::Ready(false),
            Ok(read) => {
                bytes.extend_from_slice(&buffer[..read]);
                return Poll::Ready(true);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => return Poll::Ready(false),
        }
    }
}

/// How long it may take to read the last words.
const FAREWELL: Duration = Duration::from_secs(2);

/// Bytes read at once.
const READ: usize = 4096;
