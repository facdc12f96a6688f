//! One process per profile, files for nobody else's eyes, and a disk that cannot be written.

use crate::common::*;
use kith_store::{Disk, Error, ProfileLock, Store, Unlock, private_folder};
use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::Path,
};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

#[test]
fn second_holder_learns_pid_profile_and_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lock");
    let first = ProfileLock::acquire(&path, "work", "kith --profile work stop").unwrap();
    let error = ProfileLock::acquire(&path, "other name", "other command").unwrap_err();
    let Error::InUse { profile, pid, command } = &error else { panic!("{error:?}") };
    assert_eq!(
        (profile.as_str(), *pid, command.as_str()),
        ("work", Some(std::process::id()), "kith --profile work stop")
    );
    assert_eq!(error.code(), "profile_in_use");
    assert_eq!(error.to_string(), format!("work is in use by process {}", std::process::id()));
    assert_eq!(error.hint(), "kith --profile work stop");
    assert_eq!(mode(&path), 0o600);
    drop(first);
    assert!(ProfileLock::acquire(&path, "work", "c").is_ok());
}

#[test]
fn lock_file_left_by_a_dead_process_is_no_obstacle() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lock");
    fs::write(&path, "4194304\nwork\nkith stop\nand much more that a longer line left behind\n").unwrap();
    let _held = ProfileLock::acquire(&path, "mine", "kith stop").unwrap();
    let text = fs::read_to_string(&path).unwrap();
    assert_eq!(text, format!("{}\nmine\nkith stop\n", std::process::id()));
}

#[test]
fn lock_held_by_somebody_who_has_not_written_yet_is_named_by_what_the_caller_knows() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lock");
    let file = fs::File::create(&path).unwrap();
    rustix::fs::flock(&file, rustix::fs::FlockOperation::LockExclusive).unwrap();
    for text in ["", "not a pid\n", "\u{fffd}\n\n\n"] {
        fs::write(&path, text).unwrap();
        let error = ProfileLock::acquire(&path, "work", "kith stop").unwrap_err();
        assert!(matches!(&error, Error::InUse { pid: None, profile, .. } if profile == "work"), "{error:?}");
        assert_eq!(error.to_string(), "work is in use by another process");
    }
}

#[test]
fn folder_is_made_private_and_kept_so() {
    let folder = tempfile::tempdir().unwrap();
    let (new, old) = (folder.path().join("deep/new"), folder.path().join("old"));
    private_folder(&new).unwrap();
    assert_eq!((mode(&new), mode(new.parent().unwrap())), (0o700, 0o700));
    fs::create_dir(&old).unwrap();
    set_mode(&old, 0o755);
    private_folder(&old).unwrap();
    assert_eq!(mode(&old), 0o700);
    private_folder(&old).unwrap();
    fs::write(folder.path().join("file"), "x").unwrap();
    assert!(private_folder(&folder.path().join("file")).is_err());
}

#[test]
fn store_file_is_made_private_again_when_opened() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    drop(Store::create(Disk::File(path.clone()), &key(), &mut rng(1)).unwrap());
    assert_eq!(mode(&path), 0o600);
    set_mode(&path, 0o644);
    drop(Store::open(Disk::File(path.clone()), &key(), &mut rng(2)).unwrap());
    assert_eq!(mode(&path), 0o600);
    // Nothing else was left in the folder.
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn c05_07_a_store_opened_twice_is_refused_unchanged_and_the_first_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let disk = Disk::File(path.clone());
    let store = Store::create(disk.clone(), &key(), &mut rng(1)).unwrap();
    commit(&store, &[note("a", 1, "x")]).unwrap();
    let before = fs::read(&path).unwrap();
    let error = Store::open(disk.clone(), &key(), &mut rng(2)).unwrap_err();
    assert!(matches!(error, Error::InUse { .. }), "{error:?}");
    assert!(matches!(Store::create(disk.clone(), &key(), &mut rng(2)), Err(Error::Exists)));
    assert!(fs::read(&path).unwrap() == before, "a refused holder changed the file");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "a refused holder left something behind");
    commit(&store, &[note("a", 2, "y")]).unwrap();
    drop(store);
    assert_eq!(notes(&Store::open(disk, &key(), &mut rng(2)).unwrap()).len(), 2);
}

#[test]
fn what_is_not_there_is_missing_and_nothing_is_made_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let disk = Disk::File(folder.path().join("store"));
    assert!(matches!(Store::open(disk.clone(), &key(), &mut rng(1)), Err(Error::Missing)));
    assert!(matches!(Store::info(&disk), Err(Error::Missing)));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    let nowhere = Disk::File(folder.path().join("no/such/folder/store"));
    assert!(Store::create(nowhere, &key(), &mut rng(1)).is_err());
}

#[test]
fn leftovers_of_a_creation_cut_off_are_no_obstacle() {
    let folder = tempfile::tempdir().unwrap();
    let disk = Disk::File(folder.path().join("store"));
    fs::write(folder.path().join("store.creating"), "half a store").unwrap();
    let unlock = Unlock::KeyFile(folder.path().join("key"));
    drop(Store::create(disk.clone(), &unlock, &mut rng(1)).unwrap());
    // The key file of a creation cut off is used again.
    fs::remove_file(folder.path().join("store")).unwrap();
    drop(Store::create(disk.clone(), &unlock, &mut rng(3)).unwrap());
    assert!(Store::open(disk, &unlock, &mut rng(2)).is_ok());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
}

#[test]
fn migration_of_a_file_keeps_a_private_copy_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let (path, copy) = (folder.path().join("store"), folder.path().join("store.schema-1"));
    let old = "tests/fixtures/schema-1.redb";
    fs::copy(old, &path).unwrap();
    // A copy that a crash cut off.
    fs::write(folder.path().join("store.copying"), "half").unwrap();
    let open = || {
        let unlock = Unlock::passphrase("an old passphrase");
        Store::open_with(Disk::File(path.clone()), &unlock, &kith_store::Stretching::CHEAP_FOR_TESTS, &mut rng(2))
            .unwrap()
    };
    let store = open();
    assert_eq!(notes(&store).len(), 40);
    assert!(fs::read(&copy).unwrap() == fs::read(old).unwrap());
    assert_eq!(mode(&copy), 0o600);
    drop(store);
    let store = open();
    assert!(store.drop_old_copies().unwrap() && !store.drop_old_copies().unwrap());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}
