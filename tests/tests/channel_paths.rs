//! What carries channels in the simulated world does what the real net does: gossip passes gates and waits for followers,
//! questions between members end once, and what is lost, parted, dead or switched off does not arrive.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::print_stdout)]

use kith_node::net::{AskOutcome, MemberToken, NetCommand, NetEvent, PeerName};
use kith_protocol::{
    channel::gate::GateKey,
    crypto::Secret,
    limits::{CHANNEL_ANSWER_MAX, CHANNEL_REQUEST_MAX},
};
use kith_tests::world::{Weather, World};
use std::collections::BTreeMap;

const GENERAL: [u8; 32] = [1; 32];
const OTHER: [u8; 32] = [2; 32];
/// Long enough for everything on its way.
const SOON: u64 = 5_000;
/// Longer than any question takes.
const LATER: u64 = 30_000;

fn key(number: u8) -> GateKey {
    GateKey::new(Secret::new([number; 32]))
}

/// People who follow a topic with the same key.
fn channel_of(people: usize, weather: Weather) -> World {
    let mut world = World::new(7, people, weather);
    world.speak_for_apps();
    (0..people).for_each(|who| follow(&mut world, who, GENERAL, &[key(1)]));
    world
}

fn follow(world: &mut World, who: usize, topic: [u8; 32], keys: &[GateKey]) {
    world.order(who, NetCommand::ChannelFollow { topic, keys: keys.to_vec() });
}

fn publish(world: &mut World, who: usize, frame: &str) {
    world.order(who, NetCommand::ChannelPublish { topic: GENERAL, frame: frame.into() });
}

/// What apps were told by gossip: who, by whom, what.
fn gossip(world: &mut World) -> Vec<(usize, PeerName, String)> {
    let told = world.told().into_iter().filter_map(|(who, event)| match event {
        NetEvent::Gossip { from, frame, .. } => Some((who, from, String::from_utf8(frame).unwrap())),
        _ => None,
    });
    let mut told: Vec<_> = told.collect();
    told.sort();
    told
}

fn ask(world: &mut World, who: usize, ask: u64, whom: usize, request: &[u8]) {
    let peer = world.people[whom].peer();
    world.order(who, NetCommand::AskMember { ask, peer, addresses: vec![], request: request.to_vec() });
}

/// Lets the world go on, and apps answer what they are asked; returns who was told how each question ended.
fn settle(world: &mut World, answers: impl Fn(usize, &[u8]) -> Option<Vec<u8>>) -> Vec<(usize, u64, AskOutcome)> {
    let mut ended = Vec::new();
    for _ in 0..LATER / 10 {
        world.run_for(10);
        for (who, event) in world.told() {
            match event {
                NetEvent::MemberAsks { token, request, .. } => {
                    if let Some(answer) = answers(who, &request) {
                        world.order(who, NetCommand::AnswerMember { token, answer });
                    }
                }
                NetEvent::Asked { ask, outcome } => ended.push((who, ask, outcome)),
                _ => {}
            }
        }
    }
    ended
}

fn echo(_: usize, request: &[u8]) -> Option<Vec<u8>> {
    Some(request.to_vec())
}

fn lost() -> AskOutcome {
    AskOutcome::Unreachable { why: "no answer in time" }
}

#[test]
fn what_is_published_comes_once_to_everybody_who_follows_and_is_not_parted() {
    let mut world = channel_of(5, Weather { duplicate_percent: 100, ..Weather::fine() });
    world.order(4, NetCommand::ChannelLeave { topic: GENERAL });
    follow(&mut world, 4, OTHER, &[key(1)]);
    world.weather.side = [3].into();
    publish(&mut world, 0, "hello");
    world.run_for(SOON);
    let from = world.people[0].peer();
    let hello = |who| (who, from.clone(), "hello".to_owned());
    assert_eq!(gossip(&mut world), [hello(1), hello(2)]);
    // What was lost on the live path is not sent again.
    world.weather.side.clear();
    world.run_for(LATER);
    assert_eq!(gossip(&mut world), []);
    assert_eq!((world.paths.published, world.paths.gossip, world.paths.again), (1, 2, 2));
}

#[test]
fn each_copy_is_lost_by_itself() {
    const FRAMES: u64 = 200;
    let mut world = channel_of(3, Weather { loss_percent: 30, ..Weather::fine() });
    for number in 0..FRAMES {
        publish(&mut world, 0, &number.to_string());
        world.run_for(100);
    }
    world.run_for(SOON);
    let mut copies = BTreeMap::<String, u64>::new();
    gossip(&mut world).into_iter().for_each(|(.., frame)| *copies.entry(frame).or_default() += 1);
    let (two, one) = (copies.values().filter(|n| **n == 2).count(), copies.values().filter(|n| **n == 1).count());
    let none = usize::try_from(FRAMES).unwrap() - copies.len();
    assert!(two > 60 && one > 50 && none > 5, "{two} came to both, {one} to one, {none} to nobody");
    assert_eq!(world.paths.published, FRAMES);
}

#[test]
fn what_nobody_follows_waits_for_the_first_who_does_and_not_for_ever() {
    let mut world = channel_of(3, Weather::fine());
    (1..3).for_each(|who| world.order(who, NetCommand::ChannelLeave { topic: GENERAL }));
    publish(&mut world, 0, "early");
    world.run_for(60_000);
    follow(&mut world, 1, GENERAL, &[key(1)]);
    world.run_for(SOON);
    assert_eq!(gossip(&mut world), [(1, world.people[0].peer(), "early".into())]);
    // Who comes after that gets nothing of it.
    follow(&mut world, 2, GENERAL, &[key(1)]);
    world.run_for(SOON);
    assert_eq!(gossip(&mut world), []);
    // Nor does the end of a partition bring what is too old.
    world.weather.side = [0].into();
    publish(&mut world, 0, "too old");
    world.run_for(130_000);
    publish(&mut world, 0, "young");
    world.run_for(60_000);
    world.weather.side.clear();
    world.run_for(SOON);
    let young = |who| (who, PeerName("peer-0".into()), "young".to_owned());
    assert_eq!(gossip(&mut world), [young(1), young(2)]);
}

#[test]
fn gates_let_in_what_holders_of_the_key_made_within_the_time_and_hold_what_has_no_key_yet() {
    let mut world = channel_of(2, Weather::fine());
    follow(&mut world, 1, GENERAL, &[]);
    (0..70).for_each(|number| publish(&mut world, 0, &format!("held {number}")));
    world.run_for(SOON);
    assert_eq!(gossip(&mut world), []);
    follow(&mut world, 1, GENERAL, &[key(2), key(1)]);
    world.run_for(SOON);
    assert_eq!(gossip(&mut world).len(), 64, "the newest were held");
    follow(&mut world, 1, GENERAL, &[key(2)]);
    publish(&mut world, 0, "another key");
    world.run_for(SOON);
    assert_eq!((gossip(&mut world).len(), world.paths.rejected), (0, 1));
    follow(&mut world, 1, GENERAL, &[key(1)]);
    world.people[0].clock_ahead_ms = 60 * 60_000;
    publish(&mut world, 0, "of another hour");
    world.run_for(SOON);
    assert_eq!((gossip(&mut world).len(), world.paths.rejected), (0, 1));
}

#[test]
fn who_died_follows_nothing_until_it_says_so_again() {
    let mut world = channel_of(2, Weather::fine());
    world.crash(1, 1_000);
    world.run_for(SOON);
    assert!(world.people[1].is_up());
    publish(&mut world, 0, "are you there?");
    world.run_for(SOON);
    assert_eq!(gossip(&mut world), []);
    follow(&mut world, 1, GENERAL, &[key(1)]);
    world.run_for(SOON);
    assert_eq!(gossip(&mut world).len(), 1);
}

#[test]
fn members_ask_each_other_and_each_question_ends_once_whatever_the_weather() {
    let mut world = channel_of(3, Weather { latency_ms: 20, jitter_ms: 500, loss_percent: 20, ..Weather::fine() });
    for number in 0..100 {
        ask(&mut world, 0, number, 1, &[7, u8::try_from(number).unwrap()]);
        ask(&mut world, 2, number, 0, &[8]);
    }
    let ended = settle(&mut world, echo);
    let mut numbers: Vec<_> = ended.iter().map(|(who, ask, _)| (*who, *ask)).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..100).map(|n| (0, n)).chain((0..100).map(|n| (2, n))).collect::<Vec<_>>());
    let mut answered = 0;
    for (who, number, outcome) in ended {
        match outcome {
            AskOutcome::Answered(answer) if who == 2 => assert_eq!(answer, [8]),
            AskOutcome::Answered(answer) => assert_eq!(answer, [7, u8::try_from(number).unwrap()]),
            other => assert_eq!(other, lost()),
        }
        answered += u64::from(who == 0);
    }
    assert_eq!((answered, world.paths.asks), (100, 200));
    // 80 % of them arrive, and 80 % of their answers.
    assert!((140..180).contains(&world.paths.asked), "{:?}", world.paths);
    assert!((105..150).contains(&world.paths.answered), "{:?}", world.paths);
}

#[test]
fn questions_to_who_is_parted_dead_or_unknown_end_as_unreachable_and_silence_as_busy() {
    let mut world = channel_of(4, Weather::fine());
    world.weather.side = [1].into();
    world.sleep(2);
    ask(&mut world, 0, 1, 1, b"parted");
    ask(&mut world, 0, 2, 2, b"asleep");
    let peer = PeerName("nobody".into());
    world.order(0, NetCommand::AskMember { ask: 3, peer, addresses: vec![], request: vec![1] });
    ask(&mut world, 0, 4, 3, b"silence");
    let busy = AskOutcome::Busy { retry_after_ms: 1_000 };
    let mut ended = settle(&mut world, |_, _| None);
    ended.sort_by_key(|(_, ask, _)| *ask);
    assert_eq!(ended, [(0, 1, lost()), (0, 2, lost()), (0, 3, lost()), (0, 4, busy.clone())]);
    let never = AskOutcome::Unreachable { why: "nothing that can be asked" };
    ask(&mut world, 0, 5, 3, &[]);
    ask(&mut world, 0, 6, 3, &[0; CHANNEL_REQUEST_MAX + 1]);
    ask(&mut world, 0, 7, 0, b"me");
    ask(&mut world, 0, 8, 3, &[0; CHANNEL_REQUEST_MAX]);
    let ended = settle(&mut world, |_, _| Some(vec![0; CHANNEL_ANSWER_MAX + 1]));
    assert_eq!(ended, [(0, 5, never.clone()), (0, 6, never.clone()), (0, 7, never), (0, 8, busy)]);
}

#[test]
fn who_died_is_told_nothing_of_what_it_asked_and_answers_nothing_that_it_was_asked() {
    let mut world = channel_of(2, Weather::fine());
    ask(&mut world, 0, 1, 1, b"and?");
    world.run_for(20);
    let asked = world.told();
    let [(1, NetEvent::MemberAsks { token: MemberToken(token), from, .. })] = &asked[..] else { panic!("{asked:?}") };
    assert_eq!(*from, world.people[0].peer());
    let answer = NetCommand::AnswerMember { token: MemberToken(*token), answer: vec![1] };
    world.crash(1, 10);
    world.run_for(20);
    world.order(1, answer);
    assert_eq!(settle(&mut world, echo), [(0, 1, lost())]);
    ask(&mut world, 0, 2, 1, b"and now?");
    world.crash(0, 1_000);
    assert_eq!(settle(&mut world, echo), []);
}

#[test]
fn either_way_can_be_switched_off() {
    let mut world = channel_of(2, Weather::fine());
    world.gossip_off();
    publish(&mut world, 0, "unheard");
    ask(&mut world, 0, 1, 1, b"asked");
    assert_eq!(settle(&mut world, echo), [(0, 1, AskOutcome::Answered(b"asked".to_vec()))]);
    world.gossip_on();
    world.repair_off();
    publish(&mut world, 0, "heard");
    world.run_for(SOON);
    assert_eq!(gossip(&mut world), [(1, world.people[0].peer(), "heard".into())]);
    ask(&mut world, 0, 2, 1, b"lost");
    assert_eq!(settle(&mut world, echo), [(0, 2, lost())]);
    world.repair_on();
    ask(&mut world, 0, 3, 1, b"asked");
    assert_eq!(settle(&mut world, echo), [(0, 3, AskOutcome::Answered(b"asked".to_vec()))]);
    let paths = world.paths;
    assert_eq!((paths.published, paths.gossip), (1, 1));
    assert_eq!((paths.asks, paths.asked, paths.answered), (3, 2, 2));
}
