//! The rules of SPEC.md on records, certificates, prekeys and bundles, told with a publisher, storing nodes and hostile
//! holders of a device's keys.

use super::{
    bundle,
    certificate::{Certificate, Request, certify},
    descriptor::{self, tests::Publisher},
    record::{self, record_key_of},
    *,
};
use crate::{
    Day, Timestamp,
    crypto::{aead, label},
    identity::device_log::tests::NOW,
    limits::{
        ADDRESSES_MAX, BUNDLE_USABLE_MS, CLOCK_SKEW_MS, DESCRIPTOR_DAYS_AHEAD, DESCRIPTOR_MAX, MAILBOXES_MAX,
        PREKEY_RETENTION_DAYS,
    },
    proto::prekey as proto,
    wire::{self, Signed, mutate_test::every_field_altered},
};

const SEQUENCE: u64 = NOW.as_millis();

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|w| w == needle)
}

fn payload(record: &[u8]) -> proto::RecordPayload {
    wire::decode(&Signed::decode(record, DESCRIPTOR_MAX).unwrap().payload, DESCRIPTOR_MAX).unwrap()
}

/// Signs an altered payload again, as the holder of the record key can.
fn resigned(alice: &Publisher, day: Day, payload: Vec<u8>) -> Vec<u8> {
    Signed::sign(label::RECORD, payload, &alice.certificates.signer(day).unwrap().key).encode()
}

#[test]
fn r_desc_2_records_of_two_days_or_slots_have_nothing_in_common_and_name_nobody() {
    let mut alice = Publisher::with_devices(1, 2);
    let mut records: Vec<Vec<u8>> = (0..3).map(|ahead| alice.record(0, NOW.day().plus(ahead), SEQUENCE).1).collect();
    alice.move_to_slot(1);
    records.push(alice.record(1, NOW.day(), SEQUENCE).1);
    let account = alice.id();
    for (at, bytes) in records.iter().enumerate() {
        let mine = payload(bytes);
        for device in &alice.person.devices {
            for name in [account.as_bytes().as_slice(), device.id().as_bytes(), device.info().sign_pk.as_bytes()] {
                assert!(!contains(bytes, name), "a record names its account or device");
            }
        }
        for other in records.iter().skip(at + 1).map(|r| payload(r)) {
            assert_ne!(mine.record_key, other.record_key);
            assert_ne!(mine.certificate, other.certificate);
            assert_eq!(mine.blinded_key == other.blinded_key, mine.day == other.day);
        }
    }
}

#[test]
fn r_desc_2_certificate_counts_for_its_day_slot_and_record_key_alone() {
    let mut alice = Publisher::new(1);
    let requests = Certificates::default().requests(&alice.id(), &alice.reach, 3, NOW, &mut alice.rng);
    let good = certify(&alice.person.account, &alice.reach, &requests).unwrap()[0];
    assert_eq!(good.verify(), Ok(()));
    let Request { day, slot, record_pk } = good.request;
    let other_key = requests[1].record_pk;
    for request in [
        Request { day: day.plus(1), slot, record_pk },
        Request { day, slot: slot + 1, record_pk },
        Request { day, slot, record_pk: other_key },
    ] {
        assert!(Certificate { request, ..good }.verify().is_err(), "{request:?}");
    }
    // So a device that was certified for its slot writes no other, whatever it signs with its record key.
    let (_, bytes) = alice.record(0, NOW.day(), SEQUENCE);
    let stolen = wire::encode(&proto::RecordPayload { slot: 1, ..payload(&bytes) });
    let key = record_key_of(&alice.id(), &alice.reach, NOW.day(), 1).unwrap();
    assert_eq!(check_record(&key, &resigned(&alice, NOW.day(), stolen), NOW), Err(record::Error::BadSignature));
}

#[test]
fn r_desc_4_every_field_altered_and_signed_again_is_refused_by_storing_node_or_reader() {
    let mut alice = Publisher::new(1);
    let day = NOW.day();
    let (key, bytes) = alice.record(0, day, SEQUENCE);
    let signed = Signed::decode(&bytes, DESCRIPTOR_MAX).unwrap();
    let (mut stored, mut tried) = (0, 0);
    for altered in every_field_altered(&signed.payload) {
        let forged = resigned(&alice, day, altered.bytes);
        tried += 1;
        match check_record(&key, &forged, NOW) {
            Err(_) => {}
            // What a storing node cannot judge, the reader does: everything is bound to the value. (Left out, the value
            // says that the slot is empty, which the record key's holder may say.)
            Ok(meta) => {
                stored += 1;
                let read = Descriptor::open(&alice.id(), &alice.reach, &key, &forged, NOW).unwrap_err();
                assert!(
                    read == descriptor::Error::NotAuthentic || meta.empty && altered.what.contains("left out"),
                    "{}: {read}",
                    altered.what
                );
            }
        }
    }
    assert!(tried > 40 && stored > 0 && stored < tried / 2, "{stored} of {tried}");
    // Signed by anybody else, every alteration is refused by the storing node itself.
    for altered in every_field_altered(&bytes) {
        assert!(check_record(&key, &altered.bytes, NOW).is_err(), "{}", altered.what);
    }
}

#[test]
fn c05_21_r_desc_4_garbage_oversized_foreign_and_expired_records_are_refused_and_the_stored_one_stays() {
    let (mut alice, mut bob) = (Publisher::new(1), Publisher::new(2));
    let day = NOW.day();
    let (key, good) = alice.record(0, day, SEQUENCE);
    let (bobs_key, bobs) = bob.record(0, day, SEQUENCE + 1);
    let check = |key, bytes: &[u8], now| check_record(key, bytes, now).unwrap_err();
    assert_eq!(check(&key, &bobs, NOW), record::Error::WrongKey);
    assert_eq!(check(&bobs_key, &good, NOW), record::Error::WrongKey);
    for garbage in [vec![], vec![0; 100], vec![0xff; 1000]] {
        assert!(matches!(check(&key, &garbage, NOW), record::Error::Wire(_)));
        assert!(!supersedes(&good, &garbage, NOW));
    }
    let oversized = vec![0x0a; DESCRIPTOR_MAX + 1];
    let too_large = wire::Error::TooLarge { max: DESCRIPTOR_MAX };
    assert_eq!(check(&key, &oversized, NOW), record::Error::Wire(too_large));
    assert_eq!(check(&key, &good, day.plus(2).start()), record::Error::Day);
    let shorter = wire::encode(&proto::RecordPayload { expires_ms: NOW.as_millis(), ..payload(&good) });
    assert_eq!(check(&key, &resigned(&alice, day, shorter), NOW), record::Error::Expired);
    let longer = wire::encode(&proto::RecordPayload { expires_ms: u64::MAX, ..payload(&good) });
    assert_eq!(check(&key, &resigned(&alice, day, longer), NOW), record::Error::Expiry);
    let ahead = day.plus(DESCRIPTOR_DAYS_AHEAD + 2);
    let (far_key, far) = alice.record(0, ahead, SEQUENCE);
    assert_eq!(check(&far_key, &far, NOW), record::Error::Day);
    assert!(check_record(&key, &good, NOW).is_ok());
}

#[test]
fn r_desc_5_equal_bytes_and_higher_sequences_replace_and_nothing_else_does() {
    let mut alice = Publisher::new(1);
    let day = NOW.day();
    let (_, old) = alice.record(0, day, SEQUENCE);
    let (_, twin) = alice.record(0, day, SEQUENCE);
    let (_, newer) = alice.record(0, day, SEQUENCE + 1);
    assert_ne!(old, twin);
    assert!(supersedes(&old, &old, NOW));
    assert!(supersedes(&old, &newer, NOW));
    assert!(!supersedes(&old, &twin, NOW), "equal sequence, other bytes");
    assert!(!supersedes(&newer, &old, NOW));
    // A stored sequence from the far future holds no slot for ever.
    let (_, absurd) = alice.record(0, day, u64::MAX);
    assert!(supersedes(&absurd, &old, NOW));
    let empty = alice.certificates.signer(day).unwrap().empty(SEQUENCE + 2);
    assert!(supersedes(&newer, &empty, NOW) && !supersedes(&empty, &newer, NOW));
}

/// Opens a record's value and seals an altered one in its place, as a hostile device of the account can.
fn with_value(alice: &mut Publisher, day: Day, change: impl FnOnce(&mut proto::DescriptorValue)) -> Vec<u8> {
    let (_, bytes) = alice.record(0, day, SEQUENCE);
    let signer = alice.certificates.signer(day).unwrap();
    let (meta, key) = (signer.meta(SEQUENCE, false), descriptor::value_key(&alice.id(), &alice.reach, day, 0));
    let certificate = &signer.certificate;
    let aad = record::Record::associated_data(&meta, &certificate.blinded, &certificate.request.record_pk);
    let plain = aead::open_random(&key, &aad, &payload(&bytes).ciphertext).unwrap();
    let mut value: proto::DescriptorValue = wire::decode(&plain, DESCRIPTOR_MAX).unwrap();
    change(&mut value);
    signer.sign(&meta, aead::seal_random(&key, &aad, &wire::encode(&value), &mut alice.rng))
}

#[test]
fn r_desc_8_a_record_carries_no_one_time_key() {
    let mut alice = Publisher::new(1);
    let mut handed = OneTimeKeys::default();
    let keys = handed.refill(NOW, &mut alice.rng);
    assert_eq!(keys.len(), 4);
    with_value(&mut alice, NOW.day(), |value| {
        let plain = wire::encode(value);
        for key in &keys {
            assert!(!contains(&plain, key.key.as_bytes()));
        }
        // Whoever reads it twice reads the same keys: there is nothing in it that could be used up.
        assert!(contains(&plain, &value.bundle));
    });
    let (first, second) = (alice.bundle(0, NOW), alice.bundle(0, NOW));
    let read = |signed: &Signed| wire::decode::<proto::Bundle>(&signed.payload, 4096).unwrap();
    assert_eq!(proto::Bundle { sequence: 0, ..read(&first) }, proto::Bundle { sequence: 0, ..read(&second) });
}

#[test]
fn r_desc_9_records_are_published_seven_days_and_certified_thirty_with_an_alert_below_seven() {
    let mut alice = Publisher::new(1);
    let bundle = alice.bundle(0, NOW);
    let (id, addresses) = (alice.id(), [descriptor::tests::ADDRESS.to_owned()]);
    let parts = DescriptorParts {
        bundle: &bundle,
        log: &alice.person.log,
        peer_id: &[1; 38],
        addresses: &addresses,
        mailboxes: &[],
        sequence: SEQUENCE,
    };
    let published = parts.publish(&id, &alice.reach, &alice.certificates, NOW, &mut alice.rng).unwrap();
    let expected: Vec<_> =
        (0..=6).map(|ahead| record_key_of(&id, &alice.reach, NOW.day().plus(ahead), 0).unwrap()).collect();
    assert_eq!(published.iter().map(|(key, _)| *key).collect::<Vec<_>>(), expected);
    for (key, bytes) in &published {
        assert!(check_record(key, bytes, NOW).is_ok());
    }
    assert_eq!(alice.certificates.days_ahead(NOW), 30);
    for (days, ahead, low) in [(0, 30, false), (23, 7, false), (24, 6, true), (30, 0, true), (31, 0, true)] {
        let then = NOW.plus_days(days);
        assert_eq!((alice.certificates.days_ahead(then), alice.certificates.is_low(then)), (ahead, low), "{days}");
    }
}

#[test]
fn r_desc_10_a_ninth_address_and_a_fifth_mailbox_are_refused_by_writer_and_reader() {
    let mut alice = Publisher::new(1);
    let day = NOW.day();
    let key = record_key_of(&alice.id(), &alice.reach, day, 0).unwrap();
    let address = descriptor::tests::ADDRESS.to_owned();
    let open = |alice: &Publisher, bytes: &[u8]| Descriptor::open(&alice.id(), &alice.reach, &key, bytes, NOW);
    for (addresses, mailboxes, max) in [(ADDRESSES_MAX + 1, 0, ADDRESSES_MAX), (0, MAILBOXES_MAX + 1, MAILBOXES_MAX)] {
        let (addresses, mailboxes) = (vec![address.clone(); addresses], vec![vec![1]; mailboxes]);
        let bundle = alice.bundle(0, NOW);
        let parts = DescriptorParts {
            bundle: &bundle,
            log: &alice.person.log,
            peer_id: &[1; 38],
            addresses: &addresses,
            mailboxes: &mailboxes,
            sequence: SEQUENCE,
        };
        let signer = alice.certificates.signer(day).unwrap();
        let refused = Some(descriptor::Error::Wire(wire::Error::TooMany { max }));
        assert_eq!(parts.seal(&alice.id(), &alice.reach, &signer, &mut alice.rng).err(), refused);
        let hostile = with_value(&mut alice, day, |value| {
            value.padding.clear();
            (value.addresses, value.mailboxes) = (addresses, mailboxes);
        });
        assert_eq!(open(&alice, &hostile).err(), refused);
    }
    let unchanged = with_value(&mut alice, day, |_| {});
    assert!(open(&alice, &unchanged).is_ok());
}

#[test]
fn r_pre_1_keys_are_replaced_daily_live_sixty_one_days_more_and_are_then_gone() {
    let mut alice = Publisher::new(1);
    let (id, day) = (alice.pool.current().id(), NOW.day());
    let secret = *alice.pool.current().signed_prekey().to_bytes().as_bytes();
    assert!(!alice.pool.rotate(NOW, &mut alice.rng));
    let mut now = NOW;
    for days in 1..=u64::from(PREKEY_RETENTION_DAYS) {
        now = NOW.plus_days(days);
        assert!(alice.pool.rotate(now, &mut alice.rng), "day {days}");
        assert!(alice.pool.delete_expired(true, now).is_empty(), "day {days}");
        assert!(alice.pool.by_id(id).is_some() && alice.pool.mailbox_key(day).is_some(), "day {days}");
    }
    now = now.plus_days(1);
    // Not before every mailbox was read: mail sealed to it may lie there.
    assert!(alice.pool.delete_expired(false, now).is_empty());
    assert_eq!(alice.pool.delete_expired(true, now), [id]);
    assert!(alice.pool.by_id(id).is_none() && alice.pool.mailbox_key(day).is_none());
    let config = bincode::config::standard();
    let stored = bincode::serde::encode_to_vec(alice.pool.to_stored(), config).unwrap();
    assert!(!contains(&stored, &secret));
    assert!(contains(&stored, alice.pool.current().signed_prekey().to_bytes().as_bytes()));
}

#[test]
fn r_pre_3_a_bundle_out_of_its_time_altered_or_below_the_floor_is_refused() {
    let mut alice = Publisher::new(1);
    let signed = alice.bundle(0, NOW);
    let (id, info) = (alice.id(), alice.person.devices[0].info().clone());
    let verify = |signed: &Signed, now| Bundle::verify(&signed.encode(), &id, &info, now);
    let good = verify(&signed, NOW).unwrap();
    assert!(!good.is_stale(NOW) && good.is_stale(NOW.plus_days(8)));
    assert!(verify(&signed, NOW.plus_millis(BUNDLE_USABLE_MS)).is_ok());
    assert_eq!(verify(&signed, NOW.plus_millis(BUNDLE_USABLE_MS + 1)), Err(bundle::Error::Expired));
    assert!(verify(&signed, NOW.minus_millis(CLOCK_SKEW_MS)).is_ok());
    assert!(verify(&signed, NOW.minus_millis(CLOCK_SKEW_MS + 1)).is_err());
    assert!(verify(&signed, Timestamp::default()).is_err());

    let resign = |payload: Vec<u8>| Signed::sign(label::BUNDLE, payload, alice.person.devices[0].sign());
    let wire: proto::Bundle = wire::decode(&signed.payload, 4096).unwrap();
    for (suite, min_suite) in [(0, 0), (0, 1), (1, 0), (2, 2), (1, 2)] {
        let other = wire::encode(&proto::Bundle { suite, min_suite, ..wire.clone() });
        assert_eq!(verify(&resign(other), NOW), Err(bundle::Error::Suite { suite }), "{suite} {min_suite}");
    }
    // The floor of a contact only rises, and a lower sequence than the pinned one is refused.
    assert_eq!(good.check_pins(Some(good.seq()), 1, NOW), Ok(1));
    assert_eq!(good.check_pins(None, 2, NOW), Err(bundle::Error::Suite { suite: 1 }));
    assert!(good.check_pins(Some(good.seq() + 1), 1, NOW).is_err());

    // Altered inside and signed again by its own device: refused, or a bundle with another id and the same owner.
    let mut accepted = 0;
    for altered in every_field_altered(&signed.payload) {
        if let Ok(other) = verify(&resign(altered.bytes), NOW) {
            accepted += 1;
            assert_ne!(other.bundle_id(), good.bundle_id(), "{}", altered.what);
            assert_eq!((other.account(), other.device_id()), (id, info.id), "{}", altered.what);
        }
    }
    assert!(accepted > 0);
    for altered in every_field_altered(&signed.encode()) {
        assert!(Bundle::verify(&altered.bytes, &id, &info, NOW).is_err(), "{}", altered.what);
    }
}
