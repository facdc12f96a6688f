//! The slot record: where members who may admit publish an invite record, in the DHT and at relays. A storing node checks it
//! without learning which invite or channel it is of. Must not know what is sealed in it.

use super::{InvitePublic, expect_version};
use crate::{
    Day, KeptId, RecordKey, Timestamp,
    crypto::{
        Secret, aead,
        kdf::hkdf,
        label,
        sign::{SigningKey, VerifyingKey},
    },
    limits::{DESCRIPTOR_MAX, INVITE_SLOTS},
    prekey::{
        RecordMeta,
        record::{Claims, Error, expiry, replaces},
    },
    proto::{invite as proto, wire::Sum},
    wire::{self, Signed, Transcript},
};
use rand_core::CryptoRng;
use std::fmt;

/// The kind of a slot record among the DHT's records. (A descriptor's record has none: it begins with its payload.)
const KIND: u32 = 2;

/// One of an invite's places on one day, with the key that may write it: whoever knows the invite's public key has it.
#[derive(Clone)]
pub struct Slot {
    pub(super) invite: InvitePublic,
    day: Day,
    slot: u32,
    key: SigningKey,
}

impl Slot {
    pub(super) const fn new(invite: InvitePublic, day: Day, slot: u32, key: SigningKey) -> Self {
        Self { invite, day, slot, key }
    }

    /// Returns its name in the DHT.
    pub fn record_key(&self) -> RecordKey {
        name(&self.key.public(), self.day, self.slot)
    }

    /// Returns its name at a relay, which no two relays have in common.
    pub fn kept_id(&self, peer: &str) -> KeptId {
        KeptId::from_bytes(*self.kept(label::INVITE_KEPT_ID, peer).as_bytes())
    }

    /// Seals a slot record once more for a relay to keep, so that it and the DHT's show nothing in common.
    pub fn seal_kept(&self, peer: &str, record: &[u8], rng: &mut impl CryptoRng) -> Vec<u8> {
        aead::seal_random(&self.kept(label::INVITE_KEPT_KEY, peer), self.kept_id(peer).as_bytes(), record, rng)
    }

    /// Opens what a relay gave; nothing if it is not what a member left there.
    pub fn open_kept(&self, peer: &str, sealed: &[u8]) -> Option<Vec<u8>> {
        let key = self.kept(label::INVITE_KEPT_KEY, peer);
        let record = aead::open_random(&key, self.kept_id(peer).as_bytes(), sealed).ok()?;
        Some(record.to_vec()).filter(|record| record.len() <= DESCRIPTOR_MAX)
    }

    fn kept(&self, label: &'static str, peer: &str) -> Secret<32> {
        let info = Transcript::new(label).field(peer.as_bytes()).u32(self.day.0).u32(self.slot).bytes();
        hkdf(&[], self.invite.sign.as_bytes(), &info)
    }

    /// Makes the record that says the slot is empty, over whatever lies there with a lower sequence.
    pub fn empty(&self, sequence: u64) -> Vec<u8> {
        self.sign(sequence, Vec::new())
    }

    pub(super) fn sign(&self, sequence: u64, sealed: Vec<u8>) -> Vec<u8> {
        let payload = wire::encode(&proto::SlotPayload {
            version: super::VERSION,
            day: self.day.0,
            slot: self.slot,
            slot_key: self.key.public().as_bytes().to_vec(),
            sequence,
            expires_ms: expiry(self.day).as_millis(),
            sealed,
        });
        wire::encode(&Sum { kind: KIND, body: Signed::sign(label::INVITE_SLOT, payload, &self.key).encode() })
    }

    /// Gives what a record in this slot is sealed with: everything about the slot record that is not the value.
    pub(super) fn associated_data(&self, sequence: u64, expires: Timestamp) -> Vec<u8> {
        let transcript = Transcript::new(label::INVITE_RECORD_SEAL).u32(super::VERSION);
        let keys = transcript.field(self.invite.sign.as_bytes()).field(self.key.public().as_bytes());
        keys.u32(self.day.0).u32(self.slot).u64(sequence).u64(expires.as_millis()).bytes()
    }

    pub(super) const fn expires(&self) -> Timestamp {
        expiry(self.day)
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { invite: _, day, slot, key: _ } = self;
        f.debug_struct("Slot").field("day", day).field("slot", slot).finish_non_exhaustive()
    }
}

/// Says whether bytes for a record key claim to be a slot record rather than a descriptor's record.
pub fn is_slot_record(bytes: &[u8]) -> bool {
    wire::decode::<Sum>(bytes, DESCRIPTOR_MAX).is_ok_and(|sum| sum.kind == KIND)
}

/// Checks a slot record as a storing node does, which knows no invite: size, shape, day, expiry, name, signature, sequence
/// (R-INV-5). Everything cheap comes before the signature.
pub fn check_slot(key: &RecordKey, bytes: &[u8], now: Timestamp) -> Result<RecordMeta, Error> {
    check(key, bytes, now).map(|(meta, _)| meta)
}

/// Says whether a storing node that has checked `new` puts it in the place of `old`, as R-DESC-5 has it for descriptors.
pub fn slot_supersedes(old: &[u8], new: &[u8], now: Timestamp) -> bool {
    let sequence = |bytes: &[u8]| decode(bytes).ok().map(|(_, payload)| payload.sequence);
    old == new || replaces(sequence(old), sequence(new), now)
}

/// Computes the name a slot record lies under: without the slot key nobody writes there.
fn name(slot_key: &VerifyingKey, day: Day, slot: u32) -> RecordKey {
    let transcript = Transcript::new(label::INVITE_SLOT_NAME).field(slot_key.as_bytes()).u32(day.0).u32(slot);
    RecordKey::from_bytes(transcript.sha256())
}

fn decode(bytes: &[u8]) -> Result<(Signed, proto::SlotPayload), Error> {
    let sum: Sum = wire::decode(bytes, DESCRIPTOR_MAX)?;
    if sum.kind != KIND {
        return Err(wire::Error::Unknown(sum.kind).into());
    }
    let signed = Signed::decode(&sum.body, DESCRIPTOR_MAX)?;
    let payload: proto::SlotPayload = wire::decode(&signed.payload, DESCRIPTOR_MAX)?;
    expect_version(payload.version)?;
    Ok((signed, payload))
}

/// Checks a slot record and gives what is sealed in it.
pub(super) fn check(key: &RecordKey, bytes: &[u8], now: Timestamp) -> Result<(RecordMeta, Vec<u8>), Error> {
    let (signed, wire) = decode(bytes)?;
    let (day, slot) = (Day(wire.day), wire.slot);
    let claims = Claims { day, slot, slots: INVITE_SLOTS, expires_ms: wire.expires_ms, seq: wire.sequence };
    let expires = claims.check(now)?;
    let slot_key = VerifyingKey::parse(&wire.slot_key).map_err(|_| Error::BadKey)?;
    if name(&slot_key, day, slot) != *key {
        return Err(Error::WrongKey);
    }
    signed.verify(label::INVITE_SLOT, &slot_key).map_err(|_| Error::BadSignature)?;
    Ok((RecordMeta { seq: wire.sequence, expires, day, slot, empty: wire.sealed.is_empty() }, wire.sealed))
}
