//! What opening a first message asks of this device's own keys and memory. Must not know how they are kept.

use crate::{
    SessionId, Timestamp,
    crypto::{dh::DhSecret, kem::KemSecret},
    prekey::{OneTimeKeys, PrekeyPool},
};

/// The private halves of what our bundles offered.
#[derive(Clone, Debug)]
pub struct OwnPrekey {
    /// Of the signed X25519 prekey.
    pub dh: DhSecret,
    /// Of the signed ML-KEM prekey.
    pub kem: KemSecret,
}

/// Answers for our own keys while a message is opened.
pub trait OwnKeys {
    /// Returns the signed prekeys of an id while they are kept.
    fn signed_prekey(&self, id: u32) -> Option<OwnPrekey>;

    /// Returns a one-time key of an id while it was not used.
    fn one_time(&self, id: u32) -> Option<DhSecret>;

    /// Says whether a first message of this session was accepted before ([`Begun::session`](super::Begun::session)).
    fn seen(&self, session: &SessionId) -> bool;
}

/// The keys as this device keeps them: its pool, and the one-time keys it handed to the device that writes.
#[derive(Clone, Copy, Debug)]
pub struct PoolKeys<'a> {
    /// Prekeys and remembered first messages.
    pub pool: &'a PrekeyPool,
    /// One-time keys with the device that the message claims to come from, if there are any.
    pub one_time: Option<&'a OneTimeKeys>,
    /// When it is.
    pub now: Timestamp,
}

impl OwnKeys for PoolKeys<'_> {
    fn signed_prekey(&self, id: u32) -> Option<OwnPrekey> {
        let keys = self.pool.by_id(id)?;
        Some(OwnPrekey { dh: keys.signed_prekey().clone(), kem: keys.kem_prekey().clone() })
    }

    fn one_time(&self, id: u32) -> Option<DhSecret> {
        self.one_time?.ours(id, self.now).cloned()
    }

    fn seen(&self, session: &SessionId) -> bool {
        self.pool.seen_initial(session)
    }
}
