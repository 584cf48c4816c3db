//! What subscribers get, case by case (`vector N`: seen of Pushpin), and against a naive model.

use proptest::prelude::*;

use super::*;
use crate::grip::{
    filter::FormatFault,
    format::{
        MessageFormat, MessageKind, ResponseBody, ResponseContent, ResponseFormat, StreamFormat,
    },
};

/// All sessions here have these channels.
struct Session;

impl Subscriptions for Session {
    fn is_subscribed(&self, name: &str) -> bool {
        matches!(name, "a" | "b")
    }

    fn prev_id(&self, name: &str) -> Option<&str> {
        (name == "b").then_some("9")
    }
}

fn standing(prev_id: Option<&str>, filters: &str, meta: &[(&str, &str)]) -> Standing {
    let meta = meta.iter();
    let meta = meta.map(|&(name, value)| (name.to_owned(), Some(value.to_owned())));
    let channel = Channel {
        name: "a".to_owned(),
        prev_id: prev_id.map(str::to_owned),
        filters: filters.split_whitespace().map(str::to_owned).collect(),
    };
    *Standing::of(
        &channel,
        &Arc::new(meta.collect()),
        &Bytes::from("{\"l\":[]}\n"),
    )
    .unwrap()
}

/// What all forms of an item ask for.
#[derive(Clone, Debug)]
enum Action {
    Send(&'static str),
    Hint,
    Close,
    Refresh,
}

fn item(ids: (Option<&str>, Option<&str>), action: &Action) -> Item {
    let mut item = Item {
        channels: vec!["a".to_owned()],
        id: ids.0.map(str::to_owned),
        prev_id: ids.1.map(str::to_owned),
        ..Item::default()
    };
    item.formats.response = Some(match action {
        Action::Send(content) => answer(ResponseBody::Bytes(Bytes::from(*content))),
        Action::Hint => ResponseFormat::Hint,
        Action::Close => ResponseFormat::Close,
        Action::Refresh => ResponseFormat::Refresh,
    });
    item.formats.stream = Some(match action {
        Action::Send(content) => StreamFormat::Send {
            content: Bytes::from(*content),
            content_filters: None,
        },
        Action::Hint => StreamFormat::Hint,
        Action::Close => StreamFormat::Close,
        Action::Refresh => StreamFormat::Refresh,
    });
    item.formats.message = Some(match action {
        Action::Send(content) => MessageFormat::Send {
            kind: MessageKind::Text,
            content: Bytes::from(*content),
            content_filters: None,
        },
        Action::Hint => MessageFormat::Hint,
        Action::Close => MessageFormat::Close {
            code: Some(4009),
            reason: None,
        },
        Action::Refresh => MessageFormat::Refresh,
    });
    item
}

fn answer(body: ResponseBody) -> ResponseFormat {
    ResponseFormat::Send(ResponseContent {
        code: 200,
        reason: None,
        headers: Vec::new(),
        body,
        content_filters: None,
    })
}

fn patch(patch: &str) -> ResponseFormat {
    answer(ResponseBody::Patch(serde_json::from_str(patch).unwrap()))
}

fn with_content_filters(mut item: Item, names: &[&str]) -> Item {
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    if let Some(ResponseFormat::Send(content)) = &mut item.formats.response {
        content.content_filters = Some(names.clone());
    }
    if let Some(StreamFormat::Send {
        content_filters, ..
    }) = &mut item.formats.stream
    {
        *content_filters = Some(names.clone());
    }
    if let Some(MessageFormat::Send {
        content_filters, ..
    }) = &mut item.formats.message
    {
        *content_filters = Some(names);
    }
    item
}

const POLL: Mode = Mode::Response;
const STREAM: Mode = Mode::Stream;
const SOCKET: Mode = Mode::Message;
const ANSWER: Decision = Decision::Answer { body: None };
const APPEND: Decision = Decision::Append { content: None };
const MESSAGE: Decision = Decision::Send { content: None };
const GAP: Decision = Decision::Recover(Cause::Gap);
const HINT: Decision = Decision::Recover(Cause::Hint);
const REFRESH: Decision = Decision::Recover(Cause::Refresh);

fn own(mode: Mode, content: &str) -> Decision {
    let content = Some(Bytes::copy_from_slice(content.as_bytes()));
    match mode {
        Mode::Response => Decision::Answer { body: content },
        Mode::Stream => Decision::Append { content },
        Mode::Message => Decision::Send { content },
    }
}

#[test]
fn plain_subscribers_get_what_the_form_of_their_mode_asks_for() {
    let ids = (Some("1"), None);
    let neither = Item::default();
    let mut stream_only = item(ids, &Action::Send("x"));
    (stream_only.formats.response, stream_only.formats.message) = (None, None);
    for (case, item, poll, stream, socket) in [
        (
            "send",
            item(ids, &Action::Send("x")),
            ANSWER,
            APPEND,
            MESSAGE,
        ),
        (
            "nothing to append; vector 45 of WebSockets: an empty text",
            item(ids, &Action::Send("")),
            ANSWER,
            Decision::Pass,
            MESSAGE,
        ),
        (
            "vectors 52 and 69: close; vector 49 of WebSockets",
            item(ids, &Action::Close),
            Decision::Pass,
            Decision::End,
            Decision::End,
        ),
        (
            "vector 54: hint",
            item(ids, &Action::Hint),
            HINT,
            HINT,
            Decision::Pass,
        ),
        (
            "refresh; vector 48 of WebSockets",
            item(ids, &Action::Refresh),
            Decision::Pass,
            Decision::Pass,
            REFRESH,
        ),
        (
            "vector 51: one form",
            stream_only,
            Decision::Pass,
            APPEND,
            Decision::Pass,
        ),
        (
            "no form",
            neither,
            Decision::Pass,
            Decision::Pass,
            Decision::Pass,
        ),
    ] {
        assert_eq!(plain(&item, SOCKET), socket, "{case}");
        assert_eq!(plain(&item, POLL), poll, "{case}");
        assert_eq!(plain(&item, STREAM), stream, "{case}");
    }
}

#[test]
fn a_channel_with_neither_prev_id_nor_known_filters_is_plain() {
    let of = |channel: &Channel| Standing::of(channel, &Arc::default(), &Bytes::from("body"));
    let mut channel = Channel {
        filters: vec!["zzz".to_owned(), "Skip-Self".to_owned()],
        ..Channel::default()
    };
    assert_eq!(of(&channel), None, "vector 99");
    channel.filters.push("skip-self".to_owned());
    let standing = of(&channel).unwrap();
    assert_eq!(standing.filters, [Filter::SkipSelf]);
    assert_eq!(standing.original, "", "kept only where it is needed");
    channel.filters.clear();
    channel.prev_id = Some(String::new());
    assert!(of(&channel).is_some(), "the empty string is an id");
}

/// Sends the item to all kinds of subscribers, who are at `at`: what they get, and where they are
/// then.
fn follow(
    at: Option<&str>,
    ids: (Option<&str>, Option<&str>),
    action: &Action,
) -> ([Decision; 3], Option<String>) {
    let item = item(ids, action);
    let [poll, stream, socket] = [POLL, STREAM, SOCKET].map(|mode| {
        let mut standing = standing(at, "", &[]);
        (standing.decide(&item, mode, &Session), standing.prev_id)
    });
    assert_eq!(poll.1, stream.1, "{action:?}");
    assert_eq!(poll.1, socket.1, "{action:?}");
    ([poll.0, stream.0, socket.0], poll.1)
}

const SEND: Action = Action::Send("x");

#[test]
fn what_follows_moves_the_place() {
    let pass = Decision::Pass;
    for (case, action, want) in [
        ("vector 55", SEND, [ANSWER, APPEND, MESSAGE]),
        ("vector 53", Action::Hint, [HINT, HINT, HINT]),
        (
            "close",
            Action::Close,
            [pass.clone(), Decision::End, Decision::End],
        ),
        ("refresh", Action::Refresh, [pass.clone(), pass, REFRESH]),
    ] {
        let (decisions, at) = follow(Some("5"), (Some("6"), Some("5")), &action);
        assert_eq!(decisions, want, "{case}");
        assert_eq!(at.as_deref(), Some("6"), "{case}");
    }
}

#[test]
fn a_gap_leaves_the_place() {
    for (case, at, prev_id) in [
        ("vector 56: another", "1", Some("8")),
        ("vector 56: none", "1", None),
        ("the empty id is one", "", None),
        ("and not any", "1", Some("")),
    ] {
        for action in [SEND, Action::Hint, Action::Close, Action::Refresh] {
            let (decisions, after) = follow(Some(at), (Some("9"), prev_id), &action);
            assert_eq!(decisions, [GAP, GAP, GAP], "{case}, {action:?}");
            assert_eq!(after.as_deref(), Some(at), "{case}, {action:?}");
        }
    }
}

#[test]
fn ids_need_not_be_there() {
    let empty = (Some("6"), Some(""));
    let (decisions, at) = follow(Some(""), empty, &SEND);
    assert_eq!(
        (decisions, at.as_deref()),
        ([ANSWER, APPEND, MESSAGE], Some("6"))
    );
    let (decisions, at) = follow(Some("5"), (None, Some("5")), &SEND);
    assert_eq!(
        (decisions, at),
        ([ANSWER, APPEND, MESSAGE], None),
        "the checks end"
    );
}

#[test]
fn no_seq_items_are_checked_too() {
    let mut standing = standing(Some("9"), "", &[]);
    for (case, id, prev_id, no_seq, want) in [
        ("vector 82", "10", "9", false, APPEND),
        ("vector 82", "12", "10", true, APPEND),
        ("vector 82", "15", "14", true, GAP),
        ("vector 82: and again", "15", "14", true, GAP),
        ("what follows goes on", "13", "12", false, APPEND),
    ] {
        let mut item = item((Some(id), Some(prev_id)), &Action::Send("x"));
        item.no_seq = no_seq;
        assert_eq!(
            standing.decide(&item, STREAM, &Session),
            want,
            "{case}: {id}"
        );
    }
}

#[test]
fn an_item_without_a_form_keeps_the_place_and_makes_no_gap() {
    let mut standing = standing(Some("1"), "require-sub", &[]);
    let mut item = item((Some("2"), Some("1")), &Action::Send("x"));
    item.formats.stream = None;
    assert_eq!(standing.decide(&item, STREAM, &Session), Decision::Pass);
    assert_eq!(standing.prev_id.as_deref(), Some("2"));
    assert_eq!(standing.decide(&item, STREAM, &Session), Decision::Pass);
    assert_eq!(standing.prev_id.as_deref(), Some("2"));
}

#[test]
fn a_dropped_item_counts_as_seen() {
    let drops = [
        ("skip-self", "sender", "u"),
        ("skip-users", "skip_users", "x, u"),
        ("require-sub", "require_sub", "c"),
    ];
    for (filter, name, value) in drops {
        for action in [Action::Send("x"), Action::Hint, Action::Close] {
            for mode in [POLL, STREAM, SOCKET] {
                let mut standing = standing(Some("1"), filter, &[("user", "u")]);
                let mut item = item((Some("2"), Some("1")), &action);
                item.meta.insert(name.to_owned(), value.to_owned());
                let decision = standing.decide(&item, mode, &Session);
                assert_eq!(decision, Decision::Pass, "{filter}, {action:?}");
                assert_eq!(
                    standing.prev_id.as_deref(),
                    Some("2"),
                    "{filter}, {action:?}"
                );
            }
        }
    }
}

#[test]
fn content_filters_must_be_the_subscriptions() {
    let send = || item((Some("2"), Some("1")), &Action::Send("x"));
    let mismatch = |subscription: &str, message: &str| {
        Decision::Skip(Unfit::Mismatch {
            subscription: subscription.to_owned(),
            message: message.to_owned(),
        })
    };
    let filters = "skip-self var-subst";
    for (case, filters, names, want) in [
        (
            "vector 98: none",
            filters,
            &[][..],
            mismatch("var-subst", ""),
        ),
        ("vector 98: the same", filters, &["var-subst"], APPEND),
        (
            "vector 98: all",
            filters,
            &["skip-self", "var-subst"],
            mismatch("var-subst", "skip-self,var-subst"),
        ),
        (
            "order",
            "var-subst build-id",
            &["build-id", "var-subst"],
            mismatch("var-subst,build-id", "build-id,var-subst"),
        ),
    ] {
        let mut standing = standing(Some("1"), filters, &[]);
        let item = with_content_filters(send(), names);
        assert_eq!(standing.decide(&item, STREAM, &Session), want, "{case}");
        let moved = standing.prev_id.as_deref() == Some("2");
        assert_eq!(moved, want == APPEND, "{case}");
    }
    assert_eq!(
        plain(&with_content_filters(send(), &[]), STREAM),
        APPEND,
        "vector 98"
    );
    let item = with_content_filters(send(), &["var-subst"]);
    let decision = plain(&item, POLL);
    assert_eq!(decision, mismatch("", "var-subst"), "vector 98");
    let Decision::Skip(unfit) = decision else {
        unreachable!()
    };
    let text = "content filter mismatch: subscription= message=var-subst";
    assert_eq!(unfit.to_string(), text);
}

#[test]
fn content_is_filtered_for_all_modes() {
    let meta = [("user", "u"), ("id_format", "e%(a)s,%(b)s")];
    for (case, filters, content, want) in [
        ("vector 97", "var-subst", "%(user)s%%", Some("u%")),
        ("vector 100", "build-id", "id: %I", Some("id: e2,9")),
        ("shared", "build-id var-subst skip-self", "plain", None),
    ] {
        for mode in [POLL, STREAM, SOCKET] {
            let mut standing = standing(Some("1"), filters, &meta);
            let item = item((Some("2"), Some("1")), &Action::Send(content));
            let want = want.map_or_else(
                || Form::of(&item, mode, true).decision(None),
                |content| own(mode, content),
            );
            assert_eq!(standing.decide(&item, mode, &Session), want, "{case}");
        }
    }
}

#[test]
fn a_failing_filter_skips_the_item_and_keeps_the_place() {
    for mode in [POLL, STREAM] {
        let mut standing = standing(Some("1"), "var-subst", &[]);
        let item = item((Some("2"), Some("1")), &Action::Send("x %(q)s"));
        let Decision::Skip(unfit) = standing.decide(&item, mode, &Session) else {
            panic!("vectors 67 and 97");
        };
        let text = "filter error: var-subst: no value for 'q' at position 6";
        assert_eq!(unfit.to_string(), text);
        assert!(matches!(
            unfit,
            Unfit::Filter(FilterError::VarSubst(error))
                if matches!(error.fault, FormatFault::Missing { .. })
        ));
        assert_eq!(standing.prev_id.as_deref(), Some("1"));
    }
}

#[test]
fn content_that_a_filter_emptied_does_not_end_the_stream() {
    let mut standing = standing(Some("1"), "var-subst", &[("none", "")]);
    let item = item((Some("2"), Some("1")), &Action::Send("%(none)s"));
    assert_eq!(standing.decide(&item, STREAM, &Session), Decision::Pass);
    assert_eq!(standing.prev_id.as_deref(), Some("2"));
}

#[test]
fn a_patch_is_applied_before_content_filters() {
    let add = "[{\"op\":\"add\",\"path\":\"/l/-\",\"value\":\"%(user)s\"}]";
    let missing = "[{\"op\":\"remove\",\"path\":\"/zz\"}]";
    let meta = [("user", "u")];
    let mut item = item((None, None), &Action::Hint);
    for (case, filters, ops, want) in [
        (
            "filtered",
            "skip-self var-subst",
            add,
            own(POLL, "{\"l\":[\"u\"]}\n"),
        ),
        ("not filtered", "skip-self", add, ANSWER),
        (
            "it does not fit: told where it is sent",
            "var-subst",
            missing,
            ANSWER,
        ),
    ] {
        item.formats.response = Some(patch(ops));
        let decision = standing(None, filters, &meta).decide(&item, POLL, &Session);
        assert_eq!(decision, want, "{case}");
    }
}

fn reply(code: u16, action: Option<&'static [u8]>, body: &'static str) -> Reply<'static> {
    Reply {
        code,
        action,
        body: Bytes::from(body),
    }
}

/// Decides about an item with the backend's `replies`, for a stream at id 1. Checks that nothing
/// moves while a question is open, and returns also whether the stream moved in the end.
fn ask(filters: &str, action: &Action, replies: &[Reply<'_>]) -> (Decision, bool) {
    let mut standing = standing(Some("1"), filters, &[("url", "/f")]);
    let item = item((Some("2"), Some("1")), action);
    let mut decision = standing.decide(&item, STREAM, &Session);
    for reply in replies {
        let Decision::Ask(ask) = decision else {
            panic!("{filters}, {action:?}: {decision:?}");
        };
        assert_eq!(standing.prev_id.as_deref(), Some("1"));
        decision = standing.resume(&item, STREAM, &Session, ask, reply);
    }
    (decision, standing.prev_id.as_deref() == Some("2"))
}

fn yes() -> Reply<'static> {
    reply(204, None, "")
}

fn no() -> Reply<'static> {
    reply(200, Some(b"drop"), "")
}

fn fault() -> Reply<'static> {
    reply(500, None, "")
}

const FAULT: Decision = Decision::Skip(Unfit::Filter(FilterError::Status { code: 500 }));

#[test]
fn the_backend_may_check() {
    let (check, pass) = ("http-check", Decision::Pass);
    for (case, action, reply, want, moved) in [
        ("vector 101: yes", SEND, yes(), APPEND, true),
        ("vector 101: no", SEND, no(), pass.clone(), true),
        ("vector 101: 500", SEND, fault(), FAULT, false),
        ("a close", Action::Close, yes(), Decision::End, true),
        ("no close", Action::Close, no(), pass.clone(), true),
        ("a hint", Action::Hint, yes(), HINT, true),
        ("no hint", Action::Hint, no(), pass, true),
    ] {
        assert_eq!(ask(check, &action, &[reply]), (want, moved), "{case}");
    }
    let text = "filter error: unexpected network request status: code=500";
    let (Decision::Skip(unfit), _) = ask(check, &SEND, &[fault()]) else {
        panic!("a fault is not obeyed");
    };
    assert_eq!(unfit.to_string(), text, "vector 101");
}

#[test]
fn the_backend_may_modify() {
    let new = |body| reply(200, None, body);
    let end = Decision::End;
    for (case, action, reply, want, moved) in [
        ("vector 102", SEND, new("<m>"), own(STREAM, "<m>"), true),
        ("vector 102: 204", SEND, yes(), APPEND, true),
        ("vector 102: drop", SEND, no(), Decision::Pass, true),
        ("emptied", SEND, new(""), Decision::Pass, true),
        ("a fault", SEND, fault(), FAULT, false),
        ("a close", Action::Close, new("n"), end, true),
    ] {
        let outcome = ask("http-modify", &action, &[reply]);
        assert_eq!(outcome, (want, moved), "{case}");
    }
}

#[test]
fn the_backend_may_be_asked_twice() {
    for (case, second, want, moved) in [
        ("yes", reply(200, None, "n"), own(STREAM, "n"), true),
        ("no", no(), Decision::Pass, true),
        ("fault", fault(), FAULT, false),
    ] {
        let outcome = ask("http-check http-modify", &SEND, &[yes(), second]);
        assert_eq!(outcome, (want, moved), "{case}");
    }
}

#[test]
fn nobody_is_asked_about_what_means_nothing() {
    for (mode, action) in [
        (POLL, Action::Close),
        (POLL, Action::Refresh),
        (STREAM, Action::Refresh),
    ] {
        let mut standing = standing(Some("1"), "http-check", &[("url", "/f")]);
        let item = item((Some("2"), Some("1")), &action);
        assert_eq!(standing.decide(&item, mode, &Session), Decision::Pass);
        assert_eq!(standing.prev_id.as_deref(), Some("2"));
    }
}

#[test]
fn the_backend_is_told_all_meta_in_headers() {
    let mut standing = standing(None, "http-check", &[("user", "ü\u{1f600}"), ("a", "\"\\")]);
    Arc::make_mut(&mut standing.meta).insert("null".to_owned(), None);
    let mut item = Item::default();
    item.meta.insert("x".to_owned(), "1\r\n\u{7f}".to_owned());
    for (header, (name, value)) in standing.meta_headers(&item).iter().zip([
        (
            "Sub-Meta",
            r#"{"a":"\"\\","null":null,"user":"\u00fc\ud83d\ude00"}"#,
        ),
        ("Pub-Meta", r#"{"x":"1\r\n\u007f"}"#),
    ]) {
        assert_eq!(header.name, name);
        assert_eq!(header.value, value);
    }
    assert_eq!(standing.meta_headers(&Item::default())[1].value, "{}");
}

/// What a client sees, in the model's words.
#[derive(Debug, PartialEq)]
enum Seen {
    Content(String),
    End,
    Nothing,
    Recovery(Cause),
    Skipped,
}

/// The rules written down once more, for few contents and in the plainest way: the whole list of
/// filters first, as if the backend's answers were known.
fn model(
    prev_id: &mut Option<String>,
    filters: &[&str],
    (item, action, mode): (&Item, &Action, Mode),
    code: u16,
) -> Seen {
    if prev_id.is_some() && *prev_id != item.prev_id {
        return Seen::Recovery(Cause::Gap);
    }
    let idle = match mode {
        Mode::Response => matches!(action, Action::Close | Action::Refresh),
        Mode::Stream => matches!(action, Action::Refresh),
        Mode::Message => matches!(action, Action::Hint) && prev_id.is_none(),
    };
    let mut seen = match action {
        Action::Send(content) => Seen::Content((*content).to_owned()),
        Action::Hint => Seen::Recovery(Cause::Hint),
        Action::Close => Seen::End,
        Action::Refresh => Seen::Recovery(Cause::Refresh),
    };
    for filter in filters {
        let sent = matches!(seen, Seen::Content(_));
        let text = match &seen {
            Seen::Content(text) => text.clone(),
            _ => String::new(),
        };
        let next = match *filter {
            "skip-self" if item.meta.get("sender").is_some_and(|s| s == "u") => Seen::Nothing,
            "http-check" | "http-modify" if code == 500 => Seen::Skipped,
            "http-modify" if code == 200 && sent => Seen::Content("new".to_owned()),
            "var-subst" if text.contains("%I") => Seen::Skipped,
            "var-subst" if sent => Seen::Content(text.replace("%(user)s", "u")),
            "build-id" if text.contains(")s") => Seen::Skipped,
            "build-id" if text.contains("%I") && item.id.is_none() => Seen::Skipped,
            "build-id" if sent && item.id.is_none() => Seen::Skipped,
            "build-id" if sent => {
                Seen::Content(text.replace("%I", item.id.as_deref().unwrap_or_default()))
            }
            _ => continue,
        };
        let over = matches!(next, Seen::Nothing | Seen::Skipped);
        seen = next;
        if over {
            break;
        }
    }
    if idle {
        seen = Seen::Nothing;
    }
    if seen == Seen::Skipped {
        return seen;
    }
    if prev_id.is_some() {
        prev_id.clone_from(&item.id);
    }
    match seen {
        Seen::Content(text) if text.is_empty() && mode == STREAM => Seen::Nothing,
        seen => seen,
    }
}

fn seen(decision: Decision, item: &Item) -> Seen {
    let content = match decision {
        Decision::Answer { body: content }
        | Decision::Append { content }
        | Decision::Send { content } => content,
        Decision::End => return Seen::End,
        Decision::Pass => return Seen::Nothing,
        Decision::Recover(cause) => return Seen::Recovery(cause),
        Decision::Skip(_) => return Seen::Skipped,
        Decision::Ask(_) => panic!("answered before"),
    };
    let Some(StreamFormat::Send { content: own, .. }) = &item.formats.stream else {
        panic!("nothing to send");
    };
    let content = content.as_ref().unwrap_or(own);
    Seen::Content(String::from_utf8(content.to_vec()).unwrap())
}

fn actions() -> impl Strategy<Value = Action> {
    prop_oneof![
        6 => prop::sample::select(vec!["x", "", "%I.", "%(user)s."]).prop_map(Action::Send),
        1 => Just(Action::Hint),
        1 => Just(Action::Close),
        1 => Just(Action::Refresh),
    ]
}

fn ids() -> impl Strategy<Value = Option<String>> {
    prop::option::weighted(0.9, "[0-2]")
}

proptest! {
    #[test]
    fn decisions_are_those_of_the_model(
        first in ids(),
        filters in prop::collection::vec(
            prop::sample::select(vec![
                "build-id", "http-check", "http-modify", "skip-self", "var-subst",
            ]),
            1..5,
        ),
        mode in prop::sample::select(vec![POLL, STREAM, SOCKET]),
        items in prop::collection::vec(
            (ids(), ids(), actions(), any::<bool>(), prop::sample::select(vec![200, 204, 500])),
            1..24,
        ),
    ) {
        let meta = [("user", "u"), ("id_format", "%(a)s"), ("url", "/f")];
        let mut standing = standing(first.as_deref(), &filters.join(" "), &meta);
        let mut prev_id = first;
        for (id, before, action, sender, code) in items {
            let mut item = item((id.as_deref(), before.as_deref()), &action);
            if sender {
                item.meta.insert("sender".to_owned(), "u".to_owned());
            }
            let mut decision = standing.decide(&item, mode, &Session);
            while let Decision::Ask(ask) = decision {
                decision = standing.resume(&item, mode, &Session, ask, &reply(code, None, "new"));
            }
            let want = model(&mut prev_id, &filters, (&item, &action, mode), code);
            prop_assert_eq!(seen(decision, &item), want);
            prop_assert_eq!(&standing.prev_id, &prev_id);
        }
    }
}
