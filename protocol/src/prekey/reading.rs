//! Finding an account through its records: which keys to ask for, and what to believe of all that came. Must not know whom
//! it asked.

use super::{
    certificate::blinded,
    descriptor::{Descriptor, Error},
    record::record_key,
    sequence,
};
use crate::{
    AccountId, Day, DeviceId, RecordKey, Timestamp,
    identity::{
        DeviceLog, ReachSecret,
        device_log::{self, Change},
    },
    limits::DEVICES_MAX,
};
use std::{collections::BTreeMap, ops::Range};

/// Slots asked for before any log is known: most accounts have one device or two, and any one record tells the rest.
pub const FIRST_SLOTS: Range<u32> = 0..2;

/// Lists the record keys to ask for at first: today's, then yesterday's and tomorrow's, of the first two slots. If none
/// answers, [`readers_keys_of`] with the slots up to [`DEVICES_MAX`] asks for all.
pub fn readers_keys(account: &AccountId, reach: &ReachSecret, now: Timestamp) -> Vec<RecordKey> {
    readers_keys_of(account, reach, FIRST_SLOTS, now)
}

/// Lists the record keys to ask for once a log is known: the slots of its devices and the lowest free one, where a device
/// that the log does not show yet would be.
pub fn readers_keys_for(log: &DeviceLog, reach: &ReachSecret, now: Timestamp) -> Vec<RecordKey> {
    let taken: Vec<u32> = log.devices().filter_map(|d| log.slot(&d.id)).collect();
    let free = (0..DEVICES_MAX as u32).find(|s| !taken.contains(s));
    let slots: Vec<u32> = taken.into_iter().chain(free).collect();
    keys_of(&log.account(), reach, &slots, now)
}

/// Lists the record keys of given slots, today's first.
pub fn readers_keys_of(account: &AccountId, reach: &ReachSecret, slots: Range<u32>, now: Timestamp) -> Vec<RecordKey> {
    keys_of(account, reach, &slots.collect::<Vec<_>>(), now)
}

/// Blinds the account once for each day, whatever the number of slots.
fn keys_of(account: &AccountId, reach: &ReachSecret, slots: &[u32], now: Timestamp) -> Vec<RecordKey> {
    let of_day = |day: Day| {
        let blinded = blinded(account, reach, day)?;
        Some(slots.iter().map(|slot| record_key(&blinded, day, *slot)).collect::<Vec<_>>())
    };
    days(now).into_iter().filter_map(of_day).flatten().collect()
}

/// Today first, then its neighbours: the publisher's clock may differ by a day.
fn days(now: Timestamp) -> [Day; 3] {
    let today = now.day();
    [today, today.minus(1), today.plus(1)]
}

/// What all records of an account that were found say together.
#[derive(Clone, Debug)]
pub struct Reading {
    /// The account's log: what was known, and every valid operation that came.
    pub log: Option<DeviceLog>,
    /// What that did to the known log: a freeze is an alarm.
    pub change: Change,
    /// The newest believable descriptor of each device that the log holds active.
    pub descriptors: BTreeMap<DeviceId, Descriptor>,
    /// What was refused and why; an empty slot is among them.
    pub refused: Vec<(RecordKey, Error)>,
}

/// Reads records that came from several nodes (R-DESC-7): follows the longest valid log, takes the highest sequence of each
/// device, refuses one below `pins`, and holds the slots of revoked devices to be empty. The caller pins what it keeps.
pub fn read(
    account: &AccountId,
    reach: &ReachSecret,
    known: Option<&DeviceLog>,
    pins: &BTreeMap<DeviceId, u64>,
    records: &[(RecordKey, Vec<u8>)],
    now: Timestamp,
) -> Reading {
    let opened = records.iter().map(|(key, bytes)| (*key, Descriptor::open(account, reach, key, bytes, now)));
    judge(opened.collect(), known, pins, now)
}

/// Reads records that relays kept, in the same way; they may be thirty days old.
pub fn read_kept(
    account: &AccountId,
    reach: &ReachSecret,
    known: Option<&DeviceLog>,
    pins: &BTreeMap<DeviceId, u64>,
    records: &[Vec<u8>],
    now: Timestamp,
) -> Reading {
    let none = RecordKey::from_bytes([0; 32]);
    let open = |bytes: &Vec<u8>| match Descriptor::open_kept(account, reach, bytes, now) {
        Ok((key, descriptor)) => (key, Ok(descriptor)),
        Err(e) => (none, Err(e)),
    };
    judge(records.iter().map(open).collect(), known, pins, now)
}

fn judge(
    opened: Vec<(RecordKey, Result<Descriptor, Error>)>,
    known: Option<&DeviceLog>,
    pins: &BTreeMap<DeviceId, u64>,
    now: Timestamp,
) -> Reading {
    let mut reading =
        Reading { log: known.cloned(), change: Change::Unchanged, descriptors: BTreeMap::new(), refused: Vec::new() };
    let mut found = Vec::new();
    for (key, opened) in opened {
        match opened.and_then(|d| reading.learn(&d, now).map(|()| d)) {
            Ok(descriptor) => found.push((key, descriptor)),
            Err(e) => reading.refused.push((key, e)),
        }
    }
    for (key, descriptor) in found {
        let device = descriptor.device.id;
        if reading.log.as_ref().and_then(|log| log.device(&device)).is_none() {
            reading.refused.push((key, Error::WrongDevice));
            continue;
        }
        if let Err(e) = sequence::check(pins.get(&device).copied(), descriptor.sequence, now) {
            reading.refused.push((key, Error::Record(e.into())));
            continue;
        }
        match reading.descriptors.get(&device) {
            Some(better) if better.sequence >= descriptor.sequence => {}
            _ => {
                reading.descriptors.insert(device, descriptor);
            }
        }
    }
    reading
}

impl Reading {
    fn learn(&mut self, descriptor: &Descriptor, now: Timestamp) -> Result<(), Error> {
        let Some(log) = &self.log else {
            self.log = Some(descriptor.log.clone());
            self.change = if descriptor.log.is_frozen() { Change::Froze } else { Change::Extended };
            return Ok(());
        };
        let (merged, change) =
            log.merge(&descriptor.log.signed_ops(), now).map_err(|e: device_log::Error| Error::Log(e))?;
        self.log = Some(merged);
        if change != Change::Unchanged {
            self.change = change;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
