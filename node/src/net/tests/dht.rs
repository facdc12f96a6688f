//! Records between honest nodes: direct questions, and a DHT of many nodes in one process.

use super::kit::{DEADLINE, Node, assert_serves, config, key, node, record};
use crate::net::{DhtMode, NetCommand, NetConfig, NetEvent, Transport};
use kith_protocol::{RecordKey, Timestamp};

fn later() -> Timestamp {
    Timestamp::from_millis(u64::MAX / 2)
}

async fn published(node: &mut Node, at_least: u32) -> u32 {
    let pick = |event| match event {
        NetEvent::Published { stored } if stored >= at_least => Some(stored),
        _ => None,
    };
    node.event("a round of publishing", pick).await
}

#[tokio::test]
async fn a_hinted_peer_answers_for_its_own_records_with_and_without_its_name() {
    let (mut alice, mut bob) = (node(config()).await, node(config()).await);
    let records: Vec<_> = (1..=20).map(|number| (key(number), record(&key(number), 1, later(), "mine"))).collect();
    bob.send(NetCommand::Publish { records: records.clone() });
    published(&mut bob, 0).await;
    let keys: Vec<RecordKey> = (0..=21).map(key).collect();
    let hint = bob.listens(Transport::Noise).remove(0);
    let nameless = hint.split("/p2p/").next().unwrap().to_owned();
    for (query, hint) in [(1, nameless), (2, hint), (3, bob.listens(Transport::Quic).remove(0))] {
        alice.send(NetCommand::Fetch { query, keys: keys.clone(), hints: vec![hint, "nonsense".into()] });
        let (found, asked) = alice.found(query).await;
        assert_eq!(found, records);
        assert_eq!(asked, 1);
    }
}

#[tokio::test]
async fn a_lookup_ends_although_its_hints_are_dead_and_nobody_is_there() {
    let (mut alice, gone) = (node(config()).await, node(config()).await);
    let hints = gone.net.status().listen;
    gone.net.shutdown().await;
    let nameless = hints.iter().map(|hint| hint.split("/p2p/").next().unwrap().to_owned()).collect::<Vec<_>>();
    alice.send(NetCommand::Fetch { query: 1, keys: vec![key(1)], hints: [hints, nameless].concat() });
    assert_eq!(alice.found(1).await, (vec![], 0));
    alice.send(NetCommand::Fetch { query: 2, keys: vec![], hints: vec![] });
    assert_eq!(alice.found(2).await, (vec![], 0));
}

#[tokio::test]
async fn own_records_are_found_at_home_and_replaced_ones_are_gone() {
    let mut bob = node(config()).await;
    bob.send(NetCommand::Publish { records: vec![(key(1), record(&key(1), 1, later(), "old"))] });
    let new = record(&key(2), 2, later(), "new");
    bob.send(NetCommand::Publish { records: vec![(key(2), new.clone()), (key(3), b"not a record".to_vec())] });
    bob.send(NetCommand::Fetch { query: 1, keys: vec![key(1), key(2), key(3)], hints: vec![] });
    assert_eq!(bob.found(1).await.0, vec![(key(2), new)]);
}

#[tokio::test]
async fn two_that_know_only_the_third_find_each_others_records_through_it() {
    let third = node(config()).await;
    let knows = |node: &Node| {
        let mut config = config();
        config.bootstrap = node.net.status().listen;
        // Neither stores for others: what is found was stored at the third.
        config.dht_mode = DhtMode::Client;
        config
    };
    let (mut alice, mut bob) = (node(knows(&third)).await, node(knows(&third)).await);
    let bobs = record(&key(9), 1, later(), "bob is here");
    bob.send(NetCommand::Publish { records: vec![(key(9), bobs.clone())] });
    assert_eq!(published(&mut bob, 1).await, 1);
    bob.net.shutdown().await;
    alice.status("the third in the routing table", |status| status.routing == 1).await;
    alice.send(NetCommand::Fetch { query: 1, keys: vec![key(9)], hints: vec![] });
    assert_eq!(alice.found(1).await.0, vec![(key(9), bobs)]);
}

#[tokio::test]
async fn records_published_before_anybody_was_there_go_out_when_the_first_server_appears() {
    let (mut bob, mut carol) = (node(config()).await, node(config()).await);
    let bobs = record(&key(4), 1, later(), "early");
    bob.send(NetCommand::Publish { records: vec![(key(4), bobs.clone())] });
    assert_eq!(published(&mut bob, 0).await, 0);
    bob.send(NetCommand::Dial { addresses: carol.net.status().listen });
    assert_eq!(published(&mut bob, 1).await, 1);
    bob.net.shutdown().await;
    carol.send(NetCommand::Fetch { query: 1, keys: vec![key(4)], hints: vec![] });
    assert_eq!(carol.found(1).await.0, vec![(key(4), bobs)]);
}

#[tokio::test]
async fn a_server_that_joins_later_is_brought_the_records_it_should_hold() {
    let (mut bob, carol) = (node(config()).await, node(config()).await);
    let bobs = record(&key(4), 1, later(), "brought");
    bob.send(NetCommand::Publish { records: vec![(key(4), bobs.clone())] });
    bob.send(NetCommand::Dial { addresses: carol.net.status().listen });
    assert_eq!(published(&mut bob, 1).await, 1);
    let mut dave = node(config()).await;
    bob.send(NetCommand::Dial { addresses: dave.net.status().listen });
    assert_eq!(published(&mut bob, 2).await, 2);
    bob.net.shutdown().await;
    carol.net.shutdown().await;
    dave.send(NetCommand::Fetch { query: 1, keys: vec![key(4)], hints: vec![] });
    assert_eq!(dave.found(1).await.0, vec![(key(4), bobs)]);
}

/// Many nodes in one process, each knowing only the first.
async fn network(size: usize, config: NetConfig) -> Vec<Node> {
    let first = node(config.clone()).await;
    let mut known = config;
    known.bootstrap = first.listens(Transport::Noise);
    let mut nodes = vec![first];
    for _ in 1..size {
        nodes.push(node(known.clone()).await);
    }
    for node in &nodes {
        node.status("a few neighbours", |status| status.routing >= 4).await;
    }
    nodes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twelve_nodes_keep_a_record_while_some_of_them_go() {
    let mut nodes = network(12, config()).await;
    let theirs = record(&key(7), 3, later(), "kept by many");
    nodes[3].send(NetCommand::Publish { records: vec![(key(7), theirs.clone())] });
    assert!(published(&mut nodes[3], 4).await >= 4);
    let newer = record(&key(7), 4, later(), "newer");
    nodes[3].send(NetCommand::Publish { records: vec![(key(7), newer.clone())] });
    assert!(published(&mut nodes[3], 4).await >= 4);
    // The publisher and a few others go.
    for gone in [5, 3, 1] {
        nodes.remove(gone).net.shutdown().await;
    }
    for reader in [0, 4, 8] {
        nodes[reader].send(NetCommand::Fetch { query: 1, keys: vec![key(7)], hints: vec![] });
        let (found, asked) = nodes[reader].found(1).await;
        assert_eq!(found.first(), Some(&(key(7), newer.clone())), "{asked} answered");
    }
}

#[tokio::test]
async fn a_restart_finds_the_network_again_by_the_peers_it_kept() {
    use crate::{
        clock::Clock,
        net::{Kept, NetSetup, PeerName, PeerSink, spawn},
    };
    use std::sync::{Arc, Mutex};

    type Known = Vec<(PeerName, Vec<String>)>;
    #[derive(Clone, Default)]
    struct Memory(Arc<Mutex<Known>>);
    impl PeerSink for Memory {
        fn learned(&mut self, peer: &PeerName, addresses: &[String]) {
            self.0.lock().unwrap().push((peer.clone(), addresses.to_vec()));
        }
        fn forgotten(&mut self, _: &PeerName) {}
    }

    let mut bob = node(config()).await;
    let memory = Memory::default();
    let setup = |config: NetConfig, kept| {
        let forgetful = NetSetup::forgetful(config, super::kit::seed(), super::kit::check(), Clock::system());
        NetSetup { peers: Box::new(memory.clone()), kept, ..forgetful }
    };
    let mut first = config();
    first.bootstrap = bob.listens(Transport::Noise);
    let (alice, _events) = spawn(setup(first, Kept::default())).await.unwrap();
    let up = |event| matches!(event, NetEvent::PeerUp { .. }).then_some(());
    bob.event("alice up", up).await;
    alice.shutdown().await;

    let kept = Kept { peers: memory.0.lock().unwrap().clone(), records: vec![] };
    assert_eq!(kept.peers.len(), 1);
    let (again, _events) = spawn(setup(config(), kept)).await.unwrap();
    bob.event("alice up again", up).await;
    again.shutdown().await;
}

#[tokio::test]
async fn lookups_beyond_the_bound_end_at_once() {
    let mut one = config();
    one.limits.fetches = 1;
    one.limits.fetch_timeout = DEADLINE;
    let mut alice = node(one).await;
    // Nobody answers there: the first lookup stays open until the dial fails.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let hint = format!("/ip4/127.0.0.1/tcp/{}", silent.local_addr().unwrap().port());
    alice.send(NetCommand::Fetch { query: 1, keys: vec![key(1)], hints: vec![hint] });
    alice.send(NetCommand::Fetch { query: 2, keys: vec![key(1)], hints: vec![] });
    assert_eq!(alice.found(2).await, (vec![], 0));
    drop(silent);
    let mut bob = node(config()).await;
    assert_serves(&mut bob).await;
}
