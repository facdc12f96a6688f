//! Pairwise sessions: handshake, Double Ratchet and ML-KEM rekeying between two devices, as a pure state machine.
//! Must not know envelopes' transport, storage, or what the payload says.
//!
//! [`Sessions`] holds everything shared with one peer device. [`Sessions::initiate`], [`Sessions::seal`] and
//! [`Sessions::open`] take `&self` and return a step with the state after it: on an error nothing has moved, and what is
//! sent or shown waits for the commit of the new state.

mod chain;
mod handshake;
mod header;
mod inbound;
pub mod open;
mod opened;
mod own_keys;
pub mod payload;
mod pq_step;
mod ratchet;
mod root;
pub mod seal;
mod sessions;
mod skipped;
mod stored;

#[cfg(test)]
pub(crate) mod tests;

pub use inbound::Inbound;
pub use open::{Begun, OpenStep, StrangerStep};
pub use own_keys::{OwnKeys, OwnPrekey};
pub use payload::{Introduction, Payload};
pub use seal::SealStep;
pub use sessions::{Sessions, Status};
pub use stored::{BadStored, StoredSessions};

use crate::{
    AccountId, DeviceId, SessionId,
    crypto::{
        dh::{DhPublic, DhSecret},
        kem::KemPublic,
    },
    identity::{DeviceInfo, DeviceSecrets},
    prekey::{Bundle, HandedKey},
};

/// This device as a session needs it.
#[derive(Clone, Copy, Debug)]
pub struct LocalDevice<'a> {
    /// Its account.
    pub account: AccountId,
    /// Its id.
    pub device: DeviceId,
    /// Its X25519 key.
    pub dh: &'a DhSecret,
}

impl<'a> LocalDevice<'a> {
    /// Takes what a session needs of this device's secrets.
    pub fn new(account: AccountId, secrets: &'a DeviceSecrets) -> Self {
        Self { account, device: secrets.id(), dh: secrets.dh() }
    }

    /// Returns what others see of it.
    pub fn public(&self) -> PeerDevice {
        PeerDevice { account: self.account, device: self.device, dh: self.dh.public() }
    }
}

/// A peer's device: verified by its account's device log, or only claimed where the text says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerDevice {
    /// Its account.
    pub account: AccountId,
    /// Its id.
    pub device: DeviceId,
    /// Its X25519 key.
    pub dh: DhPublic,
}

impl PeerDevice {
    /// Takes a device of an account as the account's verified log has it.
    pub const fn new(account: AccountId, device: &DeviceInfo) -> Self {
        Self { account, device: device.id, dh: device.dh_pk }
    }
}

/// The keys of a peer device that a handshake is made with: from its verified bundle, and a one-time key if there is one.
#[derive(Clone, Debug)]
pub struct PeerKeys {
    /// The suite its bundle names.
    pub suite: u32,
    /// Hash of the bundle's payload.
    pub bundle_id: [u8; 32],
    /// Names the two signed prekeys.
    pub signed_prekey_id: u32,
    /// Signed X25519 prekey.
    pub signed_prekey: DhPublic,
    /// Signed ML-KEM prekey.
    pub kem_prekey: KemPublic,
    /// A one-time key and its id.
    pub one_time: Option<(u32, DhPublic)>,
}

impl PeerKeys {
    /// Takes what a verified bundle offers, and a one-time key that the device handed us if there is one. Whether the
    /// bundle is good enough to send to is [`Bundle::check_pins`]' to say.
    pub fn new(bundle: &Bundle, one_time: Option<&HandedKey>) -> Self {
        Self {
            suite: bundle.suite(),
            bundle_id: *bundle.bundle_id(),
            signed_prekey_id: bundle.signed_prekey_id(),
            signed_prekey: *bundle.signed_prekey(),
            kem_prekey: bundle.kem_prekey().clone(),
            one_time: one_time.map(|key| (key.id, key.key)),
        }
    }
}
