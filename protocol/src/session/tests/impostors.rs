//! Attacks on who speaks to whom, and on first messages, by number: each with its outcome and the state that must not
//! have moved.

use super::{
    attacks::{bent, initial_bent},
    *,
};
use crate::limits;

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
    let on_its_way = bob.seal(&alice, "sealed before");
    let raised = |person: &mut Person, peer: &Person| {
        let sessions = person.with(&peer.peer()).raise_floor(2).raise_floor(1);
        person.sessions.insert(peer.device, sessions);
    };
    raised(&mut bob, &alice);
    raised(&mut alice, &bob);
    let refused = alice.with(&bob.peer()).initiate(&alice.local(), &bob.keys(), b"x", START, &mut rng(1)).err();
    assert_eq!(refused, Some(seal::Error::RefusedSuite(1)));
    let refused = bob.with(&alice.peer()).seal(&bob.local(), b"x", START, &mut rng(1)).err();
    assert_eq!(refused, Some(seal::Error::NoSession), "nothing more is sent below the floor");
    assert_eq!(alice.open(&bob, &on_its_way).unwrap(), "sealed before");
    alice.restart();
    assert_eq!(alice.with(&bob.peer()).floor(), 2);
    let mut unaware = Person::new(1);
    let lower = unaware.initiate(&bob, "lower");
    assert_eq!(bob.open(&unaware, &lower), Err(open::Error::RefusedSuite(1)));
    assert_eq!(bob.with(&alice.peer()).floor(), 2);
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
    // The other way round: Mallory's own key in Alice's name, made consistently, to Bob who knows Alice's key.
    let mut in_her_name = Person { account: alice.account, device: alice.device, ..Person::new(66) };
    let forged = in_her_name.initiate(&bob, "not from alice");
    assert_eq!(bob.try_open(&in_her_name, &forged).unwrap().payload.as_slice(), b"not from alice", "well made");
    assert_eq!(bob.open(&alice, &forged), Err(open::Error::NotAuthentic));
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
