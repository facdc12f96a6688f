//! How a store is opened: a passphrase or a key file wraps its data key.
//!
//! The data key is random and never changes; what opens it can, without touching a row.

mod key_file;
mod wrapping;

pub(crate) use wrapping::{Work, Wrapping};

use crate::Error;
use kith_protocol::crypto::{Secret, kdf::Argon2Params};
use rand_core::CryptoRng;
use std::path::PathBuf;
use zeroize::Zeroizing;

/// What opens a store.
#[derive(Clone)]
pub enum Unlock {
    /// A passphrase, stretched by Argon2id.
    Passphrase(Zeroizing<String>),
    /// A file of mode 0600 with 32 random bytes; made together with the store. Whoever can read it can read the store.
    KeyFile(PathBuf),
    /// The bytes of a key file, for stores in memory.
    Key(Secret<32>),
}

impl Unlock {
    /// Takes a passphrase.
    pub fn passphrase(text: &str) -> Self {
        Self::Passphrase(Zeroizing::new(text.to_owned()))
    }

    /// Tells which kind this is.
    pub fn kind(&self) -> UnlockKind {
        match self {
            Self::Passphrase(_) => UnlockKind::Passphrase,
            Self::KeyFile(_) | Self::Key(_) => UnlockKind::KeyFile,
        }
    }

    /// Makes the key that wraps the data key of a new store, and writes the key file where one is meant.
    pub(crate) fn prepare(&self, rng: &mut impl CryptoRng) -> Result<(), Error> {
        match self {
            Self::KeyFile(path) => key_file::create_if_missing(path, rng),
            Self::Passphrase(_) | Self::Key(_) => Ok(()),
        }
    }
}

impl std::fmt::Debug for Unlock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Passphrase(_) => f.write_str("Passphrase(..)"),
            Self::KeyFile(path) => write!(f, "KeyFile({})", path.display()),
            Self::Key(_) => f.write_str("Key(..)"),
        }
    }
}

/// The two kinds of locks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnlockKind {
    /// A passphrase has to be given.
    Passphrase,
    /// The key file is enough.
    KeyFile,
}

/// How much work a passphrase guess costs: what new stores get, and what is accepted from a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretching {
    /// What new stores get; a store with less is raised to it when it is next unlocked.
    pub wanted: Argon2Params,
    /// The least memory accepted from a file, in KiB: less would make guessing cheap.
    pub min_memory_kib: u32,
}

impl Stretching {
    /// The most memory accepted from a file, in KiB (1 GiB): more would let a changed file exhaust the machine.
    pub const MAX_MEMORY_KIB: u32 = 1024 * 1024;
    /// The most passes accepted from a file.
    pub const MAX_PASSES: u32 = 10;

    /// What real stores use: the second recommended option of RFC 9106 section 4, and nothing below it.
    pub const STANDARD: Self =
        Self { wanted: Argon2Params::RECOMMENDED, min_memory_kib: Argon2Params::RECOMMENDED.memory_kib };

    /// A hundredth of the work, for tests alone: it protects nothing.
    pub const CHEAP_FOR_TESTS: Self =
        Self { wanted: Argon2Params { memory_kib: 8 * 1024, passes: 1, lanes: 1 }, min_memory_kib: 8 * 1024 };

    /// Refuses parameters from a file before they cost anything.
    pub(crate) fn check(&self, params: &Argon2Params) -> Result<(), Error> {
        let Argon2Params { memory_kib, passes, lanes } = *params;
        let fits = (self.min_memory_kib..=Self::MAX_MEMORY_KIB).contains(&memory_kib)
            && (1..=Self::MAX_PASSES).contains(&passes)
            && (1..=16).contains(&lanes)
            && params.is_acceptable();
        if fits { Ok(()) } else { Err(Error::WrappingRefused { memory_kib, passes }) }
    }

    /// Tells whether a store made with these parameters should be raised.
    pub(crate) fn raises(&self, params: &Argon2Params) -> bool {
        params.memory_kib < self.wanted.memory_kib || params.passes < self.wanted.passes
    }
}

impl Default for Stretching {
    fn default() -> Self {
        Self::STANDARD
    }
}
