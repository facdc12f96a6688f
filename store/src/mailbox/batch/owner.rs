//! What owners do with what lies in their mailboxes: acknowledge, fill the pool, keep a descriptor, end grants.

use super::{Batch, deposit::lapse_of_collected};
use crate::{
    Error, Row, Rows, Writes,
    mailbox::{COLLECTED_MAX, Outcome, Room},
    table::{EnvelopeRef, EnvelopeState, KeptRow, Lapse, LapseWhat, PoolKey},
};
use kith_protocol::{EnvelopeId, KeptId, MailboxId, Timestamp, limits};
use std::collections::BTreeSet;

impl Batch<'_, '_> {
    pub(super) fn acknowledge(&mut self, mailbox: &MailboxId, ids: &[EnvelopeId]) -> Result<Outcome, Error> {
        let Some(number) = self.mailbox(mailbox)?.number else { return Ok(Outcome::NoMailbox) };
        let (mut deleted, mut absent) = (0u64, 0u64);
        for id in ids {
            let found: Option<EnvelopeRef> = self.tx.row(&EnvelopeRef::key_of(number, id))?;
            let Some(found) = found.filter(|found| matches!(found.state, EnvelopeState::Held { .. })) else {
                absent = absent.saturating_add(1);
                continue;
            };
            self.drop_held(mailbox, &found)?;
            self.remember(mailbox, found)?;
            deleted = deleted.saturating_add(1);
        }
        Ok(Outcome::Deleted { deleted, absent })
    }

    /// Remembers that an envelope was collected.
    fn remember(&mut self, mailbox: &MailboxId, found: EnvelopeRef) -> Result<(), Error> {
        let until = found.until.min(self.now.plus_millis(limits::COLLECTED_MS));
        let now = self.now;
        let row = self.mailbox(mailbox)?;
        if until <= now || row.collected >= COLLECTED_MAX {
            return Ok(());
        }
        row.collected = row.collected.saturating_add(1);
        let collected = EnvelopeRef { until, state: EnvelopeState::Collected, ..found };
        let mut writes = Writes::new();
        writes.put(&lapse_of_collected(&collected))?;
        writes.put(&collected)?;
        self.tx.apply(&writes)
    }

    pub(super) fn put_prekeys(&mut self, mailbox: &MailboxId, keys: &[(u32, Vec<u8>)]) -> Result<Outcome, Error> {
        let row = self.mailbox(mailbox)?;
        let (number, mut pool) = match (row.number, row.blocked) {
            (None, _) => return Ok(Outcome::NoMailbox),
            (_, true) => return Ok(Outcome::Blocked),
            (Some(number), false) => (number, row.pool),
        };
        let mut known: BTreeSet<u32> = self.taken(number)?.keys.into_iter().collect();
        let mut writes = Writes::new();
        for (key, bytes) in keys {
            if pool >= limits::POOL_KEYS_MAX as u64 {
                break;
            }
            let there = known.contains(key) || self.tx.row::<PoolKey>(&PoolKey::key_of(number, *key))?.is_some();
            if !there {
                writes.put(&PoolKey { number, key: *key, bytes: bytes.clone() })?;
                known.insert(*key);
                pool = pool.saturating_add(1);
            }
        }
        self.tx.apply(&writes)?;
        self.mailbox(mailbox)?.pool = pool;
        Ok(Outcome::Prekeys(pool))
    }

    pub(super) fn keep(
        &mut self,
        mailbox: &MailboxId,
        id: &KeptId,
        bytes: &[u8],
        until: Timestamp,
    ) -> Result<Outcome, Error> {
        let row = self.mailbox(mailbox)?;
        let (number, old) = match (row.number, row.blocked) {
            (None, _) => return Ok(Outcome::NoMailbox),
            (_, true) => return Ok(Outcome::Blocked),
            (Some(number), false) => (number, row.kept),
        };
        let holder = self.tx.row::<KeptRow>(&KeptRow::key_of(id))?.filter(|kept| kept.mailbox != *mailbox);
        match holder {
            Some(held) if held.until > self.now => return Ok(Outcome::NameTaken),
            // What lapsed keeps nobody out.
            Some(held) if !bytes.is_empty() => {
                let owner = held.mailbox;
                self.drop_kept(&owner)?;
            }
            _ => {}
        }
        let (size, old_size) = (bytes.len() as u64, old.map_or(0, |(_, size, _)| size));
        let others = self.totals.row.held.kept_bytes.saturating_sub(old_size);
        if size > 0 && others.saturating_add(size) > self.caps.kept_bytes {
            return Ok(Outcome::Full(Room::Relay));
        }
        self.drop_kept(mailbox)?;
        if size > 0 {
            self.mailbox(mailbox)?.kept = Some((*id, size, until));
            self.totals.row.held.kept_bytes = others.saturating_add(size);
            let mut writes = Writes::new();
            writes.put(&KeptRow { id: *id, mailbox: *mailbox, until, bytes: bytes.to_vec() })?;
            writes.put(&Lapse { at: until, what: LapseWhat::Kept(number) })?;
            self.tx.apply(&writes)?;
        }
        Ok(Outcome::Done)
    }

    /// Deletes the descriptor that is kept for a mailbox; tells whether there was one.
    pub(super) fn drop_kept(&mut self, mailbox: &MailboxId) -> Result<bool, Error> {
        let row = self.mailbox(mailbox)?;
        let (Some(number), Some((id, size, until))) = (row.number, row.kept.take()) else { return Ok(false) };
        let held = &mut self.totals.row.held;
        held.kept_bytes = held.kept_bytes.saturating_sub(size);
        let mut writes = Writes::new();
        writes.delete::<KeptRow>(KeptRow::key_of(&id));
        writes.delete::<Lapse>(Lapse { at: until, what: LapseWhat::Kept(number) }.key());
        self.tx.apply(&writes)?;
        Ok(true)
    }

    pub(super) fn revoke(&mut self, mailbox: &MailboxId, serials: &[(u64, Timestamp)]) -> Result<Outcome, Error> {
        let row = self.mailbox(mailbox)?;
        let (Some(number), known) = (row.number, row.revoked) else { return Ok(Outcome::NoMailbox) };
        let now = self.now;
        let mut fresh = BTreeSet::new();
        for (serial, until) in serials {
            if *until > now && self.grant(number, *serial)?.revoked.is_none() {
                fresh.insert(*serial);
            }
        }
        let all = known.saturating_add(fresh.len() as u64);
        if all > limits::REVOKED_MAX as u64 {
            return Ok(Outcome::Full(Room::Mailbox));
        }
        let mut writes = Writes::new();
        for (serial, until) in serials.iter().filter(|(_, until)| *until > now) {
            let grant = self.grant(number, *serial)?;
            // Two words on one grant: the longer memory serves both.
            if grant.revoked.is_none_or(|known| known < *until) {
                grant.revoked = Some(*until);
                writes.put(&Lapse { at: *until, what: LapseWhat::Grant(number, *serial) })?;
            }
        }
        self.mailbox(mailbox)?.revoked = all;
        self.tx.apply(&writes)?;
        Ok(Outcome::Done)
    }
}
