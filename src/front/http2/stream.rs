//! One request of an HTTP/2 connection: it is answered, or parked. The same two lives as a
//! connection of HTTP/1, but that nothing comes after it.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use h2::Reason;
use http::{Method, Response, StatusCode};
use http_body::{Body as _, Frame};
use tokio::{task::spawn_local, time::timeout};

use super::{
    super::{
        Front, Peer,
        body::Outgoing,
        exchange::{Desk, Next, Stage},
        gated::Signals,
        refusal::{self, LINGER},
        service,
    },
    Ticket,
    request::Asked,
};
use crate::{
    hold::{self, Early, Outcome, Paused, Session},
    http1::gate::Fault,
    socket::{ClientSocket, Stream},
};

/// Answers a request that has just come, in a task of its own.
pub(super) fn begin(
    front: &Rc<Front>,
    asked: Result<Asked, Fault>,
    stream: Stream,
    peer: Peer,
    ticket: Ticket,
) {
    match asked {
        Ok(asked) => attend(Rc::clone(front), asked, stream, peer, None, ticket),
        Err(fault) => {
            front.refused(peer.remote, &fault);
            spawn_local(async move {
                refuse(&stream, &fault).await;
                drop(ticket);
            });
        }
    }
}

/// Busy and parked a request has a task each, since a task keeps the size of the largest thing that
/// was ever done in it.
fn attend(
    front: Rc<Front>,
    asked: Asked,
    stream: Stream,
    peer: Peer,
    paused: Option<Paused>,
    ticket: Ticket,
) {
    let attending = async move {
        if let Some(session) = answer(&front, asked, stream, peer, paused).await {
            spawn_local(keep(front, session, peer, ticket));
        }
    };
    // A type without a name: the two tasks begin each other.
    let attending: Pin<Box<dyn Future<Output = ()>>> = Box::pin(attending);
    spawn_local(attending);
}

/// Keeps a parked request; makes it again if its hold wants that.
async fn keep(front: Rc<Front>, session: Session, peer: Peer, ticket: Ticket) {
    let Outcome::Retry(retry) = session.run(&front.context, &peer.remote).await else {
        return;
    };
    if let ClientSocket::Stream(stream) = retry.socket
        && let Some(asked) = Asked::again(&retry.bytes, &front.limits)
    {
        attend(front, asked, *stream, peer, Some(retry.paused), ticket);
    }
}

/// Answers a request; what is left of it when it is held.
async fn answer(
    front: &Front,
    asked: Asked,
    stream: Stream,
    peer: Peer,
    paused: Option<Paused>,
) -> Option<Session> {
    let desk = Desk::new(asked.signals, peer, asked.text, None, false, paused);
    // The rest of its body cannot be taken for another request.
    desk.signals.read.set(true);
    let is_head = asked.request.method() == Method::HEAD;
    let answered = {
        let mut answering = Box::pin(service::answer(front, &desk, asked.request));
        poll_fn(|context| {
            if stream.poll_gone(context).is_ready() {
                return Poll::Ready(Err(Stage::Broken));
            }
            match answering.as_mut().poll(context) {
                Poll::Ready(response) => Poll::Ready(Ok(response)),
                Poll::Pending => desk
                    .stage()
                    .map_or(Poll::Pending, |to| Poll::Ready(Err(to))),
            }
        })
        .await
    };
    let idle = front.settings.timeouts.idle;
    let stage = match answered {
        Err(stage) => stage,
        Ok(response) => match send(&stream, response, &desk.signals, is_head, idle).await {
            Some(()) => Stage::Over,
            None => Stage::Broken,
        },
    };
    desk.over(&stage);
    match (stage, desk.next.take()) {
        (Stage::Over, Some(Next::Hold(mut start))) => {
            let first = match start.response() {
                None => None,
                Some(response) => {
                    let mut head = hold::head(&response);
                    hold::complete(&mut head, None);
                    stream.begin(head, false).ok()?;
                    Some(response.body)
                }
            };
            Some(park(start, stream, first))
        }
        (Stage::Over, Some(Next::HoldLater(start))) => Some(park(start, stream, None)),
        (Stage::Over | Stage::Closed, _) => None,
        (Stage::Broken, Some(Next::Nothing)) => {
            // It was not looked at: the client may ask elsewhere.
            stream.reset(Reason::REFUSED_STREAM);
            None
        }
        (Stage::Broken, _) => {
            stream.reset(Reason::INTERNAL_ERROR);
            None
        }
    }
}

fn park(start: hold::Start, stream: Stream, first: Option<Bytes>) -> Session {
    let socket = ClientSocket::Stream(Box::new(stream));
    Session::park(start, socket, first, Early(Vec::new()))
}

/// Answers a request that did not pass the gate.
async fn refuse(stream: &Stream, fault: &Fault) {
    let signals = Rc::default();
    let response = refusal::response(fault.status(), &fault.to_string());
    let response = response.map(|text| Outgoing::whole(text, &signals));
    // Who has gone needs no answer.
    let _ = send(stream, response, &signals, false, LINGER).await;
}

/// Sends an answer; `None` when it cannot be finished. Where a hold goes on with its body, that is
/// left open.
async fn send(
    stream: &Stream,
    response: Response<Outgoing>,
    signals: &Signals,
    is_head: bool,
    idle: Duration,
) -> Option<()> {
    let (head, mut body) = response.into_parts();
    let mut head = Response::from_parts(head, ());
    let bodiless = is_head
        || matches!(
            head.status(),
            StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED
        );
    let length = body.size_hint().exact().filter(|_| !bodiless);
    hold::complete(&mut head, length);
    let ends = bodiless || body.is_end_stream();
    stream.begin(head, ends).ok()?;
    if ends {
        return Some(());
    }
    loop {
        match poll_fn(|context| poll_piece(stream, &mut body, signals, context)).await? {
            Piece::Frame(frame) => match frame.into_data() {
                Ok(mut piece) => {
                    let ends = body.is_end_stream() && !piece.is_empty();
                    write(stream, &mut piece, ends, idle).await?;
                    if ends {
                        return Some(());
                    }
                }
                Err(frame) => {
                    return stream.end_with(frame.into_trailers().ok()?).ok();
                }
            },
            Piece::End => return stream.end().ok(),
            Piece::Hold => return Some(()),
        }
    }
}

/// What comes next of an answer's body.
enum Piece {
    Frame(Frame<Bytes>),
    End,
    /// Nothing, until something is published.
    Hold,
}

fn poll_piece(
    stream: &Stream,
    body: &mut Outgoing,
    signals: &Signals,
    context: &mut Context<'_>,
) -> Poll<Option<Piece>> {
    if stream.poll_gone(context).is_ready() {
        return Poll::Ready(None);
    }
    match Pin::new(body).poll_frame(context) {
        Poll::Ready(Some(Ok(frame))) => Poll::Ready(Some(Piece::Frame(frame))),
        Poll::Ready(Some(Err(error))) => {
            tracing::debug!(client.addr = %stream.remote(), %error, "answer broken off");
            Poll::Ready(None)
        }
        Poll::Ready(None) => Poll::Ready(Some(Piece::End)),
        Poll::Pending if signals.answered.get() => Poll::Ready(Some(Piece::Hold)),
        Poll::Pending => Poll::Pending,
    }
}

/// Writes a piece, the last one if the body `ends`; `None` when the client has gone, or takes
/// nothing for `idle`.
async fn write(stream: &Stream, piece: &mut Bytes, ends: bool, idle: Duration) -> Option<()> {
    while !piece.is_empty() {
        let sent = poll_fn(|context| stream.poll_send(piece, ends, context));
        timeout(idle, sent).await.ok()?.ok()?;
    }
    Some(())
}
