//! A device's own keys: made on it, never leaving it. Must not know which account admits it.

use crate::{
    DeviceId,
    crypto::{
        Secret,
        dh::{BadPublicKey, DhPublic, DhSecret},
        label,
        sign::{SigningKey, VerifyingKey},
    },
    wire::Transcript,
};
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use std::fmt;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// A device's private keys: one to sign with, one for the handshake's Diffie-Hellman.
#[derive(Clone)]
pub struct DeviceSecrets {
    sign: SigningKey,
    dh: DhSecret,
    info: DeviceInfo,
}

impl DeviceSecrets {
    /// Draws new keys.
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        Self::with_keys(SigningKey::random(rng), DhSecret::random(rng))
    }

    /// Joins two keys.
    pub(super) fn with_keys(sign: SigningKey, dh: DhSecret) -> Self {
        let info = DeviceInfo::new(sign.public(), dh.public());
        Self { sign, dh, info }
    }

    /// Returns the identifier, the hash of the public keys.
    pub const fn id(&self) -> DeviceId {
        self.info.id
    }

    /// Returns the public half.
    pub const fn info(&self) -> &DeviceInfo {
        &self.info
    }

    /// Returns the signing key.
    pub const fn sign(&self) -> &SigningKey {
        &self.sign
    }

    /// Returns the Diffie-Hellman key.
    pub const fn dh(&self) -> &DhSecret {
        &self.dh
    }

    /// Returns the form for a sealed row; it is in no backup: a restored backup is a new device.
    pub fn to_stored(&self) -> StoredDevice {
        StoredDevice { sign: *self.sign.seed().as_bytes(), dh: *self.dh.to_bytes().as_bytes() }
    }

    /// Takes back what a sealed row held.
    pub fn from_stored(stored: &StoredDevice) -> Self {
        Self::with_keys(SigningKey::from_seed(&Secret::new(stored.sign)), DhSecret::from_bytes(stored.dh))
    }
}

impl fmt::Debug for DeviceSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sign: _, dh: _, info } = self;
        f.debug_struct("DeviceSecrets").field("info", info).finish_non_exhaustive()
    }
}

/// A device's keys as a row that the store seals: wiped on drop, silent in `Debug`.
#[derive(Clone, Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
pub struct StoredDevice {
    sign: [u8; 32],
    dh: [u8; 32],
}

impl fmt::Debug for StoredDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sign: _, dh: _ } = self;
        f.write_str("StoredDevice(..)")
    }
}

/// A device as others see it; its keys are canonical and of prime order by their types.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceInfo {
    /// Hash of the two keys.
    pub id: DeviceId,
    /// What the device signs with.
    pub sign_pk: VerifyingKey,
    /// What handshakes agree with.
    pub dh_pk: DhPublic,
}

impl DeviceInfo {
    /// Names the device that has these keys (R-ID-2).
    pub fn new(sign_pk: VerifyingKey, dh_pk: DhPublic) -> Self {
        let hash = Transcript::new(label::DEVICE_ID).field(sign_pk.as_bytes()).field(dh_pk.as_bytes()).sha256();
        Self { id: DeviceId::from_bytes(hash), sign_pk, dh_pk }
    }

    /// Accepts keys from outside.
    pub fn parse(sign_pk: &[u8], dh_pk: &[u8]) -> Result<Self, BadPublicKey> {
        Ok(Self::new(VerifyingKey::parse(sign_pk)?, DhPublic::parse(dh_pk)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

    #[test]
    fn r_id_2_the_identifier_depends_on_both_keys() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let (a, b) = (DeviceSecrets::generate(&mut rng), DeviceSecrets::generate(&mut rng));
        let mixed = DeviceInfo::new(a.info().sign_pk, b.info().dh_pk);
        assert!(a.id() != b.id() && mixed.id != a.id() && mixed.id != b.id());
        let parsed = DeviceInfo::parse(a.info().sign_pk.as_bytes(), a.info().dh_pk.as_bytes()).unwrap();
        assert_eq!(&parsed, a.info());
    }

    #[test]
    fn weak_keys_are_no_device() {
        let a = DeviceSecrets::generate(&mut ChaCha20Rng::seed_from_u64(1));
        let mut identity = [0; 32];
        identity[0] = 1;
        assert!(DeviceInfo::parse(&identity, a.info().dh_pk.as_bytes()).is_err());
        assert!(DeviceInfo::parse(a.info().sign_pk.as_bytes(), &[0; 32]).is_err());
        assert!(DeviceInfo::parse(a.info().sign_pk.as_bytes(), &[0xff; 32]).is_err());
    }

    #[test]
    fn the_stored_form_restores_and_debug_shows_no_secret() {
        let a = DeviceSecrets::generate(&mut ChaCha20Rng::seed_from_u64(1));
        let back = DeviceSecrets::from_stored(&a.to_stored());
        assert_eq!(back.info(), a.info());
        assert_eq!(format!("{:?}", a.to_stored()), "StoredDevice(..)");
    }
}
