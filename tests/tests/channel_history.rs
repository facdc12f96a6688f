//! What newcomers are given of what was said before they came: as far as their invite grants it, from any member, each message
//! with what proves it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::print_stdout)]

use kith_node::{
    api::types::{ChannelSaying, Conversation, HistoryGrant, JoinState},
    app::{Command, query},
};
use kith_protocol::{ChannelId, MessageId};
use kith_tests::world::{Weather, World};

/// A channel of two, who said something on two days; two more people who are not in yet.
fn spoken(seed: u64) -> (World, ChannelId) {
    let mut world = World::new(seed, 4, Weather::fine());
    world.run_for(5_000);
    let channel = world.make_channel(0, "circle");
    let code = world.invite(0, channel, 5, "member");
    world.join(1, &code);
    world.run_for(60_000);
    assert_eq!(world.join_state(1), JoinState::Joined);
    for n in 0..5 {
        world.say(n % 2, channel, &format!("old {n}"));
        world.run_for(3_000);
    }
    world.run_for(5 * 86_400_000);
    for n in 0..5 {
        world.say(n % 2, channel, &format!("new {n}"));
        world.run_for(3_000);
    }
    world.run_for(60_000);
    (world, channel)
}

fn words(world: &World, who: usize, channel: &ChannelId) -> Vec<(String, MessageId, u32)> {
    let place = Conversation::Channel(*channel);
    let all = world.people[who].read(|rows| query::messages(rows, &place, None, None, usize::MAX).unwrap());
    let unread = world.channel(who, channel).unwrap().unread;
    all.into_iter().map(|m| (m.body, m.id, unread)).collect()
}

fn all() -> Vec<String> {
    ["old", "new"].iter().flat_map(|age| (0..5).map(move |n| format!("{age} {n}"))).collect()
}

fn joins(world: &mut World, who: usize, by: usize, channel: ChannelId, history: HistoryGrant) {
    let code = world.invite_with(by, channel, 5, "member", history);
    world.join(who, &code);
    world.run_for(180_000);
    assert_eq!(world.join_state(who), JoinState::Joined);
}

#[test]
fn r_chan_25_who_is_granted_all_has_all_in_order_with_its_last_words_and_none_of_it_is_news() {
    let (mut world, channel) = spoken(1);
    let of = words(&world, 1, &channel);
    let (edited, gone) = (of.iter().find(|m| m.0 == "old 1").unwrap().1, of.iter().find(|m| m.0 == "old 3").unwrap().1);
    let edit = ChannelSaying::Edit { target: edited, body: "old 1, put right".to_owned() };
    world.act(1, Command::ChannelSay { channel, saying: edit, expires_after_ms: None });
    world.act(
        1,
        Command::ChannelSay { channel, saying: ChannelSaying::Delete { target: gone }, expires_after_ms: None },
    );
    world.run_for(60_000);
    joins(&mut world, 2, 0, channel, HistoryGrant::All);
    let mut expected = all();
    expected[1] = "old 1, put right".to_owned();
    expected.remove(3);
    let had = words(&world, 2, &channel);
    assert_eq!(had.iter().map(|m| m.0.clone()).collect::<Vec<_>>(), expected);
    assert_eq!(had[0].2, 0, "none of it is news");
    world.say(2, channel, "hello");
    world.say(0, channel, "welcome");
    world.run_for(60_000);
    for who in 0..3 {
        let heard = world.heard(who, &channel);
        assert!(heard.contains(&"hello".to_owned()) && heard.contains(&"welcome".to_owned()), "{who}");
    }
}

#[test]
fn r_chan_25_who_is_granted_some_days_or_none_has_no_more() {
    let (mut world, channel) = spoken(2);
    joins(&mut world, 2, 0, channel, HistoryGrant::Days(2));
    assert_eq!(world.heard(2, &channel), all()[5..]);
    joins(&mut world, 3, 0, channel, HistoryGrant::None);
    assert_eq!(world.heard(3, &channel), [""; 0]);
}

#[test]
fn r_chan_25_any_member_gives_it_also_while_who_let_the_newcomer_in_is_off() {
    let (mut world, channel) = spoken(3);
    let code = world.invite_with(0, channel, 5, "member", HistoryGrant::All);
    world.run_for(60_000);
    world.join(2, &code);
    // Let in, and nothing more, before the power goes.
    for _ in 0..400 {
        world.run_for(20);
        if world.join_state(2) == JoinState::Joined {
            break;
        }
    }
    world.sleep(0);
    world.run_for(300_000);
    assert_eq!(world.heard(2, &channel), all());
}

#[test]
fn r_chan_25_more_than_one_answer_holds_comes_in_several() {
    let (mut world, channel) = spoken(4);
    let long = "x".repeat(20_000);
    for n in 0..30 {
        world.say(n % 2, channel, &format!("{n} {long}"));
        world.run_for(2_000);
    }
    world.run_for(60_000);
    let before = world.heard(0, &channel);
    assert_eq!(before.len(), 40);
    joins(&mut world, 2, 0, channel, HistoryGrant::All);
    assert_eq!(world.heard(2, &channel), before);
}
