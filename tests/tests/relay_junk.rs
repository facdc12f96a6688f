//! A real relay under junk from strangers: two honest people go on writing to each other through it, its memory stays
//! bounded, and what it refused it counts.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::print_stdout)]

use kith_node::{
    api::types::DeliveryState,
    net::{AskOutcome, allow_many_files},
};
use kith_protocol::mailbox::{Answer, Pass, RelayCard};
use kith_tests::{
    count,
    depositor::Depositor,
    junk::{self, Junk, Maker},
    process::{Person, eventually, introduce, shows},
    rude::{Crowd, Manner},
};
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
};
use tokio::task::JoinSet;

/// Deposits of strangers in a full run that the relay judged.
const DEPOSITS: u64 = 100_000;
/// Connections of a full run that finish the handshake and then say nothing.
const IDLE: u64 = 1_000;
/// Bare sockets of a full run, of each manner.
const SOCKETS: u64 = 100;
/// Bare sockets that say nothing, beside no other junk: more than a relay lets begin a handshake.
const BARE: u64 = 1_500;
/// Peers of a full run that hold half requests, or announce requests beyond all measure.
const RUDE: u64 = 60;
/// Strangers at once, of whom each has as many questions in flight as a relay lets one have.
const STRANGERS: u64 = 16;
/// Deposits of one stranger, who then comes back as another: fewer than the burst that a peer is allowed.
const LIFE: usize = 600;
/// Deposits of a stranger who forges: most are not heard any more.
const FORGERS_LIFE: usize = 64;
/// Every so manyth stranger forges.
const FORGERS: u64 = 8;
/// Letters in each direction of a round.
const LETTERS: usize = 3;
/// Bytes by which the relay's memory may grow: what a batch and the queue behind it hold of strangers' requests at most,
/// 256 of 66 KiB each time, and the buffers of each connection that is held open.
const GROWTH_MAX: u64 = 2 * 256 * 66 * 1024;
const GROWTH_EACH: u64 = 64 * 1024;

/// What all strangers know and did.
struct Flood {
    card: String,
    /// What the honest people's links lead anybody to.
    granted: Vec<Pass>,
    /// A request of somebody who came before.
    replay: Vec<u8>,
    /// Deposits that the relay answered.
    judged: AtomicU64,
    /// Bytes sent to it.
    thrown: AtomicU64,
    /// Answers, by word.
    told: Mutex<BTreeMap<String, u64>>,
    identities: AtomicU64,
    stop: AtomicBool,
}

impl Flood {
    /// One stranger after the other, until it is enough.
    async fn run(self: Arc<Self>) {
        while !self.stop.load(SeqCst) {
            let number = self.identities.fetch_add(1, SeqCst);
            let mut stranger = Depositor::connect(&self.card, 1_000 + number).await;
            self.visit(&mut stranger, number).await;
            stranger.close().await;
        }
    }

    async fn visit(&self, stranger: &mut Depositor, number: u64) {
        let maker = Maker::new(stranger, number, &self.granted, &self.replay);
        let (kinds, life) = match number.is_multiple_of(FORGERS) {
            true => (&junk::FORGED[..], FORGERS_LIFE),
            false => (&junk::HARMLESS[..], LIFE),
        };
        let questions = (0..life).map_while(|n| {
            let junk = kinds[n % kinds.len()];
            let request = maker.make(junk, n);
            self.thrown.fetch_add(request.len() as u64, SeqCst);
            (!self.stop.load(SeqCst)).then_some((junk, request))
        });
        stranger.ask_all(questions, |junk, outcome| self.hear(junk, outcome)).await;
    }

    fn hear(&self, junk: Junk, outcome: AskOutcome) {
        let word = match outcome {
            AskOutcome::Answered(answer) => {
                self.judged.fetch_add(1, SeqCst);
                match Answer::decode(&answer).unwrap() {
                    Answer::Custody(_) => "taken".to_owned(),
                    Answer::Refused(refusal) => junk::word_of(refusal.reason),
                    other => panic!("{junk:?} is answered: {other:?}"),
                }
            }
            AskOutcome::Busy { .. } => "busy".to_owned(),
            // Who forges is hung up on.
            AskOutcome::Unreachable { .. } if junk::FORGED.contains(&junk) => "hung up".to_owned(),
            other => panic!("{junk:?} ends in {other:?}"),
        };
        let fits = junk.words().contains(&word.as_str()) || word == "busy" || word == "hung up";
        assert!(fits, "{junk:?} is told {word}");
        *self.told.lock().unwrap().entry(word).or_default() += 1;
    }

    fn judged(&self) -> u64 {
        self.judged.load(SeqCst)
    }
}

/// Whoever holds connections and streams open.
fn crowd(relay: &Person, (idle, sockets, rude): (u64, u64, u64)) -> Crowd {
    let mut crowd = Crowd::default();
    let address = RelayCard::parse(relay.card.as_ref().unwrap()).unwrap().hints[0].clone();
    for _ in 0..sockets {
        crowd.socket(relay.port, Manner::Burst(Vec::new()));
        crowd.socket(relay.port, Manner::Burst(b"\x13/multistream/1.0.0\n\x07/noi".to_vec()));
        crowd.socket(relay.port, Manner::Drip(b"\x13/multistream/1.0.0\n\x07/noise\n".to_vec()));
    }
    let half = [&60_000_u32.to_be_bytes()[..], &[1; 30_000]].concat();
    for _ in 0..rude {
        let drips = Manner::Drip(half.clone());
        crowd.peer(&address, vec![Manner::Burst(half.clone()), Manner::Burst(half[..3].to_vec()), drips]);
        crowd.peer(&address, vec![Manner::Burst(u32::MAX.to_be_bytes().to_vec())]);
    }
    for _ in 0..idle {
        crowd.peer(&address, Vec::new());
    }
    crowd
}

/// A relay, and two who know each other and are never on together from now on.
struct Scene {
    relay: Person,
    alice: Person,
    bob: Person,
    /// What each of them wrote.
    written: [Vec<String>; 2],
    links: [String; 2],
}

impl Scene {
    async fn begin() -> Self {
        let mut relay = Person::create("corner");
        relay.relay = true;
        relay.start().await;
        let card = relay.card.clone().unwrap();
        let (mut alice, mut bob) = (Person::create("alice"), Person::create("bob"));
        for person in [&mut alice, &mut bob] {
            person.start().await;
            person.client().add_relay(&card).await.unwrap();
        }
        introduce(&alice, &bob).await;
        let written = [vec!["hello".to_owned()], vec!["hello yourself".to_owned()]];
        alice.comes_to(&alice.send(&bob, &written[0][0]).await, DeliveryState::Delivered).await;
        bob.comes_to(&bob.send(&alice, &written[1][0]).await, DeliveryState::Delivered).await;
        let links = [alice.link().await, bob.link().await];
        bob.stop().await;
        Self { relay, alice, bob, written, links }
    }

    /// Letters in both directions, through the relay.
    async fn round(&mut self) {
        let [from_alice, from_bob] = &mut self.written;
        letters(&mut self.alice, &mut self.bob, from_alice).await;
        letters(&mut self.bob, &mut self.alice, from_bob).await;
    }

    async fn end(mut self) {
        self.alice.stop().await;
        self.relay.stop().await;
    }
}

/// One writes while the other is off; then the other reads while the first is off.
async fn letters(writer: &mut Person, reader: &mut Person, written: &mut Vec<String>) {
    assert!(writer.is_up() && !reader.is_up());
    let mut ids = Vec::new();
    for _ in 0..LETTERS {
        written.push(format!("letter {} of {}", written.len(), writer.name));
        ids.push(writer.send(reader, written.last().unwrap()).await);
    }
    for id in &ids {
        writer.comes_to(id, DeliveryState::Stored).await;
    }
    writer.stop().await;
    reader.start().await;
    let texts: Vec<_> = written.iter().map(String::as_str).collect();
    shows(reader, writer, &texts).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn junk_of_strangers_holds_up_nobodys_mail_and_a_relays_memory_stays_bounded() {
    let deposits = count("deposits from strangers", "KITH_JUNK_DEPOSITS", DEPOSITS);
    let idle = count("idle connections", "KITH_JUNK_IDLE", IDLE);
    let share = |full: u64| (full * idle).div_ceil(IDLE);
    let mut scene = Scene::begin().await;
    let card = scene.relay.card.clone().unwrap();
    let mut before = Depositor::connect(&card, 1).await;
    let mut granted = Vec::new();
    for link in &scene.links {
        granted.push(before.strangers_pass(link).await);
    }
    let replay = before.deposit(&granted[0], b"sent before");
    before.close().await;
    let (pid, calm) = (scene.relay.pid(), scene.relay.memory_peak());
    let flood = Arc::new(Flood {
        card,
        granted,
        replay,
        judged: AtomicU64::new(0),
        thrown: AtomicU64::new(0),
        told: Mutex::default(),
        identities: AtomicU64::new(0),
        stop: AtomicBool::new(false),
    });
    let mut strangers = JoinSet::new();
    for _ in 0..STRANGERS {
        strangers.spawn(Arc::clone(&flood).run());
    }
    let crowd = crowd(&scene.relay, (idle, share(SOCKETS), share(RUDE)));
    eventually("the crowd is in", || async {
        (scene.relay.client().status().await.ok()?.peers as u64 >= idle + share(RUDE)).then_some(())
    })
    .await;

    let mut rounds = 0;
    while rounds == 0 || flood.judged() < deposits {
        assert!(strangers.try_join_next().is_none_or(|ended| ended.is_ok()));
        let judged = flood.judged();
        scene.round().await;
        assert!(flood.judged() > judged, "the junk paused");
        rounds += 1;
    }
    flood.stop.store(true, SeqCst);
    while let Some(ended) = strangers.join_next().await {
        ended.unwrap();
    }

    let stats = scene.relay.client().relay_stats().await.unwrap();
    let (told, thrown) = (flood.told.lock().unwrap().clone(), flood.thrown.load(SeqCst));
    println!("counts: {} deposits judged, of {} strangers: {told:?}", flood.judged(), flood.identities.load(SeqCst));
    println!("counts: {rounds} rounds of {LETTERS} letters in each direction; relay: {stats:?}");
    let count = |word: &str| told.get(word).copied().unwrap_or_default();
    // Whoever was hung up on or told to wait may have been judged meanwhile.
    let unheard = count("busy") + count("hung up");
    for (word, counted) in &stats.refused {
        let heard = count(word);
        assert!((heard..=heard + unheard).contains(counted), "{word}: {heard} were told, {counted} are counted");
    }
    assert!(stats.deposits >= count("taken"));
    for word in ["taken", "no_room", "nonce", "unknown_tag", "expired", "malformed", "wrong_grant", "proof"] {
        assert!(count(word) > 0, "nobody was told {word}");
        assert!(word == "taken" || stats.refused.contains_key(word), "{word} is not counted");
    }
    // What was taken in for the honest people is nothing to them.
    assert_eq!(scene.alice.client().contacts(None).await.unwrap().len(), 1);
    // Who announces more than any request has is not kept.
    let hung_up_on = crowd.hung_up_on();
    println!("counts: {hung_up_on} of the crowd hung up on");
    assert!(hung_up_on >= share(RUDE), "{hung_up_on} were hung up on");
    assert_eq!(scene.relay.pid(), pid);
    assert!(stats.storage_ok && stats.storage_errors == 0 && stats.clock.is_none());
    match calm.zip(scene.relay.memory_peak()) {
        None => println!("\nSKIPPED in part: needs /proc/PID/status"),
        Some((calm, peak)) => {
            println!("counts: {thrown} bytes of junk; memory {calm} bytes before, {peak} at its peak");
            let held_open = idle + 3 * share(SOCKETS) + 2 * share(RUDE) + STRANGERS;
            let most = GROWTH_MAX + held_open * GROWTH_EACH;
            assert!(thrown > most, "too little junk to show anything");
            assert!(peak - calm < most, "memory grew by {} bytes, more than {most}", peak - calm);
        }
    }
    drop(crowd);
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bare_sockets_that_say_nothing_keep_nobody_out() {
    let files = allow_many_files();
    if files < 2 * BARE {
        println!("\nSKIPPED: needs {} open files (ulimit -Hn), and gets {files}", 2 * BARE);
        return;
    }
    let mut scene = Scene::begin().await;
    let mut crowd = Crowd::default();
    for _ in 0..BARE {
        crowd.socket(scene.relay.port, Manner::Burst(Vec::new()));
    }
    // Whoever comes back connects anew; so does somebody new.
    for number in 0..3 {
        scene.round().await;
        Depositor::connect(scene.relay.card.as_ref().unwrap(), number).await.close().await;
    }
    println!("counts: {} of {BARE} bare sockets were closed", crowd.hung_up_on());
    assert!(crowd.hung_up_on() > 0, "none of them was in the way");
    drop(crowd);
    scene.end().await;
}
