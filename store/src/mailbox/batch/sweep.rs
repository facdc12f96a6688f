//! What has lapsed goes: found by time, in bounded steps.

use super::Batch;
use crate::{
    Error, Range, Row, Rows, Writes,
    mailbox::Outcome,
    table::{
        EnvelopeRef, EnvelopeState, GrantRow, HeldEnvelope, Lapse, LapseWhat, MailboxRow, MailboxTags, PoolKey,
        PoolTaken,
    },
};
use kith_protocol::{Timestamp, limits};

/// Envelopes of a mailbox that went read at once: bounds what is in memory.
const CHUNK: usize = 16;

impl Batch<'_, '_> {
    pub(super) fn sweep(&mut self, budget: usize) -> Result<Outcome, Error> {
        let (mut left, mut deleted) = (budget, 0u64);
        while left > 0 {
            let range = Range::all().before(&Lapse::after(self.now));
            let due: Vec<Lapse> = self.tx.rows(Lapse::GROUP, &range, left)?;
            if due.is_empty() {
                return Ok(Outcome::Swept { deleted, more: false });
            }
            for entry in due {
                if left == 0 {
                    break;
                }
                let gone = match entry.what {
                    LapseWhat::Ruin(number) => self.clear(number, left)?,
                    _ => {
                        self.lapse(&entry)?;
                        self.unlist(&entry)?;
                        1
                    }
                };
                left = left.saturating_sub(gone.max(1));
                deleted = deleted.saturating_add(gone as u64);
            }
        }
        Ok(Outcome::Swept { deleted, more: true })
    }

    fn unlist(&mut self, entry: &Lapse) -> Result<(), Error> {
        let mut writes = Writes::new();
        writes.delete::<Lapse>(entry.key());
        self.tx.apply(&writes)
    }

    fn lapse(&mut self, entry: &Lapse) -> Result<(), Error> {
        match entry.what {
            LapseWhat::Ruin(_) => Ok(()),
            LapseWhat::Envelope(number, cursor) => self.lapse_envelope(number, cursor),
            LapseWhat::Collected(number, id) => {
                let mut writes = Writes::new();
                writes.delete::<EnvelopeRef>(EnvelopeRef::key_of(number, &id));
                self.tx.apply(&writes)?;
                if let Some(row) = self.numbered(number)? {
                    row.collected = row.collected.saturating_sub(1);
                }
                Ok(())
            }
            LapseWhat::Grant(number, serial) => self.lapse_grant(number, serial),
            LapseWhat::Kept(number) => match self.numbered(number)?.map(|row| row.id) {
                Some(mailbox) => self.drop_kept(&mailbox).map(|_| ()),
                None => Ok(()),
            },
            LapseWhat::Idle(number) => self.lapse_mailbox(number),
        }
    }

    fn lapse_envelope(&mut self, number: u64, cursor: u64) -> Result<(), Error> {
        let Some(mailbox) = self.numbered(number)?.map(|row| row.id) else { return Ok(()) };
        let held: Option<HeldEnvelope> = self.tx.row(&HeldEnvelope::key_of(number, cursor))?;
        let Some(held) = held else { return Ok(()) };
        match self.tx.row::<EnvelopeRef>(&EnvelopeRef::key_of(number, &held.id))? {
            Some(found) => self.drop_held(&mailbox, &found),
            None => Ok(()),
        }
    }

    fn lapse_grant(&mut self, number: u64, serial: u64) -> Result<(), Error> {
        if self.numbered(number)?.is_none() {
            return Ok(());
        }
        let now = self.now;
        let grant = self.grant(number, serial)?;
        if grant.day < now.day().0 {
            (grant.day, grant.taken) = (0, 0);
        }
        if grant.revoked.is_some_and(|until| until <= now) {
            grant.revoked = None;
            if let Some(row) = self.numbered(number)? {
                row.revoked = row.revoked.saturating_sub(1);
            }
        }
        Ok(())
    }

    /// Removes a mailbox that nobody registered anew; one with mail in it stays until that is gone.
    fn lapse_mailbox(&mut self, number: u64) -> Result<(), Error> {
        let Some(MailboxRow { id, used, .. }) = self.numbered(number)?.cloned() else { return Ok(()) };
        let tags: Option<MailboxTags> = self.tx.row(&MailboxTags::key_of(number))?;
        let Some(tags) = tags.filter(|tags| tags.idle_at <= self.now) else { return Ok(()) };
        if used.envelopes == 0 {
            return self.retire(&id);
        }
        let idle_at = self.now.plus_millis(limits::MAILBOX_TTL_MAX_MS);
        let mut writes = Writes::new();
        writes.put(&Lapse { at: idle_at, what: LapseWhat::Idle(number) })?;
        writes.put(&MailboxTags { idle_at, ..tags })?;
        self.tx.apply(&writes)
    }

    /// Deletes some of what lies under the number of a mailbox that went; tells how much.
    fn clear(&mut self, number: u64, budget: usize) -> Result<usize, Error> {
        let mut gone = 0usize;
        while gone < budget {
            let step = self.clear_some(number, budget.saturating_sub(gone).min(CHUNK))?;
            if step == 0 {
                self.unlist(&Lapse { at: Timestamp::from_millis(0), what: LapseWhat::Ruin(number) })?;
                break;
            }
            gone = gone.saturating_add(step);
        }
        Ok(gone)
    }

    fn clear_some(&mut self, number: u64, limit: usize) -> Result<usize, Error> {
        let (group, all, mut writes) = (number.to_be_bytes(), Range::all(), Writes::new());
        let refs: Vec<EnvelopeRef> = self.tx.rows(&group, &all, limit)?;
        let mut gone = refs.len();
        for found in &refs {
            let what = match found.state {
                EnvelopeState::Held { cursor, .. } => {
                    writes.delete::<HeldEnvelope>(HeldEnvelope::key_of(number, cursor));
                    LapseWhat::Envelope(number, cursor)
                }
                EnvelopeState::Collected => LapseWhat::Collected(number, found.id),
            };
            writes.delete::<Lapse>(Lapse { at: found.until, what }.key());
            writes.delete::<EnvelopeRef>(found.key());
        }
        if gone == 0 {
            let grants: Vec<GrantRow> = self.tx.rows(&group, &all, limit)?;
            grants.iter().for_each(|grant| writes.delete::<GrantRow>(grant.key()));
            gone = grants.len();
        }
        if gone == 0 {
            let keys: Vec<PoolKey> = self.tx.rows(&group, &all, limit)?;
            keys.iter().for_each(|key| writes.delete::<PoolKey>(key.key()));
            gone = keys.len();
        }
        if gone == 0 {
            writes.delete::<PoolTaken>(PoolTaken::key_of(number));
        }
        self.tx.apply(&writes)?;
        Ok(gone)
    }

    /// Drops what this batch counted for a grant of a mailbox that went, and its row.
    pub(super) fn forget_grant(&mut self, key: (u64, u64)) -> Result<(), Error> {
        self.grants.remove(&key);
        let mut writes = Writes::new();
        writes.delete::<GrantRow>(GrantRow::key_of(key.0, key.1));
        self.tx.apply(&writes)
    }
}
