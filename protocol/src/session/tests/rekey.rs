//! The ML-KEM step: when it happens, that it is repeated, and that it cannot be stripped.

use super::{
    hostile::{Forged, forge},
    *,
};
use crate::{limits, proto, wire};

fn header(body: &EnvelopeBody) -> proto::session::Header {
    let inbound = Inbound::decode(body).unwrap();
    wire::decode(&inbound.message.header, limits::RATCHET_HEADER_MAX).unwrap()
}

fn steps(person: &Person, peer: &Person) -> u32 {
    person.with(&peer.peer()).list.last().unwrap().pq.steps
}

#[test]
fn r_ses_8_a_step_is_offered_after_fifty_messages_repeated_and_answered_once() {
    let (mut alice, mut bob) = friends();
    for _ in 0..limits::PQ_STEP_MESSAGES - 4 {
        let body = alice.seal(&bob, "x");
        bob.open(&alice, &body).unwrap();
    }
    let answer = bob.seal(&alice, "forty-nine");
    assert!(header(&answer).pq_offer.is_empty());
    alice.open(&bob, &answer).unwrap();
    let body = alice.seal(&bob, "fifty");
    assert!(header(&body).pq_offer.is_empty());
    bob.open(&alice, &body).unwrap();

    let offers: Vec<_> = (0..3).map(|i| bob.seal(&alice, &i.to_string())).collect();
    let offered = header(&offers[0]).pq_offer;
    assert_eq!(offered.len(), 1184);
    assert!(offers.iter().all(|b| header(b).pq_offer == offered && header(b).pq_step == 1), "repeated in every header");
    // The last one alone arrives first: it carries the offer too.
    assert_eq!(alice.open(&bob, &offers[2]).unwrap(), "2");
    let answers: Vec<_> = (0..3).map(|i| alice.seal(&bob, &i.to_string())).collect();
    let ciphertext = header(&answers[0]).pq_answer;
    assert_eq!(ciphertext.len(), 1088);
    assert!(answers.iter().all(|b| header(b).pq_answer == ciphertext && header(b).pq_offer.is_empty()));
    assert_eq!((steps(&alice, &bob), steps(&bob, &alice)), (1, 0));
    alice.restart();
    bob.restart();
    assert_eq!(bob.open(&alice, &answers[1]).unwrap(), "1");
    assert_eq!((steps(&alice, &bob), steps(&bob, &alice)), (1, 1));
    let next = bob.seal(&alice, "done");
    assert!(header(&next).pq_offer.is_empty() && header(&next).pq_answer.is_empty() && header(&next).pq_step == 1);
    assert_eq!(alice.open(&bob, &next).unwrap(), "done");
    for (person, from, bodies, texts) in [(&mut alice, &bob, &offers, ["0", "1"])] {
        for (body, text) in bodies.iter().zip(texts) {
            assert_eq!(person.open(from, body).unwrap(), text);
        }
    }
    for i in [0, 2] {
        assert_eq!(bob.open(&alice, &answers[i]).unwrap(), i.to_string());
    }
}

#[test]
fn r_ses_8_a_step_is_offered_after_seven_days_and_steps_go_on() {
    let (mut alice, mut bob) = friends();
    for week in 1..5 {
        alice.now = START.plus_days(7 * week);
        bob.now = alice.now;
        let offer = alice.seal(&bob, "offer");
        let offering = header(&offer);
        assert_eq!((offering.pq_offer.len(), offering.pq_step), (1184, week as u32));
        bob.open(&alice, &offer).unwrap();
        let answer = bob.seal(&alice, "answer");
        assert_eq!(header(&answer).pq_answer.len(), 1088);
        alice.open(&bob, &answer).unwrap();
        assert_eq!((steps(&alice, &bob), steps(&bob, &alice)), (week as u32, week as u32));
    }
}

#[test]
fn the_step_changes_the_root_and_its_private_key_is_gone_afterwards() {
    let (mut alice, mut bob) = friends();
    alice.now = START.plus_days(7);
    bob.now = alice.now;
    let offer = alice.seal(&bob, "offer");
    let seed = match &alice.with(&bob.peer()).list[0].turn {
        ratchet::Turn::Theirs(chain) => match &chain.pq {
            pq_step::OurPq::Offer(secret) => secret.to_seed().as_bytes().to_vec(),
            _ => panic!("an offer is out"),
        },
        ratchet::Turn::Ours { .. } => panic!("a chain is out"),
    };
    let holds = |person: &Person| person.state().windows(64).any(|w| w == seed);
    assert!(holds(&alice));
    bob.open(&alice, &offer).unwrap();
    let answer = bob.seal(&alice, "answer");
    alice.open(&bob, &answer).unwrap();
    assert!(!holds(&alice));
}

#[test]
fn c05_11_an_answer_cannot_be_left_out_nor_an_offer_be_lowered() {
    let (mut alice, mut bob) = friends();
    alice.now = START.plus_days(7);
    bob.now = alice.now;
    let offer = alice.seal(&bob, "offer");
    bob.open(&alice, &offer).unwrap();
    // Bob, hostile, makes the plain root step although an answer is due.
    let mut hostile = bob.clone();
    let session = &mut hostile.sessions.get_mut(&alice.device).unwrap().list[0];
    session.turn = ratchet::Turn::Ours { offered: None };
    session.pq.since = hostile.now; // nor does he offer a step of his own
    for step in [0, 1, 2, u32::MAX] {
        let Forged { body, .. } = forge(&hostile, &alice, |h| {
            assert!(h.pq_offer.is_empty() && h.pq_answer.is_empty());
            h.pq_step = step;
        });
        assert_eq!(alice.open(&bob, &body), Err(open::Error::NotAuthentic), "step {step}");
    }
    // Nor can he offer a step of his own in place of the answer.
    hostile.sessions.get_mut(&alice.device).unwrap().list[0].pq.since = START;
    let Forged { body, .. } = forge(&hostile, &alice, |h| assert!(h.pq_offer.len() == 1184 && h.pq_step == 1));
    assert_eq!(alice.open(&bob, &body), Err(open::Error::NotAuthentic));
    // The honest answer still opens.
    let answer = bob.seal(&alice, "answer");
    assert_eq!(alice.open(&bob, &answer).unwrap(), "answer");
}

#[test]
fn c05_10_an_offered_key_above_the_modulus_and_a_bent_answer_are_refused() {
    let (mut offerer, mut answerer) = friends();
    offerer.now = START.plus_days(7);
    answerer.now = offerer.now;
    for bad in [vec![0xff; 1184], vec![0; 1183], vec![0; 1185], vec![1]] {
        let forged = forge(&offerer, &answerer, |h| h.pq_offer = bad.clone());
        let refused = answerer.open(&offerer, &forged.body);
        assert!(matches!(refused, Err(open::Error::Malformed(_))), "{refused:?}");
    }
    let offer = offerer.seal(&answerer, "offer");
    answerer.open(&offerer, &offer).unwrap();
    for bad in [vec![0; 1087], vec![0; 1089], vec![2]] {
        let forged = forge(&answerer, &offerer, |h| h.pq_answer = bad.clone());
        let refused = offerer.open(&answerer, &forged.body);
        assert!(matches!(refused, Err(open::Error::Malformed(_))), "{refused:?}");
    }
    // A bent ciphertext gives another secret (implicit rejection): the same error as a wrong tag.
    let forged = forge(&answerer, &offerer, |h| h.pq_answer[5] ^= 1);
    assert_eq!(offerer.open(&answerer, &forged.body), Err(open::Error::NotAuthentic));
    let answer = answerer.seal(&offerer, "answer");
    assert_eq!(offerer.open(&answerer, &answer).unwrap(), "answer");
}

#[test]
fn the_largest_payload_fits_beside_an_offer_and_beside_an_answer() {
    let (mut alice, mut bob) = friends();
    alice.now = START.plus_days(7);
    bob.now = alice.now;
    let largest = "x".repeat(limits::PAYLOAD_MAX);
    let offer = alice.seal(&bob, &largest);
    assert_eq!(header(&offer).pq_offer.len(), 1184);
    assert_eq!(bob.open(&alice, &through_envelope(&bob, &offer)).unwrap(), largest);
    let answer = bob.seal(&alice, &largest);
    assert_eq!(header(&answer).pq_answer.len(), 1088);
    assert_eq!(alice.open(&bob, &through_envelope(&alice, &answer)).unwrap(), largest);
}
