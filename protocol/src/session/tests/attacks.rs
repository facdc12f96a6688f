//! The attacks on pairwise sessions by number, each with its outcome and the state that must not have moved.

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

fn bent(body: &EnvelopeBody, edit: impl FnOnce(&mut proto::session::RatchetMessage)) -> EnvelopeBody {
    let EnvelopeBody::Ratchet(bytes) = body else { panic!("not a first message") };
    let mut message = wire::decode(bytes, limits::RATCHET_MESSAGE_MAX).unwrap();
    edit(&mut message);
    EnvelopeBody::Ratchet(wire::encode(&message).into())
}

fn initial_bent(body: &EnvelopeBody, edit: impl FnOnce(&mut proto::session::InitialMessage)) -> EnvelopeBody {
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
        assert!(hooks::take_chain_steps() <= 2 * u64::from(limits::JUMP_MAX) + 1);
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

#[test]
fn c05_11_r_ses_9_a_lower_suite_is_refused_and_the_floor_never_falls() {
    let (mut alice, mut bob) = friends();
    for suite in [0, 2, u32::MAX] {
        let keys = PeerKeys { suite, ..bob.keys() };
        let refused = alice.with(&bob.peer()).initiate(&alice.local(), &keys, b"x", START, &mut rng(1)).err();
        assert_eq!(refused, Some(seal::Error::RefusedSuite(suite)));
    }
    let hello = alice.initiate(&bob, "again");
    assert_eq!(bob.open(&alice, &initial_bent(&hello, |m| m.suite = 0)), Err(open::Error::RefusedSuite(0)));
    bob.open(&alice, &hello).unwrap();
    // A contact once seen with a better suite: neither its bundle nor its first message brings suite 1 back, and
    // nothing that happens in older sessions lowers the floor.
    let raised = |person: &mut Person, peer: &Person| person.sessions.get_mut(&peer.device).unwrap().floor = 2;
    raised(&mut bob, &alice);
    raised(&mut alice, &bob);
    let refused = alice.with(&bob.peer()).initiate(&alice.local(), &bob.keys(), b"x", START, &mut rng(1)).err();
    assert_eq!(refused, Some(seal::Error::RefusedSuite(1)));
    let body = bob.seal(&alice, "in the old session");
    alice.open(&bob, &body).unwrap();
    alice.restart();
    assert_eq!(alice.with(&bob.peer()).floor, 2);
    let mut unaware = Person::new(1);
    let lower = unaware.initiate(&bob, "lower");
    assert_eq!(bob.open(&unaware, &lower), Err(open::Error::RefusedSuite(1)));
    assert_eq!(bob.with(&alice.peer()).floor, 2);
}

#[test]
fn c05_12_a_replayed_first_message_neither_resurrects_nor_replaces_a_session() {
    let (mut alice, mut bob) = strangers();
    let hello = alice.initiate(&bob, "hello");
    bob.open(&alice, &hello).unwrap();
    let answer = bob.seal(&alice, "answer");
    alice.open(&bob, &answer).unwrap();
    // While the session lives.
    assert_eq!(bob.open(&alice, &hello), Err(open::Error::Duplicate));
    // After a newer one took its place.
    bob.now = START.plus_millis(5);
    let newer = bob.initiate(&alice, "newer");
    alice.open(&bob, &newer).unwrap();
    let in_use = bob.session_in_use(&alice);
    assert_eq!(bob.open(&alice, &hello), Err(open::Error::Duplicate));
    assert_eq!(bob.session_in_use(&alice), in_use);
    // After all sessions are gone, with and without the one-time key.
    bob.sessions.clear();
    assert_eq!(bob.open(&alice, &hello), Err(open::Error::Duplicate));
    bob.one_time = [(40, Person::new(2).one_time[&40].clone())].into();
    assert_eq!(bob.open(&alice, &hello), Err(open::Error::Duplicate));
    let inbound = Inbound::decode(&hello).unwrap();
    let stranger = Sessions::open_stranger(&bob.local(), &bob, &inbound, bob.now);
    assert_eq!(stranger.err(), Some(open::Error::Duplicate));
    // A profile restored from a backup is a new device: the message is not for it.
    let mut restored = Person { account: bob.account, ..Person::new(3) };
    assert_eq!(restored.open(&alice, &hello), Err(open::Error::WrongRecipient));
}

#[test]
fn c05_14_a_deleted_prekey_is_told_apart_here_and_a_known_contact_can_be_answered() {
    let (mut alice, mut bob) = strangers();
    let hello = alice.initiate(&bob, "too late");
    let prekey = bob.prekeys.remove(&7).unwrap();
    let fresh = OwnPrekey { dh: DhSecret::random(&mut rng(5)), kem: KemSecret::random(&mut rng(6)) };
    bob.prekeys.insert(8, fresh);
    let error = bob.open(&alice, &hello).unwrap_err();
    assert_eq!(error, open::Error::StalePrekey);
    assert!(error.calls_for_repair());
    // Bob knows Alice: "cannot open" goes out in a fresh handshake, and her message comes again in it.
    bob.now = START.plus_millis(5);
    let repair = bob.initiate(&alice, "cannot open");
    alice.open(&bob, &repair).unwrap();
    let again = alice.send(&bob, "in time");
    assert_eq!(bob.open(&alice, &again).unwrap(), "in time");
    // A one-time key that is gone is the same case.
    bob.prekeys.insert(7, prekey);
    bob.one_time.clear();
    assert_eq!(bob.open(&alice, &hello), Err(open::Error::StalePrekey));
}

#[test]
fn c05_15_a_key_registered_by_somebody_else_does_not_move_a_message_to_their_account() {
    let (mut alice, mut bob) = strangers();
    let mallory = AccountId::from_bytes([66; 32]);
    let hello = alice.initiate(&bob, "from alice");
    let stolen = initial_bent(&hello, |m| m.sender_account = mallory.as_bytes().to_vec());
    let inbound = Inbound::decode(&stolen).unwrap();
    assert_eq!(inbound.claim().unwrap().account, mallory);
    let refused = Sessions::open_stranger(&bob.local(), &bob, &inbound, bob.now).err();
    assert_eq!(refused, Some(open::Error::NotAuthentic));
    // Even where the session exists and Bob believes that Alice's device is Mallory's.
    bob.open(&alice, &hello).unwrap();
    let body = alice.seal(&bob, "second");
    let mut fooled = bob.clone();
    fooled.sessions.get_mut(&alice.device).unwrap().peer.account = mallory;
    let believed = Person { account: mallory, ..alice.clone() };
    let refused = fooled.open(&believed, &initial_bent(&body, |m| m.sender_account = mallory.as_bytes().to_vec()));
    assert_eq!(refused, Err(open::Error::NotAuthentic));
}

#[test]
fn c05_16_r_ses_2_a_message_sent_back_to_its_sender_is_refused() {
    let (mut alice, bob) = friends();
    let body = alice.seal(&bob, "mine");
    // As it is, as if from Bob, and in the session's own name.
    assert_eq!(alice.clone().open(&bob, &body), Err(open::Error::NotAuthentic));
    let as_bob = bent(&body, |m| m.sender_device = bob.device.as_bytes().to_vec());
    assert!(alice.open(&bob, &as_bob).is_err());
    let (mut carol, dave) = strangers();
    let hello = carol.initiate(&dave, "mine");
    let back = initial_bent(&hello, |m| {
        (m.sender_account, m.recipient_account) = (m.recipient_account.clone(), m.sender_account.clone());
        (m.sender_device, m.recipient_device) = (m.recipient_device.clone(), m.sender_device.clone());
    });
    assert!(carol.open(&dave, &back).is_err());
    assert_eq!(carol.open(&carol.clone(), &hello), Err(open::Error::WrongRecipient));
}

#[test]
fn c05_17_r_ses_2_messages_for_one_device_or_from_another_are_refused() {
    let (mut alice, mut bob) = strangers();
    let hello = alice.initiate(&bob, "for the first device");
    // Bob's second device, even if it held the first one's prekeys.
    let mut second = Person { account: bob.account, ..Person::new(3) };
    (second.prekeys, second.one_time) = (bob.prekeys.clone(), bob.one_time.clone());
    assert_eq!(second.open(&alice, &hello), Err(open::Error::WrongRecipient));
    let redirected = initial_bent(&hello, |m| m.recipient_device = second.device.as_bytes().to_vec());
    assert_eq!(second.open(&alice, &redirected), Err(open::Error::NotAuthentic));
    bob.open(&alice, &hello).unwrap();
    let answer = bob.seal(&alice, "answer");
    alice.open(&bob, &answer).unwrap();
    let body = alice.seal(&bob, "for the first device");
    assert_eq!(second.open(&alice, &body), Err(open::Error::UnknownSession));
    // The state of the first device in the hands of the second.
    second.sessions = bob.sessions.clone();
    assert_eq!(second.open(&alice, &body), Err(open::Error::NotAuthentic));
    // Another device of Alice's in the sender's place.
    let other = Person { account: alice.account, ..Person::new(4) };
    let swapped = bent(&body, |m| m.sender_device = other.device.as_bytes().to_vec());
    assert_eq!(bob.open(&other, &swapped), Err(open::Error::UnknownSession));
    assert_eq!(bob.open(&alice, &swapped), Err(open::Error::NotAuthentic));
    assert_eq!(bob.open(&alice, &body).unwrap(), "for the first device");
}

#[test]
fn c05_17_r_ses_2_a_strangers_claim_counts_only_when_the_device_log_confirms_it() {
    let (mut alice, bob) = strangers();
    let hello = alice.initiate(&bob, "hello");
    let inbound = Inbound::decode(&hello).unwrap();
    let step = || Sessions::open_stranger(&bob.local(), &bob, &inbound, bob.now).unwrap();
    assert_eq!((step().payload(), step().claim()), (b"hello".as_slice(), &alice.peer()));
    for wrong in [
        PeerDevice { account: AccountId::from_bytes([66; 32]), ..alice.peer() },
        PeerDevice { device: DeviceId::from_bytes([66; 32]), ..alice.peer() },
        PeerDevice { dh: bob.dh.public(), ..alice.peer() },
    ] {
        assert_eq!(step().confirm(&wrong).err(), Some(open::Error::NotAuthentic));
    }
    let confirmed = step().confirm(&alice.peer()).unwrap();
    assert_eq!(confirmed.begun.unwrap().one_time_id, Some(40));
    // An ordinary message begins nothing.
    let (mut alice, bob) = friends();
    let body = Inbound::decode(&alice.seal(&bob, "x")).unwrap();
    let refused = Sessions::open_stranger(&bob.local(), &bob, &body, bob.now).err();
    assert_eq!(refused, Some(open::Error::UnknownSession));
}

#[test]
fn c05_18_r_env_4_every_refusal_leaves_the_same_state_and_no_plaintext() {
    let (mut alice, mut bob) = friends();
    let body = alice.seal(&bob, "good");
    let before = bob.state();
    let bad: Vec<(&str, EnvelopeBody)> = vec![
        ("header", bent(&body, |m| m.header[5] ^= 1)),
        ("tag", bent(&body, |m| *m.ciphertext.last_mut().unwrap() ^= 1)),
        ("empty", bent(&body, |m| m.ciphertext.clear())),
        ("session", bent(&body, |m| m.session_id[3] ^= 1)),
        ("sender", bent(&body, |m| m.sender_device[3] ^= 1)),
        ("shape", EnvelopeBody::Ratchet(vec![0xff; 40].into())),
        ("shape of a first message", EnvelopeBody::Initial(vec![0xff; 40].into())),
        ("kind", {
            let EnvelopeBody::Ratchet(bytes) = &body else { panic!("established") };
            EnvelopeBody::Initial(bytes.clone())
        }),
    ];
    for (name, body) in &bad {
        assert!(bob.open(&alice, body).is_err(), "{name}");
        assert_eq!(bob.state(), before, "{name}");
    }
    assert_eq!(bob.open(&alice, &body).unwrap(), "good");
}

#[test]
fn c05_22_a_drain_of_first_messages_leaves_bounded_state_and_contacts_alone() {
    let (mut alice, mut bob) = friends();
    // Strangers: nothing is kept that was not confirmed and committed.
    let before = bob.state();
    for name in 10..60 {
        let mut stranger = Person::new(name);
        let keys = PeerKeys { one_time: None, ..bob.keys() };
        let inbound = Inbound::decode(&stranger.initiate_with(&bob, &keys, "spam")).unwrap();
        let step = Sessions::open_stranger(&bob.local(), &bob, &inbound, bob.now).unwrap();
        assert_eq!(step.payload(), b"spam");
    }
    assert_eq!(bob.state(), before);
    // One confirmed device that begins again and again: at most nine sessions, of bounded size.
    let mut carol = Person::new(9);
    for _ in 0..100 {
        let hello = carol.initiate(&bob, "again");
        bob.open(&carol, &hello).unwrap();
    }
    let sessions = bob.with(&carol.peer());
    assert_eq!(sessions.list.len(), limits::OLD_SESSIONS_MAX + 1);
    let row = bincode::serde::encode_to_vec(StoredSessions::from(&sessions), bincode::config::standard()).unwrap();
    assert!(row.len() < 16 * 1024, "{}", row.len());
    let body = alice.seal(&bob, "as ever");
    assert_eq!(bob.open(&alice, &body).unwrap(), "as ever");
}
