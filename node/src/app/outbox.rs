//! Brings what is queued to the devices it is for: one row a device, sealed once, tried until the device's daemon took it,
//! kept until the device itself said it has it.

use super::{
    App, Scan,
    deposit::{GRACE_MS, KEY_WAIT_MS, next_deposit},
    seal::Sealing,
    work::{Halt, Work},
};
use crate::{
    api::types::EventKind,
    net::{DeliverOutcome, Frame, NetCommand, PeerName},
};
use kith_protocol::{AccountId, DeviceId, MessageId, Timestamp, limits};
use kith_store::{
    Range, Row, Rows as _,
    table::{
        AccountDevices, Cargo, Contact, Deliveries, Delivery, Device, Due, DueWhat, Left, Message, MessageRef, Outbox,
        OutboxOf, OutboxState, PassesOf, Progress, StepTaken,
    },
};
use rand_core::Rng as _;

/// Where a step took place: this machine.
pub(super) const HERE: &str = "here";
/// Where a step took place: on the way, or before anybody was found.
pub(super) const NETWORK: &str = "network";
/// Where a step took place: the daemon of a device of the contact.
const DAEMON: &str = "their daemon";
/// Where a step took place: the device itself, end to end.
const DEVICE: &str = "their device";
/// How long an attempt may take before the row is due again although nobody told its end, in milliseconds.
const ATTEMPT_LEASE_MS: u64 = 45_000;
/// First pause after a failed attempt; doubles up to the longest.
const BACKOFF_FIRST_MS: u64 = 500;
/// Longest pause between attempts.
const BACKOFF_LONGEST_MS: u64 = 15 * 60_000;
/// How long a daemon that took a message has for its device's receipt before the message is sealed again; doubles up
/// to `limits::RESEAL_MS`.
const RECEIPT_FIRST_MS: u64 = 10 * 60_000;
/// Longest pause a busy peer can ask for.
const BUSY_LONGEST_MS: u64 = 10 * 60_000;
/// Why nothing confirms a message to somebody who never answered.
pub(super) const NOT_ACCEPTED: &str = "sent, not accepted yet: nothing is confirmed until they accept your request";
/// Steps kept for one device of one message.
const STEPS_KEPT: usize = 32;
/// Rows woken together when a peer appears, before the next ones follow after a pause.
const WAKE_BATCH: u64 = 64;
/// What is due within this is not woken beyond the first batch, in milliseconds.
const WAKE_SOON_MS: u64 = 10_000;
/// When what is held back is looked at again, in milliseconds.
const WITHHELD_MS: u64 = 60 * 60_000;
/// How soon a row is due again at the earliest: whatever others answer, a row alone keeps nothing busy.
const DUE_AGAIN_MS: u64 = 100;
/// Rows that an unsuccessful search for keys explains: it happens again and again while somebody is off.
const EXPLAINED_MAX: usize = 32;
/// The pause between such batches, in milliseconds.
const WAKE_PAUSE_MS: u64 = 50;

/// Doubles a pause with every try, and spreads it by a fifth either way.
fn backoff(w: &mut Work<'_>, first: u64, tries: u32, longest: u64) -> u64 {
    let pause = first.saturating_mul(1 << tries.min(20)).min(longest);
    let fifth = (pause / 5).max(1);
    pause - fifth + w.rng.next_u64() % (2 * fifth)
}

impl App {
    /// Queues something for one device (or for an account none of whose devices is known), and starts at once.
    pub(super) fn enqueue(
        &self,
        w: &mut Work<'_>,
        account: AccountId,
        device: Option<DeviceId>,
        cargo: Cargo,
        expires_at: Timestamp,
    ) -> Result<u64, Halt> {
        let mut counters = w.counters()?;
        counters.outbox += 1;
        let id = counters.outbox;
        w.put(&counters)?;
        let row = Outbox {
            id,
            account,
            device,
            cargo,
            state: OutboxState::NeedsKeys,
            tries: 0,
            attempts: 0,
            takings: 0,
            since: w.now,
            expires_at,
            due_at: w.now,
            in_flight: false,
            direct_at: w.now,
            fresh_session: false,
            deposits: Vec::new(),
            key_asked: false,
        };
        w.put(&OutboxOf { account, id })?;
        self.store_outbox(w, None, &row)?;
        Ok(id)
    }

    /// Looks at one row: seals it if it can be, sends it if its device can be found, else says what it waits for.
    pub(super) fn attempt(&self, w: &mut Work<'_>, id: u64) -> Result<(), Halt> {
        let Some(row) = w.get::<Outbox>(&Outbox::key_of(id))? else { return Ok(()) };
        let before = row.due_at;
        let Some(contact) = w.get::<Contact>(&Contact::key_of(&row.account))? else {
            return self.drop_outbox(w, &row, Progress::Failed, "the contact was removed");
        };
        if contact.blocked {
            return self.drop_outbox(w, &row, Progress::Failed, "the contact is blocked");
        }
        if w.now >= row.expires_at {
            return self.drop_outbox(w, &row, Progress::Failed, "not delivered in time: given up");
        }
        if contact.violated {
            return self.withhold(w, before, row);
        }
        let Some(device_id) = row.device else { return self.find_devices(w, before, row, contact) };
        let Some(device) = w.get::<Device>(&Device::key_of(&device_id))?.filter(|d| !d.revoked) else {
            return self.drop_outbox(w, &row, Progress::Failed, "the device was revoked");
        };
        self.attempt_device(w, before, row, contact, device)
    }

    /// Holds back what is for somebody who showed two histories, until a person has looked.
    fn withhold(&self, w: &mut Work<'_>, before: Timestamp, mut row: Outbox) -> Result<(), Halt> {
        row.direct_at = w.now.plus_millis(WITHHELD_MS).min(row.expires_at);
        row.due_at = row.direct_at;
        self.change_delivery(w, &row, |delivery| {
            delivery.error = Some("the contact's identity changed: compare safety numbers".to_owned());
        })?;
        self.store_outbox(w, Some(before), &row)
    }

    fn attempt_device(
        &self,
        w: &mut Work<'_>,
        before: Timestamp,
        mut row: Outbox,
        contact: Contact,
        device: Device,
    ) -> Result<(), Halt> {
        if let OutboxState::Taken { again_at } = row.state {
            if w.now < again_at {
                row.due_at = again_at;
                return self.store_outbox(w, Some(before), &row);
            }
            self.seal_anew(&mut row);
            self.note(w, &row, "no receipt yet: sealing again", HERE)?;
        }
        if let OutboxState::Sealed { expires, .. } | OutboxState::Stored { expires, .. } = &row.state
            && w.now >= *expires
        {
            self.seal_anew(&mut row);
        }
        if unconfirmed_since(&row).is_some_and(|since| w.now >= since) {
            // Somebody took it and could not use it, or took it and was put back to an older copy.
            self.seal_anew(&mut row);
            row.takings = row.takings.saturating_add(1);
            row.fresh_session = contact.accepted_at.is_some();
            self.note(w, &row, "collected, and nothing confirms it: sealing again", HERE)?;
        }
        if row.state == OutboxState::NeedsKeys {
            if self.asks_for_key(w, &mut row, &device)? {
                row.due_at = w.now.plus_millis(KEY_WAIT_MS);
                row.direct_at = w.now;
                return self.store_outbox(w, Some(before), &row);
            }
            match self.seal_for(w, &contact, &device, &row)? {
                Sealing::Sealed { envelope, expires } => {
                    row.state = OutboxState::Sealed { envelope, expires };
                    row.fresh_session = false;
                    row.direct_at = w.now;
                    row.deposits.clear();
                    let what = match self.age_of_keys(w, &device)? {
                        Some(days) => format!("sealed to keys that are {days} days old"),
                        None => "sealed".to_owned(),
                    };
                    self.note(w, &row, &what, HERE)?;
                }
                Sealing::Gone => return self.drop_outbox(w, &row, Progress::Failed, "the message was deleted"),
                Sealing::NeedsKeys => {
                    self.want_resolve(w, contact)?;
                    return self.wait(w, before, row, 6 * 60 * 60_000, "looking for the contact's keys");
                }
            }
        }
        self.go_out(w, before, row, contact, device)
    }

    /// Brings a sealed row on its way: to the device itself, and to its relays where it does not answer at once.
    fn go_out(
        &self,
        w: &mut Work<'_>,
        before: Timestamp,
        mut row: Outbox,
        contact: Contact,
        device: Device,
    ) -> Result<(), Halt> {
        let (OutboxState::Sealed { envelope, expires } | OutboxState::Stored { envelope, expires }) = row.state.clone()
        else {
            return self.plan_outbox(w, before, row);
        };
        if !row.in_flight && w.now >= row.direct_at {
            match device.peer.clone() {
                Some(peer) => {
                    row.in_flight = true;
                    row.attempts += 1;
                    row.direct_at = w.now.plus_millis(ATTEMPT_LEASE_MS);
                    let frame = Frame { tag: [0; 16], expires, envelope };
                    w.effects().net.push(NetCommand::Deliver {
                        attempt: row.id,
                        peer: PeerName(peer),
                        addresses: device.addresses.clone(),
                        frame,
                    });
                }
                None => {
                    self.want_resolve(w, contact.clone())?;
                    row.direct_at = w.now.plus_millis(6 * 60 * 60_000);
                    if row.state != (OutboxState::Stored { envelope, expires }) {
                        self.change_delivery(w, &row, |delivery| {
                            delivery.error = Some("looking for the contact's address".to_owned());
                        })?;
                    }
                }
            }
        }
        if device.silent || grace_end(&row).is_none_or(|end| w.now >= end) {
            if row.in_flight && w.now >= asked_at(&row).plus_millis(GRACE_MS) {
                self.keep_silent(w, &device.device, true)?;
            }
            self.deposit(w, &mut row, &contact)?;
        }
        self.plan_outbox(w, before, row)
    }

    /// Puts a row, with the moment at which something is due for it.
    pub(super) fn plan_outbox(&self, w: &mut Work<'_>, before: Timestamp, mut row: Outbox) -> Result<(), Halt> {
        let has_places = match row.device {
            Some(device) => w.get::<PassesOf>(&PassesOf::key_of(&device))?.is_some(),
            None => false,
        };
        row.due_at = match &row.state {
            OutboxState::NeedsKeys => row.direct_at,
            OutboxState::Taken { again_at } => *again_at,
            // What a relay holds goes to the device itself when it appears, not by the clock.
            OutboxState::Stored { expires, .. } => {
                let unconfirmed = unconfirmed_since(&row).unwrap_or(*expires);
                let in_flight = if row.in_flight { row.direct_at } else { *expires };
                next_deposit(&row).unwrap_or(*expires).min(unconfirmed).min(in_flight).min(*expires)
            }
            OutboxState::Sealed { .. } => {
                let grace = grace_end(&row).filter(|end| has_places && *end > w.now).unwrap_or(row.direct_at);
                row.direct_at.min(grace).min(next_deposit(&row).unwrap_or(row.direct_at))
            }
        };
        row.due_at = row.due_at.min(row.expires_at).max(w.now.plus_millis(DUE_AGAIN_MS));
        self.store_outbox(w, Some(before), &row)
    }

    /// Puts a row back to before it was sealed.
    fn seal_anew(&self, row: &mut Outbox) {
        row.state = OutboxState::NeedsKeys;
        row.deposits.clear();
        row.in_flight = false;
    }

    /// A row whose account had no known device: goes to each device known by now.
    fn find_devices(&self, w: &mut Work<'_>, before: Timestamp, row: Outbox, contact: Contact) -> Result<(), Halt> {
        let devices = self.live_devices(w, &row.account)?;
        if devices.is_empty() {
            self.want_resolve(w, contact)?;
            return self.wait(w, before, row, 6 * 60 * 60_000, "looking for the contact's keys");
        }
        let mut entries = Vec::new();
        for device in devices {
            let id = self.enqueue(w, row.account, Some(device), row.cargo.clone(), row.expires_at)?;
            let steps = self.delivery_of(w, &row)?.map(|d| d.steps).unwrap_or_default();
            entries.push(Delivery {
                account: row.account,
                device: Some(device),
                progress: Progress::Queued,
                outbox: Some(id),
                steps,
                error: None,
            });
        }
        if let Cargo::Message(message) = row.cargo
            && let Some(mut deliveries) = w.get::<Deliveries>(&Deliveries::key_of(&message))?
        {
            deliveries.to.retain(|d| d.outbox != Some(row.id));
            deliveries.to.extend(entries);
            w.put(&deliveries)?;
        }
        self.forget_outbox(w, &row)
    }

    /// Records how an attempt ended.
    pub(super) fn attempt_done(&self, w: &mut Work<'_>, id: u64, outcome: DeliverOutcome) -> Result<(), Halt> {
        let Some(mut row) = w.get::<Outbox>(&Outbox::key_of(id))? else { return Ok(()) };
        if !row.in_flight {
            return Ok(());
        }
        let before = row.due_at;
        row.in_flight = false;
        if let Some(device) = &row.device {
            self.keep_silent(w, device, matches!(outcome, DeliverOutcome::Unreachable { .. }))?;
        }
        match outcome {
            DeliverOutcome::Accepted => self.taken(w, before, row),
            DeliverOutcome::Busy { retry_after_ms } => {
                let pause = retry_after_ms.clamp(500, BUSY_LONGEST_MS);
                self.note(w, &row, "busy: asked to wait", DAEMON)?;
                self.wait(w, before, row, pause, "the other side is busy")
            }
            DeliverOutcome::Refused => {
                row.tries += 1;
                self.seal_anew(&mut row);
                row.fresh_session = true;
                self.note(w, &row, "refused: sealing again with newer keys", DAEMON)?;
                if let Some(contact) = w.get::<Contact>(&Contact::key_of(&row.account))? {
                    self.want_resolve(w, contact)?;
                }
                let pause = backoff(w, BACKOFF_FIRST_MS, row.tries - 1, BACKOFF_LONGEST_MS);
                self.wait(w, before, row, pause, "the other side could not use the message: sealing it again")
            }
            DeliverOutcome::Unreachable { why } => {
                row.tries += 1;
                let why = &self.unreachable_because(w, &row, why)?;
                if row.tries == 1 {
                    self.note(w, &row, why, NETWORK)?;
                }
                if row.tries % 3 == 1
                    && let Some(contact) = w.get::<Contact>(&Contact::key_of(&row.account))?
                {
                    self.want_resolve(w, contact)?;
                }
                let pause = backoff(w, BACKOFF_FIRST_MS, row.tries - 1, BACKOFF_LONGEST_MS);
                self.wait(w, before, row, pause, why)
            }
        }
    }

    fn taken(&self, w: &mut Work<'_>, before: Timestamp, mut row: Outbox) -> Result<(), Halt> {
        let Cargo::Message(_) = row.cargo else { return self.forget_outbox_due(w, before, &row) };
        let pause = RECEIPT_FIRST_MS.saturating_mul(1 << row.takings.min(16));
        let again_at = w.now.plus_millis(pause.min(limits::RESEAL_MS));
        row.takings = row.takings.saturating_add(1);
        row.state = OutboxState::Taken { again_at };
        row.deposits.clear();
        row.due_at = again_at;
        row.tries = 0;
        self.store_outbox(w, Some(before), &row)?;
        self.progress(w, &row, Progress::Sent, "sent", DAEMON)?;
        let accepted = w.get::<Contact>(&Contact::key_of(&row.account))?.is_some_and(|c| c.accepted_at.is_some());
        if accepted {
            return Ok(());
        }
        self.change_delivery(w, &row, |delivery| delivery.error = Some(NOT_ACCEPTED.to_owned()))
    }

    /// Puts the row off and says why it waits.
    fn wait(&self, w: &mut Work<'_>, before: Timestamp, mut row: Outbox, pause_ms: u64, why: &str) -> Result<(), Halt> {
        row.direct_at = w.now.plus_millis(pause_ms).min(row.expires_at);
        let contact = w.get::<Contact>(&Contact::key_of(&row.account))?;
        if let Some(contact) = contact {
            self.deposit(w, &mut row, &contact)?;
        }
        if !matches!(row.state, OutboxState::Stored { .. }) {
            // Where relays said no, that is the news: that the device is off was to be expected.
            let relays_said = row.deposits.iter().any(|deposited| deposited.tries > 0);
            self.change_delivery(w, &row, |delivery| {
                if !relays_said || delivery.error.is_none() {
                    delivery.error = Some(why.to_owned());
                }
            })?;
        }
        self.plan_outbox(w, before, row)
    }

    /// Lets a row wait.
    pub(super) fn put_off(&self, w: &mut Work<'_>, id: u64, pause_ms: u64) -> Result<(), Halt> {
        let Some(mut row) = w.get::<Outbox>(&Outbox::key_of(id))? else { return Ok(()) };
        let before = row.due_at;
        row.due_at = w.now.plus_millis(pause_ms);
        row.direct_at = row.due_at;
        self.store_outbox(w, Some(before), &row)
    }

    /// Says why an account's mail waits, with the newest of it; the rest says so when it is tried.
    pub(super) fn explain_waiting(&self, w: &mut Work<'_>, account: &AccountId, why: &str) -> Result<(), Halt> {
        for entry in w.rows().rows::<OutboxOf>(account.as_bytes(), &Range::all().backward(), EXPLAINED_MAX)? {
            if let Some(row) = w.get::<Outbox>(&Outbox::key_of(entry.id))?
                && row.state == OutboxState::NeedsKeys
            {
                self.change_delivery(w, &row, |delivery| delivery.error = Some(why.to_owned()))?;
            }
        }
        Ok(())
    }

    /// Makes everything that waits for an account due, in batches, when its device appeared or its keys were found.
    pub(super) fn wake(&self, w: &mut Work<'_>, account: &AccountId) -> Result<(), Halt> {
        let mut woken = 0;
        for entry in w.rows().group::<OutboxOf>(account.as_bytes())? {
            let Some(mut row) = w.get::<Outbox>(&Outbox::key_of(entry.id))? else { continue };
            let waits_for_receipt = matches!(row.state, OutboxState::Taken { again_at } if w.now < again_at);
            // Beyond the first batch, what is due soon anyway is left alone: a peer that comes and goes costs little.
            let soon = if woken < WAKE_BATCH { w.now } else { w.now.plus_millis(WAKE_SOON_MS) };
            if row.in_flight || waits_for_receipt || row.direct_at <= soon {
                continue;
            }
            let before = row.due_at;
            row.due_at = w.now.plus_millis(woken / WAKE_BATCH * WAKE_PAUSE_MS);
            row.direct_at = row.due_at;
            row.tries = 0;
            woken += 1;
            self.store_outbox(w, Some(before), &row)?;
        }
        Ok(())
    }

    /// Seals again whatever a device has not confirmed: its sessions are gone, or it could not open the last ones.
    pub(super) fn seal_again(
        &self,
        w: &mut Work<'_>,
        account: &AccountId,
        device: &DeviceId,
        why: &str,
    ) -> Result<(), Halt> {
        for entry in w.rows().group::<OutboxOf>(account.as_bytes())? {
            let Some(mut row) = w.get::<Outbox>(&Outbox::key_of(entry.id))? else { continue };
            if row.device.as_ref() != Some(device) {
                continue;
            }
            let before = row.due_at;
            self.seal_anew(&mut row);
            row.due_at = w.now;
            row.direct_at = w.now;
            self.note(w, &row, why, HERE)?;
            self.store_outbox(w, Some(before), &row)?;
        }
        Ok(())
    }

    /// The device itself said it has the message (or read it).
    pub(super) fn confirmed(
        &self,
        w: &mut Work<'_>,
        account: &AccountId,
        device: &DeviceId,
        message: &MessageId,
        read: bool,
    ) -> Result<(), Halt> {
        let Some(deliveries) = w.get::<Deliveries>(&Deliveries::key_of(message))? else { return Ok(()) };
        let Some(entry) = deliveries.to.iter().find(|d| d.account == *account && d.device.as_ref() == Some(device))
        else {
            return Ok(());
        };
        let (progress, what) = if read { (Progress::Read, "read") } else { (Progress::Delivered, "delivered") };
        if entry.progress >= progress && entry.progress != Progress::Failed {
            return Ok(());
        }
        let row = entry.outbox;
        self.change_message(w, message, account, Some(device), |delivery, now| {
            delivery.progress = progress;
            delivery.error = None;
            delivery.outbox = None;
            push_step(delivery, now, what, DEVICE);
        })?;
        match row {
            Some(id) => match w.get::<Outbox>(&Outbox::key_of(id))? {
                Some(row) => self.forget_outbox(w, &row),
                None => Ok(()),
            },
            None => Ok(()),
        }
    }

    /// Gives a row up for good.
    pub(super) fn drop_outbox(&self, w: &mut Work<'_>, row: &Outbox, end: Progress, why: &str) -> Result<(), Halt> {
        if let Cargo::Message(message) = &row.cargo {
            self.change_message(w, message, &row.account, row.device.as_ref(), |delivery, now| {
                delivery.progress = end;
                delivery.outbox = None;
                delivery.error = Some(why.to_owned());
                push_step(delivery, now, &format!("failed: {why}"), HERE);
            })?;
        }
        self.forget_outbox(w, row)
    }

    fn forget_outbox(&self, w: &mut Work<'_>, row: &Outbox) -> Result<(), Halt> {
        self.forget_outbox_due(w, row.due_at, row)
    }

    pub(super) fn forget_outbox_due(&self, w: &mut Work<'_>, due_at: Timestamp, row: &Outbox) -> Result<(), Halt> {
        w.unschedule(due_at, DueWhat::Outbox(row.id))?;
        w.delete::<OutboxOf>(&OutboxOf::key_of(&row.account, row.id))?;
        w.delete::<Outbox>(&Outbox::key_of(row.id))
    }

    /// Puts a changed row back on the timetable.
    pub(super) fn reschedule(&self, w: &mut Work<'_>, before: &Outbox, row: &Outbox) -> Result<(), Halt> {
        self.store_outbox(w, Some(before.due_at), row)
    }

    pub(super) fn store_outbox(&self, w: &mut Work<'_>, before: Option<Timestamp>, row: &Outbox) -> Result<(), Halt> {
        if let Some(before) = before.filter(|b| *b != row.due_at) {
            w.unschedule(before, DueWhat::Outbox(row.id))?;
        }
        w.put(row)?;
        w.schedule(row.due_at, DueWhat::Outbox(row.id))
    }

    /// Devices of an account that are not revoked.
    pub(super) fn live_devices(&self, w: &Work<'_>, account: &AccountId) -> Result<Vec<DeviceId>, Halt> {
        let mut live = Vec::new();
        for device in w.get::<AccountDevices>(&AccountDevices::key_of(account))?.map(|a| a.devices).unwrap_or_default()
        {
            if w.get::<Device>(&Device::key_of(&device))?.is_some_and(|d| !d.revoked) {
                live.push(device);
            }
        }
        Ok(live)
    }

    fn delivery_of(&self, w: &Work<'_>, row: &Outbox) -> Result<Option<Delivery>, Halt> {
        let Cargo::Message(message) = &row.cargo else { return Ok(None) };
        let deliveries = w.get::<Deliveries>(&Deliveries::key_of(message))?;
        Ok(deliveries.and_then(|d| d.to.into_iter().find(|d| d.outbox == Some(row.id))))
    }

    pub(super) fn note(&self, w: &mut Work<'_>, row: &Outbox, what: &str, place: &str) -> Result<(), Halt> {
        let now = w.now;
        self.change_delivery(w, row, |delivery| push_step(delivery, now, what, place))
    }

    pub(super) fn progress(
        &self,
        w: &mut Work<'_>,
        row: &Outbox,
        to: Progress,
        what: &str,
        place: &str,
    ) -> Result<(), Halt> {
        let Cargo::Message(message) = &row.cargo else { return Ok(()) };
        self.change_message(w, message, &row.account, row.device.as_ref(), |delivery, now| {
            if delivery.progress < to {
                delivery.progress = to;
            }
            delivery.error = None;
            push_step(delivery, now, what, place);
        })
    }

    /// Changes the entry of a row's device without telling anybody.
    pub(super) fn change_delivery(
        &self,
        w: &mut Work<'_>,
        row: &Outbox,
        change: impl FnOnce(&mut Delivery),
    ) -> Result<(), Halt> {
        let Cargo::Message(message) = &row.cargo else { return Ok(()) };
        let Some(mut deliveries) = w.get::<Deliveries>(&Deliveries::key_of(message))? else { return Ok(()) };
        if let Some(delivery) = deliveries.to.iter_mut().find(|d| d.outbox == Some(row.id)) {
            change(delivery);
            w.put(&deliveries)?;
        }
        Ok(())
    }

    /// Changes the entry of a device, works out how far the message is as a whole, and tells local clients.
    fn change_message(
        &self,
        w: &mut Work<'_>,
        message: &MessageId,
        account: &AccountId,
        device: Option<&DeviceId>,
        change: impl FnOnce(&mut Delivery, Timestamp),
    ) -> Result<(), Halt> {
        let Some(mut deliveries) = w.get::<Deliveries>(&Deliveries::key_of(message))? else { return Ok(()) };
        let now = w.now;
        let Some(delivery) = deliveries.to.iter_mut().find(|d| d.account == *account && d.device.as_ref() == device)
        else {
            return Ok(());
        };
        change(delivery, now);
        w.put(&deliveries)?;
        let Some(mut row) = self.own_message(w, message)? else { return Ok(()) };
        let progress = overall(&deliveries);
        if row.progress != progress {
            row.progress = progress;
            w.put(&row)?;
            let receipt = super::query::receipt(&row, &deliveries, now);
            self.emit(w, EventKind::Receipt(receipt))?;
        }
        Ok(())
    }

    /// Finds a message of our own by id.
    pub(super) fn own_message(&self, w: &Work<'_>, id: &MessageId) -> Result<Option<Message>, Halt> {
        let Some(found) = w.get::<MessageRef>(&MessageRef::key_of(id))? else { return Ok(None) };
        let Some((_, place, order)) = found.at.iter().find(|(account, ..)| *account == self.me.account) else {
            return Ok(None);
        };
        w.get(&Message::key_of(place, *order, id))
    }
}

impl Work<'_> {
    /// Puts something on the timetable.
    pub(super) fn schedule(&mut self, at: Timestamp, what: DueWhat) -> Result<(), Halt> {
        self.put(&Due { at, what })
    }

    /// Takes something off the timetable.
    pub(super) fn unschedule(&mut self, at: Timestamp, what: DueWhat) -> Result<(), Halt> {
        self.delete::<Due>(&Due { at, what }.key())
    }
}

/// How long the device itself has before relays are asked; nothing is waited for once it did not answer.
fn grace_end(row: &Outbox) -> Option<Timestamp> {
    let first = row.in_flight && row.tries == 0 && row.deposits.is_empty();
    first.then(|| asked_at(row).plus_millis(GRACE_MS))
}

/// When the attempt that is under way began.
fn asked_at(row: &Outbox) -> Timestamp {
    row.direct_at.minus_millis(ATTEMPT_LEASE_MS)
}

/// From when on a row counts as taken by somebody who does not confirm it: a while after a relay said that it was
/// collected, longer each time.
fn unconfirmed_since(row: &Outbox) -> Option<Timestamp> {
    let pause = RECEIPT_FIRST_MS.saturating_mul(1 << row.takings.min(16)).min(limits::RESEAL_MS);
    let collected = row.deposits.iter().filter_map(|d| match d.left {
        Left::Collected { at } => Some(at),
        _ => None,
    });
    collected.min().map(|at| at.plus_millis(pause))
}

fn push_step(delivery: &mut Delivery, at: Timestamp, what: &str, place: &str) {
    if delivery.steps.len() >= STEPS_KEPT {
        // The first step (queued) and the newest ones tell the story.
        delivery.steps.remove(1);
    }
    delivery.steps.push(StepTaken { at, what: what.to_owned(), place: place.to_owned() });
}

/// How far a message is as a whole: an account has it when one of its devices has it; the least far account counts.
pub(super) fn overall(deliveries: &Deliveries) -> Progress {
    let mut accounts = std::collections::BTreeMap::<AccountId, Progress>::new();
    for delivery in &deliveries.to {
        let best = accounts.entry(delivery.account).or_insert(delivery.progress);
        *best = further(*best, delivery.progress);
    }
    let rank = |p: &Progress| if *p == Progress::Failed { 0 } else { 1 + *p as u8 };
    accounts.into_values().min_by_key(rank).unwrap_or(Progress::Queued)
}

fn further(a: Progress, b: Progress) -> Progress {
    match (a, b) {
        (Progress::Failed, other) | (other, Progress::Failed) => other,
        (a, b) => a.max(b),
    }
}
