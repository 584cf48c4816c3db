//! The request that a command line describes, as it would come from a client.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, Uri, header, request};
use http_body_util::Full;

use crate::forward::Upload;

/// A request, checked for what a command line can get wrong. Whether gripd would take it is for the
/// gate to say.
#[derive(Debug)]
pub(super) struct Asked {
    /// Over TLS.
    pub(super) secure: bool,
    method: Method,
    target: Uri,
    headers: Vec<(HeaderName, HeaderValue, String)>,
}

impl Asked {
    /// Reads method, URL and header lines.
    ///
    /// # Errors
    /// One of them cannot be in a request; the sentence names it.
    pub(super) fn read(words: &[String], headers: &[String]) -> Result<Self, String> {
        let (method, url) = match words {
            [url] => ("GET", url),
            [method, url, ..] => (&**method, url),
            [] => return Err(format!("no URL; {ALLOWED}")),
        };
        let method = Method::from_bytes(method.as_bytes())
            .map_err(|_| format!("{method:?} is no method; allowed: GET, POST, …, then the URL"))?;
        let place = Place::of(url)?;
        let mut asked = Self {
            secure: place.secure,
            method,
            target: place.target,
            headers: Vec::new(),
        };
        for line in headers {
            asked.add(line)?;
        }
        if !place.authority.is_empty() {
            asked.complete("Host", &place.authority)?;
        } else if !asked.has(&header::HOST) {
            asked.complete("Host", "localhost")?;
        }
        if place.websocket {
            for (name, value) in HANDSHAKE {
                asked.complete(name, value)?;
            }
        }
        Ok(asked)
    }

    /// The head as a client sends it.
    pub(super) fn head(&self) -> String {
        let mut lines = vec![format!("{} {} HTTP/1.1", self.method, self.target)];
        for (_, value, name) in &self.headers {
            lines.push(format!(
                "{name}: {}",
                String::from_utf8_lossy(value.as_bytes())
            ));
        }
        lines.join("\r\n") + "\r\n\r\n"
    }

    /// The same as `forward` gets it.
    pub(super) fn parts(&self) -> request::Parts {
        let (mut parts, ()) = Request::new(()).into_parts();
        parts.method = self.method.clone();
        parts.uri = self.target.clone();
        for (name, value, _) in &self.headers {
            parts.headers.append(name.clone(), value.clone());
        }
        parts
    }

    /// Do the headers say that there is a body?
    pub(super) fn has_body(&self) -> bool {
        let length = self.values(&header::CONTENT_LENGTH).next();
        length.is_some_and(|length| length != "0") || self.has(&header::TRANSFER_ENCODING)
    }

    /// A body still to come, if there is one.
    pub(super) fn upload(&self) -> Upload {
        if self.has_body() {
            Upload::new(Full::new(Bytes::from_static(b"x")), 0)
        } else {
            Upload::of(&Bytes::new())
        }
    }

    /// A name as the client spells it.
    pub(super) fn spelled(&self, name: &HeaderName) -> Option<&str> {
        let same = self.headers.iter().find(|(other, ..)| other == name);
        same.map(|(.., spelled)| &**spelled)
    }

    /// The values of a header.
    pub(super) fn values(&self, name: &HeaderName) -> impl Iterator<Item = &HeaderValue> {
        let same = self.headers.iter().filter(move |(other, ..)| other == name);
        same.map(|(_, value, _)| value)
    }

    fn has(&self, name: &HeaderName) -> bool {
        self.values(name).next().is_some()
    }

    /// Adds a header, unless the client says otherwise.
    fn complete(&mut self, name: &str, value: &str) -> Result<(), String> {
        let is_there = self
            .headers
            .iter()
            .any(|(.., other)| other.eq_ignore_ascii_case(name));
        if is_there {
            return Ok(());
        }
        self.add(&format!("{name}: {value}"))
    }

    fn add(&mut self, line: &str) -> Result<(), String> {
        let wrong = || format!("--header {line:?}; allowed: NAME: VALUE");
        let (name, value) = line.split_once(':').ok_or_else(wrong)?;
        let header = HeaderName::from_bytes(name.as_bytes()).map_err(|_| wrong())?;
        let value = HeaderValue::from_str(value.trim()).map_err(|_| wrong())?;
        self.headers.push((header, value, name.to_owned()));
        Ok(())
    }
}

/// What a URL says.
struct Place {
    secure: bool,
    websocket: bool,
    authority: String,
    target: Uri,
}

impl Place {
    fn of(url: &str) -> Result<Self, String> {
        let wrong = || format!("{url:?} is no URL of a request; {ALLOWED}");
        let url = url.split('#').next().unwrap_or_default();
        let uri: Uri = url.parse().map_err(|_| wrong())?;
        let (secure, websocket) = match uri.scheme_str() {
            None if url.starts_with('/') || url == "*" => (false, false),
            Some("http") => (false, false),
            Some("https") => (true, false),
            Some("ws") => (false, true),
            Some("wss") => (true, true),
            _ => return Err(wrong()),
        };
        let target = uri.path_and_query().map_or("/", |target| target.as_str());
        Ok(Self {
            secure,
            websocket,
            authority: uri.authority().map(ToString::to_string).unwrap_or_default(),
            target: target.parse().map_err(|_| wrong())?,
        })
    }
}

const ALLOWED: &str = "allowed: http://HOST/PATH, https, ws or wss, or /PATH, percent-encoded";

/// What makes a request a WebSocket's.
const HANDSHAKE: [(&str, &str); 4] = [
    ("Connection", "Upgrade"),
    ("Upgrade", "websocket"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
];
