//! A listening socket in the file system. Nobody can connect before its rights are what they are
//! to be: a socket that is bound and does not listen yet refuses.

use std::{
    fs, io,
    os::unix::{
        fs::{FileTypeExt, MetadataExt, PermissionsExt, chown},
        net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
};

use nix::unistd::{Group, User};
use socket2::{Domain, SockAddr, Socket, Type};

use super::tcp::BindError;
use crate::config::UnixSocket;

/// Binds and listens. A file that an ended process left there is replaced; `backlog` and `flag`
/// are those of [`tcp::bind`](super::tcp::bind).
///
/// # Errors
/// The path cannot be a socket of ours, somebody listens there, or its owner cannot be set.
pub fn bind(
    settings: &UnixSocket,
    backlog: u32,
    flag: &'static str,
) -> Result<(UnixListener, File), BindError> {
    open(settings, backlog).map_err(|error| BindError {
        address: settings.to_string(),
        cause: match error.kind() {
            io::ErrorKind::AddrInUse => "another process listens there".to_owned(),
            _ => error.to_string(),
        },
        flag,
    })
}

/// The file of a socket: removed when dropped, unless another has taken its place.
#[derive(Debug)]
pub struct File {
    path: PathBuf,
    inode: (u64, u64),
}

impl Drop for File {
    fn drop(&mut self) {
        if inode(&self.path).is_ok_and(|inode| inode == self.inode) {
            // Who may no longer remove it leaves it, as every process does that is killed.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn open(settings: &UnixSocket, backlog: u32) -> io::Result<(UnixListener, File)> {
    let path = &settings.path;
    let (user, group) = owner(settings)?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM.nonblocking(), None)?;
    remove_stale(path)?;
    socket.bind(&SockAddr::unix(path)?)?;
    let file = File {
        path: path.clone(),
        inode: inode(path)?,
    };
    fs::set_permissions(path, fs::Permissions::from_mode(settings.mode))?;
    chown(path, user, group)?;
    socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
    Ok((socket.into(), file))
}

/// Makes room where nobody listens any more.
fn remove_stale(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(about) if about.file_type().is_socket() => {}
        Ok(_) => return Err(io::Error::other("there is a file that is no socket")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        Err(error) => Err(error),
        Ok(_) => Err(io::ErrorKind::AddrInUse.into()),
    }
}

fn inode(path: &Path) -> io::Result<(u64, u64)> {
    let about = fs::symlink_metadata(path)?;
    Ok((about.dev(), about.ino()))
}

/// The numbers of user and group, where they are named.
fn owner(settings: &UnixSocket) -> io::Result<(Option<u32>, Option<u32>)> {
    let user = settings.user.as_deref().map(|name| {
        let found = || User::from_name(name).map(|user| user.map(|user| user.uid.as_raw()));
        number(name, "user", found)
    });
    let group = settings.group.as_deref().map(|name| {
        let found = || Group::from_name(name).map(|group| group.map(|group| group.gid.as_raw()));
        number(name, "group", found)
    });
    Ok((user.transpose()?, group.transpose()?))
}

fn number(
    name: &str,
    kind: &str,
    find: impl FnOnce() -> nix::Result<Option<u32>>,
) -> io::Result<u32> {
    if let Ok(number) = name.parse() {
        return Ok(number);
    }
    find()?.ok_or_else(|| io::Error::other(format!("there is no {kind} {name} on this machine")))
}
