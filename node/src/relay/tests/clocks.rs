//! Clocks that are days off: no mail goes before its time, and the operator is told.

use super::kit::*;
use crate::relay::{ClockDoubt, Settings};
use kith_protocol::mailbox::{Class, OwnerAsk};

/// Runs the sweeps of some minutes.
fn sweep(relay: &mut Relay) {
    for _ in 0..10 {
        relay.pass(61_000);
        relay.turn(Vec::new());
    }
}

#[test]
fn r_rly_4_a_clock_that_leaps_ahead_while_it_runs_ends_nobodys_mail() {
    let (mut relay, bob) = (Relay::open(), Owner::new("bob"));
    relay.register(&bob);
    let pass = bob.pass(&relay, Class::Contact, 7);
    let custody = relay.leave("alice", &pass, b"letter");
    let right = relay.wall;
    relay.wall = relay.wall.plus_days(400);
    sweep(&mut relay);
    assert_eq!(relay.mail(&bob), [b"letter"]);
    assert!(matches!(relay.stats().clock_doubt, Some(ClockDoubt::Ahead { by_ms }) if by_ms > 399 * DAY));
    // Meanwhile mail is taken, and promised by the time that surely passed.
    let (nonce, today) = (relay.nonce("alice"), right.day());
    let answer = relay.ask("alice", pass.deposit(&nonce, today, right.plus_days(30), false, b"second"));
    assert_eq!(relay.custody(&answer).until, right.plus_days(30));
    // A restart does not make it believe.
    let wall = relay.wall;
    let mut relay = relay.restart_at(wall);
    sweep(&mut relay);
    assert_eq!(relay.mail(&bob).len(), 2);
    assert!(relay.stats().clock_doubt.is_some());
    // Put right, it is over; at its time the mail goes.
    let mut relay = relay.restart_at(right.plus_millis(2_000_000));
    sweep(&mut relay);
    assert_eq!((relay.stats().clock_doubt, relay.mail(&bob).len()), (None, 2));
    for day in 0..29 {
        relay.pass(DAY);
        relay.turn(Vec::new());
        assert_eq!(relay.mail(&bob).len(), 2, "day {day}");
    }
    relay.pass(DAY);
    assert!(relay.wall > custody.until);
    sweep(&mut relay);
    assert!(relay.mail(&bob).is_empty());
    assert!(relay.stats().counters.swept >= 2);
    assert_eq!(relay.stats().held.envelopes, 0);
}

#[test]
fn r_rly_4_an_operator_who_vouches_for_the_clock_is_believed() {
    let (mut relay, bob) = (Relay::open(), Owner::new("bob"));
    relay.register(&bob);
    let pass = bob.pass(&relay, Class::Contact, 7);
    relay.leave("alice", &pass, b"letter");
    let later = relay.wall.plus_days(40);
    let disk = relay.disk.clone();
    drop(relay);
    let settings = Settings { open: true, accept_clock: true, ..Settings::default() };
    let mut relay = Relay::on(disk, settings, later);
    sweep(&mut relay);
    assert_eq!((relay.stats().clock_doubt, relay.stats().held.envelopes), (None, 0));
}

#[test]
fn r_rly_4_a_clock_that_is_days_behind_takes_mail_and_keeps_it_long_enough() {
    let (mut relay, bob) = (Relay::open(), Owner::new("bob"));
    relay.register(&bob);
    let pass = bob.pass(&relay, Class::Contact, 7);
    relay.leave("alice", &pass, b"before");
    let right = relay.wall;
    let mut relay = relay.restart_at(right.minus_millis(5 * DAY));
    assert!(matches!(relay.stats().clock_doubt, Some(ClockDoubt::Behind { .. })));
    // The sender's clock is right: its tag is of a day that this relay's clock has not reached.
    let (nonce, until) = (relay.nonce("alice"), right.plus_days(30));
    let answer = relay.ask("alice", pass.deposit(&nonce, right.day(), until, false, b"after"));
    let custody = relay.custody(&answer);
    assert_eq!(custody.until, relay.wall.plus_days(30), "no longer than it keeps anything, by its own clock");
    let (first, tags) = bob.key.tags(right);
    relay.own(&bob, &OwnerAsk::Register { token: None, first, tags });
    relay.pass(29 * DAY);
    sweep(&mut relay);
    assert_eq!(relay.mail(&bob).len(), 2);
}

#[test]
fn r_rly_4_what_is_accepted_is_kept_for_a_day_at_least_and_for_the_relays_time_at_most() {
    let (mut relay, bob) = (Relay::open(), Owner::new("bob"));
    relay.register(&bob);
    let pass = bob.pass(&relay, Class::Contact, 7);
    let (nonce, now) = (relay.nonce("alice"), relay.wall);
    for (n, (asked, promised)) in [(0, 1), (1, 1), (7, 7), (30, 30), (900, 30)].into_iter().enumerate() {
        let request = pass.deposit(&nonce, now.day(), now.plus_days(asked), false, &[n as u8]);
        let answer = relay.ask("alice", request);
        assert_eq!(relay.custody(&answer).until, now.plus_days(promised), "{asked} days");
    }
    // A sender whose clock is weeks behind asks for what is over by ours.
    let past = pass.deposit(&nonce, now.day(), now.minus_millis(20 * DAY), false, b"from the past");
    let answer = relay.ask("alice", past);
    assert_eq!(relay.custody(&answer).until, now.plus_days(1));
    relay.pass(DAY - 1_000_000);
    sweep(&mut relay);
    assert_eq!(relay.mail(&bob).len(), 6);
    relay.pass(DAY);
    sweep(&mut relay);
    assert_eq!(relay.mail(&bob).len(), 3);
}
