//! Where a request goes: host and path as the client asked (RFC 9112 section 3.2), and what a
//! route makes of the path. The path is kept as it was received, but for dot segments.

use std::borrow::Cow;

use http::{Method, Uri, header, request};
use url::Url;

use super::Asked;
use crate::routes::grammar::Route;

/// Host and path of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    /// Host and port, lower case; `localhost` when there is none.
    pub(super) authority: String,
    /// The host alone; an IPv6 address keeps its brackets.
    pub(super) host: String,
    /// Encoded path without dot segments; `/` for `OPTIONS *`.
    pub(super) path: String,
    /// `OPTIONS *`.
    asterisk: bool,
}

impl Place {
    /// Reads it from a request's target, else from its `Host`.
    pub(super) fn of(head: &request::Parts) -> Self {
        let named = head
            .headers
            .get(header::HOST)
            .map_or(&b""[..], |host| host.as_bytes());
        let asked = match head.uri.authority() {
            Some(authority) => authority.as_str().rsplit('@').next().unwrap_or_default(),
            None => std::str::from_utf8(named).unwrap_or_default(),
        };
        let authority = match asked.trim() {
            "" => "localhost".to_owned(),
            asked => asked.to_ascii_lowercase(),
        };
        let asterisk = head.method == Method::OPTIONS && head.uri.path() == "*";
        let path = if asterisk { "/" } else { head.uri.path() };
        Self {
            host: split_port(&authority).0.to_owned(),
            path: slashed(&without_dots(path)),
            authority,
            asterisk,
        }
    }

    /// The root of a host.
    pub(super) fn named(authority: String) -> Self {
        Self {
            host: split_port(&authority).0.to_owned(),
            path: "/".into(),
            authority,
            asterisk: false,
        }
    }

    /// Reads it from an address.
    pub(super) fn at(url: &Url) -> Self {
        let host = url.host_str().unwrap_or_default().to_owned();
        Self {
            authority: match url.port() {
                Some(port) => format!("{host}:{port}"),
                None => host.clone(),
            },
            host,
            path: slashed(&without_dots(url.path())),
            asterisk: false,
        }
    }

    /// What the log tells of it.
    pub(super) fn asked(self, method: Method) -> Asked {
        Asked {
            method,
            host: self.host,
            path: self.path,
        }
    }

    /// Path and query for the backend, of what was `asked`; `None`: they cannot be sent.
    pub(super) fn uri(&self, route: &Route, asked: &Uri) -> Option<Uri> {
        let path = self.rewritten(route);
        match asked.path_and_query() {
            Some(same) if same.path() == path => Some(same.clone().into()),
            _ => at(&path, asked.query()),
        }
    }

    /// The path for the backend.
    pub(super) fn rewritten(&self, route: &Route) -> Cow<'_, str> {
        let path = if let Some(text) = &route.replace_beg {
            let rest = self.path.get(route.path_beg.len()..).unwrap_or_default();
            Cow::Owned(format!("{text}{rest}"))
        } else if route.path_rem > 0 {
            let cut = self.path.char_indices().nth(route.path_rem);
            cut.map_or("", |(at, _)| &self.path[at..]).into()
        } else if self.asterisk {
            return "*".into();
        } else {
            return Cow::Borrowed(&self.path);
        };
        // What was cut or put in may have made new ones.
        Cow::Owned(slashed(&without_dots(&path)))
    }
}

/// A path and a query as they are sent; `None`: they cannot be.
pub(super) fn at(path: &str, query: Option<&str>) -> Option<Uri> {
    match query {
        Some(query) => format!("{path}?{query}").parse().ok(),
        None => path.parse().ok(),
    }
}

/// What goes out as `Host`: lower case, without the scheme's own port.
pub(super) fn host_header(authority: &str, tls: bool) -> String {
    let authority = authority.trim().to_ascii_lowercase();
    let default = if tls { "443" } else { "80" };
    match split_port(&authority) {
        (host, Some(port)) if port == default || port.is_empty() => host.to_owned(),
        _ => authority,
    }
}

fn split_port(authority: &str) -> (&str, Option<&str>) {
    let after_address = authority.rfind(']').unwrap_or(0);
    match authority.rfind(':') {
        Some(at) if at >= after_address => (&authority[..at], Some(&authority[at + 1..])),
        _ => (authority, None),
    }
}

fn slashed(path: &str) -> String {
    if path.starts_with('/') {
        path.to_owned()
    } else {
        format!("/{path}")
    }
}

/// Removes dot segments (RFC 3986 section 5.2.4), also percent-encoded ones.
fn without_dots(path: &str) -> Cow<'_, str> {
    let path_body = path.strip_prefix('/').unwrap_or(path);
    if !path_body.split('/').any(|segment| dots(segment) > 0) {
        return Cow::Borrowed(path);
    }
    let mut kept: Vec<&str> = Vec::new();
    let mut ends_in_dots = false;
    for segment in path_body.split('/') {
        let dots = dots(segment);
        ends_in_dots = dots > 0;
        match dots {
            0 => kept.push(segment),
            1 => {}
            _ => drop(kept.pop()),
        }
    }
    let end = if ends_in_dots && !kept.is_empty() {
        "/"
    } else {
        ""
    };
    Cow::Owned(format!("/{}{end}", kept.join("/")))
}

/// 1 for `.`, 2 for `..`, encoded or not; else 0.
fn dots(segment: &str) -> usize {
    let mut rest = segment.as_bytes();
    let mut count = 0;
    while !rest.is_empty() {
        rest = match rest {
            [b'.', rest @ ..] | [b'%', b'2', b'e' | b'E', rest @ ..] => rest,
            _ => return 0,
        };
        count += 1;
    }
    if count <= 2 { count } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(method: &str, uri: &str, host: Option<&str>) -> Place {
        let mut request = http::Request::builder().method(method).uri(uri);
        if let Some(host) = host {
            request = request.header("host", host);
        }
        Place::of(&request.body(()).unwrap().into_parts().0)
    }

    #[test]
    fn host_and_path_of_every_form() {
        let table = [
            ("GET", "/a", Some("H.Test:80"), "h.test:80", "h.test", "/a"),
            ("GET", "/a", None, "localhost", "localhost", "/a"),
            ("GET", "/a", Some(""), "localhost", "localhost", "/a"),
            (
                "GET",
                "http://U@B.test:81/p?q",
                Some("h"),
                "b.test:81",
                "b.test",
                "/p",
            ),
            ("GET", "http://b.test", Some("h"), "b.test", "b.test", "/"),
            ("OPTIONS", "*", Some("h"), "h", "h", "/"),
            ("GET", "/", Some("[::1]:88"), "[::1]:88", "[::1]", "/"),
            ("GET", "/", Some("[::1]"), "[::1]", "[::1]", "/"),
        ];
        for (method, uri, named, authority, host, path) in table {
            let place = place(method, uri, named);
            assert_eq!(
                (&*place.authority, &*place.host, &*place.path),
                (authority, host, path)
            );
        }
    }

    #[test]
    fn paths_are_kept_but_for_dot_segments() {
        let table = [
            ("/a/../b", "/b"),
            ("/a/%2e%2E/b", "/b"),
            ("/a/.%2e/b", "/b"),
            ("/%7Equ%2Fo", "/%7Equ%2Fo"),
            ("/a/./b/", "/a/b/"),
            ("/a/..", "/"),
            ("/a/b/..", "/a/"),
            ("/a/.", "/a/"),
            ("/../../x", "/x"),
            ("/a//b", "/a//b"),
            ("/...", "/..."),
            ("/a/..;x", "/a/..;x"),
            ("/.well-known/x", "/.well-known/x"),
        ];
        for (path, expected) in table {
            assert_eq!(place("GET", path, None).path, expected, "{path}");
        }
    }

    #[test]
    fn routes_rewrite_paths() {
        let table = [
            ("/rem", 4, None, "/rem/abc", "/abc"),
            ("/rem", 4, None, "/rem", "/"),
            ("/rem", 99, None, "/rem", "/"),
            ("/rep/", 0, Some("/new/x/"), "/rep/abc", "/new/x/abc"),
            ("/emptyv", 0, Some("zz"), "/emptyv/q", "/zz/q"),
            ("/pr", 3, None, "/pr2/abc", "/2/abc"),
            ("/x", 2, Some("/y"), "/x/z", "/y/z"),
            ("/rem", 5, None, "/rem/a/..%2f", "/a/..%2f"),
            ("/rem", 4, None, "/rem../x", "/x"),
        ];
        for (path_beg, path_rem, replace_beg, path, expected) in table {
            let route = Route {
                path_beg: path_beg.into(),
                path_rem,
                replace_beg: replace_beg.map(str::to_owned),
                ..Route::default()
            };
            assert_eq!(
                place("GET", path, None).rewritten(&route),
                expected,
                "{path}"
            );
        }
        assert_eq!(
            place("OPTIONS", "*", None).rewritten(&Route::default()),
            "*"
        );
    }

    #[test]
    fn the_schemes_own_port_is_dropped() {
        let table = [
            ("H.Test:80", false, "h.test"),
            ("h.test:443", true, "h.test"),
            ("h.test:80", true, "h.test:80"),
            ("h.test:", false, "h.test"),
            ("[::1]:80", false, "[::1]"),
            ("[::1]", false, "[::1]"),
            ("as.example:81", false, "as.example:81"),
        ];
        for (authority, tls, expected) in table {
            assert_eq!(host_header(authority, tls), expected);
        }
    }
}
