//! The simulated world: whatever links, disks and power do, what a daemon accepted arrives once and nothing else does.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::print_stdout)]

use kith_tests::{
    count,
    world::{Weather, World},
};

/// Messages that daemons accept in every run.
const MESSAGES: usize = 500;
/// Texts that people try to send for them at most: a daemon that is down accepts none.
const TRIES_MAX: usize = 10 * MESSAGES;
/// How long, in virtual time, a calm world may take to keep every promise.
const CALM_MS: u64 = 3 * 60 * 60_000;

/// A power cut comes at one of so many writes and syncs to come: some commits' worth.
const MOST_WRITES: u64 = 40;

/// What a run, or all of them, came to.
#[derive(Clone, Copy, Default)]
struct Counts {
    /// Messages that daemons took over.
    promised: usize,
    /// Power cuts inside a commit.
    inside: u64,
}

fn bad_weather(world: &mut World) {
    world.weather = Weather {
        latency_ms: 1 + world.chance(80),
        jitter_ms: world.chance(2_000),
        loss_percent: world.chance(31),
        duplicate_percent: world.chance(21),
        side: Default::default(),
    };
}

fn long_outage(world: &mut World, with_crashes: bool) {
    let who = world.chance(3) as usize;
    let minutes = 12 + world.chance(30);
    if with_crashes {
        world.crash(who, minutes * 60_000);
    } else {
        world.weather.side = [who].into();
    }
    world.run_for(minutes * 60_000);
    world.weather.side.clear();
}

/// One run: three people, texts in every direction, faults drawn from the seed, then calm and the check.
fn run(seed: u64, with_crashes: bool) -> Counts {
    let mut world = World::new(seed, 3, Weather::fine());
    world.introduce_all();
    world.run_for(60_000);
    bad_weather(&mut world);
    let mut n = 0;
    while world.ledger.promises.len() < MESSAGES {
        n += 1;
        assert!(n < TRIES_MAX, "seed {seed}: only {} messages were accepted", world.ledger.promises.len());
        let from = world.chance(3) as usize;
        let to = (from + 1 + world.chance(2) as usize) % 3;
        if world.people[from].is_up() {
            world.send(from, to, &format!("seed {seed} message {n} from {from} to {to}"));
        }
        match world.chance(100) {
            0 if with_crashes => {
                let (who, back) = (world.chance(3) as usize, 1 + world.chance(30_000));
                world.crash(who, back);
            }
            1 | 7 if with_crashes => {
                let (who, back) = (world.chance(3) as usize, 1 + world.chance(30_000));
                let changes = world.chance(MOST_WRITES);
                world.crash_at_write(who, changes, back);
            }
            2 => {
                let cut_off = world.chance(3) as usize;
                world.weather.side = [cut_off].into();
            }
            3..=4 => world.weather.side.clear(),
            5 => bad_weather(&mut world),
            // Long enough for what was taken without a receipt to be sealed again: it comes in another envelope.
            6 => long_outage(&mut world, with_crashes),
            _ => {}
        }
        let pause = world.chance(1_500);
        world.run_for(pause);
    }
    world.heal();
    world.run_until_settled(CALM_MS);
    // What comes late comes twice, if at all.
    world.run_for(60_000);
    world.run_until_settled(CALM_MS);
    world.ledger.check(seed, &world.people);
    Counts { promised: world.ledger.promises.len(), inside: world.cuts_inside_commits }
}

fn seeds(full: u64) -> Vec<u64> {
    if let Some(one) = std::env::var("KITH_SEED").ok().and_then(|v| v.parse().ok()) {
        return vec![one];
    }
    (1..=count("seeds", "KITH_SEEDS", full)).collect()
}

fn every_seed(full: u64, what: &str, run: impl Fn(u64) -> Counts + Sync) -> Counts {
    let mut all = Counts::default();
    for seed in seeds(full) {
        match std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run(seed))) {
            Ok(one) => {
                all.promised += one.promised;
                all.inside += one.inside;
            }
            Err(panic) => {
                println!("failed seed {seed} ({what}): run it alone with KITH_SEED={seed}");
                std::panic::resume_unwind(panic);
            }
        }
    }
    let Counts { promised, inside } = all;
    println!("counts: {what}: {promised} messages accepted, each delivered once; {inside} power cuts inside commits");
    all
}

#[test]
fn whatever_links_do_every_accepted_message_arrives_once() {
    every_seed(40, "bad links", |seed| run(seed, false));
}

#[test]
fn whatever_power_does_every_accepted_message_arrives_once() {
    let all = every_seed(100, "bad links and crashes", |seed| run(10_000 + seed, true));
    assert!(all.inside > 0, "no power cut fell inside a commit");
}

#[test]
fn in_fine_weather_messages_arrive_without_a_second_attempt() {
    let mut world = World::new(1, 2, Weather::fine());
    world.introduce_all();
    world.run_for(10_000);
    world.send(0, 1, "hello");
    world.run_for(1_000);
    println!("{:#?}", world.people[0].why_all());
    world.ledger.check(1, &world.people);
    assert_eq!(world.people[1].shown().len(), 1);
    let why = world.people[0].why_all();
    assert_eq!(why.len(), 1);
    assert_eq!(why[0].recipients[0].steps.iter().filter(|s| s.what == "sent").count(), 1);
}
