//! Which time a relay goes by: never later than what its store has seen and the time passed since allow, so that a clock
//! that leaps ahead ends nobody's mail. Must not know what lapses.

use crate::clock::Moment;
use kith_protocol::Timestamp;

/// How far the wall clock may be ahead of what is plausible, in milliseconds: a relay may have been off over a weekend.
pub(super) const AHEAD_MAX_MS: u64 = 2 * 86_400_000;
/// How far it may be behind before somebody is told, in milliseconds.
pub(super) const BEHIND_MAX_MS: u64 = 3_600_000;

/// Why the wall clock is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockDoubt {
    /// It is ahead of what the relay has seen: mail is kept by the time that has surely passed, so rather too long.
    Ahead {
        /// By how many milliseconds.
        by_ms: u64,
    },
    /// It is behind what the relay has seen: mail is kept by it, so rather too long.
    Behind {
        /// By how many milliseconds.
        by_ms: u64,
    },
}

impl std::fmt::Display for ClockDoubt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (by_ms, where_to) = match self {
            Self::Ahead { by_ms } => (by_ms, "ahead of"),
            Self::Behind { by_ms } => (by_ms, "behind"),
        };
        write!(f, "{} hours {where_to} what the relay has seen: mail is rather kept too long", by_ms / 3_600_000)
    }
}

/// The time of a relay.
#[derive(Clone, Copy, Debug)]
pub(super) struct Time {
    /// The latest time that was believed, and when that was; none until the clock was looked at in an empty relay.
    seen: Option<(Timestamp, Moment)>,
    now: Timestamp,
    doubt: Option<ClockDoubt>,
}

impl Time {
    /// Begins at the latest time that the store has seen; with `accept` the wall clock is believed whatever that was.
    pub(super) fn begin(latest: Option<Timestamp>, accept: bool, wall: Timestamp, moment: Moment) -> Self {
        let seen = latest.filter(|_| !accept).map(|latest| (latest, moment));
        let mut time = Self { seen, now: wall, doubt: None };
        time.look(wall, moment);
        time
    }

    /// Looks at the clocks.
    pub(super) fn look(&mut self, wall: Timestamp, moment: Moment) {
        let Some((at, then)) = self.seen else {
            (self.seen, self.now) = (Some((wall, moment)), wall);
            return;
        };
        let passed = u64::try_from(moment.saturating_sub(then).as_millis()).unwrap_or(u64::MAX);
        let line = at.plus_millis(passed);
        let (ahead, behind) = (wall.millis_since(line), line.millis_since(wall));
        if ahead > AHEAD_MAX_MS {
            self.doubt = Some(ClockDoubt::Ahead { by_ms: ahead });
            self.now = line;
        } else {
            self.doubt = (behind > BEHIND_MAX_MS).then_some(ClockDoubt::Behind { by_ms: behind });
            self.now = wall;
            if ahead > 0 {
                self.seen = Some((wall, moment));
            }
        }
    }

    /// The time to go by.
    pub(super) const fn now(&self) -> Timestamp {
        self.now
    }

    /// What is wrong with the wall clock, if anything is.
    pub(super) const fn doubt(&self) -> Option<ClockDoubt> {
        self.doubt
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const DAY: u64 = 86_400_000;

    fn at(days: u64) -> Timestamp {
        Timestamp::from_millis(20_000 * DAY).plus_days(days)
    }

    fn after(ms: u64) -> Moment {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_clock_that_leaps_ahead_is_not_followed_and_one_that_is_put_right_is() {
        let mut time = Time::begin(None, false, at(10), after(0));
        time.look(at(10).plus_millis(5_000), after(5_000));
        assert_eq!((time.now(), time.doubt()), (at(10).plus_millis(5_000), None));
        time.look(at(40), after(60_000));
        assert_eq!(time.now(), at(10).plus_millis(60_000));
        assert!(matches!(time.doubt(), Some(ClockDoubt::Ahead { by_ms }) if by_ms > 29 * DAY));
        time.look(at(11), after(DAY));
        assert_eq!((time.now(), time.doubt()), (at(11), None));
    }

    #[test]
    fn a_start_days_ahead_of_what_the_store_saw_goes_by_the_time_that_surely_passed_unless_told() {
        let mut time = Time::begin(Some(at(10)), false, at(15), after(0));
        assert_eq!(time.now(), at(10));
        assert!(time.doubt().is_some());
        time.look(at(16), after(DAY));
        assert_eq!(time.now(), at(11));
        let told = Time::begin(Some(at(10)), true, at(15), after(0));
        assert_eq!((told.now(), told.doubt()), (at(15), None));
        let weekend = Time::begin(Some(at(10)), false, at(12), after(0));
        assert_eq!((weekend.now(), weekend.doubt()), (at(12), None));
    }

    #[test]
    fn a_clock_that_is_behind_is_gone_by_and_named() {
        let mut time = Time::begin(Some(at(10)), false, at(5), after(0));
        assert_eq!((time.now(), time.doubt()), (at(5), Some(ClockDoubt::Behind { by_ms: 5 * DAY })));
        time.look(at(10).plus_millis(1_000), after(1_000));
        assert_eq!((time.now(), time.doubt()), (at(10).plus_millis(1_000), None));
    }
}
