//! The beginning of a hold: from an instruct to a subscribed request, ready to be parked.

use std::{
    net::IpAddr,
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;

use super::{
    answer, dress,
    gone::{Gone, Teller},
    link::Follower,
    notice::{Notices, Told},
    packed::Packed,
    request,
    session::{Ending, Paused},
    terms::{Terms, filtered, is_event_stream, no_link, unanswerable},
};
use crate::{
    config::Settings,
    forward::{CrossOrigin, Forwarder, Home, Location, Route},
    grip::{
        connection::ConnectionId,
        filter::{Filter, FilterError},
        instruct::{Header, Instruct, Mode, Response},
    },
    http1::gate::Version,
    hub::{Framing, Held, Holder},
    socket::ClientSocket,
    telemetry::limit::Every,
};

/// What a hold needs of its thread.
#[derive(Debug)]
pub struct Context {
    /// The thread's shard.
    pub holder: Rc<Holder<ClientSocket>>,
    /// The settings in force.
    pub settings: Arc<Settings>,
    /// What was said already.
    pub notices: Arc<Notices>,
    /// Brings what is asked again to backends.
    pub forwarder: Rc<Forwarder>,
    /// Tells backends of clients that have gone.
    pub teller: Rc<Teller>,
}

/// What a hold needs to know of the client's request.
#[derive(Clone, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts of one request"
)]
pub struct Client<'a> {
    /// The request's version, which decides the framing; `None`: HTTP/2, which frames by itself.
    pub version: Option<Version>,
    /// The client may send another request when this one is over.
    pub keep_alive: bool,
    /// The request was a `HEAD`: it is never held.
    pub head: bool,
    /// What its answer needs to be read by a page of another site.
    pub cross_origin: Option<&'a CrossOrigin>,
    /// The route taken.
    pub route: &'a Arc<Route>,
    /// Index of the target that answered.
    pub target: usize,
    /// Where links and filters start from.
    pub home: Option<Home>,
    /// Errors tell the cause.
    pub debug: bool,
    /// By which it can be closed.
    pub connection: ConnectionId,
    /// Its address.
    pub addr: Option<IpAddr>,
    /// It came over TLS.
    pub secure: bool,
    /// The client that other proxies name, if the log tells of it.
    pub from: Option<IpAddr>,
    /// The request's head, as it came.
    pub request: &'a [u8],
    /// Its body.
    pub body: &'a [u8],
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
    pub(super) held: Held<ClientSocket>,
    pub(super) ending: Ending,
    pub(super) told: Option<Told>,
    /// A stream's response; its body is what is sent first.
    response: Option<Response>,
    framing: Framing,
    keep_alive: bool,
}

/// What the client gets on the way of an instruct.
enum Way {
    /// The response, at once.
    Answer,
    /// A hold.
    Hold(Mode),
    /// The response, and what the next link has, at once.
    Follow,
}

/// Acts on an instruct. From here on the request is subscribed. `paused`: it was held before, and
/// this is what came of asking again.
///
/// # Errors
/// A filter of the instruct cannot be applied to its own body.
pub fn begin(
    mut instruct: Instruct,
    client: &Client<'_>,
    paused: Option<Paused>,
    context: &Context,
) -> Result<Begun, FilterError> {
    context.notices.tell(&instruct, client.route);
    let next = next_link(&mut instruct, client.home.as_ref());
    let way = way(&instruct, client);
    if !matches!(way, Way::Hold(Mode::Response)) {
        instruct.response.body = filtered(&instruct, &instruct.response.body)?;
    }
    let mode = match way {
        Way::Answer => return Ok(Begun::Answer(instruct.response)),
        Way::Hold(mode) => mode,
        Way::Follow => Mode::Stream,
    };
    if mode == Mode::Stream
        && let Some(channel) = unanswerable(&instruct)
    {
        let text = no_link(channel);
        return Ok(Begun::Answer(without_link(
            &text,
            instruct.response,
            client.debug,
        )));
    }
    let follow = next.filter(|_| mode == Mode::Stream);
    Ok(Begun::Held(hold(
        instruct, mode, follow, client, paused, context,
    )))
}

/// Where the next link leads. One that leads nowhere is none from now on.
fn next_link(instruct: &mut Instruct, home: Option<&Home>) -> Option<Location> {
    let link = instruct.links.next.take()?;
    match home?.url.join(&link.uri) {
        Ok(next) => {
            instruct.links.next = Some(link);
            Some(next)
        }
        Err(error) => {
            if let Some(left_out) = BAD_LINK.hit(Instant::now()) {
                let left_out = (left_out > 0).then_some(left_out);
                tracing::warn!(left_out, %error, "a next link that cannot be followed");
            }
            None
        }
    }
}

fn way(instruct: &Instruct, client: &Client<'_>) -> Way {
    // 204 and 304 have no body to go on with (RFC 9110 section 6.4.1). A long-poll may end so.
    let has_body = !client.head && !matches!(instruct.response.code, 204 | 304);
    match instruct.hold {
        Some(Mode::Response) if !client.head => Way::Hold(Mode::Response),
        Some(mode) if has_body => Way::Hold(mode),
        None if has_body && instruct.links.next.is_some() => Way::Follow,
        Some(_) | None => Way::Answer,
    }
}

/// Subscribes the request.
fn hold(
    instruct: Instruct,
    mode: Mode,
    next: Option<Location>,
    client: &Client<'_>,
    paused: Option<Paused>,
    context: &Context,
) -> Start {
    let framing = framing(client);
    let terms = Terms {
        route: Arc::clone(client.route),
        target: client.target,
        home: client.home.clone(),
        framing,
        debug: client.debug,
        connection: client.connection,
    };
    let follower = follower(next, &instruct, &terms);
    let link = follower.as_ref().and(instruct.links.next.as_ref());
    let link = link.map(|link| link.timeout);
    let ask = terms.ask(&instruct, mode, link, &context.settings, &context.notices);
    let names = ask.channels.iter().map(|(name, _)| &**name);
    let told = Told::begin(mode, names, client, context);
    let (held, gone) = match paused {
        None => (context.holder.hold(ask), None),
        Some(Paused { held, gone, .. }) => {
            held.resume(ask);
            (held, gone)
        }
    };
    if follower.as_ref().is_some_and(|follower| follower.at_once) {
        held.pause();
    }
    let gone = gone.or_else(|| gone_link(&instruct, &terms, context));
    let keep_alive = client.keep_alive;
    let (ending, response) = match mode {
        Mode::Response => {
            let kept = Packed::new(&request::kept(client.request, client.body));
            let ending = Ending::long_poll(instruct.response, client, terms, kept, gone);
            (ending, None)
        }
        Mode::Stream | Mode::Message => {
            let goes_on = keep_alive && !framing.is_bare();
            let ending = Ending::stream(&instruct, goes_on, follower, terms, gone);
            (ending, Some(instruct.response))
        }
    };
    Start {
        held,
        ending,
        told,
        response,
        framing,
        keep_alive,
    }
}

fn framing(client: &Client<'_>) -> Framing {
    let chunked = client.version == Some(Version::Http11);
    match client.cross_origin.and_then(CrossOrigin::call) {
        Some(call) => Framing::Script {
            mode: call.mode(),
            chunked,
        },
        None if chunked => Framing::Chunked,
        None => Framing::Bare,
    }
}

/// May a filter of this instruct ask the backend?
pub(super) fn asks(instruct: &Instruct) -> bool {
    let filters = instruct
        .channels
        .iter()
        .flat_map(|channel| &channel.filters);
    let mut known = filters.filter_map(|name| Filter::parse(name));
    known.any(|filter| matches!(filter, Filter::HttpCheck | Filter::HttpModify))
}

/// What a stream with a next link keeps for it.
fn follower(next: Option<Location>, instruct: &Instruct, terms: &Terms) -> Option<Box<Follower>> {
    Some(Box::new(Follower {
        terms: terms.clone(),
        home: terms.home.clone()?,
        next: next?,
        at_once: instruct.hold.is_none(),
    }))
}

fn gone_link(instruct: &Instruct, terms: &Terms, context: &Context) -> Option<Gone> {
    let (link, home) = (instruct.links.gone.as_ref()?, terms.home.as_ref()?);
    let url = home.url.join(link).ok()?;
    Some(context.teller.gone(home, url))
}

impl Start {
    /// Status of a stream's response; a long-poll has none yet.
    pub fn status(&self) -> Option<u16> {
        Some(self.response.as_ref()?.code)
    }

    /// Makes a stream's response fit for a page of another site.
    pub fn dress(&mut self, cross_origin: &CrossOrigin) {
        let response = self.response.take();
        self.response = response.map(|one| dress::opening(sse(one), cross_origin));
    }

    /// A stream's head and first body piece, as they go out over HTTP/1 before anything else; `None`
    /// for a long-poll, which says nothing until it is answered, and where front has written the head.
    pub fn opening(&mut self) -> Option<Bytes> {
        let response = sse(self.response.take()?);
        Some(answer::opening(&response, self.framing, self.keep_alive))
    }

    /// A stream's response, for front to write: over HTTP/2, and where the body is too large to be
    /// kept and streamed before the connection is parked. `None` for a long-poll.
    pub fn response(&mut self) -> Option<Response> {
        self.response.take().map(sse)
    }
}

fn without_link(text: &str, mut response: Response, debug: bool) -> Response {
    if let Some(left_out) = NO_LINK.hit(Instant::now()) {
        tracing::warn!(
            left_out = (left_out > 0).then_some(left_out),
            "stream ended: {text}"
        );
    }
    if debug {
        let mut body = response.body.to_vec();
        body.extend_from_slice(format!("\n\n{text}\n").as_bytes());
        response.body = body.into();
    }
    response
}

/// Tells proxies in front not to buffer or cache an event stream, unless the backend spoke of it.
fn sse(mut response: Response) -> Response {
    let has = |name: &str| {
        response
            .headers
            .iter()
            .any(|header| header.name.eq_ignore_ascii_case(name))
    };
    if is_event_stream(&response) {
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
static BAD_LINK: Every = Every::new(Duration::from_secs(1));
