//! A small kind of row, and stores to put it in.

use kith_protocol::crypto::Secret;
use kith_store::{Disk, Error, Key, MemoryDisk, Range, Row, Rows, Store, Table, Unlock, Writes};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use redb::ReadableTable;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Note {
    pub(crate) book: String,
    pub(crate) page: u64,
    pub(crate) text: String,
}

impl Row for Note {
    const TABLE: Table = Table::Setting;
    const VERSION: u8 = 1;

    fn key(&self) -> Key {
        Key::new(self.book.as_bytes(), &self.page.to_be_bytes())
    }
}

pub(crate) fn note(book: &str, page: u64, text: &str) -> Note {
    Note { book: book.into(), page, text: text.into() }
}

pub(crate) fn put(notes: &[Note]) -> Writes {
    let mut writes = Writes::new();
    for note in notes {
        writes.put(note).unwrap();
    }
    writes
}

pub(crate) fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

pub(crate) fn key() -> Unlock {
    Unlock::Key(Secret::new([7; 32]))
}

pub(crate) fn create(disk: &MemoryDisk) -> Store {
    Store::create(Disk::Memory(disk.clone()), &key(), &mut rng(1)).unwrap()
}

pub(crate) fn open(disk: &MemoryDisk) -> Result<Store, Error> {
    Store::open(Disk::Memory(disk.clone()), &key(), &mut rng(2))
}

pub(crate) fn commit(store: &Store, notes: &[Note]) -> Result<(), Error> {
    store.write(|tx| tx.apply(&put(notes))).map(|done| done.into_inner())
}

/// All notes, in order.
pub(crate) fn notes(store: &Store) -> Vec<Note> {
    let mut notes: Vec<Note> = store.snapshot().unwrap().all(None, usize::MAX).unwrap();
    notes.sort();
    notes
}

pub(crate) fn pages(rows: &impl Rows, book: &str, range: Range, limit: usize) -> Vec<u64> {
    let notes: Vec<Note> = rows.rows(book.as_bytes(), &range, limit).unwrap();
    notes.iter().map(|note| note.page).collect()
}

/// Opens an image as the bare database, as somebody who knows the format can; returns the image as it is afterwards.
pub(crate) fn with_database<T>(image: Vec<u8>, f: impl FnOnce(&redb::Database) -> T) -> (T, Vec<u8>) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), image).unwrap();
    let db = redb::Database::open(file.path()).unwrap();
    let result = f(&db);
    db.close().unwrap();
    (result, std::fs::read(file.path()).unwrap())
}

const HEADERS: redb::TableDefinition<'static, &str, &[u8]> = redb::TableDefinition::new("kith");
const ROWS: redb::TableDefinition<'static, &[u8], &[u8]> = redb::TableDefinition::new("sealed");

/// The plain header of a store.
pub(crate) fn header_of(image: Vec<u8>) -> Vec<u8> {
    let mut found = Vec::new();
    with_header(image, |header| found.clone_from(header));
    found
}

/// Changes the plain header, with all checksums right.
pub(crate) fn with_header(image: Vec<u8>, change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    with_database(image, |db| {
        let txn = db.begin_write().unwrap();
        {
            let mut table = txn.open_table(HEADERS).unwrap();
            let mut header = table.get("header").unwrap().unwrap().value().to_vec();
            change(&mut header);
            table.insert("header", header.as_slice()).unwrap();
        }
        txn.commit().unwrap();
    })
    .1
}

/// Changes the sealed rows, with all checksums right.
pub(crate) fn with_rows(image: Vec<u8>, change: impl FnOnce(&mut Vec<(Vec<u8>, Vec<u8>)>)) -> Vec<u8> {
    with_database(image, |db| {
        let txn = db.begin_write().unwrap();
        {
            let mut table = txn.open_table(ROWS).unwrap();
            let mut rows: Vec<_> = table
                .iter()
                .unwrap()
                .map(|row| row.unwrap())
                .map(|(place, value)| (place.value().to_vec(), value.value().to_vec()))
                .collect();
            table.retain(|_, _| false).unwrap();
            change(&mut rows);
            for (place, value) in rows {
                table.insert(place.as_slice(), value.as_slice()).unwrap();
            }
        }
        txn.commit().unwrap();
    })
    .1
}

/// How often something is done: a tenth of the full number unless `KITH_FULL` is set or the variable says how often.
pub(crate) fn count(what: &str, variable: &str, full: u64) -> u64 {
    let asked = std::env::var(variable).ok().and_then(|v| v.parse().ok());
    let n = asked.unwrap_or(if std::env::var_os("KITH_FULL").is_some() { full } else { full.div_ceil(10) });
    println!("counts: {what}: {n} (full: {full}, {variable}=N for another number)");
    n
}
