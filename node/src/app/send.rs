//! Takes a text from a person: stored, queued for each device of the recipient, and told back with its id.

use super::{
    App, Scan,
    command::Outcome,
    outbox::HERE,
    query::{self, Shown},
    work::{Halt, Work},
};
use crate::api::{
    error::{Code, UserError},
    types::{EventKind, SendReply},
};
use kith_protocol::{AccountId, MessageId, Timestamp, limits};
use kith_store::table::{
    Cargo, ChainLink, Contact, ContactState, Deliveries, Delivery, Device, Dropped, DueWhat, Left, Message, MessageRef,
    Outbox, OutboxState, Place, PlaceHead, Progress, StepTaken,
};
use rand_core::Rng as _;

/// When something that a doubtful clock called due is looked at again, in milliseconds.
const CLOCK_PAUSE_MS: u64 = 60 * 60_000;

impl App {
    /// Queues a text for a person.
    pub(super) fn send(
        &self,
        w: &mut Work<'_>,
        to: AccountId,
        body: String,
        expires_after_ms: Option<u64>,
    ) -> Result<Outcome, Halt> {
        let contact = self.may_write_to(w, &to)?;
        check_text(&body)?;
        let place = Place::Person(to);
        let mut head = w.get::<PlaceHead>(&PlaceHead::key_of(&place))?.unwrap_or_else(|| empty_head(place));
        let mut id = [0; 16];
        w.rng.fill_bytes(&mut id);
        let id = MessageId::from_bytes(id);
        // A restored profile must not repeat a number: never below the clock.
        let seq = (head.seq + 1).max(w.now.as_millis());
        let order = (head.order + 1).max(w.now.as_millis());
        let begin = self.term_begin(w)?;
        let mut message = Message {
            place,
            order,
            id,
            account: self.me.account,
            device: self.me.device,
            seq,
            previous: head.last,
            sent_at: w.now,
            stored_at: w.now,
            expires_at: expires_after_ms.map(|ms| begin.plus_millis(ms)),
            kind: query::TEXT,
            body: body.into_bytes(),
            progress: Progress::Queued,
            event: 0,
        };
        head.seq = seq;
        head.order = order;
        head.last = Some(id);
        w.put(&head)?;
        self.store_message(w, &message)?;
        let deliveries = self.queue_message(w, &contact, &message)?;
        let entry = query::message(&message, Some(&deliveries), &contact.shown_name(), &self.profile(w)?);
        let reply = SendReply::from(&entry);
        message.event = self.emit(w, EventKind::Message(entry))?;
        w.put(&message)?;
        for delivery in &deliveries.to {
            if let Some(row) = delivery.outbox {
                self.attempt(w, row)?;
            }
        }
        Ok(Outcome::Sent(reply))
    }

    /// The contact, if this account may write to it.
    pub(super) fn may_write_to(&self, w: &Work<'_>, to: &AccountId) -> Result<Contact, Halt> {
        if *to == self.me.account {
            return Err(UserError::new(Code::BadTarget, "that is your own account").hint("kith contact list").into());
        }
        let contact = self.contact(w, to)?;
        if contact.blocked {
            let hint = format!("kith contact unblock {}", contact.handle());
            return Err(UserError::new(Code::Blocked, "the contact is blocked").hint(hint).into());
        }
        if contact.state == ContactState::Request {
            let hint = format!("kith contact accept {}", contact.handle());
            return Err(UserError::new(Code::NotPermitted, "they wrote first and wait to be accepted")
                .hint(hint)
                .into());
        }
        if contact.violated {
            let hint = format!("kith contact verify {}", contact.handle());
            return Err(UserError::new(Code::IdentityChanged, "the contact's identity changed").hint(hint).into());
        }
        Ok(contact)
    }

    /// Stores a message and what finds it again.
    pub(super) fn store_message(&self, w: &mut Work<'_>, message: &Message) -> Result<(), Halt> {
        w.put(message)?;
        let mut found = w.get::<MessageRef>(&MessageRef::key_of(&message.id))?.unwrap_or(MessageRef {
            id: message.id,
            accounts: Vec::new(),
            at: Vec::new(),
        });
        found.accounts.push(message.account);
        found.at.push((message.account, message.place, message.order));
        w.put(&found)?;
        w.put(&ChainLink {
            place: message.place,
            device: message.device,
            seq: message.seq,
            id: message.id,
            previous: message.previous,
            order: message.order,
        })?;
        match message.expires_at {
            Some(at) => w.schedule(at, DueWhat::Vanish(message.id)),
            None => Ok(()),
        }
    }

    fn queue_message(&self, w: &mut Work<'_>, contact: &Contact, message: &Message) -> Result<Deliveries, Halt> {
        let give_up = self.term_begin(w)?.plus_millis(limits::OUTBOX_EXPIRY_MS);
        let give_up = message.expires_at.map_or(give_up, |at| at.min(give_up));
        let devices = self.live_devices(w, &contact.account)?;
        let targets = if devices.is_empty() { vec![None] } else { devices.into_iter().map(Some).collect::<Vec<_>>() };
        let mut to = Vec::with_capacity(targets.len());
        for device in targets {
            let row = self.enqueue(w, contact.account, device, Cargo::Message(message.id), give_up)?;
            to.push(Delivery {
                account: contact.account,
                device,
                progress: Progress::Queued,
                outbox: Some(row),
                steps: vec![StepTaken { at: w.now, what: "queued".into(), place: HERE.into() }],
                error: None,
            });
        }
        let deliveries = Deliveries { id: message.id, to };
        w.put(&deliveries)?;
        Ok(deliveries)
    }

    /// Tries waiting rows now: those of one message, or all. Returns whether anything waited.
    pub(super) fn outbox_retry(&self, w: &mut Work<'_>, message: Option<MessageId>) -> Result<bool, Halt> {
        if let Some(id) = message {
            self.sent_by_me(w, &id, "kith outbox retry")?;
        }
        let mut any = false;
        for row in w.rows().group::<Outbox>(Outbox::GROUP)? {
            let wanted = match (&row.cargo, message) {
                (Cargo::Message(id), Some(only)) => *id == only,
                (_, Some(_)) => false,
                (_, None) => true,
            };
            any |= wanted && matches!(row.cargo, Cargo::Message(_));
            if wanted && !row.in_flight {
                let mut now = row.clone();
                now.tries = 0;
                now.due_at = w.now;
                now.direct_at = w.now;
                for deposited in &mut now.deposits {
                    if let Left::Later { at } = &mut deposited.left {
                        *at = w.now;
                    }
                }
                if let OutboxState::Taken { again_at } = &mut now.state {
                    *again_at = w.now;
                }
                self.reschedule(w, &row, &now)?;
            }
        }
        Ok(any)
    }

    /// Says why a device could not be reached; a ban of the user's own is named with what lifts it.
    pub(super) fn unreachable_because(&self, w: &Work<'_>, row: &Outbox, why: &str) -> Result<String, Halt> {
        let device = match row.device {
            Some(id) => w.get::<Device>(&Device::key_of(&id))?,
            None => None,
        };
        let peer = device.and_then(|device| device.peer);
        let banned = self.profile(w)?.banned;
        Ok(match peer.filter(|peer| banned.contains(peer)) {
            Some(peer) => format!("you banned this peer: kith peer unban {peer}"),
            None => why.to_owned(),
        })
    }

    /// Refuses a message that came in where one of ours is meant.
    fn sent_by_me(&self, w: &Work<'_>, id: &MessageId, verb: &str) -> Result<(), Halt> {
        let found = w.get::<MessageRef>(&MessageRef::key_of(id))?.map(|found| found.accounts).unwrap_or_default();
        if found.is_empty() || found.contains(&self.me.account) {
            return Ok(());
        }
        Err(came_in(verb).into())
    }

    /// Gives up a message that is not at its recipient yet.
    pub(super) fn outbox_cancel(&self, w: &mut Work<'_>, message: MessageId) -> Result<(), Halt> {
        self.sent_by_me(w, &message, "kith outbox cancel")?;
        let rows: Vec<u64> = match w.get::<Deliveries>(&Deliveries::key_of(&message))? {
            Some(deliveries) => deliveries.to.iter().filter_map(|d| d.outbox).collect(),
            None => {
                return Err(UserError::new(Code::MessageUnknown, "no such message").hint("kith outbox list").into());
            }
        };
        if rows.is_empty() {
            return Err(UserError::new(Code::Conflict, "the message is not on its way any more")
                .hint(format!("kith why {message}"))
                .into());
        }
        for id in rows {
            if let Some(row) = w.get::<Outbox>(&Outbox::key_of(id))? {
                self.drop_outbox(w, &row, Progress::Failed, "cancelled")?;
            }
        }
        Ok(())
    }

    /// Removes a message that vanishes, wherever it stands.
    pub(super) fn vanish(&self, w: &mut Work<'_>, id: MessageId) -> Result<(), Halt> {
        let Some(mut found) = w.get::<MessageRef>(&MessageRef::key_of(&id))? else { return Ok(()) };
        if !self.may_vanish(w)? {
            return w.schedule(w.now.plus_millis(CLOCK_PAUSE_MS), DueWhat::Vanish(id));
        }
        let mut kept = Vec::new();
        for (account, place, order) in std::mem::take(&mut found.at) {
            let key = Message::key_of(&place, order, &id);
            match w.get::<Message>(&key)? {
                Some(message) if message.expires_at.is_some_and(|at| at <= w.now) => {
                    // What is not delivered by now is given up with it.
                    if message.account == self.me.account
                        && let Some(deliveries) = w.get::<Deliveries>(&Deliveries::key_of(&id))?
                    {
                        for row in deliveries.to.iter().filter_map(|d| d.outbox) {
                            if let Some(row) = w.get(&Outbox::key_of(row))? {
                                self.drop_outbox(w, &row, Progress::Failed, "it disappeared before it was delivered")?;
                            }
                        }
                    }
                    self.forget_event(w, message.event)?;
                    w.delete::<Message>(&key)?;
                    self.said_vanishes(w, &message)?;
                }
                Some(message) => {
                    if let Some(at) = message.expires_at {
                        w.schedule(at, DueWhat::Vanish(id))?;
                    }
                    kept.push((account, place, order));
                }
                None => {}
            }
        }
        found.at = kept;
        w.put(&found)
    }

    /// Forgets that a message was dropped: no envelope of it opens any more.
    pub(super) fn forget_id(&self, w: &mut Work<'_>, id: MessageId) -> Result<(), Halt> {
        if self.clock_doubt(&self.profile(w)?, w.now).is_some() {
            return w.schedule(w.now.plus_millis(CLOCK_PAUSE_MS), DueWhat::Forget(id));
        }
        for dropped in w.rows().group::<Dropped>(id.as_bytes())? {
            w.delete::<Dropped>(&Dropped::key_of(&id, &dropped.account))?;
        }
        Ok(())
    }
}

/// Says that a message was written by somebody else.
pub(crate) fn came_in(verb: &str) -> UserError {
    UserError::new(Code::Conflict, format!("that one came in; `{verb}` is for what you sent"))
        .hint("kith outbox list, or kith read @NAME --json for the ids of yours")
}

pub(super) fn empty_head(place: Place) -> PlaceHead {
    PlaceHead { place, seq: 0, last: None, order: 0, unread: 0 }
}

fn check_text(body: &str) -> Result<(), UserError> {
    if body.trim().is_empty() {
        return Err(UserError::new(Code::EmptyMessage, "the message has no text").hint("kith send @name 'text'"));
    }
    if body.len() > limits::TEXT_MAX {
        let message = format!("the message has {} bytes, the limit is {}", body.len(), limits::TEXT_MAX);
        return Err(UserError::new(Code::MessageTooLong, message).hint("split it"));
    }
    Ok(())
}

/// The moment until which holders keep an envelope of a message.
pub(super) fn envelope_expiry(now: Timestamp, give_up: Timestamp) -> Timestamp {
    now.plus_millis(limits::OUTBOX_EXPIRY_MS).min(give_up)
}
