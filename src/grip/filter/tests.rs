//! Each filter's rule, the answers Pushpin was seen to give (`vector N`), and properties.

use proptest::prelude::*;

use super::*;
use crate::grip::{BODY_LIMIT, FEATURES, channel::Channel};

fn meta(pairs: &[(&str, &str)]) -> Meta {
    let pairs = pairs.iter();
    pairs
        .map(|&(name, value)| (name.to_owned(), Some(value.to_owned())))
        .collect()
}

fn filters(names: &str) -> Vec<Filter> {
    names
        .split_whitespace()
        .map(|name| Filter::parse(name).unwrap())
        .collect()
}

/// A session with the channels `here`, whose item is looked at, `other` at id 3, and `bare`.
struct Session;

impl Subscriptions for Session {
    fn is_subscribed(&self, name: &str) -> bool {
        matches!(name, "here" | "other" | "bare")
    }

    fn prev_id(&self, name: &str) -> Option<&str> {
        assert_ne!(name, "here", "the item's own id counts");
        (name == "other").then_some("3")
    }
}

fn texts(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    let pairs = pairs.iter();
    pairs
        .map(|&(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// An item with id 6 and `content` on its way through `names`.
fn pass(
    names: &str,
    sub_meta: &[(&str, &str)],
    pub_meta: &[(&str, &str)],
    content: Option<&str>,
    replies: &[Reply<'_>],
) -> Result<Outcome, FilterError> {
    let mut sub_meta = meta(sub_meta);
    sub_meta.insert("null".to_owned(), None);
    let pub_meta = texts(pub_meta);
    let content = content.map(|content| Bytes::copy_from_slice(content.as_bytes()));
    let case = Case {
        channel: "here",
        id: Some("6"),
        sub_meta: &sub_meta,
        pub_meta: &pub_meta,
        content: content.as_ref(),
        subscriptions: &Session,
    };
    let filters = filters(names);
    let mut outcome = run(&filters, &case)?;
    for reply in replies {
        let Outcome::Ask(ask) = outcome else {
            panic!("{outcome:?} does not ask");
        };
        outcome = resume(ask, reply, &filters, &case)?;
    }
    Ok(outcome)
}

fn reply(code: u16, action: Option<&'static str>, body: &str) -> Reply<'static> {
    Reply {
        code,
        action: action.map(str::as_bytes),
        body: Bytes::copy_from_slice(body.as_bytes()),
    }
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "it stands beside errors in tables"
)]
fn changed(content: &str) -> Result<Outcome, String> {
    Ok(Outcome::Pass(Some(Bytes::copy_from_slice(
        content.as_bytes(),
    ))))
}

const SAME: Result<Outcome, String> = Ok(Outcome::Pass(None));
const DROP: Result<Outcome, String> = Ok(Outcome::Drop);

fn text<T>(result: Result<T, FilterError>) -> Result<T, String> {
    result.map_err(|error| error.to_string())
}

#[test]
fn every_announced_filter_is_known_by_its_name() {
    let mut known = 0;
    for feature in FEATURES.split(", ") {
        if let Some(name) = feature.strip_prefix("filter:") {
            assert_eq!(Filter::parse(name).map(Filter::name), Some(name));
            known += 1;
        }
    }
    assert_eq!(known, 7);
    assert_eq!(
        Filter::parse("Skip-Self"),
        None,
        "names are matched exactly"
    );
}

#[test]
fn which_filters_change_content() {
    let changing = filters("build-id http-modify var-subst");
    assert!(changing.into_iter().all(Filter::changes_content));
    let others = filters("http-check require-sub skip-self skip-users");
    assert!(!others.into_iter().any(Filter::changes_content));
}

/// Does `filter` keep an item with this meta from this user? Content does not matter.
fn drops(filter: &str, user: Option<&str>, given: Option<(&str, &str)>) -> bool {
    let user: Vec<_> = user.map(|user| ("user", user)).into_iter().collect();
    let given: Vec<_> = given.into_iter().collect();
    let [with, without] =
        [Some("x"), None].map(
            |content| match text(pass(filter, &user, &given, content, &[])) {
                Ok(Outcome::Drop) => true,
                outcome => {
                    assert_eq!(outcome, SAME);
                    false
                }
            },
        );
    assert_eq!(with, without);
    with
}

#[test]
fn senders_are_skipped() {
    for (case, user, sender, want) in [
        ("vector 66: the sender", Some("a"), Some("a"), true),
        ("vector 66: another", Some("a"), Some("b"), false),
        ("case matters", Some("a"), Some("A"), false),
        ("no sender", Some("a"), None, false),
        ("no user", None, Some("a"), false),
        ("neither has a name", Some(""), Some(""), false),
    ] {
        let sender = sender.map(|sender| ("sender", sender));
        assert_eq!(drops("skip-self", user, sender), want, "{case}");
        assert!(!drops("skip-users require-sub", user, sender), "{case}");
    }
}

#[test]
fn listed_users_are_skipped() {
    for (case, user, users, want) in [
        ("alone", Some("a"), Some("a"), true),
        ("among others", Some("a"), Some("b, a ,c"), true),
        ("others", Some("a"), Some("A,ab"), false),
        ("no list", Some("a"), None, false),
        ("no user", None, Some("a"), false),
        ("no name", Some(""), Some("x,,"), false),
    ] {
        let users = users.map(|users| ("skip_users", users));
        assert_eq!(drops("skip-users", user, users), want, "{case}");
        assert!(!drops("skip-self require-sub", user, users), "{case}");
    }
}

#[test]
fn another_subscription_is_required() {
    for (case, name, want) in [
        ("vector 104: other", Some("other"), false),
        ("vector 104: nope", Some("nope"), true),
        ("vector 104: none", None, false),
        ("its own channel", Some("here"), false),
        ("the empty name", Some(""), true),
    ] {
        let name = name.map(|name| ("require_sub", name));
        assert_eq!(drops("require-sub", None, name), want, "{case}");
        assert!(!drops("skip-self skip-users", None, name), "{case}");
    }
}

#[test]
fn every_filter_of_a_list_counts() {
    let sender = Some(("sender", "a"));
    let names = "require-sub skip-users skip-self";
    assert!(drops(names, Some("a"), sender));
    assert!(!drops("", Some("a"), sender));
}

#[test]
fn variables_are_replaced() {
    let meta = [("user", "h"), ("u2", "j%I"), ("a)b", "p")];
    for (case, content, want) in [
        ("vector 35", "%(user)s %(u2)s", changed("h j%I")),
        ("vector 97: percent", "100%%", changed("100%")),
        ("nothing to replace", "plain", SAME),
        ("an escape", "%(a\\)b)s", changed("p")),
        (
            "vectors 67 and 97: unknown key",
            "x %(q)s",
            Err("var-subst: no value for 'q' at position 6".to_owned()),
        ),
        (
            "a key without a value",
            "%(null)s",
            Err("var-subst: no value for 'null' at position 7".to_owned()),
        ),
        (
            "another directive",
            "%(user)I",
            Err("var-subst: unknown directive '%I' at position 7".to_owned()),
        ),
        (
            "no name",
            "%s",
            Err("var-subst: unknown directive '%s' at position 1".to_owned()),
        ),
    ] {
        let outcome = pass("var-subst", &meta, &[], Some(content), &[]);
        assert_eq!(text(outcome), want, "{case}");
    }
    assert_eq!(text(pass("var-subst", &[], &[], None, &[])), SAME);
}

#[test]
fn ids_are_built() {
    let error = |text: &str| Err(format!("build-id: {text}"));
    for (case, format, encoding, content, want) in [
        (
            "vector 100",
            Some("e%(here)s"),
            None,
            "id: %I",
            changed("id: e6"),
        ),
        (
            "two channels",
            Some("%(other)s,%(here)s"),
            None,
            "%I|%I",
            changed("3,6|3,6"),
        ),
        (
            "hex",
            Some("%(here)s;\n"),
            Some("hex"),
            "%I %(x)I",
            changed("363b0a 78"),
        ),
        (
            "an id of the content's own",
            Some("%(here)s"),
            None,
            "%(a\\)b)I%()I",
            changed("a)b"),
        ),
        ("no directive", Some("%(here)s"), None, "plain", SAME),
        (
            "no format",
            None,
            None,
            "plain",
            error("no sub meta 'id_format'"),
        ),
        (
            "a channel without id",
            Some("%(bare)s"),
            None,
            "plain",
            error("id_format: no value for 'bare' at position 7"),
        ),
        (
            "no channel",
            Some("%s"),
            None,
            "%I",
            error("id_format: unknown directive '%s' at position 1"),
        ),
        (
            "an encoding there is not",
            Some(""),
            Some("base64"),
            "%I",
            error("unknown id_encoding 'base64'; only 'hex' is known"),
        ),
        (
            "a variable",
            Some(""),
            None,
            "%(user)s",
            error("unknown directive '%s' at position 7"),
        ),
    ] {
        let format = format.map(|format| ("id_format", format));
        let encoding = encoding.map(|encoding| ("id_encoding", encoding));
        let meta: Vec<_> = format.into_iter().chain(encoding).collect();
        let outcome = pass("build-id", &meta, &[], Some(content), &[]);
        assert_eq!(text(outcome), want, "{case}");
    }
    assert_eq!(text(pass("build-id", &[], &[], None, &[])), SAME);
}

#[test]
fn filters_work_on_what_the_one_before_left() {
    let meta = [("id_format", "%(here)s"), ("user", "u"), ("url", "/f")];
    let content = Some("%I %%(user)s");
    let outcome = pass("build-id var-subst", &meta, &[], content, &[]);
    assert_eq!(text(outcome), changed("6 u"));
    let outcome = pass("build-id http-modify var-subst", &meta, &[], content, &[]);
    let Ok(Outcome::Ask(ask)) = outcome else {
        panic!("{outcome:?}");
    };
    assert_eq!(ask.body, "6 %(user)s");
    for (reply, want) in [
        (reply(204, None, ""), "6 u"),
        (reply(200, None, "<%(user)s>"), "<u>"),
    ] {
        let names = "build-id http-modify var-subst";
        assert_eq!(
            text(pass(names, &meta, &[], content, &[reply])),
            changed(want)
        );
    }
}

#[test]
fn the_backend_is_asked() {
    let url = [("url", "f?a=1")];
    for (names, content, body) in [
        ("http-check", Some("m"), ""),
        ("http-modify", Some("m"), "m"),
        ("http-modify", None, ""),
    ] {
        let outcome = pass(names, &url, &[], content, &[]);
        let Ok(Outcome::Ask(ask)) = outcome else {
            panic!("{names}: {outcome:?}");
        };
        assert_eq!(ask.filter.name(), names);
        assert_eq!(
            (&*ask.url, &ask.body[..]),
            ("f?a=1", body.as_bytes()),
            "{names}"
        );
        let error = text(pass(names, &[], &[], content, &[]));
        assert_eq!(error, Err("missing url value".to_owned()), "{names}");
    }
}

#[test]
fn the_backend_answers() {
    let (check, modify) = ("http-check", "http-modify");
    let (full, over) = ("y".repeat(BODY_LIMIT), "y".repeat(BODY_LIMIT + 1));
    let status = |code| Err(format!("unexpected network request status: code={code}"));
    let too_big = Err("network response exceeded 100000 bytes".to_owned());
    for (case, names, reply, want) in [
        ("vector 101: 200", check, reply(200, None, "zzz"), SAME),
        (
            "vector 101: drop",
            check,
            reply(200, Some("drop"), ""),
            DROP,
        ),
        ("vector 101: 204", check, reply(204, None, ""), SAME),
        ("vector 101: 500", check, reply(500, None, ""), status(500)),
        (
            "a fault drops nothing",
            check,
            reply(502, Some("drop"), ""),
            status(502),
        ),
        ("another 2xx", check, reply(201, None, ""), status(201)),
        ("another action", check, reply(200, Some("Drop"), ""), SAME),
        ("a long body", check, reply(200, None, &over), SAME),
        (
            "vector 102: 200",
            modify,
            reply(200, None, "<m0\n>"),
            changed("<m0\n>"),
        ),
        ("vector 102: 204", modify, reply(204, None, "zzz"), SAME),
        (
            "vector 102: drop",
            modify,
            reply(204, Some(" drop "), "zzz"),
            DROP,
        ),
        (
            "vector 102: full",
            modify,
            reply(200, None, &full),
            changed(&full),
        ),
        (
            "vector 102: too big",
            modify,
            reply(200, None, &over),
            too_big,
        ),
        ("no content left", modify, reply(200, None, ""), changed("")),
    ] {
        let outcome = pass(names, &[("url", "/f")], &[], Some("m"), &[reply]);
        assert_eq!(text(outcome), want, "{case}");
    }
}

#[test]
fn what_has_no_content_gets_none() {
    let replies = [reply(200, None, "zzz"), reply(200, None, "zzz")];
    let outcome = pass(
        "http-modify http-check",
        &[("url", "/f")],
        &[],
        None,
        &replies,
    );
    assert_eq!(text(outcome), SAME);
}

#[test]
fn responses_get_ids_of_their_own_only() {
    let channel = |filters: &[&str]| Channel {
        filters: filters.iter().map(|&f| f.to_owned()).collect(),
        ..Channel::default()
    };
    let with = [channel(&[]), channel(&["var-subst", "build-id"])];
    let without = [channel(&["var-subst", "http-modify", "Build-Id"])];
    let plain = meta(&[("id_format", "x"), ("user", "a")]);
    let hex = meta(&[("id_format", "x"), ("id_encoding", "hex")]);
    let nowhere = "build-id: No ID specified and no default ID in context at position 4";
    for (case, channels, meta, body, want) in [
        ("vector 38", &with[..], &plain, "id=%I", Err(nowhere)),
        ("an id", &with, &plain, "%(a)I%%", Ok("a%")),
        (
            "twice and in hex",
            &with,
            &hex,
            "%(a)I %(jk)I",
            Ok("61 6a6b"),
        ),
        (
            "no format",
            &with,
            &Meta::new(),
            "x",
            Err("build-id: no sub meta 'id_format'"),
        ),
        (
            "no filter",
            &without,
            &plain,
            "%I %(user)s",
            Ok("%I %(user)s"),
        ),
        ("no channel", &[], &plain, "%I", Ok("%I")),
    ] {
        let body = Bytes::copy_from_slice(body.as_bytes());
        let out = text(response_content(channels, meta, &body));
        let want = want.map_err(str::to_owned);
        assert_eq!(
            out,
            want.map(|body| Bytes::copy_from_slice(body.as_bytes())),
            "{case}"
        );
    }
}

proptest! {
    #[test]
    fn hex_is_twice_as_long_and_lower_case(id in "[ -$&-~é]{0,9}") {
        let meta = [("id_format", &*id), ("id_encoding", "hex")];
        let outcome = pass("build-id", &meta, &[], Some("%I."), &[]);
        let hex = id.bytes().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
        prop_assert_eq!(text(outcome), changed(&format!("{hex}.")));
    }

    #[test]
    fn texts_of_errors_are_single_lines(names in prop::sample::select(vec!["build-id", "var-subst"]),
        format: String, content: String)
    {
        if let Err(error) = pass(names, &[("id_format", &format)], &[], Some(&content), &[]) {
            prop_assert!(!error.to_string().contains(['\r', '\n', '\0']));
        }
    }
}
