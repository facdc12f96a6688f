//! Making operations: only ones that are valid where they will stand leave here. Must not know how they travel.

use super::{Act, DeviceLog, Error, Issuer, Op, OpId, op, state};
use crate::{
    AccountId, DeviceId, Timestamp,
    crypto::{
        label,
        sign::{Signature, VerifyingKey},
    },
    identity::{Account, DeviceInfo, DeviceSecrets},
    limits::{DEVICE_LOG_ISSUED_MAX, DEVICE_LOG_MAX},
    wire::{Signed, Transcript},
};

/// Whose key signs an operation.
#[derive(Clone, Copy, Debug)]
pub enum Signer<'a> {
    /// The account's root.
    Root(&'a Account),
    /// One of its devices.
    Device(&'a DeviceSecrets),
}

/// Where in which log an operation stands; proofs of possession are bound to it, so that none can be used elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Whose log.
    pub account: AccountId,
    /// Number of the operation.
    pub number: u64,
    /// Its predecessor.
    pub previous: [u8; 32],
}

impl Place {
    pub(super) const fn first(account: AccountId) -> Self {
        Self { account, number: 0, previous: *account.as_bytes() }
    }

    fn transcript(&self, label: &'static str) -> Transcript {
        Transcript::new(label).field(self.account.as_bytes()).u64(self.number).field(&self.previous)
    }

    /// Gives what a new device signs to show that it holds its keys and agrees to be admitted here with these rights.
    pub(super) fn admission(&self, device: &DeviceInfo, can_manage: bool) -> Vec<u8> {
        let keys = self.transcript(label::DEVICE_PROOF).field(device.sign_pk.as_bytes()).field(device.dh_pk.as_bytes());
        keys.u32(u32::from(can_manage)).bytes()
    }

    /// Gives what a new root signs to show that its holder has the key.
    pub(super) fn new_root(&self, root: &VerifyingKey) -> Vec<u8> {
        self.transcript(label::ROOT_PROOF).field(root.as_bytes()).bytes()
    }
}

/// Signs, on the new device, that it holds its keys and agrees to be admitted at this place with these rights.
pub fn prove_admission(place: &Place, device: &DeviceSecrets, can_manage: bool) -> Signature {
    device.sign().sign(label::DEVICE_PROOF, &place.admission(device.info(), can_manage))
}

impl DeviceLog {
    /// Returns where the next operation will stand.
    pub const fn next_place(&self) -> Place {
        let head = self.head();
        Place { account: self.account(), number: head.len, previous: head.hash }
    }

    /// Makes the operation that admits a device which proved itself for [`DeviceLog::next_place`].
    pub fn admit(
        &self,
        by: Signer<'_>,
        device: &DeviceInfo,
        can_manage: bool,
        proof: Signature,
        now: Timestamp,
    ) -> Result<Signed, Error> {
        self.issue(by, Act::Add { device: device.clone(), can_manage, proof }, now)
    }

    /// Makes the operation that revokes a device. By the root it overrules whatever else follows the same predecessor,
    /// and it is possible while the account is frozen.
    pub fn revoke(&self, by: Signer<'_>, device: &DeviceId, now: Timestamp) -> Result<Signed, Error> {
        self.issue(by, Act::Revoke { device: *device }, now)
    }

    /// Makes the operation that changes how many devices the account may have.
    pub fn set_limit(&self, by: Signer<'_>, devices: u32, now: Timestamp) -> Result<Signed, Error> {
        self.issue(by, Act::SetLimit { devices }, now)
    }

    /// Makes the operation that lets a device manage others, or no longer.
    pub fn set_trust(
        &self,
        by: Signer<'_>,
        device: &DeviceId,
        can_manage: bool,
        now: Timestamp,
    ) -> Result<Signed, Error> {
        self.issue(by, Act::SetTrust { device: *device, can_manage }, now)
    }

    /// Makes the operation that replaces the root; the next root proves itself in it.
    pub fn rotate_root(&self, root: &Account, next: &Account, now: Timestamp) -> Result<Signed, Error> {
        let public = next.root_public();
        let proof = next.root().sign(label::ROOT_PROOF, &self.next_place().new_root(&public));
        self.issue(Signer::Root(root), Act::RotateRoot { root: public, proof }, now)
    }

    /// Makes the operation that lifts a freeze: it names every contradicting operation and follows the one to keep.
    pub fn lift(&self, root: &Account, keep: &OpId, now: Timestamp) -> Result<Signed, Error> {
        let kept = self.fork.iter().find(|op| op.id() == keep).ok_or(Error::BadLift)?;
        let mut ops: Vec<OpId> = self.fork.iter().map(|op| *op.id()).collect();
        ops.sort();
        let state = self.state.apply(kept, state::Signature::Known, now)?;
        let place = Place { account: self.account(), number: state.len(), previous: *state.head() };
        let signed = sign(&place, Signer::Root(root), Act::Lift { ops }, now);
        state.apply(&Op::decode(&signed)?, state::Signature::Unchecked, now)?;
        Ok(signed)
    }

    fn issue(&self, by: Signer<'_>, act: Act, now: Timestamp) -> Result<Signed, Error> {
        let revokes = matches!(act, Act::Revoke { .. });
        if self.is_frozen() && !(revokes && matches!(by, Signer::Root(_))) {
            return Err(Error::Frozen);
        }
        let signed = sign(&self.next_place(), by, act, now);
        self.state.apply(&Op::decode(&signed)?, state::Signature::Unchecked, now)?;
        // Revoking must stay possible when nothing else is.
        let max = if revokes { DEVICE_LOG_MAX } else { DEVICE_LOG_ISSUED_MAX };
        let len = self.chain.iter().map(Op::encoded_len).sum::<usize>().saturating_add(signed.encode().len());
        if len > max { Err(Error::Full) } else { Ok(signed) }
    }
}

/// Signs an operation, valid or not.
pub(super) fn sign(place: &Place, by: Signer<'_>, act: Act, now: Timestamp) -> Signed {
    let (issuer, key) = match by {
        Signer::Root(account) => (Issuer::Root, account.root()),
        Signer::Device(device) => (Issuer::Device(device.id()), device.sign()),
    };
    Signed::sign(label::DEVICE_OP, op::payload(place.number, &place.previous, &issuer, now, &act), key)
}
