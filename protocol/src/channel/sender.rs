//! The senders' chains of an epoch: a tree gives each sender a chain, a chain each message a seed, and what was used is
//! forgotten. Must not know frames, members or rights.

use crate::{
    Fault,
    crypto::{
        Secret,
        kdf::{hkdf, hmac},
        label,
    },
    limits::{CHANNEL_JUMP_MAX, CHANNEL_SKIPPED_MAX},
    wire::Transcript,
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt, sync::Arc};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// A tree over an epoch's senders whose leaves are their chains (RFC 9420 section 9): of each path that was walked only the
/// other branches are kept, so that a leaf that was taken is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SenderTree {
    /// Secrets of ranges of places, by their first place: nothing else below them was taken.
    nodes: BTreeMap<u32, (u32, Secret<32>)>,
}

impl SenderTree {
    /// Grows a tree over so many senders from an epoch's root.
    pub fn new(root: &Secret<32>, senders: u32) -> Self {
        Self { nodes: BTreeMap::from([(0, (senders, root.clone()))]) }
    }

    /// Takes a sender's chain out: it can be taken once.
    pub fn take(&mut self, place: u32) -> Option<Chain> {
        let (start, (end, _)) = self.nodes.range(..=place).next_back()?;
        let (mut start, mut end) = (*start, *end);
        if place >= end {
            return None;
        }
        let (_, mut secret) = self.nodes.remove(&start)?;
        while end - start > 1 {
            let middle = start + (end - start) / 2;
            let (left, right) = (branch(&secret, start, middle), branch(&secret, middle, end));
            if place < middle {
                self.nodes.insert(middle, (end, right));
                (end, secret) = (middle, left);
            } else {
                self.nodes.insert(start, (middle, left));
                (start, secret) = (middle, right);
            }
        }
        Some(Chain { key: secret, next: 0, skipped: Arc::default() })
    }

    /// Returns the form for a sealed row.
    pub fn to_stored(&self) -> StoredTree {
        StoredTree { nodes: self.nodes.iter().map(|(start, (end, s))| (*start, *end, *s.as_bytes())).collect() }
    }

    /// Takes back what a row held.
    pub fn from_stored(stored: &StoredTree) -> Self {
        Self { nodes: stored.nodes.iter().map(|(start, end, s)| (*start, (*end, Secret::new(*s)))).collect() }
    }
}

/// Derives the secret of a range of places.
fn branch(secret: &Secret<32>, start: u32, end: u32) -> Secret<32> {
    hkdf(&[], secret.as_bytes(), &Transcript::new(label::SENDER_TREE).u32(start).u32(end).bytes())
}

/// A tree as a row that the store seals.
#[derive(Clone, Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
pub struct StoredTree {
    nodes: Vec<(u32, u32, [u8; 32])>,
}

impl fmt::Debug for StoredTree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { nodes: _ } = self;
        f.write_str("StoredTree(..)")
    }
}

/// No key for this message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoSeed {
    /// It was used, or given up.
    #[error("this message was opened before")]
    Used,
    /// It lies further ahead than a chain may jump.
    #[error("the message leaves out more than {CHANNEL_JUMP_MAX} others")]
    TooFar,
}

impl NoSeed {
    /// Names who is at fault: nobody for what came twice, as it does where several peers pass it on.
    pub const fn fault(&self) -> Fault {
        match self {
            Self::Used => Fault::Transient,
            Self::TooFar => Fault::Peer,
        }
    }
}

/// A sender's chain in one epoch: each message's seed comes once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    key: Secret<32>,
    next: u32,
    /// Shared until it changes: most messages leave nothing out, and what others left out is not copied for them.
    skipped: Arc<BTreeMap<u32, Secret<32>>>,
}

impl Chain {
    /// Returns the number of the next message.
    pub const fn next(&self) -> u32 {
        self.next
    }

    /// Takes the next message's seed: the sender's side.
    pub fn advance(&mut self) -> (u32, Secret<32>) {
        let generation = self.next;
        (generation, self.step())
    }

    fn step(&mut self) -> Secret<32> {
        let seed = hmac(self.key.as_bytes(), &[&[0x01]]);
        self.key = hmac(self.key.as_bytes(), &[&[0x02]]);
        self.next = self.next.saturating_add(1);
        seed
    }

    /// Computes the chain after a message was opened, and that message's seed; this chain stays as it is, so that a message
    /// which turns out to be forged changes nothing.
    pub fn seed(&self, generation: u32) -> Result<(Self, Secret<32>), NoSeed> {
        let mut after = self.clone();
        if generation < self.next {
            if !after.skipped.contains_key(&generation) {
                return Err(NoSeed::Used);
            }
            let seed = Arc::make_mut(&mut after.skipped).remove(&generation).ok_or(NoSeed::Used)?;
            return Ok((after, seed));
        }
        if generation - self.next > CHANNEL_JUMP_MAX {
            return Err(NoSeed::TooFar);
        }
        if after.next < generation {
            let mut skipped = (*after.skipped).clone();
            while after.next < generation {
                let (at, seed) = after.advance();
                skipped.insert(at, seed);
            }
            while skipped.len() > CHANNEL_SKIPPED_MAX {
                skipped.pop_first();
            }
            after.skipped = Arc::new(skipped);
        }
        let seed = after.step();
        Ok((after, seed))
    }

    /// Returns the form for a sealed row.
    pub fn to_stored(&self) -> StoredChain {
        let Self { key, next, skipped } = self;
        StoredChain {
            key: *key.as_bytes(),
            next: *next,
            skipped: skipped.iter().map(|(at, seed)| (*at, *seed.as_bytes())).collect(),
        }
    }

    /// Takes back what a row held.
    pub fn from_stored(stored: &StoredChain) -> Self {
        let skipped = stored.skipped.iter().map(|(at, seed)| (*at, Secret::new(*seed))).collect();
        Self { key: Secret::new(stored.key), next: stored.next, skipped: Arc::new(skipped) }
    }
}

/// A chain as a row that the store seals.
#[derive(Clone, Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
pub struct StoredChain {
    key: [u8; 32],
    next: u32,
    skipped: Vec<(u32, [u8; 32])>,
}

impl fmt::Debug for StoredChain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key: _, next: _, skipped: _ } = self;
        f.write_str("StoredChain(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(n: u32) -> SenderTree {
        SenderTree::new(&Secret::new([7; 32]), n)
    }

    #[test]
    fn r_chan_2_each_sender_has_a_chain_of_its_own_that_can_be_taken_once_in_any_order() {
        for n in 1..=33 {
            let (mut forth, mut back) = (tree(n), tree(n));
            let a: Vec<_> = (0..n).map(|i| forth.take(i).unwrap()).collect();
            let mut b: Vec<_> = (0..n).rev().map(|i| back.take(i).unwrap()).collect();
            b.reverse();
            assert_eq!(a, b);
            let distinct: std::collections::BTreeSet<_> = a.iter().map(|c| *c.key.as_bytes()).collect();
            assert_eq!(distinct.len(), n as usize);
            assert!((0..=n).all(|i| forth.take(i).is_none()) && forth.nodes.is_empty());
        }
    }

    #[test]
    fn r_chan_2_what_is_kept_after_a_leaf_was_taken_does_not_give_it_again() {
        let mut tree = tree(1_000);
        let taken = tree.take(617).unwrap();
        assert!(tree.take(617).is_none());
        let stored = SenderTree::from_stored(&tree.to_stored());
        assert!(stored.nodes.values().all(|(_, s)| s.as_bytes() != taken.key.as_bytes()));
        assert!(stored.nodes.iter().all(|(start, (end, _))| !(*start..*end).contains(&617)));
        assert!(stored.nodes.len() <= 11);
    }

    #[test]
    fn r_chan_3_seeds_come_once_in_any_order_and_a_refused_jump_changes_nothing() {
        let mut sender = tree(2).take(1).unwrap();
        let receiver = tree(2).take(1).unwrap();
        let seeds: Vec<_> = (0..10).map(|_| sender.advance()).collect();
        let (after, seed) = receiver.seed(7).unwrap();
        assert_eq!(seed, seeds[7].1);
        assert_eq!(receiver.next(), 0);
        let (after, seed) = after.seed(2).unwrap();
        assert_eq!(seed, seeds[2].1);
        assert_eq!(after.seed(2).err(), Some(NoSeed::Used));
        assert_eq!(after.seed(7).err(), Some(NoSeed::Used));
        assert_eq!(after.seed(8 + CHANNEL_JUMP_MAX + 1).err(), Some(NoSeed::TooFar));
        assert!(after.seed(8 + CHANNEL_JUMP_MAX).is_ok());
        assert_eq!(Chain::from_stored(&after.to_stored()), after);
    }

    #[test]
    fn messages_in_order_do_not_copy_the_seeds_of_those_left_out() {
        let receiver = tree(1).take(0).unwrap();
        let (before, _) = receiver.seed(1_000).unwrap();
        let (after, _) = before.seed(1_001).unwrap();
        assert!(Arc::ptr_eq(&before.skipped, &after.skipped));
        // A seed that was used is gone from what follows, and from nothing before.
        let (later, seed) = after.seed(5).unwrap();
        assert_eq!(after.seed(5).map(|(_, seed)| seed), Ok(seed));
        assert_eq!(later.seed(5).err(), Some(NoSeed::Used));
    }

    #[test]
    fn r_chan_3_skipped_seeds_are_bounded_and_the_oldest_go_first() {
        let receiver = tree(1).take(0).unwrap();
        let (after, _) = receiver.seed(CHANNEL_JUMP_MAX).unwrap();
        let (after, _) = after.seed(after.next() + CHANNEL_JUMP_MAX).unwrap();
        assert_eq!(after.skipped.len(), CHANNEL_SKIPPED_MAX);
        assert_eq!(after.seed(0).err(), Some(NoSeed::Used));
    }
}
