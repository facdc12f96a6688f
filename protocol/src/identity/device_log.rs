//! The signed chain that says which devices speak for an account. Validity is computed anew from all known operations, so
//! that every reader who knows the same ones reaches the same state, in whatever order they came. Must not know how logs
//! travel.

mod author;
mod op;
mod state;
mod tree;

pub use author::{Place, Signer, prove_admission};
pub use op::{Act, Issuer, Op, OpId};
pub use state::Member;

use crate::{
    AccountId, DeviceId, Fault, Timestamp,
    crypto::sign::VerifyingKey,
    identity::{Account, DeviceInfo, DeviceSecrets},
    limits::{DEVICE_LOG_MAX, DEVICE_LOG_OPS_MAX, DEVICE_OP_MAX},
    proto::identity as proto,
    wire::{self, Signed},
};
use serde::{Deserialize, Serialize};
use state::State;
use tree::{Resolved, Tree};

/// Contradicting operations kept as proof: two prove it; more let a later lift name them all. Beyond, new ones are dropped
/// while the account is frozen anyway.
pub const FORK_KEPT: usize = 8;

/// An operation or log is refused; nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The bytes are no operation in its one spelling.
    #[error(transparent)]
    Wire(#[from] wire::Error),
    /// The account identifier is no acceptable public key.
    #[error("the account id names no key")]
    NoAccount,
    /// There is no operation at all.
    #[error("the log is empty")]
    Empty,
    /// The predecessor is not known: operations in between are missing.
    #[error("an operation before this one is missing")]
    Gap,
    /// The number does not follow its predecessor's.
    #[error("the operation's number does not follow")]
    NotNext,
    /// The signature is not the issuer's.
    #[error("the operation is not signed by its issuer")]
    BadSignature,
    /// The new device or root did not prove that it holds its keys here.
    #[error("the new key's proof of possession is wrong")]
    BadProof,
    /// A key in the operation is weak or not canonical.
    #[error("the operation carries an unacceptable key")]
    BadKey,
    /// The issuer is no device of the account at that place, or was revoked before it.
    #[error("the issuer does not speak for the account")]
    IssuerNotActive,
    /// The issuer may not do this.
    #[error("the issuer may not do this")]
    NotPermitted,
    /// The subject is no active device.
    #[error("no such active device")]
    UnknownDevice,
    /// The device was in the log before, active or revoked: keys are never admitted twice.
    #[error("this device was admitted before")]
    DeviceExists,
    /// The account has as many devices as it may.
    #[error("the account may have {limit} devices")]
    TooManyDevices {
        /// The limit in force.
        limit: u32,
    },
    /// The lift does not name an operation it follows and one it does not.
    #[error("the lift names no contradiction")]
    BadLift,
    /// The account is frozen: only its root can act, to lift the freeze or to revoke.
    #[error("the account is frozen by contradicting operations")]
    Frozen,
    /// The log has no room for an operation of this kind.
    #[error("the log is full")]
    Full,
}

impl Error {
    /// Says who is to blame for a log that came from outside.
    pub const fn fault(&self) -> Fault {
        match self {
            Self::Gap => Fault::Transient,
            Self::Frozen | Self::Full => Fault::Local,
            _ => Fault::Peer,
        }
    }
}

/// How far a log reaches: travels in every message, so that a stale reader is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct LogHead {
    /// How many operations there are.
    pub len: u64,
    /// Id of the last one.
    pub hash: [u8; 32],
}

/// How a head that somebody else named lies to our log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// It is our head.
    Same,
    /// They know a beginning of our log and lack the rest.
    Behind,
    /// They know more than we do.
    Ahead,
    /// They followed another branch: exchange logs, then a rule or a freeze decides.
    Diverged,
}

/// What an operation or a whole log did to ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Nothing new, or nothing that counts.
    Unchanged,
    /// The log grew at its end.
    Extended,
    /// The root overruled operations that we followed.
    Overruled,
    /// Two operations contradict each other: alarm, and nothing is sealed to the account until its root lifts it.
    Froze,
    /// The root lifted the freeze.
    Lifted,
}

/// Two operations with one predecessor, both rightly signed: somebody with keys of the account lies to somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Equivocation<'a> {
    /// The contradicting operations, two or more, in order of their ids.
    pub ops: &'a [Op],
}

/// An account's verified device log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceLog {
    state: State,
    chain: Vec<Op>,
    fork: Vec<Op>,
}

impl DeviceLog {
    /// Starts an account: its root admits the first device, which may manage others.
    pub fn genesis(root: &Account, device: &DeviceSecrets, now: Timestamp) -> Result<Self, Error> {
        let place = Place::first(root.id());
        let proof = prove_admission(&place, device, true);
        let act = Act::Add { device: device.info().clone(), can_manage: true, proof };
        let signed = author::sign(&place, Signer::Root(root), act, now);
        Self::verify_from(root.id(), &[signed], now)
    }

    /// Verifies operations from anywhere, in any order, into the log they make. Refuses all of them if one is not valid
    /// where it stands. `now` only keeps claimed times from lying in the future.
    pub fn verify_from(account: AccountId, ops: &[Signed], now: Timestamp) -> Result<Self, Error> {
        check_size(ops, DEVICE_LOG_MAX)?;
        let tree = Tree::build(account, &[], ops, now)?;
        Self::from_tree(tree)
    }

    /// Adds one operation to what is known.
    pub fn append(&self, op: &Signed, now: Timestamp) -> Result<(Self, Change), Error> {
        self.merge(std::slice::from_ref(op), now)
    }

    /// Adds operations, for instance all of another reader's log, to what is known. On an error nothing has changed.
    pub fn merge(&self, ops: &[Signed], now: Timestamp) -> Result<(Self, Change), Error> {
        check_size(ops, DEVICE_LOG_MAX)?;
        let known: Vec<&Op> = self.chain.iter().chain(&self.fork).collect();
        let merged = Self::from_tree(Tree::build(self.account(), &known, ops, now)?)?;
        if merged.chain.iter().map(Op::encoded_len).sum::<usize>() > DEVICE_LOG_MAX {
            return Err(Error::Full);
        }
        let change = merged.change_from(self);
        Ok((merged, change))
    }

    fn from_tree(tree: Tree) -> Result<Self, Error> {
        let Resolved { state, chain, fork } = tree.resolve();
        if chain.is_empty() && fork.is_empty() { Err(Error::Empty) } else { Ok(Self { state, chain, fork }) }
    }

    fn change_from(&self, before: &Self) -> Change {
        let grew = self.chain.iter().map(Op::id).take(before.chain.len()).eq(before.chain.iter().map(Op::id));
        match (before.is_frozen(), self.is_frozen()) {
            (false, true) => Change::Froze,
            (true, false) => Change::Lifted,
            (_, _) if !grew => Change::Overruled,
            (_, _) if self.chain.len() > before.chain.len() => Change::Extended,
            (_, _) => Change::Unchanged,
        }
    }

    /// Returns whose log this is.
    pub const fn account(&self) -> AccountId {
        self.state.account()
    }

    /// Returns the root key in force.
    pub const fn root(&self) -> &VerifyingKey {
        self.state.root()
    }

    /// Returns how far the log reaches; of a frozen one, the last operation before the contradiction.
    pub const fn head(&self) -> LogHead {
        LogHead { len: self.state.len(), hash: *self.state.head() }
    }

    /// Returns a device that speaks for the account; revoked ones do not.
    pub fn device(&self, id: &DeviceId) -> Option<&DeviceInfo> {
        self.member(id).filter(|m| m.is_active()).map(|m| &m.info)
    }

    /// Iterates over the devices that speak for the account, in the order of their admission.
    pub fn devices(&self) -> impl Iterator<Item = &DeviceInfo> {
        self.state.members().iter().filter(|m| m.is_active()).map(|m| &m.info)
    }

    /// Returns what the log says of a device, revoked ones too.
    pub fn member(&self, id: &DeviceId) -> Option<&Member> {
        self.state.member(id)
    }

    /// Iterates over all devices ever admitted.
    pub fn members(&self) -> impl Iterator<Item = &Member> {
        self.state.members().iter()
    }

    /// Returns the record slot of an active device.
    pub fn slot(&self, id: &DeviceId) -> Option<u32> {
        self.member(id).filter(|m| m.is_active()).map(|m| m.slot)
    }

    /// Returns how many devices the account may have.
    pub const fn limit(&self) -> u32 {
        self.state.limit()
    }

    /// Says whether contradicting operations stop the account.
    pub fn is_frozen(&self) -> bool {
        !self.fork.is_empty()
    }

    /// Returns the proof that somebody with keys of the account signed two operations with one predecessor.
    pub fn equivocation(&self) -> Option<Equivocation<'_>> {
        self.is_frozen().then_some(Equivocation { ops: &self.fork })
    }

    /// Returns the operations in force, in order.
    pub fn ops(&self) -> &[Op] {
        &self.chain
    }

    /// Returns the signed operations as they travel: those in force, then the proof of a contradiction if there is one.
    pub fn signed_ops(&self) -> Vec<Signed> {
        self.chain.iter().chain(&self.fork).map(|op| op.signed().clone()).collect()
    }

    /// Says how a head that somebody else named lies to this log.
    pub fn relation(&self, theirs: &LogHead) -> Relation {
        let ours = self.head();
        if *theirs == ours {
            return Relation::Same;
        }
        if theirs.len > ours.len {
            return Relation::Ahead;
        }
        let at = usize::try_from(theirs.len).ok().and_then(|len| len.checked_sub(1)).and_then(|i| self.chain.get(i));
        match at {
            Some(op) if op.id().as_bytes() == &theirs.hash => Relation::Behind,
            Some(_) => Relation::Diverged,
            None => Relation::Behind,
        }
    }

    /// Iterates over the active devices that somebody who knows the log up to `theirs` has not sealed to (R-ID-6).
    pub fn devices_after(&self, theirs: &LogHead) -> impl Iterator<Item = &DeviceInfo> {
        let known = if self.relation(theirs) == Relation::Behind { theirs.len } else { 0 };
        let known = if self.relation(theirs) == Relation::Same { u64::MAX } else { known };
        self.state.members().iter().filter(move |m| m.is_active() && m.number >= known).map(|m| &m.info)
    }

    /// Returns the bytes that first messages and rows carry.
    pub fn encode(&self) -> Vec<u8> {
        let ops = self.chain.iter().chain(&self.fork).map(|op| op.signed().encode()).collect();
        wire::encode(&proto::DeviceLog { ops })
    }

    /// Decodes and verifies what [`DeviceLog::encode`] made, from outside or from a row.
    pub fn decode(account: AccountId, bytes: &[u8], now: Timestamp) -> Result<Self, Error> {
        let max = DEVICE_LOG_MAX + FORK_KEPT * DEVICE_OP_MAX;
        let ops = decode_ops(&wire::decode::<proto::DeviceLog>(bytes, max + 4 * DEVICE_LOG_OPS_MAX)?.ops)?;
        check_size(&ops, max)?;
        Self::from_tree(Tree::build(account, &[], &ops, now)?)
    }
}

/// Decodes operations that travel inside another message.
pub(crate) fn decode_ops(ops: &[Vec<u8>]) -> Result<Vec<Signed>, Error> {
    wire::at_most(ops, DEVICE_LOG_OPS_MAX)?;
    Ok(ops.iter().map(|op| Signed::decode(op, DEVICE_OP_MAX)).collect::<Result<_, _>>()?)
}

fn check_size(ops: &[Signed], max: usize) -> Result<(), Error> {
    wire::at_most(ops, DEVICE_LOG_OPS_MAX)?;
    if ops.iter().map(|op| op.encode().len()).sum::<usize>() > max {
        Err(wire::Error::TooLarge { max }.into())
    } else {
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod tests;
