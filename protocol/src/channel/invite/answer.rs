//! The answer to a request to join: the welcome, or that somebody has to approve, or why not. Signed by a device that says it
//! is a member's, sealed to the joiner's device. Must not know what a welcome holds.

use super::{
    JoinRequest, VERSION, expect_version,
    seal::{Context, OVERHEAD, SealError},
};
use crate::{
    AccountId, ChannelId, DeviceId, Fault, Timestamp,
    crypto::{label, sign::VerifyingKey},
    identity::{DeviceInfo, DeviceSecrets},
    limits::{CLOCK_SKEW_MS, JOIN_ANSWER_MAX, WELCOME_MAX},
    proto::invite as proto,
    wire::{self, Signed, Transcript},
};
use rand_core::CryptoRng;
use std::fmt;

/// Largest answer as it travels, in bytes.
const SEALED_MAX: usize = JOIN_ANSWER_MAX + OVERHEAD + 32;

/// An answer is refused, or could not be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It is no answer in its one spelling, or over a maximum.
    #[error(transparent)]
    Wire(#[from] wire::Error),
    /// It was not sealed to this device for this request.
    #[error("the answer does not open")]
    NotAuthentic,
    /// It answers another request, or is for another channel or device.
    #[error("the answer is to another request")]
    WrongRequest,
    /// A key or account in it is weak or not canonical.
    #[error("the answer carries an unacceptable key")]
    BadKey,
    /// It claims to be of a time that lies more than a day ahead.
    #[error("the answer is of a time to come")]
    Ahead,
    /// Its author's device did not sign it.
    #[error("the answer is not signed by its author")]
    BadSignature,
    /// The welcome does not fit.
    #[error("the answer is too large")]
    TooLarge,
}

impl Error {
    /// Says who is to blame.
    pub const fn fault(&self) -> Fault {
        match self {
            Self::TooLarge => Fault::Local,
            _ => Fault::Peer,
        }
    }
}

/// Why somebody is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The invite has ended.
    Expired,
    /// The invite was withdrawn.
    Revoked,
    /// The invite let in as many as it may.
    UsedUp,
    /// The channel bans the joiner.
    Banned,
    /// The joiner is a member already.
    AlreadyMember,
    /// There is no such invite, or it does not prove what was asked.
    NotValid,
}

impl Reason {
    /// All reasons, in the order of their numbers.
    pub const ALL: [Self; 6] =
        [Self::Expired, Self::Revoked, Self::UsedUp, Self::Banned, Self::AlreadyMember, Self::NotValid];

    /// The number that stands for it.
    pub const fn number(self) -> u32 {
        match self {
            Self::Expired => 1,
            Self::Revoked => 2,
            Self::UsedUp => 3,
            Self::Banned => 4,
            Self::AlreadyMember => 5,
            Self::NotValid => 6,
        }
    }

    /// Reads a number.
    pub fn from_number(number: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.number() == number)
    }
}

/// What became of a request.
#[derive(Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Admitted: a welcome, opaque here, which proves itself to the joiner.
    Admitted(Vec<u8>),
    /// Somebody has to approve; the answer comes later.
    Waiting,
    /// Not let in.
    Refused(Reason),
}

impl Outcome {
    fn to_wire(&self) -> (u32, Vec<u8>, u32) {
        match self {
            Self::Admitted(welcome) => (1, welcome.clone(), 0),
            Self::Waiting => (2, Vec::new(), 0),
            Self::Refused(reason) => (3, Vec::new(), reason.number()),
        }
    }

    fn from_wire(kind: u32, welcome: Vec<u8>, reason: u32) -> Result<Self, wire::Error> {
        match (kind, welcome.len(), reason) {
            (1, 1..=WELCOME_MAX, 0) => Ok(Self::Admitted(welcome)),
            (2, 0, 0) => Ok(Self::Waiting),
            (3, 0, 1..) => Reason::from_number(reason).map(Self::Refused).ok_or(wire::Error::Unknown(reason)),
            (1..=3, ..) => Err(wire::Error::OutOfBounds),
            (other, ..) => Err(wire::Error::Unknown(other)),
        }
    }
}

impl fmt::Debug for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Admitted(welcome) => write!(f, "Admitted({} bytes)", welcome.len()),
            Self::Waiting => f.write_str("Waiting"),
            Self::Refused(reason) => write!(f, "Refused({reason:?})"),
        }
    }
}

/// An answer as somebody's device signed it. A welcome proves that its author may admit; any other answer is the claim of
/// somebody who could open the request, and no reason to stop asking others (R-INV-8).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinAnswer {
    /// What became of the request.
    pub outcome: Outcome,
    /// The account that its author claims.
    pub author: AccountId,
    /// The device that signed it.
    pub device: DeviceInfo,
    /// When its author says it answered.
    pub at: Timestamp,
}

impl JoinAnswer {
    /// Signs as a member's device and seals to the device that asked.
    pub fn seal(
        outcome: &Outcome,
        request: &JoinRequest,
        author: &AccountId,
        device: &DeviceSecrets,
        at: Timestamp,
        rng: &mut impl CryptoRng,
    ) -> Result<Vec<u8>, Error> {
        let (kind, welcome, reason) = outcome.to_wire();
        if welcome.len() > WELCOME_MAX {
            return Err(Error::TooLarge);
        }
        let asked = Asked { channel: &request.channel, device: &request.device.id, nonce: &request.nonce };
        let payload = wire::encode(&proto::JoinAnswer {
            version: VERSION,
            channel: asked.channel.as_bytes().to_vec(),
            device: asked.device.as_bytes().to_vec(),
            nonce: asked.nonce.to_vec(),
            author: author.as_bytes().to_vec(),
            author_sign_pk: device.info().sign_pk.as_bytes().to_vec(),
            author_dh_pk: device.info().dh_pk.as_bytes().to_vec(),
            at_ms: at.as_millis(),
            kind,
            welcome,
            reason,
        });
        let signed = Signed::sign(label::INVITE_ANSWER, payload, device.sign()).encode();
        seal(&request.device, &asked, &signed, rng)
    }

    /// Opens and verifies an answer to the request that this device made in this channel under this nonce.
    pub fn open(
        bytes: &[u8],
        device: &DeviceSecrets,
        channel: &ChannelId,
        nonce: &[u8; 16],
        now: Timestamp,
    ) -> Result<Self, Error> {
        let wire: proto::SealedAnswer = wire::decode(bytes, SEALED_MAX)?;
        expect_version(wire.version)?;
        let asked = Asked { channel, device: &device.id(), nonce };
        let aad = asked.associated_data();
        let plain = context(&aad).open(device.dh(), &wire.sealed).ok_or(Error::NotAuthentic)?;
        Self::verify(&plain, &asked, now)
    }

    fn verify(bytes: &[u8], asked: &Asked<'_>, now: Timestamp) -> Result<Self, Error> {
        let signed = Signed::decode(bytes, JOIN_ANSWER_MAX)?;
        let wire: proto::JoinAnswer = wire::decode(&signed.payload, JOIN_ANSWER_MAX)?;
        expect_version(wire.version)?;
        let Asked { channel, device, nonce } = asked;
        if wire.channel != channel.as_bytes() || wire.device != device.as_bytes() || wire.nonce != *nonce {
            return Err(Error::WrongRequest);
        }
        if wire.at_ms > now.plus_millis(CLOCK_SKEW_MS).as_millis() {
            return Err(Error::Ahead);
        }
        let author = VerifyingKey::parse(&wire.author).map_err(|_| Error::BadKey)?;
        let device = DeviceInfo::parse(&wire.author_sign_pk, &wire.author_dh_pk).map_err(|_| Error::BadKey)?;
        signed.verify(label::INVITE_ANSWER, &device.sign_pk).map_err(|_| Error::BadSignature)?;
        Ok(Self {
            outcome: Outcome::from_wire(wire.kind, wire.welcome, wire.reason)?,
            author: AccountId::from_bytes(*author.as_bytes()),
            device,
            at: Timestamp::from_millis(wire.at_ms),
        })
    }
}

/// Which request is answered.
#[derive(Clone, Copy)]
struct Asked<'a> {
    channel: &'a ChannelId,
    device: &'a DeviceId,
    nonce: &'a [u8; 16],
}

impl Asked<'_> {
    fn associated_data(&self) -> Vec<u8> {
        let transcript = Transcript::new(label::INVITE_ANSWER_SEAL).u32(VERSION).field(self.channel.as_bytes());
        transcript.field(self.device.as_bytes()).field(self.nonce).bytes()
    }
}

/// Pads and seals to the device that asked.
fn seal(to: &DeviceInfo, asked: &Asked<'_>, signed: &[u8], rng: &mut impl CryptoRng) -> Result<Vec<u8>, Error> {
    let aad = asked.associated_data();
    let sealed = context(&aad).seal(&to.dh_pk, signed, rng).map_err(|error| match error {
        SealError::TooLarge => Error::TooLarge,
        SealError::BadKey => Error::BadKey,
    })?;
    Ok(wire::encode(&proto::SealedAnswer { version: VERSION, sealed }))
}

const fn context(aad: &[u8]) -> Context<'_> {
    Context { label: label::INVITE_ANSWER_SEAL, aad, max: JOIN_ANSWER_MAX }
}
