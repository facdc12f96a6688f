//! The blinded daily key: a key that the account's root can sign with on one day, that whoever holds the contact code can
//! compute, and that nobody else can link to the account or to another day. The one file that may use `hazmat`.

use super::{Signature, SigningKey, VerifyingKey, message};
use crate::crypto::{kdf::sha512, label};
use crate::time::Day;
use curve25519_dalek::{constants::ED25519_BASEPOINT_POINT, edwards::EdwardsPoint, scalar::Scalar};
use ed25519_dalek::hazmat::{ExpandedSecretKey, raw_sign};
use sha2::Sha512;
use std::fmt;
use zeroize::Zeroizing;

/// Signs with the root's blinded key of one day. Holds h·a, which together with the contact code *is* the root: it stays
/// with the holder of the root, who hands out certificates only.
pub struct BlindedSigner {
    expanded: ExpandedSecretKey,
    public: VerifyingKey,
}

impl BlindedSigner {
    /// Blinds the root key for one day.
    pub fn new(root: &SigningKey, reach: &[u8; 16], day: Day) -> Self {
        let of_root = ExpandedSecretKey::from(&*Zeroizing::new(root.0.to_bytes()));
        let factor = factor(&root.public(), reach, day);
        // Never the root's own prefix: two signatures of one r over one text under related keys give the root away.
        let hashed = Zeroizing::new(sha512(&[label::BLIND_PREFIX.as_bytes(), &of_root.hash_prefix, factor.as_bytes()]));
        let hash_prefix = *hashed.first_chunk::<32>().unwrap_or(&[0; 32]);
        let expanded = ExpandedSecretKey { scalar: factor * of_root.scalar, hash_prefix };
        let public = VerifyingKey(from_point(&(expanded.scalar * ED25519_BASEPOINT_POINT), &root.public()));
        Self { expanded, public }
    }

    /// Returns the day's public key, the same that [`blind_public`] computes.
    pub const fn public(&self) -> VerifyingKey {
        self.public
    }

    /// Signs label ‖ 0x00 ‖ payload; the signature verifies like any other.
    pub fn sign(&self, label: &str, payload: &[u8]) -> Signature {
        Signature(raw_sign::<Sha512>(&self.expanded, &message(label, payload), &self.public.0).to_bytes())
    }
}

impl fmt::Debug for BlindedSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { expanded: _, public } = self;
        f.debug_struct("BlindedSigner").field("public", public).finish_non_exhaustive()
    }
}

/// Computes the account's public key of one day, as a reader who holds the contact code does.
pub fn blind_public(account: &VerifyingKey, reach: &[u8; 16], day: Day) -> VerifyingKey {
    VerifyingKey(from_point(&(factor(account, reach, day) * account.0.to_edwards()), account))
}

/// Reduces SHA-512(label ‖ account ‖ reach ‖ day) to the factor h (all fields of fixed length; day big-endian).
fn factor(account: &VerifyingKey, reach: &[u8; 16], day: Day) -> Scalar {
    let hash =
        Zeroizing::new(sha512(&[label::BLIND_FACTOR.as_bytes(), account.as_bytes(), reach, &day.0.to_be_bytes()]));
    let h = Scalar::from_bytes_mod_order_wide(&hash);
    // One chance in 2^252; zero would blind every account to the same point.
    if h == Scalar::ZERO { Scalar::ONE } else { h }
}

/// Encodes the point of prime order; it never fails to decode again, and if it did, the unblinded key verifies nothing.
fn from_point(point: &EdwardsPoint, otherwise: &VerifyingKey) -> ed25519_dalek::VerifyingKey {
    ed25519_dalek::VerifyingKey::from_bytes(&point.compress().to_bytes()).unwrap_or(otherwise.0)
}

#[cfg(test)]
mod tests;
