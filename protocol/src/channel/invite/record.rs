//! The invite record: what a joiner sees before consenting, and how to reach those who may admit. Signed by the member who
//! publishes it; believed only once the channel's operations show that its author is one. Must not know where it lies.

use super::{
    InviteCode, InvitePublic, Slot, VERSION, check_name, check_passes, check_reach, expect_version,
    seal::{Context, SealError},
    slot,
};
use crate::{
    AccountId, ChannelId, Day, Fault, Timestamp,
    crypto::{label, sign::VerifyingKey},
    identity::{DeviceInfo, DeviceSecrets},
    limits::{INVITE_PEERS_MAX, INVITE_RECORD_MAX},
    prekey::record,
    proto::invite as proto,
    wire::{self, Signed, at_most, fixed},
};
use rand_core::CryptoRng;
use std::fmt;

/// An invite record is refused, or could not be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The slot record around it is refused.
    #[error(transparent)]
    Slot(#[from] record::Error),
    /// The slot is empty: nobody answers there any more.
    #[error("the slot is empty")]
    Empty {
        /// The sequence of the record that says so.
        sequence: u64,
    },
    /// It was not sealed to this invite, for this slot.
    #[error("the invite record does not open")]
    NotAuthentic,
    /// It is no invite record in its one spelling, or over a maximum.
    #[error(transparent)]
    Wire(#[from] wire::Error),
    /// It is of another invite.
    #[error("the invite record is another invite's")]
    WrongInvite,
    /// It leads to another channel than the code.
    #[error("the code is for another channel than the invite record")]
    WrongChannel,
    /// A key or account in it is weak or not canonical.
    #[error("the invite record carries an unacceptable key")]
    BadKey,
    /// Its author's device did not sign it.
    #[error("the invite record is not signed by its author")]
    BadSignature,
    /// What should be published does not fit.
    #[error("the invite record does not fit its slot")]
    TooLarge,
}

impl Error {
    /// Says who is to blame.
    pub const fn fault(&self) -> Fault {
        match self {
            Self::Slot(e) => e.fault(),
            Self::Empty { .. } => Fault::Transient,
            Self::TooLarge => Fault::Local,
            _ => Fault::Peer,
        }
    }
}

/// How much of what was said before a new member gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum History {
    /// Nothing.
    None,
    /// The last days, at least one.
    Days(u32),
    /// Everything.
    All,
}

impl History {
    const fn to_wire(self) -> (u32, u32) {
        match self {
            Self::None => (1, 0),
            Self::Days(days) => (2, days),
            Self::All => (3, 0),
        }
    }

    const fn from_wire(kind: u32, days: u32) -> Result<Self, wire::Error> {
        match (kind, days) {
            (1, 0) => Ok(Self::None),
            (2, 1..) => Ok(Self::Days(days)),
            (3, 0) => Ok(Self::All),
            (1..=3, _) => Err(wire::Error::OutOfBounds),
            (other, _) => Err(wire::Error::Unknown(other)),
        }
    }
}

/// A way to reach a member who may admit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The transport's peer id, as bytes.
    pub peer_id: Vec<u8>,
    /// Where it listens, at most three: untrusted, only dialled.
    pub addresses: Vec<String>,
}

/// What an invite leads to, as one member says. Names are not to be shown uncleaned.
#[derive(Clone, PartialEq, Eq)]
pub struct InviteRecord {
    /// Which channel.
    pub channel: ChannelId,
    /// What the channel is called.
    pub name: String,
    /// Who made the invite.
    pub inviter: AccountId,
    /// What they are called.
    pub inviter_name: String,
    /// How many members there are.
    pub members: u32,
    /// The role that is offered.
    pub role: String,
    /// When the invite ends.
    pub expires: Timestamp,
    /// Whether somebody has to approve.
    pub approval: bool,
    /// What of the past is shown.
    pub history: History,
    /// Passes or addresses of the channel's relays, at most four, read elsewhere.
    pub relays: Vec<Vec<u8>>,
    /// Members who may admit, at most eight, the best first.
    pub peers: Vec<Peer>,
    /// Chosen by [`crate::prekey::sequence::next`]: higher is newer, and about when it was said.
    pub sequence: u64,
}

impl InviteRecord {
    /// Signs it as a member's device and seals it for a slot (R-INV-9): peers that do not fit are left out, the last first.
    pub fn post(
        &self,
        slot: &Slot,
        account: &AccountId,
        device: &DeviceSecrets,
        rng: &mut impl CryptoRng,
    ) -> Result<Vec<u8>, Error> {
        let mut wire = self.to_wire(&slot.invite, account, device.info());
        check_lists(&wire)?;
        let aad = slot.associated_data(self.sequence, slot.expires());
        loop {
            let signed = Signed::sign(label::INVITE_RECORD, wire::encode(&wire), device.sign()).encode();
            match context(&aad).seal(&slot.invite.seal, &signed, rng) {
                Ok(sealed) => return Ok(slot.sign(self.sequence, sealed)),
                Err(SealError::BadKey) => return Err(Error::BadKey),
                Err(SealError::TooLarge) if wire.peers.pop().is_some() => {}
                Err(SealError::TooLarge) => return Err(Error::TooLarge),
            }
        }
    }

    fn to_wire(&self, invite: &InvitePublic, account: &AccountId, author: &DeviceInfo) -> proto::InviteRecord {
        let (history, history_days) = self.history.to_wire();
        let peer = |p: &Peer| proto::Peer { peer_id: p.peer_id.clone(), addresses: p.addresses.clone() };
        proto::InviteRecord {
            version: VERSION,
            invite: invite.sign.as_bytes().to_vec(),
            channel: self.channel.as_bytes().to_vec(),
            name: self.name.clone(),
            inviter: self.inviter.as_bytes().to_vec(),
            inviter_name: self.inviter_name.clone(),
            members: self.members,
            role: self.role.clone(),
            expires_ms: self.expires.as_millis(),
            approval: self.approval,
            history,
            history_days,
            relays: self.relays.clone(),
            peers: self.peers.iter().map(peer).collect(),
            sequence: self.sequence,
            author: account.as_bytes().to_vec(),
            author_sign_pk: author.sign_pk.as_bytes().to_vec(),
            author_dh_pk: author.dh_pk.as_bytes().to_vec(),
        }
    }

    fn from_wire(wire: proto::InviteRecord) -> Result<Self, Error> {
        let peer = |p: proto::Peer| Peer { peer_id: p.peer_id, addresses: p.addresses };
        Ok(Self {
            channel: ChannelId::from_bytes(fixed(&wire.channel)?),
            name: wire.name,
            inviter: account(&wire.inviter)?,
            inviter_name: wire.inviter_name,
            members: wire.members,
            role: wire.role,
            expires: Timestamp::from_millis(wire.expires_ms),
            approval: wire.approval,
            history: History::from_wire(wire.history, wire.history_days)?,
            relays: wire.relays,
            peers: wire.peers.into_iter().map(peer).collect(),
            sequence: wire.sequence,
        })
    }
}

impl fmt::Debug for InviteRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Names are people's own, and passes are secrets.
        let Self { channel, name: _, inviter, inviter_name: _, members, role: _, expires, .. } = self;
        let Self { approval, history, relays, peers, sequence, .. } = self;
        write!(f, "InviteRecord({channel:?} by {inviter:?}, {members} members, {expires:?}, approval: {approval}, ")?;
        write!(f, "{history:?}, {} relays, {} peers, {sequence})", relays.len(), peers.len())
    }
}

/// An invite record as somebody's device published it. Whether that device is a member's, and whether the invite's operation
/// says the same, is known when the channel's operations are; until then it is a claim that somebody signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostedRecord {
    /// What it says.
    pub record: InviteRecord,
    /// The account that its author claims.
    pub author: AccountId,
    /// The device that signed it.
    pub device: DeviceInfo,
}

impl PostedRecord {
    /// Opens a slot record as the holder of the code (R-INV-9): slot key and name, seal, the code's channel, author.
    pub fn open(code: &InviteCode, day: Day, slot: u32, bytes: &[u8], now: Timestamp) -> Result<Self, Error> {
        let keys = code.keys();
        let place = keys.public().slot(day, slot).ok_or(record::Error::Slot)?;
        let (meta, sealed) = slot::check(&place.record_key(), bytes, now)?;
        if meta.empty {
            return Err(Error::Empty { sequence: meta.seq });
        }
        let aad = place.associated_data(meta.seq, meta.expires);
        let plain = context(&aad).open(&keys.open, &sealed).ok_or(Error::NotAuthentic)?;
        let posted = Self::verify(&plain, &keys.public())?;
        if posted.record.sequence != meta.seq {
            return Err(wire::Error::OutOfBounds.into());
        }
        // R-INV-2: a code for one channel leads to no other.
        if code.names(&posted.record.channel) { Ok(posted) } else { Err(Error::WrongChannel) }
    }

    fn verify(bytes: &[u8], invite: &InvitePublic) -> Result<Self, Error> {
        let signed = Signed::decode(bytes, INVITE_RECORD_MAX)?;
        let wire: proto::InviteRecord = wire::decode(&signed.payload, INVITE_RECORD_MAX)?;
        expect_version(wire.version)?;
        check_lists(&wire)?;
        if wire.invite != invite.sign.as_bytes() {
            return Err(Error::WrongInvite);
        }
        let author = account(&wire.author)?;
        let device = DeviceInfo::parse(&wire.author_sign_pk, &wire.author_dh_pk).map_err(|_| Error::BadKey)?;
        signed.verify(label::INVITE_RECORD, &device.sign_pk).map_err(|_| Error::BadSignature)?;
        Ok(Self { record: InviteRecord::from_wire(wire)?, author, device })
    }
}

const fn context(aad: &[u8]) -> Context<'_> {
    Context { label: label::INVITE_RECORD_SEAL, aad, max: INVITE_RECORD_MAX }
}

/// Accepts an account whose identifier is a key (R-ID-10).
fn account(bytes: &[u8]) -> Result<AccountId, Error> {
    VerifyingKey::parse(bytes).map(|key| AccountId::from_bytes(*key.as_bytes())).map_err(|_| Error::BadKey)
}

/// Checks everything that has a maximum of its own.
fn check_lists(wire: &proto::InviteRecord) -> Result<(), wire::Error> {
    [&wire.name, &wire.inviter_name, &wire.role].into_iter().try_for_each(|name| check_name(name))?;
    check_passes(&wire.relays)?;
    at_most(&wire.peers, INVITE_PEERS_MAX)?;
    wire.peers.iter().try_for_each(|peer| check_reach(&peer.peer_id, &peer.addresses))
}
