//! The service: takes what waits, judges it, commits it together, and only then answers.
//! Must not know threads or clocks: time comes in with every turn.

mod admit;
mod answer;
mod look;
mod operate;
mod storage;

use super::{
    ClockDoubt, Counters, Denied, Operator, Settings, Stats, Told, counters, owners::Owners, rates::Allowances,
    time::Time, wakes::Wakes,
};
use crate::{
    clock::Moment,
    net::{PeerName, RelayInput, RelayToken},
};
use kith_protocol::{
    MailboxId, RelayId, Timestamp,
    crypto::{Secret, sign::SigningKey},
    limits::PAGE_BYTES_MAX,
    mailbox::{Answer, Nonce, Reason, Refusal},
};
use kith_store::{
    Error,
    mailbox::{Change, RelayStore},
};
use look::Look;
use rand_chacha::ChaCha20Rng;
use std::{collections::BTreeSet, time::Duration};
use storage::Shelf;

/// Requests worked off in one turn: bounds how long the next one waits.
pub const BATCH_MAX: usize = 256;
/// Bytes of pages in one turn; beyond it each owner gets one envelope, and asks again.
const PAGES_MAX: usize = 16 << 20;
/// What lapsed is looked for so often.
const SWEEP_EVERY: Duration = Duration::from_secs(60);
/// Things deleted in one turn because they have lapsed.
const SWEEP_BUDGET: usize = 256;
/// When whoever was told to wait for room may try again, in milliseconds.
const ROOM_AGAIN_MS: u64 = 600_000;
/// When whoever met a disk that failed, or a relay that stops, may try again, in milliseconds.
const SOON_AGAIN_MS: u64 = 2_000;

/// What a service is made of.
pub struct Setup {
    /// What it keeps.
    pub store: Box<dyn RelayStore>,
    /// Signs its word; names it.
    pub key: SigningKey,
    /// The transport name it answers under.
    pub peer: PeerName,
    /// What its operator decided.
    pub settings: Settings,
    /// Chance.
    pub rng: ChaCha20Rng,
    /// The wall clock.
    pub wall: Timestamp,
    /// The monotonic clock.
    pub moment: Moment,
}

/// What a turn lets out: everything in it is on disk, or needs not be.
#[derive(Debug, Default)]
pub struct Turn {
    /// Answers to requests.
    pub answers: Vec<(RelayToken, Vec<u8>)>,
    /// Answers to the operator, in the order of the questions.
    pub told: Vec<Result<Told, Denied>>,
    /// Peers whose connections are kept from now on: they have a mailbox.
    pub keep: Vec<PeerName>,
    /// Peers for whom something waits now.
    pub wake: BTreeSet<PeerName>,
    /// Peers that showed what nobody signed.
    pub faults: BTreeSet<PeerName>,
    /// Whether the store takes nothing in.
    pub storage_failed: bool,
    /// When the service is to be called again, if nothing comes before.
    pub next_due: Moment,
}

/// A relay's service.
pub struct Service {
    shelf: Shelf,
    key: SigningKey,
    id: RelayId,
    peer: PeerName,
    /// What nonces follow from; drawn anew at every start.
    run: Secret<32>,
    settings: Settings,
    rng: ChaCha20Rng,
    time: Time,
    moment: Moment,
    started: Moment,
    sweep_at: Moment,
    stopping: bool,
    owners: Owners,
    wakes: Wakes,
    peers: Allowances<PeerName>,
    grants: Allowances<(MailboxId, u64)>,
    counters: Counters,
}

/// Who waits for the outcome of a change.
enum Waiter {
    Client { token: RelayToken, from: PeerName },
    Operator { place: usize, told: Told },
}

/// The work of one turn.
#[derive(Default)]
struct Work {
    /// The operator's and the owners' changes: they come first.
    first: Vec<(Waiter, Change)>,
    /// Everybody else's.
    then: Vec<(Waiter, Change)>,
    looks: Vec<(RelayToken, PeerName, Look)>,
    told: Vec<Option<Result<Told, Denied>>>,
    /// Bytes of pages that may still be read.
    pages_left: usize,
    turn: Turn,
}

impl Service {
    /// Begins to serve.
    ///
    /// # Errors
    /// What the store reports.
    pub fn new(setup: Setup) -> Result<Self, Error> {
        let Setup { store, key, peer, settings, mut rng, wall, moment } = setup;
        let id = RelayId::from_bytes(*key.public().as_bytes());
        Ok(Self {
            time: Time::begin(store.latest()?, settings.accept_clock, wall, moment),
            shelf: Shelf::new(store),
            key,
            id,
            peer,
            run: Secret::random(&mut rng),
            settings,
            rng,
            moment,
            started: moment,
            sweep_at: moment,
            stopping: false,
            owners: Owners::default(),
            wakes: Wakes::new(),
            peers: Allowances::new(),
            grants: Allowances::new(),
            counters: Counters::default(),
        })
    }

    /// Names the relay.
    pub const fn id(&self) -> RelayId {
        self.id
    }

    /// What is wrong with the clock, if anything is.
    pub const fn clock_doubt(&self) -> Option<ClockDoubt> {
        self.time.doubt()
    }

    /// From now on every request is told that the relay is shutting down.
    pub const fn stop(&mut self) {
        self.stopping = true;
    }

    /// Works off what came, at most [`BATCH_MAX`] requests of it at a time. What was accepted is on disk when this returns.
    pub fn turn(&mut self, inputs: Vec<RelayInput>, asks: Vec<Operator>, wall: Timestamp, moment: Moment) -> Turn {
        self.time.look(wall, moment);
        self.moment = moment;
        self.shelf.recover(moment);
        let mut work = Work { pages_left: PAGES_MAX, ..Work::default() };
        for ask in asks {
            self.prepare(ask, &mut work);
        }
        for input in inputs {
            match input {
                RelayInput::Gone { peer } => {
                    self.owners.gone(&peer);
                    self.wakes.gone(&peer);
                }
                RelayInput::Request { token, from, request } => self.take_in(token, from, &request, &mut work),
            }
        }
        self.carry_out(&mut work);
        for (token, from, look) in std::mem::take(&mut work.looks) {
            let answer = self.look(&from, look, &mut work);
            self.give(token, answer, &mut work.turn);
        }
        self.sweep();
        let Work { told, mut turn, .. } = work;
        turn.told = told.into_iter().map(|told| told.unwrap_or(Err(Denied::Storage))).collect();
        turn.wake = self.wakes.now(turn.wake, moment);
        counters::add(&mut self.counters.woken, turn.wake.len() as u64);
        turn.storage_failed = !self.shelf.is_ok();
        let due = [Some(self.sweep_at), self.shelf.again(), self.wakes.next()];
        turn.next_due = due.into_iter().flatten().min().unwrap_or(self.sweep_at);
        turn
    }

    /// Commits the changes together and answers who waits for them.
    fn carry_out(&mut self, work: &mut Work) {
        let jobs = std::mem::take(&mut work.first).into_iter().chain(std::mem::take(&mut work.then));
        let (waiters, changes): (Vec<Waiter>, Vec<Change>) = jobs.unzip();
        if changes.is_empty() {
            return;
        }
        let outcomes = self.shelf.apply(&changes, &self.settings.caps, self.time.now(), &mut self.counters);
        for ((waiter, change), outcome) in waiters.into_iter().zip(&changes).zip(outcomes) {
            match waiter {
                Waiter::Client { token, from } => {
                    let answer = match outcome {
                        Ok(outcome) => self.answer(&from, change, outcome, &mut work.turn),
                        Err(_) => Answer::Refused(Refusal::later(Reason::Storage, SOON_AGAIN_MS)),
                    };
                    self.give(token, answer, &mut work.turn);
                }
                Waiter::Operator { place, told } => {
                    if let Some(waiting) = work.told.get_mut(place) {
                        *waiting =
                            Some(outcome.map_err(Denied::from).and_then(|outcome| operate::tell(told, &outcome)));
                    }
                }
            }
        }
    }

    /// Lets an answer go.
    fn give(&mut self, token: RelayToken, answer: Answer, turn: &mut Turn) {
        if let Answer::Refused(refusal) = &answer {
            self.counters.refuse(refusal.reason);
        }
        turn.answers.push((token, answer.encode()));
    }

    /// Notes that a peer has proven a mailbox that is here.
    fn note_owner(&mut self, from: &PeerName, mailbox: MailboxId, turn: &mut Turn) {
        if self.owners.note(from, mailbox) && *from != self.peer {
            turn.keep.push(from.clone());
        }
    }

    fn nonce(&self, from: &PeerName) -> Nonce {
        Nonce::of_peer(self.run.as_bytes(), &from.0)
    }

    /// Deletes some of what has lapsed.
    fn sweep(&mut self) {
        if self.moment < self.sweep_at {
            return;
        }
        let (now, caps) = (self.time.now(), &self.settings.caps);
        let more = !self.stopping && self.shelf.sweep(SWEEP_BUDGET, caps, now, &mut self.counters);
        self.sweep_at = if more { self.moment } else { self.moment.saturating_add(SWEEP_EVERY) };
    }

    /// Names that are kept in memory: of peers, owners and grants.
    #[cfg(test)]
    pub(super) fn remembered(&self) -> usize {
        self.peers.len() + self.owners.len() + self.grants.len()
    }

    fn stats(&self) -> Result<Stats, Error> {
        Ok(Stats {
            name: self.settings.name.clone(),
            open: self.settings.open,
            held: self.shelf.store().totals()?,
            counters: self.counters.clone(),
            owners: self.owners.len() as u64,
            storage_ok: self.shelf.is_ok(),
            clock_doubt: self.time.doubt(),
            uptime_s: self.moment.saturating_sub(self.started).as_secs(),
        })
    }
}

impl Work {
    /// How many bytes the next page may have.
    fn page_bytes(&self) -> usize {
        self.pages_left.min(PAGE_BYTES_MAX)
    }
}
