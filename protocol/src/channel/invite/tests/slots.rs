//! Slot records as storing nodes and relays see them, who know no invite.

use super::*;
use crate::{
    Day, Fault, RecordKey,
    crypto::{Secret, label, sign::SigningKey},
    limits::{DESCRIPTOR_DAYS_AHEAD, DESCRIPTOR_MAX, INVITE_SLOTS, KEPT_MAX},
    prekey::{RecordMeta, check_record, record::Error, sequence},
    proto::{invite as proto, wire::Sum},
    wire::{decode, encode, mutate_test::every_field_altered},
};

/// What Dora knows who was removed, and every member: the invite's public half.
fn public() -> InvitePublic {
    code(1).keys().public()
}

/// Takes a slot record apart.
fn signed(record: &[u8]) -> Signed {
    Signed::decode(&decode::<Sum>(record, DESCRIPTOR_MAX).unwrap().body, DESCRIPTOR_MAX).unwrap()
}

fn payload(record: &[u8]) -> proto::SlotPayload {
    decode(&signed(record).payload, DESCRIPTOR_MAX).unwrap()
}

/// Signs any payload as a slot record.
fn sign(payload: Vec<u8>, key: &SigningKey) -> Vec<u8> {
    encode(&Sum { kind: 2, body: Signed::sign(label::INVITE_SLOT, payload, key).encode() })
}

/// The key of slot 1 today, as whoever knows the public half derives it.
fn slot_key() -> SigningKey {
    let info = crate::wire::Transcript::new(label::INVITE_SLOT_SEED).u32(NOW.day().0).u32(1).bytes();
    let seed: Secret<32> = crate::crypto::kdf::hkdf(&[], public().sign.as_bytes(), &info);
    SigningKey::from_seed(&seed)
}

fn record_at(day: Day, sequence: u64) -> (RecordKey, Vec<u8>) {
    let (alice, slot) = (alice(), public().slot(day, 1).unwrap());
    let posted = InviteRecord { sequence, ..record() };
    let bytes =
        posted.post(&slot, &alice.account.id(), &alice.devices[0], &mut rng(sequence + u64::from(day.0))).unwrap();
    (slot.record_key(), bytes)
}

#[test]
fn r_inv_4_names_keys_and_marks_differ_by_invite_day_slot_and_relay() {
    let mut names = std::collections::BTreeSet::new();
    let mut expected = 0;
    for invite in [code(1), code(2)].map(|code| code.keys().public()) {
        for ahead in 0..3 {
            for slot in (0..INVITE_SLOTS).map(|n| invite.slot(NOW.day().plus(ahead), n).unwrap()) {
                names.insert(*slot.record_key().as_bytes());
                names.extend(["relay a", "relay b"].map(|peer| *slot.kept_id(peer).as_bytes()));
                expected += 3;
            }
        }
        names.extend([channel(1), channel(2)].map(|c| *invite.join_key(&c).public().as_bytes()));
        expected += 2;
    }
    assert_eq!(names.len(), expected);
    assert!(public().slot(NOW.day(), INVITE_SLOTS).is_none() && public().slot(NOW.day(), u32::MAX).is_none());
}

#[test]
fn r_inv_4_slot_records_show_nothing_of_invite_channel_or_author_and_two_have_nothing_in_common() {
    let (code, alice) = (code(1), alice());
    let records: Vec<Vec<u8>> = (0..3).map(|ahead| record_at(NOW.day().plus(ahead), SEQUENCE).1).collect();
    let body = crate::code::decode(&code.to_string(), crate::identity::CodeKind::Invite).unwrap();
    let (id, device) = (alice.account.id(), alice.devices[0].info());
    let (public, channel) = (public(), channel(1));
    let hidden: [&[u8]; 9] = [
        public.sign.as_bytes(),
        public.seal.as_bytes(),
        &body[..16],
        &body[16..],
        channel.as_bytes(),
        id.as_bytes(),
        device.sign_pk.as_bytes(),
        b"book club",
        ADDRESS.as_bytes(),
    ];
    for (at, bytes) in records.iter().enumerate() {
        for canary in hidden {
            assert!(!contains(bytes, canary), "{canary:02x?} can be read by anybody");
        }
        let runs: std::collections::BTreeSet<&[u8]> = bytes.windows(12).collect();
        for other in &records[at + 1..] {
            assert!(!other.windows(12).any(|w| runs.contains(w)), "two days can be linked");
        }
    }
}

#[test]
fn r_inv_5_a_good_record_is_accepted_on_each_day_it_is_published_for_until_it_ends() {
    for ahead in 0..=DESCRIPTOR_DAYS_AHEAD {
        let day = NOW.day().plus(ahead);
        let (key, bytes) = record_at(day, SEQUENCE);
        let end = day.plus(2).start();
        let meta = RecordMeta { seq: SEQUENCE, expires: end, day, slot: 1, empty: false };
        assert_eq!(check_slot(&key, &bytes, NOW), Ok(meta));
        assert_eq!(check_slot(&key, &bytes, end.minus_millis(1)), Ok(meta));
        assert!(matches!(check_slot(&key, &bytes, end), Err(Error::Day | Error::Expired)));
    }
    let (key, bytes) = record_at(NOW.day().plus(8), SEQUENCE);
    assert_eq!(check_slot(&key, &bytes, NOW), Err(Error::Day));
    for now in [0, 1, u64::MAX - 1, u64::MAX].map(Timestamp::from_millis) {
        assert!(check_slot(&key, &bytes, now).is_err(), "{now:?}");
    }
}

#[test]
fn r_inv_5_who_does_not_know_the_public_half_cannot_write_the_name() {
    let (key, honest) = record_at(NOW.day(), SEQUENCE);
    let outsider = SigningKey::from_seed(&Secret::new([6; 32]));
    let theirs = encode(&proto::SlotPayload { slot_key: outsider.public().as_bytes().to_vec(), ..payload(&honest) });
    assert_eq!(check_slot(&key, &sign(theirs, &outsider), NOW), Err(Error::WrongKey));
    let newer = encode(&proto::SlotPayload { sequence: SEQUENCE + 1, ..payload(&honest) });
    assert_eq!(check_slot(&key, &sign(newer, &outsider), NOW), Err(Error::BadSignature));
    let other = code(2).keys().public().slot(NOW.day(), 1).unwrap();
    assert_eq!(check_slot(&key, &other.empty(SEQUENCE), NOW), Err(Error::WrongKey));
    // A removed member knows the public half: it can write, and thereby disturb; it is no secret that it can.
    let disturbed = public().slot(NOW.day(), 1).unwrap().empty(SEQUENCE + 1);
    assert!(check_slot(&key, &disturbed, NOW).unwrap().empty);
    assert_eq!(open(&disturbed), Err(record::Error::Empty { sequence: SEQUENCE + 1 }));
}

#[test]
fn r_inv_5_every_field_altered_is_refused_by_the_storing_node_or_if_its_key_signs_again_by_the_reader() {
    let (key, honest) = record_at(NOW.day(), SEQUENCE);
    for altered in every_field_altered(&honest).into_iter().chain(every_field_altered(&signed(&honest).encode())) {
        assert!(check_slot(&key, &altered.bytes, NOW).is_err(), "{}", altered.what);
    }
    let (mut tried, mut stored) = (0, 0);
    for altered in every_field_altered(&signed(&honest).payload) {
        let forged = sign(altered.bytes, &slot_key());
        tried += 1;
        if let Ok(meta) = check_slot(&key, &forged, NOW) {
            stored += 1;
            let read = open(&forged).unwrap_err();
            let emptied = meta.empty && altered.what.contains("left out");
            assert!(read == record::Error::NotAuthentic || emptied, "{}: {read}", altered.what);
        }
    }
    assert!(tried > 30 && stored > 0 && stored < tried / 2, "{stored} of {tried}");
}

#[test]
fn r_inv_5_what_cannot_be_a_slot_record_is_refused_by_name() {
    type Bend = fn(&mut proto::SlotPayload);
    let (key, honest) = record_at(NOW.day(), SEQUENCE);
    let bends: &[(&str, Bend, Error)] = &[
        ("yesterday's day", |p| p.day -= 2, Error::Day),
        ("a day too far", |p| p.day += 8, Error::Day),
        ("a fifth slot", |p| p.slot = INVITE_SLOTS, Error::Slot),
        ("another slot", |p| p.slot = 2, Error::WrongKey),
        ("a weak key", |p| p.slot_key = [&[1][..], &[0; 31]].concat(), Error::BadKey),
        ("lapsed", |p| p.expires_ms = NOW.as_millis(), Error::Expired),
        ("lives too long", |p| p.expires_ms += 1, Error::Expiry),
        ("a sequence that no clock reaches", |p| p.sequence = u64::MAX, Error::Sequence(sequence::Error::Ahead)),
        ("a later version", |p| p.version = 2, Error::Wire(wire::Error::Unknown(2))),
    ];
    for (what, bend, error) in bends {
        let mut bent = payload(&honest);
        bend(&mut bent);
        assert_eq!(check_slot(&key, &sign(encode(&bent), &slot_key()), NOW), Err(*error), "{what}");
    }
    let too_large = wire::Error::TooLarge { max: DESCRIPTOR_MAX };
    assert_eq!(check_slot(&key, &vec![8; DESCRIPTOR_MAX + 1], NOW), Err(Error::Wire(too_large)));
    for garbage in [vec![], vec![0], vec![7; 500], vec![0xff; DESCRIPTOR_MAX]] {
        assert_eq!(check_slot(&key, &garbage, NOW).unwrap_err().fault(), Fault::Peer);
    }
    for at in 0..honest.len() {
        assert!(check_slot(&key, &honest[..at], NOW).is_err(), "cut at {at}");
        let mut bad = honest.clone();
        bad[at] ^= 1 << (at % 8);
        assert!(check_slot(&key, &bad, NOW).is_err(), "byte {at}");
    }
}

#[test]
fn r_inv_5_equal_bytes_and_higher_sequences_replace_lower_and_equal_but_different_do_not() {
    let at = |sequence| record_at(NOW.day(), sequence).1;
    let (stored, newer, older) = (at(SEQUENCE), at(SEQUENCE + 1), at(SEQUENCE - 1));
    let twin = public().slot(NOW.day(), 1).unwrap().empty(SEQUENCE);
    assert!(slot_supersedes(&stored, &stored, NOW) && slot_supersedes(&stored, &newer, NOW));
    assert!(!slot_supersedes(&stored, &twin, NOW) && !slot_supersedes(&stored, &older, NOW));
    assert!(!slot_supersedes(&stored, b"garbage", NOW));
    let unbelievable = public().slot(NOW.day(), 1).unwrap().empty(u64::MAX);
    assert!(slot_supersedes(&unbelievable, &stored, NOW), "stored while our clock was wrong");
}

#[test]
fn r_inv_5_slot_records_and_descriptors_are_told_apart_and_neither_passes_for_the_other() {
    let (key, slot) = record_at(NOW.day(), SEQUENCE);
    let mut publisher = crate::prekey::descriptor::tests::Publisher::new(1);
    let (descriptor_key, descriptor) = publisher.record(0, NOW.day(), SEQUENCE);
    assert!(is_slot_record(&slot) && !is_slot_record(&descriptor) && !is_slot_record(&[]));
    assert!(check_record(&key, &slot, NOW).is_err() && check_slot(&descriptor_key, &descriptor, NOW).is_err());
    let other_kind = encode(&Sum { kind: 3, ..decode(&slot, DESCRIPTOR_MAX).unwrap() });
    assert_eq!(check_slot(&key, &other_kind, NOW), Err(Error::Wire(wire::Error::Unknown(3))));
    assert!(!is_slot_record(&other_kind));
}

#[test]
fn r_inv_4_a_relay_keeps_a_record_that_it_cannot_open_under_a_name_of_its_own() {
    let (key, record) = record_at(NOW.day(), SEQUENCE);
    let slot = public().slot(NOW.day(), 1).unwrap();
    let sealed = slot.seal_kept("relay a", &record, &mut rng(5));
    assert!(sealed.len() <= KEPT_MAX && !contains(&sealed, &record[100..120]));
    assert_eq!(slot.open_kept("relay a", &sealed), Some(record.clone()));
    assert_eq!(slot.open_kept("relay b", &sealed), None);
    for other in
        [public().slot(NOW.day(), 2), public().slot(NOW.day().plus(1), 1), code(2).keys().public().slot(NOW.day(), 1)]
    {
        let other = other.unwrap();
        assert_eq!(other.open_kept("relay a", &sealed), None);
        assert_ne!(other.kept_id("relay a"), slot.kept_id("relay a"));
    }
    assert_ne!(slot.kept_id("relay a").as_bytes(), key.as_bytes());
    assert_eq!(slot.open_kept("relay a", &[]), None);
}
