//! A commit is all there or not at all, whatever the disk does.

use crate::common::*;
use kith_store::{Error, MemoryDisk, Rows, Store};

#[test]
fn r_row_3_what_was_committed_is_there_after_a_restart() {
    let disk = MemoryDisk::new();
    let store = create(&disk);
    commit(&store, &[note("a", 1, "one"), note("a", 2, "two")]).unwrap();
    store.close().unwrap();
    assert_eq!(notes(&open(&disk).unwrap()), [note("a", 1, "one"), note("a", 2, "two")]);
}

#[test]
fn r_row_3_failed_step_changes_nothing_and_the_next_goes_on() {
    let store = create(&MemoryDisk::new());
    commit(&store, &[note("a", 1, "one")]).unwrap();
    let failed = store.write(|tx| {
        tx.apply(&put(&[note("a", 2, "two")]))?;
        assert_eq!(tx.all::<Note>(None, 9)?.len(), 2);
        Err::<(), _>(Error::Bug("on purpose"))
    });
    assert!(matches!(failed, Err(Error::Bug(_))));
    assert_eq!(notes(&store), [note("a", 1, "one")]);
    commit(&store, &[note("a", 3, "three")]).unwrap();
    assert_eq!(notes(&store).len(), 2);
}

#[test]
fn panicking_step_changes_nothing_and_the_next_goes_on() {
    let store = create(&MemoryDisk::new());
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        store.write(|tx| -> Result<(), Error> {
            tx.apply(&put(&[note("a", 1, "half")]))?;
            std::panic::resume_unwind(Box::new("on purpose"))
        })
    }));
    assert!(panicked.is_err());
    assert_eq!(notes(&store), []);
    commit(&store, &[note("a", 1, "whole")]).unwrap();
    assert_eq!(notes(&store), [note("a", 1, "whole")]);
}

#[test]
fn r_store_1_a_forgettable_commit_is_gone_after_a_power_cut_whole_and_kept_by_the_next_that_is_synced() {
    let disk = MemoryDisk::new();
    let store = create(&disk);
    let forget = |store: &Store, n: u64| {
        store.write_forgettable(|tx| tx.apply(&put(&[note("soft", n, "x"), note("too", n, "y")])))
    };
    commit(&store, &[note("a", 1, "kept")]).unwrap();
    let syncs = disk.counts().syncs;
    let _ = forget(&store, 1).unwrap();
    assert_eq!(disk.counts().syncs, syncs);
    assert_eq!(notes(&store).len(), 3, "seen at once");
    disk.crash();
    drop(store);
    let store = open(&disk).unwrap();
    assert_eq!(notes(&store), [note("a", 1, "kept")]);
    let _ = forget(&store, 2).unwrap();
    commit(&store, &[note("a", 3, "kept")]).unwrap();
    disk.crash();
    drop(store);
    let store = open(&disk).unwrap();
    assert_eq!(notes(&store).len(), 4, "what came before is synced with it");
    // By themselves they are synced now and then, so that the file does not grow.
    let (syncs, before) = (disk.counts().syncs, disk.image().len());
    for n in 0..640 {
        let _ = forget(&store, n % 4).unwrap();
    }
    assert_eq!(disk.counts().syncs - syncs, 10);
    assert!(disk.image().len() <= 4 * before, "{} bytes after {before}", disk.image().len());
    disk.crash();
    drop(store);
    assert_eq!(notes(&open(&disk).unwrap()).len(), 10);
}

#[test]
fn snapshot_does_not_change_under_later_commits() {
    let store = create(&MemoryDisk::new());
    commit(&store, &[note("a", 1, "old")]).unwrap();
    let before = store.snapshot().unwrap();
    commit(&store, &[note("a", 1, "new"), note("a", 2, "more")]).unwrap();
    assert_eq!(before.all::<Note>(None, 9).unwrap(), [note("a", 1, "old")]);
    assert_eq!(notes(&store).len(), 2);
}
