//! The device's own prekeys as opening a message needs them, and what opening one uses up.

use super::{
    App, Scan,
    work::{Halt, Work},
};
use kith_protocol::{
    AccountId, Day, DeviceId, SessionId,
    crypto::dh::DhSecret,
    limits,
    prekey::{HandedKey, OneTimeKeys, PrekeyPool, RelayPool},
    session::{Begun, Inbound, OwnKeys, OwnPrekey, PeerDevice},
};
use kith_store::{
    Damage, Error,
    table::{Contact, ContactState, FirstSeen, OneTimeRow, OwnPool, OwnRelayPool},
};
use std::collections::BTreeMap;

/// Sessions a contact can begin while one set of our prekeys lives.
const BEGUN_BY_CONTACT_MAX: u32 = 4_096;
/// Sessions somebody whose request waits can begin meanwhile.
const BEGUN_BY_STRANGER_MAX: u32 = 64;

/// Own keys, with what the message at hand may name of them.
pub(super) struct Keys {
    pool: PrekeyPool,
    one_time: OneTimeKeys,
    at_relays: Vec<(u64, RelayPool)>,
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
        let of_relay = || self.at_relays.iter().find_map(|(_, pool)| pool.ours(id, self.now)).cloned();
        if RelayPool::may_hold(id) { of_relay() } else { self.one_time.ours(id, self.now).cloned() }
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
        Ok(Keys {
            pool: self.pool(w)?,
            one_time: OneTimeKeys::default(),
            at_relays: Vec::new(),
            seen: false,
            now: w.now,
        })
    }

    /// Adds what a decoded message may name: the sender device's one-time keys, and whether its session began before.
    pub(super) fn keys_for(&self, w: &Work<'_>, keys: Keys, inbound: &Inbound) -> Result<Keys, Halt> {
        let one_time = self.one_time_keys(w, &inbound.sender_device())?;
        let seen = w.get::<FirstSeen>(&FirstSeen::key_of(inbound.session().as_bytes()))?.is_some();
        let at_relays = if seen { Vec::new() } else { self.keys_at_relays(w)? };
        Ok(Keys { one_time, at_relays, seen, ..keys })
    }

    /// The one-time keys that our relays hand out.
    pub(super) fn keys_at_relays(&self, w: &Work<'_>) -> Result<Vec<(u64, RelayPool)>, Halt> {
        let rows = w.rows().every::<OwnRelayPool>()?;
        Ok(rows.iter().map(|row| (row.number, RelayPool::from_stored(&row.pool))).collect())
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
    pub(super) fn remember_begun(&self, w: &mut Work<'_>, sender: &PeerDevice, begun: &Begun) -> Result<(), Halt> {
        if let Some(id) = begun.one_time_id.filter(|id| RelayPool::may_hold(*id)) {
            for (number, mut pool) in self.keys_at_relays(w)? {
                if pool.consume(id) {
                    w.put(&OwnRelayPool { number, pool: pool.to_stored() })?;
                }
            }
        } else if let Some(id) = begun.one_time_id {
            let mut keys = self.one_time_keys(w, &sender.device)?;
            keys.consume(id);
            self.keep_one_time(w, &sender.device, &keys)?;
        }
        let (session, prekey) = (*begun.session.as_bytes(), begun.signed_prekey_id);
        w.put(&FirstSeen { session, prekey, account: Some(sender.account) })
    }

    /// Whether another first message of somebody can be remembered; if not, it is not taken.
    pub(super) fn remembers_first(&self, w: &Work<'_>, sender: Option<&Contact>) -> Result<bool, Halt> {
        // Strangers share what is there, each a small part of it; contacts have their own. Neither locks the other out.
        let begun = sender.map_or(0, |contact| contact.begun);
        if sender.is_some_and(|contact| contact.state == ContactState::Added) {
            return Ok(begun < BEGUN_BY_CONTACT_MAX);
        }
        // What a contact began before it was removed is no more a stranger's than one stranger may have.
        let strangers = w.rows().every::<Contact>()?.into_iter().filter(|c| c.state != ContactState::Added);
        let theirs: u64 = strangers.map(|c| u64::from(c.begun.min(BEGUN_BY_STRANGER_MAX))).sum();
        Ok(begun < BEGUN_BY_STRANGER_MAX && theirs < limits::REPLAY_SET_MAX as u64)
    }

    /// Forgets the first messages sealed to prekeys that are gone, and counts anew what each contact began.
    pub(super) fn forget_first_seen(&self, w: &mut Work<'_>, prekeys: &[u32]) -> Result<(), Halt> {
        if prekeys.is_empty() {
            return Ok(());
        }
        let mut begun = BTreeMap::<AccountId, u32>::new();
        for row in w.rows().every::<FirstSeen>()? {
            if prekeys.contains(&row.prekey) {
                w.delete::<FirstSeen>(&FirstSeen::key_of(&row.session))?;
            } else if let Some(account) = row.account {
                *begun.entry(account).or_default() += 1;
            }
        }
        for mut contact in w.rows().every::<Contact>()? {
            let counted = begun.get(&contact.account).copied().unwrap_or(0);
            if contact.begun != counted {
                contact.begun = counted;
                w.put(&contact)?;
            }
        }
        Ok(())
    }
}
