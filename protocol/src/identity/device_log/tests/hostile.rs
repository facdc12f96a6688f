//! Operations that somebody with real keys of the account made on purpose: every field altered inside and signed again.

use super::*;
use crate::crypto::{
    label,
    sign::{Signature, SigningKey},
};

type Bend<T> = fn(&mut T);

/// Signs an altered copy of an operation with the key that signed the original.
fn bent(op: &Signed, key: &SigningKey, bend: impl FnOnce(&mut proto::DeviceOp)) -> Signed {
    let mut inner: proto::DeviceOp = wire::decode(&op.payload, DEVICE_OP_MAX).unwrap();
    bend(&mut inner);
    Signed::sign(label::DEVICE_OP, wire::encode(&inner), key)
}

fn bent_add(op: &Signed, key: &SigningKey, bend: impl FnOnce(&mut proto::AddDevice)) -> Signed {
    bent(op, key, |op| {
        let mut add: proto::AddDevice = wire::decode(&op.body, DEVICE_OP_MAX).unwrap();
        bend(&mut add);
        op.body = wire::encode(&add);
    })
}

#[test]
fn c05_23_a_device_nobody_of_the_account_admitted_is_refused() {
    let alice = Person::with_devices(1, 2);
    let mut mallory = Person::new(2);
    let (ghost, _) = mallory.admission(0, false);
    // Signed by a stranger's root, a stranger's device, and the ghost itself.
    for by in [Signer::Root(&mallory.account), Signer::Device(&mallory.devices[0]), Signer::Device(&ghost)] {
        let place = alice.log.next_place();
        let proof = prove_admission(&place, &ghost, false);
        let op = author::sign(&place, by, Act::Add { device: ghost.info().clone(), can_manage: false, proof }, NOW);
        let error = alice.log.append(&op, NOW).unwrap_err();
        assert!(matches!(error, Error::BadSignature | Error::IssuerNotActive), "{error:?}");
        assert_eq!(error.fault(), Fault::Peer);
    }
    // A whole log of the attacker's under the victim's name.
    let theirs = mallory.log.signed_ops();
    assert_eq!(DeviceLog::verify_from(alice.account.id(), &theirs, NOW), Err(Error::Gap));
    assert_eq!(DeviceLog::decode(alice.account.id(), &mallory.log.encode(), NOW), Err(Error::Gap));
}

#[test]
fn c05_23_a_valid_operation_put_behind_another_predecessor_is_refused() {
    let mut alice = Person::with_devices(1, 2);
    let (_, op) = alice.admission(0, false);
    let op = op.unwrap();
    let limit = alice.log.set_limit(alice.device(0), 9, NOW).unwrap();
    alice.take(&limit);
    let place = alice.log.next_place();
    let moved = bent(&op, alice.devices[0].sign(), |op| {
        op.previous = place.previous.to_vec();
        op.number = place.number;
    });
    assert_eq!(alice.log.append(&moved, NOW), Err(Error::BadProof), "the device proved itself for another place");
}

#[test]
fn r_id_3_every_field_of_an_operation_altered_and_signed_again_by_its_issuer_is_refused() {
    let mut alice = Person::with_devices(1, 2);
    let (_, op) = alice.admission(0, false);
    let op = op.unwrap();
    let key = alice.devices[0].sign().clone();
    let bends: &[(&str, Bend<proto::DeviceOp>)] = &[
        ("version 0", |op| op.version = 0),
        ("version 2", |op| op.version = 2),
        ("number before", |op| op.number -= 1),
        ("number after", |op| op.number += 1),
        ("number at the end", |op| op.number = u64::MAX),
        ("no predecessor", |op| op.previous.clear()),
        ("short predecessor", |op| op.previous.truncate(31)),
        ("another predecessor", |op| op.previous[0] ^= 1),
        ("by the root", |op| op.issuer.clear()),
        ("short issuer", |op| op.issuer.truncate(31)),
        ("another issuer", |op| op.issuer[0] ^= 1),
        ("kind 0", |op| op.kind = 0),
        ("kind 2 with the body of 1", |op| op.kind = 2),
        ("kind 7", |op| op.kind = 7),
        ("no body", |op| op.body.clear()),
        ("longer body", |op| op.body.extend([0xf8, 0x3f, 1])),
    ];
    for (what, bend) in bends {
        let result = alice.log.append(&bent(&op, &key, bend), NOW);
        assert!(result.is_err(), "{what} was accepted: {result:?}");
    }
    // The one field that is only shown.
    for at in [0, u64::MAX] {
        let (log, _) = alice.log.append(&bent(&op, &key, |op| op.at_ms = at), NOW).unwrap();
        assert!(log.members().last().unwrap().added <= NOW);
    }
}

#[test]
fn r_id_3_every_field_of_an_admission_altered_and_signed_again_by_its_issuer_is_refused() {
    let mut alice = Person::with_devices(1, 2);
    let (_, op) = alice.admission(0, false);
    let op = op.unwrap();
    let other = DeviceSecrets::generate(&mut alice.rng);
    let key = alice.devices[0].sign().clone();
    let bends: &[(&str, Bend<proto::AddDevice>)] = &[
        ("weak signing key", |a| a.sign_pk = vec![0; 32]),
        ("weak DH key", |a| a.dh_pk = vec![0; 32]),
        ("no signing key", |a| a.sign_pk.clear()),
        ("short DH key", |a| a.dh_pk.truncate(31)),
        ("more rights", |a| a.can_manage = true),
        ("no proof", |a| a.proof.clear()),
        ("bent proof", |a| a.proof[5] ^= 1),
    ];
    for (what, bend) in bends {
        let result = alice.log.append(&bent_add(&op, &key, bend), NOW);
        assert!(result.is_err(), "{what} was accepted: {result:?}");
    }
    let with_keys = |sign_pk: &DeviceInfo, dh_pk: &DeviceInfo| {
        bent_add(&op, &key, |a| {
            a.sign_pk = sign_pk.sign_pk.as_bytes().to_vec();
            a.dh_pk = dh_pk.dh_pk.as_bytes().to_vec();
        })
    };
    let honest = match Op::decode(&op).unwrap().act() {
        Act::Add { device, .. } => device.clone(),
        act => panic!("{act:?}"),
    };
    for (sign_pk, dh_pk) in [(other.info(), &honest), (&honest, other.info()), (&honest, alice.devices[0].info())] {
        assert_eq!(alice.log.append(&with_keys(sign_pk, dh_pk), NOW), Err(Error::BadProof), "keys nobody proved");
    }
}

#[test]
fn r_id_3_a_signature_bent_anywhere_is_refused_and_another_over_the_same_bytes_changes_nothing() {
    let mut alice = Person::with_devices(1, 2);
    let (_, op) = alice.admission(0, false);
    let op = op.unwrap();
    for bit in 0..512 {
        let mut bad = op.clone();
        bad.signature.0[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(alice.log.append(&bad, NOW), Err(Error::BadSignature), "bit {bit}");
    }
    let mut known = alice.log.signed_ops();
    known[1].signature = Signature([7; 64]);
    assert_eq!(alice.log.merge(&known, NOW), Ok((alice.log.clone(), Change::Unchanged)), "known by its id already");
    assert_eq!(DeviceLog::verify_from(alice.account.id(), &known, NOW), Err(Error::BadSignature));
}

#[test]
fn r_id_3_a_new_root_that_proved_nothing_or_not_here_is_refused() {
    let mut alice = Person::with_devices(1, 2);
    let next = alice.account.next_root(&mut alice.rng);
    let honest = alice.log.rotate_root(&alice.account, &next, NOW).unwrap();
    let rotate = |bend: Bend<proto::RotateRoot>| {
        bent(&honest, alice.account.root(), |op| {
            let mut inner: proto::RotateRoot = wire::decode(&op.body, DEVICE_OP_MAX).unwrap();
            bend(&mut inner);
            op.body = wire::encode(&inner);
        })
    };
    let bends: &[(Bend<proto::RotateRoot>, Error)] = &[
        (|r| r.proof[0] ^= 1, Error::BadProof),
        (|r| r.root_pk = [&[1][..], &[0; 31]].concat(), Error::BadKey),
        (|r| r.root_pk.truncate(31), Error::BadKey),
        (|r| r.proof.clear(), Error::Wire(wire::Error::FieldLength { expected: 64 })),
    ];
    for (bend, error) in bends {
        assert_eq!(alice.log.append(&rotate(*bend), NOW), Err(*error));
    }
    let limit = alice.log.set_limit(alice.root(), 9, NOW).unwrap();
    let (later, _) = alice.log.append(&limit, NOW).unwrap();
    let place = later.next_place();
    let moved = bent(&honest, alice.account.root(), |op| {
        op.number = place.number;
        op.previous = place.previous.to_vec();
    });
    assert_eq!(later.append(&moved, NOW), Err(Error::BadProof));
}

#[test]
fn r_id_11_a_device_cannot_put_on_the_roots_rights() {
    let mut alice = Person::with_devices(1, 2);
    let next = alice.account.next_root(&mut alice.rng);
    let honest = alice.log.rotate_root(&alice.account, &next, NOW).unwrap();
    let issuer = alice.id(0).as_bytes().to_vec();
    let by_device = bent(&honest, alice.devices[0].sign(), |op| op.issuer = issuer);
    assert_eq!(alice.log.append(&by_device, NOW), Err(Error::NotPermitted));
    for (kind, devices) in [(3, 0), (3, 11), (3, u32::MAX)] {
        let body = wire::encode(&proto::SetDeviceLimit { devices });
        let op = bent(&honest, alice.account.root(), |op| (op.kind, op.body) = (kind, body));
        assert_eq!(alice.log.append(&op, NOW), Err(Error::NotPermitted), "a limit of {devices}");
    }
}

#[test]
fn revocation_and_trust_of_devices_that_are_not_there_are_refused() {
    let alice = Person::with_devices(1, 2);
    let stranger = DeviceId::from_bytes([9; 32]);
    assert_eq!(alice.log.revoke(alice.root(), &stranger, NOW), Err(Error::UnknownDevice));
    assert_eq!(alice.log.set_trust(alice.root(), &stranger, true, NOW), Err(Error::UnknownDevice));
}

#[test]
fn c05_57_a_log_cut_or_bent_anywhere_is_refused_or_is_a_beginning_of_it() {
    let alice = Person::with_devices(1, 2);
    let valid = alice.log.encode();
    for cut in 0..valid.len() {
        if let Ok(log) = DeviceLog::decode(alice.account.id(), &valid[..cut], NOW) {
            assert_eq!(alice.log.relation(&log.head()), Relation::Behind, "cut at {cut}");
        }
    }
    for at in 0..valid.len() {
        let mut bad = valid.clone();
        bad[at] ^= 1 << (at % 8);
        assert!(DeviceLog::decode(alice.account.id(), &bad, NOW).is_err(), "byte {at}");
    }
}
