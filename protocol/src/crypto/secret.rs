//! Secret bytes that are wiped when dropped, compared in constant time and never printed or serialised.

use rand_core::CryptoRng;
use std::fmt;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Holds `N` secret bytes: zeroised on drop, compared in constant time, without a `Serialize`, silent in `Debug`.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Secret<const N: usize>([u8; N]);

impl<const N: usize> Secret<N> {
    /// Wraps bytes that are secret from now on.
    pub const fn new(bytes: [u8; N]) -> Self {
        Self(bytes)
    }

    /// Draws fresh bytes.
    pub fn random(rng: &mut impl CryptoRng) -> Self {
        let mut secret = Self([0; N]);
        rng.fill_bytes(&mut secret.0);
        secret
    }

    /// Copies a slice if it has the right length.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        <[u8; N]>::try_from(bytes).ok().map(Self)
    }

    /// Returns the bytes themselves, for a primitive or for a row that is sealed at once.
    pub const fn as_bytes(&self) -> &[u8; N] {
        &self.0
    }
}

impl<const N: usize> ConstantTimeEq for Secret<N> {
    fn ct_eq(&self, other: &Self) -> subtle::Choice {
        self.0.ct_eq(&other.0)
    }
}

impl<const N: usize> PartialEq for Secret<N> {
    fn eq(&self, other: &Self) -> bool {
        self.ct_eq(other).into()
    }
}

impl<const N: usize> Eq for Secret<N> {}

impl<const N: usize> fmt::Debug for Secret<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(_) = self;
        write!(f, "Secret<{N}>(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r_crypto_8_debug_prints_no_byte_of_it() {
        assert_eq!(format!("{:?}", Secret::new([0xab; 32])), "Secret<32>(..)");
    }

    #[test]
    fn equality_sees_every_byte() {
        let a = Secret::new([1; 32]);
        for i in 0..32 {
            let mut other = [1; 32];
            other[i] ^= 0x80;
            assert_ne!(a, Secret::new(other));
        }
        assert_eq!(a, a.clone());
        assert_eq!(Secret::<32>::from_slice(&[0; 31]), None);
    }
}
