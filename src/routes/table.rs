//! The routes table: built once from lines or a file, never changed, swapped as a whole. It picks
//! the best match for a request (Pushpin's rules, quirks included: a host with lines of its own
//! never falls back to `*`). It does not watch anything; `routes::watch` does.

use std::{
    collections::{HashMap, hash_map::Entry},
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    sync::Arc,
};

use arc_swap::ArcSwap;
use thiserror::Error;

pub use crate::config::{Fault, Severity};
use crate::{
    config::RouteSource,
    grip::signature::Signer,
    routes::{
        grammar::{Address, Domain, LineError, Parsed, Proto, Route, Target, parse_line},
        why::Misfit,
    },
    tls,
};

/// The table in use: readers load it, the watcher stores a new one.
pub type Shared = Arc<ArcSwap<Table>>;

/// Every route, found by host or by id.
#[derive(Clone, Debug, Default)]
pub struct Table {
    /// In file order.
    routes: Vec<Arc<Route>>,
    /// Lines of one host, in file order.
    hosts: HashMap<String, Vec<Arc<Route>>>,
    /// Lines of `*`, in file order.
    any: Vec<Arc<Route>>,
    ids: HashMap<String, Id>,
    /// What the table was built from, so that a reload can tell what changed.
    text: Arc<str>,
}

/// What a request looks like to the table.
#[derive(Clone, Copy, Debug)]
pub struct Query<'a> {
    /// Host in lower case, without port.
    pub host: &'a str,
    /// Encoded path, without query.
    pub path: &'a str,
    /// It asks for a WebSocket.
    pub websocket: bool,
    /// It came over TLS, or is believed to have.
    pub tls: bool,
}

/// What an id leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IdMatch {
    /// The route, whose `path_beg` fits.
    Found(Arc<Route>),
    /// A route has this id, but the path is not one of its own.
    OtherPath,
    /// Several routes have this id: it leads nowhere.
    Shared,
    /// No route has this id.
    Unknown,
}

/// A routes file that cannot be read.
#[derive(Debug, Error)]
#[error("{}: {source}", path.display())]
pub struct LoadError {
    /// The file.
    pub path: PathBuf,
    /// Why.
    #[source]
    pub source: io::Error,
}

#[derive(Clone, Debug)]
enum Id {
    One(Arc<Route>),
    Shared,
}

impl Table {
    /// Builds the table the settings ask for: their lines, else their file, else one route: to
    /// the welcome page when nothing is configured at all, or `* test`. Faulty lines are left out
    /// and reported.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn load(source: &RouteSource) -> Result<(Self, Vec<Fault>), LoadError> {
        if source.welcome {
            return Ok((Self::welcome(), Vec::new()));
        }
        if !source.lines.is_empty() {
            let folder = key_folder(source);
            return Ok(Self::parse(
                &source.lines_from,
                &source.lines.join("\n"),
                folder,
            ));
        }
        let Some(path) = &source.file else {
            return Ok(Self::parse("built-in routes", "* test", Path::new(".")));
        };
        let text = read(source)?;
        let name = path.display().to_string();
        Ok(Self::parse(&name, &text, key_folder(source)))
    }

    /// Builds a table from text. `name` is what faults call it; keys in files (`sig_key=file:`)
    /// are looked for in `folder`. Without a single usable line the table is empty (every request
    /// gets 502) and one more error says so.
    pub fn parse(name: &str, text: &str, folder: &Path) -> (Self, Vec<Fault>) {
        let mut table = Self {
            text: text.into(),
            ..Self::default()
        };
        let mut faults = Vec::new();
        let mut seen = Seen::new();
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        for (index, line) in text.lines().enumerate() {
            let number = index + 1;
            for fault in table.add_line(line, number, &mut seen, folder) {
                faults.push(Fault {
                    file: name.to_owned(),
                    line: number,
                    ..fault
                });
            }
        }
        if table.routes.is_empty() {
            faults.push(Fault::error(
                name,
                "no usable route: every request gets 502; allowed: at least one line such as \
                 `* 127.0.0.1:8000`",
            ));
        }
        (table, faults)
    }

    /// The best route for a request; `None`: it gets 502.
    pub fn find(&self, query: &Query<'_>) -> Option<Arc<Route>> {
        let mut best: Option<&Arc<Route>> = None;
        let fitting = self.tried(query).filter(|(_, misfit)| misfit.is_none());
        for (route, _) in fitting {
            if best.is_none_or(|best| beats(route, best)) {
                best = Some(route);
            }
        }
        best.cloned()
    }

    /// The route of an id (explicit, or [`Route::key`]), whatever its host.
    pub fn by_id(&self, id: &str, path: &str) -> IdMatch {
        match self.ids.get(id) {
            None => IdMatch::Unknown,
            Some(Id::Shared) => IdMatch::Shared,
            Some(Id::One(route)) if path.starts_with(&route.path_beg) => {
                IdMatch::Found(Arc::clone(route))
            }
            Some(Id::One(_)) => IdMatch::OtherPath,
        }
    }

    /// The routes that are looked at for a request, in file order, each with why it is not for it.
    pub fn tried(&self, query: &Query<'_>) -> impl Iterator<Item = (&Arc<Route>, Option<Misfit>)> {
        let (own, any) = self.lines_for(query.host);
        let lines = if own.is_empty() { any } else { own };
        lines.iter().map(|route| (route, Misfit::of(route, query)))
    }

    /// The lines of a host's own, and those of `*`; in file order.
    pub(super) fn lines_for(&self, host: &str) -> (&[Arc<Route>], &[Arc<Route>]) {
        let own = self.hosts.get(host).map_or(&[][..], Vec::as_slice);
        (own, &self.any)
    }

    /// Every route, in file order.
    pub fn routes(&self) -> &[Arc<Route>] {
        &self.routes
    }

    /// The text the table was built from.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The lines of the text that made a route: number, text and route.
    pub fn lines(&self) -> impl Iterator<Item = (usize, &str, &Arc<Route>)> {
        let text = self.text.strip_prefix('\u{feff}').unwrap_or(&self.text);
        let mut left = self.routes.iter().peekable();
        text.lines().enumerate().filter_map(move |(index, line)| {
            // A line left out has a fault, or the condition of one above: it is never the next one.
            let parsed = parse_line(line).ok().flatten()?;
            let route = left.next_if(|next| ***next == parsed.route)?;
            Some((index + 1, line, route))
        })
    }

    /// Everything to the built-in welcome page.
    fn welcome() -> Self {
        let target = Target {
            address: Address::Welcome,
            ..Target::default()
        };
        let route = Arc::new(Route {
            targets: vec![target],
            ..Route::default()
        });
        Self {
            routes: vec![Arc::clone(&route)],
            any: vec![route],
            ..Self::default()
        }
    }

    /// A table of these routes, for tests of what uses it.
    #[cfg(test)]
    pub(crate) fn of(routes: impl IntoIterator<Item = Route>) -> Self {
        let (mut table, mut seen) = (Self::default(), Seen::new());
        for route in routes {
            assert!(table.add(Arc::new(route), 0, &mut seen).is_ok());
        }
        table
    }

    /// Adds one line; what comes back has neither file nor line number yet.
    fn add_line(
        &mut self,
        line: &str,
        number: usize,
        seen: &mut Seen,
        folder: &Path,
    ) -> Vec<Fault> {
        let Parsed {
            route,
            sig_key_column,
            target_columns,
            notes,
        } = match parse_line(line) {
            Ok(None) => return Vec::new(),
            Ok(Some(parsed)) => parsed,
            Err(LineError {
                column,
                what,
                allowed,
            }) => {
                return vec![Fault::error("", format!("{what}; allowed: {allowed}")).at(0, column)];
            }
        };
        let mut faults: Vec<Fault> = notes
            .into_iter()
            .map(|note| Fault::warning("", note.text).at(0, note.column))
            .collect();
        faults.extend(key_fault(&route, folder).map(|fault| fault.at(0, sig_key_column)));
        for (target, column) in route.targets.iter().zip(target_columns) {
            if let Some(fault) = identity_fault(target) {
                faults.push(fault.at(0, column));
                return faults;
            }
        }
        if let Err(duplicate) = self.add(Arc::new(route), number, seen) {
            let column = line.len() - line.trim_start_matches(' ').len() + 1;
            faults.push(duplicate.at(0, column));
        }
        faults
    }

    fn add(&mut self, route: Arc<Route>, number: usize, seen: &mut Seen) -> Result<(), Fault> {
        match seen.entry(condition(&route)) {
            Entry::Vacant(place) => place.insert(number),
            Entry::Occupied(first) => {
                let message = format!(
                    "line {} has the same condition, so this one is never used; allowed: one line \
                     for each host, proto, ssl and path_beg, with one target or several",
                    first.get()
                );
                return Err(Fault::error("", message));
            }
        };
        self.ids
            .entry(route.key().into_owned())
            .and_modify(|id| *id = Id::Shared)
            .or_insert_with(|| Id::One(Arc::clone(&route)));
        match &route.domain {
            Domain::Any => self.any.push(Arc::clone(&route)),
            Domain::Host(host) => self
                .hosts
                .entry(host.clone())
                .or_default()
                .push(Arc::clone(&route)),
            Domain::IdOnly => {}
        }
        self.routes.push(route);
        Ok(())
    }
}

/// Of two routes with equal conditions the second is never used. Ids play no part, except for
/// routes that are reachable by nothing else.
type Condition = (Domain, Option<Proto>, Option<bool>, String, Option<String>);

/// The number of the line that had a condition first.
type Seen = HashMap<Condition, usize>;

fn condition(route: &Route) -> Condition {
    let id = (route.domain == Domain::IdOnly).then(|| route.key().into_owned());
    let path = route.path_beg.clone();
    (route.domain.clone(), route.proto, route.ssl, path, id)
}

/// The folder that keys in files start from: that of the routes file.
pub(super) fn key_folder(source: &RouteSource) -> &Path {
    let folder = source.file.as_deref().and_then(Path::parent);
    folder.unwrap_or_else(|| Path::new("."))
}

/// An error when a route's own key cannot be used. The route serves all the same, signed with the
/// settings' key as Pushpin does it, so this is the only place where it shows.
fn key_fault(route: &Route, folder: &Path) -> Option<Fault> {
    // Any issuer will do: the settings may have one when the route has not.
    let error = Signer::new("gripd", route.sig_key.as_deref()?, folder).err()?;
    let message = format!(
        "sig_key cannot be used, so grip.sig_key signs: {error}; allowed: text, base64:... or \
         file:... (a PEM private key, EC P-256 or RSA, or hex)"
    );
    Some(Fault::error("", message))
}

/// An error when a target's client certificate cannot be used: its backend would refuse every
/// connection, so the line does not count.
fn identity_fault(target: &Target) -> Option<Fault> {
    let (cert, key) = target
        .client_cert
        .as_ref()
        .zip(target.client_key.as_ref())?;
    let error = tls::read(cert, key).err()?;
    let message = format!(
        "client_cert and client_key cannot be used: {error}; allowed: PEM files, paths from the \
         folder gripd was started in"
    );
    Some(Fault::error("", message))
}

/// Reads the routes file of a source; invalid UTF-8 becomes U+FFFD, which no condition matches.
pub(super) fn read(source: &RouteSource) -> Result<String, LoadError> {
    let path = source.file.clone().unwrap_or_default();
    let read = || {
        let mut bytes = Vec::new();
        File::open(&path)?
            .take(FILE_LIMIT + 1)
            .read_to_end(&mut bytes)?;
        if bytes.len() as u64 > FILE_LIMIT {
            return Err(io::Error::other("larger than 16 MiB"));
        }
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    read().map_err(|source| LoadError { path, source })
}

/// True when a later line takes the place of the best so far. The first difference decides; that
/// `ssl` beats a longer path only in one order of the file is Pushpin's way, kept as it is.
fn beats(route: &Route, best: &Route) -> bool {
    match (best.proto, route.proto) {
        (None, Some(_)) => return true,
        (Some(_), None) => return false,
        _ => {}
    }
    route.path_beg.len() > best.path_beg.len() || (best.ssl.is_none() && route.ssl.is_some())
}

/// Most bytes of a routes file: some hundred thousand lines.
const FILE_LIMIT: u64 = 16 << 20;

#[cfg(test)]
mod tests;
