//! The request to join: who asks, with which keys, how to be answered, and the proof that a code let them ask. Sealed so that
//! every member opens it and nobody between. Must not judge whether the invite still counts, nor whether the joiner may.

use super::{
    InviteCode, InvitePublic, Joiner, VERSION, check_name, check_passes, check_reach, expect_version,
    seal::{Context, OVERHEAD, SealError},
};
use crate::{
    AccountId, ChannelId, DeviceId, Fault, Timestamp,
    crypto::{label, sign::Signature},
    identity::{
        DeviceInfo, DeviceLog, DeviceSecrets,
        device_log::{self, decode_ops},
    },
    limits::{CLOCK_SKEW_MS, JOIN_REQUEST_MAX, LEAF_KEY_MAX},
    proto::invite as proto,
    wire::{self, Signed, Transcript, fixed},
};
use rand_core::CryptoRng;
use std::fmt;

/// Largest request as it travels, in bytes.
const SEALED_MAX: usize = JOIN_REQUEST_MAX + OVERHEAD + 48;

/// A request to join is refused, or could not be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It is no request in its one spelling, or over a maximum.
    #[error(transparent)]
    Wire(#[from] wire::Error),
    /// It was not sealed to this invite.
    #[error("the request to join does not open")]
    NotAuthentic,
    /// It is for another invite.
    #[error("the request to join is for another invite")]
    WrongInvite,
    /// It is for another channel than the code or invite.
    #[error("the request to join is for another channel")]
    WrongChannel,
    /// The joiner's device log is refused.
    #[error(transparent)]
    Log(#[from] device_log::Error),
    /// The device is not, or no longer, of the account.
    #[error("the device that asks to join does not speak for its account")]
    WrongDevice,
    /// It claims to be of a time that lies more than a day ahead.
    #[error("the request to join is of a time to come")]
    Ahead,
    /// The joiner's device did not sign it.
    #[error("the request to join is not signed by its device")]
    BadSignature,
    /// The invite's key did not sign for these keys in this channel.
    #[error("the request to join has no proof of the invite")]
    BadProof,
    /// What should be asked does not fit.
    #[error("the request to join is too large")]
    TooLarge,
}

impl Error {
    /// Says who is to blame.
    pub const fn fault(&self) -> Fault {
        match self {
            Self::Log(e) => e.fault(),
            Self::TooLarge => Fault::Local,
            _ => Fault::Peer,
        }
    }
}

/// What somebody asks to be admitted with. The same parts again make the same request: a joiner that was interrupted
/// repeats it, sealed anew, and is admitted once.
#[derive(Clone, Copy)]
pub struct JoinParts<'a> {
    /// Which channel, from the invite record.
    pub channel: &'a ChannelId,
    /// The joiner's device log.
    pub log: &'a DeviceLog,
    /// The public leaf key that this device made for the channel, opaque here.
    pub leaf_key: &'a [u8],
    /// The transport's peer id, as bytes.
    pub peer_id: &'a [u8],
    /// Where the device listens, at most three.
    pub addresses: &'a [String],
    /// Passes to the device's mailboxes for the answer, encoded, at most four.
    pub mailboxes: &'a [Vec<u8>],
    /// The name the joiner goes by.
    pub name: &'a str,
    /// When it was asked.
    pub at: Timestamp,
    /// Drawn once for this request.
    pub nonce: &'a [u8; 16],
}

impl JoinParts<'_> {
    /// Proves with the code, signs as the device and seals to the channel's members.
    pub fn seal(&self, code: &InviteCode, device: &DeviceSecrets, rng: &mut impl CryptoRng) -> Result<Vec<u8>, Error> {
        if !code.names(self.channel) {
            return Err(Error::WrongChannel);
        }
        let keys = code.keys();
        let (account, id, invite) = (self.log.account(), device.id(), keys.public());
        self.log.device(&id).ok_or(Error::WrongDevice)?;
        let joiner = Joiner {
            channel: self.channel,
            account: &account,
            device: &id,
            leaf_key: self.leaf_key,
            nonce: self.nonce,
        };
        let wire = proto::JoinRequest {
            version: VERSION,
            invite: invite.sign.as_bytes().to_vec(),
            channel: self.channel.as_bytes().to_vec(),
            account: account.as_bytes().to_vec(),
            log: self.log.signed_ops().iter().map(Signed::encode).collect(),
            device: id.as_bytes().to_vec(),
            leaf_key: self.leaf_key.to_vec(),
            peer_id: self.peer_id.to_vec(),
            addresses: self.addresses.to_vec(),
            mailboxes: self.mailboxes.to_vec(),
            name: self.name.to_owned(),
            at_ms: self.at.as_millis(),
            nonce: self.nonce.to_vec(),
            proof: joiner.prove(&keys).as_bytes().to_vec(),
        };
        check_lists(&wire)?;
        let signed = Signed::sign(label::INVITE_JOIN, wire::encode(&wire), device.sign()).encode();
        seal(&invite, self.channel, &signed, rng)
    }
}

/// A request whose device log, device and invite proof hold. Whether the invite counts is for the channel's operations.
#[derive(Clone, PartialEq, Eq)]
pub struct JoinRequest {
    /// Which channel.
    pub channel: ChannelId,
    /// Who asks: the verified log of their account.
    pub log: DeviceLog,
    /// Which of their devices.
    pub device: DeviceInfo,
    /// What the channel's keys are to be sealed to, opaque here.
    pub leaf_key: Vec<u8>,
    /// The transport's peer id, as bytes.
    pub peer_id: Vec<u8>,
    /// Where the device may be dialled.
    pub addresses: Vec<String>,
    /// Passes to its mailboxes, encoded: read by `mailbox::passes`.
    pub mailboxes: Vec<Vec<u8>>,
    /// The name the joiner goes by, possibly empty: not to be shown uncleaned.
    pub name: String,
    /// When the joiner says it asked.
    pub at: Timestamp,
    /// Names the request.
    pub nonce: [u8; 16],
    /// The invite key's signature over [`JoinRequest::joiner`], for the operation that admits.
    pub proof: Signature,
}

impl JoinRequest {
    /// Says whether a request that came is for this invite, without opening it: one hash for each invite that is open.
    pub fn is_for(bytes: &[u8], invite: &InvitePublic) -> bool {
        decode(bytes).is_ok_and(|wire| wire.mark == invite.join_mark(&wire.sealed))
    }

    /// Opens and verifies a request (R-INV-6, R-INV-7): seal, invite, channel, device log, device, proof.
    pub fn open(bytes: &[u8], invite: &InvitePublic, channel: &ChannelId, now: Timestamp) -> Result<Self, Error> {
        let wire = decode(bytes)?;
        if wire.mark != invite.join_mark(&wire.sealed) {
            return Err(Error::WrongInvite);
        }
        let aad = associated_data(invite, channel);
        let plain = context(&aad).open(&invite.join_key(channel), &wire.sealed).ok_or(Error::NotAuthentic)?;
        Self::verify(&plain, invite, channel, now)
    }

    fn verify(bytes: &[u8], invite: &InvitePublic, channel: &ChannelId, now: Timestamp) -> Result<Self, Error> {
        let signed = Signed::decode(bytes, JOIN_REQUEST_MAX)?;
        let wire: proto::JoinRequest = wire::decode(&signed.payload, JOIN_REQUEST_MAX)?;
        expect_version(wire.version)?;
        check_lists(&wire)?;
        if wire.invite != invite.sign.as_bytes() {
            return Err(Error::WrongInvite);
        }
        if wire.channel != channel.as_bytes() {
            return Err(Error::WrongChannel);
        }
        if wire.at_ms > now.plus_millis(CLOCK_SKEW_MS).as_millis() {
            return Err(Error::Ahead);
        }
        let account = AccountId::from_bytes(fixed(&wire.account)?);
        let log = DeviceLog::verify_from(account, &decode_ops(&wire.log)?, now)?;
        if log.is_frozen() {
            return Err(device_log::Error::Frozen.into());
        }
        let id = DeviceId::from_bytes(fixed(&wire.device)?);
        let device = log.device(&id).ok_or(Error::WrongDevice)?.clone();
        signed.verify(label::INVITE_JOIN, &device.sign_pk).map_err(|_| Error::BadSignature)?;
        let request = Self {
            channel: *channel,
            log,
            device,
            leaf_key: wire.leaf_key,
            peer_id: wire.peer_id,
            addresses: wire.addresses,
            mailboxes: wire.mailboxes,
            name: wire.name,
            at: Timestamp::from_millis(wire.at_ms),
            nonce: fixed(&wire.nonce)?,
            proof: Signature(fixed(&wire.proof)?),
        };
        let proven = request.joiner(&account).verify(&invite.sign, &request.proof);
        proven.map_err(|_| Error::BadProof)?;
        Ok(request)
    }

    /// Returns whose request it is.
    pub const fn account(&self) -> AccountId {
        self.log.account()
    }

    /// Returns what the proof stands for; `account` is [`JoinRequest::account`].
    pub const fn joiner<'a>(&'a self, account: &'a AccountId) -> Joiner<'a> {
        Joiner {
            channel: &self.channel,
            account,
            device: &self.device.id,
            leaf_key: self.leaf_key.as_slice(),
            nonce: &self.nonce,
        }
    }
}

impl fmt::Debug for JoinRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            channel,
            log,
            device,
            leaf_key: _,
            peer_id: _,
            addresses,
            mailboxes,
            name: _,
            at,
            nonce: _,
            proof: _,
        } = self;
        let (account, device) = (log.account(), device.id);
        write!(f, "JoinRequest({channel:?}, {account:?}, {device:?}, {at:?}, ")?;
        write!(f, "{} addresses, {} mailboxes)", addresses.len(), mailboxes.len())
    }
}

/// Pads and seals to the key that every member derives.
fn seal(invite: &InvitePublic, channel: &ChannelId, signed: &[u8], rng: &mut impl CryptoRng) -> Result<Vec<u8>, Error> {
    let aad = associated_data(invite, channel);
    let sealed = context(&aad).seal(&invite.join_key(channel).public(), signed, rng).map_err(|error| match error {
        SealError::TooLarge => Error::TooLarge,
        // A derived key is of prime order; were it not, nobody could open this.
        SealError::BadKey => Error::NotAuthentic,
    })?;
    Ok(wire::encode(&proto::SealedJoin { version: VERSION, mark: invite.join_mark(&sealed).to_vec(), sealed }))
}

fn decode(bytes: &[u8]) -> Result<proto::SealedJoin, wire::Error> {
    let wire: proto::SealedJoin = wire::decode(bytes, SEALED_MAX)?;
    expect_version(wire.version).map(|()| wire)
}

fn associated_data(invite: &InvitePublic, channel: &ChannelId) -> Vec<u8> {
    let transcript = Transcript::new(label::INVITE_JOIN_SEAL).u32(VERSION);
    transcript.field(invite.sign.as_bytes()).field(channel.as_bytes()).bytes()
}

const fn context(aad: &[u8]) -> Context<'_> {
    Context { label: label::INVITE_JOIN_SEAL, aad, max: JOIN_REQUEST_MAX }
}

/// Checks everything that has a maximum of its own; the log's own are checked with it.
fn check_lists(wire: &proto::JoinRequest) -> Result<(), wire::Error> {
    check_name(&wire.name)?;
    check_passes(&wire.mailboxes)?;
    check_reach(&wire.peer_id, &wire.addresses)?;
    if wire.leaf_key.is_empty() || wire.leaf_key.len() > LEAF_KEY_MAX {
        return Err(wire::Error::OutOfBounds);
    }
    Ok(())
}
