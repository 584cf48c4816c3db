//! The sockets gripd listens on, and how it tells people where they are.

use std::net::{SocketAddr, TcpListener};

use super::Error;
use crate::{
    config::{Control, Settings},
    control::Bound,
    listen,
};

/// Bound sockets, by core.
pub(super) struct Sockets {
    clients: Vec<Vec<TcpListener>>,
    control: Vec<Vec<Bound>>,
    /// Those of the control port in the file system.
    files: Vec<listen::unix::File>,
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
    /// Binds every address, once for each core.
    pub(super) fn bind(settings: &Settings, copies: usize) -> Result<Self, Error> {
        let (listen, control) = (&settings.listen, &settings.control);
        let backlog = listen.backlog;
        let clients = listen::tcp::bind(
            &listen.http,
            copies,
            backlog,
            listen.http_is_default,
            "--port (listen.http)",
        )?;
        let by_address = listen::tcp::bind(
            &control.http,
            copies,
            backlog,
            control.http_is_default,
            CONTROL,
        )?;
        let mut sockets = Self {
            clients,
            control: by_address
                .into_iter()
                .map(|set| set.into_iter().map(Bound::Tcp).collect())
                .collect(),
            files: Vec::new(),
        };
        for socket in &control.unix {
            let (listener, file) = listen::unix::bind(socket, backlog, CONTROL)?;
            sockets.files.push(file);
            // All cores accept from the one queue there is.
            for set in &mut sockets.control {
                set.push(Bound::Unix(listener.try_clone()?));
            }
        }
        Ok(sockets)
    }

    /// The sockets in the file system, which are there until this is dropped.
    pub(super) fn take_files(&mut self) -> Vec<listen::unix::File> {
        std::mem::take(&mut self.files)
    }

    /// Where they are.
    pub(super) fn shown(&self, control: &Control, in_image: bool) -> Shown {
        let first = self.clients.first().into_iter().flatten();
        let clients = addresses(first);
        let first = self.control.first().into_iter().flatten();
        let by_address = addresses(first.filter_map(|socket| match socket {
            Bound::Tcp(listener) => Some(listener),
            Bound::Unix(_) => None,
        }));
        let scheme = if control.tls().is_some() {
            "https"
        } else {
            "http"
        };
        let mut shown = urls(scheme, &by_address);
        shown.extend(control.unix.iter().map(ToString::to_string));
        Shown {
            everywhere: clients.iter().any(|address| address.ip().is_unspecified()),
            clients: urls("http", &clients),
            curl: curl(control, shown.first().map_or(NONE, String::as_str)),
            control: shown,
            open: !control.open_to_others(&by_address).is_empty(),
            in_image,
        }
    }

    /// Deals the sockets out: clients, control.
    pub(super) fn into_cores(self) -> impl Iterator<Item = (Vec<TcpListener>, Vec<Bound>)> {
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

fn addresses<'a>(listeners: impl Iterator<Item = &'a TcpListener>) -> Vec<SocketAddr> {
    listeners.filter_map(|one| one.local_addr().ok()).collect()
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
