//! Who a request speaks of, where it came through other proxies: for the log, never for a decision.
//! Without `proxy.trusted_proxies` any client may write what it likes.

use std::net::IpAddr;

use http::HeaderMap;

use crate::config::ForwardedFor;

/// The first value of `X-Forwarded-For`, if it is an address and the rule keeps any.
pub(super) fn client(headers: &HeaderMap, rule: ForwardedFor) -> Option<IpAddr> {
    if rule.truncate == Some(0) {
        return None;
    }
    let value = headers.get("x-forwarded-for")?.to_str().ok()?;
    value.split(',').next()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_value_counts_unless_none_is_kept() {
        for (value, truncate, expected) in [
            ("1.1.1.1, 2.2.2.2", None, Some("1.1.1.1")),
            (" ::1 ", Some(3), Some("::1")),
            ("unknown, 2.2.2.2", None, None),
            ("", None, None),
            ("1.1.1.1", Some(0), None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert("x-forwarded-for", value.parse().unwrap());
            let rule = ForwardedFor {
                truncate,
                append: true,
            };
            let expected = expected.map(|ip| ip.parse().unwrap());
            assert_eq!(client(&headers, rule), expected, "{value:?} {truncate:?}");
        }
    }
}
