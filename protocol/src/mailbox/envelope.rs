//! The envelope: an anonymous, padded HPKE seal to a device's daily mailbox key, and the routing header beside it.
//! Must not know what it carries.

use crate::padding;
use crate::{
    Day, EnvelopeId, Fault, Timestamp,
    crypto::{
        self,
        dh::{DhPublic, DhSecret},
        label,
    },
    limits, proto,
    wire::{self, Transcript},
};
use rand_core::CryptoRng;
use std::fmt;
use zeroize::Zeroizing;

/// The version of the envelope format.
const VERSION: u32 = 1;
/// HPKE with DHKEM(X25519, HKDF-SHA256), HKDF-SHA256 and AES-256-GCM.
const SUITE: u32 = 1;
/// Body kinds on the wire.
const INITIAL: u32 = 1;
const RATCHET: u32 = 2;

/// What an envelope carries: one message of a session.
#[derive(Clone, PartialEq, Eq)]
pub enum EnvelopeBody {
    /// A message that can begin a session.
    Initial(Zeroizing<Vec<u8>>),
    /// A message in a session that both sides have.
    Ratchet(Zeroizing<Vec<u8>>),
}

/// An envelope could not be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The body does not fit the largest bucket.
    #[error("message too large for an envelope")]
    TooLarge,
    /// The recipient's mailbox key is none.
    #[error("bad mailbox key")]
    BadMailboxKey,
}

/// An envelope does not open. For the log alone: towards others all of these look the same (R-ENV-4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Not an envelope.
    #[error("malformed envelope: {0}")]
    Malformed(#[from] wire::Error),
    /// Of a version or suite this program does not know.
    #[error("unknown envelope version or suite")]
    Unsupported,
    /// No mailbox key of that day is kept.
    #[error("no mailbox key of that day")]
    UnknownDay(Day),
    /// Not sealed to that key.
    #[error("not authentic")]
    NotAuthentic,
}

impl SealError {
    /// Names who is at fault.
    pub const fn fault(&self) -> Fault {
        match self {
            Self::TooLarge => Fault::Local,
            Self::BadMailboxKey => Fault::Peer,
        }
    }
}

impl OpenError {
    /// Names who is at fault.
    pub const fn fault(&self) -> Fault {
        match self {
            Self::Malformed(_) | Self::Unsupported | Self::NotAuthentic => Fault::Peer,
            Self::UnknownDay(_) => Fault::Transient,
        }
    }
}

impl EnvelopeBody {
    fn to_wire(&self) -> Zeroizing<Vec<u8>> {
        let (kind, body) = match self {
            Self::Initial(body) => (INITIAL, body),
            Self::Ratchet(body) => (RATCHET, body),
        };
        let mut sum = proto::wire::Sum { kind, body: body.to_vec() };
        let bytes = Zeroizing::new(wire::encode(&sum));
        zeroize::Zeroize::zeroize(&mut sum.body);
        bytes
    }

    fn from_wire(bytes: &[u8]) -> Result<Self, wire::Error> {
        let sum: proto::wire::Sum = wire::decode(bytes, padding::CONTENT_MAX)?;
        match sum.kind {
            INITIAL => Ok(Self::Initial(Zeroizing::new(sum.body))),
            RATCHET => Ok(Self::Ratchet(Zeroizing::new(sum.body))),
            other => Err(wire::Error::Unknown(other)),
        }
    }
}

impl fmt::Debug for EnvelopeBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Initial(body) => write!(f, "Initial({} bytes)", body.len()),
            Self::Ratchet(body) => write!(f, "Ratchet({} bytes)", body.len()),
        }
    }
}

/// Seals a body for the holder of a mailbox key; returns the encoded envelope, at most `limits::ENVELOPE_MAX` bytes.
/// Who sealed it cannot be told from it, and its length is one of nine.
pub fn seal(
    mailbox_key: &DhPublic,
    key_day: Day,
    body: &EnvelopeBody,
    rng: &mut impl CryptoRng,
) -> Result<Vec<u8>, SealError> {
    let padded = padding::pad(&body.to_wire()).ok_or(SealError::TooLarge)?;
    let (enc, ciphertext) = crypto::hpke::seal(mailbox_key, label::ENVELOPE.as_bytes(), &aad(key_day), &padded, rng)
        .map_err(|_| SealError::BadMailboxKey)?;
    Ok(wire::encode(&proto::envelope::Envelope {
        version: VERSION,
        suite: SUITE,
        key_day: key_day.0,
        enc: enc.to_vec(),
        ciphertext,
    }))
}

/// Opens an envelope with the mailbox key of the day it names.
pub fn open(bytes: &[u8], mailbox_key: impl FnOnce(Day) -> Option<DhSecret>) -> Result<EnvelopeBody, OpenError> {
    let envelope: proto::envelope::Envelope = wire::decode(bytes, limits::ENVELOPE_MAX)?;
    if envelope.version != VERSION || envelope.suite != SUITE {
        return Err(OpenError::Unsupported);
    }
    let enc = wire::fixed(&envelope.enc)?;
    let day = Day(envelope.key_day);
    let secret = mailbox_key(day).ok_or(OpenError::UnknownDay(day))?;
    let padded = crypto::hpke::open(&secret, &enc, label::ENVELOPE.as_bytes(), &aad(day), &envelope.ciphertext)
        .map_err(|_| OpenError::NotAuthentic)?;
    let body = padding::unpad(&padded).ok_or(wire::Error::NotCanonical)?;
    Ok(EnvelopeBody::from_wire(body)?)
}

impl EnvelopeId {
    /// Names an envelope by its bytes: the same at every relay, whatever routing header it travels with.
    pub fn of(envelope: &[u8]) -> Self {
        Self::from_bytes(Transcript::new(label::ENVELOPE_ID).field(envelope).sha256())
    }
}

/// Returns the day whose mailbox key an envelope names, without opening it.
pub fn key_day(bytes: &[u8]) -> Result<Day, wire::Error> {
    wire::decode::<proto::envelope::Envelope>(bytes, limits::ENVELOPE_MAX).map(|e| Day(e.key_day))
}

fn aad(key_day: Day) -> Vec<u8> {
    Transcript::new(label::ENVELOPE).u32(VERSION).u32(SUITE).u32(key_day.0).bytes()
}

/// What travels outside an envelope: for holders on the way, bound by nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoutingHeader {
    /// Tag of the recipient's mailbox, 16 bytes; all zero on a direct delivery.
    pub tag: [u8; 16],
    /// When a holder may drop the envelope.
    pub expires: Timestamp,
}

impl RoutingHeader {
    /// Longest encoding in bytes.
    const MAX: usize = 64;

    /// Encodes into the one spelling.
    pub fn encode(&self) -> Vec<u8> {
        wire::encode(&proto::envelope::RoutingHeader { tag: self.tag.to_vec(), expires_ms: self.expires.as_millis() })
    }

    /// Decodes strictly.
    pub fn decode(bytes: &[u8]) -> Result<Self, wire::Error> {
        let header: proto::envelope::RoutingHeader = wire::decode(bytes, Self::MAX)?;
        Ok(Self { tag: wire::fixed(&header.tag)?, expires: Timestamp::from_millis(header.expires_ms) })
    }
}

#[cfg(test)]
mod tests;
