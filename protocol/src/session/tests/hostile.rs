//! A hostile but authenticated peer: fields altered inside and sealed again with valid keys.

use super::*;
use crate::{
    MessageId,
    content::{Body, CannotOpen, Content, Conversation, Marks, Range, Receipt, SessionControl, Text},
    identity::{ReachSecret, device_log::LogHead},
    limits,
    prekey::HandedKey,
    proto,
    wire::{self, Extensions},
};

/// A message that a hostile holder of the sender's state made, and that state after it.
pub(super) struct Forged {
    pub(super) body: EnvelopeBody,
    pub(super) sessions: Sessions,
}

/// Seals with the sender's true keys under an altered header.
pub(super) fn forge(from: &Person, to: &Person, edit: impl FnOnce(&mut proto::session::Header)) -> Forged {
    let sessions = from.with(&to.peer());
    let at = sessions.list.iter().position(|s| s.id == from.session_in_use(to)).unwrap();
    let session = &sessions.list[at];
    let mut next = session.clone();
    let mut chain = match &session.turn {
        ratchet::Turn::Theirs(chain) => chain.clone(),
        ratchet::Turn::Ours { offered } => next.begin_chain(offered.as_ref(), from.now, &mut rng(77)).unwrap(),
    };
    let seed = chain.key.advance();
    let mut header = proto::session::Header::default();
    let (mut offer, mut answer) = (Vec::new(), Vec::new());
    match chain.pq.field() {
        header::PqField::None => {}
        header::PqField::Offer(key) => offer = key.to_bytes(),
        header::PqField::Answer(ciphertext) => answer = ciphertext.as_bytes().to_vec(),
    }
    header.ratchet_key = chain.secret.public().as_bytes().to_vec();
    header.previous = next.previous;
    header.number = chain.next;
    header.salt = vec![0x5a; 16];
    header.pq_step = next.pq.step_of(&chain.pq);
    (header.pq_offer, header.pq_answer) = (offer, answer);
    edit(&mut header);
    let header_bytes = wire::encode(&header);
    let (us, them) = (
        header::End { account: from.account, device: from.device },
        header::End { account: to.account, device: to.device },
    );
    let ad = header::associated_data(&session.transcript, session.suite, us, them, &header_bytes);
    let salt = header.salt.clone().try_into().unwrap_or([0; 16]);
    let ciphertext = seed.seal(&salt, &ad, b"forged");
    chain.next += 1;
    next.turn = ratchet::Turn::Theirs(chain);
    next.pq.count();
    let message = header::RatchetMessage { session: session.id, sender: from.device, header: header_bytes, ciphertext };
    let mut after = sessions.clone();
    after.list[at] = next;
    Forged { body: EnvelopeBody::Ratchet(message.encode()), sessions: after }
}

/// An alteration and its name.
type Named<M> = (&'static str, fn(&mut M));

#[derive(Clone, Copy, Debug, PartialEq)]
enum Outcome {
    Refused,
    Harmless,
}

type Edit = (&'static str, fn(&mut proto::session::Header), Outcome, Outcome);

/// Name, alteration, outcome as the first message of a new chain, outcome within a known chain.
const EDITS: &[Edit] = {
    use Outcome::{Harmless, Refused};
    &[
        ("nothing", |_| (), Harmless, Harmless),
        ("ratchet_key cut", |h| h.ratchet_key.truncate(31), Refused, Refused),
        ("ratchet_key gone", |h| h.ratchet_key.clear(), Refused, Refused),
        ("ratchet_key zero", |h| h.ratchet_key.fill(0), Refused, Refused),
        ("ratchet_key other", |h| h.ratchet_key[3] ^= 4, Refused, Refused),
        ("ratchet_key high bit", |h| h.ratchet_key[31] ^= 0x80, Refused, Refused),
        ("previous less", |h| h.previous = h.previous.wrapping_sub(1), Refused, Harmless),
        ("previous more", |h| h.previous += 3, Harmless, Harmless),
        ("previous too much", |h| h.previous += limits::JUMP_MAX + 1, Refused, Harmless),
        ("previous huge", |h| h.previous = u32::MAX, Refused, Harmless),
        ("number more", |h| h.number += 1, Refused, Refused),
        ("number too much", |h| h.number += limits::JUMP_MAX + 1, Refused, Refused),
        ("number huge", |h| h.number = u32::MAX, Refused, Refused),
        ("number back", |h| h.number = h.number.saturating_sub(1), Harmless, Refused),
        ("salt cut", |h| h.salt.truncate(15), Refused, Refused),
        ("salt gone", |h| h.salt.clear(), Refused, Refused),
        ("salt zero", |h| h.salt.fill(0), Harmless, Harmless),
        ("pq_step more", |h| h.pq_step += 1, Refused, Harmless),
        ("pq_step huge", |h| h.pq_step = u32::MAX, Refused, Harmless),
        ("pq_offer short", |h| h.pq_offer = vec![1; 7], Refused, Refused),
        ("pq_offer above the modulus", |h| h.pq_offer = vec![0xff; 1184], Refused, Refused),
        ("pq_offer without its step", |h| h.pq_offer = vec![0; 1184], Refused, Harmless),
        ("pq_answer short", |h| h.pq_answer = vec![1; 7], Refused, Refused),
        ("pq_answer that nobody asked for", |h| h.pq_answer = vec![1; 1088], Refused, Harmless),
        (
            "pq_answer that nobody asked for, with a step",
            |h| (h.pq_answer, h.pq_step) = (vec![1; 1088], h.pq_step + 1),
            Refused,
            Harmless,
        ),
        ("both pq fields", |h| (h.pq_offer, h.pq_answer) = (vec![0; 1184], vec![1; 1088]), Refused, Refused),
    ]
};

#[test]
fn r_ses_3_every_header_field_altered_inside_is_refused_or_harmless() {
    for in_known_chain in [false, true] {
        for (name, edit, first, later) in EDITS {
            let (mut alice, mut bob) = friends();
            if in_known_chain {
                let body = alice.seal(&bob, "begins the chain");
                bob.open(&alice, &body).unwrap();
            }
            let expected = if in_known_chain { later } else { first };
            let context = format!("{name}, known chain: {in_known_chain}");
            let forged = forge(&alice, &bob, edit);
            match bob.open(&alice, &forged.body) {
                Ok(text) => {
                    assert_eq!((text.as_str(), *expected), ("forged", Outcome::Harmless), "{context}");
                    alice.sessions.insert(bob.device, forged.sessions);
                }
                Err(error) => assert_eq!(*expected, Outcome::Refused, "{context}: {error}"),
            }
            assert!(bob.with(&alice.peer()).list[0].skipped.len() <= 3, "{context}");
            // The session goes on, both ways.
            let body = alice.seal(&bob, "on");
            assert_eq!(bob.open(&alice, &body).unwrap(), "on", "{context}");
            let body = bob.seal(&alice, "and on");
            assert_eq!(alice.open(&bob, &body).unwrap(), "and on", "{context}");
        }
    }
}

#[test]
fn an_offer_before_its_time_is_answered_and_harms_the_offerer_alone() {
    let (alice, mut bob) = friends();
    let key = KemSecret::random(&mut rng(5)).public().to_bytes();
    let forged = forge(&alice, &bob, |h| (h.pq_offer, h.pq_step) = (key, h.pq_step + 1));
    assert_eq!(bob.open(&alice, &forged.body).unwrap(), "forged");
    let answer = bob.seal(&alice, "answer");
    assert!(matches!(answer, EnvelopeBody::Ratchet(_)));
    bob.restart();
    let hello = bob.initiate(&alice, "a new one");
    assert_eq!(alice.try_open(&bob, &hello).unwrap().payload.as_slice(), b"a new one");
}

#[test]
fn r_ses_2_ratchet_message_fields_altered_outside_the_header_are_refused() {
    let (mut alice, mut bob) = friends();
    let EnvelopeBody::Ratchet(bytes) = alice.seal(&bob, "x") else { panic!("established") };
    let edits: [Named<proto::session::RatchetMessage>; 10] = [
        ("session_id", |m| m.session_id[0] ^= 1),
        ("session_id short", |m| m.session_id.truncate(15)),
        ("sender_device", |m| m.sender_device[0] ^= 1),
        ("sender_device long", |m| m.sender_device.push(0)),
        ("header gone", |m| m.header.clear()),
        ("header with more", |m| m.header.push(0)),
        ("header with more fields", |m| m.header.extend([0xf8, 0x3f, 1])),
        ("ciphertext gone", |m| m.ciphertext.clear()),
        ("ciphertext cut", |m| m.ciphertext.truncate(5)),
        ("ciphertext bent", |m| m.ciphertext[0] ^= 1),
    ];
    for (name, edit) in edits {
        let mut message: proto::session::RatchetMessage = wire::decode(&bytes, limits::RATCHET_MESSAGE_MAX).unwrap();
        edit(&mut message);
        let bent = EnvelopeBody::Ratchet(wire::encode(&message).into());
        assert!(bob.open(&alice, &bent).is_err(), "{name}");
    }
    assert_eq!(bob.open(&alice, &EnvelopeBody::Ratchet(bytes)).unwrap(), "x");
}

/// What a hostile initiator claims; everything else is computed honestly from it.
struct Claims {
    sender_account: AccountId,
    sender_device: DeviceId,
    recipient: PeerDevice,
    keys: PeerKeys,
    rank: u64,
}

fn initial(alice: &Person, bob: &Person, change: impl FnOnce(&mut Claims)) -> EnvelopeBody {
    let mut claims = Claims {
        sender_account: alice.account,
        sender_device: alice.device,
        recipient: bob.peer(),
        keys: bob.keys(),
        rank: START.as_millis(),
    };
    change(&mut claims);
    let us = LocalDevice { account: claims.sender_account, device: claims.sender_device, dh: &alice.dh };
    let (handshake, agreed) =
        handshake::Handshake::initiate(&us, &claims.recipient, &claims.keys, claims.rank, &mut rng(6)).unwrap();
    let beginning = ratchet::Beginning {
        transcript: agreed.transcript,
        suite: handshake.suite,
        rank: claims.rank,
        root: agreed.root,
        their_key: *claims.keys.signed_prekey.as_bytes(),
        opening: None,
    };
    let session = ratchet::Session::new(beginning, START);
    let (from, to) = (
        header::End { account: us.account, device: us.device },
        header::End { account: claims.recipient.account, device: claims.recipient.device },
    );
    let (_, message) = session.seal(from, to, b"forged", START, &mut rng(7)).unwrap();
    EnvelopeBody::Initial(handshake::InitialMessage { handshake, message }.encode())
}

#[test]
fn r_ses_1_every_field_of_a_first_message_altered_inside_is_refused_or_harmless() {
    let other = DhSecret::from_bytes([9; 32]).public();
    let stale = Some(open::Error::StalePrekey);
    let not_authentic = Some(open::Error::NotAuthentic);
    let wrong = Some(open::Error::WrongRecipient);
    type Change = Box<dyn Fn(&mut Claims)>;
    let cases: Vec<(&str, Change, Option<open::Error>)> = vec![
        ("nothing", Box::new(|_| ()), None),
        ("bundle_id", Box::new(|c| c.keys.bundle_id[0] ^= 1), None),
        ("rank 0", Box::new(|c| c.rank = 0), None),
        ("rank huge", Box::new(|c| c.rank = u64::MAX), None),
        ("no one-time key", Box::new(|c| c.keys.one_time = None), None),
        ("sender account", Box::new(|c| c.sender_account = AccountId::from_bytes([66; 32])), not_authentic),
        ("sender device", Box::new(|c| c.sender_device = DeviceId::from_bytes([66; 32])), not_authentic),
        ("recipient account", Box::new(|c| c.recipient.account = AccountId::from_bytes([66; 32])), wrong),
        ("recipient device", Box::new(|c| c.recipient.device = DeviceId::from_bytes([66; 32])), wrong),
        ("recipient key", Box::new(move |c| c.recipient.dh = other), not_authentic),
        ("suite 0", Box::new(|c| c.keys.suite = 0), Some(open::Error::RefusedSuite(0))),
        ("suite 2", Box::new(|c| c.keys.suite = 2), Some(open::Error::RefusedSuite(2))),
        ("prekey id", Box::new(|c| c.keys.signed_prekey_id = 8), stale),
        ("prekey", Box::new(move |c| c.keys.signed_prekey = other), not_authentic),
        ("kem prekey", Box::new(|c| c.keys.kem_prekey = KemSecret::random(&mut rng(1)).public()), not_authentic),
        ("one-time id", Box::new(move |c| c.keys.one_time = Some((41, other))), stale),
        ("one-time key", Box::new(move |c| c.keys.one_time = Some((40, other))), not_authentic),
    ];
    for (name, change, expected) in cases {
        let (mut alice, mut bob) = friends();
        bob.one_time = [(40, DhSecret::from_bytes([44; 32]))].into();
        let body = initial(&alice, &bob, change);
        assert_eq!(bob.open(&alice, &body).err(), expected, "{name}");
        // Known sessions go on.
        let body = alice.seal(&bob, "on");
        assert_eq!(bob.open(&alice, &body).unwrap(), "on", "{name}");
        let body = bob.seal(&alice, "and on");
        let refused = alice.try_open(&bob, &body).err();
        // Where Bob took the hostile session as a newer one, it is Alice herself who lost it.
        let moved = bob.session_in_use(&alice) != alice.session_in_use(&bob);
        assert_eq!(refused, moved.then_some(open::Error::UnknownSession), "{name}");
    }
}

#[test]
fn r_ses_1_every_field_of_a_first_message_altered_on_the_way_is_refused() {
    let edits: Vec<Named<proto::session::InitialMessage>> = vec![
        ("version 0", |m| m.version = 0),
        ("version 2", |m| m.version = 2),
        ("suite 0", |m| m.suite = 0),
        ("suite 2", |m| m.suite = 2),
        ("sender_account", |m| m.sender_account[0] ^= 1),
        ("sender_account short", |m| m.sender_account.truncate(31)),
        ("sender_device", |m| m.sender_device[0] ^= 1),
        ("sender_dh", |m| m.sender_dh = DhSecret::from_bytes([9; 32]).public().as_bytes().to_vec()),
        ("recipient_account", |m| m.recipient_account[0] ^= 1),
        ("recipient_device", |m| m.recipient_device[0] ^= 1),
        ("bundle_id", |m| m.bundle_id[0] ^= 1),
        ("bundle_id long", |m| m.bundle_id.push(1)),
        ("signed_prekey_id", |m| m.signed_prekey_id += 1),
        ("one_time_id gone", |m| m.one_time_id = None),
        ("one_time_id other", |m| m.one_time_id = Some(3)),
        ("rank", |m| m.rank += 1),
        ("ephemeral", |m| m.ephemeral = DhSecret::from_bytes([9; 32]).public().as_bytes().to_vec()),
        ("kem_ciphertext bent", |m| m.kem_ciphertext[9] ^= 1),
        ("kem_ciphertext cut", |m| m.kem_ciphertext.truncate(1087)),
        ("message gone", |m| m.message.clear()),
        ("message bent", |m| *m.message.last_mut().unwrap() ^= 1),
    ];
    let (mut alice, mut bob) = strangers();
    let EnvelopeBody::Initial(bytes) = alice.initiate(&bob, "hello") else { panic!("first") };
    for (name, edit) in edits {
        let mut message: proto::session::InitialMessage = wire::decode(&bytes, limits::ENVELOPE_BUCKET_MAX).unwrap();
        edit(&mut message);
        let bent = EnvelopeBody::Initial(wire::encode(&message).into());
        assert!(bob.open(&alice, &bent).is_err(), "{name}");
        if let Ok(inbound) = Inbound::decode(&bent) {
            assert!(Sessions::open_stranger(&bob.local(), &bob, &inbound, bob.now).is_err(), "{name}, as a stranger");
        }
    }
    assert_eq!(bob.open(&alice, &EnvelopeBody::Initial(bytes)).unwrap(), "hello");
}

/// Payloads of every kind that carry an introduction, a text, receipts and controls.
fn payloads(from: &Person, to: &Person) -> Vec<Payload> {
    let log = LogHead { len: 1, hash: [1; 32] };
    let marks =
        Marks { ids: vec![MessageId::from_bytes([7; 16])], ranges: vec![Range { device: to.device, from: 3, to: 9 }] };
    let control = SessionControl {
        one_time_keys: vec![HandedKey { id: 1, key: from.dh_public, expires: START }],
        reach_secret: Some(ReachSecret::from_bytes([6; 16])),
        name: Some("a name".into()),
        descriptor: Some(vec![1, 2, 3]),
        mailboxes: Some(Vec::new()),
    };
    let bodies = [
        Body::Text(Text::new("words".into()).unwrap()),
        Body::Receipt(Receipt { delivered: marks.clone(), read: marks }),
        Body::SessionControl(control),
        Body::CannotOpen(CannotOpen { session: Some(SessionId::from_bytes([5; 16])) }),
    ];
    let introduction = Introduction {
        device_log: vec![vec![1; 40], vec![2; 40]],
        reach_secret: ReachSecret::from_bytes([3; 16]),
        hints: vec!["/ip4/192.0.2.1/tcp/1".into()],
        mailboxes: vec![vec![4; 9]],
        name: "alice".into(),
    };
    let payload = |body: Body| Payload {
        content: content(from, to, body).encode().unwrap().to_vec(),
        sender_log: log,
        recipient_log: log,
        introduction: Some(introduction.clone()),
        extensions: Extensions::default(),
    };
    bodies.into_iter().map(payload).collect()
}

fn content(from: &Person, to: &Person, body: Body) -> Content {
    Content {
        id: MessageId::from_bytes([9; 16]),
        conversation: Conversation::Person(to.account),
        sender_account: from.account,
        sender_device: from.device,
        sequence: 5,
        previous: Some(MessageId::from_bytes([8; 16])),
        sent_at: START,
        expires_after_ms: Some(1000),
        body,
        extensions: Extensions::default(),
    }
}

/// Seals any bytes as a payload and opens them on the other side.
fn carry(alice: &mut Person, bob: &mut Person, bytes: &[u8]) -> zeroize::Zeroizing<Vec<u8>> {
    let (sessions, mut random) = (alice.with(&bob.peer()), alice.rng.clone());
    let step = sessions.seal(&alice.local(), bytes, alice.now, &mut random).unwrap();
    alice.rng = random;
    alice.sessions.insert(bob.device, step.sessions);
    let opened = bob.try_open(alice, &step.message).unwrap();
    bob.commit(&opened);
    opened.payload
}

#[test]
fn every_byte_of_payload_content_and_receipt_altered_inside_is_refused_or_another_payload_of_the_same_sender() {
    let (mut alice, mut bob) = friends();
    let (mut refused, mut misplaced, mut other) = (0, 0, 0);
    for payload in payloads(&alice, &bob) {
        let bytes = payload.encode();
        for at in 0..bytes.len() {
            let mut bent = bytes.to_vec();
            bent[at] ^= 1 << (at % 8);
            let arrived = carry(&mut alice, &mut bob, &bent);
            assert_eq!(arrived.as_slice(), bent);
            let Ok(decoded) = Payload::decode(&arrived) else {
                refused += 1;
                continue;
            };
            assert_eq!(decoded.encode().as_slice(), bent, "one spelling");
            let Ok(content) = Content::decode(&decoded.content) else {
                refused += 1;
                continue;
            };
            // Whatever it says now, it cannot speak for another device or in another conversation.
            match content.check(&(&alice.peer()).into(), &bob.account) {
                Ok(()) => {
                    assert_eq!((content.sender_account, content.sender_device), (alice.account, alice.device));
                    other += 1;
                }
                Err(_) => misplaced += 1,
            }
        }
    }
    assert!(refused > 100 && misplaced > 100 && other > 100, "{refused} {misplaced} {other}");
    let body = bob.seal(&alice, "still here");
    assert_eq!(alice.open(&bob, &body).unwrap(), "still here");
}

#[test]
fn a_payload_cut_anywhere_leaves_the_session_in_order() {
    let (mut alice, mut bob) = friends();
    let bytes = payloads(&alice, &bob)[0].encode();
    for cut in 0..bytes.len() {
        let arrived = carry(&mut alice, &mut bob, &bytes[..cut]);
        // What is left whole is only a payload that ends where its introduction would begin.
        if let Ok(decoded) = Payload::decode(&arrived) {
            assert!(decoded.introduction.is_none() && decoded.encode().as_slice() == &bytes[..cut], "cut at {cut}");
        }
    }
    let body = alice.seal(&bob, "on");
    assert_eq!(bob.open(&alice, &body).unwrap(), "on");
}
