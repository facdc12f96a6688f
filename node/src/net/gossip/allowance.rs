//! How much gossip is taken in: from each peer, and from all together. What is left over is anybody's.
//! Must not know what a packet says, nor the swarm.

use crate::{
    clock::Moment,
    net::peers::limits::{Bucket, Limits},
};
use libp2p::PeerId;
use std::{collections::HashMap, time::Duration};

/// Bytes that count for one part of an allowance: a packet of full length is as much as 33 small ones.
const PART: usize = 2048;
/// Packets beyond its allowance that a peer may send at once before it is not listened to for a while, and a second. Each
/// one is remembered for ten minutes, if only by its name.
const EXCESS: (u32, u32) = (64, 10);
/// How long a peer is not listened to that sends far more than its allowance.
const MUTE: Duration = Duration::from_secs(10);

/// What is to be done with a packet, as far as its number and size go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Room {
    /// There is room for it.
    Enough,
    /// There is none.
    None,
    /// There is none, and its sender goes on and on: for a while nobody listens to it.
    Mute,
}

/// The allowances of all peers.
pub(crate) struct Allowances {
    rate: u32,
    burst: u32,
    all: Bucket,
    peers: HashMap<PeerId, Allowance>,
}

struct Allowance {
    own: Bucket,
    excess: Bucket,
    muted: Option<Moment>,
}

impl Allowances {
    pub(crate) fn new(limits: &Limits, now: Moment) -> Self {
        Self {
            rate: limits.gossip_rate,
            burst: limits.gossip_burst,
            all: Bucket::new(limits.gossip_total_rate, limits.gossip_total_burst, now),
            peers: HashMap::new(),
        }
    }

    /// Takes room for a packet. A peer's own allowance is kept for it; beyond it, a peer may have of what all share while
    /// more than half of that is left. `weight` is for how many packets it counts.
    pub(crate) fn admit(&mut self, peer: PeerId, bytes: usize, weight: u32, now: Moment) -> Room {
        let parts = u32::try_from(bytes.div_ceil(PART)).unwrap_or(u32::MAX).saturating_mul(weight);
        let (rate, burst) = (self.rate, self.burst);
        let fresh = || Allowance {
            own: Bucket::new(rate, burst, now),
            excess: Bucket::new(EXCESS.1, EXCESS.0, now),
            muted: None,
        };
        let peer = self.peers.entry(peer).or_insert_with(fresh);
        let may = peer.own.take_several(parts, now).is_ok() || self.all.is_half_full(now);
        if may && self.all.take_several(parts, now).is_ok() {
            return Room::Enough;
        }
        if peer.excess.take(now).is_ok() || peer.muted.is_some() {
            return Room::None;
        }
        peer.muted = Some(now.saturating_add(MUTE));
        Room::Mute
    }

    /// Returns the peers that are listened to again from now on.
    pub(crate) fn listen_again(&mut self, now: Moment) -> Vec<PeerId> {
        let over = |allowance: &&mut Allowance| allowance.muted.is_some_and(|until| until <= now);
        let mut again = Vec::new();
        for (peer, allowance) in &mut self.peers {
            if over(&allowance) {
                allowance.muted = None;
                again.push(*peer);
            }
        }
        again
    }

    /// Forgets allowances of which nothing is used.
    pub(crate) fn forget(&mut self, now: Moment) {
        self.peers.retain(|_, peer| peer.muted.is_some() || !(peer.own.is_full(now) && peer.excess.is_full(now)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T0: Moment = Duration::from_secs(1);

    fn allowances() -> Allowances {
        let limits = Limits {
            gossip_rate: 10,
            gossip_burst: 20,
            gossip_total_rate: 40,
            gossip_total_burst: 80,
            ..Limits::default()
        };
        Allowances::new(&limits, T0)
    }

    /// How many of so many packets of a peer find room at once.
    fn find_room(allowances: &mut Allowances, peer: PeerId, packets: usize, now: Moment) -> usize {
        (0..packets).filter(|_| allowances.admit(peer, 100, 1, now) == Room::Enough).count()
    }

    #[test]
    fn r_net_13_what_nobody_needs_is_anybodys_and_what_is_a_peers_own_is_kept_for_it() {
        let mut allowances = allowances();
        let [loud, quiet] = [PeerId::random(), PeerId::random()];
        // Its own twenty, then of the common eighty while more than half is left.
        assert_eq!(find_room(&mut allowances, loud, 60, T0), 40);
        assert_eq!(find_room(&mut allowances, quiet, 60, T0), 20);
        // A second later it is the same with what came in that second.
        let later = T0 + Duration::from_secs(1);
        assert_eq!(find_room(&mut allowances, loud, 60, later), 20);
        assert_eq!(find_room(&mut allowances, quiet, 10, later), 10);
    }

    #[test]
    fn r_net_13_a_packet_counts_by_its_size_and_by_what_its_sender_did_wrong() {
        let mut allowances = allowances();
        let peer = PeerId::random();
        assert_eq!(allowances.admit(peer, 20 * PART, 1, T0), Room::Enough);
        assert_eq!(allowances.admit(peer, 20 * PART, 1, T0), Room::Enough, "half of what all share is left");
        assert_eq!(allowances.admit(peer, 1, 1, T0), Room::None);
        let bad = PeerId::random();
        assert_eq!(allowances.admit(bad, 1, 17, T0), Room::Enough);
        assert_eq!(allowances.admit(bad, 1, 17, T0), Room::None);
    }

    #[test]
    fn r_net_13_who_sends_far_too_much_is_not_listened_to_for_a_while_and_is_told_of_once() {
        let mut allowances = allowances();
        let flooder = PeerId::random();
        let verdicts: Vec<_> = (0..10_000).map(|_| allowances.admit(flooder, 100, 1, T0)).collect();
        assert_eq!(verdicts.iter().filter(|room| **room == Room::Mute).count(), 1);
        let heard = verdicts.iter().position(|room| *room == Room::Mute).unwrap();
        assert!(heard <= 40 + usize::try_from(EXCESS.0).unwrap(), "{heard}");
        allowances.forget(T0 + MUTE * 100);
        assert!(allowances.listen_again(T0 + MUTE / 2).is_empty());
        assert_eq!(allowances.listen_again(T0 + MUTE), vec![flooder]);
        assert!(allowances.listen_again(T0 + MUTE).is_empty());
        allowances.forget(T0 + MUTE);
        assert!(allowances.peers.is_empty());
    }
}
