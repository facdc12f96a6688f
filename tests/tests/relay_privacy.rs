//! Relays that write down all they can see of twenty people: no more than the budget of `docs/privacy.md`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::print_stdout)]

use kith_node::{api::types::DeliveryState, app::Command};
use kith_protocol::{
    EnvelopeId, RelayId, limits,
    mailbox::{Answer, Ask, Hello, Nonce, OwnerAsk, RelayCard, SignedAsk, Welcome},
};
use kith_tests::{
    canary::{Canary, Finder, files, memory_of},
    process::{Person, eventually},
    world::{Relay, Weather, World},
};
use std::collections::{BTreeMap, BTreeSet, HashSet};

const PEOPLE: usize = 20;
const RELAYS: usize = 3;
const HOUR: u64 = 60 * 60_000;
const DAYS: u64 = 2;
/// Looks into mailboxes that are compared byte by byte, of each relay: one is like the other.
const FETCHES: u32 = 300;
/// How long a stretch of bytes is that two relays never have in common by chance, nor because all grants of a day say it.
const STRETCH: usize = 20;
/// Every so manyth stretch of one relay is looked for among all of the other: what both know is longer by that.
const STEP: usize = 4;

/// What a relay makes of what it wrote down.
#[derive(Default)]
struct Notes {
    /// Everything in which a person could be recognised, of each kind.
    marks: BTreeMap<&'static str, BTreeSet<Vec<u8>>>,
    /// The tags that a mailbox registered for each day.
    days: BTreeMap<u64, BTreeSet<Vec<u8>>>,
    /// The day and the tag of each deposit.
    deposits: Vec<(u64, Vec<u8>)>,
    /// Lengths of envelopes.
    lengths: BTreeSet<usize>,
    /// Lengths of kept descriptors.
    kept_lengths: BTreeSet<usize>,
    envelopes: BTreeSet<EnvelopeId>,
    /// Bytes of requests that hold no envelope and name none.
    plain: Vec<u8>,
    fetches: u32,
    read: u64,
}

impl Notes {
    fn mark(&mut self, kind: &'static str, bytes: impl AsRef<[u8]>) {
        self.marks.entry(kind).or_default().insert(bytes.as_ref().to_vec());
    }

    fn of(relay: &Relay) -> Self {
        let mut notes = Self::default();
        let mut nonces = BTreeMap::new();
        for heard in relay.heard.as_ref().unwrap() {
            let nonce = nonces.get(&heard.from).copied().unwrap_or(Nonce([0; 16]));
            let asked = SignedAsk::decode(&heard.request).unwrap().verify(&relay.id(), &nonce);
            // Asked before the relay was started anew: refused by it as well.
            let Ok(ask) = asked else { continue };
            notes.read += 1;
            match &ask {
                Ask::Deposit(_) | Ask::Audit(_) | Ask::Owner { ask: OwnerAsk::Acknowledge { .. }, .. } => {}
                Ask::Owner { ask: OwnerAsk::Fetch { .. }, .. } if notes.fetches >= FETCHES => {}
                Ask::Owner { ask: OwnerAsk::Fetch { .. }, .. } => {
                    notes.fetches += 1;
                    notes.plain.extend(&heard.request);
                }
                _ => notes.plain.extend(&heard.request),
            }
            match ask {
                Ask::Hello(hello) => {
                    nonces.insert(heard.from.clone(), nonce_of(&heard.answer, relay, &hello));
                    notes.mark("challenge", hello.challenge);
                }
                Ask::Owner { mailbox, ask } => {
                    notes.mark("mailbox", mailbox.as_bytes());
                    notes.owner(ask);
                }
                Ask::Deposit(deposit) => {
                    notes.mark("grant", deposit.grant.encode());
                    notes.mark("mailbox", deposit.grant.mailbox.as_bytes());
                    if let Some(depositor) = &deposit.grant.terms.depositor {
                        notes.mark("depositor", depositor.as_bytes());
                    }
                    notes.deposits.push((u64::from(heard.at.day().0), deposit.tag.as_bytes().to_vec()));
                    notes.lengths.insert(deposit.envelope.len());
                    notes.envelopes.insert(deposit.id);
                }
                Ask::TakePrekey { grant, .. } => notes.mark("grant", grant.encode()),
                Ask::Kept { ids } => ids.iter().for_each(|id| notes.mark("descriptor's name", id.as_bytes())),
                Ask::Audit(_) => {}
            }
        }
        notes
    }

    fn owner(&mut self, ask: OwnerAsk) {
        match ask {
            OwnerAsk::Register { first, tags, .. } => {
                for (day, tags) in (u64::from(first.0)..).zip(tags) {
                    for tag in tags {
                        self.mark("tag", tag.as_bytes());
                        self.days.entry(day).or_default().insert(tag.as_bytes().to_vec());
                    }
                }
            }
            OwnerAsk::PutPrekeys { keys } => keys.iter().for_each(|(_, key)| self.mark("one-time key", key)),
            OwnerAsk::Keep { id, sealed, .. } => {
                self.mark("descriptor's name", id.as_bytes());
                if !sealed.is_empty() {
                    self.mark("descriptor", &sealed);
                    self.kept_lengths.insert(sealed.len());
                }
            }
            OwnerAsk::Fetch { .. } | OwnerAsk::Acknowledge { .. } | OwnerAsk::Revoke { .. } | OwnerAsk::Leave => {}
        }
    }
}

fn nonce_of(answer: &[u8], relay: &Relay, hello: &Hello) -> Nonce {
    let Ok(Answer::Welcome(bytes)) = Answer::decode(answer) else { panic!("no welcome") };
    Welcome::verify(&bytes, &relay.id(), hello, &relay.peer().0).unwrap().nonce
}

/// Everything that only the people themselves and their contacts may know.
fn secrets(world: &World) -> Vec<Canary> {
    let mut canaries = Vec::new();
    for (who, person) in world.people.iter().enumerate() {
        canaries.push(Canary::new("an account", person.account().as_bytes()));
        let me = person.me();
        canaries.push(Canary::new("a device", me.device.as_bytes()));
        // Without what all codes begin with.
        canaries.push(Canary::new("a code", &me.code[6..]));
        canaries.push(Canary::new("a name", name_of(who)));
        canaries.extend((0..PEOPLE).map(|other| Canary::new("a petname", petname(who, other))));
    }
    canaries.extend(world.ledger.tried.iter().map(|text| Canary::new("a text", &text.as_bytes()[..TEXT.len() + 8])));
    canaries
}

const TEXT: &str = "canary text";

fn name_of(who: usize) -> String {
    format!("canary-name-of-{who}")
}

fn petname(who: usize, other: usize) -> String {
    format!("petname-{who}-for-{other}")
}

/// Twenty people at three relays that write everything down, over days: strangers meet, friends write, some sleep.
fn recorded() -> World {
    let mut world = World::new(59, PEOPLE, Weather::fine());
    world.relays_only = true;
    world.add_relays(RELAYS);
    for relay in &mut world.relays {
        relay.heard = Some(Vec::new());
    }
    for who in 0..PEOPLE {
        world.act(who, Command::SetName { name: name_of(who) });
        for relay in 0..RELAYS {
            world.use_relay(who, relay);
        }
    }
    world.run_for(60_000);
    for who in 0..PEOPLE {
        for step in [1, 7] {
            let other = (who + step) % PEOPLE;
            let code_or_link = world.people[other].link();
            world.act(who, Command::ContactAdd { code_or_link, name: Some(petname(who, other)) });
        }
    }
    world.run_for(10 * 60_000);
    let mut number = 0;
    for day in 0..DAYS {
        for sleeper in 0..PEOPLE {
            // Never are all on together.
            world.sleep((sleeper + 3) % PEOPLE);
            for step in [1, 7] {
                number += 1;
                let padding = "x".repeat((number * 97) % 9_000);
                world.send(sleeper, (sleeper + step) % PEOPLE, &format!("{TEXT} {number:06} of day {day} {padding}"));
            }
            world.run_for(5 * 60_000);
            world.wake((sleeper + 3) % PEOPLE);
            world.run_for(60_000);
            for account in world.people[sleeper].asked_by() {
                world.act(sleeper, Command::ContactAccept { account });
            }
        }
        world.run_for(22 * HOUR);
    }
    assert!(world.run_until_settled(24 * HOUR), "everything came");
    world.ledger.check(59, &world.people);
    world
}

#[test]
fn r_mbx_7_recording_relays_of_twenty_people_see_no_more_than_their_budget() {
    let world = recorded();
    let notes: Vec<_> = world.relays.iter().map(Notes::of).collect();
    let finder = Finder::new(secrets(&world));
    for (relay, notes) in world.relays.iter().zip(&notes) {
        let heard = relay.heard.as_ref().unwrap();
        println!(
            "counts: {} requests written down, {} of them read, {} deposits, envelopes of {:?} bytes",
            heard.len(),
            notes.read,
            notes.deposits.len(),
            notes.lengths
        );
        assert!(notes.read > 1_000 && notes.read * 10 > 9 * heard.len() as u64);
        // Nobody's words, names, codes, accounts, devices.
        for heard in heard {
            finder.assert_silent("a request", &heard.request);
            finder.assert_silent("an answer", &heard.answer);
        }
        finder.assert_silent("a relay's disk", &relay.image());
        // Sizes in few classes.
        let classes = notes.lengths.len();
        assert!((4..=9).contains(&classes), "{:?}", notes.lengths);
        let class = |length: &usize| 1 << length.ilog2();
        let is_class = |length: &usize| {
            (limits::ENVELOPE_BUCKET_MIN..=limits::ENVELOPE_BUCKET_MAX).contains(&class(length))
                && (1..=limits::ENVELOPE_OVERHEAD).contains(&(length - class(length)))
        };
        assert!(notes.lengths.iter().all(is_class), "{:?}", notes.lengths);
        let first = notes.kept_lengths.first().unwrap();
        assert!(notes.kept_lengths.iter().all(|length| (length - first) % 1024 == 0), "{:?}", notes.kept_lengths);
        // A tag is one mailbox's on one day: those of two days have nothing in common.
        assert_eq!(notes.marks["mailbox"].len(), PEOPLE);
        let mut seen = BTreeSet::new();
        for (day, tags) in &notes.days {
            assert!(tags.iter().all(|tag| seen.insert(tag)), "a tag of day {day} is one of another day");
        }
        for (day, tag) in &notes.deposits {
            assert!(notes.days[day].contains(tag), "a deposit under a tag of another day");
        }
        let days: BTreeSet<_> = notes.deposits.iter().map(|(day, _)| day).collect();
        assert!(days.len() as u64 >= DAYS, "deposits on {} days", days.len());
    }
    // Two relays together: nothing by which they know the same person again, but the machine and the envelope itself.
    for (n, one) in notes.iter().enumerate() {
        for other in &notes[n + 1..] {
            for (kind, marks) in &one.marks {
                assert!(!marks.is_empty());
                let same = marks.intersection(&other.marks[kind]).count();
                assert_eq!(same, 0, "{same} of {} marks of kind '{kind}' are the same at two relays", marks.len());
            }
            let stretches: HashSet<_> = one.plain.windows(STRETCH).step_by(STEP).collect();
            let same = other.plain.windows(STRETCH).find(|window| stretches.contains(window) && is_mark(window));
            assert_eq!(same, None, "bytes that two relays are told alike");
            assert!(one.envelopes.intersection(&other.envelopes).count() > 0, "copies lie at two relays");
        }
    }
}

/// Whether a stretch of bytes could name somebody: not a run of few different ones.
fn is_mark(window: &[u8]) -> bool {
    window.iter().collect::<BTreeSet<_>>().len() > STRETCH / 2
}

/// A real relay with everything it says, and twenty real daemons that leave mail at it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_memory_the_disk_and_the_log_of_a_relay_know_nothing_of_twenty_people() {
    if memory_of(std::process::id()).is_err() {
        println!("\nSKIPPED: needs /proc/PID/mem, and the right to read it");
        return;
    }
    let logs = tempfile::tempdir().unwrap();
    let mut relay = Person::create("relay-canary-name");
    relay.relay = true;
    relay.log = Some(("trace".into(), logs.path().join("relay.log")));
    relay.start().await;
    let card = relay.card.clone().unwrap();
    let mut people = Vec::new();
    for who in 0..PEOPLE {
        let mut person = Person::create(&name_of(who));
        person.start().await;
        person.client().add_relay(&card).await.unwrap();
        people.push(person);
    }
    let mut canaries = Vec::new();
    for (who, person) in people.iter().enumerate() {
        let me = person.client().me().await.unwrap();
        canaries.push(Canary::new("an account", person.account.as_bytes()));
        canaries.push(Canary::new("a device", me.device.as_bytes()));
        canaries.push(Canary::new("a code", &me.code[6..]));
        canaries.push(Canary::new("a name", name_of(who)));
        canaries.push(Canary::new("a petname", petname(who, who ^ 1)));
        canaries.push(Canary::new("a text", text_of(who)));
    }
    let finder = Finder::new(canaries);
    let watch = Watch { pid: relay.pid(), relay: RelayCard::parse(&card).unwrap().relay, finder };
    // One of each pair is off when it is written to, and its friend when it wakes.
    let links: Vec<_> = futures::future::join_all(people.iter().map(Person::link)).await;
    for who in (1..PEOPLE).step_by(2) {
        people[who].client().add_contact(&links[who - 1], Some(&petname(who, who - 1))).await.unwrap();
        people[who].kill();
    }
    let mut sent = Vec::new();
    for who in (0..PEOPLE).step_by(2) {
        people[who].client().add_contact(&links[who + 1], Some(&petname(who, who + 1))).await.unwrap();
        sent.push(people[who].send(&people[who + 1], &text_of(who)).await);
    }
    for (pair, id) in sent.iter().enumerate() {
        let person = &people[2 * pair];
        eventually("the relay holds it", || async {
            let state = person.client().message(&id.to_string()).await.ok()?.state;
            (state == DeliveryState::Stored).then_some(())
        })
        .await;
    }
    watch.look("while mail waits");
    for who in (0..PEOPLE).step_by(2) {
        people[who].kill();
        people[who + 1].start().await;
    }
    for who in (0..PEOPLE).step_by(2) {
        let (writer, reader) = (&people[who], &people[who + 1]);
        eventually("it came", || async { (reader.shown_from(writer).await == [text_of(who)]).then_some(()) }).await;
        let answer = reader.send(writer, &text_of(who + 1)).await;
        eventually("the relay holds the answer", || async {
            let state = reader.client().message(&answer.to_string()).await.ok()?.state;
            (state == DeliveryState::Stored).then_some(())
        })
        .await;
    }
    watch.look("once it was collected");
    let stats = relay.client().relay_stats().await.unwrap();
    println!("counts: {} mailboxes, {} envelopes collected", stats.mailboxes, stats.collected);
    assert_eq!((stats.mailboxes, stats.collected >= PEOPLE as u64 / 2), (PEOPLE as u64, true));
    relay.kill();
    for file in files(&relay.home()).into_iter().chain(files(logs.path())) {
        let bytes = std::fs::read(&file).unwrap();
        println!("counts: {} bytes of {} searched", bytes.len(), file.file_name().unwrap().display());
        watch.finder.assert_silent(&file.display().to_string(), &bytes);
    }
}

fn text_of(who: usize) -> String {
    format!("{TEXT} of the person with the number {who:03}")
}

/// Looks into a relay's memory.
struct Watch {
    pid: u32,
    relay: RelayId,
    finder: Finder,
}

impl Watch {
    fn look(&self, when: &str) {
        let memory = memory_of(self.pid).unwrap();
        let size: usize = memory.iter().map(Vec::len).sum();
        println!("counts: {size} bytes of memory searched {when}");
        // What must be there is found: its key.
        let known = Finder::new([Canary::new("the relay's own key", self.relay.as_bytes())]);
        assert!(memory.iter().any(|stretch| known.find(stretch).is_some()), "this is not the relay's memory");
        for stretch in &memory {
            self.finder.assert_silent(&format!("the relay's memory {when}"), stretch);
        }
    }
}
