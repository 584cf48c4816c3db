//! Every way a file is changed in practice leads to the new table; nothing else touches it.

use std::{fs, os::unix::fs::symlink, sync::atomic::AtomicUsize, time::Instant};

use arc_swap::ArcSwap;

use super::*;
use crate::routes::grammar::Address;

/// A folder of its own, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path =
            std::env::temp_dir().join(format!("gripd-watch-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn watch(path: &Path) -> (Shared, Reloader) {
    let source = RouteSource {
        file: Some(path.to_owned()),
        ..RouteSource::default()
    };
    let (table, _) = Table::load(&source).unwrap();
    let shared: Shared = Arc::new(ArcSwap::from_pointee(table));
    let reloader = spawn(source, Arc::clone(&shared)).unwrap();
    (shared, reloader)
}

fn port(shared: &Shared) -> Option<u16> {
    let table = shared.load();
    match table.routes().first()?.targets[0].address {
        Address::Host(_, port) => Some(port),
        _ => None,
    }
}

/// Waits for the port; the deadline only ends a test that has failed.
fn until(shared: &Shared, wanted: u16) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while port(shared) != Some(wanted) {
        assert!(Instant::now() < deadline, "still {:?}", port(shared));
        thread::park_timeout(Duration::from_millis(10));
    }
}

#[test]
fn edits_in_place_renames_and_re_creation_are_seen() {
    let folder = Folder::new();
    let path = folder.write("routes", "* a:1\n");
    let (shared, _reloader) = watch(&path);
    assert_eq!(port(&shared), Some(1));
    fs::write(&path, "* a:2\n").unwrap();
    until(&shared, 2);
    fs::rename(folder.write("new", "* a:3\n"), &path).unwrap();
    until(&shared, 3);
    fs::remove_file(&path).unwrap();
    fs::write(&path, "* a:4\n").unwrap();
    until(&shared, 4);
}

#[test]
fn a_config_map_swap_is_seen() {
    let folder = Folder::new();
    for (dir, port) in [("v1", 1), ("v2", 2)] {
        fs::create_dir(folder.0.join(dir)).unwrap();
        folder.write(&format!("{dir}/routes"), &format!("* a:{port}\n"));
    }
    symlink("v1", folder.0.join("..data")).unwrap();
    let path = folder.0.join("routes");
    symlink("..data/routes", &path).unwrap();
    let (shared, _reloader) = watch(&path);
    symlink("v2", folder.0.join("..next")).unwrap();
    fs::rename(folder.0.join("..next"), folder.0.join("..data")).unwrap();
    until(&shared, 2);
}

#[test]
fn a_missing_file_leaves_the_table() {
    let folder = Folder::new();
    let path = folder.write("routes", "* a:1\n");
    let shared: Shared = Arc::default();
    let mut watch = by_hand(&path, &shared);
    assert!(watch.look());
    fs::remove_file(&path).unwrap();
    assert!(!watch.look());
    assert!(watch.failed);
    assert_eq!(port(&shared), Some(1));
    fs::write(&path, "* a:2\n").unwrap();
    assert!(watch.look());
    assert!(!watch.failed);
    assert_eq!(port(&shared), Some(2));
}

#[test]
fn the_same_contents_keep_the_same_table() {
    let folder = Folder::new();
    let path = folder.write("routes", "* a:1\n");
    let shared: Shared = Arc::default();
    let mut watch = by_hand(&path, &shared);
    assert!(watch.look());
    let before = shared.load_full();
    fs::rename(folder.write("copy", "* a:1\n"), &path).unwrap();
    assert_ne!(watch.stamp(), watch.seen);
    assert!(!watch.look());
    assert!(Arc::ptr_eq(&before, &shared.load_full()));
}

#[test]
fn a_bad_line_does_not_stop_a_reload() {
    let folder = Folder::new();
    let path = folder.write("routes", "nonsense\n* a:7\n");
    let shared: Shared = Arc::default();
    assert!(by_hand(&path, &shared).look());
    assert_eq!(port(&shared), Some(7));
}

#[test]
fn a_file_without_a_usable_route_leaves_the_table() {
    let folder = Folder::new();
    let path = folder.write("routes", "* a:1\n");
    let shared: Shared = Arc::default();
    let mut watch = by_hand(&path, &shared);
    assert!(watch.look());
    for text in ["", "nonsense\n", "# later\n"] {
        fs::write(&path, text).unwrap();
        assert!(!watch.look(), "{text:?}");
        assert_eq!(watch.refused.as_deref(), Some(text), "told");
        assert!(!watch.look(), "{text:?}");
        assert_eq!(port(&shared), Some(1), "{text:?}");
    }
    fs::write(&path, "* a:1\n").unwrap();
    assert!(!watch.look(), "as it was");
    assert_eq!(watch.refused, None);
    fs::write(&path, "").unwrap();
    assert!(!watch.look());
    fs::write(&path, "* a:2\n").unwrap();
    assert!(watch.look());
    assert_eq!(port(&shared), Some(2));
}

#[test]
fn asked_for_it_reads_at_once() {
    let folder = Folder::new();
    let path = folder.write("routes", "* a:1\n");
    let shared: Shared = Arc::default();
    let (signals, inbox) = sync_channel(1);
    let reloader = Reloader {
        signals,
        stop: Arc::default(),
    };
    reloader.reload_now();
    assert_eq!(inbox.try_recv(), Ok(Signal::Asked));
    by_hand(&path, &shared).asked();
    assert_eq!(port(&shared), Some(1));
}

#[test]
fn dropping_the_reloader_ends_the_thread() {
    let folder = Folder::new();
    let path = folder.write("routes", "* a:1\n");
    let (shared, reloader) = watch(&path);
    drop(reloader);
    let deadline = Instant::now() + Duration::from_secs(20);
    // The thread holds the other handle of the table for as long as it lives.
    while Arc::strong_count(&shared) > 1 {
        assert!(Instant::now() < deadline, "the thread still runs");
        thread::park_timeout(Duration::from_millis(10));
    }
}

#[test]
fn differences_count_lines() {
    for (old, new, expected) in [
        ("a\nb\n", "b\na\n\n", (0, 0)),
        ("a\nb\n", "a\nc\nd\n", (2, 1)),
        ("a\n", "a\na\n", (1, 0)),
        ("", "a\n", (1, 0)),
    ] {
        assert_eq!(difference(old, new), expected, "{old:?} {new:?}");
    }
}

/// A watch without its thread.
fn by_hand(path: &Path, shared: &Shared) -> Watch {
    let (_, inbox) = sync_channel(1);
    Watch {
        source: RouteSource {
            file: Some(path.to_owned()),
            ..RouteSource::default()
        },
        path: Some(path.to_owned()),
        shared: Arc::clone(shared),
        inbox,
        stop: Arc::default(),
        seen: None,
        failed: false,
        refused: None,
    }
}
