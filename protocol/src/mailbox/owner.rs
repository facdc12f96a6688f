//! The key of a mailbox, made for one relay alone, and what its owner derives from it: the tags of the days.
//! Must not know relays' answers.

use super::{Class, Grant, Terms};
use crate::{
    Day, MailboxId, Tag, Timestamp,
    crypto::{Secret, kdf::hkdf, label, sign::SigningKey},
    limits::{GRANT_DAYS_MAX, TAG_DAYS_AHEAD, TAG_DAYS_BACK},
    wire::Transcript,
};
use rand_core::CryptoRng;
use std::fmt;

/// What a mailbox's tags of one class follow from; its owner shares it with those who may deposit.
#[derive(Clone, PartialEq, Eq)]
pub struct TagSecret(Secret<16>);

impl TagSecret {
    /// Takes received or stored bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Secret::new(bytes))
    }

    /// Returns the bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    /// Derives the tag of a day (R-MBX-1): a sender that was off for weeks computes today's alone.
    pub fn tag(&self, class: Class, day: Day) -> Tag {
        let info = Transcript::new(label::TAG).u32(class.number()).u32(day.0).bytes();
        let tag: Secret<16> = hkdf(&[], self.as_bytes(), &info);
        Tag::from_bytes(*tag.as_bytes())
    }
}

impl fmt::Debug for TagSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(_) = self;
        f.write_str("TagSecret(..)")
    }
}

/// The private key of a mailbox.
#[derive(Clone, Debug)]
pub struct MailboxKey(SigningKey);

impl MailboxKey {
    /// Makes the key for one relay.
    pub fn random(rng: &mut impl CryptoRng) -> Self {
        Self(SigningKey::random(rng))
    }

    /// Takes a stored seed.
    pub fn from_seed(seed: &Secret<32>) -> Self {
        Self(SigningKey::from_seed(seed))
    }

    /// Returns the seed to store.
    pub fn seed(&self) -> Secret<32> {
        self.0.seed()
    }

    /// Names the mailbox.
    pub fn id(&self) -> MailboxId {
        MailboxId::from_bytes(*self.0.public().as_bytes())
    }

    /// The tag secret of a class.
    pub fn tag_secret(&self, class: Class) -> TagSecret {
        let info = Transcript::new(label::TAG_SECRET).u32(class.number()).bytes();
        TagSecret(hkdf(&[], self.0.seed().as_bytes(), &info))
    }

    /// The first day whose tags are registered, and the tags of each day from it on, by class.
    pub fn tags(&self, now: Timestamp) -> (Day, Vec<[Tag; 3]>) {
        let secrets = Class::ALL.map(|class| (class, self.tag_secret(class)));
        let first = now.day().minus(TAG_DAYS_BACK);
        let days = (0..=TAG_DAYS_BACK + TAG_DAYS_AHEAD).map(|n| first.plus(n));
        (first, days.map(|day| secrets.each_ref().map(|(class, secret)| secret.tag(*class, day))).collect())
    }

    /// Signs a grant; it ends after 90 days at most.
    pub fn grant(&self, terms: Terms, now: Timestamp) -> Grant {
        let until = terms.until.min(now.plus_days(GRANT_DAYS_MAX));
        Grant::issue(&self.0, Terms { until, ..terms })
    }

    /// The key that proves the grant of this number: the owner gives it to whom the grant is for, and need not keep it.
    pub fn depositor(&self, serial: u64) -> SigningKey {
        let info = Transcript::new(label::DEPOSITOR).u64(serial).bytes();
        SigningKey::from_seed(&hkdf(&[], self.0.seed().as_bytes(), &info))
    }

    pub(super) fn signing(&self) -> &SigningKey {
        &self.0
    }
}
