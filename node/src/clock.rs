//! The only file that reads the clock or opens the system's randomness; everything else takes both as arguments.
//! Must not know what the time is used for.
#![allow(clippy::disallowed_methods, reason = "this is the one place where time and chance enter")]

use kith_protocol::Timestamp;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// Tells the time: the system's, or one that a test moves by hand. Clones share one time.
#[derive(Clone, Debug)]
pub struct Clock {
    origin: Instant,
    source: Source,
}

#[derive(Clone, Debug)]
enum Source {
    System,
    Manual(Arc<Hands>),
}

/// What a hand-moved clock shows.
#[derive(Debug)]
struct Hands {
    wall_ms: AtomicU64,
    run_ms: AtomicU64,
}

/// A point on the monotonic clock: the time since the clock was made. It never jumps with the wall clock.
pub type Moment = Duration;

/// The operating system gave no randomness; nothing may go on without it.
#[derive(Debug, thiserror::Error)]
#[error("the operating system gave no randomness")]
pub struct NoRandomness(#[source] getrandom::Error);

impl Clock {
    /// Makes a clock that shows the system's time.
    pub fn system() -> Self {
        Self { origin: Instant::now(), source: Source::System }
    }

    /// Makes a clock that stands at `now` until it is moved.
    pub fn manual(now: Timestamp) -> Self {
        let hands = Hands { wall_ms: AtomicU64::new(now.as_millis()), run_ms: AtomicU64::new(0) };
        Self { origin: Instant::now(), source: Source::Manual(Arc::new(hands)) }
    }

    /// Returns the wall-clock time; the epoch if the system's clock stands before it.
    pub fn now(&self) -> Timestamp {
        match &self.source {
            Source::System => {
                let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                Timestamp::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
            }
            Source::Manual(hands) => Timestamp::from_millis(hands.wall_ms.load(Ordering::SeqCst)),
        }
    }

    /// Returns the monotonic time since the clock was made.
    pub fn moment(&self) -> Moment {
        match &self.source {
            Source::System => self.origin.elapsed(),
            Source::Manual(hands) => Duration::from_millis(hands.run_ms.load(Ordering::SeqCst)),
        }
    }

    /// Returns the monotonic point that lies `after` from now.
    pub fn deadline(&self, after: Duration) -> Moment {
        self.moment().saturating_add(after)
    }

    /// Returns the system's monotonic instant that lies `after` from now, for interfaces that ask for one.
    pub fn instant_after(&self, after: Duration) -> Instant {
        let now = Instant::now();
        now.checked_add(after).unwrap_or(now)
    }

    /// Moves a manual clock forward, wall and monotonic alike; does nothing to the system's.
    pub fn advance(&self, by: Duration) {
        if let Source::Manual(hands) = &self.source {
            let ms = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
            hands.wall_ms.fetch_add(ms, Ordering::SeqCst);
            hands.run_ms.fetch_add(ms, Ordering::SeqCst);
        }
    }

    /// Sets a manual clock's wall time, as an administrator would: monotonic time does not move.
    pub fn set_wall(&self, now: Timestamp) {
        if let Source::Manual(hands) = &self.source {
            hands.wall_ms.store(now.as_millis(), Ordering::SeqCst);
        }
    }
}

/// Opens a cryptographic generator seeded with 32 bytes of the system's randomness.
///
/// # Errors
/// `NoRandomness` if the system gives none.
pub fn system_rng() -> Result<ChaCha20Rng, NoRandomness> {
    let mut seed = zeroize::Zeroizing::new([0u8; 32]);
    getrandom::fill(seed.as_mut_slice()).map_err(NoRandomness)?;
    Ok(ChaCha20Rng::from_seed(*seed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_core::Rng;

    #[test]
    fn manual_clock_moves_only_by_hand_and_is_shared_by_its_clones() {
        let clock = Clock::manual(Timestamp::from_millis(1_000));
        let other = clock.clone();
        let deadline = clock.deadline(Duration::from_millis(300));
        clock.advance(Duration::from_millis(250));
        assert_eq!(other.now(), Timestamp::from_millis(1_250));
        assert!(other.moment() < deadline);
        clock.advance(Duration::from_millis(50));
        assert!(other.moment() >= deadline);
    }

    #[test]
    fn setting_the_wall_clock_does_not_move_deadlines() {
        let clock = Clock::manual(Timestamp::from_millis(5_000));
        let before = clock.moment();
        clock.set_wall(Timestamp::from_millis(1));
        assert_eq!(clock.now(), Timestamp::from_millis(1));
        assert_eq!(clock.moment(), before);
    }

    #[test]
    fn system_clock_is_after_2025_and_monotonic() {
        let clock = Clock::system();
        assert!(clock.now() > Timestamp::from_millis(1_735_689_600_000));
        assert!(clock.moment() <= clock.moment());
    }

    #[test]
    fn two_system_generators_differ() {
        let (mut a, mut b) = (system_rng().unwrap(), system_rng().unwrap());
        assert_ne!((a.next_u64(), a.next_u64()), (b.next_u64(), b.next_u64()));
    }
}
