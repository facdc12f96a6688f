//! Stores written by earlier versions stay readable: one real file of every schema is kept.

use crate::common::*;
use kith_store::{Disk, Error, MemoryDisk, Store, Stretching, Unlock};
use redb::ReadableDatabase;

const NEWEST: u32 = 2;

/// What every fixture holds.
fn content() -> Vec<Note> {
    let mut notes: Vec<Note> =
        (0..40).map(|page| note(&format!("book {}", page % 3), page, &"word ".repeat(page as usize))).collect();
    notes.sort();
    notes
}

fn passphrase() -> Unlock {
    Unlock::passphrase("an old passphrase")
}

fn fixture(schema: u32) -> Vec<u8> {
    std::fs::read(format!("tests/fixtures/schema-{schema}.redb")).unwrap()
}

fn open_old(disk: &MemoryDisk) -> Result<Store, Error> {
    Store::open_with(Disk::Memory(disk.clone()), &passphrase(), &Stretching::CHEAP_FOR_TESTS, &mut rng(12))
}

fn schema_of(disk: &MemoryDisk) -> u32 {
    Store::info(&Disk::Memory(disk.clone())).unwrap().schema
}

#[test]
fn r_store_8_every_schema_ever_written_opens_with_its_content_and_a_copy_is_kept() {
    for schema in 1..=NEWEST {
        let disk = MemoryDisk::from_image(fixture(schema));
        let id = Store::info(&Disk::Memory(disk.clone())).unwrap().id;
        let store = open_old(&disk).unwrap();
        assert_eq!(notes(&store), content(), "schema {schema}");
        commit(&store, &[note("new", 1, "written after")]).unwrap();
        store.close().unwrap();
        assert_eq!(schema_of(&disk), NEWEST);
        assert_eq!(Store::info(&Disk::Memory(disk.clone())).unwrap().id, id);
        let store = open_old(&disk).unwrap();
        assert_eq!(notes(&store).len(), content().len() + 1);
        let copy = disk.copy(&format!("schema-{schema}"));
        assert!(copy == (schema < NEWEST).then(|| fixture(schema)), "schema {schema}: the copy is not the old file");
        assert_eq!(store.drop_old_copies().unwrap(), schema < NEWEST);
        assert!(disk.copy(&format!("schema-{schema}")).is_none());
    }
}

#[test]
fn r_store_7_migrated_file_no_longer_tells_tables_apart_by_number() {
    let disk = MemoryDisk::from_image(fixture(1));
    let number = |(place, _): &(Vec<u8>, Vec<u8>)| place[..2] == [0, 2];
    assert_eq!(rows_in_the_open(fixture(1), "rows").iter().filter(|row| number(row)).count(), content().len());
    open_old(&disk).unwrap().close().unwrap();
    let rows = rows_in_the_open(disk.image(), "sealed");
    assert_eq!(rows.len(), content().len());
    assert_eq!(rows.iter().filter(|row| number(row)).count(), 0);
    assert!(rows_in_the_open(disk.image(), "rows").is_empty());
}

#[test]
fn r_store_8_migration_cut_off_anywhere_leaves_the_old_store_or_the_new_one() {
    let counted = MemoryDisk::from_image(fixture(1));
    open_old(&counted).unwrap().close().unwrap();
    let changes = counted.counts().writes + counted.counts().syncs;
    let (mut old, mut new) = (0, 0);
    for cut in 0..changes {
        for seed in 0..3 {
            let disk = MemoryDisk::from_image(fixture(1));
            disk.stop_after(cut);
            drop(open_old(&disk));
            disk.crash_torn(&mut rng(seed));
            match schema_of(&disk) {
                1 => old += 1,
                _ => new += 1,
            }
            let store = open_old(&disk).unwrap_or_else(|error| panic!("cut {cut}, seed {seed}: {error:?}"));
            assert_eq!(notes(&store), content(), "cut {cut}, seed {seed}");
        }
    }
    assert!(old > 10 && new > 2, "{old} old, {new} new of {changes} cuts");
}

#[test]
fn r_store_8_store_of_a_newer_version_is_refused_and_its_file_unchanged() {
    let disk = MemoryDisk::new();
    create(&disk).close().unwrap();
    // A later version's header: the same place, another number.
    let image = with_header(disk.image(), |header| {
        header.splice(..4, u32::to_be_bytes(NEWEST + 1));
        header.extend_from_slice(b"and fields this version does not know");
    });
    let disk = MemoryDisk::from_image(image.clone());
    let error = open(&disk).unwrap_err();
    assert!(
        matches!(error, Error::NewerVersion { found, known } if found == NEWEST + 1 && known == NEWEST),
        "{error:?}"
    );
    assert_eq!(error.code(), "store_newer");
    assert!(disk.image() == image, "the file was touched");
    assert_eq!(disk.counts().writes + disk.counts().syncs, 0);
}

/// Places and sealed values as they lie in a tree of the database.
fn rows_in_the_open(image: Vec<u8>, tree: &str) -> Vec<(Vec<u8>, Vec<u8>)> {
    with_database(image, |db| {
        let tree = db.begin_read().unwrap().open_table(redb::TableDefinition::<&[u8], &[u8]>::new(tree));
        let rows = |tree: redb::ReadOnlyTable<&[u8], &[u8]>| {
            tree.range::<&[u8]>(..)
                .unwrap()
                .map(|row| row.unwrap())
                .map(|(p, v)| (p.value().to_vec(), v.value().to_vec()))
                .collect()
        };
        tree.map(rows).unwrap_or_default()
    })
    .0
}

/// Writes the fixture of the schema as it is now: run once when a schema is final, and commit the file.
#[test]
#[ignore = "writes a file into the source tree"]
fn write_the_fixture_of_this_schema() {
    let disk = MemoryDisk::new();
    let store =
        Store::create_with(Disk::Memory(disk.clone()), &passphrase(), &Stretching::CHEAP_FOR_TESTS, &mut rng(11))
            .unwrap();
    commit(&store, &content()).unwrap();
    commit(&store, &[note("deleted", 1, "gone")]).unwrap();
    store
        .write(|tx| {
            let mut w = kith_store::Writes::new();
            w.delete::<Note>(kith_store::Row::key(&note("deleted", 1, "")));
            tx.apply(&w)
        })
        .unwrap()
        .into_inner();
    store.close().unwrap();
    let schema = Store::info(&Disk::Memory(disk.clone())).unwrap().schema;
    let path = format!("tests/fixtures/schema-{schema}.redb");
    std::fs::write(path, disk.image()).unwrap();
}
