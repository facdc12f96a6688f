//! Mail through relays in the simulated world: people who are never on together, a month of absence, what is said of it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::print_stdout)]

use kith_node::{api::types::DeliveryState, app::Command};
use kith_tests::{count, world::World};

const HOUR: u64 = 60 * 60_000;
const DAY: u64 = 24 * HOUR;

#[test]
fn r_out_11_r_out_12_a_month_of_mail_waits_at_two_relays_and_comes_once_in_order() {
    let messages = count("messages that wait for 29 days", "KITH_MONTH", 10_000);
    let mut world = World::friends_at([&[0, 1], &[0, 1]]);
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
    assert!(world.relays.iter().all(|relay| relay.holds() >= messages), "at both");
    world.wake(1);
    world.run_for(2 * HOUR);
    let shown = world.texts(1).split_off(1);
    let sent: Vec<_> = (0..messages).map(|n| format!("message {n:05}")).collect();
    assert_eq!(shown.len(), sent.len());
    assert!(shown == sent, "all came, in order");
    world.wake(0);
    world.run_for(2 * HOUR);
    assert!(world.people[0].waiting().is_empty(), "and were confirmed");
    assert!(world.relays.iter().all(|relay| relay.holds() == 0), "and lie nowhere any more");
    world.ledger.check(1, &world.people);
}

#[test]
fn a_connected_recipient_gets_a_message_through_a_relay_within_three_commits_and_two_round_trips() {
    let mut world = World::friends_at([&[0], &[0]]);
    world.run_for(HOUR);
    let (sender, relay, recipient) = (world.people[0].syncs(), world.relays[0].syncs(), world.people[1].syncs());
    let (requests, shown) = (world.relays[0].requests, world.texts(1).len());
    world.send(0, 1, "how long does it take?");
    let mut left = None;
    for _ in 0..60_000 {
        if world.texts(1).len() > shown {
            break;
        }
        world.run_for(1);
        if left.is_none() && world.relays[0].requests > requests {
            left = Some(world.people[0].syncs() - sender);
        }
    }
    let commits = [left.unwrap(), world.relays[0].syncs() - relay, world.people[1].syncs() - recipient];
    assert_eq!(commits, [1, 1, 1], "syncs of sender, relay and recipient");
    assert_eq!(world.relays[0].requests - requests, 2, "a deposit and a fetch");
}

#[test]
fn r_out_9_who_was_met_again_is_written_to_directly_and_no_relay_hears_of_it() {
    let mut world = World::friends_at([&[0], &[0]]);
    world.run_for(HOUR);
    world.relays_only = false;
    world.sleep(1);
    world.wake(1);
    world.run_for(HOUR);
    let signed = world.relays[0].signed;
    for (from, to) in [(0, 1), (1, 0)] {
        world.send(from, to, "face to face");
        world.run_for(60_000);
        assert_eq!(world.state(from), DeliveryState::Delivered, "{}", world.story(from));
    }
    assert_eq!(world.relays[0].signed, signed, "{}", world.story(0));
}

#[test]
fn a_first_message_to_a_descriptor_of_twenty_days_is_delivered_and_marked() {
    let mut world = World::pair_at([&[0], &[0]]);
    world.sleep(1);
    let link = world.people[1].link();
    world.run_for(20 * DAY);
    world.act(0, Command::ContactAdd { code_or_link: link, name: Some("sleeper".into()) });
    world.run_for(60_000);
    world.send(0, 1, "are you there?");
    world.run_for(60_000);
    assert!(world.story(0).contains("sealed to keys that are 20 days old"), "{}", world.story(0));
    assert_eq!(world.state(0), DeliveryState::Stored);
    world.wake(1);
    world.run_for(60_000);
    let account = world.people[0].account();
    world.act(1, Command::ContactAccept { account });
    world.run_for(60_000);
    assert_eq!(world.people[1].shown()[0].body, "are you there?");
    assert_eq!(world.state(0), DeliveryState::Delivered);
}

#[test]
fn r_pre_5_what_is_sealed_again_is_sealed_without_a_one_time_key() {
    let mut world = World::pair_at([&[0], &[0]]);
    world.add_contact(1, 0);
    world.run_for(10_000);
    world.sleep(1);
    world.people[1].forget_relay_keys();
    world.add_contact(0, 1);
    world.run_for(10_000);
    world.send(0, 1, "first");
    world.run_for(60_000);
    assert_eq!(world.state(0), DeliveryState::Stored, "{}", world.story(0));
    world.wake(1);
    world.run_for(10_000);
    assert!(world.people[1].shown().is_empty(), "its one-time key is gone, so that it does not open");
    world.run_for(8 * DAY);
    assert!(world.story(0).contains("collected, and nothing confirms it: sealing again"), "{}", world.story(0));
    assert_eq!(world.people[1].shown().len(), 1);
    assert_eq!(world.state(0), DeliveryState::Delivered, "{}", world.story(0));
}
