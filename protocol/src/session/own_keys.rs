//! What opening a first message asks of this device's own keys and memory. Must not know how they are kept.

use crate::{
    SessionId,
    crypto::{dh::DhSecret, kem::KemSecret},
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
