//! Finds the files: the one named, or those of the first place that has any.

use std::{
    io,
    path::{Path, PathBuf},
};

use super::Fault;

/// The files to read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// Settings: `gripd.toml` or `pushpin.conf`.
    pub(super) config: Option<PathBuf>,
    /// Routes beside it, used unless the settings name others.
    pub(super) routes: Option<PathBuf>,
}

/// A folder to look in, and the settings file it may hold.
type Location<'a> = (&'a Path, &'a [&'a str]);

/// Finds the files. `named` is `--config`; without it, `search` tells whether to look elsewhere.
/// `--config /dev/null` says that there shall be no file, as elsewhere.
///
/// # Errors
/// What `--config` names is not there, or a folder keeps its files secret. Whoever mounts a folder
/// into a container easily forgets that its user is another: that must not look like no folder.
pub(super) fn find(named: Option<&Path>, search: bool) -> Result<Found, Fault> {
    match named {
        Some(path) if path == Path::new("/dev/null") => Ok(Found::default()),
        Some(path) => named_place(path),
        None if !search => Ok(Found::default()),
        None => first(&[
            (Path::new(""), &["gripd.toml"]),
            (Path::new("/etc/gripd"), &["gripd.toml"]),
            (Path::new("/etc/pushpin"), &["pushpin.conf"]),
        ]),
    }
}

fn named_place(path: &Path) -> Result<Found, Fault> {
    if path.is_dir() {
        let found = first(&[(path, &["gripd.toml", "pushpin.conf"])])?;
        if found == Found::default() {
            return Err(Fault::error(
                "--config",
                format!(
                    "{} holds none of gripd.toml, pushpin.conf and routes; `gripd example routes` \
                     prints one to begin with",
                    path.display()
                ),
            ));
        }
        return Ok(found);
    }
    let routes = path.with_file_name("routes");
    Ok(Found {
        config: Some(path.to_owned()),
        routes: routes.is_file().then_some(routes),
    })
}

/// The first place that has something wins, as a whole: files of two places are never mixed.
fn first(locations: &[Location<'_>]) -> Result<Found, Fault> {
    for (folder, names) in locations {
        let mut found = Found {
            config: None,
            routes: present(folder, "routes")?,
        };
        for name in *names {
            found.config = found.config.or(present(folder, name)?);
        }
        if found != Found::default() {
            return Ok(found);
        }
    }
    Ok(Found::default())
}

/// A file of a folder, if it is there. The current folder is nobody's choice: it may be closed.
fn present(folder: &Path, name: &str) -> Result<Option<PathBuf>, Fault> {
    let path = folder.join(name);
    match path.metadata() {
        Ok(metadata) => Ok(metadata.is_file().then_some(path)),
        Err(error)
            if error.kind() == io::ErrorKind::PermissionDenied && folder != Path::new("") =>
        {
            let message = format!(
                "what it holds cannot be seen: {error}; allowed: a folder that gripd's user may \
                 read and enter, or none"
            );
            Err(Fault::error(folder.display().to_string(), message))
        }
        Err(_) => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_first_place_with_anything_wins_alone() {
        let root = std::env::temp_dir().join(format!("gripd-find-{}", std::process::id()));
        let [one, two, three] = ["one", "two", "three"].map(|name| root.join(name));
        for folder in [&one, &two, &three] {
            fs::create_dir_all(folder).unwrap();
        }
        fs::create_dir_all(one.join("routes")).unwrap();
        fs::write(two.join("routes"), "").unwrap();
        fs::write(three.join("pushpin.conf"), "").unwrap();
        let places: [Location<'_>; 3] = [
            (&one, &["gripd.toml"]),
            (&two, &["gripd.toml"]),
            (&three, &["pushpin.conf"]),
        ];
        let found = first(&places).unwrap();
        let after = first(&places[2..]).unwrap();
        fs::remove_dir_all(&root).unwrap();
        assert_eq!(
            found.config, None,
            "a folder called routes is no routes file"
        );
        assert_eq!(found.routes, Some(two.join("routes")));
        assert_eq!(after.config, Some(three.join("pushpin.conf")));
    }
}
