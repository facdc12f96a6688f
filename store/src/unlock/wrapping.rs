//! The wrapped data key as it stands in the header.

use super::{Stretching, Unlock, UnlockKind, key_file};
use crate::{Error, header::StoreId};
use kith_protocol::crypto::{Secret, aead, kdf, kdf::Argon2Params, label};
use rand_core::CryptoRng;

/// Nonce, key and tag.
const WRAPPED_LEN: usize = aead::RANDOM_NONCE_LEN + 32 + aead::TAG_LEN;

/// The data key, sealed by what opens the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wrapping {
    work: Work,
    wrapped: [u8; WRAPPED_LEN],
}

/// How the wrapping key is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// From a passphrase.
    Argon2 { params: Argon2Params, salt: [u8; 16] },
    /// From a key file.
    KeyFile,
}

impl Work {
    pub(crate) fn kind(&self) -> UnlockKind {
        match self {
            Self::Argon2 { .. } => UnlockKind::Passphrase,
            Self::KeyFile => UnlockKind::KeyFile,
        }
    }

    /// Chooses fresh work for an unlock.
    fn fresh(unlock: &Unlock, stretching: &Stretching, rng: &mut impl CryptoRng) -> Self {
        match unlock {
            Unlock::Passphrase(_) => {
                let mut salt = [0; 16];
                rng.fill_bytes(&mut salt);
                Self::Argon2 { params: stretching.wanted, salt }
            }
            Unlock::KeyFile(_) | Unlock::Key(_) => Self::KeyFile,
        }
    }

    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Argon2 { params: Argon2Params { memory_kib, passes, lanes }, salt } => {
                out.push(1);
                for number in [memory_kib, passes, lanes] {
                    out.extend_from_slice(&number.to_be_bytes());
                }
                out.extend_from_slice(salt);
            }
            Self::KeyFile => out.push(2),
        }
    }

    fn decode(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (kind, rest) = bytes.split_first()?;
        match kind {
            1 => {
                let (memory, rest) = rest.split_first_chunk()?;
                let (passes, rest) = rest.split_first_chunk()?;
                let (lanes, rest) = rest.split_first_chunk()?;
                let (salt, rest) = rest.split_first_chunk()?;
                let number = |bytes: &[u8; 4]| u32::from_be_bytes(*bytes);
                let params = Argon2Params { memory_kib: number(memory), passes: number(passes), lanes: number(lanes) };
                Some((Self::Argon2 { params, salt: *salt }, rest))
            }
            2 => Some((Self::KeyFile, rest)),
            _ => None,
        }
    }

    /// Makes the wrapping key.
    fn key(&self, unlock: &Unlock, stretching: &Stretching) -> Result<Secret<32>, Error> {
        let secret = match (self, unlock) {
            (Self::Argon2 { params, salt }, Unlock::Passphrase(text)) => {
                stretching.check(params)?;
                kdf::argon2id(text.as_bytes(), salt, params).map_err(|_| Error::WrongPassphrase)?
            }
            (Self::KeyFile, Unlock::KeyFile(path)) => key_file::read(path)?,
            (Self::KeyFile, Unlock::Key(key)) => key.clone(),
            (Self::Argon2 { .. }, _) => return Err(Error::Locked),
            (Self::KeyFile, Unlock::Passphrase(_)) => return Err(Error::NoPassphrase),
        };
        Ok(kdf::hkdf(&[], secret.as_bytes(), label::STORE_WRAP.as_bytes()))
    }
}

impl Wrapping {
    /// Wraps a data key.
    pub(crate) fn seal(
        data_key: &Secret<32>,
        id: &StoreId,
        unlock: &Unlock,
        stretching: &Stretching,
        rng: &mut impl CryptoRng,
    ) -> Result<Self, Error> {
        let work = Work::fresh(unlock, stretching, rng);
        let key = work.key(unlock, stretching)?;
        let sealed = aead::seal_random(&key, &associated(id, &work), data_key.as_bytes(), rng);
        let wrapped = sealed.try_into().map_err(|_| Error::Bug("wrapped key of another length"))?;
        Ok(Self { work, wrapped })
    }

    /// Unwraps the data key. A wrong passphrase and a changed header look the same, so that nothing is learnt from which
    /// check failed.
    pub(crate) fn open(&self, id: &StoreId, unlock: &Unlock, stretching: &Stretching) -> Result<Secret<32>, Error> {
        let wrong = match self.work.kind() {
            UnlockKind::Passphrase => Error::WrongPassphrase,
            UnlockKind::KeyFile => Error::WrongKeyFile,
        };
        let key = self.work.key(unlock, stretching)?;
        let opened = aead::open_random(&key, &associated(id, &self.work), &self.wrapped);
        opened.ok().and_then(|bytes| Secret::from_slice(&bytes)).ok_or(wrong)
    }

    pub(crate) fn work(&self) -> &Work {
        &self.work
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        self.work.encode(out);
        out.extend_from_slice(&self.wrapped);
    }

    /// Reads exactly one wrapping.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let (work, rest) = Work::decode(bytes)?;
        Some(Self { work, wrapped: rest.try_into().ok()? })
    }
}

/// Binds the wrapped key to its store and to the work that opens it.
fn associated(id: &StoreId, work: &Work) -> Vec<u8> {
    let mut out = id.to_vec();
    work.encode(&mut out);
    out
}
