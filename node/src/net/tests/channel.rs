//! Questions between members of channels over real sockets: one outcome each, busy within bounds, nothing lost by those who
//! misbehave.

use super::{
    hostile::{End, Mallory, Script, nothing, prefixed},
    kit::{Node, begin, check, config, node, seed, soon},
};
use crate::{
    clock::Clock,
    net::{
        AskOutcome, MemberToken, NetCommand, NetConfig, NetEvent, NetSetup, PeerName, Transport,
        wire::{Channel, Deliver, Layout},
    },
};
use kith_protocol::{
    Timestamp,
    limits::{CHANNEL_ANSWER_MAX, CHANNEL_REQUEST_MAX},
};
use std::{collections::BTreeSet, time::Duration};

/// What is told where the other end does not say how long to wait.
const BUSY: AskOutcome = AskOutcome::Busy { retry_after_ms: 1_000 };

impl Node {
    fn tells(&self, token: MemberToken, answer: &[u8]) {
        self.send(NetCommand::AnswerMember { token, answer: answer.to_vec() });
    }

    /// The outcome of the one question that is under way.
    async fn hears(&mut self, ask: u64) -> AskOutcome {
        let (of, outcome) = self.asked().await;
        assert_eq!(of, ask);
        outcome
    }

    /// The next question of one peer; those of others pass by.
    async fn asked_by(&mut self, name: &PeerName) -> (MemberToken, Vec<u8>) {
        loop {
            let (token, from, request) = self.member_asks().await;
            if from == *name {
                return (token, request);
            }
        }
    }
}

/// Shows that a node answers others.
async fn assert_answers(bob: &mut Node) {
    let mut alice = node(config()).await;
    alice.ask_member(1, bob, b"still there?");
    let (token, _) = bob.asked_by(&alice.name).await;
    bob.tells(token, b"yes");
    assert_eq!(alice.hears(1).await, AskOutcome::Answered(b"yes".to_vec()));
    alice.net.shutdown().await;
}

/// Whether somebody asked, of what lies in the queue.
fn was_asked(node: &mut Node) -> bool {
    std::iter::from_fn(|| node.events.try_recv().ok()).any(|event| matches!(event, NetEvent::MemberAsks { .. }))
}

async fn answers_over(transport: Transport) {
    let (mut alice, mut bob) = (node(config()).await, node(config()).await);
    assert!(alice.net.status().peers.is_empty(), "she is to dial him");
    for (ask, question, answer) in [
        (1, b"one".to_vec(), b"two".to_vec()),
        (2, vec![7; CHANNEL_REQUEST_MAX], vec![8; CHANNEL_ANSWER_MAX]),
        (3, vec![0], vec![]),
    ] {
        let (peer, addresses) = (bob.name.clone(), bob.listens(transport));
        alice.send(NetCommand::AskMember { ask, peer, addresses, request: question.clone() });
        let (token, from, request) = bob.member_asks().await;
        assert_eq!(from, alice.name);
        assert!(request == question, "another question");
        bob.tells(token, &answer);
        assert!(alice.hears(ask).await == AskOutcome::Answered(answer), "another answer");
        // A second answer changes nothing.
        bob.tells(token, b"again");
    }
    let status = alice.status("bob shown", |status| !status.peers.is_empty()).await;
    assert_eq!(status.peers[0].transport, Some(transport));
    // The other way round over the same connection: no address is given.
    bob.send(NetCommand::AskMember { ask: 9, peer: alice.name.clone(), addresses: vec![], request: vec![1] });
    let (token, from, _) = alice.member_asks().await;
    assert_eq!(from, bob.name);
    alice.tells(token, b"yes");
    assert_eq!(bob.hears(9).await, AskOutcome::Answered(b"yes".to_vec()));
}

#[tokio::test]
async fn r_net_20_members_ask_each_other_over_tcp_with_noise() {
    answers_over(Transport::Noise).await;
}

#[tokio::test]
async fn r_net_20_members_ask_each_other_over_quic() {
    answers_over(Transport::Quic).await;
}

#[tokio::test]
async fn r_net_20_who_cannot_be_reached_or_asked_is_told_with_the_reason_and_nothing_leaves() {
    let (mut alice, mut bob, gone) = (node(config()).await, node(config()).await, node(config()).await);
    let ask = |ask, peer: &PeerName, addresses: Vec<String>, request: Vec<u8>| NetCommand::AskMember {
        ask,
        peer: peer.clone(),
        addresses,
        request,
    };
    let unreachable = |why| AskOutcome::Unreachable { why };
    alice.send(ask(1, &gone.name, vec![], vec![1]));
    assert_eq!(alice.hears(1).await, unreachable("no address known"));
    alice.send(ask(2, &PeerName("x".into()), vec![], vec![1]));
    assert_eq!(alice.hears(2).await, unreachable("not the name of a peer"));
    alice.send(ask(3, &alice.name, vec![], vec![1]));
    assert_eq!(alice.hears(3).await, unreachable("that is this node itself"));
    let addresses = gone.net.status().listen;
    gone.net.shutdown().await;
    alice.send(ask(4, &gone.name, addresses, vec![1]));
    assert_eq!(alice.hears(4).await, unreachable("no answer at its addresses"));
    for (number, request) in [(5, vec![]), (6, vec![0; CHANNEL_REQUEST_MAX + 1])] {
        alice.send(ask(number, &bob.name, bob.net.status().listen, request));
        assert_eq!(alice.hears(number).await, unreachable("no question of a valid size"));
    }
    assert!(alice.net.status().peers.is_empty(), "nobody was dialled for nothing");
    // Somebody who speaks an older Kith.
    let old = Mallory::connect(Deliver::NAME, &alice, nothing(), vec![]).await;
    alice.send(ask(7, &old.name, vec![], vec![1]));
    assert_eq!(alice.hears(7).await, AskOutcome::Unsupported);
    // An answer that is too large is not sent: its asker is not left waiting.
    alice.ask_member(8, &bob, b"all of it");
    let (token, ..) = bob.member_asks().await;
    bob.tells(token, &vec![0; CHANNEL_ANSWER_MAX + 1]);
    assert_eq!(alice.hears(8).await, BUSY);
}

#[tokio::test]
async fn r_net_20_an_app_that_says_nothing_is_answered_for_once() {
    let mut impatient = config();
    impatient.limits.verdict_timeout = Duration::from_millis(300);
    let (mut alice, mut bob) = (node(config()).await, node(impatient).await);
    alice.ask_member(1, &bob, b"hello?");
    let (token, ..) = bob.member_asks().await;
    assert_eq!(alice.hears(1).await, BUSY);
    // The late answer changes nothing: what comes next is the next one's.
    bob.tells(token, b"late");
    alice.ask_member(2, &bob, b"and now?");
    let (token, ..) = bob.member_asks().await;
    bob.tells(token, b"now");
    assert_eq!(alice.hears(2).await, AskOutcome::Answered(b"now".to_vec()));
}

#[tokio::test]
async fn r_net_20_every_question_has_one_outcome_also_when_the_connection_breaks_in_the_middle() {
    const ASKS: u64 = 40;
    let mut bounded = config();
    bounded.limits.ask_members_total = 30;
    let (mut alice, mut bob) = (node(bounded).await, node(config()).await);
    for ask in 0..ASKS {
        alice.ask_member(ask, &bob, b"and then?");
    }
    let mut ended = BTreeSet::new();
    for _ in 30..ASKS {
        let (ask, outcome) = alice.asked().await;
        assert_eq!(outcome, AskOutcome::Unreachable { why: "too many questions to members wait here" });
        assert!(ended.insert(ask));
    }
    // Relays are asked beside them.
    alice.ask(1_000, &bob, b"a relay?");
    assert_eq!(alice.asked().await, (1_000, AskOutcome::Unsupported));
    // One is answered, some fly, the others wait behind the window.
    let (token, ..) = bob.member_asks().await;
    bob.tells(token, b"that");
    let (ask, outcome) = alice.asked().await;
    assert_eq!(outcome, AskOutcome::Answered(b"that".to_vec()));
    assert!(ended.insert(ask));
    bob.send(NetCommand::Block { peers: vec![alice.name.clone()] });
    while ended.len() < usize::try_from(ASKS).unwrap() {
        let (ask, outcome) = alice.asked().await;
        assert!(matches!(outcome, AskOutcome::Unreachable { .. }), "{outcome:?}");
        assert!(ended.insert(ask), "{ask} ended twice");
    }
}

#[tokio::test]
async fn r_net_3_a_peer_that_floods_gets_its_share_of_questions_and_others_are_served() {
    let (greedy, mut bob) = (node(config()).await, node(config()).await);
    // No window of her own holds back what she sends at once.
    let mallory = Mallory::connect(Channel::NAME, &bob, nothing(), vec![]).await;
    for _ in 0..40 {
        mallory.play(&bob, prefixed(b"more"), End::HangUp).await;
    }
    for ask in 0..20 {
        greedy.ask_member(ask, &bob, b"more");
    }
    let mut shares = [0, 0];
    while shares != [16, 16] {
        let (_, from, _) = bob.member_asks().await;
        let share = &mut shares[usize::from(from == mallory.name)];
        *share += 1;
        assert!(*share <= 16, "{from:?} has more than its share");
    }
    assert_answers(&mut bob).await;
}

/// Somebody to whom an allowance does not come back: the clock stands still.
async fn timeless(config: NetConfig) -> Node {
    let clock = Clock::manual(Timestamp::from_millis(1_767_225_600_000));
    begin(NetSetup::forgetful(config, seed(), check(), clock)).await
}

#[tokio::test]
async fn r_net_3_a_peer_gets_its_burst_of_questions_to_members_and_who_did_wrong_gets_less() {
    let mut slow = config();
    (slow.limits.channel_rate, slow.limits.channel_burst) = (1, 10);
    let (mut alice, mut mallory) = (node(config()).await, node(config()).await);
    let mut bob = timeless(slow).await;
    bob.send(NetCommand::Fault { peer: mallory.name.clone() });
    // Commands are worked off in order: she is scored before this one is answered.
    bob.send(NetCommand::AskMember { ask: 1, peer: bob.name.clone(), addresses: vec![], request: vec![1] });
    bob.asked().await;
    let addresses = bob.net.status().listen;
    let (name, net) = (bob.name.clone(), bob.net.clone());
    tokio::spawn(async move {
        while let Some(event) = bob.events.recv().await {
            if let NetEvent::MemberAsks { token, request, .. } = event {
                let _ = net.send(NetCommand::AnswerMember { token, answer: request });
            }
        }
    });
    for (node, served) in [(&mut alice, 10), (&mut mallory, 2)] {
        for ask in 0..15 {
            let (peer, addresses) = (name.clone(), addresses.clone());
            node.send(NetCommand::AskMember { ask, peer, addresses, request: vec![1] });
        }
        let mut answered = 0;
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
async fn r_net_3_strangers_questions_take_half_of_the_room_and_a_contact_finds_the_rest() {
    let mut small = config();
    (small.limits.channel_per_peer, small.limits.channel_total) = (2, 8);
    let mut bob = node(small).await;
    let mut strangers = Vec::new();
    for _ in 0..3 {
        let mut stranger = node(config()).await;
        for ask in 0..3 {
            stranger.ask_member(ask, &bob, b"wait");
        }
        // The first two of them get two each, the third finds the strangers' half full.
        let refused = if strangers.len() < 2 { 1 } else { 3 };
        for _ in 0..refused {
            assert_eq!(stranger.asked().await.1, BUSY);
        }
        strangers.push(stranger);
    }
    let mut contact = node(config()).await;
    bob.send(NetCommand::Protect { peers: vec![contact.name.clone()] });
    contact.ask_member(1, &bob, b"let me in");
    let (token, _) = bob.asked_by(&contact.name).await;
    bob.tells(token, &[1]);
    assert_eq!(contact.hears(1).await, AskOutcome::Answered(vec![1]));
}

#[tokio::test]
async fn r_net_3_questions_for_which_the_app_has_no_room_are_answered_busy() {
    let mut sleepy = config();
    sleepy.limits.events = 4;
    let (mut alice, mut bob) = (node(config()).await, node(sleepy).await);
    for ask in 0..16 {
        alice.ask_member(ask, &bob, b"are you there?");
    }
    // The queue holds at most four, and the news of her connection.
    for _ in 4..16 {
        assert_eq!(alice.asked().await.1, BUSY);
    }
    while bob.events.try_recv().is_ok() {}
    assert_answers(&mut bob).await;
}

#[tokio::test]
async fn r_net_3_answers_to_members_that_are_not_read_hold_bounded_memory_and_a_first_one_still_gets_through() {
    let mut narrow = config();
    narrow.limits.channel_answer_bytes = CHANNEL_ANSWER_MAX;
    let (mut alice, mut bob) = (node(config()).await, node(narrow).await);
    // Asks over a stream that she reads nothing from.
    let mallory = Mallory::connect(Channel::NAME, &bob, nothing(), vec![]).await;
    for _ in 0..3 {
        mallory.play(&bob, prefixed(b"give me all"), End::Hold).await;
    }
    let mut tokens = Vec::new();
    while tokens.len() < 3 {
        tokens.push(bob.member_asks().await.0);
    }
    alice.ask_member(1, &bob, b"and me");
    let (mine, ..) = bob.member_asks().await;
    for token in tokens.into_iter().chain([mine]) {
        bob.tells(token, &vec![3; CHANNEL_ANSWER_MAX]);
    }
    assert!(alice.hears(1).await == AskOutcome::Answered(vec![3; CHANNEL_ANSWER_MAX]), "another answer");
}

#[tokio::test]
async fn r_net_7_oversize_empty_half_and_dripping_questions_reach_no_app_and_others_are_served() {
    let oversize = u32::try_from(CHANNEL_REQUEST_MAX + 1).unwrap().to_be_bytes().to_vec();
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
        let mut bob = node(impatient).await;
        let mallory = Mallory::connect(Channel::NAME, &bob, nothing(), vec![]).await;
        mallory.play(&bob, bytes, end).await;
        if hangs_up {
            bob.hangs_up_on(&mallory.name).await;
            bob.send(NetCommand::Dial { addresses: vec![mallory.address.clone()] });
            bob.scored(&mallory.name, |peer| peer.score <= -15).await;
        } else {
            bob.scored(&mallory.name, |peer| peer.score == -1 && peer.transport.is_some()).await;
        }
        assert!(!was_asked(&mut bob), "the app got something");
        assert_answers(&mut bob).await;
        bob.net.shutdown().await;
    }))
    .await;
}

#[tokio::test]
async fn r_net_7_unreadable_oversize_and_half_answers_end_the_question_and_are_scored() {
    let oversize = u32::try_from(CHANNEL_ANSWER_MAX + 2).unwrap().to_be_bytes().to_vec();
    let unreadable = "the answer was unreadable";
    let cases = [
        (oversize, unreadable),
        (prefixed(&[]), unreadable),
        (prefixed(&[2, 1]), unreadable),
        (prefixed(&[1, 0]), unreadable),
        ([&500u32.to_be_bytes()[..], &[0; 20]].concat(), "the stream broke"),
        (vec![], "the stream broke"),
    ];
    futures::future::join_all(cases.map(|(answer, why)| async move {
        let mut alice = node(config()).await;
        let mallory = Mallory::connect(Channel::NAME, &alice, Script::new(answer, End::HangUp), vec![]).await;
        alice.send(NetCommand::AskMember { ask: 1, peer: mallory.name.clone(), addresses: vec![], request: vec![1] });
        assert_eq!(alice.hears(1).await, AskOutcome::Unreachable { why });
        if why == unreadable {
            alice.send(NetCommand::Dial { addresses: vec![mallory.address.clone()] });
            alice.scored(&mallory.name, |peer| peer.score <= -15).await;
        } else {
            alice.scored(&mallory.name, |peer| peer.score == -1 && peer.transport.is_some()).await;
        }
        alice.net.shutdown().await;
    }))
    .await;
}

#[tokio::test]
async fn r_net_3_half_read_questions_of_many_hold_bounded_memory_and_the_others_are_answered_busy() {
    let mut narrow = config();
    narrow.limits.half_read_bytes = 100_000;
    let (mut alice, mut bob) = (node(config()).await, node(narrow).await);
    let mallory = Mallory::connect(Channel::NAME, &bob, nothing(), vec![]).await;
    let half = [&100_000u32.to_be_bytes()[..], &[1; 50_000]].concat();
    for _ in 0..2 {
        mallory.play(&bob, half.clone(), End::Hold).await;
    }
    // Once the two halves have arrived there is no room for much more, but for a little.
    soon("a large question is refused", async {
        for ask in 0.. {
            alice.ask_member(ask, &bob, &[2; 20_000]);
            tokio::select! {
                outcome = alice.asked() => match outcome.1 {
                    AskOutcome::Busy { .. } => return,
                    other => panic!("{other:?}"),
                },
                (token, ..) = bob.member_asks() => {
                    bob.tells(token, b"");
                    assert_eq!(alice.hears(ask).await, AskOutcome::Answered(vec![]));
                }
            }
        }
    })
    .await;
    assert_answers(&mut bob).await;
}
