//! One WebSocket's requests to its backend.

use std::{future::Future, net::IpAddr, pin::Pin, rc::Rc};

use crate::{
    forward::{self, Answer, Cause, Collected, Events, Forwarder, Upload, collect},
    grip::{
        connection::ConnectionId,
        instruct::Header,
        over_http::{Failure, Request},
    },
    hold::{packed::Packed, request},
};

/// Makes the requests of one WebSocket.
#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) forwarder: Rc<Forwarder>,
    /// The head of the client's request: every request has its headers.
    pub(super) head: Packed,
    pub(super) addr: Option<IpAddr>,
    pub(super) secure: bool,
    pub(super) connection: ConnectionId,
    /// Most bytes of an answer.
    pub(super) limit: usize,
}

/// What a request came to.
pub(super) type Heard = Result<Collected, Failure>;

/// A request under way.
pub(super) type Pending = Pin<Box<dyn Future<Output = Heard>>>;

impl Exchange {
    /// Makes a request. `metas`: what the backend wants to be told again.
    pub(super) fn ask(&self, request: Request, metas: Vec<Header>) -> Pending {
        let head = self.head.unpack().and_then(|head| request::parts(&head));
        let events = Events {
            body: request.body,
            replayed: request.replayed,
            metas,
        };
        let forwarder = Rc::clone(&self.forwarder);
        let (addr, secure, connection) = (self.addr, self.secure, self.connection);
        let limit = self.limit;
        Box::pin(async move {
            let client = forward::Client {
                addr,
                secure,
                last: &[],
                connection: Some(connection),
                head: None,
                events: Some(&events),
            };
            let head = head.ok_or(Failure::Other)?;
            let upload = Upload::of(&events.body);
            let way = forwarder.way(&head, &client);
            let answer = forwarder.forward(head, upload, way, &client).await;
            let answer = answer.map_err(|failure| kind(&failure.cause))?;
            if is_longer(&answer, limit) {
                return Err(too_long(limit));
            }
            let collected = collect(answer, limit).await.map_err(|_| Failure::Other)?;
            if collected.rest.is_some() {
                return Err(too_long(limit));
            }
            Ok(collected)
        })
    }
}

/// Does an answer say that it is longer?
fn is_longer(answer: &Answer, limit: usize) -> bool {
    let length = answer.head.headers.get(http::header::CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    length.is_some_and(|length| length > limit as u64)
}

fn too_long(limit: usize) -> Failure {
    tracing::warn!(
        "a backend's answer to a WebSocket over HTTP is longer than limits.websocket_answer \
         ({limit} bytes)"
    );
    Failure::Other
}

/// How far did the request get?
fn kind(cause: &Cause) -> Failure {
    match cause {
        Cause::Connect { .. } => Failure::Unreached,
        Cause::Upstream(forward::BodyError::Unreachable(_) | forward::BodyError::Name(_)) => {
            Failure::Unreached
        }
        Cause::Upstream(forward::BodyError::Unread(_)) => Failure::Unread,
        _ => Failure::Other,
    }
}
