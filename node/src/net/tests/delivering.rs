//! Frames between honest nodes: verdicts, busy, bounds, one outcome each.

use super::kit::{Node, assert_serves, config, frame, node, soon};
use crate::net::{DeliverOutcome, NetCommand, NetConfig, NetEvent, PeerName, PingError, Transport, Verdict};
use std::{collections::BTreeSet, time::Duration};

async fn verdicts_over(transport: Transport) {
    let (mut alice, mut bob) = (node(config()).await, node(config()).await);
    let addresses = bob.listens(transport);
    assert_eq!(addresses.len(), 1);
    let verdicts = [
        (Verdict::Accepted, DeliverOutcome::Accepted),
        (Verdict::Busy { retry_after_ms: 777 }, DeliverOutcome::Busy { retry_after_ms: 777 }),
        (Verdict::Refused, DeliverOutcome::Refused),
    ];
    for (attempt, (verdict, outcome)) in (7..).zip(verdicts) {
        let sent = frame(&format!("number {attempt}"));
        let (peer, addresses) = (bob.name.clone(), addresses.clone());
        alice.send(NetCommand::Deliver { attempt, peer, addresses, frame: sent.clone() });
        let (token, from, got) = bob.inbound().await;
        assert_eq!((from, got), (alice.name.clone(), sent));
        bob.send(NetCommand::Answer { token, verdict });
        assert_eq!(alice.done().await, (attempt, outcome));
    }
    for (here, there) in [(&alice, &bob), (&bob, &alice)] {
        let status = here.status("the other shown", |status| !status.peers.is_empty()).await;
        assert_eq!(status.peers.len(), 1);
        assert_eq!((&status.peers[0].peer, status.peers[0].transport), (&there.name, Some(transport)));
    }
}

#[tokio::test]
async fn two_nodes_meet_over_tcp_with_noise() {
    verdicts_over(Transport::Noise).await;
}

#[tokio::test]
async fn two_nodes_meet_over_quic() {
    verdicts_over(Transport::Quic).await;
}

#[tokio::test]
async fn a_known_peer_is_reached_without_addresses_and_both_ways_over_one_connection() {
    let (mut alice, mut bob) = (node(config()).await, node(config()).await);
    alice.deliver(1, &bob, frame("there"));
    let (token, from, _) = bob.inbound().await;
    bob.send(NetCommand::Answer { token, verdict: Verdict::Accepted });
    assert_eq!(alice.done().await.1, DeliverOutcome::Accepted);
    bob.send(NetCommand::Deliver { attempt: 2, peer: from, addresses: vec![], frame: frame("and back") });
    let (token, ..) = alice.inbound().await;
    alice.send(NetCommand::Answer { token, verdict: Verdict::Accepted });
    assert_eq!(bob.done().await, (2, DeliverOutcome::Accepted));
}

#[tokio::test]
async fn r_net_2_every_attempt_has_one_outcome_also_when_nobody_is_there() {
    let (mut alice, gone) = (node(config()).await, node(config()).await);
    let (name, addresses) = (gone.name.clone(), gone.net.status().listen);
    gone.net.shutdown().await;
    let own = alice.name.clone();
    let to = |attempt, peer: &PeerName, addresses: &[String]| {
        let (peer, addresses) = (peer.clone(), addresses.to_vec());
        alice.send(NetCommand::Deliver { attempt, peer, addresses, frame: frame("x") });
    };
    to(1, &name, &addresses);
    to(2, &name, &addresses);
    to(3, &PeerName("nobody".into()), &addresses);
    to(4, &own, &[]);
    to(5, &super::kit::node(config()).await.name, &[]);
    alice.send(NetCommand::Deliver { attempt: 6, peer: name.clone(), addresses, frame: frame("") });
    let mut seen = BTreeSet::new();
    while seen.len() < 6 {
        let (attempt, outcome) = alice.done().await;
        assert!(matches!(outcome, DeliverOutcome::Unreachable { .. }), "{attempt}: {outcome:?}");
        assert!(seen.insert(attempt), "{attempt} ended twice");
    }
    // The dial failed a moment ago: it is not dialled again at once, and that is said.
    alice.send(NetCommand::Deliver { attempt: 7, peer: name, addresses: vec![], frame: frame("x") });
    assert_eq!(alice.done().await, (7, DeliverOutcome::Unreachable { why: "waiting after failed dials" }));
}

#[tokio::test]
async fn r_net_2_an_app_that_does_not_answer_costs_the_sender_a_busy_not_a_hang() {
    let mut config_bob = config();
    config_bob.limits.verdict_timeout = Duration::from_millis(300);
    let (mut alice, mut bob) = (node(config()).await, node(config_bob).await);
    alice.deliver(1, &bob, frame("hello?"));
    let (token, ..) = bob.inbound().await;
    assert!(matches!(alice.done().await, (1, DeliverOutcome::Busy { .. })));
    // The late verdict changes nothing.
    bob.send(NetCommand::Answer { token, verdict: Verdict::Accepted });
    assert_serves(&mut bob).await;
}

/// A node whose app sleeps: a short queue, nobody reads it.
fn sleepy() -> NetConfig {
    let mut sleepy = config();
    sleepy.limits.events = 3;
    sleepy.limits.verdict_timeout = Duration::from_secs(2);
    sleepy
}

#[tokio::test]
async fn r_net_3_a_sleeping_app_stops_neither_pings_nor_busy_answers_and_queues_nothing() {
    let (mut alice, mut bob) = (node(config()).await, node(sleepy()).await);
    for attempt in 0..60 {
        alice.deliver(attempt, &bob, frame("wake up"));
    }
    for _ in 0..60 {
        assert!(matches!(alice.done().await.1, DeliverOutcome::Busy { .. }));
    }
    assert!(alice.net.ping(bob.name.clone(), vec![]).await.is_ok());
    // All that waited for the app are its three events; news beyond them were merged, frames refused.
    let mut waiting = 0;
    while let Ok(event) = bob.events.try_recv() {
        waiting += usize::from(matches!(event, NetEvent::Inbound { .. }));
    }
    assert!(waiting <= 3, "{waiting} frames waited");
    assert_serves(&mut bob).await;
}

#[tokio::test]
async fn r_net_3_one_flooding_peer_gets_its_allowance_and_others_get_theirs() {
    let mut small = config();
    small.limits.inbound_per_peer = 2;
    let (mut mallory, mut bob) = (node(config()).await, node(small).await);
    for attempt in 0..30 {
        mallory.deliver(attempt, &bob, frame("flood"));
    }
    // Two wait for the app; all others are answered busy meanwhile.
    for _ in 0..28 {
        assert!(matches!(mallory.done().await.1, DeliverOutcome::Busy { .. }));
    }
    assert_serves(&mut bob).await;
    let mut alice = node(config()).await;
    alice.deliver(1, &bob, frame("me too"));
    loop {
        let (token, from, _) = bob.inbound().await;
        bob.send(NetCommand::Answer { token, verdict: Verdict::Accepted });
        if from == alice.name {
            break;
        }
    }
    assert_eq!(alice.done().await.1, DeliverOutcome::Accepted);
}

#[tokio::test]
async fn a_peer_above_its_rate_is_told_how_long_to_wait() {
    let mut slow = config();
    (slow.limits.inbound_rate, slow.limits.inbound_burst) = (1, 2);
    let (mut alice, bob) = (node(config()).await, node(slow).await);
    for attempt in 0..12 {
        alice.deliver(attempt, &bob, frame("quick"));
    }
    let _bob = bob.answer_all(Verdict::Accepted);
    let mut busy = 0;
    for _ in 0..12 {
        if let (_, DeliverOutcome::Busy { retry_after_ms }) = alice.done().await {
            assert_eq!(retry_after_ms, 1_000);
            busy += 1;
        }
    }
    assert!(busy > 0);
}

#[tokio::test]
async fn r_net_7_a_contact_that_did_wrong_is_heard_less_and_never_banned() {
    let mut slow = config();
    (slow.limits.inbound_rate, slow.limits.inbound_burst) = (1, 1_000);
    let (mut mallory, bob) = (node(config()).await, node(slow).await);
    bob.send(NetCommand::Protect { peers: vec![mallory.name.clone()] });
    bob.send(NetCommand::Dial { addresses: mallory.net.status().listen });
    bob.status("mallory up", |status| status.peers.iter().any(|peer| peer.transport.is_some())).await;
    for _ in 0..10 {
        bob.send(NetCommand::Fault { peer: mallory.name.clone() });
    }
    let floor = |status: &crate::net::NetStatus| status.peers.iter().any(|peer| peer.score <= -195 && !peer.banned);
    bob.status("mallory at the floor", floor).await;
    for attempt in 0..12 {
        mallory.deliver(attempt, &bob, frame("costly"));
    }
    let _bob = bob.answer_all(Verdict::Accepted);
    let mut accepted = 0;
    for _ in 0..12 {
        match mallory.done().await.1 {
            DeliverOutcome::Accepted => accepted += 1,
            busy => {
                assert!(matches!(busy, DeliverOutcome::Busy { retry_after_ms } if retry_after_ms > 60_000), "{busy:?}")
            }
        }
    }
    assert_eq!(accepted, 2, "two and a half frames are saved up");
}

#[tokio::test]
async fn a_thousand_frames_arrive_and_what_does_not_fit_is_told_at_once() {
    let mut bounded = config();
    (bounded.limits.outbound_total, bounded.limits.commands) = (1_000, 1_100);
    let (mut alice, bob) = (node(bounded).await, node(config()).await);
    for attempt in 0..1_100 {
        alice.deliver(attempt, &bob, frame("bulk"));
    }
    let _bob = bob.answer_all(Verdict::Accepted);
    let mut done = BTreeSet::new();
    let mut accepted = 0;
    while done.len() < 1_100 {
        let (attempt, outcome) = alice.done().await;
        assert!(done.insert(attempt));
        match outcome {
            DeliverOutcome::Accepted => accepted += 1,
            other => assert_eq!(other, DeliverOutcome::Unreachable { why: "too many frames wait here" }),
        }
    }
    assert!(accepted >= 1_000, "{accepted}");
}

#[tokio::test]
async fn commands_beyond_the_queue_are_given_back() {
    let mut tiny = config();
    tiny.limits.commands = 1;
    let alice = node(tiny).await;
    let command = || NetCommand::Dial { addresses: vec![] };
    // The task takes batches; only a full queue gives back, so fill it faster than a task switch can empty it.
    let given_back = (0..100_000).any(|_| alice.net.send(command()) == Err(command()));
    assert!(given_back);
}

#[tokio::test]
async fn a_ping_measures_a_round_trip_dialling_first_and_says_why_not() {
    let (alice, bob): (Node, Node) = (node(config()).await, node(config()).await);
    let rtt = soon("a ping", alice.net.ping(bob.name.clone(), bob.net.status().listen)).await.unwrap();
    assert!(rtt > Duration::ZERO);
    let status = alice.status("the round trip", |status| status.peers.iter().any(|peer| peer.rtt_us.is_some())).await;
    assert_eq!(status.peers[0].peer, bob.name);
    assert_eq!(alice.net.ping(PeerName("x".into()), vec![]).await, Err(PingError::BadName));
    let stranger = node(config()).await.name;
    assert_eq!(alice.net.ping(stranger, vec![]).await, Err(PingError::Unreachable("no address known")));
}

#[tokio::test]
async fn r_net_3_strangers_leave_half_of_the_room_to_contacts() {
    let mut small = config();
    small.limits.inbound_total = 8;
    let (mut stranger, mut contact, mut bob) = (node(config()).await, node(config()).await, node(small).await);
    bob.send(NetCommand::Protect { peers: vec![contact.name.clone()] });
    for attempt in 0..10 {
        stranger.deliver(attempt, &bob, frame(&format!("stranger {attempt}")));
    }
    // The app answers nothing: four wait for it, the others are asked to come again.
    for _ in 0..6 {
        assert!(matches!(stranger.done().await.1, DeliverOutcome::Busy { .. }));
    }
    contact.deliver(1, &bob, frame("contact"));
    let mut waiting = 0;
    let token = loop {
        let (token, from, _) = bob.inbound().await;
        if from == contact.name {
            break token;
        }
        waiting += 1;
    };
    assert_eq!(waiting, 4);
    bob.send(NetCommand::Answer { token, verdict: Verdict::Accepted });
    assert_eq!(contact.done().await, (1, DeliverOutcome::Accepted));
}

#[tokio::test]
async fn r_net_3_a_peer_that_answers_nothing_leaves_room_for_frames_to_others() {
    let mut tight = config();
    tight.limits.outbound_total = 40;
    let (mut alice, silent, mut bob) = (node(tight).await, node(config()).await, node(config()).await);
    for attempt in 0..60 {
        alice.deliver(attempt, &silent, frame("anybody?"));
    }
    for _ in 0..20 {
        assert!(matches!(
            alice.done().await,
            (40..60, DeliverOutcome::Unreachable { why: "too many frames wait here" })
        ));
    }
    // The first to somebody else is taken in any case, the second in the place of the newest that waits.
    for attempt in [100, 101] {
        alice.deliver(attempt, &bob, frame(&format!("to somebody else {attempt}")));
    }
    for _ in 0..2 {
        let (token, ..) = bob.inbound().await;
        bob.send(NetCommand::Answer { token, verdict: Verdict::Accepted });
    }
    let mut ended = BTreeSet::new();
    while ended.len() < 3 {
        let (attempt, outcome) = alice.done().await;
        let expected = match attempt {
            39 => DeliverOutcome::Unreachable { why: "too many frames wait here" },
            100 | 101 => DeliverOutcome::Accepted,
            other => panic!("{other} ended: {outcome:?}"),
        };
        assert_eq!(outcome, expected);
        ended.insert(attempt);
    }
}
