//! A peer that died without a word and was started again.

use super::kit::{Node, begin, check, config, frame, seed, soon};
use crate::{
    clock::Clock,
    net::{DeliverOutcome, NetCommand, NetEvent, NetSetup, Verdict},
};
use kith_protocol::{Timestamp, crypto::Secret};

async fn node_of(seed: Secret<32>, clock: Clock) -> Node {
    begin(NetSetup::forgetful(config(), seed, check(), clock)).await
}

/// Dials and waits until connected.
async fn dial(from: &mut Node, to: &Node) {
    from.send(NetCommand::Dial { addresses: vec![to.net.status().listen.remove(0)] });
    from.event("connected", |event| matches!(event, NetEvent::PeerUp { .. }).then_some(())).await;
}

#[tokio::test]
async fn what_flew_to_a_peer_that_came_back_fails_at_once_and_goes_to_where_it_is_now() {
    let clock = Clock::manual(Timestamp::from_millis(1_767_225_600_000));
    let mut alice = node_of(seed(), clock.clone()).await;
    let key = seed();
    // To alice this one looks as a killed one does: it is connected and never answers.
    let mut dead = node_of(key.clone(), Clock::system()).await;
    dial(&mut dead, &alice).await;
    alice.deliver(1, &dead, frame("into the void"));
    dead.inbound().await;

    // Not even a moment later.
    let mut again = node_of(key, Clock::system()).await;
    assert_eq!(again.name, dead.name);
    dial(&mut again, &alice).await;
    let (mut failed, mut up) = (false, false);
    soon("the failure and the return", async {
        while !(failed && up) {
            match alice.events.recv().await.unwrap() {
                NetEvent::DeliverDone { attempt: 1, outcome: DeliverOutcome::Unreachable { .. } } => failed = true,
                NetEvent::PeerUp { peer } => up = peer == again.name,
                NetEvent::PeerDown { .. } => panic!("it is connected all the time"),
                _ => {}
            }
        }
    })
    .await;
    // Unlike a killed one it would dial again.
    dead.net.shutdown().await;
    for attempt in 2..6 {
        alice.send(NetCommand::Deliver {
            attempt,
            peer: again.name.clone(),
            addresses: vec![],
            frame: frame(&format!("number {attempt}")),
        });
        let (token, ..) = again.inbound().await;
        again.send(NetCommand::Answer { token, verdict: Verdict::Accepted });
        assert_eq!(alice.done().await, (attempt, DeliverOutcome::Accepted));
    }
}
