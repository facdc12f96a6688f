//! Two who begin at once, in every order of arrival and loss.

use super::*;

/// Which of the two first messages arrive, and in which order with what follows.
#[derive(Clone, Copy, Debug)]
enum Variant {
    BothCross,
    AliceFirst,
    BobFirst,
    AliceLost,
    BobLost,
    BothLost,
}

const VARIANTS: [Variant; 6] = [
    Variant::BothCross,
    Variant::AliceFirst,
    Variant::BobFirst,
    Variant::AliceLost,
    Variant::BobLost,
    Variant::BothLost,
];

fn meet(variant: Variant, bob_later_ms: u64, seed: u8) {
    let (mut alice, mut bob) = (Person::new(seed), Person::new(seed + 1));
    bob.now = START.plus_millis(bob_later_ms);
    let from_alice = alice.initiate(&bob, "a1");
    let from_bob = bob.initiate(&alice, "b1");
    let context = format!("{variant:?}, bob {bob_later_ms} ms later, seed {seed}");
    match variant {
        Variant::BothCross => {
            assert_eq!(bob.open(&alice, &from_alice).unwrap(), "a1", "{context}");
            assert_eq!(alice.open(&bob, &from_bob).unwrap(), "b1", "{context}");
        }
        Variant::AliceFirst => {
            // Bob answers before his own first message arrives, late.
            assert_eq!(bob.open(&alice, &from_alice).unwrap(), "a1", "{context}");
            let answer = bob.send(&alice, "b2");
            assert_eq!(alice.open(&bob, &answer).unwrap(), "b2", "{context}");
            assert_eq!(alice.open(&bob, &from_bob).unwrap(), "b1", "{context}");
        }
        Variant::BobFirst => {
            assert_eq!(alice.open(&bob, &from_bob).unwrap(), "b1", "{context}");
            let answer = alice.send(&bob, "a2");
            assert_eq!(bob.open(&alice, &answer).unwrap(), "a2", "{context}");
            assert_eq!(bob.open(&alice, &from_alice).unwrap(), "a1", "{context}");
        }
        Variant::AliceLost => assert_eq!(alice.open(&bob, &from_bob).unwrap(), "b1", "{context}"),
        Variant::BobLost => assert_eq!(bob.open(&alice, &from_alice).unwrap(), "a1", "{context}"),
        Variant::BothLost => {}
    }
    // What was lost is sealed again, as the outbox does; nothing of it is lost in the end.
    let again = alice.send(&bob, "a3");
    assert_eq!(bob.open(&alice, &again).unwrap(), "a3", "{context}");
    let again = bob.send(&alice, "b3");
    assert_eq!(alice.open(&bob, &again).unwrap(), "b3", "{context}");
    let again = alice.send(&bob, "a4");
    assert_eq!(bob.open(&alice, &again).unwrap(), "a4", "{context}");
    assert_eq!(alice.session_in_use(&bob), bob.session_in_use(&alice), "{context}");
    for (person, other) in [(&alice, &bob), (&bob, &alice)] {
        assert!(matches!(person.with(&other.peer()).status(person.now), Status::Established { .. }), "{context}");
    }
    // What was thought lost and arrives after all still opens, once, and moves nobody to another session.
    let (session, late_at_bob, late_at_alice) =
        (alice.session_in_use(&bob), bob.open(&alice, &from_alice), alice.open(&bob, &from_bob));
    let expected = |arrived: bool, text: &str| if arrived { Err(open::Error::Duplicate) } else { Ok(text.to_owned()) };
    assert_eq!(late_at_bob, expected(!matches!(variant, Variant::AliceLost | Variant::BothLost), "a1"), "{context}");
    assert_eq!(late_at_alice, expected(!matches!(variant, Variant::BobLost | Variant::BothLost), "b1"), "{context}");
    let (from_alice, from_bob) = (alice.send(&bob, "a5"), bob.send(&alice, "b5"));
    assert_eq!(bob.open(&alice, &from_alice).unwrap(), "a5", "{context}");
    assert_eq!(alice.open(&bob, &from_bob).unwrap(), "b5", "{context}");
    let answer = alice.send(&bob, "a6");
    assert_eq!(bob.open(&alice, &answer).unwrap(), "a6", "{context}");
    assert_eq!(alice.session_in_use(&bob), bob.session_in_use(&alice), "{context}");
    assert!(
        alice.session_in_use(&bob) == session
            || matches!(variant, Variant::AliceLost | Variant::BobLost | Variant::BothLost)
    );
}

#[test]
fn c05_13_two_who_begin_at_once_end_in_one_session_and_lose_nothing() {
    for variant in VARIANTS {
        for bob_later_ms in [0, 5] {
            // Different keys put either session id below the other.
            for seed in [1, 11, 21, 31] {
                meet(variant, bob_later_ms, seed);
            }
        }
    }
}

#[test]
fn r_ses_11_of_sessions_of_equal_rank_the_lower_id_is_sent_in_on_both_sides() {
    let mut lower_was_alice = BTreeSet::new();
    for seed in [1, 11, 21, 31, 41, 51] {
        let (mut alice, mut bob) = (Person::new(seed), Person::new(seed + 1));
        let from_alice = alice.initiate(&bob, "a");
        let from_bob = bob.initiate(&alice, "b");
        let (a, b) = (alice.session_in_use(&bob), bob.session_in_use(&alice));
        bob.open(&alice, &from_alice).unwrap();
        alice.open(&bob, &from_bob).unwrap();
        assert_eq!(alice.session_in_use(&bob), a.min(b));
        assert_eq!(bob.session_in_use(&alice), a.min(b));
        lower_was_alice.insert(a < b);
    }
    assert_eq!(lower_was_alice.len(), 2, "both cases must occur");
}

#[test]
fn r_ses_11_at_most_eight_old_sessions_are_kept_and_still_open() {
    let (mut alice, mut bob) = friends();
    let mut late = Vec::new();
    for i in 0..12u32 {
        bob.now = bob.now.plus_millis(1000);
        alice.now = bob.now;
        let hello = bob.initiate(&alice, "new");
        alice.open(&bob, &hello).unwrap();
        late.push((bob.session_in_use(&alice), bob.send(&alice, &i.to_string())));
        assert_eq!(alice.session_in_use(&bob), bob.session_in_use(&alice));
    }
    assert_eq!(alice.with(&bob.peer()).list.len(), crate::limits::OLD_SESSIONS_MAX + 1);
    for (i, (_, body)) in late.iter().enumerate() {
        // Sessions 0 to 2 and the very first one made room.
        let expected = if i < 3 { Err(open::Error::Duplicate) } else { Ok(i.to_string()) };
        assert_eq!(alice.open(&bob, body), expected, "{i}");
    }
}

#[test]
fn r_ses_11_a_clock_that_was_years_ahead_pins_no_session_once_it_is_right() {
    let (mut alice, mut bob) = strangers();
    alice.now = START.plus_days(4000);
    let hello = alice.initiate(&bob, "from the future");
    bob.open(&alice, &hello).unwrap();
    let answer = bob.seal(&alice, "the only session there is");
    alice.open(&bob, &answer).unwrap();
    // Her clock is put right; whatever is begun now counts more, on both sides.
    alice.now = START.plus_millis(1000);
    bob.now = alice.now;
    let begun = bob.initiate(&alice, "now");
    alice.open(&bob, &begun).unwrap();
    let session = Inbound::decode(&begun).unwrap().session();
    assert_eq!((alice.session_in_use(&bob), bob.session_in_use(&alice)), (session, session));
}

#[test]
fn a_rank_far_in_the_future_pins_nothing() {
    let (mut alice, mut bob) = friends();
    // Bob's clock is years ahead; his new session opens, but Alice goes on where she was.
    let before = alice.session_in_use(&bob);
    bob.now = START.plus_days(4000);
    let hello = bob.initiate(&alice, "from the future");
    assert_eq!(alice.open(&bob, &hello).unwrap(), "from the future");
    assert_eq!(alice.session_in_use(&bob), before);
    let answer = alice.send(&bob, "still here");
    assert_eq!(bob.open(&alice, &answer).unwrap(), "still here");
    // Even so Bob can say that he cannot open the other one.
    let session = Inbound::decode(&hello).unwrap().session();
    let repaired = alice.with(&bob.peer()).retire_others(&session);
    alice.sessions.insert(bob.device, repaired);
    assert_eq!(alice.session_in_use(&bob), session);
    let answer = alice.send(&bob, "moved");
    assert_eq!(bob.open(&alice, &answer).unwrap(), "moved");
    let unknown = alice.with(&bob.peer()).retire_others(&SessionId::from_bytes([0; 16]));
    assert_eq!(unknown.status(alice.now), alice.with(&bob.peer()).status(alice.now));
}

#[test]
fn r_ses_12_lost_state_calls_for_repair_in_a_fresh_handshake_and_what_a_stranger_can_send_does_not() {
    let (mut alice, mut bob) = friends();
    let lost = alice.seal(&bob, "to a session that bob lost");
    bob.sessions.clear();
    let error = bob.open(&alice, &lost).unwrap_err();
    assert_eq!(error, open::Error::UnknownSession);
    assert!(error.calls_for_repair());
    // The answer begins a session of its own, which is the one that both send in from then on.
    bob.now = START.plus_millis(5);
    let repair = bob.initiate(&alice, "cannot open");
    assert!(matches!(repair, EnvelopeBody::Initial(_)));
    let step = alice.try_open(&bob, &repair).unwrap();
    assert_eq!(step.payload.as_slice(), b"cannot open");
    let session = step.session;
    alice.commit(&step);
    let repaired = alice.with(&bob.peer()).retire_others(&session);
    alice.sessions.insert(bob.device, repaired);
    let again = alice.seal(&bob, "again");
    assert_eq!(bob.open(&alice, &again).unwrap(), "again");
    assert_eq!(alice.session_in_use(&bob), bob.session_in_use(&alice));
    // Replays, junk, misdirected and downgraded messages can be made by anybody: none of them asks for an answer.
    let malformed = open::Error::Malformed(crate::wire::Error::Malformed);
    for made_by_anybody in
        [open::Error::Duplicate, open::Error::WrongRecipient, open::Error::RefusedSuite(0), malformed]
    {
        assert!(!made_by_anybody.calls_for_repair(), "{made_by_anybody}");
    }
}
