//! Certificates: thirty days ahead, for one slot and one key, and linking nothing.

use super::*;
use crate::identity::device_log::tests::{NOW, Person};

fn certified(alice: &mut Person, reach: &ReachSecret) -> Certificates {
    let mut certificates = Certificates::default();
    assert_eq!(certificates.renew(&alice.account, reach, 0, NOW, &mut alice.rng), Ok(true));
    certificates
}

const REACH: ReachSecret = ReachSecret::from_bytes([7; 16]);

#[test]
fn r_desc_9_certificates_reach_thirty_days_ahead_and_running_low_is_told() {
    let mut alice = Person::new(1);
    let mut certificates = certified(&mut alice, &REACH);
    assert_eq!((certificates.days_ahead(NOW), certificates.is_low(NOW)), (30, false));
    assert_eq!(certificates.renew(&alice.account, &REACH, 0, NOW, &mut alice.rng), Ok(false), "nothing to do");
    let later = |days| NOW.plus_days(days);
    assert_eq!((certificates.days_ahead(later(23)), certificates.is_low(later(23))), (7, false));
    assert_eq!((certificates.days_ahead(later(24)), certificates.is_low(later(24))), (6, true));
    assert_eq!((certificates.days_ahead(later(40)), certificates.signer(later(40).day()).is_some()), (0, false));
    let kept = certificates.signer(later(30).day()).unwrap();
    assert_eq!(certificates.renew(&alice.account, &REACH, 0, later(24), &mut alice.rng), Ok(true));
    assert_eq!(certificates.days_ahead(later(24)), 30);
    assert_eq!(certificates.signer(later(30).day()).unwrap().certificate, kept.certificate, "what serves stays");
    let (gone, kept) = (certificates.signer(later(22).day()), certificates.signer(later(23).day()));
    assert!(gone.is_none() && kept.is_some(), "past keys are forgotten once no record of theirs is read any more");
}

#[test]
fn r_desc_2_no_two_days_share_a_key_and_a_certificate_names_neither_account_nor_device() {
    let mut alice = Person::new(1);
    let certificates = certified(&mut alice, &REACH);
    let mut seen = std::collections::BTreeSet::new();
    for ahead in 0..=CERTIFICATE_DAYS_AHEAD {
        let c = certificates.signer(NOW.day().plus(ahead)).unwrap().certificate;
        assert!(seen.insert(*c.blinded.as_bytes()) && seen.insert(*c.request.record_pk.as_bytes()));
        assert_eq!(c.verify(), Ok(()));
    }
    assert!(!seen.contains(alice.account.id().as_bytes()));
    assert!(!seen.contains(alice.devices[0].info().sign_pk.as_bytes()));
}

#[test]
fn r_desc_2_a_certificate_stands_for_its_day_slot_and_key_alone() {
    let mut alice = Person::new(1);
    let certificates = certified(&mut alice, &REACH);
    let day = NOW.day();
    let (c, other) = (certificates.signer(day).unwrap(), certificates.signer(day.plus(1)).unwrap());
    let (c, other) = (c.certificate, other.certificate);
    let bent = [
        Certificate { request: Request { slot: 1, ..c.request }, ..c },
        Certificate { request: Request { day: day.plus(1), ..c.request }, ..c },
        Certificate { request: Request { record_pk: other.request.record_pk, ..c.request }, ..c },
        Certificate { blinded: other.blinded, ..c },
        Certificate { signature: other.signature, ..c },
        Certificate { blinded: alice.account.root_public(), ..c },
    ];
    for (i, certificate) in bent.iter().enumerate() {
        assert_eq!(certificate.verify(), Err(Error::BadSignature), "{i}");
    }
}

#[test]
fn a_device_without_the_root_asks_and_keeps_only_what_it_asked_for() {
    let mut alice = Person::with_devices(1, 2);
    let mut mallory = Person::new(2);
    let id = alice.account.id();
    let mut phone = Certificates::default();
    let requests = phone.requests(&id, &REACH, 1, NOW, &mut alice.rng);
    assert_eq!(requests.len(), 31);
    assert_eq!((phone.days_ahead(NOW), phone.signer(NOW.day()).is_some()), (0, false));
    let forged = certify(&mallory.account, &REACH, &requests).unwrap();
    assert_eq!(phone.install(&id, &REACH, &forged), Err(Error::BadSignature), "another account's root");
    let other_reach = certify(&alice.account, &ReachSecret::from_bytes([8; 16]), &requests).unwrap();
    assert_eq!(phone.install(&id, &REACH, &other_reach), Err(Error::BadSignature), "another reach secret");
    let unasked = Certificates::default().requests(&id, &REACH, 1, NOW, &mut mallory.rng);
    let unasked = certify(&alice.account, &REACH, &unasked).unwrap();
    assert_eq!(phone.install(&id, &REACH, &unasked), Err(Error::NotRequested), "other record keys");
    assert_eq!(phone.days_ahead(NOW), 0);
    let certificates = certify(&alice.account, &REACH, &requests).unwrap();
    assert_eq!(phone.install(&id, &REACH, &certificates), Ok(()));
    assert_eq!(phone.days_ahead(NOW), 30);
}

#[test]
fn a_new_slot_or_reach_secret_makes_new_keys_and_a_replaced_root_certifies_nothing() {
    let mut alice = Person::new(1);
    let mut certificates = certified(&mut alice, &REACH);
    let key = |c: &Certificates| c.signer(NOW.day()).unwrap().certificate;
    let before = key(&certificates);
    certificates.renew(&alice.account, &REACH, 3, NOW, &mut alice.rng).unwrap();
    let moved = key(&certificates);
    assert!(moved.request.slot == 3 && moved.request.record_pk != before.request.record_pk);
    assert_eq!(moved.blinded, before.blinded);
    certificates.renew(&alice.account, &ReachSecret::from_bytes([8; 16]), 3, NOW, &mut alice.rng).unwrap();
    let rotated = key(&certificates);
    assert!(rotated.blinded != moved.blinded && rotated.request.record_pk != moved.request.record_pk);
    let next = alice.account.next_root(&mut alice.rng);
    assert_eq!(certificates.renew(&next, &REACH, 3, NOW, &mut alice.rng), Err(Error::NotFirstRoot));
}

#[test]
fn a_clock_that_was_years_ahead_leaves_no_keys_behind() {
    let mut alice = Person::new(1);
    let mut certificates = Certificates::default();
    certificates.renew(&alice.account, &REACH, 0, NOW.plus_days(3_650), &mut alice.rng).unwrap();
    assert_eq!(certificates.days_ahead(NOW), 0);
    certificates.renew(&alice.account, &REACH, 0, NOW, &mut alice.rng).unwrap();
    assert_eq!((certificates.days_ahead(NOW), certificates.to_stored().0.len()), (30, 31));
}

#[test]
fn the_stored_form_restores_and_shows_no_key() {
    let mut alice = Person::new(1);
    let certificates = certified(&mut alice, &REACH);
    let back = Certificates::from_stored(&certificates.to_stored());
    assert_eq!(back.days_ahead(NOW), 30);
    let (a, b) = (back.signer(NOW.day()).unwrap(), certificates.signer(NOW.day()).unwrap());
    assert_eq!((a.certificate, a.key.public()), (b.certificate, b.key.public()));
    assert_eq!(format!("{:?}", certificates.to_stored()), "StoredCertificates(31 days, ..)");
}
