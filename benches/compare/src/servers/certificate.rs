//! A certificate for `localhost` that signs itself, made anew for each run of a server (ECDSA over
//! P-256, as public sites have today).

use std::{fs, path::Path};

use anyhow::{Context, Result};
use rustls::pki_types::CertificateDer;

/// The certificate in the server's folder.
pub(super) const FILE: &str = "site.pem";

/// Its private key.
pub(super) const KEY_FILE: &str = "site.key";

/// Writes both into `dir`; returns what clients are to trust.
///
/// # Errors
/// They cannot be made or written.
pub(super) fn write(dir: &Path) -> Result<CertificateDer<'static>> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])
        .context("making a certificate")?;
    fs::write(dir.join(FILE), made.cert.pem()).context("writing a certificate")?;
    fs::write(dir.join(KEY_FILE), made.signing_key.serialize_pem()).context("writing a key")?;
    Ok(made.cert.der().clone())
}
