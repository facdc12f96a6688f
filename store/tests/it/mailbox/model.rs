//! The contract said once more, as plainly as it can be: everything in maps, every sum counted anew, no index, no disk.

use kith_protocol::{EnvelopeId, KeptId, MailboxId, Tag, Timestamp, limits};
use kith_store::{
    Error,
    mailbox::{
        COLLECTED_MAX, Caps, Change, Class, Cursor, Custody, Deposit, IDLE_DAYS, INVITES_MAX, InviteInfo, Item,
        MailboxInfo, Outcome, Quota, RelayStore, Room, TAGS_KEPT_MAX, TAKEN_MAX, Totals, conformance::Ground,
    },
};
use std::collections::BTreeMap;

pub(crate) struct Models;

impl Ground for Models {
    type Store = Model;

    fn fresh(&self) -> Model {
        Model::default()
    }

    fn crash(&self, model: Model) -> Model {
        model
    }
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Model {
    boxes: BTreeMap<MailboxId, Mailbox>,
    words: BTreeMap<MailboxId, Word>,
    invites: BTreeMap<[u8; 32], (u32, Timestamp)>,
    latest: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Word {
    allowed: bool,
    blocked: bool,
    quota: Option<Quota>,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Mailbox {
    since: Timestamp,
    idle: Timestamp,
    last: Cursor,
    tags: BTreeMap<Tag, (u32, Class)>,
    held: BTreeMap<Cursor, Held>,
    collected: BTreeMap<EnvelopeId, Timestamp>,
    pool: BTreeMap<u32, Vec<u8>>,
    gone: Vec<u32>,
    shares: BTreeMap<u64, (u32, u32)>,
    revoked: BTreeMap<u64, Timestamp>,
    kept: Option<(KeptId, Vec<u8>, Timestamp)>,
}

#[derive(Clone, Debug, PartialEq)]
struct Held {
    id: EnvelopeId,
    bytes: Vec<u8>,
    until: Timestamp,
    serial: u64,
    stranger: bool,
}

fn sum<'a>(held: impl Iterator<Item = &'a Held>) -> Quota {
    held.fold(Quota::default(), |sum, held| Quota {
        envelopes: sum.envelopes + 1,
        bytes: sum.bytes + held.bytes.len() as u64,
    })
}

fn fits(quota: Quota, used: Quota, bytes: usize) -> bool {
    used.envelopes < quota.envelopes && used.bytes + bytes as u64 <= quota.bytes
}

impl Model {
    fn all(&self) -> impl Iterator<Item = &Held> {
        self.boxes.values().flat_map(|mailbox| mailbox.held.values())
    }

    fn kept_bytes(&self) -> u64 {
        self.boxes.values().filter_map(|mailbox| mailbox.kept.as_ref()).map(|kept| kept.1.len() as u64).sum()
    }

    fn word(&self, id: &MailboxId) -> Word {
        self.words.get(id).copied().unwrap_or_default()
    }

    fn tag_class(&self, id: &MailboxId, tag: &Tag) -> Option<Class> {
        self.boxes.get(id)?.tags.get(tag).map(|(_, class)| *class)
    }

    fn carry_out(&mut self, change: &Change, caps: &Caps, now: Timestamp) -> Outcome {
        let blocked = |model: &Self, id: &MailboxId| model.word(id).blocked;
        match change {
            Change::Register { mailbox, tags, keep_from, token, open } => {
                self.register(mailbox, tags, *keep_from, *token, *open, caps, now)
            }
            Change::Deposit(deposit) => self.deposit(deposit, caps, now),
            Change::Acknowledge { mailbox, ids } => {
                let Some(mailbox) = self.boxes.get_mut(mailbox) else { return Outcome::NoMailbox };
                let mut deleted = 0;
                for id in ids {
                    let Some(cursor) = mailbox.held.iter().find(|(_, held)| held.id == *id).map(|(cursor, _)| *cursor)
                    else {
                        continue;
                    };
                    let held = mailbox.held.remove(&cursor).unwrap();
                    deleted += 1;
                    let until = held.until.min(now.plus_millis(limits::COLLECTED_MS));
                    if until > now && (mailbox.collected.len() as u64) < COLLECTED_MAX {
                        mailbox.collected.insert(*id, until);
                    }
                }
                Outcome::Deleted { deleted, absent: ids.len() as u64 - deleted }
            }
            Change::PutPrekeys { mailbox: id, keys } => {
                let stop = blocked(self, id);
                let Some(mailbox) = self.boxes.get_mut(id) else { return Outcome::NoMailbox };
                if stop {
                    return Outcome::Blocked;
                }
                for (number, key) in keys {
                    let known = mailbox.pool.contains_key(number) || mailbox.gone.contains(number);
                    if !known && mailbox.pool.len() < limits::POOL_KEYS_MAX {
                        mailbox.pool.insert(*number, key.clone());
                    }
                }
                Outcome::Prekeys(mailbox.pool.len() as u64)
            }
            Change::TakePrekey { tag, mailbox: id, class, serial, daily } => {
                if let Some(refusal) = self.refusal(tag, id, *class, *serial) {
                    return refusal;
                }
                let mailbox = self.boxes.get_mut(id).unwrap();
                let left = mailbox.pool.len() as u64;
                let share = mailbox.shares.get(serial).copied().unwrap_or_default();
                let today = now.day().0.max(share.0);
                let taken = if share.0 == today { share.1 } else { 0 };
                if taken >= *daily || left == 0 {
                    return Outcome::Prekey { key: None, left };
                }
                mailbox.shares.insert(*serial, (today, taken + 1));
                let key = mailbox.pool.pop_first().unwrap();
                mailbox.gone.push(key.0);
                if mailbox.gone.len() > TAKEN_MAX {
                    mailbox.gone.remove(0);
                }
                Outcome::Prekey { key: Some(key), left: left - 1 }
            }
            Change::Keep { mailbox: id, id: name, bytes, until } => {
                if !self.boxes.contains_key(id) {
                    return Outcome::NoMailbox;
                }
                if blocked(self, id) {
                    return Outcome::Blocked;
                }
                let other = self
                    .boxes
                    .iter_mut()
                    .find(|(other, mailbox)| *other != id && mailbox.kept.as_ref().is_some_and(|kept| kept.0 == *name));
                if let Some((_, other)) = other {
                    if other.kept.as_ref().is_some_and(|kept| kept.2 > now) {
                        return Outcome::NameTaken;
                    }
                    if !bytes.is_empty() {
                        other.kept = None;
                    }
                }
                let old = self.boxes[id].kept.as_ref().map_or(0, |kept| kept.1.len() as u64);
                if !bytes.is_empty() && self.kept_bytes() - old + bytes.len() as u64 > caps.kept_bytes {
                    return Outcome::Full(Room::Relay);
                }
                let kept = (!bytes.is_empty()).then(|| (*name, bytes.clone(), *until));
                self.boxes.get_mut(id).unwrap().kept = kept;
                Outcome::Done
            }
            Change::Revoke { mailbox, serials } => {
                let Some(mailbox) = self.boxes.get_mut(mailbox) else { return Outcome::NoMailbox };
                let mut all = mailbox.revoked.clone();
                for (serial, until) in serials.iter().filter(|(_, until)| *until > now) {
                    let known = all.entry(*serial).or_insert(*until);
                    *known = (*known).max(*until);
                }
                if all.len() > limits::REVOKED_MAX {
                    return Outcome::Full(Room::Mailbox);
                }
                mailbox.revoked = all;
                Outcome::Done
            }
            Change::Leave { mailbox } => {
                self.boxes.remove(mailbox);
                Outcome::Done
            }
            Change::Judge { mailbox, allowed, blocked, quota } => {
                let word = self.words.entry(*mailbox).or_default();
                word.allowed = allowed.unwrap_or(word.allowed);
                word.blocked = blocked.unwrap_or(word.blocked);
                word.quota = quota.unwrap_or(word.quota);
                if *word == Word::default() {
                    self.words.remove(mailbox);
                }
                Outcome::Done
            }
            Change::Invite { token, uses, until } => {
                self.invites.retain(|_, (uses, until)| *uses > 0 && *until > now);
                let good = *uses > 0 && *until > now;
                if good && !self.invites.contains_key(token) && self.invites.len() >= INVITES_MAX {
                    return Outcome::Full(Room::Relay);
                }
                self.invites.remove(token);
                if good {
                    self.invites.insert(*token, (*uses, *until));
                }
                Outcome::Done
            }
            Change::Sweep { budget } => {
                let done = (0..*budget).take_while(|_| self.sweep_one(now)).count();
                Outcome::Swept { deleted: done as u64, more: done == *budget }
            }
        }
    }

    /// Deletes one thing that lapsed; tells whether there was one.
    fn sweep_one(&mut self, now: Timestamp) -> bool {
        for mailbox in self.boxes.values_mut() {
            let over = mailbox.held.iter().find(|(_, held)| held.until <= now).map(|(cursor, _)| *cursor);
            let forgotten = mailbox.collected.iter().find(|(_, until)| **until <= now).map(|(id, _)| *id);
            let ended = mailbox.revoked.iter().find(|(_, until)| **until <= now).map(|(serial, _)| *serial);
            if over.and_then(|cursor| mailbox.held.remove(&cursor)).is_some()
                || forgotten.and_then(|id| mailbox.collected.remove(&id)).is_some()
                || ended.and_then(|serial| mailbox.revoked.remove(&serial)).is_some()
                || mailbox.kept.take_if(|kept| kept.2 <= now).is_some()
            {
                return true;
            }
            if mailbox.idle <= now && !mailbox.held.is_empty() {
                mailbox.idle = now.plus_millis(limits::MAILBOX_TTL_MAX_MS);
                return true;
            }
        }
        let idle = self.boxes.iter().find(|(_, mailbox)| mailbox.idle <= now).map(|(id, _)| *id);
        idle.and_then(|id| self.boxes.remove(&id)).is_some()
    }

    #[allow(clippy::too_many_arguments)]
    fn register(
        &mut self,
        id: &MailboxId,
        tags: &[(u32, Class, Tag)],
        keep_from: u32,
        token: Option<[u8; 32]>,
        open: bool,
        caps: &Caps,
        now: Timestamp,
    ) -> Outcome {
        let word = self.word(id);
        let new = !self.boxes.contains_key(id);
        let invite = token.and_then(|token| self.invites.get(&token)).filter(|(uses, until)| *uses > 0 && *until > now);
        if word.blocked {
            return Outcome::Blocked;
        }
        if new && !open && !word.allowed && invite.is_none() {
            return Outcome::NotAdmitted;
        }
        if new && self.boxes.len() as u64 >= caps.mailboxes {
            return Outcome::Full(Room::Relay);
        }
        let mut all = self.boxes.get(id).map(|mailbox| mailbox.tags.clone()).unwrap_or_default();
        all.retain(|_, (day, _)| *day >= keep_from);
        all.extend(tags.iter().map(|(day, class, tag)| (*tag, (*day, *class))));
        if all.len() > TAGS_KEPT_MAX {
            return Outcome::Full(Room::Mailbox);
        }
        if new && !open && !word.allowed {
            let invite = self.invites.get_mut(&token.unwrap()).unwrap();
            invite.0 -= 1;
            if invite.0 == 0 {
                self.invites.remove(&token.unwrap());
            }
        }
        let mailbox = self.boxes.entry(*id).or_insert_with(|| Mailbox { since: now, ..Mailbox::default() });
        mailbox.tags = all;
        mailbox.idle = now.plus_days(IDLE_DAYS);
        Outcome::Registered { new, quota: word.quota.unwrap_or(caps.mailbox) }
    }

    fn refusal(&self, tag: &Tag, id: &MailboxId, class: Class, serial: u64) -> Option<Outcome> {
        if self.tag_class(id, tag) != Some(class) {
            Some(Outcome::UnknownTag)
        } else if self.boxes[id].revoked.contains_key(&serial) {
            Some(Outcome::Revoked)
        } else if self.word(id).blocked {
            Some(Outcome::Blocked)
        } else {
            None
        }
    }

    fn deposit(&mut self, deposit: &Deposit, caps: &Caps, now: Timestamp) -> Outcome {
        let Deposit { tag, mailbox: id, class, serial, envelope, until, .. } = deposit;
        if let Some(refusal) = self.refusal(tag, id, *class, *serial) {
            return refusal;
        }
        let stranger = *class == Class::Stranger;
        let mailbox = self.boxes.get_mut(id).unwrap();
        if let Some((cursor, held)) = mailbox.held.iter().find(|(_, held)| held.id == *envelope) {
            if held.until > now {
                return Outcome::Stored { until: held.until, cursor: *cursor, new: false };
            }
            let cursor = *cursor;
            mailbox.held.remove(&cursor);
        }
        let (mailbox, size) = (&self.boxes[id], deposit.bytes.len());
        let quota = self.word(id).quota.unwrap_or(caps.mailbox);
        let tenth = if deposit.control && !stranger { 0 } else { 10 };
        let less = |n: u64| n - n.checked_div(tenth).unwrap_or(0);
        let quota = Quota { envelopes: less(quota.envelopes), bytes: less(quota.bytes) };
        let granted = sum(mailbox.held.values().filter(|held| held.serial == *serial));
        let strange = sum(mailbox.held.values().filter(|held| held.stranger));
        if !fits(deposit.grant, granted, size) {
            return Outcome::Full(Room::Grant);
        }
        if stranger && !fits(caps.strangers, strange, size) {
            return Outcome::Full(Room::Strangers);
        }
        if !fits(quota, sum(mailbox.held.values()), size) {
            return Outcome::Full(Room::Mailbox);
        }
        if !fits(caps.total, sum(self.all()), size) {
            return Outcome::Full(Room::Relay);
        }
        let mailbox = self.boxes.get_mut(id).unwrap();
        mailbox.collected.remove(envelope);
        mailbox.last += 1;
        let held = Held { id: *envelope, bytes: deposit.bytes.clone(), until: *until, serial: *serial, stranger };
        mailbox.held.insert(mailbox.last, held);
        Outcome::Stored { until: *until, cursor: mailbox.last, new: true }
    }

    fn info(&self, id: &MailboxId) -> Option<MailboxInfo> {
        let (mailbox, word) = (self.boxes.get(id), self.word(id));
        if mailbox.is_none() && word == Word::default() {
            return None;
        }
        Some(MailboxInfo {
            id: *id,
            registered: mailbox.is_some(),
            since: mailbox.map(|mailbox| mailbox.since).unwrap_or_default(),
            used: sum(mailbox.iter().flat_map(|mailbox| mailbox.held.values())),
            quota: word.quota,
            allowed: word.allowed,
            blocked: word.blocked,
            prekeys: mailbox.map_or(0, |mailbox| mailbox.pool.len() as u64),
        })
    }
}

impl RelayStore for Model {
    fn apply(&mut self, changes: &[Change], caps: &Caps, now: Timestamp) -> Result<Vec<Outcome>, Error> {
        if self.latest.is_none_or(|latest| now >= latest.plus_millis(60_000)) {
            self.latest = Some(now);
        }
        Ok(changes.iter().map(|change| self.carry_out(change, caps, now)).collect())
    }

    fn page(
        &self,
        mailbox: &MailboxId,
        after: Cursor,
        max_items: usize,
        max_bytes: usize,
        now: Timestamp,
    ) -> Result<Vec<Item>, Error> {
        let (mut items, mut bytes) = (Vec::new(), 0);
        for (cursor, held) in self.boxes.get(mailbox).iter().flat_map(|mailbox| mailbox.held.range(after + 1..)) {
            if held.until <= now {
                continue;
            }
            bytes += held.bytes.len();
            if !items.is_empty() && (items.len() >= max_items || bytes > max_bytes) {
                break;
            }
            items.push(Item { cursor: *cursor, id: held.id, bytes: held.bytes.clone(), until: held.until });
        }
        Ok(items)
    }

    fn mailbox(&self, id: &MailboxId) -> Result<Option<MailboxInfo>, Error> {
        Ok(self.info(id))
    }

    fn mailboxes(&self, after: Option<&MailboxId>, limit: usize) -> Result<Vec<MailboxInfo>, Error> {
        let names: std::collections::BTreeSet<&MailboxId> = self.boxes.keys().chain(self.words.keys()).collect();
        let rest = names.into_iter().filter(|id| after.is_none_or(|after| *id > after));
        Ok(rest.take(limit).filter_map(|id| self.info(id)).collect())
    }

    fn class_of(&self, id: &MailboxId, tag: &Tag) -> Result<Option<Class>, Error> {
        Ok(self.tag_class(id, tag))
    }

    fn custody(&self, tag: &Tag, envelope: &EnvelopeId, now: Timestamp) -> Result<Custody, Error> {
        let boxes = || self.boxes.values().filter(|mailbox| mailbox.tags.contains_key(tag));
        let held = boxes().flat_map(|mailbox| mailbox.held.values());
        let held = held.filter(|held| held.id == *envelope && held.until > now).max_by_key(|held| held.until);
        if let Some(held) = held {
            return Ok(Custody::Held { bytes: held.bytes.clone(), until: held.until });
        }
        let collected = boxes().any(|mailbox| mailbox.collected.get(envelope).is_some_and(|until| *until > now));
        Ok(if collected { Custody::Collected } else { Custody::Absent })
    }

    fn kept(&self, id: &KeptId, now: Timestamp) -> Result<Option<Vec<u8>>, Error> {
        let mut all = self.boxes.values().filter_map(|mailbox| mailbox.kept.as_ref());
        Ok(all.find(|kept| kept.0 == *id && kept.2 > now).map(|kept| kept.1.clone()))
    }

    fn invites(&self, now: Timestamp) -> Result<Vec<InviteInfo>, Error> {
        let all = self.invites.iter().filter(|(_, (uses, until))| *uses > 0 && *until > now);
        Ok(all.map(|(token, (uses, until))| InviteInfo { token: *token, uses: *uses, until: *until }).collect())
    }

    fn totals(&self) -> Result<Totals, Error> {
        let Quota { envelopes, bytes } = sum(self.all());
        Ok(Totals { mailboxes: self.boxes.len() as u64, envelopes, bytes, kept_bytes: self.kept_bytes() })
    }

    fn latest(&self) -> Result<Option<Timestamp>, Error> {
        Ok(self.latest)
    }

    fn reopen(&mut self) -> Result<(), Error> {
        Ok(())
    }
}
