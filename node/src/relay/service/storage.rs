//! The store as the service uses it: a batch at a time, a damaged row costs one request, and after an error nothing is
//! taken until the store was opened again. Must not know what changes mean.

use crate::{
    clock::Moment,
    relay::{Counters, Denied, counters::add},
};
use kith_protocol::Timestamp;
use kith_store::{
    Damage, Error,
    mailbox::{Caps, Change, Outcome, RelayStore},
};
use std::time::Duration;

/// A store that failed is opened again so often: back well within five seconds of room, and not all the time, since opening
/// reads the whole file.
const REOPEN_EVERY: Duration = Duration::from_secs(2);

/// Why a change has no outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lost {
    /// The disk failed, now or before.
    Disk,
    /// A row that it needs is damaged.
    Damaged,
}

impl From<Lost> for Denied {
    fn from(lost: Lost) -> Self {
        match lost {
            Lost::Disk => Self::Storage,
            Lost::Damaged => Self::Damaged,
        }
    }
}

/// The store and how it stands.
pub(super) struct Shelf {
    store: Box<dyn RelayStore>,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Good,
    /// It failed in the last turn, or opening it again did: the wait begins when that turn is over.
    Failed,
    /// Opened again then.
    Waits(Moment),
}

impl Shelf {
    pub(super) fn new(store: Box<dyn RelayStore>) -> Self {
        Self { store, state: State::Good }
    }

    pub(super) fn store(&self) -> &dyn RelayStore {
        self.store.as_ref()
    }

    pub(super) fn is_ok(&self) -> bool {
        self.state == State::Good
    }

    /// When the store is to be opened again, or the wait for that is to begin.
    pub(super) const fn again(&self) -> Option<Moment> {
        match self.state {
            State::Good => None,
            State::Failed => Some(Moment::ZERO),
            State::Waits(until) => Some(until),
        }
    }

    /// Opens the store again if it is time.
    pub(super) fn recover(&mut self, now: Moment) {
        match self.state {
            State::Failed => self.state = State::Waits(now.saturating_add(REOPEN_EVERY)),
            State::Waits(until) if until <= now => match self.store.reopen() {
                Ok(()) => self.state = State::Good,
                Err(error) => {
                    tracing::warn!(code = error.code(), "the relay's store cannot be opened again yet");
                    self.state = State::Failed;
                }
            },
            State::Good | State::Waits(_) => {}
        }
    }

    /// Carries changes out together.
    pub(super) fn apply(
        &mut self,
        changes: &[Change],
        caps: &Caps,
        now: Timestamp,
        counters: &mut Counters,
    ) -> Vec<Result<Outcome, Lost>> {
        if !self.is_ok() {
            return vec![Err(Lost::Disk); changes.len()];
        }
        let error = match self.store.apply(changes, caps, now) {
            Ok(outcomes) => {
                add(&mut counters.commits, 1);
                return outcomes.into_iter().map(Ok).collect();
            }
            Err(error) => error,
        };
        add(&mut counters.storage_errors, 1);
        match (error, changes.split_at_checked(changes.len() / 2)) {
            (Error::Corrupt(Damage::Row | Damage::Encoding) | Error::RowTooLarge { .. }, Some(([], _)) | None) => {
                tracing::warn!("a damaged row in the relay's store: a request is refused");
                vec![Err(Lost::Damaged)]
            }
            // Who has nothing to do with the damaged row is served: half of the batch at a time.
            (Error::Corrupt(Damage::Row | Damage::Encoding) | Error::RowTooLarge { .. }, Some((some, others))) => {
                let mut outcomes = self.apply(some, caps, now, counters);
                outcomes.extend(self.apply(others, caps, now, counters));
                outcomes
            }
            (error, _) => {
                tracing::warn!(code = error.code(), "the relay's disk failed: nothing is taken in meanwhile");
                self.state = State::Failed;
                vec![Err(Lost::Disk); changes.len()]
            }
        }
    }

    /// Deletes some of what has lapsed; says whether there may be more.
    pub(super) fn sweep(&mut self, budget: usize, caps: &Caps, now: Timestamp, counters: &mut Counters) -> bool {
        let swept = self.apply(&[Change::Sweep { budget }], caps, now, counters).pop();
        let Some(Ok(Outcome::Swept { deleted, more })) = swept else { return false };
        add(&mut counters.swept, deleted);
        more
    }
}
