//! Every way to be told no, by name, and that it changes nothing.

use super::kit::*;
use crate::relay::{Operator, Settings};
use kith_protocol::{
    RelayId,
    crypto::{Secret, sign::SigningKey},
    limits::{ACKNOWLEDGED_MAX, ENVELOPE_MAX},
    mailbox::{Answer, Class, OwnerAsk, Pass, Reason, Revoked},
};
use kith_store::mailbox::{Caps, Quota};

/// An open relay with bob's mailbox, and a contact's pass to it.
fn ready() -> (Relay, Owner, Pass) {
    let (mut relay, bob) = (Relay::open(), Owner::new("bob"));
    relay.register(&bob);
    let pass = bob.pass(&relay, Class::Contact, 7);
    (relay, bob, pass)
}

/// Shows that nothing was taken in, and that honest mail still is.
fn nothing_moved(relay: &mut Relay, bob: &Owner, pass: &Pass) {
    assert!(relay.mail(bob).is_empty());
    relay.leave("alice", pass, b"honest");
    assert_eq!(relay.mail(bob), [b"honest"]);
}

#[test]
fn r_rly_2_what_is_not_proven_is_refused_by_name_before_anything_looks_at_it() {
    let (mut relay, bob, pass) = ready();
    let commits = relay.stats().counters.commits;
    let other = SigningKey::from_seed(&Secret::new([77; 32]));
    let forged = Pass { depositor: Some(other), ..pass.clone() };
    assert_eq!(reason(&relay.deposit("mallory", &forged, b"junk")), Reason::Proof);
    let unproven = Pass { depositor: None, ..pass.clone() };
    assert_eq!(reason(&relay.deposit("mallory", &unproven, b"junk")), Reason::Proof);

    // Recorded from another peer.
    let recorded = relay.deposit_request("alice", &pass, b"recorded");
    let answer = relay.ask("mallory", recorded);
    assert_eq!(refusal(&answer).nonce, Some(relay.nonce("mallory")));
    assert_eq!(reason(&answer), Reason::Nonce);

    // Meant for another relay.
    let elsewhere = Pass { relay: RelayId::from_bytes([1; 32]), ..pass.clone() };
    assert_eq!(reason(&relay.deposit("alice", &elsewhere, b"astray")), Reason::Proof);

    // A grant whose signature does not stand.
    let mut broken = relay.deposit_request("alice", &pass, b"letter");
    let grant = pass.grant.encode();
    let end = broken.windows(grant.len()).position(|window| window == grant).unwrap() + grant.len();
    broken[end - 1] ^= 1;
    assert_eq!(reason(&relay.ask("alice", broken)), Reason::WrongGrant);

    for bytes in [b"".as_slice(), b"\x08\x63", &[0xff; 70]] {
        assert_eq!(reason(&relay.ask("mallory", bytes.to_vec())), Reason::Malformed);
    }
    let whole = relay.deposit_request("alice", &pass, b"letter");
    for cut in 1..whole.len() {
        let answer = relay.ask("cutter", whole[..cut].to_vec());
        assert!(matches!(reason(&answer), Reason::Malformed | Reason::Nonce), "cut at {cut}: {answer:?}");
    }
    assert_eq!(relay.stats().counters.commits, commits, "the store was not asked");
    nothing_moved(&mut relay, &bob, &pass);
}

#[test]
fn r_rly_2_who_shows_what_nobody_signed_is_named_to_the_network_and_who_was_late_is_not() {
    let (mut relay, _, pass) = ready();
    let forged = Pass { depositor: Some(SigningKey::from_seed(&Secret::new([77; 32]))), ..pass.clone() };
    let request = relay.deposit_request("mallory", &forged, b"junk");
    let late = relay.deposit_request("alice", &pass, b"recorded");
    let turn = relay.turn(vec![(peer("mallory"), request), (peer("dave"), late)]);
    assert_eq!(turn.faults.into_iter().collect::<Vec<_>>(), [peer("mallory")]);
}

#[test]
fn grants_that_are_unknown_foreign_expired_revoked_or_blocked_are_told_apart_to_who_proves_one() {
    let (mut relay, bob, pass) = ready();
    let nobody = Owner::new("nobody");
    let unknown = nobody.pass(&relay, Class::Contact, 1);
    assert_eq!(reason(&relay.deposit("alice", &unknown, b"x")), Reason::UnknownTag);
    let foreign = Pass { tag_secret: bob.key.tag_secret(Class::Contact), ..unknown };
    assert_eq!(reason(&relay.deposit("alice", &foreign, b"x")), Reason::UnknownTag, "it says nothing of bob's mailbox");
    let class = Pass { tag_secret: bob.key.tag_secret(Class::Member), ..pass.clone() };
    assert_eq!(reason(&relay.deposit("alice", &class, b"x")), Reason::UnknownTag, "tags of another class are others");

    let until = relay.wall.plus_days(3);
    let short = bob.pass_for(&relay, Class::Contact, 8, (10, 10_000), until);
    relay.leave("alice", &short, b"in time");
    relay.pass(4 * DAY - 1);
    relay.leave("alice", &short, b"a day late, by our clock");
    relay.pass(1);
    assert_eq!(reason(&relay.deposit("alice", &short, b"too late")), Reason::Expired);
    let request = short.take_prekey(&relay.nonce("alice"), relay.wall.day());
    assert_eq!(reason(&relay.ask("alice", request)), Reason::Expired);

    let revoked = Revoked { serial: 7, until: relay.wall.plus_days(60) };
    assert_eq!(relay.own(&bob, &OwnerAsk::Revoke { grants: vec![revoked] }), Answer::Done);
    assert_eq!(reason(&relay.deposit("alice", &pass, b"x")), Reason::Revoked);
    let judge = |blocked| Operator::Judge { mailbox: bob.id(), allowed: None, blocked: Some(blocked), quota: None };
    let other = bob.pass(&relay, Class::Contact, 9);
    relay.operate(judge(true)).unwrap();
    assert_eq!(reason(&relay.deposit("alice", &other, b"x")), Reason::Blocked);
    assert_eq!(reason(&relay.register(&bob)), Reason::Blocked);
    assert_eq!(relay.mail(&bob).len(), 2, "what is there can still be fetched");
    relay.operate(judge(false)).unwrap();
    relay.leave("alice", &other, b"x");
}

#[test]
fn too_large_and_too_many_are_refused_and_the_largest_is_taken() {
    let (mut relay, bob, pass) = ready();
    relay.leave("alice", &pass, &vec![1; ENVELOPE_MAX]);
    let answer = relay.deposit("alice", &pass, &vec![1; ENVELOPE_MAX + 1]);
    assert_eq!(reason(&answer), Reason::TooLarge);
    assert_eq!(reason(&relay.deposit("alice", &pass, &vec![1; ENVELOPE_MAX + 10_000])), Reason::TooLarge);
    assert_eq!(reason(&relay.deposit("alice", &pass, b"")), Reason::Malformed);
    let ids = vec![kith_protocol::EnvelopeId::from_bytes([1; 32]); ACKNOWLEDGED_MAX + 1];
    assert_eq!(reason(&relay.own(&bob, &OwnerAsk::Acknowledge { ids })), Reason::Malformed);
    assert_eq!(relay.mail(&bob).len(), 1);
}

#[test]
fn an_acknowledgement_reaches_ones_own_mail_alone_and_replayed_does_nothing() {
    let (mut relay, bob, pass) = ready();
    let carol = Owner::new("carol");
    relay.register(&carol);
    relay.leave("alice", &pass, b"for bob");
    let others = relay.acknowledge(&carol, &[b"for bob".to_vec()]);
    assert_eq!(others, Answer::Deleted { deleted: 0, absent: 1 });
    let id = kith_protocol::EnvelopeId::of(b"for bob");
    let forged = relay.owners_request(&bob, &OwnerAsk::Acknowledge { ids: vec![id] });
    assert_eq!(reason(&relay.ask("mallory", forged.clone())), Reason::Nonce, "recorded by somebody");
    assert_eq!(relay.mail(&bob), [b"for bob"]);
    assert_eq!(relay.ask("bob", forged.clone()), Answer::Deleted { deleted: 1, absent: 0 });
    relay.leave("alice", &pass, b"a second one");
    assert_eq!(relay.ask("bob", forged), Answer::Deleted { deleted: 0, absent: 1 });
    assert_eq!(relay.mail(&bob), [b"a second one"]);
}

#[test]
fn a_quota_reached_in_the_middle_of_a_batch_refuses_the_rest_and_keeps_room_for_control() {
    let settings = Settings::default();
    let caps = Caps { mailbox: Quota { envelopes: 10, bytes: 1 << 20 }, ..settings.caps };
    let mut relay = Relay::with(Settings { open: true, caps, ..settings });
    let bob = Owner::new("bob");
    relay.register(&bob);
    let pass = bob.pass(&relay, Class::Contact, 7);
    let requests = (0..12).map(|n| (peer("alice"), relay.deposit_request("alice", &pass, &envelope(n, 100)))).collect();
    let answers = relay.answers(requests);
    for answer in &answers[..9] {
        relay.custody(answer);
    }
    for answer in &answers[9..] {
        assert_eq!(reason(answer), Reason::NoRoom);
        assert!(refusal(answer).retry_after_ms > 0);
    }
    let control = pass.deposit(&relay.nonce("alice"), relay.wall.day(), relay.wall.plus_days(30), true, b"control");
    let answer = relay.ask("alice", control);
    relay.custody(&answer);
    let expected: Vec<_> = (0..9).map(|n| envelope(n, 100)).chain([b"control".to_vec()]).collect();
    assert_eq!(relay.mail(&bob), expected);
    // Room that the owner makes is room again.
    relay.acknowledge(&bob, &expected[..5]);
    relay.leave("alice", &pass, &envelope(11, 100));
}

#[test]
fn a_full_relay_says_that_it_is_the_relay() {
    let settings = Settings::default();
    let caps = Caps { total: Quota { envelopes: 3, bytes: 1 << 20 }, mailboxes: 2, ..settings.caps };
    let mut relay = Relay::with(Settings { open: true, caps, ..settings });
    let (bob, carol) = (Owner::new("bob"), Owner::new("carol"));
    relay.register(&bob);
    relay.register(&carol);
    assert_eq!(reason(&relay.register(&Owner::new("dave"))), Reason::RelayFull);
    let pass = bob.pass(&relay, Class::Contact, 7);
    for n in 0..3 {
        relay.leave("alice", &pass, &envelope(n, 10));
    }
    let others = carol.pass(&relay, Class::Contact, 7);
    assert_eq!(reason(&relay.deposit("alice", &others, b"x")), Reason::RelayFull);
    relay.acknowledge(&bob, &[envelope(0, 10)]);
    relay.leave("alice", &others, b"x");
}

#[test]
fn an_owner_without_a_mailbox_is_told_to_register() {
    let (mut relay, bob) = (Relay::open(), Owner::new("bob"));
    let kept = OwnerAsk::Keep {
        id: kith_protocol::KeptId::from_bytes([3; 32]),
        sealed: vec![1; 100],
        until: relay.wall.plus_days(9),
    };
    let acknowledge = OwnerAsk::Acknowledge { ids: vec![kith_protocol::EnvelopeId::from_bytes([1; 32])] };
    let revoke = OwnerAsk::Revoke { grants: vec![Revoked { serial: 1, until: relay.wall.plus_days(9) }] };
    for ask in [OwnerAsk::Fetch { after: 0 }, acknowledge, kept.clone(), revoke] {
        assert_eq!(reason(&relay.own(&bob, &ask)), Reason::NoMailbox, "{ask:?}");
    }
    assert_eq!(relay.own(&bob, &OwnerAsk::Leave), Answer::Done);
    relay.register(&bob);
    assert_eq!(relay.own(&bob, &kept), Answer::Done);
    let found = relay.ask("anybody", kith_protocol::KeptId::ask(&[kith_protocol::KeptId::from_bytes([3; 32])]));
    assert_eq!(found, Answer::Kept(vec![Some(vec![1; 100])]));
    assert_eq!(relay.own(&bob, &OwnerAsk::Leave), Answer::Done);
    assert_eq!(reason(&relay.own(&bob, &OwnerAsk::Fetch { after: 0 })), Reason::NoMailbox);
}
