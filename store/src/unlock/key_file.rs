//! The key file of a store without a passphrase: 32 random bytes, readable by their owner alone.

use crate::{Error, disk::sync_parent, lock};
use kith_protocol::crypto::Secret;
use rand_core::CryptoRng;
use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};
use zeroize::Zeroizing;

/// Writes a new key file unless one is there, which is then used as it is.
pub(super) fn create_if_missing(path: &Path, rng: &mut impl CryptoRng) -> Result<(), Error> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(mut file) => {
            file.write_all(Secret::<32>::random(rng).as_bytes())?;
            file.sync_all()?;
            sync_parent(path)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => read(path).map(drop),
        Err(error) => Err(error.into()),
    }
}

/// Reads a key file.
///
/// # Errors
/// `KeyFileMissing`; `Permissions` if others can read it, since then it may be known already; `WrongKeyFile` if it has
/// not exactly 32 bytes.
pub(super) fn read(path: &Path) -> Result<Secret<32>, Error> {
    let file = File::open(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Error::KeyFileMissing { path: path.to_owned() },
        _ => error.into(),
    })?;
    lock::demand_private(path, &file)?;
    let mut bytes = Zeroizing::new(Vec::with_capacity(64));
    file.take(33).read_to_end(&mut bytes)?;
    Secret::from_slice(&bytes).ok_or(Error::WrongKeyFile)
}
