//! Where links lead: addresses written by a backend (`Grip-Link`, the `url` of a filter), made whole
//! by the address they stand in (RFC 3986 section 5, as the URL standard reads it).

use std::fmt;

use url::Url;

/// The full address of a request: `http` or `https`, without credentials and fragment. As small as
/// its text, since every held stream keeps one.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Location(Box<str>);

/// Why an address leads nowhere. The backend's fault; the address is not shown, since it may hold
/// secrets.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadUrl {
    /// It is no URL.
    #[error("not a URL: {0}")]
    Malformed(#[from] url::ParseError),
    /// Neither HTTP nor WebSocket.
    #[error("a URL of a scheme that cannot be fetched")]
    Scheme,
}

impl Location {
    /// The address of a client's request. `None` when its host makes none.
    pub(super) fn of(
        secure: bool,
        authority: &str,
        path: &str,
        query: Option<&str>,
    ) -> Option<Self> {
        if authority.contains(['/', '\\', '?', '#']) {
            return None;
        }
        let scheme = if secure { "https" } else { "http" };
        let (mark, query) = query.map_or(("", ""), |query| ("?", query));
        let url = Url::parse(&format!("{scheme}://{authority}{path}{mark}{query}"));
        Self::clean(url.ok()?).ok()
    }

    /// Where a link leads that stands in the answer from this address: relative, absolute, or
    /// only a query. `ws` and `wss` are read as `http` and `https`.
    ///
    /// # Errors
    /// It is no URL, or one of another scheme.
    pub fn join(&self, link: &str) -> Result<Self, BadUrl> {
        Self::clean(self.url()?.join(link)?)
    }

    /// The address as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn url(&self) -> Result<Url, BadUrl> {
        Ok(Url::parse(&self.0)?)
    }

    fn clean(mut url: Url) -> Result<Self, BadUrl> {
        let scheme = match url.scheme() {
            "http" | "ws" => "http",
            "https" | "wss" => "https",
            _ => return Err(BadUrl::Scheme),
        };
        let changed = url
            .set_scheme(scheme)
            .and_then(|()| url.set_username(""))
            .and_then(|()| url.set_password(None));
        url.set_fragment(None);
        changed.map_err(|()| BadUrl::Scheme)?;
        Ok(Self(String::from(url).into()))
    }
}

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Do two addresses have the same scheme, host and port?
pub(super) fn same_origin(one: &Url, other: &Url) -> bool {
    let origin = |url: &Url| (url.scheme().to_owned(), url.port_or_known_default());
    origin(one) == origin(other) && one.host() == other.host()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base() -> Location {
        Location::of(false, "h.test:8000", "/a/b", Some("q=1")).unwrap()
    }

    #[test]
    fn links_are_read_from_where_they_stand() {
        for (link, expected) in [
            ("c", "http://h.test:8000/a/c"),
            ("./c?x=%7E&y", "http://h.test:8000/a/c?x=%7E&y"),
            ("../c", "http://h.test:8000/c"),
            ("/c", "http://h.test:8000/c"),
            ("?after=2", "http://h.test:8000/a/b?after=2"),
            ("", "http://h.test:8000/a/b?q=1"),
            ("//other.test/c", "http://other.test/c"),
            ("HTTPS://Other.Test:443/C", "https://other.test/C"),
            ("ws://h.test:8000/c", "http://h.test:8000/c"),
            ("wss://h.test", "https://h.test/"),
            ("http://me:secret@h.test/c#part", "http://h.test/c"),
            ("http://[::1]:80/c", "http://[::1]/c"),
        ] {
            assert_eq!(base().join(link).unwrap().as_str(), expected, "{link}");
        }
    }

    #[test]
    fn links_of_other_kinds_lead_nowhere() {
        assert_eq!(base().join("mailto:a@b.test"), Err(BadUrl::Scheme));
        assert_eq!(base().join("file:///etc/passwd"), Err(BadUrl::Scheme));
        for link in ["http://", "http://a b/", "http://h:99999/", "//[::1/"] {
            let found = base().join(link);
            assert!(
                matches!(found, Err(BadUrl::Malformed(_))),
                "{link}: {found:?}"
            );
        }
    }

    #[test]
    fn a_client_may_name_a_host_that_makes_no_url() {
        let of = |authority| Location::of(true, authority, "/", None);
        assert_eq!(of("h.test:443").unwrap().as_str(), "https://h.test/");
        assert_eq!(of("me@h.test").unwrap().as_str(), "https://h.test/");
        for authority in ["a b", "h:x", "[::1", "h/x:y@", "h?", "h#", "h\\x"] {
            assert_eq!(of(authority), None, "{authority}");
        }
    }

    #[test]
    fn origins_are_scheme_host_and_port() {
        let url = |text| Url::parse(text).unwrap();
        for (other, same) in [
            ("http://h.test:80/x", true),
            ("http://H.TEST/", true),
            ("https://h.test/", false),
            ("http://h.test:81/", false),
            ("http://h.test.evil/", false),
        ] {
            assert_eq!(
                same_origin(&url("http://h.test/"), &url(other)),
                same,
                "{other}"
            );
        }
    }
}
