//! The ML-KEM step: when it is due, and what each side folds into the root.
//! Must not know the Diffie-Hellman half.
//!
//! The sender of a new chain offers a key, repeated in every header of that chain; the peer's next chain answers it,
//! repeated too. Chains alternate, so at most one offer is outstanding, and it lives in the sending chain that made it.

use super::{header::PqField, root::PqShare};
use crate::{
    Timestamp,
    crypto::{
        kdf::sha256,
        kem::{KemCiphertext, KemPublic, KemSecret},
    },
    limits,
};
use rand_core::CryptoRng;

/// How many steps were made, and how long ago the last one was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PqState {
    /// Steps made; the handshake is none.
    pub(super) steps: u32,
    /// Messages sent and received since the last step.
    pub(super) messages: u32,
    /// When the last step (or the handshake) was made.
    pub(super) since: Timestamp,
}

/// What our sending chain says in each of its headers.
#[derive(Clone, Debug)]
pub(super) enum OurPq {
    /// Nothing.
    None,
    /// Our offer, with the key that opens its answer.
    Offer(KemSecret),
    /// Our answer to the peer's offer.
    Answer(KemCiphertext),
}

impl OurPq {
    /// Gives the header field.
    pub(super) fn field(&self) -> PqField {
        match self {
            Self::None => PqField::None,
            Self::Offer(secret) => PqField::Offer(secret.public()),
            Self::Answer(ciphertext) => PqField::Answer(ciphertext.clone()),
        }
    }
}

impl PqState {
    /// Begins at the handshake, which is itself a step.
    pub(super) const fn new(now: Timestamp) -> Self {
        Self { steps: 0, messages: 0, since: now }
    }

    /// Counts a message sent or received.
    pub(super) const fn count(&mut self) {
        self.messages = self.messages.saturating_add(1);
    }

    /// Says whether the next new sending chain must offer a step.
    pub(super) const fn is_due(&self, now: Timestamp) -> bool {
        self.messages >= limits::PQ_STEP_MESSAGES || now.millis_since(self.since) >= limits::PQ_STEP_MS
    }

    /// Chooses what a new sending chain says: the answer to an offer, or an offer if one is due.
    pub(super) fn begin_chain(
        &mut self,
        offered: Option<&KemPublic>,
        now: Timestamp,
        rng: &mut impl CryptoRng,
    ) -> (OurPq, Option<PqShare>) {
        match offered {
            Some(key) => {
                let (ciphertext, secret) = key.encapsulate(rng);
                let share = PqShare { secret, binding: binding(key, &ciphertext) };
                self.complete(now);
                (OurPq::Answer(ciphertext), Some(share))
            }
            None if self.is_due(now) => (OurPq::Offer(KemSecret::random(rng)), None),
            None => (OurPq::None, None),
        }
    }

    /// Gives the number that the headers of a chain carry.
    pub(super) const fn step_of(&self, pq: &OurPq) -> u32 {
        match pq {
            OurPq::Offer(_) => self.steps.saturating_add(1),
            OurPq::None | OurPq::Answer(_) => self.steps,
        }
    }

    /// Judges what the peer's new chain says, given what our last one said: an offer must be answered, an answer must
    /// have been asked for, and the step's number must be the next one (R-SES-9: no way back to a plain step).
    pub(super) fn accept_chain(
        &mut self,
        ours: &OurPq,
        theirs: &PqField,
        step: u32,
        now: Timestamp,
    ) -> Result<Accepted, Refused> {
        let next = self.steps.checked_add(1).ok_or(Refused)?;
        match (ours, theirs) {
            (OurPq::Offer(secret), PqField::Answer(ciphertext)) if step == next => {
                let share =
                    PqShare { secret: secret.decapsulate(ciphertext), binding: binding(&secret.public(), ciphertext) };
                self.complete(now);
                Ok(Accepted { share: Some(share), offered: None })
            }
            (OurPq::None | OurPq::Answer(_), PqField::Offer(key)) if step == next => {
                Ok(Accepted { share: None, offered: Some(key.clone()) })
            }
            (OurPq::None | OurPq::Answer(_), PqField::None) if step == self.steps => {
                Ok(Accepted { share: None, offered: None })
            }
            _ => Err(Refused),
        }
    }

    const fn complete(&mut self, now: Timestamp) {
        self.steps = self.steps.saturating_add(1);
        self.messages = 0;
        self.since = now;
    }
}

/// What the peer's new chain means for us.
pub(super) struct Accepted {
    /// Folded into the root with this chain.
    pub(super) share: Option<PqShare>,
    /// To be answered by our next chain.
    pub(super) offered: Option<KemPublic>,
}

/// The chain's ML-KEM fields do not follow from ours.
pub(super) struct Refused;

fn binding(key: &KemPublic, ciphertext: &KemCiphertext) -> [u8; 32] {
    sha256(&[&key.to_bytes(), ciphertext.as_bytes()])
}
