//! `[tls]`: certificates for clients.

use super::{Key, Slot, key};

pub(super) const KEYS: &[Key] = &[
    key(
        "tls",
        "cert",
        Slot::File(|s| &mut s.tls.cert),
        "certificates (PEM, the own first) for every name that certs has none for; read again on change",
    ),
    key(
        "tls",
        "key",
        Slot::File(|s| &mut s.tls.key),
        "private key (PEM) of the first certificate",
    ),
    key(
        "tls",
        "certs",
        Slot::AnyFolder(|s| &mut s.tls.certs),
        "folder of NAME.crt and NAME.key by the name asked for; _.NAME: below it, default_PORT: any",
    ),
];
