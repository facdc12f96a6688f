//! Fifty nodes in one process, a fifth of them lying or gone: everybody is found by the newest record, and reached.

use super::{
    hostile::{Mallory, nothing},
    kit::{Node, config, frame, key, node, record},
};
use crate::net::{
    DeliverOutcome, NetCommand, NetEvent, PeerName, Transport, Verdict,
    wire::{Deliver, Layout},
};
use kith_protocol::Timestamp;
use libp2p::kad;
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

const HONEST: u8 = 40;
const LIARS: usize = 5;
const GONE: usize = 5;
/// Pairs of a full run; a tenth of them unless `KITH_FULL` is set.
const PAIRS: u64 = 200;

fn later() -> Timestamp {
    Timestamp::from_millis(u64::MAX / 2)
}

/// What a node publishes: its name and addresses.
fn card(node: &Node) -> String {
    format!("{} {}", node.name.0, node.net.status().listen.join(" "))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn among_fifty_nodes_with_a_fifth_lying_or_gone_every_drawn_pair_meets() {
    let first = node(config()).await;
    let mut known = config();
    known.bootstrap = first.listens(Transport::Noise);
    let mut nodes = vec![first];
    while nodes.len() < usize::from(HONEST) + GONE {
        nodes.push(node(known.clone()).await);
    }
    // The liars know an old record of everybody, garbage for every third, and acknowledge whatever they are given.
    let lie = |number: u8| {
        let lie = if number.is_multiple_of(3) { b"garbage".to_vec() } else { record(&key(number), 1, later(), "old") };
        kad::Record::new(key(number).as_bytes().to_vec(), lie)
    };
    let mut liars = Vec::new();
    for number in 0..LIARS {
        let lies = (0..HONEST).map(lie).collect();
        liars.push(Mallory::connect(Deliver::NAME, &nodes[number * 3], nothing(), lies).await);
    }
    for node in &nodes {
        node.status("neighbours", |status| status.routing >= 8).await;
    }
    for (number, node) in (0..HONEST).zip(&nodes) {
        let newest = record(&key(number), 2, later(), &card(node));
        node.send(NetCommand::Publish { records: vec![(key(number), newest)] });
    }
    for node in &mut nodes[..usize::from(HONEST)] {
        let pick = |event| matches!(event, NetEvent::Published { stored } if stored > 2).then_some(());
        node.event("published", pick).await;
    }
    for gone in nodes.split_off(usize::from(HONEST)) {
        gone.net.shutdown().await;
    }

    let mut rng = ChaCha20Rng::from_seed([50; 32]);
    let (mut waiting, mut met) = (std::collections::HashMap::new(), 0);
    #[allow(clippy::print_stdout, reason = "a log tells what was run")]
    fn tell(pairs: u64) {
        println!("counts: pairs among fifty nodes of the net task: {pairs} (full: {PAIRS})");
    }
    let pairs = if std::env::var_os("KITH_FULL").is_some() { PAIRS } else { PAIRS / 10 };
    tell(pairs);
    for pair in 0..pairs {
        let seeker = usize::try_from(rng.next_u64() % u64::from(HONEST)).unwrap();
        let number =
            u8::try_from((seeker as u64 + 1 + rng.next_u64() % u64::from(HONEST - 1)) % u64::from(HONEST)).unwrap();
        nodes[seeker].send(NetCommand::Fetch { query: pair, keys: vec![key(number)], hints: vec![] });
        waiting.insert(pair, number);
    }
    let (count, mut done) = tokio::sync::mpsc::channel(1_000);
    for mut node in nodes {
        let (count, waiting) = (count.clone(), waiting.clone());
        tokio::spawn(async move {
            while let Some(event) = node.events.recv().await {
                match event {
                    NetEvent::Found { query, records, .. } => {
                        let number = waiting[&query];
                        let newest = records.first().map(|(_, bytes)| bytes.clone()).unwrap_or_default();
                        let text = String::from_utf8_lossy(newest.get(48..).unwrap_or_default()).into_owned();
                        let mut words = text.split(' ').map(String::from);
                        let peer = PeerName(words.next().unwrap_or_default());
                        let sent = frame(&format!("{query} for {number}"));
                        let addresses = words.collect();
                        node.send(NetCommand::Deliver { attempt: query, peer, addresses, frame: sent });
                    }
                    NetEvent::Inbound { token, .. } => {
                        node.send(NetCommand::Answer { token, verdict: Verdict::Accepted });
                    }
                    NetEvent::DeliverDone { attempt, outcome } => count.send((attempt, outcome)).await.unwrap(),
                    _ => {}
                }
            }
        });
    }
    while met < pairs {
        let (pair, outcome) = super::kit::soon("a pair meets", done.recv()).await.unwrap();
        assert_eq!(outcome, DeliverOutcome::Accepted, "pair {pair}, looking for {}", waiting[&pair]);
        met += 1;
    }
    drop(liars);
}
