//! Counters that others pin: how the next one is chosen and which ones are believed. Must not know what they count.

use crate::{Fault, Timestamp, limits::CLOCK_SKEW_MS};

/// A sequence number is refused and pins nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It lies more than a day ahead of our clock.
    #[error("the sequence lies too far in the future")]
    Ahead,
    /// A higher one was seen before.
    #[error("a newer one was seen before")]
    Older,
}

impl Error {
    /// Says who is to blame: for an old one perhaps only a node that was slow to learn.
    pub const fn fault(&self) -> Fault {
        match self {
            Self::Ahead => Fault::Peer,
            Self::Older => Fault::Transient,
        }
    }
}

/// Chooses the next number: one above the stored one or the time in milliseconds, whichever is higher, so that a profile
/// that went back to an old copy still moves forward. A stored one beyond the bound is ignored (R-DESC-6).
pub fn next(stored: Option<u64>, now: Timestamp) -> u64 {
    let after = stored.filter(|s| is_believable(*s, now)).map_or(0, |s| s.saturating_add(1));
    // One above the bound's last value would not be believed itself.
    let after = if is_believable(after, now) { after } else { 0 };
    after.max(now.as_millis())
}

/// Chooses the next name of a key, in the same way from the time in seconds: names are never used twice.
pub fn next_id(stored: Option<u32>, now: Timestamp) -> u32 {
    let seconds = u32::try_from(now.as_millis() / 1_000).unwrap_or(u32::MAX);
    let bound = seconds.saturating_add((CLOCK_SKEW_MS / 1_000) as u32);
    let after = stored.map(|s| s.saturating_add(1)).filter(|s| *s <= bound);
    after.unwrap_or(0).max(seconds)
}

/// Says whether a number lies at most a day ahead of our clock.
pub const fn is_believable(sequence: u64, now: Timestamp) -> bool {
    sequence <= now.plus_millis(CLOCK_SKEW_MS).as_millis()
}

/// Judges a number against the highest one seen; the caller pins it afterwards. The same number again is fine.
pub fn check(pinned: Option<u64>, sequence: u64, now: Timestamp) -> Result<(), Error> {
    if !is_believable(sequence, now) {
        return Err(Error::Ahead);
    }
    match pinned.filter(|p| is_believable(*p, now)) {
        Some(pinned) if sequence < pinned => Err(Error::Older),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    #[test]
    fn r_desc_6_a_restored_profile_still_moves_forward() {
        let published = next(None, NOW);
        let later = NOW.plus_millis(5);
        assert!(next(None, later) > published, "a profile without memory of it is ahead by the clock");
        assert_eq!(next(Some(published), NOW), published + 1);
    }

    #[test]
    fn c05_20_a_sequence_at_the_end_of_numbers_is_refused_and_bricks_nothing() {
        assert_eq!(check(None, u64::MAX, NOW), Err(Error::Ahead));
        assert_eq!(check(Some(u64::MAX), 7, NOW), Ok(()), "pinned by a clock that was years off");
        assert_eq!(next(Some(u64::MAX), NOW), NOW.as_millis());
        assert_eq!(check(Some(9), 8, NOW), Err(Error::Older));
        assert_eq!(check(Some(9), 9, NOW), Ok(()));
    }

    proptest! {
        #[test]
        fn r_desc_6_the_next_is_always_believed_and_above_every_believable_one_but_the_last(
            stored in prop_oneof![any::<u64>(), (1_799_900_000_000u64..1_800_100_000_000)],
        ) {
            let chosen = next(Some(stored), NOW);
            prop_assert!(is_believable(chosen, NOW));
            prop_assert!(chosen > stored || !is_believable(stored.saturating_add(1), NOW));
        }
    }
}
