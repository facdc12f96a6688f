//! Stores written by earlier versions stay readable: one real file of every schema is kept.

use crate::common::*;
use kith_store::{Disk, MemoryDisk, Store, Stretching, Unlock};

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
    let path = format!("{}/tests/fixtures/schema-{schema}.redb", env!("CARGO_MANIFEST_DIR"));
    std::fs::write(path, disk.image()).unwrap();
}
