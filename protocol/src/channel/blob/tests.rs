//! Blobs as an honest author makes them, and as a lying author or a lying holder would.

use super::*;
use crate::wire::{codec_test::refuses_every_second_spelling, mutate_test::every_field_altered};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

const CONTEXT: [u8; 32] = [7; 32];

fn rng() -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(20)
}

fn device(n: u16) -> DeviceId {
    DeviceId::from_bytes(Transcript::new("kith/v1/test").u32(n.into()).sha256())
}

/// So many devices, each with its leaf key.
struct Members(BTreeMap<DeviceId, LeafSecret>);

impl Members {
    fn new(count: u16) -> Self {
        let mut rng = rng();
        Self((0..count).map(|n| (device(n), LeafSecret::random(&mut rng))).collect())
    }

    fn devices(&self) -> BTreeSet<DeviceId> {
        self.0.keys().copied().collect()
    }

    fn seal(&self, secrets: &EpochSecrets) -> Blob {
        let keys: BTreeMap<_, _> = self.0.iter().map(|(device, leaf)| (*device, leaf.public())).collect();
        Blob::seal(&CONTEXT, &keys.iter().map(|(d, k)| (*d, k)).collect(), secrets, &mut rng()).unwrap()
    }

    fn nth(&self, index: usize) -> (DeviceId, &LeafSecret) {
        self.0.iter().nth(index).map(|(device, leaf)| (*device, leaf)).unwrap()
    }
}

fn secrets(seed: u64) -> EpochSecrets {
    EpochSecrets::random(&mut ChaCha20Rng::seed_from_u64(seed))
}

fn leaf(bytes: Item, index: u32, pins: &Pins) -> Result<PlacedItem, ItemError> {
    Item::decode(&bytes.encode()).unwrap().verify(pins, index)
}

#[test]
fn r_blob_1_each_device_opens_its_own_item_and_no_other() {
    let (members, secrets) = (Members::new(5), secrets(1));
    let blob = members.seal(&secrets);
    assert_eq!(blob.items.len(), 5);
    for (index, item) in (0..).zip(&blob.items) {
        let placed = leaf(item.clone(), index, &blob.pins).unwrap();
        for other in 0..5 {
            let (device, key) = members.nth(other);
            let opened = placed.open(&device, key);
            if other == index as usize {
                assert_eq!(opened, Ok(secrets.clone()));
                assert_eq!(placed.leaf_key(), &LeafKeyId::of(&key.public()));
            } else {
                assert_eq!(opened, Err(OpenError::OtherKey));
            }
        }
        // The right key under another device's name.
        let (_, key) = members.nth(index as usize);
        assert_eq!(placed.open(&device(99), key), Err(OpenError::Unreadable));
    }
}

#[test]
fn r_blob_1_item_opens_in_no_other_rekey_and_under_no_other_list_of_recipients() {
    let members = Members::new(3);
    let blob = members.seal(&secrets(1));
    let (device, key) = members.nth(1);
    let pins = |how: fn(&mut Pins)| {
        let mut pins = blob.pins;
        how(&mut pins);
        blob.items[1].clone().verify(&pins, 1).unwrap().open(&device, key)
    };
    assert!(pins(|_| ()).is_ok());
    assert_eq!(pins(|p| p.context[0] ^= 1), Err(OpenError::Unreadable));
    assert_eq!(pins(|p| p.recipients[31] ^= 1), Err(OpenError::Unreadable));
    assert_eq!(pins(|p| p.commit[9] ^= 1), Err(OpenError::OtherSecrets));
}

#[test]
fn r_blob_2_every_item_of_1_to_33_stands_at_its_place_alone() {
    let members = Members::new(33);
    for count in 1..=33 {
        let some = Members(members.0.clone().into_iter().take(count).collect());
        let blob = some.seal(&secrets(1));
        assert_eq!(blob.pins.count as usize, count);
        for (index, item) in (0..).zip(&blob.items) {
            for other in 0..=blob.pins.count {
                assert_eq!(
                    leaf(item.clone(), other, &blob.pins).is_ok(),
                    other == index,
                    "{index} at {other} of {count}"
                );
            }
        }
    }
}

#[test]
fn c05_37_r_blob_2_missing_additional_exchanged_and_repeated_items_give_another_root() {
    let members = Members::new(6);
    let honest = members.seal(&secrets(1));
    let again = |how: fn(&mut Vec<Item>)| {
        let mut items = honest.items.clone();
        how(&mut items);
        Blob::assemble(CONTEXT, honest.pins.recipients, honest.pins.commit, items).unwrap()
    };
    assert_eq!(again(|_| ()).pins, honest.pins);
    for (what, other) in [
        ("the last is missing", again(|items| drop(items.pop()))),
        ("one in the middle is missing", again(|items| drop(items.remove(2)))),
        ("the last is repeated", again(|items| items.push(items[5].clone()))),
        ("one stands for another", again(|items| items[1] = items[0].clone())),
        ("two are exchanged", again(|items| items.swap(2, 3))),
        ("two pairs are exchanged", again(|items| items.rotate_left(2))),
    ] {
        assert_ne!(other.pins.root, honest.pins.root, "{what}");
        // A holder who offers proofs of that tree is found out at each place where the item or its way differs.
        for (index, item) in (0..honest.pins.count).zip(&other.items) {
            let accepted = item.clone().verify(&honest.pins, index).is_ok();
            assert_eq!(accepted, honest.items.get(index as usize) == Some(item), "{what}: {index}");
        }
        assert_eq!(other.items[0].clone().verify(&honest.pins, 0), Err(ItemError::Misplaced), "{what}");
    }
}

#[test]
fn r_blob_2_item_with_the_proof_of_another_or_of_another_tree_is_refused() {
    let members = Members::new(9);
    let (blob, other) = (members.seal(&secrets(1)), members.seal(&secrets(2)));
    assert_ne!(blob.pins.root, other.pins.root);
    for (index, item) in (0..).zip(&blob.items) {
        let place = index as usize;
        assert_eq!(other.items[place].clone().verify(&blob.pins, index), Err(ItemError::Misplaced));
        let proof = other.items[place].proof.clone();
        assert_eq!(Item { proof, ..item.clone() }.verify(&blob.pins, index), Err(ItemError::Misplaced));
        let proof = blob.items[(place + 1) % 9].proof.clone();
        assert_eq!(Item { proof, ..item.clone() }.verify(&blob.pins, index), Err(ItemError::Misplaced));
        let item = Item { leaf_key: blob.items[(place + 1) % 9].leaf_key, ..item.clone() };
        assert_eq!(item.verify(&blob.pins, index), Err(ItemError::Misplaced));
    }
}

#[test]
fn r_blob_2_bytes_of_an_inner_node_are_no_item() {
    // The fields of a leaf are longer than a node's, and their labels differ: an item whose hash is a node's would be a
    // collision. What is left to try is an item that stands one level too high.
    let blob = Members::new(4).seal(&secrets(1));
    let item = Item { proof: blob.items[0].proof[1..].to_vec(), ..blob.items[0].clone() };
    for count in 1..=4 {
        for index in 0..count {
            let pins = Pins { count, ..blob.pins };
            assert_eq!(item.clone().verify(&pins, index), Err(ItemError::Misplaced), "{index} of {count}");
        }
    }
    assert_ne!(label::REKEY_LEAF, label::REKEY_NODE);
}

#[test]
fn r_blob_3_digest_depends_on_every_device_and_their_number() {
    let devices = Members::new(4).devices();
    let digest = recipients_digest(&devices);
    let mut seen = BTreeSet::from([digest, recipients_digest(&BTreeSet::new())]);
    assert_eq!(seen.len(), 2);
    for gone in &devices {
        let mut fewer = devices.clone();
        fewer.remove(gone);
        assert!(seen.insert(recipients_digest(&fewer)));
        fewer.insert(device(99));
        assert!(seen.insert(recipients_digest(&fewer)));
    }
    let descending: BTreeSet<_> = devices.iter().rev().copied().collect();
    assert_eq!(recipients_digest(&descending), digest, "a set has one order");
}

#[test]
fn c05_37_r_blob_3_ghost_and_dropped_devices_are_found_before_anything_is_opened() {
    let members = Members::new(5);
    let (pins, devices) = (members.seal(&secrets(1)).pins, members.devices());
    for (index, device) in (0..).zip(&devices) {
        assert_eq!(pins.place(&devices, device), Ok(Some(index)));
        let mut fewer = devices.clone();
        fewer.remove(device);
        assert_eq!(pins.place(&fewer, device), Err(WrongRecipients), "sealed to a ghost");
    }
    let mut more = devices.clone();
    more.insert(device(99));
    assert_eq!(pins.place(&more, &device(99)), Err(WrongRecipients), "one was dropped");
    assert_eq!(pins.place(&devices, &device(99)), Ok(None));
    for count in [0, 4, 6, u32::MAX] {
        assert_eq!(Pins { count, ..pins }.place(&devices, &device(0)), Err(WrongRecipients));
    }
    assert_eq!(WrongRecipients.fault(), Fault::Peer);
}

#[test]
fn c05_37_r_blob_4_two_members_given_different_secrets_are_told_so_by_the_commitment() {
    let members = Members::new(4);
    let (told, other) = (secrets(1), secrets(2));
    let (honest, lying) = (members.seal(&told), members.seal(&other));
    let half = EpochSecrets { epoch: told.epoch.clone(), lineage: other.lineage.clone() };
    let halved = members.seal(&half);
    let items = vec![
        honest.items[0].clone(),
        lying.items[1].clone(),
        halved.items[2].clone(),
        Item { ciphertext: [0; CIPHERTEXT], ..honest.items[3].clone() },
    ];
    let blob = Blob::assemble(CONTEXT, honest.pins.recipients, told.commit(), items).unwrap();
    let opened = |index: u32| {
        let (device, key) = members.nth(index as usize);
        blob.items[index as usize].clone().verify(&blob.pins, index).unwrap().open(&device, key)
    };
    assert_eq!(opened(0), Ok(told));
    assert_eq!(opened(1), Err(OpenError::OtherSecrets));
    assert_eq!(opened(2), Err(OpenError::OtherSecrets));
    assert_eq!(opened(3), Err(OpenError::Unreadable));
    for lie in [OpenError::OtherSecrets, OpenError::Unreadable] {
        assert_eq!(lie.fault(), Fault::Peer);
        assert!(lie.to_string().contains("author"));
    }
    assert_eq!(OpenError::OtherKey.fault(), Fault::Local);
}

#[test]
fn r_blob_4_commitment_depends_on_both_secrets_and_their_order() {
    let EpochSecrets { epoch, lineage } = secrets(1);
    let commit = |epoch: &Secret<32>, lineage: &Secret<32>| {
        EpochSecrets { epoch: epoch.clone(), lineage: lineage.clone() }.commit()
    };
    let all = [
        commit(&epoch, &lineage),
        commit(&lineage, &epoch),
        commit(&epoch, &epoch),
        commit(&epoch, &Secret::new([0; 32])),
        commit(&Secret::new([0; 32]), &lineage),
    ];
    assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
    let plain = Transcript::new(label::EPOCH_COMMIT).field(epoch.as_bytes()).field(lineage.as_bytes());
    assert_eq!(all[0], plain.sha256());
}

#[test]
fn r_blob_5_item_has_one_spelling_and_one_length() {
    let blob = Members::new(3).seal(&secrets(1));
    let bytes = blob.items[0].encode();
    refuses_every_second_spelling("Item", &bytes, &|bytes| Item::decode(bytes).ok().map(|item| item.encode()));
    for cut in 0..bytes.len() {
        // Cut between two hashes it is an item of a shorter proof, which stands nowhere.
        if let Ok(item) = Item::decode(&bytes[..cut]) {
            assert_eq!(item.verify(&blob.pins, 0), Err(ItemError::Misplaced));
        }
    }
    let too_long = Item { proof: vec![[1; 32]; REKEY_PROOF_MAX + 1], ..blob.items[0].clone() };
    assert_eq!(Item::decode(&too_long.encode()), Err(wire::Error::TooMany { max: REKEY_PROOF_MAX }));
    let largest = Item { proof: vec![[1; 32]; REKEY_PROOF_MAX], ..blob.items[0].clone() }.encode();
    assert!(Item::decode(&largest).is_ok() && largest.len() <= REKEY_ITEM_MAX, "{}", largest.len());
    assert_eq!(Item::decode(&[0; REKEY_ITEM_MAX + 1]), Err(wire::Error::TooLarge { max: REKEY_ITEM_MAX }));
    assert_eq!(Item::decode(&[]), Err(wire::Error::Unknown(0)));
}

#[test]
fn r_blob_2_item_altered_in_any_field_is_refused_at_its_place() {
    let members = Members::new(5);
    let blob = members.seal(&secrets(1));
    let (mut decoded, mut refused) = (0, 0);
    for altered in every_field_altered(&blob.items[2].encode()) {
        match Item::decode(&altered.bytes).map(|item| item.verify(&blob.pins, 2)) {
            Err(_) => refused += 1,
            Ok(verdict) => {
                assert_eq!(verdict, Err(ItemError::Misplaced), "{}", altered.what);
                decoded += 1;
            }
        }
    }
    assert!(decoded > 10 && refused > 5, "{decoded} {refused}");
}

#[test]
fn r_blob_5_epoch_for_nobody_or_for_too_many_is_not_made() {
    let key = LeafSecret::random(&mut rng()).public();
    let seal = |count: u16| {
        let recipients = (0..count).map(|n| (device(n), &key)).collect();
        Blob::seal(&CONTEXT, &recipients, &secrets(1), &mut rng())
    };
    assert_eq!(seal(0).unwrap_err(), SealError::Empty);
    assert_eq!(seal(REKEY_RECIPIENTS_MAX as u16 + 1).unwrap_err(), SealError::TooMany);
    assert_eq!(SealError::Empty.fault(), Fault::Local);
}

#[test]
fn r_blob_5_item_of_the_largest_epoch_is_checked_with_14_hashes() {
    let (leaf_secret, secrets) = (LeafSecret::random(&mut rng()), secrets(1));
    let key = leaf_secret.public();
    let recipients: BTreeMap<_, _> = (0..REKEY_RECIPIENTS_MAX as u16).map(|n| (device(n), &key)).collect();
    let digest = digest(recipients.len(), recipients.keys());
    // One sealing stands for all: what is tried here is the tree.
    let last = *recipients.keys().last().unwrap();
    let item = Item::seal(&CONTEXT, &digest, &last, &key, &secrets, &mut rng()).unwrap();
    let blob = Blob::assemble(CONTEXT, digest, secrets.commit(), vec![item; REKEY_RECIPIENTS_MAX]).unwrap();
    assert_eq!(blob.items.iter().map(|item| item.proof.len()).max(), Some(REKEY_PROOF_MAX));
    assert!(blob.items.iter().all(|item| item.encode().len() <= REKEY_ITEM_MAX));
    let index = blob.pins.place(&recipients.keys().copied().collect(), &last).unwrap().unwrap();
    assert_eq!(index, 9_999);
    let placed = leaf(blob.items[9_999].clone(), index, &blob.pins).unwrap();
    assert_eq!(placed.open(&last, &leaf_secret), Ok(secrets));
    assert!(leaf(blob.items[9_998].clone(), index, &blob.pins).is_err());
}

#[test]
fn r_crypto_8_debug_of_a_blob_and_its_secrets_prints_no_secret() {
    assert_eq!(format!("{:?}", secrets(1)), "EpochSecrets(..)");
    let blob = Members::new(1).seal(&secrets(1));
    assert!(format!("{:?}", blob.items[0]).starts_with("Item(LeafKeyId("));
}
