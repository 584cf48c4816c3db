//! Filters: names, `id_format`, meta values, then content, each ended by a NUL. Whatever they are,
//! a decision comes out, and what it appends to a stream is bounded and not empty.
//! Run: `cargo fuzz run filter fuzz/corpus/filter fuzz/seeds/filter`.

#![no_main]

use std::sync::Arc;

use bytes::Bytes;
use gripd::grip::{
    FILTER_LIMIT,
    channel::{Channel, Meta},
    delivery::{Decision, Standing},
    filter::{GROWTH_LIMIT, Reply, Subscriptions, response_content},
    format::StreamFormat,
    instruct::Mode,
    item::Item,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut parts = data.splitn(5, |&b| b == 0);
    let mut bytes = || parts.next().unwrap_or_default();
    let mut text = || String::from_utf8_lossy(bytes()).into_owned();
    let (names, format, user, other) = (text(), text(), text(), text());
    let content = Bytes::copy_from_slice(bytes());
    let names = names.split(' ').take(FILTER_LIMIT).map(str::to_owned);
    let channel = Channel {
        name: "a".to_owned(),
        prev_id: None,
        filters: names.collect(),
    };
    let meta: Meta = [
        ("id_format", Some(format)),
        ("user", Some(user)),
        ("url", Some("/".to_owned())),
        ("none", None),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    if let Err(error) = response_content(std::slice::from_ref(&channel), &meta, &content) {
        single_line(&error.to_string());
    }
    if let Some(standing) = Standing::of(&channel, &Arc::new(meta), &Bytes::new()) {
        decide(*standing, other, content);
    }
});

fn decide(mut standing: Standing, other: String, content: Bytes) {
    let size = content.len();
    let mut item = Item {
        id: Some("1".to_owned()),
        ..Item::default()
    };
    for name in ["sender", "skip_users", "require_sub"] {
        item.meta.insert(name.to_owned(), other.clone());
    }
    item.formats.stream = Some(StreamFormat::Send {
        content,
        content_filters: None,
    });
    let mut decision = standing.decide(&item, Mode::Stream, &Session);
    let mut asked = 0;
    while let Decision::Ask(ask) = decision {
        asked += 1;
        assert!(asked <= FILTER_LIMIT);
        let reply = Reply {
            code: 200,
            action: None,
            body: ask.body.clone(),
        };
        decision = standing.resume(&item, Mode::Stream, &Session, ask, &reply);
    }
    match decision {
        Decision::Append {
            content: Some(content),
        } => assert!(!content.is_empty() && content.len() <= size + FILTER_LIMIT * GROWTH_LIMIT),
        Decision::Append { content: None } => assert!(size > 0),
        Decision::Pass => {}
        Decision::Skip(unfit) => single_line(&unfit.to_string()),
        other => panic!("{other:?}"),
    }
}

fn single_line(text: &str) {
    assert!(!text.contains(['\r', '\n', '\0']));
}

struct Session;

impl Subscriptions for Session {
    fn is_subscribed(&self, name: &str) -> bool {
        name == "a" || name == "b"
    }

    fn prev_id(&self, name: &str) -> Option<&str> {
        (name == "b").then_some("2")
    }
}
