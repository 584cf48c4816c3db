//! An answer that front writes, made fit for a page of another site: with CORS headers, or as a
//! JSON-P call. The last step before hyper writes it.

use http::{
    HeaderName, HeaderValue, Response,
    header::{CACHE_CONTROL, CONTENT_ENCODING},
    response::Parts,
};
use hyper::ext::ReasonPhrase;

use super::{body::Outgoing, refusal};
use crate::{
    cross_origin::{
        call::{self, Call, Head},
        cors::Cors,
    },
    forward::{CrossOrigin, fields},
    grip::BODY_LIMIT,
};

/// Dresses an answer.
pub(super) async fn dress(
    response: Response<Outgoing>,
    cross_origin: &CrossOrigin,
) -> Response<Outgoing> {
    if response.status().is_informational() {
        return response;
    }
    let (head, body) = response.into_parts();
    match cross_origin {
        CrossOrigin::Cors(cors) => Response::from_parts(with_headers(head, cors), body),
        CrossOrigin::Call(call) => script(head, body, call).await,
    }
}

fn with_headers(mut head: Parts, cors: &Cors) -> Parts {
    let fields = fields(&head);
    let names: Vec<&str> = fields.iter().map(|field| &*field.name).collect();
    for (name, value) in cors.missing(&names) {
        let name = HeaderName::from_bytes(name.as_bytes());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_maybe_shared(value)) {
            head.headers.insert(name, value);
        }
    }
    head
}

/// The answer as a call. A short body is wrapped as a whole, another one piece by piece.
async fn script(head: Parts, mut body: Outgoing, call: &Call) -> Response<Outgoing> {
    let coding = head.headers.get(CONTENT_ENCODING);
    if coding.is_some_and(|coding| coding != "identity") {
        // What is encoded cannot be told, and was not asked for.
        let sentence = "Upstream response could not be JSON-P encoded.";
        return refusal::response(500, sentence).map(|text| body.with(text));
    }
    let reason = head.extensions.get::<ReasonPhrase>();
    let reason = match reason {
        Some(reason) => String::from_utf8_lossy(reason.as_bytes()).into_owned(),
        None => head.status.canonical_reason().unwrap_or_default().into(),
    };
    let fields = fields(&head);
    let told = Head {
        code: head.status.as_u16(),
        reason: &reason,
        headers: fields.iter().map(|field| (&*field.name, &*field.value)),
    };
    let body = match body.gather(BODY_LIMIT).await {
        Some(whole) => body.with(call.whole(told, &whole).into()),
        None => body.inside(call.opening(told).into(), call.mode()),
    };
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    for (name, value) in call::HEADERS {
        if let Ok(name) = HeaderName::from_bytes(name.as_bytes()) {
            headers.insert(name, HeaderValue::from_static(value));
        }
    }
    for value in head.headers.get_all(CACHE_CONTROL) {
        headers.append(CACHE_CONTROL, value.clone());
    }
    response
}
