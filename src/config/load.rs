//! Loads settings: built-in defaults, then the file, then the environment, then flags; the later
//! one wins, key by key.

use std::{
    collections::HashMap,
    fmt,
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use super::{
    Fault, Settings,
    draft::{Draft, Place, Rank},
    find::{self, Found},
    keys,
    native::{read_environment, read_toml},
    pushpin_conf,
    value::Value,
};

/// What the command line says about settings.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    /// `--config`: a settings file, or a folder that holds one or a `routes` file.
    pub config: Option<PathBuf>,
    /// `--route`, in order.
    pub routes: Vec<String>,
    /// `--port [ADDR:]PORT`.
    pub port: Option<String>,
    /// `--control`: addresses and unix sockets.
    pub control: Option<String>,
    /// `--control-insecure`.
    pub control_insecure: bool,
    /// `--log-level`.
    pub log_level: Option<String>,
    /// `--verbose`: level debug.
    pub verbose: bool,
    /// `--logfile`.
    pub log_file: Option<String>,
    /// `--merge-output`: no folder of log files.
    pub merge_output: bool,
    /// `--id N`: shifts the control port by N times 10.
    pub id: Option<u16>,
    /// The defaults of the container image are wanted.
    pub image: Option<Image>,
}

/// What is different in the container image, where the only way in is from other machines and
/// whoever mounts a folder of Pushpin's image expects what its entry script makes of it:
///
/// - the control port listens on every address unless somebody named one (a bare port names
///   none, and neither does a `pushpin.conf` that says 127.0.0.1), and is known by private names
///   (`control.private_hosts`);
/// - `http_port` of a `pushpin.conf` does not count: the image's port for clients is 7999;
/// - with route lines the settings file of the mounted folder is read all the same.
#[derive(Clone, Debug, Default)]
pub struct Image {
    /// The route that the environment variable `target` asks for. It takes the place of a routes
    /// file; `GRIPD_ROUTES_LINES` and `--route` take its place.
    pub route: Option<String>,
}

/// Settings ready for use.
#[derive(Clone, Debug, Default)]
pub struct Loaded {
    /// The settings.
    pub settings: Settings,
    /// Every file read or to be read (the routes file), in order.
    pub files: Vec<PathBuf>,
    /// What an operator should know; one line each.
    pub warnings: Vec<String>,
    /// This is the container image (see [`Image`]).
    pub in_image: bool,
}

/// Settings with everything that is wrong with them, for `gripd check`.
#[derive(Clone, Debug, Default)]
pub struct Examined {
    /// The settings, as far as they could be read.
    pub settings: Settings,
    /// Every file read or to be read, in order.
    pub files: Vec<PathBuf>,
    /// Errors and warnings in the order they were met.
    pub faults: Vec<Fault>,
    /// Who named each setting that does not stand at its default, by `section.key`: file and line,
    /// environment variable or flag.
    pub origins: HashMap<String, String>,
}

/// Settings that cannot be used: every error, one per line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// At least one.
    pub faults: Vec<Fault>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.faults.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{fault}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

impl Loaded {
    /// What the first log lines say: version and files read, then how requests are signed when
    /// nobody chose a key.
    pub fn start_lines(&self) -> Vec<String> {
        let files = if self.files.is_empty() {
            "none: built-in defaults".to_owned()
        } else {
            let names: Vec<_> = self
                .files
                .iter()
                .map(|file| file.display().to_string())
                .collect();
            names.join(", ")
        };
        let mut lines = vec![format!(
            "gripd {}; files read: {files}",
            env!("CARGO_PKG_VERSION")
        )];
        let routes = &self.settings.routes;
        if !routes.lines.is_empty() {
            let line = &mut lines[0];
            line.push_str("; routes from ");
            line.push_str(&routes.lines_from);
            line.push_str(", not from a file");
        }
        let grip = &self.settings.grip;
        if grip.sig_key_is_default && !grip.sig_iss.is_empty() {
            lines.push(format!(
                "Grip-Sig: signing as {} with key changeme (the default); set sig_key for another",
                grip.sig_iss
            ));
        }
        lines
    }
}

/// Loads settings. Unknown keys are warnings.
///
/// # Errors
/// Anything that was said and cannot be done: all of it, not only the first.
pub fn load(
    flags: &Flags,
    env: impl Iterator<Item = (String, String)>,
) -> Result<Loaded, ConfigError> {
    let examined = collect(flags, env, false);
    let (errors, warnings): (Vec<Fault>, Vec<Fault>) =
        examined.faults.into_iter().partition(Fault::is_error);
    if !errors.is_empty() {
        return Err(ConfigError { faults: errors });
    }
    Ok(Loaded {
        settings: examined.settings,
        files: examined.files,
        warnings: warnings.iter().map(ToString::to_string).collect(),
        in_image: flags.image.is_some(),
    })
}

/// Loads settings for `gripd check`: unknown keys are errors, and nothing stops it.
pub fn examine(flags: &Flags, env: impl Iterator<Item = (String, String)>) -> Examined {
    collect(flags, env, true)
}

fn collect(flags: &Flags, env: impl Iterator<Item = (String, String)>, strict: bool) -> Examined {
    let mut draft = Draft::new(strict, flags.image.is_some());
    let search = flags.routes.is_empty() || flags.image.is_some();
    let found = find::find(flags.config.as_deref(), search).unwrap_or_else(|fault| {
        draft.faults.push(fault);
        Found::default()
    });
    if let Some(path) = &found.config {
        read_file(&mut draft, path);
    }
    if flags.image.is_some() {
        // A container's log is what it says on standard error.
        let place = Place::whole("the container image");
        draft.set_path("log.dir", "", Path::new(""), Rank::File, place);
    }
    if let Some(route) = flags
        .image
        .as_ref()
        .and_then(|image| image.route.as_deref())
    {
        set_routes(&mut draft, &[route], Rank::Environment, "target");
    }
    read_environment(&mut draft, env);
    read_flags(&mut draft, flags);
    draft.finish(found.config.as_deref(), found.routes);
    Examined {
        origins: draft.origins(),
        settings: draft.settings,
        files: draft.files,
        faults: draft.faults,
    }
}

fn read_file(draft: &mut Draft, path: &Path) {
    let text = match read(path) {
        Ok(text) => text,
        Err(error) => {
            let message = format!(
                "{}: {error}; allowed: a readable file or folder",
                path.display()
            );
            draft.faults.push(Fault::error("--config", message));
            return;
        }
    };
    draft.files.push(path.to_owned());
    if pushpin_conf::is_one(path, &text) {
        pushpin_conf::read(draft, path, &text);
    } else {
        read_toml(draft, path, &text);
    }
}

fn read_flags(draft: &mut Draft, flags: &Flags) {
    let base = Path::new("");
    let one = |text: &Option<String>| text.clone().map(Value::One);
    let said = |flag: bool, value: &str| flag.then(|| Value::One(value.into()));
    let routes = (!flags.routes.is_empty()).then(|| Value::Many(flags.routes.clone()));
    for (flag, value) in [
        ("--port", one(&flags.port)),
        ("--control", one(&flags.control)),
        ("--control-insecure", said(flags.control_insecure, "true")),
        ("--verbose", said(flags.verbose, "debug")),
        ("--log-level", one(&flags.log_level)),
        ("--logfile", one(&flags.log_file)),
        (
            "--merge-output",
            flags.merge_output.then(|| Value::One(String::new())),
        ),
        ("--route", routes),
    ] {
        if let (Some(key), Some(value)) = (keys::of_flag(flag), value) {
            draft.set(key, &value, base, Rank::Flags, Place::whole(flag));
        }
    }
    if let Some(id) = flags.id {
        draft.port_offset = id.saturating_mul(10);
    }
}

fn set_routes(draft: &mut Draft, lines: &[impl ToString], rank: Rank, from: &str) {
    if let Some(key) = keys::find("routes.lines") {
        let lines = Value::Many(lines.iter().map(ToString::to_string).collect());
        draft.set(key, &lines, Path::new(""), rank, Place::whole(from));
    }
}

/// Reads a small text file.
pub(super) fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?
        .take(FILE_LIMIT + 1)
        .read_to_string(&mut text)?;
    if text.len() as u64 > FILE_LIMIT {
        return Err(io::Error::other("larger than 1 MiB"));
    }
    Ok(text)
}

/// Most bytes of a settings file.
const FILE_LIMIT: u64 = 1 << 20;
