//! Words that nobody but two people may see, looked for wherever bytes of theirs end up.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::print_stdout)]

use kith_node::{
    api::types::DeliveryState,
    net::{NetCommand, NetConfig, NetEvent, NetSetup, RecordError, spawn},
};
use kith_tests::{
    canary::{Canary, Finder, files},
    link::Link,
    process::{Person, eventually, shows, tcp},
};
use std::fs;

/// The most talkative log there is: what is silenced by default too.
const EVERYTHING: &str = "trace,libp2p=trace,libp2p_swarm=trace,libp2p_kad=trace,libp2p_tcp=trace,libp2p_identify=trace,\
    libp2p_ping=trace,libp2p_request_response=trace,multistream_select=trace,yamux=trace,hyper=trace,hyper_util=trace";

/// Everything that a node which stores records for others is given: it asks the third one for what it holds.
async fn records_of(carol: &Person, about: &[&Person]) -> Vec<u8> {
    // The keys under which anybody who has the codes looks them up.
    let mut keys = Vec::new();
    let now = kith_node::clock::Clock::system().now();
    for person in about {
        let code = person.client().me().await.unwrap().code;
        let link = kith_protocol::identity::ContactLink::parse(&code).unwrap();
        keys.extend(kith_protocol::prekey::reading::readers_keys(&link.code.account, &link.code.reach, now));
    }
    let status = carol.client().status().await.unwrap();
    let hints = vec![format!("{}/p2p/{}", tcp(carol.port), status.peer)];
    let seed = kith_protocol::crypto::Secret::random(&mut kith_node::clock::system_rng().unwrap());
    let check: kith_node::net::RecordCheck = std::sync::Arc::new(|key, bytes, now| {
        let meta = kith_protocol::prekey::check_record(key, bytes, now).map_err(|_| RecordError::Invalid)?;
        Ok(kith_node::net::RecordMeta { seq: meta.seq, expires: meta.expires })
    });
    let setup = NetSetup::forgetful(NetConfig::loopback(), seed, check, kith_node::clock::Clock::system());
    let (net, mut events) = spawn(setup).await.unwrap();
    let mut all = Vec::new();
    let mut query = 0;
    while all.is_empty() {
        query += 1;
        net.send(NetCommand::Fetch { query, keys: keys.clone(), hints: hints.clone() }).unwrap();
        let answer = tokio::time::timeout(kith_tests::process::DEADLINE, async {
            loop {
                if let NetEvent::Found { query: of, records, .. } = events.recv().await.unwrap()
                    && of == query
                {
                    return records;
                }
            }
        });
        for (key, record) in answer.await.expect("an answer") {
            all.extend_from_slice(key.as_bytes());
            all.extend_from_slice(&record);
        }
        assert!(query < 100, "the third one holds no records");
    }
    net.shutdown().await;
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c05_59_canaries_are_in_no_log_no_file_no_wire_and_no_record() {
    let texts = ["canary text from alice", "canary text from bob", "canary second text from alice"];
    let passphrases = ["canary passphrase of alice", "canary passphrase of bob"];
    let logs = tempfile::tempdir().unwrap();
    let mut carol = Person::create("carol-canary-name");
    carol.log = Some((EVERYTHING.into(), logs.path().join("carol.log")));
    carol.start().await;
    let carols = carol.client().status().await.unwrap();
    let mut alice = Person::create_with("alice-canary-name", Some(passphrases[0]));
    let mut bob = Person::create_with("bob-canary-name", Some(passphrases[1]));
    for (person, file) in [(&mut alice, "alice.log"), (&mut bob, "bob.log")] {
        person.log = Some((EVERYTHING.into(), logs.path().join(file)));
    }
    // Bob is reached over a wire that keeps every byte. Alice knows nothing else of the network, so she has no other way.
    bob.bootstrap = vec![format!("{}/p2p/{}", tcp(carol.port), carols.peer)];
    bob.start().await;
    let wire = Link::to(bob.port).await;
    let bobs = bob.link().await.replace(&bob.port.to_string(), &wire.port.to_string());
    assert!(bobs.contains(&wire.port.to_string()), "{bobs}");
    alice.start().await;
    let codes = [alice.client().me().await.unwrap().code, bob.client().me().await.unwrap().code];
    let links = [alice.link().await, bobs.clone()];
    alice.client().add_contact(&bobs, Some("petname-canary-of-bob")).await.unwrap();
    eventually("alice is connected over the wire", || async { (wire.bytes().len() > 500).then_some(()) }).await;
    let first = alice.send(&bob, texts[0]).await;
    bob.client().add_contact(&codes[0], Some("petname-canary-of-alice")).await.unwrap();
    shows(&bob, &alice, &texts[..1]).await;
    let answer = bob.send(&alice, texts[1]).await;
    shows(&alice, &bob, &texts[1..2]).await;
    // A name that changes travels inside the session.
    alice.client().set_name("changed-canary-name").await.unwrap();
    let last = alice.send(&bob, texts[2]).await;
    shows(&bob, &alice, &[texts[0], texts[2]]).await;
    for (person, id) in [(&alice, first), (&bob, answer), (&alice, last)] {
        eventually("delivered", || async {
            let state = person.client().message(&id.to_string()).await.ok()?.state;
            (state >= DeliveryState::Delivered).then_some(())
        })
        .await;
    }
    let bobs_peer = bob.client().status().await.unwrap().peer;
    let way = eventually("alice's connection to bob", || async {
        let peers = alice.client().peers().await.ok()?;
        peers.into_iter().find(|p| p.connected && p.peer == bobs_peer)?.address
    })
    .await;
    assert!(way.contains(&format!("/tcp/{}", wire.port)), "they talk over another wire: {way}");
    let records = records_of(&carol, &[&alice, &bob]).await;
    // Everything that only the two may know; codes without what they begin with.
    let mut canaries: Vec<_> = texts.iter().map(|t| Canary::new("a text", t)).collect();
    canaries.extend(passphrases.iter().map(|p| Canary::new("a passphrase", p)));
    canaries.extend(codes.iter().flat_map(|c| [Canary::new("a code", c), Canary::new("a code", &c[6..])]));
    canaries.extend(links.iter().map(|l| Canary::new("a link", l)));
    for name in [
        "carol-canary-name",
        "alice-canary-name",
        "bob-canary-name",
        "changed-canary-name",
        "petname-canary-of-bob",
        "petname-canary-of-alice",
    ] {
        canaries.push(Canary::new("a name", name));
    }
    let reach = |code: &str| *kith_protocol::identity::ContactLink::parse(code).unwrap().code.reach.as_bytes();
    canaries.extend(codes.iter().map(|c| Canary::new("a reach secret", reach(c))));
    let finder = Finder::new(canaries);

    let carried = wire.bytes();
    assert!(carried.len() > 5_000, "only {} bytes went over the wire", carried.len());
    assert!(String::from_utf8_lossy(&carried).contains("/multistream/1.0.0"), "what is kept is not what was carried");
    finder.assert_silent("the bytes between the daemons", &carried);
    assert!(!records.is_empty());
    finder.assert_silent("records in the DHT", &records);
    for person in [&mut alice, &mut bob, &mut carol] {
        // Killed, so that nothing is tidied away first.
        person.kill();
        let found = files(&person.home());
        assert!(found.iter().any(|f| f.ends_with("kith.redb")) && found.iter().any(|f| f.ends_with("network.redb")));
        for file in found {
            finder.assert_silent(&file.display().to_string(), &fs::read(&file).unwrap());
        }
    }
    for log in files(logs.path()) {
        let text = fs::read(&log).unwrap();
        println!("counts: {} bytes of log searched", text.len());
        assert!(String::from_utf8_lossy(&text).contains("TRACE"), "{} has no trace", log.display());
        finder.assert_silent(&log.display().to_string(), &text);
    }
}
