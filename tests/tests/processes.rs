//! What only daemons as processes show: finding each other by descriptor alone, coming back, and going on among bad peers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use kith_node::{
    Code,
    api::types::{ContactState, DeliveryState, EventKind, SendRequest},
    clock::Clock,
    net::{DeliverOutcome, Frame, NetCommand, NetConfig, NetEvent, NetSetup, PeerName, RecordError, spawn},
};
use kith_protocol::{MessageId, Timestamp, crypto::Secret};
use kith_tests::{
    link::Link,
    process::{DEADLINE, Person, eventually, helpful, introduce, shows, tcp},
};
use std::sync::Arc;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::timeout,
};

/// Two people whose daemons run and who know each other.
async fn friends() -> (Person, Person) {
    let (mut alice, mut bob) = (Person::create("alice"), Person::create("bob"));
    alice.start().await;
    bob.start().await;
    introduce(&alice, &bob).await;
    (alice, bob)
}

async fn delivered(from: &Person, id: &MessageId) {
    eventually("delivered", || async {
        let message = from.client().message(&id.to_string()).await.ok()?;
        (message.state >= DeliveryState::Delivered && message.state != DeliveryState::Failed).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_who_know_only_a_third_find_each_other_by_descriptor_alone() {
    let (mut alice, mut bob, mut carol) = (Person::create("alice"), Person::create("bob"), Person::create("carol"));
    carol.start().await;
    let carols = carol.client().status().await.unwrap();
    for person in [&mut alice, &mut bob] {
        person.bootstrap = vec![format!("{}/p2p/{}", tcp(carol.port), carols.peer)];
        person.start().await;
    }
    let (code_a, code_b) = (alice.client().me().await.unwrap().code, bob.client().me().await.unwrap().code);
    assert!(!code_a.contains("/ip4") && !code_b.contains("/ip4"), "a code alone carries no address");
    alice.client().add_contact(&code_b, Some("bob")).await.unwrap();
    bob.client().add_contact(&code_a, Some("alice")).await.unwrap();
    let hello = alice.send(&bob, "found you").await;
    shows(&bob, &alice, &["found you"]).await;
    delivered(&alice, &hello).await;
    let answer = bob.send(&alice, "found you too").await;
    shows(&alice, &bob, &["found you too"]).await;
    delivered(&bob, &answer).await;
    assert!(carol.client().contacts(None).await.unwrap().is_empty(), "the third is nobody's contact");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_repeated_after_a_kill_is_carried_out_once() {
    let (mut alice, bob) = friends().await;
    let request = |body: &str| SendRequest { to: "@bob".into(), body: body.into(), ..SendRequest::default() };
    let first = alice.client().send_with_key(&request("once"), "key-1").await.unwrap();
    alice.kill();
    alice.start().await;
    let again = alice.client().send_with_key(&request("once"), "key-1").await.unwrap();
    assert_eq!(again.id, first.id);
    let other = alice.client().send_with_key(&request("something else"), "key-1").await.unwrap_err();
    helpful(&other, Code::Conflict);
    shows(&bob, &alice, &["once"]).await;
    delivered(&alice, &first.id).await;
    assert_eq!(alice.read(&bob).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_a_kill_cut_off_is_repeated_until_the_daemon_is_back() {
    let (mut alice, bob) = friends().await;
    let requests: Vec<_> = (0..50)
        .map(|n| {
            let (client, to) = (alice.client(), bob.account.to_string());
            tokio::spawn(async move { client.send_text(&to, &format!("text {n}")).await })
        })
        .collect();
    eventually("some are acknowledged", || async { (!alice.read(&bob).await.is_empty()).then_some(()) }).await;
    alice.kill();
    alice.start().await;
    let mut promised = Vec::new();
    for (n, request) in requests.into_iter().enumerate() {
        match timeout(DEADLINE, request).await.expect("it ends").unwrap() {
            Ok(_) => promised.push(format!("text {n}")),
            // It never reached the daemon, and nothing was promised.
            Err(error) => helpful(&error, Code::DaemonUnreachable),
        }
    }
    let mut shown = eventually("all that was promised", || async {
        let shown = bob.shown_from(&alice).await;
        promised.iter().all(|p| shown.contains(p)).then_some(shown)
    })
    .await;
    let all = shown.len();
    shown.sort();
    shown.dedup();
    assert_eq!(shown.len(), all, "one is shown twice");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_go_on_behind_their_cursor_after_a_kill_and_miss_nothing() {
    let (alice, mut bob) = friends().await;
    alice.send(&bob, "text 0").await;
    let mut events = bob.client().events(Some(0)).await.unwrap();
    let mut texts = Vec::new();
    let mut last = 0;
    for n in 1..=40 {
        while texts.len() < n {
            let event = timeout(DEADLINE, events.next()).await.expect("an event").unwrap();
            assert!(event.cursor > last, "cursors go up");
            last = event.cursor;
            if let EventKind::Message(message) = event.kind {
                texts.push(message.body);
            }
        }
        if n % 10 == 0 {
            bob.kill();
        }
        alice.send(&bob, &format!("text {n}")).await;
        if n % 10 == 0 {
            bob.start().await;
        }
    }
    assert_eq!(texts, (0..40).map(|n| format!("text {n}")).collect::<Vec<_>>());
    // Another client, from the middle.
    let mut later = bob.client().events(Some(last)).await.unwrap();
    let next = timeout(DEADLINE, async {
        loop {
            if let EventKind::Message(message) = later.next().await.unwrap().kind {
                return message.body;
            }
        }
    });
    assert_eq!(next.await.expect("an event"), "text 40");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_copy_put_back_and_used_is_reachable_again_and_repeats_nothing() {
    let (mut alice, mut bob) = friends().await;
    alice.send(&bob, "a1").await;
    shows(&bob, &alice, &["a1"]).await;
    let b1 = bob.send(&alice, "b1").await;
    delivered(&bob, &b1).await;
    // The copy holds a text that is on its way: it will come a second time from there.
    alice.stop().await;
    bob.send(&alice, "b2").await;
    bob.stop().await;
    let copy = tempfile::tempdir().unwrap();
    bob.copy_home(copy.path());
    alice.start().await;
    bob.start().await;
    shows(&alice, &bob, &["b1", "b2"]).await;
    for n in 0..10 {
        let there = alice.send(&bob, &format!("forgotten {n}")).await;
        let back = bob.send(&alice, &format!("b {n}")).await;
        delivered(&alice, &there).await;
        delivered(&bob, &back).await;
    }
    bob.kill();
    // Not acknowledged by anybody when the copy comes back: this must arrive.
    let waiting = alice.send(&bob, "while you were gone").await;
    bob.put_back(copy.path());
    bob.start().await;
    let after = bob.send(&alice, "back again").await;
    delivered(&bob, &after).await;
    delivered(&alice, &waiting).await;
    let last = alice.send(&bob, "welcome back").await;
    delivered(&alice, &last).await;
    let last = bob.send(&alice, "thank you").await;
    delivered(&bob, &last).await;
    let at_bob = bob.shown_from(&alice).await;
    assert_eq!(at_bob, ["a1", "while you were gone", "welcome back"]);
    let mut expected = vec!["b1".to_owned(), "b2".to_owned()];
    expected.extend((0..10).map(|n| format!("b {n}")));
    expected.extend(["back again".to_owned(), "thank you".to_owned()]);
    assert_eq!(alice.shown_from(&bob).await, expected);
    let mut told = alice.client().events(Some(0)).await.unwrap();
    let mut seen = Vec::new();
    while seen.len() < expected.len() {
        if let EventKind::Message(m) = timeout(DEADLINE, told.next()).await.expect("an event").unwrap().kind
            && !m.outgoing
        {
            seen.push(m.body);
        }
    }
    assert_eq!(seen, expected, "told once each");
}

/// Talks with Bob, back and forth, while `meanwhile` goes on.
async fn conversation_goes_on(alice: &Person, bob: &Person, round: &str) {
    for n in 0..5 {
        let there = alice.send(bob, &format!("{round} {n}")).await;
        delivered(alice, &there).await;
        let back = bob.send(alice, &format!("{round} {n}")).await;
        delivered(bob, &back).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_bring_garbage_nothing_or_drops_do_not_disturb_a_conversation() {
    let (alice, bob) = friends().await;
    let mut held = Vec::new();
    let mut drips = tokio::task::JoinSet::new();
    for port in [alice.port, bob.port] {
        for n in 0..8_u8 {
            // Garbage, until they hang up.
            let mut garbage = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
            drips.spawn(async move {
                let _ = garbage.write_all(&[n.wrapping_mul(37); 70_000]).await;
                let _ = garbage.read_to_end(&mut Vec::new()).await;
            });
            // Nothing at all, held open.
            held.push(TcpStream::connect(("127.0.0.1", port)).await.unwrap());
            // The right beginning, a byte at a time.
            let mut slow = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
            drips.spawn(async move {
                for byte in b"\x13/multistream/1.0.0\n".iter().cycle().take(1000) {
                    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                    if slow.write_all(&[*byte]).await.is_err() {
                        return;
                    }
                }
            });
        }
    }
    conversation_goes_on(&alice, &bob, "among noise").await;
    assert_eq!(bob.shown_from(&alice).await.len(), 5);
    assert_eq!(alice.shown_from(&bob).await.len(), 5);
    drips.abort_all();
}

/// A node that speaks our protocols and does in them what it likes.
async fn mallory() -> (kith_node::net::NetHandle, tokio::sync::mpsc::Receiver<NetEvent>) {
    let seed = Secret::random(&mut kith_node::clock::system_rng().unwrap());
    let setup = NetSetup::forgetful(
        NetConfig::loopback(),
        seed,
        Arc::new(|_, _, _| Err(RecordError::Invalid)),
        Clock::system(),
    );
    spawn(setup).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_delivers_garbage_is_refused_and_a_conversation_goes_on() {
    let (alice, bob) = friends().await;
    let (net, mut events) = mallory().await;
    let peer = PeerName(bob.client().status().await.unwrap().peer);
    let told = bob.client().status().await.unwrap();
    let mut refused = 0;
    for n in 0..20_u64 {
        let length = 1 + usize::try_from(n).unwrap() * 300;
        let envelope = vec![u8::try_from(n).unwrap().wrapping_mul(41); length];
        let frame = Frame { tag: [0; 16], expires: Timestamp::from_millis(u64::MAX), envelope };
        let command = NetCommand::Deliver { attempt: n, peer: peer.clone(), addresses: vec![tcp(bob.port)], frame };
        net.send(command).unwrap();
        let outcome = timeout(DEADLINE, async {
            loop {
                if let NetEvent::DeliverDone { attempt, outcome } = events.recv().await.unwrap()
                    && attempt == n
                {
                    return outcome;
                }
            }
        });
        let outcome = outcome.await.expect("an answer");
        assert_ne!(outcome, DeliverOutcome::Accepted, "garbage is taken");
        refused += usize::from(outcome == DeliverOutcome::Refused);
    }
    assert!(refused > 0, "no garbage reached Bob");
    conversation_goes_on(&alice, &bob, "among garbage").await;
    assert_eq!(bob.shown_from(&alice).await.len(), 5);
    let after = bob.client().status().await.unwrap();
    assert_eq!((after.contacts, after.requests), (told.contacts, told.requests));
    net.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_contact_whose_machine_answers_nothing_holds_up_nobody_else() {
    let (alice, bob) = friends().await;
    // Carol's link leads to somebody who takes connections and says nothing.
    let mut carol = Person::create("carol");
    carol.start().await;
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent_at = tcp(silent.local_addr().unwrap().port());
    let peer = carol.client().status().await.unwrap().peer;
    let code = carol.client().me().await.unwrap().code;
    carol.stop().await;
    let link = format!("kith:{code}?a={silent_at}/p2p/{peer}");
    alice.client().add_contact(&link, Some("carol")).await.unwrap();
    let waiting = alice.send(&carol, "for carol").await;
    let (held, _) = timeout(DEADLINE, silent.accept()).await.expect("alice dials").unwrap();
    conversation_goes_on(&alice, &bob, "while carol is silent").await;
    assert_eq!(bob.shown_from(&alice).await.len(), 5);
    let message = alice.client().message(&waiting.to_string()).await.unwrap();
    assert_eq!(message.state, DeliveryState::Queued, "nothing is lost");
    drop((held, silent));
    // Carol herself comes back.
    carol.start().await;
    introduce(&alice, &carol).await;
    shows(&carol, &alice, &["for carol"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_contact_whose_machine_answers_slowly_holds_up_nobody_else_and_is_served() {
    let (alice, bob) = friends().await;
    let mut carol = Person::create("carol");
    carol.start().await;
    let slow = Link::slow(carol.port).await;
    let link = carol.link().await.replace(&carol.port.to_string(), &slow.port.to_string());
    alice.client().add_contact(&link, Some("carol")).await.unwrap();
    let waiting = alice.send(&carol, "for carol").await;
    conversation_goes_on(&alice, &bob, "while carol is slow").await;
    assert_eq!(bob.shown_from(&alice).await.len(), 5);
    carol.client().accept_contact(&eventually("a request", || async { request(&carol).await }).await).await.unwrap();
    delivered(&alice, &waiting).await;
    assert_eq!(carol.shown_from(&alice).await, ["for carol"]);
    assert!(slow.bytes().len() > 1000, "it went another way");
}

/// The account of somebody who asks to be accepted.
async fn request(at: &Person) -> Option<String> {
    let requests = at.client().contacts(Some(ContactState::Request)).await.ok()?;
    requests.first().map(|r| r.account.to_string())
}
