//! The invite code: 33 bytes that admit to one channel and name it to those who know it, as 64 characters of bech32m, and
//! the link around it. Must not know what the invite's operation says.

use super::InviteKeys;
use crate::{
    ChannelId,
    code::{self, CodeKind, Error, link_hints, read_link, write_link},
    crypto::{Secret, label},
    wire::Transcript,
};
use rand_core::CryptoRng;
use std::{fmt, str::FromStr};

/// Length of the commitment in bytes.
const COMMITMENT: usize = 16;

/// The secret in an invite code, 128 random bits: who has it may ask to be admitted. It is in no operation.
#[derive(Clone, PartialEq, Eq)]
pub struct InviteSecret(Secret<16>);

impl InviteSecret {
    /// Length in bytes.
    pub const LEN: usize = 16;

    /// Draws a new secret.
    pub fn random(rng: &mut impl CryptoRng) -> Self {
        Self(Secret::random(rng))
    }

    /// Takes the bytes of a stored secret.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Secret::new(bytes))
    }

    /// Returns the bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for InviteSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(_) = self;
        f.write_str("InviteSecret(..)")
    }
}

/// Lets its holder ask to be admitted to one channel.
#[derive(Clone, PartialEq, Eq)]
pub struct InviteCode {
    secret: InviteSecret,
    commitment: [u8; COMMITMENT],
}

impl InviteCode {
    /// Length of the text in characters: 33 bytes with the one for version and kind.
    pub const CHARACTERS: usize = code::characters(1 + InviteSecret::LEN + COMMITMENT);

    /// Binds a secret to a channel.
    pub fn new(secret: InviteSecret, channel: &ChannelId) -> Self {
        let commitment = commitment(&secret, channel);
        Self { secret, commitment }
    }

    /// Reads a code, with or without `kith:` in front; case, and anything that is no letter or digit, is passed over.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let bytes = code::decode(text, CodeKind::Invite)?;
        let (secret, commitment) = bytes.split_first_chunk::<{ InviteSecret::LEN }>().ok_or(Error::NoAccount)?;
        let commitment = commitment.try_into().map_err(|_| Error::NoAccount)?;
        Ok(Self { secret: InviteSecret::from_bytes(*secret), commitment })
    }

    /// Says whether it admits to this channel and no other (R-INV-2).
    pub fn names(&self, channel: &ChannelId) -> bool {
        commitment(&self.secret, channel) == self.commitment
    }

    /// Derives the invite's keys; a code whose commitment was changed leads to keys of nobody.
    pub fn keys(&self) -> InviteKeys {
        InviteKeys::derive(&self.secret, &self.commitment)
    }
}

/// Computes what names a channel to who knows both the channel and the secret, and to nobody else.
fn commitment(secret: &InviteSecret, channel: &ChannelId) -> [u8; COMMITMENT] {
    let hash = Transcript::new(label::INVITE_CHANNEL).field(channel.as_bytes()).field(secret.as_bytes()).sha256();
    *hash.first_chunk().unwrap_or(&[0; COMMITMENT])
}

impl FromStr for InviteCode {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::parse(text)
    }
}

/// Writes `kith1…`, 64 characters.
impl fmt::Display for InviteCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let body = self.secret.as_bytes().iter().chain(&self.commitment).copied();
        code::encode(CodeKind::Invite, body, f)
    }
}

impl fmt::Debug for InviteCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { secret: _, commitment: _ } = self;
        f.write_str("InviteCode(..)")
    }
}

/// An invite code with hints where members or relays may be found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InviteLink {
    /// What admits.
    pub code: InviteCode,
    /// Up to three addresses, relays first: untrusted, only dialled.
    pub hints: Vec<String>,
}

impl InviteLink {
    /// Joins a code and addresses; what is no address or too many is left out, so that what is shown can be read again.
    pub fn new(code: InviteCode, addresses: impl IntoIterator<Item = String>) -> Self {
        Self { code, hints: link_hints(addresses) }
    }

    /// Reads a code or a link as people paste them (R-ID-7).
    pub fn parse(text: &str) -> Result<Self, Error> {
        let (code, hints) = read_link(text, InviteCode::parse)?;
        Ok(Self { code, hints })
    }
}

impl FromStr for InviteLink {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::parse(text)
    }
}

impl fmt::Display for InviteLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_link(&self.code, &self.hints, f)
    }
}
