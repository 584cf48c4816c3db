//! A JSON-P request: a `GET` whose query says what is really to be asked, since a `<script>` can
//! say nothing else.
//!
//! The query's other parameters stay as they are. A name counts percent-decoded; of a repeated
//! parameter the first counts, and all of them are taken out.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;
use serde_json::Value;

use super::call::{Call, Mode};

/// How a route spells JSON-P.
#[derive(Clone, Copy, Debug)]
pub struct Names<'r> {
    /// What answers look like.
    pub mode: Mode,
    /// The parameter with the callback's name.
    pub callback: &'r str,
    /// The parameter with the body, a JSON document. `None`: it is `_body`, of no certain type.
    pub body: Option<&'r str>,
    /// The callback of a query that has the body's parameter and no callback's.
    pub default_callback: Option<&'r str>,
}

/// What a query asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// What the answer becomes.
    pub call: Call,
    /// The method, if the query names one.
    pub method: Option<String>,
    /// Headers to be sent, as they were written.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// The body is a JSON document.
    pub json: bool,
    /// What is left of the query.
    pub query: Option<String>,
}

/// A parameter that cannot be used. The client is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It is empty, or has characters that no function's name has.
    #[error("Invalid callback parameter.")]
    Callback,
    /// It is no JSON object of header names and text.
    #[error("Invalid _headers parameter.")]
    Headers,
    /// It is no method.
    #[error("Invalid _method parameter.")]
    Method,
}

impl Names<'_> {
    /// Reads a query; `None`: it asks for no JSON-P.
    ///
    /// # Errors
    /// A parameter cannot be used.
    pub fn read(&self, query: &str) -> Result<Option<Asked>, Fault> {
        let mut query = Query::of(query);
        let callback = match query.take(self.callback) {
            Some(callback) => text(&callback),
            None => match (self.default_callback, self.body) {
                (Some(callback), Some(body)) if query.has(body) => callback.to_owned(),
                _ => return Ok(None),
            },
        };
        let call = Call::new(callback, self.mode).ok_or(Fault::Callback)?;
        let method = query.take("_method").map(|method| text(&method));
        if method.as_ref().is_some_and(String::is_empty) {
            return Err(Fault::Method);
        }
        let headers = match query.take("_headers") {
            Some(json) => headers(&json).ok_or(Fault::Headers)?,
            None => Vec::new(),
        };
        let body = query.take(self.body.unwrap_or("_body"));
        Ok(Some(Asked {
            call,
            method,
            headers,
            json: self.body.is_some() && body.is_some(),
            body: body.unwrap_or_default(),
            query: query.rest(),
        }))
    }
}

/// A query's parameters, in order.
struct Query<'q>(Vec<&'q str>);

impl<'q> Query<'q> {
    fn of(query: &'q str) -> Self {
        Self(query.split('&').collect())
    }

    fn has(&self, name: &str) -> bool {
        self.0.iter().any(|part| is_named(part, name))
    }

    /// Takes a parameter out; its decoded value.
    fn take(&mut self, name: &str) -> Option<Vec<u8>> {
        let part = *self.0.iter().find(|part| is_named(part, name))?;
        self.0.retain(|part| !is_named(part, name));
        let value = part.split_once('=').map_or("", |(_, value)| value);
        Some(percent_decode_str(value).collect())
    }

    fn rest(self) -> Option<String> {
        (!self.0.is_empty()).then(|| self.0.join("&"))
    }
}

fn is_named(part: &str, name: &str) -> bool {
    let own = part.split('=').next().unwrap_or_default();
    Cow::from(percent_decode_str(own)) == name.as_bytes()
}

fn text(value: &[u8]) -> String {
    String::from_utf8_lossy(value).into_owned()
}

fn headers(json: &[u8]) -> Option<Vec<(String, String)>> {
    let Value::Object(object) = serde_json::from_slice(json).ok()? else {
        return None;
    };
    let pairs = object.into_iter().map(|(name, value)| match value {
        Value::String(value) => Some((name, value)),
        _ => None,
    });
    pairs.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const USUAL: Names<'_> = Names {
        mode: Mode::Extended,
        callback: "callback",
        body: None,
        default_callback: None,
    };

    const OWN: Names<'_> = Names {
        callback: "cb",
        body: Some("bd"),
        default_callback: Some("dcb"),
        ..USUAL
    };

    fn call(callback: &str) -> Call {
        Call::new(callback.into(), Mode::Extended).unwrap()
    }

    #[test]
    fn parameters_are_taken_out_and_the_others_left() {
        for (query, callback, rest) in [
            ("callback=f", "f", None),
            ("a=1&callback=f&b=%20&&c", "f", Some("a=1&b=%20&&c")),
            ("%63allback=%66", "f", None),
            ("callback=f&x&callback=g", "f", Some("x")),
            (
                "callback=a.b%5B0%5D&callbacks=2",
                "a.b[0]",
                Some("callbacks=2"),
            ),
        ] {
            let asked = USUAL.read(query).unwrap().unwrap();
            assert_eq!(asked.call, call(callback), "{query}");
            assert_eq!(asked.query.as_deref(), rest, "{query}");
            assert!(asked.method.is_none() && asked.headers.is_empty() && !asked.json);
        }
        for query in ["", "a=callback", "cb=f", "_method=PUT"] {
            assert_eq!(USUAL.read(query), Ok(None), "{query}");
        }
    }

    #[test]
    fn a_query_says_all_that_a_request_says() {
        let query = "callback=f&_method=PUT&_headers=%7B%22X-A%22:%22b%22%7D&_body=a%2Bb+c&q";
        let asked = USUAL.read(query).unwrap().unwrap();
        assert_eq!(
            asked,
            Asked {
                call: call("f"),
                method: Some("PUT".into()),
                headers: vec![("X-A".into(), "b".into())],
                body: b"a+b+c".into(),
                json: false,
                query: Some("q".into()),
            }
        );
    }

    #[test]
    fn a_route_has_names_of_its_own() {
        for (query, callback, body, rest) in [
            ("cb=g&bd=%7B%7D&callback=n", "g", "{}", Some("callback=n")),
            ("bd=1", "dcb", "1", None),
            ("cb=g&_body=x", "g", "", Some("_body=x")),
        ] {
            let asked = OWN.read(query).unwrap().unwrap();
            assert_eq!(asked.call, call(callback), "{query}");
            assert_eq!(asked.body, body.as_bytes(), "{query}");
            assert_eq!(asked.json, !body.is_empty(), "{query}");
            assert_eq!(asked.query.as_deref(), rest, "{query}");
        }
        assert_eq!(OWN.read("callback=f"), Ok(None));
    }

    #[test]
    fn a_fault_names_its_parameter() {
        for (query, fault) in [
            ("callback=", Fault::Callback),
            ("callback", Fault::Callback),
            ("callback=f(1)", Fault::Callback),
            ("callback=%zz", Fault::Callback),
            ("callback=f&_method=", Fault::Method),
            ("callback=f&_headers=zz", Fault::Headers),
            ("callback=f&_headers=", Fault::Headers),
            ("callback=f&_headers=%5B%5D", Fault::Headers),
            ("callback=f&_headers=%7B%22a%22:1%7D", Fault::Headers),
        ] {
            assert_eq!(USUAL.read(query), Err(fault), "{query}");
        }
    }
}
