//! What a storing node, which knows nobody's code, accepts and refuses.

use super::*;
use crate::{crypto::sign::SigningKey, identity::device_log::tests::NOW, prekey::descriptor::tests::Publisher};

const SEQUENCE: u64 = NOW.as_millis();

/// Signs an altered copy with the record key that signed the original, as a hostile device would.
fn bent(record: &[u8], key: &SigningKey, bend: impl FnOnce(&mut proto::RecordPayload)) -> Vec<u8> {
    let signed = Signed::decode(record, DESCRIPTOR_MAX).unwrap();
    let mut inner: proto::RecordPayload = wire::decode(&signed.payload, DESCRIPTOR_MAX).unwrap();
    bend(&mut inner);
    Signed::sign(label::RECORD, wire::encode(&inner), key).encode()
}

#[test]
fn r_desc_4_a_good_record_is_accepted_on_each_day_it_is_published_for_until_it_ends() {
    let mut alice = Publisher::new(1);
    for ahead in 0..=DESCRIPTOR_DAYS_AHEAD {
        let day = NOW.day().plus(ahead);
        let (key, bytes) = alice.record(0, day, SEQUENCE);
        let end = day.plus(2).start();
        let meta = RecordMeta { seq: SEQUENCE, expires: end, day, slot: 0, empty: false };
        assert_eq!(check_record(&key, &bytes, NOW), Ok(meta));
        assert_eq!(check_record(&key, &bytes, end.minus_millis(1)), Ok(meta));
        assert!(matches!(check_record(&key, &bytes, end), Err(Error::Day | Error::Expired)));
    }
    let (key, bytes) = alice.record(0, NOW.day().plus(8), SEQUENCE);
    assert_eq!(check_record(&key, &bytes, NOW), Err(Error::Day));
}

#[test]
fn c05_21_garbage_oversized_and_foreign_records_under_a_victims_key_are_refused() {
    let mut alice = Publisher::new(1);
    let mut mallory = Publisher::new(2);
    let (key, honest) = alice.record(0, NOW.day(), SEQUENCE);
    let (_, foreign) = mallory.record(0, NOW.day(), SEQUENCE);
    assert_eq!(check_record(&key, &foreign, NOW), Err(Error::WrongKey));
    for garbage in [vec![], vec![0], vec![7; 500], b"GET / HTTP/1.1".to_vec(), vec![0xff; DESCRIPTOR_MAX]] {
        let error = check_record(&key, &garbage, NOW).unwrap_err();
        assert!(matches!(error, Error::Wire(_)), "{error:?}");
        assert_eq!(error.fault(), Fault::Peer);
    }
    let too_large = wire::Error::TooLarge { max: DESCRIPTOR_MAX };
    assert_eq!(check_record(&key, &vec![0; DESCRIPTOR_MAX + 1], NOW), Err(Error::Wire(too_large)));
    // The attacker's own keys with the victim's blinded key in front: nobody certified them.
    let signer = mallory.certificates.signer(NOW.day()).unwrap();
    let victims = Signed::decode(&honest, DESCRIPTOR_MAX).unwrap();
    let victims: proto::RecordPayload = wire::decode(&victims.payload, DESCRIPTOR_MAX).unwrap();
    let claimed = bent(&foreign, &signer.key, |r| r.blinded_key = victims.blinded_key.clone());
    assert_eq!(check_record(&key, &claimed, NOW), Err(Error::BadSignature));
    let replanted = bent(&foreign, &signer.key, |r| {
        r.blinded_key = victims.blinded_key.clone();
        r.certificate = victims.certificate.clone();
    });
    assert_eq!(check_record(&key, &replanted, NOW), Err(Error::BadSignature));
    let resigned = bent(&honest, &signer.key, |r| r.sequence += 1);
    assert_eq!(check_record(&key, &resigned, NOW), Err(Error::BadSignature));
    for refused in [&foreign, &claimed, &resigned] {
        assert!(check_record(&key, refused, NOW).is_err() && check_record(&key, &honest, NOW).is_ok());
    }
}

#[test]
fn r_desc_4_every_field_of_a_record_altered_and_signed_again_by_its_key_is_refused() {
    type Bend = fn(&mut proto::RecordPayload);
    let mut alice = Publisher::new(1);
    let (key, honest) = alice.record(0, NOW.day(), SEQUENCE);
    let signer = alice.certificates.signer(NOW.day()).unwrap();
    let bends: &[(&str, Bend)] = &[
        ("version 0", |r| r.version = 0),
        ("version 2", |r| r.version = 2),
        ("yesterday", |r| r.day -= 1),
        ("tomorrow", |r| r.day += 1),
        ("the last day", |r| r.day = u32::MAX),
        ("another slot", |r| r.slot = 1),
        ("no such slot", |r| r.slot = 10),
        ("no blinded key", |r| r.blinded_key.clear()),
        ("weak blinded key", |r| r.blinded_key = [&[1][..], &[0; 31]].concat()),
        ("another blinded key", |r| r.blinded_key = r.record_key.clone()),
        ("weak record key", |r| r.record_key = [&[1][..], &[0; 31]].concat()),
        ("another record key", |r| r.record_key = r.blinded_key.clone()),
        ("no certificate", |r| r.certificate.clear()),
        ("bent certificate", |r| r.certificate[9] ^= 1),
        ("sequence at the end", |r| r.sequence = u64::MAX),
        ("expired", |r| r.expires_ms = NOW.as_millis()),
        ("no expiry", |r| r.expires_ms = 0),
        ("lives for ever", |r| r.expires_ms = u64::MAX),
        ("lives a millisecond too long", |r| r.expires_ms += 1),
    ];
    for (what, bend) in bends {
        let result = check_record(&key, &bent(&honest, &signer.key, bend), NOW);
        assert!(result.is_err(), "{what} was accepted: {result:?}");
    }
    // The value is the device's own business; a reader finds out (descriptor tests).
    let meta = check_record(&key, &bent(&honest, &signer.key, |r| r.ciphertext.truncate(9)), NOW).unwrap();
    assert!(!meta.empty);
}

#[test]
fn r_desc_5_equal_bytes_and_higher_sequences_replace_lower_and_equal_but_different_do_not() {
    let mut alice = Publisher::new(1);
    let mut record = |sequence| alice.record(0, NOW.day(), sequence).1;
    let (stored, twin, newer, older) = (record(SEQUENCE), record(SEQUENCE), record(SEQUENCE + 1), record(SEQUENCE - 1));
    assert_ne!(stored, twin);
    assert!(supersedes(&stored, &stored, NOW));
    assert!(supersedes(&stored, &newer, NOW));
    assert!(!supersedes(&stored, &twin, NOW));
    assert!(!supersedes(&stored, &older, NOW));
    assert!(!supersedes(&stored, b"garbage", NOW));
    assert!(supersedes(b"what an older version stored", &stored, NOW));
}

#[test]
fn c05_20_r_desc_6_a_sequence_that_no_clock_reaches_is_refused_and_never_blocks() {
    let mut alice = Publisher::new(1);
    let day = 86_400_000;
    let (key, bound) = alice.record(0, NOW.day(), SEQUENCE + day);
    assert!(check_record(&key, &bound, NOW).is_ok());
    for sequence in [SEQUENCE + day + 1, u64::MAX] {
        let (key, record) = alice.record(0, NOW.day(), sequence);
        assert_eq!(check_record(&key, &record, NOW), Err(Error::Sequence(sequence::Error::Ahead)));
        let (_, honest) = alice.record(0, NOW.day(), SEQUENCE);
        assert!(supersedes(&record, &honest, NOW), "stored while our clock was wrong");
    }
}

#[test]
fn an_empty_record_takes_the_place_of_what_was_published() {
    let mut alice = Publisher::new(1);
    let (key, published) = alice.record(0, NOW.day(), SEQUENCE);
    let signer = alice.certificates.signer(NOW.day()).unwrap();
    assert_eq!(signer.record_key(), key);
    let empty = signer.empty(SEQUENCE + 1);
    assert!(check_record(&key, &empty, NOW).unwrap().empty);
    assert!(supersedes(&published, &empty, NOW) && !supersedes(&empty, &published, NOW));
}

#[test]
fn c05_57_a_record_cut_or_bent_anywhere_is_refused() {
    let mut alice = Publisher::new(1);
    let (key, valid) = alice.record(0, NOW.day(), SEQUENCE);
    for at in 0..valid.len() {
        assert!(check_record(&key, &valid[..at], NOW).is_err(), "cut at {at}");
        let mut bad = valid.clone();
        bad[at] ^= 1 << (at % 8);
        assert!(check_record(&key, &bad, NOW).is_err(), "byte {at}");
    }
}

#[test]
fn clocks_at_the_ends_of_time_refuse_without_panic() {
    let mut alice = Publisher::new(1);
    let (key, record) = alice.record(0, NOW.day(), SEQUENCE);
    for now in [0, 1, u64::MAX - 1, u64::MAX, NOW.as_millis() + 3_650 * 86_400_000].map(Timestamp::from_millis) {
        assert!(check_record(&key, &record, now).is_err(), "{now:?}");
    }
}
