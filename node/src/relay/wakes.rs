//! How often a connected owner is woken: slower than what an owner's node holds against a relay, and the last thing that
//! came is never passed over.

use super::rates::{Allowances, Rate};
use crate::{clock::Moment, net::PeerName};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// Half of what a node listens to.
const RATE: Rate = Rate { per_second: 10, burst: 20 };

/// Wake-ups, told and put off.
#[derive(Debug)]
pub(super) struct Wakes {
    told: Allowances<PeerName>,
    /// Connected owners who are woken then.
    late: BTreeMap<PeerName, Moment>,
}

impl Wakes {
    pub(super) fn new() -> Self {
        Self { told: Allowances::new(), late: BTreeMap::new() }
    }

    /// Says who is woken now, of those for whom something came and those who were put off.
    pub(super) fn now(&mut self, wanted: BTreeSet<PeerName>, now: Moment) -> BTreeSet<PeerName> {
        for peer in wanted {
            if self.late.contains_key(&peer) {
                continue;
            }
            let wait = self.told.check(&peer, RATE, now).err().unwrap_or_default();
            self.late.insert(peer, now.saturating_add(Duration::from_millis(wait)));
        }
        let due: BTreeSet<PeerName> =
            self.late.iter().filter(|(_, at)| **at <= now).map(|(peer, _)| peer.clone()).collect();
        for peer in &due {
            self.late.remove(peer);
            self.told.charge(peer.clone(), RATE, now);
        }
        due
    }

    /// When somebody is to be woken, if anybody is.
    pub(super) fn next(&self) -> Option<Moment> {
        self.late.values().min().copied()
    }

    /// Forgets a peer that is gone.
    pub(super) fn gone(&mut self, peer: &PeerName) {
        self.late.remove(peer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wake_ups_keep_to_their_rate_and_the_last_one_is_told() {
        let (mut wakes, bob) = (Wakes::new(), PeerName("bob".into()));
        let (mut now, mut told, mut last) = (Duration::from_secs(1), 0, None);
        for _ in 0..2_000 {
            let woken = wakes.now([bob.clone()].into(), now);
            told += woken.len();
            last = (!woken.is_empty()).then_some(now).or(last);
            now += Duration::from_millis(1);
        }
        assert!((30..=41).contains(&told), "{told} in two seconds");
        let came = now - Duration::from_millis(1);
        while let Some(at) = wakes.next() {
            let woken = wakes.now(BTreeSet::new(), at);
            last = (!woken.is_empty()).then_some(at).or(last);
        }
        assert!(last.unwrap() >= came && last.unwrap() <= came + Duration::from_millis(200));
    }

    #[test]
    fn who_is_gone_is_not_woken_later() {
        let (mut wakes, bob, now) = (Wakes::new(), PeerName("bob".into()), Duration::from_secs(1));
        while wakes.next().is_none() {
            wakes.now([bob.clone()].into(), now);
        }
        wakes.gone(&bob);
        assert_eq!(wakes.next(), None);
    }
}
