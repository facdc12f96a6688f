//! One process per profile, and nobody else's eyes on it.

use crate::Error;
use std::{
    fs::{self, DirBuilder, File, OpenOptions, Permissions},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    path::Path,
};

/// The most that is read of a lock file, in bytes: a pid, a profile and a command.
const LOCK_FILE_MAX: u64 = 4096;

/// Holds a profile for this process until dropped.
///
/// The kernel's lock decides, not the file: one left behind by a process that is gone is no obstacle.
#[derive(Debug)]
pub struct ProfileLock {
    _file: File,
}

impl ProfileLock {
    /// Takes the lock at `path`. `profile` is the profile as the user names it, `command` what stops its holder (`kith
    /// --profile work stop`); both are shown to whoever comes second.
    ///
    /// # Errors
    /// `InUse` with pid, profile and command of the holder.
    pub fn acquire(path: &Path, profile: &str, command: &str) -> Result<Self, Error> {
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
        keep_private(path, &file)?;
        match rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(error) if error == rustix::io::Errno::WOULDBLOCK => return Err(holder(file, profile, command)),
            Err(error) => return Err(io::Error::from(error).into()),
        }
        file.set_len(0)?;
        file.write_all(format!("{}\n{profile}\n{command}\n", std::process::id()).as_bytes())?;
        Ok(Self { _file: file })
    }
}

/// Says who holds the lock; a holder that has not written its lines yet is named by what the caller knows.
fn holder(file: File, profile: &str, command: &str) -> Error {
    let mut text = String::new();
    let read = file.take(LOCK_FILE_MAX).read_to_string(&mut text).is_ok();
    let mut lines = text.lines().filter(|_| read);
    let pid = lines.next().and_then(|line| line.parse().ok());
    let mut line = |known: &str| lines.next().filter(|line| !line.is_empty()).unwrap_or(known).to_owned();
    Error::InUse { pid, profile: line(profile), command: line(command) }
}

/// Makes a folder that only this user can enter (mode 0700), or takes others' access to an existing one away.
///
/// # Errors
/// `Permissions` if it belongs to somebody else.
pub fn private_folder(path: &Path) -> Result<(), Error> {
    match DirBuilder::new().recursive(true).mode(0o700).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error.into()),
        _ => {}
    }
    let folder = File::open(path)?;
    if !folder.metadata()?.is_dir() {
        return Err(io::Error::from(io::ErrorKind::NotADirectory).into());
    }
    keep_private(path, &folder)
}

/// Takes others' access to an open file or folder away.
pub(crate) fn keep_private(path: &Path, file: &File) -> Result<(), Error> {
    let meta = file.metadata()?;
    owned(path, &meta)?;
    if meta.mode() & 0o077 != 0 {
        tracing::warn!("others could reach a file of the profile; access taken away");
        file.set_permissions(Permissions::from_mode(meta.mode() & 0o700))?;
    }
    Ok(())
}

/// Refuses a file that others can reach.
pub(crate) fn demand_private(path: &Path, file: &File) -> Result<(), Error> {
    let meta = file.metadata()?;
    owned(path, &meta)?;
    if meta.mode() & 0o077 != 0 {
        return Err(Error::Permissions { path: path.to_owned(), mode: meta.mode() & 0o7777 });
    }
    Ok(())
}

fn owned(path: &Path, meta: &fs::Metadata) -> Result<(), Error> {
    if meta.uid() == rustix::process::geteuid().as_raw() {
        return Ok(());
    }
    Err(Error::Permissions { path: path.to_owned(), mode: meta.mode() & 0o7777 })
}
