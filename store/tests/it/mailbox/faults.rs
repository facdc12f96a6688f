//! Power cuts, failing disks and damaged files: what was answered is there, whole, or nothing is shown.

use super::{kit::*, model::Model, relay_on};
use crate::common::*;
use kith_protocol::Timestamp;
use kith_store::{
    Error, MemoryDisk,
    mailbox::{Change, Custody, MailboxStore, Outcome, RelayStore},
};
use rand_core::Rng;

/// Batches of the workload; each is one commit.
const BATCHES: usize = 12;

/// A workload, and what is to be seen after each batch.
struct Workload {
    batches: Vec<(Timestamp, Vec<Change>)>,
    models: Vec<Model>,
    outcomes: Vec<Vec<Outcome>>,
}

impl Workload {
    fn new(seed: u8) -> Self {
        let (mut now, mut model) = (start(), Model::default());
        let mut work = Self { batches: Vec::new(), models: vec![model.clone()], outcomes: Vec::new() };
        for (minutes, changes) in fixed(seed, BATCHES) {
            now = now.plus_millis(minutes * 60_000);
            work.outcomes.push(comparable(model.apply(&changes, &CAPS, now).unwrap()));
            work.models.push(model.clone());
            work.batches.push((now, changes));
        }
        let stored = work.outcomes.iter().flatten().filter(|o| matches!(o, Outcome::Stored { new: true, .. })).count();
        assert!(stored > 20, "a workload that stores {stored} shows little");
        work
    }

    /// Carries batches out until one fails; returns how many were answered, and the error.
    fn run(&self, engine: &mut MailboxStore, from: usize) -> (usize, Option<Error>) {
        for n in from..BATCHES {
            let (now, changes) = &self.batches[n];
            match engine.apply(changes, &CAPS, *now) {
                Ok(outcomes) => assert_eq!(comparable(outcomes), self.outcomes[n], "batch {n}"),
                Err(error) => return (n, Some(error)),
            }
        }
        (BATCHES, None)
    }

    /// How many batches an engine shows: all that were answered, and at most the one whose outcome was not known.
    fn shown(&self, engine: &MailboxStore, answered: usize, context: &str) -> usize {
        let sight = |n: usize| look(&self.models[n], self.batches[n.min(BATCHES - 1)].0).unwrap();
        let found = |n: usize| look(engine, self.batches[n.min(BATCHES - 1)].0).unwrap();
        let candidates = answered..=(answered + 1).min(BATCHES);
        let shown = candidates.clone().find(|n| found(*n) == sight(*n));
        shown.unwrap_or_else(|| panic!("{context}: {answered} batches were answered, something else is there"))
    }

    /// How many calls of a disk the whole takes.
    fn measured(&self, counted: impl Fn(&MemoryDisk) -> u64) -> u64 {
        let disk = MemoryDisk::new();
        let mut engine = relay_on(&disk);
        let before = counted(&disk);
        assert_eq!(self.run(&mut engine, 0).0, BATCHES);
        counted(&disk) - before
    }
}

fn changes(disk: &MemoryDisk) -> u64 {
    disk.counts().writes + disk.counts().syncs
}

#[test]
fn r_store_1_power_cut_at_every_write_of_a_relay_loses_nothing_answered_and_halves_nothing() {
    let work = Workload::new(1);
    let mut unknown = 0;
    for cut in 0..work.measured(changes) {
        for seed in 0..2 {
            let context = format!("cut {cut}, seed {seed}");
            let disk = MemoryDisk::new();
            let mut engine = relay_on(&disk);
            disk.stop_after(cut);
            let (answered, _) = work.run(&mut engine, 0);
            drop(engine);
            if seed == 0 {
                disk.crash()
            } else {
                disk.crash_torn(&mut rng(cut))
            }
            let store = open(&disk).unwrap_or_else(|error| panic!("{context}: {error:?}"));
            let mut engine = MailboxStore::new(store);
            let shown = work.shown(&engine, answered, &context);
            unknown += shown - answered;
            // Senders who got no answer ask again, and everything goes on.
            assert_eq!(work.run(&mut engine, shown).0, BATCHES, "{context}");
            assert_eq!(work.shown(&engine, BATCHES, &context), BATCHES);
        }
    }
    println!("{unknown} cuts fell between a commit and its answer");
}

#[test]
fn r_store_2_disk_that_fails_at_any_call_stops_a_relays_taking_not_its_giving() {
    let work = Workload::new(2);
    let mut failed = 0;
    for n in 0..work.measured(|disk| disk.counts().reads + changes(disk)) {
        let context = format!("call {n}");
        let disk = MemoryDisk::new();
        let mut engine = relay_on(&disk);
        if n % 2 == 0 {
            disk.fail_after(n)
        } else {
            disk.fail_once_after(n)
        }
        let (answered, error) = work.run(&mut engine, 0);
        let Some(error) = error else { continue };
        assert!(matches!(error, Error::Io(_)), "{context}: {error:?}");
        failed += 1;
        // Nothing more is taken, even if the disk is well again; reading goes on.
        disk.heal();
        let before = changes(&disk);
        let refused = engine.apply(&[registration(4)], &CAPS, start()).unwrap_err();
        assert!(matches!(refused, Error::Stopped), "{context}: {refused:?}");
        assert_eq!(changes(&disk), before, "{context}");
        work.shown(&engine, answered, &context);
        engine.reopen().unwrap_or_else(|error| panic!("{context}: {error:?}"));
        let shown = work.shown(&engine, answered, &context);
        assert_eq!(work.run(&mut engine, shown).0, BATCHES, "{context}");
        assert_eq!(work.shown(&engine, BATCHES, &context), BATCHES);
    }
    assert!(failed > 100, "only {failed} runs failed");
}

#[test]
fn r_store_3_full_disk_at_any_write_of_a_relay_is_named_and_over_when_there_is_room() {
    let work = Workload::new(3);
    let mut full = 0;
    for n in 0..work.measured(|disk| disk.counts().writes) {
        let context = format!("write {n}");
        let disk = MemoryDisk::new();
        let mut engine = relay_on(&disk);
        disk.full_after(n);
        let (answered, error) = work.run(&mut engine, 0);
        let Some(error) = error else { continue };
        full += 1;
        assert!(matches!(error, Error::DiskFull), "{context}: {error:?}");
        work.shown(&engine, answered, &context);
        if let Err(error) = engine.reopen() {
            assert!(matches!(error, Error::DiskFull), "{context}: {error:?}");
        }
        work.shown(&engine, answered, &context);
        disk.set_full(false);
        engine.reopen().unwrap_or_else(|error| panic!("{context}: {error:?}"));
        let shown = work.shown(&engine, answered, &context);
        assert_eq!(work.run(&mut engine, shown).0, BATCHES, "{context}");
    }
    assert!(full > 50, "only {full} runs met a full disk");
}

/// A relay's file with a workload in it, as it is closed or killed, and how many batches it may show.
fn file(work: &Workload, clean: bool) -> (Vec<u8>, usize) {
    let disk = MemoryDisk::new();
    let mut engine = relay_on(&disk);
    assert_eq!(work.run(&mut engine, 0).0, BATCHES);
    if clean {
        engine.into_store().close().unwrap();
        return (disk.image(), BATCHES);
    }
    // After a kill, damage to the mark of the last commit cannot be told from a power cut in the middle of it.
    (disk.image(), BATCHES - 1)
}

/// Opens a damaged file: tells whether it was refused.
fn refused(work: &Workload, damaged: Vec<u8>, least: usize, context: &str) -> bool {
    let disk = MemoryDisk::from_image(damaged.clone());
    match open(&disk) {
        Ok(store) => {
            work.shown(&MailboxStore::new(store), least, context);
            false
        }
        Err(error) => {
            let named = matches!(
                error,
                Error::Corrupt(_) | Error::WrongKeyFile | Error::NewerVersion { .. } | Error::Missing | Error::Locked
            );
            assert!(named, "{context}: {error:?}");
            assert!(disk.image() == damaged, "{context}: a refused file was changed");
            true
        }
    }
}

#[test]
fn r_store_6_bit_flips_in_a_relays_file_give_right_mail_or_a_clear_refusal() {
    let (work, mut rng) = (Workload::new(4), rng(11));
    let all = count("bit flips", "KITH_MAILBOX_FLIPS", 1_000);
    let mut refusals = 0;
    for clean in [true, false] {
        let (image, least) = file(&work, clean);
        for n in 0..all / 2 {
            let mut damaged = image.clone();
            // Every third flip goes where the database keeps its own header and roots; few go into the emptiness of pages
            // never used.
            let reach = if n % 3 == 0 { 4096 } else { damaged.len() };
            let mut at = rng.next_u64() as usize % reach;
            while damaged[at] == 0 && rng.next_u32() % 50 > 0 {
                at = rng.next_u64() as usize % reach;
            }
            damaged[at] ^= 1 << (rng.next_u32() % 8);
            refusals += u64::from(refused(&work, damaged, least, &format!("flip {n} at {at}, clean {clean}")));
        }
    }
    println!("{refusals} of {all} refused");
    assert!(refusals > all / 10 && refusals < all, "{refusals} of {all}");
}

#[test]
fn r_store_6_truncations_of_a_relays_file_are_refused_clearly() {
    let (work, mut rng) = (Workload::new(5), rng(12));
    let all = count("truncations", "KITH_MAILBOX_CUTS", 200);
    let mut refusals = 0;
    for clean in [true, false] {
        let (image, least) = file(&work, clean);
        for n in 0..all / 2 {
            let length = if n % 5 == 0 { n as usize * 40 } else { rng.next_u64() as usize % image.len() };
            refusals += u64::from(refused(&work, image[..length].to_vec(), least, &format!("cut to {length}")));
        }
    }
    assert!(refusals >= all * 9 / 10, "{refusals} of {all}");
}

#[test]
fn one_damaged_row_is_named_and_stops_nothing_else() {
    let disk = MemoryDisk::new();
    let mut engine = relay_on(&disk);
    engine.apply(&[registration(1), registration(2)], &AMPLE, start()).unwrap();
    let deposit = |n: u8, number: u32, length: usize| Change::Deposit(plain(n, number, length));
    engine.apply(&[deposit(1, 1, 5_000), deposit(1, 2, 100), deposit(2, 3, 100)], &AMPLE, start()).unwrap();
    engine.into_store().close().unwrap();
    // The longest row is the large envelope: one bit of it turns, with all checksums of the database right.
    let image = with_rows(disk.image(), |rows| {
        let largest = rows.iter_mut().max_by_key(|(_, value)| value.len()).unwrap();
        let at = largest.1.len() / 2;
        largest.1[at] ^= 1;
    });
    let mut engine = MailboxStore::new(open(&MemoryDisk::from_image(image)).unwrap());
    let damaged = |error: &Error| matches!(error, Error::Corrupt(kith_store::Damage::Row));
    assert!(damaged(&engine.page(&mailbox(1), 0, 10, 1 << 20, start()).unwrap_err()));
    let tag = tag(1, 20_000, kith_store::mailbox::Class::Contact);
    assert!(damaged(&engine.custody(&tag, &envelope(1), start()).unwrap_err()));
    // The other one, the other mailbox, and taking go on; its owner may still delete the damaged one.
    assert_eq!(engine.page(&mailbox(1), 1, 10, 1 << 20, start()).unwrap().len(), 1);
    assert!(matches!(engine.custody(&tag, &envelope(2), start()).unwrap(), Custody::Held { .. }));
    let outcomes = engine.apply(&[deposit(1, 4, 10), deposit(2, 5, 10)], &AMPLE, start()).unwrap();
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Outcome::Stored { new: true, .. })));
    assert!(!engine.store().is_stopped());
    let acknowledge = Change::Acknowledge { mailbox: mailbox(1), ids: vec![envelope(1)] };
    let outcome = engine.apply(&[acknowledge], &AMPLE, start()).unwrap();
    assert_eq!(outcome, [Outcome::Deleted { deleted: 1, absent: 0 }]);
    assert_eq!(engine.page(&mailbox(1), 0, 10, 1 << 20, start()).unwrap().len(), 2);
}

#[test]
fn r_row_3_no_deposit_is_answered_before_the_sync_that_covers_it() {
    let all = count("deposits", "KITH_MAILBOX_DEPOSITS", 100_000).max(10_000) as u32;
    let disk = MemoryDisk::new();
    let mut engine = relay_on(&disk);
    engine.apply(&(1..=20).map(registration).collect::<Vec<_>>(), &AMPLE, start()).unwrap();
    let (mut rng, mut next, mut applied) = (rng(13), 0, 0);
    while next < all {
        let last = all.min(next + 1 + rng.next_u32() % 256);
        let changes: Vec<Change> =
            (next..last).map(|n| Change::Deposit(plain((n % 20) as u8 + 1, n, 200 + n as usize % 100))).collect();
        let before = disk.counts().syncs;
        let outcomes = engine.apply(&changes, &AMPLE, start()).unwrap();
        // The moment of the answer: a power cut now leaves exactly what is synced.
        assert!(disk.counts().syncs > before, "answered without a sync");
        let crashed = MailboxStore::new(open(&MemoryDisk::from_image(disk.synced_image())).unwrap());
        assert_eq!(crashed.totals().unwrap().envelopes, u64::from(last), "batch {applied}");
        for (n, outcome) in (next..last).zip(outcomes) {
            let Outcome::Stored { new: true, until, cursor } = outcome else { panic!("{outcome:?}") };
            let mailbox = mailbox((n % 20) as u8 + 1);
            if n % 16 == 0 || n + 1 == last {
                let found = crashed.page(&mailbox, cursor - 1, 1, 1, start()).unwrap();
                let (id, bytes) = (envelope(n), plain(1, n, 200 + n as usize % 100).bytes);
                assert_eq!((found[0].id, &found[0].bytes, found[0].until), (id, &bytes, until), "envelope {n}");
            }
        }
        (next, applied) = (last, applied + 1);
    }
    println!("{all} deposits in {applied} batches");
}
