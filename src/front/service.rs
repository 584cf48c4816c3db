//! What becomes of one request: it is forwarded, and its answer goes straight through, or is an
//! instruct and begins a hold.

use std::{convert::Infallible, future::pending, net::IpAddr, sync::Arc, time::Instant};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header, request,
};
use http_body::Body as _;
use hyper::{body::Incoming, ext::ReasonPhrase, upgrade::OnUpgrade};

use super::{
    Front,
    body::Outgoing,
    exchange::{Desk, Next},
    refusal,
    story::{Story, Teller},
    tunnel::Tunnel,
};
use crate::{
    forward::{self, Answer, Asked, Cause, Collected, Failure, Route, Upload},
    grip::{
        BODY_LIMIT,
        instruct::{self, Instruct},
    },
    hold::{self, Begun, Knocked, Paused},
    websocket::handshake,
};

/// Answers a request. Never fails: what goes wrong becomes a refusal.
pub(super) async fn answer(
    front: &Front,
    desk: &Desk,
    request: Request<Incoming>,
) -> Result<Response<Outgoing>, Infallible> {
    let mut response = match respond(front, desk, request).await {
        Ok(response) => response,
        Err(failure) => refuse(desk, &failure).map(|body| Outgoing::whole(body, &desk.signals)),
    };
    if !desk.signals.read.get() || front.is_draining() {
        // The rest of the request is not wanted, so the connection cannot go on.
        response
            .headers_mut()
            .insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    desk.status.set(Some(response.status().as_u16()));
    Ok(response)
}

/// What the client reads. A malformed body is what it is, whatever came of it further on.
fn refuse(desk: &Desk, failure: &Failure) -> Response<Bytes> {
    match &*desk.signals.fault.borrow() {
        Some(fault) => refusal::response(fault.status(), &fault.to_string()),
        None => refusal::response(failure.cause.status(), &failure.sentence()),
    }
}

async fn respond(
    front: &Front,
    desk: &Desk,
    request: Request<Incoming>,
) -> Result<Response<Outgoing>, Failure> {
    let began = Instant::now();
    let (head, body) = request.into_parts();
    let is_head = head.method == Method::HEAD;
    let paused = desk.paused.take();
    let teller = Teller::of(front, &head.headers, paused.is_some());
    let from = teller.from;
    let headers = match socket_headers(&head, &body) {
        Ok(headers) => headers,
        Err(failure) => {
            desk.story
                .replace(Story::of(Err(&failure), began, teller, front));
            return Err(failure);
        }
    };
    let upload = Upload::new(body, BODY_LIMIT);
    let client = forward::Client {
        addr: Some(desk.peer.addr.ip()),
        secure: false,
        last: paused.as_ref().map_or(&[], |paused| &paused.last),
        connection: Some(desk.peer.id),
        events: None,
    };
    let asking = front
        .context
        .forwarder
        .forward(head, upload.clone(), &client);
    let forwarded = asking.await;
    desk.story
        .replace(Story::of(forwarded.as_ref(), began, teller, front));
    let mut answer = forwarded?;
    if is_websocket(&headers) && is_websocket(&answer.head.headers) && answer.upgrade.is_some() {
        join(front, desk, &mut answer, &headers, from).await?;
    }
    if let Some(upgrade) = answer.upgrade.take() {
        desk.next
            .replace(Some(Next::Tunnel(tunnel(front, &answer, upgrade))));
        return Ok(Response::from_parts(
            answer.head,
            Outgoing::whole(Bytes::new(), &desk.signals),
        ));
    }
    if answer.events {
        return open(front, desk, answer, &headers, from).await;
    }
    if !answer.instruct {
        let body = Outgoing::stream(answer.body, &desk.signals);
        return Ok(Response::from_parts(answer.head, body));
    }
    let asking = Asking {
        upload: &upload,
        is_head,
        from,
    };
    settle(front, desk, answer, asking, paused).await
}

/// The headers of a WebSocket's handshake, which the answer to it needs; none for other requests.
fn socket_headers(head: &request::Parts, body: &Incoming) -> Result<HeaderMap, Failure> {
    if !is_websocket(&head.headers) {
        return Ok(HeaderMap::new());
    }
    let value = |name| head.headers.get(name).map(HeaderValue::as_bytes);
    let request = handshake::Request {
        method: head.method.as_str(),
        version: value(header::SEC_WEBSOCKET_VERSION),
        key: value(header::SEC_WEBSOCKET_KEY),
        body: !body.is_end_stream(),
    };
    match request.check() {
        Ok(_) => Ok(head.headers.clone()),
        Err(refusal) => Err(Failure {
            cause: Cause::Handshake(refusal.to_string()),
            route: None,
            target: None,
            asked: Box::new(Asked {
                method: head.method.clone(),
                host: value(header::HOST)
                    .map(|host| String::from_utf8_lossy(host).into_owned())
                    .unwrap_or_default(),
                path: head.uri.path().to_owned(),
            }),
            debug: false,
        }),
    }
}

/// Is a WebSocket among the protocols that are asked for, or is it the one that was granted?
fn is_websocket(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::UPGRADE).iter();
    let mut protocols = values.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    protocols.any(handshake::is_websocket)
}

fn tunnel(front: &Front, answer: &Answer, upgrade: OnUpgrade) -> Tunnel {
    let (idle, setting) = match answer.route.timeouts.idle {
        Some(own) => (own, "route option idle_timeout"),
        None => (front.settings.timeouts.idle, "timeouts.idle"),
    };
    Tunnel {
        upgrade,
        idle,
        setting,
    }
}

/// A WebSocket's backend speaks WebSocket itself. Returns when nobody but the two sides has
/// anything to say on the connection.
async fn join(
    front: &Front,
    desk: &Desk,
    answer: &mut Answer,
    headers: &HeaderMap,
    from: Option<IpAddr>,
) -> Result<(), Failure> {
    let route = Arc::clone(&answer.route);
    let client = client(desk, &route, answer, from);
    match hold::join(answer, headers, &client, &front.context).await? {
        Some(start) => {
            desk.status.set(Some(SWITCHED));
            desk.next.replace(Some(Next::Socket(start)));
            pending().await
        }
        None => Ok(()),
    }
}

/// What is known of a WebSocket's client.
fn client<'c>(
    desk: &'c Desk,
    route: &'c Arc<Route>,
    answer: &Answer,
    from: Option<IpAddr>,
) -> hold::Client<'c> {
    hold::Client {
        version: desk.version,
        keep_alive: false,
        head: false,
        route,
        target: answer.target,
        home: answer.home(),
        debug: answer.debug,
        connection: desk.peer.id,
        addr: Some(desk.peer.addr.ip()),
        from,
        request: &desk.head,
        body: &[],
    }
}

/// A WebSocket's backend has answered over HTTP.
async fn open(
    front: &Front,
    desk: &Desk,
    answer: Answer,
    headers: &HeaderMap,
    from: Option<IpAddr>,
) -> Result<Response<Outgoing>, Failure> {
    let route = Arc::clone(&answer.route);
    let client = client(desk, &route, &answer, from);
    match hold::knock(answer, headers, &client, &front.context).await? {
        Knocked::Open(start) => {
            desk.status.set(Some(SWITCHED));
            desk.next.replace(Some(Next::Socket(start)));
            pending().await
        }
        Knocked::Answer { response, rest } => {
            let body = match rest {
                None => Outgoing::whole(response.body.clone(), &desk.signals),
                Some(rest) => Outgoing::prefixed(response.body.clone(), rest, false, &desk.signals),
            };
            Ok(head(&response).map(|()| body))
        }
    }
}

/// What is known of the request whose answer is an instruct.
struct Asking<'a> {
    upload: &'a Upload,
    is_head: bool,
    /// The client that other proxies name.
    from: Option<IpAddr>,
}

/// Acts on an answer that is an instruct.
async fn settle(
    front: &Front,
    desk: &Desk,
    answer: Answer,
    Asking {
        upload,
        is_head,
        from,
    }: Asking<'_>,
    mut paused: Option<Paused>,
) -> Result<Response<Outgoing>, Failure> {
    if let Some(paused) = &mut paused {
        paused.permit = None;
    }
    let home = answer.home();
    let (route, target) = (Arc::clone(&answer.route), answer.target);
    let (asked, debug) = (answer.asked.clone(), answer.debug);
    let fail = |cause| Failure::logged(cause, asked.clone(), Arc::clone(&route), target, debug);
    // The rest of the body would be taken for the next request.
    let finished = upload.finish().await;
    if upload.overflowed() {
        return Err(fail(Cause::RequestTooLarge { limit: BODY_LIMIT }));
    }
    finished.map_err(|error| fail(Cause::Upstream(error.into())))?;
    let Collected { response, rest } = forward::collect(answer, BODY_LIMIT).await?;
    if rest.is_some() && !instruct::allows_large_stream(fields(&response)) {
        let route = Arc::clone(&route);
        return Err(Failure::instruct_too_large(
            asked, route, target, BODY_LIMIT, debug,
        ));
    }
    let first = response.body.clone();
    let instruct = Instruct::parse(response).map_err(|error| fail(Cause::Instruct(error)))?;
    let client = hold::Client {
        version: desk.version,
        keep_alive: desk.keep_alive,
        head: is_head,
        route: &route,
        target,
        home,
        debug,
        connection: desk.peer.id,
        addr: Some(desk.peer.addr.ip()),
        from,
        request: &desk.head,
        body: &upload.kept().unwrap_or_default(),
    };
    let begun = hold::begin(instruct, &client, paused, &front.context)
        .map_err(|error| fail(Cause::Filter(error)))?;
    match (begun, rest) {
        (Begun::Answer(response), None) => {
            let body = Outgoing::whole(response.body.clone(), &desk.signals);
            Ok(head(&response).map(|()| body))
        }
        (Begun::Answer(response), Some(rest)) => {
            let body = Outgoing::prefixed(first, rest, false, &desk.signals);
            Ok(head(&response).map(|()| body))
        }
        (Begun::Held(start), None) => {
            desk.status.set(start.status());
            desk.next.replace(Some(Next::Hold(start)));
            // Nothing is hyper's to write: its connection is taken apart from here.
            pending().await
        }
        (Begun::Held(mut start), Some(rest)) => {
            let response = start
                .large_head()
                .map_or_else(|| Response::new(()), |one| head(&one));
            desk.next.replace(Some(Next::HoldLater(start)));
            Ok(response.map(|()| Outgoing::prefixed(first, rest, true, &desk.signals)))
        }
    }
}

fn fields(response: &instruct::Response) -> impl Iterator<Item = (&str, &[u8])> {
    response
        .headers
        .iter()
        .map(|header| (&*header.name, &*header.value))
}

/// A response head for hyper to write.
fn head(response: &instruct::Response) -> Response<()> {
    let mut head = Response::new(());
    *head.status_mut() = StatusCode::from_u16(response.code).unwrap_or(StatusCode::BAD_GATEWAY);
    if let Ok(reason) = ReasonPhrase::try_from(response.reason.as_bytes()) {
        head.extensions_mut().insert(reason);
    }
    for field in &response.headers {
        let name = HeaderName::from_bytes(field.name.as_bytes());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_maybe_shared(field.value.clone())) {
            head.headers_mut().append(name, value);
        }
    }
    head
}

/// Status of the answer to a WebSocket that is taken.
const SWITCHED: u16 = 101;
