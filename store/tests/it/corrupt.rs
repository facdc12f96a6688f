//! Damaged and hostile files: the right rows, or a clear refusal; never a panic, never a wrong row, never a changed file.

use crate::common::*;
use kith_store::{Damage, Error, MemoryDisk, Rows, Store, Unlock};
use rand_core::Rng;

/// A store as a user has it, some hundred rows, many rewritten, closed or killed; with what it may show when damaged.
fn image(clean: bool) -> (Vec<u8>, Content) {
    let disk = MemoryDisk::new();
    let store = create(&disk);
    for n in 0..12 {
        let batch: Vec<Note> = (0..9)
            .map(|i| note(&format!("book {}", i % 4), n * 3 + i, &"text ".repeat((n * i * 3) as usize)))
            .collect();
        commit(&store, &batch).unwrap();
    }
    let before = notes(&store);
    commit(&store, &[note("book 1", 500, "the last commit")]).unwrap();
    let last = notes(&store);
    if clean {
        store.close().unwrap();
        return (disk.image(), Content { last, before: None });
    }
    (disk.image(), Content { last, before: Some(before) })
}

/// What was stored.
struct Content {
    last: Vec<Note>,
    /// After a kill, damage to the mark of the last commit cannot be told from a power cut in the middle of it: then the
    /// commit before is shown, whole.
    before: Option<Vec<Note>>,
}

impl Content {
    fn admits(&self, shown: &[Note]) -> bool {
        self.last == shown || self.before.as_ref().is_some_and(|before| before == shown)
    }
}

#[derive(Debug, Default)]
struct Tally {
    right: u32,
    refused: u32,
}

/// Opens a damaged image and reads everything.
fn judge(damaged: Vec<u8>, content: &Content, context: &str, tally: &mut Tally) {
    let disk = MemoryDisk::from_image(damaged.clone());
    let read = |store: Store| -> Result<Vec<Note>, Error> {
        let mut all: Vec<Note> = store.snapshot()?.all(None, usize::MAX)?;
        all.sort();
        Ok(all)
    };
    match open(&disk) {
        Ok(store) => match read(store) {
            Ok(notes) => {
                assert!(content.admits(&notes), "{context}: other rows than were stored");
                tally.right += 1;
            }
            Err(error) => panic!("{context}: opened, then {error:?}"),
        },
        Err(error) => {
            let named = matches!(
                error,
                Error::Corrupt(_) | Error::WrongKeyFile | Error::NewerVersion { .. } | Error::Missing | Error::Locked
            );
            assert!(named, "{context}: {error:?}");
            assert!(disk.image() == damaged, "{context}: a refused file was changed");
            tally.refused += 1;
        }
    }
}

#[test]
fn r_store_6_bit_flips_give_right_rows_or_a_clear_refusal() {
    for clean in [true, false] {
        let (image, content) = image(clean);
        let (mut rng, mut tally) = (rng(5), Tally::default());
        for n in 0..500 {
            let mut damaged = image.clone();
            // Every third flip goes where the database keeps its own header and roots.
            let reach = if n % 3 == 0 { 4096 } else { damaged.len() };
            let mut at = rng.next_u64() as usize % reach;
            // And not into the emptiness of pages never used, most of the time.
            while damaged[at] == 0 && rng.next_u32() % 50 > 0 {
                at = rng.next_u64() as usize % reach;
            }
            damaged[at] ^= 1 << (rng.next_u32() % 8);
            judge(damaged, &content, &format!("flip {n} at {at}, clean {clean}"), &mut tally);
        }
        assert!(tally.right > 20 && tally.refused > 100, "clean {clean}: {tally:?}");
    }
}

#[test]
fn r_store_6_truncations_are_refused_clearly() {
    for clean in [true, false] {
        let (image, content) = image(clean);
        let (mut rng, mut tally) = (rng(6), Tally::default());
        for n in 0..120 {
            let length = if n < 20 { n * 40 } else { rng.next_u64() as usize % image.len() };
            judge(image[..length].to_vec(), &content, &format!("cut to {length}, clean {clean}"), &mut tally);
        }
        assert!(tally.refused > 100, "clean {clean}: {tally:?}");
    }
}

#[test]
fn r_store_6_overwritten_stretches_and_foreign_files_are_refused_clearly() {
    let (image, content) = image(true);
    let (mut rng, mut tally) = (rng(7), Tally::default());
    for n in 0..200 {
        let mut damaged = image.clone();
        let at = rng.next_u64() as usize % damaged.len();
        let end = (at + 1 + rng.next_u64() as usize % 6000).min(damaged.len());
        match n % 3 {
            0 => damaged[at..end].fill(0),
            1 => rng.fill_bytes(&mut damaged[at..end]),
            // One part of the file in the place of another, as a lost or misdirected write leaves it.
            _ => damaged.copy_within(..end - at, at),
        }
        judge(damaged, &content, &format!("stretch {n}, {at}..{end}"), &mut tally);
    }
    for foreign in [&b"not a database"[..], &[0; 100_000], b"redb\x1a\x0a\xa9\x0d\x0a"] {
        judge(foreign.to_vec(), &content, "foreign file", &mut tally);
    }
    assert!(tally.refused > 40, "{tally:?}");
}

#[test]
fn r_store_6_damage_under_an_open_store_gives_no_wrong_row_and_no_panic() {
    let (image, content) = image(true);
    let (mut rng, mut tally) = (rng(8), Tally::default());
    for n in 0..150 {
        let disk = MemoryDisk::from_image(image.clone());
        let store = open(&disk).unwrap();
        for _ in 0..40 {
            let at = rng.next_u64() as usize % (image.len() - 64);
            disk.damage(at, 1 << (rng.next_u32() % 8));
        }
        let all = match store.snapshot().and_then(|rows| rows.all::<Note>(None, usize::MAX)) {
            Ok(all) => all,
            Err(error) => {
                assert!(matches!(error, Error::Corrupt(_)), "round {n}: {error:?}");
                tally.refused += 1;
                continue;
            }
        };
        // Rows may be missing, since only an opening checks every page; none is wrong.
        assert!(all.iter().all(|note| content.last.contains(note)), "round {n}: a row that was never stored");
        tally.right += 1;
        if let Err(error) = commit(&store, &[note("book 1", 5, "over it")]) {
            assert!(matches!(error, Error::Corrupt(_)) && store.is_stopped(), "round {n}: {error:?}");
        }
    }
    assert!(tally.refused > 20, "{tally:?}");
}

/// Moves bytes about as somebody who knows the format and makes all checksums right.
fn forge(change: impl FnOnce(&mut Vec<(Vec<u8>, Vec<u8>)>)) -> Result<Vec<Note>, Error> {
    let disk = MemoryDisk::new();
    let store = create(&disk);
    commit(&store, &[note("a", 1, "one"), note("a", 2, "two"), note("b", 1, "three")]).unwrap();
    store.close().unwrap();
    let image = with_rows(disk.image(), change);
    open(&MemoryDisk::from_image(image)).unwrap().snapshot()?.all(None, 100)
}

fn refused(result: Result<Vec<Note>, Error>) -> bool {
    matches!(result, Err(Error::Corrupt(Damage::Row)))
}

#[test]
fn r_row_1_swapped_moved_and_copied_rows_are_refused() {
    assert_eq!(forge(|_| {}).unwrap().len(), 3);
    // Two rows swapped, a row copied over another, a row under a new key of its group, a row in another table.
    assert!(refused(forge(|rows| {
        let (first, second) = (rows[0].1.clone(), rows[1].1.clone());
        (rows[0].1, rows[1].1) = (second, first);
    })));
    assert!(refused(forge(|rows| rows[2].1 = rows[0].1.clone())));
    assert!(refused(forge(|rows| *rows[0].0.last_mut().unwrap() ^= 0x40)));
    let elsewhere = forge(|rows| {
        let mut row = rows[0].clone();
        row.0[0] ^= 1;
        rows.push(row);
    });
    assert_eq!(elsewhere.unwrap().len(), 3, "a row behind no table's prefix is never read");
    for at in 0..40 {
        assert!(refused(forge(|rows| rows[1].1[at] ^= 1)), "byte {at} of a sealed row");
    }
    assert!(refused(forge(|rows| rows[1].1.truncate(20))));
    assert!(refused(forge(|rows| rows[1].1.clear())));
}

#[test]
fn r_row_1_rows_of_another_store_or_another_data_key_are_refused() {
    let disk = MemoryDisk::new();
    let other = Store::create(kith_store::Disk::Memory(disk.clone()), &key(), &mut rng(77)).unwrap();
    commit(&other, &[note("a", 1, "foreign")]).unwrap();
    other.close().unwrap();
    let mut foreign = Vec::new();
    with_rows(disk.image(), |rows| foreign = rows.clone());
    // Under its own key it lies in no table of ours; under one of ours it does not open.
    assert_eq!(forge(|rows| rows.extend(foreign.clone())).unwrap().len(), 3);
    assert!(refused(forge(|rows| rows[0].1 = foreign[0].1.clone())));
}

#[test]
fn header_that_is_missing_cut_or_of_version_zero_is_refused() {
    let (image, content) = image(true);
    for length in [0, 3, 4, 19, 20, 40, 92] {
        let cut = MemoryDisk::from_image(with_header(image.clone(), |header| header.truncate(length)));
        assert!(matches!(open(&cut), Err(Error::Corrupt(Damage::Header))), "{length}");
    }
    let longer = MemoryDisk::from_image(with_header(image.clone(), |header| header.push(0)));
    assert!(matches!(open(&longer), Err(Error::Corrupt(Damage::Header))));
    for (at, value) in [(3, 0), (20, 3), (20, 0)] {
        let odd = MemoryDisk::from_image(with_header(image.clone(), |header| header[at] = value));
        assert!(matches!(open(&odd), Err(Error::Corrupt(Damage::Header))), "byte {at} = {value}");
    }
    // Said to be of an older schema, it is migrated again, which changes nothing.
    let aged = MemoryDisk::from_image(with_header(image, |header| header[3] = 1));
    assert!(content.admits(&notes(&open(&aged).unwrap())));
}

#[test]
fn r_store_7_contents_groups_names_and_passphrase_lie_nowhere_in_the_file() {
    let disk = MemoryDisk::new();
    let passphrase = Unlock::passphrase("canary-passphrase");
    let cheap = kith_store::Stretching::CHEAP_FOR_TESTS;
    let store = Store::create_with(kith_store::Disk::Memory(disk.clone()), &passphrase, &cheap, &mut rng(1)).unwrap();
    for n in 0..40 {
        commit(&store, &[note("canary-group-of-alice", n, &"canary-text ".repeat(n as usize * 20))]).unwrap();
    }
    let mut identity = kith_store::Writes::new();
    identity
        .put(&kith_store::table::Identity { name: "canary-root".into(), secret: b"canary-secret".to_vec() })
        .unwrap();
    store.write(|tx| tx.apply(&identity)).unwrap().into_inner();
    let running = disk.image();
    store.close().unwrap();
    for image in [running, disk.image()] {
        for canary in ["canary", "alice", "text ", "Setting", "Identity", "setting", "identity"] {
            let found = image.windows(canary.len()).any(|window| window == canary.as_bytes());
            assert!(!found, "{canary} lies in the file");
        }
        // What does lie there in the open: the header, and the order of rows inside a group.
        assert!(image.windows(4).any(|window| window == b"kith"));
    }
}
