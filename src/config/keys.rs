//! The one table of keys: section, name, where the value goes, what it may be, what it means.
//! The TOML file, the environment and Pushpin's file all set keys through it.

mod table;

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use ipnet::IpNet;

use self::table::SECTIONS;
use super::{
    Control, ForwardedFor, LogFormat, MetricsPort, OnOverflow, Proxied, Secret,
    SetForwardedProtocol, Settings, UnixSocket,
};

/// One key of the tree.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Table of the TOML file; empty: top level.
    pub section: &'static str,
    /// Name inside it.
    pub name: &'static str,
    /// What it means; defaults are those of [`Settings`].
    pub doc: &'static str,
    /// Flags of the command line that set it.
    pub flags: &'static [&'static str],
    /// Where the value goes, and its range.
    pub(super) slot: Slot,
}

/// Where a key's value goes, and its range.
#[derive(Clone, Copy, Debug)]
pub(super) enum Slot {
    Bool(fn(&mut Settings) -> &mut bool),
    Count(fn(&mut Settings) -> &mut usize, usize, usize),
    Small(fn(&mut Settings) -> &mut u32, u32, u32),
    Bytes(fn(&mut Settings) -> &mut usize, usize, usize),
    Body(fn(&mut Settings) -> &mut u64),
    Time(fn(&mut Settings) -> &mut Duration, Duration, Duration),
    Text(fn(&mut Settings) -> &mut String),
    Level(fn(&mut Settings) -> &mut String),
    Secret(fn(&mut Settings) -> &mut Secret),
    File(fn(&mut Settings) -> &mut Option<PathBuf>),
    Folder(fn(&mut Settings) -> &mut PathBuf),
    /// A folder, or none.
    AnyFolder(fn(&mut Settings) -> &mut Option<PathBuf>),
    /// A port of its own for metrics.
    Metrics(fn(&mut Settings) -> &mut Option<MetricsPort>),
    Format(fn(&mut Settings) -> &mut LogFormat),
    /// Addresses; whether only ports were named, so that the addresses are still gripd's choice.
    /// A bare port means every address.
    Addresses(
        fn(&mut Settings) -> &mut Vec<SocketAddr>,
        fn(&mut Settings) -> &mut bool,
    ),
    /// Ranges of addresses.
    Networks(fn(&mut Settings) -> &mut Vec<IpNet>),
    /// Addresses and unix sockets of the control port. A bare port means loopback.
    Control(fn(&mut Settings) -> &mut Control),
    /// Sockets in the file system.
    Sockets(fn(&mut Settings) -> &mut Vec<UnixSocket>),
    /// Of addresses and sockets in the file system some.
    Proxied(fn(&mut Settings) -> &mut Proxied),
    /// Words, separated by commas.
    Words(fn(&mut Settings) -> &mut Vec<String>),
    /// Lines, separated by line ends.
    Lines(fn(&mut Settings) -> &mut Vec<String>),
    Protocol(fn(&mut Settings) -> &mut SetForwardedProtocol),
    /// What to do with slow clients.
    Overflow(fn(&mut Settings) -> &mut OnOverflow),
    Forwarded(fn(&mut Settings) -> &mut ForwardedFor),
}

impl Key {
    /// `section.name`, or the bare name at the top level.
    pub fn path(&self) -> String {
        match self.section {
            "" => self.name.to_owned(),
            section => format!("{section}.{}", self.name),
        }
    }

    /// The same key, set by these flags.
    const fn flags(self, flags: &'static [&'static str]) -> Self {
        Self { flags, ..self }
    }

    /// The environment variable of this key.
    pub fn variable(&self) -> String {
        format!("GRIPD_{}", self.path().replace('.', "_").to_uppercase())
    }
}

/// Every key, section by section.
pub fn all() -> impl Iterator<Item = &'static Key> {
    SECTIONS.iter().copied().flatten()
}

/// The key `section.name`.
pub fn find(path: &str) -> Option<&'static Key> {
    let (section, name) = path.split_once('.').unwrap_or(("", path));
    all().find(|key| key.section == section && key.name == name)
}

/// The key that a flag sets.
pub fn of_flag(flag: &str) -> Option<&'static Key> {
    all().find(|key| key.flags.contains(&flag))
}

/// Every section name, without the top level.
pub fn sections() -> Vec<&'static str> {
    let mut names: Vec<_> = all().map(|key| key.section).collect();
    names.dedup();
    names.retain(|name| !name.is_empty());
    names
}

const fn key(section: &'static str, name: &'static str, slot: Slot, doc: &'static str) -> Key {
    Key {
        section,
        name,
        doc,
        flags: &[],
        slot,
    }
}
