//! Keeps web pages away from the control port. A browser lets any page send a plain `POST` to
//! `localhost` (CSRF), and a page whose name is made to resolve to this machine may even read the
//! answers (DNS rebinding). Both betray themselves by headers that a page cannot forge. Pure.
//!
//! What `Host` may be depends on who could own the name. Rebinding needs a name in the public DNS,
//! so loopback, addresses and configured names are safe always. With `control.private_hosts` (the
//! container image, where services call each other by names nobody has told gripd) names that no
//! public zone can hold are taken too: those without a dot (ICANN allows no addresses on top-level
//! names), below `.internal` (reserved for private use) and `.local` (RFC 6762). What remains is an
//! attacker inside the local network, who answers for such names there (mDNS, a search domain); he
//! needs a browser on the machine that publishes the port. `Origin` and `Sec-Fetch-Site` count as
//! ever.
//!
//! A request with the right credentials may name any `Host`: a page that rebinds a name does not know
//! the token, and the browser keeps a password for the name it was given for. `Origin` and
//! `Sec-Fetch-Site` count for it all the same, because a browser that knows the password sends it
//! along with whatever a foreign page asks for. A unix socket has no name at all, so there `Host`
//! says nothing.
//!
//! Programs send neither `Origin` nor `Sec-Fetch-Site`, so they meet only the rule for `Host`.
//! There is no CORS on this port, and nothing here ever allows it.

use std::{
    fmt,
    net::{Ipv4Addr, Ipv6Addr},
};

use super::head::Head;
use crate::config::Control;

/// Why a request looks like one a foreign page made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Foreign {
    /// `Host` is a name this port is not known by.
    Host(String),
    /// `Origin` is another than this port.
    Origin(String),
    /// `Sec-Fetch-Site` says that another site asks.
    Site(String),
}

impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const PAGE: &str = "pages of other sites may not use the control port \
                            (its own names: control.hosts)";
        let (header, value, why) = match self {
            Self::Host(value) => {
                let why = "the control port is not known by this name (add it to control.hosts)";
                ("Host", value, why)
            }
            Self::Origin(value) => ("Origin", value, PAGE),
            Self::Site(value) => ("Sec-Fetch-Site", value, PAGE),
        };
        write!(f, "Forbidden: {header} is \"{value}\"; {why}.")
    }
}

/// Checks the name by which the port is asked for. Of the settings `hosts` and `private_hosts`
/// count.
///
/// # Errors
/// The name is one that a page's owner can point here.
pub(super) fn check_name(head: &Head<'_>, control: &Control) -> Result<(), Foreign> {
    let Some(value) = head.authority else {
        return Ok(());
    };
    match Authority::parse(value) {
        Some(host) if host.is_known(control) => Ok(()),
        _ => Err(Foreign::Host(shown(value))),
    }
}

/// Checks whether a page of another site asks.
///
/// # Errors
/// The first header that gives it away.
pub(super) fn check_page(head: &Head<'_>) -> Result<(), Foreign> {
    let host = head.authority.and_then(Authority::parse);
    for origin in &head.origins {
        if !is_own(origin, host.as_ref()) {
            return Err(Foreign::Origin(shown(origin)));
        }
    }
    // "none" is a person typing the address; values nobody knows yet are refused.
    let own: [&[u8]; 2] = [b"same-origin", b"none"];
    match head.fetch_sites.iter().find(|site| !own.contains(site)) {
        Some(site) => Err(Foreign::Site(shown(site))),
        None => Ok(()),
    }
}

/// A host and a port, as `Host` and `Origin` write them.
#[derive(Debug, PartialEq, Eq)]
struct Authority<'a> {
    /// Without brackets and last dot.
    host: &'a str,
    port: Option<u16>,
    bracketed: bool,
}

impl<'a> Authority<'a> {
    fn parse(value: &'a [u8]) -> Option<Self> {
        let value = std::str::from_utf8(value).ok()?;
        let (host, port, bracketed) = if let Some(rest) = value.strip_prefix('[') {
            let (host, port) = rest.split_once(']')?;
            (host, port, true)
        } else {
            let (host, port) = value.split_at(value.find(':').unwrap_or(value.len()));
            (host.strip_suffix('.').unwrap_or(host), port, false)
        };
        let port = match port.strip_prefix(':') {
            None | Some("") if port.len() < 2 => None,
            Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => {
                Some(digits.parse().ok()?)
            }
            _ => return None,
        };
        (!host.is_empty()).then_some(Self {
            host,
            port,
            bracketed,
        })
    }

    /// Loopback, an address, or a configured name: nothing a page's owner can point at us by DNS.
    fn is_known(&self, control: &Control) -> bool {
        if self.bracketed {
            return self.host.parse::<Ipv6Addr>().is_ok();
        }
        self.host.parse::<Ipv4Addr>().is_ok()
            || ends_in_localhost(self.host)
            || control.hosts.iter().any(|name| {
                let name = name.strip_suffix('.').unwrap_or(name);
                name.eq_ignore_ascii_case(self.host)
            })
            || control.private_hosts && is_private(self.host)
    }
}

/// A name that no zone of the public DNS can hold.
fn is_private(host: &str) -> bool {
    let is_name = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    let private = match host.rsplit_once('.') {
        None => true,
        Some((_, top)) => ["internal", "local"]
            .iter()
            .any(|name| top.eq_ignore_ascii_case(name)),
    };
    private && host.bytes().all(is_name)
}

fn ends_in_localhost(host: &str) -> bool {
    const NAME: &str = "localhost";
    let Some(cut) = host.len().checked_sub(NAME.len()) else {
        return false;
    };
    host.is_char_boundary(cut)
        && host[cut..].eq_ignore_ascii_case(NAME)
        && (cut == 0 || host[..cut].ends_with('.'))
}

/// Does an `Origin` name the host and port that `Host` does?
fn is_own(origin: &[u8], host: Option<&Authority<'_>>) -> bool {
    let (default_port, rest) = if let Some(rest) = origin.strip_prefix(b"http://") {
        (80, rest)
    } else if let Some(rest) = origin.strip_prefix(b"https://") {
        // A proxy in front may speak TLS.
        (443, rest)
    } else {
        return false;
    };
    let (Some(origin), Some(host)) = (Authority::parse(rest), host) else {
        return false;
    };
    origin.bracketed == host.bracketed
        && origin.host.eq_ignore_ascii_case(host.host)
        && origin.port.unwrap_or(default_port) == host.port.unwrap_or(default_port)
}

/// A header's value as it may stand in a sentence: short and without control characters.
fn shown(value: &[u8]) -> String {
    String::from_utf8_lossy(value)
        .chars()
        .filter(|c| !c.is_control())
        .take(100)
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Both checks, as a request without credentials meets them.
    fn check(head: &Head<'_>, control: &Control) -> Result<(), Foreign> {
        check_name(head, control)?;
        check_page(head)
    }

    fn verdict(version: &str, lines: &str) -> Result<(), Foreign> {
        let head = format!("GET / HTTP/{version}\r\n{lines}\r\n");
        let control = Control {
            hosts: vec!["push.example.com".to_owned(), "gripd".to_owned()],
            ..Control::default()
        };
        check(&Head::read(head.as_bytes()), &control)
    }

    #[test]
    fn private_names_are_known_where_they_are_wanted() {
        let private_hosts = Control {
            private_hosts: true,
            ..Control::default()
        };
        for (host, private) in [
            ("gripd:5561", true),
            ("push_proxy", true),
            ("Pushpin.:5561", true),
            ("host.docker.internal:5561", true),
            ("gripd.default.svc.cluster.LOCAL", true),
            ("evil.example", false),
            ("internal.evil.example", false),
            ("evilinternal.example", false),
            ("gripd.evil", false),
            ("user@gripd", false),
            ("gripd:x", false),
        ] {
            let head = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
            let head = Head::read(head.as_bytes());
            assert_eq!(check(&head, &private_hosts).is_ok(), private, "{host}");
            assert!(check(&head, &Control::default()).is_err(), "{host}");
        }
        // A page of another service of the same network is still a page of another site.
        let page = b"POST / HTTP/1.1\r\nHost: gripd:5561\r\nOrigin: http://app:8000\r\n\r\n";
        let found = check(&Head::read(page), &private_hosts);
        assert_eq!(found, Err(Foreign::Origin("http://app:8000".into())));
    }

    #[test]
    fn hosts_are_loopback_addresses_or_configured() {
        let table = [
            ("localhost", true),
            ("LocalHost:5561", true),
            ("localhost.", true),
            ("app.localhost:5561", true),
            ("127.0.0.1:5561", true),
            ("127.9.9.9", true),
            ("192.168.1.7:5561", true),
            ("[::1]:5561", true),
            ("[fe80::1]", true),
            ("gripd:5561", true),
            ("Push.Example.com", true),
            ("evil.example", false),
            ("localhost.evil.example", false),
            ("notlocalhost", false),
            ("example.com", false),
            ("127.0.0.1.evil.example", false),
            ("[evil.example]", false),
            ("localhost:x", false),
            ("localhost:99999", false),
            ("localhost:+1", false),
            ("user@localhost", false),
            (":5561", false),
            ("", false),
        ];
        for (host, known) in table {
            let expected = if known {
                Ok(())
            } else {
                Err(Foreign::Host(host.to_owned()))
            };
            assert_eq!(verdict("1.1", &format!("Host: {host}\r\n")), expected);
        }
        assert_eq!(verdict("1.0", ""), Ok(()));
    }

    #[test]
    fn origins_are_our_own() {
        let table = [
            ("localhost:5561", "http://localhost:5561", true),
            ("LOCALHOST:5561", "http://localhost:5561", true),
            ("localhost", "http://localhost", true),
            ("localhost:80", "http://localhost", true),
            ("gripd", "https://gripd", true),
            ("[::1]:5561", "http://[::1]:5561", true),
            ("localhost:5561", "http://localhost:8000", false),
            ("localhost:5561", "http://localhost", false),
            ("localhost:5561", "http://127.0.0.1:5561", false),
            ("localhost:5561", "https://evil.example", false),
            ("localhost:5561", "null", false),
            ("localhost:5561", "", false),
            ("localhost:5561", "file://", false),
            (
                "localhost:5561",
                "http://localhost:5561.evil.example",
                false,
            ),
        ];
        for (host, origin, own) in table {
            let expected = if own {
                Ok(())
            } else {
                Err(Foreign::Origin(origin.to_owned()))
            };
            let lines = format!("Host: {host}\r\nOrigin: {origin}\r\n");
            assert_eq!(verdict("1.1", &lines), expected, "{host} {origin}");
        }
        // Without Host nothing can be our own; and each of several must be.
        assert!(verdict("1.0", "Origin: http://localhost\r\n").is_err());
        let two = "Host: localhost\r\nOrigin: http://localhost\r\nOrigin: http://b\r\n";
        assert_eq!(verdict("1.1", two), Err(Foreign::Origin("http://b".into())));
    }

    #[test]
    fn only_this_site_may_fetch() {
        for (site, own) in [
            ("same-origin", true),
            ("none", true),
            ("same-site", false),
            ("cross-site", false),
            ("", false),
            ("anything", false),
        ] {
            let lines = format!("Host: localhost\r\nSec-Fetch-Site: {site}\r\n");
            assert_eq!(verdict("1.1", &lines).is_ok(), own, "{site}");
        }
    }

    #[test]
    fn the_sentence_names_header_and_setting() {
        for (foreign, header) in [
            (Foreign::Host("a".into()), "Host is \"a\""),
            (Foreign::Origin("a".into()), "Origin is \"a\""),
            (Foreign::Site("a".into()), "Sec-Fetch-Site is \"a\""),
        ] {
            let sentence = foreign.to_string();
            assert!(sentence.contains(header), "{sentence}");
            assert!(sentence.contains("control.hosts"), "{sentence}");
        }
        assert_eq!(shown(&[b'a'; 500]).len(), 100);
        assert_eq!(shown(b"a\x1b[0m\tb"), "a[0mb");
    }

    proptest! {
        #[test]
        fn names_of_others_never_pass(host in "[a-zA-Z0-9.-]{0,20}\\.[a-km-z][a-z]{1,5}") {
            let found = verdict("1.1", &format!("Host: {host}\r\n"));
            prop_assert!(found.is_err());
        }

        #[test]
        fn any_values_are_read(host in "[ -~]{0,20}", origin in "(https?://)?[ -~]{0,20}") {
            let _ = verdict("1.1", &format!("Host: {host}\r\nOrigin: {origin}\r\n"));
        }
    }
}
