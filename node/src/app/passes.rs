//! Who may leave mail for us, and where we may leave it for others: passes given, passes held.
//! Must not know what is left.

use super::{
    App, Scan,
    relays::{grant_end, mailbox_key, new_serial},
    work::{Halt, Work},
};
use kith_protocol::{
    AccountId, DeviceId, Timestamp,
    content::{Body, SessionControl},
    limits,
    mailbox::{Class, MailboxKey, Pass, Terms, passes},
};
use kith_store::table::{Contact, ContactState, Device, GivenGrant, Granted, OwnRelay, PassesOf};
use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};
use zeroize::Zeroizing;

/// Devices whose passes are kept as they were read; beyond it all are read anew.
const READ_PASSES_MAX: usize = 1_024;

impl App {
    /// The passes of a contact's device to all our mailboxes; grants that are missing, or end soon, are made.
    pub(super) fn passes_for(
        &self,
        w: &mut Work<'_>,
        account: &AccountId,
        device: &DeviceId,
    ) -> Result<Vec<Vec<u8>>, Halt> {
        let places = self.places(w)?;
        let known = w.get::<Granted>(&Granted::key_of(device))?;
        let before = known.as_ref().map(|granted| granted.grants.clone()).unwrap_or_default();
        let mut grants = Vec::new();
        let mut encoded = Vec::new();
        for own in places {
            let good = |g: &&GivenGrant| g.relay == own.number && !ends_soon(g, w.now);
            let given = match before.iter().find(good) {
                Some(given) => GivenGrant { offered: true, ..*given },
                None => GivenGrant { relay: own.number, serial: new_serial(w), until: grant_end(w.now), offered: true },
            };
            grants.push(given);
            encoded.push(contact_pass(&own, &given, w.now).encode());
        }
        // What was given before opens its mailbox until it ends: it is remembered, to be ended before its time if need be.
        for given in before.iter().filter(|given| given.until > w.now) {
            let relay_is_ours = w.get::<OwnRelay>(&OwnRelay::key_of(given.relay))?.is_some();
            if relay_is_ours && !grants.iter().any(|g| (g.relay, g.serial) == (given.relay, given.serial)) {
                grants.push(GivenGrant { offered: false, ..*given });
            }
        }
        if grants != before {
            w.put(&Granted { device: *device, account: *account, grants })?;
        }
        Ok(encoded)
    }

    /// Tells a contact's device where to leave mail, if what it was told last no longer holds.
    pub(super) fn offer(&self, w: &mut Work<'_>, contact: &Contact, device: &DeviceId) -> Result<(), Halt> {
        if contact.state != ContactState::Added || contact.blocked || contact.accepted_at.is_none() {
            return Ok(());
        }
        let grants = w.get::<Granted>(&Granted::key_of(device))?.map(|granted| granted.grants).unwrap_or_default();
        let places = self.places(w)?;
        let offered = || grants.iter().filter(|grant| grant.offered);
        let holds = |own: &OwnRelay| offered().any(|g| g.relay == own.number && !ends_soon(g, w.now));
        let all = offered().count() == places.len() && places.iter().all(holds);
        if all {
            return Ok(());
        }
        let mailboxes = Some(self.passes_for(w, &contact.account, device)?);
        let body = Body::SessionControl(SessionControl { mailboxes, ..SessionControl::default() });
        self.enqueue_content(w, contact, *device, body, false)
    }

    /// Tells all contacts.
    pub(super) fn offer_to_all(&self, w: &mut Work<'_>) -> Result<(), Halt> {
        for contact in w.rows().every::<Contact>()? {
            for device in self.live_devices(w, &contact.account)? {
                self.offer(w, &contact, &device)?;
            }
        }
        Ok(())
    }

    /// What was given out for one of our mailboxes is given again.
    pub(super) fn offer_again(&self, w: &mut Work<'_>, relay: u64) -> Result<(), Halt> {
        for mut granted in w.rows().every::<Granted>()? {
            granted.grants.iter_mut().filter(|grant| grant.relay == relay).for_each(|grant| grant.offered = false);
            w.put(&granted)?;
        }
        Ok(())
    }

    /// Ends what the devices of an account were given, and forgets what they gave.
    pub(super) fn end_grants(&self, w: &mut Work<'_>, account: &AccountId) -> Result<(), Halt> {
        for device in self.all_devices(w, account)? {
            if let Some(granted) = w.get::<Granted>(&Granted::key_of(&device))? {
                for grant in granted.grants {
                    self.end_grant(w, grant.relay, grant.serial, grant.until)?;
                }
                w.delete::<Granted>(&Granted::key_of(&device))?;
            }
        }
        Ok(())
    }

    /// Passes for whoever holds our contact code.
    pub(super) fn stranger_passes(&self, w: &Work<'_>) -> Result<Vec<Vec<u8>>, Halt> {
        let pass = |own: &OwnRelay| {
            let terms = Terms {
                class: Class::Stranger,
                serial: own.stranger,
                until: grant_end(w.now),
                envelopes: limits::STRANGER_GRANT_ENVELOPES,
                bytes: limits::STRANGER_GRANT_BYTES,
                depositor: None,
            };
            pass(own, &mailbox_key(own), terms, w.now).encode()
        };
        Ok(self.places(w)?.iter().map(pass).collect())
    }

    /// Passes that we hold for a device, those it gave us itself first; at most one for each relay.
    pub(super) fn held_passes(&self, w: &Work<'_>, device: &DeviceId) -> Result<Vec<Pass>, Halt> {
        let Some(row) = w.get::<PassesOf>(&PassesOf::key_of(device))? else { return Ok(Vec::new()) };
        let mut held = self.read_passes.of(device, [row.given, row.strangers].concat());
        held.retain(|pass| pass.grant.terms.until > w.now);
        Ok(held)
    }

    /// Takes what a device says of where its mail may be left, unless a later word is known.
    pub(super) fn take_passes(
        &self,
        w: &mut Work<'_>,
        account: &AccountId,
        device: &DeviceId,
        given: &[Vec<u8>],
        said_at: Timestamp,
    ) -> Result<(), Halt> {
        let mut row = self.passes_row(w, device)?;
        let latest = w.now.plus_millis(limits::CLOCK_SKEW_MS);
        if row.given_at <= latest && said_at < row.given_at {
            return Ok(());
        }
        row.given_at = said_at.min(latest);
        if row.given == given {
            return w.put(&row);
        }
        row.given = given.to_vec();
        w.put(&row)?;
        self.deposit_anew(w, account, device)
    }

    /// Takes the passes for strangers of a descriptor.
    pub(super) fn take_stranger_passes(
        &self,
        w: &mut Work<'_>,
        device: &Device,
        found: &[Vec<u8>],
    ) -> Result<(), Halt> {
        let mut row = self.passes_row(w, &device.device)?;
        if row.strangers == found {
            return Ok(());
        }
        row.strangers = found.to_vec();
        w.put(&row)?;
        self.deposit_anew(w, &device.account, &device.device)
    }

    /// Forgets a pass that a relay does not take.
    pub(super) fn forget_pass(&self, w: &mut Work<'_>, device: &DeviceId, pass: &Pass) -> Result<(), Halt> {
        let mut row = self.passes_row(w, device)?;
        let is_it = |bytes: &Vec<u8>| Pass::decode(bytes).is_ok_and(|p| p.grant == pass.grant);
        row.given.retain(|bytes| !is_it(bytes));
        row.strangers.retain(|bytes| !is_it(bytes));
        w.put(&row)
    }

    fn passes_row(&self, w: &Work<'_>, device: &DeviceId) -> Result<PassesOf, Halt> {
        let none = || PassesOf {
            device: *device,
            given: Vec::new(),
            given_at: Timestamp::from_millis(0),
            strangers: Vec::new(),
        };
        Ok(w.get::<PassesOf>(&PassesOf::key_of(device))?.unwrap_or_else(none))
    }
}

/// Passes as they were read last: reading one checks its signatures, and each copy of each message asks for it.
#[derive(Default)]
pub(super) struct ReadPasses(Mutex<HashMap<DeviceId, Reading>>);

/// The bytes of passes, and what they say.
type Reading = (Zeroizing<Vec<Vec<u8>>>, Vec<Pass>);

impl ReadPasses {
    /// The passes of a device whose row holds these bytes.
    fn of(&self, device: &DeviceId, encoded: Vec<Vec<u8>>) -> Vec<Pass> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((bytes, read)) = known.get(device)
            && **bytes == encoded
        {
            return read.clone();
        }
        if known.len() >= READ_PASSES_MAX {
            known.clear();
        }
        let read = passes(&encoded);
        known.insert(*device, (Zeroizing::new(encoded), read.clone()));
        read
    }
}

fn ends_soon(grant: &GivenGrant, now: Timestamp) -> bool {
    grant.until <= now.plus_days(limits::GRANT_RENEW_DAYS)
}

fn contact_pass(own: &OwnRelay, given: &GivenGrant, now: Timestamp) -> Pass {
    let key = mailbox_key(own);
    let depositor = key.depositor(given.serial);
    let terms = Terms {
        class: Class::Contact,
        serial: given.serial,
        until: given.until,
        envelopes: limits::CONTACT_GRANT_ENVELOPES,
        bytes: limits::CONTACT_GRANT_BYTES,
        depositor: Some(depositor.public()),
    };
    Pass { depositor: Some(depositor), ..pass(own, &key, terms, now) }
}

fn pass(own: &OwnRelay, key: &MailboxKey, terms: Terms, now: Timestamp) -> Pass {
    Pass {
        relay: own.relay,
        peer: own.peer.clone(),
        addresses: own.addresses.clone(),
        grant: key.grant(terms, now),
        tag_secret: key.tag_secret(terms.class),
        depositor: None,
    }
}
