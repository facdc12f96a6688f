//! How everything of an invite is sealed: padded, then HPKE. Must not know what it seals, nor to whom.

use crate::{
    crypto::{
        self,
        dh::{BadPublicKey, DhPublic, DhSecret},
    },
    limits::INVITE_PAD,
    wire::padding,
};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

/// Bytes that sealing adds to what is padded: encapsulated key and tag.
pub(super) const OVERHEAD: usize = DhPublic::LEN + 16;

/// What sealing and opening have to agree on.
#[derive(Clone, Copy)]
pub(super) struct Context<'a> {
    /// HPKE's info.
    pub(super) label: &'static str,
    /// HPKE's associated data.
    pub(super) aad: &'a [u8],
    /// Longest padded content in bytes.
    pub(super) max: usize,
}

/// It could not be sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SealError {
    TooLarge,
    BadKey,
}

impl Context<'_> {
    /// Seals: encapsulated key ‖ ciphertext of the content padded to a multiple of 1 KiB.
    pub(super) fn seal(&self, to: &DhPublic, content: &[u8], rng: &mut impl CryptoRng) -> Result<Vec<u8>, SealError> {
        let padded = padding::pad(content, |len| self.bucket(len)).ok_or(SealError::TooLarge)?;
        let sealed = crypto::hpke::seal(to, self.label.as_bytes(), self.aad, &padded, rng);
        let (enc, ciphertext) = sealed.map_err(|BadPublicKey| SealError::BadKey)?;
        Ok([enc.as_slice(), &ciphertext].concat())
    }

    /// Opens what [`Context::seal`] made; wrong key, altered bytes and other padding are one failure.
    pub(super) fn open(&self, secret: &DhSecret, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (enc, ciphertext) = sealed.split_first_chunk::<{ DhPublic::LEN }>()?;
        let padded = crypto::hpke::open(secret, enc, self.label.as_bytes(), self.aad, ciphertext).ok()?;
        padding::unpad(&padded, |len| self.bucket(len)).map(|content| Zeroizing::new(content.to_vec()))
    }

    fn bucket(&self, len: usize) -> Option<usize> {
        len.checked_next_multiple_of(INVITE_PAD).filter(|bucket| *bucket <= self.max)
    }
}
