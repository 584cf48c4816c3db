//! Tokens are checked with the library's own verification. The keys in `keys/` were made for these
//! tests and open nothing.

use std::sync::atomic::{AtomicU32, Ordering};

use jsonwebtoken::{DecodingKey, Validation, decode, decode_header};
use serde_json::Value;

use super::*;

const NOW: u64 = 4_000_000_000;

fn keys() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/grip/signature/keys")
}

fn token(key: &str) -> String {
    let signer = Signer::new("pushpin", key, &keys()).unwrap().unwrap();
    signer.sign(NOW).unwrap()
}

/// Verifies a token and returns its algorithm.
fn verified(token: &str, key: &DecodingKey, alg: Algorithm) -> Algorithm {
    let claims = decode::<Value>(token, key, &Validation::new(alg))
        .unwrap()
        .claims;
    assert_eq!(claims, json!({ "exp": NOW + 3600, "iss": "pushpin" }));
    let header = decode_header(token).unwrap();
    assert_eq!(header.typ.as_deref(), Some("JWT"));
    header.alg
}

/// A file in the system's temporary folder, of a name no other test has.
fn temporary(content: &str) -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let name = format!("gripd-key-{}-{number}", std::process::id());
    let path = std::env::temp_dir().join(name);
    fs::write(&path, content).unwrap();
    path
}

#[test]
fn nothing_is_signed_without_issuer_or_key() {
    assert!(Signer::new("", "key", Path::new("")).unwrap().is_none());
    assert!(Signer::new("pushpin", "", Path::new("")).unwrap().is_none());
}

#[test]
fn secrets_sign_with_hs256() {
    let key = DecodingKey::from_secret(b"changeme");
    for text in ["changeme", "base64:Y2hhbmdlbWU=", "base64:Y2hhbmdlbWU"] {
        assert_eq!(
            verified(&token(text), &key, Algorithm::HS256),
            Algorithm::HS256
        );
    }
}

#[test]
fn a_hex_file_is_a_secret() {
    let path = temporary("63 68 61 6e\n67 65 6D 65\n");
    let key = DecodingKey::from_secret(b"changeme");
    let token = token(&format!("file:{}", path.display()));
    assert_eq!(verified(&token, &key, Algorithm::HS256), Algorithm::HS256);
    fs::remove_file(path).unwrap();
}

#[test]
fn pem_keys_sign_with_their_own_algorithm() {
    let ec = DecodingKey::from_ec_pem(include_bytes!("keys/ec-public.pem")).unwrap();
    for name in ["ec-pkcs8.pem", "ec-sec1.pem"] {
        let token = token(&format!("file:{name}"));
        assert_eq!(verified(&token, &ec, Algorithm::ES256), Algorithm::ES256);
    }
    let rsa = DecodingKey::from_rsa_pem(include_bytes!("keys/rsa-public.pem")).unwrap();
    for name in ["rsa-pkcs8.pem", "rsa-pkcs1.pem"] {
        let token = token(&format!("file:{name}"));
        assert_eq!(verified(&token, &rsa, Algorithm::RS256), Algorithm::RS256);
    }
}

#[test]
fn keys_that_cannot_sign_are_refused() {
    let new = |key: &str| Signer::new("pushpin", key, &keys()).unwrap_err();
    assert!(matches!(new("file:none.pem"), KeyError::File { .. }));
    assert!(matches!(
        new("file:ec-public.pem"),
        KeyError::Unusable { .. }
    ));
    assert!(matches!(new("file:ec-p384.pem"), KeyError::Unusable { .. }));
    assert!(matches!(new("base64:"), KeyError::Empty));
    for content in ["", "6", "6g", "hello", "-----BEGIN nothing"] {
        let path = temporary(content);
        let error = new(&format!("file:{}", path.display()));
        let pem = content.starts_with('-');
        assert_eq!(
            matches!(error, KeyError::Unusable { .. }),
            pem,
            "{content:?}"
        );
        assert_eq!(
            matches!(error, KeyError::Content { .. }),
            !pem,
            "{content:?}"
        );
        fs::remove_file(path).unwrap();
    }
}

#[test]
fn debug_text_hides_the_key() {
    let signer = Signer::new("pushpin", "changeme", Path::new("")).unwrap();
    let text = format!("{signer:?}");
    assert!(
        text.contains("pushpin") && !text.contains("changeme"),
        "{text}"
    );
    assert!(!text.contains("99, 104, 97"), "{text}");
}

fn accepted(token: &str, key: &str, now: u64) -> bool {
    let verifier = Verifier::new(key, &keys()).unwrap().unwrap();
    verifier.verify(token.as_bytes(), now).is_ok()
}

#[test]
fn each_kind_of_key_verifies_what_it_signed() {
    for (private, public) in [
        ("changeme", "changeme"),
        ("changeme", "base64:Y2hhbmdlbWU="),
        ("file:ec-pkcs8.pem", "file:ec-public.pem"),
        ("file:rsa-pkcs8.pem", "file:rsa-public.pem"),
    ] {
        let token = token(private);
        assert!(accepted(&token, public, NOW), "{public}");
        assert!(accepted(&token, public, NOW + 3599), "{public}");
        assert!(!accepted(&token, public, NOW + 3600), "{public} is over");
        assert!(!accepted(&token, "other", NOW), "{public}");
        assert!(!accepted(&token[..token.len() - 2], public, NOW));
    }
    assert!(Verifier::new("", &keys()).unwrap().is_none());
}

#[test]
fn the_keys_algorithm_decides_not_the_tokens() {
    // The public key as a shared secret: a known forgery.
    let public = fs::read(keys().join("rsa-public.pem")).unwrap();
    let claims = json!({ "exp": NOW + 1 });
    let header = Header::new(Algorithm::HS256);
    let forged = encode(&header, &claims, &EncodingKey::from_secret(&public)).unwrap();
    assert!(!accepted(&forged, "file:rsa-public.pem", NOW));
    // `{"alg":"none","typ":"JWT"}` and `{"exp":4000000001}`, without a signature.
    let none = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.eyJleHAiOjQwMDAwMDAwMDF9.";
    for key in ["changeme", "file:ec-public.pem"] {
        assert!(!accepted(none, key, NOW));
        assert!(!accepted("", key, NOW));
        assert!(!accepted("a.b.c", key, NOW));
    }
}

#[test]
fn exp_is_a_whole_number_ahead() {
    let signed = |claims: &Value| {
        let key = EncodingKey::from_secret(b"k");
        encode(&Header::new(Algorithm::HS256), claims, &key).unwrap()
    };
    for (claims, expected) in [
        (json!({ "exp": NOW + 1 }), true),
        (
            json!({ "exp": NOW + 1, "iss": "somebody", "aud": "x", "nbf": NOW + 9 }),
            true,
        ),
        (json!({ "exp": NOW }), false),
        (json!({ "exp": -1 }), false),
        (json!({ "exp": 4_000_000_001.5 }), false),
        (json!({ "exp": "4000000001" }), false),
        (json!({ "iss": "pushpin" }), false),
        (json!([]), false),
    ] {
        assert_eq!(accepted(&signed(&claims), "k", NOW), expected, "{claims}");
    }
}

#[test]
fn a_token_that_does_not_verify_is_told_why() {
    let fault = |token: &str, key: &str, now: u64| {
        let verifier = Verifier::new(key, &keys()).unwrap().unwrap();
        verifier.verify(token.as_bytes(), now).unwrap_err()
    };
    let signed = token("k");
    let over = TokenError::Expired {
        exp: NOW + 3600,
        ago: 7,
    };
    assert_eq!(fault(&signed, "k", NOW + 3607), over);
    assert_eq!(fault(&signed, "other", NOW), TokenError::Signature);
    let ec = TokenError::Algorithm(Algorithm::ES256);
    assert_eq!(fault(&signed, "file:ec-public.pem", NOW), ec);
    for unreadable in ["", "a", "a.b", "a.b.c", "....", &signed[1..]] {
        assert_eq!(fault(unreadable, "k", NOW), TokenError::Unreadable);
    }
    let key = EncodingKey::from_secret(b"k");
    let endless = encode(&Header::new(Algorithm::HS256), &json!({}), &key).unwrap();
    assert_eq!(fault(&endless, "k", NOW), TokenError::NoExpiry);
    let verifier = Verifier::new("k", &keys()).unwrap().unwrap();
    let claims = verifier.verify(signed.as_bytes(), NOW).unwrap();
    assert_eq!(claims.iss.as_deref(), Some("pushpin"));
}

#[test]
fn a_secret_is_its_text_or_that_of_a_file() {
    let text = |secret: &str| secret_text(secret, &std::env::temp_dir());
    assert_eq!(text("").unwrap(), "");
    assert_eq!(text(" base64:x ").unwrap(), " base64:x ");
    let file = temporary("  s3cret word\n\n");
    let name = format!("file:{}", file.file_name().unwrap().to_str().unwrap());
    assert_eq!(text(&name).unwrap(), "s3cret word");
    for empty in [&b""[..], b" \n", b"\xff"] {
        fs::write(&file, empty).unwrap();
        assert!(matches!(text(&name), Err(KeyError::NoText { .. })));
    }
    fs::remove_file(file).unwrap();
    assert!(matches!(text(&name), Err(KeyError::File { .. })));
}

#[test]
fn keys_that_cannot_verify_are_refused() {
    let p384 = temporary(P384_PUBLIC);
    let new = |key: &str| Verifier::new(key, &keys()).unwrap_err();
    for key in [
        "file:ec-pkcs8.pem",
        "file:ec-sec1.pem",
        "file:rsa-pkcs1.pem",
    ] {
        assert!(matches!(new(key), KeyError::Unverifying { .. }), "{key}");
    }
    let error = new(&format!("file:{}", p384.display()));
    assert!(matches!(error, KeyError::Unverifying { .. }));
    assert!(matches!(new("file:none.pem"), KeyError::File { .. }));
    assert!(matches!(new("base64:"), KeyError::Empty));
    let verifier = Verifier::new("changeme", &keys()).unwrap().unwrap();
    let text = format!("{verifier:?}");
    assert!(!text.contains("99, 104, 97"), "{text}");
    fs::remove_file(p384).unwrap();
}

const P384_PUBLIC: &str = "\
-----BEGIN PUBLIC KEY-----\n\
MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAEmnwpYoMqpmjXGklbFSmKNzKgY5WGKJgN\n\
9yfJtxfb0YfqWjuhQ5yw7Xvi3n8icOoaKZDLXOb40TC0n0uMC0XgSzkyu5VhRjEO\n\
piUNqSUK6G7s+pLhutbO6o0Rn8CkHXM+\n\
-----END PUBLIC KEY-----\n\
";
