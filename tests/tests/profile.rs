//! A profile on disk belongs to one process at a time.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::print_stdout)]

use kith_node::{
    Code,
    app::query,
    clock::system_rng,
    profile::{Key, create, open},
};
use kith_store::{Disk, Rows, Store, Unlock, Writes, table::Setting};
use std::{collections::BTreeMap, ffi::OsString, fs, path::Path};

/// Every file of a folder with its bytes.
fn files(home: &Path) -> BTreeMap<OsString, Vec<u8>> {
    let entries = fs::read_dir(home).unwrap().map(Result::unwrap);
    entries.map(|entry| (entry.file_name(), fs::read(entry.path()).unwrap())).collect()
}

#[test]
fn c05_07_a_profile_that_is_open_is_refused_to_a_second_unchanged_and_the_first_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("home");
    create(&home, "alice", &Key::File).unwrap();
    let first = open(&home, &Key::File).unwrap();
    let before = files(&home);
    for _ in 0..3 {
        let refused = open(&home, &Key::File).map(|_| ()).unwrap_err();
        assert_eq!((refused.code, refused.hint.contains("stop")), (Code::ProfileInUse, true), "{refused:?}");
        assert_eq!(create(&home, "mallory", &Key::File).unwrap_err().code, Code::ProfileInUse);
        assert!(files(&home) == before, "a refused holder changed the profile");
    }
    let mut writes = Writes::default();
    writes.put(&Setting { name: "theme".into(), value: b"dark".to_vec() }).unwrap();
    first.store.write(|tx| tx.apply(&writes)).unwrap().into_inner();
    assert_eq!(query::me(&first.store.snapshot().unwrap()).unwrap().name, "alice");
    drop(first);
    let next = open(&home, &Key::File).unwrap();
    let kept = next.store.snapshot().unwrap().row::<Setting>(&Setting::key_of("theme")).unwrap();
    assert_eq!(kept.unwrap().value, b"dark");
}

#[test]
fn a_profile_whose_making_was_cut_off_is_made_and_a_whole_one_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("home");
    kith_store::private_folder(&home).unwrap();
    // What a maker leaves that dies between the store and the account.
    let disk = Disk::File(home.join("kith.redb.making"));
    drop(Store::create(disk, &Unlock::KeyFile(home.join("key")), &mut system_rng().unwrap()).unwrap());
    assert_eq!(open(&home, &Key::File).map(|_| ()).unwrap_err().code, Code::NoProfile);
    create(&home, "alice", &Key::File).unwrap();
    let before = files(&home);
    for key in [Key::File, Key::Passphrase("another".to_owned().into())] {
        assert_eq!(create(&home, "mallory", &key).unwrap_err().code, Code::ProfileExists);
        assert!(files(&home) == before, "a refused maker changed the profile");
    }
    let made = open(&home, &Key::File).unwrap();
    assert_eq!(query::me(&made.store.snapshot().unwrap()).unwrap().name, "alice");
}
