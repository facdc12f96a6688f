//! What senders do: leave envelopes, take one-time keys.

use super::Batch;
use crate::{
    Error, Range, Row, Rows, Writes,
    mailbox::{Class, Deposit, Outcome, Room, TAKEN_MAX},
    table::{EnvelopeRef, EnvelopeState, HeldEnvelope, Lapse, LapseWhat, MailboxRow, PoolKey, PoolTaken, TagRow},
};
use kith_protocol::{MailboxId, Tag, Timestamp};

impl Batch<'_, '_> {
    pub(super) fn deposit(&mut self, deposit: &Deposit) -> Result<Outcome, Error> {
        let Deposit { tag, mailbox, class, serial, envelope, until, .. } = deposit;
        let number = match self.enter(tag, mailbox, *class, *serial)? {
            Ok(number) => number,
            Err(refusal) => return Ok(refusal),
        };
        let mut writes = Writes::new();
        if let Some(found) = self.tx.row::<EnvelopeRef>(&EnvelopeRef::key_of(number, envelope))? {
            match &found.state {
                EnvelopeState::Held { cursor, .. } if found.until > self.now => {
                    return Ok(Outcome::Stored { until: found.until, cursor: *cursor, new: false });
                }
                // It goes first, whether there is room for it again or not: it has lapsed.
                EnvelopeState::Held { .. } => self.drop_held(mailbox, &found)?,
                EnvelopeState::Collected => writes.delete::<Lapse>(lapse_of_collected(&found).key()),
            }
        }
        let bytes = deposit.bytes.len() as u64;
        if let Some(room) = self.full(number, deposit, bytes)? {
            return Ok(Outcome::Full(room));
        }
        let was_collected = !writes.is_empty();
        let stranger = *class == Class::Stranger;
        let row = self.mailbox(mailbox)?;
        row.last = row.last.saturating_add(1);
        row.used.add(bytes);
        if stranger {
            row.strangers.add(bytes);
        }
        row.collected = row.collected.saturating_sub(u64::from(was_collected));
        let cursor = row.last;
        self.grant(number, *serial)?.used.add(bytes);
        let held = &mut self.totals.row.held;
        held.envelopes = held.envelopes.saturating_add(1);
        held.bytes = held.bytes.saturating_add(bytes);
        let state = EnvelopeState::Held { cursor, bytes, serial: *serial, stranger };
        writes.put(&EnvelopeRef { number, id: *envelope, until: *until, state })?;
        writes.put(&HeldEnvelope { number, cursor, id: *envelope, until: *until, bytes: deposit.bytes.clone() })?;
        writes.put(&Lapse { at: *until, what: LapseWhat::Envelope(number, cursor) })?;
        self.tx.apply(&writes)?;
        Ok(Outcome::Stored { until: *until, cursor, new: true })
    }

    /// Checks what a grant says of a tag: gives the mailbox's number, or why nobody enters.
    fn enter(
        &mut self,
        tag: &Tag,
        mailbox: &MailboxId,
        class: Class,
        serial: u64,
    ) -> Result<Result<u64, Outcome>, Error> {
        let MailboxRow { number, blocked, revoked, .. } = *self.mailbox(mailbox)?;
        let Some(number) = number else { return Ok(Err(Outcome::UnknownTag)) };
        let found: Option<TagRow> = self.tx.row(&TagRow::key_of(tag, number))?;
        if found.is_none_or(|found| found.class != class) {
            return Ok(Err(Outcome::UnknownTag));
        }
        if revoked > 0 && self.grant(number, serial)?.revoked.is_some() {
            return Ok(Err(Outcome::Revoked));
        }
        Ok(if blocked { Err(Outcome::Blocked) } else { Ok(number) })
    }

    /// Tells which room, if any, has no place for an envelope more.
    fn full(&mut self, number: u64, deposit: &Deposit, bytes: u64) -> Result<Option<Room>, Error> {
        let (stranger, caps, held) = (deposit.class == Class::Stranger, self.caps, self.totals.row.held);
        let under_grant = self.grant(number, deposit.serial)?.used;
        let MailboxRow { used, strangers, quota, .. } = *self.mailbox(&deposit.mailbox)?;
        let quota = quota.unwrap_or(caps.mailbox);
        let quota = if deposit.control && !stranger { quota } else { quota.ordinary() };
        let all = crate::mailbox::Quota { envelopes: held.envelopes, bytes: held.bytes };
        Ok(if !deposit.grant.takes(&under_grant, bytes) {
            Some(Room::Grant)
        } else if stranger && !caps.strangers.takes(&strangers, bytes) {
            Some(Room::Strangers)
        } else if !quota.takes(&used, bytes) {
            Some(Room::Mailbox)
        } else if !caps.total.takes(&all, bytes) {
            Some(Room::Relay)
        } else {
            None
        })
    }

    /// Deletes an envelope that is held, and what it counted for.
    pub(super) fn drop_held(&mut self, mailbox: &MailboxId, found: &EnvelopeRef) -> Result<(), Error> {
        let EnvelopeState::Held { cursor, bytes, serial, stranger } = found.state else { return Ok(()) };
        let row = self.mailbox(mailbox)?;
        row.used.remove(bytes);
        if stranger {
            row.strangers.remove(bytes);
        }
        self.grant(found.number, serial)?.used.remove(bytes);
        let held = &mut self.totals.row.held;
        held.envelopes = held.envelopes.saturating_sub(1);
        held.bytes = held.bytes.saturating_sub(bytes);
        let mut writes = Writes::new();
        writes.delete::<HeldEnvelope>(HeldEnvelope::key_of(found.number, cursor));
        writes.delete::<Lapse>(Lapse { at: found.until, what: LapseWhat::Envelope(found.number, cursor) }.key());
        writes.delete::<EnvelopeRef>(found.key());
        self.tx.apply(&writes)
    }

    pub(super) fn take_prekey(
        &mut self,
        tag: &Tag,
        mailbox: &MailboxId,
        class: Class,
        serial: u64,
        daily: u32,
    ) -> Result<Outcome, Error> {
        let number = match self.enter(tag, mailbox, class, serial)? {
            Ok(number) => number,
            Err(refusal) => return Ok(refusal),
        };
        let left = self.mailbox(mailbox)?.pool;
        // A clock that went back gives nobody a second share.
        let today = self.now.day().0.max(self.grant(number, serial)?.day);
        let grant = self.grant(number, serial)?;
        let taken = if grant.day == today { grant.taken } else { 0 };
        if taken >= daily {
            return Ok(Outcome::Prekey { key: None, left });
        }
        let Some(PoolKey { key, bytes, .. }) = self.tx.rows(&PoolKey::group(number), &Range::all(), 1)?.pop() else {
            return Ok(Outcome::Prekey { key: None, left: 0 });
        };
        let grant = self.grant(number, serial)?;
        (grant.day, grant.taken) = (today, taken.saturating_add(1));
        let row = self.mailbox(mailbox)?;
        row.pool = row.pool.saturating_sub(1);
        let left = row.pool;
        let mut writes = Writes::new();
        if taken == 0 {
            let over: Timestamp = kith_protocol::Day(today).plus(1).start();
            writes.put(&Lapse { at: over, what: LapseWhat::Grant(number, serial) })?;
        }
        writes.delete::<PoolKey>(PoolKey::key_of(number, key));
        let mut gone = self.taken(number)?;
        if gone.keys.len() >= TAKEN_MAX {
            gone.keys.remove(0);
        }
        gone.keys.push(key);
        writes.put(&gone)?;
        self.tx.apply(&writes)?;
        Ok(Outcome::Prekey { key: Some((key, bytes)), left })
    }

    /// The keys that were taken from a pool lately.
    pub(super) fn taken(&self, number: u64) -> Result<PoolTaken, Error> {
        Ok(self.tx.row(&PoolTaken::key_of(number))?.unwrap_or(PoolTaken { number, keys: Vec::new() }))
    }
}

/// The entry that ends the memory of a collected envelope.
pub(super) fn lapse_of_collected(found: &EnvelopeRef) -> Lapse {
    Lapse { at: found.until, what: LapseWhat::Collected(found.number, found.id) }
}
