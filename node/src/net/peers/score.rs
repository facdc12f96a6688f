//! Scores: what a peer did wrong, fading with time, and the bans that follow.
//! Must not know why a peer is scored; contacts are never banned by score.

use crate::clock::Moment;
use libp2p::PeerId;
use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

/// A fault that is the peer's own: undecodable, oversize, forged.
pub(crate) const VIOLATION: i32 = -20;
/// A timeout, reset or refused dial: may be nobody's fault.
pub(crate) const TRANSIENT: i32 = -1;
/// At or below this a peer is banned.
const BAN_AT: f64 = -100.0;
/// The floor: beyond it nothing more is remembered.
const FLOOR: f64 = -200.0;
/// In this time a score fades to half.
const HALF_LIFE: Duration = Duration::from_secs(600);
/// How long a ban by score lasts.
const BAN: Duration = Duration::from_secs(3_600);
/// Peers with a score; the mildest is forgotten first, since identities are free to make.
const MAX: usize = 4_096;

/// The scores and bans of all peers.
#[derive(Debug, Default)]
pub(crate) struct Scores {
    scores: HashMap<PeerId, (f64, Moment)>,
    bans: HashMap<PeerId, Moment>,
    contacts: HashSet<PeerId>,
}

impl Scores {
    /// Replaces the peers that are never banned by score; lifts their bans and returns them.
    pub(crate) fn set_contacts(&mut self, contacts: HashSet<PeerId>) -> Vec<PeerId> {
        self.contacts = contacts;
        let lifted: Vec<_> = self.bans.keys().filter(|peer| self.contacts.contains(peer)).copied().collect();
        for peer in &lifted {
            self.bans.remove(peer);
        }
        lifted
    }

    /// Adds `points` (negative) to a peer's score; returns true if this bans the peer now.
    pub(crate) fn add(&mut self, peer: PeerId, points: i32, now: Moment) -> bool {
        if !self.scores.contains_key(&peer) && self.scores.len() >= MAX {
            self.forget_mildest(now);
        }
        let entry = self.scores.entry(peer).or_insert((0.0, now));
        entry.0 = (faded(*entry, now) + f64::from(points)).max(FLOOR);
        entry.1 = now;
        // Rounded: five violations are a hundred points although they fade a little in between.
        let bad = entry.0.round() <= BAN_AT;
        if !bad || self.contacts.contains(&peer) || self.bans.contains_key(&peer) {
            return false;
        }
        if self.bans.len() >= MAX
            && let Some(soonest) = self.bans.iter().min_by_key(|(_, until)| **until).map(|(peer, _)| *peer)
        {
            self.bans.remove(&soonest);
        }
        self.bans.insert(peer, now.saturating_add(BAN));
        true
    }

    /// Returns a peer's score, 0 being neutral.
    #[expect(clippy::cast_possible_truncation, reason = "the value lies between the floor and zero")]
    pub(crate) fn of(&self, peer: &PeerId, now: Moment) -> i32 {
        self.scores.get(peer).map_or(0, |entry| faded(*entry, now).round() as i32)
    }

    /// Returns for how many frames one of the peer's counts: a contact that does wrong is not banned, but heard less. A
    /// few timeouts cost nothing, one violation a factor of 5, and a peer at the floor is heard 400 times less.
    pub(crate) fn weight(&self, peer: &PeerId, now: Moment) -> u32 {
        let tens = self.of(peer, now).unsigned_abs() / 10;
        1 + tens * tens
    }

    /// Says whether a peer is banned by score.
    pub(crate) fn banned(&self, peer: &PeerId) -> bool {
        self.bans.contains_key(peer)
    }

    /// Returns the peers banned by score.
    pub(crate) fn all_banned(&self) -> impl Iterator<Item = &PeerId> {
        self.bans.keys()
    }

    /// Ends the bans whose time is over, with a clean score, and returns them.
    pub(crate) fn expire(&mut self, now: Moment) -> Vec<PeerId> {
        let over: Vec<_> = self.bans.iter().filter(|(_, until)| **until <= now).map(|(peer, _)| *peer).collect();
        for peer in &over {
            self.bans.remove(peer);
            self.scores.remove(peer);
        }
        self.scores.retain(|_, entry| faded(*entry, now) <= -0.5);
        over
    }

    fn forget_mildest(&mut self, now: Moment) {
        let mildest = self.scores.iter().max_by(|a, b| faded(*a.1, now).total_cmp(&faded(*b.1, now)));
        if let Some(peer) = mildest.map(|(peer, _)| *peer) {
            self.scores.remove(&peer);
        }
    }
}

/// What is left of a score after the time that passed.
fn faded((score, at): (f64, Moment), now: Moment) -> f64 {
    let half_lives = now.saturating_sub(at).as_secs_f64() / HALF_LIFE.as_secs_f64();
    score * 0.5f64.powf(half_lives)
}

#[cfg(test)]
mod tests {
    use super::*;

    const T0: Moment = Duration::from_secs(1);

    #[test]
    fn five_violations_in_a_row_ban_and_the_ban_ends_with_a_clean_score() {
        let (mut scores, mallory) = (Scores::default(), PeerId::random());
        assert!((0..4).all(|_| !scores.add(mallory, VIOLATION, T0)));
        assert_eq!(scores.of(&mallory, T0), -80);
        assert!(scores.add(mallory, VIOLATION, T0 + Duration::from_millis(900)));
        assert!(scores.banned(&mallory));
        assert!(scores.expire(T0 + BAN).is_empty());
        assert_eq!(scores.expire(T0 + BAN + Duration::from_secs(1)), vec![mallory]);
        assert!(!scores.banned(&mallory));
        assert_eq!(scores.of(&mallory, T0 + BAN), 0);
    }

    #[test]
    fn a_score_fades_to_half_in_its_half_life_and_is_forgotten_in_the_end() {
        let (mut scores, peer) = (Scores::default(), PeerId::random());
        scores.add(peer, -40, T0);
        assert_eq!(scores.of(&peer, T0 + HALF_LIFE), -20);
        scores.expire(T0 + HALF_LIFE * 10);
        assert!(scores.scores.is_empty());
    }

    #[test]
    fn a_contact_is_scored_but_never_banned_and_becoming_one_lifts_a_ban() {
        let (mut scores, bob, carol) = (Scores::default(), PeerId::random(), PeerId::random());
        scores.set_contacts(HashSet::from([bob]));
        assert!((0..20).all(|_| !scores.add(bob, VIOLATION, T0)));
        assert_eq!(scores.of(&bob, T0), -200);
        assert!((0..5).any(|_| scores.add(carol, VIOLATION, T0)));
        assert_eq!(scores.set_contacts(HashSet::from([carol])), vec![carol]);
        assert!(!scores.banned(&carol));
    }

    #[test]
    fn what_a_peer_did_wrong_makes_each_of_its_frames_count_for_more_until_it_fades() {
        let (mut scores, bob) = (Scores::default(), PeerId::random());
        scores.set_contacts(HashSet::from([bob]));
        (0..9).for_each(|_| assert!(!scores.add(bob, TRANSIENT, T0)));
        assert_eq!(scores.weight(&bob, T0), 1);
        (0..20).for_each(|_| assert!(!scores.add(bob, VIOLATION, T0)));
        assert_eq!(scores.weight(&bob, T0), 401);
        assert_eq!(scores.weight(&bob, T0 + HALF_LIFE), 101);
        assert_eq!(scores.weight(&bob, T0 + HALF_LIFE * 5), 1);
    }

    #[test]
    fn strangers_without_end_do_not_grow_the_table() {
        let mut scores = Scores::default();
        let worst = PeerId::random();
        scores.add(worst, -90, T0);
        for _ in 0..MAX + 50 {
            scores.add(PeerId::random(), TRANSIENT, T0);
        }
        assert_eq!(scores.scores.len(), MAX);
        assert_eq!(scores.of(&worst, T0), -90);
    }
}
