//! A real relay that is told to stop while mail streams in: what it signed for is there when it starts again, and what it
//! refused is not.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::print_stdout)]

use kith_node::net::AskOutcome;
use kith_protocol::{
    EnvelopeId, RelayId,
    crypto::Secret,
    mailbox::{Answer, Class, Custody, MailboxKey, Reason},
};
use kith_tests::{
    count,
    depositor::{Depositor, now},
    process::{Person, eventually},
};
use rand_chacha::{
    ChaCha20Rng,
    rand_core::{Rng as _, SeedableRng},
};
use rustix::process::Signal;
use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};
use tokio::task::JoinSet;

/// Stops of a full run.
const ROUNDS: u64 = 20;
/// Who leave mail at once.
const DEPOSITORS: u64 = 4;
/// Receipts after which the relay is told to stop: some after the first, below what one peer may ask at once.
const RECEIPTS: u64 = 600;

/// What depositors were told of their envelopes.
#[derive(Default)]
struct Heard {
    begun: BTreeSet<EnvelopeId>,
    /// The relay signed for them.
    held: BTreeSet<EnvelopeId>,
    /// Refused because it stops.
    stopping: BTreeSet<EnvelopeId>,
    /// Refused before the relay's own thread saw them.
    busy: BTreeSet<EnvelopeId>,
    /// The connection ended before the answer: nobody knows.
    cut: BTreeSet<EnvelopeId>,
}

impl Heard {
    fn hear(&mut self, relay: &RelayId, id: EnvelopeId, outcome: &AskOutcome) {
        let heard = match outcome {
            AskOutcome::Answered(answer) => match Answer::decode(answer).unwrap() {
                Answer::Custody(signed) => {
                    assert_eq!(Custody::verify(&signed, relay).unwrap().envelope, id);
                    &mut self.held
                }
                Answer::Refused(refusal) if refusal.reason == Reason::Stopping => &mut self.stopping,
                other => panic!("a deposit is answered: {other:?}"),
            },
            AskOutcome::Busy { .. } => &mut self.busy,
            AskOutcome::Unreachable { .. } => &mut self.cut,
            other => panic!("a deposit ends in {other:?}"),
        };
        heard.insert(id);
    }
}

/// Leaves one envelope after the other until the relay is gone.
async fn stream(card: String, key: MailboxKey, number: u64, heard: Arc<Mutex<Heard>>) {
    let mut depositor = Depositor::connect(&card, number).await;
    let pass = depositor.pass_of(&key, Class::Contact, number, now().plus_days(30));
    let nonce = depositor.nonce;
    let questions = (0_u64..).map(|n| {
        let envelope = [number.to_be_bytes(), n.to_be_bytes()].concat().repeat(64);
        let id = EnvelopeId::of(&envelope);
        heard.lock().unwrap().begun.insert(id);
        (id, pass.deposit(&nonce, now().day(), now().plus_days(30), false, &envelope))
    });
    depositor.ask_all(questions, |id, outcome| heard.lock().unwrap().hear(&pass.relay, id, &outcome)).await;
    depositor.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_told_to_stop_under_load_holds_all_it_signed_for_and_nothing_it_refused() {
    let rounds = count("stops of a relay under load", "KITH_RELAY_STOPS", ROUNDS);
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let mut relay = Person::create("corner");
    relay.relay = true;
    relay.start().await;
    let card = relay.card.clone().unwrap();
    let (mut held, mut unsigned, mut counts) = (0, 0, [0; 4]);
    for round in 1..=rounds {
        let mut seed = [5; 32];
        seed[..8].copy_from_slice(&round.to_be_bytes());
        let key = || MailboxKey::from_seed(&Secret::new(seed));
        let mut owner = Depositor::connect(&card, 0).await;
        owner.register(&key()).await;
        owner.close().await;
        let heard = Arc::new(Mutex::new(Heard::default()));
        let mut streams = JoinSet::new();
        for number in 1..=DEPOSITORS {
            streams.spawn(stream(card.clone(), key(), round * DEPOSITORS + number, Arc::clone(&heard)));
        }
        let enough = usize::try_from(1 + rng.next_u64() % RECEIPTS).unwrap();
        eventually("mail streams in", || async { (heard.lock().unwrap().held.len() >= enough).then_some(()) }).await;
        let ended = relay.signal(Signal::TERM).await;
        assert_eq!(ended.code(), Some(0), "{ended}");
        while let Some(ended) = streams.join_next().await {
            ended.unwrap();
        }

        relay.start().await;
        let mut owner = Depositor::connect(&card, 0).await;
        let there: BTreeSet<_> = owner.fetch(&key()).await.iter().map(|envelope| EnvelopeId::of(envelope)).collect();
        owner.close().await;
        let heard = std::mem::take(&mut *heard.lock().unwrap());
        let lost: Vec<_> = heard.held.difference(&there).collect();
        assert!(lost.is_empty(), "round {round}: {} of {} signed for are lost", lost.len(), heard.held.len());
        for refused in [&heard.stopping, &heard.busy] {
            assert_eq!(there.intersection(refused).count(), 0, "round {round}: refused, and held");
        }
        assert!(there.is_subset(&heard.begun), "round {round}: what nobody left");
        unsigned += there.intersection(&heard.cut).count();
        held += there.len() as u64;
        assert_eq!(relay.client().relay_stats().await.unwrap().envelopes, held, "round {round}");
        for (count, of) in counts.iter_mut().zip([&heard.held, &heard.stopping, &heard.busy, &heard.cut]) {
            *count += of.len();
        }
    }
    let [signed, stopping, busy, cut] = counts;
    println!("counts: {rounds} stops: {signed} signed for, {stopping} told that it stops, {busy} busy, {cut} cut off");
    println!("counts: {unsigned} of those cut off are held");
    assert!(stopping + busy + cut > 0, "nobody was there when it stopped");
    relay.stop().await;
}
