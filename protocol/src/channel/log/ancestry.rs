//! Who comes before whom in a graph of operations. Must not know what they do.
//!
//! The graph is cut into chains: an operation goes on with a chain whose last one lies in its past, else it begins one.
//! What an operation has in its past is then one number for each chain, and there are hardly more chains than operations
//! that do not know each other.

use crate::limits::CHANNEL_CLOCKS_MAX;
use std::sync::Arc;

/// The place of an operation in the order in which they came: parents always lie below.
pub type Ix = usize;

/// Each chain that lies in an operation's past but for its own, with the number of the last operation there.
type Clock = Arc<[(u32, u32)]>;

#[derive(Clone, Debug)]
struct Place {
    chain: u32,
    number: u32,
    clock: Clock,
}

/// The order of operations.
#[derive(Clone, Debug, Default)]
pub(super) struct Ancestry {
    places: Vec<Place>,
    /// The last number of each chain.
    tails: Vec<u32>,
    /// Entries of all clocks together.
    entries: usize,
}

impl Ancestry {
    /// Appends an operation behind its parents.
    pub(super) fn push(&mut self, parents: &[Ix]) -> Ix {
        let known: Vec<&Place> = parents.iter().filter_map(|p| self.places.get(*p)).collect();
        let place = match known.as_slice() {
            [parent] if self.is_tail(parent.chain, parent.number) => {
                Place { number: parent.number + 1, ..(*parent).clone() }
            }
            parents => self.joined(parents),
        };
        let shared = matches!(known.as_slice(), [parent] if Arc::ptr_eq(&parent.clock, &place.clock));
        self.entries += if shared { 0 } else { place.clock.len() };
        match self.tails.get_mut(place.chain as usize) {
            Some(tail) => *tail = place.number,
            None => self.tails.push(place.number),
        }
        self.places.push(place);
        self.places.len() - 1
    }

    fn joined(&self, parents: &[&Place]) -> Place {
        let mut clock = join(parents);
        let ended = clock.iter().position(|(chain, number)| self.is_tail(*chain, *number));
        let (chain, number) = match ended.map(|at| clock.remove(at)) {
            Some((chain, last)) => (chain, last + 1),
            None => (self.tails.len() as u32, 0),
        };
        Place { chain, number, clock: clock.into() }
    }

    fn is_tail(&self, chain: u32, number: u32) -> bool {
        self.tails.get(chain as usize) == Some(&number)
    }

    /// Says whether so many operations do not know each other that more would cost too much memory.
    pub(super) const fn is_full(&self) -> bool {
        self.entries > CHANNEL_CLOCKS_MAX
    }

    /// Says whether `a` lies in the past of `b`; an operation does not lie in its own.
    pub(super) fn precedes(&self, a: Ix, b: Ix) -> bool {
        if a >= b {
            return false;
        }
        let (Some(a), Some(b)) = (self.places.get(a), self.places.get(b)) else { return false };
        if a.chain == b.chain {
            return a.number < b.number;
        }
        match b.clock.binary_search_by_key(&a.chain, |(chain, _)| *chain) {
            Ok(at) => b.clock.get(at).is_some_and(|(_, number)| *number >= a.number),
            Err(_) => false,
        }
    }

    /// Says whether neither lies in the past of the other.
    pub(super) fn concurrent(&self, a: Ix, b: Ix) -> bool {
        a != b && !self.precedes(a, b) && !self.precedes(b, a)
    }
}

/// Joins what lies in the past of some operations, and themselves.
fn join(parents: &[&Place]) -> Vec<(u32, u32)> {
    let mut all: Vec<(u32, u32)> = Vec::new();
    for parent in parents {
        all.extend(parent.clock.iter());
        all.push((parent.chain, parent.number));
    }
    all.sort_unstable_by(|a, b| a.0.cmp(&b.0).then(b.1.cmp(&a.1)));
    all.dedup_by_key(|(chain, _)| *chain);
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn the_past_of_an_operation_is_what_walking_its_parents_finds(
            edges in prop::collection::vec(prop::collection::vec(any::<prop::sample::Index>(), 1..4), 1..40)
        ) {
            let mut ancestry = Ancestry::default();
            let mut past: Vec<BTreeSet<Ix>> = vec![BTreeSet::new()];
            ancestry.push(&[]);
            for edge in edges {
                let parents: BTreeSet<Ix> = edge.iter().map(|i| i.index(past.len())).collect();
                let at = ancestry.push(&parents.iter().copied().collect::<Vec<_>>());
                past.push(parents.iter().flat_map(|p| past[*p].iter().copied().chain([*p])).collect());
                prop_assert_eq!(at + 1, past.len());
            }
            for a in 0..past.len() {
                for (b, before) in past.iter().enumerate() {
                    prop_assert_eq!(ancestry.precedes(a, b), before.contains(&a), "{} {}", a, b);
                }
            }
        }
    }

    #[test]
    fn forks_that_were_joined_again_leave_no_chains_behind() {
        let mut ancestry = Ancestry::default();
        let mut last = ancestry.push(&[]);
        for _ in 0..10_000 {
            let sides = [ancestry.push(&[last]), ancestry.push(&[last]), ancestry.push(&[last])];
            last = ancestry.push(&sides);
        }
        assert_eq!(ancestry.tails.len(), 3);
        assert!(ancestry.entries <= 3 * ancestry.places.len());
        assert!(!ancestry.is_full());
    }

    #[test]
    fn as_many_clocks_as_memory_has_room_for_are_too_many() {
        let mut ancestry = Ancestry::default();
        let first = ancestry.push(&[]);
        let wide: Vec<Ix> = (0..3_000).map(|_| ancestry.push(&[first])).collect();
        let joined = ancestry.push(&wide);
        let mut pushed = 0;
        while !ancestry.is_full() {
            ancestry.push(&[joined]);
            pushed += 1;
        }
        assert!((2_000..4_000).contains(&pushed), "{pushed}");
    }
}
