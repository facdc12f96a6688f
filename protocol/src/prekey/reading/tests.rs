//! What a reader believes when nodes lie, lag, or hold records of devices that are gone.

use super::super::record::record_key_of;
use super::*;
use crate::{
    identity::device_log::{Signer, tests::NOW},
    prekey::{descriptor::tests::Publisher, record},
};
use proptest::prelude::*;

const SEQUENCE: u64 = NOW.as_millis();

fn read_all(alice: &Publisher, pins: &BTreeMap<DeviceId, u64>, records: &[(RecordKey, Vec<u8>)]) -> Reading {
    read(&alice.id(), &alice.reach, None, pins, records, NOW)
}

#[test]
fn c05_19_the_newest_of_what_several_nodes_say_is_used_and_older_than_pinned_is_refused() {
    let mut alice = Publisher::new(1);
    let device = alice.person.devices[0].id();
    let old = alice.record(0, NOW.day(), SEQUENCE - 1);
    let new = alice.record(0, NOW.day(), SEQUENCE);
    let four_of_five = [old.clone(), old.clone(), new.clone(), old.clone(), old.clone()];
    let reading = read_all(&alice, &BTreeMap::new(), &four_of_five);
    assert_eq!(reading.descriptors[&device].sequence, SEQUENCE);
    assert!(reading.refused.is_empty());
    let pins = BTreeMap::from([(device, SEQUENCE)]);
    let reading = read_all(&alice, &pins, &[old.clone(), old.clone(), old.clone(), old.clone(), old.clone()]);
    assert!(reading.descriptors.is_empty());
    let older = Error::Record(record::Error::Sequence(sequence::Error::Older));
    assert_eq!(reading.refused, vec![(old.0, older); 5]);
    assert_eq!(read_all(&alice, &pins, &[new]).descriptors.len(), 1, "the pinned one itself still serves");
}

#[test]
fn c05_20_a_pin_beyond_belief_is_ignored() {
    let mut alice = Publisher::new(1);
    let device = alice.person.devices[0].id();
    let record = alice.record(0, NOW.day(), SEQUENCE);
    let pins = BTreeMap::from([(device, u64::MAX)]);
    assert_eq!(read_all(&alice, &pins, &[record]).descriptors.len(), 1);
}

#[test]
fn r_desc_7_all_slots_are_read_and_the_longest_log_followed() {
    let mut alice = Publisher::new(1);
    let first = alice.record(0, NOW.day(), SEQUENCE);
    let phone = crate::identity::DeviceSecrets::generate(&mut alice.rng);
    let proof = crate::identity::device_log::prove_admission(&alice.person.log.next_place(), &phone, false);
    let by = Signer::Device(&alice.person.devices[0]);
    let op = alice.person.log.admit(by, phone.info(), false, proof, NOW).unwrap();
    alice.person.log = alice.person.log.append(&op, NOW).unwrap().0;
    alice.person.devices.push(phone);
    alice.move_to_slot(1);
    let second = alice.record(1, NOW.day(), SEQUENCE);
    let reading = read_all(&alice, &BTreeMap::new(), &[first, second]);
    assert_eq!(reading.descriptors.len(), 2);
    assert_eq!(reading.log.as_ref(), Some(&alice.person.log), "slot 0 was published before the phone came");
    assert_eq!(reading.change, Change::Extended);
}

#[test]
fn r_id_6_the_slot_of_a_revoked_device_is_empty_once_any_record_says_so() {
    let mut alice = Publisher::with_devices(1, 2);
    let (phone, laptop) = (alice.person.devices[1].id(), alice.person.devices[0].id());
    alice.move_to_slot(1);
    let of_phone = alice.record(1, NOW.day(), SEQUENCE);
    let both = read_all(&alice, &BTreeMap::new(), std::slice::from_ref(&of_phone));
    assert!(both.descriptors.contains_key(&phone));
    let revoke = alice.person.log.revoke(Signer::Root(&alice.person.account), &phone, NOW).unwrap();
    alice.person.log = alice.person.log.append(&revoke, NOW).unwrap().0;
    alice.move_to_slot(0);
    let of_laptop = alice.record(0, NOW.day(), SEQUENCE);
    for order in [[of_phone.clone(), of_laptop.clone()], [of_laptop, of_phone.clone()]] {
        let reading = read_all(&alice, &BTreeMap::new(), &order);
        assert_eq!(reading.descriptors.keys().collect::<Vec<_>>(), [&laptop]);
        assert_eq!(reading.refused, [(of_phone.0, Error::WrongDevice)]);
    }
    // A reader who knows the revocation from a session believes it too.
    let reading = read(&alice.id(), &alice.reach, Some(&alice.person.log), &BTreeMap::new(), &[of_phone], NOW);
    assert!(reading.descriptors.is_empty());
}

#[test]
fn c05_24_a_contradiction_found_in_records_is_an_alarm() {
    let mut alice = Publisher::with_devices(1, 2);
    let base = alice.person.log.clone();
    let root = Signer::Root(&alice.person.account);
    let (five, six) = (base.set_limit(root, 5, NOW).unwrap(), base.set_limit(root, 6, NOW).unwrap());
    alice.person.log = base.append(&five, NOW).unwrap().0;
    let one = alice.record(0, NOW.day(), SEQUENCE);
    alice.person.log = base.append(&six, NOW).unwrap().0;
    let other = alice.record(0, NOW.day().plus(1), SEQUENCE);
    let reading = read_all(&alice, &BTreeMap::new(), &[one, other]);
    assert_eq!(reading.change, Change::Froze);
    assert!(reading.log.unwrap().is_frozen());
}

#[test]
fn one_bad_record_costs_nothing_of_the_others() {
    let mut alice = Publisher::new(1);
    let mut mallory = Publisher::new(2);
    let good = alice.record(0, NOW.day(), SEQUENCE);
    let foreign = mallory.record(0, NOW.day(), SEQUENCE);
    let garbage = (good.0, vec![7; 300]);
    let swapped = (good.0, foreign.1.clone());
    let reading = read_all(&alice, &BTreeMap::new(), &[garbage, foreign, swapped, good]);
    assert_eq!((reading.descriptors.len(), reading.refused.len()), (1, 3));
}

#[test]
fn readers_ask_for_today_first_and_for_the_slots_that_the_log_shows() {
    let alice = Publisher::with_devices(1, 3);
    let first = readers_keys(&alice.id(), &alice.reach, NOW);
    assert_eq!(first.len(), 6);
    let key = |day, slot| record_key_of(&alice.id(), &alice.reach, day, slot).unwrap();
    let today = NOW.day();
    assert_eq!(first[..3], [key(today, 0), key(today, 1), key(today.minus(1), 0)]);
    assert!(first.contains(&key(today.plus(1), 1)));
    let known = readers_keys_for(&alice.person.log, &alice.reach, NOW);
    assert_eq!(known.len(), 12, "three devices and the slot a fourth would have");
    assert!(known.contains(&key(today, 3)));
    let all = readers_keys_of(&alice.id(), &alice.reach, 0..DEVICES_MAX as u32, NOW);
    assert_eq!(all.iter().collect::<std::collections::BTreeSet<_>>().len(), 30, "no two slots or days share a key");
    let other = ReachSecret::from_bytes([9; 16]);
    assert!(readers_keys(&alice.id(), &other, NOW).iter().all(|k| !all.contains(k)));
    assert!(readers_keys(&AccountId::from_bytes([0xff; 32]), &other, NOW).is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn c05_57_any_bytes_at_any_time_are_refused_without_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..600), now in any::<u64>(), cut in 0usize..2_000, bit in 0u8..8,
    ) {
        let mut alice = Publisher::new(1);
        let (key, honest) = alice.record(0, NOW.day(), SEQUENCE);
        let mut record = honest.clone();
        let (id, device) = (alice.id(), alice.person.devices[0].info());
        let now = Timestamp::from_millis(now);
        let at = cut % record.len();
        record[at] ^= 1 << bit;
        for bytes in [&bytes, &record, &record[..at].to_vec()] {
            prop_assert!(record::check_record(&key, bytes, now).is_err());
            prop_assert!(Descriptor::open(&id, &alice.reach, &key, bytes, NOW).is_err());
            prop_assert!(crate::prekey::Bundle::verify(bytes, &id, device, now).is_err());
            prop_assert!(crate::prekey::HandedKey::decode(bytes).is_err());
            prop_assert!(DeviceLog::decode(id, bytes, now).is_err());
            prop_assert!(bytes == &record || !record::supersedes(&honest, bytes, NOW));
        }
    }
}
