//! What becomes of mail where a device's relays change: one is let go, falls silent, loses everything, is put back or has
//! another time.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use kith_node::{
    api::types::{DeliveryState, RelayState},
    app::Command,
    net::PeerName,
};
use kith_protocol::{
    limits,
    mailbox::{Answer, Pass, Reason, Refusal},
};
use kith_store::{Rows as _, table::PassesOf};
use kith_tests::world::World;

const HOUR: u64 = 60 * 60_000;
const DAY: u64 = 24 * HOUR;

/// The first pass that somebody was given inside a session, if there is one.
fn given(world: &World, who: usize) -> Option<Pass> {
    let rows: Vec<PassesOf> = world.people[who].read(|rows| rows.all(None, usize::MAX).unwrap());
    rows.iter().flat_map(|row| &row.given).next().map(|bytes| Pass::decode(bytes).unwrap())
}

/// What a relay answers to a deposit under a pass.
fn deposit(world: &mut World, pass: &Pass) -> Answer {
    let from = PeerName("removed".into());
    let nonce = world.nonce_at(0, &from);
    let request = pass.deposit(&nonce, world.now.day(), world.now.plus_days(1), false, &[1; 600]);
    Answer::decode(&world.ask_relay(0, &from, request).unwrap()).unwrap()
}

fn is_revoked(answer: &Answer) -> bool {
    matches!(answer, Answer::Refused(Refusal { reason: Reason::Revoked, .. }))
}

#[test]
fn r_out_13_a_relay_that_is_silent_for_days_is_named_and_replaced_and_taken_again_when_it_is_back() {
    let mut world = World::friends_at([&[0, 1], &[0, 1]]);
    world.crash_relay(0, None);
    world.run_for(4 * DAY);
    for person in &world.people {
        let gone: Vec<_> = person.alerts().into_iter().filter(|alert| alert.code == "relay_gone").collect();
        assert_eq!(gone.len(), 1, "{gone:?}");
        assert!(gone[0].message.contains(&world.relay_name(0)), "{gone:?}");
    }
    world.sleep(1);
    world.send(0, 1, "elsewhere");
    world.run_for(10 * 60_000);
    let (state, story) = (world.state(0), world.story(0));
    assert_eq!(state, DeliveryState::Stored, "{story}");
    assert!(story.contains(&world.relay_name(1)) && !story.contains(&world.relay_name(0)), "{story}");
    world.wake(1);
    world.start_relay(0);
    world.run_for(DAY);
    world.sleep(1);
    world.send(0, 1, "at both again");
    world.run_for(10 * 60_000);
    let (state, story) = (world.state(0), world.story(0));
    assert_eq!(state, DeliveryState::Stored, "{story}");
    assert!((0..2).all(|relay| story.contains(&format!("{}) holds it", world.relay_name(relay)))), "{story}");
    world.wake(1);
    world.run_for(HOUR);
    assert_eq!([0, 1].map(|relay| world.relays[relay].holds()), [0, 0], "deleted at both");
    world.ledger.check(1, &world.people);
}

#[test]
fn r_out_13_what_comes_to_a_relay_that_was_let_go_arrives_and_it_is_not_accused() {
    let mut world = World::friends_at([&[1], &[0]]);
    world.sleep(1);
    world.send(0, 1, "on its way");
    world.run_for(60_000);
    assert_eq!(world.state(0), DeliveryState::Stored, "{}", world.story(0));
    // Neither the receipt nor the news of the move gets through to its sender.
    world.crash_relay(1, None);
    world.sleep(0);
    world.wake(1);
    world.run_for(5_000);
    let old = world.relays[0].id();
    world.act(1, Command::RelayRemove { relay: old });
    world.run_for(60_000);
    world.sleep(1);
    world.wake(0);
    world.send(0, 1, "where you were");
    world.run_for(60_000);
    assert_eq!(world.state(0), DeliveryState::Stored, "{}", world.story(0));
    world.run_for(7 * DAY);
    world.wake(1);
    world.start_relay(1);
    world.run_for(DAY);
    let shown = world.texts(1);
    assert!(shown.ends_with(&["on its way".into(), "where you were".into()]), "{shown:?}");
    assert!(world.people[0].alerts().iter().all(|alert| alert.code != "relay_broke_word"));
    assert!(world.people[0].why_all().iter().all(|why| why.recipients[0].state == DeliveryState::Delivered));
}

#[test]
fn r_out_13_contacts_learn_of_a_move_and_what_waited_at_the_old_relay_goes_to_the_new_one() {
    let mut world = World::friends_at([&[0], &[0]]);
    world.add_relays(1);
    assert_eq!(world.relays.len(), 2);
    world.use_relay(1, 1);
    world.run_for(60_000);
    let old = world.relays[0].id();
    world.act(1, Command::RelayRemove { relay: old });
    world.run_for(60_000);
    world.sleep(1);
    world.send(0, 1, "to the new place");
    world.run_for(60_000);
    assert!(world.story(0).contains(&format!("relay {}", world.relay_name(1))), "{}", world.story(0));
    world.wake(1);
    world.run_for(60_000);
    assert_eq!(world.people[1].shown().len(), 2);
    assert_eq!(world.state(0), DeliveryState::Delivered);
    let standing = |world: &World| world.people[1].relays().iter().map(|r| r.state).collect::<Vec<_>>();
    assert_eq!(standing(&world), [RelayState::Leaving, RelayState::Ready]);
    world.run_for(DAY);
    assert!(world.people[1].alerts().iter().all(|alert| alert.code != "relay_gone"), "{:?}", world.people[1].alerts());
    world.run_for(limits::COLLECTED_MS);
    assert_eq!(standing(&world), [RelayState::Ready], "the old one was told to forget the mailbox");
}

#[test]
fn r_out_14_a_relay_put_back_to_an_old_copy_takes_nothing_from_who_was_removed() {
    let mut world = World::friends_at([&[0], &[0]]);
    let before = world.relays[0].image();
    let pass = given(&world, 0).unwrap();
    assert!(matches!(deposit(&mut world, &pass), Answer::Custody(_)), "a pass that opens nothing");
    let account = world.people[0].account();
    world.act(1, Command::ContactRemove { account });
    world.run_for(60_000);
    assert!(is_revoked(&deposit(&mut world, &pass)));
    world.put_relay_back(0, before);
    assert!(matches!(deposit(&mut world, &pass), Answer::Custody(_)), "nobody told it again yet");
    world.run_for(20 * 60_000);
    assert!(is_revoked(&deposit(&mut world, &pass)));
}

#[test]
fn r_out_14_who_is_removed_leaves_nothing_at_a_relay_that_was_let_go_before() {
    let mut world = World::friends_at([&[1], &[0]]);
    let pass = given(&world, 0).unwrap();
    let (old, account) = (world.relays[0].id(), world.people[0].account());
    world.act(1, Command::RelayRemove { relay: old });
    world.run_for(2 * HOUR);
    assert!(matches!(deposit(&mut world, &pass), Answer::Custody(_)), "contacts who do not know yet leave mail there");
    world.act(1, Command::ContactRemove { account });
    world.run_for(20 * 60_000);
    assert!(is_revoked(&deposit(&mut world, &pass)));
}

#[test]
fn r_out_13_who_has_a_mailbox_at_a_relay_that_lost_everything_gives_new_passes_to_it() {
    let mut world = World::friends_at([&[0, 1], &[0]]);
    world.sleep(1);
    let nothing = world.empty_relay();
    world.put_relay_back(0, nothing);
    world.send(0, 1, "nobody lives there");
    world.run_for(HOUR);
    assert_ne!(world.state(0), DeliveryState::Stored, "{}", world.story(0));
    assert!(given(&world, 0).is_none(), "a pass that is not taken is forgotten");
    world.wake(1);
    world.run_for(HOUR);
    assert!(given(&world, 0).is_some(), "a pass again");
    assert_eq!(world.state(0), DeliveryState::Delivered, "{}", world.story(0));
    world.sleep(1);
    world.send(0, 1, "you live there again");
    world.run_for(60_000);
    assert_eq!(world.state(0), DeliveryState::Stored, "{}", world.story(0));
    world.wake(1);
    world.run_for(HOUR);
    world.ledger.check(1, &world.people);
}

#[test]
fn r_out_10_a_receipt_that_ends_within_the_hour_is_none_and_one_of_a_slow_clock_is_kept_while_it_holds() {
    for (behind, days, held) in [(9 * DAY, 9, true), (30 * DAY - HOUR / 2, 30, false)] {
        let mut world = World::friends_at([&[0, 1], &[0, 1]]);
        world.sleep(1);
        world.crash_relay(0, None);
        world.relays[0].behind_ms = behind;
        world.start_relay(0);
        world.run_for(60_000);
        world.send(0, 1, "until when?");
        world.run_for(10 * 60_000);
        let story = world.story(0);
        assert_eq!(world.state(0), DeliveryState::Stored, "{story}");
        assert_eq!(story.contains(&format!("{}) holds it", world.relay_name(0))), held, "{story}");
        assert_eq!(story.contains(&format!("{}) gave no receipt that holds", world.relay_name(0))), !held, "{story}");
        world.wake(1);
        world.run_for(HOUR);
        assert_eq!(world.state(0), DeliveryState::Delivered, "{}", world.story(0));
        let detail = world.people[1].relays()[0].detail.clone().unwrap_or_default();
        assert!(detail.contains(&format!("{days} days off")), "{detail}");
        assert!(world.run_until_settled(8 * DAY), "{} wait", world.people[1].waiting().len());
        world.ledger.check(1, &world.people);
    }
}
