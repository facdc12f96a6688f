//! How far a channel's messages came and why, in the simulated world; what is missing, and what overtook what it is about.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use kith_node::{
    api::types::{ChannelSaying, DeliveryState, EventKind, JoinState, MessageKind},
    app::Command,
};
use kith_protocol::{ChannelId, MessageId};
use kith_tests::world::{Weather, World};

/// A channel of so many people, all of whom joined by one code, and have nothing more to say.
fn circle(seed: u64, people: usize) -> (World, ChannelId) {
    circle_of(seed, people, people)
}

/// The same, in a world of more people.
fn circle_of(seed: u64, members: usize, people: usize) -> (World, ChannelId) {
    let mut world = World::new(seed, people, Weather::fine());
    world.run_for(5_000);
    let channel = world.make_channel(0, "circle");
    let code = world.invite(0, channel, 50, "member");
    for who in 1..members {
        world.join(who, &code);
        world.run_for(20_000);
        assert_eq!(world.join_state(who), JoinState::Joined, "{who}");
    }
    world.run_for(120_000);
    (world, channel)
}

/// How far the message with some words came, as its author sees it.
fn came(world: &World, who: usize, channel: &ChannelId, words: &str) -> (DeliveryState, u32, u32) {
    let message = world.with_words(who, channel, words);
    (message.state, message.delivered, message.members)
}

/// What local clients of its author were told of a message, in order.
fn told(world: &World, who: usize, id: MessageId) -> Vec<(DeliveryState, u32, u32)> {
    let receipts = world.events(who).into_iter().filter_map(|event| match event.kind {
        EventKind::Receipt(receipt) if receipt.id == id => Some((receipt.state, receipt.delivered, receipt.members)),
        _ => None,
    });
    receipts.collect()
}

/// What somebody was told to be missing, in order: whose, and how many.
fn missed(world: &World, who: usize) -> Vec<(String, u64)> {
    let missing = world.events(who).into_iter().filter_map(|event| match event.kind {
        EventKind::Missing(missing) => Some((missing.name, missing.missing)),
        _ => None,
    });
    missing.collect()
}

#[test]
fn a_message_is_sent_then_delivered_to_one_and_to_all_and_clients_are_told_each_step() {
    let (mut world, channel) = circle(1, 3);
    world.sleep(2);
    world.say(0, channel, "hello");
    world.run_for(20);
    assert_eq!(came(&world, 0, &channel, "hello"), (DeliveryState::Sent, 0, 2));
    world.run_for(30_000);
    assert_eq!(came(&world, 0, &channel, "hello"), (DeliveryState::Sent, 1, 2));
    world.wake(2);
    world.run_for(90_000);
    assert_eq!(came(&world, 0, &channel, "hello"), (DeliveryState::Delivered, 2, 2));
    let id = world.with_words(0, &channel, "hello").id;
    let steps = [(DeliveryState::Sent, 0, 2), (DeliveryState::Sent, 1, 2), (DeliveryState::Delivered, 2, 2)];
    assert_eq!(told(&world, 0, id), steps);
    // Others' messages are no news of one's own, and nobody shares what was read unasked.
    assert!(world.events(1).iter().all(|event| !matches!(event.kind, EventKind::Receipt(_))));
}

#[test]
fn a_message_that_nobody_took_is_queued_and_says_so() {
    let (mut world, channel) = circle(2, 3);
    world.sleep(1);
    world.sleep(2);
    world.say(0, channel, "anybody?");
    world.run_for(300_000);
    assert_eq!(came(&world, 0, &channel, "anybody?"), (DeliveryState::Queued, 0, 2));
    let why = world.why(0, &world.with_words(0, &channel, "anybody?").id);
    assert_eq!(why.recipients.len(), 2);
    for recipient in why.recipients {
        assert_eq!(recipient.state, DeliveryState::Queued);
        assert_eq!(recipient.steps.iter().map(|s| s.what.as_str()).collect::<Vec<_>>(), ["queued"]);
    }
}

#[test]
fn without_a_live_path_a_member_who_fetches_a_message_is_known_to_have_been_handed_it() {
    let (mut world, channel) = circle(3, 2);
    world.gossip_off();
    world.say(0, channel, "quietly");
    world.run_for(120_000);
    assert_eq!(world.heard(1, &channel), ["quietly"]);
    assert_eq!(came(&world, 0, &channel, "quietly"), (DeliveryState::Delivered, 1, 1));
    // Nobody says so by themselves where they are too many; that it left is known all the same.
    let id = world.with_words(0, &channel, "quietly").id;
    let left = &world.why(0, &id).recipients[0].steps[1];
    assert!(["sent: a member fetched it", "sent: a member has it"].contains(&left.what.as_str()), "{}", left.what);
}

#[test]
fn a_member_who_crashed_before_its_word_was_sealed_says_it_after_its_start() {
    for seed in 10..16 {
        let (mut world, channel) = circle(seed, 3);
        // Somewhere between the frame's commit and the word's.
        world.crash_at_write(1, seed - 10, 40_000);
        world.say(0, channel, "hello");
        world.run_for(100_000);
        world.crash(0, 10_000);
        world.run_for(200_000);
        assert_eq!(came(&world, 0, &channel, "hello"), (DeliveryState::Delivered, 2, 2), "seed {seed}");
    }
}

#[test]
fn a_word_that_is_lost_is_found_by_comparing() {
    let (mut world, channel) = circle(4, 3);
    world.weather.loss_percent = 40;
    for n in 0..20 {
        world.say(n % 3, channel, &format!("{n}"));
        world.run_for(3_000);
    }
    world.heal();
    world.run_for(300_000);
    for n in 0..20 {
        assert_eq!(came(&world, n % 3, &channel, &format!("{n}")), (DeliveryState::Delivered, 2, 2), "{n}");
    }
}

#[test]
fn who_is_silent_is_named_and_why_says_what_is_known_of_them() {
    let (mut world, channel) = circle(5, 4);
    world.say(3, channel, "i go to sleep");
    world.run_for(60_000);
    world.sleep(3);
    world.run_for(60_000);
    world.say(0, channel, "where are you?");
    world.run_for(3_600_000);
    let message = world.with_words(0, &channel, "where are you?");
    assert_eq!((message.state, message.delivered, message.members), (DeliveryState::Sent, 2, 3));
    let why = world.why(0, &message.id);
    assert_eq!(why.recipients.len(), 3);
    for recipient in &why.recipients {
        let steps: Vec<_> = recipient.steps.iter().map(|s| (s.what.as_str(), s.place.as_str())).collect();
        if recipient.account == world.people[3].account() {
            assert_eq!((recipient.state, recipient.name.as_str()), (DeliveryState::Sent, "p3"));
            assert_eq!(steps, [("queued", "here"), ("sent: put out to members who are on", "network")]);
            let error = recipient.error.as_deref().unwrap();
            assert!(error.starts_with("nothing heard of them since 2027-01-01T"), "{error}");
        } else {
            assert_eq!((recipient.state, &recipient.error), (DeliveryState::Delivered, &None));
            assert_eq!(steps[2], ("delivered", "their device"));
        }
    }
    // Who came later is not waited for, and who goes is not waited for any longer.
    let account = world.people[3].account();
    world.act(0, Command::MemberRemove { channel, account, ban: false, reason: String::new() });
    world.run_for(60_000);
    assert_eq!(came(&world, 0, &channel, "where are you?"), (DeliveryState::Delivered, 2, 2));
    let gone = world.why(0, &message.id).recipients.into_iter().find(|r| r.account == account).unwrap();
    assert_eq!(gone.error.as_deref(), Some("not in the channel any more: not waited for"));
}

#[test]
fn who_came_in_later_is_not_waited_for_and_confirms_nothing_from_before() {
    let (mut world, channel) = circle_of(6, 2, 3);
    world.sleep(1);
    world.say(0, channel, "without them");
    let code = world.invite(0, channel, 5, "member");
    world.run_for(10_000);
    world.join(2, &code);
    world.run_for(60_000);
    assert_eq!(world.join_state(2), JoinState::Joined);
    world.say(0, channel, "with them");
    world.run_for(60_000);
    assert_eq!(world.heard(2, &channel), ["with them"]);
    assert_eq!(came(&world, 0, &channel, "with them"), (DeliveryState::Sent, 1, 2));
    // The newcomer keeps its frame for others, as members do, and cannot read it.
    assert_eq!(came(&world, 0, &channel, "without them"), (DeliveryState::Sent, 0, 1));
    let why = world.why(0, &world.with_words(0, &channel, "without them").id);
    let later = why.recipients.iter().find(|r| r.account == world.people[2].account()).unwrap();
    assert_eq!(later.error.as_deref(), Some("not in the channel when it was written: it was not sealed for them"));
    world.wake(1);
    world.run_for(120_000);
    assert_eq!(came(&world, 0, &channel, "with them"), (DeliveryState::Delivered, 2, 2));
    assert_eq!(came(&world, 0, &channel, "without them"), (DeliveryState::Delivered, 1, 1));
}

/// A newcomer whose first message is not the first that was sealed for it.
#[test]
fn a_newcomer_does_not_confirm_what_was_lost_before_the_first_thing_it_heard() {
    let (mut world, channel) = circle_of(22, 2, 3);
    for n in 0..5 {
        world.say(0, channel, &format!("before {n}"));
    }
    world.run_for(30_000);
    let code = world.invite(0, channel, 5, "member");
    world.run_for(10_000);
    world.join(2, &code);
    world.run_for(60_000);
    world.repair_off();
    world.gossip_off();
    world.say(0, channel, "lost");
    world.run_for(1_000);
    world.gossip_on();
    world.say(0, channel, "heard");
    world.run_for(30_000);
    assert_eq!(world.heard(2, &channel), ["heard"]);
    assert_eq!(came(&world, 0, &channel, "lost").1, 0);
    assert_eq!(world.channel(2, &channel).unwrap().missing, 1);
    world.repair_on();
    world.run_for(90_000);
    assert_eq!(world.heard(2, &channel), ["lost", "heard"]);
    assert_eq!(came(&world, 0, &channel, "lost"), (DeliveryState::Delivered, 2, 2));
    assert_eq!(came(&world, 0, &channel, "before 4"), (DeliveryState::Delivered, 1, 1));
}

#[test]
fn r_chan_17_in_a_channel_of_more_than_32_members_nobody_says_by_themselves_what_they_have() {
    let mut world = World::new(23, 34, Weather::fine());
    world.run_for(2_000);
    let channel = world.make_channel(0, "crowd");
    let code = world.invite(0, channel, 50, "member");
    for who in 1..34 {
        world.join(who, &code);
        world.run_for(2_000);
    }
    world.run_for(60_000);
    assert_eq!(world.in_channel(33, &channel).len(), 34);
    let before = world.paths.published;
    world.say(0, channel, "hello");
    world.run_for(20_000);
    assert!((1..34).all(|who| world.heard(who, &channel) == ["hello"]));
    assert_eq!(came(&world, 0, &channel, "hello"), (DeliveryState::Sent, 0, 33));
    let why = world.why(0, &world.with_words(0, &channel, "hello").id);
    let told = "in a channel of more than 32 members nobody says by themselves what they have";
    assert!(why.recipients.len() == 33 && why.recipients.iter().all(|r| r.error.as_deref() == Some(told)));
    assert_eq!(world.paths.published, before + 1);
}

#[test]
fn what_was_read_is_told_by_those_alone_who_share_it() {
    let (mut world, channel) = circle(21, 3);
    world.people[1].shares_read = true;
    for who in [1, 2] {
        world.sleep(who);
        world.wake(who);
    }
    world.run_for(60_000);
    let read = |world: &mut World, who: usize| {
        world.act(who, Command::MarkRead { conversation: channel.into(), up_to: None });
        world.run_for(30_000);
    };
    for words in ["one", "two"] {
        world.say(0, channel, words);
        world.run_for(10_000);
    }
    assert_eq!(came(&world, 0, &channel, "two"), (DeliveryState::Delivered, 2, 2));
    read(&mut world, 1);
    read(&mut world, 2);
    world.say(0, channel, "three");
    world.run_for(30_000);
    let story = |words: &str| {
        let why = world.why(0, &world.with_words(0, &channel, words).id);
        let state = |who: usize| {
            let account = world.people[who].account();
            why.recipients.iter().find(|r| r.account == account).unwrap().state
        };
        (state(1), state(2))
    };
    assert_eq!(story("one"), (DeliveryState::Read, DeliveryState::Delivered));
    assert_eq!(story("two"), (DeliveryState::Read, DeliveryState::Delivered));
    assert_eq!(story("three"), (DeliveryState::Delivered, DeliveryState::Delivered));
    assert_eq!(came(&world, 0, &channel, "two").0, DeliveryState::Delivered, "not all have read it");
    world.people[2].shares_read = true;
    world.sleep(2);
    world.wake(2);
    world.run_for(60_000);
    read(&mut world, 2);
    read(&mut world, 1);
    for words in ["one", "two", "three"] {
        assert_eq!(came(&world, 0, &channel, words), (DeliveryState::Read, 2, 2), "{words}");
    }
}

#[test]
fn r_chan_17_words_answer_texts_and_never_words() {
    let (mut world, channel) = circle(7, 5);
    let quiet = world.paths.published;
    world.run_for(3_600_000);
    assert_eq!(world.paths.published, quiet, "in a quiet hour nothing is said");
    world.say(0, channel, "hello");
    world.run_for(60_000);
    assert_eq!(came(&world, 0, &channel, "hello"), (DeliveryState::Delivered, 4, 4));
    assert_eq!(world.paths.published, quiet + 1 + 4, "one text, one word of each other member");
    world.run_for(3_600_000);
    assert_eq!(world.paths.published, quiet + 5, "and nothing about words");
    // A burst is answered as one.
    for n in 0..40 {
        world.say(0, channel, &format!("{n}"));
        world.run_for(50);
    }
    world.run_for(60_000);
    assert_eq!(came(&world, 0, &channel, "39"), (DeliveryState::Delivered, 4, 4));
    let words = world.paths.published - quiet - 5 - 40;
    assert!((4..=8).contains(&words), "{words}");
    // What is no text is not answered.
    let target = world.with_words(0, &channel, "39").id;
    let before = world.paths.published;
    world.say_of(1, channel, ChannelSaying::React { target, emoji: "👍".into(), on: true });
    world.run_for(3_600_000);
    assert_eq!(world.paths.published, before + 1);
}

#[test]
fn r_chan_19_what_is_missing_is_shown_in_its_place_and_fills_itself() {
    let (mut world, channel) = circle(8, 3);
    world.say(0, channel, "first");
    world.run_for(30_000);
    // The live path loses two of them, and nobody can be asked.
    world.repair_off();
    world.gossip_off();
    world.say(0, channel, "second");
    world.say(0, channel, "third");
    world.run_for(1_000);
    world.gossip_on();
    world.say(0, channel, "fourth");
    world.run_for(30_000);
    let shown: Vec<_> = world.shown_in(1, &channel).into_iter().map(|m| (m.kind, m.body, m.missing)).collect();
    let text = |words: &str| (MessageKind::Text, words.to_owned(), 0);
    assert_eq!(shown, [text("first"), (MessageKind::Gap, String::new(), 2), text("fourth")]);
    assert_eq!(world.channel(1, &channel).unwrap().missing, 2);
    assert_eq!(missed(&world, 1), [("p0".to_owned(), 2)]);
    // What is not all here is not confirmed.
    assert_eq!(came(&world, 0, &channel, "fourth").1, 0);
    world.repair_on();
    world.run_for(90_000);
    assert_eq!(world.heard(1, &channel), ["first", "second", "third", "fourth"]);
    assert!(world.shown_in(1, &channel).iter().all(|m| m.kind == MessageKind::Text));
    assert_eq!(world.channel(1, &channel).unwrap().missing, 0);
    assert_eq!(missed(&world, 1), [("p0".to_owned(), 2), ("p0".to_owned(), 0)]);
    for words in ["second", "third", "fourth"] {
        assert_eq!(came(&world, 0, &channel, words), (DeliveryState::Delivered, 2, 2), "{words}");
    }
}

/// Lets somebody say something that reaches nobody before what they say next.
fn overtaken(world: &mut World, channel: ChannelId, words: &str) -> MessageId {
    world.repair_off();
    world.gossip_off();
    world.say(0, channel, words);
    world.run_for(1_000);
    world.gossip_on();
    world.with_words(0, &channel, words).id
}

#[test]
fn r_chan_18_other_words_that_overtake_what_they_are_for_wait_for_it() {
    let (mut world, channel) = circle(9, 3);
    let target = overtaken(&mut world, channel, "helo");
    world.say_of(0, channel, ChannelSaying::Edit { target, body: "hello".into() });
    world.say_of(0, channel, ChannelSaying::Edit { target, body: "hello!".into() });
    world.run_for(20_000);
    assert_eq!(world.heard(1, &channel), [""; 0]);
    world.repair_on();
    world.run_for(90_000);
    for who in 0..3 {
        let message = world.with_words(who, &channel, "hello!");
        assert!(message.edited && message.id == target, "{who}");
        assert_eq!(world.heard(who, &channel).len(), 1);
    }
}

#[test]
fn older_words_that_come_late_do_not_take_the_place_of_newer_ones() {
    let (mut world, channel) = circle(17, 2);
    world.say(0, channel, "one");
    world.run_for(30_000);
    let target = world.with_words(0, &channel, "one").id;
    world.repair_off();
    world.gossip_off();
    world.say_of(0, channel, ChannelSaying::Edit { target, body: "two".into() });
    world.run_for(1_000);
    world.gossip_on();
    world.say_of(0, channel, ChannelSaying::Edit { target, body: "three".into() });
    world.run_for(10_000);
    assert_eq!(world.heard(1, &channel), ["three"]);
    world.repair_on();
    world.run_for(90_000);
    assert_eq!(world.channel(1, &channel).unwrap().missing, 0);
    assert_eq!(world.heard(1, &channel), ["three"]);
}

#[test]
fn an_end_that_overtakes_its_message_waits_for_it() {
    let (mut world, channel) = circle(18, 3);
    let target = overtaken(&mut world, channel, "forget this");
    world.say_of(0, channel, ChannelSaying::Delete { target });
    world.run_for(20_000);
    world.repair_on();
    world.run_for(90_000);
    for who in 0..3 {
        assert_eq!(world.heard(who, &channel), [""; 0], "{who}");
        assert_eq!(world.channel(who, &channel).unwrap().missing, 0);
    }
}

#[test]
fn r_chan_18_an_answer_waits_for_what_it_answers_and_not_for_ever() {
    let (mut world, channel) = circle(19, 3);
    world.weather.side = [0, 1].into();
    world.say(0, channel, "question");
    world.run_for(30_000);
    let target = world.with_words(1, &channel, "question").id;
    // Whoever answers can be heard by the third, whoever asked cannot.
    world.weather.side = [0].into();
    world.repair_off();
    world.say_of(1, channel, ChannelSaying::Text { body: "answer".into(), reply_to: Some(target) });
    world.run_for(3_000);
    assert_eq!(world.heard(2, &channel), [""; 0], "it waits");
    world.run_for(10_000);
    assert_eq!(world.heard(2, &channel), ["answer"]);
    assert_eq!(world.with_words(2, &channel, "answer").reply_to, Some(target));
    world.repair_on();
    world.heal();
    world.run_for(90_000);
    assert_eq!(world.heard(2, &channel), ["question", "answer"]);
}

#[test]
fn r_chan_19_what_one_device_says_is_shown_in_its_order_whatever_its_clock_does() {
    let (mut world, channel) = circle(20, 2);
    world.sleep(1);
    world.people[0].clock_ahead_ms = 50_000;
    world.say(0, channel, "first");
    world.run_for(1_000);
    world.people[0].clock_ahead_ms = 0;
    world.say(0, channel, "second");
    world.say(0, channel, "third");
    world.run_for(120_000);
    world.wake(1);
    world.run_for(120_000);
    for who in 0..2 {
        assert_eq!(world.heard(who, &channel), ["first", "second", "third"], "{who}");
    }
}
