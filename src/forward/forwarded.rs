//! What the backend is told about the client: `X-Forwarded-Proto`, `X-Forwarded-For`.

use std::net::IpAddr;

use http::{HeaderMap, HeaderName, HeaderValue};

use super::headers::Headers;
use crate::config::{ForwardedFor, Proxy, SetForwardedProtocol};

/// Does the request count as TLS: by its connection, or by what the client claims, if that is
/// believed?
pub(super) fn is_secure(proxy: &Proxy, secure: bool, headers: &HeaderMap) -> bool {
    let claim = headers.get(PROTO).or_else(|| headers.get(PROTOCOL));
    let claimed = claim.is_some_and(|claim| matches!(claim.as_bytes(), b"https" | b"wss"));
    secure || (proxy.accept_x_forwarded_protocol && claimed)
}

/// Tells the client's protocol by the settings' rules.
pub(super) fn protocol(headers: &mut Headers, proxy: &Proxy, secure: bool, websocket: bool) {
    let set = proxy.set_x_forwarded_protocol;
    if proxy.accept_x_forwarded_protocol || set != SetForwardedProtocol::Off {
        headers.remove(PROTO);
        headers.remove(PROTOCOL);
    }
    let scheme = HeaderValue::from_static(if websocket { "wss" } else { "https" });
    if secure && set != SetForwardedProtocol::Off {
        headers.push(PROTO, scheme.clone());
    }
    if secure && set == SetForwardedProtocol::Both {
        headers.push(PROTOCOL, scheme);
    }
}

/// Tells the client's address by a rule.
pub(super) fn addresses(headers: &mut Headers, rule: ForwardedFor, client: Option<IpAddr>) {
    let mut seen = headers.list(FOR);
    if let Some(most) = rule.truncate {
        seen.drain(..seen.len().saturating_sub(most));
    }
    if let (true, Some(client)) = (rule.append, client) {
        seen.push(client.to_canonical().to_string());
    }
    headers.push_list(&FOR, &seen);
}

const PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const PROTOCOL: HeaderName = HeaderName::from_static("x-forwarded-protocol");
const FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

#[cfg(test)]
mod tests {
    use SetForwardedProtocol::{Both, Off, ProtoOnly};

    use super::*;

    fn map(list: &[(HeaderName, &'static str)]) -> HeaderMap {
        list.iter()
            .map(|(name, value)| (name.clone(), HeaderValue::from_static(value)))
            .fold(HeaderMap::new(), |mut map, (name, value)| {
                map.append(name, value);
                map
            })
    }

    fn told(proxy: &Proxy, sent: &HeaderMap, client: Option<&str>) -> [String; 3] {
        let secure = is_secure(proxy, false, sent);
        let mut headers = Headers::of(sent);
        let client = client.map(|ip| ip.parse().unwrap());
        protocol(&mut headers, proxy, secure, false);
        addresses(&mut headers, proxy.x_forwarded_for, client);
        [PROTO, PROTOCOL, FOR].map(|name| headers.list(name).join(", "))
    }

    #[test]
    fn forwarded_headers_follow_the_rules() {
        let proxy = |truncate, append, set, accept| Proxy {
            x_forwarded_for: ForwardedFor { truncate, append },
            set_x_forwarded_protocol: set,
            accept_x_forwarded_protocol: accept,
            ..Proxy::default()
        };
        let three = [
            (FOR, "1.1.1.1, 2.2.2.2"),
            (FOR, "3.3.3.3"),
            (PROTO, "https"),
        ];
        let loud = [(PROTO, "HTTPS")];
        let me = Some("127.0.0.1");
        let table: [(Proxy, &[_], Option<&str>, [&str; 3]); 6] = [
            (
                proxy(Some(2), true, Both, true),
                &three,
                me,
                ["https", "https", "2.2.2.2, 3.3.3.3, 127.0.0.1"],
            ),
            (
                proxy(None, true, ProtoOnly, true),
                &loud,
                me,
                ["", "", "127.0.0.1"],
            ),
            (
                proxy(None, false, Off, false),
                &three,
                me,
                ["https", "", "1.1.1.1, 2.2.2.2, 3.3.3.3"],
            ),
            (
                proxy(Some(0), false, ProtoOnly, false),
                &three,
                me,
                ["", "", ""],
            ),
            (proxy(Some(0), true, Off, true), &three, None, ["", "", ""]),
            (
                proxy(None, true, Off, false),
                &[],
                Some("::ffff:1.2.3.4"),
                ["", "", "1.2.3.4"],
            ),
        ];
        for (index, (proxy, sent, client, expected)) in table.iter().enumerate() {
            assert_eq!(told(proxy, &map(sent), *client), *expected, "row {index}");
        }
    }
}
