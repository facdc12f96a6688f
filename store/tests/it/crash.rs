//! Power cuts, failing and full disks at every point of a workload: what was committed is there, whole, and nothing else.

use crate::common::*;
use kith_store::{Disk, Error, MemoryDisk, Range, Store, Writes};
use std::{
    collections::{BTreeMap, BTreeSet},
    io::{BufRead, BufReader, Write},
    process::{Command, Stdio},
};

/// Rounds of the workload; each is one commit.
const ROUNDS: u64 = 8;

type Model = BTreeMap<(String, u64), String>;

/// One round: rows that come, change and go, in several groups, some large enough to need pages of their own.
fn round(n: u64) -> (Vec<Note>, Vec<Note>) {
    let text = |page: u64| format!("{n} ").repeat((page as usize + 1) * if n % 4 == 3 { 300 } else { 9 });
    let put = (0..5).map(|i| note(&format!("book {}", (n + i) % 3), (n * 3 + i) % 11, &text(i)));
    let gone = (0..2).map(|i| note(&format!("book {i}"), (n * 5 + i) % 11, ""));
    (put.collect(), gone.collect())
}

fn writes(n: u64) -> Writes {
    let (puts, gone) = round(n);
    let mut writes = put(&puts);
    for note in gone {
        writes.delete::<Note>(kith_store::Row::key(&note));
    }
    writes
}

fn model_after(rounds: u64) -> Model {
    let mut model = Model::new();
    for n in 0..rounds {
        let (puts, gone) = round(n);
        model.extend(puts.into_iter().map(|note| ((note.book, note.page), note.text)));
        for note in gone {
            model.remove(&(note.book, note.page));
        }
    }
    model
}

fn model_of(store: &Store) -> Model {
    notes(store).into_iter().map(|note| ((note.book, note.page), note.text)).collect()
}

/// Runs rounds until one fails; returns how many were confirmed.
fn work(store: &Store, from: u64) -> u64 {
    (from..ROUNDS).find(|n| store.write(|tx| tx.apply(&writes(*n))).is_err()).unwrap_or(ROUNDS)
}

/// Tells how many rounds a store shows, and that it is exactly those: `confirmed`, or the one more whose outcome was not
/// known.
fn rounds_shown(store: &Store, confirmed: u64, context: &str) -> u64 {
    let model = model_of(store);
    let shown = (confirmed..=(confirmed + 1).min(ROUNDS)).find(|n| model == model_after(*n));
    shown.unwrap_or_else(|| panic!("{context}: {confirmed} rounds were confirmed, the store shows something else"))
}

/// A store that is set up, and the number of calls the whole workload takes.
fn measured(counted: impl Fn(&MemoryDisk) -> u64) -> u64 {
    let disk = MemoryDisk::new();
    let store = create(&disk);
    let before = counted(&disk);
    assert_eq!(work(&store, 0), ROUNDS);
    counted(&disk) - before
}

fn changes(disk: &MemoryDisk) -> u64 {
    disk.counts().writes + disk.counts().syncs
}

#[test]
fn r_store_1_power_cut_at_every_write_and_sync_keeps_every_confirmed_commit_whole() {
    let mut unknown = 0;
    for cut in 0..measured(changes) {
        for seed in 0..3 {
            let context = format!("cut {cut}, seed {seed}");
            let disk = MemoryDisk::new();
            let store = create(&disk);
            disk.stop_after(cut);
            let confirmed = work(&store, 0);
            drop(store);
            // Seed 0: nothing unsynced survives; else chance decides, sector by sector.
            if seed == 0 {
                disk.crash()
            } else {
                disk.crash_torn(&mut rng(seed))
            }
            let store = open(&disk).unwrap_or_else(|error| panic!("{context}: {error:?}"));
            let shown = rounds_shown(&store, confirmed, &context);
            unknown += shown - confirmed;
            // It goes on from there.
            assert_eq!(work(&store, shown), ROUNDS, "{context}");
            assert!(model_of(&store) == model_after(ROUNDS), "{context}");
        }
    }
    assert!(unknown > 0, "no crash fell between a commit and its confirmation");
}

#[test]
fn r_store_1_second_power_cut_during_recovery_loses_nothing_either() {
    let mut recoveries_cut = 0;
    for cut in (0..measured(changes)).step_by(3) {
        let disk = MemoryDisk::new();
        let store = create(&disk);
        disk.stop_after(cut);
        let confirmed = work(&store, 0);
        drop(store);
        disk.crash_torn(&mut rng(cut));
        let image = disk.image();
        for second in 0..40 {
            let disk = MemoryDisk::from_image(image.clone());
            disk.stop_after(second);
            let opened = open(&disk);
            let cut_off = opened.is_err();
            recoveries_cut += u64::from(cut_off);
            drop(opened);
            disk.crash_torn(&mut rng(second));
            let context = format!("cut {cut}, then {second}");
            let store = open(&disk).unwrap_or_else(|error| panic!("{context}: {error:?}"));
            rounds_shown(&store, confirmed, &context);
            if !cut_off {
                break;
            }
        }
    }
    assert!(recoveries_cut > 20, "only {recoveries_cut} recoveries were cut off");
}

#[test]
fn r_store_2_io_error_at_any_call_stops_writing_until_reopened_and_loses_nothing() {
    let calls = |disk: &MemoryDisk| disk.counts().reads + changes(disk);
    let mut failed = 0;
    for n in 0..measured(calls) {
        for once in [false, true] {
            let context = format!("call {n}, once {once}");
            let disk = MemoryDisk::new();
            let store = create(&disk);
            if once {
                disk.fail_once_after(n)
            } else {
                disk.fail_after(n)
            }
            let confirmed = work(&store, 0);
            if confirmed == ROUNDS {
                continue;
            }
            failed += 1;
            assert!(store.is_stopped(), "{context}");
            // Nothing is written any more, even if the disk is well again.
            disk.heal();
            let before = changes(&disk);
            let refused = store.write(|tx| tx.apply(&writes(ROUNDS))).unwrap_err();
            assert!(matches!(refused, Error::Stopped) && refused.code() == "storage_failed", "{context}: {refused:?}");
            assert!(matches!(store.replay(|_| Ok(())), Err(Error::Stopped)), "{context}");
            assert_eq!(changes(&disk), before, "{context}");
            // Reading goes on; then a reopening finds out what happened.
            rounds_shown(&store, confirmed, &context);
            store.reopen().unwrap_or_else(|error| panic!("{context}: {error:?}"));
            let shown = rounds_shown(&store, confirmed, &context);
            assert_eq!(work(&store, shown), ROUNDS, "{context}");
            drop(store);
            assert!(model_of(&open(&disk).unwrap()) == model_after(ROUNDS), "{context}");
        }
    }
    assert!(failed > 100, "only {failed} runs failed");
}

#[test]
fn r_store_2_reopening_while_the_disk_still_fails_can_be_tried_again() {
    let disk = MemoryDisk::new();
    let store = create(&disk);
    assert_eq!(work(&store, 0), ROUNDS);
    disk.fail_after(0);
    assert!(matches!(store.write(|tx| tx.apply(&writes(0))), Err(Error::Io(_))));
    assert!(store.reopen().is_err() && store.is_stopped());
    assert!(store.snapshot().is_err());
    disk.heal();
    assert!(model_of(&store) == model_after(ROUNDS));
    store.reopen().unwrap();
    assert!(!store.is_stopped() && model_of(&store) == model_after(ROUNDS));
    commit(&store, &[note("after", 1, "x")]).unwrap();
}

#[test]
fn r_store_3_full_disk_at_every_write_is_named_loses_nothing_and_heals_with_room() {
    let mut full = 0;
    for n in 0..measured(|disk| disk.counts().writes) {
        let context = format!("write {n}");
        let disk = MemoryDisk::new();
        let store = create(&disk);
        disk.full_after(n);
        let confirmed = work(&store, 0);
        if confirmed == ROUNDS {
            continue;
        }
        full += 1;
        assert!(store.is_stopped(), "{context}");
        // No room yet: what is there can still be read, and reopening may or may not work.
        rounds_shown(&store, confirmed, &context);
        if let Err(error) = store.reopen() {
            assert!(matches!(error, Error::DiskFull) && error.code() == "disk_full", "{context}: {error:?}");
        }
        disk.set_full(false);
        store.reopen().unwrap_or_else(|error| panic!("{context}: {error:?}"));
        let shown = rounds_shown(&store, confirmed, &context);
        assert_eq!(work(&store, shown), ROUNDS, "{context}");
    }
    assert!(full > 30, "only {full} runs met a full disk");
}

#[test]
fn r_store_3_first_write_that_finds_no_room_says_so() {
    let disk = MemoryDisk::new();
    let store = create(&disk);
    commit(&store, &[note("a", 1, "kept")]).unwrap();
    disk.set_full(true);
    let error = commit(&store, &[note("a", 2, "no room")]).unwrap_err();
    assert!(matches!(error, Error::DiskFull), "{error:?}");
    assert_eq!(notes(&store), [note("a", 1, "kept")]);
}

#[test]
fn crash_while_a_store_is_made_leaves_none_or_all() {
    let disk = MemoryDisk::new();
    disk.stop_after(1);
    assert!(Store::create(Disk::Memory(disk.clone()), &key(), &mut rng(1)).is_err());
    disk.crash();
    assert!(matches!(open(&disk), Err(Error::Missing)));
    let store = create(&disk);
    drop(store);
    assert!(matches!(Store::create(Disk::Memory(disk.clone()), &key(), &mut rng(1)), Err(Error::Exists)));
    assert!(open(&disk).is_ok());
}

#[test]
fn read_only_disk_is_named_and_the_store_goes_on_when_it_can_be_written_again() {
    let disk = MemoryDisk::new();
    let store = create(&disk);
    commit(&store, &[note("a", 1, "kept")]).unwrap();
    disk.set_read_only(true);
    let error = commit(&store, &[note("a", 2, "refused")]).unwrap_err();
    assert!(matches!(error, Error::ReadOnly) && error.code() == "read_only", "{error:?}");
    assert_eq!(notes(&store), [note("a", 1, "kept")]);
    assert!(matches!(store.reopen(), Err(Error::ReadOnly)));
    drop(store);
    let image = disk.image();
    assert!(matches!(open(&disk), Err(Error::ReadOnly)));
    assert!(disk.image() == image);
    disk.set_read_only(false);
    let store = open(&disk).unwrap();
    commit(&store, &[note("a", 2, "written")]).unwrap();
    assert_eq!(notes(&store).len(), 2);
}

/// What a row's sealed value starts with: version and nonce.
fn nonces(image: Vec<u8>) -> BTreeSet<Vec<u8>> {
    let mut found = BTreeSet::new();
    with_rows(image, |rows| found.extend(rows.iter().map(|(_, value)| value[..25].to_vec())));
    found
}

#[test]
fn r_row_1_old_image_put_back_opens_and_no_nonce_comes_again() {
    let disk = MemoryDisk::new();
    let store = create(&disk);
    commit(&store, &[note("a", 1, "old")]).unwrap();
    let old = disk.image();
    commit(&store, &[note("a", 1, "new"), note("a", 2, "more")]).unwrap();
    store.close().unwrap();
    let first = nonces(disk.image());
    disk.restore(old.clone());
    // The same rows are written again; only the seed of this opening is another.
    let store = Store::open(Disk::Memory(disk.clone()), &key(), &mut rng(99)).unwrap();
    assert_eq!(notes(&store), [note("a", 1, "old")]);
    commit(&store, &[note("a", 1, "new"), note("a", 2, "more")]).unwrap();
    store.close().unwrap();
    let second = nonces(disk.image());
    assert_eq!((first.len(), second.len(), first.intersection(&second).count()), (2, 2, 0));
}

/// Where the writing process finds its store.
const FILE: &str = "KITH_STORE_TEST_FILE";

/// Not a test of its own: the process that is killed. Commits for ever and says after each commit that it is done.
#[test]
#[ignore = "runs until killed; started by the test below"]
fn writing_process() {
    let Ok(path) = std::env::var(FILE) else { return };
    let store = Store::open(Disk::File(path.into()), &key(), &mut rng(4)).unwrap();
    let from = notes(&store).last().map_or(0, |last| last.page + 1);
    for n in from.. {
        let filler = (0..3).map(|i| note(&format!("filler {i}"), n % 50, &"x".repeat(2000)));
        let batch: Vec<Note> = std::iter::once(note("z", n, "confirmed")).chain(filler).collect();
        commit(&store, &batch).unwrap();
        writeln!(std::io::stdout(), "\ncommitted {n}").unwrap();
    }
}

#[test]
fn r_store_1_killed_process_leaves_a_file_with_every_confirmed_commit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    drop(Store::create(Disk::File(path.clone()), &key(), &mut rng(1)).unwrap());
    let mut expected = 0;
    for round in 0..8u64 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "crash::writing_process", "--ignored", "--nocapture"])
            .env(FILE, &path)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let mut confirmed = lines.filter_map(|line| line.strip_prefix("committed ")?.parse::<u64>().ok());
        let last = confirmed.by_ref().nth(round as usize * 5).expect("the writer works");
        child.kill().unwrap();
        child.wait().unwrap();
        // What it still said before it died counts too.
        let last = confirmed.last().unwrap_or(last);
        let store = Store::open(Disk::File(path.clone()), &key(), &mut rng(2)).unwrap();
        let pages = pages(&store.snapshot().unwrap(), "z", Range::all(), usize::MAX);
        assert_eq!(pages, (0..pages.len() as u64).collect::<Vec<_>>(), "round {round}");
        assert!(pages.len() as u64 > last, "round {round}: {last} was confirmed, {} are there", pages.len());
        assert!(last >= expected, "round {round}: the writer did not go on from where it was");
        expected = pages.len() as u64;
    }
}
