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
pub use payload::{Introduction, Payload};
pub use seal::SealStep;
pub use sessions::{Sessions, Status};
pub use stored::{BadStored, StoredSessions};

use crate::{
    AccountId, DeviceId, SessionId,
    crypto::{
        dh::{DhPublic, DhSecret},
        kem::{KemPublic, KemSecret},
    },
};

/// The suite spoken: X25519, ML-KEM-768, HKDF-SHA-256, AES-256-GCM. A higher number is a better suite.
pub const SUITE: u32 = 1;

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

impl LocalDevice<'_> {
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

/// The private halves of what our bundles offered.
#[derive(Clone, Debug)]
pub struct OwnPrekey {
    /// Of the signed X25519 prekey.
    pub dh: DhSecret,
    /// Of the signed ML-KEM prekey.
    pub kem: KemSecret,
}

/// What opening a first message asks of our own keys and memory.
pub trait OwnKeys {
    /// Returns the signed prekeys of an id while they are kept.
    fn signed_prekey(&self, id: u32) -> Option<OwnPrekey>;

    /// Returns a one-time key of an id while it was not used.
    fn one_time(&self, id: u32) -> Option<DhSecret>;

    /// Says whether a first message of this session was accepted before ([`Begun::session`]).
    fn seen(&self, session: &SessionId) -> bool;
}
