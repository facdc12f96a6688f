//! The contact code: 49 bytes that name an account and let one find it, as 90 characters of bech32m. Must not know hints.

use super::Error;
use crate::{
    code::{self, CodeKind},
    crypto::{Secret, sign::VerifyingKey},
    id::AccountId,
};
use rand_core::CryptoRng;
use std::{fmt, str::FromStr};

/// The rotatable secret in a contact code: who does not have it can neither find nor read an account's records.
#[derive(Clone, PartialEq, Eq)]
pub struct ReachSecret(Secret<16>);

impl ReachSecret {
    /// Length in bytes.
    pub const LEN: usize = 16;

    /// Draws a new secret.
    pub fn random(rng: &mut impl CryptoRng) -> Self {
        Self(Secret::random(rng))
    }

    /// Takes the bytes of a stored or received secret.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Secret::new(bytes))
    }

    /// Returns the bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for ReachSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(_) = self;
        f.write_str("ReachSecret(..)")
    }
}

/// Names an account and carries its reach secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContactCode {
    /// Whom it names.
    pub account: AccountId,
    /// What lets one find it.
    pub reach: ReachSecret,
}

impl ContactCode {
    /// Length of the text in characters: 49 bytes with the one for version and kind.
    pub const CHARACTERS: usize = code::characters(1 + AccountId::LEN + ReachSecret::LEN);

    /// Reads a code, with or without `kith:` in front; case, and anything that is no letter or digit, is passed over.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let bytes = code::decode(text, CodeKind::Contact)?;
        let (account, reach) = bytes.split_first_chunk::<32>().ok_or(Error::NoAccount)?;
        let reach = <[u8; 16]>::try_from(reach).map_err(|_| Error::NoAccount)?;
        // R-ID-10: a key that anybody could sign under, or a second spelling of one, names nobody.
        VerifyingKey::parse(account).map_err(|_| Error::NoAccount)?;
        Ok(Self { account: AccountId::from_bytes(*account), reach: ReachSecret::from_bytes(reach) })
    }
}

impl FromStr for ContactCode {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::parse(text)
    }
}

/// Writes `kith1…`, 90 characters.
impl fmt::Display for ContactCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let body = self.account.as_bytes().iter().chain(self.reach.as_bytes()).copied();
        code::encode(CodeKind::Contact, body, f)
    }
}
