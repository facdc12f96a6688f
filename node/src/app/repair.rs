//! What keeps sessions healthy: one-time keys handed over, "cannot open" told and heard, newer facts about each other.

use super::{
    App, Scan,
    work::{Halt, Work},
};
use crate::net::PeerName;
use kith_protocol::{
    DeviceId, SessionId, Timestamp,
    content::{Body, CannotOpen, SessionControl},
    identity::ReachSecret,
    limits,
};
use kith_store::{
    Range, Rows,
    table::{CodeReach, Contact, ContactState, Device, OutboxOf},
};

/// Rows that may wait for a contact before echoes and one-time keys are left out.
const CROWDED: usize = 32;

impl App {
    /// Tells a contact's device that we cannot open its messages, inside a fresh handshake, at most once an hour.
    /// Strangers and unknown devices are told nothing.
    pub(super) fn repair(
        &self,
        w: &mut Work<'_>,
        from: &PeerName,
        device: &DeviceId,
        session: SessionId,
    ) -> Result<(), Halt> {
        let Some(mut row) = w.get::<Device>(&Device::key_of(device))?.filter(|d| !d.revoked) else { return Ok(()) };
        let Some(contact) = w.get::<Contact>(&Contact::key_of(&row.account))? else { return Ok(()) };
        if contact.state != ContactState::Added || contact.blocked || contact.violated {
            return Ok(());
        }
        // Whoever holds our contact code can claim to be this device: only its own peer makes us begin anew.
        if row.peer.as_deref() != Some(from.0.as_str()) {
            return Ok(());
        }
        let told = row.cannot_open_at;
        if told.is_some_and(|at| w.now.millis_since(at) < limits::CANNOT_OPEN_INTERVAL_MS && at <= w.now) {
            return Ok(());
        }
        row.cannot_open_at = Some(w.now);
        w.put(&row)?;
        let body = Body::CannotOpen(CannotOpen { session: Some(session) });
        self.enqueue_content(w, &contact, *device, body, true)?;
        self.alert(
            w,
            "session_repaired",
            "a contact's message could not be opened; a new session was begun".into(),
            "nothing to do: the message comes again",
        )
    }

    /// Takes a reach secret over unless a later word about it is known. A clock that ran ahead counts as ours, so that
    /// what it said does not stand for years.
    pub(super) fn take_reach(
        &self,
        w: &mut Work<'_>,
        contact: &mut Contact,
        reach: &ReachSecret,
        said_at: Timestamp,
    ) -> Result<(), Halt> {
        let latest = w.now.plus_millis(limits::CLOCK_SKEW_MS);
        let said_at = said_at.min(latest);
        if contact.reach_at <= latest && said_at < contact.reach_at {
            return Ok(());
        }
        contact.reach = Some(*reach.as_bytes());
        contact.reach_at = said_at;
        w.delete::<CodeReach>(&CodeReach::key_of(&contact.account))
    }

    /// Hands one-time keys over that only this device can use.
    pub(super) fn hand_over(&self, w: &mut Work<'_>, contact: &Contact, device: &DeviceId) -> Result<(), Halt> {
        if self.is_crowded(w, contact)? {
            return Ok(());
        }
        let one_time_keys = self.make_one_time_keys(w, device)?;
        if one_time_keys.is_empty() {
            return Ok(());
        }
        let body = Body::SessionControl(SessionControl { one_time_keys, ..SessionControl::default() });
        self.enqueue_content(w, contact, *device, body, false)
    }

    /// Whether so much waits for a contact that what it can do without is left out.
    fn is_crowded(&self, w: &Work<'_>, contact: &Contact) -> Result<bool, Halt> {
        let waiting = w.rows().rows::<OutboxOf>(contact.account.as_bytes(), &Range::all(), CROWDED)?;
        Ok(waiting.len() >= CROWDED)
    }

    /// Tells every contact's device something about us.
    pub(super) fn tell_all(&self, w: &mut Work<'_>, control: &SessionControl) -> Result<(), Halt> {
        for contact in w.rows().every::<Contact>()? {
            if contact.state != ContactState::Added || contact.blocked || contact.accepted_at.is_none() {
                continue;
            }
            // Of echoes a few may wait for somebody who is off: the DHT has the newest one too.
            if control.descriptor.is_some() && self.is_crowded(w, &contact)? {
                continue;
            }
            for device in self.live_devices(w, &contact.account)? {
                self.enqueue_content(w, &contact, device, Body::SessionControl(control.clone()), false)?;
            }
        }
        Ok(())
    }

    /// Takes what a contact's device tells about itself.
    pub(super) fn take_control(
        &self,
        w: &mut Work<'_>,
        contact: &mut Contact,
        device: &Device,
        control: &SessionControl,
        said_at: Timestamp,
    ) -> Result<(), Halt> {
        if !control.one_time_keys.is_empty() {
            let mut keys = self.one_time_keys(w, &device.device)?;
            if keys.accept(&control.one_time_keys, w.now).is_ok() {
                self.keep_one_time(w, &device.device, &keys)?;
            }
        }
        if let Some(reach) = &control.reach_secret {
            self.take_reach(w, contact, reach, said_at)?;
        }
        if let Some(name) = &control.name {
            contact.their_name.clone_from(name);
            self.settle_name(w, contact)?;
        }
        w.put(contact)?;
        if let Some(mailboxes) = &control.mailboxes {
            self.take_passes(w, &contact.account, &device.device, mailboxes, said_at)?;
        }
        if let Some(record) = &control.descriptor {
            self.take_echo(w, contact, record)?;
        }
        self.tell_contact(w, &contact.account)?;
        Ok(())
    }
}
