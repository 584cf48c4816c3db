//! Certificates by the name that a client asks for (SNI), from a folder as Pushpin has one: the
//! first of `NAME`, `_.REST` (one level of subdomains) and `default_PORT` that is there, each with
//! `.crt` and `.key`. A renewed file is taken at the next handshake.

use std::{
    collections::HashMap,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

use parking_lot::Mutex;
use rustls::{
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};

use super::{GLANCE, Identity};

/// The certificates of one address.
#[derive(Debug)]
pub struct Folder {
    path: Option<PathBuf>,
    /// The address's port.
    port: u16,
    /// For every name that has none.
    other: Option<Identity>,
    /// Those that were asked for: as many as there are files, at most.
    known: Mutex<HashMap<String, Arc<Identity>>>,
    /// When the log told of files that cannot be used.
    told: Mutex<Option<Instant>>,
}

impl Folder {
    /// The certificates in a folder for clients of `port`. `other`: for all other names.
    pub fn new(path: Option<&Path>, port: u16, other: Option<Identity>) -> Self {
        Self {
            path: path.map(Path::to_owned),
            port,
            other,
            known: Mutex::default(),
            told: Mutex::default(),
        }
    }

    /// What is wrong with the certificates in a folder, file by file.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn examine(path: &Path) -> io::Result<Vec<String>> {
        let mut faults = Vec::new();
        for entry in fs::read_dir(path)? {
            let cert = entry?.path();
            if cert.extension().is_some_and(|extension| extension == "crt")
                && let Err(error) = Identity::read(&cert, &cert.with_extension("key"))
            {
                faults.push(error.to_string());
            }
        }
        faults.sort();
        Ok(faults)
    }

    /// The certificate for a name.
    fn find(&self, asked: Option<&str>) -> Option<Arc<CertifiedKey>> {
        let exact = asked.map(str::to_ascii_lowercase);
        let above = exact.as_deref().and_then(|name| name.split_once('.'));
        let above = above.map(|(_, rest)| format!("_.{rest}"));
        let usual = Some(format!("default_{}", self.port));
        let mut found = [exact, above, usual].into_iter().flatten();
        let found = found.find_map(|name| self.named(&name));
        let found = found.as_deref().or(self.other.as_ref())?;
        found.follow();
        Some(found.current.load_full())
    }

    /// What the files of this name hold.
    fn named(&self, name: &str) -> Option<Arc<Identity>> {
        if let Some(known) = self.known.lock().get(name) {
            return Some(Arc::clone(known));
        }
        let is_sound = name.len() <= LONGEST
            && !name.starts_with('.')
            && !name.contains(|c: char| c == '/' || c.is_control());
        let folder = self.path.as_deref().filter(|_| is_sound)?;
        let file = |extension| folder.join(format!("{name}.{extension}"));
        let (cert, key) = (file("crt"), file("key"));
        if !cert.exists() {
            return None;
        }
        match Identity::read(&cert, &key) {
            Ok(identity) => {
                let identity = Arc::new(identity);
                self.known.lock().insert(name.into(), Arc::clone(&identity));
                Some(identity)
            }
            Err(error) => {
                let mut told = self.told.lock();
                if told.is_none_or(|at| at.elapsed() > GLANCE) {
                    *told = Some(Instant::now());
                    tracing::warn!("TLS: {error}");
                }
                None
            }
        }
    }
}

impl ResolvesServerCert for Folder {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.find(hello.server_name())
    }
}

/// Bytes of the longest name in the DNS.
const LONGEST: usize = 253;
