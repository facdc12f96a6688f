//! Words that nobody but two people may see, looked for wherever bytes of theirs end up.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::print_stdout)]

use kith_node::{
    api::types::DeliveryState,
    net::{NetCommand, NetConfig, NetEvent, NetSetup, RecordError, spawn},
};
use kith_tests::{
    link::Link,
    process::{Person, eventually, shows, tcp},
};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// The most talkative log there is: what is silenced by default too.
const EVERYTHING: &str = "trace,libp2p=trace,libp2p_swarm=trace,libp2p_kad=trace,libp2p_tcp=trace,libp2p_identify=trace,\
    libp2p_ping=trace,libp2p_request_response=trace,multistream_select=trace,yamux=trace,hyper=trace,hyper_util=trace";

/// What is looked for, and what it is.
struct Canary {
    what: &'static str,
    bytes: Vec<u8>,
}

fn canary(what: &'static str, text: &str) -> Canary {
    assert!(text.len() >= 12, "{what} is too short to be told from chance");
    Canary { what, bytes: text.as_bytes().to_vec() }
}

/// Bytes as characters, one each: searching in text is fast even without optimisation.
fn characters(bytes: &[u8]) -> String {
    bytes.iter().map(|b| char::from(*b)).collect()
}

/// Fails if a canary is found, as it is, in UTF-16, in hexadecimal, or in base64 (at any of its three offsets).
fn assert_silent(place: &str, haystack: &[u8], canaries: &[Canary]) {
    let haystack = characters(haystack);
    for Canary { what, bytes } in canaries {
        for (form, needle) in forms(bytes) {
            assert!(!haystack.contains(&characters(&needle)), "{what} ({form}) in {place}");
        }
    }
}

fn forms(bytes: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let hex = bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
    let mut forms = vec![
        ("plain", bytes.to_vec()),
        ("reversed", bytes.iter().rev().copied().collect()),
        ("UTF-16", bytes.iter().flat_map(|b| [*b, 0]).collect()),
        ("hexadecimal", hex.to_uppercase().into_bytes()),
        ("hexadecimal", hex.into_bytes()),
        ("list of numbers", bytes.iter().map(|b| b.to_string()).collect::<Vec<_>>().join(", ").into_bytes()),
    ];
    forms.extend((0..3).map(|skip| ("base64", base64(&bytes[skip..]))));
    forms
}

/// The base64 text of whole groups of three: what any encoding of something around them contains.
fn base64(bytes: &[u8]) -> Vec<u8> {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let group = |g: &[u8]| {
        let n = u32::from_be_bytes([0, g[0], g[1], g[2]]);
        [18, 12, 6, 0].map(|shift| ALPHABET[usize::try_from(n >> shift & 63).unwrap()])
    };
    bytes.chunks_exact(3).flat_map(group).collect()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.is_file() {
            found.push(path);
        }
    }
    found
}

#[test]
fn what_is_hidden_in_other_spellings_is_found() {
    let canaries = [canary("a word", "canary-of-the-test")];
    for haystack in [
        "..canary-of-the-test..".as_bytes().to_vec(),
        b"63616e6172792d6f662d7468652d74657374".to_vec(),
        b"xx Y2FuYXJ5LW9mLXRoZS10ZXN0 ".to_vec(),
        b"YWFjYW5hcnktb2YtdGhlLXRlc3Q".to_vec(),
        format!("{:?}", b"canary-of-the-test").into_bytes(),
    ] {
        let found = std::panic::catch_unwind(|| assert_silent("a test", &haystack, &canaries));
        assert!(found.is_err(), "{}", String::from_utf8_lossy(&haystack));
    }
    assert_silent("a test", b"canary-of-the-other-test", &canaries);
}

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
    let mut canaries: Vec<_> = texts.iter().map(|t| canary("a text", t)).collect();
    canaries.extend(passphrases.iter().map(|p| canary("a passphrase", p)));
    canaries.extend(codes.iter().flat_map(|c| [canary("a code", c), canary("a code", &c[6..])]));
    canaries.extend(links.iter().map(|l| canary("a link", l)));
    for name in [
        "carol-canary-name",
        "alice-canary-name",
        "bob-canary-name",
        "changed-canary-name",
        "petname-canary-of-bob",
        "petname-canary-of-alice",
    ] {
        canaries.push(canary("a name", name));
    }
    let reach = |code: &str| *kith_protocol::identity::ContactLink::parse(code).unwrap().code.reach.as_bytes();
    canaries.extend(codes.iter().map(|c| Canary { what: "a reach secret", bytes: reach(c).to_vec() }));

    let carried = wire.bytes();
    assert!(carried.len() > 5_000, "only {} bytes went over the wire", carried.len());
    assert!(characters(&carried).contains("/multistream/1.0.0"), "what is kept is not what was carried");
    assert_silent("the bytes between the daemons", &carried, &canaries);
    assert!(!records.is_empty());
    assert_silent("records in the DHT", &records, &canaries);
    for person in [&mut alice, &mut bob, &mut carol] {
        // Killed, so that nothing is tidied away first.
        person.kill();
        let found = files(&person.home());
        assert!(found.iter().any(|f| f.ends_with("kith.redb")) && found.iter().any(|f| f.ends_with("network.redb")));
        for file in found {
            assert_silent(&file.display().to_string(), &fs::read(&file).unwrap(), &canaries);
        }
    }
    for log in files(logs.path()) {
        let text = fs::read(&log).unwrap();
        println!("counts: {} bytes of log searched", text.len());
        assert!(characters(&text).contains("TRACE"), "{} has no trace", log.display());
        assert_silent(&log.display().to_string(), &text, &canaries);
    }
}
