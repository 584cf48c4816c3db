//! The certificate by which gripd shows a backend who it is: `client_cert` and `client_key` of a
//! target. Read when a table is loaded, so that a fault is told then, and again by whoever connects.

use std::{path::Path, sync::Arc};

use rustls::{
    crypto::CryptoProvider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    sign::CertifiedKey,
};

/// Reads a chain of certificates, the own one first, and its key; both PEM.
///
/// # Errors
/// A sentence that names the file at fault.
pub fn read(cert: &Path, key: &Path, provider: &CryptoProvider) -> Result<CertifiedKey, String> {
    let fault =
        |path: &Path, why: &dyn ToString| format!("{}: {}", path.display(), why.to_string());
    let chain = CertificateDer::pem_file_iter(cert)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| fault(cert, &error))?;
    if chain.is_empty() {
        return Err(fault(cert, &"it holds no certificate"));
    }
    let private = PrivateKeyDer::from_pem_file(key).map_err(|error| fault(key, &error))?;
    CertifiedKey::from_der(chain, private, provider).map_err(|error| fault(key, &error))
}

/// The one crypto provider of gripd.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}
