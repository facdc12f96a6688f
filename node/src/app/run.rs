//! Takes inputs in batches, works each out as a step, commits them together, and only then lets effects out.

use super::{
    App,
    command::{Command, Outcome, Reply},
    effect::{Effects, Owed, RequestId},
    input::Input,
    mail,
    work::{Halt, Rng, Work},
};
use crate::{
    api::error::{Code, UserError},
    net::{InboundToken, NetCommand, NetEvent, Verdict},
};
use kith_protocol::{DeviceId, EnvelopeId, Timestamp};
use kith_store::{
    Committed, Overlay, RawRows, Rows, Snapshot, Store, Tx, Writes,
    table::{Due, Idempotency, OwnProfile},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// Inputs taken into one batch: one commit serves them all.
pub const BATCH_MAX: usize = 256;
/// Bytes of inbound frames taken into one batch.
pub const BATCH_BYTES_MAX: usize = 1 << 20;
/// Due items worked off in one turn, so that inputs are not kept waiting.
const DUE_MAX: usize = 128;
/// A clock that went back by more was wrong before; what it put off is looked at anew.
const CLOCK_BACK_MS: u64 = 60_000;
/// What a sender is told to wait when this node could not store its frame, in milliseconds.
const STORAGE_RETRY_MS: u64 = 5_000;

/// How long a due item that fails by itself is put off, in milliseconds.
const PUT_OFF_MS: u64 = 60 * 60_000;
/// When a failed batch's timetable is looked at again, in milliseconds; doubles with every further failure, five times.
const STORAGE_AGAIN_MS: u64 = 1_000;
const STORAGE_DOUBLINGS_MAX: u32 = 5;

/// An answer without payload that needs no commit: a refusal of a request or of a frame.
#[derive(Debug)]
pub enum Refusal {
    /// A local client's request is refused.
    Request(RequestId, UserError),
    /// A frame is not taken now.
    Frame(InboundToken, Verdict),
}

/// What a turn lets out: effects that are on disk, and refusals that need none.
pub struct Turn {
    /// Effects of the committed batch; none if nothing was committed.
    pub effects: Option<Committed<Effects>>,
    /// Refusals.
    pub refusals: Vec<Refusal>,
    /// When something is due next.
    pub next_due: Option<Timestamp>,
    /// Whether the store stopped taking writes.
    pub storage_failed: bool,
}

/// Runs the app over its store, one batch at a time.
pub struct Runner {
    app: App,
    store: Arc<Store>,
    rng: Rng,
    /// The moment of the last batch: a clock that went back since is set right.
    last: Option<Timestamp>,
    /// Batches that failed since one was committed.
    failures: u32,
    /// What no later input repeats: handled again until it is committed.
    again: Vec<Input>,
}

impl Runner {
    /// Puts an app over its store.
    pub fn new(app: App, store: Arc<Store>, rng: Rng) -> Self {
        Self { app, store, rng, last: None, failures: 0, again: Vec::new() }
    }

    /// The store.
    pub fn store(&self) -> &Arc<Store> {
        &self.store
    }

    /// Works out a batch and commits it. What is due by `now` is worked off with it.
    pub fn turn(&mut self, inputs: Vec<Input>, now: Timestamp) -> Turn {
        let mut all = std::mem::take(&mut self.again);
        all.extend(inputs);
        let asked: Vec<_> = all.iter().filter_map(asks).collect();
        let again = unrepeated(&all);
        match self.batch(all, now) {
            Ok(turn) => turn,
            Err(error) => {
                self.again = again;
                self.failed(asked, &error, now)
            }
        }
    }

    fn batch(&mut self, inputs: Vec<Input>, now: Timestamp) -> Result<Turn, kith_store::Error> {
        let snapshot = self.store.snapshot()?;
        let before = match self.last {
            Some(last) => last,
            None => latest_seen(&snapshot)?.unwrap_or(now),
        };
        self.app.watch_clock(before, now);
        let mut batch = Batch::over(&snapshot);
        let mut refusals = Vec::new();
        if self.last.is_some_and(|last| now.plus_millis(CLOCK_BACK_MS) < last) {
            batch.optional(now, &mut self.rng, |w| self.app.clock_went_back(w))?;
        }
        for input in inputs.into_iter().flat_map(mail::unpack) {
            let ask = asks(&input);
            match batch.step(now, &mut self.rng, |w| self.app.handle(w, input)) {
                Ok(()) => {}
                Err(Halt::Store(error)) if is_of_one_step(&error) => {
                    tracing::error!(%error, "a step failed by itself: it is dropped, the batch goes on");
                    refusals.extend(ask.map(Asks::give_up));
                }
                Err(Halt::Store(error)) => return Err(error),
                Err(Halt::User(error)) => match ask {
                    Some(ask) => refusals.push(ask.refuse(error)),
                    None => tracing::warn!(%error, "a step that nobody asked for is dropped"),
                },
            }
        }
        for due in due_until(&batch.overlay, now)? {
            match batch.step(now, &mut self.rng, |w| self.app.due(w, due)) {
                Ok(()) => {}
                Err(Halt::Store(error)) if !is_of_one_step(&error) => return Err(error),
                Err(why) => {
                    tracing::error!(what = ?due.what, ?why, "a due item failed by itself: it is put off");
                    let later = now.plus_millis(PUT_OFF_MS);
                    batch.optional(now, &mut self.rng, |w| {
                        w.unschedule(due.at, due.what)?;
                        w.schedule(later, due.what)
                    })?;
                }
            }
        }
        let mut owed = BTreeMap::<DeviceId, Vec<Owed>>::new();
        for receipt in std::mem::take(&mut batch.owed) {
            owed.entry(receipt.device).or_default().push(receipt);
        }
        for (device, owed) in owed {
            batch.optional(now, &mut self.rng, |w| self.app.send_receipts(w, device, &owed))?;
        }
        if self.failures > 0 {
            // Whether the disk takes writes again shows only by one.
            batch.optional(now, &mut self.rng, |w| {
                let counters = w.counters()?;
                w.put(&counters)
            })?;
            // The store was opened again: what it had not synced is gone.
            batch.optional(now, &mut self.rng, |w| self.app.relays_start(w))?;
        }
        let done = std::mem::take(&mut batch.done);
        if !done.is_empty() {
            batch.optional(now, &mut self.rng, |w| self.app.acknowledge(w, &done))?;
        }
        let next_due = next_due(&batch.overlay)?;
        let Batch { overlay, effects, lasting, .. } = batch;
        let writes: Writes = overlay.into_writes();
        let effects = if writes.is_empty() {
            self.store.replay(|_| Ok(effects))?
        } else {
            let apply = |tx: &mut Tx<'_>| {
                tx.apply(&writes)?;
                Ok(effects)
            };
            if lasting { self.store.write(apply)? } else { self.store.write_forgettable(apply)? }
        };
        self.last = Some(now);
        self.failures = 0;
        Ok(Turn { effects: Some(effects), refusals, next_due, storage_failed: false })
    }

    /// The commit failed, so its outcome is unknown: nothing of the batch is let out, the store is opened again, and whoever
    /// asked is told what the rows say.
    fn failed(&mut self, asked: Vec<Asks>, error: &kith_store::Error, now: Timestamp) -> Turn {
        tracing::error!(%error, "storage failed: nothing of this batch was let out");
        let reopened = self.store.reopen();
        // A store that could not be opened again names the reason that still stands.
        let reason = reopened.as_ref().err().unwrap_or(error);
        let kept = self.store.replay(|rows| {
            let mut effects = Effects::default();
            for ask in &asked {
                effects.replies.extend(ask.kept(rows)?.map(|(request, outcome)| (request, Ok(outcome))));
            }
            Ok(effects)
        });
        let answered: BTreeSet<_> = kept.iter().flat_map(|e| e.as_ref().replies.iter().map(|(id, _)| *id)).collect();
        let open = asked.into_iter().filter(|ask| !matches!(ask, Asks::Request { id, .. } if answered.contains(id)));
        let known = kept.is_ok();
        let refusals = open.map(|ask| {
            let user = storage_error(reason);
            let settled = known && ask.is_repeatable();
            ask.refuse(if settled { user } else { unsettled(user) })
        });
        let refusals = refusals.collect();
        let pause = STORAGE_AGAIN_MS << self.failures.min(STORAGE_DOUBLINGS_MAX);
        self.failures = self.failures.saturating_add(1);
        Turn { effects: kept.ok(), refusals, next_due: Some(now.plus_millis(pause)), storage_failed: true }
    }
}

/// The batch so far.
struct Batch<'s> {
    overlay: Overlay<'s>,
    effects: Effects,
    owed: Vec<Owed>,
    done: Vec<EnvelopeId>,
    /// Some of it has to be on disk before anything is let out.
    lasting: bool,
}

impl<'s> Batch<'s> {
    fn over(snapshot: &'s Snapshot) -> Self {
        let overlay = Overlay::new(snapshot);
        Self { overlay, effects: Effects::default(), owed: Vec::new(), done: Vec::new(), lasting: false }
    }

    /// Works out a step without which the batch is still right: if it fails by itself, it is left out.
    fn optional(
        &mut self,
        now: Timestamp,
        rng: &mut Rng,
        work: impl FnOnce(&mut Work<'_>) -> Result<(), Halt>,
    ) -> Result<(), kith_store::Error> {
        match self.step(now, rng, work) {
            Err(Halt::Store(error)) if !is_of_one_step(&error) => Err(error),
            Err(_) => {
                tracing::error!("a step of the app's own failed and is left out");
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    /// Works one step out over the batch so far, and takes it in only if it succeeds.
    fn step(
        &mut self,
        now: Timestamp,
        rng: &mut Rng,
        work: impl FnOnce(&mut Work<'_>) -> Result<(), Halt>,
    ) -> Result<(), Halt> {
        let mut w = Work::new(&self.overlay, now, rng);
        work(&mut w)?;
        let step = w.finish();
        self.lasting |= !step.forgettable && !step.writes.is_empty();
        self.overlay.apply(step.writes);
        self.effects.absorb(step.effects);
        self.owed.extend(step.owed);
        self.done.extend(step.done);
        Ok(())
    }
}

/// Whether an error is the step's own: a row of it is too large, or does not decode. The disk has nothing to do with it,
/// so the steps of others go on.
fn is_of_one_step(error: &kith_store::Error) -> bool {
    use kith_store::{Damage, Error as E};
    matches!(error, E::RowTooLarge { .. } | E::Bug(_) | E::Corrupt(Damage::Encoding))
}

/// The latest moment that the profile has seen.
fn latest_seen(rows: &dyn RawRows) -> Result<Option<Timestamp>, kith_store::Error> {
    Ok(rows.row::<OwnProfile>(&OwnProfile::only())?.map(|profile| profile.latest))
}

fn due_until(rows: &dyn RawRows, now: Timestamp) -> Result<Vec<Due>, kith_store::Error> {
    let until = now.plus_millis(1).as_millis().to_be_bytes();
    rows.rows::<Due>(Due::GROUP, &kith_store::Range::all().before(&until), DUE_MAX)
}

fn next_due(rows: &dyn RawRows) -> Result<Option<Timestamp>, kith_store::Error> {
    Ok(rows.rows::<Due>(Due::GROUP, &kith_store::Range::all(), 1)?.first().map(|d| d.at))
}

/// What nothing repeats by itself if its batch fails: the start, and the addresses told last.
fn unrepeated(inputs: &[Input]) -> Vec<Input> {
    let start = inputs.iter().find(|input| matches!(input, Input::Start));
    let addresses = inputs.iter().rfind(|input| matches!(input, Input::Net(NetEvent::Addresses { .. })));
    start.into_iter().chain(addresses).cloned().collect()
}

/// Who waits for an answer to an input.
#[derive(Clone)]
enum Asks {
    Request {
        id: RequestId,
        /// What would be repeated under which key.
        keyed: Option<(String, Command)>,
    },
    Frame(InboundToken),
}

fn asks(input: &Input) -> Option<Asks> {
    match input {
        Input::Command { request, command, idempotency_key } => {
            let keyed = idempotency_key.clone().map(|key| (key, command.clone()));
            Some(Asks::Request { id: *request, keyed })
        }
        Input::Net(NetEvent::Inbound { token, .. }) => Some(Asks::Frame(*token)),
        _ => None,
    }
}

impl Asks {
    /// The answer where a step failed by itself: the frame is of no use here, the request met a bug.
    fn give_up(self) -> Refusal {
        match self {
            Self::Request { id, .. } => Refusal::Request(id, UserError::internal("a row could not be written or read")),
            Self::Frame(token) => Refusal::Frame(token, Verdict::Refused),
        }
    }

    fn refuse(self, error: UserError) -> Refusal {
        match self {
            Self::Request { id, .. } => Refusal::Request(id, error),
            Self::Frame(token) => Refusal::Frame(token, Verdict::Busy { retry_after_ms: STORAGE_RETRY_MS }),
        }
    }

    /// Whether rows tell what became of it, and repeating it has no second effect.
    fn is_repeatable(&self) -> bool {
        matches!(self, Self::Frame(_) | Self::Request { keyed: Some(_), .. })
    }

    /// The answer that is on disk although its commit failed to say so.
    fn kept(&self, rows: &dyn RawRows) -> Result<Option<(RequestId, Outcome)>, kith_store::Error> {
        let Self::Request { id, keyed: Some((key, command)) } = self else { return Ok(None) };
        let row = rows.row::<Idempotency>(&Idempotency::key_of(key))?;
        let row = row.filter(|row| row.request == command.fingerprint());
        Ok(row.and_then(|row| serde_json::from_slice(&row.reply).ok()).map(|outcome| (*id, outcome)))
    }
}

/// Says that a request's outcome is not known: its commit failed, and nothing tells whether it is on disk.
fn unsettled(error: UserError) -> UserError {
    UserError::new(error.code, format!("{}; whether this was carried out is not known yet", error.message))
        .hint("when the disk works again, 'kith read' and 'kith outbox list' tell")
}

/// Turns a storage error into what people are told.
pub fn storage_error(error: &kith_store::Error) -> UserError {
    use kith_store::Error as E;
    match error {
        E::DiskFull => UserError::new(Code::DiskFull, "the disk is full: nothing is lost")
            .hint("make room; the daemon goes on by itself"),
        E::ReadOnly => UserError::new(Code::ReadOnly, "the profile's folder cannot be written")
            .hint("mount it writable, or check who owns it: kith doctor"),
        E::Corrupt(_) => UserError::new(Code::StoreCorrupt, error.to_string())
            .hint("stop the daemon and put a copy of the profile back; kith doctor"),
        _ => UserError::new(Code::StorageFailed, "the disk reported an error: nothing is lost")
            .hint("look at the disk, then kith doctor"),
    }
}

/// What effects and refusals are let out to.
pub trait Outlet {
    /// Hands a command to the net task; what does not fit is driven again from rows.
    fn net(&mut self, command: NetCommand);
    /// Answers a local client.
    fn reply(&mut self, request: RequestId, reply: Reply);
    /// Tells followers of the event stream that there is more.
    fn events(&mut self, newest: u64);
}

/// Lets a turn out. This is the only way out of the app: it takes committed effects and refusals, nothing else.
pub fn release(turn: Turn, outlet: &mut impl Outlet) {
    for refusal in turn.refusals {
        match refusal {
            Refusal::Request(request, error) => outlet.reply(request, Err(error)),
            Refusal::Frame(token, verdict) => outlet.net(NetCommand::Answer { token, verdict }),
        }
    }
    let Some(effects) = turn.effects.map(Committed::into_inner) else { return };
    for (request, reply) in effects.replies {
        outlet.reply(request, reply);
    }
    for command in effects.net {
        outlet.net(command);
    }
    if let Some(newest) = effects.newest_event {
        outlet.events(newest);
    }
}
