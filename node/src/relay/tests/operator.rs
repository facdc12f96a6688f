//! What the operator does: invites, members, quotas, numbers.

use super::kit::*;
use crate::relay::{Denied, Operator, Settings, Told};
use kith_protocol::mailbox::{Answer, Class, Reason};
use kith_store::mailbox::Quota;

fn invite(relay: &mut Relay, uses: u32) -> ([u8; 16], String) {
    let until = relay.wall.plus_days(7);
    match relay.operate(Operator::Invite { uses, until }) {
        Ok(Told::Invited { token, id }) => (token, id.to_string()),
        other => panic!("no invite: {other:?}"),
    }
}

fn register(relay: &mut Relay, owner: &Owner, token: Option<[u8; 16]>) -> Answer {
    let ask = owner.registration(relay.wall, token);
    relay.own(owner, &ask)
}

#[test]
fn r_rly_8_members_come_in_by_invite_or_by_the_operators_word_and_stay() {
    let mut relay = Relay::with(Settings::default());
    let [bob, carol, dave] = ["bob", "carol", "dave"].map(Owner::new);
    assert_eq!(reason(&register(&mut relay, &bob, None)), Reason::NotAdmitted);
    assert_eq!(reason(&register(&mut relay, &bob, Some([1; 16]))), Reason::NotAdmitted);
    let (token, id) = invite(&mut relay, 1);
    assert!(matches!(register(&mut relay, &bob, Some(token)), Answer::Registered(r) if r.new));
    assert_eq!(reason(&register(&mut relay, &carol, Some(token))), Reason::NotAdmitted, "one use");
    assert!(matches!(register(&mut relay, &bob, None), Answer::Registered(r) if !r.new), "who is in stays");
    assert_eq!(relay.operate(Operator::RevokeInvite { id }), Err(Denied::NoSuchInvite), "used up");

    let (token, id) = invite(&mut relay, 5);
    let (_, other) = invite(&mut relay, 5);
    assert_ne!(id, other);
    assert!(matches!(relay.operate(Operator::Invites), Ok(Told::Invites(all)) if all.len() == 2));
    assert_eq!(relay.operate(Operator::RevokeInvite { id: String::new() }), Err(Denied::NoSuchInvite));
    assert_eq!(relay.operate(Operator::RevokeInvite { id: id[..12].to_uppercase() }), Ok(Told::Done));
    assert_eq!(reason(&register(&mut relay, &carol, Some(token))), Reason::NotAdmitted, "withdrawn");
    let none = Operator::Invite { uses: 0, until: relay.wall.plus_days(1) };
    assert_eq!(relay.operate(none), Err(Denied::Empty));
    let over = Operator::Invite { uses: 1, until: relay.wall };
    assert_eq!(relay.operate(over), Err(Denied::Empty));

    let judge = Operator::Judge { mailbox: dave.id(), allowed: Some(true), blocked: None, quota: None };
    assert_eq!(relay.operate(judge), Ok(Told::Done));
    assert!(matches!(register(&mut relay, &dave, None), Answer::Registered(r) if r.new));
    let Ok(Told::Members(members)) = relay.operate(Operator::Members { after: None, limit: 10 }) else { panic!() };
    assert_eq!(members.iter().filter(|m| m.registered).count(), 2);
    let page = relay.operate(Operator::Members { after: Some(members[0].id), limit: 1 });
    assert_eq!(page, Ok(Told::Members(vec![members[1].clone()])));
}

#[test]
fn a_quota_of_its_own_holds_for_one_mailbox() {
    let (mut relay, bob) = (Relay::open(), Owner::new("bob"));
    relay.register(&bob);
    let quota = |quota| Operator::Judge { mailbox: bob.id(), allowed: None, blocked: None, quota: Some(quota) };
    relay.operate(quota(Some(Quota { envelopes: 1, bytes: 1_000 }))).unwrap();
    let pass = bob.pass(&relay, Class::Contact, 7);
    relay.leave("alice", &pass, b"one");
    assert_eq!(reason(&relay.deposit("alice", &pass, b"two")), Reason::NoRoom);
    relay.operate(quota(None)).unwrap();
    relay.leave("alice", &pass, b"two");
}

#[test]
fn numbers_are_told_to_people_and_to_machines_without_names() {
    let (mut relay, bob) = (Relay::open(), Owner::new("bob"));
    relay.register(&bob);
    let pass = bob.pass(&relay, Class::Contact, 7);
    relay.leave("alice", &pass, &[1; 500]);
    relay.ask("mallory", vec![1, 2, 3]);
    relay.pass(5_000);
    let stats = relay.stats();
    assert_eq!((stats.held.envelopes, stats.held.bytes, stats.counters.accepted), (1, 500, 1));
    assert_eq!((stats.counters.refused[&Reason::Malformed], stats.owners, stats.uptime_s), (1, 1, 5));
    let Ok(Told::Metrics(text)) = relay.operate(Operator::Metrics) else { panic!("no metrics") };
    let has = |line: &str| assert!(text.lines().any(|known| known == line), "{line} is missing in\n{text}");
    has("# TYPE kith_relay_deposits_total counter");
    has("kith_relay_deposits_total 1");
    has("kith_relay_envelope_bytes 500");
    has("kith_relay_refused_total{reason=\"malformed\"} 1");
    has("kith_relay_storage_ok 1");
    for name in [bob.id().to_string(), relay.id.to_string(), "alice".into(), "bob".into(), "mallory".into()] {
        assert!(!text.contains(&name), "{name}");
    }
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (name, value) = line.rsplit_once(' ').unwrap();
        assert!(name.starts_with("kith_relay_") && value.parse::<u64>().is_ok(), "{line}");
    }
}
