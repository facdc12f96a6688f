//! A device's own prekeys: made daily, retired, and deleted when no honest first message can name them any more. Must not
//! know who uses them.

use super::{
    Bundle, BundleParts,
    sequence::{self, next_id},
};
use crate::{
    AccountId, Day, Timestamp,
    crypto::{Secret, dh::DhSecret, kem::KemSecret},
    identity::DeviceSecrets,
    limits::{CLOCK_SKEW_MS, PREKEY_RETENTION_DAYS, PREKEY_ROTATION_MS},
    wire::Signed,
};
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use std::fmt;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Retired sets kept at most, whatever the clock does: one a day for the retention, and as many again for rotations that
/// were forced. The oldest goes first.
const RETIRED_MAX: usize = 2 * PREKEY_RETENTION_DAYS as usize;

/// The private half of what one bundle offers.
#[derive(Clone)]
pub struct Prekeys {
    id: u32,
    made: Timestamp,
    signed_prekey: DhSecret,
    kem_prekey: KemSecret,
    mailbox_day: Day,
    mailbox_key: DhSecret,
    delete_after: Option<Timestamp>,
}

impl Prekeys {
    fn make(id: u32, now: Timestamp, rng: &mut impl CryptoRng) -> Self {
        Self {
            id,
            made: now,
            signed_prekey: DhSecret::random(rng),
            kem_prekey: KemSecret::random(rng),
            mailbox_day: now.day(),
            mailbox_key: DhSecret::random(rng),
            delete_after: None,
        }
    }

    /// Returns the name that bundles and first messages use.
    pub const fn id(&self) -> u32 {
        self.id
    }

    /// Returns the X25519 prekey.
    pub const fn signed_prekey(&self) -> &DhSecret {
        &self.signed_prekey
    }

    /// Returns the ML-KEM prekey.
    pub const fn kem_prekey(&self) -> &KemSecret {
        &self.kem_prekey
    }
}

impl fmt::Debug for Prekeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, made, signed_prekey: _, kem_prekey: _, mailbox_day, mailbox_key: _, delete_after } = self;
        let mut s = f.debug_struct("Prekeys");
        s.field("id", id).field("made", made).field("day", mailbox_day).field("delete_after", delete_after);
        s.finish_non_exhaustive()
    }
}

/// A device's current and retired prekeys. Which first messages named them is for whoever stores the pool to remember.
#[derive(Clone)]
pub struct PrekeyPool {
    current: Prekeys,
    retired: Vec<Prekeys>,
    sequence: u64,
}

impl PrekeyPool {
    /// Makes the first keys.
    pub fn generate(now: Timestamp, rng: &mut impl CryptoRng) -> Self {
        let current = Prekeys::make(next_id(None, now), now, rng);
        Self { current, retired: Vec::new(), sequence: 0 }
    }

    /// Says whether the current keys are a day old, of an earlier day, or of a clock that was wrong.
    pub fn is_due(&self, now: Timestamp) -> bool {
        now.millis_since(self.current.made) >= PREKEY_ROTATION_MS
            || now.day() > self.current.mailbox_day
            || self.current.made.millis_since(now) > CLOCK_SKEW_MS
    }

    /// Makes new keys if the current ones are due, and retires those (R-PRE-1). Returns whether anything changed.
    pub fn rotate(&mut self, now: Timestamp, rng: &mut impl CryptoRng) -> bool {
        let due = self.is_due(now);
        if due {
            self.force_rotate(now, rng);
        }
        due
    }

    /// Makes new keys now, for instance after a suspected leak.
    pub fn force_rotate(&mut self, now: Timestamp, rng: &mut impl CryptoRng) {
        let mut next = Prekeys::make(next_id(Some(self.current.id), now), now, rng);
        // Names are never used twice, not even by a clock that went back.
        while self.by_id(next.id).is_some() {
            next.id = next.id.saturating_add(1);
        }
        // An envelope names a day, so a day has one mailbox key.
        if let Some(same) = self.mailbox_key(next.mailbox_day) {
            next.mailbox_key = same.clone();
        }
        let mut old = std::mem::replace(&mut self.current, next);
        // A clock that is behind takes nothing off the time for which others may use them.
        old.delete_after = Some(now.max(old.made).plus_days(u64::from(PREKEY_RETENTION_DAYS)));
        self.retired.push(old);
        let excess = self.retired.len().saturating_sub(RETIRED_MAX);
        self.retired.drain(..excess);
    }

    /// Deletes retired keys whose time is over; none unless every mailbox was read since the device woke, for mail sealed
    /// to them may still lie there (R-PRE-1). Returns the names of the deleted ones: what is remembered of first messages
    /// to them goes with them.
    pub fn delete_expired(&mut self, mailboxes_read: bool, now: Timestamp) -> Vec<u32> {
        if !mailboxes_read {
            return Vec::new();
        }
        let (gone, kept) =
            std::mem::take(&mut self.retired).into_iter().partition(|k| k.delete_after.is_some_and(|t| t <= now));
        self.retired = kept;
        let gone: Vec<Prekeys> = gone;
        gone.iter().map(|k| k.id).collect()
    }

    /// Signs a bundle of the current keys with the next sequence; the pool is stored before it is published.
    pub fn bundle(&mut self, account: AccountId, device: &DeviceSecrets, now: Timestamp) -> Signed {
        self.sequence = sequence::next(Some(self.sequence), now);
        let parts = BundleParts {
            signed_prekey_id: self.current.id,
            signed_prekey: self.current.signed_prekey.public(),
            kem_prekey: self.current.kem_prekey.public(),
            mailbox_day: self.current.mailbox_day,
            mailbox_key: self.current.mailbox_key.public(),
            sequence: self.sequence,
        };
        Bundle::sign(account, device, &parts, now)
    }

    fn all(&self) -> impl Iterator<Item = &Prekeys> {
        std::iter::once(&self.current).chain(self.retired.iter().rev())
    }

    /// Finds the prekeys that a first message names.
    pub fn by_id(&self, id: u32) -> Option<&Prekeys> {
        self.all().find(|k| k.id == id)
    }

    /// Finds the mailbox key that an envelope names by its day.
    pub fn mailbox_key(&self, day: Day) -> Option<&DhSecret> {
        self.all().find(|k| k.mailbox_day == day).map(|k| &k.mailbox_key)
    }

    /// Returns the current keys.
    pub const fn current(&self) -> &Prekeys {
        &self.current
    }

    /// Returns the form for a sealed row.
    pub fn to_stored(&self) -> StoredPool {
        StoredPool { keys: self.all().map(StoredPrekeys::of).collect(), sequence: self.sequence }
    }

    /// Takes back what a sealed row held; `None` if it holds no keys.
    pub fn from_stored(stored: &StoredPool) -> Option<Self> {
        let (current, retired) = stored.keys.split_first()?;
        Some(Self {
            current: current.restore(),
            retired: retired.iter().rev().map(StoredPrekeys::restore).collect(),
            sequence: stored.sequence,
        })
    }
}

impl fmt::Debug for PrekeyPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { current, retired, sequence } = self;
        let mut s = f.debug_struct("PrekeyPool");
        s.field("current", current).field("retired", &retired.len()).field("sequence", sequence).finish()
    }
}

/// A pool as a row that the store seals: wiped on drop, silent in `Debug`, in no backup.
#[derive(Clone, Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
pub struct StoredPool {
    keys: Vec<StoredPrekeys>,
    sequence: u64,
}

#[derive(Clone, Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
struct StoredPrekeys {
    id: u32,
    made_ms: u64,
    signed_prekey: [u8; 32],
    kem_prekey: ([u8; 32], [u8; 32]),
    mailbox_day: u32,
    mailbox_key: [u8; 32],
    delete_after_ms: Option<u64>,
}

impl StoredPrekeys {
    fn of(keys: &Prekeys) -> Self {
        let seed = keys.kem_prekey.to_seed();
        let mut halves = ([0; 32], [0; 32]);
        for (to, from) in halves.0.iter_mut().chain(halves.1.iter_mut()).zip(seed.as_bytes()) {
            *to = *from;
        }
        Self {
            id: keys.id,
            made_ms: keys.made.as_millis(),
            signed_prekey: *keys.signed_prekey.to_bytes().as_bytes(),
            kem_prekey: halves,
            mailbox_day: keys.mailbox_day.0,
            mailbox_key: *keys.mailbox_key.to_bytes().as_bytes(),
            delete_after_ms: keys.delete_after.map(Timestamp::as_millis),
        }
    }

    fn restore(&self) -> Prekeys {
        let mut seed = [0; 64];
        for (to, from) in seed.iter_mut().zip(self.kem_prekey.0.iter().chain(&self.kem_prekey.1)) {
            *to = *from;
        }
        let kem_prekey = KemSecret::from_seed(Secret::new(seed));
        seed.zeroize();
        Prekeys {
            id: self.id,
            made: Timestamp::from_millis(self.made_ms),
            signed_prekey: DhSecret::from_bytes(self.signed_prekey),
            kem_prekey,
            mailbox_day: Day(self.mailbox_day),
            mailbox_key: DhSecret::from_bytes(self.mailbox_key),
            delete_after: self.delete_after_ms.map(Timestamp::from_millis),
        }
    }
}

impl fmt::Debug for StoredPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { keys, sequence: _ } = self;
        write!(f, "StoredPool({} sets, ..)", keys.len())
    }
}

#[cfg(test)]
mod tests;
