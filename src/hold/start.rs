//! The beginning of a hold: from an instruct to a subscribed request, ready to be parked.

use std::{
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use tokio::net::TcpStream;

use super::{
    answer,
    notice::{Notices, Told},
    session::Ending,
};
use crate::{
    config::Settings,
    grip::{
        delivery::bare::Standing,
        instruct::{Header, Instruct, Mode, Response},
    },
    http1::gate::Version,
    hub::{Ask, Framing, Held, Holder},
    telemetry::limit::Every,
};

/// What a hold needs of its thread.
#[derive(Debug)]
pub struct Context {
    /// The thread's shard.
    pub holder: Rc<Holder<TcpStream>>,
    /// The settings in force.
    pub settings: Arc<Settings>,
    /// What was said already.
    pub notices: Arc<Notices>,
}

/// What a hold needs to know of the client's request.
#[derive(Clone, Copy, Debug)]
pub struct Client<'a> {
    /// The request's version: decides the framing.
    pub version: Version,
    /// The client may send another request when this one is over.
    pub keep_alive: bool,
    /// The request was a `HEAD`: it is never held.
    pub head: bool,
    /// The route's name, for the log.
    pub route: &'a str,
    /// Put before every channel name (route option `prefix`).
    pub prefix: &'a str,
    /// Channels that the target adds (target option `sub`), without prefix.
    pub implicit: &'a [String],
    /// Errors tell the cause.
    pub debug: bool,
}

/// What an instruct comes to.
#[derive(Debug)]
pub enum Begun {
    /// No hold, or none that lasts: this goes out at once.
    Answer(Response),
    /// The request is held.
    Held(Start),
}

/// A subscribed request whose connection is still in front.
#[derive(Debug)]
pub struct Start {
    pub(super) held: Held<TcpStream>,
    pub(super) ending: Ending,
    pub(super) told: Option<Box<Told>>,
    /// A stream's response; its body is what is sent first.
    pub response: Option<Response>,
    framing: Framing,
    keep_alive: bool,
}

/// Acts on an instruct. From here on the request is subscribed.
pub fn begin(instruct: Instruct, client: &Client<'_>, context: &Context) -> Begun {
    context.notices.tell(&instruct, client.route);
    let Some(mode) = instruct
        .hold
        .filter(|_| !client.head && allows_body(&instruct.response))
    else {
        return Begun::Answer(instruct.response);
    };
    if mode == Mode::Stream
        && let Some(channel) = unanswerable(&instruct)
    {
        return Begun::Answer(without_link(&channel, instruct.response, client.debug));
    }
    let framing = match client.version {
        Version::Http10 => Framing::Bare,
        Version::Http11 => Framing::Chunked,
    };
    let most = context.settings.grip.connection_subscription_max;
    if instruct.channels.len() > most {
        context
            .notices
            .cut(client.route, instruct.channels.len(), most);
    }
    let channels = channels(&instruct, client, most);
    let told = Told::begin(mode, &channels, client.route);
    let held = context.holder.hold(&Ask {
        mode,
        framing,
        channels: &channels,
        timeout: instruct.timeout,
        keep_alive: instruct.keep_alive.as_ref(),
    });
    let keep_alive = client.keep_alive;
    let (ending, response) = match mode {
        Mode::Response => (Ending::long_poll(instruct.response, client), None),
        Mode::Stream => (
            Ending::stream(keep_alive && framing == Framing::Chunked),
            Some(instruct.response),
        ),
    };
    Begun::Held(Start {
        held,
        ending,
        told,
        response,
        framing,
        keep_alive,
    })
}

impl Start {
    /// A stream's head and first body piece, as they go out before anything else; `None` for a
    /// long-poll, which says nothing until it is answered.
    pub(super) fn opening(&mut self) -> Option<Bytes> {
        let response = self.response.take()?;
        Some(answer::opening(
            &sse(response),
            self.framing,
            self.keep_alive,
        ))
    }

    /// The head of a stream whose body is too large to be kept: front writes it and streams the
    /// body before the connection is parked.
    pub fn large_head(&mut self) -> Option<Response> {
        self.response.take().map(sse)
    }
}

/// Full names of the channels, in order, each once, cut to the most one request may have.
fn channels(instruct: &Instruct, client: &Client<'_>, most: usize) -> Vec<(String, Standing)> {
    let named = instruct.channels.iter().take(most);
    let mut channels: Vec<(String, Standing)> = named
        .map(|channel| {
            (
                format!("{}{}", client.prefix, channel.name),
                Standing::of(channel),
            )
        })
        .collect();
    for name in client.implicit {
        let name = format!("{}{name}", client.prefix);
        if !channels.iter().any(|(known, _)| *known == name) {
            channels.push((name, Standing::default()));
        }
    }
    channels
}

/// A channel with `prev-id` in a stream that has no next link: a gap could never be filled.
fn unanswerable(instruct: &Instruct) -> Option<String> {
    let mut behind = instruct
        .channels
        .iter()
        .filter(|channel| channel.prev_id.is_some());
    let channel = behind.next().filter(|_| instruct.links.next.is_none())?;
    Some(channel.name.clone())
}

fn without_link(channel: &str, mut response: Response, debug: bool) -> Response {
    if let Some(left_out) = NO_LINK.hit(Instant::now()) {
        tracing::warn!(
            channel,
            left_out = (left_out > 0).then_some(left_out),
            "a channel specifies prev-id, but there is no next link: stream ended"
        );
    }
    if debug {
        let mut body = response.body.to_vec();
        body.extend_from_slice(
            format!("\n\nchannel '{channel}' specifies prev-id, but no next link found\n")
                .as_bytes(),
        );
        response.body = body.into();
    }
    response
}

/// 204 and 304 have no body, so there is nothing to hold (RFC 9110 section 6.4.1).
fn allows_body(response: &Response) -> bool {
    !matches!(response.code, 204 | 304)
}

/// Tells proxies in front not to buffer or cache an event stream, unless the backend spoke of it.
fn sse(mut response: Response) -> Response {
    let has = |name: &str| {
        response
            .headers
            .iter()
            .any(|header| header.name.eq_ignore_ascii_case(name))
    };
    let is_sse = response.headers.iter().any(|header| {
        header.name.eq_ignore_ascii_case("content-type")
            && header
                .value
                .to_ascii_lowercase()
                .starts_with(b"text/event-stream")
    });
    if is_sse {
        let (buffering, caching) = (has("x-accel-buffering"), has("cache-control"));
        let mut add = |name: &str, value: &'static str| {
            response.headers.push(Header {
                name: name.into(),
                value: Bytes::from_static(value.as_bytes()),
            });
        };
        if !buffering {
            add("X-Accel-Buffering", "no");
        }
        if !caching {
            add("Cache-Control", "no-store");
        }
    }
    response
}

/// Such a stream's client comes back at once, and so would the warning.
static NO_LINK: Every = Every::new(Duration::from_secs(1));
