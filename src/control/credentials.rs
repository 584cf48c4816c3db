//! Who may use the control port: who sends its token, a JWT of the known issuer, or its name and
//! password. Of those that are set any one is enough; where none is set, nobody is asked. Pure but
//! for the reading of keys at the start; the time is passed in.
//!
//! Source: RFC 6750 (bearer), RFC 7617 (basic), RFC 7519 (JWT), and what the libraries of GRIP send
//! for a `GRIP_URL` with `iss` and `key`, with `key` alone, or with `user:password@`.

use std::{fmt, path::Path};

use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};

use super::head::Head;
use crate::{
    config::{Control, Secret},
    grip::signature::{KeyError, TokenError, Verifier, secret_text},
};

#[cfg(test)]
mod tests;

/// What is taken. Everything empty: nobody is asked.
#[derive(Debug, Default)]
pub(super) struct Credentials {
    token: Option<Secret>,
    jwt: Option<Jwt>,
    /// `USER:PASSWORD`.
    basic: Option<Secret>,
    public_metrics: bool,
}

#[derive(Debug)]
struct Jwt {
    iss: String,
    verifier: Verifier,
}

/// A request that may pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pass {
    /// It needs no credentials, and brought none that are right.
    Anybody,
    /// It showed who it is from.
    Known,
}

impl Credentials {
    /// Reads what the settings name. Relative files start at `dir`.
    ///
    /// # Errors
    /// A file that cannot be used, which checking the settings has told already unless it changed
    /// since.
    pub(super) fn new(control: &Control, dir: &Path) -> Result<Self, KeyError> {
        let text = |secret: &Secret| -> Result<Option<String>, KeyError> {
            let text = secret_text(&secret.0, dir)?;
            Ok((!text.is_empty()).then_some(text))
        };
        let iss = control.jwt_iss.clone();
        let basic = text(&control.password)?;
        Ok(Self {
            token: text(&control.token)?.map(Secret),
            jwt: Verifier::new(&control.jwt_key.0, dir)?.map(|verifier| Jwt { iss, verifier }),
            basic: basic.map(|password| Secret(format!("{}:{password}", control.user))),
            public_metrics: control.public_metrics,
        })
    }

    /// Judges a request. `now`: seconds since 1970.
    ///
    /// # Errors
    /// It may not pass: why, and what would be right.
    pub(super) fn judge(&self, head: &Head<'_>, now: u64) -> Result<Pass, Denied> {
        let judged = match head.authorization[..] {
            [] => Err(Why::Missing),
            [value] => self.judge_value(value, now),
            _ => Err(Why::Malformed(
                "there is more than one Authorization header",
            )),
        };
        match judged {
            Ok(()) => Ok(Pass::Known),
            Err(_) if self.is_for_anybody(head.path) => Ok(Pass::Anybody),
            Err(why) => Err(self.denied(why)),
        }
    }

    /// Health checks come from machinery that has no place for a secret, and tell nothing worth
    /// one.
    fn is_for_anybody(&self, path: &str) -> bool {
        let asks_nobody = self.token.is_none() && self.jwt.is_none() && self.basic.is_none();
        let is_public = match path {
            "/livez" | "/readyz" => true,
            "/metrics" => self.public_metrics,
            _ => false,
        };
        asks_nobody || is_public
    }

    fn judge_value(&self, value: &[u8], now: u64) -> Result<(), Why> {
        let (scheme, rest) = value.split_at(memchr::memchr(b' ', value).unwrap_or(value.len()));
        let rest = rest.trim_ascii_start();
        if scheme.eq_ignore_ascii_case(b"Bearer") {
            self.judge_bearer(rest, now)
        } else if scheme.eq_ignore_ascii_case(b"Basic") {
            self.judge_basic(rest)
        } else {
            Err(Why::Malformed("its scheme is neither Bearer nor Basic"))
        }
    }

    fn judge_bearer(&self, token: &[u8], now: u64) -> Result<(), Why> {
        if token.is_empty() {
            return Err(Why::Malformed("nothing follows Bearer"));
        }
        if self
            .token
            .as_ref()
            .is_some_and(|right| is_equal(token, right))
        {
            return Ok(());
        }
        let looks_like_jwt = memchr::memchr_iter(b'.', token).count() == 2;
        match &self.jwt {
            Some(jwt) if looks_like_jwt || self.token.is_none() => jwt.judge(token, now),
            None if self.token.is_none() => Err(Why::NotTaken("Bearer")),
            _ => Err(Why::Token),
        }
    }

    fn judge_basic(&self, encoded: &[u8]) -> Result<(), Why> {
        // pubcontrol for Python 3 writes bytes as Python prints them: b'...'.
        let of_python = encoded
            .strip_prefix(b"b'")
            .and_then(|rest| rest.strip_suffix(b"'"));
        let encoded = of_python.unwrap_or(encoded);
        let pair = BASE64
            .decode(encoded)
            .ok()
            .filter(|pair| pair.contains(&b':'));
        let Some(pair) = pair else {
            return Err(Why::Malformed(
                "what follows Basic is not base64 of USER:PASSWORD",
            ));
        };
        match &self.basic {
            Some(right) if is_equal(&pair, right) => Ok(()),
            Some(_) => Err(Why::Password),
            None => Err(Why::NotTaken("Basic")),
        }
    }

    fn denied(&self, why: Why) -> Denied {
        let iss = self.jwt.as_ref().map(|jwt| jwt.iss.clone());
        Denied {
            why,
            token: self.token.is_some(),
            jwt: iss.is_some(),
            basic: self.basic.is_some(),
        }
    }
}

impl Jwt {
    fn judge(&self, token: &[u8], now: u64) -> Result<(), Why> {
        let claims = self.verifier.verify(token, now).map_err(Why::Jwt)?;
        match claims.iss {
            Some(iss) if iss == self.iss => Ok(()),
            // Who asks has the key: what is set is no secret from them.
            _ => Err(Why::Issuer(self.iss.clone())),
        }
    }
}

/// Compares in a time that does not tell where a guess begins to be wrong.
fn is_equal(sent: &[u8], right: &Secret) -> bool {
    verify_slices_are_equal(sent, right.0.as_bytes()).is_ok()
}

/// Standard base64, with or without padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A request that may not pass. `Display` is the sentence of its answer; what was sent is not in
/// it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Denied {
    why: Why,
    token: bool,
    jwt: bool,
    basic: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum Why {
    /// The issuer that is taken.
    Issuer(String),
    Jwt(TokenError),
    Malformed(&'static str),
    Missing,
    /// A scheme that could be taken, but is not set.
    NotTaken(&'static str),
    Password,
    Token,
}

impl Denied {
    /// Values of `WWW-Authenticate`, one for each scheme that is set.
    pub(super) fn challenges(&self) -> impl Iterator<Item = String> {
        let bearer = (self.token || self.jwt).then(|| match self.why {
            Why::Issuer(_) | Why::Jwt(_) | Why::Token => {
                format!("{BEARER}, error=\"invalid_token\"")
            }
            _ => BEARER.to_owned(),
        });
        let basic = self.basic.then(|| BASIC.to_owned());
        bearer.into_iter().chain(basic)
    }
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Unauthorized: ")?;
        match &self.why {
            Why::Issuer(iss) => write!(
                f,
                "the JWT has another iss than \"{iss}\" (control.jwt_iss)"
            ),
            Why::Jwt(TokenError::Expired { exp, ago }) => write!(
                f,
                "the JWT has expired: its exp is {exp}, {ago} s ago by gripd's clock"
            ),
            Why::Jwt(error) => write!(f, "the JWT is refused: {error} (control.jwt_key)"),
            Why::Malformed(how) => write!(f, "the Authorization header is malformed: {how}"),
            Why::Missing => f.write_str("there is no Authorization header"),
            Why::NotTaken(scheme) => write!(f, "{scheme} is not taken here"),
            Why::Password => f.write_str("user or password is wrong"),
            Why::Token => f.write_str("the token is wrong"),
        }?;
        let expected: Vec<_> = [
            (self.token, "Bearer and the token of control.token"),
            (self.jwt, "Bearer and a JWT with iss, exp and the key of control.jwt_key (GRIP_URL=http://...?iss=ISS&key=KEY)"),
            (self.basic, "Basic with control.user and control.password"),
        ]
        .into_iter()
        .filter_map(|(is_set, how)| is_set.then_some(how))
        .collect();
        write!(f, ". Send Authorization: {}.", expected.join("; or "))
    }
}

const BEARER: &str = "Bearer realm=\"gripd control port\"";
const BASIC: &str = "Basic realm=\"gripd control port\", charset=\"UTF-8\"";
