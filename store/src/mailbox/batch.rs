//! One batch of changes in an open transaction: later changes see earlier ones, and what many of them count (mailboxes,
//! grants, sums) is written once, at the end.
//! Must not commit, and must not know who asked.

mod deposit;
mod owner;
mod register;
mod sweep;

use super::{Caps, Change, Outcome};
use crate::{
    Error, Row, Rows, Tx, Writes,
    table::{GrantRow, MailboxNumber, MailboxRow, RelayTotals},
};
use kith_protocol::{MailboxId, Timestamp};
use std::collections::BTreeMap;

/// How exactly the latest moment is kept, in milliseconds: a batch that changes nothing else writes it once a minute.
const LATEST_STEP_MS: u64 = 60_000;

/// An open batch. What it holds in memory is bounded by the changes of the batch and the budgets in them.
pub(super) struct Batch<'a, 'txn> {
    tx: &'a mut Tx<'txn>,
    caps: &'a Caps,
    now: Timestamp,
    totals: Kept<RelayTotals>,
    mailboxes: BTreeMap<MailboxId, Kept<MailboxRow>>,
    grants: BTreeMap<(u64, u64), Kept<GrantRow>>,
}

/// A row as it was read, and as it is to be written.
#[derive(Clone, Copy)]
struct Kept<R> {
    read: Option<R>,
    row: R,
}

impl<R: Row + Clone + PartialEq> Kept<R> {
    fn new(read: Option<R>, or: R) -> Self {
        Self { row: read.clone().unwrap_or(or), read }
    }

    /// Writes the row if it changed, or deletes it if nothing in it is worth keeping.
    fn write(self, worth: bool, writes: &mut Writes) -> Result<(), Error> {
        match (&self.read, worth) {
            (Some(read), true) if *read == self.row => Ok(()),
            (_, true) => writes.put(&self.row),
            (None, false) => Ok(()),
            (Some(_), false) => {
                writes.delete::<R>(self.row.key());
                Ok(())
            }
        }
    }
}

impl<'a, 'txn> Batch<'a, 'txn> {
    pub(super) fn begin(tx: &'a mut Tx<'txn>, caps: &'a Caps, now: Timestamp) -> Result<Self, Error> {
        let mut totals = Kept::new(tx.row(&RelayTotals::only())?, RelayTotals::default());
        if totals.read.is_none() || now >= totals.row.latest.plus_millis(LATEST_STEP_MS) {
            totals.row.latest = now.max(totals.row.latest);
        }
        Ok(Self { tx, caps, now, totals, mailboxes: BTreeMap::new(), grants: BTreeMap::new() })
    }

    /// Carries one change out, whole or not at all. An error ends the batch.
    pub(super) fn carry_out(&mut self, change: &Change) -> Result<Outcome, Error> {
        match change {
            Change::Register { mailbox, tags, keep_from, token, open } => {
                self.register(mailbox, tags, *keep_from, token.as_ref(), *open)
            }
            Change::Deposit(deposit) => self.deposit(deposit),
            Change::Acknowledge { mailbox, ids } => self.acknowledge(mailbox, ids),
            Change::PutPrekeys { mailbox, keys } => self.put_prekeys(mailbox, keys),
            Change::TakePrekey { tag, mailbox, class, serial, daily } => {
                self.take_prekey(tag, mailbox, *class, *serial, *daily)
            }
            Change::Keep { mailbox, id, bytes, until } => self.keep(mailbox, id, bytes, *until),
            Change::Revoke { mailbox, serials } => self.revoke(mailbox, serials),
            Change::Leave { mailbox } => self.leave(mailbox),
            Change::Judge { mailbox, allowed, blocked, quota } => self.judge(mailbox, *allowed, *blocked, *quota),
            Change::Invite { token, uses, until } => self.invite(token, *uses, *until),
            Change::Sweep { budget } => self.sweep(*budget),
        }
    }

    /// Writes what was counted.
    pub(super) fn finish(self) -> Result<(), Error> {
        let mut writes = Writes::new();
        for kept in self.mailboxes.into_values() {
            let worth = is_worth(&kept.row);
            kept.write(worth, &mut writes)?;
        }
        for kept in self.grants.into_values() {
            let worth = kept.row != GrantRow::unused(kept.row.number, kept.row.serial);
            kept.write(worth, &mut writes)?;
        }
        self.totals.write(true, &mut writes)?;
        self.tx.apply(&writes)
    }

    /// A mailbox's row, to look at and to change; one of nobody if there is none.
    fn mailbox(&mut self, id: &MailboxId) -> Result<&mut MailboxRow, Error> {
        use std::collections::btree_map::Entry;
        let kept = match self.mailboxes.entry(*id) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                let read = self.tx.row(&MailboxRow::key_of(id))?;
                entry.insert(Kept::new(read, MailboxRow::unknown(*id)))
            }
        };
        Ok(&mut kept.row)
    }

    /// A registered mailbox by its number.
    fn numbered(&mut self, number: u64) -> Result<Option<&mut MailboxRow>, Error> {
        let Some(found) = self.tx.row::<MailboxNumber>(&MailboxNumber::key_of(number))? else { return Ok(None) };
        let row = self.mailbox(&found.id)?;
        Ok((row.number == Some(number)).then_some(row))
    }

    /// A grant's row, to look at and to change; an unused one if there is none.
    fn grant(&mut self, number: u64, serial: u64) -> Result<&mut GrantRow, Error> {
        use std::collections::btree_map::Entry;
        let kept = match self.grants.entry((number, serial)) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                let read = self.tx.row(&GrantRow::key_of(number, serial))?;
                entry.insert(Kept::new(read, GrantRow::unused(number, serial)))
            }
        };
        Ok(&mut kept.row)
    }
}

/// Tells whether a mailbox's row says anything.
fn is_worth(row: &MailboxRow) -> bool {
    row.number.is_some() || row.allowed || row.blocked || row.quota.is_some()
}
