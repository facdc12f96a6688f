//! The bench on which one step is worked out: it reads committed rows and the rows of earlier steps in the same batch,
//! collects writes and effects, and changes nothing until its batch is committed.

use super::effect::{Effects, Owed};
use crate::api::error::UserError;
use kith_protocol::{EnvelopeId, Timestamp};
use kith_store::{Draft, Key, Overlay, RawRows, Row, Rows, Writes};

/// The randomness of the app: a ChaCha20 stream seeded by the system, or by a seed in the simulated world.
pub type Rng = rand_chacha::ChaCha20Rng;

/// Why a step came to nothing. Its writes and effects are dropped; the rest of its batch goes on.
#[derive(Debug)]
pub enum Halt {
    /// A row could not be read: the batch cannot go on.
    Store(kith_store::Error),
    /// The person's request is answered with this.
    User(UserError),
}

impl From<kith_store::Error> for Halt {
    fn from(error: kith_store::Error) -> Self {
        Self::Store(error)
    }
}

impl From<UserError> for Halt {
    fn from(error: UserError) -> Self {
        Self::User(error)
    }
}

/// A step worked out: what it writes, what it wants done once that is on disk.
#[derive(Default)]
pub struct Step {
    pub(super) writes: Writes,
    pub(super) effects: Effects,
    pub(super) owed: Vec<Owed>,
    pub(super) done: Vec<EnvelopeId>,
    pub(super) forgettable: bool,
}

/// One step in the making.
pub struct Work<'a> {
    rows: Draft<'a>,
    effects: Effects,
    owed: Vec<Owed>,
    done: Vec<EnvelopeId>,
    forgettable: bool,
    /// The moment of the step.
    pub now: Timestamp,
    /// Where chance comes from.
    pub rng: &'a mut Rng,
}

impl<'a> Work<'a> {
    /// Starts a step over what is committed and what earlier steps of the batch wrote.
    pub fn new(batch: &'a Overlay<'a>, now: Timestamp, rng: &'a mut Rng) -> Self {
        let rows = Draft::new(batch);
        Self { rows, effects: Effects::default(), owed: Vec::new(), done: Vec::new(), forgettable: false, now, rng }
    }

    /// Ends the step.
    pub fn finish(self) -> Step {
        let Self { rows, effects, owed, done, forgettable, .. } = self;
        Step { writes: rows.into_writes(), effects, owed, done, forgettable }
    }

    /// Reads one row.
    pub fn get<R: Row>(&self, key: &Key) -> Result<Option<R>, Halt> {
        Ok(self.rows.row(key)?)
    }

    /// Writes one row.
    pub fn put<R: Row>(&mut self, row: &R) -> Result<(), Halt> {
        Ok(self.rows.put(row)?)
    }

    /// Deletes one row, if it is there.
    pub fn delete<R: Row>(&mut self, key: &Key) -> Result<(), Halt> {
        self.rows.delete::<R>(key.clone());
        Ok(())
    }

    /// The rows beneath, for scans.
    pub fn rows(&self) -> &dyn RawRows {
        &self.rows
    }

    /// The effects so far.
    pub fn effects(&mut self) -> &mut Effects {
        &mut self.effects
    }

    /// What the step writes is made anew by a start, and nothing it lets out says that it is kept: the disk is not waited
    /// for if all of the batch is so.
    pub fn forgettable(&mut self) {
        self.forgettable = true;
    }

    /// An envelope of a mailbox is dealt with: acknowledged at the end of the batch, together with the others.
    pub fn done_with(&mut self, envelope: EnvelopeId) {
        self.done.push(envelope);
    }

    /// Owes a receipt, sealed at the end of the batch together with the others for its device.
    pub fn owe(&mut self, owed: Owed) {
        self.owed.push(owed);
    }
}
