//! What a record's ciphertext says, for those who hold the contact code: one device's bundle, addresses and mailboxes, and
//! the log that proves it. Must not know how records are found.

use super::{
    Bundle, bundle,
    certificate::{Certificates, RecordSigner, blinded},
    record::{self, Record},
};
use crate::{
    AccountId, Day, DeviceId, Fault, RecordKey, Timestamp,
    code::is_address,
    crypto::{Secret, aead, kdf::hkdf, label},
    identity::{DeviceInfo, DeviceLog, ReachSecret, device_log},
    limits::{
        ADDRESS_MAX, ADDRESSES_MAX, BUNDLE_MAX, DESCRIPTOR_DAYS_AHEAD, DESCRIPTOR_MAX, KEPT_DAYS, MAILBOXES_MAX,
        PASS_MAX, PEER_ID_MAX,
    },
    proto::prekey as proto,
    wire::{self, Extensions, Signed, Transcript, fixed},
};
use rand_core::CryptoRng;

/// The version of descriptors this program writes and reads.
const VERSION: u32 = 1;
/// What a record adds to its value in bytes: keys, certificate, signature, counters, nonce and tag, field headers.
const RECORD_OVERHEAD: usize = 320;
/// Largest value in bytes.
const VALUE_MAX: usize = DESCRIPTOR_MAX - RECORD_OVERHEAD;
/// Values are padded to multiples of this, so that lengths do not show addresses or devices one by one.
const PAD_TO: usize = 1024;

/// A descriptor is refused, or could not be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The record around it is refused.
    #[error(transparent)]
    Record(#[from] record::Error),
    /// The record is another account's, or made under another reach secret.
    #[error("the record is not this account's")]
    Foreign,
    /// The slot is empty: its device is gone, or moved.
    #[error("the slot is empty")]
    Empty {
        /// The sequence of the record that says so.
        sequence: u64,
    },
    /// The value does not open.
    #[error("the record does not open")]
    NotAuthentic,
    /// The value is no descriptor in its one spelling, or over a maximum.
    #[error(transparent)]
    Wire(#[from] wire::Error),
    /// Its device log is refused.
    #[error(transparent)]
    Log(#[from] device_log::Error),
    /// Its device is not, or no longer, of the account, or the slot is another device's.
    #[error("the slot's device does not speak for the account")]
    WrongDevice,
    /// Its bundle is refused.
    #[error(transparent)]
    Bundle(#[from] bundle::Error),
    /// An address is none.
    #[error("the descriptor holds something that is no address")]
    BadAddress,
    /// What should be published does not fit a record.
    #[error("the descriptor does not fit a record")]
    TooLarge,
    /// No certificate for the day.
    #[error("no certificate for the day")]
    NotCertified,
}

impl Error {
    /// Says who is to blame.
    pub const fn fault(&self) -> Fault {
        match self {
            Self::Record(e) => e.fault(),
            Self::Log(e) => e.fault(),
            Self::Bundle(e) => e.fault(),
            Self::Empty { .. } | Self::WrongDevice => Fault::Transient,
            Self::TooLarge | Self::NotCertified => Fault::Local,
            Self::Foreign | Self::NotAuthentic | Self::Wire(_) | Self::BadAddress => Fault::Peer,
        }
    }
}

/// What a device publishes.
#[derive(Clone, Debug)]
pub struct DescriptorParts<'a> {
    /// Its signed bundle.
    pub bundle: &'a Signed,
    /// Its account's log.
    pub log: &'a DeviceLog,
    /// The transport's peer id, as bytes.
    pub peer_id: &'a [u8],
    /// Where it listens, at most eight.
    pub addresses: &'a [String],
    /// Passes for strangers to mailboxes at relays, encoded.
    pub mailboxes: &'a [Vec<u8>],
    /// Chosen by [`super::sequence::next`].
    pub sequence: u64,
}

/// A verified descriptor: the account admitted the device, and the device signed the bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Descriptor {
    /// Whose.
    pub account: AccountId,
    /// Which device.
    pub device: DeviceInfo,
    /// What first messages are sealed with.
    pub bundle: Bundle,
    /// The account's log as this device knew it.
    pub log: DeviceLog,
    /// The transport's peer id, as bytes.
    pub peer_id: Vec<u8>,
    /// Where the device may be dialled.
    pub addresses: Vec<String>,
    /// Passes for strangers to its mailboxes, encoded: read by `mailbox::passes`.
    pub mailboxes: Vec<Vec<u8>>,
    /// Higher is newer.
    pub sequence: u64,
    /// The record's day.
    pub day: Day,
    /// The record's slot.
    pub slot: u32,
    /// When the record ends.
    pub expires: Timestamp,
}

impl DescriptorParts<'_> {
    /// Seals a record for the day and slot that the signer is certified for.
    pub fn seal(
        &self,
        account: &AccountId,
        reach: &ReachSecret,
        signer: &RecordSigner,
        rng: &mut impl CryptoRng,
    ) -> Result<(RecordKey, Vec<u8>), Error> {
        let bytes = seal_value(account, reach, signer, self.sequence, &self.encode()?, rng);
        if bytes.len() > DESCRIPTOR_MAX { Err(Error::TooLarge) } else { Ok((signer.record_key(), bytes)) }
    }

    /// Seals the records to publish: today's and those of six days ahead (R-DESC-9).
    pub fn publish(
        &self,
        account: &AccountId,
        reach: &ReachSecret,
        certificates: &Certificates,
        now: Timestamp,
        rng: &mut impl CryptoRng,
    ) -> Result<Vec<(RecordKey, Vec<u8>)>, Error> {
        let days = (0..=DESCRIPTOR_DAYS_AHEAD).map(|ahead| now.day().plus(ahead));
        let signers: Vec<_> = days.filter_map(|day| certificates.signer(day)).collect();
        if signers.is_empty() {
            return Err(Error::NotCertified);
        }
        signers.iter().map(|signer| self.seal(account, reach, signer, rng)).collect()
    }

    fn encode(&self) -> Result<Vec<u8>, Error> {
        let mut value = proto::DescriptorValue {
            version: VERSION,
            bundle: self.bundle.encode(),
            log: self.log.signed_ops().iter().map(Signed::encode).collect(),
            peer_id: self.peer_id.to_vec(),
            addresses: self.addresses.to_vec(),
            mailboxes: self.mailboxes.to_vec(),
            sequence: self.sequence,
            extensions: Vec::new(),
            padding: Vec::new(),
        };
        check_lists(&value)?;
        let len = wire::encode(&value).len();
        if len > VALUE_MAX {
            return Err(Error::TooLarge);
        }
        let room = len.next_multiple_of(PAD_TO).min(VALUE_MAX).saturating_sub(len);
        // The field's own header: a tag, and a length of one byte or two.
        let header = if room < 130 { 2 } else { 3 };
        value.padding = vec![0; room.saturating_sub(header)];
        Ok(wire::encode(&value))
    }
}

impl Descriptor {
    /// Opens a record as a reader does who holds the contact code (R-DESC-7): blinded key, value, log, device, bundle.
    pub fn open(
        account: &AccountId,
        reach: &ReachSecret,
        key: &RecordKey,
        bytes: &[u8],
        now: Timestamp,
    ) -> Result<Self, Error> {
        Self::of_record(account, reach, Record::check(key, bytes, now)?, now)
    }

    /// Opens a record that a relay kept while its device was off: as [`Descriptor::open`], but up to thirty days after the
    /// record's day; its bundle says itself how long it is usable, and whether it is stale (R-MBX-6).
    pub fn open_kept(
        account: &AccountId,
        reach: &ReachSecret,
        bytes: &[u8],
        now: Timestamp,
    ) -> Result<(RecordKey, Self), Error> {
        let (day, slot) = record::place(bytes)?;
        if now.day() > day.plus(KEPT_DAYS as u32) {
            return Err(record::Error::Day.into());
        }
        let key = record::record_key_of(account, reach, day, slot).ok_or(Error::Foreign)?;
        let then = now.min(day.plus(1).start());
        Ok((key, Self::of_record(account, reach, Record::check(&key, bytes, then)?, now)?))
    }

    fn of_record(account: &AccountId, reach: &ReachSecret, record: Record, now: Timestamp) -> Result<Self, Error> {
        let meta = record.meta;
        if blinded(account, reach, meta.day) != Some(record.blinded) {
            return Err(Error::Foreign);
        }
        if meta.empty {
            return Err(Error::Empty { sequence: meta.seq });
        }
        let aad = Record::associated_data(&meta, &record.blinded, &record.record_pk);
        let key = value_key(account, reach, meta.day, meta.slot);
        let plain = aead::open_random(&key, &aad, &record.ciphertext).map_err(|_| Error::NotAuthentic)?;
        let value: proto::DescriptorValue = wire::decode(&plain, VALUE_MAX)?;
        if value.version != VERSION {
            return Err(wire::Error::Unknown(value.version).into());
        }
        if value.sequence != meta.seq || value.padding.iter().any(|b| *b != 0) {
            return Err(wire::Error::OutOfBounds.into());
        }
        check_lists(&value)?;
        Extensions::from_wire(value.extensions, &[])?;
        let log = DeviceLog::verify_from(*account, &device_log::decode_ops(&value.log)?, now)?;
        let device = log.device(&claimed_device(&value.bundle)?).ok_or(Error::WrongDevice)?.clone();
        if log.slot(&device.id) != Some(meta.slot) {
            return Err(Error::WrongDevice);
        }
        Ok(Self {
            account: *account,
            bundle: Bundle::verify(&value.bundle, account, &device, now)?,
            device,
            log,
            peer_id: value.peer_id,
            addresses: value.addresses,
            mailboxes: value.mailboxes,
            sequence: meta.seq,
            day: meta.day,
            slot: meta.slot,
            expires: meta.expires,
        })
    }
}

/// Opens a record as a reader does; the same as [`Descriptor::open`].
pub fn open_record(
    account: &AccountId,
    reach: &ReachSecret,
    key: &RecordKey,
    bytes: &[u8],
    now: Timestamp,
) -> Result<Descriptor, Error> {
    Descriptor::open(account, reach, key, bytes, now)
}

/// Encrypts a value and signs the record around it.
fn seal_value(
    account: &AccountId,
    reach: &ReachSecret,
    signer: &RecordSigner,
    sequence: u64,
    value: &[u8],
    rng: &mut impl CryptoRng,
) -> Vec<u8> {
    let meta = signer.meta(sequence, false);
    let (blinded, record_pk) = (&signer.certificate.blinded, &signer.certificate.request.record_pk);
    let aad = Record::associated_data(&meta, blinded, record_pk);
    let key = value_key(account, reach, meta.day, meta.slot);
    signer.sign(&meta, aead::seal_random(&key, &aad, value, rng))
}

/// Derives the key of a record's value: who does not hold the contact code cannot (R-DESC-1).
pub(super) fn value_key(account: &AccountId, reach: &ReachSecret, day: Day, slot: u32) -> Secret<32> {
    let info = Transcript::new(label::RECORD_VALUE).u32(day.0).u32(slot).bytes();
    hkdf(reach.as_bytes(), account.as_bytes(), &info)
}

/// Reads which device a bundle claims to be of, so that the log can be asked for its key; nothing is believed yet.
fn claimed_device(bundle: &[u8]) -> Result<DeviceId, Error> {
    let signed = Signed::decode(bundle, BUNDLE_MAX)?;
    let bundle: proto::Bundle = wire::decode(&signed.payload, BUNDLE_MAX)?;
    Ok(DeviceId::from_bytes(fixed(&bundle.device)?))
}

/// Checks everything that has a maximum of its own (R-DESC-10).
fn check_lists(value: &proto::DescriptorValue) -> Result<(), Error> {
    wire::at_most(&value.addresses, ADDRESSES_MAX)?;
    wire::at_most(&value.mailboxes, MAILBOXES_MAX)?;
    let address = |a: &String| a.len() <= ADDRESS_MAX && is_address(a);
    if !value.addresses.iter().all(address) {
        return Err(Error::BadAddress);
    }
    let long = value.mailboxes.iter().any(|m| m.len() > PASS_MAX);
    if long || value.mailboxes.iter().any(Vec::is_empty) || value.peer_id.len() > PEER_ID_MAX {
        return Err(wire::Error::OutOfBounds.into());
    }
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests;
