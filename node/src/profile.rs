//! A profile on disk: made, locked, opened. What the CLI does without a daemon goes through here.

use crate::{
    api::error::{Code, UserError},
    app::{create_profile, storage_error},
    clock::{Clock, system_rng},
};
use kith_store::{Disk, Error, ProfileLock, Store, Unlock, UnlockKind, private_folder};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// How a profile is opened.
#[derive(Clone)]
pub enum Key {
    /// By a passphrase.
    Passphrase(Zeroizing<String>),
    /// By a file in the profile's folder: whoever reads the folder reads the profile.
    File,
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Passphrase(_) => f.write_str("Passphrase(..)"),
            Self::File => f.write_str("File"),
        }
    }
}

/// The files in a profile's folder.
#[derive(Clone, Debug)]
pub struct Folder {
    home: PathBuf,
}

impl Folder {
    /// Names a profile's folder.
    pub fn new(home: &Path) -> Self {
        Self { home: home.to_owned() }
    }

    /// The store of the person's rows.
    pub fn store(&self) -> PathBuf {
        self.home.join("kith.redb")
    }

    /// The person's store while it is being made.
    fn making(&self) -> PathBuf {
        self.home.join("kith.redb.making")
    }

    /// The store of what the network node keeps for others and knows of them.
    pub fn network(&self) -> PathBuf {
        self.home.join("network.redb")
    }

    /// The store of the relay that this profile runs, unless it is told another place.
    pub fn relay(&self) -> PathBuf {
        self.home.join("relay.redb")
    }

    /// The key file of a profile without passphrase.
    pub fn key(&self) -> PathBuf {
        self.home.join("key")
    }

    /// The lock that keeps a second daemon out.
    pub fn lock(&self) -> PathBuf {
        self.home.join("lock")
    }

    fn unlock(&self, key: &Key) -> Unlock {
        match key {
            Key::Passphrase(text) => Unlock::Passphrase(text.clone()),
            Key::File => Unlock::KeyFile(self.key()),
        }
    }
}

/// What `init` tells, once.
#[derive(Debug)]
pub struct Created {
    /// The account, as text.
    pub account: String,
    /// This device, as text.
    pub device: String,
    /// The 24 words; kept nowhere else.
    pub recovery_phrase: Zeroizing<String>,
}

/// A profile that this process holds open.
pub struct Profile {
    /// The person's store.
    pub store: Store,
    /// Its folder.
    pub folder: Folder,
    /// Keeps others out while it lives.
    pub lock: ProfileLock,
}

/// Makes a profile: folder 0700, sealed store, a new account and its first device.
///
/// # Errors
/// `profile_exists` (nothing is overwritten), `profile_in_use`, and what the disk reports.
pub fn create(home: &Path, name: &str, key: &Key) -> Result<Created, UserError> {
    let folder = Folder::new(home);
    let mut rng = system_rng().map_err(|e| UserError::new(Code::Internal, e.to_string()))?;
    let told = |error| explain(&error, home);
    private_folder(home).map_err(told)?;
    let _lock = lock(home).map_err(told)?;
    if Disk::File(folder.store()).exists().map_err(told)? {
        return Err(told(Error::Exists));
    }
    // Made beside its place and moved there whole: a maker that dies leaves nothing that looks like a profile.
    let making = folder.making();
    let io = |error: std::io::Error| told(error.into());
    match std::fs::remove_file(&making) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(io(error)),
        _ => {}
    }
    let store = Store::create(Disk::File(making.clone()), &folder.unlock(key), &mut rng).map_err(told)?;
    let created = create_profile(&store, name, Clock::system().now(), &mut rng).map_err(told)?;
    store.close().map_err(told)?;
    std::fs::rename(&making, folder.store()).map_err(io)?;
    std::fs::File::open(home).and_then(|folder| folder.sync_all()).map_err(io)?;
    Ok(Created {
        account: created.account.to_string(),
        device: created.device.to_string(),
        recovery_phrase: created.phrase,
    })
}

/// Tells whether there is a profile, and whether a passphrase opens it.
///
/// # Errors
/// `no_profile` where there is none; what the disk reports.
pub fn needs_passphrase(home: &Path) -> Result<bool, UserError> {
    let info = Store::info(&Disk::File(Folder::new(home).store())).map_err(|e| explain(&e, home))?;
    Ok(info.unlock == UnlockKind::Passphrase)
}

/// Opens a profile for this process alone.
///
/// # Errors
/// `no_profile`, `profile_in_use`, `wrong_passphrase`, `locked`, `store_corrupt`, `store_newer`, and what the disk reports.
pub fn open(home: &Path, key: &Key) -> Result<Profile, UserError> {
    let folder = Folder::new(home);
    if !folder.store().exists() {
        return Err(explain(&Error::Missing, home));
    }
    let mut rng = system_rng().map_err(|e| UserError::new(Code::Internal, e.to_string()))?;
    let told = |error| explain(&error, home);
    private_folder(home).map_err(told)?;
    let lock = lock(home).map_err(told)?;
    let store = Store::open(Disk::File(folder.store()), &folder.unlock(key), &mut rng).map_err(told)?;
    Ok(Profile { store, folder, lock })
}

/// Tells whether a process holds a profile: a daemon that runs, or one that ends.
pub fn is_in_use(home: &Path) -> bool {
    matches!(lock(home), Err(Error::InUse { .. }))
}

fn lock(home: &Path) -> Result<ProfileLock, Error> {
    ProfileLock::acquire(&Folder::new(home).lock(), &home.display().to_string(), "kith stop")
}

/// Says what a storage error means for a person who wants to open a profile. Commands in hints stand without the profile:
/// how it is named is known to the command line alone.
pub fn explain(error: &Error, home: &Path) -> UserError {
    match error {
        Error::Missing => {
            UserError::new(Code::NoProfile, format!("there is no profile in {}", home.display())).hint("kith init")
        }
        Error::Exists => {
            UserError::new(Code::ProfileExists, format!("there is a profile in {} already", home.display()))
                .hint("kith run")
        }
        Error::InUse { command, .. } => UserError::new(Code::ProfileInUse, error.to_string()).hint(command.clone()),
        Error::WrongPassphrase => UserError::new(Code::WrongPassphrase, "wrong passphrase")
            .hint("try again; nothing else opens this profile (no verb reads the 24 words yet)"),
        Error::Locked => UserError::new(Code::Locked, "the profile is locked by a passphrase")
            .hint("--passphrase-file F, or KITH_PASSPHRASE_FILE"),
        Error::NoPassphrase => UserError::new(Code::Usage, error.to_string()).hint("leave the passphrase out"),
        Error::WrongKeyFile => {
            UserError::new(Code::Integrity, error.to_string()).hint("put the profile's own key file back")
        }
        Error::KeyFileMissing { .. } => UserError::new(Code::Locked, error.to_string())
            .hint("put the key file back: nothing else opens this profile"),
        Error::NewerVersion { .. } => {
            UserError::new(Code::StoreNewer, error.to_string()).hint("run the newer kith; this one has changed nothing")
        }
        Error::WrappingRefused { .. } => UserError::new(Code::Integrity, error.to_string())
            .hint("the store's header was changed: put a copy of the profile back"),
        Error::Io(cause) => {
            UserError::new(Code::Io, format!("the profile in {} cannot be used: {cause}", home.display()))
                .hint("check the folder, or choose another one: --home DIR")
        }
        Error::ReadOnly => UserError::new(
            Code::ReadOnly,
            format!("{} cannot be written: read-only disk or no permission", home.display()),
        )
        .hint("check who owns the folder, or choose another one: --home DIR"),
        Error::Permissions { path, .. } => {
            UserError::new(Code::NotPermitted, error.to_string()).hint(format!("chmod go-rwx {}", path.display()))
        }
        _ => storage_error(error),
    }
}
