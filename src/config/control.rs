//! The control port's settings: where it is, who may use it, how much it takes.

use std::{
    fmt,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use super::{Secret, both_families};

/// The control port.
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent switches, each a key of its own"
)]
#[derive(Clone, Debug)]
pub struct Control {
    /// Addresses. Default `127.0.0.1:5561` and `[::1]:5561`. With `unix` empty, too: no control
    /// port.
    pub http: Vec<SocketAddr>,
    /// True while nobody named an address (a bare port names none): then a machine without IPv6
    /// is no error.
    pub http_is_default: bool,
    /// Sockets in the file system, named in the same key as `unix:PATH`. Default: none.
    pub unix: Vec<UnixSocket>,
    /// What publishers send as `Authorization: Bearer`: text, or `file:PATH`. Empty: not taken.
    pub token: Secret,
    /// Issuer (`iss`) of the JWTs that are taken. Set together with `jwt_key`.
    pub jwt_iss: String,
    /// Key that verifies them, written like `grip.upstream_key`. Empty: none is taken.
    pub jwt_key: Secret,
    /// Name of HTTP's basic authentication. Set together with `password`.
    pub user: String,
    /// Its password: text, or `file:PATH`.
    pub password: Secret,
    /// `GET /metrics` needs no credentials. Default false.
    pub public_metrics: bool,
    /// Other machines may reach a port that asks for no credentials. Default false.
    pub insecure: bool,
    /// Certificates (PEM, gripd's own first). With it every address of `http` speaks TLS. Set
    /// together with `tls_key`; both are read again when they change.
    pub tls_cert: Option<PathBuf>,
    /// The private key (PEM) of the first certificate.
    pub tls_key: Option<PathBuf>,
    /// Names, beside loopback and addresses, under which the port may be asked for (`Host`).
    pub hosts: Vec<String>,
    /// Also names that nobody can hold in the public DNS: those without a dot, and those below
    /// `.internal` and `.local`. Default false; true in the container image.
    pub private_hosts: bool,
    /// Most bytes of a request's head. Default 10,000.
    pub max_head: usize,
    /// Most bytes of a request's body. Default 1,000,000.
    pub max_body: usize,
    /// Most connections at once. Default 1,024.
    pub max_connections: usize,
}

impl Default for Control {
    fn default() -> Self {
        Self {
            http: both_families(true, 5561),
            http_is_default: true,
            unix: Vec::new(),
            token: Secret::default(),
            jwt_iss: String::new(),
            jwt_key: Secret::default(),
            user: String::new(),
            password: Secret::default(),
            public_metrics: false,
            insecure: false,
            tls_cert: None,
            tls_key: None,
            hosts: Vec::new(),
            private_hosts: false,
            max_head: 10_000,
            max_body: 1_000_000,
            max_connections: 1024,
        }
    }
}

impl Control {
    /// Publishers must show who they are. A user without a password, and a JWT's issuer without a
    /// key, are faults of the settings and count here as much as the whole.
    pub fn asks_for_credentials(&self) -> bool {
        let secrets = [&self.token, &self.jwt_key, &self.password];
        secrets.into_iter().any(|secret| !secret.0.is_empty())
    }

    /// Of these addresses those by which other machines may publish without a word.
    pub fn open_to_others(&self, addresses: &[SocketAddr]) -> Vec<SocketAddr> {
        let is_open = |address: &&SocketAddr| {
            !self.asks_for_credentials() && !address.ip().to_canonical().is_loopback()
        };
        addresses.iter().filter(is_open).copied().collect()
    }

    /// Certificates and key, if the port is to speak TLS.
    pub fn tls(&self) -> Option<(&Path, &Path)> {
        self.tls_cert.as_deref().zip(self.tls_key.as_deref())
    }
}

/// A socket in the file system, written `unix:PATH?mode=OCT&user=U&group=G`. Who may connect is
/// said by the rights of the file, and by those of the folders above it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnixSocket {
    /// The file.
    pub path: PathBuf,
    /// Its rights. Default 660: owner and group.
    pub mode: u32,
    /// Its owner, by name or number. Default: who gripd runs as.
    pub user: Option<String>,
    /// Its group, by name or number. Default: that of who gripd runs as.
    pub group: Option<String>,
}

impl UnixSocket {
    /// Reads what stands behind `unix:`. A relative path starts at `base`.
    ///
    /// # Errors
    /// What is allowed, as a sentence that does not name the key.
    pub(super) fn parse(text: &str, base: &Path) -> Result<Self, String> {
        let (path, options) = text.split_once('?').unwrap_or((text, ""));
        if path.is_empty() {
            return Err(UNIX.into());
        }
        let mut socket = Self {
            path: base.join(path),
            mode: MODE,
            user: None,
            group: None,
        };
        for option in options.split('&').filter(|option| !option.is_empty()) {
            match option.split_once('=') {
                Some(("mode", mode)) => {
                    let mode = u32::from_str_radix(mode, 8).ok();
                    socket.mode = mode.filter(|mode| *mode <= 0o777).ok_or(UNIX)?;
                }
                Some(("user", name)) if !name.is_empty() => socket.user = Some(name.into()),
                Some(("group", name)) if !name.is_empty() => socket.group = Some(name.into()),
                _ => return Err(UNIX.into()),
            }
        }
        Ok(socket)
    }
}

/// As it is written in the settings.
impl fmt::Display for UnixSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unix:{}", self.path.display())?;
        let mode = (self.mode != MODE).then(|| format!("mode={:o}", self.mode));
        let user = self.user.as_ref().map(|name| format!("user={name}"));
        let group = self.group.as_ref().map(|name| format!("group={name}"));
        let options: Vec<_> = [mode, user, group].into_iter().flatten().collect();
        if options.is_empty() {
            return Ok(());
        }
        write!(f, "?{}", options.join("&"))
    }
}

const MODE: u32 = 0o660;

const UNIX: &str = "must be, for a socket in the file system, unix:PATH or \
                    unix:PATH?mode=OCTAL&user=NAME&group=NAME (each of the three may be left out; \
                    mode from 0 to 777)";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_are_read_and_written() {
        for (text, mode, user, group) in [
            ("unix:/run/g.sock", 0o660, None, None),
            ("unix:/run/g.sock?mode=600", 0o600, None, None),
            (
                "unix:/a?mode=777&user=u&group=10",
                0o777,
                Some("u"),
                Some("10"),
            ),
            ("unix:/a?group=www-data", 0o660, None, Some("www-data")),
        ] {
            let read = text.strip_prefix("unix:").unwrap();
            let socket = UnixSocket::parse(read, Path::new("/base")).unwrap();
            let found = (socket.mode, socket.user.as_deref(), socket.group.as_deref());
            assert_eq!(found, (mode, user, group), "{text}");
            assert_eq!(socket.to_string(), text);
        }
        let relative = UnixSocket::parse("g.sock", Path::new("/base")).unwrap();
        assert_eq!(relative.path, Path::new("/base/g.sock"));
        for wrong in [
            "",
            "?mode=600",
            "/a?mode=8",
            "/a?mode=1777",
            "/a?x=1",
            "/a?user",
            "/a?user=",
        ] {
            assert_eq!(
                UnixSocket::parse(wrong, Path::new("")),
                Err(UNIX.into()),
                "{wrong}"
            );
        }
    }

    #[test]
    fn a_port_without_credentials_is_open_beyond_loopback() {
        let addresses: Vec<SocketAddr> = [
            "0.0.0.0:1",
            "127.9.0.1:1",
            "[::1]:1",
            "[::]:1",
            "[::ffff:127.0.0.1]:1",
        ]
        .map(|address| address.parse().unwrap())
        .to_vec();
        let mut control = Control::default();
        assert_eq!(
            control.open_to_others(&addresses),
            [addresses[0], addresses[3]]
        );
        control.token = Secret("t".into());
        assert_eq!(control.open_to_others(&addresses), []);
    }
}
