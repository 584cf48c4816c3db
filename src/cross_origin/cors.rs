//! The CORS headers of an answer (Fetch standard, "CORS protocol"): every site may ask, with any
//! method and header and with the user's cookies, and may read all of the answer. What the backend
//! says itself stands.

/// What a request says of itself to other sites' servers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cors {
    origin: Option<Box<[u8]>>,
    /// Of a preflight: the method that is going to be used.
    method: Option<Box<[u8]>>,
    /// Of a preflight: the headers that are going to be sent, as one list.
    headers: Option<Box<[u8]>>,
}

impl Cors {
    /// Reads it from a request's headers.
    pub fn of<'h>(headers: impl IntoIterator<Item = (&'h str, &'h [u8])>) -> Self {
        let mut cors = Self::default();
        let mut asked: Vec<&[u8]> = Vec::new();
        for (name, value) in headers {
            let is = |other: &str| name.eq_ignore_ascii_case(other);
            if is("Origin") {
                cors.origin.get_or_insert_with(|| value.into());
            } else if is("Access-Control-Request-Method") {
                cors.method.get_or_insert_with(|| value.into());
            } else if is("Access-Control-Request-Headers") {
                let names = value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
                asked.extend(names.filter(|name| !name.is_empty()));
            }
        }
        cors.headers = (!asked.is_empty()).then(|| asked.join(&b", "[..]).into());
        cors
    }

    /// Is a request with this method a preflight? Nothing but a browser asks in this way.
    pub fn is_preflight(&self, method: &str) -> bool {
        method == "OPTIONS" && self.origin.is_some() && self.method.is_some()
    }

    /// The headers that an answer with headers of these names lacks, in order. Names are compared
    /// without case, and told on as they are spelled.
    pub fn missing(&self, names: &[&str]) -> Vec<(&'static str, Vec<u8>)> {
        let exposed = exposed(names);
        let all = [
            (METHODS, Some(self.method.as_deref().unwrap_or(USUAL))),
            ("Access-Control-Allow-Headers", self.headers.as_deref()),
            ("Access-Control-Expose-Headers", exposed.as_deref()),
            ("Access-Control-Allow-Credentials", Some(b"true")),
            (ORIGIN, Some(self.origin.as_deref().unwrap_or(b"*"))),
            ("Access-Control-Max-Age", Some(b"3600")),
        ];
        let lacks = |own: &str| !names.iter().any(|name| name.eq_ignore_ascii_case(own));
        let missing = all.into_iter().filter(|(name, _)| lacks(name));
        missing
            .filter_map(|(name, value)| Some((name, value?.to_vec())))
            .collect()
    }
}

/// The headers that a page could not read otherwise, each once.
fn exposed(names: &[&str]) -> Option<Vec<u8>> {
    let mut exposed: Vec<&str> = Vec::new();
    for name in names {
        let is = |other: &&str| name.eq_ignore_ascii_case(other);
        let begins = |start: &str| {
            let own = name.get(..start.len());
            own.is_some_and(|own| own.eq_ignore_ascii_case(start))
        };
        let is_known = READABLE.iter().any(is) || exposed.iter().any(is);
        if !is_known && !begins("Access-Control-") && !begins("Grip-") {
            exposed.push(name);
        }
    }
    (!exposed.is_empty()).then(|| exposed.join(", ").into())
}

/// What every page may read (Fetch standard, "CORS-safelisted response-header name").
const READABLE: [&str; 7] = [
    "Cache-Control",
    "Content-Language",
    "Content-Length",
    "Content-Type",
    "Expires",
    "Last-Modified",
    "Pragma",
];
const METHODS: &str = "Access-Control-Allow-Methods";
const ORIGIN: &str = "Access-Control-Allow-Origin";
const USUAL: &[u8] = b"OPTIONS, HEAD, GET, POST, PUT, DELETE";

#[cfg(test)]
mod tests {
    use super::*;

    fn added(request: &[(&str, &str)], answer: &[&str]) -> String {
        let request = request
            .iter()
            .map(|(name, value)| (*name, value.as_bytes()));
        let missing = Cors::of(request).missing(answer);
        let lines = missing.into_iter().map(|(name, value)| {
            let name = name.strip_prefix("Access-Control-").unwrap();
            format!("{name}: {}", String::from_utf8(value).unwrap())
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn every_site_may_ask() {
        assert_eq!(
            added(&[], &[]),
            "Allow-Methods: OPTIONS, HEAD, GET, POST, PUT, DELETE\nAllow-Credentials: true\n\
             Allow-Origin: *\nMax-Age: 3600"
        );
    }

    #[test]
    fn what_the_browser_asks_for_is_granted() {
        let request = [
            ("origin", "http://o"),
            ("Origin", "http://second"),
            ("Access-Control-Request-Method", "PATCH"),
            ("Access-Control-Request-Headers", "X-A,X-B , "),
            ("Access-Control-Request-Headers", "x-c"),
        ];
        assert_eq!(
            added(&request, &[]),
            "Allow-Methods: PATCH\nAllow-Headers: X-A, X-B, x-c\nAllow-Credentials: true\n\
             Allow-Origin: http://o\nMax-Age: 3600"
        );
    }

    #[test]
    fn what_is_readable_anyhow_is_not_exposed_and_nothing_twice() {
        let answer = [
            "X-Q",
            "content-type",
            "Set-Cookie",
            "x-q",
            "Grip-Hold",
            "Pragma",
        ];
        let lines = added(&[], &answer);
        assert!(
            lines.contains("\nExpose-Headers: X-Q, Set-Cookie\n"),
            "{lines}"
        );
    }

    #[test]
    fn what_the_backend_says_stands() {
        let answer = [
            "access-control-allow-origin",
            "Access-Control-Allow-Methods",
            "ACCESS-CONTROL-EXPOSE-HEADERS",
            "X-Q",
        ];
        assert_eq!(
            added(&[], &answer),
            "Allow-Credentials: true\nMax-Age: 3600"
        );
    }

    #[test]
    fn a_preflight_has_a_method_to_ask_for_and_comes_from_somewhere() {
        let origin = ("Origin", &b"http://o"[..]);
        let method = ("Access-Control-Request-Method", &b"PUT"[..]);
        for (headers, name, is) in [
            (vec![origin, method], "OPTIONS", true),
            (vec![origin], "OPTIONS", false),
            (vec![method], "OPTIONS", false),
            (vec![origin, method], "GET", false),
        ] {
            assert_eq!(Cors::of(headers).is_preflight(name), is);
        }
    }
}
