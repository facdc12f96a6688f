//! Finds out how a contact's devices are reached: looks their descriptors up, believes only what their account signed,
//! and never goes back to an older one.

use super::{
    App, Scan,
    seal::with_peer,
    work::{Halt, Work},
};
use crate::net::NetCommand;
use kith_protocol::{
    AccountId, DeviceId, RecordKey,
    identity::{DeviceLog, ReachSecret, device_log::Change},
    limits,
    prekey::{
        Descriptor, Reading, SUITE,
        reading::{self, readers_keys},
        sequence,
    },
};
use kith_store::{
    Rows,
    table::{
        AccountDevices, CodeReach, Contact, ContactNumber, ContactState, Device, DueWhat, OutboxOf, PeerDevice,
        SessionsRow,
    },
};
use rand_core::Rng as _;
use std::collections::BTreeMap;

/// The least pause between two lookups of one contact, in milliseconds; doubles while nothing is found.
const PAUSE_FIRST_MS: u64 = 2_000;
/// The longest pause while something waits for the contact.
const PAUSE_LONGEST_MS: u64 = 10 * 60_000;
/// The least pause between two lookups of one contact that a new connection brings about, in milliseconds.
const NEWCOMER_PAUSE_MS: u64 = 20_000;
/// When a lookup whose answer never came is made again.
const LOOKUP_LEASE_MS: u64 = 45_000;
/// Accounts that may say they are reached under one transport name. More than one lies: as many would have to be contacts.
const PEER_CLAIMS_MAX: usize = 64;

impl App {
    /// Asks for a lookup: at once if the last one is long enough ago, else as soon as it is.
    pub(super) fn want_resolve(&self, w: &mut Work<'_>, contact: Contact) -> Result<(), Halt> {
        // The row may have moved on since the caller read it.
        let Some(mut contact) = w.get::<Contact>(&Contact::key_of(&contact.account))? else { return Ok(()) };
        if contact.reach.is_none() || contact.blocked || contact.state == ContactState::Removed {
            return Ok(());
        }
        let pause = pause(contact.resolve_tries);
        let earliest = contact.looked_at.map_or(w.now, |at| at.min(w.now).plus_millis(pause)).max(w.now);
        if contact.resolve_at.is_some_and(|at| at <= earliest) {
            return Ok(());
        }
        if earliest <= w.now {
            return self.lookup(w, contact);
        }
        let jitter = w.rng.next_u64() % (pause / 4).max(1);
        self.plan_lookup(w, &mut contact, Some(earliest.plus_millis(jitter)))?;
        w.put(&contact)
    }

    /// Looks a contact up because it is due.
    pub(super) fn resolve_due(&self, w: &mut Work<'_>, number: u64) -> Result<(), Halt> {
        let Some(found) = w.get::<ContactNumber>(&ContactNumber::key_of(number))? else { return Ok(()) };
        let Some(mut contact) = w.get::<Contact>(&Contact::key_of(&found.account))? else { return Ok(()) };
        contact.resolve_at = None;
        if contact.state == ContactState::Removed || contact.blocked || !self.waits(w, &contact)? {
            return w.put(&contact);
        }
        self.lookup(w, contact)
    }

    fn lookup(&self, w: &mut Work<'_>, mut contact: Contact) -> Result<(), Halt> {
        let Some(reach) = contact.reach else { return w.put(&contact) };
        let mut keys = readers_keys(&contact.account, &ReachSecret::from_bytes(reach), w.now);
        if let Some(code) = w.get::<CodeReach>(&CodeReach::key_of(&contact.account))? {
            keys.extend(readers_keys(&contact.account, &ReachSecret::from_bytes(code.reach), w.now));
        }
        let mut hints = contact.hints.clone();
        for device in self.live_devices(w, &contact.account)? {
            if let Some(device) = w.get::<Device>(&Device::key_of(&device))?
                && let Some(peer) = &device.peer
            {
                hints.extend(device.addresses.iter().map(|a| with_peer(a, peer)));
            }
        }
        hints.truncate(limits::LINK_HINTS_MAX + limits::ADDRESSES_MAX);
        contact.looked_at = Some(w.now);
        contact.resolve_tries = contact.resolve_tries.saturating_add(1);
        let again = w.now.plus_millis(LOOKUP_LEASE_MS.max(pause(contact.resolve_tries)));
        self.plan_lookup(w, &mut contact, Some(again))?;
        w.put(&contact)?;
        w.effects().net.push(NetCommand::Fetch { query: contact.number, keys, hints });
        self.look_at_relays(w, &contact)
    }

    fn plan_lookup(
        &self,
        w: &mut Work<'_>,
        contact: &mut Contact,
        at: Option<kith_protocol::Timestamp>,
    ) -> Result<(), Halt> {
        if let Some(before) = contact.resolve_at {
            w.unschedule(before, DueWhat::Resolve(contact.number))?;
        }
        contact.resolve_at = at;
        match at {
            Some(at) => w.schedule(at, DueWhat::Resolve(contact.number)),
            None => Ok(()),
        }
    }

    /// Whether anything is worth a lookup: mail that waits, or a contact no device of which is known.
    fn waits(&self, w: &Work<'_>, contact: &Contact) -> Result<bool, Halt> {
        let mail = !w.rows().rows::<OutboxOf>(contact.account.as_bytes(), &kith_store::Range::all(), 1)?.is_empty();
        Ok(mail || self.live_devices(w, &contact.account)?.is_empty())
    }

    /// Takes the records a lookup found.
    pub(super) fn found(
        &self,
        w: &mut Work<'_>,
        query: u64,
        records: &[(RecordKey, Vec<u8>)],
        asked: u32,
    ) -> Result<(), Halt> {
        let Some(number) = w.get::<ContactNumber>(&ContactNumber::key_of(query))? else { return Ok(()) };
        let Some(mut contact) = w.get::<Contact>(&Contact::key_of(&number.account))? else { return Ok(()) };
        let Some(reach) = contact.reach else { return Ok(()) };
        if contact.state == ContactState::Removed {
            return Ok(());
        }
        let mut reading = self.read_records(w, &contact, &reach, records)?;
        if let Some(code) = w.get::<CodeReach>(&CodeReach::key_of(&contact.account))? {
            // What their code leads to counts only if it is newer than what they said themselves.
            let by_code = self.read_records(w, &contact, &code.reach, records)?;
            if newest_of(&by_code) > newest_of(&reading) {
                contact.reach = Some(code.reach);
                w.delete::<CodeReach>(&CodeReach::key_of(&contact.account))?;
                reading = by_code;
            }
        }
        if reading.descriptors.is_empty() {
            return self.found_nothing(w, contact, asked);
        }
        self.take_reading(w, contact, reading)
    }

    /// Takes what relays kept of a contact, in the same way.
    pub(super) fn found_kept(&self, w: &mut Work<'_>, contact: Contact, records: &[Vec<u8>]) -> Result<(), Halt> {
        if contact.state == ContactState::Removed {
            return Ok(());
        }
        let (known, pins) = self.pinned(w, &contact)?;
        for reach in self.reaches(w, &contact)? {
            let reading = reading::read_kept(&contact.account, &reach, known.as_ref(), &pins, records, w.now);
            if !reading.descriptors.is_empty() {
                return self.take_reading(w, contact, reading);
            }
        }
        Ok(())
    }

    fn take_reading(&self, w: &mut Work<'_>, mut contact: Contact, reading: Reading) -> Result<(), Halt> {
        let newest = reading.descriptors;
        self.plan_lookup(w, &mut contact, None)?;
        if let Some(log) = reading.log {
            self.take_log(w, &mut contact, log)?;
        }
        w.put(&contact)?;
        let mut newer = false;
        for descriptor in newest.into_values() {
            newer |= self.take_descriptor(w, &contact, descriptor)?;
        }
        // What is known already is no reason to try again sooner: pauses go on growing while somebody is off.
        if newer { self.news_of(w, &contact.account) } else { Ok(()) }
    }

    /// Something newer is known of how a contact is reached: what waits goes out.
    fn news_of(&self, w: &mut Work<'_>, account: &AccountId) -> Result<(), Halt> {
        if let Some(mut contact) = w.get::<Contact>(&Contact::key_of(account))? {
            contact.resolve_tries = 0;
            w.put(&contact)?;
        }
        self.wake(w, account)?;
        self.tell_contact(w, account).map(drop)
    }

    fn found_nothing(&self, w: &mut Work<'_>, mut contact: Contact, asked: u32) -> Result<(), Halt> {
        let waits = self.waits(w, &contact)?;
        let at = waits.then(|| {
            let pause = pause(contact.resolve_tries);
            w.now.plus_millis(pause)
        });
        self.plan_lookup(w, &mut contact, at)?;
        w.put(&contact)?;
        let doubt = self.clock_doubt(&self.profile(w)?, w.now).filter(|doubt| doubt.is_told()).map(|d| d.to_string());
        let why = if let Some(doubt) = &doubt {
            doubt
        } else if asked == 0 {
            "no way to reach the network yet: use the link, or --bootstrap, or add a relay"
        } else {
            "nobody knows the contact's keys yet: they were not on since they made the code, or it is an old one"
        };
        self.explain_waiting(w, &contact.account, why)
    }

    /// What records say together with what is known and pinned of a contact.
    fn read_records(
        &self,
        w: &Work<'_>,
        contact: &Contact,
        reach: &[u8; 16],
        records: &[(RecordKey, Vec<u8>)],
    ) -> Result<Reading, Halt> {
        let (known, pins) = self.pinned(w, contact)?;
        let reach = ReachSecret::from_bytes(*reach);
        Ok(reading::read(&contact.account, &reach, known.as_ref(), &pins, records, w.now))
    }

    /// The log we hold of an account, and the sequence pinned of each of its devices.
    fn pinned(&self, w: &Work<'_>, contact: &Contact) -> Result<(Option<DeviceLog>, BTreeMap<DeviceId, u64>), Halt> {
        let mut pins = BTreeMap::new();
        for device in self.all_devices(w, &contact.account)? {
            if let Some(row) = w.get::<Device>(&Device::key_of(&device))? {
                pins.insert(device, row.descriptor_seq);
            }
        }
        Ok((DeviceLog::decode(contact.account, &contact.log, w.now).ok(), pins))
    }

    /// Takes a descriptor that came inside a session.
    pub(super) fn take_echo(&self, w: &mut Work<'_>, contact: &mut Contact, record: &[u8]) -> Result<(), Halt> {
        let Some(reach) = contact.reach else { return Ok(()) };
        for key in readers_keys(&contact.account, &ReachSecret::from_bytes(reach), w.now) {
            let reading = self.read_records(w, contact, &reach, &[(key, record.to_vec())])?;
            if let Some(descriptor) = reading.descriptors.into_values().next() {
                self.take_log(w, contact, descriptor.log.clone())?;
                w.put(contact)?;
                let newer = self.take_descriptor(w, contact, descriptor)?;
                return if newer { self.wake(w, &contact.account) } else { Ok(()) };
            }
        }
        Ok(())
    }

    /// Takes a descriptor that its account's log vouches for, unless a newer one is pinned.
    /// Tells whether it was newer.
    fn take_descriptor(&self, w: &mut Work<'_>, contact: &Contact, descriptor: Descriptor) -> Result<bool, Halt> {
        let info = &descriptor.device;
        let mut device = match w.get::<Device>(&Device::key_of(&info.id))? {
            Some(device) => device,
            None => self.new_device(w, contact.account, info.id, *info.sign_pk.as_bytes(), *info.dh_pk.as_bytes())?,
        };
        // What is pinned was checked by the reader (R-DESC-6, R-DESC-7); an equal sequence brings nothing new.
        let pinned = Some(device.descriptor_seq).filter(|seq| sequence::is_believable(*seq, w.now));
        let newer = pinned.is_none_or(|pinned| descriptor.sequence > pinned) || device.bundle.is_none();
        if device.revoked || device.account != contact.account || !newer {
            return Ok(false);
        }
        let Ok(peer) = String::from_utf8(descriptor.peer_id.clone()) else { return Ok(false) };
        device.sign = *info.sign_pk.as_bytes();
        device.descriptor_seq = descriptor.sequence;
        let pinned = Some(device.bundle_seq).filter(|seq| *seq > 0);
        if descriptor.bundle.check_pins(pinned, SUITE, w.now).is_ok() {
            device.bundle_seq = descriptor.bundle.seq();
            device.bundle = Some(descriptor.bundle.encode());
        }
        if device.peer.as_ref() != Some(&peer) {
            if let Some(before) = device.peer.take() {
                self.forget_peer(w, &before, &info.id)?;
            }
            self.remember_peer(w, &peer, &device)?;
        }
        device.peer = Some(peer);
        device.addresses = descriptor.addresses;
        w.put(&device)?;
        self.take_stranger_passes(w, &device, &descriptor.mailboxes)?;
        let peers = self.protected(w)?;
        w.effects().net.push(NetCommand::Protect { peers });
        Ok(true)
    }

    /// Follows the longest valid device log; two histories freeze the account until a person has looked.
    pub(super) fn take_log(&self, w: &mut Work<'_>, contact: &mut Contact, offered: DeviceLog) -> Result<(), Halt> {
        let held = DeviceLog::decode(contact.account, &contact.log, w.now).ok();
        let (log, changed) = match held {
            None => (offered, true),
            Some(held) => match held.merge(&offered.signed_ops(), w.now) {
                Ok((_, Change::Unchanged)) | Err(_) => (held, false),
                Ok((merged, _)) => (merged, true),
            },
        };
        if changed && log.is_frozen() && !contact.violated {
            contact.violated = true;
            contact.verified = false;
            self.alert(
                w,
                "identity_changed",
                "a contact's account shows two histories of its devices: nothing is sent to it".into(),
                "ask them on another way, then kith contact verify",
            )?;
        }
        for device in self.all_devices(w, &contact.account)? {
            // A device of a branch that is in doubt does not speak for the account; one that the root's lift kept does again.
            let revoked = log.device(&device).is_none();
            if let Some(mut row) = w.get::<Device>(&Device::key_of(&device))?
                && row.revoked != revoked
            {
                row.revoked = revoked;
                w.put(&row)?;
                if revoked {
                    w.delete::<SessionsRow>(&SessionsRow::key_of(&device))?;
                }
            }
        }
        contact.log_head = log.head();
        contact.log = log.encode();
        Ok(())
    }

    /// Makes the row of a device not known before.
    pub(super) fn new_device(
        &self,
        w: &mut Work<'_>,
        account: AccountId,
        device: DeviceId,
        sign: [u8; 32],
        dh: [u8; 32],
    ) -> Result<Device, Halt> {
        let mut devices = w
            .get::<AccountDevices>(&AccountDevices::key_of(&account))?
            .unwrap_or(AccountDevices { account, devices: Vec::new() });
        if !devices.devices.contains(&device) {
            devices.devices.push(device);
            w.put(&devices)?;
        }
        Ok(Device {
            device,
            account,
            sign,
            dh,
            peer: None,
            addresses: Vec::new(),
            bundle: None,
            descriptor_seq: 0,
            bundle_seq: 0,
            heard_cannot_open_at: None,
            silent: false,
            cannot_open_at: None,
            seen_at: None,
            revoked: false,
        })
    }

    fn remember_peer(&self, w: &mut Work<'_>, peer: &str, device: &Device) -> Result<(), Halt> {
        let mut row = w
            .get::<PeerDevice>(&PeerDevice::key_of(peer))?
            .unwrap_or(PeerDevice { peer: peer.to_owned(), devices: Vec::new() });
        // Its account is woken as a whole: one device stands for it, and the others cannot keep anybody else out.
        let mut others = Vec::new();
        for known in row.devices {
            let account = w.get::<Device>(&Device::key_of(&known))?.map(|known| known.account);
            if known != device.device && account.is_some_and(|account| account != device.account) {
                others.push(known);
            }
        }
        row.devices = others;
        if row.devices.len() < PEER_CLAIMS_MAX {
            row.devices.push(device.device);
        }
        w.put(&row)
    }

    pub(super) fn forget_peer(&self, w: &mut Work<'_>, peer: &str, device: &DeviceId) -> Result<(), Halt> {
        let Some(mut row) = w.get::<PeerDevice>(&PeerDevice::key_of(peer))? else { return Ok(()) };
        row.devices.retain(|d| d != device);
        if row.devices.is_empty() { w.delete::<PeerDevice>(&PeerDevice::key_of(peer)) } else { w.put(&row) }
    }

    /// A peer appeared: what waits for the devices that are reached there goes out.
    pub(super) fn peer_up(&self, w: &mut Work<'_>, peer: &str) -> Result<(), Halt> {
        self.relay_up(w, peer)?;
        let Some(row) = w.get::<PeerDevice>(&PeerDevice::key_of(peer))? else { return self.wake_lookups(w) };
        for device in row.devices {
            if let Some(device) = w.get::<Device>(&Device::key_of(&device))? {
                self.wake(w, &device.account)?;
            }
        }
        self.met(w, peer)
    }

    /// A device is there: it is written to directly first.
    pub(super) fn met(&self, w: &mut Work<'_>, peer: &str) -> Result<(), Halt> {
        let row = w.get::<PeerDevice>(&PeerDevice::key_of(peer))?;
        row.into_iter().flat_map(|row| row.devices).try_for_each(|device| self.keep_silent(w, &device, false))
    }

    /// Remembers whether a device answered in time when it was last tried directly.
    pub(super) fn keep_silent(&self, w: &mut Work<'_>, device: &DeviceId, silent: bool) -> Result<(), Halt> {
        match w.get::<Device>(&Device::key_of(device))? {
            Some(device) if device.silent != silent => w.put(&Device { silent, ..device }),
            _ => Ok(()),
        }
    }

    /// Somebody new is connected and may know those we look for: lookups that wait are made now.
    fn wake_lookups(&self, w: &mut Work<'_>) -> Result<(), Halt> {
        for contact in w.rows().every::<Contact>()? {
            let pending = contact.resolve_at.is_some() && contact.state != ContactState::Removed;
            // Connections of strangers must not make this node ask all the time.
            let rested = contact.looked_at.is_none_or(|at| w.now.millis_since(at) >= NEWCOMER_PAUSE_MS);
            if pending && rested && !contact.blocked && self.waits(w, &contact)? {
                self.lookup(w, contact)?;
            }
        }
        Ok(())
    }
}

/// The highest sequence of what was read.
fn newest_of(reading: &Reading) -> Option<u64> {
    reading.descriptors.values().map(|descriptor| descriptor.sequence).max()
}

fn pause(tries: u32) -> u64 {
    PAUSE_FIRST_MS.saturating_mul(1 << tries.min(16)).min(PAUSE_LONGEST_MS)
}
