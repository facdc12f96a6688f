//! Channels in the simulated world: joined by invite code, spoken in, left by force, healed after partitions.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::print_stdout)]

use kith_node::{
    api::types::{ChannelChange, ChannelGate, ChannelState, Conversation, JoinState},
    app::{Command, query},
};
use kith_protocol::ChannelId;
use kith_tests::world::{Weather, World};

/// A channel of so many people, all of whom joined by one code.
fn circle(seed: u64, people: usize) -> (World, ChannelId) {
    let mut world = World::new(seed, people, Weather::fine());
    world.run_for(5_000);
    let channel = world.make_channel(0, "circle");
    let code = world.invite(0, channel, 50, "member");
    assert_eq!(code.len(), 64);
    for who in 1..people {
        world.join(who, &code);
        world.run_for(20_000);
        assert_eq!(world.join_state(who), JoinState::Joined, "{who}");
    }
    world.run_for(60_000);
    (world, channel)
}

fn agree(world: &World, channel: &ChannelId, members: &[usize]) {
    let hash = |who: usize| world.channel(who, channel).unwrap().state_hash;
    for who in members {
        assert_eq!(hash(*who), hash(members[0]), "{who}");
        assert_eq!(world.in_channel(*who, channel), world.in_channel(members[0], channel));
        assert_eq!(world.in_channel(*who, channel).len(), members.len());
        assert_eq!(world.channel(*who, channel).unwrap().gate, ChannelGate::Open, "{who}");
    }
}

#[test]
fn three_join_by_code_and_everybody_reads_everybody() {
    let (mut world, channel) = circle(1, 3);
    agree(&world, &channel, &[0, 1, 2]);
    for who in 0..3 {
        world.say(who, channel, &format!("hello from {who}"));
        world.run_for(2_000);
    }
    world.run_for(60_000);
    for who in 0..3 {
        assert_eq!(world.heard(who, &channel), ["hello from 0", "hello from 1", "hello from 2"], "{who}");
    }
}

#[test]
fn who_made_the_channel_may_sleep_while_another_member_lets_somebody_in() {
    let mut world = World::new(2, 3, Weather::fine());
    world.run_for(5_000);
    let channel = world.make_channel(0, "circle");
    let code = world.invite(0, channel, 50, "member");
    world.join(1, &code);
    world.run_for(60_000);
    assert_eq!(world.join_state(1), JoinState::Joined);
    world.sleep(0);
    world.join(2, &code);
    world.run_for(60_000);
    assert_eq!(world.join_state(2), JoinState::Joined);
    world.say(2, channel, "hello");
    world.run_for(10_000);
    assert_eq!(world.heard(1, &channel), ["hello"]);
    world.wake(0);
    world.run_for(120_000);
    assert_eq!(world.heard(0, &channel), ["hello"]);
    agree(&world, &channel, &[0, 1, 2]);
}

#[test]
fn who_is_removed_reads_nothing_that_is_said_after_it_and_knows_it() {
    let (mut world, channel) = circle(3, 4);
    world.say(3, channel, "before");
    world.run_for(30_000);
    let account = world.people[3].account();
    world.act(0, Command::MemberRemove { channel, account, ban: false, reason: "enough".into() });
    world.run_for(60_000);
    world.say(1, channel, "after");
    world.run_for(60_000);
    for who in 0..3 {
        assert_eq!(world.heard(who, &channel), ["before", "after"], "{who}");
    }
    assert_eq!(world.heard(3, &channel), ["before"]);
    assert_eq!(world.channel(3, &channel).unwrap().state, ChannelState::Removed);
    agree(&world, &channel, &[0, 1, 2]);
}

#[test]
fn a_partition_with_changes_on_both_sides_heals_into_one_state() {
    let (mut world, channel) = circle(4, 5);
    let code = world.invite(1, channel, 50, "member");
    world.run_for(60_000);
    world.weather.side = [0, 1].into();
    let account = world.people[4].account();
    world.act(0, Command::MemberRemove { channel, account, ban: false, reason: String::new() });
    world.say(1, channel, "left");
    world.say(2, channel, "right");
    world.act(2, Command::ChannelRekey { channel, emergency: false });
    world.say(3, channel, "right again");
    world.run_for(120_000);
    world.heal();
    world.run_for(180_000);
    agree(&world, &channel, &[0, 1, 2, 3]);
    for who in 0..4 {
        let mut heard = world.heard(who, &channel);
        heard.sort();
        assert_eq!(heard, ["left", "right", "right again"], "{who}");
    }
    world.say(3, channel, "together");
    world.run_for(60_000);
    assert!((0..4).all(|who| world.heard(who, &channel).contains(&"together".to_owned())));
    assert!(!world.heard(4, &channel).contains(&"together".to_owned()));
    drop(code);
}

#[test]
fn r_chan_26_sides_that_made_keys_anew_often_come_together_by_what_both_knew_before() {
    let mut world = World::new(10, 5, Weather::fine());
    world.run_for(5_000);
    let channel = world.make_channel(0, "circle");
    let code = world.invite(0, channel, 50, "member");
    for who in 1..4 {
        world.join(who, &code);
        world.run_for(20_000);
    }
    world.run_for(60_000);
    world.weather.side = [2, 3, 4].into();
    // Somebody comes in on one side: the other one knows neither the person nor its card.
    world.join(4, &code);
    world.run_for(60_000);
    assert_eq!(world.join_state(4), JoinState::Joined);
    let mut said = Vec::new();
    for n in 0..24 {
        for by in [n % 2, 2 + n % 3] {
            world.act(by, Command::ChannelRekey { channel, emergency: false });
            world.run_for(3_000);
            let text = format!("{by} says {n}");
            world.say(by, channel, &text);
            said.push((by, text));
        }
    }
    world.weather.side = [].into();
    world.run_for(180_000);
    agree(&world, &channel, &[0, 1, 2, 3, 4]);
    for who in 0..5 {
        let heard = world.heard(who, &channel);
        // The other side did not know that the newcomer belongs.
        for (by, text) in said.iter().filter(|(by, _)| who < 4 || *by >= 2) {
            assert_eq!(heard.iter().filter(|h| *h == text).count(), 1, "{who} has {text:?} of {by}");
        }
    }
}

#[test]
fn power_cuts_and_loss_lose_nothing_that_was_taken() {
    let (mut world, channel) = circle(5, 3);
    world.weather =
        Weather { latency_ms: 20, jitter_ms: 500, loss_percent: 25, duplicate_percent: 10, side: [].into() };
    let mut said = Vec::new();
    for n in 0..30 {
        let who = n % 3;
        if n % 5 == 4 {
            world.crash((n + 1) % 3, 20_000);
        }
        if world.people[who].is_up() {
            let text = format!("{n}");
            world.say(who, channel, &text);
            said.push(text);
        }
        world.run_for(7_000);
    }
    world.heal();
    world.run_for(300_000);
    said.sort();
    for who in 0..3 {
        let mut heard = world.heard(who, &channel);
        heard.sort();
        assert_eq!(heard, said, "{who}");
    }
    agree(&world, &channel, &[0, 1, 2]);
}

/// Three people speak while frames are lost; returns how many messages somebody lacks in the end.
fn lacking_after_loss(repair: bool) -> usize {
    let (mut world, channel) = circle(6, 3);
    if !repair {
        world.repair_off();
    }
    world.weather.loss_percent = 30;
    for n in 0..30 {
        world.say(n % 3, channel, &format!("{n}"));
        world.run_for(1_000);
    }
    world.weather.loss_percent = 0;
    world.run_for(180_000);
    (0..3).map(|who| 30 - world.heard(who, &channel).len()).sum()
}

#[test]
fn frames_that_gossip_loses_come_by_repair_and_by_nothing_else() {
    assert_eq!(lacking_after_loss(true), 0);
    assert_ne!(lacking_after_loss(false), 0, "without repair nothing brings what was lost");
}

/// Three people speak; returns how many frames gossip brought, and how many messages somebody has without any question that
/// was answered since the first word.
fn seen_live(gossip: bool) -> (u64, usize) {
    let (mut world, channel) = circle(7, 3);
    if !gossip {
        world.gossip_off();
    }
    world.repair_off();
    let before = world.paths.gossip;
    for n in 0..10 {
        world.say(n % 3, channel, &format!("{n}"));
        world.run_for(1_000);
    }
    (world.paths.gossip - before, (0..3).map(|who| world.heard(who, &channel).len()).sum())
}

#[test]
fn frames_are_seen_live_by_gossip_and_by_nothing_else() {
    let (frames, seen) = seen_live(true);
    assert!(frames >= 20, "{frames} frames came by gossip");
    assert_eq!(seen, 30);
    assert_eq!(seen_live(false), (0, 10), "everybody has their own words alone");
}

#[test]
fn what_is_older_than_the_retention_is_forgotten_by_everybody() {
    const DAY: u64 = 86_400_000;
    let (mut world, channel) = circle(8, 3);
    let retention = ChannelChange::RetentionDays(2);
    world.act(0, Command::ChannelSet { channel, change: retention });
    for day in 0..4 {
        world.say(day % 3, channel, &format!("day {day}"));
        world.run_for(DAY);
    }
    for who in 0..3 {
        assert_eq!(world.heard(who, &channel), ["day 2", "day 3"], "{who}");
    }
}

#[test]
fn a_search_finds_all_words_in_any_case_newest_first_counted() {
    let (mut world, channel) = circle(9, 3);
    world.introduce_all();
    for text in ["The tide is high", "no water", "high TIDE again", "tidings of the high"] {
        world.say(1, channel, text);
        world.run_for(2_000);
    }
    world.send(1, 2, "a tide that is higher");
    world.run_for(30_000);
    let found = |who: usize, words: &str, place: Option<&Conversation>, limit: usize| -> Vec<String> {
        let found = world.people[who].read(|rows| query::search(rows, words, place, limit).unwrap());
        found.into_iter().map(|m| m.body).collect()
    };
    let place = Conversation::Channel(channel);
    let here = ["The tide is high", "high TIDE again"];
    assert_eq!(found(0, "high tide", None, 9), here);
    assert_eq!(found(0, "High  TIDE", Some(&place), 1), here[1..]);
    assert_eq!(found(2, "tide high", None, 9), [here[0], here[1], "a tide that is higher"]);
    let none: [&str; 0] = [];
    assert_eq!(found(0, "tide water", None, 9), none);
}
