//! The symmetric ratchet: a chain key gives one message seed and the next chain key, and forgets itself.
//! Must not know headers, sessions or which side it is on.

use crate::crypto::{
    Secret, aead,
    aead::NotAuthentic,
    kdf::{hkdf, hmac, sha256},
    label,
};
use zeroize::Zeroizing;

/// Length of the random salt that every header carries, in bytes.
pub(super) const SALT_LEN: usize = 16;

/// A chain key: 32 bytes, replaced at every message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ChainKey(Secret<32>);

impl ChainKey {
    /// Takes a chain key out of a root step or a stored row.
    pub(super) const fn new(key: Secret<32>) -> Self {
        Self(key)
    }

    /// Returns the 32 bytes to store.
    pub(super) const fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// Moves the chain on by one message and returns that message's seed (Double Ratchet specification, KDF_CK:
    /// HMAC-SHA-256 over 0x01 and 0x02).
    pub(super) fn advance(&mut self) -> MessageSeed {
        #[cfg(test)]
        super::tests::hooks::count_chain_step();
        let seed = MessageSeed(hmac(self.0.as_bytes(), &[&[0x01]]));
        self.0 = hmac(self.0.as_bytes(), &[&[0x02]]);
        seed
    }
}

/// What one message's key is derived from; used once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct MessageSeed(Secret<32>);

impl MessageSeed {
    /// Takes a stored seed.
    pub(super) const fn new(seed: Secret<32>) -> Self {
        Self(seed)
    }

    /// Returns the 32 bytes to store.
    pub(super) const fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// Seals one message with AES-256-GCM. The salt must be freshly drawn: it keeps key and nonce apart from those of
    /// a copy of this state that was put back and used again.
    pub(super) fn seal(&self, salt: &[u8; SALT_LEN], ad: &[u8], plaintext: &[u8]) -> Vec<u8> {
        let (key, nonce) = self.key(salt, ad);
        #[cfg(test)]
        super::tests::hooks::note_sealing(&key, &nonce);
        aead::seal(&key, &nonce, ad, plaintext)
    }

    /// Opens one message.
    pub(super) fn open(
        &self,
        salt: &[u8; SALT_LEN],
        ad: &[u8],
        ciphertext: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, NotAuthentic> {
        let (key, nonce) = self.key(salt, ad);
        aead::open(&key, &nonce, ad, ciphertext)
    }

    /// Derives key and nonce: HKDF-SHA-256 with the salt, and the hash of the associated data in the info.
    fn key(&self, salt: &[u8; SALT_LEN], ad: &[u8]) -> (Secret<32>, [u8; 12]) {
        let info = [label::RATCHET_MESSAGE.as_bytes(), &sha256(&[ad])].concat();
        let okm: Secret<44> = hkdf(salt, self.0.as_bytes(), &info);
        let (mut key, mut nonce) = (Zeroizing::new([0; 32]), [0; 12]);
        for (to, from) in key.iter_mut().chain(nonce.iter_mut()).zip(okm.as_bytes()) {
            *to = *from;
        }
        (Secret::new(*key), nonce)
    }
}
