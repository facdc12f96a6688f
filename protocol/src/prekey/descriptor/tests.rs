//! Descriptors as their readers see them: whole, and as hostile devices and nodes would have them.

use super::*;
use crate::{
    identity::device_log::tests::{NOW, Person},
    prekey::{
        PrekeyPool,
        record::{check_record, record_key_of},
    },
};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

pub(in crate::prekey) const ADDRESS: &str = "/ip4/192.0.2.7/tcp/4001";

/// A person with everything that it takes to publish.
pub(in crate::prekey) struct Publisher {
    pub(in crate::prekey) person: Person,
    pub(in crate::prekey) reach: ReachSecret,
    pub(in crate::prekey) pool: PrekeyPool,
    pub(in crate::prekey) certificates: Certificates,
    pub(in crate::prekey) rng: ChaCha20Rng,
}

impl Publisher {
    pub(in crate::prekey) fn new(seed: u64) -> Self {
        Self::with_devices(seed, 1)
    }

    pub(in crate::prekey) fn with_devices(seed: u64, count: usize) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(seed.wrapping_add(1_000));
        let person = Person::with_devices(seed, count);
        let reach = ReachSecret::random(&mut rng);
        let pool = PrekeyPool::generate(NOW, &mut rng);
        let mut certificates = Certificates::default();
        certificates.renew(&person.account, &reach, 0, NOW, &mut rng).unwrap();
        Self { person, reach, pool, certificates, rng }
    }

    pub(in crate::prekey) fn id(&self) -> AccountId {
        self.person.account.id()
    }

    /// Certifies the given slot instead of the first.
    pub(in crate::prekey) fn move_to_slot(&mut self, slot: u32) {
        self.certificates.renew(&self.person.account, &self.reach, slot, NOW, &mut self.rng).unwrap();
    }

    pub(in crate::prekey) fn bundle(&mut self, device: usize, now: Timestamp) -> Signed {
        let account = self.id();
        self.pool.bundle(account, &self.person.devices[device], now)
    }

    /// Publishes the record of a day as `device`, in the slot that the certificates are for.
    pub(in crate::prekey) fn record(&mut self, device: usize, day: Day, sequence: u64) -> (RecordKey, Vec<u8>) {
        let (log, bundle) = (self.person.log.clone(), self.bundle(device, NOW));
        self.seal(&log, &bundle, day, sequence).unwrap()
    }

    fn seal(
        &mut self,
        log: &DeviceLog,
        bundle: &Signed,
        day: Day,
        sequence: u64,
    ) -> Result<(RecordKey, Vec<u8>), Error> {
        let addresses = [ADDRESS.to_owned()];
        let parts = parts(log, bundle, &addresses, sequence);
        let signer = self.certificates.signer(day).unwrap();
        parts.seal(&self.id(), &self.reach.clone(), &signer, &mut self.rng)
    }

    fn open(&self, key: &RecordKey, bytes: &[u8]) -> Result<Descriptor, Error> {
        Descriptor::open(&self.id(), &self.reach, key, bytes, NOW)
    }
}

fn parts<'a>(log: &'a DeviceLog, bundle: &'a Signed, addresses: &'a [String], sequence: u64) -> DescriptorParts<'a> {
    DescriptorParts { bundle, log, peer_id: &[1; 38], addresses, mailboxes: &[], stranger_grant: None, sequence }
}

const SEQUENCE: u64 = NOW.as_millis();

#[test]
fn who_holds_the_code_reads_what_the_device_published() {
    let mut alice = Publisher::new(1);
    let (key, bytes) = alice.record(0, NOW.day(), SEQUENCE);
    assert_eq!(record_key_of(&alice.id(), &alice.reach, NOW.day(), 0), Some(key));
    let meta = check_record(&key, &bytes, NOW).unwrap();
    assert_eq!((meta.seq, meta.day, meta.slot, meta.empty), (SEQUENCE, NOW.day(), 0, false));
    let read = alice.open(&key, &bytes).unwrap();
    assert_eq!(read.device.id, alice.person.devices[0].id());
    assert_eq!(read.log, alice.person.log);
    assert_eq!((read.addresses, read.peer_id, read.sequence), (vec![ADDRESS.to_owned()], vec![1; 38], SEQUENCE));
    assert_eq!(read.bundle.signed_prekey(), &alice.pool.current().signed_prekey().public());
    assert_eq!((read.mailboxes, read.stranger_grant), (Vec::new(), None));
}
