//! Pushpin's own file, read into gripd's tree, so that a machine that ran Pushpin runs gripd
//! without an edit. Keys without meaning here are silent at the value Pushpin ships and give one
//! warning when somebody changed them; they are never an error.

mod meaning;

use std::{
    collections::{HashMap, HashSet},
    path::{Path, PathBuf},
};

use self::meaning::{Meaning, meaning, section_of};
pub(super) use self::meaning::{names, path_of};
#[cfg(test)]
pub(super) use self::meaning::{unknown_targets, without_meaning};
use super::{
    draft::{Draft, Place, Rank, folder_of},
    load,
};

/// True for a file in Pushpin's format: by its name, else by its sections.
pub(super) fn is_one(path: &Path, text: &str) -> bool {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("toml") => false,
        Some("conf") => true,
        _ => text
            .lines()
            .any(|line| matches!(line.trim(), "[global]" | "[runner]" | "[handler]")),
    }
}

/// Reads the file, and the one it includes.
pub(super) fn read(draft: &mut Draft, path: &Path, text: &str) {
    let name = path.display().to_string();
    let mut entries = parse(draft, &name, text);
    if let Some((included, text)) = include(draft, path, &entries) {
        let name = included.display().to_string();
        for entry in parse(draft, &name, &text) {
            // The including file wins, key by key.
            if value(&entries, &entry.section, &entry.key).is_none() {
                entries.push(entry);
            }
        }
        draft.files.push(included);
    }
    substitute(&mut entries);
    let mut reader = Reader {
        draft,
        base: folder_of(path).to_owned(),
        groups: Vec::new(),
    };
    for entry in &entries {
        reader.entry(entry, &entries);
    }
    let groups = reader.groups;
    for (message, keys, place) in groups {
        let fault = place
            .place()
            .warning(format!("{}: {message}", keys.join(", ")));
        draft.faults.push(fault);
    }
}

#[derive(Clone, Debug)]
struct Entry {
    file: String,
    line: usize,
    section: String,
    key: String,
    value: String,
}

impl Entry {
    fn place(&self) -> Place<'_> {
        Place {
            name: &self.file,
            line: self.line,
            column: 1,
            key: &self.key,
        }
    }
}

fn parse(draft: &mut Draft, name: &str, text: &str) -> Vec<Entry> {
    let mut section = String::new();
    let mut entries = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim_start_matches('\u{feff}').trim();
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        let header = line
            .strip_prefix('[')
            .and_then(|line| line.strip_suffix(']'));
        if let Some(header) = header {
            header.trim().clone_into(&mut section);
        } else if let Some((key, value)) = line.split_once('=') {
            entries.push(Entry {
                file: name.to_owned(),
                line: index + 1,
                section: section.clone(),
                key: key.trim().to_owned(),
                value: unquoted(value.trim()).to_owned(),
            });
        } else {
            let place = Place {
                name,
                line: index + 1,
                column: 1,
                key: "",
            };
            let message = "not understood, ignored; allowed: [section], key=value, # comment";
            draft.faults.push(place.warning(message));
        }
    }
    last_of_each(entries)
}

/// The last of a key counts; the ones before it shall not even give warnings.
fn last_of_each(mut entries: Vec<Entry>) -> Vec<Entry> {
    let mut seen = HashSet::new();
    entries.reverse();
    entries.retain(|entry| seen.insert((entry.section.clone(), entry.key.clone())));
    entries.reverse();
    entries
}

fn unquoted(value: &str) -> &str {
    value
        .strip_prefix('"')
        .and_then(|value| value.strip_suffix('"'))
        .unwrap_or(value)
}

fn value<'a>(entries: &'a [Entry], section: &str, key: &str) -> Option<&'a str> {
    entries
        .iter()
        .find(|entry| entry.section == section && entry.key == key)
        .map(|entry| entry.value.as_str())
}

/// The included file; Pushpin's `internal.conf` holds only names of its inner sockets.
fn include(draft: &mut Draft, path: &Path, entries: &[Entry]) -> Option<(PathBuf, String)> {
    let entry = entries
        .iter()
        .find(|entry| entry.section == "global" && entry.key == "include")?;
    let named = Path::new(&entry.value);
    if entry.value.is_empty() || named.file_name()? == "internal.conf" {
        return None;
    }
    let included = folder_of(path).join(named);
    match load::read(&included) {
        Ok(text) => Some((included, text)),
        Err(error) => {
            let message = format!("include {} cannot be read: {error}", included.display());
            draft.faults.push(entry.place().error(message));
            None
        }
    }
}

fn substitute(entries: &mut [Entry]) {
    let words: HashMap<&str, String> = [
        ("{libdir}", "libdir", "/usr/lib/pushpin"),
        ("{rundir}", "rundir", "run"),
        ("{ipc_prefix}", "ipc_prefix", "pushpin-"),
    ]
    .into_iter()
    .map(|(word, key, default)| {
        let value = value(entries, "global", key).unwrap_or(default);
        (word, value.to_owned())
    })
    .collect();
    for entry in entries {
        for (word, text) in &words {
            if entry.value.contains(word) {
                entry.value = entry.value.replace(word, text);
            }
        }
    }
}

struct Reader<'a, 'e> {
    draft: &'a mut Draft,
    base: PathBuf,
    /// Warnings that several keys share: message, keys, place of the first.
    groups: Vec<(&'static str, Vec<&'e str>, &'e Entry)>,
}

impl<'e> Reader<'_, 'e> {
    fn entry(&mut self, entry: &'e Entry, entries: &'e [Entry]) {
        let value = entry.value.as_str();
        match meaning(&entry.section, &entry.key) {
            Some(Meaning::Same("listen.http")) if self.draft.image => self.image_port(entry),
            Some(Meaning::Same(path)) => self.set(path, value, entry),
            Some(Meaning::Flag(path)) => {
                let off = matches!(value, "" | "0" | "false");
                self.set(path, if off { "false" } else { "true" }, entry);
            }
            Some(Meaning::Millis(path)) => self.set(path, &format!("{value}ms"), entry),
            Some(Meaning::Group(shipped, message)) => {
                if !shipped.contains(&value) {
                    self.group(message, entry);
                }
            }
            Some(Meaning::Shipped(shipped, instead)) => {
                if !shipped.contains(&value) {
                    self.no_effect(entry, instead);
                }
            }
            Some(Meaning::Socket(instead)) => {
                if !value.is_empty() && !value.starts_with("ipc://") {
                    self.no_effect(entry, instead);
                }
            }
            Some(Meaning::Special(path)) => self.special(path, entry, entries),
            Some(Meaning::Word) => {}
            None if entry.key.ends_with("_spec") || entry.key.ends_with("_specs") => {}
            None => {
                let hint = section_of(&entry.key).map_or_else(String::new, |section| {
                    format!(": it belongs into [{section}]")
                });
                let (key, section) = (&entry.key, &entry.section);
                let message = format!("unknown key {key} of [{section}], ignored{hint}");
                self.draft.faults.push(entry.place().warning(message));
            }
        }
    }

    fn set(&mut self, path: &str, value: &str, entry: &Entry) {
        self.draft
            .set_path(path, value, &self.base, Rank::File, entry.place());
    }

    fn group(&mut self, message: &'static str, entry: &'e Entry) {
        match self.groups.iter_mut().find(|group| group.0 == message) {
            Some(group) => group.1.push(&entry.key),
            None => self.groups.push((message, vec![&entry.key], entry)),
        }
    }

    fn special(&mut self, path: &str, entry: &'e Entry, entries: &'e [Entry]) {
        let value = entry.value.as_str();
        match entry.key.as_str() {
            "client_buffer_size" => self.buffer_size(path, entry),
            "log_level" => {
                // `2` or `2,proxy:3` or `proxy:3`: gripd is one process, only a bare number counts.
                if let Some(level) = value.split(',').find(|part| !part.contains(':')) {
                    self.set(path, level.trim(), entry);
                }
            }
            "port_offset" => self.port_offset(entry),
            "https_ports" => {
                self.set(path, value, entry);
                if !value.is_empty() {
                    self.set("tls.certs", "runner/certs", entry);
                }
            }
            "push_in_http_addr" => self.control_address(entry, entries),
            "push_in_http_port" => self.control_port(path, entry, entries),
            "x_forwarded_for" | "x_forwarded_for_trusted" => self.forwarded_for(path, entry),
            _ => {}
        }
    }

    fn no_effect(&mut self, entry: &Entry, instead: &str) {
        let message = format!("{} has no effect in gripd: {instead}", entry.key);
        self.draft.faults.push(entry.place().warning(message));
    }

    /// The entry script of Pushpin's image writes 7999 here, whatever stood there.
    fn image_port(&mut self, entry: &Entry) {
        let ports = entry.value.split(',').map(str::trim);
        let served = |port: &str| port == "7999" || port.ends_with(":7999");
        if !entry.value.is_empty() && !ports.into_iter().all(served) {
            let instead = "the image serves clients on 7999; set GRIPD_LISTEN_HTTP for another";
            self.no_effect(entry, instead);
        }
    }

    fn port_offset(&mut self, entry: &Entry) {
        if let Ok(offset) = entry.value.parse() {
            self.draft.port_offset = offset;
        } else {
            let message = "port_offset must be a whole number from 0 to 65535";
            self.draft.faults.push(entry.place().error(message));
        }
    }

    /// gripd's own limit is larger than Pushpin's usual 8,192: only a raised one is taken over.
    fn buffer_size(&mut self, path: &str, entry: &Entry) {
        match entry.value.parse::<usize>() {
            Ok(bytes) if bytes > self.draft.settings.limits.request_head => {
                self.set(path, &entry.value, entry);
            }
            Ok(bytes) if bytes >= SHIPPED_BUFFER => {}
            _ => self.no_effect(entry, "set limits.request_head"),
        }
    }

    /// Read together with its port.
    fn control_address(&mut self, entry: &Entry, entries: &[Entry]) {
        let address = entry.value.as_str();
        if !is_this_machine(address) && value(entries, "handler", "push_in_http_port").is_none() {
            self.no_effect(entry, "set push_in_http_port, too, or control.http");
        }
    }

    /// The shipped 127.0.0.1 means "this machine", which is both loopback addresses.
    fn control_port(&mut self, path: &str, entry: &'e Entry, entries: &'e [Entry]) {
        let address = value(entries, "handler", "push_in_http_addr").unwrap_or_default();
        let port = entry.value.as_str();
        let value = match address {
            _ if port.is_empty() || port.starts_with('-') => String::new(),
            address if is_this_machine(address) => port.to_owned(),
            v6 if v6.contains(':') && !v6.starts_with('[') => format!("[{v6}]:{port}"),
            other => format!("{other}:{port}"),
        };
        self.set(path, &value, entry);
    }

    /// Pushpin skips words it does not know; gripd does so, too, but says which.
    fn forwarded_for(&mut self, path: &str, entry: &Entry) {
        let known = |word: &&str| {
            *word == "append"
                || word
                    .strip_prefix("truncate:")
                    .is_some_and(|count| count.parse::<usize>().is_ok())
        };
        let words = entry
            .value
            .split(',')
            .map(str::trim)
            .filter(|word| !word.is_empty());
        let (good, bad): (Vec<_>, Vec<_>) = words.partition(known);
        if !bad.is_empty() {
            let message = format!(
                "{}: ignored: {}; allowed: truncate:N, append",
                entry.key,
                bad.join(", ")
            );
            self.draft.faults.push(entry.place().warning(message));
        }
        self.set(path, &good.join(","), entry);
    }
}

fn is_this_machine(address: &str) -> bool {
    matches!(address, "" | "127.0.0.1" | "localhost")
}

/// Bytes of `client_buffer_size` as Pushpin ships it.
const SHIPPED_BUFFER: usize = 8192;
