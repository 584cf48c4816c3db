//! What gripd itself writes to a held client: a stream's opening, and a long-poll's answer.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode, header};
use hyper::ext::ReasonPhrase;

use super::{date::http_date, random};
use crate::{
    grip::{
        format::{PatchError, ResponseContent},
        instruct::{Header, Response},
        status::reason,
    },
    http1::{
        answer::{Answer, Connection, Framing as HeadFraming},
        chunk,
        gate::Version,
    },
    hub::Framing,
};

/// A stream's head, and its first body piece if it has one, as one buffer.
pub(super) fn opening(response: &Response, framing: Framing, keep_alive: bool) -> Bytes {
    let mut out = Vec::with_capacity(512 + response.body.len());
    let (version, head_framing) = if framing.is_bare() {
        (Version::Http10, HeadFraming::UntilClose)
    } else {
        (Version::Http11, HeadFraming::Chunked)
    };
    let connection = if keep_alive && !framing.is_bare() {
        Connection::KeepAlive
    } else {
        Connection::Close
    };
    write_head(response, version, head_framing, connection, &mut out);
    if framing.is_bare() {
        out.extend_from_slice(&response.body);
    } else {
        out.extend_from_slice(&chunk::encode(&response.body));
    }
    out.into()
}

/// A whole response.
pub(super) fn whole(response: &Response, version: Version, keep_alive: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(512 + response.body.len());
    let connection = if keep_alive {
        Connection::KeepAlive
    } else {
        Connection::Close
    };
    if matches!(response.code, 204 | 304) {
        write_head(response, version, HeadFraming::NoBody, connection, &mut out);
        return out;
    }
    let length = HeadFraming::Length(response.body.len() as u64);
    write_head(response, version, length, connection, &mut out);
    out.extend_from_slice(&response.body);
    out
}

/// A response's head, for a library to write: hyper, or HTTP/2's. What cannot be sent is left out.
pub fn head(response: &Response) -> http::Response<()> {
    let mut head = http::Response::new(());
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

/// Adds what the library leaves to us over HTTP/2: the date, and the body's length where it is
/// known and none is told.
pub fn complete(head: &mut http::Response<()>, length: Option<u64>) {
    let headers = head.headers_mut();
    if !headers.contains_key(header::DATE)
        && let Ok(date) = HeaderValue::from_str(&http_date())
    {
        headers.insert(header::DATE, date);
    }
    if let Some(length) = length
        && !headers.contains_key(header::CONTENT_LENGTH)
    {
        headers.insert(header::CONTENT_LENGTH, length.into());
    }
}

/// A long-poll's answer: the item's code, reason and body, or what filters made of that; the
/// instruct's headers with those replaced that the item names.
///
/// # Errors
/// When the item's patch does not fit the instruct's body: the answer is a 502 then.
pub(super) fn merged(
    instruct: &Response,
    content: &ResponseContent,
    body: Option<Bytes>,
) -> Result<Response, PatchError> {
    let replaced = |name: &str| {
        content
            .headers
            .iter()
            .any(|own| own.name.eq_ignore_ascii_case(name))
    };
    let mut headers: Vec<Header> = instruct
        .headers
        .iter()
        .filter(|header| !replaced(&header.name))
        .cloned()
        .collect();
    headers.extend(content.headers.iter().cloned());
    Ok(Response {
        code: content.code,
        reason: content
            .reason
            .clone()
            .unwrap_or_else(|| reason(content.code).to_owned()),
        headers,
        body: match body {
            Some(body) => body,
            None => content.body.apply(&instruct.body)?,
        },
    })
}

/// The answer when a held request cannot go on. `reconnect`: about when it may be made again.
pub(super) fn bad_gateway(sentence: &str, reconnect: Duration) -> Response {
    let kind = Header {
        name: "Content-Type".into(),
        value: Bytes::from_static(b"text/plain"),
    };
    let again = retry_after(reconnect).map(|seconds| Header {
        name: "Retry-After".into(),
        value: seconds.to_string().into(),
    });
    Response {
        code: 502,
        reason: "Bad Gateway".into(),
        headers: [kind].into_iter().chain(again).collect(),
        body: format!("{sentence}\n").into(),
    }
}

/// What `Retry-After` says of 502, 503 and 504, in seconds: at random from half of `reconnect` to
/// half as long again, so that those who failed together do not come back together. `None`: it is
/// not told.
pub fn retry_after(reconnect: Duration) -> Option<u64> {
    let after = reconnect.mul_f64(0.5 + random::fraction());
    let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
    (!reconnect.is_zero()).then_some(seconds.max(1))
}

fn write_head(
    response: &Response,
    version: Version,
    framing: HeadFraming,
    connection: Connection,
    out: &mut Vec<u8>,
) {
    let headers = response
        .headers
        .iter()
        .map(|header| (&*header.name, &*header.value));
    let (code, reason, date) = (response.code, &*response.reason, http_date());
    Answer {
        version,
        code,
        reason,
        headers,
        framing,
        connection,
        date: &date,
    }
    .write(out);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_are_told_times_of_their_own() {
        let told = |reconnect| (0..200).map(move |_| retry_after(reconnect));
        let of_three: Vec<_> = told(Duration::from_secs(3)).flatten().collect();
        assert_eq!(of_three.len(), 200);
        assert!(of_three.iter().all(|seconds| (2..=5).contains(seconds)));
        assert!(of_three.iter().any(|seconds| *seconds != of_three[0]));
        assert!(told(Duration::from_millis(1)).all(|seconds| seconds == Some(1)));
        assert!(told(Duration::ZERO).all(|seconds| seconds.is_none()));
    }
}
