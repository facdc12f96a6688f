//! The protocol's own records between nodes.

use super::kit::{Node, config, seed};
use crate::{
    clock::{Clock, system_rng},
    net::{NetCommand, NetConfig, NetEvent, NetSetup, PeerName, Transport, record_check, spawn},
};
use kith_protocol::{
    RecordKey,
    identity::{Account, ReachSecret},
    prekey::{Certificates, RecordSigner},
};

async fn real_node(config: NetConfig) -> Node {
    let (net, events) = spawn(NetSetup::forgetful(config, seed(), record_check(), Clock::system())).await.unwrap();
    let name = PeerName(net.status().peer);
    Node { net, events, name }
}

/// Somebody with a certified record key for today.
fn publisher() -> RecordSigner {
    let (mut rng, now) = (system_rng().unwrap(), Clock::system().now());
    let (account, reach) = (Account::generate(&mut rng), ReachSecret::random(&mut rng));
    let mut certificates = Certificates::default();
    certificates.renew(&account, &reach, 0, now, &mut rng).unwrap();
    certificates.signer(now.day()).unwrap()
}

async fn published(node: &mut Node, records: Vec<(RecordKey, Vec<u8>)>) -> u32 {
    node.send(NetCommand::Publish { records });
    let pick = |event| match event {
        NetEvent::Published { stored } => Some(stored),
        _ => None,
    };
    node.event("a round of publishing", pick).await
}

#[tokio::test]
async fn signed_records_travel_through_a_third_node_and_forged_or_foreign_ones_do_not() {
    let carol = real_node(config()).await;
    let mut knows = config();
    knows.bootstrap = carol.listens(Transport::Noise);
    let (mut alice, mut bob) = (real_node(knows.clone()).await, real_node(knows).await);
    for node in [&alice, &bob] {
        node.status("carol in the routing table", |status| status.routing >= 1).await;
    }
    let (signer, other, now) = (publisher(), publisher(), Clock::system().now().as_millis());
    let (key, newest) = (signer.record_key(), signer.empty(now));
    assert!(published(&mut bob, vec![(key, newest.clone())]).await >= 1);
    bob.net.shutdown().await;
    alice.send(NetCommand::Fetch { query: 1, keys: vec![key], hints: vec![] });
    assert_eq!(alice.found(1).await.0, vec![(key, newest.clone())]);

    // What does not pass the check is not even published by its own node, nor handed to an app that looks for it.
    let mut bent = newest;
    bent[40] ^= 1;
    let mut eve = real_node(config()).await;
    published(&mut eve, vec![(key, bent), (other.record_key(), signer.empty(now))]).await;
    let hints = eve.net.status().listen;
    alice.send(NetCommand::Fetch { query: 2, keys: vec![other.record_key()], hints });
    assert_eq!(alice.found(2).await.0, vec![]);
}
