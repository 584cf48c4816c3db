//! Settings as text again: what `gripd check --print` and the page of settings say of each key.
//! Every value is written as `value` reads it; what is secret is handed out apart, so that nobody
//! prints it by mistake.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use super::{
    ForwardedFor, LogFormat, MetricsPort, OnOverflow, Secret, SetForwardedProtocol, Settings,
    keys::{self, Key, Slot},
    pushpin_conf,
    value::{IPC, UNIX, duration_text, size_text},
};

/// The value of a key, to be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shown {
    /// A value, in the notation of the TOML file.
    Value(String),
    /// A secret: not for any output.
    Secret(Secret),
    /// Route lines, each of which may hold a secret.
    Lines(Vec<String>),
}

impl Key {
    /// The value of this key in these settings.
    pub fn shown(&self, settings: &Settings) -> Shown {
        // The slots lead to places to be written to.
        let settings = &mut settings.clone();
        Shown::Value(match self.slot {
            Slot::Secret(at) => return Shown::Secret(at(settings).clone()),
            Slot::Lines(at) => return Shown::Lines(at(settings).clone()),
            Slot::Bool(at) => at(settings).to_string(),
            Slot::Count(at, ..) => at(settings).to_string(),
            Slot::Small(at, ..) => at(settings).to_string(),
            Slot::Bytes(at, ..) => size(*at(settings) as u64),
            Slot::Body(at) => size(*at(settings)),
            Slot::Time(at, ..) => quoted(&duration_text(*at(settings))),
            Slot::Text(at) | Slot::Level(at) => quoted(at(settings)),
            Slot::File(at) | Slot::AnyFolder(at) => {
                at(settings).as_deref().map_or_else(|| quoted(""), path)
            }
            Slot::Metrics(at) => quoted(&match at(settings) {
                None => String::new(),
                Some(MetricsPort::Tcp(address)) => address.to_string(),
                Some(MetricsPort::Unix(path)) => format!("{IPC}{}", path.display()),
            }),
            Slot::Format(at) => quoted(match at(settings) {
                LogFormat::Text => "text",
                LogFormat::Json => "json",
            }),
            Slot::Folder(at) => path(at(settings)),
            Slot::Addresses(at, is_default) => {
                let only_ports = *is_default(settings);
                list(addresses(at(settings), only_ports))
            }
            Slot::Networks(at) => list(at(settings).iter().map(ToString::to_string).collect()),
            Slot::Control(at) => {
                let control = at(settings);
                let mut words = addresses(&control.http, control.http_is_default);
                words.extend(control.unix.iter().map(ToString::to_string));
                list(words)
            }
            Slot::Sockets(at) => list(at(settings).iter().map(ToString::to_string).collect()),
            Slot::Proxied(at) => {
                let proxied = at(settings);
                let mut words = addresses(&proxied.addresses, proxied.only_ports);
                let unix = proxied.unix.iter();
                words.extend(unix.map(|path| format!("{UNIX}{}", path.display())));
                list(words)
            }
            Slot::Words(at) => list(at(settings).clone()),
            Slot::Overflow(at) => quoted(at(settings).name()),
            Slot::Protocol(at) => quoted(match at(settings) {
                SetForwardedProtocol::Off => "off",
                SetForwardedProtocol::ProtoOnly => "proto-only",
                SetForwardedProtocol::Both => "true",
            }),
            Slot::Forwarded(at) => list(forwarded_for(*at(settings))),
        })
    }

    /// What the value may be: type, unit, range.
    pub fn kind(&self) -> String {
        match self.slot {
            Slot::Bool(_) => "true or false".into(),
            Slot::Count(_, least, most) => format!("whole number, {least} to {most}"),
            Slot::Small(_, least, most) => format!("whole number, {least} to {most}"),
            Slot::Bytes(_, least, most) => {
                let [least, most] = [least, most].map(|bytes| size_text(bytes as u64));
                format!("size, {least} to {most}")
            }
            Slot::Body(_) => "size".into(),
            Slot::Time(_, least, most) => {
                let [least, most] = [least, most].map(duration_text);
                format!("time, {least} to {most}")
            }
            Slot::Text(_) => "text".into(),
            Slot::Level(_) => "level".into(),
            Slot::Secret(_) => "secret text".into(),
            Slot::File(_) => "path of a file".into(),
            Slot::Folder(_) | Slot::AnyFolder(_) => "path of a folder".into(),
            Slot::Metrics(_) => "`PORT`, `ADDR:PORT` or `ipc://PATH`".into(),
            Slot::Format(_) => "`text` or `json`".into(),
            Slot::Addresses(..) => "list of addresses".into(),
            Slot::Networks(_) => "list of address ranges".into(),
            Slot::Sockets(_) => "list of `unix:PATH`".into(),
            Slot::Control(_) | Slot::Proxied(_) => "list of addresses and `unix:PATH`".into(),
            Slot::Words(_) => "list of words".into(),
            Slot::Lines(_) => "list of route lines".into(),
            Slot::Overflow(_) => OnOverflow::NAMES.map(|name| format!("`{name}`")).join(", "),
            Slot::Protocol(_) => "`off`, `proto-only` or `true`".into(),
            Slot::Forwarded(_) => "list of `truncate:N` and `append`".into(),
        }
    }

    /// Keys of Pushpin's file that lead to this one, as `[section] key`.
    pub fn in_pushpin_conf(&self) -> Vec<String> {
        pushpin_conf::names(&self.path())
    }
}

impl Settings {
    /// The same with paths that mean the same wherever they are read from.
    #[must_use]
    pub fn with_absolute_paths(mut self) -> Self {
        for key in keys::all() {
            match key.slot {
                Slot::File(at) | Slot::AnyFolder(at) => {
                    at(&mut self).iter_mut().for_each(make_absolute);
                }
                Slot::Folder(at) => make_absolute(at(&mut self)),
                Slot::Metrics(at) => {
                    if let Some(MetricsPort::Unix(path)) = at(&mut self) {
                        make_absolute(path);
                    }
                }
                Slot::Control(at) => {
                    for socket in &mut at(&mut self).unix {
                        make_absolute(&mut socket.path);
                    }
                }
                Slot::Sockets(at) => {
                    for socket in at(&mut self) {
                        make_absolute(&mut socket.path);
                    }
                }
                Slot::Proxied(at) => at(&mut self).unix.iter_mut().for_each(make_absolute),
                _ => {}
            }
        }
        self
    }
}

fn make_absolute(path: &mut PathBuf) {
    if let Ok(absolute) = std::path::absolute(&*path) {
        *path = absolute;
    }
}

/// Text in the notation of TOML.
pub fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

fn size(bytes: u64) -> String {
    let text = size_text(bytes);
    match text.parse::<u64>() {
        Ok(_) => text,
        Err(_) => quoted(&text),
    }
}

fn path(path: &Path) -> String {
    quoted(&path.to_string_lossy())
}

fn list(words: Vec<String>) -> String {
    toml::Value::from(words).to_string()
}

fn addresses(addresses: &[SocketAddr], only_ports: bool) -> Vec<String> {
    if !only_ports {
        return addresses.iter().map(ToString::to_string).collect();
    }
    let mut ports: Vec<_> = addresses.iter().map(SocketAddr::port).collect();
    // Each port stands there once for each family.
    ports.dedup();
    ports.iter().map(ToString::to_string).collect()
}

fn forwarded_for(rule: ForwardedFor) -> Vec<String> {
    let truncate = rule.truncate.map(|count| format!("truncate:{count}"));
    let append = rule.append.then(|| "append".to_owned());
    truncate.into_iter().chain(append).collect()
}
