//! The beginning of a WebSocket whose backend speaks WebSocket itself. When the backend grants
//! `grip`, or its target has implicit channels, gripd speaks with both sides; else frames pass
//! unchanged from one end to the other, and this only looks at the handshake.

use http::{HeaderMap, HeaderValue, header};
use hyper_util::rt::TokioIo;

use super::{
    direct::Direct,
    open::{Start, start},
    talk::Talk,
};
use crate::{
    forward::{Answer, Cause, Failure},
    grip::{extension as grip_extension, instruct::Header, over_http::Opened},
    hold::{Client, Context},
    websocket::{
        deflate::{self, Agreed},
        extension, handshake,
    },
};

/// Takes a WebSocket that the backend has granted (status 101), if gripd is to speak with both
/// sides of it. `None`: its bytes are to be passed on as they are, behind the answer's head, which
/// then says nothing of `grip`. `headers`: those of the client's request.
///
/// # Errors
/// The backend's handshake is none of a WebSocket's.
///
/// # Cancel safety
/// Dropping the future closes the backend's connection.
pub async fn join(
    answer: &mut Answer,
    headers: &HeaderMap,
    client: &Client<'_>,
    context: &Context,
) -> Result<Option<Box<Start>>, Failure> {
    let asked = answer.asked.clone();
    let fail = |why: String| {
        let (route, cause) = (client.route.clone(), Cause::Switched(why));
        Failure::logged(cause, asked, route, client.target, client.debug)
    };
    let agreed = match check(&answer.head.headers, headers) {
        Ok(agreed) => agreed,
        Err(why) => return Err(fail(why)),
    };
    let theirs = answer
        .head
        .headers
        .get_all(header::SEC_WEBSOCKET_EXTENSIONS);
    let grip = grip_extension::parse(theirs.iter().map(HeaderValue::as_bytes));
    let grip = grip.filter(|_| answer.obeys);
    let target = client.route.targets.get(client.target);
    let is_implicit = target.is_some_and(|target| !target.subs.is_empty());
    if grip.is_none() && !is_implicit {
        if answer.obeys {
            hide_grip(&mut answer.head.headers);
        }
        return Ok(None);
    }
    let Some(upgrade) = answer.upgrade.take() else {
        return Ok(None);
    };
    let upgraded = match upgrade.await {
        Ok(upgraded) => TokioIo::new(upgraded),
        Err(error) => return Err(fail(error.to_string())),
    };
    let opened = Opened {
        headers: kept(&answer.head.headers),
        grip,
    };
    let direct = Direct::new(upgraded, context.settings.limits.websocket_answer, agreed);
    let talk = Talk::Direct(direct);
    let start = start(&opened, talk, headers, client, context, Vec::new());
    Ok(Some(Box::new(start)))
}

/// Does the backend's answer fit the client's request? Tells what compression was agreed on.
fn check(answer: &HeaderMap, request: &HeaderMap) -> Result<Option<Agreed>, String> {
    let key = request.get(header::SEC_WEBSOCKET_KEY);
    let accept = answer.get(header::SEC_WEBSOCKET_ACCEPT);
    let fits = key
        .zip(accept)
        .is_some_and(|(key, accept)| handshake::accepts(key.as_bytes(), accept.as_bytes()));
    if !fits {
        return Err("Sec-WebSocket-Accept is not the answer to Sec-WebSocket-Key".into());
    }
    let offers = extensions(request);
    let offered = offers.iter().any(|offer| offer.name == deflate::NAME);
    Agreed::from_answer(&extensions(answer), offered).map_err(|error| error.to_string())
}

fn extensions(headers: &HeaderMap) -> Vec<extension::Extension> {
    let lines = headers.get_all(header::SEC_WEBSOCKET_EXTENSIONS);
    extension::parse(lines.iter().filter_map(|line| line.to_str().ok()))
}

/// The client has not offered it, and may not be told of it, however it is spelled.
fn hide_grip(headers: &mut HeaderMap) {
    let is_grip = |own: &extension::Extension| own.name.eq_ignore_ascii_case("grip");
    let mut own = extensions(headers);
    if !own.iter().any(is_grip) {
        return;
    }
    own.retain(|one| !is_grip(one));
    headers.remove(header::SEC_WEBSOCKET_EXTENSIONS);
    if let (false, Ok(rest)) = (own.is_empty(), extension::print(&own).parse()) {
        headers.insert(header::SEC_WEBSOCKET_EXTENSIONS, rest);
    }
}

/// The headers of the backend's answer that are the client's as well.
fn kept(headers: &HeaderMap) -> Vec<Header> {
    let own = [
        header::CONNECTION,
        header::UPGRADE,
        header::SEC_WEBSOCKET_ACCEPT,
        header::SEC_WEBSOCKET_EXTENSIONS,
    ];
    let kept = headers.iter().filter(|(name, _)| !own.contains(name));
    kept.map(|(name, value)| Header {
        name: name.as_str().into(),
        value: value.as_bytes().to_vec().into(),
    })
    .collect()
}
