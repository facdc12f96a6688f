//! The prekey bundle: what a first message to a device is sealed with, signed by that device. Must not know where it was
//! found, nor who may speak for the account: the caller names the device it expects.

use super::sequence;
use crate::{
    AccountId, Day, DeviceId, Fault, Timestamp,
    crypto::{dh::DhPublic, kem::KemPublic, label},
    identity::{DeviceInfo, DeviceSecrets},
    limits::{BUNDLE_MAX, BUNDLE_USABLE_MS, CLOCK_SKEW_MS, RECORD_LIFETIME_MAX_MS},
    proto::prekey as proto,
    wire::{self, Extensions, Signed, fixed},
};
use std::fmt;

/// The suite this program speaks: X25519 and ML-KEM-768, Ed25519, SHA-256, AES-256-GCM.
pub const SUITE: u32 = 1;
/// The version of bundles this program writes and reads.
const VERSION: u32 = 1;
/// Milliseconds that a new bundle is fresh: published for today and six days ahead.
const FRESH_MS: u64 = 7 * 86_400_000;

/// A bundle is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The bytes are no bundle in its one spelling.
    #[error(transparent)]
    Wire(#[from] wire::Error),
    /// It is signed by another key than the expected device's.
    #[error("the bundle is not signed by its device")]
    BadSignature,
    /// It is rightly signed and names another account or device.
    #[error("the bundle names another device")]
    OtherDevice,
    /// One of its keys is weak, not canonical or malformed.
    #[error("the bundle carries an unacceptable key")]
    BadKey,
    /// It speaks no suite that this program does, or less than a suite seen before.
    #[error("the bundle's suite {suite} is not acceptable")]
    Suite {
        /// What it offers.
        suite: u32,
    },
    /// Its times make no sense: they end before they begin, or span too long.
    #[error("the bundle's times are out of bounds")]
    Times,
    /// It is not valid yet, by more than a day.
    #[error("the bundle is not valid yet")]
    NotYet,
    /// It is too old even for a stale one.
    #[error("the bundle has expired")]
    Expired,
    /// Its sequence is refused.
    #[error(transparent)]
    Sequence(#[from] sequence::Error),
}

impl Error {
    /// Says who is to blame.
    pub const fn fault(&self) -> Fault {
        match self {
            Self::NotYet | Self::Expired => Fault::Transient,
            Self::Sequence(e) => e.fault(),
            _ => Fault::Peer,
        }
    }
}

/// What a device puts in a bundle.
#[derive(Clone, Debug)]
pub struct BundleParts {
    /// Names the signed prekeys.
    pub signed_prekey_id: u32,
    /// The X25519 half.
    pub signed_prekey: DhPublic,
    /// The ML-KEM half.
    pub kem_prekey: KemPublic,
    /// The day of the mailbox key.
    pub mailbox_day: Day,
    /// What envelopes are sealed to.
    pub mailbox_key: DhPublic,
    /// Chosen by [`sequence::next`].
    pub sequence: u64,
}

/// A verified bundle: made by nothing but [`Bundle::verify`].
#[derive(Clone, PartialEq, Eq)]
pub struct Bundle {
    id: [u8; 32],
    signed: Signed,
    account: AccountId,
    device: DeviceInfo,
    suite: u32,
    min_suite: u32,
    sequence: u64,
    not_before: Timestamp,
    not_after: Timestamp,
    signed_prekey_id: u32,
    signed_prekey: DhPublic,
    kem_prekey: KemPublic,
    mailbox_day: Day,
    mailbox_key: DhPublic,
}

impl Bundle {
    /// Signs a bundle, valid from now for seven days and usable as a stale one for thirty.
    pub fn sign(account: AccountId, device: &DeviceSecrets, parts: &BundleParts, now: Timestamp) -> Signed {
        let payload = wire::encode(&proto::Bundle {
            version: VERSION,
            suite: SUITE,
            min_suite: SUITE,
            account: account.as_bytes().to_vec(),
            device: device.id().as_bytes().to_vec(),
            sequence: parts.sequence,
            not_before_ms: now.as_millis(),
            not_after_ms: now.plus_millis(FRESH_MS).as_millis(),
            signed_prekey_id: parts.signed_prekey_id,
            signed_prekey: parts.signed_prekey.as_bytes().to_vec(),
            kem_prekey: parts.kem_prekey.to_bytes(),
            mailbox_day: parts.mailbox_day.0,
            mailbox_key: parts.mailbox_key.as_bytes().to_vec(),
            extensions: Vec::new(),
        });
        Signed::sign(label::BUNDLE, payload, device.sign())
    }

    /// Decodes and verifies a bundle that must be this device's of this account (R-DESC-7).
    pub fn verify(bytes: &[u8], account: &AccountId, device: &DeviceInfo, now: Timestamp) -> Result<Self, Error> {
        let signed = Signed::decode(bytes, BUNDLE_MAX)?;
        let payload = signed.verify(label::BUNDLE, &device.sign_pk).map_err(|_| Error::BadSignature)?;
        let wire: proto::Bundle = wire::decode(payload, BUNDLE_MAX)?;
        if wire.version != VERSION {
            return Err(wire::Error::Unknown(wire.version).into());
        }
        Extensions::from_wire(wire.extensions, &[])?;
        if fixed(&wire.account)? != *account.as_bytes() || fixed(&wire.device)? != *device.id.as_bytes() {
            return Err(Error::OtherDevice);
        }
        // A later suite is no reason to refuse as long as the device still speaks ours.
        if wire.suite < wire.min_suite || wire.min_suite == 0 || wire.min_suite > SUITE {
            return Err(Error::Suite { suite: wire.suite });
        }
        let (not_before, not_after) =
            (Timestamp::from_millis(wire.not_before_ms), Timestamp::from_millis(wire.not_after_ms));
        check_times(not_before, not_after, now)?;
        sequence::check(None, wire.sequence, now)?;
        Ok(Self {
            id: signed.id(label::BUNDLE),
            account: *account,
            device: device.clone(),
            suite: wire.suite,
            min_suite: wire.min_suite,
            sequence: wire.sequence,
            not_before,
            not_after,
            signed_prekey_id: wire.signed_prekey_id,
            signed_prekey: DhPublic::parse(&wire.signed_prekey).map_err(|_| Error::BadKey)?,
            kem_prekey: KemPublic::parse(&wire.kem_prekey).map_err(|_| Error::BadKey)?,
            mailbox_day: Day(wire.mailbox_day),
            mailbox_key: DhPublic::parse(&wire.mailbox_key).map_err(|_| Error::BadKey)?,
            signed,
        })
    }

    /// Checks the bundle against what is remembered of the device: the highest sequence seen and the suite floor. Returns
    /// the new floor, which only rises (R-PRE-3).
    pub fn check_pins(&self, sequence: Option<u64>, floor: u32, now: Timestamp) -> Result<u32, Error> {
        sequence::check(sequence, self.sequence, now)?;
        if self.suite < floor || self.min_suite < floor.min(SUITE) {
            return Err(Error::Suite { suite: self.suite });
        }
        Ok(floor.max(self.min_suite))
    }

    /// Returns the id: the hash of the signed payload.
    pub const fn bundle_id(&self) -> &[u8; 32] {
        &self.id
    }

    /// Returns the bytes as they came, for a row or to hand on.
    pub fn encode(&self) -> Vec<u8> {
        self.signed.encode()
    }

    /// Returns whose device this is.
    pub const fn account(&self) -> AccountId {
        self.account
    }

    /// Returns the device that signed it.
    pub const fn device(&self) -> &DeviceInfo {
        &self.device
    }

    /// Returns the device's id.
    pub const fn device_id(&self) -> DeviceId {
        self.device.id
    }

    /// Returns the suite to use with the device: the highest both sides speak.
    pub const fn suite(&self) -> u32 {
        if self.suite < SUITE { self.suite } else { SUITE }
    }

    /// Returns the lowest suite the device still speaks.
    pub const fn min_suite(&self) -> u32 {
        self.min_suite
    }

    /// Returns the sequence.
    pub const fn seq(&self) -> u64 {
        self.sequence
    }

    /// Returns since when it is valid.
    pub const fn not_before(&self) -> Timestamp {
        self.not_before
    }

    /// Returns until when it is fresh.
    pub const fn not_after(&self) -> Timestamp {
        self.not_after
    }

    /// Says whether it is past its time: usable where nothing newer is found, and shown as stale.
    pub fn is_stale(&self, now: Timestamp) -> bool {
        now > self.not_after
    }

    /// Returns the name of the signed prekeys.
    pub const fn signed_prekey_id(&self) -> u32 {
        self.signed_prekey_id
    }

    /// Returns the X25519 prekey.
    pub const fn signed_prekey(&self) -> &DhPublic {
        &self.signed_prekey
    }

    /// Returns the ML-KEM prekey.
    pub const fn kem_prekey(&self) -> &KemPublic {
        &self.kem_prekey
    }

    /// Returns the day of the mailbox key.
    pub const fn mailbox_day(&self) -> Day {
        self.mailbox_day
    }

    /// Returns what envelopes are sealed to.
    pub const fn mailbox_key(&self) -> &DhPublic {
        &self.mailbox_key
    }
}

impl fmt::Debug for Bundle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut s = f.debug_struct("Bundle");
        s.field("device", &self.device.id).field("sequence", &self.sequence).field("suite", &self.suite);
        s.field("not_before", &self.not_before).field("signed_prekey_id", &self.signed_prekey_id);
        s.finish_non_exhaustive()
    }
}

/// Bounds a bundle's times: clocks may differ by a day, not by years.
fn check_times(not_before: Timestamp, not_after: Timestamp, now: Timestamp) -> Result<(), Error> {
    if not_after <= not_before || not_after.millis_since(not_before) > RECORD_LIFETIME_MAX_MS {
        return Err(Error::Times);
    }
    if not_before > now.plus_millis(CLOCK_SKEW_MS) {
        return Err(Error::NotYet);
    }
    if now > not_before.plus_millis(BUNDLE_USABLE_MS) { Err(Error::Expired) } else { Ok(()) }
}

#[cfg(test)]
mod tests;
