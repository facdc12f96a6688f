//! Takes in what peers bring: opened, stored and answered in one commit, or refused without a trace.

use super::{
    App, Scan,
    effect::Owed,
    keys::Keys,
    query,
    query::Shown,
    work::{Halt, Work},
};
use crate::{
    api::types::EventKind,
    net::{InboundToken, NetCommand, PeerName, Verdict},
};
use kith_protocol::{
    AccountId, DeviceId, EnvelopeId, Fault, Timestamp,
    content::{Body, Content, SenderBinding},
    identity::DeviceLog,
    limits,
    mailbox::envelope,
    session::{Inbound, Introduction, OpenStep, Payload, PeerDevice, Sessions, StoredSessions, open},
};
use kith_store::{
    Rows,
    table::{
        ChainLink, Contact, ContactState, Device, Dropped, Message, MessageRef, Place, PlaceHead, Progress, Seen,
        SessionsRow,
    },
};

/// How long a sender waits when a request of its does not fit, in milliseconds.
const NO_ROOM_RETRY_MS: u64 = 60 * 60_000;

/// The least pause between two receipts for one envelope, in milliseconds.
const RECEIPT_AGAIN_MS: u64 = 60_000;

/// What became of an envelope.
pub(super) enum Taken {
    /// It opened, and what it says is done.
    Stored,
    /// It was taken before.
    Known,
    /// Opened, but there is no room (or not now): when to come again, in milliseconds.
    Busy(u64),
    /// It opens nowhere here; whose fault it is, is for this node alone.
    Refused(Fault),
}

/// How far a sender's numbers may run ahead of its clock before the order no longer follows them, in milliseconds.
const BURST_MS: u64 = 60_000;

impl App {
    /// Takes one frame in and answers it in the same commit.
    pub(super) fn inbound(
        &self,
        w: &mut Work<'_>,
        token: InboundToken,
        from: PeerName,
        envelope: &[u8],
    ) -> Result<(), Halt> {
        self.met(w, &from.0)?;
        let verdict = match self.take_in(w, Some(&from), envelope)? {
            Taken::Stored | Taken::Known => Verdict::Accepted,
            Taken::Busy(retry_after_ms) => Verdict::Busy { retry_after_ms },
            Taken::Refused(fault) => {
                if fault == Fault::Peer {
                    w.effects().net.push(NetCommand::Fault { peer: from });
                }
                Verdict::Refused
            }
        };
        w.effects().net.push(NetCommand::Answer { token, verdict });
        Ok(())
    }

    /// Takes one envelope in. Where it came over a connection, `from` is who carried it; through a relay nobody is known.
    pub(super) fn take_in(&self, w: &mut Work<'_>, from: Option<&PeerName>, bytes: &[u8]) -> Result<Taken, Halt> {
        let id = EnvelopeId::of(bytes);
        // R-ENV: its key is gone, so a known envelope is acknowledged before any attempt to open it.
        if let Some(seen) = w.get::<Seen>(&Seen::key_of(&id))? {
            // The receipt may be lost with a sender's disk, so it is made again; not so often that a replayed envelope
            // could fill our outbox.
            if let Some((account, device, message)) = seen.receipt
                && w.now.millis_since(seen.at) >= RECEIPT_AGAIN_MS
            {
                w.owe(Owed { account, device, message, read: false });
                w.put(&Seen { at: w.now, ..seen })?;
            }
            return Ok(Taken::Known);
        }
        let keys = self.keys(w)?;
        let body = match envelope::open(bytes, |day| keys.mailbox(day)) {
            Ok(body) => body,
            Err(error) => return Ok(Taken::Refused(self.blame(w, from, error)?)),
        };
        let inbound = match Inbound::decode(&body) {
            Ok(inbound) => inbound,
            Err(_) => return Ok(Taken::Refused(Fault::Peer)),
        };
        let keys = self.keys_for(w, keys, &inbound)?;
        let step = match self.open(w, &keys, &inbound)? {
            Ok(step) => step,
            Err(error) => return self.not_opened(w, from, &inbound, error),
        };
        let Ok(payload) = Payload::decode(&step.payload) else { return Ok(Taken::Refused(Fault::Peer)) };
        let Ok(content) = Content::decode(&payload.content) else { return Ok(Taken::Refused(Fault::Peer)) };
        let binding = SenderBinding { account: step.sender.account, device: step.sender.device };
        if content.check(&binding, &self.me.account).is_err() {
            return Ok(Taken::Refused(Fault::Peer));
        }
        let mut known_sender = w.get::<Contact>(&Contact::key_of(&step.sender.account))?;
        if drops(known_sender.as_ref(), &content.body) {
            return Ok(Taken::Stored);
        }
        let mut log = payload.introduction.as_ref().and_then(|i| verified_log(step.sender.account, i, w.now));
        if let Some(contact) = known_sender.as_mut().filter(|c| c.state != ContactState::Removed) {
            // R-ID-6: the log counts first, since it may revoke the very device that brings it; then it is kept, and
            // nothing else of the message.
            if let Some(log) = log.take() {
                self.take_log(w, contact, log)?;
                w.put(contact)?;
            }
            if w.get::<Device>(&Device::key_of(&step.sender.device))?.is_some_and(|device| device.revoked) {
                return Ok(Taken::Refused(Fault::Peer));
            }
        }
        if step.begun.is_some() && !self.remembers_first(w, known_sender.as_ref())? {
            return Ok(Taken::Busy(NO_ROOM_RETRY_MS));
        }
        if self.was_dropped(w, known_sender.as_ref(), &content)? {
            return Ok(Taken::Stored);
        }
        let mut contact = match self.sender(w, &step.sender.account, known_sender, &content)? {
            Ok(contact) => contact,
            Err(taken) => return Ok(taken),
        };
        if step.begun.is_some() {
            contact.begun = contact.begun.saturating_add(1);
        }
        if let Some(log) = log {
            self.take_log(w, &mut contact, log)?;
        }
        let device = self.learn_device(w, &mut contact, &step.sender, &payload, content.sent_at)?;
        self.install_opened(w, &step)?;
        w.put(&contact)?;
        w.put(&device)?;
        let receipt = self.take_content(w, &mut contact, &device, &step, content)?;
        w.put(&Seen { envelope: id, at: w.now, receipt })?;
        self.after_opening(w, &contact, &device, &payload, &step)?;
        Ok(Taken::Stored)
    }

    /// Whose fault it is that an envelope did not open: no device that follows its clock names a day for which nobody ever
    /// had a key, or none has one any more.
    fn blame(&self, w: &Work<'_>, from: Option<&PeerName>, error: envelope::OpenError) -> Result<Fault, Halt> {
        // A profile put back has another key of today than the one it published: its contacts cannot know.
        let Some(from) = from else { return Ok(Fault::Transient) };
        let known = || w.get::<kith_store::table::PeerDevice>(&kith_store::table::PeerDevice::key_of(&from.0));
        if error == envelope::OpenError::NotAuthentic && known()?.is_some() {
            return Ok(Fault::Transient);
        }
        let envelope::OpenError::UnknownDay(day) = error else { return Ok(error.fault()) };
        let today = w.now.day();
        let plausible = day <= today.plus(1) && today <= day.plus(limits::PREKEY_RETENTION_DAYS + 1);
        let trusted = self.clock_doubt(&self.profile(w)?, w.now).is_none();
        Ok(if trusted && !plausible { Fault::Peer } else { error.fault() })
    }

    /// Opens a message in the sessions of the device it claims to come from, or as a stranger's first one.
    fn open(&self, w: &mut Work<'_>, keys: &Keys, inbound: &Inbound) -> Result<Result<OpenStep, open::Error>, Halt> {
        let us = self.me.local();
        if let Some(device) = w.get::<Device>(&Device::key_of(&inbound.sender_device()))? {
            if device.revoked {
                return Ok(Err(open::Error::NotAuthentic));
            }
            let sessions = self.sessions_with(w, &device)?;
            return Ok(sessions.open(&us, keys, inbound, w.now));
        }
        let stranger = match Sessions::open_stranger(&us, keys, inbound, w.now) {
            Ok(stranger) => stranger,
            Err(error) => return Ok(Err(error)),
        };
        let claim = *stranger.claim();
        let Some(verified) = self.verify_claim(w, &claim, stranger.payload())? else {
            return Ok(Err(open::Error::NotAuthentic));
        };
        Ok(stranger.confirm(&verified))
    }

    /// The claimed device, if the device log in the introduction (or the one we hold) says that it is the account's.
    fn verify_claim(&self, w: &Work<'_>, claim: &PeerDevice, payload: &[u8]) -> Result<Option<PeerDevice>, Halt> {
        let introduced = Payload::decode(payload).ok().and_then(|p| p.introduction);
        let offered = introduced.as_ref().and_then(|i| verified_log(claim.account, i, w.now));
        let held = self.log_of(w, &claim.account)?;
        let log = match (held, offered) {
            (Some(held), Some(offered)) => {
                Some(held.merge(&offered.signed_ops(), w.now).map_or(held, |(merged, _)| merged))
            }
            (Some(held), None) => Some(held),
            (None, offered) => offered,
        };
        let info = log.and_then(|log| log.device(&claim.device).cloned());
        Ok(info.map(|info| PeerDevice { account: claim.account, device: info.id, dh: info.dh_pk }))
    }

    /// The device log we hold of an account.
    pub(super) fn log_of(&self, w: &Work<'_>, account: &AccountId) -> Result<Option<DeviceLog>, Halt> {
        let contact = w.get::<Contact>(&Contact::key_of(account))?;
        Ok(contact.filter(|c| !c.log.is_empty()).and_then(|c| DeviceLog::decode(*account, &c.log, w.now).ok()))
    }

    /// What is done about a message that does not open: repair for contacts, nothing that shows for anybody.
    fn not_opened(
        &self,
        w: &mut Work<'_>,
        from: Option<&PeerName>,
        inbound: &Inbound,
        error: open::Error,
    ) -> Result<Taken, Halt> {
        if error.calls_for_repair()
            && let Some(from) = from
        {
            self.repair(w, from, &inbound.sender_device(), inbound.session())?;
        }
        Ok(Taken::Refused(error.fault()))
    }

    /// Whether a message was there already when its author was removed: it makes no new request. Its author cannot know
    /// and seals it again for as long as it has no receipt.
    fn was_dropped(&self, w: &Work<'_>, sender: Option<&Contact>, content: &Content) -> Result<bool, Halt> {
        let Some(removed) = sender.filter(|c| c.state == ContactState::Removed) else { return Ok(false) };
        if w.get::<Dropped>(&Dropped::key_of(&content.id, &removed.account))?.is_some() {
            return Ok(true);
        }
        let known = w.get::<MessageRef>(&MessageRef::key_of(&content.id))?;
        Ok(known.is_some_and(|known| known.accounts.contains(&removed.account)))
    }

    /// The sender's row; somebody unknown becomes a request if there is room.
    fn sender(
        &self,
        w: &mut Work<'_>,
        account: &AccountId,
        known: Option<Contact>,
        content: &Content,
    ) -> Result<Result<Contact, Taken>, Halt> {
        match known {
            Some(mut contact) if contact.state == ContactState::Request => {
                let shown = w.get::<MessageRef>(&MessageRef::key_of(&content.id))?;
                if shown.is_some_and(|shown| shown.accounts.contains(account)) {
                    return Ok(Ok(contact));
                }
                if contact.waiting as usize >= limits::REQUEST_MESSAGES_MAX {
                    return Ok(Err(Taken::Busy(NO_ROOM_RETRY_MS)));
                }
                contact.waiting += 1;
                Ok(Ok(contact))
            }
            Some(contact) if contact.state == ContactState::Added => Ok(Ok(contact)),
            known => {
                let all = w.rows().every::<Contact>()?;
                let waiting = all.iter().filter(|c| c.state == ContactState::Request).count();
                if waiting >= limits::REQUEST_ACCOUNTS_MAX {
                    return Ok(Err(Taken::Busy(NO_ROOM_RETRY_MS)));
                }
                let mut contact = match known {
                    Some(removed) => removed,
                    None => self.new_contact(w, *account)?,
                };
                contact.state = ContactState::Request;
                contact.since = w.now;
                contact.waiting = 1;
                Ok(Ok(contact))
            }
        }
    }

    /// Takes over what the introduction says beside the log, and makes the device's row.
    fn learn_device(
        &self,
        w: &mut Work<'_>,
        contact: &mut Contact,
        sender: &PeerDevice,
        payload: &Payload,
        said_at: Timestamp,
    ) -> Result<Device, Halt> {
        if let Some(introduction) = &payload.introduction {
            self.take_reach(w, contact, &introduction.reach_secret, said_at)?;
            contact.their_name = introduction.name.clone();
            self.settle_name(w, contact)?;
            for hint in introduction.hints.iter().rev() {
                contact.hints.retain(|h| h != hint);
                contact.hints.insert(0, hint.clone());
            }
            contact.hints.truncate(limits::LINK_HINTS_MAX);
            if !introduction.mailboxes.is_empty() {
                self.take_passes(w, &contact.account, &sender.device, &introduction.mailboxes, said_at)?;
            }
        }
        match w.get::<Device>(&Device::key_of(&sender.device))? {
            Some(mut device) => {
                device.seen_at = Some(w.now);
                Ok(device)
            }
            None => {
                let log = DeviceLog::decode(contact.account, &contact.log, w.now).ok();
                let info = log.and_then(|log| log.device(&sender.device).cloned());
                let sign = info.map_or([0; 32], |info| *info.sign_pk.as_bytes());
                let mut device = self.new_device(w, contact.account, sender.device, sign, *sender.dh.as_bytes())?;
                device.seen_at = Some(w.now);
                Ok(device)
            }
        }
    }

    fn install_opened(&self, w: &mut Work<'_>, step: &OpenStep) -> Result<(), Halt> {
        w.put(&SessionsRow { device: step.sender.device, sessions: StoredSessions::from(&step.sessions) })?;
        match &step.begun {
            Some(begun) => self.remember_begun(w, &step.sender, begun),
            None => Ok(()),
        }
    }

    /// Does what the content asks for; returns the receipt it earns.
    fn take_content(
        &self,
        w: &mut Work<'_>,
        contact: &mut Contact,
        device: &Device,
        step: &OpenStep,
        content: Content,
    ) -> Result<Option<(AccountId, DeviceId, kith_protocol::MessageId)>, Halt> {
        let added = contact.state == ContactState::Added;
        if added && contact.accepted_at.is_none() {
            contact.accepted_at = Some(w.now);
            w.put(contact)?;
            self.tell_contact(w, &contact.account)?;
        }
        let said_at = content.sent_at.min(w.now.plus_millis(limits::CLOCK_SKEW_MS));
        match &content.body {
            Body::Receipt(receipt) => {
                if added {
                    self.take_receipt(w, contact, device, receipt)?;
                }
                Ok(None)
            }
            Body::SessionControl(control) => {
                if added {
                    self.take_control(w, contact, device, control, said_at)?;
                }
                Ok(None)
            }
            Body::CannotOpen(_) => {
                let told = device.heard_cannot_open_at;
                let again =
                    told.is_some_and(|at| at <= w.now && w.now.millis_since(at) < limits::CANNOT_OPEN_INTERVAL_MS / 2);
                if added && !again {
                    w.put(&Device { heard_cannot_open_at: Some(w.now), ..device.clone() })?;
                    let kept = step.sessions.retire_others(&step.session);
                    w.put(&SessionsRow { device: device.device, sessions: StoredSessions::from(&kept) })?;
                    self.seal_again(
                        w,
                        &contact.account,
                        &device.device,
                        "sealing again: the contact could not open it",
                    )?;
                }
                Ok(None)
            }
            Body::Text(_) | Body::Unknown { .. } => {
                let receipt = (contact.account, device.device, content.id);
                self.store_incoming(w, contact, device, content)?;
                if added {
                    let (account, device, message) = receipt;
                    w.owe(Owed { account, device, message, read: false });
                }
                Ok(added.then_some(receipt))
            }
        }
    }

    /// Stores a message of somebody else, unless it is there already under another envelope.
    fn store_incoming(
        &self,
        w: &mut Work<'_>,
        contact: &Contact,
        device: &Device,
        content: Content,
    ) -> Result<(), Halt> {
        let known = w.get::<MessageRef>(&MessageRef::key_of(&content.id))?;
        let place = Place::Person(contact.account);
        if known.is_some_and(|k| k.accounts.contains(&contact.account)) {
            return Ok(());
        }
        let order = self.order_for(w, &place, device, &content)?;
        let begin = self.term_begin(w)?;
        let mut message = Message {
            place,
            order,
            id: content.id,
            account: contact.account,
            device: device.device,
            seq: content.sequence,
            previous: content.previous,
            sent_at: content.sent_at.min(w.now.plus_millis(limits::CLOCK_SKEW_MS)),
            stored_at: w.now,
            expires_at: content.expires_after_ms.map(|ms| begin.plus_millis(ms)),
            kind: content.body.kind(),
            body: match content.body {
                Body::Text(text) => text.as_str().as_bytes().to_vec(),
                Body::Unknown { body, .. } => body,
                _ => Vec::new(),
            },
            progress: Progress::Delivered,
            event: 0,
        };
        self.store_message(w, &message)?;
        let mut head =
            w.get::<PlaceHead>(&PlaceHead::key_of(&place))?.unwrap_or_else(|| super::send::empty_head(place));
        head.order = head.order.max(order);
        head.unread += 1;
        w.put(&head)?;
        if contact.state == ContactState::Request {
            if contact.waiting == 1 {
                let shown = query::contact(w.rows(), contact)?;
                self.emit(w, EventKind::Request(shown))?;
            }
            return Ok(());
        }
        self.tell_message(w, contact, &mut message)
    }

    /// Tells local clients of a message of somebody else.
    pub(super) fn tell_message(&self, w: &mut Work<'_>, contact: &Contact, message: &mut Message) -> Result<(), Halt> {
        let shown = query::message(message, None, &contact.shown_name(), &self.profile(w)?);
        message.event = self.emit(w, EventKind::Message(shown))?;
        w.put(message)
    }

    /// A sort key that follows the sender's clock, but never breaks the order of the sender device's own messages.
    fn order_for(&self, w: &Work<'_>, place: &Place, device: &Device, content: &Content) -> Result<u64, Halt> {
        let group = ChainLink::group_of(place, &device.device);
        let seq = content.sequence.to_be_bytes();
        let all = kith_store::Range::all();
        let before = w.rows().rows::<ChainLink>(&group, &all.clone().before(&seq).backward(), 1)?;
        let after = w.rows().rows::<ChainLink>(&group, &all.after(&seq), 1)?;
        let low = before.first().map_or(0, |link| link.order.saturating_add(1));
        let high = after.first().map_or(u64::MAX, |link| link.order.saturating_sub(1));
        // Texts of one millisecond have one time but numbers of their own, which keep them apart in whatever order they come.
        let burst = content.sequence.saturating_sub(content.sent_at.as_millis()).min(BURST_MS);
        let wished = content.sent_at.min(w.now).as_millis().saturating_add(burst);
        Ok(wished.max(low).min(high.max(low)))
    }

    /// Looks for newer keys where the message hints at them, and hands over one-time keys in a new session.
    fn after_opening(
        &self,
        w: &mut Work<'_>,
        contact: &Contact,
        device: &Device,
        payload: &Payload,
        step: &OpenStep,
    ) -> Result<(), Halt> {
        let Some(contact) = w.get::<Contact>(&Contact::key_of(&contact.account))? else { return Ok(()) };
        if contact.state != ContactState::Added {
            return Ok(());
        }
        if step.begun.is_some() {
            self.hand_over(w, &contact, &device.device)?;
        }
        self.offer(w, &contact, &device.device)?;
        if payload.sender_log.len > contact.log_head.len || device.bundle.is_none() {
            self.want_resolve(w, contact)?;
        }
        Ok(())
    }
}

fn is_message(body: &Body) -> bool {
    matches!(body, Body::Text(_) | Body::Unknown { .. })
}

/// Whether content is taken from its sender's view and kept by nobody: everything of somebody blocked (a block is not
/// announced), and of strangers whatever is no message, so that they leave no trace that a request does not show.
fn drops(sender: Option<&Contact>, body: &Body) -> bool {
    match sender {
        Some(contact) if contact.blocked => true,
        Some(contact) if contact.state == ContactState::Added => false,
        _ => !is_message(body),
    }
}

/// The device log of an introduction, if it is the account's.
fn verified_log(account: AccountId, introduction: &Introduction, now: Timestamp) -> Option<DeviceLog> {
    let ops: Option<Vec<_>> = introduction
        .device_log
        .iter()
        .map(|op| kith_protocol::wire::Signed::decode(op, limits::DEVICE_OP_MAX).ok())
        .collect();
    DeviceLog::verify_from(account, &ops?, now).ok()
}
