//! The client's side of a health check: it asks its own gripd, on its own machine, whether it is
//! well. Nothing secret is sent and no harm is done by a wrong answer, and the name in the
//! certificate is that by which others know the machine, never `127.0.0.1`. So nothing is verified
//! here, as by the probes of Kubernetes; for anything else that would be wrong.

use std::sync::Arc;

use rustls::{ClientConfig, Error};

use super::Anybody;

/// What a client that believes every certificate needs.
///
/// # Errors
/// The library knows no version of TLS, which is a fault of how gripd was built.
pub fn client() -> Result<ClientConfig, Error> {
    let provider = super::provider();
    let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody(provider)))
        .with_no_client_auth();
    Ok(config)
}
