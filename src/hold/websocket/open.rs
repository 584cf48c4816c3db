//! The beginning of a WebSocket over HTTP: the backend is asked with an `OPEN` event, and takes the
//! connection, or answers something else, which is the client's answer then.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, header};

use super::{
    Socket,
    exchange::Exchange,
    talk::{OverHttp, Talk},
};
use crate::{
    forward::{Answer, Body, Cause, Collected, Failure, collect},
    grip::{
        instruct::{Header, Mode, Response},
        over_http::{self, Opened, Output, Refusal, Rules, Session},
        ws_events,
    },
    hold::{Client, Context, http_date, notice::Told, packed::Packed, terms::Terms},
    http1::{
        answer::{Answer as Head, Connection, Framing as HeadFraming},
        gate::Version,
    },
    hub::{Ask, Framing, Held},
    socket::ClientSocket,
    websocket::{deflate::Agreed, extension, handshake},
};

/// What became of a WebSocket's handshake.
#[derive(Debug)]
pub enum Knocked {
    /// The backend has taken it.
    Open(Box<Start>),
    /// It has answered something else: that is the client's answer.
    Answer {
        /// The answer, or the beginning of it.
        response: Response,
        /// The rest of a large body.
        rest: Option<Body>,
    },
}

/// A WebSocket that is taken, while its connection is still in front.
#[derive(Debug)]
pub struct Start {
    held: Held<ClientSocket>,
    socket: Socket,
    /// The answer to the handshake.
    opening: Bytes,
}

/// Goes on with a handshake to which the backend has given its first answer over HTTP. `headers`:
/// those of the client's request.
///
/// # Errors
/// The backend's answer cannot be read, or makes no sense.
pub async fn knock(
    first: Answer,
    headers: &HeaderMap,
    client: &Client<'_>,
    context: &Context,
) -> Result<Knocked, Failure> {
    let (asked, obeys) = (first.asked.clone(), first.obeys);
    let fail = |cause| {
        let route = Arc::clone(client.route);
        Failure::logged(cause, asked.clone(), route, client.target, client.debug)
    };
    let exchange = exchange(client, context);
    let mut session = Session::new(rules(client, context));
    let mut out = Vec::new();
    session.start(&mut out);
    let mut collected = collect(first, exchange.limit).await?;
    loop {
        out.clear();
        if collected.rest.is_some() && is_events(&collected.response) {
            let limit = exchange.limit;
            let why = format!("longer than limits.websocket_answer ({limit} bytes)");
            return Err(fail(Cause::Events(why)));
        }
        let answer = over_http::Answer {
            code: collected.response.code,
            headers: &collected.response.headers,
            body: &collected.response.body,
        };
        session.response(&answer, context.holder.now(), &mut out);
        for (at, output) in out.iter().enumerate() {
            match output {
                Output::Open(opened) => {
                    let opened = Opened {
                        grip: opened.grip.clone().filter(|_| obeys),
                        ..opened.clone()
                    };
                    let rest = out.split_off(at + 1);
                    let talk = Talk::OverHttp(Box::new(OverHttp::new(session, exchange)));
                    let start = start(&opened, talk, headers, client, context, rest);
                    return Ok(Knocked::Open(Box::new(start)));
                }
                Output::Reject(Refusal::Relay { headers }) => {
                    return Ok(relay(collected, headers, client, context));
                }
                Output::Reject(Refusal::BadGateway(fault)) => {
                    return Err(fail(Cause::Events(fault.to_string())));
                }
                Output::End(end) => return Err(fail(Cause::Events(end.to_string()))),
                Output::Request(_) | Output::Message(_) | Output::Pong(_) | Output::Close(_) => {}
            }
        }
        collected = again(&mut session, &exchange, context)
            .await
            .ok_or_else(|| fail(Cause::Events("the handshake has failed".into())))?;
    }
}

fn is_events(response: &Response) -> bool {
    response.headers.iter().any(|header| {
        header.name.eq_ignore_ascii_case("Content-Type")
            && header.value.as_ref() == ws_events::CONTENT_TYPE.as_bytes()
    })
}

/// The backend wants to be asked again in a while.
async fn again(session: &mut Session, exchange: &Exchange, context: &Context) -> Option<Collected> {
    loop {
        let due = session.due()?;
        tokio::time::sleep(due.saturating_sub(context.holder.now())).await;
        let mut out = Vec::new();
        session.tick(context.holder.now(), &mut out);
        let request = out.into_iter().find_map(|output| match output {
            Output::Request(request) => Some(request),
            _ => None,
        });
        let Some(request) = request else { continue };
        match exchange.ask(request, session.metas().to_vec()).await {
            Ok(collected) => return Some(collected),
            Err(failure) => session.failed(failure, 0, context.holder.now(), &mut Vec::new()),
        }
    }
}

fn exchange(client: &Client<'_>, context: &Context) -> Exchange {
    Exchange {
        forwarder: std::rc::Rc::clone(&context.forwarder),
        head: Packed::new(client.request),
        addr: client.addr,
        secure: client.secure,
        connection: client.connection,
        limit: context.settings.limits.websocket_answer,
    }
}

fn rules(client: &Client<'_>, context: &Context) -> Rules {
    let target = client.route.targets.get(client.target);
    Rules {
        buffer: context.settings.limits.websocket_message,
        one_event: target.is_some_and(|target| target.one_event),
        keep_alive_min: context.settings.websocket.keep_alive_min,
    }
}

/// The backend's own answer, when it does not take the connection. Most that do not are not meant
/// to be spoken to over HTTP.
fn relay(
    collected: Collected,
    headers: &[Header],
    client: &Client<'_>,
    context: &Context,
) -> Knocked {
    let Collected { response, rest } = collected;
    let target = client.route.targets.get(client.target);
    // The built-in backends are gripd's own: nobody has to set anything right.
    let is_foreign = target.is_some_and(|target| target.over_http);
    let mut response = Response {
        headers: headers.to_vec(),
        ..response
    };
    if is_foreign && !is_refusal(response.code) {
        let sentence = format!(
            "the backend answered {} to a WebSocket over HTTP (over_http) with no WebSocket \
             events: if it speaks WebSocket itself, give that path a line of its own without \
             over_http, such as *,path_beg=/cable HOST:PORT",
            response.code
        );
        context.notices.no_events(client.route, &sentence);
        if client.debug && rest.is_none() {
            append(&mut response, &sentence);
        }
    }
    Knocked::Answer { response, rest }
}

/// Is this what a backend that does speak WebSocket over HTTP says to a client it will not have, or
/// not now?
fn is_refusal(code: u16) -> bool {
    matches!(code, 300..=399 | 401 | 407 | 429 | 500..=599)
}

/// Puts a sentence behind a text; what is no text stays as it is.
fn append(response: &mut Response, sentence: &str) {
    let is_kind = |header: &&Header| header.name.eq_ignore_ascii_case("Content-Type");
    let kind = response.headers.iter().find(is_kind);
    if kind.is_some_and(|kind| !kind.value.to_ascii_lowercase().starts_with(b"text/")) {
        return;
    }
    if kind.is_none() {
        response.headers.push(Header {
            name: "Content-Type".into(),
            value: Bytes::from_static(b"text/plain"),
        });
    }
    let own = response.body.strip_suffix(b"\n").unwrap_or(&response.body);
    let between: &[u8] = if own.is_empty() { b"" } else { b"\n" };
    response.body = [own, between, sentence.as_bytes(), b"\n"].concat().into();
}

/// A WebSocket that the backend has taken: it is subscribed from here on. `first`: what is to be
/// done at once.
pub(super) fn start(
    opened: &Opened,
    talk: Talk,
    headers: &HeaderMap,
    client: &Client<'_>,
    context: &Context,
    first: Vec<Output>,
) -> Start {
    let offers = headers.get_all(header::SEC_WEBSOCKET_EXTENSIONS);
    let offers = extension::parse(offers.iter().filter_map(|value| value.to_str().ok()));
    let compress = context.settings.websocket.compression;
    let deflate = compress
        .then(|| Agreed::negotiate(&offers, false))
        .flatten();
    let framing = match deflate {
        Some(agreed) if agreed.takes(usize::MAX) => Framing::Deflated,
        _ => Framing::Frames,
    };
    let terms = Terms {
        route: Arc::clone(client.route),
        target: client.target,
        home: client.home.clone(),
        framing,
        debug: client.debug,
        connection: client.connection,
    };
    let target = client.route.targets.get(client.target);
    let implicit = target.into_iter().flat_map(|target| &target.subs);
    let channels = implicit.map(|name| (name.clone(), None)).collect();
    let told = Told::begin(Mode::Message, std::iter::empty(), client, context);
    let held = context.holder.hold(Ask {
        mode: Mode::Message,
        framing,
        channels,
        prefix: client.route.prefix.len(),
        timeout: std::time::Duration::ZERO,
        keep_alive: None,
        link: None,
        events: false,
        overflow: terms.overflow(false, &context.settings),
        debug: client.debug,
        connection: client.connection,
    });
    let limit = context.settings.limits.websocket_message;
    Start {
        opening: opening(opened, headers, deflate),
        socket: Socket::new(
            opened.grip.clone(),
            talk,
            terms,
            deflate,
            limit,
            first,
            told,
        ),
        held,
    }
}

/// The answer to the handshake.
fn opening(opened: &Opened, headers: &HeaderMap, agreed: Option<Agreed>) -> Bytes {
    let key = headers.get(header::SEC_WEBSOCKET_KEY);
    let accept = handshake::accept_key(key.map(http::HeaderValue::as_bytes).unwrap_or_default());
    let extensions = agreed.map(|agreed| agreed.to_string());
    let own = [
        ("Upgrade", Some("websocket")),
        ("Sec-WebSocket-Accept", Some(&*accept)),
        ("Sec-WebSocket-Extensions", extensions.as_deref()),
    ];
    let own = own
        .iter()
        .filter_map(|(name, value)| Some((*name, value.as_ref()?.as_bytes())));
    let theirs = opened
        .headers
        .iter()
        .map(|header| (&*header.name, &*header.value));
    let mut out = Vec::with_capacity(512);
    Head {
        version: Version::Http11,
        code: 101,
        reason: "Switching Protocols",
        headers: theirs.chain(own),
        framing: HeadFraming::NoBody,
        connection: Connection::Upgrade,
        date: &http_date(),
    }
    .write(&mut out);
    out.into()
}

impl Start {
    /// Parks the WebSocket: its socket goes to the shard, and the answer to the handshake with it.
    pub fn park(self, wire: ClientSocket, early: &[u8]) -> super::Parked {
        let Self {
            held,
            socket,
            opening,
        } = self;
        held.open(wire, Some(opening));
        super::Parked::new(held, socket, early)
    }
}
