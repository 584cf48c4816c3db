//! A request's headers on their way to the backend: the client's, in their order and spelling,
//! without what concerns one connection only (RFC 9110 section 7.6.1), and with ours behind them.
//!
//! They are handled as a list, since taking one out of a header map moves another to its place.

use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Version,
    header::{
        ACCEPT, CONNECTION, CONTENT_LENGTH, EXPECT, HOST, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
    },
    request,
};

use crate::upstream::Upload;

/// A list of headers.
#[derive(Clone, Debug, Default)]
pub(super) struct Headers(Vec<(HeaderName, HeaderValue)>);

/// How a request's body is framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// The client's own length, if it sent one.
    AsSent,
    /// No body: nothing is said of it.
    None,
    /// The whole is known.
    Length(u64),
}

/// What the client asks for with `Upgrade`, if it does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Upgrade(Option<HeaderValue>);

impl Headers {
    /// The headers of a request.
    pub(super) fn of(headers: HeaderMap) -> Self {
        let mut list = Vec::with_capacity(headers.len() + OURS);
        list.extend(listed(headers));
        Self(list)
    }

    /// Removes all of a name.
    pub(super) fn remove(&mut self, name: &HeaderName) {
        self.0.retain(|(other, _)| other != name);
    }

    /// Keeps those whose name satisfies `test`.
    pub(super) fn retain(&mut self, test: impl Fn(&str) -> bool) {
        self.0.retain(|(name, _)| test(name.as_str()));
    }

    /// Removes all `Grip-*`; spelled with an underscore too, since that is the same to backends
    /// that see headers as environment variables.
    pub(super) fn strip_grip(&mut self) {
        self.0.retain(|(name, _)| {
            let name = name.as_str();
            !name.starts_with("grip-") && !name.starts_with("grip_")
        });
    }

    /// Puts one behind the others, in the place of all of its name.
    pub(super) fn push(&mut self, name: HeaderName, value: HeaderValue) {
        self.remove(&name);
        self.0.push((name, value));
    }

    /// Puts one behind the others, beside those of its name.
    pub(super) fn append(&mut self, name: HeaderName, value: HeaderValue) {
        self.0.push((name, value));
    }

    /// All values of a name, taken apart at commas, without empty ones.
    pub(super) fn list(&self, name: &HeaderName) -> Vec<String> {
        self.0
            .iter()
            .filter(|(other, _)| other == name)
            .flat_map(|(_, value)| tokens(value))
            .map(|token| String::from_utf8_lossy(token).into_owned())
            .collect()
    }

    /// Does the client name event streams among what it accepts?
    pub(super) fn accept_events(&self) -> bool {
        let accepts = self.0.iter().filter(|(name, _)| *name == ACCEPT);
        accepts
            .flat_map(|(_, value)| tokens(value))
            .any(|accepted| {
                let kind = accepted.split(|byte| *byte == b';').next();
                let kind = kind.unwrap_or_default().trim_ascii();
                kind.eq_ignore_ascii_case(b"text/event-stream")
            })
    }

    /// Puts an element at the end of a list, whose elements stay as they came, as one header.
    pub(super) fn add_to_list(&mut self, name: &HeaderName, element: &str) {
        let same = self.0.iter().filter(|(other, _)| other == name);
        let mut list: Vec<&[u8]> = same.map(|(_, value)| value.as_bytes()).collect();
        list.push(element.as_bytes());
        if let Ok(value) = HeaderValue::from_bytes(&list.join(&b", "[..])) {
            self.push(name.clone(), value);
        }
    }

    /// Puts a list behind the others as one header; an empty one only removes.
    pub(super) fn push_list(&mut self, name: &HeaderName, values: &[String]) {
        self.remove(name);
        if let (false, Ok(value)) = (values.is_empty(), HeaderValue::try_from(values.join(", "))) {
            self.0.push((name.clone(), value));
        }
    }

    /// Applies a route's `header` options. Names of framing and routing are not theirs to set.
    pub(super) fn apply_route(&mut self, set: &[(String, String)]) {
        for (name, value) in set {
            let (Ok(name), Ok(value)) = (
                HeaderName::from_bytes(name.as_bytes()),
                HeaderValue::from_str(value),
            ) else {
                tracing::debug!(header = name, "a route's header cannot be sent");
                continue;
            };
            if is_framing(&name) || is_hop_by_hop(&name) {
                continue;
            }
            self.remove(&name);
            if !value.is_empty() {
                self.0.push((name, value));
            }
        }
    }

    /// `orig_headers`: doubles the client's headers under a mark, or removes marked ones.
    pub(super) fn mark_originals(&mut self, wanted: bool, need_mark: &[String]) {
        if !wanted {
            self.retain(|name| !name.starts_with(MARK));
            return;
        }
        let (mut marked, plain): (Vec<_>, Vec<_>) = std::mem::take(&mut self.0)
            .into_iter()
            .partition(|(name, _)| name.as_str().starts_with(MARK));
        self.0 = plain;
        for (name, value) in &self.0 {
            let skip = need_mark
                .iter()
                .any(|other| other.eq_ignore_ascii_case(name.as_str()));
            let doubled = HeaderName::try_from(format!("{MARK}{name}"));
            if let (false, Ok(doubled)) = (skip, doubled) {
                marked.push((doubled, value.clone()));
            }
        }
        self.0.extend(marked);
    }

    /// Removes what concerns the client's connection only, also what its `Connection` names.
    pub(super) fn strip_hop_by_hop(&mut self) {
        let named = self.list(&CONNECTION);
        self.0.retain(|(name, _)| {
            let same = |other: &String| other.eq_ignore_ascii_case(name.as_str());
            // A client that names the framing must not be able to take it away.
            let is_named = named.iter().any(same) && !is_framing(name);
            !is_named && !is_hop_by_hop(name) && *name != EXPECT
        });
    }

    /// Adds our name to `CDN-Loop`, all in one header.
    pub(super) fn add_to_cdn_loop(&mut self, own: &str) {
        if own.is_empty() {
            return;
        }
        let mut seen = self.list(&CDN_LOOP);
        seen.push(own.to_owned());
        self.push_list(&CDN_LOOP, &seen);
    }

    /// The map that goes out: `Host` first, then the list, then what belongs to this connection.
    pub(super) fn build(
        &self,
        host: HeaderValue,
        framing: Framing,
        upgrade: &Upgrade,
        trailers: bool,
    ) -> HeaderMap {
        let mut map = HeaderMap::with_capacity(self.0.len() + 4);
        map.insert(HOST, host);
        for (name, value) in &self.0 {
            if *name == CONTENT_LENGTH {
                match framing {
                    Framing::AsSent => drop(map.insert(CONTENT_LENGTH, value.clone())),
                    Framing::Length(length) => drop(map.insert(CONTENT_LENGTH, length.into())),
                    Framing::None => {}
                }
            } else if *name != HOST {
                map.append(name.clone(), value.clone());
            }
        }
        let options = match (upgrade.is_asked(), trailers) {
            (true, true) => Some("Upgrade, TE"),
            (true, false) => Some("Upgrade"),
            (false, true) => Some("TE"),
            (false, false) => None,
        };
        if let Some(options) = options {
            map.insert(CONNECTION, HeaderValue::from_static(options));
        }
        if let Some(protocol) = &upgrade.0 {
            map.insert(UPGRADE, protocol.clone());
        }
        if trailers {
            map.insert(TE, HeaderValue::from_static("trailers"));
        }
        frame(&mut map, framing);
        map
    }
}

/// Makes sure that a body has exactly one framing.
fn frame(map: &mut HeaderMap, framing: Framing) {
    match framing {
        Framing::None => {}
        Framing::Length(length) => {
            map.insert(CONTENT_LENGTH, length.into());
        }
        Framing::AsSent if map.contains_key(CONTENT_LENGTH) => {}
        Framing::AsSent => {
            map.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        }
    }
}

impl Framing {
    /// The framing of a request: what is known of its body decides.
    pub(super) fn of(method: &Method, upload: &Upload) -> Self {
        match upload.known_len() {
            Some(0) if matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS) => {
                Self::None
            }
            Some(length) => Self::Length(length),
            None => Self::AsSent,
        }
    }
}

impl Upgrade {
    /// What an HTTP/1.1 request asks for: `Upgrade` counts only when `Connection` names it.
    pub(super) fn of(head: &request::Parts) -> Self {
        let asked =
            head.version == Version::HTTP_11 && has_token(&head.headers, &CONNECTION, "upgrade");
        Self(head.headers.get(UPGRADE).filter(|_| asked).cloned())
    }

    /// Is anything asked for?
    pub(super) fn is_asked(&self) -> bool {
        self.0.is_some()
    }

    /// Is it a WebSocket?
    pub(super) fn is_websocket(&self) -> bool {
        self.0
            .iter()
            .flat_map(tokens)
            .any(|protocol| protocol.eq_ignore_ascii_case(b"websocket"))
    }
}

/// Did the client say that it reads trailers?
pub(super) fn accepts_trailers(headers: &HeaderMap) -> bool {
    has_token(headers, &TE, "trailers")
}

/// Does a list header have this word?
pub(super) fn has_token(headers: &HeaderMap, name: &HeaderName, word: &str) -> bool {
    headers
        .get_all(name)
        .iter()
        .flat_map(tokens)
        .any(|other| other.eq_ignore_ascii_case(word.as_bytes()))
}

/// The headers of a map, taken out of it in their order.
pub(super) fn listed(headers: HeaderMap) -> impl Iterator<Item = (HeaderName, HeaderValue)> {
    // The map tells a name once for all its values.
    let repeats = headers.len() > headers.keys_len();
    let mut last = None;
    headers.into_iter().filter_map(move |(name, value)| {
        if repeats && name.is_some() {
            last.clone_from(&name);
        }
        Some((name.or_else(|| last.clone())?, value))
    })
}

/// The members of one list header's value, without empty ones.
pub(super) fn tokens(value: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    let members = value.as_bytes().split(|byte| *byte == b',');
    let members = members.map(<[u8]>::trim_ascii);
    members.filter(|token| !token.is_empty())
}

/// Does this header concern one connection only?
pub(super) fn is_hop_by_hop(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "connection" | "keep-alive" | "proxy-connection" | "te" | "transfer-encoding" | "upgrade"
    )
}

fn is_framing(name: &HeaderName) -> bool {
    *name == CONTENT_LENGTH || *name == HOST || *name == TRAILER
}

const CDN_LOOP: HeaderName = HeaderName::from_static("cdn-loop");
const MARK: &str = "eb9bf0f5-";

/// Room for what is put behind a client's headers.
const OURS: usize = 12;

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(list: &[(&str, &str)]) -> Headers {
        Headers(
            list.iter()
                .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
                .collect(),
        )
    }

    fn shown(headers: &Headers) -> String {
        let lines: Vec<_> = headers
            .0
            .iter()
            .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
            .collect();
        lines.join("\n")
    }

    #[test]
    fn a_routes_headers_replace_and_remove() {
        let mut list = headers(&[
            ("x-del", "zz"),
            ("x-rep", "orig"),
            ("host", "h"),
            ("a", "b"),
        ]);
        // `header=X-Add:v1,header="X-Two: a b",header=X-Del:,header=X-Rep:r1,header=X-Rep:r2`,
        // in the order they are applied.
        let set = [
            ("X-Rep", "r2"),
            ("X-Rep", "r1"),
            ("X-Del", ""),
            ("X-Two", "a b"),
            ("X-Add", "v1"),
            ("Host", "evil"),
            ("Content-Length", "9"),
            ("Transfer-Encoding", "chunked"),
        ];
        list.apply_route(&set.map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert_eq!(
            shown(&list),
            "host: h\na: b\nx-rep: r1\nx-two: a b\nx-add: v1"
        );
    }

    #[test]
    fn hop_by_hop_headers_stay_behind() {
        let mut list = headers(&[
            ("connection", "close, X-Hop, Content-Length"),
            ("x-hop", "1"),
            ("a", "1"),
            ("keep-alive", "3"),
            ("te", "gzip"),
            ("upgrade", "foo"),
            ("content-length", "3"),
            ("proxy-connection", "x"),
            ("transfer-encoding", "chunked"),
            ("expect", "100-continue"),
            ("accept-encoding", "gzip"),
            ("content-encoding", "gzip"),
            ("via", "v"),
            ("x-empty", ""),
        ]);
        list.strip_hop_by_hop();
        assert_eq!(
            shown(&list),
            "a: 1\ncontent-length: 3\naccept-encoding: gzip\ncontent-encoding: gzip\nvia: v\nx-empty: "
        );
    }

    #[test]
    fn cdn_loop_is_one_header() {
        let mut list = headers(&[("cdn-loop", "a, b"), ("x", "y"), ("cdn-loop", "c")]);
        list.add_to_cdn_loop("testcdn");
        assert_eq!(shown(&list), "x: y\ncdn-loop: a, b, c, testcdn");
    }

    #[test]
    fn originals_are_marked_or_marks_removed() {
        let sent = [
            ("x-mark", "m"),
            ("eb9bf0f5-x-mark", "pm"),
            ("x-z", "z"),
            ("connection", "close"),
        ];
        let mut list = headers(&sent);
        list.mark_originals(true, &["X-Mark".to_owned()]);
        assert_eq!(
            shown(&list),
            "x-mark: m\nx-z: z\nconnection: close\neb9bf0f5-x-mark: pm\neb9bf0f5-x-z: z\n\
             eb9bf0f5-connection: close"
        );
        let mut list = headers(&sent);
        list.mark_originals(false, &[]);
        assert_eq!(shown(&list), "x-mark: m\nx-z: z\nconnection: close");
    }

    #[test]
    fn upgrade_counts_only_when_connection_names_it() {
        let ask = |connection: &str, upgrade: &str, version| {
            let request = http::Request::builder()
                .version(version)
                .header("connection", connection)
                .header("upgrade", upgrade);
            Upgrade::of(&request.body(()).unwrap().into_parts().0)
        };
        assert!(ask("keep-alive, Upgrade", "WebSocket", Version::HTTP_11).is_websocket());
        assert!(ask("upgrade", "foo", Version::HTTP_11).is_asked());
        assert!(!ask("upgrade", "foo", Version::HTTP_11).is_websocket());
        assert!(!ask("close", "websocket", Version::HTTP_11).is_asked());
        assert!(!ask("upgrade", "websocket", Version::HTTP_10).is_asked());
    }
}
