//! Trusted clients: proxies in front of this one that speak GRIP themselves and prove it with a
//! `Grip-Sig` signed by `grip.upstream_key`. Whatever concerns GRIP is then left to them.

use std::time::{SystemTime, UNIX_EPOCH};

use http::HeaderMap;

use super::prepare::GRIP_SIG;
use crate::{config::Grip, grip::signature::Verifier};

/// Knows trusted clients. Without a key nobody is one.
#[derive(Debug, Default)]
pub(super) struct Trust(Option<Verifier>);

impl Trust {
    /// Reads the key. One that cannot be read was an error of the settings already; should its
    /// file have gone since, nobody is trusted.
    pub(super) fn new(grip: &Grip) -> Self {
        let verifier = Verifier::new(&grip.upstream_key.0, &grip.key_dir)
            .inspect_err(|error| tracing::warn!("grip.upstream_key cannot be used: {error}"));
        Self(verifier.ok().flatten())
    }

    /// Does this request come from a trusted client? A signature that proves nothing is no fault
    /// for the client to know: it is treated as any other.
    pub(super) fn covers(&self, headers: &HeaderMap) -> bool {
        let (Some(verifier), Some(signature)) = (&self.0, headers.get(GRIP_SIG)) else {
            return false;
        };
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_secs();
        verifier
            .verify(signature.as_bytes(), now)
            .inspect_err(|why| tracing::debug!("a client is not trusted by its Grip-Sig: {why}"))
            .is_ok()
    }
}
