//! The proof that somebody was let in by a code: the invite key's signature over one channel and one joiner's keys. It goes
//! into the operation that admits, where every member verifies it. Must not know how it travels.

use super::InviteKeys;
use crate::{
    AccountId, ChannelId, DeviceId,
    crypto::{
        kdf::sha256,
        label,
        sign::{BadSignature, Signature, VerifyingKey},
    },
    wire::Transcript,
};

/// Who joins what, with which keys: all that a proof stands for (R-INV-6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Joiner<'a> {
    /// Which channel.
    pub channel: &'a ChannelId,
    /// Whose.
    pub account: &'a AccountId,
    /// Which device of theirs.
    pub device: &'a DeviceId,
    /// What the channel's keys are sealed to.
    pub leaf_key: &'a [u8],
    /// Names the request: an operation that repeats one is not another admission.
    pub nonce: &'a [u8; 16],
}

impl Joiner<'_> {
    /// Reduces to what an operation keeps: the leaf key by its hash.
    pub fn claim(&self) -> Claim {
        let Self { channel, account, device, leaf_key, nonce } = *self;
        Claim { channel: *channel, account: *account, device: *device, leaf: sha256(&[leaf_key]), nonce: *nonce }
    }

    /// Signs with the invite's key.
    pub fn prove(&self, keys: &InviteKeys) -> Signature {
        keys.sign.sign(label::INVITE_PROOF, &self.claim().statement())
    }

    /// Verifies under the invite's public key: for another channel, person, device, key or request it is worth nothing.
    pub fn verify(&self, invite: &VerifyingKey, proof: &Signature) -> Result<(), BadSignature> {
        self.claim().verify(invite, proof)
    }
}

/// What a proof stands for, as an operation keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Which channel.
    pub channel: ChannelId,
    /// Whose.
    pub account: AccountId,
    /// Which device of theirs.
    pub device: DeviceId,
    /// Hash of its leaf key.
    pub leaf: [u8; 32],
    /// Names the request.
    pub nonce: [u8; 16],
}

impl Claim {
    /// Verifies under the invite's public key.
    pub fn verify(&self, invite: &VerifyingKey, proof: &Signature) -> Result<(), BadSignature> {
        invite.verify(label::INVITE_PROOF, &self.statement(), proof)
    }

    fn statement(&self) -> Vec<u8> {
        let Self { channel, account, device, leaf, nonce } = self;
        let transcript = Transcript::new(label::INVITE_PROOF).field(channel.as_bytes()).field(account.as_bytes());
        transcript.field(device.as_bytes()).field(leaf).field(nonce).bytes()
    }
}
