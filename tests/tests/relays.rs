//! Mail through relays in the simulated world: people who are never on together, a month of absence, what is said of it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::print_stdout)]

use kith_node::{
    api::types::{DeliveryState, RelayState},
    app::Command,
    net::PeerName,
};
use kith_protocol::mailbox::{Answer, Pass, Reason, Refusal};
use kith_store::{Rows as _, table::PassesOf};
use kith_tests::{
    count,
    world::{Weather, World},
};

const HOUR: u64 = 60 * 60_000;
const DAY: u64 = 24 * HOUR;

/// People who reach each other through relays alone, each at so many of them.
fn world(people: usize, relays: usize) -> World {
    let mut world = World::new(1, people, Weather::fine());
    world.relays_only = true;
    world.add_relays(relays);
    for who in 0..people {
        for relay in 0..relays {
            world.use_relay(who, relay);
        }
    }
    world.run_for(10_000);
    for who in 0..people {
        assert!(
            world.people[who].relays().iter().all(|r| r.state == RelayState::Ready),
            "{:?}",
            world.people[who].relays()
        );
    }
    world
}

fn add(world: &mut World, who: usize, other: usize) {
    let code_or_link = world.people[other].link();
    world.act(who, Command::ContactAdd { code_or_link, name: Some(format!("p{other}")) });
}

/// Two who know each other, and wrote.
fn befriend(world: &mut World) {
    add(world, 0, 1);
    add(world, 1, 0);
    world.run_for(60_000);
    for (from, to) in [(0, 1), (1, 0)] {
        world.send(from, to, "hello");
        world.run_for(60_000);
        assert_eq!(state(world, from), DeliveryState::Delivered, "{}", story(world, from));
    }
}

/// The state of the newest own message.
fn state(world: &World, who: usize) -> DeliveryState {
    world.people[who].why_all().last().unwrap().recipients[0].state
}

/// Everything that `why` says of all own messages, in lines.
fn story(world: &World, who: usize) -> String {
    let all = world.people[who].why_all();
    let steps = all.iter().flat_map(|why| why.recipients.iter().flat_map(|r| r.steps.iter().map(|s| s.what.clone())));
    steps.collect::<Vec<_>>().join("\n")
}

#[test]
fn r_out_11_r_out_12_a_month_of_mail_waits_at_two_relays_and_comes_once_in_order() {
    let messages = count("messages that wait for 29 days", "KITH_MONTH", 3_000);
    let mut world = world(2, 2);
    befriend(&mut world);
    world.sleep(1);
    let asleep = world.now;
    for n in 0..messages {
        world.send(0, 1, &format!("message {n:05}"));
        world.run_for(200);
        if n % 500 == 0 {
            world.run_for(HOUR);
        }
    }
    world.run_for(10 * 60_000);
    let stored = world.people[0].why_all().iter().filter(|w| w.recipients[0].state == DeliveryState::Stored).count();
    assert_eq!(stored as u64, messages, "all are stored");
    world.run_for(29 * DAY - world.now.millis_since(asleep));
    world.sleep(0);
    world.wake(1);
    world.run_for(2 * HOUR);
    let shown: Vec<_> = world.people[1].shown().into_iter().skip(1).map(|m| m.body).collect();
    let sent: Vec<_> = (0..messages).map(|n| format!("message {n:05}")).collect();
    assert_eq!(shown.len(), sent.len());
    assert!(shown == sent, "all came, in order");
    world.wake(0);
    world.run_for(2 * HOUR);
    assert!(world.people[0].waiting().is_empty(), "and were confirmed");
    world.ledger.check(1, &world.people);
}

#[test]
fn a_first_message_to_a_descriptor_of_twenty_days_is_delivered_and_marked() {
    let mut world = world(2, 1);
    world.sleep(1);
    let link = world.people[1].link();
    world.run_for(20 * DAY);
    world.act(0, Command::ContactAdd { code_or_link: link, name: Some("sleeper".into()) });
    world.run_for(60_000);
    world.send(0, 1, "are you there?");
    world.run_for(60_000);
    assert!(story(&world, 0).contains("sealed to keys that are 20 days old"), "{}", story(&world, 0));
    assert_eq!(state(&world, 0), DeliveryState::Stored);
    world.wake(1);
    world.run_for(60_000);
    let account = world.people[0].account();
    world.act(1, Command::ContactAccept { account });
    world.run_for(60_000);
    assert_eq!(world.people[1].shown()[0].body, "are you there?");
    assert_eq!(state(&world, 0), DeliveryState::Delivered);
}

#[test]
fn r_out_13_contacts_learn_of_a_move_and_what_waited_at_the_old_relay_goes_to_the_new_one() {
    let mut world = world(2, 1);
    befriend(&mut world);
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
    let name = world.relays[1].id().to_string();
    assert!(story(&world, 0).contains(&format!("relay {}", &name[..8])), "{}", story(&world, 0));
    world.wake(1);
    world.run_for(60_000);
    assert_eq!(world.people[1].shown().len(), 2);
    assert_eq!(state(&world, 0), DeliveryState::Delivered);
    let standing = |world: &World| world.people[1].relays().iter().map(|r| r.state).collect::<Vec<_>>();
    assert_eq!(standing(&world), [RelayState::Leaving, RelayState::Ready]);
    world.run_for(8 * DAY);
    assert_eq!(standing(&world), [RelayState::Ready], "the old one was told to forget the mailbox");
}

#[test]
fn r_out_14_a_relay_put_back_to_an_old_copy_takes_nothing_from_who_was_removed() {
    let mut world = world(2, 1);
    befriend(&mut world);
    let before = world.relays[0].image();
    let passes: Vec<PassesOf> = world.people[0].read(|rows| rows.all(None, 1).unwrap());
    let pass = Pass::decode(&passes[0].given[0]).unwrap();
    let from = PeerName("removed".into());
    let deposit = |world: &mut World| {
        let nonce = world.nonce_at(0, &from);
        let request = pass.deposit(&nonce, world.now.day(), world.now.plus_days(1), false, &[1; 600]);
        Answer::decode(&world.ask_relay(0, &from, request).unwrap()).unwrap()
    };
    let is_refused = |answer: Answer| matches!(answer, Answer::Refused(Refusal { reason: Reason::Revoked, .. }));
    assert!(matches!(deposit(&mut world), Answer::Custody(_)), "a pass that opens nothing");
    let account = world.people[0].account();
    world.act(1, Command::ContactRemove { account });
    world.run_for(60_000);
    assert!(is_refused(deposit(&mut world)));
    world.put_relay_back(0, before);
    assert!(matches!(deposit(&mut world), Answer::Custody(_)), "nobody told it again yet");
    world.run_for(20 * 60_000);
    assert!(is_refused(deposit(&mut world)));
}

#[test]
fn r_pre_5_what_is_sealed_again_is_sealed_without_a_one_time_key() {
    let mut world = world(2, 1);
    add(&mut world, 1, 0);
    world.run_for(10_000);
    world.sleep(1);
    world.people[1].forget_relay_keys();
    add(&mut world, 0, 1);
    world.run_for(10_000);
    world.send(0, 1, "first");
    world.run_for(60_000);
    assert_eq!(state(&world, 0), DeliveryState::Stored, "{}", story(&world, 0));
    world.wake(1);
    world.run_for(10_000);
    assert!(world.people[1].shown().is_empty(), "its one-time key is gone, so that it does not open");
    world.run_for(8 * DAY);
    assert!(story(&world, 0).contains("collected, and nothing confirms it: sealing again"), "{}", story(&world, 0));
    assert_eq!(world.people[1].shown().len(), 1);
    assert_eq!(state(&world, 0), DeliveryState::Delivered, "{}", story(&world, 0));
}
