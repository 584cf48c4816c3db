//! An answer read to its end, since it may be an instruct: an instruct acts only when the whole of
//! it is there. It is decoded, because what is published later is plain.

use bytes::{Bytes, BytesMut};
use http::{
    HeaderName, header::CONTENT_ENCODING, header::CONTENT_LENGTH, header::TRAILER, response::Parts,
};
use http_body_util::BodyExt;
use hyper::ext::ReasonPhrase;

use super::{Answer, Body, Cause, Failure, decode, headers::tokens};
use crate::{
    grip::instruct::{Header, Response},
    upstream::RawHead,
};

/// A read answer.
#[derive(Debug)]
pub struct Collected {
    /// Status, reason, headers (with `Grip-*`; without framing and content coding), and the
    /// decoded body, or a little more than the limit of a larger one that is not encoded.
    pub response: Response,
    /// The rest of a larger one.
    pub rest: Option<Body>,
}

/// Reads an answer's body, at most `limit` bytes of it.
///
/// # Errors
/// The body was cut short or too slow; its coding is unknown or broken; or it is encoded and,
/// encoded or decoded, larger than the limit.
///
/// # Cancel safety
/// Dropping the future closes the backend's connection.
pub async fn collect(answer: Answer, limit: usize) -> Result<Collected, Failure> {
    let Answer {
        head,
        mut body,
        route,
        target,
        asked,
        debug,
        ..
    } = answer;
    let cause = match read(&head, &mut body, limit).await {
        Ok(Read::Whole(body)) => {
            return Ok(Collected {
                response: response(&head, body),
                rest: None,
            });
        }
        Ok(Read::More(prefix)) => {
            return Ok(Collected {
                response: response(&head, prefix),
                rest: Some(body),
            });
        }
        Ok(Read::TooLarge) => {
            return Err(Failure::instruct_too_large(
                asked, route, target, limit, debug,
            ));
        }
        // What went wrong with the body itself was told where it was read.
        Err(cause @ Cause::Upstream(_)) => {
            return Err(Failure {
                cause,
                route: Some(route),
                target: Some(target),
                asked: Box::new(asked),
                debug,
            });
        }
        Err(cause) => cause,
    };
    Err(Failure::logged(cause, asked, route, target, debug))
}

impl Answer {
    /// The head as [`collect`] gives it, with an empty body, and the body still to be read.
    ///
    /// # Errors
    /// The body is encoded: it cannot be decoded piece by piece.
    pub fn open(self) -> Result<(Response, Body), Failure> {
        if codings(&self.head).is_empty() {
            return Ok((response(&self.head, Bytes::new()), self.body));
        }
        let reason = "it is too long, or of unknown length".to_owned();
        let cause = Cause::Encoding { reason };
        Err(Failure::logged(
            cause,
            self.asked,
            self.route,
            self.target,
            self.debug,
        ))
    }
}

enum Read {
    Whole(Bytes),
    /// More than the limit; nothing is lost.
    More(Bytes),
    /// More than the limit, encoded.
    TooLarge,
}

async fn read(head: &Parts, body: &mut Body, limit: usize) -> Result<Read, Cause> {
    let codings = codings(head);
    let mut read = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(piece) = frame?.into_data() else {
            continue;
        };
        read.extend_from_slice(&piece);
        if read.len() > limit {
            return Ok(if codings.is_empty() {
                Read::More(read.freeze())
            } else {
                Read::TooLarge
            });
        }
    }
    if read.is_empty() {
        return Ok(Read::Whole(Bytes::new()));
    }
    match decode::decode(read.freeze(), &codings, limit) {
        Ok(Some(plain)) => Ok(Read::Whole(plain)),
        Ok(None) => Ok(Read::TooLarge),
        Err(reason) => Err(Cause::Encoding { reason }),
    }
}

/// The body's codings, in the order they were applied.
fn codings(head: &Parts) -> Vec<String> {
    let all = head.headers.get_all(CONTENT_ENCODING).iter();
    all.flat_map(tokens)
        .filter(|coding| !coding.eq_ignore_ascii_case(b"identity"))
        .map(|coding| String::from_utf8_lossy(coding).into_owned())
        .collect()
}

fn response(head: &Parts, body: Bytes) -> Response {
    let reason = match head.extensions.get::<ReasonPhrase>() {
        Some(reason) => String::from_utf8_lossy(reason.as_bytes()).into_owned(),
        None => head
            .status
            .canonical_reason()
            .unwrap_or_default()
            .to_owned(),
    };
    Response {
        code: head.status.as_u16(),
        reason,
        headers: headers(head),
        body,
    }
}

/// The headers that are left, without framing and content coding.
fn headers(head: &Parts) -> Vec<Header> {
    let ours = [CONTENT_LENGTH, CONTENT_ENCODING, TRAILER];
    some_fields(head, |name| {
        !ours
            .iter()
            .any(|ours| name.eq_ignore_ascii_case(ours.as_str()))
    })
}

/// A head's headers, in the backend's order and spelling where its head was noted.
pub fn fields(head: &Parts) -> Vec<Header> {
    some_fields(head, |_| true)
}

/// Those whose name satisfies `kept`. Held requests keep them: there is no room for others.
fn some_fields(head: &Parts, kept: impl Fn(&str) -> bool) -> Vec<Header> {
    let map = &head.headers;
    if let Some(RawHead(raw)) = head.extensions.get::<RawHead>() {
        let lines = raw.split(|byte| *byte == b'\n').skip(1);
        return lines
            .filter_map(|line| header(raw, line))
            .filter(|one| map.contains_key(&*one.name) && kept(&one.name))
            .collect();
    }
    map.iter()
        .filter(|(name, _)| kept(name.as_str()))
        .map(|(name, value)| Header {
            name: spelled(name),
            value: Bytes::copy_from_slice(value.as_bytes()),
        })
        .collect()
}

/// One line of a head that was parsed already.
fn header(raw: &Bytes, line: &[u8]) -> Option<Header> {
    let colon = memchr::memchr(b':', line)?;
    Some(Header {
        name: std::str::from_utf8(&line[..colon]).ok()?.to_owned(),
        value: raw.slice_ref(line[colon + 1..].trim_ascii()),
    })
}

/// The usual spelling.
fn spelled(name: &HeaderName) -> String {
    let mut first = true;
    name.as_str()
        .chars()
        .map(|char| {
            let shown = if first {
                char.to_ascii_uppercase()
            } else {
                char
            };
            first = char == '-';
            shown
        })
        .collect()
}
