//! What owners, senders and relays say to each other: one spelling, bound to relay, asker and kind, and nothing else opens.

use super::*;
use crate::{
    AccountId, Day, EnvelopeId, KeptId, RelayId, Timestamp,
    crypto::{Secret, sign::SigningKey},
    identity::{ReachSecret, contact_link},
    limits,
};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use rand_core::Rng as _;

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
const NONCE: Nonce = Nonce([7; 16]);

fn key(n: u8) -> SigningKey {
    SigningKey::from_seed(&Secret::new([n; 32]))
}

fn relay() -> RelayId {
    RelayId::from_bytes(*key(1).public().as_bytes())
}

fn mailbox() -> MailboxKey {
    MailboxKey::from_seed(&Secret::new([2; 32]))
}

fn terms(class: Class, depositor: Option<&SigningKey>) -> Terms {
    let depositor = depositor.map(SigningKey::public);
    Terms { class, serial: 5, until: NOW.plus_days(30), envelopes: 128, bytes: 1 << 20, depositor }
}

fn pass(class: Class) -> Pass {
    let depositor = (class != Class::Stranger).then(|| key(3));
    Pass {
        relay: relay(),
        peer: "12D3KooWrelay".into(),
        addresses: vec!["/ip4/192.0.2.1/tcp/4001".into()],
        grant: mailbox().grant(terms(class, depositor.as_ref()), NOW),
        tag_secret: mailbox().tag_secret(class),
        depositor,
    }
}

fn verified(bytes: &[u8]) -> Result<Ask, AskError> {
    SignedAsk::decode(bytes)?.verify(&relay(), &NONCE)
}

#[test]
fn r_mbx_1_a_tag_says_nothing_of_another_day_class_or_mailbox_and_both_sides_derive_it() {
    let (first, tags) = mailbox().tags(NOW);
    assert_eq!(first, NOW.day().minus(limits::TAG_DAYS_BACK));
    assert_eq!(tags.len() * 3, limits::TAGS_MAX);
    let distinct: std::collections::BTreeSet<_> = tags.iter().flatten().collect();
    assert_eq!(distinct.len(), limits::TAGS_MAX);
    for (n, class) in Class::ALL.into_iter().enumerate() {
        let sender = pass(class);
        assert_eq!(sender.tag(NOW.day()), tags[limits::TAG_DAYS_BACK as usize][n]);
        assert_eq!(Class::from_number(class.number()), Some(class));
    }
    let other = MailboxKey::from_seed(&Secret::new([9; 32]));
    assert!(other.tags(NOW).1.iter().flatten().all(|tag| !distinct.contains(tag)));
}

#[test]
fn r_mbx_2_a_grant_is_the_mailboxs_word_for_its_class_and_depositor_alone() {
    let grant = pass(Class::Contact).grant;
    assert_eq!(Grant::verify(&grant.encode()), Ok(grant.clone()));
    let bytes = grant.encode();
    assert!(bytes.len() <= limits::GRANT_MAX);
    for bit in 0..bytes.len() * 8 {
        let mut bad = bytes.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        assert!(Grant::verify(&bad).is_err(), "bit {bit}");
    }
    let lent = Terms { until: NOW.plus_days(900), ..terms(Class::Stranger, None) };
    assert_eq!(mailbox().grant(lent, NOW).terms.until, NOW.plus_days(limits::GRANT_DAYS_MAX));
    for (class, depositor) in [(Class::Stranger, Some(key(3))), (Class::Contact, None)] {
        let wrong = mailbox().grant(terms(class, depositor.as_ref()), NOW);
        assert!(Grant::verify(&wrong.encode()).is_err(), "{class:?}");
    }
}

#[test]
fn a_pass_round_trips_fits_and_is_refused_with_another_depositors_secret() {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    for class in Class::ALL {
        let mut long = pass(class);
        long.addresses = vec![format!("/dns4/{}/tcp/4001", "x".repeat(200)); 5];
        let bytes = long.encode();
        assert!(bytes.len() <= limits::PASS_MAX);
        let read = Pass::decode(&bytes).unwrap();
        assert_eq!((read.relay, read.grant, read.tag_secret), (long.relay, long.grant, long.tag_secret));
        let mut other = pass(class);
        other.depositor = Some(key(4));
        assert!(Pass::decode(&other.encode()).is_err());
        for _ in 0..200 {
            let mut bad = pass(class).encode();
            let at = rng.next_u64() as usize % bad.len();
            bad[at] ^= 1 << (rng.next_u64() % 8);
            // Whatever still decodes is some pass, whose grant a mailbox signed.
            if let Ok(read) = Pass::decode(&bad) {
                assert_eq!(read.encode(), bad);
            }
        }
    }
    let two = [pass(Class::Contact).encode(), pass(Class::Stranger).encode(), vec![1, 2]];
    assert_eq!(passes(&two).len(), 1, "one for each relay");
}

fn all_owner_asks() -> Vec<OwnerAsk> {
    let (first, tags) = mailbox().tags(NOW);
    let mut rng = ChaCha20Rng::seed_from_u64(2);
    let device = crate::identity::DeviceSecrets::generate(&mut rng);
    let keys = crate::prekey::RelayPool::default().make(limits::POOL_KEYS_MAX, &device, NOW, &mut rng);
    let grants = (0..limits::REVOKED_MAX as u64).map(|serial| Revoked { serial, until: NOW }).collect();
    vec![
        OwnerAsk::Register { token: Some([4; 16]), first, tags: tags.clone() },
        OwnerAsk::Register { token: None, first, tags },
        OwnerAsk::Fetch { after: 0 },
        OwnerAsk::Fetch { after: u64::MAX },
        OwnerAsk::Acknowledge { ids: vec![EnvelopeId::from_bytes([1; 32]); limits::ACKNOWLEDGED_MAX] },
        OwnerAsk::PutPrekeys { keys },
        OwnerAsk::Keep { id: KeptId::from_bytes([5; 32]), sealed: vec![6; limits::KEPT_MAX], until: NOW },
        OwnerAsk::Revoke { grants },
        OwnerAsk::Leave,
    ]
}

#[test]
fn r_mbx_3_a_proof_stands_for_one_relay_one_asker_and_one_request() {
    let owner = mailbox();
    let deposit = pass(Class::Contact).deposit(&NONCE, NOW.day(), NOW, true, &[8; 300]);
    let mut requests = vec![(deposit, 3), (pass(Class::Member).take_prekey(&NONCE, NOW.day()), 7)];
    for ask in all_owner_asks() {
        let bytes = ask.sign(&owner, &relay(), &NONCE);
        assert!(bytes.len() <= limits::RELAY_REQUEST_MAX, "{} bytes", bytes.len());
        assert_eq!(verified(&bytes), Ok(Ask::Owner { mailbox: owner.id(), ask: ask.clone() }));
        requests.push((bytes, 0));
    }
    for (bytes, _) in &requests {
        let asked = SignedAsk::decode(bytes).unwrap();
        assert!(asked.clone().verify(&relay(), &NONCE).is_ok());
        assert_eq!(asked.clone().verify(&relay(), &Nonce([8; 16])), Err(AskError::Nonce), "another asker or start");
        let elsewhere = RelayId::from_bytes(*key(6).public().as_bytes());
        assert_eq!(asked.verify(&elsewhere, &NONCE), Err(AskError::Proof));
        let mut rng = ChaCha20Rng::seed_from_u64(3);
        for _ in 0..300 {
            let mut bad = bytes.clone();
            let at = rng.next_u64() as usize % bad.len();
            bad[at] ^= 1 << (rng.next_u64() % 8);
            assert!(verified(&bad).is_err(), "byte {at} of {}", bad.len());
        }
    }
}

#[test]
fn r_mbx_3_a_stranger_proves_nothing_and_nobody_else_can_use_a_contacts_grant() {
    let stranger = pass(Class::Stranger).deposit(&NONCE, NOW.day(), NOW, false, &[8; 300]);
    let Ok(Ask::Deposit(ask)) = verified(&stranger) else { panic!("refused") };
    assert_eq!((ask.tag, ask.id), (pass(Class::Stranger).tag(NOW.day()), EnvelopeId::of(&[8; 300])));
    let mut thief = pass(Class::Contact);
    thief.depositor = Some(key(9));
    assert_eq!(verified(&thief.deposit(&NONCE, NOW.day(), NOW, false, &[8; 300])), Err(AskError::Proof));
    thief.depositor = None;
    assert_eq!(verified(&thief.deposit(&NONCE, NOW.day(), NOW, false, &[8; 300])), Err(AskError::Proof));
    let empty = pass(Class::Stranger).deposit(&NONCE, NOW.day(), NOW, false, &[]);
    assert_eq!(verified(&empty).unwrap_err().reason(), Reason::Malformed);
    let large = pass(Class::Stranger).deposit(&NONCE, NOW.day(), NOW, false, &vec![1; limits::ENVELOPE_MAX + 1]);
    assert_eq!(verified(&large).unwrap_err().reason(), Reason::TooLarge);
}

#[test]
fn r_mbx_3_nonces_differ_between_peers_and_starts() {
    let of = |run: u8, peer| Nonce::of_peer(&[run; 32], peer);
    assert_eq!(of(1, "a"), of(1, "a"));
    assert_ne!(of(1, "a"), of(1, "b"));
    assert_ne!(of(1, "a"), of(2, "a"));
}

#[test]
fn r_mbx_4_a_welcome_is_the_cards_relays_for_this_challenge_under_this_transport_name() {
    let hello = Hello { challenge: [3; 16] };
    let welcome = Welcome {
        relay: relay(),
        nonce: NONCE,
        peer: "12D3KooWrelay".into(),
        now: NOW,
        open: true,
        name: "a relay".into(),
        ttl_ms: 1,
        envelopes: 2,
        bytes: 3,
    };
    assert_eq!(verified(&hello.encode()), Ok(Ask::Hello(hello)));
    let Ok(Answer::Welcome(signed)) = Answer::decode(&welcome.sign(&key(1), &hello).encode()) else { panic!() };
    let read = |relay: &RelayId, hello: &Hello, peer: &str| Welcome::verify(&signed, relay, hello, peer);
    assert_eq!(read(&relay(), &hello, "12D3KooWrelay"), Ok(welcome.clone()));
    assert_eq!(read(&relay(), &Hello { challenge: [4; 16] }, "12D3KooWrelay"), Err(WelcomeError::Replayed));
    assert_eq!(read(&relay(), &hello, "12D3KooWproxy"), Err(WelcomeError::Replayed), "a proxy has another name");
    let other = RelayId::from_bytes(*key(6).public().as_bytes());
    assert_eq!(read(&other, &hello, "12D3KooWrelay"), Err(WelcomeError::OtherRelay));
    let Answer::Welcome(forged) = welcome.sign(&key(6), &hello) else { panic!() };
    assert_eq!(Welcome::verify(&forged, &relay(), &hello, "12D3KooWrelay"), Err(WelcomeError::BadSignature));
}

#[test]
fn r_mbx_5_a_custody_receipt_is_its_relays_word_on_one_envelope() {
    let (tag, id) = (pass(Class::Contact).tag(Day(20_000)), EnvelopeId::from_bytes([4; 32]));
    let custody = Custody::issue(&key(1), tag, id, NOW.plus_days(30), NOW);
    assert_eq!(Custody::verify(&custody.encode(), &relay()), Ok(custody.clone()));
    assert_eq!(verified(&custody.audit()), Ok(Ask::Audit(custody.clone())));
    let other = RelayId::from_bytes(*key(6).public().as_bytes());
    assert_eq!(Custody::verify(&custody.encode(), &other), Err(CustodyError::Foreign));
    let bytes = custody.encode();
    for bit in 0..bytes.len() * 8 {
        let mut bad = bytes.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        assert!(Custody::verify(&bad, &relay()).is_err(), "bit {bit}");
    }
}

#[test]
fn answers_round_trip_in_one_spelling_and_pages_stay_in_their_bounds() {
    let item = |n: u64| Item { cursor: n, until: NOW, envelope: vec![n as u8; 300] };
    let answers = [
        Answer::Refused(Refusal::never(Reason::NoRoom)),
        Answer::Refused(Refusal { reason: Reason::Nonce, retry_after_ms: 1, nonce: Some(NONCE) }),
        Answer::Refused(Refusal::later(Reason::Other(99), 5)),
        Answer::Registered(Registered {
            new: true,
            envelopes: 1,
            bytes: 2,
            used_envelopes: 3,
            used_bytes: 4,
            prekeys: 5,
        }),
        Answer::Page(Page { items: vec![item(1), item(2)], more: true, prekeys: 9 }),
        Answer::Page(Page::default()),
        Answer::Deleted { deleted: 3, absent: 0 },
        Answer::Prekeys(7),
        Answer::Prekey(None),
        Answer::Prekey(Some(vec![1; 100])),
        Answer::Done,
        Answer::Kept(vec![None, Some(vec![2; 100])]),
        Answer::Audited(Audited::Held(vec![1; 300])),
        Answer::Audited(Audited::Collected),
        Answer::Audited(Audited::Absent),
    ];
    for answer in answers {
        let bytes = answer.encode();
        assert_eq!(Answer::decode(&bytes), Ok(answer));
        for cut in 0..bytes.len() {
            // A cut between two fields leaves a shorter answer, in its one spelling: the frame around it tells its length.
            if let Ok(shorter) = Answer::decode(&bytes[..cut]) {
                assert_eq!(shorter.encode(), bytes[..cut], "{cut} of {}", bytes.len());
            }
        }
    }
    let full = Page { items: vec![item(1); limits::PAGE_ITEMS_MAX + 1], more: false, prekeys: 0 };
    assert!(Answer::decode(&Answer::Page(full).encode()).is_err());
    let largest = Page {
        items: vec![Item { cursor: u64::MAX, until: NOW, envelope: vec![1; limits::PAGE_BYTES_MAX / 64] }; 64],
        more: true,
        prekeys: 1,
    };
    assert!(Answer::Page(largest).encode().len() <= limits::RELAY_ANSWER_MAX);
    for n in 1..=16 {
        assert_eq!(Reason::from_number(n).unwrap().number(), n);
    }
}

#[test]
fn r_mbx_6_a_kept_descriptor_opens_for_holders_of_the_code_alone_and_two_relays_hold_nothing_in_common() {
    let mut rng = ChaCha20Rng::seed_from_u64(4);
    let (account, reach) = (AccountId::from_bytes(*key(5).public().as_bytes()), ReachSecret::from_bytes([1; 16]));
    let at = |peer, slot| KeptSlot { account: &account, reach: &reach, peer, slot };
    let here = at("relay-a", 0);
    let sealed = seal_kept(&here, b"record", &mut rng);
    assert_eq!(here.open(&sealed).as_deref(), Some(b"record".as_slice()));
    assert_ne!(here.id(), at("relay-b", 0).id());
    assert_ne!(here.id(), at("relay-a", 1).id());
    assert_eq!(at("relay-b", 0).open(&sealed), None);
    let other = ReachSecret::from_bytes([2; 16]);
    assert_eq!(KeptSlot { reach: &other, ..here }.open(&sealed), None);
    let ids = vec![here.id(), at("relay-a", 1).id()];
    assert_eq!(verified(&KeptId::ask(&ids)), Ok(Ask::Kept { ids }));
}

#[test]
fn a_card_is_a_code_of_its_own_kind_with_hints_and_perhaps_a_token() {
    let hints = ["/ip4/192.0.2.1/tcp/4001/p2p/12D3KooWrelay".to_owned()];
    for token in [None, Some([9; 16])] {
        let card = RelayCard::new(relay(), token, hints.clone());
        assert_eq!(RelayCard::parse(&card.to_string()), Ok(card.clone()));
        assert_eq!(card.code().len(), 90);
        assert_eq!(RelayCard::parse(&card.code()).unwrap().hints, Vec::<String>::new());
        let shouted = format!(" \"{}\" ", card.code().to_uppercase());
        assert_eq!(RelayCard::parse(&shouted).unwrap().relay, relay());
        let mut typo = card.code().into_bytes();
        typo[20] = if typo[20] == b'q' { b'p' } else { b'q' };
        assert_eq!(RelayCard::parse(std::str::from_utf8(&typo).unwrap()), Err(contact_link::Error::Typo));
        let cut = &card.code()[..60];
        assert!(matches!(RelayCard::parse(cut), Err(contact_link::Error::Truncated { .. })));
    }
    let account = AccountId::from_bytes(*key(5).public().as_bytes());
    let contact = contact_link::ContactCode { account, reach: ReachSecret::from_bytes([1; 16]) };
    let error = RelayCard::parse(&contact.to_string()).unwrap_err();
    assert_eq!(error.to_string(), "this is a contact code, not a relay card");
    let card = RelayCard::new(relay(), None, []);
    let error = contact_link::ContactLink::parse(&card.to_string()).unwrap_err();
    assert_eq!(error.to_string(), "this is a relay card, not a contact code");
}
