//! What opens a store, and what does not.

use crate::common::*;
use kith_protocol::crypto::{Secret, kdf::Argon2Params};
use kith_store::{Disk, Error, MemoryDisk, Store, Stretching, Unlock, UnlockKind};
use std::os::unix::fs::PermissionsExt;

const CHEAP: Stretching = Stretching::CHEAP_FOR_TESTS;

fn create_with(disk: &MemoryDisk, unlock: &Unlock, stretching: &Stretching) -> Store {
    Store::create_with(Disk::Memory(disk.clone()), unlock, stretching, &mut rng(1)).unwrap()
}

fn open_with(disk: &MemoryDisk, unlock: &Unlock, stretching: &Stretching) -> Result<Store, Error> {
    Store::open_with(Disk::Memory(disk.clone()), unlock, stretching, &mut rng(2))
}

fn kind_of(disk: &MemoryDisk) -> UnlockKind {
    Store::info(&Disk::Memory(disk.clone())).unwrap().unlock
}

/// The Argon2 parameters as they stand in the plain header, found by their place: version, id, kind, three numbers.
fn params_in(disk: &MemoryDisk) -> [u32; 3] {
    let header = header_of(disk.image());
    [21, 25, 29].map(|at| u32::from_be_bytes(header[at..at + 4].try_into().unwrap()))
}

#[test]
fn r_store_4_right_passphrase_opens_and_wrong_ones_all_give_one_error_and_change_nothing() {
    let disk = MemoryDisk::new();
    let right = Unlock::passphrase("correct horse");
    let store = create_with(&disk, &right, &CHEAP);
    commit(&store, &[note("a", 1, "x")]).unwrap();
    store.close().unwrap();
    assert_eq!(kind_of(&disk), UnlockKind::Passphrase);
    let (image, before) = (disk.image(), disk.counts());
    for wrong in ["", "correct", "correct horse ", "Correct horse", "correct horsf"] {
        let error = open_with(&disk, &Unlock::passphrase(wrong), &CHEAP).unwrap_err();
        assert!(matches!(error, Error::WrongPassphrase), "{wrong:?}: {error:?}");
        assert_eq!((error.code(), error.to_string().as_str()), ("wrong_passphrase", "wrong passphrase"));
        assert!(!error.hint().is_empty());
    }
    // A header with another salt, parameter, id or wrapped key is told apart from a wrong passphrase by nobody.
    for at in [4, 19, 33, 48, 49, 72, 73, 120] {
        let changed = MemoryDisk::from_image(with_header(image.clone(), |header| header[at] ^= 1));
        let error = open_with(&changed, &right, &CHEAP).unwrap_err();
        assert!(matches!(error, Error::WrongPassphrase), "byte {at}: {error:?}");
    }
    assert!(disk.image() == image && disk.counts().writes == before.writes, "a refused opening wrote");
    assert_eq!(notes(&open_with(&disk, &right, &CHEAP).unwrap()), [note("a", 1, "x")]);
}

#[test]
fn r_store_4_each_kind_of_lock_says_what_it_needs() {
    let (sealed, free) = (MemoryDisk::new(), MemoryDisk::new());
    drop(create_with(&sealed, &Unlock::passphrase("p"), &CHEAP));
    drop(create_with(&free, &key(), &CHEAP));
    assert_eq!((kind_of(&sealed), kind_of(&free)), (UnlockKind::Passphrase, UnlockKind::KeyFile));
    assert!(matches!(open_with(&sealed, &key(), &CHEAP), Err(Error::Locked)));
    assert!(matches!(open_with(&free, &Unlock::passphrase("p"), &CHEAP), Err(Error::NoPassphrase)));
    let other = Unlock::Key(Secret::new([8; 32]));
    assert!(matches!(open_with(&free, &other, &CHEAP), Err(Error::WrongKeyFile)));
}

#[test]
fn r_store_5_parameters_out_of_bounds_are_refused_before_they_cost_anything() {
    let disk = MemoryDisk::new();
    let right = Unlock::passphrase("p");
    drop(create_with(&disk, &right, &CHEAP));
    // The store of a real profile accepts nothing as cheap as this one.
    let error = open_with(&disk, &right, &Stretching::STANDARD).unwrap_err();
    assert!(matches!(error, Error::WrappingRefused { memory_kib: 8192, .. }), "{error:?}");
    for (at, value) in
        [(21, 8191), (21, 64), (21, 1024 * 1024 + 1), (21, u32::MAX), (25, 0), (25, 11), (29, 0), (29, 17)]
    {
        let image = with_header(disk.image(), |header| {
            header.splice(at..at + 4, u32::to_be_bytes(value));
        });
        let error = open_with(&MemoryDisk::from_image(image), &right, &CHEAP).unwrap_err();
        assert!(matches!(error, Error::WrappingRefused { .. }), "byte {at}: {error:?}");
        assert_eq!(error.code(), "store_corrupt");
    }
}

#[test]
fn r_store_5_raised_work_is_taken_up_at_the_next_unlock() {
    let disk = MemoryDisk::new();
    let unlock = Unlock::passphrase("p");
    let store = create_with(&disk, &unlock, &CHEAP);
    commit(&store, &[note("a", 1, "x")]).unwrap();
    drop(store);
    assert_eq!(params_in(&disk), [8192, 1, 1]);
    let raised = Stretching { wanted: Argon2Params { memory_kib: 9 * 1024, passes: 2, lanes: 1 }, ..CHEAP };
    drop(open_with(&disk, &unlock, &raised).unwrap());
    assert_eq!(params_in(&disk), [9 * 1024, 2, 1]);
    assert!(matches!(open_with(&disk, &Unlock::passphrase("q"), &raised), Err(Error::WrongPassphrase)));
    // Less is never taken up.
    assert_eq!(notes(&open_with(&disk, &unlock, &CHEAP).unwrap()), [note("a", 1, "x")]);
    assert_eq!(params_in(&disk), [9 * 1024, 2, 1]);
}

#[test]
fn standard_work_is_what_the_design_asks_for() {
    let disk = MemoryDisk::new();
    let unlock = Unlock::passphrase("p");
    drop(Store::create(Disk::Memory(disk.clone()), &unlock, &mut rng(1)).unwrap());
    assert_eq!(params_in(&disk), [64 * 1024, 3, 4]);
    assert!(Store::open(Disk::Memory(disk), &unlock, &mut rng(2)).is_ok());
}

#[test]
fn changed_lock_opens_the_same_rows_and_the_old_one_no_longer_does() {
    let disk = MemoryDisk::new();
    let (old, new) = (key(), Unlock::passphrase("new"));
    let store = create_with(&disk, &old, &CHEAP);
    commit(&store, &[note("a", 1, "x")]).unwrap();
    store.change_unlock(&new, &CHEAP, &mut rng(3)).unwrap();
    commit(&store, &[note("a", 2, "y")]).unwrap();
    drop(store);
    assert!(matches!(open_with(&disk, &old, &CHEAP), Err(Error::Locked)));
    assert_eq!(notes(&open_with(&disk, &new, &CHEAP).unwrap()).len(), 2);
}

#[test]
fn key_file_is_made_private_and_demanded_back() {
    let folder = tempfile::tempdir().unwrap();
    let (store, key) = (Disk::File(folder.path().join("store")), folder.path().join("key"));
    let unlock = Unlock::KeyFile(key.clone());
    drop(Store::create(store.clone(), &unlock, &mut rng(1)).unwrap());
    for file in ["store", "key"] {
        let mode = std::fs::metadata(folder.path().join(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
    assert_eq!(std::fs::read(&key).unwrap().len(), 32);
    drop(Store::open(store.clone(), &unlock, &mut rng(2)).unwrap());

    let set = |mode| std::fs::set_permissions(&key, std::fs::Permissions::from_mode(mode)).unwrap();
    set(0o640);
    let error = Store::open(store.clone(), &unlock, &mut rng(2)).unwrap_err();
    assert!(matches!(&error, Error::Permissions { mode: 0o640, path } if *path == key), "{error:?}");
    assert!(error.hint().starts_with("chmod go-rwx"));
    set(0o600);

    std::fs::write(&key, [1; 31]).unwrap();
    assert!(matches!(Store::open(store.clone(), &unlock, &mut rng(2)), Err(Error::WrongKeyFile)));
    std::fs::write(&key, [1; 32]).unwrap();
    assert!(matches!(Store::open(store.clone(), &unlock, &mut rng(2)), Err(Error::WrongKeyFile)));
    std::fs::remove_file(&key).unwrap();
    assert!(matches!(Store::open(store, &unlock, &mut rng(2)), Err(Error::KeyFileMissing { path }) if path == key));
}
