//! What a held client's shard is asked for, from an instruct and the client's circumstances; the
//! same at the beginning of a hold, after a retry and after a next link.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;

use super::notice::Notices;
use crate::{
    config::{OnOverflow, Settings},
    forward::{Home, Route},
    grip::{
        connection::ConnectionId,
        delivery::Standing,
        filter::{self, FilterError},
        instruct::{Instruct, Mode, Response},
    },
    hub::{Ask, Framing, Overflow},
};

/// What stays the same for a client as instructs come and go.
#[derive(Clone, Debug)]
pub(super) struct Terms {
    /// The route taken, and the target that answered.
    pub(super) route: Arc<Route>,
    pub(super) target: usize,
    /// Where links and filters start from; `None`: the client's request has no address.
    pub(super) home: Option<Home>,
    pub(super) framing: Framing,
    /// Errors tell the cause.
    pub(super) debug: bool,
    /// By which it can be closed.
    pub(super) connection: ConnectionId,
}

impl Terms {
    /// The route taken, and the target that answered.
    pub(super) fn origin(&self) -> (Arc<Route>, usize) {
        (Arc::clone(&self.route), self.target)
    }

    /// What to ask the shard for. `link`: the next link's time, if there is one.
    pub(super) fn ask<'i>(
        &self,
        instruct: &'i Instruct,
        mode: Mode,
        link: Option<Duration>,
        settings: &Settings,
        notices: &Notices,
    ) -> Ask<'i> {
        Ask {
            mode,
            framing: self.framing,
            channels: self.channels(instruct, settings, notices),
            prefix: self.route.prefix.len(),
            timeout: instruct.timeout,
            keep_alive: instruct.keep_alive.as_ref(),
            link,
            events: is_event_stream(&instruct.response),
            overflow: self.overflow(link.is_some(), settings),
            debug: self.debug,
            connection: self.connection,
        }
    }

    /// What becomes of a slow client. `recovers`: asking its backend again helps it.
    pub(super) fn overflow(&self, recovers: bool, settings: &Settings) -> Overflow {
        match self.route.overflow.unwrap_or(settings.grip.overflow) {
            OnOverflow::Auto if recovers => Overflow::Recover,
            OnOverflow::Auto | OnOverflow::Close => Overflow::Close,
            OnOverflow::Recover => Overflow::Recover,
            OnOverflow::Latest => Overflow::Latest,
        }
    }

    /// Full names of the channels, in order, each once, cut to the most one request may have.
    fn channels(
        &self,
        instruct: &Instruct,
        settings: &Settings,
        notices: &Notices,
    ) -> Vec<(String, Option<Box<Standing>>)> {
        let most = settings.grip.connection_subscription_max;
        if instruct.channels.len() > most {
            notices.cut(&self.route, instruct.channels.len(), most);
        }
        let prefix = &self.route.prefix;
        let meta = Arc::new(instruct.meta.clone());
        let named = instruct.channels.iter().take(most).map(|channel| {
            let standing = Standing::of(channel, &meta, &instruct.response.body);
            (format!("{prefix}{}", channel.name), standing)
        });
        let mut channels: Vec<_> = named.collect();
        let target = self.route.targets.get(self.target);
        for name in target.into_iter().flat_map(|target| &target.subs) {
            let name = format!("{prefix}{name}");
            if !channels.iter().any(|(known, _)| *known == name) {
                channels.push((name, None));
            }
        }
        channels
    }
}

/// Is this the head of a stream of events (HTML, section 9.2)?
pub(super) fn is_event_stream(response: &Response) -> bool {
    response.headers.iter().any(|header| {
        header.name.eq_ignore_ascii_case("content-type")
            && header
                .value
                .to_ascii_lowercase()
                .starts_with(b"text/event-stream")
    })
}

/// What the response filters of an instruct make of a body.
pub(super) fn filtered(instruct: &Instruct, body: &Bytes) -> Result<Bytes, FilterError> {
    filter::response_content(&instruct.channels, &instruct.meta, body)
}

/// A channel with `prev-id` in a stream that has no next link: a gap could never be filled.
pub(super) fn unanswerable(instruct: &Instruct) -> Option<&str> {
    if instruct.links.next.is_some() {
        return None;
    }
    let mut channels = instruct.channels.iter();
    let behind = channels.find(|channel| channel.prev_id.is_some())?;
    Some(&behind.name)
}

/// What a debug client is told of it.
pub(super) fn no_link(channel: &str) -> String {
    format!("channel '{channel}' specifies prev-id, but no next link found")
}
