//! People: adding them by code, accepting who wrote first, verifying, renaming, blocking, removing.

use super::{
    App, Scan,
    command::Outcome,
    effect::Owed,
    query,
    query::Shown,
    work::{Halt, Work},
};
use crate::{
    api::{
        error::{Code, UserError},
        types::{self, Conversation, EventKind},
    },
    net::NetCommand,
};
use kith_protocol::{
    AccountId, DeviceId, Timestamp,
    identity::{ContactLink, contact_link, device_log::LogHead, safety_number},
    limits,
};
use kith_store::{
    Range, Row, Rows,
    table::{
        AccountDevices, ChainLink, CodeReach, Contact, ContactNumber, ContactState, Device, Dropped, DueWhat, Message,
        MessageRef, Outbox, OutboxOf, PassesOf, Place, PlaceHead, Progress, SessionsRow,
    },
};

impl App {
    /// Reads a contact that is shown to people (added or a request), or says that there is none.
    pub(super) fn contact(&self, w: &Work<'_>, account: &AccountId) -> Result<Contact, Halt> {
        let found = w.get::<Contact>(&Contact::key_of(account))?.filter(|c| c.state != ContactState::Removed);
        found.ok_or_else(|| {
            UserError::new(Code::ContactUnknown, "no such contact")
                .hint("kith contact list, or kith contact add CODE")
                .into()
        })
    }

    /// Adds a contact by code or link. Somebody who waited as a request is accepted by it.
    pub(super) fn contact_add(&self, w: &mut Work<'_>, text: &str, name: Option<String>) -> Result<Outcome, Halt> {
        let link = ContactLink::parse(text).map_err(code_error)?;
        let account = link.code.account;
        if account == self.me.account {
            return Err(UserError::new(Code::CodeOwn, "that is your own contact code")
                .hint("send it to somebody else; add theirs here")
                .into());
        }
        let name = name.map(|n| check_name(&n)).transpose()?;
        let known = w.get::<Contact>(&Contact::key_of(&account))?;
        let was_request = known.as_ref().is_some_and(|c| c.state == ContactState::Request);
        let new = known.as_ref().is_none_or(|c| c.state == ContactState::Removed);
        let before = known.as_ref().filter(|_| !new).map(Shown::shown_name);
        let mut contact = match known {
            Some(contact) => contact,
            None => self.new_contact(w, account)?,
        };
        contact.state = ContactState::Added;
        self.take_code(w, &mut contact, *link.code.reach.as_bytes())?;
        match name {
            Some(name) => contact.name = name,
            None => self.settle_name(w, &mut contact)?,
        }
        for hint in &link.hints {
            if !contact.hints.contains(hint) {
                contact.hints.insert(0, hint.clone());
            }
        }
        contact.hints.truncate(limits::LINK_HINTS_MAX);
        if new {
            contact.since = w.now;
            contact.blocked = false;
        }
        w.put(&contact)?;
        if !link.hints.is_empty() {
            w.effects().net.push(NetCommand::Dial { addresses: contact.hints.clone() });
        }
        if was_request {
            self.accepted(w, &account)?;
        }
        let renamed_from = before.filter(|name| *name != contact.shown_name());
        self.want_resolve(w, contact)?;
        let changed = new || was_request || renamed_from.is_some();
        let contact = self.tell(w, &account)?;
        Ok(Outcome::Added(types::Added { contact, changed, renamed_from }))
    }

    /// Takes the reach secret of a code. What the contact said itself stays: the code may be an older one, or a newer one
    /// whose announcement was lost, so that from now on both are tried.
    fn take_code(&self, w: &mut Work<'_>, contact: &mut Contact, code: [u8; 16]) -> Result<(), Halt> {
        let told = contact.reach.filter(|_| contact.reach_at > Timestamp::from_millis(0));
        if told.is_some_and(|told| told != code) {
            return w.put(&CodeReach { account: contact.account, reach: code });
        }
        contact.reach = Some(code);
        w.delete::<CodeReach>(&CodeReach::key_of(&contact.account))
    }

    /// Accepts a stranger's request: what waited counts as received from now on.
    pub(super) fn contact_accept(&self, w: &mut Work<'_>, account: AccountId) -> Result<Outcome, Halt> {
        let mut contact = self.contact(w, &account)?;
        if contact.blocked {
            return Err(UserError::new(Code::Blocked, "the contact is blocked")
                .hint(format!("kith contact unblock {}", contact.handle()))
                .into());
        }
        if contact.state == ContactState::Request {
            contact.state = ContactState::Added;
            self.settle_name(w, &mut contact)?;
            w.put(&contact)?;
            self.accepted(w, &account)?;
            self.read_anew(w)?;
            self.want_resolve(w, contact)?;
        }
        self.tell_contact(w, &account)
    }

    /// Owes the receipts that were withheld while the request waited, and tells listeners what came with it.
    fn accepted(&self, w: &mut Work<'_>, account: &AccountId) -> Result<(), Halt> {
        let place = Place::Person(*account);
        let mut contact = self.contact(w, account)?;
        for mut message in w.rows().group::<Message>(&place.group())? {
            if message.account == *account {
                if message.event == 0 {
                    self.tell_message(w, &contact, &mut message)?;
                }
                w.owe(Owed { account: *account, device: message.device, message: message.id, read: false });
            }
        }
        contact.waiting = 0;
        contact.accepted_at = Some(w.now);
        w.put(&contact)?;
        for device in self.live_devices(w, account)? {
            self.offer(w, &contact, &device)?;
        }
        Ok(())
    }

    /// Makes the row of somebody not known before.
    pub(super) fn new_contact(&self, w: &mut Work<'_>, account: AccountId) -> Result<Contact, Halt> {
        let mut counters = w.counters()?;
        counters.contact += 1;
        w.put(&counters)?;
        w.put(&ContactNumber { number: counters.contact, account })?;
        Ok(Contact {
            account,
            number: counters.contact,
            name: String::new(),
            their_name: String::new(),
            state: ContactState::Added,
            verified: false,
            violated: false,
            blocked: false,
            reach: None,
            hints: Vec::new(),
            log: Vec::new(),
            log_head: LogHead { len: 0, hash: [0; 32] },
            since: w.now,
            waiting: 0,
            begun: 0,
            reach_at: Timestamp::from_millis(0),
            accepted_at: None,
            resolve_at: None,
            looked_at: None,
            resolve_tries: 0,
        })
    }

    /// Shows the safety number; with digits compares them.
    pub(super) fn contact_verify(
        &self,
        w: &mut Work<'_>,
        account: AccountId,
        digits: Option<String>,
    ) -> Result<Outcome, Halt> {
        let mut contact = self.contact(w, &account)?;
        let number = safety_number(&self.me.account, &account);
        if let Some(digits) = digits {
            if !number.matches_digits(&digits).unwrap_or(false) {
                return Err(UserError::new(
                    Code::Unverified,
                    "the digits are not the same: do not trust this contact yet",
                )
                .hint("compare all 60 digits again, on another way than Kith")
                .into());
            }
            contact.verified = true;
            contact.violated = false;
            w.put(&contact)?;
            self.wake(w, &account)?;
            self.tell_contact(w, &account)?;
        }
        Ok(Outcome::Verification(types::Verification {
            account,
            name: contact.shown_name(),
            safety_number: number.to_string(),
            verified: contact.verified,
        }))
    }

    /// Gives a contact another name here.
    pub(super) fn contact_rename(&self, w: &mut Work<'_>, account: AccountId, name: &str) -> Result<Outcome, Halt> {
        let mut contact = self.contact(w, &account)?;
        contact.name = check_name(name)?;
        w.put(&contact)?;
        self.tell_contact(w, &account)
    }

    /// Blocks or unblocks. Blocking gives up what was on its way.
    pub(super) fn contact_block(&self, w: &mut Work<'_>, account: AccountId, blocked: bool) -> Result<Outcome, Halt> {
        let mut contact = self.contact(w, &account)?;
        contact.blocked = blocked;
        w.put(&contact)?;
        if blocked {
            self.drop_all(w, &account, "the contact is blocked")?;
            self.end_grants(w, &account)?;
        } else {
            for device in self.live_devices(w, &account)? {
                self.offer(w, &contact, &device)?;
            }
        }
        self.tell_contact(w, &account)
    }

    /// Removes a contact: keys, sessions and outbox go, messages stay. Of a request the messages go too: nobody ever
    /// took them, and nothing would show them again.
    pub(super) fn contact_remove(&self, w: &mut Work<'_>, account: AccountId) -> Result<Outcome, Halt> {
        if w.get::<Contact>(&Contact::key_of(&account))?.is_some_and(|c| c.state == ContactState::Removed) {
            return Ok(Outcome::Done(types::Done { changed: false }));
        }
        let mut contact = self.contact(w, &account)?;
        if contact.state == ContactState::Request {
            self.drop_request(w, &account)?;
            contact.waiting = 0;
        }
        self.drop_all(w, &account, "the contact was removed")?;
        w.delete::<CodeReach>(&CodeReach::key_of(&account))?;
        self.end_grants(w, &account)?;
        for device in self.all_devices(w, &account)? {
            w.delete::<PassesOf>(&PassesOf::key_of(&device))?;
            w.delete::<SessionsRow>(&SessionsRow::key_of(&device))?;
            if let Some(row) = w.get::<Device>(&Device::key_of(&device))?
                && let Some(peer) = row.peer
            {
                self.forget_peer(w, &peer, &device)?;
            }
            w.delete::<Device>(&Device::key_of(&device))?;
        }
        w.delete::<AccountDevices>(&AccountDevices::key_of(&account))?;
        contact.state = ContactState::Removed;
        contact.reach = None;
        contact.reach_at = Timestamp::from_millis(0);
        contact.hints.clear();
        contact.log.clear();
        contact.verified = false;
        contact.violated = false;
        contact.accepted_at = None;
        if let Some(at) = contact.resolve_at.take() {
            w.unschedule(at, DueWhat::Resolve(contact.number))?;
        }
        w.put(&contact)?;
        Ok(Outcome::Done(types::Done { changed: true }))
    }

    /// Deletes the messages that came with a request and were not taken. Their ids are known for as long as an envelope
    /// of theirs could still open, so that the same messages make no new request.
    fn drop_request(&self, w: &mut Work<'_>, account: &AccountId) -> Result<(), Halt> {
        let place = Place::Person(*account);
        let mut dropped = 0;
        // What was taken before, by a contact that was removed since, was told of and stays.
        for message in w.rows().group::<Message>(&place.group())? {
            if message.account != *account || message.event != 0 {
                continue;
            }
            w.delete::<Message>(&message.key())?;
            let link = ChainLink::key_of(&place, &message.device, message.seq);
            if w.get::<ChainLink>(&link)?.is_some_and(|link| link.id == message.id) {
                w.delete::<ChainLink>(&link)?;
            }
            // Should its author be accepted after all, it is stored like any other when it comes again.
            if let Some(mut known) = w.get::<MessageRef>(&MessageRef::key_of(&message.id))? {
                known.accounts.retain(|author| author != account);
                known.at.retain(|(.., at, order)| (*at, *order) != (place, message.order));
                if known.accounts.is_empty() {
                    w.delete::<MessageRef>(&MessageRef::key_of(&message.id))?;
                } else {
                    w.put(&known)?;
                }
            }
            w.put(&Dropped { id: message.id, account: *account })?;
            let known_until = w.now.plus_days(u64::from(limits::PREKEY_RETENTION_DAYS));
            w.schedule(known_until, DueWhat::Forget(message.id))?;
            dropped += u64::from(message.progress != Progress::Read);
        }
        let Some(mut head) = w.get::<PlaceHead>(&PlaceHead::key_of(&place))? else { return Ok(()) };
        head.unread = head.unread.saturating_sub(dropped);
        let empty = w.rows().rows::<Message>(&place.group(), &Range::all(), 1)?.is_empty() && head.seq == 0;
        if empty { w.delete::<PlaceHead>(&PlaceHead::key_of(&place)) } else { w.put(&head) }
    }

    /// Drops the sessions with every device; the next message starts new ones.
    pub(super) fn session_reset(&self, w: &mut Work<'_>, account: AccountId) -> Result<Outcome, Halt> {
        self.contact(w, &account)?;
        for device in self.all_devices(w, &account)? {
            w.delete::<SessionsRow>(&SessionsRow::key_of(&device))?;
            self.seal_again(w, &account, &device, "sealing again: the session was reset here")?;
        }
        Ok(Outcome::Done(types::Done { changed: true }))
    }

    pub(super) fn all_devices(&self, w: &Work<'_>, account: &AccountId) -> Result<Vec<DeviceId>, Halt> {
        Ok(w.get::<AccountDevices>(&AccountDevices::key_of(account))?.map(|a| a.devices).unwrap_or_default())
    }

    fn drop_all(&self, w: &mut Work<'_>, account: &AccountId, why: &str) -> Result<(), Halt> {
        for entry in w.rows().group::<OutboxOf>(account.as_bytes())? {
            if let Some(row) = w.get::<Outbox>(&Outbox::key_of(entry.id))? {
                self.drop_outbox(w, &row, Progress::Failed, why)?;
            }
        }
        Ok(())
    }

    /// Tells local clients how a contact stands now, and returns it.
    pub(super) fn tell_contact(&self, w: &mut Work<'_>, account: &AccountId) -> Result<Outcome, Halt> {
        self.tell(w, account).map(Outcome::Contact)
    }

    fn tell(&self, w: &mut Work<'_>, account: &AccountId) -> Result<types::Contact, Halt> {
        let shown = query::contact(w.rows(), &self.contact(w, account)?)?;
        self.emit(w, EventKind::Contact(shown.clone()))?;
        Ok(shown)
    }

    /// Marks what is there as read, up to one message or all of it.
    pub(super) fn mark_read(
        &self,
        w: &mut Work<'_>,
        conversation: Conversation,
        up_to: Option<kith_protocol::MessageId>,
    ) -> Result<Outcome, Halt> {
        // Who was removed is read like everybody else, and a channel that was left.
        if let Conversation::Person(account) = conversation
            && w.get::<Contact>(&Contact::key_of(&account))?.is_none()
        {
            self.contact(w, &account)?;
        }
        let place = query::place(&conversation);
        let Some(mut head) = w.get::<PlaceHead>(&PlaceHead::key_of(&place))? else {
            return Ok(Outcome::Done(types::Done { changed: true }));
        };
        let mut left = 0;
        let mut after = false;
        let messages = w.rows().group::<Message>(&place.group())?;
        let known = up_to.is_none_or(|id| messages.iter().any(|m| m.id == id));
        if !known {
            return Err(UserError::new(Code::MessageUnknown, "no such message in this conversation").into());
        }
        for mut message in messages {
            if message.account != self.me.account && message.progress != Progress::Read {
                if after {
                    left += 1;
                } else {
                    message.progress = Progress::Read;
                    w.put(&message)?;
                    // Nobody alone is owed a receipt in a channel: there one word tells all how far things were seen.
                    if let (true, Conversation::Person(account)) = (self.share_read, conversation) {
                        w.owe(Owed { account, device: message.device, message: message.id, read: true });
                    }
                }
            }
            after |= Some(message.id) == up_to;
        }
        head.unread = left;
        w.put(&head)?;
        if let Conversation::Channel(channel) = conversation {
            self.channel_was_read(w, &channel)?;
        }
        Ok(Outcome::Done(types::Done { changed: true }))
    }
}

/// Checks a name given to a contact or to oneself: something that shows, of bounded length.
pub(super) fn check_name(name: &str) -> Result<String, UserError> {
    let name = name.trim();
    let bad = name.chars().any(|c| c.is_control()) || name.is_empty() || name.len() > limits::NAME_MAX;
    if bad {
        let message = format!("a name has 1 to {} bytes of visible characters", limits::NAME_MAX);
        return Err(UserError::new(Code::BadName, message).hint("choose another name"));
    }
    Ok(name.trim_start_matches('@').to_owned())
}

/// Says what is wrong with an invite's code.
pub(super) fn bad_code(error: &contact_link::Error, verb: &str) -> UserError {
    use contact_link::{CodeKind, Error as E};
    let told = code_error(*error);
    match error {
        E::Truncated { .. } => {
            UserError { hint: "copy the whole code: 64 characters that begin with kith1".into(), ..told }
        }
        E::WrongKind { have: CodeKind::Contact, .. } => {
            UserError { hint: "that is a contact code: kith contact add CODE".into(), ..told }
        }
        E::WrongKind { .. } => UserError { hint: format!("ask for an invite, then {verb}"), ..told },
        _ => told,
    }
}

fn code_error(error: contact_link::Error) -> UserError {
    use contact_link::{CodeKind, Error as E};
    let (code, hint) = match &error {
        E::Typo | E::NotACode | E::NoAccount => (Code::CodeTypo, "copy it again, or ask for the link"),
        E::Truncated { .. } => (Code::CodeTruncated, "copy the whole code: 90 characters that begin with kith1"),
        E::WrongKind { have: CodeKind::RelayCard, .. } => (
            Code::CodeWrongKind,
            "kith relay add CARD lets that relay hold your mail; people have a contact code: kith me",
        ),
        E::WrongKind { have: CodeKind::Invite, .. } => {
            (Code::CodeWrongKind, "kith join CODE comes into that channel; people have a contact code: kith me")
        }
        E::WrongKind { .. } => (Code::CodeWrongKind, "ask for their contact code: kith me"),
        E::UnknownVersion(_) => (Code::CodeUnknownVersion, "update kith"),
        E::BadHint(_) | E::TooManyHints => (Code::CodeBadHint, "use the code without the part after the question mark"),
    };
    UserError::new(code, error.to_string()).hint(hint)
}
