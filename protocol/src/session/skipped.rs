//! Seeds of messages that did not arrive yet: bounded in number and age.
//! Must not know how a seed is derived.

use super::chain::MessageSeed;
use crate::{Timestamp, limits};
use std::collections::VecDeque;

/// Seeds that were passed over in one go: consecutive numbers of one chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Batch {
    /// The chain's ratchet key.
    pub(super) ratchet_key: [u8; 32],
    /// When they were passed over.
    pub(super) since: Timestamp,
    /// Number and seed, ascending.
    pub(super) seeds: VecDeque<(u32, MessageSeed)>,
}

/// The seeds kept for late messages, oldest batch first: at most `limits::SKIPPED_KEYS_MAX`, each at most
/// `limits::SKIPPED_KEY_MS` old; what does not fit pushes out the oldest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct SkippedKeys {
    batches: VecDeque<Batch>,
}

impl SkippedKeys {
    /// Takes stored batches; what exceeds the bound is dropped.
    pub(super) fn from_batches(batches: VecDeque<Batch>) -> Self {
        let mut keys = Self { batches };
        keys.trim();
        keys
    }

    /// Returns the batches to store.
    pub(super) fn batches(&self) -> impl Iterator<Item = &Batch> {
        self.batches.iter()
    }

    /// Counts the seeds.
    pub(super) fn len(&self) -> usize {
        self.batches.iter().map(|b| b.seeds.len()).sum()
    }

    /// Keeps seeds that were just passed over.
    pub(super) fn keep(&mut self, batch: Batch) {
        if !batch.seeds.is_empty() {
            self.batches.push_back(batch);
            self.trim();
        }
    }

    /// Takes out the seed of one message: it can be taken once.
    pub(super) fn clear(&mut self) {
        self.batches.clear();
    }

    /// Takes a kept seed out.
    pub(super) fn take(&mut self, ratchet_key: &[u8; 32], number: u32) -> Option<MessageSeed> {
        let batches = self.batches.iter_mut().filter(|b| b.ratchet_key == *ratchet_key);
        let seed = batches.into_iter().find_map(|b| {
            let at = b.seeds.binary_search_by_key(&number, |(n, _)| *n).ok()?;
            b.seeds.remove(at).map(|(_, seed)| seed)
        });
        self.batches.retain(|b| !b.seeds.is_empty());
        seed
    }

    /// Says whether any seed of the chain is kept.
    pub(super) fn knows(&self, ratchet_key: &[u8; 32]) -> bool {
        self.batches.iter().any(|b| b.ratchet_key == *ratchet_key)
    }

    /// Forgets what is too old.
    pub(super) fn expire(&mut self, now: Timestamp) {
        self.batches.retain(|b| b.since.plus_millis(limits::SKIPPED_KEY_MS) > now);
    }

    fn trim(&mut self) {
        let mut excess = self.len().saturating_sub(limits::SKIPPED_KEYS_MAX);
        while excess > 0 {
            let Some(oldest) = self.batches.front_mut() else { return };
            if oldest.seeds.len() <= excess {
                excess -= oldest.seeds.len();
                self.batches.pop_front();
            } else {
                oldest.seeds.drain(..excess);
                excess = 0;
            }
        }
    }
}
