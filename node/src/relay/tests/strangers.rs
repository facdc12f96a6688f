//! What a stranger can tell: nothing about whether a mailbox is there.

use super::kit::*;
use crate::relay::{Operator, Rate, Settings};
use kith_protocol::mailbox::{Answer, Class, OwnerAsk, Pass, Revoked};
use kith_store::mailbox::{Caps, Quota};

/// A relay where a box for strangers holds three.
fn small() -> (Relay, Owner, Pass) {
    let settings = Settings::default();
    let caps = Caps { strangers: Quota { envelopes: 3, bytes: 1 << 20 }, ..settings.caps };
    let mut relay = Relay::with(Settings { open: true, caps, ..settings });
    let bob = Owner::new("bob");
    relay.register(&bob);
    let pass = bob.pass(&relay, Class::Stranger, 7);
    (relay, bob, pass)
}

#[test]
fn r_rly_3_a_stranger_is_told_the_same_of_a_full_a_closed_a_busy_and_no_mailbox() {
    let (mut relay, bob, pass) = small();
    let unknown = Owner::new("nobody").pass(&relay, Class::Stranger, 7);
    let none = relay.deposit("mallory", &unknown, b"x").encode();
    for n in 0..3 {
        relay.leave("alice", &pass, &envelope(n, 100));
    }
    assert_eq!(relay.deposit("mallory", &pass, b"x").encode(), none, "full");
    let foreign = Pass { tag_secret: pass.tag_secret.clone(), ..unknown };
    assert_eq!(relay.deposit("mallory", &foreign, b"x").encode(), none, "somebody else's grant");
    let little = bob.pass_for(&relay, Class::Stranger, 8, (0, 0), relay.wall.plus_days(9));
    assert_eq!(relay.deposit("mallory", &little, b"x").encode(), none, "nothing granted");
    let revoked = Revoked { serial: 7, until: relay.wall.plus_days(60) };
    assert_eq!(relay.own(&bob, &OwnerAsk::Revoke { grants: vec![revoked] }), Answer::Done);
    assert_eq!(relay.deposit("mallory", &pass, b"x").encode(), none, "revoked");
    let judge = Operator::Judge { mailbox: bob.id(), allowed: None, blocked: Some(true), quota: None };
    relay.operate(judge).unwrap();
    let fresh = bob.pass(&relay, Class::Stranger, 9);
    assert_eq!(relay.deposit("mallory", &fresh, b"x").encode(), none, "blocked");
    assert_eq!(relay.mail(&bob).len(), 3);
}

#[test]
fn r_rly_3_a_box_that_is_asked_too_much_looks_full_too() {
    let stranger = Rate { per_second: 1, burst: 5 };
    let mut relay = Relay::with(Settings { open: true, stranger, ..Settings::default() });
    let bob = Owner::new("bob");
    relay.register(&bob);
    let (pass, unknown) = (bob.pass(&relay, Class::Stranger, 7), Owner::new("no").pass(&relay, Class::Stranger, 7));
    let none = relay.deposit("mallory", &unknown, b"x").encode();
    for n in 0..5 {
        relay.leave("alice", &pass, &envelope(n, 10));
    }
    assert_eq!(relay.deposit("mallory", &pass, b"x").encode(), none);
    relay.pass(1_000);
    relay.leave("alice", &pass, b"x");
}

#[test]
fn r_rly_3_an_empty_pool_and_no_mailbox_are_the_same_to_a_stranger() {
    let (mut relay, _, pass) = small();
    let unknown = Owner::new("nobody").pass(&relay, Class::Stranger, 7);
    let (nonce, day) = (relay.nonce("mallory"), relay.wall.day());
    let empty = relay.ask("mallory", pass.take_prekey(&nonce, day));
    assert_eq!(relay.ask("mallory", unknown.take_prekey(&nonce, day)), empty);
    assert_eq!(empty, Answer::Prekey(None));
}
