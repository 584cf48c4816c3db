//! Which requests pass, and what the others are told.

use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const NOW: u64 = 1_800_000_000;

fn control(change: impl FnOnce(&mut Control)) -> Credentials {
    let mut control = Control::default();
    change(&mut control);
    Credentials::new(&control, Path::new("")).unwrap()
}

fn set_token(control: &mut Control) {
    control.token = Secret("s3cret".into());
}

fn set_jwt(control: &mut Control) {
    control.jwt_iss = "app".into();
    control.jwt_key = Secret("jwt-key".into());
}

fn set_basic(control: &mut Control) {
    control.user = "ann".into();
    control.password = Secret("a:b c".into());
}

fn judge(credentials: &Credentials, path: &str, lines: &str) -> Result<Pass, Denied> {
    let head = format!("POST {path} HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n");
    credentials.judge(&Head::read(head.as_bytes()), NOW)
}

/// What a publish with this `Authorization` gets: `None`, or the sentence of its 401.
fn refusal(credentials: &Credentials, value: &str) -> Option<String> {
    let judged = judge(
        credentials,
        "/publish",
        &format!("Authorization: {value}\r\n"),
    );
    assert!(!matches!(judged, Ok(Pass::Anybody)), "{value}");
    judged.err().map(|denied| denied.to_string())
}

fn jwt(claims: &Value, key: &str) -> String {
    let key = EncodingKey::from_secret(key.as_bytes());
    encode(&Header::new(Algorithm::HS256), claims, &key).unwrap()
}

fn basic(pair: &str) -> String {
    format!("Basic {}", STANDARD.encode(pair))
}

#[test]
fn nobody_is_asked_where_nothing_is_set() {
    let nobody = control(|_| {});
    for lines in ["", "Authorization: Bearer x\r\n", "Authorization: \r\n"] {
        assert_eq!(
            judge(&nobody, "/publish", lines),
            Ok(Pass::Anybody),
            "{lines}"
        );
    }
}

#[test]
fn a_token_is_right_or_told_why_not() {
    let credentials = control(set_token);
    for right in ["Bearer s3cret", "bearer s3cret", "BEARER   s3cret"] {
        assert_eq!(refusal(&credentials, right), None, "{right}");
    }
    let send = ". Send Authorization: Bearer and the token of control.token.";
    for (wrong, why) in [
        ("Bearer s3creT", "the token is wrong"),
        ("Bearer s3cre", "the token is wrong"),
        ("Bearer s3crets", "the token is wrong"),
        ("Bearer a.b.c", "the token is wrong"),
        (
            "Bearer",
            "the Authorization header is malformed: nothing follows Bearer",
        ),
        (
            "Bearer ",
            "the Authorization header is malformed: nothing follows Bearer",
        ),
        (
            "s3cret",
            "the Authorization header is malformed: its scheme is neither Bearer nor Basic",
        ),
        (
            "",
            "the Authorization header is malformed: its scheme is neither Bearer nor Basic",
        ),
        (&basic("a:s3cret"), "Basic is not taken here"),
        (
            "Basic ?",
            "the Authorization header is malformed: what follows Basic is not base64 of USER:PASSWORD",
        ),
    ] {
        let sentence = format!("Unauthorized: {why}{send}");
        assert_eq!(refusal(&credentials, wrong), Some(sentence), "{wrong}");
    }
    let twice = "Authorization: Bearer s3cret\r\nAuthorization: Bearer s3cret\r\n";
    for (lines, why) in [
        ("", "there is no Authorization header"),
        (twice, "more than one"),
    ] {
        let denied = judge(&credentials, "/publish", lines)
            .unwrap_err()
            .to_string();
        assert!(denied.contains(why), "{denied}");
    }
}

#[test]
fn a_jwt_is_right_or_told_why_not() {
    let credentials = control(set_jwt);
    let signed = |claims: Value| format!("Bearer {}", jwt(&claims, "jwt-key"));
    let right = json!({ "iss": "app", "exp": NOW + 1 });
    assert_eq!(refusal(&credentials, &signed(right.clone())), None);
    let forged = format!("Bearer {}", jwt(&right, "changeme"));
    for (wrong, why) in [
        (
            signed(json!({ "iss": "app", "exp": NOW - 5 })),
            "the JWT has expired: its exp is 1799999995, 5 s ago by gripd's clock",
        ),
        (
            signed(json!({ "iss": "app", "exp": NOW })),
            "the JWT has expired",
        ),
        (signed(json!({ "iss": "app" })), "it has no exp"),
        (
            signed(json!({ "iss": "other", "exp": NOW + 1 })),
            "another iss than \"app\" (control.jwt_iss)",
        ),
        (
            signed(json!({ "exp": NOW + 1 })),
            "another iss than \"app\" (control.jwt_iss)",
        ),
        (
            forged,
            "its signature is not made with the key (control.jwt_key)",
        ),
        ("Bearer a.b.c".into(), "it is no JWT"),
        ("Bearer s3cret".into(), "it is no JWT"),
    ] {
        let said = refusal(&credentials, &wrong).unwrap();
        assert!(said.contains(why), "{said}");
        assert!(
            said.contains("GRIP_URL=http://...?iss=ISS&key=KEY"),
            "{said}"
        );
    }
}

#[test]
fn a_name_and_a_password_are_right_or_told_why_not() {
    let credentials = control(set_basic);
    let right = basic("ann:a:b c");
    let unpadded = right.trim_end_matches('=').to_owned();
    let of_python = format!("Basic b'{}'", STANDARD.encode("ann:a:b c"));
    for right in [right, unpadded, of_python] {
        assert_eq!(refusal(&credentials, &right), None, "{right}");
    }
    for (wrong, why) in [
        (basic("ann:a:b d"), "user or password is wrong"),
        (basic("bob:a:b c"), "user or password is wrong"),
        (basic(":"), "user or password is wrong"),
        (basic("ann"), "is not base64 of USER:PASSWORD"),
        ("Basic".into(), "is not base64 of USER:PASSWORD"),
        ("Basic b'".into(), "is not base64 of USER:PASSWORD"),
        ("Bearer x".into(), "Bearer is not taken here"),
    ] {
        let said = refusal(&credentials, &wrong).unwrap();
        assert!(said.contains(why), "{wrong}: {said}");
        assert!(
            said.ends_with("Send Authorization: Basic with control.user and control.password.")
        );
    }
}

#[test]
fn any_one_of_several_is_enough() {
    let credentials = control(|control| {
        set_token(control);
        set_jwt(control);
        set_basic(control);
    });
    let token = jwt(&json!({ "iss": "app", "exp": NOW + 1 }), "jwt-key");
    for right in [
        format!("Bearer {token}"),
        "Bearer s3cret".into(),
        basic("ann:a:b c"),
    ] {
        assert_eq!(refusal(&credentials, &right), None, "{right}");
    }
    let said = refusal(&credentials, "Bearer nonsense").unwrap();
    assert!(
        said.starts_with("Unauthorized: the token is wrong. "),
        "{said}"
    );
    assert_eq!(said.matches("; or ").count(), 2, "{said}");
    let expired = jwt(&json!({ "iss": "app", "exp": 1 }), "jwt-key");
    let said = refusal(&credentials, &format!("Bearer {expired}")).unwrap();
    assert!(said.contains("has expired"), "{said}");
}

#[test]
fn challenges_name_the_schemes_that_are_set() {
    let challenges = |credentials: &Credentials, lines: &str| {
        let denied = judge(credentials, "/publish", lines).unwrap_err();
        denied.challenges().collect::<Vec<_>>()
    };
    let wrong = "Authorization: Bearer x\r\n";
    let both = control(|control| {
        set_token(control);
        set_basic(control);
    });
    assert_eq!(challenges(&both, ""), [BEARER, BASIC]);
    let invalid = format!("{BEARER}, error=\"invalid_token\"");
    assert_eq!(challenges(&both, wrong), [invalid.as_str(), BASIC]);
    assert_eq!(challenges(&control(set_jwt), wrong), [invalid.as_str()]);
    assert_eq!(challenges(&control(set_basic), wrong), [BASIC]);
}

#[test]
fn health_checks_need_nothing_and_metrics_by_a_setting() {
    let closed = control(set_token);
    let open = control(|control| {
        set_token(control);
        control.public_metrics = true;
    });
    for lines in ["", "Authorization: Bearer wrong\r\n"] {
        for path in ["/livez", "/readyz", "/livez/"] {
            assert_eq!(judge(&closed, path, lines), Ok(Pass::Anybody), "{path}");
        }
        assert!(judge(&closed, "/metrics", lines).is_err());
        assert_eq!(judge(&open, "/metrics", lines), Ok(Pass::Anybody));
        for path in [
            "/",
            "/publish",
            "/recover",
            "/metricsx",
            "/livez/x",
            "/nothing",
        ] {
            assert!(judge(&open, path, lines).is_err(), "{path}");
        }
    }
    let right = "Authorization: Bearer s3cret\r\n";
    assert_eq!(judge(&closed, "/livez", right), Ok(Pass::Known));
}

#[test]
fn no_secret_is_shown() {
    let credentials = control(|control| {
        set_token(control);
        set_jwt(control);
        set_basic(control);
    });
    let shown = format!("{credentials:?}");
    for secret in ["s3cret", "jwt-key", "a:b c"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

proptest! {
    #[test]
    fn any_value_is_read(value in "((Bearer|Basic|b'|x) ?)?[ -~]{0,40}") {
        let credentials = control(|control| {
            set_token(control);
            set_jwt(control);
            set_basic(control);
        });
        let lines = format!("Authorization: {value}\r\n");
        prop_assert!(judge(&credentials, "/", &lines).is_err());
    }
}
