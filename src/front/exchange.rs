//! One request through hyper: from a head that has passed the gate to a flushed answer, a parked
//! connection, or the end.

use std::{
    cell::{Cell, RefCell},
    convert::Infallible,
    future::poll_fn,
    rc::Rc,
    task::Poll,
};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, header};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;

use super::{
    Front, Line, Peer, Turn,
    body::Outgoing,
    gated::{Gated, Signals},
    refusal, service,
    story::{End, Sent, Story},
    tunnel,
};
use crate::{
    forward::Upload,
    grip::BODY_LIMIT,
    hold::{self, Early, Session},
    http1::gate,
    telemetry::counters::{Count, Family},
};

/// One request under way.
pub(super) struct Exchange<'f> {
    front: &'f Rc<Front>,
    line: Line,
    head: gate::Head,
    desk: Rc<Desk>,
}

/// What the service and the driver of one exchange share.
pub(super) struct Desk {
    pub(super) signals: Rc<Signals>,
    pub(super) peer: Peer,
    /// The request's head, as it came.
    pub(super) head: Bytes,
    /// The request was held before: it is made again.
    pub(super) paused: RefCell<Option<hold::Paused>>,
    /// `None`: HTTP/2.
    pub(super) version: Option<gate::Version>,
    pub(super) keep_alive: bool,
    /// What the connection becomes, if not just the next request's.
    pub(super) next: RefCell<Option<Next>>,
    /// Status of the answer, once there is one.
    pub(super) status: Cell<Option<u16>>,
    /// What the log tells of the request, if it tells of each.
    pub(super) story: RefCell<Option<Box<Story>>>,
}

/// What a connection becomes when the exchange is over.
pub(super) enum Next {
    /// Parked.
    Hold(hold::Start),
    /// The body goes out first, through hyper; then parked.
    HoldLater(hold::Start),
    /// Parked as a WebSocket over HTTP.
    Socket(Box<hold::SocketStart>),
    /// Nothing: it is closed without an answer.
    Nothing,
    /// A tunnel to the backend (101).
    Tunnel(tunnel::Tunnel),
}

/// Where the library has come to.
pub(super) enum Stage {
    /// Nothing of the exchange is left in it: the connection becomes what comes next.
    Over,
    /// The answer is out, and the connection is not to be used again.
    Closed,
    /// The client has gone, or the answer could not be finished.
    Broken,
}

impl<'f> Exchange<'f> {
    pub(super) fn new(
        front: &'f Rc<Front>,
        mut line: Line,
        head: &gate::Head,
        peer: Peer,
        paused: Option<hold::Paused>,
    ) -> Self {
        let raw = line.early.split_to(head.len).freeze();
        let keep_alive = head.keep_alive && !front.is_draining();
        let version = Some(head.version);
        Self {
            front,
            line,
            head: *head,
            desk: Rc::new(Desk::new(
                Rc::default(),
                peer,
                raw,
                version,
                keep_alive,
                paused,
            )),
        }
    }

    /// Drives hyper until nothing of this request is left in it.
    pub(super) async fn run(self) -> Turn {
        let Self {
            front,
            line,
            head,
            desk,
        } = self;
        let signals = Rc::clone(&desk.signals);
        let limit = front.settings.limits.early_bytes;
        let io = Gated::new(
            line.socket,
            line.early,
            desk.head.clone(),
            &head,
            &front.limits,
            limit,
            signals,
        );
        let service = service_fn(|request| {
            let (front, desk) = (Rc::clone(front), Rc::clone(&desk));
            // hyper asks for an `Unpin` future.
            Box::pin(async move { desk.answer(&front, request).await })
        });
        let mut connection = http1::Builder::new()
            .preserve_header_case(true)
            .title_case_headers(true)
            .max_headers(most_headers(front, &head))
            .max_buf_size(front.settings.limits.request_head.max(BUFFER) + 1)
            .serve_connection(TokioIo::new(io), service);
        let stage = poll_fn(|context| match connection.poll_without_shutdown(context) {
            Poll::Ready(result) => Poll::Ready(desk.closed(result)),
            Poll::Pending => desk.stage().map_or(Poll::Pending, Poll::Ready),
        })
        .await;
        desk.over(&stage);
        let gated = connection.into_parts().io.into_inner();
        desk.settle(front, stage, gated).await
    }
}

impl Desk {
    /// The desk of a request that begins. `paused`: it was held before.
    pub(super) fn new(
        signals: Rc<Signals>,
        peer: Peer,
        head: Bytes,
        version: Option<gate::Version>,
        keep_alive: bool,
        paused: Option<hold::Paused>,
    ) -> Self {
        if paused.is_none() {
            Count::Received.add(1);
        }
        Self {
            signals,
            peer,
            head,
            paused: RefCell::new(paused),
            version,
            keep_alive,
            next: RefCell::new(None),
            status: Cell::new(None),
            story: RefCell::new(None),
        }
    }

    /// Answers a request, for hyper to write.
    async fn answer(
        &self,
        front: &Front,
        request: Request<Incoming>,
    ) -> Result<Response<Outgoing>, Infallible> {
        let request = request.map(|body| Upload::new(body, BODY_LIMIT));
        let mut response = service::answer(front, self, request).await;
        if !self.signals.read.get() || front.is_draining() {
            // The rest of the request is not wanted, so the connection cannot go on.
            let headers = response.headers_mut();
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        Ok(response)
    }

    /// Where the exchange is while the library waits.
    pub(super) fn stage(&self) -> Option<Stage> {
        match *self.next.borrow() {
            Some(Next::Hold(_) | Next::Socket(_)) => Some(Stage::Over),
            Some(Next::HoldLater(_)) | None => self.signals.is_over().then_some(Stage::Over),
            Some(Next::Nothing) => Some(Stage::Broken),
            Some(Next::Tunnel(_)) => None,
        }
    }

    /// hyper is through with the connection.
    fn closed(&self, result: hyper::Result<()>) -> Stage {
        match result {
            Ok(()) if matches!(*self.next.borrow(), Some(Next::Tunnel(_))) => Stage::Over,
            Ok(()) => Stage::Closed,
            Err(error) => {
                tracing::debug!(client.addr = %self.peer.remote, %error, "connection ended");
                Stage::Broken
            }
        }
    }

    /// The request is over, in front. A tunnel is told of when it is, too.
    pub(super) fn over(&self, stage: &Stage) {
        let end = match (stage, &*self.next.borrow()) {
            (Stage::Broken, _) => End::Broken,
            (_, Some(Next::Hold(_) | Next::HoldLater(_) | Next::Socket(_))) => End::Held,
            (_, Some(Next::Tunnel(_))) => End::Tunnelled,
            _ => End::Answered,
        };
        let class = match end {
            End::Held => "held",
            _ => class(self.status.get()),
        };
        Family::Requests.add(class);
        if matches!(end, End::Tunnelled) {
            return;
        }
        self.tell(end, Some(self.signals.sent.get()));
    }

    /// Tells the operator, if asked to.
    fn tell(&self, end: End, bytes: Option<u64>) {
        let status = self.status.get();
        if let Some(story) = self.story.take() {
            story.tell(self.peer.remote, end, Sent { status, bytes });
        }
    }

    /// Makes of the connection what it becomes.
    async fn settle(&self, front: &Front, stage: Stage, gated: Gated) -> Turn {
        let (mut socket, early) = gated.into_parts();
        match stage {
            Stage::Broken => return Turn::Over,
            Stage::Closed => {
                // A reset would destroy what the client has not read yet.
                let unread = !self.signals.read.get() || !early.is_empty();
                refusal::close(&mut socket, unread).await;
                return Turn::Over;
            }
            Stage::Over => {}
        }
        match self.next.take() {
            None => Turn::Next(Line {
                socket,
                early,
                is_new: false,
            }),
            Some(Next::Hold(mut start) | Next::HoldLater(mut start)) => {
                (front.tune_held)(&socket);
                // A copy, so that nothing of the read buffer is kept while it is held.
                let early = Early(early.to_vec());
                let opening = start.opening();
                Turn::Held(Session::park(start, socket, opening, early))
            }
            Some(Next::Socket(start)) => {
                (front.tune_held)(&socket);
                Turn::Socket(start.park(socket, &early))
            }
            Some(Next::Nothing) => Turn::Over,
            Some(Next::Tunnel(tunnel)) => {
                tunnel.run(socket, &early).await;
                self.tell(End::Tunnelled, None);
                Turn::Over
            }
        }
    }
}

/// As many as there are: for few of them hyper needs no room but its stack. Of a body in chunks the
/// trailers count, too, and are still to come.
fn most_headers(front: &Front, head: &gate::Head) -> usize {
    match head.framing {
        gate::Framing::Chunked => front.limits.headers,
        gate::Framing::None | gate::Framing::Length(_) => head.headers,
    }
}

/// The class of a status, for a counter.
pub(super) fn class(status: Option<u16>) -> &'static str {
    match status.unwrap_or_default() / 100 {
        1 => "1xx",
        2 => "2xx",
        3 => "3xx",
        4 => "4xx",
        5 => "5xx",
        _ => "none",
    }
}

/// hyper's own bound of its buffers. A head must fit, or hyper refuses what the gate let pass.
const BUFFER: usize = 400 << 10;
