//! Reload of the routes file: a thread of its own watches the file's folder and looks by itself
//! every 2 s where the kernel tells nothing (network and container mounts). A change builds a
//! whole new table and swaps it in; connections are not touched. Edits in place, rename-over,
//! symlink swaps (Kubernetes `ConfigMap`s), delete and re-create are all seen, because it is the
//! contents that are compared, never the events. A file that cannot be read, or holds no usable
//! route, leaves the table as it is.

use std::{
    collections::HashMap,
    fs::Metadata,
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    thread,
    time::Duration,
};

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tracing::{error, info, warn};

use super::table::{self, Shared, Table};
use crate::config::RouteSource;

/// Tells the watcher to look at once. Dropping it ends the watcher.
#[derive(Debug)]
pub struct Reloader {
    signals: SyncSender<Signal>,
    stop: Arc<AtomicBool>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Signal {
    /// Something happened in the folder, or the watcher must end.
    Changed,
    /// An operator asked.
    Asked,
}

/// Starts watching the file of `source`; `shared` holds the table made from it. With lines of the
/// command line, or without a file, there is nothing to watch and only
/// [`Reloader::reload_now`] answers, by saying so.
///
/// # Errors
/// The thread cannot be started.
pub fn spawn(source: RouteSource, shared: Shared) -> io::Result<Reloader> {
    // A full queue means that a look is due anyway: what does not fit may be lost.
    let (signals, inbox) = sync_channel(16);
    let stop = Arc::new(AtomicBool::new(false));
    let failed = shared.load().routes().is_empty();
    let watch = Watch {
        path: source.file.clone().filter(|_| source.lines.is_empty()),
        source,
        shared,
        inbox,
        stop: Arc::clone(&stop),
        seen: None,
        // Of a file that could not be read from the start the log has told already.
        failed,
        refused: None,
    };
    let events = signals.clone();
    thread::Builder::new()
        .name("routes".into())
        .spawn(move || watch.run(events))?;
    Ok(Reloader { signals, stop })
}

impl Reloader {
    /// Has the file read again at once (SIGHUP). Returns immediately.
    pub fn reload_now(&self) {
        let _ = self.signals.try_send(Signal::Asked);
    }
}

impl Drop for Reloader {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        let _ = self.signals.try_send(Signal::Changed);
    }
}

struct Watch {
    source: RouteSource,
    /// The file, when there is one to watch.
    path: Option<PathBuf>,
    shared: Shared,
    inbox: Receiver<Signal>,
    stop: Arc<AtomicBool>,
    /// The file as it was at the last look.
    seen: Option<Stamp>,
    /// The last look failed: the next failure need not be logged again.
    failed: bool,
    /// What the file held when it was refused: the same text need not be refused aloud again.
    refused: Option<String>,
}

/// What changes when a file does. Cheaper to compare than its contents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Watch {
    fn run(mut self, events: SyncSender<Signal>) {
        // Kept alive for as long as the thread: dropping it ends the kernel's watch.
        let _watcher = self.path.as_deref().and_then(|path| listen(path, events));
        // The file may have changed between its first reading and now.
        self.look();
        loop {
            let signal = self.inbox.recv_timeout(POLL);
            if self.stop.load(Ordering::Acquire) {
                return;
            }
            match signal {
                Ok(Signal::Asked) => self.asked(),
                Ok(Signal::Changed) => self.settle(),
                Err(RecvTimeoutError::Timeout) if self.stamp() != self.seen => self.settle(),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Waits until the folder is quiet, so that a file half written is not read, then looks.
    fn settle(&mut self) {
        for _ in 0..MOST_QUIET_WAITS {
            match self.inbox.recv_timeout(QUIET) {
                Ok(Signal::Changed) if !self.stop.load(Ordering::Acquire) => {}
                Ok(Signal::Asked) => return self.asked(),
                _ => break,
            }
        }
        self.look();
    }

    fn asked(&mut self) {
        // Asked again, a failure is told again.
        self.failed = false;
        self.refused = None;
        let Some(path) = self.path.clone() else {
            info!("routes: not read from a file, nothing to reload");
            return;
        };
        if !self.look() && !self.failed && self.refused.is_none() {
            info!("routes: {} has not changed", path.display());
        }
    }

    /// Reads the file and swaps the table when the contents differ. True when it did.
    fn look(&mut self) -> bool {
        if self.path.is_none() {
            return false;
        }
        // The stamp first: a change after it shows at the next look.
        self.seen = self.stamp();
        let text = match table::read(&self.source) {
            Ok(text) => text,
            Err(error) => {
                if !self.failed {
                    warn!("routes: {error}; the old table of routes stays");
                }
                self.failed = true;
                return false;
            }
        };
        self.failed = false;
        let old = self.shared.load_full();
        if *text == *old.text() {
            self.refused = None;
            return false;
        }
        if self.refused.as_deref() == Some(&text) {
            return false;
        }
        let swapped = self.swap(&old, &text);
        self.refused = (!swapped).then_some(text);
        swapped
    }

    /// Puts a table of this text in the place of the old one, unless it would hold no route: an
    /// editor that empties the file before it writes must not cut everybody off.
    fn swap(&self, old: &Table, text: &str) -> bool {
        let name = self
            .path
            .as_ref()
            .map(|path| path.display().to_string())
            .unwrap_or_default();
        let (added, removed) = difference(old.text(), text);
        let (table, faults) = Table::parse(&name, text, table::key_folder(&self.source));
        let count = table.routes().len();
        if count == 0 {
            let first = faults
                .iter()
                .find(|fault| fault.line > 0 && fault.is_error());
            let first = first.map_or_else(String::new, |fault| format!(" (first fault: {fault})"));
            error!("routes: {name} has no usable route; the old table of routes stays{first}");
            return false;
        }
        self.shared.store(Arc::new(table));
        let lines = if added == 1 { "line" } else { "lines" };
        info!("routes: {name} reloaded: {count} in use, {added} {lines} added, {removed} removed");
        for fault in &faults {
            warn!("{fault}");
        }
        true
    }

    fn stamp(&self) -> Option<Stamp> {
        let metadata = self.path.as_ref()?.metadata().ok()?;
        Some(Stamp::of(&metadata))
    }
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

/// Watches the folder, not the file: a file that is replaced takes its watch away with it.
fn listen(path: &Path, events: SyncSender<Signal>) -> Option<RecommendedWatcher> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or_else(|| Path::new("."));
    let heard = move |event: notify::Result<notify::Event>| {
        // Our own reading is an event, too.
        if !event.is_ok_and(|event| event.kind.is_access()) {
            let _ = events.try_send(Signal::Changed);
        }
    };
    let watching = notify::recommended_watcher(heard).and_then(|mut watcher| {
        watcher.watch(folder, RecursiveMode::NonRecursive)?;
        Ok(watcher)
    });
    watching
        .inspect_err(|error| {
            info!("routes: no change notices ({error}); the file is looked at every 2 s");
        })
        .ok()
}

/// How many lines were added and removed, blank ones and order left aside.
fn difference(old: &str, new: &str) -> (usize, usize) {
    let mut counts: HashMap<&str, i64> = HashMap::new();
    for (text, step) in [(old, -1), (new, 1)] {
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
            *counts.entry(line).or_default() += step;
        }
    }
    counts.values().fold((0, 0), |(added, removed), &count| {
        let size = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
        if count > 0 {
            (added + size, removed)
        } else {
            (added, removed + size)
        }
    })
}

/// A look without being told.
const POLL: Duration = Duration::from_secs(2);

/// A folder without events for this long is quiet.
const QUIET: Duration = Duration::from_millis(200);

/// After this many noisy waits it is read all the same: a folder may never be quiet.
const MOST_QUIET_WAITS: usize = 10;

#[cfg(test)]
mod tests;
