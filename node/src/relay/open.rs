//! A relay's file and keys: both follow from a secret that lies in the profile, so that what opens the profile opens them.

use super::RelayOptions;
use crate::{
    api::error::{Code, UserError},
    profile::{Folder, explain},
};
use kith_protocol::crypto::{Secret, kdf::hkdf, sign::SigningKey};
use kith_store::{Committed, Damage, Disk, Error, Rows, Store, Unlock, Writes, mailbox::MailboxStore, table::Setting};
use rand_core::CryptoRng;
use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// Under which name the secret lies in the profile.
const SECRET: &str = "relay/secret";

/// An open relay.
#[derive(Debug)]
pub struct Opened {
    /// What it keeps.
    pub store: MailboxStore,
    /// What signs its word.
    pub key: SigningKey,
}

/// Opens the relay of a profile; the first time, makes it.
///
/// # Errors
/// `not_permitted` where others can read its folder or file, `store_corrupt` for a damaged one, `usage` for a store of
/// another kind, and what the disk reports.
pub fn open(
    profile: &Store,
    folder: &Folder,
    options: &RelayOptions,
    rng: &mut impl CryptoRng,
) -> Result<Opened, UserError> {
    let path = match &options.store {
        Some(store) => path_of(store)?,
        None => folder.relay(),
    };
    let told = |error: Error| refused(&error, &path);
    demand_private(path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new(".")))
        .map_err(told)?;
    let disk = Disk::File(path.clone());
    let there = disk.exists().map_err(told)?;
    if there {
        demand_private(&path).map_err(told)?;
    }
    let secret = secret_of(profile, rng).map_err(told)?;
    let unlock = Unlock::Key(hkdf(&[], secret.as_bytes(), b"kith/v1/relay-file"));
    let store = if there { Store::open(disk, &unlock, rng) } else { Store::create(disk, &unlock, rng) };
    let key = SigningKey::from_seed(&hkdf(&[], secret.as_bytes(), b"kith/v1/relay-key"));
    Ok(Opened { store: MailboxStore::new(store.map_err(told)?), key })
}

/// Reads where a relay keeps its mail.
fn path_of(store: &str) -> Result<PathBuf, UserError> {
    match store.strip_prefix("redb:").filter(|path| !path.is_empty()) {
        Some(path) => Ok(PathBuf::from(path)),
        None => Err(UserError::new(Code::Usage, format!("no store that a relay can use: {store}"))
            .hint("--store redb:PATH, or leave it out")),
    }
}

/// The secret that the profile keeps for its relay; drawn the first time.
fn secret_of(profile: &Store, rng: &mut impl CryptoRng) -> Result<Secret<32>, Error> {
    let found: Option<Setting> = profile.snapshot()?.row(&Setting::key_of(SECRET))?;
    if let Some(found) = found {
        return Secret::from_slice(&found.value).ok_or(Error::Corrupt(Damage::Row));
    }
    let secret = Secret::random(rng);
    let row = Setting { name: SECRET.to_owned(), value: secret.as_bytes().to_vec() };
    let mut writes = Writes::default();
    writes.put(&row)?;
    profile.write(|tx| tx.apply(&writes)).map(Committed::into_inner)?;
    Ok(secret)
}

/// Refuses what others can read: mail of a whole community lies there.
fn demand_private(path: &Path) -> Result<(), Error> {
    let mode = fs::metadata(path).map_err(Error::from)?.mode();
    if mode & 0o077 == 0 { Ok(()) } else { Err(Error::Permissions { path: path.to_owned(), mode: mode & 0o7777 }) }
}

fn refused(error: &Error, path: &Path) -> UserError {
    match error {
        Error::Corrupt(_) | Error::WrappingRefused { .. } => {
            UserError::new(Code::StoreCorrupt, format!("the relay's file {} is damaged: {error}", path.display()))
                .hint("put a copy of it back, or move it away to begin with an empty one")
        }
        Error::WrongKeyFile | Error::Locked => {
            UserError::new(Code::Integrity, format!("the relay's file {} is another profile's", path.display()))
                .hint("start it with the profile that made it, or choose another one: --store redb:PATH")
        }
        Error::InUse { .. } => {
            UserError::new(Code::ProfileInUse, format!("the relay's file {} is in use", path.display()))
                .hint("stop the other one: kith stop")
        }
        Error::Io(cause) => {
            UserError::new(Code::Io, format!("the relay's file {} cannot be used: {cause}", path.display()))
                .hint("check its folder, or choose another one: --store redb:PATH")
        }
        _ => explain(error, path.parent().unwrap_or(path)),
    }
}
