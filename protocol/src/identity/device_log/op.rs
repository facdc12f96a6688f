//! One operation: its wire form and its id. Must not know whether it is valid where it stands.

use super::Error;
use crate::{
    DeviceId, Timestamp,
    crypto::{
        label,
        sign::{Signature, VerifyingKey},
    },
    identity::DeviceInfo,
    limits::DEVICE_OP_MAX,
    proto::identity as proto,
    wire::{self, Signed, fixed},
};
use std::fmt;

/// The version of operations this program writes and reads: a later one would mean another meaning, so it is refused.
const VERSION: u32 = 1;
/// Contradicting operations that one lift may name.
const LIFT_MAX: usize = super::FORK_KEPT;

/// Names an operation: the hash of its payload, so that a second signature makes no second operation.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OpId([u8; 32]);

impl OpId {
    /// Wraps raw bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Returns the raw bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for OpId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OpId({:02x?}..)", self.0.first_chunk::<4>().unwrap_or(&[0; 4]))
    }
}

/// Who signed an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Issuer {
    /// The account's root.
    Root,
    /// One of its devices.
    Device(DeviceId),
}

/// What an operation does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// Admits a device.
    Add {
        /// Its keys.
        device: DeviceInfo,
        /// Whether it may manage other devices.
        can_manage: bool,
        /// Its proof that it holds the keys.
        proof: Signature,
    },
    /// Ends a device.
    Revoke {
        /// Which.
        device: DeviceId,
    },
    /// Changes how many devices the account may have.
    SetLimit {
        /// At most so many.
        devices: u32,
    },
    /// Changes whether a device may manage others.
    SetTrust {
        /// Which device.
        device: DeviceId,
        /// Whether it may from now on.
        can_manage: bool,
    },
    /// Replaces the root.
    RotateRoot {
        /// The new root.
        root: VerifyingKey,
        /// Its proof that its holder has the key.
        proof: Signature,
    },
    /// Settles contradicting operations in favour of what this one follows.
    Lift {
        /// All of them, ascending, the kept one too.
        ops: Vec<OpId>,
    },
}

/// A decoded operation and the signed bytes it came in.
#[derive(Clone, PartialEq, Eq)]
pub struct Op {
    id: OpId,
    number: u64,
    previous: [u8; 32],
    issuer: Issuer,
    at: Timestamp,
    act: Act,
    signed: Signed,
}

impl Op {
    /// Decodes strictly; says nothing about signature, place or rights.
    pub(super) fn decode(signed: &Signed) -> Result<Self, Error> {
        let op: proto::DeviceOp = wire::decode(&signed.payload, DEVICE_OP_MAX)?;
        if op.version != VERSION {
            return Err(wire::Error::Unknown(op.version).into());
        }
        let issuer = match op.issuer.as_slice() {
            [] => Issuer::Root,
            id => Issuer::Device(DeviceId::from_bytes(fixed(id)?)),
        };
        Ok(Self {
            id: OpId(signed.id(label::DEVICE_OP)),
            number: op.number,
            previous: fixed(&op.previous)?,
            issuer,
            at: Timestamp::from_millis(op.at_ms),
            act: Act::decode(op.kind, &op.body)?,
            signed: signed.clone(),
        })
    }

    /// Returns the id.
    pub const fn id(&self) -> &OpId {
        &self.id
    }

    /// Returns the place in the log, from 0.
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// Returns the predecessor's id; the account id in the first operation.
    pub const fn previous(&self) -> &[u8; 32] {
        &self.previous
    }

    /// Returns who signed it.
    pub const fn issuer(&self) -> &Issuer {
        &self.issuer
    }

    /// Returns when the issuer says it was: shown, never decided by.
    pub const fn at(&self) -> Timestamp {
        self.at
    }

    /// Returns what it does.
    pub const fn act(&self) -> &Act {
        &self.act
    }

    /// Returns the bytes it came in.
    pub const fn signed(&self) -> &Signed {
        &self.signed
    }

    pub(super) fn encoded_len(&self) -> usize {
        self.signed.encode().len()
    }

    pub(super) fn is_by_root(&self) -> bool {
        self.issuer == Issuer::Root
    }
}

impl fmt::Debug for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, number, previous: _, issuer, at: _, act, signed: _ } = self;
        write!(f, "Op({number} {id:?} by {issuer:?}: {act:?})")
    }
}

impl Act {
    fn decode(kind: u32, body: &[u8]) -> Result<Self, Error> {
        Ok(match kind {
            1 => {
                let add: proto::AddDevice = wire::decode(body, DEVICE_OP_MAX)?;
                Self::Add {
                    device: DeviceInfo::parse(&add.sign_pk, &add.dh_pk).map_err(|_| Error::BadKey)?,
                    can_manage: add.can_manage,
                    proof: Signature(fixed(&add.proof)?),
                }
            }
            2 => {
                let revoke: proto::RevokeDevice = wire::decode(body, DEVICE_OP_MAX)?;
                Self::Revoke { device: DeviceId::from_bytes(fixed(&revoke.device)?) }
            }
            3 => Self::SetLimit { devices: wire::decode::<proto::SetDeviceLimit>(body, DEVICE_OP_MAX)?.devices },
            4 => {
                let set: proto::SetDeviceTrust = wire::decode(body, DEVICE_OP_MAX)?;
                Self::SetTrust { device: DeviceId::from_bytes(fixed(&set.device)?), can_manage: set.can_manage }
            }
            5 => {
                let rotate: proto::RotateRoot = wire::decode(body, DEVICE_OP_MAX)?;
                Self::RotateRoot {
                    root: VerifyingKey::parse(&rotate.root_pk).map_err(|_| Error::BadKey)?,
                    proof: Signature(fixed(&rotate.proof)?),
                }
            }
            6 => {
                let lift: proto::LiftFreeze = wire::decode(body, DEVICE_OP_MAX)?;
                wire::at_most(&lift.ops, LIFT_MAX)?;
                let ops = lift.ops.iter().map(|op| fixed(op).map(OpId)).collect::<Result<Vec<_>, _>>()?;
                if ops.len() < 2 || !ops.is_sorted_by(|a, b| a < b) {
                    return Err(Error::BadLift);
                }
                Self::Lift { ops }
            }
            other => return Err(wire::Error::Unknown(other).into()),
        })
    }

    fn encode(&self) -> (u32, Vec<u8>) {
        match self {
            Self::Add { device, can_manage, proof } => (
                1,
                wire::encode(&proto::AddDevice {
                    sign_pk: device.sign_pk.as_bytes().to_vec(),
                    dh_pk: device.dh_pk.as_bytes().to_vec(),
                    can_manage: *can_manage,
                    proof: proof.as_bytes().to_vec(),
                }),
            ),
            Self::Revoke { device } => (2, wire::encode(&proto::RevokeDevice { device: device.as_bytes().to_vec() })),
            Self::SetLimit { devices } => (3, wire::encode(&proto::SetDeviceLimit { devices: *devices })),
            Self::SetTrust { device, can_manage } => (
                4,
                wire::encode(&proto::SetDeviceTrust { device: device.as_bytes().to_vec(), can_manage: *can_manage }),
            ),
            Self::RotateRoot { root, proof } => (
                5,
                wire::encode(&proto::RotateRoot {
                    root_pk: root.as_bytes().to_vec(),
                    proof: proof.as_bytes().to_vec(),
                }),
            ),
            Self::Lift { ops } => {
                (6, wire::encode(&proto::LiftFreeze { ops: ops.iter().map(|op| op.0.to_vec()).collect() }))
            }
        }
    }
}

/// Encodes an operation's payload, to be signed.
pub(super) fn payload(number: u64, previous: &[u8; 32], issuer: &Issuer, at: Timestamp, act: &Act) -> Vec<u8> {
    let (kind, body) = act.encode();
    wire::encode(&proto::DeviceOp {
        version: VERSION,
        number,
        previous: previous.to_vec(),
        issuer: match issuer {
            Issuer::Root => Vec::new(),
            Issuer::Device(id) => id.as_bytes().to_vec(),
        },
        at_ms: at.as_millis(),
        kind,
        body,
    })
}
