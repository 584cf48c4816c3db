//! The upgrade from HTTP (RFC 6455 section 4): what makes a request a WebSocket's, what may be
//! wrong with one, and the key's answer. Works on values of headers; which request they stand in
//! is the caller's business.

/// What the check of an upgrade looks at: the first value of each header.
#[derive(Clone, Copy, Debug, Default)]
pub struct Request<'a> {
    /// The method.
    pub method: &'a str,
    /// `Sec-WebSocket-Version`.
    pub version: Option<&'a [u8]>,
    /// `Sec-WebSocket-Key`.
    pub key: Option<&'a [u8]>,
    /// The request has a body that is not empty.
    pub body: bool,
}

/// Why a request with `Upgrade: websocket` is no WebSocket's. `Display` is a sentence for the
/// client (400).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Not `GET`.
    #[error("The request asks for a WebSocket, but its method is not GET.")]
    Method,
    /// It has a body.
    #[error("The request asks for a WebSocket, but it has a body.")]
    Body,
    /// No version, or another one than 13.
    #[error("The request asks for a WebSocket, but its Sec-WebSocket-Version is not 13.")]
    Version,
    /// No key, or an empty one.
    #[error("The request asks for a WebSocket, but it has no Sec-WebSocket-Key.")]
    Key,
}

/// Whether the value of an `Upgrade` header asks for a WebSocket: that word alone, in any letter
/// case.
pub fn is_websocket(upgrade: &[u8]) -> bool {
    upgrade.trim_ascii().eq_ignore_ascii_case(b"websocket")
}

impl<'a> Request<'a> {
    /// The key, if the request is sound. As lax as can be without harm: any key is one, and neither
    /// `Connection` nor the HTTP version matter.
    ///
    /// # Errors
    /// The first of the faults, in their order above.
    pub fn check(&self) -> Result<&'a [u8], Refusal> {
        if self.method != "GET" {
            return Err(Refusal::Method);
        }
        if self.body {
            return Err(Refusal::Body);
        }
        if self.version.map(<[u8]>::trim_ascii) != Some(b"13") {
            return Err(Refusal::Version);
        }
        let key = self.key.map(<[u8]>::trim_ascii);
        key.filter(|key| !key.is_empty()).ok_or(Refusal::Key)
    }
}

/// The value of `Sec-WebSocket-Accept` that answers a key (RFC 6455 section 4.2.2).
#[cfg(feature = "server")]
pub fn accept_key(key: &[u8]) -> String {
    use aws_lc_rs::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY};
    use base64::{Engine, engine::general_purpose::STANDARD};

    let mut sha1 = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
    sha1.update(key);
    sha1.update(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    STANDARD.encode(sha1.finish())
}

/// Whether a backend's `Sec-WebSocket-Accept` answers the key that was sent to it.
#[cfg(feature = "server")]
pub fn accepts(key: &[u8], accept: &[u8]) -> bool {
    accept.trim_ascii() == accept_key(key).as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOUND: Request<'_> = Request {
        method: "GET",
        version: Some(b"13"),
        key: Some(b"dGhlIHNhbXBsZSBub25jZQ=="),
        body: false,
    };

    #[test]
    fn the_upgrade_is_told_in_any_letter_case() {
        for upgrade in ["websocket", "WebSocket", "WEBSOCKET", " websocket "] {
            assert!(is_websocket(upgrade.as_bytes()), "{upgrade}");
        }
        for upgrade in ["", "h2c", "websocket, h2c", "websockets", "web socket"] {
            assert!(!is_websocket(upgrade.as_bytes()), "{upgrade}");
        }
    }

    #[test]
    fn vectors_79_and_80_what_is_wrong_is_named_and_any_key_is_one() {
        let sound = SOUND;
        for (request, checked) in [
            (sound, Ok(&b"dGhlIHNhbXBsZSBub25jZQ=="[..])),
            (
                Request {
                    key: Some(b"abc"),
                    ..sound
                },
                Ok(b"abc"),
            ),
            (
                Request {
                    method: "POST",
                    ..sound
                },
                Err(Refusal::Method),
            ),
            (
                Request {
                    method: "get",
                    ..sound
                },
                Err(Refusal::Method),
            ),
            (
                Request {
                    body: true,
                    ..sound
                },
                Err(Refusal::Body),
            ),
            (
                Request {
                    version: Some(b"8"),
                    ..sound
                },
                Err(Refusal::Version),
            ),
            (
                Request {
                    version: Some(b"13, 8"),
                    ..sound
                },
                Err(Refusal::Version),
            ),
            (
                Request {
                    version: None,
                    ..sound
                },
                Err(Refusal::Version),
            ),
            (Request { key: None, ..sound }, Err(Refusal::Key)),
            (
                Request {
                    key: Some(b" "),
                    ..sound
                },
                Err(Refusal::Key),
            ),
        ] {
            assert_eq!(request.check(), checked, "{request:?}");
        }
    }

    #[cfg(feature = "server")]
    #[test]
    fn the_key_is_answered_as_in_rfc_6455() {
        let key = b"dGhlIHNhbXBsZSBub25jZQ==";
        let accept = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
        assert_eq!(accept_key(key).as_bytes(), accept);
        assert!(accepts(key, accept));
        assert!(!accepts(b"abc", accept));
        assert!(!accepts(key, b""));
    }
}
