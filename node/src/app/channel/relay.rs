//! The mailboxes that relays keep for a channel: what members leave there is read by who was away, although nobody else is on.
//! Must not know what is in an item.

use super::Room;
use crate::{
    api::error::{Code, UserError},
    app::{
        App, Scan as _,
        asking::{ASK_LEASE_MS, Question, Said, next_tag},
        relays::{DAY_MS, card_error, place_of},
        work::{Halt, Work},
    },
    net::AskOutcome,
};
use kith_protocol::{
    ChannelId, EnvelopeId, MessageId, RelayId, Timestamp,
    channel::{BlobItem, EpochId, EpochKeys, Frame, Graph, LineageKeys, OpId, Parcel, Setting, blob::Blob, slot_of},
    crypto::kdf::sha256,
    limits,
    mailbox::{Answer, Class, Custody, MailboxKey, OwnerAsk, Page, Pass, Reason, Refusal, RelayCard, Terms},
};
use kith_store::table::{
    ChannelDeposit, ChannelItem, ChannelItemBytes, ChannelLineage, ChannelMailbox, DueWhat, Message, MessageRef, Place,
    Progress, RelayQuestion, TopicRow,
};

/// How often a mailbox is read although nothing woke us, in milliseconds.
const READ_MS: u64 = 60_000;
/// How often that of an old lineage is.
const READ_OLD_MS: u64 = 10 * 60_000;
/// How long that of an old lineage is kept at the relay, in milliseconds: what was left there has lapsed.
const OLD_MS: u64 = 45 * DAY_MS;
/// First pause after a question that came to nothing; doubles up to the longest.
const AGAIN_FIRST_MS: u64 = 2_000;
/// Longest pause.
const AGAIN_LONGEST_MS: u64 = 5 * 60_000;
/// When a relay that refuses is asked again, in milliseconds.
const REFUSED_AGAIN_MS: u64 = 60 * 60_000;
/// Items on their way to one mailbox at once.
const FLYING_MAX: usize = 16;
/// Items that whoever made a mailbox leaves there of what was said before.
const BEFORE_MAX: usize = 1_024;
/// Items of a rekey blob that are left at relays; those of larger channels are fetched from members.
const BLOB_MAX: usize = 1_024;

/// What is asked next. The numbers stand in rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Register = 1,
    Fetch = 2,
    Leave = 3,
}

/// The relays that a channel names.
pub(in crate::app) fn relays_of(graph: &Graph) -> Vec<RelayCard> {
    let Some(Setting::Relays(entries)) = graph.setting(6) else { return Vec::new() };
    let text = |entry: &Vec<u8>| String::from_utf8(entry.clone()).ok();
    entries.iter().filter_map(text).filter_map(|text| RelayCard::parse(&text).ok()).collect()
}

impl App {
    /// Names one more relay for a channel; one that is named already by what its card says now.
    pub(super) fn channel_relay_add(&self, room: &Room, text: &str) -> Result<Setting, Halt> {
        let card = RelayCard::parse(text).map_err(card_error)?;
        if place_of(&card).is_none() {
            let message = "the card says which relay it is, not where it listens";
            return Err(UserError::new(Code::CodeBadHint, message).hint("ask for the link: kith relay card").into());
        }
        let mut all = relays_of(&room.graph);
        all.retain(|known| known.relay != card.relay);
        if all.len() >= limits::MAILBOXES_MAX {
            let message = format!("a channel has {} relays at most", limits::MAILBOXES_MAX);
            return Err(UserError::new(Code::Conflict, message).hint("kith channel relay remove '#NAME' RELAY").into());
        }
        all.push(card);
        Ok(Setting::Relays(all.iter().map(entry_of).collect()))
    }

    /// Lets one of a channel's relays go.
    pub(super) fn channel_relay_remove(&self, room: &Room, text: &str) -> Result<Setting, Halt> {
        let mut all = relays_of(&room.graph);
        let wanted = text.trim();
        let fits: Vec<RelayId> =
            all.iter().map(|card| card.relay).filter(|relay| relay.to_string().starts_with(wanted)).collect();
        match fits.as_slice() {
            [one] if !wanted.is_empty() => all.retain(|card| card.relay != *one),
            [] => {
                return Err(UserError::new(Code::RelayUnknown, "no such relay keeps this channel")
                    .hint("kith channel info '#NAME'")
                    .into());
            }
            _ => return Err(UserError::new(Code::Ambiguous, "several relays fit").hint("give more of its id").into()),
        }
        Ok(Setting::Relays(all.iter().map(entry_of).collect()))
    }

    /// All mailboxes of a channel.
    pub(in crate::app) fn channel_mailboxes(
        &self,
        w: &Work<'_>,
        channel: &ChannelId,
    ) -> Result<Vec<ChannelMailbox>, Halt> {
        let mut all = w.rows().group::<ChannelMailbox>(ChannelMailbox::GROUP)?;
        all.retain(|row| row.channel == *channel);
        Ok(all)
    }

    /// Brings the mailboxes in line with the relays that a channel names, and with its lineage.
    pub(super) fn mailboxes_follow(&self, w: &mut Work<'_>, room: &Room) -> Result<(), Halt> {
        let relays = relays_of(&room.graph);
        let known = self.channel_mailboxes(w, &room.row.channel)?;
        let Some(topic) = w.get::<TopicRow>(&TopicRow::key_of(&room.row.topic))? else { return Ok(()) };
        if relays.is_empty() && known.is_empty() {
            return Ok(());
        }
        for mut row in known.iter().cloned() {
            let card = relays.iter().find(|card| card.relay == row.relay);
            let current = card.is_some() && row.lineage == topic.lineage;
            let before = (row.replaced, row.peer.clone(), row.addresses.clone(), row.token);
            row.replaced = if current { None } else { row.replaced.or(Some(w.now)) };
            if let Some((card, (peer, addresses))) = card.and_then(|card| Some((card, place_of(card)?))) {
                (row.peer, row.addresses, row.token) = (peer, addresses, card.token);
            }
            if before != (row.replaced, row.peer.clone(), row.addresses.clone(), row.token) {
                (row.failures, row.due_at) = (0, w.now);
                self.put_mailbox(w, &row)?;
            }
        }
        let mut number = w.rows().group::<ChannelMailbox>(ChannelMailbox::GROUP)?.iter().map(|row| row.number).max();
        for card in &relays {
            if known.iter().any(|row| row.relay == card.relay && row.lineage == topic.lineage) {
                continue;
            }
            let Some((peer, addresses)) = place_of(card) else { continue };
            let next = number.map_or(1, |n| n + 1);
            number = Some(next);
            let row = ChannelMailbox {
                number: next,
                channel: room.row.channel,
                lineage: topic.lineage,
                relay: card.relay,
                peer,
                addresses,
                token: card.token,
                registered: None,
                after: 0,
                unread: true,
                read_at: None,
                question: None,
                tag: 0,
                failures: 0,
                detail: None,
                replaced: None,
                due_at: w.now,
            };
            self.put_mailbox(w, &row)?;
            self.protect(w)?;
        }
        Ok(())
    }

    /// Has an item left in every mailbox of its topic.
    pub(super) fn leave_item(
        &self,
        w: &mut Work<'_>,
        channel: &ChannelId,
        topic: &[u8; 32],
        id: &[u8; 32],
        message: Option<MessageId>,
    ) -> Result<(), Halt> {
        let Some(of) = w.get::<TopicRow>(&TopicRow::key_of(topic))? else { return Ok(()) };
        for mut row in self.channel_mailboxes(w, channel)?.into_iter().filter(|row| row.lineage == of.lineage) {
            self.queue_item(w, row.number, topic, id, message)?;
            row.due_at = row.due_at.min(w.now);
            self.put_mailbox(w, &row)?;
        }
        Ok(())
    }

    fn queue_item(
        &self,
        w: &mut Work<'_>,
        mailbox: u64,
        topic: &[u8; 32],
        id: &[u8; 32],
        message: Option<MessageId>,
    ) -> Result<(), Halt> {
        let mut counters = w.counters()?;
        counters.outbox += 1;
        w.put(&counters)?;
        w.put(&ChannelDeposit { mailbox, number: counters.outbox, topic: *topic, id: *id, message, asked: None })
    }

    /// Has the items of a rekey blob left where who was away reads the operation that made the keys anew. They are not
    /// spread: each device needs one of them.
    pub(super) fn leave_blob(
        &self,
        w: &mut Work<'_>,
        room: &Room,
        op: OpId,
        blob: &Blob,
        (epoch, keys): (EpochId, &EpochKeys),
    ) -> Result<(), Halt> {
        let Some((id, lineage)) = room.lineage(&epoch) else { return Ok(()) };
        let here = self.channel_mailboxes(w, &room.row.channel)?.iter().any(|row| row.lineage == id);
        if !here || blob.items.len() > BLOB_MAX {
            return Ok(());
        }
        let items = (0..).zip(&blob.items).map(|(place, item)| BlobItem { op, place, item: item.encode() });
        for parcel in Parcel::cut_blob(items) {
            let Ok(bytes) = parcel.seal(&room.row.channel, &lineage, (epoch, keys), slot_of(w.now), w.rng) else {
                continue;
            };
            let (topic, id) = (lineage.topic(), sha256(&[&bytes]));
            w.put(&ChannelItemBytes { topic, id, bytes })?;
            self.leave_item(w, &room.row.channel, &topic, &id, None)?;
        }
        Ok(())
    }

    /// Reads the mailboxes of a lineage from the beginning, a while after they were read last: something that was there could
    /// not be used then.
    pub(super) fn read_mailboxes_again(
        &self,
        w: &mut Work<'_>,
        channel: &ChannelId,
        topic: &[u8; 32],
    ) -> Result<(), Halt> {
        let Some(of) = w.get::<TopicRow>(&TopicRow::key_of(topic))? else { return Ok(()) };
        for mut row in self.channel_mailboxes(w, channel)?.into_iter().filter(|row| row.lineage == of.lineage) {
            if row.read_at.is_some_and(|at| w.now.millis_since(at) >= AGAIN_LONGEST_MS) && !row.unread {
                (row.after, row.unread, row.due_at) = (0, true, w.now);
                self.put_mailbox(w, &row)?;
            }
        }
        Ok(())
    }

    fn put_mailbox(&self, w: &mut Work<'_>, row: &ChannelMailbox) -> Result<(), Halt> {
        if let Some(before) = w.get::<ChannelMailbox>(&ChannelMailbox::key_of(row.number))?
            && before.due_at != row.due_at
        {
            w.unschedule(before.due_at, DueWhat::ChannelMailbox(row.number))?;
        }
        w.put(row)?;
        w.schedule(row.due_at, DueWhat::ChannelMailbox(row.number))
    }

    fn forget_mailbox(&self, w: &mut Work<'_>, row: &ChannelMailbox) -> Result<(), Halt> {
        for item in w.rows().group::<ChannelDeposit>(&row.number.to_be_bytes())? {
            self.forget_deposit(w, &item)?;
        }
        w.unschedule(row.due_at, DueWhat::ChannelMailbox(row.number))?;
        w.delete::<ChannelMailbox>(&ChannelMailbox::key_of(row.number))
    }

    /// Forgets an item that lies where it should, and its bytes if they were kept for that alone.
    fn forget_deposit(&self, w: &mut Work<'_>, item: &ChannelDeposit) -> Result<(), Halt> {
        w.delete::<ChannelDeposit>(&ChannelDeposit::key_of(item.mailbox, item.number))?;
        let key = ChannelItemBytes::key_of(&item.topic, &item.id);
        let slot = w.get::<ChannelItemBytes>(&key)?.and_then(|kept| Frame::decode(&kept.bytes).ok()).map(|f| f.slot());
        let Some(slot) = slot else { return Ok(()) };
        let named = w.get::<ChannelItem>(&ChannelItem::key_of(&item.topic, slot, &item.id))?.is_some();
        let mut wanted = false;
        for row in w.rows().group::<ChannelMailbox>(ChannelMailbox::GROUP)? {
            let others = w.rows().group::<ChannelDeposit>(&row.number.to_be_bytes())?;
            wanted |= others.iter().any(|other| other.id == item.id);
        }
        if named || wanted { Ok(()) } else { w.delete::<ChannelItemBytes>(&key) }
    }

    /// The daemon starts: questions are lost, mailboxes are read on.
    pub(super) fn mailboxes_start(&self, w: &mut Work<'_>) -> Result<(), Halt> {
        for mut row in w.rows().group::<ChannelMailbox>(ChannelMailbox::GROUP)? {
            for mut item in w.rows().group::<ChannelDeposit>(&row.number.to_be_bytes())? {
                if item.asked.take().is_some() {
                    w.put(&item)?;
                }
            }
            (row.question, row.unread, row.failures, row.due_at) = (None, true, 0, w.now);
            self.put_mailbox(w, &row)?;
        }
        Ok(())
    }

    /// A relay came up, or says that something waits: mailboxes there are read.
    pub(in crate::app) fn mailboxes_woken(&self, w: &mut Work<'_>, peer: &str) -> Result<(), Halt> {
        for mut row in w.rows().group::<ChannelMailbox>(ChannelMailbox::GROUP)? {
            if row.peer == peer {
                (row.unread, row.failures) = (true, 0);
                self.drive_mailbox(w, row)?;
            }
        }
        Ok(())
    }

    /// Looks at a mailbox because it is due.
    pub(in crate::app) fn mailbox_due(&self, w: &mut Work<'_>, number: u64) -> Result<(), Halt> {
        let Some(mut row) = w.get::<ChannelMailbox>(&ChannelMailbox::key_of(number))? else { return Ok(()) };
        let every = if row.replaced.is_some() { READ_OLD_MS } else { READ_MS };
        if row.read_at.is_none_or(|at| at > w.now || w.now.millis_since(at) >= every) {
            row.unread = true;
        }
        if row.question.is_some_and(|q| w.now >= q.lease_until) {
            row.question = None;
            return self.mailbox_fails(w, row, "no answer");
        }
        self.drive_mailbox(w, row)
    }

    /// Asks what is next, and leaves what waits.
    fn drive_mailbox(&self, w: &mut Work<'_>, mut row: ChannelMailbox) -> Result<(), Halt> {
        let (Some(room), Some(keys)) = (
            self.joined(w, &row.channel)?,
            w.get::<ChannelLineage>(&ChannelLineage::key_of(&row.channel, &row.lineage))?,
        ) else {
            return self.forget_mailbox(w, &row);
        };
        self.close(w, room)?;
        let key = LineageKeys::from_stored(&keys.keys).mailbox_at(&row.relay);
        let quiet = self.known_relay(w, &row.relay, &row.peer)?.quiet_until;
        row.due_at = w.now.plus_millis(if row.replaced.is_some() { READ_OLD_MS } else { READ_MS });
        if quiet > w.now {
            row.due_at = quiet;
            return self.put_mailbox(w, &row);
        }
        if row.question.is_none_or(|q| w.now >= q.lease_until) {
            row.question = None;
            let over = row.replaced.is_some_and(|at| w.now.millis_since(at) >= OLD_MS);
            let step = if over {
                Some(Step::Leave)
            } else if row.registered != Some(w.now.day()) {
                Some(Step::Register)
            } else {
                row.unread.then_some(Step::Fetch)
            };
            if let Some(step) = step {
                self.ask_relay(w, &mut row, &key, step)?;
            }
        }
        if let Some(question) = row.question {
            row.due_at = row.due_at.min(question.lease_until);
        }
        if row.registered.is_some() {
            self.leave_items(w, &mut row, &key)?;
        }
        self.put_mailbox(w, &row)
    }

    fn ask_relay(&self, w: &mut Work<'_>, row: &mut ChannelMailbox, key: &MailboxKey, step: Step) -> Result<(), Halt> {
        let ask = match step {
            Step::Register => {
                let (first, tags) = key.tags(w.now);
                OwnerAsk::Register { token: row.token, first, tags }
            }
            Step::Fetch => OwnerAsk::Fetch { after: row.after },
            Step::Leave => OwnerAsk::Leave,
        };
        row.tag = next_tag(row.tag);
        let lease_until = w.now.plus_millis(ASK_LEASE_MS);
        row.question = Some(RelayQuestion { step: step as u8, number: row.tag, lease_until });
        let request = ask.sign(key, &row.relay, &self.nonce_of(w, &row.relay, &row.peer)?);
        let question = Question::ChannelMailbox { mailbox: row.number, tag: row.tag };
        self.ask(w, question, &row.peer, &row.addresses, request)
    }

    /// Leaves items that wait, as many as may be on their way at once.
    fn leave_items(&self, w: &mut Work<'_>, row: &mut ChannelMailbox, key: &MailboxKey) -> Result<(), Halt> {
        let items = w.rows().group::<ChannelDeposit>(&row.number.to_be_bytes())?;
        let mut flying = items.iter().filter(|item| item.asked.is_some_and(|until| until > w.now)).count();
        let Ok(mailbox) = u16::try_from(row.number) else { return Ok(()) };
        for mut item in items {
            if item.asked.is_some_and(|until| until > w.now) {
                row.due_at = row.due_at.min(item.asked.unwrap_or(row.due_at));
                continue;
            }
            if flying >= FLYING_MAX {
                break;
            }
            let Some(kept) = w.get::<ChannelItemBytes>(&ChannelItemBytes::key_of(&item.topic, &item.id))? else {
                self.forget_deposit(w, &item)?;
                continue;
            };
            let pass = self.own_pass(row, key, w.now);
            let nonce = self.nonce_of(w, &row.relay, &row.peer)?;
            let until = w.now.plus_millis(limits::MAILBOX_TTL_MS);
            let request = pass.deposit(&nonce, w.now.day(), until, false, &kept.bytes);
            let question = Question::ChannelDeposit { deposit: item.number, mailbox };
            self.ask(w, question, &row.peer, &row.addresses, request)?;
            let lease = w.now.plus_millis(ASK_LEASE_MS);
            item.asked = Some(lease);
            row.due_at = row.due_at.min(lease);
            w.put(&item)?;
            flying += 1;
        }
        Ok(())
    }

    /// The permission that this device gives itself: each has a number of its own, so that one that floods is slowed alone.
    fn own_pass(&self, row: &ChannelMailbox, key: &MailboxKey, now: Timestamp) -> Pass {
        let serial = sha256(&[self.me.device.as_bytes()]).first_chunk().map_or(1, |b| u64::from_be_bytes(*b)).max(1);
        let depositor = key.depositor(serial);
        let terms = Terms {
            class: Class::Member,
            serial,
            until: now.plus_days(limits::GRANT_DAYS_MAX),
            envelopes: u64::from(u32::MAX),
            bytes: 1 << 40,
            depositor: Some(depositor.public()),
        };
        Pass {
            relay: row.relay,
            peer: row.peer.clone(),
            addresses: row.addresses.clone(),
            grant: key.grant(terms, now),
            tag_secret: key.tag_secret(Class::Member),
            depositor: Some(depositor),
        }
    }

    /// A step with a mailbox ended.
    pub(in crate::app) fn mailbox_answered(
        &self,
        w: &mut Work<'_>,
        number: u64,
        tag: u16,
        outcome: AskOutcome,
    ) -> Result<(), Halt> {
        let Some(row) = w.get::<ChannelMailbox>(&ChannelMailbox::key_of(number))? else { return Ok(()) };
        let Some(question) = row.question.filter(|q| q.number == tag) else { return Ok(()) };
        let said = self.hear(w, &row.relay, &row.peer, outcome)?;
        let Some(mut row) = w.get::<ChannelMailbox>(&ChannelMailbox::key_of(number))? else { return Ok(()) };
        row.question = None;
        match said {
            Said::Answer(Answer::Registered(registered)) if question.step == Step::Register as u8 => {
                row.registered = Some(w.now.day());
                (row.failures, row.detail, row.unread) = (0, None, true);
                if registered.new {
                    row.after = 0;
                    self.leave_what_was(w, &row)?;
                }
                self.drive_mailbox(w, row)
            }
            Said::Answer(Answer::Page(page)) if question.step == Step::Fetch as u8 => self.page_of(w, row, page),
            Said::Answer(Answer::Done) if question.step == Step::Leave as u8 => self.forget_mailbox(w, &row),
            Said::Answer(_) => self.mailbox_fails(w, row, "it answers something else than it was asked"),
            Said::NewNonce => {
                row.failures = row.failures.saturating_add(1);
                if row.failures > 3 {
                    return self.mailbox_fails(w, row, "it does not take its own nonce");
                }
                // It may have been put back to an old copy, which counts its places anew.
                (row.after, row.unread) = (0, true);
                self.drive_mailbox(w, row)
            }
            Said::Refused(refusal) => self.mailbox_refused(w, row, refusal),
            Said::Wait(ms) => {
                row.due_at = w.now.plus_millis(ms.clamp(500, AGAIN_LONGEST_MS));
                self.put_mailbox(w, &row)
            }
            Said::NoRelay => {
                row.detail = Some("the node there runs no relay".to_owned());
                row.due_at = w.now.plus_millis(REFUSED_AGAIN_MS);
                self.put_mailbox(w, &row)
            }
            Said::Silent(why) => self.mailbox_fails(w, row, why),
        }
    }

    /// A mailbox was made now: what its topic has so far is left there, the newest of it.
    fn leave_what_was(&self, w: &mut Work<'_>, row: &ChannelMailbox) -> Result<(), Halt> {
        let Some(keys) = w.get::<ChannelLineage>(&ChannelLineage::key_of(&row.channel, &row.lineage))? else {
            return Ok(());
        };
        let topic = LineageKeys::from_stored(&keys.keys).topic();
        let waiting = w.rows().group::<ChannelDeposit>(&row.number.to_be_bytes())?;
        let items = w.rows().group::<ChannelItem>(&topic)?;
        let first = items.len().saturating_sub(BEFORE_MAX);
        for item in items.into_iter().skip(first) {
            if !waiting.iter().any(|known| known.id == item.id) {
                self.queue_item(w, row.number, &topic, &item.id, None)?;
            }
        }
        Ok(())
    }

    fn page_of(&self, w: &mut Work<'_>, mut row: ChannelMailbox, page: Page) -> Result<(), Halt> {
        row.after = page.items.iter().map(|item| item.cursor).max().unwrap_or(row.after).max(row.after);
        (row.unread, row.read_at, row.failures, row.detail) = (page.more, Some(w.now), 0, None);
        self.put_mailbox(w, &row)?;
        let Some(mut room) = self.joined(w, &row.channel)? else { return self.forget_mailbox(w, &row) };
        let Some((_, lineage)) = room.ring.lineages().find(|(id, _)| **id == row.lineage).map(|(i, k)| (*i, k.clone()))
        else {
            return self.close(w, room);
        };
        let mut moved = false;
        for item in page.items {
            match self.blob_parcel(&mut room, &lineage, &item.envelope) {
                Some(parcel) => self.blob_left(w, &mut room, &parcel)?,
                None => moved |= self.item_in(w, &mut room, &lineage.topic(), item.envelope)?,
            }
        }
        if moved {
            self.wake_waiting(w, &mut room)?;
        }
        self.settle(w, &mut room)?;
        self.close(w, room)?;
        let Some(row) = w.get::<ChannelMailbox>(&ChannelMailbox::key_of(row.number))? else { return Ok(()) };
        self.drive_mailbox(w, row)
    }

    /// A parcel of a blob, if an envelope is one.
    fn blob_parcel(&self, room: &mut Room, lineage: &LineageKeys, bytes: &[u8]) -> Option<Parcel> {
        let frame = Frame::decode(bytes).ok()?;
        let header = frame.header(lineage).ok().filter(|header| header.is_parcel())?;
        let keys = room.keys(&header.epoch)?;
        let parcel = Parcel::open(&frame, &room.row.channel, &header.epoch, &keys).ok()?;
        (!parcel.blob.is_empty()).then_some(parcel)
    }

    /// Takes what is this device's out of a parcel of a blob.
    fn blob_left(&self, w: &mut Work<'_>, room: &mut Room, parcel: &Parcel) -> Result<(), Halt> {
        for item in &parcel.blob {
            let Some(at) = room.graph.position(&item.op) else { continue };
            if room.graph.sealed_place(at, &self.me.device) == Some(item.place) {
                self.blob_item_in(w, room, at, &item.item)?;
            }
        }
        Ok(())
    }

    fn mailbox_refused(&self, w: &mut Work<'_>, mut row: ChannelMailbox, refusal: Refusal) -> Result<(), Halt> {
        let again = refusal.retry_after_ms.clamp(1_000, REFUSED_AGAIN_MS);
        let (detail, pause) = match refusal.reason {
            Reason::NoMailbox if row.replaced.is_some_and(|at| w.now.millis_since(at) >= OLD_MS) => {
                return self.forget_mailbox(w, &row);
            }
            Reason::NoMailbox => {
                row.registered = None;
                return self.mailbox_fails(w, row, "it has forgotten the mailbox");
            }
            Reason::NotAdmitted => ("its invite is unknown there, lapsed or used up", REFUSED_AGAIN_MS),
            Reason::Blocked => ("its operator blocked the channel", REFUSED_AGAIN_MS),
            Reason::NoRoom | Reason::RelayFull => ("it is full", REFUSED_AGAIN_MS),
            Reason::Storage => ("its disk reports errors", again),
            Reason::RateLimited | Reason::Stopping => ("it asks to wait", again),
            _ => ("it refuses", REFUSED_AGAIN_MS),
        };
        row.detail = Some(detail.to_owned());
        row.due_at = w.now.plus_millis(pause);
        self.put_mailbox(w, &row)
    }

    fn mailbox_fails(&self, w: &mut Work<'_>, mut row: ChannelMailbox, why: &str) -> Result<(), Halt> {
        let pause = (AGAIN_FIRST_MS << row.failures.min(16)).min(AGAIN_LONGEST_MS);
        row.failures = row.failures.saturating_add(1);
        row.detail = Some(why.to_owned());
        row.due_at = w.now.plus_millis(pause);
        self.put_mailbox(w, &row)
    }

    /// An item was left, or was not.
    pub(in crate::app) fn item_left(
        &self,
        w: &mut Work<'_>,
        mailbox: u16,
        number: u64,
        outcome: AskOutcome,
    ) -> Result<(), Halt> {
        let key = ChannelDeposit::key_of(u64::from(mailbox), number);
        let Some(row) = w.get::<ChannelMailbox>(&ChannelMailbox::key_of(u64::from(mailbox)))? else { return Ok(()) };
        let Some(mut item) = w.get::<ChannelDeposit>(&key)? else { return Ok(()) };
        let said = self.hear(w, &row.relay, &row.peer, outcome)?;
        let Some(mut row) = w.get::<ChannelMailbox>(&ChannelMailbox::key_of(row.number))? else { return Ok(()) };
        item.asked = None;
        match said {
            Said::Answer(Answer::Custody(bytes)) => {
                let kept = w.get::<ChannelItemBytes>(&ChannelItemBytes::key_of(&item.topic, &item.id))?;
                let of = kept.map(|kept| EnvelopeId::of(&kept.bytes));
                match Custody::verify(&bytes, &row.relay) {
                    Ok(custody) if Some(custody.envelope) == of => {
                        self.forget_deposit(w, &item)?;
                        (row.failures, row.detail) = (0, None);
                        if let Some(message) = item.message
                            && let Some(room) = self.joined(w, &row.channel)?
                        {
                            self.channel_stored(w, &room, &message)?;
                            self.close(w, room)?;
                        }
                        self.drive_mailbox(w, row)
                    }
                    _ => {
                        w.put(&item)?;
                        self.mailbox_fails(w, row, "it gave no receipt that holds")
                    }
                }
            }
            Said::NewNonce if row.failures < 3 => {
                w.put(&item)?;
                row.failures = row.failures.saturating_add(1);
                self.drive_mailbox(w, row)
            }
            Said::Refused(refusal) => {
                w.put(&item)?;
                if matches!(refusal.reason, Reason::UnknownTag | Reason::WrongGrant | Reason::Expired) {
                    row.registered = None;
                    return self.mailbox_fails(w, row, "it has forgotten the mailbox");
                }
                self.mailbox_refused(w, row, refusal)
            }
            Said::Wait(ms) => {
                w.put(&item)?;
                row.due_at = w.now.plus_millis(ms.clamp(500, AGAIN_LONGEST_MS));
                self.put_mailbox(w, &row)
            }
            Said::Silent(why) => {
                w.put(&item)?;
                self.mailbox_fails(w, row, why)
            }
            _ => {
                w.put(&item)?;
                self.mailbox_fails(w, row, "it refuses")
            }
        }
    }

    /// A relay signed that it holds a message of ours.
    fn channel_stored(&self, w: &mut Work<'_>, room: &Room, id: &MessageId) -> Result<(), Halt> {
        let place = Place::Channel(*room.row.channel.as_bytes());
        let Some(found) = w.get::<MessageRef>(&MessageRef::key_of(id))? else { return Ok(()) };
        for (_, at, order) in found.at.iter().filter(|(_, at, _)| *at == place) {
            let Some(mut message) = w.get::<Message>(&Message::key_of(at, *order, id))? else { continue };
            if matches!(message.progress, Progress::Queued | Progress::Sent) {
                message.progress = Progress::Stored;
                w.put(&message)?;
                self.tell_reach(w, room, &message)?;
            }
        }
        Ok(())
    }
}

/// What stands for a relay in the channel's record.
fn entry_of(card: &RelayCard) -> Vec<u8> {
    let mut card = card.clone();
    loop {
        let text = card.to_string().into_bytes();
        if text.len() <= limits::PASS_MAX || card.hints.pop().is_none() {
            return text;
        }
    }
}
