//! Bundles that hostile devices sign, and their bounds in time and number.

use super::*;
use crate::{
    crypto::{dh::DhSecret, kem::KemSecret, sign::SigningKey},
    identity::device_log::tests::{NOW, Person},
    prekey::sequence,
};

const HOUR: u64 = 3_600_000;
const TEN_YEARS: u64 = 3_652;

fn signed(alice: &mut Person, now: Timestamp) -> Signed {
    let parts = BundleParts {
        signed_prekey_id: 7,
        signed_prekey: DhSecret::random(&mut alice.rng).public(),
        kem_prekey: KemSecret::random(&mut alice.rng).public(),
        mailbox_day: now.day(),
        mailbox_key: DhSecret::random(&mut alice.rng).public(),
        sequence: sequence::next(None, now),
    };
    Bundle::sign(alice.account.id(), &alice.devices[0], &parts, now)
}

fn verify(alice: &Person, bundle: &Signed, now: Timestamp) -> Result<Bundle, Error> {
    Bundle::verify(&bundle.encode(), &alice.account.id(), alice.devices[0].info(), now)
}

/// Signs an altered copy with the device's own key, as a hostile device would.
fn bent(bundle: &Signed, key: &SigningKey, bend: impl FnOnce(&mut proto::Bundle)) -> Signed {
    let mut inner: proto::Bundle = wire::decode(&bundle.payload, BUNDLE_MAX).unwrap();
    bend(&mut inner);
    Signed::sign(label::BUNDLE, wire::encode(&inner), key)
}

#[test]
fn a_verified_bundle_says_what_the_device_signed_and_keeps_its_bytes() {
    let mut alice = Person::new(1);
    let signed = signed(&mut alice, NOW);
    let bundle = verify(&alice, &signed, NOW).unwrap();
    assert_eq!(bundle.encode(), signed.encode());
    assert_eq!(*bundle.bundle_id(), signed.id(label::BUNDLE));
    assert_eq!((bundle.account(), bundle.device_id()), (alice.account.id(), alice.devices[0].id()));
    assert_eq!((bundle.suite(), bundle.min_suite(), bundle.signed_prekey_id()), (SUITE, SUITE, 7));
    assert_eq!((bundle.mailbox_day(), bundle.seq()), (NOW.day(), NOW.as_millis()));
}

#[test]
fn r_pre_3_a_bundle_is_fresh_for_seven_days_stale_until_thirty_and_then_refused() {
    let mut alice = Person::new(1);
    let signed = signed(&mut alice, NOW);
    let at = |ms: u64| verify(&alice, &signed, NOW.plus_millis(ms)).map(|b| b.is_stale(NOW.plus_millis(ms)));
    assert_eq!(at(0), Ok(false));
    assert_eq!(at(FRESH_MS), Ok(false));
    assert_eq!(at(FRESH_MS + 1), Ok(true));
    assert_eq!(at(BUNDLE_USABLE_MS), Ok(true));
    assert_eq!(at(BUNDLE_USABLE_MS + 1), Err(Error::Expired));
}

#[test]
fn c05_20_clocks_an_hour_apart_do_no_harm_and_years_apart_are_refused() {
    let mut alice = Person::new(1);
    for made in [NOW.plus_millis(HOUR), NOW.minus_millis(HOUR)] {
        let signed = signed(&mut alice, made);
        assert!(verify(&alice, &signed, NOW).is_ok());
    }
    let future = signed(&mut alice, NOW.plus_days(TEN_YEARS));
    assert_eq!(verify(&alice, &future, NOW), Err(Error::NotYet));
    let past = signed(&mut alice, Timestamp::from_millis(NOW.as_millis() - TEN_YEARS * 86_400_000));
    assert_eq!(verify(&alice, &past, NOW), Err(Error::Expired));
    for now in [Timestamp::default(), Timestamp::from_millis(u64::MAX)] {
        let signed = signed(&mut alice, NOW);
        assert!(verify(&alice, &signed, now).is_err(), "a reader whose clock is at {now:?}");
    }
}

#[test]
fn c05_20_far_future_ends_and_sequences_at_the_end_of_numbers_are_refused_and_brick_nothing() {
    let mut alice = Person::new(1);
    let honest = signed(&mut alice, NOW);
    let key = alice.devices[0].sign().clone();
    let last = bent(&honest, &key, |b| b.sequence = u64::MAX);
    assert_eq!(verify(&alice, &last, NOW), Err(Error::Sequence(sequence::Error::Ahead)));
    let endless = bent(&honest, &key, |b| b.not_after_ms = u64::MAX);
    assert_eq!(verify(&alice, &endless, NOW), Err(Error::Times));
    let bundle = verify(&alice, &honest, NOW).unwrap();
    assert_eq!(bundle.check_pins(Some(u64::MAX), SUITE, NOW), Ok(SUITE), "a pin beyond belief is ignored");
}

#[test]
fn c05_19_a_bundle_below_the_pinned_sequence_is_refused() {
    let mut alice = Person::new(1);
    let signed = signed(&mut alice, NOW);
    let bundle = verify(&alice, &signed, NOW).unwrap();
    let seq = bundle.seq();
    assert_eq!(bundle.check_pins(Some(seq), SUITE, NOW), Ok(SUITE));
    assert_eq!(bundle.check_pins(Some(seq - 1), SUITE, NOW), Ok(SUITE));
    assert_eq!(bundle.check_pins(Some(seq + 1), SUITE, NOW), Err(Error::Sequence(sequence::Error::Older)));
}

#[test]
fn c05_11_a_lower_suite_is_refused_and_the_floor_only_rises() {
    let mut alice = Person::new(1);
    let honest = signed(&mut alice, NOW);
    let key = alice.devices[0].sign().clone();
    for (suite, min_suite) in [(0, 0), (0, 1), (1, 0), (1, 2), (2, 2), (u32::MAX, u32::MAX)] {
        let bundle = bent(&honest, &key, |b| (b.suite, b.min_suite) = (suite, min_suite));
        assert_eq!(verify(&alice, &bundle, NOW), Err(Error::Suite { suite }), "{suite} {min_suite}");
    }
    let later = bent(&honest, &key, |b| b.suite = 9);
    let later = verify(&alice, &later, NOW).unwrap();
    assert_eq!(later.suite(), SUITE, "we speak the highest that both know");
    let bundle = verify(&alice, &honest, NOW).unwrap();
    assert_eq!(bundle.check_pins(None, 0, NOW), Ok(SUITE));
    assert_eq!(bundle.check_pins(None, 2, NOW), Err(Error::Suite { suite: 1 }), "a floor of a later version");
}

#[test]
fn every_field_of_a_bundle_altered_and_signed_again_by_its_device_is_refused() {
    type Bend = fn(&mut proto::Bundle);
    let mut alice = Person::new(1);
    let honest = signed(&mut alice, NOW);
    let key = alice.devices[0].sign().clone();
    let bends: &[(&str, Bend)] = &[
        ("version 0", |b| b.version = 0),
        ("version 2", |b| b.version = 2),
        ("no account", |b| b.account.clear()),
        ("another account", |b| b.account[3] ^= 1),
        ("no device", |b| b.device.clear()),
        ("another device", |b| b.device[3] ^= 1),
        ("sequence far ahead", |b| b.sequence += 2 * 86_400_000),
        ("begins after it ends", |b| b.not_before_ms = b.not_after_ms),
        ("ends before it begins", |b| b.not_after_ms = 0),
        ("begins in the future", |b| {
            b.not_before_ms += 3 * 86_400_000;
        }),
        ("lasts too long", |b| b.not_after_ms += 30 * 86_400_000),
        ("no signed prekey", |b| b.signed_prekey.clear()),
        ("weak signed prekey", |b| b.signed_prekey = vec![0; 32]),
        ("non-canonical signed prekey", |b| b.signed_prekey = vec![0xff; 32]),
        ("short ML-KEM prekey", |b| b.kem_prekey.truncate(1_183)),
        ("ML-KEM prekey over the modulus", |b| b.kem_prekey[..3].fill(0xff)),
        ("no mailbox key", |b| b.mailbox_key.clear()),
        ("weak mailbox key", |b| b.mailbox_key = vec![0; 32]),
        ("an unknown critical extension", |b| {
            b.extensions.push(crate::proto::wire::Extension { r#type: 9, critical: true, bytes: vec![1] });
        }),
    ];
    for (what, bend) in bends {
        let result = verify(&alice, &bent(&honest, &key, bend), NOW);
        assert!(result.is_err(), "{what} was accepted: {result:?}");
    }
    // What a device may freely choose harms itself alone: nobody finds a prekey by another name.
    for bend in [(|b| b.signed_prekey_id ^= 1) as Bend, |b| b.mailbox_day ^= 1, |b| b.sequence -= 1] {
        assert!(verify(&alice, &bent(&honest, &key, bend), NOW).is_ok());
    }
    let extended = bent(&honest, &key, |b| {
        b.extensions.push(crate::proto::wire::Extension { r#type: 9, critical: false, bytes: vec![1] });
    });
    assert_eq!(verify(&alice, &extended, NOW).unwrap().encode(), extended.encode(), "kept for who knows it");
}

#[test]
fn a_bundle_under_another_key_label_or_device_is_refused() {
    let mut alice = Person::with_devices(1, 2);
    let mallory = Person::new(2);
    let honest = signed(&mut alice, NOW);
    let by = |key: &SigningKey, label| Signed::sign(label, honest.payload.clone(), key);
    for key in [mallory.devices[0].sign(), alice.devices[1].sign(), alice.account.root()] {
        assert_eq!(verify(&alice, &by(key, label::BUNDLE), NOW), Err(Error::BadSignature));
    }
    assert_eq!(verify(&alice, &by(alice.devices[0].sign(), label::RECORD), NOW), Err(Error::BadSignature));
    let as_other = Bundle::verify(&honest.encode(), &alice.account.id(), alice.devices[1].info(), NOW);
    assert_eq!(as_other, Err(Error::BadSignature));
    let as_mallory = Bundle::verify(&honest.encode(), &mallory.account.id(), alice.devices[0].info(), NOW);
    assert_eq!(as_mallory, Err(Error::OtherDevice), "somebody else's device log cannot claim the bundle");
}

#[test]
fn c05_57_a_bundle_cut_or_bent_anywhere_is_refused() {
    let mut alice = Person::new(1);
    let valid = signed(&mut alice, NOW).encode();
    let verify = |bytes: &[u8]| Bundle::verify(bytes, &alice.account.id(), alice.devices[0].info(), NOW);
    for at in 0..valid.len() {
        assert!(verify(&valid[..at]).is_err(), "cut at {at}");
        let mut bad = valid.clone();
        bad[at] ^= 1 << (at % 8);
        assert!(verify(&bad).is_err(), "byte {at}");
    }
    assert_eq!(verify(&vec![0; BUNDLE_MAX + 1]), Err(Error::Wire(wire::Error::TooLarge { max: BUNDLE_MAX })));
}
