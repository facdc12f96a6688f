//! Measures what the ways to commit cost and what they give back after a kill: `cargo bench -p kith-store`.
//!
//! For each size of a store and each way: a commit of one row and of 64 (median time; syncs and KiB written for each),
//! then the first opening of a file whose writer was killed, with and without a check of every page (best of five; MiB
//! read). Times depend on the machine, counts do not.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing, clippy::print_stdout, clippy::disallowed_methods)]

use redb::{Database, ReadableDatabase, StorageBackend, TableDefinition, WriteTransaction, backends::FileBackend};
use std::{
    fs::{File, OpenOptions},
    io,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

const ROWS: TableDefinition<'static, &[u8], &[u8]> = TableDefinition::new("sealed");
/// A sealed row with a short message in it.
const ROW: usize = 600;

#[derive(Clone, Copy, Debug)]
enum Way {
    OnePhase,
    TwoPhase,
    QuickRepair,
}

#[derive(Clone, Debug, Default)]
struct Counts(Arc<[AtomicU64; 3]>);

impl Counts {
    fn add(&self, which: usize, n: u64) {
        self.0[which].fetch_add(n, Relaxed);
    }

    /// Syncs, bytes written, bytes read since the last call.
    fn take(&self) -> [u64; 3] {
        [0, 1, 2].map(|which| self.0[which].swap(0, Relaxed))
    }
}

#[derive(Debug)]
struct Counted(FileBackend, Counts);

impl StorageBackend for Counted {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }
    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.1.add(2, out.len() as u64);
        self.0.read(offset, out)
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }
    fn sync_data(&self) -> io::Result<()> {
        self.1.add(0, 1);
        self.0.sync_data()
    }
    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.1.add(1, data.len() as u64);
        self.0.write(offset, data)
    }
    fn close(&self) -> io::Result<()> {
        self.0.close()
    }
}

fn open(path: &Path, check: bool, counts: &Counts) -> Database {
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).unwrap();
    let mut builder = Database::builder();
    builder.set_cache_size(32 << 20).set_check_integrity_on_open(check);
    builder.create_with_backend(Counted(FileBackend::new(file).unwrap(), counts.clone())).unwrap()
}

fn place(n: u64) -> [u8; 32] {
    // Spread like keyed hashes.
    let mut place = [0; 32];
    place[..8].copy_from_slice(&n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    place
}

fn begin(db: &Database, way: Way) -> WriteTransaction {
    let mut txn = db.begin_write().unwrap();
    match way {
        Way::OnePhase => {}
        Way::TwoPhase => txn.set_two_phase_commit(true),
        Way::QuickRepair => txn.set_quick_repair(true),
    }
    txn
}

fn commit(db: &Database, way: Way, rows: std::ops::Range<u64>) {
    let txn = begin(db, way);
    {
        let mut table = txn.open_table(ROWS).unwrap();
        for n in rows {
            table.insert(place(n).as_slice(), [7; ROW].as_slice()).unwrap();
        }
    }
    txn.commit().unwrap();
}

fn timed<T>(f: impl FnOnce() -> T) -> (Duration, T) {
    let start = Instant::now();
    let value = f();
    (start.elapsed(), value)
}

/// Median time in µs, syncs and KiB written of one commit.
fn commits(db: &Database, counts: &Counts, way: Way, from: u64, batch: u64, times: u64) -> String {
    counts.take();
    let one = |n| timed(|| commit(db, way, from + n * batch..from + (n + 1) * batch)).0.as_micros();
    let mut all: Vec<u128> = (0..times).map(one).collect();
    all.sort_unstable();
    let [syncs, written, _] = counts.take();
    format!("{:>6} {:>4.1} {:>5}", all[all.len() / 2], syncs as f64 / times as f64, written / times / 1024)
}

/// Best time in ms and MiB read of the first opening of a file as a kill leaves it.
fn openings(killed: &Path, copy: &Path, check: bool) -> String {
    let counts = Counts::default();
    let mut best = Duration::MAX;
    for _ in 0..5 {
        std::fs::copy(killed, copy).unwrap();
        // Otherwise the opening's first sync would pay for writing the copy.
        File::open(copy).unwrap().sync_all().unwrap();
        counts.take();
        let (time, db) = timed(|| open(copy, check, &counts));
        best = best.min(time);
        db.begin_read().unwrap().open_table(ROWS).unwrap();
    }
    format!("{:>7.1} {:>6.1}", best.as_secs_f64() * 1e3, counts.take()[2] as f64 / 1048576.0)
}

fn main() {
    let folder = tempfile::tempdir().unwrap();
    let (path, copy) = (folder.path().join("a"), folder.path().join("b"));
    println!("rows    way          1 row: us sync KiB    64: us sync   KiB   MiB  open: ms   MiB  check: ms   MiB");
    for rows in [1_000u64, 20_000, 200_000] {
        for way in [Way::OnePhase, Way::TwoPhase, Way::QuickRepair] {
            let _ = std::fs::remove_file(&path);
            let counts = Counts::default();
            let db = open(&path, false, &counts);
            (0..rows / 1000).for_each(|n| commit(&db, way, n * 1000..n * 1000 + 1000));
            let one = commits(&db, &counts, way, rows, 1, 300);
            let many = commits(&db, &counts, way, rows + 300, 64, 60);
            let size = std::fs::metadata(&path).unwrap().len() >> 20;
            // The file is copied while it is open, as a kill leaves it.
            let (plain, checked) = (openings(&path, &copy, false), openings(&path, &copy, true));
            println!("{rows:<7} {way:<11?} {one}   {many} {size:>5}  {plain}   {checked}");
        }
    }
}
