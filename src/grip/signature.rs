//! `Grip-Sig`: the token by which a backend knows that a request came through this proxy, and by
//! which this proxy knows that one came through another in front of it. Publishers show who they
//! are by a token of the same kind.
//!
//! A JWT with the claims `exp` and `iss` only. Reading the key is the one place of this room that
//! touches a file: the key string may name one, and it is read once, at start or reload.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use jsonwebtoken::{
    Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode,
    errors::{Error, ErrorKind},
};
use serde_json::{Value, json};

use super::text::base64;

/// A token is good for this long, in seconds.
const LIFETIME: u64 = 3600;

/// Why a key cannot be used. The operator's fault; the key itself is never shown.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The key's file cannot be read.
    #[error("key file {path} cannot be read: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file of a secret is empty or no text.
    #[error("file {path} holds no secret: it must hold text")]
    NoText {
        /// The file.
        path: PathBuf,
    },
    /// The key's file is neither PEM nor hex.
    #[error("key file {path} has no key: it must hold a PEM key (EC P-256 or RSA) or hex digits")]
    Content {
        /// The file.
        path: PathBuf,
    },
    /// What follows `base64:` decodes to nothing.
    #[error("the key after 'base64:' holds nothing: it must be base64")]
    Empty,
    /// The PEM key is of a kind gripd does not sign with.
    #[error("key file {path} cannot sign: it must be an EC P-256 or RSA private key, unencrypted")]
    Unusable {
        /// The file.
        path: PathBuf,
    },
    /// The PEM key is of a kind gripd does not verify with.
    #[error("key file {path} cannot verify: it must be an EC P-256 or RSA public key")]
    Unverifying {
        /// The file.
        path: PathBuf,
    },
}

/// Signs `Grip-Sig` tokens for one issuer with one key.
#[derive(Clone, Debug)]
pub struct Signer {
    iss: String,
    header: Header,
    key: EncodingKey,
}

impl Signer {
    /// Reads the key. `key` is the secret itself, `base64:` and the secret, or `file:` and a file
    /// (relative to `dir`) with a PEM private key or a secret in hex. `None` when `iss` or `key`
    /// is empty: then nothing is signed.
    ///
    /// Secrets sign with HS256, EC keys with ES256, RSA keys with RS256.
    ///
    /// # Errors
    /// The file cannot be read, or there is no key in it that can sign.
    pub fn new(iss: &str, key: &str, dir: &Path) -> Result<Option<Self>, KeyError> {
        if iss.is_empty() || key.is_empty() {
            return Ok(None);
        }
        let (key, alg) = match Material::read(key, dir)? {
            Material::Secret(secret) => (EncodingKey::from_secret(&secret), Algorithm::HS256),
            Material::Pem(path, text) => private(&text).ok_or(KeyError::Unusable { path })?,
        };
        Ok(Some(Self {
            iss: iss.to_owned(),
            header: Header::new(alg),
            key,
        }))
    }

    /// A token good for an hour from `now`, in seconds since 1970. May be sent with many requests.
    ///
    /// # Errors
    /// The cryptographic library failed. [`Signer::new`] has tried PEM keys, so this is not the
    /// key's fault.
    pub fn sign(&self, now: u64) -> Result<String, Error> {
        let claims = json!({ "exp": now.saturating_add(LIFETIME), "iss": self.iss });
        encode(&self.header, &claims, &self.key)
    }
}

/// A secret that is compared and not signed with: the text itself, or `file:` and a file
/// (relative to `dir`) with the text in it, blanks and line ends around it left out.
///
/// # Errors
/// The file cannot be read, or holds no text.
pub fn secret_text(secret: &str, dir: &Path) -> Result<String, KeyError> {
    let Some(path) = secret.strip_prefix("file:") else {
        return Ok(secret.to_owned());
    };
    let path = dir.join(path);
    let text = match fs::read(&path) {
        Ok(bytes) => String::from_utf8(bytes).unwrap_or_default(),
        Err(source) => return Err(KeyError::File { path, source }),
    };
    match text.trim() {
        "" => Err(KeyError::NoText { path }),
        text => Ok(text.to_owned()),
    }
}

/// What a token that verifies says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// Who issued it, if it says so in text.
    pub iss: Option<String>,
}

/// Why a token does not verify.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Its algorithm is not that of the key. The key's is told.
    #[error("its algorithm is not {0:?}")]
    Algorithm(Algorithm),
    /// Its time is over.
    #[error("it expired {ago} s ago (its exp is {exp})")]
    Expired {
        /// Until when it was good, in seconds since 1970.
        exp: u64,
        /// How long that is over, in seconds.
        ago: u64,
    },
    /// It has no `exp`, or one that is not a whole number of seconds.
    #[error("it has no exp that is a whole number of seconds since 1970")]
    NoExpiry,
    /// It is not signed with the key.
    #[error("its signature is not made with the key")]
    Signature,
    /// It is no token of three parts, or its parts cannot be read.
    #[error("it is no JWT")]
    Unreadable,
}

/// Verifies the tokens of another proxy, or of publishers.
#[derive(Clone, Debug)]
pub struct Verifier {
    key: DecodingKey,
    validation: Validation,
}

impl Verifier {
    /// Reads the key, which is written as for [`Signer::new`]; a PEM key must be a public one.
    /// `None` when `key` is empty: then nothing is verified.
    ///
    /// # Errors
    /// The file cannot be read, or there is no key in it that can verify.
    pub fn new(key: &str, dir: &Path) -> Result<Option<Self>, KeyError> {
        if key.is_empty() {
            return Ok(None);
        }
        let (key, alg) = match Material::read(key, dir)? {
            Material::Secret(secret) => (DecodingKey::from_secret(&secret), Algorithm::HS256),
            Material::Pem(path, text) => public(&text).ok_or(KeyError::Unverifying { path })?,
        };
        // Only the signature is the library's to judge: its clock is not ours, and its claims may
        // be fractions.
        let mut validation = Validation::new(alg);
        validation.required_spec_claims.clear();
        validation.validate_exp = false;
        validation.validate_aud = false;
        Ok(Some(Self { key, validation }))
    }

    /// Reads a token that is signed with the key and good at `now`, in seconds since 1970. The
    /// algorithm must be that of the key, and `exp` a whole number of seconds still ahead; who
    /// issued it is for the caller to judge.
    ///
    /// # Errors
    /// Why it does not verify.
    pub fn verify(&self, token: &[u8], now: u64) -> Result<Claims, TokenError> {
        let token = decode::<Value>(token, &self.key, &self.validation);
        let claims = token.map_err(|error| self.fault(&error))?.claims;
        let exp = claims.get("exp").and_then(Value::as_u64);
        let exp = exp.ok_or(TokenError::NoExpiry)?;
        if now >= exp {
            let ago = now - exp;
            return Err(TokenError::Expired { exp, ago });
        }
        let iss = claims.get("iss").and_then(Value::as_str);
        Ok(Claims {
            iss: iss.map(str::to_owned),
        })
    }

    fn fault(&self, error: &Error) -> TokenError {
        match error.kind() {
            ErrorKind::InvalidAlgorithm | ErrorKind::InvalidAlgorithmName => {
                let [algorithm, ..] = self.validation.algorithms[..] else {
                    return TokenError::Unreadable;
                };
                TokenError::Algorithm(algorithm)
            }
            ErrorKind::InvalidSignature => TokenError::Signature,
            _ => TokenError::Unreadable,
        }
    }
}

/// A key as it was written, before it is known what it is for.
enum Material {
    Secret(Vec<u8>),
    /// A file's name and its PEM text.
    Pem(PathBuf, Vec<u8>),
}

impl Material {
    fn read(key: &str, dir: &Path) -> Result<Self, KeyError> {
        if let Some(path) = key.strip_prefix("file:") {
            return Self::from_file(dir.join(path));
        }
        let Some(encoded) = key.strip_prefix("base64:") else {
            return Ok(Self::Secret(key.as_bytes().to_vec()));
        };
        let secret = base64(encoded.as_bytes());
        if secret.is_empty() {
            return Err(KeyError::Empty);
        }
        Ok(Self::Secret(secret.to_vec()))
    }

    fn from_file(path: PathBuf) -> Result<Self, KeyError> {
        match fs::read(&path) {
            Err(source) => Err(KeyError::File { path, source }),
            Ok(text) if text.trim_ascii_start().starts_with(b"-----BEGIN") => {
                Ok(Self::Pem(path, text))
            }
            Ok(text) => match hex(&text) {
                Some(secret) => Ok(Self::Secret(secret)),
                None => Err(KeyError::Content { path }),
            },
        }
    }
}

/// Tries the key as EC, then as RSA. A key counts once it has signed something: the library reads
/// any curve and any length, and refuses them only then.
fn private(text: &[u8]) -> Option<(EncodingKey, Algorithm)> {
    let ec = || EncodingKey::from_ec_pem(text).ok();
    let plain_ec = || sec1(text).map(|der| EncodingKey::from_ec_der(&der));
    let rsa = || EncodingKey::from_rsa_pem(text).ok();
    let (key, alg) = ec()
        .or_else(plain_ec)
        .map(|key| (key, Algorithm::ES256))
        .or_else(|| rsa().map(|key| (key, Algorithm::RS256)))?;
    encode(&Header::new(alg), &json!({}), &key).ok()?;
    Some((key, alg))
}

/// Tries the key as EC, then as RSA. There is nothing to try a public key on, so its curve is
/// looked for; a private one is refused, since whoever only verifies should not have it.
fn public(text: &[u8]) -> Option<(DecodingKey, Algorithm)> {
    let pem = std::str::from_utf8(text).ok()?;
    let (kind, body) = pem.trim_start().split_once("PUBLIC KEY-----")?;
    let (body, _) = body.split_once("-----END")?;
    if !matches!(kind, "-----BEGIN " | "-----BEGIN RSA ") {
        return None;
    }
    let is_p256 = memchr::memmem::find(&base64(body.as_bytes()), &P256).is_some();
    let ec = || {
        is_p256
            .then(|| DecodingKey::from_ec_pem(text).ok())
            .flatten()
    };
    let rsa = || DecodingKey::from_rsa_pem(text).ok();
    ec().map(|key| (key, Algorithm::ES256))
        .or_else(|| rsa().map(|key| (key, Algorithm::RS256)))
}

/// The curve `prime256v1` as DER names it.
const P256: [u8; 10] = [0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];

/// The key of `openssl ecparam -genkey` (SEC 1, `EC PRIVATE KEY`) wrapped as PKCS #8 (RFC 5958),
/// the only form the library takes. The curve is taken to be P-256.
fn sec1(pem: &[u8]) -> Option<Vec<u8>> {
    const BEGIN: &str = "-----BEGIN EC PRIVATE KEY-----";
    /// Version 0, and the algorithm `id-ecPublicKey` with the curve `prime256v1`.
    const START: [u8; 24] = [
        0x02, 0x01, 0x00, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06,
        0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07,
    ];
    const OCTETS: u8 = 0x04;
    const SEQUENCE: u8 = 0x30;
    let pem = std::str::from_utf8(pem).ok()?;
    let (body, _) = pem.split_once(BEGIN)?.1.split_once("-----END")?;
    let key = der(OCTETS, &base64(body.as_bytes()))?;
    der(SEQUENCE, &[&START[..], &key].concat())
}

/// One DER element. `None`: longer than any P-256 key.
fn der(tag: u8, content: &[u8]) -> Option<Vec<u8>> {
    let length = u8::try_from(content.len()).ok()?;
    let mut out = vec![tag];
    if length >= 0x80 {
        out.push(0x81);
    }
    out.push(length);
    out.extend_from_slice(content);
    Some(out)
}

/// Pairs of hex digits, with blanks between them. `None`: anything else, or nothing.
fn hex(text: &[u8]) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text
        .iter()
        .filter(|b| !b.is_ascii_whitespace())
        .map(|&b| {
            char::from(b)
                .to_digit(16)
                .and_then(|d| u8::try_from(d).ok())
        })
        .collect::<Option<_>>()?;
    let (pairs, rest) = digits.as_chunks::<2>();
    let whole = rest.is_empty() && !pairs.is_empty();
    whole.then(|| pairs.iter().map(|[high, low]| high * 16 + low).collect())
}

#[cfg(test)]
mod tests;
