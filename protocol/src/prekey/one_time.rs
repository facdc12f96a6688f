//! One-time keys between two devices that have a session: each hands the other a few, for it alone, so that "used once" is
//! kept by the two ends. Must not know sessions; knows one peer device at a time.

use crate::{
    Fault, Timestamp,
    crypto::dh::{DhPublic, DhSecret},
    limits::{ONE_TIME_KEY_DAYS, ONE_TIME_KEYS_HANDED},
    prekey::sequence::next_id,
    proto::prekey as proto,
    wire,
};
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use std::fmt;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Fewer keys than this in the peer's hands are made up again.
const REFILL_BELOW: usize = 2;
/// Largest encoded key in bytes: two numbers and 32 bytes with their field headers.
const ENCODED_MAX: usize = 64;
/// Keys kept of those handed out: those a peer may still use, and those of hand-overs whose message was lost.
const OURS_MAX: usize = 4 * ONE_TIME_KEYS_HANDED;

/// A handed key is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The bytes are no key in its one spelling, or too many came at once.
    #[error(transparent)]
    Wire(#[from] wire::Error),
    /// The key is weak or not canonical.
    #[error("an unacceptable one-time key")]
    BadKey,
}

impl Error {
    /// Says who is to blame: the peer that handed it.
    pub const fn fault(&self) -> Fault {
        Fault::Peer
    }
}

/// The public half of a one-time key, as the peer gets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HandedKey {
    /// Names the key, never used for a second one.
    pub id: u32,
    /// X25519.
    pub key: DhPublic,
    /// When its owner deletes it.
    pub expires: Timestamp,
}

impl HandedKey {
    /// Encodes it for a session's control message.
    pub fn encode(&self) -> Vec<u8> {
        wire::encode(&proto::OneTimeKey {
            id: self.id,
            key: self.key.as_bytes().to_vec(),
            expires_ms: self.expires.as_millis(),
        })
    }

    /// Decodes strictly.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let wire: proto::OneTimeKey = wire::decode(bytes, ENCODED_MAX)?;
        let key = DhPublic::parse(&wire.key).map_err(|_| Error::BadKey)?;
        Ok(Self { id: wire.id, key, expires: Timestamp::from_millis(wire.expires_ms) })
    }
}

/// The one-time keys between this device and one peer device.
#[derive(Clone, Default)]
pub struct OneTimeKeys {
    ours: Vec<Ours>,
    theirs: Vec<HandedKey>,
    last_id: Option<u32>,
}

#[derive(Clone)]
struct Ours {
    id: u32,
    secret: DhSecret,
    expires: Timestamp,
}

impl OneTimeKeys {
    /// Makes what the peer lacks, to be handed over in the session: up to four when fewer than two are left, else none.
    pub fn refill(&mut self, now: Timestamp, rng: &mut impl CryptoRng) -> Vec<HandedKey> {
        self.expire(now);
        if self.ours.len() >= REFILL_BELOW {
            return Vec::new();
        }
        let expires = now.plus_days(u64::from(ONE_TIME_KEY_DAYS));
        let missing = ONE_TIME_KEYS_HANDED.saturating_sub(self.ours.len());
        let mut handed = Vec::with_capacity(missing);
        for _ in 0..missing {
            // An id is never used again, also after an old copy of the profile was put back.
            let (id, secret) = (next_id(self.last_id, now), DhSecret::random(rng));
            self.last_id = Some(id);
            handed.push(HandedKey { id, key: secret.public(), expires });
            self.ours.push(Ours { id, secret, expires });
        }
        let excess = self.ours.len().saturating_sub(OURS_MAX);
        self.ours.drain(..excess);
        handed
    }

    /// Returns the private half of a key that the peer used.
    pub fn ours(&self, id: u32, now: Timestamp) -> Option<&DhSecret> {
        self.ours.iter().find(|k| k.id == id && k.expires > now).map(|k| &k.secret)
    }

    /// Deletes a key that was used; in the same commit as what it opened.
    pub fn consume(&mut self, id: u32) {
        self.ours.retain(|k| k.id != id);
    }

    /// Keeps keys that the peer handed over; they replace those it handed before. Refuses all if one is bad.
    pub fn accept(&mut self, handed: &[HandedKey], now: Timestamp) -> Result<(), Error> {
        wire::at_most(handed, ONE_TIME_KEYS_HANDED)?;
        let latest = now.plus_days(u64::from(ONE_TIME_KEY_DAYS));
        for key in handed {
            self.theirs.retain(|k| k.id != key.id);
            self.theirs.push(HandedKey { expires: key.expires.min(latest), ..*key });
        }
        let excess = self.theirs.len().saturating_sub(ONE_TIME_KEYS_HANDED);
        self.theirs.drain(..excess);
        self.expire(now);
        Ok(())
    }

    /// Whether a key of the peer's is there to begin a session with.
    pub fn has_theirs(&self, now: Timestamp) -> bool {
        self.theirs.iter().any(|k| k.expires > now)
    }

    /// Takes a key of the peer's to begin a session with; it is gone here from then on.
    pub fn take(&mut self, now: Timestamp) -> Option<HandedKey> {
        self.expire(now);
        if self.theirs.is_empty() { None } else { Some(self.theirs.remove(0)) }
    }

    /// Deletes what has expired.
    pub fn expire(&mut self, now: Timestamp) {
        self.ours.retain(|k| k.expires > now);
        self.theirs.retain(|k| k.expires > now);
    }

    /// Returns the form for a sealed row, one for each peer device.
    pub fn to_stored(&self) -> StoredOneTimeKeys {
        StoredOneTimeKeys {
            ours: self.ours.iter().map(|k| (k.id, *k.secret.to_bytes().as_bytes(), k.expires.as_millis())).collect(),
            theirs: self.theirs.iter().map(|k| (k.id, *k.key.as_bytes(), k.expires.as_millis())).collect(),
            last_id: self.last_id,
        }
    }

    /// Takes back what a sealed row held; a key that no longer parses is left out.
    pub fn from_stored(stored: &StoredOneTimeKeys) -> Self {
        let ours = stored.ours.iter().map(|(id, secret, expires)| Ours {
            id: *id,
            secret: DhSecret::from_bytes(*secret),
            expires: Timestamp::from_millis(*expires),
        });
        let theirs = stored.theirs.iter().filter_map(|(id, key, expires)| {
            Some(HandedKey { id: *id, key: DhPublic::parse(key).ok()?, expires: Timestamp::from_millis(*expires) })
        });
        Self { ours: ours.collect(), theirs: theirs.collect(), last_id: stored.last_id }
    }
}

impl fmt::Debug for OneTimeKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { ours, theirs, last_id: _ } = self;
        f.debug_struct("OneTimeKeys").field("ours", &ours.len()).field("theirs", &theirs.len()).finish()
    }
}

/// The one-time keys with one peer device as a row that the store seals: wiped on drop, silent in `Debug`.
#[derive(Clone, Default, Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
pub struct StoredOneTimeKeys {
    ours: Vec<(u32, [u8; 32], u64)>,
    theirs: Vec<(u32, [u8; 32], u64)>,
    last_id: Option<u32>,
}

impl fmt::Debug for StoredOneTimeKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { ours: _, theirs: _, last_id: _ } = self;
        f.write_str("StoredOneTimeKeys(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn pair() -> (OneTimeKeys, OneTimeKeys, ChaCha20Rng) {
        (OneTimeKeys::default(), OneTimeKeys::default(), ChaCha20Rng::seed_from_u64(1))
    }

    #[test]
    fn r_pre_2_four_keys_go_over_each_opens_once_and_two_left_are_enough() {
        let (mut alice, mut bob, mut rng) = pair();
        let handed = bob.refill(NOW, &mut rng);
        assert_eq!(handed.len(), ONE_TIME_KEYS_HANDED);
        alice.accept(&handed, NOW).unwrap();
        for left in (0..ONE_TIME_KEYS_HANDED).rev() {
            let key = alice.take(NOW).unwrap();
            assert_eq!(bob.ours(key.id, NOW).unwrap().public(), key.key);
            bob.consume(key.id);
            assert!(bob.ours(key.id, NOW).is_none());
            assert_eq!(bob.clone().refill(NOW, &mut rng).is_empty(), left >= REFILL_BELOW, "{left} left");
        }
        assert!(alice.take(NOW).is_none());
    }

    #[test]
    fn keys_die_after_ninety_days_on_both_sides() {
        let (mut alice, mut bob, mut rng) = pair();
        let handed = bob.refill(NOW, &mut rng);
        alice.accept(&handed, NOW).unwrap();
        let later = NOW.plus_days(u64::from(ONE_TIME_KEY_DAYS));
        assert!(bob.ours(handed[0].id, later).is_none());
        bob.expire(later);
        assert!(bob.to_stored().ours.is_empty());
        assert!(alice.take(later).is_none());
    }

    #[test]
    fn a_peer_that_hands_over_for_ever_fills_nothing_and_sets_no_expiry_of_its_own() {
        let (mut alice, _, mut rng) = pair();
        for i in 0..50 {
            let key = DhSecret::random(&mut rng).public();
            alice.accept(&[HandedKey { id: i, key, expires: Timestamp::from_millis(u64::MAX) }], NOW).unwrap();
        }
        assert_eq!(alice.theirs.len(), ONE_TIME_KEYS_HANDED);
        assert!(alice.take(NOW.plus_days(u64::from(ONE_TIME_KEY_DAYS))).is_none());
        let many = vec![HandedKey { id: 1, key: DhSecret::random(&mut rng).public(), expires: NOW }; 5];
        assert!(matches!(alice.accept(&many, NOW), Err(Error::Wire(wire::Error::TooMany { .. }))));
    }

    #[test]
    fn ids_never_repeat_also_after_an_old_copy_was_put_back() {
        let (_, mut bob, mut rng) = pair();
        let old_copy = bob.to_stored();
        let first = bob.refill(NOW, &mut rng);
        let again = OneTimeKeys::from_stored(&old_copy).refill(NOW.plus_millis(10_000), &mut rng);
        assert!(first.iter().all(|a| again.iter().all(|b| a.id != b.id)));
    }

    #[test]
    fn the_wire_form_is_strict_and_weak_keys_are_refused() {
        let (_, mut bob, mut rng) = pair();
        let key = bob.refill(NOW, &mut rng)[0];
        assert_eq!(HandedKey::decode(&key.encode()), Ok(key));
        let weak = HandedKey { key: DhPublic::raw([0; 32]), ..key };
        assert_eq!(HandedKey::decode(&weak.encode()), Err(Error::BadKey));
        assert!(HandedKey::decode(&[key.encode(), vec![0]].concat()).is_err());
    }
}
