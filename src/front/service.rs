//! What becomes of one request: it is forwarded, and its answer goes straight through, or is an
//! instruct and begins a hold.

use std::{future::pending, net::IpAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header, request};
use hyper::upgrade::OnUpgrade;

use super::{
    Front,
    body::Outgoing,
    dress::dress,
    exchange::{Desk, Next},
    refusal,
    story::{self, Story},
    tunnel::Tunnel,
};
use crate::{
    forward::{self, Answer, Cause, Collected, CrossOrigin, Failure, Route, Upload},
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
    request: Request<Upload>,
) -> Response<Outgoing> {
    let mut cross_origin = None;
    let mut response = match respond(front, desk, request, &mut cross_origin).await {
        Ok(response) => response,
        Err(Failure {
            cause: Cause::Stopping,
            ..
        }) => {
            desk.next.replace(Some(Next::Nothing));
            pending().await
        }
        Err(failure) => {
            let refusal = refuse(desk, &failure, front.settings.timeouts.reconnect);
            refusal.map(|body| Outgoing::whole(body, &desk.signals))
        }
    };
    desk.status.set(Some(response.status().as_u16()));
    if let Some(cross_origin) = cross_origin {
        response = dress(response, &cross_origin).await;
    }
    response
}

/// What the client reads. A malformed body is what it is, whatever came of it further on.
fn refuse(desk: &Desk, failure: &Failure, reconnect: Duration) -> Response<Bytes> {
    if let Some(fault) = &*desk.signals.fault.borrow() {
        return refusal::response(fault.status(), &fault.to_string());
    }
    let mut response = refusal::response(failure.status(), &failure.sentence());
    if matches!(failure.status(), 502..=504)
        && let Some(seconds) = hold::retry_after(reconnect)
    {
        let headers = response.headers_mut();
        headers.insert(header::RETRY_AFTER, seconds.into());
    }
    response
}

/// `cross_origin`: what the answer, whichever it is, needs for a page of another site.
async fn respond(
    front: &Front,
    desk: &Desk,
    request: Request<Upload>,
    cross_origin: &mut Option<Box<CrossOrigin>>,
) -> Result<Response<Outgoing>, Failure> {
    let (head, upload) = request.into_parts();
    let is_head = head.method == Method::HEAD;
    let paused = desk.paused.take();
    let client = forward::Client {
        addr: desk.peer.remote.ip(),
        secure: desk.peer.secure,
        last: paused.as_ref().map_or(&[], |paused| &paused.last),
        connection: Some(desk.peer.id),
        head: Some(&desk.head),
        events: None,
    };
    let forwarder = &front.context.forwarder;
    let way = forwarder.way(&head, &client);
    let from = story::named(front, &head, &way, &client);
    desk.story
        .replace(Story::begin(front, &head, &way, from, paused.is_some()));
    let headers = socket_headers(&head, !upload.is_complete())?;
    cross_origin.clone_from(&way.cross_origin);
    if way.preflight {
        return Ok(preflight(Outgoing::whole(Bytes::new(), &desk.signals)));
    }
    let asking = forwarder.forward(head, upload.clone(), way, &client);
    let result = asking.await;
    if let Some(story) = &mut *desk.story.borrow_mut() {
        story.target = match &result {
            Ok(answer) => Some(answer.target),
            Err(failure) => failure.target,
        };
    }
    let mut answer = result?;
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
    let asked = Asked {
        upload: &upload,
        is_head,
        cross_origin: cross_origin.as_deref(),
        from,
    };
    settle(front, desk, answer, &asked, paused).await
}

/// The headers of a WebSocket's handshake, which the answer to it needs; none for other requests.
///
/// # Errors
/// The request asks for a WebSocket, and is none of a WebSocket's.
pub fn socket_headers(head: &request::Parts, has_body: bool) -> Result<HeaderMap, Failure> {
    if !is_websocket(&head.headers) {
        return Ok(HeaderMap::new());
    }
    let value = |name| head.headers.get(name).map(HeaderValue::as_bytes);
    let request = handshake::Request {
        method: head.method.as_str(),
        version: value(header::SEC_WEBSOCKET_VERSION),
        key: value(header::SEC_WEBSOCKET_KEY),
        body: has_body,
    };
    match request.check() {
        Ok(_) => Ok(head.headers.clone()),
        Err(refusal) => Err(Failure {
            cause: Cause::Handshake(refusal.to_string()),
            route: None,
            target: None,
            asked: Box::default(),
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

/// The answer to a preflight, but for the headers that all answers to pages of other sites have.
fn preflight(body: Outgoing) -> Response<Outgoing> {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
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
        cross_origin: None,
        route,
        target: answer.target,
        home: answer.home(),
        debug: answer.debug,
        connection: desk.peer.id,
        addr: desk.peer.remote.ip(),
        secure: desk.peer.secure,
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
            Ok(hold::head(&response).map(|()| body))
        }
    }
}

/// What was asked, as far as a hold has to know.
struct Asked<'a> {
    upload: &'a Upload,
    is_head: bool,
    cross_origin: Option<&'a CrossOrigin>,
    /// The client that other proxies name.
    from: Option<IpAddr>,
}

/// Acts on an answer that is an instruct.
async fn settle(
    front: &Front,
    desk: &Desk,
    answer: Answer,
    asked: &Asked<'_>,
    mut paused: Option<Paused>,
) -> Result<Response<Outgoing>, Failure> {
    if let Some(paused) = &mut paused {
        paused.permit = None;
    }
    let home = answer.home();
    let (route, target) = (Arc::clone(&answer.route), answer.target);
    let Asked {
        upload,
        is_head,
        cross_origin,
        from,
    } = *asked;
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
        cross_origin,
        route: &route,
        target,
        home,
        debug,
        connection: desk.peer.id,
        addr: desk.peer.remote.ip(),
        secure: desk.peer.secure,
        from,
        request: &desk.head,
        body: &upload.kept().unwrap_or_default(),
    };
    let begun = hold::begin(instruct, &client, paused, &front.context)
        .map_err(|error| fail(Cause::Filter(error)))?;
    match (begun, rest) {
        (Begun::Answer(response), None) => {
            let body = Outgoing::whole(response.body.clone(), &desk.signals);
            Ok(hold::head(&response).map(|()| body))
        }
        (Begun::Answer(response), Some(rest)) => {
            let body = Outgoing::prefixed(first, rest, false, &desk.signals);
            Ok(hold::head(&response).map(|()| body))
        }
        (Begun::Held(mut start), None) => {
            desk.status.set(start.status());
            if let Some(cross_origin) = cross_origin {
                start.dress(cross_origin);
            }
            desk.next.replace(Some(Next::Hold(start)));
            // Nothing is hyper's to write: its connection is taken apart from here.
            pending().await
        }
        (Begun::Held(mut start), Some(rest)) => {
            let response = start
                .response()
                .map_or_else(|| Response::new(()), |one| hold::head(&one));
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

/// Status of the answer to a WebSocket that is taken.
const SWITCHED: u16 = 101;
