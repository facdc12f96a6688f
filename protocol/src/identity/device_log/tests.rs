//! What a device log lets happen, told with people; forks and hostile operations in their own files.

mod forks;
mod gossip;
mod hostile;

use super::*;
use crate::crypto::dh::DhSecret;
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

pub(crate) const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

/// An account with its root and some devices, and the log that says so.
pub(crate) struct Person {
    pub(crate) account: Account,
    pub(crate) devices: Vec<DeviceSecrets>,
    pub(crate) log: DeviceLog,
    pub(crate) rng: ChaCha20Rng,
}

impl Person {
    /// Starts with one device.
    pub(crate) fn new(seed: u64) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let account = Account::generate(&mut rng);
        let device = DeviceSecrets::generate(&mut rng);
        let log = DeviceLog::genesis(&account, &device, NOW).unwrap();
        Self { account, devices: vec![device], log, rng }
    }

    /// Starts with `count` devices, each admitted by the first; only the first may manage.
    pub(crate) fn with_devices(seed: u64, count: usize) -> Self {
        let mut person = Self::new(seed);
        while person.devices.len() < count {
            let (device, op) = person.admission(0, false);
            person.take(&op.unwrap());
            person.devices.push(device);
        }
        person
    }

    /// Admits and revokes until the log takes nothing but revocations; returns why.
    pub(crate) fn fill_log(&mut self) -> Error {
        loop {
            let (device, op) = self.admission(0, false);
            match op {
                Ok(op) => self.take(&op),
                Err(e) => return e,
            };
            self.devices.push(device);
            if self.devices.len() > 2 {
                let last = self.devices.pop().unwrap().id();
                let revoke = self.log.revoke(self.device(0), &last, NOW).unwrap();
                self.take(&revoke);
            }
        }
    }

    /// Makes a device and the operation by which device `by` would admit it now.
    fn admission(&mut self, by: usize, can_manage: bool) -> (DeviceSecrets, Result<Signed, Error>) {
        let device = DeviceSecrets::generate(&mut self.rng);
        let op = self.admission_of(&device, Signer::Device(&self.devices[by]), can_manage);
        (device, op)
    }

    fn admission_of(&self, device: &DeviceSecrets, by: Signer<'_>, can_manage: bool) -> Result<Signed, Error> {
        let proof = prove_admission(&self.log.next_place(), device, can_manage);
        self.log.admit(by, device.info(), can_manage, proof, NOW)
    }

    fn root(&self) -> Signer<'_> {
        Signer::Root(&self.account)
    }

    fn device(&self, index: usize) -> Signer<'_> {
        Signer::Device(&self.devices[index])
    }

    fn id(&self, index: usize) -> DeviceId {
        self.devices[index].id()
    }

    fn take(&mut self, op: &Signed) -> Change {
        let (log, change) = self.log.append(op, NOW).unwrap();
        self.log = log;
        change
    }
}

#[test]
fn r_id_3_the_first_device_is_admitted_by_the_root_and_readers_agree() {
    let alice = Person::new(1);
    assert_eq!(alice.log.devices().map(|d| d.id).collect::<Vec<_>>(), [alice.id(0)]);
    let read = DeviceLog::verify_from(alice.account.id(), &alice.log.signed_ops(), NOW).unwrap();
    assert_eq!(read, alice.log);
    assert_eq!(DeviceLog::decode(alice.account.id(), &alice.log.encode(), NOW), Ok(read));
    assert_eq!((alice.log.head().len, alice.log.slot(&alice.id(0))), (1, Some(0)));
    assert!(alice.log.member(&alice.id(0)).unwrap().can_manage);
}

#[test]
fn r_id_3_a_log_read_in_any_order_is_the_same_and_with_a_gap_is_refused() {
    let alice = Person::with_devices(1, 4);
    let mut ops = alice.log.signed_ops();
    ops.reverse();
    assert_eq!(DeviceLog::verify_from(alice.account.id(), &ops, NOW), Ok(alice.log.clone()));
    ops.remove(1);
    assert_eq!(DeviceLog::verify_from(alice.account.id(), &ops, NOW), Err(Error::Gap));
    assert_eq!(DeviceLog::verify_from(alice.account.id(), &[], NOW), Err(Error::Empty));
    assert_eq!(alice.log.append(&alice.log.signed_ops()[2], NOW).unwrap().1, Change::Unchanged);
}

#[test]
fn r_id_5_the_eleventh_device_is_refused_and_a_lower_limit_holds() {
    let mut alice = Person::with_devices(1, 10);
    assert_eq!(alice.admission(0, false).1, Err(Error::TooManyDevices { limit: 10 }));
    let revoke = alice.log.revoke(alice.device(0), &alice.id(9), NOW).unwrap();
    alice.take(&revoke);
    let lower = alice.log.set_limit(alice.device(0), 9, NOW).unwrap();
    alice.take(&lower);
    assert_eq!(alice.admission(0, false).1, Err(Error::TooManyDevices { limit: 9 }));
    for limit in [0, 11, u32::MAX] {
        assert_eq!(alice.log.set_limit(alice.root(), limit, NOW), Err(Error::NotPermitted));
    }
    assert_eq!(alice.log.set_limit(alice.device(3), 5, NOW), Err(Error::NotPermitted));
}

#[test]
fn r_id_5_a_log_over_its_size_is_refused_before_anything_is_verified() {
    let alice = Person::new(1);
    let fat = Signed { payload: vec![0; DEVICE_LOG_MAX], signature: alice.log.ops()[0].signed().signature };
    assert!(matches!(
        DeviceLog::verify_from(alice.account.id(), &[fat], NOW),
        Err(Error::Wire(wire::Error::TooLarge { .. }))
    ));
    let many = vec![alice.log.signed_ops().remove(0); DEVICE_LOG_OPS_MAX + 1];
    assert!(matches!(
        DeviceLog::verify_from(alice.account.id(), &many, NOW),
        Err(Error::Wire(wire::Error::TooMany { .. }))
    ));
}

#[test]
fn a_log_that_no_longer_fits_a_record_admits_nobody_and_still_revokes() {
    let mut alice = Person::new(1);
    let full = alice.fill_log();
    assert_eq!(full, Error::Full);
    let revoke = alice.log.revoke(alice.root(), &alice.id(1), NOW).unwrap();
    assert_eq!(alice.take(&revoke), Change::Extended);
}

#[test]
fn r_id_6_a_revoked_device_speaks_no_more_and_is_never_admitted_again() {
    let mut alice = Person::with_devices(1, 3);
    let revoke = alice.log.revoke(alice.device(0), &alice.id(1), NOW).unwrap();
    assert_eq!(alice.take(&revoke), Change::Extended);
    assert_eq!(alice.log.device(&alice.id(1)), None);
    assert_eq!(alice.log.slot(&alice.id(1)), None);
    assert_eq!(alice.log.member(&alice.id(1)).unwrap().revoked, Some(3));
    assert_eq!(alice.admission(1, false).1, Err(Error::IssuerNotActive));
    assert_eq!(alice.log.revoke(alice.device(1), &alice.id(0), NOW), Err(Error::IssuerNotActive));
    assert_eq!(alice.log.revoke(alice.device(0), &alice.id(1), NOW), Err(Error::UnknownDevice));
    assert_eq!(alice.admission_of(&alice.devices[1], alice.root(), false), Err(Error::DeviceExists));
    // Nor half of it, under another name: its signing key with another DH key.
    let half = DeviceSecrets::with_keys(alice.devices[1].sign().clone(), DhSecret::random(&mut alice.rng));
    assert_ne!(half.id(), alice.id(1));
    assert_eq!(alice.admission_of(&half, alice.root(), false), Err(Error::DeviceExists));
    let (next, op) = alice.admission(0, false);
    alice.take(&op.unwrap());
    assert_eq!(alice.log.slot(&next.id()), Some(1), "the freed slot serves again");
}

#[test]
fn r_id_11_an_ordinary_device_revokes_neither_its_admitter_nor_the_line_above() {
    let mut alice = Person::with_devices(1, 2);
    let (third, op) = alice.admission(1, false);
    alice.take(&op.unwrap());
    alice.devices.push(third);
    assert_eq!(alice.log.revoke(alice.device(1), &alice.id(0), NOW), Err(Error::NotPermitted));
    assert_eq!(alice.log.revoke(alice.device(2), &alice.id(1), NOW), Err(Error::NotPermitted));
    assert_eq!(alice.log.revoke(alice.device(2), &alice.id(0), NOW), Err(Error::NotPermitted));
    assert!(alice.log.revoke(alice.device(1), &alice.id(2), NOW).is_ok(), "what it admitted itself");
    assert!(alice.log.revoke(alice.device(2), &alice.id(2), NOW).is_ok(), "itself");
    let trust = alice.log.set_trust(alice.device(0), &alice.id(2), true, NOW).unwrap();
    alice.take(&trust);
    assert!(alice.log.revoke(alice.device(2), &alice.id(1), NOW).is_ok(), "it may manage now");
}

#[test]
fn r_id_11_rights_are_given_only_by_who_has_them() {
    let mut alice = Person::with_devices(1, 3);
    assert_eq!(alice.admission(1, true).1, Err(Error::NotPermitted));
    assert_eq!(alice.log.set_trust(alice.device(1), &alice.id(1), true, NOW), Err(Error::NotPermitted));
    assert!(alice.admission(1, false).1.is_ok());
    assert!(alice.admission(0, true).1.is_ok());
}

#[test]
fn only_the_root_replaces_the_root_and_the_old_one_signs_nothing_more() {
    let mut alice = Person::with_devices(1, 2);
    let next = alice.account.next_root(&mut alice.rng);
    let op = alice.log.rotate_root(&alice.account, &next, NOW).unwrap();
    assert_eq!(alice.take(&op), Change::Extended);
    assert_eq!(alice.log.root(), &next.root_public());
    assert_eq!(alice.log.account(), alice.account.id());
    assert_eq!(alice.log.revoke(alice.root(), &alice.id(1), NOW), Err(Error::BadSignature));
    assert!(alice.log.revoke(Signer::Root(&next), &alice.id(1), NOW).is_ok());
    let stolen = alice.log.rotate_root(&alice.account, &alice.account, NOW);
    assert_eq!(stolen, Err(Error::BadSignature));
}

#[test]
fn claimed_times_are_shown_and_decide_nothing() {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let (account, device) = (Account::generate(&mut rng), DeviceSecrets::generate(&mut rng));
    for made in [Timestamp::default(), NOW.plus_days(3_650), Timestamp::from_millis(u64::MAX)] {
        let log = DeviceLog::genesis(&account, &device, made).unwrap();
        let read = DeviceLog::verify_from(account.id(), &log.signed_ops(), NOW).unwrap();
        assert_eq!(read.member(&device.id()).unwrap().added, made.min(NOW));
    }
}

#[test]
fn c05_27_a_sender_with_a_stale_list_is_told_and_a_revoked_device_gets_nothing_new() {
    let mut alice = Person::with_devices(1, 2);
    let known_to_bob = alice.log.head();
    assert_eq!(alice.log.relation(&known_to_bob), Relation::Same);
    assert_eq!(alice.log.devices_after(&known_to_bob).count(), 0);
    let (third, op) = alice.admission(0, false);
    alice.take(&op.unwrap());
    let revoke = alice.log.revoke(alice.device(0), &alice.id(1), NOW).unwrap();
    alice.take(&revoke);
    assert_eq!(alice.log.relation(&known_to_bob), Relation::Behind);
    let missing: Vec<_> = alice.log.devices_after(&known_to_bob).map(|d| d.id).collect();
    assert_eq!(missing, [third.id()]);
    assert!(alice.log.devices().all(|d| d.id != alice.id(1)));
    let none = LogHead { len: 0, hash: [0; 32] };
    assert_eq!(alice.log.relation(&none), Relation::Behind);
    assert_eq!(alice.log.devices_after(&none).count(), 2);
    let ahead = LogHead { len: 9, hash: [1; 32] };
    assert_eq!(alice.log.relation(&ahead), Relation::Ahead);
    let other = LogHead { len: 2, hash: [1; 32] };
    assert_eq!(alice.log.relation(&other), Relation::Diverged);
    assert_eq!(alice.log.devices_after(&other).count(), 2, "of another branch nothing is known");
}
