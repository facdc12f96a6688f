//! The record that lies in the DHT and at relays: what a storing node checks, without learning whose it is. Must not know
//! what the ciphertext holds.

use super::{
    certificate::{Certificate, RecordSigner, Request, blinded},
    sequence,
};
use crate::{
    AccountId, Day, Fault, RecordKey, Timestamp,
    crypto::{
        label,
        sign::{Signature, VerifyingKey},
    },
    identity::ReachSecret,
    limits::{DESCRIPTOR_DAYS_AHEAD, DESCRIPTOR_MAX, DEVICES_MAX},
    proto::prekey as proto,
    wire::{self, Signed, Transcript, fixed},
};

/// The version of records this program writes and reads.
const VERSION: u32 = 1;
/// Days that a record lives from the beginning of its day: that day and one more, for readers whose clock lags.
pub(super) const LIFE_DAYS: u32 = 2;

/// A record is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The bytes are no record in its one spelling.
    #[error(transparent)]
    Wire(#[from] wire::Error),
    /// One of its keys is weak or not canonical.
    #[error("the record carries an unacceptable key")]
    BadKey,
    /// It belongs under another key.
    #[error("the record belongs under another key")]
    WrongKey,
    /// Its day is past, or further ahead than records are published.
    #[error("the record is of a day that is not stored")]
    Day,
    /// Its slot is none.
    #[error("the record has no such slot")]
    Slot,
    /// It has expired.
    #[error("the record has expired")]
    Expired,
    /// It claims to live longer than a record of its day.
    #[error("the record's expiry is out of bounds")]
    Expiry,
    /// Record key or blinded key did not sign.
    #[error("the record's signatures are wrong")]
    BadSignature,
    /// Its sequence is refused.
    #[error(transparent)]
    Sequence(#[from] sequence::Error),
}

impl Error {
    /// Says who is to blame; a record may expire on its way.
    pub const fn fault(&self) -> Fault {
        match self {
            Self::Expired | Self::Day => Fault::Transient,
            Self::Sequence(e) => e.fault(),
            _ => Fault::Peer,
        }
    }
}

/// What a storing node learns of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordMeta {
    /// Its sequence: higher replaces lower.
    pub seq: u64,
    /// When it is dropped.
    pub expires: Timestamp,
    /// Its day.
    pub day: Day,
    /// Its slot.
    pub slot: u32,
    /// Whether it says that the slot is empty.
    pub empty: bool,
}

/// A record whose signatures hold.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) meta: RecordMeta,
    pub(super) blinded: VerifyingKey,
    pub(super) record_pk: VerifyingKey,
    pub(super) ciphertext: Vec<u8>,
}

/// Computes the key a record lies under: the hash of blinded key, day and slot (R-DESC-1).
pub fn record_key(blinded: &VerifyingKey, day: Day, slot: u32) -> RecordKey {
    let transcript = Transcript::new(label::RECORD_KEY).field(blinded.as_bytes()).u32(day.0).u32(slot);
    RecordKey::from_bytes(transcript.sha256())
}

/// Computes the key of an account's record; `None` if the account identifier is no key.
pub fn record_key_of(account: &AccountId, reach: &ReachSecret, day: Day, slot: u32) -> Option<RecordKey> {
    Some(record_key(&blinded(account, reach, day)?, day, slot))
}

/// Checks a record as a storing node does: size, shape, day, expiry, key, certificate, signature, sequence (R-DESC-4).
/// Everything cheap comes before the two signatures.
pub fn check_record(key: &RecordKey, bytes: &[u8], now: Timestamp) -> Result<RecordMeta, Error> {
    Record::check(key, bytes, now).map(|record| record.meta)
}

/// Says whether a storing node that has checked `new` puts it in the place of `old` (R-DESC-5): the same bytes again, or a
/// higher sequence. A stored sequence that our clock no longer believes is ignored (R-DESC-6).
pub fn supersedes(old: &[u8], new: &[u8], now: Timestamp) -> bool {
    if old == new {
        return true;
    }
    let sequence = |bytes: &[u8]| decode(bytes).ok().map(|(_, record)| record.sequence);
    replaces(sequence(old), sequence(new), now)
}

/// Judges the sequences of two records of one key, `None` where the bytes are no such record.
pub(crate) fn replaces(old: Option<u64>, new: Option<u64>, now: Timestamp) -> bool {
    match (old, new) {
        (_, None) => false,
        (None, Some(_)) => true,
        (Some(old), Some(new)) => !sequence::is_believable(old, now) || new > old,
    }
}

/// Reads the day and slot that a record claims; nothing is believed yet.
pub(super) fn place(bytes: &[u8]) -> Result<(Day, u32), Error> {
    decode(bytes).map(|(_, record)| (Day(record.day), record.slot))
}

fn decode(bytes: &[u8]) -> Result<(Signed, proto::RecordPayload), Error> {
    let signed = Signed::decode(bytes, DESCRIPTOR_MAX)?;
    let payload: proto::RecordPayload = wire::decode(&signed.payload, DESCRIPTOR_MAX)?;
    if payload.version == VERSION { Ok((signed, payload)) } else { Err(wire::Error::Unknown(payload.version).into()) }
}

/// What a record of any kind says of its place and time.
pub(crate) struct Claims {
    pub(crate) day: Day,
    pub(crate) slot: u32,
    /// How many slots there are.
    pub(crate) slots: u32,
    pub(crate) expires_ms: u64,
    pub(crate) seq: u64,
}

impl Claims {
    /// Judges them as a storing node does; returns when the record is dropped.
    pub(crate) fn check(&self, now: Timestamp) -> Result<Timestamp, Error> {
        let today = now.day();
        // A publisher's clock may be a day ahead of ours.
        if self.day > today.plus(DESCRIPTOR_DAYS_AHEAD + 1) || self.day < today.minus(LIFE_DAYS - 1) {
            return Err(Error::Day);
        }
        if self.slot >= self.slots {
            return Err(Error::Slot);
        }
        let expires = Timestamp::from_millis(self.expires_ms);
        if expires <= now {
            return Err(Error::Expired);
        }
        if expires > expiry(self.day) {
            return Err(Error::Expiry);
        }
        sequence::check(None, self.seq, now)?;
        Ok(expires)
    }
}

impl Record {
    pub(super) fn check(key: &RecordKey, bytes: &[u8], now: Timestamp) -> Result<Self, Error> {
        let (signed, wire) = decode(bytes)?;
        let (day, slot) = (Day(wire.day), wire.slot);
        let claims = Claims { day, slot, slots: DEVICES_MAX as u32, expires_ms: wire.expires_ms, seq: wire.sequence };
        let expires = claims.check(now)?;
        let parse = |bytes: &[u8]| VerifyingKey::parse(bytes).map_err(|_| Error::BadKey);
        let (blinded, record_pk) = (parse(&wire.blinded_key)?, parse(&wire.record_key)?);
        if record_key(&blinded, day, slot) != *key {
            return Err(Error::WrongKey);
        }
        let signature = Signature(fixed(&wire.certificate)?);
        let certificate = Certificate { request: Request { day, slot, record_pk }, blinded, signature };
        certificate.verify().map_err(|_| Error::BadSignature)?;
        signed.verify(label::RECORD, &record_pk).map_err(|_| Error::BadSignature)?;
        let meta = RecordMeta { seq: wire.sequence, expires, day, slot, empty: wire.ciphertext.is_empty() };
        Ok(Self { meta, blinded, record_pk, ciphertext: wire.ciphertext })
    }

    /// Gives what the value is sealed with: everything about the record that is not the value.
    pub(super) fn associated_data(meta: &RecordMeta, blinded: &VerifyingKey, record_pk: &VerifyingKey) -> Vec<u8> {
        let transcript = Transcript::new(label::RECORD_VALUE).u32(VERSION).u32(meta.day.0).u32(meta.slot);
        let keys = transcript.field(blinded.as_bytes()).field(record_pk.as_bytes());
        keys.u64(meta.seq).u64(meta.expires.as_millis()).bytes()
    }
}

/// Returns when a record of a day ends.
pub(crate) const fn expiry(day: Day) -> Timestamp {
    day.plus(LIFE_DAYS).start()
}

impl RecordSigner {
    /// Returns the key that this signer's record lies under.
    pub fn record_key(&self) -> RecordKey {
        record_key(&self.certificate.blinded, self.certificate.request.day, self.certificate.request.slot)
    }

    /// Makes the record that says the slot is empty, over whatever lies there with a lower sequence.
    pub fn empty(&self, sequence: u64) -> Vec<u8> {
        self.sign(&self.meta(sequence, true), Vec::new())
    }

    pub(super) const fn meta(&self, seq: u64, empty: bool) -> RecordMeta {
        let Request { day, slot, .. } = self.certificate.request;
        RecordMeta { seq, expires: expiry(day), day, slot, empty }
    }

    pub(super) fn sign(&self, meta: &RecordMeta, ciphertext: Vec<u8>) -> Vec<u8> {
        let payload = wire::encode(&proto::RecordPayload {
            version: VERSION,
            day: meta.day.0,
            slot: meta.slot,
            blinded_key: self.certificate.blinded.as_bytes().to_vec(),
            record_key: self.certificate.request.record_pk.as_bytes().to_vec(),
            certificate: self.certificate.signature.as_bytes().to_vec(),
            sequence: meta.seq,
            expires_ms: meta.expires.as_millis(),
            ciphertext,
        });
        Signed::sign(label::RECORD, payload, &self.key).encode()
    }
}

#[cfg(test)]
mod tests;
