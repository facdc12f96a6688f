//! The oracle: by chance, with removals above all, whether who can have which secrets is computed rightly. Each device has the
//! keys that were sealed or handed to it; what they give together is what the symbols say, and never the epoch that the gate
//! lets through.

use super::*;
use crate::channel::{
    Op,
    log::tests::{chance::*, kit},
};

#[derive(Debug, Default)]
struct Counts {
    runs: usize,
    operations: usize,
    merged: usize,
    tainted: usize,
    single: usize,
    coalitions: usize,
    emergencies: usize,
    catch_ups: usize,
    open: usize,
    compared: usize,
    suspended: usize,
    revoked: usize,
}

/// Finds out who a device belongs to.
fn owner(device: &DeviceId) -> (Who, usize) {
    let people = (0..PEOPLE).map(Who);
    people.flat_map(|w| [(w, 0), (w, 1)]).find(|(w, n)| w.person().devices[*n].id() == *device).unwrap()
}

/// Finds a member's device that has an epoch and may do something.
fn somebody_who_may(branch: &Branch, act: &Act, has: &BTreeSet<DeviceId>) -> Option<(Who, usize)> {
    let able = has.iter().map(owner).filter(|(who, n)| {
        let author = who.author_with(*n);
        branch.graph.allow(author.account, author.device, act, NOW_AND_THEN).is_ok()
    });
    able.into_iter().next()
}

const NOW_AND_THEN: crate::Timestamp = crate::Timestamp::from_millis(1_800_000_000_500);

/// Does what the gate asks for; says whether there was anything to do.
fn heed(branch: &mut Branch, counts: &mut Counts) -> bool {
    let epochs = Epochs::of(&branch.graph);
    match epochs.gate(&branch.graph).unwrap() {
        Gate::Open(_) => return false,
        Gate::Tainted(_) => {
            let act = branch.completed(&rekey());
            let Some((who, n)) = somebody_who_may(branch, &act, &branch.graph.recipients()) else { return false };
            branch.does_with(who, n, &act);
        }
        Gate::Lacking(now, lacking) => {
            for (device, ids) in lacking {
                let ids: Vec<[u8; 32]> = ids.iter().map(|id| *id.as_bytes()).collect();
                let act = hand_over(device, &ids);
                let Some((who, n)) = somebody_who_may(branch, &act, &epochs.holders(&now)) else { return false };
                branch.does_with(who, n, &act);
                counts.catch_ups += 1;
            }
        }
    }
    true
}

/// Compares symbols with keys, for every epoch there is, every device, and devices that put theirs together.
fn compare(graph: &Graph, epochs: &Epochs, chance: &mut Chance, counts: &mut Counts, seed: u64) {
    let mut rings = Rings::of(graph, epochs);
    let devices: Vec<DeviceId> = (0..12).map(Who).flat_map(|w| [w.device(), w.second()]).collect();
    for id in epochs.known.keys() {
        let holders = epochs.holders(id);
        for device in &devices {
            let has = rings.has(epochs, device, id);
            assert_eq!(has, holders.contains(device), "seed {seed}: {id:?} {device:?}");
            counts.compared += 1;
        }
        for _ in 0..3 {
            let some = devices.iter().copied().filter(|_| chance.one_in(3)).collect();
            let can = rings.together(epochs, &some, id);
            assert_eq!(can, epochs.any_can_derive(id, &some), "seed {seed}: {id:?}");
        }
    }
    let (now, outside) = (epochs.current().unwrap(), graph.outsiders());
    let leaks = rings.together(epochs, &outside, &now);
    assert_eq!(leaks, epochs.any_can_derive(&now, &outside), "seed {seed}");
    let single = outside.iter().any(|d| rings.has(epochs, d, &now));
    counts.single += usize::from(single);
    counts.coalitions += usize::from(leaks && !single);
    match epochs.gate(graph).unwrap() {
        Gate::Tainted(_) => {
            counts.tainted += 1;
            counts.emergencies += usize::from(!leaks);
            assert!(leaks || graph.emergencies().next().is_some(), "seed {seed}");
        }
        Gate::Lacking(_, lacking) => {
            assert!(!leaks && !lacking.is_empty(), "seed {seed}");
            for (device, _) in lacking {
                assert!(!rings.has(epochs, &device, &now) && graph.recipients().contains(&device), "seed {seed}");
            }
        }
        Gate::Open(id) => {
            counts.open += 1;
            assert!(id == now && !leaks, "seed {seed}");
            for device in graph.recipients() {
                assert!(rings.has(epochs, &device, &now), "seed {seed}");
            }
        }
    }
}

fn run(seed: u64, counts: &mut Counts) {
    let people = 7 + (seed % 6) as usize;
    let mut world = World::new(seed, people, people - 2, REMOVALS);
    let mut chance = Chance::new(seed ^ 0x5eed);
    let mut step_by_step = Epochs::of(&world.partitions[0].graph);
    for _ in 0..8 + chance.below(12) {
        world.step();
        if chance.one_in(4) {
            let at = chance.below(world.partitions.len());
            heed(&mut world.partitions[at], counts);
        }
        step_by_step.extend(&world.partitions[0].graph);
    }
    world.heal();
    let branch = &mut world.partitions[0];
    step_by_step.extend(&branch.graph);
    let epochs = Epochs::of(&branch.graph);
    assert_eq!(step_by_step.current(), epochs.current(), "seed {seed}");
    assert!(epochs.known.iter().all(|(id, epoch)| step_by_step.known.get(id) == Some(epoch)), "seed {seed}");
    compare(&branch.graph, &epochs, &mut chance, counts, seed);
    counts.runs += 1;
    counts.operations += branch.graph.ops().len();
    counts.merged += epochs.known.values().filter(|e| matches!(e.origin, Origin::Merged(_))).count();
    let is = |act: fn(&Act) -> bool| branch.graph.ops().iter().filter(|op| act(op.act())).count();
    counts.suspended += is(|act| matches!(act, Act::Suspend { on: true, .. }));
    counts.revoked += is(|act| matches!(act, Act::Devices { .. }));
    // What the gate asks for opens it, whoever remains; nobody outside has what is sent under then.
    for _ in 0..3 {
        if !heed(branch, counts) {
            break;
        }
    }
    let epochs = Epochs::of(&branch.graph);
    let gate = epochs.gate(&branch.graph).unwrap();
    let nobody = branch.graph.recipients().is_empty();
    let unable = somebody_who_may(branch, &branch.completed(&rekey()), &branch.graph.recipients()).is_none();
    assert!(matches!(gate, Gate::Open(_)) || nobody || unable, "seed {seed}: {gate:?}");
    compare(&branch.graph, &epochs, &mut chance, counts, seed);
}

/// How many runs: `KITH_ORACLE_RUNS` says otherwise.
fn runs() -> usize {
    let wanted = std::env::var("KITH_ORACLE_RUNS").ok().and_then(|n| n.parse().ok());
    wanted.unwrap_or_else(|| kit::cases(2_000, 20_000))
}

#[test]
fn c05_33_r_epoch_5_r_epoch_6_the_oracle_symbols_say_of_every_key_ring_what_it_gives() {
    let mut counts = Counts::default();
    for seed in 0..runs() as u64 {
        run(seed, &mut counts);
    }
    println!("{counts:?}");
    for (what, count) in [
        ("merged epochs", counts.merged),
        ("closed gates", counts.tainted),
        ("single outsiders", counts.single),
        ("coalitions", counts.coalitions),
        ("emergencies", counts.emergencies),
        ("catch-ups", counts.catch_ups),
        ("open gates", counts.open),
        ("suspensions", counts.suspended),
        ("device logs", counts.revoked),
    ] {
        assert!(count > 0, "no {what} in {counts:?}");
    }
}

#[test]
fn the_oracle_finds_what_a_wrong_epoch_would_give_away() {
    // Were the merged epoch taken for good where its parts have other outsiders, somebody would have it: the oracle says who.
    let mut here = Branch::with(&[(BOB, "admin"), (CARL, "admin"), (DORA, "member"), (EVE, "member")]);
    let mut there = here.clone();
    here.does_afresh(BOB, &kick(DORA));
    there.does_afresh(CARL, &kick(EVE));
    let both: Vec<Op> = there.graph.ops().iter().map(|op| Op::clone(op)).collect();
    for op in both {
        here.graph.add(op).unwrap();
    }
    let epochs = Epochs::of(&here.graph);
    let rings = Rings::of(&here.graph, &epochs);
    assert!(rings.together(&epochs, &here.graph.outsiders(), &epochs.current().unwrap()));
}
