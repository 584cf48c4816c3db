//! What the vectors share: gripd before a backend that answers by path, and short words for the
//! answers and items that occur again and again.

use std::{collections::HashMap, sync::Mutex};

use serde_json::{Value, json};

use crate::support::{Backend, Gripd, Reply, Request, Setup, Wire, answer, instruct};

/// gripd and what stands behind it. Paths below `/debug` are those without it, on a route that
/// tells clients the cause of errors.
pub(crate) struct Site {
    pub(crate) gripd: Gripd,
    pub(crate) backend: Backend,
}

impl Site {
    /// Each path has its answers: the first request gets the first one, the last one repeats.
    /// A channel's first subscriber causes nothing.
    pub(crate) fn new<'a>(pages: impl IntoIterator<Item = (&'a str, Vec<Vec<u8>>)>) -> Self {
        Self::set_up(pages, calm)
    }

    /// One page, `/`, that always gets the same answer.
    pub(crate) fn one(page: Vec<u8>) -> Self {
        Self::new([("/", vec![page])])
    }

    /// The same with other settings.
    pub(crate) fn set_up<'a>(
        pages: impl IntoIterator<Item = (&'a str, Vec<Vec<u8>>)>,
        setup: impl FnOnce(Setup) -> Setup,
    ) -> Self {
        Self::behind(Backend::start(by_path(pages)), setup)
    }

    /// gripd before a backend of the test's own.
    pub(crate) fn behind(backend: Backend, setup: impl FnOnce(Setup) -> Setup) -> Self {
        let addr = backend.addr;
        let gripd = Gripd::start(|c| {
            setup(
                c.set("LOG_LEVEL", "debug")
                    .route(format!("*,path_beg=/debug,debug {addr}"))
                    .route(format!("* {addr}")),
            )
        });
        Self { gripd, backend }
    }

    /// The answer to `GET path` is a 502 that tells nothing; the same on the debug route tells
    /// the cause, which is returned.
    pub(crate) fn refusal(&self, path: &str) -> String {
        let plain = self.gripd.fetch(path);
        assert_eq!(plain.status(), 502, "{path}: {:?}", plain.text());
        assert_eq!(plain.head.get("Content-Type"), Some("text/plain"), "{path}");
        let debug = self.gripd.fetch(&format!("/debug{path}"));
        assert_eq!(debug.status(), 502, "{path}: {:?}", debug.text());
        assert_ne!(plain.text(), debug.text(), "{path}: only debug tells why");
        debug.text()
    }

    /// A long-poll that is held.
    pub(crate) fn poll(&self, path: &str) -> Wire {
        let from = self.gripd.log().len();
        let poll = self.gripd.get(path);
        self.gripd.wait_log_from(from, "hold begins");
        poll
    }

    /// A held stream behind its initial `hi\n`.
    pub(crate) fn stream(&self, path: &str) -> Wire {
        self.gripd.stream(path, "hi\n")
    }

    /// Tells the holds of a channel to ask the backend.
    pub(crate) fn hint(&self, channel: &str) {
        let hint = json!({"action": "hint"});
        self.gripd.publish(&json!([
            {"channel": channel, "formats": {"http-response": hint, "http-stream": hint}}
        ]));
    }

    /// How often `method` was asked of a path, whatever the query.
    pub(crate) fn asked(&self, what: &str) -> usize {
        let asked = self.backend.asked();
        asked
            .iter()
            .filter(|line| line.split('?').next() == Some(what))
            .count()
    }

    /// The `Grip-Last` values of the last request, sorted.
    pub(crate) fn last_ids(&self) -> Vec<String> {
        let mut ids: Vec<String> = self
            .backend
            .last()
            .head
            .all("Grip-Last")
            .iter()
            .map(ToString::to_string)
            .collect();
        ids.sort();
        ids
    }
}

/// Nothing is asked again because a channel got its first subscriber.
pub(crate) fn calm(setup: Setup) -> Setup {
    setup.set("GRIP_UPDATE_ON_FIRST_SUBSCRIPTION", "false")
}

/// The handler of a backend that answers by path, see [`Site::new`].
pub(crate) fn by_path<'a>(
    pages: impl IntoIterator<Item = (&'a str, Vec<Vec<u8>>)>,
) -> impl Fn(&Request, &mut Reply) + Send + Sync + 'static {
    let pages: HashMap<String, Vec<Vec<u8>>> = pages
        .into_iter()
        .map(|(path, answers)| (path.to_owned(), answers))
        .collect();
    let counts: Mutex<HashMap<String, usize>> = Mutex::default();
    move |request, reply| {
        let path = request.head.target().split('?').next().unwrap_or_default();
        let page = path.strip_prefix("/debug").unwrap_or(path);
        let n = {
            let mut counts = counts.lock().unwrap();
            let count = counts.entry(path.to_owned()).or_default();
            *count += 1;
            *count - 1
        };
        match pages.get(page) {
            Some(answers) => reply.send(&answers[n.min(answers.len() - 1)]),
            None => reply.send(answer("404 Not Found", "", "not here\n")),
        };
    }
}

/// A plain answer.
pub(crate) fn plain(text: &str) -> Vec<u8> {
    answer("200 OK", "Content-Type: text/plain\r\n", text)
}

/// An answer that holds a long-poll; `late\n` is its body.
pub(crate) fn poll(headers: &[&str]) -> Vec<u8> {
    instruct(&[&["Grip-Hold: response"], headers].concat(), "late\n")
}

/// An answer that holds a stream; `hi\n` is its body.
pub(crate) fn stream(headers: &[&str]) -> Vec<u8> {
    stream_with(headers, "hi\n")
}

/// An answer that holds a stream with this body.
pub(crate) fn stream_with(headers: &[&str], body: &str) -> Vec<u8> {
    instruct(&[&["Grip-Hold: stream"], headers].concat(), body)
}

/// An item whose content is its id and a comma. An empty `prev`: none.
pub(crate) fn item(channel: &str, id: &str, prev: &str) -> Value {
    let mut item = json!({
        "channel": channel, "id": id, "http-stream": {"content": format!("{id},")}
    });
    if !prev.is_empty() {
        item["prev-id"] = prev.into();
    }
    item
}

/// An item that waits for nobody.
pub(crate) fn unordered(channel: &str, id: &str, prev: &str) -> Value {
    let mut item = item(channel, id, prev);
    item["no-seq"] = true.into();
    item
}

/// An item for streams with meta.
pub(crate) fn with_meta(channel: &str, content: &str, meta: &Value) -> Value {
    json!({"channel": channel, "meta": meta, "http-stream": {"content": content}})
}
