//! What follows from an invite's secret, and what from its public half alone. Must not know what is sealed or signed.

use super::{InviteSecret, Slot};
use crate::{
    ChannelId, Day,
    crypto::{
        Secret,
        dh::{BadPublicKey, DhPublic, DhSecret},
        kdf::hkdf,
        label,
        sign::{SigningKey, VerifyingKey},
    },
    limits::INVITE_SLOTS,
    wire::Transcript,
};
use std::fmt;

/// An invite's private keys: what the code's holder can sign and open, and no member can (R-INV-3).
#[derive(Clone)]
pub struct InviteKeys {
    pub(super) sign: SigningKey,
    pub(super) open: DhSecret,
}

impl InviteKeys {
    pub(super) fn derive(secret: &InviteSecret, commitment: &[u8; 16]) -> Self {
        let key = |label| -> Secret<32> { hkdf(commitment, secret.as_bytes(), &Transcript::new(label).bytes()) };
        let open = DhSecret::from_bytes(*key(label::INVITE_OPEN).as_bytes());
        Self { sign: SigningKey::from_seed(&key(label::INVITE_SIGN)), open }
    }

    /// Returns the public half, which the channel's operations hold.
    pub fn public(&self) -> InvitePublic {
        InvitePublic { sign: self.sign.public(), seal: self.open.public() }
    }
}

impl fmt::Debug for InviteKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sign: _, open: _ } = self;
        f.write_str("InviteKeys(..)")
    }
}

/// An invite's public keys. Public among members: nobody else is told them, and everything that outsiders see of an invite
/// is derived from them one-way (R-INV-4).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct InvitePublic {
    /// Verifies the proofs of those who were let in by the code, and names the invite.
    pub sign: VerifyingKey,
    /// What records are sealed to that only the code opens.
    pub seal: DhPublic,
}

impl InvitePublic {
    /// Accepts both keys from an operation.
    pub fn parse(sign: &[u8], seal: &[u8]) -> Result<Self, BadPublicKey> {
        Ok(Self { sign: VerifyingKey::parse(sign)?, seal: DhPublic::parse(seal)? })
    }

    /// Returns the place that a member publishes at on a day; nothing if there is no such slot.
    pub fn slot(&self, day: Day, slot: u32) -> Option<Slot> {
        let info = Transcript::new(label::INVITE_SLOT_SEED).u32(day.0).u32(slot).bytes();
        let place = || Slot::new(*self, day, slot, SigningKey::from_seed(&hkdf(&[], self.sign.as_bytes(), &info)));
        (slot < INVITE_SLOTS).then(place)
    }

    /// Derives the key that opens requests to join (R-INV-7): every member has it, relays and outsiders have not.
    pub(super) fn join_key(&self, channel: &ChannelId) -> DhSecret {
        let info = Transcript::new(label::INVITE_JOIN_KEY).bytes();
        let key: Secret<32> = hkdf(channel.as_bytes(), self.sign.as_bytes(), &info);
        DhSecret::from_bytes(*key.as_bytes())
    }

    /// Computes the mark of a request that is sealed like this.
    pub(super) fn join_mark(&self, sealed: &[u8]) -> [u8; 16] {
        let enc = sealed.get(..DhPublic::LEN).unwrap_or(sealed);
        let info = Transcript::new(label::INVITE_JOIN_MARK).field(enc).bytes();
        let mark: Secret<16> = hkdf(&[], self.sign.as_bytes(), &info);
        *mark.as_bytes()
    }
}

impl fmt::Debug for InvitePublic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sign: _, seal: _ } = self;
        f.write_str("InvitePublic(..)")
    }
}
