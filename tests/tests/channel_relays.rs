//! Channels and relays in the simulated world: what is said while nobody else is on is read from a relay, which cannot read it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::print_stdout)]

use kith_node::{
    api::types::{ChannelChange, ChannelGate, DeliveryState, JoinState},
    app::Command,
};
use kith_protocol::ChannelId;
use kith_tests::world::{Weather, World};

/// A channel of so many people, and a relay that the first of them names for it.
fn circle(seed: u64, people: usize) -> (World, ChannelId) {
    let mut world = World::new(seed, people, Weather::fine());
    world.add_relays(1);
    world.run_for(5_000);
    let channel = world.make_channel(0, "circle");
    let code = world.invite(0, channel, 50, "member");
    for who in 1..people {
        world.join(who, &code);
        world.run_for(20_000);
        assert_eq!(world.join_state(who), JoinState::Joined, "{who}");
    }
    world.run_for(60_000);
    let card = world.relays[0].card();
    world.act(0, Command::ChannelSet { channel, change: ChannelChange::RelayAdd(card) });
    world.run_for(120_000);
    (world, channel)
}

#[test]
fn who_was_away_reads_all_from_a_relay_although_nobody_else_is_on() {
    let (mut world, channel) = circle(1, 3);
    world.sleep(2);
    for n in 0..20 {
        world.say(0, channel, &format!("{n}"));
        world.run_for(500);
    }
    world.run_for(60_000);
    assert_eq!(world.state_of(0, &channel, "19"), DeliveryState::Stored);
    world.sleep(0);
    world.sleep(1);
    world.run_for(60_000);
    world.wake(2);
    world.run_for(120_000);
    let said: Vec<String> = (0..20).map(|n| n.to_string()).collect();
    assert_eq!(world.heard(2, &channel), said);
}

#[test]
fn keys_that_were_made_anew_twice_come_from_a_relay_too() {
    let (mut world, channel) = circle(2, 4);
    world.sleep(2);
    let account = world.people[3].account();
    world.say(0, channel, "before");
    world.run_for(5_000);
    world.act(0, Command::MemberRemove { channel, account, ban: false, reason: String::new() });
    world.run_for(30_000);
    world.say(1, channel, "after the removal");
    world.run_for(30_000);
    world.act(1, Command::ChannelRekey { channel, emergency: false });
    world.run_for(30_000);
    world.say(0, channel, "after the rekey");
    world.run_for(60_000);
    for who in [0, 1, 3] {
        world.sleep(who);
    }
    world.run_for(60_000);
    world.wake(2);
    world.run_for(300_000);
    assert_eq!(world.heard(2, &channel), ["before", "after the removal", "after the rekey"]);
    assert_eq!(world.channel(2, &channel).unwrap().gate, ChannelGate::Open);
    // Who was removed has the mailbox of the old lineage and nothing of the new one.
    world.sleep(2);
    world.wake(3);
    world.run_for(300_000);
    assert_eq!(world.heard(3, &channel), ["before"]);
}

#[test]
fn a_relay_that_lost_everything_is_given_what_was_said_again() {
    let (mut world, channel) = circle(3, 3);
    world.sleep(2);
    world.say(0, channel, "kept");
    world.run_for(60_000);
    let empty = world.empty_relay();
    world.put_relay_back(0, empty);
    world.run_for(900_000);
    world.sleep(0);
    world.sleep(1);
    world.wake(2);
    world.run_for(300_000);
    assert_eq!(world.heard(2, &channel), ["kept"]);
}
