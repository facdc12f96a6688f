//! A relay and two who leave mail at it for each other, all killed over and over: whatever a daemon acknowledged arrives,
//! once, whichever way it took.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::print_stdout)]

use kith_node::api::types::{DeliveryState, Message};
use kith_protocol::MessageId;
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
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Duration,
};
use tokio::{task::JoinSet, time::Instant};

/// Kills of a full run.
const KILLS: u64 = 100;
/// Writers in each direction.
const WRITERS: u64 = 2;
/// How often each of them writes.
const PACE: Duration = Duration::from_millis(100);
/// How long somebody stays away at most so that mail for them is stored.
const ABSENCE: Duration = Duration::from_secs(5);

/// Who is killed, what they saw, and how often.
struct Scene {
    relay: Person,
    /// The two who write, and what each of them is written.
    people: [Person; 2],
    ways: [Arc<Direction>; 2],
    rng: ChaCha20Rng,
    kills: BTreeMap<String, u64>,
    /// Envelopes that their owners took from the relay, as it said before each of its ends.
    collected: u64,
    /// Messages that were seen waiting at the relay, written while their reader was off.
    stored: BTreeSet<MessageId>,
    /// Those among them that came while their writer was off.
    fetched: u64,
}

impl Scene {
    fn killed(&self) -> u64 {
        self.kills.values().sum()
    }

    fn relay_kills(&self) -> u64 {
        self.kills.get(&self.relay.name).copied().unwrap_or_default()
    }

    fn up_to(&mut self, most: u64) -> u64 {
        self.rng.next_u64() % most
    }

    /// Up to so many milliseconds.
    async fn pause(&mut self, most: u64) {
        let micros = self.up_to(most * 1000);
        tokio::time::sleep(Duration::from_micros(micros)).await;
    }

    async fn count_collected(&mut self) {
        self.collected += self.relay.client().relay_stats().await.unwrap().collected;
    }

    async fn kill_relay(&mut self) {
        self.count_collected().await;
        self.pause(50).await;
        self.relay.kill();
        *self.kills.entry(self.relay.name.clone()).or_default() += 1;
    }

    fn kill_person(&mut self, who: usize) {
        self.people[who].kill();
        *self.kills.entry(self.people[who].name.clone()).or_default() += 1;
    }

    async fn restart_relay(&mut self) {
        self.pause(500).await;
        self.relay.start().await;
    }

    async fn restart_person(&mut self, who: usize) {
        self.pause(500).await;
        self.people[who].start().await;
    }

    /// Waits until texts come in both directions.
    async fn flows(&self) {
        let told = || self.ways.iter().map(|way| way.told.lock().unwrap().len()).collect::<Vec<_>>();
        let before = told();
        eventually("both directions flow", || async {
            told().iter().zip(&before).all(|(now, before)| *now >= before + 3).then_some(())
        })
        .await;
    }

    /// What waits at the relay, by the word of the one who wrote it, without these.
    async fn stored_by(&self, writer: usize, without: &BTreeSet<MessageId>) -> BTreeSet<MessageId> {
        let outbox = self.people[writer].client().outbox().await.unwrap();
        let stored = outbox.into_iter().filter(|item| item.state == DeliveryState::Stored).map(|item| item.id);
        stored.filter(|id| !without.contains(id)).collect()
    }

    /// Somebody is killed and stays off while mail for them is stored; then others may die before they are back.
    async fn absence(&mut self, who: usize) {
        let writer = 1 - who;
        self.kill_person(who);
        // What was written before may be with them already, and its receipt be lost; what comes after cannot.
        let before: BTreeSet<_> = self.people[writer].read(&self.people[who]).await.iter().map(|m| m.id).collect();
        let (since, mut stored) = (Instant::now(), BTreeSet::new());
        while stored.is_empty() && since.elapsed() < ABSENCE {
            tokio::time::sleep(Duration::from_millis(50)).await;
            stored = self.stored_by(writer, &before).await;
        }
        self.pause(1000).await;
        stored.extend(self.stored_by(writer, &before).await);
        self.stored.extend(&stored);
        if self.up_to(2) == 0 {
            self.kill_relay().await;
            self.restart_relay().await;
        }
        let alone = self.up_to(2) == 0 || self.fetched == 0;
        if alone {
            self.kill_person(writer);
        }
        self.restart_person(who).await;
        if alone {
            // Where they are promised they need nobody but the relay.
            let way = &self.ways[who];
            eventually("what was stored comes without its writer", || async {
                let told: BTreeSet<_> = way.told.lock().unwrap().iter().copied().collect();
                stored.is_subset(&told).then_some(())
            })
            .await;
            self.fetched += stored.len() as u64;
            self.restart_person(writer).await;
        }
    }

    /// One turn of the wheel.
    async fn turn(&mut self) {
        self.flows().await;
        self.pause(200).await;
        let who = usize::try_from(self.up_to(2)).unwrap();
        if self.relay_kills() * 5 <= self.killed() * 2 {
            self.kill_relay().await;
            if self.up_to(3) == 0 {
                // Both at once.
                self.kill_person(who);
                self.restart_person(who).await;
            }
            self.restart_relay().await;
        } else if self.up_to(3) == 0 {
            self.absence(who).await;
        } else {
            self.kill_person(who);
            self.restart_person(who).await;
        }
    }
}

/// Everything promised is shown once and told once.
async fn check(from: &Person, to: &Person, way: &Direction) -> usize {
    let promised = way.promised.lock().unwrap().clone();
    let written = |m: &Message| m.body.starts_with("writer ");
    let sent: Vec<_> = from.read(to).await.into_iter().filter(|m| m.outgoing && written(m)).collect();
    let shown: Vec<_> = to.read(from).await.into_iter().filter(|m| !m.outgoing && written(m)).collect();
    let ids: BTreeSet<_> = shown.iter().map(|m| m.id).collect();
    let bodies: BTreeSet<_> = shown.iter().map(|m| &m.body).collect();
    let lost: Vec<_> = promised.keys().filter(|id| !ids.contains(id)).collect();
    assert!(lost.is_empty(), "{} -> {}: {} of {} lost: {lost:?}", from.name, to.name, lost.len(), promised.len());
    assert_eq!(sent.len(), promised.len(), "{}: a repeated request made a second message", from.name);
    assert!(sent.iter().all(|m| m.state >= DeliveryState::Delivered && m.state != DeliveryState::Failed));
    assert_eq!(ids.len(), shown.len(), "{} shows one id twice", to.name);
    assert_eq!(bodies.len(), shown.len(), "{} shows one text twice", to.name);
    for message in &shown {
        assert_eq!(promised.get(&message.id), Some(&message.body), "{} shows what nobody wrote", to.name);
    }
    let told = eventually("all events are told", || async {
        let told: Vec<_> = way.told.lock().unwrap().iter().filter(|id| promised.contains_key(id)).copied().collect();
        (told.len() >= shown.len()).then_some(told)
    })
    .await;
    assert_eq!(told.len(), shown.len(), "{} was told of one twice", to.name);
    assert_eq!(told.into_iter().collect::<BTreeSet<_>>(), ids);
    shown.len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_relay_killed_at_any_moment_nothing_acknowledged_is_lost_or_shown_twice() {
    let kills = count("kills with a relay", "KITH_RELAY_KILLS", KILLS);
    let seed = std::env::var("KITH_SEED").ok().and_then(|v| v.parse().ok()).unwrap_or(1);
    let mut relay = Person::create("corner");
    relay.relay = true;
    relay.start().await;
    let mut people = [Person::create("alice"), Person::create("bob")];
    for person in &mut people {
        person.start().await;
        person.client().add_relay(relay.card.as_ref().unwrap()).await.unwrap();
    }
    let [a, b] = &people;
    introduce(a, b).await;
    for (from, to) in [(a, b), (b, a)] {
        let id = from.send(to, "hello").await.to_string();
        eventually("a first message is delivered", || async {
            let there = from.client().message(&id).await.ok()?;
            (there.state == DeliveryState::Delivered).then_some(())
        })
        .await;
    }
    let ways = [Arc::new(Direction::default()), Arc::new(Direction::default())];
    let stop = Arc::new(AtomicBool::new(false));
    let (mut writers, mut followers) = (JoinSet::new(), JoinSet::new());
    for (way, from, to) in [(&ways[0], b, a), (&ways[1], a, b)] {
        for writer in 0..WRITERS {
            writers.spawn(write(from.client(), to.account, writer, PACE, Arc::clone(way), Arc::clone(&stop)));
        }
        followers.spawn(follow(to.client(), Arc::clone(way)));
    }
    let rng = ChaCha20Rng::seed_from_u64(seed);
    let (kills_by, stored) = (BTreeMap::new(), BTreeSet::new());
    let mut scene = Scene { relay, people, ways, rng, kills: kills_by, collected: 0, stored, fetched: 0 };
    // Chance decides what the relay gets to do: it goes on for a while if that is too little.
    while scene.killed() < kills || (scene.fetched == 0 && scene.killed() < 3 * kills) {
        scene.turn().await;
        println!("{:?}, {} seen stored", scene.kills, scene.stored.len());
    }
    stop.store(true, SeqCst);
    while let Some(writer) = writers.join_next().await {
        writer.unwrap();
    }
    let [a, b] = &scene.people;
    eventually("every message is confirmed", || async {
        let (a, b) = (a.client().status().await.ok()?, b.client().status().await.ok()?);
        (a.outbox == 0 && b.outbox == 0).then_some(())
    })
    .await;
    let shown = check(b, a, &scene.ways[0]).await + check(a, b, &scene.ways[1]).await;
    scene.count_collected().await;
    println!("counts: {} kills (seed {seed}): {:?}", scene.killed(), scene.kills);
    println!("counts: {shown} messages acknowledged, each shown and told once");
    println!(
        "counts: {} seen stored, {} of them fetched while their writer was off",
        scene.stored.len(),
        scene.fetched
    );
    println!("counts: {} envelopes collected from the relay", scene.collected);
    assert!(scene.relay_kills() * 3 >= scene.killed(), "the relay was killed too seldom");
    assert!(!scene.stored.is_empty(), "no message was seen stored");
    assert!(scene.fetched > 0, "no message came through the relay alone");
    // Each of its lives and each absence left mail with the relay.
    assert!(scene.collected >= scene.killed(), "{} envelopes collected from the relay", scene.collected);
    assert!(scene.collected >= scene.stored.len() as u64, "less was collected than was seen stored");
    followers.abort_all();
    for mut person in scene.people {
        person.stop().await;
    }
    scene.relay.stop().await;
}
