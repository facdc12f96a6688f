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

pub(crate) const ADDRESS: &str = "/ip4/192.0.2.7/tcp/4001";

/// A person with everything that it takes to publish.
pub(crate) struct Publisher {
    pub(crate) person: Person,
    pub(crate) reach: ReachSecret,
    pub(crate) pool: PrekeyPool,
    pub(crate) certificates: Certificates,
    pub(crate) rng: ChaCha20Rng,
}

impl Publisher {
    pub(crate) fn new(seed: u64) -> Self {
        Self::with_devices(seed, 1)
    }

    pub(crate) fn with_devices(seed: u64, count: usize) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(seed.wrapping_add(1_000));
        let person = Person::with_devices(seed, count);
        let reach = ReachSecret::random(&mut rng);
        let pool = PrekeyPool::generate(NOW, &mut rng);
        let mut certificates = Certificates::default();
        certificates.renew(&person.account, &reach, 0, NOW, &mut rng).unwrap();
        Self { person, reach, pool, certificates, rng }
    }

    pub(crate) fn id(&self) -> AccountId {
        self.person.account.id()
    }

    /// Certifies the given slot instead of the first.
    pub(crate) fn move_to_slot(&mut self, slot: u32) {
        self.certificates.renew(&self.person.account, &self.reach, slot, NOW, &mut self.rng).unwrap();
    }

    pub(crate) fn bundle(&mut self, device: usize, now: Timestamp) -> Signed {
        let account = self.id();
        self.pool.bundle(account, &self.person.devices[device], now)
    }

    /// Publishes the record of a day as `device`, in the slot that the certificates are for.
    pub(crate) fn record(&mut self, device: usize, day: Day, sequence: u64) -> (RecordKey, Vec<u8>) {
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
    DescriptorParts { bundle, log, peer_id: &[1; 38], addresses, mailboxes: &[], sequence }
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
    assert_eq!(read.mailboxes, Vec::<Vec<u8>>::new());
}

/// Seals a record whose value was altered by the very device that may write it.
fn hostile(alice: &mut Publisher, bend: impl FnOnce(&mut proto::DescriptorValue)) -> (RecordKey, Vec<u8>) {
    let (log, bundle) = (alice.person.log.clone(), alice.bundle(0, NOW));
    let value = parts(&log, &bundle, &[ADDRESS.to_owned()], SEQUENCE).encode().unwrap();
    let mut value: proto::DescriptorValue = wire::decode(&value, VALUE_MAX).unwrap();
    value.padding.clear();
    bend(&mut value);
    let signer = alice.certificates.signer(NOW.day()).unwrap();
    let (id, reach) = (alice.id(), alice.reach.clone());
    (signer.record_key(), seal_value(&id, &reach, &signer, SEQUENCE, &wire::encode(&value), &mut alice.rng))
}

#[test]
fn r_desc_1_without_the_code_a_record_is_neither_found_nor_read_nor_linked() {
    let mut alice = Publisher::new(1);
    let (key, bytes) = alice.record(0, NOW.day(), SEQUENCE);
    let other = ReachSecret::from_bytes([9; 16]);
    assert_ne!(record_key_of(&alice.id(), &other, NOW.day(), 0), Some(key));
    assert_eq!(Descriptor::open(&alice.id(), &other, &key, &bytes, NOW), Err(Error::Foreign));
    let (id, device, day) = (alice.id(), alice.person.devices[0].info().clone(), NOW.day());
    let canaries: [&[u8]; 6] = [
        id.as_bytes(),
        device.id.as_bytes(),
        device.sign_pk.as_bytes(),
        ADDRESS.as_bytes(),
        alice.reach.as_bytes(),
        &[1; 38],
    ];
    for canary in canaries {
        assert!(!bytes.windows(canary.len()).any(|w| w == canary), "{canary:02x?} can be read by anybody");
    }
    // Two days of one device, and two slots of one day's keys, share no run of bytes beyond field headers.
    let (_, tomorrow) = alice.record(0, day.plus(1), SEQUENCE);
    let runs: std::collections::BTreeSet<&[u8]> = bytes.windows(12).collect();
    assert!(!tomorrow.windows(12).any(|w| runs.contains(w)), "two days can be linked");
}

#[test]
fn r_desc_2_a_record_moved_to_another_slot_or_day_opens_for_nobody() {
    let mut alice = Publisher::new(1);
    let (_, bytes) = alice.record(0, NOW.day(), SEQUENCE);
    for (day, slot) in [(NOW.day(), 1), (NOW.day().plus(1), 0)] {
        let key = record_key_of(&alice.id(), &alice.reach, day, slot).unwrap();
        assert_eq!(alice.open(&key, &bytes), Err(Error::Record(record::Error::WrongKey)));
    }
}

#[test]
fn r_desc_7_the_chain_from_account_to_bundle_holds_at_every_link() {
    let mut alice = Publisher::with_devices(1, 2);
    let mut mallory = Publisher::new(2);
    let (log, bundle) = (alice.person.log.clone(), alice.bundle(0, NOW));
    // Mallory's log under Alice's code: it does not begin with her account.
    let (theirs, their_bundle) = (mallory.person.log.clone(), mallory.bundle(0, NOW));
    let (key, record) = alice.seal(&theirs, &bundle, NOW.day(), SEQUENCE).unwrap();
    assert_eq!(alice.open(&key, &record), Err(Error::Log(device_log::Error::Gap)));
    let (key, record) = alice.seal(&log, &their_bundle, NOW.day(), SEQUENCE).unwrap();
    assert_eq!(alice.open(&key, &record), Err(Error::WrongDevice));
    // Her phone's bundle in the slot of her laptop.
    let phones = alice.bundle(1, NOW);
    let (key, record) = alice.seal(&log, &phones, NOW.day(), SEQUENCE).unwrap();
    assert_eq!(alice.open(&key, &record), Err(Error::WrongDevice));
    // A bundle that names her laptop and is signed by Mallory.
    let forged = Signed::sign(label::BUNDLE, bundle.payload.clone(), mallory.person.devices[0].sign());
    let (key, record) = alice.seal(&log, &forged, NOW.day(), SEQUENCE).unwrap();
    assert_eq!(alice.open(&key, &record), Err(Error::Bundle(bundle::Error::BadSignature)));
    let (key, record) = alice.seal(&log, &bundle, NOW.day(), SEQUENCE).unwrap();
    assert!(alice.open(&key, &record).is_ok());
}

#[test]
fn r_desc_7_every_field_of_a_descriptor_altered_and_sealed_again_by_its_device_is_refused() {
    type Bend = fn(&mut proto::DescriptorValue);
    let mut alice = Publisher::with_devices(1, 2);
    let (key, honest) = hostile(&mut alice, |_| {});
    assert!(alice.open(&key, &honest).is_ok(), "unbent it opens");
    let bends: &[(&str, Bend)] = &[
        ("version 0", |v| v.version = 0),
        ("version 2", |v| v.version = 2),
        ("no bundle", |v| v.bundle.clear()),
        ("bent bundle", |v| v.bundle[40] ^= 1),
        ("no log", |v| v.log.clear()),
        ("a log without its beginning", |v| v.log = v.log.split_off(1)),
        ("bent log", |v| v.log[0][50] ^= 1),
        ("too many operations", |v| v.log = vec![vec![]; 65]),
        ("long peer id", |v| v.peer_id = vec![1; 65]),
        ("nine addresses", |v| v.addresses = vec![ADDRESS.to_owned(); 9]),
        ("an address that is none", |v| v.addresses = vec!["http://192.0.2.7".to_owned()]),
        ("an address that would break a line", |v| v.addresses[0].push('\n')),
        ("an endless address", |v| v.addresses = vec![format!("/dns4/{}", "x".repeat(251))]),
        ("five mailboxes", |v| v.mailboxes = vec![vec![1]; 5]),
        ("an empty mailbox", |v| v.mailboxes = vec![vec![]]),
        ("a fat mailbox", |v| v.mailboxes = vec![vec![1; 513]]),
        ("another sequence inside", |v| v.sequence += 1),
        ("an unknown critical extension", |v| {
            v.extensions.push(crate::proto::wire::Extension { r#type: 9, critical: true, bytes: vec![1] });
        }),
        ("padding that says something", |v| v.padding = vec![1]),
    ];
    for (what, bend) in bends {
        let (key, record) = hostile(&mut alice, bend);
        assert!(check_record(&key, &record, NOW).is_ok(), "{what}: a storing node cannot know");
        let result = alice.open(&key, &record);
        assert!(result.is_err(), "{what} was accepted: {result:?}");
    }
}

#[test]
fn a_value_sealed_for_another_day_slot_or_record_does_not_open_here() {
    let mut alice = Publisher::new(1);
    let (key, today) = alice.record(0, NOW.day(), SEQUENCE);
    let (_, tomorrow) = alice.record(0, NOW.day().plus(1), SEQUENCE);
    let ciphertext = |bytes: &[u8]| {
        let signed = Signed::decode(bytes, DESCRIPTOR_MAX).unwrap();
        wire::decode::<proto::RecordPayload>(&signed.payload, DESCRIPTOR_MAX).unwrap().ciphertext
    };
    let signer = alice.certificates.signer(NOW.day()).unwrap();
    let planted = signer.sign(&signer.meta(SEQUENCE, false), ciphertext(&tomorrow));
    assert_eq!(alice.open(&key, &planted), Err(Error::NotAuthentic));
    let replayed = signer.sign(&signer.meta(SEQUENCE + 1, false), ciphertext(&today));
    assert_eq!(alice.open(&key, &replayed), Err(Error::NotAuthentic), "an old value under a new sequence");
    let short = signer.sign(&signer.meta(SEQUENCE, false), vec![7; 3]);
    assert_eq!(alice.open(&key, &short), Err(Error::NotAuthentic));
}

#[test]
fn an_empty_slot_says_so_with_its_sequence() {
    let alice = Publisher::new(1);
    let signer = alice.certificates.signer(NOW.day()).unwrap();
    let opened = alice.open(&signer.record_key(), &signer.empty(SEQUENCE));
    assert_eq!(opened, Err(Error::Empty { sequence: SEQUENCE }));
}

#[test]
fn r_desc_9_today_and_six_days_ahead_are_published_each_under_its_own_key() {
    let mut alice = Publisher::new(1);
    let (log, bundle, addresses) = (alice.person.log.clone(), alice.bundle(0, NOW), [ADDRESS.to_owned()]);
    let parts = parts(&log, &bundle, &addresses, SEQUENCE);
    let (id, reach) = (alice.id(), alice.reach.clone());
    let records = parts.publish(&id, &reach, &alice.certificates, NOW, &mut alice.rng).unwrap();
    assert_eq!(records.len(), 7);
    for (ahead, (key, bytes)) in records.iter().enumerate() {
        let day = NOW.day().plus(ahead as u32);
        assert_eq!(record_key_of(&id, &reach, day, 0), Some(*key));
        assert_eq!(alice.open(key, bytes).unwrap().day, day);
        // A reader on that day still finds the bundle fresh enough to use.
        assert!(Descriptor::open(&id, &reach, key, bytes, day.start().plus_millis(1)).is_ok());
    }
    let none = parts.publish(&id, &reach, &Certificates::default(), NOW, &mut alice.rng);
    assert_eq!(none, Err(Error::NotCertified));
}

#[test]
fn r_desc_10_the_fullest_log_and_eight_addresses_fit_a_record_and_more_is_refused() {
    let mut alice = Publisher::new(1);
    alice.person.fill_log();
    let addresses: Vec<String> =
        vec![format!("/ip4/192.0.2.7/udp/65535/quic-v1/p2p/{}/p2p-circuit", "Q".repeat(52)); 8];
    let (log, bundle) = (alice.person.log.clone(), alice.bundle(0, NOW));
    let full = parts(&log, &bundle, &addresses, SEQUENCE);
    let signer = alice.certificates.signer(NOW.day()).unwrap();
    let (id, reach) = (alice.id(), alice.reach.clone());
    let (key, bytes) = full.seal(&id, &reach, &signer, &mut alice.rng).unwrap();
    assert!(bytes.len() <= DESCRIPTOR_MAX);
    assert_eq!(alice.open(&key, &bytes).unwrap().addresses, addresses);
    let nine: Vec<String> = vec![ADDRESS.to_owned(); 9];
    let more = DescriptorParts { addresses: &nine, ..full.clone() };
    assert_eq!(more.encode(), Err(Error::Wire(wire::Error::TooMany { max: 8 })));
    let mailboxes = vec![vec![1; 512]; 4];
    let fat = DescriptorParts { mailboxes: &mailboxes, ..full };
    assert_eq!(fat.encode(), Err(Error::TooLarge));
}

#[test]
fn mailboxes_and_the_grant_for_strangers_travel_already() {
    let mut alice = Publisher::new(1);
    let (log, bundle) = (alice.person.log.clone(), alice.bundle(0, NOW));
    let mailboxes = vec![vec![1; 80], vec![2; 80]];
    let parts = DescriptorParts { mailboxes: &mailboxes, ..parts(&log, &bundle, &[], SEQUENCE) };
    let signer = alice.certificates.signer(NOW.day()).unwrap();
    let (key, bytes) = parts.seal(&alice.id(), &alice.reach.clone(), &signer, &mut alice.rng).unwrap();
    let read = alice.open(&key, &bytes).unwrap();
    assert_eq!(read.mailboxes, mailboxes);
}

#[test]
fn lengths_of_records_show_no_single_address() {
    let mut alice = Publisher::new(1);
    let (log, bundle) = (alice.person.log.clone(), alice.bundle(0, NOW));
    let lengths: std::collections::BTreeSet<usize> =
        (0..=8).map(|n| parts(&log, &bundle, &vec![ADDRESS.to_owned(); n], SEQUENCE).encode().unwrap().len()).collect();
    assert!(lengths.iter().all(|len| len.next_multiple_of(PAD_TO) - len <= 1), "{lengths:?}");
    assert!(lengths.len() <= 2, "{lengths:?}");
}

#[test]
fn r_desc_8_no_published_message_has_room_for_one_time_keys() {
    let published = include_str!("../../../proto/prekey.proto");
    for message in ["Bundle", "DescriptorValue", "RecordPayload"] {
        let body = published.split(&format!("message {message} {{")).nth(1).unwrap().split("\n}").next().unwrap();
        assert!(!body.contains("OneTimeKey") && !body.contains("one_time"), "{message}");
    }
}
