//! What must be right before anything is served: keys that can be used, credentials that are
//! whole, certificates that fit their key, and a control port that is open by intent.

use rustls::pki_types::{CertificateDer, pem::PemObject};

use super::Draft;
use crate::{
    config::Settings,
    grip::signature::{KeyError, Signer, Verifier, secret_text},
    tls::{Folder, Identity},
};

impl Draft {
    /// Notes what cannot be used.
    pub(super) fn check(&mut self) {
        self.check_signing();
        self.check_token();
        self.check_jwt();
        self.check_password();
        self.check_tls();
        self.check_clients_tls();
        self.check_proxied();
        self.check_ca_file();
        self.check_exposure();
    }

    fn check_signing(&mut self) {
        let grip = &self.settings.grip;
        // Routes may name the issuer that the settings lack, so the key is tried with any.
        let signer = Signer::new("gripd", &grip.sig_key.0, &grip.key_dir);
        self.unless_usable("grip.sig_key", signer, SIG_KEY);
        if !self.settings.grip.sig_iss.is_empty() {
            self.warn_of_the_known_key("grip.sig_key", FORGED_SIG);
        }
        let grip = &self.settings.grip;
        let verifier = Verifier::new(&grip.upstream_key.0, &grip.key_dir);
        self.unless_usable("grip.upstream_key", verifier, VERIFYING_KEY);
    }

    fn check_ca_file(&mut self) {
        let Some(file) = &self.settings.proxy.ca_file else {
            return;
        };
        let why = match CertificateDer::pem_file_iter(file).and_then(Iterator::collect) {
            Ok(found) if Vec::is_empty(&found) => "it holds no certificate".to_owned(),
            Ok(_) => return,
            Err(error) => error.to_string(),
        };
        let file = file.display();
        let message = format!("proxy.ca_file {file} cannot be used: {why}; allowed: a PEM file");
        self.fault_of("proxy.ca_file", message);
    }

    fn check_token(&mut self) {
        let Settings { control, grip, .. } = &self.settings;
        let token = secret_text(&control.token.0, &grip.key_dir);
        let token = self
            .unless_usable("control.token", token, SECRET)
            .unwrap_or_default();
        // Anything else could not be sent in a header, or not be told from what stands around it.
        if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            let message = "control.token must be visible ASCII without blanks: publishers send it \
                           in a header";
            self.fault_of("control.token", message.into());
        }
    }

    fn check_jwt(&mut self) {
        let Settings { control, grip, .. } = &self.settings;
        let (iss, key) = (control.jwt_iss.is_empty(), control.jwt_key.0.is_empty());
        let verifier = Verifier::new(&control.jwt_key.0, &grip.key_dir);
        self.unless_usable("control.jwt_key", verifier, VERIFYING_KEY);
        self.both_or_none(("control.jwt_iss", !iss), ("control.jwt_key", !key));
        self.warn_of_the_known_key("control.jwt_key", ANYBODYS_PUBLISH);
    }

    fn check_password(&mut self) {
        let Settings { control, grip, .. } = &self.settings;
        let (user, password) = (control.user.clone(), control.password.clone());
        let text = secret_text(&password.0, &grip.key_dir);
        self.unless_usable("control.password", text, SECRET);
        let (named, set) = (!user.is_empty(), !password.0.is_empty());
        self.both_or_none(("control.user", named), ("control.password", set));
        if user.contains(':') {
            let message = "control.user must not hold a colon: basic authentication ends the name \
                           there";
            self.fault_of("control.user", message.into());
        }
    }

    fn check_tls(&mut self) {
        let control = &self.settings.control;
        let (cert, key) = (control.tls_cert.is_some(), control.tls_key.is_some());
        let error = control
            .tls()
            .and_then(|(cert, key)| Identity::read(cert, key).err());
        self.both_or_none(("control.tls_cert", cert), ("control.tls_key", key));
        if let Some(error) = error {
            self.fault_of(
                "control.tls_cert",
                format!("control.tls_cert, control.tls_key: {error}"),
            );
        }
    }

    /// Whoever speaks TLS must find a certificate.
    fn check_clients_tls(&mut self) {
        let Settings { tls, listen, .. } = &self.settings;
        let (cert, key) = (tls.cert.is_some(), tls.key.is_some());
        let pair = tls.pair().map(|(cert, key)| Identity::read(cert, key));
        let (mut faults, mut warnings) = (Vec::new(), Vec::new());
        if let Some(Err(error)) = &pair {
            faults.push(("tls.cert", format!("tls.cert, tls.key: {error}")));
        }
        if let Some(folder) = &tls.certs {
            match Folder::examine(folder) {
                Ok(found) => warnings = found,
                Err(error) => {
                    let message = format!("{} cannot be read: {error}", folder.display());
                    let named = self.named.get("tls.certs");
                    // Pushpin starts without it, and has then no certificate for anybody.
                    if named.is_some_and(|named| named.key == "https_ports") {
                        warnings.push(message);
                    } else {
                        faults.push(("tls.certs", format!("tls.certs: {message}")));
                    }
                }
            }
        } else if pair.is_none() && !listen.https.is_empty() {
            let message = "listen.https needs certificates: set tls.cert and tls.key, or tls.certs";
            faults.push(("listen.https", message.into()));
        }
        self.both_or_none(("tls.cert", cert), ("tls.key", key));
        for (key, message) in faults {
            self.fault_of(key, message);
        }
        for warning in warnings {
            self.warning_of("tls.certs", format!("tls.certs: {warning}"));
        }
    }

    /// A name that is no listener's would leave one without what was meant for it.
    fn check_proxied(&mut self) {
        let listen = &self.settings.listen;
        let proxied = &listen.proxy_protocol;
        let address = proxied
            .addresses
            .iter()
            .find(|one| !listen.http.contains(one) && !listen.https.contains(one));
        let path = proxied.unix.iter();
        let path = path
            .clone()
            .find(|path| !listen.unix.iter().any(|socket| socket.path == **path));
        let stray = address
            .map(ToString::to_string)
            .or_else(|| path.map(|path| format!("unix:{}", path.display())));
        if let Some(stray) = stray {
            let message = format!(
                "listen.proxy_protocol: {stray} is none of listen.http, listen.https and \
                 listen.unix; write it as it stands there"
            );
            self.fault_of("listen.proxy_protocol", message);
        }
    }

    /// Who can reach the control port can publish to everyone, and Pushpin's asks nobody who he
    /// is. So one that others reach must ask, or somebody must have said that it need not: by the
    /// setting, by an address in Pushpin's own file, or by running the image, whose only door is
    /// to other containers.
    fn check_exposure(&mut self) {
        let control = &self.settings.control;
        let open = control.open_to_others(&control.http);
        if open.is_empty() {
            return;
        }
        let in_pushpin_conf = self.named.get("control.http");
        let in_pushpin_conf = in_pushpin_conf.is_some_and(|named| named.key == "push_in_http_port");
        let is_told = control.insecure || self.image || in_pushpin_conf;
        let mut open: Vec<_> = open.iter().map(ToString::to_string).collect();
        if self.image && control.http_is_default {
            open.push("by `gripd image`".into());
        }
        let message = format!(
            "control.http: the control port is open to other machines ({}), and anyone who reaches \
             it can publish; {ASK}, or bind it to 127.0.0.1",
            open.join(", ")
        );
        if !is_told {
            let message = format!("{message}, or say that it shall be so: --control-insecure");
            self.fault_of("control.http", message);
        } else if self.strict {
            // When gripd starts, the line that tells where the control port is says it.
            self.warning_of("control.http", message);
        }
    }

    /// Notes an error for a key that cannot be used.
    fn unless_usable<T>(
        &mut self,
        path: &str,
        read: Result<T, KeyError>,
        allowed: &str,
    ) -> Option<T> {
        let noted = |error| self.fault_of(path, format!("{path}: {error}; allowed: {allowed}"));
        read.map_err(noted).ok()
    }

    /// Notes an error when of two settings that need each other only one is set.
    fn both_or_none(&mut self, one: (&str, bool), other: (&str, bool)) {
        let (set, missing) = match (one, other) {
            ((one, true), (other, false)) => (one, other),
            ((one, false), (other, true)) => (other, one),
            _ => return,
        };
        self.fault_of(set, format!("{set} needs {missing}: set both or neither"));
    }

    /// A signing key nobody named is told at the start anyway; who wrote it down should hear of
    /// it, too.
    fn warn_of_the_known_key(&mut self, path: &str, harm: &str) {
        let known = Settings::default().grip.sig_key;
        let Settings { control, grip, .. } = &self.settings;
        let key = match path {
            "grip.sig_key" => &grip.sig_key,
            _ => &control.jwt_key,
        };
        let Some(named) = self.named.get(path).filter(|_| *key == known) else {
            return;
        };
        let name = match named.key.as_str() {
            "" => path,
            key => key,
        };
        let message = format!(
            "{name} is `{}`, the key everybody knows: {harm}; set {name} to a secret of your own, \
             here and in the backend",
            known.0
        );
        self.warning_of(path, message);
    }
}

/// How to have publishers asked.
const ASK: &str = "set control.token, or control.jwt_iss and control.jwt_key, or control.user and \
                   control.password";

/// What a signing key may be.
const SIG_KEY: &str = "text, base64:... or file:... (a PEM private key, EC P-256 or RSA, or hex)";

/// What a verifying key may be.
const VERIFYING_KEY: &str =
    "text, base64:... or file:... (a PEM public key, EC P-256 or RSA, or hex)";

/// What a token or a password may be.
const SECRET: &str = "text, or file:... with the text in it";

const FORGED_SIG: &str = "anybody can forge Grip-Sig towards a backend that trusts it";
const ANYBODYS_PUBLISH: &str = "anybody can make a JWT with it and publish";
