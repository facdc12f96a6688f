//! One operation: its wire form and its id. Must not know whether it is valid where it stands.

use super::{
    invite::{Claim, History, InvitePublic},
    name::Name,
    permission::Permissions,
    role::{Conditions, Mode, Role, RoleName},
};
use crate::{
    AccountId, ChannelId, DeviceId, Fault, Timestamp,
    crypto::{
        label,
        sign::{Signature, SigningKey},
    },
    identity::{DeviceInfo, DeviceLog, device_log},
    limits,
    proto::channel as proto,
    wire::{self, Signed, Transcript, fixed},
};
use std::fmt;

/// The version of operations this program writes and reads: a later one would mean another meaning, so it is refused.
const VERSION: u32 = 1;

/// Names an operation: the hash of its payload, so that a second signature makes no second operation.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
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

/// The bytes are no operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadOp {
    /// Not in its one spelling.
    #[error(transparent)]
    Wire(#[from] wire::Error),
    /// A device log inside does not hold.
    #[error("a device log in the operation does not hold: {0}")]
    DeviceLog(#[from] device_log::Error),
    /// A key in it is weak or not canonical.
    #[error("the operation carries an unacceptable key")]
    BadKey,
}

impl BadOp {
    /// Names who is at fault.
    pub const fn fault(&self) -> Fault {
        Fault::Peer
    }
}

/// Secrets made anew, as the signed operation pins them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fresh {
    /// Drawn by the author.
    pub nonce: [u8; 16],
    /// Hash of both secrets: who opens others was lied to.
    pub commit: [u8; 32],
    /// Digest of the devices it is sealed to: recomputed by every reader, never believed.
    pub recipients: [u8; 32],
    /// How many items there are.
    pub items: u32,
    /// Root of the tree over them.
    pub root: [u8; 32],
}

/// The last message of a device in an epoch that whoever removed it had seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cutoff {
    /// Of which device.
    pub device: DeviceId,
    /// In which epoch.
    pub epoch: [u8; 32],
    /// Its place in the sender's chain there.
    pub generation: u32,
}

/// The invite somebody came with, and the proof of knowing its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Use {
    /// The operation that posted the invite.
    pub invite: OpId,
    /// The newcomer's device that asked.
    pub device: DeviceId,
    /// Hash of that device's leaf key.
    pub leaf: [u8; 32],
    /// Drawn by the newcomer.
    pub nonce: [u8; 16],
    /// Signature of the invite key over channel, account, device, leaf and nonce.
    pub proof: Signature,
}

impl Use {
    /// Puts together what the proof stands for.
    pub fn claim(&self, channel: ChannelId, account: AccountId) -> Claim {
        Claim { channel, account, device: self.device, leaf: self.leaf, nonce: self.nonce }
    }
}

/// Somebody let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admission {
    /// Whom.
    pub account: AccountId,
    /// Its devices.
    pub devices: DeviceLog,
    /// As what.
    pub role: RoleName,
    /// With which invite.
    pub invite: Option<Use>,
}

/// Somebody put out, or gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removal {
    /// Whom.
    pub account: AccountId,
    /// Whether for good.
    pub ban: bool,
    /// Why, shown.
    pub reason: String,
    /// What of theirs still counts.
    pub cutoffs: Vec<Cutoff>,
    /// The keys that they do not get; absent where somebody goes by themselves, who could not make them.
    pub fresh: Option<Fresh>,
}

/// An invite as the channel knows it: the public half alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InviteTerms {
    /// What its holders prove themselves with, and what its record is sealed to.
    pub public: InvitePublic,
    /// As what they come.
    pub role: RoleName,
    /// How many may.
    pub uses: u32,
    /// Until when.
    pub expires: Timestamp,
    /// Whether somebody has to say yes to each.
    pub approval: bool,
    /// What they are given of the past.
    pub history: History,
}

/// One property of a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Setting {
    /// What it is called.
    Name(Name),
    /// What it is about: a line, or nothing.
    Topic(String),
    /// Who may come and speak.
    Mode(Mode),
    /// Days that messages are kept; 0 for ever.
    RetentionDays(u32),
    /// Milliseconds after which messages are forgotten; 0 never.
    ExpireAfterMs(u64),
    /// Passes to relays, opaque here.
    Relays(Vec<Vec<u8>>),
}

impl Setting {
    /// The number of the property, by which a later value replaces an earlier one.
    pub const fn key(&self) -> u32 {
        match self {
            Self::Name(_) => 1,
            Self::Topic(_) => 2,
            Self::Mode(_) => 3,
            Self::RetentionDays(_) => 4,
            Self::ExpireAfterMs(_) => 5,
            Self::Relays(_) => 6,
        }
    }
}

/// What an operation does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// Makes the channel; its author is the creator for ever.
    Create {
        /// So that no two channels have one id.
        nonce: [u8; 32],
        /// The creator's devices.
        devices: DeviceLog,
        /// What the channel is called.
        name: Name,
        /// Its first keys.
        fresh: Fresh,
    },
    /// Lets somebody in.
    Admit(Admission),
    /// Puts somebody out.
    Remove(Removal),
    /// Lets somebody who was banned be admitted again.
    Unban {
        /// Whom.
        account: AccountId,
    },
    /// Tells a member's newer device log.
    Devices {
        /// Whose.
        account: AccountId,
        /// All of it.
        devices: DeviceLog,
        /// What of the revoked devices still counts.
        cutoffs: Vec<Cutoff>,
        /// Keys that revoked devices do not get.
        fresh: Option<Fresh>,
    },
    /// Defines a role, anew if it is there.
    DefineRole {
        /// Its name.
        name: RoleName,
        /// What it gives.
        role: Role,
    },
    /// Ends a role and all that was granted through it.
    DropRole {
        /// Its name.
        name: RoleName,
    },
    /// Gives somebody a role.
    GrantRole {
        /// Whom.
        account: AccountId,
        /// Which.
        role: RoleName,
        /// Until when, as the authors of what it is used for claim the time.
        until: Option<Timestamp>,
    },
    /// Takes a role from somebody.
    RevokeRole {
        /// From whom.
        account: AccountId,
        /// Which.
        role: RoleName,
    },
    /// Posts an invite.
    PostInvite(InviteTerms),
    /// Ends an invite.
    RevokeInvite {
        /// The operation that posted it.
        invite: OpId,
    },
    /// Makes the keys anew.
    Rekey {
        /// Whether nothing may be sent under the old ones, not even joined with these.
        emergency: bool,
        /// The new ones.
        fresh: Fresh,
    },
    /// Records that a device was handed epochs, so that everybody can compute who has which.
    EpochGrant {
        /// Which device.
        device: DeviceId,
        /// Which epochs, in order.
        epochs: Vec<[u8; 32]>,
    },
    /// Changes a property of the channel.
    Set(Setting),
    /// Silences somebody, or ends that.
    Mute {
        /// Whom.
        account: AccountId,
        /// Whether from now on.
        on: bool,
        /// Until when.
        until: Option<Timestamp>,
    },
    /// Seals nothing more to devices that were silent for long, or again.
    Suspend {
        /// Which, in order.
        devices: Vec<DeviceId>,
        /// Whether from now on.
        on: bool,
    },
}

impl Act {
    /// Returns the fresh secrets that it makes.
    pub const fn fresh(&self) -> Option<&Fresh> {
        match self {
            Self::Create { fresh, .. } | Self::Rekey { fresh, .. } => Some(fresh),
            Self::Remove(Removal { fresh, .. }) | Self::Devices { fresh, .. } => fresh.as_ref(),
            _ => None,
        }
    }
}

/// Who signs operations: a device for its account.
#[derive(Clone, Copy)]
pub struct OpAuthor<'a> {
    /// The account.
    pub account: AccountId,
    /// The device.
    pub device: DeviceId,
    /// Its key.
    pub key: &'a SigningKey,
}

/// A decoded operation and the signed bytes it came in; its signature is checked where its author's key is known.
#[derive(Clone, PartialEq, Eq)]
pub struct Op {
    id: OpId,
    channel: Option<ChannelId>,
    parents: Vec<OpId>,
    account: AccountId,
    device: DeviceId,
    at: Timestamp,
    act: Act,
    signed: Signed,
}

impl Op {
    /// Makes and signs an operation. `channel` and `parents` are absent in the one that creates the channel.
    pub fn sign(
        author: &OpAuthor<'_>,
        channel: Option<ChannelId>,
        parents: &[OpId],
        at: Timestamp,
        act: &Act,
    ) -> Result<Self, BadOp> {
        let (kind, body) = act.encode();
        let mut parents = parents.to_vec();
        parents.sort_unstable();
        let payload = wire::encode(&proto::Op {
            version: VERSION,
            channel: channel.map(|c| c.as_bytes().to_vec()).unwrap_or_default(),
            parents: parents.iter().map(|p| p.0.to_vec()).collect(),
            account: author.account.as_bytes().to_vec(),
            device: author.device.as_bytes().to_vec(),
            at_ms: at.as_millis(),
            kind,
            body,
        });
        Self::decode_signed(Signed::sign(label::CHANNEL_OP, payload, author.key), at)
    }

    /// Decodes strictly; says nothing about signature, place or rights. `now` only keeps times inside device logs from
    /// lying in the future.
    pub fn decode(bytes: &[u8], now: Timestamp) -> Result<Self, BadOp> {
        Self::decode_signed(Signed::decode(bytes, limits::CHANNEL_OP_MAX + Signed::OVERHEAD)?, now)
    }

    fn decode_signed(signed: Signed, now: Timestamp) -> Result<Self, BadOp> {
        let op: proto::Op = wire::decode(&signed.payload, limits::CHANNEL_OP_MAX)?;
        if op.version != VERSION {
            return Err(wire::Error::Unknown(op.version).into());
        }
        let channel = match op.channel.as_slice() {
            [] => None,
            id => Some(ChannelId::from_bytes(fixed(id)?)),
        };
        let parents = ids(&op.parents, limits::CHANNEL_PARENTS_MAX)?.into_iter().map(OpId).collect::<Vec<_>>();
        let author = account(&op.account)?;
        let act = Act::decode(op.kind, &op.body, author, now)?;
        let first = matches!(act, Act::Create { .. });
        if first != channel.is_none() || first != parents.is_empty() {
            return Err(wire::Error::OutOfBounds.into());
        }
        Ok(Self {
            id: OpId(signed.id(label::CHANNEL_OP)),
            channel,
            parents,
            account: author,
            device: DeviceId::from_bytes(fixed(&op.device)?),
            at: Timestamp::from_millis(op.at_ms),
            act,
            signed,
        })
    }

    /// Encodes the signed bytes as they came.
    pub fn encode(&self) -> Vec<u8> {
        self.signed.encode()
    }

    /// Returns the id.
    pub const fn id(&self) -> OpId {
        self.id
    }

    /// Returns the channel; its own id makes the channel where it creates it.
    pub fn channel(&self) -> ChannelId {
        self.channel.unwrap_or(ChannelId::from_bytes(self.id.0))
    }

    /// Returns what the author had seen last.
    pub fn parents(&self) -> &[OpId] {
        &self.parents
    }

    /// Returns who did it.
    pub const fn account(&self) -> AccountId {
        self.account
    }

    /// Returns with which device.
    pub const fn device(&self) -> DeviceId {
        self.device
    }

    /// Returns when, as the author claims.
    pub const fn at(&self) -> Timestamp {
        self.at
    }

    /// Returns what it does.
    pub const fn act(&self) -> &Act {
        &self.act
    }

    /// Says whether the device's key signed it.
    pub(super) fn is_signed_by(&self, device: &DeviceInfo) -> bool {
        self.device == device.id && self.signed.verify(label::CHANNEL_OP, &device.sign_pk).is_ok()
    }

    /// Binds a rekey to its place: items sealed for it open nowhere else.
    pub fn rekey_context(
        channel: Option<&ChannelId>,
        device: &DeviceId,
        parents: &[OpId],
        nonce: &[u8; 16],
        commit: &[u8; 32],
        recipients: &[u8; 32],
    ) -> [u8; 32] {
        Transcript::new(label::REKEY_CONTEXT)
            .optional(channel.map(|c| c.as_bytes().as_slice()))
            .field(device.as_bytes())
            .list(&parents.iter().map(|p| p.0).collect::<Vec<_>>())
            .field(nonce)
            .field(commit)
            .field(recipients)
            .sha256()
    }

    /// Computes the rekey context of the fresh secrets in it.
    pub fn context(&self) -> Option<[u8; 32]> {
        let f = self.act.fresh()?;
        let channel = self.channel.as_ref();
        Some(Self::rekey_context(channel, &self.device, &self.parents, &f.nonce, &f.commit, &f.recipients))
    }
}

impl fmt::Debug for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, channel: _, parents, account, device: _, at: _, act, signed: _ } = self;
        write!(f, "Op({id:?} by {account:?} after {parents:?}: kind {})", act.encode().0)
    }
}

/// Takes a list of 32-byte ids that must stand in ascending order, none twice.
fn ids(list: &[Vec<u8>], max: usize) -> Result<Vec<[u8; 32]>, wire::Error> {
    wire::at_most(list, max)?;
    let ids = list.iter().map(|id| fixed(id)).collect::<Result<Vec<[u8; 32]>, _>>()?;
    if ids.is_sorted_by(|a, b| a < b) { Ok(ids) } else { Err(wire::Error::NotCanonical) }
}

fn account(bytes: &[u8]) -> Result<AccountId, wire::Error> {
    Ok(AccountId::from_bytes(fixed(bytes)?))
}

fn line(text: String, max: usize) -> Result<String, wire::Error> {
    if text.len() > max || text.chars().any(super::name::is_unseen) { Err(wire::Error::OutOfBounds) } else { Ok(text) }
}

fn until(ms: u64) -> Option<Timestamp> {
    Some(Timestamp::from_millis(ms)).filter(|t| t.as_millis() != 0)
}

/// A frozen log says nothing about who speaks for its account, so none travels.
fn devices(owner: AccountId, bytes: &[u8], now: Timestamp) -> Result<DeviceLog, BadOp> {
    let log = DeviceLog::decode(owner, bytes, now)?;
    if log.is_frozen() { Err(device_log::Error::Frozen.into()) } else { Ok(log) }
}

impl Fresh {
    fn from_wire(fresh: &proto::Fresh) -> Result<Self, wire::Error> {
        Ok(Self {
            nonce: fixed(&fresh.nonce)?,
            commit: fixed(&fresh.commit)?,
            recipients: fixed(&fresh.recipients)?,
            items: fresh.items,
            root: fixed(&fresh.root)?,
        })
    }

    fn to_wire(&self) -> proto::Fresh {
        proto::Fresh {
            nonce: self.nonce.to_vec(),
            commit: self.commit.to_vec(),
            recipients: self.recipients.to_vec(),
            items: self.items,
            root: self.root.to_vec(),
        }
    }
}

fn fresh(fresh: Option<&proto::Fresh>) -> Result<Option<Fresh>, wire::Error> {
    fresh.map(Fresh::from_wire).transpose()
}

fn cutoffs(list: &[proto::Cutoff]) -> Result<Vec<Cutoff>, wire::Error> {
    wire::at_most(list, limits::CUTOFFS_MAX)?;
    let list = list
        .iter()
        .map(|c| {
            Ok(Cutoff {
                device: DeviceId::from_bytes(fixed(&c.device)?),
                epoch: fixed(&c.epoch)?,
                generation: c.generation,
            })
        })
        .collect::<Result<Vec<_>, wire::Error>>()?;
    let ascending = list.is_sorted_by(|a, b| (a.device, a.epoch) < (b.device, b.epoch));
    if ascending { Ok(list) } else { Err(wire::Error::NotCanonical) }
}

fn cutoffs_to_wire(list: &[Cutoff]) -> Vec<proto::Cutoff> {
    let wire = |c: &Cutoff| proto::Cutoff {
        device: c.device.as_bytes().to_vec(),
        epoch: c.epoch.to_vec(),
        generation: c.generation,
    };
    list.iter().map(wire).collect()
}

impl Use {
    fn from_wire(used: &proto::Use) -> Result<Self, wire::Error> {
        Ok(Self {
            invite: OpId(fixed(&used.invite)?),
            device: DeviceId::from_bytes(fixed(&used.device)?),
            leaf: fixed(&used.leaf)?,
            nonce: fixed(&used.nonce)?,
            proof: Signature(fixed(&used.proof)?),
        })
    }

    fn to_wire(&self) -> proto::Use {
        proto::Use {
            invite: self.invite.0.to_vec(),
            device: self.device.as_bytes().to_vec(),
            leaf: self.leaf.to_vec(),
            nonce: self.nonce.to_vec(),
            proof: self.proof.as_bytes().to_vec(),
        }
    }
}

impl Setting {
    fn decode(key: u32, value: &[u8]) -> Result<Self, BadOp> {
        let text = || String::from_utf8(value.to_vec()).map_err(|_| wire::Error::Malformed);
        let number = || -> Result<u64, wire::Error> { Ok(u64::from_be_bytes(fixed(value)?)) };
        Ok(match key {
            1 => Self::Name(Name::parse(&text()?).map_err(|_| wire::Error::OutOfBounds)?),
            2 => Self::Topic(line(text()?, limits::TOPIC_MAX)?),
            3 => Self::Mode(Mode::from_number(number()?).ok_or(wire::Error::OutOfBounds)?),
            4 => Self::RetentionDays(u32::try_from(number()?).map_err(|_| wire::Error::OutOfBounds)?),
            5 => Self::ExpireAfterMs(number()?),
            6 => {
                let relays: crate::proto::content::Mailboxes = wire::decode(value, limits::CHANNEL_OP_MAX)?;
                wire::at_most(&relays.passes, limits::MAILBOXES_MAX)?;
                if relays.passes.iter().any(|p| p.len() > limits::PASS_MAX) {
                    return Err(wire::Error::TooLarge { max: limits::PASS_MAX }.into());
                }
                Self::Relays(relays.passes)
            }
            other => return Err(wire::Error::Unknown(other).into()),
        })
    }

    fn value(&self) -> Vec<u8> {
        match self {
            Self::Name(name) => name.as_str().as_bytes().to_vec(),
            Self::Topic(text) => text.as_bytes().to_vec(),
            Self::Mode(mode) => mode.number().to_be_bytes().to_vec(),
            Self::RetentionDays(days) => u64::from(*days).to_be_bytes().to_vec(),
            Self::ExpireAfterMs(ms) => ms.to_be_bytes().to_vec(),
            Self::Relays(passes) => wire::encode(&crate::proto::content::Mailboxes { passes: passes.clone() }),
        }
    }
}

impl Act {
    fn decode(kind: u32, body: &[u8], author: AccountId, now: Timestamp) -> Result<Self, BadOp> {
        const MAX: usize = limits::CHANNEL_OP_MAX;
        Ok(match kind {
            1 => {
                let b: proto::Create = wire::decode(body, MAX)?;
                Self::Create {
                    nonce: fixed(&b.nonce)?,
                    devices: devices(author, &b.device_log, now)?,
                    name: Name::parse(&b.name).map_err(|_| wire::Error::OutOfBounds)?,
                    fresh: Fresh::from_wire(b.fresh.as_ref().ok_or(wire::Error::Malformed)?)?,
                }
            }
            2 => {
                let b: proto::Admit = wire::decode(body, MAX)?;
                let account = account(&b.account)?;
                Self::Admit(Admission {
                    account,
                    devices: devices(account, &b.device_log, now)?,
                    role: RoleName::from_wire(&b.role)?,
                    invite: b.r#use.as_ref().map(Use::from_wire).transpose()?,
                })
            }
            3 => {
                let b: proto::Remove = wire::decode(body, MAX)?;
                Self::Remove(Removal {
                    account: account(&b.account)?,
                    ban: b.ban,
                    reason: line(b.reason, limits::REASON_MAX)?,
                    cutoffs: cutoffs(&b.cutoffs)?,
                    fresh: fresh(b.fresh.as_ref())?,
                })
            }
            4 => Self::Unban { account: account(&wire::decode::<proto::Unban>(body, MAX)?.account)? },
            5 => {
                let b: proto::Devices = wire::decode(body, MAX)?;
                let account = account(&b.account)?;
                Self::Devices {
                    account,
                    devices: devices(account, &b.device_log, now)?,
                    cutoffs: cutoffs(&b.cutoffs)?,
                    fresh: fresh(b.fresh.as_ref())?,
                }
            }
            6 => Self::define_role(&wire::decode(body, MAX)?)?,
            7 => Self::DropRole { name: RoleName::from_wire(&wire::decode::<proto::DropRole>(body, MAX)?.name)? },
            8 => {
                let b: proto::GrantRole = wire::decode(body, MAX)?;
                Self::GrantRole {
                    account: account(&b.account)?,
                    role: RoleName::from_wire(&b.role)?,
                    until: until(b.until_ms),
                }
            }
            9 => {
                let b: proto::RevokeRole = wire::decode(body, MAX)?;
                Self::RevokeRole { account: account(&b.account)?, role: RoleName::from_wire(&b.role)? }
            }
            10 => {
                let b: proto::PostInvite = wire::decode(body, MAX)?;
                Self::PostInvite(InviteTerms {
                    public: InvitePublic::parse(&b.sign, &b.seal).map_err(|_| BadOp::BadKey)?,
                    role: RoleName::from_wire(&b.role)?,
                    uses: b.uses,
                    expires: Timestamp::from_millis(b.expires_ms),
                    approval: b.approval,
                    history: match (b.history, b.history_days) {
                        (0, 0) => History::None,
                        (1, 0) => History::All,
                        (2, days) if days > 0 => History::Days(days),
                        _ => return Err(wire::Error::OutOfBounds.into()),
                    },
                })
            }
            11 => Self::RevokeInvite { invite: OpId(fixed(&wire::decode::<proto::RevokeInvite>(body, MAX)?.invite)?) },
            12 => {
                let b: proto::Rekey = wire::decode(body, MAX)?;
                let fresh = Fresh::from_wire(b.fresh.as_ref().ok_or(wire::Error::Malformed)?)?;
                Self::Rekey { emergency: b.emergency, fresh }
            }
            13 => {
                let b: proto::EpochGrant = wire::decode(body, MAX)?;
                Self::EpochGrant {
                    device: DeviceId::from_bytes(fixed(&b.device)?),
                    epochs: ids(&b.epochs, limits::GRANTED_EPOCHS_MAX)?,
                }
            }
            14 => {
                let b: proto::Setting = wire::decode(body, MAX)?;
                Self::Set(Setting::decode(b.key, &b.value)?)
            }
            15 => {
                let b: proto::Mute = wire::decode(body, MAX)?;
                Self::Mute { account: account(&b.account)?, on: b.on, until: until(b.until_ms) }
            }
            16 => {
                let b: proto::Suspend = wire::decode(body, MAX)?;
                let devices = ids(&b.devices, limits::SUSPENDED_MAX)?.into_iter().map(DeviceId::from_bytes).collect();
                Self::Suspend { devices, on: b.on }
            }
            other => return Err(wire::Error::Unknown(other).into()),
        })
    }

    fn define_role(b: &proto::DefineRole) -> Result<Self, BadOp> {
        wire::at_most(&b.inherits, limits::ROLES_MAX)?;
        let inherits = b.inherits.iter().map(|n| RoleName::from_wire(n)).collect::<Result<Vec<_>, _>>()?;
        if !inherits.is_sorted_by(|a, b| a < b) {
            return Err(wire::Error::NotCanonical.into());
        }
        let conditions = match &b.conditions {
            None => Conditions::default(),
            Some(c) => Conditions::from_wire(c)?,
        };
        let bits = |bits| Permissions::from_bits(bits).ok_or(wire::Error::Unknown(bits));
        Ok(Self::DefineRole {
            name: RoleName::from_wire(&b.name)?,
            role: Role { inherits, allow: bits(b.allow)?, deny: bits(b.deny)?, conditions },
        })
    }

    fn encode(&self) -> (u32, Vec<u8>) {
        let bytes = |a: &AccountId| a.as_bytes().to_vec();
        let ms = |t: &Option<Timestamp>| t.map_or(0, Timestamp::as_millis);
        match self {
            Self::Create { nonce, devices, name, fresh } => (
                1,
                wire::encode(&proto::Create {
                    nonce: nonce.to_vec(),
                    device_log: devices.encode(),
                    name: name.as_str().to_owned(),
                    fresh: Some(fresh.to_wire()),
                }),
            ),
            Self::Admit(a) => (
                2,
                wire::encode(&proto::Admit {
                    account: bytes(&a.account),
                    device_log: a.devices.encode(),
                    role: a.role.as_str().to_owned(),
                    r#use: a.invite.as_ref().map(Use::to_wire),
                }),
            ),
            Self::Remove(r) => (
                3,
                wire::encode(&proto::Remove {
                    account: bytes(&r.account),
                    ban: r.ban,
                    reason: r.reason.clone(),
                    cutoffs: cutoffs_to_wire(&r.cutoffs),
                    fresh: r.fresh.as_ref().map(Fresh::to_wire),
                }),
            ),
            Self::Unban { account } => (4, wire::encode(&proto::Unban { account: bytes(account) })),
            Self::Devices { account, devices, cutoffs, fresh } => (
                5,
                wire::encode(&proto::Devices {
                    account: bytes(account),
                    device_log: devices.encode(),
                    cutoffs: cutoffs_to_wire(cutoffs),
                    fresh: fresh.as_ref().map(Fresh::to_wire),
                }),
            ),
            Self::DefineRole { name, role } => (
                6,
                wire::encode(&proto::DefineRole {
                    name: name.as_str().to_owned(),
                    inherits: role.inherits.iter().map(|n| n.as_str().to_owned()).collect(),
                    allow: role.allow.bits(),
                    deny: role.deny.bits(),
                    conditions: Some(&role.conditions).filter(|c| !c.is_empty()).map(|c| c.to_wire()),
                }),
            ),
            Self::DropRole { name } => (7, wire::encode(&proto::DropRole { name: name.as_str().to_owned() })),
            Self::GrantRole { account, role, until } => (
                8,
                wire::encode(&proto::GrantRole {
                    account: bytes(account),
                    role: role.as_str().to_owned(),
                    until_ms: ms(until),
                }),
            ),
            Self::RevokeRole { account, role } => {
                (9, wire::encode(&proto::RevokeRole { account: bytes(account), role: role.as_str().to_owned() }))
            }
            Self::PostInvite(terms) => (10, wire::encode(&terms.to_wire())),
            Self::RevokeInvite { invite } => (11, wire::encode(&proto::RevokeInvite { invite: invite.0.to_vec() })),
            Self::Rekey { emergency, fresh } => {
                (12, wire::encode(&proto::Rekey { emergency: *emergency, fresh: Some(fresh.to_wire()) }))
            }
            Self::EpochGrant { device, epochs } => (
                13,
                wire::encode(&proto::EpochGrant {
                    device: device.as_bytes().to_vec(),
                    epochs: epochs.iter().map(|e| e.to_vec()).collect(),
                }),
            ),
            Self::Set(setting) => (14, wire::encode(&proto::Setting { key: setting.key(), value: setting.value() })),
            Self::Mute { account, on, until } => {
                (15, wire::encode(&proto::Mute { account: bytes(account), on: *on, until_ms: ms(until) }))
            }
            Self::Suspend { devices, on } => (
                16,
                wire::encode(&proto::Suspend {
                    devices: devices.iter().map(|d| d.as_bytes().to_vec()).collect(),
                    on: *on,
                }),
            ),
        }
    }
}

impl InviteTerms {
    fn to_wire(&self) -> proto::PostInvite {
        let (history, history_days) = match self.history {
            History::None => (0, 0),
            History::All => (1, 0),
            History::Days(days) => (2, days),
        };
        proto::PostInvite {
            sign: self.public.sign.as_bytes().to_vec(),
            seal: self.public.seal.as_bytes().to_vec(),
            role: self.role.as_str().to_owned(),
            uses: self.uses,
            expires_ms: self.expires.as_millis(),
            approval: self.approval,
            history,
            history_days,
        }
    }
}

impl Conditions {
    fn from_wire(c: &proto::Conditions) -> Result<Self, wire::Error> {
        let minute = |m: u32| u16::try_from(m).ok().filter(|m| *m <= 24 * 60).ok_or(wire::Error::OutOfBounds);
        let minutes = match (minute(c.from_minute)?, minute(c.to_minute)?) {
            (0, 0) => None,
            (from, to) if from != to => Some((from, to)),
            _ => return Err(wire::Error::OutOfBounds),
        };
        let conditions =
            Self { minutes, managing_device: c.managing_device, per_minute: Some(c.per_minute).filter(|n| *n > 0) };
        if conditions.is_empty() { Err(wire::Error::NotCanonical) } else { Ok(conditions) }
    }

    fn to_wire(self) -> proto::Conditions {
        let (from, to) = self.minutes.unwrap_or((0, 0));
        proto::Conditions {
            from_minute: from.into(),
            to_minute: to.into(),
            managing_device: self.managing_device,
            per_minute: self.per_minute.unwrap_or(0),
        }
    }
}
