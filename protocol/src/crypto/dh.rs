//! X25519 with keys parsed strictly and results that are contributory by their type.

use super::Secret;
use curve25519_dalek::montgomery::MontgomeryPoint;
use rand_core::CryptoRng;
use std::fmt;
use x25519_dalek::{PublicKey, StaticSecret};

/// The public key is of low order, so that the result would not depend on our secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("weak public key")]
pub struct WeakPublicKey;

/// The bytes are no public key of the kind expected: wrong length, not canonical, weak, off the curve or with torsion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an acceptable public key")]
pub struct BadPublicKey;

/// An X25519 private key: wiped on drop, never printed.
#[derive(Clone)]
pub struct DhSecret(StaticSecret);

impl DhSecret {
    /// Draws a new key.
    pub fn random(rng: &mut impl CryptoRng) -> Self {
        Self::from_bytes(*Secret::<32>::random(rng).as_bytes())
    }

    /// Takes the 32 bytes of a stored key.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(StaticSecret::from(bytes))
    }

    /// Returns the 32 bytes to store.
    pub fn to_bytes(&self) -> Secret<32> {
        Secret::new(self.0.to_bytes())
    }

    /// Returns the public half.
    pub fn public(&self) -> DhPublic {
        DhPublic(PublicKey::from(&self.0).to_bytes())
    }

    /// Agrees on a secret with the holder of `theirs`; refuses a key that leaves the result without our contribution
    /// (RFC 7748 section 6.1).
    pub fn agree(&self, theirs: &DhPublic) -> Result<Secret<32>, WeakPublicKey> {
        let shared = self.0.diffie_hellman(&PublicKey::from(theirs.0));
        if shared.was_contributory() { Ok(Secret::new(shared.to_bytes())) } else { Err(WeakPublicKey) }
    }
}

impl fmt::Debug for DhSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(_) = self;
        f.write_str("DhSecret(..)")
    }
}

/// An X25519 public key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DhPublic([u8; 32]);

impl DhPublic {
    /// Length in bytes.
    pub const LEN: usize = 32;

    /// Accepts a long-lived or handshake key: 32 bytes, canonical, on the curve, of the prime order (R-CRYPTO-3).
    pub fn parse(bytes: &[u8]) -> Result<Self, BadPublicKey> {
        let bytes = <[u8; 32]>::try_from(bytes).map_err(|_| BadPublicKey)?;
        if !is_canonical(&bytes) {
            return Err(BadPublicKey);
        }
        let point = MontgomeryPoint(bytes).to_edwards(0).ok_or(BadPublicKey)?;
        if point.is_small_order() || !point.is_torsion_free() {
            return Err(BadPublicKey);
        }
        Ok(Self(bytes))
    }

    /// Takes a ratchet key as it came: it is bound as raw bytes by the associated data, and [`DhSecret::agree`] refuses
    /// it if it is weak. For nothing else.
    pub const fn raw(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Returns the 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for DhPublic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DhPublic({:02x?}..)", self.0.first_chunk::<4>().unwrap_or(&[0; 4]))
    }
}

/// Says whether the little-endian number lies below the field's prime 2^255 - 19, with the unused high bit clear.
fn is_canonical(bytes: &[u8; 32]) -> bool {
    const PRIME: [u8; 32] = {
        let mut p = [0xff; 32];
        p[0] = 0xed;
        p[31] = 0x7f;
        p
    };
    bytes.iter().rev().lt(PRIME.iter().rev())
}

#[cfg(test)]
mod hostile_test;

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

    #[test]
    fn r_crypto_4_both_sides_agree_and_every_made_key_parses() {
        let mut rng = ChaCha20Rng::seed_from_u64(3);
        for _ in 0..20 {
            let (a, b) = (DhSecret::random(&mut rng), DhSecret::random(&mut rng));
            assert_eq!(a.agree(&b.public()).unwrap(), b.agree(&a.public()).unwrap());
            assert_eq!(DhPublic::parse(a.public().as_bytes()), Ok(a.public()));
            assert_eq!(DhSecret::from_bytes(*a.to_bytes().as_bytes()).public(), a.public());
        }
    }
}
