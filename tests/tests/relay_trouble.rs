//! What becomes of mail where relays refuse, die in the middle, fall silent for days, or are drained of keys.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::print_stdout)]

use kith_node::{
    api::types::{DeliveryState, RelayState},
    app::Command,
    net::PeerName,
};
use kith_protocol::{
    crypto::Secret,
    limits,
    mailbox::{Answer, Class, MailboxKey, Pass, Reason, Terms},
};
use kith_store::{Rows as _, table::OwnRelay};
use kith_tests::world::{Kind, Trap, World};

const HOUR: u64 = 60 * 60_000;
const DAY: u64 = 24 * HOUR;

/// Envelopes that people's relays say they hold for them.
fn held(world: &World, who: usize) -> Vec<u64> {
    world.people[who].relays().iter().map(|relay| relay.envelopes).collect()
}

#[test]
fn r_out_9_two_people_who_are_never_on_together_meet_through_one_relay_alone() {
    meet([&[0], &[0]]);
}

#[test]
fn r_out_9_two_people_at_different_relays_who_are_never_on_together_meet() {
    meet([&[0], &[1]]);
}

fn meet(places: [&[usize]; 2]) {
    let mut world = World::pair_at(places);
    let [first, second] = places.map(|of| of[0]);
    world.sleep(1);
    let link = world.people[1].link();
    assert!(link.contains(&world.relays[second].peer().0), "the link names the relay: {link}");
    world.add_contact(0, 1);
    world.run_for(10_000);
    world.send(0, 1, "hello, stranger");
    world.run_for(60_000);
    let (state, story) = (world.state(0), world.story(0));
    assert_eq!(state, DeliveryState::Stored, "{story}");
    assert!(story.contains("holds it until") && story.contains(&world.relay_name(second)), "{story}");
    assert!(first == second || !story.contains(&world.relay_name(first)), "{story}");
    world.sleep(0);
    world.run_for(HOUR);

    world.wake(1);
    world.run_for(10_000);
    assert_eq!(world.people[1].shown().len(), 1, "the request came");
    let account = world.people[0].account();
    world.act(1, Command::ContactAccept { account });
    world.run_for(10_000);
    world.send(1, 0, "hello, friend");
    world.run_for(60_000);
    let (state, story) = (world.state(1), world.story(1));
    assert_eq!(state, DeliveryState::Stored, "{story}");
    assert!(story.contains(&world.relay_name(first)), "{story}");
    world.sleep(1);
    world.run_for(HOUR);

    world.wake(0);
    world.run_for(60_000);
    assert_eq!(world.people[0].shown().len(), 1, "the answer came");
    assert_eq!(world.state(0), DeliveryState::Delivered, "and its receipt");
    world.sleep(0);
    world.wake(1);
    world.run_for(60_000);
    assert_eq!(world.state(1), DeliveryState::Delivered);
    world.ledger.check(1, &world.people);
}

#[test]
fn what_a_relay_answers_to_a_deposit_is_told_and_another_relay_or_a_later_hour_is_tried() {
    let words = [
        (Reason::NoRoom, "has no room for them now"),
        (Reason::RelayFull, "is full"),
        (Reason::Blocked, "takes nothing for them"),
        (Reason::RateLimited, "asks to wait"),
        (Reason::Stopping, "is shutting down"),
        (Reason::Storage, "reports errors of its disk"),
    ];
    for (reason, words) in words {
        let mut world = World::friends_at([&[0, 1], &[0, 1]]);
        world.sleep(1);
        world.relays[0].refuses = Some((Kind::Deposit, reason));
        world.send(0, 1, "one relay takes it");
        world.run_for(60_000);
        let (state, story) = (world.state(0), world.story(0));
        assert_eq!(state, DeliveryState::Stored, "{reason:?}: {story}");
        assert!(story.contains(&format!("{}) {words}", world.relay_name(0))), "{reason:?}: {story}");

        world.relays[1].refuses = Some((Kind::Deposit, reason));
        world.send(0, 1, "nobody takes it");
        world.run_for(60_000);
        let (state, error, story) = (world.state(0), world.reason(0), world.story(0));
        assert!(state < DeliveryState::Stored, "{reason:?}: {story}");
        assert!(error.contains(words), "{reason:?}: {error}\n{story}");

        world.relays.iter_mut().for_each(|relay| relay.refuses = None);
        world.run_for(7 * HOUR);
        assert_eq!(world.state(0), DeliveryState::Stored, "{reason:?}: {}", world.story(0));
        world.wake(1);
        world.run_for(60_000);
        assert_eq!(world.state(0), DeliveryState::Delivered, "{reason:?}: {}", world.story(0));
        world.ledger.check(1, &world.people);
    }
}

#[test]
fn a_grant_that_a_relay_takes_no_longer_is_replaced_and_nothing_is_asked_for_ever() {
    for reason in [Reason::Revoked, Reason::WrongGrant, Reason::UnknownTag, Reason::TooLarge] {
        let mut world = World::friends_at([&[0, 1], &[0, 1]]);
        world.sleep(1);
        world.relays.iter_mut().for_each(|relay| relay.refuses = Some((Kind::Deposit, reason)));
        let (turns, requests) = (world.people[0].turns, world.relays[0].requests + world.relays[1].requests);
        world.send(0, 1, "nobody takes it");
        world.run_for(DAY);
        let turns = world.people[0].turns - turns;
        let requests = world.relays[0].requests + world.relays[1].requests - requests;
        assert!(turns < 2_000 && requests < 1_000, "{reason:?}: {turns} turns, {requests} requests in a day");
        world.relays.iter_mut().for_each(|relay| relay.refuses = None);
        world.wake(1);
        world.run_for(DAY);
        world.send(0, 1, "everybody takes it");
        world.run_for(HOUR);
        assert!(world.run_until_settled(8 * DAY), "{reason:?}: {}", world.story(0));
        world.ledger.check(1, &world.people);
    }
}

#[test]
fn what_lies_at_a_relay_that_takes_nothing_any_more_is_read_all_the_same() {
    for reason in [Reason::Storage, Reason::Blocked, Reason::NoRoom, Reason::NotAdmitted] {
        let mut world = World::friends_at([&[0], &[0]]);
        world.sleep(1);
        world.send(0, 1, "before it was full");
        world.run_for(60_000);
        assert_eq!(world.state(0), DeliveryState::Stored);
        world.relays[0].refuses = Some((Kind::Register, reason));
        world.sleep(0);
        world.run_for(2 * DAY);
        world.wake(1);
        world.run_for(60_000);
        assert_eq!(world.people[1].shown().len(), 2, "{reason:?}: {:?}", world.people[1].relays());
        assert_eq!(world.people[1].relays()[0].state, RelayState::Refused, "{reason:?}");
        world.relays[0].refuses = None;
        world.wake(0);
        world.run_for(2 * HOUR);
        assert!(world.people.iter().all(|person| person.relays()[0].state == RelayState::Ready));
        assert_eq!(world.state(0), DeliveryState::Delivered, "{reason:?}: {}", world.story(0));
        world.ledger.check(1, &world.people);
    }
}

#[test]
fn a_relay_that_forgets_again_and_again_keeps_nobody_busy() {
    for (kind, reason) in [
        (Kind::Fetch, Reason::NoMailbox),
        (Kind::Fetch, Reason::Nonce),
        (Kind::Register, Reason::Nonce),
        (Kind::Acknowledge, Reason::Nonce),
        (Kind::Deposit, Reason::Nonce),
    ] {
        let mut world = World::friends_at([&[0], &[0]]);
        world.sleep(1);
        world.relays[0].refuses = Some((kind, reason));
        world.send(0, 1, "waits for better days");
        world.wake(1);
        let before = (world.people.iter().map(|p| p.turns).sum::<u64>(), world.relays[0].requests);
        world.run_for(8 * HOUR);
        let turns = world.people.iter().map(|p| p.turns).sum::<u64>() - before.0;
        let requests = world.relays[0].requests - before.1;
        assert!(
            turns < 3_400 && requests < 1_700,
            "{kind:?} {reason:?}: {turns} turns, {requests} requests in 8 hours"
        );
        world.relays[0].refuses = None;
        assert!(world.run_until_settled(DAY), "{kind:?} {reason:?}: {}", world.story(0));
        world.ledger.check(1, &world.people);
    }
}

#[test]
fn what_is_held_back_from_somebody_with_two_histories_costs_nothing_while_it_lies_at_a_relay() {
    let mut world = World::friends_at([&[0], &[0]]);
    world.sleep(1);
    world.send(0, 1, "before anybody knew");
    world.run_for(60_000);
    assert_eq!(world.state(0), DeliveryState::Stored);
    world.sleep(0);
    let account = world.people[1].account();
    world.people[0].doubts(&account);
    world.wake(0);
    let turns = world.people[0].turns;
    world.run_for(10 * DAY);
    let turns = world.people[0].turns - turns;
    assert!(turns < 10_000, "{turns} turns in ten days");
}

#[test]
fn who_answers_in_the_name_of_a_relay_cannot_have_it_accused() {
    let mut world = World::friends_at([&[0], &[0]]);
    world.sleep(1);
    world.add_relays(1);
    world.relays[1].poses_as = Some(0);
    let impostor = world.relays[1].peer();
    world.sleep(0);
    world.people[0].bend_passes(&impostor);
    world.wake(0);
    world.send(0, 1, "by way of somebody between");
    world.run_for(60_000);
    let (state, story) = (world.state(0), world.story(0));
    assert_eq!(state, DeliveryState::Stored, "the relay itself signed: {story}");
    world.run_for(8 * DAY);
    let accused: Vec<_> = world.people[0].alerts().into_iter().filter(|a| a.code == "relay_broke_word").collect();
    assert_eq!(accused, [], "an honest relay is accused");
    let story = world.story(0);
    assert!(
        story.contains(&format!("somebody else answers in the name of relay r0 ({}", world.relay_name(0))),
        "{story}"
    );
    world.wake(1);
    world.run_for(HOUR);
    assert_eq!(world.state(0), DeliveryState::Delivered, "{}", world.story(0));
    world.ledger.check(1, &world.people);
}

#[test]
fn what_found_no_room_as_a_request_comes_once_it_is_accepted_on_the_same_connection() {
    let mut world = World::pair_at([&[0], &[0]]);
    world.add_contact(0, 1);
    world.run_for(10_000);
    for n in 0..25 {
        world.send(0, 1, &format!("stranger's text {n:02}"));
        world.run_for(5_000);
    }
    world.run_for(10 * 60_000);
    assert_eq!(world.people[1].shown().len(), 20, "no more wait as a request");
    let account = world.people[0].account();
    world.act(1, Command::ContactAccept { account });
    world.run_for(60_000);
    assert_eq!(world.people[1].shown().len(), 25);
    world.run_for(HOUR);
    assert_eq!(held(&world, 1), [0]);
    world.ledger.check(1, &world.people);
}

#[test]
fn a_relay_that_goes_in_the_middle_of_a_deposit_a_fetch_or_an_acknowledgement_loses_and_repeats_nothing() {
    for kind in [Kind::Deposit, Kind::Fetch, Kind::Acknowledge] {
        for carried_out in [false, true] {
            let mut world = World::friends_at([&[0], &[0]]);
            world.sleep(1);
            let case = format!("{kind:?}, carried out: {carried_out}");
            if kind == Kind::Deposit {
                world.relays[0].trap = Some(Trap { kind, carried_out });
            }
            world.send(0, 1, "through the middle");
            world.run_for(60_000);
            if kind != Kind::Deposit {
                assert_eq!(world.state(0), DeliveryState::Stored, "{case}");
                world.sleep(0);
                world.relays[0].trap = Some(Trap { kind, carried_out });
                world.wake(1);
                world.run_for(60_000);
            }
            assert!(!world.relays[0].is_up(), "{case}: the relay went");
            world.start_relay(0);
            world.wake(0);
            world.run_for(HOUR);
            if kind == Kind::Deposit {
                assert_eq!(world.state(0), DeliveryState::Stored, "{case}: {}", world.story(0));
                world.wake(1);
                world.run_for(HOUR);
            }
            assert_eq!(world.state(0), DeliveryState::Delivered, "{case}: {}", world.story(0));
            assert_eq!(held(&world, 1), [0], "{case}");
            world.ledger.check(1, &world.people);
        }
    }
}

/// A hundred contacts of somebody take one-time keys, a hundred times each. Gives how many they got.
fn drain(world: &mut World, who: usize) -> usize {
    let own: Vec<OwnRelay> = world.people[who].read(|rows| rows.all(None, 1).unwrap());
    let key = MailboxKey::from_seed(&Secret::new(own[0].seed));
    let mut taken = 0;
    for serial in 1..=100 {
        let from = PeerName(format!("drain-{serial}"));
        let nonce = world.nonce_at(0, &from);
        let depositor = key.depositor(serial);
        let terms = Terms {
            class: Class::Contact,
            serial,
            until: world.now.plus_days(30),
            envelopes: limits::CONTACT_GRANT_ENVELOPES,
            bytes: limits::CONTACT_GRANT_BYTES,
            depositor: Some(depositor.public()),
        };
        let pass = Pass {
            relay: own[0].relay,
            peer: own[0].peer.clone(),
            addresses: own[0].addresses.clone(),
            grant: key.grant(terms, world.now),
            tag_secret: key.tag_secret(Class::Contact),
            depositor: Some(depositor),
        };
        for _ in 0..100 {
            let request = pass.take_prekey(&nonce, world.now.day());
            let answer = world.ask_relay(0, &from, request).unwrap();
            taken += usize::from(matches!(Answer::decode(&answer), Ok(Answer::Prekey(Some(_)))));
        }
    }
    taken
}

#[test]
fn r_rly_9_after_a_drain_of_the_keys_a_first_message_still_comes_and_the_owner_fills_the_pool_again() {
    let mut world = World::pair_at([&[0], &[0]]);
    world.run_for(10 * 60_000);
    assert_eq!(world.people[1].relays()[0].prekeys, limits::POOL_KEYS_MAX as u64);
    world.sleep(1);
    assert_eq!(drain(&mut world, 1), limits::POOL_KEYS_MAX, "all of them, none twice");
    world.add_contact(0, 1);
    world.run_for(10_000);
    world.send(0, 1, "hello, without a key");
    world.run_for(60_000);
    assert_eq!(world.state(0), DeliveryState::Stored, "{}", world.story(0));
    world.wake(1);
    world.run_for(60_000);
    assert_eq!(world.people[1].shown().len(), 1, "the first message came");
    let left = world.people[1].relays()[0].prekeys;
    assert_eq!(left, limits::POOL_KEYS_MAX as u64, "the owner was told, and filled the pool");
    // While the owner is on, it is called.
    let again = drain(&mut world, 1);
    assert!(again >= limits::POOL_KEYS_MAX - limits::POOL_KEYS_LOW, "{again}");
    world.run_for(1_000);
    assert_eq!(world.people[1].relays()[0].prekeys, limits::POOL_KEYS_MAX as u64, "called, and filled again");
    let account = world.people[0].account();
    world.act(1, Command::ContactAccept { account });
    world.run_for(HOUR);
    assert_eq!(world.state(0), DeliveryState::Delivered);
    world.ledger.check(1, &world.people);
}
