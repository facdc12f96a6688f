//! What a chain of operations adds up to, and what each may do on top of it. Must not know forks.

use super::{Act, Error, Issuer, Op, OpId, author::Place};
use crate::{
    AccountId, DeviceId, Timestamp,
    crypto::{label, sign::VerifyingKey},
    identity::DeviceInfo,
    limits::{DEVICE_LOG_OPS_MAX, DEVICES_MAX},
};

/// A device as the log knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its keys.
    pub info: DeviceInfo,
    /// Whether it may manage others.
    pub can_manage: bool,
    /// Who admitted it.
    pub admitted_by: Issuer,
    /// Number of the operation that admitted it.
    pub number: u64,
    /// When that was, as the issuer claims, never later than the reader's own time.
    pub added: Timestamp,
    /// Its record slot: the lowest that no active device held when it was admitted.
    pub slot: u32,
    /// Number of the operation that revoked it.
    pub revoked: Option<u64>,
}

impl Member {
    /// Says whether the device speaks for the account.
    pub const fn is_active(&self) -> bool {
        self.revoked.is_none()
    }
}

/// Whether an operation's signature was verified before, where it stands now.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Signature {
    /// It is part of a verified log.
    Known,
    /// It came just now.
    Unchecked,
}

/// The state after some operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct State {
    account: AccountId,
    root: VerifyingKey,
    limit: u32,
    members: Vec<Member>,
    path: Vec<OpId>,
    head: [u8; 32],
}

impl State {
    /// Stands before the first operation: the account id is the root key, and the first predecessor.
    pub(super) fn start(account: AccountId) -> Result<Self, Error> {
        let root = VerifyingKey::parse(account.as_bytes()).map_err(|_| Error::NoAccount)?;
        let (members, path, head) = (Vec::new(), Vec::new(), *account.as_bytes());
        Ok(Self { account, root, limit: DEVICES_MAX as u32, members, path, head })
    }

    pub(super) const fn account(&self) -> AccountId {
        self.account
    }

    pub(super) const fn root(&self) -> &VerifyingKey {
        &self.root
    }

    pub(super) const fn limit(&self) -> u32 {
        self.limit
    }

    pub(super) const fn len(&self) -> u64 {
        self.path.len() as u64
    }

    pub(super) const fn head(&self) -> &[u8; 32] {
        &self.head
    }

    pub(super) fn members(&self) -> &[Member] {
        &self.members
    }

    pub(super) fn member(&self, id: &DeviceId) -> Option<&Member> {
        self.members.iter().find(|m| m.info.id == *id)
    }

    fn active(&self, id: &DeviceId) -> Option<&Member> {
        self.member(id).filter(|m| m.is_active())
    }

    /// Computes the state after `op`, or says why it may not stand here (R-ID-3, R-ID-5, R-ID-6).
    pub(super) fn apply(&self, op: &Op, signature: Signature, now: Timestamp) -> Result<Self, Error> {
        if *op.previous() != self.head {
            return Err(Error::Gap);
        }
        if op.number() != self.len() {
            return Err(Error::NotNext);
        }
        if self.path.len() >= DEVICE_LOG_OPS_MAX {
            return Err(Error::Full);
        }
        let signer = match op.issuer() {
            Issuer::Root => &self.root,
            Issuer::Device(id) => &self.active(id).ok_or(Error::IssuerNotActive)?.info.sign_pk,
        };
        if signature == Signature::Unchecked {
            op.signed().verify(label::DEVICE_OP, signer).map_err(|_| Error::BadSignature)?;
        }
        if self.path.is_empty() && !(op.is_by_root() && matches!(op.act(), Act::Add { .. })) {
            return Err(Error::NotPermitted);
        }
        let mut next = self.clone();
        next.act(op, signature, now)?;
        next.path.push(*op.id());
        next.head = *op.id().as_bytes();
        Ok(next)
    }

    fn act(&mut self, op: &Op, signature: Signature, now: Timestamp) -> Result<(), Error> {
        let issuer = op.issuer();
        match op.act() {
            Act::Add { device, can_manage, proof } => {
                let place = Place { account: self.account, number: op.number(), previous: *op.previous() };
                let statement = place.admission(device, *can_manage);
                if signature == Signature::Unchecked {
                    device.sign_pk.verify(label::DEVICE_PROOF, &statement, proof).map_err(|_| Error::BadProof)?;
                }
                if *can_manage && !self.manages(issuer) {
                    return Err(Error::NotPermitted);
                }
                self.add(op, device, *can_manage, now)
            }
            Act::Revoke { device } => {
                self.active(device).ok_or(Error::UnknownDevice)?;
                if !self.may_revoke(issuer, device) {
                    return Err(Error::NotPermitted);
                }
                let number = op.number();
                self.change(device, |m| m.revoked = Some(number));
                Ok(())
            }
            Act::SetLimit { devices } => {
                if !self.manages(issuer) || *devices == 0 || *devices > DEVICES_MAX as u32 {
                    return Err(Error::NotPermitted);
                }
                self.limit = *devices;
                Ok(())
            }
            Act::SetTrust { device, can_manage } => {
                self.active(device).ok_or(Error::UnknownDevice)?;
                if !self.manages(issuer) {
                    return Err(Error::NotPermitted);
                }
                let can_manage = *can_manage;
                self.change(device, |m| m.can_manage = can_manage);
                Ok(())
            }
            Act::RotateRoot { root, proof } => {
                let place = Place { account: self.account, number: op.number(), previous: *op.previous() };
                root.verify(label::ROOT_PROOF, &place.new_root(root), proof).map_err(|_| Error::BadProof)?;
                if !op.is_by_root() || *root == self.root {
                    return Err(Error::NotPermitted);
                }
                self.root = *root;
                Ok(())
            }
            Act::Lift { ops } => {
                let followed = ops.iter().filter(|id| self.path.contains(id)).count();
                match (op.is_by_root(), followed) {
                    (false, _) => Err(Error::NotPermitted),
                    (true, 1) => Ok(()),
                    (true, _) => Err(Error::BadLift),
                }
            }
        }
    }

    fn add(&mut self, op: &Op, device: &DeviceInfo, can_manage: bool, now: Timestamp) -> Result<(), Error> {
        let known = |m: &Member| m.info.sign_pk == device.sign_pk || m.info.dh_pk == device.dh_pk;
        if self.members.iter().any(known) {
            return Err(Error::DeviceExists);
        }
        let taken: Vec<u32> = self.members.iter().filter(|m| m.is_active()).map(|m| m.slot).collect();
        if taken.len() >= self.limit as usize {
            return Err(Error::TooManyDevices { limit: self.limit });
        }
        let slot = (0..DEVICES_MAX as u32).find(|s| !taken.contains(s));
        self.members.push(Member {
            info: device.clone(),
            can_manage,
            admitted_by: *op.issuer(),
            number: op.number(),
            added: op.at().min(now),
            slot: slot.ok_or(Error::TooManyDevices { limit: self.limit })?,
            revoked: None,
        });
        Ok(())
    }

    fn change(&mut self, id: &DeviceId, how: impl FnOnce(&mut Member)) {
        if let Some(member) = self.members.iter_mut().find(|m| m.info.id == *id) {
            how(member);
        }
    }

    fn manages(&self, issuer: &Issuer) -> bool {
        match issuer {
            Issuer::Root => true,
            Issuer::Device(id) => self.active(id).is_some_and(|m| m.can_manage),
        }
    }

    /// R-ID-11: whoever may not manage cannot revoke the device that admitted it, nor one further up that line.
    fn may_revoke(&self, issuer: &Issuer, subject: &DeviceId) -> bool {
        if self.manages(issuer) {
            return true;
        }
        let mut above = *issuer;
        for _ in 0..=self.members.len() {
            let Issuer::Device(id) = above else { return true };
            let Some(member) = self.member(&id) else { return false };
            above = member.admitted_by;
            if above == Issuer::Device(*subject) {
                return false;
            }
        }
        false
    }

    pub(super) fn path(&self) -> &[OpId] {
        &self.path
    }
}
