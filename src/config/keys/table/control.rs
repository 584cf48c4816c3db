//! `[control]`: where publishers connect, and who may.

use super::{GIB, KIB, Key, MANY, MIB, Slot, key};

pub(super) const KEYS: &[Key] = &[
    key(
        "control",
        "http",
        Slot::Control(|s| &mut s.control),
        "addresses of the control port, [ADDR:]PORT; a bare port: this machine only; or unix:PATH, \
         with ?mode=OCTAL&user=NAME&group=NAME; empty: none",
    )
    .flags(&["--control"]),
    key(
        "control",
        "token",
        Slot::Secret(|s| &mut s.control.token),
        "what publishers send as Authorization: Bearer; text or file:...; empty: not taken",
    ),
    key(
        "control",
        "jwt_iss",
        Slot::Text(|s| &mut s.control.jwt_iss),
        "issuer of the JWTs that publishers may send instead, as GRIP_URL with iss and key does",
    ),
    key(
        "control",
        "jwt_key",
        Slot::Secret(|s| &mut s.control.jwt_key),
        "key that verifies them: text, base64:... or file:... (hex, or a PEM public key)",
    ),
    key(
        "control",
        "user",
        Slot::Text(|s| &mut s.control.user),
        "name that publishers may send instead, with password (basic authentication)",
    ),
    key(
        "control",
        "password",
        Slot::Secret(|s| &mut s.control.password),
        "password of user; text or file:...",
    ),
    key(
        "control",
        "public_metrics",
        Slot::Bool(|s| &mut s.control.public_metrics),
        "GET /metrics needs no token or password; the health checks never do",
    ),
    key(
        "control",
        "insecure",
        Slot::Bool(|s| &mut s.control.insecure),
        "let other machines reach a control port without token, JWT or password",
    )
    .flags(&["--control-insecure"]),
    key(
        "control",
        "tls_cert",
        Slot::File(|s| &mut s.control.tls_cert),
        "certificates (PEM, the own first): every address of http speaks TLS; read again on change",
    ),
    key(
        "control",
        "tls_key",
        Slot::File(|s| &mut s.control.tls_key),
        "private key (PEM) of the first certificate",
    ),
    key(
        "control",
        "hosts",
        Slot::Words(|s| &mut s.control.hosts),
        "names, beside loopback and addresses, by which the control port may be asked",
    ),
    key(
        "control",
        "private_hosts",
        Slot::Bool(|s| &mut s.control.private_hosts),
        "also any name without a dot or below .internal, .local; in the container image: true",
    ),
    key(
        "control",
        "max_head",
        Slot::Bytes(|s| &mut s.control.max_head, KIB, MIB),
        "most bytes of a control request's head",
    ),
    key(
        "control",
        "max_body",
        Slot::Bytes(|s| &mut s.control.max_body, KIB, GIB),
        "most bytes of a control request's body",
    ),
    key(
        "control",
        "max_connections",
        Slot::Count(|s| &mut s.control.max_connections, 1, MANY),
        "most control connections at once",
    ),
];
