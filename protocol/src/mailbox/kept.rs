//! A descriptor as a relay keeps it: the same record as in the DHT, sealed once more under a name that only holders of the
//! contact code can compute, and that no two relays have in common. Must not know what a descriptor says.

use crate::{
    AccountId, KeptId,
    crypto::{Secret, aead, kdf::hkdf, label},
    identity::ReachSecret,
    limits::DESCRIPTOR_MAX,
    wire::Transcript,
};
use rand_core::CryptoRng;

/// The place of one device's descriptor at one relay.
#[derive(Clone, Copy, Debug)]
pub struct KeptSlot<'a> {
    /// Whose.
    pub account: &'a AccountId,
    /// The contact code's secret.
    pub reach: &'a ReachSecret,
    /// The relay's transport name: a link's hint names it, so that nothing else need be known.
    pub peer: &'a str,
    /// Which device.
    pub slot: u32,
}

impl KeptSlot<'_> {
    /// Names it (R-MBX-6).
    pub fn id(&self) -> KeptId {
        KeptId::from_bytes(*self.derive(label::KEPT_ID).as_bytes())
    }

    fn derive(&self, label: &'static str) -> Secret<32> {
        let info = Transcript::new(label).field(self.peer.as_bytes()).u32(self.slot).bytes();
        hkdf(self.reach.as_bytes(), self.account.as_bytes(), &info)
    }

    /// Opens what a relay gave; nothing if it is not what the account's device left there.
    pub fn open(&self, sealed: &[u8]) -> Option<Vec<u8>> {
        let record = aead::open_random(&self.derive(label::KEPT_KEY), self.id().as_bytes(), sealed).ok()?;
        Some(record.to_vec()).filter(|record| record.len() <= DESCRIPTOR_MAX)
    }
}

/// Seals a record for a relay to keep.
pub fn seal_kept(slot: &KeptSlot<'_>, record: &[u8], rng: &mut impl CryptoRng) -> Vec<u8> {
    aead::seal_random(&slot.derive(label::KEPT_KEY), slot.id().as_bytes(), record, rng)
}
