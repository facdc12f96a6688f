//! How fast somebody may ask: an allowance for each, in a map that cannot grow.
//! Must not know what is asked.

use crate::clock::Moment;
use std::{collections::HashMap, hash::Hash, time::Duration};

/// Names whose allowances are kept; those beyond it share one.
const NAMES_MAX: usize = 8_192;

/// An allowance: so many at once, and so many a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// A second, on average.
    pub per_second: u32,
    /// At once.
    pub burst: u32,
}

impl Rate {
    fn every(self) -> Duration {
        Duration::from_secs(1) / self.per_second.max(1)
    }

    fn saved(self) -> Duration {
        self.every().saturating_mul(self.burst.max(1).saturating_sub(1))
    }
}

/// The allowances of many: for each the moment at which all it used is made up for.
#[derive(Debug)]
pub(super) struct Allowances<K> {
    used: HashMap<K, Moment>,
    others: Moment,
}

impl<K: Eq + Hash> Allowances<K> {
    pub(super) fn new() -> Self {
        Self { used: HashMap::new(), others: Moment::ZERO }
    }

    /// Says whether one more is allowed, or for how many milliseconds to wait.
    pub(super) fn check(&self, name: &K, rate: Rate, now: Moment) -> Result<(), u64> {
        let shared = if self.used.len() >= NAMES_MAX { self.others } else { now };
        let until = self.used.get(name).copied().unwrap_or(shared);
        match until.saturating_sub(now.saturating_add(rate.saved())) {
            Duration::ZERO => Ok(()),
            wait => Err(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).max(1)),
        }
    }

    /// Counts one.
    pub(super) fn charge(&mut self, name: K, rate: Rate, now: Moment) {
        if self.used.len() >= NAMES_MAX && !self.used.contains_key(&name) {
            self.used.retain(|_, until| *until > now);
        }
        let until = if self.used.len() < NAMES_MAX || self.used.contains_key(&name) {
            self.used.entry(name).or_insert(now)
        } else {
            &mut self.others
        };
        *until = (*until).max(now).saturating_add(rate.every());
    }

    /// Names that are kept.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.used.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate { per_second: 10, burst: 3 };

    fn take(allowances: &mut Allowances<u64>, name: u64, now: Moment) -> Result<(), u64> {
        allowances.check(&name, RATE, now)?;
        allowances.charge(name, RATE, now);
        Ok(())
    }

    #[test]
    fn a_burst_then_the_rate_and_each_for_itself() {
        let (mut all, start) = (Allowances::new(), Duration::from_secs(3));
        assert!((0..3).all(|_| take(&mut all, 1, start).is_ok()));
        assert_eq!(take(&mut all, 1, start), Err(100));
        assert!(take(&mut all, 2, start).is_ok());
        assert!(take(&mut all, 1, start + Duration::from_millis(100)).is_ok());
        assert!(take(&mut all, 1, start + Duration::from_millis(100)).is_err());
        assert!((0..3).all(|_| take(&mut all, 1, start + Duration::from_secs(9)).is_ok()));
    }

    #[test]
    fn any_number_of_names_takes_the_room_of_some_and_those_beyond_share() {
        let (mut all, start) = (Allowances::new(), Duration::from_secs(3));
        let refused = (0..100_000).filter(|name| take(&mut all, *name, start).is_err()).count();
        assert_eq!((all.len(), refused), (NAMES_MAX, 100_000 - NAMES_MAX - 3));
        assert!(take(&mut all, 5, start).is_ok(), "who is known keeps their own");
        assert!(take(&mut all, 1_000_000, start + Duration::from_secs(1)).is_ok(), "room comes back with time");
        assert!(all.len() < NAMES_MAX);
    }
}
