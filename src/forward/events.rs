//! A WebSocket's request over HTTP: the client's handshake headers, made a `POST` that carries
//! events. Every request of a connection has them all, so that the backend need not remember any.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, header, request};

use super::{Cause, Upload, prepare::Prepared};
use crate::{
    grip::{instruct::Header, over_http, ws_events},
    routes::grammar::{Route, Target},
};

/// What one request over HTTP carries.
#[derive(Clone, Debug, Default)]
pub struct Events {
    /// The events.
    pub body: Bytes,
    /// Bytes of them that were sent before and not taken (`Content-Bytes-Replayed`).
    pub replayed: u64,
    /// What the backend wants to be told again (`Meta-*`).
    pub metas: Vec<Header>,
}

impl Events {
    /// The first request: does the backend take the connection?
    pub(super) fn open() -> Self {
        let mut body = Vec::new();
        ws_events::encode(&ws_events::Event::Open, &mut body);
        Self {
            body: body.into(),
            ..Self::default()
        }
    }
}

impl Prepared {
    /// The head of a request with these events.
    ///
    /// # Errors
    /// As [`Prepared::head`].
    pub(super) fn events_head(
        &self,
        events: &Events,
        route: &Route,
        target: &Target,
    ) -> Result<request::Parts, Cause> {
        let upload = Upload::of(&events.body);
        let mut own = self.clone();
        own.method = Method::POST;
        own.upgrade = super::headers::Upgrade::default();
        own.headers.retain(|name| !over_http::is_replaced(name));
        let kind = HeaderValue::from_static(ws_events::CONTENT_TYPE);
        own.headers.push(header::ACCEPT, kind.clone());
        own.headers.push(header::CONTENT_TYPE, kind);
        if self.obeys {
            let grip = HeaderValue::from_static("grip");
            own.headers.push(header::SEC_WEBSOCKET_EXTENSIONS, grip);
        }
        if let Some(id) = &self.connection {
            own.headers.push(CONNECTION_ID, id.clone());
        }
        if events.replayed > 0 {
            own.headers.push(REPLAYED, events.replayed.into());
        }
        for meta in &events.metas {
            let name = HeaderName::from_bytes(meta.name.as_bytes());
            let value = HeaderValue::from_maybe_shared(meta.value.clone());
            if let (Ok(name), Ok(value)) = (name, value) {
                own.headers.push(name, value);
            }
        }
        own.head(route, target, &upload)
    }
}

const CONNECTION_ID: HeaderName = HeaderName::from_static("connection-id");
const REPLAYED: HeaderName = HeaderName::from_static("content-bytes-replayed");
