//! The root key and its steps: each new Diffie-Hellman result, alone or with an ML-KEM secret, gives a chain key.
//! Must not know messages.

use super::chain::ChainKey;
use crate::crypto::{Secret, kdf::hkdf, label};
use zeroize::Zeroizing;

/// A root key: 32 bytes, replaced at every ratchet step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RootKey(Secret<32>);

/// What an ML-KEM step adds to a root step.
pub(super) struct PqShare {
    /// The encapsulated secret.
    pub(super) secret: Secret<32>,
    /// SHA-256 over public key and ciphertext, so that no other pair stands for the same step.
    pub(super) binding: [u8; 32],
}

impl RootKey {
    /// Takes the result of a handshake or a stored row.
    pub(super) const fn new(key: Secret<32>) -> Self {
        Self(key)
    }

    /// Returns the 32 bytes to store.
    pub(super) const fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// Makes a root step (Double Ratchet specification, KDF_RK): HKDF-SHA-256 with the root key as salt and the
    /// Diffie-Hellman result, followed by the ML-KEM secret if there is one, as input.
    pub(super) fn step(&self, dh: &Secret<32>, pq: Option<&PqShare>) -> (Self, ChainKey) {
        let mut input = Zeroizing::new(dh.as_bytes().to_vec());
        let mut info = label::RATCHET_ROOT.as_bytes().to_vec();
        if let Some(share) = pq {
            // Reserve first: growing would leave an unwiped copy behind.
            input = Zeroizing::new([dh.as_bytes().as_slice(), share.secret.as_bytes()].concat());
            info = [label::RATCHET_ROOT_PQ.as_bytes(), &share.binding].concat();
        }
        let okm: Secret<64> = hkdf(self.0.as_bytes(), &input, &info);
        let (root, chain) = halves(&okm);
        (Self(root), ChainKey::new(chain))
    }
}

/// Splits 64 bytes in two secrets.
fn halves(okm: &Secret<64>) -> (Secret<32>, Secret<32>) {
    let (mut first, mut second) = (Zeroizing::new([0; 32]), Zeroizing::new([0; 32]));
    for (to, from) in first.iter_mut().chain(second.iter_mut()).zip(okm.as_bytes()) {
        *to = *from;
    }
    (Secret::new(*first), Secret::new(*second))
}
