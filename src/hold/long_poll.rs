//! What a long-poll is answered in the end: an item, its instruct's own response when the time is
//! up, or that something went wrong.

use std::{
    io,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use tokio::io::AsyncWriteExt;

use super::{
    answer, dress,
    early::Early,
    gone::Gone,
    packed::Packed,
    request,
    session::{Outcome, close},
    start::Context,
    terms::Terms,
};
use crate::{
    forward,
    grip::{format::ResponseFormat, instruct::Response},
    http1::gate::Version,
    hub::{Event, Prepared},
    socket::{ClientSocket, Stream},
    telemetry::limit::Every,
};

/// A long-poll: what it is answered with when nothing else comes, and what it asks again.
#[derive(Debug)]
pub(super) struct LongPoll {
    pub(super) response: Response,
    /// `None`: HTTP/2.
    pub(super) version: Option<Version>,
    pub(super) keep_alive: bool,
    pub(super) debug: bool,
    pub(super) terms: Terms,
    pub(super) request: Packed,
    pub(super) gone: Option<Gone>,
}

impl LongPoll {
    /// What the client gets at the end: the status, which a JSON-P call only tells of, and the
    /// whole answer.
    pub(super) fn last_word(&self, event: Event, context: &Context) -> Option<(u16, Response)> {
        let reconnect = context.settings.timeouts.reconnect;
        let (response, item) = match event {
            Event::Answer { item, body } => {
                let is_own = body.is_none();
                (
                    self.answer(&item, body.map(|body| *body), reconnect),
                    Some(item).filter(|_| is_own),
                )
            }
            Event::Timeout => (self.response.clone(), None),
            Event::Failed(text) => (answer::bad_gateway(&text, reconnect), None),
            Event::Ask(_)
            | Event::Broken
            | Event::Close { .. }
            | Event::Ended
            | Event::Overflow
            | Event::Recover(_)
            | Event::Refresh
            | Event::Tick => return None,
        };
        let literal = item.as_ref().and_then(|item| item.literal());
        Some((response.code, self.dressed(response, literal, context)))
    }

    /// An answer made fit for a page of another site, if one may have asked. What such a client
    /// asked for stands in its request: nothing is kept for it.
    fn dressed(&self, response: Response, literal: Option<&Bytes>, context: &Context) -> Response {
        let route = &self.terms.route;
        if !context.forwarder.crosses_origins(Some(route)) {
            return response;
        }
        let head = self.request.unpack().and_then(|head| request::parts(&head));
        match head.and_then(|head| context.forwarder.dress(&head, route)) {
            Some(cross_origin) => dress::whole(response, &cross_origin, literal),
            None => response,
        }
    }

    fn answer(&self, item: &Prepared, body: Option<Bytes>, reconnect: Duration) -> Response {
        let Some(ResponseFormat::Send(content)) = &item.item().formats.response else {
            return self.response.clone();
        };
        answer::merged(&self.response, content, body).unwrap_or_else(|error| {
            if let Some(left_out) = UNFIT.hit(Instant::now()) {
                let left_out = (left_out > 0).then_some(left_out);
                let channels = item.item().channels.join(", ");
                tracing::warn!(channels, %error, left_out, "item cannot answer a long-poll");
            }
            let sentence = if self.debug {
                error.to_string()
            } else {
                forward::GENERIC.to_owned()
            };
            answer::bad_gateway(&sentence, reconnect)
        })
    }

    /// Writes the answer; says what becomes of the connection, and how many bytes the answer has.
    pub(super) async fn finish(
        &self,
        response: &Response,
        mut socket: ClientSocket,
        Early(early): Early,
    ) -> (Outcome, usize) {
        let answer = match &socket {
            ClientSocket::Stream(stream) => begin(stream, response),
            _ => Ok(self.encode(response).into()),
        };
        let Ok(answer) = answer else {
            return (Outcome::Over, 0);
        };
        let outcome = match write_all(&mut socket, &answer, STALLED).await {
            Ok(()) if self.keep_alive => Outcome::Next(socket, early),
            Ok(()) => close(socket).await,
            Err(_) => Outcome::Over,
        };
        (outcome, answer.len())
    }

    fn encode(&self, response: &Response) -> Vec<u8> {
        let version = self.version.unwrap_or(Version::Http11);
        answer::whole(response, version, self.keep_alive)
    }
}

/// Sends an answer's head over HTTP/2; returns the body.
fn begin(stream: &Stream, response: &Response) -> io::Result<Bytes> {
    let mut head = answer::head(response);
    let (body, length) = match response.code {
        204 | 304 => (Bytes::new(), None),
        _ => (response.body.clone(), Some(response.body.len() as u64)),
    };
    head.headers_mut().remove(CONTENT_LENGTH);
    answer::complete(&mut head, length);
    stream.begin(head, body.is_empty())?;
    Ok(body)
}

/// Writes everything; an error when the peer takes nothing for `stalled`.
async fn write_all(
    socket: &mut ClientSocket,
    mut bytes: &[u8],
    stalled: Duration,
) -> io::Result<()> {
    while !bytes.is_empty() {
        let written = tokio::time::timeout(stalled, socket.write(bytes)).await??;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        bytes = &bytes[written..];
    }
    tokio::time::timeout(stalled, socket.flush()).await?
}

/// An item goes to every long-poll of its channel: one line says it for all of them.
static UNFIT: Every = Every::new(Duration::from_secs(1));

/// How long a write of an answer may make no progress.
const STALLED: Duration = Duration::from_mins(1);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hold::Session;

    /// What CORS and JSON-P need stands in the kept request.
    #[test]
    fn a_held_request_has_no_room_for_what_few_use() {
        assert!(size_of::<Session>() <= 72, "{}", size_of::<Session>());
        assert!(size_of::<LongPoll>() <= 232, "{}", size_of::<LongPoll>());
    }
}
