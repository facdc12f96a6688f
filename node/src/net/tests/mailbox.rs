//! Questions to a relay over real sockets: one outcome each, busy within bounds, nothing lost by those who misbehave.

use super::{
    hostile::{End, Mallory, nothing, prefixed},
    kit::{DEADLINE, Node, begin, check, config, node, relay, seed, soon},
    limits::{idler, resident},
};
use crate::{
    clock::Clock,
    net::{
        AskOutcome, NetCommand, NetConfig, NetEvent, NetSetup, PeerName, RelayInput, RelayToken, Transport,
        wire::{Layout, Mailbox, Wake},
    },
};
use kith_protocol::{
    Timestamp,
    limits::{RELAY_ANSWER_MAX, RELAY_REQUEST_MAX},
};
use std::{collections::BTreeSet, time::Duration};
use tokio::sync::{mpsc, watch};

const QUEUE: usize = 64;

/// The next request to a relay; that somebody is gone passes by.
async fn request(inputs: &mut mpsc::Receiver<RelayInput>) -> (RelayToken, PeerName, Vec<u8>) {
    soon("a request", async {
        loop {
            if let RelayInput::Request { token, from, request } = inputs.recv().await.unwrap() {
                return (token, from, request);
            }
        }
    })
    .await
}

/// Answers every request with what was asked, for ever.
fn echo(carol: &Node, mut inputs: mpsc::Receiver<RelayInput>) {
    let net = carol.net.clone();
    tokio::spawn(async move {
        while let Some(input) = inputs.recv().await {
            if let RelayInput::Request { token, request, .. } = input {
                let _ = net.send(NetCommand::AnswerRelay { token, answer: request });
            }
        }
    });
}

/// Shows that a relay that echoes serves others.
async fn assert_echoes(carol: &Node) {
    let mut alice = node(config()).await;
    alice.ask(1, carol, b"still there?");
    assert_eq!(alice.asked().await, (1, AskOutcome::Answered(b"still there?".to_vec())));
    alice.net.shutdown().await;
}

/// A clock that stands still: no allowance grows, nothing runs out of time.
fn standing() -> Clock {
    Clock::manual(Timestamp::from_millis(1_767_225_600_000))
}

async fn answers_over(transport: Transport) {
    let (mut alice, (carol, mut inputs)) = (node(config()).await, relay(config(), Clock::system(), QUEUE).await);
    let addresses = carol.listens(transport);
    for (ask, question, answer) in [
        (1, b"one".to_vec(), b"two".to_vec()),
        (2, vec![7; RELAY_REQUEST_MAX], vec![8; RELAY_ANSWER_MAX]),
        (3, vec![0], vec![]),
    ] {
        let (peer, addresses) = (carol.name.clone(), addresses.clone());
        alice.send(NetCommand::Ask { ask, peer, addresses, request: question.clone() });
        let (token, from, request) = request(&mut inputs).await;
        assert_eq!((&from, request), (&alice.name, question));
        carol.send(NetCommand::AnswerRelay { token, answer: answer.clone() });
        assert_eq!(alice.asked().await, (ask, AskOutcome::Answered(answer)));
        // A second answer changes nothing.
        carol.send(NetCommand::AnswerRelay { token, answer: b"again".to_vec() });
    }
    let status = alice.status("the relay shown", |status| !status.peers.is_empty()).await;
    assert_eq!(status.peers[0].transport, Some(transport));
}

#[tokio::test]
async fn a_relay_answers_over_tcp_with_noise() {
    answers_over(Transport::Noise).await;
}

#[tokio::test]
async fn a_relay_answers_over_quic() {
    answers_over(Transport::Quic).await;
}

#[tokio::test]
async fn r_net_8_who_runs_no_relay_is_told_apart_from_who_cannot_be_reached() {
    let (mut alice, bob, gone) = (node(config()).await, node(config()).await, node(config()).await);
    alice.ask(1, &bob, b"a relay?");
    assert_eq!(alice.asked().await, (1, AskOutcome::Unsupported));
    let own = alice.name.clone();
    alice.send(NetCommand::Ask { ask: 2, peer: own, addresses: vec![], request: vec![1] });
    assert_eq!(alice.asked().await, (2, AskOutcome::Unsupported));
    let addresses = gone.net.status().listen;
    gone.net.shutdown().await;
    alice.send(NetCommand::Ask { ask: 3, peer: gone.name.clone(), addresses, request: vec![1] });
    assert!(matches!(alice.asked().await, (3, AskOutcome::Unreachable { .. })));
    for (ask, request) in [(4, vec![]), (5, vec![0; RELAY_REQUEST_MAX + 1])] {
        alice.send(NetCommand::Ask { ask, peer: bob.name.clone(), addresses: vec![], request });
        let why = "no question of a valid size";
        assert_eq!(alice.asked().await, (ask, AskOutcome::Unreachable { why }));
    }
    alice.send(NetCommand::Ask { ask: 6, peer: PeerName("x".into()), addresses: vec![], request: vec![1] });
    assert_eq!(alice.asked().await, (6, AskOutcome::Unreachable { why: "not the name of a peer" }));
}

#[tokio::test]
async fn a_person_asks_the_relay_that_their_own_node_runs_without_a_connection() {
    let mut silent = config();
    silent.limits.verdict_timeout = Duration::from_millis(200);
    let (mut carol, mut inputs) = relay(silent, Clock::system(), 1).await;
    let ask = |ask| NetCommand::Ask { ask, peer: carol.name.clone(), addresses: vec![], request: vec![9] };
    let (one, two, three) = (ask(1), ask(2), ask(3));
    carol.send(one);
    let (token, from, _) = request(&mut inputs).await;
    assert_eq!(from, carol.name);
    carol.send(NetCommand::AnswerRelay { token, answer: b"yes".to_vec() });
    assert_eq!(carol.asked().await, (1, AskOutcome::Answered(b"yes".to_vec())));
    // The second fills the queue, where nobody looks; the third does not fit.
    carol.send(two);
    carol.send(three);
    for ask in [3, 2] {
        assert_eq!(carol.asked().await, (ask, AskOutcome::Busy { retry_after_ms: 1_000 }));
    }
}

#[tokio::test]
async fn r_net_3_a_full_queue_is_answered_busy_and_its_last_half_is_for_those_of_whom_nothing_waits() {
    let (mut greedy, mut modest) = (node(config()).await, node(config()).await);
    let (carol, mut inputs) = relay(config(), Clock::system(), 8).await;
    for ask in 0..12 {
        greedy.ask(ask, &carol, b"more");
    }
    // Four wait for the relay, which takes nothing out.
    for _ in 0..8 {
        assert_eq!(greedy.asked().await.1, AskOutcome::Busy { retry_after_ms: 1_000 });
    }
    modest.ask(1, &carol, b"one");
    let mut seen = Vec::new();
    while seen.len() < 5 {
        let (token, from, _) = request(&mut inputs).await;
        carol.send(NetCommand::AnswerRelay { token, answer: vec![] });
        seen.push(from);
    }
    assert_eq!(modest.asked().await, (1, AskOutcome::Answered(vec![])));
    assert_eq!(seen.iter().filter(|from| **from == greedy.name).count(), 4);
    for _ in 0..4 {
        assert_eq!(greedy.asked().await.1, AskOutcome::Answered(vec![]));
    }
}

#[tokio::test]
async fn r_net_3_a_peer_gets_its_burst_of_questions_and_who_did_wrong_gets_less() {
    let mut slow = config();
    (slow.limits.relay_rate, slow.limits.relay_burst) = (1, 10);
    let (mut alice, mut mallory) = (node(config()).await, node(config()).await);
    let (mut carol, inputs) = relay(slow, standing(), QUEUE).await;
    echo(&carol, inputs);
    carol.send(NetCommand::Fault { peer: mallory.name.clone() });
    // Commands of the app are worked off in order: hers is scored before this one is answered.
    carol.ask(1, &carol, b"me too");
    carol.asked().await;
    for (node, served) in [(&mut alice, 10), (&mut mallory, 2)] {
        let mut answered = 0;
        for ask in 0..15 {
            node.ask(ask, &carol, b"me");
        }
        for _ in 0..15 {
            match node.asked().await.1 {
                AskOutcome::Answered(_) => answered += 1,
                AskOutcome::Busy { retry_after_ms } => assert!(retry_after_ms >= 1_000),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(answered, served);
    }
}

#[tokio::test]
async fn r_net_3_a_peer_has_no_more_than_its_share_waiting_at_the_relay_and_strangers_no_more_than_half() {
    let mut small = config();
    (small.limits.relay_per_peer, small.limits.relay_total) = (2, 8);
    let (carol, mut inputs) = relay(small, Clock::system(), QUEUE).await;
    let mut strangers = Vec::new();
    for _ in 0..3 {
        let mut stranger = node(config()).await;
        for ask in 0..3 {
            stranger.ask(ask, &carol, b"wait");
        }
        // The first two of them get two each, the third finds the strangers' half full.
        let refused = if strangers.len() < 2 { 1 } else { 3 };
        for _ in 0..refused {
            assert_eq!(stranger.asked().await.1, AskOutcome::Busy { retry_after_ms: 1_000 });
        }
        strangers.push(stranger);
    }
    let mut contact = node(config()).await;
    carol.send(NetCommand::Protect { peers: vec![contact.name.clone()] });
    contact.ask(1, &carol, b"let me in");
    let token = loop {
        let (token, from, _) = request(&mut inputs).await;
        if from == contact.name {
            break token;
        }
    };
    carol.send(NetCommand::AnswerRelay { token, answer: vec![1] });
    assert_eq!(contact.asked().await, (1, AskOutcome::Answered(vec![1])));
}

#[tokio::test]
async fn r_net_2_a_relay_that_gives_no_answer_in_time_is_answered_for() {
    let mut impatient = config();
    impatient.limits.verdict_timeout = Duration::from_millis(300);
    let (mut alice, (carol, mut inputs)) = (node(config()).await, relay(impatient, Clock::system(), QUEUE).await);
    alice.ask(1, &carol, b"hello?");
    let (token, ..) = request(&mut inputs).await;
    assert_eq!(alice.asked().await, (1, AskOutcome::Busy { retry_after_ms: 1_000 }));
    // The late answer changes nothing.
    carol.send(NetCommand::AnswerRelay { token, answer: b"late".to_vec() });
    echo(&carol, inputs);
    assert_echoes(&carol).await;
}

#[tokio::test]
async fn r_net_8_every_question_has_one_outcome_also_when_the_connection_breaks_in_the_middle() {
    const ASKS: u64 = 40;
    let mut bounded = config();
    bounded.limits.ask_total = 30;
    let (mut alice, (carol, mut inputs)) = (node(bounded).await, relay(config(), Clock::system(), QUEUE).await);
    for ask in 0..ASKS {
        alice.ask(ask, &carol, b"and then?");
    }
    let mut ended = BTreeSet::new();
    for _ in 30..ASKS {
        let (ask, outcome) = alice.asked().await;
        assert_eq!(outcome, AskOutcome::Unreachable { why: "too many questions wait here" });
        assert!(ended.insert(ask));
    }
    // One is answered, some fly, the others wait behind the window.
    let (token, ..) = request(&mut inputs).await;
    carol.send(NetCommand::AnswerRelay { token, answer: b"that".to_vec() });
    let (ask, outcome) = alice.asked().await;
    assert_eq!(outcome, AskOutcome::Answered(b"that".to_vec()));
    assert!(ended.insert(ask));
    carol.send(NetCommand::Block { peers: vec![alice.name.clone()] });
    while ended.len() < usize::try_from(ASKS).unwrap() {
        let (ask, outcome) = alice.asked().await;
        assert!(matches!(outcome, AskOutcome::Unreachable { .. }), "{outcome:?}");
        assert!(ended.insert(ask), "{ask} ended twice");
    }
    // The next one after them still ends.
    alice.ask(ASKS, &alice, b"the last");
    assert_eq!(alice.asked().await, (ASKS, AskOutcome::Unsupported));
}

#[tokio::test]
async fn r_net_8_what_the_relay_answered_before_a_stop_arrives_and_who_still_waits_is_told_to() {
    let (mut alice, (carol, mut inputs)) = (node(config()).await, relay(config(), Clock::system(), QUEUE).await);
    for ask in 0..10 {
        alice.ask(ask, &carol, b"keep this");
    }
    let mut tokens = Vec::new();
    while tokens.len() < 10 {
        tokens.push(request(&mut inputs).await.0);
    }
    // The relay's thread ended; its last answers lie in the queue when the stop is asked for.
    drop(inputs);
    for token in tokens.drain(..6) {
        carol.send(NetCommand::AnswerRelay { token, answer: vec![5; RELAY_ANSWER_MAX] });
    }
    carol.net.shutdown().await;
    let (mut answered, mut busy) = (0, 0);
    for _ in 0..10 {
        match alice.asked().await.1 {
            AskOutcome::Answered(answer) => answered += usize::from(answer.len() == RELAY_ANSWER_MAX),
            AskOutcome::Busy { .. } => busy += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((answered, busy), (6, 4));
}

#[tokio::test]
async fn r_net_7_oversize_empty_half_and_dripping_requests_reach_no_relay_and_others_are_served() {
    let oversize = u32::try_from(RELAY_REQUEST_MAX + 1).unwrap().to_be_bytes().to_vec();
    let huge = [&u32::MAX.to_be_bytes()[..], &[7; 100_000]].concat();
    let half = [&500u32.to_be_bytes()[..], &[1; 20]].concat();
    let drip = prefixed(&[1; 2_000]);
    let cases = [
        (oversize, End::HangUp, true),
        (huge, End::HangUp, true),
        (prefixed(&[]), End::HangUp, true),
        (half.clone(), End::HangUp, false),
        (half, End::Hold, false),
        (vec![], End::Hold, false),
        (drip, End::Drip, false),
    ];
    // Side by side: each waits for deadlines of its own.
    futures::future::join_all(cases.map(|(bytes, end, hangs_up)| async move {
        let mut impatient = config();
        impatient.limits.request_timeout = Duration::from_millis(2_000);
        impatient.limits.verdict_timeout = Duration::from_millis(1_000);
        let (mut carol, mut inputs) = relay(impatient, Clock::system(), QUEUE).await;
        let mallory = Mallory::connect(Mailbox::NAME, &carol, nothing(), vec![]).await;
        mallory.play(&carol, bytes, end).await;
        if hangs_up {
            carol.hangs_up_on(&mallory.name).await;
            carol.send(NetCommand::Dial { addresses: vec![mallory.address.clone()] });
            carol.scored(&mallory.name, |peer| peer.score <= -15).await;
        } else {
            carol.scored(&mallory.name, |peer| peer.score == -1 && peer.transport.is_some()).await;
        }
        assert!(inputs.try_recv().is_err(), "the relay got something");
        echo(&carol, inputs);
        assert_echoes(&carol).await;
        carol.net.shutdown().await;
    }))
    .await;
}

#[tokio::test]
async fn r_net_3_half_read_requests_of_many_hold_bounded_memory_and_the_others_are_answered_busy() {
    let mut narrow = config();
    narrow.limits.half_read_bytes = 100_000;
    let (carol, inputs) = relay(narrow, Clock::system(), QUEUE).await;
    echo(&carol, inputs);
    let mallory = Mallory::connect(Mailbox::NAME, &carol, nothing(), vec![]).await;
    let half = [&60_000u32.to_be_bytes()[..], &[1; 50_000]].concat();
    for _ in 0..2 {
        mallory.play(&carol, half.clone(), End::Hold).await;
    }
    let mut alice = node(config()).await;
    // Once the two halves have arrived there is no room for much more, but for a little.
    soon("a large question is refused", async {
        for ask in 0.. {
            alice.ask(ask, &carol, &[2; 20_000]);
            if matches!(alice.asked().await.1, AskOutcome::Busy { .. }) {
                return;
            }
        }
    })
    .await;
    assert_echoes(&carol).await;
}

#[tokio::test]
async fn r_net_3_answers_that_are_not_read_hold_bounded_memory_and_a_first_one_still_gets_through() {
    let mut narrow = config();
    narrow.limits.relay_answer_bytes = RELAY_ANSWER_MAX;
    let (mut alice, (carol, mut inputs)) = (node(config()).await, relay(narrow, Clock::system(), QUEUE).await);
    // Asks over a stream that she reads nothing from.
    let mallory = Mallory::connect(Mailbox::NAME, &carol, nothing(), vec![]).await;
    for _ in 0..3 {
        mallory.play(&carol, prefixed(b"give me all"), End::Hold).await;
    }
    let mut tokens = Vec::new();
    while tokens.len() < 3 {
        tokens.push(request(&mut inputs).await.0);
    }
    alice.ask(1, &carol, b"and me");
    let (mine, ..) = request(&mut inputs).await;
    for token in tokens.into_iter().chain([mine]) {
        carol.send(NetCommand::AnswerRelay { token, answer: vec![3; RELAY_ANSWER_MAX] });
    }
    assert_eq!(alice.asked().await, (1, AskOutcome::Answered(vec![3; RELAY_ANSWER_MAX])));
}

#[tokio::test]
async fn gone_is_told_once_to_the_relay_and_only_of_those_who_asked_also_when_its_queue_is_full() {
    let (mut alice, bob) = (node(config()).await, node(config()).await);
    let (mut carol, mut inputs) = relay(config(), Clock::system(), 1).await;
    alice.ask(1, &carol, b"here");
    let (token, ..) = request(&mut inputs).await;
    carol.send(NetCommand::AnswerRelay { token, answer: vec![] });
    assert_eq!(alice.asked().await, (1, AskOutcome::Answered(vec![])));
    bob.send(NetCommand::Dial { addresses: carol.net.status().listen });
    carol.status("bob up", |status| status.peers.len() == 2).await;
    // The queue is full when they go.
    let own = |ask| NetCommand::Ask { ask, peer: carol.name.clone(), addresses: vec![], request: vec![1] };
    let (fill, after, last) = (own(7), own(8), own(9));
    carol.send(fill);
    soon("the queue is full", async {
        while inputs.is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    for node in [&alice, &bob] {
        node.net.shutdown().await;
        carol.hangs_up_on(&node.name).await;
    }
    // Who comes now is served only after the relay knows who went.
    carol.send(after);
    assert!(matches!(carol.asked().await, (8, AskOutcome::Busy { .. })));
    let first = soon("the request", inputs.recv()).await;
    assert!(matches!(first, Some(RelayInput::Request { .. })));
    let gone = soon("the news", inputs.recv()).await;
    assert_eq!(gone, Some(RelayInput::Gone { peer: alice.name.clone() }));
    carol.send(last);
    assert!(matches!(soon("a request", inputs.recv()).await, Some(RelayInput::Request { .. })));
}

#[tokio::test]
async fn beyond_those_it_can_be_told_of_a_relay_serves_nobody_new() {
    let mut tight = config();
    tight.limits.relay_peers = 2;
    let (carol, inputs) = relay(tight, Clock::system(), QUEUE).await;
    echo(&carol, inputs);
    let mut nodes = Vec::new();
    for number in 0..3 {
        let mut guest = node(config()).await;
        guest.ask(1, &carol, b"me");
        let (_, outcome) = guest.asked().await;
        assert_eq!(matches!(outcome, AskOutcome::Answered(_)), number < 2, "{number}: {outcome:?}");
        nodes.push(guest);
    }
    nodes.remove(0).net.shutdown().await;
    let mut third = nodes.remove(1);
    soon("there is room again", async {
        for ask in 2.. {
            third.ask(ask, &carol, b"me");
            if matches!(third.asked().await.1, AskOutcome::Answered(_)) {
                return;
            }
        }
    })
    .await;
}

/// How many the crowd is: a thousand in full, a tenth unless `KITH_FULL` is set.
fn crowd() -> usize {
    const FULL: usize = 1_000;
    let count = if std::env::var_os("KITH_FULL").is_some() { FULL } else { FULL / 10 };
    #[allow(clippy::print_stdout, reason = "a log tells what was run")]
    fn tell(count: usize) {
        println!("counts: idle connections to a relay: {count} (full: {FULL})");
    }
    tell(count);
    count
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn among_idle_connections_and_half_open_streams_an_honest_question_is_answered_and_memory_stays_bounded() {
    const HALF_OPEN: usize = 60;
    let crowd = crowd();
    let mut wide = config();
    wide.limits = crate::net::Limits { memory_bytes: None, idle: DEADLINE, ..crate::net::Limits::relay() };
    let (carol, inputs) = relay(wide, Clock::system(), QUEUE).await;
    echo(&carol, inputs);
    let before = resident();
    let mut idlers = Vec::new();
    for _ in 0..crowd {
        idlers.push(idler(&carol, 1).await);
    }
    let half = [&60_000u32.to_be_bytes()[..], &[1; 30_000]].concat();
    let mut mallories = Vec::new();
    for _ in 0..crowd.div_ceil(100) {
        let mallory = Mallory::connect(Mailbox::NAME, &carol, nothing(), vec![]).await;
        for number in 0..HALF_OPEN {
            let bytes = if number % 2 == 0 { half.clone() } else { vec![] };
            mallory.play(&carol, bytes, End::Hold).await;
        }
        mallories.push(mallory);
    }
    carol.status("all are in", |status| status.peers.len() >= crowd).await;
    assert_echoes(&carol).await;
    // Both ends of every connection live in this process.
    let each = (resident().saturating_sub(before)) / crowd;
    assert!(each < 2 << 20, "{each} bytes for each idle connection and its share of half-open streams");
    assert!(idlers.iter().all(|idler| *idler.closed.borrow() == 0), "somebody was hung up on");
}

/// A relay that lets idle strangers go soon.
fn hasty() -> NetConfig {
    let mut hasty = config();
    hasty.limits.idle = Duration::from_secs(1);
    hasty.limits.anchors = 0;
    hasty
}

#[tokio::test]
async fn r_net_8_an_idle_client_with_a_mailbox_is_kept_by_both_and_a_stranger_is_let_go() {
    let (mut carol, mut inputs) = relay(hasty(), Clock::system(), QUEUE).await;
    let (mut alice, mut guest) = (node(hasty()).await, node(hasty()).await);
    alice.send(NetCommand::Protect { peers: vec![carol.name.clone()] });
    guest.send(NetCommand::Protect { peers: vec![carol.name.clone()] });
    for client in [&mut alice, &mut guest] {
        client.ask(1, &carol, b"register");
        let (token, ..) = request(&mut inputs).await;
        carol.send(NetCommand::AnswerRelay { token, answer: vec![] });
        assert_eq!(client.asked().await, (1, AskOutcome::Answered(vec![])));
    }
    carol.send(NetCommand::Keep { peer: alice.name.clone() });
    // Who never asked has nothing to be kept for.
    carol.hangs_up_on(&guest.name).await;
    assert_eq!(soon("the news", inputs.recv()).await, Some(RelayInput::Gone { peer: guest.name.clone() }));
    // Another stranger comes and is let go: a second idle time has passed.
    let passer = node(hasty()).await;
    passer.send(NetCommand::Dial { addresses: carol.net.status().listen });
    carol.hangs_up_on(&passer.name).await;
    let status = carol.net.status();
    assert!(status.peers.iter().any(|peer| peer.peer == alice.name && peer.transport.is_some()), "alice is gone");
    carol.send(NetCommand::Wake { peer: alice.name.clone() });
    woken(&mut alice, &carol.name).await;
}

#[tokio::test]
async fn r_net_8_a_client_with_a_mailbox_finds_room_at_a_relay_that_is_full_of_idle_strangers() {
    let mut narrow = config();
    narrow.limits.inbound_connections = 3;
    let (mut carol, mut inputs) = relay(narrow, Clock::system(), QUEUE).await;
    let seed = seed();
    let start = || begin(NetSetup::forgetful(config(), seed.clone(), check(), Clock::system()));
    let mut alice = start().await;
    alice.ask(1, &carol, b"register");
    let (token, ..) = request(&mut inputs).await;
    carol.send(NetCommand::Keep { peer: alice.name.clone() });
    carol.send(NetCommand::AnswerRelay { token, answer: vec![] });
    assert_eq!(alice.asked().await, (1, AskOutcome::Answered(vec![])));
    alice.net.shutdown().await;
    carol.hangs_up_on(&alice.name).await;
    let mut crowd = Vec::new();
    for _ in 0..6 {
        crowd.push(idler(&carol, 1).await);
    }
    carol.status("it is full", |status| status.peers.len() == 3).await;
    echo(&carol, inputs);
    let mut guest = node(config()).await;
    guest.ask(1, &carol, b"me");
    assert!(matches!(guest.asked().await, (1, AskOutcome::Unreachable { .. })));
    let mut alice = start().await;
    alice.ask(2, &carol, b"back again");
    assert_eq!(alice.asked().await, (2, AskOutcome::Answered(b"back again".to_vec())));
}

/// Waits until somebody hears a wake-up from another.
async fn woken(who: &mut Node, by: &PeerName) {
    let pick = |event| match event {
        NetEvent::Woken { from } => Some(from),
        _ => None,
    };
    assert_eq!(who.event("a wake-up", pick).await, *by);
}

/// How many wake-ups lie in a node's queue.
fn wake_ups(node: &mut Node) -> usize {
    let mut heard = 0;
    while let Ok(event) = node.events.try_recv() {
        heard += usize::from(matches!(event, NetEvent::Woken { .. }));
    }
    heard
}

async fn connect(from: &Node, to: &Node) {
    from.send(NetCommand::Dial { addresses: to.listens(Transport::Noise) });
    for (here, there) in [(from, to), (to, from)] {
        here.status("the other is up", |status| status.peers.iter().any(|peer| peer.peer == there.name)).await;
    }
}

#[tokio::test]
async fn r_net_9_wake_ups_reach_who_is_connected_and_many_at_once_become_two() {
    let (mut alice, (mut carol, _inputs)) = (node(config()).await, relay(config(), Clock::system(), QUEUE).await);
    alice.send(NetCommand::Protect { peers: vec![carol.name.clone()] });
    // Not connected: nobody is dialled, nothing is kept for later.
    carol.send(NetCommand::Wake { peer: alice.name.clone() });
    let rtt = soon("a round trip", carol.net.ping(node(config()).await.name, vec![])).await;
    assert!(rtt.is_err(), "commands sent before are worked off");
    assert!(carol.net.status().peers.is_empty());
    connect(&alice, &carol).await;
    for _ in 0..50 {
        carol.send(NetCommand::Wake { peer: alice.name.clone() });
    }
    // What was asked for while the first flew comes once after it.
    for _ in 0..2 {
        woken(&mut alice, &carol.name).await;
    }
    for _ in 0..3 {
        soon("a round trip", alice.net.ping(carol.name.clone(), vec![])).await.unwrap();
    }
    assert!(wake_ups(&mut alice) == 0, "fifty wake-ups in one batch were more than two");
    let own = carol.name.clone();
    carol.send(NetCommand::Wake { peer: own.clone() });
    woken(&mut carol, &own).await;
}

#[tokio::test]
async fn r_net_9_wake_ups_of_strangers_are_ignored_and_cost_a_little() {
    let (mut alice, bob) = (node(config()).await, node(config()).await);
    connect(&bob, &alice).await;
    bob.send(NetCommand::Wake { peer: alice.name.clone() });
    alice.scored(&bob.name, |peer| peer.score == -1 && peer.transport.is_some()).await;
    assert_eq!(wake_ups(&mut alice), 0);
}

#[tokio::test]
async fn r_net_9_wake_ups_beyond_the_rate_are_ignored_also_from_a_relay() {
    let clock = standing();
    let mut alice = begin(NetSetup::forgetful(config(), seed(), check(), clock.clone())).await;
    // Only while the clock runs does she show who is connected.
    let running = tokio::spawn(async move {
        loop {
            clock.advance(Duration::from_secs(1));
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    let mallory = Mallory::connect(Wake::NAME, &alice, nothing(), vec![]).await;
    running.abort();
    alice.send(NetCommand::Protect { peers: vec![mallory.name.clone()] });
    for _ in 0..60 {
        mallory.play(&alice, prefixed(&[1]), End::HangUp).await;
    }
    for _ in 0..40 {
        woken(&mut alice, &mallory.name).await;
    }
    // Another version is a violation, which ends the connection.
    mallory.play(&alice, prefixed(&[2]), End::HangUp).await;
    let pick = |event| match event {
        NetEvent::PeerDown { .. } => Some(()),
        NetEvent::Woken { .. } => panic!("heard too often"),
        _ => None,
    };
    alice.event("the hang-up", pick).await;
}

/// Carries bytes both ways to a node's TCP port until told to freeze; then it holds both connections and is silent.
async fn proxy(to: &Node) -> (String, watch::Sender<bool>) {
    let address: libp2p::Multiaddr = to.listens(Transport::Noise).remove(0).parse().unwrap();
    let port = address.iter().find_map(|part| match part {
        libp2p::multiaddr::Protocol::Tcp(port) => Some(port),
        _ => None,
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let own = format!("/ip4/127.0.0.1/tcp/{}/p2p/{}", listener.local_addr().unwrap().port(), to.name.0);
    let (freeze, mut frozen) = watch::channel(false);
    tokio::spawn(async move {
        let (mut near, _) = listener.accept().await.unwrap();
        let mut far = tokio::net::TcpStream::connect(("127.0.0.1", port.unwrap())).await.unwrap();
        let told = async { frozen.wait_for(|frozen| *frozen).await.is_ok() };
        let freezes = tokio::select! {
            _ = tokio::io::copy_bidirectional(&mut near, &mut far) => false,
            freezes = told => freezes,
        };
        if freezes {
            std::future::pending::<()>().await;
        }
    });
    (own, freeze)
}

#[tokio::test]
async fn a_relay_that_died_without_a_word_is_noticed_and_questions_to_it_end() {
    let mut watchful = config();
    (watchful.limits.ping_every, watchful.limits.ping_patience) = (Duration::from_secs(1), Duration::from_secs(2));
    let (mut alice, (carol, mut inputs)) = (node(watchful).await, relay(config(), Clock::system(), QUEUE).await);
    let (address, freeze) = proxy(&carol).await;
    let peer = carol.name.clone();
    alice.send(NetCommand::Protect { peers: vec![peer.clone()] });
    alice.send(NetCommand::Ask { ask: 1, peer: peer.clone(), addresses: vec![address], request: vec![1] });
    request(&mut inputs).await;
    freeze.send_replace(true);
    alice.send(NetCommand::Ask { ask: 2, peer, addresses: vec![], request: vec![1] });
    let (mut down, mut ended) = (false, BTreeSet::new());
    soon("the end of it", async {
        while !down || ended.len() < 2 {
            match alice.events.recv().await.unwrap() {
                NetEvent::PeerDown { peer } => down = peer == carol.name,
                NetEvent::Asked { ask, outcome: AskOutcome::Unreachable { .. } } => assert!(ended.insert(ask)),
                NetEvent::Asked { outcome, .. } => panic!("{outcome:?}"),
                _ => {}
            }
        }
    })
    .await;
}
