//! The built-in backend for when nothing is configured: a page that is itself live, and what it
//! needs. `/stream`, `/response` and `/ws` are those of the `test` backend; `POST /publish` reaches the
//! channel `test` and no other. Not here: how an item is published, which whoever builds this says.

use std::{borrow::Cow, fmt, pin::Pin, rc::Rc};

use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, StatusCode,
    header::{self, HOST, ORIGIN},
    request, response,
};

use super::{
    Body, Upload,
    test_target::{self, decoded, plain},
};
use crate::grip::{
    format::{
        Formats, MessageFormat, MessageKind, ResponseBody, ResponseContent, ResponseFormat,
        StreamFormat,
    },
    item::Item,
};

/// Publishes an item. One per thread, so it need not be `Send`.
pub type Publish = Rc<dyn Fn(Item) -> Publishing>;

/// How many subscriptions the item met, or a sentence that tells why it was not published.
pub type Publishing = Pin<Box<dyn Future<Output = Result<usize, String>>>>;

/// The welcome backend.
pub struct Welcome {
    page: Bytes,
    policy: HeaderValue,
    publish: Publish,
}

impl Welcome {
    /// The backend with its page. `clients` and `control`: the addresses to show, as URLs. `curl`:
    /// what that program needs to reach the publish of the second.
    pub fn new(clients: &str, control: &str, curl: &str, publish: Publish) -> Self {
        let page = PAGE
            .replace("{{version}}", env!("CARGO_PKG_VERSION"))
            .replace("{{clients}}", clients)
            .replace("{{control}}", control)
            .replace("{{curl}}", curl);
        Self {
            policy: policy(&page),
            page: page.into(),
            publish,
        }
    }

    /// Answers a request.
    pub async fn answer(&self, asked: &request::Parts, upload: &Upload) -> (response::Parts, Body) {
        let path = asked.uri.path();
        match (path.strip_suffix('/').unwrap_or(path), &asked.method) {
            ("", &Method::GET | &Method::HEAD) => self.page(),
            ("", _) => not_allowed("GET, HEAD"),
            ("/publish", &Method::POST) => self.take(&asked.headers, upload).await,
            ("/publish", _) => not_allowed("POST"),
            ("/ws", _) if is_of_other_origin(&asked.headers) => {
                plain(StatusCode::FORBIDDEN, FOREIGN)
            }
            ("/response" | "/stream" | "/ws", _) => {
                test_target::answer(path, asked.uri.query(), &asked.headers, upload).await
            }
            _ => plain(StatusCode::NOT_FOUND, NOT_FOUND),
        }
    }

    fn page(&self) -> (response::Parts, Body) {
        let (mut head, body) = plain(StatusCode::OK, self.page.clone());
        for (name, value) in [
            (header::CACHE_CONTROL, "no-store"),
            (header::CONTENT_TYPE, "text/html; charset=utf-8"),
            (header::REFERRER_POLICY, "no-referrer"),
        ] {
            head.headers.insert(name, HeaderValue::from_static(value));
        }
        let policy = self.policy.clone();
        head.headers.insert(header::CONTENT_SECURITY_POLICY, policy);
        (head, body)
    }

    /// Publishes the message of a request's body.
    async fn take(&self, headers: &HeaderMap, upload: &Upload) -> (response::Parts, Body) {
        if is_foreign(headers) {
            return plain(StatusCode::FORBIDDEN, FOREIGN);
        }
        let body = upload.finish().await.ok().and_then(|()| upload.kept());
        let Some(body) = body.filter(|body| body.len() <= MOST) else {
            return plain(StatusCode::PAYLOAD_TOO_LARGE, TOO_LARGE);
        };
        let message = message(&body);
        if message.is_empty() {
            return plain(StatusCode::BAD_REQUEST, EMPTY);
        }
        match (self.publish)(item(&message)).await {
            Ok(count) => {
                let text = format!("{{\"channel\":\"{CHANNEL}\",\"connections\":{count}}}\n");
                let (mut head, body) = plain(StatusCode::OK, text);
                let json = HeaderValue::from_static("application/json");
                head.headers.insert(header::CONTENT_TYPE, json);
                (head, body)
            }
            Err(why) => plain(StatusCode::SERVICE_UNAVAILABLE, why + "\n"),
        }
    }
}

impl fmt::Debug for Welcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Welcome")
    }
}

/// Nothing from elsewhere, and of what is written in the page only its one script and its one
/// style, by their hashes.
fn policy(page: &str) -> HeaderValue {
    let hash = |tag: &str| {
        let text = page
            .split_once(&format!("<{tag}>"))
            .and_then(|(_, rest)| rest.split_once(&format!("</{tag}>")))
            .map_or("", |(text, _)| text);
        STANDARD.encode(digest(&SHA256, text.as_bytes()))
    };
    let policy = format!(
        "default-src 'none'; connect-src 'self'; form-action 'self'; img-src data:; \
         base-uri 'none'; frame-ancestors 'none'; script-src 'sha256-{}'; style-src 'sha256-{}'",
        hash("script"),
        hash("style")
    );
    HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static("default-src 'none'"))
}

fn not_allowed(allow: &'static str) -> (response::Parts, Body) {
    let text = format!("Method not allowed here; allowed: {allow}.\n");
    let (mut head, body) = plain(StatusCode::METHOD_NOT_ALLOWED, text);
    let allow = HeaderValue::from_static(allow);
    head.headers.insert(header::ALLOW, allow);
    (head, body)
}

/// Did a page of another site make this request? A browser says so by headers that a page cannot
/// forge; programs send neither.
fn is_foreign(headers: &HeaderMap) -> bool {
    let own_site = |site: &HeaderValue| site == "same-origin" || site == "none";
    is_of_other_origin(headers) || !headers.get_all(SEC_FETCH_SITE).iter().all(own_site)
}

/// The same by the origin alone, which every browser tells of every WebSocket.
fn is_of_other_origin(headers: &HeaderMap) -> bool {
    let host = headers.get(HOST).map(HeaderValue::as_bytes);
    let own_origin = |origin: &HeaderValue| {
        let origin = origin.as_bytes();
        let own = [&b"http://"[..], b"https://"]
            .into_iter()
            .find_map(|scheme| origin.strip_prefix(scheme));
        own.is_some_and(|own| host.is_some_and(|host| own.eq_ignore_ascii_case(host)))
    };
    !headers.get_all(ORIGIN).iter().all(own_origin)
}

/// The text of a body: its form field `message`, else all of it. `curl -d` calls any text a form,
/// so the type of the body says nothing.
fn message(body: &[u8]) -> Cow<'_, [u8]> {
    match std::str::from_utf8(body).map(|text| text.strip_prefix("message=")) {
        Ok(Some(field)) => decoded(field).into(),
        _ => body.into(),
    }
}

/// A message for all who wait: a line of a stream, the answer of a long-poll, a message of a
/// WebSocket.
fn item(message: &[u8]) -> Item {
    // A text that is not UTF-8 would cost a browser its connection.
    let kind = match std::str::from_utf8(message) {
        Ok(_) => MessageKind::Text,
        Err(_) => MessageKind::Binary,
    };
    let line = Bytes::from([message, b"\n"].concat());
    Item {
        channels: vec![CHANNEL.into()],
        formats: Formats {
            response: Some(ResponseFormat::Send(ResponseContent {
                code: 200,
                reason: None,
                headers: Vec::new(),
                body: ResponseBody::Bytes(line.clone()),
                content_filters: None,
            })),
            stream: Some(StreamFormat::Send {
                content: line,
                content_filters: None,
            }),
            message: Some(MessageFormat::Send {
                kind,
                content: Bytes::copy_from_slice(message),
                content_filters: None,
            }),
        },
        ..Item::default()
    }
}

const CHANNEL: &str = "test";

const PAGE: &str = include_str!("welcome.html");

/// Most bytes of a message.
const MOST: usize = 4096;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

const EMPTY: &str = "There is no message: send some text.\n";
const FOREIGN: &str = "Pages of other sites may not publish or listen here.\n";
const TOO_LARGE: &str = "The message is too long: at most 4096 bytes.\n";
const NOT_FOUND: &str = "Nothing is here. gripd has no routes and serves its welcome page: /, \
                         /stream, /response, /ws and POST /publish.\n";

#[cfg(test)]
mod tests;
