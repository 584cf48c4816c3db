//! What a held client is answered, made fit for a page of another site. The answers that front
//! writes are dressed by it; these are those that nobody but the hold writes.

use bytes::Bytes;

use crate::{
    cross_origin::call::{self, Head, Mode},
    forward::CrossOrigin,
    grip::instruct::{Header, Response},
};

/// A stream's response, with what is sent first.
pub(super) fn opening(response: Response, cross_origin: &CrossOrigin) -> Response {
    let Some(call) = cross_origin.call() else {
        return with_headers(response, cross_origin);
    };
    let mut body = call.opening(head(&response));
    match call.mode() {
        Mode::Basic => body.extend_from_slice(&response.body),
        Mode::Extended => call::escape(&response.body, &mut body),
    }
    script(&response, body)
}

/// A long-poll's whole answer. `literal`: its body as it stands in a call, if it is there already.
pub(super) fn whole(
    response: Response,
    cross_origin: &CrossOrigin,
    literal: Option<&Bytes>,
) -> Response {
    let Some(call) = cross_origin.call() else {
        return with_headers(response, cross_origin);
    };
    let body = match (call.mode(), literal) {
        (Mode::Extended, None) => {
            let literal = call::literal(&response.body);
            call.held(head(&response), &response.body, &literal)
        }
        (_, literal) => {
            let literal = literal.map(|bytes| &**bytes).unwrap_or_default();
            call.held(head(&response), &response.body, literal)
        }
    };
    script(&response, body)
}

fn head(response: &Response) -> Head<'_, impl Iterator<Item = (&str, &[u8])>> {
    Head {
        code: response.code,
        reason: &response.reason,
        headers: response.headers.iter().map(|one| (&*one.name, &*one.value)),
    }
}

fn with_headers(mut response: Response, cross_origin: &CrossOrigin) -> Response {
    if let CrossOrigin::Cors(cors) = cross_origin {
        let names: Vec<&str> = response.headers.iter().map(|one| &*one.name).collect();
        let missing = cors.missing(&names);
        response
            .headers
            .extend(missing.into_iter().map(|(name, value)| Header {
                name: name.into(),
                value: value.into(),
            }));
    }
    response
}

/// The answer that is a script. It keeps the headers of what it tells, but for those about the body.
fn script(told: &Response, body: Vec<u8>) -> Response {
    let is_kept = |one: &&Header| {
        let own = call::HEADERS.iter().map(|(name, _)| *name);
        !own.chain(OF_THE_BODY)
            .any(|name| one.name.eq_ignore_ascii_case(name))
    };
    let own = call::HEADERS.map(|(name, value)| Header {
        name: name.into(),
        value: Bytes::from_static(value.as_bytes()),
    });
    let kept = told.headers.iter().filter(is_kept).cloned();
    Response {
        code: 200,
        reason: "OK".into(),
        headers: kept.chain(own).collect(),
        body: body.into(),
    }
}

/// Headers that are true of a body and not of a script that tells it.
const OF_THE_BODY: [&str; 7] = [
    "Content-Disposition",
    "Content-Encoding",
    "Content-MD5",
    "Content-Range",
    "Digest",
    "ETag",
    "Repr-Digest",
];
