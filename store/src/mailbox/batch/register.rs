//! Who has a mailbox: registering, leaving, and the operator's word.

use super::Batch;
use crate::{
    Error, Row, Rows, Writes,
    mailbox::{Class, IDLE_DAYS, INVITES_MAX, Outcome, Quota, Room, TAGS_KEPT_MAX},
    table::{InviteRow, Lapse, LapseWhat, MailboxNumber, MailboxRow, MailboxTags, TagRow},
};
use kith_protocol::{MailboxId, Tag, Timestamp};
use std::collections::BTreeMap;

impl Batch<'_, '_> {
    pub(super) fn register(
        &mut self,
        mailbox: &MailboxId,
        tags: &[(u32, Class, Tag)],
        keep_from: u32,
        token: Option<&[u8; 32]>,
        open: bool,
    ) -> Result<Outcome, Error> {
        let MailboxRow { number, allowed, blocked, quota, .. } = *self.mailbox(mailbox)?;
        if blocked {
            return Ok(Outcome::Blocked);
        }
        let invite = match token {
            Some(token) if number.is_none() && !open && !allowed => {
                self.tx.row::<InviteRow>(&InviteRow::key_of(token))?.filter(|invite| invite.admits(self.now))
            }
            _ => None,
        };
        if number.is_none() && !open && !allowed && invite.is_none() {
            return Ok(Outcome::NotAdmitted);
        }
        if number.is_none() && self.totals.row.held.mailboxes >= self.caps.mailboxes {
            return Ok(Outcome::Full(Room::Relay));
        }
        let old: Option<MailboxTags> = match number {
            Some(number) => self.tx.row(&MailboxTags::key_of(number))?,
            None => None,
        };
        let before: BTreeMap<Tag, (u32, Class)> =
            old.iter().flat_map(|old| &old.tags).map(|(day, class, tag)| (*tag, (*day, *class))).collect();
        let mut after: BTreeMap<Tag, (u32, Class)> =
            before.iter().filter(|(_, (day, _))| *day >= keep_from).map(|(tag, of)| (*tag, *of)).collect();
        for (day, class, tag) in tags {
            after.insert(*tag, (*day, *class));
        }
        if after.len() > TAGS_KEPT_MAX {
            return Ok(Outcome::Full(Room::Mailbox));
        }
        // Nothing is refused any more.
        let mut writes = Writes::new();
        if let Some(mut invite) = invite {
            invite.uses = invite.uses.saturating_sub(1);
            self.put_invite(&invite, &mut writes)?;
        }
        let new = number.is_none();
        let number = match number {
            Some(number) => number,
            None => self.admit(mailbox, &mut writes)?,
        };
        if let Some(old) = &old {
            writes.delete::<Lapse>(Lapse { at: old.idle_at, what: LapseWhat::Idle(number) }.key());
        }
        for tag in before.keys().filter(|tag| !after.contains_key(tag)) {
            writes.delete::<TagRow>(TagRow::key_of(tag, number));
        }
        for (tag, (_, class)) in &after {
            if before.get(tag).is_none_or(|(_, before)| before != class) {
                writes.put(&TagRow { tag: *tag, number, class: *class })?;
            }
        }
        let mut tags: Vec<(u32, Class, Tag)> = after.into_iter().map(|(tag, (day, class))| (day, class, tag)).collect();
        tags.sort_unstable();
        let idle_at = self.now.plus_days(IDLE_DAYS);
        writes.put(&Lapse { at: idle_at, what: LapseWhat::Idle(number) })?;
        writes.put(&MailboxTags { number, idle_at, tags })?;
        self.tx.apply(&writes)?;
        Ok(Outcome::Registered { new, quota: quota.unwrap_or(self.caps.mailbox) })
    }

    /// Gives a mailbox a number.
    fn admit(&mut self, mailbox: &MailboxId, writes: &mut Writes) -> Result<u64, Error> {
        let totals = &mut self.totals.row;
        totals.last_number = totals.last_number.saturating_add(1);
        totals.held.mailboxes = totals.held.mailboxes.saturating_add(1);
        let (number, now) = (totals.last_number, self.now);
        let row = self.mailbox(mailbox)?;
        *row = MailboxRow {
            number: Some(number),
            since: now,
            allowed: row.allowed,
            quota: row.quota,
            ..MailboxRow::unknown(*mailbox)
        };
        writes.put(&MailboxNumber { number, id: *mailbox })?;
        Ok(number)
    }

    pub(super) fn leave(&mut self, mailbox: &MailboxId) -> Result<Outcome, Error> {
        self.retire(mailbox)?;
        Ok(Outcome::Done)
    }

    /// Takes a mailbox's number away, with its tags and its descriptor; what lies under the number is left to sweeps.
    pub(super) fn retire(&mut self, mailbox: &MailboxId) -> Result<(), Error> {
        let Some(number) = self.mailbox(mailbox)?.number else { return Ok(()) };
        self.drop_kept(mailbox)?;
        let mut writes = Writes::new();
        if let Some(old) = self.tx.row::<MailboxTags>(&MailboxTags::key_of(number))? {
            for (_, _, tag) in &old.tags {
                writes.delete::<TagRow>(TagRow::key_of(tag, number));
            }
            writes.delete::<Lapse>(Lapse { at: old.idle_at, what: LapseWhat::Idle(number) }.key());
            writes.delete::<MailboxTags>(old.key());
        }
        writes.delete::<MailboxNumber>(MailboxNumber::key_of(number));
        writes.put(&Lapse { at: Timestamp::from_millis(0), what: LapseWhat::Ruin(number) })?;
        self.tx.apply(&writes)?;
        let row = self.mailbox(mailbox)?;
        let used = row.used;
        *row = MailboxRow {
            allowed: row.allowed,
            blocked: row.blocked,
            quota: row.quota,
            ..MailboxRow::unknown(*mailbox)
        };
        // Counts of grants that this batch changed go with the number.
        let stale: Vec<(u64, u64)> = self.grants.range((number, 0)..=(number, u64::MAX)).map(|(key, _)| *key).collect();
        for key in stale {
            self.forget_grant(key)?;
        }
        let held = &mut self.totals.row.held;
        held.mailboxes = held.mailboxes.saturating_sub(1);
        held.envelopes = held.envelopes.saturating_sub(used.envelopes);
        held.bytes = held.bytes.saturating_sub(used.bytes);
        Ok(())
    }

    pub(super) fn judge(
        &mut self,
        mailbox: &MailboxId,
        allowed: Option<bool>,
        blocked: Option<bool>,
        quota: Option<Option<Quota>>,
    ) -> Result<Outcome, Error> {
        let row = self.mailbox(mailbox)?;
        row.allowed = allowed.unwrap_or(row.allowed);
        row.blocked = blocked.unwrap_or(row.blocked);
        row.quota = quota.unwrap_or(row.quota);
        Ok(Outcome::Done)
    }

    pub(super) fn invite(&mut self, token: &[u8; 32], uses: u32, until: Timestamp) -> Result<Outcome, Error> {
        let (now, mut writes) = (self.now, Writes::new());
        for old in self.tx.all::<InviteRow>(None, INVITES_MAX)?.iter().filter(|old| !old.admits(now)) {
            self.put_invite(&InviteRow { uses: 0, ..old.clone() }, &mut writes)?;
        }
        self.tx.apply(&writes)?;
        let invite = InviteRow { token: *token, uses, until };
        let known = self.tx.row::<InviteRow>(&invite.key())?.is_some();
        if invite.admits(self.now) && !known && self.totals.row.invites >= INVITES_MAX as u64 {
            return Ok(Outcome::Full(Room::Relay));
        }
        let mut writes = Writes::new();
        self.put_invite(&invite, &mut writes)?;
        self.tx.apply(&writes)?;
        Ok(Outcome::Done)
    }

    /// Writes an invite, or deletes one that no longer admits, and counts.
    fn put_invite(&mut self, invite: &InviteRow, writes: &mut Writes) -> Result<(), Error> {
        let known = self.tx.row::<InviteRow>(&invite.key())?.is_some();
        let count = self.totals.row.invites.saturating_sub(u64::from(known));
        if invite.admits(self.now) {
            self.totals.row.invites = count.saturating_add(1);
            return writes.put(invite);
        }
        self.totals.row.invites = count;
        writes.delete::<InviteRow>(invite.key());
        Ok(())
    }
}
