//! The sockets gripd listens on, and how it tells people where they are.

use std::{net::SocketAddr, sync::Arc};

use rustls::ServerConfig;

use super::{
    Error,
    activation::{self, Handed},
};
use crate::{
    config::{Control, Settings},
    listen::{greet::Manner, tcp, unix},
    socket::Bound,
    tls::{self, Folder, Identity},
};

/// Bound sockets, by core.
pub(super) struct Sockets {
    clients: Vec<Vec<Door>>,
    control: Vec<Vec<Bound>>,
    /// Those of the control port in the file system.
    files: Vec<unix::File>,
}

/// A socket for clients, and how connections begin there.
pub(super) struct Door {
    pub(super) socket: Bound,
    pub(super) manner: Manner,
}

/// The bound addresses as URLs a person can open, each once, in the order of the settings.
#[derive(Debug)]
pub(super) struct Shown {
    clients: Vec<String>,
    control: Vec<String>,
    /// What curl needs to publish by the first of them.
    curl: String,
    /// Clients reach gripd at every address of this machine.
    everywhere: bool,
    /// Other machines reach the control port, which asks nobody who he is.
    open: bool,
    /// It is that of a container, which must be open for others to publish.
    in_image: bool,
}

impl Sockets {
    /// Binds every address, once for each core. Sockets that systemd hands over stand in for those
    /// of `listen.http`, and those that it calls `control` for those of `control.http`.
    pub(super) fn bind(settings: &Settings, copies: usize) -> Result<Self, Error> {
        let (listen, control) = (&settings.listen, &settings.control);
        let mut sockets = Self {
            clients: (0..copies).map(|_| Vec::new()).collect(),
            control: (0..copies).map(|_| Vec::new()).collect(),
            files: Vec::new(),
        };
        let Handed {
            clients,
            control: publishers,
        } = activation::take()?;
        if clients.is_empty() {
            sockets.bind_clients(settings, copies, false)?;
        }
        if publishers.is_empty() {
            let (backlog, may_lack) = (listen.backlog, control.http_is_default);
            let sets = tcp::bind(&control.http, copies, backlog, may_lack, CONTROL)?;
            for (core, set) in sockets.control.iter_mut().zip(sets) {
                core.extend(set.into_iter().map(Bound::Tcp));
            }
        }
        sockets.bind_clients(settings, copies, true)?;
        for (socket, encrypted) in clients {
            let manner = Manner {
                proxied: false,
                tls: tls(settings, encrypted, socket.address())?,
            };
            sockets.share_client(&socket, &manner)?;
        }
        for socket in publishers {
            sockets.share_control(&socket)?;
        }
        for socket in &listen.unix {
            let (listener, file) = unix::bind(socket, listen.backlog, "listen.unix")?;
            sockets.files.push(file);
            let manner = Manner {
                proxied: listen.proxy_protocol.unix.contains(&socket.path),
                tls: None,
            };
            sockets.share_client(&Bound::Unix(listener), &manner)?;
        }
        for socket in &control.unix {
            let (listener, file) = unix::bind(socket, listen.backlog, CONTROL)?;
            sockets.files.push(file);
            sockets.share_control(&Bound::Unix(listener))?;
        }
        Ok(sockets)
    }

    /// Binds `listen.https` (`encrypted`) or `listen.http`.
    fn bind_clients(
        &mut self,
        settings: &Settings,
        copies: usize,
        encrypted: bool,
    ) -> Result<(), Error> {
        let listen = &settings.listen;
        let (all, may_lack, flag) = if encrypted {
            (&listen.https, listen.https_is_default, "listen.https")
        } else {
            (&listen.http, listen.http_is_default, "--port (listen.http)")
        };
        for proxied in [false, true] {
            let is_meant = |address: &&SocketAddr| {
                listen.proxy_protocol.addresses.contains(address) == proxied
            };
            let addresses: Vec<_> = all.iter().filter(is_meant).copied().collect();
            let sets = tcp::bind(&addresses, copies, listen.backlog, may_lack, flag)?;
            let first = sets.first().into_iter().flatten();
            let manners = first.map(|socket| {
                let tls = tls(settings, encrypted, socket.local_addr().ok())?;
                Ok::<_, Error>(Manner { proxied, tls })
            });
            let manners = manners.collect::<Result<Vec<_>, _>>()?;
            for (core, set) in self.clients.iter_mut().zip(sets) {
                let doors = set.into_iter().zip(&manners).map(|(socket, manner)| Door {
                    socket: Bound::Tcp(socket),
                    manner: manner.clone(),
                });
                core.extend(doors);
            }
        }
        Ok(())
    }

    /// All cores accept from the one queue that such a socket has.
    fn share_client(&mut self, socket: &Bound, manner: &Manner) -> Result<(), Error> {
        for core in &mut self.clients {
            core.push(Door {
                socket: socket.try_clone()?,
                manner: manner.clone(),
            });
        }
        Ok(())
    }

    /// The same of the control port.
    fn share_control(&mut self, socket: &Bound) -> Result<(), Error> {
        for core in &mut self.control {
            core.push(socket.try_clone()?);
        }
        Ok(())
    }

    /// The sockets in the file system, which are there until this is dropped.
    pub(super) fn take_files(&mut self) -> Vec<unix::File> {
        std::mem::take(&mut self.files)
    }

    /// Where they are.
    pub(super) fn shown(&self, settings: &Settings, in_image: bool) -> Shown {
        let control = &settings.control;
        let doors = || self.clients.first().into_iter().flatten();
        let by_scheme = [("http", false), ("https", true)].map(|(scheme, encrypted)| {
            let doors = doors().filter(|door| door.manner.tls.is_some() == encrypted);
            let addresses: Vec<_> = doors.filter_map(|door| door.socket.address()).collect();
            (scheme, addresses)
        });
        let mut clients: Vec<String> = by_scheme
            .iter()
            .flat_map(|(scheme, addresses)| urls(scheme, addresses))
            .collect();
        clients.extend(settings.listen.unix.iter().map(ToString::to_string));
        let mut of_clients = by_scheme.iter().flat_map(|(_, addresses)| addresses);
        let everywhere = of_clients.any(|address| address.ip().is_unspecified());
        let first = self.control.first().into_iter().flatten();
        let by_address: Vec<_> = first.filter_map(Bound::address).collect();
        let scheme = if control.tls().is_some() {
            "https"
        } else {
            "http"
        };
        let mut shown = urls(scheme, &by_address);
        shown.extend(control.unix.iter().map(ToString::to_string));
        Shown {
            everywhere,
            clients,
            curl: curl(control, shown.first().map_or(NONE, String::as_str)),
            control: shown,
            open: !control.open_to_others(&by_address).is_empty(),
            in_image,
        }
    }

    /// Deals the sockets out: clients, control.
    pub(super) fn into_cores(self) -> impl Iterator<Item = (Vec<Door>, Vec<Bound>)> {
        self.clients.into_iter().zip(self.control)
    }
}

impl Shown {
    /// One URL for clients.
    pub(super) fn client(&self) -> &str {
        self.clients.first().map_or(NONE, String::as_str)
    }

    /// One URL for publishers.
    pub(super) fn control(&self) -> &str {
        self.control.first().map_or(NONE, String::as_str)
    }

    /// What curl needs to publish.
    pub(super) fn curl(&self) -> &str {
        &self.curl
    }

    /// Says in the log where gripd is and what to try there.
    pub(super) fn announce(&self, welcome: bool) {
        let note = if self.everywhere {
            " (every address of this machine)"
        } else {
            ""
        };
        tracing::info!("clients: {}{note}", self.clients.join(", "));
        let control = match self.control.join(", ") {
            urls if urls.is_empty() => NONE.to_owned(),
            urls => urls,
        };
        if self.open {
            let how = if self.in_image {
                ", in a compose file as 127.0.0.1:5561:5561 or not at all"
            } else {
                ""
            };
            tracing::warn!(
                "control: {control}, open to other machines: anyone who reaches it can publish; set \
                 control.token, or show it to publishers only{how}"
            );
        } else {
            tracing::info!("control: {control}");
        }
        let client = self.client();
        if welcome {
            tracing::info!("try: open {client}/ in a browser");
        } else {
            tracing::info!("try: curl -i {client}/, or gripd check for what is wrong");
        }
    }
}

/// What connections to this address need to begin with TLS, if they do.
fn tls(
    settings: &Settings,
    encrypted: bool,
    address: Option<SocketAddr>,
) -> Result<Option<Arc<ServerConfig>>, Error> {
    if !encrypted {
        return Ok(None);
    }
    let other = settings.tls.pair();
    let other = other.map(|(cert, key)| Identity::read(cert, key));
    let port = address.map_or(0, |address| address.port());
    let folder = Folder::new(settings.tls.certs.as_deref(), port, other.transpose()?);
    Ok(Some(Arc::new(tls::server(folder, settings.listen.http2)?)))
}

/// A wildcard is no place to go to: `localhost` is, and stands for both families.
fn urls(scheme: &str, addresses: &[SocketAddr]) -> Vec<String> {
    let mut urls = Vec::new();
    for address in addresses {
        let url = if address.ip().is_unspecified() {
            format!("{scheme}://localhost:{}", address.port())
        } else {
            format!("{scheme}://{address}")
        };
        if !urls.contains(&url) {
            urls.push(url);
        }
    }
    urls
}

/// Where curl is to send a publish, and the credentials it has to bring, by what they are called.
fn curl(control: &Control, url: &str) -> String {
    let place = match control.unix.first() {
        Some(socket) if control.http.is_empty() => {
            format!(
                "--unix-socket {} http://localhost/publish",
                socket.path.display()
            )
        }
        _ => format!("{url}/publish"),
    };
    if !control.asks_for_credentials() {
        place
    } else if control.password.0.is_empty() {
        format!("-H 'Authorization: Bearer TOKEN' {place}")
    } else {
        format!("-u USER:PASSWORD {place}")
    }
}

/// Flag and key that say where the control port is.
const CONTROL: &str = "--control (control.http)";

const NONE: &str = "none";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn curl_is_told_what_publishing_needs() {
        let mut settings = Control::default();
        assert_eq!(curl(&settings, "http://a:1"), "http://a:1/publish");
        settings.token = crate::config::Secret("t".into());
        let token = "-H 'Authorization: Bearer TOKEN' http://a:1/publish";
        assert_eq!(curl(&settings, "http://a:1"), token);
        settings.password = crate::config::Secret("p".into());
        assert_eq!(
            curl(&settings, "https://a:1"),
            "-u USER:PASSWORD https://a:1/publish"
        );
    }

    #[test]
    fn urls_can_be_opened_and_stand_once() {
        let table: [(&[&str], &[&str]); 4] = [
            (&["0.0.0.0:7999", "[::]:7999"], &["http://localhost:7999"]),
            (
                &["0.0.0.0:80", "[::]:81"],
                &["http://localhost:80", "http://localhost:81"],
            ),
            (
                &["127.0.0.1:5561", "[::1]:5561"],
                &["http://127.0.0.1:5561", "http://[::1]:5561"],
            ),
            (&[], &[]),
        ];
        for (addresses, expected) in table {
            let addresses: Vec<_> = addresses.iter().map(|one| one.parse().unwrap()).collect();
            assert_eq!(urls("http", &addresses), expected);
        }
    }
}
