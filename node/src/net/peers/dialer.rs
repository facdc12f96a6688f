//! When a peer may be dialled again: exponential backoff with jitter after each failed dial.
//! Must not dial; it only says yes or no.

use crate::clock::Moment;
use libp2p::PeerId;
use rand_core::Rng;
use std::{collections::HashMap, time::Duration};

/// The first wait after a failed dial.
const FIRST: Duration = Duration::from_millis(500);
/// The longest wait for a peer that somebody here wants to reach; the app's own schedule is slower anyway.
const LONGEST: Duration = Duration::from_secs(30);
/// Peers with a backoff; the one that is free soonest is forgotten first.
const MAX: usize = 4_096;

/// The backoff of all peers.
#[derive(Debug, Default)]
pub(crate) struct Dialer {
    waits: HashMap<PeerId, Wait>,
}

#[derive(Clone, Copy, Debug)]
struct Wait {
    failures: u32,
    until: Moment,
}

impl Dialer {
    /// Says whether a peer may be dialled now.
    pub(crate) fn may_dial(&self, peer: &PeerId, now: Moment) -> bool {
        self.waits.get(peer).is_none_or(|wait| wait.until <= now)
    }

    /// Notes a failed dial: the wait doubles, ±20 %.
    pub(crate) fn failed(&mut self, peer: PeerId, now: Moment, rng: &mut impl Rng) {
        if !self.waits.contains_key(&peer) && self.waits.len() >= MAX {
            let soonest = self.waits.iter().min_by_key(|(_, wait)| wait.until).map(|(peer, _)| *peer);
            soonest.map(|peer| self.waits.remove(&peer));
        }
        let wait = self.waits.entry(peer).or_insert(Wait { failures: 0, until: now });
        let plain = FIRST.saturating_mul(1 << wait.failures.min(16)).min(LONGEST);
        wait.failures = wait.failures.saturating_add(1);
        wait.until = now.saturating_add(plain.saturating_mul(80 + rng.next_u32() % 41) / 100);
    }

    /// Forgets a peer's failures: a connection came up, or new addresses are known.
    pub(crate) fn reset(&mut self, peer: &PeerId) {
        self.waits.remove(peer);
    }

    /// Forgets what has been free for long.
    pub(crate) fn expire(&mut self, now: Moment) {
        self.waits.retain(|_, wait| wait.until.saturating_add(LONGEST * 4) > now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    #[test]
    fn waits_double_up_to_the_longest_and_end_with_a_connection() {
        let (mut dialer, bob, mut rng) = (Dialer::default(), PeerId::random(), ChaCha20Rng::from_seed([1; 32]));
        let now = Duration::from_secs(10);
        assert!(dialer.may_dial(&bob, now));
        dialer.failed(bob, now, &mut rng);
        assert!(!dialer.may_dial(&bob, now + FIRST * 79 / 100));
        assert!(dialer.may_dial(&bob, now + FIRST * 121 / 100));
        for _ in 0..40 {
            dialer.failed(bob, now, &mut rng);
        }
        assert!(!dialer.may_dial(&bob, now + LONGEST * 79 / 100));
        assert!(dialer.may_dial(&bob, now + LONGEST * 121 / 100));
        dialer.reset(&bob);
        assert!(dialer.may_dial(&bob, now));
    }

    #[test]
    fn the_table_is_bounded_and_emptied() {
        let (mut dialer, mut rng) = (Dialer::default(), ChaCha20Rng::from_seed([2; 32]));
        for _ in 0..MAX + 10 {
            dialer.failed(PeerId::random(), Duration::ZERO, &mut rng);
        }
        assert_eq!(dialer.waits.len(), MAX);
        dialer.expire(LONGEST * 6);
        assert!(dialer.waits.is_empty());
    }
}
