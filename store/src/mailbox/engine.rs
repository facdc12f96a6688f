//! The engine over a [`Store`]: one batch is one transaction.
//! Must not know what a change means: that is `batch`'s.

use super::{
    Caps, Change, Class, Cursor, Custody, INVITES_MAX, InviteInfo, Item, MailboxInfo, Outcome, RelayStore,
    TAG_SHARED_MAX, Totals, batch::Batch,
};
use crate::{
    Error, Key, Range, Rows, Store,
    table::{EnvelopeRef, EnvelopeState, HeldEnvelope, InviteRow, KeptRow, MailboxRow, RelayTotals, TagRow},
};
use kith_protocol::{EnvelopeId, KeptId, MailboxId, Tag, Timestamp};

/// Envelopes read at once for a page: bounds what is read in vain when a page is full early.
const CHUNK: usize = 16;

/// What a relay keeps, over a sealed store of its own. Nothing but the database's cache of pages is in memory.
#[derive(Debug)]
pub struct MailboxStore {
    store: Store,
}

impl MailboxStore {
    /// Takes an open store, which nobody else writes to.
    pub const fn new(store: Store) -> Self {
        Self { store }
    }

    /// The store itself, for its state and for tests that look at rows.
    pub const fn store(&self) -> &Store {
        &self.store
    }

    /// Gives the store back.
    pub fn into_store(self) -> Store {
        self.store
    }
}

impl RelayStore for MailboxStore {
    fn apply(&mut self, changes: &[Change], caps: &Caps, now: Timestamp) -> Result<Vec<Outcome>, Error> {
        let done = self.store.write(|tx| {
            let mut batch = Batch::begin(tx, caps, now)?;
            let outcomes = changes.iter().map(|change| batch.carry_out(change)).collect::<Result<Vec<_>, _>>()?;
            batch.finish()?;
            Ok(outcomes)
        });
        done.map(crate::Committed::into_inner)
    }

    fn page(
        &self,
        mailbox: &MailboxId,
        after: Cursor,
        max_items: usize,
        max_bytes: usize,
        now: Timestamp,
    ) -> Result<Vec<Item>, Error> {
        let rows = self.store.snapshot()?;
        let found: Option<MailboxRow> = rows.row(&MailboxRow::key_of(mailbox))?;
        let Some(number) = found.and_then(|row| row.number) else { return Ok(Vec::new()) };
        let (mut items, mut bytes, mut after) = (Vec::<Item>::new(), 0usize, after);
        loop {
            let range = Range::all().after(&after.to_be_bytes());
            let chunk: Vec<HeldEnvelope> = rows.rows(&HeldEnvelope::group(number), &range, CHUNK)?;
            let ended = chunk.len() < CHUNK;
            for row in chunk {
                after = row.cursor;
                if row.until <= now {
                    continue;
                }
                bytes = bytes.saturating_add(row.bytes.len());
                if !items.is_empty() && (items.len() >= max_items || bytes > max_bytes) {
                    return Ok(items);
                }
                items.push(Item { cursor: row.cursor, id: row.id, bytes: row.bytes, until: row.until });
            }
            if ended {
                return Ok(items);
            }
        }
    }

    fn mailbox(&self, id: &MailboxId) -> Result<Option<MailboxInfo>, Error> {
        let row: Option<MailboxRow> = self.store.snapshot()?.row(&MailboxRow::key_of(id))?;
        Ok(row.map(MailboxInfo::from))
    }

    fn mailboxes(&self, after: Option<&MailboxId>, limit: usize) -> Result<Vec<MailboxInfo>, Error> {
        let after = after.map(MailboxRow::key_of);
        let rows: Vec<MailboxRow> = self.store.snapshot()?.all(after.as_ref(), limit)?;
        Ok(rows.into_iter().map(MailboxInfo::from).collect())
    }

    fn class_of(&self, id: &MailboxId, tag: &Tag) -> Result<Option<Class>, Error> {
        let rows = self.store.snapshot()?;
        let mailbox: Option<MailboxRow> = rows.row(&MailboxRow::key_of(id))?;
        let Some(number) = mailbox.and_then(|mailbox| mailbox.number) else { return Ok(None) };
        Ok(rows.row::<TagRow>(&TagRow::key_of(tag, number))?.map(|row| row.class))
    }

    fn custody(&self, tag: &Tag, envelope: &EnvelopeId, now: Timestamp) -> Result<Custody, Error> {
        let rows = self.store.snapshot()?;
        let (mut collected, mut held) = (false, None::<(Timestamp, Key)>);
        for TagRow { number, .. } in rows.rows(&TagRow::group(tag), &Range::all(), TAG_SHARED_MAX)? {
            let found: Option<EnvelopeRef> = rows.row(&EnvelopeRef::key_of(number, envelope))?;
            let Some(EnvelopeRef { state, until, .. }) = found.filter(|found| found.until > now) else { continue };
            match state {
                EnvelopeState::Held { cursor, .. } if held.as_ref().is_none_or(|(longest, _)| until > *longest) => {
                    held = Some((until, HeldEnvelope::key_of(number, cursor)));
                }
                EnvelopeState::Held { .. } => {}
                EnvelopeState::Collected => collected = true,
            }
        }
        if let Some(held) = held.map(|(_, key)| rows.row::<HeldEnvelope>(&key)).transpose()?.flatten() {
            return Ok(Custody::Held { bytes: held.bytes, until: held.until });
        }
        Ok(if collected { Custody::Collected } else { Custody::Absent })
    }

    fn kept(&self, id: &KeptId, now: Timestamp) -> Result<Option<Vec<u8>>, Error> {
        let row: Option<KeptRow> = self.store.snapshot()?.row(&KeptRow::key_of(id))?;
        Ok(row.filter(|row| row.until > now).map(|row| row.bytes))
    }

    fn invites(&self, now: Timestamp) -> Result<Vec<InviteInfo>, Error> {
        let rows: Vec<InviteRow> = self.store.snapshot()?.all(None, INVITES_MAX)?;
        let info = |row: InviteRow| InviteInfo { token: row.token, uses: row.uses, until: row.until };
        Ok(rows.into_iter().filter(|row| row.admits(now)).map(info).collect())
    }

    fn totals(&self) -> Result<Totals, Error> {
        let row: Option<RelayTotals> = self.store.snapshot()?.row(&RelayTotals::only())?;
        Ok(row.unwrap_or_default().held)
    }

    fn latest(&self) -> Result<Option<Timestamp>, Error> {
        let row: Option<RelayTotals> = self.store.snapshot()?.row(&RelayTotals::only())?;
        Ok(row.map(|row| row.latest))
    }

    fn reopen(&mut self) -> Result<(), Error> {
        self.store.reopen()
    }
}

impl From<MailboxRow> for MailboxInfo {
    fn from(row: MailboxRow) -> Self {
        Self {
            id: row.id,
            registered: row.number.is_some(),
            since: row.since,
            used: row.used,
            quota: row.quota,
            allowed: row.allowed,
            blocked: row.blocked,
            prekeys: row.pool,
        }
    }
}
