//! What the backend is told about the client: `X-Forwarded-Proto`, `X-Forwarded-For`, `Forwarded`
//! (RFC 7239); and whether what a client says of itself is believed.

use std::net::IpAddr;

use http::{HeaderMap, HeaderName, HeaderValue};

use super::{Client, headers::Headers};
use crate::config::{ForwardedFor, Proxy, SetForwardedProtocol};

/// Does the request count as TLS: by its connection, or by what the client claims, if that is
/// believed?
pub(super) fn is_secure(proxy: &Proxy, client: &Client<'_>, headers: &HeaderMap) -> bool {
    let claimed = || {
        let claim = headers.get(PROTO).or_else(|| headers.get(PROTOCOL));
        claim.is_some_and(|claim| matches!(claim.as_bytes(), b"https" | b"wss"))
    };
    let believed = match is_proxy(proxy, client.addr) {
        None => proxy.accept_x_forwarded_protocol,
        Some(is_proxy) => is_proxy,
    };
    client.secure || (believed && claimed())
}

/// Is this address one of a proxy in front? `None`: none are known.
pub(super) fn is_proxy(proxy: &Proxy, client: Option<IpAddr>) -> Option<bool> {
    let ranges = &proxy.trusted_proxies;
    let client = client.map(|client| client.to_canonical());
    let is_in = |client| ranges.iter().any(|range| range.contains(&client));
    (!ranges.is_empty()).then(|| client.is_some_and(is_in))
}

/// The rule for the addresses that a request names. `trusted`: its client proves itself.
pub(super) fn rule(proxy: &Proxy, trusted: bool) -> ForwardedFor {
    if trusted {
        proxy.x_forwarded_for_trusted
    } else {
        proxy.x_forwarded_for
    }
}

/// Removes what only a proxy in front may say, if somebody else has said it. With an underscore a
/// name is the same to backends that see headers as environment variables.
pub(super) fn strip_claims(headers: &mut Headers, proxy: &Proxy, client: Option<IpAddr>) {
    if is_proxy(proxy, client) == Some(false) {
        headers.retain(|name| {
            let name = name.replace('_', "-");
            !name.starts_with("x-forwarded-") && !matches!(&*name, "forwarded" | "x-real-ip")
        });
    }
}

/// Tells of the client in `Forwarded`, behind what proxies in front have told.
pub(super) fn element(headers: &mut Headers, host: &str, secure: bool, client: Option<IpAddr>) {
    let node = client.map(|client| match client.to_canonical() {
        IpAddr::V4(ip) => format!("for={ip};"),
        IpAddr::V6(ip) => format!("for=\"[{ip}]\";"),
    });
    let host = host.replace('\\', r"\\").replace('"', "\\\"");
    let protocol = if secure { "https" } else { "http" };
    let node = node.unwrap_or_default();
    headers.add_to_list(
        &FORWARDED,
        &format!("{node}host=\"{host}\";proto={protocol}"),
    );
}

/// Tells the client's protocol by the settings' rules.
pub(super) fn protocol(headers: &mut Headers, proxy: &Proxy, secure: bool, websocket: bool) {
    let set = proxy.set_x_forwarded_protocol;
    if proxy.accept_x_forwarded_protocol || set != SetForwardedProtocol::Off {
        headers.remove(&PROTO);
        headers.remove(&PROTOCOL);
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
    let mut seen = headers.list(&FOR);
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
const FORWARDED: HeaderName = HeaderName::from_static("forwarded");
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
        let client = client.map(|ip| ip.parse().unwrap());
        let asking = Client {
            addr: client,
            ..Client::default()
        };
        let secure = is_secure(proxy, &asking, sent);
        let mut headers = Headers::of(sent.clone());
        strip_claims(&mut headers, proxy, client);
        protocol(&mut headers, proxy, secure, false);
        addresses(&mut headers, proxy.x_forwarded_for, client);
        [PROTO, PROTOCOL, FOR].map(|name| headers.list(&name).join(", "))
    }

    #[test]
    fn only_known_proxies_may_tell_of_clients() {
        let proxy = Proxy {
            trusted_proxies: vec!["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()],
            x_forwarded_for: ForwardedFor {
                truncate: None,
                append: true,
            },
            set_x_forwarded_protocol: ProtoOnly,
            ..Proxy::default()
        };
        let sent = [
            (FOR, "1.1.1.1"),
            (PROTO, "https"),
            (HeaderName::from_static("x_forwarded_for"), "2.2.2.2"),
        ];
        let table = [
            ("10.1.2.3", ["https", "", "1.1.1.1, 10.1.2.3"]),
            ("::ffff:10.1.2.3", ["https", "", "1.1.1.1, 10.1.2.3"]),
            ("fd00::1", ["https", "", "1.1.1.1, fd00::1"]),
            ("11.1.2.3", ["", "", "11.1.2.3"]),
        ];
        for (client, expected) in table {
            assert_eq!(
                told(&proxy, &map(&sent), Some(client)),
                expected,
                "{client}"
            );
        }
        let mut headers = Headers::of(map(&sent));
        strip_claims(&mut headers, &proxy, Some([11, 1, 2, 3].into()));
        assert!(
            headers
                .list(&HeaderName::from_static("x_forwarded_for"))
                .is_empty()
        );
    }

    #[test]
    fn an_element_of_forwarded_stands_behind_the_others() {
        let mut headers = Headers::of(map(&[
            (FORWARDED, "for=1.1.1.1;by=\"a, b\""),
            (FORWARDED, "junk"),
        ]));
        let table = [
            ("::ffff:10.0.0.1", "for=10.0.0.1;host=\"h:80\";proto=https"),
            ("fd00::1", "for=\"[fd00::1]\";host=\"h:80\";proto=https"),
        ];
        for (client, _) in table {
            element(&mut headers, "h:80", true, Some(client.parse().unwrap()));
        }
        let [first, second] = table.map(|(_, element)| element);
        let list = headers.list(&FORWARDED).join(", ");
        assert_eq!(
            list,
            format!("for=1.1.1.1;by=\"a, b\", junk, {first}, {second}")
        );
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
