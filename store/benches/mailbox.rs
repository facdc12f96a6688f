//! Measures a relay's engine: `cargo bench -p kith-store --bench mailbox`.
//!
//! Deposits of 1 KiB in batches against the store's own group commit of the very same rows, turn by turn on one disk; below
//! six tenths of it the bench fails. With `KITH_MAILBOX_ENVELOPES=N` (1000000) it also fills a relay with that many
//! envelopes in 10,000 mailboxes, kills it, and tells what a process that opens it takes of time and memory: more than 5 s
//! for the opening or 512 MiB at any time, there or while it is filled, and the bench fails.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing, clippy::print_stdout, clippy::disallowed_methods)]

use kith_protocol::{Day, EnvelopeId, MailboxId, Tag, Timestamp, crypto::Secret, limits};
use kith_store::{
    Disk, Store, Unlock, Writes,
    mailbox::{Caps, Change, Class, Deposit, MailboxStore, Quota, RelayStore, Totals},
    table::{EnvelopeRef, EnvelopeState, GrantRow, HeldEnvelope, Lapse, LapseWhat, MailboxRow, RelayTotals},
};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use std::{
    collections::BTreeMap,
    path::Path,
    process::ExitCode,
    time::{Duration, Instant},
};

/// The least that deposits may reach of the store's own rate.
const LEAST: f64 = 0.6;
/// The longest that opening may take after a kill.
const START_MOST: Duration = Duration::from_secs(5);
/// The most memory that a relay may have resident, in MiB.
const MEMORY_MOST: u64 = 512;
/// A text message's bucket, with what an envelope adds.
const LENGTH: usize = 1024;
const MUCH: Quota = Quota { envelopes: u64::MAX, bytes: u64::MAX };
const CAPS: Caps = Caps { mailbox: MUCH, strangers: MUCH, total: MUCH, mailboxes: u64::MAX, kept_bytes: u64::MAX };
const TODAY: u32 = 20_000;
/// Says to a process of this bench that it is to open a file, and which.
const OPEN: &str = "KITH_MAILBOX_BENCH_OPEN";

fn now() -> Timestamp {
    Day(TODAY).start()
}

fn spread(n: u64) -> u64 {
    n.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

fn bytes_of<const N: usize>(kind: u8, n: u64) -> [u8; N] {
    let mut bytes = [kind; N];
    bytes[..8].copy_from_slice(&spread(n).to_be_bytes());
    bytes
}

fn mailbox(n: u64) -> MailboxId {
    MailboxId::from_bytes(bytes_of(1, n))
}

fn tag(n: u64, day: u32, class: Class) -> Tag {
    Tag::from_bytes(bytes_of(2, n << 32 | u64::from(day) << 2 | u64::from(class.number() - 1)))
}

/// Registers mailboxes with every tag that an owner registers.
fn register(engine: &mut MailboxStore, mailboxes: u64) {
    let days = TODAY - limits::TAG_DAYS_BACK..=TODAY + limits::TAG_DAYS_AHEAD;
    let one = |n| Change::Register {
        mailbox: mailbox(n),
        tags: days.clone().flat_map(|day| Class::ALL.map(|class| (day, class, tag(n, day, class)))).collect(),
        keep_from: 0,
        token: None,
        open: true,
    };
    let all: Vec<u64> = (0..mailboxes).collect();
    for part in all.chunks(20) {
        engine.apply(&part.iter().map(|n| one(*n)).collect::<Vec<_>>(), &CAPS, now()).unwrap();
    }
}

fn deposit(number: u64, mailboxes: u64) -> Deposit {
    let n = spread(number) % mailboxes;
    Deposit {
        tag: tag(n, TODAY, Class::Contact),
        mailbox: mailbox(n),
        class: Class::Contact,
        serial: 1,
        grant: MUCH,
        envelope: EnvelopeId::from_bytes(bytes_of(3, number)),
        bytes: vec![number as u8; LENGTH],
        until: now().plus_days(30).plus_millis(number),
        control: false,
    }
}

/// The rows that a batch of deposits makes, written without an engine.
struct Plain {
    store: Store,
    boxes: BTreeMap<u64, MailboxRow>,
    totals: RelayTotals,
}

impl Plain {
    fn commit(&mut self, deposits: &[Deposit], mailboxes: u64, from: u64) {
        let (mut writes, mut touched) = (Writes::new(), BTreeMap::new());
        for (deposit, number) in deposits.iter().zip(from..) {
            let n = spread(number) % mailboxes;
            let row = self.boxes.entry(n).or_insert(MailboxRow { number: Some(n), ..MailboxRow::unknown(mailbox(n)) });
            row.last += 1;
            row.used.envelopes += 1;
            row.used.bytes += LENGTH as u64;
            touched.insert(n, row.clone());
            let (id, until, cursor) = (deposit.envelope, deposit.until, row.last);
            let state = EnvelopeState::Held { cursor, bytes: LENGTH as u64, serial: 1, stranger: false };
            writes.put(&EnvelopeRef { number: n, id, until, state }).unwrap();
            writes.put(&HeldEnvelope { number: n, cursor, id, until, bytes: deposit.bytes.clone() }).unwrap();
            writes.put(&Lapse { at: until, what: LapseWhat::Envelope(n, cursor) }).unwrap();
        }
        for (n, row) in touched {
            writes.put(&GrantRow { used: row.used, ..GrantRow::unused(n, 1) }).unwrap();
            writes.put(&row).unwrap();
        }
        let Totals { envelopes, bytes, .. } = &mut self.totals.held;
        (*envelopes, *bytes) = (*envelopes + 1, *bytes + LENGTH as u64);
        writes.put(&self.totals).unwrap();
        let _ = self.store.write(|tx| tx.apply(&writes)).unwrap();
    }
}

fn create(path: &Path) -> Store {
    let (key, mut rng) = (Unlock::Key(Secret::new([7; 32])), ChaCha20Rng::seed_from_u64(1));
    Store::create(Disk::File(path.into()), &key, &mut rng).unwrap()
}

fn timed<T>(f: impl FnOnce() -> T) -> (Duration, T) {
    let start = Instant::now();
    let value = f();
    (start.elapsed(), value)
}

/// Deposits a second of the engine, and of the store.
fn compare(folder: &Path, batch: u64, mailboxes: u64) -> f64 {
    let batches = 6_400 / batch;
    let mut engine = MailboxStore::new(create(&folder.join(format!("engine-{batch}-{mailboxes}"))));
    register(&mut engine, mailboxes);
    // The other store holds as much before it begins.
    let mut other = MailboxStore::new(create(&folder.join(format!("plain-{batch}-{mailboxes}"))));
    register(&mut other, mailboxes);
    let mut plain = Plain { store: other.into_store(), boxes: BTreeMap::new(), totals: RelayTotals::default() };
    let (mut ours, mut theirs) = (Duration::ZERO, Duration::ZERO);
    for n in 0..batches {
        let deposits: Vec<Deposit> = (n * batch..(n + 1) * batch).map(|n| deposit(n, mailboxes)).collect();
        let changes: Vec<Change> = deposits.iter().cloned().map(Change::Deposit).collect();
        let engine_turn = |engine: &mut MailboxStore| timed(|| engine.apply(&changes, &CAPS, now()).unwrap()).0;
        let mut plain_turn = || timed(|| plain.commit(&deposits, mailboxes, n * batch)).0;
        // Neither always has the disk's first or second turn.
        if n % 2 == 0 {
            theirs += plain_turn();
            ours += engine_turn(&mut engine);
        } else {
            ours += engine_turn(&mut engine);
            theirs += plain_turn();
        }
    }
    let rate = |time: Duration| (batches * batch) as f64 / time.as_secs_f64();
    let ratio = rate(ours) / rate(theirs);
    println!("{batch:>6} {mailboxes:>10} {:>12.0} {:>12.0} {ratio:>7.2}", rate(ours), rate(theirs));
    ratio
}

/// Memory of this process in MiB: now, and at most.
fn memory() -> (u64, u64) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let of = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
    };
    (of("VmRSS:"), of("VmHWM:"))
}

/// Whether this process stayed within the memory that a relay may have.
fn is_small() -> bool {
    let (rss, peak) = memory();
    println!("{rss} MiB resident, {peak} at most, of {MEMORY_MOST}: {:.2}", peak as f64 / MEMORY_MOST as f64);
    peak <= MEMORY_MOST
}

/// Fills a relay, and lets another process open what a kill leaves; tells whether both stayed within bounds.
fn fill(folder: &Path, envelopes: u64) -> bool {
    let (mailboxes, path, copy) = (10_000, folder.join("full"), folder.join("killed"));
    let mut engine = MailboxStore::new(create(&path));
    println!("registering {mailboxes} mailboxes: {:.1?}", timed(|| register(&mut engine, mailboxes)).0);
    let (time, ()) = timed(|| {
        for from in (0..envelopes).step_by(2_000) {
            let last = envelopes.min(from + 2_000);
            let changes: Vec<Change> = (from..last).map(|n| Change::Deposit(deposit(n, mailboxes))).collect();
            engine.apply(&changes, &CAPS, now()).unwrap();
        }
    });
    println!("{envelopes} envelopes: {time:.1?}, {} MiB on disk", std::fs::metadata(&path).unwrap().len() >> 20);
    let small = is_small();
    // The file is copied while it is open, as a kill leaves it.
    std::fs::copy(&path, &copy).unwrap();
    std::fs::File::open(&copy).unwrap().sync_all().unwrap();
    let status = std::process::Command::new(std::env::current_exe().unwrap()).env(OPEN, &copy).status().unwrap();
    small && status.success()
}

/// Opens what a kill left, gives and takes a little, and tells what that took, and whether it was within bounds.
fn open(path: &str) -> bool {
    let (key, mut rng) = (Unlock::Key(Secret::new([7; 32])), ChaCha20Rng::seed_from_u64(2));
    let (start, store) = timed(|| Store::open(Disk::File(path.into()), &key, &mut rng).unwrap());
    let mut engine = MailboxStore::new(store);
    let ratio = start.as_secs_f64() / START_MOST.as_secs_f64();
    println!("opened after a kill in {start:.1?} of {START_MOST:.1?}: {ratio:.2}, {} MiB resident", memory().0);
    let mut found = 0;
    let (pages, ()) =
        timed(|| (0..10_000).for_each(|n| found += engine.page(&mailbox(n), 0, 64, 192 << 10, now()).unwrap().len()));
    let changes = |from: u64| (from..from + 256).map(|n| Change::Deposit(deposit(n, 10_000))).collect::<Vec<_>>();
    let (deposits, ()) = timed(|| {
        for n in 0..40 {
            engine.apply(&changes((1 << 32) + n * 256), &CAPS, now()).unwrap();
        }
    });
    let (swept, outcome) =
        timed(|| engine.apply(&[Change::Sweep { budget: 2_000 }], &CAPS, now().plus_days(31)).unwrap());
    let ids = (0..10_000).map(|n| engine.page(&mailbox(n), 0, 64, 192 << 10, now()).unwrap()).take(100);
    let acknowledged: Vec<Change> = ids
        .zip(0..)
        .map(|(items, n)| Change::Acknowledge { mailbox: mailbox(n), ids: items.iter().map(|item| item.id).collect() })
        .collect();
    let (acknowledging, _) = timed(|| engine.apply(&acknowledged, &CAPS, now()).unwrap());
    println!("{found} envelopes in 10000 pages: {pages:.1?}; 10240 deposits in 40 batches: {deposits:.1?}");
    println!("a sweep of 2000: {swept:.1?} {outcome:?}; 100 mailboxes acknowledged: {acknowledging:.1?}");
    is_small() && start <= START_MOST
}

fn main() -> ExitCode {
    if let Ok(path) = std::env::var(OPEN) {
        return if open(&path) { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    let (folder, mut within) = (tempfile::tempdir().unwrap(), true);
    println!(" batch  mailboxes  deposits/s  own commits   ratio");
    let cases = [(16, 100), (64, 100), (256, 100), (64, 1_000), (256, 1_000)];
    let worst =
        cases.iter().map(|(batch, mailboxes)| compare(folder.path(), *batch, *mailboxes)).fold(f64::MAX, f64::min);
    if let Some(envelopes) = std::env::var("KITH_MAILBOX_ENVELOPES").ok().and_then(|n| n.parse().ok()) {
        within = fill(folder.path(), envelopes);
    }
    if worst < LEAST {
        println!("below {LEAST}: {worst:.2}");
        within = false;
    }
    if within { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
