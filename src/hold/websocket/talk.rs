//! How a parked WebSocket's backend is spoken to: by requests over HTTP, or on a connection of its
//! own. Both take the same inputs and say the same things, so that what is done for the client is
//! written once.

use std::{
    task::{Context, Poll},
    time::Duration,
};

use super::{
    direct::Direct,
    exchange::{Exchange, Heard, Pending},
};
use crate::{
    grip::{
        format::MessageKind,
        over_http::{Answer, Output, Request, Session},
        ws_events::{Close, Message},
    },
    hold::random,
    websocket::message,
};

/// A conversation with a backend.
pub(super) enum Talk {
    /// On a connection of its own.
    Direct(Direct),
    /// By requests.
    OverHttp(Box<OverHttp>),
}

/// What one side has said.
pub(super) enum Said {
    Close(Close),
    Message(Message),
}

/// A conversation by requests.
pub(super) struct OverHttp {
    session: Session,
    exchange: Exchange,
    pending: Option<Pending>,
}

impl From<message::Message> for Said {
    fn from(message: message::Message) -> Self {
        let (kind, content) = match message {
            message::Message::Text(content) => (MessageKind::Text, content),
            message::Message::Binary(content) => (MessageKind::Binary, content),
            message::Message::Ping(content) => (MessageKind::Ping, content),
            message::Message::Pong(content) => (MessageKind::Pong, content),
            message::Message::Close(close) => {
                return Self::Close(close.map_or_else(Close::default, |close| Close {
                    code: Some(close.code),
                    reason: close.reason,
                }));
            }
        };
        Self::Message(Message { kind, content })
    }
}

impl OverHttp {
    /// Goes on with a session whose handshake is done.
    pub(super) fn new(session: Session, exchange: Exchange) -> Self {
        Self {
            session,
            exchange,
            pending: None,
        }
    }

    fn heard(&mut self, heard: Heard, now: Duration, out: &mut Vec<Output>) -> bool {
        match heard {
            Ok(collected) => {
                let answer = Answer {
                    code: collected.response.code,
                    headers: &collected.response.headers,
                    body: &collected.response.body,
                };
                self.session.response(&answer, now, out);
                true
            }
            Err(failure) => {
                self.session.failed(failure, random::bits(), now, out);
                false
            }
        }
    }
}

impl Talk {
    pub(super) fn client_message(&mut self, message: Message, out: &mut Vec<Output>) {
        match self {
            Self::Direct(direct) => direct.client_message(&message),
            Self::OverHttp(own) => own.session.client_message(message, out),
        }
    }

    pub(super) fn client_close(&mut self, close: Close, out: &mut Vec<Output>) {
        match self {
            Self::Direct(direct) => direct.client_close(&close, out),
            Self::OverHttp(own) => own.session.client_close(close, out),
        }
    }

    pub(super) fn client_gone(&mut self, out: &mut Vec<Output>) {
        match self {
            Self::Direct(direct) => direct.client_gone(),
            Self::OverHttp(own) => own.session.client_gone(out),
        }
    }

    pub(super) fn client_full(&mut self, full: bool, out: &mut Vec<Output>) {
        match self {
            Self::Direct(direct) => direct.client_full(full),
            Self::OverHttp(own) => own.session.client_full(full, out),
        }
    }

    pub(super) fn publish_close(&mut self, close: Close, out: &mut Vec<Output>) {
        match self {
            Self::Direct(direct) => direct.publish_close(close, out),
            Self::OverHttp(own) => own.session.publish_close(close, out),
        }
    }

    pub(super) fn detach(&mut self, out: &mut Vec<Output>) {
        match self {
            Self::Direct(direct) => direct.detach(),
            Self::OverHttp(own) => own.session.detach(out),
        }
    }

    /// Asks the backend, if it can be asked; false: it cannot.
    pub(super) fn refresh(&mut self, out: &mut Vec<Output>) -> bool {
        match self {
            Self::Direct(_) => false,
            Self::OverHttp(own) => {
                own.session.refresh(out);
                true
            }
        }
    }

    pub(super) fn tick(&mut self, now: Duration, out: &mut Vec<Output>) {
        match self {
            // It has timers of its own, of which there is none but at its end.
            Self::Direct(_) => {}
            Self::OverHttp(own) => own.session.tick(now, out),
        }
    }

    /// When [`Talk::tick`] is to be called.
    pub(super) fn due(&self) -> Option<Duration> {
        match self {
            Self::Direct(_) => None,
            Self::OverHttp(own) => own.session.due(),
        }
    }

    /// May the client be read?
    pub(super) fn wants_reading(&self) -> bool {
        match self {
            Self::Direct(direct) => direct.wants_reading(),
            Self::OverHttp(own) => own.session.wants_reading(),
        }
    }

    /// May [`Talk::poll`] ever become ready by itself?
    pub(super) fn is_under_way(&self) -> bool {
        match self {
            Self::Direct(direct) => direct.is_connected(),
            Self::OverHttp(own) => own.pending.is_some(),
        }
    }

    /// There is nothing more to do, and nothing that could be told would have an effect.
    pub(super) fn is_over(&self) -> bool {
        match self {
            Self::Direct(direct) => direct.is_over(),
            Self::OverHttp(own) => own.pending.is_none() && own.session.is_over(),
        }
    }

    /// Makes a request, if there is one to be made.
    pub(super) fn ask(&mut self, request: Request) {
        if let Self::OverHttp(own) = self {
            let metas = own.session.metas().to_vec();
            own.pending = Some(own.exchange.ask(request, metas));
        }
    }

    /// Goes on with the backend; ready when something has come of it, with what a request came to,
    /// for [`Talk::heard`].
    pub(super) fn poll(
        &mut self,
        out: &mut Vec<Output>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Heard>> {
        match self {
            Self::Direct(direct) => direct.poll(out, cx).map(|()| None),
            Self::OverHttp(own) => {
                let Some(pending) = &mut own.pending else {
                    return Poll::Pending;
                };
                let heard = pending.as_mut().poll(cx);
                if heard.is_ready() {
                    own.pending = None;
                }
                heard.map(Some)
            }
        }
    }

    /// A request has come to its end; true when it was answered.
    pub(super) fn heard(&mut self, heard: Heard, now: Duration, out: &mut Vec<Output>) -> bool {
        match self {
            Self::Direct(_) => false,
            Self::OverHttp(own) => own.heard(heard, now, out),
        }
    }
}
