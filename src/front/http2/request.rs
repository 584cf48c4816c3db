//! A request that came over HTTP/2. It is written down as the HTTP/1 request that it amounts to
//! (RFC 9113 section 8.3.1), and that passes the same gate as all others: one place says what a
//! request may be, and how large. A hold keeps the text, too, to make the request again.

use std::{
    error::Error,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};

use bytes::{Bytes, BytesMut};
use h2::RecvStream;
use http::{
    HeaderMap, HeaderValue, Method, Request, Uri,
    header::{CONTENT_LENGTH, COOKIE, EXPECT, HOST, HeaderName},
    request::Parts,
};
use http_body::{Body, Frame};

use super::super::gated::Signals;
use crate::{
    forward::Upload,
    grip::BODY_LIMIT,
    hold,
    http1::gate::{self, BodyScan, Fault, Framing, scan_head},
    socket::Stream,
};

/// A request, as everything behind the gate takes it.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) request: Request<Upload>,
    /// Its head, as HTTP/1 would have it.
    pub(super) text: Bytes,
    /// Where it is told what is wrong with its body.
    pub(super) signals: Rc<Signals>,
}

impl Asked {
    /// Reads a request. A client that waits to be told to go on with the body is told so.
    ///
    /// # Errors
    /// It does not pass the gate.
    pub(super) fn read(
        request: Request<RecvStream>,
        stream: &Stream,
        limits: &gate::Limits,
    ) -> Result<Self, Fault> {
        let (mut head, body) = request.into_parts();
        join_cookies(&mut head.headers);
        let has_body = !body.is_end_stream();
        let text = write(&head, has_body);
        if scan_head(&text, limits)?.is_none_or(|head| head.len != text.len()) {
            return Err(Fault::NotHttp);
        }
        let authority = head.uri.authority().map(|host| host.as_str().parse());
        if let Some(Ok(host)) = authority {
            head.headers.insert(HOST, host);
        }
        if let Some(path) = head.uri.path_and_query() {
            head.uri = Uri::from(path.clone());
        }
        if has_body && head.headers.contains_key(EXPECT) {
            stream.go_on();
        }
        let signals = Rc::<Signals>::default();
        let body = Incoming {
            body,
            signals: Rc::clone(&signals),
        };
        Ok(Self {
            request: Request::from_parts(head, Upload::new(body, BODY_LIMIT)),
            text: text.into(),
            signals,
        })
    }

    /// A request that is made again, from all its bytes.
    pub(super) fn again(bytes: &[u8], limits: &gate::Limits) -> Option<Self> {
        let head = scan_head(bytes, limits).ok()??;
        let (text, body) = bytes.split_at_checked(head.len)?;
        let upload = Upload::of(&Bytes::copy_from_slice(body));
        Some(Self {
            request: Request::from_parts(hold::parts(text)?, upload),
            text: Bytes::copy_from_slice(text),
            signals: Rc::default(),
        })
    }
}

/// A client may send its cookies one by one (RFC 9113 section 8.2.3).
fn join_cookies(headers: &mut HeaderMap) {
    let crumbs: Vec<&[u8]> = headers
        .get_all(COOKIE)
        .iter()
        .map(HeaderValue::as_bytes)
        .collect();
    if crumbs.len() < 2 {
        return;
    }
    if let Ok(joined) = HeaderValue::from_bytes(&crumbs.join(&b"; "[..])) {
        headers.insert(COOKIE, joined);
    }
}

/// The head as HTTP/1 would have it. A `Host` beside an `:authority` that says otherwise stands
/// there, too, for the gate to refuse.
fn write(head: &Parts, has_body: bool) -> BytesMut {
    let mut out = BytesMut::with_capacity(1024);
    let authority = head
        .uri
        .authority()
        .map_or("", |authority| authority.as_str());
    let target = match head.uri.path_and_query() {
        Some(path) if head.method != Method::CONNECT => path.as_str(),
        _ => authority,
    };
    for part in [head.method.as_str(), " ", target, " HTTP/1.1\r\n"] {
        out.extend_from_slice(part.as_bytes());
    }
    if !authority.is_empty() {
        line(&mut out, &HOST, authority.as_bytes());
    }
    for (name, value) in &head.headers {
        let is_same = || value.as_bytes().eq_ignore_ascii_case(authority.as_bytes());
        if name != HOST || !is_same() {
            line(&mut out, name, value.as_bytes());
        }
    }
    if has_body && !head.headers.contains_key(CONTENT_LENGTH) {
        out.extend_from_slice(b"transfer-encoding: chunked\r\n");
    }
    out.extend_from_slice(b"\r\n");
    out
}

fn line(out: &mut BytesMut, name: &HeaderName, value: &[u8]) {
    for part in [name.as_str().as_bytes(), b": ", value, b"\r\n"] {
        out.extend_from_slice(part);
    }
}

/// Trailers pass the gate as those of a body in chunks do.
fn check(trailers: &HeaderMap) -> Result<(), Fault> {
    let mut out = BytesMut::from(&b"0\r\n"[..]);
    for (name, value) in trailers {
        line(&mut out, name, value.as_bytes());
    }
    out.extend_from_slice(b"\r\n");
    let mut scan = BodyScan::new(Framing::Chunked, 0);
    scan.feed(&out).map(drop)
}

/// A request's body. The client may send on as soon as a piece is taken.
struct Incoming {
    body: RecvStream,
    signals: Rc<Signals>,
}

impl Body for Incoming {
    type Data = Bytes;
    type Error = Box<dyn Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if let Some(piece) = ready!(self.body.poll_data(context)).transpose()? {
            self.body.flow_control().release_capacity(piece.len())?;
            return Poll::Ready(Some(Ok(Frame::data(piece))));
        }
        let Some(trailers) = ready!(self.body.poll_trailers(context))? else {
            return Poll::Ready(None);
        };
        Poll::Ready(Some(match check(&trailers) {
            Ok(()) => Ok(Frame::trailers(trailers)),
            Err(fault) => {
                let text = fault.to_string();
                self.signals.fault.replace(Some(fault));
                Err(text.into())
            }
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }
}

#[cfg(test)]
mod tests;
