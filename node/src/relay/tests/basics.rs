//! The way of a letter: a mailbox, an envelope, a receipt, a page, an acknowledgement.

use super::kit::*;
use crate::{
    net::RelayInput,
    relay::{Denied, Operator},
};
use kith_protocol::mailbox::{Answer, Audited, Class, OwnerAsk, Reason};

#[test]
fn r_rly_10_a_letter_is_left_fetched_and_remembered_once_its_owner_has_it() {
    let (mut relay, bob) = (Relay::open(), Owner::new("bob"));
    let Answer::Registered(registered) = relay.register(&bob) else { panic!() };
    assert!(registered.new && registered.envelopes == 16_384 && registered.used_envelopes == 0);
    let pass = bob.pass(&relay, Class::Contact, 7);
    let letter = envelope(1, 1_000);
    let custody = relay.leave("alice", &pass, &letter);
    assert_eq!((custody.until, custody.at), (relay.wall.plus_days(30), relay.wall));
    assert_eq!(custody.tag, pass.tag(relay.wall.day()));
    assert_eq!(relay.ask("alice", custody.audit()), Answer::Audited(Audited::Held(letter.clone())));

    let mut relay = relay.restart();
    assert_eq!(relay.mail(&bob), std::slice::from_ref(&letter));
    assert_eq!(relay.acknowledge(&bob, &[letter]), Answer::Deleted { deleted: 1, absent: 0 });
    assert!(relay.mail(&bob).is_empty());
    assert_eq!(relay.ask("alice", custody.audit()), Answer::Audited(Audited::Collected));
    let stats = relay.stats();
    assert_eq!((stats.held.mailboxes, stats.held.envelopes, stats.counters.collected), (1, 0, 1));
}

#[test]
fn a_letter_left_twice_is_there_once_with_the_time_first_promised() {
    let (mut relay, bob) = (Relay::open(), Owner::new("bob"));
    relay.register(&bob);
    let pass = bob.pass(&relay, Class::Contact, 7);
    let first = relay.leave("alice", &pass, &envelope(1, 300));
    relay.pass(DAY);
    let again = relay.leave("alice", &pass, &envelope(1, 300));
    assert_eq!(again.until, first.until);
    assert_eq!(relay.mail(&bob).len(), 1);
}

#[test]
fn a_connected_owner_is_woken_once_a_turn_and_its_connection_kept() {
    let (mut relay, bob) = (Relay::open(), Owner::new("bob"));
    let ask = bob.registration(relay.wall, None);
    let request = relay.owners_request(&bob, &ask);
    assert_eq!(relay.turn(vec![(peer("bob"), request)]).keep, [peer("bob")]);
    let pass = bob.pass(&relay, Class::Contact, 7);
    let letters = (0..3).map(|n| (peer("alice"), relay.deposit_request("alice", &pass, &envelope(n, 300)))).collect();
    let turn = relay.turn(letters);
    assert_eq!(turn.wake.into_iter().collect::<Vec<_>>(), [peer("bob")]);
    assert!(turn.keep.is_empty(), "who only leaves mail is not kept");
    // What was there already wakes nobody, and nobody wakes who is gone.
    let again = relay.deposit_request("alice", &pass, &envelope(0, 300));
    assert!(relay.turn(vec![(peer("alice"), again)]).wake.is_empty());
    let gone = vec![RelayInput::Gone { peer: peer("bob") }];
    relay.service.turn(gone, Vec::new(), relay.wall, relay.moment);
    let more = relay.deposit_request("alice", &pass, &envelope(9, 300));
    assert!(relay.turn(vec![(peer("alice"), more)]).wake.is_empty());
    assert_eq!(relay.mail(&bob).len(), 4);
}

#[test]
fn pages_are_bounded_and_go_on_to_the_end() {
    let (mut relay, bob) = (Relay::open(), Owner::new("bob"));
    relay.register(&bob);
    let pass = bob.pass(&relay, Class::Contact, 7);
    let letters: Vec<_> = (0..150u32).map(|n| envelope(n, if n % 10 == 0 { 65_000 } else { 300 })).collect();
    for letter in &letters {
        relay.leave("alice", &pass, letter);
    }
    let first = relay.page(&bob, 0);
    assert!(first.more && first.items.len() <= 64);
    assert_eq!(relay.mail(&bob), letters);
    // Many owners' pages in one turn are answered all the same.
    let request = relay.owners_request(&bob, &OwnerAsk::Fetch { after: 0 });
    let many = relay.answers(vec![(peer("bob"), request); 200]);
    let pages: Vec<_> = many.into_iter().map(|a| if let Answer::Page(page) = a { page } else { panic!() }).collect();
    assert!(pages.iter().all(|page| !page.items.is_empty() && page.more));
    let bytes: usize = pages.iter().flat_map(|page| &page.items).map(|item| item.envelope.len()).sum();
    assert!(bytes < 32 << 20, "{bytes} bytes of answers");
}

#[test]
fn r_rly_7_a_relay_that_stops_says_so() {
    let (mut relay, bob) = (Relay::open(), Owner::new("bob"));
    relay.register(&bob);
    relay.service.stop();
    let answer = relay.register(&bob);
    assert_eq!(reason(&answer), Reason::Stopping);
    assert!(refusal(&answer).retry_after_ms > 0);
    assert_eq!(relay.operate(Operator::Stats), Err(Denied::Stopping));
    // It waits to be ended, and does not spin meanwhile.
    relay.pass(DAY);
    assert!(relay.turn(Vec::new()).next_due > relay.moment);
}
