//! The device's own prekeys as opening a message needs them, and what opening one uses up.

use super::{
    App,
    work::{Halt, Work},
};
use kith_protocol::{
    Day, DeviceId, SessionId,
    crypto::dh::DhSecret,
    limits,
    prekey::{HandedKey, OneTimeKeys, PrekeyPool},
    session::{Begun, Inbound, OwnKeys, OwnPrekey},
};
use kith_store::{
    Damage, Error,
    table::{Contact, ContactState, FirstSeen, OneTimeRow, OwnPool},
};

/// Sessions a contact can begin while one set of our prekeys lives.
const BEGUN_BY_CONTACT_MAX: u32 = 4_096;
/// Sessions somebody whose request waits can begin meanwhile.
const BEGUN_BY_STRANGER_MAX: u32 = 64;

/// Own keys, with what the message at hand may name of them.
pub(super) struct Keys {
    pool: PrekeyPool,
    one_time: OneTimeKeys,
    seen: bool,
    now: kith_protocol::Timestamp,
}

impl Keys {
    /// The mailbox key of a day, while it is kept.
    pub(super) fn mailbox(&self, day: Day) -> Option<DhSecret> {
        self.pool.mailbox_key(day).cloned()
    }
}

impl OwnKeys for Keys {
    fn signed_prekey(&self, id: u32) -> Option<OwnPrekey> {
        let keys = self.pool.by_id(id)?;
        Some(OwnPrekey { dh: keys.signed_prekey().clone(), kem: keys.kem_prekey().clone() })
    }

    fn one_time(&self, id: u32) -> Option<DhSecret> {
        self.one_time.ours(id, self.now).cloned()
    }

    fn seen(&self, _session: &SessionId) -> bool {
        self.seen
    }
}

impl App {
    /// Loads the pool.
    pub(super) fn pool(&self, w: &Work<'_>) -> Result<PrekeyPool, Halt> {
        let row = w.get::<OwnPool>(&OwnPool::only())?.ok_or(Error::Corrupt(Damage::Row))?;
        Ok(PrekeyPool::from_stored(&row.pool).ok_or(Error::Corrupt(Damage::Encoding))?)
    }

    /// Own keys, before it is known what a message names of them.
    pub(super) fn keys(&self, w: &Work<'_>) -> Result<Keys, Halt> {
        Ok(Keys { pool: self.pool(w)?, one_time: OneTimeKeys::default(), seen: false, now: w.now })
    }

    /// Adds what a decoded message may name: the sender device's one-time keys, and whether its session began before.
    pub(super) fn keys_for(&self, w: &Work<'_>, keys: Keys, inbound: &Inbound) -> Result<Keys, Halt> {
        let one_time = self.one_time_keys(w, &inbound.sender_device())?;
        let seen = w.get::<FirstSeen>(&FirstSeen::key_of(inbound.session().as_bytes()))?.is_some();
        Ok(Keys { one_time, seen, ..keys })
    }

    /// The one-time keys between this device and another.
    pub(super) fn one_time_keys(&self, w: &Work<'_>, device: &DeviceId) -> Result<OneTimeKeys, Halt> {
        let row = w.get::<OneTimeRow>(&OneTimeRow::key_of(device))?;
        Ok(row.map(|row| OneTimeKeys::from_stored(&row.keys)).unwrap_or_default())
    }

    /// Keeps the one-time keys between this device and another.
    pub(super) fn keep_one_time(&self, w: &mut Work<'_>, device: &DeviceId, keys: &OneTimeKeys) -> Result<(), Halt> {
        w.put(&OneTimeRow { device: *device, keys: keys.to_stored() })
    }

    /// Makes the one-time keys that a device lacks.
    pub(super) fn make_one_time_keys(&self, w: &mut Work<'_>, device: &DeviceId) -> Result<Vec<HandedKey>, Halt> {
        let mut keys = self.one_time_keys(w, device)?;
        let handed = keys.refill(w.now, w.rng);
        self.keep_one_time(w, device, &keys)?;
        Ok(handed)
    }

    /// Remembers that a session began, and deletes the one-time key that served it (R-PRE-2, R-SES-10).
    pub(super) fn remember_begun(&self, w: &mut Work<'_>, device: &DeviceId, begun: &Begun) -> Result<(), Halt> {
        if let Some(id) = begun.one_time_id {
            let mut keys = self.one_time_keys(w, device)?;
            keys.consume(id);
            self.keep_one_time(w, device, &keys)?;
        }
        let mut counters = w.counters()?;
        counters.first_seen += 1;
        w.put(&counters)?;
        w.put(&FirstSeen { session: *begun.session.as_bytes(), prekey: begun.signed_prekey_id })
    }

    /// Whether another first message can be remembered; if not, it is not taken.
    pub(super) fn remembers_first(&self, w: &Work<'_>, contact: &Contact) -> Result<bool, Halt> {
        // Strangers share what is there, each a small part of it; contacts have their own and are never locked out by them.
        if contact.state == ContactState::Added {
            return Ok(contact.begun < BEGUN_BY_CONTACT_MAX);
        }
        Ok(contact.begun < BEGUN_BY_STRANGER_MAX && w.counters()?.first_seen < limits::REPLAY_SET_MAX as u64)
    }
}
