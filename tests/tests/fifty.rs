//! Fifty nodes in one process on loopback sockets, a fifth of them lying or gone: whoever has somebody's code finds their
//! newest descriptor and reaches them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::print_stdout)]

use kith_tests::{
    count,
    network::{
        daemon::Person,
        liar::{Liar, Lie},
    },
};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use std::collections::BTreeSet;

const HONEST: usize = 40;
const GONE: usize = 5;
/// Honest nodes that come back under other addresses, so that what was published first is outdated.
const MOVED: usize = 12;
/// Nodes started at once.
const WAVE: usize = 6;
/// Drawn pairs when everything is run.
const PAIRS: u64 = 200;

async fn start(folder: &std::path::Path, count: usize) -> Vec<Person> {
    let mut people = vec![Person::start(folder, "p00", Vec::new()).await];
    let first = people[0].listen();
    for number in 1..3 {
        people.push(Person::start(folder, &format!("p{number:02}"), first.clone()).await);
    }
    let bootstrap: Vec<_> = people.iter().flat_map(Person::listen).collect();
    while people.len() < count {
        let names: Vec<_> = (people.len()..count.min(people.len() + WAVE)).map(|n| format!("p{n:02}")).collect();
        let wave = names.iter().map(|name| Person::start(folder, name, bootstrap.clone()));
        people.extend(futures::future::join_all(wave).await);
    }
    people
}

fn draw(seed: u8, count: u64) -> BTreeSet<(usize, usize)> {
    let mut rng = ChaCha20Rng::from_seed([seed; 32]);
    let mut pairs = BTreeSet::new();
    while (pairs.len() as u64) < count {
        let from = (rng.next_u64() % HONEST as u64) as usize;
        let to = (from + 1 + (rng.next_u64() % (HONEST as u64 - 1)) as usize) % HONEST;
        pairs.insert((from, to));
    }
    pairs
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_drawn_pair_of_fifty_nodes_meets_although_a_fifth_lies_or_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let mut people = start(folder.path(), HONEST + GONE).await;
    let at: Vec<_> = people.iter().take(3).flat_map(Person::listen).collect();
    let mut liars = Vec::new();
    for lie in [Lie::Oldest, Lie::Garbage, Lie::Foreign, Lie::Oldest, Lie::Nothing] {
        liars.push(Liar::join(lie, &at).await);
    }
    for person in &people {
        person.has_neighbours(8).await;
        person.is_published(4).await;
    }
    futures::future::join_all(people[HONEST..].iter_mut().map(Person::stop)).await;
    // Those who move come back on other ports: the liars that keep what is oldest now tell where they were.
    let moving = people[HONEST - MOVED..HONEST].iter_mut().map(|moved| async {
        moved.stop().await;
        moved.resume().await;
    });
    futures::future::join_all(moving).await;
    for moved in &people[HONEST - MOVED..HONEST] {
        moved.is_published(4).await;
    }

    let pairs = draw(50, count("pairs among fifty nodes", "KITH_PAIRS", PAIRS));
    for (from, to) in &pairs {
        let (from, to) = (&people[*from], &people[*to]);
        from.client.add_contact(&to.code().await, Some(&to.name)).await.unwrap();
        to.client.add_contact(&from.code().await, Some(&from.name)).await.unwrap();
    }
    let meetings = pairs.iter().map(|(from, to)| {
        let (from, to) = (&people[*from], &people[*to]);
        async move {
            let text = format!("{} to {}", from.name, to.name);
            from.says(&format!("@{}", to.name), &text).await;
            assert_eq!(to.heard(&format!("@{}", from.name), &text).await, 1, "{text}");
        }
    });
    futures::future::join_all(meetings).await;
    futures::future::join_all(people.iter_mut().map(Person::stop)).await;
}
