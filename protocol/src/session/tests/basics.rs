//! Two people talk: order, loss, restart, what is stored.

use super::*;
use crate::{
    identity::DeviceSecrets,
    prekey::{Bundle, OneTimeKeys, PrekeyPool},
};

#[test]
fn two_devices_talk_both_ways_through_envelopes_and_restarts() {
    let (mut alice, mut bob) = strangers();
    let mut said = 0;
    for round in 0..4 {
        for _ in 0..3 {
            let text = format!("to bob {said}");
            let body = alice.send(&bob, &text);
            assert_eq!(bob.open(&alice, &through_envelope(&bob, &body)).unwrap(), text);
            said += 1;
        }
        alice.restart();
        for _ in 0..2 {
            let text = format!("to alice {said}");
            let body = bob.send(&alice, &text);
            assert_eq!(alice.open(&bob, &through_envelope(&alice, &body)).unwrap(), text);
            said += 1;
        }
        bob.restart();
        assert_eq!(alice.session_in_use(&bob), bob.session_in_use(&alice), "round {round}");
    }
    assert_eq!(bob.with(&alice.peer()).list.len(), 1);
    assert!(bob.one_time.is_empty(), "the one-time key is used up");
}

#[test]
fn r_ses_10_any_message_before_the_answer_can_begin_the_session_and_none_begins_it_again() {
    let (mut alice, mut bob) = strangers();
    let bodies: Vec<_> = (0..4).map(|i| alice.send(&bob, &i.to_string())).collect();
    assert!(bodies.iter().all(|b| matches!(b, EnvelopeBody::Initial(_))));
    for i in [2usize, 0, 3, 1] {
        assert_eq!(bob.open(&alice, &bodies[i]).unwrap(), i.to_string());
    }
    let session = bob.session_in_use(&alice);
    assert_eq!(bob.with(&alice.peer()).list.len(), 1);
    let answer = bob.seal(&alice, "answer");
    alice.open(&bob, &answer).unwrap();
    // What was sealed before the answer came is still in its first form.
    let after = alice.seal(&bob, "after");
    assert!(matches!(after, EnvelopeBody::Ratchet(_)));
    assert_eq!(bob.open(&alice, &after).unwrap(), "after");
    for body in &bodies {
        assert_eq!(bob.open(&alice, body), Err(open::Error::Duplicate));
    }
    assert_eq!(bob.session_in_use(&alice), session);
}

#[test]
fn messages_arrive_in_any_order_across_ratchet_steps() {
    let (mut alice, mut bob) = friends();
    let mut late = Vec::new();
    for round in 0..6 {
        let bodies: Vec<_> =
            (0..4).map(|i| (format!("{round}/{i}"), alice.seal(&bob, &format!("{round}/{i}")))).collect();
        // Only the last of each chain arrives at once.
        let (text, body) = bodies.last().unwrap();
        assert_eq!(bob.open(&alice, body).unwrap(), *text);
        late.extend(bodies.into_iter().take(3));
        let answer = bob.seal(&alice, "next");
        alice.open(&bob, &answer).unwrap();
    }
    for (text, body) in late.iter().rev() {
        assert_eq!(bob.open(&alice, body).unwrap(), *text);
    }
    assert_eq!(bob.with(&alice.peer()).list[0].skipped.len(), 0);
}

#[test]
fn r_ses_7_used_keys_and_passed_chain_keys_are_gone_from_the_stored_state() {
    let (mut alice, mut bob) = friends();
    let holds = |person: &Person, secret: &[u8; 32]| person.state().windows(32).any(|w| w == secret);
    let mut old = Vec::new();
    for round in 0..5 {
        let state = bob.with(&alice.peer()).list[0].clone();
        let body = alice.seal(&bob, "x");
        let sending = match &alice.with(&bob.peer()).list[0].turn {
            ratchet::Turn::Theirs(chain) => chain.clone(),
            ratchet::Turn::Ours { .. } => panic!("a chain is out"),
        };
        bob.open(&alice, &body).unwrap();
        if let Some(chain) = &state.receiving {
            old.push(*chain.key.as_bytes());
        }
        if let ratchet::Turn::Theirs(chain) = &state.turn {
            old.push(*chain.key.as_bytes());
            old.push(*chain.secret.to_bytes().as_bytes());
        }
        old.push(*state.root.as_bytes());
        assert!(
            holds(&alice, sending.key.as_bytes()),
            "the present chain key is there, so that absence means something"
        );
        let answer = bob.seal(&alice, "y");
        alice.open(&bob, &answer).unwrap();
        // Bob still stands at the key that Alice's chain ended with; Alice has no use for it any more.
        assert!(!holds(&alice, sending.key.as_bytes()) && holds(&bob, sending.key.as_bytes()));
        old.push(*sending.secret.to_bytes().as_bytes());
        for secret in &old {
            assert!(!holds(&alice, secret) && !holds(&bob, secret), "round {round}");
        }
    }
}

#[test]
fn stored_form_that_is_damaged_is_refused() {
    let (alice, bob) = friends();
    let config = bincode::config::standard();
    let bytes = bincode::serde::encode_to_vec(StoredSessions::from(&alice.with(&bob.peer())), config).unwrap();
    let mut dh = bytes.clone();
    dh[64..96].fill(0); // account, device, then the peer's DH key
    let (stored, _): (StoredSessions, usize) = bincode::serde::decode_from_slice(&dh, config).unwrap();
    assert_eq!(Sessions::try_from(&stored).err(), Some(BadStored));
}

#[test]
fn an_unanswered_session_is_begun_anew_after_thirty_days() {
    let (mut alice, bob) = strangers();
    let first = alice.send(&bob, "one");
    alice.now = START.plus_millis(30 * DAY_MS);
    let refused = alice.with(&bob.peer()).seal(&alice.local(), b"two", alice.now, &mut rng(3)).err();
    assert_eq!(refused, Some(seal::Error::Unanswered));
    let second = alice.send(&bob, "two");
    let (first, second) = (Inbound::decode(&first).unwrap(), Inbound::decode(&second).unwrap());
    assert_ne!(first.session(), second.session());
    assert_eq!(alice.session_in_use(&bob), second.session());
    // One that was answered does not age.
    let (mut alice, mut bob) = friends();
    alice.now = START.plus_days(400);
    bob.now = alice.now;
    let body = alice.seal(&bob, "a year later");
    assert_eq!(bob.open(&alice, &body).unwrap(), "a year later");
}

#[test]
fn payload_larger_than_its_maximum_is_not_sealed_and_the_largest_fits_every_form() {
    let (alice, bob) = strangers();
    let (me, sessions, keys) = (alice.local(), Sessions::new(bob.peer()), bob.keys());
    let largest = vec![1; crate::limits::PAYLOAD_MAX];
    let step = sessions.initiate(&me, &keys, &largest, START, &mut rng(1)).unwrap();
    assert_eq!(bob.try_open(&alice, &through_envelope(&bob, &step.message)).unwrap().payload.len(), largest.len());
    let larger = vec![1; crate::limits::PAYLOAD_MAX + 1];
    assert_eq!(sessions.initiate(&me, &keys, &larger, START, &mut rng(1)).err(), Some(seal::Error::TooLarge));
}

/// A real pool, the one-time keys handed to the device that writes, and the session that began before.
struct PoolKeys<'a> {
    pool: &'a PrekeyPool,
    one_time: &'a OneTimeKeys,
    begun: Option<SessionId>,
}

impl OwnKeys for PoolKeys<'_> {
    fn signed_prekey(&self, id: u32) -> Option<OwnPrekey> {
        let keys = self.pool.by_id(id)?;
        Some(OwnPrekey { dh: keys.signed_prekey().clone(), kem: keys.kem_prekey().clone() })
    }

    fn one_time(&self, id: u32) -> Option<DhSecret> {
        self.one_time.ours(id, START).cloned()
    }

    fn seen(&self, session: &SessionId) -> bool {
        self.begun == Some(*session)
    }
}

#[test]
fn a_session_begins_with_a_real_bundle_and_a_handed_one_time_key() {
    let mut rng = rng(12);
    let (alice, bob) = (DeviceSecrets::generate(&mut rng), DeviceSecrets::generate(&mut rng));
    let (a, b) = (AccountId::from_bytes([1; 32]), AccountId::from_bytes([2; 32]));
    let mut pool = PrekeyPool::generate(START, &mut rng);
    let signed = pool.bundle(b, &bob, START).encode();
    let bundle = Bundle::verify(&signed, &b, bob.info(), START).unwrap();
    let (mut at_bob, mut at_alice) = (OneTimeKeys::default(), OneTimeKeys::default());
    at_alice.accept(&at_bob.refill(START, &mut rng), START).unwrap();
    let handed = at_alice.take(START).unwrap();

    let sessions = Sessions::new(PeerDevice::new(b, bob.info()));
    let keys = PeerKeys::new(&bundle, Some(&handed));
    let step = sessions.initiate(&LocalDevice::new(a, &alice), &keys, b"hello", START, &mut rng).unwrap();
    let inbound = Inbound::decode(&step.message).unwrap();
    assert_eq!(inbound.sender_device(), alice.id());
    let open = |one_time: &OneTimeKeys, begun: Option<SessionId>| {
        let keys = PoolKeys { pool: &pool, one_time, begun };
        Sessions::open_stranger(&LocalDevice::new(b, &bob), &keys, &inbound, START)
    };
    let opened = open(&at_bob, None).unwrap().confirm(&PeerDevice::new(a, alice.info())).unwrap();
    assert_eq!(opened.payload.as_slice(), b"hello");
    let begun = opened.begun.unwrap();
    assert_eq!((begun.one_time_id, begun.signed_prekey_id), (Some(handed.id), pool.current().id()));
    at_bob.consume(handed.id);
    assert_eq!(open(&at_bob, None).err(), Some(open::Error::StalePrekey));
    assert_eq!(open(&at_bob, Some(begun.session)).err(), Some(open::Error::Duplicate));
}
