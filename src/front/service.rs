//! What becomes of one request: it is forwarded, and its answer goes straight through, or is an
//! instruct and begins a hold.

use std::{convert::Infallible, future::pending, rc::Rc};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use hyper::{body::Incoming, ext::ReasonPhrase};

use super::{
    Front,
    body::Outgoing,
    exchange::{Desk, Next},
    refusal,
};
use crate::{
    forward::{self, Answer, Cause, Collected, Failure, Upload},
    grip::{
        BODY_LIMIT,
        instruct::{self, Instruct},
    },
    hold::{self, Begun},
};

/// Answers a request. Never fails: what goes wrong becomes a refusal.
pub(super) async fn answer(
    front: &Front,
    desk: &Desk,
    request: Request<Incoming>,
) -> Result<Response<Outgoing>, Infallible> {
    let mut response = match respond(front, desk, request).await {
        Ok(response) => response,
        Err(failure) => refusal::response(failure.cause.status(), &failure.sentence())
            .map(|body| Outgoing::whole(body, &desk.signals)),
    };
    if !desk.signals.read.get() || front.is_draining() {
        // The rest of the request is not wanted, so the connection cannot go on.
        response
            .headers_mut()
            .insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(response)
}

async fn respond(
    front: &Front,
    desk: &Desk,
    request: Request<Incoming>,
) -> Result<Response<Outgoing>, Failure> {
    let (head, body) = request.into_parts();
    let is_head = head.method == Method::HEAD;
    let upload = Upload::new(body, BODY_LIMIT);
    let client = forward::Client {
        addr: Some(desk.peer.ip()),
        secure: false,
    };
    let mut answer = front
        .forwarder
        .forward(head, upload.clone(), &client)
        .await?;
    if let Some(upgrade) = answer.upgrade.take() {
        desk.next.replace(Some(Next::Tunnel(upgrade)));
        return Ok(Response::from_parts(
            answer.head,
            Outgoing::whole(Bytes::new(), &desk.signals),
        ));
    }
    if !answer.instruct {
        let body = Outgoing::stream(answer.body, &desk.signals);
        return Ok(Response::from_parts(answer.head, body));
    }
    settle(front, desk, answer, &upload, is_head).await
}

/// Acts on an answer that is an instruct.
async fn settle(
    front: &Front,
    desk: &Desk,
    answer: Answer,
    upload: &Upload,
    is_head: bool,
) -> Result<Response<Outgoing>, Failure> {
    let route = Rc::new((answer.route.clone(), answer.target));
    let (debug, prefix) = (
        front.settings.proxy.debug || route.0.debug,
        route.0.prefix.clone(),
    );
    let fail = |cause| Failure {
        cause,
        route: Some(route.0.clone()),
        debug,
    };
    upload
        .finish()
        .await
        .map_err(|_| fail(Cause::RequestBody))?;
    if upload.overflowed() {
        return Err(fail(Cause::RequestTooLarge));
    }
    let client = hold::Client {
        version: desk.version,
        keep_alive: desk.keep_alive,
        head: is_head,
        prefix: &prefix,
        implicit: route
            .0
            .targets
            .get(route.1)
            .map_or(&[], |target| &target.subs),
        debug,
    };
    let (response, rest) = match forward::collect(answer, BODY_LIMIT).await? {
        Collected::Whole(response) => (response, None),
        Collected::Large { response, body } => (response, Some(body)),
    };
    if rest.is_some() && !instruct::allows_large_stream(&response.headers) {
        return Err(fail(Cause::InstructTooLarge));
    }
    let first = if rest.is_some() {
        response.body.clone()
    } else {
        Bytes::new()
    };
    let instruct = Instruct::parse(response).map_err(|error| fail(Cause::Instruct(error)))?;
    match (hold::begin(instruct, &client, &front.context), rest) {
        (Begun::Answer(response), None) => Ok(plain(response, desk)),
        (Begun::Answer(response), Some(rest)) => {
            let body = Outgoing::prefixed(first, rest, false, &desk.signals);
            Ok(head(&response).map(|()| body))
        }
        (Begun::Held(start), None) => {
            desk.next.replace(Some(Next::Hold(start)));
            pending().await
        }
        (Begun::Held(mut start), Some(rest)) => {
            let response = start.large_head();
            desk.next.replace(Some(Next::HoldLater(start)));
            let body = Outgoing::prefixed(first, rest, true, &desk.signals);
            Ok(response
                .map_or_else(|| Response::new(()), |response| head(&response))
                .map(|()| body))
        }
    }
}

/// A response without a hold.
fn plain(response: instruct::Response, desk: &Desk) -> Response<Outgoing> {
    let body = Outgoing::whole(response.body.clone(), &desk.signals);
    head(&response).map(|()| body)
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
