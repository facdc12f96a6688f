//! ML-KEM-768 (FIPS 203), the quantum-safe half of the handshake and of the rekey step.

use super::{Secret, dh::BadPublicKey};
use ml_kem::{
    DecapsulationKey768, EncapsulationKey768,
    kem::{Decapsulate, Encapsulate, KeyExport},
};
use rand_core::CryptoRng;
use std::fmt;

/// An ML-KEM-768 private key, kept as its 64-byte seed (d ‖ z), which has no malformed forms.
#[derive(Clone)]
pub struct KemSecret(Secret<64>);

impl KemSecret {
    /// Draws a new key.
    pub fn random(rng: &mut impl CryptoRng) -> Self {
        Self(Secret::random(rng))
    }

    /// Takes a stored seed.
    pub const fn from_seed(seed: Secret<64>) -> Self {
        Self(seed)
    }

    /// Returns the seed to store.
    pub fn to_seed(&self) -> Secret<64> {
        self.0.clone()
    }

    /// Returns the public half.
    pub fn public(&self) -> KemPublic {
        KemPublic(Box::new(self.expand().encapsulation_key().clone()))
    }

    /// Opens a ciphertext. A wrong one gives an unrelated secret and no error (implicit rejection): the tag of what is
    /// sealed with it tells.
    pub fn decapsulate(&self, ciphertext: &KemCiphertext) -> Secret<32> {
        Secret::new(self.expand().decapsulate(&(*ciphertext.0).into()).into())
    }

    fn expand(&self) -> DecapsulationKey768 {
        DecapsulationKey768::from_seed((*self.0.as_bytes()).into())
    }
}

impl fmt::Debug for KemSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(_) = self;
        f.write_str("KemSecret(..)")
    }
}

/// An ML-KEM-768 public key (1184 bytes) whose coefficients were checked.
#[derive(Clone, PartialEq, Eq)]
pub struct KemPublic(Box<EncapsulationKey768>);

impl KemPublic {
    /// Length in bytes.
    pub const LEN: usize = 1184;

    /// Accepts 1184 bytes whose coefficients all lie below the modulus (FIPS 203 section 7.2).
    pub fn parse(bytes: &[u8]) -> Result<Self, BadPublicKey> {
        let bytes = bytes.try_into().map_err(|_| BadPublicKey)?;
        EncapsulationKey768::new(bytes).map(|key| Self(Box::new(key))).map_err(|_| BadPublicKey)
    }

    /// Returns the 1184 bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.to_bytes().to_vec()
    }

    /// Makes a fresh shared secret and the ciphertext that gives it to the key's holder.
    pub fn encapsulate(&self, rng: &mut impl CryptoRng) -> (KemCiphertext, Secret<32>) {
        let (ciphertext, shared) = self.0.encapsulate_with_rng(rng);
        (KemCiphertext(Box::new(ciphertext.into())), Secret::new(shared.into()))
    }
}

impl fmt::Debug for KemPublic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KemPublic(..)")
    }
}

/// An ML-KEM-768 ciphertext (1088 bytes); any bytes of that length are one.
#[derive(Clone, PartialEq, Eq)]
pub struct KemCiphertext(Box<[u8; 1088]>);

impl KemCiphertext {
    /// Length in bytes.
    pub const LEN: usize = 1088;

    /// Accepts exactly 1088 bytes.
    pub fn parse(bytes: &[u8]) -> Result<Self, BadPublicKey> {
        <[u8; Self::LEN]>::try_from(bytes).map(|b| Self(Box::new(b))).map_err(|_| BadPublicKey)
    }

    /// Returns the 1088 bytes.
    pub fn as_bytes(&self) -> &[u8; 1088] {
        &self.0
    }
}

impl fmt::Debug for KemCiphertext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KemCiphertext(..)")
    }
}

#[cfg(test)]
mod hostile_test;

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

    #[test]
    fn both_sides_share_a_secret_and_the_seed_restores_the_key() {
        let mut rng = ChaCha20Rng::seed_from_u64(5);
        let secret = KemSecret::random(&mut rng);
        let public = KemPublic::parse(&secret.public().to_bytes()).unwrap();
        let (ciphertext, shared) = public.encapsulate(&mut rng);
        assert_eq!(KemSecret::from_seed(secret.to_seed()).decapsulate(&ciphertext), shared);
        let mut bent = *ciphertext.as_bytes();
        bent[7] ^= 1;
        assert_ne!(secret.decapsulate(&KemCiphertext::parse(&bent).unwrap()), shared);
    }
}
