//! Attacks on the chains of a session by number, each with its outcome and the state that must not have moved.

use super::*;
use crate::{crypto::dh::DhPublic, limits, proto, wire};

/// Moves the sender's chain on by `n` messages that are never sealed.
fn skip(from: &mut Person, to: &Person, n: u32) {
    let sessions = from.sessions.get_mut(&to.device).unwrap();
    let ratchet::Turn::Theirs(chain) = &mut sessions.list.last_mut().unwrap().turn else { panic!("a chain is out") };
    for _ in 0..n {
        chain.key.advance();
    }
    chain.next += n;
}

/// Alters a ratchet message on the way.
pub(super) fn bent(body: &EnvelopeBody, edit: impl FnOnce(&mut proto::session::RatchetMessage)) -> EnvelopeBody {
    let EnvelopeBody::Ratchet(bytes) = body else { panic!("not a first message") };
    let mut message = wire::decode(bytes, limits::RATCHET_MESSAGE_MAX).unwrap();
    edit(&mut message);
    EnvelopeBody::Ratchet(wire::encode(&message).into())
}

/// Alters a first message on the way.
pub(super) fn initial_bent(
    body: &EnvelopeBody,
    edit: impl FnOnce(&mut proto::session::InitialMessage),
) -> EnvelopeBody {
    let EnvelopeBody::Initial(bytes) = body else { panic!("a first message") };
    let mut message = wire::decode(bytes, limits::ENVELOPE_BUCKET_MAX).unwrap();
    edit(&mut message);
    EnvelopeBody::Initial(wire::encode(&message).into())
}

#[test]
fn c05_01_jump_at_the_limit_is_taken_and_one_more_refused_without_work() {
    let (mut alice, mut bob) = friends();
    let body = alice.seal(&bob, "0");
    bob.open(&alice, &body).unwrap();
    let mut further = alice.clone();
    skip(&mut alice, &bob, limits::JUMP_MAX);
    skip(&mut further, &bob, limits::JUMP_MAX + 1);
    let (at, beyond) = (alice.seal(&bob, "at"), further.seal(&bob, "beyond"));
    hooks::take_chain_steps();
    assert_eq!(bob.open(&alice, &beyond), Err(open::Error::TooFarAhead));
    assert_eq!(hooks::take_chain_steps(), 0);
    assert_eq!(bob.open(&alice, &at).unwrap(), "at");
    assert_eq!(hooks::take_chain_steps(), u64::from(limits::JUMP_MAX) + 1);
    // After that jump the next is within reach.
    assert_eq!(bob.open(&alice, &beyond).unwrap(), "beyond");
}

#[test]
fn c05_02_r_ses_6_many_chains_with_long_gaps_keep_bounded_state_and_the_oldest_goes_first() {
    let (mut alice, mut bob) = friends();
    let mut early = Vec::new();
    for round in 0..4 {
        early.push(alice.seal(&bob, &format!("begins {round}")));
        skip(&mut alice, &bob, 3000);
        let body = alice.seal(&bob, "far");
        hooks::take_chain_steps();
        assert_eq!(bob.open(&alice, &body).unwrap(), "far");
        assert!(hooks::take_chain_steps() <= u64::from(limits::JUMP_MAX) + 1);
        let kept = bob.with(&alice.peer()).list[0].skipped.len();
        assert!(kept <= limits::SKIPPED_KEYS_MAX, "{kept}");
        let answer = bob.seal(&alice, "next");
        alice.open(&bob, &answer).unwrap();
    }
    assert_eq!(bob.with(&alice.peer()).list[0].skipped.len(), limits::SKIPPED_KEYS_MAX);
    assert!(bob.state().len() < 60 * limits::SKIPPED_KEYS_MAX);
    // The first two chains' first keys made room, the last one's are there.
    for (round, body) in early.iter().enumerate() {
        match bob.open(&alice, body) {
            Ok(text) => assert!(round >= 3 && text == format!("begins {round}"), "{round}"),
            Err(error) => assert!(round < 3 && error != open::Error::Duplicate, "{round}: {error}"),
        }
    }
}

#[test]
fn r_ses_6_what_a_new_chain_and_the_one_before_leave_out_counts_together_and_first() {
    let jump = u64::from(limits::JUMP_MAX);
    let cases: [(u32, u32, bool); 6] = [
        (limits::JUMP_MAX, 0, true),
        (0, limits::JUMP_MAX, true),
        (limits::JUMP_MAX - 10, 10, true),
        (limits::JUMP_MAX, 1, false),
        (0, limits::JUMP_MAX + 1, false),
        (u32::MAX, u32::MAX, false),
    ];
    for (previous, number, within) in cases {
        let (mut alice, mut bob) = friends();
        let body = alice.seal(&bob, "begins a chain");
        bob.open(&alice, &body).unwrap();
        let answer = bob.seal(&alice, "answer");
        alice.open(&bob, &answer).unwrap();
        // The tag does not fit the altered number: the message costs what it may and changes nothing.
        let forged = hostile::forge(&alice, &bob, |h| {
            (h.previous, h.number) = (h.previous.saturating_add(previous), number);
        });
        let EnvelopeBody::Ratchet(bytes) = forged.body else { panic!("established") };
        let mut bytes = bytes.to_vec();
        *bytes.last_mut().unwrap() ^= 1;
        let forged = EnvelopeBody::Ratchet(bytes.into());
        for _ in 0..2 {
            hooks::take_chain_steps();
            let error = bob.open(&alice, &forged).unwrap_err();
            let steps = hooks::take_chain_steps();
            if within {
                assert_eq!((error, error.fault()), (open::Error::NotAuthentic, crate::Fault::Peer));
                assert!(steps <= jump + 1, "{previous} and {number}: {steps} steps");
            } else {
                assert_eq!((error, steps), (open::Error::TooFarAhead, 0), "{previous} and {number}");
            }
        }
        let body = alice.seal(&bob, "on");
        assert_eq!(bob.open(&alice, &body).unwrap(), "on");
    }
}

#[test]
fn r_ses_6_a_first_message_far_ahead_is_refused_without_work() {
    let (mut alice, mut bob) = strangers();
    let _ = alice.initiate(&bob, "never arrives");
    skip(&mut alice, &bob, limits::FIRST_JUMP_MAX);
    let far = alice.seal(&bob, "far");
    hooks::take_chain_steps();
    assert_eq!(bob.open(&alice, &far), Err(open::Error::TooFarAhead));
    assert_eq!(hooks::take_chain_steps(), 0);
}

#[test]
fn r_ses_6_skipped_keys_of_all_sessions_with_a_device_share_one_bound() {
    let (mut alice, mut bob) = friends();
    for round in 0..6 {
        let _ = alice.initiate(&bob, "begins");
        skip(&mut alice, &bob, limits::FIRST_JUMP_MAX - 1);
        let far = alice.seal(&bob, "far");
        assert_eq!(bob.open(&alice, &far).unwrap(), "far", "{round}");
        let kept: usize = bob.with(&alice.peer()).list.iter().map(|s| s.skipped.len()).sum();
        assert!(kept <= limits::SKIPPED_KEYS_MAX, "{kept} in round {round}");
    }
    assert!(bob.with(&alice.peer()).list.len() > 5);
}

#[test]
fn r_ses_6_a_gap_wider_than_the_store_keeps_the_newest_and_old_ones_lapse() {
    let (mut alice, mut bob) = friends();
    let first = alice.seal(&bob, "first");
    skip(&mut alice, &bob, limits::JUMP_MAX - 2);
    let (last_but_one, last) = (alice.seal(&bob, "last but one"), alice.seal(&bob, "last"));
    assert_eq!(bob.open(&alice, &last).unwrap(), "last");
    assert_eq!(bob.with(&alice.peer()).list[0].skipped.len(), limits::SKIPPED_KEYS_MAX);
    assert_eq!(bob.open(&alice, &first), Err(open::Error::Regression));
    assert_eq!(bob.clone().open(&alice, &last_but_one).unwrap(), "last but one");
    bob.now = START.plus_millis(limits::SKIPPED_KEY_MS);
    assert_eq!(bob.open(&alice, &last_but_one), Err(open::Error::Regression));
    let body = alice.seal(&bob, "on");
    bob.open(&alice, &body).unwrap();
    assert_eq!(bob.with(&alice.peer()).list[0].skipped.len(), 0, "lapsed keys leave the stored state");
}

#[test]
fn c05_03_r_ses_4_the_same_message_again_is_a_duplicate_at_once_after_a_restart_and_after_2000_others() {
    let (mut alice, mut bob) = friends();
    let body = alice.seal(&bob, "once");
    assert_eq!(bob.open(&alice, &body).unwrap(), "once");
    assert_eq!(bob.open(&alice, &body), Err(open::Error::Duplicate));
    bob.restart();
    assert_eq!(bob.open(&alice, &body), Err(open::Error::Duplicate));
    for _ in 0..2000 {
        let other = alice.seal(&bob, "other");
        let step = bob.try_open(&alice, &other).unwrap();
        bob.commit(&step);
    }
    bob.restart();
    assert_eq!(bob.open(&alice, &body), Err(open::Error::Duplicate));
}

#[test]
fn c05_04_r_ses_3_a_forged_tag_under_a_new_ratchet_key_moves_nothing() {
    let (mut alice, mut bob) = friends();
    let body = alice.seal(&bob, "new chain");
    for at in [0usize, 5, 15] {
        let forged = bent(&body, |m| {
            let end = m.ciphertext.len() - 1;
            m.ciphertext[end - at] ^= 1;
        });
        assert_eq!(bob.open(&alice, &forged), Err(open::Error::NotAuthentic));
    }
    // A whole new key of an attacker's, with a jump.
    let forged = bent(&body, |m| {
        let mut header: proto::session::Header = wire::decode(&m.header, limits::RATCHET_HEADER_MAX).unwrap();
        header.ratchet_key = DhSecret::from_bytes([9; 32]).public().as_bytes().to_vec();
        header.number = 1000;
        m.header = wire::encode(&header);
    });
    assert_eq!(bob.open(&alice, &forged), Err(open::Error::NotAuthentic));
    assert_eq!(bob.open(&alice, &body).unwrap(), "new chain");
}

#[test]
fn c05_05_a_crash_before_the_commit_never_gives_two_plaintexts_one_key() {
    let (mut alice, mut bob) = friends();
    hooks::take_sealings();
    // Sealed, not committed, not sent: the restart seals something else from the same chain.
    let (sessions, me) = (alice.with(&bob.peer()), alice.local());
    let lost = sessions.seal(&me, b"lost", alice.now, &mut rng(1)).unwrap();
    let mut other = sessions.seal(&me, b"other", alice.now, &mut rng(2)).unwrap();
    assert_eq!(hooks::take_sealings(), (2, 0));
    assert_ne!(lost.message, other.message);
    alice.sessions.insert(bob.device, other.sessions.clone());
    // Opened, not committed: it comes again and is opened once.
    assert_eq!(bob.try_open(&alice, &other.message).unwrap().payload.as_slice(), b"other");
    bob.restart();
    assert_eq!(bob.open(&alice, &other.message).unwrap(), "other");
    assert_eq!(bob.open(&alice, &other.message), Err(open::Error::Duplicate));
    other.sessions = alice.with(&bob.peer());
    let next = alice.seal(&bob, "next");
    assert_eq!(bob.open(&alice, &next).unwrap(), "next");
}

#[test]
fn c05_06_r_ses_5_an_old_copy_repeats_no_key_is_noticed_and_heals() {
    let (mut alice, mut bob) = friends();
    let copy = alice.clone();
    hooks::take_sealings();
    for i in 0..3 {
        let body = alice.seal(&bob, &i.to_string());
        bob.open(&alice, &body).unwrap();
    }
    let answer = bob.seal(&alice, "answer");
    alice.open(&bob, &answer).unwrap();
    // The old copy is put back; its chance is not what it was.
    let mut alice = Person { rng: rng(1234), ..copy };
    let fresh_key = alice.seal(&bob, "first of a chain nobody saw");
    assert_eq!(hooks::take_sealings().1, 0);
    let error = bob.open(&alice, &fresh_key).unwrap_err();
    assert_eq!(error, open::Error::NotAuthentic);
    assert!(error.calls_for_repair());
    // Bob's answers cannot be opened by the copy either; both find each other by a fresh handshake.
    let error = alice.open(&bob, &answer).unwrap_err();
    assert!(error.calls_for_repair());
    bob.now = START.plus_millis(10);
    let repair = bob.initiate(&alice, "cannot open");
    assert_eq!(alice.open(&bob, &repair).unwrap(), "cannot open");
    let again = alice.seal(&bob, "again");
    assert_eq!(bob.open(&alice, &again).unwrap(), "again");
    assert_eq!(alice.session_in_use(&bob), bob.session_in_use(&alice));
}

#[test]
fn c05_06_r_ses_5_an_old_copy_within_a_chain_is_reported_as_going_back() {
    let (mut alice, mut bob) = friends();
    let body = alice.seal(&bob, "0");
    bob.open(&alice, &body).unwrap();
    let copy = alice.clone();
    hooks::take_sealings();
    for i in 0..3 {
        let body = alice.seal(&bob, &i.to_string());
        bob.open(&alice, &body).unwrap();
    }
    let mut alice = Person { rng: rng(1234), ..copy };
    for i in 0..3 {
        let body = alice.seal(&bob, &format!("again {i}"));
        assert_eq!(bob.open(&alice, &body), Err(open::Error::Regression));
    }
    assert_eq!(hooks::take_sealings(), (6, 0), "three numbers sealed twice, six keys");
    assert!(open::Error::Regression.calls_for_repair());
    let repair = bob.initiate(&alice, "cannot open");
    alice.open(&bob, &repair).unwrap();
    let again = alice.seal(&bob, "healed");
    assert_eq!(bob.open(&alice, &again).unwrap(), "healed");
}

#[test]
fn c05_08_weak_public_keys_are_refused_wherever_they_stand() {
    let (mut alice, mut bob) = strangers();
    let hello = alice.initiate(&bob, "hello");
    for point in bad_points() {
        let malformed = Err(open::Error::Malformed(wire::Error::OutOfBounds));
        assert_eq!(bob.open(&alice, &initial_bent(&hello, |m| m.sender_dh = point.to_vec())), malformed);
        assert_eq!(bob.open(&alice, &initial_bent(&hello, |m| m.ephemeral = point.to_vec())), malformed);
    }
    bob.open(&alice, &hello).unwrap();
    let answer = bob.seal(&alice, "answer");
    for point in bad_points() {
        // A ratchet key is bound as raw bytes: with a weak one there is nothing to agree on.
        let forged = hostile::forge(&bob, &alice, |h| h.ratchet_key = point.to_vec());
        assert_eq!(alice.open(&bob, &forged.body), Err(open::Error::NotAuthentic));
    }
    alice.open(&bob, &answer).unwrap();
    // And for whoever would send to a weak key.
    let sessions = Sessions::new(bob.peer());
    for point in bad_points().into_iter().take(5) {
        let keys = PeerKeys { signed_prekey: DhPublic::raw(point), ..bob.keys() };
        let refused = sessions.initiate(&alice.local(), &keys, b"x", START, &mut rng(1)).err();
        assert_eq!(refused, Some(seal::Error::WeakKey), "{point:02x?}");
    }
}

#[test]
fn c05_10_a_bent_or_cut_kem_ciphertext_in_a_first_message_is_an_ordinary_refusal() {
    let (mut alice, mut bob) = strangers();
    let hello = alice.initiate(&bob, "hello");
    for at in [0usize, 500, 1087] {
        // Whether or not the claimed session id is made to fit.
        let forged = initial_bent(&hello, |m| m.kem_ciphertext[at] ^= 1);
        assert_eq!(bob.open(&alice, &forged), Err(open::Error::NotAuthentic));
    }
    let cut = initial_bent(&hello, |m| m.kem_ciphertext.truncate(1087));
    assert_eq!(bob.open(&alice, &cut), Err(open::Error::Malformed(wire::Error::OutOfBounds)));
    assert_eq!(bob.open(&alice, &hello).unwrap(), "hello");
}
