//! Two daemons that talk without a pause and are killed over and over: whatever a daemon acknowledged arrives, once, in order.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::print_stdout)]

use kith_node::{api::types::DeliveryState, app::query, profile};
use kith_tests::{
    count,
    process::{Person, eventually, introduce},
    traffic::{Direction, follow, write},
};
use rand_chacha::{
    ChaCha20Rng,
    rand_core::{Rng as _, SeedableRng},
};
use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Duration,
};
use tokio::{task::JoinSet, time::Instant};

/// Kills of a full run.
const KILLS: u64 = 50;
/// Writers in each direction.
const WRITERS: u64 = 5;
/// How often each of them writes: together up to 83 messages a second each way, as long as both daemons run.
const PACE: Duration = Duration::from_millis(60);
/// Messages that have to be acknowledged a second, each way, in a full run while both daemons run.
const RATE: f64 = 50.0;
/// The newest messages of a killed daemon that are looked at.
const NEWEST: usize = 1000;

/// How many of the texts that a killed daemon had stored the writer has no receipt for.
async fn without_receipt(killed: &Person, writer: &Person) -> usize {
    let copy = tempfile::tempdir().unwrap();
    killed.copy_home(copy.path());
    let profile = profile::open(copy.path(), &killed.key()).unwrap();
    let rows = profile.store.snapshot().unwrap();
    let stored = query::messages(&rows, &writer.account.into(), None, None, NEWEST).unwrap();
    let mut missing = 0;
    for message in stored.iter().rev().filter(|m| !m.outgoing).take(200) {
        let there = writer.client().message(&message.id.to_string()).await.unwrap();
        if there.state < DeliveryState::Delivered {
            missing += 1;
        }
    }
    missing
}

/// Everything promised is shown once, told once, and in the order in which it was written.
async fn check(from: &Person, to: &Person, way: &Direction) -> usize {
    let promised = way.promised.lock().unwrap().clone();
    let written: Vec<_> = from.read(to).await.into_iter().filter(|m| m.outgoing).collect();
    let shown: Vec<_> = to.read(from).await.into_iter().filter(|m| !m.outgoing).collect();
    let ids = |all: &[kith_node::api::types::Message]| all.iter().map(|m| m.id).collect::<Vec<_>>();
    let lost: Vec<_> = promised.keys().filter(|id| !ids(&shown).contains(id)).collect();
    assert!(lost.is_empty(), "{} -> {}: {} of {} lost: {lost:?}", from.name, to.name, lost.len(), promised.len());
    assert_eq!(written.len(), promised.len(), "{}: a repeated request made a second message", from.name);
    assert_eq!(ids(&shown).iter().collect::<BTreeSet<_>>().len(), shown.len(), "{} shows one twice", to.name);
    for message in &shown {
        assert_eq!(promised.get(&message.id), Some(&message.body), "{} shows what nobody wrote", to.name);
    }
    let astray = ids(&shown).iter().zip(&ids(&written)).filter(|(shown, written)| shown != written).count();
    assert_eq!(astray, 0, "{} -> {}: {astray} of {} out of order", from.name, to.name, shown.len());
    let told = eventually("all events are told", || async {
        let told = way.told.lock().unwrap();
        (told.len() >= shown.len()).then(|| told.clone())
    })
    .await;
    assert_eq!(told.len(), shown.len(), "{} was told of one twice", to.name);
    assert_eq!(told.into_iter().collect::<BTreeSet<_>>(), promised.into_keys().collect::<BTreeSet<_>>());
    shown.len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_any_moment_nothing_acknowledged_is_lost_or_shown_twice() {
    let kills = count("kill -9", "KITH_KILLS", KILLS);
    let between_wanted = kills.div_ceil(5);
    let seed = std::env::var("KITH_SEED").ok().and_then(|v| v.parse().ok()).unwrap_or(1);
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    let (mut a, mut b) = (Person::create("alice"), Person::create("bob"));
    a.start().await;
    b.start().await;
    introduce(&a, &b).await;
    let ways = [Arc::new(Direction::default()), Arc::new(Direction::default())];
    let stop = Arc::new(AtomicBool::new(false));
    let (mut writers, mut followers) = (JoinSet::new(), JoinSet::new());
    for (way, from, to) in [(&ways[0], &a, &b), (&ways[1], &b, &a)] {
        for writer in 0..WRITERS {
            writers.spawn(write(from.client(), to.account, writer, PACE, Arc::clone(way), Arc::clone(&stop)));
        }
        followers.spawn(follow(to.client(), Arc::clone(way)));
    }
    let acknowledged = || [&ways[0], &ways[1]].map(|w| w.acknowledged.load(SeqCst));
    let told = || ways.iter().map(|w| w.told.lock().unwrap().len()).collect::<Vec<_>>();
    let (mut between, mut both_up, mut meanwhile) = (0, Duration::ZERO, [0, 0]);
    let mut killed = 0;
    // Chance decides how many fall between commit and receipt: it goes on for a while if they are too few.
    while killed < kills || (between < between_wanted && killed < 3 * kills) {
        let (before, already, since) = (told(), acknowledged(), Instant::now());
        let more = 30 + rng.next_u64() % 120;
        eventually("both directions flow", || async {
            let flows = told().iter().zip(&before).all(|(now, before)| *now >= before + 10);
            let written: u64 = acknowledged().iter().zip(already).map(|(now, before)| now - before).sum();
            (flows && written >= more).then_some(())
        })
        .await;
        for (sum, (now, before)) in meanwhile.iter_mut().zip(acknowledged().into_iter().zip(already)) {
            *sum += now - before;
        }
        both_up += since.elapsed();
        let (victim, other, inbound) =
            if rng.next_u64().is_multiple_of(2) { (&mut a, &b, &ways[1]) } else { (&mut b, &a, &ways[0]) };
        // Every second one at any moment at all, the others when the victim has just stored a text.
        if killed % 2 == 0 {
            tokio::time::sleep(Duration::from_micros(rng.next_u64() % 30_000)).await;
        } else {
            inbound.next.notified().await;
        }
        victim.kill();
        killed += 1;
        let missing = without_receipt(victim, other).await;
        between += u64::from(missing > 0);
        println!("kill {killed}: {}, {missing} texts stored there and not yet confirmed", victim.name);
        victim.start().await;
    }
    stop.store(true, SeqCst);
    while let Some(writer) = writers.join_next().await {
        writer.unwrap();
    }
    eventually("every message is confirmed", || async {
        let (a, b) = (a.client().status().await.ok()?, b.client().status().await.ok()?);
        (a.outbox == 0 && b.outbox == 0).then_some(())
    })
    .await;
    let shown = check(&a, &b, &ways[0]).await + check(&b, &a, &ways[1]).await;
    let rates = meanwhile.map(|n: u64| n as f64 / both_up.as_secs_f64());
    println!("counts: {killed} kills (seed {seed}), {between} of them between commit and receipt");
    println!("counts: {shown} messages acknowledged, each shown and told once");
    println!("counts: while both run, {:.0} and {:.0} acknowledged a second", rates[0], rates[1]);
    assert!(between >= between_wanted, "only {between} of {killed} kills fell between commit and receipt");
    if kills >= KILLS {
        assert!(rates.iter().all(|rate| *rate >= RATE), "under {RATE} messages a second one way: {rates:?}");
    }
    followers.abort_all();
    a.stop().await;
    b.stop().await;
}
