//! The sockets gripd listens on, and how it tells people where they are.

use std::net::{SocketAddr, TcpListener};

use super::Error;
use crate::{config::Settings, listen};

/// Bound sockets, by core.
pub(super) struct Sockets {
    clients: Vec<Vec<TcpListener>>,
    control: Vec<Vec<TcpListener>>,
}

/// The bound addresses as URLs a person can open, each once, in the order of the settings.
#[derive(Debug)]
pub(super) struct Shown {
    clients: Vec<String>,
    control: Vec<String>,
    /// Clients reach gripd at every address of this machine.
    everywhere: bool,
    /// Control addresses that other machines reach.
    open: Vec<SocketAddr>,
    /// They are those of a container, which must be open for others to publish.
    in_image: bool,
}

impl Sockets {
    /// Binds every address, once for each core.
    pub(super) fn bind(settings: &Settings, copies: usize) -> Result<Self, Error> {
        let (listen, control) = (&settings.listen, &settings.control);
        let backlog = listen.backlog;
        Ok(Self {
            clients: listen::tcp::bind(
                &listen.http,
                copies,
                backlog,
                listen.http_is_default,
                "--port (listen.http)",
            )?,
            control: listen::tcp::bind(
                &control.http,
                copies,
                backlog,
                control.http_is_default,
                "--control (control.http)",
            )?,
        })
    }

    /// Where they are.
    pub(super) fn shown(&self, in_image: bool) -> Shown {
        let (clients, mut control) = (addresses(&self.clients), addresses(&self.control));
        Shown {
            clients: urls(&clients),
            control: urls(&control),
            everywhere: clients.iter().any(|address| address.ip().is_unspecified()),
            open: {
                control.retain(|address| !address.ip().is_loopback());
                control
            },
            in_image,
        }
    }

    /// Deals the sockets out: clients, control.
    pub(super) fn into_cores(self) -> impl Iterator<Item = (Vec<TcpListener>, Vec<TcpListener>)> {
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
        if self.open.is_empty() {
            tracing::info!("control: {control}");
        } else if self.in_image {
            tracing::info!(
                "control: {control} (whoever reaches this port may publish: show it to publishers \
                 only, in a compose file as 127.0.0.1:5561:5561 or not at all)"
            );
        } else {
            tracing::info!("control: {control}");
            tracing::warn!(
                addresses = ?self.open,
                "the control port is open to other machines, and anyone who reaches it can \
                 publish: bind it to 127.0.0.1, or keep others out with a firewall"
            );
        }
        let client = self.client();
        if welcome {
            tracing::info!("try: open {client}/ in a browser");
        } else {
            tracing::info!("try: curl -i {client}/, or gripd check for what is wrong");
        }
    }
}

fn addresses(listeners: &[Vec<TcpListener>]) -> Vec<SocketAddr> {
    let first = listeners.first().into_iter().flatten();
    first.filter_map(|one| one.local_addr().ok()).collect()
}

/// A wildcard is no place to go to: `localhost` is, and stands for both families.
fn urls(addresses: &[SocketAddr]) -> Vec<String> {
    let mut urls = Vec::new();
    for address in addresses {
        let url = if address.ip().is_unspecified() {
            format!("http://localhost:{}", address.port())
        } else {
            format!("http://{address}")
        };
        if !urls.contains(&url) {
            urls.push(url);
        }
    }
    urls
}

const NONE: &str = "none";

#[cfg(test)]
mod tests {
    use super::*;

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
            assert_eq!(urls(&addresses), expected);
        }
    }
}
