//! Settings while they are put together: who named which key, and what was wrong.

mod checks;

use std::{
    collections::HashMap,
    fs::File,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    path::{Path, PathBuf},
};

use super::{
    Fault, Listen, RouteSource, Settings, Severity,
    keys::{self, Key},
    value::{self, Value},
};

/// Where something was said.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    /// File, flag or environment variable.
    pub(super) name: &'a str,
    /// Line, from 1; 0: none.
    pub(super) line: usize,
    /// Column, from 1; 0: none.
    pub(super) column: usize,
    /// What the setting is called there; empty: as in `gripd.toml`.
    pub(super) key: &'a str,
}

/// The sources, weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    File,
    Environment,
    Flags,
}

/// Settings while they are put together.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) settings: Settings,
    pub(super) faults: Vec<Fault>,
    /// Files read, in order.
    pub(super) files: Vec<PathBuf>,
    /// Added to the control port (Pushpin's `port_offset` and `--id`).
    pub(super) port_offset: u16,
    /// The defaults of the container image are wanted (see [`Image`](super::Image)).
    pub(super) image: bool,
    /// Unknown keys are errors, as `gripd check` wants it.
    strict: bool,
    named: HashMap<String, Named>,
}

/// What is known of a key that some source named.
#[derive(Debug)]
struct Named {
    rank: Rank,
    /// A fault of this key, still without a message: it knows the place.
    fault: Fault,
    /// What the setting is called there; empty: as in `gripd.toml`.
    key: String,
    /// What happened to the value since.
    note: String,
}

impl Named {
    fn new(rank: Rank, place: Place<'_>) -> Self {
        Self {
            rank,
            fault: place.error(""),
            key: place.key.to_owned(),
            note: String::new(),
        }
    }

    /// File and line, flag or variable, and what else a reader wants to know.
    fn origin(&self) -> String {
        let mut parts = vec![match self.fault.line {
            0 => self.fault.file.clone(),
            line => format!("{}:{line}", self.fault.file),
        }];
        let more = [&self.key, &self.note].into_iter().cloned();
        parts.extend(more.filter(|text| !text.is_empty()));
        parts.join(", ")
    }
}

impl<'a> Place<'a> {
    /// A place without a line.
    pub(super) fn whole(name: &'a str) -> Self {
        Self {
            name,
            line: 0,
            column: 0,
            key: "",
        }
    }

    /// An error here.
    pub(super) fn error(self, message: impl Into<String>) -> Fault {
        Fault::error(self.name, message).at(self.line, self.column)
    }

    /// A warning here.
    pub(super) fn warning(self, message: impl Into<String>) -> Fault {
        Fault::warning(self.name, message).at(self.line, self.column)
    }
}

impl Draft {
    pub(super) fn new(strict: bool, image: bool) -> Self {
        Self {
            settings: Settings::default(),
            faults: Vec::new(),
            files: Vec::new(),
            port_offset: 0,
            image,
            strict,
            named: HashMap::new(),
        }
    }

    /// Sets a key, or notes why not. Relative paths start at `base`.
    pub(super) fn set(
        &mut self,
        key: &Key,
        value: &Value,
        base: &Path,
        rank: Rank,
        place: Place<'_>,
    ) {
        match value::store(&mut self.settings, key.slot, value, base) {
            Ok(()) => {
                self.named.insert(key.path(), Named::new(rank, place));
            }
            Err(allowed) => self
                .faults
                .push(place.error(format!("{} {allowed}", key.path()))),
        }
    }

    /// Sets a key by its path. Paths are written in this crate only; an unknown one is our fault
    /// and shows as one.
    pub(super) fn set_path(
        &mut self,
        path: &str,
        value: impl Into<String>,
        base: &Path,
        rank: Rank,
        place: Place<'_>,
    ) {
        match keys::find(path) {
            Some(key) => self.set(key, &Value::One(value.into()), base, rank, place),
            None => self
                .faults
                .push(place.error(format!("{path} is no setting"))),
        }
    }

    /// Notes a key nobody knows: a warning, or an error when asked to be strict.
    pub(super) fn unknown(&mut self, place: Place<'_>, message: String) {
        self.faults.push(if self.strict {
            place.error(message)
        } else {
            place.warning(message)
        });
    }

    /// Who named each key that was named, by its path.
    pub(super) fn origins(&self) -> HashMap<String, String> {
        let origin = |(path, named): (&String, &Named)| (path.clone(), named.origin());
        self.named.iter().map(origin).collect()
    }

    /// True when a source named the key.
    pub(super) fn is_named(&self, path: &str) -> bool {
        self.named.contains_key(path)
    }

    /// What depends on several keys or on who named them. `config` is the settings file; `routes`
    /// the routes file found beside it.
    pub(super) fn finish(&mut self, config: Option<&Path>, routes: Option<PathBuf>) {
        if self.image {
            self.open_control_port();
        }
        self.settings.grip.sig_key_is_default = !self.is_named("grip.sig_key");
        if !self.is_named("grip.key_dir") {
            let folder = config
                .map(folder_of)
                .filter(|folder| !folder.as_os_str().is_empty());
            self.settings.grip.key_dir = folder.map_or_else(|| PathBuf::from("."), Path::to_owned);
        }
        if self.settings.listen.http.is_empty() {
            let message = "listen.http must name at least one address, such as 7999";
            self.fault_of("listen.http", message.into());
        }
        self.shift_control_port(config);
        self.let_one_port_stand_for_all();
        self.choose_routes(routes);
        self.settings.routes.welcome =
            self.files.is_empty() && self.settings.routes == RouteSource::default();
        self.check();
    }

    fn rank(&self, path: &str) -> Option<Rank> {
        self.named.get(path).map(|named| named.rank)
    }

    /// Makes the control port one that other containers reach: everywhere, by their names for it.
    fn open_control_port(&mut self) {
        let named = self.is_named("control.private_hosts");
        let control = &mut self.settings.control;
        control.private_hosts |= !named;
        if !control.http_is_default {
            return;
        }
        for address in &mut control.http {
            address.set_ip(match address.ip() {
                IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
                IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
            });
        }
    }

    /// Pushpin's `--port` stands in for all that its file says of ports.
    fn let_one_port_stand_for_all(&mut self) {
        if self.rank("listen.http") < Some(Rank::Flags) {
            return;
        }
        let Listen { https, unix, .. } = &mut self.settings.listen;
        let mut is_pushpins = |path: &str, key: &str| {
            let is = self.named.get(path).is_some_and(|named| named.key == key);
            if is {
                self.named.remove(path);
            }
            is
        };
        if is_pushpins("listen.https", "https_ports") {
            https.clear();
        }
        if is_pushpins("listen.unix", "local_ports") {
            unix.clear();
        }
    }

    fn shift_control_port(&mut self, config: Option<&Path>) {
        let offset = self.port_offset;
        if offset == 0 || self.rank("control.http") > Some(Rank::File) {
            return;
        }
        let named = self.named.entry("control.http".into());
        let named = named.or_insert_with(|| Named::new(Rank::File, Place::whole("default")));
        named.note = format!("moved by {offset} (--id or port_offset)");
        let mut overflow = false;
        for address in &mut self.settings.control.http {
            match address.port().checked_add(offset) {
                Some(port) if address.port() > 0 => address.set_port(port),
                Some(_) => {}
                None => overflow = true,
            }
        }
        if overflow {
            let message =
                format!("port offset {offset} leads beyond port 65535; use a smaller one");
            self.faults.push(Fault::error(origin(config), message));
        }
    }

    /// Of `routes.lines` and `routes.file` the one from the stronger source counts; of two in the
    /// same source the lines do.
    fn choose_routes(&mut self, beside: Option<PathBuf>) {
        if self.rank("routes.file") > self.rank("routes.lines") {
            self.settings.routes.lines.clear();
            self.named.remove("routes.lines");
        }
        if !self.settings.routes.lines.is_empty() {
            self.settings.routes.lines_from = self.source_of_lines();
            return;
        }
        if self.settings.routes.file.is_none() && beside.is_some() {
            self.settings.routes.file = beside;
            let found = Named::new(Rank::File, Place::whole("found, not named"));
            self.named.insert("routes.file".into(), found);
        }
        let Some(file) = self.settings.routes.file.clone() else {
            return;
        };
        match readable(&file) {
            Ok(()) => self.files.push(file),
            // Rights change without a restart: until then every request gets 502.
            Err(Unreadable::Closed(_)) if !self.strict => self.files.push(file),
            Err(why) => {
                let file = file.display();
                let message = format!(
                    "the routes file {file} cannot be read: {why}; `gripd example routes` prints \
                     one to begin with"
                );
                self.fault_of("routes.file", message);
            }
        }
    }

    /// What faults of the lines are to name: not a file, whose lines they are not.
    fn source_of_lines(&self) -> String {
        match self.named.get("routes.lines") {
            Some(named) if named.rank > Rank::File => named.fault.file.clone(),
            _ => "routes.lines".into(),
        }
    }

    /// Notes an error of a key, at the place that named it.
    fn fault_of(&mut self, path: &str, message: String) {
        self.note(Severity::Error, path, message);
    }

    /// Notes a warning of a key, at the place that named it.
    fn warning_of(&mut self, path: &str, message: String) {
        self.note(Severity::Warning, path, message);
    }

    fn note(&mut self, severity: Severity, path: &str, message: String) {
        let place = self.named.get(path).map(|named| named.fault.clone());
        let fault = place.unwrap_or_else(|| Fault::error("settings", ""));
        self.faults.push(Fault {
            severity,
            message,
            ..fault
        });
    }
}

/// What to name when several sources could be meant.
fn origin(config: Option<&Path>) -> String {
    config.map_or_else(|| "settings".to_owned(), |path| path.display().to_string())
}

/// Why a file cannot be read.
#[derive(Debug, thiserror::Error)]
enum Unreadable {
    /// It is there, and its owner keeps it secret.
    #[error(transparent)]
    Closed(io::Error),
    #[error("it is a folder")]
    Folder,
    #[error(transparent)]
    Other(#[from] io::Error),
}

fn readable(path: &Path) -> Result<(), Unreadable> {
    let file = File::open(path).map_err(|error| match error.kind() {
        io::ErrorKind::PermissionDenied if path.is_file() => Unreadable::Closed(error),
        _ => Unreadable::Other(error),
    })?;
    if file.metadata()?.is_dir() {
        return Err(Unreadable::Folder);
    }
    Ok(())
}

/// The folder of a file, to join names to; empty for this one.
pub(super) fn folder_of(file: &Path) -> &Path {
    file.parent().unwrap_or_else(|| Path::new(""))
}
