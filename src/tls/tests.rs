//! Which files make an identity, and what becomes of one whose files change.

use rcgen::{CertifiedKey as Made, generate_simple_self_signed};

use super::*;

/// A folder of its own, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("gripd-tls-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, text).unwrap();
        path
    }

    /// Files with a new certificate and its key; also the certificate.
    fn pair(&self, name: &str) -> (PathBuf, PathBuf, CertificateDer<'static>) {
        let Made { cert, signing_key } = generate_simple_self_signed(["a.test".into()]).unwrap();
        let key = self.write(&format!("{name}.key"), &signing_key.serialize_pem());
        let path = self.write(&format!("{name}.crt"), &cert.pem());
        (path, key, cert.der().clone())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl Identity {
    fn first(&self) -> CertificateDer<'static> {
        self.current.load().cert[0].clone()
    }

    /// Looks at the files as if the last look were long ago.
    fn look(&self) {
        let long_ago = Instant::now().checked_sub(GLANCE).unwrap();
        self.seen.lock().at = long_ago;
        self.follow();
    }
}

#[test]
fn files_that_cannot_be_used_are_named() {
    let folder = Folder::new("faults");
    let (cert, key, _) = folder.pair("one");
    let (_, other, _) = folder.pair("two");
    let empty = folder.write("empty", "nothing");
    let missing = folder.0.join("missing");
    let broken = folder.write(
        "broken.crt",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    );
    for (cert, key, name, says) in [
        (&missing, &key, "missing", "cannot be read: No such file"),
        (&cert, &missing, "missing", "cannot be read: No such file"),
        (&empty, &key, "empty", "has no certificate"),
        (&key, &key, "one.key", "has no certificate"),
        (&cert, &empty, "empty", "has no private key"),
        (&cert, &cert, "one.crt", "has no private key"),
        (
            &cert,
            &other,
            "two.key",
            "is not the key of the first certificate",
        ),
        (&broken, &key, "broken.crt", "cannot be used"),
    ] {
        let error = Identity::read(cert, key).unwrap_err().to_string();
        assert!(error.contains(name) && error.contains(says), "{error}");
    }
}

#[test]
fn changed_files_are_read_again_and_broken_ones_change_nothing() {
    let folder = Folder::new("follow");
    let (cert, key, first) = folder.pair("a");
    let identity = Identity::read(&cert, &key).unwrap();
    identity.look();
    assert_eq!(identity.first(), first);
    fs::write(&key, "not there yet").unwrap();
    identity.look();
    assert_eq!(identity.first(), first);
    let (_, _, second) = folder.pair("a");
    // So soon after the last look nobody looks.
    identity.follow();
    assert_eq!(identity.first(), first);
    identity.look();
    assert_eq!(identity.first(), second);
}
