//! One-time keys that a relay hands out for its owner: each relay has its own set, each key is signed by the device, and
//! serves one first message. Must not know relays.

use crate::{
    Fault, Timestamp,
    crypto::{dh::DhSecret, label},
    identity::{DeviceInfo, DeviceSecrets},
    limits::{ONE_TIME_KEY_DAYS, POOL_KEY_MAX, POOL_KEYS_MAX},
    prekey::{
        one_time::{self, HandedKey},
        sequence::next_id,
    },
    proto::prekey as proto,
    wire::{self, Signed},
};
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use std::fmt;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Marks the names of these keys, so that they are no names of keys that a session handed over.
const MARK: u32 = 1 << 31;
/// Private halves kept of one relay's set: those in its pool, those handed out whose first message is still on its way.
const OURS_MAX: usize = 5 * POOL_KEYS_MAX;

/// A key from a relay is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Not a signed key in its one spelling.
    #[error(transparent)]
    Wire(#[from] wire::Error),
    /// The key is weak or not canonical, or its name is none of a relay's set.
    #[error(transparent)]
    Key(#[from] one_time::Error),
    /// The device did not sign it.
    #[error("the one-time key is not the device's")]
    BadSignature,
    /// Its owner has deleted it by now.
    #[error("the one-time key has lapsed")]
    Lapsed,
}

impl Error {
    /// Says who is to blame: the relay that gave it, unless it was only slow.
    pub const fn fault(&self) -> Fault {
        match self {
            Self::Lapsed => Fault::Transient,
            _ => Fault::Peer,
        }
    }
}

/// Reads the name of a signed key without believing it, as a relay does.
pub fn pool_key_id(bytes: &[u8]) -> Result<u32, wire::Error> {
    let signed = Signed::decode(bytes, POOL_KEY_MAX)?;
    Ok(wire::decode::<proto::OneTimeKey>(&signed.payload, POOL_KEY_MAX)?.id)
}

/// Checks that the device signed a key that a relay gave (R-PRE-4).
pub fn verify_pool_key(bytes: &[u8], device: &DeviceInfo, now: Timestamp) -> Result<HandedKey, Error> {
    let signed = Signed::decode(bytes, POOL_KEY_MAX)?;
    let payload = signed.verify(label::ONE_TIME_KEY, &device.sign_pk).map_err(|_| Error::BadSignature)?;
    let key = HandedKey::decode(payload)?;
    if key.id & MARK == 0 {
        return Err(wire::Error::OutOfBounds.into());
    }
    if key.expires <= now { Err(Error::Lapsed) } else { Ok(key) }
}

/// The private halves of the set at one relay.
#[derive(Clone, Default)]
pub struct RelayPool {
    ours: Vec<(u32, DhSecret, Timestamp)>,
    last_id: Option<u32>,
}

impl RelayPool {
    /// Makes so many keys, signed, for the relay's pool.
    pub fn make(
        &mut self,
        count: usize,
        device: &DeviceSecrets,
        now: Timestamp,
        rng: &mut impl CryptoRng,
    ) -> Vec<(u32, Vec<u8>)> {
        self.expire(now);
        let expires = now.plus_days(u64::from(ONE_TIME_KEY_DAYS));
        let mut made = Vec::new();
        for _ in 0..count.min(POOL_KEYS_MAX) {
            let (id, secret) = (next_id(self.last_id, now), DhSecret::random(rng));
            self.last_id = Some(id);
            let id = id | MARK;
            let payload = HandedKey { id, key: secret.public(), expires }.encode();
            made.push((id, Signed::sign(label::ONE_TIME_KEY, payload, device.sign()).encode()));
            self.ours.push((id, secret, expires));
        }
        let excess = self.ours.len().saturating_sub(OURS_MAX);
        self.ours.drain(..excess);
        made
    }

    /// Makes no name that another relay's set has used: a first message says the name alone.
    pub fn follow(&mut self, other: &Self) {
        self.last_id = self.last_id.max(other.last_id);
    }

    /// Whether a name can be of a relay's set.
    pub const fn may_hold(id: u32) -> bool {
        id & MARK != 0
    }

    /// The private half of a key that a first message names.
    pub fn ours(&self, id: u32, now: Timestamp) -> Option<&DhSecret> {
        self.ours.iter().find(|(known, _, expires)| *known == id && *expires > now).map(|(_, secret, _)| secret)
    }

    /// Deletes a key that was used; tells whether it was there (R-PRE-2).
    pub fn consume(&mut self, id: u32) -> bool {
        let before = self.ours.len();
        self.ours.retain(|(known, ..)| *known != id);
        before != self.ours.len()
    }

    /// Deletes what has lapsed.
    pub fn expire(&mut self, now: Timestamp) {
        self.ours.retain(|(.., expires)| *expires > now);
    }

    /// Returns the form for a sealed row.
    pub fn to_stored(&self) -> StoredRelayPool {
        let ours = self.ours.iter().map(|(id, key, expires)| (*id, *key.to_bytes().as_bytes(), expires.as_millis()));
        StoredRelayPool { ours: ours.collect(), last_id: self.last_id }
    }

    /// Takes back what a sealed row held.
    pub fn from_stored(stored: &StoredRelayPool) -> Self {
        let ours =
            stored.ours.iter().map(|(id, key, ms)| (*id, DhSecret::from_bytes(*key), Timestamp::from_millis(*ms)));
        Self { ours: ours.collect(), last_id: stored.last_id }
    }
}

impl fmt::Debug for RelayPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { ours, last_id: _ } = self;
        write!(f, "RelayPool({} keys)", ours.len())
    }
}

/// A relay's set as a row that the store seals: wiped on drop, silent in `Debug`.
#[derive(Clone, Default, Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
pub struct StoredRelayPool {
    ours: Vec<(u32, [u8; 32], u64)>,
    last_id: Option<u32>,
}

impl fmt::Debug for StoredRelayPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { ours: _, last_id: _ } = self;
        f.write_str("StoredRelayPool(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    #[test]
    fn r_pre_4_a_relay_can_hand_out_only_what_the_device_signed() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let (device, other) = (DeviceSecrets::generate(&mut rng), DeviceSecrets::generate(&mut rng));
        let mut pool = RelayPool::default();
        let made = pool.make(3, &device, NOW, &mut rng);
        let key = verify_pool_key(&made[0].1, device.info(), NOW).unwrap();
        assert_eq!(pool_key_id(&made[0].1), Ok(made[0].0));
        assert_eq!(pool.ours(key.id, NOW).unwrap().public(), key.key);
        assert_eq!(verify_pool_key(&made[0].1, other.info(), NOW), Err(Error::BadSignature));
        let late = NOW.plus_days(u64::from(ONE_TIME_KEY_DAYS));
        assert_eq!(verify_pool_key(&made[0].1, device.info(), late), Err(Error::Lapsed));
        let session = HandedKey { id: 7, ..key };
        let unmarked = Signed::sign(label::ONE_TIME_KEY, session.encode(), device.sign()).encode();
        assert!(verify_pool_key(&unmarked, device.info(), NOW).is_err(), "a session's key is no relay's");
        assert!(made.iter().all(|(id, _)| RelayPool::may_hold(*id)));
    }

    #[test]
    fn r_pre_4_two_relays_never_hand_out_one_name() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let device = DeviceSecrets::generate(&mut rng);
        let (mut first, mut second) = (RelayPool::default(), RelayPool::default());
        let mut names = Vec::new();
        for _ in 0..3 {
            first.follow(&second);
            names.extend(first.make(5, &device, NOW, &mut rng).into_iter().map(|(id, _)| id));
            second.follow(&first);
            names.extend(second.make(5, &device, NOW, &mut rng).into_iter().map(|(id, _)| id));
        }
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), 30);
    }

    #[test]
    fn r_pre_2_a_key_of_a_relay_serves_once_and_sets_stay_bounded() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let device = DeviceSecrets::generate(&mut rng);
        let mut pool = RelayPool::default();
        let made = pool.make(2, &device, NOW, &mut rng);
        assert!(pool.consume(made[0].0) && !pool.consume(made[0].0));
        assert!(pool.ours(made[0].0, NOW).is_none() && pool.ours(made[1].0, NOW).is_some());
        let mut back = RelayPool::from_stored(&pool.to_stored());
        assert!(back.ours(made[1].0, NOW).is_some());
        for _ in 0..8 {
            back.make(POOL_KEYS_MAX, &device, NOW, &mut rng);
        }
        assert_eq!(back.ours.len(), OURS_MAX);
    }
}
